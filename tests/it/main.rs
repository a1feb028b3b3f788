//! Tests of the built `boi` from outside, with temporary homes and repositories, and the fake agent instead of Claude Code.
//!
//! Tests wait for conditions, with a long deadline, and leave no process behind (`support::Sandbox`). `cargo test` builds
//! the fake agent; before `cargo test --test it`, run `cargo build --example fake-agent`.

#![expect(clippy::disallowed_methods, reason = "tests start programs and read the environment")]

mod support;

mod after;
mod budget;
mod clean;
mod copy;
mod crash;
mod deaths;
mod deliver;
mod diff;
mod doctor;
mod drop;
mod events;
mod failpoints;
mod follow;
mod forker;
mod fuzz;
mod git;
mod git_walk;
mod golden;
mod holds;
mod hooks;
mod hung;
mod ids;
mod input;
mod landing;
mod log;
mod machine;
mod open;
mod operate;
mod parallel;
mod power;
mod quarantine;
mod queue;
mod reload;
mod report;
mod repositories;
mod repository_config;
mod retention;
mod retry;
mod run;
mod saves;
mod send_back;
mod service;
mod sessions;
mod shared;
mod stop;
mod store;
mod top;
mod trees;
mod trust;
mod upgrade;
mod verbs;
