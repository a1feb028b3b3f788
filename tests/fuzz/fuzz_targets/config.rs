//! `cargo fuzz run --fuzz-dir tests/fuzz config` (needs cargo-fuzz and a nightly compiler).
#![no_main]

#[path = "../../helpers/fuzz_config.rs"]
mod fuzz_config;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz_config::check(bytes));
