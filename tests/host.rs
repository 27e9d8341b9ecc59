//! `Host`: a root with etc and var, a configuration that points at the tenant, and the built
//! binary run in it.

use crate::tenant::Tenant;
use sendmail365::queue::{Listed, Locked, Passed, Spool};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Stands in every secret of the tests and must never be seen outside the token slots.
pub const CANARY: &str = "CANARY";

static COUNT: AtomicU32 = AtomicU32::new(0);

/// Read by every run of the program, written by a test that wants the machine for itself.
static MACHINE: RwLock<()> = RwLock::new(());

/// Read by who holds a lock, written by who starts a process.
static STARTS: RwLock<()> = RwLock::new(());

/// Waits until no other test runs the program, and keeps them waiting: for a promise that holds
/// within seconds on a machine that is not overrun, such as one refresh for fifty processes.
pub fn alone() -> RwLockWriteGuard<'static, ()> {
    MACHINE.write().unwrap_or_else(PoisonError::into_inner)
}

/// A host with the program installed.
pub struct Host {
    root: PathBuf,
    settings: Vec<(String, String, String)>,
    package: Option<Package>,
    turn: AtomicUsize,
}

/// What is other on a host that a package made: its files have the places of the manual below a root
/// that is somebody else's, and its users call the program in turn, each with his own rights.
#[derive(Clone, Copy)]
pub struct Package {
    /// Makes a command of a user: in this root, with this machine's tools or not, this before he is
    /// no longer root, by his name.
    pub inside: fn(&Path, bool, &[&str], &str, &[OsString]) -> Command,
    pub tools: bool,
}

/// Who calls the program on such a host.
pub const CALLERS: [&str; 3] = ["joe", "ann", "www-data"];

/// Where a package has what lies elsewhere on a host of the tests.
const PLACES: [(&str, &str); 6] = [
    ("etc/config.toml", "etc/sendmail365/config.toml"),
    ("etc/ca.pem", "etc/sendmail365/ca.pem"),
    ("etc/tokens", "etc/sendmail365"),
    ("var/state", "var/lib/sendmail365"),
    ("var/spool", "var/spool/sendmail365"),
    ("var/log", "var/log/sendmail365.log"),
];

impl Host {
    /// A host whose administrator has configured the tenant and signed in.
    pub fn with(binary: &Path, tenant: &Tenant) -> Host {
        let host = Host::configured(binary, tenant);
        let token = tenant.refresh_token();
        host.run("sendmail365", ["login", "--import", "-"], token.as_bytes())
            .exits(0);
        host.forget_gate();
        host
    }

    /// Without these files no process knows of the troubles of another: what a test of one fault
    /// after the other wants.
    pub fn forget_gate(&self) {
        if self.package.is_some() {
            // Only a package makes them anew.
            return self.forget_troubles();
        }
        for name in ["breaker", "pace", "slot.0", "slot.1"] {
            let _ = fs::remove_file(self.path("var/state").join(name));
        }
    }

    /// The same with the queue switched on.
    pub fn with_queue(binary: &Path, tenant: &Tenant) -> Host {
        let mut host = Host::configured(binary, tenant);
        host.set("queue", "enabled", "true");
        let token = tenant.refresh_token();
        host.run("sendmail365", ["login", "--import", "-"], token.as_bytes())
            .exits(0);
        host
    }

