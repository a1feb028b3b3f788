//! A configuration and the sources of its values: `config.toml`, the environment, the command line.

use serde::{Deserialize, Serialize};

use super::flags::Flags;
use super::from_toml::{self, KeysSet};
use super::keys::{KEYS, Key, Value, find};
use super::values::{CLAUDE, Config};
use crate::document::problem::{Problem, Problems};
use crate::document::{self, Document};

/// The largest accepted `config.toml`, in bytes.
pub const MAX_BYTES: usize = 1 << 20;

/// The key whose program [`check_host`] checks on this machine.
const PROGRAM: &str = "agents.claude.program";

/// The settings that come from the environment and the command line of a process, not from `config.toml`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProcessSettings {
    /// The environment variable `CLAUDE_BIN`, which replaces the default of `agents.claude.program`. An empty
    /// value counts as unset.
    pub claude_bin_env: Option<String>,
    /// Values from the command line, which replace those of the file.
    pub flags: Flags,
}

/// A valid configuration, with the source of each value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The configuration without the values of the command line.
    pub(crate) own: Config,
    /// The effective values.
    pub config: Config,
    /// The keys that the file sets, each with the byte range of its value.
    pub(super) set: KeysSet,
    has_env: bool,
    flags: Flags,
    document: Document,
}

/// Where an effective value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The key's default.
    Default,
    /// `config.toml`.
    File,
    /// An environment variable of the daemon.
    Environment,
    /// The command line.
    Flag,
}

/// Whether the agent's program and the log filter of a configuration work on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostFacts {
    /// Whether the daemon can execute the program of the agent `claude`. `Err`: why it cannot, as the rest of
    /// a sentence that begins with the program's name.
    pub program_found: Result<(), String>,
    /// Whether the log accepts the filter. `Err`: why it does not.
    pub log_filter: Result<(), String>,
}

/// Parses a configuration and checks its values. An empty file means all defaults. `name` is the file's name
/// in messages.
pub fn parse(name: &str, bytes: &[u8], settings: &ProcessSettings) -> Result<Loaded, Problems> {
    document::read(name, bytes, MAX_BYTES, |document, root, faults| {
        let mut config = Config::default();
        let env = settings.claude_bin_env.as_ref().filter(|program| !program.trim().is_empty());
        if let (Some(program), Some(claude)) = (env, config.agents.get_mut(CLAUDE)) {
            claude.program.clone_from(program);
        }
        let set = from_toml::read(document, root, faults, &mut config);
        // The file must also be valid without the command line, because the next daemon may not get the same
        // one.
        from_toml::check_order(&config, &set, faults);
        let own = config.clone();
        settings.flags.apply(&mut config);
        let (flags, document) = (settings.flags.clone(), document.clone());
        Some(Loaded { config, own, set, has_env: env.is_some(), flags, document })
    })
}

/// Checks a valid configuration on this machine. `in_force`: the configuration that `loaded` would replace.
///
/// Returns warnings about values that are valid but will not work. A program that cannot be executed is an
/// error only if the configuration changes the program. Otherwise an uninstalled program would block the
/// change of every other key.
pub fn check_host(loaded: &Loaded, in_force: Option<&Config>, facts: &HostFacts) -> Result<Vec<String>, Problems> {
    let (mut problems, mut warnings) = (Vec::new(), Vec::new());
    if let Err(why) = &facts.program_found {
        let program = &loaded.config.claude().program;
        let changed = in_force.is_some_and(|in_force| in_force.claude().program != *program);
        if changed {
            let message = format!("`{program}` {why}");
            let hint = loaded
                .arguments_hint(program)
                .unwrap_or_else(|| "write the program's absolute path, or install the program first".to_owned());
            problems.push(loaded.problem_at(PROGRAM, message, Some(hint)));
        } else {
            let name = loaded.used_name(PROGRAM);
            let hint = loaded.arguments_hint(program).map(|hint| format!(" ({hint})")).unwrap_or_default();
            warnings.push(format!("{name}: `{program}` {why}; only tasks with `run` will work{hint}"));
        }
    }
    if let Err(message) = &facts.log_filter {
        problems.push(loaded.problem_at("log", message, None));
    }
    match Problems::collect(&loaded.document, problems) {
        Some(problems) => Err(problems),
        None => Ok(warnings),
    }
}

impl Loaded {
    /// Returns where the value of `key` comes from.
    pub fn origin(&self, key: &Key) -> Origin {
        let names = [Some(key), key.other_name()];
        let any = |sets: &dyn Fn(&str) -> bool| names.iter().flatten().any(|key| sets(&key.name));
        if any(&|name| self.flags.sets(name)) {
            Origin::Flag
        } else if any(&|name| self.set.contains_key(name)) {
            Origin::File
        } else if self.has_env && any(&|name| name == PROGRAM) {
            Origin::Environment
        } else {
            Origin::Default
        }
    }

    /// Returns where to write the arguments that the name of a program contains; `None`: it contains none.
    fn arguments_hint(&self, program: &str) -> Option<String> {
        let mut words = program.split_ascii_whitespace();
        let first = words.next()?;
        let arguments = words.map(|word| format!("{word:?}")).collect::<Vec<_>>().join(", ");
        let key = if self.used_name(PROGRAM) == PROGRAM { "agents.claude.args" } else { "claude_args" };
        (!arguments.is_empty()).then(|| format!("write the program alone, `{first}`, and `{key} = [{arguments}]`"))
    }

    /// Whether the file sets the value of `key`, by either of its names.
    pub(crate) fn is_set(&self, key: &Key) -> bool {
        self.set.contains_key(key.name.as_str()) || self.set.contains_key(other_name_of(key))
    }

    /// Returns each key of the file whose value has no effect, because the command line sets another one: the
    /// key, its value in the file, and the value of the command line.
    pub(crate) fn overridden(&self) -> impl Iterator<Item = (&'static Key, Value, Value)> {
        let is_set_by_flag = |key: &Key| self.flags.sets(&key.name) || self.flags.sets(other_name_of(key));
        let values = |key: &'static Key| (key, key.get(&self.own), key.get(&self.config));
        KEYS.iter()
            .filter(move |key| self.set.contains_key(key.name.as_str()) && is_set_by_flag(key))
            .map(values)
            .filter(|(_, own, flag)| own != flag)
    }

    /// Returns one key for each value. If a value has two names, the key is the name in use.
    pub fn keys(&self) -> impl Iterator<Item = &'static Key> {
        KEYS.iter().filter(|key| self.used_name(&key.name) == key.name)
    }

    /// Returns the name in use for the value of the key `name`: the name that the command line or the file
    /// sets. If both set none, it is the older name, which most files use.
    fn used_name<'a>(&self, name: &'a str) -> &'a str {
        let Ok(key) = find(name) else { return name };
        let Some(other) = key.other_name() else { return name };
        let rank = |key: &Key| (self.flags.sets(&key.name), self.set.contains_key(key.name.as_str()), key.is_alias());
        [key, other].into_iter().max_by_key(|key| rank(key)).map_or(name, |key| &key.name)
    }

    /// Builds a problem that was found after parsing. It points at the value of the key `name`, if the file
    /// sets that key.
    fn problem_at(&self, name: &str, message: impl Into<String>, hint: Option<String>) -> Problem {
        Problem { message: message.into(), span: self.set.get(self.used_name(name)).cloned(), hint }
    }
}

fn other_name_of(key: &Key) -> &str {
    key.other_name().map_or("", |other| &other.name)
}
