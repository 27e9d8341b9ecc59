//! Files that others may try to replace: opened first, judged on the descriptor.
#![expect(clippy::disallowed_methods, reason = "edge: files")]

use super::caller::Account;
use super::privilege::raised;
use std::ffi::CString;
use std::fs::{DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

/// Opens a regular file for reading and answers with what the descriptor says of it.
///
/// A FIFO or device neither blocks nor passes: it is an error of kind `InvalidInput`.
pub fn open_regular(path: &Path) -> io::Result<(File, Metadata)> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC | libc::O_NOCTTY)
        .open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not a regular file",
        ));
    }
    Ok((file, metadata))
}

/// Reads a regular file of at most `size_max` octets; a larger one is `FileTooLarge`.
pub fn read_regular(path: &Path, size_max: u64) -> io::Result<(Vec<u8>, Metadata)> {
    let (file, metadata) = open_regular(path)?;
    let mut octets = Vec::new();
    file.take(size_max + 1).read_to_end(&mut octets)?;
    if octets.len() as u64 > size_max {
        let text = format!("larger than {size_max} octets");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
    }
    Ok((octets, metadata))
}

/// The room on a disk.
#[derive(Debug, Clone, Copy)]
pub struct Space {
    /// What is free for users other than root.
    pub free_bytes: u64,
    /// 0 where the file system does not tell.
    pub total_bytes: u64,
}

/// Creates a file for writing, its owner's alone; a name that is taken, even by a link, is an error.
pub fn create_new(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
        .open(path)
}

/// Opens a file that exists for reading, and for writing in place if `write`.
///
/// No symbolic link is followed, and a FIFO does not block.
pub fn open_existing(path: &Path, write: bool) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(write)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC | libc::O_NOCTTY)
        .open(path)
}

/// Opens a directory, to sync it: `sync_all` makes the names in it durable.
pub fn open_dir(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_DIRECTORY | libc::O_CLOEXEC)
        .open(path)
}

/// Renames a file unless the new name is taken, which is an error of kind `AlreadyExists`.
#[expect(unsafe_code, reason = "libc call")]
pub fn rename_no_replace(from: &Path, to: &Path) -> io::Result<()> {
    const NO_REPLACE: libc::c_uint = 1;
    let old = CString::new(from.as_os_str().as_bytes())?;
    let new = CString::new(to.as_os_str().as_bytes())?;
    // SAFETY: both strings end in NUL and outlive the call, which keeps neither.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_renameat2,
            libc::AT_FDCWD,
            old.as_ptr(),
            libc::AT_FDCWD,
            new.as_ptr(),
            NO_REPLACE,
        )
    };
    if answer == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::ENOSYS | libc::EINVAL) => link_and_unlink(from, to),
        _ => Err(error),
    }
}

/// The room on the disk under `path`.
pub fn space(path: &Path) -> io::Result<Space> {
    let found = file_system(path)?;
    let block = found.f_frsize as u64;
    Ok(Space {
        free_bytes: (found.f_bavail as u64).saturating_mul(block),
        total_bytes: (found.f_blocks as u64).saturating_mul(block),
    })
}

/// Whether setuid and setgid bits below `path` are without effect.
pub fn mounted_nosuid(path: &Path) -> bool {
    file_system(path).is_ok_and(|found| found.f_flag & libc::ST_NOSUID != 0)
}

#[expect(unsafe_code, reason = "libc call")]
fn file_system(path: &Path) -> io::Result<libc::statvfs> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: an all-zero statvfs is a valid value of the plain C struct.
    let mut found: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: the string ends in NUL, `found` is valid for the call, and neither is kept.
    match unsafe { libc::statvfs(path.as_ptr(), &mut found) } {
        0 => Ok(found),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Opens a file that all processes of the host share, for reading and writing.
///
/// Never made here: a process that merely sends mail cannot give it the right owner, and O_CREAT on
/// somebody's file in a sticky directory is refused (fs.protected_regular). On a read-only file
/// system it is opened for reading, which a lock needs no more than.
pub fn open_shared(path: &Path) -> io::Result<File> {
    let open = |write: bool| raised(|| open_existing(path, write));
    let file = match open(true) {
        Err(error) if error.kind() == ErrorKind::ReadOnlyFilesystem => open(false),
        opened => opened,
    }?;
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.nlink() != 1 {
        let text = "not a regular file with one link";
        return Err(io::Error::new(ErrorKind::InvalidInput, text));
    }
    Ok(file)
}

/// Locks one octet of a file, which need not be that long, for as long as the file is open; false if
/// another process has it.
#[expect(unsafe_code, reason = "libc calls")]
pub fn lock_octet(file: &File, offset: u64) -> io::Result<bool> {
    let start = libc::off_t::try_from(offset);
    // SAFETY: an all-zero flock is a valid value of the plain C struct.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = libc::F_WRLCK as libc::c_short;
    lock.l_whence = libc::SEEK_SET as libc::c_short;
    lock.l_start = start.map_err(|_| io::Error::from(ErrorKind::InvalidInput))?;
    lock.l_len = 1;
    // SAFETY: the descriptor is open, and the struct valid for the call.
    if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &lock) } == 0 {
        return Ok(true);
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::EAGAIN | libc::EACCES) => Ok(false),
        _ => Err(error),
    }
}

