//! The text of a configuration file into settings; every fault with its line and the nearest name.

use crate::config::settings::{Draft, SETTINGS, Setting, Takes};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Settings of a later version with their defaults, which change nothing: section, key, default.
const LATER: &[(&str, &str, &str)] = &[("smtp", "chunking", "false")];

/// What is wrong with a line; never quotes a value.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) line: usize,
    pub(crate) why: String,
}

/// Every setting of a file's text, each through its own row of the table.
pub(crate) fn read_settings(text: &str) -> Result<Draft, Fault> {
    let mut draft = defaults();
    let fault = |start: usize, why: String| Fault {
        line: line_of(&text.as_bytes()[..start.min(text.len())]),
        why,
    };
    let table = DeTable::parse(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        fault(start, error.message().to_owned())
    })?;
    for (section, content) in table.get_ref() {
        let name = section.get_ref().as_ref();
        if !sections().any(|known| known == name) {
            let why = match content.get_ref() {
                DeValue::Table(_) => unknown("section", name, sections()),
                _ => outside(name),
            };
            return Err(fault(section.span().start, why));
        }
        let DeValue::Table(content) = content.get_ref() else {
            let why = format!("{name} is a section; write [{name}] on a line of its own");
            return Err(fault(section.span().start, why));
        };
        for (key, value) in content {
            set(&mut draft, name, key.get_ref(), value)
                .map_err(|why| fault(key.span().start, why))?;
        }
    }
    Ok(draft)
}

fn defaults() -> Draft {
    let mut draft = Draft::default();
    for setting in SETTINGS.iter().filter(|setting| !setting.is_preset()) {
        // A test takes every row's default through its own setter.
        let _ = match setting.takes {
            Takes::Text(_) if setting.default.is_empty() => Ok(()),
            Takes::Text(set) => set(&mut draft, setting.default),
            Takes::Number(set) => set(&mut draft, setting.default.parse().unwrap_or(0)),
            Takes::List(set) => set(&mut draft, &[]),
            Takes::Switch(set) => {
                set(&mut draft, setting.default == "true");
                Ok(())
            }
        };
    }
    draft
}

fn set(
    draft: &mut Draft,
    section: &str,
    key: &str,
    value: &Spanned<DeValue<'_>>,
) -> Result<(), String> {
    let Some(setting) = SETTINGS
        .iter()
        .find(|row| row.section == section && row.key == key)
    else {
        let keys = SETTINGS
            .iter()
            .filter(|row| row.section == section)
            .map(|row| row.key);
        return match LATER.iter().find(|row| (row.0, row.1) == (section, key)) {
            Some((.., default)) if is_default(value.get_ref(), default) => Ok(()),
            Some(_) => Err(format!("this version does not have {key} yet")),
            None => Err(unknown("setting", key, keys)),
        };
    };
    let wrong = |why: &str| format!("{section}.{key}: {why}");
    let wrong_type = || wrong(&format!("has to be {}", setting.takes.name()));
    match (&setting.takes, value.get_ref()) {
        (Takes::Text(set), DeValue::String(text)) => set_text(draft, setting, *set, text),
        (Takes::Switch(set), DeValue::Boolean(on)) => {
            set(draft, *on);
            Ok(())
        }
        (Takes::Number(set), DeValue::Integer(number)) => {
            let number = u64::from_str_radix(number.as_str(), number.radix());
            number
                .map_err(|_| wrong_type())
                .and_then(|number| set(draft, number).map_err(|why| wrong(&why)))
        }
        (Takes::List(set), DeValue::Array(items)) => {
            let text = |item: &Spanned<DeValue<'_>>| item.get_ref().as_str().map(str::to_owned);
            let texts: Option<Vec<String>> = items.iter().map(text).collect();
            set(draft, &texts.ok_or_else(wrong_type)?).map_err(|why| wrong(&why))
        }
        _ => Err(wrong_type()),
    }
}

fn is_default(value: &DeValue<'_>, default: &str) -> bool {
    match value {
        DeValue::String(text) => text.is_empty() || text == default,
        DeValue::Boolean(on) => on.to_string() == default,
        DeValue::Array(items) => items.is_empty() && default == "[]",
        _ => false,
    }
}

/// An empty text is "not set": the default where there is one.
fn set_text(
    draft: &mut Draft,
    setting: &Setting,
    set: fn(&mut Draft, &str) -> Result<(), String>,
    text: &str,
) -> Result<(), String> {
    let wrong = |why| format!("{}.{}: {why}", setting.section, setting.key);
    match text.is_empty() {
        true if setting.is_preset() || setting.default.is_empty() => Ok(()),
        true => set(draft, setting.default).map_err(wrong),
        false => set(draft, text).map_err(wrong),
    }
}

fn sections() -> impl Iterator<Item = &'static str> {
    SETTINGS.iter().map(|setting| setting.section)
}

fn unknown(kind: &str, name: &str, known: impl Iterator<Item = &'static str>) -> String {
    let nearest = known
        .min_by_key(|known| distance(known, name))
        .unwrap_or_default();
    format!("unknown {kind} \"{name}\"; the nearest is \"{nearest}\"")
}

