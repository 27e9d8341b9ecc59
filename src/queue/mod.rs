//! Nothing is lost, and nobody is overrun: what the processes of a host know of each other.

pub mod gate;