/// Makes an empty file for [`open_shared`] where there is none, and its directory.
///
/// The directory's group may write it where the directory is root's, as installed. In a user's own
/// directory that group may be everybody's, and the user alone needs the file.
pub fn make_shared(path: &Path) -> io::Result<()> {
    match make_for_group(path)? {
        Some(file) => file.sync_all(),
        None => Ok(()),
    }
}

/// The same without waiting for the disk; none if the file is there already.
pub fn make_for_group(path: &Path) -> io::Result<Option<File>> {
    let dir = path.parent().unwrap_or(Path::new("/"));
    if !dir.exists() {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    }
    let owner = std::fs::metadata(dir)?;
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    let file = match made {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(None),
        made => made?,
    };
    // Another group only if this process may set it; the mode in any case, whatever the umask is.
    let _ = fchown(&file, None, Some(owner.gid()));
    let mode = if owner.uid() == 0 { 0o660 } else { 0o600 };
    file.set_permissions(Permissions::from_mode(mode))?;
    Ok(Some(file))
}

/// The first name on the way to `path` that somebody other than root or `owner` could replace: the
/// file, its parents, and the same for every symbolic link among them.
///
/// A directory with the sticky bit protects the entries in it, as /tmp does. Where there is no such
/// name, what is opened afterwards is what was judged.
pub fn replaceable_by_others(path: &Path, owner: u32) -> io::Result<Option<Replaceable>> {
    // Fails where links go round in circles or too deep, so the loop below has an end.
    path.canonicalize()?;
    let mut names = vec![std::path::absolute(path)?];
    while let Some(name) = names.pop() {
        for step in name.ancestors() {
            let metadata = std::fs::symlink_metadata(step)?;
            let found = Replaceable::judge(step, &metadata, owner);
            if found.foreign || found.writable {
                return Ok(Some(found));
            }
            if metadata.is_symlink() {
                let target = std::fs::read_link(step)?;
                names.push(step.parent().unwrap_or(step).join(target));
            }
        }
    }
    Ok(None)
}

/// The first name on the way to `path` whose owner and mode keep an account out: directories have to
/// let it pass, and the file has to give it the rights `wanted` (4 to read, 2 to write, 1 to pass).
///
/// Lists of access rights are not asked.
pub fn closed_to(account: &Account, path: &Path, wanted: u32) -> io::Result<Option<PathBuf>> {
    let real = path.canonicalize()?;
    let mut steps: Vec<&Path> = real.ancestors().collect();
    steps.reverse();
    for step in steps {
        let wanted = if step == real { wanted } else { 1 };
        let metadata = std::fs::metadata(step)?;
        let shift = match (metadata.uid() == account.uid, metadata.gid() == account.gid) {
            (true, _) => 6,
            (false, true) => 3,
            (false, false) => 0,
        };
        if account.uid != 0 && metadata.mode() >> shift & wanted != wanted {
            let named = if step == real { path } else { step };
            return Ok(Some(named.to_owned()));
        }
    }
    Ok(None)
}

/// A name that somebody else could replace, and what lets him.
#[derive(Debug, PartialEq, Eq)]
pub struct Replaceable {
    path: PathBuf,
    /// Whose it is.
    uid: u32,
    /// Somebody besides root who may own it.
    owner: u32,
    foreign: bool,
    writable: bool,
}

impl Replaceable {
    fn judge(path: &Path, metadata: &Metadata, owner: u32) -> Replaceable {
        let sticky = metadata.is_dir() && metadata.mode() & 0o1000 != 0;
        // The mode of a link means nothing.
        let shielded = sticky || metadata.is_symlink();
        let writable = metadata.mode() & 0o002 != 0;
        let group_writable = metadata.mode() & 0o020 != 0 && metadata.gid() != 0;
        Replaceable {
            path: path.to_owned(),
            uid: metadata.uid(),
            owner,
            foreign: metadata.uid() != 0 && metadata.uid() != owner,
            writable: !shielded && (writable || group_writable),
        }
    }

