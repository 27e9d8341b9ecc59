//! The addresses that hand tokens to machines want what Azure's want, and answer in its shapes.

use super::client::*;
use crate::tenant::{
    Answer, Fault, Metadata, MetadataRequest, Setup, SmtpAuth, Tenant, UserAssigned,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;

const IMDS: &str = "/metadata/identity/oauth2/token?api-version=2018-02-01";
const ARC: &str = "/metadata/identity/oauth2/token?api-version=2020-06-01";
const APP_SERVICE: &str = "/msi/token?api-version=2019-08-01";
const RESOURCE: &str = "&resource=https%3A%2F%2Foutlook.office365.com";

/// Status, head and body of the answer to a request in clear.
fn ask(base: &str, request: &str, fields: &str) -> (u16, String, Value) {
    let address = base.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    let host = format!("Host: {address}\r\nConnection: close\r\n");
    stream
        .write_all(format!("{request} HTTP/1.1\r\n{host}{fields}\r\n").as_bytes())
        .unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head
        .split(' ')
        .nth(1)
        .map_or(0, |word| word.parse().unwrap());
    (
        status,
        head.to_owned(),
        serde_json::from_str(body).unwrap_or(Value::Null),
    )
}

fn imds(tenant: &Tenant, more: &str) -> (u16, Value) {
    let request = format!("GET {IMDS}{RESOURCE}{more}");
    let (status, _, body) = ask(
        &tenant.metadata(Metadata::Imds),
        &request,
        "Metadata: true\r\n",
    );
    (status, body)
}

fn payload(answer: &Value) -> Value {
    let part = answer["access_token"]
        .as_str()
        .unwrap()
        .split('.')
        .nth(1)
        .unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

/// A folder of this test's own.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let folder = std::env::temp_dir().join(format!("tenant-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Folder(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_virtual_machine_gets_a_token_in_strings() {
    let tenant = Tenant::start();
    assert_eq!(
        tenant.metadata(Metadata::Imds),
        tenant.metadata(Metadata::Imds)
    );
    let (status, answer) = imds(&tenant, "");
    assert_eq!(status, 200, "{answer}");
    for name in ["expires_in", "expires_on", "not_before"] {
        assert!(
            answer[name].as_str().unwrap().parse::<i64>().is_ok(),
            "{name}"
        );
    }
    assert_eq!(answer["refresh_token"], "");
    assert_eq!(answer["resource"], "https://outlook.office365.com");
    let claims = payload(&answer);
    assert_eq!(
        (&claims["idtyp"], &claims["roles"][0]),
        (&"app".into(), &"SMTP.SendAsApp".into())
    );
    let token = answer["access_token"].as_str().unwrap();
    assert!(
        Client::secured(&tenant)
            .auth(tenant.mailbox(), token)
            .starts_with("235 ")
    );
    assert!(tenant.leak_in(token.as_bytes()).is_some());
    tenant.mailbox_switch(SmtpAuth::DisabledForMailbox);
    let reply = Client::secured(&tenant).auth(tenant.mailbox(), token);
    assert!(reply.starts_with("535 5.7.139 "), "{reply}");
}

#[test]
fn a_virtual_machine_is_refused_for_whatever_is_wrong() {
    let tenant = Tenant::start();
    let base = tenant.metadata(Metadata::Imds);
    let good = format!("GET {IMDS}{RESOURCE}");
    let metadata = "Metadata: true\r\n";
    for (request, fields, status) in [
        (good.clone(), "", 400),
        (good.clone(), "Metadata: True\r\n", 400),
        (
            good.clone(),
            "Metadata: true\r\nX-Forwarded-For: 192.0.2.1\r\n",
            400,
        ),
        (good.replace("2018-02-01", "2020-06-01"), metadata, 400),
        (
            good.replace("outlook.office365.com", "outlook.example"),
            metadata,
            400,
        ),
        (format!("GET {IMDS}"), metadata, 400),
        (format!("{good}{RESOURCE}"), metadata, 400),
        (format!("{good}&scope=x"), metadata, 400),
        (format!("{good}&client_id=nobody"), metadata, 400),
        (good.replace("oauth2", "oauth3"), metadata, 404),
        // As a client writes it that was told to use a proxy.
        (
            good.replace("GET ", "GET http://169.254.169.254"),
            metadata,
            404,
        ),
        (good.replace("GET ", "POST "), metadata, 405),
    ] {
        let (seen, _, body) = ask(&base, &request, fields);
        assert_eq!(seen, status, "{request} {fields}");
        assert!(body["error"].is_string() && body["error_description"].is_string());
        assert_eq!(body.as_object().unwrap().len(), 2);
    }
    let requests = tenant.metadata_requests();
    assert_eq!(requests.len(), 12);
    let first: &MetadataRequest = &requests[1];
    assert_eq!(
        (first.metadata, first.method.as_str(), first.status),
        (Metadata::Imds, "GET", 400)
    );
    assert_eq!(format!("GET {}", first.target), good);
    assert_eq!(first.fields["metadata"], "True");
    assert!(requests[10].target.starts_with("http://169.254.169.254/"));
    assert!(tenant.token_requests().is_empty());
}

#[test]
fn a_machine_may_have_several_identities() {
    let (mail, web) = (UserAssigned::new("mail"), UserAssigned::new("web"));
    let with = |system_assigned, user_assigned: &[&UserAssigned]| {
        Tenant::with(Setup {
            system_assigned,
            user_assigned: user_assigned.iter().map(|one| (*one).clone()).collect(),
            ..Setup::default()
        })
    };
    let tenant = with(true, &[&mail, &web]);
    assert_eq!(imds(&tenant, "").0, 200);
    for id in [
        format!("&client_id={}", mail.client_id),
        format!("&object_id={}", mail.object_id),
        format!("&msi_res_id={}", mail.resource_id.replace('/', "%2F")),
    ] {
        let claims = payload(&imds(&tenant, &id).1);
        assert_eq!(
            (&claims["appid"], &claims["oid"]),
            (
                &Value::from(mail.client_id.clone()),
                &Value::from(mail.object_id.clone()),
            )
        );
    }
    let both = format!("&client_id={}&object_id={}", mail.client_id, mail.object_id);
    assert_eq!(imds(&tenant, &both).0, 400);
    // The only one needs no name, none of two cannot be guessed.
    assert_eq!(
        payload(&imds(&with(false, &[&web]), "").1)["appid"],
        web.client_id
    );
    for (tenant, text) in [
        (with(false, &[&mail, &web]), "Multiple"),
        (with(false, &[]), "not found"),
    ] {
        let (status, answer) = imds(&tenant, "");
        assert_eq!(status, 400);
        assert!(
            answer["error_description"].as_str().unwrap().contains(text),
            "{answer}"
        );
    }
}

#[test]
fn a_virtual_machine_meets_bad_days() {
    let tenant = Tenant::start();
    for status in [404, 410, 429, 500] {
        tenant.fault(Fault::Metadata(Answer::Status(status)).times(2));
        let seen = [imds(&tenant, ""), imds(&tenant, ""), imds(&tenant, "")];
        assert_eq!(
            seen.each_ref().map(|(status, _)| *status),
            [status, status, 200]
        );
        assert!(seen[0].1["error"].is_string() && seen[0].1["error_description"].is_string());
    }
    tenant.fault(Fault::Metadata(Answer::Html200).once());
    tenant.fault(Fault::Metadata(Answer::Reset).once());
    tenant.fault(Fault::Metadata(Answer::NoAccessToken).once());
    assert_eq!(imds(&tenant, ""), (200, Value::Null));
    assert_eq!(imds(&tenant, "").0, 0);
    let (status, answer) = imds(&tenant, "");
    assert!(status == 200 && answer.get("access_token").is_none());
    assert_eq!(tenant.metadata_requests()[13].status, 0);
    // The token endpoint is not concerned.
    tenant.fault(Fault::Metadata(Answer::Status(500)));
    assert_eq!(refresh(&tenant, SCOPE).0, 200);
}

#[test]
fn app_service_wants_its_header_and_tells_no_lifetime() {
    let tenant = Tenant::start();
    let base = tenant.metadata(Metadata::AppService);
    let header = format!("X-IDENTITY-HEADER: {}\r\n", tenant.identity_header());
    let good = format!("GET {APP_SERVICE}{RESOURCE}");
    let (status, _, answer) = ask(&base, &good, &header);
    assert_eq!(status, 200, "{answer}");
    assert!(answer.get("expires_in").is_none() && answer.get("refresh_token").is_none());
    assert!(
        answer["expires_on"]
            .as_str()
            .unwrap()
            .parse::<i64>()
            .is_ok()
    );
    let token = answer["access_token"].as_str().unwrap();
    assert!(
        Client::secured(&tenant)
            .auth(tenant.mailbox(), token)
            .starts_with("235 ")
    );

    let older = good.replace("2019-08-01", "2017-09-01");
    let secret = header.replace("X-IDENTITY-HEADER", "secret");
    let (status, _, answer) = ask(&base, &older, &secret);
    assert_eq!(status, 200, "{answer}");
    let end = answer["expires_on"].as_str().unwrap();
    assert!(end.ends_with("M +00:00") && end.contains("/20"), "{end}");

    for (request, fields, status) in [
        (&good, "", 401),
        (&good, "X-IDENTITY-HEADER: x\r\n", 401),
        (&good, secret.as_str(), 401),
        (&older, header.as_str(), 401),
        (
            &good.replace("2019-08-01", "2018-02-01"),
            header.as_str(),
            400,
        ),
        (&format!("{good}&clientid=x"), header.as_str(), 400),
    ] {
        let (seen, _, body) = ask(&base, request, fields);
        assert_eq!(
            (seen, &body["statusCode"]),
            (status, &Value::from(status)),
            "{request}"
        );
        assert!(body["message"].is_string() && body.get("error").is_none());
    }
    tenant.fault(Fault::Metadata(Answer::Status(500)).once());
    let (_, _, body) = ask(&base, &good, &header);
    assert_eq!(body["statusCode"], 500);
    assert!(tenant.leak_in(header.as_bytes()).is_some());
}

#[test]
fn the_agent_of_arc_wants_to_see_its_file() {
    let folder = Folder::new("arc");
    let file = folder.0.join("challenge.key");
    let tenant = Tenant::start();
    tenant.arc_file(&file);
    let base = tenant.metadata(Metadata::Arc);
    let good = format!("GET {ARC}{RESOURCE}");
    let ask = |fields: &str| ask(&base, &good, &format!("Metadata: true\r\n{fields}"));
    let (status, head, body) = ask("");
    assert_eq!(status, 401);
    let wanted = format!("\r\nWWW-Authenticate: Basic realm={}\r\n", file.display());
    assert!(
        head.contains(&wanted) && body["error"].is_string(),
        "{head}"
    );
    let first = std::fs::read_to_string(&file).unwrap();
    assert!(tenant.leak_in(first.as_bytes()).is_some());
    let (status, _, answer) = ask(&format!("Authorization: Basic {first}\r\n"));
    assert_eq!(status, 200, "{answer}");
    assert!(answer["expires_in"].is_string() && answer["refresh_token"] == "");

    // The file changes with each challenge, and its older content is worth nothing.
    assert_eq!(ask("Authorization: Basic guess\r\n").0, 401);
    assert_eq!(ask(&format!("Authorization: Basic {first}\r\n")).0, 401);
    let seen: Vec<u16> = tenant
        .metadata_requests()
        .iter()
        .map(|one| one.status)
        .collect();
    assert_eq!(seen, [401, 200, 401, 401]);

    // Whatever the file is, it is named; whatever it holds, it is wanted.
    let large = "x".repeat(5_000);
    tenant.arc_content(&folder.0.join("large.key"), &large);
    let (status, head, _) = ask("");
    assert!(status == 401 && head.contains("/large.key\r\n"));
    assert!(!folder.0.join("large.key").exists());
    assert_eq!(ask(&format!("Authorization: Basic {large}\r\n")).0, 200);
    tenant.arc_header("Basic");
    assert!(ask("").1.contains("\r\nWWW-Authenticate: Basic\r\n"));
}

#[test]
fn the_agent_of_arc_refuses_before_it_challenges() {
    let tenant = Tenant::start();
    let base = tenant.metadata(Metadata::Arc);
    let good = format!("GET {ARC}{RESOURCE}");
    let (status, head, _) = ask(&base, &good, "");
    assert!(status == 400 && !head.contains("WWW-Authenticate"));
    let (status, ..) = ask(
        &base,
        &good.replace("oauth2", "oauth3"),
        "Metadata: true\r\n",
    );
    assert_eq!(status, 404);
    // Other identities than the machine's own are not known there.
    tenant.arc_content(std::path::Path::new("/nowhere/a.key"), "CANARY-content");
    let shown = "Metadata: true\r\nAuthorization: Basic CANARY-content\r\n";
    assert_eq!(ask(&base, &good, shown).0, 200);
    assert_eq!(ask(&base, &format!("{good}&client_id=x"), shown).0, 400);
}
