//! Runs git: each spec gets a branch and a worktree of its own in the user's repository.
//!
//! All functions block. Functions that write for a worktree take a [`LockedWorktree`]. Only `delivery` uses the
//! modules that are `pub(crate)`; other rooms use the items that are exported below.
//!
//! The files, the most basic first. A file may use only files that are listed before it:
//!
//! | file | what it is for |
//! | --- | --- |
//! | `git_error` | the errors, and whether a retry can help |
//! | `small_file` | reads and writes the small files by which git links worktrees and repositories |
//! | `watch` | bounds the git processes of a worker, and tells which one runs |
//! | `place` | where git works: the git directory, the common directory, the working tree |
//! | `program` | runs the git program |
//! | `shell_words` | quotes arguments of commands that are printed |
//! | `ref_names` | names of the refs that boi creates |
//! | `locks` | file locks, and the lock of a repository |
//! | `sparse` | the sparse checkout that a worktree inherits from the user's working tree |
//! | `entry` | a worktree's entry: its administrative directory `<git directory>/worktrees/<NAME>` |
//! | `repository` | finds repositories, and detects that a worktree's repository was replaced by another one |
//! | `ref_files` | reads refs from git's files, without running git |
//! | `own_refs` | writes and deletes refs of boi in git's files, without running git |
//! | `loose_object` | reads commits from git's files, without running git |
//! | `revision` | resolves names to commits, compares commits |
//! | `repository_file` | reads a small file of a commit, such as the repository's own configuration |
//! | `operation` | merges, rebases and the like in progress in a checkout |
//! | `worktree` | a spec's worktree and its lock |
//! | `sync` | syncs a worktree to the disk |
//! | `copy_record` | the record of the paths of a worktree that boi does not commit |
//! | `copied` | copies ignored files of the user's checkout into a new worktree |
//! | `withheld` | finds commits that contain such paths, and makes trees without them |
//! | `checkout` | finds the working tree that is on a branch |
//! | `identity` | tells whether the user has configured an identity for commits, without running git |
//! | `refs` | creates, moves and deletes the spec's branch and kept refs |
//! | `index_summary` | reads from an index which tree it contains, without running git |
//! | `lfs` | records which files are pointers, because Git LFS lacks their objects |
//! | `index` | reads a worktree's files into a git tree |
//! | `set_aside` | renames and keeps a worktree's folder if git cannot store its files |
//! | `submodule_source` | finds the submodules of a commit, and the user's clone of each |
//! | `submodule_record` | the record of a worktree's submodules, and the repositories that boi makes for them |
//! | `submodule_state` | finds out what a command changed in a submodule, and keeps it |
//! | `submodules` | writes the files of a worktree's submodules, and refuses changes in them |
//! | `branch` | moves the spec's branch, and HEAD back to it |
//! | `file_times` | tells whether a file of a small folder was written |
//! | `reset_files` | makes a worktree's files equal to a commit |
//! | `capture` | commits the worktree's files after a try, as the candidate |
//! | `dropped` | moves the branch of a dropped spec to a kept ref, and back |
//! | `branch_repair` | repairs a branch that a power loss damaged |
//! | `merged` | finds out whether a base has the changes of a spec's branch |
//! | `protected` | finds the protected files that a try changed |
//! | `own_changes` | finds the changes of a spec's branch alone, and shows them to the user |
//! | `create` | creates a worktree, or completes a creation that was killed |
//! | `overwrite` | makes a lander's worktree equal to a commit, without keeping what is in it |
//! | `shared_files` | reads refs, stash, reflogs and worktrees from git's files, without running git |
//! | `shared_state` | reads the part of a repository that specs share with their user: refs, stash, configuration |
//! | `shared_snapshot` | the snapshot of that part before a command |
//! | `warm` | keeps folders such as build caches for the next worktree |
//! | `remove` | removes a worktree |
//! | `index_file` | the file format of git's index |
//! | `delivery_outcome` | the result of a step of a delivery |
//! | `delivery_journal` | the record of what a delivery changes in a checkout, written before the first change |
//! | `delivery_moves` | makes and undoes these changes |
//! | `delivery_plan` | plans how a checkout's files change from one commit to another |
//! | `delivery_recovery` | completes or undoes a delivery that was interrupted |
//! | `checkout_update` | moves a checkout together with its branch, or changes nothing |
//! | `deliver` | merges a base into a spec's branch, and moves the base forward to the branch |
//! | `shared_config` | compares configuration files, and tells whether a change is still in effect |
//! | `shared_changes` | compares the shared part with the snapshot, and keeps lost objects |
//! | `undone` | finds files of earlier tasks that a later task deleted or reverted |
//! | `power_loss` | repairs everything that a power loss can damage |
//! | `inspect` | checks whether boi can work in a user's repository, before a spec is queued |
//! | `diff_stat` | reads what branches change, for `boi report` |
//! | `survey` | lists boi's refs, worktrees and lock files in a repository, for `boi doctor` |
//!
//! Invariants:
//! - The user's checkouts, index, stash, configuration and other branches are never changed. The one exception
//!   is in `delivery`. What this room adds to a repository is `refs/heads/boi/<SPEC>`, `refs/boi/*` and one
//!   entry per worktree.
//! - Each git process that works for a worktree is told its git directory, common directory and working tree. No
//!   configuration and no file of an agent can make it work elsewhere.
//! - Nothing is fetched: a clone that lacks objects is used as it is.
//! - No git process runs without a time limit, and an order ends it together with its descendants.
//! - What a command did to the shared part of the repository is never undone: see `shared_changes`.
//! - No work is deleted: files and commits that no branch contains are saved under `refs/boi/kept/<SPEC>/` before they
//!   are removed from a worktree. Files that git cannot store stay in a folder beside the worktree's path.
//! - Every operation may be killed at any point; calling it again completes it.
//! - There are two locks, always acquired in this order: the worktree's lock, then the repository's lock.
//!   While the worktree's lock is held, no other git process of boi writes for that worktree. The
//!   repository's lock is for changes to `worktrees/`. It is a lock on the git directory itself, so that boi
//!   creates no lock file there.

