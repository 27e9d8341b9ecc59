//! `--check`, `-bC`: would mail leave this host? Asked of the files alone, without the network.

use crate::admin::aliases;
use crate::config::Config;
use crate::oauth;
use crate::outcome::{Class, Failure, Outcome};
use crate::sys::caller::Caller;
use crate::sys::stdio;

/// Judges what is configured and the sign-in that is stored; the settings have been read already.
///
/// What is not wrong enough to stop mail is told and changes nothing.
pub fn check(config: &Config, caller: &Caller, program: &str) -> Result<Outcome, Failure> {
    for warning in &config.warnings {
        stdio::complain(&format!("{program}: warning: {}", warning.text));
    }
    aliases::check(&config.recipients.aliases).map_err(as_fault)?;
    let store = oauth::Store::new(config.token_dirs.clone());
    config.sign_in(&store).check(caller.uid).map_err(as_fault)?;
    Ok(Outcome::Done)
}

/// Every fault that is found without a message is one of the configuration.
pub fn as_fault(failure: Failure) -> Failure {
    match failure.class() {
        Class::OsError => failure,
        _ => failure.as_class(Class::Config),
    }
}
