//! The configuration file: read, judged by owner and mode, and every fault named by file and line.

use crate::config::account::{Accounts, cloud};
use crate::config::paths::{self, Location};
use crate::config::reader::{line_of, read_settings};
use crate::config::settings::Draft;
use crate::config::{Config, QueueSettings, RecipientSettings, SenderSettings};
use crate::mail::aliases::{Aliases, BadLine};
use crate::outcome::{Class, Failure, Stage};
use crate::smtp;
use crate::sys::caller::{Caller, host_name};
use crate::sys::file::{read_regular, replaceable_by_others};
use crate::sys::log::Log;
use crate::sys::privilege::raised;
use crate::sys::roots::Roots;
use std::fs::Metadata;
use std::io;
use std::path::Path;

/// Largest configuration, alias or secret file.
const FILE_SIZE_MAX: u64 = 1024 * 1024;

/// Largest bundle of certificate authorities; the system's has 220 KiB.
const BUNDLE_SIZE_MAX: u64 = 16 * 1024 * 1024;

const FORBIDDEN: &str = "let this user read it, and pass the directories above it";

const FORBIDDEN_TO_GROUP: &str = "as root: chgrp sendmail365 /etc/sendmail365 /etc/sendmail365/config.toml \
     && chmod 0750 /etc/sendmail365 && chmod 0640 /etc/sendmail365/config.toml";

/// A file that the caller names is read without the group.
const FORBIDDEN_BY_NAME: &str =
    "leave out -C: a file that is named is read with your own rights only";

/// Reads the configuration that counts for this caller.
pub fn load(location: &Location, caller: &Caller) -> Result<Config, Failure> {
    let source = Source {
        path: &location.path,
        owner: if location.callers_own { caller.uid } else { 0 },
        size_max: FILE_SIZE_MAX,
    };
    let text = source.read(&Cures {
        name: "the configuration",
        absent: "run `sendmail365 setup`, which writes it; or write it by sendmail365.conf(5)",
        too_large: "keep settings only in the file",
        forbidden: forbidden(location),
    })?;
    let text = String::from_utf8(text).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        source.fault(line_of(before), "not UTF-8")
    })?;
    judge(&text, location, caller)
}

/// Judges a text as that of the configuration, before or after it is written.
pub fn judge(text: &str, location: &Location, caller: &Caller) -> Result<Config, Failure> {
    let source = Source {
        path: &location.path,
        owner: caller.uid,
        size_max: FILE_SIZE_MAX,
    };
    let draft = read_settings(text).map_err(|fault| source.fault(fault.line, fault.why))?;
    source.finish(draft, location, caller)
}

/// What lets this caller read the configuration.
fn forbidden(location: &Location) -> &'static str {
    match (location.is_hosts(), location.callers_own) {
        (true, false) => FORBIDDEN_TO_GROUP,
        (true, true) => FORBIDDEN_BY_NAME,
        (false, _) => FORBIDDEN,
    }
}

/// Reads the alias file: what it says, and what is wrong with single lines of it.
///
/// One that does not exist holds no aliases.
pub fn read_aliases(path: &Path) -> Result<(Aliases, Vec<Failure>), Failure> {
    match read_for_all(path) {
        Ok((text, _)) => {
            let (aliases, bad) = Aliases::parse(&text);
            let named = |bad: BadLine| {
                Failure::new(Class::Data, format!("{}:{}", path.display(), bad.number))
                    .because(bad.why)
                    .fix("write it as `name: user@example.com`, with commas between several")
            };
            Ok((aliases, bad.into_iter().map(named).collect()))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Default::default()),
        Err(error) => {
            let what = format!("cannot read the aliases in {}", path.display());
            Err(Failure::new(Class::Config, what)
                .because(&error)
                .fix("mend the file, or name another in [recipients] aliases")
                .with_os_error(&error)
                .at(Stage::Config))
        }
    }
}

/// Reads what everybody may know of, whose directory may be closed to the caller all the same.
///
/// The group is for a path that nobody but root can turn: through any other a user would have it read
/// what he likes, and see it in what becomes of his addresses.
fn read_for_all(path: &Path) -> io::Result<(Vec<u8>, Metadata)> {
    let read = || read_regular(path, FILE_SIZE_MAX);
    match read() {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            raised(|| match replaceable_by_others(path, 0)? {
                None => read(),
                Some(_) => Err(error),
            })
        }
        read => read,
    }
}

