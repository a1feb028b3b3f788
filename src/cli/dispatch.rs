//! `boi dispatch`: queues specs.

use serde_json::json;

use super::args::Dispatch;
use super::backend::{self, Backend};
use super::printing::{plural, print_json, print_line};
use super::{CliError, ExitCode, USAGE, block_on, spec_files, version_skew};
use crate::domain::escape;
use crate::domain::id::SpecId;
use crate::domain::spec::Spec;
use crate::queue::Filter;
use crate::spec::PRIORITIES;
use crate::system::output::say;
use crate::system::paths::Home;

/// Carries out `boi dispatch`.
pub(super) fn dispatch(home: &Home, args: &Dispatch) -> Result<ExitCode, CliError> {
    if let Some(priority) = args.priority.filter(|priority| !PRIORITIES.contains(priority)) {
        let (low, high) = PRIORITIES.into_inner();
        return Err(CliError::new(USAGE, format!("--priority {priority} is not between {low} and {high}")));
    }
    let queue = backend::read(&backend::configured(home))?;
    let queue = queue.as_deref();
    let mut specs = spec_files::load(&args.files, queue)?;
    for spec in &mut specs {
        spec.priority = args.priority.unwrap_or(spec.priority);
    }
    spec_files::add_after(&mut specs, &args.after, queue)?;
    if args.dry_run {
        print_dry_run(&specs, args.json)?;
        return Ok(0);
    }
    let titles: Vec<String> = specs.iter().map(|spec| spec.title.clone()).collect();
    block_on(async {
        let mut backend = Backend::find(home).await?;
        let ids = backend.dispatch(home, specs).await?;
        if args.json {
            let specs: Vec<_> = ids.iter().zip(&titles).map(|(id, title)| json!({"id": id, "title": title})).collect();
            print_json(&json!({"specs": specs})).map_err(|error| error.hint(queued(&ids)))?;
        } else {
            for (id, title) in ids.iter().zip(&titles) {
                let line = format!("{id}  {}", escape::escaped(title));
                print_line(&line).map_err(|error| error.hint(queued(&ids)))?;
            }
        }
        warn_unless_drained(backend, home).await;
        Ok(0)
    })
}

/// What was done although it could not be printed.
fn queued(ids: &[SpecId]) -> String {
    let ids: Vec<&str> = ids.iter().map(SpecId::as_str).collect();
    format!("nevertheless queued: {}", ids.join(" "))
}

fn print_dry_run(specs: &[Spec], json: bool) -> Result<(), CliError> {
    if json {
        return print_json(&json!({"dry_run": true, "specs": specs}));
    }
    for Spec { title, tasks, .. } in specs {
        print_line(&format!("would queue {} ({} task{})", escape::escaped(title), tasks.len(), plural(tasks.len())))?;
    }
    Ok(())
}

/// Warns on stderr if no daemon will run the specs that were just queued. Only warns if the daemon cannot be
/// reached, because the specs are in the queue.
pub(super) async fn warn_unless_drained(mut backend: Backend, home: &Home) {
    let status = match backend.status_now(home, &Filter { limit: 1, ..Filter::default() }, None).await {
        Ok(told) => told.status,
        Err(error) => {
            return say!(
                "the specs are queued, but boi cannot tell whether a daemon will run them: {}",
                escape::escaped(&error.message())
            );
        }
    };
    let Some(daemon) = status.daemon else {
        return say!("queued, but no daemon runs: start a daemon with `boi daemon start`");
    };
    version_skew::warn(&daemon.version, daemon.pid);
    if daemon.scoped {
        say!(
            "queued, but the running daemon is a `boi run` (pid {}), which runs only its own specs: when it has ended, start \
             another daemon: `boi daemon start`",
            daemon.pid
        );
    } else if daemon.stopping {
        say!(
            "queued, but the daemon (pid {}) is stopping: then start another daemon with `boi daemon start`",
            daemon.pid
        );
    } else if daemon.draining {
        say!(
            "queued, but the daemon (pid {}) is draining and ends when the running specs have ended: then start another \
             daemon with `boi daemon start`",
            daemon.pid
        );
    } else if status.paused {
        say!("queued, but the queue is paused: waiting specs start after `boi resume`");
    }
}
