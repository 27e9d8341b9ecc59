//! Every option of sendmail, once: parser, help and the manual's list are read out of these rows.
//!
//! A row only records the wish. What options mean together is settled in `parse`.

use super::wishes::{
    DAEMON, Mode, Offered, RULES, Wishes, account, body, config, debug, debug_file, dot_is_text,
    envid, errors, from_header, full_name, glued_ignored, help, long_o, no_aliases, notify,
    quarantine, ret, run_queue, sender, sender_from_header, short_o, traffic_file, value_ignored,
    verbose, version,
};
use super::{misuse, shown};
use crate::outcome::Failure;
use std::ffi::OsString;
use std::fmt;

/// One option of a program whose wishes are collected in a `W`.
pub(super) struct Opt<W> {
    pub(super) name: Name,
    pub(super) takes: Takes<W>,
    pub(super) kind: Kind,
    /// One sentence for the help.
    pub(super) does: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    Short(char),
    Long(&'static str),
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Name::Short(letter) => write!(f, "-{letter}"),
            Name::Long(word) => write!(f, "--{word}"),
        }
    }
}

/// What follows an option; the text names the value.
pub(super) enum Takes<W> {
    Nothing(fn(&mut W)),
    /// Glued to the letter or the next word, whatever that looks like, as in getopt.
    Value(&'static str, fn(&mut W, OsString) -> Result<(), Failure>),
    /// Only when glued to the letter: `-q30m` is an interval, `-q 30m` is `-q` and a recipient.
    Glued(
        &'static str,
        fn(&mut W, Option<OsString>) -> Result<(), Failure>,
    ),
}

/// What an option or a mode is worth in this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Works,
    /// Accepted for callers that pass it.
    Ignored,
    /// Answered with 64.
    Refused,
    /// For a unit of the package; no help and no manual page lists it.
    Internal,
}

/// A word after `-b`.
pub(super) struct ModeRow {
    pub(super) word: &'static str,
    pub(super) mode: Offered,
    pub(super) kind: Kind,
    pub(super) does: &'static str,
}

/// The words after `-b`.
#[rustfmt::skip]
pub(super) const MODES: &[ModeRow] = &[
    mode("m",  Ok(Mode::Deliver), Kind::Works,   "Send the message on standard input; the default."),
    mode("V",  Ok(Mode::Version), Kind::Works,   "Print the version."),
    mode("h",  Ok(Mode::Nothing), Kind::Works,   "Do nothing (host status elsewhere)."),
    mode("H",  Ok(Mode::Nothing), Kind::Works,   "Do nothing (host status elsewhere)."),
    mode("s",  Ok(Mode::Serve),   Kind::Works,   "Speak SMTP on standard input and output."),
    mode("a",  Ok(Mode::Serve),   Kind::Works,   "As -bs."),
    mode("p",  Ok(Mode::List),    Kind::Works,   "List the queue, as mailq does."),
    mode("pc", Ok(Mode::Count),   Kind::Works,   "Count the entries of the queue."),
    mode("P",  Ok(Mode::Count),   Kind::Works,   "As -bpc."),
    mode("i",  Ok(Mode::Aliases), Kind::Works,   "Check the aliases file, as newaliases does."),
    mode("v",  Ok(Mode::Verify),  Kind::Works,   "Show what becomes of the addresses."),
    mode("C",  Ok(Mode::Check),   Kind::Works,   "Check settings, aliases and the stored sign-in."),
    mode("t",  RULES,         Kind::Refused, "Test rewriting rules."),
    mode("d",  DAEMON,        Kind::Refused, "Run as a daemon."),
    mode("D",  DAEMON,        Kind::Refused, "Run as a daemon in the foreground."),
    mode("l",  DAEMON,        Kind::Refused, "Run as a daemon."),
];

