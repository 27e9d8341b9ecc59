//! The words of mail: addresses, envelope, header and body, as octets in and octets out.

pub mod address;
mod scan;
