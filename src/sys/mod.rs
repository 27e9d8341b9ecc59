//! The operating system: who calls, the clock, files, the log, secrets in memory.
//!
//! All of it is edge, and the only place of `unsafe`.

pub mod caller;
pub mod clock;
pub mod command;
pub mod confinement;
pub mod der;
pub mod dial;
pub mod file;
pub mod log;
pub mod look;
pub mod pem;
pub mod privilege;
#[cfg(test)]
pub(crate) mod quiet;
pub mod random;
pub mod roots;
pub mod secret;
pub mod signal;
pub mod socket;
pub mod stdio;
pub mod timer;
pub mod tls;
pub mod unnamed;
