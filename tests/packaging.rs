//! What is installed beside the program, against the program.

use crate::host::{Host, Ran, finish};
use crate::tenant::{Act, Fault, Stage, Tenant};
use crate::{binary, needs};
use sendmail365::config::settings::{SETTINGS, Takes};
use sendmail365::sys::log::Line;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

fn file(below: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("packaging")
        .join(below);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A line of the shipped file that is a section or a setting without its mark.
fn setting(line: &str) -> Option<&str> {
    let unmarked = line.strip_prefix('#').unwrap_or(line);
    let is = !unmarked.is_empty() && !unmarked.starts_with([' ', '#']);
    is.then_some(unmarked)
}

#[test]
fn the_shipped_settings_are_those_of_the_table_with_their_defaults() {
    let shipped = file("config.toml");
    let found: Vec<&str> = shipped.lines().filter_map(setting).collect();
    let mut wanted = Vec::new();
    let mut section = "";
    for row in SETTINGS {
        if row.section != section {
            section = row.section;
            wanted.push(format!("[{section}]"));
        }
        wanted.push(match row.takes {
            Takes::Text(_) => format!("{} = {:?}", row.key, row.default),
            _ => format!("{} = {}", row.key, row.default),
        });
    }
    assert_eq!(found, wanted);
    for pair in shipped.lines().collect::<Vec<_>>().windows(2) {
        let plain = pair[1].starts_with('#') && setting(pair[1]).is_some();
        assert!(
            !plain || pair[0].starts_with("# "),
            "{} has no meaning",
            pair[1]
        );
    }
}

#[test]
fn the_shipped_settings_are_read_by_the_program_marked_or_not() {
    let tenant = Tenant::start();
    let host = Host::configured(&binary(), &tenant);
    let shipped = file("config.toml");
    let needed = |text: String| {
        let mut lines: Vec<String> = Vec::new();
        for line in text.lines() {
            let key = line.trim_start_matches('#').split(" = ").next();
            lines.push(match key.unwrap_or_default() {
                "mailbox" => "mailbox = \"alerts@contoso.test\"".to_owned(),
                "tenant" => "tenant = \"contoso.test\"".to_owned(),
                "client_id" => "client_id = \"00000000-1111-2222-3333-444444444444\"".to_owned(),
                _ => line.to_owned(),
            });
        }
        lines.join("\n")
    };
    let unmarked = |line| setting(line).unwrap_or(line);
    let all: Vec<&str> = shipped.lines().map(unmarked).collect();
    for text in [needed(shipped.clone()), needed(all.join("\n"))] {
        host.write("etc/config.toml", text);
        host.sendmail(["-bv", "-n", "a@example.com"], "").exits(0);
    }
    host.write("etc/config.toml", shipped);
    host.sendmail(["-bv", "-n", "a@example.com"], "")
        .exits(78)
        .says("mailbox");
}

/// The values of a key in a unit.
fn values<'a>(unit: &'a str, key: &str) -> Vec<&'a str> {
    let pairs = unit.lines().filter_map(|line| line.split_once('='));
    pairs
        .filter(|(name, _)| *name == key)
        .map(|(_, value)| value)
        .collect()
}

#[test]
fn timer_and_cron_start_the_same_run_and_never_both() {
    let service = file("systemd/sendmail365-queue.service");
    let timer = file("systemd/sendmail365-queue.timer");
    let cron = file("cron.d/sendmail365");
    let run = values(&service, "ExecStart")[0];
    let line = cron.lines().find(|line| !line.starts_with('#')).unwrap();
    assert!(line.contains(" test -d /run/systemd/system || "));
    assert!(line.contains(" || ! test -x /usr/sbin/sendmail365 || "));
    assert!(line.contains(&format!(" || {run} ")));
    assert!(line.ends_with(">/dev/null 2>&1"), "cron would mail it");
    assert_eq!(values(&service, "User"), ["sendmail365"]);
    assert!(line.starts_with("* * * * * sendmail365 "));
    assert_eq!(values(&timer, "OnUnitInactiveSec"), ["1min"]);
    for unit in [&service, &timer] {
        assert!(!unit.contains("ConditionDirectoryNotEmpty"));
    }
}

