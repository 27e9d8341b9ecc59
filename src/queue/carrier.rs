//! Delivery as the queue sees it: brought by whoever runs it.

use super::entry::Recipient;
use super::octets::Stored;
use crate::outcome::{Failure, QueueId};

/// Who takes messages to the server, and tells people of what was refused.
pub trait Carrier {
    /// Sees to a connection that is signed in, for this message. A failure is nobody's message's
    /// fault: the pass ends.
    fn ready(&mut self, id: &QueueId) -> Result<(), Failure>;

    /// Whether a second message may follow the one that is carried next, without a wait between them.
    fn may_follow(&mut self) -> bool;

    /// Offers the message to those who still wait for it, in the order given. The server may be told
    /// already of the one that follows.
    fn carry(
        &mut self,
        stored: &Stored,
        pending: &[Recipient],
        following: Option<Following<'_>>,
    ) -> Carried;

    /// Commits a notice about recipients who will not get the message.
    fn notify(
        &mut self,
        id: &QueueId,
        stored: &Stored,
        failed: &[(String, String)],
    ) -> Result<(), Failure>;
}

/// The message after the one that is carried, with those who wait for it.
pub struct Following<'a> {
    pub id: &'a QueueId,
    pub stored: &'a Stored,
    pub pending: &'a [Recipient],
}

/// What became of one attempt.
pub struct Carried {
    /// One for each recipient that waited, in their order.
    pub fortunes: Vec<Fortune>,
    /// Why some still wait, if any do.
    pub failure: Option<Failure>,
}

/// What became of one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fortune {
    /// With the server's reply.
    Accepted(String),
    /// For good, with the reply.
    Refused(String),
    Waits,
}

impl Carried {
    /// The reply to the message, if somebody got it.
    pub(super) fn last_reply(&self) -> String {
        let reply = |fortune: &Fortune| match fortune {
            Fortune::Accepted(reply) => Some(reply.clone()),
            _ => None,
        };
        self.fortunes.iter().find_map(reply).unwrap_or_default()
    }
}
