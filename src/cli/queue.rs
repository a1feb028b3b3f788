//! `boi dispatch`, `boi cancel`, `boi retry`, `boi pause`, `boi resume`.

use serde_json::json;

use super::args::{Dispatch, Ids};
use super::backend::{self, Backend};
use super::{CliError, Context, ExitCode, FAILED, USAGE, block_on, plural, print_json, print_line, specs};
use crate::domain::attempt::SpecStatus;
use crate::domain::id::SpecId;
use crate::host::store::{Canceled, Filter, Store};
use crate::spec::PRIORITIES;

/// `boi dispatch`.
pub(super) fn dispatch(context: Context, asked: Dispatch) -> Result<ExitCode, CliError> {
    if let Some(priority) = asked.priority.filter(|priority| !PRIORITIES.contains(priority)) {
        let (low, high) = PRIORITIES.into_inner();
        return Err(CliError::new(USAGE, format!("--priority {priority} is not between {low} and {high}")));
    }
    let home = backend::configured(&context.home);
    let queue = backend::read(&home)?;
    let mut loaded = specs::load(&asked.files, queue.as_ref().map(|store| store as &dyn Store))?;
    for spec in &mut loaded {
        spec.priority = asked.priority.unwrap_or(spec.priority);
        specs::add_after(spec, &asked.after);
    }
    let titles: Vec<String> = loaded.iter().map(|spec| spec.title.clone()).collect();
    if asked.dry_run {
        if asked.json {
            print_json(&json!({"dry_run": true, "specs": loaded}))?;
        } else {
            for spec in &loaded {
                print_line(&format!(
                    "would queue {} ({} task{})",
                    spec.title,
                    spec.tasks.len(),
                    plural(spec.tasks.len())
                ))?;
            }
        }
        return Ok(0);
    }
    block_on(async {
        let backend = Backend::find(&context.home).await?;
        let ids = backend.dispatch(loaded).await.map_err(bad_spec)?;
        if asked.json {
            let specs: Vec<_> = ids.iter().zip(&titles).map(|(id, title)| json!({"id": id, "title": title})).collect();
            print_json(&json!({"specs": specs}))?;
        } else {
            for (id, title) in ids.iter().zip(&titles) {
                print_line(&format!("{id}  {title}"))?;
            }
        }
        say_who_drains(&backend).await?;
        Ok(0)
    })
}

/// What the queue refuses about a spec is the spec's fault.
fn bad_spec(error: CliError) -> CliError {
    match error {
        CliError::Message { message, hint, code: FAILED } => CliError::Message { message, hint, code: USAGE },
        other => other,
    }
}

/// Says on stderr when nobody drains the queue, or not these specs.
async fn say_who_drains(backend: &Backend) -> Result<(), CliError> {
    let status = backend.status(Filter { limit: 1, ..Filter::default() }, None).await?.status;
    match status.daemon {
        None => eprintln!("queued; no daemon runs: start one with `boi daemon run --foreground`"),
        Some(daemon) if daemon.scoped => {
            eprintln!(
                "queued; the running `boi run` (pid {}) carries out only its own specs: start a daemon after it with `boi daemon run --foreground`",
                daemon.pid
            );
        }
        Some(_) if status.paused => eprintln!("queued; claiming is paused: `boi resume` goes on"),
        Some(_) => {}
    }
    Ok(())
}

/// `boi cancel`.
pub(super) fn cancel(context: Context, asked: Ids) -> Result<ExitCode, CliError> {
    block_on(async {
        let backend = Backend::find(&context.home).await?;
        let results = backend.cancel(asked.ids).await?;
        let ending: Vec<SpecId> = results
            .iter()
            .filter(|result| result.outcome == Canceled::Ending)
            .map(|result| result.id.clone())
            .collect();
        wait_for_end(&backend, &ending).await?;
        if asked.json {
            let shown: Vec<_> = results
                .iter()
                .map(|result| match result.outcome {
                    Canceled::Now | Canceled::Ending => json!({"id": result.id, "canceled": true}),
                    Canceled::EndedBefore(status) => json!({"id": result.id, "canceled": false, "status": status}),
                })
                .collect();
            print_json(&json!({"specs": shown}))?;
        }
        let mut code = 0;
        for result in &results {
            match result.outcome {
                Canceled::EndedBefore(SpecStatus::Canceled) if !asked.json => {
                    print_line(&format!("{} was canceled before", result.id))?;
                }
                Canceled::EndedBefore(SpecStatus::Canceled) => {}
                Canceled::EndedBefore(status) => {
                    eprintln!("{} has {} already: nothing to cancel", result.id, status.as_str());
                    code = FAILED;
                }
                Canceled::Now | Canceled::Ending if asked.json => {}
                Canceled::Now | Canceled::Ending => print_line(&format!("{} canceled", result.id))?,
            }
        }
        Ok(code)
    })
}

/// Waits until specs have ended: a canceled one has, when nothing of it runs any more.
async fn wait_for_end(backend: &Backend, ids: &[SpecId]) -> Result<(), CliError> {
    if ids.is_empty() {
        return Ok(());
    }
    let filter = Filter { ids: ids.to_vec(), ..Filter::default() };
    let mut newer_than = None;
    loop {
        let told = backend.status(filter.clone(), newer_than).await?;
        if told.status.specs.iter().all(|spec| spec.status != SpecStatus::Running) {
            return Ok(());
        }
        newer_than = Some(told.revision);
    }
}

/// `boi retry`.
pub(super) fn retry(context: Context, asked: Ids) -> Result<ExitCode, CliError> {
    block_on(async {
        let backend = Backend::find(&context.home).await?;
        let queued = backend.retry(asked.ids).await?;
        if asked.json {
            print_json(&json!({"specs": queued.iter().map(|id| json!({"id": id})).collect::<Vec<_>>()}))?;
        } else {
            for id in &queued {
                print_line(&format!("{id} queued again"))?;
            }
        }
        say_who_drains(&backend).await?;
        Ok(0)
    })
}

/// `boi pause` and `boi resume`.
pub(super) fn set_paused(context: Context, paused: bool, json: bool) -> Result<ExitCode, CliError> {
    block_on(async {
        let backend = Backend::find(&context.home).await?;
        backend.set_paused(paused).await?;
        if json {
            print_json(&json!({"paused": paused}))?;
        } else if paused {
            print_line("paused: nothing new is claimed, what runs goes on; `boi resume` goes on claiming")?;
        } else {
            print_line("resumed")?;
        }
        if !backend.is_daemon() {
            eprintln!("no daemon runs: it holds for the next one");
        }
        Ok(0)
    })
}
