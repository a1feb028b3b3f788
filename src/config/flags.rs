//! Values that the command line sets with `-c KEY=VALUE`. They replace the values of `config.toml` in this
//! process only.

use super::from_toml;
use super::keys::{Key, Kind, Value, find};
use super::{edit, values::Config};
use crate::document;

/// The keys that one command line sets, with their values. Every value is valid.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flags(Vec<(Key, Value)>);

/// Why a `KEY=VALUE` of the command line is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}`: {why}")]
pub struct FlagError {
    given: String,
    why: String,
}

impl Flags {
    /// Parses `KEY=VALUE` texts. If two texts set the same value, the last one is used.
    pub fn read(given: &[String]) -> Result<Flags, FlagError> {
        let mut flags = Flags::default();
        for given in given {
            let (key, value) = read(given).map_err(|why| FlagError { given: given.clone(), why })?;
            flags.0.retain(|(known, _)| !key.has_name(&known.name));
            flags.0.push((key, value));
        }
        Ok(flags)
    }

    /// Parses the texts in `given`. Leaves out those with a key that this version does not know, and those
    /// with an invalid value.
    pub(crate) fn known(given: &[String]) -> Flags {
        let known: Vec<String> = given.iter().filter(|given| read(given).is_ok()).cloned().collect();
        Flags::read(&known).unwrap_or_default()
    }

    /// Returns each key with its value, as `config.toml` writes them: `max_workers = 8`.
    pub fn shown(&self) -> Vec<String> {
        self.0.iter().map(|(key, value)| format!("{} = {value}", key.name)).collect()
    }

    pub(super) fn sets(&self, name: &str) -> bool {
        self.0.iter().any(|(key, _)| key.name == name)
    }

    pub(super) fn apply(&self, config: &mut Config) {
        for (key, value) in &self.0 {
            key.set(config, value.clone());
        }
    }
}

fn read(given: &str) -> Result<(Key, Value), String> {
    let (name, raw) = given.split_once('=').ok_or("write KEY=VALUE, as in max_workers=8")?;
    let key = find(name.trim()).map_err(|closest| match closest {
        Some(closest) => format!("unknown key; did you mean `{closest}`?"),
        None => "unknown key; `boi config show` lists every key".to_owned(),
    })?;
    if key.name.starts_with("paths.") {
        return Err("`-c` cannot set a path: set it in config.toml, which every command reads".to_owned());
    }
    // The flag is checked alone. An agent that is not built in needs a command, which another flag or the
    // file may set, so the check adds one.
    let defined = match key.own_agent() {
        Some(agent) if *key.kind != Kind::Command => format!("agents.{agent}.command = \"x\"\n"),
        _ => String::new(),
    };
    let text = edit::set(&defined, &key, raw).map_err(|error| error.to_string())?;
    let parsed = document::read("", text.as_bytes(), usize::MAX, |document, root, faults| {
        let mut config = Config::default();
        let set = from_toml::read(document, root, faults, &mut config);
        from_toml::check_order(&config, &set, faults);
        Some(key.get(&config))
    });
    let messages = |problem: &document::problem::Problem| problem.message.clone();
    match parsed {
        Ok(value) => Ok((key, value)),
        Err(problems) => Err(problems.iter().map(messages).collect::<Vec<_>>().join("; ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Origin, ProcessSettings, parse};

    fn flags(given: &[&str]) -> Result<Flags, FlagError> {
        Flags::read(&given.iter().map(|&given| given.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn flags_replace_the_file_and_the_environment() {
        let settings = ProcessSettings {
            claude_bin_env: Some("/env/claude".to_owned()),
            flags: flags(&["max_workers=2", "max_workers =3", "claude_bin=/flag/claude", "spawn_jitter_ms=[0, 1]"])
                .unwrap(),
        };
        let loaded = parse("config.toml", b"max_workers = 9\nretry_count = 1\n", &settings).unwrap();
        let config = &loaded.config;
        assert_eq!((config.max_workers, config.retry_count, config.spawn_jitter_ms), (3, 1, [0, 1]));
        assert_eq!(config.claude().worker.command.program, "/flag/claude");
        let origin = |name: &str| loaded.origin(&find(name).unwrap());
        for name in ["max_workers", "claude_bin", "agents.claude.program"] {
            assert_eq!(origin(name), Origin::Flag, "{name}");
        }
        assert_eq!((origin("retry_count"), origin("log")), (Origin::File, Origin::Default));
    }

    #[test]
    fn of_two_names_for_one_value_the_last_flag_counts() {
        let given = flags(&["claude_bin=a", "log=debug", "agents.claude.program=b"]).unwrap();
        assert_eq!(given.shown(), ["log = \"debug\"", "agents.claude.program = \"b\""]);
        assert_eq!(flags(&["agents.claude.args=[]", "claude_args=['x']"]).unwrap().shown(), ["claude_args = [\"x\"]"]);
        let settings = ProcessSettings { flags: given, ..ProcessSettings::default() };
        let loaded = parse("config.toml", b"claude_bin = 'of the file'", &settings).unwrap();
        assert_eq!(loaded.config.claude().worker.command.program, "b");
    }

    #[test]
    fn flags_that_another_process_shows_are_read_as_far_as_they_are_known() {
        let given = flags(&["claude_bin=/opt/a=b", "spawn_jitter_ms=[0, 1]"]).unwrap();
        let shown = given.shown().into_iter().chain(["of_a_newer_version = 3".to_owned()]).collect::<Vec<_>>();
        assert_eq!(Flags::known(&shown), given);
    }

    #[test]
    fn a_flag_that_is_no_key_or_no_value_is_refused_with_a_suggestion() {
        for (given, why) in [
            ("max_workers", "KEY=VALUE"),
            ("max_wokers=3", "unknown key; did you mean `max_workers`?"),
            ("colour=3", "unknown key; `boi config show` lists every key"),
            ("agents.Claude.program=x", "did you mean `agents.claude.program`?"),
            ("agents.own.progam=x", "did you mean `agents.own.program`?"),
            ("agents.claude.progam=x", "did you mean `agents.claude.program`?"),
            ("max_workers=many", "a number, 0 to 1024"),
            ("max_workers=5000", "from 0 to 1024"),
            ("spawn_jitter_ms=[9, 1]", "ascending order"),
            ("paths.db=x", "config.toml"),
        ] {
            let refused = flags(&[given]).unwrap_err().to_string();
            assert!(refused.contains(why) && refused.contains(given), "{refused}");
        }
    }
}
