//! Turns the bytes of a spec file into a validated spec, and reports all errors at once. `repository_config` does the same
//! with the file `.boi.toml` of a repository.
//!
//! ```text
//! bytes ─ header (fields of the spec), tasks, task_order ─▶ Draft ─ caller checks repo, base, agents ─▶ Spec
//! ```
//!
//! This room reads no files, so it cannot check whether `repo` exists, or which branch `repo` is on if `base`
//! is missing; and it does not know the configuration, which defines the agents. So [`parse`] returns a [`Draft`]. The
//! caller resolves its `repo` and `base`, checks its agents, reports problems with their positions in the spec's text, and
//! turns the draft into a `Spec`.
//!
//! Invariants:
//! - A [`Draft`] is valid except that `repo`, `base` and the agents are unchecked: ids are unique, `needs` has no cycle,
//!   tasks are in execution order, `after` has no duplicates, no text contains NUL.
//! - No function of this room reads a file, the environment or a clock.

mod draft;
mod fields;
mod header;
pub(crate) mod repository_config;
mod task_order;
mod tasks;

pub(crate) use draft::{Draft, References};
pub(crate) use fields::{PRIORITIES, TIMEOUT_MINUTES};

use crate::document;
use crate::document::problem::Problems;

/// The largest accepted spec file, in bytes.
pub(crate) const MAX_BYTES: usize = 8 << 20;

/// The result of parsing a spec file.
pub(crate) struct Parsed {
    /// The references that could be read.
    pub(crate) references: References,
    /// The draft, or the problems of the text.
    pub(crate) draft: Result<Draft, Problems>,
}

/// Parses the bytes of a spec file. `name` is the file's name in messages.
pub(crate) fn parse(name: &str, bytes: &[u8]) -> Parsed {
    let mut references = References::default();
    let draft = document::read(name, bytes, MAX_BYTES, |document, root, faults| {
        let (read, draft) = header::read(document, root, faults);
        references = read;
        draft
    });
    Parsed { references, draft }
}

/// Returns the problem with a spec file that cannot be read for the reason `message`.
pub(crate) fn unreadable(name: &str, message: &str) -> Problems {
    document::unreadable(name, message)
}

/// Returns the problem with a spec file of `bytes` bytes, which is larger than [`MAX_BYTES`].
pub(crate) fn too_large(name: &str, bytes: u64) -> Problems {
    document::too_large(name, bytes, MAX_BYTES)
}

#[cfg(test)]
mod tests;
