//! What a caller brings along and must not matter: variables, descriptors, limits, directories.

use crate::binary;
use crate::host::{Host, Ran, finish};
use crate::submission::MESSAGE;
use crate::tenant::{Fault, Tenant};
use std::io::Write;
use std::net::TcpListener;
use std::process::{Command, Stdio};

/// Runs through a shell, so that redirections and limits are the caller's.
fn through_shell(host: &Host, before: &str, after: &str, stdin: &[u8]) -> Ran {
    let inner = host.command("sendmail", ["-i", "ops@example.com"]);
    let mut command = Command::new("/bin/sh");
    command
        .arg("-c")
        .arg(format!("{before} \"$@\" {after}"))
        .arg("sh");
    command
        .arg(inner.get_program())
        .args(inner.get_args())
        .current_dir("/");
    finish(&mut command, stdin)
}

/// P06: a hostile listener named by every variable that libraries read sees no connection, and a
/// foreign certificate authority is not believed.
#[test]
fn variables_of_the_caller_redirect_nothing() {
    let tenant = Tenant::start();
    let host = Host::with(&binary(), &tenant);
    let hostile = TcpListener::bind("127.0.0.1:0").unwrap();
    hostile.set_nonblocking(true).unwrap();
    let proxy = format!("http://127.0.0.1:{}", hostile.local_addr().unwrap().port());
    host.write("home/ca.pem", tenant.ca_pem());
    let ca = host.path("home/ca.pem");
    let with_variables = |command: &mut Command| {
        for name in ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"] {
            command.env(name, &proxy).env(name.to_lowercase(), &proxy);
        }
        for name in ["SSL_CERT_FILE", "SSL_CERT_DIR"] {
            command.env(name, &ca);
        }
        for name in ["HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "TMPDIR"] {
            command.env(name, host.path("home"));
        }
        command
            .env("RUST_BACKTRACE", "1")
            .env("TZ", "/etc/shadow")
            .env("LOCALDOMAIN", "x.test");
        command
            .env("RES_OPTIONS", "debug")
            .env("LOGNAME", "root")
            .env("USER", "x\ny");
    };
    for _ in 0..2 {
        let mut command = host.command("sendmail", ["-t", "-i"]);
        with_variables(&mut command);
        finish(&mut command, MESSAGE.as_bytes()).exits(0).silently();
        std::fs::remove_file(host.path("etc/tokens/token.0")).ok();
        let mut login = host.command("sendmail365", ["login", "--import", "-"]);
        with_variables(&mut login);
        finish(&mut login, tenant.refresh_token().as_bytes()).exits(0);
    }
    assert!(hostile.accept().is_err(), "the hostile listener was called");
}

/// Without the configured ca_file nothing but the system's roots is trusted, whatever the caller says.
#[test]
fn a_certificate_authority_of_the_caller_is_not_trusted() {
    let tenant = Tenant::start();
    let mut host = Host::with(&binary(), &tenant);
    host.write("home/ca.pem", tenant.ca_pem());
    host.set("endpoint", "ca_file", "\"\"");
    let mut command = host.command("sendmail", ["-t", "-i"]);
    command.env("SSL_CERT_FILE", host.path("home/ca.pem"));
    finish(&mut command, MESSAGE.as_bytes())
        .exits(75)
        .in_two_lines();
    assert_eq!(tenant.received().len(), 0);
}

/// P08, O01, O02, O03, O04, K09, P18.
#[test]
fn closed_descriptors_and_gone_readers_change_nothing() {
    let tenant = Tenant::start();
    let host = Host::with(&binary(), &tenant);
    let mut sent = 0;
    for after in [
        "<&- >&- 2>&-",
        ">&-",
        "2>&-",
        "2>/dev/full >/dev/full",
        "2>&1 | true",
    ] {
        let ran = through_shell(&host, "", after, MESSAGE.as_bytes());
        assert!(ran.status.success(), "{after}: {ran:#?}");
        sent += 1;
        assert_eq!(tenant.received().len(), sent, "{after}");
    }
    let ran = through_shell(
        &host,
        "mkdir gone && cd gone && rmdir ../gone &&",
        "",
        MESSAGE.as_bytes(),
    );
    let _ = std::fs::remove_dir("/gone");
    ran.exits(0).silently();
}

