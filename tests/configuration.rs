//! The configuration file, as administrators leave it at three in the morning (rows C of the faults).

use crate::binary;
use crate::host::Host;
use crate::submission::MESSAGE;
use crate::tenant::Tenant;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

fn text(host: &Host) -> String {
    fs::read_to_string(host.path("etc/config.toml")).unwrap()
}

/// Runs a message against a configuration with one fault in it: 78, two lines, nothing sent.
#[track_caller]
fn refused(host: &Host, says: &str) {
    host.sendmail(["-t", "-i"], MESSAGE)
        .exits(78)
        .in_two_lines()
        .says(says);
}

#[test]
fn every_fault_of_the_file_is_named_with_its_place() {
    let tenant = Tenant::start();
    let host = Host::with(&binary(), &tenant);
    let good = text(&host);
    let config = host.path("etc/config.toml");

    fs::remove_file(&config).unwrap();
    refused(&host, "config.toml"); // C01
    for (content, says) in [
        (format!("{good}\n[smtp\n"), "config.toml:"), // C03
        (
            good.replace("mailbox", "mailbx"),
            "the nearest is \"mailbox\"",
        ), // C04
        (
            good.replace("[account]", "[acount]"),
            "the nearest is \"account\"",
        ),
        (good.replace("tenant = ", "# "), "account] tenant"), // C09
        (
            good.replace("hello = \"web1", "hello = \"web 1"),
            "smtp.hello",
        ),
        (
            good.replace("[smtp]\n", "[smtp]\nchunking = true\n"),
            "this version does not have chunking yet",
        ),
        (
            good.replace("port = ", "port = 465 # "),
            "smtp.port: 465 speaks TLS",
        ),
        ("x".repeat(1024 * 1024 + 1), "larger than"), // C08
        ("\u{0}\u{1}".to_owned(), "config.toml:1"),
    ] {
        host.write("etc/config.toml", content);
        refused(&host, says);
    }
    host.write("etc/config.toml", b"[account]\nmailbox = \"\xff\"\n");
    refused(&host, "config.toml:2");

    fs::remove_file(&config).unwrap();
    fs::create_dir(&config).unwrap();
    refused(&host, "regular file"); // C07
    fs::remove_dir(&config).unwrap();
    Command::new("mkfifo").arg(&config).status().unwrap();
    refused(&host, "regular file"); // C07: at once, although nobody writes into it
    fs::remove_file(&config).unwrap();

    host.write("etc/config.toml", &good);
    host.sendmail(["-t", "-i"], MESSAGE).exits(0).silently();
}

/// C05.
#[test]
fn a_file_or_folder_that_others_could_replace_is_not_used() {
    let tenant = Tenant::start();
    let host = Host::with(&binary(), &tenant);
    for below in ["etc/config.toml", "etc"] {
        let path = host.path(below);
        let before = fs::metadata(&path).unwrap().permissions();
        fs::set_permissions(&path, fs::Permissions::from_mode(before.mode() | 0o002)).unwrap();
        refused(&host, "can be changed by others than root");
        refused(&host, &format!("as root: chmod go-w {}\n", path.display()));
        fs::set_permissions(&path, before).unwrap();
    }
    host.sendmail(["-t", "-i"], MESSAGE).exits(0).silently();
}

/// Whoever can replace the bundle decides whom TLS trusts, and so who is shown the token.
#[test]
fn a_ca_file_that_others_could_replace_is_not_trusted() {
    let tenant = Tenant::start();
    let mut host = Host::with(&binary(), &tenant);
    let bundle = host.path("etc/ca.pem");
    fs::set_permissions(&bundle, fs::Permissions::from_mode(0o666)).unwrap();
    refused(&host, "can be changed by others");
    fs::set_permissions(&bundle, fs::Permissions::from_mode(0o644)).unwrap();

    // A link in a folder of everybody's leads wherever anybody likes.
    fs::create_dir(host.path("var/open")).unwrap();
    fs::set_permissions(host.path("var/open"), fs::Permissions::from_mode(0o777)).unwrap();
    let link = host.path("var/open/ca.pem");
    std::os::unix::fs::symlink(&bundle, &link).unwrap();
    host.set("endpoint", "ca_file", &format!("{link:?}"));
    refused(&host, "can be changed by others");

    let fifo = host.path("etc/fifo");
    Command::new("mkfifo").arg(&fifo).status().unwrap();
    host.set("endpoint", "ca_file", &format!("{fifo:?}"));
    refused(&host, "regular file"); // at once, although nobody writes into it
    fs::remove_file(&fifo).unwrap();
    host.write("etc/large.pem", "x".repeat(16 * 1024 * 1024 + 1));
    let large = host.path("etc/large.pem");
    host.set("endpoint", "ca_file", &format!("{large:?}"));
    refused(
        &host,
        "keep only the certificates of your authorities in it",
    );
    host.set("endpoint", "ca_file", &format!("{bundle:?}"));
    host.sendmail(["-t", "-i"], MESSAGE).exits(0).silently();
}

/// A04, A05, C02: a caller who names a file gets what his own rights give him.
#[test]
fn a_named_file_is_read_with_the_callers_rights() {
    if !crate::needs("setpriv") || !crate::is_root() {
        return;
    }
    let tenant = Tenant::start();
    let host = Host::with(&binary(), &tenant);
    let shadow = host.path("etc/shadow.toml");
    fs::write(&shadow, "CANARY:secret:line\n").unwrap();
    fs::set_permissions(&shadow, fs::Permissions::from_mode(0o600)).unwrap();
    let as_nobody = |config: &std::path::Path| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
        command
            .arg(host.path("usr/sbin/sendmail"))
            .arg("-C")
            .arg(config)
            .args(["-t", "-i"]);
        crate::host::finish(&mut command, MESSAGE.as_bytes())
    };
    as_nobody(&shadow)
        .exits(78)
        .in_two_lines()
        .says("ermission denied")
        .says("let this user read it");
    fs::remove_file(&shadow).unwrap();
}

