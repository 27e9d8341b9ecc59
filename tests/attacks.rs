//! What an ordinary user of a shared host tries, and does not get: another's secret or mail, a file
//! written where he says, or a delay of another user beyond the stated bounds.
//!
//! After each attack he searches all he can read, and another user sends.

mod files;
mod looking;
mod options;
pub mod surroundings;
mod waiting;

use crate::host::{Ran, finish};
use crate::installed::{ACCOUNT, ANN, BOB, Installed, User, own};
use crate::submission::MESSAGE;
use crate::tenant::Tenant;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::Command;

/// Stands in the settings, for nobody to see.
const SETTINGS: &str = "HOSTS-SETTINGS";

/// Stands in a message of another user's that waits.
const LETTER: &str = "BOBS-LETTER";

const PLAIN: [&str; 2] = ["-t", "-i"];

/// A host with something to steal, and a user who tries.
struct Field {
    tenant: Tenant,
    host: Installed,
    /// The other user's message.
    letter: String,
}

impl Field {
    fn new() -> Option<Field> {
        let tenant = Tenant::start();
        let host = Installed::with(&tenant)?;
        tenant.allow_any_rate();
        let config = host.host.path("etc/config.toml");
        let settings = fs::read_to_string(&config).unwrap();
        fs::write(&config, format!("# {SETTINGS}\n{settings}")).unwrap();
        let message = format!("To: a@example.com\nSubject: {LETTER}\n\n{LETTER}\n");
        host.sendmail(BOB, ["-odq", "-t", "-i"], message).exits(0);
        let letter = host.host.spooled("queue").remove(0);
        let out = host.home(ANN).join("out");
        fs::create_dir(&out).unwrap();
        own(&out, ANN.uid, ANN.uid, 0o777);
        Some(Field {
            tenant,
            host,
            letter,
        })
    }

    /// The attacker's own directory, where nothing of ours is to appear.
    fn out(&self) -> PathBuf {
        self.host.home(ANN).join("out")
    }

    /// What is not his to read.
    fn treasures(&self) -> Vec<PathBuf> {
        let below = [
            "etc/config.toml",
            "etc/tokens/token.0",
            "etc/tokens/token.1",
            "etc/tokens/token.lock",
            "var/state/breaker",
            "var/state/slot.0",
            "var/spool/runner.lock",
            "var/log",
        ];
        let letter = format!("var/spool/queue/{}", self.letter);
        let below = below.into_iter().chain([letter.as_str()]);
        below.map(|below| self.host.host.path(below)).collect()
    }

    fn sendmail(&self) -> String {
        let path = self.host.host.path("usr/sbin/sendmail");
        path.to_str().unwrap().to_owned()
    }

    /// A command of the attacker's.
    fn ann<I>(&self, words: I) -> Command
    where
        I: IntoIterator,
        I::Item: AsRef<OsStr>,
    {
        self.host.inside(ANN, words)
    }

    /// A line of his in a shell that has the program's path as `$S`.
    fn ann_shell(&self, line: &str) -> Command {
        let mut command = self.ann(["bash", "-c", line]);
        command.env("S", self.sendmail());
        command
    }

    /// Lets him try; what he is told holds nothing that he must not know.
    #[track_caller]
    fn attack(&self, command: &mut Command) -> Ran {
        let ran = finish(command, MESSAGE.as_bytes());
        self.told_nothing(&ran);
        ran
    }

    #[track_caller]
    fn told_nothing(&self, ran: &Ran) {
        for text in [&ran.stdout, &ran.stderr] {
            let leaked = self.tenant.leak_in(text.as_bytes());
            let other = [SETTINGS, LETTER].iter().find(|word| text.contains(**word));
            assert!(leaked.is_none() && other.is_none(), "{ran:#?}");
        }
    }

    /// Nothing can be read, nothing was written, and the next user is served at once.
    #[track_caller]
    fn holds(&self) {
        self.keeps_its_secrets();
        let written: Vec<_> = fs::read_dir(self.out()).unwrap().collect();
        assert!(written.is_empty(), "{written:?}");
        self.serves_others();
        let log = self.host.host.log();
        let bob = log
            .lines()
            .rfind(|line| line.contains(" uid=54402 "))
            .unwrap();
        assert!(bob.contains("event=sent"), "{log}");
        assert!(self.tenant.leak_in(log.as_bytes()).is_none());
    }

    /// He looks through all there is, with his own rights.
    #[track_caller]
    fn keeps_its_secrets(&self) {
        let words = ["CANARY", SETTINGS, LETTER];
        let root = self.host.host.path("");
        let mut search = self.ann(["grep", "-rlaF", "--devices=skip"]);
        for word in words {
            search.args(["-e", word]);
        }
        let found = finish(search.arg(&root), b"");
        assert_eq!(found.stdout, "", "he can read it");
        for path in self.treasures() {
            let script = format!("test -e {0} || : <{0} || : >>{0}", path.display());
            let ran = finish(&mut self.ann(["sh", "-c", &script]), b"");
            let open = ran.status.success() && path.file_name().is_some_and(|name| name != "log");
            assert!(!open, "{}", path.display());
        }
        for (below, mode) in [
            ("etc", 0o750),
            ("etc/tokens", 0o750),
            ("etc/tokens/token.0", 0o660),
            ("etc/tokens/token.1", 0o660),
            ("etc/tokens/token.lock", 0o660),
            ("var/state/breaker", 0o660),
            ("var/state/pace", 0o660),
            ("var/spool/queue", 0o3770),
        ] {
            let facts = fs::metadata(self.host.host.path(below)).unwrap();
            let owner = if mode == 0o3770 { ACCOUNT } else { 0 };
            let found = (facts.uid(), facts.gid(), facts.mode() & 0o7777);
            assert_eq!(found, (owner, ACCOUNT, mode), "{below}");
        }
    }

    /// The next user's message is sent over one connection, and he hears nothing.
    #[track_caller]
    fn serves_others(&self) {
        // The rate of the mailbox is everybody's to use up.
        fs::write(self.host.host.path("var/state/pace"), "").unwrap();
        self.tenant.recover();
        self.tenant.forget();
        self.host.sendmail(BOB, PLAIN, MESSAGE).exits(0).silently();
        let sent = (
            self.tenant.received().len(),
            self.tenant.connections().len(),
        );
        assert_eq!(sent, (1, 1), "{}", self.tenant.dialogue());
    }

    /// Forgets what the attacker has put into the queue.
    fn sweep(&self) {
        for name in self.host.host.spooled("queue") {
            if name != self.letter {
                fs::remove_file(self.host.host.path("var/spool/queue").join(name)).unwrap();
            }
        }
    }

    fn user_line(user: User) -> String {
        format!(" uid={} user={} ", user.uid, user.name)
    }
}
