//! Who signs in, with what, and where: the settings of `[account]` and `[endpoint]` into the parts that
//! `oauth` takes.

use super::clouds::{self, Cloud};
use super::file::{Cures, Source};
use super::settings::Draft;
use crate::config::Warning;
use crate::oauth::{self, Account, Certificate, Endpoint, Grant, identity};
use crate::outcome::{Class, Failure};
use crate::sys::file::read_regular;
use crate::sys::privilege::raised;
use crate::sys::secret::Secret;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Largest file of a secret, a certificate or a key.
const SECRET_SIZE_MAX: u64 = 1024 * 1024;

/// The draft, the file that it was read from, and what is noticed on the way.
pub(super) struct Accounts<'a> {
    pub(super) draft: &'a Draft,
    pub(super) source: &'a Source<'a>,
    pub(super) warnings: Vec<Warning>,
}

impl Accounts<'_> {
    /// Who signs in, and the way that the grant needs.
    pub(super) fn account(&mut self, mailbox: &str) -> Result<Account, Failure> {
        let draft = self.draft;
        let tenant_needed = !matches!(draft.grant.as_str(), "managed-identity" | "command");
        let given = |value: &Option<String>, key: &str| match value {
            Some(value) => Ok(value.clone()),
            None if !tenant_needed => Ok(String::new()),
            None => Err(self.source.missing("account", key)),
        };
        let tenant = given(&draft.tenant, "tenant")?;
        let client_id = given(&draft.client_id, "client_id")?;
        self.no_other_grants_files()?;
        let grant = self.grant(&tenant)?;
        Ok(Account {
            user: draft.user.clone().unwrap_or_else(|| mailbox.to_owned()),
            mailbox: mailbox.to_owned(),
            tenant,
            client_id,
            grant,
        })
    }

    /// The servers that are asked, and for what.
    pub(super) fn endpoint(&self, account: &Account) -> Result<Endpoint, Failure> {
        let draft = self.draft;
        let cloud = cloud(draft);
        let audience = clouds::audience(
            cloud,
            draft.scope.as_ref(),
            draft.resource.as_ref(),
            account.grant.is_a_persons(),
        )
        .map_err(|why| {
            let key = if draft.resource.is_some() {
                "resource"
            } else {
                "scope"
            };
            self.wrong("endpoint", key, &why)
                .fix(format!("empty {key} under [endpoint], or correct it"))
        })?;
        // v1 as soon as a resource is named, since v2 refuses it.
        let version = match (&audience, &account.grant) {
            (oauth::Audience::Resource(_), _) => "oauth2",
            _ => "oauth2/v2.0",
        };
        let authority = draft.authority.as_deref().unwrap_or(cloud.authority);
        let usual = |name: &str| format!("{authority}/{}/{version}/{name}", account.tenant);
        let token_url = match &account.grant {
            Grant::ManagedIdentity { .. } => draft.token_url.clone().unwrap_or_else(metadata),
            _ => {
                let url = draft.token_url.clone().unwrap_or_else(|| usual("token"));
                if !url.starts_with("https://") {
                    let why = "has to begin with https://, except with managed-identity";
                    return Err(self
                        .wrong("endpoint", "token_url", why)
                        .fix("correct token_url under [endpoint]"));
                }
                url
            }
        };
        Ok(Endpoint {
            token_url,
            device_url: draft
                .device_url
                .clone()
                .unwrap_or_else(|| usual("devicecode")),
            authorize_url: draft
                .authorize_url
                .clone()
                .unwrap_or_else(|| usual("authorize")),
            audience,
            proxy: draft
                .proxy
                .as_ref()
                .map(|(host, port)| format!("http://{host}:{port}")),
        })
    }

    fn grant(&mut self, tenant: &str) -> Result<Grant, Failure> {
        let draft = self.draft;
        let grant = draft.grant.as_str();
        if !matches!(grant, "delegated" | "managed-identity" | "command")
            && ["common", "organizations", "consumers"].contains(&tenant)
        {
            let why =
                format!("{tenant} is for people only; an application signs in to its own tenant");
            return Err(self
                .wrong("account", "tenant", &why)
                .fix("set tenant under [account] to the tenant's id or domain"));
        }
        let secret = self.secret()?;
        Ok(match grant {
            "client-secret" => Grant::ClientSecret(
                secret.ok_or_else(|| self.source.missing("account", "client_secret_file"))?,
            ),
            "certificate" => Grant::Certificate(Box::new(self.certificate()?)),
            "managed-identity" => Grant::ManagedIdentity { header: secret },
            "federated" => Grant::Federated {
                token_file: needed(
                    self.source,
                    &draft.federated_token_file,
                    "federated_token_file",
                )?
                .to_owned(),
            },
            "command" if draft.token_command.is_empty() => {
                return Err(self.source.missing("account", "token_command"));
            }
            "command" => Grant::Command {
                argv: draft.token_command.clone(),
            },
            _ => Grant::Delegated {
                client_secret: secret,
            },
        })
    }

    /// A file that the grant has no use for is a sign that the grant was forgotten.
    fn no_other_grants_files(&self) -> Result<(), Failure> {
        let draft = self.draft;
        for (given, key, grants) in [
            (
                draft.client_secret_file.is_some(),
                "client_secret_file",
                &["client-secret", "delegated", "managed-identity"][..],
            ),
            (
                draft.certificate_file.is_some(),
                "certificate_file",
                &["certificate"],
            ),
            (
                draft.private_key_file.is_some(),
                "private_key_file",
                &["certificate"],
            ),
            (
                draft.federated_token_file.is_some(),
                "federated_token_file",
                &["federated"],
            ),
            (
                !draft.token_command.is_empty(),
                "token_command",
                &["command"],
            ),
        ] {
            if given && !grants.contains(&draft.grant.as_str()) {
                let why = format!("the grant {} has no use for it", draft.grant);
                let cure = format!(
                    "set grant = \"{}\" under [account], or remove {key}",
                    grants.first().unwrap_or(&"")
                );
                return Err(self.wrong("account", key, &why).fix(cure));
            }
        }
        Ok(())
    }

    fn secret(&mut self) -> Result<Option<Secret>, Failure> {
        let Some(path) = &self.draft.client_secret_file else {
            return Ok(None);
        };
        let file = self.source.beside(path, SECRET_SIZE_MAX);
        let text = Zeroizing::new(file.read(&Cures {
            name: "the client secret",
            absent: "put the secret's value into it, or correct [account] client_secret_file",
            too_large: "put nothing but the secret's value into it, on one line",
            forbidden: self.source.forbidden_secret(),
        })?);
        // Editors of Windows put a byte order mark in front.
        let secret = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&text);
        let secret = secret.trim_ascii();
        if secret.is_empty() || !secret.iter().all(u8::is_ascii_graphic) {
            return Err(file
                .failure("no client secret in")
                .because("the file has to hold one line of printable characters")
                .fix("put the secret's value, not its id, into the file"));
        }
        self.warn_if_exposed(path);
        Ok(Some(Secret::new(
            String::from_utf8_lossy(secret).into_owned(),
        )))
    }

    fn certificate(&mut self) -> Result<Certificate, Failure> {
        let draft = self.draft;
        let chain_path = needed(self.source, &draft.certificate_file, "certificate_file")?;
        let key_path = needed(self.source, &draft.private_key_file, "private_key_file")?;
        let chain = self.source.beside(chain_path, SECRET_SIZE_MAX);
        let chain = chain.read(&Cures {
            name: "the certificate",
            absent: "put the certificate there, or correct [account] certificate_file",
            too_large: "put nothing but the certificate and its chain into it",
            forbidden: self.source.forbidden_secret(),
        })?;
        let key = self.source.beside(key_path, SECRET_SIZE_MAX);
        let key = Zeroizing::new(key.read(&Cures {
            name: "the private key",
            absent: "put the certificate's key there, or correct [account] private_key_file",
            too_large: "put nothing but the key into it",
            forbidden: self.source.forbidden_secret(),
        })?);
        self.warn_if_exposed(key_path);
        Certificate::parse(&chain, &key).map_err(|fault| {
            let (why, cure) = fault.words();
            let path = if fault.is_certificates() {
                chain_path
            } else {
                key_path
            };
            let source = self.source.beside(path, SECRET_SIZE_MAX);
            source.failure("cannot sign with").because(why).fix(cure)
        })
    }

    fn warn_if_exposed(&mut self, path: &Path) {
        let facts = raised(|| read_regular(path, SECRET_SIZE_MAX));
        let exposed = facts.is_ok_and(|(_, facts)| facts.mode() & 0o004 != 0);
        if exposed {
            let text = format!("{} can be read by everybody; chmod o-r", path.display());
            self.warnings.push(Warning {
                reason: "exposed",
                text,
            });
        }
    }

    fn wrong(&self, section: &str, key: &str, why: &str) -> Failure {
        self.source
            .failure("a setting does not fit in")
            .because(format!("{section}.{key}: {why}"))
            .with_reason(format!("{section}.{key}"))
            .as_class(Class::Config)
    }
}

