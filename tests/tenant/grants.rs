//! The token endpoint's judgement of a request: a token, or the number of an error.

use super::aadsts::Refusal;
use super::device::Wait;
use super::scope;
use super::state::{Shared, SignedIn};
use super::tokens::{Claims, GRAPH};
use super::{Answer, authorize, clock, device};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Instant;

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
    fn value(&self, name: &str) -> Option<&str> {
        self.form
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    fn needs(&self, name: &str) -> Result<&str, u32> {
        self.value(name).ok_or(900_144)
    }

    /// Id and secret from HTTP Basic (RFC 6749 section 2.3.1), where they may stand too.
    fn credentials(&self) -> (Option<String>, Option<String>) {
        let basic = self
            .basic
            .and_then(|value| value.strip_prefix("Basic "))
            .and_then(|value| STANDARD.decode(value).ok())
            .and_then(|octets| String::from_utf8(octets).ok());
        match basic.as_deref().and_then(|text| text.split_once(':')) {
            Some((client, secret)) => (Some(client.to_owned()), Some(secret.to_owned())),
            None => (
                self.value("client_id").map(str::to_owned),
                self.value("client_secret").map(str::to_owned),
            ),
        }
    }
}

/// The answer to a token request; `twist` is a fault that spoils an otherwise good answer.
pub fn token(shared: &Shared, ask: &Ask, twist: Option<&Answer>) -> Result<Value, Wait> {
    segment(shared, ask.tenant)?;
    let kind = ask.needs("grant_type")?;
    if !ask.v1 && ask.form.contains_key("resource") {
        return Err(901_002.into());
    }
    client(shared, ask, kind)?;
    let signed_in = match kind {
        "refresh_token" => refreshed(shared, ask)?,
        "client_credentials" => return Ok(application(shared, ask)?.answer(shared, ask, twist)),
        "urn:ietf:params:oauth:grant-type:device_code" if !ask.v1 => {
            device::poll(shared, ask.needs("device_code")?, ask.at)?
        }
        "device_code" if ask.v1 => device::poll(shared, ask.needs("code")?, ask.at)?,
        "authorization_code" => authorize::redeem(shared, ask.form)?,
        _ => return Err(70_003.into()),
    };
    let claims = delegated(shared, &signed_in);
    Ok(Issue { claims, signed_in }.answer(shared, ask, twist))
}

/// The first segment of the path names this tenant, or any.
pub fn segment(shared: &Shared, tenant: &str) -> Result<(), u32> {
    let setup = &shared.setup;
    match tenant {
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
    }
}

/// Who asks, and whether it may and must show a secret.
fn client(shared: &Shared, ask: &Ask, kind: &str) -> Result<(), u32> {
    let setup = &shared.setup;
    let (client, secret) = ask.credentials();
    if client.ok_or(900_144_u32)? != setup.client_id {
        return Err(700_016);
    }
    let confidential = setup.confidential || kind == "client_credentials";
    match secret {
        None if confidential => Err(7_000_218),
        Some(_) if !confidential => Err(700_025),
        Some(secret) if secret != setup.client_secret => Err(7_000_215),
        _ => Ok(()),
    }
}

fn refreshed(shared: &Shared, ask: &Ask) -> Result<SignedIn, u32> {
    let token = ask.needs("refresh_token")?;
    let mut ledger = shared.ledger();
    let known = ledger.refresh_tokens.get_mut(token).ok_or(70_000_u32)?;
    if known.revoked {
        return Err(50_173);
    }
    let grant = match (ask.v1, ask.value("scope")) {
        (true, _) if ask.value("resource").is_some() => scope::grant_v1(ask.value("resource"))?,
        (false, Some(scope)) => scope::grant(scope)?,
        _ => known.of.grant.clone(),
    };
    known.revoked = shared.setup.old_refresh_tokens_die && grant.offline;
    Ok(SignedIn {
        grant,
        ..known.of.clone()
    })
}

