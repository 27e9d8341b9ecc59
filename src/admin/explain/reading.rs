//! What a pasted text holds: numbers, replies, statuses and words, each told from the others.

use super::http;
use super::replies::Codes;
use crate::oauth::codes;
use crate::outcome::Stage;
use serde_json::{Map, Value};

/// A text taken apart.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// The text with its escapes resolved.
    pub(super) text: String,
    pub(super) lower: String,
    /// Numbers behind AADSTS, or listed as such.
    pub(super) numbers: Vec<u32>,
    /// Codes of replies and statuses of HTTP.
    pub(super) codes: Codes,
    /// `error` and `suberror` of an answer.
    pub(super) error: String,
    pub(super) suberror: String,
    /// The first line of what the server says in words.
    pub(super) description: String,
    /// The stage of a line of our own log.
    pub(super) stage: Option<Stage>,
    /// What our own log says and advises.
    pub(super) logged: Option<Logged>,
}

/// A line of our own log.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Logged {
    pub(super) event: String,
    pub(super) reason: String,
    pub(super) fix: String,
}

impl Reading {
    pub(super) fn of(pasted: &str) -> Reading {
        let text = unescaped(pasted);
        let mut reading = Reading {
            codes: Codes::of(&text),
            lower: text.to_ascii_lowercase(),
            text,
            ..Reading::default()
        };
        reading.take_answer(pasted);
        reading.take_log();
        reading.take_numbers();
        reading
    }

    /// The JSON of a token endpoint, wherever in the text it begins.
    fn take_answer(&mut self, pasted: &str) {
        let found = answer_in(pasted).or_else(|| answer_in(&self.text));
        let Some(answer) = found else {
            return;
        };
        let text = |key: &str| answer.get(key).and_then(Value::as_str).unwrap_or_default();
        let nested = |key: &str| {
            let inner = answer.get("error").and_then(|error| error.get(key));
            inner.and_then(Value::as_str).unwrap_or_default()
        };
        let descriptions = [
            text("error_description"),
            nested("message"),
            text("message"),
        ];
        let description = descriptions.into_iter().find(|text| !text.is_empty());
        let error = [text("error"), nested("code")];
        self.error = error.concat();
        self.suberror = text("suberror").to_owned();
        self.description = first_line(description.unwrap_or_default()).to_owned();
        let listed = answer.get("error_codes").and_then(Value::as_array);
        for code in listed.into_iter().flatten() {
            let digits = code
                .as_str()
                .map_or_else(|| code.to_string(), str::to_owned);
            self.numbers.extend(number(&digits));
        }
    }

    fn take_log(&mut self) {
        let value = |key: &str| word_behind(&self.text, key).unwrap_or_default().to_owned();
        let told = OWN_STAGES
            .iter()
            .find(|(text, _)| self.lower.contains(text));
        self.stage = stage(&value("stage=")).or(told.map(|(_, stage)| *stage));
        let event = value("event=");
        if event.is_empty() {
            return;
        }
        let quoted = |key: &str| {
            let (_, rest) = self.text.split_once(key)?;
            let (inside, _) = rest.split_once('"')?;
            Some(inside.to_owned())
        };
        self.logged = Some(Logged {
            event,
            reason: quoted(" reason=\"").unwrap_or_default(),
            fix: quoted(" fix=\"").unwrap_or_default(),
        });
    }

    /// `AADSTS700082`, `error?code=700082`, and a number alone.
    fn take_numbers(&mut self) {
        const NUMBERS_MAX: usize = 256;
        for mark in ["aadsts", "error?code=", "error/code="] {
            for (at, _) in self.lower.match_indices(mark) {
                let rest = self.lower.get(at + mark.len()..).unwrap_or_default();
                let digits = rest.trim_start_matches([' ', ':', '-', '_', '#']);
                self.numbers.extend(number(digits));
            }
        }
        let mut seen = Vec::new();
        self.numbers.retain(|number| {
            let new = !seen.contains(number) && seen.len() < NUMBERS_MAX;
            seen.push(*number);
            new
        });
    }

