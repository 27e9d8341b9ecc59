//! The setgid life: what an ordinary user's submission may do, for how long, and in which order.

mod order;

use crate::host::{fed, finish};
use crate::installed::{ACCOUNT, ANN, BOB, Installed, ROOT, SERVICE, User, own};
use crate::signals::until;
use crate::submission::MESSAGE;
use crate::tenant::{Act, Fault, Stage, Tenant};
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::process::{Child, Stdio};

pub const PLAIN: [&str; 2] = ["-t", "-i"];

/// A submission of a user that has met a fault, and goes no further before it ends.
pub fn stalled(host: &Installed, tenant: &Tenant, user: User, fault: Fault) -> Child {
    let met = || tenant.faults_met();
    let before = met();
    tenant.fault(fault);
    let mut command = host.command(user, "sendmail", PLAIN);
    let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = fed(command, MESSAGE.as_bytes());
    until("the fault", || met() > before);
    child
}

/// A line of a process's status.
pub fn status(child: &Child, key: &str) -> Vec<u32> {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    let numbers = line.unwrap().split_whitespace();
    numbers.map(|number| number.parse().unwrap()).collect()
}

#[test]
fn every_user_sends_and_is_named_in_the_log() {
    let tenant = Tenant::start();
    let Some(host) = Installed::with(&tenant) else {
        return;
    };
    for user in [ANN, BOB, ROOT, SERVICE] {
        host.sendmail(user, PLAIN, MESSAGE).exits(0).silently();
        let log = host.host.log();
        let line = log.lines().rfind(|line| line.contains("event=sent"));
        let named = format!("uid={} user={} ", user.uid, user.name);
        assert!(line.unwrap().contains(&named), "{log}");
        let arrived = tenant.received().pop().unwrap();
        let received = arrived.field("Received").remove(0);
        let traced = format!("from {} (uid {}) by ", user.name, user.uid);
        assert!(received.starts_with(&traced), "{received}");
    }
    assert_eq!(tenant.received().len(), 4);
}

/// What cannot be sent now belongs to the caller and the group, and nobody else sees or moves it.
#[test]
fn an_entry_is_its_callers_and_shown_to_nobody_else() {
    let tenant = Tenant::start();
    let Some(host) = Installed::with(&tenant) else {
        return;
    };
    tenant.fault(Fault::SubmissionDown);
    host.sendmail(ANN, PLAIN, MESSAGE)
        .exits(0)
        .says("queued as ");
    let name = host.host.spooled("queue").remove(0);
    let facts = fs::metadata(host.host.path("var/spool/queue").join(&name)).unwrap();
    let found = (facts.uid(), facts.gid(), facts.mode() & 0o7777);
    assert_eq!(found, (ANN.uid, ACCOUNT, 0o660));
    for (user, count) in [(ANN, "1\n"), (BOB, "0\n"), (ROOT, "1\n"), (SERVICE, "1\n")] {
        let ran = host.sendmail(user, ["-bpc"], "");
        assert_eq!(ran.exits(0).stdout, count, "{user:?}");
    }
    for job in ["show", "resend", "drop"] {
        host.run(BOB, "sendmail365", ["queue", job, &name], "")
            .exits(64);
    }
    tenant.recover();
    host.host.forget_troubles();
    host.sendmail(BOB, ["-qf"], "").exits(0);
    assert_eq!(host.host.spooled("queue"), [name]);
    host.sendmail(ANN, ["-qf"], "").exits(0);
    assert_eq!(
        (tenant.received().len(), host.host.spooled("queue").len()),
        (1, 0)
    );
}

/// What root cannot send now is the account's, which runs the queue, and known to be root's all the same.
#[test]
fn an_entry_of_root_is_worked_off_by_the_account() {
    let tenant = Tenant::start();
    let Some(host) = Installed::with(&tenant) else {
        return;
    };
    tenant.fault(Fault::SubmissionDown);
    host.sendmail(ROOT, PLAIN, MESSAGE)
        .exits(0)
        .says("queued as ");
    let name = host.host.spooled("queue").remove(0);
    let path = host.host.path("var/spool/queue").join(&name);
    assert_eq!(fs::metadata(&path).unwrap().uid(), ACCOUNT);
    let ran = host.run(ROOT, "sendmail365", ["queue", "list", "--json"], "");
    assert!(ran.stdout.contains("\"uid\":0"), "{ran:?}");
    tenant.recover();
    host.host.forget_troubles();
    host.sendmail(SERVICE, ["-qf"], "").exits(0);
    assert_eq!(
        (tenant.received().len(), host.host.spooled("queue").len()),
        (1, 0)
    );
    assert!(host.host.log().contains("event=sent uid=0") || host.host.log().contains(" uid=0 "));
}

