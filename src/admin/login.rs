//! `login --import`: a refresh token from elsewhere, kept only once a refresh has proved it.

use crate::config::Config;
use crate::config::paths::locate;
use crate::oauth;
use crate::outcome::{Class, Failure, Outcome, printable};
use crate::sys::file::read_regular;
use crate::sys::log::Journal;
use crate::sys::privilege::raised;
use crate::sys::secret::Secret;
use crate::sys::stdio;
use std::io;
use std::path::{Path, absolute};
use std::time::SystemTime;

/// Largest token file; a refresh token has about 2 KiB.
const TOKEN_SIZE_MAX: u64 = 64 * 1024;

/// Takes the token in `from` (`-` is standard input), proves it, stores it and says whose it is.
///
/// `named` is the configuration that was given with `-C`, which a first message needs too.
pub fn import(
    from: &Path,
    named: Option<&Path>,
    config: &Config,
    journal: &Journal<'_>,
    now: SystemTime,
) -> Result<Outcome, Failure> {
    let text = raised(|| read(from)).map_err(|error| {
        Failure::new(
            Class::Io,
            format!("cannot read the token in {}", from.display()),
        )
        .because(&error)
        .fix("name a file that holds the refresh token, or - for standard input")
        .with_os_error(&error)
    })?;
    let store = oauth::Store::new(config.token_dirs.clone());
    let signed_in = config.sign_in(&store).import(text.expose(), journal, now)?;
    // What a refused sign-in has put on hold goes on.
    config.gate().close();
    let user = signed_in.user.as_deref().unwrap_or(&config.account.user);
    let tenant = signed_in
        .tenant
        .as_deref()
        .unwrap_or(&config.account.tenant);
    let option = named.map_or_else(String::new, |path| format!(" -C {}", path.display()));
    stdio::say(&format!(
        "signed in as {}, tenant {}\nnext: send a message, such as: \
         printf 'To: {}\\n\\nhello\\n' | sendmail{option} -t\n",
        printable(user.as_bytes()),
        printable(tenant.as_bytes()),
        printable(config.account.mailbox.as_bytes()),
    ));
    if config.queue.enabled && config.callers_own && !locate(named).is_hosts() {
        stdio::say(&run_it_yourself(named));
    }
    make_room(config);
    Ok(Outcome::Done)
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

fn read(from: &Path) -> io::Result<Secret> {
    if from == Path::new("-") {
        return stdio::read_stdin(TOKEN_SIZE_MAX).map(Secret::new);
    }
    let (octets, _) = read_regular(from, TOKEN_SIZE_MAX)?;
    let text = String::from_utf8(octets);
    text.map(Secret::new)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "not UTF-8"))
}
