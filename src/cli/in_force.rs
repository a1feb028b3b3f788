//! Asks the running daemon for its configuration in force. The `boi config` commands use it, because the
//! daemon's command line, environment and PATH decide the effect of a file, not those of the user's shell.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::timeout;

use super::{CliError, block_on};
use crate::config::flags::Flags;
use crate::config::keys::{Key, Value};
use crate::config::{self, Config, Loaded, ProcessSettings};
use crate::control::calls::{CheckProgram, ConfigInForce, Environment, GetConfig};
use crate::control::client::Client;
use crate::reload::{self, Host};
use crate::system::output::say;
use crate::system::paths::{self, Home};

/// How long the daemon may take to answer. After that, a command that does not need the daemon continues
/// without the answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// The configuration in force in a running daemon.
pub(super) struct InForce {
    client: Client,
    answer: ConfigInForce,
}

/// Asks the daemon of `home`. Returns `None` if no daemon runs, or if it does not answer, which is reported
/// on stderr.
pub(super) fn ask(home: &Home) -> Result<Option<InForce>, CliError> {
    block_on(async { Ok(look(home).await) })
}

/// Like [`ask`], for callers that already run in the async runtime.
pub(super) async fn look(home: &Home) -> Option<InForce> {
    let ask = async {
        let client = Client::connect(&home.socket()).await.ok()??;
        let answer = client.call(&GetConfig).await.ok()?;
        Some(InForce { client, answer })
    };
    timeout(PATIENCE, ask).await.unwrap_or_else(|_| {
        say!("warning: the daemon does not answer, so boi does not know its command line and environment");
        None
    })
}

impl InForce {
    pub(super) fn generation(&self) -> u64 {
        self.answer.generation
    }

    /// The values that the daemon's command line sets, as `KEY = VALUE`.
    pub(super) fn flags(&self) -> &[String] {
        &self.answer.flags
    }

    /// Returns the values that the daemon's command line sets, except for keys that this version does not
    /// know. These values override those of the file.
    pub(super) fn own_flags(&self) -> Flags {
        Flags::known(&self.answer.flags)
    }

    /// The value that the daemon's command line sets for a key, by either of its names.
    pub(super) fn flag(&self, key: &Key) -> Option<&str> {
        let is_named = |name: &str| key.has_name(name);
        self.answer
            .flags
            .iter()
            .find_map(|flag| flag.split_once(" = ").filter(|(name, _)| is_named(name)))
            .map(|it| it.1)
    }

    /// The value in force of a key, as `config.toml` writes it.
    pub(super) fn value(&self, key: &Key) -> Option<&str> {
        self.answer.values.get(&key.name).map(String::as_str)
    }

    /// The whole configuration in force; `None`: a daemon of another version has keys that this version does
    /// not know.
    pub(super) fn config(&self) -> Option<Config> {
        // Takes one name for each value: the current name, or else another one, since a daemon of an earlier
        // version does not know all current names.
        let mut values = BTreeMap::new();
        for (name, value) in &self.answer.values {
            let Ok(key) = config::keys::find(name) else { continue };
            if !key.is_alias() || !values.contains_key(&key.value_name()) {
                values.insert(key.value_name(), (name, value));
            }
        }
        let text: String = values.values().map(|(name, value)| format!("{name} = {value}\n")).collect();
        config::parse("", text.as_bytes(), &ProcessSettings::default()).ok().map(|loaded| loaded.config)
    }

    fn find_program(&self, program: &str) -> Result<(), String> {
        let call = CheckProgram { program: program.to_owned() };
        let found = block_on(async { Ok(timeout(reload::LOOK_PATIENCE + PATIENCE, self.client.call(&call)).await) });
        match found {
            Ok(Ok(Ok(answer))) => answer.why_not.map_or(Ok(()), Err),
            // A daemon of an older version does not know the call.
            _ => reload::find_program(program).map(drop),
        }
    }
}

/// Validates a configuration as the daemon would: with the daemon's environment and PATH if a daemon runs,
/// otherwise with those of this process. `flags`: the values of this command's own command line.
pub(super) fn validate(
    daemon: Option<&InForce>,
    flags: &Flags,
    validate: impl FnOnce(&Host<'_>) -> Result<(Loaded, Vec<String>), reload::ConfigError>,
) -> Result<(Loaded, Vec<String>), reload::ConfigError> {
    let own = || ProcessSettings { claude_bin_env: paths::claude_bin(), flags: flags.clone() };
    let Some(daemon) = daemon else { return validate(&Host::own(flags)) };
    let settings = match &daemon.answer.environment {
        Some(environment) => ProcessSettings { claude_bin_env: environment.claude_bin.clone(), ..own() },
        None => own(),
    };
    let has_variable = |name: &str| match &daemon.answer.environment {
        // A daemon of an earlier version does not report its variables.
        Some(Environment { variables: Some(names), .. }) => names.contains(name),
        _ => true,
    };
    validate(&Host { settings, find_program: &|program| daemon.find_program(program), has_variable: &has_variable })
}

/// Returns the note on a value that has no effect, such as `overridden by the daemon's command line: 2`.
pub(super) fn overridden(flag: &str) -> String {
    format!("overridden by the daemon's command line: {flag}")
}

/// Returns whether a value of the file differs from the value that the daemon's command line sets.
pub(super) fn differs(value: &Value, flag: &str) -> bool {
    value.to_string() != flag
}
