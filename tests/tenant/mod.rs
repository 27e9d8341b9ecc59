//! A simulated Microsoft 365 tenant on loopback: sign-in over HTTPS, submission over SMTP, and the
//! addresses that hand tokens to machines.
//!
//! It is a peer that can say no. It checks what Microsoft checks (client, secret, assertion, tenant,
//! scope, audience, redirect URI, PKCE, polling, user, SMTP AUTH switches, permissions, sender, From,
//! line ends, limits) and answers in Microsoft's words.
//!
//! ```text
//! let tenant = Tenant::start();
//! tenant.fault(Fault::TokenEndpointDown);
//! tenant.fault(Fault::At(Stage::Mail, Act::reply(451, "4.7.0 Temporary server error")).once());
//! ...                                  // run the program against tenant.authority(), .smtp_port()
//! tenant.recover();
//! assert_eq!(tenant.received()[0].recipients, ["ops@example.com"]);
//! println!("{}", tenant.dialogue());
//!
//! tenant.sign_in(SignIn::Person);      // login by device code: the test is the person
//! tenant.approve(&tenant.user_code(1));
//! let page = tenant.open(&url);        // login by browser: the page, and the way back
//! let back = tenant.accept(&page, tenant.user()).location;
//! tenant.metadata(Metadata::Imds);     // instead of http://169.254.169.254
//! ```
//!
//! Decided where Microsoft's behaviour is not known, or differs by customer:
//! - Recipients outside the tenant's domain are taken. Inside it only the mailbox, its aliases,
//!   grants, `Setup::recipients` and added ones exist; others get 550 5.1.10 at RCPT.
//! - The null sender is refused like a foreign one unless `Setup::null_sender`.
//! - A client that pipelines where it must not is told so with 503 5.5.0, and cut off.
//! - A line over 998 octets, and 8-bit text without BODY=8BITMIME, are refused at the end of data.
//! - A failed AUTH is answered at once, not after Microsoft's five seconds.
//! - A device code that is unknown or used up is told with number 70000.
//! - The authorize page wants PKCE with S256 from everybody. A code that was shown with anything
//!   wrong beside it is used up.
//! - Which number is told for each fault of an assertion; what Microsoft leaves open there is
//!   taken strictly, see `assertion.rs`.
//! - A wrong identity header is answered with 401, and a parameter that is not known with 400.

#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a stage for tests and for the demo; neither uses all of it"
)]

mod aadsts;
mod address;
mod assertion;
mod auth;
mod authorize;
mod browser;
mod certificates;
mod client;
mod clock;
mod delivery;
mod device;
mod endpoint;
mod faults;
mod federation;
mod grants;
mod http;
mod identity;
mod issue;
pub mod keys;
mod leaks;
mod listener;
mod message;
mod metadata;
mod registered;
mod replies;
mod scope;
mod setup;
mod state;
mod submission;
mod tokens;
mod transaction;
mod transcript;
mod visitor;
mod wire;

pub use browser::Browser;
pub use certificates::{Flaw, TlsVersions};
pub use device::{Device, Poll, SignIn};
pub use faults::{Act, Answer, Door, Fault, Leg, Numbers, Plan, Shape, Stage};
pub use federation::Federation;
pub use metadata::{Metadata, MetadataRequest, UserAssigned};
pub use scope::Cloud;
pub use setup::{AppPermission, IntervalForm, Setup, Thumbprint};
pub use state::{Delivered, SmtpAuth, TokenRequest};
pub use tokens::{ACCESS_TOKEN_CANARY, Claims, GRAPH, OUTLOOK, REFRESH_TOKEN_CANARY};
pub use transcript::{Connection, Direction, Event};
pub use visitor::Page;

use listener::Listener;
use metadata::Listeners;
use state::Shared;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How long readers of the transcript wait for sessions whose client has just gone.
const SETTLE: Duration = Duration::from_secs(1);

/// A tenant that runs until it is dropped.
pub struct Tenant {
    shared: Arc<Shared>,
    endpoint: Listener,
    submission: Listener,
    metadata: Listeners,
}

impl Tenant {
    /// A tenant as most customers have it: a public client, everything enabled.
    pub fn start() -> Tenant {
        Tenant::with(Setup::default())
    }

    /// A tenant of another kind.
    pub fn with(setup: Setup) -> Tenant {
        let shared = Arc::new(Shared::new(setup));
        let (signing_in, submitting) = (shared.clone(), shared.clone());
        Tenant {
            endpoint: Listener::start(move |tcp| endpoint::serve(&signing_in, tcp)),
            submission: Listener::start(move |tcp| submission::serve(&submitting, tcp)),
            metadata: Listeners::default(),
            shared,
        }
    }

    /// The root certificate that both legs are issued under.
    pub fn ca_pem(&self) -> &str {
        self.shared.authority.pem()
    }

    /// `https://localhost:PORT`, in place of `https://login.microsoftonline.com`.
    pub fn authority(&self) -> String {
        format!("https://localhost:{}", self.endpoint.port())
    }

    /// The v2.0 token endpoint.
    pub fn token_url(&self) -> String {
        format!(
            "{}/{}/oauth2/v2.0/token",
            self.authority(),
            self.tenant_id()
        )
    }

    /// The v1 token endpoint, which takes `resource`.
    pub fn token_url_v1(&self) -> String {
        format!("{}/{}/oauth2/token", self.authority(), self.tenant_id())
    }

    /// The port of the token endpoint.
    pub fn token_port(&self) -> u16 {
        self.endpoint.port()
    }

