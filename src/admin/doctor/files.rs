//! Owners and modes: what keeps the sign-in from the users, and lets the program do its work.

use super::report::Check;
use crate::config::Config;
use crate::config::paths::{self, Location, Places};
use crate::oauth;
use crate::sys::caller::{ACCOUNT, Account, Caller};
use crate::sys::look::{self, Kind, Seen};
use crate::sys::privilege::raised;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

pub(super) const NAME: &str = "files";

/// Where the installed program stands.
const PROGRAM: &str = "/usr/sbin/sendmail365";

/// Who has to own a file of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    Root,
    /// The account that runs the queue.
    Account,
}

/// What is to be said of a file that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Absent {
    /// Nothing.
    Fine,
    /// The host goes on without.
    Warn(&'static str),
    Failed(&'static str),
}

/// How a file of the host has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    path: PathBuf,
    kind: Kind,
    owner: Owner,
    mode: u32,
    absent: Absent,
}

const LOGIN_MAKES: &str = "run `sendmail365 login` as root, which makes it";

const SPOOL: &str = "as root: install -d -o sendmail365 -g sendmail365 -m 3770 \
     /var/spool/sendmail365/tmp /var/spool/sendmail365/queue /var/spool/sendmail365/failed";

const RUNNER_LOCK: &str =
    "as root: install -o root -g sendmail365 -m 0660 /dev/null /var/spool/sendmail365/runner.lock";

/// Judges whether the account is there that the program works as.
pub(super) fn account() -> Check {
    const NAME: &str = "account";
    match Account::of_queue().uid {
        0 => Check::warn(NAME, format!("the account {ACCOUNT} does not exist"))
            .because("the program stays root where it would become that account")
            .fix(format!(
                "as root: useradd --system --no-create-home --shell /usr/sbin/nologin {ACCOUNT}"
            )),
        uid => Check::ok(NAME, format!("{ACCOUNT} exists, uid {uid}")),
    }
}

/// Where things are, by the settings or where they usually are.
pub(super) struct Sites {
    pub(super) tokens: Vec<PathBuf>,
    pub(super) state: PathBuf,
    /// None where there is no queue.
    pub(super) spool: Option<PathBuf>,
    pub(super) connections: u32,
    pub(super) secrets: Vec<PathBuf>,
    pub(super) log: Option<PathBuf>,
}

impl Sites {
    pub(super) fn of(config: &Config) -> Sites {
        let queue = &config.queue;
        Sites {
            tokens: config.token_dirs.clone(),
            state: config.state_dir.clone(),
            spool: queue.enabled.then(|| queue.spool.clone()),
            connections: queue.connections,
            secrets: config.secret_files.clone(),
            log: config.log.file().map(Path::to_owned),
        }
    }

    fn usual(location: &Location, caller: &Caller) -> Sites {
        let Places {
            tokens,
            state,
            spool,
        } = paths::defaults(location, caller);
        Sites {
            tokens: vec![tokens, state.clone()],
            state,
            spool: Some(spool),
            connections: 0,
            secrets: Vec::new(),
            log: None,
        }
    }

    /// What the processes of a host tell each other.
    pub(super) fn shared(&self) -> Vec<PathBuf> {
        let slots = (0..self.connections).map(|number| format!("slot.{number}"));
        let names = slots.chain(["breaker", "pace", "rounds", "visitors"].map(str::to_owned));
        names.map(|name| self.state.join(name)).collect()
    }
}

/// Judges the files of the host's own settings, each by owner, group and mode. Without settings
/// nothing is missed.
pub(super) fn of_host(
    location: &Location,
    config: Option<&Config>,
    caller: &Caller,
) -> (Vec<Check>, usize) {
    let account = Account::of_queue();
    let known = account.uid != 0;
    let usual = || Sites::usual(location, caller);
    let sites = config.map_or_else(usual, Sites::of);
    let mut rules = rules(&location.path, &sites);
    if config.is_none() {
        rules.iter_mut().for_each(|rule| rule.absent = Absent::Fine);
    }
    let judged = rules.iter().filter_map(|rule| rule.judge(known, &account));
    let is_there = |rule: &&Rule| raised(|| look::look(&rule.path)).is_ok();
    let count = rules.iter().filter(is_there).count();
    (gathered(judged.collect()), count)
}

