//! `-bs`: judges addresses as they are named, and sends each message as if it had been piped in.

use super::addressing::{LocalNames, read_aliases, sender_policy};
use super::offer::TRANSACTION_MAX;
use super::{Desk, failure_line, submit};
use crate::cli::Submission;
use crate::config::Config;
use crate::mail::address::{Address, Fault, scan_word};
use crate::mail::aliases::Aliases;
use crate::mail::dsn::Dsn;
use crate::mail::recipients;
use crate::outcome::{Class, Failure, Fate, Outcome, QueueId, Stage};
use crate::queue::Via;
use crate::smtp;
use crate::smtp::stdio::{Answer, Clerk, Letter, Party};
use crate::sys::caller::Caller;
use crate::sys::log::{Journal, Level};
use crate::sys::signal::Signals;
use crate::sys::{clock, random};
use std::ffi::OsString;
use std::io::BufRead;
use std::os::unix::ffi::OsStringExt;

/// Where messages are handed in, one after the other.
pub struct Counter<'a> {
    config: &'a Config,
    caller: &'a Caller,
    host: &'a str,
    /// What the options ask of every message.
    wishes: Submission,
    /// The wishes for notifications among them; those of a message outrank them.
    dsn: Dsn,
    watch: &'a mut smtp::Watch<'a>,
    /// Of the message that is at the counter.
    id: Option<QueueId>,
    /// Read at the first recipient of a message, so that a change of the file is seen by the next.
    aliases: Option<Option<Aliases>>,
    /// A signal asked for the end while a message was ours.
    closes: bool,
}

impl<'a> Counter<'a> {
    /// Opens for messages that are all sent as `wishes` says, but for their envelopes.
    pub fn new(
        config: &'a Config,
        caller: &'a Caller,
        host: &'a str,
        wishes: &Submission,
        watch: &'a mut smtp::Watch<'a>,
    ) -> Counter<'a> {
        let wishes = Submission {
            dot_is_text: true,
            ..wishes.clone()
        };
        Counter {
            config,
            caller,
            host,
            dsn: wishes.dsn.clone(),
            wishes,
            watch,
            id: None,
            aliases: None,
            closes: false,
        }
    }

    /// Does something that takes a desk; the time is that of now.
    fn at_desk<T>(
        &mut self,
        work: impl FnOnce(&mut Self, &Desk<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let now = clock::now();
        let id = match self.id.take() {
            Some(id) => id,
            None => QueueId::new(now, random::number()?),
        };
        let (config, caller) = (self.config, self.caller);
        let journal = Journal::new(&config.log, &id, caller.uid, &caller.log_name());
        let desk = Desk {
            config,
            caller,
            journal: &journal,
            id: &id,
            now,
            host: self.host,
            regular_file: false,
            via: Via::Stdio,
            signals: None,
        };
        let done = work(self, &desk);
        self.id = Some(id);
        done
    }

    /// Wishes for notifications: those of the client before those of the options.
    fn wanted(&mut self, letter: &Letter) -> Dsn {
        let (asked, base) = (letter.dsn(), self.dsn.clone());
        // One message goes to all, and aliases put others in the place of those that were named: the
        // servers' own habit serves everybody better than the wish of one.
        let differs = letter.notify_differs();
        if differs {
            let note = "NOTIFY that differs among the recipients";
            self.wishes.notes.push(note.to_owned());
        }
        Dsn {
            notify: asked.notify.or(base.notify.filter(|_| !differs)),
            ret: asked.ret.or(base.ret),
            envid: asked.envid.or(base.envid),
        }
    }

    /// Finds out whether a recipient leads anywhere.
    fn look_up(&mut self, address: Address) -> Result<(), Failure> {
        self.at_desk(|counter, desk| {
            let recipients = vec![address];
            let mut names = LocalNames::with(None, desk);
            let is_local = names.resolver().has_local(&recipients);
            if is_local {
                names.aliases = match counter.aliases.take() {
                    Some(aliases) => aliases,
                    None => read_aliases(counter.wishes.no_aliases, desk)?,
                };
            }
            let resolved = names.resolve(recipients);
            if is_local {
                counter.aliases = Some(names.aliases);
            }
            let Some(failure) = recipients::refusal(&[], &resolved.faults, Stage::Rcpt) else {
                return Ok(());
            };
            let line = failure_line(desk.journal.line("refused"), &failure);
            desk.journal.write(Level::Error, &line);
            Err(failure)
        })
    }
}

