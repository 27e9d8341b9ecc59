//! What a server may say before anything secret is sent, in the clear and inside TLS.

use super::*;

#[test]
fn replies_injected_behind_the_220_of_starttls_are_never_heard() {
    let server = scripted(|peer| {
        peer.say("220 hi\r\n");
        peer.answer("250-x\r\n250 STARTTLS\r\n");
        peer.answer("220 go\r\n250-evil\r\n250 AUTH XOAUTH2\r\n235 ok\r\n");
    });
    let (failure, heard) = server.refuses(patient());
    assert_eq!(failure.reason(), Some("injected"));
    assert_eq!(
        (failure.fate(), failure.stage()),
        (Fate::Defer, Some(Stage::Starttls))
    );
    assert_eq!(heard, "EHLO me.test\r\nSTARTTLS\r\n");
}

#[test]
fn octets_before_starttls_end_the_connection() {
    let server = scripted(|peer| {
        peer.say("220 hi\r\n");
        peer.answer("250-x\r\n250 STARTTLS\r\n220 go\r\n");
    });
    let (failure, heard) = server.refuses(patient());
    assert_eq!(failure.reason(), Some("injected"));
    assert_eq!(heard, "EHLO me.test\r\n");
}

#[test]
fn without_starttls_nothing_secret_is_sent() {
    let server = scripted(|peer| {
        peer.say("220 hi\r\n");
        peer.answer("250-x\r\n250 AUTH XOAUTH2 PLAIN\r\n");
    });
    let (failure, heard) = server.refuses(patient());
    assert_eq!(
        (failure.fate(), failure.reason()),
        (Fate::Defer, Some("not-offered"))
    );
    assert_eq!(heard, "EHLO me.test\r\n");
}

#[test]
fn keywords_in_lower_case_are_keywords() {
    let server = scripted(|peer| {
        peer.say("220 hi\r\n");
        peer.answer("250-x\r\n250 starttls\r\n");
        peer.answer("220\r\n");
        peer.start_tls();
        peer.answer("250-x\r\n250 auth xoauth2\r\n");
        peer.answer("235-2.7.0 a\n235 2.7.0 b\n");
    });
    let (signed, ..) = server.signs_in(patient(), TOKEN);
    signed.unwrap();
}

#[test]
fn no_reply_is_endless() {
    for unit in [&b"2200000000000000"[..], b"220-a\r\n"] {
        let server = scripted(move |peer| while peer.say_octets(&unit.repeat(64)) {});
        let (failure, _) = server.refuses(patient());
        assert_eq!(
            (failure.stage(), failure.reason()),
            (Some(Stage::Greeting), Some("too-long"))
        );
    }
}

#[test]
fn a_certificate_that_is_not_trusted_or_for_another_ends_the_connection() {
    let server = scripted_as(identity("other.test"), |peer| peer.greet(OFFERS));
    let (failure, heard) = server.refuses(patient());
    assert_eq!(
        (failure.stage(), failure.reason()),
        (Some(Stage::Tls), Some("cert"))
    );
    assert!(failure.why().unwrap().contains("other.test"), "{failure:?}");
    assert_eq!(heard, "EHLO me.test\r\nSTARTTLS\r\n");

    let mut server = scripted(|peer| peer.greet(OFFERS));
    server.tls = trusting(&identity("127.0.0.1"));
    let (failure, _) = server.refuses(patient());
    assert!(
        failure.why().unwrap().contains("Test CA of smtp"),
        "{failure:?}"
    );
    assert_eq!(
        (failure.fate(), failure.reason()),
        (Fate::Defer, Some("cert"))
    );
}

#[test]
fn the_certificate_of_an_authority_is_told_in_words() {
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let own = params.self_signed(&key).unwrap();
    let identity = Identity {
        chain: vec![own.der().clone()],
        key: PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        ca: own.pem(),
    };
    let (failure, _) = scripted_as(identity, |peer| peer.greet(OFFERS)).refuses(patient());
    let why = failure.why().unwrap();
    assert!(why.contains("CA:TRUE") && !why.contains("Error"), "{why}");
}

#[test]
fn a_connection_lost_in_the_handshake_is_told() {
    let server = scripted(|peer| {
        peer.say("220 hi\r\n");
        peer.answer("250-x\r\n250 STARTTLS\r\n");
        peer.answer("220 go\r\n");
        peer.flight();
        peer.vanish();
    });
    let (failure, _) = server.refuses(patient());
    assert_eq!(
        (failure.stage(), failure.reason()),
        (Some(Stage::Tls), Some("lost"))
    );
    assert!(failure.why().unwrap().contains("handshake"));
}

#[test]
fn a_server_that_takes_no_connections_is_tried_later() {
    for greeting in ["421 4.3.2 busy\r\n", "554 5.7.1 no\r\n"] {
        let server = scripted(move |peer| peer.say(greeting));
        let (failure, _) = server.refuses(patient());
        assert_eq!(
            (failure.stage(), failure.fate()),
            (Some(Stage::Greeting), Fate::Defer)
        );
        assert_eq!(failure.code(), Some(&greeting[..3]));
    }
    let server = scripted(|peer| peer.say("HTTP/1.1 400 Bad Request\r\n\r\n"));
    let (failure, _) = server.refuses(patient());
    assert_eq!(failure.reason(), Some("garbage"));
}

#[test]
fn nothing_in_a_reply_reaches_the_terminal() {
    let mut log = Vec::new();
    let server = scripted(|peer| {
        peer.say("220 \u{1b}[2J\u{202e}\0hi\r\n");
        peer.answer("502 no\r\n");
    });
    server.open(patient(), &mut log).err().unwrap();
    drop(server.heard());
    assert!(log[0].starts_with("Received 220 \\x1b[2J\\xe2"), "{log:?}");
}
