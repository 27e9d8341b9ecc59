//! The notice that tells a person what was not delivered, as RFC 3464 wants it.

use super::address::Address;
use super::header::{Field, Header};
use super::repair::id_host;
use crate::outcome::{QueueId, printable};

/// What a notice is about.
pub struct Notice<'a> {
    /// The mailbox that sends: in From, since a null sender is not known to be taken.
    pub mailbox: &'a Address,
    /// Who reads it.
    pub reader: &'a Address,
    /// This host.
    pub host: &'a str,
    /// The message that was not delivered.
    pub id: &'a QueueId,
    /// Whether a copy of it lies in failed/.
    pub kept: bool,
    /// When it was handed in, and now, as RFC 5322 section 3.3 writes them.
    pub arrival: &'a str,
    pub date: &'a str,
    /// 128 random bits for Message-ID and boundary.
    pub random: u128,
    pub failed: &'a [Failed<'a>],
    /// Header of the message, CRLF lines.
    pub header: &'a [u8],
}

/// One recipient who did not get the message.
pub struct Failed<'a> {
    pub recipient: &'a str,
    /// The server's reply or our own reason; octets from outside.
    pub reason: &'a str,
}

/// Whether a message must never cause a notice: it is an automatic answer itself (RFC 3834).
pub fn is_automatic(header: &[u8]) -> bool {
    let text = header.to_ascii_lowercase();
    let mut lines = text.split(|&octet| octet == b'\n');
    lines.any(|line| {
        let value = line
            .strip_prefix(b"auto-submitted:")
            .map(<[u8]>::trim_ascii);
        value.is_some_and(|value| value.starts_with(b"auto-replied"))
    })
}

impl Notice<'_> {
    /// Header and body, both in CRLF lines of ASCII; the original's header comes along.
    pub fn compose(&self) -> (Header, Vec<u8>) {
        let boundary = format!("={:032x}", self.random);
        let mut header = Header::default();
        let domain = id_host(self.mailbox);
        for (name, value) in [
            (
                "From",
                format!(
                    "\"Mail queue of {}\" <{}>",
                    plain(self.host),
                    self.mailbox.written()
                ),
            ),
            ("To", self.reader.written()),
            (
                "Subject",
                format!("Not delivered: {} of {}", self.id, plain(self.host)),
            ),
            ("Date", self.date.to_owned()),
            ("Message-ID", format!("<{:032x}@{domain}>", self.random)),
            ("Auto-Submitted", "auto-replied".to_owned()),
            ("MIME-Version", "1.0".to_owned()),
            (
                "Content-Type",
                format!("multipart/report; report-type=delivery-status; boundary=\"{boundary}\""),
            ),
        ] {
            header.push(Field::new(name, value));
        }
        (header, self.body(&boundary))
    }

    fn body(&self, boundary: &str) -> Vec<u8> {
        let mut text =
            format!("--{boundary}\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n");
        text += &format!(
            "The message {} that was handed in at {}\r\non {} was not delivered to:\r\n\r\n",
            self.id,
            self.host_text(),
            self.arrival
        );
        for failed in self.failed {
            text += &wrapped(&format!(
                "<{}>: {}",
                plain(failed.recipient),
                plain(failed.reason)
            ));
        }
        text += &match self.kept {
            true => format!(
                "\r\nA copy is kept on that host; root can send it again with\r\n    sendmail365 queue resend {}\r\n\r\n",
                self.id
            ),
            false => "\r\n".to_owned(),
        };
        text += &self.status(boundary);
        text += &format!("--{boundary}\r\nContent-Type: text/rfc822-headers\r\n\r\n");
        let mut body = text.into_bytes();
        body.extend(self.header.iter().map(|&octet| match octet {
            // The part is 7-bit; whoever needs the octets finds them in the kept copy.
            b'\r' | b'\n' | b'\t' | b' '..=b'~' => octet,
            _ => b'?',
        }));
        body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        body
    }

    /// The part for programs (RFC 3464 section 2).
    fn status(&self, boundary: &str) -> String {
        let mut text = format!("--{boundary}\r\nContent-Type: message/delivery-status\r\n\r\n");
        text += &format!("Reporting-MTA: dns; {}\r\n", self.host_text());
        text += &format!(
            "X-Queue-ID: {}\r\nArrival-Date: {}\r\n",
            self.id, self.arrival
        );
        for failed in self.failed {
            text += &format!(
                "\r\nFinal-Recipient: rfc822; {}\r\n",
                plain(failed.recipient)
            );
            text += &format!(
                "Action: failed\r\nStatus: {}\r\n",
                status_code(failed.reason)
            );
            text += &wrapped(&format!("Diagnostic-Code: smtp; {}", plain(failed.reason)));
        }
        text + "\r\n"
    }

    fn host_text(&self) -> String {
        plain(self.host)
    }
}

