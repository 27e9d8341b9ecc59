//! What a message must not carry goes, what it lacks is added, what no server takes is encoded.

use super::address::{Address, a_label, scan};
use super::encoded::{display_name, name_in_comments, names, phrase, unstructured};
use super::header::{Field, Header};
use super::parameters;
use crate::outcome::{Class, Failure, QueueId, Stage};
use std::borrow::Cow;

/// Fields that never leave this host: hidden recipients, and what only a final delivery writes.
const PRIVATE: [&str; 4] = ["Bcc", "Resent-Bcc", "Return-Path", "Content-Length"];

/// Fields that say nothing without a value, and then only keep the right ones from being added.
const MEANINGFUL: [&str; 4] = ["To", "Cc", "Date", "Message-ID"];

/// A message that came through more hosts than this goes round in circles.
const HOPS_MAX: usize = 50;

/// What a repair takes from outside the message.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The mailbox that sends.
    pub mailbox: &'a Address,
    /// `-F`: the name of a generated From; empty if none was given.
    pub wished_name: &'a [u8],
    /// The caller's full name, used where no other was wished.
    pub full_name: &'a [u8],
    /// The time of submission as RFC 5322 section 3.3 writes it.
    pub date: &'a str,
    /// 128 random bits for the Message-ID.
    pub random: u128,
}

/// How many fields a repair touched, for the log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Repairs {
    /// Fields removed because they are private.
    pub removed: usize,
    /// From fields dropped after the first one.
    pub from_dropped: usize,
    /// To, Cc, Date and Message-ID fields dropped because nothing stood in them.
    pub blank_dropped: usize,
    /// A From without an address was replaced.
    pub from_replaced: usize,
    /// Fields whose raw 8-bit was encoded.
    pub encoded: usize,
    /// Fields added.
    pub added: usize,
}

/// Makes a header complete and fit to leave the host.
///
/// Fields that are in order keep their bytes and places. Additions go before the first field, those
/// of a Resent block before its first field.
pub fn repair(header: &mut Header, facts: &Facts) -> Result<Repairs, Failure> {
    refuse_loop(header)?;
    let before = header.fields().len();
    add_resent(header, facts);
    let removed = PRIVATE.iter().map(|name| header.remove(name)).sum();
    let blank_dropped = header.retain(|field| !is_blank(field));
    let mut first = true;
    let from_dropped = header.retain(|field| !field.is("From") || std::mem::take(&mut first));
    // Before it is encoded: the name of the new one is made of what its author wrote.
    let from_replaced = header.replace(|field| from_without_address(field, facts));
    let encoded = header.replace(encoded_field);
    add_missing(header, facts);
    let added = header.fields().len() + removed + from_dropped + blank_dropped - before;
    Ok(Repairs {
        removed,
        from_dropped,
        blank_dropped,
        from_replaced,
        encoded,
        added,
    })
}

/// Who handed a message in, where and when, for its Received field.
#[derive(Debug, Clone, Copy)]
pub struct Trace<'a> {
    pub login: &'a str,
    pub uid: u32,
    pub host: &'a str,
    pub id: &'a QueueId,
    /// As `Facts::date`.
    pub date: &'a str,
}

/// Puts a Received field (RFC 5322 section 3.6.7) on top of all others.
pub fn add_received(header: &mut Header, trace: &Trace) {
    let value = format!(
        "from {} (uid {}) by {} with local id {}; {}",
        word(trace.login),
        trace.uid,
        word(trace.host),
        trace.id,
        trace.date
    );
    header.insert(0, Field::new("Received", value));
}

/// Whether the value of that field is a list of addresses.
fn holds_addresses(field: &Field) -> bool {
    const NAMES: [&str; 11] = [
        "From",
        "Sender",
        "Reply-To",
        "To",
        "Cc",
        "Apparently-To",
        "Disposition-Notification-To",
        "Errors-To",
        "Mail-Followup-To",
        "Mail-Reply-To",
        "Return-Receipt-To",
    ];
    let resent = field.is_resent() && !field.is("Resent-Date") && !field.is("Resent-Message-ID");
    resent || NAMES.iter().any(|name| field.is(name))
}

fn is_blank(field: &Field) -> bool {
    MEANINGFUL.iter().any(|name| field.is(name)) && field.unfolded().is_empty()
}

