//! Files as they stand there: owner, mode, kind, where a link leads. Nothing is changed.
#![expect(clippy::disallowed_methods, reason = "edge: looks at files")]

use super::file::read_regular;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Octets of a table that is read to the end.
const TEXT_MAX: u64 = 1024 * 1024;

/// What stands under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    File,
    Dir,
    /// A link, a device, a socket.
    Other,
}

/// A name as its directory shows it; a link is not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    pub kind: Kind,
    pub uid: u32,
    pub gid: u32,
    /// With the bits for setuid, setgid and sticky.
    pub mode: u32,
    /// How many names the same file has.
    pub links: u64,
}

/// Looks at what stands under a name.
pub fn look(path: &Path) -> io::Result<Seen> {
    let found = std::fs::symlink_metadata(path)?;
    let kind = match (found.is_file(), found.is_dir()) {
        (true, _) => Kind::File,
        (_, true) => Kind::Dir,
        _ => Kind::Other,
    };
    Ok(Seen {
        kind,
        uid: found.uid(),
        gid: found.gid(),
        mode: found.mode() & 0o7777,
        links: found.nlink(),
    })
}

/// The file that a name leads to, through all links.
pub fn leads_to(path: &Path) -> io::Result<PathBuf> {
    path.canonicalize()
}

/// The file of the program that runs.
pub fn program() -> Option<PathBuf> {
    leads_to(&std::env::current_exe().ok()?).ok()
}

/// The names in a directory, in order; none of one that cannot be read.
pub fn names(dir: &Path) -> Vec<PathBuf> {
    let items = std::fs::read_dir(dir).into_iter().flatten();
    let mut names: Vec<PathBuf> = items.flatten().map(|item| item.path()).collect();
    names.sort();
    names
}

/// The text of a small file.
pub fn text(path: &Path) -> io::Result<String> {
    let (octets, _) = read_regular(path, TEXT_MAX)?;
    Ok(String::from_utf8_lossy(&octets).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_no_file_and_leads_to_one() {
        let number = crate::sys::random::number().unwrap();
        let dir = std::env::temp_dir().join(format!("sendmail365-look-{number:x}"));
        std::fs::create_dir(&dir).unwrap();
        let (file, link) = (dir.join("b"), dir.join("a"));
        std::fs::write(&file, "x").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert_eq!(look(&link).unwrap().kind, Kind::Other);
        assert_eq!(look(&file).unwrap().kind, Kind::File);
        assert_eq!(look(&dir).unwrap().kind, Kind::Dir);
        assert_eq!(leads_to(&link).unwrap(), leads_to(&file).unwrap());
        assert_eq!(names(&dir), [link, file.clone()]);
        assert_eq!(text(&file).unwrap(), "x");
        std::fs::remove_dir_all(&dir).unwrap();
        assert!(look(&file).is_err() && names(&dir).is_empty());
    }
}
