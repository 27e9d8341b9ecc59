//! A person signs in: with a code, with a browser, on a terminal and without one.

pub(crate) mod browsers;

use crate::binary;
use crate::host::{Host, Ran, finish};
use crate::submission::MESSAGE;
use crate::tenant::{Answer, Cloud, Fault, Poll, Setup, SignIn, Tenant};
use std::net::TcpListener;
use std::process::Command;

/// A tenant in which a person signs in so.
fn tenant(sign_in: SignIn) -> Tenant {
    Tenant::with(Setup {
        sign_in,
        ..Setup::default()
    })
}

fn login(host: &Host) -> Ran {
    host.run("sendmail365", ["login"], "")
}

/// Runs `login` on a terminal: what was seen, and the line on how it ended.
fn on_a_terminal(host: &Host, steps: &str) -> String {
    started_on_a_terminal(&[], &host.command("sendmail365", ["login"]), steps)
}

/// The same with a command before it.
pub fn started_on_a_terminal(before: &[&str], plain: &Command, steps: &str) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/login/terminal.py");
    let mut command = Command::new("python3");
    command.args([script, steps]).args(before);
    command.arg(plain.get_program()).args(plain.get_args());
    let ran = finish(&mut command, b"");
    ran.exits(0);
    ran.stdout
}

#[test]
fn a_code_from_an_empty_root_to_a_delivered_message() {
    let tenant = tenant(SignIn::After(2));
    let host = Host::configured(&binary(), &tenant);
    let ran = login(&host);
    ran.exits(0);
    let code = tenant.user_code(1);
    for part in [
        "https://microsoft.com/devicelogin",
        code.as_str(),
        "Sign in there as alerts@contoso.test",
        "signed in as alerts@contoso.test, tenant ",
        "next: ",
    ] {
        assert!(ran.stdout.contains(part), "{part}: {ran:#?}");
    }
    assert_eq!(ran.stderr, "", "no countdown where nobody looks");
    assert_eq!(tenant.early_polls(), 0);
    host.sendmail(["-t", "-i"], MESSAGE).exits(0).silently();
    assert_eq!(tenant.received().len(), 1);
}

/// The v1 endpoints, for a tenant of China that knows no others.
#[test]
fn a_code_of_a_v1_endpoint_is_asked_for_and_polled_in_its_own_words() {
    let tenant = tenant(SignIn::After(1));
    let mut host = Host::configured(&binary(), &tenant);
    host.set(
        "endpoint",
        "token_url",
        &format!("{:?}", tenant.token_url_v1()),
    );
    let device_url = tenant.token_url_v1().replace("/token", "/devicecode");
    host.set("endpoint", "device_url", &format!("{device_url:?}"));
    host.set("endpoint", "resource", "\"https://outlook.office.com\"");
    login(&host).exits(0);
    host.sendmail(["-t", "-i"], MESSAGE).exits(0).silently();
    let polled = &tenant.token_requests()[0].form;
    assert_eq!(polled["resource"], "https://outlook.office.com");
}

/// The registration has a secret, and a code is a public client's all the same: no secret goes along,
/// neither with the code nor with the refresh of what it brought.
#[test]
fn a_secret_is_sent_only_with_tokens_that_were_got_with_one() {
    let tenant = tenant(SignIn::After(0));
    let mut host = Host::configured(&binary(), &tenant);
    host.write("etc/client-secret", tenant.client_secret());
    let path = host.path("etc/client-secret");
    host.set("account", "client_secret_file", &format!("{path:?}"));
    login(&host).exits(0);
    crate::token::expire(&host);
    host.sendmail(["-t", "-i"], MESSAGE).exits(0).silently();
    let last = tenant.token_requests().pop().unwrap();
    assert_eq!(last.form["grant_type"], "refresh_token");
    for request in tenant.token_requests() {
        assert!(!request.form.contains_key("client_secret"));
    }
}

#[test]
fn the_interval_grows_when_the_server_says_so() {
    let tenant = tenant(SignIn::Script(vec![Poll::SlowDown, Poll::Pending]));
    let host = Host::configured(&binary(), &tenant);
    login(&host).exits(0);
    assert_eq!(tenant.early_polls(), 0);
}

#[test]
fn what_stands_between_for_a_moment_does_not_end_the_sign_in() {
    let tenant = tenant(SignIn::Script(vec![
        Poll::Instead(Answer::Reset),
        Poll::Instead(Answer::Html200),
        Poll::Instead(Answer::Throttled(Some(1))),
        Poll::Instead(Answer::ServerError(503)),
        Poll::Pending,
    ]));
    let host = Host::configured(&binary(), &tenant);
    let ran = login(&host);
    ran.exits(0).says("still waiting");
}

