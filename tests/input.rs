//! What comes in on standard input and in argv, beyond what a text case can say (rows A and I).

use crate::binary;
use crate::cases::decoded;
use crate::host::{Host, Ran, finish};
use crate::submission::MESSAGE;
use crate::tenant::Tenant;
use std::fs::File;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

fn traced(host: &Host, inject: &str) -> Ran {
    let inner = host.command("sendmail", ["-i", "ops@example.com"]);
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o", "/dev/null", "-e", inject, "--"]);
    command.arg(inner.get_program()).args(inner.get_args());
    finish(&mut command, MESSAGE.as_bytes())
}

/// I03: the read that fails is the first one on descriptor 0, found by its number among all reads.
#[test]
fn a_read_error_never_yields_a_truncated_message() {
    if !crate::needs("strace") {
        return;
    }
    let tenant = Tenant::start();
    let host = Host::with(&binary(), &tenant);
    let inner = host.command("sendmail", ["-i", "ops@example.com"]);
    let mut reads = Command::new("strace");
    reads.args(["-f", "-qq", "-e", "trace=read", "--"]);
    reads.arg(inner.get_program()).args(inner.get_args());
    let trace = finish(&mut reads, MESSAGE.as_bytes()).stderr;
    let calls: Vec<&str> = trace
        .lines()
        .filter(|line| line.contains("read("))
        .collect();
    let stdin: Vec<usize> = (0..calls.len())
        .filter(|&place| calls[place].contains("read(0,"))
        .collect();
    assert!(stdin.len() >= 2, "{trace}");
    let sent = tenant.received().len();
    for place in &stdin {
        let ran = traced(&host, &format!("inject=read:error=EIO:when={}", place + 1));
        ran.exits(74).says("Input/output error");
    }
    assert_eq!(tenant.received().len(), sent);
    for place in &stdin {
        let spec = format!("inject=read:error=EINTR:when={}", place + 1);
        traced(&host, &spec).exits(0).silently();
    }
    assert_eq!(tenant.received().len(), sent + stdin.len());
}

/// I05, I06.
#[test]
fn a_directory_and_a_closed_descriptor_are_told_apart() {
    let tenant = Tenant::start();
    let host = Host::with(&binary(), &tenant);
    let mut command = host.command("sendmail", ["-t", "-i"]);
    Ran::of(command.stdin(File::open("/tmp").unwrap()))
        .exits(74)
        .says("directory");
    let mut command = host.command("sendmail", ["-t", "-i"]);
    Ran::of(command.stdin(Stdio::null()))
        .exits(64)
        .says("no recipient");
    let inner = host.command("sendmail", ["-t", "-i"]);
    let mut shell = Command::new("/bin/sh");
    shell
        .args(["-c", "exec \"$@\" <&-", "sh"])
        .arg(inner.get_program())
        .args(inner.get_args());
    Ran::of(&mut shell).exits(64).says("no recipient");
    assert_eq!(tenant.received().len(), 0);
}

/// As I03: what cannot be read is no empty message.
#[test]
fn an_input_that_is_open_for_writing_only_is_a_read_error() {
    let tenant = Tenant::start();
    let host = Host::with(&binary(), &tenant);
    let mut command = host.command("sendmail", ["-i", "ops@example.com"]);
    let written = File::create(host.path("var/out")).unwrap();
    Ran::of(command.stdin(written))
        .exits(74)
        .says("Bad file descriptor");
    assert_eq!(tenant.received().len(), 0);
}

