//! A host with the program installed where callers look for it, in a private mount namespace.

use crate::host::{Host, Ran, finish};
use crate::tenant::{Delivered, Fault, Tenant};
use crate::{binary, is_root, skipped};
use mailparse::{MailHeaderMap, ParsedMail};
use std::fs;
use std::os::unix::fs::{chown, symlink};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The subject that every script sends.
pub const SUBJECT: &str = "Grüße aus Köln – 日本語 ✓";

/// The display name of the sender.
pub const NAME: &str = "Jörg Größe";

/// Makes a mount namespace, and a process namespace that takes daemons along when it ends.
const UNSHARE: [&str; 5] = ["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The user and group that atd keeps its jobs as.
const DAEMON: u32 = 1;

/// What a machine has and a host without callers has not.
const FOLDERS: [&str; 13] = [
    "image/usr/sbin",
    "image/usr/lib",
    "image/usr/bin",
    "image/dev",
    "image/etc/cron.d",
    "image/etc/sendmail365",
    "scripts",
    "empty",
    "cache/logwatch",
    "spool/anacron",
    "spool/cron/crontabs",
    "spool/cron/atjobs",
    "spool/cron/atspool",
];

/// Polls for what a daemon does in its own time.
const PATIENCE: (usize, Duration) = (600, Duration::from_millis(100));

/// Text of the kinds that get spoilt on the way: dots, `From `, a line of 2,000 octets, no last
/// line end.
pub fn text() -> String {
    let long = "0123456789".repeat(200);
    format!(
        "Grüße, 日本語 ✓\n.\n..\n.class {{ color: red }}\n...\nFrom here on\n\n{long}\n \tblanks\n.\nthe end"
    )
}

/// What must arrive at the tenant.
pub struct Letter<'a> {
    pub sender: &'a str,
    pub recipients: &'a [&'a str],
    pub subject: &'a str,
    pub name: Option<&'a str>,
    /// Without one the test looks at the text itself.
    pub text: Option<String>,
    /// What this caller is known to write behind the text.
    pub added: &'a str,
    pub attached: bool,
}

impl Default for Letter<'_> {
    fn default() -> Self {
        Letter {
            sender: "noreply@contoso.test",
            recipients: &["ann@example.com", "hid@example.com"],
            subject: SUBJECT,
            name: Some(NAME),
            text: Some(text()),
            added: "",
            attached: true,
        }
    }
}

impl Letter<'_> {
    /// Compares with what arrived.
    #[track_caller]
    pub fn is(&self, arrived: &Delivered) {
        let whole = arrived.text();
        let mut recipients = arrived.recipients.clone();
        recipients.sort();
        assert_eq!(arrived.sender, self.sender, "MAIL FROM of {whole}");
        assert_eq!(recipients, self.recipients, "RCPT TO of {whole}");
        for name in ["Bcc", "Resent-Bcc", "Return-Path"] {
            assert!(arrived.field(name).is_empty(), "{name} left in {whole}");
        }
        assert!(!whole.contains("hid@"), "Bcc told in {whole}");
        let mail = mailparse::parse_mail(&arrived.data).unwrap();
        let subject = mail.headers.get_first_value("Subject").unwrap();
        // A fold right behind the name is no part of the value.
        assert_eq!(subject.trim_start(), self.subject);
        if let Some(name) = self.name {
            assert_eq!(named(&mail), name, "From of {whole}");
        }
        for name in ["Date", "Message-ID", "From", "To"] {
            assert_eq!(arrived.field(name).len(), 1, "{name} in {whole}");
        }
        let widest = arrived.data.split(|&octet| octet == b'\n').map(<[u8]>::len);
        assert!(widest.max() <= Some(999), "a long line in {whole}");
        let declared = arrived
            .parameters
            .iter()
            .any(|word| word == "BODY=8BITMIME");
        assert!(
            declared || arrived.data.is_ascii(),
            "undeclared 8-bit in {whole}"
        );
        let parts = leaves(&mail);
        if let Some(text) = &self.text {
            let mut wanted = text.clone();
            // A part may end within a line, which its boundary ends; a whole body may not.
            if !self.attached && !text.ends_with('\n') {
                wanted.push('\n');
            }
            wanted.push_str(self.added);
            assert_eq!(decoded(arrived), wanted, "{whole}");
        }
        assert_eq!(parts.len(), 1 + usize::from(self.attached), "{whole}");
        if let Some(part) = parts.get(1) {
            assert!(part.get_body_raw().unwrap() == attachment(), "{whole}");
        }
    }
}

