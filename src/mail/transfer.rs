//! How a body travels: as it came, labelled, encoded as quoted-printable, or with long lines broken.
//!
//! Only text whose author did not encode it is ever encoded here. What is signed, encrypted or made
//! of parts would not be what its author wrote; of that only lines that no server takes are broken.

use super::header::{Field, Header, LINE_MAX, blank};
use std::borrow::Cow;

/// Longest line of quoted-printable without its line end (RFC 2045 section 6.7, rule 5).
const ENCODED_MAX: usize = 76;

const VERSION: &str = "MIME-Version";
const TYPE: &str = "Content-Type";
const ENCODING: &str = "Content-Transfer-Encoding";

/// Why a body was encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// A line is over 998 octets.
    LongLine,
    /// There is 8-bit text and the server does not offer 8BITMIME.
    EightBit,
}

/// A body as it travels and what was done to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer<'a> {
    /// Borrowed if it travels as it came.
    pub body: Cow<'a, [u8]>,
    /// It was encoded as quoted-printable.
    pub encoded: Option<Cause>,
    /// Lines that were broken.
    pub broken: u64,
    /// It is 8-bit, may not be encoded, and the server does not offer 8BITMIME.
    pub eight_bit_unasked: bool,
}

/// What stands between the parts of a line that is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Break {
    /// A line end and a blank, for text that readers see as it is.
    Blank,
    /// The soft line break of quoted-printable, which its readers take away again.
    Soft,
    /// A line end alone, which base64 does not count.
    Plain,
}

/// Makes a body fit for a server that offers 8BITMIME or not, and completes its MIME fields.
///
/// A body of 7-bit lines of at most 998 octets is not touched, nor is its header. One of 8-bit text
/// that its author described is not touched either where the server takes it.
pub fn transfer<'a>(header: &mut Header, body: &'a [u8], eight_bit_offered: bool) -> Transfer<'a> {
    let eight_bit = !body.is_ascii();
    let cause = match lines(body).any(|line| line.len() > LINE_MAX) {
        true => Some(Cause::LongLine),
        false => (eight_bit && !eight_bit_offered).then_some(Cause::EightBit),
    };
    let plain = is_plain_text(header);
    let mut transfer = Transfer {
        body: Cow::Borrowed(body),
        encoded: None,
        broken: 0,
        eight_bit_unasked: false,
    };
    if cause.is_some() && plain && !holds_pgp(body) {
        describe(header, body, "quoted-printable");
        transfer.body = Cow::Owned(quoted_printable(body));
        transfer.encoded = cause;
        return transfer;
    }
    if eight_bit && plain {
        describe(header, body, "8bit");
    }
    if cause == Some(Cause::LongLine) {
        let (body, count) = with_lines_broken(body, Break::of(header));
        transfer.body = Cow::Owned(body);
        transfer.broken = count;
    }
    transfer.eight_bit_unasked = eight_bit && !eight_bit_offered;
    transfer
}

/// Whether the body is one text that nothing has encoded (RFC 2045 sections 5 and 6).
///
/// Of repeated fields each has to agree: readers differ in which one they believe.
fn is_plain_text(header: &Header) -> bool {
    let text = |word: &[u8]| word == b"text" || word.starts_with(b"text/");
    let plain = |word: &[u8]| word == b"7bit" || word == b"8bit";
    header.all(TYPE).all(|field| text(&first_word(field)))
        && header.all(ENCODING).all(|field| plain(&first_word(field)))
}

/// The value up to its parameters or a comment, in lower case.
fn first_word(field: &Field) -> Vec<u8> {
    let mut word = field.unfolded();
    let ends = |octet: &u8| blank(*octet) || matches!(octet, b';' | b'(');
    word.truncate(word.iter().position(ends).unwrap_or(word.len()));
    word.make_ascii_lowercase();
    word
}

/// Whether a line begins a PGP message within the text (RFC 9580 sections 6.2.1 and 7).
fn holds_pgp(body: &[u8]) -> bool {
    const HEADS: [&[u8]; 2] = [b"-----BEGIN PGP MESSAGE", b"-----BEGIN PGP SIGNED MESSAGE"];
    lines(body).any(|line| HEADS.iter().any(|head| line.starts_with(head)))
}

