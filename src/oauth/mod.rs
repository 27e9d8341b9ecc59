//! How a submission gets its access token: the cached one, else one refresh for all processes.
//!
//! ```text
//! store: slots ─ fresh? ─────────────────────────────────────────────► AccessToken
//!                  └ lock ─ read again ─ grant: form ─ endpoint: HTTPS ─ grant: answer
//!                                                       token: fits the account? ─ store: slot
//! ```
//!
//! One grant so far: `delegated`, a refresh token that a person's sign-in left behind. Another grant
//! is another way to make the form in `grant`; all else stays.

pub mod codes;
mod endpoint;
mod grant;
mod owner;
mod refusal;
mod shelf;
mod slot;
mod store;
mod token;

use crate::outcome::Failure;
use crate::sys::log::Journal;
use crate::sys::roots::Roots;
use crate::sys::secret::Secret;
use grant::Refresh;
use std::time::{Duration, SystemTime};
use store::{Renewal, Sought};
use token::{RefreshToken, seconds};

pub use shelf::files;
pub use store::Store;
pub use token::AccessToken;

/// Who signs in, and for which application.
pub struct Account {
    /// The mailbox as messages name it.
    pub mailbox: String,
    /// The XOAUTH2 user; tokens have to be this user's.
    pub user: String,
    /// GUID, domain, `organizations` or `consumers`; compared with a token's only if it is a GUID.
    pub tenant: String,
    /// The application's id.
    pub client_id: String,
    /// The application's secret, if it is a confidential one.
    pub client_secret: Option<Secret>,
}

impl Account {
    /// The grant by its name in the settings.
    pub fn grant(&self) -> &'static str {
        "delegated"
    }
}

/// What a token is asked for.
pub enum Audience {
    /// `scope=` of the v2 endpoints.
    Scope(String),
    /// `resource=` of the v1 endpoints ([MS-OAUTH2EX]).
    Resource(String),
}

/// Where tokens come from.
pub struct Endpoint {
    /// The token endpoint, https only.
    pub token_url: String,
    /// What the token is to open.
    pub audience: Audience,
    /// `http://host:port`.
    pub proxy: Option<String>,
}

impl Endpoint {
    /// The name of the server, for messages.
    pub(crate) fn host(&self) -> &str {
        endpoint::authority(&self.token_url).map_or(self.token_url.as_str(), |(host, _)| host)
    }

    /// Name and port of the server, as a firewall's rule wants them.
    pub(crate) fn host_and_port(&self) -> String {
        match endpoint::authority(&self.token_url) {
            Some((host, port)) if host.contains(':') => format!("[{host}]:{port}"),
            Some((host, port)) => format!("{host}:{port}"),
            None => self.token_url.clone(),
        }
    }
}

/// All that signing in takes.
pub struct SignIn<'a> {
    /// Who.
    pub account: &'a Account,
    /// Where.
    pub endpoint: &'a Endpoint,
    /// What is kept between jobs.
    pub store: &'a Store,
    /// Whom TLS trusts.
    pub roots: &'a Roots,
    /// For the whole exchange with the endpoint, repetition included.
    pub timeout: Duration,
}

/// The limit for the exchange with the token endpoint.
pub const TIMEOUT: Duration = Duration::from_secs(20);

/// Whose sign-in was stored.
#[derive(Debug)]
pub struct SignedIn {
    /// The user, if the token tells.
    pub user: Option<String>,
    /// The tenant's id, if the token tells.
    pub tenant: Option<String>,
}

impl SignIn<'_> {
    /// A good access token: the cached one, else the one refresh that all waiting processes share.
    pub fn access_token(
        &self,
        journal: &Journal<'_>,
        now: SystemTime,
    ) -> Result<AccessToken, Failure> {
        self.sought(journal, now, None)
    }

    /// Another token, once, after the server refused this one.
    ///
    /// Nothing is asked if another process has replaced the refused one meanwhile.
    pub fn access_token_after_refusal(
        &self,
        refused: &AccessToken,
        journal: &Journal<'_>,
        now: SystemTime,
    ) -> Result<AccessToken, Failure> {
        self.sought(journal, now, Some(refused))
    }

    /// Whether there is what a token could be asked for with; asks nobody and changes nothing.
    ///
    /// `owner` is the user besides root who may own the stored sign-in.
    pub fn check(&self, owner: u32) -> Result<(), Failure> {
        self.store.check(self.account, owner)
    }

    /// Takes over a refresh token from elsewhere, raw or in JSON.
    ///
    /// It is stored only after one refresh has proved it and the token has turned out to fit the
    /// account; until then nothing stored is touched.
    pub fn import(
        &self,
        text: &str,
        journal: &Journal<'_>,
        now: SystemTime,
    ) -> Result<SignedIn, Failure> {
        let refresh_token = grant::imported(text)?;
        self.with_sought(journal, now, None, |sought| {
            self.store.sign_in(sought, &refresh_token, "import")
        })
    }

    fn sought(
        &self,
        journal: &Journal<'_>,
        now: SystemTime,
        refused: Option<&AccessToken>,
    ) -> Result<AccessToken, Failure> {
        self.with_sought(journal, now, refused, |sought| self.store.token(sought))
    }

    fn with_sought<T>(
        &self,
        journal: &Journal<'_>,
        now: SystemTime,
        refused: Option<&AccessToken>,
        job: impl FnOnce(&Sought<'_>) -> T,
    ) -> T {
        let now = seconds(now);
        let refresh = |refresh_token: &RefreshToken| self.refresh(refresh_token, now);
        job(&Sought {
            account: self.account,
            journal,
            now,
            refused,
            refresh: &refresh,
        })
    }

    fn refresh(&self, refresh_token: &RefreshToken, now: u64) -> Renewal {
        let refresh = Refresh {
            account: self.account,
            endpoint: self.endpoint,
            refresh_token,
            now,
        };
        let exchange = endpoint::Exchange {
            account: self.account,
            endpoint: self.endpoint,
            roots: self.roots,
            timeout: self.timeout,
        };
        refresh.read(exchange.post(&refresh.form())?)
    }
}
