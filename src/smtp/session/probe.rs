//! What a server has told of itself, for people who look why mail does not leave.

use super::Session;
use crate::sys::tls::Secured;
use std::net::SocketAddr;

/// A server as it has introduced itself inside TLS; text from outside.
#[derive(Debug, Clone)]
pub struct Introduction {
    /// The name in its reply to EHLO.
    pub name: String,
    /// The mechanisms of AUTH, in upper case.
    pub mechanisms: Vec<String>,
    /// Most octets of a message; none if it names no limit.
    pub size_max: Option<u64>,
    /// Whether it offers the one mechanism that is used.
    pub xoauth2: bool,
    pub secured: Option<Secured>,
    /// Its address, or that of the proxy on the way.
    pub peer: Option<SocketAddr>,
}

impl Session {
    /// What the server has told of itself.
    pub fn introduction(&self) -> Introduction {
        Introduction {
            name: self.offers.name.clone(),
            mechanisms: self.offers.mechanisms.clone(),
            size_max: self.offered().size_max,
            xoauth2: self.offers.xoauth2(),
            secured: self.wire.secured(),
            peer: self.wire.peer(),
        }
    }
}
