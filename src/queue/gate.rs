//! What the processes of a host share, so that together they behave: how many connect at once, whether
//! the server takes mail at all, how many messages leave in a minute.
//!
//! Each of them runs under its caller's limits and signals and can be stopped between any two
//! instructions. So every wait ends, every record is valid at every instant, and a file that is not
//! there or not to be had costs a warning, never a message.

mod blame;
mod breaker;
mod pace;
mod record;
mod rounds;
mod slots;
mod visitors;

use crate::outcome::{Failure, Stage};
use crate::sys::clock::LocalTime;
use crate::sys::file::{make_shared, open_shared};
use crate::sys::log::Journal;
use crate::sys::privilege::raised;
use crate::sys::random;
use breaker::Entry;
use pace::Bucket;
pub use rounds::Rounds;
pub use slots::{Seat, Slot};
use std::io;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use visitors::VISITORS;
pub use visitors::Visit;

/// The state that the processes of a host share.
pub struct Gate {
    /// Directory of the files, `[paths] state`.
    pub dir: PathBuf,
    /// Connections at once.
    pub connections: u32,
    /// Messages a minute.
    pub per_minute: u32,
}

/// On whose behalf a message is offered to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// A caller, who waits, and whose limits and signals the process runs under.
    Submission,
    /// The queue's runner, which nobody but the administrator touches.
    Runner,
}

/// What ends the wait for the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Time.
    Defer,
    /// An administrator.
    Hold,
}

/// Why nobody connects at the moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    pub kind: Kind,
    /// When the first attempt failed.
    pub since: SystemTime,
    /// When the next attempt may be made.
    pub until: SystemTime,
    /// Where it stopped and the code: `auth: 535`.
    pub reason: String,
    /// What the administrator can do about it, if that is known.
    pub cure: Option<String>,
    /// Who met the failure.
    pub uid: u32,
}

/// An attempt that failed.
pub struct Attempt<'a> {
    pub failure: &'a Failure,
    pub who: Who,
    pub uid: u32,
    /// Whether the process was stopped or signalled meanwhile, so that the delay may be its own.
    pub disturbed: bool,
}

/// Whether a message may leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    Go,
    /// Its turn is taken and comes after so long: wait, then send without asking again.
    GoAfterMillis(u64),
    /// No turn is taken: ask again after so long. Only the runner is told so.
    AskAfterMillis(u64),
    /// It would have to wait too long.
    Queue,
}

impl Gate {
    /// Waits for the right to a connection, at most for `wait` or until `interrupted`.
    pub fn slot(
        &self,
        wait: Duration,
        interrupted: &dyn Fn() -> bool,
        journal: &Journal<'_>,
    ) -> Seat {
        slots::take((&self.dir, self.connections), wait, interrupted, journal)
    }

    /// Why no connection is to be tried at `now`; none if one may.
    pub fn breaker(&self, now: SystemTime) -> Option<Open> {
        Entry::parse(&record::read(&self.path(BREAKER))?)?.open(now)
    }

    /// Tells the others of an attempt that failed, if that says anything about the server.
    ///
    /// Answers with what keeps them away from now on.
    pub fn open(&self, now: SystemTime, attempt: &Attempt<'_>) -> Option<Open> {
        // Most failures are nobody else's business; they need no lock.
        breaker::entry(None, now, attempt)?;
        record::change(&self.path(BREAKER), |text| {
            let entry = breaker::entry(text.and_then(Entry::parse), now, attempt);
            let open = entry.as_ref().and_then(|entry| entry.open(now));
            (entry.map(|entry| entry.text()), open)
        })?
    }

    /// Tells the others that the server took a message.
    pub fn close(&self) {
        let path = self.path(BREAKER);
        let told = record::read(&path).and_then(|text| Entry::parse(&text));
        if told.is_some() {
            record::change(&path, |_| (Some(breaker::CLOSED.to_owned()), ()));
        }
    }

    /// Takes a turn within the rate.
    ///
    /// The clock is read under the lock: a time that is older than the last one would pass for a
    /// clock that was set back.
    pub fn pace(&self, clock: impl FnOnce() -> SystemTime, who: Who) -> Pace {
        let turn = record::change(&self.path(PACE), |text| {
            let now = clock().duration_since(UNIX_EPOCH).unwrap_or_default();
            let now_millis = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
            let bucket = text.and_then(Bucket::parse);
            let mut bucket = bucket.unwrap_or(Bucket::full(now_millis));
            let turn = bucket.turn(self.per_minute, now_millis, who);
            (Some(bucket.text()), turn)
        });
        turn.unwrap_or(Pace::Go)
    }

    /// How long to hold a connection before each message that leaves over it: a turn that cannot be written
    /// down must not be free, or a user's limits would give him any rate.
    pub fn toll_millis(&self) -> Option<u64> {
        let minute = 60_000 * u64::from(self.connections.max(1));
        (!record::writable()).then(|| minute / u64::from(self.per_minute.max(1)))
    }

