//! The users of an installed host: two people and a web server.

use super::built::{NEWER, VERSION, debs};
use super::root::Root;
use crate::host::{CANARY, finish};
use crate::tenant::{Fault, Tenant};
use std::fs;

const USERS: [&str; 3] = ["joe", "ann", "www-data"];

/// An installed host with its users; signed in, so that all of them can send.
fn host(tenant: &Tenant) -> Option<Root> {
    let root = Root::with_packages(VERSION)?;
    for user in ["joe", "ann"] {
        root.run(["useradd", "--create-home", user]).exits(0);
    }
    root.configure(tenant);
    root.sign_in(tenant);
    Some(root)
}

#[test]
fn every_user_of_an_installed_host_sends_and_is_named_in_the_log() {
    let tenant = Tenant::start();
    let Some(root) = host(&tenant) else {
        return;
    };
    for version in [VERSION, NEWER] {
        root.install(&debs(version)).exits(0);
        for user in USERS {
            root.sends(user, &format!("by {user}")).exits(0).silently();
        }
        let received = tenant.received();
        assert_eq!(received.len(), USERS.len());
        for (user, arrived) in USERS.iter().zip(&received) {
            assert!(arrived.text().contains(&format!("Subject: by {user}\r\n")));
            assert_eq!(arrived.recipients, ["ops@example.com"]);
        }
        tenant.forget();
    }
    let log = root.read("var/log/sendmail365.log");
    for user in USERS {
        let (uid, _) = root.ids(user);
        let line = format!("event=sent uid={uid} user={user} ");
        assert_eq!(log.matches(&line).count(), 2, "{log}");
    }
}

/// By any of its names, and from any folder.
#[test]
fn a_user_calls_it_by_every_name_of_the_host() {
    let tenant = Tenant::start();
    let Some(root) = host(&tenant) else {
        return;
    };
    let text = "To: ops@example.com\n\nhello\n";
    for name in [
        "/usr/sbin/sendmail",
        "/usr/lib/sendmail",
        "/usr/sbin/send-mail",
    ] {
        let mut command = root.inside_as("joe", [name, "-t", "-i"]);
        finish(&mut command, text.as_bytes()).exits(0).silently();
    }
    let mut command = root.inside_as(
        "joe",
        ["sh", "-c", "cd /tmp && exec /usr/sbin/sendmail365 -i -t"],
    );
    finish(&mut command, text.as_bytes()).exits(0).silently();
    assert_eq!(tenant.received().len(), 4);
    let listed = finish(&mut root.inside_as("joe", ["mailq"]), b"");
    listed.exits(0);
    assert_eq!(listed.stdout, "Mail queue is empty\n");
    finish(&mut root.inside_as("joe", ["newaliases"]), b"")
        .exits(0)
        .silently();
}

#[test]
fn what_a_user_has_queued_is_his_and_is_sent_by_the_account() {
    let tenant = Tenant::start();
    let Some(root) = host(&tenant) else {
        return;
    };
    tenant.fault(Fault::SubmissionDown);
    for user in USERS {
        root.sends(user, &format!("by {user}"))
            .exits(0)
            .says("queued as ");
    }
    let queue = "var/spool/sendmail365/queue";
    let entries = fs::read_dir(root.path(queue)).unwrap().flatten();
    let mut held: Vec<String> = entries
        .map(|entry| root.held(&format!("{queue}/{}", entry.file_name().to_str().unwrap())))
        .collect();
    held.sort();
    let mut wanted = USERS.map(|user| format!("{user}:sendmail365 0660"));
    wanted.sort();
    assert_eq!(held, wanted);
    let list = |user| finish(&mut root.inside_as(user, ["mailq"]), b"").stdout;
    let requests = |count| format!(" in {count} Requests.\n");
    for user in USERS {
        assert!(list(user).ends_with(&requests(1)), "{}", list(user));
    }
    assert!(list("root").ends_with(&requests(3)), "{}", list("root"));
    // One cannot look at, change or remove what is another's.
    for attack in [
        "ls /var/spool/sendmail365/queue",
        "rm -rf /var/spool/sendmail365/queue/*",
    ] {
        finish(&mut root.inside_as("joe", ["sh", "-c", attack]), b"");
    }
    assert!(list("root").ends_with(&requests(3)));
    tenant.recover();
    finish(
        &mut root.inside_as("sendmail365", ["/usr/sbin/sendmail365", "-qf"]),
        b"",
    )
    .exits(0);
    assert_eq!(tenant.received().len(), 3);
    assert_eq!(list("root"), "Mail queue is empty\n");
}

#[test]
fn no_user_reads_a_secret_of_the_host() {
    let tenant = Tenant::start();
    let Some(root) = host(&tenant) else {
        return;
    };
    for user in USERS {
        root.sends(user, "hello").exits(0);
        for path in [
            "/etc/sendmail365",
            "/etc/sendmail365/config.toml",
            "/etc/sendmail365/token.0",
            "/var/lib/sendmail365/token.1",
            "/var/spool/sendmail365/queue",
        ] {
            let ran = finish(&mut root.inside_as(user, ["test", "-r", path]), b"");
            ran.exits(1);
        }
        let script =
            format!("find / -xdev -type f -readable -exec grep -l {CANARY} {{}} + 2>/dev/null");
        let found = finish(&mut root.inside_as(user, ["sh", "-c", &script]), b"").stdout;
        assert_eq!(found, "");
        // Nor by way of the program: what it says of a file is not what stands in it.
        for options in [
            "-C/etc/sendmail365/token.1",
            "-C/etc/sendmail365/config.toml",
            "-v",
        ] {
            let mut command = root.inside_as(user, ["/usr/sbin/sendmail", options, "-t", "-i"]);
            let ran = finish(&mut command, b"To: ops@example.com\n\nhello\n");
            let shown = ran.stderr.contains("AUTH XOAUTH2 [");
            assert_eq!(shown, options == "-v", "{ran:#?}");
            assert!(!ran.stderr.contains("client_id ="), "{ran:#?}");
        }
    }
    let held = fs::read_to_string(root.path("etc/sendmail365/token.1")).unwrap();
    assert!(held.contains(CANARY), "the search would find nothing");
}

/// The same words as for root: nothing is kept that could never be sent.
#[test]
fn a_user_of_an_unconfigured_host_is_told_so() {
    let Some(root) = Root::with_packages(VERSION) else {
        return;
    };
    let ran = root.sends("www-data", "too early");
    ran.exits(78).says("mailbox").in_two_lines();
    let queue = fs::read_dir(root.path("var/spool/sendmail365/queue")).unwrap();
    assert_eq!(queue.count(), 0);
}
