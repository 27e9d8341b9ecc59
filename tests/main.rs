//! End to end: the built binary against a simulated tenant, by subject.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::too_many_lines,
    clippy::unwrap_used,
    unreachable_pub,
    dead_code,
    reason = "tests"
)]

mod attacks;
mod callers;
mod cases;
mod configuration;
mod confined;
mod crash;
mod cures;
mod doctor;
mod environment;
mod explain;
mod grants;
mod host;
mod input;
mod installed;
mod letterbox;
mod login;
mod man;
mod matrix;
mod modes;
mod packages;
mod packaging;
mod privilege;
mod properties;
mod queue;
mod queue_list;
mod readme;
mod security;
mod setup;
mod signals;
mod status;
mod stdio;
mod submission;
mod tenant;
mod tenant_selftest;
mod tidy;
mod token;
mod warnings;

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;

/// The program under test.
fn binary() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_sendmail365"))
}

/// Whether a tool is there. If not, the test is skipped, says so, and `tests/run` counts it.
fn needs(tool: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let there = std::env::split_paths(&paths).any(|folder| folder.join(tool).exists());
    if !there {
        skipped(tool);
    }
    there
}

/// Records a test that could not run.
fn skipped(why: &str) {
    let _ = writeln!(std::io::stderr(), "skipped: needs {why}");
    if let Some(list) = std::env::var_os("SENDMAIL365_TEST_SKIPS") {
        let mut list = OpenOptions::new()
            .append(true)
            .create(true)
            .open(list)
            .unwrap();
        writeln!(list, "needs {why}").unwrap();
    }
}

/// Whether the tests run as root; if not, what needs it is skipped and says so.
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    let root = std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    if !root {
        skipped("root");
    }
    root
}

/// Gives a tree to a user.
fn make_accessible(path: &std::path::Path, uid: u32) {
    std::os::unix::fs::chown(path, Some(uid), None).unwrap();
    if path.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            make_accessible(&entry.unwrap().path(), uid);
        }
    }
}
