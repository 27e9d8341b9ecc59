//! Access token and refresh token, and what an access token says about itself.
//!
//! Microsoft calls access tokens opaque, and those of personal accounts are. Where one is a JWT its
//! claims show mistakes that the submission server would answer with a bare 535, so they are read
//! before the first SMTP connection; a token that cannot be read is never an error.

use super::{Account, Grant};
use crate::outcome::{Failure, Stage};
use crate::sys::secret::Secret;
use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value};
use std::time::{SystemTime, UNIX_EPOCH};

/// The token that signs a submission in.
#[derive(Clone)]
pub struct AccessToken {
    secret: Secret,
}

impl AccessToken {
    pub(crate) fn new(secret: Secret) -> AccessToken {
        AccessToken { secret }
    }

    /// The token itself, for the XOAUTH2 response.
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// What the token says of itself, if it can be read.
    pub fn claims(&self) -> Option<Claims> {
        Claims::of(self.secret.expose())
    }

    /// Whether `other` is the same token, so that a refused one is not taken again.
    pub(crate) fn is(&self, other: &Secret) -> bool {
        self.secret.expose() == other.expose()
    }
}

/// The token that fetches access tokens; valid until it is revoked or unused for 90 days.
#[derive(Clone)]
pub(crate) struct RefreshToken(Secret);

impl RefreshToken {
    /// Octets of the longest one.
    pub(crate) const SIZE_MAX: usize = 32 * 1024;

    /// Refuses what no server hands out: an empty text, one over 32 KiB, anything but visible ASCII.
    pub(crate) fn new(text: &str) -> Option<RefreshToken> {
        (text.len() <= RefreshToken::SIZE_MAX && is_token(text))
            .then(|| RefreshToken(Secret::new(text.to_owned())))
    }

    pub(crate) fn expose(&self) -> &str {
        self.0.expose()
    }
}

/// Whether the text can stand in `auth=Bearer ...`: visible ASCII, at least one.
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_graphic())
}

/// Seconds since 1970; a clock before that counts as 1970.
pub(crate) fn seconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// A number of seconds as answers and claims write it: integer, float, or either as a string.
pub(crate) fn number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.filter(|number| number.is_finite())
}

/// What an access token says about itself; text from outside, not escaped yet.
#[derive(Default)]
pub struct Claims {
    audiences: Vec<String>,
    users: Vec<String>,
    tenant: Option<String>,
    client: Option<String>,
    object: Option<String>,
    scopes: Option<String>,
    roles: Option<Vec<String>>,
    /// Seconds since 1970.
    pub(crate) expires_at: Option<f64>,
    /// Seconds since 1970.
    pub(crate) not_before: Option<f64>,
}

/// In which way a token does not fit the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Misfit {
    /// It belongs to another user or tenant.
    Person,
    /// It belongs to the right user and opens another service.
    Purpose,
}

impl Claims {
    /// The claims of a JWT; none for an opaque token.
    pub(crate) fn of(token: &str) -> Option<Claims> {
        const LENIENT: GeneralPurpose = GeneralPurpose::new(
            &URL_SAFE,
            GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
        );
        let mut parts = token.split('.');
        let (_, body, _) = (parts.next()?, parts.next()?, parts.next()?);
        let json = LENIENT.decode(body).ok()?;
        let claims: Map<String, Value> = serde_json::from_slice(&json).ok()?;
        let text = |key: &str| claims.get(key).and_then(Value::as_str).map(str::to_owned);
        let texts = |key: &str| match claims.get(key) {
            Some(Value::Array(all)) => all
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
            _ => text(key).into_iter().collect(),
        };
        let names = ["upn", "unique_name", "preferred_username"];
        Some(Claims {
            audiences: texts("aud"),
            users: names
                .into_iter()
                .filter_map(text)
                .filter(|name| !name.is_empty())
                .collect(),
            tenant: text("tid"),
            client: text("appid").or_else(|| text("azp")),
            object: text("oid"),
            scopes: text("scp"),
            roles: claims.contains_key("roles").then(|| texts("roles")),
            expires_at: claims.get("exp").and_then(number),
            not_before: claims.get("nbf").and_then(number),
        })
    }

