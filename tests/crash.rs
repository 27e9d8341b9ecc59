//! The program killed, and its system calls failing, one after the other, in every way a message can
//! go: what exit status 0 promised is kept, and what a failure denied never arrives.
//!
//! A plain trace of a scenario gives its system calls; then it runs once for each of them. After each
//! run the cause of trouble is taken away and the queue is run until it is empty. The suite kills at
//! every call, and lets every call that can fail do so once, with one error after the other;
//! `SENDMAIL365_CRASH_ALL=1` tries each error at each of them.

use crate::binary;
use crate::host::{Host, Ran, finish};
use crate::submission::MESSAGE;
use crate::tenant::{Act, Fault, Setup, Stage, Tenant};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Names of calls that touch nothing outside the process.
const INWARD: [&str; 27] = [
    "brk",
    "mmap",
    "munmap",
    "mprotect",
    "madvise",
    "mremap",
    "arch_prctl",
    "rseq",
    "prlimit64",
    "set_tid_address",
    "set_robust_list",
    "getrandom",
    "futex",
    "sigaltstack",
    "rt_sigaction",
    "rt_sigprocmask",
    "getpid",
    "getresgid",
    "getresuid",
    "gettid",
    "clock_gettime",
    "sched_getaffinity",
    "sched_yield",
    "exit",
    "execve",
    "getresuid",
    "getresgid",
];

/// Names of calls that are made to fail.
const FALLIBLE: [&str; 23] = [
    "openat",
    "read",
    "write",
    "writev",
    "pwrite64",
    "pread64",
    "fsync",
    "fdatasync",
    "renameat2",
    "unlink",
    "unlinkat",
    "close",
    "fchmod",
    "statx",
    "fstat",
    "newfstatat",
    "statfs",
    "getdents64",
    "socket",
    "connect",
    "sendto",
    "recvfrom",
    "lseek",
];

const ERRORS: [&str; 7] = [
    "EIO", "ENOSPC", "EROFS", "EMFILE", "EINTR", "EFBIG", "EDQUOT",
];

/// Calls from the wait for the server's last word on a message to the mark. A kill there, and only
/// there, may send a message twice.
const WINDOW: [&str; 3] = ["setsockopt", "recvfrom", "pwrite64"];

/// One way that a message can go.
struct Scenario {
    name: &'static str,
    /// What the runner finds in the queue, by recipients; empty where a submission is traced.
    entries: &'static [&'static [&'static str]],
    /// Whom the submission names.
    to: &'static [&'static str],
    faults: fn() -> Vec<Fault>,
    token_lifetime: Option<i64>,
}

const SENT: Scenario = Scenario {
    name: "sent",
    entries: &[],
    to: &["one@example.com", "two@example.com"],
    faults: Vec::new,
    token_lifetime: None,
};

const DEFERRED: Scenario = Scenario {
    name: "deferred",
    faults: || vec![Fault::SubmissionDown],
    ..SENT
};

const REFUSED: Scenario = Scenario {
    name: "refused",
    faults: || vec![reply(Stage::Rcpt, 550, "5.1.1 unknown")],
    ..SENT
};

const SPLIT: Scenario = Scenario {
    name: "split",
    to: &["one@example.com", "two@example.com", "three@example.com"],
    faults: || {
        vec![
            reply(Stage::RcptNth(1), 550, "5.1.1 unknown"),
            reply(Stage::RcptNth(2), 450, "4.7.0 later"),
        ]
    },
    ..SENT
};

const UNSURE: Scenario = Scenario {
    name: "unsure",
    faults: || vec![Fault::AcceptThenClose],
    ..SENT
};

const REFRESH: Scenario = Scenario {
    name: "refresh",
    token_lifetime: Some(120),
    ..SENT
};

const RUNNER: Scenario = Scenario {
    name: "runner",
    entries: &[&["one@example.com"]],
    to: &[],
    ..SENT
};

const RUNNER_REFUSED: Scenario = Scenario {
    name: "runner-refused",
    entries: &[&["one@example.com", "two@example.com"]],
    faults: || vec![reply(Stage::RcptNth(1), 550, "5.1.1 unknown")],
    ..RUNNER
};

const RUNNER_TWO: Scenario = Scenario {
    name: "runner-two",
    entries: &[&["one@example.com"], &["two@example.com"]],
    ..RUNNER
};

/// How often what was tried, and seen.
#[derive(Default)]
struct Tally {
    runs: usize,
    unreached: usize,
    twice: BTreeMap<String, usize>,
}

/// A scenario with its tenant, host, and what every run starts from.
struct Bench {
    scenario: &'static Scenario,
    tenant: Tenant,
    host: Host,
    slots: Vec<(String, Vec<u8>)>,
    queued: Vec<(String, Vec<u8>)>,
    processor: usize,
}

