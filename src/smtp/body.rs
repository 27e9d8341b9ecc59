//! The octets of DATA: canonical line ends, doubled dots, exactly one end.

/// Writes a message as DATA wants it (RFC 5321 section 4.5.2), whatever way it is cut into pieces.
///
/// A lone CR or LF becomes CRLF: a server that takes one for a line end must not find an end of
/// data, hence a second message, where we saw text.
pub struct Stuffing {
    line_start: bool,
    after_cr: bool,
}

impl Default for Stuffing {
    fn default() -> Stuffing {
        Stuffing::new()
    }
}

impl Stuffing {
    /// At the first line.
    pub fn new() -> Stuffing {
        Stuffing {
            line_start: true,
            after_cr: false,
        }
    }

    /// Appends the next piece of the message to `wire`.
    pub fn push(&mut self, mut piece: &[u8], wire: &mut Vec<u8>) {
        while let Some((&first, rest)) = piece.split_first() {
            if first == b'\r' || first == b'\n' {
                if !(first == b'\n' && self.after_cr) {
                    wire.extend_from_slice(b"\r\n");
                }
                self.after_cr = first == b'\r';
                self.line_start = true;
                piece = rest;
                continue;
            }
            if self.line_start && first == b'.' {
                wire.push(b'.');
            }
            let end = piece
                .iter()
                .position(|octet| matches!(octet, b'\r' | b'\n'));
            let (text, rest) = piece.split_at(end.unwrap_or(piece.len()));
            wire.extend_from_slice(text);
            self.line_start = false;
            self.after_cr = false;
            piece = rest;
        }
    }

    /// Ends a line that is still open.
    pub fn end_line(&mut self, wire: &mut Vec<u8>) {
        if !self.line_start {
            self.push(b"\r\n", wire);
        }
    }

    /// Appends the end of data.
    pub fn finish(mut self, wire: &mut Vec<u8>) {
        self.end_line(wire);
        wire.extend_from_slice(b".\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 5321 read backwards: the message and what follows its end, or None if there is no end.
    fn read(wire: &[u8]) -> Option<(Vec<u8>, &[u8])> {
        let mut message = Vec::new();
        let mut rest = wire;
        loop {
            let end = rest.windows(2).position(|pair| pair == b"\r\n")? + 2;
            let (line, after) = rest.split_at(end);
            rest = after;
            match line {
                b".\r\n" => return Some((message, rest)),
                [b'.', text @ ..] => message.extend_from_slice(text),
                text => message.extend_from_slice(text),
            }
        }
    }

    fn canonical(octets: &[u8]) -> Vec<u8> {
        let text: String = octets.iter().map(|&octet| char::from(octet)).collect();
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        let text = text.strip_suffix('\n').unwrap_or(&text);
        let lines = text.split('\n').map(|line| format!("{line}\r\n"));
        let text: String = lines.collect();
        text.chars().map(|char| char as u8).collect()
    }

    #[test]
    fn any_input_in_any_pieces_has_one_end_of_data_and_arrives_whole() {
        let mut seed = 0x2545_f491_4f6c_dd1d_u64;
        let mut random = |below: u64| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            (seed % below) as usize
        };
        for _ in 0..20_000 {
            let size = random(24) + 1;
            let message: Vec<u8> = (0..size).map(|_| b"\r\n..a\xe9\0"[random(7)]).collect();
            let mut stuffing = Stuffing::new();
            let mut wire = Vec::new();
            let mut rest = &message[..];
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(random(rest.len() as u64) + 1);
                stuffing.push(piece, &mut wire);
                rest = after;
            }
            stuffing.finish(&mut wire);
            let ends = wire.windows(5).filter(|five| five == b"\r\n.\r\n").count();
            assert_eq!(
                ends + usize::from(wire.starts_with(b".\r\n")),
                1,
                "{message:?}"
            );
            let (read, rest) = read(&wire).unwrap();
            assert_eq!(read, canonical(&message), "{message:?}");
            assert_eq!(rest, b"", "{message:?}");
            let bare = |pair: &[u8]| (pair[0] == b'\r') != (pair[1] == b'\n');
            assert!(!wire.windows(2).any(bare), "{message:?} {wire:?}");
        }
    }

    #[test]
    fn nothing_at_all_is_an_end_of_data() {
        let mut wire = Vec::new();
        Stuffing::new().finish(&mut wire);
        assert_eq!(wire, b".\r\n");
    }
}
