//! The HTTPS request to the token endpoint.
//!
//! Nothing is taken from the environment: no proxy, no roots. No redirect is followed, because the
//! body of the request holds the sign-in. Every wait ends by one clock for the whole exchange.
#![expect(
    clippy::disallowed_methods,
    reason = "edge: HTTPS to the token endpoint"
)]

use super::Account;
use super::answer::{BODY_MAX, Reply};
use super::form::Form;
use super::grants::identity::stays_on_the_host;
use super::refusal::asked;
use super::way;
use crate::outcome::{Class, Failure, Stage};
use crate::sys::clock;
use crate::sys::roots::Roots;
use crate::sys::tls::{self, Tls};
use rustls::ClientConnection;
use rustls::pki_types::ServerName;
use std::io::{ErrorKind, Read};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use zeroize::Zeroizing;

/// Octets of a response's head at most.
const HEAD_MAX: usize = 64 * 1024;

/// How long the look at a refused certificate may take.
const PROBE_MAX: Duration = Duration::from_secs(3);

/// A server that is asked, and the way to it.
#[derive(Clone, Copy)]
pub(crate) struct Peer<'a> {
    pub(crate) url: &'a str,
    /// `http://host:port`.
    pub(crate) proxy: Option<&'a str>,
}

impl Peer<'_> {
    /// The name of the server, for messages.
    pub(crate) fn host(&self) -> &str {
        host(self.url)
    }

    /// Name and port of the server, as a firewall's rule wants them.
    pub(crate) fn host_and_port(&self) -> String {
        match authority(self.url) {
            Some((host, port)) if host.contains(':') => format!("[{host}]:{port}"),
            Some((host, port)) => format!("{host}:{port}"),
            None => self.url.to_owned(),
        }
    }
}

/// How long a connection to a service of this host may take.
const HOST_CONNECT_MAX: Duration = Duration::from_secs(1);

/// One exchange with a server that grants tokens.
pub(crate) struct Exchange<'a> {
    pub(crate) account: &'a Account,
    pub(crate) peer: Peer<'a>,
    pub(crate) roots: &'a Roots,
    pub(crate) timeout: Duration,
}

