//! Removes the leftovers of one ended spec: its worktree or scratch directory, its attempt folders, its
//! merged branch.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::args::Clean;
use super::{CliError, open_lock, patience};
use crate::domain::id::SpecId;
use crate::domain::life::SpecStatus;
use crate::domain::outcome::Delivery;
use crate::domain::spec::Base;
use crate::domain::view::SpecView;
use crate::git::{self, LockedWorktree, MergeState, RemovalRefusal, RemoveError, Worktree};
use crate::process::command_dir::CommandDir;
use crate::queue::{Filter, Queue, QueueError, unlanded};
use crate::system::paths::Home;
use crate::system::untrusted::{self, is_damaged};
use crate::system::{attempt_folder, files};

/// How long git may read and store the files of a worktree. After that, the worktree's folder is renamed and
/// kept instead.
const REMOVAL_LIMIT: Duration = Duration::from_secs(30 * 60);

/// The result of cleaning one spec.
pub(super) enum Outcome {
    /// There was nothing to remove.
    Nothing,
    /// Nothing was removed: the spec failed, was canceled or has a branch that no base has, and neither its
    /// id nor `--all` was given.
    Unlanded,
    /// Nothing was removed: `boi open` has the worktree open.
    Open,
    /// These leftovers were removed; in a dry run: they would be removed.
    Removed(Removed),
    /// Nothing was removed: the spec was retried after it was chosen, and now has this status.
    Revived(SpecStatus),
    /// At least one leftover was not removed, for this reason.
    Refused(String),
}

/// The leftovers of a spec that were removed; in a dry run, those that would be removed.
pub(super) struct Removed {
    pub(super) worktree: bool,
    /// Whether the queue names a worktree that does not exist.
    pub(super) worktree_was_missing: bool,
    pub(super) attempts: bool,
    pub(super) branch: bool,
    /// Whether the spec completed and a base contains its changes.
    pub(super) merged: bool,
    /// The refs under which work of the worktree that is on no branch is kept.
    pub(super) kept: Vec<String>,
    /// A spec that starts from the branch; because of it, the branch was not removed.
    pub(super) branch_needed_by: Option<SpecId>,
}

/// Returns the ended specs that may have leftovers, the newest first: those with a folder or with a branch.
/// Neither a file nor a repository is inspected for each spec, because the queue may have very many.
pub(super) fn candidates(home: &Home, queue: &dyn Queue) -> Result<Vec<SpecId>, CliError> {
    let survey = queue.survey()?;
    let mut ids: BTreeSet<SpecId> = survey.worktrees.into_iter().map(|(id, _)| id).collect();
    for parent in [home.attempts(), home.worktrees().to_owned()] {
        for path in files::list_folder(&parent).unwrap_or_default() {
            ids.extend(path.file_name().and_then(|name| name.to_str()?.parse().ok()));
        }
    }
    for repo in &survey.repositories {
        // No branch of a repository that cannot be read can be deleted.
        ids.extend(git::spec_ids_in_refs(Path::new(repo)).unwrap_or_default());
    }
    let known = queue.statuses(&ids.into_iter().collect::<Vec<_>>())?;
    Ok(known.into_iter().filter(|(_, status)| status.is_ended()).map(|(id, _)| id).collect())
}

