//! The submission server takes what Exchange takes, counts turns, and says no where Exchange does.

use super::client::*;
use crate::tenant::{Claims, Fault, GRAPH, Setup, SmtpAuth, Tenant, TlsVersions};

#[test]
fn the_ideal_way_takes_nine_turns_for_one_recipient_and_for_fifty() {
    use TlsVersions::{Both, Only12, Only13};
    // TLS 1.2 needs one turn more.
    for (tls, count, turns) in [(Both, 1, 9), (Only13, 50, 9), (Only12, 2, 10)] {
        let tenant = Tenant::with(Setup {
            tls,
            ..Setup::default()
        });
        let (status, answer) = refresh(&tenant, SCOPE);
        assert_eq!(status, 200);
        let mut client = Client::secured(&tenant);
        let token = answer["access_token"].as_str().unwrap();
        assert!((1_500..2_600).contains(&token.len()), "{}", token.len());
        assert!(client.auth(tenant.mailbox(), token).starts_with("235 "));
        let mut flight = "MAIL FROM:<alerts@contoso.test> SIZE=60\r\n".to_owned();
        for number in 0..count {
            flight += &format!("RCPT TO:<user{number}@example.com>\r\n");
        }
        client.say(&format!("{flight}DATA\r\n"));
        for _ in 0..count + 1 {
            assert!(client.reply().starts_with("250 "));
        }
        assert!(client.reply().starts_with("354 "));
        client.say(&format!("{MESSAGE}QUIT\r\n"));
        assert!(client.reply().starts_with("250 2.0.0 OK <"));
        assert!(client.reply().starts_with("221 "));
        drop(client);

        let connection = &tenant.connections()[0];
        assert_eq!(connection.turns(), turns, "{connection}");
        assert!(tenant.leak_in(tenant.dialogue().as_bytes()).is_none());
        let message = &tenant.received()[0];
        assert_eq!(message.recipients.len(), count);
        assert_eq!(message.body(), b"full\r\n.\r\n");
        assert_eq!(message.field("subject"), ["disk"]);
        assert_eq!(message.parameters, ["SIZE=60"]);
    }
}

#[test]
fn a_client_that_waits_for_each_reply_needs_more_turns() {
    let tenant = Tenant::start();
    let mut client = Client::signed_in(&tenant);
    for command in [
        "MAIL FROM:<alerts@contoso.test>",
        "RCPT TO:<a@b.test>",
        "DATA",
    ] {
        assert!(client.ask(command).starts_with(['2', '3']));
    }
    client.say(MESSAGE);
    assert!(client.reply().starts_with("250 "));
    client.say("QUIT\r\n");
    drop(client);
    assert_eq!(tenant.connections()[0].turns(), 11);
}

#[test]
fn tokens_are_refused_that_exchange_would_refuse() {
    let tenant = Tenant::start();
    let good = tenant.claims();
    let hour = 3_600;
    let bad: [(&str, Claims); 6] = [
        (
            "audience",
            Claims {
                audience: GRAPH.to_owned(),
                ..good.clone()
            },
        ),
        (
            "ended",
            Claims {
                expires: good.not_before - hour,
                ..good.clone()
            },
        ),
        (
            "not valid yet",
            Claims {
                not_before: good.not_before + hour,
                ..good.clone()
            },
        ),
        (
            "SMTP.Send",
            Claims {
                scopes: vec!["Mail.Send".to_owned()],
                ..good.clone()
            },
        ),
        (
            "tenant",
            Claims {
                tenant: "other".to_owned(),
                ..good.clone()
            },
        ),
        (
            "user",
            Claims {
                user: Some("bob@contoso.test".to_owned()),
                ..good.clone()
            },
        ),
    ];
    for (reason, claims) in bad {
        let mut client = Client::secured(&tenant);
        let reply = client.auth(tenant.mailbox(), &tenant.mint(&claims));
        assert!(
            reply.starts_with("535 5.7.3 Authentication unsuccessful ["),
            "{reply}"
        );
        drop(client);
        let connections = tenant.connections();
        assert!(
            connections.last().unwrap().notes()[0].contains(reason),
            "{reason}"
        );
    }
    let mut client = Client::secured(&tenant);
    let token = tenant.access_token();
    assert!(
        client
            .auth(tenant.mailbox(), &token[..token.len() - 1])
            .starts_with("535 5.7.3 ")
    );
    assert!(
        client
            .auth("bob@contoso.test", &token)
            .starts_with("535 5.7.3 ")
    );
    assert!(client.ask("AUTH XOAUTH2 !").starts_with("501 5.5.124 "));
    assert!(client.ask("AUTH LOGIN").starts_with("535 5.7.139 "));
    assert!(client.ask("AUTH PLAIN AAAA").starts_with("504 5.7.4 "));
    assert!(
        client
            .auth("Alerts@Contoso.test", &token)
            .starts_with("235 ")
    );
    assert!(tenant.received().is_empty());
}

