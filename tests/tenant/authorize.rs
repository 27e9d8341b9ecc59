//! Sign-in with a browser: the authorize page, and the codes that it sends back.
//!
//! The page is a form without scripts, with the ids `account`, `accept` and `cancel`; it is sent to
//! where it came from. With `prompt=none`, or in a tenant that `agrees_at_once`, the answer to the
//! first request is the way back already, as if the browser held a session.

use super::aadsts::Refusal;
use super::clock;
use super::faults::Answer;
use super::grants::Ask;
use super::http::{self, Request, Response};
use super::setup::Setup;
use super::state::{Shared, SignedIn};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// RFC 7636 section 4.1.
const VERIFIER_LENGTHS: std::ops::RangeInclusive<usize> = 43..=128;
/// Base64url of SHA-256.
const CHALLENGE_LENGTH: usize = 43;

/// An authorization code.
pub struct Code {
    challenge: String,
    redirect_uri: String,
    signed_in: SignedIn,
    issued: Instant,
    used: bool,
}

/// What the program asks the person for.
struct Wish<'a> {
    query: &'a BTreeMap<String, String>,
    redirect_uri: &'a str,
}

/// The page, the way back to the program, or a page that says why there is none.
pub fn answer(shared: &Shared, request: &Request, twist: Option<&Answer>) -> Response {
    let query = http::form(&request.query).unwrap_or_default();
    let form = request.form().unwrap_or_default();
    let wish = match Wish::read(&shared.setup, &query) {
        Ok(wish) => wish,
        Err(refusal) => return Response::html(400, &refusal.line()),
    };
    let signed_in = match wish.grant(shared) {
        Ok(signed_in) => signed_in,
        Err(refusal) => return wish.back_empty(&refusal),
    };
    let refused = match twist {
        Some(Answer::Aadsts(code)) => Some(Refusal::from(*code)),
        _ => None,
    };
    let setup = &shared.setup;
    let at_once = setup.agrees_at_once || query.get("prompt").is_some_and(|word| word == "none");
    let (account, complaint) = match request.method.as_str() {
        "GET" if at_once => (setup.signer().to_owned(), None),
        "GET" => return wish.page(setup, None),
        "POST" if form.contains_key("cancel") => {
            return wish.back_empty(&Refusal::worded(65_004, "access_denied"));
        }
        "POST" if form.contains_key("accept") => {
            let account = form.get("account").map(|name| name.trim().to_lowercase());
            let account = account.unwrap_or_default();
            let complaint = stranger(setup, &account);
            (account, complaint)
        }
        _ => return Response::html(400, &Refusal::from(900_561).line()),
    };
    match (complaint, refused) {
        (Some(complaint), _) => wish.page(setup, Some(&complaint)),
        (None, Some(refusal)) => wish.back_empty(&refusal),
        (None, None) => {
            let user = account;
            wish.back_with_code(shared, SignedIn { user, ..signed_in })
        }
    }
}

/// Why somebody cannot sign in here.
fn stranger(setup: &Setup, account: &str) -> Option<Refusal> {
    let mut known = [&setup.mailbox, &setup.user]
        .into_iter()
        .chain(&setup.signed_in_as)
        .chain(&setup.people);
    let domain = account.rsplit_once('@').map(|(_, domain)| domain);
    match domain {
        _ if known.any(|name| name.eq_ignore_ascii_case(account)) => None,
        Some(domain) if domain != setup.domain() => Some(50_020.into()),
        _ => Some(50_034.into()),
    }
}

