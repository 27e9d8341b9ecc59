//! The packages: built of the program under test, then lived with in a clean Debian root.

mod apparmor;
mod beside;
mod built;
mod container;
mod life;
mod lint;
mod mirror;
pub mod root;
pub mod rows;
mod rpm;
mod users;