/// Removes the leftovers of a spec. Reads the spec's status again, because the spec may have been retried
/// since it was chosen.
pub(super) fn clean(home: &Home, queue: &dyn Queue, id: &SpecId, args: &Clean) -> Result<Outcome, CliError> {
    if queue.statuses(std::slice::from_ref(id))?.is_empty() {
        // The daemon has removed the spec, with its leftovers, since it was chosen.
        return Ok(Outcome::Nothing);
    }
    let mut leftovers = Leftovers::find(home, queue, id)?;
    if leftovers.is_nothing() {
        return Ok(Outcome::Nothing);
    }
    if args.ids.is_empty() && !args.all && !leftovers.has_nothing_to_land {
        return Ok(Outcome::Unlanded);
    }
    if leftovers.has_links(home, id) {
        let status = read_spec(queue, id)?.status;
        if !status.is_ended() {
            return Ok(Outcome::Revived(status));
        }
        if args.dry_run {
            return Ok(Outcome::Removed(leftovers.links_as_removed()));
        }
        if let Err(error) = leftovers.remove_links(home, id) {
            return Ok(Outcome::Refused(format!(
                "cannot remove a link that a command put in a folder's place: {error}"
            )));
        }
    }
    // While this lock is held, no worker runs git in the worktree or creates it again.
    let lock = match &leftovers.worktree {
        Some(worktree) if leftovers.folder_exists || leftovers.attempts_exist => match worktree.lock() {
            Ok(lock) => Some(lock),
            Err(error) => return Ok(Outcome::Refused(error.to_string())),
        },
        _ => None,
    };
    if let Some(worktree) = &leftovers.worktree {
        worktree.watch.begin(REMOVAL_LIMIT);
    }
    let result = patience::telling(format!("git, which reads the files of {id}"), || {
        leftovers.remove_under(lock.as_ref(), home, queue, id, args)
    });
    if !leftovers.attempts_exist {
        // `Worktree::lock` created these folders.
        drop(lock);
        drop(attempt_folder::remove(&home.spec_attempts(id)));
    }
    result
}

/// The leftovers of an ended spec.
struct Leftovers {
    /// The spec's worktree, which may not exist any more; `None`: the spec has no repository.
    worktree: Option<Worktree>,
    /// The path of the worktree or of the scratch directory.
    folder: PathBuf,
    folder_exists: bool,
    /// Whether a link was in the place of the worktree or scratch directory, and was removed.
    folder_was_link: bool,
    attempts_exist: bool,
    /// The head of the spec's branch, if the branch is merged into its base.
    merged_head: Option<String>,
    /// Whether the spec completed and a base contains its changes.
    is_merged: bool,
    /// Whether the spec landed, was dropped, or completed with nothing to land.
    has_nothing_to_land: bool,
}

impl Leftovers {
    fn find(home: &Home, queue: &dyn Queue, id: &SpecId) -> Result<Leftovers, CliError> {
        let view = read_spec(queue, id)?;
        let folder = home.worktree(id, view.worktree.as_deref());
        let repo = match queue.spec(id) {
            Ok(spec) => {
                let bases = unlanded::bases(queue, &spec)?;
                spec.repo.map(|repo| (repo.path, bases))
            }
            // The base of the spec's branch is not known, so the branch is kept.
            Err(QueueError::Unreadable { .. }) => view.repo.map(|path| (PathBuf::from(path), Vec::new())),
            Err(error) => return Err(error.into()),
        };
        let (worktree, merged_head, merge_state) = match repo {
            None => (None, None, MergeState::NotMerged),
            Some((repo, bases)) => {
                // Only a completed spec counts as merged: the base may contain a part of the changes of any
                // other spec.
                let origin = view.base_commit.as_deref().filter(|_| view.status == SpecStatus::Completed);
                let merge_state = git::merge_state(&repo, id, &bases, origin);
                let is_merged = merge_state != MergeState::NotMerged;
                let merged_head = git::branch_head(&repo, id).ok().flatten().filter(|_| is_merged);
                let scratch = home.spec_attempts(id).join("git");
                let worktree = Worktree::of_user(repo, folder.clone(), id.clone(), scratch);
                (Some(worktree), merged_head, merge_state)
            }
        };
        let (folder_exists, attempts_exist) = (exists(&folder), exists(&home.spec_attempts(id)));
        let is_merged = merge_state == MergeState::Merged;
        let has_nothing_to_land = match view.status {
            SpecStatus::Dropped => true,
            SpecStatus::Completed => {
                worktree.is_none() || view.delivery == Some(Delivery::Merged) || merge_state != MergeState::NotMerged
            }
            _ => false,
        };
        Ok(Leftovers {
            worktree,
            folder,
            folder_exists,
            folder_was_link: false,
            attempts_exist,
            merged_head,
            is_merged,
            has_nothing_to_land,
        })
    }

    fn is_nothing(&self) -> bool {
        !self.folder_exists && !self.attempts_exist && self.merged_head.is_none()
    }

    /// Returns whether a command put something else in the place of the folder of the spec's attempts, or a
    /// link in the place of its worktree.
    fn has_links(&self, home: &Home, id: &SpecId) -> bool {
        self.folder.is_symlink()
            || self.attempts_exist
                && attempt_folder::open(&home.spec_attempts(id)).is_err_and(|error| is_damaged(&error))
    }

