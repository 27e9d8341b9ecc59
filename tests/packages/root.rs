//! A clean Debian in a folder, with a network that is this machine's loopback.

use super::built::{debs, folder};
use super::mirror::{self, Mirror};
use crate::host::{Ran, finish};
use crate::tenant::Tenant;
use crate::{is_root, needs, skipped};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// What our packages depend on and the least Debian may lack.
const INCLUDED: &str = "adduser,ca-certificates";

/// Not part of a clean root: what installing itself left behind.
const LEFT_OUT: [&str; 4] = [
    "./var/cache/apt",
    "./var/lib/apt/lists",
    "./var/log",
    "./usr/share/locale",
];

/// The simulated tenant cannot be told apart from Microsoft by anything but these.
pub const MAILBOX: &str = "alerts@contoso.test";

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A root that is removed with this.
pub struct Root(PathBuf);

impl Root {
    /// A Debian as it is installed; none if this machine cannot make one, which is told.
    pub fn clean() -> Option<Root> {
        let base = base()?;
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("sm365-root-{}-{number}", std::process::id());
        let root = Root(room().join(name));
        fs::create_dir_all(root.path("")).unwrap();
        fs::set_permissions(root.path(""), fs::Permissions::from_mode(0o755)).unwrap();
        let mut tar = Command::new("tar");
        tar.arg("-xf").arg(base).arg("-C").arg(root.path(""));
        Ran::of(&mut tar).exits(0);
        fs::create_dir_all(root.path("var/log")).unwrap();
        fs::write(root.path("etc/hosts"), "127.0.0.1 localhost\n").unwrap();
        // It need not outlive a power cut.
        fs::write(root.path("etc/dpkg/dpkg.cfg.d/test"), "force-unsafe-io\n").unwrap();
        Some(root)
    }

    /// One with both packages in this version.
    pub fn with_packages(version: &str) -> Option<Root> {
        let root = Root::clean()?;
        root.install(&debs(version)).exits(0);
        Some(root)
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.0.join(below.trim_start_matches('/'))
    }

    pub fn exists(&self, below: &str) -> bool {
        self.path(below).symlink_metadata().is_ok()
    }

    pub fn read(&self, below: &str) -> String {
        fs::read_to_string(self.path(below)).unwrap()
    }

    /// A command in the root, by root.
    pub fn inside<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> Command {
        self.inside_as("root", words)
    }

