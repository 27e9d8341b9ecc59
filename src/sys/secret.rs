//! Memory that holds a secret: neither printed nor compared by accident, wiped when dropped.

use zeroize::Zeroizing;

/// A refresh token, an access token or a client secret.
///
/// Without Debug, Display, Serialize and PartialEq on purpose: a secret leaves only through
/// `expose`, whose callers are a grep.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the text over.
    pub fn new(text: String) -> Secret {
        Secret(Zeroizing::new(text))
    }

    /// The text itself, for the one place that sends or stores it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}
