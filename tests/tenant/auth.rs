//! AUTH XOAUTH2, in one step and in two, and Microsoft's ways to say no.

use super::faults::{Act, Fault, Stage};
use super::state::SmtpAuth;
use super::submission::Session;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::io;

const INVALID: &str = "501 5.5.124 Invalid XOAUTH2 auth data";
const TOKEN_MIN: usize = 100;
const UNSUCCESSFUL: &str = "535 5.7.3 Authentication unsuccessful";

/// The reply to AUTH, after as many steps as the client wants.
pub fn authenticate(session: &mut Session, argument: &str) -> io::Result<String> {
    let (mechanism, initial) = match argument.split_once(' ') {
        Some((mechanism, initial)) => (mechanism, Some(initial.to_owned())),
        None => (argument, None),
    };
    if !session.tls || !session.features.xoauth2 {
        return Ok(session.with_tail("504 5.7.4 Unrecognized authentication type"));
    }
    if !session.greeted || session.user.is_some() || session.transaction.is_some() {
        return Ok("503 5.5.1 Bad sequence of commands".to_owned());
    }
    match mechanism.to_ascii_uppercase().as_str() {
        "XOAUTH2" => {}
        "LOGIN" => {
            return Ok(session.with_tail(
                "535 5.7.139 Authentication unsuccessful, basic authentication is disabled.",
            ));
        }
        _ => return Ok(session.with_tail("504 5.7.4 Unrecognized authentication type")),
    }
    let only_two_steps = session.shared.ledger().faults.take(|fault| match fault {
        Fault::TwoStepOnly(code) if initial.is_some() => Some(*code),
        _ => None,
    });
    if let Some(code) = only_two_steps {
        return Ok(format!("{code} 5.5.4 Initial response is not accepted"));
    }
    match initial {
        Some(response) => judge(session, &response),
        None => second_step(session),
    }
}

fn second_step(session: &mut Session) -> io::Result<String> {
    session.say("334 ");
    let Some(response) = next_line(session, "token")? else {
        session.ended = true;
        return Ok(INVALID.to_owned());
    };
    match session.fault(Stage::AuthStep) {
        Some(Act::Reply(octets)) => Ok(String::from_utf8_lossy(&octets)
            .trim_end_matches("\r\n")
            .to_owned()),
        Some(Act::Slowly(_)) => judge(session, &response),
        Some(act) => {
            session.misbehave(&act)?;
            Err(io::ErrorKind::ConnectionAborted.into())
        }
        None => judge(session, &response),
    }
}

fn judge(session: &mut Session, response: &str) -> io::Result<String> {
    if response == "*" {
        session.note("client cancelled AUTH");
        return Ok(session.with_tail(UNSUCCESSFUL));
    }
    // Shorter ones are tests of the syntax.
    if response.len() >= TOKEN_MIN {
        session.shared.ledger().secrets.push(response.to_owned());
    }
    let Some((user, token)) = credentials(response) else {
        session.note("response is no base64 of user, auth=Bearer and token");
        return Ok(session.with_tail(INVALID));
    };
    if session.shared.ledger().faults.strikes(&Fault::Challenge334) {
        let challenge = r#"{"status":"401","schemes":"bearer","scope":"https://mail.example/"}"#;
        session.say(&format!("334 {}", STANDARD.encode(challenge)));
        match next_line(session, "answer to the challenge")? {
            Some(line) if line.is_empty() => {}
            Some(_) => session.note("the challenge was not answered with an empty line"),
            None => session.ended = true,
        }
        return Ok(session.with_tail(UNSUCCESSFUL));
    }
    Ok(verdict(session, user, &token))
}

fn verdict(session: &mut Session, user: String, token: &str) -> String {
    let setup = &session.shared.setup;
    let mint = &session.shared.mint;
    let opaque = session.shared.ledger().opaque_tokens.get(token).cloned();
    let known = opaque.map(|claims| mint.token(&claims));
    let holder = match mint.admits(known.as_deref().unwrap_or(token), &user, setup) {
        Ok(holder) => holder,
        Err(reason) => {
            session.note(&reason);
            return session.with_tail(UNSUCCESSFUL);
        }
    };
    if ![&setup.user, &setup.mailbox]
        .iter()
        .any(|name| name.eq_ignore_ascii_case(&user))
    {
        session.note(&format!("{user} is no mailbox with a licence"));
        return session.with_tail(UNSUCCESSFUL);
    }
    let mut ledger = session.shared.ledger();
    let place = match ledger.switch {
        SmtpAuth::Enabled => {
            ledger.signed_in += 1;
            session.user = Some(user);
            session.holder = holder;
            return "235 2.7.0 Authentication successful".to_owned();
        }
        SmtpAuth::DisabledForTenant => "Tenant",
        SmtpAuth::DisabledForMailbox => "Mailbox",
    };
    session.with_tail(&format!(
        "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the \
         {place}. Visit https://aka.ms/smtp_auth_disabled for more information."
    ))
}

/// User and token out of an XOAUTH2 response, which must be exact to the octet.
fn credentials(response: &str) -> Option<(String, String)> {
    let text = String::from_utf8(STANDARD.decode(response).ok()?).ok()?;
    let (user, rest) = text.strip_prefix("user=")?.split_once('\u{1}')?;
    let token = rest
        .strip_prefix("auth=Bearer ")?
        .strip_suffix("\u{1}\u{1}")?;
    let sound = !token.is_empty() && token.bytes().all(|octet| octet.is_ascii_graphic());
    sound.then(|| (user.to_owned(), token.to_owned()))
}

/// A line that is no command; written down without its text.
fn next_line(session: &mut Session, what: &str) -> io::Result<Option<String>> {
    session.flush()?;
    let line = session.command_line()?;
    if let Some(line) = &line {
        session.hear(
            &format!("[{what}, {} octets, redacted]", line.len()),
            line.len() + 2,
        );
    }
    Ok(line)
}
