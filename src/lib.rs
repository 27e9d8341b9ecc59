//! A sendmail whose mail leaves through Microsoft 365.

pub mod outcome;
pub mod sys;
