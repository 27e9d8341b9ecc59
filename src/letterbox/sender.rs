//! The side without rights: it waits until it is let in, hands over, and waits for the answer.
#![expect(
    clippy::disallowed_methods,
    reason = "edge: measures the wait to be let in"
)]

use super::pieces;
use super::reply::{Reply, is_unread};
use super::request::Request;
use crate::sys::{clock, random, socket};
use std::ffi::OsString;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a busy attendant is asked again.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long the answer may take; the server at the other end has ten minutes for its own.
const ANSWER_MAX: Duration = Duration::from_secs(30 * 60);

/// Why there is no answer.
#[derive(Debug)]
pub enum Unheard {
    /// There is no socket, or nobody behind it.
    Nobody(io::Error),
    /// Nobody took the message: it may be sent again.
    NotTaken(io::Error),
    /// It was taken whole, and nothing is known of what became of it.
    Unsure,
}

/// Whether there is a socket, be anybody behind it or not.
pub fn is_there() -> bool {
    Path::new(super::PATH).exists()
}

/// Hands a message over and answers with what became of it.
///
/// An attendant that has too much to do closes without reading. The kernel tells that apart from one
/// that has read everything and died.
pub fn hand_over(path: &Path, words: &[OsString], message: &[&[u8]]) -> Result<Reply, Unheard> {
    let begun = Instant::now();
    let mut tries = 0;
    loop {
        let stream = socket::connect(path, PATIENCE).map_err(|error| match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => Unheard::NotTaken(error),
            _ => Unheard::Nobody(error),
        })?;
        match once(&stream, words, message) {
            Err(Unheard::NotTaken(error)) if is_unread(&error) && begun.elapsed() < PATIENCE => {
                clock::pause(pause(tries, random::number().unwrap_or(0)));
                tries += 1;
            }
            other => return other,
        }
    }
}

/// How long to leave a busy attendant alone: each try starts a process for it, and a burst of messages
/// whose senders all ask twice a second would be a flood of them.
fn pause(tries: u32, random: u64) -> Duration {
    let usual = 100 << tries.min(4);
    Duration::from_millis(usual / 2 + random % usual)
}

fn once(mut stream: &UnixStream, words: &[OsString], message: &[&[u8]]) -> Result<Reply, Unheard> {
    let set = stream.set_read_timeout(Some(ANSWER_MAX));
    set.map_err(Unheard::NotTaken)?;
    let sent = send(stream, words, message);
    let not_taken = match sent {
        Err(error) if !is_unread(&error) => return Err(Unheard::NotTaken(error)),
        sent => sent.err(),
    };
    // Whoever closed early may have said why.
    match (Reply::read(&mut stream), not_taken) {
        (Ok(Some(reply)), _) => Ok(reply),
        (_, Some(error)) => Err(Unheard::NotTaken(error)),
        (Err(error), None) if is_unread(&error) => Err(Unheard::NotTaken(error)),
        _ => Err(Unheard::Unsure),
    }
}

fn send(stream: &UnixStream, words: &[OsString], message: &[&[u8]]) -> io::Result<()> {
    let mut output = BufWriter::new(stream);
    Request::write(words, &mut output)?;
    for part in message {
        pieces::write(&mut output, part)?;
    }
    // What ends the message goes alone and last: until it is written nothing can be taken.
    output.flush()?;
    pieces::end(&mut output)?;
    output.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::letterbox::Pieces;
    use std::io::{BufReader, Read};
    use std::os::unix::net::UnixListener;
    use std::path::PathBuf;

    struct Place(PathBuf);

    impl Place {
        fn new() -> Place {
            let name = format!("sendmail365-box-{:x}", random::number().unwrap());
            Place(std::env::temp_dir().join(name))
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    fn words() -> Vec<OsString> {
        ["sendmail", "-t"].map(OsString::from).into()
    }

    /// Lets an attendant do his work, once for each connection.
    fn attended(attend: Vec<fn(UnixStream)>) -> Result<Reply, Unheard> {
        let place = Place::new();
        let listener = UnixListener::bind(&place.0).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                for work in attend {
                    work(listener.accept().unwrap().0);
                }
            });
            hand_over(&place.0, &words(), &[b"Subject: x\n\n", b"text\n"])
        })
    }

    fn take(stream: &UnixStream) {
        let mut input = BufReader::new(stream);
        assert_eq!(Request::read(&mut input).unwrap().words, words());
        let mut message = String::new();
        Pieces::new(input).read_to_string(&mut message).unwrap();
        assert_eq!(message, "Subject: x\n\ntext\n");
    }

    fn answer(mut stream: UnixStream) {
        take(&stream);
        stream.write_all(b"exit 67\nno such user\n").unwrap();
    }

    #[test]
    fn the_answer_is_that_of_the_attendant() {
        let reply = attended(vec![answer]).unwrap();
        assert_eq!((reply.status, reply.lines.len()), (67, 1));
    }

    #[test]
    fn an_attendant_that_is_busy_is_asked_again() {
        let busy: fn(UnixStream) = |stream| drop(stream);
        assert_eq!(attended(vec![busy, busy, answer]).unwrap().status, 67);
    }

    /// 50 senders of a burst, while nobody is let in.
    #[test]
    fn those_who_wait_ask_less_than_fifty_times_a_second() {
        let mut begun = 0;
        let mut passed = Duration::ZERO;
        while passed < PATIENCE {
            passed += pause(begun, 0) + pause(begun, u64::MAX);
            begun += 2;
        }
        let asked = f64::from(begun * 50) / passed.as_secs_f64();
        assert!(asked < 50.0, "{asked}");
        assert!(pause(0, 0) <= Duration::from_millis(50) && pause(9, 99) < PATIENCE / 10);
    }

    #[test]
    fn a_refusal_before_the_end_is_heard() {
        let refuse: fn(UnixStream) = |mut stream| stream.write_all(b"exit 77\nno\n").unwrap();
        assert_eq!(attended(vec![refuse]).unwrap().status, 77);
    }

    #[test]
    fn an_attendant_that_died_with_the_message_leaves_doubt() {
        let die: fn(UnixStream) = |stream| take(&stream);
        assert!(matches!(attended(vec![die]), Err(Unheard::Unsure)));
    }

    #[test]
    fn where_nobody_listens_that_is_known_at_once() {
        let place = Place::new();
        let handed = || hand_over(&place.0, &words(), &[]);
        assert!(matches!(handed(), Err(Unheard::Nobody(_))));
        drop(UnixListener::bind(&place.0).unwrap());
        assert!(matches!(handed(), Err(Unheard::Nobody(_))));
    }
}
