//! The socket: a message of a process without rights, sent by one that has them, in its user's name.

use crate::host::{Ran, finish};
use crate::installed::{ACCOUNT, ANN, Attendant, BOB, Installed, ROOT, SERVICE, User, own};
use crate::needs;
use crate::signals::until;
use crate::submission::MESSAGE;
use crate::tenant::{Delivered, Fault, Tenant};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::Stdio;

const PLAIN: [&str; 2] = ["-t", "-i"];

/// `sendmail` where the setgid bit has no effect.
fn without_rights(host: &Installed, user: User, words: &[&str], stdin: &str) -> Ran {
    let sendmail = host.host.path("usr/sbin/sendmail");
    let outer = ["setpriv", "--no-new-privs", sendmail.to_str().unwrap()];
    finish(
        &mut host.inside(user, [&outer[..], words].concat()),
        stdin.as_bytes(),
    )
}

#[test]
fn a_message_handed_over_is_sent_in_its_users_name() {
    let tenant = Tenant::start();
    let Some(host) = Installed::with(&tenant) else {
        return;
    };
    let attendant = Attendant::start(&host.host);
    without_rights(&host, ANN, &PLAIN, MESSAGE)
        .exits(0)
        .silently();
    assert_eq!(attendant.started(), 1);
    let arrived = tenant.received().remove(0);
    let traced = format!("from ann (uid {}) by ", ANN.uid);
    assert!(arrived.field("Received")[0].starts_with(&traced));
    let log = host.host.log();
    let line = log
        .lines()
        .find(|line| line.contains("event=sent"))
        .unwrap();
    assert!(
        line.contains(&format!("uid={} user=ann via=socket ", ANN.uid)),
        "{line}"
    );
    // Whoever has the rights himself asks nobody.
    host.sendmail(BOB, PLAIN, MESSAGE).exits(0).silently();
    assert_eq!(attendant.started(), 1);
}

/// What cannot be sent is the account's file, and his who handed it in, to see and to nobody else.
#[test]
fn an_entry_is_shown_to_the_user_that_the_kernel_named() {
    let tenant = Tenant::start();
    let Some(host) = Installed::with(&tenant) else {
        return;
    };
    let _attendant = Attendant::start(&host.host);
    tenant.fault(Fault::SubmissionDown);
    let ran = without_rights(&host, ANN, &PLAIN, MESSAGE);
    ran.exits(0)
        .says("cannot connect")
        .says("sendmail: queued as ");
    let name = host.host.spooled("queue").remove(0);
    let path = host.host.path("var/spool/queue").join(&name);
    let facts = fs::metadata(&path).unwrap();
    assert_eq!((facts.uid(), facts.gid()), (ACCOUNT, ACCOUNT));
    let octets = fs::read(&path).unwrap();
    let head = String::from_utf8_lossy(&octets[512..640]).into_owned();
    let origin = format!("U uid={} user=ann pid=", ANN.uid);
    assert!(
        head.starts_with(&origin) && head.contains(" via=socket\n"),
        "{head}"
    );
    for (user, count) in [(ANN, "1\n"), (BOB, "0\n"), (ROOT, "1\n"), (SERVICE, "1\n")] {
        assert_eq!(
            host.sendmail(user, ["-bpc"], "").exits(0).stdout,
            count,
            "{user:?}"
        );
    }
    // The line counts in files of the account only: whoever could write one of his own gains nothing.
    let forged = String::from_utf8_lossy(&octets).replace(" user=ann ", " user=bob ");
    let id = "0000000000001-0000000000001";
    let other = host.host.path("var/spool/queue").join(id);
    fs::write(&other, forged).unwrap();
    own(&other, BOB.uid, ACCOUNT, 0o660);
    assert_eq!(host.sendmail(ANN, ["-bpc"], "").exits(0).stdout, "1\n");
    fs::remove_file(other).unwrap();
    // The file is not his: he neither sends it himself nor takes it away.
    tenant.recover();
    host.host.forget_troubles();
    host.sendmail(ANN, ["-qf"], "").exits(0).silently();
    assert_eq!(host.host.spooled("queue").len(), 1);
    let ran = host.run(ANN, "sendmail365", ["queue", "drop", &name], "");
    ran.exits(77).in_two_lines().says("ask root");
    host.run(ANN, "sendmail365", ["queue", "show", "--body", &name], "")
        .exits(0);
    host.sendmail(SERVICE, ["-qf"], "").exits(0);
    assert_eq!(
        (tenant.received().len(), host.host.spooled("queue").len()),
        (1, 0)
    );
}

