//! `explain`: a code, a reply or a whole line of a log into cause, cure, who acts and what becomes of
//! the mail.
//!
//! ```text
//! text ─► reading: numbers, replies, statuses, words ─► oauth::codes, smtp::causes, http, symptoms ─► report ─► form
//! ```
//!
//! No settings are read and nobody is asked, so it works whatever is broken. What is pasted may hold
//! secrets: nothing of it is shown before `veil` has been over it.

mod form;
mod http;
mod ids;
mod reading;
mod replies;
mod report;
mod symptoms;
mod veil;

pub use ids::Ids;
pub use report::Report;

use self::reading::Reading;
use self::replies::Said;
use crate::cli::Explain;
use crate::oauth::codes;
use crate::outcome::{Class, Failure, Outcome};
use crate::smtp::causes;
use crate::sys::stdio;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;

/// Octets of a text; a line of a log has far fewer.
const TEXT_MAX: u64 = 64 * 1024;

/// Characters of an unknown text that are shown.
const TEXT_SHOWN: usize = 300;

/// Prints the explanation of the words, or of standard input.
pub fn perform(asked: &Explain) -> Result<Outcome, Failure> {
    let text = text(asked).map_err(|error| {
        Failure::new(Class::Io, "standard input cannot be read")
            .because(&error)
            .fix("give the code as a word: `sendmail365 explain 700082`")
            .with_os_error(&error)
    })?;
    let reports = explain(&text);
    for (place, report) in reports.iter().enumerate() {
        if asked.json {
            stdio::say(&form::json(report));
        } else {
            let gap = if place > 0 { "\n" } else { "" };
            stdio::say(&format!("{gap}{}", form::text(report)));
        }
    }
    match reports.first() {
        None => Err(nothing_found()),
        Some(_) if reports.iter().any(|report| report.known) => Ok(Outcome::Done),
        Some(report) => Err(unknown(report)),
    }
}

/// Everything that a text holds and that can be explained, or at least looked up.
///
/// What is certain goes before what is guessed: a number or a reply before an HTTP status, that before
/// words, those before numbers that may be anything.
pub fn explain(text: &str) -> Vec<Report> {
    const REPORTS_MAX: usize = 8;
    let reading = Reading::of(text);
    let steps: &[fn(&Reading) -> Vec<Report>] = &[
        own_words,
        numbers_and_replies,
        statuses,
        answer,
        bare_replies,
        seen,
        words_of_replies,
        words_of_oauth,
        refusing_statuses,
        enhanced_alone,
        unmarked_numbers,
        logged,
        waiting,
        unknown_words,
    ];
    let mut found = steps
        .iter()
        .map(|step| step(&reading))
        .find(|found| !found.is_empty())
        .unwrap_or_default();
    let mut seen: Vec<String> = Vec::new();
    found.retain(|report| {
        let new = !seen.contains(&report.meaning);
        seen.push(report.meaning.clone());
        new
    });
    found.truncate(REPORTS_MAX);
    let ids = Ids::of(&reading.text);
    for report in &mut found {
        report.ids = ids.clone();
        if !report.known {
            report.text = Some(shown(&reading, &report.code));
        }
    }
    found
}

fn text(asked: &Explain) -> io::Result<String> {
    if asked.words.len() == 1 && asked.words.iter().all(|word| word == "-") {
        let mut octets = Vec::new();
        stdio::stdin().take(TEXT_MAX).read_to_end(&mut octets)?;
        stdio::drain_stdin();
        return Ok(String::from_utf8_lossy(&octets).into_owned());
    }
    let words = asked.words.iter().map(|word| {
        let octets = word.as_bytes();
        let size = octets
            .len()
            .min(usize::try_from(TEXT_MAX).unwrap_or(usize::MAX));
        String::from_utf8_lossy(octets.get(..size).unwrap_or_default()).into_owned()
    });
    Ok(words.collect::<Vec<_>>().join(" "))
}

/// The line of an unknown code, or else the first, without secrets.
fn shown(reading: &Reading, code: &str) -> String {
    let mut lines = reading.text.lines().map(str::trim);
    let line = match reading.description.as_str() {
        "" => lines.find(|line| line.contains(code)),
        description => Some(description),
    };
    let line = line.unwrap_or_else(|| reading::first_line(&reading.text));
    veil::shown(line).chars().take(TEXT_SHOWN).collect()
}

fn own_words(reading: &Reading) -> Vec<Report> {
    symptom(reading, symptoms::OWN)
}

fn seen(reading: &Reading) -> Vec<Report> {
    symptom(reading, symptoms::SEEN)
}

fn waiting(reading: &Reading) -> Vec<Report> {
    symptom(reading, symptoms::WAITING)
}

fn symptom(reading: &Reading, table: &'static [symptoms::Symptom]) -> Vec<Report> {
    let fits = |row: &&symptoms::Symptom| row.signs.iter().any(|parts| reading.holds(parts));
    let row = table.iter().find(fits);
    row.map(Report::of_symptom).into_iter().collect()
}

