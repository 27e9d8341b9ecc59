//! The README, tried: its settings are a configuration, its commands do what it says.

use crate::binary;
use crate::callers::machine::Machine;
use crate::host::{Host, Ran};
use crate::tenant::{Setup, Tenant};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// First words of blocks that build or install; they are what runs this test.
const NOT_TRIED: [&str; 4] = ["cargo", "tests/run", "install", "packaging/build"];

fn readme() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    fs::read_to_string(path).unwrap()
}

/// The fenced blocks of a language, without the indentation of a list.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(fence) = line.trim_start().strip_prefix("```") else {
            continue;
        };
        let inside = lines.by_ref().take_while(|line| line.trim() != "```");
        let block: Vec<&str> = inside.map(str::trim_start).collect();
        if fence == language {
            blocks.push(block.join("\n"));
        }
    }
    blocks
}

/// A tenant as the README's settings name it.
fn tenant(settings: &toml::Table) -> Tenant {
    let account = |key: &str| settings["account"][key].as_str().unwrap().to_owned();
    Tenant::with(Setup {
        mailbox: account("mailbox"),
        user: account("mailbox"),
        tenant_id: account("tenant"),
        client_id: account("client_id"),
        recipients: vec!["you@contoso.com".to_owned()],
        ..Setup::default()
    })
}

/// The program under its names, for a shell that knows no `-C`.
fn put_on_path(host: &Host) {
    let config = host.path("etc/config.toml");
    fs::create_dir(host.path("bin")).unwrap();
    for (name, before) in [
        ("sendmail", ""),
        ("newaliases", ""),
        ("sendmail365", "first=$1; shift;"),
    ] {
        let first = if before.is_empty() { "" } else { "\"$first\"" };
        let target = host.path("usr/sbin").join(name);
        let script = format!(
            "#!/bin/sh\n{before} exec {} {first} -C {} \"$@\"\n",
            target.display(),
            config.display()
        );
        let path = format!("bin/{name}");
        host.write(&path, script);
        fs::set_permissions(host.path(&path), fs::Permissions::from_mode(0o755)).unwrap();
    }
}

fn run(host: &Host, block: &str) -> Ran {
    let path = format!("{}:/usr/bin:/bin", host.path("bin").display());
    let mut shell = Command::new("/bin/sh");
    shell.args(["-e", "-c", block]).env_clear();
    shell.env("PATH", path).current_dir(host.path("home"));
    Ran::of(shell.stdin(Stdio::null()))
}

#[test]
fn the_commands_of_the_readme_lead_to_a_first_mail() {
    let text = readme();
    let settings: toml::Table = toml::from_str(&blocks(&text, "toml")[0]).unwrap();
    let tenant = tenant(&settings);
    let mut host = Host::configured(&binary(), &tenant);
    for (section, content) in &settings {
        for (key, value) in content.as_table().unwrap() {
            host.set(section, key, &format!("{:?}", value.as_str().unwrap()));
        }
    }
    put_on_path(&host);
    host.write("home/token.txt", tenant.refresh_token());
    let mut tried = 0;
    for block in blocks(&text, "sh") {
        let first = block.split_whitespace().next().unwrap();
        if !NOT_TRIED.contains(&first) {
            run(&host, &block).exits(0);
            tried += 1;
        }
    }
    assert!(tried >= 3, "only {tried} blocks were tried");
    let received = tenant.received();
    assert_eq!(received.len(), 1);
    assert_eq!(received[0].recipients, ["you@contoso.com"]);
    fs::remove_file(host.path("home/token.txt")).unwrap();
}

