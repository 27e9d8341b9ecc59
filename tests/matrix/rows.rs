//! How each fault of the table is brought about, for submissions.

use super::scene::{Case, Scene};
use super::{privileged, queued, scarce, signalled, socketed};
use crate::host::{Ran, finish};
use crate::submission::{self, MESSAGE};
use crate::tenant::{Act, Answer, Fault, Plan, Stage};
use crate::token::{self, expire};
use sendmail365::queue::gate::{Gate, Who};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::SystemTime;

/// The cases of a row, with the queue on or off.
pub type Cases = Box<dyn Fn(bool) -> Vec<Case>>;

/// All rows that are run.
pub fn cases() -> BTreeMap<&'static str, Cases> {
    let mut all = BTreeMap::new();
    for rows in [
        arguments(),
        input(),
        configuration(),
        surroundings(),
        slots(),
        network(),
        endpoint(),
        server(),
        spool(),
        output(),
        limits(),
        privileged::rows(),
        queued::rows(),
        scarce::rows(),
        signalled::rows(),
        socketed::rows(),
    ] {
        for (id, cases) in rows {
            assert!(all.insert(id, cases).is_none(), "{id} stands twice");
        }
    }
    all
}

pub type Rows = Vec<(&'static str, Cases)>;

/// One case that is the same with the queue and without.
pub fn one(case: impl Fn() -> Case + 'static) -> Cases {
    Box::new(move |_| vec![case()])
}

fn several(cases: impl Fn() -> Vec<Case> + 'static) -> Cases {
    Box::new(move |_| cases())
}

/// A submission with these arguments and this input.
fn called(arguments: &[&str], stdin: impl AsRef<[u8]>) -> Case {
    let arguments: Vec<String> = arguments.iter().map(|&word| word.to_owned()).collect();
    let stdin = stdin.as_ref().to_owned();
    Case::new("").run(move |scene| scene.host.sendmail(&arguments, &stdin))
}

fn at(stage: Stage, code: u16, text: &str) -> Fault {
    Fault::At(stage, Act::reply(code, text))
}

/// Runs the program under another one.
pub fn under(scene: &Scene<'_>, outer: &[&str], arguments: &[&str], stdin: &[u8]) -> Ran {
    let mut command = scene.host.command_under(outer, "sendmail", arguments);
    finish(&mut command, stdin)
}

/// Runs the program with system calls that fail, or kill it.
pub fn traced(scene: &Scene<'_>, options: &[&str], arguments: &[&str]) -> Ran {
    let mut outer = vec!["strace", "-f", "-qq", "-o", "/dev/null"];
    outer.extend(options);
    outer.push("--");
    under(scene, &outer, arguments, MESSAGE.as_bytes())
}

/// A submission with system calls that fail, or kill it.
fn injected(specs: &'static [&'static str]) -> Case {
    let run = move |scene: &Scene<'_>| {
        let options: Vec<&str> = specs.iter().flat_map(|spec| ["-e", spec]).collect();
        traced(scene, &options, &["-t", "-i"])
    };
    Case::new(specs.join(" ")).run(run).needs(&["strace"])
}

/// A submission whose calls fail on these files only.
fn injected_on(paths: &'static [&'static str], spec: &'static str) -> Case {
    let run = move |scene: &Scene<'_>| {
        let paths: Vec<String> = paths
            .iter()
            .map(|below| scene.host.path(below).to_str().unwrap().to_owned())
            .collect();
        let mut options = vec!["-e", spec];
        options.extend(paths.iter().flat_map(|path| ["-P", path.as_str()]));
        traced(scene, &options, &["-t", "-i"])
    };
    Case::new(spec).run(run).needs(&["strace"])
}

/// A submission through a shell, so that redirections and limits are the caller's.
pub fn shell(script: &'static str) -> Case {
    let run = move |scene: &Scene<'_>| {
        let outer = ["/bin/sh", "-c", script, "sh"];
        under(
            scene,
            &outer,
            &["-i", "ops@example.com"],
            MESSAGE.as_bytes(),
        )
    };
    Case::new(script).run(run)
}

/// A submission in namespaces of its own, after a script that mounts things there; `$R` is the
/// host's root.
pub fn namespace(kinds: &'static [&'static str], script: &'static str) -> Case {
    let run = move |scene: &Scene<'_>| {
        let root = scene.host.path("");
        let script = format!("R={}; set -e; {script}", root.to_str().unwrap());
        let mut outer = vec!["unshare"];
        outer.extend(kinds);
        outer.extend(["/bin/sh", "-c", &script, "sh"]);
        under(
            scene,
            &outer,
            &["-i", "ops@example.com"],
            MESSAGE.as_bytes(),
        )
    };
    Case::new(script).run(run).needs(&["unshare", "root"])
}

