//! Text of any language in header fields: encoded words (RFC 2047) and quoted names.
//!
//! Octets that are not UTF-8 are read as windows-1252, word by word: a subject that was cut within a
//! character spoils its last word only.

use super::address::{elements, scan};
use super::header::blank;
use super::parts::{Part, Parts, unquoted};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::borrow::Cow;

/// Longest encoded word made here. RFC 2047 section 2 allows 75; this leaves room for `Subject: `.
const WORD_MAX: usize = 66;

/// Longest display name made here, in octets of UTF-8.
const NAME_MAX: usize = 256;

/// A display name for the place before `<`: quoted, or in encoded words; none for an empty one.
///
/// Control characters become blanks, and what is over 256 octets is cut between two characters.
pub fn display_name(name: &[u8]) -> Option<String> {
    let text = decoded(name);
    let end = text.char_indices().map(|(at, c)| at + c.len_utf8());
    let end = end.take_while(|&end| end <= NAME_MAX).last().unwrap_or(0);
    let text = text.get(..end).unwrap_or_default().trim();
    if text.is_empty() {
        return None;
    }
    if !text.is_ascii() {
        return Some(encoded_words(text));
    }
    let mut quoted = String::from("\"");
    for character in text.chars() {
        if matches!(character, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted.push('"');
    Some(quoted)
}

/// A phrase as it was written, if it is one that may stand before `<`; else its text made into one.
pub(super) fn phrase(raw: &[u8]) -> Option<String> {
    let parts: Vec<Part> = Parts(raw).collect();
    let sound = parts.iter().all(|part| match part {
        Part::Quoted(text) => text.is_ascii() && text.len() > 2 && is_closed(text),
        Part::Atom(text) => text.iter().all(|&octet| in_phrase(octet)),
        Part::Blanks(_) => true,
        Part::Comment(_) | Part::Special(_) => false,
    });
    let mut text = Vec::new();
    for part in parts {
        match part {
            Part::Blanks(_) => text.push(b' '),
            Part::Quoted(quoted) if !sound => text.extend(unquoted(quoted)),
            Part::Comment(_) => {}
            Part::Quoted(octets) | Part::Atom(octets) | Part::Special(octets) => {
                text.extend_from_slice(octets);
            }
        }
    }
    let text = text.trim_ascii();
    match std::str::from_utf8(text) {
        Ok(phrase) if sound && text.len() <= NAME_MAX && !text.is_empty() => {
            Some(phrase.chars().map(without_control).collect())
        }
        _ => display_name(text),
    }
}

/// The text of the comments in the value of an address field.
fn comments(value: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    for part in Parts(value) {
        if let Part::Comment(comment) = part {
            text.extend(unquoted(comment));
            text.push(b' ');
        }
    }
    text
}

/// The name that stands in the comments of an address field; within quotes nobody would read the encoded
/// words in it.
pub(super) fn name_in_comments(value: &[u8]) -> Option<String> {
    let text = comments(value);
    let mut words = text.split(|&octet| blank(octet));
    match words.any(is_encoded_word) {
        true => phrase(&text),
        false => display_name(&text),
    }
}

/// The value of an unstructured field, with raw 8-bit words encoded.
pub(super) fn unstructured(value: &[u8]) -> Vec<u8> {
    let mut encoder = Encoder::default();
    let line_ends = |octet: &u8| !matches!(octet, b'\r' | b'\n');
    let value: Vec<u8> = value.iter().copied().filter(line_ends).collect();
    for word in value.chunk_by(|a, b| blank(*a) == blank(*b)) {
        match word.first() {
            Some(&octet) if blank(octet) => encoder.blanks(word),
            _ if word.is_ascii() => encoder.raw(word),
            _ => encoder.text(&decoded(word)),
        }
    }
    encoder.finish()
}

/// The value of an address field, with raw 8-bit in names and comments encoded.
///
/// Addresses that are not ASCII are written anew. What is no address becomes an encoded phrase, or
/// a comment where a phrase would change what its neighbours are, or at least UTF-8.
pub(super) fn names(value: &[u8]) -> Vec<u8> {
    let readable = |value: &[u8]| -> Vec<String> {
        let found = scan(value).into_iter().flatten();
        found.map(|mailbox| mailbox.address.written()).collect()
    };
    let before = readable(value);
    for no_address in [Encoder::phrase, Encoder::comment] {
        let made = with_names_encoded(value, no_address);
        if readable(&made) == before {
            return made;
        }
    }
    with_names_encoded(value, Encoder::utf8)
}

fn with_names_encoded(value: &[u8], no_address: fn(&mut Encoder, &[u8])) -> Vec<u8> {
    let mut encoder = Encoder::default();
    let mut at = 0;
    for (span, found) in elements(value) {
        encoder.names(value.get(at..span.start).unwrap_or_default());
        let octets = value.get(span.clone()).unwrap_or_default();
        match found {
            _ if octets.is_ascii() => encoder.raw(octets),
            Ok(mailbox) => encoder.raw(mailbox.address.written().as_bytes()),
            Err(_) => no_address(&mut encoder, octets),
        }
        at = span.end;
    }
    encoder.names(value.get(at..).unwrap_or_default());
    encoder.finish()
}

/// Octets as UTF-8, each word that is none read as windows-1252.
pub(super) fn utf8(octets: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(octets) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => {
            let words = octets.chunk_by(|a, b| blank(*a) == blank(*b));
            Cow::Owned(words.map(text_of).collect())
        }
    }
}

/// A comment, brackets included, with its text encoded.
pub(super) fn encoded_comment(comment: &[u8]) -> String {
    format!("({})", encoded_words(decoded(&unquoted(comment)).trim()))
}

/// Text as one encoded word, or as several with blanks between them; no character is split.
pub fn encoded_words(text: &str) -> String {
    // People read `q` where most of it is letters; `b` is shorter where little is.
    let escaped = text.bytes().filter(|&octet| q_cost(octet) > 1).count();
    let letter = match escaped * 3 <= text.len() * 2 {
        true => 'q',
        false => 'b',
    };
    let room = WORD_MAX - "=?utf-8?q??=".len();
    let mut words = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let mut cost = 0;
        let mut len = 0;
        for character in rest.chars() {
            let next = len + character.len_utf8();
            let octets = rest.as_bytes().get(len..next).unwrap_or_default();
            cost = match letter {
                'q' => cost + octets.iter().copied().map(q_cost).sum::<usize>(),
                _ => b_len(next),
            };
            if cost > room {
                break;
            }
            len = next;
        }
        let (word, after) = rest.split_at(len);
        let payload = match letter {
            'q' => q_encoded(word),
            _ => STANDARD.encode(word),
        };
        words.push(format!("=?utf-8?{letter}?{payload}?="));
        rest = after;
    }
    words.join(" ")
}

