//! The addresses that hand tokens to machines, on loopback and over plain HTTP: the virtual
//! machine's (IMDS), App Service's, and the agent's of Azure Arc.

use super::faults::Fault;
use super::http::{Request, Response};
use super::identity;
use super::listener::Listener;
use super::state::Shared;
use super::wire::Wire;
use super::{Tenant, clock, endpoint};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// One of the addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metadata {
    Imds,
    /// `IDENTITY_ENDPOINT`, at any path.
    AppService,
    Arc,
}

/// A request to one of them.
#[derive(Clone, Debug)]
pub struct MetadataRequest {
    pub metadata: Metadata,
    pub method: String,
    /// As it was sent: `/metadata/identity/oauth2/token?api-version=...`.
    pub target: String,
    /// Names in lower case.
    pub fields: BTreeMap<String, String>,
    /// 0 when no answer was given.
    pub status: u16,
}

/// An identity that was made by itself and given to the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserAssigned {
    pub client_id: String,
    pub object_id: String,
    /// Its path in the resource manager.
    pub resource_id: String,
}

impl UserAssigned {
    /// A new one.
    pub fn new(name: &str) -> UserAssigned {
        UserAssigned {
            client_id: clock::guid(),
            object_id: clock::guid(),
            resource_id: format!(
                "/subscriptions/{}/resourcegroups/mail/providers/\
                 Microsoft.ManagedIdentity/userAssignedIdentities/{name}",
                clock::guid()
            ),
        }
    }
}

/// The file by which a client of Arc's agent shows that it may read what root may read.
#[derive(Debug, Default)]
pub struct Challenge {
    /// The file that is named and written anew at each challenge.
    pub path: Option<PathBuf>,
    /// What the client has to show.
    pub content: String,
    /// `WWW-Authenticate` when it is not to be the usual one.
    pub header: Option<String>,
    /// The content stays as the test gave it.
    pub fixed: bool,
}

/// The listeners that were asked for so far.
pub type Listeners = Mutex<BTreeMap<Metadata, Listener>>;

fn serve(shared: &Shared, metadata: Metadata, tcp: TcpStream) {
    let log = Arc::new(Mutex::default());
    let mut wire = Wire::new(tcp, log, shared.stop.clone());
    while exchange(shared, metadata, &mut wire).unwrap_or(false) {}
    wire.finish();
}

fn exchange(shared: &Shared, metadata: Metadata, wire: &mut Wire) -> io::Result<bool> {
    let Some(request) = Request::read(wire)? else {
        return Ok(false);
    };
    let fault = shared.ledger().faults.take(|fault| match fault {
        Fault::Metadata(answer) => Some(answer.clone()),
        _ => None,
    });
    let instead = fault
        .as_ref()
        .and_then(|fault| identity::failure(metadata, fault))
        .or_else(|| endpoint::replacement(fault.as_ref()?, &request));
    let response =
        instead.unwrap_or_else(|| identity::answer(shared, metadata, &request, fault.as_ref()));
    let silent = fault.as_ref().is_some_and(endpoint::is_silent);
    shared.ledger().metadata_requests.push(MetadataRequest {
        metadata,
        method: request.method.clone(),
        target: match request.query.as_str() {
            "" => request.path.clone(),
            query => format!("{}?{query}", request.path),
        },
        fields: request.fields.clone(),
        status: if silent { 0 } else { response.status },
    });
    endpoint::send(wire, fault.as_ref(), &response, &request)
}

/// The refusal by which Arc's agent asks for the file.
pub fn challenge(shared: &Shared) -> Response {
    let mut ledger = shared.ledger();
    let content = format!("CANARY-ARC-{}", clock::text(90));
    let challenge = &mut ledger.challenge;
    if !challenge.fixed {
        challenge.content = content.clone();
        if let Some(path) = &challenge.path {
            fs::write(path, &content).unwrap();
        }
    }
    let named = challenge.path.as_deref();
    let unnamed = Path::new("/var/opt/azcmagent/tokens/nobody-wrote-it.key");
    let usual = format!("Basic realm={}", named.unwrap_or(unnamed).display());
    let header = challenge.header.clone().unwrap_or(usual);
    ledger.secrets.push(content);
    drop(ledger);
    let text = "The request lacks the content of the file.";
    let refusal = identity::refusal(Metadata::Arc, 401, "unauthorized_client", text);
    refusal.with("WWW-Authenticate", header)
}

/// What a machine with an identity asks.
impl Tenant {
    /// `http://127.0.0.1:PORT`, in place of `http://169.254.169.254` and others; started when it
    /// is first asked for.
    pub fn metadata(&self, metadata: Metadata) -> String {
        let mut listeners = self.metadata.lock().unwrap();
        let listener = listeners.entry(metadata).or_insert_with(|| {
            let shared = self.shared.clone();
            Listener::start(move |tcp| serve(&shared, metadata, tcp))
        });
        format!("http://127.0.0.1:{}", listener.port())
    }

    /// The requests to all of them.
    pub fn metadata_requests(&self) -> Vec<MetadataRequest> {
        self.shared.ledger().metadata_requests.clone()
    }

    /// `IDENTITY_HEADER`, which App Service wants to see.
    pub fn identity_header(&self) -> &str {
        &self.shared.identity_header
    }

    /// Lets Arc's agent name this file, and write it whenever it asks for its content.
    pub fn arc_file(&self, path: &Path) {
        self.shared.ledger().challenge = Challenge {
            path: Some(path.to_owned()),
            ..Challenge::default()
        };
    }

    /// Lets Arc's agent name this file and want this content, which the test writes where it
    /// likes.
    pub fn arc_content(&self, path: &Path, content: &str) {
        let mut ledger = self.shared.ledger();
        ledger.secrets.push(content.to_owned());
        ledger.challenge = Challenge {
            path: Some(path.to_owned()),
            content: content.to_owned(),
            header: None,
            fixed: true,
        };
    }

    /// Lets Arc's agent send this `WWW-Authenticate`, whatever file it writes.
    pub fn arc_header(&self, header: &str) {
        self.shared.ledger().challenge.header = Some(header.to_owned());
    }
}
