//! The stream, plain and then TLS, with a clock on every wait.
#![expect(clippy::disallowed_methods, reason = "edge: measures each stage")]

use super::Limits;
use super::broken::Broken;
use super::reply::{Framer, Reply};
use crate::sys::signal::Signals;
use crate::sys::tls::Secured;
use rustls::ClientConnection;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// The longest wait between two looks at whether a signal came: one may come right before a wait.
pub(crate) const SLICE: Duration = Duration::from_secs(1);

/// Longer than any wait of one slice takes on a host that is merely busy.
const STANDSTILL: Duration = Duration::from_secs(5);

/// The time a stage has left.
pub(crate) struct Clock {
    end: Instant,
    /// Starts anew with every octet that leaves.
    pause: Option<Duration>,
    /// It was cut short once, which is enough.
    hurried: bool,
    /// When it was last looked at before a wait, and how often.
    looked: Instant,
    looks: u64,
    limit: Duration,
}

impl Clock {
    /// For a stage as a whole.
    pub(crate) fn stage(limit: Duration) -> Clock {
        Clock {
            end: Instant::now() + limit,
            pause: None,
            hurried: false,
            looked: Instant::now(),
            looks: 0,
            limit,
        }
    }

    /// For as long as something moves at least every `limit`.
    pub(crate) fn pause(limit: Duration) -> Clock {
        Clock {
            pause: Some(limit),
            ..Clock::stage(limit)
        }
    }

    /// What is left, unless it is nothing.
    pub(crate) fn left(&self) -> Option<Duration> {
        let left = self.end.checked_duration_since(Instant::now())?;
        (left >= Duration::from_millis(1)).then_some(left)
    }

    fn hurry(&mut self, grace: Duration) {
        if !self.hurried {
            self.end = self.end.min(Instant::now() + grace);
            self.hurried = true;
        }
    }

    /// Whether more time has passed since the last look than a wait between two can take: then this
    /// process stood still, frozen or starved, and what was late is not the server.
    fn stood_still(&mut self) -> bool {
        let now = Instant::now();
        let last = std::mem::replace(&mut self.looked, now);
        self.looks = self.looks.saturating_add(1);
        now.duration_since(last) > STANDSTILL
    }

    /// Whether the time went by with far fewer looks than it has slices: many short standstills are
    /// one long one.
    fn starved(&self) -> bool {
        self.looks.saturating_mul(2) < self.limit.as_secs() / SLICE.as_secs()
    }

    fn progress(&mut self) {
        if let Some(limit) = self.pause {
            *self = Clock::pause(limit);
        }
    }
}

/// One connection; replies come out of it whole.
pub(crate) struct Wire {
    tcp: TcpStream,
    tls: Option<Box<ClientConnection>>,
    framer: Framer,
    signals: Option<Signals>,
    /// How long to go on waiting after a signal, once the message has left.
    grace: Option<Duration>,
    /// What is left for all waits together, if they have a limit.
    patience: Option<Duration>,
}

/// What one look at the socket brought.
enum Pull {
    Octets,
    /// Part of a TLS record, or a record that holds no text.
    Nothing,
    Blocked,
}

impl Wire {
    /// Takes a connection over; small writes leave at once.
    pub(crate) fn new(tcp: TcpStream, limits: &Limits) -> io::Result<Wire> {
        tcp.set_nodelay(true)?;
        Ok(Wire {
            tcp,
            tls: None,
            framer: Framer::default(),
            signals: limits.signals,
            grace: None,
            patience: limits.patience,
        })
    }

    /// From now on a signal ends a wait at once, or only after so long.
    pub(crate) fn yield_to_signals(&mut self, grace: Option<Duration>) {
        self.grace = grace;
    }

    /// From now on all waits together may last so long; none ends the limit.
    pub(crate) fn be_patient_for(&mut self, patience: Option<Duration>) {
        self.patience = patience;
    }

    /// Counts a wait that brought nothing, or a reply.
    fn waited(&mut self, since: Instant) {
        if let Some(patience) = &mut self.patience {
            *patience = patience.saturating_sub(since.elapsed());
        }
    }

