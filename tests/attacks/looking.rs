//! Looking into a process of one's own that has what one must not see.

use super::{ANN, Field};
use crate::installed::looked_into;
use crate::privilege::stalled;
use crate::tenant::{Act, Fault, Stage};
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;

/// At every stage, with the token in memory.
#[test]
fn no_process_of_a_submission_can_be_looked_into() {
    if !crate::needs("/usr/bin/python3") {
        return;
    }
    let Some(field) = Field::new() else {
        return;
    };
    for stage in [Stage::Greeting, Stage::Auth, Stage::Data] {
        let fault = Fault::At(stage, Act::Stall);
        let mut child = stalled(&field.host, &field.tenant, ANN, fault);
        let ran = looked_into(&field.host.host, field.host.kit(), ANN, child.id());
        assert_eq!(
            (ran.stdout.as_str(), ran.status.code()),
            ("", Some(0)),
            "{stage:?} {ran:?}"
        );
        child.kill().unwrap();
        child.wait().unwrap();
        field.tenant.recover();
    }
    field.holds();
}

/// From its first instruction on: whoever looks all the time never finds a way in.
#[test]
fn there_is_no_moment_at_which_a_process_is_open() {
    if !crate::needs("/usr/bin/python3") {
        return;
    }
    let Some(field) = Field::new() else {
        return;
    };
    let race = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/attacks/race");
    let copy = field.host.host.path("home/race");
    fs::copy(race, &copy).unwrap();
    let mut command = field.ann(["/usr/bin/python3", copy.to_str().unwrap()]);
    command.args([&field.sendmail(), "54399", "40"]);
    let ran = field.attack(&mut command);
    ran.exits(0);
    assert!(
        ran.stdout.starts_with("looked ") && !ran.stdout.contains("open"),
        "{ran:?}"
    );
    let looked: u32 = ran
        .stdout
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    assert!(looked > 200, "{looked}");
    field.sweep();
    field.holds();
}

/// A process that is made to crash leaves nothing behind.
#[test]
fn no_signal_leaves_a_core() {
    if !crate::signals::can_be_signalled() {
        return;
    }
    let Some(field) = Field::new() else {
        return;
    };
    for signal in ["QUIT", "ABRT", "SEGV", "BUS", "SYS", "TRAP", "XCPU"] {
        let before = field.tenant.faults_met();
        field.tenant.fault(Fault::At(Stage::Auth, Act::Stall));
        let line = "ulimit -c unlimited; cd \"$OUT\"; exec \"$S\" -i a@example.com";
        let mut command = field.ann_shell(line);
        command.env("OUT", field.out()).stdin(Stdio::null());
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        crate::signals::until("the fault", || field.tenant.faults_met() > before);
        // The first of some that a fault would send only takes the handler of the runtime away.
        while child.try_wait().unwrap().is_none() {
            crate::signals::send(signal, &child);
        }
        let status = child.wait().unwrap();
        assert!(
            status.signal().is_some() && !status.core_dumped(),
            "{signal}: {status:?}"
        );
        field.tenant.recover();
    }
    let cores = fs::read_dir("/").unwrap().filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_str().is_some_and(|name| name.starts_with("core"))
    });
    assert_eq!(cores.count(), 0);
    field.holds();
}
