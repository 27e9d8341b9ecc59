//! Paths of RFC 5321 and author fields of RFC 5322, read strictly and on the tenant's own account.

const LOCAL_PART_MAX: usize = 64;
const DOMAIN_MAX: usize = 253;
const LABEL_MAX: usize = 63;

/// The inside of `<...>` and the parameters behind it.
pub fn path(text: &str) -> Option<(&str, Vec<String>)> {
    let inside = text.strip_prefix('<')?;
    let end = unquoted(inside, |letter| letter == '>')?;
    let (address, rest) = (&inside[..end], &inside[end + 1..]);
    if !rest.is_empty() && !rest.starts_with(' ') {
        return None;
    }
    let parameters: Vec<String> = rest.split(' ').skip(1).map(str::to_owned).collect();
    let sound = |word: &String| !word.is_empty() && word.bytes().all(|octet| octet > b' ');
    parameters
        .iter()
        .all(sound)
        .then_some((address, parameters))
}

/// Whether a text is a mailbox (RFC 5321 section 4.1.2); `utf8` admits RFC 6531.
pub fn is_mailbox(text: &str, utf8: bool) -> bool {
    let Some(at) = unquoted(text, |letter| letter == '@') else {
        return false;
    };
    let (local, domain) = (&text[..at], &text[at + 1..]);
    is_local_part(local, utf8) && is_domain(domain, utf8)
}

/// Whether a text is a domain or an address literal, as EHLO and paths name hosts.
pub fn is_domain(text: &str, utf8: bool) -> bool {
    if let Some(literal) = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        return match literal.strip_prefix("IPv6:") {
            Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
            None => literal.parse::<std::net::Ipv4Addr>().is_ok(),
        };
    }
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= LABEL_MAX
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|letter| {
                letter.is_ascii_alphanumeric() || letter == '-' || (utf8 && !letter.is_ascii())
            })
    };
    text.len() <= DOMAIN_MAX && text.split('.').all(label)
}

/// The addresses of a From or Sender field; none when it is not a list of mailboxes.
pub fn authors(value: &str) -> Option<Vec<String>> {
    let value = without_comments(value)?;
    let mut authors = Vec::new();
    let mut rest = value.as_str();
    loop {
        let end = unquoted(rest, |letter| letter == ',').unwrap_or(rest.len());
        authors.push(author(rest[..end].trim())?);
        match rest.get(end + 1..) {
            Some(more) => rest = more,
            None => return Some(authors),
        }
    }
}

fn author(text: &str) -> Option<String> {
    let address = match unquoted(text, |letter| letter == '<') {
        Some(at) => {
            // A phrase is atoms, dots and quoted strings: an at sign or a colon must be quoted.
            let phrase = &text[..at];
            if unquoted(phrase, |letter| "@:;>[]\\".contains(letter)).is_some() {
                return None;
            }
            text[at + 1..].strip_suffix('>')?
        }
        None => text,
    };
    is_mailbox(address, true).then(|| address.to_owned())
}

/// Where the first letter outside quoted strings stands that `wanted` likes.
fn unquoted(text: &str, wanted: impl Fn(char) -> bool) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, letter) in text.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if !quoted && wanted(letter) => return Some(at),
            _ => {}
        }
    }
    None
}

fn without_comments(text: &str) -> Option<String> {
    let mut kept = String::new();
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for letter in text.chars() {
        let plain = !escaped;
        escaped = plain && letter == '\\' && (quoted || depth > 0);
        match letter {
            '"' if plain && depth == 0 => quoted = !quoted,
            '(' if plain && !quoted => depth += 1,
            ')' if plain && !quoted => {
                depth = depth.checked_sub(1)?;
                continue;
            }
            _ => {}
        }
        if depth == 0 {
            kept.push(letter);
        }
    }
    (depth == 0 && !quoted).then_some(kept)
}

fn is_local_part(text: &str, utf8: bool) -> bool {
    let octet_ok = |letter: char| {
        if letter.is_ascii() {
            !letter.is_control()
        } else {
            utf8
        }
    };
    if text.len() > LOCAL_PART_MAX || !text.chars().all(octet_ok) {
        return false;
    }
    if let Some(quoted) = text
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
    {
        let mut letters = quoted.chars();
        while let Some(letter) = letters.next() {
            match letter {
                '"' => return false,
                '\\' if letters.next().is_none() => return false,
                _ => {}
            }
        }
        return text.len() > 1;
    }
    let atext = |letter: char| {
        letter.is_ascii_alphanumeric()
            || "!#$%&'*+-/=?^_`{|}~".contains(letter)
            || !letter.is_ascii()
    };
    text.split('.')
        .all(|atom| !atom.is_empty() && atom.chars().all(atext))
}

#[test]
fn only_mailboxes_are_mailboxes() {
    for good in [
        "a@b",
        "a.b@c.test",
        "\"a b\"@c.test",
        "a@[192.0.2.1]",
        "a+b@xn--4ca.test",
    ] {
        assert!(is_mailbox(good, false), "{good}");
    }
    for bad in [
        "", "a", "@b", "a@", "a..b@c", ".a@c", "a b@c", "a@b..c", "a@-b", "\"a@b", "ä@b",
    ] {
        assert!(!is_mailbox(bad, false), "{bad}");
    }
    assert!(is_mailbox("ä@ö.test", true));
    assert_eq!(path("<\"a>b\"@c> SIZE=1").unwrap().0, "\"a>b\"@c");
    assert!(path("<a@b>SIZE=1").is_none());
}

#[test]
fn authors_are_read_out_of_names_and_comments() {
    let of = |value: &str| authors(value).map(|list| list.join(" "));
    assert_eq!(
        of("Root (c@d <x@y>) <a@b.test>").as_deref(),
        Some("a@b.test")
    );
    assert_eq!(
        of("\"x@y, <z@z>\" <a@b.test>, c@d").as_deref(),
        Some("a@b.test c@d")
    );
    assert_eq!(
        of("=?utf-8?q?J=C3=BCrgen?= <a@b.test>").as_deref(),
        Some("a@b.test")
    );
    assert_eq!(of("x@y <a@b.test>"), None);
    assert_eq!(of("root"), None);
    assert_eq!(of(""), None);
}
