//! What a file says, setting by setting, before it is known whether it is enough.

use super::clouds::Cloud;
use crate::mail::address::Address;
use crate::mail::envelope::Pattern;
use std::path::PathBuf;

/// Values as they are read, before what is required has been checked.
#[derive(Default)]
pub struct Draft {
    pub mailbox: Option<Address>,
    pub user: Option<String>,
    pub tenant: Option<String>,
    pub client_id: Option<String>,
    pub grant: String,
    pub client_secret_file: Option<PathBuf>,
    pub certificate_file: Option<PathBuf>,
    pub private_key_file: Option<PathBuf>,
    pub federated_token_file: Option<PathBuf>,
    pub token_command: Vec<String>,
    pub cloud: Option<&'static Cloud>,
    pub authority: Option<String>,
    pub token_url: Option<String>,
    pub device_url: Option<String>,
    pub authorize_url: Option<String>,
    pub scope: Option<String>,
    pub resource: Option<String>,
    pub ca_file: Option<PathBuf>,
    pub proxy: Option<(String, u16)>,
    pub host: Option<String>,
    pub port: u16,
    pub hello: Option<String>,
    pub allow_from: Vec<Pattern>,
    pub rewrite: bool,
    pub received: bool,
    pub aliases: PathBuf,
    pub domain: Option<String>,
    pub admin: Option<Address>,
    pub queue: bool,
    pub lifetime_seconds: u64,
    pub connections: u32,
    pub per_minute: u32,
    pub message_size_max: u64,
    pub tokens: Option<PathBuf>,
    pub state: Option<PathBuf>,
    pub spool: Option<PathBuf>,
    pub syslog: bool,
    pub log_file: Option<PathBuf>,
}
