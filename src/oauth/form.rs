//! The body of a request, `application/x-www-form-urlencoded`.

use std::fmt::Write as _;
use zeroize::Zeroizing;

/// A form that may hold secrets.
pub(crate) struct Form(Zeroizing<String>);

impl Form {
    /// The fields that have a value, in their order.
    pub(crate) fn of(fields: &[(&str, Option<&str>)]) -> Form {
        let octets: usize = fields
            .iter()
            .map(|(key, value)| key.len() + value.map_or(0, str::len))
            .sum();
        // Room for all of it: a text that grows leaves copies of the secrets behind.
        let mut form = Zeroizing::new(String::with_capacity(3 * octets + 2 * fields.len()));
        for (key, value) in fields {
            let Some(value) = value else { continue };
            if !form.is_empty() {
                form.push('&');
            }
            form.push_str(key);
            form.push('=');
            percent_encode(&mut form, value);
        }
        Form(form)
    }

    /// As it is sent.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Everything but letters, digits, `-`, `.` and `_` as `%XX`.
pub(crate) fn percent_encode(to: &mut String, value: &str) {
    for octet in value.bytes() {
        match octet {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => {
                to.push(char::from(octet))
            }
            _ => {
                // Writing to a String cannot fail.
                let _ = write!(to, "%{octet:02X}");
            }
        }
    }
}
