//! Slots and lock on the disk.
//!
//! A process that merely sends mail cannot create files with the right owner, and the directory is not
//! its to write: it overwrites a slot in place. Only a sign-in, by root, makes files. Whatever is opened
//! has to be the regular file, with one link, that its directory shows under the name.
#![expect(clippy::disallowed_methods, reason = "edge: token slots on disk")]

use super::Account;
use super::owner::Owner;
use super::refusal::no_token;
use super::slot::{self, Fault, SIZE_MAX, Slot};
use crate::outcome::{Failure, Stage};
use crate::sys::file::{error_name, open_regular};
use crate::sys::privilege::{check_file_size, raised};
use crate::sys::random;
use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{
    DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown,
};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

pub(super) const SLOTS: [&str; 2] = ["token.0", "token.1"];
pub(super) const LOCK: &str = "token.lock";

/// The files of a sign-in in these directories, whether they are there or not.
pub fn files(dirs: &[PathBuf]) -> impl Iterator<Item = PathBuf> {
    let names = SLOTS.into_iter().chain([LOCK]);
    dirs.iter()
        .flat_map(move |dir| names.clone().map(|name| dir.join(name)))
}

/// What every slot of every directory held at one moment.
pub(crate) struct Survey(Vec<Reading>);

/// One slot as it was found.
pub(crate) struct Reading {
    /// Place of its directory in the list.
    dir: usize,
    /// `token.N`.
    pub(crate) number: usize,
    path: PathBuf,
    found: Found,
}

enum Found {
    Slot(u64, Slot),
    Nothing,
    Bad(Bad),
}

/// Why a slot that is there is of no use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Bad {
    /// Torn or damaged.
    Corrupt,
    /// Another version of this program wrote it.
    Version,
    /// Not a regular file with one link.
    Type,
    /// The system's name of the error.
    Unreadable(String),
}

impl Bad {
    /// The short cause for the log.
    pub(crate) fn word(&self) -> &str {
        match self {
            Bad::Corrupt => "corrupt",
            Bad::Version => "version",
            Bad::Type => "type",
            Bad::Unreadable(err) => err,
        }
    }
}

impl Survey {
    /// Reads every slot; no lock is needed for it.
    pub(crate) fn of(dirs: &[PathBuf]) -> Survey {
        let mut readings = Vec::new();
        for (dir, path) in dirs.iter().enumerate() {
            for (number, name) in SLOTS.iter().enumerate() {
                let path = path.join(name);
                let found = match look(&path) {
                    // A slot that is being written or replaced right now looks like this too.
                    Found::Bad(_) => look(&path),
                    found => found,
                };
                readings.push(Reading {
                    dir,
                    number,
                    path,
                    found,
                });
            }
        }
        Survey(readings)
    }

    /// The newest slot that was written for this account, and its generation.
    pub(crate) fn newest(&self, account: &Account) -> Option<(u64, &Slot)> {
        let slots = self.0.iter().filter_map(Reading::slot);
        slots
            .filter(|(_, slot)| slot.belongs_to(account))
            .max_by_key(|(generation, _)| *generation)
    }

    /// The highest generation of all, whoever's slot it is.
    pub(crate) fn generation(&self) -> u64 {
        self.0
            .iter()
            .filter_map(Reading::slot)
            .map(|(generation, _)| generation)
            .max()
            .unwrap_or(0)
    }

    /// Slots that are there and of no use.
    pub(crate) fn bad(&self) -> impl Iterator<Item = (&Reading, &Bad)> {
        self.0.iter().filter_map(|reading| match &reading.found {
            Found::Bad(bad) => Some((reading, bad)),
            _ => None,
        })
    }

