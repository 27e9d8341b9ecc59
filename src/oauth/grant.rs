//! The ways to a token: a person who signed in once, or the application itself.

use super::grants::assertion::Certificate;
use crate::sys::secret::Secret;
use std::path::PathBuf;

/// What a token is got with; a value that exists has all that its way needs.
pub enum Grant {
    /// A person signed in; a refresh token is what is left of it.
    Delegated {
        /// Sent only with tokens that were got with it.
        client_secret: Option<Secret>,
    },
    /// The application shows its secret.
    ClientSecret(Secret),
    /// The application signs with the key of its certificate.
    Certificate(Box<Certificate>),
    /// The Azure host speaks for the application.
    ManagedIdentity {
        /// What App Service wants to see in `X-IDENTITY-HEADER`.
        header: Option<Secret>,
    },
    /// Another issuer speaks for the application; its token is read anew for each request.
    Federated {
        /// The file that the other issuer's agent keeps fresh.
        token_file: PathBuf,
    },
    /// A command of the administrator's prints the token.
    Command {
        /// Program and arguments; no shell.
        argv: Vec<String>,
    },
}

impl Grant {
    /// The grant by its name in the settings.
    pub fn name(&self) -> &'static str {
        match self {
            Grant::Delegated { .. } => "delegated",
            Grant::ClientSecret(_) => "client-secret",
            Grant::Certificate(_) => "certificate",
            Grant::ManagedIdentity { .. } => "managed-identity",
            Grant::Federated { .. } => "federated",
            Grant::Command { .. } => "command",
        }
    }

    /// Whether a person has to sign in.
    pub fn is_a_persons(&self) -> bool {
        matches!(self, Grant::Delegated { .. })
    }

    /// The secret of a confidential application that people sign in to.
    pub(crate) fn client_secret(&self) -> Option<&Secret> {
        match self {
            Grant::Delegated { client_secret } => client_secret.as_ref(),
            _ => None,
        }
    }
}
