//! Faults of the submission server: exit status, text, and how often the message arrived.
//!
//! Stalls are tried with short clocks beside `smtp::session`: here they would last as long as the
//! real ones.

use crate::binary;
use crate::host::{Host, Ran};
use crate::tenant::{Act, Fault, Flaw, Leg, Plan, Setup, Stage, Tenant, TlsVersions};

pub const MESSAGE: &str = "From: Alerts <alerts@contoso.test>\nTo: ops@example.com\n\nhello\n";

/// A fault, and what a submission without a queue makes of it.
pub struct Row {
    /// The fault's name in the matrix of faults.
    pub id: &'static str,
    pub faults: Vec<Plan>,
    exit: i32,
    says: &'static str,
    /// `stage=` and what follows it in the log; empty where the message is sent.
    log: &'static str,
    arrived: usize,
}

fn row(
    id: &'static str,
    fault: impl Into<Plan>,
    exit: i32,
    says: &'static str,
    log: &'static str,
) -> Row {
    Row {
        id,
        faults: vec![fault.into()],
        exit,
        says,
        log,
        arrived: usize::from(exit == 0),
    }
}

fn at(stage: Stage, code: u16, text: &str) -> Fault {
    Fault::At(stage, Act::reply(code, text))
}

pub fn before_the_message() -> Vec<Row> {
    use Stage::*;
    vec![
        row(
            "D04",
            Fault::SubmissionDown,
            75,
            "refused",
            "stage=connect err=ECONNREFUSED",
        ),
        row(
            "S01",
            at(Greeting, 421, "4.3.2 Service not available"),
            75,
            "421 4.3.2",
            "stage=greeting code=421",
        ),
        row(
            "S02",
            at(Greeting, 554, "5.3.2 No SMTP service here"),
            75,
            "554",
            "stage=greeting code=554",
        ),
        row(
            "S04",
            Fault::At(Greeting, Act::Garbage),
            75,
            "",
            "stage=greeting",
        ),
        row(
            "S05",
            Fault::At(Greeting, Act::EndlessLine),
            75,
            "",
            "stage=greeting",
        ),
        row(
            "S06",
            Fault::At(Greeting, Act::EndlessReply),
            75,
            "",
            "stage=greeting",
        ),
        row(
            "S06 ehlo",
            Fault::At(EhloTls, Act::EndlessReply),
            75,
            "",
            "stage=ehlo",
        ),
        row(
            "S08",
            at(Ehlo, 554, "5.5.1 no"),
            75,
            "554",
            "stage=ehlo code=554",
        ),
        row(
            "S08 tls",
            at(EhloTls, 421, "4.3.2 busy"),
            75,
            "421",
            "stage=ehlo code=421",
        ),
        row("S09", Fault::NoStarttls, 75, "STARTTLS", "stage=starttls"),
        row(
            "S10",
            at(Starttls, 454, "4.7.0 TLS not available"),
            75,
            "454",
            "stage=starttls code=454",
        ),
        row("S11", Fault::InjectAfterStarttls, 75, "", "stage=starttls"),
        row(
            "S12 issuer",
            Fault::Certificate(Leg::Submission, Flaw::UntrustedCa),
            75,
            "issue",
            "stage=tls",
        ),
        row(
            "S12 name",
            Fault::Certificate(Leg::Submission, Flaw::WrongName),
            75,
            "not for localhost",
            "stage=tls",
        ),
        row(
            "S12 expired",
            Fault::Certificate(Leg::Submission, Flaw::Expired),
            75,
            "clock",
            "stage=tls",
        ),
        row(
            "S12 future",
            Fault::Certificate(Leg::Submission, Flaw::NotYetValid),
            75,
            "clock",
            "stage=tls",
        ),
        row("S13", Fault::At(Tls, Act::Reset), 75, "", "stage=tls"),
        row("S14", Fault::NoXoauth2, 75, "XOAUTH2", "stage=auth"),
        row("S15", Fault::RejectOnce535, 0, "", ""),
        row(
            "S16",
            at(Auth, 535, "5.7.3 Authentication unsuccessful"),
            75,
            "535 5.7.3",
            "stage=auth code=535",
        ),
        row(
            "S17",
            at(
                Auth,
                535,
                "5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox.",
            ),
            75,
            "Set-CASMailbox",
            "stage=auth code=535",
        ),
        row(
            "S18",
            at(Auth, 454, "4.7.0 Temporary authentication failure"),
            75,
            "454",
            "stage=auth code=454",
        ),
        row("S19", Fault::Challenge334, 75, "535", "stage=auth code=535"),
        row("S20", Fault::At(Auth, Act::Close), 75, "", "stage=auth"),
        row("S21", Fault::TwoStepOnly(504), 0, "", ""),
    ]
}

