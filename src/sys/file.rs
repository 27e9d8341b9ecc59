//! Files that others may try to replace: opened first, judged on the descriptor.
#![expect(clippy::disallowed_methods, reason = "edge: files")]

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
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

/// The first of `path` and its parents that somebody other than root or `owner` could replace.
///
/// A directory with the sticky bit protects the entries in it, as /tmp does.
pub fn replaceable_by_others(path: &Path, owner: u32) -> io::Result<Option<PathBuf>> {
    let path = path.canonicalize()?;
    for step in path.ancestors() {
        let metadata = std::fs::metadata(step)?;
        let foreign = metadata.uid() != 0 && metadata.uid() != owner;
        let sticky = metadata.is_dir() && metadata.mode() & 0o1000 != 0;
        let writable = metadata.mode() & 0o002 != 0 && !sticky;
        let group_writable = metadata.mode() & 0o020 != 0 && !sticky && metadata.gid() != 0;
        if foreign || writable || group_writable {
            return Ok(Some(step.to_owned()));
        }
    }
    Ok(None)
}

/// The system's name of an error, such as `ENOSPC`, for the log.
pub fn error_name(error: &io::Error) -> String {
    let name = match error.raw_os_error() {
        Some(libc::EACCES) => "EACCES",
        Some(libc::EPERM) => "EPERM",
        Some(libc::ENOENT) => "ENOENT",
        Some(libc::ENOTDIR) => "ENOTDIR",
        Some(libc::EISDIR) => "EISDIR",
        Some(libc::ELOOP) => "ELOOP",
        Some(libc::EIO) => "EIO",
        Some(libc::EROFS) => "EROFS",
        Some(libc::ENOSPC) => "ENOSPC",
        Some(libc::EDQUOT) => "EDQUOT",
        Some(libc::EFBIG) => "EFBIG",
        Some(libc::EMFILE) => "EMFILE",
        Some(libc::ENFILE) => "ENFILE",
        Some(libc::ENOMEM) => "ENOMEM",
        Some(libc::ENOBUFS) => "ENOBUFS",
        Some(libc::ENOLCK) => "ENOLCK",
        Some(libc::EINTR) => "EINTR",
        Some(libc::EBADF) => "EBADF",
        Some(libc::ECONNREFUSED) => "ECONNREFUSED",
        Some(libc::ECONNRESET) => "ECONNRESET",
        Some(libc::EPIPE) => "EPIPE",
        Some(libc::ETIMEDOUT) => "ETIMEDOUT",
        Some(libc::EHOSTUNREACH) => "EHOSTUNREACH",
        Some(libc::ENETUNREACH) => "ENETUNREACH",
        Some(libc::EADDRNOTAVAIL) => "EADDRNOTAVAIL",
        Some(number) => return format!("errno{number}"),
        None => return format!("{:?}", error.kind()),
    };
    name.to_owned()
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
    fn a_system_file_is_not_replaceable() {
        assert_eq!(
            replaceable_by_others(Path::new("/etc/passwd"), 0).unwrap(),
            None
        );
    }
}
