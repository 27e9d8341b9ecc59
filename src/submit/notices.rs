//! Messages of this host's own: notices about recipients who do not get a message, and warnings.

use super::Desk;
use super::keep::{Kept, keep};
use super::offer::{Paths, path};
use crate::mail::address::Address;
use crate::mail::dsn::{Dsn, Notify};
use crate::mail::header::Header;
use crate::mail::message::Message;
use crate::mail::notice::{self, Notice};
use crate::outcome::{Failure, QueueId};
use crate::queue::Via;
use crate::sys::clock::{self, LocalTime};
use crate::sys::random;
use std::time::{Duration, UNIX_EPOCH};

/// The message that a notice is about.
pub(super) struct About<'a> {
    pub(super) id: &'a QueueId,
    pub(super) header: &'a [u8],
    /// What its sender wishes to hear.
    pub(super) wishes: &'a Dsn,
    /// Whether a copy lies in failed/.
    pub(super) kept: bool,
}

/// Commits a notice, unless nobody wants one; recipients come with the reason.
pub(super) fn notify(
    about: &About<'_>,
    failed: &[(String, String)],
    desk: &Desk<'_>,
) -> Result<(), Failure> {
    let unwanted = match about.wishes.notify {
        Some(Notify::Never) => true,
        Some(Notify::On { failure, .. }) => !failure,
        None => false,
    };
    if unwanted || notice::is_automatic(about.header) {
        return Ok(());
    }
    let mailbox = &desk.config.mailbox;
    let reader = reader(desk);
    let failed: Vec<notice::Failed<'_>> = failed
        .iter()
        .map(|(recipient, reason)| notice::Failed { recipient, reason })
        .collect();
    let arrival = UNIX_EPOCH + Duration::from_secs(about.id.arrival_seconds());
    let notice = Notice {
        mailbox,
        reader,
        host: desk.host,
        id: about.id,
        kept: about.kept,
        arrival: &LocalTime::at(arrival).rfc5322(),
        date: &LocalTime::at(clock::now()).rfc5322(),
        random: u128::from(random::number()?) << 64 | u128::from(random::number()?),
        failed: &failed,
        header: about.header,
    };
    let (header, body) = notice.compose();
    commit(header, body, desk)
}

/// Who reads what this host writes by itself.
pub(super) fn reader<'d>(desk: &'d Desk<'_>) -> &'d Address {
    let mailbox = &desk.config.mailbox;
    desk.config.recipients.admin.as_ref().unwrap_or(mailbox)
}

/// Commits a message of this host's own to its reader.
pub(super) fn commit(header: Header, body: Vec<u8>, desk: &Desk<'_>) -> Result<(), Failure> {
    let message = Message {
        header,
        body: body.into(),
        ..Message::default()
    };
    let paths = Paths {
        sender: path(&desk.config.mailbox)?,
        recipients: vec![path(reader(desk))?],
    };
    let own = QueueId::new(clock::now(), random::number()?);
    let kept = Kept {
        paths: &paths,
        message: &message,
        wishes: &Dsn::default(),
        via: Via::Notice,
    };
    keep(&kept, None, &Desk { id: &own, ..*desk }).map(|_| ())
}
