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
                .fix("the directory has to be root:sendmail365 with mode 0750")
                .with_os_error(&error)
                .at(Stage::Token)
        };
        match replaceable_by_others(dir, owner) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(unreadable(error)),
            Ok(Some(step)) => {
                let cure = format!("as root: chown root {0} && chmod go-w {0}", step.display());
                return Err(exposed(&step, "can be changed by others than root", cure));
            }
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
            let cure = format!("remove it, then {LOGIN}");
            return Err(exposed(path, "is not a regular file with one link", cure));
        }
        let why = if found.uid() != self.user {
            format!("belongs to uid {}", found.uid())
        } else if shared && found.gid() != self.group {
            format!("has group {}", found.gid())
        } else if mode != self.mode {
            format!("has mode {mode:04o}, not {:04o}", self.mode)
        } else {
            return Ok(());
        };
        let Owner { user, group, mode } = self;
        let path_shown = path.display();
        let cure =
            format!("as root: chown {user}:{group} {path_shown} && chmod {mode:04o} {path_shown}");
        Err(exposed(path, &why, cure))
    }
}

fn exposed(path: &Path, why: &str, cure: String) -> Failure {
    Failure::new(Class::Config, "the stored sign-in is not safe")
        .because(format!("{} {why}", path.display()))
        .fix(cure)
        .with_reason("exposed")
        .at(Stage::Token)
}
