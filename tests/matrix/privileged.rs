//! How each fault of the table is brought about that is about rights: an ordinary user's call of a
//! program that is installed setgid, where that has no effect, or where he looks in.

use super::rows::{Rows, one};
use super::scene::{Case, Scene};
use crate::host::{Ran, fed, finish};
use crate::installed::{ANN, ROOT, User, looked_into};
use crate::signals::until;
use crate::submission::MESSAGE;
use crate::tenant::{Act, Fault, Stage};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const WORDS: [&str; 2] = ["-t", "-i"];

/// All rows about rights.
pub fn rows() -> Rows {
    vec![
        (
            "P02",
            one(|| {
                refused(
                    "NoNewPrivileges",
                    &["started with NoNewPrivileges"],
                    |scene| scene.as_user(ANN, &["setpriv", "--no-new-privs"], &WORDS),
                )
            }),
        ),
        (
            "P03",
            one(|| {
                refused("nosuid", &["is mounted nosuid"], |scene| {
                    let program = scene.kit().program();
                    let folder = program.parent().unwrap().to_str().unwrap();
                    let script = "mount --bind \"$0\" \"$0\"; mount -o remount,bind,nosuid \"$0\"; exec \"$@\"";
                    let sendmail = scene.host.within("usr/sbin/sendmail");
                    let words = [&[sendmail.to_str().unwrap()], &WORDS[..]].concat();
                    let outer = ["sh", "-c", script, folder];
                    scene.kit().inside(&scene.host, &outer, ANN, words)
                })
            }),
        ),
        (
            "P04",
            Box::new(|_| {
                let tracers: [(&str, &[&str]); 2] = [
                    ("strace", &["strace", "-f", "-qq", "-o", "/dev/null"]),
                    (
                        "gdb",
                        &[
                            "gdb",
                            "-q",
                            "-nx",
                            "-batch",
                            "-return-child-result",
                            "-ex",
                            "run",
                            "--args",
                        ],
                    ),
                ];
                let traced = |(tool, tracer): (&'static str, &'static [&'static str])| {
                    let case = refused(tool, &["being traced", "trace it as root"], move |scene| {
                        scene.as_user(ANN, tracer, &WORDS)
                    });
                    // gdb says something of its own.
                    Case { mute: true, ..case }.needs(match tool {
                        "gdb" => &["installed", "gdb"],
                        _ => &["installed", "strace"],
                    })
                };
                tracers.map(traced).into()
            }),
        ),
        (
            "P05",
            one(|| {
                refused(
                    "root of a namespace",
                    &["nobody is taken for root of this host"],
                    |scene| scene.as_user(ANN, &["unshare", "-Ur"], &WORDS),
                )
            }),
        ),
        ("P20", one(looked_into_on_its_way)),
        ("P23", one(called_by_root)),
    ]
}

/// A call that has no right to the settings of the host, and no socket to turn to.
fn refused(
    label: &str,
    said: &'static [&'static str],
    call: impl Fn(&Scene<'_>) -> Command + Send + 'static,
) -> Case {
    Case::new(label)
        .needs(&["installed"])
        .prepare(|scene| scene.install())
        .run(move |scene| finish(&mut call(scene), MESSAGE.as_bytes()))
        .also(move |_, ran| {
            let mut words = said.iter().chain(&["sendmail365.socket"]);
            match words.find(|word| !ran.stderr.contains(**word)) {
                Some(missing) => Err(format!("it does not say {missing:?}")),
                None => Ok(()),
            }
        })
}

/// A submission of a user that waits for the server, its message read; `outer` stands before it.
pub fn waiting(scene: &Scene<'_>, user: User, outer: &[&str], fault: Fault) -> Child {
    under_way(scene, scene.as_user(user, outer, &WORDS), fault)
}

/// A submission with its message handed over, when the tenant has met the fault.
pub fn under_way(scene: &Scene<'_>, mut command: Command, fault: Fault) -> Child {
    let accepts = matches!(fault, Fault::At(Stage::End, _));
    let met = || match accepts {
        true => scene.tenant.received().len(),
        false => scene.tenant.faults_met(),
    };
    let before = met();
    scene.tenant.fault(fault);
    let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = fed(command, MESSAGE.as_bytes());
    until("the fault", || met() > before);
    child
}

/// Every way in that works on a process of the same user which is not installed is closed on this one.
pub fn looked_into_on_its_way() -> Case {
    let run = |scene: &Scene<'_>| {
        let mut plain = scene.kit().inside(&scene.host, &[], ANN, ["sleep", "600"]);
        let mut plain = plain.stdin(Stdio::null()).spawn().unwrap();
        let named = |child: &Child| {
            fs::read_to_string(format!("/proc/{}/comm", child.id()))
                .is_ok_and(|name| name == "sleep\n")
        };
        until("it sleeps", || named(&plain));
        let open = looked_into(&scene.host, scene.kit(), ANN, plain.id());
        plain.kill().unwrap();
        plain.wait().unwrap();
        let mut child = waiting(scene, ANN, &[], Fault::At(Stage::Mail, Act::Stall));
        let ran = looked_into(&scene.host, scene.kit(), ANN, child.id());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(
            open.stdout.lines().count() > 15,
            "the control finds nothing: {open:?}"
        );
        ran
    };
    Case::new("every way")
        .needs(&["installed", "/usr/bin/python3"])
        .prepare(|scene| scene.install())
        .run(run)
        .also(
            |_, ran| match ran.stdout.is_empty() && ran.status.success() {
                true => Ok(()),
                false => Err("the process is open".to_owned()),
            },
        )
}

fn called_by_root() -> Case {
    let run = |scene: &Scene<'_>| {
        let slowly = Act::Slowly(Duration::from_millis(20));
        let child = waiting(scene, ROOT, &[], Fault::At(Stage::End, slowly));
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
        let account = fs::metadata(scene.host.path("var/spool/queue")).unwrap();
        for (key, id) in [("Uid", account.uid()), ("Gid", account.gid())] {
            let line = format!("{key}:\t{id}\t{id}\t{id}\t{id}\n");
            assert!(id != 0 && status.contains(&line), "{status}");
        }
        Ran::finished(child)
    };
    Case::new("root")
        .needs(&["installed"])
        .prepare(|scene| scene.install())
        .run(run)
}
