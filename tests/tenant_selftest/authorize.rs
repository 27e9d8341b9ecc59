//! Sign-in with a browser: what the authorize page checks, and what a code is good for.

use super::client::*;
use crate::tenant::{Answer, Door, Fault, Page, Setup, Tenant};
use serde_json::Value;

/// RFC 7636 appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
pub(super) const BACK: &str = "http://localhost:4711/";
const NATIVE: &str = "https://login.microsoftonline.com/common/oauth2/nativeclient";

/// A good request, with these parameters instead; an empty one is left out.
pub(super) fn url(tenant: &Tenant, other: &[(&str, &str)]) -> String {
    let mut all = vec![
        ("client_id", tenant.client_id()),
        ("response_type", "code"),
        ("redirect_uri", BACK),
        ("response_mode", "query"),
        ("scope", SCOPE),
        ("state", "a b&c=%"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
        ("login_hint", tenant.user()),
    ];
    all.retain(|(name, _)| other.iter().all(|(changed, _)| changed != name));
    all.extend(other);
    let encode =
        |text: &str| -> String { text.bytes().map(|octet| format!("%{octet:02X}")).collect() };
    let pairs: Vec<String> = all
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{name}={}", encode(value)))
        .collect();
    format!(
        "{}/{}/oauth2/v2.0/authorize?{}",
        tenant.authority(),
        tenant.tenant_id(),
        pairs.join("&")
    )
}

/// The way back after the page was shown and agreed to.
fn agreed(tenant: &Tenant, other: &[(&str, &str)]) -> Page {
    let page = tenant.open(&url(tenant, other));
    assert_eq!((page.status, &page.location), (200, &None), "{}", page.html);
    tenant.accept(&page, tenant.user())
}

fn redeem(tenant: &Tenant, page: &Page, other: &[(&str, &str)]) -> (u16, Value) {
    let code = page.parameters()["code"].clone();
    let mut form = vec![
        ("client_id", tenant.client_id()),
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", BACK),
        ("code_verifier", VERIFIER),
        ("scope", SCOPE),
    ];
    form.retain(|(name, _)| other.iter().all(|(changed, _)| changed != name));
    form.extend(other);
    json(
        tenant,
        &format!("/{}/oauth2/v2.0/token", tenant.tenant_id()),
        &form,
    )
}

/// The answer to a good request with this code.
pub(super) fn redeem_at(tenant: &Tenant, code: &str, redirect_uri: &str) -> (u16, Value) {
    let form = [
        ("client_id", tenant.client_id()),
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", redirect_uri),
        ("code_verifier", VERIFIER),
    ];
    json(
        tenant,
        &format!("/{}/oauth2/v2.0/token", tenant.tenant_id()),
        &form,
    )
}

#[test]
fn a_person_agrees_on_a_page_and_the_code_works_once() {
    let tenant = Tenant::start();
    let page = tenant.open(&url(&tenant, &[("login_hint", "\"><script>x</script>@y")]));
    assert!(
        page.html.contains("value=\"&quot;&gt;&lt;script&gt;"),
        "{}",
        page.html
    );
    assert!(!page.html.contains("<script"));
    let back = agreed(&tenant, &[]);
    assert_eq!(back.status, 302);
    let location = back.location.as_deref().unwrap();
    assert!(
        location.starts_with("http://localhost:4711/?code="),
        "{location}"
    );
    let parameters = back.parameters();
    let names: Vec<&str> = parameters.keys().map(String::as_str).collect();
    assert_eq!(names, ["code", "session_state", "state"]);
    assert_eq!(parameters["state"], "a b&c=%");
    let (status, answer) = redeem(&tenant, &back, &[]);
    assert_eq!(
        (status, &answer["refresh_token"]),
        (200, &tenant.refresh_token().into())
    );
    assert_eq!(code(&redeem(&tenant, &back, &[])), (400, 54_005));
    for secret in [parameters["code"].as_str(), VERIFIER] {
        assert!(tenant.leak_in(secret.as_bytes()).is_some(), "{secret}");
    }
}

#[test]
fn a_person_says_no_or_is_somebody_else() {
    let tenant = Tenant::start();
    let page = tenant.open(&url(&tenant, &[]));
    assert!(page.html.contains("value=\"alerts@contoso.test\""));
    let back = tenant.cancel(&page).parameters();
    assert_eq!(back["error"], "access_denied");
    assert!(back["error_description"].starts_with("AADSTS65004: "));
    assert_eq!(back["state"], "a b&c=%");

    for (stranger, number) in [
        ("nobody@contoso.test", "50034"),
        ("a@fabrikam.test", "50020"),
    ] {
        let again = tenant.accept(&page, stranger);
        assert_eq!((again.status, &again.location), (200, &None));
        assert!(
            again.html.contains(&format!("AADSTS{number}: ")),
            "{}",
            again.html
        );
    }
    let back = tenant.accept(&page, "Admin@contoso.test");
    let (_, answer) = redeem(&tenant, &back, &[]);
    let token = answer["access_token"].as_str().unwrap();
    assert!(
        Client::secured(&tenant)
            .auth(tenant.mailbox(), token)
            .starts_with("535 ")
    );
    assert!(
        Client::secured(&tenant)
            .auth(tenant.user(), &tenant.access_token())
            .starts_with("235 ")
    );
}

#[test]
fn a_session_in_the_browser_needs_no_page() {
    let tenant = Tenant::start();
    let back = tenant.open(&url(&tenant, &[("prompt", "none")]));
    assert_eq!(redeem(&tenant, &back, &[]).0, 200);
    let tenant = Tenant::with(Setup {
        agrees_at_once: true,
        signed_in_as: Some("admin@contoso.test".to_owned()),
        ..Setup::default()
    });
    let back = tenant.open(&url(&tenant, &[]));
    assert_eq!(redeem(&tenant, &back, &[]).0, 200);
    let (_, answer) = refresh(&tenant, SCOPE);
    let token = answer["access_token"].as_str().unwrap();
    assert!(
        Client::secured(&tenant)
            .auth(tenant.mailbox(), token)
            .starts_with("535 ")
    );
}

#[test]
fn a_browser_is_not_sent_where_nobody_registered() {
    let tenant = Tenant::start();
    for (name, value, text) in [
        ("client_id", "other", "AADSTS700016"),
        ("client_id", "", "AADSTS900144"),
        ("redirect_uri", "", "AADSTS50011"),
        ("redirect_uri", "http://127.0.0.1:4711/", "AADSTS50011"),
        ("redirect_uri", "https://localhost:4711/", "AADSTS50011"),
        ("redirect_uri", "http://localhost:4711/back", "AADSTS50011"),
        ("redirect_uri", "http://evil.example/", "AADSTS50011"),
        (
            "redirect_uri",
            "http://localhost.evil.example/",
            "AADSTS50011",
        ),
    ] {
        let page = tenant.open(&url(&tenant, &[(name, value)]));
        assert_eq!(
            (page.status, &page.location),
            (400, &None),
            "{name} {value}"
        );
        assert!(page.html.contains(text), "{}", page.html);
    }
    let elsewhere = url(&tenant, &[]).replace(tenant.tenant_id(), "common");
    assert!(tenant.open(&elsewhere).html.contains("AADSTS50194"));
    for uri in [
        "http://localhost",
        "http://localhost:4711",
        "http://localhost:9/",
        NATIVE,
    ] {
        let back = agreed(&tenant, &[("redirect_uri", uri)]);
        assert!(back.location.unwrap().starts_with(&format!("{uri}?code=")));
    }
    let tenant = Tenant::with(Setup {
        redirect_uris: vec!["http://127.0.0.1".to_owned()],
        ..Setup::default()
    });
    let back = agreed(&tenant, &[("redirect_uri", "http://127.0.0.1:4711/")]);
    assert!(back.parameters().contains_key("code"));
    assert_eq!(tenant.open(&url(&tenant, &[])).status, 400);
}

#[test]
fn what_is_wrong_with_a_request_goes_back_to_the_program() {
    let tenant = Tenant::start();
    for (name, value, error, number) in [
        (
            "response_type",
            "token",
            "unsupported_response_type",
            "70005",
        ),
        ("response_mode", "form_post", "invalid_request", "70007"),
        ("response_mode", "fragment", "invalid_request", "70007"),
        ("code_challenge", "", "invalid_request", "50147"),
        ("code_challenge", "short", "invalid_request", "501491"),
        (
            "code_challenge_method",
            "plain",
            "invalid_request",
            "9002313",
        ),
        ("code_challenge_method", "", "invalid_request", "9002313"),
        ("prompt", "please", "invalid_request", "90023"),
        ("scope", "", "invalid_request", "900144"),
        (
            "scope",
            "https://outlook.office.com/Smtp.Send",
            "invalid_scope",
            "70011",
        ),
        (
            "scope",
            "https://outlook.example/SMTP.Send",
            "invalid_resource",
            "500011",
        ),
    ] {
        let page = tenant.open(&url(&tenant, &[(name, value)]));
        assert_eq!(page.status, 302, "{name} {value}");
        let back = page.parameters();
        assert_eq!(back["error"], error, "{name} {value}");
        let text = &back["error_description"];
        assert!(text.starts_with(&format!("AADSTS{number}: ")), "{text}");
        assert!(back["state"] == "a b&c=%" && !back.contains_key("code"));
    }
    // The tenant's own reasons come after the page.
    tenant.fault(Fault::On(Door::Authorize, Answer::Aadsts(90_094)));
    let back = agreed(&tenant, &[]).parameters();
    assert_eq!(back["error"], "access_denied");
    assert!(back["error_description"].starts_with("AADSTS90094: "));
}

#[test]
fn a_code_is_good_for_whoever_asked_for_it() {
    let tenant = Tenant::start();
    let other_verifier = "0".repeat(43);
    for (name, value, number) in [
        ("code_verifier", other_verifier.as_str(), 501_481),
        ("code_verifier", "short", 501_491),
        ("code_verifier", &"a".repeat(129), 501_491),
        ("code_verifier", "", 50_147),
        ("redirect_uri", "http://localhost:4712/", 50_011),
        ("redirect_uri", "", 900_144),
        ("code", "1.CANARY-CODE-x", 70_000),
        ("client_secret", "x", 700_025),
        ("scope", "https://outlook.office.com/Smtp.Send", 70_011),
    ] {
        let back = agreed(&tenant, &[]);
        let answer = redeem(&tenant, &back, &[(name, value)]);
        assert_eq!(code(&answer).1, number, "{name} {value}: {}", answer.1);
        // Who failed once has used the code up, if it was looked at.
        if [501_481, 501_491, 50_011, 70_011].contains(&number) {
            assert_eq!(code(&redeem(&tenant, &back, &[])), (400, 54_005));
        }
    }
    let late = Tenant::with(Setup {
        code_lifetime: 0,
        ..Setup::default()
    });
    assert_eq!(
        code(&redeem(&late, &agreed(&late, &[]), &[])),
        (400, 70_008)
    );
}

#[test]
fn a_confidential_application_shows_its_secret_with_a_code() {
    let tenant = Tenant::with(Setup {
        confidential: true,
        ..Setup::default()
    });
    let secret = [("client_secret", tenant.client_secret())];
    assert_eq!(
        code(&redeem(&tenant, &agreed(&tenant, &[]), &[])),
        (401, 7_000_218)
    );
    let wrong = [("client_secret", "x")];
    assert_eq!(
        code(&redeem(&tenant, &agreed(&tenant, &[]), &wrong)),
        (401, 7_000_215)
    );
    assert_eq!(redeem(&tenant, &agreed(&tenant, &[]), &secret).0, 200);

    // With public flows each token goes the way it was obtained.
    let tenant = Tenant::with(Setup {
        confidential: true,
        public_flows: true,
        ..Setup::default()
    });
    assert_eq!(redeem(&tenant, &agreed(&tenant, &[]), &[]).0, 200);
    assert_eq!(refresh(&tenant, SCOPE).0, 200);
    let secret = [("client_secret", tenant.client_secret())];
    assert_eq!(redeem(&tenant, &agreed(&tenant, &[]), &secret).0, 200);
    assert_eq!(code(&refresh(&tenant, SCOPE)), (401, 7_000_218));
}