/// The options of the sendmail interface.
#[rustfmt::skip]
pub(super) const OPTIONS: &[Opt<Wishes>] = &[
    works('t', Takes::Nothing(from_header),        "Send to the addresses in To, Cc and Bcc too."),
    works('i', Takes::Nothing(dot_is_text),        "Take a line with a lone dot as text."),
    works('f', Takes::Value("address", sender),    "Set the envelope sender."),
    works('r', Takes::Value("address", sender),    "As -f."),
    works('F', Takes::Value("name", full_name),    "Set the name in a From field made here."),
    works('C', Takes::Value("file", config),       "Read the settings from file, unprivileged."),
    works('v', Takes::Nothing(verbose),            "Show the dialogue on standard error."),
    works('n', Takes::Nothing(no_aliases),         "Do not look up aliases."),
    works('B', Takes::Value("type", body),         "Name the body type: 7BIT or 8BITMIME."),
    works('N', Takes::Value("when", notify),       "Notify never, or on success,failure,delay."),
    works('R', Takes::Value("part", ret),          "Return full or hdrs in a notification."),
    works('V', Takes::Value("id", envid),          "Set the envelope id of notifications."),
    works('b', Takes::Value("mode", set_mode),     "Set the mode: see below."),
    works('o', Takes::Value("option", short_o),    "As -i (-oi), -e (-oe); when to send (-od)."),
    works('O', Takes::Value("name=value", long_o), "IgnoreDots, DeliveryMode, ErrorMode by name."),
    works('e', Takes::Value("letter", errors),     "q keeps standard error silent."),
    works('d', Takes::Glued("level", debug),       "-d0.1 alone prints the version."),
    long("read-recipients", Kind::Works, Takes::Nothing(from_header), "As -t."),
    long("from", Kind::Works, Takes::Value("address", sender), "As -f."),
    long("read-envelope-from", Kind::Works, Takes::Nothing(sender_from_header),
        "Take the envelope sender from From."),
    works('I', Takes::Nothing(|w| w.mode = Mode::Aliases), "As -bi."),
    long("check", Kind::Works, Takes::Nothing(|w| w.mode = Mode::Check), "As -bC."),
    long("dry-run", Kind::Works, Takes::Nothing(|w| w.dry_run = true), "Show what would be sent."),
    long("json", Kind::Works, Takes::Nothing(|w| w.json = true), "List the queue as JSON (-bp)."),
    long("help", Kind::Works, Takes::Nothing(help), "Print this help."),
    long("version", Kind::Works, Takes::Nothing(version), "Print the version."),
    works('q', Takes::Glued("what", run_queue),    "Run the queue once."),
    ignored('A', Takes::Value("letter", value_ignored), "Choice of the configuration."),
    ignored('D', Takes::Value("file", debug_file),      "Debug file, never written."),
    ignored('E', Takes::Glued("level", glued_ignored),  "Of other mailers."),
    ignored('G', Takes::Nothing(|_| ()),                "Relayed message."),
    ignored('J', Takes::Glued("level", glued_ignored),  "Of other mailers."),
    ignored('L', Takes::Value("tag", value_ignored),    "Tag in the log."),
    ignored('M', Takes::Value("macro", value_ignored),  "Macro."),
    ignored('T', Takes::Nothing(|_| ()),                "Of other mailers."),
    ignored('U', Takes::Nothing(|_| ()),                "The message itself decides on SMTPUTF8."),
    ignored('X', Takes::Value("file", traffic_file),    "Traffic log, never written."),
    ignored('a', Takes::Value("account", account),      "Account of other mailers."),
    ignored('c', Takes::Nothing(|_| ()),                "Of other mailers."),
    ignored('h', Takes::Value("hops", value_ignored),   "Hop count."),
    ignored('m', Takes::Nothing(|_| ()),                "Send to the caller too, always so."),
    ignored('p', Takes::Value("protocol", value_ignored), "Protocol of arrival."),
    ignored('s', Takes::Nothing(|_| ()),                "Of other mailers."),
    ignored('x', Takes::Nothing(|_| ()),                "Of other mailers."),
    long("socket", Kind::Internal, Takes::Nothing(|w| w.mode = Mode::Attend),
        "Take one message from the socket on standard input."),
    opt(Name::Short('Q'), Kind::Refused, Takes::Glued("reason", quarantine), "Quarantine."),
];

const fn mode(word: &'static str, mode: Offered, kind: Kind, does: &'static str) -> ModeRow {
    ModeRow {
        word,
        mode,
        kind,
        does,
    }
}

/// A row of a table of options.
pub(super) const fn opt<W>(name: Name, kind: Kind, takes: Takes<W>, does: &'static str) -> Opt<W> {
    Opt {
        name,
        takes,
        kind,
        does,
    }
}

const fn works<W>(letter: char, takes: Takes<W>, does: &'static str) -> Opt<W> {
    opt(Name::Short(letter), Kind::Works, takes, does)
}

const fn ignored<W>(letter: char, takes: Takes<W>, does: &'static str) -> Opt<W> {
    opt(Name::Short(letter), Kind::Ignored, takes, does)
}

const fn long<W>(word: &'static str, kind: Kind, takes: Takes<W>, does: &'static str) -> Opt<W> {
    opt(Name::Long(word), kind, takes, does)
}

fn set_mode(w: &mut Wishes, word: OsString) -> Result<(), Failure> {
    let row = MODES.iter().find(|row| word == *row.word);
    let row = row.ok_or_else(|| misuse(format!("unknown mode -b{}", shown(&word))))?;
    let refused = |why| misuse(format!("no mode -b{}", row.word)).because(why);
    w.mode = row.mode.map_err(refused)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_option_and_no_mode_stands_twice() {
        for (at, row) in OPTIONS.iter().enumerate() {
            let twin = OPTIONS
                .iter()
                .skip(at + 1)
                .find(|other| other.name == row.name);
            assert!(twin.is_none(), "{}", row.name);
        }
        for (at, row) in MODES.iter().enumerate() {
            let twin = MODES
                .iter()
                .skip(at + 1)
                .find(|other| other.word == row.word);
            assert!(twin.is_none(), "-b{}", row.word);
        }
    }

    #[test]
    fn every_option_is_ascii_and_says_what_it_does() {
        for row in OPTIONS {
            assert!(row.name.to_string().is_ascii());
            assert!(row.does.ends_with('.'), "{}", row.name);
        }
    }
}
