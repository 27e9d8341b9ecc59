//! The configuration file on the disk: read as it is, and replaced at once, with its owner and mode.
#![expect(clippy::disallowed_methods, reason = "edge: writes the configuration")]

use super::edit::Text;
use super::paths::Location;
use crate::outcome::{Class, Failure, Stage};
use crate::sys::caller::Account;
use crate::sys::file::{create_new, open_dir, read_regular};
use crate::sys::privilege::raised;
use crate::sys::random;
use std::fs::{DirBuilder, File, Metadata, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, fchown};
use std::path::Path;

/// Largest file.
const SIZE_MAX: u64 = 1024 * 1024;

/// Owner, group and mode of a file.
struct Owner {
    uid: Option<u32>,
    gid: Option<u32>,
    mode: u32,
}

/// What the file says; none if there is none.
pub fn read(location: &Location) -> Result<Option<Text>, Failure> {
    let path = &location.path;
    let text = match raised(|| read_regular(path, SIZE_MAX)) {
        Ok((text, _)) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("cannot read the configuration", path, &error)),
    };
    let text = String::from_utf8(text).map_err(|_| {
        Failure::new(Class::Config, format!("cannot read {}", path.display()))
            .because("it is not UTF-8")
            .fix("correct it, or move it away; it was not touched")
            .at(Stage::Config)
    })?;
    Text::read(text, path).map(Some)
}

/// Whether owner and mode of the file are those that writing it would give it.
pub fn is_right(location: &Location) -> bool {
    let Ok(found) = raised(|| std::fs::metadata(&location.path)) else {
        return false;
    };
    let group = location.is_hosts().then(group_of_host).flatten();
    let wanted = owner(location.is_hosts(), group, Some(&found));
    let theirs = wanted.gid.is_none_or(|gid| gid == found.gid());
    theirs && wanted.mode == found.mode() & 0o7777
}

/// Writes the file whole; a crash leaves the old one or the new one.
pub fn write(location: &Location, text: &Text) -> Result<(), Failure> {
    let path = &location.path;
    raised(|| replace(location, text))
        .map_err(|error| failed("cannot write the configuration", path, &error))
}

fn failed(what: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::new(
        match error.kind() {
            ErrorKind::PermissionDenied => Class::NoPermission,
            _ => Class::CannotCreate,
        },
        format!("{what} in {}", path.display()),
    )
    .because(error)
    .fix(match error.kind() {
        ErrorKind::InvalidInput | ErrorKind::IsADirectory | ErrorKind::FileTooLarge => {
            "move away what is there; it was not touched"
        }
        ErrorKind::ReadOnlyFilesystem => {
            "make the file system writable, or write the file where it is made from"
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "free some space on the disk",
        _ => "run it as root, or name a file of your own with -C",
    })
    .with_os_error(error)
    .at(Stage::Config)
}

fn replace(location: &Location, text: &Text) -> io::Result<()> {
    // Of a link what it leads to: somebody may keep his settings elsewhere.
    let path = location
        .path
        .canonicalize()
        .unwrap_or(location.path.clone());
    let dir = match path.parent() {
        Some(dir) if dir != Path::new("") => dir,
        _ => Path::new("."),
    };
    let group = location.is_hosts().then(group_of_host).flatten();
    make_dir(dir, group)?;
    let old = std::fs::metadata(&path).ok();
    let owner = owner(location.is_hosts(), group, old.as_ref());
    let random = random::number().map_err(|failure| io::Error::other(failure.what().to_owned()))?;
    let temporary = dir.join(format!(".config.toml.{random:016x}"));
    let written = create_new(&temporary).and_then(|mut file| {
        file.write_all(text.as_str().as_bytes())?;
        give(&file, &owner)?;
        file.sync_all()?;
        std::fs::rename(&temporary, &path)
    });
    if written.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    written?;
    open_dir(dir)?.sync_all()
}

/// The group of the account that runs the host's queue, where there is one.
fn group_of_host() -> Option<u32> {
    let account = Account::of_queue();
    (account.gid != 0).then_some(account.gid)
}

/// The host's file is read by its account; a file of somebody's own stays his, and as closed as it is.
fn owner(is_hosts: bool, group: Option<u32>, old: Option<&Metadata>) -> Owner {
    match (is_hosts, group, old) {
        (true, Some(gid), _) => Owner {
            uid: None,
            gid: Some(gid),
            mode: 0o640,
        },
        (false, _, Some(old)) => Owner {
            uid: Some(old.uid()),
            gid: Some(old.gid()),
            mode: old.mode() & 0o640 | 0o600,
        },
        _ => Owner {
            uid: None,
            gid: None,
            mode: 0o600,
        },
    }
}

fn give(file: &File, owner: &Owner) -> io::Result<()> {
    let now = file.metadata()?;
    let other = |wanted: Option<u32>, now: u32| wanted.filter(|&wanted| wanted != now);
    let (uid, gid) = (other(owner.uid, now.uid()), other(owner.gid, now.gid()));
    if (uid, gid) != (None, None) {
        let given = fchown(file, uid, gid);
        // The host's account has to get at its file; a user's own serves him in any group.
        if owner.uid.is_none() {
            given?;
        }
    }
    file.set_permissions(Permissions::from_mode(owner.mode))
}

fn make_dir(dir: &Path, group: Option<u32>) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let made = open_dir(dir)?;
    match group {
        Some(gid) => give(
            &made,
            &Owner {
                uid: None,
                gid: Some(gid),
                mode: 0o750,
            },
        ),
        None => Ok(()),
    }
}