    /// Numbers of sign-in errors without their prefix: alone, or behind a word that says so.
    pub(super) fn unmarked_numbers(&self) -> Vec<u32> {
        let words: Vec<&str> = self.lower.split_whitespace().collect();
        let few = words.len() <= 3;
        let mut found = Vec::new();
        for (at, word) in words.iter().enumerate() {
            let digits = word.trim_matches(|c: char| !c.is_ascii_digit());
            let label = word.split(digits).next().unwrap_or_default();
            let before = at.checked_sub(1).and_then(|at| words.get(at));
            let labelled = [label, before.copied().unwrap_or_default()]
                .iter()
                .any(|text| text.contains("code") || text.contains("error"));
            let bare = digits.len() == word.trim_matches(|c: char| c.is_ascii_punctuation()).len();
            let plausible = (5..=9).contains(&digits.len());
            if let Some(number) = number(digits).filter(|_| plausible && (bare || labelled)) {
                let known = codes::explain(number).is_some();
                if (known && (few || labelled)) || words.len() == 1 {
                    found.push(number);
                }
            }
        }
        found
    }

    /// Whether all parts stand in the text, as words of their own.
    pub(super) fn holds(&self, parts: &[&str]) -> bool {
        parts.iter().all(|part| holds_word(&self.lower, part))
    }

    /// The status of HTTP that the text names in words.
    pub(super) fn spelled_status(&self) -> Option<u16> {
        let row = http::STATUSES
            .iter()
            .find(|row| row.is_spelled_in(&self.lower))?;
        row.numbers.first().copied()
    }
}

/// What our own lines say of a reply before it, where the stage decides what becomes of the mail.
const OWN_STAGES: [(&str, Stage); 5] = [
    (" takes no connection ", Stage::Greeting),
    (" refuses ehlo: ", Stage::Ehlo),
    (" refuses tls: ", Stage::Starttls),
    ("cannot sign in as ", Stage::Auth),
    ("refused the recipient", Stage::Rcpt),
];

pub(super) fn first_line(text: &str) -> &str {
    let mut lines = text.lines().map(str::trim);
    lines.find(|line| !line.is_empty()).unwrap_or_default()
}

/// The number that a text begins with.
fn number(text: &str) -> Option<u32> {
    let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok().filter(|number| *number > 0)
}

fn word_behind<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(key)?;
    rest.split([' ', '\n', '"']).next()
}

fn stage(word: &str) -> Option<Stage> {
    const STAGES: [Stage; 9] = [
        Stage::Greeting,
        Stage::Ehlo,
        Stage::Starttls,
        Stage::Auth,
        Stage::Mail,
        Stage::Rcpt,
        Stage::Data,
        Stage::Body,
        Stage::End,
    ];
    STAGES.into_iter().find(|stage| stage.word() == word)
}

fn holds_word(text: &str, part: &str) -> bool {
    let word = |char: Option<char>| char.is_some_and(|c| c.is_alphanumeric() || c == '_');
    text.match_indices(part).any(|(at, _)| {
        let (before, rest) = text.split_at(at);
        let after = rest.get(part.len()..).unwrap_or_default();
        let joined = |inner: Option<char>, outer: Option<char>| word(inner) && word(outer);
        !joined(part.chars().next(), before.chars().next_back())
            && !joined(part.chars().next_back(), after.chars().next())
    })
}

/// The first JSON object that is an answer with an error.
fn answer_in(text: &str) -> Option<Map<String, Value>> {
    const TRIED: usize = 16;
    const KEYS: [&str; 4] = ["error", "error_codes", "error_description", "statusCode"];
    let places = text.match_indices('{').take(TRIED);
    let mut objects = places.filter_map(|(at, _)| {
        let rest = text.get(at..)?;
        let mut values = serde_json::Deserializer::from_str(rest).into_iter();
        values.next()?.ok()
    });
    objects.find(|object: &Map<String, Value>| KEYS.iter().any(|key| object.contains_key(*key)))
}

/// The text without the escapes of JSON and of our own log.
fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        if char != '\\' {
            plain.push(char);
            continue;
        }
        let rest = chars.as_str();
        let code = |from: usize, to: usize| u32::from_str_radix(rest.get(from..to)?, 16).ok();
        let meant = match rest.chars().next() {
            Some('n') => Some(('\n', 1)),
            Some('r') => Some(('\r', 1)),
            Some('t') => Some(('\t', 1)),
            Some(c @ ('"' | '/' | '\\')) => Some((c, 1)),
            Some('x') => code(1, 3).and_then(char::from_u32).map(|c| (c, 3)),
            Some('u') => code(1, 5).and_then(char::from_u32).map(|c| (c, 5)),
            _ => None,
        };
        let (char, length) = meant.unwrap_or(('\\', 0));
        plain.push(char);
        // What was matched is ASCII.
        chars = rest.get(length..).unwrap_or_default().chars();
    }
    plain
}
