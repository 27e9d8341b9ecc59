//! `doctor`: every check from the settings to the sender, each with its cure; no message is sent.
//!
//! ```text
//! configuration ─ files ─ [network: both ways are walked] ─ clock tenant names proxy tcp tls
//!     └ certificate ─ token ─ claims ─ server ─ auth ─ sender
//! queue space hold ─ timer ─ links ─ aliases ─ php
//! ```
//!
//! What an earlier failure makes impossible is skipped, and says which; all else is asked.

mod cures;
mod files;
mod host;
mod network;
mod own;
mod queue;
mod report;
mod server;
mod sign_in;

use crate::cli::Doctor;
use crate::config::Config;
use crate::config::paths::Location;
use crate::outcome::{Class, Failure, Outcome};
use crate::sys::caller::Caller;
use crate::sys::log::Journal;
use report::{Check, Report};
use std::path::absolute;
use std::time::SystemTime;

/// Settings that can be used, and on whose behalf.
struct Visit<'a> {
    config: &'a Config,
    caller: &'a Caller,
    journal: &'a Journal<'a>,
    now: SystemTime,
}

/// Who asks, and whose settings are his.
pub struct Patient<'a> {
    pub location: &'a Location,
    pub caller: &'a Caller,
    /// The host's name.
    pub host: &'a str,
    pub now: SystemTime,
}

/// What has been found before the network is asked.
pub struct Begun {
    report: Report,
    /// Told later, and looked for with the rights of whoever asked.
    timer: Check,
}

/// The checks that need settings, behind those of the files.
const NEED_SETTINGS: [&str; 11] = [
    "clock", "names", "tcp", "tls", "token", "claims", "server", "auth", "sender", "queue", "hold",
];

/// Checks what the caller's own rights are needed for: settings, or why there are none, and files.
pub fn begin(wishes: &Doctor, config: Result<&Config, &Failure>, patient: &Patient<'_>) -> Begun {
    let mut report = Report::new(wishes.json);
    configuration(config, patient, &mut report);
    let config = config.ok();
    files(config, patient, &mut report);
    let timer = timer(config, patient);
    Begun { report, timer }
}

/// Makes all other checks; fails if one of all did.
pub fn examine(
    begun: Begun,
    settings: Option<(&Config, &Journal<'_>)>,
    patient: &Patient<'_>,
) -> Result<Outcome, Failure> {
    let Begun { mut report, timer } = begun;
    match settings {
        Some(settings) => by_settings(settings, patient, &mut report),
        None => {
            for name in NEED_SETTINGS {
                report.add(Check::skipped(name, "configuration"));
            }
        }
    }
    report.add(timer);
    if let Some((config, _)) = settings.filter(|_| patient.is_hosts()) {
        queue::places(config, &mut report);
    }
    host::links(patient.is_hosts(), &mut report);
    match settings {
        Some((config, _)) => host::aliases(config, patient.host, &mut report),
        None => report.add(Check::skipped("aliases", "configuration")),
    }
    host::php(&mut report);
    report.close();
    verdict(&report)
}

fn verdict(report: &Report) -> Result<Outcome, Failure> {
    let failed = report.failed();
    if failed.is_empty() {
        return Ok(Outcome::Done);
    }
    Err(Failure::new(Class::Config, "not all is well")
        .because(format!("failed: {}", failed.join(", ")))
        .fix("do what stands below each, from the first on, then run `sendmail365 doctor` again"))
}

impl Patient<'_> {
    /// Whether the settings are those of the host, by whatever way.
    fn is_hosts(&self) -> bool {
        self.location.is_hosts()
    }
}

fn configuration(config: Result<&Config, &Failure>, patient: &Patient<'_>, report: &mut Report) {
    const NAME: &str = "configuration";
    let path = patient.location.path.display();
    match config {
        Err(failure) => {
            let check = Check::of(NAME, failure);
            report.add(match failure.reason() {
                // What helps a message is no help here.
                Some("no-privilege") => {
                    check.fixed_by(vec!["run `sendmail365 doctor` as root".to_owned()])
                }
                _ => check,
            });
        }
        Ok(config) => {
            for warning in &config.warnings {
                let (what, cure) = warning
                    .text
                    .rsplit_once("; ")
                    .unwrap_or((&warning.text, ""));
                let check = Check::warn(NAME, what);
                report.add(match cure {
                    "" => check,
                    cure => check.fix(cure),
                });
            }
            let Config { account, cloud, .. } = config;
            let (mailbox, grant) = (&account.mailbox, account.grant.name());
            let fact = format!("{path}: {mailbox}, by {grant}, cloud {}", cloud.name);
            report.add(Check::ok(NAME, fact));
        }
    }
}

fn files(config: Option<&Config>, patient: &Patient<'_>, report: &mut Report) {
    const NAME: &str = "files";
    if patient.is_hosts() {
        report.add(files::account());
    }
    let (found, count) = match (patient.is_hosts(), config) {
        (true, config) => files::of_host(patient.location, config, patient.caller),
        (false, Some(config)) => own::judge(config, patient.caller),
        (false, None) => return report.add(Check::skipped(NAME, "configuration")),
    };
    let fact = format!("{count} have the owner and mode they need");
    let all_well = match count {
        0 => Check::skipped(NAME, "configuration"),
        _ => Check::ok(NAME, fact),
    };
    report.add_all(found, all_well);
}

/// Who runs the queue; of the host's own that can be told without settings.
fn timer(config: Option<&Config>, patient: &Patient<'_>) -> Check {
    const NAME: &str = "timer";
    let path = &patient.location.path;
    let own = absolute(path).unwrap_or_else(|_| path.clone());
    let own = (!patient.is_hosts()).then_some(own.as_path());
    match (config, own) {
        (Some(config), _) if !config.queue.enabled => {
            Check::ok(NAME, "the queue is switched off, nobody has to run it")
        }
        (None, Some(_)) => Check::skipped(NAME, "configuration"),
        (_, own) => queue::timer(patient.caller, own),
    }
}

fn by_settings(
    (config, journal): (&Config, &Journal<'_>),
    patient: &Patient<'_>,
    report: &mut Report,
) {
    let noticed = config.warnings.iter();
    for warning in noticed.filter(|warning| warning.reason == "root") {
        let check = Check::warn("account", warning.text.as_str());
        report.add(check.fix("give the container the capabilities SETUID and SETGID"));
    }
    let visit = Visit {
        config,
        caller: patient.caller,
        journal,
        now: patient.now,
    };
    let ways = network::walk(&visit);
    ways.tell(config, report);
    sign_in::certificate(&visit, report);
    let signed = sign_in::token(&visit, ways.token_needs(), report);
    server::ask(&visit, ways, signed.as_ref(), report);
    queue::queue(&visit, report);
}
