//! What kind of tenant it is.

use super::certificates::TlsVersions;
use super::device::SignIn;
use super::federation::Federation;
use super::metadata::UserAssigned;
use super::scope::Cloud;
use super::{clock, keys};

/// Everything that differs between customers. Change what a test is about:
/// `Setup { confidential: true, ..Setup::default() }`.
#[derive(Clone, Debug)]
pub struct Setup {
    pub mailbox: String,
    /// Who signs in; differs from the mailbox when a delegate sends for a shared mailbox.
    pub user: String,
    /// Who really signs in with a device or a browser, when it is not `user`: an administrator
    /// whose session the browser held.
    pub signed_in_as: Option<String>,
    /// Other addresses of the mailbox.
    pub aliases: Vec<String>,
    /// Recipients in the tenant's own domain.
    pub recipients: Vec<String>,
    pub cloud: Cloud,
    pub tenant_id: String,
    pub client_id: String,
    pub client_secret: String,
    /// For personal accounts, at `consumers`; access tokens are opaque there.
    pub personal: bool,
    /// The secret came to its end.
    pub secret_expired: bool,
    /// The application has to show its secret with every grant, not with client credentials only.
    pub confidential: bool,
    /// "Allow public client flows": a confidential application may also do without its secret. A
    /// refresh token is then good in the way that it was obtained.
    pub public_flows: bool,
    /// Certificates of the application, in PEM.
    pub certificate: String,
    /// Which `alg` of an assertion are taken.
    pub assertion_algorithms: Vec<&'static str>,
    pub thumbprint: Thumbprint,
    /// The other issuer whose tokens stand for the application.
    pub federation: Option<Federation>,
    pub app_permission: AppPermission,
    /// Exchange was told of the application by New-ServicePrincipal, with the right object id.
    pub service_principal: bool,
    /// Exchange was told that the application may open the mailbox.
    pub mailbox_permission: bool,
    /// The machine has an identity of its own.
    pub system_assigned: bool,
    /// Other identities that the machine was given.
    pub user_assigned: Vec<UserAssigned>,
    /// Object id of the enterprise application.
    pub object_id: String,
    /// A refresh token works once. Microsoft's go on working; other providers' do not.
    pub old_refresh_tokens_die: bool,
    /// Seconds; none draws it between 60 and 90 minutes as Microsoft does.
    pub token_lifetime: Option<i64>,
    /// Makes access tokens longer, by about four letters for three.
    pub token_padding: usize,
    /// What the person at the other device does.
    pub sign_in: SignIn,
    /// Seconds between polls, as told to the client and kept by the tenant.
    pub device_interval: u32,
    pub interval_form: IntervalForm,
    /// The person agrees without seeing the authorize page, as with a session in the browser.
    pub agrees_at_once: bool,
    /// Accounts of the tenant beside the mailbox and its user.
    pub people: Vec<String>,
    /// What is registered for "Mobile and desktop applications". `http://127.0.0.1` has to stand
    /// here to be taken, as in a manifest.
    pub redirect_uris: Vec<String>,
    /// Seconds that an authorization code lives.
    pub code_lifetime: u32,
    /// Seconds that a device code lives.
    pub device_lifetime: u32,
    /// Where the person enters the code; another page for personal accounts.
    pub verification_uri: String,
    pub tls: TlsVersions,
    /// `MAIL FROM:<>` is taken.
    pub null_sender: bool,
    pub size_max: u64,
    pub recipients_max: usize,
    /// Sessions of the mailbox at the same time.
    pub connections_max: usize,
    /// Messages of the mailbox in a minute; none does not count.
    pub per_minute: Option<usize>,
    /// Octets of the longest command line, which is AUTH with an initial response.
    pub auth_line_max: usize,
}

/// How the device endpoint writes `interval`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntervalForm {
    Number,
    /// `"5"`, as some providers do.
    Text,
    /// Left out, which means five seconds.
    Missing,
}

/// By what an assertion has to name its certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thumbprint {
    /// `x5t#S256`.
    Sha256,
    /// `x5t`, as older applications do.
    Sha1,
    Either,
}

/// How the application may submit without a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppPermission {
    /// `SMTP.SendAsApp` with admin consent; stands in `roles`.
    SendAsApp,
    /// Nothing: there is a token all the same, without `roles`.
    Nothing,
    /// A role in Exchange, of which the token tells nothing.
    Rbac,
}

impl Default for Setup {
    fn default() -> Setup {
        Setup {
            mailbox: "alerts@contoso.test".to_owned(),
            user: "alerts@contoso.test".to_owned(),
            signed_in_as: None,
            aliases: vec!["noreply@contoso.test".to_owned()],
            recipients: vec![
                "ops@contoso.test".to_owned(),
                "postmaster@contoso.test".to_owned(),
            ],
            cloud: Cloud::Global,
            tenant_id: clock::guid(),
            client_id: clock::guid(),
            client_secret: format!("CANARY-SECRET~{}.+/=", clock::text(24)),
            personal: false,
            secret_expired: false,
            confidential: false,
            public_flows: false,
            certificate: keys::CERTIFICATE.to_owned(),
            assertion_algorithms: vec!["PS256", "RS256"],
            thumbprint: Thumbprint::Sha256,
            federation: Some(Federation::default()),
            app_permission: AppPermission::SendAsApp,
            service_principal: true,
            mailbox_permission: true,
            system_assigned: true,
            user_assigned: Vec::new(),
            object_id: clock::guid(),
            old_refresh_tokens_die: false,
            token_lifetime: None,
            token_padding: 0,
            sign_in: SignIn::After(1),
            device_interval: 1,
            interval_form: IntervalForm::Number,
            agrees_at_once: false,
            people: vec!["admin@contoso.test".to_owned()],
            redirect_uris: vec![
                "http://localhost".to_owned(),
                "https://login.microsoftonline.com/common/oauth2/nativeclient".to_owned(),
            ],
            code_lifetime: 600,
            device_lifetime: 900,
            verification_uri: "https://microsoft.com/devicelogin".to_owned(),
            tls: TlsVersions::Both,
            null_sender: false,
            size_max: 157_286_400,
            recipients_max: 500,
            connections_max: 3,
            per_minute: None,
            auth_line_max: 16_384,
        }
    }
}

impl Setup {
    /// Who signs in with a device or a browser.
    pub fn signer(&self) -> &str {
        self.signed_in_as.as_deref().unwrap_or(&self.user)
    }

    /// The tenant's verified domain.
    pub fn domain(&self) -> &str {
        self.mailbox
            .rsplit_once('@')
            .map_or("contoso.test", |(_, domain)| domain)
    }
}
