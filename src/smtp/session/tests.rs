//! A scripted server on loopback and what the session makes of it.

mod ahead;
mod ending;
mod opening;
mod patience;
mod refusals;
mod sending;
mod signing_in;
mod silence;

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

fn submitting(script: impl FnOnce(&mut Peer) + Send + 'static) -> Scripted {
    scripted(|peer| {
        peer.welcome(OFFERS);
        script(peer);
    })
}
