//! Checks the agents that a spec names: the configuration in force or the one on disk must define them.

use std::cell::OnceCell;

use super::{CliError, USAGE, in_force};
use crate::config::flags::Flags;
use crate::config::{AgentConfig, Config};
use crate::document::problem::Problem;
use crate::document::{closest, quoted};
use crate::domain::money::Usd;
use crate::reload;
use crate::spec::References;
use crate::system::paths::Home;

/// The configurations that define the agents of specs.
pub(super) struct KnownAgents {
    /// The configuration in force, or the one on disk if no daemon runs. It is read at the first use.
    config: OnceCell<Config>,
    /// The configuration on disk, which a daemon may be about to put in force. It is read only for an agent
    /// that `config` does not define, since a file system may not answer.
    on_disk: OnceCell<Option<Config>>,
    /// The home with the configuration on disk; `None`: only `config` defines agents.
    home: Option<Home>,
}

impl KnownAgents {
    /// Reads the configuration in force or, if no daemon runs, the one on disk. If neither can be read, the agents are
    /// those that are built in.
    pub(super) async fn find(home: &Home) -> KnownAgents {
        match in_force::look(home).await.and_then(|daemon| daemon.config()) {
            Some(config) => KnownAgents { home: Some(home.clone()), ..KnownAgents::of(config) },
            None => KnownAgents::of(read(home).unwrap_or_default()),
        }
    }

    /// Like [`KnownAgents::find`], but reads the configuration only once a spec names an agent. Not for async code.
    pub(super) fn lazy(home: &Home) -> KnownAgents {
        KnownAgents { config: OnceCell::new(), on_disk: OnceCell::new(), home: Some(home.clone()) }
    }

    fn config(&self) -> &Config {
        self.config.get_or_init(|| {
            let home = self.home.as_ref();
            let in_force = home.and_then(|home| in_force::ask(home).ok().flatten()?.config());
            in_force.or_else(|| read(home?)).unwrap_or_default()
        })
    }

    /// Returns the agents that `config` alone defines.
    pub(super) fn of(config: Config) -> KnownAgents {
        KnownAgents { config: OnceCell::from(config), on_disk: OnceCell::new(), home: None }
    }

    fn on_disk(&self) -> Option<&Config> {
        self.on_disk.get_or_init(|| read(self.home.as_ref()?)).as_ref()
    }

    /// Fails if no configuration defines the agent `name`. The error suggests a similar name.
    pub(super) fn check(&self, name: &str) -> Result<(), CliError> {
        match self.get(name) {
            Some(_) => Ok(()),
            None => Err(CliError::new(USAGE, format!("unknown agent {}", quoted(name))).hint(self.hint(name))),
        }
    }

    fn get(&self, name: &str) -> Option<&AgentConfig> {
        self.config().agents.get(name).or_else(|| self.on_disk()?.agents.get(name))
    }

    /// Returns every problem with the agents of a spec: those that are not defined, and those whose cost is not known
    /// although a budget limits it.
    pub(super) fn problems(&self, references: &References) -> Vec<Problem> {
        let mut problems: Vec<Problem> = Vec::new();
        if references.agents.is_empty() {
            return problems;
        }
        let budget = self.budget(references);
        for (index, agent) in references.agents.iter().enumerate() {
            let name = &agent.value;
            let problem = |message: String| Problem::new(message, agent.span.clone());
            match (self.get(name), budget) {
                (None, _) => problems.push(problem(format!("unknown agent {}", quoted(name))).hint(self.hint(name))),
                (Some(_), _) if references.agents[..index].iter().any(|earlier| earlier.value == *name) => {}
                (Some(known), Some(budget)) => {
                    let model = known.worker.model_of(references.model.as_deref());
                    if !known.worker.knows_cost(model) {
                        let of = model.map(|model| format!(" with the model `{model}`")).unwrap_or_default();
                        let message =
                            format!("`{budget}` limits the cost, but the cost of the agent `{name}`{of} is not known");
                        problems.push(problem(message).hint(known.worker.price_hint(name, model)));
                    }
                }
                (Some(_), None) => {}
            }
        }
        problems
    }