fn b_len(octets: usize) -> usize {
    octets.div_ceil(3) * 4
}

fn q_cost(octet: u8) -> usize {
    match octet {
        b' ' => 1,
        _ if q_plain(octet) => 1,
        _ => 3,
    }
}

/// What may stand for itself also within a phrase (RFC 2047 section 5, rule 3).
fn q_plain(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b"!*+-/".contains(&octet)
}

fn q_encoded(word: &str) -> String {
    let mut payload = String::new();
    for octet in word.bytes() {
        match octet {
            b' ' => payload.push('_'),
            _ if q_plain(octet) => payload.push(char::from(octet)),
            _ => payload.push_str(&format!("={octet:02X}")),
        }
    }
    payload
}

/// Octets as text without control characters.
pub(super) fn decoded(octets: &[u8]) -> String {
    text_of(octets).chars().map(without_control).collect()
}

fn text_of(octets: &[u8]) -> Cow<'_, str> {
    let windows = |_| {
        let decoded = encoding_rs::WINDOWS_1252.decode_without_bom_handling(octets);
        decoded.0
    };
    std::str::from_utf8(octets).map_or_else(windows, Cow::Borrowed)
}

fn without_control(character: char) -> char {
    match character.is_control() {
        true => ' ',
        false => character,
    }
}

fn is_encoded_word(word: &[u8]) -> bool {
    word.starts_with(b"=?") && word.ends_with(b"?=")
}

/// Letters of a phrase, and the dot that everybody writes (RFC 5322 section 4.1).
fn in_phrase(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&octet)
}

/// Puts words together; text that follows text becomes one run of encoded words.
///
/// Readers drop the blanks between two encoded words, so a blank that is meant goes inside.
#[derive(Default)]
struct Encoder {
    out: Vec<u8>,
    /// Text that is not yet encoded.
    text: String,
    blanks: Vec<u8>,
    after_encoded: bool,
}

