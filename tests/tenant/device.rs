//! Sign-in with a code on another device (RFC 8628).

use super::clock;
use super::scope::{self, Grant};
use super::state::Shared;
use serde_json::{Value, json};

/// What the person at the other device does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignIn {
    /// Signs in after so many polls.
    After(u32),
    Declined,
    Expired,
}

/// A device code that is being waited for.
pub struct Device {
    polls: u32,
    grant: Grant,
}

/// The answer of the device code endpoint.
pub fn start(shared: &Shared, wanted: &str) -> Result<Value, u32> {
    let grant = scope::grant(wanted)?;
    let device_code = format!("CANARY-DC-{}", clock::text(180));
    let user_code = clock::session_id()
        .chars()
        .rev()
        .take(9)
        .collect::<String>();
    let mut ledger = shared.ledger();
    ledger.secrets.push(device_code.clone());
    ledger
        .devices
        .insert(device_code.clone(), Device { polls: 0, grant });
    Ok(json!({
        "user_code": user_code,
        "device_code": device_code,
        "verification_uri": "https://microsoft.com/devicelogin",
        "expires_in": 900,
        "interval": shared.setup.device_interval,
        "message": format!(
            "To sign in, use a web browser to open the page https://microsoft.com/devicelogin and \
             enter the code {user_code} to authenticate."
        ),
    }))
}

/// One poll: what was granted, or the number of the error.
pub fn poll(shared: &Shared, device_code: &str) -> Result<Grant, u32> {
    let mut ledger = shared.ledger();
    let device = ledger.devices.get_mut(device_code).ok_or(70_000_u32)?;
    device.polls += 1;
    match shared.setup.sign_in {
        SignIn::After(polls) if device.polls <= polls => Err(70_016),
        SignIn::After(_) => {
            let grant = device.grant.clone();
            ledger.devices.remove(device_code);
            Ok(grant)
        }
        SignIn::Declined => Err(65_004),
        SignIn::Expired => Err(70_020),
    }
}
