//! The HTTPS side: token, device code, authorize and metadata endpoints, v2 and v1.

use super::aadsts::Refusal;
use super::device::Wait;
use super::faults::{Act, Answer, Door, Fault, Leg, Numbers, Shape};
use super::grants::{self, Ask};
use super::http::{Request, Response};
use super::state::{Shared, TokenRequest};
use super::wire::Wire;
use super::{authorize, device};
use serde_json::json;
use std::io;
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

const ENDLESS_OCTETS: usize = 100 << 20;

/// Serves one connection to its end.
pub fn serve(shared: &Shared, tcp: TcpStream) {
    let log = Arc::new(Mutex::default());
    let mut wire = Wire::new(tcp, log, shared.stop.clone());
    let flaw = shared.ledger().faults.take(|fault| match fault {
        Fault::Certificate(Leg::Token, flaw) => Some(*flaw),
        _ => None,
    });
    let config = shared.authority.server(flaw, shared.tls());
    if wire.secure(config).is_ok() {
        while exchange(shared, &mut wire).unwrap_or(false) {}
    }
    wire.finish();
}

/// One request and its answer; false when the connection is to end.
fn exchange(shared: &Shared, wire: &mut Wire) -> io::Result<bool> {
    let Some(request) = Request::read(wire)? else {
        return Ok(false);
    };
    let form = request.form().unwrap_or_default();
    shared.ledger().learn_secrets(&form);
    let door = Door::at(&request.path);
    let fault = shared.ledger().faults.take(|fault| match fault {
        Fault::Token(answer) => Some(answer.clone()),
        Fault::On(at, answer) if Some(*at) == door => Some(answer.clone()),
        _ => None,
    });
    let instead = fault
        .as_ref()
        .and_then(|fault| replacement(fault, &request));
    let (response, fault) = match instead {
        Some(response) => (response, fault),
        None => match respond(shared, &request, fault.as_ref()) {
            Ok(response) => (response, fault),
            Err(answer) => (
                replacement(&answer, &request).unwrap_or_else(|| Response::html(200, "")),
                Some(answer),
            ),
        },
    };
    let response = match &fault {
        Some(Answer::Behind(text)) => response.behind(text),
        _ => response,
    };
    let silent = fault.as_ref().is_some_and(is_silent);
    shared.ledger().token_requests.push(TokenRequest {
        method: request.method.clone(),
        path: request.path.clone(),
        form,
        status: if silent { 0 } else { response.status },
    });
    send(wire, fault.as_ref(), &response, &request)
}

/// Whether a fault leaves a request without an answer.
pub fn is_silent(fault: &Answer) -> bool {
    matches!(fault, Answer::Reset | Answer::Close | Answer::Stall)
}

