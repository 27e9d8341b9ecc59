//! The order of what a process does with its ids, as strace sees it.

use super::PLAIN;
use crate::host::finish;
use crate::installed::{ACCOUNT, ANN, Installed, ROOT, User};
use crate::needs;
use crate::submission::MESSAGE;
use crate::tenant::Tenant;
use crate::token::expire;
use std::fs;

/// The calls of one run, each with its thread before it, from the program's own start.
fn traced(host: &Installed, user: User, name: &str, words: &[&str], stdin: &[u8]) -> Vec<String> {
    let trace = host.host.path("home/trace");
    let strace = ["strace", "-f", "-qq", "-o", trace.to_str().unwrap(), "--"];
    let program = host.host.path("usr/sbin").join(name);
    let program = program.to_str().unwrap();
    let words = [&[program], words].concat();
    finish(&mut host.inside_of(&strace, user, words), stdin).exits(0);
    let text = fs::read_to_string(&trace).unwrap();
    fs::remove_file(trace).unwrap();
    let start = text.find(&format!("execve(\"{program}")).unwrap();
    text[start..].lines().skip(1).map(str::to_owned).collect()
}

/// Each of these is found behind the one before it.
#[track_caller]
fn in_order(calls: &[String], expected: &[&str]) {
    let mut rest = calls.iter();
    for wanted in expected {
        let found = rest.by_ref().any(|call| call.contains(wanted));
        assert!(
            found,
            "{wanted} is missing or too early in\n{}",
            calls.join("\n")
        );
    }
}

/// Whether a call reaches the network; loopback is all there is.
fn is_network(call: &str) -> bool {
    call.contains("connect(") && call.contains("AF_INET") || call.contains("sendto(")
}

#[test]
fn the_group_is_lowered_first_and_raised_for_files_of_the_host_only() {
    if !needs("strace") {
        return;
    }
    let tenant = Tenant::start();
    let Some(host) = Installed::with(&tenant) else {
        return;
    };
    expire(&host.host);
    let calls = traced(&host, ANN, "sendmail", &PLAIN, MESSAGE.as_bytes());
    let (low, high) = (
        format!("setfsgid({})", ANN.uid),
        format!("setfsgid({ACCOUNT})"),
    );
    in_order(
        &calls,
        &[
            &format!("setresgid(-1, {}, -1)", ANN.uid),
            "prctl(PR_SET_DUMPABLE, SUID_DUMP_DISABLE)",
            "RLIMIT_CORE, {rlim_cur=0, rlim_max=0}",
            "prctl(PR_SET_NO_NEW_PRIVS, 1",
            "setitimer(ITIMER_REAL",
            "setitimer(ITIMER_PROF",
            "rt_sigprocmask(SIG_SETMASK, []",
            "umask(077)",
            "close_range(3, 4294967295",
            "\"/etc/passwd\"",
            "chdir(\"/\")",
            "home/ann/.config/sendmail365/config.toml",
            &high,
            "openat(AT_FDCWD, \"/etc/sendmail365/config.toml\"",
            &low,
            "read(0,",
            "LOCK_EX",
            "AF_INET",
        ],
    );
    let root = host.host.path("");
    let (root, mut raised, mut main) = (root.to_str().unwrap(), false, None);
    for call in &calls {
        let thread = call.split(' ').next();
        if call.contains(&high) {
            (raised, main) = (true, thread);
        } else if call.contains(&low) {
            raised = false;
        }
        let here = raised && thread == main;
        assert!(!(here && is_network(call)), "{call}");
        assert!(!(here && call.contains("read(0,")), "{call}");
        // What is looked at above the files are the directories on the way to them.
        let ours = [root, "\"/etc/sendmail365"]
            .iter()
            .any(|path| call.contains(path));
        let opens = call.contains("openat(") && !call.contains("ENOENT");
        assert!(!(here && opens) || ours, "opened as the group: {call}");
        let secret = ["/tokens/", "/state/", "/spool/", "config.toml\", O"];
        let secret = secret.iter().any(|path| call.contains(path));
        assert!(here || !opens || !secret, "opened as the caller: {call}");
    }
    assert!(!raised);
    let hidden = calls
        .iter()
        .filter(|call| call.contains("SUID_DUMP_DISABLE"))
        .count();
    let changed = calls
        .iter()
        .filter(|call| call.contains(&high) || call.contains(&low))
        .count();
    assert!(changed > 10 && hidden == changed + 1, "{hidden} {changed}");
}

/// P23 in part; and nothing brings root back.
#[test]
fn root_reads_the_settings_and_is_the_account_before_it_meets_the_network() {
    if !needs("strace") {
        return;
    }
    let tenant = Tenant::start();
    let Some(host) = Installed::with(&tenant) else {
        return;
    };
    for words in [&PLAIN[..], &["-q"]] {
        expire(&host.host);
        let calls = traced(&host, ROOT, "sendmail", words, MESSAGE.as_bytes());
        let last = format!("setresuid({ACCOUNT}, {ACCOUNT}, {ACCOUNT}) = 0");
        in_order(
            &calls,
            &[
                "config.toml\", O",
                "setgroups(0, NULL) = 0",
                &format!("setresgid({ACCOUNT}, {ACCOUNT}, {ACCOUNT}) = 0"),
                &last,
                "AF_INET",
            ]
            .map(|call| call.replace(") = 0", ")"))
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>(),
        );
        let became = calls
            .iter()
            .position(|call| call.contains(&last.replace(" = 0", "")))
            .unwrap();
        let (before, after) = calls.split_at(became + 1);
        assert!(!before.iter().any(|call| is_network(call)));
        assert!(
            !after
                .iter()
                .any(|call| call.contains("setres") || call.contains("setfs"))
        );
    }
}

/// A sign-in makes files that are root's, and is root for nothing else.
#[test]
fn root_that_signs_in_is_root_for_its_files_only() {
    if !needs("strace") {
        return;
    }
    let tenant = Tenant::start();
    let Some(host) = Installed::with(&tenant) else {
        return;
    };
    let token = tenant.refresh_token();
    let words = ["login", "--import", "-"];
    let trace = host.host.path("home/trace");
    let strace = [
        "strace",
        "-f",
        "-qq",
        "-s0",
        "-o",
        trace.to_str().unwrap(),
        "--",
    ];
    let program = host.host.path("usr/sbin/sendmail365");
    let words = [&[program.to_str().unwrap()], &words[..]].concat();
    finish(&mut host.inside_of(&strace, ROOT, words), token.as_bytes()).exits(0);
    let text = fs::read_to_string(&trace).unwrap();
    fs::remove_file(trace).unwrap();
    let calls: Vec<String> = text.lines().map(str::to_owned).collect();
    in_order(
        &calls,
        &[
            &format!("setresuid({ACCOUNT}, {ACCOUNT}, 0)"),
            "AF_INET",
            "setfsuid(0)",
            "rename(",
            &format!("setfsuid({ACCOUNT})"),
        ],
    );
    let mut raised = false;
    for call in &calls {
        raised = call.contains("setfsuid(0)") || raised && !call.contains("setfsuid(54399)");
        assert!(!(raised && is_network(call)), "{call}");
        assert!(raised || !call.contains("rename("), "{call}");
    }
}
