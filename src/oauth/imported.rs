//! A refresh token from elsewhere, in whatever text it came.

use super::answer::{object, taken};
use super::token::{Claims, RefreshToken};
use crate::outcome::{Class, Failure};
use zeroize::Zeroizing;

/// The refresh token in a text from elsewhere: the token itself, or JSON with a member `refresh_token`,
/// such as a whole token answer or the line of a slot.
pub(crate) fn imported(text: &str) -> Result<RefreshToken, Failure> {
    let refused = |why: &str| {
        Failure::new(Class::Data, "no refresh token in the input")
            .because(why)
            .fix("give the refresh token alone, or JSON with a member refresh_token")
    };
    let text = text.trim_start_matches('\u{feff}').trim();
    let json = if text.starts_with("v1 ") {
        text.find('{').and_then(|at| text.get(at..))
    } else {
        None
    };
    let json = json.unwrap_or(text);
    // No token begins with a bracket; a list of them is JSON too, and must not be sent as one.
    let token = if json.starts_with(['{', '[']) {
        let broken = || refused("the JSON is broken, or no object");
        let mut answer = object(json.as_bytes()).ok_or_else(broken)?;
        taken(&mut answer, "refresh_token")
            .ok_or_else(|| refused("the JSON has no text in a member refresh_token"))?
    } else {
        bare(text)
    };
    if token.starts_with(['"', '\'']) || token.ends_with(['"', '\'']) {
        return Err(refused("a quote has no other half"));
    }
    if token.len() > RefreshToken::SIZE_MAX {
        return Err(refused(
            "it is larger than 32 KiB, which no refresh token is",
        ));
    }
    if Claims::of(&token).is_some() {
        return Err(refused("this is an access token or id token"));
    }
    RefreshToken::new(&token).ok_or_else(|| refused("a refresh token is one word of visible ASCII"))
}

/// The token of a text that is no JSON: alone, in quotes, or the value of `refresh_token=` in a line
/// of a file or in a form.
fn bare(text: &str) -> Zeroizing<String> {
    let value = |part: &'_ str| -> Option<Zeroizing<String>> {
        let rest = part.trim().strip_prefix("refresh_token")?;
        let value = unquoted(rest.trim_start().strip_prefix('=')?.trim());
        Some(percent_decoded(value))
    };
    let mut parts = text.lines().flat_map(|line| line.split('&'));
    parts
        .find_map(value)
        .unwrap_or_else(|| Zeroizing::new(unquoted(text).to_owned()))
}

fn unquoted(text: &str) -> &str {
    let between = |quote: char| text.strip_prefix(quote)?.strip_suffix(quote);
    between('"').or_else(|| between('\'')).unwrap_or(text)
}

/// `%XX` as the octet it stands for, in ASCII; anything else as it is.
fn percent_decoded(text: &str) -> Zeroizing<String> {
    let mut decoded = Zeroizing::new(String::with_capacity(text.len()));
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let octet = rest
            .strip_prefix('%')
            .and_then(|rest| rest.get(..2))
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok())
            .filter(u8::is_ascii);
        decoded.push(octet.map_or(first, char::from));
        rest = rest
            .get(octet.map_or(first.len_utf8(), |_| 3)..)
            .unwrap_or_default();
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::token::tests::jwt;
    use serde_json::json;

    #[test]
    fn a_refresh_token_is_imported_raw_or_from_json() {
        let slot =
            "v1 3 0123456789abcdef {\"refresh_token\":\"0.rt\",\"access_token\":\"at\"}\nrest";
        for text in [
            "0.rt",
            "\u{feff}  0.rt\r\n",
            "\"0.rt\"",
            "'0.rt'\n",
            "refresh_token=0.rt\n",
            "refresh_token = \"0.rt\"",
            "client_id=x\nrefresh_token='0.rt'\nscope=y\n",
            "token_type=Bearer&refresh_token=0%2Ert&expires_in=3599",
            "{\"refresh_token\":\"0.rt\"}",
            "{\"token_type\":\"Bearer\",\"access_token\":\"at\",\"refresh_token\":\"0.rt\"}\n",
            slot.trim_end_matches("\nrest"),
        ] {
            assert_eq!(imported(text).ok().unwrap().expose(), "0.rt", "{text}");
        }
        for text in [
            "",
            "two words",
            "{",
            "{}",
            "{\"refresh_token\":null}",
            "0.rt\n0.rt",
            "[{\"refresh_token\":\"0.rt\"}]",
            "'0.rt",
            "refresh_token=",
            "refresh_token=''",
            "refresh_token=two words",
            "refresh_token=%0a",
            &jwt(json!({})),
        ] {
            assert!(imported(text).is_err(), "{text}");
        }
        for text in [
            "x".repeat(32 * 1024 + 1),
            format!("refresh_token={}", "%".repeat(40_000)),
        ] {
            let failure = imported(&text).err().unwrap();
            assert!(failure.why().unwrap_or_default().contains("32 KiB"));
        }
    }
}
