//! Commands of the next message that leave behind the end of the one before.

use super::*;

/// Submits to each of these in turn, with the second announced while the first is sent.
fn announced(
    server: Scripted,
    first: &str,
    second: &str,
    then: &[&str],
) -> (Vec<Result<Receipt, Refusal>>, String) {
    let mut session = server.open(patient(), &mut Vec::new()).unwrap();
    let token = Secret::new(TOKEN.to_owned());
    let credentials = Credentials {
        user: "a@x.test",
        token: &token,
    };
    session.sign_in(&credentials, &mut |_, _| {}).unwrap();
    let path = |text: &str| Path {
        text: text.to_owned(),
        utf8: false,
    };
    let sender = path("a@x.test");
    let (dsn, content) = (
        Dsn::default(),
        Content {
            header: b"Subject: hi\r\n",
            body: b"hello\r\n",
            eight_bit: false,
            utf8_header: false,
        },
    );
    let manner = Manner {
        partial: true,
        more: true,
    };
    let next = vec![path(second)];
    let flight = session.flight(
        &Envelope {
            sender: Some(&sender),
            recipients: &next,
            dsn: &dsn,
        },
        &content,
    );
    session.follow_with(flight);
    let mut results = Vec::new();
    for to in [first].iter().chain(then) {
        let recipients = vec![path(to)];
        let envelope = Envelope {
            sender: Some(&sender),
            recipients: &recipients,
            dsn: &dsn,
        };
        results.push(session.submit(&envelope, &content, manner, &mut |_, _| {}));
    }
    session.quit();
    (results, server.heard())
}

#[test]
fn the_next_flight_leaves_with_the_last_dot_and_its_replies_are_its_own() {
    let server = scripted(|peer| {
        peer.welcome(OFFERS);
        peer.answer("250 ok\r\n250 ok\r\n354 go\r\n");
        let flight = peer.answer("250 first\r\n250 ok\r\n250 ok\r\n354 go\r\n");
        let (_, behind) = flight.split_once("\r\n.\r\n").unwrap();
        assert!(behind.starts_with("MAIL FROM:<a@x.test>"), "{behind}");
        assert!(
            behind.ends_with("RCPT TO:<two@y.test>\r\nDATA\r\n"),
            "{behind}"
        );
        let flight = peer.answer("250 second\r\n");
        assert_eq!(flight, "Subject: hi\r\n\r\nhello\r\n.\r\n");
    });
    let (results, heard) = announced(server, "one@y.test", "two@y.test", &["two@y.test"]);
    let replies: Vec<&str> = results
        .iter()
        .map(|result| result.as_ref().unwrap().reply.as_str())
        .collect();
    assert_eq!(replies, ["250 first", "250 second"]);
    assert!(heard.ends_with("QUIT\r\n"), "{heard}");
}

/// Behind DATA everything would be text: the connection ends without another octet.
#[test]
fn a_message_that_was_announced_and_does_not_come_is_not_sent() {
    let open = |peer: &mut Peer| {
        peer.welcome(OFFERS);
        peer.answer("250 ok\r\n250 ok\r\n354 go\r\n");
        peer.answer("250 first\r\n250 ok\r\n250 ok\r\n354 go\r\n");
    };
    for then in [&[][..], &["other@y.test"]] {
        let (results, heard) = announced(scripted(open), "one@y.test", "two@y.test", then);
        assert!(results[0].is_ok());
        if let Some(other) = results.get(1) {
            let refusal = other.as_ref().unwrap_err();
            assert_eq!(refusal.failure.class(), Class::Software);
        }
        assert!(heard.ends_with("DATA\r\n"), "{heard}");
    }
}

#[test]
fn who_was_not_taken_keeps_the_next_message_back() {
    let server = scripted(|peer| {
        peer.welcome(OFFERS);
        peer.answer("250 ok\r\n550 5.1.1 no\r\n354 go\r\n");
    });
    let (results, heard) = announced(server, "one@y.test", "two@y.test", &[]);
    assert!(results[0].is_err());
    assert!(!heard.contains("two@y.test"), "{heard}");
}

#[test]
fn nothing_is_announced_where_it_would_not_be_read() {
    let server = scripted(|peer| {
        peer.welcome(PLAIN_OFFERS);
        for reply in ["250 ok\r\n", "250 ok\r\n", "354 go\r\n", "250 first\r\n"] {
            peer.answer(reply);
        }
    });
    let (results, heard) = announced(server, "one@y.test", "two@y.test", &[]);
    assert!(results[0].is_ok(), "{results:?}");
    assert!(!heard.contains("two@y.test"), "{heard}");
    // Nor is what would take more than one TLS record with the end of a message.
    let long = format!("{}@y.test", "x".repeat(4000));
    let server = scripted(|peer| {
        peer.welcome(OFFERS);
        peer.answer("250 ok\r\n250 ok\r\n354 go\r\n");
        peer.answer("250 first\r\n");
    });
    let (results, heard) = announced(server, "one@y.test", &long, &[]);
    assert!(results[0].is_ok() && !heard.contains("xxx"), "{heard}");
}
