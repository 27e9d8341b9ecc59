//! `mailq` and the verb `queue`: what waits, what failed, and what a person does about it.
//!
//! Everybody sees and touches what he handed in himself; root and the owner of the queue, all of it.

use crate::cli::{QueueJob, QueueWork};
use crate::config::Config;
use crate::outcome::{Class, Failure, Outcome, QueueId, Stage, printable};
use crate::queue::list::{self, Row, View};
use crate::queue::{Caps, Entry, Failed, Listed, Listing, Passed, Spool, State, Stored};
use crate::sys::caller::Caller;
use crate::sys::log::{Journal, Level};
use crate::sys::stdio;
use std::time::{SystemTime, UNIX_EPOCH};

/// Does one job on the queue.
pub fn perform(
    work: &QueueWork,
    config: &Config,
    caller: &Caller,
    now: SystemTime,
) -> Result<Outcome, Failure> {
    let counter = Counter::open(config, caller, now)?;
    match &work.job {
        QueueJob::List {
            failed: false,
            verbose,
            json,
        } => counter.list(*verbose, *json)?,
        QueueJob::List {
            failed: true,
            verbose,
            json,
        } => counter.list_failed(*verbose, *json),
        QueueJob::Count => stdio::say(&format!("{}\n", counter.queued.len())),
        QueueJob::Show { id, body, json } => counter.show(id, *body, *json)?,
        QueueJob::Resend { id } => counter.resend(id)?,
        QueueJob::Drop { id } => counter.drop(id)?,
    }
    Ok(Outcome::Done)
}

/// The queue as one caller may see it.
struct Counter<'a> {
    config: &'a Config,
    caller: &'a Caller,
    /// Root, or the owner of the queue.
    all: bool,
    now: SystemTime,
    spool: Spool,
    queued: Vec<Listed>,
    failed: Vec<Failed>,
}

