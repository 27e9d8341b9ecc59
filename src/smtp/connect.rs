//! From a name to a connection: addresses, raced, by way of a proxy if one is set.

use super::wire::{Clock, SLICE};
use super::{Limits, Server, interrupted};
use crate::outcome::{Class, Failure, Fate, Stage, printable};
use crate::sys::dial::{self, Until};
use crate::sys::file::error_name;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

/// Connects to the server, or to the proxy and through it.
pub(crate) fn connect(server: &Server, limits: &Limits) -> Result<TcpStream, Failure> {
    connected(server, limits).map_err(|failure| match failure.fate() {
        Fate::Defer if limits.interrupted() => {
            interrupted(failure.stage().unwrap_or(Stage::Connect))
        }
        _ => failure,
    })
}

fn connected(server: &Server, limits: &Limits) -> Result<TcpStream, Failure> {
    let (host, port) = match &server.proxy {
        Some((host, port)) => (host, *port),
        None => (&server.host, server.port),
    };
    let addresses = dial::order(resolve(host, port, limits)?);
    let interrupted = || limits.interrupted();
    let until = Until {
        limit: limits.connect,
        interrupted: &interrupted,
    };
    let mut tcp = dial::race(&addresses, limits.head_start, until).map_err(|error| {
        let err = match error.kind() {
            ErrorKind::TimedOut => "ETIMEDOUT".to_owned(),
            _ => error_name(&error),
        };
        let cure = lack(&error).map_or_else(
            || {
                format!(
                    "check that this host's network and firewall let it reach {host}:{port}, then \
                     try again"
                )
            },
            str::to_owned,
        );
        Failure::defer(format!("cannot connect to {host}:{port}"))
            .because(error)
            .fix(cure)
            .with_err(err)
            .at(Stage::Connect)
    })?;
    if server.proxy.is_some() {
        tunnel(&mut tcp, server, limits)?;
    }
    Ok(tcp)
}

/// The cure where this process or host lacks something and the network is blameless.
fn lack(error: &io::Error) -> Option<&'static str> {
    const LACKS: [&str; 5] = ["EAGAIN", "EMFILE", "ENFILE", "ENOMEM", "ENOBUFS"];
    let lacks = LACKS.contains(&error_name(error).as_str());
    lacks.then_some("raise the limits that the caller has set (ulimit -n, -u, -v), or free memory")
}

/// The addresses of a name.
pub(crate) fn resolve(host: &str, port: u16, limits: &Limits) -> Result<Vec<SocketAddr>, Failure> {
    let interrupted = || limits.interrupted();
    let until = Until {
        limit: limits.dns,
        interrupted: &interrupted,
    };
    dial::resolve(host, port, until).map_err(|error| {
        Failure::defer(format!("cannot find the address of {host}"))
            .because(&error)
            .fix(
                lack(&error).unwrap_or(
                    "check [smtp] host, /etc/resolv.conf and the network, then try again",
                ),
            )
            .with_err(resolver_error(&error))
            .at(Stage::Dns)
    })
}

/// The C library's errors come as text only; glibc and musl say it differently.
fn resolver_error(error: &io::Error) -> String {
    let text = error.to_string();
    let says = |parts: &[&str]| parts.iter().any(|part| text.contains(part));
    if error.kind() == ErrorKind::TimedOut {
        "timeout".to_owned()
    } else if says(&["not known", "does not resolve", "No address", "no address"]) {
        "NXDOMAIN".to_owned()
    } else if says(&["Temporary failure", "Try again"]) {
        "EAI_AGAIN".to_owned()
    } else {
        error_name(error)
    }
}

/// Asks the proxy for a way to the server (RFC 9110 section 9.3.6).
fn tunnel(tcp: &mut TcpStream, server: &Server, limits: &Limits) -> Result<(), Failure> {
    let target = match server.host.contains(':') {
        true => format!("[{}]:{}", server.host, server.port),
        false => format!("{}:{}", server.host, server.port),
    };
    let failed = |why: String| {
        Failure::defer(format!("the proxy gives no way to {target}"))
            .because(why)
            .fix("check [endpoint] proxy, and that the proxy lets this host reach the server")
            .at(Stage::Connect)
    };
    if !target.bytes().all(|octet| octet.is_ascii_graphic()) {
        return Err(
            Failure::new(Class::Config, format!("\"{target}\" is not a server"))
                .because("it holds more than a name and a port")
                .fix("correct [smtp] host")
                .at(Stage::Connect),
        );
    }
    let request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n");
    let clock = Clock::stage(limits.connect);
    let answer = tcp
        .set_write_timeout(Some(limits.connect))
        .and_then(|()| tcp.write_all(request.as_bytes()))
        .and_then(|()| header(tcp, &clock, limits))
        .map_err(|error| failed(error.to_string()).with_err(error_name(&error)))?;
    let status = answer
        .split(|&octet| octet == b'\n')
        .next()
        .unwrap_or_default();
    let status = printable(status.trim_ascii_end());
    let code = status.split(' ').nth(1).unwrap_or_default();
    match (status.starts_with("HTTP/1."), code.as_bytes()) {
        (true, [b'2', _, _]) => Ok(()),
        (true, _) => Err(failed(format!("it said: {status}")).with_code(code)),
        _ => Err(failed(format!("this is not HTTP: {status}")).with_reason("garbage")),
    }
}