/// What a run left behind, before anything was repaired.
struct Left {
    ran: Ran,
    arrived: usize,
    queued: usize,
    unsure: bool,
}

fn reply(stage: Stage, code: u16, text: &str) -> Fault {
    Fault::At(stage, Act::reply(code, text))
}

impl Bench {
    fn new(scenario: &'static Scenario) -> Bench {
        let tenant = Tenant::with(Setup {
            connections_max: 100,
            token_lifetime: scenario.token_lifetime,
            ..Setup::default()
        });
        let host = Host::with_queue(&binary(), &tenant);
        host.sendmail(["-i", "first@example.com"], MESSAGE).exits(0);
        for to in scenario.entries {
            let words = ["-odq", "-i"].iter().chain(*to);
            host.sendmail(words, MESSAGE).exits(0).silently();
        }
        let slots = contents(&host, "etc/tokens");
        let queued = contents(&host, "var/spool/queue");
        Bench {
            scenario,
            tenant,
            host,
            slots,
            queued,
            processor: next_processor(),
        }
    }

    fn recipients(&self) -> BTreeSet<&'static str> {
        let queued = self.scenario.entries.iter().copied().flatten();
        queued.chain(self.scenario.to).copied().collect()
    }

    /// Everything as it was before the first run, and the scenario's trouble in force.
    fn reset(&self) {
        self.tenant.recover();
        self.tenant.forget();
        for room in ["tmp", "queue", "failed"] {
            for name in self.host.spooled(room) {
                fs::remove_file(self.host.path("var/spool").join(room).join(name)).unwrap();
            }
        }
        for (folder, files) in [
            ("etc/tokens", &self.slots),
            ("var/spool/queue", &self.queued),
        ] {
            for (name, content) in files {
                fs::write(self.host.path(folder).join(name), content).unwrap();
            }
        }
        let _ = fs::remove_file(self.host.path("var/log"));
        self.host.forget_troubles();
        for fault in (self.scenario.faults)() {
            self.tenant.fault(fault);
        }
    }

    /// The scenario under strace, both on one processor: a tracer on another is woken twice for each
    /// call, which costs more than the call.
    fn traced(&self, words: &[&str]) -> Ran {
        let arguments: Vec<&str> = match self.scenario.entries {
            [] => ["-i"].iter().chain(self.scenario.to).copied().collect(),
            _ => vec!["-qf"],
        };
        let inner = self.host.command("sendmail", arguments);
        let mut command = Command::new("taskset");
        command.args(["--cpu-list", &self.processor.to_string()]);
        command.args(["strace", "-f", "-qq"]).args(words).arg("--");
        command.arg(inner.get_program()).args(inner.get_args());
        finish(&mut command, MESSAGE.as_bytes())
    }

    /// One run with an injection, and what it left.
    fn inject(&self, spec: &str) -> Left {
        self.reset();
        let call = spec.split(':').next().unwrap();
        let (filter, inject) = (format!("trace={call}"), format!("inject={spec}"));
        let ran = self.traced(&["-o", "/dev/null", "-e", &filter, "-e", &inject]);
        // A server whose client is gone needs a moment to take the message, or not to.
        let _ = self.tenant.connections();
        let log = self.host.log();
        self.whole_entries_only(spec);
        Left {
            unsure: ran.stderr.contains("may have been") || log.contains("event=unsure"),
            arrived: self
                .recipients()
                .iter()
                .map(|one| self.delivered(one))
                .sum(),
            queued: self.host.spooled("queue").len(),
            ran,
        }
    }

    /// The calls of the scenario as (name, number), without those before the program's own first.
    fn points(&self) -> Vec<(String, usize)> {
        self.reset();
        let trace = self.host.path("trace");
        self.traced(&["-o", trace.to_str().unwrap()]);
        let text = String::from_utf8_lossy(&fs::read(&trace).unwrap()).into_owned();
        fs::remove_file(trace).unwrap();
        let (mut counts, mut points) = (BTreeMap::new(), Vec::new());
        let (mut ours, mut loader) = (false, BTreeSet::new());
        for line in text.lines() {
            let (pid, rest) = line.split_once(' ').unwrap();
            let Some((name, _)) = rest.trim_start().split_once('(') else {
                continue;
            };
            if !name
                .bytes()
                .all(|octet| octet.is_ascii_alphanumeric() || octet == b'_')
            {
                continue;
            }
            let count = counts.entry((pid.to_owned(), name.to_owned())).or_insert(0);
            *count += 1;
            if !ours {
                loader.insert((name.to_owned(), *count));
            }
            ours |= rest.contains("rt_sigaction(SIGPIPE");
            // strace counts by thread: a thread's first calls cannot be told from the loader's.
            let point = (name.to_owned(), *count);
            let inward = INWARD.contains(&name) || loader.contains(&point);
            if !inward && !points.contains(&point) {
                points.push(point);
            }
        }
        assert!(points.len() > 40, "{}: {points:?}", self.scenario.name);
        points
    }

    fn delivered(&self, recipient: &str) -> usize {
        let received = self.tenant.received();
        let to = received.iter().flat_map(|one| &one.recipients);
        to.filter(|one| *one == recipient).count()
    }

    /// Whether the sender was told by a notice that this one does not get it.
    fn noticed(&self, recipient: &str) -> bool {
        self.tenant
            .received()
            .iter()
            .any(|one| one.recipients == ["alerts@contoso.test"] && one.text().contains(recipient))
    }

    fn whole_entries_only(&self, at: &str) {
        for (name, content) in contents(&self.host, "var/spool/queue") {
            let trailer = content.len().saturating_sub(60);
            let ends = String::from_utf8_lossy(&content[trailer..]).contains("\n.SM365 END ");
            assert!(
                content.starts_with(b"SM365Q1 ") && ends,
                "{at}: {name} is half an entry"
            );
        }
    }

    /// With the trouble gone, the queue is worked off to the last entry, and nothing but what was
    /// refused, or what could not be marked as sent, stands aside.
    fn settle(&self, at: &str) {
        self.tenant.recover();
        for _ in 0..6 {
            if self.host.spooled("queue").is_empty() {
                break;
            }
            self.host.forget_troubles();
            self.host.sendmail(["-qf"], "").exits(0);
            // An attempt that did not live to its end has to wait; here, no longer than this.
            for (name, mut content) in contents(&self.host, "var/spool/queue") {
                content[..511].fill(b' ');
                fs::write(self.host.path("var/spool/queue").join(name), content).unwrap();
            }
        }
        let (queued, failed) = (self.host.spooled("queue"), self.host.spooled("failed"));
        assert!(
            queued.is_empty(),
            "{at}: {queued:?} stays\n{}",
            self.host.log()
        );
        let known = |name: &String| name.ends_with(".refused") || name.ends_with(".unrecorded");
        assert!(
            failed.iter().all(known),
            "{at}: {failed:?}\n{}",
            self.host.log()
        );
    }

    /// The next message finds a usable sign-in.
    fn goes_on(&self, at: &str) {
        self.host.forget_troubles();
        let ran = self.host.sendmail(["-i", "next@example.com"], MESSAGE);
        assert_eq!(ran.status.code(), Some(0), "{at}: {ran:#?}");
        assert_eq!(self.delivered("next@example.com"), 1, "{at}");
    }

    /// After a kill nobody was told anything: all recipients have it, or none, and nobody has it
    /// twice unless the kill came between the server's reply and the mark.
    fn judge_kill(&self, call: &str, at: &str, left: &Left, tally: &mut Tally) {
        let log = self.host.log();
        self.settle(at);
        let served = |one: &&str| self.delivered(one) > 0 || self.noticed(one);
        let recipients = self.recipients();
        let count = recipients.iter().filter(|one| served(one)).count();
        let ours = !self.scenario.entries.is_empty();
        let none = count == 0 && !ours;
        assert!(
            none || count == recipients.len(),
            "{at}: {count} served\n{log}"
        );
        let most = recipients
            .iter()
            .map(|one| self.delivered(one))
            .max()
            .unwrap();
        if most > 1 {
            *tally.twice.entry(call.to_owned()).or_default() += 1;
            let allowed = left.arrived > 0 && (WINDOW.contains(&call) || left.unsure);
            let lost_reply = self.scenario.name == "unsure";
            assert!(most == 2 && (allowed || lost_reply), "{at}: twice\n{log}");
        }
    }

    /// Without a kill the exit status is a promise.
    fn judge_exit(&self, at: &str, left: &Left, tally: &mut Tally) {
        let code = left.ran.status.code().unwrap_or(-1);
        let log = self.host.log();
        let told = || format!("{at}: exit {code}\n{}\n{log}", left.ran.stderr);
        assert!(code == 0 || (64..=78).contains(&code), "{}", told());
        let ours = !self.scenario.entries.is_empty();
        // The standard library panics where a directory cannot be closed. No file system does that.
        let outlandish = code == 70 && at.contains(" close:") && (ours || left.queued == 0);
        assert!(code != 70 || outlandish, "{}", told());
        if code != 0 && !ours && !outlandish {
            let clean = left.arrived == 0 && left.queued == 0;
            assert!(clean || left.unsure, "{}", told());
        }
        self.settle(at);
        let unrecorded = self
            .host
            .spooled("failed")
            .iter()
            .any(|name| name.ends_with("unrecorded"));
        for one in self.recipients() {
            let delivered = self.delivered(one);
            let served = delivered > 0 || self.noticed(one) || unrecorded;
            let lost = !served && (code == 0 || ours);
            assert!(!lost, "{}: {one} lost", told());
            if delivered > 1 {
                *tally.twice.entry("unsure".to_owned()).or_default() += 1;
            }
            assert!(
                delivered < 2 || (delivered == 2 && (left.unsure || outlandish)),
                "{}: twice",
                told()
            );
        }
    }
}