/// A setting that stands in front of every section.
fn outside(name: &str) -> String {
    let mut own = SETTINGS.iter().filter(|row| row.key == name);
    match own.next() {
        Some(row) => format!(
            "{name} stands outside its section; put [{}] above it",
            row.section
        ),
        None => {
            format!(
                "\"{name}\" stands outside any section; put the line of one above it, such as [account]"
            )
        }
    }
}

/// Edits between two names (Levenshtein); long input is cut, names are short.
fn distance(known: &str, name: &str) -> usize {
    let name: Vec<char> = name.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=name.len()).collect();
    for (above, letter) in known.chars().enumerate() {
        let mut diagonal = above;
        let mut left = above + 1;
        for (place, other) in name.iter().enumerate() {
            let edit = diagonal + usize::from(letter != *other);
            diagonal = row[place + 1];
            row[place] = left;
            left = edit.min(diagonal + 1).min(left + 1);
        }
        row[name.len()] = left;
    }
    row[name.len()]
}

/// Number of the line that follows `before`.
pub(crate) fn line_of(before: &[u8]) -> usize {
    before.iter().filter(|&&octet| octet == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(text: &str) -> String {
        let fault = read_settings(text).err().expect("a fault");
        format!("{}: {}", fault.line, fault.why)
    }

    #[test]
    fn a_typo_names_file_line_and_the_nearest_key() {
        assert_eq!(
            why("[account]\nmailbox = \"a@x.test\"\ntennant = \"x\"\n"),
            "3: unknown setting \"tennant\"; the nearest is \"tenant\""
        );
        assert!(why("[acount]\n").ends_with("the nearest is \"account\""));
    }

    #[test]
    fn a_setting_of_a_later_version_is_called_that_unless_it_says_what_is_so_already() {
        for (section, key, value) in [("smtp", "chunking", "true"), ("smtp", "chunking", "1")] {
            let text = why(&format!("[{section}]\n{key} = {value}\n"));
            assert_eq!(text, format!("2: this version does not have {key} yet"));
        }
        assert!(why("[smtp]\ncloud = \"global\"\n").contains("unknown setting"));
        assert!(read_settings("[smtp]\nchunking = false\n").is_ok());
    }

    #[test]
    fn no_setting_of_a_later_version_is_one_of_this_version_too() {
        for (section, key, _) in LATER {
            let known = |row: &Setting| (row.section, row.key) == (*section, *key);
            assert!(!SETTINGS.iter().any(known), "{section}.{key}");
        }
    }

    #[test]
    fn a_wrong_type_or_value_names_the_key_and_not_the_value() {
        assert!(why("[smtp]\nport = \"587\"\n").starts_with("2: smtp.port: has to be a number"));
        assert!(why("[smtp]\nport = 70000\n").contains("smtp.port: not a port"));
        assert!(why("[smtp]\nport = 465\n").contains("needs 587 with STARTTLS"));
        let text = why("[account]\n\nmailbox = \"CANARY\"\n");
        assert!(
            text.starts_with("3: account.mailbox") && !text.contains("CANARY"),
            "{text}"
        );
        let text = why("[endpoint]\nproxy = \"http://CANARY:CANARY@p:1\"\n");
        assert!(!text.contains("CANARY"), "{text}");
    }

    #[test]
    fn a_syntax_error_names_the_line_and_quotes_nothing() {
        let text = why("[account]\nclient_id = CANARY\n");
        assert!(
            text.starts_with("2: ") && !text.contains("CANARY"),
            "{text}"
        );
        let text = why("[account]\nclient_id = \"CANARY\n");
        assert!(
            text.starts_with("2: ") && !text.contains("CANARY"),
            "{text}"
        );
    }

    #[test]
    fn a_section_that_is_a_value_says_how_to_write_it() {
        assert!(why("account = \"x\"\n").contains("write [account]"));
    }

    #[test]
    fn a_setting_without_a_section_is_told_where_it_belongs() {
        assert_eq!(
            why("# mine\nmailbox = \"a@x.test\"\n"),
            "2: mailbox stands outside its section; put [account] above it"
        );
        assert!(why("port = 587\n").contains("put [smtp] above it"));
        assert!(why("mailbix = \"CANARY\"\n").contains("\"mailbix\" stands outside any section"));
        assert!(why("[mailbox]\n").contains("unknown section"));
    }

    #[test]
    fn an_empty_text_is_the_default() {
        let draft =
            read_settings("[smtp]\nhost = \"\"\n[limits]\nmessage_size = \"\"\n").expect("valid");
        assert_eq!(draft.host, None);
        assert_eq!(draft.message_size_max, 150_000_000);
    }

    #[test]
    fn distance_counts_edits() {
        assert_eq!(distance("tenant", "tennant"), 1);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
    }

    #[test]
    fn settings_never_panic_on_odd_text() {
        for text in [
            "\u{0}",
            "[",
            "a.b.c=1",
            "[account]\nmailbox.x = 1",
            "=",
            "[[account]]\n",
            "\u{feff}[smtp]",
        ] {
            let _ = read_settings(text);
        }
    }
}
