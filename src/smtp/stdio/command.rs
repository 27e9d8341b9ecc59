//! A command line into a command, or the refusal it earns.

use super::{Answer, Party};
use crate::mail::dsn::{Envid, Notify, Ret, is_xtext};

/// The answer to HELP.
pub(super) const KNOWN: &str = "HELO EHLO MAIL RCPT DATA RSET NOOP VRFY HELP QUIT";

/// What a client can ask for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command {
    Helo,
    Ehlo,
    Mail(Party),
    Rcpt(Party),
    Data,
    Rset,
    Noop,
    Vrfy,
    Help,
    Quit,
}

/// Reads a line without its end.
pub(super) fn parse(line: &[u8]) -> Result<Command, Answer> {
    if line.iter().any(u8::is_ascii_control) {
        return Err(syntax("control characters are not allowed"));
    }
    let end = line.iter().position(|&octet| octet == b' ');
    let (verb, rest) = line.split_at(end.unwrap_or(line.len()));
    let rest = rest.trim_ascii();
    match verb.to_ascii_uppercase().as_slice() {
        b"HELO" => Ok(Command::Helo),
        b"EHLO" => Ok(Command::Ehlo),
        b"MAIL" => party(rest, b"FROM:", mail_fits).map(Command::Mail),
        b"RCPT" => party(rest, b"TO:", rcpt_fits).map(Command::Rcpt),
        b"DATA" if !rest.is_empty() => Err(syntax("DATA stands alone")),
        b"DATA" => Ok(Command::Data),
        b"RSET" => Ok(Command::Rset),
        b"NOOP" => Ok(Command::Noop),
        b"VRFY" => Ok(Command::Vrfy),
        b"HELP" => Ok(Command::Help),
        b"QUIT" => Ok(Command::Quit),
        b"EXPN" | b"ETRN" | b"AUTH" | b"STARTTLS" => {
            Err(Answer::new(502, "5.5.1", "there is no such service here"))
        }
        _ => Err(Answer::new(500, "5.5.1", "unknown command")),
    }
}

/// The size that MAIL announces; 0 without one.
pub(super) fn announced_size(sender: &Party) -> u64 {
    let size = sender.parameters.iter().find(|(name, _)| name == "SIZE");
    size.map_or(0, |(_, value)| {
        // Only digits have passed; what is no u64 is too many of them.
        let digits = std::str::from_utf8(value).unwrap_or_default();
        digits.parse().unwrap_or(u64::MAX)
    })
}

fn syntax(text: &str) -> Answer {
    Answer::new(501, "5.5.2", text)
}

/// Whether a value is one of its keyword's; none if the keyword is unknown.
type Fits = fn(keyword: &str, value: Option<&[u8]>) -> Option<bool>;

fn party(argument: &[u8], word: &[u8], fits: Fits) -> Result<Party, Answer> {
    let wanted = || {
        let word = String::from_utf8_lossy(word);
        syntax(&format!("{word}<address> is wanted"))
    };
    let (found, rest) = argument.split_at_checked(word.len()).ok_or_else(wanted)?;
    if !found.eq_ignore_ascii_case(word) {
        return Err(wanted());
    }
    let (path, rest) = path(rest.trim_ascii_start()).ok_or_else(wanted)?;
    let mut parameters = Vec::new();
    for parameter in rest.split(|&octet| octet == b' ').filter(|p| !p.is_empty()) {
        let equals = parameter.iter().position(|&octet| octet == b'=');
        let (keyword, value) = parameter.split_at(equals.unwrap_or(parameter.len()));
        let keyword = String::from_utf8_lossy(keyword).to_ascii_uppercase();
        let value = value.get(1..);
        match fits(&keyword, value) {
            Some(true) => parameters.push((keyword, value.unwrap_or_default().to_vec())),
            Some(false) => {
                let text = format!("wrong value of parameter {keyword}");
                return Err(Answer::new(501, "5.5.4", text));
            }
            None => {
                let text = format!("unknown parameter {keyword}");
                return Err(Answer::new(555, "5.5.4", text));
            }
        }
    }
    Ok(Party {
        path: path.to_vec(),
        parameters,
    })
}

/// The path and what follows it: up to the `>` outside of quotes, or without brackets to a blank.
fn path(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let bracketed = text.first() == Some(&b'<');
    let (mut quoted, mut escaped) = (false, false);
    let mut end = None;
    for (place, &octet) in text.iter().enumerate() {
        match octet {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'>' if bracketed && !quoted => {
                end = Some(place + 1);
                break;
            }
            b' ' if !bracketed && !quoted => {
                end = Some(place);
                break;
            }
            _ => {}
        }
    }
    let end = match bracketed {
        true => end?,
        false => end.unwrap_or(text.len()),
    };
    let (path, rest) = text.split_at_checked(end)?;
    let parted = rest.is_empty() || rest.starts_with(b" ");
    (parted && !path.is_empty()).then_some((path, rest))
}

fn mail_fits(keyword: &str, value: Option<&[u8]>) -> Option<bool> {
    Some(match (keyword, value) {
        // RFC 1870 section 3: 1 to 20 digits.
        ("SIZE", Some(value)) => {
            (1..=20).contains(&value.len()) && value.iter().all(u8::is_ascii_digit)
        }
        ("BODY", Some(value)) => is_one_of(value, &["7BIT", "8BITMIME"]),
        ("SMTPUTF8", value) => value.is_none(),
        ("RET", Some(value)) => text(value).and_then(Ret::parse).is_some(),
        ("ENVID", Some(value)) => text(value).and_then(Envid::parse).is_some(),
        ("SIZE" | "BODY" | "RET" | "ENVID", None) => false,
        _ => return None,
    })
}

fn rcpt_fits(keyword: &str, value: Option<&[u8]>) -> Option<bool> {
    Some(match (keyword, value) {
        ("NOTIFY", Some(value)) => text(value).and_then(Notify::parse).is_some(),
        // RFC 3461 section 4.2; RFC 6533 section 3 lets UTF-8 stand in it.
        ("ORCPT", Some(value)) => {
            let mut parts = value.splitn(2, |&octet| octet == b';');
            let (kind, address) = (parts.next(), parts.next());
            let named = kind.is_some_and(|kind| kind.iter().any(u8::is_ascii_alphanumeric));
            let address = address.unwrap_or_default().iter().copied();
            let ascii: Vec<u8> = address.filter(u8::is_ascii).collect();
            named && value.len() <= 500 && is_xtext(&ascii)
        }
        ("NOTIFY" | "ORCPT", None) => false,
        _ => return None,
    })
}

fn text(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value).ok()
}

fn is_one_of(value: &[u8], words: &[&str]) -> bool {
    words
        .iter()
        .any(|word| value.eq_ignore_ascii_case(word.as_bytes()))
}
