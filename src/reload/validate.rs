//! Loads a configuration: reads the file, parses it, and checks its values on this machine. The daemon and
//! every command use the same function, [`validate`].

use std::path::Path;
use std::thread;
use std::time::Duration;

use super::judge::keeps_changing;
use super::look::{self, Look};
use super::read_file::FileContent;
use super::settle::OpenForWriting;
use crate::config::flags::Flags;
use crate::config::{self, Config, HostFacts, Loaded, ProcessSettings};
use crate::document::problem::Problems;
use crate::system::logs;
use crate::system::paths::{self, Home, HomeError};

/// Pause before a read is repeated because the file changed during the read.
const READ_AGAIN: Duration = Duration::from_millis(5);

/// Maximum number of reads of a file that keeps changing.
const MAX_READS: u32 = 100;

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The configuration cannot be read.
    #[error("{why}")]
    Unreadable {
        /// The reason, with the path of the file.
        why: String,
    },
    /// The configuration is not safe to use.
    #[error(transparent)]
    Unsafe(#[from] HomeError),
    /// The configuration is not valid.
    #[error("{0}")]
    Invalid(Box<Problems>),
}

impl ConfigError {
    /// Returns the errors, one line each, with their places in the file.
    pub(crate) fn lines(&self) -> Vec<String> {
        match self {
            ConfigError::Invalid(problems) => problems.lines(),
            other => vec![other.to_string()],
        }
    }
}

/// Loads the configuration of `home`. A missing file means all defaults.
pub(crate) fn load(home: &Home, flags: &Flags) -> Result<Loaded, ConfigError> {
    load_file(&home.config_file(), flags).map(|(loaded, _)| loaded)
}

/// Loads the configuration file `path`. Also returns warnings about values that are valid but will not work.
pub(crate) fn load_file(path: &Path, flags: &Flags) -> Result<(Loaded, Vec<String>), ConfigError> {
    validate(path, &read(path)?.0, None, flags)
}

/// Reads the bytes of the file `path`, and whether a program has it open for writing. A missing file counts
/// as empty.
pub(crate) fn read(path: &Path) -> Result<(Vec<u8>, OpenForWriting), ConfigError> {
    for _ in 0..MAX_READS {
        match Look::at(path).found {
            FileContent::Missing | FileContent::Dangling(_) => return Ok((Vec::new(), OpenForWriting::No)),
            FileContent::Bytes(bytes, writer) => return Ok((bytes, writer)),
            FileContent::Unreadable(why) => return Err(ConfigError::Unreadable { why }),
            FileContent::Changing => thread::sleep(READ_AGAIN),
        }
    }
    Err(ConfigError::Unreadable { why: keeps_changing(path) })
}

/// The facts about a process and its machine against which a configuration is checked.
pub(crate) struct Host<'h> {
    /// The environment and the command line.
    pub settings: ProcessSettings,
    /// Looks for a program. `Err`: why it cannot be executed.
    pub find_program: &'h dyn Fn(&str) -> Result<(), String>,
    /// Returns whether the daemon's environment has the variable with this name.
    pub has_variable: &'h dyn Fn(&str) -> bool,
}

impl Host<'_> {
    /// Returns the facts of this process and machine, with the values `flags` of the command line.
    pub(crate) fn own(flags: &Flags) -> Host<'static> {
        let settings = ProcessSettings { claude_bin_env: paths::claude_bin(), flags: flags.clone() };
        let find_program = &|program: &str| look::find_program(program).map(drop);
        Host { settings, find_program, has_variable: &|name| paths::variable(name).is_some() }
    }
}

/// Validates the bytes of a configuration, and checks the values against this process and machine. `in_force`: the
/// configuration that the new one would replace. Also returns warnings: values that are valid but will not work.
pub(crate) fn validate(
    path: &Path,
    bytes: &[u8],
    in_force: Option<&Config>,
    flags: &Flags,
) -> Result<(Loaded, Vec<String>), ConfigError> {
    validate_on(&Host::own(flags), path, bytes, in_force)
}

/// Validates as [`validate`] does, but checks the values against `host`.
pub(crate) fn validate_on(
    host: &Host<'_>,
    path: &Path,
    bytes: &[u8],
    in_force: Option<&Config>,
) -> Result<(Loaded, Vec<String>), ConfigError> {
    let invalid = |problems: Problems| ConfigError::Invalid(problems.into());
    let loaded = config::parse(&path.display().to_string(), bytes, &host.settings).map_err(invalid)?;
    let missing = |program: &str| Some((program.to_owned(), (host.find_program)(program).err()?));
    let is_missing = |name: &&str| !(host.has_variable)(name);
    let facts = HostFacts {
        missing_programs: loaded.programs().into_iter().filter_map(missing).collect(),
        missing_variables: loaded.variables().into_iter().filter(is_missing).map(str::to_owned).collect(),
        log_filter: logs::check(&loaded.config.log).and_then(|()| logs::check(&loaded.own.log)),
    };
    let warnings = config::check_host(&loaded, in_force, &facts).map_err(invalid)?;
    Ok((loaded, warnings))
}
