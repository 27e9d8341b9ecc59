//! What the metadata addresses answer: a token of the machine's identity, or a refusal, each in a
//! shape of its own.

use super::aadsts::Refusal;
use super::clock;
use super::faults::Answer;
use super::grants;
use super::http::{self, Request, Response};
use super::metadata::{self, Metadata};
use super::state::{Shared, SignedIn};
use super::tokens::Claims;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const TOKEN_PATH: &str = "/metadata/identity/oauth2/token";

/// A refusal: status, word and text.
type No = (u16, &'static str, String);

/// The answer to a request; `twist` is a fault that spoils an otherwise good one.
pub fn answer(
    shared: &Shared,
    metadata: Metadata,
    request: &Request,
    twist: Option<&Answer>,
) -> Response {
    if metadata == Metadata::Arc && asks_without_file(shared, request) {
        return metadata::challenge(shared);
    }
    let token = match metadata {
        Metadata::Imds => machine(shared, request, "2018-02-01"),
        Metadata::Arc => machine(shared, request, "2020-06-01"),
        Metadata::AppService => app_service(shared, request),
    };
    match token {
        Ok(mut token) => {
            if let Some(twist) = twist {
                super::issue::disfigure(&mut token, twist);
            }
            Response::json(200, token.to_string())
        }
        Err((status, word, text)) => refusal(metadata, status, word, &text),
    }
}

/// A refusal in the shape of an address.
pub fn refusal(metadata: Metadata, status: u16, word: &str, text: &str) -> Response {
    let body = match metadata {
        Metadata::AppService => json!({"statusCode": status, "message": text}),
        _ => json!({"error": word, "error_description": text}),
    };
    Response::json(status, body.to_string())
}

/// What a fault makes an address say of its own.
pub fn failure(metadata: Metadata, fault: &Answer) -> Option<Response> {
    let Answer::Status(status) = fault else {
        return None;
    };
    let (word, text) = match status {
        404 => ("not_found", "The identity endpoint is not ready."),
        410 => ("gone", "The identity endpoint is being updated."),
        429 => ("too_many_requests", "Too many requests."),
        500..600 => ("unknown", "Failed to retrieve token from the directory."),
        _ => ("invalid_request", "The request was refused."),
    };
    Some(refusal(metadata, *status, word, text))
}

/// Arc's agent: the first request of a round, which has to be right in all else.
fn asks_without_file(shared: &Shared, request: &Request) -> bool {
    let asked = request.path == TOKEN_PATH && request.field("metadata") == Some("true");
    let shown = request.field("authorization");
    let wanted = format!("Basic {}", shared.ledger().challenge.content);
    asked && shown != Some(wanted.as_str())
}

/// IMDS, and Arc's agent once it has seen the file.
fn machine(shared: &Shared, request: &Request, version: &str) -> Result<Value, No> {
    let no = |text: &str| (400, "invalid_request", text.to_owned());
    if request.path != TOKEN_PATH {
        return Err((404, "not_found", "No such path.".to_owned()));
    }
    if request.method != "GET" {
        return Err((405, "method_not_allowed", "Only GET is taken.".to_owned()));
    }
    if request.field("metadata") != Some("true") {
        return Err(no("Required metadata header not specified"));
    }
    if request.field("x-forwarded-for").is_some() {
        return Err(no("The request came through a proxy"));
    }
    let query = query(request, version)?;
    let ids = match version {
        // Arc has the machine's own identity only.
        "2020-06-01" => &[][..],
        _ => &["client_id", "object_id", "msi_res_id"],
    };
    let claims = claims(shared, &query, ids)?;
    let lifetime = claims.expires - clock::seconds();
    Ok(json!({
        "access_token": mint(shared, &claims),
        "client_id": claims.client,
        "refresh_token": "",
        "expires_in": lifetime.to_string(),
        "expires_on": claims.expires.to_string(),
        "not_before": claims.not_before.to_string(),
        "resource": query["resource"],
        "token_type": "Bearer",
    }))
}

fn app_service(shared: &Shared, request: &Request) -> Result<Value, No> {
    let older = request.query.contains("api-version=2017-09-01");
    let (version, header, ids) = match older {
        true => ("2017-09-01", "secret", &["clientid"][..]),
        false => (
            "2019-08-01",
            "x-identity-header",
            &["client_id", "principal_id", "object_id", "mi_res_id"][..],
        ),
    };
    if request.field(header) != Some(shared.identity_header.as_str()) {
        let text = format!("The value of {header} is missing or wrong.");
        return Err((401, "unauthorized", text));
    }
    let query = query(request, version)?;
    let claims = claims(shared, &query, ids)?;
    let expires_on = match older {
        true => clock::formatted_date(claims.expires),
        false => claims.expires.to_string(),
    };
    let mut token = json!({
        "access_token": mint(shared, &claims),
        "expires_on": expires_on,
        "resource": query["resource"],
        "token_type": "Bearer",
    });
    if !older {
        token["client_id"] = json!(claims.client);
    }
    Ok(token)
}

/// The query, with its version and a resource.
fn query(request: &Request, version: &str) -> Result<BTreeMap<String, String>, No> {
    let no = |text: String| Err((400, "invalid_request", text));
    let Some(query) = http::form(&request.query) else {
        return no("The query cannot be read".to_owned());
    };
    if query.get("api-version").map(String::as_str) != Some(version) {
        return no(format!("api-version has to be {version}"));
    }
    if query.get("resource").is_none_or(String::is_empty) {
        return no("Required query variable 'resource' is missing".to_owned());
    }
    Ok(query)
}

/// The claims of a token for the identity that is asked for by one of `ids`, or the only one.
fn claims(shared: &Shared, query: &BTreeMap<String, String>, ids: &[&str]) -> Result<Claims, No> {
    let setup = &shared.setup;
    let no = |text: &str| (400, "invalid_request", text.to_owned());
    let known = ["api-version", "resource"];
    if let Some(other) = query
        .keys()
        .find(|name| ![&known, ids].concat().contains(&name.as_str()))
    {
        return Err(no(&format!("Query variable '{other}' is not known")));
    }
    let wanted: Vec<&String> = ids.iter().filter_map(|name| query.get(*name)).collect();
    let (client, object) = match (&wanted[..], &setup.user_assigned[..]) {
        ([], _) if setup.system_assigned => (&shared.system_identity, &setup.object_id),
        ([], [only]) => (&only.client_id, &only.object_id),
        ([], []) => return Err(no("Identity not found")),
        ([], _) => return Err(no("Multiple user assigned identities exist, name one")),
        ([id], assigned) => {
            let one = assigned
                .iter()
                .find(|one| [&one.client_id, &one.object_id, &one.resource_id].contains(id));
            let one = one.ok_or_else(|| no("Identity not found"))?;
            (&one.client_id, &one.object_id)
        }
        _ => return Err(no("Name the identity once")),
    };
    let grant = setup
        .cloud
        .grant_v1(query.get("resource").map(String::as_str))
        .map_err(|code| (400, "invalid_resource", Refusal::from(code).line()))?;
    let signed_in = SignedIn {
        grant,
        ..shared.first_leg()
    };
    let mut claims = grants::delegated(shared, &signed_in);
    grants::become_application(shared, &mut claims);
    claims.client.clone_from(client);
    claims.object_id.clone_from(object);
    claims.proof = "2";
    Ok(claims)
}

fn mint(shared: &Shared, claims: &Claims) -> String {
    let token = shared.mint.token(claims);
    shared.ledger().secrets.push(token.clone());
    token
}