impl Exchange<'_> {
    /// Sends a form and reads the answer, whatever its status.
    ///
    /// Repeated once, soon: after a 5xx that names no time to wait, and after a connection that broke
    /// before the answer. Microsoft does not mind a refresh twice, it leaves the old token valid.
    pub(crate) fn post(&self, form: &Form) -> Result<Reply, Failure> {
        const PAUSE: Duration = Duration::from_millis(200);
        let deadline = Instant::now() + self.timeout;
        let first = self.once(form, deadline)?;
        if !worth_repeating(&first) || Instant::now() + PAUSE >= deadline {
            return first.map_err(|error| self.failed(error));
        }
        std::thread::sleep(PAUSE);
        match (first, self.once(form, deadline)?) {
            (_, Ok(reply)) | (Ok(reply), Err(_)) => Ok(reply),
            (Err(_), Err(error)) => Err(self.failed(error)),
        }
    }

    /// The same once only, for who asks again anyway.
    pub(crate) fn post_once(&self, form: &Form) -> Result<Reply, Failure> {
        let reply = self.once(form, Instant::now() + self.timeout)?;
        reply.map_err(|error| self.failed(error))
    }

    /// Asks a service of this host, without TLS where the address cannot leave the host, and never by
    /// way of the proxy. Repeated while it says that it is busy, as long as there is time.
    pub(crate) fn get(&self, url: &str, headers: &[(&str, &str)]) -> Result<Reply, Failure> {
        let deadline = Instant::now() + self.timeout;
        let mut pause = Duration::from_millis(500);
        loop {
            let agent = self.agent(deadline.saturating_duration_since(Instant::now()))?;
            let plain = url.starts_with("http://") && stays_on_the_host(url);
            let mut request = agent
                .get(url)
                .config()
                .https_only(!plain)
                // Where nobody is, packets vanish; the service itself is no further than this host.
                .timeout_connect(Some(HOST_CONNECT_MAX))
                .build();
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let reply = request.call().and_then(reply);
            let busy = matches!(&reply, Ok(reply) if is_busy(reply.status));
            pause *= 2;
            let named = reply.as_ref().ok();
            let named = named.and_then(|reply| asked(reply, clock::seconds()));
            let wait = pause.max(named.unwrap_or_default());
            if !busy || Instant::now() + wait >= deadline {
                return reply.map_err(|error| self.failed(error));
            }
            std::thread::sleep(wait);
        }
    }

    fn once(&self, form: &Form, deadline: Instant) -> Result<Result<Reply, ureq::Error>, Failure> {
        let agent = self.agent(deadline.saturating_duration_since(Instant::now()))?;
        let response = agent
            .post(self.peer.url)
            .header("Content-Type", "application/x-www-form-urlencoded")
            .send(form.as_str());
        Ok(response.and_then(reply))
    }

    pub(super) fn agent(&self, timeout: Duration) -> Result<ureq::Agent, Failure> {
        let roots = self.roots.certificates().iter();
        let roots: Vec<_> = roots
            .map(|der| Certificate::from_der(der).to_owned())
            .collect();
        let tls = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(tls::provider())
            .root_certs(RootCerts::new_with_certs(&roots))
            .build();
        let config = ureq::Agent::config_builder()
            .tls_config(tls)
            .proxy(self.proxy()?)
            .https_only(true)
            .max_redirects(0)
            .http_status_as_error(false)
            .max_response_header_size(HEAD_MAX)
            .timeout_global(Some(timeout))
            .user_agent(concat!("sendmail365/", env!("CARGO_PKG_VERSION")))
            .accept("application/json")
            .build();
        Ok(way::agent(config))
    }

    fn proxy(&self) -> Result<Option<ureq::Proxy>, Failure> {
        let Some(url) = self.peer.proxy else {
            return Ok(None);
        };
        let plain = url.starts_with("http://") && !url.contains('@');
        let proxy = plain.then(|| ureq::Proxy::new(url.trim_end_matches('/')));
        match proxy {
            Some(Ok(proxy)) => Ok(Some(proxy)),
            _ => Err(self.misconfigured("proxy", "it is not of the form http://host:port")),
        }
    }

    pub(super) fn misconfigured(&self, key: &str, why: &str) -> Failure {
        Failure::new(
            Class::Config,
            format!("{key} under [endpoint] cannot be used"),
        )
        .because(why)
        .fix(format!("correct {key} under [endpoint]"))
        .at(Stage::TokenHttp)
    }

    /// Whose certificate was refused: one more handshake, ended before anything is sent in it.
    ///
    /// The HTTP library tells that a certificate is bad, and not whose it is. The look is taken in a
    /// thread that is left alone when its time is over: a resolver knows no deadline, and whoever
    /// shows bad certificates may also name a hundred addresses that do not answer.
    pub(super) fn refused_issuer(&self) -> Option<String> {
        if self.peer.proxy.is_some() {
            return None;
        }
        let (host, port) = authority(self.peer.url)?;
        let tls = Tls::new(self.roots).ok()?;
        let (host, probed) = (host.to_owned(), tls.clone());
        let (sender, receiver) = mpsc::channel();
        let look = move || {
            let _ = handshake(&host, port, &probed);
            let _ = sender.send(());
        };
        let thread = std::thread::Builder::new().name("certificate".to_owned());
        thread.spawn(look).ok()?;
        let _ = receiver.recv_timeout(PROBE_MAX.min(self.timeout));
        tls.refused_issuer()
    }

    /// Whom this host connects to: the proxy, if there is one.
    pub(super) fn first_hop(&self) -> &str {
        self.peer.proxy.unwrap_or_else(|| self.peer.host())
    }
}

