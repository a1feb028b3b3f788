//! `boi dispatch`, `boi cancel`, `boi retry`, `boi pause`, `boi resume`.

use serde_json::json;

use super::args::{Dispatch, Ids};
use super::backend::{self, Backend};
use super::{CliError, Context, ExitCode, FAILED, USAGE, block_on, plural, print_json, print_line, specs};
use crate::domain::attempt::SpecStatus;
use crate::domain::id::SpecId;
use crate::domain::view::SpecView;
use crate::queue::{Canceled, Filter, Store};
use crate::spec::PRIORITIES;

/// `boi dispatch`.
pub(super) fn dispatch(context: Context, asked: Dispatch) -> Result<ExitCode, CliError> {
    if let Some(priority) = asked.priority.filter(|priority| !PRIORITIES.contains(priority)) {
        let (low, high) = PRIORITIES.into_inner();
        return Err(CliError::new(USAGE, format!("--priority {priority} is not between {low} and {high}")));
    }
    let home = backend::configured(&context.home);
    let queue = backend::read(&home)?;
    let queue = queue.as_ref().map(|store| store as &dyn Store);
    let mut loaded = specs::load(&asked.files, queue)?;
    for spec in &mut loaded {
        spec.priority = asked.priority.unwrap_or(spec.priority);
    }
    specs::add_after(&mut loaded, &asked.after, queue)?;
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
        let mut backend = Backend::find(&context.home).await?;
        let ids = backend.dispatch(&context.home, loaded).await?;
        if asked.json {
            let specs: Vec<_> = ids.iter().zip(&titles).map(|(id, title)| json!({"id": id, "title": title})).collect();
            print_json(&json!({"specs": specs}))?;
        } else {
            for (id, title) in ids.iter().zip(&titles) {
                print_line(&format!("{id}  {title}"))?;
            }
        }
        say_who_drains(backend, &context).await;
        Ok(0)
    })
}

/// Says on stderr when nobody drains the queue, or not these specs. They are queued, whatever becomes of the daemon
/// meanwhile.
async fn say_who_drains(mut backend: Backend, context: &Context) {
    let status = match backend.status_now(&context.home, &Filter { limit: 1, ..Filter::default() }, None).await {
        Ok(told) => told.status,
        Err(error) => return eprintln!("queued; who carries it out is not known: {}", error.message()),
    };
    match status.daemon {
        None => eprintln!("queued; no daemon runs: start one with `boi daemon start`"),
        Some(daemon) if daemon.scoped => {
            eprintln!(
                "queued; the running `boi run` (pid {}) carries out only its own specs: start a daemon after it with `boi daemon start`",
                daemon.pid
            );
        }
        Some(daemon) if daemon.draining => eprintln!(
            "queued; the daemon (pid {}) is draining and will end when what runs has finished: start one after it with \
             `boi daemon start`",
            daemon.pid
        ),
        Some(_) if status.paused => eprintln!("queued; claiming is paused: `boi resume` goes on"),
        Some(_) => {}
    }
}

