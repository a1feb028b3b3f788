//! A draft: a spec whose text is valid, but whose `repo`, `base` and agents are not checked yet.

use crate::document::problem::{Problem, Problems};
use crate::document::{Document, Located};
use crate::domain::id::SpecId;
use crate::domain::money::Usd;
use crate::domain::repository_config::RepositoryConfig;
use crate::domain::spec::{Base, Changes, Deliver, OnConflict, Repo, Spec, Task};

/// A spec whose text is valid, and whose `repo`, `base` and agents are not checked yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Draft {
    pub(super) references: References,
    pub(super) document: Document,
    pub(super) title: String,
    pub(super) context: Option<String>,
    pub(super) agent: String,
    pub(super) model: Option<String>,
    pub(super) priority: i64,
    pub(super) verify: Vec<String>,
    pub(super) verify_all: bool,
    pub(super) changes: Changes,
    pub(super) on_conflict: Option<OnConflict>,
    pub(super) max_usd: Option<Usd>,
    pub(super) names_agent: bool,
    pub(super) copy: Vec<String>,
    pub(super) setup: Vec<String>,
    /// The tasks in execution order.
    pub(super) tasks: Vec<Task>,
}

/// What a spec's text says about things outside the text, as far as it is valid. It is known also if another
/// part of the text is invalid, so that all errors can be reported at once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct References {
    /// The path of the repository as the file gives it: absolute, relative to the file, or starting with
    /// `~/`. `None`: the spec uses an empty scratch directory.
    pub(crate) repo: Option<Located<String>>,
    /// Where the spec's branch starts; `None`: at the branch that `repo` is on.
    pub(crate) base: Option<Located<Base>>,
    /// The specs that must be completed first, each with the position of its id in the file (in `after` or
    /// `base`).
    pub(crate) after: Vec<Located<SpecId>>,
    /// What boi does with the branch when the spec is completed.
    pub(crate) deliver: Deliver,
    /// The agents that the spec and its tasks name. Includes the default agent if a task with a prompt names
    /// none.
    pub(crate) agents: Vec<Located<String>>,
    /// The model that the spec names.
    pub(crate) model: Option<String>,
    /// The limit of the spec's cost, if the spec sets one.
    pub(crate) max_usd: Option<Located<Usd>>,
}

impl Draft {
    /// Combines problems that the caller found after parsing with this spec's text, which their report
    /// quotes; `None` if there are no problems.
    pub(crate) fn problems(&self, problems: Vec<Problem>) -> Option<Problems> {
        Problems::collect(&self.document, problems)
    }

    /// Returns the spec to queue. `repo` contains the `repo` and the `base` of its references, resolved by
    /// the caller.
    pub(crate) fn into_spec(self, repo: Option<Repo>) -> Spec {
        Spec {
            title: self.title,
            repo,
            context: self.context,
            agent: self.agent,
            model: self.model,
            priority: self.priority,
            after: self.references.after.into_iter().map(|id| id.value).collect(),
            deliver: self.references.deliver,
            verify: self.verify,
            verify_all: self.verify_all,
            changes: self.changes,
            on_conflict: self.on_conflict,
            is_sent_back: false,
            of_repository: RepositoryConfig::default(),
            max_usd: self.max_usd,
            names_agent: self.names_agent,
            copy: self.copy,
            setup: self.setup,
            tasks: self.tasks,
        }
    }
}