    /// What is known of the runs of the queue; none if there is no record of them.
    pub fn rounds(&self) -> Option<Rounds> {
        Rounds::parse(&record::read(&self.path(ROUNDS))?)
    }

    /// Records a run of the queue. `judge` sees what the administrator has been told of, and answers
    /// with what he knows after it; it is not asked where that cannot be recorded.
    pub fn record_round(&self, now: SystemTime, judge: impl FnOnce(Vec<String>) -> Vec<String>) {
        if !record::writable() {
            return;
        }
        let last = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        record::change(&self.path(ROUNDS), |text| {
            let old = text.and_then(Rounds::parse).unwrap_or_default();
            let told = judge(old.told);
            (Some(Rounds { last, told }.text()), ())
        });
    }

    /// Why what the processes share cannot be seen by this one, if it cannot.
    pub fn hidden(&self) -> Option<io::Error> {
        let error = open_shared(&self.path(BREAKER)).err()?;
        (error.kind() != io::ErrorKind::NotFound).then_some(error)
    }

    /// Makes the files that are not there yet; the installation's task, not a submission's.
    pub fn create_missing(&self) -> io::Result<()> {
        let slots = (0..self.connections).map(|number| slots::path(&self.dir, number));
        let records = [BREAKER, PACE, ROUNDS, VISITORS].map(|name| self.path(name));
        slots
            .chain(records)
            .try_for_each(|path| raised(|| make_shared(&path)))
    }

    /// The failure of a message that found no free connection within `wait`.
    pub fn busy(&self, wait: Duration) -> Failure {
        Failure::defer("the connections to the server are busy")
            .because(format!(
                "this host may use {}, and none became free within {} s",
                self.connections,
                wait.as_secs()
            ))
            .at(Stage::Slot)
    }