    /// Which name.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is wrong with it.
    pub fn why(&self) -> String {
        let path = self.path.display();
        match (self.foreign, self.owner) {
            (true, _) => format!("{path} belongs to uid {}", self.uid),
            (false, 0) => format!("{path} can be changed by others than root"),
            (false, _) => format!("{path} can be changed by others than root and this user"),
        }
    }

    /// The command that mends it.
    pub fn cure(&self) -> String {
        let path = self.path.display();
        let (chown, chmod) = (
            format!("chown -h root {path}"),
            format!("chmod go-w {path}"),
        );
        match (self.foreign, self.writable) {
            // Somebody else may have put it there, for root to make it good.
            (true, true) => format!("remove it, or if it is meant, as root: {chown} && {chmod}"),
            (true, false) => format!("remove it, or if it is meant, as root: {chown}"),
            (false, _) if self.uid == 0 => format!("as root: {chmod}"),
            (false, _) => chmod,
        }
    }
}

/// The system's name of an error, such as `ENOSPC`, for the log.
pub fn error_name(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => error_number_name(number),
        None => format!("{:?}", error.kind()),
    }
}

/// The system's name of an error number.
pub fn error_number_name(number: i32) -> String {
    let name = match number {
        libc::EACCES => "EACCES",
        libc::EPERM => "EPERM",
        libc::ENOENT => "ENOENT",
        libc::ENOTDIR => "ENOTDIR",
        libc::EISDIR => "EISDIR",
        libc::ELOOP => "ELOOP",
        libc::EIO => "EIO",
        libc::EROFS => "EROFS",
        libc::ENOSPC => "ENOSPC",
        libc::EDQUOT => "EDQUOT",
        libc::EFBIG => "EFBIG",
        libc::EAGAIN => "EAGAIN",
        libc::EMFILE => "EMFILE",
        libc::ENFILE => "ENFILE",
        libc::ENOMEM => "ENOMEM",
        libc::ENOBUFS => "ENOBUFS",
        libc::ENOLCK => "ENOLCK",
        libc::EINTR => "EINTR",
        libc::EBADF => "EBADF",
        libc::ECONNREFUSED => "ECONNREFUSED",
        libc::ECONNRESET => "ECONNRESET",
        libc::EPIPE => "EPIPE",
        libc::ETIMEDOUT => "ETIMEDOUT",
        libc::EHOSTUNREACH => "EHOSTUNREACH",
        libc::ENETUNREACH => "ENETUNREACH",
        libc::ENETDOWN => "ENETDOWN",
        libc::EAFNOSUPPORT => "EAFNOSUPPORT",
        libc::EADDRNOTAVAIL => "EADDRNOTAVAIL",
        number => return format!("errno{number}"),
    };
    name.to_owned()
}