fn arguments() -> Rows {
    let long: Vec<String> = (0..400)
        .map(|number| format!("{number:03}{}@{}.test", "x".repeat(61), "y".repeat(60)))
        .collect();
    vec![
        ("A01", one(|| called(&["--no-such"], MESSAGE))),
        ("A02", one(|| called(&[], MESSAGE))),
        (
            "A03",
            one(|| {
                let words = [
                    "-X",
                    "home/x",
                    "-O",
                    "QueueDirectory=home/q",
                    "-oQhome/r",
                    "-OLogFile=home/l",
                ];
                called(&[&words[..], &["-t", "-i"]].concat(), MESSAGE).also(|scene, _| {
                    match fs::read_dir(scene.host.path("home")).unwrap().count() {
                        0 => Ok(()),
                        _ => Err("a file of the caller's choice was written".to_owned()),
                    }
                })
            }),
        ),
        (
            "A06",
            one(|| {
                Case::new("").run(|scene| {
                    scene
                        .host
                        .sendmail([OsStr::new("-i"), OsStr::from_bytes(b"\xff@x")], MESSAGE)
                })
            }),
        ),
        (
            "A07",
            one(move || {
                let name = "N".repeat(100 * 1024);
                let mut words = vec!["-i", "-F", &name];
                words.extend(long.iter().map(String::as_str));
                let to: Vec<&str> = long.iter().map(String::as_str).collect();
                called(&words, "\nx\n").to(&to)
            }),
        ),
        (
            "A08",
            one(|| {
                Case::new("")
                    .mute()
                    .run(|scene| finish(scene.host.bare_command("sendmail").arg0(""), b""))
            }),
        ),
        (
            "A09",
            one(|| {
                called(
                    &["-i", "-f", "a@x>\r\nRCPT TO:<b@y", "ops@example.com"],
                    MESSAGE,
                )
            }),
        ),
        (
            "A10",
            one(|| called(&["-i", "a@x\r\nRCPT TO:<b@y"], MESSAGE)),
        ),
        (
            "A11",
            several(|| {
                ["x\r\nBcc: v@y", "x\u{1b}[2J", "x\nFrom: root@y"]
                    .into_iter()
                    .map(|name| {
                        called(
                            &["-F", name, "-i", "ops@example.com"],
                            "To: ops@example.com\n\nx\n",
                        )
                        .also(|scene, _| {
                            let arrived = scene.tenant.received().pop().unwrap();
                            let (from, bcc) = (arrived.field("From"), arrived.field("Bcc"));
                            match from.len() == 1 && bcc.is_empty() && !arrived.data.contains(&0x1b)
                            {
                                true => Ok(()),
                                false => Err(arrived.text()),
                            }
                        })
                    })
                    .collect()
            }),
        ),
    ]
}

/// A submission that reads a file, with calls that fail on it.
fn reading(spec: &'static str) -> Case {
    let run = move |scene: &Scene<'_>| {
        scene.host.write("var/in", MESSAGE);
        let path = scene.host.path("var/in");
        let inner = scene.host.command("sendmail", ["-t", "-i"]);
        let mut command = Command::new("strace");
        command
            .args(["-f", "-qq", "-o", "/dev/null", "-e", spec, "-P"])
            .arg(&path)
            .arg("--");
        command.arg(inner.get_program()).args(inner.get_args());
        Ran::of(command.stdin(File::open(path).unwrap()))
    };
    Case::new(spec).run(run).needs(&["strace"])
}

