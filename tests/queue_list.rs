//! What people see of the queue, and what they may do with it.

use crate::binary;
use crate::host::{Host, Ran, finish};
use crate::submission::MESSAGE;
use crate::tenant::{Act, Fault, Stage as TenantStage, Tenant};
use sendmail365::outcome::{Failure, QueueId, Stage};
use sendmail365::queue::entry::{Origin, Recipient, Via};
use sendmail365::queue::gate::{Attempt, Gate, Who};
use sendmail365::queue::{Caps, Class, Deposit, Entry, Mark, Reason, Spool, State};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const NOBODY: u32 = 65534;

/// A host with a spool, and the spool as the library sees it.
struct Post {
    host: Host,
    spool: Spool,
    _tenant: Tenant,
}

fn post() -> Post {
    let tenant = Tenant::start();
    let mut host = Host::configured(&binary(), &tenant);
    let root = host.path("var/spool");
    host.set("paths", "spool", &format!("{:?}", root.to_str().unwrap()));
    let spool = Spool::new(root);
    spool.prepare().unwrap();
    Post {
        host,
        spool,
        _tenant: tenant,
    }
}

fn id(number: u64) -> QueueId {
    QueueId::new(
        UNIX_EPOCH + Duration::from_secs(1_795_320_387 + number),
        number,
    )
}

fn entry(uid: u32, recipients: &[&str]) -> Entry {
    Entry {
        origin: Origin {
            uid,
            user: format!("user{uid}"),
            pid: 7,
            host: "h".to_owned(),
            via: Via::Socket,
        },
        sender: Some("alerts@contoso.test".to_owned()),
        recipients: recipients.iter().copied().map(Recipient::pending).collect(),
        dsn: None,
        state: State {
            attempts: 1,
            next: 4_000_000_000,
            reply: "451 4.3.2 later".to_owned(),
            ..State::default()
        },
    }
}

impl Post {
    fn commit(&self, number: u64, entry: &Entry) -> QueueId {
        let committed = self
            .spool
            .commit(&id(number), &deposit(entry), &Caps::default());
        committed.unwrap().id
    }

    fn fail(&self, number: u64, entry: &Entry) -> String {
        let kept = self.spool.keep_failed(
            &id(number),
            &deposit(entry),
            Reason::Refused,
            &Caps::default(),
        );
        format!("{}.refused", kept.unwrap().id)
    }

    fn queue<const N: usize>(&self, words: [&str; N]) -> Ran {
        self.host
            .run("sendmail365", ["queue"].into_iter().chain(words), "")
    }

    fn json(&self, words: &[&str]) -> Vec<serde_json::Value> {
        let ran = self.host.run("sendmail365", words, "");
        ran.exits(0);
        let lines = ran.stdout.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Lets a group read and change the spool, as an installation does; who is in it may still see
    /// his own messages only.
    fn open_to(&self, group: u32) {
        let mut folders = vec![self.spool.root().to_owned()];
        while let Some(folder) = folders.pop() {
            for item in fs::read_dir(&folder).unwrap() {
                let path = item.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    chown(&path, None, Some(group)).unwrap();
                    fs::set_permissions(&path, fs::Permissions::from_mode(0o660)).unwrap();
                }
            }
            chown(&folder, None, Some(group)).unwrap();
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o3770)).unwrap();
        }
    }

    fn as_user(&self, uid: u32, name: &str, words: &[&str]) -> Ran {
        let inner = self.host.command(name, words);
        let mut command = Command::new("setpriv");
        command.args([format!("--reuid={uid}"), format!("--regid={NOBODY}")]);
        command.arg("--clear-groups");
        command.arg(inner.get_program()).args(inner.get_args());
        finish(&mut command, b"")
    }
}

fn deposit(entry: &Entry) -> Deposit<'_> {
    Deposit {
        entry,
        message: &[b"Subject: \x1b[2J\r\n", b"\r\n", b"CLASSIFIED\r\n"],
    }
}

