//! `-bs`: the server side of SMTP over any reader and writer (RFC 5321).
//!
//! Nothing about addresses and messages is known in here. A `Clerk` judges paths and takes messages; he gets octets as
//! the client wrote them and answers with a reply.

mod command;
mod text;

#[cfg(test)]
mod tests;

use self::command::Command;
use self::text::{End, Text};
use crate::mail::dsn::{Dsn, Envid, Notify, Ret};
use crate::outcome::{Class, Failure, Stage, printable};
use std::fmt;
use std::io::{BufRead, ErrorKind, Write};

/// Octets of a command line with its end. RFC 5321 section 4.5.3.1.4 asks for 512, and each
/// extension for some more.
const COMMAND_MAX: usize = 4096;

/// What the client is told of us.
#[derive(Debug, Clone, Copy)]
pub struct Doorplate<'a> {
    /// Our own name, in the banner and the answer to HELO.
    pub name: &'a str,
    /// Largest message taken, in octets.
    pub size_max: u64,
}

/// One reply of a single line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    code: u16,
    status: &'static str,
    text: String,
}

impl Answer {
    /// A reply code, an enhanced status code (RFC 3463), and text that may hold octets from outside.
    pub fn new(code: u16, status: &'static str, text: impl AsRef<str>) -> Answer {
        // RFC 5321 section 4.5.3.1.5: 512 octets a line; escaped, the text is ASCII.
        const TEXT_MAX: usize = 490;
        let mut text = printable(text.as_ref().as_bytes());
        text.truncate(TEXT_MAX);
        Answer { code, status, text }
    }

    /// The reply code.
    pub fn code(&self) -> u16 {
        self.code
    }
}

/// The line without its end.
impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.code, self.status, self.text)
    }
}

/// A sender or a recipient as the client wrote it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Party {
    /// With its angle brackets if it had them; no control characters.
    pub path: Vec<u8>,
    /// Keywords in upper case and their values, known and well-formed (RFC 1870, 3461, 6152, 6531).
    pub parameters: Vec<(String, Vec<u8>)>,
}

/// The envelope of one message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Letter {
    pub sender: Party,
    /// Those that the clerk did not refuse.
    pub recipients: Vec<Party>,
}

impl Party {
    fn wish<T>(&self, keyword: &str, parse: fn(&str) -> Option<T>) -> Option<T> {
        let (_, value) = self.parameters.iter().find(|(name, _)| name == keyword)?;
        std::str::from_utf8(value).ok().and_then(parse)
    }

    fn notify(&self) -> Option<Notify> {
        self.wish("NOTIFY", Notify::parse)
    }
}

impl Letter {
    /// What the client wishes to hear of the delivery; when, only if it wishes the same for all.
    pub fn dsn(&self) -> Dsn {
        let first = self.recipients.first().and_then(Party::notify);
        Dsn {
            notify: first.filter(|_| !self.notify_differs()),
            ret: self.sender.wish("RET", Ret::parse),
            envid: self.sender.wish("ENVID", Envid::parse),
        }
    }

    /// Whether NOTIFY is not the same for all recipients.
    pub fn notify_differs(&self) -> bool {
        let mut pairs = self.recipients.windows(2);
        pairs.any(|pair| matches!(pair, [one, next] if one.notify() != next.notify()))
    }
}

/// Who knows what an address is, and where a message goes.
pub trait Clerk {
    /// Judges MAIL, which begins a new envelope.
    fn sender(&mut self, sender: &Party) -> Result<(), Answer>;

    /// Judges RCPT, the next one after those in `letter`.
    fn recipient(&mut self, letter: &Letter, recipient: &Party) -> Result<(), Answer>;

    /// Takes the message, line ends as they came and dots undone, and says what became of it.
    ///
    /// A text that was cut off ends in an error of the reader, never in an end of file.
    fn message(&mut self, letter: &Letter, text: &mut dyn BufRead) -> Answer;

