//! `boi daemon`.

use super::args::Daemon;
use super::{BAD_CONFIG, CliError, Context, ExitCode, USAGE, block_on, block_on_daemon};
use crate::daemon::boot::Seat;
use crate::daemon::reload;
use crate::host::logs::{self, Target};

/// `boi daemon`.
pub(super) fn carry_out(context: Context, command: Daemon) -> Result<ExitCode, CliError> {
    let foreground = match command {
        Daemon::Run { foreground } => foreground,
        Daemon::Reload { json } => return block_on(super::reload::reload(&context, json)),
    };
    if !foreground {
        return Err(CliError::new(USAGE, "`boi daemon run` needs `--foreground`: it stays attached to the terminal"));
    }
    let booted = match reload::boot(&context.home) {
        Ok(booted) => booted,
        Err(error) => {
            let json = false;
            super::report(&error.into(), json, context.color);
            return Ok(BAD_CONFIG);
        }
    };
    let home = context.home.with_paths(&booted.config.paths);
    home.prepare()?;
    let log = logs::begin(Target::Stderr { color: context.color }, &booted.config.log)
        .map_err(|message| CliError::new(BAD_CONFIG, message))?;
    block_on_daemon(async {
        let running = Seat::take(&home)?.start(booted, log, None)?;
        running.ended().await?;
        Ok(0)
    })
}
