//! What an administrator does: one file a verb or a mode.

pub mod aliases;
pub mod check;
pub mod doctor;
pub mod explain;
pub mod login;
pub mod queue;
pub mod verify;
