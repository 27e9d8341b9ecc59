//! Signals at every moment: what is killed with its caller, what is kept, and what is sent all the
//! same. A stall of the tenant gives the moment; nothing is measured.

use crate::binary;
use crate::host::{Host, Ran};
use crate::skipped;
use crate::submission::MESSAGE;
use crate::tenant::{Act, Fault, Stage, Tenant};
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

const TERM: i32 = 15;
const HUP: i32 = 1;
const INT: i32 = 2;

/// What is started in the background may ignore signals, and its children with it.
pub fn can_be_signalled() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .unwrap();
    let mask = u64::from_str_radix(mask.trim(), 16).unwrap();
    let free = [TERM, HUP, INT]
        .iter()
        .all(|signal| mask & (1 << (signal - 1)) == 0);
    if !free {
        skipped("signals that are not ignored");
    }
    free
}

pub fn send(signal: &str, child: &Child) {
    let script = format!("kill -{signal} {}", child.id());
    let sent = Command::new("sh").args(["-c", &script]).status().unwrap();
    assert!(sent.success());
}

/// Whether a process has handlers for the signals that ask for its end.
pub fn takes_signals(child: &Child) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let mask = u64::from_str_radix(mask.unwrap().trim(), 16).unwrap();
    [TERM, HUP, INT]
        .iter()
        .all(|signal| mask & (1 << (signal - 1)) != 0)
}

