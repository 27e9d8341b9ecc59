//! What was typed, before it is known whether it makes sense, and how each option notes its wish.

use super::{Delivery, Invocation, QueueFilter, QueuePart, QueueRun, Submission, misuse, shown};
use crate::mail::dsn::{Envid, Notify, Ret};
use crate::outcome::Failure;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// The wishes of one call of the sendmail interface.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Wishes {
    /// What a run of the queue is limited to.
    pub(super) run: QueueRun,
    pub(super) submission: Submission,
    pub(super) mode: Mode,
    /// `--dry-run`.
    pub(super) dry_run: bool,
    /// `--json`.
    pub(super) json: bool,
    /// `-d0.1`.
    pub(super) asks_version: bool,
    /// An answer that makes the rest of the words meaningless: `--help`, `--version`.
    pub(super) answer: Option<Invocation>,
}

/// What to do; the last option that says so wins.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) enum Mode {
    #[default]
    Deliver,
    /// The only other mode that takes addresses.
    Verify,
    Aliases,
    Check,
    List,
    Count,
    Serve,
    Run,
    Version,
    Nothing,
    /// Started by a unit for one connection.
    Attend,
}

/// A mode, or why it will never be there.
pub(super) type Offered = Result<Mode, &'static str>;

pub(super) const DAEMON: Offered = Err(
    "there is no daemon: each call sends its message while the caller waits, and \
     sendmail365-queue.timer runs the queue",
);
pub(super) const RULES: Offered = Err("there are no rewriting rules to test");

pub(super) fn from_header(w: &mut Wishes) {
    w.submission.recipients_from_header = true;
}

pub(super) fn dot_is_text(w: &mut Wishes) {
    w.submission.dot_is_text = true;
}

pub(super) fn verbose(w: &mut Wishes) {
    w.submission.verbose = true;
}

pub(super) fn no_aliases(w: &mut Wishes) {
    w.submission.no_aliases = true;
}

pub(super) fn sender(w: &mut Wishes, value: OsString) -> Result<(), Failure> {
    w.submission.sender = Some(value);
    w.submission.sender_from_header = false;
    Ok(())
}

pub(super) fn sender_from_header(w: &mut Wishes) {
    w.submission.sender = None;
    w.submission.sender_from_header = true;
}

pub(super) fn full_name(w: &mut Wishes, value: OsString) -> Result<(), Failure> {
    w.submission.full_name = Some(value);
    Ok(())
}

pub(super) fn config(w: &mut Wishes, value: OsString) -> Result<(), Failure> {
    w.submission.config = Some(value.into());
    Ok(())
}

pub(super) fn help(w: &mut Wishes) {
    w.answer = Some(Invocation::Help);
}

pub(super) fn version(w: &mut Wishes) {
    w.answer = Some(Invocation::Version);
}

pub(super) fn value_ignored(_: &mut Wishes, _: OsString) -> Result<(), Failure> {
    Ok(())
}

pub(super) fn glued_ignored(_: &mut Wishes, _: Option<OsString>) -> Result<(), Failure> {
    Ok(())
}

pub(super) fn debug_file(w: &mut Wishes, value: OsString) -> Result<(), Failure> {
    note(w, "-D", &value);
    Ok(())
}

pub(super) fn traffic_file(w: &mut Wishes, value: OsString) -> Result<(), Failure> {
    note(w, "-X", &value);
    Ok(())
}

/// Busybox takes a user's name and password as `-au` and `-ap`: the value is not for the log.
pub(super) fn account(w: &mut Wishes, _: OsString) -> Result<(), Failure> {
    note(w, "-a", OsStr::new(""));
    Ok(())
}

pub(super) fn body(w: &mut Wishes, value: OsString) -> Result<(), Failure> {
    // The body itself tells its type.
    if !["7BIT", "8BITMIME"]
        .iter()
        .any(|known| value.eq_ignore_ascii_case(known))
    {
        note(w, "-B", &value);
    }
    Ok(())
}

pub(super) fn notify(w: &mut Wishes, value: OsString) -> Result<(), Failure> {
    match value.to_str().and_then(Notify::parse) {
        Some(notify) => w.submission.dsn.notify = Some(notify),
        None => note(w, "-N", &value),
    }
    Ok(())
}

pub(super) fn ret(w: &mut Wishes, value: OsString) -> Result<(), Failure> {
    match value.to_str().and_then(Ret::parse) {
        Some(ret) => w.submission.dsn.ret = Some(ret),
        None => note(w, "-R", &value),
    }
    Ok(())
}

