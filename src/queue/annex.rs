//! The spool as the place for large bodies while a message is read: a file that nobody can name.

use super::caps::Caps;
use super::disk::space;
use super::protocol::Room;
use super::spool::Spool;
use super::trouble::explain;
use crate::mail::annex::Annex;
use crate::outcome::{Failure, QueueId};
use crate::sys::privilege::raised;
use crate::sys::unnamed::Unnamed;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;

const IN_MEMORY: &str = "a large message is kept in memory while it is read";

/// A file in tmp/ that is no entry and never becomes one.
struct InTmp {
    file: Unnamed,
    tmp: PathBuf,
    caps: Caps,
}

impl Spool {
    /// Opens one; `id` is its name for a moment if it needs one.
    ///
    /// Whatever the callers pour into such files, entries keep the space that they need.
    pub fn annex(&self, id: &QueueId, caps: &Caps) -> Result<Box<dyn Annex>, Failure> {
        let tmp = self.rooms().room(Room::Tmp);
        let file = raised(|| Unnamed::create(&tmp, &id.to_string()));
        let file = file.map_err(|error| explain(IN_MEMORY, &tmp, &error))?;
        let caps = *caps;
        Ok(Box::new(InTmp { file, tmp, caps }))
    }
}

impl InTmp {
    fn told(&self, error: &io::Error) -> Failure {
        explain(IN_MEMORY, &self.tmp, error)
    }
}

impl Annex for InTmp {
    fn append(&mut self, octets: &[u8]) -> Result<(), Failure> {
        let free = space(&self.tmp).map_err(|error| self.told(&error))?;
        let room = self.caps.check_scratch_space(&free, octets.len() as u64);
        room.map_err(|full| full.told_as(IN_MEMORY))?;
        let appended = self.file.append(octets);
        appended.map_err(|error| self.told(&error))
    }

    fn read_back(&self) -> Result<Vec<u8>, Failure> {
        self.file.read().map_err(|error| self.told(&error))
    }

    fn octets(&self) -> Result<Rc<dyn AsRef<[u8]>>, Failure> {
        let mapped = self.file.map().map_err(|error| self.told(&error))?;
        Ok(Rc::new(mapped))
    }
}

#[cfg(test)]
mod tests {
    use crate::queue::spool::tests::{Scratch, id};
    use crate::queue::{Caps, Spool};

    #[test]
    fn what_is_put_there_is_there_and_leaves_no_file() {
        let scratch = Scratch::new();
        let mut annex = scratch.spool.annex(&id(1), &Caps::default()).unwrap();
        annex.append(b"one ").unwrap();
        annex.append(b"two").unwrap();
        assert_eq!(annex.read_back().unwrap(), b"one two");
        assert_eq!((*annex.octets().unwrap()).as_ref(), b"one two");
        assert!(scratch.names("tmp").is_empty());
    }

    #[test]
    fn a_spool_that_is_missing_says_so() {
        let missing = Spool::new(Scratch::new().spool.root().join("no"));
        let failure = missing.annex(&id(1), &Caps::default()).err().unwrap();
        assert!(failure.what().contains("in memory"));
        assert_eq!(failure.reason(), Some("missing"));
    }

    #[test]
    fn the_space_of_the_entries_is_left_alone() {
        let scratch = Scratch::new();
        let caps = Caps {
            free_bytes: u64::MAX / 4,
            ..Caps::default()
        };
        let disk = crate::sys::file::space(scratch.spool.root()).unwrap();
        let mut annex = scratch.spool.annex(&id(1), &caps).unwrap();
        let fits = disk.free_bytes > disk.total_bytes / 10;
        assert_eq!(annex.append(b"one").is_ok(), fits, "{disk:?}");
    }
}
