//! One pass over the queue: oldest first, each attempt recorded before it is made.
//!
//! Delivery and notices come in as a `Carrier`; the clock and the dice as functions. What may not be
//! lost or doubled is decided by the order of steps in here: state, attempt, marks, notice, removal.

use super::attempt::{Due, waiting};
use super::carrier::Carrier;
use super::choice::Choice;
use super::entry::{Entry, Mark};
use super::locked::{Locked, Passed};
use super::octets::Damage;
use super::schedule::{Retry, Turn};
use super::spool::{Listed, Reason, Spool};
use crate::outcome::{Failure, Stage};
use crate::sys::log::{Journal, Level, Line, Log};

/// What a pass did.
#[derive(Debug, Default)]
pub struct Tally {
    pub delivered: usize,
    pub failed: usize,
    pub waiting: usize,
    /// Entries that were looked at, of so many.
    pub seen: usize,
    pub total: usize,
    /// Another pass is under way.
    pub busy: bool,
    /// The first trouble with an entry that had to be passed over.
    pub skipped: Option<Failure>,
    /// Why the pass ended before its time.
    pub stopped: Option<Failure>,
}

/// One pass and what it needs.
pub struct Pass<'a> {
    pub spool: &'a Spool,
    pub retry: Retry,
    pub choice: Choice,
    pub log: &'a Log,
    /// Seconds since 1970, read anew for each entry.
    pub clock: &'a dyn Fn() -> u64,
    pub random: &'a dyn Fn() -> u64,
    /// Whether a signal asked for the end.
    pub interrupted: &'a dyn Fn() -> bool,
    /// Hears of each entry that has been seen to.
    pub progress: &'a dyn Fn(&Tally),
}