/// A handshake without a use but to see the certificate.
fn handshake(host: &str, port: u16, tls: &Tls) -> Option<()> {
    let name = ServerName::try_from(host.to_owned()).ok()?;
    let mut connection = ClientConnection::new(tls.config(), name).ok()?;
    let mut addresses = (host, port).to_socket_addrs().ok()?;
    let mut stream =
        addresses.find_map(|address| TcpStream::connect_timeout(&address, PROBE_MAX).ok())?;
    stream.set_read_timeout(Some(PROBE_MAX)).ok()?;
    stream.set_write_timeout(Some(PROBE_MAX)).ok()?;
    while connection.is_handshaking() {
        if connection.wants_write() {
            connection.write_tls(&mut stream).ok()?;
        } else if connection.read_tls(&mut stream).ok()? == 0
            || connection.process_new_packets().is_err()
        {
            break;
        }
    }
    Some(())
}

/// The server of an address, for messages.
pub(crate) fn host(url: &str) -> &str {
    let rest = url.strip_prefix("http://").unwrap_or(url);
    let plain = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    authority(url).map_or(plain, |(host, _)| host)
}

/// Host and port of an https address.
pub(crate) fn authority(url: &str) -> Option<(&str, u16)> {
    let (scheme, rest) = url.split_once("://")?;
    if !scheme.eq_ignore_ascii_case("https") {
        return None;
    }
    let authority = rest.split(['/', '?', '#']).next()?;
    if let Some(literal) = authority.strip_prefix('[') {
        let (host, port) = literal.split_once(']')?;
        return Some((
            host,
            port.strip_prefix(':')
                .map_or(Some(443), |port| port.parse().ok())?,
        ));
    }
    match authority.split_once(':') {
        Some((host, port)) => Some((host, port.parse().ok()?)),
        None => Some((authority, 443)),
    }
}

/// What IMDS says while it is being updated or has too much to do.
fn is_busy(status: u16) -> bool {
    matches!(status, 404 | 410 | 429 | 500..)
}

fn worth_repeating(result: &Result<Reply, ureq::Error>) -> bool {
    match result {
        Ok(reply) => matches!(reply.status, 500 | 502..=504) && reply.retry_after.is_none(),
        Err(ureq::Error::Io(error)) => matches!(
            error.kind(),
            ErrorKind::ConnectionReset
                | ErrorKind::ConnectionAborted
                | ErrorKind::BrokenPipe
                | ErrorKind::UnexpectedEof
        ),
        Err(_) => false,
    }
}

