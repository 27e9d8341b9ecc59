//! `status`: what is configured and stored, what waits, what went wrong last, who comes next.
//!
//! Asked of the files alone, without the network. What the caller may not see is said.

mod report;

use crate::config::Config;
use crate::oauth::{self, Grant};
use crate::outcome::{Failure, Outcome};
use crate::queue::gate::Kind;
use crate::queue::{Failed, Listed, Listing, Spool};
use crate::submit;
use crate::sys::caller::Caller;
use crate::sys::{stdio, timer};
use report::{
    Account, Ends, Hold, LastError, NextRun, Queue, Report, SignIn, Told, UNUSED_SECONDS_MAX,
};
use std::time::{SystemTime, UNIX_EPOCH};

/// Prints the state of the host, or of a user's own settings.
pub fn status(
    config: &Config,
    (caller, is_hosts): (&Caller, bool),
    json: bool,
    now: SystemTime,
) -> Result<Outcome, Failure> {
    let report = Report {
        account: account(config),
        grant: config.account.grant.name(),
        sign_in: sign_in(config),
        ends: ends(config),
        queue: queue(config, caller),
        hold: hold(config, now),
        last_error: last_error(config, caller, now),
        next_run: next_run(config, is_hosts),
        warnings: warnings(config, now),
        now: seconds(now),
    };
    stdio::say(&match json {
        true => report.json(),
        false => report.text(),
    });
    Ok(Outcome::Done)
}

fn account(config: &Config) -> Account {
    let account = &config.account;
    Account {
        mailbox: account.mailbox.clone(),
        user: account.user.clone(),
        tenant: account.tenant.clone(),
        application: account.client_id.clone(),
        cloud: config.cloud.name,
        server: format!("{}:{}", config.server.host, config.server.port),
    }
}

/// The stored sign-in, or why there is nothing to be seen of it.
fn sign_in(config: &Config) -> Result<SignIn, String> {
    let store = oauth::Store::new(config.token_dirs.clone());
    let stored = match config.sign_in(&store).find() {
        Ok(stored) => stored,
        Err(failure) => {
            let persons = config.account.grant.is_a_persons();
            return Err(match failure.reason() {
                Some("no-token") if !persons => {
                    "no token is stored; the next message gets one".to_owned()
                }
                _ => reasons(&failure),
            });
        }
    };
    let claims = stored.claims.as_ref();
    Ok(SignIn {
        flow: stored.flow.clone(),
        user: claims.and_then(|claims| claims.user()).map(str::to_owned),
        tenant: claims.and_then(|claims| claims.tenant()).map(str::to_owned),
        object: claims.and_then(|claims| claims.object()).map(str::to_owned),
        obtained: stored.obtained_at,
        access_token_ends: stored.expires_at,
        refresh_token_ends: stored
            .persons
            .then(|| stored.obtained_at.saturating_add(UNUSED_SECONDS_MAX)),
    })
}

fn ends(config: &Config) -> Option<Ends> {
    match &config.account.grant {
        Grant::Certificate(certificate) => Some(Ends::Certificate(certificate.ends_at)),
        Grant::ClientSecret(_)
        | Grant::Delegated {
            client_secret: Some(_),
        } => Some(Ends::Secret(config.cloud.portal)),
        _ => None,
    }
}

/// The messages that the caller may see, or why there are none to be seen.
struct Seen {
    queued: Vec<Listed>,
    failed: Vec<Failed>,
    all: bool,
}

fn seen(config: &Config, caller: &Caller) -> Result<Seen, Failure> {
    let spool = config.spool();
    let missing = |failure: &Failure| failure.reason() == Some("missing");
    let listing = match spool.list() {
        // A caller's own spool is made with its first message.
        Err(failure) if config.callers_own && missing(&failure) => Listing {
            account: caller.uid,
            ..Listing::default()
        },
        listing => listing?,
    };
    let failed = match spool.failed() {
        Err(failure) if config.callers_own && missing(&failure) => Vec::new(),
        failed => failed?,
    };
    let all = caller.uid == 0 || caller.uid == listing.account;
    let own = |uid: u32| all || uid == caller.uid;
    Ok(Seen {
        queued: listing
            .entries
            .into_iter()
            .filter(|one| own(one.uid))
            .collect(),
        failed: failed.into_iter().filter(|one| own(one.uid)).collect(),
        all,
    })
}

fn queue(config: &Config, caller: &Caller) -> Result<Queue, String> {
    if !config.queue.enabled {
        return Err("switched off by enabled under [queue]".to_owned());
    }
    let seen = seen(config, caller).map_err(|failure| reasons(&failure))?;
    Ok(Queue {
        waiting: seen.queued.len(),
        oldest: seen.queued.first().map(|one| one.id.arrival_seconds()),
        failed: seen.failed.len(),
        all: seen.all,
    })
}

fn hold(config: &Config, now: SystemTime) -> Result<Option<Hold>, String> {
    let gate = config.gate();
    if let Some(error) = gate.hidden() {
        let dir = config.state_dir.display();
        return Err(format!(
            "what keeps mail back cannot be seen: {dir}: {error}"
        ));
    }
    Ok(gate.breaker(now).map(|open| Hold {
        kind: match open.kind {
            Kind::Hold => "hold",
            Kind::Defer => "down",
        },
        since: seconds(open.since),
        until: seconds(open.until),
        reason: open.reason,
        cure: open.cure,
    }))
}

/// The newest thing that kept a message back, as far as the caller may see.
fn last_error(config: &Config, caller: &Caller, now: SystemTime) -> Option<LastError> {
    let mut found = Vec::new();
    if let Some(open) = config.gate().breaker(now) {
        found.push((seconds(open.since), open.reason));
    }
    if config.queue.enabled
        && let Ok(seen) = seen(config, caller)
    {
        let spool = config.spool();
        found.extend(replies(&spool, &seen));
    }
    let (at, text) = found
        .into_iter()
        .filter(|(_, text)| !text.is_empty())
        .max_by_key(|(at, _)| *at)?;
    Some(LastError { at, text })
}

/// What was said last of each message, and when.
fn replies(spool: &Spool, seen: &Seen) -> Vec<(u64, String)> {
    // The last ones are the newest; a long queue is not read through for one line.
    const READ_MAX: usize = 200;
    let queued = seen.queued.iter().rev().take(READ_MAX);
    let queued = queued.filter_map(|one| {
        let state = spool.read(one).ok()?.entry.state;
        Some((state.last, state.reply))
    });
    let failed = seen.failed.iter().rev().take(READ_MAX);
    let failed = failed.filter_map(|one| {
        let state = spool.read_failed(one).ok()?.entry.state;
        Some((one.since, state.reply))
    });
    queued.chain(failed).collect()
}

fn next_run(config: &Config, is_hosts: bool) -> NextRun {
    NextRun {
        enabled: config.queue.enabled,
        starter: is_hosts.then(timer::starter).flatten(),
        is_hosts,
        last: config
            .gate()
            .rounds()
            .map(|rounds| rounds.last)
            .filter(|&last| last > 0),
    }
}

fn warnings(config: &Config, now: SystemTime) -> Vec<Told> {
    let settings = config.warnings.iter().map(|one| Told {
        reason: one.reason.to_owned(),
        what: one.text.clone(),
        cure: None,
    });
    let ending = submit::warnings(config, now).into_iter().map(|one| Told {
        reason: one.word.to_owned(),
        what: one.what,
        cure: Some(one.cure),
    });
    settings.chain(ending).collect()
}

fn reasons(failure: &Failure) -> String {
    failure.why().unwrap_or(failure.what()).to_owned()
}

fn seconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
