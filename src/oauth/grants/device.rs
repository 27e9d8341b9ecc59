//! Sign-in with a code on another device (RFC 8628).

use super::purpose;
use crate::oauth::answer::{Ask, Granted, Reply, object, taken};
use crate::oauth::form::Form;
use crate::oauth::token::number;
use crate::oauth::{Account, Audience};
use crate::outcome::{Class, Failure, Fate};
use crate::sys::secret::Secret;
use serde_json::{Map, Value};
use std::time::Duration;

/// A code that waits for a person.
pub struct DeviceCode {
    device_code: Secret,
    /// What the person types.
    pub user_code: String,
    /// The page where it is typed.
    pub verification_uri: String,
    /// How long the code lasts from the moment it was asked for.
    pub lifetime: Duration,
    /// How long to wait before the first poll.
    pub interval: Duration,
}

/// What one poll brought.
pub(crate) enum Polled {
    Granted(Box<Granted>),
    /// The person is not done yet.
    Pending,
    /// The interval has to grow (RFC 8628 section 3.5).
    SlowDown,
    /// The code has ended.
    Expired,
    /// No answer of the server's; ask again, at the earliest after this time if it is known.
    Disturbed(Failure),
    /// There is no use in asking again.
    Failed(Failure),
}

/// What asks for a code.
pub(crate) fn request(account: &Account, audience: &Audience) -> Form {
    Form::of(&[
        ("client_id", Some(&account.client_id)),
        (purpose(audience).0, Some(purpose(audience).1)),
    ])
}

/// What asks whether the person is done. No secret goes along: who signs in this way is a public client.
///
/// The v1 endpoints, older than RFC 8628, have words of their own.
pub(crate) fn poll(account: &Account, audience: &Audience, code: &DeviceCode) -> Form {
    let (kind, name, resource) = match audience {
        Audience::Scope(_) => (
            "urn:ietf:params:oauth:grant-type:device_code",
            "device_code",
            None,
        ),
        Audience::Resource(resource) => ("device_code", "code", Some(resource.as_str())),
    };
    Form::of(&[
        ("client_id", Some(&account.client_id)),
        ("grant_type", Some(kind)),
        (name, Some(code.device_code.expose())),
        ("resource", resource),
    ])
}

/// The code of an answer, or why there is none.
pub(crate) fn read_code(ask: &Ask<'_>, reply: Reply) -> Result<DeviceCode, Failure> {
    let answer = (200..300).contains(&reply.status).then_some(&reply.body);
    match answer.and_then(|body| object(body)).and_then(code) {
        Some(code) => Ok(code),
        None => match ask.read(reply) {
            Ok(_) => Err(ask.incomplete("a device code")),
            Err(failure) => Err(failure),
        },
    }
}

fn code(mut answer: Map<String, Value>) -> Option<DeviceCode> {
    const LIFETIME_SECONDS: f64 = 900.0;
    const INTERVAL_SECONDS: f64 = 5.0;
    // A poll without a pause between is what Microsoft takes for a loop.
    const INTERVAL_SECONDS_MIN: f64 = 1.0;
    const INTERVAL_SECONDS_MAX: f64 = 300.0;
    let device_code = taken(&mut answer, "device_code").filter(|text| !text.is_empty())?;
    let text = |key: &str| answer.get(key)?.as_str().map(str::to_owned);
    let seconds = |key: &str| answer.get(key).and_then(number);
    // RFC 8628 says _uri, drafts of it and some servers _url.
    let verification_uri = text("verification_uri").or_else(|| text("verification_url"))?;
    let lifetime = seconds("expires_in")
        .unwrap_or(LIFETIME_SECONDS)
        .clamp(0.0, 86_400.0);
    let interval = seconds("interval").filter(|seconds| *seconds >= 0.0);
    let interval = interval
        .unwrap_or(INTERVAL_SECONDS)
        .clamp(INTERVAL_SECONDS_MIN, INTERVAL_SECONDS_MAX);
    Some(DeviceCode {
        user_code: text("user_code").filter(|code| !code.is_empty())?,
        device_code: Secret::new((*device_code).clone()),
        verification_uri,
        lifetime: Duration::from_secs_f64(lifetime),
        interval: Duration::from_secs_f64(interval),
    })
}

/// What an answer to a poll means.
pub(crate) fn read_poll(ask: &Ask<'_>, reply: Reply) -> Polled {
    let error = object(&reply.body)
        .and_then(|answer| answer.get("error")?.as_str().map(str::to_owned))
        .unwrap_or_default();
    match error.as_str() {
        "authorization_pending" => return Polled::Pending,
        "slow_down" => return Polled::SlowDown,
        "expired_token" | "code_expired" => return Polled::Expired,
        _ => {}
    }
    match ask.read(reply) {
        Ok(granted) => Polled::Granted(Box::new(granted)),
        Err(failure) if matches!(error.as_str(), "authorization_declined" | "access_denied") => {
            Polled::Failed(declined(failure))
        }
        Err(failure) if error == "bad_verification_code" => {
            Polled::Failed(failure.fix("run `sendmail365 login` again, for a new code"))
        }
        Err(failure) if failure.fate() == Fate::Defer => Polled::Disturbed(failure),
        Err(failure) => Polled::Failed(failure),
    }
}

/// A policy says no with the word that RFC 8628 has for the person's own no.
fn declined(failure: Failure) -> Failure {
    let said_no = failure.code().is_none_or(|code| code == "AADSTS65004");
    match said_no {
        true => failure
            .as_class(Class::NoPermission)
            .told_as("the sign-in was declined"),
        false => failure,
    }
}

impl DeviceCode {
    /// For whoever must not show it.
    pub(crate) fn secret(&self) -> &str {
        self.device_code.expose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn between_two_polls_there_is_a_pause_whatever_the_server_names() {
        for (interval, seconds) in [
            (json!(7), 7),
            (json!("7"), 7),
            (json!(null), 5),
            (json!(-1), 5),
            (json!(0), 1),
            (json!(0.001), 1),
            (json!(1e9), 300),
        ] {
            let answer = json!({
                "device_code": "d", "user_code": "u", "verification_uri": "https://x", "interval": interval,
            });
            let Value::Object(answer) = answer else {
                panic!("no object")
            };
            assert_eq!(code(answer).unwrap().interval, Duration::from_secs(seconds));
        }
    }
}
