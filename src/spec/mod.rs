//! Turns the bytes of a spec file into a validated spec, and reports all errors at once.
//!
//! ```text
//! bytes ─ header (fields of the spec), tasks, task_order ─▶ Draft ─ the caller resolves repo and base ─▶ Spec
//! ```
//!
//! Only the machine can say whether `repo` exists and which branch a missing `base` means. So [`parse`] returns a
//! [`Draft`]. The caller resolves its `repo` and `base`, reports problems with positions in the same text, and turns it
//! into a `Spec`.
//!
//! Invariants:
//! - A [`Draft`] is valid except for what only the machine knows: ids are unique, `needs` has no cycle, tasks are in
//!   execution order, `after` has no duplicates, no text contains NUL.
//! - Nothing here reads a file, the environment or a clock.

mod draft;
mod fields;
mod header;
mod task_order;
mod tasks;

pub(crate) use draft::Draft;
pub(crate) use fields::{PRIORITIES, TIMEOUT_MINUTES};

use crate::document;
use crate::document::problem::Problems;

/// The largest accepted spec file, in bytes.
pub(crate) const MAX_BYTES: usize = 8 << 20;

/// Parses a spec. `name` is the file's name in messages.
pub(crate) fn parse(name: &str, bytes: &[u8]) -> Result<Draft, Problems> {
    document::read(name, bytes, MAX_BYTES, header::read)
}

/// The problem of a spec file of `bytes` bytes, more than [`MAX_BYTES`].
pub(crate) fn too_large(name: &str, bytes: u64) -> Problems {
    document::too_large(name, bytes, MAX_BYTES)
}

#[cfg(test)]
mod tests;