/// Settings, directories and lock as the README makes them, and what root is told of what is not so.
#[test]
fn what_the_readme_installs_passes_the_check_and_nothing_less_does() {
    let Some(mut machine) = Machine::with(&["install", "setpriv"]) else {
        return;
    };
    let host = &mut machine.host;
    for (file, line) in [
        (
            "passwd",
            "sendmail365:x:4365:4365::/nonexistent:/usr/sbin/nologin\n",
        ),
        ("group", "sendmail365:x:4365:\n"),
    ] {
        let there = fs::read_to_string(Path::new("/etc").join(file)).unwrap();
        host.write(&format!("image/etc/{file}"), there + line);
    }
    host.set("queue", "enabled", "true");
    host.set("paths", "state", "\"/var/lib/sendmail365\"");
    host.set("paths", "spool", "\"/var/spool/sendmail365\"");
    for folder in ["lib", "home/packaging"] {
        fs::create_dir(host.path(folder)).unwrap();
    }
    fs::rename(
        host.path("etc/config.toml"),
        host.path("home/packaging/config.toml"),
    )
    .unwrap();
    host.write("home/token.txt", machine.tenant.refresh_token());
    for name in ["token.0", "token.1", "token.lock"] {
        fs::remove_file(host.path("etc").join(name)).unwrap();
    }
    let lib = machine.host.path("lib").display().to_string();
    // A copy: what is built keeps its group and its mode.
    let program = machine.host.path("program").display().to_string();
    fs::copy(binary(), &program).unwrap();
    let root = |line: &str| {
        machine.shell(&format!(
            "mount --bind {lib} /var/lib; mount --bind {program} /usr/sbin/sendmail365; {line}"
        ))
    };

    let blocks = blocks(&readme(), "sh");
    let install = blocks
        .iter()
        .find(|block| block.contains("useradd"))
        .unwrap();
    let (_, made) = install.split_once("nologin sendmail365\n").unwrap();
    let configure = blocks.iter().find(|block| block.starts_with("install"));
    let configure = configure.unwrap();
    root(&format!("set -e; (\n{made}\n)\n{configure}"))
        .exits(0)
        .silently();
    let ran = root("sendmail365 login --import token.txt");
    ran.exits(0);
    assert!(!ran.stdout.contains("crontab"), "the timer runs it");
    fs::remove_file(machine.host.path("home/token.txt")).unwrap();
    root("sendmail365 --check").exits(0).silently();
    // Silence has to mean that the account can do it; nobody else is told that he could.
    let as_user = |uid: u32, line: &str| {
        let ids = format!("--reuid={uid} --regid={uid} --clear-groups");
        root(&format!("setpriv {ids} {line}"))
    };
    as_user(4365, "sendmail365 -q").exits(0).silently();
    as_user(65534, "sendmail -i a@example.com")
        .exits(0)
        .silently();
    root("chmod 0755 /usr/sbin/sendmail365").exits(0);
    as_user(65534, "sendmail -i a@example.com")
        .exits(77)
        .in_two_lines()
        .says("the setgid bit of /usr/sbin/sendmail365 is missing");

    for (fault, said) in [
        (
            "chgrp root /etc/sendmail365/config.toml",
            "cannot use /etc/sendmail365/config.toml",
        ),
        (
            "chmod 0640 /var/lib/sendmail365",
            "cannot use /var/lib/sendmail365",
        ),
        (
            "rm /var/spool/sendmail365/runner.lock",
            "runner.lock does not exist",
        ),
        (
            "chgrp root /var/spool/sendmail365/runner.lock",
            "the queue cannot be run",
        ),
    ] {
        let ran = root(&format!("{fault}; sendmail365 --check"));
        ran.exits(78).in_two_lines().says(said);
        let cure = ran.stderr.lines().nth(1).unwrap();
        let (_, command) = cure.split_once("as root: ").unwrap();
        root(&format!("{command} && sendmail365 --check"))
            .exits(0)
            .silently();
    }
    for (fault, mended) in [
        ("chown root failed", "chown sendmail365 failed"),
        ("chmod 0700 queue", "chmod 3770 queue"),
        ("mv tmp x", "mv x tmp"),
    ] {
        let there = "cd /var/spool/sendmail365;";
        let ran = root(&format!("{there} {fault}; sendmail365 --check"));
        ran.exits(78).in_two_lines().says("the queue is not ready");
        root(&format!("{there} {mended}; sendmail365 --check"))
            .exits(0)
            .silently();
    }
    fs::remove_file(program).unwrap();
}

#[test]
fn every_block_of_settings_is_read_by_the_program() {
    let host = Host::bare(&binary());
    for block in blocks(&readme(), "toml") {
        host.write("etc/config.toml", block);
        host.sendmail(["-bv", "-n", "a@example.com"], "").exits(0);
    }
}

#[test]
fn the_readme_names_the_demo_the_tests_and_every_manual() {
    let text = readme();
    let commands = blocks(&text, "sh");
    for command in ["cargo run --example demo", "tests/run"] {
        assert!(commands.iter().any(|block| block == command), "{command}");
    }
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("man")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(text.contains(&format!("man/{name}")), "{name}");
    }
}

/// The lines for callers: a command is given to a machine where we are the sendmail, a setting has to be
/// one that the tests of callers use.
#[test]
fn each_callers_line_sends_a_message() {
    let text = readme();
    let (_, rest) = text.split_once("## Your callers\n").unwrap();
    let (table, _) = rest.split_once("\n## ").unwrap();
    let lines = table.lines().filter_map(|row| row.strip_suffix("` |"));
    let lines = lines.map(|row| row.split_once(" | `").unwrap().1.replace("\\|", "|"));
    let lines: Vec<String> = lines.collect();
    assert!(lines.len() >= 10, "{lines:?}");
    let settings = [
        ("MAILTO=", include_str!("callers/daemons.rs"), "MAILTO=ann"),
        (
            "MAILER_DSN=",
            include_str!("callers.rs"),
            "symfony.php sendmail://default",
        ),
        (
            "nodemailer.",
            include_str!("callers/nodemailer.js"),
            "createTransport({ sendmail: true,",
        ),
    ];
    let Some(machine) = Machine::with(&["php", "python3", "perl", "ruby", "s-nail", "mutt", "git"])
    else {
        return;
    };
    let patch = "From 0123456789012345678901234567890123456789 Mon Sep 17 00:00:00 2001\n\
                 From: A <a@contoso.test>\nDate: Sun, 22 Nov 2026 12:00:00 +0000\n\
                 Subject: [PATCH] change\n\ntext\n---\n x | 1 +\n";
    for line in lines {
        if let Some((_, source, used)) = settings.iter().find(|row| line.starts_with(row.0)) {
            assert!(source.contains(used), "{line} is tried nowhere");
            continue;
        }
        machine.tenant.forget();
        let script = format!(
            "cd /tmp && d=$(mktemp -d) && cd $d && cat > 0001-change.patch <<'EOF'\n{patch}EOF\n\
             git config --global user.email a@contoso.test; {line}; code=$?; cd /; rm -r $d; exit $code"
        );
        let ran = machine.shell(&script);
        ran.exits(0);
        let received = machine.tenant.received();
        assert_eq!(received.len(), 1, "{line}: {ran:#?}");
        assert_eq!(received[0].recipients, ["you@contoso.com"], "{line}");
        assert!(received[0].text().contains("text"), "{line}");
    }
}
