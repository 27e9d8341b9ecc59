//! Usage, help and version, out of the tables of options and verbs.
//!
//! The texts have no line end after their last line.

use super::commands::{Asked, VERBS, Verb};
use super::options::{Kind, MODES, Name, OPTIONS, Opt, Takes};

const WIDTH: usize = 79;

/// The program and its version.
pub fn version() -> String {
    format!("sendmail365 {}", env!("CARGO_PKG_VERSION"))
}

/// The options of a name that stands for one job; the rows are those of the verb that does the same.
fn own_options(program: &str) -> Option<Vec<&'static Opt<Asked>>> {
    let names: &[Name] = match program {
        "mailq" => &[Name::Short('v'), Name::Long("json"), Name::Short('C')],
        "newaliases" => &[Name::Short('C')],
        _ => return None,
    };
    let verb = VERBS.iter().find(|verb| verb.name == "queue")?;
    let row = |name: &Name| verb.options.iter().find(|row| row.name == *name);
    Some(names.iter().filter_map(row).collect())
}

/// How to call the program under this name.
pub fn usage(program: &str) -> String {
    if let Some(rows) = own_options(program) {
        let options = rows.into_iter().map(|row| format!(" [{}]", spelled(row)));
        return format!("usage: {program}{}", options.collect::<String>());
    }
    let verbs: &[Verb] = match program {
        "sendmail365" => VERBS,
        _ => &[],
    };
    let mut calls: Vec<String> = verbs
        .iter()
        .map(|verb| match verb.operands {
            "" => format!("{} [options]", verb.name),
            operands => format!("{} {operands} [options]", verb.name),
        })
        .collect();
    // Called as sendmail365 an address cannot stand first, and nearly every caller wants -i.
    calls.push("-i [options] address ... <message".to_owned());
    calls.push("-i -t [options] <message".to_owned());
    let calls: Vec<String> = calls
        .iter()
        .map(|call| format!("{program} {call}"))
        .collect();
    format!("usage: {}", calls.join("\n       "))
}

/// How to call a verb: with those of its options that do something.
pub(super) fn verb_usage(verb: &Verb) -> String {
    let options = verb.options.iter();
    let options = options.filter(|row| row.kind == Kind::Works && row.name != Name::Long("help"));
    let mut usage = format!("sendmail365 {}", verb.name);
    for option in options {
        usage.push_str(&format!(" [{}]", spelled(option)));
    }
    match verb.operands {
        "" => usage,
        operands => format!("{usage} {operands}"),
    }
}

/// The whole help under this name.
pub fn help(program: &str) -> String {
    let mut lines = vec![usage(program)];
    if let Some(rows) = own_options(program) {
        section(&mut lines, "Options:");
        lines.extend(rows.into_iter().map(|row| entry(&spelled(row), row.does)));
        section(&mut lines, "All others are those of sendmail.");
        return lines.join("\n");
    }
    if program == "sendmail365" {
        for verb in VERBS {
            section(&mut lines, &format!("{}: {}", verb.name, verb.does));
            lines.extend(options(verb.options, Kind::Works));
        }
    }
    section(
        &mut lines,
        "Options of a message; they end at the first address:",
    );
    lines.extend(options(OPTIONS, Kind::Works));
    section(&mut lines, "Modes:");
    lines.extend(modes(Kind::Works));
    section(&mut lines, "Accepted without effect:");
    let ignored = OPTIONS.iter().filter(|row| row.kind == Kind::Ignored);
    lines.extend(filled(ignored.map(spelled)));
    lines.join("\n")
}

fn section(lines: &mut Vec<String>, title: &str) {
    lines.push(String::new());
    lines.push(title.to_owned());
}

fn options<W>(table: &[Opt<W>], kind: Kind) -> impl Iterator<Item = String> {
    let rows = table.iter().filter(move |row| row.kind == kind);
    rows.map(|row| entry(&spelled(row), row.does))
}

fn modes(kind: Kind) -> impl Iterator<Item = String> {
    let rows = MODES.iter().filter(move |row| row.kind == kind);
    rows.map(|row| entry(&format!("-b{}", row.word), row.does))
}

fn entry(left: &str, right: &str) -> String {
    match left.len() {
        0..24 => format!("  {left:24}{right}"),
        _ => format!("  {left}\n  {:24}{right}", ""),
    }
}

/// An option as it is typed.
fn spelled<W>(row: &Opt<W>) -> String {
    let name = row.name;
    match (&row.takes, name) {
        (Takes::Nothing(_), _) => name.to_string(),
        (Takes::Value(value, _), Name::Short(_)) => format!("{name} {value}"),
        (Takes::Value(value, _), Name::Long(_)) => format!("{name}={value}"),
        (Takes::Glued(value, _), _) => format!("{name}[{value}]"),
    }
}

