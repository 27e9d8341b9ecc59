//! A message made ready: read, addressed, mended.

use super::addressing::{Chosen, Unusable, choose_recipients, choose_sender, sender_policy};
use super::record::Known;
use super::{Desk, failure_line};
use crate::cli::Submission;
use crate::mail::address::Address;
use crate::mail::annex::OpenAnnex;
use crate::mail::body::DotRule;
use crate::mail::dsn::{Dsn, Notify};
use crate::mail::envelope::Envelope;
use crate::mail::message::{Message, Notes};
use crate::mail::repair::{self, Facts, Trace};
use crate::mail::rewrite::{self, Policy};
use crate::outcome::Failure;
use crate::queue::Caps;
use crate::sys::clock::LocalTime;
use crate::sys::log::Level;
use crate::sys::random;
use std::io::BufRead;
use std::os::unix::ffi::OsStrExt;

/// A message with all that decides where it goes.
pub(super) struct Ready {
    pub(super) envelope: Envelope,
    pub(super) message: Message,
    pub(super) dsn: Dsn,
    /// Who cannot get it.
    pub(super) unusable: Option<Unusable>,
}

/// Reads the message, decides who sends it to whom, and mends its header.
pub(super) fn prepare(
    wishes: &Submission,
    desk: &Desk<'_>,
    input: impl BufRead,
    known: &mut Known,
) -> Result<Ready, Failure> {
    let dots = match wishes.dot_is_text {
        true => DotRule::Text,
        false => DotRule::Ends {
            regular_file: desk.regular_file,
        },
    };
    let spool = desk.config.queue.enabled.then(|| desk.config.spool());
    let mut annex = spool.map(|spool| move || spool.annex(desk.id, &Caps::default()));
    let annex = annex.as_mut().map(|open| open as OpenAnnex<'_>);
    let mut message = Message::read_with(annex, input, dots, desk.config.message_size_max)?;
    if let Some(failure) = &message.in_memory {
        let line = failure_line(desk.journal.line("spool"), failure);
        desk.journal.write(Level::Warning, &line);
    }
    known.nul = message.notes.nul;
    record_dropped(desk, &message.notes);
    known.size_bytes = Some(message.size());
    let (sender, unanswered) = choose_sender(wishes, desk, &message)?;
    known.from = Some(sender.to_string());
    let Chosen {
        recipients,
        unusable,
    } = choose_recipients(wishes, desk, &message)?;
    known.to = recipients.iter().next().map(Address::to_string);
    known.recipients = Some(recipients.len());
    edit(wishes, desk, &sender, &mut message)?;
    known.size_bytes = Some(message.size());
    let never = (unanswered || wishes.quiet).then_some(Notify::Never);
    Ok(Ready {
        envelope: Envelope { sender, recipients },
        message,
        dsn: Dsn {
            notify: wishes.dsn.notify.or(never),
            ..wishes.dsn.clone()
        },
        unusable,
    })
}

/// What of the input is not part of the message, for whoever looks for it.
fn record_dropped(desk: &Desk<'_>, notes: &Notes) {
    for (count, what) in [
        (
            notes.drained,
            "octets after the lone dot that ends a message without -i",
        ),
        (
            notes.from_lines,
            "From lines of a mailbox file before the header",
        ),
        (
            notes.continuation_lines,
            "continuation lines before the first header field",
        ),
    ] {
        if count > 0 {
            let line = desk.journal.line("ignored");
            let line = line.text("reason", &format!("{count} {what}"));
            desk.journal.write(Level::Info, &line);
        }
    }
}

/// Makes the header what Microsoft takes; what becomes of the body is decided by what it offers.
fn edit(
    wishes: &Submission,
    desk: &Desk<'_>,
    mailbox: &Address,
    message: &mut Message,
) -> Result<(), Failure> {
    let date = LocalTime::at(desk.now).rfc5322();
    let facts = Facts {
        mailbox,
        wished_name: wishes
            .full_name
            .as_ref()
            .map_or(&b""[..], |name| name.as_bytes()),
        full_name: &desk.caller.full_name,
        date: &date,
        random: u128::from(random::number()?) << 64 | u128::from(random::number()?),
    };
    let repairs = repair::repair(&mut message.header, &facts)?;
    let policy = sender_policy(desk);
    let rewrites = rewrite::rewrite(
        &mut message.header,
        &Policy {
            mailbox: &desk.config.mailbox,
            allowed: &|address| policy.allowed(address),
            rewrite: desk.config.sender.rewrite,
            domain: desk.config.recipients.domain.as_deref(),
        },
    );
    if rewrites.from.is_some() || rewrites.senders_dropped > 0 || repairs.from_dropped > 0 {
        let old = rewrites
            .from
            .as_ref()
            .map(Address::to_string)
            .unwrap_or_default();
        let line = desk.journal.line("from-rewritten").address("from", &old);
        desk.journal.write(Level::Info, &line);
    }
    if desk.config.sender.received {
        let trace = Trace {
            login: &desk.caller.login,
            uid: desk.caller.uid,
            host: desk.host,
            id: desk.id,
            date: &date,
        };
        repair::add_received(&mut message.header, &trace);
    }
    let folded = message.header.fold_long_lines();
    if folded > 0 {
        let text = format!("header fields with lines over 998 octets were folded: {folded}");
        let line = desk.journal.line("header").text("reason", &text);
        desk.journal.write(Level::Info, &line);
    }
    Ok(())
}
