//! `boi daemon`.

use tracing::info;

use super::args::{Daemon, Plain};
use super::{
    BAD_CONFIG, CliError, Context, ExitCode, FAILED, USAGE, block_on, block_on_daemon, handover, install, service,
};
use crate::config::flags::Flags;
use crate::daemon::boot::{BootError, Seat};
use crate::process;
use crate::reload;
use crate::system::logs::{self, Target};

/// `boi daemon`.
pub(super) fn carry_out(context: Context, command: Daemon) -> Result<ExitCode, CliError> {
    match command {
        Daemon::Run { foreground, background, flags } => run(&context, foreground, background, &flags.read()?),
        Daemon::Start { json, flags } => block_on(service::start(&context, &flags, json)),
        Daemon::Stop { drain, json } => service::stop(&context, drain, json),
        Daemon::Restart { json, flags } => block_on(service::restart(&context, &flags, json)),
        Daemon::Status(Plain { json }) => block_on(service::show(&context, json)),
        Daemon::Install { no_start, json } => block_on(install::install(&context, !no_start, json)),
        Daemon::Uninstall(Plain { json }) => install::uninstall(&context, json),
        Daemon::Reload { json } => block_on(super::reload::reload(&context, json)),
    }
}

fn run(context: &Context, foreground: bool, background: bool, flags: &Flags) -> Result<ExitCode, CliError> {
    if !foreground && !background {
        return Err(CliError::new(USAGE, "`boi daemon run` needs `--foreground`: it stays attached to the terminal")
            .hint("`boi daemon start` runs it in the background"));
    }
    handover::refuse_within_a_task(context)?;
    if background {
        process::background::detach()?;
        let root = context.home.root();
        if !root.exists() {
            // Made anew, it would be in the way of the one that went.
            return Err(CliError::new(FAILED, format!("there is no home at {}", root.display()))
                .hint("put it back where it was; a new one is made by `boi daemon start`"));
        }
    }
    let booted = match reload::boot(&context.home, flags) {
        Ok(booted) => booted,
        Err(error) => {
            let json = false;
            super::report(&error.into(), json, context.color);
            return Ok(BAD_CONFIG);
        }
    };
    let home = context.home.clone().with_paths(&booted.config.paths);
    home.prepare()?;
    let target = if background { Target::File(home.log_file()) } else { Target::Stderr { color: context.color } };
    let log = logs::begin(target, &booted.config.log).map_err(|message| CliError::new(BAD_CONFIG, message))?;
    block_on_daemon(async {
        let seat = match Seat::take(&home, service::patience(background)).await {
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
