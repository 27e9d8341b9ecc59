//! The RPM: what it says it holds, and what its scripts do. There is no distribution of that kind here, so
//! a Debian root stands in for it; alternatives(8) is the same program under another name.

use super::built::{NEWER, VERSION, rpm};
use super::root::Root;
use crate::host::{Ran, finish};
use crate::needs;
use crate::tenant::Tenant;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

/// What the package says of its files, where it is not root's with the mode of any file or folder.
const HELD: [(&str, &str); 8] = [
    ("/usr/sbin/sendmail365", "root:sendmail365 2755"),
    ("/etc/sendmail365", "root:sendmail365 0750"),
    ("/etc/sendmail365/config.toml", "root:sendmail365 0640"),
    ("/var/lib/sendmail365", "root:sendmail365 0750"),
    ("/var/spool/sendmail365", "root:sendmail365 0750"),
    ("/var/spool/sendmail365/tmp", "sendmail365:sendmail365 3770"),
    (
        "/var/spool/sendmail365/queue",
        "sendmail365:sendmail365 3770",
    ),
    (
        "/var/spool/sendmail365/failed",
        "sendmail365:sendmail365 3770",
    ),
];

/// What the scripts make besides.
const MADE: [&str; 14] = [
    "etc/sendmail365/token.0",
    "etc/sendmail365/token.1",
    "etc/sendmail365/token.lock",
    "var/lib/sendmail365/token.0",
    "var/lib/sendmail365/token.1",
    "var/lib/sendmail365/token.lock",
    "var/lib/sendmail365/slot.0",
    "var/lib/sendmail365/slot.1",
    "var/lib/sendmail365/breaker",
    "var/lib/sendmail365/pace",
    "var/lib/sendmail365/rounds",
    "var/lib/sendmail365/visitors",
    "var/spool/sendmail365/runner.lock",
    "etc/cron.d/sendmail365",
];

/// Links of alternatives(8), by the names that other agents of such distributions use.
const LINKS: [(&str, &str); 7] = [
    ("mta-mailq", "usr/bin/mailq"),
    ("mta-newaliases", "usr/bin/newaliases"),
    ("mta-sendmail", "usr/lib/sendmail"),
    ("mta-send-mail", "usr/sbin/send-mail"),
    ("mta-mailqman", "usr/share/man/man1/mailq.1.gz"),
    ("mta-newaliasesman", "usr/share/man/man1/newaliases.1.gz"),
    ("mta-sendmailman", "usr/share/man/man8/sendmail.8.gz"),
];

fn query(words: &[&str]) -> Option<String> {
    if !needs("rpmbuild") || !needs("rpm") {
        return None;
    }
    let mut command = Command::new("rpm");
    let ran = Ran::of(command.arg("-qp").args(words).arg(rpm(VERSION)));
    ran.exits(0);
    Some(ran.stdout)
}

#[test]
fn every_file_of_the_rpm_has_its_owner_and_mode() {
    let format = "[%{FILENAMES}\\t%{FILEUSERNAME}:%{FILEGROUPNAME} %{FILEMODES:octal}\\t%{FILEFLAGS:fflags}\\n]";
    let Some(listed) = query(&["--qf", format]) else {
        return;
    };
    let mut files: BTreeMap<&str, (String, &str)> = BTreeMap::new();
    for line in listed.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let (owner, mode) = fields[1].split_once(' ').unwrap();
        let mode = u32::from_str_radix(mode, 8).unwrap();
        let held = format!("{owner} {:04o}", mode & 0o7777);
        files.insert(fields[0], (held, fields[2]));
    }
    for (path, wanted) in HELD {
        assert_eq!(files[path].0, wanted, "{path}");
    }
    for (path, (held, _)) in &files {
        let usual = ["root:root 0644", "root:root 0755"].contains(&held.as_str());
        assert!(
            usual || HELD.iter().any(|(one, _)| one == path),
            "{path} is {held}"
        );
    }
    // Settings stay as they are; an upgrade lays its own beside them.
    for path in ["/etc/sendmail365/config.toml", "/etc/cron.d/sendmail365"] {
        assert_eq!(files[path].1, "cn", "{path}");
    }
    let provides = query(&["--provides"]).unwrap();
    assert!(provides.lines().any(|line| line == "MTA"));
}

