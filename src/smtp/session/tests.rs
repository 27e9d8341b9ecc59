//! A scripted server on loopback and what the session makes of it.

mod ahead;

use super::*;
use crate::mail::dsn::Dsn;
use crate::outcome::Fate;
use crate::smtp::{Content, Envelope, Manner, Path, Receipt, Refusal, Verdict};
use crate::sys::roots::Roots;
use crate::sys::secret::Secret;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

const OFFERS: &str = "250-LO4P302CA0005.outlook.office365.com Hello [192.0.2.1]\r\n\
    250-SIZE 157286400\r\n250-PIPELINING\r\n250-DSN\r\n250-ENHANCEDSTATUSCODES\r\n\
    250-AUTH LOGIN XOAUTH2\r\n250-8BITMIME\r\n250-BINARYMIME\r\n250-CHUNKING\r\n250 SMTPUTF8\r\n";
const PLAIN_OFFERS: &str = "250-x\r\n250-AUTH XOAUTH2\r\n250 8BITMIME\r\n";
const TOKEN: &str = "EwBAAl3BAAUFFpUAo7J3Ve0bjLBWZWCclRC3EoAA";

/// A certificate for one name, and what has to be trusted for it.
struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    ca: String,
}

fn identity(name: &str) -> Identity {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
        .distinguished_name
        .push(DnType::CommonName, "Test CA of smtp");
    let ca_key = KeyPair::generate().unwrap();
    let ca = params.self_signed(&ca_key).unwrap().pem();
    let issuer = Issuer::new(params, ca_key);
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec![name.to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &issuer).unwrap();
    Identity {
        chain: vec![leaf.der().clone()],
        key: PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        ca,
    }
}

fn trusting(identity: &Identity) -> Tls {
    let own = (std::path::Path::new("ca.pem"), identity.ca.as_bytes());
    Tls::new(&Roots::load(Some(own)).unwrap()).unwrap()
}

trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// The server's side; everything it hears is kept.
struct Peer {
    stream: Option<Box<dyn Stream>>,
    tcp: TcpStream,
    config: Arc<ServerConfig>,
    heard: Vec<u8>,
    /// Ends when the client is done.
    client: Receiver<()>,
}

impl Peer {
    fn say(&mut self, text: &str) {
        self.say_octets(text.as_bytes());
    }

    fn say_octets(&mut self, octets: &[u8]) -> bool {
        let stream = self.stream.as_mut().unwrap();
        stream
            .write_all(octets)
            .and_then(|()| stream.flush())
            .is_ok()
    }

    /// What one read brings: one segment, or one record.
    fn flight(&mut self) -> String {
        let mut buffer = [0; 64 * 1024];
        let count = self.stream.as_mut().unwrap().read(&mut buffer).unwrap_or(0);
        self.heard.extend_from_slice(&buffer[..count]);
        String::from_utf8_lossy(&buffer[..count]).into_owned()
    }

    /// Reads on until `end` was heard or the client is gone.
    fn until(&mut self, end: &str) {
        while !self.heard.ends_with(end.as_bytes()) && !self.flight().is_empty() {}
    }

    fn reply_to_auth(&mut self, reply: &str) {
        let command = self.answer(reply);
        assert!(command.starts_with("AUTH XOAUTH2 "));
    }

    /// Hears a flight and answers.
    fn answer(&mut self, reply: &str) -> String {
        let flight = self.flight();
        self.say(reply);
        flight
    }

    fn start_tls(&mut self) {
        let connection = ServerConnection::new(self.config.clone()).unwrap();
        let tcp = self.tcp.try_clone().unwrap();
        self.stream = Some(Box::new(StreamOwned::new(connection, tcp)));
    }

    /// Greeting to the second EHLO.
    fn greet(&mut self, offers: &str) {
        self.say("220 hi\r\n");
        self.answer("250-x\r\n250 STARTTLS\r\n");
        self.answer("220 go\r\n");
        self.start_tls();
        self.answer(offers);
    }

    /// Greeting to 235.
    fn welcome(&mut self, offers: &str) {
        self.greet(offers);
        self.answer("235 2.7.0 Authentication successful\r\n");
    }

    /// Ends the connection as a crash does.
    fn vanish(&mut self) {
        let _ = self.tcp.shutdown(std::net::Shutdown::Both);
    }
}

struct Scripted {
    port: u16,
    tls: Tls,
    thread: JoinHandle<Vec<u8>>,
    client: Sender<()>,
}

