//! The octets of a queue file.
//!
//! ```text
//! SM365Q1 attempts=1 ...                             the state, 512 octets, see `state`
//! U uid=33 user=www-data pid=4711 host=h via=direct
//! S sender                                           or `S <>`
//! O text                                             DSN wishes, only if there are some
//! R- address                                         one a line; - pending, D done, F failed
//!
//! the message as it will be sent, CRLF, dots not doubled
//! .SM365 END length sum                              50 octets, at the very end
//! ```
//!
//! Only the state and the second octet of the `R` lines change after the file was written, both in
//! place. The sum covers the version and everything else, with those octets counted as `-`. So a file
//! that is not whole is never taken for one, and a damaged state costs no mail.

use super::entry::{Entry, Mark, Origin, Recipient, Via};
use super::state::{LINE_SIZE, MAGIC, SUM_SIZE, State, field, sum};
use std::ops::Range;

/// Octets of the last line, with the line end that separates it from the message.
const TRAILER_SIZE: usize = TRAILER_START.len() + 20 + 1 + SUM_SIZE + 1;

const TRAILER_START: &str = "\n.SM365 END ";

/// What is wrong with a queue file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// Not one of ours.
    Magic,
    /// Another version of this program wrote it.
    Version,
    /// Its end is missing.
    Truncated,
    /// The check sum is wrong.
    Sum,
    /// Whole, but not as this program writes.
    Form,
    /// Larger than any message can be.
    Size,
}

/// A queue file as it was read: the entry and the message.
#[derive(Debug)]
pub struct Stored {
    pub entry: Entry,
    octets: Vec<u8>,
    message: Range<usize>,
    marks: Vec<u64>,
}

/// What stands around the message in a file.
pub(super) struct Frame {
    pub(super) head: Vec<u8>,
    pub(super) trailer: Vec<u8>,
}

impl Damage {
    /// The short cause for the log.
    pub fn word(self) -> &'static str {
        match self {
            Damage::Truncated | Damage::Sum => "truncated",
            Damage::Magic | Damage::Version | Damage::Form | Damage::Size => "format",
        }
    }
}

impl Entry {
    /// The whole file in one piece, for a small message; `commit` writes it in pieces.
    pub fn encode(&self, message: &[&[u8]]) -> Vec<u8> {
        let frame = self.frame(message);
        let mut octets = frame.head;
        message
            .iter()
            .for_each(|part| octets.extend_from_slice(part));
        octets.extend_from_slice(&frame.trailer);
        octets
    }

    /// What stands before and behind the message.
    pub(super) fn frame(&self, message: &[&[u8]]) -> Frame {
        let lines = self.lines();
        let (masked, _) = masked(lines.as_bytes());
        let mut covered = vec![MAGIC.as_bytes(), &masked];
        covered.extend_from_slice(message);
        let size = lines.len() + message.iter().map(|part| part.len()).sum::<usize>();
        let trailer = trailer(size, &sum(&covered));
        let mut head = self.state.line();
        head.extend_from_slice(lines.as_bytes());
        Frame { head, trailer }
    }

    fn lines(&self) -> String {
        let origin = &self.origin;
        let mut lines = format!(
            "U uid={} user={} pid={} host={} via={}\n",
            origin.uid,
            word(&origin.user),
            origin.pid,
            word(&origin.host),
            origin.via.word()
        );
        let sender = self.sender.as_deref().map_or("<>".to_owned(), escaped);
        lines.push_str(&format!("S {sender}\n"));
        if let Some(dsn) = &self.dsn {
            lines.push_str(&format!("O {}\n", escaped(dsn)));
        }
        for recipient in &self.recipients {
            let mark = char::from(recipient.mark.octet());
            lines.push_str(&format!("R{mark} {}\n", escaped(&recipient.path)));
        }
        lines.push('\n');
        lines
    }
}

impl Stored {
    /// Reads a file.
    ///
    /// A damaged state becomes the state of a message that was never tried; any other damage is an
    /// error.
    pub fn decode(octets: Vec<u8>) -> Result<Stored, Damage> {
        let (mut entry, message, marks) = body_of(&octets)?;
        let line = octets.get(..LINE_SIZE).unwrap_or_default();
        entry.state = State::from_line(line).unwrap_or_default();
        Ok(Stored {
            entry,
            octets,
            message,
            marks,
        })
    }

    /// The message as it will be sent.
    pub fn message(&self) -> &[u8] {
        self.octets.get(self.message.clone()).unwrap_or_default()
    }

