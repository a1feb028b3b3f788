//! Bytes of a spec file to a validated spec, all errors at once.
//!
//! Only the host can say whether `repo` exists and what a missing `base` stands for. So [`parse`] gives a [`Draft`]: the
//! host resolves its `repo` and `base`, points into the same text when it cannot, and turns it into a
//! [`Spec`].
//!
//! Invariants:
//! - A [`Draft`] that exists is valid but for what only the host knows: ids unique, `needs` acyclic, tasks in the order
//!   they are carried out, `after` without duplicates, no NUL anywhere.
//! - Nothing here reads a file, the environment or a clock.

mod graph;
mod tasks;
mod top;

use std::ops::RangeInclusive;

use crate::document::document::Document;
use crate::document::problem::{Problem, Problems};
use crate::document::{self, Located};
use crate::domain::id::SpecId;
use crate::domain::spec::{Base, Deliver, Repo, Spec, Task};

/// The largest spec file that is read.
pub const MAX_BYTES: usize = 8 << 20;

/// The agents that a spec can name.
pub const AGENTS: &[&str] = &["claude"];

/// The priorities that a spec can have. Lower runs first.
pub const PRIORITIES: RangeInclusive<i64> = -1_000_000..=1_000_000;

/// The minutes that a task can set for one try, and that the configuration can set for all: at most a week.
pub const TIMEOUT_MINUTES: RangeInclusive<i64> = 1..=10_080;

/// A valid spec whose `repo` and `base` are as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Relative to the spec's file, perhaps with `~`; `None`: an empty scratch directory.
    pub repo: Option<Located<String>>,
    /// Only ever set beside `repo`; `None`: the branch that `repo` is on.
    pub base: Option<Located<Base>>,
    after: Vec<Located<SpecId>>,
    document: Document,
    title: String,
    context: Option<String>,
    agent: String,
    model: Option<String>,
    priority: i64,
    deliver: Deliver,
    verify: Vec<String>,
    tasks: Vec<Task>,
}

/// Reads a spec. `name` is what problems call the file.
pub fn parse(name: &str, bytes: &[u8]) -> Result<Draft, Problems> {
    document::read(name, bytes, MAX_BYTES, top::read)
}

/// What is wrong with a spec file of `bytes` bytes, which are more than are read.
pub fn too_large(name: &str, bytes: u64) -> Problems {
    document::document::larger(name, bytes, MAX_BYTES)
}

impl Draft {
    /// What the user calls it.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Specs that must be completed first, and where they are named: those of `after`, and the one of `base`.
    pub fn after(&self) -> &[Located<SpecId>] {
        &self.after
    }

    /// What is done with the result.
    pub fn deliver(&self) -> Deliver {
        self.deliver
    }

    /// In the order they are carried out.
    pub fn tasks(&self) -> &[Task] {
        &self.tasks
    }

    /// A problem that only the host could find, pointing at the value it is about.
    pub fn problem_at<T>(&self, at: &Located<T>, message: impl Into<String>, hint: Option<String>) -> Problem {
        Problem { message: message.into(), span: Some(at.span.clone()), hint }
    }

    /// What the host found, with this spec's text to point into; `None` when it found nothing.
    pub fn problems(&self, problems: Vec<Problem>) -> Option<Problems> {
        self.document.problems(problems)
    }

    /// The spec as it is queued. `repo`: what the host made of [`Draft::repo`] and [`Draft::base`].
    pub fn into_spec(self, repo: Option<Repo>) -> Spec {
        Spec {
            title: self.title,
            repo,
            context: self.context,
            agent: self.agent,
            model: self.model,
            priority: self.priority,
            after: self.after.into_iter().map(|id| id.value).collect(),
            deliver: self.deliver,
            verify: self.verify,
            tasks: self.tasks,
        }
    }
}

#[cfg(test)]
#[cfg(test)]
mod tests;
