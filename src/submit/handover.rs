//! A message that this process has read but cannot send from where it is, handed to the socket.
//!
//! A service may be shut in: no way to the network, and the queue on a file system that it cannot
//! write. Then whoever answers the socket, outside, may fare better.

use super::offer::path;
use super::ready::Ready;
use super::{Desk, Ended};
use crate::letterbox::{self, Unheard};
use crate::mail::dsn::Dsn;
use crate::outcome::{Class, Failure, Fate, Stage};
use crate::queue::Via;
use crate::sys::file::error_number_name;
use crate::sys::socket;
use std::ffi::OsString;
use std::io;
use std::path::Path;

/// What a process that is shut in meets on its way to the network.
const NO_NETWORK: [&str; 5] = [
    "ENETUNREACH",
    "ENETDOWN",
    "EAFNOSUPPORT",
    "EAI_AGAIN",
    "dns",
];

/// Whether a failure may be due to where this process is. Nothing was sent and nothing kept.
pub(super) fn may_help(failure: &Failure, desk: &Desk<'_>) -> bool {
    let error = failure.os_error().map(error_number_name);
    let error = failure.err().map(str::to_owned).or(error);
    let error = error.unwrap_or_default();
    let shut_in = match failure.stage() {
        Some(Stage::Queue) => error == "EROFS",
        Some(Stage::TokenHttp | Stage::Dns | Stage::Connect) => {
            // A resolver says no more than that it has no answer.
            NO_NETWORK.contains(&error.as_str()) || socket::has_loopback_only()
        }
        _ => false,
    };
    let waits = matches!(failure.fate(), Fate::Defer | Fate::Hold);
    let hosts = !desk.config.callers_own && desk.via != Via::Socket;
    shut_in && waits && hosts && failure.class() == Class::TryAgain
}

/// Hands the message over as it would have been sent; none if nobody took it.
pub(super) fn hand_over(ready: &Ready) -> Option<Result<Ended, Failure>> {
    let words = words(ready).ok()?;
    let header = ready.message.header.octets();
    let message: [&[u8]; 3] = [&header, b"\r\n", &ready.message.body];
    match letterbox::hand_over(Path::new(letterbox::PATH), &words, &message) {
        Ok(reply) => Some(Ok(Ended::HandedOver(reply))),
        Err(Unheard::Unsure) => Some(Err(nothing_heard())),
        Err(_) => None,
    }
}

/// The command line that asks for the same.
fn words(ready: &Ready) -> Result<Vec<OsString>, Failure> {
    let mut words = ["sendmail", "-i", "-n"].map(str::to_owned).to_vec();
    words.extend(["-f".to_owned(), path(&ready.envelope.sender)?.text]);
    words.extend(options(&ready.dsn));
    words.push("--".to_owned());
    for recipient in ready.envelope.recipients.iter() {
        words.push(path(recipient)?.text);
    }
    Ok(words.into_iter().map(OsString::from).collect())
}

/// The options that ask for the same notifications.
pub(super) fn options(dsn: &Dsn) -> Vec<String> {
    let mut words = Vec::new();
    for wish in dsn.line().unwrap_or_default().split_whitespace() {
        let (option, value) = match wish.split_once('=') {
            Some(("RET", value)) => ("-R", value),
            Some(("ENVID", value)) => ("-V", value),
            Some((_, value)) => ("-N", value),
            None => continue,
        };
        words.extend([option.to_owned(), value.to_owned()]);
    }
    words
}

/// The failure of a message of which nothing was heard.
pub fn unheard(unheard: &Unheard) -> Failure {
    match unheard {
        Unheard::Nobody(error) | Unheard::NotTaken(error) => not_handed_over(error),
        Unheard::Unsure => nothing_heard(),
    }
}

/// The failure of a message that nobody at the socket took.
fn not_handed_over(error: &io::Error) -> Failure {
    Failure::defer("the message was not handed over")
        .because(format!("{} takes none now: {error}", letterbox::PATH))
        .fix("try again later; `systemctl status sendmail365.socket` shows how it fares")
        .with_os_error(error)
        .at(Stage::Queue)
}

/// The failure of a message that was taken, and of which nothing was heard any more.
fn nothing_heard() -> Failure {
    Failure::unsure("the message may have been delivered, or queued")
        .because(format!(
            "the connection to {} broke before the answer",
            letterbox::PATH
        ))
        .with_reason("lost")
        .at(Stage::Queue)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_are_asked_for_as_they_were() {
        let line = "RET=HDRS ENVID=x+2By NOTIFY=SUCCESS,DELAY";
        let asked = ["-R", "HDRS", "-V", "x+2By", "-N", "SUCCESS,DELAY"];
        assert_eq!(options(&Dsn::from_line(line)), asked);
        assert!(options(&Dsn::default()).is_empty());
    }
}
