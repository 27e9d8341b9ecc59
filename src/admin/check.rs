//! `--check`, `-bC`: would mail leave this host? Asked of the files alone, without the network.

use crate::admin::aliases;
use crate::config::Config;
use crate::oauth;
use crate::outcome::{Class, Failure, Outcome};
use crate::sys::caller::{ACCOUNT, Account, Caller};
use crate::sys::file::closed_to;
use crate::sys::stdio;
use std::path::Path;

/// Judges what is configured and the sign-in that is stored; the settings have been read already.
///
/// What is not wrong enough to stop mail is told and changes nothing. `hosts` is the file of the
/// settings if they are the host's.
pub fn check(
    config: &Config,
    hosts: Option<&Path>,
    caller: &Caller,
    program: &str,
) -> Result<Outcome, Failure> {
    for warning in &config.warnings {
        stdio::complain(&format!("{program}: warning: {}", warning.text));
    }
    aliases::check(&config.recipients.aliases).map_err(as_fault)?;
    let store = oauth::Store::new(config.token_dirs.clone());
    config.sign_in(&store).check(caller.uid).map_err(as_fault)?;
    match hosts {
        Some(file) if caller.uid == 0 => ready(file, config, &Account::of_queue())?,
        _ => {}
    }
    Ok(Outcome::Done)
}

/// Whether the account that runs the queue can do it: root, who asks, is kept out of nothing.
fn ready(file: &Path, config: &Config, account: &Account) -> Result<(), Failure> {
    let tokens = oauth::files(&config.token_dirs).map(|path| (path, 0o6));
    let needed = [(file.to_owned(), 0o4), (config.state_dir.clone(), 0o1)];
    for (path, wanted) in needed.into_iter().chain(tokens) {
        // What is not there, or cannot be asked for, is told where it is used.
        if let Ok(Some(step)) = closed_to(account, &path, wanted) {
            return Err(closed(&path, &step, wanted));
        }
    }
    match config.queue.enabled {
        true => config.spool().judge(account).map_err(as_fault),
        false => Ok(()),
    }
}

fn closed(path: &Path, step: &Path, wanted: u32) -> Failure {
    let shown = step.display();
    let cure = match (step == path, wanted) {
        (true, 0o6) => format!("as root: chgrp {ACCOUNT} {shown} && chmod 0660 {shown}"),
        (true, 0o4) => format!("as root: chgrp {ACCOUNT} {shown} && chmod 0640 {shown}"),
        // A directory of the system is not given away.
        _ if !step.components().any(|name| name.as_os_str() == ACCOUNT) => {
            format!("as root: chmod o+x {shown}")
        }
        _ => format!("as root: chgrp {ACCOUNT} {shown} && chmod g+x {shown}"),
    };
    let what = format!(
        "the account {ACCOUNT}, which runs the queue, cannot use {}",
        path.display()
    );
    Failure::new(Class::Config, what)
        .because(format!("owner and mode of {shown} keep it out"))
        .fix(cure)
        .with_reason("mode")
}

/// Every fault that is found without a message is one of the configuration.
pub fn as_fault(failure: Failure) -> Failure {
    match failure.class() {
        Class::OsError | Class::NoPermission => failure,
        _ => failure.as_class(Class::Config),
    }
}