/// A section of a unit.
fn section(unit: &str, name: &str) -> String {
    let (_, rest) = unit.split_once(&format!("[{name}]\n")).unwrap();
    rest.split("\n[").next().unwrap().trim().to_owned()
}

#[test]
fn a_users_own_units_do_for_him_what_the_hosts_do() {
    let unit = |folder, kind| file(&format!("systemd{folder}/sendmail365-queue.{kind}"));
    for name in ["Timer", "Install"] {
        let timing = |folder| section(&unit(folder, "timer"), name);
        assert_eq!(timing("/user"), timing(""));
    }
    let (own, hosts) = (unit("/user", "service"), unit("", "service"));
    for key in ["Type", "ExecStart", "UMask", "NoNewPrivileges"] {
        assert_eq!(values(&own, key), values(&hosts, key));
    }
    for key in ["User", "Group", "ReadWritePaths", "ProtectHome"] {
        assert!(values(&own, key).is_empty(), "{key}");
    }
}

/// What is told to a user is the run that the units start.
#[test]
fn a_user_with_a_queue_of_his_own_is_told_to_run_it() {
    let run = values(&file("systemd/user/sendmail365-queue.service"), "ExecStart")[0].to_owned();
    let tenant = Tenant::start();
    let mut host = Host::configured(&binary(), &tenant);
    let login = |host: &Host| {
        let token = tenant.refresh_token();
        let ran = host.run("sendmail365", ["login", "--import", "-"], token.as_bytes());
        ran.exits(0);
        ran.stdout
    };
    assert!(!login(&host).contains(&run), "the queue is switched off");
    host.set("queue", "enabled", "true");
    let config = host.path("etc/config.toml");
    let line = format!(
        "\n* * * * * {run} -C {} >/dev/null 2>&1\n",
        config.display()
    );
    assert!(login(&host).contains(&line));
}

/// What `--help` offers: verbs with their options and operands, options of a message, modes.
struct Offered {
    verbs: Vec<(String, BTreeSet<String>)>,
    options: BTreeSet<String>,
    modes: BTreeSet<String>,
}

fn offered() -> Offered {
    let help = sendmail365::cli::help("sendmail365");
    let mut found = Offered {
        verbs: Vec::new(),
        options: BTreeSet::new(),
        modes: BTreeSet::new(),
    };
    for section in help.split("\n\n") {
        let (title, rows) = section.split_once('\n').unwrap_or((section, ""));
        let rows = rows.lines().filter_map(|row| row.strip_prefix("  -"));
        let rows = rows.map(|row| {
            let name = row.split([' ', '=', '[']).next().unwrap();
            format!("-{name}")
        });
        let rows: BTreeSet<String> = rows.collect();
        match title {
            _ if title.starts_with("usage") => {}
            _ if title.starts_with("Options of a message") => found.options = rows,
            "Modes:" => found.modes = rows,
            _ if title.ends_with(':') || title.ends_with("):") => {}
            _ => {
                let verb = title.split(':').next().unwrap().to_owned();
                found.verbs.push((verb, rows));
            }
        }
    }
    found
}

/// What a shell offers for the last of these words.
fn completed(shell: &str, words: &[&str]) -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/completions");
    let script = match shell {
        "bash" => {
            "source \"$0/sendmail365.bash\"; COMP_WORDS=(sendmail365 \"$@\"); COMP_CWORD=$#; \
             _sendmail365 sendmail365 \"${@: -1}\" \"${COMP_WORDS[-2]}\"; printf '%s\\n' \"${COMPREPLY[@]}\""
        }
        "zsh" => {
            "compadd() { shift; print -l -- $@ }; script=$0/_sendmail365; words=(sendmail365 \"$@\"); \
             CURRENT=$#words; complete_it() { source $script }; complete_it"
        }
        _ => "source \"$argv[1]/sendmail365.fish\"; complete -C \"sendmail365 $argv[2..]\"",
    };
    let mut command = Command::new(shell);
    match shell {
        "bash" => command
            .args(["--norc", "-c", script])
            .arg(&folder)
            .args(words),
        "zsh" => command.args(["-f", "-c", script]).arg(&folder).args(words),
        _ => command
            .args(["--no-config", "-c", script])
            .arg(&folder)
            .args(words),
    };
    let path = binary().parent().unwrap().display().to_string();
    command.env("PATH", format!("{path}:/usr/bin:/bin"));
    let ran = Ran::of(&mut command);
    assert_eq!(ran.stderr, "", "{shell}");
    let lines = ran
        .stdout
        .lines()
        .map(|line| line.split('\t').next().unwrap());
    let word = words.last().unwrap();
    let fit = lines.filter(|line| !line.is_empty() && line.starts_with(word));
    fit.map(str::to_owned).collect()
}

