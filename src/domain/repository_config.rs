//! A repository's own configuration: what the file `.boi.toml` of a spec's base commit says.
//!
//! A spec's own fields take precedence. The queue stores the configuration with the spec when its first attempt starts, so
//! the spec keeps it until its end: a later commit changes only specs that start later.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::spec::{Action, DEFAULT_AGENT, Spec};

/// The name of the file, at the root of the repository.
pub(crate) const FILE: &str = ".boi.toml";

/// The command that runs the repository's `pre-commit` hook on the changes of a try.
const PRE_COMMIT: &str = "git add --all && git hook run --ignore-missing pre-commit";

/// A repository's own configuration. Each field is empty or `None` if the file does not set it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RepositoryConfig {
    /// The agent of specs that name none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// The model of specs that name none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Text that boi puts in front of every prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// Commands that make a new working tree ready for the tasks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub setup: Vec<String>,
    /// Patterns of ignored files of the user's checkout that boi copies into the worktree.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub copy: Vec<String>,
    /// Ignored folders that the worktree of the next spec inherits.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keep: Vec<String>,
    /// Commands that must exit 0 on the committed tree after the last task.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub verify: Vec<String>,
    /// Patterns of files that no try may change.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub protected: Vec<String>,
    /// The largest number of specs of the repository that run at the same time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_workers: Option<u32>,
    /// The time limit in minutes of one try, and of each setup and verify command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_minutes: Option<u32>,
    /// Whether each try has to pass the repository's `pre-commit` hook.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub hooks: bool,
}

impl RepositoryConfig {
    /// Returns the settings that need the user's trust, one in a line: those that execute commands, and those that
    /// choose which ignored files an agent can read. Empty: the configuration needs no trust.
    pub(crate) fn commands(&self) -> String {
        let mut text = String::new();
        let lists = [("setup", &self.setup), ("verify", &self.verify), ("copy", &self.copy), ("keep", &self.keep)];
        for (key, values) in lists {
            for value in values {
                // Quoted, so that each value is one line.
                writeln!(text, "{key} = {value:?}").expect("writing to a string does not fail");
            }
        }
        if self.hooks {
            text.push_str("hooks = true\n");
        }
        text
    }

    /// Completes `spec` with this configuration. The spec's own fields take precedence.
    pub(crate) fn complete(&self, spec: &mut Spec) {
        let takes_agent = !spec.names_agent && spec.agent == DEFAULT_AGENT && spec.model.is_none();
        if let Some(agent) = self.agent.as_ref().filter(|_| takes_agent) {
            spec.agent = agent.clone();
        }
        if !spec.names_agent && spec.model.is_none() {
            spec.model = self.model.clone();
        }
        if spec.context.is_none() {
            spec.context = self.context.clone();
        }
        for (own, of_repository) in
            [(&mut spec.setup, &self.setup), (&mut spec.copy, &self.copy), (&mut spec.verify, &self.verify)]
        {
            if own.is_empty() {
                own.clone_from(of_repository);
            }
        }
        for task in &mut spec.tasks {
            task.timeout_minutes = task.timeout_minutes.or(self.timeout_minutes);
            if self.hooks {
                task.verify.insert(0, PRE_COMMIT.to_owned());
            }
        }
        spec.of_repository = self.clone();
    }

    /// Returns the agents that the configuration adds to a spec.
    pub(crate) fn agents_of(&self, spec: &Spec) -> BTreeSet<String> {
        let mut completed = spec.clone();
        self.complete(&mut completed);
        let is_prompt = |task: &usize| matches!(completed.tasks[*task].action, Action::Prompt(_));
        (0..completed.tasks.len()).filter(is_prompt).map(|task| completed.agent_of(task).to_owned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> RepositoryConfig {
        RepositoryConfig {
            agent: Some("codex".into()),
            model: Some("large".into()),
            context: Some("Rules.".into()),
            setup: vec!["npm ci".into()],
            copy: vec![".env".into()],
            keep: vec!["target".into()],
            verify: vec!["make\ncheck".into()],
            protected: vec!["tests/**".into()],
            max_workers: Some(2),
            timeout_minutes: Some(7),
            hooks: true,
        }
    }

    #[test]
    fn a_spec_gets_what_it_does_not_set_itself() {
        let mut spec = Spec::for_tests("t", &["a"]);
        config().complete(&mut spec);
        assert_eq!(
            (spec.agent.as_str(), spec.model.as_deref(), spec.context.as_deref()),
            ("codex", Some("large"), Some("Rules."))
        );
        assert_eq!((spec.setup, spec.copy, spec.verify), (config().setup, config().copy, config().verify));
        assert_eq!(spec.tasks[0].timeout_minutes, Some(7));
        assert_eq!(spec.tasks[0].verify, [PRE_COMMIT]);
        assert_eq!(spec.of_repository, config());
    }

    #[test]
    fn the_fields_of_a_spec_take_precedence() {
        let mut spec = Spec::for_tests("t", &["a"]);
        (spec.names_agent, spec.context) = (true, Some("Mine.".into()));
        (spec.setup, spec.copy, spec.verify) = (vec!["s".into()], vec!["c".into()], vec!["v".into()]);
        spec.tasks[0].timeout_minutes = Some(1);
        let before = spec.clone();
        config().complete(&mut spec);
        assert_eq!((spec.agent, spec.model, spec.context), (before.agent, None, before.context));
        assert_eq!((spec.setup, spec.copy, spec.verify), (before.setup, before.copy, before.verify));
        assert_eq!(spec.tasks[0].timeout_minutes, Some(1));
    }

    #[test]
    fn a_spec_with_a_model_of_its_own_keeps_the_agent_that_the_model_belongs_to() {
        let mut spec = Spec { model: Some("sonnet".into()), ..Spec::for_tests("t", &["a"]) };
        config().complete(&mut spec);
        assert_eq!((spec.agent.as_str(), spec.model.as_deref()), (DEFAULT_AGENT, Some("sonnet")));
    }

    #[test]
    fn commands_are_listed_one_in_a_line() {
        let text = "setup = \"npm ci\"\nverify = \"make\\ncheck\"\ncopy = \".env\"\nkeep = \"target\"\nhooks = true\n";
        assert_eq!(config().commands(), text);
        let plain = RepositoryConfig { context: Some("c".into()), max_workers: Some(1), ..RepositoryConfig::default() };
        assert_eq!(plain.commands(), "");
    }

    #[test]
    fn a_stored_configuration_is_read_again() {
        for config in [config(), RepositoryConfig::default()] {
            let text = serde_json::to_string(&config).unwrap();
            assert_eq!(serde_json::from_str::<RepositoryConfig>(&text).unwrap(), config, "{text}");
        }
    }
}
