//! A real browser goes the whole way over the authorize page.

use super::authorize::{BACK, redeem_at, url};
use crate::tenant::{Browser, Tenant};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

/// A program that waits on a port for the browser to come back; the targets of its requests.
fn program() -> (u16, Receiver<String>) {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = socket.local_addr().unwrap().port();
    let (tell, told) = channel();
    std::thread::spawn(move || {
        for stream in socket.incoming() {
            let mut stream = stream.unwrap();
            // A browser also opens connections that it may need later.
            let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
            let mut request = Vec::new();
            let mut chunk = [0; 4096];
            while !request.ends_with(b"\r\n\r\n")
                && let Ok(count @ 1..) = stream.read(&mut chunk)
            {
                request.extend_from_slice(&chunk[..count]);
            }
            let request = String::from_utf8_lossy(&request).into_owned();
            let body = "<title>Done</title><p>You may close this window.</p>";
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\
                 Connection: close\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(answer.as_bytes());
            let target = request.split(' ').nth(1).unwrap_or_default();
            if target.starts_with("/?") && tell.send(target.to_owned()).is_err() {
                return;
            }
        }
    });
    (port, told)
}

#[test]
fn a_browser_is_driven_over_the_page_and_back_to_the_program() {
    if !crate::needs("chromium") || !crate::needs("chromedriver") {
        return;
    }
    let tenant = Tenant::start();
    let (port, told) = program();
    let back = BACK.replace("4711", &port.to_string());
    let browser = Browser::start();
    browser.open(&url(&tenant, &[("redirect_uri", &back)]));
    assert_eq!(browser.title(), "Sign in to your account");
    browser.shows("https://outlook.office.com/SMTP.Send");
    assert_eq!(browser.value("#account"), tenant.user());
    let picture = browser.screenshot();
    assert!(picture.starts_with(b"\x89PNG\r\n") && picture.len() > 1_000);

    browser.fill("#account", "nobody@contoso.test");
    browser.click("#accept");
    browser.shows("AADSTS50034: ");
    browser.fill("#account", tenant.user());
    browser.click("#accept");
    assert_eq!(browser.shows("You may"), "You may close this window.");
    assert_eq!(browser.title(), "Done");
    assert!(
        browser
            .url()
            .starts_with(&format!("{back}?code=1.CANARY-CODE-"))
    );
    let target = told.recv_timeout(PATIENCE).unwrap();
    let (_, rest) = target.split_once("?code=").unwrap();
    let (code, rest) = rest.split_once("&state=").unwrap();
    assert!(rest.starts_with("a%20b%26c%3D%25&session_state="), "{rest}");
    assert_eq!(redeem_at(&tenant, code, &back).0, 200);

    browser.open(&url(&tenant, &[("redirect_uri", &back)]));
    browser.click("#cancel");
    let target = told.recv_timeout(PATIENCE).unwrap();
    assert!(target.starts_with("/?error=access_denied&"), "{target}");
}