pub(super) fn reply(response: ureq::http::Response<ureq::Body>) -> Result<Reply, ureq::Error> {
    let header = |name: &str| {
        let value = response.headers().get(name)?;
        Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let (status, retry_after) = (response.status().as_u16(), header("retry-after"));
    let (location, date) = (header("location"), header("date"));
    let www_authenticate = header("www-authenticate");
    Ok(Reply {
        status,
        retry_after,
        location,
        date,
        www_authenticate,
        body: body(response.into_body())?,
    })
}

/// The whole body, or as much of it as came before the connection broke.
fn body(body: ureq::Body) -> Result<Zeroizing<Vec<u8>>, ureq::Error> {
    // Room for any real answer: a buffer that grows leaves copies of tokens behind.
    const USUAL_MAX: usize = 64 * 1024;
    let mut octets = Zeroizing::new(Vec::with_capacity(USUAL_MAX));
    let limit = BODY_MAX as u64;
    let mut reader = body.into_with_config().limit(limit).reader();
    match reader.read_to_end(&mut octets).map_err(ureq::Error::from) {
        Err(ureq::Error::Io(_)) | Ok(_) => Ok(octets),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::oauth::answer::tests::read;
    use crate::oauth::grants::refresh::tests::endpoint;
    use crate::oauth::token::tests::account;
    use crate::oauth::{Endpoint, MARGIN, SignIn, Store};
    use crate::outcome::Fate;
    use crate::sys::log::{Journal, Log};
    use crate::sys::random;
    use rcgen::{CertificateParams, DnType, KeyPair};
    use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
    use rustls::{ServerConfig, ServerConnection, StreamOwned};
    use std::io::Write;
    use std::net::TcpListener;
    use std::path::Path;
    use std::sync::Arc;
    use std::sync::mpsc::{Receiver, channel};
    use std::time::UNIX_EPOCH;

    type Stream = StreamOwned<ServerConnection, TcpStream>;
    /// What a stub does with the connection after the whole request was read.
    type Answer = fn(&mut Stream);

    /// An HTTPS server on loopback that answers one connection after another from a list.
    struct Stub {
        port: u16,
        roots: Roots,
        /// The requests as they came; empty for a connection without one.
        requests: Receiver<String>,
    }

    impl Stub {
        fn new(answers: Vec<Answer>) -> Stub {
            Stub::with(
                CertificateParams::new(vec!["localhost".to_owned()]).unwrap(),
                answers,
            )
        }

        fn with(mut params: CertificateParams, answers: Vec<Answer>) -> Stub {
            params
                .distinguished_name
                .push(DnType::CommonName, "Contoso Inspection CA");
            let key = KeyPair::generate().unwrap();
            let certificate = params.self_signed(&key).unwrap();
            let private = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
            let config = ServerConfig::builder_with_provider(tls::provider())
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(vec![certificate.der().clone()], private)
                .unwrap();
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = listener.local_addr().unwrap().port();
            let (sender, requests) = channel();
            std::thread::spawn(move || {
                let config = Arc::new(config);
                for answer in answers {
                    let (tcp, _) = listener.accept().unwrap();
                    let connection = ServerConnection::new(config.clone()).unwrap();
                    let mut stream = StreamOwned::new(connection, tcp);
                    let request = request(&mut stream);
                    if !request.is_empty() {
                        answer(&mut stream);
                    }
                    if sender.send(request).is_err() {
                        return;
                    }
                }
            });
            Stub {
                port,
                roots: trust(&certificate.pem()),
                requests,
            }
        }

        fn post(&self) -> Result<Reply, Failure> {
            self.post_to("localhost", &self.roots, Duration::from_secs(20))
        }

        fn post_to(&self, host: &str, roots: &Roots, timeout: Duration) -> Result<Reply, Failure> {
            let url = format!("https://{host}:{}/t/oauth2/v2.0/token", self.port);
            post(
                &Endpoint {
                    token_url: url,
                    ..endpoint()
                },
                roots,
                timeout,
            )
        }

        fn fails(&self) -> Failure {
            self.post().err().unwrap()
        }
    }

    fn post(endpoint: &Endpoint, roots: &Roots, timeout: Duration) -> Result<Reply, Failure> {
        let account = account();
        let form = Form::of(&[("refresh_token", Some("a+b"))]);
        Exchange {
            account: &account,
            peer: endpoint.tokens(),
            roots,
            timeout,
        }
        .post(&form)
    }

    fn trust(pem: &str) -> Roots {
        Roots::load(Some((Path::new("ca.pem"), pem.as_bytes()))).unwrap()
    }

    /// Roots that trust none of the stubs.
    pub(crate) fn strangers() -> Roots {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["stranger.test".to_owned()]).unwrap();
        trust(&params.self_signed(&key).unwrap().pem())
    }

    /// Head and body of a request; nothing if the connection ends before.
    fn request(stream: &mut Stream) -> String {
        let mut octets = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            let text = String::from_utf8_lossy(&octets).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let head = head.to_ascii_lowercase();
                let size = head
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length: "));
                if size.is_some_and(|size| body.len() >= size.parse().unwrap()) {
                    return text;
                }
            }
            match stream.read(&mut buffer) {
                Ok(size) if size > 0 => octets.extend_from_slice(&buffer[..size]),
                _ => return String::new(),
            }
        }
    }

    fn say(stream: &mut Stream, text: &str) {
        let _ = stream.write_all(text.as_bytes());
        let _ = stream.flush();
    }

    fn good(stream: &mut Stream) {
        say(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Length: 21\r\nDate: now\r\n\r\n{\"access_token\":\"at\"}",
        );
    }

    fn busy(stream: &mut Stream) {
        say(stream, "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
    }

    fn silent(_: &mut Stream) {}

    #[test]
    fn a_request_arrives_whole_and_its_answer_too() {
        let stub = Stub::new(vec![good]);
        let reply = stub.post().unwrap_or_else(|failure| panic!("{failure:?}"));
        assert_eq!((reply.status, reply.date.as_deref()), (200, Some("now")));
        assert_eq!(&reply.body[..], b"{\"access_token\":\"at\"}");
        let request = stub.requests.recv().unwrap();
        assert!(
            request.starts_with("POST /t/oauth2/v2.0/token HTTP/1.1\r\n"),
            "{request}"
        );
        assert!(
            request.ends_with("\r\n\r\nrefresh_token=a%2Bb"),
            "{request}"
        );
        let head = request.to_ascii_lowercase();
        assert!(
            head.contains("content-type: application/x-www-form-urlencoded\r\n"),
            "{request}"
        );
        assert!(
            head.contains(concat!(
                "user-agent: sendmail365/",
                env!("CARGO_PKG_VERSION")
            )),
            "{request}"
        );
    }

    #[test]
    fn a_sign_in_is_imported_used_and_renewed_over_https() {
        let rotated: Answer = |stream| {
            let body =
                "{\"access_token\":\"at-2\",\"refresh_token\":\"0.rt-2\",\"expires_in\":3599}";
            say(
                stream,
                &format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                ),
            );
        };
        let stub = Stub::new(vec![rotated, good]);
        let name = format!("sendmail365-sign-in-{:x}", random::number().unwrap());
        let dir = std::env::temp_dir().join(name);
        let store = Store::new(vec![dir.clone()]);
        let (account, log) = (account(), Log::new(None, None));
        let token_url = format!("https://localhost:{}/t/oauth2/v2.0/token", stub.port);
        let endpoint = Endpoint {
            token_url,
            ..endpoint()
        };
        let sign_in = SignIn {
            account: &account,
            endpoint: &endpoint,
            store: &store,
            roots: &stub.roots,
            timeout: crate::oauth::TIMEOUT,
            margin: MARGIN,
        };
        let journal = Journal::new(&log, "test", 0, "root");
        let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        sign_in
            .import("{\"refresh_token\":\"0.rt-1\"}", &journal, now)
            .unwrap();
        assert!(
            stub.requests
                .recv()
                .unwrap()
                .contains("refresh_token=0.rt-1&")
        );
        let cached = sign_in.access_token(&journal, now).ok().unwrap();
        assert_eq!(cached.secret().expose(), "at-2");
        let new = sign_in
            .access_token_after_refusal(&cached, &journal, now)
            .ok()
            .unwrap();
        assert_eq!(new.secret().expose(), "at");
        assert!(
            stub.requests
                .recv()
                .unwrap()
                .contains("refresh_token=0.rt-2&")
        );
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn a_busy_server_is_asked_a_second_time_and_no_third() {
        let stub = Stub::new(vec![busy, good]);
        assert_eq!(stub.post().ok().unwrap().status, 200);
        let stub = Stub::new(vec![busy, busy, good]);
        assert_eq!(stub.post().ok().unwrap().status, 503);
    }

    #[test]
    fn a_server_that_names_a_time_is_not_asked_twice() {
        let wait: Answer = |stream| {
            say(
                stream,
                "HTTP/1.1 503 Busy\r\nRetry-After: 30\r\nContent-Length: 0\r\n\r\n",
            )
        };
        let stub = Stub::new(vec![wait, good]);
        let reply = stub.post().ok().unwrap();
        assert_eq!(
            (reply.status, reply.retry_after.as_deref()),
            (503, Some("30"))
        );
    }

    #[test]
    fn a_connection_that_breaks_before_the_answer_is_made_once_more() {
        let stub = Stub::new(vec![silent, good]);
        assert_eq!(stub.post().ok().unwrap().status, 200);
        let failure = Stub::new(vec![silent, silent, good]).fails();
        assert_eq!(failure.fate(), Fate::Defer);
    }

    #[test]
    fn no_redirect_is_followed() {
        let answers: [Answer; 2] = [
            |stream| {
                say(
                    stream,
                    "HTTP/1.1 302 F\r\nLocation: https://127.0.0.1:1/x\r\nContent-Length: 0\r\n\r\n",
                )
            },
            |stream| {
                say(
                    stream,
                    "HTTP/1.1 307 T\r\nLocation: https://127.0.0.1:1/x\r\nContent-Length: 0\r\n\r\n",
                )
            },
        ];
        for answer in answers {
            let reply = Stub::new(vec![answer])
                .post()
                .unwrap_or_else(|failure| panic!("{failure:?}"));
            assert_eq!(read(reply).err().unwrap().reason(), Some("redirect"));
        }
    }

    #[test]
    fn endless_answers_end_soon() {
        let answers: [Answer; 3] = [
            |stream| {
                say(
                    stream,
                    "HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n",
                );
                while stream.write_all(&[b' '; 16384]).is_ok() {}
            },
            |stream| {
                say(stream, "HTTP/1.1 200 OK\r\nX-Long: ");
                while stream.write_all(&[b'x'; 16384]).is_ok() {}
            },
            |stream| {
                say(stream, "HTTP/1.1 200 OK\r\n");
                while stream.write_all(b"X-Another: header\r\n").is_ok() {}
            },
        ];
        for answer in answers {
            let failure = Stub::new(vec![answer]).fails();
            assert_eq!(
                (failure.fate(), failure.reason()),
                (Fate::Defer, Some("size")),
                "{failure:?}"
            );
        }
    }

    #[test]
    fn a_server_that_drips_is_left_at_the_deadline() {
        let answers: [Answer; 2] = [
            |stream| {
                say(stream, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
                while stream.write_all(b" ").is_ok() {
                    std::thread::sleep(Duration::from_millis(50));
                }
            },
            |stream| {
                let _ = stream.read(&mut [0; 10]);
            },
        ];
        for answer in answers {
            let stub = Stub::new(vec![answer]);
            let failure = stub
                .post_to("localhost", &stub.roots, Duration::from_millis(400))
                .err()
                .unwrap();
            assert_eq!(
                (failure.fate(), failure.reason()),
                (Fate::Defer, Some("deadline"))
            );
        }
    }

    #[test]
    fn a_body_that_breaks_off_is_no_token() {
        let cut: Answer = |stream| {
            say(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{\"access_token\":\"CANARY",
            )
        };
        let reply = Stub::new(vec![cut])
            .post()
            .unwrap_or_else(|failure| panic!("{failure:?}"));
        let failure = read(reply).err().unwrap();
        assert_eq!(
            (failure.fate(), failure.reason()),
            (Fate::Defer, Some("not-json"))
        );
        assert!(!failure.lines("t").join("").contains("CANARY"));
    }

    #[test]
    fn an_interceptor_is_named_and_sees_no_request() {
        let stub = Stub::new(vec![good, good]);
        let failure = stub
            .post_to("localhost", &strangers(), Duration::from_secs(20))
            .err()
            .unwrap();
        assert_eq!(
            (failure.fate(), failure.reason()),
            (Fate::Defer, Some("tls"))
        );
        assert!(
            failure.why().unwrap().contains("\"Contoso Inspection CA\""),
            "{failure:?}"
        );
        assert!(failure.cure().unwrap().contains("ca_file"), "{failure:?}");
        assert_eq!(stub.requests.recv().unwrap(), "");
        assert_eq!(stub.requests.recv().unwrap(), "");
    }

    #[test]
    fn a_certificate_for_another_name_is_told_apart() {
        let failure = Stub::with(
            CertificateParams::new(vec!["other.test".to_owned()]).unwrap(),
            vec![good],
        )
        .fails();
        assert_eq!(failure.reason(), Some("tls"));
        assert!(
            failure.why().unwrap().contains("another name"),
            "{failure:?}"
        );
    }

    #[test]
    fn a_certificate_outside_its_time_points_at_the_clock() {
        for (from, to, part) in [(2001, 2002, "has expired"), (2200, 2201, "not valid yet")] {
            let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
            params.not_before = rcgen::date_time_ymd(from, 1, 1);
            params.not_after = rcgen::date_time_ymd(to, 1, 1);
            let failure = Stub::with(params, vec![good]).fails();
            assert!(failure.why().unwrap().contains(part), "{failure:?}");
            assert!(failure.cure().unwrap().contains("clock"), "{failure:?}");
        }
    }

    #[test]
    fn a_host_that_is_not_there_is_deferred() {
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let ask = |url: String| {
            post(
                &Endpoint {
                    token_url: url,
                    ..endpoint()
                },
                &strangers(),
                Duration::from_secs(20),
            )
            .err()
            .unwrap()
        };
        let failure = ask(format!("https://127.0.0.1:{port}/token"));
        assert_eq!(
            (failure.fate(), failure.err()),
            (Fate::Defer, Some("ECONNREFUSED"))
        );
        let failure = ask("https://no-such-host.invalid/token".to_owned());
        assert_eq!((failure.fate(), failure.err()), (Fate::Defer, Some("dns")));
    }

    #[test]
    fn a_wrong_address_in_the_configuration_is_told() {
        for url in [
            "http://localhost/token",
            "localhost",
            "",
            "https://",
            "ftp://localhost/",
        ] {
            let endpoint = Endpoint {
                token_url: url.to_owned(),
                ..endpoint()
            };
            let failure = post(&endpoint, &strangers(), Duration::from_secs(20))
                .err()
                .unwrap();
            assert_eq!(failure.class(), Class::Config, "{url}: {failure:?}");
        }
        for proxy in [
            "https://p:1",
            "socks5://p:1",
            "p:1",
            "http://user:secret@p:1",
            "",
        ] {
            let endpoint = Endpoint {
                proxy: Some(proxy.to_owned()),
                ..endpoint()
            };
            let failure = post(&endpoint, &strangers(), Duration::from_secs(20))
                .err()
                .unwrap();
            assert_eq!(failure.class(), Class::Config, "{proxy}: {failure:?}");
            assert!(!failure.lines("t").join("").contains("secret"));
        }
    }

    #[test]
    fn a_proxy_that_refuses_is_named_with_its_code() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut octet = [0];
                stream.read_exact(&mut octet).unwrap();
                request.extend_from_slice(&octet);
            }
            stream
                .write_all(b"HTTP/1.1 407 Authenticate\r\nContent-Length: 0\r\n\r\n")
                .unwrap();
            String::from_utf8(request).unwrap()
        });
        let endpoint = Endpoint {
            proxy: Some(url.clone()),
            ..endpoint()
        };
        let failure = post(&endpoint, &strangers(), Duration::from_secs(20))
            .err()
            .unwrap();
        assert_eq!(
            (failure.fate(), failure.code()),
            (Fate::Defer, Some("407")),
            "{failure:?}"
        );
        let why = format!("the proxy {url} wants credentials (HTTP 407)");
        assert_eq!(failure.why(), Some(why.as_str()));
        assert!(
            seen.join()
                .unwrap()
                .starts_with("CONNECT login.microsoftonline.com:443 ")
        );
    }

    #[test]
    fn host_and_port_are_read_from_the_address() {
        assert_eq!(authority("https://a.test/x?y"), Some(("a.test", 443)));
        assert_eq!(authority("HTTPS://a.test:8443"), Some(("a.test", 8443)));
        assert_eq!(authority("https://[::1]:99/"), Some(("::1", 99)));
        assert_eq!(authority("https://[::1]/"), Some(("::1", 443)));
        for (token_url, shown) in [
            ("https://a.test/x", "a.test:443"),
            ("https://a.test:8443/x", "a.test:8443"),
            ("https://[::1]:99/", "[::1]:99"),
        ] {
            let endpoint = Endpoint {
                token_url: token_url.to_owned(),
                ..endpoint()
            };
            assert_eq!(endpoint.tokens().host_and_port(), shown);
        }
        for url in [
            "",
            "a.test",
            "http://a.test",
            "https://a:b:c",
            "https://[::1",
            "https://a:99999",
        ] {
            assert_eq!(authority(url), None, "{url}");
        }
    }
}