fn is_ours(root: &Root, link: &str) -> bool {
    root.shell(&format!("readlink -f /{link}"))
        .stdout
        .contains("sendmail365")
}

fn call(root: &Root, words: &[&str], file: Option<&Path>) -> Ran {
    let mut command = Command::new("rpm");
    command.arg("--root").arg(root.path("")).arg("--nodeps");
    let ran = finish(command.args(words).args(file), b"");
    // Debian's rpm says that it is Debian's; every complaint of a script begins otherwise.
    let mut lines = ran.stderr.lines();
    let complaint = lines.find(|line| !line.starts_with("rpm: ") && !line.contains("rpmsave"));
    assert_eq!(complaint, None);
    ran
}

#[test]
fn the_rpm_can_be_installed_upgraded_and_erased() {
    if !needs("rpmbuild") || !needs("rpm") {
        return;
    }
    let Some(root) = Root::clean() else {
        return;
    };
    symlink(
        "../bin/update-alternatives",
        root.path("usr/sbin/alternatives"),
    )
    .unwrap();
    call(&root, &["-i"], Some(&rpm(VERSION))).exits(0);
    for (path, wanted) in HELD {
        assert_eq!(root.held(path), wanted, "{path}");
    }
    for path in MADE {
        let wanted = match path.starts_with("etc/cron.d") {
            true => "root:root 0644",
            false => "root:sendmail365 0660",
        };
        assert_eq!(root.held(path), wanted, "{path}");
    }
    let told = root.run(["alternatives", "--query", "mta"]).stdout;
    for (name, link) in LINKS {
        assert!(told.contains(&format!(" {name} /{link}\n")), "{told}");
        assert!(is_ours(&root, link), "{link}");
    }
    root.sends("root", "too early")
        .exits(78)
        .says("add mailbox")
        .in_two_lines();

    let tenant = Tenant::start();
    root.configure(&tenant);
    root.sign_in(&tenant);
    root.sends("root", "first").exits(0).silently();
    let token = fs::read(root.path("etc/sendmail365/token.1")).unwrap();
    let settings = root.read("etc/sendmail365/config.toml");
    let program = "usr/sbin/sendmail365";
    call(&root, &["-U"], Some(&rpm(NEWER))).exits(0);
    assert_eq!(root.held(program), "root:sendmail365 2755");
    assert_eq!(
        fs::read(root.path("etc/sendmail365/token.1")).unwrap(),
        token
    );
    assert_eq!(root.read("etc/sendmail365/config.toml"), settings);
    assert!(is_ours(&root, "usr/sbin/sendmail"));
    root.sends("root", "second").exits(0).silently();
    assert_eq!(tenant.received().len(), 2);

    // Hardened mode.
    root.run(["chmod", "g-s", "/usr/sbin/sendmail365"]).exits(0);
    call(&root, &["-U", "--replacepkgs"], Some(&rpm(NEWER))).exits(0);
    assert_eq!(root.held(program), "root:sendmail365 0755");
    root.run(["chmod", "g+s", "/usr/sbin/sendmail365"]).exits(0);
    call(&root, &["-U", "--replacepkgs"], Some(&rpm(NEWER))).exits(0);
    assert_eq!(root.held(program), "root:sendmail365 2755");

    let queue = "var/spool/sendmail365/queue";
    root.sends("root", "third").exits(0);
    fs::write(root.path(queue).join("left"), "").unwrap();
    call(&root, &["-e", "sendmail365"], None).exits(0);
    assert!(!root.exists(program) && !root.exists("usr/sbin/sendmail"));
    assert!(root.path(queue).join("left").exists());
    assert_eq!(
        fs::read(root.path("etc/sendmail365/token.1")).unwrap(),
        token
    );
    assert_eq!(root.read("etc/sendmail365/config.toml.rpmsave"), settings);
}
