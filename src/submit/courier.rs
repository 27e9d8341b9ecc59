//! Takes queued messages to the server, several over one connection, and writes the notices.

use super::Desk;
use super::content::{Prepared, note_dsn};
use super::link::{Link, access_token, link, may_go, tell_others, toll};
use super::notices::{About, notify};
use super::record::failure_line;
use super::warnings;
use crate::mail::body::DotRule;
use crate::mail::dsn::Dsn;
use crate::mail::message::Message;
use crate::outcome::{Class, Failure, Fate, Outcome, QueueId};
use crate::queue::carrier::{Carried, Carrier, Following, Fortune};
use crate::queue::choice::Choice;
use crate::queue::gate::{Pace, Who};
use crate::queue::runner::{Pass, Tally};
use crate::queue::{Recipient, Retry, Stored};
use crate::smtp::{self, Verdict};
use crate::sys::clock;
use crate::sys::log::Level;
use crate::sys::random;
use crate::sys::signal::Signals;
use std::time::Duration;

/// Works the queue off once, as far as the choice goes.
pub fn run_queue(
    desk: &Desk<'_>,
    choice: Choice,
    watch: &mut smtp::Watch<'_>,
    progress: &dyn Fn(&Tally),
) -> Result<Outcome, Failure> {
    let run = work_off(desk, choice, watch, progress);
    if let Err(failure) = &run {
        // Whoever starts it by the clock reads nothing but the log.
        let line = failure_line(desk.journal.line("runner"), failure);
        desk.journal.write(Level::Warning, &line);
    }
    run
}

fn work_off(
    desk: &Desk<'_>,
    choice: Choice,
    watch: &mut smtp::Watch<'_>,
    progress: &dyn Fn(&Tally),
) -> Result<Outcome, Failure> {
    let desk = &Desk {
        signals: Some(Signals::arm()),
        ..*desk
    };
    let everything = choice.uid.is_none() && choice.filters.is_empty();
    // A user's surroundings, such as limits, are his own: they tell nothing about the server.
    let who = match choice.uid {
        None => Who::Runner,
        Some(_) => Who::Submission,
    };
    if who == Who::Runner && choice.at_once {
        // The administrator may have put right what the last attempt met.
        desk.config.gate().close();
    }
    let Round { tally, .. } = pass(desk, choice, who, watch, progress)?;
    let of_system = |failure: &&Failure| failure.class() == Class::OsError;
    if desk.interrupted() && !tally.skipped.iter().any(|failure| of_system(&failure)) {
        // The host goes down, or somebody typed Ctrl-C: the rest waits for the next run.
        return Ok(Outcome::Done);
    }
    if tally.busy {
        let line = desk.journal.line("runner").word("reason", "busy");
        desk.journal.write(Level::Info, &line);
    }
    let unused = !tally.busy && tally.stopped.is_none() && tally.delivered + tally.failed == 0;
    let kept = match everything && unused {
        true => keep_sign_in(desk),
        false => Ok(()),
    };
    if everything && !tally.busy {
        // Last, when it is known what became of the sign-in.
        warnings::tell(desk);
    }
    kept?;
    match (tally.stopped, tally.skipped) {
        (_, Some(failure)) if failure.class() == Class::OsError => Err(failure),
        (Some(failure), _) | (None, Some(failure)) => Err(stopped(&failure)),
        (None, None) => Ok(Outcome::Done),
    }
}

/// Renews a token that nears its end, so that a sign-in nobody sends with stays alive.
fn keep_sign_in(desk: &Desk<'_>) -> Result<(), Failure> {
    if let Some(open) = desk.config.gate().breaker(clock::now()) {
        let failure = open.failure();
        return match failure.fate() {
            Fate::Hold if failure.cure().is_none() => Err(failure.fix(NEXT_RUN)),
            Fate::Hold => Err(failure),
            _ => Ok(()),
        };
    }
    let Err(failure) = access_token(desk, None) else {
        return Ok(());
    };
    let line = failure_line(desk.journal.line("token-kept"), &failure);
    desk.journal.write(Level::Warning, &line);
    // A tenant that cannot be reached is no trouble as long as there is nothing to send.
    if failure.fate() != Fate::Hold {
        return Ok(());
    }
    tell_others(desk, Who::Runner, &failure);
    Err(failure)
}

