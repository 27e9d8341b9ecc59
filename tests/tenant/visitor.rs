//! A browser that knows pages, one form and where it is sent, and no more.

use super::Tenant;
use super::http;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

/// What came back.
#[derive(Clone, Debug)]
pub struct Page {
    pub status: u16,
    /// Where the browser is sent to.
    pub location: Option<String>,
    pub html: String,
    url: String,
}

impl Page {
    /// The parameters of where the browser is sent to.
    pub fn parameters(&self) -> BTreeMap<String, String> {
        let location = self.location.as_deref().unwrap_or_default();
        let (_, query) = location.split_once('?').unwrap_or_default();
        http::form(query).unwrap_or_default()
    }
}

/// The person at a browser.
impl Tenant {
    /// Opens an address of this tenant.
    pub fn open(&self, url: &str) -> Page {
        self.request("GET", url, "")
    }

    /// Enters an account and agrees.
    pub fn accept(&self, page: &Page, account: &str) -> Page {
        let body = format!("account={}&accept=yes", http::encoded(account));
        self.request("POST", &page.url, &body)
    }

    /// Says no.
    pub fn cancel(&self, page: &Page) -> Page {
        self.request("POST", &page.url, "account=&cancel=yes")
    }

    fn request(&self, method: &str, url: &str, body: &str) -> Page {
        let target = url.strip_prefix(&self.authority());
        let target = target.expect("an address of this tenant");
        let tcp = TcpStream::connect(("localhost", self.token_port())).unwrap();
        let mut stream = secured(self.ca_pem(), tcp);
        let request = format!(
            "{method} {target} HTTP/1.1\r\nHost: localhost:{}\r\nConnection: close\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
            self.token_port(),
            body.len()
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, html) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
        let location = head
            .lines()
            .find_map(|line| line.strip_prefix("Location: "));
        Page {
            status: status.unwrap_or(0),
            location: location.map(str::to_owned),
            html: html.to_owned(),
            url: url.to_owned(),
        }
    }
}

fn secured(ca_pem: &str, tcp: TcpStream) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(ca_pem.as_bytes()).unwrap();
    roots.add(root).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    tcp.set_nodelay(true).unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), tcp)
}
