//! The modes without a message to send: newaliases, -bv, --dry-run and --check.

use crate::binary;
use crate::host::{Host, Ran, finish};
use crate::tenant::Tenant;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

const MESSAGE: &str = "From: Shop <shop@example.org>\nTo: root\nBcc: audit@example.com\n\nhello\n";

/// A host with a few aliases, signed in, and the requests to the tenant so far forgotten.
fn host(tenant: &Tenant) -> Host {
    let host = Host::with(&binary(), tenant);
    host.write(
        "etc/aliases",
        "root: ops@example.com, joe\njoe: Joe <joe@example.com>, OPS@EXAMPLE.COM\nlog: \"|/bin/x\"\n",
    );
    tenant.forget();
    host
}

/// Not one request, connection or line in the log.
#[track_caller]
fn nobody_was_asked(tenant: &Tenant) {
    assert!(tenant.token_requests().is_empty() && tenant.connections().is_empty());
}

fn slots(host: &Host) -> Vec<Vec<u8>> {
    let names = ["token.0", "token.1"].map(|name| host.path("etc/tokens").join(name));
    names.iter().map(|path| fs::read(path).unwrap()).collect()
}

#[test]
fn newaliases_is_silent_about_a_file_that_can_be_read_or_is_missing() {
    let tenant = Tenant::start();
    let host = host(&tenant);
    let calls = [("newaliases", ""), ("sendmail", "-bi"), ("sendmail", "-I")];
    for (name, word) in calls {
        let words = [word].into_iter().filter(|word| !word.is_empty());
        host.run(name, words, "").exits(0).silently();
    }
    fs::remove_file(host.path("etc/aliases")).unwrap();
    host.run("newaliases", [""; 0], "").exits(0).silently();
    nobody_was_asked(&tenant);
}

#[test]
fn newaliases_names_every_wrong_line_and_quotes_no_value() {
    let tenant = Tenant::start();
    let host = host(&tenant);
    host.write(
        "etc/aliases",
        "root: a@example.com\nno colon CANARY\njoe: a b CANARY\nann:\n",
    );
    let path = host.path("etc/aliases").display().to_string();
    let ran = host.run("newaliases", [""; 0], "");
    ran.exits(65);
    let lines: Vec<&str> = ran.stderr.lines().collect();
    let right = [
        format!("newaliases: {path}:2: there is no colon after the name"),
        format!("newaliases: {path}:3: joe: several words, and no < > around an address"),
        format!("newaliases: {path}:4: ann: there is nothing after the colon"),
        "newaliases: write it as `name: user@example.com`, with commas between several".to_owned(),
    ];
    assert_eq!(lines, right);

    fs::remove_file(host.path("etc/aliases")).unwrap();
    fs::create_dir(host.path("etc/aliases")).unwrap();
    host.run("newaliases", [""; 0], "")
        .exits(78)
        .in_two_lines()
        .says("aliases");
}

#[test]
fn bv_shows_what_becomes_of_each_address() {
    let tenant = Tenant::start();
    let mut host = host(&tenant);
    let ran = host.sendmail(
        ["-bv", "root", "\\joe", "x@example.net, log@localhost"],
        "unread",
    );
    ran.exits(67).says("joe is not an alias");
    assert_eq!(
        ran.stdout,
        "root... deliverable: ops@example.com\n\
         root... deliverable: joe@example.com\n\
         root... deliverable: OPS@EXAMPLE.COM\n\
         \\joe... undeliverable: joe is not an alias, and neither recipients.domain nor \
         recipients.admin is set\n\
         x@example.net... deliverable: x@example.net\n\
         log@localhost... undeliverable: the alias log leads to `\"|/bin/x\"`, a local delivery\n"
    );
    host.set("recipients", "domain", "\"contoso.test\"");
    let ran = host.sendmail(["-bv", "-n", "--", "root", "-x"], "");
    ran.exits(0);
    assert_eq!(
        ran.stdout,
        "root... deliverable: root@contoso.test\n-x... deliverable: -x@contoso.test\n"
    );
    nobody_was_asked(&tenant);
}

#[test]
fn bv_says_why_an_address_cannot_be_used() {
    let tenant = Tenant::start();
    let host = host(&tenant);
    let ran = host.sendmail(["-bv", "log", "a@@x", "a\x1b@x.test", "b@x.test"], "");
    ran.exits(67).says("3 recipients cannot be used");
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(lines.len(), 4, "{ran:#?}");
    assert!(lines[0].starts_with("log... undeliverable: the alias log leads to "));
    assert!(lines[1].starts_with("a@@x... undeliverable: "));
    assert!(lines[2].starts_with("a\\x1b@x.test... undeliverable: "));
    assert_eq!(lines[3], "b@x.test... deliverable: b@x.test");
    for words in [&["-bv"][..], &["-bv", "undisclosed-recipients:;"]] {
        host.sendmail(words, "").exits(64).says("address");
    }
}

