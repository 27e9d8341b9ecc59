//! Faults strike where and as often as told, and end.

use super::client::*;
use crate::tenant::{Act, Answer, Fault, Flaw, Leg, Stage, Tenant};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;

#[test]
fn faults_of_the_endpoint_strike_as_often_as_told() {
    let tenant = Tenant::start();
    tenant.fault(Fault::Token(Answer::Throttled(Some(30))).once());
    tenant.fault(Fault::Token(Answer::Reset).once());
    let path = format!("/{}/oauth2/v2.0/token", tenant.tenant_id());
    let (status, head, _) = post(&tenant, &path, &[]);
    assert_eq!(status, 429);
    assert!(head.contains("\r\nRetry-After: 30\r\n") && head.contains("\r\nDate: "));
    assert_eq!(post(&tenant, &path, &[]).0, 0);
    assert_eq!(refresh(&tenant, SCOPE).0, 200);

    tenant.fault(Fault::Token(Answer::Aadsts(700_082)));
    let (status, answer) = refresh(&tenant, SCOPE);
    assert_eq!(
        (status, &answer["suberror"]),
        (400, &Value::from("bad_token"))
    );
    tenant.recover();
    tenant.fault(Fault::Token(Answer::EmptyRefreshToken).once());
    tenant.fault(Fault::Token(Answer::ExpiresIn("1e30")).once());
    assert_eq!(refresh(&tenant, SCOPE).1["refresh_token"], "");
    assert_eq!(refresh(&tenant, SCOPE).1["expires_in"], 1e30);
    tenant.fault(Fault::TokenEndpointDown);
    assert!(TcpStream::connect(("localhost", tenant.token_port())).is_err());
    tenant.recover();
    assert_eq!(refresh(&tenant, SCOPE).0, 200);
    let asked: Vec<u16> = tenant
        .token_requests()
        .iter()
        .map(|request| request.status)
        .collect();
    assert_eq!(asked, [429, 0, 200, 400, 200, 200, 200]);
}

#[test]
fn faults_of_the_submission_server_strike_where_told() {
    let tenant = Tenant::start();
    tenant.fault(Fault::At(Stage::RcptNth(2), Act::reply(451, "4.4.0 Later")).once());
    let mut client = Client::signed_in(&tenant);
    assert!(
        client
            .ask("MAIL FROM:<alerts@contoso.test>")
            .starts_with("250 ")
    );
    assert!(client.ask("RCPT TO:<a@b.test>").starts_with("250 "));
    assert_eq!(client.ask("RCPT TO:<b@b.test>"), "451 4.4.0 Later\r\n");
    assert!(client.ask("DATA").starts_with("354 "));
    tenant.fault(Fault::AcceptThenClose.once());
    client.say(MESSAGE);
    assert_eq!(client.reply(), "");
    assert_eq!(tenant.received()[0].recipients, ["a@b.test"]);

    for act in [
        Act::Close,
        Act::Reset,
        Act::reply(421, "4.3.2 Service not active"),
    ] {
        tenant.fault(Fault::At(Stage::Mail, act.clone()).once());
        let mut client = Client::signed_in(&tenant);
        let reply = client.ask("MAIL FROM:<alerts@contoso.test>");
        assert_eq!(reply.is_empty(), !matches!(act, Act::Reply(_)), "{reply}");
        assert_eq!(client.reply(), "");
    }
    tenant.fault(Fault::At(
        Stage::End,
        Act::Reply(b"250-a\r\n250 2.0.0 \x1b[1mOK\r\n".to_vec()),
    ));
    let mut client = Client::signed_in(&tenant);
    let reply = client.send(tenant.mailbox(), "a@b.test", MESSAGE);
    assert_eq!(reply, "250-a\r\n250 2.0.0 \x1b[1mOK\r\n");
    assert_eq!(tenant.received().len(), 2);
}

#[test]
fn keywords_can_be_missing_and_then_do_not_work() {
    let tenant = Tenant::start();
    for fault in [
        Fault::NoSize,
        Fault::No8bitmime,
        Fault::NoSmtputf8,
        Fault::NoPipelining,
    ] {
        tenant.fault(fault.once());
    }
    let mut client = Client::signed_in(&tenant);
    for parameter in ["SIZE=1", "BODY=8BITMIME", "SMTPUTF8"] {
        let command = format!("MAIL FROM:<alerts@contoso.test> {parameter}");
        assert!(client.ask(&command).starts_with("501 5.5.4 "));
    }
    client.say("RSET\r\nNOOP\r\n");
    assert!(client.reply().starts_with("503 5.5.0 "));
    tenant.fault(Fault::NoStarttls.once());
    let mut client = Client::connect(&tenant);
    assert!(!client.ask("EHLO a.test").contains("STARTTLS"));
    assert!(client.ask("STARTTLS").starts_with("503 "));
    Client::signed_in(&tenant);
}

