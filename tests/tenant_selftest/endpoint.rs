//! The token endpoint and its neighbours answer as Microsoft's do.

use super::client::*;
use crate::tenant::{Setup, Tenant};
use serde_json::Value;

#[test]
fn the_token_endpoint_says_no_in_microsofts_words() {
    let tenant = Tenant::start();
    let path = format!("/{}/oauth2/v2.0/token", tenant.tenant_id());
    let token = tenant.refresh_token();
    let good = [
        ("client_id", tenant.client_id()),
        ("grant_type", "refresh_token"),
        ("refresh_token", token.as_str()),
    ];
    let with = |name: &'static str, value: &'static str| {
        let mut form = good.to_vec();
        form.retain(|(known, _)| *known != name);
        form.push((name, value));
        code(&json(&tenant, &path, &form))
    };
    assert_eq!(json(&tenant, &path, &good).0, 200);
    assert_eq!(with("client_id", "other"), (400, 700_016));
    assert_eq!(with("client_id", ""), (400, 900_144));
    assert_eq!(with("grant_type", "password"), (400, 70_003));
    assert_eq!(with("client_secret", "x"), (401, 700_025));
    assert_eq!(with("refresh_token", "0.x"), (400, 70_000));
    assert_eq!(
        with("resource", "https://outlook.office.com"),
        (400, 901_002)
    );
    assert_eq!(
        with("scope", "https://outlook.office.com/Smtp.Send"),
        (400, 70_011)
    );
    assert_eq!(
        code(&json(&tenant, "/common/oauth2/v2.0/token", &good)),
        (400, 50_194)
    );
    assert_eq!(
        code(&json(&tenant, "/fabrikam.test/oauth2/v2.0/token", &good)),
        (400, 90_002)
    );
    tenant.revoke_refresh_tokens();
    let (status, answer) = json(&tenant, &path, &good);
    assert_eq!(
        (status, &answer["error"]),
        (400, &Value::from("invalid_grant"))
    );
    let text = answer["error_description"].as_str().unwrap();
    assert!(
        text.starts_with("AADSTS50173: ") && text.contains("\r\nTrace ID: "),
        "{text}"
    );
}

#[test]
fn a_confidential_client_has_to_show_its_secret() {
    let tenant = Tenant::with(Setup {
        confidential: true,
        ..Setup::default()
    });
    let path = format!("/{}/oauth2/v2.0/token", tenant.tenant_id());
    assert_eq!(code(&refresh(&tenant, SCOPE)), (401, 7_000_218));
    let token = tenant.refresh_token();
    let mut form = vec![
        ("client_id", tenant.client_id()),
        ("grant_type", "refresh_token"),
        ("refresh_token", token.as_str()),
        ("client_secret", "wrong"),
    ];
    assert_eq!(code(&json(&tenant, &path, &form)), (401, 7_000_215));
    form[3].1 = tenant.client_secret();
    assert_eq!(json(&tenant, &path, &form).0, 200);
}

#[test]
fn refresh_tokens_change_and_the_old_ones_die_only_if_wished() {
    for dies in [false, true] {
        let tenant = Tenant::with(Setup {
            old_refresh_tokens_die: dies,
            ..Setup::default()
        });
        let path = format!("/{}/oauth2/v2.0/token", tenant.tenant_id());
        let first = tenant.refresh_token();
        let (_, answer) = refresh(&tenant, SCOPE);
        assert_eq!(answer["refresh_token"], tenant.refresh_token());
        assert_ne!(tenant.refresh_token(), first);
        assert!(answer["expires_in"].is_i64());
        let form = [
            ("client_id", tenant.client_id()),
            ("grant_type", "refresh_token"),
            ("refresh_token", first.as_str()),
        ];
        assert_eq!(json(&tenant, &path, &form).0, if dies { 400 } else { 200 });
    }
}

#[test]
fn v1_takes_a_resource_and_answers_with_strings() {
    let tenant = Tenant::start();
    let token = tenant.refresh_token();
    let form = [
        ("client_id", tenant.client_id()),
        ("grant_type", "refresh_token"),
        ("refresh_token", token.as_str()),
        ("resource", "https://outlook.office365.com"),
    ];
    let (status, answer) = json(&tenant, "/contoso.test/oauth2/token", &form);
    assert_eq!(status, 200);
    for name in ["expires_in", "expires_on", "not_before", "ext_expires_in"] {
        assert!(answer[name].is_string(), "{name}");
    }
    let mut client = Client::secured(&tenant);
    let token = answer["access_token"].as_str().unwrap();
    assert!(client.auth(tenant.mailbox(), token).starts_with("235 "));
}

#[test]
fn an_application_gets_a_token_of_its_own() {
    let tenant = Tenant::start();
    let path = format!("/{}/oauth2/v2.0/token", tenant.tenant_id());
    let mut form = vec![
        ("client_id", tenant.client_id()),
        ("client_secret", tenant.client_secret()),
        ("grant_type", "client_credentials"),
        ("scope", SCOPE),
    ];
    assert_eq!(code(&json(&tenant, &path, &form)), (400, 1_002_012));
    form[3].1 = "https://outlook.office365.com/.default";
    let (_, answer) = json(&tenant, &path, &form);
    assert!(answer.get("refresh_token").is_none());
    let mut client = Client::secured(&tenant);
    let token = answer["access_token"].as_str().unwrap();
    assert!(
        client
            .auth("somebody@contoso.test", token)
            .starts_with("535 ")
    );
    assert!(client.auth(tenant.mailbox(), token).starts_with("235 "));
}
