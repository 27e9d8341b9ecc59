//! What of a message depends on the server: how its body travels, and whom to ask for notices.

use crate::cli;
use crate::mail::message::Message;
use crate::mail::transfer::{Cause, Transfer, transfer};
use crate::smtp;
use crate::sys::log::{Journal, Level};
use std::borrow::Cow;

/// A message as one server takes it.
pub(super) struct Prepared<'a> {
    header: Vec<u8>,
    body: Cow<'a, [u8]>,
    utf8_header: bool,
}

impl<'a> Prepared<'a> {
    /// Prepares the message for what the server offers; what is done to it is logged.
    ///
    /// The message itself stays as it is: another server may offer something else.
    pub(super) fn new(
        message: &'a Message,
        offered: smtp::Offered,
        journal: &Journal<'_>,
    ) -> Prepared<'a> {
        let mut header = message.header.clone();
        let transfer = transfer(&mut header, &message.body, offered.eight_bit_mime);
        for text in notes(&transfer) {
            let line = journal.line("body").text("reason", &text);
            journal.write(Level::Info, &line);
        }
        Prepared {
            header: header.octets(),
            body: transfer.body,
            utf8_header: header.eight_bit(),
        }
    }

    /// The octets that are sent.
    pub(super) fn content(&self) -> smtp::Content<'_> {
        smtp::Content {
            header: &self.header,
            body: &self.body,
            eight_bit: self.utf8_header || !self.body.is_ascii(),
            utf8_header: self.utf8_header,
        }
    }
}

/// The wishes for notifications as one line, for an entry of the queue.
pub(super) fn dsn_text(wishes: &cli::Dsn) -> Option<String> {
    let notify = wishes.notify.map(|notify| match notify {
        cli::Notify::Never => "notify=never".to_owned(),
        cli::Notify::On {
            success,
            failure,
            delay,
        } => {
            let kinds = [(success, "success"), (failure, "failure"), (delay, "delay")];
            let kinds: Vec<&str> = kinds
                .iter()
                .filter(|(on, _)| *on)
                .map(|(_, kind)| *kind)
                .collect();
            format!("notify={}", kinds.join(","))
        }
    });
    let ret = wishes.ret.map(|ret| match ret {
        cli::Ret::Full => "ret=full".to_owned(),
        cli::Ret::Headers => "ret=hdrs".to_owned(),
    });
    let envid = wishes.envid.as_ref().map(|envid| format!("envid={envid}"));
    let words: Vec<String> = [notify, ret, envid].into_iter().flatten().collect();
    (!words.is_empty()).then(|| words.join(" "))
}

/// The wishes that such a line holds; what cannot be read is no wish.
pub(super) fn dsn_wishes(text: &str) -> cli::Dsn {
    let value = |key: &str| {
        text.split(' ')
            .find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
    };
    let notify = value("notify").map(|kinds| match kinds {
        "never" => cli::Notify::Never,
        kinds => {
            let on = |kind: &str| kinds.split(',').any(|one| one == kind);
            cli::Notify::On {
                success: on("success"),
                failure: on("failure"),
                delay: on("delay"),
            }
        }
    });
    let ret = value("ret").map(|ret| match ret {
        "hdrs" => cli::Ret::Headers,
        _ => cli::Ret::Full,
    });
    cli::Dsn {
        notify,
        ret,
        envid: value("envid").map(str::to_owned),
    }
}

fn notes(transfer: &Transfer<'_>) -> Vec<String> {
    let cause = transfer.encoded.map(|cause| match cause {
        Cause::LongLine => "a line is over 998 octets",
        Cause::EightBit => "the server does not offer 8BITMIME",
    });
    let encoded = cause.map(|cause| format!("encoded as quoted-printable: {cause}"));
    let broken = (transfer.broken > 0)
        .then(|| format!("lines over 998 octets were broken: {}", transfer.broken));
    let unasked = transfer
        .eight_bit_unasked
        .then(|| "8-bit text is sent though the server does not offer 8BITMIME".to_owned());
    [encoded, broken, unasked].into_iter().flatten().collect()
}

/// The caller's wishes for notifications in the words of SMTP; logged if the server takes none.
pub(super) fn dsn<'a>(
    wishes: &'a cli::Dsn,
    offered: smtp::Offered,
    journal: &Journal<'_>,
) -> smtp::Dsn<'a> {
    if *wishes != cli::Dsn::default() && !offered.dsn {
        let text = "-N, -R, -V: the server does not offer DSN";
        let line = journal.line("ignored").text("reason", text);
        journal.write(Level::Info, &line);
    }
    smtp::Dsn {
        notify: wishes.notify.map(|notify| match notify {
            cli::Notify::Never => smtp::Notify::Never,
            cli::Notify::On {
                success,
                failure,
                delay,
            } => smtp::Notify::On {
                success,
                failure,
                delay,
            },
        }),
        ret: wishes.ret.map(|ret| match ret {
            cli::Ret::Full => smtp::Ret::Full,
            cli::Ret::Headers => smtp::Ret::Headers,
        }),
        envid: wishes.envid.as_deref().and_then(smtp::Xtext::new),
    }
}
