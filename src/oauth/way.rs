//! The way to a server that grants tokens: a resolver that is not waited for without end, and all
//! addresses raced. Microsoft has eight of each family, and where IPv6 leads nowhere the HTTP library
//! would spend all the time there is on the first eight.
#![expect(
    clippy::disallowed_methods,
    reason = "edge: measures what is left of a wait"
)]

use crate::sys::dial::{self, HEAD_START, Until};
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectProxyConnector, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout,
    RustlsConnector, Transport,
};

/// An agent that goes this way.
pub(super) fn agent(config: Config) -> ureq::Agent {
    agent_with(config, Names)
}

fn agent_with(config: Config, resolver: impl Resolver) -> ureq::Agent {
    let connector =
        ().chain(ConnectProxyConnector::default())
            .chain(Race)
            .chain(RustlsConnector::default());
    ureq::Agent::with_parts(config, connector, resolver)
}

/// Asks the resolver.
#[derive(Debug)]
struct Names;

impl Resolver for Names {
    fn resolve(
        &self,
        uri: &Uri,
        _: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let usual = match uri.scheme_str() {
            Some("http") => 80,
            _ => 443,
        };
        let port = uri.port_u16().unwrap_or(usual);
        let found = dial::resolve(host, port, until(timeout));
        let mut addresses = self.empty();
        for address in dial::order(found.map_err(|error| told(error, timeout))?) {
            if addresses.len() < ADDRESSES_MAX {
                addresses.push(address);
            }
        }
        Ok(addresses)
    }
}

/// What the library has room for.
const ADDRESSES_MAX: usize = 16;

/// Opens the connection, unless there is one by way of a proxy.
#[derive(Debug)]
struct Race;

impl<In: Transport> Connector<In> for Race {
    type Out = Either<In, Tcp>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        if let Some(tunnel) = chained {
            return Ok(Some(Either::A(tunnel)));
        }
        let raced = dial::race(&details.addrs, HEAD_START, until(details.timeout));
        let stream = raced.map_err(|error| told(error, details.timeout))?;
        stream.set_nodelay(true)?;
        let (input, output) = (
            details.config.input_buffer_size(),
            details.config.output_buffer_size(),
        );
        Ok(Some(Either::B(Tcp {
            stream,
            buffers: LazyBuffers::new(input, output),
        })))
    }
}

/// A connection as the library uses one.
#[derive(Debug)]
struct Tcp {
    stream: TcpStream,
    buffers: LazyBuffers,
}

impl Transport for Tcp {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let end = end(timeout.for_write());
        let mut rest = self.buffers.output().get(..amount).unwrap_or_default();
        while !rest.is_empty() {
            self.stream.set_write_timeout(Some(left(end, timeout)?))?;
            match self.stream.write(rest) {
                Ok(0) => return Err(io::Error::from(ErrorKind::WriteZero).into()),
                Ok(count) => rest = rest.get(count..).unwrap_or_default(),
                Err(error) if passes(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let end = end(timeout.for_read());
        loop {
            self.stream.set_read_timeout(Some(left(end, timeout)?))?;
            match self.stream.read(self.buffers.input_append_buf()) {
                Ok(count) => {
                    self.buffers.input_appended(count);
                    return Ok(count > 0);
                }
                Err(error) if passes(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// No connection is used for a second request.
    fn is_open(&mut self) -> bool {
        false
    }
}

/// More than any exchange is given, and short enough to be added to a time.
const LIMIT_MAX: Duration = Duration::from_secs(3600);

fn until(timeout: NextTimeout) -> Until<'static> {
    Until {
        limit: *timeout.after,
        interrupted: &|| false,
    }
}

fn end(timeout: NextTimeout) -> Instant {
    Instant::now() + LIMIT_MAX.min(*timeout.after)
}

fn left(end: Instant, timeout: NextTimeout) -> Result<Duration, Error> {
    let left = end.saturating_duration_since(Instant::now());
    match left.is_zero() {
        true => Err(Error::Timeout(timeout.reason)),
        false => Ok(left),
    }
}

fn passes(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}

/// A wait that ended with its time is told as such, not as an error of the system.
fn told(error: io::Error, timeout: NextTimeout) -> Error {
    match error.kind() {
        ErrorKind::TimedOut => Error::Timeout(timeout.reason),
        _ => Error::Io(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::dial::tests::deaf;
    use std::net::{SocketAddr, TcpListener};
    use std::thread;

    /// A resolver that knows these addresses, whatever the name.
    #[derive(Debug)]
    struct Always(Vec<SocketAddr>);

    impl Resolver for Always {
        fn resolve(
            &self,
            _: &Uri,
            _: &Config,
            _: NextTimeout,
        ) -> Result<ResolvedSocketAddrs, Error> {
            let mut addresses = self.empty();
            self.0.iter().for_each(|&address| addresses.push(address));
            Ok(addresses)
        }
    }

    fn config(limit: Duration) -> Config {
        let config = ureq::Agent::config_builder().timeout_global(Some(limit));
        config.proxy(None).build()
    }

    /// Answers one request.
    fn server() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let (mut tcp, _) = listener.accept().unwrap();
            let _ = tcp.read(&mut [0; 4096]);
            let _ = tcp.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
        });
        address
    }

    #[test]
    fn addresses_that_lead_nowhere_do_not_use_up_the_time() {
        let (silent, _kept) = deaf();
        let mut addresses = vec![silent; ADDRESSES_MAX - 1];
        addresses.push(server());
        let agent = agent_with(config(Duration::from_secs(30)), Always(addresses));
        let mut response = agent.get("http://login.test/").call().unwrap();
        assert_eq!(response.body_mut().read_to_string().unwrap(), "hi");
    }

    #[test]
    fn silence_and_refusal_are_told_apart() {
        let (silent, _kept) = deaf();
        let agent = agent_with(config(Duration::from_millis(200)), Always(vec![silent]));
        let late = agent.get("http://login.test/").call().unwrap_err();
        assert!(matches!(late, Error::Timeout(_)), "{late:?}");
        let closed = TcpListener::bind("127.0.0.1:0").unwrap();
        let refusing = closed.local_addr().unwrap();
        drop(closed);
        let agent = agent_with(config(Duration::from_secs(30)), Always(vec![refusing]));
        let refused = agent.get("http://login.test/").call().unwrap_err();
        let Error::Io(error) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    }

    #[test]
    fn a_server_by_its_address_is_found_in_either_family() {
        let found = |uri: &'static str| {
            let timeout = NextTimeout::default();
            let found = Names.resolve(&Uri::from_static(uri), &config(Duration::MAX), timeout);
            found.unwrap().to_vec()
        };
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        assert_eq!(found("https://[::1]/token"), [address("[::1]:443")]);
        assert_eq!(found("http://127.0.0.1:8080"), [address("127.0.0.1:8080")]);
        assert_eq!(found("http://127.0.0.1/"), [address("127.0.0.1:80")]);
    }
}
