//! `boi priority`: changes the place of a queued spec in the queue.

use serde_json::json;

use super::args::Priority;
use super::backend::Backend;
use super::printing::{print_json, print_line};
use super::{CliError, ExitCode, USAGE, block_on};
use crate::spec::PRIORITIES;
use crate::system::paths::Home;

/// Carries out `boi priority`.
pub(super) fn priority(home: &Home, args: &Priority) -> Result<ExitCode, CliError> {
    check(args.priority, "the priority")?;
    block_on(async {
        Backend::find(home).await?.set_priority(home, &args.id, args.priority).await?;
        if args.json {
            print_json(&json!({"id": args.id, "priority": args.priority}))?;
        } else {
            print_line(&format!(
                "{} has priority {} now; specs with a lower number run first",
                args.id, args.priority
            ))?;
        }
        Ok(0)
    })
}

/// Fails unless a priority is within its range. `name` is how the message calls the argument.
pub(super) fn check(priority: i64, name: &str) -> Result<(), CliError> {
    if PRIORITIES.contains(&priority) {
        return Ok(());
    }
    let (low, high) = PRIORITIES.into_inner();
    Err(CliError::new(USAGE, format!("{name} {priority} is not between {low} and {high}")))
}
