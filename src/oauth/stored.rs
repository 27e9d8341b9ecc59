//! What a host keeps of its sign-in, told without its secrets.

use super::slot::Slot;
use super::token::Claims;

/// A stored sign-in.
pub struct Stored {
    /// The way of signing in: `import`, `device`, `certificate`, ...
    pub flow: String,
    /// When tokens were got last; seconds since 1970.
    pub obtained_at: u64,
    /// The end of the access token, if there is one; seconds since 1970.
    pub expires_at: Option<u64>,
    /// What the access token says of itself, if it can be read.
    pub claims: Option<Claims>,
    /// Whether a person's refresh token is kept.
    pub persons: bool,
}

impl Stored {
    pub(crate) fn of(slot: &Slot) -> Stored {
        let token = slot.access_token.as_ref();
        Stored {
            flow: slot.flow.clone(),
            obtained_at: slot.obtained_at,
            expires_at: token.map(|_| slot.expires_at),
            claims: token.and_then(|token| Claims::of(token.expose())),
            persons: slot.refresh_token.is_some(),
        }
    }
}