fn refuse_loop(header: &Header) -> Result<(), Failure> {
    let hops = header.all("Received").count();
    if hops <= HOPS_MAX {
        return Ok(());
    }
    let failure = Failure::new(Class::Unavailable, "the message goes round in circles")
        .because(format!(
            "it has {hops} Received fields, at most {HOPS_MAX} are allowed"
        ))
        .fix("look for an alias or a forwarding that leads back to this host")
        .at(Stage::Stdin)
        .with_reason("loop");
    Err(failure)
}

/// What was resent must say by whom and when (RFC 5322 section 3.6.6).
fn add_resent(header: &mut Header, facts: &Facts) {
    let block = header.resent_block();
    let place = block.start;
    let fields = header.fields().get(block).unwrap_or_default();
    if fields.is_empty() {
        return;
    }
    let made = [
        Field::new("Resent-From", from(facts)),
        Field::new("Resent-Date", facts.date),
        Field::new("Resent-Message-ID", message_id(facts, ".resent")),
    ];
    let lacks = |field: &Field| !fields.iter().any(|other| same_name(field, other));
    let missing: Vec<Field> = made.into_iter().filter(lacks).collect();
    for field in missing.into_iter().rev() {
        header.insert(place, field);
    }
}

fn same_name(one: &Field, other: &Field) -> bool {
    one.name().eq_ignore_ascii_case(other.name())
}

fn add_missing(header: &mut Header, facts: &Facts) {
    let made = [
        Field::new("From", from(facts)),
        Field::new("Date", facts.date),
        Field::new("Message-ID", message_id(facts, "")),
    ];
    let lacks = |field: &Field| !header.fields().iter().any(|other| same_name(field, other));
    let mut missing: Vec<Field> = made.into_iter().filter(lacks).collect();
    if header.find("To").is_none() && header.find("Cc").is_none() {
        missing.push(Field::new("To", "undisclosed-recipients:;"));
    }
    for field in missing.into_iter().rev() {
        header.insert(0, field);
    }
}

/// The value of a generated From.
fn from(facts: &Facts) -> String {
    let name = display_name(facts.wished_name).or_else(|| display_name(facts.full_name));
    mailbox(name, facts.mailbox)
}

/// An address with the display name before it, if there is one.
pub(super) fn mailbox(name: Option<String>, address: &Address) -> String {
    match name {
        Some(name) => format!("{name} <{}>", address.written()),
        None => address.written(),
    }
}

fn message_id(facts: &Facts, suffix: &str) -> String {
    format!("<{:032x}{suffix}@{}>", facts.random, id_host(facts.mailbox))
}

/// What stands behind the @ of a Message-ID.
pub(crate) fn id_host(mailbox: &Address) -> Cow<'_, str> {
    let domain = mailbox.domain().and_then(|domain| a_label(domain).ok());
    domain.unwrap_or(Cow::Borrowed("localhost"))
}

/// For a From in which there is no address (`<>`, empty, unreadable): the mailbox under its name.
fn from_without_address(field: &Field, facts: &Facts) -> Option<Field> {
    if !field.is("From") || scan(field.value()).iter().any(Result::is_ok) {
        return None;
    }
    let mut text = field.unfolded();
    text.retain(|octet| !b"<>".contains(octet));
    let name = phrase(&text).or_else(|| name_in_comments(&text));
    let value = match name {
        Some(name) => mailbox(Some(name), facts.mailbox),
        None => from(facts),
    };
    Some(Field::new(field.name(), value))
}

/// The field without raw 8-bit, if it has any; what has no form in ASCII is valid UTF-8.
fn encoded_field(field: &Field) -> Option<Field> {
    let name = field.name().to_ascii_lowercase();
    let mime = name.starts_with(b"content-") && name != b"content-description";
    if !field.eight_bit() {
        return None;
    }
    let value = match holds_addresses(field) {
        true => names(field.value()),
        // MIME fields have no encoded words but in comments (RFC 2047 section 5).
        false if mime || name == b"mime-version" => parameters::encoded(field.value()),
        false => unstructured(field.value()),
    };
    if value == field.value() {
        return None;
    }
    let line_ends = |octet: &u8| !b"\r\n".contains(octet);
    let value: Vec<u8> = value.into_iter().filter(line_ends).collect();
    Some(Field::new(field.name(), value))
}