fn filled(items: impl Iterator<Item = String>) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = " ".to_owned();
    for item in items {
        if line.len() + item.len() + 2 > WIDTH {
            lines.push(std::mem::replace(&mut line, " ".to_owned()));
        }
        line.push_str(&format!(" {item},"));
    }
    lines.push(line.trim_end_matches(',').to_owned());
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::wishes::Wishes;

    /// Whether the help tells of options of this kind.
    fn is_told(kind: Kind) -> bool {
        !matches!(kind, Kind::Refused | Kind::Internal)
    }

    #[test]
    fn the_help_fits_a_terminal() {
        for program in ["sendmail", "sendmail365", "mailq", "newaliases"] {
            for line in help(program).lines() {
                assert!(line.len() <= WIDTH, "{line}");
            }
        }
    }

    #[test]
    fn no_title_stands_over_nothing() {
        for program in ["sendmail", "sendmail365", "mailq", "newaliases"] {
            let help = help(program);
            let mut lines = help.lines().peekable();
            while let Some(line) = lines.next() {
                let filled = lines.peek().is_some_and(|next| next.starts_with(' '));
                assert!(!line.ends_with(':') || filled, "{program}: {line}");
            }
        }
    }

    #[test]
    fn what_the_usage_of_a_name_shows_is_understood() {
        for (program, wanted) in [
            ("mailq", "usage: mailq [-v] [--json] [-C file]"),
            ("newaliases", "usage: newaliases [-C file]"),
        ] {
            assert_eq!(usage(program), wanted);
            let words = wanted.replace(['[', ']'], "").replace("usage: ", "");
            let invoked = crate::cli::parse(words.split(' ').map(Into::into).collect());
            assert!(invoked.invocation.is_ok(), "{words}");
        }
    }

    #[test]
    fn the_help_shows_every_option_that_is_not_refused() {
        let help = help("sendmail");
        for row in OPTIONS.iter().filter(|row| row.kind != Kind::Refused) {
            let shown = help.contains(&format!(" {}", spelled(row)));
            assert_eq!(shown, row.kind != Kind::Internal, "{}", row.name);
        }
        for row in MODES.iter().filter(|row| is_told(row.kind)) {
            assert!(
                help.contains(&format!("  -b{} ", row.word)),
                "-b{}",
                row.word
            );
        }
    }

    #[test]
    fn the_verbs_stand_in_the_help_of_sendmail365_only() {
        assert!(usage("sendmail365").starts_with("usage: sendmail365 login [options]\n"));
        let help_with_verbs = help("sendmail365");
        for verb in VERBS {
            let spellings = [format!("\n  {} ", verb.name), format!("\n{}: ", verb.name)];
            let shown = spellings.iter().any(|text| help_with_verbs.contains(text));
            assert!(shown, "{}", verb.name);
        }
        assert!(!help("sendmail").contains("login"));
    }

    /// An option as the manual's list begins its item.
    fn item(row: &Opt<Wishes>) -> String {
        let dash = match row.name {
            Name::Short(letter) => letter.to_string(),
            Name::Long(word) => format!("-{word}"),
        };
        match (&row.takes, row.name) {
            (Takes::Nothing(_), _) => format!(".It Fl {dash}"),
            (Takes::Value(value, _), Name::Short(_)) => {
                format!(".It Fl {dash} Ar {}", value.replace('=', " Ns = Ns Ar "))
            }
            (Takes::Value(value, _), Name::Long(_)) => format!(".It Fl {dash} Ns = Ns Ar {value}"),
            (Takes::Glued(value, _), _) => format!(".It Fl {dash} Ns Op Ar {value}"),
        }
    }

    #[test]
    fn the_manual_lists_every_option_and_every_mode_once() {
        let manual = include_str!("../../man/sendmail.8");
        let (_, rest) = manual
            .split_once(".\\\" options-begin\n")
            .expect("the first marker");
        let (list, _) = rest
            .split_once(".\\\" options-end\n")
            .expect("the second marker");
        let items = list.lines().filter(|line| line.starts_with(".It "));
        let mut found: Vec<String> = items.map(str::to_owned).collect();
        let modes = MODES.iter().map(|row| format!(".It Fl b{}", row.word));
        let options = OPTIONS.iter().filter(|row| row.kind != Kind::Internal);
        let mut wanted: Vec<String> = options.map(item).chain(modes).collect();
        found.sort();
        wanted.sort();
        assert_eq!(found, wanted);
    }

    /// The words of a macro line without its macros.
    fn plain(line: &str) -> Vec<&str> {
        let words = line.split([' ', ',']);
        words
            .filter(|word| word.starts_with(|c: char| c.is_ascii_lowercase()))
            .collect()
    }

    #[test]
    fn the_manual_lists_every_command_and_no_other() {
        let manual = include_str!("../../man/sendmail365.8");
        let (_, rest) = manual.split_once("one of these commands:\n").unwrap();
        let (list, _) = rest.split_once("\n.El\n").unwrap();
        let items = list.lines().filter_map(|line| line.strip_prefix(".It Cm "));
        let mut listed: Vec<String> = items
            .map(|item| match plain(item)[..] {
                ["queue", job, ..] => format!("queue {job}"),
                [verb, ..] => verb.to_owned(),
                [] => String::new(),
            })
            .collect();
        let mut wanted = Vec::new();
        for verb in VERBS {
            let Some(jobs) = verb.operands.strip_prefix('[') else {
                wanted.push(verb.name.to_owned());
                continue;
            };
            let jobs = jobs.trim_end_matches(']').split(" | ");
            let jobs = jobs.filter_map(|job| job.split(' ').next());
            wanted.extend(jobs.map(|job| format!("{} {job}", verb.name)));
        }
        listed.sort();
        wanted.sort();
        assert_eq!(listed, wanted);
    }

    #[test]
    fn the_version_is_one_line() {
        assert_eq!(version(), "sendmail365 0.1.0");
    }
}
