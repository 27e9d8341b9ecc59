//! With a browser: by way of a port of this host, or by an address that is pasted.

use crate::binary;
use crate::host::{Host, Ran};
use crate::submission::MESSAGE;
use crate::tenant::{Answer, Browser, Fault, Setup, Tenant};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Stdio};

/// A sign-in that waits for its browser.
pub(crate) struct Waiting {
    child: Child,
    said: BufReader<ChildStdout>,
    /// What the person opens.
    pub(crate) url: String,
}

impl Waiting {
    /// Starts `login` with this option, and reads as far as the address.
    pub(crate) fn start(host: &Host, option: &str) -> Waiting {
        let mut child = host
            .command("sendmail365", ["login", option])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        while !line.starts_with("https://") {
            line.clear();
            assert!(said.read_line(&mut line).unwrap() > 0, "no address");
        }
        Waiting {
            child,
            said,
            url: line.trim().to_owned(),
        }
    }

    fn paste(&mut self, line: &str) {
        let pipe = self.child.stdin.as_mut().unwrap();
        writeln!(pipe, "{line}").unwrap();
    }

    /// How it ended.
    pub(crate) fn ended(mut self) -> Ran {
        drop(self.child.stdin.take());
        let mut rest = String::new();
        self.said.read_to_string(&mut rest).unwrap();
        let mut ran = Ran::finished(self.child);
        ran.stdout = rest;
        ran
    }
}

/// What the browser shows at an address of the program's own.
pub(crate) fn open(location: &str) -> String {
    let rest = location.strip_prefix("http://localhost:").unwrap();
    let (port, target) = rest.split_at(rest.find('/').unwrap());
    let mut stream = TcpStream::connect(("127.0.0.1", port.parse().unwrap())).unwrap();
    write!(
        stream,
        "GET {target} HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n"
    )
    .unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    page
}

