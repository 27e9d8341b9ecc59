//! MIME fields in ASCII: their parameters as RFC 2231 writes them, their comments in encoded words.

use super::encoded::{decoded, display_name, encoded_comment, utf8};
use super::header::blank;
use super::parts::{Part, Parts, quoted_len, unquoted};
use std::collections::HashSet;

/// Longest section of a value made here, so that no line has to be broken within one.
const SECTION_MAX: usize = 800;

/// The value of a MIME field without raw 8-bit; what has no form in ASCII becomes UTF-8.
pub(super) fn encoded(value: &[u8]) -> Vec<u8> {
    let line_ends = |octet: &u8| !matches!(octet, b'\r' | b'\n');
    let value: Vec<u8> = value.iter().copied().filter(line_ends).collect();
    let pieces = pieces(&value);
    let extended = extended_names(&pieces);
    let mut out = Vec::new();
    for (place, piece) in pieces.iter().enumerate() {
        if place > 0 {
            out.push(b';');
        }
        let parameter = match place > 0 && !piece.is_ascii() {
            true => parameter(piece, &extended),
            false => None,
        };
        match parameter {
            Some(text) => {
                out.extend(piece.iter().take_while(|&&octet| blank(octet)));
                out.extend_from_slice(text.as_bytes());
            }
            None => out.extend_from_slice(with_comments_encoded(piece).as_bytes()),
        }
    }
    out
}

/// What stands between the semicolons; those in quotes and comments part nothing.
fn pieces(value: &[u8]) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    let mut rest = value;
    let mut length = 0;
    for part in Parts(value) {
        if let Part::Special(b";") = part {
            let (piece, after) = rest.split_at_checked(length).unwrap_or((rest, b""));
            pieces.push(piece);
            rest = after.get(1..).unwrap_or_default();
            length = 0;
        } else {
            length += part.octets().len();
        }
    }
    pieces.push(rest);
    pieces
}

/// The parameter in ASCII, if it has such a form.
///
/// The boundary has none: it is compared with what stands in the body.
fn parameter(piece: &[u8], extended_names: &HashSet<String>) -> Option<String> {
    let name = name(piece).filter(|name| !name.eq_ignore_ascii_case("boundary"))?;
    let at = piece.iter().position(|&octet| octet == b'=')?;
    let value = piece.get(at + 1..)?.trim_ascii();
    if name.ends_with('*') {
        let escaped = value.iter().map(|&octet| match octet.is_ascii() {
            true => char::from(octet).to_string(),
            false => format!("%{octet:02X}"),
        });
        return Some(format!("{name}={}", escaped.collect::<String>()));
    }
    if name.contains('*') {
        return None;
    }
    let (value, rest) = match value.first() {
        Some(b'"') => value.split_at_checked(quoted_len(value))?,
        // Whoever does not quote does not know that a blank or a bracket ends the value.
        _ => (value, &b""[..]),
    };
    let text = match value.first() {
        Some(b'"') => decoded(&unquoted(value)),
        _ => decoded(value),
    };
    let made = match extended_names.contains(&name.to_ascii_lowercase()) {
        // This one is for those who do not know the other form.
        true => {
            let plain = text.replace(|character: char| !character.is_ascii(), "_");
            let quoted = display_name(plain.as_bytes()).unwrap_or("\"\"".to_owned());
            format!("{name}={quoted}")
        }
        false => extended(name, &text),
    };
    Some(made + &with_comments_encoded(rest))
}

/// The name of a parameter, if it is one.
fn name(piece: &[u8]) -> Option<&str> {
    let end = piece.iter().position(|&octet| octet == b'=')?;
    let name = piece.get(..end)?.trim_ascii();
    let token = |octet: &u8| octet.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(octet);
    match !name.is_empty() && name.iter().all(token) {
        true => std::str::from_utf8(name).ok(),
        false => None,
    }
}

/// The parameters that stand there in the form of RFC 2231, in lower case.
fn extended_names(pieces: &[&[u8]]) -> HashSet<String> {
    let names = pieces.iter().filter_map(|piece| name(piece));
    let stems = names.filter_map(|name| name.split_once('*'));
    stems.map(|(stem, _)| stem.to_ascii_lowercase()).collect()
}

/// `name*=utf-8''text`, in sections if it is long (RFC 2231 sections 3 and 4).
fn extended(name: &str, text: &str) -> String {
    let mut sections = vec![String::from("utf-8''")];
    for character in text.chars() {
        let mut buffer = [0; 4];
        let octets = character.encode_utf8(&mut buffer).bytes();
        let escaped: String = octets.map(escaped).collect();
        match sections.last_mut() {
            Some(last) if last.len() + escaped.len() <= SECTION_MAX => last.push_str(&escaped),
            _ => sections.push(escaped),
        }
    }
    if let [only] = sections.as_slice() {
        return format!("{name}*={only}");
    }
    let numbered = sections.iter().enumerate();
    let numbered = numbered.map(|(place, section)| format!("{name}*{place}*={section}"));
    numbered.collect::<Vec<_>>().join("; ")
}