#[test]
fn mailq_prints_the_columns_of_postfix_and_the_total_last() {
    let post = post();
    for (name, words) in [("mailq", &[][..]), ("sendmail", &["-bp"])] {
        let ran = post.host.run(name, words, "");
        ran.exits(0);
        assert_eq!(
            (ran.stdout.as_str(), ran.stderr.as_str()),
            ("Mail queue is empty\n", "")
        );
    }
    let mut held = entry(33, &["b@x.test"]);
    held.state.class = Class::Hold;
    held.state.reply = "auth: 535 5.7.3".to_owned();
    let first = post.commit(1, &entry(33, &["a@x.test", "c@x.test"]));
    let second = post.commit(2, &held);
    let ran = post.host.run("mailq", [""; 0], "");
    ran.exits(0);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(
        lines[0],
        "1 of 2 on hold: auth: 535 5.7.3; put the cause right; then `sendmail -qf` ends it"
    );
    assert_eq!(
        lines[1],
        "-Queue ID-  --Size-- ----Arrival Time---- -Sender/Recipient-------"
    );
    assert!(
        lines[2].starts_with(&format!("{first}      29 ")),
        "{ran:#?}"
    );
    assert!(lines[2].ends_with("  alerts@contoso.test"));
    assert_eq!(lines[3].trim_start(), "(451 4.3.2 later)");
    assert_eq!(lines[4], format!("{:41}a@x.test", ""));
    assert_eq!((lines[5].trim_start(), lines[6]), ("c@x.test", ""));
    assert!(
        lines[7].starts_with(&format!("{second}!      29 ")),
        "{ran:#?}"
    );
    assert_eq!(lines.last(), Some(&"-- 1 Kbytes in 2 Requests."));
    assert!(!ran.stdout.contains("Subject") && !ran.stdout.contains("CLASSIFIED"));
    for mode in ["-bpc", "-bP"] {
        assert_eq!(post.host.sendmail([mode], "").exits(0).stdout, "2\n");
    }
    let ran = post.host.sendmail(["-bp", "-v"], "");
    assert!(ran.exits(0).stdout.contains(", 1 attempt)"), "{ran:#?}");
}

#[test]
fn a_hold_of_the_host_is_the_first_line_even_of_an_empty_queue() {
    let post = post();
    let gate = Gate {
        dir: post.host.path("var/state"),
        connections: 2,
        per_minute: 25,
    };
    gate.create_missing().unwrap();
    let failure = Failure::hold("x")
        .fix("mend it")
        .at(Stage::Auth)
        .with_code(535);
    let attempt = Attempt {
        failure: &failure,
        who: Who::Runner,
        uid: 0,
        disturbed: false,
    };
    assert!(gate.open(SystemTime::now(), &attempt).is_some());
    let ran = post.queue([]);
    let lines: Vec<&str> = ran.exits(0).stdout.lines().collect();
    assert!(
        lines[0].starts_with("Delivery is on hold since "),
        "{ran:#?}"
    );
    assert!(lines[0].ends_with(": auth: 535; mend it; then `sendmail -qf` ends it"));
    assert_eq!(lines[1..], ["Mail queue is empty"]);
    gate.close();
    assert_eq!(post.queue([]).stdout, "Mail queue is empty\n");
}

#[test]
fn json_is_one_object_a_line() {
    let post = post();
    assert!(post.json(&["queue", "list", "--json"]).is_empty());
    let first = post.commit(1, &entry(33, &["a@x.test"])).to_string();
    post.commit(2, &entry(34, &["b@x.test"]));
    let ran = post.host.sendmail(["-bp", "--json"], "");
    ran.exits(0);
    let values = post.json(&["queue", "--json"]);
    assert_eq!((values.len(), ran.stdout.lines().count()), (2, 2));
    let value = &values[0];
    assert_eq!(value["id"], first);
    assert_eq!(
        (&value["uid"], &value["user"]),
        (&33.into(), &"user33".into())
    );
    assert_eq!(value["recipients"][0]["address"], "a@x.test");
    assert_eq!(value["recipients"][0]["state"], "pending");
    assert_eq!(value["arrival"], 1_795_320_388);
    assert_eq!(
        (&value["attempts"], &value["class"]),
        (&1.into(), &"defer".into())
    );
    assert_eq!(value["reason"], "451 4.3.2 later");
    assert!(!ran.stdout.contains("CLASSIFIED") && !ran.stdout.contains("Subject"));
}

