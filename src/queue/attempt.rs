//! One entry offered to the server: recorded before, marked after, told of where it was refused.

use super::carrier::{Carried, Carrier, Following, Fortune};
use super::entry::{Entry, Mark, Recipient, Via};
use super::locked::Locked;
use super::runner::{Pass, Tally};
use super::schedule::{Setback, jitter};
use super::spool::Reason;
use super::state::{Class, State};
use crate::outcome::{self, Failure, Fate};
use crate::sys::log::{Journal, Level};
use std::time::Duration;

/// An entry in hand that is to be sent.
pub(super) struct Due<'a> {
    pub(super) locked: Locked<'a>,
    pub(super) journal: Journal<'a>,
}

/// What follows an attempt.
enum Next {
    Go,
    /// Some got it and the server takes no more at a time: the others come at once.
    Again,
}

impl Pass<'_> {
    /// Attempts until the server takes no more of an entry; whether it is to be seen what is left of it.
    pub(super) fn attempts(
        &self,
        one: &mut Due<'_>,
        following: Option<&Due<'_>>,
        carrier: &mut dyn Carrier,
        tally: &mut Tally,
    ) -> Result<bool, Failure> {
        loop {
            if let Err(failure) = carrier.ready(&one.locked.id) {
                tally.stopped = Some(failure);
                return Ok(false);
            }
            let following = following.filter(|_| carrier.may_follow());
            match self.attempt(one, following, carrier, tally)? {
                Next::Again => {}
                Next::Go => return Ok(true),
            }
        }
    }

    /// One attempt; what it changed is on the disk when this returns.
    fn attempt(
        &self,
        one: &mut Due<'_>,
        following: Option<&Due<'_>>,
        carrier: &mut dyn Carrier,
        tally: &mut Tally,
    ) -> Result<Next, Failure> {
        let Due { locked, journal } = one;
        let dice = jitter((self.random)());
        // Never send what cannot be recorded.
        let begun = locked.stored.entry.state.begun((self.clock)(), dice);
        locked.write_state(&begun)?;
        let pending: Vec<(usize, Recipient)> = waiting(&locked.stored.entry);
        let recipients: Vec<Recipient> = pending.iter().map(|(_, one)| one.clone()).collect();
        let waiting_too = following.map(|due| recipients_of(&due.locked.stored.entry));
        let following = following.zip(waiting_too.as_deref());
        let following = following.map(|(due, pending)| Following {
            id: &due.locked.id,
            stored: &due.locked.stored,
            pending,
        });
        let carried = carrier.carry(&locked.stored, &recipients, following);
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
        let told = self.refuse(locked, journal, &pending, (&carried, carrier));
        // Who could not be told of a refusal waits with the others: an attempt without an end would
        // pass for one that killed the process.
        if let Some(failure) = carried.failure.as_ref().or(told.as_ref().err()) {
            let state = begun.ended(&setback(failure), (self.clock)(), dice);
            locked.write_state(&state)?;
            let line = journal.line(state.class.event());
            journal.write(Level::Warning, &line.text("reason", &state.reply));
            if concerns_all(failure) {
                tally.stopped = Some(failure.clone());
            } else if failure.code() == Some("452") && !accepted.is_empty() && told.is_ok() {
                // Each round serves somebody, so this ends.
                return Ok(Next::Again);
            }
        }
        told.map(|()| Next::Go)
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

    pub(super) fn tell(
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

pub(super) fn waiting(entry: &Entry) -> Vec<(usize, Recipient)> {
    entry
        .marked(Mark::Pending)
        .map(|(place, one)| (place, one.clone()))
        .collect()
}

fn recipients_of(entry: &Entry) -> Vec<Recipient> {
    entry
        .marked(Mark::Pending)
        .map(|(_, one)| one.clone())
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
