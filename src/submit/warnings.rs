//! What ends soon, or has ended, and only a person can renew: told before or when it stops mail.

use super::notices::{commit, reader};
use super::{Desk, failure_line};
use crate::config::Config;
use crate::mail::header::{Field, Header};
use crate::mail::repair::id_host;
use crate::oauth::{self, Grant};
use crate::outcome::{Failure, printable};
use crate::queue::gate::{Kind, Open};
use crate::sys::clock::{self, LocalTime};
use crate::sys::log::Level;
use crate::sys::random;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const DAY: u64 = 24 * 60 * 60;

/// Microsoft ends a refresh token that nobody has used for so many days.
pub const UNUSED_DAYS_MAX: u64 = 90;

/// So many days without use are a sign that the queue is not run.
const UNUSED_DAYS_LONG: u64 = 60;

/// So many days before its end a certificate is to be renewed.
const CERTIFICATE_DAYS: u64 = 30;

/// Numbers by which a policy of the tenant ends a sign-in that was good.
const POLICY: [u32; 21] = [
    50072, 50074, 50076, 50078, 50079, 50097, 50129, 50131, 50155, 50158, 53000, 53001, 53002,
    53003, 53004, 53010, 53011, 70043, 530032, 530034, 530035,
];

/// Numbers by which a sign-in has come to its end.
const ENDED: [u32; 6] = [50133, 50173, 70008, 700082, 700084, 50132];

/// The end of a client secret, or of a certificate as the tenant knows it.
const SECRET_ENDED: u32 = 7_000_222;

/// Words for states that are known from a refusal only.
const REFUSALS: [&str; 3] = ["policy", "sign-in-ended", "secret-ended"];

/// One thing that somebody has to renew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// For the log and the record of what was told; the same as long as the state lasts.
    pub word: &'static str,
    pub what: String,
    pub cure: String,
}

/// What keeps the host from signing in, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held<'a> {
    /// Nothing does.
    No,
    /// Something else, such as the network, hides whether a refusal lasts.
    Unknown,
    /// Microsoft's number and the cure.
    By(u32, &'a str),
}

/// What the state of a sign-in is judged by.
struct Facts<'a> {
    /// The last use of a person's refresh token.
    refreshed_at: Option<u64>,
    /// The end of the grant's certificate.
    certificate_ends_at: Option<u64>,
    has_secret: bool,
    held: Held<'a>,
    portal: &'a str,
}

/// What there is to warn of at `now`; asks nobody.
pub fn warnings(config: &Config, now: SystemTime) -> Vec<Warning> {
    with_facts(config, now, |facts| judge(facts, seconds(now)))
}

/// Records the run of the queue, and tells the administrator of what he has not been told yet: by a
/// line in the log and a message, once for each state.
///
/// Where that cannot be recorded nothing is told, or it would be told every minute.
pub(super) fn tell(desk: &Desk<'_>) {
    let (config, now) = (desk.config, clock::now());
    config.gate().record_round(now, |told| {
        with_facts(config, now, |facts| {
            let found = judge(facts, seconds(now));
            let mut known = still_known(&told, &found, facts.held);
            for one in found {
                let new = !told.iter().any(|word| word == one.word);
                if new && tell_of(&one, desk) {
                    known.push(one.word.to_owned());
                }
            }
            known
        })
    });
}

/// What was told and lasts, or may last: what cannot be asked for has not ended.
fn still_known(told: &[String], found: &[Warning], held: Held<'_>) -> Vec<String> {
    let lasts = |word: &&String| {
        let hidden = held == Held::Unknown && REFUSALS.contains(&word.as_str());
        hidden || found.iter().any(|one| one.word == word.as_str())
    };
    told.iter().filter(lasts).cloned().collect()
}

/// Whether it has been told; else the next run tries again.
fn tell_of(warning: &Warning, desk: &Desk<'_>) -> bool {
    if desk.config.queue.enabled
        && let Err(failure) = mail(warning, desk)
    {
        let line = failure_line(desk.journal.line("notice"), &failure);
        desk.journal.write(Level::Error, &line);
        return false;
    }
    let line = desk.journal.line("warning").word("reason", warning.word);
    let line = line.text("text", &warning.what).text("fix", &warning.cure);
    desk.journal.write(Level::Warning, &line);
    true
}

