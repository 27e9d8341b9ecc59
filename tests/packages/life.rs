//! Installed, upgraded, removed, purged, installed again.

use super::built::{NEWER, VERSION, debs, in_tree};
use super::root::Root;
use crate::host::finish;
use crate::tenant::{Fault, Tenant};
use sendmail365::config::settings::SETTINGS;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;

/// What is where, whose it is and who may use it. No sign-in has been made yet.
pub const HELD: [(&str, &str); 26] = [
    ("usr/sbin/sendmail365", "root:sendmail365 2755"),
    ("etc/sendmail365", "root:sendmail365 0750"),
    ("etc/sendmail365/config.toml", "root:sendmail365 0640"),
    ("etc/sendmail365/token.0", "root:sendmail365 0660"),
    ("etc/sendmail365/token.1", "root:sendmail365 0660"),
    ("etc/sendmail365/token.lock", "root:sendmail365 0660"),
    ("var/lib/sendmail365", "root:sendmail365 0750"),
    ("var/lib/sendmail365/token.0", "root:sendmail365 0660"),
    ("var/lib/sendmail365/token.1", "root:sendmail365 0660"),
    ("var/lib/sendmail365/token.lock", "root:sendmail365 0660"),
    ("var/lib/sendmail365/slot.0", "root:sendmail365 0660"),
    ("var/lib/sendmail365/slot.1", "root:sendmail365 0660"),
    ("var/lib/sendmail365/breaker", "root:sendmail365 0660"),
    ("var/lib/sendmail365/pace", "root:sendmail365 0660"),
    ("var/lib/sendmail365/rounds", "root:sendmail365 0660"),
    ("var/lib/sendmail365/visitors", "root:sendmail365 0660"),
    ("var/spool/sendmail365", "root:sendmail365 0750"),
    ("var/spool/sendmail365/tmp", "sendmail365:sendmail365 3770"),
    (
        "var/spool/sendmail365/queue",
        "sendmail365:sendmail365 3770",
    ),
    (
        "var/spool/sendmail365/failed",
        "sendmail365:sendmail365 3770",
    ),
    ("var/spool/sendmail365/runner.lock", "root:sendmail365 0660"),
    ("etc/cron.d/sendmail365", "root:root 0644"),
    ("etc/apparmor.d/usr.sbin.sendmail365", "root:root 0644"),
    ("etc/logcheck/ignore.d.server/sendmail365", "root:root 0644"),
    ("usr/lib/tmpfiles.d/sendmail365.conf", "root:root 0644"),
    ("usr/lib/sysusers.d/sendmail365.conf", "root:root 0644"),
];

/// The names of a mail transport agent, and where they lead.
pub const LINKS: [(&str, &str); 9] = [
    ("usr/sbin/sendmail", "sendmail365"),
    ("usr/sbin/send-mail", "sendmail365"),
    ("usr/lib/sendmail", "../sbin/sendmail365"),
    ("usr/bin/mailq", "../sbin/sendmail365"),
    ("usr/bin/newaliases", "../sbin/sendmail365"),
    (
        "usr/share/man/man8/sendmail.8.gz",
        "sendmail.sendmail365.8.gz",
    ),
    ("usr/share/man/man8/send-mail.8.gz", "sendmail.8.gz"),
    ("usr/share/man/man1/mailq.1.gz", "mailq.sendmail365.1.gz"),
    (
        "usr/share/man/man1/newaliases.1.gz",
        "newaliases.sendmail365.1.gz",
    ),
];

/// The units that start something, by what lies in packaging/systemd.
fn wanted_units() -> Vec<(String, String)> {
    let entries = fs::read_dir(in_tree("packaging/systemd"))
        .unwrap()
        .flatten();
    let files = entries.filter(|entry| entry.file_type().unwrap().is_file());
    files
        .filter_map(|entry| {
            let text = fs::read_to_string(entry.path()).unwrap();
            let wanted = text
                .lines()
                .find_map(|line| line.strip_prefix("WantedBy="))?;
            Some((entry.file_name().into_string().unwrap(), wanted.to_owned()))
        })
        .collect()
}