#[test]
fn every_shell_completes_what_the_help_offers_and_nothing_else() {
    let offered = offered();
    let words = |list: &[&str]| list.iter().map(|&word| word.to_owned()).collect();
    assert!(offered.verbs.iter().any(|(verb, _)| verb == "login"));
    assert!(offered.options.len() > 20 && offered.modes.len() > 10);
    for shell in ["bash", "zsh", "fish"] {
        if !needs(shell) {
            continue;
        }
        let verbs: BTreeSet<String> = offered.verbs.iter().map(|(verb, _)| verb.clone()).collect();
        let first = completed(shell, &[""]);
        let plain = first.iter().filter(|word| !word.starts_with('-')).cloned();
        assert_eq!(plain.collect::<BTreeSet<String>>(), verbs, "{shell}");
        let wanted = offered.options.union(&offered.modes).cloned().collect();
        assert_eq!(completed(shell, &["-"]), wanted, "{shell}");
        assert_eq!(completed(shell, &["-i", "-"]), offered.options, "{shell}");
        for (verb, options) in &offered.verbs {
            assert_eq!(completed(shell, &[verb, "-"]), *options, "{shell} {verb}");
        }
        let jobs: BTreeSet<String> = words(&["list", "show", "resend", "drop", "run"]);
        let second = completed(shell, &["queue", ""]);
        let second = second.into_iter().filter(|word| !word.starts_with('-'));
        assert_eq!(second.collect::<BTreeSet<String>>(), jobs, "{shell}");
        assert_eq!(
            completed(shell, &["queue", "re"]),
            words(&["resend"]),
            "{shell}"
        );
    }
}

/// Lines as a syslog daemon writes them that logcheck would report.
fn reported(lines: &[String]) -> Vec<String> {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/logcheck/sendmail365");
    let mut text = String::new();
    for line in lines {
        let (stamp, rest) = line.split_at(line.find(" sendmail365[").unwrap());
        text.push_str(&format!("{stamp} web1.contoso.test{rest}\n"));
        text.push_str(&format!("2026-11-22T04:06:27.123456+00:00 web1{rest}\n"));
    }
    let mut command = Command::new("grep");
    command
        .args(["-E", "-v", "-f"])
        .arg(rules)
        .env("LC_ALL", "C");
    let left = finish(&mut command, text.as_bytes()).stdout;
    let left: Vec<&str> = left
        .lines()
        .filter(|line| !line.starts_with("2026-"))
        .collect();
    left.into_iter().map(str::to_owned).collect()
}

fn event(line: &str) -> &str {
    let (_, rest) = line.split_once(" event=").unwrap();
    rest.split(' ').next().unwrap()
}