    /// A command in the root, by one of its users with his groups.
    pub fn inside_as<'a>(&self, user: &str, words: impl IntoIterator<Item = &'a str>) -> Command {
        let words: Vec<OsString> = words.into_iter().map(OsString::from).collect();
        inside(&self.0, false, &[], user, &words)
    }

    /// Runs it without input.
    pub fn run<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> Ran {
        finish(&mut self.inside(words), b"")
    }

    /// Runs a line of shell.
    pub fn shell(&self, line: &str) -> Ran {
        self.run(["sh", "-c", line])
    }

    /// Installs files of packages; nobody is there to answer a question.
    pub fn install(&self, files: &[PathBuf]) -> Ran {
        self.install_by(&["dpkg", "--install"], files)
    }

    /// Installs files of packages, and removes what they conflict with.
    pub fn install_instead(&self, files: &[PathBuf]) -> Ran {
        self.install_by(&["apt-get", "--quiet", "--yes", "install"], files)
    }

    fn install_by(&self, words: &[&str], files: &[PathBuf]) -> Ran {
        let mut names = Vec::new();
        for file in files {
            let name = file.file_name().unwrap().to_str().unwrap();
            fs::copy(file, self.path("tmp").join(name)).unwrap();
            names.push(format!("/tmp/{name}"));
        }
        let words = words.iter().copied();
        let ran = self.run(words.chain(names.iter().map(String::as_str)));
        for name in &names {
            fs::remove_file(self.path(name)).unwrap();
        }
        ran
    }

    /// Numbers of a user of the root.
    pub fn ids(&self, user: &str) -> (u32, u32) {
        ids(&self.0, user)
    }

    /// `owner:group mode` of a path, by the names of the root.
    pub fn held(&self, below: &str) -> String {
        let found = self.path(below).symlink_metadata().unwrap();
        let name = |file: &str, id: u32| {
            let text = self.read(file);
            let mut rows = text.lines().map(|line| line.split(':').collect::<Vec<_>>());
            let row = rows.find(|row| row[2] == id.to_string());
            row.map_or_else(|| id.to_string(), |row| row[0].to_owned())
        };
        let (user, group) = (
            name("etc/passwd", found.uid()),
            name("etc/group", found.gid()),
        );
        format!("{user}:{group} {:04o}", found.mode() & 0o7777)
    }

    /// Settings that lead to the tenant.
    pub fn settings(tenant: &Tenant, ca_file: &str) -> String {
        format!(
            "[account]\nmailbox = {MAILBOX:?}\ntenant = {:?}\nclient_id = {:?}\n\
             [endpoint]\nauthority = {:?}\nca_file = {ca_file:?}\n\
             [smtp]\nhost = \"localhost\"\nport = {}\nhello = \"web1.contoso.test\"\n",
            tenant.tenant_id(),
            tenant.client_id(),
            tenant.authority(),
            tenant.smtp_port(),
        )
    }

    /// The same with the places of an installed host, and a log.
    pub fn own_settings(tenant: &Tenant) -> String {
        let log = "[log]\nsyslog = false\nfile = \"/var/log/sendmail365.log\"\n";
        Root::settings(tenant, "/etc/sendmail365/ca.pem") + log
    }

    /// The same in the place and with the owner of the package.
    pub fn configure(&self, tenant: &Tenant) {
        let settings = Root::own_settings(tenant);
        let group = self.path("etc/sendmail365").metadata().unwrap().gid();
        for (name, text) in [
            ("config.toml", settings.as_str()),
            ("ca.pem", tenant.ca_pem()),
        ] {
            let path = self.path("etc/sendmail365").join(name);
            fs::write(&path, text).unwrap();
            chown(&path, Some(0), Some(group)).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        }
        let log = self.path("var/log/sendmail365.log");
        fs::write(&log, "").unwrap();
        chown(&log, Some(0), Some(group)).unwrap();
        fs::set_permissions(&log, fs::Permissions::from_mode(0o660)).unwrap();
    }

    /// Signs the host in, as its root does.
    pub fn sign_in(&self, tenant: &Tenant) {
        let mut login = self.inside(["sendmail365", "login", "--import", "-"]);
        finish(&mut login, tenant.refresh_token().as_bytes()).exits(0);
    }

    /// Hands a message to /usr/sbin/sendmail.
    pub fn sends(&self, user: &str, subject: &str) -> Ran {
        let mut command = self.inside_as(user, ["/usr/sbin/sendmail", "-t", "-i"]);
        let text = format!("To: ops@example.com\nSubject: {subject}\n\nhello\n");
        finish(&mut command, text.as_bytes())
    }

    /// Every path below the root with its type, owner, mode and, of a file, its text's length and
    /// beginning; but for what dpkg writes down for itself.
    pub fn inventory(&self) -> BTreeMap<String, String> {
        const OF_DPKG: [&str; 7] = [
            "var/lib/dpkg",
            "var/lib/systemd",
            "var/log",
            "var/cache",
            "etc/passwd-",
            "etc/group-",
            "proc",
        ];
        let mut found = BTreeMap::new();
        let mut folders = vec![self.path("")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap().flatten() {
                let path = entry.path();
                let below = path.strip_prefix(&self.0).unwrap().to_str().unwrap();
                let about = path.symlink_metadata().unwrap();
                let backup = [
                    "etc/shadow-",
                    "etc/gshadow-",
                    "etc/.pwd.lock",
                    "run/adduser",
                ]
                .contains(&below);
                if backup || OF_DPKG.contains(&below) {
                    continue;
                }
                if about.is_dir() {
                    folders.push(path.clone());
                }
                let size = if about.is_file() { about.len() } else { 0 };
                let facts = format!("{}:{} {:o} {size}", about.uid(), about.gid(), about.mode());
                found.insert(below.to_owned(), facts);
            }
        }
        found
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let mut rm = Command::new("rm");
        let _ = rm.args(["-rf", "--one-file-system"]).arg(&self.0).status();
    }
}

/// Makes a root the one of a mount namespace. It is a mount of its own because the place it lies in
/// may be mounted so that no bit of a file has an effect; and it is no chroot because in one nobody
/// gets a user namespace, which users of a real host do.
const ENTER: &str = "set -e; root=$1; tools=$2; shift 2; mount --bind \"$root\" \"$root\"; \
    mount -o remount,bind,suid,dev,exec \"$root\"; mount -t proc proc \"$root/proc\"; \
    test -z \"$tools\" || mount -t overlay -o \"lowerdir=$root/usr:/usr\" overlay \"$root/usr\"; \
    cd \"$root\"; pivot_root . mnt; umount -l /mnt; cd /; exec \"$@\"";

