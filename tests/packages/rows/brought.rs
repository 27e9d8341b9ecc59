//! How the rows are brought about that the matrix leaves to tests of one thing each.

use crate::attacks::surroundings::hostile_variables;
use crate::host::{Ran, finish};
use crate::installed::{ANN, BOB, Ground, ROOT};
use crate::matrix::privileged::{looked_into_on_its_way, waiting};
use crate::matrix::rows::{Rows, one, shell, stale};
use crate::matrix::scene::{Case, Scene, TO};
use crate::signals::{send, until};
use crate::submission::MESSAGE;
use crate::tenant::{Act, Answer, Fault, Stage};
use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const WORDS: [&str; 2] = ["-t", "-i"];

/// A caller without any of the three.
const ALL_CLOSED: &str = "exec \"$@\" <&- >&- 2>&-";

/// All rows that are brought about here.
pub fn rows() -> Rows {
    vec![
        ("P06", one(|| stale(Case::new("")).run(redirected))),
        ("P07", one(surrounded)),
        (
            "P08",
            Box::new(|_| {
                let watched = ["exec \"$@\" >&- 2>&-", ALL_CLOSED].map(without_descriptors);
                watched
                    .into_iter()
                    .chain([shell(ALL_CLOSED).mute()])
                    .collect()
            }),
        ),
        (
            "P09",
            Box::new(|_| ["umask 0", "umask 0777"].map(masked).into()),
        ),
        ("P10", one(|| shell("ulimit -f 1; exec \"$@\""))),
        ("P12", one(|| stale(shell("ulimit -f 1; exec \"$@\"")))),
        ("P16", one(timed)),
        (
            "P17",
            one(|| {
                by_perl(
                    "use POSIX; sigprocmask(SIG_BLOCK, POSIX::SigSet->new(SIGTERM, SIGHUP, SIGALRM, \
                     SIGCHLD)); $SIG{$_} = 'IGNORE' for qw(TERM HUP ALRM CHLD);",
                )
            }),
        ),
        (
            "P18",
            Box::new(|_| {
                [
                    "mkdir /tmp/own && cd /tmp/own && rmdir /tmp/own && exec \"$@\"",
                    "mkdir /tmp/own && cd /tmp/own && chmod 0 . && exec \"$@\"",
                ]
                .map(in_a_bad_directory)
                .into()
            }),
        ),
        ("P19", one(unknown)),
        (
            "P20",
            Box::new(|_| vec![looked_into_on_its_way(), dumped()]),
        ),
        ("P21", one(behind_a_stopped_refresh)),
        ("L01", one(hundred_at_once)),
        ("L03", one(after_killed_holders)),
    ]
}

/// Variables in the environment of a caller, as `env` takes them.
fn assigned(proxy: &str, wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let evil = std::path::Path::new("/home/ann/evil");
    let all = hostile_variables(evil, proxy).into_iter();
    // The C library says something of its own about where a profile goes, in any program.
    all.filter(|(name, _)| *name != "LD_PROFILE" && wanted(name))
        .map(|(name, value)| format!("{name}={value}"))
        .collect()
}

fn of_the_network(name: &str) -> bool {
    name.to_ascii_uppercase().ends_with("_PROXY") || name.starts_with("SSL_CERT")
}

/// The attacker's own door, where nobody may knock.
fn redirected(scene: &Scene<'_>) -> Ran {
    let hostile = TcpListener::bind("127.0.0.1:0").unwrap();
    hostile.set_nonblocking(true).unwrap();
    let proxy = format!("http://127.0.0.1:{}", hostile.local_addr().unwrap().port());
    let variables = assigned(&proxy, of_the_network);
    assert!(variables.len() >= 8, "{variables:?}");
    let env: Vec<&str> = ["env"]
        .into_iter()
        .chain(variables.iter().map(String::as_str))
        .collect();
    let requests = scene.tenant.token_requests().len();
    let ran = finish(&mut scene.as_user(ANN, &env, &WORDS), MESSAGE.as_bytes());
    assert!(hostile.accept().is_err(), "the proxy was called");
    assert!(scene.tenant.token_requests().len() > requests);
    ran
}

/// What root sees of the calls of Ann's submission, from its first instruction on.
fn watched(scene: &Scene<'_>, outer: &[&str], words: &[&str]) -> (Ran, String) {
    let sendmail = "/usr/sbin/sendmail";
    let strace = ["strace", "-f", "-qq", "-o", "/root/trace", "-e"];
    let strace = [&strace[..], &["trace=file,desc,process", "--"]].concat();
    let words = [outer, &[sendmail], words].concat();
    let mut command = scene.kit().inside(&scene.host, &strace, ANN, words);
    let ran = finish(&mut command, MESSAGE.as_bytes());
    let trace = scene.host.path("root/trace");
    let calls = String::from_utf8_lossy(&fs::read(&trace).unwrap()).into_owned();
    // What it is sent is shown in part, and is nobody's to keep.
    fs::remove_file(trace).unwrap();
    let begun = calls.find(&format!("execve(\"{sendmail}")).unwrap();
    let own = calls[begun..].split_once('\n').unwrap().1.to_owned();
    (ran, own)
}

