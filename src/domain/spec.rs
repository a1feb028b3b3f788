//! A spec and its tasks as the queue stores them: validated, immutable and complete (defaults filled in,
//! paths absolute).
//!
//! The queue stores these types as JSON, and later versions of boi read them. A stored record without an
//! optional field gets the default that the spec format documents. A record without a required field, or with
//! a field that this version does not know (a newer version wrote it), is rejected: to carry out only a part
//! of a spec would be worse than not to start it.

use std::path::PathBuf;

use serde::{Deserialize, Deserializer, Serialize};

use super::id::SpecId;
use super::landing::SentBack;
use super::money::Usd;
use super::repository_config::RepositoryConfig;

/// The priority of a spec that does not set one. Specs with a lower number run first.
pub(crate) const DEFAULT_PRIORITY: i64 = 100;

/// The id of the task that boi adds to a spec that is sent back to its agent.
const LANDING_TASK: &str = "land";

/// The agent of a spec that does not name one.
pub(crate) const DEFAULT_AGENT: &str = "claude";

/// A validated spec: the snapshot in the queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Spec {
    /// The user's title, one line.
    pub title: String,
    /// The repository to work on; `None`: an empty scratch directory.
    // The field is required, although it may be null: if a damaged record lost the field, the spec must not
    // run in a scratch directory.
    #[serde(deserialize_with = "required")]
    pub repo: Option<Repo>,
    /// Text that boi puts in front of every prompt.
    #[serde(default)]
    pub context: Option<String>,
    /// The name of the agent that gets the prompts.
    #[serde(default = "default_agent")]
    pub agent: String,
    /// The model passed to the agent; `None`: the agent's own default.
    #[serde(default)]
    pub model: Option<String>,
    /// Specs with a lower number run first; specs with the same number run in the order in which they were
    /// queued.
    #[serde(default = "default_priority")]
    pub priority: i64,
    /// Specs that must be completed before this spec starts, and merged if their `deliver` is `merge`.
    #[serde(default)]
    pub after: Vec<SpecId>,
    /// What boi does with the branch when the spec is completed.
    #[serde(default)]
    pub deliver: Deliver,
    /// Commands that must exit 0 on the committed tree after the last task.
    #[serde(default)]
    pub verify: Vec<String>,
    /// Whether each task is also verified by the verify commands of the tasks before it.
    // Stored only if it is set, so that versions without this field can read other records.
    #[serde(default, skip_serializing_if = "is_false")]
    pub verify_all: bool,
    /// Whether a try of a prompt task fails if it changes no file. Each task can override this.
    #[serde(default, skip_serializing_if = "Changes::is_optional")]
    pub changes: Changes,
    /// The limit on the cost of the spec's agents in all attempts together; `None`: the limit that the
    /// configuration sets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_usd: Option<Usd>,
    /// What boi does if the branch cannot be landed; `None`: the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_conflict: Option<OnConflict>,
    /// Whether the spec names its agent. The configuration of the repository can replace only the default agent.
    #[serde(default, skip_serializing_if = "is_false")]
    pub names_agent: bool,
    /// Patterns, as in `.gitignore`, of ignored files of the user's checkout that boi copies into the worktree.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub copy: Vec<String>,
    /// Commands that make a new working tree ready for the tasks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub setup: Vec<String>,
    /// The tasks, at least one, in execution order: the order of the file, as far as `needs` allows.
    pub tasks: Vec<Task>,
    /// Whether the last task is the one that boi added when the spec was sent back to its agent.
    #[serde(skip)]
    pub is_sent_back: bool,
    /// The configuration of the repository, if it has completed the spec.
    #[serde(skip)]
    pub of_repository: RepositoryConfig,
}

impl Spec {
    /// Returns what a lander works on instead of a spec.
    pub(crate) fn of_lander(repo: Repo) -> Spec {
        Spec {
            title: "Land completed specs".to_owned(),
            repo: Some(repo),
            context: None,
            agent: default_agent(),
            model: None,
            priority: DEFAULT_PRIORITY,
            after: vec![],
            deliver: Deliver::Merge,
            verify: vec![],
            verify_all: false,
            changes: Changes::Optional,
            max_usd: None,
            on_conflict: None,
            names_agent: false,
            copy: vec![],
            setup: vec![],
            tasks: vec![],
            is_sent_back: false,
            of_repository: RepositoryConfig::default(),
        }
    }

