//! The tenant can be trusted: it takes what Microsoft takes, and says no where Microsoft does.

mod application;
mod authorize;
mod browser;
mod client;
mod device;
mod endpoint;
mod errors;
mod faults;
mod identity;
mod submission;
