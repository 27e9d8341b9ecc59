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

/// How long a browser may take for its request.
const REQUEST_MAX: Duration = Duration::from_secs(5);

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

impl Callback {
    /// A free port of both loopback addresses: a browser may try either for `localhost`.
    pub fn open() -> io::Result<Callback> {
        let first = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = first.local_addr()?.port();
        let second = TcpListener::bind((Ipv6Addr::LOCALHOST, port));
        let listeners: Vec<TcpListener> =
            [Some(first), second.ok()].into_iter().flatten().collect();
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
        while Instant::now() < deadline {
            let accepted = self.listeners.iter().find_map(|one| one.accept().ok());
            let Some((mut stream, _)) = accepted else {
                tick(deadline.saturating_duration_since(Instant::now()));
                std::thread::sleep(SLICE);
                continue;
            };
            let (ended, page) = match query(&mut stream) {
                Ok(Some(query)) => land(&query),
                Ok(None) => (None, not_found()),
                Err(_) => continue,
            };
            let _ = answer(stream, &page);
            if ended.is_some() {
                return ended;
            }
        }
        None
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
fn query(stream: &mut TcpStream) -> io::Result<Option<String>> {
    stream.set_nonblocking(false)?;
    let deadline = Instant::now() + REQUEST_MAX;
    let mut head = Vec::new();
    let mut buffer = [0; 4096];
    while !head.windows(4).any(|octets| octets == b"\r\n\r\n") {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || head.len() > HEAD_MAX {
            return Err(io::Error::from(ErrorKind::TimedOut));
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut buffer)? {
            0 => return Err(io::Error::from(ErrorKind::UnexpectedEof)),
            count => head.extend_from_slice(buffer.get(..count).unwrap_or_default()),
        }
    }
    let head = String::from_utf8_lossy(&head);
    let mut words = head.lines().next().unwrap_or_default().split(' ');
    let (method, target) = (words.next(), words.next().unwrap_or_default());
    let query = target.strip_prefix("/?");
    Ok(query.filter(|_| method == Some("GET")).map(str::to_owned))
}

fn answer(mut stream: TcpStream, page: &Page) -> io::Result<()> {
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
    // Whatever the browser still says: a connection closed over unread octets loses the page.
    stream.set_read_timeout(Some(Duration::from_millis(500)))?;
    let _ = io::copy(&mut stream.take(HEAD_MAX as u64), &mut io::sink());
    Ok(())
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
}
