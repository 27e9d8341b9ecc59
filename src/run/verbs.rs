//! The verbs that an administrator types: what each is given.

use super::Job;
use crate::admin::{check, login, status, test};
use crate::cli::{Login, Trial};
use crate::config::paths::locate;
use crate::outcome::{Class, Failure, Outcome};
use crate::submit::Desk;
use crate::sys::caller::host_name;
use crate::sys::signal::Signals;
use std::path::Path;

impl Job<'_> {
    pub(super) fn status(&self, named: Option<&Path>, json: bool) -> Result<Outcome, Failure> {
        let config = self.configure(named).map_err(check::as_fault)?;
        let is_hosts = locate(named).is_hosts();
        status::status(&config, (self.caller, is_hosts), json, self.now)
    }

    /// By the way of any message.
    pub(super) fn test(&self, trial: &Trial) -> Result<Outcome, Failure> {
        let config = self.configure(trial.config.as_deref())?;
        let journal = self.journal(&config.log);
        let host = host_name();
        let desk = self.desk(&config, &journal, &host);
        let desk = Desk {
            regular_file: true,
            signals: Some(Signals::arm()),
            ..desk
        };
        test::test(&trial.addresses, &desk)
    }

    pub(super) fn login(&self, wishes: &Login) -> Result<Outcome, Failure> {
        let named = wishes.config.as_deref();
        if self.caller.uid != 0 && !locate(named).callers_own {
            return Err(
                Failure::new(Class::NoPermission, "this host is signed in by root only")
                    .because("you are not root, and have no configuration of your own")
                    .fix("run it as root, or name your configuration with -C"),
            );
        }
        let config = self.configure(named)?;
        let journal = self.journal(&config.log);
        login::login(wishes, &config, &journal)
    }
}