/// Lets time pass until something is so.
pub fn until(what: &str, so: impl Fn() -> bool) {
    for _ in 0..6000 {
        if so() {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("never: {what}");
}

pub fn start(host: &Host, words: &[&str]) -> Child {
    let mut command = host.command("sendmail", words);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    crate::host::start(command.stderr(Stdio::piped()))
}

/// A submission that has handed in its message whole and has met the fault.
pub fn stalled(host: &Host, tenant: &Tenant, fault: Fault) -> Child {
    let accepts = matches!(fault, Fault::AcceptThen(_) | Fault::At(Stage::End, _));
    let met = || match accepts {
        true => tenant.received().len(),
        false => tenant.faults_met(),
    };
    let before = met();
    tenant.fault(fault);
    let mut child = start(host, &["-t", "-i"]);
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(MESSAGE.as_ref()).unwrap();
    drop(stdin);
    until("the fault", || met() > before);
    child
}

fn ended(child: Child) -> Ran {
    Ran::finished(child)
}

fn counts(host: &Host, tenant: &Tenant) -> (usize, usize) {
    (tenant.received().len(), host.spooled("queue").len())
}

/// K01
#[test]
fn while_the_message_is_read_a_signal_kills_and_nothing_is_kept() {
    if !can_be_signalled() {
        return;
    }
    let tenant = Tenant::start();
    let host = Host::with_queue(&binary(), &tenant);
    for (name, signal) in [("TERM", TERM), ("HUP", HUP), ("INT", INT)] {
        let mut child = start(&host, &["-t", "-i"]);
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(MESSAGE.as_ref()).unwrap();
        stdin.flush().unwrap();
        until("it takes signals", || takes_signals(&child));
        send(name, &child);
        assert_eq!(ended(child).status.signal(), Some(signal));
        drop(stdin);
        let log = host.log();
        let last = log.lines().last().unwrap_or_default();
        assert!(
            last.contains("event=cancelled") && last.contains(&format!("signal={signal}")),
            "{log}"
        );
        assert_eq!(counts(&host, &tenant), (0, 0));
        assert!(host.spooled("tmp").is_empty());
    }
}

/// K02, L08: the next message finds no closed door.
#[test]
fn a_shutdown_before_the_end_of_the_message_keeps_it() {
    if !can_be_signalled() {
        return;
    }
    for (stage, signal) in [
        (Stage::Greeting, "TERM"),
        (Stage::Tls, "HUP"),
        (Stage::Auth, "TERM"),
        (Stage::Mail, "HUP"),
        (Stage::Data, "TERM"),
    ] {
        let tenant = Tenant::start();
        let host = Host::with_queue(&binary(), &tenant);
        let child = stalled(&host, &tenant, Fault::At(stage, Act::Stall));
        send(signal, &child);
        let ran = ended(child);
        ran.exits(0).says("interrupted; queued as ");
        assert_eq!(counts(&host, &tenant), (0, 1), "{stage:?}");
        let log = host.log();
        let line = log.lines().find(|line| line.contains("event=queued"));
        assert!(line.unwrap().contains("reason=\"signal: "), "{log}");
        tenant.recover();
        host.sendmail(["-t", "-i"], MESSAGE).exits(0).silently();
        host.sendmail(["-qf"], "").exits(0);
        assert_eq!(counts(&host, &tenant), (2, 0), "{stage:?}");
    }
}

/// K02 without the queue.
#[test]
fn without_a_queue_a_shutdown_leaves_the_message_with_its_caller() {
    if !can_be_signalled() {
        return;
    }
    let tenant = Tenant::start();
    let host = Host::with(&binary(), &tenant);
    let child = stalled(&host, &tenant, Fault::At(Stage::Auth, Act::Stall));
    send("TERM", &child);
    ended(child).exits(75).says("interrupted").in_two_lines();
    assert_eq!(counts(&host, &tenant), (0, 0));
    assert!(host.log().contains("stage=auth"), "{}", host.log());
}

/// K03, K06
#[test]
fn after_the_end_of_the_message_the_reply_is_waited_for() {
    if !can_be_signalled() {
        return;
    }
    for signal in ["TERM", "HUP", "INT"] {
        let tenant = Tenant::start();
        let host = Host::with_queue(&binary(), &tenant);
        let slowly = Act::Slowly(Duration::from_millis(20));
        let child = stalled(&host, &tenant, Fault::At(Stage::End, slowly));
        send(signal, &child);
        ended(child).exits(0).silently();
        assert_eq!(counts(&host, &tenant), (1, 0), "{signal}");
        assert!(host.log().contains("event=sent"), "{}", host.log());
    }
}

/// K04
#[test]
fn a_reply_that_does_not_come_after_a_signal_is_unsure() {
    if !can_be_signalled() {
        return;
    }
    let tenant = Tenant::start();
    let host = Host::with_queue(&binary(), &tenant);
    let child = stalled(&host, &tenant, Fault::AcceptThen(Act::Stall));
    send("TERM", &child);
    let ran = ended(child);
    ran.exits(0).says("may have been delivered");
    ran.says("queued as ");
    assert_eq!(counts(&host, &tenant), (1, 1));
    let log = host.log();
    assert!(
        log.contains("event=unsure") && log.contains("stage=end"),
        "{log}"
    );
    assert!(log.contains("reason=\"signal: "), "{log}");
}

/// K05
#[test]
fn ctrl_c_before_the_end_of_the_message_takes_it_back() {
    if !can_be_signalled() {
        return;
    }
    for stage in [Stage::Greeting, Stage::Data] {
        let tenant = Tenant::start();
        let host = Host::with_queue(&binary(), &tenant);
        let child = stalled(&host, &tenant, Fault::At(stage, Act::Stall));
        send("INT", &child);
        let ran = ended(child);
        assert_eq!(ran.status.signal(), Some(INT), "{ran:#?}");
        ran.says("cancelled");
        assert_eq!(counts(&host, &tenant), (0, 0));
        let log = host.log();
        assert!(
            log.contains("event=cancelled") && log.contains("signal=2"),
            "{log}"
        );
    }
}

/// K07
#[test]
fn more_signals_do_not_cut_the_commit_short() {
    if !can_be_signalled() {
        return;
    }
    let tenant = Tenant::start();
    let host = Host::with_queue(&binary(), &tenant);
    let mut child = stalled(&host, &tenant, Fault::At(Stage::Auth, Act::Stall));
    while child.try_wait().unwrap().is_none() {
        send("TERM", &child);
        send("INT", &child);
    }
    ended(child).exits(0).says("interrupted; queued as ");
    tenant.recover();
    host.sendmail(["-qf"], "").exits(0);
    assert_eq!(counts(&host, &tenant), (1, 0));
}

/// K08: what took long may be the stopped process's own delay.
#[test]
fn a_process_that_was_stopped_closes_no_door_for_others() {
    if !can_be_signalled() {
        return;
    }
    let tenant = Tenant::start();
    let host = Host::with_queue(&binary(), &tenant);
    tenant.fault(Fault::At(Stage::Auth, Act::Close));
    let slowly = Act::Slowly(Duration::from_millis(10));
    let mut child = start(&host, &["-t", "-i"]);
    tenant.fault(Fault::At(Stage::Greeting, slowly));
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(MESSAGE.as_ref()).unwrap();
    drop(stdin);
    until("a connection", || !tenant.connections().is_empty());
    send("STOP", &child);
    until("it stands still", || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id()));
        status.unwrap().contains("State:\tT")
    });
    send("CONT", &child);
    ended(child).exits(0).says("queued as ");
    tenant.recover();
    host.sendmail(["-t", "-i"], MESSAGE).exits(0).silently();
    assert_eq!(counts(&host, &tenant), (1, 1));
}

