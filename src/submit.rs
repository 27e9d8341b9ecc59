//! The story of one message: read, mended, addressed, offered to the server, told truthfully.

mod addressing;
mod content;
mod counter;
mod courier;
mod handover;
mod keep;
mod link;
mod notices;
mod offer;
mod preview;
mod ready;
mod record;
mod relay;
mod warnings;

use crate::cli::{Delivery, Submission};
use crate::config::Config;
use crate::letterbox::Reply;
use crate::outcome::{Class, Failure, Fate, Outcome, QueueId, Stage};
use crate::queue::Via;
use crate::queue::choice::Choice;
use crate::queue::gate::Who;
use crate::smtp;
use crate::sys::caller::Caller;
use crate::sys::log::{Journal, Level};
use crate::sys::signal::{INTERRUPT, Signals};
use addressing::Unusable;
use courier::Round;
use keep::{Kept, is_servers, keep, keep_copy};
use notices::{About, notify};
use offer::{offer, paths};
use ready::{Ready, prepare};
use record::{Known, record};
use std::io::BufRead;
use std::panic::{self, AssertUnwindSafe};
use std::time::SystemTime;

pub use addressing::LocalNames;
pub use counter::{Counter, farewell};
pub use courier::run_queue;
pub use handover::unheard;
pub use record::failure_line;
pub use relay::{Relay, SIZE_MAX, too_large};
pub use warnings::{UNUSED_DAYS_MAX, Warning, warnings};

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
    /// The way the message came in.
    pub via: Via,
    /// Who notes a signal that asks for the end; armed by the time a message has been read.
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
    record(desk, &known, &result);
    match result? {
        Ended::Sent(_) | Ended::Delivered => Ok(Outcome::Sent),
        Ended::Queued(id, failure) => {
            let wanted = wishes.delivery == Delivery::QueueOnly;
            let passes = wishes.errors_only && failure.fate() == Fate::Defer;
            Ok(Outcome::Queued(id, (!wanted && !passes).then_some(failure)))
        }
        Ended::InPart(failure) => Ok(Outcome::InPart(failure)),
        Ended::HandedOver(Reply { status, lines }) => Ok(Outcome::HandedOver { status, lines }),
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
    /// The server took it for some and refused the others for good, each with its own line in the log.
    InPart(Failure),
    /// To a process that is not shut in, which answered for it.
    HandedOver(Reply),
    /// By a signal before it was read, or by one from the caller's keyboard before it was sent.
    Cancelled(i32),
}

/// Does all that `submit` does before it asks for a token, and tells what would be sent and where.
pub fn preview(
    wishes: &Submission,
    desk: &Desk<'_>,
    input: impl BufRead,
) -> Result<String, Failure> {
    let Ready {
        envelope,
        message,
        unusable,
        ..
    } = prepare(wishes, desk, input, &mut Known::default())?;
    let paths = paths(&envelope)?;
    if !desk.config.queue.enabled {
        paths.in_one_transaction()?;
    }
    let unusable = unusable.map(|unusable| unusable.each).unwrap_or_default();
    Ok(preview::text(&paths, &unusable, &message, desk.config))
}

fn deliver(
    wishes: &Submission,
    desk: &Desk<'_>,
    input: impl BufRead,
    known: &mut Known,
    watch: &mut smtp::Watch<'_>,
) -> Result<Ended, Failure> {
    let ready = match (prepare(wishes, desk, input, known), desk.signal()) {
        // Until it is read whole the message is the caller's, who learns by the signal what became of it.
        (Err(failure), Some(signal)) if failure.class() == Class::Io => {
            return Ok(Ended::Cancelled(signal));
        }
        (ready, _) => ready?,
    };
    let desk = &Desk {
        signals: Some(Signals::arm()),
        ..*desk
    };
    if let Some(unusable) = &ready.unusable {
        tell_of_unusable(unusable, &ready, desk)?;
    }
    match dispatch(wishes, &ready, desk, watch) {
        Err(failure) if handover::may_help(&failure, desk) => {
            handover::hand_over(&ready).unwrap_or(Err(failure))
        }
        ended => ended,
    }
}

