//! Settings changed in the text of a file: everything else of it stays, comments too.

use super::reader::{Fault, read_settings};
use super::settings::{Draft, SETTINGS, Setting, Takes};
use crate::outcome::{Class, Failure, Stage};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use toml::de::{DeTable, DeValue};

/// The file of a new installation: every setting with its default, in comments.
const SHIPPED: &str = include_str!("../../packaging/config.toml");

/// The text of a configuration that can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text(String);

/// A new value for a setting that takes a text; an empty one is "not set".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub section: &'static str,
    pub key: &'static str,
    pub value: String,
}

/// Values by section and key, as they are written.
type Written = BTreeMap<(String, String), (String, Range<usize>)>;

impl Text {
    /// That of a new installation.
    pub fn shipped() -> Text {
        Text(SHIPPED.to_owned())
    }

    /// The text of a file; one that cannot be read is not to be changed either.
    pub fn read(text: String, path: &Path) -> Result<Text, Failure> {
        match read_settings(&text) {
            Ok(_) => Ok(Text(text)),
            Err(Fault { line, why }) => Err(Failure::new(
                Class::Config,
                format!("{}:{line}", path.display()),
            )
            .because(why)
            .fix("correct the line, or move the file away; it was not touched")
            .at(Stage::Config)),
        }
    }

    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The value of a setting that takes a text: as it is set, else the default.
    pub fn value(&self, section: &str, key: &str) -> String {
        self.set(section, key).unwrap_or_else(|| {
            let row = SETTINGS
                .iter()
                .find(|row| (row.section, row.key) == (section, key));
            row.map_or("", |row| row.default).to_owned()
        })
    }

    /// The value that is set in the file.
    pub fn set(&self, section: &str, key: &str) -> Option<String> {
        let table = DeTable::parse(&self.0).ok()?;
        let content = table.get_ref().get(section)?.get_ref().as_table()?;
        let value = content.get(key)?.get_ref().as_str()?;
        Some(value.to_owned()).filter(|value| !value.is_empty())
    }

    /// Whether a list is set in the file.
    pub fn has_list(&self, section: &str, key: &str) -> bool {
        let table = DeTable::parse(&self.0).ok();
        let list = table.as_ref().and_then(|table| {
            let content = table.get_ref().get(section)?.get_ref().as_table()?;
            content.get(key)?.get_ref().as_array()
        });
        list.is_some_and(|list| !list.is_empty())
    }

    /// The same with changes, and those of them that changed something.
    pub fn with(&self, changes: &[Change]) -> Result<(Text, Vec<Change>), Failure> {
        let mut text = self.clone();
        let mut made = Vec::new();
        for change in changes {
            if text.value(change.section, change.key) == change.value {
                continue;
            }
            text = text.changed(change)?;
            made.push(change.clone());
        }
        Ok((text, made))
    }

    fn changed(&self, change: &Change) -> Result<Text, Failure> {
        let impossible = || {
            Failure::new(
                Class::Config,
                "the file is written in a way that cannot be changed here",
            )
            .because(format!("{} under [{}]", change.key, change.section))
            .fix("set it by hand; the file was not touched")
            .at(Stage::Config)
        };
        let old = written(&self.0).ok_or_else(impossible)?;
        let value = literal(&change.value);
        let place = (change.section.to_owned(), change.key.to_owned());
        let text = match old.get(&place) {
            Some((_, span)) => replaced(&self.0, span.clone(), &value),
            None => self.added(&old, change, &value),
        };
        // Whatever a file may look like: this value has changed and no other.
        let plain = |all: Written| -> BTreeMap<_, _> {
            all.into_iter()
                .map(|(key, (value, _))| (key, value))
                .collect()
        };
        let new = plain(written(&text).ok_or_else(impossible)?);
        let mut wanted = plain(old);
        wanted.insert(place, value);
        match new == wanted && read_settings(&text).is_ok() {
            true => Ok(Text(text)),
            false => Err(impossible()),
        }
    }

