//! A look at the authority's public page: its clock, and whether it knows the tenant.
#![expect(
    clippy::disallowed_methods,
    reason = "edge: reads the clock as the answer comes"
)]

use super::SignIn;
use super::answer::{BODY_MAX, object};
use super::endpoint::{Exchange, authority};
use crate::outcome::Failure;
use serde_json::{Map, Value};
use std::io::Read;
use std::time::SystemTime;

/// Where every authority describes itself (OpenID Connect Discovery 1.0 section 4).
const PAGE: &str = "/v2.0/.well-known/openid-configuration";

/// What an authority tells everybody; text from outside.
#[derive(Debug)]
pub struct Authority {
    pub status: u16,
    /// Seconds that this host's clock is ahead of the authority's; none if that tells no time.
    pub ahead: Option<i64>,
    /// Who grants tokens for the tenant.
    pub issuer: Option<String>,
    /// Microsoft's words where it gives none: `AADSTS90002: Tenant ... not found`.
    pub refusal: Option<String>,
    /// The page describes a tenant; else it is no more than the server's first one.
    pub describes_tenant: bool,
}

impl SignIn<'_> {
    /// Reads the page by which the authority describes the tenant; no credentials are sent.
    pub fn authority(&self) -> Result<Authority, Failure> {
        let peer = self.endpoint.tokens();
        let exchange = Exchange {
            account: self.account,
            peer,
            roots: self.roots,
            timeout: self.timeout,
        };
        let (url, describes_tenant) = address(peer.url);
        let agent = exchange.agent(self.timeout)?;
        let response = agent.get(&url).call();
        let response = response.map_err(|error| exchange.failed(error))?;
        let ours = SystemTime::now();
        let date = response.headers().get("date");
        let date = date.and_then(|date| date.to_str().ok());
        let theirs = date.and_then(seconds_of);
        let status = response.status().as_u16();
        let mut body = Vec::new();
        let mut reader = response.into_body().into_reader().take(BODY_MAX as u64);
        // What came of it is all that there is; a page that is cut is no JSON.
        let _ = reader.read_to_end(&mut body);
        let members = object(&body).unwrap_or_default();
        Ok(Authority {
            status,
            ahead: theirs.map(|theirs| seconds(ours).saturating_sub(theirs)),
            issuer: text(&members, "issuer"),
            refusal: text(&members, "error_description"),
            describes_tenant,
        })
    }
}

/// A server's date in seconds since 1970; none of a text that is no date.
pub fn seconds_of(date: &str) -> Option<i64> {
    // The reader of dates takes nearly any text for one soon after 1970.
    const YEAR_2010: i64 = 1_262_304_000;
    let seconds = mailparse::dateparse(date).ok();
    seconds.filter(|&seconds| seconds > YEAR_2010)
}

/// The page of a token endpoint's tenant, else the first page of its server.
fn address(token_url: &str) -> (String, bool) {
    let tenant = token_url.split("/oauth2/").next().unwrap_or(token_url);
    if tenant != token_url {
        return (format!("{tenant}{PAGE}"), true);
    }
    let (host, port) = authority(token_url).unwrap_or((token_url, 443));
    match host.contains(':') {
        true => (format!("https://[{host}]:{port}/"), false),
        false => (format!("https://{host}:{port}/"), false),
    }
}

fn seconds(at: SystemTime) -> i64 {
    i64::try_from(super::token::seconds(at)).unwrap_or(i64::MAX)
}

fn text(members: &Map<String, Value>, name: &str) -> Option<String> {
    members.get(name)?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::{address, seconds_of};

    #[test]
    fn a_text_that_is_no_date_tells_no_time() {
        let date = "Thu, 10 Oct 2024 22:49:55 +0000";
        assert_eq!(seconds_of(date), Some(1_728_600_595));
        for text in ["noon", "", "10", "Thu"] {
            assert_eq!(seconds_of(text), None, "{text}");
        }
    }

    #[test]
    fn the_page_is_that_of_the_tenant_in_whichever_version_the_endpoint_is() {
        let of = |url: &str| address(url).0;
        let page = "https://a.test/t/v2.0/.well-known/openid-configuration";
        assert_eq!(of("https://a.test/t/oauth2/v2.0/token"), page);
        assert_eq!(of("https://a.test/t/oauth2/token"), page);
        assert_eq!(of("https://a.test:8443/token"), "https://a.test:8443/");
        assert_eq!(of("https://[::1]/token"), "https://[::1]:443/");
    }
}
