//! The next token, in the way of the account's grant.

use super::answer::{Ask, Reply};
use super::endpoint::{Exchange, Peer};
use super::form::Form;
use super::grant::Grant;
use super::grants::application::{self, Credential};
use super::grants::assertion::{Algorithm, Certificate};
use super::grants::{command, identity, refresh};
use super::slot::Slot;
use super::sought::Renewal;
use super::token::RefreshToken;
use super::{Account, Endpoint};
use crate::outcome::{Failure, Fate, Stage};
use crate::sys::command::Trouble;
use crate::sys::file::{open_existing, read_regular};
use crate::sys::privilege::{is_lent, raised};
use crate::sys::roots::Roots;
use crate::sys::secret::Secret;
use crate::sys::{command as program, random};
use std::io::Read;
use std::path::Path;
use std::time::Duration;
use zeroize::Zeroizing;

/// Largest token of another issuer.
const TOKEN_SIZE_MAX: u64 = 64 * 1024;

/// What a request takes besides the grant.
pub(crate) struct Fetch<'a> {
    pub(crate) account: &'a Account,
    pub(crate) endpoint: &'a Endpoint,
    pub(crate) roots: &'a Roots,
    pub(crate) timeout: Duration,
    /// Seconds since 1970.
    pub(crate) now: u64,
}

