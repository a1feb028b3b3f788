//! Reloads a changed `config.toml` in a running daemon.
//!
//! ```text
//!   file_watch ── events ──┐
//!   SIGHUP ── requests ────┼─▶ reload_thread ─▶ settle ──▶ read_file ─▶ settle ──▶ judge ─▶ ArcSwap::store
//!   poll, every 2 s ───────┘   (one thread)     (when to    (bytes,     (is it       │  validate, plan the change
//!                                                read)       writers)    complete?)  ├─▶ verdict, to log and status
//!                                                                                    └─▶ recorder: verdict, last good
//! ```
//!
//! | file | what it does |
//! | --- | --- |
//! | `path_chain` | follows the path to the file link by link; compares states of the file without reading it |
//! | `file_watch` | watches every folder of that chain and converts file system events to `settle::FileEvent`s |
//! | `read_file` | reads the file once, and asks the kernel whether a program has it open for writing |
//! | `mounts` | finds foreign mounts (file systems that do not report every change) without touching them |
//! | `look` | one look at the file; on a foreign mount in a separate process, with a time limit |
//! | `settle` | pure: decides when to read the file and whether its content is complete; draws the state machine |
//! | `validate` | parses the bytes, and checks the configuration on this machine |
//! | `judge` | compares the new configuration with the one in force, swaps them, and makes the verdict |
//! | `recorder` | writes the verdict and the last good configuration to disk |
//! | `boot_config` | loads the configuration that a daemon starts with: the file, or the last good configuration |
//! | `reload_thread` | the thread that runs the parts above |
//! | `replace_file` | replaces the file atomically, for `boi config set` |
//!
//! The states of one reload (`settle` draws them in detail):
//!
//! ```text
//!             event                 quiet                    complete                         valid
//!     idle ──────────▶ settling ──────────▶ reading the file ──────────▶ judging the content ───────▶ applied,
//!                       ▲   ▲                │            │                        │                  unchanged
//!                       │   └─ more events ──┤            │ missing or empty, 1 s  └─ not valid ─▶ rejected
//!                       └─── open for writing┘            └─▶ missing
//!                            (5 s: waiting)
//! ```
//!
//! Invariants:
//! - One thread reads, validates and swaps, so two reloads never run at the same time. An event only marks
//!   the file as changed.
//! - The swap replaces the whole configuration at once, and comes after every step that can fail.
//! - An invalid file or a panic in the validator does not change the configuration in force. Every reload ends with a
//!   verdict.
//! - While the file is not in force, or has warnings, each poll checks everything that the verdict depends
//!   on: the file, modes, programs, limits. A different result makes a new verdict; the same result is not
//!   reported again.
//! - No thread of the daemon touches a path on a foreign mount, which may never answer.
//! - A key that needs a restart keeps its old value and does not delay the other keys.

mod boot_config;
mod content_hash;
mod file_watch;
mod judge;
mod look;
mod mounts;
mod path_chain;
mod read_file;
mod recorder;
mod reload_thread;
mod replace_file;
mod settle;
mod validate;

pub use boot_config::{BootConfig, boot};
pub use judge::{Callbacks, Judge};
pub use look::answer as answer_look;
pub(crate) use look::{PATIENCE as LOOK_PATIENCE, find_program, foreign_mount_of};
pub(crate) use path_chain::FileState;
pub use reload_thread::{ReloadHandle, Reloader};
pub(crate) use replace_file::{ReplaceError, replace};
pub(crate) use settle::OpenForWriting;
pub use validate::ConfigError;
pub(crate) use validate::{Host, load, load_file, read, validate, validate_on};

#[cfg(test)]
mod daemon_hotreload;
