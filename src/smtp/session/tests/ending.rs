//! What comes behind the last dot, and what comes of it.

use super::*;

fn ending(reply: &'static str) -> (Result<Receipt, Refusal>, String) {
    let server = submitting(move |peer| {
        peer.answer("250 ok\r\n250 ok\r\n354 go\r\n");
        peer.until("\r\n.\r\nQUIT\r\n");
        peer.say(reply);
        peer.vanish();
    });
    server.submits(patient(), 1, b"x")
}

#[test]
fn a_refusal_after_the_dot_is_judged_by_its_text() {
    for (reply, expected) in [
        (
            "554 5.2.252 SendAsDenied; a@x.test not allowed to send as b@y;\r\n",
            (Fate::Return, 77),
        ),
        (
            "432 4.3.2 Concurrent connections limit exceeded\r\n",
            (Fate::Defer, 75),
        ),
        ("554 5.2.2 mailbox full\r\n", (Fate::Hold, 75)),
        ("554 5.6.0 Invalid message content\r\n", (Fate::Return, 65)),
        ("552 5.3.4 Message size exceeds\r\n", (Fate::Return, 69)),
        ("550 no\r\n", (Fate::Return, 69)),
    ] {
        let refusal = ending(reply).0.unwrap_err();
        let (fate, code, _) = fate(&refusal);
        assert_eq!((fate, code), expected, "{reply}");
        assert_eq!(refusal.failure.stage(), Some(Stage::End));
    }
}

#[test]
fn a_lost_or_senseless_reply_after_the_dot_is_unsure() {
    for (reply, reason) in [
        ("", "lost"),
        ("250 o", "lost"),
        ("hello\r\n", "garbage"),
        ("354 go\r\n", "garbage"),
        ("250-a\r\n550 b\r\n", "garbage"),
    ] {
        let refusal = ending(reply).0.unwrap_err();
        assert_eq!(fate(&refusal), (Fate::Unsure, 75, Some(reason)), "{reply}");
    }
    let server = submitting(|peer| {
        peer.answer("250 ok\r\n250 ok\r\n354 go\r\n");
    });
    let limits = hasty(Stage::End);
    let refusal = server.submits(limits, 1, b"x").0.unwrap_err();
    assert_eq!(fate(&refusal), (Fate::Unsure, 75, Some("deadline")));
}

#[test]
fn a_reset_after_the_250_changes_nothing() {
    ending("250 2.0.0 ok\r\n").0.unwrap();
}
