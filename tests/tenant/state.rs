//! What the tenant's two servers share, and what the tests read.

use super::certificates::{Authority, TlsVersions};
use super::device::{Device, SignIn};
use super::faults::Schedule;
use super::metadata::{Challenge, MetadataRequest};
use super::scope::Grant;
use super::tokens::{Claims, Mint};
use super::transcript::Connection;
use super::{Setup, clock, keys, tokens};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// Parameters of a token request that are secrets.
const SECRET_PARAMETERS: [&str; 6] = [
    "client_assertion",
    "client_secret",
    "code",
    "code_verifier",
    "device_code",
    "refresh_token",
];
/// Shorter ones are a test's own words.
const SECRET_MIN: usize = 40;

/// A message that the tenant took.
#[derive(Clone, Debug)]
pub struct Delivered {
    pub sender: String,
    pub recipients: Vec<String>,
    /// The octets after undoing the dots, as they came.
    pub data: Vec<u8>,
    /// Who had signed in.
    pub user: String,
    /// Parameters of MAIL: `SIZE=1234`, `BODY=8BITMIME`.
    pub parameters: Vec<String>,
    /// Parameters of each RCPT, in the order of the recipients.
    pub recipient_parameters: Vec<Vec<String>>,
    /// The Message-ID that the 250 told, in angle brackets.
    pub new_id: String,
}

impl Delivered {
    /// The message as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.data).into_owned()
    }

    /// The unfolded values of a header field, in their order.
    pub fn field(&self, name: &str) -> Vec<String> {
        super::message::fields(&self.data, name)
            .into_iter()
            .map(|value| String::from_utf8_lossy(&value).trim().to_owned())
            .collect()
    }

    /// What follows the empty line.
    pub fn body(&self) -> &[u8] {
        let end = self
            .data
            .windows(4)
            .position(|octets| octets == b"\r\n\r\n");
        end.map_or(&[], |at| &self.data[at + 4..])
    }
}

/// A request to the token endpoint, or to the device and authorize endpoints beside it.
#[derive(Clone, Debug)]
pub struct TokenRequest {
    pub method: String,
    pub path: String,
    pub form: BTreeMap<String, String>,
    /// 0 when no answer was given.
    pub status: u16,
}

/// The switch of SMTP AUTH, which concerns OAuth too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SmtpAuth {
    #[default]
    Enabled,
    DisabledForTenant,
    DisabledForMailbox,
}

/// A sign-in that came to its end.
#[derive(Clone, Debug)]
pub struct SignedIn {
    pub grant: Grant,
    pub user: String,
    /// The application showed its secret or its certificate with it.
    pub with_secret: bool,
}

/// Whether a refresh token still works, and for what it stands.
#[derive(Clone, Debug)]
pub struct Refresh {
    pub of: SignedIn,
    pub revoked: bool,
}

/// What changes while the tenant runs.
#[derive(Default)]
pub struct Ledger {
    pub faults: Schedule,
    pub switch: SmtpAuth,
    pub send_as: BTreeSet<String>,
    pub recipients: BTreeSet<String>,
    pub received: Vec<Delivered>,
    pub connections: Vec<Arc<Mutex<Connection>>>,
    pub token_requests: Vec<TokenRequest>,
    pub refresh_tokens: BTreeMap<String, Refresh>,
    pub newest_refresh_token: String,
    /// Access tokens that do not say themselves what they are good for.
    pub opaque_tokens: BTreeMap<String, Claims>,
    /// Everything that must never be seen outside: tokens, secret, AUTH responses.
    pub secrets: Vec<String>,
    /// What becomes of new device codes, instead of what the setup says.
    pub sign_in: Option<SignIn>,
    /// Device codes in the order they were asked for.
    pub devices: Vec<(String, Device)>,
    pub metadata_requests: Vec<MetadataRequest>,
    /// What Arc's agent wants to see.
    pub challenge: Challenge,
    /// `jti` of assertions.
    pub assertion_ids: BTreeSet<String>,
    pub codes: BTreeMap<String, super::authorize::Code>,
    pub sessions: usize,
    /// Submission sessions that have signed in and not ended.
    pub signed_in: usize,
    /// When the messages of the last minute were taken.
    pub pace: VecDeque<Instant>,
    /// The rate of messages is not counted any more.
    pub any_rate: bool,
}

/// The tenant, as its threads see it.
pub struct Shared {
    pub setup: Setup,
    pub authority: Authority,
    pub mint: Mint,
    pub stop: Arc<AtomicBool>,
    /// What App Service wants to see.
    pub identity_header: String,
    /// Client id of the machine's own identity.
    pub system_identity: String,
    ledger: Mutex<Ledger>,
    calm: Condvar,
}

impl Shared {
    /// A tenant with one refresh token and nothing else.
    pub fn new(setup: Setup) -> Shared {
        let shared = Shared {
            authority: Authority::new("Contoso Test Root CA"),
            mint: Mint::new(),
            stop: Arc::default(),
            identity_header: format!("CANARY-IH-{}", clock::text(50)),
            system_identity: clock::guid(),
            ledger: Mutex::default(),
            calm: Condvar::new(),
            setup,
        };
        let first = shared.first_leg();
        let mut ledger = shared.ledger();
        ledger.secrets.push(shared.setup.client_secret.clone());
        ledger.secrets.push(shared.identity_header.clone());
        ledger
            .secrets
            .extend(keys::secret_lines().map(str::to_owned));
        ledger.issue_refresh_token(first);
        drop(ledger);
        shared
    }

    /// The user's own sign-in, as it should be.
    pub fn first_leg(&self) -> SignedIn {
        SignedIn {
            grant: self.setup.cloud.first_leg(),
            user: self.setup.user.clone(),
            with_secret: self.setup.confidential,
        }
    }

    /// What changes. Never held across input or output.
    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap()
    }

    /// The versions of TLS spoken.
    pub fn tls(&self) -> TlsVersions {
        self.setup.tls
    }

    /// A submission session ended.
    pub fn session_ended(&self) {
        self.ledger().sessions -= 1;
        self.calm.notify_all();
    }

    /// Waits a moment for sessions whose client has gone already.
    pub fn settle(&self, patience: Duration) -> MutexGuard<'_, Ledger> {
        let ledger = self.ledger();
        self.calm
            .wait_timeout_while(ledger, patience, |ledger| ledger.sessions > 0)
            .unwrap()
            .0
    }

    /// Whether an address belongs to the signed-in mailbox or is one that it may send as.
    pub fn may_send_as(&self, address: &str) -> bool {
        let address = address.to_ascii_lowercase();
        let own = self
            .setup
            .aliases
            .iter()
            .chain([&self.setup.mailbox, &self.setup.user]);
        own.into_iter()
            .any(|name| name.eq_ignore_ascii_case(&address))
            || self.ledger().send_as.contains(&address)
    }
}

impl Ledger {
    /// Adds what a client sent and nobody else may see, also where the tenant did not make it.
    pub fn learn_secrets(&mut self, form: &BTreeMap<String, String>) {
        for name in SECRET_PARAMETERS {
            let secret = form.get(name).filter(|text| text.len() >= SECRET_MIN);
            self.secrets.extend(secret.cloned());
        }
    }

    /// A new refresh token, beside the old ones.
    pub fn issue_refresh_token(&mut self, of: SignedIn) -> String {
        let token = tokens::refresh_token();
        let revoked = false;
        self.refresh_tokens
            .insert(token.clone(), Refresh { of, revoked });
        self.newest_refresh_token.clone_from(&token);
        self.secrets.push(token.clone());
        token
    }
}
