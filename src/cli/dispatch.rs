//! `boi dispatch`: queues specs.

use std::collections::BTreeSet;

use serde_json::json;
use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, value};

use super::args::Dispatch;
use super::backend::{Backend, LazyQueue};
use super::printing::{plural, print_json, print_line};
use super::spec_agents::KnownAgents;
use super::spec_files::{self, Source};
use super::{CliError, ExitCode, block_on, dispatch_notes, priority, version_skew};
use crate::control::calls::{Dispatched, Outlook};
use crate::daemon::handle;
use crate::decide::lane;
use crate::domain::escape;
use crate::domain::id::SpecId;
use crate::domain::spec::Spec;
use crate::domain::text;
use crate::git::{self, RepositoryRefusal};
use crate::queue::Filter;
use crate::system::output::say;
use crate::system::paths::Home;
use crate::ui::obstacle::starts_nothing;
use crate::ui::times;

/// The maximum length of the title of a spec that is made from a prompt, in characters.
const TITLE: usize = 80;

/// Carries out `boi dispatch`.
pub(super) fn dispatch(home: &Home, args: &Dispatch) -> Result<ExitCode, CliError> {
    if let Some(priority) = args.priority {
        priority::check(priority, "--priority")?;
    }
    let queue = LazyQueue::of(home);
    let sources = match &args.prompt {
        Some(prompt) => vec![from_prompt(prompt, &args.verify)?],
        None => spec_files::files(&args.files)?,
    };
    let agents = KnownAgents::lazy(home);
    let mut specs = spec_files::load(&sources, &args.after, &queue, &agents)?;
    for spec in &mut specs {
        spec.priority = args.priority.unwrap_or(spec.priority);
    }
    if args.dry_run {
        let twins = queue.get()?.map(|queue| handle::twins(queue, &specs)).unwrap_or_default();
        let mut notes = dispatch_notes::duplicates(&specs, &twins);
        notes.extend(dispatch_notes::uncommitted_changes(&specs));
        notes.extend(dispatch_notes::files_to_copy(&specs));
        print_dry_run(&specs, &notes, args.json)?;
        return Ok(0);
    }
    block_on(async {
        let mut backend = Backend::find(home).await?;
        let Dispatched { ids, twins, outlook } = backend.dispatch(home, specs.clone()).await?;
        let mut notes = dispatch_notes::duplicates(&specs, &twins);
        // The specs are already queued here, so a slow repository does not delay them.
        notes.extend(dispatch_notes::uncommitted_changes(&specs));
        let queued = ids.iter().zip(&specs);
        if args.json {
            let specs: Vec<_> = queued.map(|(id, spec)| json!({"id": id, "title": spec.title})).collect();
            let printed = print_json(&json!({"specs": specs, "notes": notes}));
            printed.map_err(|error| error.hint(nevertheless_queued(&ids)))?;
        } else {
            for (id, spec) in queued {
                let line = format!("{id}  {}", escape::escaped(&spec.title));
                print_line(&line).map_err(|error| error.hint(nevertheless_queued(&ids)))?;
            }
            print_notes(&notes);
        }
        match outlook {
            Some(outlook) => warn_of_obstacles(&outlook, Some(&agents_of(&specs))),
            None => warn_unless_drained(backend, home, Some(&agents_of(&specs))).await,
        }
        Ok(0)
    })
}

/// Says which specs were queued, for the case that the result could not be printed.
fn nevertheless_queued(ids: &[SpecId]) -> String {
    let ids: Vec<&str> = ids.iter().map(SpecId::as_str).collect();
    format!("nevertheless queued: {}", ids.join(" "))
}

/// Makes the text of a spec of one task with this prompt. If the current directory is in a repository, the
/// spec works there.
fn from_prompt(prompt: &str, verify: &[String]) -> Result<Source, CliError> {
    let mut document = DocumentMut::new();
    document["title"] = value(title_of(prompt));
    match git::inspect_repository(&std::env::current_dir()?) {
        Err(RepositoryRefusal::NotARepository(_)) => {
            say!(
                "note: the current directory is in no git repository, so the task works in an empty scratch directory"
            );
        }
        // Any other problem with the repository is reported later, together with the problems of the spec.
        _ => document["repo"] = value("."),
    }
    let mut task = Table::new();
    task["prompt"] = value(prompt);
    if !verify.is_empty() {
        task["verify"] = value(verify.iter().collect::<Array>());
    }
    let mut tasks = ArrayOfTables::new();
    tasks.push(task);
    document["tasks"] = Item::ArrayOfTables(tasks);
    Ok(Source::Text { name: "--prompt", text: document.to_string() })
}

/// The title of a spec that has only a prompt: the prompt's first line.
fn title_of(prompt: &str) -> String {
    let line = prompt.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    text::one_line(line, TITLE)
}

fn print_notes(notes: &[String]) {
    for note in notes {
        say!("note: {note}");
    }
}

fn print_dry_run(specs: &[Spec], notes: &[String], json: bool) -> Result<(), CliError> {
    if json {
        return print_json(&json!({"dry_run": true, "specs": specs, "notes": notes}));
    }
    print_notes(notes);
    for Spec { title, tasks, .. } in specs {
        print_line(&format!("would queue {} ({} task{})", escape::escaped(title), tasks.len(), plural(tasks.len())))?;
    }
    Ok(())
}

/// Returns the names of the agents that the specs' tasks need.
fn agents_of(specs: &[Spec]) -> BTreeSet<String> {
    let tasks = specs.iter().flat_map(|spec| (0..spec.tasks.len()).map(move |task| lane::of_task(spec, task)));
    tasks.flatten().map(str::to_owned).collect()
}

/// Warns on stderr if no daemon will run the specs that were just queued, or if one of `agents` is held
/// (`None`: all agents). An unreachable daemon is a warning too and not an error, because the specs are in
/// the queue.
pub(super) async fn warn_unless_drained(mut backend: Backend, home: &Home, agents: Option<&BTreeSet<String>>) {
    let status = match backend.status_now(home, &Filter { limit: 1, ..Filter::default() }, None).await {
        Ok(told) => told.status,
        Err(error) => {
            return say!(
                "the specs are queued, but boi cannot tell whether a daemon will run them: {}",
                escape::escaped(&error.message())
            );
        }
    };
    warn_of_obstacles(&Outlook { daemon: status.daemon, paused: status.paused, holds: status.holds }, agents);
}

/// Warns on stderr about everything that keeps specs from starting soon. `agents`: the agents that the specs need; `None`:
/// all agents.
fn warn_of_obstacles(outlook: &Outlook, agents: Option<&BTreeSet<String>>) {
    let Some(daemon) = &outlook.daemon else {
        return say!("queued, but no daemon runs: start a daemon with `boi daemon start`");
    };
    version_skew::warn(&daemon.version, daemon.pid);
    if let Some(why) = starts_nothing(daemon) {
        say!("queued, but {why}");
    } else if daemon.stopping {
        say!(
            "queued, but the daemon (pid {}) is stopping: then start another daemon with `boi daemon start`",
            daemon.pid
        );
    } else if outlook.paused {
        say!("queued, but the queue is paused: waiting specs start after `boi resume`");
    }
    for hold in outlook.holds.iter().filter(|hold| agents.is_none_or(|agents| agents.contains(&hold.agent))) {
        say!("queued, but the agent {} is held: {}", hold.agent, times::localized(&hold.reason));
    }
}