    fn links_as_removed(&self) -> Removed {
        Removed {
            worktree: self.folder_exists,
            worktree_was_missing: false,
            attempts: self.attempts_exist,
            branch: false,
            merged: false,
            kept: Vec::new(),
            branch_needed_by: None,
        }
    }

    /// Removes the links that [`Leftovers::has_links`] found, and nothing that they point to.
    fn remove_links(&mut self, home: &Home, id: &SpecId) -> std::io::Result<()> {
        if self.folder.is_symlink() {
            std::fs::remove_file(&self.folder)?;
            (self.folder_exists, self.folder_was_link) = (false, true);
        }
        match attempt_folder::open(&home.spec_attempts(id)) {
            Err(error) if is_damaged(&error) => attempt_folder::remove(&home.spec_attempts(id)),
            _ => Ok(()),
        }
    }

    fn remove_under(
        &self,
        lock: Option<&LockedWorktree>,
        home: &Home,
        queue: &dyn Queue,
        id: &SpecId,
        args: &Clean,
    ) -> Result<Outcome, CliError> {
        let view = read_spec(queue, id)?;
        if !view.status.is_ended() {
            return Ok(Outcome::Revived(view.status));
        }
        if open_lock::is_held(home, id) {
            return match args.ids.is_empty() {
                true => Ok(Outcome::Open),
                false => {
                    Ok(Outcome::Refused("its worktree is open in a `boi open`; end that shell or agent first".into()))
                }
            };
        }
        if let Some(command) = running_command(home, id)? {
            let reason =
                format!("a command of the spec still runs: its supervisor holds the lock in {}", command.display());
            return Ok(Outcome::Refused(reason));
        }
        // boi deletes only branches that it created. Before it creates a branch, it records the spec's
        // worktree in the queue.
        let merged_head = self.merged_head.as_ref().filter(|_| view.branch.is_some() || view.worktree.is_some());
        let branch_needed_by = if merged_head.is_some() { open_spec_based_on(queue, id)? } else { None };
        let merged_head = merged_head.filter(|_| branch_needed_by.is_none());
        let removed = Removed {
            worktree: self.folder_exists || self.folder_was_link,
            worktree_was_missing: view.worktree.is_some() && !self.folder_exists,
            attempts: self.attempts_exist,
            branch: merged_head.is_some(),
            merged: self.is_merged,
            kept: Vec::new(),
            branch_needed_by,
        };
        if !removed.worktree && !removed.attempts && !removed.branch && removed.branch_needed_by.is_none() {
            return Ok(Outcome::Nothing);
        }
        if self.folder_exists
            && let Err(reason) = self.check_removal(lock, id, args)
        {
            return Ok(Outcome::Refused(reason));
        }
        if args.dry_run {
            return Ok(Outcome::Removed(removed));
        }
        let kept = match self.remove_folder_and_branch(lock, merged_head, id, args) {
            Ok(kept) => kept,
            Err(reason) => return Ok(Outcome::Refused(reason)),
        };
        if self.attempts_exist {
            let view = read_spec(queue, id)?;
            if !view.status.is_ended() {
                return Ok(Outcome::Removed(Removed { attempts: false, kept, ..removed }));
            }
            if let Err(reason) = remove_attempts(home, id, view.attempt) {
                return Ok(Outcome::Refused(reason));
            }
        }
        Ok(Outcome::Removed(Removed { kept, ..removed }))
    }

    /// Fails if removing the folder would lose work and the arguments do not allow that.
    fn check_removal(&self, lock: Option<&LockedWorktree>, id: &SpecId, args: &Clean) -> Result<(), String> {
        match lock {
            Some(lock) => match git::check_removal(lock) {
                Err(RemoveError::Refused(RemovalRefusal::RepositoryUnreachable { .. })) if args.unreachable => Ok(()),
                checked => checked.map_err(|error| with_advice(&error, id)),
            },
            None if args.scratch || is_empty(&self.folder) => Ok(()),
            None => Err(format!(
                "the scratch directory {} contains files that exist nowhere else; `boi clean --scratch {id}` deletes them",
                self.folder.display()
            )),
        }
    }

