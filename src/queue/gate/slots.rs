//! Connection slots: as many files as this host may have connections, one lock for each.
#![expect(
    clippy::disallowed_methods,
    reason = "edge: measures the wait for a slot"
)]

use super::pause;
use crate::sys::file::{error_name, open_shared};
use crate::sys::log::{Journal, Level};
use crate::sys::random;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The right to one connection; free again when it is dropped or the process ends, however it ends.
#[derive(Debug)]
pub struct Slot {
    /// Closing it frees the lock.
    _lock: File,
}

/// How asking for a slot ended.
#[derive(Debug)]
pub enum Seat {
    /// One connection may be opened, for as long as this lives.
    Taken(Slot),
    /// All slots stayed in use.
    Busy,
    /// There are no slots on this host; the log says why. Go on without.
    Without,
}

/// Waits until one of the slots is free, at most for `wait`, or until `interrupted`.
pub(super) fn take(
    (dir, count): (&Path, u32),
    wait: Duration,
    interrupted: &dyn Fn() -> bool,
    journal: &Journal<'_>,
) -> Seat {
    let mut slots = open(dir, count, journal);
    if slots.is_empty() {
        return Seat::Without;
    }
    let begun = Instant::now();
    loop {
        // All would crowd at the first one otherwise.
        slots.sort_by_cached_key(|_| random::number().unwrap_or(0));
        let mut locks = true;
        for place in 0..slots.len() {
            match slots.get(place).map(File::try_lock) {
                Some(Ok(())) => {
                    let _lock = slots.swap_remove(place);
                    return Seat::Taken(Slot { _lock });
                }
                Some(Err(TryLockError::Error(error))) => {
                    locks = false;
                    warn(journal, dir, &error_name(&error));
                    break;
                }
                _ => {}
            }
        }
        if !locks {
            return Seat::Without;
        }
        if begun.elapsed() >= wait || interrupted() {
            return Seat::Busy;
        }
        pause(2, 100);
    }
}

/// The name of a slot's file.
pub(super) fn path(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("slot.{number}"))
}

/// Every slot that can be opened; one warning if that is not all of them.
fn open(dir: &Path, count: u32, journal: &Journal<'_>) -> Vec<File> {
    let mut slots = Vec::new();
    let mut missing = None;
    for path in (0..count).map(|number| path(dir, number)) {
        match open_shared(&path) {
            Ok(file) => slots.push(file),
            Err(error) => missing = missing.or(Some((path, error))),
        }
    }
    if let Some((path, error)) = missing {
        warn(journal, &path, &error_name(&error));
    }
    slots
}

fn warn(journal: &Journal<'_>, path: &Path, err: &str) {
    let line = journal.line("slot-missing").word("err", err);
    let line = line.text("path", &path.to_string_lossy());
    journal.write(Level::Warning, &line);
}

#[cfg(test)]
mod tests {
    use super::super::tests::Place;
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    const LONG: Duration = Duration::from_secs(120);

    #[test]
    fn sixty_at_once_on_three_slots_are_never_more_than_three_and_all_get_their_turn() {
        let place = Place::new("sixty");
        let (inside, most, served) = (
            AtomicUsize::new(0),
            AtomicUsize::new(0),
            AtomicUsize::new(0),
        );
        thread::scope(|scope| {
            for _ in 0..60 {
                scope.spawn(|| {
                    let Seat::Taken(slot) = place.take(3, LONG) else {
                        panic!("no slot");
                    };
                    most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    thread::sleep(Duration::from_millis(2));
                    inside.fetch_sub(1, Ordering::SeqCst);
                    served.fetch_add(1, Ordering::SeqCst);
                    drop(slot);
                });
            }
        });
        assert_eq!(served.into_inner(), 60);
        assert!((1..=3).contains(&most.into_inner()));
    }

    #[test]
    fn a_slot_that_is_dropped_is_free_at_once() {
        let place = Place::new("dropped");
        let first = place.take(1, Duration::ZERO);
        assert!(matches!(first, Seat::Taken(_)));
        assert!(matches!(place.take(1, Duration::ZERO), Seat::Busy));
        drop(first);
        assert!(matches!(place.take(1, Duration::ZERO), Seat::Taken(_)));
    }

    #[test]
    fn a_slot_of_a_process_that_was_killed_is_free_at_once() {
        let place = Place::new("killed");
        let path = path(&place.dir, 0);
        let mut command = std::process::Command::new("flock");
        command.arg("--no-fork").arg(&path);
        command.args(["sh", "-c", "echo held; exec sleep 600"]);
        let mut holder = crate::sys::quiet::start(command.stdout(std::process::Stdio::piped()));
        let mut word = [0; 4];
        std::io::Read::read_exact(holder.stdout.as_mut().unwrap(), &mut word).unwrap();
        assert!(matches!(place.take(1, Duration::ZERO), Seat::Busy));
        holder.kill().unwrap();
        holder.wait().unwrap();
        assert!(matches!(place.take(1, LONG), Seat::Taken(_)));
    }

    #[test]
    fn a_signal_ends_the_wait() {
        let place = Place::new("signal");
        let _held = place.take(1, Duration::ZERO);
        let asked = AtomicUsize::new(0);
        let interrupted = || asked.fetch_add(1, Ordering::SeqCst) == 2;
        let seat = place.with_journal(|journal| take((&place.dir, 1), LONG, &interrupted, journal));
        assert!(matches!(seat, Seat::Busy));
    }

    #[test]
    fn missing_slots_are_warned_of_and_stop_nobody() {
        let place = Place::new("missing");
        for number in 0..3 {
            std::fs::remove_file(path(&place.dir, number)).unwrap();
        }
        assert!(matches!(place.take(2, LONG), Seat::Without));
        let log = place.log();
        assert_eq!(log.matches("event=slot-missing").count(), 1, "{log}");
        assert!(log.contains("err=ENOENT"), "{log}");
    }

    #[test]
    fn slots_that_are_there_count_although_one_is_missing() {
        let place = Place::new("some");
        std::fs::remove_file(path(&place.dir, 0)).unwrap();
        let seats = [(); 3].map(|()| place.take(3, Duration::ZERO));
        let [Seat::Taken(_), Seat::Taken(_), Seat::Busy] = seats else {
            panic!("{seats:?}");
        };
        assert!(place.log().contains("slot.0"));
    }
}