/// A message that a person has named.
enum Named<'a> {
    Queued(&'a Listed),
    Failed(&'a Failed),
}

impl<'a> Counter<'a> {
    fn open(
        config: &'a Config,
        caller: &'a Caller,
        now: SystemTime,
    ) -> Result<Counter<'a>, Failure> {
        let spool = Spool::new(&config.queue.spool);
        let Listing {
            entries, account, ..
        } = or_none(spool.list(), config)?;
        let failed = or_none(spool.failed(), config)?;
        let all = caller.uid == 0 || caller.uid == account;
        let may_see = |uid: u32| all || uid == caller.uid;
        Ok(Counter {
            config,
            caller,
            all,
            now,
            spool,
            queued: entries
                .into_iter()
                .filter(|listed| may_see(listed.uid))
                .collect(),
            failed: failed
                .into_iter()
                .filter(|failed| may_see(failed.uid))
                .collect(),
        })
    }

    fn list(&self, verbose: bool, json: bool) -> Result<(), Failure> {
        let rows = self
            .queued
            .iter()
            .filter_map(|listed| self.queued_row(listed));
        let rows: Vec<Row> = rows.map(|(row, _)| row).collect();
        if json {
            stdio::say(&list::json(&rows));
            return Ok(());
        }
        let queue = &self.config.queue;
        let open = self.config.gate().breaker(self.now);
        stdio::say(&list::text(&View {
            rows: &rows,
            failed: self.failed.len(),
            open: open.as_ref(),
            per_minute: queue.per_minute,
            now: self.seconds(),
            verbose,
        }));
        Ok(())
    }

    fn list_failed(&self, verbose: bool, json: bool) {
        let rows = self
            .failed
            .iter()
            .filter_map(|failed| self.failed_row(failed));
        let rows: Vec<Row> = rows.map(|(row, _)| row).collect();
        stdio::say(&match json {
            true => list::json(&rows),
            false => list::failed_text(&rows, self.seconds(), verbose),
        });
    }

    /// Envelope, state and header; the body for root and for whom it is.
    fn show(&self, id: &str, body: bool, json: bool) -> Result<(), Failure> {
        let (row, stored) = match self.named(id)? {
            Named::Queued(listed) => self.queued_row(listed),
            Named::Failed(failed) => self.failed_row(failed),
        }
        .ok_or_else(|| none_such(id))?;
        if body && self.caller.uid != 0 && self.caller.uid != row.uid {
            return Err(Failure::new(Class::NoPermission, "the body is not shown")
                .because("only root and the user who handed the message in may read it")
                .fix("ask for the message without --body"));
        }
        if json {
            let header = stored.as_ref().map(Stored::header);
            stdio::say(&format!("{}\n", row.json(header)));
            return Ok(());
        }
        stdio::say(&row.details(self.seconds()));
        if let Some(stored) = stored {
            stdio::say("\n");
            say_lines(stored.header());
            if body {
                stdio::say("\n");
                say_lines(stored.body());
            }
        }
        Ok(())
    }

    fn resend(&self, id: &str) -> Result<(), Failure> {
        let (id, said) = match self.named(id)? {
            Named::Queued(listed) => {
                let what = format!("{} cannot be made due", listed.id);
                let opened = self.spool.open_locked(listed);
                let mut locked = opened.map_err(|passed| not_taken(what, &passed))?;
                let state = State {
                    open: 0,
                    next: self.seconds(),
                    ..locked.stored.entry.state.clone()
                };
                locked.write_state(&state)?;
                (listed.id.clone(), "due now")
            }
            Named::Failed(failed) if !self.may_move(failed.is_file_of(self.caller.uid)) => {
                return Err(accounts(&failed.name));
            }
            Named::Failed(failed) => (
                self.spool
                    .resend(failed, self.caller.uid, &Caps::default())?,
                "in the queue again, due now",
            ),
        };
        stdio::say(&format!("{id} is {said}\n"));
        self.log(&id, "resume");
        Ok(())
    }

    fn drop(&self, id: &str) -> Result<(), Failure> {
        let uid = self.caller.uid;
        let (row, id) = match self.named(id)? {
            Named::Queued(listed) if !self.may_move(listed.is_file_of(uid)) => {
                return Err(accounts(&listed.id.to_string()));
            }
            Named::Failed(failed) if !self.may_move(failed.is_file_of(uid)) => {
                return Err(accounts(&failed.name));
            }
            Named::Queued(listed) => {
                let what = format!("{} cannot be removed", listed.id);
                let (row, _) = self.queued_row(listed).ok_or_else(|| none_such(id))?;
                let opened = self.spool.open_locked(listed);
                opened
                    .map_err(|passed| not_taken(what, &passed))?
                    .remove()?;
                (row, Some(listed.id.clone()))
            }
            Named::Failed(failed) => {
                let (row, _) = self.failed_row(failed).ok_or_else(|| none_such(id))?;
                self.spool.remove_failed(failed)?;
                (row, failed.id.clone())
            }
        };
        stdio::say(&format!("removed\n{}", row.details(self.seconds())));
        if let Some(id) = id {
            self.log(&id, "cancelled");
        }
        Ok(())
    }

    /// The directories are sticky: only who owns a file, or them, takes it away.
    fn may_move(&self, own: bool) -> bool {
        own || self.all
    }

    /// The one message whose id begins so; one that waits goes before what failed of the same id.
    fn named(&self, id: &str) -> Result<Named<'_>, Failure> {
        let mut found: Vec<(String, Named<'_>)> = Vec::new();
        for listed in &self.queued {
            found.push((listed.id.to_string(), Named::Queued(listed)));
        }
        for failed in &self.failed {
            found.push((failed.name.clone(), Named::Failed(failed)));
        }
        if let Some(exact) = found.iter().position(|(name, _)| name == id) {
            return Ok(found.swap_remove(exact).1);
        }
        found.retain(|(name, _)| !id.is_empty() && name.starts_with(id));
        let count = found.len();
        match found.pop() {
            Some((_, named)) if count == 1 => Ok(named),
            None => Err(none_such(id)),
            Some(_) => Err(
                Failure::new(Class::Usage, format!("{count} messages begin with {id}"))
                    .because("the beginning of an id has to be that of one message")
                    .fix("write more of it, as `sendmail365 queue list` shows it")
                    .at(Stage::Argv),
            ),
        }
    }

    /// None for an entry that has gone meanwhile.
    fn queued_row(&self, listed: &Listed) -> Option<(Row, Option<Stored>)> {
        let (entry, stored) = envelope(self.spool.read(listed))?;
        let begun = entry.as_ref().is_ok_and(|entry| entry.state.open > 0);
        let row = Row {
            name: listed.id.to_string(),
            uid: listed.uid,
            size_bytes: size(listed.size_bytes, stored.as_ref()),
            arrival: listed.id.arrival_seconds(),
            in_hand: begun && self.spool.in_hand(listed),
            entry,
            failed: None,
        };
        Some((row, stored))
    }

    fn failed_row(&self, failed: &Failed) -> Option<(Row, Option<Stored>)> {
        let (entry, stored) = envelope(self.spool.read_failed(failed))?;
        let arrival = failed.id.as_ref().map(QueueId::arrival_seconds);
        let row = Row {
            name: failed.name.clone(),
            uid: failed.uid,
            size_bytes: size(failed.size_bytes, stored.as_ref()),
            arrival: arrival.unwrap_or(failed.since),
            entry,
            in_hand: false,
            failed: Some(failed.reason.clone()),
        };
        Some((row, stored))
    }

    fn seconds(&self) -> u64 {
        self.now
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs()
    }

    fn log(&self, id: &QueueId, event: &str) {
        let name = self.caller.log_name();
        let journal = Journal::new(&self.config.log, id, self.caller.uid, &name);
        journal.write(Level::Info, &journal.line(event));
    }
}

