//! One pass over the queue: oldest first, each attempt recorded before it is made.
//!
//! Delivery and notices come in as a `Carrier`; the clock and the dice as functions. What may not be
//! lost or doubled is decided by the order of steps in here: state, attempt, marks, notice, removal.

use super::carrier::{Carried, Carrier, Fortune};
use super::choice::Choice;
use super::entry::{Entry, Mark, Recipient, Via};
use super::locked::{Locked, Passed};
use super::octets::Damage;
use super::schedule::{Retry, Setback, Turn, jitter};
use super::spool::{Listed, Reason, Spool};
use super::state::{Class, State};
use crate::outcome::{self, Failure, Fate, Stage};
use crate::sys::log::{Journal, Level, Line, Log};
use std::time::Duration;

/// What a pass did.
#[derive(Debug, Default)]
pub struct Tally {
    pub delivered: usize,
    pub failed: usize,
    pub waiting: usize,
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
}

/// What one entry means for the rest of the pass.
enum Next {
    Go,
    /// Some got it and the server takes no more at a time: the others come at once.
    Again,
    Stop,
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
        for listed in &listing.entries {
            if (self.interrupted)() || tally.stopped.is_some() {
                break;
            }
            let own = self.choice.uid.is_none_or(|uid| uid == listed.uid);
            if own && self.choice.id.as_ref().is_none_or(|id| *id == listed.id) {
                self.entry(listed, carrier, &mut tally);
            }
        }
        Ok(tally)
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

    fn entry(&self, listed: &Listed, carrier: &mut dyn Carrier, tally: &mut Tally) {
        let mut locked = match self.spool.open_locked(listed) {
            Ok(locked) => locked,
            Err(Passed::Gone | Passed::Busy | Passed::Changed) => return,
            Err(Passed::Damaged(damage)) => return self.damaged(listed, damage, tally),
            Err(passed @ Passed::Unreadable(_)) => {
                let what = format!("entry {} cannot be read", listed.id);
                let failure = Failure::defer(what)
                    .because(passed.word())
                    .fix("check the owner and mode of the spool")
                    .at(Stage::Queue);
                self.write(listed, "skip", Level::Error, |line| {
                    line.text("reason", &passed.word())
                });
                return tally.note(Err(failure));
            }
        };
        if !self.choice.chooses(listed, &locked.stored.entry) {
            return;
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
                    return;
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
                Turn::Try => {
                    let mut next = Ok(Next::Again);
                    while matches!(next, Ok(Next::Again)) {
                        next = self.attempt(&mut locked, &journal, carrier, tally);
                    }
                    match next {
                        Ok(Next::Stop) => Ok(()),
                        Ok(_) => self.finish(locked, tally),
                        Err(failure) => Err(failure),
                    }
                }
            }
        };
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

    /// One attempt; what it changed is on the disk when this returns.
    fn attempt(
        &self,
        locked: &mut Locked<'_>,
        journal: &Journal<'_>,
        carrier: &mut dyn Carrier,
        tally: &mut Tally,
    ) -> Result<Next, Failure> {
        if let Err(failure) = carrier.ready() {
            tally.stopped = Some(failure);
            return Ok(Next::Stop);
        }
        let dice = jitter((self.random)());
        // Never send what cannot be recorded.
        let begun = locked.stored.entry.state.begun((self.clock)(), dice);
        locked.write_state(&begun)?;
        let pending: Vec<(usize, Recipient)> = waiting(&locked.stored.entry);
        let recipients: Vec<Recipient> = pending.iter().map(|(_, one)| one.clone()).collect();
        let carried = carrier.carry(&locked.stored, &recipients);
        let accepted: Vec<(usize, Mark)> = places(&pending, &carried, |fortune| {
            matches!(fortune, Fortune::Accepted(_)).then_some(Mark::Done)
        });
        if !accepted.is_empty() {
            // Nothing comes between the server's word and the mark: a kill there sends it twice.
            let marked = locked.mark(&accepted);
            let line = journal.line("sent").number("nrcpt", accepted.len() as u64);
            journal.write(Level::Info, &line.text("reason", &carried.last_reply()));
            if let Err(failure) = marked {
                tally.stopped = Some(failure.clone());
                return Err(self.unrecorded(locked, journal, failure));
            }
        }
        self.refuse(locked, journal, &pending, (&carried, carrier))?;
        if let Some(failure) = &carried.failure {
            let state = begun.ended(&setback(failure), (self.clock)(), dice);
            locked.write_state(&state)?;
            let line = journal.line(state.class.event());
            journal.write(Level::Warning, &line.text("reason", &state.reply));
            if concerns_all(failure) {
                tally.stopped = Some(failure.clone());
            } else if failure.code() == Some("452") && !accepted.is_empty() {
                // Each round serves somebody, so this ends.
                return Ok(Next::Again);
            }
        }
        Ok(Next::Go)
    }

