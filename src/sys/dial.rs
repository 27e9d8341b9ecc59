//! From a name to a connection: the resolver asked, all addresses raced, and no wait without an end.
#![expect(clippy::disallowed_methods, reason = "edge: opens connections")]

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// What an address gets before the next one is tried beside it.
pub const HEAD_START: Duration = Duration::from_millis(300);

/// More addresses than a race can try in its time.
const ADDRESSES_MAX: usize = 16;

/// The longest wait between two looks at whether somebody asked for the end.
const SLICE: Duration = Duration::from_secs(1);

/// Longer than anybody waits, and still a time that can be added to any other.
const LIMIT_MAX: Duration = Duration::from_secs(86_400);

/// How long something may last as a whole, and who may end it before.
#[derive(Clone, Copy)]
pub struct Until<'a> {
    pub limit: Duration,
    pub interrupted: &'a dyn Fn() -> bool,
}

impl Until<'_> {
    fn end(&self) -> Instant {
        Instant::now() + self.limit.min(LIMIT_MAX)
    }

    /// What is left of the time, unless it is over.
    fn left(&self, end: Instant) -> Option<Duration> {
        let left = end.saturating_duration_since(Instant::now());
        (left >= Duration::from_millis(1) && !(self.interrupted)()).then_some(left)
    }
}

/// Asks the resolver in a thread that is left alone when it does not answer.
pub fn resolve(host: &str, port: u16, until: Until<'_>) -> io::Result<Vec<SocketAddr>> {
    let (sender, receiver) = mpsc::channel();
    let name = host.to_owned();
    thread::Builder::new()
        .name("dns".to_owned())
        .spawn(move || {
            let answer = (name.as_str(), port).to_socket_addrs();
            let _ = sender.send(answer.map(Iterator::collect::<Vec<_>>));
        })?;
    let end = until.end();
    while let Some(left) = until.left(end) {
        match receiver.recv_timeout(left.min(SLICE)) {
            Ok(Ok(addresses)) if addresses.is_empty() => {
                return Err(io::Error::other("it has no address"));
            }
            Ok(answer) => return answer,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    Err(io::Error::new(
        ErrorKind::TimedOut,
        "the resolver did not answer",
    ))
}

/// IPv6 first, then by turns, each family in the resolver's order (RFC 8305 section 4).
pub fn order(addresses: impl IntoIterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let addresses = addresses.into_iter();
    let (six, four): (Vec<_>, Vec<_>) = addresses.partition(SocketAddr::is_ipv6);
    let (mut six, mut four) = (six.into_iter(), four.into_iter());
    let mut ordered = Vec::new();
    while ordered.len() < ADDRESSES_MAX {
        let pair = [six.next(), four.next()];
        if pair == [None, None] {
            break;
        }
        ordered.extend(pair.into_iter().flatten());
    }
    ordered
}

/// The first address that answers wins; a refusal starts the next at once, silence soon after.
pub fn race(
    addresses: &[SocketAddr],
    head_start: Duration,
    until: Until<'_>,
) -> io::Result<TcpStream> {
    let late = || io::Error::new(ErrorKind::TimedOut, "no address answered in time");
    let end = until.end();
    let (sender, receiver) = mpsc::channel();
    let mut waiting = addresses.iter();
    let mut running = 0_usize;
    let mut last = late();
    while let Some(left) = until.left(end) {
        if let Some(&address) = waiting.next() {
            match start(address, left, sender.clone()) {
                Ok(()) => running += 1,
                Err(error) => last = error,
            }
        }
        if running == 0 {
            if waiting.len() == 0 {
                return Err(last);
            }
            continue;
        }
        let patience = match waiting.len() {
            0 => left.min(SLICE),
            _ => left.min(head_start),
        };
        match receiver.recv_timeout(patience) {
            Ok(Ok(tcp)) => return Ok(tcp),
            Ok(Err(error)) => {
                running -= 1;
                last = error;
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
        }
        if running == 0 && waiting.len() == 0 {
            return Err(last);
        }
    }
    Err(late())
}

fn start(
    address: SocketAddr,
    limit: Duration,
    sender: mpsc::Sender<io::Result<TcpStream>>,
) -> io::Result<()> {
    let attempt = move || {
        // The race may be over: then nobody takes the connection and it closes.
        let _ = sender.send(TcpStream::connect_timeout(&address, limit));
    };
    thread::Builder::new()
        .name("connect".to_owned())
        .spawn(attempt)?;
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::os::fd::AsRawFd;

    const NOBODY: &dyn Fn() -> bool = &|| false;

    /// Says nothing to anybody who connects, as an address that no packet reaches; as long as what
    /// comes with it is kept.
    #[expect(unsafe_code, reason = "libc call")]
    pub(crate) fn deaf() -> (SocketAddr, impl Sized) {
        let (listener, address) = listener();
        // SAFETY: a plain system call on a descriptor that is open.
        assert_eq!(unsafe { libc::listen(listener.as_raw_fd(), 0) }, 0);
        // There is room for one who is not waited upon, and none for the next.
        let first = TcpStream::connect(address).unwrap();
        (address, (listener, first))
    }

    fn until(limit: Duration) -> Until<'static> {
        Until {
            limit,
            interrupted: NOBODY,
        }
    }

    fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    #[test]
    fn ipv6_goes_first_and_the_families_take_turns() {
        let parse = |text: &str| text.parse::<SocketAddr>().unwrap();
        let four = [
            parse("192.0.2.1:1"),
            parse("192.0.2.2:1"),
            parse("192.0.2.3:1"),
        ];
        let six = parse("[2001:db8::1]:1");
        assert_eq!(
            order([four[0], four[1], six, four[2]]),
            [six, four[0], four[1], four[2]]
        );
        assert!(order([four[0]; 99]).len() <= ADDRESSES_MAX + 1);
    }

    #[test]
    fn a_refused_address_gives_way_to_the_next() {
        let (_listener, good) = listener();
        let (closed, refusing) = listener();
        drop(closed);
        let patient = until(Duration::from_secs(5));
        let tcp = race(&[refusing, refusing, good], HEAD_START, patient).unwrap();
        assert_eq!(tcp.peer_addr().unwrap(), good);
    }

    #[test]
    fn addresses_that_say_nothing_keep_nobody_waiting() {
        let ((silent, _kept), (_listener, good)) = (deaf(), listener());
        let mut addresses = vec![silent; 8];
        addresses.push(good);
        let head_start = Duration::from_millis(20);
        let tcp = race(&addresses, head_start, until(Duration::from_secs(60))).unwrap();
        assert_eq!(tcp.peer_addr().unwrap(), good);
        let alone = race(&[silent], head_start, until(Duration::from_millis(200)));
        assert_eq!(alone.unwrap_err().kind(), ErrorKind::TimedOut);
    }

    #[test]
    fn a_race_ends_with_its_time() {
        let nobody = ["192.0.2.1:9".parse().unwrap()];
        assert!(race(&nobody, HEAD_START, until(Duration::from_millis(30))).is_err());
        let ended = Until {
            limit: Duration::MAX,
            interrupted: &|| true,
        };
        let error = race(&nobody, HEAD_START, ended).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        let error = resolve("localhost", 9, ended).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }
}
