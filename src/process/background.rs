//! This program, started again in the background: a daemon that outlives the terminal.

use std::fs::File;
use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::command::own_program;
use crate::system::{files, paths};

/// Starts this program with `arguments`; what it prints goes to the end of `log`. The child is to call [`detach`].
pub fn start(arguments: &[&str], log: &Path) -> io::Result<Child> {
    let log = files::private_log(log)?;
    let mut command = Command::new(own_program()?);
    command.args(arguments).current_dir("/").stdin(Stdio::null());
    command.envs(paths::named_home().map(|home| (paths::HOME, home)));
    command.stdout(Stdio::from(log.try_clone()?)).stderr(Stdio::from(log));
    command.spawn()
}

/// Leaves the session, so that the end of a terminal is nothing to this process.
pub fn detach() -> io::Result<()> {
    match rustix::process::setsid() {
        // A process that leads its group has been given a session of its own, as by a service manager.
        Ok(_) | Err(rustix::io::Errno::PERM) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// What a log holds from `offset` on.
pub fn said_since(log: &Path, offset: u64) -> String {
    let mut text = Vec::new();
    match files::read_from(log, offset, |chunk| text.extend_from_slice(chunk)) {
        Ok(_) => String::from_utf8_lossy(&text).into_owned(),
        Err(_) => String::new(),
    }
}

/// How long a log is.
pub fn length(log: &Path) -> u64 {
    File::open(log).and_then(|file| file.metadata()).map_or(0, |metadata| metadata.len())
}
