//! The stage on which a fault is played: a tenant, a host made anew for each case, and a case.

use super::table::Row;
use crate::binary;
use crate::host::{Host, Ran};
use crate::installed::{Kit, User};
use crate::packages::rows::Site;
use crate::submission::MESSAGE;
use crate::tenant::{Delivered, Plan, Tenant};
use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

/// The recipient of `MESSAGE`.
pub const TO: &str = "ops@example.com";

/// A tenant, and a signed-in host that others are copied from.
pub struct Template {
    pub tenant: Tenant,
    origin: Origin,
}

/// Where the hosts of the cases come from.
enum Origin {
    Copied {
        host: Host,
        /// Nobody signs in: the application shows its secret.
        application: bool,
    },
    /// One for all cases, put back each time: a package made it.
    Packaged(Site),
}

/// One case on its way.
pub struct Scene<'a> {
    template: &'a Template,
    pub tenant: &'a Tenant,
    pub host: Host,
    pub queue: bool,
    received: usize,
    /// What makes it a host where the program is installed, for ordinary users.
    kit: Option<Kit>,
}

/// How a fault of the table is brought about.
pub struct Case {
    pub label: String,
    pub faults: Vec<Plan>,
    pub prepare: Step,
    pub run: Play,
    pub repair: Step,
    pub also: Option<Also>,
    /// Everybody who has to get the message in the end.
    pub to: Vec<String>,
    /// Who never gets it.
    pub refused: Vec<String>,
    pub entries: usize,
    /// Nobody can read what is said, or a shell says something of its own.
    pub mute: bool,
    /// The copies are those that the exit status promises.
    pub counted_by_exit: bool,
    pub tools: &'static [&'static str],
}

pub type Step = Box<dyn Fn(&mut Scene<'_>) + Send>;
pub type Play = Box<dyn Fn(&Scene<'_>) -> Ran + Send>;
pub type Also = Box<dyn Fn(&Scene<'_>, &Ran) -> Result<(), String> + Send>;

/// The setting of the queue, for people.
pub struct Mode(pub bool);

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0 { "queue on" } else { "queue off" })
    }
}

impl Case {
    /// A plain submission.
    pub fn new(label: impl Into<String>) -> Case {
        Case {
            label: label.into(),
            faults: Vec::new(),
            prepare: Box::new(|_| ()),
            run: Box::new(|scene| scene.host.sendmail(["-t", "-i"], MESSAGE)),
            repair: Box::new(|_| ()),
            also: None,
            to: vec![TO.to_owned()],
            refused: Vec::new(),
            entries: 1,
            mute: false,
            counted_by_exit: false,
            tools: &[],
        }
    }

    /// With a fault of the tenant.
    pub fn fault(mut self, fault: impl Into<Plan>) -> Case {
        self.faults.push(fault.into());
        self
    }

