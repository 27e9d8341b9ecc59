//! What a user does to processes of his own, and how little others notice: stopped, signalled, many.

use super::{ANN, BOB, Field, PLAIN};
use crate::host::{Ran, fed, finish};
use crate::privilege::stalled;
use crate::signals::{can_be_signalled, send, until};
use crate::submission::MESSAGE;
use crate::tenant::{Act, Answer, Fault, Stage};
use crate::token::expire;
use std::fs;
use std::process::{Child, Stdio};

fn end(mut child: Child) {
    let _ = child.kill();
    let _ = child.wait();
}

/// Every signal there is, while the server is asked: nobody else is kept from it.
#[test]
fn no_signal_keeps_others_from_the_server() {
    if !can_be_signalled() {
        return;
    }
    let Some(field) = Field::new() else {
        return;
    };
    for signal in (1..=31).chain([34, 64]) {
        let stall = Fault::At(Stage::Auth, Act::Stall);
        let child = stalled(&field.host, &field.tenant, ANN, stall);
        // His own right: to the kernel the process is his.
        let line = format!("kill -{signal} {}", child.id());
        finish(&mut field.ann(["sh", "-c", &line]), b"").exits(0);
        send("CONT", &child);
        end(child);
        field.tenant.recover();
        let breaker = fs::read(field.host.host.path("var/state/breaker")).unwrap();
        assert!(!breaker.starts_with(b"breaker1 defer"), "{signal}");
        // Nor is the rate of a minute what this is about.
        fs::write(field.host.host.path("var/state/pace"), "").unwrap();
        field.sweep();
    }
    field.holds();
}

/// Who holds the lock of the token for good costs every other one wait, and none of them its mail.
#[test]
fn a_stopped_refresh_costs_others_one_wait_each() {
    if !can_be_signalled() {
        return;
    }
    let Some(field) = Field::new() else {
        return;
    };
    expire(&field.host.host);
    let requests = || field.tenant.token_requests().len();
    let before = requests();
    field.tenant.fault(Fault::Token(Answer::Stall));
    let mut command = field.ann([field.sendmail(), "-t".to_owned(), "-i".to_owned()]);
    let command = command.stdout(Stdio::null()).stderr(Stdio::null());
    let child = fed(command, MESSAGE.as_bytes());
    until("the request", || requests() > before);
    let line = format!("kill -STOP {}", child.id());
    finish(&mut field.ann(["sh", "-c", &line]), b"").exits(0);
    field.tenant.recover();
    for _ in 0..2 {
        field.host.sendmail(BOB, PLAIN, MESSAGE).exits(0).silently();
    }
    let log = field.host.host.log();
    let bypassed = log
        .lines()
        .filter(|line| line.contains("event=lock-bypass"));
    assert_eq!(
        bypassed
            .filter(|line| line.contains(&Field::user_line(BOB)))
            .count(),
        2,
        "{log}"
    );
    end(child);
    // The lock went with the process.
    field.host.sendmail(BOB, PLAIN, MESSAGE).exits(0).silently();
    assert_eq!(
        field.host.host.log().matches("event=lock-bypass").count(),
        2
    );
    field.sweep();
    field.holds();
}

/// All connections of the host held by stopped processes: the next user's message is safe in the queue
/// after one wait, and goes when they are gone.
#[test]
fn stopped_holders_of_all_connections_lose_nobodys_mail() {
    if !can_be_signalled() {
        return;
    }
    let Some(field) = Field::new() else {
        return;
    };
    let holders: Vec<Child> = (0..2)
        .map(|_| {
            let stall = Fault::At(Stage::Mail, Act::Stall);
            let child = stalled(&field.host, &field.tenant, ANN, stall);
            send("STOP", &child);
            child
        })
        .collect();
    field.tenant.recover();
    let ran = field.host.sendmail(BOB, PLAIN, MESSAGE);
    ran.exits(0).says("queued as ");
    let log = field.host.host.log();
    let waits = log.lines().filter(|line| line.contains("stage=slot"));
    assert_eq!(waits.count(), 1, "{log}");
    holders.into_iter().for_each(end);
    field.holds();
    // What waits is the first of Bob's and this one.
    fs::write(field.host.host.path("var/state/pace"), "").unwrap();
    field
        .host
        .sendmail(crate::installed::SERVICE, ["-qf"], "")
        .exits(0);
    let subjects = field.tenant.received();
    assert!(
        subjects
            .iter()
            .filter(|one| one.recipients == ["ops@example.com"])
            .count()
            == 2
    );
}

/// A run of his own queue that is stopped holds the lock of his entry and of no other.
#[test]
fn a_stopped_run_of_ones_own_queue_stops_no_other() {
    if !can_be_signalled() {
        return;
    }
    let Some(field) = Field::new() else {
        return;
    };
    field
        .host
        .sendmail(ANN, ["-odq", "-t", "-i"], MESSAGE)
        .exits(0);
    let met = || field.tenant.faults_met();
    let before = met();
    field.tenant.fault(Fault::At(Stage::Mail, Act::Stall));
    let mut command = field.ann([field.sendmail(), "-qf".to_owned()]);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let child = crate::host::start(&mut command);
    until("the fault", || met() > before);
    send("STOP", &child);
    field.tenant.recover();
    field.tenant.forget();
    field
        .host
        .sendmail(crate::installed::SERVICE, ["-qf"], "")
        .exits(0);
    let sent = field.tenant.received();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].recipients, ["a@example.com"]);
    end(child);
    field.host.sendmail(crate::installed::SERVICE, ["-qf"], "");
    field.sweep();
    field.serves_others();
}

/// He cannot get at a lock or a record otherwise: not one of the files can be opened by him, not even
/// for reading, which would be enough to hold a lock for ever.
#[test]
fn no_lock_can_be_held_from_outside() {
    let Some(field) = Field::new() else {
        return;
    };
    let folders = [
        "etc",
        "etc/tokens",
        "var/state",
        "var/spool",
        "var/spool/queue",
        "var/spool/tmp",
    ];
    for below in folders {
        let path = field.host.host.path(below);
        let line = format!(
            "ls {0}; cat {0}/*; flock -n {0}/token.lock true; touch {0}/x",
            path.display()
        );
        let ran = field.attack(&mut field.ann(["sh", "-c", &line]));
        assert!(ran.stdout.is_empty(), "{ran:?}");
    }
    field.holds();
}

/// A storm of submissions uses up the rate, which is the mailbox's, and nothing else.
#[test]
fn many_at_once_leave_no_trace_but_their_rate() {
    let Some(field) = Field::new() else {
        return;
    };
    let line =
        "for i in $(seq 40); do printf 'To: a@example.com\\n\\nx\\n' | \"$S\" -t -i & done; wait";
    let ran: Ran = field.attack(&mut field.ann_shell(line));
    assert!(ran.status.success(), "{ran:?}");
    field.sweep();
    field.holds();
}
