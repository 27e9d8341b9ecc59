//! One call, one job, one outcome.

mod access;
mod letterbox;
mod verbs;
mod words;

use crate::admin::{aliases, check, explain, queue, verify};
use crate::cli::{self, Invocation, Invoked, QueuePart, QueueRun, Submission};
use crate::config::Config;
use crate::config::paths::locate;
use crate::outcome::{Class, Failure, Outcome, QueueId};
use crate::queue::Via;
use crate::queue::choice::{Choice, Filter, Part};
use crate::queue::runner::Tally;
use crate::smtp::stdio::{Clerk, Doorplate};
use crate::smtp::{self, Direction};
use crate::submit::{self, Counter, Desk};
use crate::sys::caller::{Caller, host_name, name_hint};
use crate::sys::log::{Journal, Level, Line, Log};
use crate::sys::privilege::{self, Start};
use crate::sys::{clock, random, signal, stdio};
use std::ffi::OsString;
use std::io::{self, BufReader};
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf, absolute};
use std::time::{Duration, SystemTime};
use words::{queued_lines, shown, with_cure};

/// How long a client of `-bs` may say nothing; workers keep a dialogue open between messages.
const SILENCE_MAX: Duration = Duration::from_secs(60 * 60);

/// Does what the call asks for and answers with the exit status.
pub fn run(argv: Vec<OsString>) -> u8 {
    let words = argv.clone();
    let begun = privilege::settle();
    let hint = name_hint();
    let begun = begun.and_then(privilege::strip);
    let Invoked {
        program,
        mut invocation,
        drain,
        quiet,
    } = cli::parse(argv);
    let caller = Caller::read(hint);
    report_panics_without_payload(&program, caller.uid);
    let serves = matches!(&invocation, Ok(Invocation::Serve(_)));
    invocation.iter_mut().for_each(leave_directory);
    let job = || Job::begin(&caller, begun?, &words)?.perform(invocation, &program);
    let failure = match whole(job, &program) {
        Ok(Outcome::Sent | Outcome::Done) => return 0,
        Ok(Outcome::Queued(id, failure)) => {
            if let (false, Some(failure)) = (quiet, failure) {
                complain(&queued_lines(&program, &id, &failure));
            }
            return 0;
        }
        Ok(Outcome::InPart(failure)) => {
            if !quiet {
                complain(&failure.lines(&program));
            }
            return 0;
        }
        Ok(Outcome::HandedOver { status, lines }) => {
            complain(&lines);
            return status;
        }
        Ok(Outcome::Cancelled(signal)) => {
            stdio::complain(&format!("{program}: cancelled"));
            signal::die_by(signal);
            return Class::TryAgain.code();
        }
        Err(Some(failure)) => failure,
        Err(None) => return Class::Software.code(),
    };
    if drain {
        stdio::drain_stdin();
    }
    let failure = with_cure(failure);
    if serves {
        // The client reads replies; text on stderr would be a fault to it.
        stdio::say(&format!("{}\r\n", submit::farewell(&failure)));
    } else if !quiet {
        complain(&failure.lines(&program));
    }
    failure.class().code()
}

fn complain(lines: &[String]) {
    lines.iter().for_each(|line| stdio::complain(line));
}

/// Leaves the caller's directory, once what he named is known by its whole path.
///
/// Whoever stands in a directory that is gone stays there: it has no path.
fn leave_directory(invocation: &mut Invocation) {
    let mut named = invocation.named_files().into_iter();
    let whole = |path: &mut PathBuf| absolute(&*path).map(|whole| *path = whole).is_ok();
    if named.all(whole) {
        let _ = std::env::set_current_dir("/");
    }
}

/// Does the job; none of its failures if a panic ended it, which has been told.
fn whole(
    job: impl FnOnce() -> Result<Outcome, Failure>,
    program: &str,
) -> Result<Outcome, Option<Failure>> {
    match panic::catch_unwind(AssertUnwindSafe(job)) {
        Ok(ended) => ended.map_err(Some),
        Err(_) => {
            stdio::complain(&format!(
                "{program}: the job was not finished; please report the line above"
            ));
            Err(None)
        }
    }
}

/// A value of the panic could hold a secret or somebody's mail; its place cannot.
fn report_panics_without_payload(program: &str, uid: u32) {
    let program = program.to_owned();
    panic::set_hook(Box::new(move |info| {
        let place = info
            .location()
            .map(|place| format!("{}:{}", place.file(), place.line()));
        let place = place.unwrap_or_else(|| "an unknown place".to_owned());
        stdio::complain(&format!("{program}: internal error at {place}"));
        let line = Line::new("-", "panic").number("uid", uid.into());
        Log::new(Some(Log::SYSLOG.into()), None).write(Level::Critical, &line.text("at", &place));
    }));
}

