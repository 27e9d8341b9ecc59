//! How each fault of the table is brought about, for messages that wait in the queue.

use super::rows::{Rows, one, traced};
use super::scene::{Case, Scene, TO};
use crate::host::{Ran, in_hand, quiet};
use crate::submission::MESSAGE;
use crate::tenant::{Act, Fault, Stage};
use sendmail365::outcome::QueueId;
use sendmail365::queue::{Caps, Deposit, Entry, Mark, Origin, Recipient, Spool, State, Via};
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, chown};
use std::time::{Duration, SystemTime};

const DAY: u64 = 24 * 60 * 60;

const THREE: [&str; 3] = ["a@example.com", "b@example.com", "c@example.com"];

/// Somebody whose message is in no way damaged.
const OTHER: &str = "other@example.com";

/// All rows about the runner.
pub fn rows() -> Rows {
    let at = |stage, code, text| Fault::At(stage, Act::reply(code, text));
    let denied = move || at(Stage::Auth, 535, "5.7.3 Authentication unsuccessful");
    vec![
        (
            "R01",
            one(|| {
                waiting(&[TO]).run(|scene| {
                    let lock = File::open(scene.host.path("var/spool/runner.lock")).unwrap();
                    lock.try_lock().unwrap();
                    pass(scene)
                })
            }),
        ),
        (
            "R02",
            one(|| damaged(|scene| fs::write(scene.entry(), "garbage\n").unwrap())),
        ),
        (
            "R03",
            one(|| {
                damaged(|scene| {
                    let file = File::options().write(true).open(scene.entry()).unwrap();
                    file.set_len(700).unwrap();
                })
            }),
        ),
        ("R04", one(|| on_entry(&["inject=openat:error=EACCES"]))),
        (
            "R05",
            one(|| {
                changed(|scene| {
                    let file = File::options().write(true).open(scene.entry()).unwrap();
                    file.write_all_at(b"attempts=xyz", 8).unwrap();
                })
            }),
        ),
        (
            "R06",
            Box::new(|_| {
                (1..=2)
                    .map(|when| {
                        let spec = format!("inject=sendto:signal=SIGKILL:when={when}");
                        waiting(&[TO])
                            .run(move |scene| traced(scene, &["-e", &spec], &["-qf"]))
                            .needs(&["strace"])
                            .repair(due_now)
                    })
                    .collect()
            }),
        ),
        (
            "R07",
            one(|| on_entry(&["inject=pwrite64:signal=SIGKILL:when=2"]).repair(due_now)),
        ),
        (
            "R08",
            one(|| on_entry(&["inject=fdatasync:signal=SIGKILL:when=2"])),
        ),
        (
            "R09",
            Box::new(|_| {
                vec![
                    on_entry(&["inject=pwrite64:error=EROFS:when=1"]),
                    on_entry(&["inject=pwrite64:error=ENOSPC:when=1"]),
                    on_entry(&["inject=fdatasync:error=EIO:when=1"]).repair(due_now),
                ]
            }),
        ),
        (
            "R10",
            one(|| on_entry(&["inject=pwrite64:error=EIO:when=2"])),
        ),
        (
            "R11",
            one(|| {
                waiting(&[TO])
                    .run(|scene| traced(scene, &["-e", "inject=unlink:error=EIO"], &["-qf"]))
                    .needs(&["strace"])
            }),
        ),
        (
            "R13",
            one(|| damaged(|scene| change(scene, |state| state.open = 3))),
        ),
        (
            "R14",
            one(move || waiting(&[TO]).fault(at(Stage::Rcpt, 550, "5.1.1 unknown"))),
        ),
        ("R15", one(|| aged(30))),
        ("R16", one(|| aged(3))),
        (
            "R17",
            one(|| {
                changed(|scene| {
                    change(scene, |state| {
                        state.attempts = 1;
                        state.next = now() + 365 * DAY;
                    })
                })
                .run(|scene| scene.host.sendmail(["-q"], ""))
            }),
        ),
        (
            "R18",
            one(move || {
                let refuse = at(Stage::Rcpt, 550, "5.1.1 unknown");
                let first = refuse.clone();
                changed(move |scene| {
                    scene.tenant.fault(first.clone());
                    pass(scene).exits(0);
                    scene.host.forget_troubles();
                    assert_eq!(scene.host.spooled("queue").len(), 1, "the notice");
                })
                .fault(refuse)
                .also(|scene, _| match scene.host.spooled("queue").len() {
                    0 => Ok(()),
                    _ => Err("a notice about a notice".to_owned()),
                })
            }),
        ),
        (
            "R19",
            one(move || {
                Case::new("")
                    .prepare(without_sender)
                    .run(pass)
                    .fault(at(Stage::Rcpt, 550, "5.1.1 unknown"))
                    .also(|scene, _| match scene.host.log().contains("event=notice") {
                        true => Err("a notice to nobody".to_owned()),
                        false => Ok(()),
                    })
            }),
        ),
        (
            "R20",
            one(|| {
                Case::new("")
                    .prepare(|scene| {
                        scene
                            .host
                            .sendmail(["-odq", "-i", OTHER, TO], MESSAGE)
                            .exits(0);
                        let spool = Spool::new(scene.host.path("var/spool"));
                        let listed = spool.list().unwrap().entries.remove(0);
                        let _quiet = quiet();
                        let mut entry = in_hand(&spool, &listed);
                        entry.mark(&[(0, Mark::Done)]).unwrap();
                    })
                    .run(pass)
                    .refused(&[OTHER])
            }),
        ),
        (
            "R21",
            one(|| {
                changed(|scene| chown(scene.entry(), Some(54321), None).unwrap()).needs(&["root"])
            }),
        ),
        (
            "R23",
            one(|| {
                waiting(&[TO])
                    .run(|scene| {
                        let folder = scene.host.path("var/spool/queue");
                        let options = [
                            "-e",
                            "inject=getdents64:error=EIO",
                            "-P",
                            folder.to_str().unwrap(),
                        ];
                        traced(scene, &options, &["-qf"])
                    })
                    .needs(&["strace"])
            }),
        ),
        (
            "R24",
            one(move || {
                waiting(&THREE).fault(denied()).also(|scene, _| {
                    let before = attempts(scene);
                    scene.host.sendmail(["-q"], "").exits(75);
                    match attempts(scene) == before {
                        true => Ok(()),
                        false => Err("the server was asked again".to_owned()),
                    }
                })
            }),
        ),
        (
            "R25",
            one(move || {
                waiting(&THREE)
                    .fault(Fault::SubmissionDown)
                    .also(|scene, _| {
                        let untouched = scene
                            .waiting()
                            .iter()
                            .all(|entry| entry.contains(" attempts=0 "));
                        if untouched {
                            Ok(())
                        } else {
                            Err("an attempt was counted".to_owned())
                        }
                    })
            }),
        ),
        (
            "R27",
            one(|| {
                waiting(&[TO]).run(|scene| {
                    let good = fs::read(scene.host.path("etc/config.toml")).unwrap();
                    scene.host.write("etc/config.toml", "[acount]\n");
                    let ran = pass(scene);
                    scene.host.write("etc/config.toml", good);
                    ran
                })
            }),
        ),
        (
            "R28",
            one(|| {
                waiting(&[TO]).prepare(|scene| {
                    scene.tenant.fault(Fault::AcceptThenClose);
                    scene.host.sendmail(["-t", "-i"], MESSAGE).exits(0);
                    scene.tenant.recover();
                    scene.host.forget_troubles();
                    scene.host.sendmail(["-q"], "").exits(0);
                    assert_eq!(scene.waiting().len(), 1, "tried again too soon");
                    scene.forget();
                    scene.host.forget_troubles();
                })
            }),
        ),
        (
            "R30",
            one(move || {
                waiting(&THREE)
                    .fault(at(Stage::End, 432, "4.3.2 sender thread limit exceeded"))
                    .also(|scene, _| {
                        let tried = scene
                            .waiting()
                            .iter()
                            .filter(|entry| entry.contains(" attempts=1 "))
                            .count();
                        if tried == 1 {
                            Ok(())
                        } else {
                            Err(format!("{tried} were tried"))
                        }
                    })
            }),
        ),
    ]
}