    /// Sent, and that cannot be recorded: it must never be sent again by itself.
    fn unrecorded(
        &self,
        locked: &mut Locked<'_>,
        journal: &Journal<'_>,
        failure: Failure,
    ) -> Failure {
        journal.write(
            Level::Critical,
            &journal.line("quarantine").word("reason", "unrecorded"),
        );
        match self.spool.quarantine(&locked.id, Reason::Unrecorded) {
            Ok(()) => failure.as_class(outcome::Class::OsError),
            Err(second) => second.as_class(outcome::Class::OsError),
        }
    }

    /// The notice is durable before the mark: a crash in between repeats it, and loses none.
    fn refuse(
        &self,
        locked: &mut Locked<'_>,
        journal: &Journal<'_>,
        pending: &[(usize, Recipient)],
        (carried, carrier): (&Carried, &mut dyn Carrier),
    ) -> Result<(), Failure> {
        let told: Vec<(String, String)> = pending
            .iter()
            .zip(&carried.fortunes)
            .filter_map(|((_, one), fortune)| match fortune {
                Fortune::Refused(reply) => Some((one.path.clone(), reply.clone())),
                _ => None,
            })
            .collect();
        let Some((recipient, first)) = told.first() else {
            return Ok(());
        };
        let line = journal.line("failed").address("to", recipient);
        let line = line.number("nrcpt", told.len() as u64);
        journal.write(Level::Error, &line.text("reason", first));
        self.tell(locked, journal, &told, carrier)?;
        // For people who look at it in failed/.
        let state = &locked.stored.entry.state;
        let state = State {
            reply: State::kept_reply(first),
            ..state.clone()
        };
        locked.write_state(&state)?;
        locked.mark(&places(pending, carried, |fortune| {
            matches!(fortune, Fortune::Refused(_)).then_some(Mark::Failed)
        }))
    }

    fn tell(
        &self,
        locked: &Locked<'_>,
        journal: &Journal<'_>,
        told: &[(String, String)],
        carrier: &mut dyn Carrier,
    ) -> Result<(), Failure> {
        let entry = &locked.stored.entry;
        // No notice about a notice, and none to nobody.
        if entry.origin.via == Via::Notice || entry.sender.is_none() {
            return Ok(());
        }
        carrier.notify(&locked.id, &locked.stored, told)?;
        journal.write(Level::Info, &journal.line("notice"));
        Ok(())
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

/// How a failure stands in an entry.
pub fn setback(failure: &Failure) -> Setback<'_> {
    Setback {
        class: Class::of(failure.fate()).unwrap_or(Class::Defer),
        reply: failure.why().unwrap_or(failure.what()),
        // Too many connections of the mailbox: that passes sooner than the server's own troubles.
        after: failure
            .retry_after()
            .or((failure.code() == Some("432")).then(|| Duration::from_secs(60))),
    }
}

/// Whether the next message would fare no better.
fn concerns_all(failure: &Failure) -> bool {
    failure.fate() == Fate::Hold || matches!(failure.code(), Some("421" | "432"))
}

fn waiting(entry: &Entry) -> Vec<(usize, Recipient)> {
    entry
        .marked(Mark::Pending)
        .map(|(place, one)| (place, one.clone()))
        .collect()
}

fn places(
    pending: &[(usize, Recipient)],
    carried: &Carried,
    mark: impl Fn(&Fortune) -> Option<Mark>,
) -> Vec<(usize, Mark)> {
    pending
        .iter()
        .zip(&carried.fortunes)
        .filter_map(|((place, _), fortune)| Some((*place, mark(fortune)?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::QueueId;
    use crate::queue::spool::tests::{Scratch, entry};
    use crate::queue::{Caps, Deposit, Spool, Stored};
    use std::cell::Cell;
    use std::time::SystemTime;

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
        fn ready(&mut self) -> Result<(), Failure> {
            self.reached += 1;
            match (self.mood)(self.clock.get()) {
                Mood::Down => Err(Failure::defer("no connection").at(Stage::Connect)),
                _ => Ok(()),
            }
        }

        fn carry(&mut self, _: &Stored, pending: &[Recipient]) -> Carried {
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
        pass_of(Choice::default(), spool, server)
    }

    fn pass_of(choice: Choice, spool: &Spool, server: &mut Server<'_>) -> Tally {
        let clock = server.clock;
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
        };
        pass.run(server).unwrap()
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
        scratch.commit(1);
        let uid = scratch.spool.list().unwrap().entries[0].uid;
        let lock = scratch.spool.runner_lock().unwrap();
        let clock = Cell::new(u64::MAX / 2);
        let own = Choice {
            uid: Some(uid),
            ..Choice::default()
        };
        let mood = |_| Mood::Defers;
        let mut server = Server::new(&mood, &clock);
        assert!(!pass_of(own.clone(), &scratch.spool, &mut server).busy);
        assert_eq!(server.reached, 1);
        drop(lock);
        clock.set(clock.get() + 3600);
        let free = |_| match scratch.spool.runner_lock().unwrap() {
            Some(_) => Mood::Takes,
            None => Mood::Down,
        };
        let mut server = Server::new(&free, &clock);
        assert_eq!(pass_of(own, &scratch.spool, &mut server).delivered, 1);
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
