//! What the caller typed: argv in, one invocation out.
//!
//! Nothing is opened and nothing resolved in here, so help and version work whatever is broken
//! elsewhere. Values are handed on as they were given: what an address is, or how long a name may
//! be, is decided where it is used.

mod commands;
mod help;
mod options;
mod parse;
mod wishes;

use crate::mail::dsn::Dsn;
use crate::outcome::{Class, Failure, Stage, printable};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

pub use help::{help, usage, version};
pub use parse::parse;

/// One call of the program.
#[derive(Debug)]
pub struct Invoked {
    /// The name that stands before each message: the last part of argv\[0\], escaped.
    pub program: String,
    /// What is asked for.
    pub invocation: Result<Invocation, Failure>,
    /// The caller may be writing a message, in words that are not understood too: standard input
    /// has to be read to its end before the program exits, or a caller that is killed by SIGPIPE
    /// never learns the reason.
    pub drain: bool,
    /// Nothing is to be said on standard error of a message that fails, or of words that cannot be
    /// understood (`-oeq`, as far as it was seen before them).
    pub quiet: bool,
}

/// What a call asks for, one variant a job.
#[derive(Debug, PartialEq)]
pub enum Invocation {
    /// Send the message on standard input.
    Submit(Submission),
    /// Show what would become of the message on standard input (`--dry-run`).
    Preview(Submission),
    /// Show what becomes of the addresses (`-bv`).
    Verify(Submission),
    /// Check the aliases file (`-bi`, `newaliases`).
    Aliases { config: Option<PathBuf> },
    /// Check settings, aliases and the stored sign-in (`-bC`).
    Check { config: Option<PathBuf> },
    /// Work the queue off once (`-q`).
    RunQueue(QueueRun),
    /// Speak SMTP on standard input and output (`-bs`); what the options say holds for each message.
    Serve(Submission),
    /// Take one message from the socket on standard input (`--socket`).
    Attend,
    /// Print the help on standard output.
    Help,
    /// Print the version on standard output.
    Version,
    /// Exit 0 without output (`-bh`, `-bH`).
    Nothing,
    /// Sign in.
    Login(Login),
    /// Explain a code, a reply or a line of a log.
    Explain(Explain),
    /// Check everything from the settings to the sender.
    Doctor(Doctor),
    /// Look after the queue (`-bp`, `-bpc`, the verb `queue`).
    Queue(QueueWork),
    /// Show what is configured and stored, and what waits.
    Status { config: Option<PathBuf>, json: bool },
    /// Send a message of our own.
    Test(Trial),
    /// Write the settings.
    Setup(Setup),
}

/// A message to send, as the options describe it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Submission {
    /// The settings to use instead of the host's (`-C`). Privilege has to be gone before it is opened.
    pub config: Option<PathBuf>,
    /// The words after the options, each of them to be read as a To field is.
    pub recipients: Vec<OsString>,
    /// Add the addresses in To, Cc and Bcc (`-t`).
    pub recipients_from_header: bool,
    /// A line with a lone dot is text (`-i`).
    pub dot_is_text: bool,
    /// The envelope sender asked for (`-f`); the empty word and `<>` ask for the null sender.
    pub sender: Option<OsString>,
    /// Take the envelope sender from the From field; never together with `sender`.
    pub sender_from_header: bool,
    /// The display name for a From field that has to be made (`-F`), uncut and unchecked.
    pub full_name: Option<OsString>,
    /// Show the dialogue on standard error (`-v`).
    pub verbose: bool,
    /// Leave local names as they are (`-n`).
    pub no_aliases: bool,
    /// When to send.
    pub delivery: Delivery,
    /// Say nothing on standard error, only in the exit status (`-oeq`).
    pub quiet: bool,
    /// Standard error is for failures (`-oe` with any letter): a caller who asks for that takes any
    /// text there for one, and sends the message again.
    pub errors_only: bool,
    /// What the caller wants to hear of the delivery.
    pub dsn: Dsn,
    /// What was accepted and has no effect, for the log: escaped and cut.
    pub notes: Vec<String>,
}

/// One pass over the queue, and what it is limited to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct QueueRun {
    /// The settings to use instead of the host's (`-C`).
    pub config: Option<PathBuf>,
    /// Also what is not due yet (`-qf`).
    pub at_once: bool,
    /// All of these have to hold.
    pub filters: Vec<QueueFilter>,
    /// Show the dialogue with the server on standard error.
    pub verbose: bool,
    /// Show on a terminal how far it is: asked for by a person, not by a caller of sendmail.
    pub progress: bool,
}

/// `-qI`, `-qR` or `-qS` with a text, with `!` the opposite.
#[derive(Debug, PartialEq, Eq)]
pub struct QueueFilter {
    pub part: QueuePart,
    pub text: String,
    pub negated: bool,
}