    /// The header of the message, without the blank line.
    pub fn header(&self) -> &[u8] {
        let message = self.message();
        message.get(..split(message).0).unwrap_or_default()
    }

    /// The body of the message.
    pub fn body(&self) -> &[u8] {
        let message = self.message();
        message.get(split(message).1..).unwrap_or_default()
    }

    /// Header and body as vectors of their own; the large one is not copied. The message is gone then.
    pub fn take_message(&mut self) -> (Vec<u8>, Vec<u8>) {
        let header = self.header().to_vec();
        let body_start = self.message.start + split(self.message()).1;
        let mut octets = std::mem::take(&mut self.octets);
        octets.truncate(self.message.end);
        octets.drain(..body_start.min(octets.len()));
        self.message = 0..0;
        (header, octets)
    }

    /// Where the mark of a recipient stands in the file.
    pub(super) fn mark_offset(&self, place: usize) -> Option<u64> {
        self.marks.get(place).copied()
    }
}

/// The uid on the `U` line of a file's beginning.
pub(super) fn peek_uid(start: &[u8]) -> Option<u32> {
    let line = start
        .get(LINE_SIZE..)?
        .split(|&octet| octet == b'\n')
        .next()?;
    let mut rest = std::str::from_utf8(line).ok()?;
    field(&mut rest, "U uid=")?.parse().ok()
}

/// The entry without its state, where the message is, and where the marks are.
fn body_of(octets: &[u8]) -> Result<(Entry, Range<usize>, Vec<u64>), Damage> {
    let end = octets.len().checked_sub(TRAILER_SIZE);
    let parts = end.and_then(|end| Some((octets.get(LINE_SIZE..end)?, octets.get(end..)?)));
    let (covered, found) = parts.ok_or_else(|| foreign(octets).unwrap_or(Damage::Truncated))?;
    let lines_end = covered.windows(2).position(|pair| pair == b"\n\n");
    let (lines, message) = covered.split_at(lines_end.map_or(covered.len(), |end| end + 2));
    let (masked, marks) = masked(lines);
    let expected = trailer(covered.len(), &sum(&[MAGIC.as_bytes(), &masked, message]));
    if found != expected {
        let length_end = TRAILER_SIZE - SUM_SIZE - 1;
        let whole = found.get(..length_end) == expected.get(..length_end);
        let damage = if whole {
            Damage::Sum
        } else {
            Damage::Truncated
        };
        return Err(foreign(octets).unwrap_or(damage));
    }
    let entry = std::str::from_utf8(lines).ok().and_then(entry_from);
    let start = LINE_SIZE + lines.len();
    let marks = marks
        .iter()
        .map(|place| (LINE_SIZE + place) as u64)
        .collect();
    let message = start..start + message.len();
    Ok((entry.ok_or(Damage::Form)?, message, marks))
}

/// What a file is that is no whole entry of this version, judged by its beginning.
fn foreign(octets: &[u8]) -> Option<Damage> {
    let magic = MAGIC.as_bytes();
    let (name, version) = magic.split_at(magic.len() - 2);
    let start = octets.get(..magic.len()).unwrap_or(octets);
    if magic.starts_with(start) {
        None
    } else if start.starts_with(name) && !start.ends_with(version) {
        Some(Damage::Version)
    } else {
        Some(Damage::Magic)
    }
}

fn entry_from(lines: &str) -> Option<Entry> {
    let mut lines = lines.strip_suffix("\n\n")?.split('\n').peekable();
    let origin = origin_from(lines.next()?)?;
    let sender = match lines.next()?.strip_prefix("S ")? {
        "<>" => None,
        path => Some(unescaped(path)?),
    };
    let dsn = match lines.peek().and_then(|line| line.strip_prefix("O ")) {
        Some(text) => {
            lines.next();
            Some(unescaped(text)?)
        }
        None => None,
    };
    let recipients: Vec<Recipient> = lines.map(recipient_from).collect::<Option<_>>()?;
    (!recipients.is_empty()).then_some(Entry {
        origin,
        sender,
        recipients,
        dsn,
        state: State::default(),
    })
}

fn origin_from(line: &str) -> Option<Origin> {
    let mut rest = line.strip_prefix("U ")?;
    Some(Origin {
        uid: field(&mut rest, "uid=")?.parse().ok()?,
        user: unescaped(field(&mut rest, "user=")?)?,
        pid: field(&mut rest, "pid=")?.parse().ok()?,
        host: unescaped(field(&mut rest, "host=")?)?,
        via: Via::from_word(rest.strip_prefix("via=")?)?,
    })
}

