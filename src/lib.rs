//! A sendmail whose mail leaves through Microsoft 365.

pub mod mail;
pub mod cli;
pub mod outcome;
pub mod sys;