impl Fetch<'_> {
    /// A new token; `stored` is the sign-in that is kept, which only a person's grant needs.
    pub(crate) fn renewal(&self, stored: Option<&Slot>) -> Renewal {
        match &self.account.grant {
            Grant::Delegated { client_secret } => {
                let refresh_token = stored.and_then(|slot| slot.refresh_token.as_ref());
                let Some(refresh_token) = refresh_token else {
                    return Err(self
                        .ask(Vec::new())
                        .incomplete("a refresh token")
                        .at(Stage::Token));
                };
                // A secret goes only where the token was got with one: Microsoft refuses it elsewhere.
                let with_secret = stored.is_none_or(|slot| slot.with_secret.unwrap_or(true));
                let secret = client_secret.as_ref().filter(|_| with_secret);
                self.refreshed(refresh_token, secret)
            }
            Grant::ClientSecret(secret) => {
                self.as_application(&Credential::Secret(secret.expose()))
            }
            Grant::Certificate(certificate) => self.certified(certificate),
            Grant::Federated { token_file } => self.federated(token_file),
            Grant::ManagedIdentity { header } => self.identified(header.as_ref()),
            Grant::Command { .. } if is_lent() => Err(self.for_the_account()),
            Grant::Command { argv } => {
                let name = argv.first().map_or("", String::as_str);
                command::read(
                    &self.ask(Vec::new()),
                    name,
                    program::run(argv, self.timeout),
                )
            }
        }
    }

    /// Whether the files of the grant are there; asks nobody and starts nothing.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        match &self.account.grant {
            Grant::Federated { token_file } => self.federated_token(token_file).map(drop),
            Grant::Command { argv } => {
                let name = argv.first().map_or("", String::as_str);
                let missing = program::startable(name).err();
                missing.map_or(Ok(()), |error| {
                    let ask = self.ask(Vec::new());
                    Err(command::not_run(&ask, name, &Trouble::NotStarted(error)))
                })
            }
            _ => Ok(()),
        }
    }

    /// A command that runs as an ordinary user would be his to trace: he could read the token, or
    /// have another stored for everybody.
    fn for_the_account(&self) -> Failure {
        self.ask(Vec::new())
            .failed(Failure::defer)
            .because("token_command runs as root or as the account sendmail365 only")
            .fix("send again later; if it lasts, see that sendmail365-queue.timer runs, which gets the token")
            .at(Stage::Token)
            .with_reason("account-only")
    }

    pub(crate) fn refreshed(
        &self,
        refresh_token: &RefreshToken,
        secret: Option<&Secret>,
    ) -> Renewal {
        let form = refresh::form(self.account, &self.endpoint.audience, refresh_token, secret);
        let mut secrets = vec![refresh_token.expose()];
        secrets.extend(secret.map(Secret::expose));
        self.ask(secrets).read(self.post(&form)?)
    }

    /// Sends a form to the token endpoint.
    pub(crate) fn post(&self, form: &Form) -> Result<Reply, Failure> {
        self.exchange(self.endpoint.tokens()).post(form)
    }

    /// The same once only, for who asks again anyway.
    pub(crate) fn poll(&self, form: &Form) -> Result<Reply, Failure> {
        self.exchange(self.endpoint.tokens()).post_once(form)
    }

    /// Sends a form to another address.
    pub(crate) fn post_to(&self, url: &str, form: &Form) -> Result<Reply, Failure> {
        let proxy = self.endpoint.proxy.as_deref();
        self.exchange(Peer { url, proxy }).post(form)
    }

    /// A question with these secrets in it.
    pub(crate) fn ask<'s>(&'s self, secrets: Vec<&'s str>) -> Ask<'s> {
        Ask {
            account: self.account,
            peer: self.endpoint.tokens(),
            secrets,
            now: self.now,
        }
    }

    fn exchange<'s>(&'s self, peer: Peer<'s>) -> Exchange<'s> {
        Exchange {
            account: self.account,
            peer,
            roots: self.roots,
            timeout: self.timeout,
        }
    }

    fn as_application(&self, credential: &Credential<'_>) -> Renewal {
        let form = application::form(self.account, &self.endpoint.audience, credential);
        let (Credential::Secret(secret) | Credential::Assertion(secret)) = *credential;
        self.ask(vec![secret]).read(self.post(&form)?)
    }

    /// By certificate: RS256 once more where the signature of PS256 is not understood.
    fn certified(&self, certificate: &Certificate) -> Renewal {
        let granted = self.signed(certificate, Algorithm::Ps256);
        match granted {
            Err(failure) if is_about_the_signature(&failure) => self
                .signed(certificate, Algorithm::Rs256)
                .map_err(|_| failure),
            granted => granted,
        }
    }

    fn signed(&self, certificate: &Certificate, algorithm: Algorithm) -> Renewal {
        let id = assertion_id()?;
        let assertion = certificate.assertion(
            algorithm,
            &self.account.client_id,
            &self.endpoint.token_url,
            (self.now, &id),
        );
        let no_signature = || {
            self.ask(Vec::new())
                .failed(Failure::defer)
                .because("the assertion cannot be signed: no random numbers")
        };
        let assertion = assertion.ok_or_else(no_signature)?;
        self.as_application(&Credential::Assertion(&assertion))
    }

    fn federated(&self, token_file: &Path) -> Renewal {
        let token = self.federated_token(token_file)?;
        self.as_application(&Credential::Assertion(&token))
    }

    fn federated_token(&self, token_file: &Path) -> Result<Zeroizing<String>, Failure> {
        let path = token_file.display();
        let failed = || {
            self.ask(Vec::new())
                .failed(Failure::hold)
                .at(Stage::Token)
                .with_reason("federated-token")
        };
        let cure = "see that the agent of the other issuer writes its token to federated_token_file under \
                    [account], readable for the account that sends";
        let read = raised(|| read_regular(token_file, TOKEN_SIZE_MAX));
        let (octets, _) = read.map_err(|error| {
            let failure = failed().because(format!("{path}: {error}"));
            failure.fix(cure).with_os_error(&error)
        })?;
        let octets = Zeroizing::new(octets);
        let token = std::str::from_utf8(&octets).ok().map(str::trim);
        let token = token.filter(|token| super::token::is_token(token));
        let token = token.map(|token| Zeroizing::new(token.to_owned()));
        token.ok_or_else(|| {
            failed()
                .because(format!("{path} does not hold one token"))
                .fix(cure)
        })
    }

    fn identified(&self, header: Option<&Secret>) -> Renewal {
        let base = &self.endpoint.token_url;
        let url = identity::url(
            self.account,
            &self.endpoint.audience,
            base,
            header.is_some(),
        );
        let peer = Peer {
            url: base,
            proxy: None,
        };
        let exchange = self.exchange(peer);
        let mut headers = vec![("Metadata", "true")];
        headers.extend(header.map(|header| ("X-IDENTITY-HEADER", header.expose())));
        let reply = exchange.get(&url, &headers).map_err(not_on_azure)?;
        let mut secrets = vec![];
        secrets.extend(header.map(Secret::expose));
        // The agent of Azure Arc listens on loopback; nobody else is shown its files.
        let challenge = reply.www_authenticate.as_deref();
        let challenge = challenge.filter(|_| header.is_none() && identity::is_the_agents(base));
        let (401, Some(challenge)) = (reply.status, challenge) else {
            return self.identity_answer(secrets, peer, reply);
        };
        let proof = self.proof(challenge, Path::new(identity::ARC_CHALLENGES))?;
        let basic = Zeroizing::new(format!("Basic {}", &*proof));
        let reply = exchange.get(&url, &[("Metadata", "true"), ("Authorization", &basic)])?;
        self.identity_answer(vec![&proof], peer, reply)
    }

    fn identity_answer(&self, secrets: Vec<&str>, peer: Peer<'_>, reply: Reply) -> Renewal {
        let ask = Ask {
            account: self.account,
            peer,
            secrets,
            now: self.now,
        };
        let kept_out = matches!(reply.status, 401 | 403);
        ask.read(reply).map_err(|failure| match failure.reason() {
            // Other clouds, and networks, have somebody at the same address.
            Some("not-json" | "redirect") => failure.fix(NOT_ON_AZURE),
            _ if failure.code().is_some_and(|code| code.starts_with("AADSTS")) => failure,
            _ if kept_out => failure.fix(
                "put the value of IDENTITY_HEADER that App Service has for this host into \
                 client_secret_file under [account]; elsewhere leave that empty",
            ),
            _ if failure.fate() == Fate::Hold => failure.fix(
                "give this host a managed identity in the Azure portal, its page Identity; of several \
                 name one in client_id under [account]",
            ),
            _ => failure,
        })
    }

    /// What the agent of Azure Arc has written for whoever may read its folder.
    fn proof(&self, challenge: &str, folder: &Path) -> Result<Zeroizing<String>, Failure> {
        let refused = |why: String| {
            self.ask(Vec::new())
                .failed(Failure::hold)
                .because(why)
                .fix("check token_url under [endpoint], and the agent of Azure Arc with azcmagent show")
                // What this user may not read is nobody else's business.
                .at(Stage::Token)
                .with_reason("challenge")
        };
        let Some(path) = identity::challenge_file(challenge, folder) else {
            let why = "the challenge names a file outside the agent's folder; it was not read";
            return Err(refused(why.to_owned()));
        };
        let shown = path.display();
        let read = || -> std::io::Result<Zeroizing<Vec<u8>>> {
            let file = open_existing(&path, false)?;
            if !file.metadata()?.is_file() {
                return Err(std::io::Error::other("not a regular file"));
            }
            let mut octets = Zeroizing::new(Vec::with_capacity(8192));
            file.take(identity::CHALLENGE_SIZE_MAX + 1)
                .read_to_end(&mut octets)?;
            Ok(octets)
        };
        let octets = raised(read).map_err(|error| {
            refused(format!("{shown}: {error}"))
                .fix("as root: usermod -aG himds sendmail365, so that the account may read the agent's files")
        })?;
        let text = std::str::from_utf8(&octets).ok().map(str::trim);
        let fits = |text: &&str| {
            octets.len() as u64 <= identity::CHALLENGE_SIZE_MAX && super::token::is_token(text)
        };
        match text.filter(fits) {
            Some(text) => Ok(Zeroizing::new(text.to_owned())),
            None => Err(refused(format!("{shown} is no file of the agent's"))),
        }
    }
}

