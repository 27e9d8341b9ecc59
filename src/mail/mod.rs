//! The words of mail: addresses, envelope, header and body, as octets in and octets out.

pub mod address;
pub mod aliases;
pub mod annex;
pub mod body;
pub mod dsn;
pub mod encoded;
pub mod envelope;
pub mod header;
pub mod message;
pub mod notice;
mod parameters;
mod parts;
pub mod recipients;
pub mod repair;
pub mod rewrite;
mod scan;
mod token;
pub mod transfer;
