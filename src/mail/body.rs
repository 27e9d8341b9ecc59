//! The body of a message as it is read: line ends decided once, dots undone, size counted.

use super::annex::{Body, Gathering, OpenAnnex};
use crate::outcome::{Class, Failure, Stage};
use std::io::{self, BufRead, ErrorKind};

/// What a line that begins with a dot means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DotRule {
    /// `-i`: text.
    Text,
    /// No `-i`: a lone dot ends the message.
    Ends {
        /// A regular file ends by itself: in it only a last line can be the ending dot, and no dot
        /// has been doubled.
        regular_file: bool,
    },
}

impl DotRule {
    /// Whether a lone dot ends the message at once and other leading dots have been doubled.
    pub(super) fn doubled(self) -> bool {
        self == DotRule::Ends {
            regular_file: false,
        }
    }
}

/// The input, chunk by chunk, with a count of its octets.
pub(super) struct Source<R> {
    input: R,
    octets: u64,
    ended: bool,
}

impl<R: BufRead> Source<R> {
    pub(super) fn new(input: R) -> Source<R> {
        Source {
            input,
            octets: 0,
            ended: false,
        }
    }

    /// Octets that were taken so far.
    pub(super) fn octets(&self) -> u64 {
        self.octets
    }

    /// Hands the next chunk to `take`, which says how much of it was used; false at the end.
    pub(super) fn next(&mut self, take: impl FnOnce(&[u8]) -> usize) -> Result<bool, Failure> {
        // A terminal would ask for more after its end.
        while !self.ended {
            match self.input.fill_buf() {
                Ok([]) => self.ended = true,
                Ok(chunk) => {
                    let used = take(chunk).min(chunk.len());
                    self.input.consume(used);
                    self.octets += used as u64;
                    return Ok(true);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(unreadable(&error)),
            }
        }
        Ok(false)
    }

    /// Appends the rest of a line with its LF to `line`, as long as that is below `len_max` octets.
    pub(super) fn line(&mut self, line: &mut Vec<u8>, len_max: usize) -> Result<(), Failure> {
        let mut whole = false;
        while !whole && line.len() < len_max {
            let room = len_max - line.len();
            let more = self.next(|chunk| {
                let chunk = chunk.get(..room).unwrap_or(chunk);
                let end = chunk.iter().position(|&octet| octet == b'\n');
                whole = end.is_some();
                let used = end.map_or(chunk.len(), |end| end + 1);
                line.extend(chunk.iter().take(used));
                used
            })?;
            whole |= !more;
        }
        Ok(())
    }

    /// Reads to the end, so that the writer meets no closed pipe, and says how much there was.
    ///
    /// The fate of the message is decided by then; an error only ends the reading.
    pub(super) fn drain(&mut self) -> u64 {
        let before = self.octets;
        while let Ok(true) = self.next(<[u8]>::len) {}
        self.octets - before
    }
}

/// The failure of a message that does not come whole.
pub fn unreadable(error: &io::Error) -> Failure {
    let failure = Failure::new(Class::Io, "the message cannot be read")
        .because(error)
        .fix("nothing was sent; check what is given as standard input")
        .at(Stage::Stdin)
        .with_os_error(error);
    match error.kind() {
        ErrorKind::UnexpectedEof | ErrorKind::TimedOut => failure.with_reason(CUT_OFF),
        ErrorKind::InvalidData => failure.with_reason(MALFORMED),
        _ => failure,
    }
}

/// The reason where whoever wrote the message went away.
pub const CUT_OFF: &str = "cut-off";

/// The reason where what was written is no message.
pub const MALFORMED: &str = "malformed";

/// Takes the dot away that ends a message in a regular file: a last line with nothing else on it.
pub fn without_ending_dot(message: &mut Vec<u8>) {
    let text = message.strip_suffix(b"\n").unwrap_or(message);
    let returns = text.iter().rev().take_while(|&&octet| octet == b'\r');
    let (text, _) = text.split_at(text.len() - returns.count());
    let end = match text.strip_suffix(b".") {
        Some([]) => 0,
        Some(before) if before.ends_with(b"\n") => before.len(),
        _ => message.len(),
    };
    message.truncate(end);
}

/// Turns octets as they come into body lines that end in CRLF.
///
/// A line is what stands between two LFs. CRs right before the LF belong to the line end; any other
/// CR is a line break of its own, since it must not reach the server bare. Over the limit it goes on
/// counting and keeps nothing.
pub(super) struct Lines<'a> {
    dots: DotRule,
    place: Place,
    /// CRs of which only the next octet can tell what they are.
    returns: usize,
    body: Gathering<'a>,
    size: u64,
    size_max: u64,
    nul: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Nothing of the line was seen.
    Start,
    /// A dot at the start, not yet written.
    Dot,
    /// A whole line with a lone dot in a regular file, not yet written: the last line or text.
    DotLine,
    /// Within text.
    Inside,
    /// After the dot that ends a message.
    End,
}