/// The text of the first part as its reader sees it, with LF for each CRLF.
pub fn decoded(arrived: &Delivered) -> String {
    let mail = mailparse::parse_mail(&arrived.data).unwrap();
    let octets = leaves(&mail)[0].get_body_raw().unwrap();
    String::from_utf8(octets).unwrap().replace("\r\n", "\n")
}

/// The display name of the author.
fn named(mail: &ParsedMail) -> String {
    let field = mail.headers.get_first_header("From").unwrap();
    let author = mailparse::addrparse_header(field).unwrap();
    let author = author.extract_single_info().unwrap();
    author.display_name.unwrap_or_default()
}

/// Octets of every value.
fn attachment() -> Vec<u8> {
    (0..=255).cycle().take(600).collect()
}

fn leaves<'m, 'd>(mail: &'m ParsedMail<'d>) -> Vec<&'m ParsedMail<'d>> {
    match mail.subparts.is_empty() {
        true => vec![mail],
        false => mail.subparts.iter().flat_map(leaves).collect(),
    }
}

/// A host of its own for one caller.
pub struct Machine {
    pub tenant: Tenant,
    pub host: Host,
    syslog: Arc<Mutex<String>>,
}

impl Machine {
    /// A machine with these programs and files; none if one is missing or namespaces are.
    pub fn with(needed: &[&str]) -> Option<Machine> {
        let missing = needed.iter().find(|name| !is_there(name));
        if let Some(name) = missing {
            skipped(name);
            return None;
        }
        (is_root() && can_unshare()).then(Machine::installed)
    }

    fn installed() -> Machine {
        let tenant = Tenant::start();
        let mut host = Host::configured(&binary(), &tenant);
        for folder in FOLDERS {
            fs::create_dir_all(host.path(folder)).unwrap();
        }
        for (target, link) in [
            ("sendmail365", "usr/sbin/sendmail"),
            ("../sbin/sendmail365", "usr/lib/sendmail"),
            ("../sbin/sendmail365", "usr/bin/mailq"),
        ] {
            symlink(target, host.path("image").join(link)).unwrap();
        }
        for top in ["usr", "etc"] {
            fs::create_dir_all(unpacked().join(top)).unwrap();
        }
        symlink(host.path("syslog"), host.path("image/dev/log")).unwrap();
        host.write("image/usr/sbin/sendmail365", "");
        host.write("spool/cron/atjobs/.SEQ", "0\n");
        for place in ["atjobs", "atjobs/.SEQ", "atspool"] {
            let place = host.path("spool/cron").join(place);
            chown(place, Some(DAEMON), Some(DAEMON)).unwrap();
        }
        host.write("image/etc/crontab", "");
        host.write("image/etc/aliases", "root: ops@example.com\n");
        host.write("home/body", text());
        host.write("home/attachment.bin", attachment());
        host.set("recipients", "aliases", "\"/etc/aliases\"");
        host.set("paths", "tokens", "\"/etc/sendmail365\"");
        host.set("sender", "allow_from", "[\"noreply@contoso.test\"]");
        host.set("log", "syslog", "true");
        let syslog = listen(&host.path("syslog"));
        let machine = Machine {
            tenant,
            host,
            syslog,
        };
        let token = machine.tenant.refresh_token();
        let mut login = machine.inside(["/usr/sbin/sendmail365", "login", "--import", "-"]);
        finish(&mut login, token.as_bytes()).exits(0);
        machine
    }