    /// Removes the folder and the branch; returns the refs under which unique work of the folder is kept.
    fn remove_folder_and_branch(
        &self,
        lock: Option<&LockedWorktree>,
        merged_head: Option<&String>,
        id: &SpecId,
        args: &Clean,
    ) -> Result<Vec<String>, String> {
        let path = &self.folder;
        let cannot_remove = |error: std::io::Error| format!("cannot remove {}: {error}", path.display());
        let mut kept = Vec::new();
        match lock {
            Some(lock) => match git::remove_worktree(lock, "leftover") {
                Ok(refs) => kept = refs,
                Err(RemoveError::Refused(RemovalRefusal::RepositoryUnreachable { .. })) if args.unreachable => {
                    git::discard_worktree(lock).map_err(|error| error.to_string())?;
                }
                Err(error) => return Err(with_advice(&error, id)),
            },
            None if self.folder_exists && args.scratch => untrusted::remove(path).map_err(cannot_remove)?,
            None if self.folder_exists => std::fs::remove_dir(path).map_err(cannot_remove)?,
            None => {}
        }
        if let (Some(head), Some(worktree)) = (merged_head, &self.worktree) {
            git::delete_branch(&worktree.repo, id, head).map_err(|error| error.to_string())?;
        }
        Ok(kept)
    }
}

/// Returns whether anything exists at `path`. A link counts even if its target does not exist.
fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none())
}

fn read_spec(queue: &dyn Queue, id: &SpecId) -> Result<SpecView, CliError> {
    let listing = queue.list(&Filter { ids: vec![id.clone()], ..Filter::default() })?;
    listing.specs.into_iter().next().ok_or_else(|| QueueError::NotFound(id.clone()).into())
}

fn with_advice(error: &RemoveError, id: &SpecId) -> String {
    match error {
        RemoveError::Refused(RemovalRefusal::RepositoryUnreachable { .. }) => format!(
            "{error}, and the worktree may contain work that exists nowhere else; move the repository back to its path, or \
             delete the worktree with `boi clean --unreachable {id}`"
        ),
        RemoveError::Refused(RemovalRefusal::NotAWorktree { .. }) => {
            format!("{error}; `boi retry {id}` repairs a worktree without its .git file; or remove the folder by hand")
        }
        _ => error.to_string(),
    }
}

/// Returns the folder of a command of the spec that still runs. Until a command ends, its supervisor holds
/// the lock in the command's folder.
fn running_command(home: &Home, id: &SpecId) -> Result<Option<PathBuf>, CliError> {
    for command in attempt_folder::commands(&home.spec_attempts(id))? {
        if CommandDir::at(command.clone()).is_locked()? {
            return Ok(Some(command));
        }
    }
    Ok(None)
}

/// Removes the attempt folders up to number `last`. A folder with a higher number belongs to a worker that
/// started after the cleaning began.
fn remove_attempts(home: &Home, id: &SpecId, last: u32) -> Result<(), String> {
    let folder = home.spec_attempts(id);
    let cannot_remove = |error: std::io::Error| format!("cannot remove {}: {error}", folder.display());
    let opened = match attempt_folder::open(&folder) {
        // The link that was in its place is removed already.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        opened => opened.map_err(cannot_remove)?,
    };
    for name in opened.names().map_err(cannot_remove)? {
        let number = name.to_str().and_then(|name| name.parse::<u32>().ok());
        if number.is_none_or(|number| number <= last) {
            opened.remove(&name).map_err(cannot_remove)?;
        }
    }
    match std::fs::remove_dir(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::DirectoryNotEmpty => Err(cannot_remove(error)),
        _ => Ok(()),
    }
}

/// Returns a spec that has not ended and starts from the branch of `id`. Of the specs that wait for `id`, one
/// that cannot be read is assumed to start from that branch.
fn open_spec_based_on(queue: &dyn Queue, id: &SpecId) -> Result<Option<SpecId>, CliError> {
    for spec in queue.waiting_for(id)? {
        let needs_branch = match queue.spec(&spec) {
            Ok(spec) => spec.repo.is_some_and(|repo| repo.base == Base::Spec(id.clone())),
            Err(QueueError::Unreadable { .. }) => true,
            Err(error) => return Err(error.into()),
        };
        if needs_branch {
            return Ok(Some(spec));
        }
    }
    Ok(None)
}
