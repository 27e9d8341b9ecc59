//! The story of one message: read, mended, addressed, offered to the server, told truthfully.

mod addressing;
mod content;
mod counter;
mod courier;
mod keep;
mod link;
mod offer;
mod preview;
mod record;

use crate::cli::{Delivery, Submission};
use crate::config::Config;
use crate::mail::address::Address;
use crate::mail::annex::OpenAnnex;
use crate::mail::body::DotRule;
use crate::mail::envelope::{Envelope, Sender};
use crate::mail::message::{Message, Notes};
use crate::mail::repair::{self, Facts, Trace};
use crate::mail::rewrite::{self, Policy};
use crate::outcome::{Failure, Fate, Outcome, QueueId, Stage};
use crate::queue::choice::Choice;
use crate::queue::gate::Who;
use crate::queue::{Caps, Via};
use crate::smtp;
use crate::sys::caller::Caller;
use crate::sys::clock::LocalTime;
use crate::sys::log::{Journal, Level};
use crate::sys::random;
use crate::sys::signal::{INTERRUPT, Signals};
use addressing::{choose_recipients, choose_sender, sender_policy};
use keep::{Kept, is_servers, keep, keep_copy};
use offer::{offer, paths};
use record::{Known, record};
use std::io::BufRead;
use std::os::unix::ffi::OsStrExt;
use std::panic::{self, AssertUnwindSafe};
use std::time::SystemTime;

pub use addressing::LocalNames;
pub use counter::{Counter, farewell};
pub use courier::run_queue;
pub use record::failure_line;

/// What the job knows besides the message.
pub struct Desk<'a> {
    pub config: &'a Config,
    pub caller: &'a Caller,
    pub journal: &'a Journal<'a>,
    pub id: &'a QueueId,
    pub now: SystemTime,
    /// Name of this host, for Received and alias lookups.
    pub host: &'a str,
    /// Whether standard input is a regular file, which ends by itself.
    pub regular_file: bool,
    /// Who notes a signal that asks for the end; armed once a message has been read.
    pub signals: Option<Signals>,
}

impl Desk<'_> {
    /// The signal that asked for the end, if one did.
    fn signal(&self) -> Option<i32> {
        self.signals?.taken()
    }

    fn interrupted(&self) -> bool {
        self.signal().is_some()
    }
}

/// Sends the message on `input` as the options ask, and writes its line to the log.
pub fn submit(
    wishes: &Submission,
    desk: &Desk<'_>,
    input: impl BufRead,
    watch: &mut smtp::Watch<'_>,
) -> Result<Outcome, Failure> {
    let mut known = Known::default();
    for warning in &desk.config.warnings {
        let line = desk.journal.line("config").word("reason", warning.reason);
        desk.journal
            .write(Level::Warning, &line.text("text", &warning.text));
    }
    for note in &wishes.notes {
        desk.journal.write(
            Level::Info,
            &desk.journal.line("ignored").text("reason", note),
        );
    }
    let result = deliver(wishes, desk, input, &mut known, watch);
    record(desk.journal, &known, &result);
    match result? {
        Ended::Sent(_) | Ended::Delivered => Ok(Outcome::Sent),
        Ended::Queued(id, failure) => {
            let unwanted = wishes.delivery != Delivery::QueueOnly;
            Ok(Outcome::Queued(id, unwanted.then_some(failure)))
        }
        Ended::Cancelled(signal) => Ok(Outcome::Cancelled(signal)),
    }
}

/// How a submission ended well.
enum Ended {
    Sent(smtp::Receipt),
    /// In more than one transaction, each with its own line in the log.
    Delivered,
    /// It is ours now; why it was not sent at once.
    Queued(QueueId, Failure),
    /// By a signal from the caller's keyboard, before it was sent.
    Cancelled(i32),
}

/// Does all that `submit` does before it asks for a token, and tells what would be sent and where.
pub fn preview(
    wishes: &Submission,
    desk: &Desk<'_>,
    input: impl BufRead,
) -> Result<String, Failure> {
    let (envelope, message) = prepare(wishes, desk, input, &mut Known::default())?;
    let paths = paths(&envelope)?;
    if !desk.config.queue.enabled {
        paths.in_one_transaction()?;
    }
    Ok(preview::text(&paths, &message, desk.config))
}