/// Sent, deferred, mended and tended: nothing of it is news.
fn everyday() -> Vec<String> {
    let tenant = Tenant::start();
    let host = Host::with_queue(&binary(), &tenant);
    host.sendmail(["-t", "-i"], "To: a@example.com\n\nhello\n")
        .exits(0);
    let long = format!(
        "To: a@example.com\nX: {}\n\n{}\n",
        "word ".repeat(300),
        "x".repeat(2000)
    );
    host.sendmail(["-t", "-i", "-f", "www-data@web1"], long)
        .exits(0);
    host.sendmail(
        ["-t", "-i"],
        "From: joe@elsewhere.test\nTo: a@example.com\n\nhello\n",
    )
    .exits(0);
    tenant.fault(Fault::RejectOnce535);
    host.sendmail(["-i", "a@example.com"], "hello\n").exits(0);
    tenant.fault(Fault::SubmissionDown);
    for _ in 0..2 {
        host.sendmail(["-i", "a@example.com"], "hello\n").exits(0);
    }
    host.forget_troubles();
    let listed = host
        .run("sendmail365", ["queue", "list", "--json"], "")
        .stdout;
    let ids: Vec<&str> = listed
        .lines()
        .filter_map(|line| line.split("\"id\":\"").nth(1)?.split('"').next())
        .collect();
    host.run("sendmail365", ["queue", "drop", ids[0]], "")
        .exits(0);
    host.run("sendmail365", ["queue", "resend", ids[1]], "")
        .exits(0);
    tenant.recover();
    host.sendmail(["-q"], "").exits(0);
    host.log().lines().map(str::to_owned).collect()
}

/// What an administrator has to see.
fn troubles() -> Vec<String> {
    let tenant = Tenant::start();
    let mut host = Host::with_queue(&binary(), &tenant);
    host.sendmail(["-X", "/tmp/x", "-i", "a@example.com"], "hello\n")
        .exits(0);
    host.sendmail(["-i", "nobody"], "hello\n");
    tenant.fault(Fault::At(Stage::Rcpt, Act::reply(550, "5.1.1 No such recipient")).once());
    host.sendmail(["-i", "a@example.com"], "hello\n");
    fs::remove_file(host.path("var/state/slot.0")).unwrap();
    host.sendmail(["-i", "a@example.com"], "hello\n").exits(0);
    let switched_off = "5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox.";
    tenant.fault(Fault::At(Stage::Auth, Act::reply(535, switched_off)));
    host.sendmail(["-i", "a@example.com"], "hello\n").exits(0);
    host.set("account", "client_id", "\"other\"");
    host.forget_troubles();
    host.sendmail(["-i", "a@example.com"], "hello\n");
    host.log().lines().map(str::to_owned).collect()
}

#[test]
fn logcheck_is_told_of_the_everyday_and_reports_the_rest() {
    let everyday = everyday();
    let seen: BTreeSet<&str> = everyday.iter().map(|line| event(line)).collect();
    for wanted in [
        "sent",
        "queued",
        "cancelled",
        "resume",
        "refresh",
        "from-rewritten",
        "sender-replaced",
        "body",
        "header",
    ] {
        assert!(seen.contains(wanted), "no {wanted} in {everyday:#?}");
    }
    assert_eq!(reported(&everyday), Vec::<String>::new());
    let troubles = troubles();
    let news: Vec<String> = troubles
        .iter()
        .filter(|line| event(line) != "sent")
        .cloned()
        .collect();
    let seen: BTreeSet<&str> = news.iter().map(|line| event(line)).collect();
    for wanted in ["ignored", "refused", "slot-missing", "hold"] {
        assert!(seen.contains(wanted), "no {wanted} in {troubles:#?}");
    }
    assert_eq!(reported(&news).len(), news.len(), "{:#?}", reported(&news));
}

/// Values from outside cannot make a line look like an everyday one.
#[test]
fn no_value_hides_a_line_from_logcheck() {
    let told = |line: Line| format!("Nov 22 04:06:27 sendmail365[1]: {}", line.as_str());
    let start = |event| {
        Line::new("0-1", event)
            .number("uid", 33)
            .word("user", "joe")
    };
    let lines = [
        start("refused").text("reason", "x: event=sent uid=33 user=joe"),
        start("queued").word("durable", "unknown"),
        start("refresh")
            .word("stage", "token")
            .word("reason", "expired"),
        start("notice").text("reason", "x"),
        start("runner").word("reason", "poison"),
        Line::new("0-1: event=sent uid=1 user=x", "failed").number("uid", 33),
        Line::new("-", "quarantine").word("reason", "swept"),
    ];
    let lines: Vec<String> = lines.into_iter().map(told).collect();
    assert_eq!(
        reported(&lines).len(),
        lines.len(),
        "{:#?}",
        reported(&lines)
    );
}