    /// In place of `smtp.office365.com`.
    pub fn smtp_host(&self) -> &'static str {
        "localhost"
    }

    /// In place of 587.
    pub fn smtp_port(&self) -> u16 {
        self.submission.port()
    }

    /// The sending mailbox.
    pub fn mailbox(&self) -> &str {
        &self.shared.setup.mailbox
    }

    /// The user that signs in; the mailbox unless set up otherwise.
    pub fn user(&self) -> &str {
        &self.shared.setup.user
    }

    /// The tenant's GUID.
    pub fn tenant_id(&self) -> &str {
        &self.shared.setup.tenant_id
    }

    /// The application's GUID.
    pub fn client_id(&self) -> &str {
        &self.shared.setup.client_id
    }

    /// The application's secret; a public client must not send it.
    pub fn client_secret(&self) -> &str {
        &self.shared.setup.client_secret
    }

    /// The refresh token that was issued last.
    pub fn refresh_token(&self) -> String {
        self.shared.ledger().newest_refresh_token.clone()
    }

    /// A new sign-in of the user.
    pub fn issue_refresh_token(&self) -> String {
        self.shared
            .ledger()
            .issue_refresh_token(self.shared.first_leg())
    }

    /// "Revoke sessions": all refresh tokens so far are answered with AADSTS50173.
    pub fn revoke_refresh_tokens(&self) {
        let mut ledger = self.shared.ledger();
        ledger
            .refresh_tokens
            .values_mut()
            .for_each(|token| token.revoked = true);
    }

    /// The claims of a good token, to be changed and minted.
    pub fn claims(&self) -> Claims {
        grants::delegated(&self.shared, &self.shared.first_leg())
    }

    /// A token with these claims, signed by the tenant.
    pub fn mint(&self, claims: &Claims) -> String {
        let token = self.shared.mint.token(claims);
        self.shared.ledger().secrets.push(token.clone());
        token
    }

    /// A good access token.
    pub fn access_token(&self) -> String {
        self.mint(&self.claims())
    }

    /// Lets the user send as another address.
    pub fn grant_send_as(&self, address: &str) {
        self.shared
            .ledger()
            .send_as
            .insert(address.to_ascii_lowercase());
    }

    /// Creates a recipient in the tenant's own domain.
    pub fn add_recipient(&self, address: &str) {
        self.shared
            .ledger()
            .recipients
            .insert(address.to_ascii_lowercase());
    }

    /// Turns SMTP AUTH off or on.
    pub fn mailbox_switch(&self, switch: SmtpAuth) {
        self.shared.ledger().switch = switch;
    }

    /// Makes something go wrong from now on.
    pub fn fault(&self, fault: impl Into<Plan>) {
        let plan = fault.into();
        if plan.is(&Fault::TokenEndpointDown) {
            self.endpoint.close();
        } else if plan.is(&Fault::SubmissionDown) {
            self.submission.close();
        } else {
            self.shared.ledger().faults.add(plan);
        }
    }

    /// Ends all faults.
    pub fn recover(&self) {
        self.shared.ledger().faults.clear();
        self.endpoint.open();
        self.submission.open();
    }

    /// The messages that were accepted.
    pub fn received(&self) -> Vec<Delivered> {
        self.shared.ledger().received.clone()
    }

    /// What was said on each submission connection.
    pub fn connections(&self) -> Vec<Connection> {
        let ledger = self.shared.settle(SETTLE);
        ledger
            .connections
            .iter()
            .map(|log| log.lock().unwrap().clone())
            .collect()
    }

    /// The requests to the token endpoint and its neighbours.
    pub fn token_requests(&self) -> Vec<TokenRequest> {
        self.shared.ledger().token_requests.clone()
    }

    /// From now on any number of messages may come in a minute, as if hours went by.
    pub fn allow_any_rate(&self) {
        self.shared.ledger().any_rate = true;
    }

    /// Forgets what was received, said and requested; faults and grants stay.
    pub fn forget(&self) {
        let mut ledger = self.shared.settle(SETTLE);
        ledger.received.clear();
        ledger.connections.clear();
        ledger.token_requests.clear();
        ledger.metadata_requests.clear();
    }

    /// All that was said, for people; secrets are cut out.
    pub fn dialogue(&self) -> String {
        let mut text = String::new();
        for request in self.token_requests() {
            let kind = request.form.get("grant_type").map_or("", String::as_str);
            let (method, path) = (&request.method, &request.path);
            text += &format!("    {method} {path} {kind} -> {}\n", request.status);
        }
        for connection in self.connections() {
            text += &format!("\n{connection}");
        }
        text
    }

    /// How many times a fault has struck on the submission server; unlike what was said there, which is
    /// whole when a connection has ended, this is told at once.
    pub fn faults_met(&self) -> usize {
        let connections = self.shared.ledger().connections.clone();
        let texts = connections
            .iter()
            .map(|log| log.lock().unwrap().to_string());
        texts.map(|text| text.matches("fault: ").count()).sum()
    }

    /// The first secret that stands in a text, whole or in large part: tokens, codes, verifiers,
    /// assertions, AUTH responses, the client secret, private keys, what machines show to get a
    /// token. For tests that nothing leaks into logs, queue files and error texts.
    pub fn leak_in(&self, text: &[u8]) -> Option<String> {
        let mut secrets = [ACCESS_TOKEN_CANARY, REFRESH_TOKEN_CANARY, "CANARY-SECRET"]
            .map(str::to_owned)
            .to_vec();
        secrets.extend(self.shared.ledger().secrets.iter().cloned());
        leaks::first(&secrets, text)
    }
}

impl Drop for Tenant {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
    }
}
