//! `boi status`: shows the queue, or one spec, once or until Ctrl-C.

use std::time::{Duration, Instant};

use super::args::Status;
use super::backend::{Backend, LOOK_AGAIN};
use super::printing::{print_json, print_styled, stream_styled};
use super::{CliError, ExitCode, NO_DAEMON, START_ONE, block_on, version_skew};
use crate::domain::life::SpecStatus;
use crate::queue::Filter;
use crate::system::output::{reader_gone, say};
use crate::system::paths::Home;
use crate::system::{clock, terminal};
use crate::ui::overview::overview;
use crate::ui::screen;
use crate::ui::spec_details::spec_details;

/// How long `--watch` waits for the next daemon when the daemon has ended. A restart takes less time.
const PATIENCE: Duration = Duration::from_secs(5);
/// Moves the cursor to the top left and clears the screen.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// Carries out `boi status`.
pub(super) fn status(home: &Home, args: &Status) -> Result<ExitCode, CliError> {
    let filter = Filter {
        ids: args.id.iter().cloned().collect(),
        status: args.status.as_deref().and_then(SpecStatus::from_name),
        all: args.all,
        limit: args.limit,
        offset: args.offset,
        history: args.id.is_some(),
    };
    block_on(async {
        if !args.watch {
            return show(home, args, filter).await;
        }
        // Cancel-safe: the command only reads.
        tokio::select! {
            shown = show(home, args, filter) => shown,
            () = reader_gone() => Err(CliError::ReaderGone),
        }
    })
}

/// Shows the status once, or with `--watch` whenever it changes.
async fn show(home: &Home, args: &Status, filter: Filter) -> Result<ExitCode, CliError> {
    let mut backend = Backend::find(home).await?;
    let mut newer_than = None;
    loop {
        let told = match backend.status(filter.clone(), newer_than).await {
            Err(error) if args.watch && error.is_away() => {
                backend = wait_for_next_daemon(home).await?;
                newer_than = None;
                continue;
            }
            told => told?,
        };
        if let Some(daemon) = &told.status.daemon {
            version_skew::warn(&daemon.version, daemon.pid);
        }
        let spec = told.status.specs.first().filter(|_| args.id.is_some());
        if args.json {
            match spec {
                Some(spec) => print_json(spec)?,
                None => print_json(&told.status)?,
            }
            return Ok(0);
        }
        let text = match spec {
            Some(spec) => spec_details(spec, clock::now()),
            None => overview(&told.status, clock::now()),
        };
        if !args.watch {
            print_styled(&text)?;
            return Ok(0);
        }
        if !backend.is_daemon() {
            print_styled(&text)?;
            return Err(CliError::new(NO_DAEMON, "no daemon runs, so there is nothing to watch").hint(START_ONE));
        }
        stream_styled(&match terminal::size() {
            Some(size) => format!("{CLEAR}{}", screen::fit_rows(&text, size)),
            None => text,
        })?;
        newer_than = Some(told.revision);
    }
}

async fn wait_for_next_daemon(home: &Home) -> Result<Backend, CliError> {
    say!("the daemon has ended; waiting up to {} s for the next one", PATIENCE.as_secs());
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        match Backend::find(home).await {
            Ok(backend) if backend.is_daemon() => return Ok(backend),
            _ => tokio::time::sleep(LOOK_AGAIN).await,
        }
    }
    Err(CliError::new(NO_DAEMON, "no daemon runs any more").hint(START_ONE))
}