    /// Returns the name of the agent that gets the prompt of a task.
    pub(crate) fn agent_of(&self, task: usize) -> &str {
        self.tasks[task].agent.as_deref().unwrap_or(&self.agent)
    }

    /// Lets the agent `other` do the tasks of `agent`. If `agent` is the agent of the spec, the spec's model
    /// belongs to it, so `other` uses its own default model.
    pub(crate) fn replace_agent(&mut self, agent: &str, other: &str) {
        if self.agent == agent {
            self.agent = other.to_owned();
            self.model = None;
        }
        for task in &mut self.tasks {
            if task.agent.as_deref() == Some(agent) {
                task.agent = Some(other.to_owned());
            }
        }
    }

    /// Returns the agent to which the spec is sent back if its branch cannot be landed: that of the last prompt task.
    /// `None`: there is none, or the spec asks to stay unmerged.
    pub(crate) fn landing_agent(&self) -> Option<&str> {
        let is_prompt = |task: &Task| matches!(task.action, Action::Prompt(_));
        let last = self.tasks.iter().rposition(is_prompt)?;
        (self.on_conflict != Some(OnConflict::Unmerged)).then(|| self.agent_of(last))
    }

    /// Returns the commands that verify the whole branch: those of the spec or, if it has none, those of its tasks.
    pub(crate) fn verify_of_branch(&self) -> Vec<String> {
        match &self.verify[..] {
            [] => self.tasks.iter().flat_map(|task| task.verify.iter().cloned()).collect(),
            own => own.to_vec(),
        }
    }

    /// Adds the task of a spec that was sent back to its agent.
    pub(crate) fn add_landing_task(&mut self, sent: &SentBack) {
        let Some(agent) = self.landing_agent().map(str::to_owned) else { return };
        let mut verify = self.verify_of_branch();
        if let Some(command) = sent.failed_command()
            && !verify.iter().any(|other| other == command)
        {
            verify.push(command.to_owned());
        }
        self.tasks.push(Task {
            id: LANDING_TASK.to_owned(),
            title: format!("Make the branch ready for {}", sent.base_name()),
            action: Action::Prompt(sent.prompt()),
            agent: Some(agent),
            changes: None,
            needs: vec![],
            verify,
            timeout_minutes: None,
        });
        self.is_sent_back = true;
    }

    /// Returns whether this task is the one that boi added when the spec was sent back.
    pub(crate) fn is_landing_task(&self, task: usize) -> bool {
        self.is_sent_back && task + 1 == self.tasks.len()
    }

    /// Returns whether a try of this task fails if it changes no file.
    pub(crate) fn requires_changes(&self, task: usize) -> bool {
        let task = &self.tasks[task];
        matches!(task.action, Action::Prompt(_)) && task.changes.unwrap_or(self.changes) == Changes::Required
    }

    /// Returns the commands that verify a task: its own and, with `verify_all`, then those of the tasks
    /// before it, which are done.
    pub(crate) fn verify_of(&self, task: usize) -> Vec<&str> {
        let earlier = if self.verify_all { &self.tasks[..task] } else { &[] };
        let own = &self.tasks[task].verify;
        own.iter().chain(earlier.iter().flat_map(|task| &task.verify)).map(String::as_str).collect()
    }
}

/// Returns whether `name` can be the name of a model: one word that does not begin with `-`.
pub(crate) fn is_model(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('-') && !name.chars().any(|c| c.is_control() || c.is_whitespace())
}

/// Checks that `folder` can be a folder that the next spec inherits: a path below the root of the repository, in its
/// shortest form. The error continues a sentence that begins with the path.
pub(crate) fn check_kept_folder(folder: &str) -> Result<(), &'static str> {
    let mut parts = folder.split('/');
    if parts.any(|part| matches!(part, "" | "." | "..")) {
        return Err("is not the path of a folder below the root of the repository");
    }
    if folder.split('/').any(|part| part.eq_ignore_ascii_case(".git")) {
        return Err("belongs to git");
    }
    if folder.contains(['*', '?', '[', '\\', '"', '\n', '\r', '\t']) {
        return Err("looks like a pattern");
    }
    Ok(())
}

