//! Tokens of another issuer that stand for the application: workload identity, as in Kubernetes.

use super::Tenant;
use super::aadsts::Refusal;
use super::assertion::Jwt;
use super::clock;
use super::keys::KEY_ISSUER;
use super::state::Shared;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};

/// A federated credential, as it is registered and as a token presents it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Federation {
    pub issuer: String,
    pub subject: String,
    pub audience: String,
    /// Seconds that a token lives; below zero it has ended already.
    pub lifetime: i64,
}

impl Default for Federation {
    fn default() -> Federation {
        Federation {
            issuer: "https://cluster.contoso.test".to_owned(),
            subject: "system:serviceaccount:mail:sendmail365".to_owned(),
            audience: "api://AzureADTokenExchange".to_owned(),
            lifetime: 3_600,
        }
    }
}

fn issuer_key() -> RsaKeyPair {
    let key = PrivateKeyDer::from_pem_slice(KEY_ISSUER.as_bytes()).unwrap();
    RsaKeyPair::from_pkcs8(key.secret_der()).unwrap()
}

/// Holds a token of another issuer against what is registered.
pub fn verify(shared: &Shared, jwt: &Jwt) -> Result<(), Refusal> {
    let Some(registered) = &shared.setup.federation else {
        return Err(70_021.into());
    };
    let issuer = Jwt::text(&jwt.claims, "iss");
    if issuer != registered.issuer {
        return Err(Refusal::detailed(700_211, issuer));
    }
    let algorithm = Jwt::text(&jwt.header, "alg");
    if algorithm != "RS256" || !jwt.is_signed_by(issuer_key().public_key().as_ref(), algorithm) {
        return Err(Refusal::detailed(50_013, "signature of the issuer"));
    }
    jwt.is_timely(&["nbf"])?;
    let audiences = match jwt.claims.get("aud") {
        Some(Value::Array(all)) => all.clone(),
        Some(one) => vec![one.clone()],
        None => Vec::new(),
    };
    if !audiences.contains(&json!(registered.audience)) {
        return Err(Refusal::detailed(700_212, json!(audiences).to_string()));
    }
    let subject = Jwt::text(&jwt.claims, "sub");
    if subject != registered.subject {
        return Err(Refusal::detailed(700_213, subject));
    }
    Ok(())
}

/// The other issuer.
impl Tenant {
    /// A token that the tenant takes in the place of a secret.
    pub fn federated_token(&self) -> String {
        let registered = self.shared.setup.federation.clone();
        self.federated_token_of(&registered.unwrap_or_default())
    }

    /// The same for another workload.
    pub fn federated_token_for(&self, subject: &str) -> String {
        let registered = self.shared.setup.federation.clone();
        self.federated_token_of(&Federation {
            subject: subject.to_owned(),
            ..registered.unwrap_or_default()
        })
    }

    /// A token of any kind, signed by the issuer.
    pub fn federated_token_of(&self, federation: &Federation) -> String {
        let now = clock::seconds();
        let begun = now.min(now + federation.lifetime) - 1;
        let header = json!({"alg": "RS256", "kid": "cluster", "typ": "JWT"});
        let claims = json!({
            "iss": federation.issuer,
            "sub": federation.subject,
            "aud": [federation.audience],
            "iat": begun,
            "nbf": begun,
            "exp": now + federation.lifetime,
            "jti": clock::guid(),
        });
        let [header, claims] =
            [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let signed = format!("{header}.{claims}");
        let key = issuer_key();
        let mut signature = vec![0; key.public().modulus_len()];
        key.sign(
            &RSA_PKCS1_SHA256,
            &SystemRandom::new(),
            signed.as_bytes(),
            &mut signature,
        )
        .unwrap();
        let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature));
        self.shared.ledger().secrets.push(token.clone());
        token
    }
}
