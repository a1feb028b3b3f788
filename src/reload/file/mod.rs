//! The configuration file as the file system has it: the chain of folders and links that leads to it, what is in it and
//! whether somebody is writing it, and the news that it changed.
//!
//! Invariants:
//! - Paths alone are no identity: a chain is the same only when every device and inode on it is.
//! - Looking never blocks on a FIFO, never reads more than the limit, and gives no bytes that changed while they were read.

mod chain;
mod look;
mod replace;
mod watch;

pub use chain::{Chain, Stamp};
pub use look::{Found, look};
pub use replace::{ReplaceError, replace};
pub use watch::{Watch, closes_are_seen};