/// The repository that a spec works on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Repo {
    /// The absolute path of the working tree that the spec named.
    pub path: PathBuf,
    /// The commit, or the branch, at which the branch `boi/<SPEC>` starts.
    pub base: Base,
}

/// Where a spec's branch starts. The worker resolves the name to a commit when the spec starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Base {
    /// A branch, tag or commit.
    Revision(String),
    /// The branch of another spec.
    Spec(SpecId),
}

impl Base {
    /// Returns the name by which git knows the base.
    pub(crate) fn name(&self) -> String {
        match self {
            Base::Revision(name) => name.clone(),
            Base::Spec(id) => id.branch(),
        }
    }
}

/// What boi does with the branch of a completed spec.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Deliver {
    /// boi leaves the branch as it is.
    #[default]
    Branch,
    /// boi merges the base into the branch, and fast-forwards the base to the result.
    Merge,
}

/// What boi does with a spec whose branch conflicts with its base, or fails a verify command only after the merge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OnConflict {
    /// The spec goes back to its agent.
    Agent,
    /// The spec stays unmerged.
    Unmerged,
}

/// Whether a task has to change files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Changes {
    /// A task can be done without changing a file.
    #[default]
    Optional,
    /// A try that changes no file fails.
    Required,
}

impl Changes {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_optional(&self) -> bool {
        *self == Changes::Optional
    }
}

/// One task of a spec.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Task {
    /// The task's id, unique within its spec: `[A-Za-z0-9._-]`, at most 64 characters.
    pub id: String,
    /// The title, one line for people.
    pub title: String,
    /// What the task does.
    pub action: Action,
    /// The name of the agent that gets the prompt; `None`: the spec's agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Whether a try fails if it changes no file; `None`: the spec's `changes` decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<Changes>,
    /// Ids of the tasks that must be done before this one.
    #[serde(default)]
    pub needs: Vec<String>,
    /// Commands that must exit 0 before the task is done.
    #[serde(default)]
    pub verify: Vec<String>,
    /// Time limit in minutes of one try, and of each verify command; `None`: the limit that the configuration
    /// sets.
    #[serde(default)]
    pub timeout_minutes: Option<u32>,
}

/// What a task does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Action {
    /// Text for the agent.
    Prompt(String),
    /// A command for `sh -c`, run without an agent.
    Run(String),
}

#[cfg(test)]
impl Spec {
    /// A spec without a repository, with these tasks.
    pub(crate) fn for_tests(title: &str, tasks: &[&str]) -> Spec {
        Spec {
            title: title.into(),
            repo: None,
            context: None,
            agent: default_agent(),
            model: None,
            priority: DEFAULT_PRIORITY,
            after: vec![],
            deliver: Deliver::Branch,
            verify: vec![],
            verify_all: false,
            changes: Changes::Optional,
            max_usd: None,
            on_conflict: None,
            names_agent: false,
            copy: vec![],
            setup: vec![],
            is_sent_back: false,
            of_repository: RepositoryConfig::default(),
            tasks: tasks.iter().map(|id| Task::for_tests(id, &[])).collect(),
        }
    }
}

#[cfg(test)]
impl Task {
    /// A task that runs `true`.
    pub(crate) fn for_tests(id: &str, verify: &[&str]) -> Task {
        Task {
            id: id.into(),
            title: id.into(),
            action: Action::Run("true".into()),
            agent: None,
            changes: None,
            needs: vec![],
            verify: verify.iter().map(|&command| command.to_owned()).collect(),
            timeout_minutes: None,
        }
    }
}

/// Reads a field that must be present but may be null. Without this, serde reads a missing `Option` as
/// `None`.
fn required<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    Option::deserialize(deserializer)
}

fn is_false(value: &bool) -> bool {
    !value
}

fn default_agent() -> String {
    DEFAULT_AGENT.to_owned()
}

