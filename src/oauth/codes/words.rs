//! The words that OAuth itself has for errors, for answers whose number is unknown or missing.

use crate::outcome::Actor::{self, Host, Microsoft, Tenant, User};
use crate::outcome::Fate;

/// What an `error` or a `suberror` means.
#[derive(Debug)]
pub struct Word {
    /// Any of these, or none of them counts.
    error: &'static [&'static str],
    suberror: &'static [&'static str],
    pub meaning: &'static str,
    pub cure: &'static str,
    pub actor: Actor,
    /// What becomes of the mail; none for what comes while a person signs in.
    pub fate: Option<Fate>,
}

/// The meaning of an `error` and its `suberror`, either of which may be empty.
pub fn word(error: &str, suberror: &str) -> Option<&'static Word> {
    WORDS
        .iter()
        .find(|row| row.suberror.contains(&suberror) || row.error.contains(&error))
}

/// Every word, and whether it is a `suberror`.
pub(crate) fn all() -> impl Iterator<Item = (&'static str, bool)> {
    let errors = WORDS.iter().flat_map(|row| row.error);
    let suberrors = WORDS.iter().flat_map(|row| row.suberror);
    let errors = errors.map(|word| (*word, false));
    errors.chain(suberrors.map(|word| (*word, true)))
}

const fn row(
    actor: Actor,
    (error, suberror): (&'static [&'static str], &'static [&'static str]),
    meaning: &'static str,
    cure: &'static str,
) -> Word {
    Word {
        error,
        suberror,
        meaning,
        cure,
        actor,
        fate: Some(Fate::Hold),
    }
}

impl Word {
    const fn passes(self) -> Word {
        let fate = Some(Fate::Defer);
        Word { fate, ..self }
    }

    const fn signing_in(self) -> Word {
        Word { fate: None, ..self }
    }
}

const LOGIN: &str = login!();
const SCOPE: &str = scope!();
const DEFECT: &str = "report this as a defect of sendmail365, with the text above";

#[rustfmt::skip]
const WORDS: &[Word] = &[
    row(User, (&[], &["basic_action"]),
        "a second factor or another sign-in step is demanded", LOGIN),
    row(Tenant, (&["consent_required"], &["consent_required"]),
        "nobody has consented to SMTP.Send yet",
        concat!("press Grant admin consent in ", registration!("API permissions"), ", or ", login!())),
    row(Host, (&[], &["client_mismatch"]),
        "the refresh token belongs to another application",
        concat!("correct client_id under [account], or ", login!())),
    row(Tenant, (&[], &["device_authentication_failed"]),
        "a policy wants a managed device, which this host cannot prove to be",
        concat!("exclude the account in ", policies!())),
    row(Tenant, (&[], &["protection_policy_required"]),
        "a policy wants an application that is managed by Intune",
        concat!("exclude the account in ", policies!())),
    row(User, (&["invalid_grant"], &["bad_token", "token_expired"]),
        "the stored sign-in is no longer accepted", LOGIN),
    row(User, (&["interaction_required", "login_required"], &[]),
        "Microsoft wants to see the user again", LOGIN),
    row(Host, (&["invalid_client"], &[]),
        "the application or its secret is not accepted",
        "check client_id under [account], and client_secret_file, certificate_file or federated_token_file there"),
    row(Host, (&["unauthorized_client"], &[]),
        "the application may not use this way of signing in",
        concat!("check client_id and tenant under [account], and ", registration!("Authentication"))),
    row(Host, (&["invalid_scope", "invalid_resource", "invalid_target"], &[]),
        "the scope is not accepted", SCOPE),
    row(Tenant, (&["access_denied"], &[]),
        "a policy of the tenant, or the user, said no",
        concat!("ask the tenant's administrator for the sign-in log of this account: ", user!("Sign-in logs"))),
    row(User, (&["authorization_declined"], &[]),
        "the user said no in the browser",
        concat!("sign in again and accept: ", login!())).signing_in(),
    row(User, (&["authorization_pending"], &[]),
        "the sign-in has not been finished in the browser yet", "finish it in the browser").signing_in(),
    row(Microsoft, (&["slow_down"], &[]),
        "the sign-in is asked for too often",
        "wait: the time between two questions grows by 5 seconds by itself").signing_in(),
    row(User, (&["expired_token", "code_expired"], &[]),
        "the code has expired",
        concat!("sign in again and type the new code sooner: ", login!())).signing_in(),
    row(Host, (&["bad_verification_code"], &[]),
        "the server does not know the code of this sign-in", DEFECT).signing_in(),
    row(Host, (&["invalid_request"], &[]),
        "the request is malformed or lacks a value",
        "check tenant and client_id under [account], and authority and token_url under [endpoint]"),
    row(Host, (&["invalid_tenant"], &[]),
        "there is no such tenant in this cloud",
        "check tenant under [account] and authority under [endpoint]"),
    row(Host, (&["unsupported_grant_type", "unsupported_response_type"], &[]),
        "the server does not know this way of signing in", DEFECT),
    row(Microsoft, (&["temporarily_unavailable", "server_error"], &[]),
        "Microsoft's sign-in service has a passing fault", "send again later").passes(),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_found_by_itself_and_a_suberror_goes_first() {
        for (text, is_suberror) in all() {
            let found = match is_suberror {
                true => word("", text),
                false => word(text, ""),
            };
            assert!(found.is_some(), "{text}");
        }
        assert!(word("", "").is_none() && word("made_up", "made_up").is_none());
        let both = word("invalid_grant", "basic_action").unwrap();
        assert!(both.meaning.contains("second factor"));
        let consent = word("invalid_grant", "consent_required").unwrap();
        assert!(consent.cure.contains("Grant admin consent"));
    }

    #[test]
    fn every_word_of_a_fault_that_passes_is_deferred() {
        for text in ["temporarily_unavailable", "server_error"] {
            assert_eq!(word(text, "").unwrap().fate, Some(Fate::Defer), "{text}");
        }
        assert_eq!(word("invalid_grant", "").unwrap().fate, Some(Fate::Hold));
    }
}