/// What a filter looks into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueuePart {
    Id,
    Recipient,
    Sender,
}

/// When the caller wants a message sent (`-od`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Delivery {
    /// Nothing was said.
    #[default]
    Default,
    /// While the caller waits.
    Now,
    /// After the caller has gone.
    Background,
    /// By the next run of the queue.
    QueueOnly,
}

/// The verb `login`.
#[derive(Debug, PartialEq, Eq)]
pub struct Login {
    /// The settings to use instead of the host's (`-C`).
    pub config: Option<PathBuf>,
    pub way: Way,
}

/// How somebody signs in.
#[derive(Debug, PartialEq, Eq)]
pub enum Way {
    /// With a code on another device.
    Device,
    /// With a browser that reaches this host.
    Browser,
    /// With a browser elsewhere, whose last address is pasted.
    Paste,
    /// With the refresh token in this file; `-` is standard input.
    Import(PathBuf),
}

/// The verb `test`.
#[derive(Debug, PartialEq, Eq)]
pub struct Trial {
    /// The settings to use instead of the host's (`-C`).
    pub config: Option<PathBuf>,
    /// To whom.
    pub addresses: Vec<OsString>,
}

/// The verb `setup`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Setup {
    /// The file to write instead of the host's (`-C`).
    pub config: Option<PathBuf>,
    /// Settings that were given, one of each.
    pub given: Vec<Given>,
    /// Ask nothing, even on a terminal.
    pub yes: bool,
    pub no_login: bool,
    pub no_test: bool,
}

/// A value for a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    pub section: &'static str,
    pub key: &'static str,
    /// Not checked yet.
    pub text: String,
}

/// The verb `explain`.
#[derive(Debug, PartialEq, Eq)]
pub struct Explain {
    /// The text, in one word or several; a lone `-` is standard input.
    pub words: Vec<OsString>,
    pub json: bool,
}

/// The verb `doctor`.
#[derive(Debug, PartialEq, Eq)]
pub struct Doctor {
    /// The settings to use instead of the host's (`-C`).
    pub config: Option<PathBuf>,
    /// One JSON object instead of lines.
    pub json: bool,
}

/// Something to be done with the queue other than running it.
#[derive(Debug, PartialEq, Eq)]
pub struct QueueWork {
    /// The settings to use instead of the host's (`-C`).
    pub config: Option<PathBuf>,
    pub job: QueueJob,
}

/// What to do with the queue; an id may be the beginning of one.
#[derive(Debug, PartialEq, Eq)]
pub enum QueueJob {
    /// List what waits, or what failed.
    List {
        failed: bool,
        verbose: bool,
        json: bool,
    },
    /// Print how many wait.
    Count,
    /// Show envelope, state and header of a message.
    Show { id: String, body: bool, json: bool },
    /// Make a message due now.
    Resend { id: String },
    /// Remove a message.
    Drop { id: String },
}

impl Invocation {
    /// The files that the caller named, as he wrote them.
    pub fn named_files(&mut self) -> Vec<&mut PathBuf> {
        let (config, other) = match self {
            Invocation::Submit(wishes)
            | Invocation::Preview(wishes)
            | Invocation::Verify(wishes)
            | Invocation::Serve(wishes) => (&mut wishes.config, None),
            Invocation::Aliases { config }
            | Invocation::Check { config }
            | Invocation::Status { config, .. } => (config, None),
            Invocation::Test(trial) => (&mut trial.config, None),
            Invocation::Setup(wishes) => (&mut wishes.config, None),
            Invocation::RunQueue(wishes) => (&mut wishes.config, None),
            Invocation::Queue(work) => (&mut work.config, None),
            Invocation::Doctor(wishes) => (&mut wishes.config, None),
            Invocation::Login(Login { config, way }) => match way {
                Way::Import(file) => (config, Some(file).filter(|path| path.as_os_str() != "-")),
                _ => (config, None),
            },
            Invocation::Help
            | Invocation::Explain(_)
            | Invocation::Version
            | Invocation::Nothing
            | Invocation::Attend => return Vec::new(),
        };
        config.iter_mut().chain(other).collect()
    }
}

/// A command line that cannot be understood.
fn misuse(what: impl Into<String>) -> Failure {
    Failure::new(Class::Usage, what).at(Stage::Argv)
}

/// A word of the caller's as a message may show it: escaped and cut.
fn shown(word: &OsStr) -> String {
    const CUT: usize = 60;
    let octets = word.as_bytes();
    match octets.get(..CUT) {
        Some(start) if octets.len() > CUT => format!("{}...", printable(start)),
        _ => printable(octets),
    }
}
