//! Refusals before the last dot, with PIPELINING and without.

use super::*;

#[test]
fn a_partial_refusal_sends_nothing_even_after_354() {
    for (replies, expected) in [
        (
            "250 ok\r\n250 ok\r\n550 5.1.1 no\r\n354 go\r\n",
            (Fate::Return, 67, None),
        ),
        (
            "250 ok\r\n250 ok\r\n451 4.4.0 no\r\n354 go\r\n",
            (Fate::Defer, 75, None),
        ),
        (
            "550 no\r\n250 ok\r\n250 ok\r\n354 go\r\n",
            (Fate::Return, 69, None),
        ),
        (
            "250 ok\r\n220 ok\r\n250 ok\r\n354 go\r\n",
            (Fate::Defer, 75, Some("protocol")),
        ),
    ] {
        let server = submitting(|peer| {
            peer.answer(replies);
        });
        let (result, heard) = server.submits(patient(), 2, b"x\r\n");
        assert_eq!(fate(&result.unwrap_err()), expected);
        assert!(heard.ends_with("\r\nDATA\r\n"), "{heard}");
    }
}

#[test]
fn a_refused_flight_that_ends_in_order_ends_in_quit() {
    let server = submitting(|peer| {
        peer.answer("250 ok\r\n550 5.1.1 no\r\n550 5.1.1 no\r\n554 no valid recipients\r\n");
    });
    let (result, heard) = server.submits(patient(), 2, b"x\r\n");
    let refusal = result.unwrap_err();
    assert_eq!(fate(&refusal), (Fate::Return, 67, None));
    assert_eq!(refusal.failure.stage(), Some(Stage::Rcpt));
    let rejected = Verdict::Rejected("550 5.1.1 no".to_owned());
    assert_eq!(refusal.verdicts, [rejected.clone(), rejected]);
    assert!(heard.ends_with("DATA\r\nQUIT\r\n"), "{heard}");
}

#[test]
fn a_server_without_pipelining_is_asked_one_by_one() {
    let server = scripted(|peer| {
        peer.welcome(PLAIN_OFFERS);
        assert_eq!(peer.answer("250 ok\r\n"), "MAIL FROM:<a@x.test>\r\n");
        assert_eq!(peer.answer("250 ok\r\n"), "RCPT TO:<r0@y.test>\r\n");
        assert_eq!(peer.answer("251 ok\r\n"), "RCPT TO:<r1@y.test>\r\n");
        assert_eq!(peer.answer("354 go\r\n"), "DATA\r\n");
        let message = "Subject: hi\r\n\r\nx\r\n.\r\n";
        assert_eq!(
            peer.answer("250 ok\r\n"),
            message,
            "QUIT waits for the reply"
        );
        assert_eq!(peer.flight(), "QUIT\r\n");
    });
    server.submits(patient(), 2, b"x").0.unwrap();
}

#[test]
fn without_pipelining_a_refusal_resets_before_data() {
    let server = scripted(|peer| {
        peer.welcome(PLAIN_OFFERS);
        for reply in [
            "250 ok\r\n",
            "550 5.1.1 no\r\n",
            "250 ok\r\n",
            "250 reset\r\n",
        ] {
            peer.answer(reply);
        }
    });
    let (result, heard) = server.submits(patient(), 2, b"x");
    let refusal = result.unwrap_err();
    assert_eq!(fate(&refusal), (Fate::Return, 67, None));
    assert_eq!(refusal.verdicts.len(), 2);
    assert!(
        heard.ends_with("RCPT TO:<r1@y.test>\r\nRSET\r\nQUIT\r\n"),
        "{heard}"
    );
}