fn input() -> Rows {
    let to_ops = "To: ops@example.com\nFrom: alerts@contoso.test\n";
    vec![
        ("I01", one(|| called(&["-t", "-i"], ""))),
        ("I02", one(|| called(&["-i", "ops@example.com"], ""))),
        (
            "I03",
            several(|| {
                vec![
                    reading("inject=read:error=EIO:when=1"),
                    reading("inject=read:error=EIO:when=2"),
                ]
            }),
        ),
        ("I04", one(|| reading("inject=read:error=EINTR:when=1"))),
        (
            "I05",
            one(|| {
                Case::new("").run(|scene| {
                    Ran::of(
                        scene
                            .host
                            .command("sendmail", ["-t", "-i"])
                            .stdin(File::open("/tmp").unwrap()),
                    )
                })
            }),
        ),
        (
            "I06",
            one(|| {
                Case::new("")
                    .run(|scene| {
                        under(
                            scene,
                            &["/bin/sh", "-c", "exec \"$@\" <&-", "sh"],
                            &["-t", "-i"],
                            b"",
                        )
                    })
                    .mute()
            }),
        ),
        (
            "I07",
            one(|| {
                called(&["-t", "-i"], format!("{MESSAGE}{}", "x".repeat(200_000)))
                    .prepare(|scene| scene.host.set("limits", "message_size", "\"100KB\""))
            }),
        ),
        (
            "I09",
            several(move || {
                vec![called(
                    &["-t", "-i"],
                    format!("{to_ops}X-Large: {}\n\nx\n", "x".repeat(1024 * 1024)),
                )]
            }),
        ),
        (
            "I10",
            one(|| called(&["-t", "-i"], format!("{MESSAGE}{}", "x".repeat(200_000)))),
        ),
        (
            "I11",
            one(move || {
                let body = "\nlf\n.\ncrlf\r\n.\r\ncr\r.\rlf.crlf\n.\r\nMAIL FROM:<x@y>\r\nend\n";
                called(&["-t", "-i"], format!("{to_ops}{body}"))
            }),
        ),
        (
            "I12",
            one(|| {
                called(&["-t"], format!("{MESSAGE}.\nlost\n")).also(|scene, _| {
                    let lost = scene
                        .tenant
                        .received()
                        .pop()
                        .unwrap()
                        .text()
                        .contains("lost");
                    if lost {
                        Err("what follows the dot was sent".to_owned())
                    } else {
                        Ok(())
                    }
                })
            }),
        ),
        (
            "I13",
            one(|| {
                called(&["-t", "-i"], format!("{MESSAGE}.\nfound\n")).also(|scene, _| {
                    let found = scene
                        .tenant
                        .received()
                        .pop()
                        .unwrap()
                        .text()
                        .contains(".\r\nfound");
                    if found {
                        Ok(())
                    } else {
                        Err("what follows the dot was not sent".to_owned())
                    }
                })
            }),
        ),
        (
            "I14",
            one(|| called(&["-t", "-i"], format!("{MESSAGE}a\0b\n"))),
        ),
        ("I15", one(|| called(&["-t", "-i"], "To: <<>>\n\nx\n"))),
        (
            "I16",
            one(|| {
                let list: Vec<String> = (0..1200)
                    .map(|number| format!("r{number}@example.com"))
                    .collect();
                let to: Vec<&str> = list.iter().map(String::as_str).collect();
                called(&["-t", "-i"], format!("To: {}\n\nx\n", list.join(",\n "))).to(&to)
            }),
        ),
        (
            "I17",
            one(move || called(&["-t", "-i"], format!("{to_ops}\nhalf a li"))),
        ),
    ]
}

/// A case with another content of the configuration file.
fn configured(label: &str, change: impl Fn(&str) -> String + Send + 'static) -> Case {
    Case::new(label)
        .prepare(move |scene| {
            let path = scene.host.path("etc/config.toml");
            let good = fs::read_to_string(&path).unwrap();
            scene.host.write("etc/config.toml", change(&good));
        })
        .repair(good_configuration)
}

fn good_configuration(scene: &mut Scene<'_>) {
    let path = scene.host.path("etc/config.toml");
    let _ = fs::remove_file(&path);
    let _ = fs::remove_dir(&path);
    fs::set_permissions(scene.host.path("etc"), Permissions::from_mode(0o755)).unwrap();
    let enabled = if scene.queue { "true" } else { "false" };
    scene.host.set("queue", "enabled", enabled);
}

fn configuration() -> Rows {
    let replaced = |kind: &'static str| {
        Case::new(kind)
            .prepare(move |scene| {
                let path = scene.host.path("etc/config.toml");
                fs::remove_file(&path).unwrap();
                if kind != "nothing" {
                    assert!(Command::new(kind).arg(&path).status().unwrap().success());
                }
            })
            .repair(good_configuration)
    };
    let open_to_all = |below: &'static str, mode: u32| {
        Case::new(below)
            .prepare(move |scene| {
                fs::set_permissions(scene.host.path(below), Permissions::from_mode(mode)).unwrap();
            })
            .repair(good_configuration)
    };
    vec![
        ("C01", one(move || replaced("nothing"))),
        (
            "C02",
            one(|| injected_on(&["etc/config.toml"], "inject=openat:error=EACCES")),
        ),
        (
            "C03",
            one(|| configured("syntax", |good| format!("{good}\n[smtp\n"))),
        ),
        (
            "C04",
            one(|| configured("key", |good| good.replace("mailbox", "mailbx"))),
        ),
        (
            "C05",
            several(move || {
                vec![
                    open_to_all("etc/config.toml", 0o646),
                    open_to_all("etc", 0o757),
                ]
            }),
        ),
        (
            "C07",
            several(move || vec![replaced("mkdir"), replaced("mkfifo")]),
        ),
        (
            "C08",
            one(|| configured("size", |_| "x".repeat(1024 * 1024 + 1))),
        ),
        (
            "C09",
            several(|| {
                vec![
                    configured("missing", |good| good.replace("tenant = ", "# ")),
                    configured("range", |good| {
                        good.replace("hello = \"web1", "hello = \"web 1")
                    }),
                ]
            }),
        ),
        (
            "C10",
            one(|| injected_on(&["etc/config.toml"], "inject=read:error=EIO")),
        ),
    ]
}