/// Sends the message, or keeps it.
fn dispatch(
    wishes: &Submission,
    ready: &Ready,
    desk: &Desk<'_>,
    watch: &mut smtp::Watch<'_>,
) -> Result<Ended, Failure> {
    let paths = paths(&ready.envelope)?;
    let many = paths.in_one_transaction();
    let kept = Kept {
        paths: &paths,
        message: &ready.message,
        wishes: &ready.dsn,
        via: desk.via,
    };
    if wishes.delivery == Delivery::QueueOnly {
        return queue_only(&kept, desk);
    }
    match many {
        Err(_) if desk.config.queue.enabled => return split(&kept, in_parts(), desk, watch),
        many => many?,
    }
    match offer(&paths, &ready.message, &ready.dsn, desk, watch) {
        Ok(receipt) => Ok(Ended::Sent(receipt)),
        Err(refusal) if taken_back(&refusal, desk) => Ok(Ended::Cancelled(INTERRUPT)),
        Err(refusal) if desk.config.queue.enabled => not_taken(&kept, refusal, desk, watch),
        Err(refusal) => Err(refusal.failure),
    }
}

/// Commits a notice about recipients that cannot be used, before the others get the message: if it
/// cannot be kept, the caller has to hear of them, and then nobody gets it.
fn tell_of_unusable(unusable: &Unusable, ready: &Ready, desk: &Desk<'_>) -> Result<(), Failure> {
    let about = About {
        id: desk.id,
        header: &ready.message.header.octets(),
        wishes: &ready.dsn,
        kept: false,
    };
    if let Err(failure) = notify(&about, &unusable.each, desk) {
        let line = failure_line(desk.journal.line("notice"), &failure);
        desk.journal.write(Level::Error, &line);
        return Err(unusable.failure.clone());
    }
    let line = desk.journal.line("failed");
    let line = line.number("nrcpt", unusable.each.len() as u64);
    let reason = unusable.failure.why().unwrap_or_default();
    desk.journal
        .write(Level::Error, &line.text("reason", reason));
    Ok(())
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
        return split(kept, in_parts().because(why), desk, watch);
    }
    if failure.fate() == Fate::Return {
        if is_servers(&failure) {
            keep_copy(kept, &failure, desk);
        }
        return Err(failure);
    }
    match keep(kept, Some(&failure), desk) {
        Ok(id) => Ok(Ended::Queued(id, failure)),
        // The server may have it: nobody is to send it again unasked.
        Err(trouble) if failure.fate() == Fate::Unsure => {
            Err(trouble.also(failure.one_line()).in_doubt())
        }
        Err(trouble) => Err(trouble.also(failure.one_line())),
    }
}

fn in_parts() -> Failure {
    Failure::defer("not every recipient was taken at once").at(Stage::Rcpt)
}

/// Whom the server refused for good, each with its reply, while it took the message for others.
fn refused_in_part(refused: &[(String, String)], id: &QueueId) -> Failure {
    const SHOWN: usize = 4;
    let shown = refused.iter().take(SHOWN);
    let mut each: Vec<String> = shown.map(|(to, reply)| format!("<{to}> {reply}")).collect();
    if refused.len() > SHOWN {
        each.push(format!("{} more", refused.len() - SHOWN));
    }
    let fix =
        format!("correct the address, and send again to whom it belongs; a copy is kept as {id}");
    Failure::new(Class::NoUser, "the message did not go to everybody")
        .because(each.join("; "))
        .fix(fix)
        .at(Stage::Rcpt)
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
    let pass = || courier::pass(desk, choice, Who::Submission, watch, &|_| ());
    match panic::catch_unwind(AssertUnwindSafe(pass)) {
        Ok(Ok(Round { tally, .. })) if tally.delivered == 1 => return Ok(Ended::Delivered),
        Ok(Ok(Round { tally, refused })) if tally.failed == 1 && !refused.is_empty() => {
            return Ok(Ended::InPart(refused_in_part(&refused, &id)));
        }
        Ok(Ok(Round { tally, .. })) => {
            if let Some(stopped) = tally.stopped {
                return Ok(Ended::Queued(id, stopped));
            }
        }
        Ok(Err(trouble)) => {
            let line = failure_line(desk.journal.line("runner"), &trouble);
            desk.journal.write(Level::Warning, &line);
        }
        _ => {}
    }
    Ok(Ended::Queued(id, failure))
}