struct Job<'a> {
    caller: &'a Caller,
    start: Start,
    /// The command line as it was typed.
    words: &'a [OsString],
    via: Via,
    id: QueueId,
    now: SystemTime,
}

impl<'a> Job<'a> {
    fn begin(caller: &'a Caller, start: Start, words: &'a [OsString]) -> Result<Job<'a>, Failure> {
        let now = clock::now();
        Ok(Job {
            caller,
            start,
            words,
            via: Via::Direct,
            id: QueueId::new(now, random::number()?),
            now,
        })
    }

    fn perform(
        &self,
        invocation: Result<Invocation, Failure>,
        program: &str,
    ) -> Result<Outcome, Failure> {
        match invocation {
            Ok(Invocation::Help) => stdio::say(&format!("{}\n", cli::help(program))),
            Ok(Invocation::Version) => stdio::say(&format!("{}\n", cli::version())),
            Ok(Invocation::Nothing) => {}
            Ok(Invocation::Login(wishes)) => return self.login(&wishes),
            Ok(Invocation::Explain(asked)) => return explain::perform(&asked),
            Ok(Invocation::Doctor(wishes)) => return self.doctor(&wishes),
            Ok(Invocation::Queue(work)) => {
                let config = self.configure(work.config.as_deref())?;
                return queue::perform(&work, &config, self.caller, self.now);
            }
            Ok(Invocation::Status { config, json }) => {
                return self.status(config.as_deref(), json);
            }
            Ok(Invocation::Test(trial)) => return self.test(&trial),
            Ok(Invocation::Setup(wishes)) => return self.setup(wishes),
            Ok(Invocation::Submit(wishes)) => return self.submit(&wishes),
            Ok(Invocation::Attend) => return self.attend(),
            Ok(Invocation::Preview(wishes)) => return self.preview(&wishes),
            Ok(Invocation::Verify(wishes)) => return self.verify(&wishes),
            Ok(Invocation::Aliases { config }) => {
                return aliases::check(&self.configure(config.as_deref())?.recipients.aliases);
            }
            Ok(Invocation::Check { config }) => return self.check(config.as_deref(), program),
            Ok(Invocation::Serve(wishes)) => return self.serve(&wishes),
            Ok(Invocation::RunQueue(wishes)) => return self.run_queue(wishes),
            Err(failure) => {
                let log = Log::new(Some(Log::SYSLOG.into()), None);
                self.record(&log, "usage", &failure);
                return Err(failure);
            }
        }
        Ok(Outcome::Done)
    }

    fn submit(&self, wishes: &Submission) -> Result<Outcome, Failure> {
        let named = wishes.config.as_deref();
        let config = match self.configure_or_lack(named)? {
            Ok(config) => self.send_with(config, named)?,
            Err(lack) => return self.hand_over(wishes, &lack),
        };
        let journal = self.journal(&config.log);
        let host = host_name();
        let desk = self.desk(&config, &journal, &host);
        let desk = Desk {
            signals: Some(signal::Signals::arm()),
            ..desk
        };
        let mut watch = watch(wishes.verbose);
        let input = stdio::message(wishes.dot_is_text);
        submit::submit(wishes, &desk, input, &mut watch)
    }

    /// Nothing happens to the message, so nothing is logged of it.
    fn preview(&self, wishes: &Submission) -> Result<Outcome, Failure> {
        let config = self.configure(wishes.config.as_deref())?;
        let nowhere = Log::new(None, None);
        let journal = self.journal(&nowhere);
        let host = host_name();
        let desk = self.desk(&config, &journal, &host);
        let input = stdio::message(wishes.dot_is_text);
        stdio::say(&submit::preview(wishes, &desk, input)?);
        Ok(Outcome::Done)
    }

    fn verify(&self, wishes: &Submission) -> Result<Outcome, Failure> {
        let config = self.configure(wishes.config.as_deref())?;
        let journal = self.journal(&config.log);
        let host = host_name();
        verify::verify(wishes, &self.desk(&config, &journal, &host))
    }

    fn check(&self, named: Option<&Path>, program: &str) -> Result<Outcome, Failure> {
        let config = self.configure(named).map_err(check::as_fault)?;
        let location = locate(named);
        let hosts = location.is_hosts().then_some(location.path.as_path());
        check::check(&config, hosts, self.caller, program)
    }

    fn desk<'d>(&'d self, config: &'d Config, journal: &'d Journal<'d>, host: &'d str) -> Desk<'d> {
        Desk {
            config,
            caller: self.caller,
            journal,
            id: &self.id,
            now: self.now,
            host,
            regular_file: stdio::stdin_is_regular_file(),
            via: self.via,
            signals: None,
        }
    }

    /// SMTP on standard input and output.
    fn serve(&self, wishes: &Submission) -> Result<Outcome, Failure> {
        let named = wishes.config.as_deref();
        let config = match self.configure_or_lack(named)? {
            Ok(config) => self.send_with(config, named)?,
            Err(lack) => return self.relay(wishes, &lack),
        };
        let host = host_name();
        let mut watch = watch(wishes.verbose);
        let mut counter = Counter::new(&config, self.caller, &host, wishes, &mut watch);
        self.converse(config.message_size_max, &mut counter)
    }

    fn converse(&self, size_max: u64, clerk: &mut dyn Clerk) -> Result<Outcome, Failure> {
        let input = stdio::Patient::stdin(SILENCE_MAX).map_err(|error| {
            Failure::new(Class::OsError, "standard input cannot be used")
                .because(&error)
                .with_os_error(&error)
        })?;
        let doorplate = Doorplate {
            name: &host_name(),
            size_max,
        };
        let output = io::stdout().lock();
        smtp::stdio::serve(&doorplate, BufReader::new(input), output, clerk)?;
        Ok(Outcome::Done)
    }

    /// One pass over the queue; users without privilege work off what is their own.
    fn run_queue(&self, wishes: QueueRun) -> Result<Outcome, Failure> {
        let config = self.configure_to_send(wishes.config.as_deref())?;
        let journal = self.journal(&config.log);
        let host = host_name();
        let part = |part| match part {
            QueuePart::Id => Part::Id,
            QueuePart::Recipient => Part::Recipient,
            QueuePart::Sender => Part::Sender,
        };
        let filters = wishes.filters.into_iter().map(|filter| Filter {
            part: part(filter.part),
            text: filter.text,
            negated: filter.negated,
        });
        let uid = self.caller.uid;
        let all = uid == 0 || config.spool().belongs_to(uid);
        let choice = Choice {
            uid: (!all).then_some(uid),
            id: None,
            at_once: wishes.at_once,
            filters: filters.collect(),
        };
        let desk = self.desk(&config, &journal, &host);
        let shows = wishes.progress && stdio::stderr_is_terminal();
        let progress = |tally: &Tally| {
            if shows {
                let Tally { seen, total, .. } = tally;
                let (sent, failed) = (tally.delivered, tally.failed);
                stdio::retell(&format!("{seen} of {total}: {sent} sent, {failed} failed"));
            }
        };
        let ran = submit::run_queue(&desk, choice, &mut watch(wishes.verbose), &progress);
        if shows {
            stdio::complain("");
        }
        ran
    }

    fn journal<'l>(&self, log: &'l Log) -> Journal<'l> {
        let journal = Journal::new(log, &self.id, self.caller.uid, &self.caller.log_name());
        match self.via {
            Via::Socket => journal.by_way_of(Via::Socket.word()),
            _ => journal,
        }
    }

    fn record(&self, log: &Log, event: &str, failure: &Failure) {
        let journal = self.journal(log);
        journal.write(
            Level::Error,
            &submit::failure_line(journal.line(event), failure),
        );
    }
}

