//! Usage, help and version, out of the tables of options and verbs.
//!
//! The texts have no line end after their last line.

use super::commands::{VERBS, Verb};
use super::options::{Kind, MODES, Name, OPTIONS, Opt, Takes};

const WIDTH: usize = 79;

/// The program and its version.
pub fn version() -> String {
    format!("sendmail365 {}", env!("CARGO_PKG_VERSION"))
}

/// How to call the program under this name.
pub fn usage(program: &str) -> String {
    let verbs: &[Verb] = match program {
        "sendmail365" => VERBS,
        _ => &[],
    };
    let verbs = verbs.iter().filter(|verb| verb.kind == Kind::Works);
    let mut calls: Vec<String> = verbs.map(verb_call).collect();
    calls.push("[options] address ... <message".to_owned());
    calls.push("[options] -t <message".to_owned());
    let calls: Vec<String> = calls
        .iter()
        .map(|call| format!("{program} {call}"))
        .collect();
    format!("usage: {}", calls.join("\n       "))
}

fn verb_call(verb: &Verb) -> String {
    let works = verb.options.iter().filter(|row| row.kind == Kind::Works);
    let options: String = works.map(|row| format!(" [{}]", spelled(row))).collect();
    format!("{}{options}", verb.name)
}

/// The whole help under this name.
pub fn help(program: &str) -> String {
    let mut lines = vec![usage(program)];
    if program == "sendmail365" {
        for verb in VERBS.iter().filter(|verb| verb.kind == Kind::Works) {
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
    section(&mut lines, "Not in this version (exit status 70):");
    lines.extend(options(OPTIONS, Kind::Later));
    lines.extend(modes(Kind::Later));
    if program == "sendmail365" {
        let verbs = VERBS.iter().filter(|verb| verb.kind == Kind::Later);
        lines.extend(
            verbs.map(|verb| entry(&format!("{} {}", verb.name, verb.operands), verb.does)),
        );
    }
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

    #[test]
    fn the_help_fits_a_terminal() {
        for program in ["sendmail", "sendmail365"] {
            for line in help(program).lines() {
                assert!(line.len() <= WIDTH, "{line}");
            }
        }
    }

    #[test]
    fn the_help_shows_every_option_that_is_not_refused() {
        let help = help("sendmail");
        for row in OPTIONS.iter().filter(|row| row.kind != Kind::Refused) {
            assert!(help.contains(&format!(" {}", spelled(row))), "{}", row.name);
        }
        for row in MODES.iter().filter(|row| row.kind != Kind::Refused) {
            assert!(
                help.contains(&format!("  -b{} ", row.word)),
                "-b{}",
                row.word
            );
        }
    }

    #[test]
    fn the_verbs_stand_in_the_help_of_sendmail365_only() {
        assert!(usage("sendmail365").starts_with("usage: sendmail365 login [-C file]"));
        for verb in VERBS {
            assert!(
                help("sendmail365").contains(&format!("{} ", verb.name))
                    || help("sendmail365").contains(&format!("{}:", verb.name))
            );
        }
        assert!(!help("sendmail").contains("login"));
    }

    #[test]
    fn the_version_is_one_line() {
        assert_eq!(version(), "sendmail365 0.1.0");
    }
}
