//! What ends soon is told once: by a line in the log, and a message by way of the queue.

use crate::binary;
use crate::host::Host;
use crate::submission::MESSAGE;
use crate::tenant::{Answer, Fault, Tenant};
use crate::token::{change_slots, expire};
use std::fs;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970 so many days ago.
pub fn days_ago(days: u64) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    now.as_secs() - days * 24 * 60 * 60
}

/// Lets the host sign in with a certificate that lasts so many days; false without the tool.
pub fn certify(host: &mut Host, days: u32) -> bool {
    if !crate::needs("openssl") {
        return false;
    }
    let (key, certificate) = (host.path("etc/key.pem"), host.path("etc/cert.pem"));
    let made = Command::new("openssl")
        .args([
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=web1",
        ])
        .args(["-days", &days.to_string()])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    host.set("account", "grant", "\"certificate\"");
    host.set(
        "account",
        "private_key_file",
        &format!("{:?}", key.to_str().unwrap()),
    );
    host.set(
        "account",
        "certificate_file",
        &format!("{:?}", certificate.to_str().unwrap()),
    );
    true
}

/// Lines of the log that warn.
fn warned(host: &Host) -> Vec<String> {
    let log = host.log();
    let lines = log.lines().filter(|line| line.contains(" event=warning "));
    lines.map(str::to_owned).collect()
}

fn subjects(host: &Host) -> Vec<String> {
    let mut found: Vec<String> = host
        .spooled("queue")
        .into_iter()
        .map(|id| {
            let text = fs::read(host.path("var/spool/queue").join(id)).unwrap();
            let text = String::from_utf8_lossy(&text).into_owned();
            assert!(text.contains("Auto-Submitted: auto-generated"), "{text}");
            let line = text.lines().find(|line| line.starts_with("Subject: "));
            line.unwrap().to_owned()
        })
        .collect();
    found.sort();
    found
}

/// Several passes, as the timer starts them.
fn passes(host: &Host) {
    for _ in 0..3 {
        host.sendmail(["-q"], "");
    }
}

#[test]
fn a_certificate_is_told_of_once_before_its_end_and_anew_by_the_next_one() {
    let tenant = Tenant::start();
    let mut host = Host::with_queue(&binary(), &tenant);
    host.set("recipients", "admin", "\"ops@example.com\"");
    if !certify(&mut host, 20) {
        return;
    }
    tenant.fault(Fault::TokenEndpointDown);
    passes(&host);
    assert_eq!(warned(&host).len(), 1, "{}", host.log());
    assert!(warned(&host)[0].contains("reason=certificate-ends"));
    assert!(warned(&host)[0].contains("fix=\""));
    let told = subjects(&host);
    assert!(
        told.len() == 1 && told[0].contains("certificate ends in "),
        "{told:?}"
    );
    let entry = &host.spooled("queue")[0];
    let entry = fs::read(host.path("var/spool/queue").join(entry)).unwrap();
    assert!(String::from_utf8_lossy(&entry).contains("To: ops@example.com"));

    // A new certificate ends the state; when that one nears its end, it is told of again.
    certify(&mut host, 400);
    passes(&host);
    certify(&mut host, 20);
    passes(&host);
    assert_eq!(warned(&host).len(), 2, "{}", host.log());
    // Without its record it is told once more, not every minute.
    fs::write(host.path("var/state/rounds"), "").unwrap();
    passes(&host);
    assert_eq!(warned(&host).len(), 3, "{}", host.log());
    // Without the file that remembers it, not at all.
    fs::remove_file(host.path("var/state/rounds")).unwrap();
    passes(&host);
    assert_eq!(warned(&host).len(), 3, "{}", host.log());
    assert!(!host.path("var/state/rounds").exists(), "no run makes it");
}

#[test]
fn a_refresh_token_that_nobody_uses_is_told_of_until_it_is_used() {
    let tenant = Tenant::start();
    let host = Host::with_queue(&binary(), &tenant);
    expire(&host);
    change_slots(&host, |slot| slot["obtained_at"] = days_ago(61).into());
    tenant.fault(Fault::TokenEndpointDown);
    passes(&host);
    assert_eq!(warned(&host).len(), 1, "{}", host.log());
    assert!(warned(&host)[0].contains("reason=refresh-token-unused"));
    // Submissions do not look at it.
    host.sendmail(["-i", "-t"], MESSAGE).exits(0);
    assert_eq!(warned(&host).len(), 1, "{}", host.log());
    tenant.recover();
    host.sendmail(["-qf"], "").exits(0);
    assert_eq!(warned(&host).len(), 1, "{}", host.log());
    let rounds = fs::read_to_string(host.path("var/state/rounds")).unwrap();
    assert!(!rounds.contains("refresh-token"), "{rounds}");
    let mail = tenant.received();
    let told = |one: &&crate::tenant::Delivered| {
        String::from_utf8_lossy(&one.data).contains("the refresh token was not used for 61 days")
    };
    assert_eq!(mail.iter().filter(told).count(), 1);
    let told = mail.iter().find(told).unwrap();
    assert_eq!(told.recipients, [tenant.mailbox()], "nobody else is named");
}

#[test]
fn a_policy_that_ends_the_sign_in_is_told_of_once_whatever_the_network_does() {
    let tenant = Tenant::start();
    let host = Host::with_queue(&binary(), &tenant);
    expire(&host);
    let refused = || tenant.fault(Fault::Token(Answer::Aadsts(70043)));
    refused();
    passes(&host);
    assert_eq!(warned(&host).len(), 1, "{}", host.log());
    assert!(warned(&host)[0].contains("reason=policy") && warned(&host)[0].contains("AADSTS70043"));
    let ran = host.run("sendmail365", ["status"], "");
    assert!(ran.stdout.contains("AADSTS70043"), "{ran:#?}");
    // An outage hides whether it lasts.
    tenant.recover();
    tenant.fault(Fault::TokenEndpointDown);
    host.sendmail(["-qf"], "");
    tenant.recover();
    refused();
    host.sendmail(["-qf"], "");
    passes(&host);
    assert_eq!(warned(&host).len(), 1, "{}", host.log());
    // It goes out with the others once somebody has signed in, and the next time it is news.
    tenant.recover();
    let words = ["login", "--import", "-"];
    host.run("sendmail365", words, tenant.issue_refresh_token())
        .exits(0);
    host.sendmail(["-qf"], "").exits(0);
    assert_eq!(tenant.received().len(), 1, "{}", host.log());
    expire(&host);
    refused();
    passes(&host);
    assert_eq!(warned(&host).len(), 2, "{}", host.log());
}

#[test]
fn who_is_not_signed_in_is_not_warned_every_minute() {
    let tenant = Tenant::start();
    let mut host = Host::configured(&binary(), &tenant);
    host.set("queue", "enabled", "true");
    for room in ["tmp", "queue", "failed"] {
        fs::create_dir_all(host.path("var/spool").join(room)).unwrap();
    }
    fs::write(host.path("var/spool/runner.lock"), "").unwrap();
    fs::write(host.path("var/state/rounds"), "").unwrap();
    passes(&host);
    assert_eq!(warned(&host), Vec::<String>::new());
    assert_eq!(host.spooled("queue"), Vec::<String>::new());
}
