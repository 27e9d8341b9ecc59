//! The application on its own: secret, certificate and federated token, and what Exchange wants.

use super::client::*;
use crate::tenant::keys::*;
use crate::tenant::{AppPermission, Claims, Federation, Setup, Tenant, Thumbprint};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

const OUTLOOK_DEFAULT: &str = "https://outlook.office365.com/.default";

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

fn path(tenant: &Tenant) -> String {
    format!("/{}/oauth2/v2.0/token", tenant.tenant_id())
}

fn hash(algorithm: &'static digest::Algorithm, certificate: &str) -> String {
    let der = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
    URL_SAFE_NO_PAD.encode(digest::digest(algorithm, &der))
}

/// An assertion about to be signed; a good one until something is changed.
#[derive(Clone)]
struct Assertion {
    key: &'static str,
    header: Value,
    claims: Value,
}

impl Assertion {
    fn good(tenant: &Tenant) -> Assertion {
        let now = now();
        Assertion {
            key: KEY,
            header: json!({
                "alg": "PS256",
                "typ": "JWT",
                "x5t#S256": hash(&digest::SHA256, CERTIFICATE),
            }),
            claims: json!({
                "aud": tenant.token_url(),
                "iss": tenant.client_id(),
                "sub": tenant.client_id(),
                "jti": format!("{:?}", ring::rand::generate::<[u8; 16]>(&SystemRandom::new())
                    .unwrap().expose()),
                "iat": now,
                "nbf": now - 60,
                "exp": now + 300,
            }),
        }
    }

    fn header(mut self, name: &str, value: impl Into<Value>) -> Assertion {
        self.header[name] = value.into();
        self
    }

    fn claim(mut self, name: &str, value: impl Into<Value>) -> Assertion {
        self.claims[name] = value.into();
        self
    }

