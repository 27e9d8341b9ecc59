//! What each way to a token says, and how it reads what comes back: pairs without input or output.

pub(crate) mod application;
pub(super) mod assertion;
pub(crate) mod code;
pub(crate) mod command;
pub(crate) mod device;
pub mod identity;
pub(crate) mod refresh;

use super::Audience;

/// The parameter that says what the token is for.
fn purpose(audience: &Audience) -> (&'static str, &str) {
    match audience {
        Audience::Scope(scope) => ("scope", scope),
        Audience::Resource(resource) => ("resource", resource),
    }
}
