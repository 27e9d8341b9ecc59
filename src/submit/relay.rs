//! `-bs` of a process without rights: each message goes by the socket, and its reply is what came of it.

use super::counter::{answer, one_address};
use super::handover::{options, unheard};
use super::offer::TRANSACTION_MAX;
use crate::cli::Submission;
use crate::letterbox::{self, Reply, Unheard};
use crate::mail::body::unreadable;
use crate::mail::dsn::Dsn;
use crate::outcome::{Class, Failure, Stage};
use crate::smtp::stdio::{Answer, Clerk, Letter, Party};
use crate::sys::stdio;
use std::ffi::OsString;
use std::io::{BufRead, Read};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

/// Most octets of a message; what it may have is decided where it is sent.
pub const SIZE_MAX: u64 = 256 * 1024 * 1024;

/// Where messages are handed on, one after the other. Names that lead nowhere are found out there.
pub struct Relay<'a> {
    /// What the options ask of every message.
    pub wishes: &'a Submission,
    /// Why it is not done here.
    pub closed: &'a Failure,
}

impl Clerk for Relay<'_> {
    fn sender(&mut self, sender: &Party) -> Result<(), Answer> {
        match sender.path == b"<>" {
            true => Ok(()),
            false => judge(&sender.path, "5.1.7"),
        }
    }

    fn recipient(&mut self, letter: &Letter, recipient: &Party) -> Result<(), Answer> {
        match letter.recipients.len() < TRANSACTION_MAX {
            true => judge(&recipient.path, "5.1.3"),
            false => Err(Answer::new(452, "4.5.3", "too many recipients")),
        }
    }

    fn message(&mut self, letter: &Letter, text: &mut dyn BufRead) -> Answer {
        let mut octets = Vec::new();
        if let Err(error) = text.take(SIZE_MAX + 1).read_to_end(&mut octets) {
            return answer(&unreadable(&error));
        }
        if octets.len() as u64 > SIZE_MAX {
            return answer(&too_large());
        }
        let words = self.words(letter);
        match letterbox::hand_over(Path::new(letterbox::PATH), &words, &[&octets]) {
            Ok(reply) => {
                if self.wishes.verbose {
                    reply.lines.iter().for_each(|line| stdio::complain(line));
                }
                answer_of(&reply)
            }
            Err(Unheard::Nobody(_)) => answer(self.closed),
            Err(other) => answer(&unheard(&other)),
        }
    }
}

impl Relay<'_> {
    /// The command line that asks for the same.
    fn words(&self, letter: &Letter) -> Vec<OsString> {
        let (asked, base) = (letter.dsn(), &self.wishes.dsn);
        let dsn = Dsn {
            notify: asked
                .notify
                .or(base.notify.filter(|_| !letter.notify_differs())),
            ret: asked.ret.or(base.ret),
            envid: asked.envid.or(base.envid.clone()),
        };
        let mut words: Vec<OsString> = ["sendmail", "-i"].map(OsString::from).into();
        for (option, wanted) in [("-v", self.wishes.verbose), ("-n", self.wishes.no_aliases)] {
            words.extend(wanted.then(|| OsString::from(option)));
        }
        if let Some(name) = &self.wishes.full_name {
            words.extend(["-F".into(), name.clone()]);
        }
        words.extend(options(&dsn).into_iter().map(OsString::from));
        let path = |party: &Party| OsString::from_vec(party.path.clone());
        words.extend(["-f".into(), path(&letter.sender), "--".into()]);
        words.extend(letter.recipients.iter().map(path));
        words
    }
}

fn judge(path: &[u8], status: &'static str) -> Result<(), Answer> {
    let refused = |fault| Answer::new(501, status, format!("no address: {fault}"));
    one_address(path).map(|_| ()).map_err(refused)
}

/// The failure of a message that has more than can be held.
pub fn too_large() -> Failure {
    Failure::new(Class::Data, "the message is too large")
        .because(format!("it has more than {SIZE_MAX} octets"))
        .fix("send it as a link, or in parts")
        .with_reason("size")
        .at(Stage::Stdin)
}

/// The reply that an exit status earns, with the line that explains it.
fn answer_of(reply: &Reply) -> Answer {
    let (code, status) = match reply.status {
        0 => (250, "2.0.0"),
        64 | 69 => (554, "5.0.0"),
        65 => (554, "5.6.0"),
        67 => (550, "5.1.1"),
        77 => (554, "5.7.1"),
        _ => (451, "4.3.0"),
    };
    let told = |line: &&String| line.starts_with("sendmail: ");
    let line = match reply.status {
        0 => reply.lines.iter().rfind(told),
        _ => reply.lines.iter().find(told),
    };
    let text = line.map_or("sent", |line| line.trim_start_matches("sendmail: "));
    match reply.status {
        0 => Answer::new(code, status, format!("ok: {text}")),
        _ => Answer::new(code, status, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_becomes_the_reply_that_lets_a_client_do_the_right_thing() {
        let said = |status, lines: &[&str]| {
            let lines = lines.iter().map(|&line| line.to_owned()).collect();
            answer_of(&Reply { status, lines }).to_string()
        };
        assert_eq!(said(0, &[]), "250 2.0.0 ok: sent");
        let queued = ["250 ok", "sendmail: no network", "sendmail: queued as 1-2"];
        assert_eq!(said(0, &queued), "250 2.0.0 ok: queued as 1-2");
        for (status, reply) in [(65, "554 5.6.0"), (67, "550 5.1.1"), (77, "554 5.7.1")] {
            let line = said(status, &[">>> MAIL", "sendmail: a: b", "sendmail: do c"]);
            assert_eq!(line, format!("{reply} a: b"));
        }
        for status in [70, 71, 75, 78, 1, 255] {
            assert!(said(status, &[]).starts_with("451 "), "{status}");
        }
    }
}
