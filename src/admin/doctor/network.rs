//! The two ways out of this host, to the authority and to the server: names, proxy, TCP, TLS; and what
//! the other side's clock says of ours.

use super::Visit;
use super::report::{Check, Report};
use crate::config::Config;
use crate::oauth::{self, Authority, Grant};
use crate::outcome::{Failure, Stage};
use crate::queue::gate::{Pace, Seat, Who};
use crate::smtp::{self, Introduction, Limits, Server, Session};
use crate::sys::clock;
use crate::sys::log::Journal;
use crate::sys::tls::{Secured, Tls};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, UNIX_EPOCH};

/// How long to wait for one of the host's connections, as a submission does.
const SLOT_WAIT: Duration = Duration::from_secs(20);

/// How long an authority may take for its page.
const PAGE_MAX: Duration = Duration::from_secs(10);

/// Tokens and assertions hold for minutes: beyond this they are refused.
const FAILED_SECONDS: u64 = 300;

/// Beyond this nobody keeps the clock.
const WARN_SECONDS: u64 = 60;

/// One way out, as far as it went.
struct Leg {
    host: String,
    port: u16,
    /// None where the proxy asks for them.
    names: Option<Result<Vec<IpAddr>, Failure>>,
    end: Result<(Option<SocketAddr>, Option<Secured>), Failure>,
}

/// Both ways, and what came of them.
pub(super) struct Ways {
    /// None where nobody outside this host is asked for tokens.
    sign_in: Option<Leg>,
    authority: Option<Result<Authority, Failure>>,
    submission: Option<Leg>,
    /// Why the server was not asked: this host sends enough at the moment.
    pub(super) paced: Option<Failure>,
    pub(super) counterpart: Option<Counterpart>,
    ahead: Option<(i64, String)>,
}

/// The server, and the right to the connection with it.
pub(super) struct Counterpart {
    pub(super) session: Session,
    pub(super) introduction: Introduction,
    pub(super) seat: Seat,
}

/// Goes both ways as far as they lead, without signing in anywhere.
pub(super) fn walk(visit: &Visit<'_>) -> Ways {
    let config = visit.config;
    let limits = limits();
    let store = oauth::Store::new(config.token_dirs.clone());
    let asks = !matches!(
        config.account.grant,
        Grant::ManagedIdentity { .. } | Grant::Command { .. }
    );
    let sign_in = asks.then(|| authority_leg(config, &limits));
    let reached = sign_in.as_ref().is_some_and(|leg| leg.end.is_ok());
    let authority = reached.then(|| {
        let mut sign_in = config.sign_in(&store);
        sign_in.timeout = PAGE_MAX;
        sign_in.authority()
    });
    let mut ways = Ways {
        ahead: None,
        sign_in,
        authority,
        submission: None,
        paced: None,
        counterpart: None,
    };
    if let Some(Ok(authority)) = &ways.authority {
        let host = config.endpoint.host().to_owned();
        ways.ahead = authority.ahead.map(|ahead| (ahead, host));
    }
    match turn(config, visit.journal) {
        Ok(seat) => submission_leg(config, seat, &limits, &mut ways),
        Err(failure) => ways.paced = Some(failure),
    }
    ways
}

/// No stage is waited for as long as for a message.
pub(super) fn limits() -> Limits {
    Limits {
        greeting: Duration::from_secs(20),
        ..Limits::default()
    }
}

/// A connection and a turn of this host's: looking for faults must not make others.
pub(super) fn turn(config: &Config, journal: &Journal<'_>) -> Result<Seat, Failure> {
    let gate = config.gate();
    match gate.pace(clock::now, Who::Submission) {
        Pace::Go => {}
        Pace::GoAfterMillis(millis) => clock::pause(Duration::from_millis(millis)),
        Pace::AskAfterMillis(_) | Pace::Queue => return Err(gate.paced()),
    }
    match gate.slot(SLOT_WAIT, &|| false, journal) {
        Seat::Busy => Err(gate.busy(SLOT_WAIT)),
        seat => Ok(seat),
    }
}

/// With a proxy nothing but its own name has to be known here.
fn names(server: &Server, limits: &Limits) -> Option<Result<Vec<IpAddr>, Failure>> {
    match &server.proxy {
        Some(_) => None,
        None => Some(smtp::addresses(&server.host, server.port, limits)),
    }
}

fn authority_leg(config: &Config, limits: &Limits) -> Leg {
    let (host, port) = config.endpoint.host_and_port();
    let server = Server {
        host,
        port,
        hello: String::new(),
        proxy: config.server.proxy.clone(),
    };
    let names = names(&server, limits);
    let end = match &names {
        Some(Err(failure)) => Err(failure.clone()),
        _ => Tls::new(&config.roots).and_then(|tls| smtp::handshake(&server, &tls, limits)),
    };
    let cure = "check authority and token_url under [endpoint], /etc/resolv.conf and the network";
    Leg {
        host: server.host,
        port,
        names: names.map(|names| names.map_err(|failure| failure.fix(cure))),
        end,
    }
}

