//! A sendmail whose mail leaves through Microsoft 365.

pub mod cli;
pub mod config;
pub mod mail;
pub mod oauth;
pub mod outcome;
pub mod smtp;
pub mod sys;
