//! What the caller is told besides the failure itself.

use crate::outcome::{Class, Failure, Fate, QueueId};
use crate::smtp::Direction;

/// The message is safe; what keeps it from going out, and what to do if that does not pass by itself.
pub(super) fn queued_lines(program: &str, id: &QueueId, failure: &Failure) -> Vec<String> {
    if failure.reason() == Some("signal") && failure.fate() == Fate::Defer {
        return vec![format!("{program}: interrupted; queued as {id}")];
    }
    let cure = failure.cure().and_then(lasting);
    let mut lines = failure.clone().fix(cure.unwrap_or_default()).lines(program);
    if cure.is_none() {
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
    if failure.cure().is_some() {
        return failure;
    }
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
