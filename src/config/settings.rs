//! Every setting once: name, type, default, what it means.

use crate::config::clouds::Cloud;
use crate::config::row::{list, number, switch, text};
use crate::config::values::{
    address, command, count, domain, duration, grant, hello, host, https, optional, path, port,
    printable, proxy, segment, size, token_address,
};
use crate::mail::envelope::Pattern;

pub use crate::config::draft::Draft;
pub use crate::config::row::{Complaint, Setting, Takes};

/// The table, in the order of the shipped file.
pub const SETTINGS: &[Setting] = &[
    text(
        "account",
        "mailbox",
        "",
        "The mailbox that sends: From, envelope sender and, unless `user` is set, the account that signs in.",
        |d, v| {
            d.mailbox = Some(address(v)?);
            Ok(())
        },
    ),
    text(
        "account",
        "user",
        "",
        "The account that signs in when it is not the mailbox, such as a delegate of a shared mailbox.",
        |d, v| {
            d.user = optional(v)
                .map(|v| address(v).map(|user| user.to_string()))
                .transpose()?;
            Ok(())
        },
    ),
    text(
        "account",
        "tenant",
        "",
        "Tenant id, a domain of the tenant, `organizations` or `consumers`.",
        |d, v| {
            d.tenant = Some(segment(v)?);
            Ok(())
        },
    ),
    text(
        "account",
        "client_id",
        "",
        "Application (client) id of the app registration.",
        |d, v| {
            d.client_id = Some(segment(v)?);
            Ok(())
        },
    ),
    text(
        "account",
        "grant",
        "delegated",
        "How tokens are got: delegated (a person signs in once), client-secret, certificate, \
         managed-identity, federated or command.",
        |d, v| {
            d.grant = grant(v)?;
            Ok(())
        },
    ),
    text(
        "account",
        "client_secret_file",
        "",
        "File with the client secret, for client-secret and for a confidential delegated app; with \
         managed-identity, the identity header of App Service.",
        |d, v| {
            d.client_secret_file = path(v)?;
            Ok(())
        },
    ),
    text(
        "account",
        "certificate_file",
        "",
        "The app's certificate in PEM, with its chain or without, for certificate.",
        |d, v| {
            d.certificate_file = path(v)?;
            Ok(())
        },
    ),
    text(
        "account",
        "private_key_file",
        "",
        "The certificate's RSA key in PEM, without passphrase.",
        |d, v| {
            d.private_key_file = path(v)?;
            Ok(())
        },
    ),
    text(
        "account",
        "federated_token_file",
        "",
        "File with a token of another issuer, read anew for each request, for federated.",
        |d, v| {
            d.federated_token_file = path(v)?;
            Ok(())
        },
    ),
    list(
        "account",
        "token_command",
        "[]",
        "Program and arguments that print an access token, for command; run without a shell.",
        |d, v| {
            d.token_command = command(v)?;
            Ok(())
        },
    ),
    text(
        "account",
        "cloud",
        "global",
        "Microsoft's cloud that the tenant is in: global, gcc-high, dod or china.",
        |d, v| {
            d.cloud = Some(Cloud::named(v)?);
            Ok(())
        },
    ),
    text(
        "endpoint",
        "authority",
        "https://login.microsoftonline.com",
        "Where the tenant signs in; another cloud has its own.",
        |d, v| {
            d.authority = Some(https(v)?.trim_end_matches('/').to_owned());
            Ok(())
        },
    ),
    text(
        "endpoint",
        "token_url",
        "",
        "Token endpoint, if it is not the usual one below `authority`; with managed-identity, the \
         service of this host.",
        |d, v| {
            d.token_url = optional(v).map(token_address).transpose()?;
            Ok(())
        },
    ),
    text(
        "endpoint",
        "device_url",
        "",
        "Where codes for other devices come from, if not from below `authority`.",
        |d, v| {
            d.device_url = optional(v).map(https).transpose()?;
            Ok(())
        },
    ),
    text(
        "endpoint",
        "authorize_url",
        "",
        "Where browsers sign in, if not below `authority`.",
        |d, v| {
            d.authorize_url = optional(v).map(https).transpose()?;
            Ok(())
        },
    ),
    text(
        "endpoint",
        "scope",
        "",
        "Scope of the token request, if it is not the usual one for SMTP.",
        |d, v| {
            d.scope = optional(v).map(printable).transpose()?;
            Ok(())
        },
    ),
    text(
        "endpoint",
        "resource",
        "",
        "Resource of the token request; selects the v1 endpoint.",
        |d, v| {
            d.resource = optional(v).map(printable).transpose()?;
            Ok(())
        },
    ),
    text(
        "endpoint",
        "ca_file",
        "",
        "PEM bundle of certificate authorities to trust besides the system's.",
        |d, v| {
            d.ca_file = path(v)?;
            Ok(())
        },
    ),
    text(
        "endpoint",
        "proxy",
        "",
        "HTTP proxy for both legs, as http://host:port; the environment is never asked.",
        |d, v| {
            d.proxy = optional(v).map(proxy).transpose()?;
            Ok(())
        },
    ),
    text(
        "smtp",
        "host",
        "smtp.office365.com",
        "The submission server; another cloud has its own.",
        |d, v| {
            d.host = Some(host(v)?);
            Ok(())
        },
    ),
    number("smtp", "port", "587", "Its port, with STARTTLS.", |d, v| {
        d.port = port(v)?;
        Ok(())
    }),
    text(
        "smtp",
        "hello",
        "",
        "The name to greet with, if not the host's own.",
        |d, v| {
            d.hello = optional(v).map(hello).transpose()?;
            Ok(())
        },
    ),
    list(
        "sender",
        "allow_from",
        "[]",
        "Addresses or \"*@domain\" that may send beside the mailbox.",
        |d, v| {
            d.allow_from = v
                .iter()
                .map(|v| Pattern::parse(v).map_err(|_| "not an address or *@domain".to_owned()))
                .collect::<Result<_, _>>()?;
            Ok(())
        },
    ),
    switch(
        "sender",
        "rewrite",
        "true",
        "Replace other senders by the mailbox; the name stays, the old address goes to Reply-To.",
        |d, v| {
            d.rewrite = v;
        },
    ),
    switch(
        "sender",
        "received",
        "true",
        "Add a Received field that names the host and the user.",
        |d, v| {
            d.received = v;
        },
    ),
    text(
        "recipients",
        "aliases",
        "/etc/aliases",
        "File of local names and who reads their mail.",
        |d, v| {
            d.aliases = path(v)?.unwrap_or_default();
            Ok(())
        },
    ),
    text(
        "recipients",
        "domain",
        "",
        "Domain for names that are neither aliases nor complete addresses.",
        |d, v| {
            d.domain = optional(v).map(domain).transpose()?;
            Ok(())
        },
    ),
    text(
        "recipients",
        "admin",
        "",
        "Who takes mail for local names that nothing else resolves.",
        |d, v| {
            d.admin = optional(v).map(address).transpose()?;
            Ok(())
        },
    ),
    switch(
        "queue",
        "enabled",
        "true",
        "Keep what the server does not take now, and try again.",
        |d, v| d.queue = v,
    ),
    text(
        "queue",
        "lifetime",
        "5d",
        "How long a message is tried, in days, hours or minutes.",
        |d, v| {
            d.lifetime_seconds = duration(v)?;
            Ok(())
        },
    ),
    number(
        "limits",
        "connections",
        "2",
        "Connections of this host at the same time; Microsoft takes 3 for each mailbox.",
        |d, v| {
            d.connections = count(v)?;
            Ok(())
        },
    ),
    number(
        "limits",
        "per_minute",
        "25",
        "Messages of this host in a minute; Microsoft takes 30 from each mailbox.",
        |d, v| {
            d.per_minute = count(v)?;
            Ok(())
        },
    ),
    text(
        "limits",
        "message_size",
        "150MB",
        "Largest message taken, in KB, MB or octets.",
        |d, v| {
            d.message_size_max = size(v)?;
            Ok(())
        },
    ),
    text(
        "paths",
        "tokens",
        "/etc/sendmail365",
        "Directory of the token slots.",
        |d, v| {
            d.tokens = path(v)?;
            Ok(())
        },
    ),
    text(
        "paths",
        "state",
        "/var/lib/sendmail365",
        "Directory of shared state; takes the token slots while `tokens` is read-only.",
        |d, v| {
            d.state = path(v)?;
            Ok(())
        },
    ),
    text(
        "paths",
        "spool",
        "/var/spool/sendmail365",
        "Directory of the queue.",
        |d, v| {
            d.spool = path(v)?;
            Ok(())
        },
    ),
    switch(
        "log",
        "syslog",
        "true",
        "One line for each message to syslog, facility mail.",
        |d, v| d.syslog = v,
    ),
    text("log", "file", "", "The same lines to a file.", |d, v| {
        d.log_file = path(v)?;
        Ok(())
    }),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_a_value_that_its_own_row_takes() {
        for setting in SETTINGS {
            let mut draft = Draft::default();
            let taken = match setting.takes {
                Takes::Text(_) if setting.default.is_empty() => Ok(()),
                Takes::Text(set) => set(&mut draft, setting.default),
                Takes::Number(set) => set(&mut draft, setting.default.parse().unwrap()),
                Takes::Switch(set) => {
                    set(&mut draft, setting.default.parse().unwrap());
                    Ok(())
                }
                Takes::List(set) => set(&mut draft, &[]),
            };
            assert_eq!(taken, Ok(()), "{}.{}", setting.section, setting.key);
        }
    }

    #[test]
    fn no_key_stands_twice() {
        for (place, setting) in SETTINGS.iter().enumerate() {
            let same =
                |other: &&Setting| (other.section, other.key) == (setting.section, setting.key);
            assert_eq!(SETTINGS.iter().position(|other| same(&other)), Some(place));
        }
    }
}