    fn signed(&self) -> String {
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap();
        let key = RsaKeyPair::from_pkcs8(key.secret_der()).unwrap();
        let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", encode(&self.header), encode(&self.claims));
        let mut signature = vec![0; key.public().modulus_len()];
        let padding: &dyn ring::signature::RsaEncoding = match self.header["alg"].as_str() {
            Some("PS256") => &RSA_PSS_SHA256,
            _ => &RSA_PKCS1_SHA256,
        };
        key.sign(
            padding,
            &SystemRandom::new(),
            signed.as_bytes(),
            &mut signature,
        )
        .unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// The answer to an assertion.
fn show(tenant: &Tenant, assertion: &str) -> (u16, Value) {
    let form = [
        ("client_id", tenant.client_id()),
        ("grant_type", "client_credentials"),
        ("scope", OUTLOOK_DEFAULT),
        (
            "client_assertion_type",
            "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        ),
        ("client_assertion", assertion),
    ];
    json(tenant, &path(tenant), &form)
}

fn secret(tenant: &Tenant) -> (u16, Value) {
    let form = [
        ("client_id", tenant.client_id()),
        ("grant_type", "client_credentials"),
        ("scope", OUTLOOK_DEFAULT),
        ("client_secret", tenant.client_secret()),
    ];
    json(tenant, &path(tenant), &form)
}

fn payload(answer: &Value) -> Value {
    let token = answer["access_token"].as_str().unwrap();
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

#[test]
fn a_certificate_proves_the_application() {
    let tenant = Tenant::start();
    for algorithm in ["PS256", "RS256"] {
        let assertion = Assertion::good(&tenant).header("alg", algorithm).signed();
        let (status, answer) = show(&tenant, &assertion);
        assert_eq!(status, 200, "{answer}");
        assert!(answer.get("refresh_token").is_none());
        let claims = payload(&answer);
        assert_eq!(
            (&claims["idtyp"], &claims["appidacr"]),
            (&json!("app"), &json!("2"))
        );
        assert_eq!(claims["roles"], json!(["SMTP.SendAsApp"]));
        assert!(claims.get("upn").is_none() && claims.get("scp").is_none());
        let mut client = Client::secured(&tenant);
        let token = answer["access_token"].as_str().unwrap();
        assert!(client.auth(tenant.mailbox(), token).starts_with("235 "));
        assert_eq!(
            tenant.leak_in(assertion.as_bytes()).as_deref(),
            Some(&assertion[..40])
        );
    }
    assert_eq!(payload(&secret(&tenant).1)["appidacr"], "1");
}

#[test]
fn an_assertion_is_refused_for_whatever_is_wrong_with_it() {
    let tenant = Tenant::start();
    let good = Assertion::good(&tenant);
    let again = |name: &str, value: Value| {
        let jti = json!(format!("{name} {value}"));
        good.clone().claim("jti", jti).claim(name, value)
    };
    for (assertion, number) in [
        (
            Assertion {
                key: KEY_OTHER,
                ..good.clone()
            },
            700_027,
        ),
        (good.clone().header("alg", "none"), 700_027),
        (good.clone().header("alg", "HS256"), 700_027),
        (
            good.clone()
                .header("x5t#S256", hash(&digest::SHA256, CERTIFICATE_OTHER)),
            700_027,
        ),
        (good.clone().header("typ", "at+jwt"), 50_027),
        (
            again(
                "aud",
                json!("https://login.microsoftonline.com/common/oauth2/token"),
            ),
            50_027,
        ),
        (again("sub", json!("somebody")), 50_048),
        (again("nbf", json!(now() + 400)), 700_024),
        (again("iat", json!(now() + 400)), 700_024),
        (again("exp", json!(now() - 400)), 700_024),
        (again("exp", json!(now() + 3_600)), 700_024),
        (again("exp", json!((now() + 300).to_string())), 50_027),
        (again("iat", Value::Null), 50_027),
        (good.clone().claim("jti", ""), 50_027),
    ] {
        let answer = show(&tenant, &assertion.signed());
        assert_eq!(code(&answer), (401, number), "{}", answer.1);
        assert_eq!(answer.1["error"], "invalid_client");
    }
    assert_eq!(show(&tenant, &good.signed()).0, 200);
    // The same once more, and as a client that forgets the signature.
    let answer = show(&tenant, &good.signed());
    assert_eq!(code(&answer), (401, 50_027));
    assert!(
        answer.1["error_description"]
            .as_str()
            .unwrap()
            .contains("jti")
    );
    let cut = good.signed();
    let cut = cut.rsplit_once('.').unwrap().0;
    assert_eq!(code(&show(&tenant, cut)), (401, 50_027));
    assert_eq!(code(&show(&tenant, &format!("{cut}."))), (401, 700_027));
}

#[test]
fn what_is_taken_depends_on_the_registration() {
    let with = |setup: Setup| Tenant::with(setup);
    let rs256_only = with(Setup {
        assertion_algorithms: vec!["RS256"],
        ..Setup::default()
    });
    let good = Assertion::good(&rs256_only);
    assert_eq!(code(&show(&rs256_only, &good.signed())), (401, 700_027));
    assert_eq!(
        show(&rs256_only, &good.header("alg", "RS256").signed()).0,
        200
    );

    let sha1 = with(Setup {
        thumbprint: Thumbprint::Sha1,
        ..Setup::default()
    });
    let good = Assertion::good(&sha1);
    assert_eq!(code(&show(&sha1, &good.signed())), (401, 700_027));
    let older = good.header("x5t", hash(&digest::SHA1_FOR_LEGACY_USE_ONLY, CERTIFICATE));
    assert_eq!(show(&sha1, &older.signed()).0, 200);

    let expired = with(Setup {
        certificate: CERTIFICATE_EXPIRED.to_owned(),
        ..Setup::default()
    });
    let of_it = hash(&digest::SHA256, CERTIFICATE_EXPIRED);
    let answer = show(
        &expired,
        &Assertion::good(&expired).header("x5t#S256", of_it).signed(),
    );
    assert_eq!(code(&answer), (401, 7_000_222));

    let several = with(Setup {
        certificate: format!("{CERTIFICATE_OTHER}{CHAIN}"),
        ..Setup::default()
    });
    let good = Assertion::good(&several).header("x5t#S256", hash(&digest::SHA256, CHAIN));
    assert_eq!(show(&several, &good.signed()).0, 200);

    let none = with(Setup {
        certificate: String::new(),
        ..Setup::default()
    });
    assert_eq!(
        code(&show(&none, &Assertion::good(&none).signed())),
        (401, 700_027)
    );

    let late = with(Setup {
        secret_expired: true,
        ..Setup::default()
    });
    assert_eq!(code(&secret(&late)), (401, 7_000_222));
}

#[test]
fn the_form_around_an_assertion_is_checked() {
    let tenant = Tenant::start();
    let assertion = Assertion::good(&tenant).signed();
    let jwt_bearer = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    let ask = |tenant_name: &str, more: &[(&str, &str)]| {
        let mut form = vec![
            ("client_id", tenant.client_id()),
            ("grant_type", "client_credentials"),
            ("scope", OUTLOOK_DEFAULT),
        ];
        form.extend(more);
        code(&json(
            &tenant,
            &format!("/{tenant_name}/oauth2/v2.0/token"),
            &form,
        ))
    };
    let id = tenant.tenant_id();
    let shown = ("client_assertion", assertion.as_str());
    assert_eq!(ask(id, &[]), (401, 7_000_218));
    assert_eq!(ask(id, &[shown]), (400, 900_144));
    assert_eq!(
        ask(id, &[shown, ("client_assertion_type", "jwt")]),
        (400, 90_023)
    );
    let both = [
        shown,
        ("client_assertion_type", jwt_bearer),
        ("client_secret", "x"),
    ];
    assert_eq!(ask(id, &both), (400, 90_023));
    for anybody in ["common", "organizations", "consumers"] {
        assert_eq!(ask(anybody, &[shown]), (400, 9_001_023));
    }
    // A public client shows nothing.
    let token = tenant.refresh_token();
    let form = [
        ("client_id", tenant.client_id()),
        ("grant_type", "refresh_token"),
        ("refresh_token", token.as_str()),
        ("client_assertion_type", jwt_bearer),
        shown,
    ];
    assert_eq!(code(&json(&tenant, &path(&tenant), &form)), (401, 700_025));
}

#[test]
fn a_token_of_another_issuer_stands_for_the_application() {
    let tenant = Tenant::start();
    let token = tenant.federated_token();
    // Unlike an assertion of one's own it may be shown again until it ends.
    for _ in 0..2 {
        let (status, answer) = show(&tenant, &token);
        assert_eq!(status, 200, "{answer}");
        let mut client = Client::secured(&tenant);
        let token = answer["access_token"].as_str().unwrap();
        assert!(client.auth(tenant.mailbox(), token).starts_with("235 "));
    }
    let registered = Federation::default();
    let other = |change: fn(&mut Federation)| {
        let mut federation = registered.clone();
        change(&mut federation);
        tenant.federated_token_of(&federation)
    };
    let (left, right) = token.split_at(token.len() - 20);
    let changed = if right.starts_with('A') { 'B' } else { 'A' };
    let forged = format!("{left}{changed}{}", &right[1..]);
    for (token, answer) in [
        (
            tenant.federated_token_for("system:serviceaccount:web:default"),
            (401, 700_213),
        ),
        (
            other(|one| one.audience = "https://kubernetes.default.svc".to_owned()),
            (401, 700_212),
        ),
        (
            other(|one| one.issuer = "https://elsewhere.contoso.test".to_owned()),
            (401, 700_211),
        ),
        (other(|one| one.lifetime = -400), (401, 700_024)),
        (forged, (400, 50_013)),
    ] {
        assert_eq!(code(&show(&tenant, &token)), answer);
    }
    let none = Tenant::with(Setup {
        federation: None,
        ..Setup::default()
    });
    assert_eq!(code(&show(&none, &none.federated_token())), (401, 70_021));
    assert!(tenant.leak_in(token.as_bytes()).is_some());
}

#[test]
fn exchange_has_conditions_of_its_own() {
    let auth = |setup: Setup| {
        let tenant = Tenant::with(setup);
        let (status, answer) = secret(&tenant);
        // There is a token whatever was granted.
        assert_eq!(status, 200);
        let roles = payload(&answer).get("roles").is_some();
        let mut client = Client::secured(&tenant);
        let reply = client.auth(tenant.mailbox(), answer["access_token"].as_str().unwrap());
        let sent = reply.starts_with("235 ").then(|| {
            let sent = client.send(tenant.mailbox(), "ops@contoso.test", MESSAGE);
            assert_eq!(sent.starts_with("250 "), tenant.received().len() == 1);
            sent
        });
        (roles, reply, sent.unwrap_or_default())
    };
    let with = |app_permission| Setup {
        app_permission,
        ..Setup::default()
    };

    let (roles, reply, _) = auth(with(AppPermission::Nothing));
    assert!(!roles && reply.starts_with("535 5.7.3 "), "{reply}");
    let (roles, reply, sent) = auth(with(AppPermission::Rbac));
    assert!(
        !roles && reply.starts_with("235 ") && sent.starts_with("250 "),
        "{reply}{sent}"
    );
    let (roles, _, sent) = auth(Setup::default());
    assert!(roles && sent.starts_with("250 "), "{sent}");

    for permission in [AppPermission::SendAsApp, AppPermission::Rbac] {
        let (_, reply, _) = auth(Setup {
            service_principal: false,
            ..with(permission)
        });
        assert!(reply.starts_with("535 5.7.3 "), "{reply}");
        let (_, _, sent) = auth(Setup {
            mailbox_permission: false,
            ..with(permission)
        });
        assert!(
            sent.starts_with("430 4.2.0 STOREDRV; mailbox logon failure; "),
            "{sent}"
        );
    }
    // Neither concerns a user.
    let tenant = Tenant::with(Setup {
        service_principal: false,
        mailbox_permission: false,
        ..Setup::default()
    });
    let mut client = Client::signed_in(&tenant);
    assert!(
        client
            .send(tenant.mailbox(), "a@b.test", MESSAGE)
            .starts_with("250 ")
    );
}

/// Where an application has a secret and allows public flows, each token goes its own way.
#[test]
fn a_refresh_token_is_good_in_the_way_it_was_obtained() {
    let tenant = Tenant::with(Setup {
        confidential: true,
        public_flows: true,
        sign_in: crate::tenant::SignIn::After(0),
        ..Setup::default()
    });
    let refresh = |token: &str, secret: Option<&str>| {
        let mut form = vec![
            ("client_id", tenant.client_id()),
            ("grant_type", "refresh_token"),
            ("refresh_token", token),
        ];
        form.extend(secret.map(|secret| ("client_secret", secret)));
        code(&json(&tenant, &path(&tenant), &form))
    };
    let imported = tenant.refresh_token();
    assert_eq!(refresh(&imported, None), (401, 7_000_218));
    assert_eq!(refresh(&imported, Some(tenant.client_secret())), (200, 0));

    let form = [("client_id", tenant.client_id()), ("scope", SCOPE)];
    let devices = format!("/{}/oauth2/v2.0/devicecode", tenant.tenant_id());
    let (_, started) = json(&tenant, &devices, &form);
    let mut form = vec![
        ("client_id", tenant.client_id()),
        ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
        ("device_code", started["device_code"].as_str().unwrap()),
        ("client_secret", tenant.client_secret()),
    ];
    assert_eq!(code(&json(&tenant, &path(&tenant), &form)), (401, 700_025));
    form.pop();
    let (_, answer) = json(&tenant, &path(&tenant), &form);
    let of_device = answer["refresh_token"].as_str().unwrap();
    assert_eq!(
        refresh(of_device, Some(tenant.client_secret())),
        (401, 700_025)
    );
    assert_eq!(refresh(of_device, None), (200, 0));
}

#[test]
fn keys_are_known_as_secrets_and_certificates_are_not() {
    let tenant = Tenant::start();
    for key in [
        KEY,
        KEY_PKCS1,
        KEY_ENCRYPTED,
        KEY_ENCRYPTED_PKCS1,
        KEY_OTHER,
        KEY_1024,
        KEY_EC,
    ] {
        assert!(tenant.leak_in(key.as_bytes()).is_some(), "{key}");
        let in_one_line = key.replace('\n', "");
        assert!(tenant.leak_in(in_one_line.as_bytes()).is_some(), "{key}");
    }
    for certificate in [
        CERTIFICATE,
        CERTIFICATE_OTHER,
        CERTIFICATE_1024,
        CERTIFICATE_EC,
        CHAIN,
    ] {
        assert_eq!(tenant.leak_in(certificate.as_bytes()), None);
    }
    let claims = Claims {
        roles: vec!["SMTP.SendAsApp".to_owned()],
        ..tenant.claims()
    };
    assert!(tenant.leak_in(tenant.mint(&claims).as_bytes()).is_some());
}
