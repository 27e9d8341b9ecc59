//! Parts of the way to a server, each tried by itself and for its own sake.
//!
//! Edge: it speaks to the network, by way of `connect` and `wire`.

use super::broken::{Broken, Context};
use super::session::server_name;
use super::wire::{Clock, Wire};
use super::{Limits, Server, connect};
use crate::outcome::{Failure, Stage};
use crate::sys::tls::{Secured, Tls};
use rustls::ClientConnection;
use std::net::{IpAddr, SocketAddr};

/// The addresses of a name, each once, in the resolver's order.
pub fn addresses(host: &str, port: u16, limits: &Limits) -> Result<Vec<IpAddr>, Failure> {
    let mut found: Vec<IpAddr> = Vec::new();
    for address in connect::resolve(host, port, limits)? {
        if !found.contains(&address.ip()) {
            found.push(address.ip());
        }
    }
    Ok(found)
}

/// Connects to a server that begins with TLS, and ends the connection without having said anything
/// in it. Answers with whom it met and what TLS has agreed on.
pub fn handshake(
    server: &Server,
    tls: &Tls,
    limits: &Limits,
) -> Result<(Option<SocketAddr>, Option<Secured>), Failure> {
    let name = server_name(&server.host)?;
    let tcp = connect::connect(server, limits)?;
    let failed = |broken: Broken| {
        let context = Context {
            host: &server.host,
            port: server.port,
            issuer: tls.refused_issuer(),
            secret: "",
        };
        broken.failure(Stage::Tls, &context)
    };
    let mut wire = Wire::new(tcp, limits).map_err(|error| failed(Broken::Io(error)))?;
    let connection = ClientConnection::new(tls.config(), name);
    let connection = connection.map_err(|error| failed(Broken::Tls(error)))?;
    let mut clock = Clock::stage(limits.tls);
    wire.secure(connection, b"", &mut clock).map_err(failed)?;
    let met = (wire.peer(), wire.secured());
    wire.close();
    Ok(met)
}
