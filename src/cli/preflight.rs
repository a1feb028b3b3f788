//! The checks before a daemon starts. A running daemon must not be ended for a new daemon that cannot start.

use super::own_task::OwnTask;
use super::{BAD_CONFIG, CliError};
use crate::config::flags::Flags;
use crate::daemon::lifecycle::seat;
use crate::domain::view::DaemonView;
use crate::queue::open;
use crate::reload;
use crate::system::paths::Home;

/// Fails if a new daemon could not start, or would abandon the specs of another queue. `old`: the daemon to
/// replace.
pub(super) fn check(home: &Home, flags: &Flags, old: Option<&DaemonView>) -> Result<(), CliError> {
    refuse_within_own_task(home)?;
    let keeps_running = |old: &DaemonView| format!("the daemon (pid {}) keeps running", old.pid);
    let booted = reload::boot(home, flags).map_err(|error| {
        let error = CliError::from(error).with_code(BAD_CONFIG);
        match old {
            Some(old) => error.hint(keeps_running(old)),
            None => error,
        }
    })?;
    let home = home.clone().with_paths(&booted.config.paths);
    seat::refuse_other_queue(&home, old.map(|old| old.pid))?;
    // Whether the old daemon has the queue open that the new daemon will open.
    let own = old.is_some() && open::is_last_used(&home);
    let usable = home.prepare().map_err(CliError::from);
    usable.and_then(|()| open::check_usable(&home, own).map_err(CliError::from)).map_err(|error| match old {
        Some(old) => CliError::new(error.code(), format!("a new daemon could not start: {}", error.message()))
            .hint(keeps_running(old)),
        None => error,
    })
}

/// Refuses to start a daemon from within a command that a daemon of this home runs: the new daemon would be
/// in the process tree of that command, and would end with the command.
pub(super) fn refuse_within_own_task(home: &Home) -> Result<(), CliError> {
    match OwnTask::find(home) {
        None => Ok(()),
        Some(task) => Err(task.refusal("a daemon started here would end with the task")),
    }
}
