//! What of a message depends on the server: how its body travels, and whom to ask for notices.

use crate::mail::dsn::Dsn;
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
    /// Prepares the message for what the server offers; what is done to it is told the journal.
    ///
    /// The message itself stays as it is: another server may offer something else.
    pub(super) fn new(
        message: &'a Message,
        offered: smtp::Offered,
        journal: Option<&Journal<'_>>,
    ) -> Prepared<'a> {
        let mut header = message.header.clone();
        let transfer = transfer(&mut header, &message.body, offered.eight_bit_mime);
        for (text, journal) in notes(&transfer).iter().zip(journal.into_iter().cycle()) {
            let line = journal.line("body").text("reason", text);
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

/// Says in the log that a server takes no wishes for notifications.
pub(super) fn note_dsn(wishes: &Dsn, offered: smtp::Offered, journal: &Journal<'_>) {
    if *wishes != Dsn::default() && !offered.dsn {
        let text = "-N, -R, -V: the server does not offer DSN";
        let line = journal.line("ignored").text("reason", text);
        journal.write(Level::Info, &line);
    }
}
