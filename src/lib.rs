//! boi runs fleets of coding agents from a durable queue.
//!
//! The rooms, from the ground up. **A file uses only rooms above its own in this list**; `tests/layers.rs` holds the
//! code to it.
//!
//! | room | what it is for |
//! | --- | --- |
//! | `domain` | nouns: ids, specs, attempts, outcomes, reasons; text fit for a terminal |
//! | `document` | a TOML document with positions, and problems that point into it |
//! | `agents` | coding agents, pure: command line, output reader, outcome and advice of each |
//! | `spec` | bytes of a spec file -> validated spec, all errors at once |
//! | `config` | bytes of `config.toml` -> validated configuration; the key table |
//! | `decide` | pure decisions: what to spawn, a worker's next step, what to recover, how long to wait |
//! | `system` | the machine: paths and environment, files, clock, logs, terminal |
//! | `process` | processes: start, identify, watch, signal; trees and cgroups |
//! | `git` | worktrees, capture, delivery, repair after a power cut |
//! | `queue` | the durable queue: the trait and its SQLite implementation |
//! | `supervisor` | the small process under which each command runs |
//! | `control` | the control socket: calls, server, client |
//! | `reload` | the configuration's way into a running daemon: watch, settle, validate, swap |
//! | `service` | the service manager: units and notifications |
//! | `daemon` | the tick loop, its workers, start and end |
//! | `ui` | text for people: reports and progress |
//! | `cli` | the command line |
#![deny(missing_docs)]
#![warn(unreachable_pub)]

pub mod agents;
pub mod cli;
pub mod config;
pub mod control;
pub mod daemon;
pub mod decide;
pub mod document;
pub mod domain;
pub mod git;
pub mod process;
pub mod queue;
pub mod reload;
pub mod service;
pub mod spec;
pub mod supervisor;
pub mod system;
pub mod ui;