    /// In place of the comment with the default, else behind the last setting of the section.
    fn added(&self, old: &Written, change: &Change, value: &str) -> String {
        let line = format!("{} = {value}", change.key);
        let Some(section) = self.section(change.section) else {
            let gap = match self.0.ends_with('\n') {
                _ if self.0.is_empty() => "",
                true => "\n",
                false => "\n\n",
            };
            return format!("{}{gap}[{}]\n{line}\n", self.0, change.section);
        };
        if let Some(comment) = self.default_comment(&section, change) {
            return replaced(&self.0, comment, &line);
        }
        let last = old
            .iter()
            .filter(|((section, _), _)| section == change.section)
            .map(|(_, (_, span))| span.end)
            .max();
        let from = last.unwrap_or(section.start);
        let rest = self.0.get(from..).unwrap_or_default();
        match rest.find('\n') {
            Some(end) => replaced(&self.0, from + end..from + end, &format!("\n{line}")),
            None => format!("{}\n{line}\n", self.0),
        }
    }

    /// From the header of a section to the next one.
    fn section(&self, name: &str) -> Option<Range<usize>> {
        let mut start = None;
        for (at, line) in lines(&self.0) {
            let header = header(line);
            match start {
                None if header == Some(name) => start = Some(at),
                Some(start) if header.is_some() => return Some(start..at),
                _ => {}
            }
        }
        start.map(|start| start..self.0.len())
    }

    /// The line `#key = DEFAULT`; any other comment is somebody's own.
    fn default_comment(&self, section: &Range<usize>, change: &Change) -> Option<Range<usize>> {
        let row = SETTINGS
            .iter()
            .find(|row| (row.section, row.key) == (change.section, change.key))?;
        let text = self.0.get(section.clone())?;
        lines(text).into_iter().find_map(|(at, line)| {
            let line = line.trim_end();
            let (key, value) = line.strip_prefix('#')?.split_once('=')?;
            let same = key.trim() == change.key && value.trim() == literal(row.default);
            let start = section.start + at;
            same.then_some(start..start + line.len())
        })
    }
}

/// Judges a value by the row of its setting.
pub fn judge(change: &Change) -> Result<(), String> {
    let found = SETTINGS
        .iter()
        .find(|row| (row.section, row.key) == (change.section, change.key));
    match found {
        Some(Setting {
            takes: Takes::Text(set),
            ..
        }) if !change.value.is_empty() => set(&mut Draft::default(), &change.value),
        _ => Ok(()),
    }
}

/// A text as TOML writes it; JSON's escapes are among TOML's.
pub fn literal(value: &str) -> String {
    // A text always has a form in JSON.
    let quoted = serde_json::to_string(value).unwrap_or_default();
    quoted.replace('\u{7f}', "\\u007f")
}

fn written(text: &str) -> Option<Written> {
    let table = DeTable::parse(text).ok()?;
    let mut all = Written::new();
    for (section, content) in table.get_ref() {
        let DeValue::Table(content) = content.get_ref() else {
            return None;
        };
        for (key, value) in content {
            let place = (
                section.get_ref().as_ref().to_owned(),
                key.get_ref().as_ref().to_owned(),
            );
            let span = value.span();
            all.insert(place, (text.get(span.clone())?.to_owned(), span));
        }
    }
    Some(all)
}

fn replaced(text: &str, span: Range<usize>, by: &str) -> String {
    let mut text = text.to_owned();
    text.replace_range(span, by);
    text
}

/// Lines with their places.
fn lines(text: &str) -> Vec<(usize, &str)> {
    let mut at = 0;
    let lines = text.split_inclusive('\n');
    lines
        .map(|line| {
            at += line.len();
            (at - line.len(), line)
        })
        .collect()
}

