//! Both sides of the socket: a message of a process without rights, and the process that takes it.

use super::Job;
use super::access::closed;
use super::words::{self, queued_lines, with_cure};
use crate::cli::{self, Invocation, Invoked, Submission};
use crate::config::Config;
use crate::config::paths::Location;
use crate::letterbox::{self, Fault, Pieces, Reply, Request, Unheard};
use crate::mail::body::{unreadable, without_ending_dot};
use crate::outcome::{Class, Failure, Outcome};
use crate::queue::Via;
use crate::smtp::Direction;
use crate::submit::{self, Desk, Relay, SIZE_MAX, too_large};
use crate::sys::caller::{Caller, host_name};
use crate::sys::log::{Level, Log};
use crate::sys::privilege::{self, Lack};
use crate::sys::{socket, stdio};
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::time::Duration;

/// How long whoever hands a message in may say nothing. It has read the message before it connects.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// The side without rights.
impl Job<'_> {
    /// Hands the message on standard input to the socket, as this process lacks what it takes.
    pub(super) fn hand_over(&self, wishes: &Submission, lack: &Lack) -> Result<Outcome, Failure> {
        let mut words = self.words.to_vec();
        let mut message = read_message(wishes.dot_is_text)?;
        if !wishes.dot_is_text && stdio::stdin_is_regular_file() {
            // What ends by itself is text but for a last dot; over there it is no file any more.
            without_ending_dot(&mut message);
            words.insert(1, OsString::from("-i"));
        }
        let handed = letterbox::hand_over(Path::new(letterbox::PATH), &words, &[&message]);
        match handed {
            Ok(Reply { status, lines }) => Ok(Outcome::HandedOver { status, lines }),
            Err(unheard) => {
                let failure = match unheard {
                    Unheard::Nobody(_) => closed(lack, true),
                    other => submit::unheard(&other),
                };
                let log = Log::new(Some(Log::SYSLOG.into()), None);
                self.record(&log, "denied", &failure);
                Err(failure)
            }
        }
    }
}

impl Job<'_> {
    /// SMTP on standard input and output, each message by the socket.
    pub(super) fn relay(&self, wishes: &Submission, lack: &Lack) -> Result<Outcome, Failure> {
        let closed = closed(lack, true);
        if !letterbox::is_there() {
            return Err(closed);
        }
        let mut relay = Relay {
            wishes,
            closed: &closed,
        };
        self.converse(SIZE_MAX, &mut relay)
    }
}

/// Reads the message whole: while a caller takes his time nobody else is kept waiting.
fn read_message(dot_is_text: bool) -> Result<Vec<u8>, Failure> {
    let mut message = Vec::new();
    let mut input = stdio::message(dot_is_text);
    let read = input.by_ref().take(SIZE_MAX + 1).read_to_end(&mut message);
    read.map_err(|error| unreadable(&error))?;
    match message.len() as u64 > SIZE_MAX {
        false => Ok(message),
        true => {
            stdio::drain_stdin();
            Err(too_large())
        }
    }
}

/// The side with them: `--socket`, started by a unit for each connection.
impl Job<'_> {
    /// Takes one message from the socket on standard input, and answers.
    ///
    /// Whoever starts this by the setgid bit gets nothing by it: who is at the other end of a socket
    /// of his own is for him to choose.
    pub(super) fn attend(&self) -> Result<Outcome, Failure> {
        privilege::drop_for_good()?;
        let no_socket = |error: std::io::Error| {
            Failure::new(Class::Usage, "standard input is no socket")
                .because(&error)
                .fix("leave it to sendmail365.socket to start this")
                .with_os_error(&error)
        };
        let peer = socket::peer_of_stdin().map_err(no_socket)?;
        let mut output = socket::stdin().map_err(no_socket)?;
        let input = stdio::Patient::stdin(SILENCE_MAX).map_err(no_socket)?;
        let caller = Caller {
            pid: peer.pid,
            ..Caller::of(peer.uid, None)
        };
        let visit = Visitor {
            job: Job {
                via: Via::Socket,
                ..Job::begin(&caller, self.start, self.words)?
            },
        };
        if let Some(reply) = visit.receive(BufReader::new(input), self) {
            // Whoever went away meanwhile changes nothing.
            let _ = reply.write(&mut output);
        }
        Ok(Outcome::Done)
    }
}

