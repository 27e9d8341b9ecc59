//! Sign-in with a browser: authorization code with PKCE (RFC 6749 section 4.1, RFC 7636).

use super::purpose;
use crate::oauth::answer::Ask;
use crate::oauth::form::{Form, percent_encode};
use crate::oauth::{Account, Audience, Endpoint};
use crate::outcome::{Class, Failure};
use crate::sys::secret::Secret;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest;

/// One sign-in with a browser, from its address to its code.
pub(crate) struct Begun {
    /// Where the browser is sent back to.
    pub(crate) redirect_uri: String,
    /// What the browser has to bring back (RFC 6749 section 10.12).
    state: String,
    verifier: Secret,
}

/// What the browser brought back.
pub(crate) enum Back {
    Code(Secret),
    Failed(Failure),
    /// Not ours: another sign-in's, or made up.
    Strange,
}

impl Begun {
    /// `random` are the 32 octets of the verifier and of the state.
    pub(crate) fn new(redirect_uri: String, random: [[u8; 32]; 2]) -> Begun {
        let [verifier, state] = random.map(|octets| URL_SAFE_NO_PAD.encode(octets));
        Begun {
            redirect_uri,
            state,
            verifier: Secret::new(verifier),
        }
    }

    /// The address for the person's browser.
    pub(crate) fn url(&self, account: &Account, endpoint: &Endpoint) -> String {
        let mut url = endpoint.authorize_url.clone();
        let challenge = challenge(self.verifier.expose());
        let mut sign = if url.contains('?') { '&' } else { '?' };
        for (key, value) in [
            ("client_id", account.client_id.as_str()),
            ("response_type", "code"),
            ("redirect_uri", &self.redirect_uri),
            ("response_mode", "query"),
            purpose(&endpoint.audience),
            ("state", &self.state),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            ("login_hint", &account.user),
        ] {
            url.push(sign);
            url.push_str(key);
            url.push('=');
            percent_encode(&mut url, value);
            sign = '&';
        }
        url
    }

    /// What trades the code for tokens.
    pub(crate) fn form(
        &self,
        account: &Account,
        audience: &Audience,
        code: &Secret,
        client_secret: Option<&Secret>,
    ) -> Form {
        Form::of(&[
            ("client_id", Some(&account.client_id)),
            ("grant_type", Some("authorization_code")),
            (purpose(audience).0, Some(purpose(audience).1)),
            ("code", Some(code.expose())),
            ("redirect_uri", Some(&self.redirect_uri)),
            ("code_verifier", Some(self.verifier.expose())),
            ("client_secret", client_secret.map(Secret::expose)),
        ])
    }

    /// Reads the query that came back, or an address with it; `ask` explains Microsoft's errors.
    pub(crate) fn read(&self, ask: &Ask<'_>, text: &str) -> Back {
        let query = text.split_once('?').map_or(text, |(_, query)| query);
        let query = query.split('#').next().unwrap_or(query);
        let value = |key: &str| {
            query
                .split('&')
                .filter_map(|field| field.split_once('='))
                .find(|(name, _)| *name == key)
                .map(|(_, value)| decoded(value))
        };
        if value("state").as_deref() != Some(self.state.as_str()) {
            return Back::Strange;
        }
        match (
            value("error"),
            value("code").filter(|code| !code.is_empty()),
        ) {
            (Some(error), _) => {
                let description = value("error_description").unwrap_or_default();
                Back::Failed(ask.sign_in_refused(
                    &error,
                    &description,
                    value("error_subcode").as_deref(),
                ))
            }
            (None, Some(code)) => Back::Code(Secret::new(code)),
            (None, None) => Back::Failed(
                Failure::new(Class::Unavailable, "the browser brought no code back")
                    .because("the answer holds neither a code nor an error")
                    .fix("run `sendmail365 login` again"),
            ),
        }
    }

    /// For whoever must not show it.
    pub(crate) fn secret(&self) -> &str {
        self.verifier.expose()
    }
}

/// The challenge of a verifier (RFC 7636 section 4.2, S256).
fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes()))
}