/// What a caller does to himself.
fn surroundings() -> Rows {
    vec![
        (
            "P11",
            one(|| shell("ulimit -f 1; exec \"$@\"").fault(Fault::SubmissionDown)),
        ),
        (
            "P13",
            one(|| shell("ulimit -n 4; exec \"$@\"").also(breaker_is_closed)),
        ),
    ]
}

fn breaker_is_closed(scene: &Scene<'_>, _: &Ran) -> Result<(), String> {
    let gate = Gate {
        dir: scene.host.path("var/state"),
        connections: 2,
        per_minute: 25,
    };
    match gate.breaker(SystemTime::now()) {
        None => Ok(()),
        Some(open) => Err(format!("{open:?}")),
    }
}

const SLOTS: [&str; 4] = [
    "etc/tokens/token.0",
    "etc/tokens/token.1",
    "var/state/token.0",
    "var/state/token.1",
];

/// A case with other slots; `change` is given the number and the content of each.
fn with_slots(label: &str, change: impl Fn(usize, Vec<u8>) -> Vec<u8> + Send + 'static) -> Case {
    Case::new(label)
        .prepare(move |scene| {
            for (number, below) in SLOTS.into_iter().enumerate() {
                if let Ok(slot) = fs::read(scene.host.path(below)) {
                    scene.host.write(below, change(number, slot));
                }
            }
        })
        .repair(|scene| scene.restore())
}

fn flipped(mut slot: Vec<u8>) -> Vec<u8> {
    if let Some(octet) = slot.get_mut(60) {
        *octet ^= 1;
    }
    slot
}

/// A case in which the next message needs a refresh.
pub fn stale(case: Case) -> Case {
    case.prepare(|scene| expire(&scene.host))
}

/// What can befall the stored sign-in.
pub fn slots() -> Rows {
    vec![
        (
            "T01",
            one(|| {
                Case::new("")
                    .prepare(|scene| {
                        SLOTS
                            .into_iter()
                            .for_each(|below| drop(fs::remove_file(scene.host.path(below))))
                    })
                    .repair(|scene| scene.restore())
            }),
        ),
        (
            "T02",
            several(|| {
                (0..2)
                    .map(|bad| {
                        with_slots(
                            "one",
                            move |number, slot| if number == bad { flipped(slot) } else { slot },
                        )
                    })
                    .collect()
            }),
        ),
        ("T03", one(|| with_slots("both", |_, slot| flipped(slot)))),
        (
            "T04",
            one(|| injected_on(&SLOTS, "inject=openat:error=EACCES")),
        ),
        (
            "T05",
            one(|| {
                stale(namespace(
                    &["-m"],
                    "mount --bind $R/etc $R/etc; mount -o remount,bind,ro $R/etc; exec \"$@\"",
                ))
            }),
        ),
        (
            "T06",
            several(|| {
                vec![
                    stale(injected(&["inject=pwrite64:error=ENOSPC"])),
                    stale(injected(&["inject=pwrite64:error=EIO"])),
                ]
            }),
        ),
        (
            "T07",
            one(|| stale(injected(&["inject=fdatasync:error=EIO"]))),
        ),
        (
            "T08",
            one(|| {
                Case::new("")
                    .prepare(|scene| {
                        expire(&scene.host);
                        for folder in ["etc/tokens", "var/state"] {
                            let _ = fs::remove_file(scene.host.path(folder).join("token.lock"));
                        }
                    })
                    .repair(|scene| scene.restore())
            }),
        ),
        (
            "T09",
            one(|| stale(injected(&["inject=flock:error=ENOLCK"]))),
        ),
        (
            "T11",
            one(|| with_slots("version", |_, _| b"v2 1 x y\n".to_vec())),
        ),
        (
            "T12",
            one(|| {
                Case::new("")
                    .prepare(|scene| {
                        for below in SLOTS {
                            let path = scene.host.path(below);
                            if fs::remove_file(&path).is_ok() {
                                symlink("/etc/passwd", path).unwrap();
                            }
                        }
                    })
                    .repair(|scene| {
                        for below in SLOTS {
                            let _ = fs::remove_file(scene.host.path(below));
                        }
                        scene.restore();
                    })
            }),
        ),
        ("T15", one(|| Case::new("").fault(Fault::RejectOnce535))),
    ]
}

