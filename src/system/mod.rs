//! Basic access to the machine: paths and environment, files, the clock, logs, output, the terminal, failpoints,
//! threads that may block, memory, and what is left of the machine's disks and memory.
//!
//! Which room uses which part of the machine (`clippy.toml` enforces the first three rules):
//!
//! - Only `paths` reads environment variables.
//! - Only `process`, `git`, `service` and `supervisor` start processes; `clock` runs `sysctl` on systems other than Linux.
//! - Only `main` ends this process, by returning its exit code.
//! - `domain`, `document`, `agents`, `spec`, `config` and `decide` use no files: they get bytes and values.
//!   Each other room opens and removes its own files. The file operations that several rooms share are in
//!   `files`: private modes, atomic replacement, locks. What a command may have replaced is opened by `untrusted`.

pub(crate) mod access;
pub(crate) mod attempt_folder;
pub(crate) mod blocking;
pub(crate) mod clock;
pub(crate) mod failpoint;
pub(crate) mod files;
mod home_error;
pub(crate) mod home_record;
mod home_safety;
pub(crate) mod logs;
pub(crate) mod machine;
pub(crate) mod memory;
pub(crate) mod output;
pub mod paths;
pub(crate) mod repeat;
pub(crate) mod terminal;
pub(crate) mod untrusted;