impl Encoder {
    fn blanks(&mut self, blanks: &[u8]) {
        self.blanks.extend_from_slice(blanks);
    }

    fn raw(&mut self, word: &[u8]) {
        let encoded = is_encoded_word(word);
        if encoded && !self.text.is_empty() {
            self.text.push(' ');
        }
        let fresh = !self.text.is_empty();
        self.flush();
        if fresh && self.out.last().is_some_and(|&octet| !blank(octet)) {
            self.out.push(b' ');
        }
        self.out.extend_from_slice(word);
        self.after_encoded = encoded;
    }

    fn text(&mut self, text: &str) {
        if !self.text.is_empty() {
            let blanks = self.blanks.drain(..).filter(|&octet| blank(octet));
            self.text.extend(blanks.map(|_| ' '));
        } else {
            self.out.append(&mut self.blanks);
            if self.out.last().is_some_and(|&octet| !blank(octet)) {
                self.out.push(b' ');
            }
            if self.after_encoded {
                self.text.push(' ');
            }
        }
        self.text.push_str(text);
    }

    /// A stretch of an address field between two addresses.
    fn names(&mut self, stretch: &[u8]) {
        let mut in_angle = false;
        for part in Parts(stretch) {
            match part {
                Part::Blanks(blanks) => self.blanks(blanks),
                Part::Comment(comment) if !comment.is_ascii() => {
                    self.raw(encoded_comment(comment).as_bytes());
                }
                Part::Quoted(quoted) if !quoted.is_ascii() && !in_angle => {
                    self.text(&decoded(&unquoted(quoted)));
                }
                Part::Atom(atom) if !atom.is_ascii() && !in_angle => self.text(&decoded(atom)),
                Part::Special(special) => {
                    // The commas and colons of a route do not end it.
                    in_angle = special == b"<" || in_angle && special != b">";
                    self.raw(special);
                }
                Part::Comment(octets) | Part::Quoted(octets) | Part::Atom(octets) => {
                    self.utf8(octets);
                }
            }
        }
    }

    fn utf8(&mut self, octets: &[u8]) {
        self.raw(utf8(octets).as_bytes());
    }

    /// An element that is no address, as a name.
    fn phrase(&mut self, element: &[u8]) {
        let mut alone = Encoder::default();
        alone.names(element);
        match alone.finish().is_ascii() {
            true => self.names(element),
            false => self.comment(element),
        }
    }

    /// An element that is no address, out of the way of its neighbours.
    fn comment(&mut self, element: &[u8]) {
        let words = encoded_words(decoded(element).trim());
        self.raw(format!("({words})").as_bytes());
    }

    fn flush(&mut self) {
        if !self.text.is_empty() {
            let words = encoded_words(&std::mem::take(&mut self.text));
            self.out.extend_from_slice(words.as_bytes());
            self.after_encoded = true;
        }
        self.out.append(&mut self.blanks);
    }

    fn finish(mut self) -> Vec<u8> {
        self.flush();
        self.out
    }
}