/// While it talks to the server a process has no group, no file and no way for its caller to look in.
#[test]
fn a_submission_under_way_has_its_group_lowered_and_root_is_gone() {
    let tenant = Tenant::start();
    let Some(host) = Installed::with(&tenant) else {
        return;
    };
    let stall = Fault::At(Stage::Mail, Act::Stall);
    let mut child = stalled(&host, &tenant, ANN, stall.clone());
    assert_eq!(status(&child, "Uid:"), [ANN.uid; 4]);
    assert_eq!(status(&child, "Gid:"), [ANN.uid, ANN.uid, ACCOUNT, ANN.uid]);
    assert_eq!(status(&child, "NoNewPrivs:"), [1]);
    child.kill().unwrap();
    child.wait().unwrap();
    tenant.recover();
    let mut child = stalled(&host, &tenant, ROOT, stall);
    assert_eq!(status(&child, "Uid:"), [ACCOUNT; 4]);
    assert_eq!(status(&child, "Gid:"), [ACCOUNT; 4]);
    assert_eq!(status(&child, "Groups:"), [0; 0]);
    child.kill().unwrap();
    child.wait().unwrap();
}

/// What the caller names is read with his own rights, and what the host keeps is then out of reach.
#[test]
fn a_file_that_the_caller_names_costs_the_group_for_good() {
    let tenant = Tenant::start();
    let Some(host) = Installed::with(&tenant) else {
        return;
    };
    let hosts = fs::read_to_string(host.host.path("etc/config.toml")).unwrap();
    let named = host.home(ANN).join("own.toml");
    let readable = hosts
        .replace("/etc/ca.pem", "/home/ann/ca.pem")
        .replace("/etc/aliases", "/home/ann/aliases");
    fs::write(&named, &readable).unwrap();
    fs::copy(host.host.path("etc/ca.pem"), host.home(ANN).join("ca.pem")).unwrap();
    for file in ["own.toml", "ca.pem"] {
        own(&host.home(ANN).join(file), ANN.uid, ANN.uid, 0o600);
    }
    let path = named.to_str().unwrap().to_owned();
    let ran = host.sendmail(ANN, ["-C", &path, "-t", "-i"], MESSAGE);
    ran.exits(78)
        .in_two_lines()
        .says("no credentials with the configuration that you chose");
    let ran = host.sendmail(
        ANN,
        ["-C", "/etc/sendmail365/config.toml", "-t", "-i"],
        MESSAGE,
    );
    ran.exits(78).in_two_lines().says("leave out -C");
    // Nor does a file of the host's name itself to him: it is not read, whatever it is.
    let slot = host.host.path("etc/tokens/token.1");
    let ran = host.sendmail(ANN, ["-C", slot.to_str().unwrap(), "-t", "-i"], MESSAGE);
    ran.exits(78).says("Permission denied");
    assert_eq!(tenant.received().len(), 0);
    // His own file, unasked.
    let config = host.home(ANN).join(".config/sendmail365");
    fs::create_dir_all(&config).unwrap();
    symlink(&named, config.join("config.toml")).unwrap();
    let ran = host.sendmail(ANN, PLAIN, MESSAGE);
    ran.exits(78)
        .says("no credentials with the configuration that you chose");
    host.sendmail(BOB, PLAIN, MESSAGE).exits(0).silently();
}

/// Where the files are meant is known before the caller's directory is left.
#[test]
fn a_relative_path_is_the_callers() {
    let tenant = Tenant::start();
    let Some(host) = Installed::with(&tenant) else {
        return;
    };
    fs::copy(
        host.host.path("etc/config.toml"),
        host.host.path("home/own.toml"),
    )
    .unwrap();
    host.host.write("home/token", tenant.refresh_token());
    let inside = |line: &str, stdin: &str| {
        let sbin = host.host.path("usr/sbin");
        let line = format!(
            "cd {}; {}/{line}",
            host.host.path("home").display(),
            sbin.display()
        );
        finish(
            &mut host.inside(ROOT, ["sh", "-c", &line]),
            stdin.as_bytes(),
        )
    };
    inside("sendmail365 login --import token -C own.toml", "").exits(0);
    inside("sendmail -C own.toml -t -i", MESSAGE)
        .exits(0)
        .silently();
    inside("sendmail -C ./../home/own.toml -t -i", MESSAGE)
        .exits(0)
        .silently();
    inside("sendmail -C other.toml -t -i", MESSAGE)
        .exits(78)
        .says("home/other.toml");
    assert_eq!(tenant.received().len(), 2);
    fs::remove_file(host.host.path("home/token")).unwrap();
}

