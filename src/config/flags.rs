//! Values that the command line sets: they outrank the file, for as long as the process lives. Pure.

use super::keys::{Key, Value, find};
use super::{Config, Outside, edit, parse};

/// `KEY=VALUE`s of a command line, valid one by one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flags(Vec<(&'static str, Value)>);

/// Why a `KEY=VALUE` is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}`: {why}")]
pub struct FlagError {
    given: String,
    why: String,
}

impl Flags {
    /// Reads what was given; of a key that is given twice, the last counts.
    pub fn read(given: &[String]) -> Result<Flags, FlagError> {
        let mut flags = Flags::default();
        for given in given {
            let (key, value) = read(given).map_err(|why| FlagError { given: given.clone(), why })?;
            flags.0.retain(|(name, _)| *name != key.name);
            flags.0.push((key.name, value));
        }
        Ok(flags)
    }

    /// The keys that are set, with their values as `config.toml` writes them.
    pub fn shown(&self) -> Vec<String> {
        self.0.iter().map(|(name, value)| format!("{name} = {value}")).collect()
    }

    pub(super) fn set(&self, name: &str) -> bool {
        self.0.iter().any(|(key, _)| *key == name)
    }

    pub(super) fn apply(&self, config: &mut Config) {
        for (name, value) in &self.0 {
            if let Ok(key) = find(name) {
                key.set(config, value.clone());
            }
        }
    }
}

fn read(given: &str) -> Result<(&'static Key, Value), String> {
    let (name, raw) = given.split_once('=').ok_or("write KEY=VALUE, as in max_workers=8")?;
    let key = find(name.trim()).map_err(|closest| match closest {
        Some(closest) => format!("there is no such key; did you mean `{closest}`?"),
        None => "there is no such key; `boi config show` lists every key".to_owned(),
    })?;
    if key.name.starts_with("paths.") {
        return Err("where files are is said in config.toml, where every command reads it".to_owned());
    }
    let text = edit::set("", key, raw).map_err(|error| error.to_string())?;
    match parse("", text.as_bytes(), &Outside::default()) {
        Ok(loaded) => Ok((key, key.get(&loaded.config))),
        Err(problems) => Err(problems.iter().map(|problem| problem.message.clone()).collect::<Vec<_>>().join("; ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Origin;

    fn flags(given: &[&str]) -> Result<Flags, FlagError> {
        Flags::read(&given.iter().map(|&given| given.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn they_outrank_the_file_and_the_environment() {
        let outside = Outside {
            claude_bin_env: Some("/env/claude".to_owned()),
            flags: flags(&["max_workers=2", "max_workers=3", "claude_bin=/flag/claude", "spawn_jitter_ms=[0, 1]"])
                .unwrap(),
        };
        let loaded = parse("config.toml", b"max_workers = 9\nretry_count = 1\n", &outside).unwrap();
        let config = &loaded.config;
        assert_eq!((config.max_workers, config.retry_count, config.spawn_jitter_ms), (3, 1, [0, 1]));
        assert_eq!(config.claude_bin, "/flag/claude");
        let origin = |name: &str| loaded.origin(find(name).unwrap());
        assert_eq!(["max_workers", "claude_bin"].map(origin), [Origin::Flag, Origin::Flag]);
        assert_eq!((origin("retry_count"), origin("log")), (Origin::File, Origin::Default));
    }

    #[test]
    fn what_is_no_key_or_no_value_is_refused_with_what_would_do() {
        for (given, why) in [
            ("max_workers", "KEY=VALUE"),
            ("max_wokers=3", "max_workers"),
            ("max_workers=many", "a number, 0 to 1024"),
            ("max_workers=5000", "from 0 to 1024"),
            ("spawn_jitter_ms=[9, 1]", "down to 1"),
            ("paths.db=x", "config.toml"),
        ] {
            let refused = flags(&[given]).unwrap_err().to_string();
            assert!(refused.contains(why) && refused.contains(given), "{refused}");
        }
    }
}