impl Pass<'_> {
    /// Works the queue off once.
    pub fn run(&self, carrier: &mut dyn Carrier) -> Result<Tally, Failure> {
        let mut tally = Tally::default();
        // A user may stop his own process for good: it holds the locks of his entries and no other.
        let _lock = match self.whole() {
            true => match self.spool.runner_lock()? {
                None => {
                    tally.busy = true;
                    return Ok(tally);
                }
                lock => lock,
            },
            false => None,
        };
        self.tidy();
        let listing = self.spool.list()?;
        if self.whole() {
            for stranger in &listing.strangers {
                let moved = self.spool.quarantine_stranger(stranger);
                let line = Line::new("-", "quarantine").word("reason", "format");
                self.log
                    .write(Level::Warning, &line.text("name", &stranger.name()));
                tally.note(moved);
            }
        }
        let mut entries = listing.entries.iter();
        tally.total = entries.len();
        let mut due = self.next_due(&mut entries, carrier, &mut tally);
        while let Some(mut one) = due {
            if (self.interrupted)() || tally.stopped.is_some() {
                break;
            }
            due = self.next_due(&mut entries, carrier, &mut tally);
            let attempted = self.attempts(&mut one, due.as_ref(), carrier, &mut tally);
            let ended = attempted.and_then(|over| match over {
                true => self.finish(one.locked, &mut tally),
                false => Ok(()),
            });
            self.note(ended, &one.journal, &mut tally);
            tally.seen = tally.total - entries.len() - usize::from(due.is_some());
            (self.progress)(&tally);
        }
        Ok(tally)
    }

    /// Sees to entries up to the first that is to be sent.
    fn next_due<'a>(
        &'a self,
        entries: &mut std::slice::Iter<'_, Listed>,
        carrier: &mut dyn Carrier,
        tally: &mut Tally,
    ) -> Option<Due<'a>> {
        entries.find_map(|listed| {
            // What the account keeps for a user is for the account to send: he could not remove it.
            let own = self
                .choice
                .uid
                .is_none_or(|uid| uid == listed.uid && listed.is_file_of(uid));
            let chosen = own && self.choice.id.as_ref().is_none_or(|id| *id == listed.id);
            let ended = (self.interrupted)() || tally.stopped.is_some();
            (chosen && !ended).then(|| self.entry(listed, carrier, tally))?
        })
    }

    /// Whether the pass is for everybody, on behalf of who owns the queue.
    fn whole(&self) -> bool {
        self.choice.uid.is_none() && self.choice.id.is_none()
    }

    fn tidy(&self) {
        if !self.whole() {
            return;
        }
        let now = (self.clock)();
        for (event, swept) in [
            ("failed", self.spool.sweep_tmp(now)),
            ("pruned", self.spool.prune_failed(now)),
        ] {
            for name in swept.unwrap_or_default() {
                let line = Line::new("-", event).word("reason", "swept");
                self.log.write(Level::Warning, &line.text("name", &name));
            }
        }
    }

    /// Does to an entry what is due, but for an attempt: that is for the caller.
    fn entry<'a>(
        &'a self,
        listed: &Listed,
        carrier: &mut dyn Carrier,
        tally: &mut Tally,
    ) -> Option<Due<'a>> {
        let locked = match self.spool.open_locked(listed) {
            Ok(locked) => locked,
            Err(Passed::Gone | Passed::Busy) => return None,
            Err(Passed::Damaged(damage)) => {
                self.damaged(listed, damage, tally);
                return None;
            }
            Err(passed) => {
                self.passed_over(listed, &passed, tally);
                return None;
            }
        };
        if !self.choice.chooses(listed, &locked.stored.entry) {
            return None;
        }
        let journal = self.journal(listed, &locked.stored.entry);
        let turn = match self.choice.at_once {
            true if locked.stored.entry.state.open == 0 => Turn::Try,
            _ => {
                let state = &locked.stored.entry.state;
                self.retry
                    .turn(listed.id.arrival_seconds(), state, (self.clock)())
            }
        };
        let ended = if locked.stored.entry.marked(Mark::Pending).next().is_none() {
            // The process that delivered it did not live to remove it.
            self.finish(locked, tally)
        } else {
            match turn {
                Turn::WaitUntil(_) => {
                    tally.waiting += 1;
                    return None;
                }
                Turn::Poison => {
                    journal.write(
                        Level::Critical,
                        &journal.line("quarantine").word("reason", "poison"),
                    );
                    tally.failed += 1;
                    locked.fail(Reason::Poison)
                }
                Turn::Return => self.expire(locked, &journal, carrier, tally),
                Turn::Try => return Some(Due { locked, journal }),
            }
        };
        self.note(ended, &journal, tally);
        None
    }

    /// Nobody else sees to such an entry, so it has to be told of, each time.
    fn passed_over(&self, listed: &Listed, passed: &Passed, tally: &mut Tally) {
        let (why, fix) = match passed {
            Passed::Changed => (
                "its file has a second name, or another owner than it had".to_owned(),
                format!(
                    "remove the other name, as of a backup by hard links: find / -xdev -samefile {}",
                    self.spool.path(&listed.id).display()
                ),
            ),
            _ => (
                passed.word(),
                "check the owner and mode of the spool".to_owned(),
            ),
        };
        let failure = Failure::defer(format!("entry {} cannot be read", listed.id))
            .because(&why)
            .fix(fix)
            .at(Stage::Queue);
        self.write(listed, "skip", Level::Error, |line| {
            line.text("reason", &why)
        });
        tally.note(Err(failure));
    }

    fn note(&self, ended: Result<(), Failure>, journal: &Journal<'_>, tally: &mut Tally) {
        if let Err(failure) = &ended {
            let reason = [failure.reason(), Some(failure.what()), failure.why()];
            let reason: Vec<&str> = reason.into_iter().flatten().collect();
            let line = journal.line("skip").text("reason", &reason.join(": "));
            journal.write(Level::Error, &line);
        }
        tally.note(ended);
    }

    fn damaged(&self, listed: &Listed, damage: Damage, tally: &mut Tally) {
        let reason = match damage {
            Damage::Truncated | Damage::Sum | Damage::Size => Reason::Truncated,
            _ => Reason::Format,
        };
        self.write(listed, "quarantine", Level::Error, |line| {
            line.word("reason", reason.word())
        });
        tally.failed += 1;
        tally.note(self.spool.quarantine(&listed.id, reason));
    }

    fn expire(
        &self,
        mut locked: Locked<'_>,
        journal: &Journal<'_>,
        carrier: &mut dyn Carrier,
        tally: &mut Tally,
    ) -> Result<(), Failure> {
        let entry = &locked.stored.entry;
        let reason = format!(
            "not delivered in time, after {} attempts; last: {}",
            entry.state.attempts, entry.state.reply
        );
        let pending = waiting(entry);
        let told: Vec<(String, String)> = pending
            .iter()
            .map(|(_, one)| (one.path.clone(), reason.clone()))
            .collect();
        journal.write(
            Level::Error,
            &journal.line("expired").text("reason", &reason),
        );
        self.tell(&locked, journal, &told, carrier)?;
        let marks: Vec<(usize, Mark)> = pending
            .iter()
            .map(|(place, _)| (*place, Mark::Failed))
            .collect();
        locked.mark(&marks)?;
        tally.failed += 1;
        locked.fail(Reason::Expired)
    }

    /// Removes an entry that has nobody left to wait for, or puts it aside if somebody was refused.
    fn finish(&self, locked: Locked<'_>, tally: &mut Tally) -> Result<(), Failure> {
        let entry = &locked.stored.entry;
        if entry.marked(Mark::Pending).next().is_some() {
            tally.waiting += 1;
            return Ok(());
        }
        if entry.marked(Mark::Failed).next().is_some() {
            tally.failed += 1;
            return locked.fail(Reason::Refused);
        }
        tally.delivered += 1;
        locked.remove()
    }

    fn journal(&self, listed: &Listed, entry: &Entry) -> Journal<'_> {
        Journal::new(self.log, &listed.id, listed.uid, &entry.origin.user)
    }

    fn write(&self, listed: &Listed, event: &str, level: Level, more: impl FnOnce(Line) -> Line) {
        let journal = Journal::new(self.log, &listed.id, listed.uid, "-");
        journal.write(level, &more(journal.line(event)));
    }
}

