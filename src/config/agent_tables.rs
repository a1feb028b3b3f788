//! Reads and checks the tables `[agents.NAME]` of a `config.toml`.

use std::collections::BTreeMap;
use std::ops::Range;

use super::agents::{self, AgentConfig, EnvValue, NAME_RULE};
use super::flags::Flags;
use super::from_toml::{self, AGENTS, KeysSet};
use super::key::keys_with;
use super::keys::KEYS;
use super::values::Config;
use crate::agents::BUILTIN;
use crate::document::problem::Problem;
use crate::document::{Faults, Located, Section, closest, quoted};
use crate::domain::money::{Price, Usd};
use crate::domain::spec;

/// The highest price of a million tokens, in US dollars.
const MAX_PRICE: u32 = 100_000;

/// The prefix of the variables that boi itself sets for every command. The configuration cannot set them.
const RESERVED: &str = "BOI_";

/// The key in `{ from_env = "X" }`, a value that is taken from the daemon's variable `X`.
const FROM_ENV: &str = "from_env";

/// Reads the table of the agents into `config`.
pub(super) fn read(section: &Section<'_>, faults: &mut Faults, config: &mut Config, set: &mut KeysSet) {
    for Located { value: name, span } in section.keys() {
        let prefix = format!("{AGENTS}.{name}.");
        let keys = keys_with([name]);
        // An agent's key that lacks the agent's name, such as `agents.program`.
        let misplaced = format!("{AGENTS}.{}.{name}", agents::CLAUDE);
        if !section.is_table(name) && KEYS.iter().any(|key| key.name == misplaced) {
            let message = format!("unknown key `{AGENTS}.{name}`");
            faults.push(Problem::new(message, span).hint(format!("did you mean `{misplaced}`?")));
            continue;
        }
        if !agents::is_name(name) {
            faults.push(Problem::new(format!("{} is not a name for an agent", quoted(name)), span).hint(NAME_RULE));
            continue;
        }
        let Some(table) = section.section(faults, name) else { continue };
        config.agents.define(name);
        from_toml::read_table(&table, &prefix, &keys, faults, config, set);
        if !agents::is_built_in(name) && !["command", "program"].iter().any(|leaf| table.has(leaf)) {
            faults.push(without_command(name, Some(span)));
        }
    }
}

/// Builds the problem of an agent that is not built in and has no command.
fn without_command(name: &str, span: Option<Range<usize>>) -> Problem {
    let problem = Problem::new(format!("the agent `{name}` is not built in, and has no `command`"), span);
    match closest(name, BUILTIN.iter().map(|agent| agent.name)) {
        Some(close) => problem.hint(format!("did you mean `{close}`? An agent of your own needs a `command`")),
        None => problem.hint(format!("write what boi executes, as in command = [{name:?}, \"--flag\"]")),
    }
}

/// Adds an error to `faults` for each setting of an agent that contradicts other settings, such as a
/// `fallback` to an unknown agent. `config` has the effective values, `set` their places in the file.
pub(super) fn check(config: &Config, set: &KeysSet, faults: &mut Faults) {
    for (name, agent) in config.agents.iter() {
        check_fallback(config, name, agent, set, faults);
    }
}

/// Adds an error to `faults` for each agent that only the command line defines, and without a command. `own`
/// is the configuration without the command line, `config` the one with it.
pub(super) fn check_flags(config: &Config, own: &Config, flags: &Flags, faults: &mut Faults) {
    for name in config.agents.names().filter(|name| own.agents.get(name).is_none()) {
        if !["command", "program"].iter().any(|leaf| flags.sets(&format!("{AGENTS}.{name}.{leaf}"))) {
            faults.push(without_command(name, None));
        }
    }
}