/// A caller's own spool is made with its first message; until then nothing waits in it.
fn or_none<T: Default>(found: Result<T, Failure>, config: &Config) -> Result<T, Failure> {
    match found {
        Err(failure) if config.callers_own && failure.reason() == Some("missing") => {
            Ok(T::default())
        }
        found => found.map_err(|failure| failure.as_class(Class::Unavailable)),
    }
}

fn envelope(read: Result<Stored, Passed>) -> Option<(Result<Entry, String>, Option<Stored>)> {
    match read {
        Ok(stored) => Some((Ok(stored.entry.clone()), Some(stored))),
        Err(Passed::Gone) => None,
        Err(passed) => Some((Err(passed.word()), None)),
    }
}

/// Octets of the message; of the file, where it cannot be read.
fn size(file: u64, stored: Option<&Stored>) -> u64 {
    stored.map_or(file, |stored| stored.message().len() as u64)
}

fn none_such(id: &str) -> Failure {
    Failure::new(Class::Usage, format!("no message {id}"))
        .because("none that you may see begins so, neither in the queue nor among the failed")
        .fix("see `sendmail365 queue list` and `sendmail365 queue list --failed`")
        .at(Stage::Argv)
}

/// The failure of a user whose message came by the socket: the account keeps it for him.
fn accounts(name: &str) -> Failure {
    Failure::new(Class::NoPermission, format!("{name} is not yours to move"))
        .because("it was handed in by the socket, so that the account keeps it")
        .fix("ask root to do it")
        .at(Stage::Queue)
}

fn not_taken(what: String, passed: &Passed) -> Failure {
    let failure = Failure::defer(what)
        .at(Stage::Queue)
        .with_reason(passed.word());
    match passed {
        Passed::Busy => failure
            .because("it is being sent at this moment")
            .fix("look again in a minute: `sendmail365 queue list`"),
        Passed::Gone => failure
            .because("it has left the queue meanwhile")
            .fix("see the log for what became of it"),
        Passed::Damaged(_) => failure
            .because(format!("its file is damaged ({})", passed.word()))
            .fix("the next run of the queue puts it among the failed, where it can be removed"),
        Passed::Changed | Passed::Unreadable(_) => failure
            .because(format!("its file cannot be opened ({})", passed.word()))
            .fix("see to owner and mode of the file, or ask root"),
    }
}

/// Lines of a message, harmless to a terminal whatever they hold.
fn say_lines(octets: &[u8]) {
    // Four characters for each octet at most: below the length at which a text is cut.
    const PIECE: usize = 100;
    for line in octets.split_inclusive(|&octet| octet == b'\n') {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let text: String = line.chunks(PIECE).map(printable).collect();
        stdio::say(&(text + "\n"));
    }
}
