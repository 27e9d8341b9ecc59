//! Submission: one connection to the server, one message over it, a verdict per recipient. And
//! `stdio`, the other side of the dialogue, for local callers.
//!
//! ```text
//! connect ─► wire ─► reply ─► dialogue ─► causes
//!  (edge)   (edge)   lines    commands    Microsoft's texts
//!     │
//!     └──── session (edge) ──── body, broken
//! ```
//!
//! lettre supplies words of SMTP and is named nowhere else; the connection is our own.

pub mod body;
mod broken;
pub mod causes;
mod connect;
mod dialogue;
mod probe;
mod reach;
pub mod reply;
mod session;
pub mod stdio;
mod wire;

pub use broken::interrupted;
pub use probe::{addresses, handshake};
pub use session::{Flight, Introduction, Session};

use crate::mail::dsn::Dsn;
use crate::outcome::Failure;
use crate::sys::secret::Secret;
use crate::sys::signal::Signals;
use std::time::Duration;

/// A path as it stands between `<` and `>`; its maker saw to it that it cannot break a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    pub text: String,
    /// It holds more than ASCII and needs SMTPUTF8 (RFC 6531).
    pub utf8: bool,
}

/// Who sends to whom.
#[derive(Debug, Clone, Copy)]
pub struct Envelope<'a> {
    /// None is the null sender `<>`.
    pub sender: Option<&'a Path>,
    pub recipients: &'a [Path],
    /// Wishes that are told to a server which offers DSN, and to no other.
    pub dsn: &'a Dsn,
}

/// What a server offers, as far as it decides how a message is prepared for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Offered {
    /// 8BITMIME (RFC 6152).
    pub eight_bit_mime: bool,
    /// DSN (RFC 3461).
    pub dsn: bool,
    /// SMTPUTF8 (RFC 6531).
    pub smtputf8: bool,
    /// Most octets of a message (SIZE, RFC 1870); none if the server names no limit.
    pub size_max: Option<u64>,
}

/// The message as it is to travel: lines that end in CRLF, dots not yet doubled.
#[derive(Debug, Clone, Copy)]
pub struct Content<'a> {
    /// Without the empty line that ends it.
    pub header: &'a [u8],
    pub body: &'a [u8],
    /// There are octets above 127.
    pub eight_bit: bool,
    /// The header holds UTF-8 where RFC 5322 wants ASCII (RFC 6532).
    pub utf8_header: bool,
}

/// Where mail is submitted and how it is reached.
#[derive(Debug, Clone)]
pub struct Server {
    pub host: String,
    pub port: u16,
    /// Our own name, for EHLO.
    pub hello: String,
    /// HTTP proxy that is asked to CONNECT.
    pub proxy: Option<(String, u16)>,
}

/// Who signs in.
#[derive(Clone, Copy)]
pub struct Credentials<'a> {
    pub user: &'a str,
    pub token: &'a Secret,
}

/// How long each stage may take as a whole, what ends it before, and the length of an AUTH line.
#[derive(Debug, Clone)]
pub struct Limits {
    pub dns: Duration,
    /// Over all addresses, and once more for the answer of a proxy.
    pub connect: Duration,
    /// What an address gets before the next one is tried beside it.
    pub head_start: Duration,
    pub greeting: Duration,
    pub ehlo: Duration,
    pub starttls: Duration,
    pub tls: Duration,
    pub auth: Duration,
    /// MAIL and the RCPT of one flight; each command alone where there is no PIPELINING.
    pub mail: Duration,
    pub data: Duration,
    /// Without any progress.
    pub body: Duration,
    /// RFC 5321 section 4.5.3.2.6.
    pub end: Duration,
    /// For all waits together, from the connection to the end of the message, where another one can
    /// send it later; none lets every stage take its time.
    pub patience: Option<Duration>,
    /// What is left of the wait for the reply to the message when a signal asks for the end.
    pub grace: Duration,
    /// Who notes such a signal; before the end of the message it ends every wait.
    pub signals: Option<Signals>,
    /// Octets of an AUTH line with initial response; a longer one is sent in two steps.
    pub auth_line: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            dns: Duration::from_secs(10),
            connect: Duration::from_secs(15),
            head_start: Duration::from_millis(300),
            greeting: Duration::from_secs(60),
            ehlo: Duration::from_secs(30),
            starttls: Duration::from_secs(30),
            tls: Duration::from_secs(30),
            auth: Duration::from_secs(30),
            mail: Duration::from_secs(60),
            data: Duration::from_secs(60),
            body: Duration::from_secs(30),
            end: Duration::from_secs(600),
            patience: None,
            grace: Duration::from_secs(10),
            signals: None,
            auth_line: 8192,
        }
    }
}

impl Limits {
    /// Whether a signal asked for the end.
    pub(crate) fn interrupted(&self) -> bool {
        self.signals
            .is_some_and(|signals| signals.taken().is_some())
    }
}

/// Who said a line of the dialogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Sent,
    Received,
    /// Nobody: a word on the connection itself, such as the TLS that was agreed on.
    Noted,
}

/// How a message is handed over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Manner {
    /// Whoever is taken gets the message; else it goes to all or to nobody.
    pub partial: bool,
    /// Another message follows on the same session, so QUIT waits.
    pub more: bool,
}

/// Takes every line of the dialogue: printable, secrets replaced by their size.
pub type Watch<'a> = dyn FnMut(Direction, &str) + 'a;

/// Why nobody was signed in.
#[derive(Debug)]
pub struct Rejection {
    pub failure: Failure,
    /// The server may have refused the token itself: one forced refresh and a new connection help,
    /// or nothing does.
    pub token_refused: bool,
}

/// The server has taken the message over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// One for each recipient, in their order; all accepted unless the manner allows others.
    pub verdicts: Vec<Verdict>,
    /// The server's last reply, code first; octets from outside.
    pub reply: String,
    /// The id the server gave the message, angle brackets included.
    pub message_id: Option<String>,
    /// The name by which the server introduced itself inside TLS.
    pub peer: String,
}

/// What the server said to one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Accepted,
    /// Not now, with the reply.
    Deferred(String),
    /// Never, with the reply.
    Rejected(String),
}

/// The message was sent to nobody, or nobody can say (`Fate::Unsure`).
#[derive(Debug)]
pub struct Refusal {
    pub failure: Failure,
    /// One for each recipient, in their order, if all of them were judged; else empty.
    pub verdicts: Vec<Verdict>,
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Refusal {
        Refusal {
            failure,
            verdicts: Vec::new(),
        }
    }
}

impl From<Failure> for Rejection {
    fn from(failure: Failure) -> Rejection {
        Rejection {
            failure,
            token_refused: false,
        }
    }
}