#[test]
fn surplus_replies_never_count() {
    let flights = [
        "250 ok\r\n250 ok\r\n354 go\r\n250 sent\r\n",
        "250 ok\r\n250 ok\r\n354 go\r\n250-se",
    ];
    for flight in flights {
        let server = submitting(|peer| {
            peer.answer(flight);
        });
        let (result, heard) = server.submits(patient(), 1, b"x");
        assert_eq!(
            fate(&result.unwrap_err()),
            (Fate::Defer, 75, Some("unexpected"))
        );
        assert!(heard.ends_with("\r\nDATA\r\n"), "{heard}");
    }
    let server = scripted(|peer| {
        peer.greet(OFFERS);
        peer.answer("235 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n250 sent\r\n");
    });
    let (result, heard) = server.submits(patient(), 1, b"x");
    assert_eq!(
        fate(&result.unwrap_err()),
        (Fate::Defer, 75, Some("unexpected"))
    );
    assert!(!heard.contains("MAIL"));
}

#[test]
fn consent_before_the_final_dot_is_none() {
    let server = submitting(|peer| {
        peer.answer("250 ok\r\n250 ok\r\n354 go\r\n");
        peer.answer("250 2.0.0 ok\r\n");
        while !peer.flight().is_empty() {}
    });
    let (result, heard) = server.submits(patient(), 1, &b"x\r\n".repeat(8_000_000));
    assert_eq!(
        fate(&result.unwrap_err()),
        (Fate::Defer, 75, Some("unexpected"))
    );
    assert!(!heard.contains("\r\n.\r\n"));
}

#[test]
fn a_connection_lost_before_the_final_dot_is_a_try_for_later() {
    let flights = [
        "",
        "250 ok\r\n",
        "250 ok\r\n250 ok\r\n",
        "250 ok\r\n250 ok\r\n25",
    ];
    for flight in flights {
        let server = submitting(|peer| {
            peer.answer(flight);
            peer.vanish();
        });
        let (result, _) = server.submits(patient(), 1, b"x");
        assert_eq!(fate(&result.unwrap_err()), (Fate::Defer, 75, Some("lost")));
    }
    let server = submitting(|peer| {
        peer.answer("250 ok\r\n250 ok\r\n354 go\r\n");
        peer.flight();
        peer.vanish();
    });
    let (result, heard) = server.submits(patient(), 1, &b"x\r\n".repeat(8_000_000));
    let refusal = result.unwrap_err();
    assert_eq!(fate(&refusal), (Fate::Defer, 75, Some("lost")));
    assert_eq!(refusal.failure.stage(), Some(Stage::Body));
    assert!(!heard.contains("\r\n.\r\n"));
}

#[test]
fn a_server_that_leaves_with_421_is_quoted() {
    let server = submitting(|peer| {
        peer.answer("250 ok\r\n421 4.3.2 Service not active\r\n");
        peer.vanish();
    });
    let refusal = server.submits(patient(), 2, b"x").0.unwrap_err();
    assert_eq!(refusal.failure.code(), Some("421"));
    assert_eq!(refusal.failure.stage(), Some(Stage::Rcpt));
    assert_eq!(refusal.failure.fate(), Fate::Defer);
}

#[test]
fn a_refused_sender_stays_refused_when_the_server_leaves() {
    let server = submitting(|peer| {
        peer.answer("550 5.7.60 SMTP; Client does not have permissions to send as\r\n");
        peer.vanish();
    });
    let refusal = server.submits(patient(), 1, b"x").0.unwrap_err();
    assert_eq!(fate(&refusal), (Fate::Return, 77, None));
}

#[test]
fn a_refusal_inside_the_message_is_quoted() {
    let server = submitting(|peer| {
        peer.answer("250 ok\r\n250 ok\r\n354 go\r\n");
        peer.flight();
        peer.say("451 4.3.111 Temporary server error\r\n");
        while !peer.flight().is_empty() {}
    });
    let (result, heard) = server.submits(patient(), 1, &b"x\r\n".repeat(8_000_000));
    let refusal = result.unwrap_err();
    assert_eq!(refusal.failure.code(), Some("451"));
    assert_eq!(refusal.failure.stage(), Some(Stage::Body));
    assert!(!heard.contains("\r\n.\r\n"));
}