/// A descriptor that the caller left open is neither kept nor named.
#[test]
fn descriptors_of_the_caller_are_closed() {
    let tenant = Tenant::start();
    let Some(host) = Installed::with(&tenant) else {
        return;
    };
    tenant.fault(Fault::At(Stage::Mail, Act::Stall));
    let sendmail = host.host.path("usr/sbin/sendmail");
    let line = format!(
        "exec {} -t -i 3</etc/passwd 9>/dev/null 250</etc/group",
        sendmail.display()
    );
    let mut command = host.inside(ANN, ["bash", "-c", &line]);
    let command = command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = fed(command, MESSAGE.as_bytes());
    until("the fault", || tenant.faults_met() > 0);
    let open = fs::read_dir(format!("/proc/{}/fd", child.id())).unwrap();
    let open: Vec<String> = open
        .map(|link| {
            fs::read_link(link.unwrap().path())
                .unwrap()
                .display()
                .to_string()
        })
        .collect();
    assert!(
        !open
            .iter()
            .any(|path| path.ends_with("passwd") || path.ends_with("group")),
        "{open:?}"
    );
    child.kill().unwrap();
    child.wait().unwrap();
    tenant.recover();
    host.host.write(
        "home/own.toml",
        fs::read(host.host.path("etc/config.toml")).unwrap(),
    );
    let config = host.host.path("home/own.toml");
    let named = |number: u8| {
        let config = config.display();
        let sendmail = sendmail.display();
        let line = format!("{sendmail} -C /dev/fd/{number} -i a@example.com 3<{config}");
        finish(
            &mut host.inside(ROOT, ["bash", "-c", &line]),
            MESSAGE.as_bytes(),
        )
    };
    named(3).exits(78).in_two_lines().says("/dev/fd/3");
}

/// A sign-in reads what only root can read, and what it makes is root's and the group's.
#[test]
fn root_signs_in_with_a_file_that_only_root_can_read() {
    let tenant = Tenant::start();
    let Some(host) = Installed::with(&tenant) else {
        return;
    };
    let token = host.host.path("home/token");
    fs::write(&token, tenant.issue_refresh_token()).unwrap();
    own(&token, 0, 0, 0o600);
    for name in ["token.0", "token.1", "token.lock"] {
        fs::remove_file(host.host.path("etc/tokens").join(name)).unwrap();
    }
    let words = ["login", "--import", token.to_str().unwrap()];
    host.run(ROOT, "sendmail365", words, "").exits(0);
    fs::remove_file(&token).unwrap();
    for name in ["token.0", "token.1", "token.lock"] {
        let facts = fs::metadata(host.host.path("etc/tokens").join(name)).unwrap();
        let found = (facts.uid(), facts.gid(), facts.mode() & 0o7777);
        assert_eq!(found, (0, ACCOUNT, 0o660), "{name}");
    }
    host.sendmail(ANN, PLAIN, MESSAGE).exits(0).silently();
}

/// Aliases may lie with the settings. A path that a user can turn is read with his rights: whatever is
/// read for him he sees in what becomes of an address.
#[test]
fn aliases_are_read_by_the_group_only_where_root_alone_can_put_them() {
    let tenant = Tenant::start();
    let Some(mut host) = Installed::with(&tenant) else {
        return;
    };
    host.host.write("etc/aliases", "root: ops@example.com\n");
    own(&host.host.path("etc/aliases"), 0, ACCOUNT, 0o640);
    let ran = host.sendmail(ANN, ["-bv", "root"], "");
    assert_eq!(
        ran.exits(0).stdout,
        "root... deliverable: ops@example.com\n"
    );
    let link = host.home(ANN).join("aliases");
    symlink(host.host.path("etc/tokens/token.1"), &link).unwrap();
    host.set("recipients", "aliases", &format!("{link:?}"));
    let slot = fs::read_to_string(host.host.path("etc/tokens/token.1")).unwrap();
    let name = slot.split_once(':').unwrap().0.to_owned();
    for words in [vec!["-bv", &name], vec!["-bi"], vec!["-i", "root"]] {
        let ran = host.sendmail(ANN, &words, MESSAGE);
        ran.exits(78).says("Permission denied");
        assert!(tenant.leak_in(ran.stdout.as_bytes()).is_none());
    }
}

/// Settings that root has for himself alone, tokens and all, are used by root.
#[test]
fn root_with_files_that_are_closed_to_the_account_stays_root() {
    let tenant = Tenant::start();
    let Some(host) = Installed::with(&tenant) else {
        return;
    };
    let bench = host.host.path("home/bench");
    fs::create_dir(&bench).unwrap();
    own(&bench, 0, 0, 0o700);
    let below = |name: &str| format!("{}/{name}", bench.display());
    let config = fs::read_to_string(host.host.path("etc/config.toml")).unwrap();
    let config = config
        .replace(
            &host.host.path("etc/tokens").display().to_string(),
            &below("tokens"),
        )
        .replace(
            &host.host.path("var/state").display().to_string(),
            &below("state"),
        )
        .replace(
            &host.host.path("var/spool").display().to_string(),
            &below("spool"),
        );
    fs::write(bench.join("own.toml"), config).unwrap();
    let named = below("own.toml");
    let token = tenant.refresh_token();
    host.run(
        ROOT,
        "sendmail365",
        ["login", "--import", "-", "-C", &named],
        token,
    )
    .exits(0);
    host.sendmail(ROOT, ["-C", &named, "-t", "-i"], MESSAGE)
        .exits(0)
        .silently();
    tenant.fault(Fault::SubmissionDown);
    host.sendmail(ROOT, ["-C", &named, "-t", "-i"], MESSAGE)
        .exits(0)
        .says("queued as ");
    let entry = fs::read_dir(bench.join("spool/queue"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    assert_eq!(entry.metadata().unwrap().uid(), 0);
    fs::remove_dir_all(bench).unwrap();
}
