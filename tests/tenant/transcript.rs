//! What was said on a submission connection, in flights, fit to be shown: secrets are cut out.

use std::fmt;

/// Longer than any address and message id, shorter than any token.
const WORD_MAX: usize = 400;

/// Who an event comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Client,
    Server,
    /// The tenant's own remark: why it refused, what it did on purpose.
    Note,
}

/// A line, a message or a TLS flight.
#[derive(Clone, Debug)]
pub struct Event {
    pub direction: Direction,
    /// Counts the changes of direction below TLS, from 1; events of one flight share it.
    pub flight: usize,
    pub octets: usize,
    pub text: String,
}

/// One connection to the submission server.
#[derive(Clone, Debug, Default)]
pub struct Connection {
    pub events: Vec<Event>,
    /// Octets below TLS, from the client.
    pub octets_in: u64,
    /// Octets below TLS, from the server.
    pub octets_out: u64,
    pub tls: bool,
    /// `AUTH` commands; a second step is not counted.
    pub authentications: usize,
    flight: usize,
    writing: Option<Direction>,
}

impl Connection {
    /// How often the client has to wait for the network until its message is accepted.
    ///
    /// TCP is one, the greeting is one, and every flight of the client is one, counted below TLS.
    /// A flight that holds nothing but QUIT is left out: nobody has to wait for its answer.
    pub fn turns(&self) -> usize {
        let mut flights: Vec<usize> = self
            .events
            .iter()
            .filter(|event| event.direction == Direction::Client && event.text != "QUIT")
            .map(|event| event.flight)
            .collect();
        flights.dedup();
        2 + flights.len()
    }

    /// What the client said, line by line, without TLS flights and the message itself.
    pub fn commands(&self) -> Vec<&str> {
        self.said_by(Direction::Client)
    }

    /// What the server said, line by line.
    pub fn replies(&self) -> Vec<&str> {
        self.said_by(Direction::Server)
    }

    /// Why the tenant did what it did.
    pub fn notes(&self) -> Vec<&str> {
        self.said_by(Direction::Note)
    }

    fn said_by(&self, direction: Direction) -> Vec<&str> {
        self.events
            .iter()
            .filter(|event| event.direction == direction && !event.text.starts_with('('))
            .map(|event| event.text.as_str())
            .collect()
    }

    /// Counts octets on the wire; true when they open a new flight.
    pub(super) fn passed(&mut self, direction: Direction, octets: usize) -> bool {
        match direction {
            Direction::Client => self.octets_in += octets as u64,
            _ => self.octets_out += octets as u64,
        }
        let turned = self.writing != Some(direction);
        self.flight += usize::from(turned);
        self.writing = Some(direction);
        turned
    }

    /// Adds an event to the flight that is under way.
    pub(super) fn add(&mut self, direction: Direction, octets: usize, text: &str) {
        let text = redacted(text);
        self.events.push(Event {
            direction,
            flight: self.flight,
            octets,
            text,
        });
    }
}

/// The dialogue as people read it.
impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for event in &self.events {
            let who = match event.direction {
                Direction::Client => "C:",
                Direction::Server => "S:",
                Direction::Note => "--",
            };
            writeln!(f, "{:>3} {who} {}", event.flight, event.text)?;
        }
        writeln!(
            f,
            "    {} turns, {} in, {} out",
            self.turns(),
            self.octets_in,
            self.octets_out
        )
    }
}

/// The line without what follows the mechanism of AUTH, without words as long as a token, and
/// without control characters.
fn redacted(line: &str) -> String {
    let words: Vec<&str> = line.splitn(3, ' ').collect();
    if let [verb, mechanism, secret] = words[..]
        && verb.eq_ignore_ascii_case("AUTH")
    {
        return format!("{verb} {mechanism} [{} octets, redacted]", secret.len());
    }
    let word = |word: &str| match word.len() {
        0..=WORD_MAX => word.replace(char::is_control, "\u{fffd}"),
        length => format!("[{length} octets, redacted]"),
    };
    line.split(' ').map(word).collect::<Vec<_>>().join(" ")
}
