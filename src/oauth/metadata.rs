//! The page that every tenant shows to everybody: its id, without a sign-in.

use super::SignIn;
use super::endpoint::{Exchange, Peer, reply};
use serde_json::Value;
use std::time::Duration;

/// For the one request.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The segment of the tenant that personal accounts live in.
const PERSONAL: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";

impl SignIn<'_> {
    /// The id of the account's tenant, which may be configured by one of its domains; none if nobody
    /// answers, or nobody knows the domain.
    pub fn tenant_id(&self) -> Option<String> {
        let base = self.endpoint.token_url.strip_suffix("/oauth2/v2.0/token")?;
        let url = format!("{base}/v2.0/.well-known/openid-configuration");
        let exchange = Exchange {
            account: self.account,
            peer: Peer {
                url: &url,
                proxy: self.endpoint.proxy.as_deref(),
            },
            roots: self.roots,
            timeout: TIMEOUT,
        };
        let agent = exchange.agent(TIMEOUT).ok()?;
        let answer = agent.get(&url).call().and_then(reply).ok()?;
        let answer: Value = serde_json::from_slice(&answer.body).ok()?;
        issuers_tenant(answer.get("issuer")?.as_str()?)
    }
}

/// The id in `https://login.microsoftonline.com/ID/v2.0`.
fn issuers_tenant(issuer: &str) -> Option<String> {
    let (_, path) = issuer.strip_prefix("https://")?.split_once('/')?;
    let id = path.split('/').next()?.to_ascii_lowercase();
    let lengths: Vec<usize> = id.split('-').map(str::len).collect();
    let digits = |octet: u8| octet.is_ascii_hexdigit() || octet == b'-';
    if lengths != [8, 4, 4, 4, 12] || !id.bytes().all(digits) {
        return None;
    }
    Some(match id.as_str() {
        PERSONAL => "consumers".to_owned(),
        _ => id,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_is_the_first_part_of_the_issuers_path() {
        let id = "0a1b2c3d-0000-4444-8888-123456789abc";
        for issuer in [
            format!("https://login.microsoftonline.com/{id}/v2.0"),
            format!("https://sts.windows.net/{}/", id.to_uppercase()),
        ] {
            assert_eq!(issuers_tenant(&issuer).as_deref(), Some(id));
        }
        let personal = format!("https://login.microsoftonline.com/{PERSONAL}/v2.0");
        assert_eq!(issuers_tenant(&personal).as_deref(), Some("consumers"));
        for issuer in [
            "",
            "https://login.microsoftonline.com/{tenantid}/v2.0",
            "https://login.microsoftonline.com/contoso.com/v2.0",
            "http://login.microsoftonline.com/0a1b2c3d-0000-4444-8888-123456789abc/",
        ] {
            assert_eq!(issuers_tenant(issuer), None, "{issuer}");
        }
    }
}
