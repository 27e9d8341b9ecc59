//! What a job ends in: an outcome, or a failure that says what, why and what to do.

mod id;
mod remedy;

pub use id::QueueId;
pub use remedy::{Actor, Suspect};

use std::fmt;
use std::time::Duration;

/// How a job ended when nothing failed.
#[derive(Debug)]
pub enum Outcome {
    /// Microsoft accepted the message for every recipient.
    Sent,
    /// The message is durably here and will be sent; why it was not sent at once, unless the caller
    /// wanted it so.
    Queued(QueueId, Option<Failure>),
    /// Nobody waits for it any more: some recipients have it, the others were refused for good.
    InPart(Failure),
    /// Another process has done what it could, and this is what it says: exit status, and lines for
    /// standard error.
    HandedOver { status: u8, lines: Vec<String> },
    /// The caller took the message back by this signal; nothing was sent or kept.
    Cancelled(i32),
    /// A job without a message did what was asked.
    Done,
}

/// Exit status of a failure, named as in sysexits.h.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// 64: the command line cannot be understood.
    Usage,
    /// 65: the message or an address in it is wrong.
    Data,
    /// 67: the server knows none of the recipients.
    NoUser,
    /// 69: the server refused for good.
    Unavailable,
    /// 70: a defect of this program, or a part of it that is not there yet.
    Software,
    /// 71: a system call that cannot fail did.
    OsError,
    /// 73: an output file cannot be created.
    CannotCreate,
    /// 74: reading the message failed.
    Io,
    /// 75: nothing was kept here; a later try may work.
    TryAgain,
    /// 76: the dialogue was cut off within a message.
    Protocol,
    /// 77: the caller, or the mailbox, may not do this.
    NoPermission,
    /// 78: the configuration is missing or wrong.
    Config,
}

impl Class {
    /// The exit status.
    pub fn code(self) -> u8 {
        match self {
            Class::Usage => 64,
            Class::Data => 65,
            Class::NoUser => 67,
            Class::Unavailable => 69,
            Class::Software => 70,
            Class::OsError => 71,
            Class::CannotCreate => 73,
            Class::Io => 74,
            Class::TryAgain => 75,
            Class::Protocol => 76,
            Class::NoPermission => 77,
            Class::Config => 78,
        }
    }
}

/// What is to become of the message that a failure stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Back to the caller: trying again would not help.
    Return,
    /// The cause passes by itself: network, busy server, throttling.
    Defer,
    /// Only an administrator can end the cause: credentials, policy, quota.
    Hold,
    /// The reply to the whole message was lost: it may have been accepted.
    Unsure,
}

/// Where on the way of a message something failed; the `stage=` of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Argv,
    Stdin,
    Config,
    Token,
    TokenHttp,
    Dns,
    Connect,
    Greeting,
    Ehlo,
    Starttls,
    Tls,
    Auth,
    Mail,
    Rcpt,
    Data,
    Body,
    End,
    /// A connection slot of this host.
    Slot,
    /// What other processes of this host learnt of the server.
    Breaker,
    /// The rate of this host.
    Pace,
    Queue,
}

impl Stage {
    /// The word that stands in a log line.
    pub fn word(self) -> &'static str {
        match self {
            Stage::Argv => "argv",
            Stage::Stdin => "stdin",
            Stage::Config => "config",
            Stage::Token => "token",
            Stage::TokenHttp => "token-http",
            Stage::Dns => "dns",
            Stage::Connect => "connect",
            Stage::Greeting => "greeting",
            Stage::Ehlo => "ehlo",
            Stage::Starttls => "starttls",
            Stage::Tls => "tls",
            Stage::Auth => "auth",
            Stage::Mail => "mail",
            Stage::Rcpt => "rcpt",
            Stage::Data => "data",
            Stage::Body => "body",
            Stage::End => "end",
            Stage::Slot => "slot",
            Stage::Breaker => "breaker",
            Stage::Pace => "pace",
            Stage::Queue => "queue",
        }
    }
}