/// Commits a message to whoever reads the notices.
fn mail(warning: &Warning, desk: &Desk<'_>) -> Result<(), Failure> {
    let shown = |text: &str| printable(text.as_bytes());
    let (mailbox, host) = (&desk.config.mailbox, shown(desk.host));
    let random = u128::from(random::number()?) << 64 | u128::from(random::number()?);
    let mut header = Header::default();
    for (name, value) in [
        (
            "From",
            format!("\"sendmail365 on {host}\" <{}>", mailbox.written()),
        ),
        ("To", reader(desk).written()),
        ("Subject", format!("{host}: {}", shown(&warning.what))),
        ("Date", LocalTime::at(clock::now()).rfc5322()),
        (
            "Message-ID",
            format!("<{random:032x}@{}>", id_host(mailbox)),
        ),
        ("Auto-Submitted", "auto-generated".to_owned()),
    ] {
        header.push(Field::new(name, value));
    }
    header.fold_long_lines();
    let account = &desk.config.account;
    let body = format!(
        "On {host}, which sends mail as {}:\r\n\r\n{}.\r\n\r\nWhat to do:\r\n{}\r\n\r\n\
         Tenant {}, application {}.\r\n`sendmail365 status` on that host shows how things stand. \
         This is not told again as\r\nlong as it lasts.\r\n",
        shown(&account.mailbox),
        shown(&warning.what),
        shown(&warning.cure),
        shown(&account.tenant),
        shown(&account.client_id),
    );
    commit(header, body.into_bytes(), desk)
}

fn with_facts<T>(config: &Config, now: SystemTime, job: impl FnOnce(&Facts<'_>) -> T) -> T {
    let store = oauth::Store::new(config.token_dirs.clone());
    let stored = config.sign_in(&store).stored();
    let open = config.gate().breaker(now);
    let grant = &config.account.grant;
    job(&Facts {
        refreshed_at: stored
            .filter(|stored| stored.persons)
            .map(|stored| stored.obtained_at),
        certificate_ends_at: match grant {
            Grant::Certificate(certificate) => certificate.ends_at,
            _ => None,
        },
        has_secret: matches!(
            grant,
            Grant::ClientSecret(_)
                | Grant::Delegated {
                    client_secret: Some(_)
                }
        ),
        held: open.as_ref().map_or(Held::No, held),
        portal: config.cloud.portal,
    })
}

fn held(open: &Open) -> Held<'_> {
    match (open.kind, number(&open.reason)) {
        (Kind::Hold, Some(number)) => Held::By(number, open.cure.as_deref().unwrap_or_default()),
        (Kind::Hold, None) => Held::No,
        (Kind::Defer, _) => Held::Unknown,
    }
}

/// The number in `token-http: AADSTS70043`.
fn number(reason: &str) -> Option<u32> {
    let (_, digits) = reason.split_once("AADSTS")?;
    digits.trim().parse().ok()
}

fn judge(facts: &Facts<'_>, now: u64) -> Vec<Warning> {
    let unused = facts.refreshed_at.and_then(|at| unused(at, now));
    let certificate = facts
        .certificate_ends_at
        .and_then(|end| certificate(end, now, facts.portal));
    [unused, certificate, refused(facts)]
        .into_iter()
        .flatten()
        .collect()
}

fn unused(at: u64, now: u64) -> Option<Warning> {
    let days = now.saturating_sub(at) / DAY;
    if days < UNUSED_DAYS_LONG {
        return None;
    }
    let (word, what, cure) = match days < UNUSED_DAYS_MAX {
        true => (
            "refresh-token-unused",
            format!(
                "the refresh token was not used for {days} days; Microsoft ends it after \
                 {UNUSED_DAYS_MAX}"
            ),
            "see that the queue is run every minute, which renews it, and that Microsoft can be \
             reached; else run `sendmail365 login`",
        ),
        false => (
            "refresh-token-ended",
            format!("the refresh token was not used for {days} days, and has ended"),
            "run `sendmail365 login`, and see that the queue is run every minute, which renews it",
        ),
    };
    Some(Warning {
        word,
        what,
        cure: cure.to_owned(),
    })
}

fn certificate(end: u64, now: u64, portal: &str) -> Option<Warning> {
    let moment = UNIX_EPOCH.checked_add(Duration::from_secs(end))?;
    let date = LocalTime::at(moment).rfc5322();
    let (word, what) = match end.checked_sub(now) {
        Some(left) if left > CERTIFICATE_DAYS * DAY => return None,
        Some(left) if left > 0 => (
            "certificate-ends",
            format!(
                "the application's certificate ends in {} days, {date}",
                left / DAY
            ),
        ),
        _ => (
            "certificate-ended",
            format!("the application's certificate has ended, {date}"),
        ),
    };
    Some(Warning {
        word,
        what,
        cure: format!(
            "make a new one (`sendmail365 setup` shows the lines), upload it under Certificates & \
             secrets of the registration in {portal}, then put it in the place of the old one"
        ),
    })
}

