//! Whose the files of a sign-in have to be, and with what mode.
#![expect(clippy::disallowed_methods, reason = "edge: owners of the token slots")]

use super::shelf::{LOCK, LOGIN, SLOTS};
use crate::outcome::{Class, Failure, Stage};
use crate::sys::file::replaceable_by_others;
use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Owner, group and mode of the files in one directory.
///
/// The directory's group may write where the directory is root's, as installed. In a user's own
/// directory that group may be everybody's, and the user alone needs the files.
pub(crate) struct Owner {
    user: u32,
    pub(crate) group: u32,
    pub(crate) mode: u32,
}

impl Owner {
    /// What the files of this directory get.
    pub(crate) fn of_files_in(dir: &Path) -> io::Result<Owner> {
        let metadata = fs::metadata(dir)?;
        let mode = if metadata.uid() == 0 { 0o660 } else { 0o600 };
        Ok(Owner {
            user: metadata.uid(),
            group: metadata.gid(),
            mode,
        })
    }
}

/// Finds fault with the owner and mode of the files, as a sign-in would have made them.
///
/// `owner` may own the directories besides root.
pub(crate) fn judge(dirs: &[PathBuf], owner: u32) -> Result<(), Failure> {
    for dir in dirs {
        let unreadable = |error: io::Error| {
            Failure::new(Class::Config, "the stored sign-in cannot be checked")
                .because(format!("{}: {error}", dir.display()))
                .fix(
                    "the directory has to be root:sendmail365 with mode 0750, or this user's own with \
                     mode 0700",
                )
                .with_os_error(&error)
                .at(Stage::Token)
        };
        match replaceable_by_others(dir, owner) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(unreadable(error)),
            Ok(Some(found)) => return Err(exposed(&found.why(), found.cure())),
            Ok(None) => {}
        }
        let wanted = Owner::of_files_in(dir).map_err(unreadable)?;
        for path in SLOTS.iter().chain([&LOCK]).map(|name| dir.join(name)) {
            match fs::symlink_metadata(&path) {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(unreadable(error)),
                Ok(found) => wanted.judge(&path, &found)?,
            }
        }
    }
    Ok(())
}

impl Owner {
    fn judge(&self, path: &Path, found: &Metadata) -> Result<(), Failure> {
        let mode = found.mode() & 0o7777;
        let shared = self.mode & 0o070 != 0;
        if !found.is_file() || found.nlink() != 1 {
            let why = format!("{} is not a regular file with one link", path.display());
            return Err(exposed(&why, format!("remove it, then {LOGIN}")));
        }
        let foreign = found.uid() != self.user;
        let why = if foreign {
            format!("belongs to uid {}", found.uid())
        } else if shared && found.gid() != self.group {
            format!("has group {}", found.gid())
        } else if mode != self.mode {
            format!("has mode {mode:04o}, not {:04o}", self.mode)
        } else {
            return Ok(());
        };
        let Owner { user, group, mode } = self;
        let path = path.display();
        let cure = match !foreign && self.user != 0 {
            true => format!("chmod {mode:04o} {path}"),
            false => format!("as root: chown {user}:{group} {path} && chmod {mode:04o} {path}"),
        };
        Err(exposed(&format!("{path} {why}"), cure))
    }
}

fn exposed(why: &str, cure: String) -> Failure {
    Failure::new(Class::Config, "the stored sign-in is not safe")
        .because(why)
        .fix(cure)
        .with_reason("exposed")
        .at(Stage::Token)
}
