//! Client assertions: a JWT signed with the application's certificate, or by another issuer that
//! the application trusts.
//!
//! Stricter than Microsoft in two places, so that a client that is careless there is seen: an
//! assertion of our own lives 15 minutes at most, and its `jti` works once.

use super::aadsts::Refusal;
use super::clock;
use super::federation;
use super::grants::{Ask, Credential};
use super::registered::Registered;
use super::setup::Thumbprint;
use super::state::Shared;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{
    RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, RsaParameters, UnparsedPublicKey,
};
use serde_json::{Map, Value};

/// The only value of `client_assertion_type`.
const KIND: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const SKEW_SECONDS: i64 = 300;
const LIFETIME_MAX: i64 = 900;

/// A JWT, taken apart and not verified yet.
pub struct Jwt<'a> {
    pub header: Map<String, Value>,
    pub claims: Map<String, Value>,
    signed: &'a str,
    signature: Vec<u8>,
}

impl Jwt<'_> {
    /// Reads the compact form (RFC 7515 section 3.1), base64url without padding.
    pub fn read(text: &str) -> Option<Jwt<'_>> {
        let (signed, signature) = text.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let object = |part: &str| -> Option<Map<String, Value>> {
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
        };
        Some(Jwt {
            header: object(header)?,
            claims: object(claims)?,
            signed,
            signature: URL_SAFE_NO_PAD.decode(signature).ok()?,
        })
    }

    /// A claim or header parameter that is a text; empty when it is none.
    pub fn text<'a>(members: &'a Map<String, Value>, name: &str) -> &'a str {
        members
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// Whether this RSAPublicKey made the signature.
    pub fn is_signed_by(&self, public_key: &[u8], algorithm: &str) -> bool {
        let parameters: &RsaParameters = match algorithm {
            "PS256" => &RSA_PSS_2048_8192_SHA256,
            "RS256" => &RSA_PKCS1_2048_8192_SHA256,
            _ => return false,
        };
        UnparsedPublicKey::new(parameters, public_key)
            .verify(self.signed.as_bytes(), &self.signature)
            .is_ok()
    }

    /// Seconds since 1970 from a claim, which has to be a number.
    pub fn time(&self, name: &str) -> Result<i64, Refusal> {
        let time = self.claims.get(name).and_then(Value::as_i64);
        time.ok_or_else(|| Refusal::detailed(50_027, format!("{name} is missing or no number")))
    }

    /// Refuses what has not begun or has ended, five minutes aside.
    pub fn is_timely(&self, begins: &[&str]) -> Result<(), Refusal> {
        let now = clock::seconds();
        for name in begins {
            let ahead = self.time(name)? - now;
            if ahead > SKEW_SECONDS {
                return Err(Refusal::detailed(
                    700_024,
                    format!("{name} is {ahead} s ahead"),
                ));
            }
        }
        let ended = now - self.time("exp")?;
        if ended > SKEW_SECONDS {
            return Err(Refusal::detailed(700_024, format!("ended {ended} s ago")));
        }
        Ok(())
    }
}

/// Verifies the assertion of a request.
pub fn verify(shared: &Shared, ask: &Ask, text: &str) -> Result<Credential, Refusal> {
    match ask.value("client_assertion_type") {
        Some(KIND) => {}
        Some(_) => return Err(Refusal::detailed(90_023, "client_assertion_type")),
        None => return Err(Refusal::detailed(900_144, "client_assertion_type")),
    }
    let malformed = || Refusal::detailed(50_027, "no JWT in compact form");
    let jwt = Jwt::read(text).ok_or_else(malformed)?;
    if Jwt::text(&jwt.claims, "iss") != shared.setup.client_id {
        federation::verify(shared, &jwt)?;
        return Ok(Credential::Federated);
    }
    own(shared, ask, &jwt)?;
    Ok(Credential::Certificate)
}

/// An assertion that the application signed itself.
fn own(shared: &Shared, ask: &Ask, jwt: &Jwt) -> Result<(), Refusal> {
    let setup = &shared.setup;
    let algorithm = Jwt::text(&jwt.header, "alg");
    if !setup.assertion_algorithms.contains(&algorithm) {
        let detail = format!("alg {algorithm} is not accepted");
        return Err(Refusal::detailed(700_027, detail));
    }
    if Jwt::text(&jwt.header, "typ") != "JWT" {
        return Err(Refusal::detailed(50_027, "typ is not JWT"));
    }
    let (sha256, sha1) = (
        Jwt::text(&jwt.header, "x5t#S256"),
        Jwt::text(&jwt.header, "x5t"),
    );
    let certificates = Registered::all(&setup.certificate);
    let known = certificates.iter().find(|one| match setup.thumbprint {
        Thumbprint::Sha256 => one.is_sha256(sha256),
        Thumbprint::Sha1 => one.is_sha1(sha1),
        Thumbprint::Either => one.is_sha256(sha256) || one.is_sha1(sha1),
    });
    let Some(certificate) = known else {
        return Err(Refusal::detailed(
            700_027,
            "Reason - The key was not found.",
        ));
    };
    if certificate.not_after <= clock::seconds() {
        return Err(Refusal::detailed(7_000_222, "certificate"));
    }
    if !jwt.is_signed_by(&certificate.public_key, algorithm) {
        let detail = "Reason - The signature does not fit the key.";
        return Err(Refusal::detailed(700_027, detail));
    }
    claims(shared, ask, jwt)
}

fn claims(shared: &Shared, ask: &Ask, jwt: &Jwt) -> Result<(), Refusal> {
    let text = |name: &str| Jwt::text(&jwt.claims, name);
    if text("sub") != text("iss") {
        return Err(50_048.into());
    }
    if text("aud") != ask.url {
        let detail = format!("aud is {}, the token endpoint {}", text("aud"), ask.url);
        return Err(Refusal::detailed(50_027, detail));
    }
    jwt.is_timely(&["nbf", "iat"])?;
    let lifetime = jwt.time("exp")? - jwt.time("nbf")?;
    if lifetime > LIFETIME_MAX || lifetime <= 0 {
        return Err(Refusal::detailed(700_024, format!("lives {lifetime} s")));
    }
    let id = text("jti").to_owned();
    if id.is_empty() || !shared.ledger().assertion_ids.insert(id) {
        return Err(Refusal::detailed(
            50_027,
            "jti is missing or was used before",
        ));
    }
    Ok(())
}