/// O03, O04: the exit status does not depend on anybody reading the reason.
#[test]
fn the_exit_status_is_the_same_when_nobody_can_read_the_reason() {
    let tenant = Tenant::start();
    let host = Host::with(&binary(), &tenant);
    tenant.fault(crate::tenant::Fault::SubmissionDown);
    for after in ["2>/dev/full", "2>&-"] {
        through_shell(&host, "", after, MESSAGE.as_bytes()).exits(75);
    }
}

/// P09, P10, P17: limits, masks and signals as a caller left them.
#[test]
fn limits_and_masks_of_the_caller_change_nothing() {
    let tenant = Tenant::start();
    let host = Host::with(&binary(), &tenant);
    for before in [
        "umask 0;",
        "umask 0777;",
        "ulimit -f 1;",
        "ulimit -c unlimited;",
        "trap '' TERM HUP INT ALRM CHLD;",
    ] {
        let ran = through_shell(&host, before, "", MESSAGE.as_bytes());
        assert!(
            ran.status.success() && ran.stderr.is_empty(),
            "{before}: {ran:#?}"
        );
    }
}

/// P16: an alarm survives exec, and its signal would end a submission that the server has accepted.
#[test]
fn a_timer_that_the_caller_left_running_ends_no_submission() {
    if !crate::needs("perl") {
        return;
    }
    let tenant = Tenant::start();
    let host = Host::with(&binary(), &tenant);
    let inner = host.command("sendmail", ["-t", "-i"]);
    let mut command = Command::new("perl");
    command.args(["-e", "alarm 1; exec @ARGV"]);
    command.arg(inner.get_program()).args(inner.get_args());
    let mut child = crate::host::start(command.stdin(Stdio::piped()));
    // The alarm has a resolution of a second, and the message is not whole before it is due.
    std::thread::sleep(std::time::Duration::from_millis(1200));
    let mut pipe = child.stdin.take().unwrap();
    let _ = pipe.write_all(MESSAGE.as_bytes());
    drop(pipe);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(tenant.received().len(), 1);
}

/// P12: the slot cannot be written under such a limit; the message goes and a token stays.
#[test]
fn a_file_size_limit_destroys_no_token() {
    let tenant = Tenant::start();
    let host = Host::with(&binary(), &tenant);
    for _ in 0..3 {
        tenant.fault(crate::tenant::Fault::RejectOnce535);
        through_shell(&host, "ulimit -f 1;", "", MESSAGE.as_bytes())
            .exits(0)
            .silently();
    }
    host.sendmail(["-t", "-i"], MESSAGE).exits(0).silently();
    assert!(host.log().contains("event=token-kept"), "{}", host.log());
}

/// P19.
#[test]
fn a_uid_without_an_entry_can_be_named_in_the_log() {
    if !crate::needs("setpriv") || !crate::is_root() {
        return;
    }
    let tenant = Tenant::start();
    let mut host = Host::with(&binary(), &tenant);
    for folder in ["etc/tokens", "var"] {
        crate::make_accessible(&host.path(folder), 54321);
    }
    crate::make_accessible(&host.path("etc"), 54321);
    host.set("log", "file", &format!("{:?}", host.path("var/log")));
    std::os::unix::fs::chown(host.path("etc/config.toml"), Some(54321), None).unwrap();
    let inner = host.command("sendmail", ["-t", "-i"]);
    let mut command = Command::new("setpriv");
    command.args(["--reuid=54321", "--regid=54321", "--clear-groups"]);
    command.arg(inner.get_program()).args(inner.get_args());
    finish(&mut command, MESSAGE.as_bytes()).exits(0).silently();
    assert!(
        host.log().contains("uid=54321 user=uid:54321"),
        "{}",
        host.log()
    );
}

