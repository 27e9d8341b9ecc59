//! How a submission gets its access token: the cached one, else one request for all processes.
//!
//! ```text
//! store: slots ─ fresh? ─────────────────────────────────────────────────────► AccessToken
//!                  └ lock ─ read again ─ fetch: grants' form ─ endpoint: HTTPS ─ answer
//!                                                   token: fits the account? ─ store: slot
//! ```
//!
//! A grant is what a token is asked for with. `grants` has the words of each, `fetch` speaks them;
//! `person` is how somebody signs in, once.

mod answer;
mod callback;
pub mod codes;
mod endpoint;
mod fetch;
mod form;
mod grant;
mod grants;
mod imported;
mod metadata;
mod owner;
mod person;
mod probe;
mod refusal;
mod shelf;
mod slot;
mod sought;
mod store;
mod stored;
mod token;
mod trouble;
mod way;

use crate::outcome::Failure;
use crate::sys::log::Journal;
use crate::sys::roots::Roots;
use answer::Granted;
use endpoint::Peer;
use fetch::Fetch;
use sought::Sought;
use std::time::{Duration, SystemTime};
use store::Origin;
use token::seconds;

pub use callback::{Callback, Page};
pub use grant::Grant;
pub use grants::assertion::{Certificate, Fault};
pub use grants::identity;
pub use person::{Browser, Device, Landed, Next};
pub use probe::{Authority, seconds_of};
pub use shelf::files;
pub use store::Store;
pub use stored::Stored;
pub use token::{AccessToken, Claims, is_guid};

/// Who signs in, and for which application.
pub struct Account {
    /// The mailbox as messages name it.
    pub mailbox: String,
    /// The XOAUTH2 user; a person's token has to be this user's.
    pub user: String,
    /// GUID, domain, `organizations` or `consumers`; compared with a token's only if it is a GUID.
    /// Empty where the grant needs none.
    pub tenant: String,
    /// The application's id; empty where the grant needs none.
    pub client_id: String,
    /// What tokens are asked for with.
    pub grant: Grant,
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
    /// The token endpoint: https, or plain to a service of the host itself.
    pub token_url: String,
    /// Where codes for other devices come from.
    pub device_url: String,
    /// Where a browser signs in.
    pub authorize_url: String,
    /// What the token is to open.
    pub audience: Audience,
    /// `http://host:port`.
    pub proxy: Option<String>,
}

impl Endpoint {
    /// The name of the server that grants tokens, for messages.
    pub fn host(&self) -> &str {
        endpoint::host(&self.token_url)
    }

    /// Name and port of the server that grants tokens over HTTPS.
    pub fn host_and_port(&self) -> (String, u16) {
        match endpoint::authority(&self.token_url) {
            Some((host, port)) => (host.to_owned(), port),
            None => (self.host().to_owned(), 443),
        }
    }

    /// The server that grants tokens.
    pub(crate) fn tokens(&self) -> Peer<'_> {
        Peer {
            url: &self.token_url,
            proxy: self.proxy.as_deref(),
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
    /// A token that ends sooner than this is renewed first.
    pub margin: Duration,
}

/// The limit for the exchange with the token endpoint.
pub const TIMEOUT: Duration = Duration::from_secs(20);

/// How long a token has to last at the start of a submission.
pub const MARGIN: Duration = Duration::from_secs(300);

/// Whose sign-in was stored.
#[derive(Debug)]
pub struct SignedIn {
    /// The user, if the token tells.
    pub user: Option<String>,
    /// The tenant's id, if the token tells.
    pub tenant: Option<String>,
    /// The application's id, if the token tells.
    pub client: Option<String>,
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
        self.fetch(0).check()?;
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
        let refresh_token = imported::imported(text)?;
        let secret = self.account.grant.client_secret();
        let mut granted = self.fetch(seconds(now)).refreshed(&refresh_token, secret)?;
        granted.refresh_token.get_or_insert(refresh_token);
        let origin = Origin {
            flow: "import",
            with_secret: Some(secret.is_some()),
        };
        self.adopt(granted, &origin, journal, now)
    }

    /// Proves a grant that needs nobody to sign in by one request, and stores the token.
    pub fn prove(&self, journal: &Journal<'_>, now: SystemTime) -> Result<SignedIn, Failure> {
        let granted = self.fetch(seconds(now)).renewal(None)?;
        let origin = Origin {
            flow: self.account.grant.name(),
            with_secret: None,
        };
        self.adopt(granted, &origin, journal, now)
    }

    /// What is stored of the account, if anything is.
    pub fn stored(&self) -> Option<Stored> {
        self.store.stored(self.account)
    }

    /// What is stored of the account, or why nothing of it can be seen.
    pub fn find(&self) -> Result<Stored, Failure> {
        self.store.find(self.account)
    }

    /// Keeps what was granted if it fits the account.
    fn adopt(
        &self,
        granted: Granted,
        origin: &Origin,
        journal: &Journal<'_>,
        now: SystemTime,
    ) -> Result<SignedIn, Failure> {
        self.with_sought(journal, now, None, |sought| {
            self.store.sign_in(sought, granted, origin)
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
        let fetch = self.fetch(now);
        job(&Sought {
            account: self.account,
            journal,
            now,
            margin: self.margin.as_secs(),
            refused,
            renew: &|stored| fetch.renewal(stored),
        })
    }

    fn fetch(&self, now: u64) -> Fetch<'_> {
        Fetch {
            account: self.account,
            endpoint: self.endpoint,
            roots: self.roots,
            timeout: self.timeout,
            now,
        }
    }
}
