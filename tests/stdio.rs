//! SMTP on standard input and output (-bs), as Symfony, Swift, Laravel and Nextcloud call it.

use crate::binary;
use crate::host::{Host, Ran, finish};
use crate::tenant::{Act, Fault, Stage, Tenant};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

const TEXT: &str = "From: Alerts <alerts@contoso.test>\r\nTo: ops@example.com\r\n\r\nhello\r\n";

/// A client that waits for each reply.
struct Client {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Client {
    fn of(mut command: Command) -> Client {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Client {
            stdin: child.stdin.take(),
            stdout: BufReader::new(child.stdout.take().unwrap()),
            child,
        }
    }

    fn start(host: &Host) -> Client {
        let mut client = Client::of(host.command("sendmail", ["-bs"]));
        assert!(client.reply().starts_with("220 "));
        client
    }

    /// All lines of one reply.
    fn reply(&mut self) -> String {
        let mut reply = String::new();
        loop {
            let mut line = String::new();
            self.stdout.read_line(&mut line).unwrap();
            assert!(line.ends_with("\r\n"), "{reply:?} {line:?}");
            reply.push_str(&line);
            if line.as_bytes().get(3) == Some(&b' ') {
                return reply;
            }
        }
    }

    fn put(&mut self, octets: &[u8]) {
        self.stdin.as_mut().unwrap().write_all(octets).unwrap();
    }

    /// Says a line and expects a code.
    #[track_caller]
    fn ask(&mut self, line: &str, code: &str) -> String {
        self.put(format!("{line}\r\n").as_bytes());
        let reply = self.reply();
        assert!(reply.starts_with(code), "{line}: {reply}");
        reply
    }

    /// Sends a text to one recipient and gives the reply to it.
    #[track_caller]
    fn send(&mut self, text: &str) -> String {
        self.ask("MAIL FROM:<alerts@contoso.test>", "250");
        self.ask("RCPT TO:<ops@example.com>", "250");
        self.ask("DATA", "354");
        self.put(format!("{text}.\r\n").as_bytes());
        self.reply()
    }

    /// Ends the input: the exit status and whatever is left to read.
    fn leave(mut self) -> (Option<i32>, String, String) {
        drop(self.stdin.take());
        let (mut out, mut err) = (String::new(), String::new());
        self.stdout.read_to_string(&mut out).unwrap();
        let mut stderr = self.child.stderr.take().unwrap();
        stderr.read_to_string(&mut err).unwrap();
        (self.child.wait().unwrap().code(), out, err)
    }

    /// QUIT, status 0, and nothing that is no reply.
    #[track_caller]
    fn quit(mut self) {
        self.ask("QUIT", "221");
        assert_eq!(self.leave(), (Some(0), String::new(), String::new()));
    }
}

fn prepared(host: &Host, dialogue: impl AsRef<[u8]>) -> Ran {
    host.sendmail(["-bs"], dialogue)
}

/// The codes of a dialogue's replies.
fn codes(ran: &Ran) -> String {
    let lines = ran.stdout.split_terminator("\r\n");
    let last = lines.filter(|line| line.as_bytes().get(3) == Some(&b' '));
    last.map(|line| &line[..3]).collect::<Vec<_>>().join(" ")
}

/// As recorded: Symfony says HELO with its address, names each recipient of To, Cc and Bcc, doubles
/// dots after CRLF, and keeps the process for the next message.
#[test]
fn symfony_sends_several_messages_through_one_process() {
    let tenant = Tenant::start();
    let host = Host::with(&binary(), &tenant);
    let mut client = Client::start(&host);
    client.ask("HELO [127.0.0.1]", "250");
    for number in 1..=3 {
        client.ask("MAIL FROM:<alerts@contoso.test>", "250 ");
        client.ask("RCPT TO:<to@example.com>", "250");
        client.ask("RCPT TO:<hidden@example.com>", "250");
        client.ask("DATA", "354");
        let text = format!(
            "From: Shop <alerts@contoso.test>\r\nTo: to@example.com\r\nSubject: {number}\r\n\
             Message-ID: <{number}@symfony.test>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
             Content-Transfer-Encoding: quoted-printable\r\nDate: Sun, 22 Nov 2026 04:06:27 +0000\r\n\r\n\
             ..hidden {{ }}\r\n..\r\nend"
        );
        client.put(text.as_bytes());
        client.put(b"\r\n.\r\n");
        assert!(client.reply().starts_with("250 2.0.0 ok: sent as "));
        let received = tenant.received();
        assert_eq!(received.len(), number, "250 comes after the server has it");
        let message = &received[number - 1];
        assert_eq!(message.sender, "alerts@contoso.test");
        assert_eq!(message.recipients, ["to@example.com", "hidden@example.com"]);
        assert_eq!(message.field("Subject"), [number.to_string()]);
        assert!(
            message
                .text()
                .ends_with("\r\n\r\n.hidden { }\r\n.\r\nend\r\n")
        );
        assert!(!message.text().contains("hidden@example.com"));
        client.ask("NOOP", "250");
        client.ask("RSET", "250");
    }
    client.quit();
    let log = host.log();
    let sent: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("event=sent"))
        .collect();
    let id = |line: &str| line.split(": ").nth(1).unwrap().to_owned();
    assert_eq!(sent.len(), 3, "{log}");
    assert_ne!(id(sent[0]), id(sent[1]));
    assert!(
        sent[0].contains("nrcpt=2") && sent[0].contains("to=<to@example.com>"),
        "{log}"
    );
}