#[test]
fn each_end_without_a_sign_in_is_explained_and_leaves_the_working_one() {
    for (sign_in, code, part) in [
        (SignIn::Declined, 77, "declined"),
        (SignIn::Script(vec![Poll::AccessDenied]), 77, "declined"),
        (SignIn::Expired, 75, "ended before anybody used it"),
        (
            SignIn::Script(vec![Poll::CodeExpired]),
            75,
            "ended before anybody used it",
        ),
        (
            SignIn::Script(vec![Poll::Refused(7_000_218)]),
            75,
            "public client flows",
        ),
        (SignIn::Script(vec![Poll::Refused(53_003)]), 75, "policy"),
        (SignIn::Script(vec![Poll::Refused(530_032)]), 75, "policy"),
        (
            SignIn::Script(vec![Poll::Refused(50_097)]),
            75,
            "managed device",
        ),
        (SignIn::Script(vec![Poll::BadCode]), 75, "for a new code"),
    ] {
        let tenant = tenant(sign_in);
        let host = Host::with(&binary(), &tenant);
        let ran = login(&host);
        ran.exits(code).says(part);
        assert!(ran.stderr.lines().count() == 2, "{ran:#?}");
        host.sendmail(["-t", "-i"], MESSAGE).exits(0).silently();
    }
}

/// Nobody sends anything, and no token is missing.
#[test]
fn a_sign_in_without_a_network_is_not_told_as_mail_that_waits() {
    for answer in [Answer::Reset, Answer::ServerError(503), Answer::Html200] {
        let tenant = tenant(SignIn::After(0));
        let host = Host::configured(&binary(), &tenant);
        tenant.fault(Fault::Token(answer));
        let ran = login(&host);
        ran.exits(75).in_two_lines();
        ran.says("the sign-in did not succeed")
            .says("try again later");
        assert!(!ran.stderr.contains("no access token"), "{ran:#?}");
        assert!(!ran.stderr.contains("send again"), "{ran:#?}");
    }
    let tenant = tenant(SignIn::Script(vec![Poll::Instead(Answer::ServerError(
        503,
    ))]));
    let host = Host::configured(&binary(), &tenant);
    let ran = login(&host);
    ran.exits(0).says("HTTP 503").says("still waiting");
    assert!(!ran.stderr.contains("no access token"), "{ran:#?}");
    assert!(!ran.stderr.contains("again later"), "{ran:#?}");
}

#[test]
fn another_user_than_the_mailbox_is_refused_and_named() {
    let tenant = Tenant::with(Setup {
        sign_in: SignIn::After(0),
        signed_in_as: Some("admin@contoso.test".to_owned()),
        ..Setup::default()
    });
    let host = Host::with(&binary(), &tenant);
    let ran = login(&host);
    ran.exits(75)
        .says("belongs to admin@contoso.test, not to alerts@contoso.test");
    host.sendmail(["-t", "-i"], MESSAGE).exits(0).silently();
}

#[test]
fn on_a_terminal_there_are_a_picture_and_the_time_that_is_left() {
    let tenant = tenant(SignIn::After(2));
    let host = Host::configured(&binary(), &tenant);
    let seen = on_a_terminal(&host, "[]");
    assert!(seen.contains("status 0"), "{seen}");
    for part in [
        "\u{2588}",
        "waiting, 1",
        "left",
        "signed in as alerts@contoso.test",
    ] {
        assert!(seen.contains(part), "{part}: {seen}");
    }
}