#[test]
fn what_is_being_sent_has_a_star_and_is_not_taken_away() {
    let post = post();
    let mut sending = entry(33, &["a@x.test"]);
    sending.state.open = 1;
    let id = post.commit(1, &sending).to_string();
    let listed = &post.spool.list().unwrap().entries[0];
    let locked = crate::host::in_hand(&post.spool, listed);
    let ran = post.queue([]);
    assert!(ran.exits(0).stdout.contains(&format!("{id}* ")), "{ran:#?}");
    post.queue(["drop", &id])
        .exits(75)
        .in_two_lines()
        .says("being sent");
    drop(locked);
    drop(crate::host::in_hand(&post.spool, listed));
    let ran = post.queue([]);
    assert!(
        !ran.exits(0).stdout.contains(&format!("{id}* ")),
        "{ran:#?}"
    );
}

#[test]
fn a_message_is_shown_by_the_beginning_of_its_id_and_its_body_when_asked() {
    let post = post();
    let first = post.commit(1, &entry(33, &["a@x.test"])).to_string();
    post.commit(2, &entry(33, &["b@x.test"]));
    let ran = post.queue(["show", &first[..16]]);
    ran.exits(0);
    assert!(
        ran.stdout
            .starts_with(&format!("id: {first}\nstate: defer\n")),
        "{ran:#?}"
    );
    assert!(
        ran.stdout
            .contains("\nfrom: alerts@contoso.test\nto: a@x.test (pending)\n")
    );
    assert!(ran.stdout.ends_with("\n\nSubject: \\x1b[2J\n"), "{ran:#?}");
    let ran = post.queue(["show", &first, "--body"]);
    assert!(
        ran.exits(0).stdout.ends_with("\n\nCLASSIFIED\n"),
        "{ran:#?}"
    );
    let values = post.json(&["queue", "show", &first, "--json"]);
    assert_eq!(values[0]["header"], "Subject: \u{1b}[2J\r\n");
    for (words, says) in [
        (["show", &first[..3]], "2 messages begin with"),
        (["show", "zzz"], "no message zzz"),
        (["drop", ""], "no message"),
        (["resend", "../queue"], "no message ../queue"),
    ] {
        post.queue(words).exits(64).in_two_lines().says(says);
    }
}

#[test]
fn a_message_is_made_due_and_one_that_failed_comes_back() {
    let post = post();
    let waits = post.commit(1, &entry(33, &["a@x.test"])).to_string();
    let mut refused = entry(33, &["b@x.test", "c@x.test"]);
    refused.recipients[0].mark = Mark::Done;
    refused.recipients[1].mark = Mark::Failed;
    let name = post.fail(2, &refused);

    let ran = post.queue([]);
    let lines: Vec<&str> = ran.exits(0).stdout.lines().collect();
    assert!(
        lines.contains(&"1 failed, see `sendmail365 queue list --failed`"),
        "{ran:#?}"
    );
    let ran = post.queue(["list", "--failed"]);
    assert!(ran.exits(0).stdout.contains(&name), "{ran:#?}");
    assert!(
        ran.stdout.contains("(refused: 451 4.3.2 later)\n"),
        "{ran:#?}"
    );
    assert!(ran.stdout.contains("c@x.test (refused)\n") && !ran.stdout.contains("b@x.test"));

    post.queue(["resend", &waits]).exits(0);
    let now = post.json(&["queue", "--json"])[0]["next"].as_u64().unwrap();
    assert!(now < 4_000_000_000, "{now}");
    post.queue(["resend", &name]).exits(0);
    let values = post.json(&["queue", "--json"]);
    assert_eq!(values.len(), 2);
    assert_eq!(values[1]["recipients"][0]["state"], "sent");
    assert_eq!(values[1]["recipients"][1]["state"], "pending");
    let ran = post.queue(["list", "--failed"]);
    assert_eq!(ran.exits(0).stdout, "No message has failed\n");
    let log = post.host.log();
    assert_eq!(log.matches(": event=resume ").count(), 2, "{log}");
    assert!(log.contains(&format!("{waits}: event=resume uid=0 ")) || !crate::is_root());
}

#[test]
fn a_message_is_removed_from_the_queue_or_from_the_failed_and_told() {
    let post = post();
    let id = post.commit(1, &entry(33, &["a@x.test"])).to_string();
    let name = post.fail(2, &entry(33, &["b@x.test"]));
    let ran = post.queue(["drop", &id]);
    assert!(
        ran.exits(0)
            .stdout
            .starts_with(&format!("removed\nid: {id}\n")),
        "{ran:#?}"
    );
    assert!(ran.stdout.contains("\nto: a@x.test (pending)\n"));
    let ran = post.queue(["drop", &name]);
    assert!(
        ran.exits(0).stdout.contains("\nto: b@x.test (pending)\n"),
        "{ran:#?}"
    );
    assert_eq!(post.queue([]).exits(0).stdout, "Mail queue is empty\n");
    assert!(post.spool.failed().unwrap().is_empty());
    assert_eq!(post.host.log().matches(": event=cancelled ").count(), 2);
}

