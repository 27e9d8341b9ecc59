//! A message as a caller hands it in: the header first, the rest is body.

use super::annex::{Body, OpenAnnex};
use super::body::{DotRule, Gathered, Lines, Source};
use super::header::{Field, Header, blank};
use crate::outcome::{Class, Failure, Stage};
use std::io::BufRead;

/// Most octets of a header.
const HEADER_MAX: usize = 1024 * 1024;

/// Most fields of a header.
const FIELDS_MAX: usize = 10_000;

/// Most octets kept of the line that ended a header.
const JUNK_MAX: usize = 200;

/// A message with its line ends mended: CRLF everywhere, no other CR or LF, no NUL.
#[derive(Debug, Clone, Default)]
pub struct Message {
    pub header: Header,
    /// Lines that end in CRLF, or nothing. Dots are not doubled.
    pub body: Body,
    pub notes: Notes,
    /// Why a large body is in memory though there should be another place.
    pub in_memory: Option<Failure>,
}

/// What was mended, dropped or ignored while reading, for the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notes {
    /// NULs dropped.
    pub nul: u64,
    /// Lines `From ...` of a mailbox file dropped before the header.
    pub from_lines: u64,
    /// Continuation lines without a field before them, dropped.
    pub continuation_lines: u64,
    /// Octets ignored after the dot that ended the message.
    pub drained: u64,
    /// Number, from 1, and beginning of the line that ended the header though it was not blank.
    pub ended_by_junk: Option<(u64, Vec<u8>)>,
    /// Octets read as the message, line ends as they came.
    pub received_bytes: u64,
}

impl Message {
    /// Reads a message of at most `size_max` octets, counted as they go on the wire.
    ///
    /// The input is read to its end in any case: a mailer that stops early kills its caller by
    /// SIGPIPE, and the reason is lost.
    pub fn read(input: impl BufRead, dots: DotRule, size_max: u64) -> Result<Message, Failure> {
        Message::read_with(None, input, dots, size_max)
    }

    /// The same, with another place than memory for a body that is large.
    pub fn read_with(
        annex: Option<OpenAnnex<'_>>,
        input: impl BufRead,
        dots: DotRule,
        size_max: u64,
    ) -> Result<Message, Failure> {
        let mut source = Source::new(input);
        let mut opening = Opening::default();
        if let Err(failure) = opening.read(&mut source, dots) {
            source.drain();
            return Err(failure);
        }
        let Opening {
            header,
            pending,
            mut notes,
            ..
        } = opening;
        let mut lines = Lines::new(dots, header.size() + 2, size_max, annex);
        lines.take(&pending);
        while !lines.ended() && source.next(|chunk| lines.take(chunk))? {}
        notes.received_bytes = source.octets();
        notes.drained = source.drain();
        let Gathered {
            body,
            size,
            nul,
            in_memory,
        } = lines.finish()?;
        notes.nul += nul;
        if size > size_max {
            return Err(too_large(size, size_max));
        }
        Ok(Message {
            header,
            body,
            notes,
            in_memory,
        })
    }

    /// Octets of the whole message on the wire, dots not doubled.
    pub fn size(&self) -> u64 {
        self.header.size() + 2 + self.body.len() as u64
    }
}

/// The header while it is read.
#[derive(Default)]
struct Opening {
    header: Header,
    /// Octets of the header so far.
    size: usize,
    /// Raw lines that were read and belong to the body, or will if no field follows.
    pending: Vec<u8>,
    /// Number of the first of them.
    pending_from: u64,
    line_number: u64,
    notes: Notes,
}

/// What to do after a line.
#[derive(PartialEq, Eq)]
enum Next {
    Line,
    Body,
}

impl Opening {
    fn read(&mut self, source: &mut Source<impl BufRead>, dots: DotRule) -> Result<(), Failure> {
        let mut raw = Vec::new();
        let mut next = Next::Line;
        while next == Next::Line {
            raw.clear();
            source.line(&mut raw, HEADER_MAX + 1)?;
            self.line_number += 1;
            next = match raw.is_empty() {
                true => self.end(),
                false => self.line(&raw, dots)?,
            };
        }
        self.notes.continuation_lines = match self.header.fields().is_empty() {
            // There was no header, hence no continuation of one: it is the text.
            true => 0,
            false => self.notes.continuation_lines,
        };
        Ok(())
    }

