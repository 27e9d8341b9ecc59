//! An explanation as people read it, one fact a line, or as one object of JSON.

use super::report::Report;
use crate::outcome::{Fate, printable};
use serde::Serialize;
use std::collections::BTreeMap;

/// The lines for people.
pub(super) fn text(report: &Report) -> String {
    let mut lines = vec![format!("{}: {}", report.code, report.meaning)];
    if let Some(text) = &report.text {
        lines.push(format!("text: {}", printable(text.as_bytes())));
    }
    match report.suspects {
        [] => {
            lines.push(format!("who: {}", report.actor.words()));
            lines.push(format!("do: {}", report.cure));
        }
        suspects => {
            lines.push("the usual causes, likeliest first:".to_owned());
            for (place, suspect) in (1..).zip(suspects) {
                lines.push(format!("{place}. {}", suspect.cause));
                lines.push(format!("   look: {}", suspect.look));
                lines.push(format!("   do: {}", suspect.cure));
                lines.push(format!("   who: {}", suspect.actor.words()));
            }
        }
    }
    lines.push(format!("mail: {}", mail(report)));
    lines.extend(report.see.iter().map(|see| format!("see: {see}")));
    let ids = report.ids.all();
    lines.extend(ids.map(|(name, value)| format!("{name}: {}", printable(value.as_bytes()))));
    lines.join("\n") + "\n"
}

/// What becomes of the mail, in words.
fn mail(report: &Report) -> &'static str {
    match report.fate {
        Some(Fate::Hold) => {
            "waits in the queue and is tried every hour; without the queue the caller gets exit status 75"
        }
        Some(Fate::Defer) => {
            "waits in the queue and is tried again soon; without the queue the caller gets exit status 75"
        }
        Some(Fate::Unsure) => {
            "may have been delivered; the queue tries it again after half an hour, without it exit status 75"
        }
        Some(Fate::Return) if report.one_recipient => {
            "goes back for this recipient; with the queue the others get it"
        }
        Some(Fate::Return) => "goes back to its sender, by exit status or by a notice",
        None => "is not touched: this comes while somebody signs in",
    }
}

/// What becomes of the mail, in one word.
fn mail_word(fate: Option<Fate>) -> &'static str {
    match fate {
        Some(Fate::Hold) => "hold",
        Some(Fate::Defer) => "defer",
        Some(Fate::Unsure) => "unsure",
        Some(Fate::Return) => "return",
        None => "none",
    }
}

#[derive(Serialize)]
struct Object<'a> {
    code: &'a str,
    known: bool,
    meaning: &'a str,
    who: &'static str,
    cure: &'a str,
    mail: &'static str,
    causes: Vec<Cause>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    see: Option<&'a str>,
    ids: BTreeMap<String, String>,
}

#[derive(Serialize)]
struct Cause {
    cause: &'static str,
    look: &'static str,
    cure: &'static str,
    who: &'static str,
}

/// One line of JSON.
pub(super) fn json(report: &Report) -> String {
    let causes = report.suspects.iter().map(|suspect| Cause {
        cause: suspect.cause,
        look: suspect.look,
        cure: suspect.cure,
        who: suspect.actor.word(),
    });
    let ids = report.ids.all();
    let object = Object {
        code: &report.code,
        known: report.known,
        meaning: &report.meaning,
        who: report.actor.word(),
        cure: &report.cure,
        mail: mail_word(report.fate),
        causes: causes.collect(),
        text: report.text.as_ref().map(|text| printable(text.as_bytes())),
        see: report.see.as_deref(),
        ids: ids
            .map(|(name, value)| (name.replace(' ', "_"), printable(value.as_bytes())))
            .collect(),
    };
    // Texts and lists of them: nothing that JSON has no words for.
    serde_json::to_string(&object).unwrap_or_default() + "\n"
}