fn check_fallback(config: &Config, name: &str, agent: &AgentConfig, set: &KeysSet, faults: &mut Faults) {
    let key = format!("{AGENTS}.{name}.fallback");
    for (index, other) in agent.fallback.iter().enumerate() {
        let (message, hint) = if other == name {
            (format!("`{key}` names the agent itself"), "name another agent".to_owned())
        } else if agent.fallback[..index].contains(other) {
            (format!("`{key}` names `{other}` twice"), "remove one of the two".to_owned())
        } else if config.agents.get(other).is_none() {
            let hint = match closest(other, config.agents.names()) {
                Some(close) => format!("did you mean `{close}`?"),
                None => format!("the agents are {}; `[{AGENTS}.NAME]` defines another", names(config)),
            };
            (format!("`{key}` names {}, which is no agent", quoted(other)), hint)
        } else {
            continue;
        };
        faults.push(Problem::new(message, set.get(&key).cloned()).hint(hint));
    }
}

/// Returns the names of all agents, for messages.
fn names(config: &Config) -> String {
    config.agents.names().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// Reads a table of environment variables.
pub(super) fn env(
    section: &Section<'_>,
    leaf: &str,
    faults: &mut Faults,
) -> Option<Located<BTreeMap<String, EnvValue>>> {
    let table = section.section(faults, leaf)?;
    let mut variables = BTreeMap::new();
    for Located { value: name, span } in table.keys() {
        if !is_variable(name) {
            faults.push(not_a_variable(name, span));
            continue;
        }
        if name.starts_with(RESERVED) {
            let problem = Problem::new(format!("`{name}` is a variable that boi sets"), span);
            faults.push(problem.hint(format!("choose a name that does not begin with `{RESERVED}`")));
            continue;
        }
        let value = if table.is_table(name) {
            let value = table.section(faults, name)?;
            value.report_unknown(faults, &[FROM_ENV], |_| None);
            if value.is_empty() {
                let problem = Problem::new(format!("the variable `{name}` has no value"), span);
                faults.push(problem.hint(format!("write a text, or {{ {FROM_ENV} = \"{name}\" }}")));
            }
            let from = value.filled_text(faults, FROM_ENV).filter(|from| {
                let is_variable = is_variable(&from.value);
                if !is_variable {
                    faults.push(not_a_variable(&from.value, from.span.clone()));
                }
                is_variable
            });
            from.map(|from| EnvValue::FromEnv(from.value))
        } else {
            table.text(faults, name).map(|text| EnvValue::Text(text.value))
        };
        variables.extend(value.map(|value| (name.to_owned(), value)));
    }
    Some(Located { value: variables, span: table.span() })
}

fn is_variable(name: &str) -> bool {
    let is_first = |c: char| c.is_ascii_alphabetic() || c == '_';
    name.starts_with(is_first) && name.chars().all(|c| is_first(c) || c.is_ascii_digit())
}

fn not_a_variable(name: &str, span: Range<usize>) -> Problem {
    Problem::new(format!("{} is not the name of an environment variable", quoted(name)), span)
        .hint("a name consists of A-Z, a-z, 0-9 and `_`, and does not begin with a digit")
}

/// Reads a table of the prices of models.
pub(super) fn prices(
    section: &Section<'_>,
    leaf: &str,
    faults: &mut Faults,
) -> Option<Located<BTreeMap<String, Price>>> {
    const OF_PRICE: [&str; 3] = ["input", "cached", "output"];
    let table = section.section(faults, leaf)?;
    let mut prices = BTreeMap::new();
    for Located { value: model, span } in table.keys() {
        if !spec::is_model(model) {
            let problem = Problem::new(format!("{} is not the name of a model", quoted(model)), span);
            faults.push(problem.hint("a name is one word; put it in quotes if it contains a dot"));
            continue;
        }
        let Some(price) = table.section(faults, model) else { continue };
        let meant = price.report_unknown(faults, &OF_PRICE, |_| None);
        let amounts = OF_PRICE.map(|kind| {
            if !price.has(kind) && !meant.contains(&kind) {
                let problem = Problem::new(format!("the price of `{model}` has no `{kind}`"), span.clone());
                faults.push_absent(problem.hint("give input, cached and output, in US dollars per million tokens"));
            }
            price.money(faults, kind, 0..=MAX_PRICE).map(|amount: Located<Usd>| amount.value)
        });
        if let [Some(input), Some(cached), Some(output)] = amounts {
            prices.insert(model.to_owned(), Price { input, cached, output });
        }
    }
    Some(Located { value: prices, span: table.span() })
}
