//! The token endpoint's judgement of a request: a token, or the number of an error.

use super::aadsts::Refusal;
use super::client::{self, APPLICATION};
use super::device::Wait;
use super::issue::Issue;
use super::setup::AppPermission;
use super::state::{Shared, SignedIn};
use super::tokens::Claims;
use super::{Answer, authorize, clock, device};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Instant;

/// The tenant of all personal accounts.
const PERSONAL: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";

/// A token request, taken apart.
pub struct Ask<'a> {
    pub form: &'a BTreeMap<String, String>,
    /// The first segment of the path.
    pub tenant: &'a str,
    pub v1: bool,
    /// `Authorization`, if it came.
    pub basic: Option<&'a str>,
    /// When it was read.
    pub at: Instant,
    /// The address that it was sent to, without the query.
    pub url: &'a str,
}

impl From<Refusal> for Wait {
    fn from(refusal: Refusal) -> Wait {
        Wait::Refused(refusal)
    }
}

impl From<u32> for Wait {
    fn from(code: u32) -> Wait {
        Wait::Refused(code.into())
    }
}

impl Ask<'_> {
    /// A parameter that is there and not empty.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.form
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    fn needs(&self, name: &str) -> Result<&str, u32> {
        self.value(name).ok_or(900_144)
    }
}

/// With what the application proved itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    None,
    Secret,
    Certificate,
    Federated,
}

/// The answer to a token request; `twist` is a fault that spoils an otherwise good answer.
pub fn token(shared: &Shared, ask: &Ask, twist: Option<&Answer>) -> Result<Value, Wait> {
    let kind = ask.needs("grant_type")?;
    let any = ["common", "organizations", "consumers"];
    if kind == APPLICATION && any.contains(&ask.tenant) {
        return Err(9_001_023.into());
    }
    segment(shared, ask.tenant)?;
    if !ask.v1 && ask.form.contains_key("resource") {
        return Err(901_002.into());
    }
    let credential = client::authenticate(shared, ask, kind)?;
    let with_secret = credential != Credential::None;
    let signed_in = match kind {
        "refresh_token" => refreshed(shared, ask, with_secret)?,
        APPLICATION => {
            let issue = application(shared, ask, credential)?;
            return Ok(issue.answer(shared, ask, twist));
        }
        "urn:ietf:params:oauth:grant-type:device_code" if !ask.v1 => {
            device::poll(shared, ask.needs("device_code")?, ask.at)?
        }
        "device_code" if ask.v1 => device::poll(shared, ask.needs("code")?, ask.at)?,
        "authorization_code" => authorize::redeem(shared, ask)?,
        _ => return Err(70_003.into()),
    };
    let signed_in = SignedIn {
        with_secret,
        ..signed_in
    };
    let claims = delegated(shared, &signed_in);
    Ok(Issue { claims, signed_in }.answer(shared, ask, twist))
}

/// The first segment of the path names this tenant, or any.
pub fn segment(shared: &Shared, tenant: &str) -> Result<(), u32> {
    let setup = &shared.setup;
    match tenant {
        "consumers" | PERSONAL if setup.personal => Ok(()),
        "organizations" if setup.personal => Err(500_208),
        "organizations" => Ok(()),
        "common" => Err(50_194),
        "consumers" => Err(9_002_332),
        _ if tenant.eq_ignore_ascii_case(&setup.tenant_id) => Ok(()),
        _ if tenant.eq_ignore_ascii_case(setup.domain()) => Ok(()),
        _ => Err(90_002),
    }
}

/// The claims of a token for the signed-in user.
pub fn delegated(shared: &Shared, signed_in: &SignedIn) -> Claims {
    let now = clock::seconds();
    let setup = &shared.setup;
    // Microsoft draws the lifetime between 60 and 90 minutes.
    let lifetime = setup
        .token_lifetime
        .unwrap_or_else(|| 3_600 + clock::number(1_800));
    Claims {
        audience: signed_in.grant.audience.clone(),
        scopes: signed_in.grant.permissions.clone(),
        roles: Vec::new(),
        user: Some(signed_in.user.clone()),
        tenant: setup.tenant_id.clone(),
        client: setup.client_id.clone(),
        not_before: now,
        expires: now + lifetime,
        padding: setup.token_padding,
        object_id: "5b1e1c51-7f2b-4a0e-a8f6-0d7c6f5f4d11".to_owned(),
        proof: if signed_in.with_secret { "1" } else { "0" },
    }
}

fn refreshed(shared: &Shared, ask: &Ask, with_secret: bool) -> Result<SignedIn, u32> {
    let token = ask.needs("refresh_token")?;
    let mut ledger = shared.ledger();
    let known = ledger.refresh_tokens.get_mut(token).ok_or(70_000_u32)?;
    if known.revoked {
        return Err(50_173);
    }
    match (known.of.with_secret, with_secret) {
        (true, false) => return Err(7_000_218),
        (false, true) => return Err(700_025),
        _ => {}
    }
    let grant = match (ask.v1, ask.value("scope")) {
        (true, _) if ask.value("resource").is_some() => {
            shared.setup.cloud.grant_v1(ask.value("resource"))?
        }
        (false, Some(scope)) => shared.setup.cloud.grant(scope)?,
        _ => known.of.grant.clone(),
    };
    known.revoked = shared.setup.old_refresh_tokens_die && grant.offline;
    Ok(SignedIn {
        grant,
        ..known.of.clone()
    })
}

/// A token of the application itself, without a user and without a refresh token.
fn application(shared: &Shared, ask: &Ask, credential: Credential) -> Result<Issue, u32> {
    let mut grant = match ask.value("scope") {
        _ if ask.v1 => shared.setup.cloud.grant_v1(Some(ask.needs("resource")?))?,
        Some(wanted) if wanted.ends_with("/.default") && !wanted.contains(' ') => {
            shared.setup.cloud.grant(wanted)?
        }
        _ => return Err(1_002_012),
    };
    grant.offline = false;
    let signed_in = SignedIn {
        grant,
        ..shared.first_leg()
    };
    let mut claims = delegated(shared, &signed_in);
    become_application(shared, &mut claims);
    claims.proof = match credential {
        Credential::Secret => "1",
        _ => "2",
    };
    Ok(Issue { claims, signed_in })
}

/// Takes the user out, and puts in what the application itself may do.
pub fn become_application(shared: &Shared, claims: &mut Claims) {
    claims.user = None;
    claims.scopes.clear();
    claims.object_id.clone_from(&shared.setup.object_id);
    if claims.audience != shared.setup.cloud.graph()
        && shared.setup.app_permission == AppPermission::SendAsApp
    {
        claims.roles.push("SMTP.SendAsApp".to_owned());
    }
}