    /// Names in a folder of the spool.
    pub fn spooled(&self, room: &str) -> Vec<String> {
        let items = fs::read_dir(self.path("var/spool").join(room))
            .into_iter()
            .flatten();
        let mut names: Vec<String> = items
            .map(|item| item.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// Forgets the outage that the processes of the host have told each other of.
    pub fn forget_troubles(&self) {
        for name in ["breaker", "pace"] {
            fs::write(self.path("var/state").join(name), "").unwrap();
        }
    }

    /// The same before the sign-in.
    pub fn configured(binary: &Path, tenant: &Tenant) -> Host {
        let mut host = Host::bare(binary);
        fs::write(host.path("etc/ca.pem"), tenant.ca_pem()).unwrap();
        for (section, key, value) in [
            ("account", "mailbox", text(tenant.mailbox())),
            ("account", "tenant", text(tenant.tenant_id())),
            ("account", "client_id", text(tenant.client_id())),
            ("endpoint", "authority", text(&tenant.authority())),
            (
                "endpoint",
                "ca_file",
                text(host.path("etc/ca.pem").to_str().unwrap()),
            ),
            ("smtp", "host", text("localhost")),
            ("smtp", "port", tenant.smtp_port().to_string()),
            ("smtp", "hello", text("web1.contoso.test")),
            (
                "recipients",
                "aliases",
                text(host.path("etc/aliases").to_str().unwrap()),
            ),
            (
                "paths",
                "tokens",
                text(host.path("etc/tokens").to_str().unwrap()),
            ),
            (
                "paths",
                "state",
                text(host.path("var/state").to_str().unwrap()),
            ),
            (
                "paths",
                "spool",
                text(host.path("var/spool").to_str().unwrap()),
            ),
            ("queue", "enabled", "false".to_owned()),
            ("log", "syslog", "false".to_owned()),
            ("log", "file", text(host.path("var/log").to_str().unwrap())),
        ] {
            host.set(section, key, &value);
        }
        host
    }

    /// A root with the program in it and nothing else.
    pub fn bare(binary: &Path) -> Host {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let root = std::env::temp_dir().join(format!("sm365-{}-{number}", std::process::id()));
        for folder in ["etc/tokens", "var/state", "usr/sbin", "home"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        fs::set_permissions(&root, fs::Permissions::from_mode(0o755)).unwrap();
        for name in [
            "sendmail365",
            "sendmail",
            "mailq",
            "newaliases",
            "send-mail",
        ] {
            symlink(binary, root.join("usr/sbin").join(name)).unwrap();
        }
        Host {
            root,
            settings: Vec::new(),
            package: None,
            turn: AtomicUsize::new(0),
        }
    }

    /// The host in a root that a package was installed into, with these settings.
    pub fn packaged(root: PathBuf, settings: &str, package: Package) -> Host {
        let mut rows = Vec::new();
        let mut section = String::new();
        for line in settings.lines() {
            match line.split_once(" = ") {
                Some((key, value)) => {
                    rows.push((section.clone(), key.to_owned(), value.to_owned()))
                }
                None => section = line.trim_matches(['[', ']']).to_owned(),
            }
        }
        Host {
            root,
            settings: rows,
            package: Some(package),
            turn: AtomicUsize::new(0),
        }
    }

    /// Lays what this machine has below what a package's root has.
    pub fn bring_tools(&mut self) {
        if let Some(package) = &mut self.package {
            package.tools = true;
        }
    }

    /// What is other on it if a package made it.
    pub fn package(&self) -> Option<Package> {
        self.package
    }

    /// Sets one setting; `value` is TOML. A later call replaces an earlier one.
    pub fn set(&mut self, section: &str, key: &str, value: &str) {
        self.settings
            .retain(|(s, k, _)| (s.as_str(), k.as_str()) != (section, key));
        self.settings
            .push((section.to_owned(), key.to_owned(), value.to_owned()));
        let mut sections: Vec<&str> = self.settings.iter().map(|(s, ..)| s.as_str()).collect();
        sections.sort_unstable();
        sections.dedup();
        let mut toml = String::new();
        for section in sections {
            toml.push_str(&format!("[{section}]\n"));
            for (_, key, value) in self.settings.iter().filter(|(s, ..)| s == section) {
                toml.push_str(&format!("{key} = {value}\n"));
            }
        }
        self.write("etc/config.toml", toml);
    }

    /// A path below the host's root.
    pub fn path(&self, below: &str) -> PathBuf {
        self.root.join(self.place(below))
    }

    /// The same as a process of the host names it.
    pub fn within(&self, below: &str) -> PathBuf {
        match self.package {
            None => self.path(below),
            Some(_) => Path::new("/").join(self.place(below)),
        }
    }

    fn place(&self, below: &str) -> String {
        let places = PLACES.iter().filter(|_| self.package.is_some());
        let mut moved = places.filter_map(|(from, to)| {
            let rest = below.strip_prefix(from)?;
            (rest.is_empty() || rest.starts_with('/')).then(|| format!("{to}{rest}"))
        });
        moved.next().unwrap_or_else(|| below.to_owned())
    }

    /// Writes a file below the root.
    pub fn write(&self, below: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(below), content).unwrap();
    }

    /// The log so far.
    pub fn log(&self) -> String {
        fs::read(self.path("var/log"))
            .map(|log| String::from_utf8_lossy(&log).into_owned())
            .unwrap_or_default()
    }

    /// Runs `sendmail` with the host's configuration.
    pub fn sendmail<I>(&self, arguments: I, stdin: impl AsRef<[u8]>) -> Ran
    where
        I: IntoIterator,
        I::Item: AsRef<OsStr>,
    {
        self.run("sendmail", arguments, stdin)
    }

    /// Runs one of the program's names with the host's configuration.
    pub fn run<I>(&self, name: &str, arguments: I, stdin: impl AsRef<[u8]>) -> Ran
    where
        I: IntoIterator,
        I::Item: AsRef<OsStr>,
    {
        let mut command = self.command(name, arguments);
        finish(&mut command, stdin.as_ref())
    }

    /// Works off the queue, as what starts by itself does.
    pub fn run_queue(&self) -> Ran {
        match self.package {
            None => self.sendmail(["-qf"], ""),
            Some(package) => {
                let words = [self.within("usr/sbin/sendmail").into(), "-qf".into()];
                let mut command = self.command_of(package, "sendmail365", &words);
                finish(&mut command, b"")
            }
        }
    }

    /// One of the program's names under another program.
    pub fn command_under<I>(&self, outer: &[&str], name: &str, arguments: I) -> Command
    where
        I: IntoIterator,
        I::Item: AsRef<OsStr>,
    {
        if self.package.is_some() {
            return self.command_of_the_next(outer, name, arguments);
        }
        let inner = self.command(name, arguments);
        let mut command = Command::new(outer[0]);
        command.args(&outer[1..]);
        command.arg(inner.get_program()).args(inner.get_args());
        command
    }

    /// What the user whose turn it is calls.
    fn command_of_the_next<I>(&self, outer: &[&str], name: &str, arguments: I) -> Command
    where
        I: IntoIterator,
        I::Item: AsRef<OsStr>,
    {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let program = self.within("usr/sbin").join(name);
        let words = outer.iter().map(OsString::from).chain([program.into()]);
        let words: Vec<OsString> = words.collect();
        let user = CALLERS[turn % CALLERS.len()];
        let mut command = self.command_of(self.package.unwrap(), user, &words);
        command.args(arguments);
        command
    }

    fn command_of(&self, package: Package, user: &str, words: &[OsString]) -> Command {
        (package.inside)(&self.root, package.tools, &[], user, words)
    }

    /// The same, not yet started, for a test that changes its surroundings.
    pub fn command<I>(&self, name: &str, arguments: I) -> Command
    where
        I: IntoIterator,
        I::Item: AsRef<OsStr>,
    {
        if self.package.is_some() {
            return self.command_of_the_next(&[], name, arguments);
        }
        let mut arguments: Vec<OsString> = arguments
            .into_iter()
            .map(|word| word.as_ref().to_owned())
            .collect();
        let after_verb = usize::from(name == "sendmail365" && !arguments.is_empty());
        let config = self.path("etc/config.toml").into_os_string();
        arguments.splice(after_verb..after_verb, ["-C".into(), config]);
        let mut command = self.bare_command(name);
        command.args(arguments);
        command
    }

    /// The program without any argument, not even the configuration.
    pub fn bare_command(&self, name: &str) -> Command {
        let mut command = Command::new(self.path("usr/sbin").join(name));
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .current_dir(&self.root);
        command
    }

    /// Fails if a secret is in any file but the token slots and the files named.
    pub fn no_secret_outside(&self, but: &[&str]) {
        let mut folders = vec![self.root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_symlink() {
                    continue;
                }
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let name = path.file_name().unwrap().to_str().unwrap();
                let slot = ["token.0", "token.1"].contains(&name) || but.contains(&name);
                let content = fs::read(&path).unwrap_or_default();
                assert!(
                    slot || !holds_secret(&content),
                    "{} holds a secret",
                    path.display()
                );
            }
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if self.package.is_some() {
            return;
        }
        if !std::thread::panicking() {
            self.no_secret_outside(&["client-secret"]);
        }
        let _ = fs::remove_dir_all(&self.root);
    }
}

fn text(value: &str) -> String {
    format!("{value:?}")
}

fn holds_secret(content: &[u8]) -> bool {
    content
        .windows(CANARY.len())
        .any(|window| window == CANARY.as_bytes())
}

/// Starts a command, feeds it and waits for it.
pub fn finish(command: &mut Command, stdin: &[u8]) -> Ran {
    let _shared = MACHINE.read().unwrap_or_else(PoisonError::into_inner);
    finish_alone(command, stdin)
}

/// The same for whoever has the machine for itself.
pub fn finish_alone(command: &mut Command, stdin: &[u8]) -> Ran {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = start(command.stderr(Stdio::piped()));
    let mut pipe = child.stdin.take().unwrap();
    let stdin = stdin.to_owned();
    // A program that leaves its input unread gives EPIPE here; the exit code tells the rest.
    let feeder = std::thread::spawn(move || pipe.write_all(&stdin).is_ok());
    let output = child.wait_with_output().unwrap();
    let read_all = feeder.join().unwrap();
    Ran::new(output.status, output.stdout, output.stderr, read_all)
}

/// What a run of the program ended in. Every one is searched for secrets.
#[derive(Debug)]
pub struct Ran {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
    /// The program read its input to the end, so that no caller dies of SIGPIPE.
    pub read_all: bool,
}

/// Starts a process when no test holds a lock: until its exec it has the locks of all threads.
pub fn start(command: &mut Command) -> Child {
    let _alone = STARTS.write().unwrap_or_else(PoisonError::into_inner);
    command.spawn().unwrap()
}

/// Starts a command and hands it the whole of its input.
pub fn fed(command: &mut Command, stdin: &[u8]) -> Child {
    let mut child = start(command.stdin(Stdio::piped()));
    child.stdin.take().unwrap().write_all(stdin).unwrap();
    child
}

/// As long as it lives no process is started by way of [`start`], so that a lock that is given back is
/// free. Nothing may be run meanwhile.
pub fn quiet() -> RwLockReadGuard<'static, ()> {
    STARTS.read().unwrap_or_else(PoisonError::into_inner)
}

/// Takes an entry in hand. A process that another test is just starting holds our locks for a moment.
pub fn in_hand<'a>(spool: &'a Spool, listed: &Listed) -> Locked<'a> {
    for _ in 0..1000 {
        match spool.open_locked(listed) {
            Err(Passed::Busy) => std::thread::sleep(std::time::Duration::from_millis(10)),
            other => return other.unwrap(),
        }
    }
    panic!("{} stays in another hand", listed.id);
}