/// The host's name for mail, where the distribution keeps one.
pub fn read_mail_name() -> Option<String> {
    let (text, _) = read_regular(Path::new("/etc/mailname"), FILE_SIZE_MAX).ok()?;
    let name = String::from_utf8(text).ok()?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

/// What a file is called, and what to do when it cannot be read.
pub(super) struct Cures<'a> {
    pub(super) name: &'a str,
    pub(super) absent: &'a str,
    pub(super) too_large: &'a str,
    pub(super) forbidden: &'a str,
}

/// A file of the administrator's.
pub(super) struct Source<'a> {
    path: &'a Path,
    /// Who besides root may own the file.
    owner: u32,
    size_max: u64,
}

#[cfg(test)]
impl<'a> Source<'a> {
    pub(super) fn for_tests(path: &'a Path) -> Source<'a> {
        Source {
            path,
            owner: 0,
            size_max: FILE_SIZE_MAX,
        }
    }
}

impl Source<'_> {
    pub(super) fn failure(&self, what: &str) -> Failure {
        let what = format!("{what} {}", self.path.display());
        Failure::new(Class::Config, what).at(Stage::Config)
    }

    fn fault(&self, line: usize, why: impl std::fmt::Display) -> Failure {
        Failure::new(Class::Config, format!("{}:{line}", self.path.display()))
            .because(why)
            .fix("correct the line; sendmail365.conf(5) lists the settings")
            .at(Stage::Config)
            .with_reason(format!("line {line}"))
    }

    /// The file's octets.
    pub(super) fn read(&self, cures: &Cures<'_>) -> Result<Vec<u8>, Failure> {
        let unreadable = |error: io::Error| self.unreadable(cures, &error);
        let judged = || {
            let replaceable = replaceable_by_others(self.path, self.owner)?;
            Ok((replaceable, read_regular(self.path, self.size_max)?.0))
        };
        let (replaceable, text) = raised(judged).map_err(unreadable)?;
        match replaceable {
            Some(found) => Err(self
                .failure(&format!("will not use {}", cures.name))
                .because(found.why())
                .fix(found.cure())
                .with_reason("writable")),
            None => Ok(text),
        }
    }

    fn unreadable(&self, cures: &Cures<'_>, error: &io::Error) -> Failure {
        let what = format!("cannot read {}", cures.name);
        let failure = self.failure(&what).because(error);
        match error.kind() {
            io::ErrorKind::NotFound => failure.fix(cures.absent).with_os_error(error),
            io::ErrorKind::InvalidInput => failure
                .fix("put a regular file in its place")
                .with_reason("type"),
            io::ErrorKind::FileTooLarge => failure.fix(cures.too_large).with_reason("size"),
            io::ErrorKind::PermissionDenied => failure.fix(cures.forbidden).with_os_error(error),
            _ => failure.fix("check the disk").with_os_error(error),
        }
    }

    fn finish(
        &self,
        draft: Draft,
        location: &Location,
        caller: &Caller,
    ) -> Result<Config, Failure> {
        let places = paths::defaults(location, caller);
        let state = draft.state.clone().unwrap_or(places.state);
        let mailbox = draft
            .mailbox
            .clone()
            .ok_or_else(|| self.missing("account", "mailbox"))?;
        let mut accounts = Accounts {
            draft: &draft,
            source: self,
            warnings: Vec::new(),
        };
        let account = accounts.account(&mailbox.to_string())?;
        let endpoint = accounts.endpoint(&account)?;
        let warnings = accounts.warnings;
        let roots = self.roots(draft.ca_file.as_deref())?;
        let cloud = cloud(&draft);
        let secret_files = [draft.client_secret_file, draft.private_key_file];
        Ok(Config {
            account,
            endpoint,
            cloud,
            secret_files: secret_files.into_iter().flatten().collect(),
            token_dirs: vec![draft.tokens.unwrap_or(places.tokens), state.clone()],
            state_dir: state,
            mailbox,
            server: smtp::Server {
                host: draft.host.unwrap_or_else(|| cloud.smtp_host.to_owned()),
                port: draft.port,
                hello: draft.hello.unwrap_or_else(greeting_name),
                proxy: draft.proxy,
            },
            sender: SenderSettings {
                allow_from: draft.allow_from,
                rewrite: draft.rewrite,
                received: draft.received,
            },
            recipients: RecipientSettings {
                aliases: draft.aliases,
                domain: draft.domain,
                admin: draft.admin,
            },
            queue: QueueSettings {
                enabled: draft.queue,
                spool: draft.spool.unwrap_or(places.spool),
                lifetime_seconds: draft.lifetime_seconds,
                connections: draft.connections,
                per_minute: draft.per_minute,
            },
            message_size_max: draft.message_size_max,
            roots,
            log: Log::new(draft.syslog.then(|| Log::SYSLOG.into()), draft.log_file),
            callers_own: location.callers_own,
            warnings,
        })
    }

