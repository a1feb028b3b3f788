//! What is looked at before a daemon begins, so that one that cannot begin costs nobody the daemon that runs.

use super::{BAD_CONFIG, CliError, Context, ExitCode, FAILED};
use crate::config::flags::Flags;
use crate::daemon::boot;
use crate::domain::view::DaemonView;
use crate::process::command::CommandDir;
use crate::queue::SqliteStore;
use crate::reload;

/// Refuses to begin a daemon that could not, or that would leave the specs of another queue alone. `Err` has the exit
/// code of a refusal that was said already. `old`: the daemon whose place it takes.
pub(super) fn check(
    context: &Context,
    flags: &Flags,
    old: Option<&DaemonView>,
    json: bool,
) -> Result<Result<(), ExitCode>, CliError> {
    refuse_within_a_task(context)?;
    let booted = match reload::boot(&context.home, flags) {
        Ok(booted) => booted,
        Err(error) => {
            super::report(&error.into(), json, context.color);
            if let Some(old) = old.filter(|_| !json) {
                eprintln!("the daemon (pid {}) goes on as it was", old.pid);
            }
            return Ok(Err(BAD_CONFIG));
        }
    };
    let home = context.home.clone().with_paths(&booted.config.paths);
    boot::refuse_other_queue(&home, old.map(|old| old.pid))?;
    let own = old.is_some() && SqliteStore::is_last_used(&home);
    let usable = home.prepare().map_err(CliError::from);
    usable.and_then(|()| SqliteStore::check_usable(&home, own).map_err(CliError::from)).map_err(|error| match old {
        Some(old) => CliError::new(error.code(), format!("no other daemon could begin: {}", error.message()))
            .hint(format!("the daemon (pid {}) goes on as it was", old.pid)),
        None => error,
    })?;
    Ok(Ok(()))
}

/// Refuses to begin a daemon in the tree of a command of its own: the end of that command would end it, and what it runs.
pub(super) fn refuse_within_a_task(context: &Context) -> Result<(), CliError> {
    match CommandDir::around(&context.home.attempts()) {
        None => Ok(()),
        Some(dir) => {
            let message = format!(
                "this is called by a task of this home ({}): a daemon begun here would end with it",
                dir.path().display()
            );
            Err(CliError::new(FAILED, message).hint("start or restart it from outside, such as in a terminal"))
        }
    }
}