/// One after the other of those that this process may use.
fn next_processor() -> usize {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let mut lines = status.lines();
    let list = lines.find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let ranges = list.unwrap().trim().split(',').map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        first.parse::<usize>().unwrap()..=last.parse().unwrap()
    });
    let allowed: Vec<usize> = ranges.flatten().collect();
    allowed[COUNT.fetch_add(1, Ordering::Relaxed) % allowed.len()]
}

fn contents(host: &Host, folder: &str) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for item in fs::read_dir(host.path(folder)).unwrap() {
        let path = item.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        all.push((name, fs::read(path).unwrap()));
    }
    all
}

fn all() -> bool {
    std::env::var_os("SENDMAIL365_CRASH_ALL").is_some()
}

/// Kills the scenario at one call after the other.
fn kill_everywhere(scenario: &'static Scenario) {
    if !crate::needs("strace") || !crate::needs("taskset") {
        return;
    }
    let bench = Bench::new(scenario);
    let mut tally = Tally::default();
    for (call, nth) in bench.points() {
        let spec = format!("{call}:signal=SIGKILL:when={nth}");
        let left = bench.inject(&spec);
        tally.runs += 1;
        let at = format!("{} {spec}", scenario.name);
        if left.ran.status.signal() == Some(9) {
            bench.judge_kill(&call, &at, &left, &mut tally);
        } else {
            tally.unreached += 1;
            bench.judge_exit(&at, &left, &mut tally);
        }
        if all() || scenario.token_lifetime.is_some() {
            bench.goes_on(&at);
        }
    }
    report("kills", scenario, &tally);
    assert!(
        tally.unreached * 10 < tally.runs,
        "the trace does not repeat"
    );
}