#[test]
fn a_damaged_entry_is_listed_and_hides_no_other() {
    let post = post();
    let id = post.commit(1, &entry(33, &["a@x.test"])).to_string();
    post.commit(2, &entry(33, &["b@x.test"]));
    let path = post.spool.root().join("queue").join(&id);
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(600).unwrap();
    let ran = post.queue([]);
    assert!(
        ran.exits(0)
            .stdout
            .contains("(cannot be read: truncated)\n"),
        "{ran:#?}"
    );
    assert!(ran.stdout.contains("b@x.test\n") && ran.stdout.contains(" in 2 Requests.\n"));
    post.queue(["drop", &id])
        .exits(75)
        .in_two_lines()
        .says("damaged");
}

#[test]
fn a_queue_that_cannot_be_read_is_69_and_one_not_made_yet_is_empty() {
    let post = post();
    let queue = post.spool.root().join("queue");
    fs::remove_dir(&queue).unwrap();
    assert_eq!(post.queue([]).exits(0).stdout, "Mail queue is empty\n");
    fs::write(&queue, "x").unwrap();
    for mode in ["-bp", "-bpc"] {
        let ran = post.host.sendmail([mode], "");
        ran.exits(69)
            .in_two_lines()
            .says("the queue cannot be read");
    }
}

/// The group of the queue may read every file of it, and every caller has that group.
#[test]
fn a_user_sees_and_touches_only_what_he_handed_in() {
    if !crate::needs("setpriv") || !crate::is_root() {
        return;
    }
    let post = post();
    let others = post.commit(1, &entry(33, &["secret@x.test"])).to_string();
    let own = post.commit(2, &entry(4242, &["own@x.test"])).to_string();
    let failed = post.fail(3, &entry(33, &["secret@x.test"]));
    let own_failed = post.fail(4, &entry(4242, &["own@x.test"]));
    chown(post.spool.root().join("queue").join(&own), Some(4242), None).unwrap();
    chown(
        post.spool.root().join("failed").join(&own_failed),
        Some(4242),
        None,
    )
    .unwrap();
    for room in ["queue", "failed"] {
        chown(post.spool.root().join(room), Some(777), None).unwrap();
    }
    post.open_to(NOBODY);
    let before = fs::metadata(post.spool.root().join("queue").join(&others)).unwrap();

    let ran = post.as_user(4242, "mailq", &[]);
    ran.exits(0);
    assert!(
        ran.stdout.contains("own@x.test") && !ran.stdout.contains("secret"),
        "{ran:#?}"
    );
    assert!(ran.stdout.contains("1 failed, see ") && ran.stdout.contains(" in 1 Requests."));
    assert_eq!(post.as_user(4242, "sendmail", &["-bpc"]).stdout, "1\n");
    assert_eq!(
        post.as_user(34, "mailq", &[]).stdout,
        "Mail queue is empty\n"
    );
    for id in [&others, &failed] {
        for verb in ["show", "resend", "drop"] {
            let ran = post.as_user(4242, "sendmail365", &["queue", verb, id]);
            ran.exits(64).in_two_lines().says("no message ");
        }
    }
    let after = fs::metadata(post.spool.root().join("queue").join(&others)).unwrap();
    assert_eq!(
        (before.ino(), before.mtime_nsec()),
        (after.ino(), after.mtime_nsec())
    );

    let ran = post.as_user(4242, "sendmail365", &["queue", "show", &own, "--body"]);
    assert!(ran.exits(0).stdout.contains("CLASSIFIED"), "{ran:#?}");
    post.as_user(4242, "sendmail365", &["queue", "resend", &own_failed])
        .exits(0);
    post.as_user(4242, "sendmail365", &["queue", "drop", &own])
        .exits(0);
    assert_eq!(post.as_user(4242, "sendmail", &["-bpc"]).stdout, "1\n");

    let ran = post.as_user(777, "mailq", &[]);
    assert!(ran.exits(0).stdout.contains("secret@x.test"), "{ran:#?}");
    let ran = post.as_user(777, "sendmail365", &["queue", "show", &others]);
    assert!(ran.exits(0).stdout.contains("secret@x.test"), "{ran:#?}");
    let ran = post.as_user(777, "sendmail365", &["queue", "show", &others, "--body"]);
    ran.exits(77).in_two_lines().says("the body is not shown");
}

