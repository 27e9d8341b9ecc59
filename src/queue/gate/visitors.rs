//! How many messages one user may hand in over the socket at the same time.
//!
//! One file serves for all users: each has some octets of it, far behind its end, and a lock on one of
//! them is the right to be let in. The kernel frees it however the process ends.

use super::Gate;
use crate::sys::file::{lock_octet, open_shared};
use std::fs::File;
use std::io;

/// The name of the file in `[paths] state`.
pub(super) const VISITORS: &str = "visitors";

/// Messages of one user at the same time.
const MOST: u64 = 8;

/// Users beyond that share their places with others; a file can be no longer everywhere.
const USERS: u64 = 1 << 27;

/// The right to be let in, for as long as it lives.
#[derive(Debug)]
pub struct Visit {
    _lock: File,
}

impl Gate {
    /// Lets a user in, unless as many of his messages are being handed in as may be.
    pub fn visit(&self, uid: u32) -> io::Result<Option<Visit>> {
        let file = open_shared(&self.path(VISITORS))?;
        let first = u64::from(uid) % USERS * MOST;
        for place in first..first + MOST {
            if lock_octet(&file, place)? {
                return Ok(Some(Visit { _lock: file }));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests")]
mod tests {
    use super::super::tests::Place;
    use super::*;

    #[test]
    fn one_user_is_let_in_eight_times_and_takes_no_place_of_another() {
        let place = Place::new("visitors");
        let visit = |uid| place.gate(1).visit(uid).unwrap();
        for uid in [0, 1000, 1001, u32::MAX] {
            let mut inside: Vec<Visit> = (0..8).map(|_| visit(uid).unwrap()).collect();
            assert!(visit(uid).is_none(), "{uid}");
            let other = visit(uid.wrapping_add(1)).unwrap();
            inside.pop();
            inside.push(visit(uid).unwrap());
            assert!(visit(uid).is_none(), "{uid}");
            drop(other);
        }
    }

    #[test]
    fn a_file_that_is_missing_is_said() {
        let place = Place::new("visitors-missing");
        std::fs::remove_file(place.dir.join(VISITORS)).unwrap();
        let error = place.gate(1).visit(1).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