fn recipient_from(line: &str) -> Option<Recipient> {
    let (mark, path) = line.strip_prefix('R')?.split_once(' ')?;
    let [octet] = mark.as_bytes() else {
        return None;
    };
    Some(Recipient {
        path: unescaped(path)?,
        mark: Mark::from_octet(*octet)?,
    })
}

/// The lines with every mark pending, and the places of the marks.
fn masked(lines: &[u8]) -> (Vec<u8>, Vec<usize>) {
    let mut masked = lines.to_vec();
    let mut marks = Vec::new();
    let mut start = 0;
    for line in lines.split_inclusive(|&octet| octet == b'\n') {
        if line.len() > 2 && line.starts_with(b"R") {
            marks.push(start + 1);
        }
        start += line.len();
    }
    for &mark in &marks {
        if let Some(octet) = masked.get_mut(mark) {
            *octet = Mark::Pending.octet();
        }
    }
    (masked, marks)
}

fn trailer(size: usize, sum: &str) -> Vec<u8> {
    format!("{TRAILER_START}{size:020} {sum}\n").into_bytes()
}

/// Where the header of a message ends, and where its body starts.
fn split(message: &[u8]) -> (usize, usize) {
    if message.starts_with(b"\r\n") {
        return (0, 2);
    }
    match message.windows(4).position(|four| four == b"\r\n\r\n") {
        Some(end) => (end + 2, end + 4),
        None => (message.len(), message.len()),
    }
}

/// Text that has to be one word.
fn word(text: &str) -> String {
    escaped(text).replace(' ', "\\x20")
}

/// Text on one line: `\xNN` for every octet but printable ASCII, and for `<`, because of `<>`.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for octet in text.bytes() {
        match octet {
            b'\\' | b'<' => out.push_str(&format!("\\x{octet:02x}")),
            b' '..=b'~' => out.push(char::from(octet)),
            _ => out.push_str(&format!("\\x{octet:02x}")),
        }
    }
    out
}

