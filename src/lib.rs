//! boi runs fleets of coding agents from a durable queue.
//!
//! The rooms, the most basic first. **A file may use only rooms that are listed before its own**; `tests/layers.rs` enforces it.
//!
//! | room | what it is for |
//! | --- | --- |
//! | `domain` | types that all rooms share: ids, specs, attempts, causes; text that is safe for a terminal |
//! | `document` | TOML documents with positions, and problems that point into them |
//! | `agents` | coding agents, pure: the command line, output reader, outcome and advice of each |
//! | `spec` | bytes of a spec file -> validated spec, all errors at once |
//! | `config` | bytes of `config.toml` -> validated configuration; the key table |
//! | `decide` | pure decisions: what to claim, a worker's next step, crash recovery, backoff, words for people |
//! | `system` | the machine: paths and environment, files, clock, logs, terminal |
//! | `process` | processes: start, identify, watch, signal; trees and cgroups |
//! | `git` | worktrees, capture, delivery, repair after a power cut |
//! | `queue` | the durable queue: the trait and its SQLite implementation |
//! | `supervisor` | the small process under which each command runs, and which outlives the daemon |
//! | `control` | the control socket: calls, server, client |
//! | `reload` | how a running daemon takes over a changed configuration: watch, settle, validate, swap |
//! | `service` | the service manager: units and notifications |
//! | `daemon` | the tick loop, its workers, start and end |
//! | `ui` | text for people: reports and progress |
//! | `doctor` | checks of a home and its machine, and how to fix each finding |
//! | `cli` | the command line |
#![cfg_attr(test, expect(clippy::disallowed_methods, reason = "unit tests start programs and read the environment"))]
#![deny(missing_docs)]
#![warn(unreachable_pub)]

pub mod agents;
pub mod cli;
pub mod config;
mod control;
mod daemon;
mod decide;
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