/// The same without a signal, as the freezer of a control group does it.
#[test]
fn a_process_that_was_frozen_closes_no_door_for_others() {
    if !crate::needs("strace") {
        return;
    }
    let tenant = Tenant::start();
    let host = Host::with_queue(&binary(), &tenant);
    tenant.fault(Fault::At(Stage::Auth, Act::Close));
    let leaves_open = |frozen: bool| {
        host.forget_troubles();
        let inner = host.command("sendmail", ["-t", "-i"]);
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=recvfrom"]);
        if frozen {
            command.args(["-e", "inject=recvfrom:delay_enter=6000000:when=3"]);
        }
        command
            .arg("--")
            .arg(inner.get_program())
            .args(inner.get_args());
        let ran = crate::host::finish(&mut command, MESSAGE.as_bytes());
        ran.exits(0).says("queued as ");
        let breaker = std::fs::read_to_string(host.path("var/state/breaker")).unwrap();
        !breaker.contains(" auth: ")
    };
    assert!(leaves_open(true));
    // On a busy machine any process may stand still.
    assert!((0..5).any(|_| !leaves_open(false)));
}

/// K09
#[test]
fn nobody_needs_to_read_what_the_program_prints() {
    let tenant = Tenant::start();
    let host = Host::with_queue(&binary(), &tenant);
    let mut child = start(&host, &["-t", "-i", "-v"]);
    drop((child.stdout.take(), child.stderr.take()));
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(MESSAGE.as_ref()).unwrap();
    drop(stdin);
    ended(child).exits(0);
    assert_eq!(counts(&host, &tenant), (1, 0));
}

/// R31
#[test]
fn a_shutdown_ends_a_run_of_the_queue_and_loses_no_entry() {
    if !can_be_signalled() {
        return;
    }
    for fault in [
        Fault::At(Stage::Greeting, Act::Stall),
        Fault::At(Stage::Data, Act::Stall),
    ] {
        let tenant = Tenant::start();
        let host = Host::with_queue(&binary(), &tenant);
        for _ in 0..2 {
            host.sendmail(["-odq", "-i", "ops@example.com"], MESSAGE)
                .exits(0);
        }
        tenant.fault(fault);
        let child = start(&host, &["-q"]);
        until("the fault", || tenant.faults_met() > 0);
        send("TERM", &child);
        ended(child).exits(0);
        assert_eq!(counts(&host, &tenant), (0, 2));
        tenant.recover();
        host.sendmail(["-qf"], "").exits(0).silently();
        assert_eq!(counts(&host, &tenant), (2, 0), "{}", host.log());
    }
}

/// Between two messages of a dialogue nothing of ours can be lost.
#[test]
fn a_dialogue_ends_with_the_message_that_a_signal_met() {
    if !can_be_signalled() {
        return;
    }
    let tenant = Tenant::start();
    let host = Host::with_queue(&binary(), &tenant);
    tenant.fault(Fault::At(Stage::Auth, Act::Stall));
    let mut child = start(&host, &["-bs"]);
    let mut stdin = child.stdin.take().unwrap();
    let said =
        "EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a@example.com>\r\nDATA\r\nSubject: x\r\n\r\nx\r\n.\r\n";
    stdin.write_all(said.as_bytes()).unwrap();
    until("the fault", || tenant.faults_met() > 0);
    send("TERM", &child);
    let ran = ended(child);
    drop(stdin);
    ran.exits(0);
    assert!(
        ran.stdout.contains("\r\n250 2.0.0 ok: queued as "),
        "{ran:#?}"
    );
    assert!(
        ran.stdout
            .ends_with("421 4.3.2 a signal asked for the end\r\n")
    );
    assert_eq!(counts(&host, &tenant), (0, 1));
    tenant.recover();
    let mut child = start(&host, &["-bs"]);
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(said.as_bytes()).unwrap();
    until("it is sent", || host.log().contains("event=sent"));
    // Until it waits for the next command it may still have the message in hand.
    while child.try_wait().unwrap().is_none() {
        send("TERM", &child);
        thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(counts(&host, &tenant), (1, 1));
}
