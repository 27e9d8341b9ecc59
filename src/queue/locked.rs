//! One entry in the hands of one process.
#![expect(clippy::disallowed_methods, reason = "edge: an entry on disk")]

use super::disk::{Rooms, facts_of_name, open_existing};
use super::entry::Mark;
use super::octets::{Damage, Stored};
use super::protocol::{self, Disk, Room};
use super::spool::{Listed, Reason};
use super::state::State;
use super::trouble::explain;
use crate::outcome::{Failure, QueueId};
use crate::sys::file::error_name;
use crate::sys::privilege::raised;
use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// No message comes near it; a larger file would only fill the memory.
const SIZE_MAX: u64 = 1024 * 1024 * 1024;

/// An entry that no other process works on until this value is dropped.
#[derive(Debug)]
pub struct Locked<'a> {
    pub id: QueueId,
    /// Who handed the message in; not to be forged.
    pub uid: u32,
    pub stored: Stored,
    rooms: Rooms<'a>,
    file: File,
}

/// Why an entry is left alone.
#[derive(Debug)]
pub enum Passed {
    /// Another process has sent or removed it.
    Gone,
    /// Another process works on it.
    Busy,
    /// Not the file that was listed, or not one file with one name.
    Changed,
    Unreadable(io::Error),
    /// To be quarantined.
    Damaged(Damage),
}

impl Passed {
    /// The short cause for the log.
    pub fn word(&self) -> String {
        match self {
            Passed::Gone => "gone".to_owned(),
            Passed::Busy => "busy".to_owned(),
            Passed::Changed => "changed".to_owned(),
            Passed::Unreadable(error) => error_name(error),
            Passed::Damaged(damage) => damage.word().to_owned(),
        }
    }
}

impl<'a> Locked<'a> {
    pub(super) fn open(rooms: Rooms<'a>, listed: &Listed) -> Result<Locked<'a>, Passed> {
        let name = listed.id.to_string();
        let file = open_existing(&rooms.path((Room::Queue, &name)), true).map_err(not_opened)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Passed::Busy),
            Err(TryLockError::Error(error)) => return Err(Passed::Unreadable(error)),
        }
        drop_draft(rooms, &name, &file);
        let stored = read(&rooms.path((Room::Queue, &name)), listed.owner, &file)?;
        Ok(Locked {
            id: listed.id.clone(),
            uid: listed.uid,
            stored,
            rooms,
            file,
        })
    }

    /// Writes the state, durably: before an attempt what is to be assumed if it never ends, after it
    /// what came of it. Nothing may be sent if this fails.
    pub fn write_state(&mut self, state: &State) -> Result<(), Failure> {
        let line = state.line();
        let written = protocol::record(&mut self.rooms, &self.file, &[(0, &line)]);
        written.map_err(|error| {
            self.blame("the attempt cannot be recorded", &error)
                .with_reason("cannot-record")
        })?;
        self.stored.entry.state = state.clone();
        Ok(())
    }

    /// Marks recipients by their places, durably. If this fails after the server has taken the
    /// message, it must not stay in the queue: `fail` it.
    pub fn mark(&mut self, marks: &[(usize, Mark)]) -> Result<(), Failure> {
        let octets: Vec<(u64, [u8; 1])> = marks
            .iter()
            .filter_map(|(place, mark)| Some((self.stored.mark_offset(*place)?, [mark.octet()])))
            .collect();
        let patches: Vec<(u64, &[u8])> = octets
            .iter()
            .map(|(offset, octet)| (*offset, octet.as_slice()))
            .collect();
        let written = protocol::record(&mut self.rooms, &self.file, &patches);
        written.map_err(|error| {
            self.blame("a delivery cannot be recorded", &error)
                .with_reason("unrecorded")
        })?;
        for (place, mark) in marks {
            if let Some(recipient) = self.stored.entry.recipients.get_mut(*place) {
                recipient.mark = *mark;
            }
        }
        Ok(())
    }

    /// Removes the entry. It is not synced: an entry that comes back shows by its marks that it is
    /// done.
    pub fn remove(mut self) -> Result<(), Failure> {
        let removed = self.rooms.unlink((Room::Queue, &self.id.to_string()));
        removed.map_err(|error| self.blame("an entry cannot be removed", &error))
    }

    /// Moves the entry to failed/, for good.
    pub fn fail(mut self, reason: Reason) -> Result<(), Failure> {
        let name = self.id.to_string();
        let aside = format!("{name}.{}", reason.word());
        let moved = protocol::set_aside(&mut self.rooms, (Room::Queue, &name), &aside);
        moved.map_err(|error| self.rooms.not_aside(&error))
    }

    fn blame(&self, what: &str, error: &io::Error) -> Failure {
        let path = self.rooms.path((Room::Queue, &self.id.to_string()));
        explain(what, &path, error)
    }
}

/// Reads an open file, if it is the one under its name, and still that owner's.
pub(super) fn read(path: &Path, owner: u32, file: &File) -> Result<Stored, Passed> {
    let opened = file.metadata().map_err(Passed::Unreadable)?;
    let shown = facts_of_name(path).map_err(not_opened)?;
    if (shown.dev(), shown.ino()) != (opened.dev(), opened.ino()) {
        return Err(Passed::Gone);
    }
    if !opened.is_file() || opened.nlink() != 1 || opened.uid() != owner {
        return Err(Passed::Changed);
    }
    if opened.len() > SIZE_MAX {
        return Err(Passed::Damaged(Damage::Size));
    }
    let mut octets = Vec::new();
    let size = usize::try_from(opened.len()).unwrap_or(usize::MAX);
    octets
        .try_reserve_exact(size.saturating_add(1))
        .map_err(|_| Passed::Unreadable(ErrorKind::OutOfMemory.into()))?;
    let octets_read = file.take(opened.len()).read_to_end(&mut octets);
    octets_read.map_err(Passed::Unreadable)?;
    Stored::decode(octets).map_err(Passed::Damaged)
}

/// What stands for an entry that cannot be opened.
pub(super) fn not_opened(error: io::Error) -> Passed {
    match error.kind() {
        ErrorKind::NotFound => Passed::Gone,
        _ => Passed::Unreadable(error),
    }
}

/// Removes the name in tmp/ that a kill can leave where a rename had to be a link and an unlink.
fn drop_draft(rooms: Rooms<'_>, name: &str, file: &File) {
    let draft = rooms.path((Room::Tmp, name));
    if let (Ok(shown), Ok(opened)) = (facts_of_name(&draft), file.metadata())
        && (shown.dev(), shown.ino()) == (opened.dev(), opened.ino())
    {
        let _ = raised(|| fs::remove_file(draft));
    }
}
