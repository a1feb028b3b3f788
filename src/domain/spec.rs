//! A spec and its tasks, as dispatched: validated, immutable, complete (defaults are filled in, paths are absolute).

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::id::SpecId;

/// The priority of a spec that names none. Lower runs first.
pub const DEFAULT_PRIORITY: i64 = 100;

/// The agent of a spec that names none.
pub const DEFAULT_AGENT: &str = "claude";

/// A validated spec: the snapshot that is queued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// What the user calls it.
    pub title: String,
    /// Where it works; `None`: an empty scratch directory.
    pub repo: Option<Repo>,
    /// Text put in front of every prompt.
    pub context: Option<String>,
    /// The agent that takes the prompts.
    pub agent: String,
    /// Handed to the agent; `None`: the agent's own default.
    pub model: Option<String>,
    /// Lower runs first; ties are first come, first served.
    pub priority: i64,
    /// Specs that must be completed first (and merged, if they merge).
    pub after: Vec<SpecId>,
    /// What is done with the result.
    pub deliver: Deliver,
    /// Commands that must exit 0 on the committed tree after the last task.
    pub verify: Vec<String>,
    /// At least one, in the order they are carried out: file order, as far as `needs` allows.
    pub tasks: Vec<Task>,
}

/// The repository a spec works on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repo {
    /// Absolute path of the working tree that the spec named.
    pub path: PathBuf,
    /// What the branch `boi/<SPEC>` starts from.
    pub base: Base,
}

/// What a spec's branch starts from. Names are resolved when the spec starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Base {
    /// A branch, tag or commit.
    Revision(String),
    /// The branch of another spec.
    Spec(SpecId),
}

/// What is done with the branch of a completed spec.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deliver {
    /// It is left for the user.
    #[default]
    Branch,
    /// It is merged into the base, by fast-forward only.
    Merge,
}

/// One step of a spec.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// Unique within its spec: `[A-Za-z0-9._-]`, at most 64 characters.
    pub id: String,
    /// One line for people.
    pub title: String,
    /// What is done.
    pub action: Action,
    /// Ids of tasks that are carried out before this one.
    pub needs: Vec<String>,
    /// Commands that must exit 0 before the task counts.
    pub verify: Vec<String>,
    /// Minutes for one try, and for each verify command; `None`: the configuration's.
    pub timeout_minutes: Option<u32>,
}

/// What a task does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Text for the agent.
    Prompt(String),
    /// A command for `sh -c`; no agent.
    Run(String),
}
