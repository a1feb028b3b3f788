//! A spec whose text is valid, before the machine is asked about its `repo` and `base`.

use crate::document::problem::{Problem, Problems};
use crate::document::{Document, Located};
use crate::domain::id::SpecId;
use crate::domain::spec::{Base, Deliver, Repo, Spec, Task};

/// A valid spec whose `repo` and `base` are still as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Draft {
    /// Path of the repository, relative to the spec's file or below `~/`; `None`: an empty scratch directory.
    pub(crate) repo: Option<Located<String>>,
    /// Where the spec's branch starts. Set only together with `repo`; `None`: at the branch that `repo` is on.
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
    /// Specs that must be completed first, each with the position of its name in `after` or `base`.
    pub(crate) fn after(&self) -> &[Located<SpecId>] {
        &self.after
    }

    /// What happens to the finished branch.
    pub(crate) fn deliver(&self) -> Deliver {
        self.deliver
    }

    /// A problem found after parsing, about the value `at`.
    pub(crate) fn problem_at<T>(&self, at: &Located<T>, message: impl Into<String>, hint: Option<String>) -> Problem {
        Problem { message: message.into(), span: Some(at.span.clone()), hint }
    }

    /// Problems found after parsing, to be shown with this spec's text; `None` when there are none.
    pub(crate) fn problems(&self, problems: Vec<Problem>) -> Option<Problems> {
        Problems::collect(&self.document, problems)
    }

    /// The spec to queue. `repo`: [`Draft::repo`] and [`Draft::base`], resolved.
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