mod branch;
mod branch_repair;
mod capture;
pub(crate) mod checkout;
mod copied;
mod copy_record;
mod create;
mod diff_stat;
mod dropped;
pub(crate) mod entry;
mod file_times;
mod git_error;
mod identity;
mod index;
mod index_summary;
mod inspect;
mod lfs;
pub(crate) mod locks;
mod loose_object;
mod merged;
pub(crate) mod operation;
mod overwrite;
mod own_changes;
mod own_refs;
mod place;
mod power_loss;
pub(crate) mod program;
mod protected;
mod ref_files;
pub(crate) mod ref_names;
pub(crate) mod refs;
mod remove;
pub(crate) mod repository;
mod repository_file;
mod reset_files;
pub(crate) mod revision;
mod set_aside;
mod shared_changes;
mod shared_config;
mod shared_files;
mod shared_snapshot;
mod shared_state;
mod shell_words;
mod small_file;
mod sparse;
mod submodule_record;
mod submodule_source;
mod submodule_state;
mod submodules;
mod survey;
mod sync;
#[cfg(test)]
pub(crate) mod tests;
mod undone;
mod warm;
mod watch;
mod withheld;
mod worktree;

pub(crate) use self::branch::{advance_branch, reset_branch, withhold_branch};
#[cfg(test)]
pub(crate) use self::capture::capture;
pub(crate) use self::capture::capture_merge;
pub(crate) use self::copied::{copy_files, files_to_copy, prepare_copying};
pub(crate) use self::copy_record::{has_copy_record, read_copied};
pub(crate) use self::create::create_worktree;
pub(crate) use self::diff_stat::{commits_since, diff_stats, patch};
pub(crate) use self::dropped::{
    Restored, dropped_ref, forget_dropped, keep_dropped, refuse_foreign_checkout, restore_dropped,
};
pub(crate) use self::file_times::{CheckedFiles, read_file_times};
pub(crate) use self::git_error::{GitError, Severity};
pub(crate) use self::inspect::{RepositoryRefusal, has_uncommitted_changes, inspect_repository, same_repository};
pub(crate) use self::lfs::pointers;
pub(crate) use self::merged::{MergeState, has_changes, local_branches, merge_state};
pub(crate) use self::overwrite::{delete_kept, overwrite_worktree};
pub(crate) use self::own_changes::{
    ChangedFile, become_diff, changed_files, contains, find_commit, start_of_own_changes,
};
pub(crate) use self::place::Place;
pub(crate) use self::power_loss::{Repairs, repair_after_power_loss};
pub(crate) use self::program::git_version;
pub(crate) use self::protected::changed_protected_files;
pub(crate) use self::refs::{branch_head, delete_branch, kept_refs_of};
pub(crate) use self::remove::{
    RemovalRefusal, RemoveError, check_removal, discard_worktree, remove_checked_worktree, remove_worktree,
};
pub(crate) use self::repository_file::{RepositoryFile, identity_of, read_repository_file};
pub(crate) use self::reset_files::{Reset, reset_checked_to_commit, reset_to_commit};
pub(crate) use self::revision::{is_local_branch, resolve_base};
pub(crate) use self::set_aside::SET_ASIDE;
pub(crate) use self::shared_changes::{SharedChanges, compare_with_snapshot, confirm_comparison};
pub(crate) use self::shared_config::{is_called_bare, present_state, repository_id, still_differs};
pub(crate) use self::shared_snapshot::{delete_snapshot, take_snapshot};
pub(crate) use self::submodules::{follow_merge, left_empty};
pub(crate) use self::survey::{entries_without_folder, lock_files, own_refs, spec_ids_in_refs};
pub(crate) use self::sync::sync_worktree;
pub(crate) use self::undone::undone_files;
pub(crate) use self::warm::{WARM, restore_kept_folders, warm_folder};
pub(crate) use self::watch::GitWatch;
pub(crate) use self::worktree::{LockedWorktree, Worktree};