fn deliver(
    wishes: &Submission,
    desk: &Desk<'_>,
    input: impl BufRead,
    known: &mut Known,
    watch: &mut smtp::Watch<'_>,
) -> Result<Ended, Failure> {
    let (envelope, message) = prepare(wishes, desk, input, known)?;
    // Until here a signal kills and the caller knows; from here on the message is ours.
    let desk = &Desk {
        signals: Some(Signals::arm()),
        ..*desk
    };
    let paths = paths(&envelope)?;
    let many = paths.in_one_transaction();
    let kept = Kept {
        paths: &paths,
        message: &message,
        wishes: &wishes.dsn,
        via: Via::Direct,
    };
    if wishes.delivery == Delivery::QueueOnly {
        return queue_only(&kept, desk);
    }
    match many {
        Err(failure) if desk.config.queue.enabled => return split(&kept, failure, desk, watch),
        many => many?,
    }
    match offer(&paths, &message, &wishes.dsn, desk, watch) {
        Ok(receipt) => Ok(Ended::Sent(receipt)),
        Err(refusal) if taken_back(&refusal, desk) => Ok(Ended::Cancelled(INTERRUPT)),
        Err(refusal) if desk.config.queue.enabled => not_taken(&kept, refusal, desk, watch),
        Err(refusal) => Err(refusal.failure),
    }
}

/// Whether the caller typed Ctrl-C in time.
fn taken_back(refusal: &smtp::Refusal, desk: &Desk<'_>) -> bool {
    let waits = matches!(refusal.failure.fate(), Fate::Defer | Fate::Hold);
    let somebody_has_it = refusal.verdicts.contains(&smtp::Verdict::Accepted);
    waits && !somebody_has_it && desk.signal() == Some(INTERRUPT)
}

/// `-odq`: not offered to the server now.
fn queue_only(kept: &Kept<'_>, desk: &Desk<'_>) -> Result<Ended, Failure> {
    let failure = Failure::defer("the message was not sent").at(Stage::Queue);
    if desk.config.queue.enabled {
        let id = keep(kept, None, desk)?;
        return Ok(Ended::Queued(
            id,
            failure.because("-odq asks for the queue"),
        ));
    }
    Err(failure
        .because("-odq asks for the queue, and it is switched off")
        .fix("leave out -odq, or set enabled = true under [queue]"))
}

/// The server did not take the message for everybody: it is kept, or given back with a copy kept.
fn not_taken(
    kept: &Kept<'_>,
    refusal: smtp::Refusal,
    desk: &Desk<'_>,
    watch: &mut smtp::Watch<'_>,
) -> Result<Ended, Failure> {
    let failure = refusal.failure;
    if refusal.verdicts.contains(&smtp::Verdict::Accepted) {
        let why = failure.why().unwrap_or(failure.what()).to_owned();
        let told = Failure::defer("not every recipient was taken at once").because(why);
        return split(kept, told.at(Stage::Rcpt), desk, watch);
    }
    if failure.fate() == Fate::Return {
        if is_servers(&failure) {
            keep_copy(kept, desk);
        }
        return Err(failure);
    }
    match keep(kept, Some(&failure), desk) {
        Ok(id) => Ok(Ended::Queued(id, failure)),
        Err(trouble) => Err(trouble.also(failure.one_line())),
    }
}

/// Some recipients are taken and some are not. What is durable first cannot be lost or told wrong:
/// the whole message is committed, then delivered to whoever is taken, with marks and notices.
fn split(
    kept: &Kept<'_>,
    failure: Failure,
    desk: &Desk<'_>,
    watch: &mut smtp::Watch<'_>,
) -> Result<Ended, Failure> {
    let id = keep(kept, None, desk)?;
    let choice = Choice {
        id: Some(id.clone()),
        at_once: true,
        ..Choice::default()
    };
    // Whatever becomes of it now, the entry is ours and the runner comes back to it: not even a panic,
    // whose place has been told, may let the caller send the message again.
    let pass = || courier::pass(desk, choice, Who::Submission, watch);
    match panic::catch_unwind(AssertUnwindSafe(pass)) {
        Ok(Ok(tally)) if tally.delivered == 1 => return Ok(Ended::Delivered),
        Ok(Err(trouble)) => {
            let line = failure_line(desk.journal.line("runner"), &trouble);
            desk.journal.write(Level::Warning, &line);
        }
        _ => {}
    }
    Ok(Ended::Queued(id, failure))
}