/// The octets that arrive are those of a direct submission, whatever was typed and however it ends.
#[test]
fn what_arrives_is_what_would_have_been_sent_directly() {
    let tenant = Tenant::start();
    let Some(host) = Installed::with(&tenant) else {
        return;
    };
    let _attendant = Attendant::start(&host.host);
    tenant.allow_any_rate();
    let dots = "To: a@example.com\nSubject: dots\n\none\n..two\n.three\n.\nbehind\n";
    let large = format!("{MESSAGE}{}", "0123456789abcdef\n".repeat(200_000));
    let cases: [(&[&str], &str); 6] = [
        (&["-t", "-i"], dots),
        (&["-t"], dots),
        (
            &[
                "-i",
                "-F",
                "J\u{f6}rg Gr\u{f6}\u{df}e",
                "-f",
                "alerts@contoso.test",
                "a@example.com",
            ],
            "\nhi",
        ),
        (
            &[
                "-N",
                "success,failure",
                "-R",
                "hdrs",
                "-V",
                "x+2By",
                "-i",
                "a@example.com",
            ],
            MESSAGE,
        ),
        (&["-oi", "-odi", "--", "a@example.com"], &large),
        (&["-i", "a@example.com, b@example.com"], ""),
    ];
    for (words, message) in cases {
        host.sendmail(ANN, words, message).exits(0).silently();
        host.host.forget_troubles();
        without_rights(&host, ANN, words, message)
            .exits(0)
            .silently();
        host.host.forget_troubles();
        let received = tenant.received();
        let [direct, handed] = &received[..] else {
            panic!("{words:?}: {}", tenant.dialogue());
        };
        let body = |data: &[u8]| {
            let end = data
                .windows(4)
                .position(|four| four == b"\r\n\r\n")
                .unwrap();
            data[end..].to_vec()
        };
        assert!(body(&direct.data) == body(&handed.data), "{words:?}");
        let envelope = |one: &Delivered| {
            (
                one.sender.clone(),
                one.recipients.clone(),
                one.field("From"),
            )
        };
        assert_eq!(envelope(direct), envelope(handed), "{words:?}");
        let wishes = |one: &Delivered| {
            let asked = one
                .parameters
                .iter()
                .filter(|word| !word.starts_with("SIZE="));
            asked.cloned().collect::<Vec<_>>()
        };
        assert_eq!(wishes(direct), wishes(handed), "{words:?}");
        tenant.forget();
    }
    // A regular file ends by itself, wherever it is read: a dot in it is text but for the last line.
    for (name, text) in [
        ("inner", dots),
        ("last", "To: a@example.com\n\none\n..two\n.\n"),
    ] {
        let file = host.host.path("home").join(name);
        fs::write(&file, text).unwrap();
        for outer in [&[][..], &["setpriv", "--no-new-privs"]] {
            let sendmail = host.host.path("usr/sbin/sendmail");
            let words = [outer, &[sendmail.to_str().unwrap(), "-t"]].concat();
            let mut command = host.inside(ANN, words);
            Ran::of(command.stdin(File::open(&file).unwrap()))
                .exits(0)
                .silently();
            host.host.forget_troubles();
        }
        let received = tenant.received();
        let end = |one: &Delivered| one.data[one.data.len() - 14..].to_vec();
        assert_eq!(end(&received[0]), end(&received[1]), "{name}");
        assert_eq!(received[1].data.ends_with(b"behind\r\n"), name == "inner");
        tenant.forget();
    }
}