impl Clerk for Counter<'_> {
    fn sender(&mut self, sender: &Party) -> Result<(), Answer> {
        (self.id, self.aliases) = (None, None);
        let bad = |reason: &str| Answer::new(501, "5.1.7", format!("no sender address: {reason}"));
        if sender.path != b"<>" {
            one_address(&sender.path).map_err(|fault| bad(&fault.to_string()))?;
        }
        self.at_desk(|_, desk| sender_policy(desk).sender(Some(&sender.path)))
            .map(|_| ())
            .map_err(|failure| match failure.class() {
                Class::Data => bad(failure.why().unwrap_or_default()),
                _ => answer(&failure),
            })
    }

    fn recipient(&mut self, letter: &Letter, recipient: &Party) -> Result<(), Answer> {
        if letter.recipients.len() >= TRANSACTION_MAX {
            return Err(Answer::new(452, "4.5.3", "too many recipients"));
        }
        let address = one_address(&recipient.path)
            .map_err(|fault| Answer::new(501, "5.1.3", format!("no address: {fault}")))?;
        self.look_up(address).map_err(|failure| answer(&failure))
    }

    fn message(&mut self, letter: &Letter, text: &mut dyn BufRead) -> Answer {
        let word = |party: &Party| OsString::from_vec(party.path.clone());
        self.wishes.sender = Some(word(&letter.sender));
        self.wishes.sender_from_header = false;
        self.wishes.recipients = letter.recipients.iter().map(word).collect();
        self.wishes.dsn = self.wanted(letter);
        let sent = self.at_desk(|counter, desk| {
            match submit(&counter.wishes, desk, text, counter.watch)? {
                Outcome::Cancelled(_) => Err(smtp::interrupted(Stage::Argv)),
                Outcome::Queued(id, _) => Ok(format!("queued as {id}")),
                _ => Ok(format!("sent as {}", desk.id)),
            }
        });
        // Between messages a signal kills: nothing of ours can be lost then.
        let signals = Signals::arm();
        signals.disarm();
        self.closes = signals.taken().is_some();
        // The log has them once now.
        self.wishes.notes.clear();
        self.id = None;
        match sent {
            Ok(what) => Answer::new(250, "2.0.0", format!("ok: {what}")),
            Err(failure) => answer(&failure),
        }
    }

    fn closes(&self) -> bool {
        self.closes
    }
}

/// The last reply of a dialogue that cannot begin or go on.
pub fn farewell(failure: &Failure) -> Answer {
    Answer::new(421, "4.3.0", failure.one_line())
}

/// The reply that a failure earns.
///
/// What a later try may mend is answered with 4yz, so that the client keeps the message.
pub(super) fn answer(failure: &Failure) -> Answer {
    let too_large = failure.reason() == Some("size") || failure.code() == Some("552");
    let (code, status) = match (failure.fate(), failure.class(), failure.code()) {
        (Fate::Return, Class::Data | Class::Unavailable, _) if too_large => (552, "5.3.4"),
        (Fate::Return, Class::Data, _) => (554, "5.6.0"),
        (Fate::Return, Class::NoUser, _) => (550, "5.1.1"),
        (Fate::Return, Class::NoPermission, _) => (554, "5.7.1"),
        (Fate::Return, Class::Unavailable | Class::Usage, _) => (554, "5.0.0"),
        (_, _, Some("452")) => (452, "4.3.1"),
        (_, Class::Config, _) => (451, "4.3.5"),
        _ => (451, "4.3.0"),
    };
    Answer::new(code, status, failure.one_line())
}

/// The one address of a path.
pub(super) fn one_address(path: &[u8]) -> Result<Address, Fault> {
    let mut found = scan_word(path).into_iter();
    match (found.next(), found.next()) {
        (Some(Ok(mailbox)), None) => Ok(mailbox.address),
        (Some(Err(fault)), _) => Err(fault),
        (None, _) => Err(Fault::new(path, "there is no address in it")),
        (_, Some(_)) => Err(Fault::new(path, "one address is wanted, not several")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_no_later_try_can_mend_is_refused_for_good() {
        let failed = |class| Failure::new(class, "no");
        for (failure, code) in [
            (Failure::defer("no"), 451),
            (Failure::hold("no"), 451),
            (Failure::unsure("no"), 451),
            (Failure::defer("no").with_code(452), 452),
            (Failure::defer("no").with_code(552), 451),
            (failed(Class::Data), 554),
            (failed(Class::Data).with_reason("size"), 552),
            (failed(Class::Unavailable), 554),
            (failed(Class::Unavailable).with_code(552), 552),
            (failed(Class::Unavailable).with_reason("size"), 552),
            (failed(Class::NoUser), 550),
            (failed(Class::NoPermission), 554),
            (failed(Class::Config), 451),
            (failed(Class::Config).with_reason("size"), 451),
            (failed(Class::OsError), 451),
            (failed(Class::Io), 451),
            (failed(Class::Software), 451),
        ] {
            assert_eq!(answer(&failure).code(), code, "{failure:?}");
        }
    }

    #[test]
    fn one_line_says_what_why_and_what_to_do() {
        let failure = Failure::hold("no token")
            .because("AADSTS700082: expired\r\n250 ok")
            .fix("run `sendmail365 login`");
        assert_eq!(
            answer(&failure).to_string(),
            "451 4.3.0 no token: AADSTS700082: expired\\x0d\\x0a250 ok; run `sendmail365 login`"
        );
        assert!(farewell(&failure).to_string().starts_with("421 4.3.0 "));
    }

    #[test]
    fn a_path_is_exactly_one_address() {
        for (path, address) in [
            ("<a@x.test>", "a@x.test"),
            ("a@x.test", "a@x.test"),
            ("<@r.test:a@x.test>", "a@x.test"),
            ("<root>", "root"),
            ("<\"a>b\"@x.test>", "\"a>b\"@x.test"),
        ] {
            assert_eq!(one_address(path.as_bytes()).unwrap().to_string(), address);
        }
        for path in [
            "<>",
            "<a@x.test, b@x.test>",
            "<a b>",
            "<a@@b>",
            "a@x.test\r",
            "()",
        ] {
            assert!(one_address(path.as_bytes()).is_err(), "{path}");
        }
    }
}
