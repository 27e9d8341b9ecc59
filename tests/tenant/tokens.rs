//! Access tokens as Microsoft makes them, and how Exchange looks at them.

use super::clock;
use super::setup::{AppPermission, Setup};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde_json::{Map, Value, json};

/// Resource that may send.
pub const OUTLOOK: &str = "https://outlook.office.com";
/// Resource that must not be accepted for SMTP.
pub const GRAPH: &str = "https://graph.microsoft.com";
const EXCHANGE_APP: &str = "00000002-0000-0ff1-ce00-000000000000";

/// Every access token ends in this text, so that a leak can be found with grep.
pub const ACCESS_TOKEN_CANARY: &str = "CANARY-AT-DO-NOT-PRINT-0";
/// Every refresh token starts with this text.
pub const REFRESH_TOKEN_CANARY: &str = "0.CANARY-RT-";

const SKEW_SECONDS: i64 = 300;
const MAC_OCTETS: usize = 32;
/// Makes the canary start at a border of four letters.
const MAC_PADDING: usize = 1;
/// Real tokens have 1.5 to 2.5 KB.
const FILLER: usize = 700;

/// What a token says. Change what a test is about and have it signed by
/// [`Tenant::mint`](super::Tenant::mint).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    pub audience: String,
    /// Delegated permissions, as `SMTP.Send`; empty in a token of an application.
    pub scopes: Vec<String>,
    /// Application permissions, as `SMTP.SendAsApp`.
    pub roles: Vec<String>,
    /// The signed-in user; none in a token of an application.
    pub user: Option<String>,
    pub tenant: String,
    pub client: String,
    /// Seconds since 1970.
    pub not_before: i64,
    /// Seconds since 1970.
    pub expires: i64,
    /// Makes the token longer by about four letters for three.
    pub padding: usize,
    /// `oid`: the user, or the service principal of the application.
    pub object_id: String,
    /// `appidacr`: `0` for a public client, `1` for a secret, `2` for a certificate.
    pub proof: &'static str,
}

/// Whose token it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    User,
    Application,
}

impl Claims {
    fn payload(&self) -> Value {
        let mut claims = json!({
            "aud": self.audience,
            "iss": format!("https://sts.windows.net/{}/", self.tenant),
            "iat": self.not_before,
            "nbf": self.not_before,
            "exp": self.expires,
            "aio": clock::text(FILLER + self.padding),
            "appid": self.client,
            "appidacr": self.proof,
            "ipaddr": "192.0.2.25",
            "oid": self.object_id,
            "puid": "10032002CANARYAT",
            "rh": clock::text(60),
            "sid": clock::guid(),
            "sub": clock::text(43),
            "tid": self.tenant,
            "uti": clock::text(22),
            "ver": "1.0",
            "wids": ["b79fbf4d-3ef9-4689-8143-76b194e85509"],
        });
        let more = claims.as_object_mut().unwrap();
        let mut add = |name: &str, value: Value| more.insert(name.to_owned(), value);
        if !self.scopes.is_empty() {
            add("scp", json!(self.scopes.join(" ")));
        }
        if !self.roles.is_empty() {
            add("roles", json!(self.roles));
        }
        match &self.user {
            Some(user) => {
                add("idtyp", json!("user"));
                add("name", json!("Contoso Alerts"));
                add("unique_name", json!(user));
                add("upn", json!(user));
            }
            None => {
                add("idtyp", json!("app"));
            }
        }
        claims
    }
}

/// Signs tokens with a key made at start, and knows its own.
pub struct Mint(hmac::Key);

impl Mint {
    /// A mint with a new key.
    pub fn new() -> Mint {
        Mint(hmac::Key::new(
            hmac::HMAC_SHA256,
            &clock::random(MAC_OCTETS),
        ))
    }

    /// A signed token.
    pub fn token(&self, claims: &Claims) -> String {
        let header = json!({"typ": "JWT", "alg": "RS256", "x5t": clock::text(27), "kid": "1"});
        let signed = format!("{}.{}", encode(&header), encode(&claims.payload()));
        let mut signature = hmac::sign(&self.0, signed.as_bytes()).as_ref().to_vec();
        signature.extend([0; MAC_PADDING]);
        signature.extend(URL_SAFE_NO_PAD.decode(ACCESS_TOKEN_CANARY).unwrap());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// Whose the token is, if it may submit as `user`; or what is wrong with it, which Exchange
    /// never tells.
    pub fn admits(&self, token: &str, user: &str, setup: &Setup) -> Result<Holder, String> {
        let claims = self.verified(token)?;
        let text = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default();
        let time = |name: &str| claims.get(name).and_then(Value::as_i64).unwrap_or_default();
        let now = clock::seconds();
        if time("exp") <= now {
            return Err(format!("token ended {} s ago", now - time("exp")));
        }
        if time("nbf") > now + SKEW_SECONDS {
            return Err("token is not valid yet".to_owned());
        }
        let audience = text("aud").trim_end_matches('/');
        if audience != EXCHANGE_APP && !setup.cloud.outlook().contains(&audience) {
            return Err(format!("audience of the token is {audience}"));
        }
        if text("tid") != setup.tenant_id {
            return Err(format!("tenant of the token is {}", text("tid")));
        }
        let roles = claims
            .get("roles")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        if text("idtyp") == "app" {
            let granted = roles.contains(&json!("SMTP.SendAsApp"))
                || setup.app_permission == AppPermission::Rbac;
            return match (granted, setup.service_principal) {
                (true, true) => Ok(Holder::Application),
                (false, _) => Err("token does not hold SMTP.SendAsApp".to_owned()),
                (_, false) => Err("Exchange knows no service principal of the client".to_owned()),
            };
        }
        if !text("scp").split(' ').any(|scope| scope == "SMTP.Send") {
            return Err("token does not hold SMTP.Send".to_owned());
        }
        if !text("upn").eq_ignore_ascii_case(user) {
            return Err(format!(
                "user= is {user}, the token's user is {}",
                text("upn")
            ));
        }
        Ok(Holder::User)
    }

    fn verified(&self, token: &str) -> Result<Map<String, Value>, String> {
        let foreign = || "token is not one of this tenant, or cut".to_owned();
        let (signed, signature) = token.rsplit_once('.').ok_or_else(foreign)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| foreign())?;
        let mac = signature.get(..MAC_OCTETS).ok_or_else(foreign)?;
        hmac::verify(&self.0, signed.as_bytes(), mac).map_err(|_| foreign())?;
        let canary = URL_SAFE_NO_PAD.encode(&signature[MAC_OCTETS + MAC_PADDING..]);
        if canary != ACCESS_TOKEN_CANARY {
            return Err(foreign());
        }
        let (_, payload) = signed.split_once('.').ok_or_else(foreign)?;
        let payload = URL_SAFE_NO_PAD.decode(payload).map_err(|_| foreign())?;
        serde_json::from_slice(&payload).map_err(|_| foreign())
    }
}

/// A new access token of a personal account, of which nobody can tell anything.
pub fn opaque() -> String {
    format!("EwB{}{ACCESS_TOKEN_CANARY}", clock::text(1_100))
}

/// A new refresh token; opaque, as Microsoft's are.
pub fn refresh_token() -> String {
    format!("{REFRESH_TOKEN_CANARY}{}", clock::text(1_100))
}

fn encode(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}
