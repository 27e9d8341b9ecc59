//! DATA and BDAT: the octets of a message, and whether the tenant takes it.

use super::clock;
use super::faults::{Act, Fault, Stage};
use super::message;
use super::submission::{BACK_END, Session};
use super::tokens::Holder;
use super::transaction::Transaction;
use std::io;
use std::time::{Duration, Instant};

/// More than any test sends; the tenant reads on behind its SIZE, as Exchange does.
const MESSAGE_MAX: usize = 512 << 20;
const MINUTE: Duration = Duration::from_secs(60);

/// Reads a message after 354 and answers it. Nothing but CR LF dot CR LF ends it.
pub fn receive(session: &mut Session) -> io::Result<()> {
    inside(session)?;
    if session.ended {
        return Ok(());
    }
    let Some(received) = session.wire.message(MESSAGE_MAX)? else {
        session.note("connection ended inside the message");
        session.ended = true;
        return Ok(());
    };
    session.hear(
        &format!("(message of {} octets)", received.len()),
        received.len() + 3,
    );
    let Some(transaction) = session.transaction.take() else {
        return Ok(());
    };
    conclude(session, message::unstuffed(&received), transaction)?;
    if session.wire.holds_more() {
        Ok(())
    } else {
        session.flush()
    }
}

/// `BDAT size [LAST]` (RFC 3030 section 2).
pub fn chunk(session: &mut Session, argument: &str) -> io::Result<()> {
    let mut words = argument.split(' ');
    let size = words.next().and_then(|word| word.parse::<usize>().ok());
    let last = words.next().map(|word| word.eq_ignore_ascii_case("LAST"));
    let (Some(size), None | Some(true), None) = (size, last, words.next()) else {
        session.say("501 5.5.4 Invalid arguments");
        session.ended = true;
        return Ok(());
    };
    inside(session)?;
    if session.ended {
        return Ok(());
    }
    let Some(octets) = session.wire.exactly(size.min(MESSAGE_MAX))? else {
        session.note("connection ended inside a chunk");
        session.ended = true;
        return Ok(());
    };
    session.hear(&format!("(chunk of {size} octets)"), size);
    let refused = match &mut session.transaction {
        _ if !session.features.chunking => Some("500 5.3.3 Unrecognized command"),
        None => Some("503 5.5.2 Need mail command"),
        Some(transaction) if transaction.recipients.is_empty() => {
            Some("503 5.5.2 Need rcpt command")
        }
        Some(transaction) => {
            transaction.chunks.extend(octets);
            None
        }
    };
    match refused {
        Some(reply) => session.say(reply),
        None if last.is_none() => session.say(&format!("250 2.0.0 {size} octets received")),
        None => {
            let Some(mut transaction) = session.transaction.take() else {
                return Ok(());
            };
            let message = std::mem::take(&mut transaction.chunks);
            return conclude(session, message, transaction);
        }
    }
    Ok(())
}

/// Faults that strike when the first octets of a message are there.
fn inside(session: &mut Session) -> io::Result<()> {
    let zero_window = session.shared.ledger().faults.strikes(&Fault::ZeroWindow);
    let act = session.fault(Stage::Body);
    if !zero_window && act.is_none() {
        return Ok(());
    }
    if !session.wire.holds_more() && !session.wire.fill()? {
        session.ended = true;
        return Ok(());
    }
    if zero_window {
        session.note("fault: nothing is read any more");
        // Whether the client has left cannot be seen from here; it must not count as connected.
        session.sign_out();
        session.wire.stop_reading();
        session.ended = true;
    } else if let Some(act) = act {
        session.misbehave(&act)?;
    }
    Ok(())
}

fn conclude(session: &mut Session, data: Vec<u8>, transaction: Transaction) -> io::Result<()> {
    let instead = session.shared.ledger().faults.take(|fault| match fault {
        Fault::AcceptThen(act) => Some(act.clone()),
        Fault::AcceptThenClose => Some(Act::Close),
        _ => None,
    });
    let Some(act) = instead else {
        return session.answer(Stage::End, |session| {
            Ok(verdict(session, data, transaction))
        });
    };
    let reply = verdict(session, data, transaction);
    session.note(&format!("not said: {reply}"));
    session.misbehave(&act)
}

fn verdict(session: &mut Session, data: Vec<u8>, transaction: Transaction) -> String {
    let refusal = logon(session).or_else(|| message::refusal(session.shared, &data, &transaction));
    if let Some(reply) = refusal.or_else(|| throttle(session)) {
        return format!("{reply} [Hostname={BACK_END}]");
    }
    let host = BACK_END.split('.').next().unwrap_or_default();
    let new_id = format!("<{host}{}@{BACK_END}>", clock::session_id()).to_lowercase();
    session.store(data, transaction, new_id.clone());
    format!("250 2.0.0 OK {new_id} [Hostname={BACK_END}]")
}

/// An application signs in without its permission on the mailbox, and fails only here.
fn logon(session: &Session) -> Option<String> {
    let denied = session.holder == Holder::Application && !session.shared.setup.mailbox_permission;
    denied.then(|| {
        "430 4.2.0 STOREDRV; mailbox logon failure; STOREDRV.Submission.Exception:\
         ConnectionFailedTransientException.MapiExceptionLogonFailed; Failed to process message \
         due to a transient exception"
            .to_owned()
    })
}

/// Microsoft counts connections and messages of the whole mailbox, and tells so at the end.
fn throttle(session: &Session) -> Option<String> {
    let setup = &session.shared.setup;
    let mut ledger = session.shared.ledger();
    if ledger.signed_in > setup.connections_max {
        let text = "432 4.3.2 Concurrent connections limit exceeded. Visit \
                    https://aka.ms/concurrent_sending for more information.";
        return Some(text.to_owned());
    }
    let now = Instant::now();
    ledger
        .pace
        .retain(|taken| now.duration_since(*taken) < MINUTE);
    if setup
        .per_minute
        .is_some_and(|limit| !ledger.any_rate && ledger.pace.len() >= limit)
    {
        let text = "432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded";
        return Some(text.to_owned());
    }
    ledger.pace.push_back(now);
    None
}
