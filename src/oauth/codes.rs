//! Microsoft's sign-in error numbers (AADSTS) in the words of an administrator.
//!
//! The numbers explain and never decide, with the few exceptions of `Branch`: Microsoft may change
//! them at any time. What becomes of the mail follows from HTTP status, `error` and `suberror`.

#[macro_use]
mod phrases;
mod suspects;
mod table;
mod words;

pub(crate) use words::all as all_words;
pub use words::{Word, word};

use crate::outcome::{Actor, Fate, Suspect};
use table::{APPLICATIONS, TABLE};

/// One cause, the numbers that stand for it, and its cure.
#[derive(Debug)]
pub struct Explanation {
    /// Numbers with this cause.
    pub numbers: &'static [u32],
    /// What Microsoft means.
    pub meaning: &'static str,
    /// What to do; where several causes are usual, for the likeliest.
    pub cure: &'static str,
    /// Who has to do it.
    pub actor: Actor,
    /// What usually becomes of the mail; none for what comes while a person signs in.
    pub fate: Option<Fate>,
    /// The usual causes in order, where there are several.
    pub suspects: &'static [Suspect],
}

/// The few numbers that decide something, because `error` alone does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Branch {
    /// The cause passes by itself.
    Transient,
    /// The same request came too often: nobody is to ask for a minute.
    Loop,
}

/// The explanation of a number, if it is one that this program can meet.
pub fn explain(number: u32) -> Option<&'static Explanation> {
    TABLE.iter().find(|row| row.numbers.contains(&number))
}

/// The same for an application that signs in by itself.
pub(crate) fn explain_to_application(number: u32) -> Option<&'static Explanation> {
    let own = APPLICATIONS
        .iter()
        .find(|row| row.numbers.contains(&number));
    own.or_else(|| explain(number))
}

/// Whether a wrong clock of this host is among the causes.
pub(crate) fn is_about_time(number: u32) -> bool {
    [50013, 500133, 700024, 50027].contains(&number)
}

/// Where Microsoft explains a number.
pub fn lookup_url(number: u32) -> String {
    format!("https://login.microsoftonline.com/error?code={number}")
}

/// Every number that is explained.
#[cfg(test)]
pub(crate) fn numbers() -> impl Iterator<Item = u32> {
    TABLE.iter().flat_map(|row| row.numbers.iter().copied())
}

pub(crate) fn branch(number: u32) -> Option<Branch> {
    match number {
        50196 => Some(Branch::Loop),
        50033 | 50087 | 70012 | 90006 | 90012 | 90024 | 90033 | 90055 | 90090 => {
            Some(Branch::Transient)
        }
        _ => None,
    }
}

/// Meaning and cure of an OAuth `error` and `suberror` whose number is unknown or missing.
pub(crate) fn explain_word(error: &str, suberror: &str) -> Option<(&'static str, &'static str)> {
    word(error, suberror).map(|row| (row.meaning, row.cure))
}

impl Explanation {
    const fn new(
        actor: Actor,
        numbers: &'static [u32],
        meaning: &'static str,
        cure: &'static str,
    ) -> Explanation {
        Explanation {
            numbers,
            meaning,
            cure,
            actor,
            fate: Some(Fate::Hold),
            suspects: &[],
        }
    }

    /// It passes by itself.
    const fn passes(self) -> Explanation {
        let fate = Some(Fate::Defer);
        Explanation { fate, ..self }
    }

    /// It comes while a person signs in.
    const fn signing_in(self) -> Explanation {
        Explanation { fate: None, ..self }
    }

    const fn or(self, suspects: &'static [Suspect]) -> Explanation {
        Explanation { suspects, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_has_two_explanations() {
        let mut numbers: Vec<u32> = numbers().collect();
        let count = numbers.len();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), count);
    }

    #[test]
    fn every_row_says_what_and_what_to_do_in_lower_case_without_a_dot() {
        for row in TABLE.iter().chain(APPLICATIONS) {
            for text in [row.meaning, row.cure] {
                assert!(text.len() > 8 && !text.ends_with('.'), "{text}");
            }
            // A path in a portal begins with the portal's name.
            let portal = ["Entra ", "Microsoft 365 "].map(|name| row.cure.starts_with(name));
            let lower = row.cure.starts_with(char::is_lowercase);
            assert!(lower || portal.contains(&true), "{}", row.cure);
        }
    }

    /// With cause, ids and what the program puts before it, a line is cut after 500 characters.
    #[test]
    fn no_cure_is_cut_where_it_is_printed() {
        for row in TABLE.iter().chain(APPLICATIONS) {
            let line = format!("{}: {}", row.meaning, row.cure);
            assert!(line.len() <= 420, "{}: {line}", line.len());
        }
    }

    #[test]
    fn the_codes_of_everyday_are_explained() {
        assert!(explain(700082).unwrap().cure.contains("sendmail365 login`"));
        assert!(explain(7000215).unwrap().cure.contains("not its id"));
        assert!(
            explain(7000218)
                .unwrap()
                .cure
                .contains("public client flows")
        );
        assert!(explain(53003).unwrap().meaning.contains("policy"));
        assert!(explain(123_456).is_none());
    }

    #[test]
    fn numbers_that_decide_are_explained_too() {
        for number in [
            50196, 50033, 50087, 70012, 90006, 90012, 90024, 90033, 90055,
        ] {
            assert!(
                branch(number).is_some() && explain(number).is_some(),
                "{number}"
            );
        }
        assert_eq!(branch(700082), None);
    }

    /// These come with `error` server_error, or as a redirect, which decide by themselves.
    const DECIDED_OTHERWISE: [u32; 3] = [50000, 51005, 90036];

    #[test]
    fn what_is_told_to_pass_by_itself_is_deferred() {
        for row in TABLE {
            for &number in row.numbers {
                let passes = branch(number) == Some(Branch::Transient);
                let other = DECIDED_OTHERWISE.contains(&number);
                let told = row.fate == Some(Fate::Defer);
                assert_eq!(told, passes || other, "{number}");
                assert!(!told || row.actor == Actor::Microsoft, "{number}");
            }
        }
    }

    #[test]
    fn where_several_causes_are_usual_the_cure_says_where_the_others_are() {
        let mut lists = 0;
        for row in TABLE.iter().filter(|row| !row.suspects.is_empty()) {
            let number = row.numbers[0];
            let command = format!("`sendmail365 explain AADSTS{number}` lists");
            assert!(row.cure.contains(&command), "{}", row.cure);
            assert!(row.suspects.len() >= 3, "{number}");
            lists += 1;
        }
        assert!(lists >= 4, "{lists}");
    }
}
