//! A limit for all waits together.

use super::*;

fn limits(patience: Duration) -> Limits {
    Limits {
        patience: Some(patience),
        ..patient()
    }
}

/// Each reply comes in time, and all of them together do not.
#[test]
fn a_server_that_is_slow_at_every_stage_is_given_up_before_the_end_of_the_message() {
    let server = scripted(|peer| {
        peer.welcome(OFFERS);
        for reply in ["250 ok\r\n", "250 ok\r\n", "250 ok\r\n", "354 go\r\n"] {
            thread::sleep(Duration::from_millis(900));
            peer.say(reply);
        }
        peer.flight();
    });
    let (result, heard) = server.submits(limits(Duration::from_secs(2)), 2, b"hello\r\n");
    let refusal = result.unwrap_err();
    assert_eq!(fate(&refusal), (Fate::Defer, 75, Some("deadline")));
    assert!(!heard.contains("hello"), "{heard}");
}

#[test]
fn the_reply_to_the_whole_message_is_waited_for_all_the_same() {
    let server = scripted(|peer| {
        peer.welcome(OFFERS);
        peer.answer("250 ok\r\n250 ok\r\n354 go\r\n");
        peer.flight();
        thread::sleep(Duration::from_millis(5200));
        peer.say("250 2.0.0 OK\r\n");
    });
    let (result, _) = server.submits(limits(Duration::from_secs(5)), 1, b"hello\r\n");
    assert_eq!(result.unwrap().reply, "250 2.0.0 OK");
}
