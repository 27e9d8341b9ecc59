//! The loopback port that a browser is sent back to after a sign-in (RFC 8252 section 7.3).
#![expect(
    clippy::disallowed_methods,
    reason = "edge: listens for the browser on loopback"
)]

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// Octets of a request's head at most; a code has about 1 KiB.
const HEAD_MAX: usize = 32 * 1024;

/// How long a browser may take for its request, and to take the answer.
const REQUEST_MAX: Duration = Duration::from_secs(5);

/// Connections that may be silent at the same time. Everybody on this host can reach the port, and
/// browsers themselves open one more than they use.
const OPEN_MAX: usize = 32;

/// A port that waits for a browser of this host.
pub struct Callback {
    listeners: Vec<TcpListener>,
    port: u16,
}

/// What the browser shows.
pub struct Page {
    /// Status of the answer.
    pub status: u16,
    pub title: String,
    /// Paragraphs, as text.
    pub text: Vec<String>,
}

/// A connection that has not said all of its request yet.
struct Caller {
    stream: TcpStream,
    head: Vec<u8>,
    since: Instant,
}

impl Callback {
    /// A free port of both loopback addresses: a browser may try either for `localhost`.
    pub fn open() -> io::Result<Callback> {
        const TRIES: u32 = 16;
        let mut opened = Callback::at(0);
        for _ in 1..TRIES {
            match &opened {
                Err(error) if error.kind() == ErrorKind::AddrInUse => opened = Callback::at(0),
                _ => break,
            }
        }
        opened
    }

    /// This port, or any for 0.
    ///
    /// One that somebody else has on the other address is not taken: he would get the browser's
    /// answer. Where there is no IPv6, nobody can have it.
    fn at(port: u16) -> io::Result<Callback> {
        let first = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let port = first.local_addr()?.port();
        let second = match TcpListener::bind((Ipv6Addr::LOCALHOST, port)) {
            Err(error) if error.kind() == ErrorKind::AddrInUse => return Err(error),
            second => second.ok(),
        };
        let listeners: Vec<TcpListener> = [Some(first), second].into_iter().flatten().collect();
        for listener in &listeners {
            listener.set_nonblocking(true)?;
        }
        Ok(Callback { listeners, port })
    }

    /// Its number.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address to be registered is `http://localhost`; the port is not compared.
    pub fn redirect_uri(&self) -> String {
        format!("http://localhost:{}/", self.port)
    }

    /// Answers requests until one brings an end, or the time is over; `tick` is called in between.
    ///
    /// `land` gets the query of a request for `/`.
    pub fn wait<T>(
        &self,
        time_max: Duration,
        mut tick: impl FnMut(Duration),
        mut land: impl FnMut(&str) -> (Option<T>, Page),
    ) -> Option<T> {
        const SLICE: Duration = Duration::from_millis(50);
        let deadline = Instant::now() + time_max;
        let mut callers = Vec::new();
        while Instant::now() < deadline {
            self.admit(&mut callers);
            let Some((stream, query)) = next_request(&mut callers) else {
                tick(deadline.saturating_duration_since(Instant::now()));
                std::thread::sleep(SLICE);
                continue;
            };
            let (ended, page) = match query {
                Some(query) => land(&query),
                None => (None, not_found()),
            };
            let _ = answer(stream, &page);
            if ended.is_some() {
                return ended;
            }
        }
        None
    }

    /// Takes who has connected; beyond the bound whoever has been silent for longest is dropped.
    fn admit(&self, callers: &mut Vec<Caller>) {
        let since = Instant::now();
        for listener in &self.listeners {
            for (stream, _) in std::iter::from_fn(|| listener.accept().ok()).take(OPEN_MAX) {
                if stream.set_nonblocking(true).is_ok() {
                    let head = Vec::new();
                    callers.push(Caller {
                        stream,
                        head,
                        since,
                    });
                }
            }
        }
        callers.retain_mut(Caller::listen);
        while callers.len() > OPEN_MAX {
            let Some(silent) = callers.iter().position(|caller| !caller.is_done()) else {
                break;
            };
            callers.remove(silent);
        }
    }
}