/// A case with another setting for a while.
fn set(
    section: &'static str,
    key: &'static str,
    value: &'static str,
    good: fn(&Scene<'_>) -> String,
) -> Case {
    Case::new(format!("{key} {value}"))
        .prepare(move |scene| scene.host.set(section, key, value))
        .repair(move |scene| {
            let good = good(scene);
            scene.host.set(section, key, &good);
        })
}

fn good_host(_: &Scene<'_>) -> String {
    "\"localhost\"".to_owned()
}

fn network() -> Rows {
    let elsewhere = |script: &'static str| {
        let away = set("smtp", "host", "\"nowhere.invalid\"", good_host);
        Case {
            run: namespace(&["-m"], script).run,
            ..away
        }
        .needs(&["unshare", "root"])
    };
    vec![
        (
            "D01",
            one(move || {
                elsewhere(
                    "echo hosts: files >$R/var/nss; mount --bind $R/var/nss /etc/nsswitch.conf; exec \"$@\"",
                )
            }),
        ),
        (
            "D02",
            one(move || {
                elsewhere(
                    "echo hosts: files dns >$R/var/nss; mount --bind $R/var/nss /etc/nsswitch.conf; \
             echo nameserver 127.0.0.1 >$R/var/dns; mount --bind $R/var/dns /etc/resolv.conf; exec \"$@\"",
                )
            }),
        ),
        ("D04", one(|| Case::new("").fault(Fault::SubmissionDown))),
        (
            "D09",
            several(|| {
                vec![
                    injected(&["inject=connect:error=EACCES"]),
                    injected(&["inject=connect:error=EPERM"]),
                    injected(&["inject=connect:error=EHOSTUNREACH"]),
                    injected(&["inject=connect:error=ENETUNREACH"]),
                ]
            }),
        ),
        ("D10", one(|| namespace(&["-n"], "exec \"$@\""))),
        ("D11", one(|| injected(&["inject=socket:error=ENOBUFS"]))),
    ]
}

/// Groups faults that other tests know too by the row that they belong to.
fn grouped(all: Vec<(&'static str, Vec<Plan>)>, make: fn(Case) -> Case) -> Rows {
    let mut rows: BTreeMap<&'static str, Vec<(&'static str, Vec<Plan>)>> = BTreeMap::new();
    for (label, faults) in all {
        let id = label.split(' ').next().unwrap();
        let is_row = id.len() == 3 && id[1..].bytes().all(|octet| octet.is_ascii_digit());
        if is_row {
            rows.entry(id).or_default().push((label, faults));
        }
    }
    let cases = |faults: Vec<(&'static str, Vec<Plan>)>| -> Cases {
        Box::new(move |_| {
            let case = |(label, faults): &(&'static str, Vec<Plan>)| Case {
                faults: faults.clone(),
                ..make(Case::new(*label))
            };
            faults.iter().map(case).collect()
        })
    };
    rows.into_iter()
        .map(|(id, faults)| (id, cases(faults)))
        .collect()
}

fn endpoint() -> Rows {
    let mut all: Vec<(&str, Vec<Plan>)> = token::refusals()
        .into_iter()
        .map(|row| (row.id, vec![row.fault]))
        .collect();
    let odd = token::odd_answers().into_iter();
    all.extend(
        odd.filter(|(id, _)| !id.starts_with("H13"))
            .map(|(id, fault)| (id, vec![fault])),
    );
    for (label, status) in [
        ("H15 302", 302),
        ("H15 303", 303),
        ("H16 307", 307),
        ("H16 308", 308),
    ] {
        let url = "https://localhost:1/token".to_owned();
        all.push((
            label,
            vec![Fault::Token(Answer::Redirect(status, url)).into()],
        ));
    }
    let mut rows = grouped(all, stale);
    rows.push((
        "H01",
        one(|| {
            Case::new("")
                .prepare(|scene| {
                    expire(&scene.host);
                    scene
                        .host
                        .set("endpoint", "authority", "\"https://nowhere.invalid\"");
                })
                .repair(|scene| {
                    let authority = format!("{:?}", scene.tenant.authority());
                    scene.host.set("endpoint", "authority", &authority);
                })
        }),
    ));
    rows.push((
        "H12",
        one(|| Case::new("").fault(Fault::Token(Answer::ServerError(503)))),
    ));
    rows
}