/// P20 in part: the process cannot be looked into, and leaves no core.
#[test]
fn the_process_is_not_dumpable() {
    let tenant = Tenant::start();
    let host = Host::with(&binary(), &tenant);
    let mut command = host.command("sendmail", ["-t", "-i"]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let limits = format!("/proc/{}/limits", child.id());
    let core = || {
        let text = std::fs::read_to_string(&limits).unwrap_or_default();
        text.lines()
            .find(|line| line.starts_with("Max core file size"))
            .map(str::to_owned)
    };
    // The input is open, so the process waits; it has only to come as far as reading it.
    let mut seen = core();
    for _ in 0..1000 {
        if seen
            .as_deref()
            .is_some_and(|line| line.split_whitespace().nth(4) == Some("0"))
        {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
        seen = core();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(seen.unwrap().split_whitespace().nth(4), Some("0"));
}

/// A text of 12 MiB, and what has to arrive of it.
fn large() -> (String, Vec<u8>) {
    let line = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd";
    let text = format!("{line}\n").repeat(12 * 16 * 1024);
    let sent = text.replace('\n', "\r\n").into_bytes();
    (format!("{MESSAGE}{text}"), sent)
}

/// With less memory than the message has octets: it lies in the spool, and no file tells of it.
#[test]
fn a_large_message_is_not_held_in_memory() {
    let tenant = Tenant::start();
    let host = Host::with_queue(&binary(), &tenant);
    let (message, sent) = large();
    let ran = through_shell(&host, "ulimit -d 10240; exec", "", message.as_bytes());
    ran.exits(0).silently();
    assert!(tenant.received()[0].data.ends_with(&sent));
    assert!(host.spooled("tmp").is_empty());
    assert!(!host.log().contains("event=spool"), "{}", host.log());
    // Nor when the server is down: it is copied from file to file.
    tenant.fault(Fault::SubmissionDown);
    let ran = through_shell(&host, "ulimit -d 10240; exec", "", message.as_bytes());
    ran.exits(0).says("queued as ");
    tenant.recover();
    host.forget_troubles();
    host.sendmail(["-qf"], "").exits(0);
    assert!(tenant.received()[1].data.ends_with(&sent));
    assert!(host.spooled("tmp").is_empty());
}

/// Q01, Q03, P10: nothing about the queue stops a message that the server takes, however large.
#[test]
fn a_large_message_goes_whatever_is_wrong_with_the_spool() {
    let tenant = Tenant::start();
    let host = Host::with_queue(&binary(), &tenant);
    let (message, sent) = large();
    let ran = through_shell(&host, "ulimit -f 4096; exec", "", message.as_bytes());
    ran.exits(0).silently();
    std::fs::rename(host.path("var/spool/tmp"), host.path("var/spool/away")).unwrap();
    host.sendmail(["-i", "ops@example.com"], &message)
        .exits(0)
        .silently();
    std::fs::rename(host.path("var/spool/away"), host.path("var/spool/tmp")).unwrap();
    let log = host.log();
    let told = log.lines().filter(|line| {
        line.contains("event=spool") && line.contains("kept in memory") && line.contains("err=E")
    });
    assert_eq!(told.count(), 2, "{log}");
    let mut messages = 2;
    if crate::needs("strace") {
        let tmp = host.path("var/spool/tmp");
        // Full in the middle, no way to map it, and a file system that has only files with names.
        for (call, error) in [
            ("write", "ENOSPC:when=3"),
            ("mmap", "ENODEV"),
            ("openat", "EOPNOTSUPP:when=1"),
        ] {
            let inner = host.command("sendmail", ["-i", "ops@example.com"]);
            let mut command = Command::new("strace");
            command.args(["-f", "-qq", "-o", "/dev/null", "-y", "-P"]);
            command.arg(&tmp).arg("-e").arg(format!("trace={call}"));
            command
                .arg("-e")
                .arg(format!("inject={call}:error={error}"))
                .arg("--");
            command.arg(inner.get_program()).args(inner.get_args());
            let ran = finish(&mut command, message.as_bytes());
            assert_eq!(ran.status.code(), Some(0), "{call}: {ran:#?}");
            messages += 1;
        }
    }
    let received = tenant.received();
    assert_eq!(received.len(), messages);
    assert!(received.iter().all(|one| one.data.ends_with(&sent)));
    assert!(host.spooled("tmp").is_empty());
}

/// The host's sign-in is root's: nobody else makes it ask for tokens, or reads files through it.
#[test]
fn a_user_cannot_sign_the_host_in() {
    if !crate::is_root() {
        return;
    }
    use std::os::unix::process::CommandExt;
    let host = Host::bare(&binary());
    let mut command = host.bare_command("sendmail365");
    command.args(["login", "--import", "/etc/shadow"]);
    command.uid(54321).gid(54321).current_dir("/");
    let ran = finish(&mut command, b"");
    ran.exits(77).says("by root only").in_two_lines();
    assert!(!ran.stderr.contains("/etc/shadow"), "{ran:#?}");
}

/// The log of several users is the directory's, not that of whoever came first.
#[test]
fn the_log_file_is_open_to_the_group_of_its_directory() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
    let tenant = Tenant::start();
    let host = Host::with(&binary(), &tenant);
    let _ = std::fs::remove_file(host.path("var/log"));
    let dir = host.path("var");
    if !crate::is_root() {
        return;
    }
    chown(&dir, Some(0), Some(4242)).unwrap();
    host.sendmail(["-i", "ops@example.com"], MESSAGE).exits(0);
    let about = std::fs::metadata(host.path("var/log")).unwrap();
    assert_eq!(
        (about.uid(), about.gid(), about.permissions().mode() & 0o777),
        (0, 4242, 0o660)
    );
}

/// A limit on files neither tears what all processes share nor buys its owner any rate: the turn
/// that cannot be written down is paid for while the connection is held.
#[test]
fn a_file_size_limit_leaves_the_shared_records_alone() {
    if !crate::needs("strace") {
        return;
    }
    let tenant = Tenant::start();
    let host = Host::with_queue(&binary(), &tenant);
    host.sendmail(["-i", "ops@example.com"], MESSAGE).exits(0);
    let pace = std::fs::read(host.path("var/state/pace")).unwrap();
    for limit in [0, 20, 1023] {
        let inner = host.command("sendmail", ["-i", "ops@example.com"]);
        let trace = host.path("trace");
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-e", "trace=clock_nanosleep,nanosleep", "-o"]);
        command.arg(&trace).arg("--");
        command.args(["prlimit", &format!("--fsize={limit}"), "--"]);
        command.arg(inner.get_program()).args(inner.get_args());
        finish(&mut command, MESSAGE.as_bytes()).exits(0);
        assert_eq!(std::fs::read(host.path("var/state/pace")).unwrap(), pace);
        // In slices of a quarter of a second, 60 s by 25, for each of two connections.
        let slept = std::fs::read_to_string(&trace).unwrap();
        let slices = slept.matches("tv_nsec=250000000").count();
        assert!(slices >= 18, "{limit}: {slept}");
    }
    // A connection that is used again pays again.
    for _ in 0..2 {
        host.sendmail(["-odq", "-i", "ops@example.com"], MESSAGE)
            .exits(0);
    }
    let trace = host.path("trace");
    let inner = host.command("sendmail", ["-q"]);
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-e", "trace=clock_nanosleep,nanosleep", "-o"]);
    command
        .arg(&trace)
        .args(["--", "prlimit", "--fsize=1023", "--"]);
    command.arg(inner.get_program()).args(inner.get_args());
    finish(&mut command, b"").exits(0);
    let slept = std::fs::read_to_string(&trace).unwrap();
    assert!(slept.matches("tv_nsec=250000000").count() >= 36, "{slept}");
    assert_eq!(tenant.received().len(), 6);
}