    /// With something done to the host first.
    pub fn prepare(mut self, step: impl Fn(&mut Scene<'_>) + Send + 'static) -> Case {
        self.prepare = Box::new(step);
        self
    }

    /// Called otherwise.
    pub fn run(mut self, play: impl Fn(&Scene<'_>) -> Ran + Send + 'static) -> Case {
        self.run = Box::new(play);
        self
    }

    /// With the fault of the host taken away again.
    pub fn repair(mut self, step: impl Fn(&mut Scene<'_>) + Send + 'static) -> Case {
        self.repair = Box::new(step);
        self
    }

    /// With something more to hold.
    pub fn also(
        mut self,
        also: impl Fn(&Scene<'_>, &Ran) -> Result<(), String> + Send + 'static,
    ) -> Case {
        self.also = Some(Box::new(also));
        self
    }

    /// To others.
    pub fn to(mut self, to: &[&str]) -> Case {
        self.to = to.iter().map(|&one| one.to_owned()).collect();
        self
    }

    /// With recipients who never get it.
    pub fn refused(mut self, refused: &[&str]) -> Case {
        self.refused = refused.iter().map(|&one| one.to_owned()).collect();
        self
    }

    /// With so many messages in the queue.
    pub fn entries(mut self, entries: usize) -> Case {
        self.entries = entries;
        self
    }

    /// What is on stderr is not the program's, or nobody's.
    pub fn mute(mut self) -> Case {
        self.mute = true;
        self
    }

    /// One copy if the exit status was 0, else none.
    pub fn counted_by_exit(mut self) -> Case {
        self.counted_by_exit = true;
        self
    }

    /// Only where these tools are; `root`, `signals` and `installed` are what else a host may lack.
    pub fn needs(mut self, tools: &'static [&'static str]) -> Case {
        self.tools = tools;
        self
    }

    /// Whether this host has what it takes.
    pub fn possible(&self) -> bool {
        self.tools.iter().all(|&tool| match tool {
            "root" => crate::is_root(),
            "signals" => crate::signals::can_be_signalled(),
            "installed" => Kit::possible(),
            _ => crate::needs(tool),
        })
    }

    /// Whether a user needs more for it than a clean root has.
    pub fn brings_tools(&self) -> bool {
        let ours = ["root", "signals", "installed", "unshare", "setpriv"];
        self.tools.iter().any(|tool| !ours.contains(tool))
    }

    /// What is wrong with the text on stderr, if anything.
    pub fn said(&self, ran: &Ran, states: &str, row: &Row) -> Option<String> {
        if self.mute || ran.status.code().is_none() || row.stage == "runner" {
            return None;
        }
        let lines: Vec<&str> = ran.stderr.lines().collect();
        let waits = states
            .split('|')
            .all(|state| ["QUEUED", "SPLIT", "UNSURE"].contains(&state));
        let fault = match ran.status.code() {
            Some(0) if states == "SENT" && !lines.is_empty() => "a sent message is not silent",
            // Nobody waits where the others were refused for good.
            Some(0) if states == "SPLIT" && ran.stderr.contains("a copy is kept as ") => {
                return None;
            }
            Some(0) if waits && !ran.stderr.contains("queued as ") => "it does not say `queued as`",
            Some(0) => return None,
            // What keeps it from the server stands between the two.
            _ if !(2..=4).contains(&lines.len()) => "a failure is not told in two lines",
            _ if lines.len() > 2 && !ran.stderr.contains("queue") => {
                "a failure is told in too many lines"
            }
            _ if states == "UNSURE" && !ran.stderr.contains("may have been") => {
                "unsure, and not said"
            }
            _ => return None,
        };
        Some(fault.to_owned())
    }
}

impl Template {
    /// Starts a tenant and signs in.
    pub fn new() -> Template {
        let tenant = Tenant::start();
        let host = Host::with_queue(&binary(), &tenant);
        let application = false;
        let origin = Origin::Copied { host, application };
        Template { tenant, origin }
    }

    /// The same with a host that the package was installed into, if this machine can have one. Its
    /// cases come one after the other.
    pub fn packaged() -> Option<Template> {
        let tenant = Tenant::start();
        tenant.allow_any_rate();
        let origin = Origin::Packaged(Site::for_tenant(&tenant)?);
        Some(Template { tenant, origin })
    }

    /// The site of the package.
    pub fn site(&self) -> &Site {
        match &self.origin {
            Origin::Packaged(site) => site,
            Origin::Copied { .. } => panic!("no package made it"),
        }
    }

    /// The same for a grant without a person.
    pub fn application() -> Template {
        let tenant = Tenant::start();
        let mut host = Host::configured(&binary(), &tenant);
        host.set("queue", "enabled", "true");
        show_secret(&mut host, &tenant);
        host.run("sendmail365", ["login"], "").exits(0);
        let application = true;
        let origin = Origin::Copied { host, application };
        Template { tenant, origin }
    }

    /// A host of its own for one case.
    pub fn scene(&self, queue: bool) -> Scene<'_> {
        self.tenant.recover();
        let mut host = match &self.origin {
            Origin::Packaged(site) => site.host(&self.tenant),
            Origin::Copied { .. } => Host::configured(&binary(), &self.tenant),
        };
        host.set("queue", "enabled", if queue { "true" } else { "false" });
        if let Origin::Copied {
            host: from,
            application,
        } = &self.origin
        {
            if *application {
                show_secret(&mut host, &self.tenant);
            }
            for folder in ["etc/tokens", "var/state", "var/spool"] {
                copy(from, &host, folder);
            }
        }
        let kit = host.package().map(|_| Kit::install(&host));
        Scene {
            template: self,
            tenant: &self.tenant,
            host,
            queue,
            kit,
            received: self.tenant.received().len(),
        }
    }
}

fn show_secret(host: &mut Host, tenant: &Tenant) {
    host.write("etc/client-secret", tenant.client_secret());
    let path = host.path("etc/client-secret");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    host.set("account", "client_secret_file", &format!("{path:?}"));
    host.set("account", "grant", "\"client-secret\"");
}

fn copy(from: &Host, to: &Host, folder: &str) {
    let mode = fs::metadata(from.path(folder)).unwrap().permissions();
    let _ = fs::create_dir_all(to.path(folder));
    for item in fs::read_dir(from.path(folder)).unwrap() {
        let item = item.unwrap();
        let below = format!("{folder}/{}", item.file_name().to_str().unwrap());
        match item.path().is_dir() {
            true => copy(from, to, &below),
            false => drop(fs::copy(item.path(), to.path(&below)).unwrap()),
        }
    }
    fs::set_permissions(to.path(folder), mode).unwrap();
}

impl Scene<'_> {
    /// Puts the files of the sign-in, the shared state and the spool back that a case took away.
    pub fn restore(&self) {
        match &self.template.origin {
            Origin::Packaged(site) => site.restore(),
            Origin::Copied { host, .. } => {
                for folder in ["etc/tokens", "var/state", "var/spool"] {
                    copy(host, &self.host, folder);
                }
            }
        }
    }

    /// Makes it a host where the program is installed.
    pub fn install(&mut self) {
        self.kit = Some(Kit::install(&self.host));
    }

    /// What makes it so.
    pub fn kit(&self) -> &Kit {
        self.kit.as_ref().unwrap()
    }

    /// `sendmail` as a user of such a host calls it; `outer` stands before it.
    pub fn as_user(&self, user: User, outer: &[&str], words: &[&str]) -> Command {
        let sendmail = self.host.within("usr/sbin/sendmail");
        let words = [outer, &[sendmail.to_str().unwrap()], words].concat();
        self.kit().inside(&self.host, &[], user, words)
    }

    /// What has arrived so far was another case.
    pub fn forget(&mut self) {
        self.received = self.tenant.received().len();
    }

    /// The first entry of the queue.
    pub fn entry(&self) -> PathBuf {
        let names = self.host.spooled("queue");
        self.host.path("var/spool/queue").join(&names[0])
    }

    /// What the tenant has taken since the case began, notices about refusals aside.
    fn taken(&self) -> Vec<Delivered> {
        let all = self.tenant.received();
        let new = all.into_iter().skip(self.received);
        new.filter(|one| !one.recipients.iter().all(|to| to == self.tenant.mailbox()))
            .collect()
    }

    /// How many copies reached these recipients.
    pub fn got(&self, recipients: &[String]) -> usize {
        let taken = self.taken();
        let got = taken.iter().flat_map(|one| &one.recipients);
        got.filter(|to| recipients.contains(to)).count()
    }

    /// The least and the most copies that one recipient has.
    pub fn copies(&self, case: &Case) -> (usize, usize) {
        let each = |to: &String| self.got(std::slice::from_ref(to));
        let counts: Vec<usize> = case.to.iter().map(each).collect();
        (*counts.iter().min().unwrap(), *counts.iter().max().unwrap())
    }

    /// Entries that somebody waits for, notices aside.
    pub fn waiting(&self) -> Vec<String> {
        let names = self.host.spooled("queue");
        let entries = names.iter().map(|name| {
            let octets = fs::read(self.host.path("var/spool/queue").join(name)).unwrap_or_default();
            String::from_utf8_lossy(&octets[..octets.len().min(2048)]).into_owned()
        });
        entries
            .filter(|entry| !entry.contains(" via=notice") && entry.contains("\nR- "))
            .collect()
    }

    /// Every name that fits what there is.
    pub fn states(&self, case: &Case, ran: &Ran) -> Vec<&'static str> {
        let (fewest, most) = self.copies(case);
        let waiting = self.waiting();
        let (queued, failed) = (waiting.len(), self.host.spooled("failed").len());
        let none = most == 0 && self.got(&case.refused) == 0;
        let all = fewest == 1 && most == 1;
        // An attempt that was begun and came to no end may have come to its end over there.
        let doubtful = |entry: &String| {
            entry.contains(" class=unsure ") || (all && entry.contains(" open=1 "))
        };
        let unsure = waiting.iter().any(doubtful);
        let doubt = ran.stderr.contains("may have been") || ran.status.code().is_none();
        // Nobody is left to put it into the queue.
        let unheard = ran.stderr.contains("submit broke before the answer") && queued <= 1;
        let notices = self.host.spooled("queue").len() - queued;
        let states = [
            ("SENT", all && queued == 0 && failed == 0),
            (
                "QUEUED",
                none && queued == case.entries && failed == 0 && !unsure,
            ),
            ("SPLIT", most == 1 && queued + notices >= 1 && queued <= 1),
            (
                "UNSURE",
                (none || all)
                    && doubt
                    && (unheard || queued == usize::from(self.queue) && unsure == self.queue),
            ),
            (
                "REPORTED",
                none && queued == 0 && failed <= usize::from(self.queue),
            ),
            ("DROPPED", none && queued == 0 && failed == 0),
            ("FAILED", queued == 0 && failed >= 1),
        ];
        let fitting = states.into_iter().filter(|(_, fits)| *fits);
        fitting.map(|(state, _)| state).collect()
    }

