//! The way to the server: the others asked, a token that holds, a connection that is signed in.

use super::Desk;
use crate::oauth::{self, AccessToken};
use crate::outcome::{Class, Failure, Fate, Stage};
use crate::queue::gate::{Attempt, Pace, Seat, Who};
use crate::smtp;
use crate::sys::clock;
use crate::sys::log::Level;
use crate::sys::tls::Tls;
use std::time::Duration;

/// How long a submission waits for one of the host's connections.
const SLOT_WAIT: Duration = Duration::from_secs(20);

/// How long a submission waits in all for a server that says nothing, if the queue can send it later.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long the runner does, before it goes without.
const RUNNER_SLOT_WAIT: Duration = Duration::from_secs(60);

/// A session, and the right to it as long as it lasts.
pub(super) struct Link {
    pub(super) session: smtp::Session,
    _seat: Seat,
}

/// Asks whether a message may leave now, and waits for its turn if that comes soon.
pub(super) fn may_go(desk: &Desk<'_>, who: Who) -> Result<(), Failure> {
    let gate = desk.config.gate();
    if let Some(open) = gate.breaker(clock::now()) {
        return Err(open.failure());
    }
    loop {
        match gate.pace(clock::now, who) {
            Pace::Go => return Ok(()),
            Pace::GoAfterMillis(millis) => return pause(desk, millis),
            Pace::AskAfterMillis(millis) => pause(desk, millis)?,
            Pace::Queue => return Err(gate.paced()),
        }
    }
}

/// Pays for a turn that this process cannot write down, with the connection in hand.
pub(super) fn toll(desk: &Desk<'_>) -> Result<(), Failure> {
    match desk.config.gate().toll_millis() {
        Some(millis) => pause(desk, millis),
        None => Ok(()),
    }
}

/// Lets time pass, as long as no signal asks for the end.
fn pause(desk: &Desk<'_>, millis: u64) -> Result<(), Failure> {
    const SLICE_MILLIS: u64 = 250;
    let mut left = millis;
    while left > 0 && !desk.interrupted() {
        let slice = left.min(SLICE_MILLIS);
        clock::pause(Duration::from_millis(slice));
        left -= slice;
    }
    match desk.interrupted() {
        true => Err(smtp::interrupted(Stage::Pace)),
        false => Ok(()),
    }
}

/// Connects and signs in; a token that the server refuses is renewed once.
pub(super) fn link(
    desk: &Desk<'_>,
    who: Who,
    watch: &mut smtp::Watch<'_>,
) -> Result<Link, Failure> {
    let linked = connect(desk, who, watch);
    if let Err(failure) = &linked {
        tell_others(desk, who, failure);
    }
    linked
}

/// Lets the other processes know of a failure that is the server's or the network's.
pub(super) fn tell_others(desk: &Desk<'_>, who: Who, failure: &Failure) {
    let attempt = Attempt {
        failure,
        who,
        uid: desk.caller.uid,
        disturbed: desk
            .signals
            .is_some_and(|signals| signals.taken().is_some() || signals.stopped()),
    };
    desk.config.gate().open(clock::now(), &attempt);
}

fn connect(desk: &Desk<'_>, who: Who, watch: &mut smtp::Watch<'_>) -> Result<Link, Failure> {
    let token = access_token(desk, None)?;
    let seat = seat(desk, who)?;
    toll(desk)?;
    let tls = Tls::new(&desk.config.roots)?;
    let session = match sign_in(desk, who, (&tls, &token), watch) {
        Err(rejection) if rejection.token_refused => {
            let renewed = access_token(desk, Some(&token))?;
            sign_in(desk, who, (&tls, &renewed), watch).map_err(|rejection| rejection.failure)?
        }
        other => other.map_err(|rejection| rejection.failure)?,
    };
    Ok(Link {
        session,
        _seat: seat,
    })
}

/// A token that holds; another one if the server refused that one.
pub(super) fn access_token(
    desk: &Desk<'_>,
    refused: Option<&AccessToken>,
) -> Result<AccessToken, Failure> {
    let store = oauth::Store::new(desk.config.token_dirs.clone());
    let grant = desk.config.sign_in(&store);
    // A job that pipes its output in may have taken hours; how long a token lasts is counted from now.
    let now = clock::now();
    let token = match refused {
        None => grant
            .access_token(desk.journal, now)
            .map_err(|failure| own_sign_in(desk, failure)),
        Some(refused) => grant.access_token_after_refusal(refused, desk.journal, now),
    };
    token.map_err(|failure| match failure.fate() {
        // The request may have failed because of the signal.
        Fate::Defer if desk.interrupted() => {
            smtp::interrupted(failure.stage().unwrap_or(Stage::TokenHttp))
        }
        _ => failure,
    })
}

fn seat(desk: &Desk<'_>, who: Who) -> Result<Seat, Failure> {
    let gate = desk.config.gate();
    let wait = match who {
        Who::Submission => SLOT_WAIT,
        Who::Runner => RUNNER_SLOT_WAIT,
    };
    match gate.slot(wait, &|| desk.interrupted(), desk.journal) {
        Seat::Busy if desk.interrupted() => Err(smtp::interrupted(Stage::Slot)),
        Seat::Busy if who == Who::Submission => Err(gate.busy(wait)),
        seat => Ok(seat),
    }
}

fn sign_in(
    desk: &Desk<'_>,
    who: Who,
    (tls, token): (&Tls, &AccessToken),
    watch: &mut smtp::Watch<'_>,
) -> Result<smtp::Session, smtp::Rejection> {
    let hurries = who == Who::Submission && desk.config.queue.enabled;
    let limits = smtp::Limits {
        signals: desk.signals,
        patience: hurries.then_some(PATIENCE),
        ..smtp::Limits::default()
    };
    let mut session = smtp::Session::open(&desk.config.server, tls, limits, watch)?;
    let user = &desk.config.account.user;
    session.sign_in(
        &smtp::Credentials {
            user,
            token: token.secret(),
        },
        watch,
    )?;
    Ok(session)
}

/// A caller who brings his own configuration needs a sign-in of his own with it: the host's is out
/// of his reach, and no administrator will ever end that.
fn own_sign_in(desk: &Desk<'_>, failure: Failure) -> Failure {
    let cure = match failure.reason() {
        Some("no-token") => "run `sendmail365 login`, with the same -C if you gave one",
        Some("unreadable") => {
            "name directories of your own in [paths] tokens and state, then run `sendmail365 login`, \
             with the same -C if you gave one"
        }
        _ => return failure,
    };
    if !desk.config.callers_own || desk.caller.uid == 0 {
        return failure;
    }
    let line = desk.journal.line("denied").word("what", "config-override");
    desk.journal.write(Level::Warning, &line);
    Failure::new(
        Class::Config,
        "no credentials with the configuration that you chose",
    )
    .because(failure.why().unwrap_or("there is no sign-in"))
    .fix(cure)
    .at(Stage::Token)
}