fn submission_leg(config: &Config, seat: Seat, limits: &Limits, ways: &mut Ways) {
    let server = &config.server;
    let names = names(server, limits);
    let mut greeting = None;
    let end = match &names {
        Some(Err(failure)) => Err(failure.clone()),
        _ => open(config, limits, &mut greeting),
    };
    let end = end.map(|session| {
        let introduction = session.introduction();
        let met = (introduction.peer, introduction.secured.clone());
        ways.counterpart = Some(Counterpart {
            session,
            introduction,
            seat,
        });
        met
    });
    if ways.ahead.is_none() {
        ways.ahead = greeting.and_then(|line| ahead_of(&line, &server.host));
    }
    ways.submission = Some(Leg {
        host: server.host.clone(),
        port: server.port,
        names,
        end,
    });
}

/// Opens the session, and keeps the first line that the server says.
fn open(
    config: &Config,
    limits: &Limits,
    greeting: &mut Option<String>,
) -> Result<Session, Failure> {
    let tls = Tls::new(&config.roots)?;
    let mut watch = |_: smtp::Direction, line: &str| {
        greeting.get_or_insert_with(|| line.to_owned());
    };
    Session::open(&config.server, &tls, limits.clone(), &mut watch)
}

/// Microsoft greets with the time, in clear: it can be had where a wrong clock here refuses every
/// certificate.
fn ahead_of(greeting: &str, host: &str) -> Option<(i64, String)> {
    let (_, rest) = greeting.split_once("ready at ")?;
    let date = rest.split(" [").next()?;
    let theirs = oauth::seconds_of(date)?;
    let ours = clock::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let ours = i64::try_from(ours.as_secs()).ok()?;
    Some((ours.saturating_sub(theirs), host.to_owned()))
}

impl Ways {
    fn legs(&self) -> impl Iterator<Item = &Leg> {
        self.sign_in.iter().chain(&self.submission)
    }

    /// Tells of clock, names, proxy, TCP and TLS, in this order.
    pub(super) fn tell(&self, config: &Config, report: &mut Report) {
        report.add(self.clock());
        self.tenant(config, report);
        for leg in self.legs() {
            if let Some(check) = leg.names() {
                report.add(check);
            }
        }
        self.proxy(config, report);
        let proxied = config.server.proxy.is_some();
        for leg in self.legs() {
            report.add(leg.tcp(proxied));
        }
        if let Some(failure) = &self.paced {
            let check = Check::of("pace", failure).softened();
            report.add(check.fix("run `sendmail365 doctor` again in a minute"));
            for name in ["tcp", "tls"] {
                report.add(Check::skipped(name, "pace"));
            }
        }
        for leg in self.legs() {
            report.add(leg.tls(proxied));
        }
    }

    fn clock(&self) -> Check {
        const NAME: &str = "clock";
        let Some((ahead, host)) = &self.ahead else {
            return Check::skipped(NAME, "tcp");
        };
        let apart = ahead.unsigned_abs();
        let direction = if *ahead < 0 { "behind" } else { "ahead of" };
        let fact = format!("{} {direction} that of {host}", told(apart));
        if apart <= WARN_SECONDS {
            return Check::ok(NAME, format!("{apart} s {direction} that of {host}"));
        }
        let check = match apart > FAILED_SECONDS {
            true => Check::failed(NAME, format!("this host's clock is {fact}"))
                .because("Microsoft refuses tokens, assertions and certificates by the time"),
            false => Check::warn(NAME, format!("this host's clock is {fact}"))
                .because("nobody seems to keep it"),
        };
        check.fix("as root: timedatectl set-ntp true, or with chrony: chronyc makestep")
    }

    /// Whether the authority knows the tenant.
    fn tenant(&self, config: &Config, report: &mut Report) {
        const NAME: &str = "tenant";
        let tenant = &config.account.tenant;
        match &self.authority {
            None => {}
            Some(Err(failure)) => {
                let told = failure.clone().told_as("the authority shows no page");
                report.add(Check::of(NAME, &told));
            }
            Some(Ok(page)) if !page.describes_tenant => {}
            Some(Ok(Authority {
                issuer: Some(issuer),
                ..
            })) => report.add(Check::ok(
                NAME,
                format!("{tenant} is known, issuer {issuer}"),
            )),
            Some(Ok(page)) => {
                let what = format!("{} does not know {tenant}", config.endpoint.host());
                let why = match &page.refusal {
                    Some(words) => words.lines().next().unwrap_or_default().to_owned(),
                    None => format!("HTTP {} instead of a description", page.status),
                };
                let check = Check::failed(NAME, what).because(why).fix(format!(
                    "set tenant under [account] to the id shown at {} > Overview > Tenant ID",
                    config.cloud.portal
                ));
                // Other authorities than Microsoft's may have no such page.
                report.add(match page.refusal {
                    Some(_) => check,
                    None => check.softened(),
                });
            }
        }
    }