fn escaped(octet: u8) -> String {
    match octet.is_ascii_alphanumeric() || b"!#$&+-.^_`{|}~".contains(&octet) {
        true => char::from(octet).to_string(),
        false => format!("%{octet:02X}"),
    }
}

fn with_comments_encoded(piece: &[u8]) -> String {
    let text = utf8(piece);
    let parts = Parts(text.as_bytes()).map(|part| match part {
        Part::Comment(comment) if !comment.is_ascii() => encoded_comment(comment).into(),
        other => utf8(other.octets()),
    });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(value: &[u8]) -> String {
        String::from_utf8(encoded(value)).unwrap()
    }

    #[test]
    fn a_hundred_thousand_parameters_are_read_in_one_pass() {
        let text = made("; a=\u{f6}".repeat(100_000).as_bytes());
        assert_eq!(text.matches("; a*=utf-8''%C3%B6").count(), 100_000);
    }

    #[test]
    fn parameters_become_those_of_rfc_2231() {
        let rows: [(&[u8], &str); 12] = [
            (
                b" text/plain; charset=utf-8;\r\n name=\"gr\xfcn, 1.txt\" ; x=y",
                " text/plain; charset=utf-8; name*=utf-8''gr%C3%BCn%2C%201.txt; x=y",
            ),
            (
                b"a/b;NAME = \"g\\\"\xc3\xbc\" (\xfc)",
                "a/b;NAME*=utf-8''g%22%C3%BC (=?utf-8?b?w7w=?=)",
            ),
            (
                b"a/b; name=gr\xfc n (1).txt; c=d",
                "a/b; name*=utf-8''gr%C3%BC%20n%20%281%29.txt; c=d",
            ),
            (b"a/b; name=\"gr\xfc;n", "a/b; name*=utf-8''gr%C3%BC%3Bn"),
            (
                b"a/b; name*=utf-8''gr\xc3\xbc%20n",
                "a/b; name*=utf-8''gr%C3%BC%20n",
            ),
            (
                b"a/b; name*=iso-8859-1''gr\xfc",
                "a/b; name*=iso-8859-1''gr%FC",
            ),
            (
                b"a/b; name=\"gr\xfc.x\"; Name*0*=utf-8''gr%C3%BC; name*1=.x",
                "a/b; name=\"gr_.x\"; Name*0*=utf-8''gr%C3%BC; name*1=.x",
            ),
            (
                b"a/b; name*0=gr\xfc; name*1=n",
                "a/b; name*0=gr\u{fc}; name*1=n",
            ),
            (
                b"multipart/x; boundary=\"\xfc\"",
                "multipart/x; boundary=\"\u{fc}\"",
            ),
            (
                b"a/\xfc (\xfc); \xfc",
                "a/\u{fc} (=?utf-8?b?w7w=?=); \u{fc}",
            ),
            (b"1.0 (gr\xfcn)", "1.0 (=?utf-8?q?gr=C3=BCn?=)"),
            (b";;=\xfc;", ";;=\u{fc};"),
        ];
        for (value, wanted) in rows {
            assert_eq!(made(value), wanted);
        }
    }

    #[test]
    fn names_of_any_length_read_back() {
        for count in [1, 20, 110, 140, 500] {
            let name = "\u{fc} x'%*\u{1f600}".repeat(count);
            let value = made(format!("attachment; filename=\"{name}\"").as_bytes());
            assert!(value.is_ascii() && value.split(' ').all(|word| word.len() < 900));
            let read = mailparse::parse_content_disposition(&value);
            assert_eq!(read.params.get("filename"), Some(&name), "{value}");
        }
    }

    #[test]
    fn any_value_becomes_utf_8_and_ascii_stays_as_it_is() {
        let pieces: [&[u8]; 16] = [
            b"\"",
            b"\\",
            b"(",
            b")",
            b";",
            b"=",
            b"*",
            b"'",
            b" ",
            b"name",
            b"\r\n ",
            b"/",
            b"\xc3\xb6",
            b"\xff",
            b"boundary",
            b"\x81",
        ];
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        for _ in 0..50_000 {
            let mut value = Vec::new();
            for _ in 0..12 {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                value.extend_from_slice(pieces[state as usize % 16]);
            }
            let text = made(&value);
            assert!(!text.contains(['\r', '\n']));
            if value.is_ascii() {
                assert_eq!(text, String::from_utf8(value).unwrap().replace("\r\n", ""));
            }
        }
    }
}