/// Reads octet by octet: what follows the header is the server's greeting.
fn header(tcp: &mut TcpStream, clock: &Clock, limits: &Limits) -> io::Result<Vec<u8>> {
    const HEADER_MAX: usize = 8 * 1024;
    let mut header = Vec::new();
    while !header.ends_with(b"\r\n\r\n") && !header.ends_with(b"\n\n") {
        let late = || io::Error::new(ErrorKind::TimedOut, "the proxy did not answer in time");
        let left = clock.left().filter(|_| !limits.interrupted());
        tcp.set_read_timeout(Some(left.ok_or_else(late)?.min(SLICE)))?;
        let mut octet = [0];
        match tcp.read(&mut octet) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(_) => header.extend_from_slice(&octet),
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) => return Err(error),
        }
        if header.len() > HEADER_MAX {
            return Err(io::Error::other("the proxy's answer has no end"));
        }
    }
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::thread;
    use std::time::Duration;

    fn limits() -> Limits {
        Limits {
            connect: Duration::from_secs(5),
            head_start: Duration::from_millis(20),
            ..Limits::default()
        }
    }

    fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    fn refusing() -> SocketAddr {
        let (closed, address) = listener();
        drop(closed);
        address
    }

    fn server(host: &str, port: u16, proxy: Option<(String, u16)>) -> Server {
        Server {
            host: host.to_owned(),
            port,
            hello: "me.test".to_owned(),
            proxy,
        }
    }

    #[test]
    fn nobody_listening_is_a_failure_that_passes() {
        let port = refusing().port();
        let failure = connect(&server("127.0.0.1", port, None), &limits()).unwrap_err();
        assert_eq!(failure.stage(), Some(Stage::Connect));
        assert_eq!(failure.err(), Some("ECONNREFUSED"));
        assert_eq!(failure.class(), Class::TryAgain);
    }

    #[test]
    fn a_name_that_is_none_fails_at_dns() {
        let failure = connect(&server("no such name", 25, None), &limits()).unwrap_err();
        assert_eq!(failure.stage(), Some(Stage::Dns));
        assert_eq!(failure.class(), Class::TryAgain);
    }

    fn through(answer: &'static str) -> Result<Vec<u8>, Failure> {
        let (listener, address) = listener();
        let proxy = thread::spawn(move || {
            let (mut tcp, _) = listener.accept().unwrap();
            let clock = Clock::stage(Duration::from_secs(5));
            let request = header(&mut tcp, &clock, &Limits::default()).unwrap();
            tcp.write_all(answer.as_bytes()).unwrap();
            request
        });
        let proxied = server(
            "smtp.x.test",
            587,
            Some(("127.0.0.1".to_owned(), address.port())),
        );
        let tcp = connect(&proxied, &limits());
        let request = String::from_utf8(proxy.join().unwrap()).unwrap();
        assert!(
            request.starts_with("CONNECT smtp.x.test:587 HTTP/1.1\r\n"),
            "{request}"
        );
        let mut rest = Vec::new();
        tcp?.read_to_end(&mut rest).unwrap();
        Ok(rest)
    }

    #[test]
    fn a_greeting_right_behind_the_proxys_answer_is_not_lost() {
        let rest = through("HTTP/1.1 200 OK\r\nVia: x\r\n\r\n220 hi\r\n").unwrap();
        assert_eq!(rest, b"220 hi\r\n");
    }

    #[test]
    fn a_proxy_that_refuses_says_why() {
        let failure = through("HTTP/1.1 403 Forbidden\r\n\r\n").unwrap_err();
        assert_eq!(failure.code(), Some("403"));
        assert!(failure.why().unwrap().contains("403 Forbidden"));
        assert!(
            through("SSH-2.0-x\r\n\r\n")
                .unwrap_err()
                .why()
                .unwrap()
                .contains("not HTTP")
        );
    }

    #[test]
    fn what_this_process_lacks_is_not_the_networks_fault() {
        for (number, blamed) in [
            (11, true),
            (24, true),
            (12, true),
            (111, false),
            (113, false),
        ] {
            let error = io::Error::from_raw_os_error(number);
            assert_eq!(lack(&error).is_some(), blamed, "{error}");
        }
    }
}
