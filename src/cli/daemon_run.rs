//! `boi daemon run`: this process is the daemon.

use tracing::info;

use super::launch::LEAVES_WITHIN;
use super::{BAD_CONFIG, CliError, ExitCode, FAILED, USAGE, block_on_daemon, preflight};
use crate::config::flags::Flags;
use crate::daemon::lifecycle::seat::{self, BootError, Seat};
use crate::process::{background, limits};
use crate::reload;
use crate::system::logs::{self, LogOutput};
use crate::system::paths::Home;

/// Carries out `boi daemon run`.
pub(super) fn run(home: &Home, foreground: bool, background: bool, flags: &Flags) -> Result<ExitCode, CliError> {
    if !foreground && !background {
        return Err(CliError::new(
            USAGE,
            "`boi daemon run` needs `--foreground`, because it stays attached to the terminal",
        )
        .hint("`boi daemon start` runs the daemon in the background"));
    }
    limits::raise_open_files();
    preflight::refuse_within_own_task(home)?;
    if background {
        background::detach()?;
        let root = home.root();
        if !root.exists() {
            // The home was probably moved away: a new home at this path would prevent moving it back.
            return Err(CliError::new(FAILED, format!("there is no home at {}", root.display()))
                .hint("move the home back to this path; to create a new home, run `boi daemon start`"));
        }
    }
    let booted = reload::boot(home, flags).map_err(|error| CliError::from(error).with_code(BAD_CONFIG))?;
    let home = home.clone().with_paths(&booted.config.paths);
    home.prepare()?;
    let color = anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never;
    let output = if background { home.log_output() } else { LogOutput::Stderr { color } };
    let log = logs::start(output, &booted.config.log).map_err(|message| CliError::new(BAD_CONFIG, message))?;
    block_on_daemon(async {
        // A background daemon may have been started to replace another daemon. The other daemon may take long
        // to end.
        let patience = if background { LEAVES_WITHIN } else { seat::PROBED };
        let seat = match Seat::take(&home, patience).await {
            Err(error @ BootError::Stopped { .. }) => {
                info!("{error}");
                return Ok(0);
            }
            taken => taken?,
        };
        seat.start(booted, log, None)?.ended().await?;
        Ok(0)
    })
}