/// Status and text are the attendant's, and no secret is in them.
#[test]
fn a_refusal_is_told_as_if_it_had_been_met_here() {
    let tenant = Tenant::start();
    let Some(mut host) = Installed::with(&tenant) else {
        return;
    };
    let _attendant = Attendant::start(&host.host);
    let ran = without_rights(&host, ANN, &["-i", "nobody@contoso.test"], MESSAGE);
    ran.exits(67).in_two_lines().says("sendmail: ");
    let ran = without_rights(&host, ANN, &["-oeq", "-i", "nobody@contoso.test"], MESSAGE);
    ran.exits(67).silently();
    without_rights(&host, ANN, &["-i", "a@@b"], MESSAGE)
        .exits(65)
        .in_two_lines();
    without_rights(&host, ANN, &PLAIN, "Subject: x\n\nx\n")
        .exits(64)
        .in_two_lines();
    let ran = without_rights(&host, ANN, &["-v", "-t", "-i"], MESSAGE);
    ran.exits(0)
        .says(">>> AUTH XOAUTH2")
        .says(">>> MAIL FROM:<");
    assert!(tenant.leak_in(ran.stderr.as_bytes()).is_none());
    host.set("smtp", "prot", "587");
    let ran = without_rights(&host, ANN, &PLAIN, MESSAGE);
    ran.exits(78).in_two_lines().says("config.toml");
}

/// Settings, the queue and the sign-in are not for whoever comes by the socket.
#[test]
fn nothing_but_a_message_goes_by_the_socket() {
    let tenant = Tenant::start();
    let Some(host) = Installed::with(&tenant) else {
        return;
    };
    let attendant = Attendant::start(&host.host);
    for words in [
        &["-bp"][..],
        &["-bpc"],
        &["-q"],
        &["-bi"],
        &["-bv", "root"],
        &["-bC"],
        &["--dry-run", "-t"],
    ] {
        let ran = without_rights(&host, ANN, words, MESSAGE);
        // Not all of them read a message.
        assert_eq!(ran.stderr.lines().count(), 2, "{ran:#?}");
        ran.exits(77).says("it was started with NoNewPrivileges");
    }
    assert_eq!(attendant.started(), 0);
    let none = tenant.received().is_empty() && tenant.connections().is_empty();
    assert!(none, "{}", tenant.dialogue());
}

/// A client of SMTP hears of each message what became of it, as it would without the socket.
#[test]
fn a_dialogue_goes_by_the_socket_message_by_message() {
    let tenant = Tenant::start();
    let Some(host) = Installed::with(&tenant) else {
        return;
    };
    let attendant = Attendant::start(&host.host);
    tenant.allow_any_rate();
    let text = "EHLO x\r\nMAIL FROM:<alerts@contoso.test> RET=HDRS\r\nRCPT TO:<a@example.com> NOTIFY=NEVER\r\n\
        RCPT TO:<b c>\r\nDATA\r\nSubject: one\r\n\r\n..x\r\n.\r\n\
        MAIL FROM:<>\r\nRCPT TO:<nobody@contoso.test>\r\nDATA\r\n\r\n.\r\nQUIT\r\n";
    let ran = without_rights(&host, ANN, &["-bs"], text);
    ran.exits(0);
    let replies: Vec<&str> = ran
        .stdout
        .lines()
        .filter(|line| !line.starts_with("250-"))
        .collect();
    let codes: Vec<&str> = replies.iter().filter_map(|line| line.get(..9)).collect();
    let wanted = [
        "250 HELP",
        "250 2.1.0",
        "250 2.1.5",
        "501 5.1.3",
        "354 end w",
        "250 2.0.0",
        "250 2.1.0",
        "250 2.1.5",
        "354 end w",
        "550 5.1.1",
        "221 2.0.0",
    ];
    assert_eq!(codes[1..], wanted[1..], "{replies:#?}");
    assert_eq!(attendant.started(), 2);
    let received = tenant.received();
    assert_eq!(received.len(), 1);
    assert!(
        received[0].data.ends_with(b"\r\n\r\n.x\r\n"),
        "{}",
        received[0].text()
    );
    // What is cut off is nobody's message.
    let ran = without_rights(&host, ANN, &["-bs"], &text[..text.find("..x").unwrap()]);
    ran.exits(76);
    assert_eq!(attendant.started(), 2);
    drop(attendant);
    let ran = without_rights(&host, ANN, &["-bs"], text);
    ran.exits(77);
    assert!(
        ran.stdout
            .starts_with("421 4.3.0 this process may not send for the host"),
        "{ran:?}"
    );
}