/// Whether a quoted string ends in a quotation mark that means it.
fn is_closed(text: &[u8]) -> bool {
    let Some(inner) = text
        .strip_prefix(b"\"")
        .and_then(|text| text.strip_suffix(b"\""))
    else {
        return false;
    };
    let backslashes = inner.iter().rev().take_while(|&&octet| octet == b'\\');
    backslashes.count() % 2 == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The second opinion: what mailparse reads out of the value.
    fn read(value: &[u8]) -> String {
        let field = [b"Subject: ", value, b"\r\n"].concat();
        mailparse::parse_header(&field).unwrap().0.get_value()
    }

    fn addresses(value: &[u8]) -> Vec<String> {
        let found = scan(value).into_iter().flatten();
        found.map(|mailbox| mailbox.address.written()).collect()
    }

    fn string(octets: Vec<u8>) -> String {
        String::from_utf8(octets).unwrap()
    }

    #[test]
    fn every_text_reads_back_and_no_word_is_over_75_octets() {
        for sample in [
            "ö",
            "Größe ",
            "日本語テキスト",
            "a\u{1f600}b?=",
            "_=?() \"x\"",
            "  x  ",
        ] {
            for count in 1..60 {
                let text = sample.repeat(count);
                let words = encoded_words(&text);
                assert!(words.split(' ').all(|word| word.len() <= 75), "{words}");
                assert!(words.is_ascii());
                assert_eq!(read(words.as_bytes()), text, "{words}");
            }
        }
    }

    #[test]
    fn only_the_8_bit_words_of_a_subject_change_and_it_reads_the_same() {
        let rows = [
            (&b"disk full"[..], "disk full"),
            ("Größe der Platte".as_bytes(), "Größe der Platte"),
            ("a  ö\u{a0}ü  ß b".as_bytes(), "a  ö\u{a0}ü  ß b"),
            (b"Gr\xf6\xdfe \x80", "Größe €"),
            (
                "Größe cut \u{f6}".as_bytes().strip_suffix(b"\xb6").unwrap(),
                "Größe cut Ã",
            ),
            (
                "=?utf-8?q?=C3=A4?= ö =?utf-8?q?=C3=BC?=".as_bytes(),
                "ä ö ü",
            ),
            ("ö\r\n ü".as_bytes(), "ö ü"),
        ];
        for (value, text) in rows {
            let encoded = unstructured(value);
            assert!(encoded.is_ascii());
            assert_eq!(read(&encoded), text, "{}", string(encoded));
        }
        assert_eq!(
            string(unstructured("platte: Größe der Platte".as_bytes())),
            "platte: =?utf-8?q?Gr=C3=B6=C3=9Fe?= der Platte"
        );
    }

    #[test]
    fn a_display_name_cannot_leave_its_quotes() {
        let rows = [
            (&b"CronDaemon"[..], Some("\"CronDaemon\"")),
            (b"x\r\nBcc: v@y", Some("\"x  Bcc: v@y\"")),
            (
                b"a\" <b@c.test>, \"\\",
                Some("\"a\\\" <b@c.test>, \\\"\\\\\""),
            ),
            (b"\x1b[2J\0x", Some("\"[2J x\"")),
            ("Jörg".as_bytes(), Some("=?utf-8?q?J=C3=B6rg?=")),
            (b"J\xf6rg\x81", Some("=?utf-8?q?J=C3=B6rg?=")),
            (b" \r\n\t", None),
            (b"", None),
        ];
        for (name, made) in rows {
            assert_eq!(display_name(name).as_deref(), made, "{name:?}");
        }
    }

    #[test]
    fn a_long_name_is_cut_between_two_characters() {
        let name = display_name("x日本".repeat(100).as_bytes()).unwrap();
        let read = read(name.as_bytes());
        assert!(read.len() <= 256 && read.len() > 252 && "x日本".repeat(100).starts_with(&read));
        assert_eq!(display_name(&b"y".repeat(9000)).unwrap().len(), 258);
    }

    #[test]
    fn names_and_comments_are_encoded_and_addresses_are_not() {
        let rows = [
            (
                "Jörg Müller <j@x.test>",
                "=?utf-8?q?J=C3=B6rg_M=C3=BCller?= <j@x.test>",
            ),
            (
                "\"Müller, Jörg\"<j@x.test>",
                "=?utf-8?q?M=C3=BCller=2C_J=C3=B6rg?= <j@x.test>",
            ),
            (
                "j@x.test (Jörg (der) M),b@x",
                "j@x.test (=?utf-8?q?J=C3=B6rg_=28der=29_M?=),b@x",
            ),
            ("A Dr. ö <j@x>, C", "A Dr. =?utf-8?b?w7Y=?= <j@x>, C"),
            ("ä: j@x;", "=?utf-8?b?w6Q=?= : j@x;"),
            ("ä <jörg@x>, jörg@x", "=?utf-8?b?w6Q=?= <jörg@x>, jörg@x"),
            (
                "ö <jörg@bü.test> (ö)",
                "=?utf-8?b?w7Y=?= <jörg@bü.test> (=?utf-8?b?w7Y=?=)",
            ),
            (
                "ö <j(ö)@ bü.test>, \"j k\"@x.test",
                "=?utf-8?b?w7Y=?= <j@xn--b-eha.test>, \"j k\"@x.test",
            ),
            (
                "jörg@x <j@x>, K <k@x, ö <l@x>",
                "=?utf-8?q?j=C3=B6rg=40x?= <j@x>, K <k@x, =?utf-8?b?w7Y=?= <l@x>",
            ),
            ("ö <@r.ü,@s.ü:j@x>", "=?utf-8?b?w7Y=?= <@r.ü,@s.ü:j@x>"),
        ];
        for (value, made) in rows {
            assert_eq!(string(names(value.as_bytes())), made, "{value}");
        }
    }

    #[test]
    fn what_is_no_address_is_encoded_and_changes_nothing_around_it() {
        let rows: [(&[u8], &str); 9] = [
            (b"J\xf6rg", "=?utf-8?q?J=C3=B6rg?="),
            (
                b"J\xf6rg j\xf6rg@x.test",
                "=?utf-8?q?J=C3=B6rg_j=C3=B6rg=40x=2Etest?=",
            ),
            (
                b"<j\xf6rg@x.test>, k@x.test",
                "(=?utf-8?q?=3Cj=C3=B6rg=40x=2Etest=3E?=), k@x.test",
            ),
            (b"j@x.test J\xc3\xb6rg", "j@x.test =?utf-8?q?J=C3=B6rg?="),
            (
                b"j@x.test j\xf6rg@x.test",
                "j@x.test (=?utf-8?q?j=C3=B6rg=40x=2Etest?=)",
            ),
            (
                b"\"j\xf6\"@x.test",
                "(=?utf-8?q?=22j=C3=B6=22=40x=2Etest?=)",
            ),
            (b"\"a\"\xf6@x.test", "\"a\" =?utf-8?q?=C3=B6=40x=2Etest?="),
            (b"j@b\xfccher.test", "=?utf-8?q?j=40b=C3=BCcher=2Etest?="),
            // Without the brackets the x would be somebody.
            (b"<\xf6 \xfc> x", "<\u{f6} \u{fc}> x"),
        ];
        for (value, made) in rows {
            assert_eq!(string(names(value)), made);
        }
    }

    #[test]
    fn a_phrase_stays_as_it_is_or_is_quoted() {
        let rows = [
            ("Joe Q. Public", Some("Joe Q. Public")),
            ("\"Public, Joe\" Q", Some("\"Public, Joe\" Q")),
            ("=?utf-8?q?=C3=B6?= x", Some("=?utf-8?q?=C3=B6?= x")),
            ("joe@x.test", Some("\"joe@x.test\"")),
            ("Joe (the man) Public", Some("\"Joe  Public\"")),
            ("\"a@b\" c@d", Some("\"a@b c@d\"")),
            ("\"a\r\n b\"", Some("\"a b\"")),
            ("\"unclosed\\\"", Some("\"unclosed\"")),
            ("\"closed\\\\\"", Some("\"closed\\\\\"")),
            ("\"unclosed", Some("\"unclosed\"")),
            ("\"\"", None),
            ("", None),
        ];
        for (raw, made) in rows {
            let seen = phrase(raw.as_bytes());
            let seen = seen.map(|text| text.replace("a   b", "a b"));
            assert_eq!(seen.as_deref(), made, "{raw}");
        }
    }

    #[test]
    fn no_value_panics_or_gains_a_control_character() {
        let pieces: [&[u8]; 18] = [
            b":",
            b";",
            b"\"",
            b"\\",
            b"(",
            b")",
            b"<",
            b">",
            b"@",
            b",",
            b" ",
            b"a",
            b"=?",
            b"?=",
            b"\xc3\xb6",
            b"\xff",
            b"\xe2\x82",
            b"\xc2\x81",
        ];
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut next = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as usize
        };
        for _ in 0..100_000 {
            let mut value = Vec::new();
            for _ in 0..next() % 12 {
                value.extend_from_slice(pieces[next() % 18]);
            }
            let clean = |text: &[u8]| text.is_ascii() && !text.iter().any(u8::is_ascii_control);
            assert!(clean(&unstructured(&value)));
            assert!(clean(display_name(&value).unwrap_or_default().as_bytes()));
            assert!(
                clean(phrase(&value).unwrap_or_default().as_bytes()),
                "{value:?}"
            );
            let encoded = string(names(&value));
            let after = addresses(encoded.as_bytes());
            let kept = |address| after.contains(address);
            assert!(addresses(&value).iter().all(kept), "{value:?} {encoded}");
            comments(&value);
        }
    }
}