impl Wish<'_> {
    /// An error is for the person: there is nowhere to send the browser back to.
    fn read<'a>(setup: &Setup, query: &'a BTreeMap<String, String>) -> Result<Wish<'a>, Refusal> {
        let text = |name: &str| query.get(name).map(String::as_str).unwrap_or_default();
        if text("client_id").is_empty() {
            return Err(Refusal::detailed(900_144, "client_id"));
        }
        if text("client_id") != setup.client_id {
            return Err(700_016.into());
        }
        let redirect_uri = text("redirect_uri");
        let registered = setup
            .redirect_uris
            .iter()
            .any(|registered| is_registered(registered, redirect_uri));
        if !registered {
            return Err(Refusal::detailed(50_011, escaped(redirect_uri)));
        }
        Ok(Wish {
            query,
            redirect_uri,
        })
    }

    fn text(&self, name: &str) -> &str {
        self.query.get(name).map(String::as_str).unwrap_or_default()
    }

    /// What the person is asked to agree to; an error goes back to the program.
    fn grant(&self, shared: &Shared) -> Result<SignedIn, Refusal> {
        if self.text("response_type") != "code" {
            return Err(70_005.into());
        }
        if !["", "query"].contains(&self.text("response_mode")) {
            return Err(70_007.into());
        }
        let prompts = ["", "login", "none", "consent", "select_account"];
        if !prompts.contains(&self.text("prompt")) {
            return Err(Refusal::detailed(90_023, "prompt"));
        }
        let challenge = self.text("code_challenge");
        if challenge.is_empty() {
            return Err(50_147.into());
        }
        if self.text("code_challenge_method") != "S256" {
            return Err(Refusal::detailed(9_002_313, "code_challenge_method"));
        }
        if challenge.len() != CHALLENGE_LENGTH || !is_unreserved(challenge) {
            return Err(501_491.into());
        }
        if self.text("scope").is_empty() {
            return Err(Refusal::detailed(900_144, "scope"));
        }
        Ok(SignedIn {
            grant: shared.setup.cloud.grant(self.text("scope"))?,
            user: String::new(),
            with_secret: false,
        })
    }

    /// The browser is sent back to the program with these parameters, and the program's state.
    fn back(&self, parameters: &[(&str, &str)]) -> Response {
        let state = self.query.get("state").map(|state| ("state", &**state));
        let session = clock::guid();
        let all = parameters
            .iter()
            .copied()
            .chain(state)
            .chain([("session_state", &*session)]);
        let pairs: Vec<String> = all
            .map(|(name, value)| format!("{name}={}", http::encoded(value)))
            .collect();
        let sign = if self.redirect_uri.contains('?') {
            '&'
        } else {
            '?'
        };
        let location = format!("{}{sign}{}", self.redirect_uri, pairs.join("&"));
        Response::html(302, "Object moved").with("Location", location)
    }

    fn back_empty(&self, refusal: &Refusal) -> Response {
        self.back(&[
            ("error", refusal.error()),
            ("error_description", &refusal.line()),
        ])
    }

    fn back_with_code(&self, shared: &Shared, signed_in: SignedIn) -> Response {
        let code = format!("1.CANARY-CODE-{}", clock::text(600));
        let mut ledger = shared.ledger();
        ledger.secrets.push(code.clone());
        ledger.codes.insert(
            code.clone(),
            Code {
                challenge: self.text("code_challenge").to_owned(),
                redirect_uri: self.redirect_uri.to_owned(),
                signed_in,
                issued: Instant::now(),
                used: false,
            },
        );
        self.back(&[("code", &code)])
    }

    fn page(&self, setup: &Setup, complaint: Option<&Refusal>) -> Response {
        let hint = self.text("login_hint");
        let account = setup.signed_in_as.as_deref().unwrap_or(hint);
        let scopes: String = self
            .text("scope")
            .split(' ')
            .map(|scope| format!("<li>{}</li>", escaped(scope)))
            .collect();
        let complaint = complaint.map_or_else(String::new, |refusal| {
            format!("<p id=\"error\">{}</p>", refusal.line())
        });
        let mut response = Response::html(200, "Sign in to your account");
        response.body = format!(
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <title>Sign in to your account</title><link rel=\"icon\" href=\"data:,\"></head>\
             <body><h1>Permissions requested</h1>{complaint}<ul>{scopes}</ul>\n\
             <form method=\"post\"><label for=\"account\">Account</label>\
             <input id=\"account\" name=\"account\" value=\"{}\">\
             <button id=\"accept\" name=\"accept\" value=\"yes\">Accept</button>\
             <button id=\"cancel\" name=\"cancel\" value=\"yes\">Cancel</button></form>\
             </body></html>\n",
            escaped(account)
        );
        response
    }
}