    /// Returns the name of the budget that limits the cost of the spec, if there is one.
    fn budget(&self, references: &References) -> Option<&'static str> {
        let config = self.config();
        [
            ("max_usd", references.max_usd.is_some()),
            ("max_usd_per_spec", config.max_usd_per_spec > Usd::ZERO),
            ("max_usd_per_day", config.max_usd_per_day > Usd::ZERO),
        ]
        .into_iter()
        .find_map(|(name, limits)| limits.then_some(name))
    }

    fn hint(&self, name: &str) -> String {
        let mut names: Vec<&str> = [Some(self.config()), self.on_disk()]
            .into_iter()
            .flatten()
            .flat_map(|config| config.agents.names())
            .collect();
        names.sort_unstable();
        names.dedup();
        match closest(name, names.iter().copied()) {
            Some(close) => format!("did you mean `{close}`?"),
            None => {
                let names = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
                format!("the agents are {names}; a table [agents.{name}] in config.toml defines another")
            }
        }
    }
}

/// Reads the configuration on disk; `None`: it is not valid.
fn read(home: &Home) -> Option<Config> {
    reload::load(home, &Flags::default()).ok().map(|loaded| loaded.config)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ProcessSettings, parse};
    use crate::spec;

    /// The problems of a spec under a configuration, each with its line.
    fn problems(config: &str, spec: &str) -> Vec<String> {
        let config = parse("config.toml", config.as_bytes(), &ProcessSettings::default()).unwrap().config;
        let text = format!("title = 't'\n{spec}");
        let parsed = spec::parse("spec.toml", text.as_bytes());
        let problems = KnownAgents::of(config).problems(&parsed.references);
        parsed.draft.unwrap().problems(problems).map(|problems| problems.lines()).unwrap_or_default()
    }

    #[test]
    fn an_agent_that_no_configuration_defines_is_refused_at_its_place() {
        let aider = "[agents.aider]\ncommand = 'aider'\n";
        let spec = "agent = 'cluade'\n[[tasks]]\nprompt = 'p'\nagent = 'aider'\n[[tasks]]\nprompt = 'q'\n";
        assert_eq!(problems(aider, spec), ["spec.toml:2:9: unknown agent `cluade` (did you mean `claude`?)"]);
        assert_eq!(
            problems("", spec)[1],
            "spec.toml:5:9: unknown agent `aider` (the agents are `claude`, `codex`, `gemini`, `opencode`; a table \
             [agents.aider] in config.toml defines another)"
        );
    }

    #[test]
    fn under_a_budget_each_agent_needs_a_known_cost() {
        let task = |agent: &str| format!("[[tasks]]\nprompt = 'p'\nagent = '{agent}'\n");
        let prices = "[agents.codex.prices.some-model]\ninput = 1\ncached = 0.5\noutput = 2\n";
        let text = "[agents.own]\ncommand = 'own'\n";
        let budget = "max_usd = 2.5\n";
        for (config, spec, count) in [
            ("", [budget, &task("claude"), &task("opencode")].concat(), 0),
            ("", [budget, "[[tasks]]\nprompt = 'p'\n"].concat(), 0),
            ("", [budget, &task("codex"), &task("gemini"), &task("codex")].concat(), 2),
            ("", task("codex"), 0),
            (prices, [budget, "model = 'some-model-2'\n", &task("codex")].concat(), 0),
            (prices, [budget, "model = 'other'\n", &task("codex")].concat(), 1),
            (prices, [budget, &task("codex")].concat(), 1),
            (&format!("{prices}[agents.codex]\nmodel = 'some-model'"), [budget, &task("codex")].concat(), 0),
            ("max_usd_per_day = 1\n", task("gemini"), 1),
            ("max_usd_per_spec = 1\n", task("gemini"), 1),
            (text, [budget, &task("own")].concat(), 1),
            ("agents.claude.output = 'text'", [budget, "[[tasks]]\nprompt = 'p'\n"].concat(), 1),
        ] {
            let found = problems(config, &spec);
            assert_eq!(found.len(), count, "{config}\n{spec}: {found:?}");
        }
        let found = problems(prices, &[budget, "model = 'other'\n", &task("codex")].concat());
        assert!(
            found[0]
                .starts_with("spec.toml:6:9: `max_usd` limits the cost, but the cost of the agent `codex` with the")
        );
        assert!(found[0].contains("(give its price: [agents.codex.prices.\"other\"] with input, cached"), "{found:?}");
    }
}