/// The name in `[name]`.
fn header(line: &str) -> Option<&str> {
    // An editor of Windows puts a byte order mark before the first line.
    let line = line.trim_start_matches('\u{feff}').trim();
    let (name, rest) = line.strip_prefix('[')?.split_once(']')?;
    let alone = rest.trim_start();
    (alone.is_empty() || alone.starts_with('#')).then(|| name.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(section: &'static str, key: &'static str, value: &str) -> Change {
        Change {
            section,
            key,
            value: value.to_owned(),
        }
    }

    fn after(text: &str, changes: &[Change]) -> String {
        let text = Text::read(text.to_owned(), Path::new("f")).unwrap();
        text.with(changes).unwrap().0.0
    }

    #[test]
    fn in_the_shipped_file_one_line_changes_for_each_setting() {
        let changes = [
            change("account", "mailbox", "a@x.test"),
            change("account", "grant", "certificate"),
            change("smtp", "host", "mail.x.test"),
            change("recipients", "admin", "b@x.test"),
        ];
        let (text, made) = Text::shipped().with(&changes).unwrap();
        assert_eq!(made, changes);
        let (old, new) = (SHIPPED.lines(), text.as_str().lines());
        let differ: Vec<&str> = old
            .zip(new)
            .filter(|(a, b)| a != b)
            .map(|(_, b)| b)
            .collect();
        assert_eq!(
            differ,
            [
                "mailbox = \"a@x.test\"",
                "grant = \"certificate\"",
                "host = \"mail.x.test\"",
                "admin = \"b@x.test\"",
            ]
        );
        let again = text.with(&changes).unwrap();
        assert_eq!(again, (text, Vec::new()));
    }

    #[test]
    fn what_somebody_wrote_stays_where_it_is() {
        let mine = "# mine\n[account] # who\nmailbox = 'a@x.test' # ours\n#tenant = \"old.test\"\n\n\
                    # the queue\n[queue]\nenabled = true\n";
        let changes = [
            change("account", "mailbox", "b@x.test"),
            change("account", "tenant", "x.test"),
            change("recipients", "admin", "c@x.test"),
        ];
        assert_eq!(
            after(mine, &changes),
            "# mine\n[account] # who\nmailbox = \"b@x.test\" # ours\ntenant = \"x.test\"\n\
             #tenant = \"old.test\"\n\n# the queue\n[queue]\nenabled = true\n\n[recipients]\n\
             admin = \"c@x.test\"\n"
        );
    }

    #[test]
    fn every_way_to_write_a_file_is_changed_rightly_or_not_at_all() {
        for (text, wanted) in [
            ("", Some("[account]\ntenant = \"t\"\n")),
            ("[account]", Some("[account]\ntenant = \"t\"\n")),
            ("account.tenant = 'u'", Some("account.tenant = \"t\"")),
            (
                "account = { tenant = 'u' }\n",
                Some("account = { tenant = \"t\" }\n"),
            ),
            (
                "[account]\r\ntoken_command = [\n'/bin/x',\n'[account]',\n]\r\n",
                Some(
                    "[account]\r\ntoken_command = [\n'/bin/x',\n'[account]',\n]\r\ntenant = \"t\"\n",
                ),
            ),
            (
                "\u{feff}[account]\r\n",
                Some("\u{feff}[account]\r\ntenant = \"t\"\n"),
            ),
            ("account = { user = 'u@x.test' }\n", None),
            ("account.user = 'u@x.test'\n", None),
        ] {
            let before = Text::read(text.to_owned(), Path::new("f")).unwrap();
            let changed = before.with(&[change("account", "tenant", "t")]);
            let changed = changed.ok().map(|(text, _)| text.0);
            assert_eq!(changed.as_deref(), wanted, "{text}");
        }
    }

    #[test]
    fn no_value_breaks_out_of_its_line() {
        for value in ["\"", "\\", "a\nb", "\u{7f}", "é", "'''"] {
            let text = format!("[account]\nclient_id = {}\n", literal(value));
            let table: toml::Table = toml::from_str(&text).unwrap();
            assert_eq!(table["account"]["client_id"].as_str(), Some(value));
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_is_refused_with_its_line() {
        let failure = Text::read("[account]\nmailbix = 1\n".to_owned(), Path::new("f"));
        let failure = failure.unwrap_err();
        assert_eq!(failure.what(), "f:2");
        assert!(failure.cure().unwrap().contains("not touched"));
    }
}