/// `boi cancel`.
pub(super) fn cancel(context: Context, asked: Ids) -> Result<ExitCode, CliError> {
    block_on(async {
        let mut backend = Backend::find(&context.home).await?;
        let mut outcomes = Vec::new();
        let mut errors = Vec::new();
        for id in distinct(asked.ids) {
            match backend.cancel(&context.home, &id).await {
                Ok(outcome) => outcomes.push((id, outcome)),
                Err(error) => errors.push(error),
            }
        }
        let ending =
            outcomes.iter().filter(|(_, outcome)| *outcome == Canceled::Ending).map(|(id, _)| id.clone()).collect();
        for spec in wait_for_end(&mut backend, &context, ending).await? {
            // It may have ended by itself before the wish reached it.
            if spec.status != SpecStatus::Canceled
                && let Some((_, outcome)) = outcomes.iter_mut().find(|(id, _)| *id == spec.id)
            {
                *outcome = Canceled::EndedBefore(spec.status);
            }
        }
        if asked.json {
            let shown = outcomes.iter().map(|(id, outcome)| match outcome {
                Canceled::Now | Canceled::Ending => json!({"id": id, "canceled": true}),
                Canceled::EndedBefore(status) => json!({"id": id, "canceled": false, "status": status}),
            });
            print_json(&json!({"specs": shown.collect::<Vec<_>>()}))?;
        }
        let mut code = 0;
        for (id, outcome) in &outcomes {
            match outcome {
                Canceled::EndedBefore(SpecStatus::Canceled) if !asked.json => {
                    print_line(&format!("{id} was canceled before"))?;
                }
                Canceled::EndedBefore(SpecStatus::Canceled) => {}
                Canceled::EndedBefore(status) => {
                    let verb = if status.is_ended() { "has" } else { "is" };
                    eprintln!("{id} {verb} {} already: nothing to cancel", status.as_str());
                    code = FAILED;
                }
                Canceled::Now | Canceled::Ending if asked.json => {}
                Canceled::Now | Canceled::Ending => print_line(&format!("{id} canceled"))?,
            }
        }
        Ok(report_each(&context, &errors, asked.json).unwrap_or(code))
    })
}

/// Reports what went wrong with some of the ids, after what was done for the others; returns the code of the first.
fn report_each(context: &Context, errors: &[CliError], json: bool) -> Option<ExitCode> {
    let codes: Vec<ExitCode> = errors.iter().map(|error| super::report(error, json, context.color)).collect();
    codes.first().copied()
}

fn distinct(ids: Vec<SpecId>) -> Vec<SpecId> {
    let mut seen = Vec::new();
    for id in ids {
        if !seen.contains(&id) {
            seen.push(id);
        }
    }
    seen
}

/// Waits until specs have ended: a canceled one has, when nothing of it runs any more. Where their daemon dies meanwhile,
/// the next one ends them, or this process.
async fn wait_for_end(backend: &mut Backend, context: &Context, ids: Vec<SpecId>) -> Result<Vec<SpecView>, CliError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let filter = Filter { ids, ..Filter::default() };
    let mut newer_than = None;
    loop {
        let told = backend.status_now(&context.home, &filter, newer_than).await?;
        let mut running = told.status.specs.iter().filter(|spec| spec.status == SpecStatus::Running).peekable();
        if running.peek().is_none() {
            return Ok(told.status.specs);
        }
        newer_than = Some(told.revision);
        if !backend.is_daemon() {
            newer_than = None;
            for spec in running {
                backend.cancel(&context.home, &spec.id).await?;
            }
        }
    }
}

/// `boi retry`.
pub(super) fn retry(context: Context, asked: Ids) -> Result<ExitCode, CliError> {
    block_on(async {
        let mut backend = Backend::find(&context.home).await?;
        let mut queued: Vec<SpecId> = Vec::new();
        let mut errors = Vec::new();
        for id in distinct(asked.ids) {
            if queued.contains(&id) {
                continue;
            }
            match backend.retry(&context.home, id).await {
                Ok(ids) => queued.extend(ids),
                Err(error) => errors.push(error),
            }
        }
        if asked.json {
            print_json(&json!({"specs": queued.iter().map(|id| json!({"id": id})).collect::<Vec<_>>()}))?;
        } else {
            for id in &queued {
                print_line(&format!("{id} queued again"))?;
            }
        }
        if !queued.is_empty() {
            say_who_drains(backend, &context).await;
        }
        Ok(report_each(&context, &errors, asked.json).unwrap_or(0))
    })
}

/// `boi pause` and `boi resume`.
pub(super) fn set_paused(context: Context, paused: bool, json: bool) -> Result<ExitCode, CliError> {
    block_on(async {
        let mut backend = Backend::find(&context.home).await?;
        backend.set_paused(&context.home, paused).await?;
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
