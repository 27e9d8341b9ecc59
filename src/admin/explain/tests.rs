//! The tables against the texts of tests/data/explanations.tsv, and texts that nobody writes.

use super::*;
use crate::outcome::{Actor, Fate};
use std::collections::BTreeSet;

const TEXTS: &str = include_str!("../../../tests/data/explanations.tsv");

/// The first fields of the table, with its escapes: they are those of JSON.
fn texts() -> impl Iterator<Item = String> {
    let lines = TEXTS.lines().filter(|line| !line.starts_with('#'));
    let texts = lines.filter_map(|line| line.split('\t').next());
    texts.map(|text| text.replace("\\\\", "\\"))
}

/// Everything that any text of the table is explained by.
fn told() -> Vec<Report> {
    texts().flat_map(|text| explain(&text)).collect()
}

#[test]
fn every_row_of_every_table_is_reached_by_a_text_of_an_administrator() {
    let told = told();
    let mut missing: Vec<String> = Vec::new();
    let codes: BTreeSet<&str> = told.iter().map(|report| report.code.as_str()).collect();
    for number in codes::numbers() {
        if !codes.contains(format!("AADSTS{number}").as_str()) {
            missing.push(format!("AADSTS{number}"));
        }
    }
    for (why, fix) in causes::all() {
        if !told
            .iter()
            .any(|report| report.meaning == why && report.cure == fix)
        {
            missing.push(format!("reply: {why}"));
        }
    }
    let words = codes::all_words().filter(|(word, is_suberror)| {
        let row = match is_suberror {
            true => codes::word("", word),
            false => codes::word(word, ""),
        };
        let meaning = row.map_or("", |row| row.meaning);
        !told.iter().any(|report| report.meaning == meaning)
    });
    missing.extend(words.map(|(word, _)| word.to_owned()));
    let rows = symptoms::OWN.iter().chain(symptoms::SEEN);
    let rows = rows.filter(|row| !codes.contains(row.name));
    missing.extend(rows.map(|row| row.name.to_owned()));
    for row in http::STATUSES {
        if !told.iter().any(|report| report.meaning == row.meaning) {
            missing.push(format!("HTTP {:?}", row.numbers));
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn at_least_120_codes_and_texts_are_explained() {
    let told = told();
    let known = told.iter().filter(|report| report.known);
    let meanings: BTreeSet<&str> = known
        .clone()
        .map(|report| report.meaning.as_str())
        .collect();
    let codes: BTreeSet<&str> = known.map(|report| report.code.as_str()).collect();
    assert!(codes.len() >= 250, "{}", codes.len());
    assert!(meanings.len() >= 150, "{}", meanings.len());
}

#[test]
fn every_explanation_is_written_as_all_our_texts_are() {
    for report in told() {
        let mut texts = vec![report.meaning.as_str(), report.cure.as_str()];
        for suspect in report.suspects {
            texts.extend([suspect.cause, suspect.look, suspect.cure]);
        }
        for text in texts {
            assert!(
                text.len() > 8 && !text.ends_with('.'),
                "{}: {text:?}",
                report.code
            );
            assert!(
                text.bytes().all(|octet| matches!(octet, b' '..=b'~')),
                "{text}"
            );
            assert!(!text.contains("  "), "{text}");
        }
    }
}

/// What the cures of several causes recommend to look at is a list.
#[test]
fn a_cure_that_promises_other_causes_keeps_the_promise() {
    let mut promises = 0;
    for report in told() {
        for command in report.cure.split('`').skip(1).step_by(2) {
            let Some(words) = command.strip_prefix("sendmail365 explain ") else {
                continue;
            };
            if words == "-" {
                continue;
            }
            let listed = explain(words.trim_matches('\''));
            assert_eq!(listed.len(), 1, "{command}");
            assert_eq!(listed[0].suspects.len(), report.suspects.len(), "{command}");
            assert!(listed[0].suspects.len() >= 3, "{command}");
            promises += 1;
        }
    }
    assert!(promises >= 10, "{promises}");
}

#[test]
fn nothing_about_a_sign_in_ever_bounces_mail() {
    for report in told() {
        let of_sign_in = report.code.starts_with("AADSTS") || report.code.starts_with("535");
        assert!(
            !of_sign_in || report.fate != Some(Fate::Return),
            "{report:?}"
        );
    }
    for code in [
        "504 5.7.4 x",
        "501 5.5.124 x",
        "500 5.3.3 x",
        "503 5.5.1 x",
        "550 5.7.30 x",
    ] {
        let [report] = &explain(code)[..] else {
            panic!("{code}");
        };
        assert_eq!(report.fate, Some(Fate::Hold), "{code}");
    }
}

fn only(text: &str) -> Report {
    let mut found = explain(text);
    assert_eq!(found.len(), 1, "{text}: {found:?}");
    found.remove(0)
}

#[test]
fn what_is_certain_goes_before_what_is_guessed() {
    for (text, code) in [
        (
            "HTTP 400 {\"error\":\"invalid_grant\",\"error_codes\":[50173]}",
            "AADSTS50173",
        ),
        ("HTTP 401 invalid_client", "invalid_client"),
        (
            "HTTP 503 {\"error\":\"temporarily_unavailable\"}",
            "HTTP 503",
        ),
        ("got HTTP 400 and a timeout", "no answer in time"),
        ("pid 50053: connection refused", "connection refused"),
        ("sendmail365[50053]: x error 53003", "AADSTS53003"),
        (
            "SMTP would refuse it with 535 5.7.3: the token is for Microsoft Graph",
            "token for another service",
        ),
        ("in 535 ms: connection refused", "connection refused"),
        (
            "postfix/smtp[1]: status=bounced (host x[203.0.113.1] said: 550 5.7.60 SMTP; Client)",
            "550 5.7.60",
        ),
        ("{\"error_codes\":[\"700082\"]}", "AADSTS700082"),
        (
            "GUID 3f2504e0-4f89-443a-9a0c-0305e82c3301 530 times: EPIPE",
            "connection lost",
        ),
        ("smtp; 421 go away", "421"),
    ] {
        assert_eq!(only(text).code, code, "{text}");
    }
}

#[test]
fn several_codes_are_explained_each_once() {
    let codes = |text: &str| -> Vec<String> {
        explain(text)
            .into_iter()
            .map(|report| report.code)
            .collect()
    };
    assert_eq!(
        codes("AADSTS50076 AADSTS50079 AADSTS53003"),
        ["AADSTS50076", "AADSTS53003"]
    );
    assert_eq!(
        codes("535 5.7.3 a\n550 5.7.60 b"),
        ["535 5.7.3", "550 5.7.60"]
    );
    assert_eq!(codes("700082 53003"), ["AADSTS700082", "AADSTS53003"]);
    assert_eq!(codes("503"), ["503", "HTTP 503"]);
    let many: Vec<String> = codes::numbers()
        .map(|number| format!("AADSTS{number}"))
        .collect();
    assert_eq!(explain(&many.join(" ")).len(), 8);
}

#[test]
fn error_and_status_decide_about_the_mail_as_they_do_when_mail_is_sent() {
    let fate = |text: &str| only(text).fate;
    assert_eq!(
        fate("{\"error\":\"invalid_grant\",\"error_codes\":[700082]}"),
        Some(Fate::Hold)
    );
    assert_eq!(
        fate("{\"error\":\"server_error\",\"error_codes\":[700082]}"),
        Some(Fate::Defer)
    );
    assert_eq!(fate("HTTP 503 AADSTS700082"), Some(Fate::Defer));
    assert_eq!(fate("stage=auth 550 5.1.1 x"), Some(Fate::Hold));
    assert_eq!(fate("stage=rcpt 550 5.1.1 x"), Some(Fate::Return));
}

#[test]
fn an_unknown_number_of_a_known_kind_is_told_by_its_kind() {
    let report = only("{\"error\":\"invalid_grant\",\"error_description\":\"AADSTS998877: New.\"}");
    assert!(!report.known && report.meaning.contains("no longer accepted"));
    assert!(report.cure.contains("login") && report.actor == Actor::User);
    assert_eq!(report.text.as_deref(), Some("AADSTS998877: New."));
    assert!(report.see.unwrap().ends_with("code=998877"));
}

#[test]
fn the_text_of_an_unknown_code_is_cut_and_without_secrets() {
    let token = "a1B2".repeat(40);
    let report = only(&format!("550 5.9.9 {} {token}", "word ".repeat(2000)));
    let text = report.text.unwrap();
    assert!(text.len() <= 300 && text.starts_with("550 5.9.9 word"));
    for places in 0..60 {
        let padding = "x ".repeat(2010 + places);
        let report = only(&format!("550 5.9.9 token=s {padding}{token} {token}"));
        assert!(!report.text.unwrap().contains("a1B2"));
    }
    let many = format!(
        "550 5.9.9 {}{token}",
        "refresh_token=abcdefghijklmnop ".repeat(132)
    );
    let shown = only(&many).text.unwrap();
    assert!(
        !shown.contains("a1B2") && !shown.contains("abcdef"),
        "{shown}"
    );
}

#[test]
fn any_text_is_gone_through() {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).unwrap()
    };
    let texts: Vec<String> = texts().collect();
    for round in 0..3000 {
        let mut chars: Vec<char> = texts[next(texts.len())].chars().collect();
        for _ in 0..=round % 8 {
            let at = next(chars.len().max(1)).min(chars.len());
            match next(4) {
                0 => chars.truncate(at),
                1 => chars.insert(
                    at,
                    ['\\', '"', '{', '\u{e4}', '\0', '5', '\u{1F600}', '\n'][next(8)],
                ),
                2 => chars.extend(texts[next(texts.len())].chars()),
                _ => chars.retain(|char| !char.is_ascii_digit() || round % 2 == 0),
            }
        }
        let text: String = chars.into_iter().collect();
        for report in explain(&text) {
            let (text, json) = (form::text(&report), form::json(&report));
            assert!(
                text.bytes()
                    .all(|octet| matches!(octet, b' '..=b'~' | b'\n'))
            );
            assert!(
                json.bytes()
                    .all(|octet| matches!(octet, b' '..=b'~' | b'\n'))
            );
            assert!(json.starts_with("{\"code\":") && json.ends_with("}\n"));
        }
    }
}

/// A text of the largest size that is read, made to be slow.
#[test]
fn a_large_text_takes_no_more_than_it_has() {
    for part in [
        "AADSTS1",
        "535 5.7.3 ",
        "{",
        "{\"a\":",
        "token=a ",
        "5.",
        "\\x22",
        "trace id ",
        "[a",
        "1 ",
    ] {
        let size = usize::try_from(TEXT_MAX).unwrap() / part.len();
        assert!(explain(&part.repeat(size)).len() <= 8);
    }
}
