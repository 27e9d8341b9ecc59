//! The text after DATA: its end found, its dots undone, its line ends left as they came.

use std::io::{self, BufRead, ErrorKind, Read};

/// Octets decoded at a time.
const CHUNK: usize = 64 * 1024;

/// How a text ended.
#[derive(Debug)]
pub(super) enum End {
    /// With the line that holds nothing but a dot.
    Dot,
    /// The rest of it never came.
    Error(io::Error),
}

/// Reads one text and not an octet more.
///
/// What a line is, the client has shown by the line DATA. One that writes CRLF means CRLF.CRLF by
/// the end, and a bare LF, with a dot behind it or not, is part of its text: taken for a line end it
/// would cut off what follows, or make commands of it.
pub(super) struct Text<'a, R> {
    input: &'a mut R,
    crlf: bool,
    place: Place,
    decoded: Vec<u8>,
    /// Octets of `decoded` that were read.
    read: usize,
    end: Option<End>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// At the start of a line.
    Start,
    /// After a dot at the start, not handed out.
    Dot,
    /// After such a dot and a CR, neither handed out.
    DotReturn,
    /// After a CR.
    Return,
    Inside,
}

impl<'a, R: BufRead> Text<'a, R> {
    /// The text after a DATA that ended in CRLF, or else in a bare LF.
    pub(super) fn new(input: &'a mut R, crlf: bool) -> Text<'a, R> {
        Text {
            input,
            crlf,
            place: Place::Start,
            decoded: Vec::new(),
            read: 0,
            end: None,
        }
    }

    /// Passes over what is left, and says how the text ended.
    pub(super) fn skip_to_end(mut self) -> End {
        loop {
            if let Some(end) = self.end {
                return end;
            }
            self.advance();
        }
    }

    /// Decodes what the input has next.
    fn advance(&mut self) {
        self.decoded.clear();
        self.read = 0;
        let chunk = match self.input.fill_buf() {
            Ok([]) => {
                let cut = io::Error::new(
                    ErrorKind::UnexpectedEof,
                    "the input ended before the line with a lone dot",
                );
                self.end = Some(End::Error(cut));
                return;
            }
            Ok(chunk) => chunk,
            Err(error) if error.kind() == ErrorKind::Interrupted => return,
            Err(error) => {
                self.end = Some(End::Error(error));
                return;
            }
        };
        let mut used = 0;
        for &octet in chunk.iter().take(CHUNK) {
            used += 1;
            match step(self.place, octet, self.crlf) {
                Step::To(place, before) => {
                    self.decoded.extend_from_slice(before);
                    if !matches!(place, Place::Dot | Place::DotReturn) {
                        self.decoded.push(octet);
                    }
                    self.place = place;
                }
                Step::End => {
                    self.end = Some(End::Dot);
                    break;
                }
            }
        }
        self.input.consume(used);
    }
}

enum Step {
    /// The next place, and what was held back and is text after all.
    To(Place, &'static [u8]),
    End,
}

fn step(place: Place, octet: u8, crlf: bool) -> Step {
    let line_end = match crlf {
        true => Place::Inside,
        false => Place::Start,
    };
    let (next, before): (Place, &[u8]) = match (place, octet) {
        (Place::Start, b'.') => (Place::Dot, b""),
        (Place::Dot, b'\r') => (Place::DotReturn, b""),
        (Place::Dot, b'\n') if !crlf => return Step::End,
        // A client that writes CRLF and doubles dots has not sent this one: its text is as it is.
        (Place::Dot, b'\n') => (Place::Inside, b"."),
        (Place::DotReturn, b'\n') => return Step::End,
        (Place::DotReturn, b'\r') => (Place::Return, b"\r"),
        (Place::DotReturn, _) => (Place::Inside, b"\r"),
        (Place::Return, b'\n') => (Place::Start, b""),
        (_, b'\n') => (line_end, b""),
        (_, b'\r') => (Place::Return, b""),
        _ => (Place::Inside, b""),
    };
    Step::To(next, before)
}

impl<R: BufRead> BufRead for Text<'_, R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.read == self.decoded.len() && self.end.is_none() {
            self.advance();
        }
        match (self.decoded.get(self.read..), &self.end) {
            (Some(rest), _) if !rest.is_empty() => Ok(rest),
            (_, Some(End::Error(error))) => Err(io::Error::new(error.kind(), error.to_string())),
            _ => Ok(&[]),
        }
    }

    fn consume(&mut self, count: usize) {
        self.read = self.read.saturating_add(count).min(self.decoded.len());
    }
}

impl<R: BufRead> Read for Text<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}
