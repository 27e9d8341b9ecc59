//! `login`: a person signs in once, or a grant that needs nobody is tried; then it is kept.

mod browser;
mod device;
mod import;
mod qr;

use crate::admin::quote::shell;
use crate::cli::{Login, Way};
use crate::config::Config;
use crate::config::paths::locate;
use crate::oauth::{self, SignIn, SignedIn};
use crate::outcome::{Class, Failure, Outcome, printable};
use crate::sys::log::Journal;
use crate::sys::{clock, stdio};
use std::path::{Path, absolute};
use std::time::Duration;

/// What each way of signing in needs.
struct Desk<'a> {
    config: &'a Config,
    journal: &'a Journal<'a>,
    sign_in: SignIn<'a>,
}

/// Signs in as the options ask, stores the sign-in, says whose it is and what comes next.
///
/// Nothing that works is touched before the new sign-in has proved itself.
pub fn login(wishes: &Login, config: &Config, journal: &Journal<'_>) -> Result<Outcome, Failure> {
    let store = oauth::Store::new(config.token_dirs.clone());
    let desk = Desk {
        config,
        journal,
        sign_in: config.sign_in(&store),
    };
    let signed_in = desk.sign_in(&wishes.way).map_err(without_mail)?;
    // What a refused sign-in has put on hold goes on.
    config.gate().close();
    let named = wishes.config.as_deref();
    stdio::say(&summary(&signed_in, config, named));
    if config.queue.enabled && config.callers_own && !locate(named).is_hosts() {
        stdio::say(&run_it_yourself(named));
    }
    make_room(config);
    Ok(Outcome::Done)
}

impl Desk<'_> {
    fn sign_in(&self, way: &Way) -> Result<SignedIn, Failure> {
        let grant = &self.config.account.grant;
        match way {
            Way::Device if !grant.is_a_persons() => self.sign_in.prove(self.journal, clock::now()),
            _ if !grant.is_a_persons() => Err(Failure::new(
                Class::Usage,
                "nobody has to sign in with these settings",
            )
            .because(format!("the grant is {}", grant.name()))
            .fix("run `sendmail365 login` without options, which tries the grant")),
            Way::Device => device::sign_in(self),
            Way::Browser => browser::sign_in(self),
            Way::Paste => browser::sign_in_elsewhere(self),
            Way::Import(from) => import::sign_in(self, from),
        }
    }

    /// Whom the person has to be, in words for the person.
    fn advice(&self) -> String {
        let user = printable(self.config.account.user.as_bytes());
        format!("Sign in there as {user}, not as an administrator of the tenant.\n")
    }
}

/// The same for who sends nothing at the moment.
fn without_mail(failure: Failure) -> Failure {
    match failure
        .cure()
        .map(|cure| cure.replace("send again", "try again"))
    {
        Some(cure) => failure.fix(cure),
        None => failure,
    }
}

fn summary(signed_in: &SignedIn, config: &Config, named: Option<&Path>) -> String {
    let account = &config.account;
    let or = |found: &Option<String>, usual: &str| {
        printable(found.as_deref().unwrap_or(usual).as_bytes())
    };
    let tenant = match or(&signed_in.tenant, &account.tenant) {
        tenant if tenant.is_empty() => String::new(),
        tenant => format!(", tenant {tenant}"),
    };
    let who = match account.grant.is_a_persons() {
        true => format!(
            "signed in as {}{tenant}",
            or(&signed_in.user, &account.user)
        ),
        false => format!(
            "the grant {} works for application {}{tenant}; nobody has to sign in",
            account.grant.name(),
            or(&signed_in.client, &account.client_id)
        ),
    };
    let option = named.map_or_else(String::new, |path| {
        format!(" -C {}", shell(&path.to_string_lossy()))
    });
    let mailbox = shell(&printable(account.mailbox.as_bytes()));
    format!("{who}\nnext: sendmail365 test{option} {mailbox}\n")
}

/// The timer of the host runs the host's queue only.
fn run_it_yourself(named: Option<&Path>) -> String {
    let absolute = named.map(|path| absolute(path).unwrap_or_else(|_| path.to_owned()));
    let option = absolute.map_or_else(String::new, |path| format!(" -C {}", path.display()));
    format!(
        "next: have your queue run every minute, which nobody does for you, by a line of your crontab:\n\
         * * * * * /usr/sbin/sendmail365 -q{option} >/dev/null 2>&1\n"
    )
}

/// Makes the files that submissions share but cannot make. The sign-in stands without them.
fn make_room(config: &Config) {
    let dir = config.state_dir.display();
    let made = config.gate().create_missing().map_err(|error| {
        Failure::new(
            Class::CannotCreate,
            "the files that all submissions share cannot be made",
        )
        .because(format!("{dir}: {error}"))
        .fix("the directory has to be root:sendmail365 with mode 0750, or this user's own")
    });
    let spool = match config.queue.enabled {
        true => config.spool().prepare(),
        false => Ok(()),
    };
    for failure in [made, spool].into_iter().filter_map(Result::err) {
        let trouble = failure.one_line();
        stdio::complain(&format!("sendmail365: {}", printable(trouble.as_bytes())));
    }
}

/// The time that is left, on a terminal, in place of what it said before.
fn count_down(left: Duration) {
    if stdio::stderr_is_terminal() {
        let seconds = left.as_secs();
        let (minutes, seconds) = (seconds / 60, seconds % 60);
        stdio::retell(&format!("waiting, {minutes:2}:{seconds:02} left "));
    }
}

/// Ends the line of the countdown.
fn counted_down() {
    if stdio::stderr_is_terminal() {
        stdio::retell("                    \r");
    }
}

/// The time to sign in is over.
fn too_late(what: &str) -> Failure {
    Failure::new(Class::TryAgain, "nobody has signed in")
        .because(what)
        .fix("run `sendmail365 login` again")
        .with_reason("expired")
}