/// What went wrong, why, what to do about it, and what becomes of the message.
///
/// The three texts are for an administrator: lower case, no trailing dot, never a secret. They may
/// quote bytes from outside; `lines` and the log escape them.
#[derive(Debug, Clone)]
pub struct Failure(Box<Parts>);

#[derive(Debug, Clone)]
struct Parts {
    class: Class,
    fate: Fate,
    what: String,
    why: Option<String>,
    also: Vec<String>,
    fix: Option<String>,
    stage: Option<Stage>,
    code: Option<String>,
    err: Option<String>,
    os_error: Option<i32>,
    reason: Option<String>,
    retry_after: Option<Duration>,
}

impl Failure {
    /// A failure that goes back to the caller.
    pub fn new(class: Class, what: impl Into<String>) -> Failure {
        Failure::with_fate(class, Fate::Return, what.into())
    }

    /// A failure that passes by itself.
    pub fn defer(what: impl Into<String>) -> Failure {
        Failure::with_fate(Class::TryAgain, Fate::Defer, what.into())
    }

    /// A failure that lasts until an administrator acts.
    pub fn hold(what: impl Into<String>) -> Failure {
        Failure::with_fate(Class::TryAgain, Fate::Hold, what.into())
    }

    /// The server had the whole message and its answer was lost.
    pub fn unsure(what: impl Into<String>) -> Failure {
        Failure::with_fate(Class::TryAgain, Fate::Unsure, what.into())
    }

    fn with_fate(class: Class, fate: Fate, what: String) -> Failure {
        Failure(Box::new(Parts {
            class,
            fate,
            what,
            why: None,
            also: Vec::new(),
            fix: None,
            stage: None,
            code: None,
            err: None,
            os_error: None,
            reason: None,
            retry_after: None,
        }))
    }

    /// Adds the cause.
    pub fn because(mut self, why: impl fmt::Display) -> Failure {
        self.0.why = Some(why.to_string());
        self
    }

    /// Adds the cure.
    pub fn fix(mut self, fix: impl fmt::Display) -> Failure {
        self.0.fix = Some(fix.to_string());
        self
    }

    /// Adds a line on a further fault of the same kind; the cure is for all of them.
    pub fn also(mut self, line: impl fmt::Display) -> Failure {
        self.0.also.push(line.to_string());
        self
    }

    /// The same as a failure of another class that goes back to the caller.
    pub fn as_class(mut self, class: Class) -> Failure {
        self.0.class = class;
        self.0.fate = Fate::Return;
        self
    }

    /// The same where the server may have the message.
    pub fn in_doubt(mut self) -> Failure {
        self.0.fate = Fate::Unsure;
        self
    }

    /// The same cause under what it has brought about here.
    pub fn told_as(mut self, what: &str) -> Failure {
        self.0.what = what.to_owned();
        self
    }

    /// Says where on the way it happened.
    pub fn at(mut self, stage: Stage) -> Failure {
        self.0.stage = Some(stage);
        self
    }

    /// Keeps the server's code for the log: an SMTP reply code, an AADSTS number, an HTTP status.
    pub fn with_code(mut self, code: impl fmt::Display) -> Failure {
        self.0.code = Some(code.to_string());
        self
    }

    /// Keeps the system's error number; the log writes its name.
    pub fn with_os_error(mut self, error: &std::io::Error) -> Failure {
        self.0.os_error = error.raw_os_error();
        self
    }

    /// Keeps an error name for the log that is no system error, such as `NXDOMAIN`.
    pub fn with_err(mut self, err: impl fmt::Display) -> Failure {
        self.0.err = Some(err.to_string());
        self
    }

    /// Keeps a short cause for the log, such as `injected`.
    pub fn with_reason(mut self, reason: impl fmt::Display) -> Failure {
        self.0.reason = Some(reason.to_string());
        self
    }

    /// Keeps how long the other side wants to be left alone.
    pub fn with_retry_after(mut self, wait: Duration) -> Failure {
        self.0.retry_after = Some(wait);
        self
    }

