//! Sign-in with a browser: on this host, by way of a loopback port; elsewhere, by an address that is
//! copied back.

use super::{Desk, count_down, counted_down, too_late};
use crate::config::clouds::{CLOUDS, Cloud};
use crate::oauth::{Browser, Callback, Landed, Page, SignedIn};
use crate::outcome::{Class, Failure, printable};
use crate::sys::{clock, stdio};
use std::time::Duration;

/// How long a person may take; a code of Microsoft's lasts about as long.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

/// Octets of a pasted line at most.
const LINE_MAX: u64 = 16 * 1024;

/// Octets that a terminal keeps of a line; the rest of it is dropped without a word.
const TERMINAL_LINE: usize = 4095;

/// Waits for the browser on a port of this host.
pub(super) fn sign_in(desk: &Desk<'_>) -> Result<SignedIn, Failure> {
    let callback = Callback::open().map_err(|error| {
        Failure::new(Class::OsError, "no port for the browser to come back to")
            .because(&error)
            .fix("sign in with a code instead: `sendmail365 login`")
            .with_os_error(&error)
    })?;
    let port = callback.port();
    let browser = desk.sign_in.browser(callback.redirect_uri())?;
    show(desk, &browser);
    stdio::say(&format!(
        "If the browser runs on another machine, first connect this port from there:\n\n    \
         ssh -L {port}:localhost:{port} THIS-HOST\n\n"
    ));
    let landed = callback.wait(PATIENCE, count_down, |query| {
        let back = (query, "browser");
        match desk
            .sign_in
            .land(&browser, back, desk.journal, clock::now())
        {
            Landed::SignedIn(signed_in) => {
                let page = good(&signed_in, desk);
                (Some(Ok(signed_in)), page)
            }
            Landed::Failed(failure) => {
                let page = bad(&failure);
                (Some(Err(failure)), page)
            }
            Landed::Strange => (None, strange()),
        }
    });
    counted_down();
    landed.unwrap_or_else(|| Err(too_late("no browser came back within 15 minutes")))
}

/// Takes the address that the browser elsewhere has ended at.
pub(super) fn sign_in_elsewhere(desk: &Desk<'_>) -> Result<SignedIn, Failure> {
    let browser = desk.sign_in.browser(desk.native_client())?;
    show(desk, &browser);
    stdio::say(
        "The browser ends at an empty page. Copy the whole of its address and paste it here:\n",
    );
    loop {
        let Some(line) = stdio::read_line(LINE_MAX) else {
            return Err(too_late("the input ended without an address"));
        };
        let line = line.expose().trim();
        if line.is_empty() {
            continue;
        }
        if line.len() == TERMINAL_LINE && stdio::stdin_is_terminal() {
            return Err(cut());
        }
        let back = (line, "paste");
        match desk
            .sign_in
            .land(&browser, back, desk.journal, clock::now())
        {
            Landed::SignedIn(signed_in) => return Ok(signed_in),
            Landed::Failed(failure) => return Err(failure),
            Landed::Strange if stdio::stdin_is_terminal() => stdio::complain(
                "sendmail365: that is not the address of this sign-in; paste the last one of the browser",
            ),
            Landed::Strange => {
                return Err(Failure::new(Class::Data, "the address is not that of this sign-in")
                    .because("its state is missing or another")
                    .fix("run `sendmail365 login --paste` again, and paste the last address of the browser"));
            }
        }
    }
}

fn cut() -> Failure {
    Failure::new(Class::Data, "the terminal has cut the address")
        .because(format!("it keeps {TERMINAL_LINE} octets of a line"))
        .fix("run `stty -icanon`, then `sendmail365 login --paste` again, and `stty icanon` afterwards")
}

impl Desk<'_> {
    /// The page that Microsoft offers to programs without a port of their own: that of the cloud
    /// whose authorize page is opened, however the settings came to name it.
    fn native_client(&self) -> String {
        let url = &self.config.endpoint.authorize_url;
        let opened = |cloud: &&Cloud| {
            let path = url.strip_prefix(cloud.authority);
            path.is_some_and(|path| path.starts_with('/'))
        };
        let cloud = CLOUDS.iter().find(opened).unwrap_or(self.config.cloud);
        format!("{}/common/oauth2/nativeclient", cloud.authority)
    }
}

fn show(desk: &Desk<'_>, browser: &Browser) {
    stdio::say(&format!(
        "Open this address in a browser:\n\n{}\n\n{}",
        browser.url,
        desk.advice()
    ));
}

fn good(signed_in: &SignedIn, desk: &Desk<'_>) -> Page {
    let account = &desk.config.account;
    let user = signed_in.user.as_deref().unwrap_or(&account.user);
    let tenant = signed_in.tenant.as_deref().unwrap_or(&account.tenant);
    Page {
        status: 200,
        title: "Signed in".to_owned(),
        text: vec![
            format!(
                "sendmail365 can now send mail as {}. {} of tenant {} has signed in, and the sign-in is \
                 stored on the host.",
                shown(&account.mailbox),
                shown(user),
                shown(tenant)
            ),
            "Close this window and return to the terminal, which says what comes next.".to_owned(),
        ],
    }
}

fn bad(failure: &Failure) -> Page {
    let mut text = vec![shown(&match failure.why() {
        Some(why) => format!("{}: {why}", failure.what()),
        None => failure.what().to_owned(),
    })];
    text.extend(
        failure
            .cure()
            .map(|cure| format!("What to do: {}", shown(cure))),
    );
    text.push(
        "Nothing that was stored before has been changed. Close this window and return to the terminal."
            .to_owned(),
    );
    Page {
        status: 200,
        title: "Not signed in".to_owned(),
        text,
    }
}

fn strange() -> Page {
    Page {
        status: 400,
        title: "Not the right sign-in".to_owned(),
        text: vec![
            "This address belongs to no sign-in that is going on. Go on in the window that you began in, \
             or run `sendmail365 login --browser` again."
                .to_owned(),
        ],
    }
}

fn shown(text: &str) -> String {
    printable(text.as_bytes())
}