/// Makes one call after the other fail.
fn fail_everywhere(scenario: &'static Scenario) {
    if !crate::needs("strace") || !crate::needs("taskset") {
        return;
    }
    let bench = Bench::new(scenario);
    let mut tally = Tally::default();
    let mut points = bench.points();
    points.retain(|(call, _)| FALLIBLE.contains(&call.as_str()));
    if !all() {
        // Most calls come in pairs, a file here and its like there: the suite lets every other one fail.
        points = points.into_iter().step_by(2).collect();
    }
    for (number, (call, nth)) in points.into_iter().enumerate() {
        for (place, error) in ERRORS.iter().enumerate() {
            if !all() && place != number % ERRORS.len() {
                continue;
            }
            let spec = format!("{call}:error={error}:when={nth}");
            let left = bench.inject(&spec);
            tally.runs += 1;
            let at = format!("{} {spec}", scenario.name);
            bench.judge_exit(&at, &left, &mut tally);
            if all() || scenario.token_lifetime.is_some() {
                bench.goes_on(&at);
            }
        }
    }
    report("failing calls", scenario, &tally);
}

fn report(what: &str, scenario: &Scenario, tally: &Tally) {
    println!(
        "{}: {} {what}, {} not reached, sent twice: {:?}",
        scenario.name, tally.runs, tally.unreached, tally.twice
    );
}

macro_rules! scenarios {
    ($($scenario:ident $killed:ident $failing:ident)*) => {$(
        #[test]
        fn $killed() {
            kill_everywhere(&$scenario);
        }

        #[test]
        fn $failing() {
            fail_everywhere(&$scenario);
        }
    )*};
}

scenarios! {
    SENT killed_while_it_is_sent failing_while_it_is_sent
    DEFERRED killed_while_it_is_queued failing_while_it_is_queued
    REFUSED killed_while_it_is_refused failing_while_it_is_refused
    SPLIT killed_while_some_get_it failing_while_some_get_it
    UNSURE killed_while_the_reply_is_lost failing_while_the_reply_is_lost
    REFRESH killed_while_the_token_is_renewed failing_while_the_token_is_renewed
    RUNNER killed_while_the_queue_runs failing_while_the_queue_runs
    RUNNER_REFUSED killed_while_a_notice_is_made failing_while_a_notice_is_made
    RUNNER_TWO killed_between_two_entries failing_between_two_entries
}
