//! What waits, what keeps it, and who runs the queue.

use super::Visit;
use super::report::{Check, Report};
use crate::config::Config;
use crate::outcome::Failure;
use crate::queue::gate::Kind;
use crate::queue::{Caps, Listed};
use crate::sys::caller::Caller;
use crate::sys::file::space;
use crate::sys::{command, look, timer};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

const MIB: u64 = 1024 * 1024;

/// What has waited for so long has a cause that somebody should look at.
const OLD_SECONDS: u64 = 4 * 60 * 60;

/// How long a program of the system's may take to answer.
const COMMAND_MAX: Duration = Duration::from_secs(5);

const TIMER: &str = "sendmail365-queue.timer";

/// What the timer starts.
const SERVICE: &str = "sendmail365-queue.service";

/// Where units are, the first first.
const UNIT_DIRS: [&str; 4] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];

/// Judges the queue and what holds it up.
pub(super) fn queue(visit: &Visit<'_>, report: &mut Report) {
    const NAME: &str = "queue";
    let config = visit.config;
    if !config.queue.enabled {
        report.add(Check::ok(
            NAME,
            "switched off: what the server does not take goes back to the caller",
        ));
    } else {
        match waiting(visit) {
            Ok(check) => report.add(check),
            Err(failure) if failure.reason() == Some("missing") && config.callers_own => {
                report.add(Check::ok(NAME, "nothing has waited yet"));
            }
            Err(failure) if failure.err() == Some("EACCES") && visit.caller.uid != 0 => {
                let check = Check::of(NAME, &failure).softened();
                report.add(check.fixed_by(vec![
                    "run `sendmail365 doctor` as root to have it judged too".to_owned(),
                ]));
            }
            Err(failure) => report.add(Check::of(NAME, &failure)),
        }
        if let Ok(room) = space(&config.queue.spool) {
            let free = room.free_bytes / MIB;
            report.add(match Caps::default().check_space(&room, 0) {
                Ok(()) => Check::ok("space", format!("{free} MiB are free for the queue")),
                Err(failure) => Check::of("space", &failure),
            });
        }
    }
    hold(visit, report);
}

fn waiting(visit: &Visit<'_>) -> Result<Check, Failure> {
    let spool = visit.config.spool();
    let listing = spool.list()?;
    let all = visit.caller.uid == 0 || visit.caller.uid == listing.account;
    let own = |uid: u32| all || uid == visit.caller.uid;
    let failed = spool.failed()?;
    let failed = failed.iter().filter(|failed| own(failed.uid)).count();
    let waits: Vec<&Listed> = listing
        .entries
        .iter()
        .filter(|listed| own(listed.uid))
        .collect();
    let now = visit.now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let ages = waits.iter().map(|listed| listed.id.arrival_seconds());
    let oldest = ages
        .min()
        .map(|arrival| now.as_secs().saturating_sub(arrival));
    Ok(told(waits.len(), oldest.unwrap_or(0), failed))
}

fn told(waits: usize, oldest_seconds: u64, failed: usize) -> Check {
    const NAME: &str = "queue";
    let failed = match failed {
        0 => String::new(),
        count => format!("; {count} given up, see `sendmail365 queue list --failed`"),
    };
    if waits == 0 {
        return Check::ok(NAME, format!("nothing waits{failed}"));
    }
    let minutes = oldest_seconds / 60;
    let fact = format!("{waits} wait, the oldest for {minutes} min{failed}");
    match oldest_seconds > OLD_SECONDS {
        true => Check::warn(NAME, fact).fix("see with `mailq -v` what waits, why and until when"),
        false => Check::ok(NAME, fact),
    }
}

/// What keeps all messages of this host from the server; nothing of it is changed.
fn hold(visit: &Visit<'_>, report: &mut Report) {
    const NAME: &str = "hold";
    let Some(open) = visit.config.gate().breaker(visit.now) else {
        return report.add(Check::ok(NAME, "nothing keeps messages back"));
    };
    let failure = open.failure();
    let check = Check::of(NAME, &failure);
    report.add(match open.kind {
        Kind::Defer if failure.cure().is_some() => check.softened(),
        Kind::Defer => check
            .softened()
            .fix("see the checks above; where all are well, the next message ends it"),
        Kind::Hold => check.fix(
            "once that is done: sendmail -qf, which ends the hold, as `sendmail365 login` does; this \
             check does not",
        ),
    });
}

/// Judges who offers again what waits.
pub(super) fn timer(caller: &Caller, own: Option<&Path>) -> Check {
    const NAME: &str = "timer";
    if let Some(file) = own {
        return by_crontab_of(caller, file);
    }
    if is_there("/run/systemd/system") {
        return by_systemd();
    }
    for table in ["/etc/cron.d/sendmail365", "/etc/crontab"] {
        if look::text(Path::new(table)).is_ok_and(|text| runs_queue(&text, None)) {
            return Check::ok(NAME, format!("cron runs the queue by {table}"));
        }
    }
    if crontab_of(caller).is_some_and(|text| runs_queue(&text, None)) {
        return Check::ok(NAME, "cron runs the queue by the crontab of this user");
    }
    Check::failed(NAME, "nothing runs the queue")
        .because("neither systemd nor a table of cron calls `sendmail365 -q`")
        .fix(
            "as root: echo '* * * * * sendmail365 /usr/sbin/sendmail365 -q >/dev/null 2>&1' \
             >/etc/cron.d/sendmail365",
        )
}