pub(super) fn envid(w: &mut Wishes, value: OsString) -> Result<(), Failure> {
    match value.to_str().and_then(Envid::parse) {
        Some(envid) => w.submission.dsn.envid = Some(envid),
        None => note(w, "-V", &value),
    }
    Ok(())
}

/// `-o` and a letter, the value glued to it: `-odb`, `-oi`, `-oA/etc/aliases`.
pub(super) fn short_o(w: &mut Wishes, word: OsString) -> Result<(), Failure> {
    match word.as_bytes() {
        [b'i', value @ ..] => ignore_dots(w, value),
        [b'd', value @ ..] => delivery(w, value),
        [b'e', value @ ..] => error_mode(w, value),
        // Names of a file or a directory, which is never touched.
        [b'A' | b'Q', ..] => note(w, "-o", &word),
        _ => (),
    }
    Ok(())
}

/// `-O` and a name: `-ODeliveryMode=b`.
pub(super) fn long_o(w: &mut Wishes, word: OsString) -> Result<(), Failure> {
    let octets = word.as_bytes();
    let end = octets
        .iter()
        .position(|&octet| octet == b'=')
        .unwrap_or(octets.len());
    let (name, value) = (&octets[..end], octets.get(end + 1..).unwrap_or_default());
    match name.to_ascii_lowercase().as_slice() {
        b"ignoredots" => ignore_dots(w, value),
        b"deliverymode" => delivery(w, value),
        b"errormode" => error_mode(w, value),
        _ => note(w, "-O", &word),
    }
    Ok(())
}

pub(super) fn errors(w: &mut Wishes, value: OsString) -> Result<(), Failure> {
    error_mode(w, value.as_bytes());
    Ok(())
}

/// sendmail takes a boolean by its first letter, and no value for true.
fn ignore_dots(w: &mut Wishes, value: &[u8]) {
    w.submission.dot_is_text = !matches!(value.first(), Some(b'f' | b'F' | b'n' | b'N'));
}

fn delivery(w: &mut Wishes, value: &[u8]) {
    w.submission.delivery = match value.first() {
        Some(b'i' | b'f') => Delivery::Now,
        Some(b'b') => Delivery::Background,
        Some(b'q' | b'd') => Delivery::QueueOnly,
        _ => return note(w, "-od", OsStr::from_bytes(value)),
    };
}

fn error_mode(w: &mut Wishes, value: &[u8]) {
    w.submission.quiet = value.first() == Some(&b'q');
    w.submission.errors_only = true;
}

pub(super) fn debug(w: &mut Wishes, level: Option<OsString>) -> Result<(), Failure> {
    w.asks_version |= level.is_some_and(|level| level == "0.1");
    Ok(())
}

/// `-q`, `-qf`, `-q15m`, `-qIid`, `-q!Rpart`.
pub(super) fn run_queue(w: &mut Wishes, what: Option<OsString>) -> Result<(), Failure> {
    w.mode = Mode::Run;
    let what = what.unwrap_or_default();
    let unknown = || misuse(format!("unknown queue run -q{}", shown(&what)));
    match what.as_bytes() {
        [] => {}
        b"f" => w.run.at_once = true,
        [b'0'..=b'9', rest @ ..] => {
            let time = |octet: &u8| octet.is_ascii_digit() || b"smhdw".contains(octet);
            if !rest.iter().all(time) {
                return Err(unknown());
            }
            note(w, "-q", &what);
        }
        octets => {
            let (negated, octets) = match octets {
                [b'!', rest @ ..] => (true, rest),
                _ => (false, octets),
            };
            let (part, text) = match octets {
                [b'I', text @ ..] => (QueuePart::Id, text),
                [b'R', text @ ..] => (QueuePart::Recipient, text),
                [b'S', text @ ..] => (QueuePart::Sender, text),
                _ => return Err(unknown()),
            };
            if text.is_empty() {
                return Err(unknown());
            }
            let text = String::from_utf8_lossy(text).into_owned();
            w.run.filters.push(QueueFilter {
                part,
                text,
                negated,
            });
        }
    }
    Ok(())
}

pub(super) fn quarantine(_: &mut Wishes, _: Option<OsString>) -> Result<(), Failure> {
    Err(misuse("option -Q is not possible").because("there is no quarantine"))
}

/// Remembers for the log what has no effect. A caller with a million of them does not fill the log.
fn note(w: &mut Wishes, option: &str, value: &OsStr) {
    const NOTES_MAX: usize = 16;
    if w.submission.notes.len() < NOTES_MAX {
        let text = format!("{option} {}", shown(value));
        w.submission.notes.push(text.trim_end().to_owned());
    }
}