/// Names the encoding of a text and adds what its MIME fields lack; what the author wrote stays.
fn describe(header: &mut Header, body: &[u8], encoding: &str) {
    let mut first = true;
    header.retain(|field| !field.is(ENCODING) || std::mem::take(&mut first));
    header.replace(|field| {
        let other = field.is(ENCODING) && first_word(field) != encoding.as_bytes();
        other.then(|| field.with_value(format!(" {encoding}").as_bytes()))
    });
    let charset = match std::str::from_utf8(body) {
        Ok(text) if text.is_ascii() => "us-ascii",
        Ok(_) => "utf-8",
        Err(_) => "unknown-8bit",
    };
    // A Received field says what came after all others.
    let traces = header.fields().iter().take_while(|f| f.is("Received"));
    let place = traces.count();
    let kind = format!("text/plain; charset={charset}");
    for (name, value) in [(ENCODING, encoding), (TYPE, &kind), (VERSION, "1.0")] {
        if header.find(name).is_none() {
            header.insert(place, Field::new(name, value));
        }
    }
}

/// Lines without their ends.
fn lines(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    let lines = body.split_inclusive(|&octet| octet == b'\n');
    lines.map(|line| {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        line.strip_suffix(b"\r").unwrap_or(line)
    })
}

/// A text in quoted-printable (RFC 2045 section 6.7); its line ends stay line ends.
fn quoted_printable(body: &[u8]) -> Vec<u8> {
    let mut encoded = Vec::with_capacity(body.len() + body.len() / 8);
    for line in lines(body) {
        let mut column = 0;
        let mut rest = line;
        while let Some((&octet, after)) = rest.split_first() {
            let plain = match octet {
                b'=' => false,
                b' ' | b'\t' => !after.is_empty(),
                // At the start of a line a dot may be lost, and `From ` gains a `>`, on the way.
                b'.' => column > 0,
                b'F' => column > 0 || !rest.starts_with(b"From "),
                octet => octet.is_ascii_graphic(),
            };
            let width = if plain { 1 } else { 3 };
            // The `=` of a soft line break needs its place, but at the end there is none.
            if column + width > ENCODED_MAX - usize::from(!after.is_empty()) {
                encoded.extend_from_slice(b"=\r\n");
                column = 0;
                continue;
            }
            match plain {
                true => encoded.push(octet),
                false => encoded.extend_from_slice(&escape(octet)),
            }
            column += width;
            rest = after;
        }
        encoded.extend_from_slice(b"\r\n");
    }
    encoded
}

fn escape(octet: u8) -> [u8; 3] {
    let digit = |value: u8| match value {
        0..=9 => b'0' + value,
        _ => b'A' + (value - 10),
    };
    [b'=', digit(octet >> 4), digit(octet & 15)]
}

impl Break {
    /// The one that keeps the meaning of the body; of repeated fields each has to agree.
    fn of(header: &Header) -> Break {
        let made_of_parts = |word: &[u8]| word.starts_with(b"multipart/");
        let all = |name: &[u8]| {
            let mut fields = header.all(ENCODING).peekable();
            fields.peek().is_some() && fields.all(|field| first_word(field) == name)
        };
        match header
            .all(TYPE)
            .any(|field| made_of_parts(&first_word(field)))
        {
            // The encoding of the parts stands with them (RFC 2045 section 6.4).
            true => Break::Blank,
            false if all(b"quoted-printable") => Break::Soft,
            false if all(b"base64") => Break::Plain,
            false => Break::Blank,
        }
    }

    fn octets(self) -> &'static [u8] {
        match self {
            Break::Blank => b"\r\n ",
            Break::Soft => b"=\r\n",
            Break::Plain => b"\r\n",
        }
    }

    /// Where a line that is too long is parted; `continued` if it begins with our own blank.
    fn place(self, line: &[u8], continued: bool) -> usize {
        let is = |place: usize, test: fn(&u8) -> bool| line.get(place).is_some_and(test);
        match self {
            Break::Blank => {
                let room = LINE_MAX - usize::from(continued);
                let starts = |place: &usize| is(*place, |octet| octet & 0xc0 != 0x80);
                (room - 3..=room).rev().find(starts).unwrap_or(room)
            }
            Break::Soft => {
                let room = LINE_MAX - 1;
                let within = |place: usize| is(place, |octet| *octet == b'=');
                let whole = |place: &usize| !within(place - 1) && !within(place - 2);
                (room - 2..=room).rev().find(whole).unwrap_or(room)
            }
            // Readers that decode line by line need whole groups of four.
            Break::Plain => LINE_MAX - LINE_MAX % 4,
        }
    }
}