/// Whether a redirect URI is the registered one: to the letter, but for the port of a loopback
/// address (RFC 8252 section 7.3) and a slash that is the whole path.
fn is_registered(registered: &str, uri: &str) -> bool {
    let without_port = |uri: &str| -> Option<String> {
        let (host, rest) = ["http://localhost", "http://127.0.0.1"]
            .into_iter()
            .find_map(|host| Some((host, uri.strip_prefix(host)?)))?;
        let path = match rest.strip_prefix(':') {
            Some(rest) => {
                let path = rest.trim_start_matches(|digit: char| digit.is_ascii_digit());
                rest[..rest.len() - path.len()].parse::<u16>().ok()?;
                path
            }
            None => rest,
        };
        let path = if path == "/" { "" } else { path };
        (path.is_empty() || path.starts_with('/')).then(|| format!("{host}{path}"))
    };
    match without_port(registered) {
        Some(loopback) => without_port(uri).is_some_and(|uri| uri == loopback),
        None => uri == registered,
    }
}

fn is_unreserved(text: &str) -> bool {
    text.bytes()
        .all(|octet| octet.is_ascii_alphanumeric() || b"-._~".contains(&octet))
}

fn escaped(text: &str) -> String {
    text.chars()
        .map(|letter| match letter {
            '&' => "&amp;".to_owned(),
            '<' => "&lt;".to_owned(),
            '>' => "&gt;".to_owned(),
            '"' => "&quot;".to_owned(),
            other => other.to_string(),
        })
        .collect()
}

/// Who signed in for what with a code, which works once and for a while.
pub fn redeem(shared: &Shared, ask: &Ask) -> Result<SignedIn, Refusal> {
    let needs = |name: &str| {
        let missing = || Refusal::detailed(900_144, name);
        ask.value(name).ok_or_else(missing)
    };
    let (text, redirect_uri) = (needs("code")?, needs("redirect_uri")?);
    let verifier = ask.value("code_verifier").ok_or(50_147_u32)?;
    let lifetime = Duration::from_secs(shared.setup.code_lifetime.into());
    let mut ledger = shared.ledger();
    let code = ledger.codes.get_mut(text).ok_or(70_000_u32)?;
    if code.used {
        return Err(54_005.into());
    }
    // Whatever is wrong with the request: whoever showed the code may be anybody.
    code.used = true;
    if ask.at.saturating_duration_since(code.issued) >= lifetime {
        return Err(70_008.into());
    }
    if redirect_uri != code.redirect_uri {
        return Err(50_011.into());
    }
    if !VERIFIER_LENGTHS.contains(&verifier.len()) || !is_unreserved(verifier) {
        return Err(501_491.into());
    }
    let hash = digest::digest(&digest::SHA256, verifier.as_bytes());
    if URL_SAFE_NO_PAD.encode(hash) != code.challenge {
        return Err(501_481.into());
    }
    let mut signed_in = code.signed_in.clone();
    if let Some(scope) = ask.value("scope") {
        signed_in.grant = shared.setup.cloud.grant(scope)?;
    }
    Ok(signed_in)
}

#[test]
fn only_the_port_of_a_loopback_address_is_free() {
    let registered = "http://localhost";
    for uri in [
        "http://localhost",
        "http://localhost/",
        "http://localhost:1/",
        "http://localhost:65535",
    ] {
        assert!(is_registered(registered, uri), "{uri}");
    }
    for uri in [
        "",
        "http://127.0.0.1:1/",
        "https://localhost:1/",
        "http://localhost:65536/",
        "http://localhost:/",
        "http://localhost:1/callback",
        "http://localhost.evil.example/",
        "http://localhost:1@evil.example/",
    ] {
        assert!(!is_registered(registered, uri), "{uri}");
    }
    assert!(is_registered("http://127.0.0.1/a", "http://127.0.0.1:7/a"));
    assert!(!is_registered(
        "https://a.example:1/",
        "https://a.example:2/"
    ));
}