#[test]
fn two_steps_and_a_challenge_work_as_they_should() {
    let tenant = Tenant::start();
    let mut client = Client::secured(&tenant);
    tenant.fault(Fault::TwoStepOnly(501));
    let response = xoauth2(tenant.mailbox(), &tenant.access_token());
    assert!(
        client
            .ask(&format!("AUTH XOAUTH2 {response}"))
            .starts_with("501 ")
    );
    assert_eq!(client.ask("AUTH XOAUTH2"), "334 \r\n");
    tenant.fault(Fault::Challenge334.once());
    assert!(client.ask(&response).starts_with("334 ey"));
    assert!(client.ask("").starts_with("535 5.7.3 "));
    assert_eq!(client.ask("AUTH XOAUTH2"), "334 \r\n");
    assert!(client.ask("*").starts_with("535 5.7.3 "));
    assert_eq!(client.ask("AUTH XOAUTH2"), "334 \r\n");
    assert!(client.ask(&response).starts_with("235 "));
    drop(client);
    assert_eq!(tenant.connections()[0].authentications, 4);
    assert_eq!(tenant.leak_in(tenant.dialogue().as_bytes()), None);
}

#[test]
fn smtp_auth_can_be_switched_off() {
    let tenant = Tenant::start();
    for (switch, place) in [
        (SmtpAuth::DisabledForTenant, "Tenant"),
        (SmtpAuth::DisabledForMailbox, "Mailbox"),
    ] {
        tenant.mailbox_switch(switch);
        let mut client = Client::secured(&tenant);
        let reply = client.auth(tenant.mailbox(), &tenant.access_token());
        assert!(
            reply.starts_with("535 5.7.139 ") && reply.contains(place),
            "{reply}"
        );
    }
    tenant.mailbox_switch(SmtpAuth::Enabled);
    Client::signed_in(&tenant);
}

#[test]
fn nobody_sends_without_tls_and_auth() {
    let tenant = Tenant::start();
    let mut client = Client::connect(&tenant);
    assert!(client.ask("EHLO a.test").ends_with("250 SMTPUTF8\r\n"));
    assert!(client.ask("AUTH XOAUTH2 AAAA").starts_with("504 "));
    assert!(
        client
            .ask("MAIL FROM:<alerts@contoso.test>")
            .starts_with("530 5.7.57 ")
    );
    let mut client = Client::secured(&tenant);
    assert!(
        client
            .ask("MAIL FROM:<alerts@contoso.test>")
            .starts_with("530 5.7.57 ")
    );
    assert!(client.ask("STARTTLS").starts_with("503 "));
}

#[test]
fn messages_are_refused_that_exchange_would_refuse() {
    let tenant = Tenant::start();
    let mut client = Client::signed_in(&tenant);
    let mut with = |message: &str| {
        client.send(
            "alerts@contoso.test",
            "a@b.test",
            &format!("{message}\r\n.\r\n"),
        )
    };
    let from = "From: Alerts <alerts@contoso.test>\r\n";
    let denied = with("From: root@host.example\r\n\r\nx");
    assert!(
        denied.starts_with("554 5.2.252 SendAsDenied; alerts@contoso.test "),
        "{denied}"
    );
    assert!(denied.contains("root@host.example"));
    for refused in [
        "\r\n\r\nx\ny",
        "\r\n\r\nx\n.\ny",
        "\r\n\r\nx\ry",
        "\r\n\r\n\0",
        "\r\n\r\nx\n.\r\ny",
    ] {
        let reply = with(&format!("From: alerts@contoso.test{refused}"));
        assert!(reply.starts_with("550 5.6.11 "), "{reply}");
    }
    assert!(with("Subject: x\r\n\r\nx").starts_with("550 5.7.512 "));
    assert!(with(&format!("{from}{from}\r\nx")).starts_with("550 5.7.512 "));
    assert!(with("From: root\r\n\r\nx").starts_with("550 5.7.512 "));
    let long = "x".repeat(999);
    assert!(with(&format!("{from}\r\n{long}")).starts_with("554 5.6.0 "));
    assert!(with(&format!("{from}X: {long}\r\n\r\nx")).starts_with("554 5.6.0 "));
    assert!(with(&format!("{from}\r\n\u{fc}")).starts_with("554 5.6.1 "));
    let two = "From: alerts@contoso.test, noreply@contoso.test\r\n\r\nx";
    assert!(with(two).starts_with("550 5.1.20 "));
    assert!(tenant.received().is_empty());
    assert!(with(&format!("{from}\r\n{}", &long[1..])).starts_with("250 "));
    tenant.grant_send_as("Shared@contoso.test");
    assert!(with("From: shared@contoso.test\r\n\r\nx").starts_with("250 "));
    assert_eq!(tenant.received().len(), 2);
}

