//! One row of the table of settings, and how it is written down.

use super::settings::Draft;

/// One row of the table.
pub struct Setting {
    pub section: &'static str,
    pub key: &'static str,
    pub takes: Takes,
    /// As it would stand in the file; empty text means "not set".
    pub default: &'static str,
    pub doc: &'static str,
}

impl Setting {
    /// Whether what holds without the setting is decided elsewhere: by whose the file is, or by the
    /// cloud. The default is then what an installed host in the global cloud has.
    pub fn is_preset(&self) -> bool {
        let clouds = [("endpoint", "authority"), ("smtp", "host")];
        self.section == "paths" || clouds.contains(&(self.section, self.key))
    }
}

/// The type of a setting, and where its value goes.
pub enum Takes {
    Text(fn(&mut Draft, &str) -> Result<(), Complaint>),
    Switch(fn(&mut Draft, bool)),
    Number(fn(&mut Draft, u64) -> Result<(), Complaint>),
    List(fn(&mut Draft, &[String]) -> Result<(), Complaint>),
}

impl Takes {
    /// What a message calls the type.
    pub fn name(&self) -> &'static str {
        match self {
            Takes::Text(_) => "a text in quotes",
            Takes::Switch(_) => "true or false",
            Takes::Number(_) => "a number",
            Takes::List(_) => "a list of texts in brackets",
        }
    }
}

/// Why a value is not one, to follow `KEY: `; never the value itself.
pub type Complaint = String;

type TextSetter = fn(&mut Draft, &str) -> Result<(), Complaint>;

/// A row that takes a text.
pub(super) const fn text(
    section: &'static str,
    key: &'static str,
    default: &'static str,
    doc: &'static str,
    set: TextSetter,
) -> Setting {
    Setting {
        section,
        key,
        takes: Takes::Text(set),
        default,
        doc,
    }
}

/// A row that takes a number.
pub(super) const fn number(
    section: &'static str,
    key: &'static str,
    default: &'static str,
    doc: &'static str,
    set: fn(&mut Draft, u64) -> Result<(), Complaint>,
) -> Setting {
    Setting {
        section,
        key,
        takes: Takes::Number(set),
        default,
        doc,
    }
}

/// A row that takes true or false.
pub(super) const fn switch(
    section: &'static str,
    key: &'static str,
    default: &'static str,
    doc: &'static str,
    set: fn(&mut Draft, bool),
) -> Setting {
    Setting {
        section,
        key,
        takes: Takes::Switch(set),
        default,
        doc,
    }
}

/// A row that takes a list of texts.
pub(super) const fn list(
    section: &'static str,
    key: &'static str,
    default: &'static str,
    doc: &'static str,
    set: fn(&mut Draft, &[String]) -> Result<(), Complaint>,
) -> Setting {
    Setting {
        section,
        key,
        takes: Takes::List(set),
        default,
        doc,
    }
}