/// What a pass came to.
pub(super) struct Round {
    pub(super) tally: Tally,
    /// Recipients that nobody tries again, with the reason.
    pub(super) refused: Vec<(String, String)>,
}

/// One pass, on behalf of a submission or of the runner.
pub(super) fn pass(
    desk: &Desk<'_>,
    choice: Choice,
    who: Who,
    watch: &mut smtp::Watch<'_>,
    progress: &dyn Fn(&Tally),
) -> Result<Round, Failure> {
    let spool = desk.config.spool();
    let lifetime = Duration::from_secs(desk.config.queue.lifetime_seconds);
    let pass = Pass {
        spool: &spool,
        retry: Retry { lifetime },
        choice,
        log: &desk.config.log,
        clock: &clock::seconds,
        // Without dice the pauses are the plain ones.
        random: &|| random::number().unwrap_or(u64::MAX / 2),
        interrupted: &|| desk.interrupted(),
        progress,
    };
    let mut courier = Courier {
        desk,
        who,
        link: None,
        reserved: false,
        ahead: None,
        delivered: false,
        refused: Vec::new(),
        watch,
    };
    let tally = pass.run(&mut courier);
    courier.tell_of_success();
    if let Some(link) = courier.link.take() {
        link.session.quit();
    }
    let refused = courier.refused;
    tally.map(|tally| Round { tally, refused })
}

struct Courier<'a, 'w> {
    desk: &'a Desk<'a>,
    who: Who,
    link: Option<Link>,
    /// The next message has its turn within the rate.
    reserved: bool,
    /// The message that the server knows of already.
    ahead: Option<QueueId>,
    /// The server has taken a message, and the other processes do not know yet.
    delivered: bool,
    /// Whom nobody tries again; of a submission only, whose caller waits to hear of them.
    refused: Vec<(String, String)>,
    watch: &'a mut smtp::Watch<'w>,
}

impl Carrier for Courier<'_, '_> {
    fn ready(&mut self, id: &QueueId) -> Result<(), Failure> {
        self.tell_of_success();
        if !std::mem::take(&mut self.reserved) {
            may_go(self.desk, self.who)?;
        }
        let in_step = self.ahead.take().is_none_or(|ahead| ahead == *id);
        if in_step && self.link.as_ref().is_some_and(|link| link.session.usable()) {
            return toll(self.desk);
        }
        // The old one's seat has to be free before another is asked for.
        self.link = None;
        self.link = Some(link(self.desk, self.who, self.watch)?);
        Ok(())
    }

    /// Only for the runner: a submission that takes its turn has to use it.
    fn may_follow(&mut self) -> bool {
        let gate = self.desk.config.gate();
        self.reserved |= self.who == Who::Runner
            && !self.desk.interrupted()
            && gate.toll_millis().is_none()
            && gate.breaker(clock::now()).is_none()
            && gate.pace(clock::now, self.who) == Pace::Go;
        self.reserved
    }

    fn carry(
        &mut self,
        stored: &Stored,
        pending: &[Recipient],
        following: Option<Following<'_>>,
    ) -> Carried {
        match self.submit(stored, pending, following) {
            Ok(receipt) => {
                self.delivered = true;
                carried(&receipt.verdicts, Some(&receipt.reply), None)
            }
            Err(refusal) if refusal.verdicts.is_empty() => {
                tell_others(self.desk, self.who, &refusal.failure);
                for_all(pending.len(), refusal.failure)
            }
            Err(refusal) => carried(&refusal.verdicts, None, Some(refusal.failure)),
        }
    }

    fn notify(
        &mut self,
        id: &QueueId,
        stored: &Stored,
        failed: &[(String, String)],
    ) -> Result<(), Failure> {
        let about = About {
            id,
            header: stored.header(),
            wishes: &Dsn::from_line(stored.entry.dsn.as_deref().unwrap_or_default()),
            kept: true,
        };
        if self.who == Who::Submission {
            self.refused.extend_from_slice(failed);
        }
        notify(&about, failed, self.desk)
    }
}

impl Courier<'_, '_> {
    /// Ends the outage that others may know of; not before what was delivered is marked.
    fn tell_of_success(&mut self) {
        if std::mem::take(&mut self.delivered) {
            self.desk.config.gate().close();
        }
    }

