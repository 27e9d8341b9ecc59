//! A host where the program is installed setgid, with the owners and modes of the manual, and with
//! ordinary users, in a private mount namespace: the machine itself gets no user and no group.

mod attendant;

use crate::host::{Host, Package, Ran, finish};
use crate::tenant::Tenant;
use crate::{binary, is_root, needs, skipped};
pub use attendant::Attendant;
use std::ffi::{OsStr, OsString};
use std::fs::{self, OpenOptions, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

/// The account, and the group of the program.
pub const ACCOUNT: u32 = 54399;

/// Who calls the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct User {
    pub uid: u32,
    pub name: &'static str,
}

pub const ROOT: User = User {
    uid: 0,
    name: "root",
};
pub const SERVICE: User = User {
    uid: ACCOUNT,
    name: "sendmail365",
};
pub const ANN: User = User {
    uid: 54401,
    name: "ann",
};
pub const BOB: User = User {
    uid: 54402,
    name: "bob",
};

/// The program as a package installs it. One copy for all tests that run at a time.
struct Program {
    folder: PathBuf,
}

impl Program {
    fn shared() -> Arc<Program> {
        static SHARED: Mutex<Weak<Program>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let program = Arc::new(Program::installed());
            *shared = Arc::downgrade(&program);
            program
        })
    }

    fn installed() -> Program {
        let name = format!("sm365-program-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
        let program = Program { folder };
        fs::copy(binary(), program.path()).unwrap();
        own(&program.path(), 0, ACCOUNT, 0o2755);
        program
    }

    fn path(&self) -> PathBuf {
        self.folder.join("sendmail365")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Gives a path its owner, its group and, last, its mode.
pub fn own(path: &Path, uid: u32, gid: u32, mode: u32) {
    chown(path, Some(uid), Some(gid)).unwrap();
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Where the commands of a host run. It may outlive the host.
#[derive(Clone)]
pub struct Ground {
    pub root: PathBuf,
    package: Option<Package>,
}

impl Ground {
    pub fn of(host: &Host) -> Ground {
        Ground {
            root: host.path(""),
            package: host.package(),
        }
    }

    /// A command of a user with no more environment than a path; `outer` comes while he is still root.
    pub fn inside<I>(&self, outer: &[&str], user: User, words: I) -> Command
    where
        I: IntoIterator,
        I::Item: AsRef<OsStr>,
    {
        match self.package {
            None => inside(&self.root, outer, user, words),
            // Of people a package's host has Ann and Joe.
            Some(_) => {
                let name = if user == BOB { "joe" } else { user.name };
                self.inside_by_name(outer, name, words)
            }
        }
    }

    /// The same by a user whom only the root of a package knows.
    pub fn inside_by_name<I>(&self, outer: &[&str], user: &str, words: I) -> Command
    where
        I: IntoIterator,
        I::Item: AsRef<OsStr>,
    {
        let package = self.package.unwrap();
        let words: Vec<OsString> = words.into_iter().map(|one| one.as_ref().into()).collect();
        (package.inside)(&self.root, package.tools, outer, user, &words)
    }

    /// A path as a process that runs there names it.
    pub fn within(&self, below: &str) -> PathBuf {
        match self.package {
            None => self.root.join(below),
            Some(_) => Path::new("/").join(below),
        }
    }
}

/// What makes a host one where the program is installed. The host itself is somebody else's.
#[derive(Clone)]
pub struct Kit(Option<Arc<Program>>);

impl Kit {
    /// Whether such a host can be made.
    pub fn possible() -> bool {
        is_root() && needs("unshare") && needs("setpriv") && can_overlay()
    }

    /// Installs the program on a host that is configured, and gives all its files the owners and the
    /// modes of the manual.
    pub fn install(host: &Host) -> Kit {
        if host.package().is_some() {
            // The package has done all of it.
            return Kit(None);
        }
        let program = Program::shared();
        for link in fs::read_dir(host.path("usr/sbin")).unwrap() {
            let link = link.unwrap().path();
            fs::remove_file(&link).unwrap();
            symlink(program.path(), link).unwrap();
        }
        for folder in ["image/etc/sendmail365", "run/sendmail365"] {
            fs::create_dir_all(host.path(folder)).unwrap();
        }
        write_users(host);
        lay_out(host);
        Kit(Some(program))
    }

    /// The program's own file, setgid.
    pub fn program(&self) -> PathBuf {
        let packaged = || PathBuf::from("/usr/sbin/sendmail365");
        self.0.as_ref().map_or_else(packaged, |made| made.path())
    }

    /// A command of a user on the host, with no more environment than a path; `outer` comes while the
    /// user is still root.
    pub fn inside<I>(&self, host: &Host, outer: &[&str], user: User, words: I) -> Command
    where
        I: IntoIterator,
        I::Item: AsRef<OsStr>,
    {
        Ground::of(host).inside(outer, user, words)
    }
}

fn inside<I>(root: &Path, outer: &[&str], user: User, words: I) -> Command
where
    I: IntoIterator,
    I::Item: AsRef<OsStr>,
{
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/installed/inside");
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh"]).arg(script);
    command.arg(root).args(outer);
    if user.uid != 0 {
        let ids = [("reuid", user.uid), ("regid", user.uid)];
        command.arg("setpriv").arg("--clear-groups");
        command.args(ids.map(|(what, id)| format!("--{what}={id}")));
    }
    command.args(words).env_clear().env("PATH", PATH);
    command
}

/// Where a user has his files.
pub fn home(host: &Host, user: User) -> PathBuf {
    host.path("home").join(user.name)
}

fn write_users(host: &Host) {
    let mut passwd = String::from("root:x:0:0:root:/root:/bin/sh\n");
    let mut group = String::from("root:x:0:\n");
    for user in [SERVICE, ANN, BOB] {
        let User { uid, name } = user;
        let home = home(host, user);
        fs::create_dir_all(&home).unwrap();
        own(&home, uid, uid, 0o700);
        let home = home.display();
        passwd.push_str(&format!("{name}:x:{uid}:{uid}:{name}:{home}:/bin/sh\n"));
        group.push_str(&format!("{name}:x:{uid}:\n"));
    }
    host.write("image/etc/passwd", passwd);
    host.write("image/etc/group", group);
}

/// What a package makes: folders, locks, records and empty slots, with their owners and modes.
fn lay_out(host: &Host) {
    for room in ["tmp", "queue", "failed"] {
        let room = host.path("var/spool").join(room);
        fs::create_dir_all(&room).unwrap();
        own(&room, ACCOUNT, ACCOUNT, 0o3770);
    }
    for below in ["etc", "etc/tokens", "var/state", "var/spool"] {
        own(&host.path(below), 0, ACCOUNT, 0o750);
    }
    let tokens = ["token.0", "token.1", "token.lock"];
    let state = ["slot.0", "slot.1", "breaker", "pace", "rounds", "visitors"];
    let files = tokens.map(|name| format!("etc/tokens/{name}")).into_iter();
    let files = files.chain(tokens.map(|name| format!("var/state/{name}")));
    let files = files.chain(state.map(|name| format!("var/state/{name}")));
    for below in files.chain(["var/spool/runner.lock".to_owned(), "var/log".to_owned()]) {
        OpenOptions::new()
            .append(true)
            .create(true)
            .open(host.path(&below))
            .unwrap();
        own(&host.path(&below), 0, ACCOUNT, 0o660);
    }
    own_settings(host);
}

/// Gives the settings their owner, after they were written anew.
pub fn own_settings(host: &Host) {
    for below in ["etc/config.toml", "etc/ca.pem", "etc/aliases"] {
        if host.path(below).exists() {
            own(&host.path(below), 0, ACCOUNT, 0o640);
        }
    }
}

/// Gives a user a tree, and of its links nothing but themselves.
pub fn give(path: &Path, user: User) {
    lchown(path, Some(user.uid), Some(user.uid)).unwrap();
    if path.is_dir() && !path.is_symlink() {
        for entry in fs::read_dir(path).unwrap() {
            give(&entry.unwrap().path(), user);
        }
    }
}

/// A host with the program installed, and signed in.
pub struct Installed {
    pub host: Host,
    kit: Kit,
}

impl Installed {
    /// A host for this tenant, with the queue; none where the tests may not make one.
    pub fn with(tenant: &Tenant) -> Option<Installed> {
        if !Kit::possible() {
            return None;
        }
        let mut host = Host::configured(&binary(), tenant);
        host.set("queue", "enabled", "true");
        let kit = Kit::install(&host);
        let installed = Installed { host, kit };
        let token = tenant.refresh_token();
        let mut login = installed.command(ROOT, "sendmail365", ["login", "--import", "-"]);
        finish(&mut login, token.as_bytes()).exits(0);
        Some(installed)
    }

    /// Sets a setting and leaves the file as it has to be.
    pub fn set(&mut self, section: &str, key: &str, value: &str) {
        self.host.set(section, key, value);
        own_settings(&self.host);
    }

    /// Where a user has his files.
    pub fn home(&self, user: User) -> PathBuf {
        home(&self.host, user)
    }

    /// The program's own file, setgid.
    pub fn program(&self) -> PathBuf {
        self.kit.program()
    }

    /// What makes the host one where it is installed.
    pub fn kit(&self) -> &Kit {
        &self.kit
    }

    /// A command of a user on the host, with no more environment than a path.
    pub fn inside<I>(&self, user: User, words: I) -> Command
    where
        I: IntoIterator,
        I::Item: AsRef<OsStr>,
    {
        self.inside_of(&[], user, words)
    }

    /// The same in more namespaces or under another program: `outer` comes while the user is still root.
    pub fn inside_of<I>(&self, outer: &[&str], user: User, words: I) -> Command
    where
        I: IntoIterator,
        I::Item: AsRef<OsStr>,
    {
        self.kit.inside(&self.host, outer, user, words)
    }

    /// One of the program's names as a user calls it.
    pub fn command<I>(&self, user: User, name: &str, words: I) -> Command
    where
        I: IntoIterator,
        I::Item: AsRef<OsStr>,
    {
        let program = self.host.path("usr/sbin").join(name);
        let mut command = self.inside(user, [program]);
        command.args(words);
        command
    }

    /// Runs it.
    pub fn run<I>(&self, user: User, name: &str, words: I, stdin: impl AsRef<[u8]>) -> Ran
    where
        I: IntoIterator,
        I::Item: AsRef<OsStr>,
    {
        finish(&mut self.command(user, name, words), stdin.as_ref())
    }

    /// `sendmail` as a user calls it.
    pub fn sendmail<I>(&self, user: User, words: I, stdin: impl AsRef<[u8]>) -> Ran
    where
        I: IntoIterator,
        I::Item: AsRef<OsStr>,
    {
        self.run(user, "sendmail", words, stdin)
    }
}

/// The ways into a process that a user has found open; `look` says what it tries.
pub fn looked_into(host: &Host, kit: &Kit, user: User, pid: u32) -> Ran {
    let look = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/installed/look");
    // The build may lie where an ordinary user cannot go.
    fs::copy(look, host.path("home/look")).unwrap();
    let copy = host.within("home/look");
    let words = [OsStr::new("/usr/bin/python3"), copy.as_os_str()];
    let mut command = kit.inside(host, &[], user, words);
    finish(command.arg(pid.to_string()), b"")
}

/// A sender that is none; `stub` says what it does with the words.
pub fn stub(host: &Host, kit: &Kit, user: User, words: &[&str]) -> Command {
    let stub = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/installed/stub");
    fs::copy(stub, host.path("home/stub")).unwrap();
    let copy = host.within("home/stub");
    let mut command = kit.inside(host, &[], user, [OsStr::new("perl"), copy.as_os_str()]);
    command.args(words);
    command
}

const PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin";

fn can_overlay() -> bool {
    static CAN: OnceLock<bool> = OnceLock::new();
    let can = *CAN.get_or_init(|| {
        let mut command = Command::new("unshare");
        command.args(["--mount", "mount", "-t", "overlay"]);
        command.args(["-o", "lowerdir=/usr:/etc", "overlay", "/etc"]);
        Ran::of(&mut command).status.success()
    });
    if !can {
        skipped("leave to mount an overlay (unshare --mount)");
    }
    can
}