fn server() -> Rows {
    let known = [
        submission::before_the_message(),
        submission::envelope(),
        submission::after_the_message(),
    ];
    let known = known.into_iter().flatten();
    let all: Vec<(&str, Vec<Plan>)> = known
        .filter(|row| !["D04", "S21"].contains(&row.id))
        .map(|row| (row.id, row.faults))
        .collect();
    let mut rows = grouped(all, |case| case);
    let abc = ["-i", "a@example.com", "b@example.com", "c@example.com"];
    let a = "a@example.com";
    let (b, c) = ("b@example.com", "c@example.com");
    let to_three = move || called(&abc, MESSAGE).to(&[a, b, c]);
    let large = || {
        format!(
            "{MESSAGE}{}",
            "text of a long line that goes on and on\n".repeat(200_000)
        )
    };
    rows.extend([
        (
            "S21",
            one(|| {
                Case::new("").fault(at(
                    Stage::Auth,
                    504,
                    "5.7.4 Unrecognized authentication type",
                ))
            }),
        ),
        (
            "S27",
            one(move || {
                to_three()
                    .to(&[b, c])
                    .refused(&[a])
                    .fault(at(Stage::RcptNth(1), 550, "5.1.1 unknown"))
                    .repair(|_| ())
            }),
        ),
        (
            "S28",
            one(move || to_three().fault(at(Stage::RcptNth(2), 450, "4.7.0 later"))),
        ),
        (
            "S29",
            one(move || {
                to_three()
                    .to(&[b, c])
                    .refused(&[a])
                    .fault(at(Stage::RcptNth(1), 550, "5.1.1 unknown"))
                    .fault(at(Stage::RcptNth(2), 450, "4.7.0 later"))
            }),
        ),
        (
            "S30",
            one(move || to_three().fault(Fault::RecipientLimit(2))),
        ),
        (
            "S34",
            several(move || {
                [Act::Close, Act::Reset]
                    .map(|act| called(&["-t", "-i"], large()).fault(Fault::At(Stage::Body, act)))
                    .into()
            }),
        ),
        (
            "S36",
            one(move || {
                called(&["-t", "-i"], large()).fault(Fault::At(
                    Stage::Body,
                    Act::ReplyThenClose(b"451 4.3.0 no\r\n".to_vec()),
                ))
            }),
        ),
        (
            "S49",
            one(|| Case::new("").fault(Fault::At(Stage::Quit, Act::Reset))),
        ),
        (
            "S55",
            one(|| {
                called(&["-i", "jörg@example.com"], MESSAGE)
                    .to(&["jörg@example.com"])
                    .fault(Fault::NoSmtputf8)
            }),
        ),
        (
            "S57",
            one(|| {
                let words = b"250 2.0.0 OK \x1b[2J\x07\x00 \xe2\x80\xae <id@x.test>\r\n".to_vec();
                Case::new("")
                    .fault(Fault::At(Stage::End, Act::Reply(words)))
                    .also(|scene, _| {
                        let printable = |octet| matches!(octet, b' '..=b'~' | b'\n');
                        match scene.host.log().bytes().all(printable) {
                            true => Ok(()),
                            false => Err("the log holds control characters".to_owned()),
                        }
                    })
            }),
        ),
        (
            "S58",
            one(|| {
                let words = b"250-2.0.0 one\r\n250-2.0.0 two\r\n250 2.0.0 OK\r\n".to_vec();
                Case::new("").fault(Fault::At(Stage::End, Act::Reply(words)))
            }),
        ),
    ]);
    rows
}

/// Kills the program, or fails a call, at each of the first so many calls of a kind.
fn at_each(calls: &'static [(&'static str, usize)], what: &'static str, down: bool) -> Vec<Case> {
    let numbered = calls
        .iter()
        .flat_map(|&(call, count)| (1..=count).map(move |when| (call, when)));
    numbered
        .map(|(call, when)| {
            let spec = format!("inject={call}:{what}:when={when}");
            let case = Case::new(&spec)
                .run(move |scene| traced(scene, &["-e", &spec], &["-t", "-i"]))
                .needs(&["strace"])
                .mute();
            if down {
                case.fault(Fault::SubmissionDown)
            } else {
                case
            }
        })
        .collect()
}