/// Sends an answer, or does what a fault wants in its place; false when the connection is to end.
pub fn send(
    wire: &mut Wire,
    fault: Option<&Answer>,
    response: &Response,
    request: &Request,
) -> io::Result<bool> {
    let ahead = match fault {
        Some(Answer::ClockAhead(seconds)) => *seconds,
        _ => 0,
    };
    let octets = response.octets(ahead);
    match fault {
        Some(Answer::Reset) => wire.misbehave(&Act::Reset, &octets),
        Some(Answer::Close) => wire.misbehave(&Act::Close, &octets),
        Some(Answer::Stall) => wire.misbehave(&Act::Stall, &octets),
        Some(Answer::Slowly(pause)) => {
            wire.write_slowly(&octets, *pause)?;
            Ok(false)
        }
        Some(Answer::CutBody) => {
            wire.write(&octets[..octets.len() - response.body.len() / 2])?;
            Ok(false)
        }
        Some(Answer::EndlessHeaders) => {
            wire.write(b"HTTP/1.1 200 OK\r\n")?;
            wire.write_endlessly(b"X-More: of the same\r\n", ENDLESS_OCTETS)?;
            Ok(false)
        }
        Some(Answer::EndlessBody) => {
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: \
                 {ENDLESS_OCTETS}\r\n\r\n{{\"access_token\":\""
            );
            wire.write(head.as_bytes())?;
            wire.write_endlessly(b"A", ENDLESS_OCTETS)?;
            Ok(false)
        }
        _ => {
            wire.write(&octets)?;
            Ok(request.field("connection") != Some("close"))
        }
    }
}

/// Answers that do not care about the request.
pub fn replacement(fault: &Answer, request: &Request) -> Option<Response> {
    Some(match fault {
        Answer::Raw(status, body) => Response::json(*status, body.clone()),
        // There an error is told on the way back to the program.
        Answer::Aadsts(_) if Door::at(&request.path) == Some(Door::Authorize) => return None,
        Answer::Aadsts(code) => error(&Refusal::from(*code), request),
        Answer::Worded(code, word) => error(&Refusal::worded(*code, word), request),
        Answer::Numbered(code, numbers) => {
            let (status, mut body) = Refusal::from(*code).members(None);
            match numbers {
                Numbers::Text => body["error_codes"] = json!([code.to_string()]),
                Numbers::InTextOnly => drop(body.as_object_mut()?.remove("error_codes")),
            }
            Response::json(status, body.to_string())
        }
        Answer::Shaped(shape, status, code, text) => {
            let body = match shape {
                Shape::Flat => json!({"error": code, "error_description": text}),
                Shape::AppService => json!({"statusCode": status, "message": text}),
                Shape::Nested => json!({"error": {"code": code, "message": text}}),
            };
            Response::json(*status, body.to_string())
        }
        Answer::Html200 => Response::html(200, "Welcome to Hotel Guest WiFi"),
        Answer::Proxy(status) => Response::html(*status, "proxy.contoso.test: access denied"),
        Answer::Redirect(status, url) => {
            Response::html(*status, "Object moved").with("Location", url.clone())
        }
        Answer::Throttled(pause) => {
            let body = json!({"error": "temporarily_unavailable", "error_description":
                "AADSTS90055: The server is too busy to handle the request."});
            let response = Response::json(429, body.to_string());
            match pause {
                Some(seconds) => response.with("Retry-After", seconds.to_string()),
                None => response,
            }
        }
        Answer::ServerError(status) => Response::html(*status, "Service unavailable"),
        Answer::Status(status) => {
            let body = json!({"error": "refused", "error_description": "The request was refused."});
            Response::json(*status, body.to_string())
        }
        _ => return None,
    })
}

/// The answer of whoever lives at the path; an error is something else than an answer.
fn respond(shared: &Shared, request: &Request, twist: Option<&Answer>) -> Result<Response, Answer> {
    let Some(form) = request.form() else {
        return Ok(error(&9_002_313.into(), request));
    };
    let segments: Vec<&str> = request.path.split('/').skip(1).collect();
    let answer = match segments[..] {
        [_, "oauth2", "v2.0", "token" | "devicecode"] | [_, "oauth2", "token" | "devicecode"]
            if request.method != "POST" =>
        {
            Err(900_561.into())
        }
        [tenant, "oauth2", "v2.0", "token"] | [tenant, "oauth2", "token"] => {
            let basic = request.field("authorization");
            let host = request.field("host").unwrap_or_default();
            let url = format!("https://{host}{}", request.path);
            let ask = Ask {
                url: &url,
                form: &form,
                tenant,
                v1: segments.len() == 3,
                basic,
                at: request.at,
            };
            grants::token(shared, &ask, twist)
        }
        [tenant, "oauth2", "v2.0", "devicecode"] | [tenant, "oauth2", "devicecode"] => {
            let client = form.get("client_id").map(String::as_str);
            let value = |name: &str| form.get(name).map(String::as_str);
            let cloud = shared.setup.cloud;
            let grant = match segments.len() {
                3 => cloud.grant_v1(value("resource")),
                _ => cloud.grant(value("scope").unwrap_or_default()),
            };
            grants::segment(shared, tenant)
                .and_then(|()| match client {
                    Some(id) if id == shared.setup.client_id => Ok(()),
                    Some(_) => Err(700_016),
                    None => Err(900_144),
                })
                .map_err(Refusal::from)
                .and_then(|()| Ok(device::start(shared, grant?)))
                .map_err(Wait::from)
        }
        [tenant, "oauth2", "v2.0", "authorize"] => {
            return Ok(match grants::segment(shared, tenant) {
                Ok(()) => authorize::answer(shared, request, twist),
                Err(code) => Response::html(400, &format!("AADSTS{code}")),
            });
        }
        [tenant, "v2.0", ".well-known", "openid-configuration"] => {
            let host = request.field("host").unwrap_or_default();
            let known = grants::segment(shared, tenant).map_err(Wait::from);
            known.map(|()| {
                let base = format!("https://{host}/{}", shared.setup.tenant_id);
                json!({
                    "issuer": format!("{base}/v2.0"),
                    "token_endpoint": format!("{base}/oauth2/v2.0/token"),
                    "authorization_endpoint": format!("{base}/oauth2/v2.0/authorize"),
                    "device_authorization_endpoint": format!("{base}/oauth2/v2.0/devicecode"),
                })
            })
        }
        _ => return Ok(Response::html(404, "404 - File or directory not found.")),
    };
    match answer {
        Ok(body) => Ok(Response::json(200, body.to_string())),
        Err(Wait::Refused(refusal)) => Ok(error(&refusal, request)),
        Err(Wait::Instead(answer)) => Err(answer),
    }
}

fn error(refusal: &Refusal, request: &Request) -> Response {
    let (status, body) = refusal.answer(request.field("client-request-id"));
    Response::json(status, body)
}
