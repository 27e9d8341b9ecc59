//! The words of mail: addresses, envelope, header and body, as octets in and octets out.

pub mod address;
pub mod aliases;
pub mod envelope;
pub mod recipients;
mod scan;
mod token;