const COMMIT: &[(&str, usize)] = &[
    ("write", 4),
    ("fchmod", 1),
    ("fsync", 2),
    ("renameat2", 1),
    ("flock", 3),
    ("pwrite64", 2),
];

const DIALOGUE: &[(&str, usize)] = &[
    ("sendto", 2),
    ("writev", 6),
    ("recvfrom", 8),
    ("flock", 2),
    ("pwrite64", 1),
    ("write", 1),
];

/// With the server down and a spool of the kind that the script mounts; what is left in it is printed.
fn bad_disk(script: &'static str) -> Case {
    namespace(&["-m"], script)
}

macro_rules! full_spool {
    ($options:literal, $fill:literal) => {
        concat!(
            "S=$R/var/spool; mount -t tmpfs -o ",
            $options,
            " none $S; mkdir $S/tmp $S/queue $S/failed; ",
            "chmod 700 $S/*; : >$S/runner.lock; set +e; ",
            $fill,
            " \"$@\"; code=$?; find $S/tmp $S/queue -type f; exit $code"
        )
    };
}

fn spool() -> Rows {
    const FULL: &str = full_spool!("size=64k", "cat /dev/zero >$S/fill 2>/dev/null;");
    const NO_INODES: &str = full_spool!("size=4m,nr_inodes=5", "");
    const READ_ONLY: &str =
        "S=$R/var/spool; mount --bind $S $S; mount -o remount,bind,ro $S; exec \"$@\"";
    let down = |specs: &'static [&'static str]| injected(specs).fault(Fault::SubmissionDown);
    let nothing_left = |scene: &Scene<'_>, _: &Ran| {
        let left = [scene.host.spooled("tmp"), scene.host.spooled("queue")].concat();
        if left.is_empty() {
            Ok(())
        } else {
            Err(format!("left: {left:?}"))
        }
    };
    let gone = || {
        Case::new("")
            .prepare(|scene| fs::remove_dir_all(scene.host.path("var/spool")).unwrap())
            .repair(|scene| scene.restore())
    };
    vec![
        ("Q01", one(gone)),
        ("Q02", one(move || gone().fault(Fault::SubmissionDown))),
        ("Q03", one(|| bad_disk(FULL))),
        (
            "Q04",
            one(|| {
                bad_disk(FULL)
                    .fault(Fault::SubmissionDown)
                    .also(nothing_printed)
            }),
        ),
        (
            "Q05",
            one(|| {
                bad_disk(NO_INODES)
                    .fault(Fault::SubmissionDown)
                    .also(nothing_printed)
            }),
        ),
        (
            "Q06",
            one(|| bad_disk(READ_ONLY).fault(Fault::SubmissionDown)),
        ),
        (
            "Q07",
            one(move || down(&["inject=write:error=EIO:when=1"]).also(nothing_left)),
        ),
        (
            "Q08",
            one(move || down(&["inject=fsync:error=EIO:when=1"]).also(nothing_left)),
        ),
        (
            "Q09",
            one(move || down(&["inject=renameat2:error=EIO"]).also(nothing_left)),
        ),
        (
            "Q10",
            one(move || down(&["inject=fsync:error=EIO:when=2"]).also(nothing_left)),
        ),
        (
            "Q11",
            one(move || down(&["inject=fsync:error=EIO:when=2", "inject=unlink:error=EIO"])),
        ),
        (
            "Q12",
            one(move || down(&["inject=renameat2:error=EEXIST:when=1"])),
        ),
        (
            "Q13",
            one(|| {
                Case::new("")
                    .prepare(|scene| {
                        let path = scene.host.path("var/spool/queue");
                        fs::set_permissions(path, Permissions::from_mode(0o777)).unwrap();
                    })
                    .repair(|scene| scene.restore())
                    .fault(Fault::SubmissionDown)
            }),
        ),
        ("Q15", several(|| at_each(COMMIT, "signal=SIGKILL", true))),
        (
            "Q16",
            several(|| at_each(DIALOGUE, "signal=SIGKILL", false)),
        ),
        (
            "Q17",
            several(|| {
                let mut cases = at_each(COMMIT, "error=EIO", true);
                cases.extend(at_each(&[("write", 1), ("fsync", 2)], "error=ENOSPC", true));
                cases.into_iter().map(Case::counted_by_exit).collect()
            }),
        ),
    ]
}

fn nothing_printed(_: &Scene<'_>, ran: &Ran) -> Result<(), String> {
    match ran.stdout.is_empty() {
        true => Ok(()),
        false => Err("a file is left in the spool".to_owned()),
    }
}