/// A login or host name as a single word of a Received field.
fn word(text: &str) -> String {
    const WORD_MAX: usize = 255;
    let fit = |c: char| match c.is_ascii_alphanumeric() || "._-:[]".contains(c) {
        true => c,
        false => '?',
    };
    match text.is_empty() {
        true => "unknown".to_owned(),
        false => text.chars().map(fit).take(WORD_MAX).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::body::DotRule;
    use crate::mail::message::Message;
    use std::time::UNIX_EPOCH;

    const DATE: &str = "Sun, 22 Nov 2026 04:06:27 +0000";

    fn header(text: &[u8]) -> Header {
        Message::read(text, DotRule::Text, u64::MAX).unwrap().header
    }

    /// The header afterwards with `|` for CRLF.
    fn repaired(text: &[u8], wished: &[u8], full: &[u8]) -> (String, Repairs) {
        let mut header = header(text);
        let mailbox = Address::parse(b"alerts@contoso.test").unwrap();
        let facts = Facts {
            mailbox: &mailbox,
            wished_name: wished,
            full_name: full,
            date: DATE,
            random: 0x1f,
        };
        let repairs = repair(&mut header, &facts).unwrap();
        let text = String::from_utf8(header.octets()).unwrap();
        (text.replace("\r\n", "|"), repairs)
    }

    const COMPLETE: &str = "Date: d\nMessage-Id: <i@d>\nTo: a@b\n";

    #[test]
    fn a_message_without_a_header_gets_one() {
        let (text, repairs) = repaired(b"", b"", b"Joe Public");
        assert_eq!(
            text,
            "From: \"Joe Public\" <alerts@contoso.test>|Date: Sun, 22 Nov 2026 04:06:27 +0000|\
             Message-ID: <0000000000000000000000000000001f@contoso.test>|\
             To: undisclosed-recipients:;|"
        );
        assert_eq!(repairs.added, 4);
    }

    #[test]
    fn a_complete_message_is_not_touched() {
        let text = "X: 1\nfrom: Joe <j@x>\n".to_owned() + COMPLETE;
        let (after, repairs) = repaired(text.as_bytes(), b"CronDaemon", b"Joe");
        assert_eq!(after, text.replace('\n', "|"));
        assert_eq!(repairs, Repairs::default());
    }

    #[test]
    fn additions_stand_before_the_first_field() {
        let (text, _) = repaired(b"Subject: s\nCc: a@b\n", b"", b"");
        assert!(
            text.starts_with("From: alerts@contoso.test|Date: "),
            "{text}"
        );
        assert!(
            text.ends_with("contoso.test>|Subject: s|Cc: a@b|"),
            "{text}"
        );
    }

    #[test]
    fn hidden_recipients_are_removed_everywhere() {
        let text = "Bcc: v@x\nBCC : w@x,\n y@x\nResent-To: r@x\nresent-bcc: z@x\nReturn-Path: <q@x>\n\
                    Content-Length: 7\nSubject: s\nResent-Bcc: u@x\n";
        let (text, repairs) = repaired(text.as_bytes(), b"", b"");
        assert!(
            !text.contains("@x,") && !text.to_lowercase().contains("bcc"),
            "{text}"
        );
        assert!(text.ends_with("Resent-To: r@x|Subject: s|"), "{text}");
        assert!(text.contains("To: undisclosed-recipients:;|"));
        assert_eq!(repairs.removed, 6);
    }

    #[test]
    fn a_name_from_the_command_line_gives_one_from_and_no_other_field() {
        let rows: [(&[u8], &str); 4] = [
            (b"x\r\nBcc: v@y", "\"x  Bcc: v@y\""),
            (b"x\r\n\r\nbody", "\"x    body\""),
            (
                b"x\" <v@y>, \"\x1b\nFrom: w@y",
                "\"x\\\" <v@y>, \\\"  From: w@y\"",
            ),
            (b"\r\n", "\"Joe\""),
        ];
        for (name, made) in rows {
            let (text, _) = repaired(COMPLETE.as_bytes(), name, b"Joe");
            assert_eq!(
                text,
                format!(
                    "From: {made} <alerts@contoso.test>|{}",
                    COMPLETE.replace('\n', "|")
                )
            );
        }
    }

    #[test]
    fn a_from_without_an_address_becomes_the_mailbox() {
        let rows = [
            ("", "\"Joe\" <alerts@contoso.test>"),
            (" <>", "\"Joe\" <alerts@contoso.test>"),
            (" \"\" <>", "\"Joe\" <alerts@contoso.test>"),
            (" MAILER-DAEMON <>", "MAILER-DAEMON <alerts@contoso.test>"),
            (" joe public", "joe public <alerts@contoso.test>"),
            (" joe@@x", "\"joe@@x\" <alerts@contoso.test>"),
            (" (Cron Daemon)", "\"Cron Daemon\" <alerts@contoso.test>"),
            (
                " m\u{fc}ller m",
                "=?utf-8?q?m=C3=BCller_m?= <alerts@contoso.test>",
            ),
        ];
        for (value, made) in rows {
            let text = format!("From:{value}\n{COMPLETE}");
            let (text, repairs) = repaired(text.as_bytes(), b"", b"Joe");
            assert!(
                text.starts_with(&format!("From: {made}|Date: d|")),
                "{value}: {text}"
            );
            assert_eq!((repairs.from_replaced, repairs.added), (1, 0));
        }
    }

    #[test]
    fn a_second_from_is_dropped() {
        let text = format!("From: a@x\nFROM: b@x\nFrom: c@x\n{COMPLETE}");
        let (text, repairs) = repaired(text.as_bytes(), b"", b"");
        assert!(text.starts_with("From: a@x|Date: d|"), "{text}");
        assert_eq!(repairs.from_dropped, 2);
    }

    #[test]
    fn a_field_that_must_say_something_is_not_left_blank() {
        let text = "From: a@x\nTO:\nDate: \n\t\nmessage-id:\nCc: \nSubject:\nDate: d\n";
        let (text, repairs) = repaired(text.as_bytes(), b"", b"");
        assert_eq!(
            text,
            "Message-ID: <0000000000000000000000000000001f@contoso.test>|\
             To: undisclosed-recipients:;|From: a@x|Subject:|Date: d|"
        );
        assert_eq!((repairs.blank_dropped, repairs.added), (4, 2));
        let (text, repairs) = repaired(b"To:\nCc: b@x\n", b"", b"");
        assert!(
            !text.contains("To:") && text.ends_with("|Cc: b@x|"),
            "{text}"
        );
        assert_eq!((repairs.blank_dropped, repairs.added), (1, 3));
    }

    #[test]
    fn what_was_resent_says_by_whom_and_when() {
        let text = format!(
            "Received: r\nResent-To: a@x\nResent-Date: d\nFrom: j@x\n{COMPLETE}Resent-To: b\n"
        );
        let (text, repairs) = repaired(text.as_bytes(), b"", b"Joe");
        assert_eq!(
            text,
            "Received: r|Resent-From: \"Joe\" <alerts@contoso.test>|\
             Resent-Message-ID: <0000000000000000000000000000001f.resent@contoso.test>|\
             Resent-To: a@x|Resent-Date: d|From: j@x|Date: d|Message-Id: <i@d>|To: a@b|Resent-To: b|"
        );
        assert_eq!(repairs.added, 2);
        let text = format!("From: j@x\nResent-Bcc: a@x\n{COMPLETE}");
        let (text, _) = repaired(text.as_bytes(), b"", b"");
        assert!(text.starts_with("From: j@x|Resent-From: alerts@contoso.test|Resent-Date: "));
    }

    #[test]
    fn raw_8_bit_is_encoded_where_that_is_allowed() {
        let rows = [
            (
                "Subject: Gr\u{f6}\u{df}e",
                "Subject: =?utf-8?q?Gr=C3=B6=C3=9Fe?=",
            ),
            ("X-Y: \u{f6}", "X-Y: =?utf-8?b?w7Y=?="),
            (
                "Content-Description: \u{f6}",
                "Content-Description: =?utf-8?b?w7Y=?=",
            ),
            (
                "Content-Type: a/b;\n name=\"\u{f6}\"",
                "Content-Type: a/b; name*=utf-8''%C3%B6",
            ),
            (
                "MIME-Version: 1.0 (\u{f6})",
                "MIME-Version: 1.0 (=?utf-8?b?w7Y=?=)",
            ),
            (
                "Cc: J\u{f6}rg <j@x.test>, k",
                "Cc: =?utf-8?q?J=C3=B6rg?= <j@x.test>, k",
            ),
            (
                "Cc: j@x.test\n (J\u{f6}rg)",
                "Cc: j@x.test (=?utf-8?q?J=C3=B6rg?=)",
            ),
            ("Cc: A,\n j\u{f6}@x.test ,B", "Cc: A,| j\u{f6}@x.test ,B"),
            (
                "Reply-To: J\u{f6}rg <j@b\u{fc}cher.test>,\n k@b\u{fc}cher.test",
                "Reply-To: =?utf-8?q?J=C3=B6rg?= <j@xn--bcher-kva.test>, k@xn--bcher-kva.test",
            ),
        ];
        for (field, made) in rows {
            let text = format!("From: j@x\n{COMPLETE}{field}\n");
            let (text, repairs) = repaired(text.as_bytes(), b"", b"");
            assert!(text.ends_with(&format!("|{made}|")), "{text}");
            assert_eq!(repairs.encoded, usize::from(made.is_ascii()));
        }
        let (text, _) = repaired(b"Subject: Gr\xf6\xdfe\n", b"", b"");
        assert!(text.ends_with("Subject: =?utf-8?q?Gr=C3=B6=C3=9Fe?=|"));
    }

    #[test]
    fn the_received_field_is_on_top_and_cannot_be_forged() {
        let mut header = header(b"To: a@b\n");
        let id = QueueId::new(UNIX_EPOCH, 0);
        add_received(
            &mut header,
            &Trace {
                login: "joe (x)\r\nBcc",
                uid: 33,
                host: "web1.example",
                id: &id,
                date: DATE,
            },
        );
        let first = header.fields().first().unwrap();
        assert_eq!(
            first.unfolded(),
            format!("from joe??x???Bcc (uid 33) by web1.example with local id {id}; {DATE}")
                .as_bytes()
        );
    }

    #[test]
    fn a_message_that_goes_round_in_circles_is_stopped() {
        let mailbox = Address::parse(b"alerts@contoso.test").unwrap();
        let facts = Facts {
            mailbox: &mailbox,
            wished_name: b"",
            full_name: b"",
            date: DATE,
            random: 0,
        };
        let mut fifty = header("Received: x\n".repeat(50).as_bytes());
        assert!(repair(&mut fifty, &facts).is_ok());
        let mut more = header("Received: x\n".repeat(51).as_bytes());
        let failure = repair(&mut more, &facts).unwrap_err();
        assert_eq!(failure.class(), Class::Unavailable);
        assert_eq!(failure.reason(), Some("loop"));
    }

    #[test]
    fn the_count_of_fields_is_before_plus_added_minus_removed() {
        let names = [
            "From",
            "Bcc",
            "To",
            "Date",
            "Resent-To",
            "Resent-Bcc",
            "X",
            "Return-Path",
            "Subject",
            "Message-ID",
            "Cc",
            "Received",
        ];
        let values = [
            " root",
            " a@b.test",
            "",
            " <>",
            " \u{f6} <x@y>",
            " a\r\n b",
            " \"",
            " (",
            " \u{f6}",
        ];
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut next = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as usize
        };
        for _ in 0..20_000 {
            let fields = (0..next() % 9).map(|_| (names[next() % 12], values[next() % 9]));
            let text: String = fields
                .map(|(name, value)| format!("{name}:{value}\r\n"))
                .collect();
            let before = header(text.as_bytes());
            let (after, repairs) = repaired(text.as_bytes(), b"n\r\n", b"");
            let wire = after.replace('|', "\r\n");
            let seen = header(wire.as_bytes());
            let lost = repairs.removed + repairs.from_dropped + repairs.blank_dropped;
            let count = before.fields().len() + repairs.added - lost;
            assert_eq!(seen.fields().len(), count, "{text:?}");
            assert_eq!(seen.octets(), wire.as_bytes(), "{text:?}");
            assert_eq!(seen.all("From").count(), 1);
            assert_eq!(seen.all("Bcc").count() + seen.all("Resent-Bcc").count(), 0);
            assert!(!wire.replace("\r\n", "").contains(['\r', '\n', '\0']));
            // What was in order is still there, byte for byte and in its order.
            let kept: Vec<_> = before
                .fields()
                .iter()
                .filter(|f| f.is("X") && !f.eight_bit())
                .collect();
            let there: Vec<_> = seen.all("X").filter(|f| kept.contains(f)).collect();
            assert_eq!(there, kept);
        }
    }
}
