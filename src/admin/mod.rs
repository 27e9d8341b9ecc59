//! What an administrator does: one file a verb.

pub mod login;