impl Tally {
    fn note(&mut self, done: Result<(), Failure>) {
        if let Err(failure) = done {
            self.skipped.get_or_insert(failure);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::QueueId;
    use crate::queue::carrier::{Carried, Following, Fortune};
    use crate::queue::spool::tests::{Scratch, entry};
    use crate::queue::{Caps, Deposit, Recipient, Spool, Stored};
    use std::cell::Cell;
    use std::time::{Duration, SystemTime};

    const DAY: u64 = 86_400;

    /// A server with a mood, and a count of what it and the reader of notices saw.
    struct Server<'a> {
        mood: &'a dyn Fn(u64) -> Mood,
        clock: &'a Cell<u64>,
        reached: usize,
        tried_at: Vec<u64>,
        notices: usize,
    }

    enum Mood {
        Takes,
        Defers,
        Down,
    }

    impl<'a> Server<'a> {
        fn new(mood: &'a dyn Fn(u64) -> Mood, clock: &'a Cell<u64>) -> Server<'a> {
            Server {
                mood,
                clock,
                reached: 0,
                tried_at: vec![],
                notices: 0,
            }
        }
    }

    impl Carrier for Server<'_> {
        fn may_follow(&mut self) -> bool {
            true
        }

        fn ready(&mut self, _: &QueueId) -> Result<(), Failure> {
            self.reached += 1;
            match (self.mood)(self.clock.get()) {
                Mood::Down => Err(Failure::defer("no connection").at(Stage::Connect)),
                _ => Ok(()),
            }
        }