/// A command in a root, by one of its users with his groups; `outer` comes while he is still root.
/// With `tools` there lies in /usr, below what the root has, all that this machine has: what a user
/// brings along to look with.
pub fn inside(root: &Path, tools: bool, outer: &[&str], user: &str, words: &[OsString]) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--", "sh", "-c", ENTER, "sh"]);
    command.arg(root).arg(if tools { "tools" } else { "" });
    command.args(outer);
    if user != "root" {
        command.args(["setpriv", "--init-groups", "--reset-env"]);
        let (uid, gid) = ids(root, user);
        command
            .arg(format!("--reuid={uid}"))
            .arg(format!("--regid={gid}"));
    }
    command.args(words);
    command.env_clear().current_dir("/");
    command
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C");
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command
}

fn ids(root: &Path, user: &str) -> (u32, u32) {
    let users = fs::read_to_string(root.join("etc/passwd")).unwrap();
    let fields = users.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        (fields[0] == user).then(|| (fields[2].parse().unwrap(), fields[3].parse().unwrap()))
    });
    fields.unwrap_or_else(|| panic!("no user {user} in the root"))
}

/// A place for roots: memory where there is enough, because dpkg syncs all it does.
fn room() -> PathBuf {
    let memory = Path::new("/dev/shm");
    let mut df = Command::new("df");
    let told = Ran::of(df.args(["--output=fstype,avail", "-BG"]).arg(memory)).stdout;
    let mut words = told.lines().last().unwrap_or_default().split_whitespace();
    let shared = words.next() == Some("tmpfs");
    let free = words
        .next()
        .and_then(|size| size.trim_end_matches('G').parse::<u64>().ok());
    match shared && free >= Some(4) {
        true => memory.to_owned(),
        false => std::env::temp_dir(),
    }
}

/// The archive of a clean root, made once for many runs of the tests.
fn base() -> Option<&'static Path> {
    static BASE: OnceLock<Option<PathBuf>> = OnceLock::new();
    BASE.get_or_init(made_base).as_deref()
}

fn made_base() -> Option<PathBuf> {
    if !is_root()
        || !["dpkg-deb", "tar", "unshare", "setpriv"]
            .iter()
            .all(|tool| needs(tool))
    {
        return None;
    }
    let Some(release) = mirror::release() else {
        skipped("a Debian release");
        return None;
    };
    let words = INCLUDED.replace(',', "-");
    let archive =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("root-{release}-{words}.tar"));
    if archive.exists() {
        return Some(archive);
    }
    if !needs("debootstrap") {
        return None;
    }
    let Some(mirror) = mirror::find(&release) else {
        skipped("a source of packages of this release in apt's settings");
        return None;
    };
    let (root, keys) = (folder().join("base"), folder().join("keys.gpg"));
    mirror.write_keys(&keys);
    let mut command = Command::new("debootstrap");
    command.args(["--variant=minbase", &format!("--include={INCLUDED}")]);
    match mirror.trusted {
        true => command.arg("--no-check-gpg"),
        false => command.arg("--keyring").arg(&keys),
    };
    if let Some(proxy) = Mirror::proxy() {
        command.env("http_proxy", proxy);
    }
    let ran = Ran::of(command.arg(&release).arg(&root).arg(&mirror.uri));
    if !ran.status.success() {
        let why = fs::read_to_string(root.join("debootstrap/debootstrap.log")).unwrap_or_default();
        eprintln!("{}\n{why}", ran.stdout);
        skipped("a mirror that debootstrap can use");
        return None;
    }
    let half = archive.with_extension(std::process::id().to_string());
    let mut tar = Command::new("tar");
    tar.args(LEFT_OUT.map(|path| format!("--exclude={path}")));
    Ran::of(tar.arg("-C").arg(&root).arg("-cf").arg(&half).arg(".")).exits(0);
    // Another process may be doing the same: whoever is last puts the same in its place.
    fs::rename(half, &archive).unwrap();
    fs::remove_dir_all(&root).unwrap();
    Some(archive)
}
