//! The steps whose order decides what a crash leaves behind.
//!
//! Written over a trait, so that the order the tests cut the power in is the order that runs.
//! Exit status 0 stands on `commit`: the octets are on the disk before the name is, the name is
//! before anybody is told. A sync that failed is never tried again: the second one may answer yes
//! without having written what the first one lost.

use crate::outcome::{Failure, QueueId};
use std::io::{self, ErrorKind};

/// A directory of the spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Room {
    Tmp,
    Queue,
    Failed,
}

/// A file by its directory and name.
pub(super) type Place<'a> = (Room, &'a str);

/// What the protocols ask of a disk.
pub(super) trait Disk {
    type File;

    /// Creates a file in tmp/ that nobody else can read, and locks it: whoever finds it under its
    /// later name knows by the lock that its writer may still take it back.
    fn create(&mut self, name: &str) -> io::Result<Self::File>;
    fn write(&mut self, file: &mut Self::File, octets: &[u8]) -> io::Result<()>;
    fn write_at(&mut self, file: &Self::File, octets: &[u8], offset: u64) -> io::Result<()>;
    fn set_mode(&mut self, file: &Self::File, mode: u32) -> io::Result<()>;
    fn sync(&mut self, file: &Self::File) -> io::Result<()>;
    fn sync_data(&mut self, file: &Self::File) -> io::Result<()>;
    fn open_room(&mut self, room: Room) -> io::Result<Self::File>;
    /// Never replaces a file.
    fn rename(&mut self, from: Place<'_>, to: Place<'_>) -> io::Result<()>;
    fn unlink(&mut self, place: Place<'_>) -> io::Result<()>;
}

/// What is to be committed, and where to.
pub(super) struct Parcel<'a> {
    pub(super) pieces: &'a [&'a [u8]],
    pub(super) mode: u32,
    pub(super) room: Room,
    /// What follows the id in the name.
    pub(super) suffix: &'a str,
}

/// A message that is in the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// Its name; another than the one asked for if that was taken.
    pub id: QueueId,
    /// False if the disk failed twice: the message is there and will be sent, unless the power goes.
    pub durable: bool,
}

/// Why nothing was committed.
#[derive(Debug)]
pub(super) enum Trouble {
    Disk(Room, io::Error),
    /// No other name could be made.
    Name(Failure),
}

/// Commits a parcel: on success it is durable; on failure nothing of it is left.
///
/// `another` makes a new name where one is taken.
pub(super) fn commit<D: Disk>(
    disk: &mut D,
    parcel: &Parcel<'_>,
    id: &QueueId,
    another: &mut dyn FnMut() -> Result<QueueId, Failure>,
) -> Result<Committed, Trouble> {
    let draft = id.to_string();
    let mut file = disk
        .create(&draft)
        .map_err(|error| Trouble::Disk(Room::Tmp, error))?;
    let room = match fill(disk, &mut file, parcel) {
        Ok(room) => room,
        Err(trouble) => {
            let _ = disk.unlink((Room::Tmp, &draft));
            return Err(trouble);
        }
    };
    let mut id = id.clone();
    let landed = land(disk, &draft, parcel, &mut id, another);
    if let Err(trouble) = landed {
        return match disk.unlink((Room::Tmp, &draft)) {
            // The error came after the deed.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                withdraw(disk, parcel, id, trouble)
            }
            _ => Err(trouble),
        };
    }
    match disk.sync(&room) {
        Ok(()) => Ok(Committed { id, durable: true }),
        Err(error) => withdraw(disk, parcel, id, Trouble::Disk(parcel.room, error)),
    }
}

/// Writes over parts of a file in place and makes them durable.
pub(super) fn record<D: Disk>(
    disk: &mut D,
    file: &D::File,
    patches: &[(u64, &[u8])],
) -> io::Result<()> {
    for (offset, octets) in patches {
        disk.write_at(file, octets, *offset)?;
    }
    disk.sync_data(file)
}

/// Moves a file to failed/, under `name` or one like it.
///
/// The syncs are for the case that it must not come back; that they fail changes nothing for now.
pub(super) fn set_aside<D: Disk>(disk: &mut D, from: Place<'_>, name: &str) -> io::Result<()> {
    let mut moved = disk.rename(from, (Room::Failed, name));
    for number in 2..10 {
        if !matches!(&moved, Err(error) if error.kind() == ErrorKind::AlreadyExists) {
            break;
        }
        moved = disk.rename(from, (Room::Failed, &format!("{name}.{number}")));
    }
    moved?;
    for room in [Room::Failed, from.0] {
        let _ = disk.open_room(room).and_then(|room| disk.sync(&room));
    }
    Ok(())
}

/// Patches a file, then moves it into the queue, where it will be sent.
pub(super) fn put_back<D: Disk>(
    disk: &mut D,
    file: &D::File,
    patches: &[(u64, &[u8])],
    (from, name): (Place<'_>, &str),
) -> io::Result<()> {
    record(disk, file, patches)?;
    disk.rename(from, (Room::Queue, name))?;
    for room in [Room::Queue, from.0] {
        let _ = disk.open_room(room).and_then(|room| disk.sync(&room));
    }
    Ok(())
}

/// Makes the octets durable, and opens the directory while a failure is still without consequence.
fn fill<D: Disk>(
    disk: &mut D,
    file: &mut D::File,
    parcel: &Parcel<'_>,
) -> Result<D::File, Trouble> {
    let in_tmp = |error| Trouble::Disk(Room::Tmp, error);
    for piece in parcel.pieces {
        disk.write(file, piece).map_err(in_tmp)?;
    }
    disk.set_mode(file, parcel.mode).map_err(in_tmp)?;
    disk.sync(file).map_err(in_tmp)?;
    let room = disk.open_room(parcel.room);
    room.map_err(|error| Trouble::Disk(parcel.room, error))
}

/// Gives the file its name; `id` tells which one was tried last.
fn land<D: Disk>(
    disk: &mut D,
    draft: &str,
    parcel: &Parcel<'_>,
    id: &mut QueueId,
    another: &mut dyn FnMut() -> Result<QueueId, Failure>,
) -> Result<(), Trouble> {
    const TRIES: usize = 5;
    let mut tries = 1;
    loop {
        let name = format!("{id}{}", parcel.suffix);
        match disk.rename((Room::Tmp, draft), (parcel.room, &name)) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::AlreadyExists && tries < TRIES => {
                *id = another().map_err(Trouble::Name)?;
                tries += 1;
            }
            Err(error) => return Err(Trouble::Disk(parcel.room, error)),
        }
    }
}

/// Takes a name back. Where that fails too, the truth is that the message will be sent.
fn withdraw<D: Disk>(
    disk: &mut D,
    parcel: &Parcel<'_>,
    id: QueueId,
    trouble: Trouble,
) -> Result<Committed, Trouble> {
    let name = format!("{id}{}", parcel.suffix);
    match disk.unlink((parcel.room, &name)) {
        Ok(()) => Err(trouble),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(trouble),
        Err(_) => Ok(Committed { id, durable: false }),
    }
}

#[cfg(test)]
mod tests;
