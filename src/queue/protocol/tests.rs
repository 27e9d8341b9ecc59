//! The protocols on a real directory, with every call failing once; and their steps, as they were
//! executed, with the power cut anywhere.

mod faults;
mod power;

use super::*;
use crate::queue::disk::Rooms;
use crate::queue::octets::Stored;
use crate::queue::spool::tests::{Scratch, entry, id};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;

const EIO: i32 = 5;
const EEXIST: i32 = 17;
const ENOSPC: i32 = 28;
const EROFS: i32 = 30;

/// What a call did, as the model sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Create(usize, Room, String),
    Write(usize),
    Mode(usize),
    Sync(Label),
    Rename(Room, String, Room, String),
    Unlink(Room, String),
    /// Not a call: what the rest of the world learns at this point.
    Said(&'static str),
}

/// What a descriptor stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Label {
    File(usize),
    Dir(Room),
}

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Undone(i32),
    /// The error comes though the deed was done.
    Done(i32),
}

/// The real disk; it records what was done and fails where it is told to.
struct Spy<'a> {
    rooms: Rooms<'a>,
    steps: Vec<Step>,
    calls: usize,
    faults: Vec<(usize, Fault)>,
    files: usize,
}

impl<'a> Spy<'a> {
    fn new(scratch: &'a Scratch, faults: &[(usize, Fault)]) -> Spy<'a> {
        Spy {
            rooms: scratch.spool.rooms(),
            steps: Vec::new(),
            calls: 0,
            faults: faults.to_vec(),
            files: 0,
        }
    }

    fn call<T>(
        &mut self,
        step: Option<Step>,
        deed: impl FnOnce(&mut Rooms<'a>) -> io::Result<T>,
    ) -> io::Result<T> {
        let fault = self.faults.iter().find(|(call, _)| *call == self.calls);
        self.calls += 1;
        match fault {
            Some((_, Fault::Undone(number))) => Err(io::Error::from_raw_os_error(*number)),
            Some((_, Fault::Done(number))) => {
                deed(&mut self.rooms)?;
                Err(io::Error::from_raw_os_error(*number))
            }
            None => {
                let answer = deed(&mut self.rooms)?;
                self.steps.extend(step);
                Ok(answer)
            }
        }
    }
}

impl Disk for Spy<'_> {
    type File = (File, Label);

    fn create(&mut self, name: &str) -> io::Result<Self::File> {
        let number = self.files;
        self.files += 1;
        let step = Step::Create(number, Room::Tmp, name.to_owned());
        let file = self.call(Some(step), |rooms| rooms.create(name))?;
        Ok((file, Label::File(number)))
    }

    fn write(&mut self, (file, label): &mut Self::File, octets: &[u8]) -> io::Result<()> {
        let step = Step::Write(number(*label));
        self.call(Some(step), |rooms| rooms.write(file, octets))
    }

    fn write_at(&mut self, file: &Self::File, octets: &[u8], offset: u64) -> io::Result<()> {
        let step = Step::Write(number(file.1));
        self.call(Some(step), |rooms| rooms.write_at(&file.0, octets, offset))
    }

    fn set_mode(&mut self, file: &Self::File, mode: u32) -> io::Result<()> {
        let step = Step::Mode(number(file.1));
        self.call(Some(step), |rooms| rooms.set_mode(&file.0, mode))
    }

    fn sync(&mut self, file: &Self::File) -> io::Result<()> {
        self.call(Some(Step::Sync(file.1)), |rooms| rooms.sync(&file.0))
    }

    fn sync_data(&mut self, file: &Self::File) -> io::Result<()> {
        self.call(Some(Step::Sync(file.1)), |rooms| rooms.sync_data(&file.0))
    }

    fn open_room(&mut self, room: Room) -> io::Result<Self::File> {
        let file = self.call(None, |rooms| rooms.open_room(room))?;
        Ok((file, Label::Dir(room)))
    }

    fn rename(&mut self, from: Place<'_>, to: Place<'_>) -> io::Result<()> {
        let step = Step::Rename(from.0, from.1.to_owned(), to.0, to.1.to_owned());
        self.call(Some(step), |rooms| rooms.rename(from, to))
    }

    fn unlink(&mut self, place: Place<'_>) -> io::Result<()> {
        let step = Step::Unlink(place.0, place.1.to_owned());
        self.call(Some(step), |rooms| rooms.unlink(place))
    }
}

fn number(label: Label) -> usize {
    match label {
        Label::File(number) => number,
        Label::Dir(_) => panic!("a directory is not written"),
    }
}

/// Commits the usual message, and tells what it said and how many calls it took.
fn try_commit(scratch: &Scratch, faults: &[(usize, Fault)]) -> (Result<Committed, Trouble>, usize) {
    let mut spy = Spy::new(scratch, faults);
    let result = commit_on(&mut spy);
    (result, spy.calls)
}

fn commit_on(spy: &mut Spy<'_>) -> Result<Committed, Trouble> {
    let frame = entry(33).frame(&[b"\r\nhi\r\n"]);
    let parcel = Parcel {
        pieces: &[&frame.head, b"\r\nhi\r\n", &frame.trailer],
        mode: 0o600,
        room: Room::Queue,
        suffix: "",
    };
    let mut random = 100;
    let mut another = || {
        random += 1;
        Ok(id(1).renamed(random))
    };
    commit(spy, &parcel, &id(1), &mut another)
}

/// The names of whole entries in queue/; a file there that is not whole is a broken promise.
fn queued(scratch: &Scratch) -> Vec<String> {
    let names = scratch.names("queue");
    for name in &names {
        let octets = scratch.octets("queue", name);
        assert_eq!(Stored::decode(octets).unwrap().entry, entry(33), "{name}");
    }
    names
}
