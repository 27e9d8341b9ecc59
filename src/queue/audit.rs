//! Whether the account that runs the queue finds the spool as it needs it.
#![expect(clippy::disallowed_methods, reason = "edge: owners of the spool")]

use super::protocol::Room;
use super::spool::{RUNNER_LOCK, Spool};
use super::trouble::{explain, explain_lock, wrong_owner};
use crate::outcome::Failure;
use crate::sys::caller::Account;
use crate::sys::file::closed_to;
use std::fs;
use std::io::{Error, ErrorKind};
use std::os::unix::fs::MetadataExt;

const UNFIT: &str = "the queue is not ready";

/// All rights of the owner and of the group, which new files inherit.
const MODE: u32 = 0o2770;

impl Spool {
    /// Finds fault with owners and modes; for root there is nothing but what has to exist.
    pub fn judge(&self, account: &Account) -> Result<(), Failure> {
        for room in [Room::Tmp, Room::Queue, Room::Failed] {
            let path = self.rooms().room(room);
            let found = fs::metadata(&path).map_err(|error| explain(UNFIT, &path, &error))?;
            if !found.is_dir() {
                return Err(explain(UNFIT, &path, &ErrorKind::NotADirectory.into()));
            }
            let theirs = (found.uid(), found.gid()) == (account.uid, account.gid)
                && found.mode() & MODE == MODE;
            if found.mode() & 0o002 != 0 || account.uid != 0 && !theirs {
                return Err(wrong_owner(UNFIT, &path));
            }
        }
        let path = self.root().join(RUNNER_LOCK);
        let blame = |error: Error| explain_lock(&path, false, &error);
        match closed_to(account, &path, 0o6).map_err(blame)? {
            None => Ok(()),
            Some(step) if step == path => Err(blame(ErrorKind::PermissionDenied.into())),
            Some(step) => Err(wrong_owner(UNFIT, &step)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::spool::tests::Scratch;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_is_missing_or_open_to_all_is_found_for_root_too() {
        let root = Account { uid: 0, gid: 0 };
        let scratch = Scratch::new();
        let spool = &scratch.spool;
        spool.judge(&root).unwrap();
        let failed = spool.root().join("failed");
        fs::set_permissions(&failed, Permissions::from_mode(0o777)).unwrap();
        let failure = spool.judge(&root).unwrap_err();
        assert_eq!(failure.reason(), Some("mode"));
        fs::remove_dir(&failed).unwrap();
        let failure = spool.judge(&root).unwrap_err();
        assert_eq!(failure.reason(), Some("missing"));
    }

    #[test]
    fn another_account_needs_the_directories_to_be_its_own() {
        let scratch = Scratch::new();
        let own = fs::metadata(scratch.spool.root()).unwrap();
        let account = Account {
            uid: own.uid() + 4242,
            gid: own.gid(),
        };
        let failure = scratch.spool.judge(&account).unwrap_err();
        assert!(failure.why().unwrap().contains("/tmp has the wrong owner"));
    }
}
