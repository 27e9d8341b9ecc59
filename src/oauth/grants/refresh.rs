//! A new access token for a refresh token (RFC 6749 section 6).

use super::purpose;
use crate::oauth::form::Form;
use crate::oauth::token::RefreshToken;
use crate::oauth::{Account, Audience};
use crate::sys::secret::Secret;

/// What is sent. The scope goes along each time: without it the token would be for whatever the
/// sign-in named first.
pub(crate) fn form(
    account: &Account,
    audience: &Audience,
    refresh_token: &RefreshToken,
    client_secret: Option<&Secret>,
) -> Form {
    Form::of(&[
        ("client_id", Some(&account.client_id)),
        ("grant_type", Some("refresh_token")),
        ("refresh_token", Some(refresh_token.expose())),
        (purpose(audience).0, Some(purpose(audience).1)),
        ("client_secret", client_secret.map(Secret::expose)),
    ])
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::oauth::Endpoint;
    use crate::oauth::token::tests::account;

    pub(crate) fn endpoint() -> Endpoint {
        let base = "https://login.microsoftonline.com/contoso/oauth2/v2.0";
        Endpoint {
            token_url: format!("{base}/token"),
            device_url: format!("{base}/devicecode"),
            authorize_url: format!("{base}/authorize"),
            audience: Audience::Scope(
                "https://outlook.office.com/SMTP.Send offline_access".to_owned(),
            ),
            proxy: None,
        }
    }

    fn fields(secret: Option<&str>, audience: &Audience) -> String {
        let refresh_token = RefreshToken::new("0.a~b+c/d=e&f").unwrap();
        let secret = secret.map(|text| Secret::new(text.to_owned()));
        form(&account(), audience, &refresh_token, secret.as_ref())
            .as_str()
            .to_owned()
    }

    #[test]
    fn secrets_with_any_octet_arrive_whole() {
        let form = fields(Some("s~e+c/r=e&t%\u{e4} ."), &endpoint().audience);
        let fields: Vec<(&str, &str)> = form
            .split('&')
            .map(|field| field.split_once('=').unwrap())
            .collect();
        assert_eq!(fields.len(), 5, "{form}");
        assert_eq!(fields[2], ("refresh_token", "0.a%7Eb%2Bc%2Fd%3De%26f"));
        assert_eq!(
            fields[3].1,
            "https%3A%2F%2Foutlook.office.com%2FSMTP.Send%20offline_access"
        );
        assert_eq!(
            fields[4],
            ("client_secret", "s%7Ee%2Bc%2Fr%3De%26t%25%C3%A4%20.")
        );
    }

    #[test]
    fn a_v1_endpoint_is_asked_for_a_resource_and_no_scope() {
        let form = fields(
            None,
            &Audience::Resource("https://partner.outlook.cn".to_owned()),
        );
        assert!(
            form.contains("&resource=https%3A%2F%2Fpartner.outlook.cn"),
            "{form}"
        );
        assert!(
            !form.contains("scope=") && !form.contains("client_secret"),
            "{form}"
        );
    }
}