    /// Why no slot can be used for the account.
    pub(crate) fn missing(&self, account: &Account) -> Failure {
        let failure = Failure::hold(no_token(account)).at(Stage::Token);
        // After a change of the grant one of the same account is there, and of no use.
        let mut slots = self.0.iter().filter_map(Reading::slot);
        let other = slots.find(|(_, slot)| !slot.names(account));
        let worst = self.bad().min_by_key(|(_, bad)| match bad {
            Bad::Version => 0,
            Bad::Type => 1,
            Bad::Unreadable(_) => 2,
            Bad::Corrupt => 3,
        });
        match (worst, other) {
            (Some((reading, bad)), None) => reading.explain(bad, failure),
            (_, Some((_, slot))) => failure
                .because(format!(
                    "the stored sign-in is for mailbox {} and application {}, not for the configured ones",
                    slot.mailbox, slot.client
                ))
                .fix(format!("correct mailbox and client_id under [account], or {LOGIN}"))
                .with_reason("other-account"),
            (None, None) => failure
                .because("nobody has signed in on this host yet")
                .fix(LOGIN)
                .with_reason("no-token"),
        }
    }

    /// Overwrites, in one directory, the slot that is not the newest one of the account.
    pub(crate) fn overwrite(&self, dir: usize, slot: &Slot, account: &Account) -> io::Result<()> {
        let newest = self.newest(account).map(|(generation, _)| generation);
        let candidates = self.0.iter().filter(|reading| reading.dir == dir);
        let target = candidates.min_by_key(|reading| match &reading.found {
            Found::Slot(generation, slot)
                if Some(*generation) == newest && slot.belongs_to(account) =>
            {
                (2, 0)
            }
            Found::Slot(generation, _) => (0, *generation),
            // The slot of a newer program is not ours to destroy.
            Found::Bad(Bad::Version) => (1, 0),
            _ => (0, 0),
        });
        let Some(target) =
            target.filter(|reading| !matches!(reading.found, Found::Bad(Bad::Version)))
        else {
            return Err(io::Error::new(
                ErrorKind::InvalidData,
                "a slot of a newer version",
            ));
        };
        write_in_place(
            &target.path,
            &line(self.generation().saturating_add(1), slot)?,
        )
    }
}

impl Reading {
    fn slot(&self) -> Option<(u64, &Slot)> {
        match &self.found {
            Found::Slot(generation, slot) => Some((*generation, slot)),
            _ => None,
        }
    }

    fn explain(&self, bad: &Bad, failure: Failure) -> Failure {
        let path = self.path.display();
        match bad {
            Bad::Corrupt => failure
                .because(format!("{path} is damaged, and no other slot holds a sign-in"))
                .fix(LOGIN)
                .with_reason(bad.word()),
            Bad::Version => failure
                .because(format!("{path} was written by a newer version of sendmail365"))
                .fix(format!("install that version again, or {LOGIN}"))
                .with_reason(bad.word()),
            Bad::Type => failure
                .because(format!("{path} is not a regular file with one link"))
                .fix(format!("remove it, then {LOGIN}"))
                .with_reason(bad.word()),
            Bad::Unreadable(err) => failure
                .because(format!("{path} cannot be read ({err})"))
                .fix(
                    "token.0, token.1 and token.lock have to be root:sendmail365 with mode 0660, their \
                     directory root:sendmail365 0750; a user's own are his alone, 0600 and 0700",
                )
                .with_err(err)
                .with_reason("unreadable"),
        }
    }
}

pub(super) const LOGIN: &str =
    "run `sendmail365 login` as root, or as the user whose settings these are";

/// Opens the first lock file that exists; it is never made here.
pub(crate) fn open_lock(dirs: &[PathBuf]) -> io::Result<File> {
    let mut missing = io::Error::from(ErrorKind::NotFound);
    for path in dirs.iter().map(|dir| dir.join(LOCK)) {
        match open_single(&path, OpenOptions::new().read(true).write(true)) {
            Ok(file) => return Ok(file),
            // flock needs no right to write, except over NFS.
            Err(error) if error.kind() == ErrorKind::ReadOnlyFilesystem => {
                return Ok(raised(|| open_regular(&path))?.0);
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => missing = error,
        }
    }
    Err(missing)
}

/// Makes the lock and both slots of a directory, with their final owner and mode; the slots hold
/// the sign-in, `token.1` as the newer one.
pub(crate) fn create(dir: &Path, generation: u64, slot: &Slot) -> io::Result<()> {
    if !dir.exists() {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)?;
    }
    let owner = Owner::of_files_in(dir)?;
    make_if_missing(&dir.join(LOCK), &owner)?;
    for (number, name) in (1..).zip(SLOTS) {
        replace(
            dir,
            name,
            &line(generation.saturating_add(number), slot)?,
            &owner,
        )?;
    }
    File::open(dir)?.sync_all()
}

