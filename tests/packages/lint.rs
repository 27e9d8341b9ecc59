//! The packages by the rules of those who make distributions.

use super::built::{VERSION, build, debs, folder, in_tree, rpm};
use crate::host::Ran;
use crate::needs;
use std::fs;
use std::process::Command;

#[test]
fn lintian_has_nothing_to_say_that_is_not_answered() {
    if !needs("lintian") || !needs("dpkg-deb") {
        return;
    }
    let mut command = Command::new("lintian");
    command.args(["--allow-root", "--display-info", "--pedantic"]);
    command.args(["--fail-on", "error,warning,info,pedantic"]);
    let ran = Ran::of(command.args(debs(VERSION)).env("LC_ALL", "C.UTF-8"));
    assert_eq!(ran.stdout, "", "{}", ran.stderr);
    ran.exits(0);
    for package in ["sendmail365", "sendmail365-mta"] {
        let overrides = in_tree(&format!("packaging/deb/{package}/lintian-overrides"));
        reasoned(&fs::read_to_string(overrides).unwrap(), package);
    }
}

#[test]
fn rpmlint_has_nothing_to_say_that_is_not_answered() {
    if !needs("rpmlint") || !needs("rpmbuild") {
        return;
    }
    let answers = in_tree("packaging/rpm/sendmail365.rpmlintrc");
    let mut command = Command::new("rpmlint");
    command.args(["--strict", "--ignore-unused-rpmlintrc", "--rpmlintrc"]);
    let ran = Ran::of(
        command
            .arg(&answers)
            .arg(rpm(VERSION))
            .env("LC_ALL", "C.UTF-8"),
    );
    ran.exits(0);
    assert!(
        ran.stdout.contains("0 errors, 0 warnings"),
        "{}",
        ran.stdout
    );
    reasoned(&fs::read_to_string(answers).unwrap(), "addFilter(");
}

/// Every answer stands below its reason, or below another one that does.
fn reasoned(text: &str, answer: &str) {
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines.iter().any(|line| line.starts_with(answer)));
    for pair in lines.windows(2) {
        let above = pair[0].starts_with('#') || pair[0].starts_with(answer);
        assert!(
            !pair[1].starts_with(answer) || above,
            "no reason above {}",
            pair[1]
        );
    }
}

/// Whoever builds it, when and under what settings of his own.
#[test]
fn the_same_program_gives_the_same_packages() {
    if !needs("dpkg-deb") || !needs("rpmbuild") {
        return;
    }
    let again = folder().join("again");
    let built = build(&again, &["deb", "rpm"], |command| {
        command
            .env("TZ", "Pacific/Kiritimati")
            .env("LC_ALL", "C.UTF-8");
        command.env("TMPDIR", folder());
        command.env("MASK", "077");
    });
    let [tool, links] = debs(VERSION);
    for (one, other) in [tool, links, rpm(VERSION)].iter().zip(&built) {
        assert_eq!(one.file_name(), other.file_name());
        let same = fs::read(one).unwrap() == fs::read(other).unwrap();
        assert!(same, "{} differs", one.display());
    }
    assert_eq!(built.len(), 3);
    fs::remove_dir_all(again).unwrap();
}
