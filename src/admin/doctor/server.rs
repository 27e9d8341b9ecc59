//! The server itself: what it offers, whether it lets us in, whether the mailbox may send. No message.
//!
//! It neither opens nor closes the record by which the processes of this host keep away from a server in
//! trouble: one look is not an outage, and a hold is ended by `login` or `sendmail -qf`.

use super::Visit;
use super::cures::Tenancy;
use super::network::{Counterpart, Ways, limits, turn};
use super::report::{Check, Report};
use super::sign_in::Signed;
use crate::oauth::{self, AccessToken};
use crate::outcome::Failure;
use crate::queue::gate::Seat;
use crate::smtp::{self, Credentials, Direction, Introduction, Rejection, Session};
use crate::sys::tls::Tls;

const MIB: u64 = 1024 * 1024;

/// Asks the server as far as it can be asked; the ways are used up with it.
pub(super) fn ask(visit: &Visit<'_>, ways: Ways, signed: Option<&Signed>, report: &mut Report) {
    if let Some(failure) = ways.server_failure() {
        report.add(Check::of("server", failure));
        return skip(&["auth", "sender"], "server", report);
    }
    let needed = ways.server_needs();
    let Some(counterpart) = ways.counterpart else {
        return skip(
            &["server", "auth", "sender"],
            needed.unwrap_or("tcp"),
            report,
        );
    };
    let check = offers(&counterpart.introduction, visit);
    let offered = counterpart.introduction.xoauth2;
    report.add(check);
    let Some(signed) = signed else {
        counterpart.session.quit();
        return skip(&["auth", "sender"], "token", report);
    };
    if !offered {
        counterpart.session.quit();
        return skip(&["auth", "sender"], "server", report);
    }
    match sign_in(visit, counterpart, signed, report) {
        Some((mut session, _seat)) => {
            report.add(sender(visit, signed, &mut session));
            session.quit();
        }
        None => skip(&["sender"], "auth", report),
    }
}

fn skip(names: &[&'static str], needed: &str, report: &mut Report) {
    for name in names {
        report.add(Check::skipped(name, needed));
    }
}

fn offers(introduction: &Introduction, visit: &Visit<'_>) -> Check {
    const NAME: &str = "server";
    let Introduction {
        name, mechanisms, ..
    } = introduction;
    let mechanisms = mechanisms.join(" ");
    if !introduction.xoauth2 {
        return Check::failed(NAME, format!("{name} does not offer XOAUTH2"))
            .because(format!("after TLS it offers AUTH \"{mechanisms}\""))
            .fix(format!(
                "set host under [smtp] to {}, and see what filters SMTP on the way",
                visit.config.cloud.smtp_host
            ));
    }
    let size = match introduction.size_max {
        Some(size) => format!("SIZE {} MiB", size / MIB),
        None => "no SIZE".to_owned(),
    };
    Check::ok(NAME, format!("{name}, AUTH {mechanisms}, {size}"))
}

/// Signs in as a submission does: a token that is refused is renewed once, on a new connection.
fn sign_in(
    visit: &Visit<'_>,
    counterpart: Counterpart,
    signed: &Signed,
    report: &mut Report,
) -> Option<(Session, Seat)> {
    const NAME: &str = "auth";
    let user = &visit.config.account.user;
    let Counterpart {
        mut session, seat, ..
    } = counterpart;
    let first = attempt(visit, &mut session, &signed.token);
    let rejection = match first {
        Ok(()) => {
            report.add(Check::ok(NAME, format!("signed in as {user}")));
            return Some((session, seat));
        }
        Err(rejection) => rejection,
    };
    session.quit();
    // Its place is free for the second connection.
    drop(seat);
    if !rejection.token_refused {
        report.add(refused(visit, signed, &rejection.failure));
        return None;
    }
    match again(visit, &signed.token) {
        Ok(second) => {
            report.add(
                Check::warn(NAME, format!("signed in as {user}, at the second attempt"))
                    .because("the cached token was refused, a new one works")
                    .fix("nothing now; if it is so again, run `sendmail365 login`"),
            );
            Some(second)
        }
        Err(_) => {
            report.add(refused(visit, signed, &rejection.failure));
            None
        }
    }
}

fn attempt(visit: &Visit<'_>, session: &mut Session, token: &AccessToken) -> Result<(), Rejection> {
    let credentials = Credentials {
        user: &visit.config.account.user,
        token: token.secret(),
    };
    session.sign_in(&credentials, &mut unseen)
}

fn again(visit: &Visit<'_>, token: &AccessToken) -> Result<(Session, Seat), Failure> {
    let config = visit.config;
    let store = oauth::Store::new(config.token_dirs.clone());
    let sign_in = config.sign_in(&store);
    let now = crate::sys::clock::now();
    let renewed = sign_in.access_token_after_refusal(token, visit.journal, now)?;
    let seat = turn(config, visit.journal)?;
    let tls = Tls::new(&config.roots)?;
    let mut session = Session::open(&config.server, &tls, limits(), &mut unseen)?;
    match attempt(visit, &mut session, &renewed) {
        Ok(()) => Ok((session, seat)),
        Err(rejection) => {
            session.quit();
            Err(rejection.failure)
        }
    }
}

fn refused(visit: &Visit<'_>, signed: &Signed, failure: &Failure) -> Check {
    let tenancy = Tenancy {
        config: visit.config,
        claims: signed.claims.as_ref(),
    };
    let said = failure.why().unwrap_or_default();
    let check = Check::of("auth", failure);
    match failure.code() {
        Some("535") if said.contains("SmtpClientAuthentication is disabled") => {
            check.fixed_by(vec![tenancy.connect(), tenancy.switch_on()])
        }
        Some("535") if said.contains("5.7.3 ") => check.fixed_by(tenancy.refused()),
        _ => check,
    }
}

/// Whether the mailbox may send: MAIL FROM, then RSET.
fn sender(visit: &Visit<'_>, signed: &Signed, session: &mut Session) -> Check {
    const NAME: &str = "sender";
    let mailbox = &visit.config.mailbox;
    let path = match mailbox.wire() {
        Ok(wire) => smtp::Path {
            text: wire.path,
            utf8: wire.utf8,
        },
        Err(fault) => {
            return Check::failed(NAME, format!("{mailbox} cannot stand in MAIL FROM"))
                .because(fault.to_string())
                .fix("correct mailbox under [account]");
        }
    };
    match session.try_sender(&path, &mut unseen) {
        Ok(()) => Check::ok(
            NAME,
            format!("{mailbox} may send; nothing was sent (MAIL FROM, RSET)"),
        ),
        Err(failure) => {
            let tenancy = Tenancy {
                config: visit.config,
                claims: signed.claims.as_ref(),
            };
            let check = Check::of(NAME, &failure);
            match failure.code() {
                Some(code) if code.starts_with('5') => {
                    check.fix(tenancy.connect()).fix(tenancy.send_as())
                }
                _ => check,
            }
        }
    }
}

/// The dialogue is nobody's to see: it is told in the findings.
fn unseen(_: Direction, _: &str) {}