    fn line(&mut self, raw: &[u8], dots: DotRule) -> Result<Next, Failure> {
        let raw = match self.line_number {
            1 => without_mark(raw),
            _ => raw,
        };
        let line = cleaned(raw);
        let nul = raw.iter().filter(|&&octet| octet == 0).count() as u64;
        if line == b"." && dots.doubled() {
            // The reader of the body knows what that means.
            return Ok(self.body(raw));
        }
        let text = match line.strip_prefix(b".") {
            Some(text) if text.starts_with(b".") && dots.doubled() => text,
            _ => &line,
        };
        let first = self.header.fields().is_empty();
        let indented = text.first().copied().is_some_and(blank);
        let from_line = first && is_from_line(text);
        // Behind a line that may be text, one that begins with `From ` may be text as well.
        let perhaps_text = first && (indented || from_line && !self.pending.is_empty());
        if text.is_empty() && (!first || self.pending.is_empty()) {
            self.notes.nul += nul;
            return Ok(Next::Body);
        }
        self.size += text.len() + 2;
        if let Some(field) = Field::from_line(text) {
            self.notes.nul += nul;
            self.field(field)
        } else if !first && indented {
            self.notes.nul += nul;
            self.continuation(text)
        } else if perhaps_text && self.size <= HEADER_MAX {
            self.notes.continuation_lines += 1;
            if self.pending.is_empty() {
                self.pending_from = self.line_number;
            }
            self.pending.extend_from_slice(raw);
            Ok(Next::Line)
        } else if from_line && !perhaps_text {
            self.notes.from_lines += 1;
            self.notes.nul += nul;
            // Dropped; what is kept for the body still counts.
            self.size -= text.len() + 2;
            Ok(Next::Line)
        } else {
            Ok(self.junk(raw, text))
        }
    }

    fn field(&mut self, field: Field) -> Result<Next, Failure> {
        if self.header.fields().is_empty() {
            let dropped = self.pending.iter().filter(|&&octet| octet == 0).count();
            self.notes.nul += dropped as u64;
            self.pending = Vec::new();
        }
        self.header.push(field);
        self.within_limits()
    }

    fn continuation(&mut self, text: &[u8]) -> Result<Next, Failure> {
        if let Some(field) = self.header.last_mut() {
            field.continue_with(text);
        }
        self.within_limits()
    }

    fn within_limits(&self) -> Result<Next, Failure> {
        let limit = if self.size > HEADER_MAX {
            format!("over {HEADER_MAX} octets before the first blank line")
        } else if self.header.fields().len() > FIELDS_MAX {
            format!("over {FIELDS_MAX} header fields before the first blank line")
        } else {
            return Ok(Next::Line);
        };
        let failure = Failure::new(Class::Data, "the header of the message is too large")
            .because(limit)
            .fix("put a blank line between the header and the text")
            .at(Stage::Stdin)
            .with_reason("header-size");
        Err(failure)
    }

    fn junk(&mut self, raw: &[u8], text: &[u8]) -> Next {
        let text = text.get(..JUNK_MAX).unwrap_or(text).to_vec();
        self.notes.ended_by_junk = self.indented().or(Some((self.line_number, text)));
        self.body(raw)
    }

    /// The input is over, and no blank line came.
    fn end(&mut self) -> Next {
        self.notes.ended_by_junk = self.indented();
        Next::Body
    }

    /// The line that might have been a continuation, and turned out to be the first of the text.
    fn indented(&self) -> Option<(u64, Vec<u8>)> {
        let first = self
            .pending
            .split_inclusive(|&octet| octet == b'\n')
            .next()?;
        let mut line = cleaned(first);
        line.truncate(JUNK_MAX);
        Some((self.pending_from, line))
    }

    fn body(&mut self, raw: &[u8]) -> Next {
        self.pending.extend_from_slice(raw);
        Next::Body
    }
}

/// A line of the header without NULs and line end; other CRs are blanks.
fn cleaned(raw: &[u8]) -> Vec<u8> {
    let raw = raw.strip_suffix(b"\n").unwrap_or(raw);
    let mut line: Vec<u8> = raw.iter().copied().filter(|&octet| octet != 0).collect();
    while line.last() == Some(&b'\r') {
        line.pop();
    }
    for octet in &mut line {
        if *octet == b'\r' {
            *octet = b' ';
        }
    }
    line
}

/// The first line without the mark of UTF-8 that editors and writers of other systems put before it,
/// where it would hide a header; before a text it stays.
fn without_mark(raw: &[u8]) -> &[u8] {
    const MARK: &[u8] = b"\xef\xbb\xbf";
    let behind = raw.strip_prefix(MARK).filter(|raw| {
        let line = cleaned(raw);
        is_from_line(&line) || Field::from_line(&line).is_some()
    });
    behind.unwrap_or(raw)
}