fn without_last_blanks(line: &[u8]) -> &[u8] {
    let last = line.iter().rposition(|&octet| !blank(octet));
    let end = last.map_or(0, |last| last + 1);
    line.get(..end).unwrap_or(line)
}

/// The body with lines over 998 octets broken, and how many there were. Nothing that means one
/// character is parted.
fn with_lines_broken(body: &[u8], kind: Break) -> (Vec<u8>, u64) {
    let mut whole = Vec::with_capacity(body.len() + body.len() / 256);
    let mut count = 0;
    for line in lines(body) {
        count += u64::from(line.len() > LINE_MAX);
        let mut rest = match kind {
            // At the end of a line they are no text (rule 3); before a break they would be.
            Break::Soft if line.len() > LINE_MAX => without_last_blanks(line),
            _ => line,
        };
        let mut continued = false;
        while rest.len() + usize::from(continued && kind == Break::Blank) > LINE_MAX {
            let (head, tail) = rest.split_at(kind.place(rest, continued));
            whole.extend_from_slice(head);
            whole.extend_from_slice(kind.octets());
            rest = tail;
            continued = true;
        }
        whole.extend_from_slice(rest);
        whole.extend_from_slice(b"\r\n");
    }
    (whole, count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::body::DotRule;
    use crate::mail::message::Message;
    use mailparse::MailHeaderMap;

    fn header(fields: &str) -> Header {
        let input = format!("{fields}\n\n");
        let message = Message::read(input.as_bytes(), DotRule::Text, u64::MAX).unwrap();
        message.header
    }

    /// The header and body that travel, with `|` for a line end in the header.
    fn sent(fields: &str, body: &[u8], offered: bool) -> (String, Vec<u8>) {
        let mut header = header(fields);
        let transfer = transfer(&mut header, body, offered);
        let text = String::from_utf8(header.octets()).unwrap();
        (text.replace("\r\n", "|"), transfer.body.into_owned())
    }

    fn assert_lines_fit(body: &[u8], most: usize) {
        for line in body.split(|&octet| octet == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            assert!(line.len() <= most, "{} octets", line.len());
        }
    }

    const LONG: usize = 5000;

    const MIME: &str = "MIME-Version: 1.0\nContent-Type: text/html; charset=utf-8";

    #[test]
    fn what_a_server_takes_as_it_is_is_neither_copied_nor_changed() {
        let line = "x".repeat(LINE_MAX) + "\r\n";
        let described = format!("{MIME}\nContent-Transfer-Encoding: 8BIT (yes)");
        let rows: [(&str, &[u8], bool); 6] = [
            ("Subject: x", b"", false),
            ("Subject: x", b"From me\r\n.\r\n \t\r\n", false),
            ("Subject: x", line.as_bytes(), false),
            (&described, "gr\u{fc}n\r\n".as_bytes(), true),
            (
                "Content-Type: multipart/mixed; boundary=b",
                b"\xfc\r\n",
                true,
            ),
            ("Content-Transfer-Encoding: base64", b"\xfc\r\n", true),
        ];
        for (fields, body, offered) in rows {
            let before = header(fields);
            let mut after = before.clone();
            let transfer = transfer(&mut after, body, offered);
            assert!(matches!(transfer.body, Cow::Borrowed(kept) if std::ptr::eq(kept, body)));
            assert_eq!(after, before);
            assert_eq!((transfer.encoded, transfer.broken), (None, 0));
            assert!(!transfer.eight_bit_unasked);
        }
    }

    #[test]
    fn text_with_a_long_line_is_encoded_and_its_mime_fields_are_completed() {
        let body = format!("{} \r\nFrom me\r\n.\r\n", "x=".repeat(LONG));
        let rows = [
            (
                "A: b",
                "MIME-Version: 1.0|Content-Type: text/plain; charset=us-ascii|\
                 Content-Transfer-Encoding: quoted-printable|A: b|",
            ),
            (
                "Received: r\nA: b\nContent-Type: text/html; charset=utf-8",
                "Received: r|MIME-Version: 1.0|Content-Transfer-Encoding: quoted-printable|A: b|\
                 Content-Type: text/html; charset=utf-8|",
            ),
            (
                "content-transfer-encoding:\n 7Bit\nMIME-version: 1.0\nContent-Transfer-Encoding: 8bit",
                "Content-Type: text/plain; charset=us-ascii|\
                 content-transfer-encoding: quoted-printable|MIME-version: 1.0|",
            ),
            (
                "Content-Type: TEXT",
                "MIME-Version: 1.0|Content-Transfer-Encoding: quoted-printable|Content-Type: TEXT|",
            ),
        ];
        for (fields, wanted) in rows {
            for offered in [true, false] {
                let mut header = header(fields);
                let transfer = transfer(&mut header, body.as_bytes(), offered);
                assert_eq!(transfer.encoded, Some(Cause::LongLine));
                assert_lines_fit(&transfer.body, 76);
                let text = String::from_utf8(header.octets()).unwrap();
                assert_eq!(text.replace("\r\n", "|"), wanted);
            }
        }
    }

    #[test]
    fn what_is_signed_encrypted_encoded_or_no_text_has_its_long_lines_broken() {
        let long = "x".repeat(LONG);
        let body = format!("a\r\n{long}\r\nb\r\n");
        let pgp = format!("-----BEGIN PGP SIGNED MESSAGE-----\r\n{long}\r\n");
        let rows = [
            ("Content-Type: multipart/signed; boundary=b", &body),
            ("Content-Type: multipart/encrypted; boundary=b", &body),
            ("Content-Type: multipart/alternative; boundary=b", &body),
            (
                "Content-Type: application/pkcs7-mime; name=smime.p7m",
                &body,
            ),
            ("Content-Type: application/pgp", &body),
            ("Content-Type: message/rfc822", &body),
            ("Content-Type: application/json", &body),
            ("Content-Type: text/plain\nContent-Type: image/png", &body),
            ("Content-Type:", &body),
            (
                "Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: base64",
                &body,
            ),
            (
                "Content-Transfer-Encoding: base64\nContent-Transfer-Encoding: 8bit",
                &body,
            ),
            ("Content-Transfer-Encoding: binary", &body),
            ("Content-Transfer-Encoding: x-unknown", &body),
            ("Subject: inline", &pgp),
        ];
        for (fields, body) in rows {
            let before = header(fields);
            let mut after = before.clone();
            let transfer = transfer(&mut after, body.as_bytes(), false);
            assert_eq!((transfer.encoded, transfer.broken), (None, 1), "{fields}");
            assert_eq!(after, before);
            assert_lines_fit(&transfer.body, LINE_MAX);
            let text = String::from_utf8(transfer.body.into_owned()).unwrap();
            assert_eq!(text.replace("\r\n ", ""), *body, "{fields}");
        }
    }

    #[test]
    fn a_line_is_broken_after_998_octets_and_between_characters() {
        let (whole, count) = with_lines_broken("x".repeat(998 + 997 + 1).as_bytes(), Break::Blank);
        let wanted = format!("{}\r\n {}\r\n x\r\n", "x".repeat(998), "x".repeat(997));
        assert_eq!((whole, count), (wanted.into_bytes(), 1));
        for character in ["\u{fc}", "\u{20ac}", "\u{1f600}"] {
            let text = format!("x{}", character.repeat(LONG));
            let (whole, _) = with_lines_broken(text.as_bytes(), Break::Blank);
            assert_lines_fit(&whole, LINE_MAX);
            let whole = String::from_utf8(whole).unwrap();
            let parted = |line: &[u8]| std::str::from_utf8(line).is_err();
            assert!(!whole.as_bytes().split(|&octet| octet == b'\n').any(parted));
        }
        let (whole, _) = with_lines_broken(&[0x80; LONG], Break::Blank);
        assert_lines_fit(&whole, LINE_MAX);
    }

    #[test]
    fn what_is_quoted_printable_means_the_same_after_its_long_lines_were_broken() {
        let fields = "Content-Type: text/html\nContent-Transfer-Encoding: Quoted-Printable";
        let rows = [
            ("x".repeat(998), "x".repeat(998)),
            ("x".repeat(999), format!("{}=\r\nxx", "x".repeat(997))),
            (
                format!("{}=3Dyz", "x".repeat(996)),
                format!("{}=\r\n=3Dyz", "x".repeat(996)),
            ),
            (
                format!("{}=3Dyz", "x".repeat(995)),
                format!("{}=\r\n=3Dyz", "x".repeat(995)),
            ),
            (
                format!("{}=3Dyzz", "x".repeat(994)),
                format!("{}=3D=\r\nyzz", "x".repeat(994)),
            ),
            (
                format!("{}{}", "x".repeat(999), " ".repeat(998)),
                format!("{}=\r\nxx", "x".repeat(997)),
            ),
            (format!("x={}", " ".repeat(998)), "x=".to_owned()),
        ];
        for (body, wanted) in rows {
            let (_, body) = sent(fields, format!("{body}\r\n").as_bytes(), true);
            assert_eq!(String::from_utf8(body).unwrap(), format!("{wanted}\r\n"));
        }
        let mut state = 0x2545_f491_4f6c_dd1d;
        for _ in 0..500 {
            let text = random_body(&mut state);
            let encoded = String::from_utf8(quoted_printable(&text)).unwrap();
            let (head, body) = sent(fields, encoded.replace("=\r\n", "").as_bytes(), true);
            assert_lines_fit(&body, LINE_MAX);
            let wire = [head.replace('|', "\r\n").as_bytes(), b"\r\n", &body].concat();
            let read = mailparse::parse_mail(&wire).unwrap();
            assert_eq!(read.get_body_raw().unwrap(), text);
        }
    }

    #[test]
    fn what_is_base64_means_the_same_after_its_long_lines_were_broken() {
        let fields = "Content-Type: image/png\nContent-Transfer-Encoding: Base64";
        let body = format!("{}\r\nYQ==\r\n", "YWJj".repeat(LONG));
        let (_, broken) = sent(fields, body.as_bytes(), true);
        assert_lines_fit(&broken, LINE_MAX);
        let broken = String::from_utf8(broken).unwrap();
        assert!(broken.lines().all(|line| line.len() % 4 == 0));
        assert_eq!(broken.replace("\r\n", ""), body.replace("\r\n", ""));
    }

    #[test]
    fn eight_bit_text_is_labelled_as_far_as_its_author_did_not() {
        let rows = [
            (
                "A: b",
                "MIME-Version: 1.0|Content-Type: text/plain; charset=utf-8|\
                 Content-Transfer-Encoding: 8bit|A: b|",
            ),
            (
                "MIME-Version: 1.0",
                "Content-Type: text/plain; charset=utf-8|Content-Transfer-Encoding: 8bit|\
                 MIME-Version: 1.0|",
            ),
            (
                "Content-type: text/html",
                "MIME-Version: 1.0|Content-Transfer-Encoding: 8bit|Content-type: text/html|",
            ),
            (
                "MIME-Version: 1.0\nContent-Type: text/plain; charset=koi8-r\n\
                 Content-Transfer-Encoding: 7bit",
                "MIME-Version: 1.0|Content-Type: text/plain; charset=koi8-r|\
                 Content-Transfer-Encoding: 8bit|",
            ),
            (
                "Content-Type: application/json",
                "Content-Type: application/json|",
            ),
        ];
        let body = "gr\u{fc}n\r\n".as_bytes();
        for (fields, wanted) in rows {
            assert_eq!(sent(fields, body, true), (wanted.to_owned(), body.to_vec()));
        }
        let (fields, _) = sent("A: b", b"gr\xfcn\r\n", true);
        assert!(
            fields.contains("text/plain; charset=unknown-8bit|"),
            "{fields}"
        );
    }

    #[test]
    fn eight_bit_text_is_encoded_for_a_server_without_8bitmime() {
        let body = "gr\u{fc}n = \r\n\r\n..\r\n".as_bytes();
        let (fields, encoded) = sent(MIME, body, false);
        assert_eq!(
            fields,
            "Content-Transfer-Encoding: quoted-printable|MIME-Version: 1.0|\
             Content-Type: text/html; charset=utf-8|"
        );
        assert_eq!(encoded, b"gr=C3=BCn =3D=20\r\n\r\n=2E.\r\n");
        for fields in [
            "Content-Type: multipart/signed; boundary=b",
            "Content-Type: image/png",
        ] {
            let mut header = header(fields);
            let transfer = transfer(&mut header, body, false);
            assert_eq!(transfer.body, body);
            assert!(transfer.eight_bit_unasked && transfer.encoded.is_none());
        }
    }

    #[test]
    fn quoted_printable_keeps_to_its_rules() {
        let rows: [(&str, String); 8] = [
            ("a\tb \r\n", "a\tb=20\r\n".into()),
            ("\t\r\n \r\n", "=09\r\n=20\r\n".into()),
            (
                "From me\r\nFrom: me\r\n",
                "=46rom me\r\nFrom: me\r\n".into(),
            ),
            (
                ".\r\n..\r\n.a\r\na.\r\n",
                "=2E\r\n=2E.\r\n=2Ea\r\na.\r\n".into(),
            ),
            ("\u{7f}\x1b\r\n", "=7F=1B\r\n".into()),
            // What ends a line needs no place for a soft line break behind it.
            (
                &format!("{}\r\n", "x".repeat(76)),
                format!("{}\r\n", "x".repeat(76)),
            ),
            (
                &format!("{}.\r\n", "x".repeat(76)),
                format!("{}=\r\nx.\r\n", "x".repeat(75)),
            ),
            (
                &format!("{}From \r\n", "x".repeat(75)),
                format!("{}=\r\n=46rom=20\r\n", "x".repeat(75)),
            ),
        ];
        for (text, wanted) in rows {
            let encoded = String::from_utf8(quoted_printable(text.as_bytes())).unwrap();
            assert_eq!(encoded, wanted);
        }
    }

    fn xorshift(state: &mut u64) -> u64 {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        *state
    }

    /// Lines of odd pieces, now and then a long one.
    fn random_body(state: &mut u64) -> Vec<u8> {
        let pieces: [&[u8]; 14] = [
            b"\r\n",
            b"\r\n",
            b" ",
            b"\t",
            b"=",
            b".",
            b"From ",
            b"x",
            b"=3D",
            b"\xff",
            b"\x1b",
            "\u{fc}".as_bytes(),
            b"word",
            b"-- ",
        ];
        let mut body = Vec::new();
        for _ in 0..xorshift(state) % 60 {
            let times = match xorshift(state) % 16 {
                0 => 400 + xorshift(state) % 900,
                1 => 70 + xorshift(state) % 9,
                _ => 1,
            };
            let piece = pieces[(xorshift(state) % 14) as usize];
            body.extend(piece.repeat(times as usize));
        }
        body.extend_from_slice(b"\r\n");
        body
    }

    #[test]
    fn every_body_arrives_whole_in_lines_that_servers_take() {
        let kinds = [
            "Subject: x",
            MIME,
            "Content-Type: multipart/signed; boundary=b",
            "Content-Transfer-Encoding: 7bit",
            "Content-Type: application/octet-stream",
            "Content-Type: application/pkcs7-mime\nContent-Transfer-Encoding: base64",
        ];
        let mut state = 0x9e37_79b9_7f4a_7c15;
        for _ in 0..3000 {
            let body = random_body(&mut state);
            let kind = (xorshift(&mut state) % 6) as usize;
            let mut header = header(kinds[kind]);
            let transfer = transfer(&mut header, &body, xorshift(&mut state).is_multiple_of(2));
            assert_lines_fit(&transfer.body, LINE_MAX);
            let mut again = header.clone();
            let twice = super::transfer(&mut again, &transfer.body, true);
            assert!(again == header && twice.body == transfer.body);
            if transfer.encoded.is_none() {
                assert!(transfer.broken > 0 || transfer.body == body);
                continue;
            }
            assert!([0, 1, 3].contains(&kind), "{}", kinds[kind]);
            assert!(transfer.body.is_ascii());
            assert_lines_fit(&transfer.body, 76);
            for line in lines(&transfer.body) {
                let bad = line.ends_with(b" ") || line.ends_with(b"\t");
                assert!(!bad && !line.starts_with(b".") && !line.starts_with(b"From "));
            }
            let wire = [&header.octets()[..], b"\r\n", &transfer.body].concat();
            let read = mailparse::parse_mail(&wire).unwrap();
            assert_eq!(read.headers.get_first_value("MIME-Version").unwrap(), "1.0");
            assert_eq!(read.get_body_raw().unwrap(), body);
        }
    }
}