fn default_priority() -> i64 {
    DEFAULT_PRIORITY
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A spec as version 0.1.0 stores it.
    fn stored() -> Value {
        json!({
            "title": "Add a limit", "repo": {"path": "/src/api", "base": {"spec": "SD979"}}, "context": "The API.",
            "agent": "claude", "model": "sonnet", "priority": 5, "after": ["SD979"], "deliver": "merge",
            "verify": ["cargo test"],
            "tasks": [
                {"id": "a", "title": "A", "action": {"prompt": "Do it."}, "needs": [], "verify": ["true"],
                 "timeout_minutes": 7},
                {"id": "b", "title": "B", "action": {"run": "make"}, "needs": ["a"], "verify": [],
                 "timeout_minutes": null},
            ],
        })
    }

    fn decode(stored: &Value) -> Result<Spec, serde_json::Error> {
        serde_json::from_value(stored.clone())
    }

    #[test]
    fn a_stored_spec_decodes_and_encodes_to_the_same_json() {
        let spec = decode(&stored()).unwrap();
        assert_eq!((spec.priority, spec.deliver, spec.tasks.len()), (5, Deliver::Merge, 2));
        assert_eq!(serde_json::to_value(&spec).unwrap(), stored());
    }

    #[test]
    fn a_missing_optional_field_decodes_to_the_default_of_the_spec_format_and_a_missing_required_one_is_refused() {
        let defaults = json!({
            "context": null, "agent": "claude", "model": null, "priority": 100, "after": [], "deliver": "branch",
            "verify": [],
        });
        let task_defaults = json!({"needs": [], "verify": [], "timeout_minutes": null});
        for (place, defaults) in [("", defaults), ("/tasks/0", task_defaults)] {
            let fields: Vec<String> = stored().pointer(place).unwrap().as_object().unwrap().keys().cloned().collect();
            for field in fields {
                let mut without = stored();
                without.pointer_mut(place).unwrap().as_object_mut().unwrap().remove(&field);
                match (decode(&without), defaults.get(&field)) {
                    (Ok(spec), Some(default)) => {
                        let decoded = serde_json::to_value(&spec).unwrap();
                        assert_eq!(decoded.pointer(&format!("{place}/{field}")), Some(default), "{place}/{field}");
                    }
                    (Err(error), None) => assert!(error.to_string().contains(&field), "{place}/{field}: {error}"),
                    (decoded, _) => panic!("{place}/{field}: {decoded:?}"),
                }
            }
        }
        for field in ["path", "base"] {
            let mut without = stored();
            without["repo"].as_object_mut().unwrap().remove(field);
            assert!(decode(&without).is_err(), "{field}");
        }
        let mut scratch = stored();
        scratch["repo"] = Value::Null;
        assert_eq!(decode(&scratch).unwrap().repo, None);
    }

    #[test]
    fn a_field_that_this_version_does_not_know_is_refused() {
        for place in ["", "/repo", "/tasks/0"] {
            let mut newer = stored();
            newer.pointer_mut(place).unwrap()["later"] = json!(3);
            assert!(decode(&newer).unwrap_err().to_string().contains("later"), "{place}");
        }
    }

    #[test]
    fn with_verify_all_a_task_is_also_verified_by_the_commands_of_the_tasks_before_it() {
        let tasks = vec![Task::for_tests("a", &["1", "2"]), Task::for_tests("b", &["3"]), Task::for_tests("c", &[])];
        let mut spec = Spec { tasks, ..Spec::for_tests("t", &[]) };
        assert_eq!([spec.verify_of(1), spec.verify_of(2)], [vec!["3"], vec![]]);
        assert!(!serde_json::to_string(&spec).unwrap().contains("verify_all"), "versions without the field read it");
        spec.verify_all = true;
        assert_eq!(
            [spec.verify_of(0), spec.verify_of(1), spec.verify_of(2)],
            [vec!["1", "2"], vec!["3", "1", "2"], vec!["1", "2", "3"]]
        );
        let text = serde_json::to_string(&spec).unwrap();
        assert_eq!(serde_json::from_str::<Spec>(&text).unwrap(), spec);
    }
}
