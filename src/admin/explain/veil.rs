//! What people paste may hold their secrets: those are cut before anything of it is shown.

const CUT: &str = "[cut]";

/// Names whose values are secrets, wherever they stand.
const NAMES: &[&str] = &[
    "refresh_token",
    "access_token",
    "id_token",
    "client_secret",
    "client_assertion",
    "assertion",
    "device_code",
    "user_code",
    "code_verifier",
    "authorization",
    "identity-header",
    "identity_header",
    "password",
    "passwd",
    "pwd",
    "secret",
    "token",
    "bearer",
    "xoauth2",
];

/// Names whose value may follow a blank alone.
const BEFORE_BLANKS: &[&str] = &["bearer", "xoauth2"];

/// The name whose value has blanks in it, as in `Authorization: Bearer ...`.
const TO_THE_END: &str = "authorization";

/// The beginning of a text without what looks like a token, a secret or a code.
pub(super) fn shown(text: &str) -> String {
    const LOOKED_AT: usize = 4096;
    match text.char_indices().nth(LOOKED_AT) {
        // Half a token at the end would not look like one.
        Some((end, _)) => {
            let start = text.get(..end).unwrap_or_default();
            veiled(start.trim_end_matches(of_token))
        }
        None => veiled(text),
    }
}

fn veiled(text: &str) -> String {
    without_long_words(&without_named(text))
}

fn without_named(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let mut shown = String::new();
    let mut at = 0;
    while let Some((start, end)) = next_value(&lower, at) {
        shown.push_str(text.get(at..start).unwrap_or_default());
        shown.push_str(CUT);
        at = end;
    }
    shown.push_str(text.get(at..).unwrap_or_default());
    shown
}

/// Where the next value of a name begins and ends.
fn next_value(lower: &str, from: usize) -> Option<(usize, usize)> {
    let rest = lower.get(from..)?;
    let values = NAMES.iter().flat_map(|name| {
        let places = rest.match_indices(name);
        places.filter_map(move |(at, _)| value(lower, from + at, name))
    });
    values.min()
}

/// The value behind a name at `at`, if one is there.
fn value(lower: &str, at: usize, name: &str) -> Option<(usize, usize)> {
    let behind = lower.get(at + name.len()..)?;
    let mut rest = behind;
    let (mut separated, mut quoted) = (false, false);
    while let Some(first) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("%3d") {
            (rest, separated, quoted) = (after, true, false);
            continue;
        }
        match first {
            '=' | ':' => (separated, quoted) = (true, false),
            '"' | '\'' => quoted = true,
            '\\' => {}
            ' ' => separated |= BEFORE_BLANKS.contains(&name),
            _ => break,
        }
        rest = rest.get(first.len_utf8()..).unwrap_or_default();
    }
    let ends = |char: char| match quoted || name == TO_THE_END {
        true => matches!(char, '"' | '\\' | '\n'),
        false => char.is_whitespace() || "&\"'\\,;{}[]()<>".contains(char),
    };
    let length = rest.find(ends).unwrap_or(rest.len());
    let start = lower.len() - rest.len();
    (separated && length > 0).then_some((start, start + length))
}

fn without_long_words(text: &str) -> String {
    let mut shown = String::new();
    let mut word = String::new();
    for char in text.chars() {
        if of_token(char) {
            word.push(char);
        } else {
            shown.push_str(unless_secret(&word));
            word.clear();
            shown.push(char);
        }
    }
    shown + unless_secret(&word)
}

/// Whether tokens have it.
fn of_token(char: char) -> bool {
    char.is_ascii_alphanumeric() || "+/=_.!*$~%-".contains(char)
}

fn unless_secret(word: &str) -> &str {
    match is_secret(word) {
        true => CUT,
        false => word,
    }
}

/// Whether a word has the shape of a token or of a secret that Microsoft makes.
pub(super) fn is_secret(word: &str) -> bool {
    const LONGEST: usize = 60;
    // Names of exceptions are long too: letters, in parts.
    let name = word.chars().all(|c| c.is_ascii_alphabetic() || c == '.')
        && word.split('.').all(|part| part.len() <= 40);
    (word.contains("eyJ") && word.len() > 10)
        || (word.starts_with("Ew") && word.len() > 20)
        || (word.contains("Q~") && word.len() > 30)
        || (word.len() > LONGEST && !name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_cut_by_its_name() {
        for (text, shown) in [
            ("refresh_token=0.AXoA&x=1", "refresh_token=[cut]&x=1"),
            (
                "{\"refresh_token\": \"0.A b\", \"x\": 1}",
                "{\"refresh_token\": \"[cut]\", \"x\": 1}",
            ),
            (
                "{\\\"client_secret\\\":\\\"s~1\\\"}",
                "{\\\"client_secret\\\":\\\"[cut]\\\"}",
            ),
            ("Authorization: Bearer abc def", "Authorization: [cut]"),
            ("auth=Bearer abc def", "auth=Bearer [cut] def"),
            ("AUTH XOAUTH2 dXNl", "AUTH XOAUTH2 [cut]"),
            ("device_code%3DDAQ-1 end", "device_code%3D[cut] end"),
            ("CLIENT_SECRET = 'a b' c", "CLIENT_SECRET = '[cut]"),
            ("the secret being sent", "the secret being sent"),
            (
                "password expired; token is not valid",
                "password expired; token is not valid",
            ),
        ] {
            assert_eq!(veiled(text), shown, "{text}");
        }
    }

    #[test]
    fn a_secret_is_cut_by_its_shape() {
        let long = "a1B2".repeat(16);
        for secret in [
            "eyJ0eXAiOiJKV1Qi.eyJhdWQi.c2ln",
            "EwBAAl3BAAUFFpUAo7J3Ve0bjLBWZWCclRC3EoAA",
            "abc8Q~abcdefghijklmnopqrstuvwxyz_0123456",
            &long,
            &format!("0.{long}"),
            &format!("M.C507_BAY.0.U.-{long}!*$"),
        ] {
            assert_eq!(veiled(&format!("a {secret}, b")), "a [cut], b");
        }
        for plain in [
            "STOREDRV.Submission.Exception:ConnectionFailedTransientException.MapiExceptionLogonFailed;",
            "https://login.microsoftonline.com/error?code=700082",
            "00000003-0000-0000-c000-000000000000",
            "AM0PR02CA0134.eurprd02.prod.outlook.com",
        ] {
            assert_eq!(veiled(plain), plain);
        }
    }

    #[test]
    fn any_octets_are_gone_through() {
        for text in [
            "",
            "=",
            "token=",
            "token=\u{e4}",
            "\u{130}token:\u{e4}\u{1F600} x",
            "secret%3d",
        ] {
            let _ = veiled(text);
        }
        assert_eq!(
            veiled("\u{e4} token=\u{e4}b \u{e4}"),
            "\u{e4} token=[cut] \u{e4}"
        );
    }
}
