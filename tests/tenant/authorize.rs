//! Sign-in with a browser: the authorize endpoint, whose person agrees at once, and its codes.

use super::clock;
use super::http::{self, Response};
use super::scope::{self, Grant};
use super::state::{Shared, SignedIn};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest;
use std::collections::BTreeMap;

/// An authorization code that was not redeemed yet.
pub struct Code {
    challenge: String,
    redirect_uri: String,
    grant: Grant,
}

/// Sends the browser back to the program, with a code; or says why not, on a page.
pub fn page(shared: &Shared, query: &str) -> Response {
    let form = http::form(query).unwrap_or_default();
    let text = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    let uri = text("redirect_uri");
    let loopback = ["http://localhost", "http://127.0.0.1"].iter().any(|host| {
        uri.strip_prefix(host)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/']))
    });
    let native = uri == "https://login.microsoftonline.com/common/oauth2/nativeclient";
    if text("client_id") != shared.setup.client_id {
        return Response::html(
            400,
            "AADSTS700016: Application was not found in the directory",
        );
    }
    if !loopback && !native {
        return Response::html(400, "AADSTS50011: The redirect URI does not match");
    }
    if text("response_type") != "code" || text("code_challenge_method") != "S256" {
        return Response::html(400, "AADSTS9002313: Invalid request");
    }
    let answer = match scope::grant(text("scope")) {
        Ok(grant) => {
            let code = format!("1.CANARY-CODE-{}", clock::text(600));
            let (challenge, redirect_uri) = (text("code_challenge").to_owned(), uri.to_owned());
            let mut ledger = shared.ledger();
            ledger.secrets.push(code.clone());
            ledger.codes.insert(
                code.clone(),
                Code {
                    challenge,
                    redirect_uri,
                    grant,
                },
            );
            format!("code={code}")
        }
        Err(code) => format!("error=invalid_scope&error_description=AADSTS{code}"),
    };
    let sign = if uri.contains('?') { '&' } else { '?' };
    let back = format!(
        "{uri}{sign}{answer}&state={}&session_state=1",
        text("state")
    );
    Response::html(302, "Object moved").with("Location", back)
}

/// What a code was granted for; it works once.
pub fn redeem(shared: &Shared, form: &BTreeMap<String, String>) -> Result<SignedIn, u32> {
    let text = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    let code = shared
        .ledger()
        .codes
        .remove(text("code"))
        .ok_or(54_005_u32)?;
    let hash = digest::digest(&digest::SHA256, text("code_verifier").as_bytes());
    if URL_SAFE_NO_PAD.encode(hash) != code.challenge {
        return Err(501_481);
    }
    if text("redirect_uri") != code.redirect_uri {
        return Err(50_011);
    }
    Ok(SignedIn {
        grant: code.grant,
        user: shared.setup.signer().to_owned(),
        with_secret: false,
    })
}
