//! One table of settings, read from one file, handed down in the parts' own structs.

mod account;
pub mod clouds;
mod draft;
pub mod edit;
pub mod file;
pub mod paths;
pub mod place;
mod reader;
mod row;
pub mod settings;
mod values;

use crate::config::clouds::Cloud;
use crate::mail::address::Address;
use crate::mail::envelope::Pattern;
use crate::oauth;
use crate::queue::Spool;
use crate::queue::gate::Gate;
use crate::smtp;
use crate::sys::log::Log;
use crate::sys::roots::Roots;
use std::path::PathBuf;
use std::time::Duration;

/// How long a token has to last for High Volume Email: its ten minutes, and one to get there.
const HIGH_VOLUME_MARGIN: Duration = Duration::from_secs(660);

/// Everything the administrator decided; a value that exists is valid.
pub struct Config {
    /// Whose mail this is: the account that signs in, and where it gets its tokens.
    pub account: oauth::Account,
    pub endpoint: oauth::Endpoint,
    /// The cloud that the tenant is in.
    pub cloud: &'static Cloud,
    /// The files of the grant's secret and key.
    pub secret_files: Vec<PathBuf>,
    /// Where the token slots are: the usual place, then the one for a read-only /etc.
    pub token_dirs: Vec<PathBuf>,
    /// Where the processes of this host keep what they know of each other.
    pub state_dir: PathBuf,
    /// The mailbox, as From and as envelope sender.
    pub mailbox: Address,
    pub server: smtp::Server,
    pub sender: SenderSettings,
    pub recipients: RecipientSettings,
    pub queue: QueueSettings,
    /// Largest message taken, in octets.
    pub message_size_max: u64,
    pub roots: Roots,
    pub log: Log,
    /// The caller brought the file along, so that his rights must do.
    pub callers_own: bool,
    /// What is not wrong enough to stop mail.
    pub warnings: Vec<Warning>,
}

impl Config {
    /// All that getting a token takes.
    pub fn sign_in<'a>(&'a self, store: &'a oauth::Store) -> oauth::SignIn<'a> {
        oauth::SignIn {
            account: &self.account,
            endpoint: &self.endpoint,
            store,
            roots: &self.roots,
            timeout: oauth::TIMEOUT,
            margin: margin(&self.server.host),
        }
    }
}

impl Config {
    /// The queue.
    pub fn spool(&self) -> Spool {
        Spool::new(&self.queue.spool)
    }

    /// What the processes of this host know of each other.
    pub fn gate(&self) -> Gate {
        Gate {
            dir: self.state_dir.clone(),
            connections: self.queue.connections,
            per_minute: self.queue.per_minute,
        }
    }
}

/// What may stand in From and in the envelope, and what is added to the header.
pub struct SenderSettings {
    pub allow_from: Vec<Pattern>,
    pub rewrite: bool,
    pub received: bool,
}

/// Whether and how what the server does not take is kept.
pub struct QueueSettings {
    pub enabled: bool,
    /// Directory of the queue.
    pub spool: PathBuf,
    pub lifetime_seconds: u64,
    /// Connections of this host at the same time.
    pub connections: u32,
    /// Messages of this host in a minute.
    pub per_minute: u32,
}

/// What becomes of local names.
pub struct RecipientSettings {
    pub aliases: PathBuf,
    pub domain: Option<String>,
    pub admin: Option<Address>,
}

/// Something about the configuration that the log should tell once.
#[derive(Debug, PartialEq, Eq)]
pub struct Warning {
    /// Short cause for the log, such as `exposed`.
    pub reason: &'static str,
    pub text: String,
}

/// How long a token has to last for this server.
fn margin(host: &str) -> Duration {
    let host = host.to_ascii_lowercase();
    match host.starts_with("smtp-hve.") || host.ends_with(".hve.mx.microsoft") {
        true => HIGH_VOLUME_MARGIN,
        false => oauth::MARGIN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn high_volume_email_gets_no_token_of_the_last_ten_minutes() {
        let minutes = |host| margin(host).as_secs() / 60;
        assert!(minutes("smtp-hve.office365.com") > 10);
        assert!(minutes("SMTP.hve.mx.microsoft") > 10);
        assert_eq!(minutes("smtp.office365.com"), 5);
    }
}
