//! A token for the application itself (RFC 6749 section 4.4), which never brings a refresh token.

use super::purpose;
use crate::oauth::form::Form;
use crate::oauth::{Account, Audience};

/// What the application shows of itself.
pub(crate) enum Credential<'a> {
    /// Its secret.
    Secret(&'a str),
    /// A JWT that it, or an issuer it is federated with, has signed (RFC 7523 section 2.2).
    Assertion(&'a str),
}

/// What is sent.
pub(crate) fn form(account: &Account, audience: &Audience, credential: &Credential<'_>) -> Form {
    let (secret, assertion) = match credential {
        Credential::Secret(secret) => (Some(*secret), None),
        Credential::Assertion(assertion) => (None, Some(*assertion)),
    };
    let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    Form::of(&[
        ("client_id", Some(&account.client_id)),
        ("grant_type", Some("client_credentials")),
        (purpose(audience).0, Some(purpose(audience).1)),
        ("client_secret", secret),
        ("client_assertion_type", assertion.map(|_| kind)),
        ("client_assertion", assertion),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::token::tests::account;

    #[test]
    fn a_secret_and_an_assertion_never_go_together() {
        let audience = Audience::Scope("https://outlook.office365.com/.default".to_owned());
        let sent = |credential| form(&account(), &audience, &credential).as_str().to_owned();
        assert_eq!(
            sent(Credential::Secret("a+b")),
            "client_id=11111111-2222-3333-4444-555555555555&grant_type=client_credentials\
             &scope=https%3A%2F%2Foutlook.office365.com%2F.default&client_secret=a%2Bb"
        );
        assert_eq!(
            sent(Credential::Assertion("eyJ.e30.c2ln")),
            "client_id=11111111-2222-3333-4444-555555555555&grant_type=client_credentials\
             &scope=https%3A%2F%2Foutlook.office365.com%2F.default\
             &client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer\
             &client_assertion=eyJ.e30.c2ln"
        );
    }
}