fn refused(facts: &Facts<'_>) -> Option<Warning> {
    let Held::By(number, cure) = facts.held else {
        return None;
    };
    let (word, what) = match number {
        SECRET_ENDED if facts.has_secret => ("secret-ended", "the client secret has ended"),
        SECRET_ENDED => (
            "secret-ended",
            "the certificate that the tenant knows has ended",
        ),
        _ if POLICY.contains(&number) => (
            "policy",
            "a policy of the tenant does not let this host sign in",
        ),
        _ if ENDED.contains(&number) => ("sign-in-ended", "the stored sign-in has ended"),
        _ => return None,
    };
    let cure = match number {
        SECRET_ENDED if facts.has_secret => format!(
            "make a new client secret under Certificates & secrets of the registration in {}, and put \
             its value into client_secret_file under [account]",
            facts.portal
        ),
        _ if cure.is_empty() => "run `sendmail365 login`".to_owned(),
        _ => cure.to_owned(),
    };
    Some(Warning {
        word,
        what: format!("{what} (AADSTS{number})"),
        cure,
    })
}

fn seconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn facts(held: Held<'_>) -> Facts<'_> {
        Facts {
            refreshed_at: None,
            certificate_ends_at: None,
            has_secret: true,
            held,
            portal: "https://entra.microsoft.com",
        }
    }

    fn words(facts: &Facts<'_>) -> Vec<&'static str> {
        judge(facts, NOW).iter().map(|one| one.word).collect()
    }

    #[test]
    fn a_refresh_token_is_missed_after_sixty_days_and_gone_after_ninety() {
        for (at, word) in [
            (NOW + DAY, None),
            (NOW, None),
            (NOW - 60 * DAY + 1, None),
            (NOW - 60 * DAY, Some("refresh-token-unused")),
            (NOW - 90 * DAY + 1, Some("refresh-token-unused")),
            (NOW - 90 * DAY, Some("refresh-token-ended")),
            (0, Some("refresh-token-ended")),
        ] {
            let refreshed_at = Some(at);
            let facts = Facts {
                refreshed_at,
                ..facts(Held::No)
            };
            assert_eq!(words(&facts), Vec::from_iter(word), "{at}");
        }
    }

    #[test]
    fn a_certificate_is_told_of_thirty_days_before_its_end() {
        for (end, word) in [
            (NOW + 30 * DAY + 1, None),
            (NOW + 30 * DAY, Some("certificate-ends")),
            (NOW + 1, Some("certificate-ends")),
            (NOW, Some("certificate-ended")),
            (0, Some("certificate-ended")),
        ] {
            let certificate_ends_at = Some(end);
            let facts = Facts {
                certificate_ends_at,
                ..facts(Held::No)
            };
            assert_eq!(words(&facts), Vec::from_iter(word), "{end}");
        }
    }

    #[test]
    fn a_refusal_is_told_of_by_its_family() {
        for (held, word) in [
            (Held::No, None),
            (Held::Unknown, None),
            (Held::By(70043, "sign in"), Some("policy")),
            (Held::By(50078, ""), Some("policy")),
            (Held::By(53003, ""), Some("policy")),
            (Held::By(700_082, ""), Some("sign-in-ended")),
            (Held::By(7_000_222, ""), Some("secret-ended")),
            (Held::By(700_016, ""), None),
        ] {
            let facts = facts(held);
            assert_eq!(words(&facts), Vec::from_iter(word), "{held:?}");
            for one in judge(&facts, NOW) {
                assert!(REFUSALS.contains(&one.word));
                assert!(one.what.contains("AADSTS") && !one.cure.is_empty());
            }
        }
    }

    #[test]
    fn what_cannot_be_asked_for_has_not_ended() {
        let told = ["policy", "certificate-ends"].map(str::to_owned);
        let none: Vec<String> = Vec::new();
        assert_eq!(still_known(&told, &[], Held::No), none);
        assert_eq!(still_known(&told, &[], Held::Unknown), ["policy"]);
        let held = facts(Held::By(70043, ""));
        let found = judge(&held, NOW);
        assert_eq!(still_known(&told, &found, held.held), ["policy"]);
    }

    #[test]
    fn the_number_of_a_hold_is_that_of_its_reason() {
        assert_eq!(number("token-http: AADSTS70043"), Some(70043));
        for reason in ["auth: 535", "token-http: AADSTS", "", "token: user"] {
            assert_eq!(number(reason), None, "{reason}");
        }
    }
}
