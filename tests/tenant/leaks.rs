//! The search for secrets in what the program wrote.

use std::collections::HashMap;

/// Parts of a secret that are looked for: this many octets of its start and of its middle.
const PART: usize = 40;
/// By so many octets a place is recognised as one worth a closer look.
const KEY: usize = 8;

/// The first of the secrets that stands in a text, whole or in large part.
pub fn first(secrets: &[String], text: &[u8]) -> Option<String> {
    let mut parts: HashMap<&[u8], Vec<&str>> = HashMap::new();
    for secret in secrets {
        let middle = secret.len() / 2;
        let some = [
            secret.get(..PART),
            secret.get(middle..middle + PART),
            (secret.len() < PART).then_some(secret.as_str()),
        ];
        for part in some.into_iter().flatten() {
            // Shorter than that it would be found everywhere.
            if let Some(key) = part.as_bytes().get(..KEY) {
                parts.entry(key).or_default().push(part);
            }
        }
    }
    for at in 0..text.len() {
        let rest = &text[at..];
        let likely = rest.get(..KEY).and_then(|key| parts.get(key));
        let found = likely.and_then(|parts| {
            let mut parts = parts.iter();
            parts.find(|part| rest.starts_with(part.as_bytes()))
        });
        if let Some(part) = found {
            return Some((*part).to_owned());
        }
    }
    None
}

#[test]
fn a_secret_is_found_by_its_start_its_middle_and_when_it_is_short() {
    let secrets: Vec<String> = vec!["0123456789".repeat(12), "short-secret".to_owned()];
    let found = |text: &str| first(&secrets, text.as_bytes()).is_some();
    let (start, middle) = (&secrets[0][..PART], &secrets[0][60..60 + PART]);
    for text in [start, middle, &secrets[0], "short-secret"] {
        assert!(found(text) && found(&format!("token={text}\n")), "{text}");
    }
    for text in ["", "0", "01234567", &start[..PART - 1], "short-secre"] {
        assert!(!found(text) && !found(&format!("token={text}\n")), "{text}");
    }
}
