//! Which configuration file counts, and where its user's state lives.
#![expect(
    clippy::disallowed_methods,
    reason = "edge: asks whether the caller has a file of his own"
)]

use crate::sys::caller::Caller;
use std::path::{Path, PathBuf};

/// The file of an installed system.
const SYSTEM: &str = "/etc/sendmail365/config.toml";

/// Where an installed system keeps its token slots, and where when /etc is read-only.
const SYSTEM_TOKENS: &str = "/etc/sendmail365";
const SYSTEM_STATE: &str = "/var/lib/sendmail365";
const SYSTEM_SPOOL: &str = "/var/spool/sendmail365";

/// A configuration file and whose it is.
#[derive(Debug, PartialEq, Eq)]
pub struct Location {
    pub path: PathBuf,
    /// The caller named the file or it lies in his home: his rights must do.
    pub callers_own: bool,
}

impl Location {
    /// The file of the installed system, whoever has one of his own.
    pub fn of_host() -> Location {
        Location {
            path: PathBuf::from(SYSTEM),
            callers_own: false,
        }
    }

    /// Whether it is the file of the installed system, by whatever way.
    pub fn is_hosts(&self) -> bool {
        self.path == Path::new(SYSTEM)
    }

    /// The directory that the file is in.
    pub fn dir(&self) -> Option<&Path> {
        self.path.parent()
    }
}

/// The named file, else the caller's own if it exists, else the system's.
///
/// The environment has been cleared by now, so `dirs` asks the password database for the home.
pub fn locate(named: Option<&Path>) -> Location {
    if let Some(path) = named {
        return Location {
            path: path.to_owned(),
            callers_own: true,
        };
    }
    let own = dirs::config_dir().map(|dir| dir.join("sendmail365/config.toml"));
    match own {
        Some(path) if std::fs::symlink_metadata(&path).is_ok() => Location {
            path,
            callers_own: true,
        },
        _ => Location::of_host(),
    }
}

/// The file that a new configuration is written to: the named one, the caller's own if it exists,
/// the system's for root, else one of the caller's own.
pub fn target(named: Option<&Path>, caller: &Caller) -> Location {
    let found = locate(named);
    let own = dirs::config_dir().map(|dir| dir.join("sendmail365/config.toml"));
    match own {
        Some(path) if !found.callers_own && caller.uid != 0 => Location {
            path,
            callers_own: true,
        },
        _ => found,
    }
}

/// Where tokens, shared state and the queue are kept.
#[derive(Debug, PartialEq, Eq)]
pub struct Places {
    pub tokens: PathBuf,
    pub state: PathBuf,
    pub spool: PathBuf,
}

/// The usual places: the system's, or the caller's own.
pub fn defaults(location: &Location, caller: &Caller) -> Places {
    let own = dirs::state_dir().map(|dir| dir.join("sendmail365"));
    match own {
        Some(dir) if location.callers_own && caller.uid != 0 => Places {
            tokens: dir.clone(),
            spool: dir.join("spool"),
            state: dir,
        },
        _ => Places {
            tokens: PathBuf::from(SYSTEM_TOKENS),
            state: PathBuf::from(SYSTEM_STATE),
            spool: PathBuf::from(SYSTEM_SPOOL),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(uid: u32) -> Caller {
        Caller {
            uid,
            pid: 1,
            login: "joe".to_owned(),
            full_name: Vec::new(),
        }
    }

    #[test]
    fn a_named_file_is_taken_as_it_is() {
        let location = locate(Some(Path::new("/x/own.toml")));
        assert_eq!(location.path, Path::new("/x/own.toml"));
        assert!(location.callers_own);
    }

    #[test]
    fn the_systems_file_has_the_systems_slots() {
        let location = Location {
            path: PathBuf::from(SYSTEM),
            callers_own: false,
        };
        assert_eq!(
            defaults(&location, &caller(1000)).tokens,
            Path::new("/etc/sendmail365")
        );
    }

    #[test]
    fn root_with_a_named_file_keeps_the_systems_slots() {
        let location = Location {
            path: PathBuf::from("/x"),
            callers_own: true,
        };
        assert_eq!(
            defaults(&location, &caller(0)).tokens,
            Path::new("/etc/sendmail365")
        );
    }
}