fn by_systemd() -> Check {
    const NAME: &str = "timer";
    let told = says(&["systemctl", "is-active", TIMER]);
    if let Some((true, _)) = told {
        return Check::ok(NAME, format!("{TIMER} is active"));
    }
    // A table of cron serves as well; and a profile of AppArmor keeps `systemctl` from being asked.
    match (timer::starter(), told) {
        (Some(table), _) if table != TIMER => {
            Check::ok(NAME, format!("cron runs the queue by {table}"))
        }
        (Some(_), None) => Check::ok(NAME, format!("{TIMER} is enabled")),
        (_, Some((_, word))) => Check::failed(NAME, "nothing runs the queue")
            .because(format!("{TIMER} is {word}"))
            .fix(format!("as root: systemctl enable --now {TIMER}")),
        (None, None) => Check::warn(NAME, format!("cannot tell whether {TIMER} is active"))
            .fix(format!("see `systemctl status {TIMER}`")),
    }
}

/// Judges whether the units may write where the settings have moved things to.
pub(super) fn places(config: &Config, report: &mut Report) {
    if !is_there("/run/systemd/system") {
        return;
    }
    let open = opened(&UNIT_DIRS.map(Path::new));
    let spool = config.queue.enabled.then_some(&config.queue.spool);
    let dirs = config.token_dirs.iter().chain(spool);
    let log = config.log.file();
    let found = closed(&open, dirs.map(PathBuf::as_path), log);
    found.into_iter().for_each(|check| report.add(check));
}

/// The paths that the unit, and what an administrator has added to it, opens for writing. The files are
/// read, since a profile of AppArmor lets nobody ask `systemctl` here.
fn opened(dirs: &[&Path]) -> String {
    let mut units = dirs
        .iter()
        .filter_map(|dir| look::text(&dir.join(SERVICE)).ok());
    let added = dirs
        .iter()
        .flat_map(|dir| look::names(&dir.join(format!("{SERVICE}.d"))))
        .filter(|name| name.extension().is_some_and(|end| end == "conf"))
        .filter_map(|name| look::text(&name).ok());
    let texts: Vec<String> = units.next().into_iter().chain(added).collect();
    let lines = texts.iter().flat_map(|text| text.lines());
    let paths: Vec<&str> = lines
        .filter_map(|line| line.trim().strip_prefix("ReadWritePaths="))
        .collect();
    paths.join(" ")
}

/// What is not among the paths that the units have open for writing; an answer without any tells nothing.
fn closed<'a>(
    open: &str,
    dirs: impl Iterator<Item = &'a Path>,
    log: Option<&'a Path>,
) -> Option<Check> {
    const NAME: &str = "timer";
    let open: Vec<&Path> = open
        .split_whitespace()
        .map(|word| Path::new(word.trim_start_matches(['-', '+'])))
        .collect();
    let is_closed = |path: &&Path| !open.iter().any(|open| path.starts_with(open));
    let dirs: Vec<&Path> = dirs.filter(is_closed).collect();
    let log = log.filter(is_closed);
    let all: Vec<String> = dirs
        .iter()
        .copied()
        .chain(log)
        .map(|path| path.display().to_string())
        .collect();
    if open.is_empty() || all.is_empty() {
        return None;
    }
    let all = all.join(" ");
    let what = format!("{SERVICE} may not write {all}");
    let check = match dirs.is_empty() {
        true => Check::warn(NAME, what),
        false => Check::failed(NAME, what),
    };
    Some(check.because("its unit allows the usual places only").fix(format!(
        "as root: systemctl edit {SERVICE} sendmail365@.service, and put in both the lines [Service] and \
         ReadWritePaths={all}"
    )))
}

/// The timer of the host does not run a user's own queue.
fn by_crontab_of(caller: &Caller, file: &Path) -> Check {
    const NAME: &str = "timer";
    let line = format!(
        "add to the crontab of {}: * * * * * /usr/sbin/sendmail365 -q -C {} >/dev/null 2>&1",
        caller.login,
        file.display()
    );
    match crontab_of(caller) {
        Some(text) if runs_queue(&text, Some(file)) => Check::ok(
            NAME,
            format!("cron runs the queue by the crontab of {}", caller.login),
        ),
        Some(_) => Check::failed(NAME, "nothing runs this queue")
            .because("it is not the host's, and no line of the crontab runs it")
            .fix(line),
        None => Check::warn(NAME, "cannot tell what runs this queue")
            .because("there is no crontab that can be read")
            .fix(line)
            .fix("or, with systemd: systemctl --user enable --now sendmail365-queue.timer"),
    }
}