/// A new GUID, so that no assertion is taken for a copy of an earlier one.
fn assertion_id() -> Result<String, Failure> {
    let (high, low) = (random::number()?, random::number()?);
    Ok(format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xfff,
        low >> 48 & 0x3fff | 0x8000,
        low & 0xffff_ffff_ffff
    ))
}

/// Whether another algorithm may help. 50027 is none of these: it is said of a wrong clock as well.
fn is_about_the_signature(failure: &Failure) -> bool {
    const SIGNATURE: [&str; 3] = ["AADSTS50012", "AADSTS700027", "AADSTS5002730"];
    failure.code().is_some_and(|code| SIGNATURE.contains(&code))
}

const NOT_ON_AZURE: &str = "use the grant managed-identity on Azure hosts only; on App Service and with \
    Azure Arc set token_url under [endpoint] to the address of their service";

/// No service where every Azure host has one.
fn not_on_azure(failure: Failure) -> Failure {
    let unreachable = matches!(
        failure.err(),
        Some("ECONNREFUSED" | "ENETUNREACH" | "EHOSTUNREACH" | "ETIMEDOUT")
    ) || failure.reason() == Some("deadline");
    match unreachable {
        true => failure.fix(NOT_ON_AZURE),
        false => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::endpoint::tests::strangers;
    use crate::oauth::grants::refresh::tests::endpoint;
    use crate::oauth::token::tests::account;

    /// The folder is closed to most users: one of them must not close the way to the server for all.
    #[test]
    fn a_challenge_that_this_user_cannot_answer_is_nobody_elses_business() {
        let (account, endpoint) = (account(), endpoint());
        let fetch = Fetch {
            account: &account,
            endpoint: &endpoint,
            roots: &strangers(),
            timeout: Duration::from_secs(1),
            now: 0,
        };
        let folder = Path::new("/no/such/folder");
        for challenge in [
            "Basic realm=/no/such/folder/a.key",
            "Basic realm=/etc/passwd",
        ] {
            let failure = fetch.proof(challenge, folder).err().unwrap();
            assert_eq!(failure.stage(), Some(Stage::Token));
            assert_eq!(failure.reason(), Some("challenge"));
        }
    }

    #[test]
    fn another_algorithm_is_not_tried_where_the_clock_is_wrong() {
        for (number, again) in [
            ("700027", true),
            ("5002730", true),
            ("50027", false),
            ("700024", false),
        ] {
            let failure = Failure::hold("x").with_code(format!("AADSTS{number}"));
            assert_eq!(is_about_the_signature(&failure), again, "{number}");
        }
    }
}
