//! What the program tells people to do, against what it can do: the commands and settings it names.

use sendmail365::cli;
use sendmail365::config::settings::SETTINGS;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

/// Every line of prose in the program: texts with a blank, as they are printed.
fn texts() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let source = fs::read_to_string(&path).unwrap();
            let texts = literals(source.split("\n#[cfg(test)]").next().unwrap());
            let prose = texts.into_iter().filter(|text| text.contains(' '));
            found.extend(prose.map(|text| (path.clone(), text)));
        }
    }
    assert!(found.len() > 500);
    found
}

/// The text literals of a source, with their continued lines joined.
fn literals(source: &str) -> Vec<String> {
    let code = source
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    let code: Vec<&str> = code.collect();
    let mut found = Vec::new();
    let code = code.join("\n").replace("'\"'", "").replace("b'\\\\'", "");
    let mut rest = code.chars().peekable();
    while let Some(mark) = rest.next() {
        if mark != '"' {
            continue;
        }
        let mut text = String::new();
        while let Some(letter) = rest.next().filter(|&letter| letter != '"') {
            match (letter, rest.peek()) {
                ('\\', Some('\n')) => while rest.next_if(|next| next.is_whitespace()).is_some() {},
                ('\\', _) => text.extend(rest.next()),
                _ => text.push(letter),
            }
        }
        found.push(text);
    }
    found
}

#[test]
fn every_command_that_is_recommended_is_there() {
    let mut tried = 0;
    for (path, text) in texts() {
        for command in text.split('`').skip(1).step_by(2) {
            let words: Vec<OsString> = command.split(' ').map(OsString::from).collect();
            let name = words[0].to_str().unwrap();
            // A placeholder stands for a name or a command of the caller's.
            if !name.starts_with("sendmail") || command.contains('{') || command.ends_with("...") {
                continue;
            }
            let asked = cli::parse(words).invocation;
            let there = asked.is_ok();
            assert!(there, "{}: {command}", path.display());
            tried += 1;
        }
    }
    assert!(tried >= 10, "only {tried} commands were found");
}

fn is_setting(section: &str, key: &str) -> bool {
    let mut rows = SETTINGS.iter();
    rows.any(|row| row.section == section && row.key == key)
}

/// The words before `under [section]` and those after `[section]` that a text means as settings.
fn settings(text: &str) -> Vec<(String, String)> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let bare = |word: &str| {
        let word = word.trim_matches(|c: char| !c.is_ascii_alphanumeric() && c != '{');
        word.to_owned()
    };
    let mut found = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let Some(section) = word
            .strip_prefix('[')
            .and_then(|rest| rest.split(']').next())
        else {
            continue;
        };
        let known = SETTINGS.iter().any(|row| row.section == section);
        if !known || !word.contains(']') {
            continue;
        }
        let before = &words[..at];
        if let [before @ .., "under" | "below"] = before {
            let (mut before, mut taken) = (before, false);
            if let [rest @ .., _, "=", _] = before {
                before = &before[..rest.len() + 1];
            }
            while let [rest @ .., key] = before {
                let joined = key.ends_with(',') || ["and", "or"].contains(key);
                match (joined, taken) {
                    _ if key.contains(']') => break,
                    (false, true) => break,
                    (true, _) if !key.ends_with(',') => taken = false,
                    _ => {
                        found.push((section.to_owned(), bare(key)));
                        taken = true;
                    }
                }
                before = rest;
            }
        } else if let Some(key) = words.get(at + 1).filter(|_| word.ends_with(']'))
            && *key != "of"
        {
            found.push((section.to_owned(), bare(key)));
        }
    }
    found.retain(|(_, key)| !key.is_empty());
    found
}

#[test]
fn the_settings_of_a_text_are_found() {
    let named = |text| {
        let found = settings(text);
        found
            .into_iter()
            .map(|(section, key)| format!("{section}.{key}"))
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(named("set enabled = true under [queue]"), "queue.enabled");
    assert_eq!(
        named("check client_id, cloud and tenant under [account], and authority under [endpoint]"),
        "account.tenant account.cloud account.client_id endpoint.authority"
    );
    assert_eq!(named("in [paths] tokens, then sign in"), "paths.tokens");
}

#[test]
fn every_setting_that_is_named_is_there() {
    let mut tried = 0;
    for (path, text) in texts() {
        for (section, key) in settings(&text) {
            if key.chars().all(|c| c.is_ascii_lowercase() || c == '_') {
                assert!(
                    is_setting(&section, &key),
                    "{}: {key} in {text}",
                    path.display()
                );
                tried += 1;
            }
        }
    }
    assert!(tried >= 20, "only {tried} settings were found");
}

/// What Microsoft's numbers are answered with is written long before it is seen.
#[test]
fn the_cures_of_signing_in_name_no_setting_of_a_later_version() {
    let words = ["offline_access"];
    let of_codes = |path: &Path| {
        let name = path.to_str().unwrap();
        let tables = name.contains("/oauth/codes") || name.contains("/admin/explain");
        tables && !path.ends_with("tests.rs")
    };
    let codes: Vec<_> = texts()
        .into_iter()
        .filter(|(path, _)| of_codes(path))
        .collect();
    assert!(codes.len() > 300, "{}", codes.len());
    for (_, text) in codes {
        assert!(!text.contains("device code"), "{text}");
        for word in text.split(|c: char| !c.is_ascii_lowercase() && c != '_') {
            let known = words.contains(&word) || SETTINGS.iter().any(|row| row.key == word);
            assert!(
                known || !word.trim_matches('_').contains('_'),
                "{word}: {text}"
            );
        }
    }
}