    /// Whether no other message can be taken after this one.
    fn closes(&self) -> bool {
        false
    }
}

/// Speaks SMTP until the client quits, goes, or is silent for too long.
///
/// A reader that waits no longer says so with `ErrorKind::TimedOut`. A client that does not read its
/// replies changes nothing: what it asks for is done.
pub fn serve(
    doorplate: &Doorplate<'_>,
    input: impl BufRead,
    output: impl Write,
    clerk: &mut dyn Clerk,
) -> Result<(), Failure> {
    let mut dialogue = Dialogue {
        doorplate,
        input,
        output,
        clerk,
        letter: None,
    };
    dialogue.say(format_args!("220 {} ESMTP", dialogue.name()));
    while dialogue.turn()? {}
    Ok(())
}

/// What came as a command line, or instead of one.
enum Heard {
    Line {
        /// Else the line ended in a bare LF.
        crlf: bool,
    },
    TooLong,
    Silence,
    End,
}

struct Dialogue<'a, R, W> {
    doorplate: &'a Doorplate<'a>,
    input: R,
    output: W,
    clerk: &'a mut dyn Clerk,
    /// There was a MAIL, and its message has not come yet.
    letter: Option<Letter>,
}

impl<R: BufRead, W: Write> Dialogue<'_, R, W> {
    /// One command and its answer; false after the last.
    fn turn(&mut self) -> Result<bool, Failure> {
        let mut line = Vec::new();
        let crlf = match self.hear(&mut line)? {
            Heard::Line { crlf } => crlf,
            Heard::TooLong => {
                self.say(Answer::new(500, "5.5.6", "the line is too long"));
                return Ok(true);
            }
            Heard::Silence => {
                self.say(silence());
                return Ok(false);
            }
            Heard::End => return Ok(false),
        };
        match command::parse(&line) {
            Ok(Command::Quit) => {
                self.say(Answer::new(221, "2.0.0", "goodbye"));
                return Ok(false);
            }
            Ok(Command::Data) => return self.data(crlf),
            Ok(Command::Helo) => {
                self.letter = None;
                self.say(format_args!("250 {}", self.name()));
            }
            Ok(Command::Ehlo) => {
                self.letter = None;
                self.say(self.offers());
            }
            Ok(command) => {
                let answer = self.carry_out(command);
                self.say(answer.unwrap_or_else(|refusal| refusal));
            }
            Err(refusal) => self.say(refusal),
        }
        Ok(true)
    }

    fn carry_out(&mut self, command: Command) -> Result<Answer, Answer> {
        match command {
            Command::Mail(sender) => return self.mail(sender),
            Command::Rcpt(recipient) => return self.rcpt(recipient),
            Command::Rset => self.letter = None,
            Command::Vrfy => return Ok(Answer::new(252, "2.5.0", "send a message and see")),
            Command::Help => return Ok(Answer::new(214, "2.0.0", command::KNOWN)),
            _ => {}
        }
        Ok(Answer::new(250, "2.0.0", "ok"))
    }

    fn mail(&mut self, sender: Party) -> Result<Answer, Answer> {
        if self.letter.is_some() {
            return Err(Answer::new(503, "5.5.1", "there was a MAIL already"));
        }
        if command::announced_size(&sender) > self.doorplate.size_max {
            return Err(Answer::new(
                552,
                "5.3.4",
                format!(
                    "the message is too large: the limit is {} octets",
                    self.doorplate.size_max
                ),
            ));
        }
        self.clerk.sender(&sender)?;
        self.letter = Some(Letter {
            sender,
            recipients: Vec::new(),
        });
        Ok(Answer::new(250, "2.1.0", "ok"))
    }

    fn rcpt(&mut self, recipient: Party) -> Result<Answer, Answer> {
        let Some(letter) = &mut self.letter else {
            return Err(Answer::new(503, "5.5.1", "MAIL comes first"));
        };
        self.clerk.recipient(letter, &recipient)?;
        letter.recipients.push(recipient);
        Ok(Answer::new(250, "2.1.5", "ok"))
    }

    fn data(&mut self, crlf: bool) -> Result<bool, Failure> {
        let letter = match self.letter.take() {
            Some(letter) if !letter.recipients.is_empty() => letter,
            other => {
                self.letter = other;
                self.say(Answer::new(503, "5.5.1", "MAIL and RCPT come first"));
                return Ok(true);
            }
        };
        self.say("354 end with a line that holds nothing but a dot");
        let mut text = Text::new(&mut self.input, crlf);
        let answer = self.clerk.message(&letter, &mut text);
        match text.skip_to_end() {
            End::Dot => {
                self.say(answer);
                if self.clerk.closes() {
                    self.say(Answer::new(421, "4.3.2", "a signal asked for the end"));
                }
                Ok(!self.clerk.closes())
            }
            End::Error(error) => Err(cut_off(&error)),
        }
    }

    /// Reads a line; what is over the limit is passed over, so that the next line is a command again.
    fn hear(&mut self, line: &mut Vec<u8>) -> Result<Heard, Failure> {
        let mut too_long = false;
        loop {
            let chunk = match self.input.fill_buf() {
                // A command without a line end may be half a command.
                Ok([]) => return Ok(Heard::End),
                Ok(chunk) => chunk,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::TimedOut => return Ok(Heard::Silence),
                Err(error) => return Err(unreadable(&error)),
            };
            let end = chunk.iter().position(|&octet| octet == b'\n');
            let used = end.map_or(chunk.len(), |end| end + 1);
            too_long |= line.len() + used > COMMAND_MAX;
            if !too_long {
                line.extend(chunk.iter().take(used));
            }
            self.input.consume(used);
            if end.is_some() {
                break;
            }
        }
        if too_long {
            return Ok(Heard::TooLong);
        }
        line.pop();
        let crlf = line.last() == Some(&b'\r');
        while line.last() == Some(&b'\r') {
            line.pop();
        }
        Ok(Heard::Line { crlf })
    }

    fn name(&self) -> String {
        printable(self.doorplate.name.as_bytes())
    }

    /// The answer to EHLO. No AUTH: who can run the program may send. No CHUNKING: nobody asks.
    fn offers(&self) -> String {
        let mut lines = vec![self.name()];
        lines.extend(["PIPELINING", "8BITMIME", "SMTPUTF8"].map(str::to_owned));
        lines.push(format!("SIZE {}", self.doorplate.size_max));
        lines.extend(["DSN", "ENHANCEDSTATUSCODES"].map(str::to_owned));
        let first: String = lines.iter().map(|line| format!("250-{line}\r\n")).collect();
        format!("{first}250 HELP")
    }

    /// A reader that is gone changes nothing.
    fn say(&mut self, reply: impl fmt::Display) {
        let reply = format!("{reply}\r\n");
        let _ = self.output.write_all(reply.as_bytes());
        let _ = self.output.flush();
    }
}

fn silence() -> Answer {
    Answer::new(421, "4.4.2", "nothing came for too long: goodbye")
}

fn unreadable(error: &std::io::Error) -> Failure {
    Failure::new(Class::Io, "the dialogue cannot be read")
        .because(error)
        .fix("check what is given as standard input")
        .at(Stage::Stdin)
        .with_os_error(error)
}

/// The message did not come whole; half of it is nobody's wish.
fn cut_off(error: &std::io::Error) -> Failure {
    let class = match error.kind() {
        ErrorKind::UnexpectedEof | ErrorKind::TimedOut => Class::Protocol,
        _ => Class::Io,
    };
    Failure::new(class, "the message was cut off")
        .because(error)
        .fix("nothing was sent; send the message again")
        .at(Stage::Stdin)
        .with_os_error(error)
}