/// The line that a mailbox file has before each message, quoted or not.
fn is_from_line(line: &[u8]) -> bool {
    let quotes = line.iter().take_while(|&&octet| octet == b'>').count();
    line.get(quotes..)
        .is_some_and(|line| line.starts_with(b"From "))
}

fn too_large(size: u64, size_max: u64) -> Failure {
    Failure::new(Class::Data, "the message is too large")
        .because(format!("it has {size} octets, the limit is {size_max}"))
        .fix("send less, or raise message_size in section [limits] of the configuration")
        .at(Stage::Stdin)
        .with_reason("size")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{self, BufReader, Read};

    const PIPE: DotRule = DotRule::Ends {
        regular_file: false,
    };
    const FILE: DotRule = DotRule::Ends { regular_file: true };

    fn read(input: &[u8], dots: DotRule) -> Message {
        Message::read(input, dots, u64::MAX).unwrap()
    }

    /// Header and body with `|` for CRLF.
    fn parts(input: &str, dots: DotRule) -> (String, String) {
        let message = read(input.as_bytes(), dots);
        let text = |octets| String::from_utf8(octets).unwrap().replace("\r\n", "|");
        (text(message.header.octets()), text(message.body.to_vec()))
    }

    #[test]
    fn the_header_ends_where_the_first_line_is_that_is_no_part_of_it() {
        let rows = [
            ("", "", ""),
            ("A: b\n\nc\n", "A: b|", "c|"),
            ("A: b\r\nB: c\n\r\r\nd\r\n", "A: b|B: c|", "d|"),
            ("A: b\n\n\nc\n", "A: b|", "|c|"),
            ("To : x\n", "To: x|", ""),
            (
                "A: b\nNote this: x\nBcc: v\n",
                "A: b|",
                "Note this: x|Bcc: v|",
            ),
            ("A: b\njunk\nTo: x\n", "A: b|", "junk|To: x|"),
            ("hello world\nTo: x\n", "", "hello world|To: x|"),
            ("\nTo: x\n", "", "To: x|"),
            (" c\n\tc\nA: b\n\nd\n", "A: b|", "d|"),
            ("\u{feff}A: b\r\nB: c\n\nd\n", "A: b|B: c|", "d|"),
            ("\u{feff}From joe Mon Jan 1\nA: b\n", "A: b|", ""),
            ("\u{feff}hello\n", "", "\u{feff}hello|"),
            ("\n\u{feff}A: b\n", "", "\u{feff}A: b|"),
            ("A: b\n\u{feff}B: c\n", "A: b|", "\u{feff}B: c|"),
            ("From joe Mon Jan 1\n>From x\n>>From y\nA: b\n", "A: b|", ""),
            ("From joe\n c\nA: b\n", "A: b|", ""),
            (" c\nFrom joe\nA: b\n", "A: b|", ""),
            ("From joe\n c\nFrom here\nd\n", "", " c|From here|d|"),
            (" c\n\nFrom here\n", "", " c||From here|"),
            ("A: b\nFrom joe\n", "A: b|", "From joe|"),
            ("A: b\nB: c", "A: b|B: c|", ""),
            ("A: b\n c\n\td\nB:\n", "A: b| c|\td|B:|", ""),
            ("A: b\rBcc: v\n\rc\n", "A: b Bcc: v| c|", ""),
            ("A: \0b\r\0\nB\0: c\n\0\nd", "A: b|B: c|", "d|"),
            ("A: b\njunk\rx\n", "A: b|", "junk|x|"),
            ("A: b\rB: c\r\rd\r", "A: b B: c  d|", ""),
            // No header at all: the indented lines are the text.
            ("  indented\nmore\n", "", "  indented|more|"),
            ("  indented\n\nmore\n", "", "  indented||more|"),
            ("  indented", "", "  indented|"),
        ];
        for (input, header, body) in rows {
            for dots in [DotRule::Text, PIPE, FILE] {
                let seen = parts(input, dots);
                assert_eq!(seen, (header.to_owned(), body.to_owned()), "{input:?}");
            }
        }
    }

    #[test]
    fn a_dot_within_the_header_ends_the_message_only_on_a_pipe() {
        let rows = [
            // input, -i, pipe, regular file
            (
                "A: b\n.\nB: c\n",
                "A: b|/.|B: c|",
                "A: b|/",
                "A: b|/.|B: c|",
            ),
            ("A: b\n.\n", "A: b|/.|", "A: b|/", "A: b|/"),
            (".\nB: c\n", "/.|B: c|", "/", "/.|B: c|"),
            ("..A: b\n", "..A: b|/", ".A: b|/", "..A: b|/"),
            ("A: b\n..x\n", "A: b|/..x|", "A: b|/.x|", "A: b|/..x|"),
            (" x\n.\ny\n", "/ x|.|y|", "/ x|", "/ x|.|y|"),
        ];
        for (input, text, pipe, file) in rows {
            let seen = |dots| {
                let (header, body) = parts(input, dots);
                format!("{header}/{body}")
            };
            let all = [seen(DotRule::Text), seen(PIPE), seen(FILE)];
            assert_eq!(all, [text, pipe, file], "{input:?}");
        }
    }

    #[test]
    fn what_was_mended_is_counted() {
        let input = b"From a\n>From b\n c\0\n d\nA: b\0\n\0c: d\njunk line\n\0x\n.\nrest of it";
        let message = read(input, PIPE);
        let notes = Notes {
            nul: 4,
            from_lines: 2,
            continuation_lines: 2,
            drained: 10,
            ended_by_junk: Some((7, b"junk line".to_vec())),
            received_bytes: input.len() as u64 - 10,
        };
        assert_eq!(message.notes, notes);
        assert_eq!(message.body, b"junk line\r\nx\r\n");
        assert_eq!(read(b"A: b\n\nc\n", PIPE).notes.ended_by_junk, None);
        assert_eq!(
            read(b"  no header\n\nc\n", PIPE).notes.continuation_lines,
            0
        );
    }

    #[test]
    fn what_looked_like_a_continuation_is_named_where_it_was_the_text() {
        let rows = [
            ("  To: x\n  y\n\nz\n", Some((1, "  To: x"))),
            ("From a\n  To: x\njunk\n", Some((2, "  To: x"))),
            ("  To: x\r\n", Some((1, "  To: x"))),
            ("  To: x\nA: b\njunk\n", Some((3, "junk"))),
            ("  To: x\nA: b\n\nz\n", None),
            ("\n  To: x\n", None),
        ];
        for (input, named) in rows {
            let named = named.map(|(number, line)| (number, line.as_bytes().to_vec()));
            let seen = read(input.as_bytes(), PIPE).notes.ended_by_junk;
            assert_eq!(seen, named, "{input:?}");
        }
    }

    #[test]
    fn a_dot_that_ends_nothing_says_nothing_of_junk() {
        assert_eq!(read(b"A: b\n.\n", PIPE).notes.ended_by_junk, None);
    }

    #[test]
    fn a_message_over_the_limit_is_read_to_its_end_and_both_sizes_are_named() {
        let mut input = &b"A: b\n\n0123456789\n"[..];
        let failure = Message::read(&mut input, DotRule::Text, 19).unwrap_err();
        assert!(input.is_empty());
        assert_eq!(failure.class(), Class::Data);
        assert_eq!(failure.reason(), Some("size"));
        assert_eq!(failure.why(), Some("it has 20 octets, the limit is 19"));
        let message = Message::read(&b"A: b\n\n0123456789\n"[..], DotRule::Text, 20).unwrap();
        assert_eq!(message.size(), 20);
    }

    #[test]
    fn a_header_over_its_limits_is_refused_after_reading_all() {
        let long = format!("A: b\n{}\nrest", " c\n".repeat(HEADER_MAX / 3));
        let many = format!("{}\nrest", "A: b\n".repeat(FIELDS_MAX + 1));
        let wide = format!("A: {}", "x".repeat(HEADER_MAX));
        for text in [long, many, wide] {
            let mut input = text.as_bytes();
            let failure = Message::read(&mut input, DotRule::Text, u64::MAX).unwrap_err();
            assert!(input.is_empty());
            assert_eq!(failure.class(), Class::Data);
            assert_eq!(failure.stage(), Some(Stage::Stdin));
            assert_eq!(failure.reason(), Some("header-size"));
        }
        let many = format!("{}\nrest", "A: b\n".repeat(FIELDS_MAX));
        assert_eq!(
            read(many.as_bytes(), PIPE).header.fields().len(),
            FIELDS_MAX
        );
    }

    #[test]
    fn a_text_without_line_ends_or_of_empty_lines_arrives_whole() {
        for line in ["x", " ", "\n", "x\n", " x\n", "\r", "."] {
            let text = line.repeat(3 * HEADER_MAX / line.len());
            for dots in [DotRule::Text, FILE] {
                let message = read(text.as_bytes(), dots);
                assert!(message.header.fields().is_empty(), "{line:?}");
                let octets = |text: &[u8]| text.iter().filter(|o| !b"\r\n".contains(o)).count();
                assert_eq!(octets(&message.body), octets(text.as_bytes()), "{line:?}");
            }
        }
    }

    /// Gives its chunks one by one; `None` is an error of that kind.
    struct Chunks(Vec<Result<&'static [u8], io::Error>>);

    impl Read for Chunks {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            assert!(!self.0.is_empty(), "read after the end");
            let chunk = self.0.remove(0)?;
            buffer[..chunk.len()].copy_from_slice(chunk);
            Ok(chunk.len())
        }
    }

    #[test]
    fn an_interrupted_read_goes_on_and_the_end_is_asked_for_once() {
        let interrupted = || Err(io::Error::from_raw_os_error(4));
        let chunks = vec![
            interrupted(),
            Ok(&b"A: b\n\nc"[..]),
            interrupted(),
            Ok(b"d"),
            Ok(b""),
        ];
        let message = Message::read(BufReader::new(Chunks(chunks)), PIPE, 1000).unwrap();
        assert_eq!(message.body, b"cd\r\n");
    }

    #[test]
    fn a_read_error_in_header_or_body_refuses_the_message() {
        for start in [&b"A: b\n"[..], b"A: b\n\nbody"] {
            let chunks = vec![Ok(start), Err(io::Error::from_raw_os_error(5)), Ok(b"")];
            let input = BufReader::new(Chunks(chunks));
            let failure = Message::read(input, PIPE, 1000).unwrap_err();
            assert_eq!(failure.class(), Class::Io);
            assert_eq!(failure.stage(), Some(Stage::Stdin));
            assert_eq!(failure.os_error(), Some(5));
        }
    }

    #[test]
    fn a_body_that_needs_no_mending_is_not_touched() {
        let body = "a\r\n..\r\n.\r\n \t\r\n\r\n\u{f6}\x1b\x7f\r\n";
        let message = read(format!("A: b\r\n\r\n{body}").as_bytes(), DotRule::Text);
        assert_eq!(message.body, body.as_bytes());
    }

    fn xorshift(state: &mut u64) -> u64 {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        *state
    }

    #[test]
    fn no_input_puts_a_bare_cr_or_lf_or_a_nul_on_the_wire() {
        let pieces: [&[u8]; 18] = [
            b"\r",
            b"\n",
            b"\r\n",
            b"\0",
            b".",
            b"..",
            b":",
            b" ",
            b"\t",
            b"A: b",
            b"From ",
            b">",
            b"To",
            b"\n\n",
            b"Bcc: v",
            b"\xff",
            b"\xc3\xb6",
            b"x",
        ];
        let mut state = 0x9e37_79b9_7f4a_7c15;
        for _ in 0..60_000 {
            let mut input = Vec::new();
            for _ in 0..xorshift(&mut state) % 16 {
                input.extend_from_slice(pieces[(xorshift(&mut state) % 18) as usize]);
            }
            for dots in [DotRule::Text, PIPE, FILE] {
                let capacity = 1 + (xorshift(&mut state) % 9) as usize;
                let chunked = BufReader::with_capacity(capacity, &input[..]);
                let message = Message::read(chunked, dots, u64::MAX).unwrap();
                let whole = read(&input, dots);
                assert_eq!(message.body, whole.body, "{input:?}");
                let wire = [&message.header.octets()[..], b"\r\n", &message.body].concat();
                let text = String::from_utf8_lossy(&wire).replace("\r\n", "");
                assert!(!text.contains(['\r', '\n', '\0']), "{input:?}");
                assert!(wire.ends_with(b"\r\n"), "{input:?}");
                assert_eq!(message.size(), wire.len() as u64);
                // Read again, the wire means the same: nothing appears that was not seen here.
                let again = read(&wire, DotRule::Text);
                assert_eq!(again.header, message.header, "{input:?}");
                assert_eq!(again.body, message.body, "{input:?}");
            }
        }
    }

    #[test]
    fn mailbox_lines_between_continuations_do_not_lift_the_limit_on_what_is_kept() {
        let text = [&b" "[..], &b"x".repeat(1000), b"\nFrom y\n"]
            .concat()
            .repeat(3000);
        let mut opening = Opening::default();
        opening
            .read(&mut Source::new(&text[..]), DotRule::Text)
            .unwrap();
        assert!(
            opening.pending.len() < HEADER_MAX + 2000,
            "{}",
            opening.pending.len()
        );
    }
}
