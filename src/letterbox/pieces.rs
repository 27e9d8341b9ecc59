//! The message on its way over the socket, in pieces that say how long they are.

use super::PIECE_MAX;
use std::io::{self, BufRead, ErrorKind, Read, Write};

/// A message as it is read from its pieces. Its end is the piece of length 0; an end of file before
/// that is an error.
pub struct Pieces<R> {
    input: R,
    /// Octets of this piece that have not been read.
    left: usize,
    ended: bool,
}

impl<R: BufRead> Pieces<R> {
    /// The message that begins here.
    pub fn new(input: R) -> Pieces<R> {
        Pieces {
            input,
            left: 0,
            ended: false,
        }
    }

    fn begin_piece(&mut self) -> io::Result<()> {
        let mut length = [0; 4];
        self.input.read_exact(&mut length)?;
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if length > PIECE_MAX {
            let text = format!("a piece of {length} octets");
            return Err(io::Error::new(ErrorKind::InvalidData, text));
        }
        (self.left, self.ended) = (length, length == 0);
        Ok(())
    }
}

impl<R: BufRead> BufRead for Pieces<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.left == 0 && !self.ended {
            self.begin_piece()?;
        }
        if self.ended {
            return Ok(&[]);
        }
        let left = self.left;
        let there = self.input.fill_buf()?;
        match there.get(..left).unwrap_or(there) {
            [] => Err(io::Error::new(
                ErrorKind::UnexpectedEof,
                "whoever hands it in went away",
            )),
            piece => Ok(piece),
        }
    }

    fn consume(&mut self, used: usize) {
        let used = used.min(self.left);
        self.left -= used;
        self.input.consume(used);
    }
}

impl<R: BufRead> Read for Pieces<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let there = self.fill_buf()?;
        let used = there.len().min(buffer.len());
        let (Some(from), Some(to)) = (there.get(..used), buffer.get_mut(..used)) else {
            return Ok(0);
        };
        to.copy_from_slice(from);
        self.consume(used);
        Ok(used)
    }
}

/// Writes part of a message; nothing is written of nothing, which would end it.
pub(super) fn write(output: &mut impl Write, part: &[u8]) -> io::Result<()> {
    for piece in part.chunks(PIECE_MAX) {
        let length = u32::try_from(piece.len()).unwrap_or(0);
        output.write_all(&length.to_be_bytes())?;
        output.write_all(piece)?;
    }
    Ok(())
}

/// Ends the message.
pub(super) fn end(output: &mut impl Write) -> io::Result<()> {
    output.write_all(&[0; 4])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(octets: &[u8]) -> io::Result<Vec<u8>> {
        let mut message = Vec::new();
        Pieces::new(octets).read_to_end(&mut message)?;
        Ok(message)
    }

    fn written(parts: &[&[u8]]) -> Vec<u8> {
        let mut octets = Vec::new();
        for part in parts {
            write(&mut octets, part).unwrap();
        }
        end(&mut octets).unwrap();
        octets
    }

    #[test]
    fn what_was_written_is_read_and_not_an_octet_more() {
        let long = b"0123456789".repeat(20_000);
        for parts in [&[&b""[..]][..], &[b"a", b"", b"bc"], &[&long]] {
            let mut octets = written(parts);
            octets.extend(b"what follows");
            assert_eq!(read(&octets).unwrap(), parts.concat());
        }
    }

    #[test]
    fn a_message_cut_off_anywhere_is_an_error() {
        let octets = written(&[b"Subject: x\n\n", b"text\n"]);
        for length in 0..octets.len() {
            let error = read(&octets[..length]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "{length}");
        }
    }

    #[test]
    fn a_piece_that_is_too_long_is_refused_before_it_is_read() {
        for length in [PIECE_MAX as u32 + 1, u32::MAX] {
            let error = read(&length.to_be_bytes()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData);
        }
        let most = [
            &(PIECE_MAX as u32).to_be_bytes()[..],
            &vec![b'x'; PIECE_MAX],
            &[0; 4],
        ];
        assert_eq!(read(&most.concat()).unwrap().len(), PIECE_MAX);
    }
}
