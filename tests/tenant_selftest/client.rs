//! A client just good enough for the tenant's own tests.

use crate::tenant::Tenant;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

/// A message that is taken, with its end.
pub(super) const MESSAGE: &str =
    "From: alerts@contoso.test\r\nSubject: disk\r\n\r\nfull\r\n..\r\n.\r\n";
/// What to ask for.
pub(super) const SCOPE: &str = "https://outlook.office.com/SMTP.Send offline_access";

/// A client just good enough to be answered.
pub(super) struct Client {
    pub(super) stream: Box<dyn Stream>,
}

pub(super) trait Stream: Read + Write {
    /// No read and no write takes longer.
    fn patience(&self, limit: Duration);
    fn tcp(self: Box<Self>) -> TcpStream;
}

impl Stream for TcpStream {
    fn patience(&self, limit: Duration) {
        self.set_write_timeout(Some(limit)).unwrap();
        self.set_read_timeout(Some(limit)).unwrap();
    }

    fn tcp(self: Box<Self>) -> TcpStream {
        *self
    }
}

impl Stream for StreamOwned<ClientConnection, TcpStream> {
    fn patience(&self, limit: Duration) {
        self.sock.patience(limit);
    }

    fn tcp(self: Box<Self>) -> TcpStream {
        self.sock
    }
}

pub(super) fn tls(tenant: &Tenant, tcp: TcpStream) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(tenant.ca_pem().as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    // Else the last part of a request waits for the answer to the part before.
    tcp.set_nodelay(true).unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), tcp)
}

impl Client {
    /// Connected and greeted.
    pub(super) fn connect(tenant: &Tenant) -> Client {
        let tcp = TcpStream::connect((tenant.smtp_host(), tenant.smtp_port())).unwrap();
        let mut client = Client {
            stream: Box::new(tcp),
        };
        assert!(client.reply().starts_with("220 "));
        client
    }

    /// Inside TLS, with EHLO said.
    pub(super) fn secured(tenant: &Tenant) -> Client {
        let mut client = Client::connect(tenant);
        assert!(
            client
                .ask("EHLO host.contoso.test")
                .contains("250-STARTTLS\r\n")
        );
        assert_eq!(client.ask("STARTTLS"), "220 2.0.0 SMTP server ready\r\n");
        client.stream = Box::new(tls(tenant, client.stream.tcp()));
        assert!(
            client
                .ask("EHLO host.contoso.test")
                .contains("250-AUTH LOGIN XOAUTH2\r\n")
        );
        client
    }

    /// Signed in with a good token.
    pub(super) fn signed_in(tenant: &Tenant) -> Client {
        let mut client = Client::secured(tenant);
        let reply = client.auth(tenant.mailbox(), &tenant.access_token());
        assert_eq!(reply, "235 2.7.0 Authentication successful\r\n");
        client
    }

    pub(super) fn auth(&mut self, user: &str, token: &str) -> String {
        self.ask(&format!("AUTH XOAUTH2 {}", xoauth2(user, token)))
    }

    /// The whole message in one flight up to DATA; the reply to its end, or the first refusal.
    pub(super) fn send(&mut self, sender: &str, recipient: &str, message: &str) -> String {
        self.say(&format!(
            "MAIL FROM:<{sender}>\r\nRCPT TO:<{recipient}>\r\nDATA\r\n"
        ));
        let replies = [self.reply(), self.reply(), self.reply()];
        match replies.iter().find(|reply| !reply.starts_with(['2', '3'])) {
            Some(refusal) => refusal.clone(),
            None => {
                self.say(message);
                self.reply()
            }
        }
    }

    pub(super) fn ask(&mut self, command: &str) -> String {
        self.say(&format!("{command}\r\n"));
        self.reply()
    }

    pub(super) fn say(&mut self, octets: &str) {
        self.stream.write_all(octets.as_bytes()).unwrap();
        self.stream.flush().unwrap();
    }

    /// One whole reply; what came so far when the connection ends.
    pub(super) fn reply(&mut self) -> String {
        let mut text = Vec::new();
        let mut octet = [0];
        while self.stream.read(&mut octet).is_ok_and(|count| count == 1) {
            text.push(octet[0]);
            let line = text
                .strip_suffix(b"\r\n")
                .and_then(|text| text.rsplit(|o| *o == b'\n').next());
            if line.is_some_and(|line| line.get(3) != Some(&b'-')) {
                break;
            }
        }
        String::from_utf8_lossy(&text).into_owned()
    }
}

pub(super) fn xoauth2(user: &str, token: &str) -> String {
    STANDARD.encode(format!("user={user}\u{1}auth=Bearer {token}\u{1}\u{1}"))
}

/// Status, head and body of the answer to a POST.
pub(super) fn post(tenant: &Tenant, path: &str, form: &[(&str, &str)]) -> (u16, String, String) {
    let encode =
        |text: &str| -> String { text.bytes().map(|octet| format!("%{octet:02X}")).collect() };
    let body: Vec<String> = form
        .iter()
        .map(|(name, value)| format!("{name}={}", encode(value)))
        .collect();
    let body = body.join("&");
    let fields = format!(
        "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    exchange(tenant, &format!("POST {path}"), &fields)
}

/// Status, head and body of the answer to a GET.
pub(super) fn get(tenant: &Tenant, path: &str) -> (u16, String, String) {
    exchange(tenant, &format!("GET {path}"), "\r\n")
}

fn exchange(tenant: &Tenant, request: &str, rest: &str) -> (u16, String, String) {
    let tcp = TcpStream::connect(("localhost", tenant.token_port())).unwrap();
    let mut stream = tls(tenant, tcp);
    let port = tenant.token_port();
    let head = format!("{request} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n");
    stream
        .write_all(format!("{head}{rest}").as_bytes())
        .unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|word| word.parse().ok())
        .unwrap_or(0);
    (status, head.to_owned(), body.to_owned())
}

pub(super) fn json(tenant: &Tenant, path: &str, form: &[(&str, &str)]) -> (u16, Value) {
    let (status, _, body) = post(tenant, path, form);
    (status, serde_json::from_str(&body).unwrap_or(Value::Null))
}

/// One refresh with a scope, at the v2 endpoint.
pub(super) fn refresh(tenant: &Tenant, scope: &str) -> (u16, Value) {
    let token = tenant.refresh_token();
    let form = [
        ("client_id", tenant.client_id()),
        ("grant_type", "refresh_token"),
        ("refresh_token", &token),
        ("scope", scope),
    ];
    json(
        tenant,
        &format!("/{}/oauth2/v2.0/token", tenant.tenant_id()),
        &form,
    )
}

pub(super) fn code(answer: &(u16, Value)) -> (u16, u64) {
    (answer.0, answer.1["error_codes"][0].as_u64().unwrap_or(0))
}
