//! `boi drop`: rejects specs. The branch goes to a kept ref, and the worktree goes; `--undo` brings the
//! branch back.
//!
//! ```text
//! drop:   record the drop and the head ─▶ remove the worktree ─▶ keep the head ─▶ delete the branch ─▶ record that
//! --undo: create the branch from the kept ref ─▶ record the former status ─▶ delete the kept ref
//! ```
//!
//! After a kill between any two steps, both commands can be repeated, and each completes the other's half. No
//! daemon claims a dropped spec, so no worker uses the worktree meanwhile.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::args::Ids;
use super::backend::{self, Backend};
use super::cancel_retry::{report_each, without_duplicates};
use super::printing::{print_json, print_line};
use super::{CliError, ExitCode, FAILED, block_on, open_lock, patience};
use crate::domain::id::SpecId;
use crate::domain::life::SpecStatus;
use crate::domain::view::SpecView;
use crate::git::{self, GitError, LockedWorktree, Restored, Worktree};
use crate::queue::review::DropRecord;
use crate::queue::{Cleaned, Filter, Queue, QueueError};
use crate::system::output::say;
use crate::system::paths::Home;
use crate::system::{attempt_folder, failpoint};

/// How often the branch may move while it is dropped.
const ROUNDS: u32 = 5;

/// The arguments of `boi drop`.
#[derive(Debug, Args)]
pub(super) struct Drop {
    #[command(flatten)]
    pub(super) specs: Ids,
    /// Restore the branches and the former statuses of dropped specs
    #[arg(long)]
    undo: bool,
}

/// Carries out `boi drop`.
pub(super) fn drop_specs(home: &Home, args: Drop) -> Result<ExitCode, CliError> {
    let Drop { specs: Ids { ids, json }, undo } = args;
    let configured = backend::configured(home);
    configured.check_places()?;
    configured.check_identity()?;
    let ids = without_duplicates(ids);
    let Some(queue) = backend::read(&configured)? else { return Err(QueueError::NotFound(ids[0].clone()).into()) };
    block_on(async {
        let mut backend = Backend::find(home).await?;
        let (mut objects, mut errors) = (Vec::new(), Vec::new());
        for id in ids {
            let mut dropping = Dropping { home, configured: &configured, queue: queue.as_ref(), backend: &mut backend };
            let done = match undo {
                true => dropping.undo(&id, json).await,
                false => dropping.drop_one(&id, json).await,
            };
            match done {
                Ok(object) => objects.push(object),
                Err(error) => errors.push(error),
            }
        }
        if json {
            print_json(&json!({"specs": objects}))?;
        }
        Ok(report_each(&errors, json).unwrap_or(0))
    })
}

/// Completes the drop of a spec, in case an earlier command was killed. Returns the refs that keep its work.
pub(super) async fn complete(
    home: &Home,
    configured: &Home,
    queue: &dyn Queue,
    backend: &mut Backend,
    id: &SpecId,
) -> Result<(), CliError> {
    let view = view_of(queue, id)?;
    let place = Place::of(configured, &view);
    let left = place.as_ref().is_some_and(|place| place.has_worktree() || place.has_branch().unwrap_or(false));
    if left {
        let mut dropping = Dropping { home, configured, queue, backend };
        dropping.drop_one(id, true).await?;
    }
    Ok(())
}

/// What is needed to drop specs.
struct Dropping<'a> {
    home: &'a Home,
    configured: &'a Home,
    queue: &'a dyn Queue,
    backend: &'a mut Backend,
}

/// The worktree of a spec in a repository.
struct Place {
    worktree: Worktree,
    attempts: PathBuf,
}

impl Place {
    /// Returns the worktree; `None`: the spec has no repository.
    fn of(configured: &Home, view: &SpecView) -> Option<Place> {
        let id = view.id.clone();
        let (attempts, path) = (configured.spec_attempts(&id), configured.worktree(&id, view.worktree.as_deref()));
        let worktree = Worktree::of_user(PathBuf::from(view.repo.as_ref()?), path, id, attempts.join("git"));
        Some(Place { worktree, attempts })
    }

