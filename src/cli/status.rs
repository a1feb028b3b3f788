//! `boi status`.

use std::time::{Duration, Instant};

use super::args::Status;
use super::backend::{Backend, LOOK_AGAIN};
use super::{CliError, Context, ExitCode, NO_DAEMON, block_on, print, print_json};
use crate::domain::attempt::SpecStatus;
use crate::queue::Filter;
use crate::system::{clock, terminal};
use crate::ui::report;

/// How long another daemon is looked for when the watched one has gone away: a restart takes less.
const PATIENCE: Duration = Duration::from_secs(5);

/// `boi status`.
pub(super) fn status(context: Context, asked: Status) -> Result<ExitCode, CliError> {
    let filter = Filter {
        ids: asked.id.iter().cloned().collect(),
        status: asked.status.as_deref().and_then(SpecStatus::from_name),
        all: asked.all,
        limit: asked.limit,
        offset: asked.offset,
        history: asked.id.is_some(),
    };
    block_on(async {
        let mut backend = Backend::find(&context.home).await?;
        let mut newer_than = None;
        loop {
            let told = match backend.status(filter.clone(), newer_than).await {
                Err(error) if asked.watch && error.is_away() => {
                    backend = another(&context).await?;
                    newer_than = None;
                    continue;
                }
                told => told?,
            };
            if asked.json {
                match (&asked.id, told.status.specs.first()) {
                    (Some(_), Some(spec)) => print_json(spec)?,
                    _ => print_json(&told.status)?,
                }
                return Ok(0);
            }
            let text = match (&asked.id, told.status.specs.first()) {
                (Some(_), Some(spec)) => report::one(spec, clock::now(), context.color),
                _ => report::all(&told.status, clock::now(), context.color),
            };
            if !asked.watch {
                print(text.as_bytes())?;
                return Ok(0);
            }
            if !backend.is_daemon() {
                print(text.as_bytes())?;
                return Err(
                    CliError::new(NO_DAEMON, "no daemon runs, so there is nothing to watch").hint(super::START_ONE)
                );
            }
            let shown = match terminal::size() {
                Some(size) => {
                    format!("{}{}", if context.color { "\x1b[H\x1b[2J" } else { "" }, report::fit(&text, size))
                }
                None => text,
            };
            print(shown.as_bytes())?;
            newer_than = Some(told.revision);
        }
    })
}

/// The daemon that follows one that has gone away.
async fn another(context: &Context) -> Result<Backend, CliError> {
    eprintln!("the daemon has gone away; another one is looked for, for {} s", PATIENCE.as_secs());
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        match Backend::find(&context.home).await {
            Ok(backend) if backend.is_daemon() => return Ok(backend),
            _ => tokio::time::sleep(LOOK_AGAIN).await,
        }
    }
    Err(CliError::new(NO_DAEMON, "no daemon runs any more").hint(super::START_ONE))
}