fn unescaped(text: &str) -> Option<String> {
    let mut parts = text.split("\\x");
    let mut octets = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (digits, plain) = part.split_at_checked(2)?;
        octets.push(u8::from_str_radix(digits, 16).ok()?);
        octets.extend_from_slice(plain.as_bytes());
    }
    String::from_utf8(octets).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::state::Class;

    const MESSAGE: [&[u8]; 3] = [
        b"Subject: x\r\nTo: a@x.test\r\n",
        b"\r\n",
        b"R- not a mark\r\n\r\n.SM365 END \r\n",
    ];

    fn entry() -> Entry {
        Entry {
            origin: Origin {
                uid: 33,
                user: "www-data".to_owned(),
                pid: 4711,
                host: "h".to_owned(),
                via: Via::Direct,
            },
            sender: Some("alerts@x.test".to_owned()),
            recipients: ["ops@x.test", "R-@x.test"].map(Recipient::pending).into(),
            dsn: Some("RET=HDRS ENVID=7".to_owned()),
            state: State {
                attempts: 3,
                class: Class::Hold,
                reply: "454 try later".to_owned(),
                ..State::default()
            },
        }
    }

    fn xorshift(state: &mut u64) -> u64 {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        *state
    }

    fn text(random: &mut u64) -> String {
        let pieces = [
            "a", " ", "\n", "\r\n", "<>", "<", "\\x20", "\\", "\u{e9}", "\0", "=", "R-", "",
        ];
        let pick = |_| pieces[(xorshift(random) % pieces.len() as u64) as usize];
        (0..6).map(pick).collect()
    }

    #[test]
    fn a_file_can_be_read_by_people() {
        let octets = entry().encode(&MESSAGE);
        let text = std::str::from_utf8(&octets[LINE_SIZE..]).unwrap();
        let lines = "U uid=33 user=www-data pid=4711 host=h via=direct\n\
            S alerts@x.test\nO RET=HDRS ENVID=7\nR- ops@x.test\nR- R-@x.test\n\nSubject: x\r\n";
        assert!(text.starts_with(lines), "{text}");
        assert!(octets.starts_with(b"SM365Q1 attempts=3 "));
    }

    #[test]
    fn header_and_body_come_back_as_they_were_handed_in() {
        let mut stored = Stored::decode(entry().encode(&MESSAGE)).unwrap();
        assert_eq!(stored.entry, entry());
        assert_eq!((stored.header(), stored.body()), (MESSAGE[0], MESSAGE[2]));
        assert_eq!(stored.message(), MESSAGE.concat());
        let taken = stored.take_message();
        assert_eq!(taken, (MESSAGE[0].to_vec(), MESSAGE[2].to_vec()));
        assert!(stored.message().is_empty());
    }

    #[test]
    fn odd_messages_come_back_whole() {
        for message in [
            "",
            "\r\n",
            "\r\nbody",
            "A: b\r\n",
            "A: b\r\n\r\n",
            "\n\n",
            "\n.SM365 END ",
        ] {
            let mut stored = Stored::decode(entry().encode(&[message.as_bytes()])).unwrap();
            assert_eq!(stored.message(), message.as_bytes());
            let (header, body) = stored.take_message();
            assert!(message.as_bytes().starts_with(&header) && message.as_bytes().ends_with(&body));
        }
    }

    #[test]
    fn any_text_comes_back_as_it_was() {
        let mut random = 0x5eed;
        for _ in 0..2000 {
            let mut entry = entry();
            entry.origin.user = text(&mut random);
            entry.origin.host = text(&mut random);
            entry.origin.uid = xorshift(&mut random) as u32;
            entry.sender = (xorshift(&mut random) & 3 > 0).then(|| text(&mut random));
            entry.dsn = (xorshift(&mut random) & 1 > 0).then(|| text(&mut random));
            entry.recipients = (0..=xorshift(&mut random) % 4)
                .map(|_| Recipient::pending(text(&mut random)))
                .collect();
            for recipient in &mut entry.recipients {
                let marks = [Mark::Pending, Mark::Done, Mark::Failed];
                recipient.mark = marks[(xorshift(&mut random) % 3) as usize];
            }
            let octets = entry.encode(&[text(&mut random).as_bytes()]);
            assert_eq!(peek_uid(&octets), Some(entry.origin.uid));
            assert_eq!(Stored::decode(octets).unwrap().entry, entry);
        }
    }

    #[test]
    fn marks_are_where_the_file_says() {
        let mut octets = entry().encode(&MESSAGE);
        let stored = Stored::decode(octets.clone()).unwrap();
        let offset = stored.mark_offset(1).unwrap() as usize;
        octets[offset] = Mark::Done.octet();
        let marked = Stored::decode(octets).unwrap();
        let marks: Vec<Mark> = marked.entry.recipients.iter().map(|r| r.mark).collect();
        assert_eq!(marks, [Mark::Pending, Mark::Done]);
        assert_eq!(stored.mark_offset(2), None);
    }

    #[test]
    fn every_truncation_is_noticed() {
        let octets = entry().encode(&MESSAGE);
        for size in 0..octets.len() {
            let damage = Stored::decode(octets[..size].to_vec()).unwrap_err();
            assert_eq!(damage, Damage::Truncated, "{size}");
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed_and_one_in_the_state_costs_the_state_only() {
        let octets = entry().encode(&MESSAGE);
        for place in 0..octets.len() {
            for bit in 0..8 {
                let mut damaged = octets.clone();
                damaged[place] ^= 1 << bit;
                let read = Stored::decode(damaged);
                if place < LINE_SIZE {
                    let entry = Entry {
                        state: State::default(),
                        ..entry()
                    };
                    assert_eq!(read.unwrap().entry, entry, "{place} {bit}");
                } else {
                    assert!(read.is_err(), "{place} {bit}");
                }
            }
        }
    }

    #[test]
    fn octets_put_in_or_left_out_are_noticed() {
        let octets = entry().encode(&MESSAGE);
        for place in LINE_SIZE..octets.len() {
            let mut longer = octets.clone();
            longer.insert(place, octets[place]);
            let mut shorter = octets.clone();
            shorter.remove(place);
            assert!(Stored::decode(longer).is_err() && Stored::decode(shorter).is_err());
        }
    }

    #[test]
    fn foreign_files_and_other_versions_are_told_from_damage() {
        let damage = |octets: &[u8]| Stored::decode(octets.to_vec()).unwrap_err();
        assert_eq!(damage(b""), Damage::Truncated);
        assert_eq!(damage(b"From root"), Damage::Magic);
        assert_eq!(damage(&[0; 9000]), Damage::Magic);
        let mut newer = entry().encode(&MESSAGE);
        newer[6] = b'2';
        newer.push(b'\n');
        assert_eq!(damage(&newer), Damage::Version);
        let nobody = Entry {
            recipients: Vec::new(),
            ..entry()
        };
        assert_eq!(damage(&nobody.encode(&MESSAGE)), Damage::Form);
    }
}