/// What `rename_no_replace` does where the kernel or the file system cannot.
///
/// Once the new name stands, the file is there; an old name that stays is litter, not a failure.
fn link_and_unlink(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::hard_link(from, to)?;
    let _ = std::fs::remove_file(from);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_not_a_regular_file() {
        let error = open_regular(Path::new("/dev/null")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn the_size_limit_names_itself() {
        let error = read_regular(Path::new("/etc/passwd"), 3).unwrap_err();
        assert!(error.to_string().contains("3 octets"));
    }

    #[test]
    fn a_link_that_others_could_turn_is_found_wherever_it_stands_on_the_way() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let number = crate::sys::random::number().unwrap();
        let root = std::env::temp_dir().join(format!("sendmail365-links-{number:x}"));
        let (open, safe) = (root.join("open"), root.join("safe"));
        for dir in [&root, &open, &safe] {
            std::fs::create_dir(dir).unwrap();
            std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        symlink("/etc/passwd", open.join("link")).unwrap();
        symlink("../open/link", safe.join("link")).unwrap();
        let owner = std::fs::metadata(&root).unwrap().uid();
        let judged = |path: PathBuf| {
            let found = replaceable_by_others(&path, owner).unwrap();
            found.map(|found| found.path().to_owned())
        };
        assert_eq!(judged(safe.join("link")), None);
        std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o777)).unwrap();
        for link in [open.join("link"), safe.join("link")] {
            assert!(judged(link).unwrap().ends_with("open"));
        }
        std::fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn the_cure_changes_no_more_than_what_is_wrong() {
        let found = |uid, foreign, writable| Replaceable {
            path: PathBuf::from("/a"),
            uid,
            owner: 7,
            foreign,
            writable,
        };
        for (found, cure) in [
            (found(0, false, true), "as root: chmod go-w /a"),
            (found(7, false, true), "chmod go-w /a"),
            (
                found(9, true, false),
                "remove it, or if it is meant, as root: chown -h root /a",
            ),
            (
                found(9, true, true),
                "remove it, or if it is meant, as root: chown -h root /a && chmod go-w /a",
            ),
        ] {
            assert_eq!(found.cure(), cure);
        }
        assert_eq!(found(9, true, true).why(), "/a belongs to uid 9");
    }

    #[test]
    fn a_file_is_closed_where_the_first_right_is_missing() {
        use std::os::unix::fs::PermissionsExt;
        let number = crate::sys::random::number().unwrap();
        let root = std::env::temp_dir().join(format!("sendmail365-closed-{number:x}"));
        let path = root.join("file");
        std::fs::create_dir(&root).unwrap();
        std::fs::write(&path, "").unwrap();
        let found = std::fs::metadata(&path).unwrap();
        let set = |path: &Path, mode| {
            std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        };
        let (owner, other) = (found.uid() + 1, found.uid() + 2);
        std::os::unix::fs::chown(&path, None, Some(found.gid())).unwrap();
        let closed = |uid, gid, wanted| closed_to(&Account { uid, gid }, &path, wanted).unwrap();
        set(&root, 0o711);
        set(&path, 0o640);
        assert_eq!(closed(owner, found.gid(), 4), None);
        assert_eq!(closed(owner, found.gid(), 6), Some(path.clone()));
        assert_eq!(closed(other, found.gid() + 1, 4), Some(path.clone()));
        set(&root, 0o700);
        let theirs = root.canonicalize().unwrap();
        assert_eq!(closed(owner, found.gid(), 4), Some(theirs));
        assert_eq!(closed(0, 0, 6), None);
        std::fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn a_shared_file_is_made_once_and_opened_only_if_it_is_the_file_itself() {
        let dir = std::env::temp_dir().join(format!("sendmail365-shared-{}", std::process::id()));
        let path = dir.join("deep/slot.0");
        assert_eq!(open_shared(&path).unwrap_err().kind(), ErrorKind::NotFound);
        make_shared(&path).unwrap();
        std::fs::write(&path, "kept").unwrap();
        make_shared(&path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"kept");
        let mode = open_shared(&path).unwrap().metadata().unwrap().mode() & 0o777;
        assert!([0o600, 0o660].contains(&mode), "{mode:o}");
        let other = dir.join("other");
        std::os::unix::fs::symlink(&path, &other).unwrap();
        assert!(open_shared(&other).is_err());
        std::fs::remove_file(&other).unwrap();
        std::fs::hard_link(&path, &other).unwrap();
        assert_eq!(
            open_shared(&path).unwrap_err().kind(),
            ErrorKind::InvalidInput
        );
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn a_system_file_is_not_replaceable() {
        assert_eq!(
            replaceable_by_others(Path::new("/etc/passwd"), 0).unwrap(),
            None
        );
    }

    #[test]
    fn a_rename_never_takes_the_place_of_another_file() {
        let dir = std::env::temp_dir().join(format!("sendmail365-file-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        for (name, rename) in [
            (
                "kernel",
                rename_no_replace as fn(&Path, &Path) -> io::Result<()>,
            ),
            ("links", link_and_unlink),
        ] {
            let (from, to) = (dir.join(format!("{name}.a")), dir.join(format!("{name}.b")));
            std::fs::write(&from, "new").unwrap();
            std::fs::write(&to, "old").unwrap();
            let error = rename(&from, &to).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
            assert_eq!(std::fs::read(&to).unwrap(), b"old");
            std::fs::remove_file(&to).unwrap();
            rename(&from, &to).unwrap();
            assert_eq!(std::fs::read(&to).unwrap(), b"new");
            assert!(!from.exists());
        }
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_symbolic_link_is_not_followed() {
        let link = std::env::temp_dir().join(format!("sendmail365-link-{}", std::process::id()));
        std::os::unix::fs::symlink("/etc/passwd", &link).unwrap();
        assert!(open_existing(&link, false).is_err());
        assert!(create_new(&link).is_err());
        std::fs::remove_file(link).unwrap();
    }

    #[test]
    fn a_disk_tells_its_room() {
        let space = space(Path::new("/")).unwrap();
        assert!(space.free_bytes <= space.total_bytes);
    }
}
