//! Why the group of the program is of no use to this process, in an administrator's words.
#![expect(
    clippy::disallowed_methods,
    reason = "edge: asks what the process runs from"
)]

use super::Start;
use crate::sys::file::mounted_nosuid;
use std::fmt;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The program that runs.
const OWN: &str = "/proc/self/exe";

/// What keeps the group of the program from this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lack {
    /// Root inside a user namespace is an ordinary user of the host.
    Namespace,
    /// The program is not installed setgid, or this is a copy of it.
    Bit(PathBuf),
    Nosuid(PathBuf),
    NoNewPrivileges,
    Traced,
}

impl Lack {
    /// What a process lacks that should have the group of `dir`; none if it has it.
    ///
    /// A directory can be asked for its group by everybody.
    pub fn of(start: Start, dir: &Path) -> Option<Lack> {
        let Ok(facts) = fs::metadata(dir) else {
            return None;
        };
        // What belongs to root belongs to nobody where root is another.
        if facts.uid() != 0 && in_namespace() {
            return Some(Lack::Namespace);
        }
        if super::users().real == 0 || has(facts.gid()) {
            return None;
        }
        let path = fs::read_link(OWN).unwrap_or_else(|_| PathBuf::from("sendmail365"));
        let program = fs::metadata(OWN).ok();
        let bit = program.is_some_and(|program| {
            let setgid = program.permissions().mode() & 0o2010 == 0o2010;
            setgid && program.gid() == facts.gid()
        });
        Some(if !bit {
            Lack::Bit(path)
        } else if mounted_nosuid(Path::new(OWN)) {
            Lack::Nosuid(path)
        } else if start.no_new_privs {
            Lack::NoNewPrivileges
        } else if traced() {
            Lack::Traced
        } else {
            // The kernel also ignores the bit where it cannot tell the group in a namespace.
            Lack::Namespace
        })
    }

    /// What ends it, besides the socket.
    pub fn cure(&self) -> Option<String> {
        match self {
            Lack::Bit(path) => {
                let path = path.display();
                Some(format!(
                    "as root: chgrp sendmail365 {path} && chmod 2755 {path}"
                ))
            }
            Lack::Nosuid(_) => Some("mount it without nosuid".to_owned()),
            Lack::Traced => Some("trace it as root: strace -u USER".to_owned()),
            Lack::NoNewPrivileges | Lack::Namespace => None,
        }
    }
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Lack::Namespace => f.write_str(
                "it runs in a user namespace, where nobody is taken for root of this host",
            ),
            Lack::Bit(path) => write!(f, "the setgid bit of {} is missing", path.display()),
            Lack::Nosuid(path) => {
                write!(f, "the file system of {} is mounted nosuid", path.display())
            }
            Lack::NoNewPrivileges => f.write_str("it was started with NoNewPrivileges"),
            Lack::Traced => f.write_str("it is being traced"),
        }
    }
}

/// Whether the process has a group, be it kept or one of many.
#[expect(unsafe_code, reason = "libc calls")]
fn has(group: u32) -> bool {
    let own = super::groups();
    if [own.real, own.effective, own.saved].contains(&group) {
        return true;
    }
    // SAFETY: with a size of 0 nothing is written.
    let count = unsafe { libc::getgroups(0, std::ptr::null_mut()) };
    let mut others = vec![0; usize::try_from(count).unwrap_or(0)];
    // SAFETY: there is room for as many as the size says.
    let count = unsafe { libc::getgroups(count.max(0), others.as_mut_ptr()) };
    others.truncate(usize::try_from(count).unwrap_or(0));
    others.contains(&group)
}

/// Whether users have other numbers here than on the host.
fn in_namespace() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let numbers: Vec<&str> = map.split_whitespace().collect();
    !map.is_empty() && numbers != ["0", "0", "4294967295"]
}

fn traced() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let tracer = status
        .lines()
        .find_map(|line| line.strip_prefix("TracerPid:"));
    tracer.is_some_and(|pid| pid.trim() != "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_the_group_lacks_nothing() {
        let start = Start {
            no_new_privs: false,
        };
        let own = std::env::temp_dir().join("does-not-exist");
        assert_eq!(Lack::of(start, &own), None);
        assert!(has(super::super::groups().real));
        assert!(!has(u32::MAX - 1));
    }

    #[test]
    fn each_lack_is_told_apart() {
        let path = || PathBuf::from("/usr/sbin/sendmail365");
        let all = [
            Lack::Namespace,
            Lack::Bit(path()),
            Lack::Nosuid(path()),
            Lack::NoNewPrivileges,
            Lack::Traced,
        ];
        for (lack, word) in all.iter().zip([
            "user namespace",
            "setgid bit of /usr",
            "nosuid",
            "NoNewPrivileges",
            "traced",
        ]) {
            assert!(lack.to_string().contains(word), "{lack}");
        }
    }
}