fn surrounded() -> Case {
    let run = |scene: &Scene<'_>| {
        let variables = assigned("", |name| !of_the_network(name));
        let env: Vec<&str> = ["env"]
            .into_iter()
            .chain(variables.iter().map(String::as_str))
            .collect();
        let (ran, calls) = watched(scene, &env, &WORDS);
        let touched = calls.lines().find(|call| call.contains("/evil"));
        assert_eq!(touched, None);
        assert!(calls.contains("/etc/sendmail365/config.toml"), "{calls}");
        ran
    };
    stale(Case::new(""))
        .run(run)
        .needs(&["installed", "strace"])
}

fn without_descriptors(script: &'static str) -> Case {
    let run = move |scene: &Scene<'_>| {
        let close = ["sh", "-c", script, "sh"];
        let (ran, calls) = watched(scene, &close, &["-i", TO]);
        let ours = calls
            .lines()
            .filter(|call| call.contains("open") && call.contains("sendmail365"));
        let mut seen = 0;
        for call in ours {
            seen += 1;
            let low = ["= 0", "= 1", "= 2"];
            assert!(!low.iter().any(|end| call.ends_with(end)), "{call}");
        }
        assert!(seen > 2, "{calls}");
        ran
    };
    Case::new(script)
        .mute()
        .run(run)
        .needs(&["installed", "strace"])
}

/// What is sent goes under the mask, and what is queued has the mode it has to have.
fn masked(mask: &'static str) -> Case {
    let run = move |scene: &Scene<'_>| {
        let script = format!("{mask}; exec \"$@\"");
        let outer = ["sh", "-c", &script, "sh"];
        let words = ["-odq", "-i", "masked@example.com"];
        if scene.queue {
            let queued = finish(&mut scene.as_user(ANN, &outer, &words), MESSAGE.as_bytes());
            queued.exits(0);
            let mode = fs::metadata(scene.entry()).unwrap().permissions().mode();
            assert_eq!(mode & 0o7777, 0o660, "{mask}");
            scene.work_off();
        }
        finish(&mut scene.as_user(BOB, &outer, &WORDS), MESSAGE.as_bytes())
    };
    Case::new(mask).run(run).needs(&["installed"])
}

/// A submission by a process that first does something to itself.
fn by_perl(prelude: &'static str) -> Case {
    let run = move |scene: &Scene<'_>| {
        let script = format!("{prelude} exec @ARGV");
        let outer = ["perl", "-e", &script];
        finish(&mut scene.as_user(ANN, &outer, &WORDS), MESSAGE.as_bytes())
    };
    Case::new(prelude).run(run).needs(&["installed"])
}

/// The answer to the message takes longer than the timer.
fn timed() -> Case {
    let slowly = Act::Slowly(Duration::from_millis(15));
    by_perl("alarm 1;").fault(Fault::At(Stage::End, slowly))
}

fn in_a_bad_directory(script: &'static str) -> Case {
    shell(script).repair(|scene| drop(fs::remove_dir(scene.host.path("tmp/own"))))
}

fn unknown() -> Case {
    let run = |scene: &Scene<'_>| {
        let nobody = ["--reuid=54321", "--regid=54321", "--clear-groups"];
        let words = [&["setpriv"], &nobody[..], &["/usr/sbin/sendmail"], &WORDS].concat();
        let mut command = scene.kit().inside(&scene.host, &[], ROOT, words);
        finish(&mut command, MESSAGE.as_bytes())
    };
    Case::new("54321").run(run).needs(&["installed"])
}

/// A folder of a user's in which a core would lie.
fn dumped() -> Case {
    let run = |scene: &Scene<'_>| {
        let grave = scene.host.path("home/ann/grave");
        fs::create_dir_all(&grave).unwrap();
        fs::set_permissions(&grave, fs::Permissions::from_mode(0o777)).unwrap();
        let script = "cd /home/ann/grave; ulimit -c unlimited; exec \"$@\"";
        let outer = ["sh", "-c", script, "sh"];
        let words = [&outer[..], &["sleep", "600"]].concat();
        let mut plain = scene.kit().inside(&scene.host, &[], ANN, words);
        let plain = plain.stdin(Stdio::null()).spawn().unwrap();
        let comm = format!("/proc/{}/comm", plain.id());
        until("it sleeps", || {
            fs::read_to_string(&comm).is_ok_and(|name| name == "sleep\n")
        });
        let plain = killed(scene, "QUIT", plain);
        // A machine that pipes its cores elsewhere may have nobody there to take them.
        let pattern = fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
        let piped = pattern.starts_with('|');
        assert!(
            piped || plain.status.core_dumped(),
            "the control leaves none"
        );
        clear(&grave);
        let mut last = None;
        for signal in ["QUIT", "SEGV"] {
            let stall = Fault::At(Stage::Mail, Act::Stall);
            let child = waiting(scene, ANN, &outer, stall);
            let ran = killed(scene, signal, child);
            scene.tenant.recover();
            assert!(!ran.status.core_dumped(), "{signal}: {ran:?}");
            assert_eq!(fs::read_dir(&grave).unwrap().count(), 0, "{signal}");
            last = Some(ran);
        }
        fs::remove_dir(&grave).unwrap();
        last.unwrap()
    };
    Case::new("core").run(run).mute().needs(&["installed"])
}

