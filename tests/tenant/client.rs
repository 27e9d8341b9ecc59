//! Which application asks, and with what it proves that.

use super::aadsts::Refusal;
use super::assertion;
use super::grants::{Ask, Credential};
use super::state::Shared;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A grant without a user.
pub const APPLICATION: &str = "client_credentials";

/// The application's proof, judged; a public client must show none.
pub fn authenticate(shared: &Shared, ask: &Ask, kind: &str) -> Result<Credential, Refusal> {
    let setup = &shared.setup;
    let (client, secret) = credentials(ask);
    if client.ok_or(900_144_u32)? != setup.client_id {
        return Err(700_016.into());
    }
    let assertion = ask.value("client_assertion");
    let shown = secret.is_some() || assertion.is_some();
    let application = kind == APPLICATION;
    let may_show = application || setup.confidential;
    // With public flows allowed a device needs no secret, and Microsoft refuses one.
    let device = setup.public_flows && kind.ends_with("device_code");
    let may_hide = !application && (!setup.confidential || setup.public_flows);
    if shown && (!may_show || device) {
        return Err(700_025.into());
    }
    if !shown && !may_hide {
        return Err(7_000_218.into());
    }
    match (secret, assertion) {
        (Some(_), Some(_)) => Err(Refusal::detailed(90_023, "a secret and an assertion")),
        (Some(secret), None) if secret != setup.client_secret => Err(7_000_215.into()),
        (Some(_), None) if setup.secret_expired => Err(7_000_222.into()),
        (Some(_), None) => Ok(Credential::Secret),
        (None, Some(assertion)) => assertion::verify(shared, ask, assertion),
        (None, None) => Ok(Credential::None),
    }
}

/// Id and secret from HTTP Basic (RFC 6749 section 2.3.1), where they may stand too.
fn credentials(ask: &Ask) -> (Option<String>, Option<String>) {
    let basic = ask
        .basic
        .and_then(|value| value.strip_prefix("Basic "))
        .and_then(|value| STANDARD.decode(value).ok())
        .and_then(|octets| String::from_utf8(octets).ok());
    match basic.as_deref().and_then(|text| text.split_once(':')) {
        Some((client, secret)) => (Some(client.to_owned()), Some(secret.to_owned())),
        None => (
            ask.value("client_id").map(str::to_owned),
            ask.value("client_secret").map(str::to_owned),
        ),
    }
}