/// `%XX` and `+` of a query undone; what is no UTF-8 is replaced.
fn decoded(text: &str) -> String {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let escaped = digits
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (first, escaped) {
            (b'%', Some(octet)) => {
                octets.push(octet);
                rest = after.get(2..).unwrap_or_default();
            }
            (b'+', _) => {
                octets.push(b' ');
                rest = after;
            }
            _ => {
                octets.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&octets).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::answer::tests::asking;
    use crate::oauth::grants::refresh::tests::endpoint;
    use crate::oauth::token::tests::account;

    fn begun() -> Begun {
        Begun::new("http://localhost:1234/".to_owned(), [[7; 32], [9; 32]])
    }

    #[test]
    fn the_challenge_is_that_of_the_published_vector() {
        assert_eq!(
            challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
    }

    #[test]
    fn a_verifier_has_the_length_and_letters_that_are_allowed() {
        let begun = begun();
        let verifier = begun.verifier.expose();
        assert!((43..=128).contains(&verifier.len()));
        assert!(
            verifier
                .bytes()
                .all(|octet| octet.is_ascii_alphanumeric() || b"-_".contains(&octet))
        );
        assert_ne!(verifier, begun.state);
    }

    #[test]
    fn the_address_holds_all_that_microsoft_asks_for_and_no_secret() {
        let begun = begun();
        let url = begun.url(&account(), &endpoint());
        for part in [
            "/oauth2/v2.0/authorize?client_id=11111111-2222-3333-4444-555555555555&",
            "&response_type=code&redirect_uri=http%3A%2F%2Flocalhost%3A1234%2F&response_mode=query&",
            "&scope=https%3A%2F%2Foutlook.office.com%2FSMTP.Send%20offline_access&state=",
            "&code_challenge_method=S256&login_hint=alerts%40contoso.com",
        ] {
            assert!(url.contains(part), "{part}: {url}");
        }
        assert!(!url.contains(begun.secret()));
    }

    #[test]
    fn a_v1_endpoint_is_asked_for_a_resource_by_the_browser_and_for_the_code() {
        let (begun, code) = (begun(), Secret::new("1.x".to_owned()));
        let resource = "https://partner.outlook.cn";
        let endpoint = Endpoint {
            audience: Audience::Resource(resource.to_owned()),
            ..endpoint()
        };
        let url = begun.url(&account(), &endpoint);
        let form = begun.form(&account(), &endpoint.audience, &code, None);
        for text in [&url, form.as_str()] {
            assert!(
                text.contains("&resource=https%3A%2F%2Fpartner.outlook.cn"),
                "{text}"
            );
            assert!(!text.contains("scope="), "{text}");
        }
    }

    #[test]
    fn only_the_own_state_is_taken() {
        let (begun, account) = (begun(), account());
        let state = begun.state.clone();
        let read = |text: &str| begun.read(&asking(&account), text);
        for text in [
            format!("code=1.x%2Fy&state={state}&session_state=1"),
            format!("/?state={state}&code=1.x%2Fy"),
            format!("http://localhost:1234/?code=1.x%2Fy&state={state}#"),
        ] {
            let Back::Code(code) = read(&text) else {
                panic!("{text}")
            };
            assert_eq!(code.expose(), "1.x/y");
        }
        for text in [
            "code=1.x".to_owned(),
            format!("code=1.x&state={state}x"),
            format!("code=1.x&state={}", &state[1..]),
            format!("code=1.x&xstate={state}"),
            String::new(),
            "favicon.ico".to_owned(),
        ] {
            assert!(matches!(read(&text), Back::Strange), "{text}");
        }
    }

    #[test]
    fn an_error_that_comes_back_is_explained() {
        let (begun, account) = (begun(), account());
        let text = format!(
            "error=access_denied&error_description=AADSTS65004%3a+User+declined+to+consent.%0d%0aTrace+ID%3a+t-1\
             &state={}",
            begun.state
        );
        let Back::Failed(failure) = begun.read(&asking(&account), &text) else {
            panic!()
        };
        assert_eq!(failure.code(), Some("AADSTS65004"));
        assert!(
            failure.why().unwrap().contains("User declined"),
            "{failure:?}"
        );
        let empty = format!("state={}", begun.state);
        assert!(matches!(
            begun.read(&asking(&account), &empty),
            Back::Failed(_)
        ));
    }
}
