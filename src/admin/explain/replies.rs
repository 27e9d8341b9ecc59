//! Three digits and what belongs to them: a reply of a mail server, or a status of HTTP.

use std::str::FromStr;

/// Codes in the order in which they stand in a text.
#[derive(Debug, Default)]
pub(super) struct Codes {
    /// Replies with an enhanced code.
    pub(super) replies: Vec<Said>,
    /// Three digits where a reply may begin.
    pub(super) bare: Vec<Said>,
    /// Statuses that are told to be HTTP's.
    pub(super) statuses: Vec<u16>,
    /// Enhanced codes that stand alone, with what follows.
    pub(super) enhanced: Vec<([u16; 3], String)>,
}

/// A reply of a submission server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) code: u16,
    pub(super) enhanced: Option<[u16; 3]>,
    /// The words behind the codes.
    pub(super) words: String,
}

impl Said {
    /// As a server writes it.
    pub(super) fn line(&self) -> String {
        format!("{} {}", self.name(), self.words)
    }

    /// The codes alone.
    pub(super) fn name(&self) -> String {
        match self.enhanced {
            Some([class, subject, detail]) => {
                format!("{} {class}.{subject}.{detail}", self.code)
            }
            None => self.code.to_string(),
        }
    }
}

impl Codes {
    /// Every group of digits that may be a code, and what it turns out to be.
    pub(super) fn of(text: &str) -> Codes {
        let mut codes = Codes::default();
        let mut at = 0;
        for _ in 0..GROUPS_MAX {
            let Some(start) = next_number(text, at) else {
                break;
            };
            let (before, rest) = text.split_at(start);
            at = start + codes.take(before, rest);
        }
        codes
    }

    /// What begins with digits at `rest`, and how much of it is read.
    fn take(&mut self, before: &str, rest: &str) -> usize {
        let words = |from: usize| words_of(rest.get(from..).unwrap_or_default());
        if let Some((enhanced, length)) = enhanced_at(rest) {
            self.enhanced.push((enhanced, words(length)));
            return length;
        }
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (code, behind) = rest.split_at(digits);
        let Some(code) = u16::from_str(code).ok().filter(|_| digits == 3) else {
            return digits;
        };
        let after = behind.trim_start_matches(SEPARATORS);
        let gap = behind.len() - after.len();
        match enhanced_at(after) {
            Some((enhanced, length)) if (1..=6).contains(&gap) && (400..600).contains(&code) => {
                let read = digits + gap + length;
                self.replies.push(Said {
                    code,
                    enhanced: Some(enhanced),
                    words: words(read),
                });
                read
            }
            _ => {
                self.take_alone(code, before, behind);
                digits
            }
        }
    }

    /// Three digits without an enhanced code.
    fn take_alone(&mut self, code: u16, before: &str, behind: &str) {
        let at_start = matches!(
            before.trim_end_matches(SEPARATORS).chars().next_back(),
            None | Some('\n')
        );
        let near = before.char_indices().rev().nth(40).map_or(0, |(at, _)| at);
        let lower = before.get(near..).unwrap_or_default().to_ascii_lowercase();
        let lower = lower.trim_end_matches(SEPARATORS);
        let last = lower
            .rsplit([' ', '\n', '(', ';'])
            .next()
            .unwrap_or_default();
        let of_http =
            last.starts_with("http") || last.ends_with("status") || lower.ends_with("status code");
        let logged = last == "code";
        let at_token = lower.contains("stage=token-http") || lower.contains("stage=connect");
        if of_http || (logged && at_token) {
            self.statuses.push(code);
        } else if (400..600).contains(&code)
            && !behind.starts_with(|c: char| c.is_ascii_alphanumeric())
            && (at_start || logged || BEFORE_REPLIES.contains(&last))
        {
            self.bare.push(Said {
                code,
                enhanced: None,
                words: words_of(behind),
            });
        }
    }
}

/// What stands before the code of a reply.
const BEFORE_REPLIES: [&str; 6] = ["said", "smtp", "reply", "error", "returned", "answered"];

/// More groups of digits than any error has.
const GROUPS_MAX: usize = 4096;

const SEPARATORS: [char; 11] = [' ', '-', ',', '\'', '"', 'b', '(', '#', ';', '=', ':'];

/// Where the next group of digits begins that belongs to no longer word.
fn next_number(text: &str, from: usize) -> Option<usize> {
    let octets = text.as_bytes();
    let inside = |octet: &u8| octet.is_ascii_alphanumeric() || b"._".contains(octet);
    (from..octets.len()).find(|&at| {
        let before = at.checked_sub(1).and_then(|at| octets.get(at));
        octets.get(at).is_some_and(u8::is_ascii_digit) && !before.is_some_and(inside)
    })
}

/// An enhanced code of a refusal at the beginning of a text, and its length (RFC 3463 section 2).
fn enhanced_at(text: &str) -> Option<([u16; 3], usize)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.');
    let word = text.get(..end.unwrap_or(text.len()))?.trim_end_matches('.');
    let next = text
        .get(word.len()..)?
        .trim_start_matches('.')
        .chars()
        .next();
    let mut parts = word.split('.');
    let mut part = |longest| {
        let digits = parts.next().filter(|digits| digits.len() <= longest)?;
        u16::from_str(digits).ok()
    };
    let code = [part(1)?, part(3)?, part(3)?];
    let ends = parts.next().is_none() && !next.is_some_and(|c| c.is_ascii_alphanumeric());
    (ends && matches!(code, [4 | 5, ..])).then_some((code, word.len()))
}

/// The words of a reply: to the end of its line, and not without measure.
fn words_of(rest: &str) -> String {
    const LONGEST: usize = 1000;
    let rest = rest.split('\n').next().unwrap_or_default();
    let words: String = rest.chars().take(LONGEST).collect();
    words.trim_matches([' ', '\r', '\'', ')']).to_owned()
}
