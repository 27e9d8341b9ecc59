//! What the log says of a message: one line, in the order of its grammar.

use super::{Desk, Ended};
use crate::mail::body::{CUT_OFF, MALFORMED};
use crate::outcome::{self, Failure, Fate};
use crate::queue::{Class, Via};
use crate::sys::file::error_number_name;
use crate::sys::log::{Level, Line};

/// What is known of a message for its line in the log.
#[derive(Default)]
pub(super) struct Known {
    pub(super) from: Option<String>,
    pub(super) to: Option<String>,
    pub(super) recipients: Option<usize>,
    pub(super) size_bytes: Option<u64>,
    pub(super) nul: u64,
}

/// Writes the one line of a message, which one delivered in parts has had from each part.
pub(super) fn record(desk: &Desk<'_>, known: &Known, result: &Result<Ended, Failure>) {
    let journal = desk.journal;
    match result {
        Ok(Ended::Queued(_, failure)) => {
            let event = Class::of(failure.fate()).map_or("queued", Class::event);
            let line = known.on(place(journal.line(event), failure));
            journal.write(Level::Warning, &cause(line, failure));
        }
        Ok(Ended::Sent(receipt)) => {
            let line = known.on(journal.line("sent").number("code", 250));
            journal.write(Level::Info, &line.text("reason", &receipt.reply));
        }
        Ok(Ended::Delivered | Ended::InPart(_)) => {}
        Ok(Ended::HandedOver(reply)) => {
            let line = journal.line("handed-over");
            let line = line.number("status", reply.status.into());
            journal.write(Level::Info, &known.on(line));
        }
        Ok(Ended::Cancelled(signal)) => {
            let signal = u64::try_from(*signal).unwrap_or_default();
            let line = journal.line("cancelled").number("signal", signal);
            journal.write(Level::Info, &known.on(line));
        }
        Err(failure) => {
            let line = known.on(place(journal.line(event(failure, desk.via)), failure));
            journal.write(Level::Error, &cause(line, failure));
        }
    }
}

/// The line of an event with what a failure knows of it.
pub fn failure_line(line: Line, failure: &Failure) -> Line {
    cause(place(line, failure), failure)
}

fn place(mut line: Line, failure: &Failure) -> Line {
    if let Some(stage) = failure.stage() {
        line = line.word("stage", stage.word());
    }
    match failure.code() {
        Some(code) => line.word("code", code),
        None => line,
    }
}

fn cause(mut line: Line, failure: &Failure) -> Line {
    let system = failure.os_error().map(error_number_name);
    if let Some(err) = failure.err().or(system.as_deref()) {
        line = line.word("err", err);
    }
    // A reason of several words may be the explanation itself, which is not said twice.
    let said = |reason: &str| {
        let why = failure.why().unwrap_or_default();
        reason.contains(' ') && why.contains(reason)
    };
    let reason = failure.reason().filter(|reason| !said(reason));
    let why = [reason, Some(failure.what()), failure.why()];
    let line = line.text(
        "reason",
        &why.into_iter().flatten().collect::<Vec<_>>().join(": "),
    );
    // Whoever looks for mail that waits may have the log and nothing else.
    match failure.cure() {
        Some(cure) => line.text("fix", cure),
        None => line,
    }
}

/// What the log calls a message that was not sent.
fn event(failure: &Failure, via: Via) -> &'static str {
    match failure.reason().filter(|_| via == Via::Socket) {
        Some(CUT_OFF) => return "cancelled",
        Some(MALFORMED) => return "denied",
        _ => {}
    }
    match (failure.fate(), failure.class()) {
        (Fate::Unsure, _) => "unsure",
        (_, outcome::Class::Config) => "config",
        _ => "refused",
    }
}

impl Known {
    fn on(&self, mut line: Line) -> Line {
        for (key, address) in [("from", &self.from), ("to", &self.to)] {
            if let Some(address) = address {
                line = line.address(key, address);
            }
        }
        let count = self.recipients.map(|count| count as u64);
        let nul = Some(self.nul).filter(|&count| count > 0);
        for (key, number) in [("nrcpt", count), ("size", self.size_bytes), ("nul", nul)] {
            if let Some(number) = number {
                line = line.number(key, number);
            }
        }
        line
    }
}
