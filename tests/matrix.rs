//! Every fault of the table, with the queue and without: exit status, where the message is, what is
//! said, what is logged; then the fault ends, the queue runs empty, and the copies are counted.
//!
//! After each row: no secret anywhere, nothing open to all in the spool, and the next message goes.
//!
//! With `MATRIX=S2` in the environment only rows run whose id begins so.

pub mod privileged;
mod queued;
pub mod rows;
mod scarce;
pub mod scene;
mod signalled;
mod socketed;
pub mod table;

use scene::{Case, Mode, Scene, Template};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::thread;
use table::{Expected, Row, table};

/// Most of a row is waiting for processes.
const THREADS: usize = 5;

/// Rows whose wait is a real one: begun first, so that the others run meanwhile.
const SLOW: [&str; 2] = ["L02", "P22"];

/// A row with the queue on or off.
struct Job {
    row: Row,
    queue: bool,
    cases: Vec<Case>,
}

#[test]
fn every_fault_of_the_table_ends_as_the_table_says() {
    let mut jobs = VecDeque::new();
    let mut cases = rows::cases();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for row in table() {
        let own = cases.remove(row.id.as_str());
        if !row.runs() {
            let (kind, why) = match &row.not_run {
                Some(why) => ("not run", why.clone()),
                None => ("covered", row.covered_by.join(", ")),
            };
            *counts.entry(kind).or_default() += 1;
            assert!(own.is_none(), "{} is {kind} ({why}) and has cases", row.id);
            continue;
        }
        let own = own.unwrap_or_else(|| panic!("{} has no cases", row.id));
        *counts.entry("run").or_default() += 1;
        for queue in [true, false] {
            if row.expected(queue).applies() {
                let job = Job {
                    row: row.clone(),
                    queue,
                    cases: own(queue),
                };
                match SLOW.contains(&row.id.as_str()) {
                    true => jobs.push_front(job),
                    false => jobs.push_back(job),
                }
            }
        }
    }
    assert!(cases.is_empty(), "not in the table: {:?}", cases.keys());
    println!("rows of the table: {counts:?}");
    let only = std::env::var("MATRIX").ok();
    jobs.retain(|job| {
        only.as_ref()
            .is_none_or(|only| job.row.id.starts_with(only))
    });
    let jobs = Mutex::new(jobs);
    let failed = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let template = Template::new();
                loop {
                    let Some(job) = jobs.lock().unwrap().pop_front() else {
                        break;
                    };
                    let wrong = run(&template, &job);
                    failed.lock().unwrap().extend(wrong);
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(
        failed.is_empty(),
        "{} failed\n{}",
        failed.len(),
        failed.join("\n")
    );
}

/// The rows about the stored sign-in once more, for an application: it has nothing to lose there, so
/// whatever befalls the slots, the message goes at once.
#[test]
fn no_fault_of_the_slots_stops_an_application() {
    let template = Template::application();
    let rows: BTreeMap<String, Row> = table()
        .into_iter()
        .map(|row| (row.id.clone(), row))
        .collect();
    let (mut wrong, mut tried) = (Vec::new(), 0);
    for (id, cases) in rows::slots() {
        let row = &rows[id];
        for queue in [true, false] {
            let goes_at_once =
                |log: &String| match log.contains("=hold") || log.contains("=refused") {
                    true => "event=sent".to_owned(),
                    false => log.clone(),
                };
            let own = row.expected(queue);
            let expected = Expected {
                exit: "0".to_owned(),
                state: "SENT".to_owned(),
                total: "1".to_owned(),
                log: own.log.iter().map(goes_at_once).collect(),
            };
            for case in cases(queue).iter().filter(|case| case.possible()) {
                let mut scene = template.scene(queue);
                let faults = play(&mut scene, case, &expected, row);
                let told = |fault| format!("{id} {} ({}): {fault}", case.label, Mode(queue));
                wrong.extend(faults.into_iter().map(told));
                tried += 1;
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(tried >= 12, "{tried}");
}

/// Runs the cases of a row; what is wrong is told in full.
fn run(template: &Template, job: &Job) -> Vec<String> {
    let mut failed = Vec::new();
    for case in &job.cases {
        if !case.possible() {
            continue;
        }
        let mut scene = template.scene(job.queue);
        let wrong = play(&mut scene, case, job.row.expected(job.queue), &job.row);
        if !wrong.is_empty() {
            let mode = Mode(job.queue);
            let (id, label) = (&job.row.id, &case.label);
            failed.push(format!("{id} {label} ({mode}): {}", wrong.join("\n    ")));
        }
    }
    failed
}

/// Plays one case; what is wrong is told in full.
pub fn play(scene: &mut Scene<'_>, case: &Case, expected: &Expected, row: &Row) -> Vec<String> {
    let mut wrong = Vec::new();
    if case.brings_tools() {
        scene.host.bring_tools();
    }
    (case.prepare)(scene);
    let log = scene.host.log().len();
    for fault in &case.faults {
        scene.tenant.fault(fault.clone());
    }
    let ran = (case.run)(scene);
    let exit = ran
        .status
        .code()
        .map_or("sig".to_owned(), |code| code.to_string());
    let mut expect = |held: bool, what: String| {
        if !held {
            wrong.push(what);
        }
    };
    let log = scene.host.log().get(log..).unwrap_or_default().to_owned();
    if expected.exit != "-" {
        expect(
            Expected::allows(&expected.exit, &exit),
            format!("exit {exit}, not {}: {ran:#?} {log}", expected.exit),
        );
    }
    let states = scene.states(case, &ran);
    expect(
        ["WAIT", "DENIED"].contains(&expected.state.as_str())
            || states
                .iter()
                .any(|state| Expected::allows(&expected.state, state)),
        format!(
            "{states:?}, not {}: {} {ran:#?} {log}",
            expected.state,
            scene.describe(case)
        ),
    );
    if let Some(fault) = case.said(&ran, &expected.state, row) {
        expect(false, format!("{fault}: {ran:#?}"));
    }
    for event in &expected.log {
        expect(
            logged(&log, event),
            format!("no {event:?} in the log: {log}"),
        );
    }
    if let Some(fault) = scene.exposed() {
        expect(false, fault);
    }
    if let Some(also) = &case.also
        && let Err(fault) = also(scene, &ran)
    {
        expect(false, format!("{fault} {ran:#?} {log}"));
    }
    let kept = exit == "0";
    scene.tenant.recover();
    (case.repair)(scene);
    scene.work_off();
    if expected.total != "-" {
        let (fewest, most) = scene.copies(case);
        let total = match case.counted_by_exit {
            true => u8::from(kept).to_string(),
            false => expected.total.clone(),
        };
        let (low, high) = bounds(&total);
        expect(
            low <= fewest && most <= high,
            format!(
                "{fewest} to {most} copies, not {total}: {} {ran:#?} {log}",
                scene.describe(case)
            ),
        );
        let refused = scene.got(&case.refused);
        expect(refused == 0, format!("{refused} refused recipients got it"));
    }
    if let Some(fault) = scene.next_message_goes() {
        expect(false, fault);
    }
    wrong
}

/// The least and the most of `1`, `0|1` or `1..2`.
fn bounds(total: &str) -> (usize, usize) {
    let numbers: Vec<usize> = total
        .split(['.', '|'])
        .filter_map(|number| number.parse().ok())
        .collect();
    (numbers[0], numbers[numbers.len() - 1])
}

/// Whether one line holds all words of an event.
fn logged(log: &str, event: &str) -> bool {
    let holds = |line: &str, wanted: &str| {
        line.replace('"', "")
            .split(' ')
            .any(|word| match wanted.strip_suffix('*') {
                Some(start) => word.starts_with(start),
                None => word == wanted,
            })
    };
    log.lines()
        .any(|line| event.split(' ').all(|wanted| holds(line, wanted)))
}
