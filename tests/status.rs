//! `status` tells how things stand without the network; `test` sends one message and shows its way.

use crate::binary;
use crate::callers::machine::Machine;
use crate::host::{Host, Ran, finish};
use crate::submission::MESSAGE;
use crate::tenant::{Act, Answer, Fault, Plan, Stage, Tenant};
use crate::token::change_slots;
use crate::warnings::{certify, days_ago};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;

fn status(host: &Host) -> Ran {
    let ran = host.run("sendmail365", ["status"], "");
    ran.exits(0);
    assert_eq!(ran.stderr, "", "{ran:#?}");
    ran
}

fn json(host: &Host) -> Value {
    let ran = host.run("sendmail365", ["status", "--json"], "");
    assert_eq!(ran.exits(0).stderr, "", "{ran:#?}");
    assert_eq!(ran.stdout.lines().count(), 1);
    serde_json::from_str(&ran.stdout).unwrap()
}

/// The value behind a name, where there is one line with it.
fn line<'a>(ran: &'a Ran, name: &str) -> Option<&'a str> {
    let mut found = ran.stdout.lines().filter_map(|line| {
        let (other, value) = line.split_once(':')?;
        (other == name).then(|| value.trim())
    });
    let first = found.next();
    assert_eq!(found.next(), None, "{name} twice");
    first
}

#[track_caller]
fn tells(ran: &Ran, name: &str, part: &str) {
    let value = line(ran, name).unwrap_or_else(|| panic!("no {name} in {ran:#?}"));
    assert!(value.contains(part), "{name}: {value}");
}

#[test]
fn account_sign_in_queue_and_next_run_are_told_without_the_network() {
    let tenant = Tenant::start();
    let host = Host::with_queue(&binary(), &tenant);
    tenant.fault(Fault::TokenEndpointDown);
    tenant.fault(Fault::SubmissionDown);
    tenant.forget();
    let ran = status(&host);
    for (name, part) in [
        ("mailbox", tenant.mailbox()),
        ("tenant", tenant.tenant_id()),
        ("application", tenant.client_id()),
        ("cloud", "global"),
        ("grant", "delegated"),
        ("sign-in", "with a token from elsewhere"),
        ("sign-in", tenant.user()),
        ("access token", "until "),
        (
            "refresh token",
            "used last today; ends after 90 days without use",
        ),
        ("queue", "nothing waits"),
        ("next run", "nobody runs the queue (none is on record)"),
    ] {
        tells(&ran, name, part);
    }
    let columns: Vec<usize> = ran
        .stdout
        .lines()
        .map(|line| {
            line.find(": ")
                .map(|at| line[at + 1..].len() - line[at + 1..].trim_start().len() + at)
        })
        .map(Option::unwrap)
        .collect();
    assert!(
        columns.windows(2).all(|pair| pair[0] == pair[1]),
        "{}",
        ran.stdout
    );
    let told = json(&host);
    assert_eq!(told["account"]["mailbox"], tenant.mailbox());
    assert_eq!(told["sign_in"]["flow"], "import");
    assert_eq!(told["sign_in"]["user"], tenant.user());
    assert_eq!(told["queue"]["waiting"], 0);
    assert_eq!(told["hold"], Value::Null);
    assert_eq!(told["next_run"]["regular"], false);
    let keys: Vec<&String> = told.as_object().unwrap().keys().collect();
    let mut wanted = vec![
        "account",
        "grant",
        "sign_in",
        "sign_in_missing",
        "certificate_ends",
        "queue",
        "queue_missing",
        "hold",
        "hold_missing",
        "last_error",
        "next_run",
        "warnings",
    ];
    wanted.sort_unstable();
    assert_eq!(keys, wanted);
    assert!(tenant.token_requests().is_empty() && tenant.connections().is_empty());
}

