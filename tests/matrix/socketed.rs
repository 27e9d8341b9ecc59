//! How each fault of the table is brought about that is about the socket, and the rows that need one.

use super::privileged::under_way;
use super::rows::{Rows, one};
use super::scene::{Case, Scene, TO};
use crate::host::{Ran, finish};
use crate::installed::{ANN, Attendant, BOB, User, stub};
use crate::signals::until;
use crate::submission::MESSAGE;
use crate::tenant::{Act, Fault, Stage};
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

const WORDS: [&str; 2] = ["-t", "-i"];

/// All rows about the socket.
pub fn rows() -> Rows {
    vec![
        (
            "P01",
            one(|| {
                by_the_socket("handed over").run(|scene| {
                    let _attendant = Attendant::start(&scene.host);
                    finish(&mut without_rights(scene, ANN), MESSAGE.as_bytes())
                })
            }),
        ),
        ("U01", one(killed_attendant)),
        ("U02", one(killed_sender)),
        (
            "U03",
            Box::new(|_| {
                let request = request(&["sendmail", "-i", TO]);
                let begun = [&request[..], &piece(b"Subject: half\n\nof it\n")].concat();
                let cut = [&request[..], &1000_u32.to_be_bytes(), b"Subject: half"].concat();
                [
                    ("no end", begun),
                    ("half a piece", cut),
                    ("words only", request),
                ]
                .map(|(label, octets)| sent(label, octets))
                .into()
            }),
        ),
        (
            "U04",
            Box::new(|_| {
                let mut cases = Vec::new();
                for (label, octets) in denied() {
                    cases.push(sent(label, octets).also(|_, ran| {
                        let refused = ["exit 64\n", "exit 74\n", "exit 76\n", "exit 77\n"];
                        match refused.iter().any(|status| ran.stdout.starts_with(status)) {
                            true => Ok(()),
                            false => Err("it is not refused".to_owned()),
                        }
                    }));
                }
                cases
            }),
        ),
        ("U05", one(idle)),
    ]
}

fn by_the_socket(label: &str) -> Case {
    Case::new(label)
        .needs(&["installed"])
        .prepare(|scene| scene.install())
}

/// `sendmail` as a user calls it who gains nothing by it.
fn without_rights(scene: &Scene<'_>, user: User) -> Command {
    scene.as_user(user, &["setpriv", "--no-new-privs"], &WORDS)
}

fn killed_attendant() -> Case {
    by_the_socket("kill -9 of the attendant").run(|scene| {
        let attendant = Attendant::start(&scene.host);
        let child = under_way(
            scene,
            without_rights(scene, ANN),
            Fault::At(Stage::Data, Act::Stall),
        );
        attendant.kill();
        Ran::finished(child)
    })
}

fn killed_sender() -> Case {
    by_the_socket("kill -9 of the sender").run(|scene| {
        let attendant = Attendant::start(&scene.host);
        let slowly = Act::Slowly(Duration::from_millis(20));
        let mut child = under_way(
            scene,
            without_rights(scene, ANN),
            Fault::At(Stage::End, slowly),
        );
        child.kill().unwrap();
        let ran = Ran::finished(child);
        until("the attendant is done", || attendant.running() == 0);
        ran
    })
}

fn request(words: &[&str]) -> Vec<u8> {
    let octets = words.join("\0");
    format!("SM365 1 {} {}\n{octets}", words.len(), octets.len()).into_bytes()
}

fn piece(octets: &[u8]) -> Vec<u8> {
    [&(octets.len() as u32).to_be_bytes()[..], octets].concat()
}

/// What must not be done, and whole messages behind it.
fn denied() -> Vec<(&'static str, Vec<u8>)> {
    let message = [&piece(MESSAGE.as_bytes())[..], &[0; 4]].concat();
    let asked = |words: &[&str]| [&request(words)[..], &message].concat();
    vec![
        (
            "another uid",
            b"SM365 1 3 23 uid=0\nsendmail\0-i\0a@example.com\0\0\0\0".to_vec(),
        ),
        ("4 GiB of words", b"SM365 1 1 4294967295\nsendmail".to_vec()),
        (
            "a piece of 4 GiB",
            [&request(&["sendmail", "-i", TO])[..], &[0xff; 4], b"x"].concat(),
        ),
        (
            "garbage",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 GET / HTTP/1.0\r\n".to_vec(),
        ),
        (
            "another version",
            [b"SM365 2", &asked(&["sendmail", "-i", TO])[7..]].concat(),
        ),
        (
            "an unknown option",
            asked(&["sendmail", "--no-such", "-i", TO]),
        ),
        (
            "other settings",
            asked(&["sendmail", "-C", "/etc/sendmail365/config.toml", "-i", TO]),
        ),
        ("a verb", asked(&["sendmail365", "login", "--import", "-"])),
        ("the queue", asked(&["mailq"])),
        ("a run of the queue", asked(&["sendmail", "-qf"])),
        ("SMTP", asked(&["sendmail", "-bs"])),
        ("itself", asked(&["sendmail365", "--socket"])),
    ]
}

/// A stub of a sender that writes these octets and closes.
fn sent(label: &str, octets: Vec<u8>) -> Case {
    by_the_socket(label).mute().run(move |scene| {
        let attendant = Attendant::start(&scene.host);
        let mut command = stub(&scene.host, scene.kit(), ANN, &["1"]);
        let ran = finish(&mut command, &octets);
        until("the attendant is done", || attendant.running() == 0);
        assert_eq!(attendant.started(), 1);
        ran
    })
}

/// Two hundred that say nothing take eight places, and the next user gets his turn.
fn idle() -> Case {
    by_the_socket("200 of one user").run(|scene| {
        let attendant = Attendant::start(&scene.host);
        let mut command = stub(&scene.host, scene.kit(), ANN, &["200", "idle"]);
        let mut idle = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        BufReader::new(idle.stdout.take().unwrap())
            .read_line(&mut said)
            .unwrap();
        assert_eq!(said, "open\n");
        until("all but eight are turned away", || {
            let (running, seen) = (
                attendant.running(),
                attendant.started() + attendant.turned_away(),
            );
            running == 8 && seen == 200
        });
        let ran = finish(&mut without_rights(scene, BOB), MESSAGE.as_bytes());
        let sent = scene.got(&[TO.to_owned()]);
        assert_eq!((ran.status.code(), sent), (Some(0), 1), "{ran:?}");
        // He himself has to wait, but for the time that one may be silent.
        until("the other user's attendant is done", || {
            attendant.running() == 8
        });
        idle.kill().unwrap();
        idle.wait().unwrap();
        until("they are gone", || attendant.running() == 0);
        let log = fs::read_to_string(scene.host.path("var/log")).unwrap();
        let denied = log.matches("event=denied").count();
        assert!(denied >= 200 - 8 - attendant.turned_away(), "{denied}");
        ran
    })
}