#[test]
fn a_trial_run_shows_envelope_header_and_route_and_touches_nothing() {
    let tenant = Tenant::start();
    let host = host(&tenant);
    let before = (slots(&host), host.log());
    let ran = host.sendmail(["--dry-run", "-t", "-i", "-f", "www-data"], MESSAGE);
    ran.exits(0);
    let (envelope, rest) = ran.stdout.split_once("\n\n").unwrap();
    assert_eq!(
        envelope,
        "MAIL FROM:<alerts@contoso.test>\nRCPT TO:<ops@example.com>\nRCPT TO:<joe@example.com>\n\
         RCPT TO:<OPS@EXAMPLE.COM>\nRCPT TO:<audit@example.com>"
    );
    let (header, route) = rest.split_once("\n\n").unwrap();
    assert!(header.contains("\nFrom: Shop <alerts@contoso.test>\n"));
    assert!(header.contains("\nReply-To: shop@example.org"));
    assert!(!header.contains("Bcc"));
    let port = tenant.smtp_port();
    assert_eq!(
        route,
        format!(
            "body: 7 octets\nserver: localhost:{port}, STARTTLS\nuser: alerts@contoso.test\n\
             grant: delegated\ntoken from: localhost\n"
        )
    );
    assert_eq!((slots(&host), host.log()), before);
    nobody_was_asked(&tenant);
}

#[test]
fn a_trial_run_needs_no_sign_in_and_earns_the_code_of_the_message() {
    let tenant = Tenant::start();
    let host = Host::configured(&binary(), &tenant);
    let trial = |words: &[&str], message: &str| -> Ran {
        let words = ["--dry-run"].iter().chain(words);
        host.sendmail(words, message)
    };
    trial(&["-i", "-odq", "a@example.com"], "x\n").exits(0);
    for (words, message, code) in [
        (&["-t"][..], "Subject: x\n\n", 64),
        (&["-t"], "To: a@@b\n\n", 65),
        (&["-i", "nobody"], "x\n", 67),
        (&["-Z", "a@example.com"], "x\n", 64),
    ] {
        trial(words, message).exits(code).in_two_lines();
    }
    host.write("etc/config.toml", "[account]\n");
    trial(&["-i", "a@example.com"], "x\n")
        .exits(78)
        .in_two_lines();
    nobody_was_asked(&tenant);
}

/// A good check is silent, and each fault of the host is 78 with its cure.
#[test]
fn a_check_judges_settings_aliases_and_the_stored_sign_in_without_the_network() {
    let tenant = Tenant::start();
    let mut host = host(&tenant);
    tenant.fault(crate::tenant::Fault::TokenEndpointDown);
    tenant.fault(crate::tenant::Fault::SubmissionDown);
    for word in ["-bC", "--check"] {
        host.sendmail([word], "").exits(0).silently();
    }
    let refused = |host: &Host, says: &str| {
        let ran = host.sendmail(["--check"], "");
        ran.exits(78).in_two_lines().says(says);
    };

    host.write("etc/aliases", "root a@example.com\n");
    refused(&host, "aliases:1: there is no colon");
    fs::remove_file(host.path("etc/aliases")).unwrap();

    host.set("account", "client_id", "\"other\"");
    refused(&host, "not for the configured ones");
    host.set("account", "client_id", &format!("{:?}", tenant.client_id()));

    let mode = |below: &str, mode| {
        let path = host.path(below);
        let before = fs::metadata(&path).unwrap().permissions();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        before.mode()
    };
    for (below, bad) in [
        ("etc/tokens/token.0", 0o664),
        ("etc/tokens/token.lock", 0o666),
        ("etc/tokens", 0o777),
    ] {
        let good = mode(below, bad);
        refused(&host, "chmod");
        mode(below, good);
    }
    host.sendmail(["--check"], "").exits(0).silently();

    for dir in ["etc/tokens", "var/state"] {
        fs::remove_file(host.path(dir).join("token.lock")).unwrap();
    }
    refused(&host, "token.lock");
    for name in ["token.0", "token.1"] {
        host.write(&format!("etc/tokens/{name}"), "");
    }
    refused(&host, "nobody has signed in");
    host.write("etc/config.toml", "[account]\nmailbx = 1\n");
    refused(&host, "config.toml:2");
    nobody_was_asked(&tenant);
}

#[test]
fn a_check_tells_what_is_not_wrong_enough_to_stop_mail() {
    let tenant = Tenant::start();
    let mut host = host(&tenant);
    let secret = host.path("etc/client-secret");
    fs::write(&secret, "CANARY-SECRET\n").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o644)).unwrap();
    let value = format!("{:?}", secret.to_str().unwrap());
    host.set("account", "client_secret_file", &value);
    let ran = host.sendmail(["--check"], "");
    ran.exits(0).says("sendmail: warning: ").says("chmod o-r");
}

/// A04: settings, aliases and slots that a stranger names are opened with his own rights.
#[test]
fn no_mode_reads_for_a_caller_what_he_cannot_read_himself() {
    if !crate::needs("setpriv") || !crate::is_root() {
        return;
    }
    let tenant = Tenant::start();
    let mut host = host(&tenant);
    let as_nobody = |host: &Host, words: &[&str]| {
        let inner = host.command("sendmail", words);
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
        command.arg(inner.get_program()).args(inner.get_args());
        let ran = finish(&mut command, MESSAGE.as_bytes());
        ran.exits(78);
        assert!(ran.stdout.is_empty(), "{ran:#?}");
        ran
    };
    let modes: [&[&str]; 4] = [
        &["-bi"],
        &["-bv", "root"],
        &["--check"],
        &["--dry-run", "-t"],
    ];
    for below in ["etc/aliases", "etc/config.toml"] {
        fs::set_permissions(host.path(below), fs::Permissions::from_mode(0o600)).unwrap();
        for words in modes {
            as_nobody(&host, words).says(below).says("ermission denied");
        }
    }
    fs::remove_file(host.path("etc/config.toml")).unwrap();
    host.set("recipients", "aliases", "\"/nowhere\"");
    as_nobody(&host, &["--check"]).says("cannot be read (EACCES)");
    host.sendmail(["--check"], "").exits(0).silently();
}