/// Swift begins with a Return-Path; some callers leave Bcc where it was.
#[test]
fn the_header_is_treated_as_that_of_a_piped_message() {
    let tenant = Tenant::start();
    let host = Host::with(&binary(), &tenant);
    let mut client = Client::start(&host);
    client.ask("HELO localhost", "250");
    client.ask("MAIL FROM:<www-data@web1.contoso.test>", "250 ");
    client.ask("RCPT TO:<a@example.com>", "250");
    client.ask("RCPT TO:<A@example.com>", "250");
    client.ask("RCPT TO:<a@EXAMPLE.com>", "250");
    client.ask("DATA", "354");
    client.put(
        b"Return-Path: <www-data@web1.contoso.test>\r\nFrom: Shop <shop@example.org>\r\n\
          To: a@example.com\r\nBcc: secret@example.com\r\nresent-bcc: secret@example.com\r\n\r\nx\r\n.\r\n",
    );
    assert!(client.reply().starts_with("250"));
    client.quit();
    let received = tenant.received();
    let message = &received[0];
    assert_eq!(message.sender, "alerts@contoso.test");
    assert_eq!(message.recipients, ["a@example.com", "A@example.com"]);
    assert_eq!(message.field("From"), ["Shop <alerts@contoso.test>"]);
    assert_eq!(message.field("Reply-To"), ["shop@example.org"]);
    assert_eq!(message.field("Received").len(), 1);
    for gone in ["secret", "Bcc", "bcc", "Return-Path"] {
        assert!(!message.text().contains(gone), "{}", message.text());
    }
    assert!(host.log().contains("event=sender-replaced"));
}

#[test]
fn a_refusal_is_a_reply_and_the_dialogue_goes_on() {
    let tenant = Tenant::start();
    let host = Host::with(&binary(), &tenant);
    let mut client = Client::start(&host);
    let at = |stage, code, text| Fault::At(stage, Act::reply(code, text));
    for (fault, wanted) in [
        (Fault::SubmissionDown, "451"),
        (
            at(Stage::Auth, 535, "5.7.3 Authentication unsuccessful"),
            "451",
        ),
        (at(Stage::Mail, 451, "4.7.500 Server busy"), "451"),
        (
            at(
                Stage::Mail,
                550,
                "5.7.60 SMTP; Client does not have permissions to send as this sender",
            ),
            "554",
        ),
        (at(Stage::Rcpt, 550, "5.1.1 unknown"), "550"),
        (at(Stage::Rcpt, 450, "4.7.0 later"), "451"),
        (
            at(Stage::End, 452, "4.3.1 Insufficient system resources"),
            "452",
        ),
        (at(Stage::End, 554, "5.6.0 Invalid message content"), "554"),
        (
            at(
                Stage::End,
                552,
                "5.3.4 Message size exceeds fixed maximum message size",
            ),
            "552",
        ),
        (at(Stage::End, 554, "5.9.9 \x1b[2J \u{fc}"), "554"),
        (Fault::AcceptThenClose, "451"),
    ] {
        let before = tenant.received().len();
        tenant.fault(fault.clone());
        let reply = client.send(TEXT);
        assert!(reply.starts_with(wanted), "{fault:?}: {reply}");
        assert_eq!(reply.matches("\r\n").count(), 1, "{reply}");
        assert!(
            reply.len() <= 512
                && reply
                    .trim_end()
                    .bytes()
                    .all(|octet| matches!(octet, b' '..=b'~'))
        );
        assert_eq!(tenant.leak_in(reply.as_bytes()), None);
        let arrived = usize::from(fault == Fault::AcceptThenClose);
        assert_eq!(tenant.received().len(), before + arrived, "{fault:?}");
        tenant.recover();
    }
    assert!(client.send(TEXT).starts_with("250"));
    client.quit();
}

