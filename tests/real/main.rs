//! End-to-end tests with the real CLIs of coding agents, against the loopback API of `tests/helpers/model_api/`. `cargo
//! test` does not run them, and lists them as ignored: `cargo test --test real -- --ignored` runs them.
//!
//! `BOI_TEST_CLAUDE`, `BOI_TEST_CODEX`, `BOI_TEST_GEMINI` and `BOI_TEST_OPENCODE` name the programs of the CLIs. The tests
//! of a CLI without its variable print that they are skipped. `.ci/run` installs the CLIs and sets the variables.

#![expect(clippy::disallowed_methods, reason = "tests start programs and read the environment")]

#[path = "../helpers/judge.rs"]
mod judge;
#[path = "../helpers/model_api/mod.rs"]
#[expect(dead_code, reason = "the benches use the rest")]
mod model_api;
#[path = "../it/support.rs"]
#[expect(dead_code, reason = "the other tests use the rest")]
mod support;

mod agents;
mod claude;
mod cli;
mod fleet;
mod skill;