    /// Who signed in, as the token says.
    pub fn user(&self) -> Option<&str> {
        self.users.first().map(|name| bare(name))
    }

    /// The tenant's id.
    pub fn tenant(&self) -> Option<&str> {
        self.tenant.as_deref()
    }

    /// The application's id.
    pub fn client(&self) -> Option<&str> {
        self.client.as_deref()
    }

    /// The object id of the user, or of the application's service principal.
    pub fn object(&self) -> Option<&str> {
        self.object.as_deref()
    }

    /// The service that the token opens.
    pub fn audience(&self) -> Option<&str> {
        self.audiences.first().map(String::as_str)
    }

    /// What the user has permitted, separated by blanks.
    pub fn scopes(&self) -> Option<&str> {
        self.scopes.as_deref()
    }

    /// What the tenant has permitted the application; none if the token says nothing of it.
    pub fn roles(&self) -> Option<&[String]> {
        self.roles.as_deref()
    }

    /// The service that the token opens, if it is neither known to be right nor known to be wrong.
    pub(crate) fn unknown_audience(&self) -> Option<&str> {
        let first = self.audiences.first()?;
        (!self.audiences.iter().any(|audience| is_outlook(audience))).then_some(first)
    }

    /// Whether both tokens name the same user of the same tenant.
    pub(crate) fn same_person(&self, other: &Claims) -> bool {
        let (Some(mine), Some(theirs)) = (self.user(), other.user()) else {
            return false;
        };
        mine.eq_ignore_ascii_case(theirs) && self.tenant.is_some() && self.tenant == other.tenant
    }

    /// Whether the token can submit mail for the account, as far as it tells.
    pub(crate) fn check(&self, account: &Account) -> Result<(), (Misfit, Failure)> {
        self.check_user(account)
            .map_err(|failure| (Misfit::Person, failure))?;
        self.check_tenant(account)
            .map_err(|failure| (Misfit::Person, failure))?;
        self.check_audience(account)
            .map_err(|failure| (Misfit::Purpose, failure))?;
        self.check_scopes(account)
            .map_err(|failure| (Misfit::Purpose, failure))
    }

    fn check_user(&self, account: &Account) -> Result<(), Failure> {
        let wanted = |name: &String| bare(name).eq_ignore_ascii_case(&account.user);
        let Some(actual) = self.user().filter(|_| !self.users.iter().any(wanted)) else {
            return Ok(());
        };
        Err(unfit(account, "user")
            .because(format!("it belongs to {actual}, not to {}", account.user))
            .fix(format!(
                "{}; if {actual} may send as {}, set user = \"{actual}\" under [account]",
                own_token(account),
                account.mailbox
            )))
    }

    fn check_tenant(&self, account: &Account) -> Result<(), Failure> {
        let Some(actual) = self.tenant.as_deref().filter(|_| is_guid(&account.tenant)) else {
            return Ok(());
        };
        if actual.eq_ignore_ascii_case(&account.tenant) {
            return Ok(());
        }
        Err(unfit(account, "tenant")
            .because(format!(
                "it belongs to tenant {actual}, not to {}",
                account.tenant
            ))
            .fix(match by_itself(account) {
                true => "correct tenant under [account]".to_owned(),
                false => format!("correct tenant under [account], or {}", own_token(account)),
            }))
    }

    fn check_audience(&self, account: &Account) -> Result<(), Failure> {
        if self.audiences.iter().any(|audience| is_outlook(audience)) {
            return Ok(());
        }
        let wrong = self
            .audiences
            .iter()
            .find_map(|audience| Some((audience, wrong_service(audience)?)));
        let Some((audience, service)) = wrong else {
            return Ok(());
        };
        Err(unfit(account, "audience")
            .because(format!(
                "the token is for {service}, not for Outlook (audience {audience}); \
                 SMTP would refuse it with 535 5.7.3"
            ))
            .fix(scope_cure(account)))
    }