fn clear(folder: &std::path::Path) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        fs::remove_file(entry.path()).unwrap();
    }
}

/// A process that got a signal from its user, who has the right to send it.
fn killed(scene: &Scene<'_>, signal: &str, mut child: Child) -> Ran {
    signalled(scene, signal, &child);
    // What it handles, it may outlive.
    for _ in 0..100 {
        if child.try_wait().unwrap().is_some() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let _ = child.kill();
    Ran::finished(child)
}

fn signalled(scene: &Scene<'_>, signal: &str, child: &Child) {
    let line = format!("kill -{signal} {}", child.id());
    let words = ["sh", "-c", &line];
    finish(&mut scene.kit().inside(&scene.host, &[], ANN, words), b"").exits(0);
}

/// Ann stops a submission of hers that has the lock of the token; Joe's goes all the same.
fn behind_a_stopped_refresh() -> Case {
    let run = |scene: &Scene<'_>| {
        let requests = || scene.tenant.token_requests().len();
        let before = requests();
        scene.tenant.fault(Fault::Token(Answer::Stall));
        let mut command = scene.as_user(ANN, &[], &["-i", "stopped@example.com"]);
        let child = fed(&mut command);
        until("the request", || requests() > before);
        signalled(scene, "STOP", &child);
        scene.tenant.recover();
        let ran = finish(&mut scene.as_user(BOB, &[], &WORDS), MESSAGE.as_bytes());
        end(child);
        ran
    };
    stale(Case::new("STOP"))
        .run(run)
        .needs(&["installed", "signals"])
}

/// Its message handed over.
fn fed(command: &mut Command) -> Child {
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(MESSAGE.as_bytes()).unwrap();
    child
}

fn end(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Whoever holds the connections is killed, and the next one gets one at once.
fn after_killed_holders() -> Case {
    let run = |scene: &Scene<'_>| {
        let holders = [ANN, BOB].map(|user| {
            let stall = Fault::At(Stage::Mail, Act::Stall);
            waiting(scene, user, &[], stall)
        });
        scene.tenant.recover();
        for holder in holders {
            send("KILL", &holder);
            assert_eq!(Ran::finished(holder).status.signal(), Some(9));
        }
        scene.host.sendmail(WORDS, MESSAGE)
    };
    Case::new("KILL")
        .run(run)
        .needs(&["installed"])
        .also(|scene, _| match scene.host.log().contains("stage=slot") {
            true => Err("somebody waited in vain".to_owned()),
            false => Ok(()),
        })
}

/// A third of them by each user. Each is sent or queued when all have ended, and once.
fn hundred_at_once() -> Case {
    let names: Vec<String> = (0..100)
        .map(|number| format!("r{number:03}@example.com"))
        .collect();
    let to: Vec<&str> = names.iter().map(String::as_str).collect();
    let own = names.clone();
    let run = move |scene: &Scene<'_>| {
        let script = "for one; do { /usr/sbin/sendmail -i \"$one\" </tmp/message >/dev/null 2>&1 \
             || echo \"$one: $?\"; } & done; wait";
        scene.host.write("tmp/message", MESSAGE);
        let ran = std::thread::scope(|scope| {
            let parts = own.chunks(34).zip(crate::host::CALLERS);
            let runs: Vec<_> = parts
                .map(|(part, user)| {
                    let words = ["sh", "-c", script, "sh"].into_iter();
                    let words = words.chain(part.iter().map(String::as_str));
                    let ground = Ground::of(&scene.host);
                    let mut command = ground.inside_by_name(&[], user, words);
                    scope.spawn(move || finish(&mut command, b""))
                })
                .collect();
            let runs: Vec<Ran> = runs.into_iter().map(|run| run.join().unwrap()).collect();
            assert!(runs.iter().all(|ran| ran.stdout.is_empty()), "{runs:?}");
            runs.into_iter().next().unwrap()
        });
        fs::remove_file(scene.host.path("tmp/message")).unwrap();
        let waiting = scene.waiting();
        for one in &own {
            let queued = waiting.iter().filter(|entry| entry.contains(one)).count();
            let sent = scene.got(std::slice::from_ref(one));
            assert_eq!(sent + queued, 1, "{one}");
        }
        scene.work_off();
        ran
    };
    Case::new("100")
        .run(run)
        .to(&to)
        .needs(&["installed"])
        .prepare(|scene| scene.host.set("limits", "per_minute", "1000"))
        .also(|scene, _| match scene.host.log().contains("code=432") {
            true => Err("more connections than the mailbox may have".to_owned()),
            false => Ok(()),
        })
}