/// No network before a message is there, so an outage does not keep a client from starting.
#[test]
fn nothing_is_asked_of_the_network_before_there_is_a_message() {
    let tenant = Tenant::start();
    let host = Host::with(&binary(), &tenant);
    tenant.forget();
    let ran = prepared(
        &host,
        "EHLO x\r\nMAIL FROM:<root>\r\nRCPT TO:<a@example.com>\r\nRSET\r\nVRFY a\r\nQUIT\r\n",
    );
    ran.exits(0);
    assert_eq!(codes(&ran), "220 250 250 250 250 252 221");
    assert_eq!(
        (tenant.connections().len(), tenant.token_requests().len()),
        (0, 0)
    );
}

#[test]
fn a_whole_dialogue_can_be_piped_in_with_either_line_end() {
    let tenant = Tenant::start();
    let host = Host::with(&binary(), &tenant);
    let one = "MAIL FROM:<alerts@contoso.test>\nRCPT TO:<ops@example.com>\nDATA\n\
               From: alerts@contoso.test\nTo: ops@example.com\n\n..x\ny\n.\n";
    for dialogue in [one.to_owned(), one.replace('\n', "\r\n")] {
        let ran = prepared(&host, dialogue.repeat(2));
        ran.exits(0);
        assert_eq!(codes(&ran), "220 250 250 354 250 250 250 354 250");
        assert_eq!(ran.stderr, "");
    }
    let received = tenant.received();
    assert_eq!(received.len(), 4);
    assert!(
        received
            .iter()
            .all(|message| message.text().ends_with("\r\n\r\n.x\r\ny\r\n"))
    );
}

/// The text of a CRLF client with a bare LF in it: one message, whole, no bare LF on the wire.
#[test]
fn a_dot_between_bare_line_feeds_neither_cuts_a_text_nor_starts_a_command() {
    let tenant = Tenant::start();
    let host = Host::with(&binary(), &tenant);
    let mut client = Client::start(&host);
    let inner = "\n.\nMAIL FROM:<alerts@contoso.test>\n.\r\nRCPT TO:<evil@example.com>\r\n";
    assert!(client.send(&format!("{TEXT}a{inner}")).starts_with("250"));
    client.quit();
    let received = tenant.received();
    assert_eq!(received.len(), 1);
    let text = received[0].text();
    let wanted = format!(
        "hello\r\na{}",
        inner.replace("\r\n", "\n").replace('\n', "\r\n")
    );
    assert!(text.ends_with(&wanted), "{text:?}");
}

#[test]
fn a_text_that_is_cut_off_is_discarded_with_status_76() {
    let tenant = Tenant::start();
    let host = Host::with(&binary(), &tenant);
    let envelope = "MAIL FROM:<alerts@contoso.test>\r\nRCPT TO:<ops@example.com>\r\nDATA\r\n";
    for text in ["", TEXT, &format!("{TEXT}."), &format!("{TEXT}.\n")] {
        let ran = prepared(&host, format!("{envelope}{text}"));
        ran.exits(76);
        assert_eq!(codes(&ran), "220 250 250 354 421");
        assert_eq!(ran.stderr, "");
    }
    assert_eq!(tenant.received().len(), 0);
    let log = host.log();
    assert_eq!(log.matches("event=refused").count(), 4, "{log}");
    assert!(log.contains("lone dot"), "{log}");
    // Between messages the client may just go.
    prepared(&host, "HELO x\r\nMAIL FROM:<a>\r\n").exits(0);
    let ran = prepared(&host, "");
    ran.exits(0);
    assert_eq!(codes(&ran), "220");
}

