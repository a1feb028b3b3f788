//! Hands: one outside thing per file. Paths and environment, the clock, processes, git, the store, the
//! terminal.
//!
//! Invariant: outside `host` (and the supervisor, which is a process of its own) nothing opens a file, starts a program,
//! reads the environment or speaks SQL.

pub mod clock;
pub mod config_file;
pub mod failpoint;
pub mod files;
pub mod logs;
pub mod paths;
pub mod process;
pub mod service;
pub mod store;
pub mod terminal;
pub mod unit;
pub mod worktree;
