//! The types that a setting's value can have, each parsed once.

use crate::config::row::Complaint;
use crate::mail::address::Address;
use crate::oauth::identity::stays_on_the_host;
use std::path::PathBuf;

/// An empty text is "not set".
pub(crate) fn optional(value: &str) -> Option<&str> {
    Some(value).filter(|value| !value.is_empty())
}

/// A complete address.
pub(crate) fn address(value: &str) -> Result<Address, Complaint> {
    match Address::parse(value.as_bytes()) {
        Ok(address) if address.domain().is_some() => Ok(address),
        _ => Err("not a complete address such as alerts@contoso.com".to_owned()),
    }
}

/// Printable ASCII.
pub(crate) fn printable(value: &str) -> Result<String, Complaint> {
    match value.bytes().all(|octet| matches!(octet, b' '..=b'~')) {
        true => Ok(value.to_owned()),
        false => Err("holds characters other than printable ASCII".to_owned()),
    }
}

/// One segment of a URL path: a GUID, a domain, a word.
pub(crate) fn segment(value: &str) -> Result<String, Complaint> {
    let fits = |octet: u8| octet.is_ascii_alphanumeric() || b"-._".contains(&octet);
    match !value.is_empty() && value.bytes().all(fits) {
        true => Ok(value.to_owned()),
        false => Err("not a GUID, a domain or a word".to_owned()),
    }
}

/// A URL that a secret may be sent to.
pub(crate) fn https(value: &str) -> Result<String, Complaint> {
    let rest = value.strip_prefix("https://").unwrap_or_default();
    let authority = rest.split('/').next().unwrap_or_default();
    match !authority.is_empty() && !authority.contains('@') {
        true => match value.bytes().all(|octet| matches!(octet, b'!'..=b'~')) {
            true => Ok(value.to_owned()),
            false => Err("not a URL".to_owned()),
        },
        false => Err("not a URL that begins with https://".to_owned()),
    }
}

/// The same, or a plain address that cannot leave this host.
pub(crate) fn token_address(value: &str) -> Result<String, Complaint> {
    match stays_on_the_host(value) && value.bytes().all(|octet| matches!(octet, b'!'..=b'~')) {
        true => Ok(value.to_owned()),
        false => https(value),
    }
}

/// The name of a way to get tokens.
pub(crate) fn grant(value: &str) -> Result<String, Complaint> {
    const GRANTS: [&str; 6] = [
        "delegated",
        "client-secret",
        "certificate",
        "managed-identity",
        "federated",
        "command",
    ];
    match GRANTS.contains(&value) {
        true => Ok(value.to_owned()),
        false => Err(format!("not one of {}", GRANTS.join(", "))),
    }
}

/// A program by its whole path, and its arguments.
pub(crate) fn command(words: &[String]) -> Result<Vec<String>, Complaint> {
    match words.first() {
        Some(program) if !program.starts_with('/') => {
            Err("the program has to be named by its whole path".to_owned())
        }
        _ if words.iter().any(|word| word.contains('\0')) => Err("holds a NUL".to_owned()),
        _ => Ok(words.to_vec()),
    }
}

/// `http://host:port`, without credentials.
pub(crate) fn proxy(value: &str) -> Result<(String, u16), Complaint> {
    let complaint = || "not of the form http://host:port".to_owned();
    let rest = value.strip_prefix("http://").ok_or_else(complaint)?;
    let (name, port) = rest
        .trim_end_matches('/')
        .rsplit_once(':')
        .ok_or_else(complaint)?;
    let port = port.parse().map_err(|_| complaint())?;
    Ok((host(name).map_err(|_| complaint())?, port))
}

/// An absolute path, or not set.
pub(crate) fn path(value: &str) -> Result<Option<PathBuf>, Complaint> {
    match optional(value).map(PathBuf::from) {
        Some(path) if !path.is_absolute() => Err("not an absolute path".to_owned()),
        path => Ok(path),
    }
}

/// A name or an address without brackets.
pub(crate) fn host(value: &str) -> Result<String, Complaint> {
    match domain(value).is_ok() || value.parse::<std::net::IpAddr>().is_ok() {
        true => Ok(value.to_owned()),
        false => Err("not a host name".to_owned()),
    }
}