/// The flag belongs to the open file, so whoever shares it can set it for all.
#[test]
fn an_input_that_somebody_made_non_blocking_is_waited_for() {
    let tenant = Tenant::start();
    let host = Host::with(&binary(), &tenant);
    let (ours, mut theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    let mut command = host.command("sendmail", ["-t", "-i"]);
    let input = std::os::fd::OwnedFd::from(ours);
    let mut child = crate::host::start(command.stdin(input));
    // Until the program has found nothing to read; too short a pause tests less and fails nobody.
    std::thread::sleep(std::time::Duration::from_millis(300));
    let _ = theirs.write_all(MESSAGE.as_bytes());
    drop((theirs, command));
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(tenant.received().len(), 1);
}

/// I07: the input is read to its end all the same.
#[test]
fn a_message_over_the_limit_is_drained_and_refused_with_both_sizes() {
    let tenant = Tenant::start();
    let mut host = Host::with(&binary(), &tenant);
    host.set("limits", "message_size", "\"100KB\"");
    let large = format!("{MESSAGE}{}", "x".repeat(5_000_000));
    let ran = host.sendmail(["-t", "-i"], large);
    ran.exits(65).in_two_lines().says("100000");
    assert_eq!(tenant.received().len(), 0);
}

/// I08: a writer that stalls holds nobody up but himself.
#[test]
fn a_writer_that_stalls_holds_no_lock() {
    let tenant = Tenant::start();
    let host = Host::with(&binary(), &tenant);
    let mut command = host.command("sendmail", ["-t", "-i"]);
    let mut stalled = crate::host::start(command.stdin(Stdio::piped()));
    stalled
        .stdin
        .as_mut()
        .unwrap()
        .write_all(b"From: Alerts")
        .unwrap();
    host.sendmail(["-t", "-i"], MESSAGE).exits(0).silently();
    let held: Vec<_> = std::fs::read_dir(format!("/proc/{}/fd", stalled.id()))
        .map(|entries| {
            entries
                .flatten()
                .filter_map(|entry| std::fs::read_link(entry.path()).ok())
                .collect()
        })
        .unwrap_or_default();
    stalled.kill().unwrap();
    stalled.wait().unwrap();
    let own = |path: &std::path::PathBuf| path.starts_with(host.path(""));
    assert!(!held.iter().any(own), "{held:?}");
}

/// I09.
#[test]
fn a_header_over_a_megabyte_is_refused() {
    let tenant = Tenant::start();
    let host = Host::with(&binary(), &tenant);
    let large = format!(
        "To: ops@example.com\nX-Large: {}\n\nx\n",
        "x".repeat(1024 * 1024)
    );
    host.sendmail(["-t", "-i"], large).exits(65).in_two_lines();
    let many = format!("To: ops@example.com\n{}\nx\n", "X-Many: x\n".repeat(10_001));
    host.sendmail(["-t", "-i"], many).exits(65).in_two_lines();
    assert_eq!(tenant.received().len(), 0);
}

/// I10: the line is broken by an encoding that a reader undoes.
#[test]
fn a_line_of_any_length_arrives_whole() {
    let tenant = Tenant::start();
    let host = Host::with(&binary(), &tenant);
    for line in ["x", "=", " ", "\u{fc}", ".", "From "] {
        let line = line.repeat(200_000 / line.len());
        host.sendmail(["-t", "-i"], format!("{MESSAGE}{line}"))
            .exits(0)
            .silently();
        let received = tenant.received().pop().unwrap();
        let wanted = format!("hello\r\n{line}\r\n");
        assert!(
            decoded(&received.data) == wanted.as_bytes(),
            "{}",
            &line[..8]
        );
    }
    assert!(host.log().contains("a line is over 998 octets"));
}

#[test]
fn a_body_of_many_megabytes_arrives_as_it_is() {
    let tenant = Tenant::start();
    let host = Host::with(&binary(), &tenant);
    let body = ".\n..\n".repeat(1_000_000);
    host.sendmail(["-t", "-i"], format!("{MESSAGE}{body}"))
        .exits(0)
        .silently();
    let received = tenant.received().pop().unwrap();
    let wanted = format!("hello\n{body}").replace('\n', "\r\n");
    let there = received.data.ends_with(wanted.as_bytes());
    assert!(there, "{} octets", received.data.len());
    assert!(!host.log().contains("event=body"));
}

/// I16.
#[test]
fn more_recipients_than_any_transaction_takes_are_refused_before_the_server() {
    let tenant = Tenant::start();
    let host = Host::with(&binary(), &tenant);
    let list: Vec<String> = (0..1200)
        .map(|number| format!("r{number}@example.com"))
        .collect();
    let ran = host.sendmail(["-t", "-i"], format!("To: {}\n\nx\n", list.join(",\n ")));
    ran.exits(69)
        .in_two_lines()
        .says("too many for one transaction");
    assert_eq!(tenant.connections().len(), 0);
}

/// I17: a writer that dies cannot be told from one that has finished.
#[test]
fn what_a_dead_writer_wrote_is_sent() {
    let tenant = Tenant::start();
    let host = Host::with(&binary(), &tenant);
    host.sendmail(
        ["-i", "ops@example.com"],
        "From: Alerts <alerts@contoso.test>\n\nhalf a li",
    )
    .exits(0)
    .silently();
    assert!(tenant.received()[0].data.ends_with(b"half a li\r\n"));
}

/// A writer that is killed by SIGPIPE never learns why.
#[test]
fn words_that_are_not_understood_cost_no_writer_his_life() {
    let host = Host::bare(&binary());
    let message = "x\n".repeat(2_000_000);
    for line in [
        "sendmail -q15m -t",
        "sendmail -bp a@example.com",
        "sendmail -bd -t",
        "mailq -t",
        "newaliases root",
        "sendmail365 nope",
        "sendmail365 foo@example.com",
    ] {
        let (name, words) = line.split_once(' ').unwrap();
        let mut command = host.bare_command(name);
        finish(command.args(words.split(' ')), message.as_bytes())
            .exits(64)
            .in_two_lines();
    }
}

/// A07.
#[test]
fn very_long_arguments_are_taken() {
    let tenant = Tenant::start();
    let host = Host::with(&binary(), &tenant);
    let recipients: Vec<String> = (0..400)
        .map(|number| format!("{number:03}{}@{}.test", "x".repeat(61), "y".repeat(60)))
        .collect();
    let name = "N".repeat(100 * 1024);
    let fixed = ["-i", "-F", &name];
    let arguments = fixed
        .iter()
        .copied()
        .chain(recipients.iter().map(String::as_str));
    host.sendmail(arguments, "\nx\n").exits(0).silently();
    let received = tenant.received();
    assert_eq!(received[0].recipients.len(), 400);
    assert!(received[0].data.len() < 2000, "the name is cut");
    assert!(host.log().contains("nrcpt=400"));
}

/// A08. The kernel of today passes an empty name in place of no argument at all.
#[test]
fn argc_0_is_an_error_and_no_crash() {
    let host = Host::bare(&binary());
    let mut command = Command::new(host.path("usr/sbin/sendmail"));
    let ran = finish(command.arg0("").env_clear(), b"");
    ran.exits(64);
}

/// O07: no input may panic; the hook is tried beside `run`. Here: none of these does.
#[test]
fn odd_bytes_everywhere_do_not_crash() {
    let tenant = Tenant::start();
    let host = Host::with(&binary(), &tenant);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let alphabet = b"From: To:<>@,;()\"\\ \t\r\n\0.ab\xff\xc3\xa4=?:[]";
    for _ in 0..60 {
        let size = random() % 400;
        let text: Vec<u8> = (0..size)
            .map(|_| alphabet[(random() % alphabet.len() as u64) as usize])
            .collect();
        let ran = host.sendmail(["-t"], text);
        let code = ran.status.code();
        assert!(matches!(code, Some(0 | 64 | 65 | 67)), "{ran:#?}");
        assert!(ran.read_all);
    }
}

/// PHP sends all addresses in one line; a server refuses one over 998 octets.
#[test]
fn a_long_line_of_addresses_arrives_folded_and_whole() {
    let tenant = Tenant::start();
    let host = Host::with(&binary(), &tenant);
    let all: Vec<String> = (0..120)
        .map(|number| format!("user{number}@example.com"))
        .collect();
    let message = format!(
        "To: {}\r\nX-Word: {}\r\n\r\nx\r\n",
        all.join(","),
        "y".repeat(3000)
    );
    host.sendmail(["-t", "-i"], message).exits(0).silently();
    let received = tenant.received().pop().unwrap();
    assert_eq!(received.recipients, all);
    let text = String::from_utf8(received.data).unwrap();
    assert!(text.split("\r\n").all(|line| line.len() <= 998), "{text}");
    let unfolded = text.replace("\r\n ", "");
    assert!(unfolded.contains(&all.join(",")), "{text}");
}

/// What is not sent because of a rule for input is looked for in the log first.
#[test]
fn what_is_dropped_on_the_way_in_is_in_the_log() {
    let tenant = Tenant::start();
    let host = Host::with(&binary(), &tenant);
    let message = "From joe\n folded\nTo: ops@example.com\n\nx\n.\nlost\n";
    host.sendmail(["-t"], message).exits(0).silently();
    let log = host.log();
    for reason in [
        "5 octets after the lone dot",
        "1 From lines of a mailbox",
        "1 continuation lines",
    ] {
        let line = log.lines().find(|line| line.contains(reason));
        assert!(
            line.is_some_and(|line| line.contains("event=ignored")),
            "{reason}: {log}"
        );
    }
    host.sendmail(["-t", "-i"], MESSAGE).exits(0).silently();
    assert_eq!(host.log().matches("event=ignored").count(), 3);
}

/// A person who types a message ends it with a dot; with `-i` a dot is text, and the end is typed.
#[test]
fn a_lone_dot_ends_a_message_that_is_typed() {
    if !crate::needs("python3") {
        return;
    }
    let tenant = Tenant::start();
    let host = Host::with(&binary(), &tenant);
    let typed = |options: &[&str], steps: &str| {
        let words = [options, &["ops@example.com"]].concat();
        let plain = host.command("sendmail", words);
        let seen = crate::login::started_on_a_terminal(&[], &plain, steps);
        assert!(seen.contains("status 0 steps left 0"), "{seen}");
        tenant.received().pop().unwrap().text()
    };
    let steps = r#"[["type", "Subject: x\n\n..one\ntwo.\n.\nthree\n"]]"#;
    let text = typed(&[], steps);
    assert!(text.ends_with("\r\n\r\n.one\r\ntwo.\r\n"), "{text}");
    let steps = r#"[["type", "Subject: x\n\none\n.\ntwo\n\u0004"]]"#;
    let text = typed(&["-i"], steps);
    assert!(text.ends_with("\r\n\r\none\r\n.\r\ntwo\r\n"), "{text}");
}