/// A body that was read.
pub(super) struct Gathered {
    pub(super) body: Body,
    /// Octets of the whole message.
    pub(super) size: u64,
    pub(super) nul: u64,
    /// Why a large body is in memory though there should be another place.
    pub(super) in_memory: Option<Failure>,
}

impl<'a> Lines<'a> {
    /// Begins a body after `size` octets of header, in a message of at most `size_max`.
    pub(super) fn new(
        dots: DotRule,
        size: u64,
        size_max: u64,
        annex: Option<OpenAnnex<'a>>,
    ) -> Lines<'a> {
        Lines {
            dots,
            place: Place::Start,
            returns: 0,
            body: Gathering::new(annex),
            size,
            size_max,
            nul: 0,
        }
    }

    /// Takes a chunk; an answer below its length means that the message ended there.
    pub(super) fn take(&mut self, chunk: &[u8]) -> usize {
        let mut rest = chunk;
        while self.place != Place::End && !rest.is_empty() {
            if self.place == Place::Inside && self.returns == 0 {
                let special = |octet: &u8| matches!(octet, 0 | b'\r' | b'\n');
                let plain = rest.iter().position(special).unwrap_or(rest.len());
                let (text, after) = rest.split_at(plain);
                self.write(text);
                rest = after;
            }
            if let Some((&octet, after)) = rest.split_first() {
                self.octet(octet);
                rest = after;
            }
        }
        chunk.len() - rest.len()
    }

    /// Whether the ending dot was seen.
    pub(super) fn ended(&self) -> bool {
        self.place == Place::End
    }

    /// Ends the last line.
    pub(super) fn finish(mut self) -> Result<Gathered, Failure> {
        // A dot still held back is the last line, with or without its line end.
        match self.place {
            Place::Start if self.returns == 0 => {}
            Place::Start | Place::Inside => self.write(b"\r\n"),
            Place::Dot | Place::DotLine | Place::End => {}
        }
        let (body, in_memory) = self.body.finish()?;
        Ok(Gathered {
            body,
            size: self.size,
            nul: self.nul,
            in_memory,
        })
    }

    fn octet(&mut self, octet: u8) {
        if self.place == Place::DotLine && octet != 0 {
            self.write(b".\r\n");
            self.place = Place::Start;
        }
        match octet {
            0 => self.nul += 1,
            b'\r' => self.returns += 1,
            b'\n' => self.line_end(),
            b'.' if self.place == Place::Start
                && self.returns == 0
                && self.dots != DotRule::Text =>
            {
                self.place = Place::Dot;
            }
            b'.' if self.place == Place::Dot && self.returns == 0 && self.dots.doubled() => {
                self.place = Place::Inside;
                self.write(b".");
            }
            _ => self.text(octet),
        }
    }

    fn text(&mut self, octet: u8) {
        if self.place == Place::Dot {
            self.write(b".");
        }
        for _ in 0..std::mem::take(&mut self.returns) {
            self.write(b"\r\n");
        }
        self.place = Place::Inside;
        self.write(&[octet]);
    }

    fn line_end(&mut self) {
        self.returns = 0;
        self.place = match (self.place, self.dots) {
            (Place::Dot, DotRule::Ends { regular_file: true }) => Place::DotLine,
            (Place::Dot, _) => Place::End,
            _ => {
                self.write(b"\r\n");
                Place::Start
            }
        };
    }

    fn write(&mut self, octets: &[u8]) {
        self.size = self.size.saturating_add(octets.len() as u64);
        if self.size <= self.size_max {
            self.body.push(octets);
        } else {
            self.body.discard();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: DotRule = DotRule::Text;
    const PIPE: DotRule = DotRule::Ends {
        regular_file: false,
    };
    const FILE: DotRule = DotRule::Ends { regular_file: true };

    /// The body and what was left, with every way to cut the input in two.
    fn body(dots: DotRule, input: &str) -> (String, String) {
        let mut answers: Vec<(String, String)> = (0..=input.len())
            .map(|cut| {
                let mut lines = Lines::new(dots, 0, u64::MAX, None);
                let (one, two) = input.as_bytes().split_at(cut);
                let used = lines.take(one);
                let used = used + lines.take(two);
                let rest = String::from_utf8(input.as_bytes()[used..].to_vec()).unwrap();
                let body = lines.finish().unwrap().body;
                (String::from_utf8(body.to_vec()).unwrap(), rest)
            })
            .collect();
        answers.dedup();
        assert_eq!(answers.len(), 1, "{input:?}: {answers:?}");
        answers.remove(0)
    }

    #[test]
    fn the_dot_that_ends_a_file_is_taken_away_and_no_other() {
        for (message, left) in [
            ("a\n.\n", "a\n"),
            ("a\n.\r\n", "a\n"),
            ("a\n.", "a\n"),
            ("a\n.\r\r", "a\n"),
            (".\n", ""),
            (".", ""),
            ("a\n.\nb\n", "a\n.\nb\n"),
            ("a\n.\n\n", "a\n.\n\n"),
            ("a.\n", "a.\n"),
            ("a\n..\n", "a\n..\n"),
            ("a\n", "a\n"),
            ("", ""),
        ] {
            let mut octets = message.as_bytes().to_vec();
            without_ending_dot(&mut octets);
            assert_eq!(octets, left.as_bytes(), "{message:?}");
        }
    }

    #[test]
    fn every_line_end_becomes_crlf_and_no_line_is_lost() {
        let rows = [
            ("", ""),
            ("a", "a\r\n"),
            ("a\n", "a\r\n"),
            ("a\r\n\nb\r\r\nc", "a\r\n\r\nb\r\nc\r\n"),
            ("10%\r20%\r30%\n", "10%\r\n20%\r\n30%\r\n"),
            ("a\r\rb\n", "a\r\n\r\nb\r\n"),
            ("a\r", "a\r\n"),
            ("\r", "\r\n"),
            ("\n", "\r\n"),
            ("a\0b\r\0\n\0c\n", "ab\r\nc\r\n"),
            ("\0", ""),
        ];
        for (input, output) in rows {
            for dots in [TEXT, PIPE, FILE] {
                assert_eq!(body(dots, input).0, output, "{input:?} {dots:?}");
            }
        }
    }

    #[test]
    fn dots_mean_what_the_kind_of_input_says() {
        let rows = [
            // input, with -i, pipe, what is left of the pipe, regular file
            ("a\n.\nb\n", "a|.|b|", "a|", "b\n", "a|.|b|"),
            ("a\n.\r\nb\n", "a|.|b|", "a|", "b\n", "a|.|b|"),
            ("a\n\0.\0\nb\n", "a|.|b|", "a|", "b\n", "a|.|b|"),
            ("a\n.\n", "a|.|", "a|", "", "a|"),
            ("a\n.", "a|.|", "a|", "", "a|"),
            ("a\n.\r", "a|.|", "a|", "", "a|"),
            (".\n.\n.\n", ".|.|.|", "", ".\n.\n", ".|.|"),
            (".\n\n", ".||", "", "\n", ".||"),
            ("..x\n", "..x|", ".x|", "", "..x|"),
            ("..\n", "..|", ".|", "", "..|"),
            ("...\n", "...|", "..|", "", "...|"),
            ("..", "..|", ".|", "", "..|"),
            (".x\n", ".x|", ".x|", "", ".x|"),
            (" .\n", " .|", " .|", "", " .|"),
            ("a.\n", "a.|", "a.|", "", "a.|"),
            // Not lone: the CR before or after the dot is a break within one line.
            ("a\r.\r\nb\n", "a|.|b|", "a|.|b|", "", "a|.|b|"),
            ("\r.\nb\n", "|.|b|", "|.|b|", "", "|.|b|"),
            (".\r.\nb\n", ".|.|b|", ".|.|b|", "", ".|.|b|"),
            (".\rx\n", ".|x|", ".|x|", "", ".|x|"),
        ];
        for (input, text, pipe, left, file) in rows {
            let seen = |dots| {
                let (body, left) = body(dots, input);
                (body.replace("\r\n", "|"), left)
            };
            assert_eq!(seen(TEXT), (text.to_owned(), String::new()), "{input:?} -i");
            assert_eq!(
                seen(PIPE),
                (pipe.to_owned(), left.to_owned()),
                "{input:?} pipe"
            );
            assert_eq!(
                seen(FILE),
                (file.to_owned(), String::new()),
                "{input:?} file"
            );
        }
    }

    #[test]
    fn over_the_limit_nothing_is_kept_and_everything_is_counted() {
        let mut lines = Lines::new(TEXT, 10, 1000, None);
        for _ in 0..1000 {
            lines.take(b"0123456789\n");
            assert!(lines.body.in_memory() < 1000);
        }
        let Gathered { body, size, .. } = lines.finish().unwrap();
        assert_eq!((body.len(), size), (0, 12_010));
    }
}