/// The caller's crontab; empty if he has none, none if there is no such program.
fn crontab_of(caller: &Caller) -> Option<String> {
    let table = Path::new("/var/spool/cron/crontabs").join(&caller.login);
    if let Ok(text) = look::text(&table) {
        return Some(text);
    }
    says(&["crontab", "-l"]).map(|(_, text)| text)
}

/// Whether a line of the table calls us with `-q`, and with these settings if they are a user's own.
fn runs_queue(table: &str, own: Option<&Path>) -> bool {
    let lines = table.lines().map(str::trim_start);
    lines.filter(|line| !line.starts_with('#')).any(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let calls = words.iter().any(|word| {
            let name = word.rsplit('/').next().unwrap_or(word);
            ["sendmail365", "sendmail"].contains(&name)
        });
        let queue = words.iter().any(|word| word.starts_with("-q"))
            || words.windows(2).any(|pair| pair == ["queue", "run"]);
        let named = own.is_none_or(|file| {
            let named = words.iter().any(|word| Path::new(word) == file);
            named || !words.contains(&"-C") && file.ends_with(".config/sendmail365/config.toml")
        });
        calls && queue && named
    })
}

/// Whether a program of the system's is content, and the first line it prints.
pub(super) fn says(argv: &[&str]) -> Option<(bool, String)> {
    let argv: Vec<String> = argv.iter().map(|word| (*word).to_owned()).collect();
    let ended = command::run(&argv, COMMAND_MAX).ok()?;
    let text = String::from_utf8_lossy(&ended.stdout).trim().to_owned();
    Some((ended.success, text))
}

pub(super) fn is_there(path: &str) -> bool {
    look::look(Path::new(path)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::super::report::Verdict;
    use super::*;

    #[test]
    fn the_lines_of_the_manual_run_the_queue_and_others_do_not() {
        let shipped = include_str!("../../../packaging/cron.d/sendmail365");
        assert!(runs_queue(shipped, None));
        for (line, runs) in [
            ("* * * * * /usr/sbin/sendmail365 -q >/dev/null 2>&1", true),
            ("*/5 * * * * root sendmail365 queue run", true),
            ("* * * * * /usr/sbin/sendmail -q15m", true),
            ("# * * * * * /usr/sbin/sendmail365 -q", false),
            ("* * * * * /usr/sbin/sendmail -t </etc/motd", false),
            ("", false),
        ] {
            assert_eq!(runs_queue(line, None), runs, "{line}");
        }
    }

    #[test]
    fn places_that_the_units_keep_closed_are_told() {
        let shipped = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/systemd"));
        let open = opened(&[shipped]);
        let open = open.as_str();
        let told = |open: &str, dirs: &[&'static str], log: Option<&'static str>| {
            closed(
                open,
                dirs.iter().map(|dir| Path::new(*dir)),
                log.map(Path::new),
            )
        };
        let usual = [
            "/etc/sendmail365",
            "/var/lib/sendmail365",
            "/var/spool/sendmail365",
        ];
        assert_eq!(told(open, &usual, Some("/var/log/sendmail365.log")), None);
        assert_eq!(told("", &["/srv/spool"], None), None);
        let check = told(open, &["/srv/spool", usual[1]], Some("/srv/log")).unwrap();
        assert_eq!(check.verdict, Verdict::Failed);
        assert!(
            check.what.ends_with("may not write /srv/spool /srv/log"),
            "{check:?}"
        );
        let lines = format!("{open} /srv/spool");
        let check = told(&lines, &["/srv/spool/queue"], Some("/srv/log")).unwrap();
        assert_eq!(check.verdict, Verdict::Warn);
        assert!(
            check.fix[0].ends_with("ReadWritePaths=/srv/log"),
            "{check:?}"
        );
    }

    #[test]
    fn what_has_waited_for_hours_is_warned_of() {
        let verdict = |seconds| told(1, seconds, 0).verdict;
        assert_eq!(verdict(OLD_SECONDS), Verdict::Ok);
        assert_eq!(verdict(OLD_SECONDS + 1), Verdict::Warn);
        let given_up = told(0, 0, 2);
        assert_eq!(given_up.verdict, Verdict::Ok);
        assert!(given_up.what.contains("2 given up"), "{given_up:?}");
    }

    #[test]
    fn a_users_own_queue_needs_a_line_that_names_it() {
        let own = Path::new("/home/joe/own.toml");
        let line = "* * * * * /usr/sbin/sendmail365 -q";
        assert!(!runs_queue(line, Some(own)));
        let named = format!("{line} -C /home/joe/own.toml");
        assert!(runs_queue(&named, Some(own)));
        let usual = Path::new("/home/joe/.config/sendmail365/config.toml");
        assert!(runs_queue(line, Some(usual)) && !runs_queue(&named, Some(usual)));
    }
}
