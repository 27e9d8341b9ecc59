//! What an administrator does: one file a verb or a mode.

pub mod aliases;
pub mod check;
pub mod doctor;
pub mod explain;
pub mod login;
pub mod queue;
mod quote;
pub mod setup;
pub mod status;
pub mod test;
pub mod verify;
