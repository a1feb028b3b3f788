//! boi runs fleets of coding agents from a durable queue.
//!
//! The rooms, from the ground up. **A file uses only rooms above its own in this list**; `tests/layers.rs` holds the
//! code to it.
//!
//! | room | what it is for |
//! | --- | --- |
//! | `domain` | nouns: ids, specs, attempts, outcomes; std and serde only |
//! | `source` | a TOML document with positions, and problems that point into it |
//! | `spec` | bytes of a spec file -> validated spec, all errors at once |
//! | `config` | bytes of `config.toml` -> validated configuration; the key table |
//! | `decide` | verbs without hands: what to spawn, a worker's next step, how a try ended, what to recover |
//! | `host` | hands: paths, processes, git, the store; one outside thing per file |
//! | `supervisor` | the small process under which each command runs |
//! | `control` | the socket: wire types, server, client |
//! | `daemon` | the loop, its workers, shutdown |
//! | `tui` | draws what the control client tells it |
//! | `cli` | the command line |
#![deny(missing_docs)]
#![warn(unreachable_pub)]

pub mod cli;
pub mod config;
pub mod control;
pub mod daemon;
pub mod decide;
pub mod domain;
pub mod host;
pub mod source;
pub mod spec;
pub mod supervisor;
pub mod tui;