    fn submit(
        &mut self,
        stored: &Stored,
        pending: &[Recipient],
        following: Option<Following<'_>>,
    ) -> Result<smtp::Receipt, smtp::Refusal> {
        let Some(Link { session, .. }) = &mut self.link else {
            return Err(Failure::new(Class::Software, "a message without a connection").into());
        };
        let offered = session.offered();
        let small = following.filter(|next| next.stored.message().len() <= AHEAD_SIZE_MAX);
        let flight = small.as_ref().and_then(|next| {
            let letter = Letter::read(next.stored, next.pending).ok()?;
            // What is done to it for this server is logged when it is carried.
            let prepared = Prepared::new(&letter.message, offered, None);
            session.flight(&letter.envelope(), &prepared.content())
        });
        session.follow_with(flight);
        let letter = Letter::read(stored, pending)?;
        let prepared = Prepared::new(&letter.message, offered, Some(self.desk.journal));
        note_dsn(&letter.wishes, offered, self.desk.journal);
        let manner = smtp::Manner {
            partial: true,
            more: true,
        };
        let sent = session.submit(&letter.envelope(), &prepared.content(), manner, self.watch);
        self.ahead = small
            .filter(|_| session.is_ahead())
            .map(|next| next.id.clone());
        sent
    }
}

/// Largest message that the server is told of before its turn: it is prepared twice.
const AHEAD_SIZE_MAX: usize = 1024 * 1024;

/// A queued message as it is said and sent.
struct Letter {
    message: Message,
    sender: Option<smtp::Path>,
    recipients: Vec<smtp::Path>,
    wishes: Dsn,
}

impl Letter {
    fn read(stored: &Stored, pending: &[Recipient]) -> Result<Letter, Failure> {
        let plain = |text: &String| smtp::Path {
            utf8: !text.is_ascii(),
            text: text.clone(),
        };
        Ok(Letter {
            // Committed messages are canonical: reading one changes nothing.
            message: Message::read(stored.message(), DotRule::Text, u64::MAX)?,
            sender: stored.entry.sender.as_ref().map(plain),
            recipients: pending.iter().map(|one| plain(&one.path)).collect(),
            wishes: Dsn::from_line(stored.entry.dsn.as_deref().unwrap_or_default()),
        })
    }

    fn envelope(&self) -> smtp::Envelope<'_> {
        smtp::Envelope {
            sender: self.sender.as_ref(),
            recipients: &self.recipients,
            dsn: &self.wishes,
        }
    }
}

/// What replies to RCPT and to the message mean for each recipient. Without a reply to the message
/// nobody has it, whatever RCPT said.
fn carried(verdicts: &[Verdict], reply: Option<&str>, failure: Option<Failure>) -> Carried {
    let mut deferred = None;
    let fortunes: Vec<Fortune> = verdicts
        .iter()
        .map(|verdict| match (verdict, reply) {
            (Verdict::Accepted, Some(reply)) => Fortune::Accepted(reply.to_owned()),
            (Verdict::Rejected(reply), _) => Fortune::Refused(reply.clone()),
            (Verdict::Deferred(reply), _) => {
                deferred.get_or_insert(reply.clone());
                Fortune::Waits
            }
            (Verdict::Accepted, None) => Fortune::Waits,
        })
        .collect();
    let some_wait = fortunes.contains(&Fortune::Waits);
    let failure = some_wait.then(|| {
        failure.unwrap_or_else(|| {
            let why = deferred.unwrap_or_default();
            let code: String = why.chars().take(3).collect();
            Failure::defer("the server defers a recipient")
                .because(why)
                .with_code(code)
        })
    });
    Carried { fortunes, failure }
}

/// The same for everybody: the message itself was refused, or nothing came of it.
fn for_all(count: usize, failure: Failure) -> Carried {
    let why = failure.why().unwrap_or(failure.what()).to_owned();
    match failure.fate() {
        Fate::Return => Carried {
            fortunes: vec![Fortune::Refused(why); count],
            failure: None,
        },
        _ => Carried {
            fortunes: vec![Fortune::Waits; count],
            failure: Some(failure),
        },
    }
}

const NEXT_RUN: &str = "it is tried again by the next run";

fn stopped(failure: &Failure) -> Failure {
    let why = match failure.why() {
        Some(why) => format!("{}: {why}", failure.what()),
        None => failure.what().to_owned(),
    };
    Failure::defer("the queue was not worked off")
        .because(why)
        .fix(failure.cure().unwrap_or(NEXT_RUN))
}
