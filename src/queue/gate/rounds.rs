//! When the queue was run last, and of what the administrator has been warned.
//!
//! `rounds1 LAST WORD ...`: seconds since 1970, then a word for each thing that he knows of. Written
//! by whoever runs the queue for all, and by nobody else.

/// What a record says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rounds {
    /// The last run of the queue, in seconds since 1970.
    pub last: u64,
    /// What the administrator has been told of, a word each.
    pub told: Vec<String>,
}

impl Rounds {
    pub(super) fn parse(text: &str) -> Option<Rounds> {
        let mut words = text.split_whitespace();
        if words.next()? != "rounds1" {
            return None;
        }
        Some(Rounds {
            last: words.next()?.parse().ok()?,
            told: words.map(str::to_owned).collect(),
        })
    }

    pub(super) fn text(&self) -> String {
        let mut text = format!("rounds1 {}", self.last);
        for word in &self.told {
            text.push(' ');
            text.push_str(word);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_and_nothing_else_is() {
        let told = vec!["certificate".to_owned(), "AADSTS70043".to_owned()];
        for rounds in [
            Rounds::default(),
            Rounds {
                last: 1_800_000_000,
                told,
            },
        ] {
            assert_eq!(Rounds::parse(&rounds.text()), Some(rounds));
        }
        for text in ["", "rounds1", "rounds1 x", "rounds2 5", "breaker1 closed"] {
            assert_eq!(Rounds::parse(text), None, "{text}");
        }
    }
}
