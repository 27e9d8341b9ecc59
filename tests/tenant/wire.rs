//! A connection as the server sees it: clear, then TLS; counted below TLS; able to misbehave.

use super::faults::Act;
use super::transcript::{Connection, Direction};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

const TICK: Duration = Duration::from_millis(50);
/// No stall and no wait for a client is longer.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long a server waits for more of a flight before it answers commands that may be pipelined.
const GATHER: Duration = Duration::from_millis(8);
const LINGER: Duration = Duration::from_millis(500);
const ENDLESS_OCTETS: usize = 400 << 20;

/// TCP with a transcript, that can be stopped from outside.
struct Socket {
    tcp: TcpStream,
    /// Octets that were peeked and handed on, but are still in the kernel's buffer: closing now
    /// makes the kernel send a reset, which std has no other way to ask for.
    owed: usize,
    patience: Duration,
    stop: Arc<AtomicBool>,
    log: Arc<Mutex<Connection>>,
    handshake: bool,
}

impl Socket {
    fn settle(&mut self) -> io::Result<()> {
        let mut scratch = [0; 4096];
        while self.owed > 0 {
            let most = self.owed.min(scratch.len());
            self.owed -= self.tcp.read(&mut scratch[..most])?;
        }
        Ok(())
    }

    /// Tries until it works, patience ends or the tenant does.
    fn wait<T>(&self, mut attempt: impl FnMut(&TcpStream) -> io::Result<T>) -> io::Result<T> {
        let until = Instant::now() + self.patience;
        loop {
            match attempt(&self.tcp) {
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    if self.stop.load(Ordering::Relaxed) || Instant::now() >= until {
                        return Err(ErrorKind::TimedOut.into());
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                done => return done,
            }
        }
    }
}

impl Read for Socket {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.settle()?;
        self.tcp.set_read_timeout(Some(self.patience.min(TICK)))?;
        let count = self.wait(|tcp| tcp.peek(into))?;
        self.owed = count;
        if count > 0 {
            let mut log = self.log.lock().unwrap();
            if log.passed(Direction::Client, count) && self.handshake {
                log.add(Direction::Client, count, "(TLS handshake)");
            }
        }
        Ok(count)
    }
}

