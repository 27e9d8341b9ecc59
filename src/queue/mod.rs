//! What the server did not take and this host keeps: durable, tried again, given back.
//!
//! ```text
//! spool/tmp/ID     written, synced        by the one who submits
//! spool/queue/ID   renamed, dir synced    from here on the message is ours
//! spool/failed/ID.reason                  refused, expired, damaged: for people to look at
//! ```
//!
//! A file is never rewritten: its state and the marks of its recipients change in place, and each
//! change is on the disk before the next step relies on it. Delivery is not known here; whoever runs
//! the queue brings it.

mod annex;
mod attempt;
mod audit;
pub mod caps;
pub mod carrier;
mod census;
pub mod choice;
mod disk;
pub mod entry;
pub mod gate;
pub mod list;
pub mod locked;
pub mod octets;
mod protocol;
pub mod runner;
pub mod schedule;
pub mod spool;
pub mod state;
mod sweep;
mod trouble;

pub use attempt::setback;
pub use caps::Caps;
pub use entry::{Entry, Mark, Origin, Recipient, Via};
pub use locked::{Locked, Passed};
pub use octets::{Damage, Stored};
pub use protocol::Committed;
pub use schedule::{Retry, Setback, Turn};
pub use spool::{Deposit, Listed, Listing, Reason, RunnerLock, Spool, Stranger};
pub use state::{Class, State};
pub use sweep::Failed;
