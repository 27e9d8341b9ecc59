//! The verbs that an administrator types: what each is given.

use super::Job;
use crate::admin::{check, doctor, login, setup, status, test};
use crate::cli::{Doctor, Login, Setup, Trial, Way};
use crate::config::paths::{locate, target};
use crate::outcome::{Class, Failure, Outcome};
use crate::submit::Desk;
use crate::sys::caller::{Account, host_name};
use crate::sys::privilege;
use crate::sys::signal::Signals;
use std::path::Path;

impl Job<'_> {
    /// Looks at all that can be looked at, settings that cannot be read included; at the files of this
    /// host with the rights there are, and over the network with those of every sender.
    pub(super) fn doctor(&self, wishes: &Doctor) -> Result<Outcome, Failure> {
        let named = wishes.config.as_deref();
        let config = self.configure(named);
        let patient = doctor::Patient {
            location: &locate(named),
            caller: self.caller,
            host: &host_name(),
            now: self.now,
        };
        let begun = doctor::begin(wishes, config.as_ref(), &patient);
        let Ok(config) = config else {
            return doctor::examine(begun, None, &patient);
        };
        let config = self.send_with(config, named)?;
        let journal = self.journal(&config.log);
        doctor::examine(begun, Some((&config, &journal)), &patient)
    }

    pub(super) fn status(&self, named: Option<&Path>, json: bool) -> Result<Outcome, Failure> {
        let config = self.configure(named).map_err(check::as_fault)?;
        let is_hosts = locate(named).is_hosts();
        status::status(&config, (self.caller, is_hosts), json, self.now)
    }

    /// By the way of any message.
    pub(super) fn test(&self, trial: &Trial) -> Result<Outcome, Failure> {
        let config = self.configure_to_send(trial.config.as_deref())?;
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

    /// Writes the settings; then signs in and sends a test, by the same code as the verbs.
    pub(super) fn setup(&self, wishes: Setup) -> Result<Outcome, Failure> {
        let location = target(wishes.config.as_deref(), self.caller);
        if location.callers_own {
            privilege::drop_for_good()?;
        } else if self.caller.uid != 0 {
            return Err(
                Failure::new(Class::NoPermission, "this host is set up by root only")
                    .because(
                        "you are not root, and have no home directory for settings of your own",
                    )
                    .fix("run it as root, or name a file of your own with -C"),
            );
        }
        let account = Account::of_queue();
        if location.is_hosts() && account.uid != 0 {
            // The file is written as root, and Microsoft asked as the account.
            privilege::become_but_for_files(account)?;
        }
        let desk = setup::Desk {
            wishes: &wishes,
            location: &location,
            caller: self.caller,
        };
        let done = desk.write()?;
        if wishes.no_login || !done.wants_login()? {
            return Ok(Outcome::Done);
        }
        let named = wishes.config.as_deref();
        self.login(&Login {
            config: wishes.config.clone(),
            way: Way::Device,
        })?;
        done.tell_object(&self.configure(named)?);
        if wishes.no_test {
            return Ok(Outcome::Done);
        }
        match done.wants_test()? {
            Some(address) => self.test(&Trial {
                config: wishes.config.clone(),
                addresses: vec![address.into()],
            }),
            None => Ok(Outcome::Done),
        }
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
        let config = self.configure_to_sign_in(named)?;
        let journal = self.journal(&config.log);
        login::login(wishes, &config, &journal)
    }
}