    fn check_scopes(&self, account: &Account) -> Result<(), Failure> {
        let Some(scopes) = self.scopes.as_deref() else {
            return Ok(());
        };
        let outlook = self.audiences.iter().any(|audience| is_outlook(audience));
        if !outlook
            || scopes
                .split_whitespace()
                .any(|scope| scope.eq_ignore_ascii_case("SMTP.Send"))
        {
            return Ok(());
        }
        Err(unfit(account, "scope")
            .because(format!(
                "the token permits `{scopes}`, which lacks SMTP.Send"
            ))
            .fix(match account.grant {
                Grant::Delegated { .. } => format!(
                    "add SMTP.Send (delegated) under API permissions of the registration, {}, \
                     then run `sendmail365 login`, as root or as the user whose \
                     settings these are",
                    scope_cure(account)
                ),
                _ => scope_cure(account).to_owned(),
            }))
    }
}

/// Whether the application speaks for itself, so that nobody can be the wrong one.
fn by_itself(account: &Account) -> bool {
    !matches!(
        account.grant,
        Grant::Delegated { .. } | Grant::Command { .. }
    )
}

/// How to come by a token of the right user.
fn own_token(account: &Account) -> String {
    let user = &account.user;
    match account.grant {
        Grant::Delegated { .. } => format!(
            "run `sendmail365 login` and sign in as {user}, as root or as the user whose \
             settings these are"
        ),
        Grant::Command { .. } => {
            format!("have token_command under [account] print a token of {user}")
        }
        _ => "check tenant and client_id under [account]".to_owned(),
    }
}

/// How to come by a token for the right service.
fn scope_cure(account: &Account) -> &'static str {
    match account.grant {
        Grant::Delegated { .. } => {
            "the scope must be exactly \
             `https://outlook.office.com/SMTP.Send offline_access` (in other clouds their own Outlook host): \
             correct or empty scope and resource under [endpoint]"
        }
        Grant::Command { .. } => {
            "have token_command under [account] ask for a token for Outlook: of a user with the scope \
             `https://outlook.office.com/SMTP.Send`, of an application with \
             `https://outlook.office365.com/.default` (in other clouds their own Outlook host)"
        }
        _ => {
            "the scope must be exactly `https://outlook.office365.com/.default` (in other clouds their own \
             Outlook host): correct or empty scope and resource under [endpoint]"
        }
    }
}

fn unfit(account: &Account, reason: &str) -> Failure {
    let failure = Failure::hold(format!("the access token does not fit {}", account.mailbox));
    let failure = failure.at(Stage::Token);
    match account.grant {
        // It ran with the rights and limits of whoever called: nothing of it speaks for the server.
        Grant::Command { .. } => failure.with_reason(format!("command-{reason}")),
        _ => failure.with_reason(reason),
    }
}

/// A guest's name carries where he comes from in front: `live.com#joe@outlook.com`.
fn bare(name: &str) -> &str {
    name.rsplit('#').next().unwrap_or(name)
}

/// Whether the text has the shape of a tenant's id.
pub fn is_guid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(place, octet)| match place {
            8 | 13 | 18 | 23 => octet == b'-',
            _ => octet.is_ascii_hexdigit(),
        })
}

fn is_outlook(audience: &str) -> bool {
    const OUTLOOK: [&str; 8] = [
        "outlook.office.com",
        "outlook.office365.com",
        "outlook.office365.us",
        "outlook-dod.office365.us",
        "partner.outlook.cn",
        "outlook.office.de",
        "ps.outlook.com",
        "00000002-0000-0ff1-ce00-000000000000",
    ];
    OUTLOOK.contains(&service(audience).as_str())
}

/// The service of an audience that is known to be useless for SMTP.
fn wrong_service(audience: &str) -> Option<&'static str> {
    match service(audience).as_str() {
        "graph.microsoft.com"
        | "graph.microsoft.us"
        | "dod-graph.microsoft.us"
        | "microsoftgraph.chinacloudapi.cn"
        | "graph.microsoft.de"
        | "00000003-0000-0000-c000-000000000000" => Some("Microsoft Graph"),
        "graph.windows.net"
        | "graph.microsoftazure.us"
        | "graph.chinacloudapi.cn"
        | "graph.cloudapi.de"
        | "00000002-0000-0000-c000-000000000000" => Some("Azure AD Graph"),
        _ => None,
    }
}

