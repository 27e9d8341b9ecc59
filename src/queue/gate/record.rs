//! One record of 1024 octets that all processes of a host share, changed in place.
//!
//! `SUM text` and spaces up to a line end; the sum is the first 16 hex digits of the text's SHA-256.
//! A record is written by one call within one page, so it is whole at every instant but that of a
//! power loss; whatever is torn or damaged has a wrong sum and counts as no record.
//!
//! Reading takes no lock. Changing takes one for microseconds; whoever is stopped while he holds it
//! costs the others a second each, then they do without.
#![expect(clippy::disallowed_methods, reason = "edge: waits for the lock")]

use super::pause;
use crate::sys::file::open_shared;
use crate::sys::privilege::may_write_to;
use ring::digest;
use std::fs::{File, TryLockError};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// Octets of a record.
pub(super) const SIZE: usize = 1024;

/// Octets of text that a record has room for.
pub(super) const TEXT_MAX: usize = SIZE - SUM - 2;

/// Hex digits of the sum.
const SUM: usize = 16;

/// How long another process may hold the lock.
const PATIENCE: Duration = Duration::from_secs(1);

/// The text of the record, if there is a whole one.
pub(super) fn read(path: &Path) -> Option<String> {
    read_from(&open_shared(path).ok()?)
}

/// Lets `judge` see the text under the lock, and writes what it puts in its place, if anything.
///
/// None if the file or its lock cannot be had: then nothing was judged. A text that cannot be
/// written changes nothing for the one who judged; `writable` says so before.
pub(super) fn change<T>(
    path: &Path,
    judge: impl FnOnce(Option<&str>) -> (Option<String>, T),
) -> Option<T> {
    let file = open_shared(path).ok()?;
    lock(&file)?;
    let (text, verdict) = judge(read_from(&file).as_deref());
    // Half of it would tear the record of all: whoever may not write a whole one leaves it alone.
    if let Some(octets) = text.as_deref().and_then(seal).filter(|_| writable()) {
        let _ = file.write_at(&octets, 0);
    }
    Some(verdict)
}

/// Whether the limits of this process let it change a record.
pub(super) fn writable() -> bool {
    may_write_to(SIZE as u64)
}

fn lock(file: &File) -> Option<()> {
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Some(()),
            Err(TryLockError::WouldBlock) if begun.elapsed() < PATIENCE => pause(1, 10),
            Err(_) => return None,
        }
    }
}

fn read_from(file: &File) -> Option<String> {
    let look = || {
        let mut octets = [0; SIZE];
        file.read_exact_at(&mut octets, 0).ok()?;
        unseal(&octets)
    };
    // One that is being written right now looks torn as well.
    look().or_else(look)
}

/// The octets of a record; none if the text does not fit or would end it.
pub(super) fn seal(text: &str) -> Option<[u8; SIZE]> {
    if text.len() > TEXT_MAX || text.contains('\n') {
        return None;
    }
    let padded = format!("{text:TEXT_MAX$}\n");
    let line = format!("{} {padded}", sum(padded.as_bytes()));
    line.as_bytes().try_into().ok()
}

/// The text of a record, unless it is torn or damaged.
pub(super) fn unseal(octets: &[u8; SIZE]) -> Option<String> {
    let (written, rest) = octets.split_at_checked(SUM)?;
    let padded = rest.strip_prefix(b" ")?;
    if written != sum(padded).as_bytes() {
        return None;
    }
    let text = std::str::from_utf8(padded).ok()?;
    Some(text.trim_end_matches(['\n', ' ']).to_owned())
}

fn sum(octets: &[u8]) -> String {
    let digest = digest::digest(&digest::SHA256, octets);
    let digits = digest.as_ref().iter().take(SUM / 2);
    digits.map(|octet| format!("{octet:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::Place;
    use super::*;

    #[test]
    fn a_text_comes_back_as_it_was_written() {
        for text in ["", "breaker1 defer 1 2 3 connect: ECONNREFUSED"] {
            assert_eq!(unseal(&seal(text).unwrap()).as_deref(), Some(text));
        }
        let longest = "x".repeat(TEXT_MAX);
        assert_eq!(unseal(&seal(&longest).unwrap()), Some(longest.clone()));
        assert_eq!(seal(&(longest + "x")), None);
        assert_eq!(seal("two\nlines"), None);
        assert_eq!(seal("é".repeat(510).as_str()), None);
    }

    #[test]
    fn a_record_torn_anywhere_is_the_old_one_the_new_one_or_none() {
        let (old, new) = (seal("breaker1 closed").unwrap(), seal("pace1 7 8").unwrap());
        let empty = [0; SIZE];
        for before in [&old, &empty] {
            for length in 0..=SIZE {
                let mut torn = *before;
                torn[..length].copy_from_slice(&new[..length]);
                let expected = match &torn {
                    torn if *torn == new => Some("pace1 7 8"),
                    torn if *torn == old => Some("breaker1 closed"),
                    _ => None,
                };
                assert_eq!(unseal(&torn).as_deref(), expected, "{length}");
            }
        }
    }

    #[test]
    fn one_wrong_octet_is_noticed_wherever_it_stands() {
        let record = seal("breaker1 hold 1 2 3 auth: 535").unwrap();
        for place in 0..SIZE {
            for flip in [1, 0x20, 0x80] {
                let mut damaged = record;
                damaged[place] ^= flip;
                assert_eq!(unseal(&damaged), None, "{place}");
            }
        }
    }

    #[test]
    fn processes_that_change_a_record_at_once_lose_no_change() {
        let place = Place::new("record");
        let path = place.dir.join("pace");
        let add = |text: Option<&str>| {
            let count: u32 = text.map_or(0, |text| text.parse().unwrap());
            (Some((count + 1).to_string()), ())
        };
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..50).for_each(|_| while change(&path, add).is_none() {}));
            }
        });
        assert_eq!(read(&path).as_deref(), Some("400"));
    }

    #[test]
    fn who_holds_the_lock_for_good_does_not_stop_the_others() {
        let place = Place::new("record-held");
        let path = place.dir.join("breaker");
        let held = open_shared(&path).unwrap();
        held.try_lock().unwrap();
        assert_eq!(change(&path, |_| (None, ())), None);
        assert_eq!(read(&path), None);
        drop(held);
        assert_eq!(change(&path, |_| (None, ())), Some(()));
    }

    #[test]
    fn a_record_that_is_not_there_is_not_made() {
        let place = Place::new("record-missing");
        let path = place.dir.join("other");
        assert_eq!(change(&path, |_| (Some(String::new()), ())), None);
        assert!(!path.exists());
    }
}