pub fn envelope() -> Vec<Row> {
    use Stage::*;
    vec![
        row(
            "S22",
            at(Mail, 451, "4.7.500 Server busy"),
            75,
            "451",
            "stage=mail code=451",
        ),
        row(
            "S23",
            at(
                Mail,
                550,
                "5.7.60 SMTP; Client does not have permissions to send as this sender",
            ),
            77,
            "alerts@contoso.test",
            "stage=mail code=550",
        ),
        row(
            "S24",
            at(Mail, 530, "5.7.57 Client not authenticated to send mail."),
            75,
            "530",
            "stage=mail code=530",
        ),
        row(
            "S25",
            at(Rcpt, 450, "4.7.0 later"),
            75,
            "450",
            "stage=rcpt code=450",
        ),
        row(
            "S26",
            at(Rcpt, 550, "5.1.1 unknown"),
            67,
            "ops@example.com",
            "stage=rcpt code=550",
        ),
        row(
            "S31",
            Fault::At(RcptNth(1), Act::Close),
            75,
            "",
            "stage=rcpt",
        ),
        row(
            "S32",
            at(Data, 451, "4.3.0 later"),
            75,
            "451",
            "stage=data code=451",
        ),
        row(
            "S33",
            at(Data, 554, "5.5.1 no valid recipients"),
            69,
            "554",
            "stage=data code=554",
        ),
        row("S51", at(Mail, 354, "go ahead"), 75, "", "stage=mail"),
        row("S51 rcpt", at(Rcpt, 220, "ready"), 75, "", "stage=rcpt"),
        row("S52", Fault::At(Rcpt, Act::Close), 75, "", "stage=rcpt"),
        row("S53", Fault::SurplusReplies(1), 75, "", "stage="),
        row("S54", Fault::Size(20), 69, "", "stage=mail"),
    ]
}

pub fn after_the_message() -> Vec<Row> {
    use Stage::*;
    let mut unsure = row(
        "S46",
        Fault::AcceptThenClose,
        75,
        "may have been",
        "stage=end",
    );
    unsure.arrived = 1;
    let mut garbage = row(
        "S48",
        Fault::AcceptThen(Act::Garbage),
        75,
        "may have been",
        "stage=end",
    );
    garbage.arrived = 1;
    vec![
        row(
            "S37",
            at(
                End,
                432,
                "4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded",
            ),
            75,
            "432",
            "stage=end code=432",
        ),
        row(
            "S38",
            at(End, 451, "4.3.111 Temporary server error"),
            75,
            "451",
            "stage=end code=451",
        ),
        row(
            "S38 421",
            at(End, 421, "4.3.2 Service not active"),
            75,
            "421",
            "stage=end code=421",
        ),
        row(
            "S39",
            at(End, 430, "4.2.0 STOREDRV; mailbox logon failure"),
            75,
            "Add-MailboxPermission",
            "stage=end code=430",
        ),
        row(
            "S40",
            at(
                End,
                554,
                "5.2.252 SendAsDenied; a@x.test not allowed to send as b@y.test; STOREDRV",
            ),
            77,
            "not allowed to send as b@y.test",
            "stage=end code=554",
        ),
        row(
            "S41",
            at(
                End,
                554,
                "5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException",
            ),
            75,
            "554",
            "stage=end code=554",
        ),
        row(
            "S41 full",
            at(End, 554, "5.2.2 mailbox full"),
            75,
            "554",
            "stage=end code=554",
        ),
        row(
            "S42",
            at(End, 550, "5.1.8 Access denied, bad outbound sender"),
            75,
            "550",
            "stage=end code=550",
        ),
        row(
            "S43",
            at(End, 554, "5.6.0 Invalid message content"),
            65,
            "554",
            "stage=end code=554",
        ),
        row(
            "S44",
            at(
                End,
                552,
                "5.3.4 Message size exceeds fixed maximum message size",
            ),
            69,
            "552",
            "stage=end code=552",
        ),
        row(
            "S45",
            at(End, 554, "5.9.9 because"),
            69,
            "554",
            "stage=end code=554",
        ),
        unsure,
        garbage,
        row("S50", Fault::SilentQuit, 0, "", ""),
        row("S56 pipelining", Fault::NoPipelining, 0, "", ""),
        row("S56 8bit", Fault::No8bitmime, 0, "", ""),
        row("S56 size", Fault::NoSize, 0, "", ""),
        row("S56 utf8", Fault::NoSmtputf8, 0, "", ""),
        row("lower case", Fault::LowercaseKeywords, 0, "", ""),
    ]
}