#[test]
fn a_hold_comes_with_its_cure_and_the_newest_error() {
    let tenant = Tenant::start();
    let host = Host::with_queue(&binary(), &tenant);
    let off = Act::reply(
        535,
        "5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox.",
    );
    tenant.fault(Fault::At(Stage::Auth, off));
    host.sendmail(["-t", "-i"], MESSAGE).exits(0);
    let ran = status(&host);
    tells(&ran, "queue", "1 waiting, the oldest for ");
    tells(&ran, "on hold", "auth: 535");
    tells(&ran, "do", "Set-CASMailbox");
    tells(&ran, "do", "then `sendmail -qf` ends it");
    tells(&ran, "last error", "535");
    let told = json(&host);
    assert_eq!(told["hold"]["kind"], "hold");
    assert!(
        told["hold"]["fix"]
            .as_str()
            .unwrap()
            .contains("Set-CASMailbox")
    );
    assert!(told["last_error"]["text"].as_str().unwrap().contains("535"));
    assert_eq!(told["queue"]["waiting"], 1);
    assert!(told["queue"]["oldest"].as_u64().unwrap() > 1_700_000_000);
    tenant.recover();
    host.sendmail(["-qf"], "").exits(0);
    let ran = status(&host);
    assert_eq!(
        (line(&ran, "on hold"), line(&ran, "last error")),
        (None, None)
    );
    tells(&ran, "next run", "within minutes; the last one ");
    assert_eq!(json(&host)["next_run"]["regular"], true);
}

#[test]
fn what_is_missing_or_cannot_be_seen_is_said() {
    let tenant = Tenant::start();
    let mut host = Host::configured(&binary(), &tenant);
    tells(
        &status(&host),
        "sign-in",
        "nobody has signed in on this host yet",
    );
    tells(&status(&host), "queue", "switched off");
    assert!(
        json(&host)["sign_in_missing"]
            .as_str()
            .unwrap()
            .contains("nobody")
    );
    host.set("account", "client_id", "17");
    let ran = host.run("sendmail365", ["status"], "");
    ran.exits(78).in_two_lines().says("config.toml:");

    // A secret's end is known to nobody but Microsoft.
    host.write("etc/client-secret", "CANARY-x\n");
    let secret = format!("{:?}", host.path("etc/client-secret").to_str().unwrap());
    host.set("account", "client_id", &format!("{:?}", tenant.client_id()));
    host.set("account", "grant", "\"client-secret\"");
    host.set("account", "client_secret_file", &secret);
    tells(
        &status(&host),
        "client secret",
        "Microsoft does not tell when it ends",
    );
    tells(&status(&host), "sign-in", "the next message gets one");
}

