//! `boi status`.

use super::args::Status;
use super::backend::Backend;
use super::{CliError, Context, ExitCode, FAILED, block_on, print, print_json};
use crate::domain::attempt::SpecStatus;
use crate::host::clock;
use crate::host::store::Filter;
use crate::tui::report;

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
        let backend = Backend::find(&context.home).await?;
        let mut newer_than = None;
        loop {
            let told = backend.status(filter.clone(), newer_than).await?;
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
                return Err(CliError::new(FAILED, "no daemon runs, so there is nothing to watch")
                    .hint("start one: `boi daemon run --foreground`"));
            }
            let clear = if context.color { "\x1b[H\x1b[2J" } else { "" };
            print(format!("{clear}{text}").as_bytes())?;
            newer_than = Some(told.revision);
        }
    })
}
