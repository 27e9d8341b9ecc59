//! What stays behind, and how long.

use super::disk::{open_dir, open_existing};
use super::locked::{self, Passed};
use super::octets::Stored;
use super::protocol::{self, Disk, Room};
use super::spool::{Reason, Spool, submitter};
use super::trouble::explain;
use crate::outcome::{Failure, QueueId};
use crate::sys::privilege::raised;
use std::collections::HashMap;
use std::fs::{self, Metadata, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

const NOT_READ: &str = "the spool cannot be read";

const HOUR: u64 = 3600;

/// A submission that has written nothing for so long will not end.
const DRAFT_AGE_MAX: u64 = 36 * HOUR;

const FAILED_AGE_MAX: u64 = 30 * 24 * HOUR;

/// Octets that failed/ holds at most, of all users.
pub(super) const FAILED_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// One part of so many is a user's share of failed/.
const SHARES: u64 = 4;

/// A message in failed/.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// Its file name, `ID.reason` as a rule.
    pub name: String,
    /// None for what never was an entry.
    pub id: Option<QueueId>,
    /// The word of a `Reason`.
    pub reason: String,
    /// Who handed the message in: the owner of the file, or whom the service account vouches for.
    pub uid: u32,
    pub size_bytes: u64,
    /// When it was put there, in seconds since 1970.
    pub since: u64,
    pub(super) owner: u32,
}

impl Failed {
    /// Whether the file is this user's own, to remove and to put elsewhere.
    pub fn is_file_of(&self, uid: u32) -> bool {
        self.owner == uid
    }
}

impl Spool {
    /// What stands in failed/, oldest first.
    pub fn failed(&self) -> Result<Vec<Failed>, Failure> {
        let path = self.rooms().room(Room::Failed);
        let account = open_dir(&path).and_then(|dir| Ok(dir.metadata()?.uid()));
        let account = account.map_err(|error| explain(NOT_READ, &path, &error))?;
        let mut all = self.files(Room::Failed, |name, metadata| {
            let (id, reason) = name.split_once('.').unwrap_or((name, ""));
            Failed {
                name: name.to_owned(),
                id: QueueId::parse(id),
                reason: reason.split('.').next().unwrap_or_default().to_owned(),
                uid: submitter(&path.join(name), metadata.uid(), account),
                size_bytes: metadata.len(),
                since: u64::try_from(metadata.ctime()).unwrap_or(0),
                owner: metadata.uid(),
            }
        })?;
        all.sort_by(|one, other| (one.since, &one.name).cmp(&(other.since, &other.name)));
        Ok(all)
    }

    /// Reads a message in failed/, for lists.
    pub fn read_failed(&self, failed: &Failed) -> Result<Stored, Passed> {
        let path = self.rooms().path((Room::Failed, &failed.name));
        let file = open_existing(&path, false).map_err(locked::not_opened)?;
        locked::read(&path, failed.owner, &file)
    }

    /// Deletes a message in failed/.
    pub fn remove_failed(&self, failed: &Failed) -> Result<(), Failure> {
        let place = (Room::Failed, failed.name.as_str());
        let removed = self.rooms().unlink(place);
        removed.map_err(|error| {
            let what = format!("{} cannot be removed", failed.name);
            explain(&what, &self.rooms().path(place), &error)
        })
    }

    /// Moves drafts that no process writes any more to failed/, and tells their names.
    pub fn sweep_tmp(&self, now: u64) -> Result<Vec<String>, Failure> {
        let drafts = self.files(Room::Tmp, |name, metadata| {
            let modified = u64::try_from(metadata.mtime()).unwrap_or(0);
            let old = now.saturating_sub(modified) > DRAFT_AGE_MAX;
            old.then(|| (name.to_owned(), metadata.nlink()))
        })?;
        let mut swept = Vec::new();
        for (name, links) in drafts.into_iter().flatten() {
            let path = self.rooms().path((Room::Tmp, &name));
            let moved = match (in_use(&path), links) {
                (true, _) => continue,
                (false, 1) => {
                    let aside = format!("{name}.{}", Reason::Interrupted.word());
                    protocol::set_aside(&mut self.rooms(), (Room::Tmp, &name), &aside)
                }
                // Its other name is the entry.
                (false, _) => self.rooms().unlink((Room::Tmp, &name)),
            };
            match moved {
                Ok(()) => swept.push(name),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(explain("tmp cannot be swept", &path, &error)),
            }
        }
        Ok(swept)
    }

    /// Deletes what is too old or too much in failed/, oldest first, and tells the names.
    ///
    /// What came there at `now` or later stays: nothing goes in the pass in which it failed.
    pub fn prune_failed(&self, now: u64) -> Result<Vec<String>, Failure> {
        self.prune(now, FAILED_BYTES_MAX)
    }

