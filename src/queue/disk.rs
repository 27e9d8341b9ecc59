//! The spool's directories as the protocols see them.
#![expect(clippy::disallowed_methods, reason = "edge: the queue on disk")]

use super::protocol::{Disk, Place, Room};
use super::trouble::explain;
use crate::outcome::Failure;
use crate::sys::file::{self, create_new, rename_no_replace};
use crate::sys::privilege::raised;
use std::fs::{self, File, Metadata, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The directories below a spool's root.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rooms<'a>(pub(super) &'a Path);

impl Rooms<'_> {
    /// The path of a directory.
    pub(super) fn room(&self, room: Room) -> PathBuf {
        self.0.join(match room {
            Room::Tmp => "tmp",
            Room::Queue => "queue",
            Room::Failed => "failed",
        })
    }

    /// The path of a file.
    pub(super) fn path(&self, (room, name): Place<'_>) -> PathBuf {
        self.room(room).join(name)
    }

    /// Who owns a directory, if it is there.
    pub(super) fn owner(&self, room: Room) -> Option<u32> {
        facts(&self.room(room)).ok().map(|about| about.uid())
    }

    /// The failure where something should have gone to failed/.
    pub(super) fn not_aside(&self, error: &io::Error) -> Failure {
        explain(
            "an entry cannot be put aside",
            &self.room(Room::Failed),
            error,
        )
    }
}

/// Opens a file of the spool for reading, and for writing in place if `write`.
pub(super) fn open_existing(path: &Path, write: bool) -> io::Result<File> {
    raised(|| file::open_existing(path, write))
}

/// Opens a directory of the spool.
pub(super) fn open_dir(path: &Path) -> io::Result<File> {
    raised(|| file::open_dir(path))
}

/// What a directory of the spool is.
pub(super) fn facts(path: &Path) -> io::Result<Metadata> {
    raised(|| fs::metadata(path))
}

/// What stands under a name of the spool.
pub(super) fn facts_of_name(path: &Path) -> io::Result<Metadata> {
    raised(|| fs::symlink_metadata(path))
}

/// The room on the disk under a directory of the spool.
pub(super) fn space(path: &Path) -> io::Result<file::Space> {
    raised(|| file::space(path))
}

impl Disk for Rooms<'_> {
    type File = File;

    fn create(&mut self, name: &str) -> io::Result<File> {
        let file = raised(|| create_new(&self.path((Room::Tmp, name))))?;
        // Where a file system has no locks, the message is still worth keeping.
        let _ = file.try_lock();
        Ok(file)
    }

    fn write(&mut self, file: &mut File, octets: &[u8]) -> io::Result<()> {
        file.write_all(octets)
    }

    fn write_at(&mut self, file: &File, octets: &[u8], offset: u64) -> io::Result<()> {
        file.write_all_at(octets, offset)
    }

    fn set_mode(&mut self, file: &File, mode: u32) -> io::Result<()> {
        file.set_permissions(Permissions::from_mode(mode))
    }

    fn sync(&mut self, file: &File) -> io::Result<()> {
        file.sync_all()
    }

    fn sync_data(&mut self, file: &File) -> io::Result<()> {
        file.sync_data()
    }

    fn open_room(&mut self, room: Room) -> io::Result<File> {
        open_dir(&self.room(room))
    }

    fn rename(&mut self, from: Place<'_>, to: Place<'_>) -> io::Result<()> {
        raised(|| rename_no_replace(&self.path(from), &self.path(to)))
    }

    fn unlink(&mut self, place: Place<'_>) -> io::Result<()> {
        raised(|| fs::remove_file(self.path(place)))
    }
}