impl Ran {
    /// Runs a command whose input has been chosen already.
    pub fn of(command: &mut Command) -> Ran {
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let output = start(command).wait_with_output().unwrap();
        Ran::new(output.status, output.stdout, output.stderr, true)
    }

    /// Waits for a program that runs already.
    pub fn finished(child: Child) -> Ran {
        let output = child.wait_with_output().unwrap();
        Ran::new(output.status, output.stdout, output.stderr, true)
    }

    fn new(status: ExitStatus, stdout: Vec<u8>, stderr: Vec<u8>, read_all: bool) -> Ran {
        assert!(
            !holds_secret(&stdout) && !holds_secret(&stderr),
            "a secret was printed"
        );
        let text = |octets: Vec<u8>| String::from_utf8_lossy(&octets).into_owned();
        Ran {
            status,
            stdout: text(stdout),
            stderr: text(stderr),
            read_all,
        }
    }

    /// Expects an exit status.
    #[track_caller]
    pub fn exits(&self, code: i32) -> &Ran {
        assert_eq!(self.status.code(), Some(code), "{self:#?}");
        self
    }

    /// Expects a text on stderr.
    #[track_caller]
    pub fn says(&self, text: &str) -> &Ran {
        assert!(self.stderr.contains(text), "no {text:?} in {self:#?}");
        self
    }

    /// Expects not one octet on stdout and stderr.
    #[track_caller]
    pub fn silently(&self) -> &Ran {
        assert_eq!(
            (self.stdout.as_str(), self.stderr.as_str()),
            ("", ""),
            "{self:#?}"
        );
        self
    }

    /// Expects the shape of every failure: one line that says what and why, one that says what to do.
    #[track_caller]
    pub fn in_two_lines(&self) -> &Ran {
        let lines: Vec<&str> = self.stderr.lines().collect();
        let shaped = lines.len() == 2 && lines.iter().all(|line| line.contains(": "));
        assert!(
            shaped && self.stdout.is_empty() && self.read_all,
            "{self:#?}"
        );
        self
    }
}