/// A token of the application itself, without a user and without a refresh token.
fn application(shared: &Shared, ask: &Ask) -> Result<Issue, u32> {
    if ask.tenant == "organizations" {
        return Err(9_001_023);
    }
    let mut grant = match ask.value("scope") {
        _ if ask.v1 => scope::grant_v1(Some(ask.needs("resource")?))?,
        Some(wanted) if wanted.ends_with("/.default") => scope::grant(wanted)?,
        _ => return Err(1_002_012),
    };
    grant.offline = false;
    let signed_in = SignedIn {
        grant,
        ..shared.first_leg()
    };
    let mut claims = delegated(shared, &signed_in);
    claims.user = None;
    claims.scopes.clear();
    if claims.audience != GRAPH {
        claims.roles.push("SMTP.SendAsApp".to_owned());
    }
    Ok(Issue { claims, signed_in })
}

/// A token about to be issued.
struct Issue {
    claims: Claims,
    signed_in: SignedIn,
}

impl Issue {
    fn answer(mut self, shared: &Shared, ask: &Ask, twist: Option<&Answer>) -> Value {
        if let Some(twist) = twist {
            spoil(&mut self.claims, twist);
        }
        let token = shared.mint.token(&self.claims);
        let grant = &self.signed_in.grant;
        let mut ledger = shared.ledger();
        ledger.secrets.push(token.clone());
        let lifetime = self.claims.expires - clock::seconds();
        let mut answer = json!({ "token_type": "Bearer", "access_token": token });
        if ask.v1 {
            answer["scope"] = json!(grant.permissions.join(" "));
            answer["resource"] = json!(grant.audience);
            answer["expires_in"] = json!(lifetime.to_string());
            answer["ext_expires_in"] = json!(lifetime.to_string());
            answer["expires_on"] = json!(self.claims.expires.to_string());
            answer["not_before"] = json!(self.claims.not_before.to_string());
        } else {
            answer["scope"] = json!(grant.scope());
            answer["expires_in"] = json!(lifetime);
            answer["ext_expires_in"] = json!(lifetime);
        }
        if grant.offline {
            answer["refresh_token"] = json!(ledger.issue_refresh_token(self.signed_in.clone()));
        }
        if let Some(twist) = twist {
            disfigure(&mut answer, twist);
        }
        answer
    }
}

/// Faults that sit in the token.
fn spoil(claims: &mut Claims, twist: &Answer) {
    match twist {
        Answer::WrongUser => claims.user = Some("admin@contoso.test".to_owned()),
        Answer::WrongTenant => claims.tenant = clock::guid(),
        Answer::GraphAudience => GRAPH.clone_into(&mut claims.audience),
        Answer::NoPermission => claims.scopes = vec!["User.Read".to_owned()],
        Answer::ExpiredToken => {
            claims.not_before -= 7_200;
            claims.expires = clock::seconds() - 3_600;
        }
        _ => {}
    }
}

/// Faults that sit in the answer around the token.
fn disfigure(answer: &mut Value, twist: &Answer) {
    let members = answer.as_object_mut().unwrap();
    let mut set = |name: &str, value: Value| members.insert(name.to_owned(), value);
    match twist {
        Answer::NoAccessToken => drop(members.remove("access_token")),
        Answer::NoRefreshToken => drop(members.remove("refresh_token")),
        Answer::NullRefreshToken => drop(set("refresh_token", Value::Null)),
        Answer::EmptyRefreshToken => drop(set("refresh_token", json!(""))),
        Answer::ExpiresIn("") => drop(members.remove("expires_in")),
        Answer::ExpiresIn(text) => drop(set("expires_in", serde_json::from_str(text).unwrap())),
        Answer::ExpiredToken => drop(set("expires_in", json!(3_599))),
        Answer::NotBeforeAhead => {
            set("not_before", json!((clock::seconds() + 3_600).to_string()));
        }
        Answer::TokenType(text) => drop(set("token_type", json!(text))),
        Answer::TokenWith(letter) => {
            let token = members["access_token"].as_str().unwrap().to_owned();
            let (left, right) = token.split_at(token.len() / 2);
            members.insert(
                "access_token".to_owned(),
                json!(format!("{left}{letter}{right}")),
            );
        }
        _ => {}
    }
}