fn check(tenant: &Tenant, host: &Host, row: Row) -> Result<(), String> {
    let arrived = tenant.received().len();
    let log = host.log().len();
    for fault in row.faults {
        tenant.fault(fault);
    }
    let ran = host.sendmail(["-t", "-i"], MESSAGE);
    tenant.recover();
    let arrived = tenant.received().len() - arrived;
    let log = host.log()[log..].to_owned();
    let event = match row.exit {
        0 => "event=sent",
        _ if row.says == "may have been" => "event=unsure",
        _ => "event=refused",
    };
    let shaped = row.exit == 0 && ran.stderr.is_empty() || ran.stderr.lines().count() == 2;
    let held = ran.status.code() == Some(row.exit)
        && arrived == row.arrived
        && ran.stderr.contains(row.says)
        && row.log.split(' ').all(|word| log.contains(word))
        && log.contains(event)
        && shaped;
    match held {
        true => Ok(()),
        false => Err(format!(
            "{}: {arrived} arrived, log {log:?}, {ran:#?}",
            row.id
        )),
    }
}

fn check_all(rows: Vec<Row>) {
    let tenant = Tenant::start();
    let host = Host::with(&binary(), &tenant);
    let failed: Vec<String> = rows
        .into_iter()
        .filter_map(|row| check(&tenant, &host, row).err())
        .collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    host.sendmail(["-t", "-i"], MESSAGE).exits(0).silently();
}

#[test]
fn faults_before_the_message_keep_it_with_the_caller() {
    check_all(before_the_message());
}

#[test]
fn a_refused_envelope_has_the_exit_status_of_its_cause() {
    check_all(envelope());
}

#[test]
fn only_250_to_the_final_dot_is_success() {
    check_all(after_the_message());
}

/// S28: without a queue a partial result cannot be told in one status, so nobody gets the message.
#[test]
fn one_refused_recipient_and_nobody_gets_the_message() {
    let tenant = Tenant::start();
    let host = Host::with(&binary(), &tenant);
    for (code, exit) in [("550 5.1.1", 67), ("450 4.7.0", 75)] {
        let reply = format!("{code} no\r\n").into_bytes();
        tenant.fault(Fault::At(Stage::RcptNth(2), Act::Reply(reply)));
        let arguments = ["-i", "a@example.com", "b@example.com", "c@example.com"];
        host.sendmail(arguments, MESSAGE)
            .exits(exit)
            .in_two_lines()
            .says("b@example.com");
        tenant.recover();
    }
    assert_eq!(tenant.received().len(), 0);
}

/// S27, S30 without PIPELINING: RSET, then QUIT.
#[test]
fn too_many_recipients_for_the_server_are_sent_to_nobody() {
    let tenant = Tenant::start();
    let host = Host::with(&binary(), &tenant);
    tenant.fault(Fault::RecipientLimit(2));
    tenant.fault(Fault::NoPipelining);
    let arguments = ["-i", "a@example.com", "b@example.com", "c@example.com"];
    host.sendmail(arguments, MESSAGE)
        .exits(75)
        .in_two_lines()
        .says("c@example.com");
    assert_eq!(tenant.received().len(), 0);
}

/// S34, S36: lost inside the body, so the final dot was not sent.
#[test]
fn a_connection_that_ends_inside_the_body_leaves_the_message_with_the_caller() {
    let tenant = Tenant::start();
    let host = Host::with(&binary(), &tenant);
    let large = format!(
        "{MESSAGE}{}",
        "text of a long line that goes on and on\n".repeat(200_000)
    );
    for act in [
        Act::Close,
        Act::Reset,
        Act::ReplyThenClose(b"451 4.3.0 no\r\n".to_vec()),
    ] {
        tenant.fault(Fault::At(Stage::Body, act));
        host.sendmail(["-t", "-i"], &large).exits(75).in_two_lines();
        tenant.recover();
    }
    assert_eq!(tenant.received().len(), 0);
    host.sendmail(["-t", "-i"], &large).exits(0).silently();
    assert_eq!(tenant.received().len(), 1);
}

