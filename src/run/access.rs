//! The settings that count for a job, and the rights it goes on with once they are read.

use super::Job;
use crate::config::paths::{Location, locate};
use crate::config::{Config, Warning, file};
use crate::outcome::{Class, Failure};
use crate::sys::caller::{ACCOUNT, Account};
use crate::sys::file::closed_to;
use crate::sys::log::Log;
use crate::sys::privilege::{self, Lack};
use std::path::Path;

impl Job<'_> {
    /// Reads the configuration; one that the caller chose is read with his own rights only.
    pub(super) fn configure(&self, named: Option<&Path>) -> Result<Config, Failure> {
        self.configure_or_lack(named)?
            .map_err(|lack| closed(&lack, false))
    }

    /// The same for a job that goes to the network: root goes there as the account.
    pub(super) fn configure_to_send(&self, named: Option<&Path>) -> Result<Config, Failure> {
        self.send_with(self.configure(named)?, named)
    }

    /// What this process lacks where the settings of the host are closed to it, instead of them.
    pub(super) fn configure_or_lack(
        &self,
        named: Option<&Path>,
    ) -> Result<Result<Config, Lack>, Failure> {
        let location = locate(named);
        if location.callers_own {
            privilege::drop_for_good()?;
        }
        let failure = match file::load(&location, self.caller) {
            Ok(config) => return Ok(Ok(config)),
            Err(failure) => failure,
        };
        if !location.callers_own
            && failure.denied()
            && let Some(lack) = location.dir().and_then(|dir| Lack::of(self.start, dir))
        {
            return Ok(Err(lack));
        }
        Err(self.unreadable(&location, failure))
    }

    /// Reads the configuration of a place that is given.
    pub(super) fn configure_at(&self, location: &Location) -> Result<Config, Failure> {
        let config = file::load(location, self.caller);
        let config = config.map_err(|failure| self.unreadable(location, failure))?;
        self.send_with(config, None)
    }

    fn unreadable(&self, location: &Location, failure: Failure) -> Failure {
        let log = Log::new(Some(Log::SYSLOG.into()), None);
        self.record(&log, self.config_event(location), &failure);
        failure
    }

    /// Root gives up its ids for those of the account.
    pub(super) fn send_with(
        &self,
        mut config: Config,
        named: Option<&Path>,
    ) -> Result<Config, Failure> {
        if let Some(account) = self.account(&config, named) {
            config.log.prepare(account.gid);
            if !privilege::become_for_good(account)? {
                config.warnings.push(stays_root());
            }
        }
        Ok(config)
    }

    /// The same, but files are still made as root.
    pub(super) fn configure_to_sign_in(&self, named: Option<&Path>) -> Result<Config, Failure> {
        let mut config = self.configure(named)?;
        if let Some(account) = self.account(&config, named)
            && !privilege::become_but_for_files(account)?
        {
            config.warnings.push(stays_root());
        }
        Ok(config)
    }

    /// Whom root goes on as: the account, if there is one and these settings let it in to the tokens.
    fn account(&self, config: &Config, named: Option<&Path>) -> Option<Account> {
        // Who has become the account before, as a set-up does, cannot do so again.
        if self.caller.uid != 0 || !privilege::acts_as_root() {
            return None;
        }
        let account = Account::of_queue();
        let let_in = || {
            let tokens = config.token_dirs.first();
            tokens.is_some_and(|dir| matches!(closed_to(&account, dir, 0o5), Ok(None)))
        };
        (account.uid != 0 && (locate(named).is_hosts() || let_in())).then_some(account)
    }

    fn config_event(&self, location: &Location) -> &'static str {
        match location.callers_own && self.caller.uid != 0 {
            true => "denied what=config-override",
            false => "config",
        }
    }
}

fn stays_root() -> Warning {
    Warning {
        reason: "root",
        text: format!("root cannot become {ACCOUNT} here, and goes to the network itself"),
    }
}

/// The failure of a job for which this process lacks the rights; a message could go by the socket.
pub(super) fn closed(lack: &Lack, is_message: bool) -> Failure {
    const SOCKET: &str =
        "as root: systemctl enable --now sendmail365.socket, by which such processes send";
    let cure = match (is_message, lack.cure()) {
        (true, Some(cure)) => format!("{SOCKET}; or {cure}"),
        (true, None) => SOCKET.to_owned(),
        (false, Some(cure)) => format!("ask root to do it; or {cure}"),
        (false, None) => "call it from elsewhere, or ask root to do it".to_owned(),
    };
    let what = match is_message {
        true => "this process may not send for the host",
        false => "this process may not use the settings of the host",
    };
    Failure::new(Class::NoPermission, what)
        .because(lack)
        .fix(cure)
        .with_reason("no-privilege")
}
