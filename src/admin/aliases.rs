//! `newaliases`, `-bi`: the aliases file is read for every message, so there is only its text to check.

use crate::config::file;
use crate::outcome::{Failure, Outcome};
use std::path::Path;

/// Says nothing of a file that can be read, or that does not exist; else names every wrong line.
pub fn check(path: &Path) -> Result<Outcome, Failure> {
    let (_, faults) = file::read_aliases(path)?;
    match together(faults) {
        Some(failure) => Err(failure),
        None => Ok(Outcome::Done),
    }
}

/// The first fault, which names the others: all of them, or as many as a terminal can show.
fn together(faults: Vec<Failure>) -> Option<Failure> {
    const NAMED_MAX: usize = 20;
    let more = faults.len().saturating_sub(NAMED_MAX);
    let mut faults = faults.into_iter();
    let mut first = faults.next()?;
    for fault in faults.take(NAMED_MAX - 1) {
        first = first.also(format!(
            "{}: {}",
            fault.what(),
            fault.why().unwrap_or_default()
        ));
    }
    Some(match more {
        0 => first,
        _ => first.also(format!("and {more} more lines")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Class;

    #[test]
    fn many_wrong_lines_do_not_fill_a_terminal() {
        let faults = (1..=100)
            .map(|line| Failure::new(Class::Data, format!("/etc/aliases:{line}")).because("x"));
        let lines = together(faults.collect())
            .unwrap()
            .fix("y")
            .lines("newaliases");
        assert_eq!(lines.len(), 22);
        assert_eq!(lines[1], "newaliases: /etc/aliases:2: x");
        assert_eq!(lines[20], "newaliases: and 80 more lines");
        assert!(together(Vec::new()).is_none());
    }
}