fn numbers_and_replies(reading: &Reading) -> Vec<Report> {
    let numbers = reading.numbers.iter();
    let numbers = numbers.map(|number| Report::of_number(*number, reading));
    let replies = reading
        .codes
        .replies
        .iter()
        .filter_map(|said| reply(said, reading));
    numbers.chain(replies).collect()
}

fn reply(said: &Said, reading: &Reading) -> Option<Report> {
    let explained = causes::explain(reading.stage, &said.line())?;
    Some(Report::of_reply(said, &explained, reading.became))
}

/// Statuses that say something by themselves; the others are told by the answer that came with them.
fn statuses(reading: &Reading) -> Vec<Report> {
    let telling = |number: &&u16| !refuses(**number) && **number >= 300;
    reading
        .codes
        .statuses
        .iter()
        .filter(telling)
        .map(|number| Report::of_status(*number))
        .collect()
}

fn refusing_statuses(reading: &Reading) -> Vec<Report> {
    let told = reading
        .codes
        .statuses
        .iter()
        .copied()
        .find(|number| refuses(*number));
    let number = told.or_else(|| reading.spelled_status());
    number.map(Report::of_status).into_iter().collect()
}

/// An answer of OAuth, whose body tells more than its status.
fn refuses(status: u16) -> bool {
    matches!(status, 400 | 401)
}

fn answer(reading: &Reading) -> Vec<Report> {
    let row = codes::word(&reading.error, &reading.suberror);
    let name = match (reading.error.as_str(), reading.suberror.as_str()) {
        ("", suberror) => suberror.to_owned(),
        (error, "") => error.to_owned(),
        (error, suberror) => format!("{error} ({suberror})"),
    };
    row.map(|row| Report::of_word(&name, row))
        .into_iter()
        .collect()
}

/// Three digits that may be a reply's or a status of HTTP: the words behind them tell, or both are told.
fn bare_replies(reading: &Reading) -> Vec<Report> {
    let mut found = Vec::new();
    for said in &reading.codes.bare {
        let spelled = reading.spelled_status();
        let status = http::status(said.code).filter(|_| said.words.is_empty() || spelled.is_some());
        let reply = reply(said, reading).filter(|report| report.known || status.is_none());
        let of_http = spelled.is_some() && status.is_some();
        found.extend(reply.filter(|_| !of_http));
        found.extend(status.map(|_| Report::of_status(said.code)));
    }
    found
}

fn words_of_replies(reading: &Reading) -> Vec<Report> {
    let explained = causes::explain_words(&reading.text);
    explained
        .map(|explained| Report::of_words(&explained))
        .into_iter()
        .collect()
}

fn words_of_oauth(reading: &Reading) -> Vec<Report> {
    let holds = |is_suberror: bool| {
        codes::all_words()
            .filter(move |(_, suberror)| *suberror == is_suberror)
            .map(|(word, _)| word)
            .find(|word| reading.holds(&[word]))
            .unwrap_or_default()
    };
    let (error, suberror) = (holds(false), holds(true));
    let name = if error.is_empty() { suberror } else { error };
    let row = codes::word(error, suberror);
    row.map(|row| Report::of_word(name, row))
        .into_iter()
        .collect()
}

fn enhanced_alone(reading: &Reading) -> Vec<Report> {
    let mut found = Vec::new();
    for ([class, subject, detail], words) in &reading.codes.enhanced {
        let name = format!("{class}.{subject}.{detail}");
        let explained = causes::explain_enhanced([*class, *subject, *detail], words);
        if explained.is_empty() {
            found.push(Report::of_unknown_enhanced(&name, *class));
        }
        found.extend(
            explained
                .iter()
                .map(|explained| Report::of_enhanced(&name, explained)),
        );
    }
    found
}

fn unmarked_numbers(reading: &Reading) -> Vec<Report> {
    let numbers = reading.unmarked_numbers().into_iter();
    numbers
        .map(|number| Report::of_number(number, reading))
        .collect()
}

/// A line of our own log says itself what to do.
fn logged(reading: &Reading) -> Vec<Report> {
    let logged = reading
        .logged
        .as_ref()
        .filter(|logged| !logged.fix.is_empty());
    let report = logged.map(|logged| Report::of_log(logged, reading.became));
    report.into_iter().collect()
}

fn unknown_words(reading: &Reading) -> Vec<Report> {
    match reading.error.is_empty() {
        true => Vec::new(),
        false => vec![Report::of_unknown_word(&reading.error)],
    }
}

fn nothing_found() -> Failure {
    Failure::new(Class::Data, "nothing in this text can be explained")
        .because(
            "it holds no AADSTS number, no reply of a mail server, no HTTP status, no OAuth error, and no line \
             of this program about a failure",
        )
        .fix("give one of these, such as `sendmail365 explain 535 5.7.3`, or the whole line: `sendmail365 explain -`")
}

fn unknown(report: &Report) -> Failure {
    let cure = match &report.see {
        Some(see) => format!("look it up: {see}"),
        None => "ask Microsoft's support, with the ids above".to_owned(),
    };
    Failure::new(
        Class::Unavailable,
        format!("{} is not known to this version", report.code),
    )
    .because("Microsoft adds codes all the time")
    .fix(cure)
}

#[cfg(test)]
mod tests;