    /// The failure of a message that came too soon after too many others.
    pub fn paced(&self) -> Failure {
        Failure::defer("the message is paced")
            .because(format!(
                "this host has used up its rate of {} messages a minute",
                self.per_minute
            ))
            .at(Stage::Pace)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

impl Open {
    /// The failure of a message that is not offered to the server because of it.
    pub fn failure(&self) -> Failure {
        let since = LocalTime::at(self.since).rfc5322();
        let failure = match self.kind {
            Kind::Defer => Failure::defer(format!("server down since {since}")),
            Kind::Hold => Failure::hold(format!("delivery on hold since {since}")),
        };
        let failure = failure
            .because(format!(
                "{}; tried again after {}",
                self.reason,
                LocalTime::at(self.until).rfc5322()
            ))
            .at(Stage::Breaker);
        match &self.cure {
            Some(cure) => failure.fix(cure),
            None => failure,
        }
    }
}

const BREAKER: &str = "breaker";
const PACE: &str = "pace";
const ROUNDS: &str = "rounds";

/// Sleeps between two numbers of milliseconds, so that those who wait do not wake together.
fn pause(shortest: u64, longest: u64) {
    let spread = longest.saturating_sub(shortest).saturating_add(1);
    let more = random::number().unwrap_or(0).checked_rem(spread);
    thread::sleep(Duration::from_millis(shortest + more.unwrap_or(0)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::log::Log;
    use crate::sys::quiet::Quiet;

    /// A directory with the files of three connections, and a log.
    pub(super) struct Place {
        pub(super) dir: PathBuf,
        _quiet: Quiet,
    }

    impl Place {
        pub(super) fn new(name: &str) -> Place {
            let name = format!("sendmail365-gate-{name}-{}", std::process::id());
            let place = Place {
                dir: std::env::temp_dir().join(name),
                _quiet: Quiet::new(),
            };
            place.gate(3).create_missing().unwrap();
            place
        }

        pub(super) fn gate(&self, connections: u32) -> Gate {
            Gate {
                dir: self.dir.clone(),
                connections,
                per_minute: 25,
            }
        }

        pub(super) fn with_journal<T>(&self, job: impl FnOnce(&Journal<'_>) -> T) -> T {
            let log = Log::new(None, Some(self.dir.join("log")));
            job(&Journal::new(&log, "id", 1000, "joe"))
        }

        pub(super) fn take(&self, connections: u32, wait: Duration) -> Seat {
            let gate = self.gate(connections);
            self.with_journal(|journal| gate.slot(wait, &|| false, journal))
        }

        pub(super) fn log(&self) -> String {
            let octets = crate::sys::file::read_regular(&self.dir.join("log"), 1 << 20);
            octets.map_or_else(
                |_| String::new(),
                |(octets, _)| String::from_utf8(octets).unwrap(),
            )
        }

        fn damage(&self, name: &str, octets: &[u8]) {
            use std::os::unix::fs::FileExt;
            let file = crate::sys::file::open_shared(&self.dir.join(name)).unwrap();
            file.write_all_at(octets, 0).unwrap();
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_800_000_000 + seconds)
    }

    fn down() -> Failure {
        Failure::defer("x")
            .at(Stage::Connect)
            .with_err("ECONNREFUSED")
    }

    fn attempt(failure: &Failure) -> Attempt<'_> {
        Attempt {
            failure,
            who: Who::Submission,
            uid: 1000,
            disturbed: false,
        }
    }

    #[test]
    fn one_failure_keeps_all_away_until_its_end_or_a_success() {
        let place = Place::new("breaker");
        let gate = place.gate(3);
        assert_eq!(gate.breaker(at(0)), None);
        let open = gate.open(at(0), &attempt(&down())).unwrap();
        assert_eq!(gate.breaker(at(59)), Some(open.clone()));
        assert_eq!(
            (open.uid, open.reason.as_str()),
            (1000, "connect: ECONNREFUSED")
        );
        assert_eq!(gate.breaker(at(60)), None);
        gate.open(at(100), &attempt(&down()));
        assert_eq!(gate.breaker(at(101)).unwrap().since, at(0));
        gate.close();
        assert_eq!(gate.breaker(at(101)), None);
        gate.open(at(102), &attempt(&down()));
        assert_eq!(gate.breaker(at(103)).unwrap().since, at(102));
    }

    #[test]
    fn a_local_error_leaves_the_record_as_it_was() {
        let place = Place::new("local");
        let gate = place.gate(3);
        let local = Failure::defer("x").at(Stage::Connect).with_err("EMFILE");
        assert_eq!(gate.open(at(0), &attempt(&local)), None);
        assert_eq!(record::read(&place.dir.join(BREAKER)), None);
    }

    #[test]
    fn garbage_in_the_files_stops_nobody_and_is_overwritten() {
        let place = Place::new("garbage");
        let gate = place.gate(3);
        for octets in [&[0xff; 300][..], &[b'\n'; 128], b"breaker1 hold 0 9 0 x"] {
            place.damage(BREAKER, octets);
            place.damage(PACE, octets);
            assert_eq!(gate.breaker(at(0)), None);
            assert_eq!(gate.pace(|| at(0), Who::Submission), Pace::Go);
            gate.close();
            assert!(gate.open(at(0), &attempt(&down())).is_some());
            assert!(gate.breaker(at(0)).is_some());
        }
        let future = Entry::parse("breaker1 hold 1800000000 9999999999 0 x").unwrap();
        place.damage(BREAKER, &record::seal(&future.text()).unwrap());
        assert_eq!(gate.breaker(at(0)), None);
        gate.close();
        assert_eq!(
            record::read(&place.dir.join(BREAKER)).as_deref(),
            Some(breaker::CLOSED)
        );
    }

    #[test]
    fn processes_that_ask_at_once_get_the_burst_and_no_more() {
        let place = Place::new("pace");
        let gate = place.gate(3);
        let gone: usize = thread::scope(|scope| {
            let askers: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        let turns = (0..5).map(|_| gate.pace(|| at(0), Who::Submission));
                        turns.filter(|turn| *turn == Pace::Go).count()
                    })
                })
                .collect();
            askers.into_iter().map(|asker| asker.join().unwrap()).sum()
        });
        assert_eq!(gone, 10);
        assert_eq!(gate.pace(|| at(0), Who::Submission), Pace::Queue);
        assert_eq!(gate.pace(|| at(60), Who::Submission), Pace::Go);
    }

    #[test]
    fn a_host_without_the_files_sends_all_the_same() {
        let gate = Gate {
            dir: PathBuf::from("/nonexistent"),
            connections: 2,
            per_minute: 25,
        };
        assert_eq!(gate.breaker(at(0)), None);
        assert_eq!(gate.open(at(0), &attempt(&down())), None);
        gate.close();
        for _ in 0..30 {
            assert_eq!(gate.pace(|| at(0), Who::Submission), Pace::Go);
        }
    }

    #[test]
    fn what_is_not_tried_says_why_since_when_and_where_it_stopped() {
        let place = Place::new("told");
        let gate = place.gate(2);
        let failure = gate.open(at(0), &attempt(&down())).unwrap().failure();
        assert!(failure.what().starts_with("server down since "));
        assert!(
            failure
                .why()
                .unwrap()
                .starts_with("connect: ECONNREFUSED; ")
        );
        assert_eq!(failure.stage(), Some(Stage::Breaker));
        let busy = gate.busy(Duration::from_secs(20));
        assert!(busy.lines("sendmail")[0].contains("busy: this host may use 2"));
        let paced = gate.paced();
        assert!(paced.lines("sendmail")[0].contains("paced: this host has used up its rate"));
    }
}
