//! Notices to people about recipients who do not get a message.

use super::Desk;
use super::keep::{Kept, keep};
use super::offer::{Paths, path};
use crate::mail::dsn::{Dsn, Notify};
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
    let reader = desk.config.recipients.admin.as_ref().unwrap_or(mailbox);
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
    let message = Message {
        header,
        body: body.into(),
        ..Message::default()
    };
    let paths = Paths {
        sender: path(mailbox)?,
        recipients: vec![path(reader)?],
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