/// An audience without scheme, path and trailing slash: `https://graph.microsoft.com/` and the
/// GUID with or without `spn:` are one name each.
fn service(audience: &str) -> String {
    let name = audience.trim().to_ascii_lowercase();
    let name = name.strip_prefix("spn:").unwrap_or(&name);
    let name = name.strip_prefix("https://").unwrap_or(name);
    name.split(['/', ':']).next().unwrap_or(name).to_owned()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::oauth::Grant;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::json;

    /// An unsigned JWT with these claims.
    pub(crate) fn jwt(claims: Value) -> String {
        let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.c2ln", part(json!({"alg": "none"})), part(claims))
    }

    pub(crate) fn account() -> Account {
        Account {
            mailbox: "alerts@contoso.com".to_owned(),
            user: "alerts@contoso.com".to_owned(),
            tenant: "contoso.onmicrosoft.com".to_owned(),
            client_id: "11111111-2222-3333-4444-555555555555".to_owned(),
            grant: Grant::Delegated {
                client_secret: None,
            },
        }
    }

    fn verdict(claims: Value, account: &Account) -> Result<(), (Misfit, Failure)> {
        Claims::of(&jwt(claims)).unwrap().check(account)
    }

    fn refused(claims: Value) -> (Misfit, String) {
        let (misfit, failure) = verdict(claims, &account()).unwrap_err();
        (misfit, failure.lines("sendmail").join("\n"))
    }

    #[test]
    fn an_opaque_token_is_never_an_error() {
        for token in [
            "EwBAAl3BAAUFFpUAo7J3Ve0bjLBWZWCclRC3EoAA",
            "",
            "a.b",
            "a.b.c",
            "..",
            "eyJ.eyJ.x",
        ] {
            assert!(Claims::of(token).is_none(), "{token}");
        }
    }

    #[test]
    fn a_token_for_graph_is_explained_however_its_audience_is_written() {
        for audience in [
            "https://graph.microsoft.com",
            "https://graph.microsoft.com/",
            "HTTPS://Graph.Microsoft.com",
            "00000003-0000-0000-c000-000000000000",
            "00000003-0000-0000-c000-000000000000/",
        ] {
            let (misfit, text) = refused(json!({"aud": audience, "scp": "Mail.Send SMTP.Send"}));
            assert_eq!(misfit, Misfit::Purpose);
            assert!(
                text.contains("the token is for Microsoft Graph, not for Outlook"),
                "{text}"
            );
            assert!(
                text.contains("`https://outlook.office.com/SMTP.Send offline_access`"),
                "{text}"
            );
        }
        let (_, text) = refused(json!({"aud": "https://graph.windows.net/"}));
        assert!(text.contains("Azure AD Graph"), "{text}");
    }

    #[test]
    fn an_unknown_audience_is_noted_and_not_refused() {
        let claims = Claims::of(&jwt(json!({"aud": "https://outlook.sovcloud.example"}))).unwrap();
        assert!(claims.check(&account()).is_ok());
        assert_eq!(
            claims.unknown_audience(),
            Some("https://outlook.sovcloud.example")
        );
        let claims = Claims::of(&jwt(json!({"aud": "https://outlook.office365.com/"}))).unwrap();
        assert_eq!(claims.unknown_audience(), None);
    }

    #[test]
    fn a_token_without_smtp_send_is_refused_with_the_cure() {
        let (misfit, text) =
            refused(json!({"aud": "https://outlook.office.com", "scp": "IMAP.AccessAsUser.All"}));
        assert_eq!(misfit, Misfit::Purpose);
        assert!(text.contains("lacks SMTP.Send"), "{text}");
        assert!(text.contains("API permissions"), "{text}");
        let app_only = json!({"aud": "https://outlook.office365.com", "roles": ["SMTP.SendAsApp"]});
        assert!(verdict(app_only, &account()).is_ok());
    }

    #[test]
    fn a_token_of_another_user_names_both() {
        let (misfit, text) = refused(json!({"upn": "admin@contoso.com"}));
        assert_eq!(misfit, Misfit::Person);
        assert!(
            text.contains("belongs to admin@contoso.com, not to alerts@contoso.com"),
            "{text}"
        );
        for claims in [
            json!({"upn": "Alerts@Contoso.com"}),
            json!({"upn": "x@contoso.onmicrosoft.com", "preferred_username": "alerts@contoso.com"}),
            json!({"unique_name": "live.com#alerts@contoso.com"}),
            json!({"upn": ""}),
            json!({}),
        ] {
            assert!(verdict(claims, &account()).is_ok());
        }
    }

    #[test]
    fn the_tenant_is_compared_only_if_it_is_an_id() {
        let claims = || json!({"tid": "9188040d-6c67-4c5b-b112-36a304b66dad"});
        assert!(verdict(claims(), &account()).is_ok());
        let mut account = account();
        account.tenant = "9188040D-6C67-4C5B-B112-36A304B66DAD".to_owned();
        assert!(verdict(claims(), &account).is_ok());
        account.tenant = "00000000-6c67-4c5b-b112-36a304b66dad".to_owned();
        let (misfit, failure) = verdict(claims(), &account).unwrap_err();
        assert_eq!((misfit, failure.reason()), (Misfit::Person, Some("tenant")));
    }

    #[test]
    fn times_are_read_as_numbers_and_as_strings() {
        let claims = Claims::of(&jwt(json!({"exp": "1321658940", "nbf": 1_321_655_340}))).unwrap();
        assert_eq!(claims.expires_at, Some(1_321_658_940.0));
        assert_eq!(claims.not_before, Some(1_321_655_340.0));
        let claims = Claims::of(&jwt(
            json!({"exp": "soon", "nbf": [1], "aud": ["a", 1], "upn": 7}),
        ))
        .unwrap();
        assert!(claims.expires_at.is_none() && claims.not_before.is_none());
    }

    #[test]
    fn a_time_before_the_clock_does_no_harm() {
        assert_eq!(seconds(UNIX_EPOCH - std::time::Duration::from_secs(5)), 0);
    }

    #[test]
    fn a_refresh_token_is_one_visible_word() {
        assert!(RefreshToken::new("0.AXoA-_~+/=").is_some());
        for text in ["", "a b", "a\r\n", "a\0", "\u{e4}", &"a".repeat(40_000)] {
            assert!(RefreshToken::new(text).is_none());
        }
    }

    fn with_grant(grant: Grant) -> Account {
        Account {
            grant,
            tenant: "99999999-2222-3333-4444-555555555555".to_owned(),
            ..account()
        }
    }

    /// Nobody can sign in where nobody has signed in.
    #[test]
    fn each_cure_fits_the_grant() {
        let secret = || Grant::ClientSecret(Secret::new("s".to_owned()));
        let command = || Grant::Command { argv: Vec::new() };
        let told = |claims: Value, grant: Grant| {
            let (_, failure) = verdict(claims, &with_grant(grant)).unwrap_err();
            (
                failure.lines("sendmail").join("\n"),
                failure.reason().unwrap().to_owned(),
            )
        };
        let tenant = || json!({"tid": "t"});
        let graph = || json!({"aud": "https://graph.microsoft.com"});
        let user = || json!({"upn": "joe@contoso.com"});
        let scope = || json!({"aud": "https://outlook.office.com", "scp": "IMAP.AccessAsUser.All"});
        for (claims, grant, part, why) in [
            (
                tenant(),
                secret(),
                "correct tenant under [account]",
                "tenant",
            ),
            (
                graph(),
                secret(),
                "`https://outlook.office365.com/.default`",
                "audience",
            ),
            (tenant(), command(), "token_command", "command-tenant"),
            (graph(), command(), "token_command", "command-audience"),
            (
                user(),
                command(),
                "print a token of alerts@contoso.com; if joe",
                "command-user",
            ),
            (scope(), command(), "token_command", "command-scope"),
        ] {
            let (told, reason) = told(claims, grant);
            assert!(told.contains(part), "{part}: {told}");
            assert!(!told.contains("login"), "{told}");
            assert_eq!(reason, why);
        }
    }
}