    /// Hands all of `octets` to the kernel, in one write if it takes them.
    ///
    /// Inside TLS an error means that the last record did not leave whole, so the server cannot
    /// read any of it.
    pub(crate) fn send(&mut self, octets: &[u8], clock: &mut Clock) -> Result<(), Broken> {
        if let Some(tls) = &mut self.tls {
            tls.writer().write_all(octets).map_err(Broken::Io)?;
            return self.flush(clock);
        }
        let mut rest = octets;
        while !rest.is_empty() {
            let slice = self.slice(clock)?;
            self.tcp
                .set_write_timeout(Some(slice))
                .map_err(Broken::Io)?;
            let begun = Instant::now();
            match self.tcp.write(rest) {
                Ok(0) => return Err(Broken::Closed),
                Ok(count) => {
                    rest = rest.get(count..).unwrap_or_default();
                    clock.progress();
                }
                Err(error) if passes(&error) => self.waited(begun),
                Err(error) => return Err(Broken::Io(error)),
            }
        }
        Ok(())
    }

    fn flush(&mut self, clock: &mut Clock) -> Result<(), Broken> {
        while self.tls.as_ref().is_some_and(|tls| tls.wants_write()) {
            let slice = self.slice(clock)?;
            self.tcp
                .set_write_timeout(Some(slice))
                .map_err(Broken::Io)?;
            let Some(tls) = &mut self.tls else {
                return Ok(());
            };
            let begun = Instant::now();
            match tls.write_tls(&mut self.tcp) {
                Ok(0) => return Err(Broken::Closed),
                Ok(_) => clock.progress(),
                Err(error) if passes(&error) => self.waited(begun),
                Err(error) => return Err(Broken::Io(error)),
            }
        }
        Ok(())
    }

    /// How long to wait before the next look at the clock and at signals.
    fn slice(&self, clock: &mut Clock) -> Result<Duration, Broken> {
        self.look_back(clock);
        let interrupted = self
            .signals
            .is_some_and(|signals| signals.taken().is_some());
        match self.grace {
            None if interrupted => return Err(Broken::Signal),
            Some(grace) if interrupted => clock.hurry(grace),
            _ => {}
        }
        let patience = self.patience.unwrap_or(Duration::MAX);
        match clock.left() {
            Some(_) if patience < Duration::from_millis(1) => Err(Broken::Deadline),
            Some(left) => Ok(left.min(SLICE).min(patience)),
            None if interrupted => Err(Broken::Signal),
            None => {
                if let Some(signals) = self.signals.filter(|_| clock.starved()) {
                    signals.note_standstill();
                }
                Err(Broken::Deadline)
            }
        }
    }

    fn look_back(&self, clock: &mut Clock) {
        if let Some(signals) = self.signals
            && clock.stood_still()
        {
            signals.note_standstill();
        }
    }

    /// Waits for the next reply.
    pub(crate) fn receive(&mut self, clock: &mut Clock) -> Result<Reply, Broken> {
        loop {
            if let Some(reply) = self.framer.take().map_err(Broken::Garbage)? {
                return Ok(reply);
            }
            self.wait(clock)?;
        }
    }

    fn wait(&mut self, clock: &mut Clock) -> Result<(), Broken> {
        loop {
            // A key update is answered here, else nowhere.
            self.flush(clock)?;
            if let Pull::Octets = self.pull_within(clock)? {
                return Ok(());
            }
        }
    }

    /// Reads once, waiting for a slice at most.
    fn pull_within(&mut self, clock: &mut Clock) -> Result<Pull, Broken> {
        let slice = self.slice(clock)?;
        self.tcp.set_read_timeout(Some(slice)).map_err(Broken::Io)?;
        let begun = Instant::now();
        let pulled = self.pull();
        self.waited(begun);
        self.look_back(clock);
        pulled
    }

    /// Makes sure that no octet of the server waits: a reply that came before its command is
    /// nobody's, and would be taken for the answer to what is written next.
    pub(crate) fn quiet(&mut self) -> Result<(), Broken> {
        const LOOKS: usize = 16;
        if !self.framer.is_empty() {
            return Err(Broken::Surplus);
        }
        self.tcp.set_nonblocking(true).map_err(Broken::Io)?;
        let mut seen = Ok(());
        for _ in 0..LOOKS {
            match self.pull() {
                Ok(Pull::Nothing) => {}
                Ok(Pull::Blocked) => break,
                Ok(Pull::Octets) => {
                    seen = Err(Broken::Surplus);
                    break;
                }
                Err(error) => {
                    seen = Err(error);
                    break;
                }
            }
        }
        self.tcp.set_nonblocking(false).map_err(Broken::Io)?;
        seen
    }