/// The way of the administrator: told of a hold, he mends the cause and does what `mailq` says.
#[test]
fn the_command_that_mailq_names_ends_a_hold() {
    let tenant = Tenant::start();
    let host = Host::with_queue(&binary(), &tenant);
    let off = Act::reply(
        535,
        "5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox.",
    );
    tenant.fault(Fault::At(TenantStage::Auth, off));
    host.sendmail(["-t", "-i"], MESSAGE).exits(0);
    // The next message is told of the same cause and cure, and asks nobody.
    let ran = host.sendmail(["-t", "-i"], MESSAGE);
    ran.exits(0).says("on hold since").says("Set-CASMailbox");
    assert!(
        host.log().contains("fix=\"Set-CASMailbox"),
        "{}",
        host.log()
    );
    host.sendmail(["-qf"], "").exits(75).says("Set-CASMailbox");
    let listed = host.run("mailq", [""; 0], "").stdout;
    let first = listed.lines().next().unwrap_or_default();
    assert!(first.contains("Set-CASMailbox"), "{listed}");
    assert!(first.ends_with("then `sendmail -qf` ends it"), "{listed}");
    tenant.recover();
    host.sendmail(["-q"], "").exits(75);
    assert_eq!(tenant.received().len(), 0, "the runner has its hour");
    host.sendmail(["-qf"], "").exits(0).silently();
    assert_eq!(tenant.received().len(), 2, "{}", host.log());
    assert_eq!(
        host.run("mailq", [""; 0], "").stdout,
        "Mail queue is empty\n"
    );
    host.sendmail(["-t", "-i"], MESSAGE).exits(0).silently();
}

/// A new sign-in ends what a refused one has put on hold.
#[test]
fn a_sign_in_ends_a_hold() {
    let tenant = Tenant::start();
    let host = Host::with_queue(&binary(), &tenant);
    tenant.revoke_refresh_tokens();
    crate::token::expire(&host);
    host.sendmail(["-t", "-i"], MESSAGE).exits(0).says("login");
    host.sendmail(["-qf"], "").exits(75);
    let words = ["login", "--import", "-"];
    host.run("sendmail365", words, tenant.issue_refresh_token())
        .exits(0);
    host.sendmail(["-t", "-i"], MESSAGE).exits(0).silently();
    assert_eq!(tenant.received().len(), 1);
}

/// Dead letters say what the server said of them, whoever met it.
#[test]
fn a_failed_message_is_listed_with_the_servers_words() {
    let tenant = Tenant::start();
    let host = Host::with_queue(&binary(), &tenant);
    let unknown = || {
        Fault::At(
            TenantStage::Rcpt,
            Act::reply(550, "5.1.10 RecipientNotFound"),
        )
    };
    let failed = || {
        host.run("sendmail365", ["queue", "list", "--failed"], "")
            .stdout
    };
    tenant.fault(unknown());
    host.sendmail(["-i", "first@example.com"], MESSAGE)
        .exits(67);
    assert!(failed().contains("RecipientNotFound"), "{}", failed());
    tenant.recover();
    tenant.fault(Fault::SubmissionDown);
    host.sendmail(["-i", "second@example.com"], MESSAGE)
        .exits(0);
    tenant.recover();
    tenant.fault(unknown());
    host.forget_troubles();
    host.sendmail(["-qf"], "").exits(0);
    assert_eq!(
        failed().matches("RecipientNotFound").count(),
        2,
        "{}",
        failed()
    );
    let log = host.log();
    let line = log.lines().find(|line| line.contains("event=failed"));
    assert!(line.unwrap().contains("to=<second@example.com>"), "{log}");
    // Sent again, it goes to those who did not get it.
    tenant.recover();
    for name in host.spooled("failed") {
        let id = name.split('.').next().unwrap();
        host.run("sendmail365", ["queue", "resend", id], "")
            .exits(0);
    }
    host.sendmail(["-qf"], "").exits(0);
    let to = |one: &crate::tenant::Delivered| one.recipients[0].clone();
    let all: Vec<String> = tenant.received().iter().map(to).collect();
    for one in ["first@example.com", "second@example.com"] {
        assert!(all.contains(&one.to_owned()), "{all:?}");
    }
}
