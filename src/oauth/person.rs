//! A person signs in: by a code on another device, or with a browser.

use super::answer::Granted;
use super::fetch::Fetch;
use super::grants::code::{Back, Begun};
use super::grants::device::{self, DeviceCode, Polled};
use super::store::Origin;
use super::token::seconds;
use super::{SignIn, SignedIn};
use crate::outcome::{Class, Failure};
use crate::sys::log::Journal;
use crate::sys::secret::Secret;
use ring::rand::{SecureRandom, SystemRandom};
use std::time::{Duration, SystemTime};

/// What to do after a poll.
pub enum Next {
    /// Wait, then ask again.
    Wait(Duration),
    /// The same; this time there was no answer of the server's.
    Disturbed(Duration, Failure),
    /// The person has signed in, and it is stored.
    SignedIn(SignedIn),
    /// The code has ended; a new one has to be asked for.
    Expired,
    Failed(Failure),
}

/// A code that a person has been shown.
pub struct Device {
    code: DeviceCode,
    interval: Duration,
}

/// A sign-in with a browser that was begun.
pub struct Browser {
    begun: Begun,
    /// The address for the person's browser.
    pub url: String,
}

/// What came of an answer that a browser brought.
pub enum Landed {
    SignedIn(SignedIn),
    Failed(Failure),
    /// It does not belong to this sign-in; the right one may still come.
    Strange,
}

impl Device {
    /// What the person has to be told.
    pub fn code(&self) -> &DeviceCode {
        &self.code
    }

    /// The time to wait before the first poll.
    pub fn interval(&self) -> Duration {
        self.interval
    }
}

impl SignIn<'_> {
    /// Asks for a code that a person types on another device.
    pub fn device(&self, now: SystemTime) -> Result<Device, Failure> {
        let fetch = self.fetch(seconds(now));
        let form = device::request(self.account, &self.endpoint.audience);
        let reply = fetch.post_to(&self.endpoint.device_url, &form);
        let code = reply.and_then(|reply| device::read_code(&fetch.ask(Vec::new()), reply));
        let code = code.map_err(in_vain)?;
        Ok(Device {
            interval: code.interval,
            code,
        })
    }

    /// Asks whether the person is done, and stores the sign-in if so.
    ///
    /// Nothing stored is touched before the new sign-in has turned out to fit the account.
    pub fn poll(&self, device: &mut Device, journal: &Journal<'_>, now: SystemTime) -> Next {
        const SLOWER: Duration = Duration::from_secs(5);
        let fetch = self.fetch(seconds(now));
        let form = device::poll(self.account, &self.endpoint.audience, &device.code);
        let ask = fetch.ask(vec![device.code.secret()]);
        let polled = match fetch.poll(&form) {
            Ok(reply) => device::read_poll(&ask, reply),
            Err(failure) => Polled::Disturbed(failure),
        };
        match polled {
            Polled::Pending => Next::Wait(device.interval),
            Polled::SlowDown => {
                device.interval += SLOWER;
                Next::Wait(device.interval)
            }
            Polled::Disturbed(failure) if failure.class() == Class::Config => Next::Failed(failure),
            Polled::Disturbed(failure) => {
                let asked = failure.retry_after().unwrap_or_default();
                Next::Disturbed(device.interval.max(asked), in_vain(failure))
            }
            Polled::Expired => Next::Expired,
            Polled::Failed(failure) => Next::Failed(in_vain(failure)),
            Polled::Granted(granted) => {
                let origin = Origin {
                    flow: "device",
                    with_secret: Some(false),
                };
                match self.adopt(*granted, &origin, journal, now) {
                    Ok(signed_in) => Next::SignedIn(signed_in),
                    Err(failure) => Next::Failed(failure),
                }
            }
        }
    }

    /// Begins a sign-in with a browser that comes back to `redirect_uri`.
    pub fn browser(&self, redirect_uri: String) -> Result<Browser, Failure> {
        let mut random = [[0; 32]; 2];
        for octets in &mut random {
            SystemRandom::new().fill(octets).map_err(|_| {
                Failure::new(Class::OsError, "no random numbers")
                    .because("the kernel's source failed")
            })?;
        }
        let begun = Begun::new(redirect_uri, random);
        let url = begun.url(self.account, self.endpoint);
        Ok(Browser { begun, url })
    }

    /// Takes what the browser brought back, the query or the whole address, and stores the sign-in.
    pub fn land(
        &self,
        browser: &Browser,
        (text, flow): (&str, &'static str),
        journal: &Journal<'_>,
        now: SystemTime,
    ) -> Landed {
        let fetch = self.fetch(seconds(now));
        let secret = self.account.grant.client_secret();
        let code = match browser.begun.read(&fetch.ask(Vec::new()), text) {
            Back::Code(code) => code,
            Back::Failed(failure) => return Landed::Failed(in_vain(failure)),
            Back::Strange => return Landed::Strange,
        };
        let origin = Origin {
            flow,
            with_secret: Some(secret.is_some()),
        };
        let granted = redeem(&fetch, &browser.begun, &code, secret).map_err(in_vain);
        match granted.and_then(|granted| self.adopt(granted, &origin, journal, now)) {
            Ok(signed_in) => Landed::SignedIn(signed_in),
            Err(failure) => Landed::Failed(failure),
        }
    }
}

/// The same for whoever waits at the terminal: no mail is concerned.
fn in_vain(failure: Failure) -> Failure {
    match failure.class() {
        Class::NoPermission | Class::Config => failure,
        _ => failure.told_as("the sign-in did not succeed"),
    }
}

fn redeem(
    fetch: &Fetch<'_>,
    begun: &Begun,
    code: &Secret,
    secret: Option<&Secret>,
) -> Result<Granted, Failure> {
    let form = begun.form(fetch.account, &fetch.endpoint.audience, code, secret);
    let mut secrets = vec![code.expose(), begun.secret()];
    secrets.extend(secret.map(Secret::expose));
    fetch.ask(secrets).read(fetch.post(&form)?)
}
