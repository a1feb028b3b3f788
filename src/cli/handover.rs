//! What is looked at before a daemon begins, so that one that cannot begin costs nobody the daemon that runs.

use std::path::Path;

use super::{BAD_CONFIG, CliError, Context, ExitCode, FAILED, plural};
use crate::config::flags::Flags;
use crate::daemon::reload;
use crate::domain::view::{Counts, DaemonView};
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
    if let Some((before, counts)) = SqliteStore::left_behind(&home)
        && counts.running + counts.queued > 0
    {
        return Err(abandons(&before, home.db(), &counts, old));
    }
    let own = old.is_some() && SqliteStore::last_used(&home).is_some_and(|path| path == home.db());
    let usable = home.prepare().map_err(CliError::from);
    usable.and_then(|()| SqliteStore::check_usable(&home, own).map_err(CliError::from)).map_err(|error| match old {
        Some(old) => CliError::new(error.code(), format!("no other daemon could begin: {}", error.message()))
            .hint(format!("the daemon (pid {}) goes on as it was", old.pid)),
        None => error,
    })?;
    Ok(Ok(()))
}

fn abandons(before: &Path, now: &Path, counts: &Counts, old: Option<&DaemonView>) -> CliError {
    let Counts { running, queued, .. } = *counts;
    let left = plural(usize::try_from(running + queued).unwrap_or(usize::MAX));
    let whose = match old {
        Some(old) => format!("the daemon (pid {}) has", old.pid),
        None => "the last daemon had".to_owned(),
    };
    let message = format!(
        "`paths.db` is another queue now, {}, and {whose} {running} running and {queued} queued spec{left} in {}, which \
         nobody would go on with",
        now.display(),
        before.display()
    );
    CliError::new(FAILED, message).hint(
        "put `paths.db` back as it was; to change it, first let those specs end or `boi cancel` them, then \
         `boi daemon stop --drain`, change it and `boi daemon start`",
    )
}