fn output() -> Rows {
    vec![
        ("O01", one(|| shell("exec \"$@\" >&-"))),
        ("O02", one(|| shell("exec \"$@\" 2>&-"))),
        (
            "O03",
            one(|| {
                shell("exec \"$@\" 2>/dev/full")
                    .mute()
                    .fault(Fault::SubmissionDown)
            }),
        ),
        (
            "O04",
            one(|| {
                shell("{ \"$@\"; echo $? >&3; } 3>&1 2>&1 >/dev/null | { read -r code; exec <&-; exit ${code:-99}; }")
            .mute().fault(Fault::SubmissionDown)
            .run(|scene| {
                // The reader is gone before the program has anything to say.
                let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
                drop(ours);
                let mut command = scene.host.command("sendmail", ["-t", "-i"]);
                scene.host.write("var/in", MESSAGE);
                command.stdin(File::open(scene.host.path("var/in")).unwrap());
                command.stdout(Stdio::null()).stderr(std::os::fd::OwnedFd::from(theirs));
                let status = command.status().unwrap();
                Ran { status, stdout: String::new(), stderr: String::new(), read_all: true }
            })
            }),
        ),
        (
            "O05",
            one(|| set("log", "syslog", "true", |_| "false".to_owned())),
        ),
        ("K09", one(|| shell("exec \"$@\" | true").mute())),
    ]
}

fn limits() -> Rows {
    let remove = |name: &'static [&'static str]| {
        Case::new("")
            .prepare(move |scene| {
                for name in name {
                    fs::remove_file(scene.host.path("var/state").join(name)).unwrap();
                }
            })
            .repair(|scene| scene.restore())
    };
    vec![
        (
            "L01",
            one(|| {
                let to: Vec<String> = (0..20)
                    .map(|number| format!("r{number}@example.com"))
                    .collect();
                let names: Vec<&str> = to.iter().map(String::as_str).collect();
                let run = |scene: &Scene<'_>| {
                    let host = &scene.host;
                    std::thread::scope(|scope| {
                        let runs: Vec<_> = (0..20)
                            .map(|number| {
                                scope.spawn(move || {
                                    host.sendmail(
                                        ["-i", &format!("r{number}@example.com")],
                                        MESSAGE,
                                    )
                                })
                            })
                            .collect();
                        let mut runs: Vec<Ran> =
                            runs.into_iter().map(|run| run.join().unwrap()).collect();
                        runs.sort_by_key(|ran| ran.status.code());
                        runs.pop().unwrap()
                    })
                };
                Case::new("")
                    .prepare(|scene| scene.host.set("limits", "per_minute", "1000"))
                    .run(run)
                    .to(&names)
                    .also(|scene, _| match scene.host.log().contains("code=432") {
                        true => Err("more connections than the mailbox may have".to_owned()),
                        false => Ok(()),
                    })
            }),
        ),
        (
            "L02",
            one(|| {
                Case::new("").run(|scene| {
                    let held = ["slot.0", "slot.1"].map(|name| {
                        let slot = File::open(scene.host.path("var/state").join(name)).unwrap();
                        slot.try_lock().unwrap();
                        slot
                    });
                    let ran = scene.host.sendmail(["-t", "-i"], MESSAGE);
                    drop(held);
                    ran
                })
            }),
        ),
        ("L04", one(move || remove(&["slot.0", "slot.1"]))),
        (
            "L05",
            one(|| {
                Case::new("").prepare(|scene| {
                    let gate = Gate {
                        dir: scene.host.path("var/state"),
                        connections: 2,
                        per_minute: 25,
                    };
                    for _ in 0..14 {
                        gate.pace(SystemTime::now, Who::Submission);
                    }
                })
            }),
        ),
        (
            "L06",
            one(|| {
                Case::new("")
                    .prepare(|scene| {
                        scene.tenant.fault(Fault::SubmissionDown);
                        scene.host.sendmail(["-i", "before@example.com"], MESSAGE);
                        scene.tenant.recover();
                    })
                    .entries(2)
            }),
        ),
        (
            "L07",
            several(|| {
                ["garbage\n", ""]
                    .map(|text| {
                        Case::new("").prepare(move |scene| {
                            scene.host.write("var/state/breaker", text.repeat(30))
                        })
                    })
                    .into()
            }),
        ),
        (
            "L08",
            one(|| {
                Case::new("").prepare(|scene| {
                    (shell("ulimit -n 4; exec \"$@\"").run)(scene);
                    for room in ["queue", "failed"] {
                        for name in scene.host.spooled(room) {
                            fs::remove_file(scene.host.path("var/spool").join(room).join(name))
                                .unwrap();
                        }
                    }
                })
            }),
        ),
    ]
}