/// The cloud that the draft names.
pub(super) fn cloud(draft: &Draft) -> &'static Cloud {
    draft.cloud.unwrap_or(&clouds::CLOUDS[0])
}

/// The service of this host: the agent of Azure Arc where it is installed, else that of a virtual machine.
fn metadata() -> String {
    const AGENTS: [&str; 2] = ["/opt/azcmagent/bin/himds", "/var/opt/azcmagent/bin/himds"];
    let arc = AGENTS.iter().any(|agent| Path::new(agent).exists());
    let address = if arc { identity::ARC } else { identity::IMDS };
    address.to_owned()
}

fn needed<'p>(
    source: &Source<'_>,
    path: &'p Option<PathBuf>,
    key: &str,
) -> Result<&'p Path, Failure> {
    path.as_deref()
        .ok_or_else(|| source.missing("account", key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::reader::read_settings;

    fn read(settings: &str) -> Result<Endpoint, Failure> {
        let draft = read_settings(settings).expect("valid");
        let source = Source::for_tests(Path::new("/x/config.toml"));
        let mut accounts = Accounts {
            draft: &draft,
            source: &source,
            warnings: Vec::new(),
        };
        let account = accounts.account("alerts@contoso.test")?;
        accounts.endpoint(&account)
    }

    fn endpoint_of(settings: &str) -> Endpoint {
        read(settings).unwrap_or_else(|failure| panic!("{failure:?}"))
    }

    fn refused(settings: &str) -> String {
        let failure = read(settings).err().expect("refused");
        assert_eq!(failure.class(), Class::Config);
        failure.lines("sendmail365").join("\n")
    }

    const WHO: &str = "[account]\ntenant = \"contoso.test\"\nclient_id = \"1\"\n";

    #[test]
    fn a_resource_selects_the_v1_endpoint() {
        let v1 = endpoint_of(&format!(
            "{WHO}[endpoint]\nresource = \"https://partner.outlook.cn\"\n"
        ));
        assert_eq!(
            v1.token_url,
            "https://login.microsoftonline.com/contoso.test/oauth2/token"
        );
        let v2 = endpoint_of(WHO);
        assert_eq!(
            v2.token_url,
            "https://login.microsoftonline.com/contoso.test/oauth2/v2.0/token"
        );
        assert_eq!(
            v2.device_url,
            "https://login.microsoftonline.com/contoso.test/oauth2/v2.0/devicecode"
        );
    }

    #[test]
    fn a_cloud_brings_its_own_addresses_and_each_can_be_replaced() {
        let china = endpoint_of(&format!("{WHO}cloud = \"china\"\n"));
        assert!(
            china
                .token_url
                .starts_with("https://login.partner.microsoftonline.cn/")
        );
        let oauth::Audience::Scope(scope) = &china.audience else {
            panic!()
        };
        assert_eq!(scope, "https://partner.outlook.cn/SMTP.Send offline_access");
        let replaced = endpoint_of(&format!(
            "{WHO}cloud = \"china\"\n[endpoint]\nauthority = \"https://login.example\"\n\
             device_url = \"https://d.example/x\"\nscope = \"https://o.example/SMTP.Send offline_access\"\n"
        ));
        assert!(replaced.token_url.starts_with("https://login.example/"));
        assert!(replaced.authorize_url.starts_with("https://login.example/"));
        assert_eq!(replaced.device_url, "https://d.example/x");
    }

    #[test]
    fn what_a_grant_needs_has_to_be_there_and_what_it_does_not_use_must_not() {
        for (settings, part) in [
            ("[account]\n", "[account] tenant has no default"),
            (
                "[account]\ntenant = \"x\"\n",
                "[account] client_id has no default",
            ),
            (
                &format!("{WHO}grant = \"client-secret\"\n"),
                "client_secret_file has no default",
            ),
            (
                &format!("{WHO}grant = \"certificate\"\n"),
                "certificate_file has no default",
            ),
            (
                &format!("{WHO}grant = \"federated\"\n"),
                "federated_token_file has no default",
            ),
            (
                "[account]\ngrant = \"command\"\n",
                "token_command has no default",
            ),
            (
                &format!("{WHO}certificate_file = \"/c.pem\"\n"),
                "set grant = \"certificate\"",
            ),
            (
                &format!("{WHO}token_command = [\"/x\"]\n"),
                "set grant = \"command\"",
            ),
            (
                "[account]\ntenant = \"consumers\"\nclient_id = \"1\"\ngrant = \"federated\"\n",
                "for people only",
            ),
            (
                &format!("{WHO}[endpoint]\nscope = \"SMTP.Send\"\n"),
                "bare permission",
            ),
            (
                &format!("{WHO}[endpoint]\nresource = \"https://graph.microsoft.com\"\n"),
                "Outlook's",
            ),
            (
                &format!("{WHO}[endpoint]\ntoken_url = \"http://127.0.0.1:1/token\"\n"),
                "https://",
            ),
        ] {
            let told = refused(settings);
            assert!(told.contains(part), "{settings}: {told}");
        }
    }

    #[test]
    fn a_managed_identity_needs_neither_tenant_nor_application() {
        let identity = endpoint_of("[account]\ngrant = \"managed-identity\"\n");
        assert!(
            identity.token_url.starts_with("http://"),
            "{}",
            identity.token_url
        );
        let own = "http://127.0.0.1:41000/msi/token/";
        let app_service = endpoint_of(&format!(
            "[account]\ngrant = \"managed-identity\"\n[endpoint]\ntoken_url = \"{own}\"\n"
        ));
        assert_eq!(app_service.token_url, own);
    }
}