/// The first request that is whole, and its query if it is a GET for `/` with one.
fn next_request(callers: &mut Vec<Caller>) -> Option<(TcpStream, Option<String>)> {
    let place = callers.iter().position(Caller::is_done)?;
    let caller = callers.remove(place);
    let query = query(&String::from_utf8_lossy(&caller.head));
    Some((caller.stream, query))
}

impl Caller {
    /// Takes what has come; false where no request will be made of it.
    fn listen(&mut self) -> bool {
        let mut buffer = [0; 4096];
        loop {
            if self.is_done() {
                return true;
            }
            if self.head.len() > HEAD_MAX {
                return false;
            }
            match self.stream.read(&mut buffer) {
                Ok(0) => return false,
                Ok(count) => self
                    .head
                    .extend_from_slice(buffer.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return self.since.elapsed() < REQUEST_MAX;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
    }

    fn is_done(&self) -> bool {
        self.head.windows(4).any(|octets| octets == b"\r\n\r\n")
    }
}

fn not_found() -> Page {
    Page {
        status: 404,
        title: "Nothing here".to_owned(),
        text: Vec::new(),
    }
}

/// The query of a GET for `/`; none for any other request.
fn query(head: &str) -> Option<String> {
    let mut words = head.lines().next().unwrap_or_default().split(' ');
    let (method, target) = (words.next(), words.next().unwrap_or_default());
    let query = target.strip_prefix("/?");
    query.filter(|_| method == Some("GET")).map(str::to_owned)
}

fn answer(mut stream: TcpStream, page: &Page) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_write_timeout(Some(REQUEST_MAX))?;
    let body = html(page);
    let reason = if page.status == 200 { "OK" } else { "Not OK" };
    // The page needs nothing, and the address that holds the code is told to nobody.
    let head = format!(
        "HTTP/1.1 {} {reason}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\nX-Content-Type-Options: nosniff\r\n\
         Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'\r\nConnection: close\r\n\r\n",
        page.status,
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())?;
    stream.shutdown(Shutdown::Write)?;
    // Whatever the browser still says: a connection closed over unread octets loses the page. It
    // says it at once; one that goes on for ever is not waited for.
    let deadline = Instant::now() + Duration::from_millis(500);
    let mut buffer = [0; 4096];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        stream.set_read_timeout(Some(left))?;
        if stream.read(&mut buffer)? == 0 {
            return Ok(());
        }
    }
}

fn html(page: &Page) -> String {
    let title = escaped(&page.title);
    let text: String = page
        .text
        .iter()
        .map(|text| format!("<p>{}</p>\n", escaped(text)))
        .collect();
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>{title}</title>\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <style>body {{ font: 1.1em/1.5 sans-serif; max-width: 40em; margin: 3em auto; padding: 0 1em }}</style>\n\
         </head>\n<body>\n<h1>{title}</h1>\n{text}</body>\n</html>\n"
    )
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            char => escaped.push(char),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    const LONG: Duration = Duration::from_secs(60);

    fn page(title: &str) -> Page {
        Page {
            status: 200,
            title: title.to_owned(),
            text: vec!["a <b> & c".to_owned()],
        }
    }