    fn has_worktree(&self) -> bool {
        self.worktree.path.symlink_metadata().is_ok()
    }

    fn has_branch(&self) -> Result<bool, GitError> {
        Ok(git::branch_head(&self.worktree.repo, &self.worktree.spec)?.is_some())
    }

    /// Locks the worktree for `work`. Removes the folders that this created for a spec that had none.
    fn locked<T>(&self, work: impl FnOnce(&LockedWorktree) -> Result<T, CliError>) -> Result<T, CliError> {
        let existed = self.attempts.symlink_metadata().is_ok();
        let lock = self.worktree.lock().map_err(of_git)?;
        let done = patience::telling(format!("git, which reads the files of {}", self.worktree.spec), || work(&lock));
        drop(lock);
        if !existed {
            drop(attempt_folder::remove(&self.attempts));
        }
        done
    }
}

/// What git did for a drop.
struct Removed {
    /// The refs and folders that keep work.
    kept: Vec<String>,
    /// What became of the branch.
    branch: Branch,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Branch {
    Deleted,
    /// There was no branch.
    Missing,
    /// The branch has moved since its head was recorded, so it was not deleted.
    Moved,
}

impl Dropping<'_> {
    async fn drop_one(&mut self, id: &SpecId, quiet: bool) -> Result<Value, CliError> {
        let view = view_of(self.queue, id)?;
        open_lock::refuse_if_open(self.configured, id, "dropped")?;
        let place = Place::of(self.configured, &view);
        let is_own = view.branch.is_some() || view.worktree.is_some() || view.status == SpecStatus::Dropped;
        let (mut failed, mut kept, mut before) = (Vec::new(), Vec::new(), false);
        for round in 1.. {
            let head = match &place {
                // boi drops only branches that it created: it records the worktree before it creates the
                // branch.
                Some(place) if is_own => git::branch_head(&place.worktree.repo, id).map_err(of_git)?,
                _ => None,
            };
            if let Some(place) = &place
                && round == 1
                && view.status != SpecStatus::Running
            {
                check(place, head.is_some())?;
            }
            let dropped = self.backend.drop_spec(self.home, id, head.as_deref()).await?;
            failpoint::hit("drop.recorded");
            before |= round == 1 && dropped.before;
            failed.extend(dropped.failed);
            let Some(place) = &place else { break };
            if head.is_none() && !place.has_worktree() {
                break;
            }
            let removed = place.locked(|lock| remove(lock, &place.worktree.repo, id, head.as_deref()))?;
            kept.extend(removed.kept);
            let (id, kept, branch) = (id.clone(), kept.clone(), removed.branch == Branch::Deleted);
            self.backend
                .cleaned(self.home, &Cleaned { id: id.clone(), kept, worktree: true, branch, merged: false })
                .await?;
            if removed.branch != Branch::Moved {
                break;
            }
            if round >= ROUNDS {
                let message = format!("{id} is dropped, but its branch {} keeps moving", id.branch());
                return Err(CliError::new(FAILED, message).hint(format!("run `boi drop {id}` again")));
            }
        }
        if !quiet {
            print_line(&format!("{id} {}", if before { "was dropped before" } else { "dropped" }))?;
            for name in &kept {
                print_line(&format!("          kept {name}"))?;
            }
            for dependent in &failed {
                print_line(&format!("          {dependent} failed, because it needs {id}"))?;
            }
            if let (None, true) = (&view.repo, view.worktree.is_some()) {
                say!("the files of {id} stay in its scratch directory; `boi clean --scratch {id}` deletes them");
            }
        }
        Ok(json!({"id": id, "dropped": true, "kept": kept, "failed": failed}))
    }