    /// A reply that has already come, if any; used where the connection is lost anyway.
    pub(crate) fn last_words(&mut self) -> Option<Reply> {
        let _ = self.quiet();
        self.framer.take().ok().flatten()
    }

    /// Goes over to TLS; `first` leaves together with our last part of the handshake.
    pub(crate) fn secure(
        &mut self,
        mut connection: ClientConnection,
        first: &[u8],
        clock: &mut Clock,
    ) -> Result<(), Broken> {
        connection.set_buffer_limit(None);
        connection.writer().write_all(first).map_err(Broken::Io)?;
        self.tls = Some(Box::new(connection));
        loop {
            self.flush(clock)?;
            if !self.tls.as_ref().is_some_and(|tls| tls.is_handshaking()) {
                return Ok(());
            }
            self.pull_within(clock)?;
        }
    }

    /// What TLS has agreed on, once it has.
    pub(crate) fn secured(&self) -> Option<Secured> {
        self.tls.as_ref().and_then(|tls| Secured::of(tls))
    }

    /// Whom it goes to; the proxy, if there is one.
    pub(crate) fn peer(&self) -> Option<SocketAddr> {
        self.tcp.peer_addr().ok()
    }

    /// Version and cipher suite of TLS.
    pub(crate) fn tls_in_words(&self) -> String {
        let Some(tls) = &self.tls else {
            return "no TLS".to_owned();
        };
        let version = self.secured().map_or("TLS", |secured| secured.version);
        match tls.negotiated_cipher_suite() {
            Some(suite) => format!("{version}, {:?}", suite.suite()),
            None => version.to_owned(),
        }
    }

    /// Reads once, as the socket is set: waiting or not.
    fn pull(&mut self) -> Result<Pull, Broken> {
        let mut buffer = [0; 8 * 1024];
        let read = match &mut self.tls {
            None => self.tcp.read(&mut buffer),
            Some(tls) => {
                let text = tls.reader().read(&mut buffer);
                if !matches!(&text, Err(error) if error.kind() == ErrorKind::WouldBlock) {
                    text
                } else {
                    return pull_record(tls, &mut self.tcp);
                }
            }
        };
        match read {
            Ok(0) => Err(Broken::Closed),
            Ok(count) => {
                self.framer.push(buffer.get(..count).unwrap_or_default());
                Ok(Pull::Octets)
            }
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Err(Broken::Closed),
            Err(error) if passes(&error) => Ok(Pull::Blocked),
            Err(error) => Err(Broken::Io(error)),
        }
    }

    /// Ends the connection without another octet.
    pub(crate) fn cut(&mut self) {
        let _ = self.tcp.shutdown(Shutdown::Both);
    }

    /// Ends the TLS session in order, as far as that goes without waiting.
    pub(crate) fn close(mut self) {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
        }
        let _ = self.flush(&mut Clock::stage(Duration::from_millis(100)));
    }
}

/// Takes octets of TLS records in.
fn pull_record(tls: &mut ClientConnection, tcp: &mut TcpStream) -> Result<Pull, Broken> {
    match tls.read_tls(tcp) {
        // Text that came before the end is still to be read; after it the reader says so.
        Ok(0) if tls.is_handshaking() => return Err(Broken::Closed),
        Ok(_) => {}
        Err(error) if passes(&error) => return Ok(Pull::Blocked),
        Err(error) => return Err(Broken::Io(error)),
    }
    if let Err(error) = tls.process_new_packets() {
        // The server learns why from the alert that this writes.
        let _ = tls.write_tls(tcp);
        return Err(Broken::Tls(error));
    }
    Ok(Pull::Nothing)
}

/// Errors that only say "not yet".
fn passes(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_seldom_looked_at_is_that_of_a_process_that_stood_still() {
        let mut clock = Clock::stage(Duration::from_secs(30));
        assert!(clock.starved() && !clock.stood_still());
        for _ in 0..14 {
            assert!(!clock.stood_still());
        }
        assert!(!clock.starved());
        if let Some(long_ago) = Instant::now().checked_sub(STANDSTILL * 2) {
            clock.looked = long_ago;
            assert!(clock.stood_still() && !clock.stood_still());
        }
    }
}