/// S55.
#[test]
fn an_address_that_needs_smtputf8_fails_where_it_is_missing() {
    let tenant = Tenant::start();
    let host = Host::with(&binary(), &tenant);
    tenant.fault(Fault::NoSmtputf8);
    host.sendmail(["-i", "jörg@example.com"], MESSAGE)
        .exits(65)
        .in_two_lines()
        .says("SMTPUTF8");
    assert_eq!(tenant.received().len(), 0);
}

/// S57: what a server says never moves the cursor of whoever reads the log or the terminal.
#[test]
fn replies_are_printed_as_printable_ascii() {
    let tenant = Tenant::start();
    let host = Host::with(&binary(), &tenant);
    let words = b"250 2.0.0 OK \x1b[2J\x07\x00 \xe2\x80\xae <id@x.test>\r\n".to_vec();
    tenant.fault(Fault::At(Stage::End, Act::Reply(words)));
    let ran = host.sendmail(["-v", "-t", "-i"], MESSAGE);
    ran.exits(0);
    let refusal = b"554 5.6.0 \x1b]0;title\x07 J\xf6rg\r\n".to_vec();
    tenant.recover();
    tenant.fault(Fault::At(Stage::End, Act::Reply(refusal)));
    let refused = host.sendmail(["-t", "-i"], MESSAGE);
    refused
        .exits(65)
        .says("\\x1b]0;title\\x07")
        .says("J\\xc3\\xb6rg");
    let printable = |text: &str| {
        text.bytes()
            .all(|octet| matches!(octet, b' '..=b'~' | b'\n'))
    };
    assert!(printable(&ran.stderr) && printable(&refused.stderr) && printable(&host.log()));
}

/// The dialogue of -v shows the size of a token and not the token.
#[test]
fn the_dialogue_of_v_hides_the_token() {
    let tenant = Tenant::start();
    let host = Host::with(&binary(), &tenant);
    let ran: Ran = host.sendmail(["-v", "-t", "-i"], MESSAGE);
    ran.exits(0)
        .says("AUTH XOAUTH2 [")
        .says("MAIL FROM:<alerts@contoso.test>")
        .says("235");
    assert!(
        !ran.stderr.contains("eyJ") && !ran.stderr.contains("dXNlcj"),
        "{ran:?}"
    );
}

/// TCP, banner, EHLO, STARTTLS, TLS, EHLO, AUTH, MAIL to DATA, body and QUIT.
#[test]
fn nine_turns_of_the_connection_for_one_recipient_and_for_fifty() {
    let tenant = Tenant::start();
    let host = Host::with(&binary(), &tenant);
    host.sendmail(["-t", "-i"], MESSAGE).exits(0);
    let many: Vec<String> = (0..50)
        .map(|number| format!("r{number}@example.com"))
        .collect();
    host.sendmail(
        ["-i"].into_iter().chain(many.iter().map(String::as_str)),
        MESSAGE,
    )
    .exits(0);
    let received = tenant.received();
    assert_eq!((received.len(), received[1].recipients.len()), (2, 50));
    for connection in tenant.connections() {
        assert!(
            connection.turns() <= 9,
            "{} turns\n{connection}",
            connection.turns()
        );
    }
}

#[test]
fn tls_1_2_works_and_costs_one_turn_more() {
    let tenant = Tenant::with(Setup {
        tls: TlsVersions::Only12,
        ..Setup::default()
    });
    let host = Host::with(&binary(), &tenant);
    host.sendmail(["-t", "-i"], MESSAGE).exits(0).silently();
    assert!(
        tenant
            .connections()
            .iter()
            .all(|connection| connection.turns() <= 10)
    );
}

/// S05, S06: a reply without end costs no memory.
#[test]
fn a_reply_without_end_is_refused_in_bounded_memory() {
    let tenant = Tenant::start();
    let host = Host::with(&binary(), &tenant);
    for (stage, act) in [
        (Stage::Greeting, Act::EndlessLine),
        (Stage::EhloTls, Act::EndlessLine),
        (Stage::End, Act::EndlessLine),
        (Stage::Mail, Act::EndlessReply),
    ] {
        tenant.fault(Fault::At(stage, act));
        let mut command = std::process::Command::new("/bin/sh");
        // 64 MiB of address space for the heap: the program and its libraries need a part of it.
        command.args(["-c", "ulimit -v 262144; exec \"$@\"", "sh"]);
        let inner = host.command("sendmail", ["-t", "-i"]);
        command
            .arg(inner.get_program())
            .args(inner.get_args())
            .env_clear();
        let ran = crate::host::finish(&mut command, MESSAGE.as_bytes());
        ran.exits(75).in_two_lines();
        tenant.recover();
    }
}