        fn carry(
            &mut self,
            _: &Stored,
            pending: &[Recipient],
            _: Option<Following<'_>>,
        ) -> Carried {
            self.tried_at.push(self.clock.get());
            match (self.mood)(self.clock.get()) {
                Mood::Takes => Carried {
                    fortunes: vec![Fortune::Accepted("250 ok".to_owned()); pending.len()],
                    failure: None,
                },
                _ => Carried {
                    fortunes: vec![Fortune::Waits; pending.len()],
                    failure: Some(Failure::defer("deferred").because("451 4.3.0 later")),
                },
            }
        }

        fn notify(
            &mut self,
            _: &QueueId,
            _: &Stored,
            _: &[(String, String)],
        ) -> Result<(), Failure> {
            self.notices += 1;
            Ok(())
        }
    }

    fn pass(spool: &Spool, server: &mut Server<'_>) -> Tally {
        pass_of(Choice::default(), spool, (server.clock, server))
    }

    fn pass_of(
        choice: Choice,
        spool: &Spool,
        (clock, carrier): (&Cell<u64>, &mut dyn Carrier),
    ) -> Tally {
        let log = Log::new(None, None);
        let pass = Pass {
            spool,
            retry: Retry {
                lifetime: Duration::from_secs(5 * DAY),
            },
            choice,
            log: &log,
            clock: &|| clock.get(),
            random: &|| u64::MAX / 2,
            interrupted: &|| false,
            progress: &|_| (),
        };
        pass.run(carrier).unwrap()
    }

    /// Lets the timer run every minute until `end`.
    fn minutes(spool: &Spool, server: &mut Server<'_>, end: u64) {
        while server.clock.get() < end {
            pass(spool, server);
            server.clock.set(server.clock.get() + 60);
        }
    }

    #[test]
    fn an_outage_of_a_day_costs_attempts_at_the_pauses_and_no_mail() {
        let scratch = Scratch::new();
        let id = scratch.commit(1);
        let clock = Cell::new(id.arrival_seconds());
        let end = clock.get() + DAY;
        let mood = |now| if now < end { Mood::Defers } else { Mood::Takes };
        let mut server = Server::new(&mood, &clock);
        minutes(&scratch.spool, &mut server, end + 2 * 3600);
        let pauses: Vec<u64> = server
            .tried_at
            .windows(2)
            .map(|pair| (pair[1] - pair[0]) / 60)
            .collect();
        assert_eq!(pauses[..6], [1, 2, 4, 8, 15, 30]);
        assert!(pauses[6..].iter().all(|pause| *pause == 60), "{pauses:?}");
        assert_eq!((scratch.names("queue").len(), server.notices), (0, 0));
        assert!(server.tried_at.len() < 35, "{}", server.tried_at.len());
    }

    #[test]
    fn a_message_that_nobody_takes_comes_back_once_and_is_kept() {
        let scratch = Scratch::new();
        let entry = Entry {
            sender: Some("alerts@x.test".to_owned()),
            ..entry(33)
        };
        let deposit = Deposit {
            entry: &entry,
            message: &[b"Subject: x\r\n", b"\r\n", b"hi\r\n"],
        };
        let id = QueueId::new(SystemTime::UNIX_EPOCH + Duration::from_secs(DAY), 1);
        scratch
            .spool
            .commit(&id, &deposit, &Caps::default())
            .unwrap();
        let clock = Cell::new(id.arrival_seconds());
        let end = clock.get() + 6 * DAY;
        let mood = |_| Mood::Defers;
        let mut server = Server::new(&mood, &clock);
        minutes(&scratch.spool, &mut server, end);
        assert_eq!((server.notices, scratch.names("queue").len()), (1, 0));
        assert_eq!(scratch.names("failed"), [format!("{id}.expired")]);
    }

    #[test]
    fn a_clock_that_was_in_1970_gives_nothing_back() {
        let scratch = Scratch::new();
        let id = scratch.commit(1);
        let clock = Cell::new(0);
        let mood = |now| if now < DAY { Mood::Defers } else { Mood::Takes };
        let mut server = Server::new(&mood, &clock);
        minutes(&scratch.spool, &mut server, 3600);
        assert_eq!(scratch.names("queue").len(), 1);
        clock.set(id.arrival_seconds() + 400 * DAY);
        pass(&scratch.spool, &mut server);
        assert_eq!((scratch.names("queue").len(), server.notices), (0, 0));
        assert!(scratch.names("failed").is_empty(), "it was sent");
    }

    #[test]
    fn a_dead_server_is_asked_once_a_pass_and_ages_nobody() {
        let scratch = Scratch::new();
        for number in 1..=500 {
            scratch.commit(number);
        }
        let clock = Cell::new(scratch.commit(501).arrival_seconds() + 10);
        let mood = |_| Mood::Down;
        let mut server = Server::new(&mood, &clock);
        let tally = pass(&scratch.spool, &mut server);
        assert!(tally.stopped.is_some());
        assert_eq!((server.reached, scratch.names("queue").len()), (1, 501));
        let listing = scratch.spool.list().unwrap();
        let attempts = |listed| scratch.spool.read(listed).unwrap().entry.state.attempts;
        assert!(listing.entries.iter().all(|listed| attempts(listed) == 0));
    }

    #[test]
    fn a_second_pass_leaves_the_first_alone() {
        let scratch = Scratch::new();
        scratch.commit(1);
        let _lock = scratch.spool.runner_lock().unwrap().unwrap();
        let clock = Cell::new(u64::MAX / 2);
        let mood = |_| Mood::Takes;
        let mut server = Server::new(&mood, &clock);
        assert!(pass(&scratch.spool, &mut server).busy);
        assert_eq!(server.reached, 0);
    }

    /// A user can stop his own process whenever he likes.
    #[test]
    fn a_pass_of_a_user_neither_waits_for_the_runner_nor_keeps_it_waiting() {
        let scratch = Scratch::new();
        let uid = scratch.commit_own(1);
        let lock = scratch.spool.runner_lock().unwrap();
        let clock = Cell::new(u64::MAX / 2);
        let own = Choice {
            uid: Some(uid),
            ..Choice::default()
        };
        let mood = |_| Mood::Defers;
        let mut server = Server::new(&mood, &clock);
        assert!(!pass_of(own.clone(), &scratch.spool, (&clock, &mut server)).busy);
        assert_eq!(server.reached, 1);
        drop(lock);
        clock.set(clock.get() + 3600);
        let free = |_| match scratch.spool.runner_lock().unwrap() {
            Some(_) => Mood::Takes,
            None => Mood::Down,
        };
        let mut server = Server::new(&free, &clock);
        assert_eq!(
            pass_of(own, &scratch.spool, (&clock, &mut server)).delivered,
            1
        );
    }

    /// The account keeps it for him: only the account could take the file away afterwards.
    #[test]
    fn a_pass_of_a_user_leaves_what_the_account_keeps_for_him() {
        let scratch = Scratch::new();
        scratch.commit(1);
        let clock = Cell::new(u64::MAX / 2);
        let own = Choice {
            uid: Some(33),
            ..Choice::default()
        };
        let mood = |_| Mood::Takes;
        let mut server = Server::new(&mood, &clock);
        let tally = pass_of(own, &scratch.spool, (&clock, &mut server));
        assert_eq!((tally.delivered, server.reached), (0, 0));
    }

    /// Refuses some and defers the others; there is room for a notice only from a moment on.
    struct Full<'a> {
        clock: &'a Cell<u64>,
        since: u64,
        notices: usize,
    }

    impl Carrier for Full<'_> {
        fn ready(&mut self, _: &QueueId) -> Result<(), Failure> {
            Ok(())
        }

        fn may_follow(&mut self) -> bool {
            false
        }

        fn carry(
            &mut self,
            _: &Stored,
            pending: &[Recipient],
            _: Option<Following<'_>>,
        ) -> Carried {
            let is_refused = |one: &Recipient| one.path.starts_with("refused");
            let fortune = |one: &Recipient| match is_refused(one) {
                true => Fortune::Refused("550 5.1.1 no".to_owned()),
                false => Fortune::Waits,
            };
            let all = pending.iter().all(is_refused);
            Carried {
                fortunes: pending.iter().map(fortune).collect(),
                failure: (!all).then(|| Failure::defer("later")),
            }
        }

        fn notify(
            &mut self,
            _: &QueueId,
            _: &Stored,
            _: &[(String, String)],
        ) -> Result<(), Failure> {
            if self.clock.get() < self.since {
                return Err(Failure::defer("no room"));
            }
            self.notices += 1;
            Ok(())
        }
    }

    #[test]
    fn a_notice_that_cannot_be_kept_costs_nobody_his_message() {
        for recipients in [&["refused@x.test", "waits@x.test"][..], &["refused@x.test"]] {
            let scratch = Scratch::new();
            let to = recipients.iter().map(|to| Recipient::pending(*to));
            let entry = Entry {
                sender: Some("alerts@x.test".to_owned()),
                recipients: to.collect(),
                ..entry(33)
            };
            let deposit = Deposit {
                entry: &entry,
                message: &[b"Subject: x\r\n", b"\r\n", b"hi\r\n"],
            };
            let arrival = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
            let id = QueueId::new(arrival, 1);
            let caps = Caps::default();
            scratch.spool.commit(&id, &deposit, &caps).unwrap();
            let begun = id.arrival_seconds();
            let clock = Cell::new(begun);
            let mut carrier = Full {
                clock: &clock,
                since: begun + 4 * 3600,
                notices: 0,
            };
            while clock.get() < begun + 8 * 3600 {
                pass_of(Choice::default(), &scratch.spool, (&clock, &mut carrier));
                let failed = scratch.names("failed");
                assert!(!failed.iter().any(|name| name.contains("poison")));
                clock.set(clock.get() + 60);
            }
            assert_eq!(carrier.notices, 1, "{recipients:?}");
            assert_eq!(scratch.names("queue").len(), recipients.len() - 1);
        }
    }

    #[test]
    fn an_entry_with_a_second_name_waits_and_is_told_of() {
        let scratch = Scratch::new();
        let (first, _) = (scratch.commit(1), scratch.commit(2));
        let other = scratch.path("tmp", "backup");
        let name = first.to_string();
        std::fs::hard_link(scratch.path("queue", &name), other).unwrap();
        let clock = Cell::new(first.arrival_seconds());
        let mut server = Server::new(&|_| Mood::Takes, &clock);
        let tally = pass(&scratch.spool, &mut server);
        assert_eq!((tally.delivered, scratch.names("queue")), (1, vec![name]));
        let told = tally.skipped.unwrap();
        assert!(told.why().unwrap().contains("second name"), "{told:?}");
        assert!(told.cure().unwrap().contains("-samefile"), "{told:?}");
        std::fs::remove_dir_all(scratch.path("tmp", "")).unwrap();
        let tally = pass(&scratch.spool, &mut server);
        assert!(tally.delivered == 1 && tally.skipped.is_none());
    }

    #[test]
    fn damaged_and_foreign_files_are_put_aside_and_the_others_delivered() {
        let scratch = Scratch::new();
        let id = scratch.commit(1);
        let damaged = scratch.commit(2);
        let whole = scratch.octets("queue", &damaged.to_string());
        scratch.write("queue", &damaged.to_string(), &whole[..whole.len() - 5]);
        scratch.write("queue", "README", b"no entry");
        let clock = Cell::new(id.arrival_seconds() + 10);
        let mood = |_| Mood::Takes;
        let mut server = Server::new(&mood, &clock);
        let tally = pass(&scratch.spool, &mut server);
        assert_eq!((tally.delivered, server.tried_at.len()), (1, 1));
        assert!(scratch.names("queue").is_empty());
        assert_eq!(scratch.names("failed").len(), 2);
    }
}
