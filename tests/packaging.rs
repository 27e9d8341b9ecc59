//! What is installed beside the program, against the program.

use crate::binary;
use crate::host::Host;
use crate::tenant::Tenant;
use sendmail365::config::settings::{SETTINGS, Takes};
use std::fs;
use std::path::Path;

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
    assert!(line.contains(&format!("test -d /run/systemd/system || {run} ")));
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
