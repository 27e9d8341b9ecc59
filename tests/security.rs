//! SECURITY.md against the tree: every flaw that it lists is held by tests that exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn text(below: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(below)).unwrap()
}

/// The names of all functions that a test runner calls.
fn tests() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut folders: Vec<PathBuf> = ["src", "tests"]
        .map(|name| Path::new(env!("CARGO_MANIFEST_DIR")).join(name))
        .into();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                collect(&fs::read_to_string(path).unwrap(), &mut names);
            }
        }
    }
    names
}

fn collect(source: &str, names: &mut BTreeSet<String>) {
    let mut lines = source.lines().map(str::trim);
    while lines.any(|line| line == "#[test]") {
        let next = lines.find(|line| line.starts_with("fn ") || line.starts_with("#[ignore"));
        let head = next.and_then(|line| line.strip_prefix("fn "));
        names.extend(head.and_then(|rest| rest.split('(').next().map(str::to_owned)));
    }
}

/// The rows of the table of flaws: the first cell, and the tests of the last one.
fn rows(security: &str) -> Vec<(String, Vec<String>)> {
    let (_, section) = security.split_once("## Known flaws of others").unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| "));
    let cells = rows.map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").collect();
        assert_eq!(cells.len(), 4, "{line}");
        let named = cells[3].split('`').skip(1).step_by(2);
        (
            cells[0].trim().to_owned(),
            named.map(str::to_owned).collect(),
        )
    });
    cells.filter(|(flaw, _)| flaw != "flaw").collect()
}

#[test]
fn every_flaw_of_the_table_is_held_by_tests_that_exist() {
    let tests = tests();
    assert!(
        tests.len() > 500 && tests.contains("every_flaw_of_the_table_is_held_by_tests_that_exist")
    );
    let rows = rows(&text("SECURITY.md"));
    assert!(rows.len() > 20);
    for (flaw, named) in &rows {
        assert!(!named.is_empty(), "no test for {flaw}");
        for name in named {
            assert!(tests.contains(name), "there is no test {name}, for {flaw}");
        }
    }
    for known in [
        "CVE-2016-10033",
        "CVE-2020-7247",
        "CVE-2020-8793",
        "CVE-2020-8794",
        "CVE-2020-28021",
        "CVE-2021-38371",
        "CVE-2023-51764",
        "CVE-2023-28486",
        "944188",
    ] {
        assert!(rows.iter().any(|(flaw, _)| flaw.contains(known)), "{known}");
    }
}

#[test]
fn a_function_that_no_run_calls_is_no_test() {
    let source =
        "#[test]\nfn one() {}\nfn two() {}\n\n    #[test]\n    #[ignore]\n    fn three() {}\n";
    let mut names = BTreeSet::new();
    collect(source, &mut names);
    assert_eq!(names, ["one".to_owned()].into());
}