    fn proxy(&self, config: &Config, report: &mut Report) {
        const NAME: &str = "proxy";
        let Some((host, port)) = &config.server.proxy else {
            return;
        };
        for leg in self.legs() {
            let to = format!("{}:{}", leg.host, leg.port);
            report.add(match &leg.end {
                Err(failure) if leg.stopped_before_tls() => Check::of(NAME, failure)
                    .fix(format!("have {host}:{port} let this host CONNECT to {to}")),
                _ => Check::ok(NAME, format!("{host}:{port} gives a way to {to}")),
            });
        }
    }
}

/// A span of time as people say it.
fn told(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min {} s", seconds / 60, seconds % 60),
        7_200..172_800 => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{} days", seconds / 86_400),
    }
}

impl Leg {
    fn stopped_at(&self, stages: &[Stage]) -> Option<&Failure> {
        let failure = self.end.as_ref().err()?;
        let stage = failure.stage().unwrap_or(Stage::Connect);
        stages.contains(&stage).then_some(failure)
    }

    fn stopped_before_tls(&self) -> bool {
        self.stopped_at(&[Stage::Dns, Stage::Connect]).is_some()
    }

    fn names(&self) -> Option<Check> {
        const NAME: &str = "names";
        Some(match self.names.as_ref()? {
            Err(failure) => Check::of(NAME, failure),
            Ok(addresses) => {
                let list: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
                Check::ok(NAME, format!("{} is {}", self.host, list.join(", ")))
            }
        })
    }

    fn tcp(&self, proxied: bool) -> Check {
        const NAME: &str = "tcp";
        let to = format!("{}:{}", self.host, self.port);
        match self.stopped_at(&[Stage::Dns, Stage::Connect]) {
            Some(_) if proxied => Check::skipped(NAME, "proxy"),
            Some(failure) if failure.stage() == Some(Stage::Dns) => Check::skipped(NAME, "names"),
            Some(failure) => Check::of(NAME, failure),
            None => Check::ok(NAME, format!("{to} can be reached")),
        }
    }

    fn tls(&self, proxied: bool) -> Check {
        const NAME: &str = "tls";
        let to = format!("{}:{}", self.host, self.port);
        match &self.end {
            Ok((_, Some(secured))) => {
                let issuer = secured
                    .issuer
                    .as_deref()
                    .unwrap_or("an issuer without a name");
                Check::ok(
                    NAME,
                    format!(
                        "{} with {to}, certificate issued by {issuer}",
                        secured.version
                    ),
                )
            }
            Ok(_) => Check::ok(NAME, format!("with {to}")),
            Err(_) if self.stopped_before_tls() => {
                Check::skipped(NAME, if proxied { "proxy" } else { "tcp" })
            }
            Err(failure) if failure.stage() == Some(Stage::Tls) => Check::of(NAME, failure),
            Err(_) => Check::skipped(NAME, "server"),
        }
    }
}

impl Ways {
    /// Why there is no session with the server, if that is the server's own doing.
    pub(super) fn server_failure(&self) -> Option<&Failure> {
        let leg = self.submission.as_ref()?;
        leg.stopped_at(&[Stage::Greeting, Stage::Ehlo, Stage::Starttls])
    }

    /// The check without which the server cannot be asked; none if it was.
    pub(super) fn server_needs(&self) -> Option<&'static str> {
        let Some(leg) = &self.submission else {
            return Some("pace");
        };
        let failure = leg.end.as_ref().err()?;
        Some(match failure.stage() {
            Some(Stage::Tls) => "tls",
            _ => "tcp",
        })
    }

    /// The check without which no token can be asked for; none where one can.
    pub(super) fn token_needs(&self) -> Option<&'static str> {
        let failure = self.sign_in.as_ref()?.end.as_ref().err()?;
        Some(match failure.stage() {
            Some(Stage::Tls) => "tls",
            _ => "tcp",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_greeting_tells_the_time_if_it_is_microsofts() {
        let late = "220 LO4.outlook.office365.com Microsoft ESMTP MAIL Service ready at Thu, 10 Oct \
                    2024 22:49:55 +0000 [08DCE8B62813AB2B]";
        let (ahead, host) = ahead_of(late, "smtp.x.test").unwrap();
        assert!(ahead > 60 * 86_400 && host == "smtp.x.test");
        assert!(ahead_of("220 mx.x.test ESMTP", "x").is_none());
        assert!(ahead_of("220 ready at noon", "x").is_none());
    }

    #[test]
    fn a_span_is_told_in_two_units_at_most() {
        assert_eq!(told(90), "90 s");
        assert_eq!(told(601), "10 min 1 s");
        assert_eq!(told(7_260), "2 h 1 min");
        assert_eq!(told(400 * 86_400), "400 days");
    }
}
