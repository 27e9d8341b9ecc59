//! One explanation, whichever table it comes from.

use super::http;
use super::ids::Ids;
use super::reading::{Logged, Reading};
use super::replies::Said;
use super::symptoms::Symptom;
use super::veil::shown;
use crate::oauth::codes::{self, Word};
use crate::outcome::{Actor, Fate, Suspect, printable};
use crate::smtp::causes::Explained;

/// What is known of a code, a reply or a symptom.
#[derive(Debug)]
pub struct Report {
    /// What it is about: `AADSTS700082`, `535 5.7.3`, `HTTP 407`, or a name.
    pub code: String,
    /// Whether a table has it.
    pub known: bool,
    pub meaning: String,
    pub actor: Actor,
    pub cure: String,
    /// None if no mail is touched by it.
    pub fate: Option<Fate>,
    /// It is about one recipient, and the others may fare better.
    pub one_recipient: bool,
    /// The usual causes in order, where there are several.
    pub suspects: &'static [Suspect],
    /// The first line of an unknown text, without secrets.
    pub text: Option<String>,
    /// Where to read more.
    pub see: Option<String>,
    pub ids: Ids,
}

/// The page on which Microsoft lists the replies of Exchange Online.
const REPLIES: &str =
    "the page \"Email non-delivery reports in Exchange Online\" on learn.microsoft.com";

impl Report {
    fn new(code: impl Into<String>, actor: Actor, meaning: &str, cure: &str) -> Report {
        Report {
            code: code.into(),
            known: true,
            meaning: meaning.to_owned(),
            actor,
            cure: cure.to_owned(),
            fate: None,
            one_recipient: false,
            suspects: &[],
            text: None,
            see: None,
            ids: Ids::default(),
        }
    }

    /// A number behind AADSTS; what else the answer says decides about the mail, as it does when
    /// mail is sent.
    pub(super) fn of_number(number: u32, reading: &Reading) -> Report {
        let code = format!("AADSTS{number}");
        let word = codes::word(&reading.error, &reading.suberror);
        let report = match (codes::explain(number), word) {
            (Some(row), _) => Report {
                fate: row.fate,
                suspects: row.suspects,
                ..Report::new(code, row.actor, row.meaning, row.cure)
            },
            (None, Some(word)) => Report {
                known: false,
                fate: word.fate,
                ..Report::new(
                    code,
                    word.actor,
                    &format!("not known to this version; its kind: {}", word.meaning),
                    word.cure,
                )
            },
            (None, None) => Report {
                known: false,
                fate: Some(Fate::Hold),
                ..Report::new(
                    code,
                    Actor::Tenant,
                    "not known to this version",
                    "read what Microsoft says of it; the sign-in log in Entra admin center, Monitoring, Sign-in logs, \
                     has the entry with these ids",
                )
            },
        };
        let passes = reading
            .codes
            .statuses
            .iter()
            .any(|status| *status == 429 || *status >= 500)
            || word.is_some_and(|word| word.fate == Some(Fate::Defer));
        Report {
            fate: if passes {
                Some(Fate::Defer)
            } else {
                report.fate
            },
            see: Some(codes::lookup_url(number)),
            ..report
        }
    }

    /// A reply of a submission server.
    pub(super) fn of_reply(said: &Said, explained: &Explained) -> Report {
        let report = Report::of_explained(said.name(), explained);
        match (explained.meaning, said.code / 100) {
            (Some(_), _) => report,
            (None, 4) => report.unknown_reply("by its first digit a refusal for now"),
            (None, _) => report.unknown_reply("by its first digit a refusal for good"),
        }
    }

    /// An enhanced code without its reply.
    pub(super) fn of_enhanced(name: &str, explained: &Explained) -> Report {
        Report::of_explained(name.to_owned(), explained)
    }

    /// An enhanced code that no table has.
    pub(super) fn of_unknown_enhanced(name: &str, class: u16) -> Report {
        let (fate, digit) = match class {
            4 => (Fate::Defer, "by its first digit a refusal for now"),
            _ => (Fate::Return, "by its first digit a refusal for good"),
        };
        let report = Report {
            fate: Some(fate),
            ..Report::new(name, Actor::Sender, "", "correct what the server names")
        };
        report.unknown_reply(digit)
    }

    /// Words of a reply without any code.
    pub(super) fn of_words(explained: &Explained) -> Report {
        Report::of_explained("reply of the server".to_owned(), explained)
    }

    fn of_explained(code: String, explained: &Explained) -> Report {
        Report {
            fate: Some(explained.fate),
            one_recipient: explained.one_recipient,
            suspects: explained.suspects,
            ..Report::new(
                code,
                explained.actor,
                explained.meaning.unwrap_or_default(),
                explained.cure,
            )
        }
    }

    fn unknown_reply(self, digit: &str) -> Report {
        Report {
            known: false,
            meaning: format!("not known to this version; {digit}"),
            see: Some(REPLIES.to_owned()),
            ..self
        }
    }

    /// A status of HTTP.
    pub(super) fn of_status(number: u16) -> Report {
        let code = format!("HTTP {number}");
        match http::status(number) {
            Some(row) => Report {
                fate: Some(row.fate),
                ..Report::new(code, row.actor, row.meaning, row.cure)
            },
            None => Report {
                known: false,
                fate: Some(Fate::Defer),
                see: Some("RFC 9110 section 15".to_owned()),
                ..Report::new(
                    code,
                    Actor::Host,
                    "not known to this version; an answer of a server or a proxy",
                    "check token_url under [endpoint]; then look for what stands between this host and the server",
                )
            },
        }
    }

    /// `error` and `suberror` of an answer.
    pub(super) fn of_word(name: &str, word: &Word) -> Report {
        Report {
            fate: word.fate,
            ..Report::new(plain(name), word.actor, word.meaning, word.cure)
        }
    }

    /// An `error` that no table has.
    pub(super) fn of_unknown_word(name: &str) -> Report {
        Report {
            known: false,
            fate: Some(Fate::Hold),
            see: Some("RFC 6749 section 5.2".to_owned()),
            ..Report::new(
                plain(name),
                Actor::Host,
                "not known to this version; an error of OAuth",
                "check tenant and client_id under [account], and authority under [endpoint]",
            )
        }
    }

    pub(super) fn of_symptom(row: &Symptom) -> Report {
        Report {
            fate: row.fate,
            ..Report::new(row.name, row.actor, row.meaning, row.cure)
        }
    }

    /// A line of our own log, in its own words.
    pub(super) fn of_log(logged: &Logged) -> Report {
        let fate = match logged.event.as_str() {
            "hold" => Some(Fate::Hold),
            "queued" => Some(Fate::Defer),
            "unsure" => Some(Fate::Unsure),
            "refused" | "config" => Some(Fate::Return),
            _ => None,
        };
        Report {
            fate,
            ..Report::new(
                plain(&format!("event={}", logged.event)),
                Actor::Host,
                &plain(&logged.reason),
                &plain(&logged.fix),
            )
        }
    }
}

/// Text from outside, without secrets and harmless to a terminal.
fn plain(text: &str) -> String {
    printable(shown(text).as_bytes())
}
