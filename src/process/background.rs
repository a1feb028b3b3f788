//! Starts this program in the background: a daemon that outlives its terminal.

use std::io;
use std::path::Path;
use std::process::{Child, Stdio};

use super::own_program;
use crate::system::files;

/// The most that is read of a log to report why a daemon did not start, in bytes.
const MAX_OUTPUT: u64 = 1 << 20;

/// Starts this program with `arguments`, and appends its output to the file `log`. The child must call
/// [`detach`].
pub(crate) fn start(arguments: &[&str], log: &Path) -> io::Result<Child> {
    let log = files::private_log(log)?;
    let mut command = own_program::command()?;
    command.args(arguments).current_dir("/").stdin(Stdio::null());
    command.stdout(Stdio::from(log.try_clone()?)).stderr(Stdio::from(log));
    command.spawn()
}

/// Moves this process to a new session, so that the end of its terminal does not end this process.
pub(crate) fn detach() -> io::Result<()> {
    match rustix::process::setsid() {
        // `setsid` fails for the leader of a process group. A service manager starts the daemon as one,
        // without a terminal.
        Ok(_) | Err(rustix::io::Errno::PERM) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Returns the text of a log from the byte `offset` on; empty if the log cannot be read.
pub(crate) fn read_log_since(log: &Path, offset: u64) -> String {
    let mut text = Vec::new();
    let read = files::open_file(log)
        .and_then(|log| files::read_from(log, offset, offset + MAX_OUTPUT, |chunk| text.extend_from_slice(chunk)));
    match read {
        Ok(_) => String::from_utf8_lossy(&text).into_owned(),
        Err(_) => String::new(),
    }
}

/// Returns the size of a log in bytes; 0 if it cannot be read.
pub(crate) fn log_size(log: &Path) -> u64 {
    files::open_file(log).and_then(|file| file.metadata()).map_or(0, |metadata| metadata.len())
}
