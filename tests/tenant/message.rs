//! What Exchange checks in a message before it takes it.

use super::address;
use super::state::Shared;
use super::transaction::Transaction;

/// Without the line end.
const LINE_MAX: usize = 998;

/// The raw values of a header field, unfolded.
pub fn fields(message: &[u8], name: &str) -> Vec<Vec<u8>> {
    let mut found: Vec<Vec<u8>> = Vec::new();
    let mut taking = false;
    for line in lines(message).take_while(|line| !line.is_empty()) {
        let folded = line.starts_with(b" ") || line.starts_with(b"\t");
        if !folded {
            let colon = line
                .iter()
                .position(|octet| *octet == b':')
                .unwrap_or(line.len());
            taking = line[..colon]
                .trim_ascii_end()
                .eq_ignore_ascii_case(name.as_bytes());
            if taking {
                found.push(line.get(colon + 1..).unwrap_or_default().to_vec());
            }
        } else if taking && let Some(last) = found.last_mut() {
            last.extend_from_slice(line);
        }
    }
    found
}

/// The message as it was before the dots were doubled.
pub fn unstuffed(received: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(received.len());
    let mut at_start = true;
    for (at, octet) in received.iter().enumerate() {
        if !(at_start && *octet == b'.') {
            message.push(*octet);
        }
        at_start = received[..=at].ends_with(b"\r\n");
    }
    message
}

/// Nothing, or the reply that refuses the message.
pub fn refusal(shared: &Shared, message: &[u8], transaction: &Transaction) -> Option<String> {
    if has_invalid_octets(message) {
        return Some("550 5.6.11 SMTPSEND.BareLinefeedsAreIllegal; Invalid characters".to_owned());
    }
    if message.len() as u64 > transaction.size_max {
        let text = "552 5.3.4 Message size exceeds fixed maximum message size";
        return Some(text.to_owned());
    }
    form_refusal(message, transaction)
        .or_else(|| author_refusal(shared, message, &transaction.user))
}

/// RFC 5321 section 4.5.3.1.6 and RFC 6152: what the client has to declare or must not send.
fn form_refusal(message: &[u8], transaction: &Transaction) -> Option<String> {
    let declared = |body: &str| {
        let parameters = &transaction.parameters;
        parameters
            .iter()
            .any(|word| word.eq_ignore_ascii_case(body))
    };
    if declared("BODY=BINARYMIME") {
        return None;
    }
    if lines(message).any(|line| line.len() > LINE_MAX) {
        return Some(format!("554 5.6.0 Line longer than {LINE_MAX} octets"));
    }
    let undeclared = !message.is_ascii() && !declared("BODY=8BITMIME");
    undeclared.then(|| "554 5.6.1 8-bit octets without BODY=8BITMIME".to_owned())
}

fn author_refusal(shared: &Shared, message: &[u8], user: &str) -> Option<String> {
    let not_compliant = || {
        let text = "550 5.7.512 Access denied, message must be RFC 5322 section 3.6.2 compliant \
                    and include a valid From address";
        Some(text.to_owned())
    };
    let values = fields(message, "From");
    let [value] = &values[..] else {
        return not_compliant();
    };
    let Ok(value) = std::str::from_utf8(value) else {
        return not_compliant();
    };
    let Some(authors) = address::authors(value) else {
        return not_compliant();
    };
    if authors.len() > 1 && fields(message, "Sender").is_empty() {
        let text = "550 5.1.20 Multiple From addresses are not allowed without Sender address";
        return Some(text.to_owned());
    }
    let foreign = authors.iter().find(|author| !shared.may_send_as(author))?;
    Some(format!(
        "554 5.2.252 SendAsDenied; {user} not allowed to send as {foreign}; \
         STOREDRV.Submission.Exception:SendAsDeniedException.MapiExceptionSendAsDenied; Failed to \
         process message due to a permanent exception with message Cannot submit message."
    ))
}

/// NUL, CR without LF and LF without CR.
fn has_invalid_octets(message: &[u8]) -> bool {
    let mut before = 0_u8;
    for octet in message {
        if *octet == 0 || (before == b'\r') != (*octet == b'\n') {
            return true;
        }
        before = *octet;
    }
    before == b'\r'
}

/// Lines without their ends; only CR LF ends one.
fn lines(message: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(message);
    std::iter::from_fn(move || {
        let text = rest.filter(|text| !text.is_empty())?;
        match text.windows(2).position(|pair| pair == b"\r\n") {
            Some(at) => {
                rest = Some(&text[at + 2..]);
                Some(&text[..at])
            }
            None => {
                rest = None;
                Some(text)
            }
        }
    })
}

#[test]
fn dots_are_undone_and_odd_line_ends_seen() {
    assert_eq!(unstuffed(b"..a\r\n...\r\nb.\r\n"), b".a\r\n..\r\nb.\r\n");
    assert!(!has_invalid_octets(b"a\r\nb\r\n"));
    for bad in [&b"a\nb"[..], b"a\rb", b"a\r", b"\n", b"a\0", b"\r\r\n"] {
        assert!(has_invalid_octets(bad), "{bad:?}");
    }
    let message = b"From: a\r\n b\r\nfrom : c\r\nX: d\r\n\r\nFrom: e\r\n";
    assert_eq!(fields(message, "From"), [&b" a b"[..], b" c"]);
}