fn scripted_as(identity: Identity, script: impl FnOnce(&mut Peer) + Send + 'static) -> Scripted {
    let tls = trusting(&identity);
    let config = ServerConfig::builder_with_provider(crate::sys::tls::provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(identity.chain, identity.key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (client, done) = channel();
    let thread = thread::spawn(move || {
        let (tcp, _) = listener.accept().unwrap();
        tcp.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        tcp.set_nodelay(true).unwrap();
        let mut peer = Peer {
            stream: Some(Box::new(tcp.try_clone().unwrap())),
            tcp,
            config: Arc::new(config),
            heard: Vec::new(),
            client: done,
        };
        script(&mut peer);
        while !peer.flight().is_empty() {}
        peer.heard
    });
    Scripted {
        port,
        tls,
        thread,
        client,
    }
}

fn scripted(script: impl FnOnce(&mut Peer) + Send + 'static) -> Scripted {
    scripted_as(identity("127.0.0.1"), script)
}

fn patient() -> Limits {
    Limits::default()
}

const SOON: Duration = Duration::from_millis(150);

/// One stage is over soon.
fn hasty(stage: Stage) -> Limits {
    let mut limits = patient();
    match stage {
        Stage::Greeting => limits.greeting = SOON,
        Stage::Ehlo => limits.ehlo = SOON,
        Stage::Starttls => limits.starttls = SOON,
        Stage::Tls => limits.tls = SOON,
        Stage::Auth => limits.auth = SOON,
        Stage::Mail | Stage::Rcpt => limits.mail = SOON,
        Stage::Data => limits.data = SOON,
        Stage::Body => limits.body = SOON,
        _ => limits.end = SOON,
    }
    limits
}

impl Scripted {
    fn open(&self, limits: Limits, log: &mut Vec<String>) -> Result<Session, Failure> {
        let server = Server {
            host: "127.0.0.1".to_owned(),
            port: self.port,
            hello: "me.test".to_owned(),
            proxy: None,
        };
        Session::open(&server, &self.tls, limits, &mut |direction, line| {
            log.push(format!("{direction:?} {line}"));
        })
    }

    fn heard(self) -> String {
        drop(self.client);
        String::from_utf8_lossy(&self.thread.join().unwrap()).into_owned()
    }

    /// Fails to open.
    fn refuses(self, limits: Limits) -> (Failure, String) {
        let failure = self.open(limits, &mut Vec::new()).err().unwrap();
        (failure, self.heard())
    }

    fn signs_in(self, limits: Limits, token: &str) -> (Result<(), Rejection>, String, String) {
        let mut log = Vec::new();
        let mut session = self.open(limits, &mut log).unwrap();
        let token = Secret::new(token.to_owned());
        let credentials = Credentials {
            user: "a@x.test",
            token: &token,
        };
        let signed = session.sign_in(&credentials, &mut |direction, line| {
            log.push(format!("{direction:?} {line}"));
        });
        session.quit();
        (signed, self.heard(), log.join("\n"))
    }

    fn submits(
        self,
        limits: Limits,
        recipients: usize,
        body: &[u8],
    ) -> (Result<Receipt, Refusal>, String) {
        let (mut results, heard) =
            self.submits_each(limits, recipients, body, &[Manner::default()]);
        (results.remove(0), heard)
    }

    /// The same message once for each manner, on one session as long as that is of use.
    fn submits_each(
        self,
        limits: Limits,
        recipients: usize,
        body: &[u8],
        manners: &[Manner],
    ) -> (Vec<Result<Receipt, Refusal>>, String) {
        let mut session = self.open(limits, &mut Vec::new()).unwrap();
        let token = Secret::new(TOKEN.to_owned());
        let credentials = Credentials {
            user: "a@x.test",
            token: &token,
        };
        session.sign_in(&credentials, &mut |_, _| {}).unwrap();
        let path = |text: String| Path { text, utf8: false };
        let sender = path("a@x.test".to_owned());
        let recipients: Vec<Path> = (0..recipients)
            .map(|number| path(format!("r{number}@y.test")))
            .collect();
        let envelope = Envelope {
            sender: Some(&sender),
            recipients: &recipients,
            dsn: &Dsn::default(),
        };
        let content = Content {
            header: b"Subject: hi\r\n",
            body,
            eight_bit: false,
            utf8_header: false,
        };
        let mut results = Vec::new();
        for manner in manners {
            results.push(session.submit(&envelope, &content, *manner, &mut |_, _| {}));
            if !session.usable() {
                break;
            }
        }
        session.quit();
        (results, self.heard())
    }
}

fn fate(refusal: &Refusal) -> (Fate, u8, Option<&str>) {
    let failure = &refusal.failure;
    (failure.fate(), failure.class().code(), failure.reason())
}

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

fn submitting(script: impl FnOnce(&mut Peer) + Send + 'static) -> Scripted {
    scripted(|peer| {
        peer.welcome(OFFERS);
        script(peer);
    })
}

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
