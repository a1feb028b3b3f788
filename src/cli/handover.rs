//! What is looked at before a daemon begins, so that one that cannot begin costs nobody the daemon that runs.

use super::{BAD_CONFIG, CliError, Context, ExitCode};
use crate::config::flags::Flags;
use crate::daemon::{boot, reload};
use crate::domain::view::DaemonView;
use crate::host::store::SqliteStore;

/// Refuses to begin a daemon that could not, or that would leave the specs of another queue alone. `Err` has the exit
/// code of a refusal that was said already. `old`: the daemon whose place it takes.
pub(super) fn check(
    context: &Context,
    flags: &Flags,
    old: Option<&DaemonView>,
    json: bool,
) -> Result<Result<(), ExitCode>, CliError> {
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
    let own = old.is_some() && SqliteStore::last_used(&home).is_some_and(|path| path == home.db());
    let usable = home.prepare().map_err(CliError::from);
    usable.and_then(|()| SqliteStore::check_usable(&home, own).map_err(CliError::from)).map_err(|error| match old {
        Some(old) => CliError::new(error.code(), format!("no other daemon could begin: {}", error.message()))
            .hint(format!("the daemon (pid {}) goes on as it was", old.pid)),
        None => error,
    })?;
    Ok(Ok(()))
}