#[test]
fn a_recipient_is_judged_when_it_is_named() {
    let tenant = Tenant::start();
    let host = Host::with(&binary(), &tenant);
    host.write(
        "etc/aliases",
        "root: ops@example.com\nprint: |/usr/bin/lpr\n",
    );
    let mut client = Client::start(&host);
    client.ask("MAIL FROM:<a@x> x=y", "555");
    client.ask("MAIL FROM:<two words>", "501");
    client.ask("MAIL FROM:<a@x, b@y>", "501");
    client.ask("MAIL FROM:<root>", "250 ");
    client.ask("RCPT TO:<root>", "250");
    client.ask("RCPT TO:<joe>", "550");
    client.ask("RCPT TO:<print>", "550");
    client.ask("RCPT TO:<>", "501");
    client.ask("RCPT TO:<a@@b>", "501");
    client.ask("RCPT TO:<a@x b@y>", "501");
    client.ask("RCPT TO:<a@x.test\0>", "501");
    client.ask("RCPT TO:<a@x.test>\rRCPT TO:<b@x.test>", "501");
    client.ask("RCPT TO:<@relay.test:c@example.com>", "250");
    client.ask(
        "RCPT TO:<\"d e\"@example.com> NOTIFY=FAILURE ORCPT=rfc822;d",
        "250",
    );
    client.ask("DATA", "354");
    client.put(format!("{TEXT}.\r\n").as_bytes());
    assert!(client.reply().starts_with("250"));
    // The alias file is read anew for each message.
    host.write("etc/aliases", "joe: ops@example.com\n");
    client.ask("MAIL FROM:<>", "250 ");
    client.ask("RCPT TO:<root>", "550");
    client.ask("RCPT TO:<joe>", "250");
    client.quit();
    let received = tenant.received();
    assert_eq!(received.len(), 1);
    assert_eq!(
        received[0].recipients,
        ["ops@example.com", "c@example.com", "\"d e\"@example.com"]
    );
    assert!(host.log().contains("stage=rcpt"), "{}", host.log());
}

#[test]
fn wishes_for_notifications_reach_the_server() {
    let tenant = Tenant::start();
    let host = Host::with(&binary(), &tenant);
    let mut client = Client::of(host.command("sendmail", ["-bs", "-N", "never", "-R", "full"]));
    assert!(client.reply().starts_with("220 "));
    for (mail, first, second) in [
        ("RET=HDRS ENVID=a+2Bb", "NOTIFY=delay", "NOTIFY=DELAY"),
        ("", "", ""),
        ("ENVID=7", "NOTIFY=SUCCESS", "NOTIFY=FAILURE"),
    ] {
        client.ask(&format!("MAIL FROM:<a@contoso.test> {mail}"), "250");
        client.ask(&format!("RCPT TO:<ops@example.com> {first}"), "250");
        client.ask(&format!("RCPT TO:<dev@example.com> {second}"), "250");
        client.ask("DATA", "354");
        client.put(format!("{TEXT}.\r\n").as_bytes());
        assert!(client.reply().starts_with("250"));
    }
    client.quit();
    let wishes = tenant.received().into_iter().map(|arrived| {
        let size = |word: &String| !word.starts_with("SIZE=");
        let mail: Vec<String> = arrived.parameters.into_iter().filter(size).collect();
        let [first, second] = &arrived.recipient_parameters[..] else {
            panic!("two recipients")
        };
        assert_eq!(first, second);
        format!("{} {}", mail.join(" "), first.join(" "))
    });
    assert_eq!(
        wishes.collect::<Vec<_>>(),
        [
            "RET=HDRS ENVID=a+2Bb NOTIFY=DELAY",
            "RET=FULL NOTIFY=NEVER",
            "RET=FULL ENVID=7 "
        ]
    );
    let log = host.log();
    assert_eq!(log.matches("NOTIFY that differs").count(), 1, "{log}");
}

#[test]
fn a_transaction_takes_a_thousand_recipients() {
    let tenant = Tenant::start();
    let host = Host::with(&binary(), &tenant);
    let recipients: String = (0..1001)
        .map(|number| format!("RCPT TO:<r{number}@example.com>\r\n"))
        .collect();
    let ran = prepared(&host, format!("MAIL FROM:<a>\r\n{recipients}RSET\r\n"));
    ran.exits(0);
    let codes = codes(&ran);
    assert_eq!(codes.matches("452").count(), 1);
    assert!(codes.ends_with("250 452 250"), "{codes}");
}

