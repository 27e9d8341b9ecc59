//! What the caller is told besides the failure itself.

use crate::outcome::{Class, Failure, Fate, QueueId};
use crate::smtp::Direction;
use crate::sys::confinement::Confinement;

/// The message is safe; what keeps it from going out, and what to do if that does not pass by itself.
pub(super) fn queued_lines(program: &str, id: &QueueId, failure: &Failure) -> Vec<String> {
    if failure.reason() == Some("signal") && failure.fate() == Fate::Defer {
        return vec![format!("{program}: interrupted; queued as {id}")];
    }
    let cure = failure.cure().and_then(lasting).map(str::to_owned);
    let cure = cure.into_iter().chain(rights(failure));
    let cure = cure.collect::<Vec<_>>().join("; ");
    let mut lines = failure.clone().fix(&cure).lines(program);
    if cure.is_empty() {
        lines.pop();
    }
    lines.push(format!("{program}: queued as {id}"));
    lines
}

/// What of a cure is left to do for people once the queue tries again by itself.
fn lasting(cure: &str) -> Option<&str> {
    match cure {
        "try again later" | "send the message again" => None,
        cure => Some(cure.strip_prefix("send again later; ").unwrap_or(cure)),
    }
}

/// No failure leaves an administrator without a next step.
pub(super) fn with_cure(failure: Failure) -> Failure {
    let failure = match failure.cure() {
        Some(_) => failure,
        None => with_next_step(failure),
    };
    match (failure.cure(), rights(&failure)) {
        (Some(cure), Some(more)) => {
            let cure = format!("{cure}; {more}");
            failure.fix(cure)
        }
        _ => failure,
    }
}

/// Where owners and modes may all be as the cure wants them, and yet a right is missing.
fn rights(failure: &Failure) -> Option<String> {
    let denied = failure.denied();
    let confinement = denied.then(Confinement::of_this_process).flatten();
    confinement.map(|by| by.cure())
}

fn with_next_step(failure: Failure) -> Failure {
    let cure = match (failure.fate(), failure.class()) {
        (Fate::Unsure, _) => "look for it in the mailbox's Sent Items before you send it again",
        (Fate::Defer | Fate::Hold, _) => "try again later; nothing was kept here",
        (Fate::Return, Class::Usage) => "see `sendmail365 --help`",
        (Fate::Return, _) => "nothing was sent; correct the cause and send again",
    };
    failure.fix(cure)
}

/// A line of the dialogue with the server, for `-v`.
pub(super) fn shown(direction: Direction, line: &str) -> String {
    match direction {
        Direction::Sent => format!(">>> {line}"),
        Direction::Received => line.to_owned(),
        Direction::Noted => format!("=== {line}"),
    }
}