    fn prune(&self, now: u64, bytes_max: u64) -> Result<Vec<String>, Failure> {
        let all = self.failed()?;
        let mut total = all
            .iter()
            .map(|failed| failed.size_bytes)
            .fold(0, u64::saturating_add);
        let mut of_users: HashMap<u32, u64> = HashMap::new();
        for failed in &all {
            let own = of_users.entry(failed.uid).or_default();
            *own = own.saturating_add(failed.size_bytes);
        }
        let mut pruned = Vec::new();
        // Whoever has more than his share makes room first, then the oldest of all.
        let (greedy, modest): (Vec<_>, Vec<_>) = all
            .into_iter()
            .filter(|failed| failed.since < now)
            .partition(|failed| {
                let own = of_users.entry(failed.uid).or_default();
                let over = *own > bytes_max / SHARES;
                *own = own.saturating_sub(failed.size_bytes);
                over
            });
        for failed in greedy.into_iter().chain(modest) {
            if now - failed.since <= FAILED_AGE_MAX && total <= bytes_max {
                continue;
            }
            match self.rooms().unlink((Room::Failed, &failed.name)) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    let path = self.rooms().path((Room::Failed, &failed.name));
                    return Err(explain("failed cannot be pruned", &path, &error));
                }
                _ => {
                    total = total.saturating_sub(failed.size_bytes);
                    pruned.push(failed.name);
                }
            }
        }
        Ok(pruned)
    }

    /// The regular files of a directory whose names are text.
    pub(super) fn files<T>(
        &self,
        room: Room,
        see: impl Fn(&str, &Metadata) -> T,
    ) -> Result<Vec<T>, Failure> {
        let path = self.rooms().room(room);
        let look = || -> io::Result<Vec<T>> {
            let mut found = Vec::new();
            for item in fs::read_dir(&path)? {
                let item = item?;
                let Ok(metadata) = item.metadata() else {
                    continue;
                };
                if let Some(name) = item.file_name().to_str().filter(|_| metadata.is_file()) {
                    found.push(see(name, &metadata));
                }
            }
            Ok(found)
        };
        raised(look).map_err(|error| explain(NOT_READ, &path, &error))
    }
}

/// Whether a process still writes a draft. One that its writer never opened to the group cannot be
/// asked; its age has to do, and a writer that finds it gone fails cleanly.
pub(super) fn in_use(path: &Path) -> bool {
    let locked = open_existing(path, false).map(|file| file.try_lock());
    matches!(locked, Ok(Err(TryLockError::WouldBlock)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::spool::tests::Scratch;
    use crate::sys::clock;
    use std::time::UNIX_EPOCH;

    fn scratch_with_failed(names: &[&str]) -> (Scratch, u64) {
        let scratch = Scratch::new();
        for name in names {
            scratch.write("failed", name, &[b'x'; 100]);
        }
        let now = clock::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        (scratch, now)
    }

    #[test]
    fn what_failed_is_kept_for_30_days() {
        let (scratch, now) = scratch_with_failed(&["a.refused", "b.expired"]);
        let day = 24 * HOUR;
        assert!(
            scratch
                .spool
                .prune_failed(now + 29 * day)
                .unwrap()
                .is_empty()
        );
        assert_eq!(scratch.spool.prune_failed(now + 31 * day).unwrap().len(), 2);
        assert!(scratch.names("failed").is_empty());
    }

    #[test]
    fn what_is_too_much_goes_oldest_first_and_never_in_the_pass_in_which_it_failed() {
        let (scratch, now) = scratch_with_failed(&["a.refused", "b.refused", "c.refused"]);
        let early = now.saturating_sub(60);
        assert!(scratch.spool.prune(early, 0).unwrap().is_empty());
        let oldest = scratch.spool.failed().unwrap().remove(0).name;
        assert_eq!(scratch.spool.prune(now + 60, 250).unwrap(), [oldest]);
        assert_eq!(scratch.names("failed").len(), 2);
    }

    #[test]
    fn an_empty_or_missing_room_is_told_apart() {
        let (scratch, now) = scratch_with_failed(&[]);
        assert!(scratch.spool.sweep_tmp(now).unwrap().is_empty());
        std::fs::remove_dir(scratch.path("failed", "")).unwrap();
        assert_eq!(scratch.spool.failed().unwrap_err().err(), Some("ENOENT"));
    }

    #[test]
    fn whoever_has_more_than_his_share_makes_room_first() {
        let names = [
            "a.refused",
            "b.refused",
            "c.refused",
            "d.refused",
            "e.refused",
        ];
        let (scratch, now) = scratch_with_failed(&names);
        let all = scratch.spool.failed().unwrap();
        // All but the oldest are somebody else's; only root can make them so.
        let other = Some(all[0].uid + 1);
        let others = all[1..].iter().all(|failed| {
            let path = scratch.path("failed", &failed.name);
            std::os::unix::fs::chown(path, other, None).is_ok()
        });
        let pruned = scratch.spool.prune(now + 60, 400).unwrap();
        assert_eq!(pruned.len(), 1);
        assert_eq!(pruned.contains(&all[0].name), !others, "{pruned:?}");
    }
}