#[test]
fn envelopes_are_refused_that_exchange_would_refuse() {
    let tenant = Tenant::with(Setup {
        recipients_max: 2,
        size_max: 99,
        ..Setup::default()
    });
    let mut client = Client::signed_in(&tenant);
    let mut says = |command: &str, code: &str| {
        let reply = client.ask(command);
        assert!(reply.starts_with(code), "{command}: {reply}");
    };
    says("RCPT TO:<a@b.test>", "503 ");
    says("DATA", "503 ");
    says("MAIL FROM:<root@host.example>", "550 5.7.60 ");
    says("MAIL FROM:<>", "550 5.7.60 ");
    says("MAIL FROM:alerts@contoso.test", "501 ");
    says("MAIL FROM:<alerts@contoso.test> SIZE=100", "552 5.3.4 ");
    says("MAIL FROM:<alerts@contoso.test> XYZ=1", "501 5.5.4 ");
    says(
        "MAIL FROM:<alerts@contoso.test> BODY=8BITMIME RET=HDRS ENVID=1",
        "250 ",
    );
    says("RCPT TO:<root>", "501 5.1.3 ");
    says("RCPT TO:<ä@b.test>", "501 5.1.3 ");
    says("RCPT TO:<nobody@contoso.test>", "550 5.1.10 ");
    says("DATA", "503 ");
    says("RCPT TO:<ops@contoso.test> NOTIFY=NEVER", "250 ");
    says("RCPT TO:<a@b.test>", "250 ");
    says("RCPT TO:<c@b.test>", "452 4.5.3 ");
    says("RSET", "250 ");
    says("MAIL FROM:<alerts@contoso.test> SMTPUTF8", "250 ");
    says("RCPT TO:<ä@b.test>", "250 ");
    says("EHLO LO4P302CA0005.outlook.office365.com", "550 5.7.506 ");
    says("HELLO", "500 5.3.3 ");
}

#[test]
fn a_fourth_connection_of_the_mailbox_is_refused_at_the_end_of_data() {
    let tenant = Tenant::start();
    let others: Vec<Client> = (0..3).map(|_| Client::signed_in(&tenant)).collect();
    let mut client = Client::signed_in(&tenant);
    let mut send = || client.send(tenant.mailbox(), "a@b.test", MESSAGE);
    assert!(send().starts_with("432 4.3.2 "));
    drop(others);
    // The servers notice in their own time that the others have gone.
    assert!((0..1_000).any(|_| send().starts_with("250 ")));
    assert_eq!(tenant.received().len(), 1);
}

#[test]
fn chunks_make_a_message() {
    let tenant = Tenant::start();
    let mut client = Client::signed_in(&tenant);
    client.say("MAIL FROM:<alerts@contoso.test>\r\nRCPT TO:<a@b.test>\r\nBDAT 27\r\n");
    client.say("From: alerts@contoso.test\r\nBDAT 6 LAST\r\n\r\n.x\r\n");
    for _ in 0..3 {
        assert!(client.reply().starts_with("250 "));
    }
    assert!(client.reply().starts_with("250 2.0.0 OK <"));
    assert_eq!(tenant.received()[0].body(), b".x\r\n");
}

#[test]
fn a_client_that_does_not_wait_where_it_must_is_cut_off() {
    let tenant = Tenant::start();
    let mut client = Client::signed_in(&tenant);
    let flight = "MAIL FROM:<alerts@contoso.test>\r\nRCPT TO:<a@b.test>\r\nDATA\r\n";
    client.say(&format!("{flight}{MESSAGE}"));
    assert!(client.reply().starts_with("250 "));
    assert!(client.reply().starts_with("250 "));
    assert!(client.reply().starts_with("503 5.5.0 "));
    assert_eq!(client.reply(), "");
    assert!(tenant.received().is_empty());
}

#[test]
fn the_messages_of_a_minute_can_be_limited() {
    let tenant = Tenant::with(Setup {
        per_minute: Some(1),
        null_sender: true,
        ..Setup::default()
    });
    let mut client = Client::signed_in(&tenant);
    assert!(client.send("", "a@b.test", MESSAGE).starts_with("250 "));
    assert!(
        client
            .send("", "a@b.test", MESSAGE)
            .starts_with("432 4.3.2 ")
    );
}