    fn ask(port: u16, request: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn only_the_query_of_the_root_counts_and_the_page_is_answered_before_the_end() {
        let callback = Callback::open().unwrap();
        let port = callback.port();
        let (sender, answers) = channel();
        let browser = std::thread::spawn(move || {
            for request in [
                "GET /favicon.ico HTTP/1.1\r\n\r\n",
                "POST /?code=1 HTTP/1.1\r\n\r\n",
                "GET / HTTP/1.1\r\n\r\n",
                "GET /?code=1&state=x HTTP/1.1\r\nHost: localhost\r\n\r\n",
                "GET /?code=2 HTTP/1.1\r\n\r\n",
            ] {
                sender.send(ask(port, request)).unwrap();
            }
        });
        let mut seen = Vec::new();
        let ended = callback.wait(
            LONG,
            |_| (),
            |query| {
                seen.push(query.to_owned());
                (query.ends_with('2').then_some(7), page("Done <now>"))
            },
        );
        browser.join().unwrap();
        assert_eq!(ended, Some(7));
        assert_eq!(seen, ["code=1&state=x", "code=2"]);
        let answers: Vec<String> = answers.iter().collect();
        assert!(
            answers[..3]
                .iter()
                .all(|answer| answer.starts_with("HTTP/1.1 404 "))
        );
        assert!(answers[4].contains("<h1>Done &lt;now&gt;</h1>\n<p>a &lt;b&gt; &amp; c</p>"));
        assert!(answers[4].contains("Cache-Control: no-store"));
    }

    #[test]
    fn one_who_says_nothing_or_too_much_does_not_hold_the_port() {
        let callback = Callback::open().unwrap();
        let port = callback.port();
        let browser = std::thread::spawn(move || {
            drop(TcpStream::connect(("127.0.0.1", port)).unwrap());
            let mut flood = TcpStream::connect(("127.0.0.1", port)).unwrap();
            let _ = flood.write_all(&[b'x'; 2 * HEAD_MAX]);
            ask(port, "GET /?code HTTP/1.1\r\n\r\n")
        });
        let ended = callback.wait(LONG, |_| (), |_| (Some(()), page("x")));
        assert!(ended.is_some());
        browser.join().unwrap();
        assert!(
            callback
                .wait(Duration::ZERO, |_| (), |_| (Some(()), page("x")))
                .is_none()
        );
    }

    #[test]
    fn many_who_say_nothing_do_not_keep_the_browser_waiting() {
        let callback = Callback::open().unwrap();
        let port = callback.port();
        let silent: Vec<TcpStream> = (0..20)
            .map(|_| TcpStream::connect(("127.0.0.1", port)).unwrap())
            .collect();
        let browser =
            std::thread::spawn(move || ask(port, "GET /?code HTTP/1.1\r\nHost: x\r\n\r\n"));
        // One after the other they would have taken 5 seconds each.
        let time_max = REQUEST_MAX * 4;
        let ended = callback.wait(time_max, |_| (), |_| (Some(()), page("x")));
        assert!(ended.is_some());
        assert!(browser.join().unwrap().starts_with("HTTP/1.1 200 "));
        drop(silent);
    }

    /// A local user who gets his 404 and goes on, octet by octet.
    #[test]
    fn one_who_never_ends_does_not_outlast_the_time_to_sign_in() {
        let callback = Callback::open().unwrap();
        let port = callback.port();
        let endless = std::thread::spawn(move || {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
            stream.write_all(b"GET /x HTTP/1.1\r\n\r\n").unwrap();
            let mut octets = 0_u32;
            // Far beyond REQUEST_MAX, and not for ever.
            while octets < 300 && stream.write_all(b"x").is_ok() {
                octets += 1;
                std::thread::sleep(Duration::from_millis(100));
            }
            octets
        });
        let ended = callback.wait(Duration::from_secs(1), |_| (), |_| (Some(()), page("x")));
        assert!(ended.is_none());
        drop(callback);
        assert!(
            endless.join().unwrap() < 300,
            "it was listened to till its end"
        );
    }

    #[test]
    fn a_port_that_somebody_has_on_the_other_address_is_not_taken() {
        let Ok(other) = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) else {
            crate::sys::quiet::skipped("IPv6");
            return;
        };
        let port = other.local_addr().unwrap().port();
        let taken = Callback::at(port).err().map(|error| error.kind());
        assert_eq!(taken, Some(ErrorKind::AddrInUse));
    }
}