fn prepare(
    wishes: &Submission,
    desk: &Desk<'_>,
    input: impl BufRead,
    known: &mut Known,
) -> Result<(Envelope, Message), Failure> {
    let dots = match wishes.dot_is_text {
        true => DotRule::Text,
        false => DotRule::Ends {
            regular_file: desk.regular_file,
        },
    };
    let spool = desk.config.queue.enabled.then(|| desk.config.spool());
    let mut annex = spool.map(|spool| move || spool.annex(desk.id, &Caps::default()));
    let annex = annex.as_mut().map(|open| open as OpenAnnex<'_>);
    let mut message = Message::read_with(annex, input, dots, desk.config.message_size_max)?;
    if let Some(failure) = &message.in_memory {
        let line = failure_line(desk.journal.line("spool"), failure);
        desk.journal.write(Level::Warning, &line);
    }
    known.nul = message.notes.nul;
    record_dropped(desk, &message.notes);
    known.size_bytes = Some(message.size());
    let sender = choose_sender(wishes, desk, &message)?;
    known.from = Some(match &sender {
        Sender::Null => String::new(),
        Sender::Mailbox(address) => address.to_string(),
    });
    let recipients = choose_recipients(wishes, desk, &message)?;
    known.to = recipients.iter().next().map(Address::to_string);
    known.recipients = Some(recipients.len());
    edit(wishes, desk, &sender, &mut message)?;
    known.size_bytes = Some(message.size());
    Ok((Envelope { sender, recipients }, message))
}

/// What of the input is not part of the message, for whoever looks for it.
fn record_dropped(desk: &Desk<'_>, notes: &Notes) {
    for (count, what) in [
        (
            notes.drained,
            "octets after the lone dot that ends a message without -i",
        ),
        (
            notes.from_lines,
            "From lines of a mailbox file before the header",
        ),
        (
            notes.continuation_lines,
            "continuation lines before the first header field",
        ),
    ] {
        if count > 0 {
            let line = desk.journal.line("ignored");
            let line = line.text("reason", &format!("{count} {what}"));
            desk.journal.write(Level::Info, &line);
        }
    }
}

/// Makes the header what Microsoft takes; what becomes of the body is decided by what it offers.
fn edit(
    wishes: &Submission,
    desk: &Desk<'_>,
    sender: &Sender,
    message: &mut Message,
) -> Result<(), Failure> {
    let date = LocalTime::at(desk.now).rfc5322();
    let mailbox = match sender {
        Sender::Mailbox(address) => address,
        Sender::Null => &desk.config.mailbox,
    };
    let facts = Facts {
        mailbox,
        wished_name: wishes
            .full_name
            .as_ref()
            .map_or(&b""[..], |name| name.as_bytes()),
        full_name: &desk.caller.full_name,
        date: &date,
        random: u128::from(random::number()?) << 64 | u128::from(random::number()?),
    };
    let repairs = repair::repair(&mut message.header, &facts)?;
    let policy = sender_policy(desk);
    let rewrites = rewrite::rewrite(
        &mut message.header,
        &Policy {
            mailbox: &desk.config.mailbox,
            allowed: &|address| policy.allowed(address),
            rewrite: desk.config.sender.rewrite,
            domain: desk.config.recipients.domain.as_deref(),
        },
    );
    if rewrites.from.is_some() || rewrites.senders_dropped > 0 || repairs.from_dropped > 0 {
        let old = rewrites
            .from
            .as_ref()
            .map(Address::to_string)
            .unwrap_or_default();
        let line = desk.journal.line("from-rewritten").address("from", &old);
        desk.journal.write(Level::Info, &line);
    }
    if desk.config.sender.received {
        let trace = Trace {
            login: &desk.caller.login,
            uid: desk.caller.uid,
            host: desk.host,
            id: desk.id,
            date: &date,
        };
        repair::add_received(&mut message.header, &trace);
    }
    let folded = message.header.fold_long_lines();
    if folded > 0 {
        let text = format!("header fields with lines over 998 octets were folded: {folded}");
        let line = desk.journal.line("header").text("reason", &text);
        desk.journal.write(Level::Info, &line);
    }
    Ok(())
}
