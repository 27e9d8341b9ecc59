//! How much one queue, and one user in it, may hold.
//!
//! A script that runs away must fill neither the disk nor the room of the others.

use crate::outcome::{Failure, Stage};
use crate::sys::file::Space;

const MIB: u64 = 1024 * 1024;

/// The limits; the reason of a failure is `cap-entries`, `cap-bytes`, `cap-share` or `cap-free`.
#[derive(Debug, Clone, Copy)]
pub struct Caps {
    pub entries: u64,
    pub size_bytes: u64,
    /// Of entries and octets, one part of this many is the most for one user other than root.
    pub shares: u64,
    /// Free space that stays untouched: this, or a twentieth of the disk where that is less.
    pub free_bytes: u64,
}

/// What the queue holds before a message is added.
#[derive(Debug, Clone, Copy, Default)]
pub struct Census {
    pub entries: u64,
    pub size_bytes: u64,
    /// Of the user who adds one.
    pub own_entries: u64,
    pub own_bytes: u64,
}

impl Census {
    /// Counts a file of the one who adds a message.
    pub(super) fn add_own(&mut self, size_bytes: u64) {
        self.own_entries = self.own_entries.saturating_add(1);
        self.own_bytes = self.own_bytes.saturating_add(size_bytes);
    }
}

impl Default for Caps {
    fn default() -> Caps {
        Caps {
            entries: 10_000,
            size_bytes: 1024 * MIB,
            shares: 4,
            free_bytes: 200 * MIB,
        }
    }
}

impl Caps {
    /// Whether a message of `size_bytes` from `uid` may be added.
    pub fn check(&self, census: &Census, uid: u32, size_bytes: u64) -> Result<(), Failure> {
        let entries = census.entries.saturating_add(1);
        let all_bytes = census.size_bytes.saturating_add(size_bytes);
        if entries > self.entries {
            Err(reached("cap-entries")
                .because(format!(
                    "it holds {} messages, the most it may",
                    census.entries
                ))
                .fix(ALL))
        } else if all_bytes > self.size_bytes {
            let limit = self.size_bytes / MIB;
            Err(reached("cap-bytes")
                .because(format!(
                    "with this message it would hold more than {limit} MiB"
                ))
                .fix(ALL))
        } else {
            self.check_share(census, uid, size_bytes)
        }
    }

    /// Whether one user has room for a message of `size_bytes` more; root always has.
    pub fn check_share(&self, census: &Census, uid: u32, size_bytes: u64) -> Result<(), Failure> {
        let own_entries = census.own_entries.saturating_add(1);
        let own_bytes = census.own_bytes.saturating_add(size_bytes);
        let shares = self.shares.max(1);
        if uid != 0 && own_entries > self.entries / shares {
            let own = census.own_entries;
            Err(reached("cap-share")
                .because(format!(
                    "{own} messages of user {uid} wait, the most one user may have"
                ))
                .fix(OWN))
        } else if uid != 0 && own_bytes > self.size_bytes / shares {
            let limit = self.size_bytes / shares / MIB;
            Err(reached("cap-share")
                .because(format!(
                    "messages of user {uid} would take more than {limit} MiB"
                ))
                .fix(OWN))
        } else {
            Ok(())
        }
    }

    /// Whether the disk has room for `size_bytes` that are no entry: they leave as much again to those
    /// that are.
    pub fn check_scratch_space(&self, space: &Space, size_bytes: u64) -> Result<(), Failure> {
        self.check_space(space, size_bytes.saturating_add(self.floor(space)))
    }

    fn floor(&self, space: &Space) -> u64 {
        self.free_bytes.min(space.total_bytes / 20)
    }

