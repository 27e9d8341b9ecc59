//! One message offered to the server, with a token that holds.

use super::Desk;
use super::content::{Prepared, dsn};
use crate::cli::Dsn;
use crate::mail::address::{Address, Wire};
use crate::mail::envelope::{Envelope, Sender};
use crate::mail::message::Message;
use crate::oauth::{self, AccessToken};
use crate::outcome::{Class, Failure, Stage};
use crate::smtp;
use crate::sys::clock;
use crate::sys::log::Level;
use crate::sys::tls::Tls;

/// Most recipients of one transaction: a mailbox can be set to take up to 1,000.
pub(super) const TRANSACTION_MAX: usize = 1000;

/// The envelope as it is said to the server.
pub(super) struct Paths {
    /// None is the null sender.
    pub(super) sender: Option<smtp::Path>,
    pub(super) recipients: Vec<smtp::Path>,
}

/// Offers the message to the server; a token that it refuses is renewed once.
pub(super) fn offer(
    envelope: &Envelope,
    message: &Message,
    wishes: &Dsn,
    desk: &Desk<'_>,
    watch: &mut smtp::Watch<'_>,
) -> Result<smtp::Receipt, Failure> {
    let Paths { sender, recipients } = paths(envelope)?;
    let store = oauth::Store::new(desk.config.token_dirs.clone());
    let grant = desk.config.sign_in(&store);
    // A job that pipes its output in may have taken hours; how long a token lasts is counted from now.
    let now = clock::now();
    let token = grant
        .access_token(desk.journal, now)
        .map_err(|failure| own_sign_in(desk, failure))?;
    let tls = Tls::new(&desk.config.roots)?;
    let mut session = match sign_in(desk, &tls, &token, watch) {
        Err(rejection) if rejection.token_refused => {
            let renewed = grant.access_token_after_refusal(&token, desk.journal, now)?;
            sign_in(desk, &tls, &renewed, watch).map_err(|rejection| rejection.failure)?
        }
        other => other.map_err(|rejection| rejection.failure)?,
    };
    let offered = session.offered();
    let prepared = Prepared::new(message, offered, desk.journal);
    let envelope = smtp::Envelope {
        sender: sender.as_ref(),
        recipients: &recipients,
        dsn: dsn(wishes, offered, desk.journal),
    };
    session
        .submit(
            &envelope,
            &prepared.content(),
            smtp::Manner::default(),
            watch,
        )
        .map_err(|refusal| refusal.failure)
}

/// The envelope as one transaction, if it can be one.
pub(super) fn paths(envelope: &Envelope) -> Result<Paths, Failure> {
    let sender = match &envelope.sender {
        Sender::Null => None,
        Sender::Mailbox(address) => Some(path(address)?),
    };
    let recipients = envelope.recipients.iter().map(path);
    let recipients = recipients.collect::<Result<Vec<_>, _>>()?;
    if recipients.len() > TRANSACTION_MAX {
        let what = format!("{} recipients", recipients.len());
        return Err(Failure::new(Class::Unavailable, what)
            .because("too many for one transaction, and there is no queue to split it")
            .fix(format!("send to at most {TRANSACTION_MAX} at a time"))
            .at(Stage::Rcpt));
    }
    Ok(Paths { sender, recipients })
}

fn sign_in(
    desk: &Desk<'_>,
    tls: &Tls,
    token: &AccessToken,
    watch: &mut smtp::Watch<'_>,
) -> Result<smtp::Session, smtp::Rejection> {
    let mut session =
        smtp::Session::open(&desk.config.server, tls, smtp::Limits::default(), watch)?;
    let user = &desk.config.account.user;
    session.sign_in(
        &smtp::Credentials {
            user,
            token: token.secret(),
        },
        watch,
    )?;
    Ok(session)
}

/// A caller who brings his own configuration needs a sign-in of his own with it: the host's is out
/// of his reach, and no administrator will ever end that.
fn own_sign_in(desk: &Desk<'_>, failure: Failure) -> Failure {
    let unreachable = matches!(failure.reason(), Some("no-token" | "unreadable"));
    if !desk.config.callers_own || desk.caller.uid == 0 || !unreachable {
        return failure;
    }
    let line = desk.journal.line("denied").word("what", "config-override");
    desk.journal.write(Level::Warning, &line);
    Failure::new(Class::Config, "no credentials with the configuration that you chose")
        .because(failure.why().unwrap_or("there is no sign-in"))
        .fix("name a directory of your own in [paths] tokens and run `sendmail365 login --import FILE`, or leave out -C")
        .at(Stage::Token)
}

fn path(address: &Address) -> Result<smtp::Path, Failure> {
    let Wire { path, utf8 } = address.wire().map_err(|fault| {
        Failure::new(Class::Data, "an address cannot be sent")
            .because(fault)
            .fix("correct the address or the configured domain")
            .at(Stage::Argv)
    })?;
    Ok(smtp::Path { text: path, utf8 })
}