#[test]
fn a_user_who_may_not_look_into_the_files_is_told_so() {
    if !crate::is_root() {
        return;
    }
    let tenant = Tenant::start();
    let host = Host::with_queue(&binary(), &tenant);
    for name in [
        "etc/tokens/token.0",
        "etc/tokens/token.1",
        "var/state/breaker",
    ] {
        fs::set_permissions(host.path(name), fs::Permissions::from_mode(0o600)).unwrap();
    }
    host.sendmail(["-odq", "-t", "-i"], MESSAGE).exits(0);
    for room in ["", "tmp", "queue", "failed"] {
        let path = host.path("var/spool").join(room);
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut command = host.command("sendmail365", ["status"]);
    let ran = finish(command.uid(4242).gid(4242), b"");
    ran.exits(0);
    tells(&ran, "sign-in", "cannot be read (EACCES)");
    tells(&ran, "on hold", "cannot be seen");
    tells(&ran, "queue", "nothing waits (of your own; root sees all)");
}

#[test]
fn the_end_of_a_certificate_and_a_token_that_nobody_uses_are_told() {
    let tenant = Tenant::start();
    let mut host = Host::with_queue(&binary(), &tenant);
    change_slots(&host, |slot| slot["obtained_at"] = days_ago(61).into());
    let ran = status(&host);
    tells(&ran, "refresh token", "used last 61 days ago");
    tells(&ran, "warning", "not used for 61 days");
    assert_eq!(json(&host)["warnings"][0]["reason"], "refresh-token-unused");
    if certify(&mut host, 10) {
        let ran = status(&host);
        tells(&ran, "certificate", "until ");
        tells(&ran, "warning", "ends in ");
        assert_eq!(json(&host)["warnings"][0]["reason"], "certificate-ends");
    }
}

fn test(host: &Host, address: &str) -> Ran {
    host.run("sendmail365", ["test", address], "")
}

#[test]
fn a_test_shows_the_way_it_took() {
    let tenant = Tenant::start();
    let host = Host::with(&binary(), &tenant);
    let ran = test(&host, "ops@example.com");
    ran.exits(0);
    assert_eq!(ran.stderr, "");
    let received = tenant.received();
    assert_eq!(received[0].recipients, ["ops@example.com"]);
    let text = String::from_utf8_lossy(&received[0].data).into_owned();
    assert!(text.contains("Subject: Test of sendmail365 on "), "{text}");
    assert!(text.contains("To: ops@example.com"), "{text}");
    tells(&ran, "token", "the stored one, good until ");
    tells(&ran, "server", "localhost:");
    tells(&ran, "TLS", "TLS 1.3, TLS13_");
    tells(&ran, "sign-in", "alerts@contoso.test: 235 ");
    tells(&ran, "sender", "<alerts@contoso.test>: 250 ");
    tells(&ran, "recipient", "<ops@example.com>: 250 ");
    tells(&ran, "reply", "250 2.0.0 OK <");
    tells(&ran, "Message-ID", "<");
    tells(&ran, "sent", "for every recipient");

    crate::token::expire(&host);
    let ran = test(&host, "ops@example.com");
    tells(ran.exits(0), "token", "fetched now, good until ");
}

#[test]
fn a_test_that_fails_says_where_why_and_what_to_do_with_the_status_of_a_submission() {
    let tenant = Tenant::start();
    let host = Host::with(&binary(), &tenant);
    let at = |stage, code, text| -> Plan { Fault::At(stage, Act::reply(code, text)).into() };
    for (fault, status, step, says) in [
        (
            Fault::Token(Answer::Aadsts(50173)).into(),
            75,
            "",
            "AADSTS50173",
        ),
        (
            at(
                Stage::Mail,
                550,
                "5.7.60 SMTP; Client does not have permissions to send as this sender",
            ),
            77,
            "sender",
            "5.7.60",
        ),
        (
            at(Stage::Rcpt, 550, "5.1.10 RecipientNotFound"),
            67,
            "recipient",
            "5.1.10",
        ),
        (
            at(Stage::End, 554, "5.2.252 SendAsDenied"),
            77,
            "reply",
            "5.2.252",
        ),
        (Fault::SubmissionDown.into(), 75, "", "refused"),
    ] {
        crate::token::expire(&host);
        host.forget_gate();
        tenant.fault(fault);
        let ran = test(&host, "ops@example.com");
        ran.exits(status).says(says);
        assert!(ran.stderr.lines().count() >= 2, "{ran:#?}");
        if !step.is_empty() {
            tells(&ran, step, says);
        }
        tenant.recover();
    }
    test(&host, "@@").exits(65);
    host.run("sendmail365", ["test"], "").exits(64);
}

#[test]
fn a_test_that_waits_says_why_with_the_cure_and_the_id() {
    let tenant = Tenant::start();
    let host = Host::with_queue(&binary(), &tenant);
    tenant.fault(Fault::SubmissionDown);
    let ran = test(&host, "ops@example.com");
    ran.exits(0).says("refused").says("queued as ");
    assert_eq!(host.spooled("queue").len(), 1);
    assert_eq!(line(&ran, "sent"), None);
}

/// Who runs the queue of a host is seen from the files of systemd and cron.
#[test]
fn the_one_who_runs_the_queue_of_a_host_is_named() {
    let Some(mut machine) = Machine::with(&[]) else {
        return;
    };
    machine.host.set("queue", "enabled", "true");
    let ran = machine.shell("sendmail365 status");
    tells(
        ran.exits(0),
        "next run",
        "systemctl enable --now sendmail365-queue.timer",
    );
    let line = include_str!("../packaging/cron.d/sendmail365");
    machine.host.write("empty/sendmail365", line);
    let ran = machine.shell("sendmail365 status");
    tells(
        ran.exits(0),
        "next run",
        "every minute by /etc/cron.d/sendmail365; none is on record",
    );
    let dir = "/run/systemd/system/timers.target.wants";
    let enabled =
        format!("mkdir -p {dir}; touch {dir}/sendmail365-queue.timer; sendmail365 status");
    let ran = machine.shell(&enabled);
    tells(
        ran.exits(0),
        "next run",
        "every minute by sendmail365-queue.timer",
    );
    // With systemd the line for cron does nothing, so without the timer nobody runs it.
    let ran = machine.shell("mkdir -p /run/systemd/system; sendmail365 status");
    tells(ran.exits(0), "next run", "nobody runs the queue");
}
