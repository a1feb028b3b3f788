//! boi runs fleets of coding agents from a durable queue.
//!
//! The table lists the rooms (top-level modules), the most basic first. **A file may use only rooms that are
//! listed before its own**; `tests/layers.rs` enforces it.
//!
//! | room | what it is for |
//! | --- | --- |
//! | `domain` | types that all rooms share: ids, specs, attempts, causes; text that is safe for a terminal |
//! | `document` | parses TOML documents, and reports problems with their line and column |
//! | `agents` | for each coding agent: its command line, the reader of its output, the outcome of its run, advice |
//! | `spec` | turns the bytes of a spec file into a validated spec, or reports all its errors at once |
//! | `config` | turns the bytes of `config.toml` into a validated configuration; has the table of all keys |
//! | `decide` | pure decisions: what to claim, a worker's next step, crash recovery, waits, the reasons that users read |
//! | `system` | the machine: paths and environment, files, clock, logs, terminal |
//! | `process` | starts, identifies, watches and signals processes; process trees and cgroups |
//! | `git` | worktrees, capture, repair after a power cut |
//! | `delivery` | merges a base into a spec's branch, and moves the base and the checkout on it forward |
//! | `queue` | the durable queue: the trait and its SQLite implementation |
//! | `supervisor` | the small process under which each command runs, and which outlives the daemon |
//! | `control` | the control socket: calls, server, client |
//! | `reload` | puts a changed configuration in force while the daemon runs: watches, reads, validates, swaps |
//! | `service` | the service manager (systemd, launchd): unit files and notifications |
//! | `daemon` | the daemon: its tick loop, its workers, its start and end |
//! | `ui` | writes reports and progress for users |
//! | `doctor` | checks of a home and its machine, and how to fix each finding |
//! | `cli` | the command line |
//! | `bench_support` | what the benchmarks measure of private rooms; the program does not use it |
#![cfg_attr(test, expect(clippy::disallowed_methods, reason = "unit tests start programs and read the environment"))]
#![cfg_attr(not(test), deny(clippy::print_stderr, clippy::print_stdout))]
#![deny(missing_docs)]
#![warn(unreachable_pub)]

pub mod agents;
#[doc(hidden)]
pub mod bench_support;
pub mod cli;
pub mod config;
mod control;
mod daemon;
mod decide;
mod delivery;
mod doctor;
mod document;
pub mod domain;
mod git;
pub mod process;
mod queue;
pub mod reload;
mod service;
mod spec;
pub mod supervisor;
pub mod system;
mod ui;