    /// A command on the machine, as root in its home, with no more environment than at a login.
    ///
    /// `$scripts` is the folder of the callers' scripts.
    pub fn inside<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = Command::new("unshare");
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/callers");
        command.args(UNSHARE).arg("sh").arg(scripts.join("inside"));
        command.arg(self.host.path("")).args([binary(), unpacked()]);
        command
            .args(words)
            .env_clear()
            .env("LANG", "C.UTF-8")
            .env("PATH", PATH);
        // Debian's own node looks there unasked.
        command.env("NODE_PATH", "/usr/share/nodejs");
        command
    }

    /// Runs a line of shell on the machine.
    pub fn shell(&self, line: &str) -> Ran {
        finish(&mut self.inside(["sh", "-c", line]), b"")
    }

    /// Starts a daemon on the machine; it ends with what is returned.
    pub fn daemon(&self, line: &str) -> Daemon {
        let mut command = self.inside(["sh", "-c", line]);
        command.stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Daemon(crate::host::start(&mut command))
    }

    /// Runs a caller that says `sent`, nothing more, and answers with what arrived.
    #[track_caller]
    pub fn sends(&self, line: &str) -> Delivered {
        let ran = self.shell(line);
        assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("sent\n", ""));
        ran.exits(0);
        self.only()
    }

    /// The one message that arrived since the last look.
    #[track_caller]
    pub fn only(&self) -> Delivered {
        let mut received = self.tenant.received();
        assert_eq!(received.len(), 1, "{}", self.tenant.dialogue());
        self.tenant.forget();
        received.remove(0)
    }

    /// Waits until a daemon has sent so many messages.
    #[track_caller]
    pub fn wait_for(&self, count: usize) -> Vec<Delivered> {
        self.wait("messages", || self.tenant.received().len() >= count);
        let received = self.tenant.received();
        self.tenant.forget();
        received
    }

    /// Waits for a text in the system's log.
    #[track_caller]
    pub fn wait_for_log(&self, text: &str) {
        self.wait(text, || self.syslog().contains(text));
    }

    #[track_caller]
    fn wait(&self, what: &str, there: impl Fn() -> bool) {
        let (times, pause) = PATIENCE;
        for _ in 0..times {
            if there() {
                return;
            }
            std::thread::sleep(pause);
        }
        panic!("no {what}; syslog:\n{}", self.syslog());
    }

    /// What was written to the system's log.
    pub fn syslog(&self) -> String {
        self.syslog.lock().unwrap().clone()
    }

    /// From now on the submission server cannot be reached, and nothing keeps a message.
    pub fn goes_offline(&self) {
        self.tenant.fault(Fault::SubmissionDown);
    }
}

/// A program that runs until it is dropped.
pub struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Where `tests/run` unpacks callers that must not be installed on the machine itself.
fn unpacked() -> PathBuf {
    let built = binary();
    let target = built.parent().and_then(Path::parent).unwrap();
    target.join("callers")
}

/// A program by its name, a file by its path, on the machine or beside it.
fn is_there(name: &str) -> bool {
    let paths = match name.strip_prefix('/') {
        Some(path) => vec![path.to_owned()],
        None => ["bin", "sbin", "local/bin"]
            .map(|folder| format!("usr/{folder}/{name}"))
            .into(),
    };
    let roots = [PathBuf::from("/"), unpacked()];
    let mut places = paths
        .iter()
        .flat_map(|path| roots.iter().map(move |root| root.join(path)));
    places.any(|place| place.exists())
}

fn can_unshare() -> bool {
    let mut command = Command::new("unshare");
    command
        .args(UNSHARE)
        .args(["mount", "-t", "overlay", "-o", "lowerdir=/usr:/etc"])
        .args(["overlay", "/etc"]);
    let can = Ran::of(&mut command).status.success();
    if !can {
        skipped("leave to mount an overlay (unshare --mount)");
    }
    can
}

fn listen(path: &Path) -> Arc<Mutex<String>> {
    let socket = UnixDatagram::bind(path).unwrap();
    let heard = Arc::new(Mutex::new(String::new()));
    let book = heard.clone();
    // Ends with the process: a datagram socket does not see its last writer go.
    std::thread::spawn(move || {
        let mut octets = [0; 8192];
        while let Ok(size) = socket.recv(&mut octets) {
            let line = String::from_utf8_lossy(&octets[..size]).into_owned();
            book.lock().unwrap().push_str(&format!("{line}\n"));
        }
    });
    heard
}