fn rules(file: &Path, sites: &Sites) -> Vec<Rule> {
    let rule = |path: &Path, kind, mode, absent| Rule {
        path: path.to_owned(),
        kind,
        owner: Owner::Root,
        mode,
        absent,
    };
    let mut rules = Vec::new();
    let installed = look::leads_to(Path::new(PROGRAM)).ok();
    if installed.is_some() && look::program() == installed {
        rules.push(rule(Path::new(PROGRAM), Kind::File, 0o2755, Absent::Fine));
    }
    if let Some(dir) = file.parent() {
        rules.push(rule(dir, Kind::Dir, 0o750, Absent::Fine));
    }
    rules.push(rule(file, Kind::File, 0o640, Absent::Fine));
    for path in &sites.secrets {
        // Tools that renew a key leave a link to it.
        let real = raised(|| look::leads_to(path)).unwrap_or_else(|_| path.clone());
        rules.push(rule(&real, Kind::File, 0o640, Absent::Fine));
    }
    for (place, dir) in sites.tokens.iter().enumerate() {
        let absent = match place {
            0 => Absent::Failed(LOGIN_MAKES),
            _ => Absent::Fine,
        };
        let files = oauth::files(std::slice::from_ref(dir));
        rules.extend(files.map(|path| rule(&path, Kind::File, 0o660, absent)));
    }
    let absent = Absent::Warn(LOGIN_MAKES);
    rules.push(rule(&sites.state, Kind::Dir, 0o750, absent));
    for path in sites.shared() {
        rules.push(rule(&path, Kind::File, 0o660, absent));
    }
    if let Some(spool) = &sites.spool {
        rules.push(rule(spool, Kind::Dir, 0o750, Absent::Failed(SPOOL)));
        for name in ROOMS {
            let room = rule(&spool.join(name), Kind::Dir, 0o3770, Absent::Failed(SPOOL));
            rules.push(Rule {
                owner: Owner::Account,
                ..room
            });
        }
        let lock = spool.join("runner.lock");
        rules.push(rule(&lock, Kind::File, 0o660, Absent::Failed(RUNNER_LOCK)));
    }
    if let Some(log) = &sites.log {
        rules.push(rule(log, Kind::File, 0o660, Absent::Fine));
    }
    rules
}

pub(super) const ROOMS: [&str; 3] = ["tmp", "queue", "failed"];

impl Rule {
    /// What is wrong; `known` tells whether the account exists, without which no group can be right.
    fn judge(&self, known: bool, account: &Account) -> Option<Check> {
        let seen = match raised(|| look::look(&self.path)) {
            Ok(seen) => seen,
            Err(error) => return self.not_seen(&error),
        };
        if let Some(check) = self.wrong_kind(&seen) {
            return Some(check);
        }
        let wanted = match self.owner {
            Owner::Account if known => account.uid,
            // Of an account that is gone nobody can tell what was its.
            Owner::Account => seen.uid,
            Owner::Root => 0,
        };
        let wrong_owner = (seen.uid != wanted).then(|| format!("belongs to uid {}", seen.uid));
        let wrong_group =
            (known && seen.gid != account.gid).then(|| format!("has group {}", seen.gid));
        // Where the group is nobody's in particular, no more is asked than that others stay out.
        let wrong_mode = match known {
            true => seen.mode != self.mode,
            false => seen.mode & !self.mode & 0o027 != 0,
        };
        let wrong_mode =
            wrong_mode.then(|| format!("has mode {:04o}, not {:04o}", seen.mode, self.mode));
        let chowned = wrong_owner.is_some() || wrong_group.is_some();
        let why: Vec<String> = [wrong_owner, wrong_group, wrong_mode]
            .into_iter()
            .flatten()
            .collect();
        if why.is_empty() {
            return None;
        }
        let path = self.path.display();
        let check = Check::failed(NAME, path.to_string()).because(why.join(", "));
        Some(check.fix(format!("as root: {}", self.command(chowned, known))))
    }

    /// The command that sets it right; a new owner takes the setgid bit away, so it comes first.
    fn command(&self, chowned: bool, known: bool) -> String {
        let path = self.path.display();
        let chmod = format!("chmod {:04o} {path}", self.mode);
        let owner = match (self.owner, known) {
            (Owner::Account, true) => format!("{ACCOUNT}:{ACCOUNT}"),
            (Owner::Root, true) => format!("root:{ACCOUNT}"),
            (_, false) => "root".to_owned(),
        };
        match chowned {
            true => format!("chown {owner} {path} && {chmod}"),
            false => chmod,
        }
    }

