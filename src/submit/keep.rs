//! What the server did not take goes into the queue; what it refused for good is kept to look at.

use super::Desk;
use super::offer::Paths;
use crate::mail::dsn::Dsn;
use crate::mail::message::Message;
use crate::outcome::{Failure, QueueId, Stage};
use crate::queue::{
    Caps, Deposit, Entry, Mark, Origin, Reason, Recipient, State, Via, schedule, setback,
};
use crate::sys::log::Level;
use crate::sys::{clock, random};

/// A message on its way into the spool.
pub(super) struct Kept<'a> {
    pub(super) paths: &'a Paths,
    pub(super) message: &'a Message,
    pub(super) wishes: &'a Dsn,
    pub(super) via: Via,
}

/// Commits a message: from here on it is ours. `failure` is why, if it has been offered already.
pub(super) fn keep(
    kept: &Kept<'_>,
    failure: Option<&Failure>,
    desk: &Desk<'_>,
) -> Result<QueueId, Failure> {
    let state = match failure {
        Some(failure) => {
            let jitter = schedule::jitter(random::number()?);
            let now = clock::seconds();
            State::after_submission(&setback(failure), now, jitter)
        }
        None => State::default(),
    };
    let entry = entry(kept, state, desk);
    let header = kept.message.header.octets();
    let message: [&[u8]; 3] = [&header, b"\r\n", &kept.message.body];
    let deposit = Deposit {
        entry: &entry,
        message: &message,
    };
    let committed = desk
        .config
        .spool()
        .commit(desk.id, &deposit, &Caps::default())?;
    if !committed.durable {
        let line = desk.journal.line("queued").word("durable", "unknown");
        desk.journal.write(Level::Critical, &line);
    }
    Ok(committed.id)
}

/// Keeps a copy of a message that was refused for good: not every caller looks at exit codes.
pub(super) fn keep_copy(kept: &Kept<'_>, failure: &Failure, desk: &Desk<'_>) {
    let state = State {
        attempts: 1,
        reply: State::kept_reply(failure.why().unwrap_or(failure.what())),
        ..State::default()
    };
    let mut entry = entry(kept, state, desk);
    for recipient in &mut entry.recipients {
        recipient.mark = Mark::Failed;
    }
    let header = kept.message.header.octets();
    let message: [&[u8]; 3] = [&header, b"\r\n", &kept.message.body];
    let deposit = Deposit {
        entry: &entry,
        message: &message,
    };
    if let Err(failure) =
        desk.config
            .spool()
            .keep_failed(desk.id, &deposit, Reason::Refused, &Caps::default())
    {
        let line = super::failure_line(desk.journal.line("spool"), &failure);
        desk.journal.write(Level::Warning, &line);
    }
}

/// Whether a refusal is the server's word about the message itself.
pub(super) fn is_servers(failure: &Failure) -> bool {
    matches!(
        failure.stage(),
        Some(Stage::Mail | Stage::Rcpt | Stage::Data | Stage::Body | Stage::End)
    )
}

fn entry(kept: &Kept<'_>, state: State, desk: &Desk<'_>) -> Entry {
    let recipients = kept.paths.recipients.iter();
    Entry {
        origin: Origin {
            uid: desk.caller.uid,
            user: desk.caller.log_name(),
            pid: desk.caller.pid,
            host: desk.host.to_owned(),
            via: kept.via,
        },
        sender: Some(kept.paths.sender.text.clone()),
        recipients: recipients
            .map(|path| Recipient::pending(path.text.clone()))
            .collect(),
        dsn: kept.wishes.line(),
        state,
    }
}
