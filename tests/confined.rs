//! The program under its AppArmor profile, enforced, with the profile of the package at its own places.
//!
//! These run where `tests/confined/run` has loaded the profile: on this machine if its kernel has
//! AppArmor, else in an emulated one. There all other tests run under the profile as well.

use crate::callers::machine::Machine;
use crate::host::{Host, Ran, finish};
use crate::submission::MESSAGE;
use crate::tenant::{Fault, Tenant};
use std::fs;
use std::io::Read;
use std::process::Stdio;

/// What an administrator is told besides the error.
const HINT: &str = "AppArmor enforces the profile sendmail365 here: \
    `journalctl --boot --grep=DENIED` names what it forbids";

fn machine() -> Machine {
    let mut machine =
        Machine::with(&["apparmor_parser"]).expect("what tests/run installs, and root");
    machine.host.set("queue", "enabled", "true");
    // The rooms of the queue are made by the first sign-in after it is switched on.
    let token = machine.tenant.refresh_token();
    let mut login = machine.inside(["/usr/sbin/sendmail365", "login", "--import", "-"]);
    finish(&mut login, token.as_bytes()).exits(0);
    machine
}

/// A line of shell by a caller who is confined himself: files are his, which the kernel judges again.
fn by_a_confined_caller(machine: &Machine, line: &str) -> Ran {
    machine.shell(&format!("aa-exec -p sm365-caller -- sh -c '{line}'"))
}

/// Runs a line of shell on a machine, with this message on the line's standard input.
fn run(machine: &Machine, line: &str) -> Ran {
    finish(&mut machine.inside(["sh", "-c", line]), MESSAGE.as_bytes())
}

#[test]
#[ignore = "run by tests/confined/run"]
fn whatever_starts_the_program_starts_it_confined() {
    let machine = machine();
    for name in ["/usr/sbin/sendmail", "/usr/lib/sendmail"] {
        // Until it has started there is nothing to read but the shell's own.
        let start = format!("mkfifo fifo; exec {name} -bs <>fifo >greeting &");
        let wait = "while ! test -s greeting; do sleep 0.1; done";
        let end = "cat /proc/$!/attr/current; kill $!; rm fifo greeting";
        let ran = machine.shell(&format!("{start} {wait}; {end}"));
        assert_eq!(ran.stdout, "sendmail365 (enforce)\n", "{name}: {ran:?}");
    }
    let tenant = Tenant::start();
    let host = Host::with(&crate::binary(), &tenant);
    let mut command = host.command("sendmail", ["-bs"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = crate::host::start(&mut command);
    let mut greeting = [0];
    let read = child.stdout.take().unwrap().read(&mut greeting);
    let found = fs::read_to_string(format!("/proc/{}/attr/current", child.id()));
    let _ = child.kill();
    let _ = child.wait();
    assert_eq!((read.unwrap(), greeting), (1, *b"2"));
    assert_eq!(found.unwrap(), "sendmail365 (enforce)\n");
}

/// A message goes out, another is queued and sent, the queue is listed.
#[test]
#[ignore = "run by tests/confined/run"]
fn mail_goes_out_from_the_places_of_the_package() {
    let machine = machine();
    run(&machine, "/usr/sbin/sendmail -t -i")
        .exits(0)
        .silently();
    assert_eq!(machine.only().recipients, ["ops@example.com"]);
    machine.tenant.fault(Fault::SubmissionDown);
    let ran = run(&machine, "/usr/sbin/sendmail -t -i");
    ran.exits(0).says("queued as ");
    let listed = machine.shell("mailq");
    assert!(listed.stdout.contains("ops@example.com"), "{listed:?}");
    machine.tenant.recover();
    machine.host.forget_troubles();
    machine.shell("/usr/sbin/sendmail -qf").exits(0);
    assert_eq!(machine.only().recipients, ["ops@example.com"]);
}

/// The kernel puts an empty device in the place of a confined caller's file that the profile does not allow.
#[test]
#[ignore = "run by tests/confined/run"]
fn a_message_that_the_profile_forbids_is_an_error_and_not_an_empty_message() {
    let machine = machine();
    for words in ["-i ops@example.com", "-t -i"] {
        let ran = by_a_confined_caller(
            &machine,
            &format!("/usr/sbin/sendmail {words} </etc/shadow"),
        );
        ran.exits(74)
            .says("the message cannot be read: ")
            .says(HINT);
    }
    let ran = by_a_confined_caller(&machine, "/usr/sbin/sendmail -bs </etc/shadow");
    assert!(!ran.status.success(), "{ran:?}");
    assert!(machine.tenant.received().is_empty());
}

#[test]
#[ignore = "run by tests/confined/run"]
fn output_that_the_profile_forbids_is_told() {
    let machine = machine();
    let ran = by_a_confined_caller(&machine, "mailq >/var/cache/report; cat /var/cache/report");
    assert_eq!(ran.stdout, "");
    ran.says("standard output is lost").says(HINT);
    let ran = by_a_confined_caller(
        &machine,
        "mailq >/var/tmp/report; cat /var/tmp/report; rm /var/tmp/report",
    );
    assert_eq!(ran.stdout, "Mail queue is empty\n");
    assert_eq!(ran.stderr, "");
}

/// No other program starts, and what the profile forbids is named as one more cause.
#[test]
#[ignore = "run by tests/confined/run"]
fn a_command_without_a_rule_does_not_start() {
    let tenant = Tenant::start();
    let mut host = Host::configured(&crate::binary(), &tenant);
    let command = host.path("home/token-command");
    fs::copy("/bin/cat", &command).unwrap();
    host.set("account", "grant", "\"command\"");
    let words = format!("[{:?}, \"/dev/null\"]", command.to_str().unwrap());
    host.set("account", "token_command", &words);
    let ran = host.sendmail(["-t", "-i"], MESSAGE);
    assert!(!ran.status.success(), "{ran:?}");
    ran.says(HINT);
}