/// A04: the host's sign-in is out of reach for whoever brings his own configuration.
#[test]
fn the_hosts_sign_in_is_out_of_reach_with_a_configuration_of_ones_own() {
    if !crate::needs("setpriv") || !crate::is_root() {
        return;
    }
    let tenant = Tenant::start();
    let host = Host::with(&binary(), &tenant);
    let tokens = host.path("etc/tokens");
    fs::set_permissions(&tokens, fs::Permissions::from_mode(0o750)).unwrap();
    let own = host.path("home/own.toml");
    fs::write(&own, text(&host)).unwrap();
    std::os::unix::fs::chown(&own, Some(65534), None).unwrap();
    fs::set_permissions(&own, fs::Permissions::from_mode(0o644)).unwrap();
    let as_nobody = || {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
        let program = host.path("usr/sbin/sendmail");
        command.arg(program).arg("-C").arg(&own).args(["-t", "-i"]);
        crate::host::finish(&mut command, MESSAGE.as_bytes())
    };
    let ran = as_nobody();
    ran.exits(78).in_two_lines().says("no credentials");
    ran.says("name directories of your own in [paths] tokens and state");
    assert_eq!(
        tenant.connections().len() + tenant.token_requests().len(),
        1,
        "the sign-in"
    );
    // With a directory of his own there only is no sign-in yet.
    let (home, state) = (host.path("home"), host.path("var/state"));
    let mut places = text(&host);
    for theirs in [&tokens, &state] {
        places = places.replace(theirs.to_str().unwrap(), home.to_str().unwrap());
    }
    fs::write(&own, places).unwrap();
    let ran = as_nobody();
    ran.exits(78).in_two_lines().says("no credentials");
    ran.says("sendmail: run `sendmail365 login`, with the same -C");
}

/// C10.
#[test]
fn a_read_error_on_the_file_is_no_empty_file() {
    if !crate::needs("strace") {
        return;
    }
    let tenant = Tenant::start();
    let host = Host::with(&binary(), &tenant);
    let config = host.path("etc/config.toml");
    let inner = host.command("sendmail", ["-t", "-i"]);
    let mut command = Command::new("strace");
    command
        .args(["-f", "-qq", "-o", "/dev/null", "-P"])
        .arg(&config);
    command.args(["-e", "inject=read:error=EIO", "--"]);
    command.arg(inner.get_program()).args(inner.get_args());
    let ran = crate::host::finish(&mut command, MESSAGE.as_bytes());
    ran.exits(78).says("config.toml");
    assert_eq!(tenant.received().len(), 0);
}

#[test]
fn help_and_version_need_no_configuration() {
    let host = Host::bare(&binary());
    for word in ["--help", "--version"] {
        let ran = crate::host::finish(host.bare_command("sendmail").arg(word), b"");
        ran.exits(0);
        assert!(
            ran.stdout.contains("sendmail") && ran.stderr.is_empty(),
            "{ran:#?}"
        );
    }
}

/// Each key of a line once, each sentence once, whatever the administrator or the caller got wrong.
#[test]
fn a_line_of_the_log_says_nothing_twice() {
    let tenant = Tenant::start();
    let host = Host::with(&binary(), &tenant);
    host.write(
        "etc/aliases",
        "root ops@example.com\nroot: ops@example.com\n",
    );
    host.sendmail(["-i", "root"], MESSAGE).exits(0).silently();
    host.sendmail(["-i", "a@@b", "c@@d"], MESSAGE).exits(65);
    host.sendmail(["-i", "nobody"], MESSAGE).exits(67);
    for line in host.log().lines() {
        assert!(line.matches(" reason=").count() <= 1, "{line}");
        for part in ["no colon after the name", "`a@@b`", "is not an alias"] {
            assert!(line.matches(part).count() <= 1, "{part}: {line}");
        }
    }
    assert!(host.log().contains("event=config") && host.log().contains("aliases:1"));
}

#[test]
fn aliases_that_cannot_be_read_keep_complete_addresses_from_nobody() {
    let tenant = Tenant::start();
    let host = Host::with(&binary(), &tenant);
    fs::create_dir(host.path("etc/aliases")).unwrap();
    host.sendmail(["-i", "ann@example.com"], MESSAGE)
        .exits(0)
        .silently();
    let dialogue =
        "EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<ann@example.com>\r\nRCPT TO:<root>\r\nQUIT\r\n";
    let ran = host.sendmail(["-bs"], dialogue);
    assert!(ran.stdout.contains("250 2.1.5"), "{ran:#?}");
    assert!(ran.stdout.contains("cannot read the aliases"), "{ran:#?}");
    host.sendmail(["-i", "ann@example.com", "root"], MESSAGE)
        .exits(78)
        .in_two_lines()
        .says("cannot read the aliases");
    assert_eq!(tenant.received().len(), 1);
}

/// A missing secret is not mended by writing the settings into its file.
#[test]
fn the_cure_is_for_the_file_that_is_missing() {
    let tenant = Tenant::start();
    let mut host = Host::with(&binary(), &tenant);
    let secret = host.path("etc/no-such-secret");
    host.set("account", "client_secret_file", &format!("{secret:?}"));
    refused(&host, "or correct [account] client_secret_file");
}
