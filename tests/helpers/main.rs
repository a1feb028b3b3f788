//! Tests of the helper programs: the fake agent, with what boi reads in its output, and the loopback model API.

#![expect(clippy::disallowed_methods, reason = "tests start programs and read the environment")]

mod fake;
mod judge;
#[expect(dead_code, reason = "the end-to-end tests use the rest")]
mod model_api;