#[test]
fn a_browser_from_an_empty_root_to_a_delivered_message() {
    let tenant = Tenant::start();
    let host = Host::configured(&binary(), &tenant);
    let waiting = Waiting::start(&host, "--browser");
    let page = tenant.open(&waiting.url);
    let back = tenant.accept(&page, tenant.user()).location.unwrap();
    // Somebody else knocks first, and an address of another sign-in.
    let port = back.split(['/', ':']).nth(4).unwrap();
    assert!(open(&format!("http://localhost:{port}/favicon.ico")).starts_with("HTTP/1.1 404"));
    let strange = open(&format!("http://localhost:{port}/?code=1&state=x"));
    assert!(strange.contains("Not the right sign-in"), "{strange}");
    let shown = open(&back);
    for part in [
        "<h1>Signed in</h1>",
        "can now send mail as alerts@contoso.test",
        "return to the terminal",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let ran = waiting.ended();
    ran.exits(0);
    assert!(ran.stdout.contains("ssh -L"), "{ran:#?}");
    assert!(
        ran.stdout.contains("signed in as alerts@contoso.test"),
        "{ran:#?}"
    );
    host.sendmail(["-t", "-i"], MESSAGE).exits(0).silently();
    assert_eq!(tenant.received().len(), 1);
}

#[test]
fn who_says_no_in_the_browser_reads_there_what_to_do() {
    let tenant = Tenant::start();
    let host = Host::with(&binary(), &tenant);
    let waiting = Waiting::start(&host, "--browser");
    let page = tenant.open(&waiting.url);
    let shown = open(&tenant.cancel(&page).location.unwrap());
    for part in ["<h1>Not signed in</h1>", "What to do: ", "has been changed"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let ran = waiting.ended();
    assert_ne!(ran.status.code(), Some(0));
    ran.says("AADSTS65004");
    host.sendmail(["-t", "-i"], MESSAGE).exits(0).silently();
}

#[test]
fn a_sign_in_that_fails_behind_the_browser_is_told_in_both_places() {
    for (fault, part) in [
        (Answer::WrongUser, "belongs to admin@contoso.test"),
        (Answer::NoRefreshToken, "no refresh token"),
        (Answer::Aadsts(54_005), "used before"),
        (Answer::GraphAudience, "Microsoft Graph"),
    ] {
        let tenant = Tenant::start();
        let host = Host::with(&binary(), &tenant);
        let waiting = Waiting::start(&host, "--browser");
        let page = tenant.open(&waiting.url);
        let back = tenant.accept(&page, tenant.user()).location.unwrap();
        tenant.fault(Fault::Token(fault));
        let shown = open(&back);
        assert!(shown.contains("<h1>Not signed in</h1>"), "{shown}");
        let ran = waiting.ended();
        assert_ne!(ran.status.code(), Some(0));
        ran.says(part);
        tenant.recover();
        host.sendmail(["-t", "-i"], MESSAGE).exits(0).silently();
    }
}

#[test]
fn an_address_that_is_pasted_signs_in_and_another_does_not() {
    let tenant = Tenant::start();
    let host = Host::configured(&binary(), &tenant);
    let mut waiting = Waiting::start(&host, "--paste");
    let page = tenant.open(&waiting.url);
    let back = tenant.accept(&page, tenant.user()).location.unwrap();
    assert!(back.contains("/common/oauth2/nativeclient?"), "{back}");
    waiting.paste("");
    waiting.paste(&back);
    waiting.ended().exits(0);
    host.sendmail(["-t", "-i"], MESSAGE).exits(0).silently();

    let mut waiting = Waiting::start(&host, "--paste");
    waiting.paste(&back);
    waiting.ended().exits(65).says("not that of this sign-in");
    let waiting = Waiting::start(&host, "--paste");
    waiting.ended().exits(75).says("ended without an address");
    host.sendmail(["-t", "-i"], MESSAGE).exits(0).silently();
}

/// The page is registered in the cloud that the person signs in to, whichever setting named it.
#[test]
fn a_pasted_address_is_that_of_the_cloud_whose_page_is_opened() {
    let tenant = Tenant::start();
    for (key, value, authority) in [
        ("cloud", "china", "login.partner.microsoftonline.cn"),
        (
            "authority",
            "https://login.microsoftonline.us",
            "login.microsoftonline.us",
        ),
        (
            "authority",
            "https://login.example.com",
            "login.microsoftonline.com",
        ),
    ] {
        let mut host = Host::configured(&binary(), &tenant);
        let section = if key == "cloud" {
            "account"
        } else {
            "endpoint"
        };
        if key == "cloud" {
            let url = "\"https://login.partner.microsoftonline.cn/t/oauth2/v2.0/authorize\"";
            host.set("endpoint", "authorize_url", url);
        }
        host.set(section, key, &format!("{value:?}"));
        let waiting = Waiting::start(&host, "--paste");
        let page = format!("redirect_uri=https%3A%2F%2F{authority}%2Fcommon%2F");
        assert!(waiting.url.contains(&page), "{}", waiting.url);
        waiting.ended();
    }
}

/// A confidential application: the secret goes with the code, and with each refresh of what it brought.
#[test]
fn the_secret_of_a_confidential_application_goes_along_with_a_browsers_code() {
    let tenant = Tenant::with(Setup {
        confidential: true,
        ..Setup::default()
    });
    let mut host = Host::configured(&binary(), &tenant);
    host.write("etc/client-secret", tenant.client_secret());
    let path = host.path("etc/client-secret");
    host.set("account", "client_secret_file", &format!("{path:?}"));
    let waiting = Waiting::start(&host, "--browser");
    let page = tenant.open(&waiting.url);
    open(&tenant.accept(&page, tenant.user()).location.unwrap());
    waiting.ended().exits(0);
    crate::token::expire(&host);
    host.sendmail(["-t", "-i"], MESSAGE).exits(0).silently();
    let asked = tenant.token_requests();
    let posted = asked
        .iter()
        .filter(|request| request.form.contains_key("grant_type"));
    assert!(
        posted.clone().count() == 2
            && posted
                .clone()
                .all(|request| request.form.contains_key("client_secret"))
    );
}

/// A real browser drives the whole of it: the address, the page of the tenant, the way back, and the
/// page that the program shows.
#[test]
fn in_chromium_the_page_says_what_happened_and_what_to_do_next() {
    if !crate::needs("chromium") || !crate::needs("chromedriver") {
        return;
    }
    let tenant = Tenant::start();
    let host = Host::configured(&binary(), &tenant);
    let browser = Browser::start();

    let waiting = Waiting::start(&host, "--browser");
    browser.open(&waiting.url);
    assert_eq!(
        browser.value("#account"),
        tenant.user(),
        "the mailbox is filled in"
    );
    browser.click("#cancel");
    let page = browser.shows("Not signed in");
    for part in [
        "What to do: ",
        "Nothing that was stored before has been changed",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert_eq!(browser.title(), "Not signed in");
    assert_ne!(waiting.ended().status.code(), Some(0));

    let waiting = Waiting::start(&host, "--browser");
    browser.open(&waiting.url);
    browser.fill("#account", tenant.user());
    browser.click("#accept");
    let page = browser.shows("Signed in");
    for part in [
        "can now send mail as alerts@contoso.test",
        "the sign-in is stored on the host",
        "return to the terminal",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(browser.screenshot().len() > 1000);
    waiting.ended().exits(0);
    host.sendmail(["-t", "-i"], MESSAGE).exits(0).silently();
    assert_eq!(tenant.received().len(), 1);
}
