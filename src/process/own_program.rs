//! Builds the command line that starts this program again, as a supervisor or as a daemon in the background.

use std::io;
use std::path::PathBuf;
use std::process::Command;

use crate::system::paths;

/// Returns a command that runs this program again, with the same home of boi.
#[expect(clippy::disallowed_methods, reason = "`process` starts processes")]
pub(super) fn command() -> io::Result<Command> {
    let mut command = Command::new(path()?);
    // The child may have another working directory, so a relative home is made absolute.
    command.envs(paths::named_home().map(|home| (paths::HOME, home)));
    Ok(command)
}

/// Returns the path of this program. On Linux, the path refers to the file of the running program, even after
/// an upgrade replaced the file.
fn path() -> io::Result<PathBuf> {
    if cfg!(target_os = "linux") { Ok(PathBuf::from("/proc/self/exe")) } else { std::env::current_exe() }
}