fn plain(text: &str) -> String {
    printable(text.as_bytes())
}

/// The enhanced code of a reply (RFC 3463), else the one that says nothing.
fn status_code(reason: &str) -> &str {
    let is_code = |word: &&str| {
        let mut parts = word.split('.');
        let digits =
            |part: &str| !part.is_empty() && part.bytes().all(|octet| octet.is_ascii_digit());
        matches!(parts.next(), Some("4" | "5"))
            && parts.next().is_some_and(digits)
            && parts.next().is_some_and(digits)
            && parts.next().is_none()
    };
    reason
        .split_whitespace()
        .take(3)
        .find(is_code)
        .unwrap_or("5.0.0")
}

/// A line folded at blanks, so that none is longer than mail allows; continuations are indented.
fn wrapped(line: &str) -> String {
    const WIDTH: usize = 76;
    let mut text = String::new();
    let mut width = 0;
    for word in line.split(' ') {
        if width > 0 && width + word.len() >= WIDTH {
            text.push_str("\r\n");
            width = 0;
        }
        if width > 0 || !text.is_empty() {
            text.push(' ');
            width += 1;
        }
        text.push_str(word);
        width += word.len();
    }
    text + "\r\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    fn composed(failed: &[Failed<'_>]) -> String {
        let mailbox = Address::parse(b"alerts@contoso.test").unwrap();
        let id = QueueId::new(UNIX_EPOCH, 7);
        let notice = Notice {
            mailbox: &mailbox,
            reader: &Address::parse(b"ops@contoso.test").unwrap(),
            host: "web1",
            id: &id,
            kept: true,
            arrival: "Sun, 22 Nov 2026 04:06:27 +0000",
            date: "Fri, 27 Nov 2026 04:06:27 +0000",
            random: 1,
            failed,
            header: "Subject: J\u{f6}rg\r\nTo: a@x.test\r\n".as_bytes(),
        };
        let (header, body) = notice.compose();
        let mut message = header.octets();
        message.extend_from_slice(b"\r\n");
        message.extend_from_slice(&body);
        String::from_utf8(message).unwrap()
    }

    #[test]
    fn a_reader_of_reports_finds_recipient_status_and_reason() {
        let text = composed(&[Failed {
            recipient: "a@x.test",
            reason: "550 5.1.10 unknown",
        }]);
        let parsed = mailparse::parse_mail(text.as_bytes()).unwrap();
        assert_eq!(parsed.ctype.mimetype, "multipart/report");
        let kinds: Vec<&str> = parsed
            .subparts
            .iter()
            .map(|part| part.ctype.mimetype.as_str())
            .collect();
        assert_eq!(
            kinds,
            [
                "text/plain",
                "message/delivery-status",
                "text/rfc822-headers"
            ]
        );
        let status = parsed.subparts[1].get_body().unwrap();
        for line in [
            "Final-Recipient: rfc822; a@x.test",
            "Action: failed",
            "Status: 5.1.10",
        ] {
            assert!(status.contains(line), "{status}");
        }
        assert!(
            parsed.subparts[2]
                .get_body()
                .unwrap()
                .contains("To: a@x.test")
        );
    }

    #[test]
    fn a_reply_cannot_add_a_field_or_leave_its_line() {
        let reason = format!("550 5.0.0 x\r\nBcc: v@y.test\r\n\r\n--={:032x}--", 1);
        let text = composed(&[Failed {
            recipient: "a@x.test",
            reason: &reason,
        }]);
        assert!(!text.contains("\nBcc"), "{text}");
        assert!(text.is_ascii() && text.lines().all(|line| line.len() <= 998));
    }

    #[test]
    fn no_enhanced_code_is_the_general_one() {
        assert_eq!(status_code("connection refused"), "5.0.0");
        assert_eq!(status_code("452 4.5.3 too many"), "4.5.3");
        assert_eq!(status_code("5..1 x"), "5.0.0");
    }

    #[test]
    fn an_automatic_answer_causes_no_notice_and_cron_does() {
        assert!(is_automatic(
            b"Subject: x\r\nAuto-Submitted: auto-replied (x)\r\n"
        ));
        assert!(!is_automatic(b"Auto-Submitted: auto-generated\r\n"));
        assert!(!is_automatic(b"Subject: auto-submitted: auto-replied\r\n"));
    }
}
