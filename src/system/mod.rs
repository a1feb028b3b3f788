//! Small things of the machine: paths and environment, files, the clock, logs, the terminal, failpoints.
//!
//! Invariant: only `paths` reads the environment.

pub mod clock;
pub mod failpoint;
pub mod files;
pub mod logs;
pub mod paths;
pub mod terminal;
