//! What the spool holds, counted anew each time: no counter can be wrong after a crash.

use super::caps::{Caps, Census};
use super::disk::space;
use super::protocol::Room;
use super::spool::Spool;
use super::sweep::{FAILED_BYTES_MAX, Failed};
use super::trouble::explain;
use crate::outcome::Failure;
use std::os::unix::fs::MetadataExt;

const NOT_QUEUED: &str = "the message cannot be queued";

const NOT_KEPT: &str = "no copy of the message is kept";

impl Spool {
    /// Whether a message of `uid` may come into queue/.
    pub(super) fn room_in_queue(
        &self,
        uid: u32,
        size_bytes: u64,
        caps: &Caps,
    ) -> Result<(), Failure> {
        let path = self.rooms().room(Room::Queue);
        let listing = self.listing(&path);
        let listing = listing.map_err(|error| explain(NOT_QUEUED, &path, &error))?;
        let mut census = Census::default();
        for listed in &listing.entries {
            census.entries += 1;
            census.size_bytes = census.size_bytes.saturating_add(listed.size_bytes);
            if listed.uid == uid {
                census.add_own(listed.size_bytes);
            }
        }
        // Whoever kills his own submissions leaves drafts, which lie there for a day and a half.
        let drafts = self.files(Room::Tmp, |_, about| (about.uid(), about.len()))?;
        for (_, size_bytes) in drafts.into_iter().filter(|(owner, _)| *owner == uid) {
            census.add_own(size_bytes);
        }
        caps.check(&census, uid, size_bytes)?;
        self.space_for(NOT_QUEUED, Room::Queue, size_bytes, caps)
    }

    /// Whether a copy of a message of `uid` may come into failed/: what one user has refused must not
    /// drive out what others have there.
    pub(super) fn room_in_failed(
        &self,
        uid: u32,
        size_bytes: u64,
        caps: &Caps,
    ) -> Result<(), Failure> {
        let mut census = Census::default();
        for failed in self.failed()?.iter().filter(|failed| failed.uid == uid) {
            census.add_own(failed.size_bytes);
        }
        let caps = Caps {
            size_bytes: FAILED_BYTES_MAX.min(caps.size_bytes),
            ..*caps
        };
        let room = caps.check_share(&census, uid, size_bytes);
        room.and_then(|()| self.space_for(NOT_KEPT, Room::Failed, size_bytes, &caps))
            .map_err(|full| full.told_as(NOT_KEPT))
    }

    /// Whether a message may go back from failed/ into queue/; root need not ask how many are his.
    pub(super) fn room_to_resend(
        &self,
        failed: &Failed,
        by: u32,
        caps: &Caps,
    ) -> Result<(), Failure> {
        let uid = if by == 0 { 0 } else { failed.uid };
        self.room_in_queue(uid, failed.size_bytes, caps)
    }

    fn space_for(
        &self,
        what: &str,
        room: Room,
        size_bytes: u64,
        caps: &Caps,
    ) -> Result<(), Failure> {
        let path = self.rooms().room(room);
        let free = space(&path).map_err(|error| explain(what, &path, &error))?;
        caps.check_space(&free, size_bytes)
    }
}

#[cfg(test)]
mod tests {
    use crate::queue::spool::tests::{Scratch, entry, id};
    use crate::queue::{Caps, Deposit, Reason};

    const CAPS: Caps = Caps {
        entries: 8,
        size_bytes: 1024 * 1024,
        shares: 2,
        free_bytes: 0,
    };

    /// The owner of what tests write, who is root as a rule and then has no share.
    fn uid(scratch: &Scratch) -> u32 {
        scratch.spool.list().unwrap().account.max(1)
    }

    fn reason(result: Result<impl Sized, crate::outcome::Failure>) -> Option<String> {
        result.err()?.reason().map(str::to_owned)
    }

    #[test]
    fn drafts_that_kills_left_behind_count_as_the_users_own() {
        let scratch = Scratch::new();
        let uid = uid(&scratch);
        for number in 0..4 {
            let name = id(number).to_string();
            scratch.write("tmp", &name, b"draft");
            let path = scratch.path("tmp", &name);
            let _ = std::os::unix::fs::chown(path, Some(uid), None);
        }
        assert_eq!(
            reason(scratch.spool.room_in_queue(uid, 5, &CAPS)).as_deref(),
            Some("cap-share")
        );
        assert_eq!(reason(scratch.spool.room_in_queue(uid + 1, 5, &CAPS)), None);
    }

    #[test]
    fn copies_of_what_one_user_has_refused_leave_room_for_the_others() {
        let scratch = Scratch::new();
        let keep = |number: u64, uid: u32| {
            let entry = entry(uid);
            let deposit = Deposit {
                entry: &entry,
                message: &[b"Subject: x\r\n", b"\r\n", b"hi\r\n"],
            };
            let spool = &scratch.spool;
            reason(spool.keep_failed(&id(number), &deposit, Reason::Refused, &CAPS))
        };
        // Without a service account to vouch, the owner of the file is who counts.
        let uid = uid(&scratch);
        for number in 0..4 {
            assert_eq!(keep(number, uid), None);
            let name = format!("{}.refused", id(number));
            let _ = std::os::unix::fs::chown(scratch.path("failed", name), Some(uid), None);
        }
        assert_eq!(keep(4, uid).as_deref(), Some("cap-share"));
        let room = scratch.spool.room_in_failed(uid, 5, &CAPS);
        assert_eq!(room.unwrap_err().what(), super::NOT_KEPT);
        assert_eq!(keep(5, uid + 1), None);
        assert_eq!(scratch.names("failed").len(), 5);
    }

    #[test]
    fn what_is_sent_again_needs_room_in_the_queue() {
        let scratch = Scratch::new();
        scratch.commit(1);
        let listed = scratch.spool.list().unwrap().entries.remove(0);
        let locked = scratch.spool.open_locked(&listed).unwrap();
        locked.fail(Reason::Refused).unwrap();
        let none = Caps { entries: 0, ..CAPS };
        let failed = scratch.spool.failed().unwrap().remove(0);
        for by in [0, failed.uid] {
            let refused = scratch.spool.resend(&failed, by, &none);
            assert_eq!(reason(refused).as_deref(), Some("cap-entries"));
        }
        assert_eq!(scratch.names("failed").len(), 1);
        scratch.spool.resend(&failed, failed.uid, &CAPS).unwrap();
        assert_eq!(scratch.names("queue").len(), 1);
    }
}
