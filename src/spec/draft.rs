//! A draft: a spec whose text is valid, but whose `repo` and `base` are not checked against the machine yet.

use crate::document::problem::{Problem, Problems};
use crate::document::{Document, Located};
use crate::domain::id::SpecId;
use crate::domain::spec::{Base, Deliver, Repo, Spec, Task};

/// A spec whose text is valid, and whose `repo` and `base` are not resolved yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Draft {
    /// The path of the repository as the file gives it: absolute, relative to the file, or starting with
    /// `~/`. `None`: the spec uses an empty scratch directory.
    pub(crate) repo: Option<Located<String>>,
    /// Where the spec's branch starts; `None`: at the branch that `repo` is on. It is set only if `repo` is
    /// set.
    pub(crate) base: Option<Located<Base>>,
    pub(super) after: Vec<Located<SpecId>>,
    pub(super) document: Document,
    pub(super) title: String,
    pub(super) context: Option<String>,
    pub(super) agent: String,
    pub(super) model: Option<String>,
    pub(super) priority: i64,
    pub(super) deliver: Deliver,
    pub(super) verify: Vec<String>,
    /// The tasks in execution order.
    pub(super) tasks: Vec<Task>,
}

impl Draft {
    /// Returns the specs that must be completed first, each with the position of its id in the file (in
    /// `after` or `base`).
    pub(crate) fn after(&self) -> &[Located<SpecId>] {
        &self.after
    }

    /// Returns what boi does with the branch when the spec is completed.
    pub(crate) fn deliver(&self) -> Deliver {
        self.deliver
    }

    /// Returns a problem with the value `at` that the caller found after parsing.
    pub(crate) fn problem_at<T>(&self, at: &Located<T>, message: impl Into<String>, hint: Option<String>) -> Problem {
        Problem { message: message.into(), span: Some(at.span.clone()), hint }
    }

    /// Combines problems that the caller found after parsing with this spec's text, which their report
    /// quotes; `None` if there are no problems.
    pub(crate) fn problems(&self, problems: Vec<Problem>) -> Option<Problems> {
        Problems::collect(&self.document, problems)
    }

    /// Returns the spec to queue. `repo` contains [`Draft::repo`] and [`Draft::base`], resolved by the
    /// caller.
    pub(crate) fn into_spec(self, repo: Option<Repo>) -> Spec {
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