/// The setgid bit gives nothing to whoever starts the attendant himself: he chooses who is at the
/// other end. A socket that root listens on would make him root.
#[test]
fn a_user_cannot_be_the_attendant() {
    let tenant = Tenant::start();
    let Some(host) = Installed::with(&tenant) else {
        return;
    };
    let program = host.host.path("usr/sbin/sendmail365");
    host.run(ANN, "sendmail365", ["--socket"], "")
        .exits(64)
        .in_two_lines()
        .says("is no socket");
    let path = host.host.path("home/roots");
    let listener = UnixListener::bind(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    let mut command = host.inside(ANN, [program.to_str().unwrap(), "--socket"]);
    let theirs = UnixStream::connect(&path).unwrap();
    command.stdin(OwnedFd::from(theirs)).stdout(Stdio::null());
    let mut child = crate::host::start(command.stderr(Stdio::null()));
    let (mut ours, _) = listener.accept().unwrap();
    let request = b"SM365 1 3 33\nsendmail\0-i\0a@example.com\0\0\0\0";
    let _ = ours.write_all(request);
    drop(command);
    let mut answer = String::new();
    let _ = ours.read_to_string(&mut answer);
    child.wait().unwrap();
    assert!(answer.starts_with("exit 78\n"), "{answer:?}");
    assert!(tenant.received().is_empty() && tenant.connections().is_empty());
}

/// Without the bit everything goes by the socket, and what does not says why.
#[test]
fn a_host_without_the_setgid_bit_sends_by_the_socket() {
    let tenant = Tenant::start();
    let Some(host) = Installed::with(&tenant) else {
        return;
    };
    let attendant = Attendant::start(&host.host);
    let hardened = host.host.path("usr/sbin/hardened");
    fs::copy(host.program(), &hardened).unwrap();
    own(&hardened, 0, ACCOUNT, 0o755);
    let call = |words: &[&str]| {
        let words = [&[hardened.to_str().unwrap()], words].concat();
        finish(&mut host.inside(ANN, words), MESSAGE.as_bytes())
    };
    call(&PLAIN).exits(0).silently();
    assert_eq!((attendant.started(), tenant.received().len()), (1, 1));
    call(&["-bp"])
        .exits(77)
        .says("the setgid bit of")
        .says("hardened is missing");
    drop(attendant);
    call(&PLAIN)
        .exits(77)
        .in_two_lines()
        .says("sendmail365.socket")
        .says("chmod 2755");
    fs::remove_file(hardened).unwrap();
}

/// Whoever is root in a namespace of his own is known by his number outside.
#[test]
fn root_of_a_namespace_is_the_user_that_he_is() {
    let tenant = Tenant::start();
    let Some(host) = Installed::with(&tenant) else {
        return;
    };
    let _attendant = Attendant::start(&host.host);
    let sendmail = host.host.path("usr/sbin/sendmail");
    let words = ["unshare", "-Ur", sendmail.to_str().unwrap(), "-t", "-i"];
    finish(&mut host.inside(ANN, words), MESSAGE.as_bytes())
        .exits(0)
        .silently();
    let log = host.host.log();
    assert!(
        log.contains(&format!("event=sent uid={} user=ann via=socket", ANN.uid)),
        "{log}"
    );
}

/// A service that is shut in has read its message when it meets the wall: no network, and no queue
/// that it can write.
#[test]
fn a_process_that_is_shut_in_hands_over_what_it_has_read() {
    let tenant = Tenant::start();
    let Some(mut host) = Installed::with(&tenant) else {
        return;
    };
    let attendant = Attendant::start(&host.host);
    let spool = host.host.path("var/spool").display().to_string();
    let script =
        format!("mount --bind {spool} {spool}; mount -o remount,bind,ro {spool}; exec \"$@\"");
    let sendmail = host.host.path("usr/sbin/sendmail");
    let words = [sendmail.to_str().unwrap(), "-t", "-i", "-N", "never"];
    let call = |host: &Installed, outer: &[&str]| {
        finish(&mut host.inside_of(outer, ANN, words), MESSAGE.as_bytes())
    };
    call(&host, &["unshare", "--net", "sh", "-c", &script, "sh"])
        .exits(0)
        .silently();
    assert_eq!((attendant.started(), tenant.received().len()), (1, 1));
    let arrived = tenant.received().remove(0);
    assert_eq!(arrived.recipients, ["ops@example.com"]);
    let log = host.host.log();
    assert!(
        log.contains("event=handed-over") && log.contains("via=socket"),
        "{log}"
    );
    // With a queue that can be written the message is safe, and nobody else is asked.
    call(&host, &["unshare", "--net"])
        .exits(0)
        .says("queued as ");
    assert_eq!(attendant.started(), 1);
    host.set("queue", "enabled", "false");
    host.host.forget_troubles();
    call(&host, &["unshare", "--net"]).exits(0).silently();
    assert_eq!((attendant.started(), tenant.received().len()), (2, 2));
    // Without the socket it is told what it met first.
    drop(attendant);
    call(&host, &["unshare", "--net"])
        .exits(75)
        .in_two_lines()
        .says("cannot connect");
}

fn unit(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/systemd");
    fs::read_to_string(folder.join(name)).unwrap()
}

/// The values of a key in a unit.
fn values(unit: &str, key: &str) -> Vec<String> {
    let pairs = unit.lines().filter_map(|line| line.split_once('='));
    pairs
        .filter(|(name, _)| *name == key)
        .map(|(_, value)| value.to_owned())
        .collect()
}

#[test]
fn the_units_start_what_the_program_understands_where_it_looks() {
    let (socket, service) = (unit("sendmail365.socket"), unit("sendmail365@.service"));
    assert_eq!(
        values(&socket, "ListenStream"),
        [sendmail365::letterbox::PATH]
    );
    for (key, value) in [
        ("Accept", "yes"),
        ("SocketMode", "0666"),
        ("MaxConnections", "64"),
        // By its default a user who calls often enough closes the socket for all.
        ("TriggerLimitIntervalSec", "0"),
    ] {
        assert_eq!(values(&socket, key), [value]);
    }
    assert_eq!(
        values(&service, "ExecStart"),
        ["/usr/sbin/sendmail365 --socket"]
    );
    for (key, value) in [
        ("User", "sendmail365"),
        ("Group", "sendmail365"),
        ("StandardInput", "socket"),
        ("StandardOutput", "null"),
        ("NoNewPrivileges", "yes"),
        ("CapabilityBoundingSet", ""),
    ] {
        assert_eq!(values(&service, key), [value], "{key}");
    }
    // It may no more than the run of the queue may.
    let queue = unit("sendmail365-queue.service");
    for line in queue.split_once("NoNewPrivileges").unwrap().1.lines() {
        assert!(service.contains(line), "{line}");
    }
}

#[test]
fn systemd_finds_no_fault_with_the_units() {
    let Some(host) = Installed::with(&Tenant::start()) else {
        return;
    };
    if !needs("systemd-analyze") {
        return;
    }
    // It wants the program at its path.
    let units = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/systemd");
    for name in [
        "sendmail365.socket",
        "sendmail365@.service",
        "sendmail365-queue.service",
    ] {
        let text = fs::read_to_string(units.join(name)).unwrap();
        let text = text.replace("/usr/sbin/sendmail365", host.program().to_str().unwrap());
        fs::write(host.host.path("home").join(name), text).unwrap();
    }
    let home = host.host.path("home").display().to_string();
    let line = format!(
        "cd {home}; systemd-analyze verify --man=no ./sendmail365.socket ./sendmail365@.service ./sendmail365-queue.service"
    );
    let ran = finish(&mut host.inside(ROOT, ["sh", "-c", &line]), b"");
    let ours: Vec<&str> = ran
        .stderr
        .lines()
        .filter(|line| line.contains("sendmail365"))
        .collect();
    assert!(ran.status.success() && ours.is_empty(), "{ran:#?}");
}

/// As systemd starts it, and not as our own stand-in does.
#[test]
fn it_answers_as_systemd_starts_it() {
    if !needs("systemd-socket-activate") {
        return;
    }
    let tenant = Tenant::start();
    let Some(host) = Installed::with(&tenant) else {
        return;
    };
    let path = host.host.path("run/sendmail365/submit");
    own(path.parent().unwrap(), ACCOUNT, ACCOUNT, 0o755);
    let program = host.host.path("usr/sbin/sendmail365");
    let words = [
        "systemd-socket-activate",
        "--inetd",
        "-a",
        "-l",
        "/run/sendmail365/submit",
        program.to_str().unwrap(),
        "--socket",
    ];
    let mut command = host.inside(SERVICE, words);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut activate = crate::host::start(&mut command);
    until("it listens", || path.exists());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    without_rights(&host, ANN, &PLAIN, MESSAGE)
        .exits(0)
        .silently();
    activate.kill().unwrap();
    activate.wait().unwrap();
    let log = host.host.log();
    assert!(
        log.contains(&format!("event=sent uid={} user=ann via=socket", ANN.uid)),
        "{log}"
    );
}