fn pass(scene: &Scene<'_>) -> Ran {
    scene.host.sendmail(["-qf"], "")
}

/// The runner's pass over a message for each of these.
fn waiting(to: &'static [&'static str]) -> Case {
    Case::new("")
        .prepare(move |scene| {
            for to in to {
                scene.host.sendmail(["-odq", "-i", to], MESSAGE).exits(0);
            }
        })
        .run(pass)
        .to(to)
        .entries(to.len())
}

/// The same with something done to the one message that waits.
fn changed(step: impl Fn(&Scene<'_>) + Send + 'static) -> Case {
    waiting(&[TO]).prepare(move |scene| {
        scene.host.sendmail(["-odq", "-i", TO], MESSAGE).exits(0);
        step(scene);
    })
}

/// The same with a second message, which has to be delivered whatever becomes of the first.
fn damaged(step: impl Fn(&Scene<'_>) + Send + 'static) -> Case {
    waiting(&[TO])
        .prepare(move |scene| {
            scene.host.sendmail(["-odq", "-i", TO], MESSAGE).exits(0);
            step(scene);
            scene.host.sendmail(["-odq", "-i", OTHER], MESSAGE).exits(0);
        })
        .also(|scene, _| others_got_it(scene))
}

fn others_got_it(scene: &Scene<'_>) -> Result<(), String> {
    match scene.got(&[OTHER.to_owned()]) {
        1 => Ok(()),
        copies => Err(format!("the other message arrived {copies} times")),
    }
}

/// The runner's pass with system calls that fail on the first entry, or kill it there.
fn on_entry(specs: &'static [&'static str]) -> Case {
    waiting(&[TO])
        .prepare(|scene| {
            scene.host.sendmail(["-odq", "-i", TO], MESSAGE).exits(0);
            let first = scene.entry();
            scene.host.write("var/first", first.to_str().unwrap());
        })
        .run(|scene| {
            let first = fs::read_to_string(scene.host.path("var/first")).unwrap();
            let mut options = vec!["-P", &first];
            options.extend(specs.iter().flat_map(|spec| ["-e", *spec]));
            traced(scene, &options, &["-qf"])
        })
        .needs(&["strace"])
}

/// A message handed in six days ago, tried so often.
fn aged(attempts: u32) -> Case {
    changed(move |scene| {
        change(scene, |state| state.attempts = attempts);
        let arrival = SystemTime::now() - Duration::from_secs(6 * DAY);
        let older = QueueId::new(arrival, 1).to_string();
        fs::rename(
            scene.entry(),
            scene.host.path("var/spool/queue").join(older),
        )
        .unwrap();
    })
    .run(|scene| scene.host.sendmail(["-q"], ""))
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.unwrap().as_secs()
}

/// Rewrites the state of the first entry.
fn change(scene: &Scene<'_>, change: impl Fn(&mut State)) {
    let spool = Spool::new(scene.host.path("var/spool"));
    let listed = spool.list().unwrap().entries.remove(0);
    let _quiet = quiet();
    let mut entry = in_hand(&spool, &listed);
    let mut state = entry.stored.entry.state.clone();
    change(&mut state);
    entry.write_state(&state).unwrap();
}

/// A submission never makes one: the mailbox stands in for an empty sender.
fn without_sender(scene: &mut Scene<'_>) {
    let entry = Entry {
        origin: Origin {
            uid: 0,
            user: "root".to_owned(),
            pid: 1,
            host: "web1.contoso.test".to_owned(),
            via: Via::Direct,
        },
        sender: None,
        recipients: vec![Recipient::pending(TO)],
        dsn: None,
        state: State::default(),
    };
    let message: [&[u8]; 1] = [b"From: alerts@contoso.test\r\n\r\nx\r\n"];
    let deposit = Deposit {
        entry: &entry,
        message: &message,
    };
    let spool = Spool::new(scene.host.path("var/spool"));
    let id = QueueId::new(SystemTime::now(), 1);
    spool.commit(&id, &deposit, &Caps::default()).unwrap();
}

/// Time passes: an attempt that came to no end is not repeated at once.
fn due_now(scene: &mut Scene<'_>) {
    if !scene.host.spooled("queue").is_empty() {
        change(scene, |state| *state = State::default());
    }
}

/// How often somebody tried to sign in.
fn attempts(scene: &Scene<'_>) -> usize {
    let connections = scene.tenant.connections();
    connections.iter().map(|one| one.authentications).sum()
}
