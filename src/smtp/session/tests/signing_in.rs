//! The token, and what a server answers to it.

use super::*;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

fn signing_in(script: impl FnOnce(&mut Peer) + Send + 'static) -> Scripted {
    scripted(|peer| {
        peer.greet(OFFERS);
        script(peer);
    })
}

#[test]
fn a_refused_token_is_told_from_a_refused_mailbox() {
    let server = signing_in(|peer| {
        peer.reply_to_auth(
            "535 5.7.3 Authentication unsuccessful [AM0 2024-07-11T11:46Z 08DC]\r\n",
        );
    });
    let (signed, heard, log) = server.signs_in(patient(), TOKEN);
    let rejection = signed.unwrap_err();
    assert!(rejection.token_refused);
    assert_eq!(rejection.failure.fate(), Fate::Hold);
    assert_eq!(rejection.failure.code(), Some("535"));
    assert!(
        rejection
            .failure
            .why()
            .unwrap()
            .contains("[AM0 2024-07-11T11:46Z 08DC]")
    );
    assert_eq!(heard.matches("AUTH XOAUTH2").count(), 1);
    assert!(log.contains("Sent AUTH XOAUTH2 ["), "{log}");

    let server = signing_in(|peer| {
        peer.reply_to_auth("535 5.7.139 SmtpClientAuthentication is disabled for the Tenant.\r\n");
    });
    let rejection = server.signs_in(patient(), TOKEN).0.unwrap_err();
    assert!(!rejection.token_refused);
    assert!(rejection.failure.cure().unwrap().contains("Set-CASMailbox"));
}

#[test]
fn a_refusal_in_latin_1_is_a_refusal() {
    let server = signing_in(|peer| {
        peer.flight();
        peer.say_octets(b"535 5.7.3 Authentification refus\xe9e\r\n");
    });
    let rejection = server.signs_in(patient(), TOKEN).0.unwrap_err();
    assert_eq!(rejection.failure.code(), Some("535"));
}

#[test]
fn a_long_token_goes_in_two_steps() {
    for invitation in ["334 \r\n", "334\r\n"] {
        let server = signing_in(move |peer| {
            assert_eq!(peer.answer(invitation), "AUTH XOAUTH2\r\n");
            peer.answer("235 ok\r\n");
        });
        let (signed, heard, log) = server.signs_in(patient(), &"t".repeat(9000));
        signed.unwrap();
        assert!(heard.contains("\r\nAUTH XOAUTH2\r\ndXNlcj1h"));
        assert!(log.contains("Sent [12") && log.contains("octets]"), "{log}");
    }
}

#[test]
fn a_server_that_dislikes_one_step_is_asked_once_in_two() {
    for code in [500, 501, 503, 504, 555] {
        let server = signing_in(move |peer| {
            peer.answer(&format!("{code} 5.5.4 no\r\n"));
            assert_eq!(peer.answer("334 \r\n"), "AUTH XOAUTH2\r\n");
            peer.answer("235 ok\r\n");
        });
        server.signs_in(patient(), TOKEN).0.unwrap();
        let server = signing_in(move |peer| {
            peer.answer(&format!("{code} 5.5.4 no\r\n"));
            peer.answer(&format!("{code} 5.5.4 no\r\n"));
        });
        let (signed, heard, _) = server.signs_in(patient(), TOKEN);
        let failure = signed.unwrap_err().failure;
        assert_eq!(failure.code(), Some(code.to_string().as_str()));
        assert_eq!(heard.matches("AUTH XOAUTH2").count(), 2);
    }
}

#[test]
fn a_challenge_after_the_token_is_answered_and_is_no_success() {
    let server = signing_in(|peer| {
        // {"status":"401"}
        peer.answer("334 eyJzdGF0dXMiOiI0MDEifQ==\r\n");
        assert_eq!(peer.answer("535 5.7.8 no\r\n"), "\r\n");
    });
    let rejection = server.signs_in(patient(), TOKEN).0.unwrap_err();
    assert_eq!(rejection.failure.code(), Some("535"));
    assert!(rejection.failure.what().contains("401"));
    assert!(rejection.token_refused);
    for reply in ["334 x\r\n", "354 x\r\n", "250 ok\r\n", "220 ok\r\n"] {
        let server = signing_in(move |peer| {
            peer.answer("334 x\r\n");
            peer.answer(reply);
        });
        let rejection = server.signs_in(patient(), TOKEN).0.unwrap_err();
        assert_eq!(rejection.failure.reason(), Some("protocol"));
    }
}

#[test]
fn without_xoauth2_the_token_stays_here() {
    let server = scripted(|peer| peer.greet("250-x\r\n250 AUTH LOGIN PLAIN\r\n"));
    let (signed, heard, _) = server.signs_in(patient(), TOKEN);
    let failure = signed.unwrap_err().failure;
    assert_eq!(
        (failure.fate(), failure.reason()),
        (Fate::Defer, Some("not-offered"))
    );
    assert!(!heard.contains("AUTH"));
}

#[test]
fn the_token_is_neither_shown_nor_quoted() {
    let server = signing_in(|peer| {
        for _ in 0..2 {
            let command = peer.flight();
            peer.say(&format!(
                "500 5.3.3 Unrecognized command '{}'\r\n",
                command.trim_end()
            ));
        }
    });
    let (signed, heard, log) = server.signs_in(patient(), TOKEN);
    let failure = signed.unwrap_err().failure;
    let (_, secret) = heard.split_once("AUTH XOAUTH2 ").unwrap();
    let shown = format!("{log}{failure:?}");
    assert!(!shown.contains(&secret[..20]), "{shown}");
    assert!(!shown.contains(&TOKEN[..20]), "{shown}");
    assert!(
        log.contains("Unrecognized command 'AUTH XOAUTH2 ["),
        "{log}"
    );
}

#[test]
fn the_token_is_not_shown_out_of_a_challenge_either() {
    for shift in ["", "x", "xx"] {
        let server = signing_in(move |peer| {
            let command = peer.flight();
            let initial = STANDARD.decode(command.trim_end().split_at(13).1).unwrap();
            let said = String::from_utf8(initial).unwrap().replace('\u{1}', " ");
            // As it begins, whatever stands before it.
            let (_, token) = said.split_once("Bearer ").unwrap();
            let challenge = format!("{{\"status\":\"{shift}{token}\",\"text\":\"{said}\"}}");
            peer.say(&format!("334 {}\r\n", STANDARD.encode(challenge)));
            peer.answer("535 5.7.8 no\r\n");
        });
        let (signed, _, log) = server.signs_in(patient(), TOKEN);
        let shown = format!("{log}{:?}", signed.unwrap_err().failure);
        assert!(!shown.contains(&TOKEN[..16]), "{shown}");
        let mut words = shown.split(|char: char| !char.is_ascii_alphanumeric());
        let told = words.find_map(|word| {
            let end = word.len() - word.len() % 4;
            let text = STANDARD.decode(&word[..end]).ok()?;
            let text = String::from_utf8_lossy(&text).into_owned();
            text.contains(&TOKEN[..16]).then_some(text)
        });
        assert_eq!(told, None, "{shown}");
    }
}
