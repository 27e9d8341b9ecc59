//! A message and its envelope, as they go on the wire where nothing is refused.

use super::*;

#[test]
fn a_message_is_sent_in_the_fewest_flights() {
    let server = scripted(|peer| {
        peer.welcome(OFFERS);
        let flight = peer.answer("250 2.1.0 ok\r\n250 2.1.5 ok\r\n250 2.1.5 ok\r\n354 go\r\n");
        assert!(flight.starts_with("MAIL FROM:<a@x.test> SIZE="), "{flight}");
        assert!(
            flight.ends_with("RCPT TO:<r1@y.test>\r\nDATA\r\n"),
            "{flight}"
        );
        let flight = peer.answer("250 2.0.0 OK <new@prod.outlook.com> [Hostname=DB7]\r\n");
        assert_eq!(flight, "Subject: hi\r\n\r\n..a\r\n.\r\nQUIT\r\n");
    });
    let (receipt, heard) = server.submits(patient(), 2, b".a\r\n");
    let receipt = receipt.unwrap();
    assert_eq!(
        receipt.message_id.as_deref(),
        Some("<new@prod.outlook.com>")
    );
    assert_eq!(receipt.peer, "LO4P302CA0005.outlook.office365.com");
    assert!(receipt.reply.starts_with("250 2.0.0 OK"));
    assert!(heard.starts_with("EHLO me.test\r\nSTARTTLS\r\nEHLO me.test\r\nAUTH XOAUTH2 "));
}

#[test]
fn what_a_message_is_prepared_for_is_what_was_offered_inside_tls() {
    let offered = |offers: &'static str| {
        let server = scripted(move |peer| peer.welcome(offers));
        let session = server.open(patient(), &mut Vec::new()).unwrap();
        session.offered()
    };
    let all = Offered {
        eight_bit_mime: true,
        dsn: true,
        smtputf8: true,
        size_max: Some(157_286_400),
    };
    assert_eq!(offered(OFFERS), all);
    let few = Offered {
        eight_bit_mime: true,
        ..Offered::default()
    };
    assert_eq!(offered(PLAIN_OFFERS), few);
}

#[test]
fn whoever_is_taken_gets_the_message_where_the_manner_allows_it() {
    let server = scripted(|peer| {
        peer.welcome(OFFERS);
        peer.answer("250 ok\r\n550 5.1.1 no\r\n250 ok\r\n450 4.7.0 later\r\n354 go\r\n");
        peer.answer("250 2.0.0 OK\r\n");
    });
    let manner = Manner {
        partial: true,
        more: false,
    };
    let (results, heard) = server.submits_each(patient(), 3, b"hello\r\n", &[manner]);
    assert_eq!(
        results[0].as_ref().unwrap().verdicts,
        [
            Verdict::Rejected("550 5.1.1 no".to_owned()),
            Verdict::Accepted,
            Verdict::Deferred("450 4.7.0 later".to_owned()),
        ]
    );
    assert!(heard.ends_with("hello\r\n.\r\nQUIT\r\n"), "{heard}");
}

#[test]
fn nobody_taken_means_that_nothing_is_sent_in_any_manner() {
    let server = scripted(|peer| {
        peer.welcome(OFFERS);
        peer.answer("250 ok\r\n550 5.1.1 no\r\n550 5.1.1 no\r\n354 go\r\n");
    });
    let manner = Manner {
        partial: true,
        more: true,
    };
    let (results, heard) = server.submits_each(patient(), 2, b"hello\r\n", &[manner]);
    assert_eq!(results[0].as_ref().unwrap_err().verdicts.len(), 2);
    assert!(heard.ends_with("DATA\r\n"), "{heard}");
}

#[test]
fn several_messages_share_a_session_and_the_last_one_ends_it() {
    let server = scripted(|peer| {
        peer.welcome(OFFERS);
        for _ in 0..3 {
            peer.answer("250 ok\r\n250 ok\r\n354 go\r\n");
            peer.answer("250 2.0.0 OK\r\n");
        }
    });
    let more = Manner {
        partial: true,
        more: true,
    };
    let last = Manner {
        partial: true,
        more: false,
    };
    let (results, heard) = server.submits_each(patient(), 1, b"hello\r\n", &[more, more, last]);
    assert!(
        results.len() == 3 && results.iter().all(Result::is_ok),
        "{results:?}"
    );
    assert_eq!(heard.matches("\r\n.\r\n").count(), 3);
    assert_eq!(heard.matches("QUIT").count(), 1);
    assert_eq!(heard.matches("AUTH XOAUTH2 ").count(), 1);
}

#[test]
fn a_message_of_megabytes_arrives_as_it_was() {
    let body = ".line\r\nother\r\n".repeat(200_000);
    let server = scripted(|peer| {
        peer.welcome(OFFERS);
        peer.answer("250 ok\r\n250 ok\r\n354 go\r\n");
        peer.until("\r\n.\r\nQUIT\r\n");
        peer.say("250 ok\r\n");
    });
    let (receipt, heard) = server.submits(patient(), 1, body.as_bytes());
    receipt.unwrap();
    let (_, text) = heard.split_once("DATA\r\n").unwrap();
    let expected = format!(
        "Subject: hi\r\n\r\n{}.\r\nQUIT\r\n",
        body.replace(".line", "..line")
    );
    assert!(text == expected);
}

#[test]
fn four_hundred_recipients_go_in_flights_that_cannot_block() {
    let server = submitting(|peer| {
        let mut replies = 0;
        while !peer.heard.ends_with(b"\r\nDATA\r\n") {
            let flight = peer.flight();
            assert!(!flight.is_empty());
            let lines = flight.matches("\r\n").count();
            replies += lines;
            let data = usize::from(flight.ends_with("DATA\r\n"));
            peer.say(&"250 ok\r\n".repeat(lines - data));
        }
        assert_eq!(replies, 402);
        peer.say("354 go\r\n");
        peer.answer("250 ok\r\n");
    });
    server.submits(patient(), 400, b"x").0.unwrap();
}

#[test]
fn a_sender_can_be_tried_without_sending() {
    let server = scripted(|peer| {
        peer.greet(OFFERS);
        assert_eq!(peer.answer("250 ok\r\n"), "MAIL FROM:<b@x.test>\r\n");
        assert_eq!(peer.answer("250 ok\r\n"), "RSET\r\n");
        peer.answer("550 5.7.60 SMTP; Client does not have permissions\r\n");
    });
    let mut session = server.open(patient(), &mut Vec::new()).unwrap();
    let sender = Path {
        text: "b@x.test".to_owned(),
        utf8: false,
    };
    session.try_sender(&sender, &mut |_, _| {}).unwrap();
    let failure = session.try_sender(&sender, &mut |_, _| {}).unwrap_err();
    assert_eq!(failure.class(), Class::NoPermission);
    session.quit();
    assert!(server.heard().ends_with("QUIT\r\n"));
}
