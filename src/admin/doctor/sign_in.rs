//! The sign-in: the certificate that the grant shows, the token, and what the token is good for.

use super::Visit;
use super::cures::Tenancy;
use super::report::{Check, Report};
use crate::oauth::{self, AccessToken, Claims, Grant, Stored};
use crate::outcome::Failure;
use crate::sys::clock::{self, LocalTime};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const DAY_SECONDS: u64 = 24 * 60 * 60;

/// A certificate that ends sooner than this is to be renewed now.
const NOTICE_DAYS: u64 = 30;

/// Why a token that was granted is not used: what its claims say.
const MISFITS: [&str; 4] = ["user", "tenant", "audience", "scope"];

/// Judges the certificate of the grant, if it has one.
pub(super) fn certificate(visit: &Visit<'_>, report: &mut Report) {
    let Grant::Certificate(certificate) = &visit.config.account.grant else {
        return;
    };
    let cure = format!(
        "make a new one, and upload it at {} > App registrations > {} > Certificates & secrets > \
         Certificates, then name it in certificate_file under [account]",
        visit.config.cloud.portal, visit.config.account.client_id
    );
    let prints = format!(
        "thumbprint {}, SHA-256 {}",
        certificate.fingerprint(),
        certificate.thumbprint()
    );
    let now = seconds(visit.now);
    let judged = judged(certificate.ends_at, &prints, now);
    report.add(judged.unwrap_or_else(|bad| bad.fix(cure)));
}

/// The finding; one that is to have a cure is an error.
fn judged(ends_at: Option<u64>, prints: &str, now: u64) -> Result<Check, Check> {
    const NAME: &str = "certificate";
    let Some(end) = ends_at else {
        return Err(Check::warn(NAME, "its last day cannot be read").because(prints));
    };
    let when = LocalTime::at(UNIX_EPOCH + Duration::from_secs(end)).rfc5322();
    let days = end.saturating_sub(now) / DAY_SECONDS;
    if end <= now {
        return Err(Check::failed(NAME, format!("it expired on {when}")).because(prints));
    }
    if days < NOTICE_DAYS {
        let what = format!("it ends in {days} days, on {when}");
        return Err(Check::warn(NAME, what).because(prints));
    }
    let fact = format!("good until {when}; {prints}: the portal has to list it");
    Ok(Check::ok(NAME, fact))
}

/// A token, and what it says of itself.
pub(super) struct Signed {
    pub(super) token: AccessToken,
    pub(super) claims: Option<Claims>,
}

/// Gets a token by the way that every submission takes, and judges it.
///
/// `needs` is the check that keeps new tokens away; a cached one may do all the same.
pub(super) fn token(
    visit: &Visit<'_>,
    needs: Option<&'static str>,
    report: &mut Report,
) -> Option<Signed> {
    const NAME: &str = "token";
    let store = oauth::Store::new(visit.config.token_dirs.clone());
    let sign_in = visit.config.sign_in(&store);
    let before = sign_in.stored();
    let now = clock::now();
    let fresh = before.as_ref().and_then(|stored| stored.expires_at);
    let fresh = fresh.is_some_and(|end| end > seconds(now) + sign_in.margin.as_secs());
    if let (Some(needed), false) = (needs, fresh) {
        report.add(Check::skipped(NAME, needed));
        report.add(Check::skipped("claims", NAME));
        return None;
    }
    match sign_in.access_token(visit.journal, now) {
        Ok(token) => {
            let stored = sign_in.stored();
            let before = before.filter(|_| fresh);
            report.add(granted(before.as_ref(), stored.as_ref(), now));
            let claims = token.claims();
            report.add(purpose(visit, claims.as_ref()));
            Some(Signed { token, claims })
        }
        Err(failure) => {
            refused(&failure, report);
            None
        }
    }
}

/// A token that does not fit was granted all the same.
fn refused(failure: &Failure, report: &mut Report) {
    let misfit = failure.reason().filter(|reason| MISFITS.contains(reason));
    match misfit {
        Some(_) => {
            report.add(Check::ok(
                "token",
                "one is granted, and not used: see claims",
            ));
            report.add(Check::of("claims", failure));
        }
        None => {
            report.add(Check::of("token", failure));
            report.add(Check::skipped("claims", "token"));
        }
    }
}

fn granted(before: Option<&Stored>, after: Option<&Stored>, now: SystemTime) -> Check {
    const NAME: &str = "token";
    let Some(stored) = after else {
        return Check::warn(NAME, "one was granted, and could not be kept")
            .because("every message asks for one of its own")
            .fix("run `sendmail365 login`, which makes the files that tokens are kept in");
    };
    let age = seconds(now).saturating_sub(stored.obtained_at);
    let cached = before.is_some_and(|before| before.obtained_at == stored.obtained_at);
    let how = match cached {
        true => format!("cached, {} min old", age / 60),
        false => "granted just now".to_owned(),
    };
    let until = stored.expires_at.map_or_else(String::new, |end| {
        let end = LocalTime::at(UNIX_EPOCH + Duration::from_secs(end));
        format!(", good until {}", end.rfc5322())
    });
    Check::ok(NAME, format!("{how}{until}, by {}", stored.flow))
}

/// What the token opens, and for whom.
fn purpose(visit: &Visit<'_>, claims: Option<&Claims>) -> Check {
    const NAME: &str = "claims";
    let Some(claims) = claims else {
        return Check::ok(NAME, "the token tells nothing of itself");
    };
    let persons = visit.config.account.grant.is_a_persons();
    let known = |claim: Option<&str>| claim.unwrap_or("not told").to_owned();
    let mut facts = vec![format!("audience {}", known(claims.audience()))];
    match claims.user() {
        Some(user) => facts.push(format!("user {user}")),
        None => facts.push(format!("application {}", known(claims.client()))),
    }
    facts.push(format!("tenant {}", known(claims.tenant())));
    if let Some(object) = claims.object() {
        facts.push(format!("object {object}"));
    }
    if let Some(scopes) = claims.scopes() {
        facts.push(format!("scopes {scopes}"));
    }
    if let Some(roles) = claims.roles() {
        facts.push(format!("roles {}", roles.join(" ")));
    }
    let facts = facts.join(", ");
    if persons {
        return Check::ok(NAME, facts);
    }
    let tenancy = Tenancy {
        config: visit.config,
        claims: Some(claims),
    };
    // High Volume Email asks for Mail.Send instead.
    let good = ["SMTP.SendAsApp", "Mail.Send"];
    match claims.roles() {
        Some(roles) if roles.iter().any(|role| good.contains(&role.as_str())) => {
            Check::ok(NAME, facts)
        }
        found => {
            let why = match found {
                None => "it carries no roles: right with App RBAC, else consent is missing",
                Some(_) => "SMTP.SendAsApp is not among its roles: right with App RBAC only",
            };
            let check = Check::warn(NAME, facts).because(why);
            check.fixed_by(tenancy.without_roles())
        }
    }
}

fn seconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::super::report::Verdict;
    use super::*;

    #[test]
    fn a_certificate_is_warned_of_a_month_before_its_end() {
        const END: u64 = 1_900_000_000;
        let verdict = |now| match judged(Some(END), "x", now) {
            Ok(check) | Err(check) => check.verdict,
        };
        assert_eq!(verdict(END - 31 * DAY_SECONDS), Verdict::Ok);
        assert_eq!(verdict(END - 30 * DAY_SECONDS + 1), Verdict::Warn);
        assert_eq!(verdict(END - 1), Verdict::Warn);
        assert_eq!(verdict(END), Verdict::Failed);
        assert!(judged(None, "x", 0).is_err());
    }
}