    /// What there is, for people.
    pub fn describe(&self, case: &Case) -> String {
        let rooms = ["tmp", "queue", "failed"].map(|room| (room, self.host.spooled(room)));
        format!("copies {:?}, spool {rooms:?}", self.copies(case))
    }

    /// A secret in what is kept or logged, or a file in the spool that others can read.
    pub fn exposed(&self) -> Option<String> {
        for room in ["queue", "failed", "tmp"] {
            for name in self.host.spooled(room) {
                let path = self.host.path("var/spool").join(room).join(name);
                let octets = fs::read(&path).unwrap_or_default();
                // All that is ours stands before the body, which may be megabytes.
                let secret = self.tenant.leak_in(&octets[..octets.len().min(16 * 1024)]);
                let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
                if secret.is_some() || (room == "queue" && mode & 0o117 != 0) {
                    return Some(format!("{}: mode {mode:o}, {secret:?}", path.display()));
                }
            }
        }
        let log = self.host.log();
        self.tenant
            .leak_in(log.as_bytes())
            .map(|_| format!("a secret in the log: {log}"))
    }

    /// Runs the queue until it is empty, or nothing helps.
    pub fn work_off(&self) {
        for _ in 0..8 {
            if !self.queue || self.host.spooled("queue").is_empty() {
                break;
            }
            self.forget_troubles();
            self.host.run_queue();
        }
    }

    /// A submission after the fault behaves as if it never was.
    pub fn next_message_goes(&self) -> Option<String> {
        self.forget_troubles();
        let before = self.tenant.received().len();
        let ran = self.host.sendmail(["-i", "next@example.com"], MESSAGE);
        let went = ran.status.code() == Some(0)
            && ran.stderr.is_empty()
            && self.tenant.received().len() == before + 1;
        (!went).then(|| format!("the next message: {ran:#?} {}", self.host.log()))
    }

    fn forget_troubles(&self) {
        if self.host.path("var/state/pace").exists() {
            self.host.forget_troubles();
        }
    }
}
