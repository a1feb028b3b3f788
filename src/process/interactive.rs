//! Runs a program for the user on this process's terminal, and waits for its end.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::sync::Arc;

use signal_hook::consts::{SIGINT, SIGQUIT};

use super::{dispositions, inherited};

/// Runs a program in the folder `folder`. Ctrl-C and Ctrl-\ reach only the program, although this process is
/// in the same group.
#[expect(clippy::disallowed_methods, reason = "`process` starts processes")]
pub(crate) fn run(
    program: &OsStr,
    arguments: &[OsString],
    folder: &Path,
    variables: &[(String, OsString)],
) -> io::Result<ExitStatus> {
    let mut command = Command::new(program);
    for name in inherited::GIT_LOCAL.iter().chain(inherited::NOT_FOR_COMMANDS) {
        command.env_remove(name);
    }
    command.args(arguments).current_dir(folder).envs(variables.iter().map(|(name, value)| (name, value)));
    // A handler, unlike an ignored signal, is not inherited by the program.
    for signal in [SIGINT, SIGQUIT] {
        signal_hook::flag::register(signal, Arc::default())?;
    }
    dispositions::restore_for_user();
    command.status()
}