    pub(super) fn missing(&self, section: &str, key: &str) -> Failure {
        self.failure("a setting is missing in")
            .because(format!("[{section}] {key} has no default"))
            .fix(format!("add {key} = \"...\" below [{section}]"))
            .with_reason(format!("{section}.{key}"))
    }

    /// What lets those who send read a secret beside this file, and nobody else.
    pub(super) fn forbidden_secret(&self) -> &'static str {
        match self.owner {
            0 => {
                "as root: chgrp sendmail365 and chmod 0640 the file, and let that group pass the \
                 directories above it; nobody else may read it"
            }
            _ => "let this user read it, and nobody else, and pass the directories above it",
        }
    }

    /// Another file that the configuration names.
    pub(super) fn beside<'a>(&self, path: &'a Path, size_max: u64) -> Source<'a> {
        Source {
            path,
            owner: self.owner,
            size_max,
        }
    }

    /// Whom TLS trusts: a bundle that others can write would hand them the token.
    fn roots(&self, own: Option<&Path>) -> Result<Roots, Failure> {
        let cures = Cures {
            name: "ca_file",
            absent: "name a readable PEM file in [endpoint] ca_file",
            too_large: "keep only the certificates of your authorities in it",
            forbidden: FORBIDDEN,
        };
        let read = |path| {
            let file = self.beside(path, BUNDLE_SIZE_MAX);
            Ok((path, file.read(&cures)?))
        };
        let own = own.map(read).transpose()?;
        let own = own.as_ref().map(|(path, pem)| (*path, pem.as_slice()));
        Roots::load(own).map_err(|failure| failure.at(Stage::Config))
    }
}

/// The host's name where it can stand in EHLO, else a literal that always can.
fn greeting_name() -> String {
    let name = host_name();
    let fits = |octet: u8| octet.is_ascii_alphanumeric() || b"-.".contains(&octet);
    match !name.starts_with(['-', '.']) && !name.ends_with('.') && name.bytes().all(fits) {
        true => name,
        false => "[127.0.0.1]".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_not_read_the_configuration_is_told_what_helps_him() {
        let cure = |path: &str, callers_own| {
            forbidden(&Location {
                path: path.into(),
                callers_own,
            })
        };
        let hosts = "/etc/sendmail365/config.toml";
        assert!(cure(hosts, false).contains("chmod 0640 /etc/sendmail365/config.toml"));
        assert!(cure(hosts, true).contains("leave out -C"));
        assert_eq!(cure("/home/joe/own.toml", true), FORBIDDEN);
    }

    /// `let this user read it` would open the host's secret to everybody.
    #[test]
    fn a_secret_of_the_host_is_opened_to_the_group_only() {
        let source = |owner| Source {
            path: Path::new("/x"),
            owner,
            size_max: 1,
        };
        let hosts = source(0);
        let beside = hosts.beside(Path::new("/y"), 1);
        for cure in [hosts.forbidden_secret(), beside.forbidden_secret()] {
            assert!(cure.contains("chgrp sendmail365") && cure.contains("nobody else"));
        }
        assert!(!source(1000).forbidden_secret().contains("as root"));
    }
}
