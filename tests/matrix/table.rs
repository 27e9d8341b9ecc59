//! The table of faults: `tests/data/fault-matrix.tsv`, and the rules it has to keep itself.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const COLUMNS: [&str; 14] = [
    "id",
    "stage",
    "fault",
    "inject",
    "exit_on",
    "exit_off",
    "state_on",
    "state_off",
    "total_on",
    "total_off",
    "observe",
    "log",
    "covered_by",
    "not_run",
];

/// A fault and what has to come of it, with the queue and without; `-` is "does not apply".
#[derive(Clone, Debug)]
pub struct Row {
    pub id: String,
    pub stage: String,
    on: Expected,
    off: Expected,
    /// Tests that try it with shorter clocks, or in a model.
    pub covered_by: Vec<String>,
    pub not_run: Option<String>,
}

/// What has to come of a fault; `x|y` means either.
#[derive(Clone, Debug)]
pub struct Expected {
    /// Exit status, or `sig`.
    pub exit: String,
    pub state: String,
    /// How often a recipient gets the message in the end, as `1` or `1..2`.
    pub total: String,
    /// Words that stand together in one line of the log; `code=4*` is any word that begins so.
    pub log: Vec<String>,
}

impl Row {
    /// What the row says for one setting of the queue.
    pub fn expected(&self, queue: bool) -> &Expected {
        match queue {
            true => &self.on,
            false => &self.off,
        }
    }

    /// Whether the driver has to run it.
    pub fn runs(&self) -> bool {
        self.covered_by.is_empty() && self.not_run.is_none()
    }
}

impl Expected {
    /// Whether this setting of the queue has a meaning for the row.
    pub fn applies(&self) -> bool {
        self.state != "-"
    }

    /// Whether a value is one of the alternatives.
    pub fn allows(expected: &str, value: &str) -> bool {
        expected.split('|').any(|one| one == value)
    }
}

/// The table as it stands in the tree.
pub fn table() -> Vec<Row> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/fault-matrix.tsv");
    let text = fs::read_to_string(path).unwrap();
    let mut lines = text.lines().filter(|line| !line.starts_with('#'));
    let head: Vec<&str> = lines.next().unwrap().split('\t').collect();
    assert_eq!(head, COLUMNS);
    lines.map(row).collect()
}

fn row(line: &str) -> Row {
    let cells: Vec<&str> = line.split('\t').collect();
    assert_eq!(cells.len(), COLUMNS.len(), "{line}");
    assert!(cells.iter().all(|cell| !cell.is_empty()), "{line}");
    let (log_on, log_off) = cells[11]
        .split_once(" | ")
        .unwrap_or((cells[11], cells[11]));
    let expected = |at: usize, log: &str| Expected {
        exit: cells[4 + at].to_owned(),
        state: cells[6 + at].to_owned(),
        total: cells[8 + at].to_owned(),
        log: listed(log),
    };
    Row {
        id: cells[0].to_owned(),
        stage: cells[1].to_owned(),
        on: expected(0, log_on),
        off: expected(1, log_off),
        covered_by: listed(cells[12]),
        not_run: Some(cells[13].to_owned()).filter(|reason| reason != "-"),
    }
}

fn listed(cell: &str) -> Vec<String> {
    let items = cell.split(", ").filter(|item| *item != "-");
    items.map(str::to_owned).collect()
}

/// Names of all tests below a folder.
fn tests_below(folder: &Path, names: &mut BTreeSet<String>) {
    for item in fs::read_dir(folder).unwrap() {
        let path = item.unwrap().path();
        if path.is_dir() {
            tests_below(&path, names);
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            for part in text.split("#[test]").skip(1) {
                let name = part.split("fn ").nth(1).unwrap_or_default();
                names.insert(name.split('(').next().unwrap_or_default().to_owned());
            }
        }
    }
}

/// Exit 0 is a promise: the message is there, here for good, or both are not known.
#[test]
fn the_table_promises_nothing_with_exit_0_that_it_does_not_keep() {
    let mut seen = BTreeSet::new();
    for row in table() {
        assert!(seen.insert(row.id.clone()), "{} stands twice", row.id);
        for expected in [&row.on, &row.off] {
            // The runner's status tells of the pass, not of one message.
            if !expected.applies() || row.stage == "runner" {
                continue;
            }
            let states: Vec<&str> = expected.state.split('|').collect();
            let statuses: Vec<&str> = expected.exit.split('|').collect();
            let kept = ["SENT", "QUEUED", "SPLIT", "UNSURE"];
            let given_back = ["REPORTED", "DROPPED", "UNSURE"];
            let other = ["WAIT", "DENIED"];
            let all = |allowed: &[&str]| states.iter().all(|state| allowed.contains(state));
            let held = match statuses[..] {
                ["0"] => all(&kept),
                ["-"] => all(&other) || all(&given_back),
                _ if statuses.contains(&"0") || statuses.contains(&"sig") => true,
                _ => all(&given_back),
            };
            assert!(
                held,
                "{}: exit {} with {}",
                row.id, expected.exit, expected.state
            );
        }
    }
    assert_eq!(seen.len(), 250);
}

#[test]
fn whatever_covers_a_row_of_the_table_is_a_test() {
    let mut names = BTreeSet::new();
    for folder in ["src", "tests"] {
        tests_below(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join(folder),
            &mut names,
        );
    }
    for row in table() {
        for name in &row.covered_by {
            assert!(names.contains(name), "{}: no test is called {name}", row.id);
        }
        assert!(
            row.covered_by.is_empty() || row.not_run.is_none(),
            "{}",
            row.id
        );
    }
}