    /// The class, hence the exit status.
    pub fn class(&self) -> Class {
        self.0.class
    }

    /// What becomes of the message.
    pub fn fate(&self) -> Fate {
        self.0.fate
    }

    /// What happened.
    pub fn what(&self) -> &str {
        &self.0.what
    }

    /// The cause, if known.
    pub fn why(&self) -> Option<&str> {
        self.0.why.as_deref()
    }

    /// The cure, if known.
    pub fn cure(&self) -> Option<&str> {
        self.0.fix.as_deref()
    }

    /// Whether the system refused something to this process for lack of rights.
    pub fn denied(&self) -> bool {
        let error = self.os_error().map(std::io::Error::from_raw_os_error);
        error.is_some_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied)
    }

    /// Where it happened, if on the way of a message.
    pub fn stage(&self) -> Option<Stage> {
        self.0.stage
    }

    /// The server's code, if it gave one.
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// The system's error number, if there was one.
    pub fn os_error(&self) -> Option<i32> {
        self.0.os_error
    }

    /// The name of an error that is not the system's, if there was one.
    pub fn err(&self) -> Option<&str> {
        self.0.err.as_deref()
    }

    /// The short cause, if there is one.
    pub fn reason(&self) -> Option<&str> {
        self.0.reason.as_deref()
    }

    /// How long the other side wants to be left alone, if it said so.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// All of it in one line, for a reply or as part of another failure; not escaped yet.
    pub fn one_line(&self) -> String {
        let mut text = self.first();
        for more in self.0.also.iter().chain(&self.0.fix) {
            text.push_str("; ");
            text.push_str(more);
        }
        text
    }

    fn first(&self) -> String {
        match &self.0.why {
            Some(why) => format!("{}: {why}", self.0.what),
            None => self.0.what.clone(),
        }
    }

    /// The lines for stderr, without line ends: what and why, further faults, then the cure.
    pub fn lines(&self, program: &str) -> Vec<String> {
        [&self.first()]
            .into_iter()
            .chain(&self.0.also)
            .chain(&self.0.fix)
            .map(|text| format!("{program}: {}", printable(text.as_bytes())))
            .collect()
    }
}

/// Octets from outside as they may meet a terminal or a log: printable ASCII, `\xNN` for the rest.
///
/// Cut after 500 octets of output, so that a server cannot fill a log with one reply.
pub fn printable(octets: &[u8]) -> String {
    const CUT: usize = 500;
    let mut text = String::new();
    for &octet in octets {
        if text.len() >= CUT {
            text.push_str("...");
            break;
        }
        match octet {
            b' '..=b'~' => text.push(char::from(octet)),
            _ => text.push_str(&format!("\\x{octet:02x}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_two_lines_what_and_why_then_the_cure() {
        let failure = Failure::hold("no access token for a@x.test")
            .because("AADSTS700082: the refresh token has expired")
            .fix("run `sendmail365 login` as root");
        assert_eq!(
            failure.lines("sendmail"),
            [
                "sendmail: no access token for a@x.test: AADSTS700082: the refresh token has expired",
                "sendmail: run `sendmail365 login` as root",
            ]
        );
    }

    #[test]
    fn one_line_holds_all_of_it() {
        let failure = Failure::defer("a").because("b").also("c").fix("d");
        assert_eq!(failure.one_line(), "a: b; c; d");
        assert_eq!(Failure::defer("a").one_line(), "a");
    }

    #[test]
    fn text_from_outside_cannot_add_a_line_or_reach_the_terminal() {
        let failure = Failure::defer("refused").because("\u{1b}[2J\r\nsendmail: all is well\0");
        assert_eq!(
            failure.lines("sendmail"),
            ["sendmail: refused: \\x1b[2J\\x0d\\x0asendmail: all is well\\x00"]
        );
    }

    #[test]
    fn text_from_outside_is_cut() {
        assert_eq!(printable(&[b'a'; 9000]).len(), 503);
    }
}
