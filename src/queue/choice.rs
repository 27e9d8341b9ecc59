//! Which entries a pass over the queue looks at.

use super::entry::Entry;
use super::spool::Listed;
use crate::outcome::QueueId;

/// Which entries a pass looks at.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    /// Only what this user handed in.
    pub uid: Option<u32>,
    /// Only this entry.
    pub id: Option<QueueId>,
    /// Whether or not their time has come.
    pub at_once: bool,
    /// Every one of these holds: substrings of id, recipient or sender, or not of them.
    pub filters: Vec<Filter>,
}

/// One `-qI`, `-qR` or `-qS`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    pub part: Part,
    pub text: String,
    pub negated: bool,
}

/// What a filter looks into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Id,
    Recipient,
    Sender,
}

impl Choice {
    /// Whether every filter holds for an entry.
    pub(super) fn chooses(&self, listed: &Listed, entry: &Entry) -> bool {
        self.filters.iter().all(|filter| {
            let holds = match filter.part {
                Part::Id => listed.id.to_string().contains(&filter.text),
                Part::Sender => entry
                    .sender
                    .as_deref()
                    .is_some_and(|one| one.contains(&filter.text)),
                Part::Recipient => entry
                    .recipients
                    .iter()
                    .any(|one| one.path.contains(&filter.text)),
            };
            holds != filter.negated
        })
    }
}