impl Write for Socket {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let count = self.wait(|mut tcp| tcp.write(octets))?;
        let mut log = self.log.lock().unwrap();
        if log.passed(Direction::Server, count) && self.handshake {
            log.add(Direction::Server, count, "(TLS handshake)");
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

enum Stream {
    Clear(Socket),
    Sealed(Box<StreamOwned<ServerConnection, Socket>>),
    Gone,
}

/// The server's end of a connection.
pub struct Wire {
    stream: Stream,
    buffer: Vec<u8>,
    log: Arc<Mutex<Connection>>,
}

impl Wire {
    /// A new connection, in clear.
    pub fn new(tcp: TcpStream, log: Arc<Mutex<Connection>>, stop: Arc<AtomicBool>) -> Wire {
        tcp.set_nodelay(true).unwrap();
        tcp.set_write_timeout(Some(TICK)).unwrap();
        let socket = Socket {
            tcp,
            owed: 0,
            patience: PATIENCE,
            stop,
            log: log.clone(),
            handshake: false,
        };
        Wire {
            stream: Stream::Clear(socket),
            buffer: Vec::new(),
            log,
        }
    }

    /// The other end's address.
    pub fn peer(&mut self) -> String {
        self.socket()
            .and_then(|socket| socket.tcp.peer_addr())
            .map_or_else(|_| "unknown".to_owned(), |address| address.ip().to_string())
    }

    /// Puts TLS on top. What the client sent in clear and nobody read is lost.
    pub fn secure(&mut self, config: Arc<ServerConfig>) -> io::Result<()> {
        self.buffer.clear();
        let Stream::Clear(mut socket) = std::mem::replace(&mut self.stream, Stream::Gone) else {
            return Err(io::Error::other("TLS inside TLS"));
        };
        let mut tls = ServerConnection::new(config).map_err(io::Error::other)?;
        socket.handshake = true;
        while tls.is_handshaking() {
            if tls.complete_io(&mut socket)? == (0, 0) {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        socket.handshake = false;
        self.log.lock().unwrap().tls = true;
        self.stream = Stream::Sealed(Box::new(StreamOwned::new(tls, socket)));
        Ok(())
    }

    /// Whether octets lie here that were read together with earlier ones.
    pub fn holds_more(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// Whether the client has written more, waiting a moment for it.
    pub fn gathers_more(&mut self) -> bool {
        if self.buffer.is_empty() {
            let Ok(socket) = self.socket() else {
                return false;
            };
            socket.patience = GATHER;
            let _ = self.fill();
            if let Ok(socket) = self.socket() {
                socket.patience = PATIENCE;
            }
        }
        !self.buffer.is_empty()
    }

    /// Reads once more into the buffer; false at the end of the stream.
    pub fn fill(&mut self) -> io::Result<bool> {
        let mut chunk = [0; 16_384];
        let count = match &mut self.stream {
            Stream::Clear(socket) => socket.read(&mut chunk)?,
            Stream::Sealed(tls) => tls.read(&mut chunk)?,
            Stream::Gone => 0,
        };
        self.buffer.extend_from_slice(&chunk[..count]);
        Ok(count > 0)
    }

    /// The octets up to and without `end`; none when the stream ends or `limit` is passed first.
    pub fn up_to(&mut self, end: &[u8], limit: usize) -> io::Result<Option<Vec<u8>>> {
        let mut from = 0;
        loop {
            let window = &self.buffer[from..];
            if let Some(at) = window.windows(end.len()).position(|octets| octets == end) {
                let mut found: Vec<u8> = self.buffer.drain(..from + at + end.len()).collect();
                found.truncate(found.len() - end.len());
                return Ok(Some(found));
            }
            from = self.buffer.len().saturating_sub(end.len() - 1);
            if from > limit || !self.fill()? {
                return Ok(None);
            }
        }
    }

    /// A message up to CR LF dot CR LF, dots not undone; none when the stream ends first.
    pub fn message(&mut self, limit: usize) -> io::Result<Option<Vec<u8>>> {
        while self.buffer.len() < 3 {
            if !self.fill()? {
                return Ok(None);
            }
        }
        if self.buffer.starts_with(b".\r\n") {
            self.buffer.drain(..3);
            return Ok(Some(Vec::new()));
        }
        let message = self.up_to(b"\r\n.\r\n", limit)?;
        Ok(message.map(|mut octets| {
            octets.extend(b"\r\n");
            octets
        }))
    }

    /// Exactly so many octets; none when the stream ends first.
    pub fn exactly(&mut self, count: usize) -> io::Result<Option<Vec<u8>>> {
        while self.buffer.len() < count {
            if !self.fill()? {
                return Ok(None);
            }
        }
        Ok(Some(self.buffer.drain(..count).collect()))
    }

    /// All that lies here, after waiting for some; empty at the end of the stream.
    pub fn some(&mut self) -> io::Result<Vec<u8>> {
        if self.buffer.is_empty() {
            self.fill()?;
        }
        Ok(std::mem::take(&mut self.buffer))
    }

    /// Writes and sends.
    pub fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        match &mut self.stream {
            Stream::Clear(socket) => socket.write_all(octets),
            Stream::Sealed(tls) => tls.write_all(octets).and_then(|()| tls.flush()),
            Stream::Gone => Err(ErrorKind::NotConnected.into()),
        }
    }

    /// Writes octet by octet.
    pub fn write_slowly(&mut self, octets: &[u8], pause: Duration) -> io::Result<()> {
        for octet in octets {
            self.write(&[*octet])?;
            self.sleep(pause)?;
        }
        Ok(())
    }

    /// Writes the same again and again, until the client leaves.
    pub fn write_endlessly(&mut self, octets: &[u8], most: usize) -> io::Result<()> {
        let chunk = octets.repeat(1 + 16_000 / octets.len());
        let mut written = 0;
        while written < most {
            self.write(&chunk)?;
            written += chunk.len();
        }
        Ok(())
    }

    /// Keeps silent until the client leaves.
    pub fn stall(&mut self) {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            self.buffer.clear();
            if !self.fill().unwrap_or(false) {
                return;
            }
        }
    }

    /// Reads nothing more while the client writes.
    pub fn stop_reading(&mut self) {
        let _ = self.sleep(PATIENCE);
        self.reset();
    }

    /// Ends the connection with a TCP reset.
    pub fn reset(&mut self) {
        self.stream = Stream::Gone;
    }

    /// Ends the connection without a word of TLS, but lets all arrive that was written.
    pub fn close(&mut self) {
        if let Ok(socket) = self.socket() {
            let _ = socket.settle();
            let _ = socket.tcp.shutdown(Shutdown::Write);
            socket.patience = LINGER;
            let mut scratch = [0; 4096];
            let until = Instant::now() + LINGER;
            while Instant::now() < until && socket.read(&mut scratch).is_ok_and(|count| count > 0) {
            }
            let _ = socket.settle();
        }
        self.stream = Stream::Gone;
    }

    /// Ends the connection as it should be.
    pub fn finish(&mut self) {
        if let Stream::Sealed(tls) = &mut self.stream {
            tls.conn.send_close_notify();
            let _ = tls.flush();
        }
        self.close();
    }

    /// Misbehaves as told, where `right` would have been the answer; false when the connection ended.
    pub fn misbehave(&mut self, act: &Act, right: &[u8]) -> io::Result<bool> {
        match act {
            Act::Reply(octets) => self.write(octets)?,
            Act::ReplyThenClose(octets) => {
                self.write(octets)?;
                self.finish();
            }
            Act::Stall => self.stall(),
            Act::Close => self.close(),
            Act::Reset => self.reset(),
            Act::Garbage => {
                self.write(b"\x16\x03\x01\x00\xa5HTTP/1.1 400 Bad\x00\xff\xfe\r\n\r\n")?
            }
            Act::EndlessLine => self.write_endlessly(b"250-x", ENDLESS_OCTETS)?,
            Act::EndlessReply => self.write_endlessly(b"250-x\r\n", ENDLESS_OCTETS)?,
            Act::Slowly(pause) => self.write_slowly(right, *pause)?,
        }
        let goes_on = matches!(act, Act::Reply(_) | Act::Garbage | Act::Slowly(_));
        if !goes_on {
            self.close();
        }
        Ok(goes_on)
    }

    fn sleep(&mut self, pause: Duration) -> io::Result<()> {
        let until = Instant::now() + pause;
        let stop = self.socket()?.stop.clone();
        while let left = until.saturating_duration_since(Instant::now())
            && !left.is_zero()
        {
            if stop.load(Ordering::Relaxed) {
                return Err(ErrorKind::TimedOut.into());
            }
            thread::sleep(left.min(TICK));
        }
        Ok(())
    }

    fn socket(&mut self) -> io::Result<&mut Socket> {
        match &mut self.stream {
            Stream::Clear(socket) => Ok(socket),
            Stream::Sealed(tls) => Ok(&mut tls.sock),
            Stream::Gone => Err(ErrorKind::NotConnected.into()),
        }
    }
}
