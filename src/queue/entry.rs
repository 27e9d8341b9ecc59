//! A queued message: who handed it in, whose it is, and what became of each recipient.

use super::state::State;

/// A queued message without its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub origin: Origin,
    /// The path as it goes on the wire, without brackets; none is `<>`.
    pub sender: Option<String>,
    /// At least one, in the order of the file; a recipient is known by its place.
    pub recipients: Vec<Recipient>,
    /// What was asked for about delivery status notifications; its words belong to the sender's room.
    pub dsn: Option<String>,
    pub state: State,
}

/// Who handed the message in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    pub uid: u32,
    pub user: String,
    pub pid: u32,
    pub host: String,
    pub via: Via,
}

/// The way a message came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// The caller's own process wrote it.
    Direct,
    /// Another process wrote it for the caller.
    Socket,
    /// SMTP on standard input.
    Stdio,
    /// The queue itself, to tell a sender what became of a message. Never answered by another.
    Notice,
}

/// One recipient and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient {
    /// The path as it goes on the wire, without brackets.
    pub path: String,
    pub mark: Mark,
}

/// What became of a recipient; one octet in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    Pending,
    Done,
    Failed,
}

impl Via {
    /// The word in the file.
    pub fn word(self) -> &'static str {
        match self {
            Via::Direct => "direct",
            Via::Socket => "socket",
            Via::Stdio => "stdio",
            Via::Notice => "notice",
        }
    }

    /// The way that a word names.
    pub(super) fn from_word(word: &str) -> Option<Via> {
        let all = [Via::Direct, Via::Socket, Via::Stdio, Via::Notice];
        all.into_iter().find(|via| via.word() == word)
    }
}

impl Mark {
    /// The octet in the file.
    pub(super) fn octet(self) -> u8 {
        match self {
            Mark::Pending => b'-',
            Mark::Done => b'D',
            Mark::Failed => b'F',
        }
    }

    /// The mark of an octet.
    pub(super) fn from_octet(octet: u8) -> Option<Mark> {
        let all = [Mark::Pending, Mark::Done, Mark::Failed];
        all.into_iter().find(|mark| mark.octet() == octet)
    }
}

impl Recipient {
    /// A recipient to whom nothing was sent yet.
    pub fn pending(path: impl Into<String>) -> Recipient {
        let path = path.into();
        let mark = Mark::Pending;
        Recipient { path, mark }
    }
}

impl Entry {
    /// Recipients with this mark, and their places.
    pub fn marked(&self, mark: Mark) -> impl Iterator<Item = (usize, &Recipient)> {
        let all = self.recipients.iter().enumerate();
        all.filter(move |(_, recipient)| recipient.mark == mark)
    }
}
