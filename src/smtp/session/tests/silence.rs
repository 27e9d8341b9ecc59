//! Servers that say nothing, or little, or stop listening.

use super::*;

#[test]
fn a_stage_ends_with_its_time_even_if_octets_trickle_in() {
    let server = scripted(|peer| {
        while peer.say_octets(b"2") {
            thread::sleep(Duration::from_millis(2));
            peer.say_octets(b"20-\n");
        }
    });
    let limits = Limits {
        greeting: Duration::from_millis(60),
        ..patient()
    };
    let (failure, _) = server.refuses(limits);
    assert_eq!(failure.stage(), Some(Stage::Greeting));
    assert!(matches!(failure.reason(), Some("deadline" | "too-long")));
}

type Script = fn(&mut Peer);

#[test]
fn a_silent_server_is_left_at_every_stage_before_the_token() {
    let steps: [(Script, Stage); 5] = [
        (|_| {}, Stage::Greeting),
        (|peer| peer.say("220 hi\r\n"), Stage::Ehlo),
        (
            |peer| {
                peer.say("220 hi\r\n");
                peer.answer("250-x\r\n250 STARTTLS\r\n");
            },
            Stage::Starttls,
        ),
        (
            |peer| {
                peer.say("220 hi\r\n");
                peer.answer("250-x\r\n250 STARTTLS\r\n");
                peer.answer("220 go\r\n");
            },
            Stage::Tls,
        ),
        (
            |peer| {
                peer.greet("");
            },
            Stage::Ehlo,
        ),
    ];
    for (script, stage) in steps {
        let (failure, _) = scripted(script).refuses(hasty(stage));
        assert_eq!(
            (failure.stage(), failure.reason()),
            (Some(stage), Some("deadline"))
        );
        assert_eq!(failure.fate(), Fate::Defer);
    }
}

#[test]
fn a_silent_server_is_left_at_sign_in_and_in_the_envelope() {
    let server = scripted(|peer| peer.greet(OFFERS));
    let limits = hasty(Stage::Auth);
    let (signed, ..) = server.signs_in(limits, TOKEN);
    let rejection = signed.unwrap_err();
    assert_eq!(rejection.failure.reason(), Some("deadline"));
    assert!(!rejection.token_refused);
    for (replies, stage) in [
        ("", Stage::Mail),
        ("250 ok\r\n", Stage::Rcpt),
        ("250 ok\r\n250 ok\r\n", Stage::Data),
    ] {
        let server = scripted(|peer| {
            peer.welcome(OFFERS);
            peer.answer(replies);
        });
        let limits = hasty(stage);
        let refusal = server.submits(limits, 1, b"x").0.unwrap_err();
        assert_eq!(fate(&refusal), (Fate::Defer, 75, Some("deadline")));
        assert_eq!(refusal.failure.stage(), Some(stage));
    }
}

#[test]
fn a_peer_that_stops_reading_the_message_is_left() {
    let server = scripted(|peer| {
        peer.welcome(OFFERS);
        peer.answer("250 ok\r\n250 ok\r\n354 go\r\n");
        // Nothing is read until the client has given up.
        let _ = peer.client.recv();
    });
    let limits = hasty(Stage::Body);
    let (result, heard) = server.submits(limits, 1, &b"x\r\n".repeat(8_000_000));
    let refusal = result.unwrap_err();
    assert_eq!(fate(&refusal), (Fate::Defer, 75, Some("deadline")));
    assert_eq!(refusal.failure.stage(), Some(Stage::Body));
    assert!(!heard.contains("\r\n.\r\n"));
}