    /// Whether the disk has room for `size_bytes` and what must stay free.
    pub fn check_space(&self, space: &Space, size_bytes: u64) -> Result<(), Failure> {
        if space.total_bytes == 0 {
            return Ok(());
        }
        let floor = self.floor(space);
        if space.free_bytes >= floor.saturating_add(size_bytes) {
            return Ok(());
        }
        let free = space.free_bytes / MIB;
        let floor = floor / MIB;
        Err(reached("cap-free")
            .because(format!(
                "its disk is full: {free} MiB are free, {floor} MiB stay reserved"
            ))
            .fix("free some space on the disk of the queue, then send again")
            .with_err("ENOSPC"))
    }
}

const ALL: &str =
    "see with `mailq` what waits and why; the message was not kept, send it again later";

const OWN: &str =
    "see with `mailq` what waits, and stop what sends so much; the message was not kept";

fn reached(reason: &str) -> Failure {
    Failure::defer("the queue takes no more messages")
        .at(Stage::Queue)
        .with_reason(reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(result: Result<(), Failure>) -> String {
        result.map_or_else(
            |failure| failure.reason().unwrap().to_owned(),
            |()| "ok".to_owned(),
        )
    }

    fn census(entries: u64, size_bytes: u64, own_entries: u64, own_bytes: u64) -> Census {
        Census {
            entries,
            size_bytes,
            own_entries,
            own_bytes,
        }
    }

    #[test]
    fn each_cap_is_reached_at_its_number_and_names_itself() {
        let caps = Caps::default();
        let check = |census, uid, size| reason(caps.check(&census, uid, size));
        assert_eq!(check(census(9_999, 0, 0, 0), 33, 1), "ok");
        assert_eq!(check(census(10_000, 0, 0, 0), 33, 1), "cap-entries");
        assert_eq!(check(census(1, 1024 * MIB - 1, 0, 0), 33, 1), "ok");
        assert_eq!(check(census(1, 1024 * MIB, 0, 0), 33, 1), "cap-bytes");
        assert_eq!(check(census(3000, 0, 2_499, 0), 33, 1), "ok");
        assert_eq!(check(census(3000, 0, 2_500, 0), 33, 1), "cap-share");
        assert_eq!(check(census(1, 0, 1, 256 * MIB), 33, 1), "cap-share");
        assert_eq!(check(Census::default(), 33, u64::MAX), "cap-bytes");
    }

    #[test]
    fn one_user_leaves_room_for_the_others_and_root_may_use_it_all() {
        let caps = Caps::default();
        let full = census(2_500, 256 * MIB, 2_500, 256 * MIB);
        assert_eq!(reason(caps.check(&full, 33, 1)), "cap-share");
        let other = census(2_500, 256 * MIB, 0, 0);
        assert_eq!(reason(caps.check(&other, 34, 1)), "ok");
        assert_eq!(reason(caps.check(&full, 0, 1)), "ok");
    }

    #[test]
    fn the_floor_is_a_twentieth_of_a_small_disk_and_200_mib_of_a_large_one() {
        let caps = Caps::default();
        let check = |free, total, size| {
            let space = Space {
                free_bytes: free * MIB,
                total_bytes: total * MIB,
            };
            reason(caps.check_space(&space, size * MIB))
        };
        assert_eq!(
            (check(50, 1000, 0), check(49, 1000, 0)),
            ("ok".into(), "cap-free".into())
        );
        assert_eq!(check(200, 1_000_000, 0), "ok");
        assert_eq!(check(200, 1_000_000, 1), "cap-free");
        assert_eq!(check(0, 0, 1), "ok");
    }

    #[test]
    fn what_is_no_entry_leaves_entries_their_room() {
        let caps = Caps::default();
        let disk = |free_mib: u64| Space {
            free_bytes: free_mib * MIB,
            total_bytes: 100 * 1024 * MIB,
        };
        assert!(caps.check_space(&disk(210), 10 * MIB).is_ok());
        assert_eq!(reason(caps.check_scratch_space(&disk(210), 1)), "cap-free");
        assert_eq!(
            reason(caps.check_scratch_space(&disk(409), 10 * MIB)),
            "cap-free"
        );
        assert!(caps.check_scratch_space(&disk(410), 10 * MIB).is_ok());
    }
}