#[track_caller]
fn all_is_held(root: &Root) {
    for (path, wanted) in HELD {
        assert_eq!(root.held(path), wanted, "{path}");
    }
    let found = root.inventory();
    let ours = found.keys().filter(|path| {
        let below = ["etc/", "var/lib/", "var/spool/"].map(|top| format!("{top}sendmail365/"));
        below.iter().any(|top| path.starts_with(top))
    });
    for path in ours {
        assert!(HELD.iter().any(|(one, _)| one == path), "what is {path}?");
    }
}

#[test]
fn every_file_of_an_installed_host_has_its_owner_and_mode() {
    let Some(root) = Root::with_packages(VERSION) else {
        return;
    };
    all_is_held(&root);
    for (link, target) in LINKS {
        let found = fs::read_link(root.path(link)).unwrap();
        assert_eq!(found.to_str(), Some(target), "{link}");
        assert!(root.shell(&format!("test -s /{link}")).status.success());
    }
    assert_eq!(
        root.read("etc/cron.d/sendmail365"),
        tree("cron.d/sendmail365")
    );
    for (unit, wanted) in wanted_units() {
        let link = format!("etc/systemd/system/{wanted}.wants/{unit}");
        assert!(root.exists(&link), "{link}");
    }
    let units = fs::read_dir(in_tree("packaging/systemd")).unwrap().count();
    let user = fs::read_dir(root.path("usr/lib/systemd/user")).unwrap();
    let system = fs::read_dir(root.path("usr/lib/systemd/system")).unwrap();
    let system = system.flatten().map(|entry| entry.file_name());
    let system = system.filter(|name| name.to_string_lossy().starts_with("sendmail365"));
    assert_eq!(system.count(), units - 1, "the folder of the users' units");
    assert!(user.count() >= 2);
    // The account can neither sign in nor be anywhere.
    let users = root.read("etc/passwd");
    let account = users.lines().find(|line| line.starts_with("sendmail365:"));
    assert!(
        account
            .unwrap()
            .ends_with(":/nonexistent:/usr/sbin/nologin")
    );
    root.run(["dpkg", "--verify"]).exits(0);
    let ran = root.run(["dpkg", "--audit"]);
    assert_eq!(ran.stdout, "", "half installed");
}

fn tree(below: &str) -> String {
    fs::read_to_string(in_tree("packaging").join(below)).unwrap()
}

#[test]
fn there_are_as_many_slots_as_connections_by_default() {
    let table = tree("tmpfiles.d/sendmail365.conf");
    let slots = table.matches("/var/lib/sendmail365/slot.").count();
    let row = SETTINGS
        .iter()
        .find(|row| row.key == "connections")
        .unwrap();
    assert_eq!(slots.to_string(), row.default);
}

/// The table of files as systemd reads it, against what the package makes by itself.
#[test]
fn systemd_makes_the_same_files_and_leaves_their_content() {
    if !crate::is_root() || !crate::needs("systemd-tmpfiles") || !crate::needs("systemd-sysusers") {
        return;
    }
    let Some(root) = Root::clean() else {
        return;
    };
    for kind in ["sysusers", "tmpfiles"] {
        let below = format!("{kind}.d/sendmail365.conf");
        let folder = root.path(&format!("usr/lib/{kind}.d"));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("sendmail365.conf"), tree(&below)).unwrap();
    }
    let at = format!("--root={}", root.path("").display());
    let make = |program: &str, more: &[&str]| {
        let mut command = Command::new(program);
        command.arg(&at).args(more).arg("sendmail365.conf");
        crate::host::Ran::of(&mut command).exits(0);
    };
    make("systemd-sysusers", &[]);
    for _ in 0..2 {
        make("systemd-tmpfiles", &["--create"]);
        for (path, wanted) in HELD.iter().filter(|(path, _)| {
            path.contains("/sendmail365")
                && !path.contains(".d/")
                && !path.starts_with("usr")
                && !path.ends_with("config.toml")
                && !path.contains(".d.server")
        }) {
            assert_eq!(root.held(path), *wanted, "{path}");
        }
        fs::write(root.path("etc/sendmail365/token.0"), "kept").unwrap();
    }
    assert_eq!(root.read("etc/sendmail365/token.0"), "kept");
}