    async fn undo(&mut self, id: &SpecId, quiet: bool) -> Result<Value, CliError> {
        let view = view_of(self.queue, id)?;
        let Some(DropRecord { head, .. }) = self.queue.drop_record(id)? else {
            let message = format!("{id} is {}, not dropped", view.status.as_str());
            return Err(CliError::new(FAILED, message));
        };
        let mut kept = None;
        if let (Some(head), Some(place)) = (&head, Place::of(self.configured, &view)) {
            let restored = place.locked(|lock| git::restore_dropped(lock, head).map_err(of_git))?;
            match restored {
                Restored::Branch => {}
                Restored::NothingKept => {
                    let message = format!("the ref {} is gone, so {id} stays dropped", git::dropped_ref(id, head));
                    return Err(CliError::new(FAILED, message).hint(format!(
                        "if you know that commit, create the branch yourself: git -C {} branch {} {head}",
                        view.repo.as_deref().unwrap_or("REPO"),
                        id.branch()
                    )));
                }
                Restored::OtherBranch(found) => {
                    let message = format!(
                        "the branch {} exists and is at {found}, not at {head}, so {id} stays dropped",
                        id.branch()
                    );
                    return Err(CliError::new(FAILED, message).hint("rename that branch first"));
                }
            }
            failpoint::hit("undo.branch_restored");
            kept = Some(git::dropped_ref(id, head));
        }
        let status = self.backend.undo_drop(self.home, id, kept).await?;
        failpoint::hit("undo.recorded");
        if let (Some(head), Some(place)) = (&head, Place::of(self.configured, &view)) {
            // If this fails, the ref only keeps a commit that the branch has too.
            drop(place.locked(|lock| git::forget_dropped(lock, head).map_err(of_git)));
        }
        let branch = head.is_some().then(|| id.branch());
        if !quiet {
            let on = branch.as_ref().map_or_else(String::new, |branch| format!(", branch {branch}"));
            print_line(&format!("{id} restored: {}{on}", status.as_str()))?;
        }
        Ok(json!({"id": id, "status": status, "branch": branch}))
    }
}

/// Fails if the branch cannot be dropped, before anything is changed.
fn check(place: &Place, has_branch: bool) -> Result<(), CliError> {
    if has_branch || place.has_worktree() {
        place.locked(|lock| {
            git::check_removal(lock).map_err(|error| CliError::new(FAILED, error.to_string()))?;
            git::refuse_foreign_checkout(lock).map_err(of_git)
        })?;
    }
    Ok(())
}

/// Removes the worktree, keeps the commit of the branch, and deletes the branch.
fn remove(lock: &LockedWorktree, repo: &Path, id: &SpecId, head: Option<&str>) -> Result<Removed, CliError> {
    let kept = git::remove_worktree(lock, "leftover").map_err(|error| {
        CliError::new(FAILED, format!("{id} is dropped, but its worktree stays: {error}"))
            .hint(format!("then run `boi drop {id}` again"))
    })?;
    failpoint::hit("drop.worktree_removed");
    let Some(head) = head else { return Ok(Removed { kept, branch: Branch::Missing }) };
    let reference = git::keep_dropped(lock, head).map_err(of_git)?;
    failpoint::hit("drop.kept");
    let kept = kept.into_iter().chain([reference]).collect();
    let branch = match git::delete_branch(repo, id, head) {
        Ok(()) => Branch::Deleted,
        Err(GitError::Diverged { .. }) => Branch::Moved,
        Err(error) => return Err(of_git(error)),
    };
    failpoint::hit("drop.branch_deleted");
    Ok(Removed { kept, branch })
}

fn view_of(queue: &dyn Queue, id: &SpecId) -> Result<SpecView, CliError> {
    let listing = queue.list(&Filter { ids: vec![id.clone()], ..Filter::default() })?;
    listing.specs.into_iter().next().ok_or_else(|| QueueError::NotFound(id.clone()).into())
}

#[expect(clippy::needless_pass_by_value, reason = "`map_err` passes a value")]
fn of_git(error: GitError) -> CliError {
    CliError::new(FAILED, error.to_string())
}