/// Shows the dialogue with the server to whoever asked for it.
fn watch(verbose: bool) -> impl FnMut(Direction, &str) {
    move |direction: Direction, line: &str| {
        if verbose {
            stdio::complain(&shown(direction, line));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// In a process of its own: the hook is the whole process's.
    #[test]
    fn a_panic_tells_its_place_and_nothing_of_what_it_held() {
        const MARK: &str = "in-a-process-of-its-own";
        if std::env::args_os().any(|word| word == MARK) {
            report_panics_without_payload("sendmail", 1000);
            let ended = whole(|| panic!("{} in hand", "CANARY"), "sendmail");
            assert!(matches!(ended, Err(None)));
            return;
        }
        let own = "run::tests::a_panic_tells_its_place_and_nothing_of_what_it_held";
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", own, "--skip", MARK, "--nocapture"]);
        let output = crate::sys::quiet::output(command.env("RUST_BACKTRACE", "1"));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        let lines: Vec<&str> = said
            .lines()
            .filter(|line| line.contains("sendmail: "))
            .collect();
        assert_eq!(lines.len(), 2, "{said}");
        assert!(
            lines[0].starts_with("sendmail: internal error at src/run.rs:"),
            "{said}"
        );
        assert!(
            !said.contains("CANARY") && !said.contains("stack backtrace"),
            "{said}"
        );
    }
}
