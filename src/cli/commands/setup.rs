//! The options of `setup`: a setting each, and what is not to be done.

use super::{Asked, CONFIG, HELP};
use crate::cli::options::{Kind, Name, Opt, Takes, opt};
use crate::cli::{Invocation, Setup, misuse};
use crate::outcome::Failure;
use std::ffi::OsString;

/// An option that gives one setting.
macro_rules! gives {
    ($option:literal, $value:literal, $section:literal, $key:literal, $does:literal) => {
        opt(
            Name::Long($option),
            Kind::Works,
            Takes::Value($value, |asked: &mut Asked, value| {
                give(asked, $option, ($section, $key), value)
            }),
            $does,
        )
    };
}

#[rustfmt::skip]
pub(super) const OPTIONS: &[Opt<Asked>] = &[
    CONFIG,
    HELP,
    gives!("mailbox", "address", "account", "mailbox", "The mailbox that sends."),
    gives!("user", "address", "account", "user", "Who signs in, if not the mailbox."),
    gives!("tenant", "tenant", "account", "tenant", "Tenant id, or a domain of the tenant."),
    gives!("client-id", "id", "account", "client_id", "Application (client) id."),
    gives!("grant", "grant", "account", "grant", "How tokens are got; see sendmail365.conf(5)."),
    gives!("certificate-file", "file", "account", "certificate_file", "The certificate in PEM."),
    gives!("private-key-file", "file", "account", "private_key_file", "Its key in PEM."),
    gives!("client-secret-file", "file", "account", "client_secret_file", "File with the secret."),
    gives!("federated-token-file", "file", "account", "federated_token_file",
        "File with a token of another issuer."),
    gives!("cloud", "cloud", "account", "cloud", "global, gcc-high, dod or china."),
    gives!("smtp-host", "name", "smtp", "host", "The submission server, if another."),
    gives!("admin", "address", "recipients", "admin", "Who reads notices and root's mail."),
    opt(Name::Long("yes"), Kind::Works, Takes::Nothing(|asked| asked.setup.yes = true),
        "Ask nothing."),
    opt(Name::Long("no-login"), Kind::Works, Takes::Nothing(|asked| asked.setup.no_login = true),
        "Do not sign in."),
    opt(Name::Long("no-test"), Kind::Works, Takes::Nothing(|asked| asked.setup.no_test = true),
        "Send no test message."),
];

fn give(
    asked: &mut Asked,
    option: &str,
    (section, key): (&'static str, &'static str),
    value: OsString,
) -> Result<(), Failure> {
    let text = value
        .into_string()
        .map_err(|_| misuse(format!("the value of --{option} is not UTF-8")))?;
    let given = &mut asked.setup.given;
    given.retain(|other| (other.section, other.key) != (section, key));
    given.push(crate::cli::Given { section, key, text });
    Ok(())
}

pub(super) fn settle(asked: Asked) -> Result<Invocation, Failure> {
    let config = asked.config;
    Ok(Invocation::Setup(Setup {
        config,
        ..asked.setup
    }))
}
