//! A file without a name, for what is too much for memory: gone with the process, whatever ends it.
#![expect(clippy::disallowed_methods, reason = "edge: a file")]

use memmap2::{Mmap, MmapOptions};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// A file that only this process can reach.
pub struct Unnamed {
    file: File,
    len: u64,
}

impl Unnamed {
    /// Makes one in a directory; `name` is taken for a moment where the file system has no files
    /// without one.
    pub fn create(dir: &Path, name: &str) -> io::Result<Unnamed> {
        let file = match temporary(dir) {
            Err(error)
                if matches!(
                    error.raw_os_error(),
                    Some(libc::EOPNOTSUPP | libc::EISDIR | libc::EINVAL)
                ) =>
            {
                created_and_removed(&dir.join(name))?
            }
            file => file?,
        };
        Ok(Unnamed { file, len: 0 })
    }

    /// Writes behind what is there; after an error that is still all there is.
    pub fn append(&mut self, octets: &[u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(self.len))?;
        self.file.write_all(octets)?;
        self.len += octets.len() as u64;
        Ok(())
    }

    /// Copies all of it into memory.
    pub fn read(&self) -> io::Result<Vec<u8>> {
        let mut file = &self.file;
        file.seek(SeekFrom::Start(0))?;
        let mut octets = Vec::new();
        file.take(self.len).read_to_end(&mut octets)?;
        match octets.len() as u64 == self.len {
            true => Ok(octets),
            false => Err(ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Shows all of it as if it were memory; nothing more is to be appended.
    #[expect(unsafe_code, reason = "a file as memory")]
    pub fn map(&self) -> io::Result<Mmap> {
        let len = usize::try_from(self.len).map_err(|_| ErrorKind::FileTooLarge)?;
        // SAFETY: the file has no name and its descriptor is passed on to nobody, so nobody else can
        // change or cut it; this process only ever writes behind `len`.
        unsafe { MmapOptions::new().len(len).map(&self.file) }
    }
}

fn open() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    options
}

fn temporary(dir: &Path) -> io::Result<File> {
    open()
        .custom_flags(libc::O_TMPFILE | libc::O_CLOEXEC)
        .open(dir)
}

fn created_and_removed(path: &Path) -> io::Result<File> {
    let file = open()
        .create_new(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
        .open(path)?;
    fs::remove_file(path)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn what_was_appended_is_there_and_nobody_can_name_it() {
        let random = crate::sys::random::number().unwrap();
        let dir = std::env::temp_dir().join(format!("sendmail365-unnamed-{random:x}"));
        fs::create_dir(&dir).unwrap();
        for file in [temporary(&dir), created_and_removed(&dir.join("x"))] {
            let file = file.unwrap();
            let about = file.metadata().unwrap();
            assert_eq!((about.mode() & 0o7777, about.nlink()), (0o600, 0));
            let mut unnamed = Unnamed { file, len: 0 };
            unnamed.append(b"one ").unwrap();
            // What an append that failed may leave behind.
            unnamed.file.write_all(b"garbage").unwrap();
            assert_eq!(unnamed.read().unwrap(), b"one ");
            unnamed.append(b"two").unwrap();
            unnamed.file.write_all(b"garbage").unwrap();
            assert_eq!(unnamed.read().unwrap(), b"one two");
            assert_eq!(*unnamed.map().unwrap(), *b"one two");
            assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
        }
        fs::write(dir.join("taken"), "").unwrap();
        assert!(created_and_removed(&dir.join("taken")).is_err());
        fs::remove_dir_all(&dir).unwrap();
    }
}