#[test]
fn ctrl_c_ends_the_waiting_and_changes_nothing() {
    let tenant = tenant(SignIn::Person);
    let host = Host::with(&binary(), &tenant);
    let seen = on_a_terminal(&host, r#"[["see", "waiting, "], ["type", "\u0003"]]"#);
    assert!(seen.contains("status -2 steps left 0"), "{seen}");
    host.sendmail(["-t", "-i"], MESSAGE).exits(0).silently();
}

#[test]
fn a_code_that_has_ended_is_followed_by_a_new_one_for_who_is_there() {
    let tenant = tenant(SignIn::InTurn(vec![SignIn::Expired, SignIn::After(0)]));
    let host = Host::configured(&binary(), &tenant);
    let steps = r#"[["see", "press Enter for a new one"], ["type", "\n"]]"#;
    let seen = on_a_terminal(&host, steps);
    assert!(seen.contains("status 0 steps left 0"), "{seen}");
    assert_eq!(tenant.devices().len(), 2);
    assert!(seen.contains(&tenant.user_code(2)), "{seen}");
}

#[test]
fn a_decline_and_a_lost_network_show_on_the_terminal_too() {
    let tenant = tenant(SignIn::Script(vec![
        Poll::Instead(Answer::Reset),
        Poll::Declined,
    ]));
    let host = Host::configured(&binary(), &tenant);
    let seen = on_a_terminal(&host, "[]");
    assert!(seen.contains("still waiting"), "{seen}");
    assert!(seen.contains("status 77"), "{seen}");
}

/// A terminal drops what is beyond 4095 octets of a line, unless it is told not to gather lines.
#[test]
fn an_address_that_the_terminal_cuts_is_told_with_a_way_that_works() {
    let tenant = Tenant::start();
    let host = Host::configured(&binary(), &tenant);
    let plain = host.command("sendmail365", ["login", "--paste"]);
    let long = "x".repeat(5000);
    let paste = format!(r#"["see", "paste it here"], ["type", "https://{long}\n"]"#);
    let seen = started_on_a_terminal(&[], &plain, &format!("[{paste}]"));
    for part in [
        "the terminal has cut the address",
        "stty -icanon",
        "status 65",
    ] {
        assert!(seen.contains(part), "{part}: {seen}");
    }
    let shell = ["/bin/sh", "-c", "stty -icanon && exec \"$@\"", "sh"];
    let steps = format!(r#"[{paste}, ["see", "paste the last one"], ["type", "\u0003"]]"#);
    let seen = started_on_a_terminal(&shell, &plain, &steps);
    assert!(seen.contains("status -2 steps left 0"), "{seen}");
}

/// Neither leg of a sign-in goes where a redirect points, nor where the caller's environment does.
#[test]
fn no_redirect_and_no_variable_leads_a_sign_in_astray() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let port = elsewhere.local_addr().unwrap().port();
    let trap = format!("http://127.0.0.1:{port}");
    for status in [301, 302, 303, 307, 308] {
        let tenant = tenant(SignIn::After(0));
        let host = Host::configured(&binary(), &tenant);
        tenant.fault(Fault::Token(Answer::Redirect(status, format!("{trap}/x"))).once());
        login(&host).exits(75).says("redirect");
    }
    let tenant = tenant(SignIn::Script(vec![Poll::Instead(Answer::Redirect(
        307,
        format!("{trap}/x"),
    ))]));
    let host = Host::configured(&binary(), &tenant);
    let mut command = host.command("sendmail365", ["login"]);
    for name in [
        "HTTPS_PROXY",
        "https_proxy",
        "ALL_PROXY",
        "HTTP_PROXY",
        "http_proxy",
    ] {
        command.env(name, &trap);
    }
    finish(&mut command, b"").exits(0);
    assert!(elsewhere.accept().is_err(), "somebody was led astray");
}

#[test]
fn no_address_without_tls_is_asked_for_a_code() {
    let tenant = Tenant::start();
    for key in ["authority", "device_url", "authorize_url", "token_url"] {
        let mut host = Host::configured(&binary(), &tenant);
        host.set("endpoint", key, "\"http://login.example.com/x\"");
        login(&host).exits(78).says("https://");
    }
}

/// A personal account: another page, and tokens of which nobody can tell anything.
#[test]
fn a_personal_account_from_an_empty_root_to_a_delivered_message() {
    let tenant = Tenant::with(Setup {
        personal: true,
        verification_uri: "https://www.microsoft.com/link".to_owned(),
        sign_in: SignIn::After(0),
        ..Setup::default()
    });
    let mut host = Host::configured(&binary(), &tenant);
    host.set("account", "tenant", "\"consumers\"");
    let ran = login(&host);
    ran.exits(0);
    assert!(
        ran.stdout.contains("https://www.microsoft.com/link"),
        "{ran:#?}"
    );
    assert!(
        ran.stdout.contains("signed in as alerts@contoso.test"),
        "{ran:#?}"
    );
    for _ in 0..2 {
        host.sendmail(["-t", "-i"], MESSAGE).exits(0).silently();
    }
    assert_eq!(tenant.received().len(), 2);
}

/// What a cloud brings along is enough for it: nothing but its addresses is replaced here.
#[test]
fn each_cloud_takes_a_person_and_an_application() {
    for (name, cloud) in [
        ("global", Cloud::Global),
        ("gcc-high", Cloud::GccHigh),
        ("dod", Cloud::Dod),
        ("china", Cloud::China),
    ] {
        let tenant = Tenant::with(Setup {
            cloud,
            sign_in: SignIn::After(0),
            ..Setup::default()
        });
        let mut host = Host::configured(&binary(), &tenant);
        host.set("account", "cloud", &format!("{name:?}"));
        login(&host).exits(0);
        host.sendmail(["-t", "-i"], MESSAGE).exits(0).silently();
        host.write("etc/client-secret", tenant.client_secret());
        let path = host.path("etc/client-secret");
        host.set("account", "grant", "\"client-secret\"");
        host.set("account", "client_secret_file", &format!("{path:?}"));
        login(&host).exits(0);
        host.sendmail(["-t", "-i"], MESSAGE).exits(0).silently();
        assert_eq!(tenant.received().len(), 2, "{name}");
    }
}