#[test]
fn a_message_over_the_limit_is_read_to_its_end_and_refused() {
    let tenant = Tenant::start();
    let mut host = Host::with(&binary(), &tenant);
    host.set("limits", "message_size", "\"100KB\"");
    let mut client = Client::start(&host);
    assert!(client.ask("EHLO x", "250").contains("250-SIZE 100000\r\n"));
    client.ask("MAIL FROM:<alerts@contoso.test> SIZE=100001", "552");
    let large = format!("{TEXT}{}", "MAIL FROM:<a@x.test>\r\n".repeat(200_000));
    let reply = client.send(&large);
    assert!(
        reply.starts_with("552 5.3.4") && reply.contains("100000"),
        "{reply}"
    );
    let header = format!("{}\r\nx\r\n", "X-Many: x\r\n".repeat(10_001));
    assert!(client.send(&header).starts_with("554"));
    assert!(client.send(TEXT).starts_with("250"));
    client.quit();
    assert_eq!(tenant.received().len(), 1);
}

#[test]
fn without_settings_the_first_reply_says_why() {
    let tenant = Tenant::start();
    let mut host = Host::with(&binary(), &tenant);
    host.set("limits", "message_size", "\"many\"");
    let ran = prepared(&host, "HELO x\r\n");
    ran.exits(78);
    assert_eq!(codes(&ran), "421");
    assert!(ran.stdout.contains("message_size"), "{ran:#?}");
    assert_eq!(ran.stderr, "");
}

#[test]
fn options_of_pine_and_of_the_curious_are_taken() {
    let tenant = Tenant::start();
    let host = Host::with(&binary(), &tenant);
    let dialogue = format!(
        "MAIL FROM:<alerts@contoso.test>\r\nRCPT TO:<ops@example.com>\r\nDATA\r\n{TEXT}.\r\nQUIT\r\n"
    );
    for (arguments, wanted) in [
        (
            &["-bs", "-odb", "-oem", "-om"][..],
            "220 250 250 354 250 221",
        ),
        (&["-ba"], "220 250 250 354 250 221"),
        (&["-t", "-bs"], ""),
        (&["-bs", "-odq"], "220 250 250 354 451 221"),
    ] {
        let ran = host.sendmail(arguments, &dialogue);
        assert_eq!(codes(&ran), wanted, "{ran:#?}");
        assert_eq!(ran.stderr.is_empty(), !wanted.is_empty(), "{ran:#?}");
    }
    let ran = host.sendmail(["-bs", "-v"], &dialogue);
    ran.exits(0).says(">>> MAIL FROM:<alerts@contoso.test>");
    assert_eq!(codes(&ran), "220 250 250 354 250 221");
    assert_eq!(tenant.received().len(), 3);
}

#[test]
fn a_caller_that_reads_no_reply_or_closes_everything_is_served() {
    let tenant = Tenant::start();
    let host = Host::with(&binary(), &tenant);
    let dialogue = format!(
        "MAIL FROM:<alerts@contoso.test>\r\nRCPT TO:<ops@example.com>\r\nDATA\r\n{TEXT}.\r\n"
    );
    let shell = |redirection: &str| {
        let inner = host.command("sendmail", ["-bs"]);
        let mut command = Command::new("/bin/sh");
        command
            .arg("-c")
            .arg(format!("\"$@\" {redirection}"))
            .arg("sh");
        command.arg(inner.get_program()).args(inner.get_args());
        finish(&mut command, dialogue.as_bytes())
    };
    for (place, redirection) in [">&-", ">/dev/full", "2>&-", "| true"].iter().enumerate() {
        shell(redirection).exits(0);
        assert_eq!(tenant.received().len(), place + 1, "{redirection}");
    }
    shell("<&-").exits(0);
    let mut command = host.command("sendmail", ["-bs"]);
    let directory = std::fs::File::open("/tmp").unwrap();
    let ran = Ran::of(command.stdin(directory));
    ran.exits(74);
    assert_eq!(codes(&ran), "220 421");
}