#[test]
fn forged_replies_come_with_the_220_and_in_clear() {
    let tenant = Tenant::start();
    tenant.fault(Fault::InjectAfterStarttls);
    let mut client = Client::connect(&tenant);
    client.ask("EHLO a.test");
    client.say("STARTTLS\r\n");
    let mut segment = [0; 500];
    let count = client.stream.read(&mut segment).unwrap();
    let segment = String::from_utf8_lossy(&segment[..count]);
    assert!(
        segment.starts_with("220 ") && segment.ends_with("250 AUTH XOAUTH2\r\n"),
        "{segment}"
    );
}

#[test]
fn certificates_can_have_every_flaw_on_both_legs() {
    let tenant = Tenant::start();
    let flaws = [
        Flaw::UntrustedCa,
        Flaw::WrongName,
        Flaw::Expired,
        Flaw::NotYetValid,
    ];
    for flaw in flaws {
        for leg in [Leg::Token, Leg::Submission] {
            tenant.fault(Fault::Certificate(leg, flaw).once());
        }
        let tcp = TcpStream::connect(("localhost", tenant.token_port())).unwrap();
        let error = tls(&tenant, tcp).write_all(b"x").unwrap_err().to_string();
        assert!(error.contains("certificate"), "{error}");
        let mut client = Client::connect(&tenant);
        client.ask("EHLO a.test");
        client.ask("STARTTLS");
        let error = tls(&tenant, client.stream.tcp())
            .write_all(b"x")
            .unwrap_err()
            .to_string();
        assert!(error.contains("certificate"), "{error}");
    }
    assert_eq!(refresh(&tenant, SCOPE).0, 200);
    Client::signed_in(&tenant);
}

#[test]
fn a_reset_is_a_reset() {
    let tenant = Tenant::start();
    tenant.fault(Fault::At(Stage::Ehlo, Act::Reset));
    let mut client = Client::connect(&tenant);
    client.say("EHLO a.test\r\n");
    let error = client.stream.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[test]
fn endless_answers_go_on_until_the_client_leaves() {
    let tenant = Tenant::start();
    let mut buffer = vec![0; 1 << 20];
    for act in [Act::EndlessLine, Act::EndlessReply] {
        tenant.fault(Fault::At(Stage::Ehlo, act).once());
        let mut client = Client::connect(&tenant);
        client.say("EHLO a.test\r\n");
        client.stream.read_exact(&mut buffer).unwrap();
    }
    for answer in [Answer::EndlessBody, Answer::EndlessHeaders] {
        tenant.fault(Fault::Token(answer).once());
        let tcp = TcpStream::connect(("localhost", tenant.token_port())).unwrap();
        let mut stream = tls(&tenant, tcp);
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        stream.read_exact(&mut buffer).unwrap();
    }
    assert!(
        tenant
            .connections()
            .iter()
            .all(|connection| connection.octets_out >= 1 << 20)
    );
}

#[test]
fn a_slow_answer_is_a_whole_one() {
    let tenant = Tenant::start();
    let pause = std::time::Duration::from_millis(1);
    tenant.fault(Fault::At(Stage::Mail, Act::Slowly(pause)).once());
    tenant.fault(Fault::Token(Answer::Slowly(pause / 100)).once());
    assert_eq!(refresh(&tenant, SCOPE).0, 200);
    let mut client = Client::signed_in(&tenant);
    assert!(
        client
            .send(tenant.mailbox(), "a@b.test", MESSAGE)
            .starts_with("250 ")
    );
}

#[test]
fn a_peer_can_stop_reading_inside_a_message() {
    let tenant = Tenant::start();
    tenant.fault(Fault::ZeroWindow.once());
    let mut client = Client::signed_in(&tenant);
    client.say("MAIL FROM:<alerts@contoso.test>\r\nRCPT TO:<a@b.test>\r\nDATA\r\n");
    for _ in 0..3 {
        client.reply();
    }
    client
        .stream
        .patience(std::time::Duration::from_millis(200));
    let chunk = vec![b'x'; 1 << 20];
    assert!((0..64).any(|_| client.stream.write_all(&chunk).is_err()));
}

#[test]
fn a_stall_ends_when_the_tenant_does() {
    let tenant = Tenant::start();
    tenant.fault(Fault::At(Stage::Greeting, Act::Stall));
    let mut tcp = TcpStream::connect(("localhost", tenant.smtp_port())).unwrap();
    drop(tenant);
    let mut octet = [0];
    assert_eq!(tcp.read(&mut octet).unwrap_or(0), 0);
}
