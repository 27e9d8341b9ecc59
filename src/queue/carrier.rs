//! Delivery as the queue sees it: brought by whoever runs it.

use super::entry::Recipient;
use super::octets::Stored;
use crate::outcome::{Failure, QueueId};

/// Who takes messages to the server, and tells people of what was refused.
pub trait Carrier {
    /// Sees to a connection that is signed in. A failure is nobody's message's fault: the pass ends.
    fn ready(&mut self) -> Result<(), Failure>;

    /// Offers the message to those who still wait for it, in the order given.
    fn carry(&mut self, stored: &Stored, pending: &[Recipient]) -> Carried;

    /// Commits a notice about recipients who will not get the message.
    fn notify(
        &mut self,
        id: &QueueId,
        stored: &Stored,
        failed: &[(String, String)],
    ) -> Result<(), Failure>;
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
