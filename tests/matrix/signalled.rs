//! How each fault of the table is brought about that is a signal: a stall of the tenant is the moment.

use super::rows::{Cases, Rows, one};
use super::scene::{Case, Scene, TO};
use crate::host::Ran;
use crate::signals::{send, stalled, start, takes_signals, until};
use crate::submission::MESSAGE;
use crate::tenant::{Act, Fault, Stage};
use std::fs;
use std::io::Write;
use std::process::Child;
use std::time::Duration;

/// All rows about signals.
pub fn rows() -> Rows {
    let stall = |stage| Fault::At(stage, Act::Stall);
    let slowly = || Fault::At(Stage::End, Act::Slowly(Duration::from_millis(20)));
    vec![
        ("K01", each(&["TERM", "HUP", "INT"], while_it_reads)),
        (
            "K02",
            Box::new(move |_| {
                let stages = [Stage::Greeting, Stage::Tls, Stage::Auth, Stage::Data];
                let signals = ["TERM", "HUP"].iter().cycle();
                let both = stages.into_iter().zip(signals);
                both.map(|(stage, signal)| met(stall(stage), signal))
                    .collect()
            }),
        ),
        (
            "K03",
            each(&["TERM", "HUP"], move |signal| met(slowly(), signal)),
        ),
        ("K04", one(|| met(Fault::AcceptThen(Act::Stall), "TERM"))),
        (
            "K05",
            Box::new(move |_| {
                let stages = [Stage::Greeting, Stage::Data];
                stages.map(|stage| met(stall(stage), "INT")).into()
            }),
        ),
        ("K06", one(move || met(slowly(), "INT"))),
        (
            "K07",
            one(move || signalled("again and again", stall(Stage::Auth), again_and_again)),
        ),
        (
            "K08",
            one(|| {
                let slowly = Act::Slowly(Duration::from_millis(10));
                Case::new("STOP and CONT")
                    .fault(Fault::At(Stage::Greeting, slowly))
                    .run(stopped_and_continued)
                    .needs(&["signals"])
                    .also(|scene, _| {
                        let breaker = scene.host.path("var/state/breaker");
                        let breaker = fs::read_to_string(breaker).unwrap();
                        match breaker.contains("breaker1 defer") {
                            true => Err(format!("others are kept away: {breaker}")),
                            false => Ok(()),
                        }
                    })
            }),
        ),
        (
            "R31",
            Box::new(move |_| {
                let stages = [Stage::Greeting, Stage::Data];
                stages.map(|stage| runner(stall(stage))).into()
            }),
        ),
    ]
}

fn each(signals: &'static [&'static str], case: impl Fn(&'static str) -> Case + 'static) -> Cases {
    Box::new(move |_| signals.iter().map(|signal| case(signal)).collect())
}

/// A submission that gets a signal where it has met the fault.
fn met(fault: Fault, signal: &'static str) -> Case {
    let label = format!("{signal} {fault:?}");
    signalled(label, fault, move |child| {
        send(signal, &child);
        Ran::finished(child)
    })
}

fn signalled(
    label: impl Into<String>,
    fault: Fault,
    play: impl Fn(Child) -> Ran + Send + 'static,
) -> Case {
    Case::new(label)
        .run(move |scene| play(stalled(&scene.host, scene.tenant, fault.clone())))
        .needs(&["signals"])
}

fn while_it_reads(signal: &'static str) -> Case {
    let run = move |scene: &Scene<'_>| {
        let mut child = start(&scene.host, &["-t", "-i"]);
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(MESSAGE.as_bytes()).unwrap();
        until("it takes signals", || takes_signals(&child));
        send(signal, &child);
        let ran = Ran::finished(child);
        drop(stdin);
        ran
    };
    Case::new(signal).run(run).needs(&["signals"])
}

fn again_and_again(mut child: Child) -> Ran {
    while child.try_wait().unwrap().is_none() {
        send("TERM", &child);
        send("INT", &child);
    }
    Ran::finished(child)
}

fn stopped_and_continued(scene: &Scene<'_>) -> Ran {
    let before = scene.tenant.connections().len();
    let mut child = start(&scene.host, &["-t", "-i"]);
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(MESSAGE.as_bytes()).unwrap();
    drop(stdin);
    until("a connection", || scene.tenant.connections().len() > before);
    send("STOP", &child);
    until("it stands still", || {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id()));
        status.unwrap().contains("State:\tT")
    });
    send("CONT", &child);
    Ran::finished(child)
}

/// The runner's pass, which gets a signal where it has met the fault.
fn runner(fault: Fault) -> Case {
    let run = move |scene: &Scene<'_>| {
        let met = || scene.tenant.faults_met();
        let before = met();
        scene.tenant.fault(fault.clone());
        let child = start(&scene.host, &["-qf"]);
        until("the fault", || met() > before);
        send("TERM", &child);
        Ran::finished(child)
    };
    let queued = |scene: &mut Scene<'_>| {
        scene.host.sendmail(["-odq", "-i", TO], MESSAGE).exits(0);
    };
    Case::new("").prepare(queued).run(run).needs(&["signals"])
}