/// One user at the socket.
struct Visitor<'a> {
    job: Job<'a>,
}

impl Visitor<'_> {
    /// Takes the message; no answer at all for one who is not let in.
    fn receive(&self, mut input: impl BufRead, attendant: &Job<'_>) -> Option<Reply> {
        let config = match attendant.configure_at(&Location::of_host()) {
            Ok(config) => config,
            Err(failure) => return Some(reply("sendmail", Err(failure))),
        };
        let journal = self.job.journal(&config.log);
        let note = |event: &str, level: Level, reason: &str| {
            journal.write(level, &journal.line(event).text("reason", reason));
        };
        let _inside = match config.gate().visit(self.job.caller.uid) {
            Ok(Some(inside)) => Some(inside),
            Ok(None) => {
                note(
                    "denied",
                    Level::Info,
                    "as many messages of this user as may be",
                );
                return None;
            }
            Err(error) => {
                note(
                    "slot-missing",
                    Level::Warning,
                    &format!("visitors: {error}"),
                );
                None
            }
        };
        let request = match Request::read(&mut input) {
            Ok(request) => request,
            Err(Fault::Gone) => {
                note(
                    "cancelled",
                    Level::Info,
                    "gone before it said what it wants",
                );
                return None;
            }
            Err(Fault::Malformed(why)) => {
                note("denied", Level::Warning, why);
                let failure = Failure::new(Class::Protocol, "that is no request").because(why);
                return Some(reply("sendmail", Err(failure)));
            }
        };
        let Invoked {
            program,
            invocation,
            quiet,
            ..
        } = cli::parse(request.words);
        let wishes = invocation.and_then(|invocation| match invocation {
            Invocation::Submit(wishes) if wishes.config.is_none() => Ok(wishes),
            _ => Err(messages_only()),
        });
        let mut shown = Vec::new();
        let done = match wishes {
            Ok(wishes) => self.submit(&wishes, &config, Pieces::new(input), &mut shown),
            Err(failure) => {
                note("denied", Level::Warning, &failure.one_line());
                Err(failure)
            }
        };
        let Reply { status, lines } = reply(&program, done);
        shown.extend(lines.into_iter().filter(|_| !quiet));
        Some(Reply {
            status,
            lines: shown,
        })
    }

    fn submit(
        &self,
        wishes: &Submission,
        config: &Config,
        message: impl BufRead,
        shown: &mut Vec<String>,
    ) -> Result<Outcome, Failure> {
        let journal = self.job.journal(&config.log);
        let host = host_name();
        let desk = Desk {
            regular_file: false,
            ..self.job.desk(config, &journal, &host)
        };
        let mut watch = |direction: Direction, line: &str| {
            if wishes.verbose {
                shown.push(words::shown(direction, line));
            }
        };
        submit::submit(wishes, &desk, message, &mut watch)
    }
}

/// What whoever handed a message in is told.
fn reply(program: &str, done: Result<Outcome, Failure>) -> Reply {
    match done {
        Ok(Outcome::Queued(id, failure)) => Reply {
            status: 0,
            lines: failure.map_or_else(Vec::new, |failure| queued_lines(program, &id, &failure)),
        },
        Ok(Outcome::InPart(failure)) => Reply {
            status: 0,
            lines: failure.lines(program),
        },
        Ok(_) => Reply {
            status: 0,
            lines: Vec::new(),
        },
        Err(failure) => {
            let failure = with_cure(failure);
            Reply {
                status: failure.class().code(),
                lines: failure.lines(program),
            }
        }
    }
}

fn messages_only() -> Failure {
    Failure::new(Class::NoPermission, "only a message can be handed over")
        .because("settings are not chosen here, and nothing else is done")
        .fix("leave out -C; other jobs need the program's own rights")
}