/// A domain, in ASCII or not.
pub(crate) fn domain(value: &str) -> Result<String, Complaint> {
    let fits = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label
                .chars()
                .all(|c| c.is_alphanumeric() || c == '-' || c == '_')
    };
    match value.len() <= 253 && value.split('.').all(fits) {
        true => Ok(value.to_owned()),
        false => Err("not a domain".to_owned()),
    }
}

/// A port with STARTTLS.
pub(crate) fn port(value: u64) -> Result<u16, Complaint> {
    match u16::try_from(value) {
        // Such a server waits for TLS and never greets, until the greeting is given up.
        Ok(465) => Err(
            "465 speaks TLS from its first octet; submission needs 587 with STARTTLS".to_owned(),
        ),
        Ok(port) if port != 0 => Ok(port),
        _ => Err("not a port between 1 and 65535".to_owned()),
    }
}

/// The argument of EHLO (RFC 5321 section 4.1.1.1): a domain or an address literal.
pub(crate) fn hello(value: &str) -> Result<String, Complaint> {
    let literal = value
        .strip_prefix('[')
        .and_then(|value| value.strip_suffix(']'));
    let literal = literal.map(|value| value.strip_prefix("IPv6:").unwrap_or(value));
    match literal {
        Some(literal) if literal.parse::<std::net::IpAddr>().is_ok() => Ok(value.to_owned()),
        None if value.is_ascii() && domain(value).is_ok() => Ok(value.to_owned()),
        _ => Err("not a host name".to_owned()),
    }
}

/// `150MB`, `512 KB`, `1000000`; decimal units.
pub(crate) fn size(value: &str) -> Result<u64, Complaint> {
    let complaint = || "not a size such as 150MB".to_owned();
    let digits = value.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = match value[digits.len()..].trim().to_ascii_uppercase().as_str() {
        "" | "B" => 1,
        "K" | "KB" => 1_000,
        "M" | "MB" => 1_000_000,
        "G" | "GB" => 1_000_000_000,
        _ => return Err(complaint()),
    };
    let count: u64 = digits.parse().map_err(|_| complaint())?;
    count
        .checked_mul(unit)
        .filter(|&size| size > 0)
        .ok_or_else(complaint)
}

/// `5d`, `12h`, `30m`, in seconds.
pub(crate) fn duration(value: &str) -> Result<u64, Complaint> {
    let complaint = || "not a time such as 5d, 12h or 30m".to_owned();
    let digits = value.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = match value.strip_prefix(digits).unwrap_or_default().trim() {
        "d" => 86_400,
        "h" => 3_600,
        "m" => 60,
        _ => return Err(complaint()),
    };
    let count: u64 = digits.parse().map_err(|_| complaint())?;
    count
        .checked_mul(unit)
        .filter(|&seconds| seconds > 0)
        .ok_or_else(complaint)
}

/// A number that something can be limited to.
pub(crate) fn count(value: u64) -> Result<u32, Complaint> {
    match u32::try_from(value) {
        Ok(count) if (1..=1000).contains(&count) => Ok(count),
        _ => Err("not a number between 1 and 1000".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!(size("150MB"), Ok(150_000_000));
        assert_eq!(size("512 kb"), Ok(512_000));
        assert_eq!(size("7"), Ok(7));
        for bad in ["", "MB", "-1", "1TB", "0", "99999999999GB", "é"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn times_have_units() {
        assert_eq!(duration("5d"), Ok(432_000));
        assert_eq!(duration("30 m"), Ok(1_800));
        for bad in ["5", "d", "0h", "1w", "-1d", "99999999999999999999d"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_https_urls_take_a_token_request() {
        assert!(https("https://login.microsoftonline.com").is_ok());
        for bad in [
            "http://login.microsoftonline.com",
            "https://",
            "https://a@b/",
            "https://a b/",
        ] {
            assert!(https(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_proxy_is_a_host_and_a_port() {
        assert_eq!(
            proxy("http://proxy.x.test:3128"),
            Ok(("proxy.x.test".to_owned(), 3128))
        );
        for bad in [
            "proxy:3128",
            "http://proxy",
            "http://u:p@proxy:1",
            "https://proxy:1",
        ] {
            assert!(proxy(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_greeting_cannot_carry_a_second_command() {
        assert!(hello("web1.contoso.com").is_ok());
        assert!(hello("[192.0.2.1]").is_ok());
        assert!(hello("[IPv6:::1]").is_ok());
        for bad in ["a\r\nEHLO b", "", "a b", "[x]"] {
            assert!(hello(bad).is_err(), "{bad}");
        }
    }
}
