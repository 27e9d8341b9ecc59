//! Managed identity: the Azure host hands out tokens over plain HTTP to whoever is on it.
//!
//! Three dialects of one question: the metadata service of virtual machines (IMDS), App Service with
//! a header that proves where the question comes from, and Azure Arc with a file that proves it.

use crate::oauth::endpoint::authority;
use crate::oauth::form::percent_encode;
use crate::oauth::{Account, Audience};
use std::path::{Path, PathBuf};

/// Where a virtual machine asks.
pub const IMDS: &str = "http://169.254.169.254/metadata/identity/oauth2/token";

/// Where a machine with the agent of Azure Arc asks.
pub const ARC: &str = "http://localhost:40342/metadata/identity/oauth2/token";

/// Where the agent of Azure Arc puts the file that proves who asks.
pub(crate) const ARC_CHALLENGES: &str = "/var/opt/azcmagent/tokens";

/// Largest file that the agent writes.
pub(crate) const CHALLENGE_SIZE_MAX: u64 = 4096;

/// Whether a secret may be sent to this address without TLS: it cannot leave the host.
pub fn stays_on_the_host(url: &str) -> bool {
    match authority(&url.replacen("http://", "https://", 1)) {
        Some((host, _)) => host == "169.254.169.254" || is_loopback(host),
        None => false,
    }
}

/// Whether the agent of Azure Arc can be the one who is asked here.
pub(crate) fn is_the_agents(url: &str) -> bool {
    let secured = url.replacen("http://", "https://", 1);
    authority(&secured).is_some_and(|(host, _)| is_loopback(host))
}

fn is_loopback(host: &str) -> bool {
    let address = host.parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// The whole address of the question.
pub(crate) fn url(account: &Account, audience: &Audience, base: &str, header: bool) -> String {
    const APP_SERVICE: &str = "2019-08-01";
    const VIRTUAL_MACHINE: &str = "2018-02-01";
    const AZURE_ARC: &str = "2020-06-01";
    let mut url = base.to_owned();
    let mut sign = if url.contains('?') { '&' } else { '?' };
    let mut add = |key: &str, value: &str| {
        url.push(sign);
        url.push_str(key);
        url.push('=');
        percent_encode(&mut url, value);
        sign = '&';
    };
    if !base.contains("api-version=") {
        let arc = base.starts_with("http://localhost") || base.starts_with("http://127.");
        add(
            "api-version",
            match (header, arc) {
                (true, _) => APP_SERVICE,
                (false, true) => AZURE_ARC,
                (false, false) => VIRTUAL_MACHINE,
            },
        );
    }
    add("resource", resource(audience));
    // None: the identity that the system has assigned.
    if !account.client_id.is_empty() {
        add("client_id", &account.client_id);
    }
    url
}

/// A scope without what only the v2 endpoints want.
fn resource(audience: &Audience) -> &str {
    match audience {
        Audience::Resource(resource) => resource,
        Audience::Scope(scope) => scope.strip_suffix("/.default").unwrap_or(scope),
    }
}

/// The file that a challenge names: `Basic realm=/var/opt/azcmagent/tokens/x.key`.
///
/// None for any other place: what answers on the port may not make this program read other files and
/// send them.
pub(crate) fn challenge_file(challenge: &str, folder: &Path) -> Option<PathBuf> {
    let rest = challenge.trim().get(5..)?;
    let is_basic = challenge.trim().get(..5)?.eq_ignore_ascii_case("basic");
    let realm = rest.trim().strip_prefix("realm=")?.trim_matches('"');
    let path = Path::new(realm);
    let right = is_basic
        && path.parent() == Some(folder)
        && path.extension().is_some_and(|extension| extension == "key")
        && path
            .file_name()
            .is_some_and(|name| folder.join(name).as_os_str() == path.as_os_str());
    right.then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::token::tests::account;

    fn asked(client_id: &str, base: &str, header: bool) -> String {
        let mut account = account();
        account.client_id = client_id.to_owned();
        let audience = Audience::Scope("https://outlook.office365.com/.default".to_owned());
        url(&account, &audience, base, header)
    }

    #[test]
    fn each_dialect_has_its_version_and_the_bare_resource() {
        assert_eq!(
            asked("", IMDS, false),
            "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01\
             &resource=https%3A%2F%2Foutlook.office365.com"
        );
        assert!(asked("a b", IMDS, false).ends_with("&client_id=a%20b"));
        assert!(asked("", ARC, false).contains("?api-version=2020-06-01&"));
        let app_service = "http://127.0.0.1:41234/msi/token/";
        assert!(asked("", app_service, true).starts_with(
            "http://127.0.0.1:41234/msi/token/?api-version=2019-08-01&resource=https"
        ));
        let own = "http://127.0.0.1:1/x?api-version=2017-09-01";
        assert!(asked("", own, true).starts_with(&format!("{own}&resource=")));
    }

    #[test]
    fn only_addresses_of_the_host_itself_go_without_tls() {
        for url in [IMDS, ARC, "http://127.0.0.1:1/x", "http://[::1]:80/"] {
            assert!(stays_on_the_host(url), "{url}");
        }
        for url in [
            "http://169.254.169.254.example.com/",
            "http://169.254.169.254@example.com/",
            "http://example.com/",
            "http://localhost.example.com/",
            "http://10.0.0.1/",
            "",
        ] {
            assert!(!stays_on_the_host(url), "{url}");
        }
    }

    #[test]
    fn only_a_key_file_in_the_agents_folder_answers_a_challenge() {
        let folder = Path::new(ARC_CHALLENGES);
        let file = |text: &str| challenge_file(text, folder);
        let right = format!("{ARC_CHALLENGES}/4fd5.key");
        assert_eq!(
            file(&format!("Basic realm={right}")),
            Some(right.clone().into())
        );
        assert_eq!(
            file(&format!("basic realm=\"{right}\"")),
            Some(right.into())
        );
        for path in [
            "/etc/sendmail365/token.0",
            "/var/opt/azcmagent/tokens/../x.key",
            "/var/opt/azcmagent/tokens/x.pem",
            "/var/opt/azcmagent/tokens/a/x.key",
            "/var/opt/azcmagent/tokens//x.key",
            "/var/opt/azcmagent/./tokens/x.key",
            "var/opt/azcmagent/tokens/x.key",
            "/var/opt/azcmagent/tokens/",
            "",
        ] {
            assert_eq!(file(&format!("Basic realm={path}")), None, "{path}");
        }
        for text in ["", "Basic", "Bearer realm=/x", "\u{e4}\u{e4}\u{e4} realm=x"] {
            assert_eq!(file(text), None, "{text}");
        }
    }

    #[test]
    fn only_a_service_on_loopback_is_shown_the_agents_files() {
        assert!(is_the_agents(ARC));
        for url in [
            IMDS,
            "https://login.example.com/token",
            "http://10.0.0.1/",
            "",
        ] {
            assert!(!is_the_agents(url), "{url}");
        }
    }
}