/// It keeps nothing that nobody could ever send, and says what is to be done.
#[test]
fn an_unconfigured_host_queues_nothing_and_says_what_to_do() {
    let Some(root) = Root::with_packages(VERSION) else {
        return;
    };
    root.sends("root", "too early")
        .exits(78)
        .says("/etc/sendmail365/config.toml")
        .says("add mailbox = \"...\" below [account]")
        .in_two_lines();
    let queue = fs::read_dir(root.path("var/spool/sendmail365/queue")).unwrap();
    assert_eq!(queue.count(), 0);
    // The timer and cron start nothing either, so the log is not filled once a minute.
    assert_eq!(started(&root), [false, false]);
    let settings = root.path("etc/sendmail365/config.toml");
    fs::set_permissions(&settings, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(
        started(&root),
        [true, true],
        "who reads nothing has to say so"
    );
    root.configure(&Tenant::start());
    assert_eq!(started(&root), [true, true]);
}

/// Whether the timer's service and the crontab come as far as the program.
fn started(root: &Root) -> [bool; 2] {
    let service = tree("systemd/sendmail365-queue.service");
    let mut lines = service.lines();
    let condition = lines.find_map(|line| line.strip_prefix("ExecCondition="));
    let condition = condition.unwrap().replace("$$", "$");
    let cron = tree("cron.d/sendmail365");
    let line = cron.lines().find(|line| !line.starts_with('#')).unwrap();
    let (_, line) = line.split_once(" sendmail365 ").unwrap();
    let (before, _) = line.split_once("/usr/sbin/sendmail365 -q").unwrap();
    let runs = |line: &str| {
        let mut command = root.inside_as("sendmail365", ["sh", "-c", line]);
        finish(&mut command, b"").stdout == "runs\n"
    };
    [
        runs(&format!("{condition} && echo runs")),
        runs(&format!("{before} echo runs")),
    ]
}

#[test]
fn units_are_started_where_systemd_runs_and_nowhere_else() {
    let Some(root) = Root::with_packages(VERSION) else {
        return;
    };
    let calls = |root: &Root| fs::read_to_string(root.path("calls")).unwrap_or_default();
    let fake = "#!/bin/sh\necho \"$@\" >>/calls\ncase $* in *is-*) echo enabled ;; esac\n";
    let program = root.path("usr/bin/systemctl");
    fs::write(&program, fake).unwrap();
    fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();
    root.install(&debs(NEWER)).exits(0);
    for word in ["start", "reload", "stop"] {
        assert!(!calls(&root).contains(word), "{}", calls(&root));
    }
    let _ = fs::remove_file(root.path("calls"));
    fs::create_dir_all(root.path("run/systemd/system")).unwrap();
    root.install(&debs(NEWER)).exits(0);
    let upgraded = calls(&root);
    assert!(upgraded.contains("daemon-reload"), "{upgraded}");
    for (unit, _) in wanted_units() {
        let restarted = upgraded
            .lines()
            .any(|line| line.contains("restart") && line.contains(&unit));
        assert!(restarted, "{unit}: {upgraded}");
    }
    root.run(["dpkg", "--remove", "sendmail365-mta", "sendmail365"])
        .exits(0);
    let removed = calls(&root).split_off(upgraded.len());
    for (unit, wanted) in wanted_units() {
        assert!(removed.contains(&format!("stop {unit}")), "{removed}");
        // What an administrator switches off stays off.
        let link = root.path(&format!("etc/systemd/system/{wanted}.wants/{unit}"));
        fs::remove_file(link).unwrap();
    }
    let before = calls(&root).len();
    root.install(&debs(NEWER)).exits(0);
    for (unit, wanted) in wanted_units() {
        assert!(!root.exists(&format!("etc/systemd/system/{wanted}.wants/{unit}")));
    }
    assert!(calls(&root).split_off(before).contains("daemon-reload"));
}

/// What a host has to lose.
/// Puts a script in the place of a program.
fn stand_in(root: &Root, program: &str, script: &str) {
    let path = root.path(program);
    let _ = fs::remove_file(&path);
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_root_that_is_none_of_the_kernels_leaves_the_kernel_and_the_host_alone() {
    let Some(root) = Root::with_packages(VERSION) else {
        return;
    };
    let script = |name: &str| format!("/var/lib/dpkg/info/sendmail365.{name}");
    stand_in(&root, "usr/bin/aa-enabled", "exit 0");
    stand_in(&root, "sbin/apparmor_parser", "echo \"$@\" >>/loaded");
    let configure = [&script("postinst"), "configure", VERSION];
    root.run(configure).exits(0);
    assert!(
        !root.exists("loaded"),
        "the profile of the host is replaced"
    );
    stand_in(&root, "usr/bin/ischroot", "exit 1");
    root.run(configure).exits(0);
    assert!(root.read("loaded").contains("usr.sbin.sendmail365"));

    // As dpkg calls them with --force-script-chrootless: what they name is another host's.
    for words in [
        &configure[..],
        &[&script("prerm"), "remove"],
        &[&script("postrm"), "purge"],
    ] {
        let from_outside = ["env", "DPKG_ROOT=/elsewhere"].iter().chain(words);
        let ran = root.run(from_outside.copied());
        ran.exits(1).says("from inside its root only");
    }
    all_is_held(&root);
}

#[test]
fn on_a_purge_mail_kept_elsewhere_goes_and_a_persons_account_stays() {
    let Some(root) = Root::clean() else {
        return;
    };
    root.shell("useradd -m -s /bin/bash sendmail365").exits(0);
    root.shell("mkdir -p /srv/spool /srv/etc && ln -s /srv/spool /var/spool/sendmail365 && ln -s /srv/etc /etc/sendmail365")
        .exits(0);
    root.install(&debs(VERSION))
        .exits(0)
        .says("usermod --shell /usr/sbin/nologin sendmail365");
    root.shell(
        "echo text >/srv/spool/queue/x; echo mine >/srv/spool/notes; echo mine >/srv/etc/key.pem",
    )
    .exits(0);
    root.run(["dpkg", "--purge", "sendmail365-mta", "sendmail365"])
        .exits(0)
        .says("so it is kept");
    let left = root
        .shell("cd /srv && find . -type f -o -type d | sort")
        .stdout;
    assert_eq!(left, ".\n./etc\n./etc/key.pem\n./spool\n./spool/notes\n");
    assert!(!root.exists("var/spool/sendmail365") && !root.exists("etc/sendmail365"));
    assert!(root.read("etc/passwd").contains("\nsendmail365:"));
}

fn state(root: &Root) -> Vec<(String, Vec<u8>, u64)> {
    let mut kept = Vec::new();
    for folder in [
        "etc/sendmail365",
        "var/lib/sendmail365",
        "var/spool/sendmail365/queue",
    ] {
        for entry in fs::read_dir(root.path(folder)).unwrap().flatten() {
            let about = entry.metadata().unwrap();
            let name = format!("{folder}/{}", entry.file_name().to_str().unwrap());
            kept.push((name, fs::read(entry.path()).unwrap(), about.ino()));
        }
    }
    kept.sort();
    kept
}

#[test]
fn an_upgrade_keeps_the_bit_and_the_state_and_a_removal_keeps_what_waits() {
    let tenant = Tenant::start();
    let Some(root) = Root::with_packages(VERSION) else {
        return;
    };
    root.configure(&tenant);
    root.sign_in(&tenant);
    root.sends("root", "first").exits(0).silently();
    tenant.fault(Fault::SubmissionDown);
    root.sends("root", "waits").exits(0).says("queued as ");
    let before = state(&root);
    assert!(before.iter().any(|(name, ..)| name.contains("/queue/")));

    root.install(&debs(NEWER)).exits(0);
    let version = root.run(["dpkg-query", "-W", "-f", "${Version}", "sendmail365"]);
    assert_eq!(version.stdout, NEWER);
    assert_eq!(root.held("usr/sbin/sendmail365"), "root:sendmail365 2755");
    assert!(state(&root) == before, "the upgrade changed state");

    // The same scripts again, as after a power cut in the middle.
    let listed = root.inventory();
    for script in ["postinst configure", &format!("postinst configure {NEWER}")] {
        root.shell(&format!("/var/lib/dpkg/info/sendmail365.{script}"))
            .exits(0);
    }
    assert_eq!(root.inventory(), listed);
    assert!(
        state(&root) == before,
        "another run of the script changed state"
    );

    root.run(["dpkg", "--remove", "sendmail365-mta", "sendmail365"])
        .exits(0);
    for (link, _) in LINKS {
        assert!(!root.exists(link), "{link}");
    }
    assert!(!root.exists("usr/sbin/sendmail365"));
    assert!(state(&root) == before, "the removal changed state");
    root.ids("sendmail365");
    // What is left of the package does no harm: cron goes on reading its line.
    let cron = root.read("etc/cron.d/sendmail365");
    let line = cron.lines().find(|line| !line.starts_with('#')).unwrap();
    let command = line.split_once(" sendmail365 ").unwrap().1;
    root.shell(command).exits(0).silently();

    root.install(&debs(NEWER)).exits(0);
    all_held_but_state(&root);
    tenant.recover();
    tenant.forget();
    root.run(["sendmail", "-qf"]).exits(0);
    let received = tenant.received();
    assert_eq!(received.len(), 1);
    assert!(received[0].text().contains("Subject: waits"));
    root.sends("root", "after").exits(0).silently();
}

#[track_caller]
fn all_held_but_state(root: &Root) {
    for (path, wanted) in HELD {
        assert_eq!(root.held(path), wanted, "{path}");
    }
}

/// Hardened mode: everything goes through the socket, and no upgrade opens the other way again.
#[test]
fn a_bit_that_the_administrator_took_away_does_not_come_back() {
    let Some(root) = Root::with_packages(VERSION) else {
        return;
    };
    let program = "usr/sbin/sendmail365";
    let set = "dpkg-statoverride --force-statoverride-add --update --add root root 0755";
    root.shell(&format!("{set} /{program}")).exits(0);
    assert_eq!(root.held(program), "root:root 0755");
    root.install(&debs(NEWER)).exits(0);
    assert_eq!(root.held(program), "root:root 0755");
    // Or there is no override any more, which is as clear.
    root.shell(&format!("dpkg-statoverride --remove /{program}"))
        .exits(0);
    root.install(&debs(NEWER)).exits(0);
    assert_eq!(root.held(program), "root:root 0755");
    root.run(["dpkg", "--remove", "sendmail365-mta", "sendmail365"])
        .exits(0);
    root.install(&debs(NEWER)).exits(0);
    assert_eq!(root.held(program), "root:root 0755");
}

#[test]
fn a_purge_leaves_nothing_and_the_host_can_begin_again() {
    let tenant = Tenant::start();
    let Some(root) = Root::clean() else {
        return;
    };
    let clean = root.inventory();
    for _ in 0..2 {
        root.install(&debs(VERSION)).exits(0);
        all_is_held(&root);
        root.configure(&tenant);
        root.sign_in(&tenant);
        tenant.fault(Fault::SubmissionDown);
        root.sends("root", "lost with the purge")
            .exits(0)
            .says("queued as ");
        tenant.recover();
        // An override of the administrator for a file of the account would stop dpkg for good.
        fs::write(root.path("srv/own"), "").unwrap();
        root.shell("dpkg-statoverride --add sendmail365 sendmail365 0600 /srv/own")
            .exits(0);
        let ran = root.run(["dpkg", "--purge", "sendmail365-mta", "sendmail365"]);
        ran.exits(0);
        assert!(
            ran.stdout.contains("Purging the mail queue, the sign-in"),
            "{ran:#?}"
        );
        fs::remove_file(root.path("srv/own")).unwrap();
        for file in ["passwd", "group", "shadow"] {
            assert!(!root.read(&format!("etc/{file}")).contains("sendmail365"));
        }
        assert_eq!(root.run(["dpkg-statoverride", "--list"]).stdout, "");
        assert_eq!(difference(&clean, &root.inventory()), Vec::<String>::new());
    }
    // A settings file that was there before the package stays as it is.
    fs::create_dir(root.path("etc/sendmail365")).unwrap();
    fs::write(root.path("etc/sendmail365/config.toml"), "# mine\n").unwrap();
    root.install(&debs(VERSION)).exits(0);
    assert_eq!(root.read("etc/sendmail365/config.toml"), "# mine\n");
}

/// Paths that came, went or changed, but for sizes of the folders and tables they stand in.
fn difference(
    before: &std::collections::BTreeMap<String, String>,
    after: &std::collections::BTreeMap<String, String>,
) -> Vec<String> {
    let came = after.keys().filter(|path| !before.contains_key(*path));
    let went = before.keys().filter(|path| !after.contains_key(*path));
    let changed = before
        .iter()
        .filter(|(path, facts)| after.get(*path).is_some_and(|now| now != *facts));
    let changed = changed.map(|(path, _)| path);
    came.chain(went).chain(changed).cloned().collect()
}