/// Makes empty slots and a lock where they are missing, for a refresh that cannot make them.
pub(crate) fn prepare(dir: &Path) -> io::Result<()> {
    let owner = Owner::of_files_in(dir)?;
    for name in [LOCK].into_iter().chain(SLOTS) {
        make_if_missing(&dir.join(name), &owner)?;
    }
    Ok(())
}

fn look(path: &Path) -> Found {
    let octets = match raised(|| read(path)) {
        Ok(octets) => octets,
        Err(error) if error.kind() == ErrorKind::NotFound => return Found::Nothing,
        Err(error) if error.kind() == ErrorKind::InvalidInput => return Found::Bad(Bad::Type),
        Err(error) => return Found::Bad(Bad::Unreadable(error_name(&error))),
    };
    match slot::decode(&octets) {
        Ok((generation, slot)) => Found::Slot(generation, slot),
        Err(Fault::Empty) => Found::Nothing,
        Err(Fault::Version) => Found::Bad(Bad::Version),
        Err(Fault::Corrupt) => Found::Bad(Bad::Corrupt),
    }
}

fn read(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let shown = single(path)?;
    let (file, opened) = open_regular(path)?;
    same(&shown, &opened)?;
    let mut octets = Zeroizing::new(Vec::with_capacity(SIZE_MAX + 1));
    file.take(SIZE_MAX as u64).read_to_end(&mut octets)?;
    Ok(octets)
}

/// One write, so that a kill leaves the old line, the new one, or a torn one that its sum gives away.
fn write_in_place(path: &Path, line: &[u8]) -> io::Result<()> {
    // Part of a line would leave the slot torn until another refresh comes by.
    check_file_size(line.len() as u64)?;
    let file = open_single(path, OpenOptions::new().write(true))?;
    let written = file.write_at(line, 0)?;
    if written != line.len() {
        return Err(io::Error::from(ErrorKind::WriteZero));
    }
    file.sync_data()
}

/// Opens what the directory itself shows under the name: no symbolic link, no FIFO, no second name.
fn open_single(path: &Path, options: &OpenOptions) -> io::Result<File> {
    let (shown, file) = raised(|| Ok::<_, io::Error>((single(path)?, options.open(path)?)))?;
    same(&shown, &file.metadata()?)?;
    Ok(file)
}

fn single(path: &Path) -> io::Result<Metadata> {
    let metadata = fs::symlink_metadata(path)?;
    if metadata.is_file() && metadata.nlink() == 1 {
        Ok(metadata)
    } else {
        Err(io::Error::from(ErrorKind::InvalidInput))
    }
}

fn same(shown: &Metadata, opened: &Metadata) -> io::Result<()> {
    if (shown.dev(), shown.ino()) == (opened.dev(), opened.ino()) {
        Ok(())
    } else {
        Err(io::Error::from(ErrorKind::InvalidInput))
    }
}

fn line(generation: u64, slot: &Slot) -> io::Result<Zeroizing<Vec<u8>>> {
    slot::encode(generation, slot).ok_or_else(|| io::Error::from(ErrorKind::FileTooLarge))
}

fn make_if_missing(path: &Path, owner: &Owner) -> io::Result<()> {
    match new_file(path, owner) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        result => result?.sync_all(),
    }
}

fn new_file(path: &Path, owner: &Owner) -> io::Result<File> {
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    // Another group only if this process may set it; the mode in any case, whatever the umask is.
    let _ = fchown(&file, None, Some(owner.group));
    file.set_permissions(Permissions::from_mode(owner.mode))?;
    Ok(file)
}

fn replace(dir: &Path, name: &str, line: &[u8], owner: &Owner) -> io::Result<()> {
    let random = random::number().map_err(|failure| io::Error::other(failure.what().to_owned()))?;
    let temporary = dir.join(format!(".{name}.{random:016x}"));
    let written = new_file(&temporary, owner).and_then(|mut file| {
        file.write_all(line)?;
        file.sync_all()?;
        fs::rename(&temporary, dir.join(name))
    });
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}
