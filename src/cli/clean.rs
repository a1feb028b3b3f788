//! `boi clean`: removes the leftovers of ended specs. Work that exists nowhere else is kept under git refs.

use serde_json::{Value, json};

use super::args::Clean;
use super::backend::{self, Backend};
use super::clean_leftovers::{self, Outcome, Removed};
use super::printing::{plural, print_json, print_line};
use super::{CliError, ExitCode, FAILED, block_on, drop, durations};
use crate::domain::escape;
use crate::domain::id::SpecId;
use crate::domain::life::SpecStatus;
use crate::domain::view::SpecView;
use crate::queue::{Cleaned, Filter, Queue};
use crate::system::clock;
use crate::system::output::say;
use crate::system::paths::Home;

/// Carries out `boi clean`.
pub(super) fn clean(home: &Home, args: &Clean) -> Result<ExitCode, CliError> {
    let min_age = args.older_than.as_deref().map(|age| durations::parse("--older-than", age)).transpose()?;
    let min_age = min_age.map(|age| i64::try_from(age.as_millis()).unwrap_or(i64::MAX));
    let configured = backend::configured(home);
    configured.check_places()?;
    configured.check_identity()?;
    let Some(queue) = backend::read(&configured)? else {
        return print_line("nothing to clean: the queue is empty").map(|()| 0);
    };
    let latest_end = min_age.map(|age| clock::now().plus_millis(-age));
    let mut specs = ended_specs(&configured, queue.as_ref(), &args.ids)?;
    specs.retain(|spec| latest_end.is_none_or(|latest| spec.finished_at.is_some_and(|at| at <= latest)));
    block_on(async {
        let mut backend = Backend::find(home).await?;
        let mut objects: Vec<Value> = Vec::new();
        let mut code = 0;
        let mut left = 0;
        for SpecView { id, status, .. } in specs {
            if status == SpecStatus::Dropped && !args.dry_run {
                // An earlier `boi drop` may have been killed before it had moved the branch.
                if let Err(error) = drop::complete(home, &configured, queue.as_ref(), &mut backend, &id).await {
                    say!("{id}: not cleaned: {}", escape::escaped(&error.message()));
                    code = FAILED;
                    continue;
                }
            }
            let removed = match clean_leftovers::clean(&configured, queue.as_ref(), &id, args)? {
                Outcome::Nothing => continue,
                Outcome::Unlanded => {
                    left += 1;
                    continue;
                }
                Outcome::Open => {
                    say!("{id}: skipped: its worktree is open in a `boi open`");
                    continue;
                }
                Outcome::Removed(removed) => removed,
                Outcome::Revived(status) => {
                    say!("{id}: skipped: the spec was retried and is {} again", status.as_str());
                    continue;
                }
                Outcome::Refused(reason) => {
                    say!("{id}: not cleaned: {}", escape::escaped(&reason));
                    code = FAILED;
                    continue;
                }
            };
            if !args.dry_run {
                record(&mut backend, home, &id, &removed).await?;
            }
            if !args.json {
                print_removed(&id, &removed, args.dry_run)?;
            }
            objects.push(json!({
                "id": id, "worktree": removed.worktree, "attempts": removed.attempts, "branch": removed.branch,
                "branch_needed_by": removed.branch_needed_by, "kept": removed.kept,
            }));
        }
        if args.json {
            print_json(&json!({"dry_run": args.dry_run, "specs": objects, "left": left}))?;
        } else if objects.is_empty() && code == 0 {
            print_line("nothing to clean")?;
        }
        if left > 0 && !args.json {
            let (stay, these) = if left == 1 { ("stays", "it") } else { ("stay", "them") };
            say!(
                "{left} spec{} {stay}: failed, canceled, or with a branch that is not merged; `boi clean --all` cleans \
                 {these} up too",
                plural(left)
            );
        }
        Ok(code)
    })
}

/// The number of specs that are read from the queue at a time.
const PAGE: usize = 500;

/// Returns the specs with these ids, and fails if one of them has not ended. Without ids, returns every ended
/// spec that may have leftovers.
fn ended_specs(home: &Home, queue: &dyn Queue, ids: &[SpecId]) -> Result<Vec<SpecView>, CliError> {
    if !ids.is_empty() {
        let specs = queue.list(&Filter { ids: ids.to_vec(), ..Filter::default() })?.specs;
        if let Some(live) = specs.iter().find(|spec| !spec.is_settled()) {
            let message = format!("{} is {}: only specs that have ended can be cleaned", live.id, live.status.as_str());
            return Err(CliError::new(FAILED, message).hint(format!("first end the spec: `boi cancel {}`", live.id)));
        }
        return Ok(specs);
    }
    let candidates = clean_leftovers::candidates(home, queue)?;
    let mut ended = Vec::new();
    for ids in candidates.chunks(PAGE) {
        let page = queue.list(&Filter { ids: ids.to_vec(), ..Filter::default() })?;
        ended.extend(page.specs.into_iter().filter(|spec| spec.is_settled()));
    }
    Ok(ended)
}

/// Records in the queue that the leftovers of a spec were removed.
async fn record(backend: &mut Backend, home: &Home, id: &SpecId, removed: &Removed) -> Result<(), CliError> {
    let cleaned = Cleaned {
        id: id.clone(),
        kept: removed.kept.clone(),
        worktree: removed.worktree || removed.worktree_was_missing,
        branch: removed.branch,
        merged: removed.merged,
    };
    backend.cleaned(home, &cleaned).await
}

fn print_removed(id: &SpecId, removed: &Removed, dry_run: bool) -> Result<(), CliError> {
    let parts =
        [(removed.worktree, "worktree"), (removed.attempts, "attempt folders"), (removed.branch, "merged branch")];
    let named: Vec<&str> = parts.iter().filter(|(was_removed, _)| *was_removed).map(|(_, name)| *name).collect();
    if !named.is_empty() {
        let verb = if dry_run { "would remove" } else { "removed" };
        print_line(&format!("{id}  {verb} {}", named.join(", ")))?;
    }
    if let Some(other) = &removed.branch_needed_by {
        print_line(&format!("{id}  kept branch {}: {other} starts from it", id.branch()))?;
    }
    for kept in &removed.kept {
        print_line(&format!("          kept {kept}"))?;
    }
    Ok(())
}
