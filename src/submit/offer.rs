//! One message offered to the server, with a token that holds.

use super::Desk;
use super::content::{Prepared, note_dsn};
use super::link::{link, may_go, tell_others};
use crate::mail::address::{Address, Wire};
use crate::mail::dsn::Dsn;
use crate::mail::envelope::Envelope;
use crate::mail::message::Message;
use crate::outcome::{Class, Failure, Stage};
use crate::queue::gate::Who;
use crate::smtp;

/// Most recipients of one transaction: a mailbox can be set to take up to 1,000.
pub(super) const TRANSACTION_MAX: usize = 1000;

/// The envelope as it is said to the server.
pub(super) struct Paths {
    pub(super) sender: smtp::Path,
    pub(super) recipients: Vec<smtp::Path>,
}

/// Offers the message to the server once.
pub(super) fn offer(
    paths: &Paths,
    message: &Message,
    wishes: &Dsn,
    desk: &Desk<'_>,
    watch: &mut smtp::Watch<'_>,
) -> Result<smtp::Receipt, smtp::Refusal> {
    may_go(desk, Who::Submission)?;
    let mut link = link(desk, Who::Submission, watch)?;
    let offered = link.session.offered();
    let prepared = Prepared::new(message, offered, Some(desk.journal));
    note_dsn(wishes, offered, desk.journal);
    let envelope = smtp::Envelope {
        sender: Some(&paths.sender),
        recipients: &paths.recipients,
        dsn: wishes,
    };
    let manner = smtp::Manner::default();
    let sent = link
        .session
        .submit(&envelope, &prepared.content(), manner, watch);
    match &sent {
        Ok(_) => desk.config.gate().close(),
        Err(refusal) => tell_others(desk, Who::Submission, &refusal.failure),
    }
    sent
}

/// The envelope as it is said to the server.
pub(super) fn paths(envelope: &Envelope) -> Result<Paths, Failure> {
    let recipients = envelope.recipients.iter().map(path);
    Ok(Paths {
        sender: path(&envelope.sender)?,
        recipients: recipients.collect::<Result<Vec<_>, _>>()?,
    })
}

impl Paths {
    /// Whether one transaction can hold all recipients.
    pub(super) fn in_one_transaction(&self) -> Result<(), Failure> {
        let count = self.recipients.len();
        if count <= TRANSACTION_MAX {
            return Ok(());
        }
        Err(
            Failure::new(Class::Unavailable, format!("{count} recipients"))
                .because("too many for one transaction, and there is no queue to split it")
                .fix(format!("send to at most {TRANSACTION_MAX} at a time"))
                .at(Stage::Rcpt),
        )
    }
}

pub(super) fn path(address: &Address) -> Result<smtp::Path, Failure> {
    let Wire { path, utf8 } = address.wire().map_err(|fault| {
        Failure::new(Class::Data, "an address cannot be sent")
            .because(fault)
            .fix("correct the address or the configured domain")
            .at(Stage::Argv)
    })?;
    Ok(smtp::Path { text: path, utf8 })
}
