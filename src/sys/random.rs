//! Random numbers that nobody can foresee.

use crate::outcome::{Class, Failure};
use ring::rand::{SecureRandom, SystemRandom};

/// Eight random octets as a number.
pub fn number() -> Result<u64, Failure> {
    let mut octets = [0; 8];
    SystemRandom::new().fill(&mut octets).map_err(|_| {
        Failure::new(Class::OsError, "no random numbers").because("the kernel's source failed")
    })?;
    Ok(u64::from_le_bytes(octets))
}
