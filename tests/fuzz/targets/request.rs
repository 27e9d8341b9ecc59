//! Fuzzes the oracle `request` of tests/properties.
#![no_main]

#[path = "../../properties/oracles.rs"]
#[allow(dead_code, clippy::disallowed_methods)]
mod oracles;

libfuzzer_sys::fuzz_target!(|input: &[u8]| oracles::request(input));
