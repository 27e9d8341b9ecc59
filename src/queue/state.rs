//! The first line of a queue file: how often and when a message was tried, and why it waits.
//!
//! 512 octets whatever it says, so that it is overwritten in place by one write inside one page. Its
//! own check sum covers it; a line that is damaged costs the count of the attempts, not the mail.

use crate::outcome::{Fate, printable};
use ring::digest::{Context, SHA256};

/// Octets of the line, line end included.
pub(super) const LINE_SIZE: usize = 512;

/// The beginning of a queue file; the digit is the version of the layout.
pub(super) const MAGIC: &str = "SM365Q1 ";

/// Octets before the check sum.
const TEXT_SIZE: usize = LINE_SIZE - SUM_SIZE - 1;

/// Hex digits of a check sum.
pub(super) const SUM_SIZE: usize = 16;

/// Octets kept of the server's last reply.
const REPLY_SIZE: usize = 200;

/// What is known of the attempts. All times are seconds since 1970; 0 is never.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// Attempts begun.
    pub attempts: u32,
    /// Attempts in a row that were begun and came to no end.
    pub open: u32,
    /// When the next attempt is due.
    pub next: u64,
    /// The first attempt.
    pub first: u64,
    /// The last attempt.
    pub last: u64,
    /// Why the message waits.
    pub class: Class,
    /// The last reply or cause; printable ASCII, 200 octets at most.
    pub reply: String,
}

/// Why a message waits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Class {
    /// The cause passes by itself.
    #[default]
    Defer,
    /// An administrator has to act.
    Hold,
    /// It may have been accepted: the reply to the whole message was lost.
    Unsure,
}

impl Class {
    /// The class of a failure; none if the message is not to wait.
    pub fn of(fate: Fate) -> Option<Class> {
        match fate {
            Fate::Return => None,
            Fate::Defer => Some(Class::Defer),
            Fate::Hold => Some(Class::Hold),
            Fate::Unsure => Some(Class::Unsure),
        }
    }

    /// The word in the file, in the log and in lists.
    pub fn word(self) -> &'static str {
        match self {
            Class::Defer => "defer",
            Class::Hold => "hold",
            Class::Unsure => "unsure",
        }
    }

    /// What the log calls a message that comes to wait like this.
    pub fn event(self) -> &'static str {
        match self {
            Class::Defer => "queued",
            Class::Hold => "hold",
            Class::Unsure => "unsure",
        }
    }

    fn from_word(word: &str) -> Option<Class> {
        let all = [Class::Defer, Class::Hold, Class::Unsure];
        all.into_iter().find(|class| class.word() == word)
    }
}

impl State {
    /// A reply as it is kept: escaped and cut.
    pub fn kept_reply(reply: &str) -> String {
        let mut text = printable(reply.as_bytes());
        text.truncate(REPLY_SIZE); // ASCII
        text
    }

    /// The line, exactly `LINE_SIZE` octets.
    pub(super) fn line(&self) -> Vec<u8> {
        let text = format!(
            "{MAGIC}attempts={} open={} next={} first={} last={} class={} reply=\"{}\"",
            self.attempts,
            self.open,
            self.next,
            self.first,
            self.last,
            self.class.word(),
            State::kept_reply(&self.reply)
        );
        let text = format!("{text:<TEXT_SIZE$.TEXT_SIZE$}");
        let sum = sum(&[text.as_bytes()]);
        format!("{text}{sum}\n").into_bytes()
    }

    /// Reads a line back; none if it is damaged.
    pub(super) fn from_line(line: &[u8]) -> Option<State> {
        let line = std::str::from_utf8(line).ok()?.strip_suffix('\n')?;
        let (text, written) = line.split_at_checked(TEXT_SIZE)?;
        if written != sum(&[text.as_bytes()]) {
            return None;
        }
        let mut rest = text.strip_prefix(MAGIC)?;
        Some(State {
            attempts: field(&mut rest, "attempts=")?.parse().ok()?,
            open: field(&mut rest, "open=")?.parse().ok()?,
            next: field(&mut rest, "next=")?.parse().ok()?,
            first: field(&mut rest, "first=")?.parse().ok()?,
            last: field(&mut rest, "last=")?.parse().ok()?,
            class: Class::from_word(field(&mut rest, "class=")?)?,
            reply: rest
                .trim_end_matches(' ')
                .strip_prefix("reply=\"")?
                .strip_suffix('"')?
                .to_owned(),
        })
    }
}

/// The value behind `key`, up to the next space; `rest` goes on after it.
pub(super) fn field<'a>(rest: &mut &'a str, key: &str) -> Option<&'a str> {
    let (value, after) = rest.strip_prefix(key)?.split_once(' ')?;
    *rest = after;
    Some(value)
}

/// First 16 hex digits of SHA-256 over the pieces.
pub(super) fn sum(pieces: &[&[u8]]) -> String {
    let mut context = Context::new(&SHA256);
    for piece in pieces {
        context.update(piece);
    }
    let digest = context.finish();
    let octets = digest.as_ref().iter().take(SUM_SIZE / 2);
    octets.map(|octet| format!("{octet:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn largest() -> State {
        State {
            attempts: u32::MAX,
            open: u32::MAX,
            next: u64::MAX,
            first: u64::MAX,
            last: u64::MAX,
            class: Class::Unsure,
            reply: "\" ".repeat(100),
        }
    }

    #[test]
    fn a_state_comes_back_as_it_was_written() {
        for state in [State::default(), largest()] {
            let line = state.line();
            assert_eq!(line.len(), LINE_SIZE);
            assert_eq!(State::from_line(&line), Some(state));
        }
    }

    #[test]
    fn a_reply_cannot_add_a_line_or_outgrow_its_place() {
        let state = State {
            reply: "550 \r\nR- evil@x.test\u{e9}".repeat(1000),
            ..State::default()
        };
        let line = state.line();
        assert_eq!(line.len(), LINE_SIZE);
        assert_eq!(line.iter().position(|&octet| octet == b'\n'), Some(511));
        let reply = State::from_line(&line).unwrap().reply;
        assert_eq!(reply, State::kept_reply(&state.reply));
        assert!(reply.starts_with("550 \\x0d\\x0aR- evil@x.test\\xc3\\xa9"));
    }

    #[test]
    fn every_flipped_bit_of_the_line_is_noticed() {
        let line = largest().line();
        for place in 0..line.len() {
            for bit in 0..8 {
                let mut damaged = line.clone();
                damaged[place] ^= 1 << bit;
                assert_eq!(State::from_line(&damaged), None, "{place} {bit}");
            }
        }
    }

    #[test]
    fn what_is_to_go_back_does_not_wait() {
        assert_eq!(Class::of(Fate::Return), None);
        assert_eq!(Class::of(Fate::Hold), Some(Class::Hold));
    }
}