    fn wrong_kind(&self, seen: &Seen) -> Option<Check> {
        let kind = match self.kind {
            Kind::Dir => "a directory",
            _ => "a regular file with one name",
        };
        let fits = seen.kind == self.kind && (self.kind == Kind::Dir || seen.links == 1);
        (!fits).then(|| {
            Check::failed(NAME, self.path.display().to_string())
                .because(format!("it is not {kind}"))
                .fix("find out who put it there, remove it, and make it anew")
        })
    }

    fn not_seen(&self, error: &io::Error) -> Option<Check> {
        let path = self.path.display().to_string();
        if error.kind() != ErrorKind::NotFound {
            return Some(unseen(&path, error));
        }
        let absent = |check: Check, cure: &str| {
            let cure = cure.replace("/var/spool/sendmail365", &spool_of(&self.path));
            Some(check.because("it does not exist").fix(cure))
        };
        match self.absent {
            Absent::Fine => None,
            Absent::Warn(cure) => absent(Check::warn(NAME, path), cure),
            Absent::Failed(cure) => absent(Check::failed(NAME, path), cure),
        }
    }
}

/// The spool that a path of it belongs to.
fn spool_of(path: &Path) -> String {
    let inner = path
        .file_name()
        .is_some_and(|name| ROOMS.iter().any(|room| name == *room) || name == "runner.lock");
    let dir = if inner { path.parent() } else { Some(path) };
    dir.unwrap_or(path).display().to_string()
}

const UNSEEN: &str = "cannot look at ";

pub(super) fn unseen(path: &str, error: &io::Error) -> Check {
    Check::warn(NAME, format!("{UNSEEN}{path}"))
        .because(error.to_string())
        .fix("run `sendmail365 doctor` as root to have it judged too")
}

/// One line for all that could not be looked at: to a user without rights that is nearly everything.
pub(super) fn gathered(found: Vec<Check>) -> Vec<Check> {
    let (mut hidden, mut found): (Vec<Check>, Vec<Check>) = found
        .into_iter()
        .partition(|check| check.what.starts_with(UNSEEN));
    let more = hidden.len().saturating_sub(1);
    hidden.truncate(1);
    found.extend(hidden.into_iter().map(|mut check| {
        if more > 0 {
            check.what.push_str(&format!(" and {more} more"));
        }
        check
    }));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(path: &Path, mode: u32) -> Rule {
        Rule {
            path: path.to_owned(),
            kind: Kind::File,
            owner: Owner::Root,
            mode,
            absent: Absent::Failed(LOGIN_MAKES),
        }
    }

    #[test]
    fn the_cure_is_the_command_and_the_owner_comes_before_the_setgid_bit() {
        let rule = rule(Path::new("/a"), 0o2755);
        assert_eq!(
            rule.command(true, true),
            "chown root:sendmail365 /a && chmod 2755 /a"
        );
        assert_eq!(rule.command(false, true), "chmod 2755 /a");
    }

    #[test]
    fn a_missing_file_is_told_as_its_rule_wants_it() {
        let account = Account { uid: 9, gid: 9 };
        let missing = rule(Path::new("/nonexistent/token.0"), 0o660);
        let told = missing.judge(true, &account).unwrap();
        assert!(told.fix[0].contains("sendmail365 login"), "{told:?}");
        let fine = Rule {
            absent: Absent::Fine,
            ..missing
        };
        assert_eq!(fine.judge(true, &account), None);
        let own = Rule {
            absent: Absent::Failed(SPOOL),
            path: "/x/s/queue".into(),
            ..fine
        };
        let told = own.judge(true, &account).unwrap();
        assert!(told.fix[0].contains(" /x/s/tmp "), "{told:?}");
    }

    #[test]
    fn what_could_not_be_looked_at_is_one_line() {
        let denied = io::Error::from(ErrorKind::PermissionDenied);
        let found = ["/a", "/b", "/c"].map(|path| unseen(path, &denied));
        let [first, ..] = found.clone();
        let told = gathered(
            [Check::failed(NAME, "/d")]
                .into_iter()
                .chain(found)
                .collect(),
        );
        let told: Vec<&str> = told.iter().map(|check| check.what.as_str()).collect();
        assert_eq!(told, ["/d", "cannot look at /a and 2 more"]);
        assert_eq!(gathered(vec![first.clone()]), [first]);
    }

    #[test]
    fn a_name_that_is_no_file_is_not_judged_by_its_mode() {
        let account = Account { uid: 9, gid: 9 };
        let told = rule(Path::new("/dev/null"), 0o660).judge(true, &account);
        assert!(told.unwrap().fix[0].contains("find out who put it there"));
    }
}
