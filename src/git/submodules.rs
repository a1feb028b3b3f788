//! The submodules of a worktree: their files come out of the user's own clone, offline, and no change in them is committed.
//!
//! ```text
//! [`keep`]: keep what commands changed ─▶ git writes the files of the worktree ─▶ [`lay`]: write those of the submodules
//! ```
//!
//! A submodule that the user's clone does not have stays an empty folder, as git leaves it. Which ones these are is
//! recorded: see [`left_empty`].

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::git_error::GitError;
use super::place::Place;
use super::program::Git;
use super::submodule_record::{self, Submodule};
use super::submodule_source::{self, Gitlink, Parent, Source, is_real_folder};
use super::submodule_state::{self, Keeper, State};
use super::worktree::LockedWorktree;
use super::{entry, index_summary, refs, revision};
use crate::system::untrusted;

/// How deep submodules may be nested. A deeper one stays an empty folder.
const MAX_DEPTH: usize = 10;

/// The result of [`keep`].
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// The submodules that [`lay`] must write again.
    pub(super) outdated: BTreeSet<PathBuf>,
    /// A description of each changed submodule.
    pub(super) changes: Vec<String>,
    /// The folders beside the worktree with submodules that hold work of their own.
    pub(super) aside: Vec<String>,
}

/// What happens with the changes in submodules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Changed<'a> {
    /// They are kept with this label.
    Keep(&'a str),
    /// They are deleted.
    Discard,
}

/// Returns the submodules of the worktree whose folders boi left empty, each with the reason.
pub(crate) fn left_empty(worktree: &LockedWorktree) -> Vec<(PathBuf, String)> {
    let submodules = submodule_record::read(worktree.scratch()).into_iter();
    submodules.filter_map(|submodule| Some((submodule.path, submodule.source.err()?))).collect()
}

/// Whether the worktree may have submodules.
pub(super) fn has_any(worktree: &LockedWorktree) -> bool {
    !submodule_record::read(worktree.scratch()).is_empty()
}

/// Keeps or discards what commands changed in submodules. Afterwards git finds the recorded commit in each of them. With
/// `target`, a commit that the worktree is about to get, submodules that it records at another commit become outdated,
/// and those that it does not have are deleted. [`lay`] writes the outdated ones.
pub(super) fn keep(
    worktree: &LockedWorktree,
    at: &Place,
    target: Option<&str>,
    changed: Changed<'_>,
) -> Result<Kept, GitError> {
    let mut submodules = submodule_record::read(worktree.scratch());
    if submodules.is_empty() {
        return Ok(Kept::default());
    }
    let links = target.map(|target| submodule_source::gitlinks(at, target)).transpose()?;
    // The innermost first: a submodule is moved away together with what is in it.
    submodules.sort_by_key(|submodule| std::cmp::Reverse(submodule.path.components().count()));
    let mut kept = Kept::default();
    let mut keeper = Keeper::new(worktree, if let Changed::Keep(label) = changed { label } else { "" });
    let is_inner = |submodule: &Submodule| submodules.iter().any(|other| submodule.is_below(&other.path));
    let commit_in_target = |path: &Path, recorded: &str| match &links {
        Some(links) => links.iter().find(|link| link.path == path).map(|link| link.commit.clone()),
        None => Some(recorded.to_owned()),
    };
    let stays = |submodule: &Submodule| {
        let around = submodules.iter().filter(|outer| submodule.path.starts_with(&outer.path));
        let outermost = around.min_by_key(|outer| outer.path.components().count()).unwrap_or(submodule);
        commit_in_target(&outermost.path, &outermost.commit).as_ref() == Some(&outermost.commit)
    };
    for submodule in &submodules {
        let state = submodule_state::of(worktree, submodule)?;
        match &state {
            State::Intact | State::Unlinked => {}
            State::Gone if is_inner(submodule) && !is_outer_gone(worktree, &submodules, submodule) => {
                kept.changes.push(format!("{:?} (its folder was removed)", submodule.path));
                // Git makes the folder when it writes the files around it.
                let outer = submodules.iter().filter(|outer| submodule.is_below(&outer.path));
                kept.outdated.extend(outer.map(|outer| outer.path.clone()));
            }
            State::Gone => {}
            State::Changed(changes) => {
                kept.changes.push(changes.describe(submodule));
                if changed != Changed::Discard {
                    keeper.keep(submodule, changes)?;
                }
            }
        }
        if state == State::Intact && stays(submodule) && !kept.outdated.contains(&submodule.path) {
            continue;
        }
        if matches!(state, State::Intact | State::Unlinked)
            && changed != Changed::Discard
            && submodule_state::has_own_work(worktree, submodule)
        {
            keeper.move_away(submodule)?;
        }
        kept.outdated.insert(submodule.path.clone());
        let folder = submodule.folder(worktree);
        if state != State::Gone {
            entry::remove_any(&folder.join(".git"))?;
        }
        if !is_inner(submodule)
            && commit_in_target(&submodule.path, &submodule.commit).is_none()
            && state != State::Gone
        {
            untrusted::remove(&folder).map_err(GitError::io("cannot remove", &folder))?;
        }
    }
    kept.aside = keeper.folders();
    Ok(kept)
}

/// Keeps what commands did in submodules, before the worktree is removed. Returns the folders beside the worktree with
/// submodules that hold work of their own.
pub(super) fn keep_before_removal(worktree: &LockedWorktree, at: &Place, label: &str) -> Result<Vec<String>, GitError> {
    let mut submodules = submodule_record::read(worktree.scratch());
    submodules.sort_by_key(|submodule| std::cmp::Reverse(submodule.path.components().count()));
    let mut keeper = Keeper::new(worktree, label);
    for submodule in &submodules {
        match submodule_state::of(worktree, submodule)? {
            State::Changed(changes) => drop(keeper.keep(submodule, &changes)?),
            State::Intact | State::Unlinked if submodule_state::has_own_work(worktree, submodule) => {
                keeper.move_away(submodule)?;
            }
            State::Intact | State::Unlinked => {}
            State::Gone => continue,
        }
        // Git would find the commit that a command checked out, and take the link for changed.
        entry::remove_any(&submodule.folder(worktree).join(".git"))?;
    }
    keeper.keep_moved(&at.git_dir)?;
    Ok(keeper.folders())
}

fn is_outer_gone(worktree: &LockedWorktree, submodules: &[Submodule], inner: &Submodule) -> bool {
    let outer = submodules.iter().filter(|outer| inner.is_below(&outer.path));
    outer.into_iter().any(|outer| !is_real_folder(worktree.path(), &outer.path))
}

/// Fails if a command changed a submodule. Before that, the changes are kept, and the submodules are put back.
pub(super) fn refuse_changes(worktree: &LockedWorktree, at: &Place, label: &str) -> Result<(), GitError> {
    let Kept { outdated, changes, aside } = keep(worktree, at, None, Changed::Keep(label))?;
    put_back(worktree, &outdated)?;
    if changes.is_empty() {
        return Ok(());
    }
    let mut kept = refs::kept_refs_with_label(&worktree.repository()?, worktree.spec(), label)?;
    kept.extend(aside);
    Err(GitError::SubmodulesChanged { changes, kept })
}

/// Writes the files of the recorded submodules again that are `outdated` or not at their commits, the outermost first. A
/// submodule whose folder a command removed is left out: that is a change of the repository around it.
pub(super) fn put_back(worktree: &LockedWorktree, outdated: &BTreeSet<PathBuf>) -> Result<(), GitError> {
    let mut submodules = submodule_record::read(worktree.scratch());
    submodules.sort_by_key(|submodule| submodule.path.components().count());
    for submodule in submodules.iter().filter(|submodule| is_real_folder(worktree.path(), &submodule.path)) {
        match &submodule.source {
            Ok(source) if outdated.contains(&submodule.path) || !is_at_commit(worktree, submodule) => {
                drop(write_files(worktree, submodule, &Source { common_dir: source.clone() })?);
            }
            Ok(_) => {}
            Err(_) => make_empty(&submodule.folder(worktree))?,
        }
    }
    Ok(())
}

fn make_empty(folder: &Path) -> Result<(), GitError> {
    if fs::read_dir(folder).is_ok_and(|mut names| names.next().is_none()) {
        return Ok(());
    }
    untrusted::remove(folder).map_err(GitError::io("cannot remove", folder))?;
    fs::create_dir(folder).map_err(GitError::io("cannot create", folder))
}

/// Writes the files of the submodules that `commit` records, and the submodules in these, unless they are there already
/// and not `outdated`. The worktree's own files must be those of `commit`; `index` is an index with them. A submodule
/// whose folder git did not make, for example because the checkout is sparse, is left out.
pub(super) fn lay(
    worktree: &LockedWorktree,
    at: &Place,
    commit: &str,
    index: &Path,
    outdated: &BTreeSet<PathBuf>,
) -> Result<(), GitError> {
    let old = submodule_record::read(worktree.scratch());
    if old.is_empty() && index_summary::read(index, commit.len()).is_some_and(|index| !index.has_gitlinks) {
        return Ok(());
    }
    let mut layer = Layer { worktree, old, new: Vec::new(), outdated };
    let parent = Parent::new(worktree.users_place()?);
    layer.lay(at, &parent, commit, Path::new(""), 0)?;
    let Layer { old, new, .. } = layer;
    for submodule in old.iter().filter(|old| !new.iter().any(|new| new.path == old.path)) {
        entry::remove_any(&submodule.own_repository(worktree))?;
    }
    submodule_record::write(worktree.scratch(), &new)
}

struct Layer<'a> {
    worktree: &'a LockedWorktree,
    old: Vec<Submodule>,
    new: Vec<Submodule>,
    outdated: &'a BTreeSet<PathBuf>,
}

impl Layer<'_> {
    /// Writes the submodules of the commit that the repository at `at` contains; its folder in the worktree is `prefix`.
    fn lay(&mut self, at: &Place, parent: &Parent, commit: &str, prefix: &Path, depth: usize) -> Result<(), GitError> {
        let links = submodule_source::gitlinks(at, commit)?;
        if links.is_empty() {
            return Ok(());
        }
        let known = parent.known(at, commit)?;
        for link in links {
            let path = prefix.join(&link.path);
            if !is_real_folder(self.worktree.path(), &path) {
                continue;
            }
            let found = self.old.iter().find(|old| old.path == path && old.commit == link.commit && old.source.is_ok());
            let is_outdated = self.outdated.contains(&path);
            let existing = found.filter(|found| !is_outdated && is_at_commit(self.worktree, found));
            let existing = existing.and_then(|existing| existing.source.clone().ok());
            let source = match existing {
                Some(common_dir) => Ok((Source { common_dir }, true)),
                None if depth >= MAX_DEPTH => Err("it is nested too deeply".to_owned()),
                None => parent.source(&known, &link)?.map(|source| (source, false)),
            };
            self.lay_one(parent, &link, path, source, depth)?;
        }
        Ok(())
    }

    fn lay_one(
        &mut self,
        parent: &Parent,
        link: &Gitlink,
        path: PathBuf,
        source: Result<(Source, bool), String>,
        depth: usize,
    ) -> Result<(), GitError> {
        let recorded = source.as_ref().map(|(source, _)| source.common_dir.clone()).map_err(Clone::clone);
        self.new.push(Submodule { path: path.clone(), commit: link.commit.clone(), source: recorded });
        let last = self.new.len() - 1;
        let Ok((source, exists)) = source else { return make_empty(&self.new[last].folder(self.worktree)) };
        if !exists {
            // The record is written first, so that a creation that was killed is noticed.
            let mut all = self.new.clone();
            all.extend(self.old.iter().filter(|old| !self.new.iter().any(|new| new.path == old.path)).cloned());
            submodule_record::write(self.worktree.scratch(), &all)?;
            if let Err(why) = write_files(self.worktree, &self.new[last], &source)? {
                self.new[last].source = Err(why);
                return Ok(());
            }
        }
        let at = self.new[last].place(self.worktree);
        self.lay(&at, &parent.inner(&link.path, &source), &link.commit, &path, depth + 1)
    }
}

/// Whether the repository of a submodule in the worktree is at the recorded commit.
fn is_at_commit(worktree: &LockedWorktree, submodule: &Submodule) -> bool {
    let folder = submodule.folder(worktree);
    let git_dir = folder.join(".git");
    let is_folder = fs::symlink_metadata(&git_dir).is_ok_and(|found| found.is_dir());
    let at = Place { work_tree: folder, ..Place::of_repository(&git_dir, worktree.watch()) };
    is_folder && revision::commit_of(&at, "HEAD").is_ok_and(|head| head.as_deref() == Some(&submodule.commit))
}

/// Writes the files of a submodule, and its repositories. Deletes files that its commit does not have, except those that
/// git ignores. `Err`: the user's clone lacks objects; then the folder is empty.
fn write_files(
    worktree: &LockedWorktree,
    submodule: &Submodule,
    source: &Source,
) -> Result<Result<(), String>, GitError> {
    let (at, folder) = (submodule.place(worktree), submodule.folder(worktree));
    entry::remove_any(&folder.join(".git"))?;
    // The index of the files that are there now tells git which of them to delete.
    let index = at.git_dir.join("index");
    let is_empty = fs::read_dir(&folder).is_ok_and(|mut names| names.next().is_none());
    let old = if is_empty { None } else { fs::read(&index).ok() };
    let packed_refs = source.packed_refs(&at)?;
    submodule_record::write_repository(&at.git_dir, source, &submodule.commit, b"")?;
    if let Some(old) = old {
        fs::write(&index, old).map_err(GitError::io("cannot write", &index))?;
    }
    let git = || Ok::<Git, GitError>(Git::writing(&at, worktree.lock_file())?.own_tree(None));
    let written = git()?.running_filters().args(["read-tree", "--reset", "-u", &submodule.commit]).output()?;
    if written.code != Some(0) {
        if !written.stderr.contains("unable to read") && !written.stderr.contains("missing blob") {
            return Err(written.into_error());
        }
        make_empty(&folder)?;
        return Ok(Err(format!("{} lacks objects: {}", source.common_dir.display(), written.stderr)));
    }
    git()?.args(["clean", "-f", "-d", "-q"]).run()?;
    let git_dir = folder.join(".git");
    submodule_record::write_repository(&git_dir, source, &submodule.commit, &packed_refs)?;
    if folder.join(".gitmodules").is_file() {
        let names = submodule_source::names(&at, &submodule.commit)?;
        submodule_record::activate(&git_dir, names.values())?;
    }
    submodule_record::copy_index(&index, &git_dir.join("index"))?;
    Ok(Ok(()))
}

/// Deletes boi's own repositories and the record of the submodules of a worktree that was removed.
pub(super) fn forget(worktree: &LockedWorktree) -> Result<(), GitError> {
    for submodule in submodule_record::read(worktree.scratch()) {
        entry::remove_any(&submodule.own_repository(worktree))?;
    }
    if has_any(worktree) { submodule_record::write(worktree.scratch(), &[]) } else { Ok(()) }
}

/// Returns the repositories of the submodules in the worktree, after deleting boi's own ones, which a power loss may
/// have damaged and which boi writes again.
pub(super) fn repositories_after_power_loss(worktree: &LockedWorktree) -> Result<Vec<PathBuf>, GitError> {
    let submodules = submodule_record::read(worktree.scratch());
    for submodule in &submodules {
        entry::remove_any(&submodule.own_repository(worktree))?;
    }
    let is_real = |submodule: &&Submodule| is_real_folder(worktree.path(), &submodule.path.join(".git/objects"));
    Ok(submodules.iter().filter(is_real).map(|submodule| submodule.folder(worktree).join(".git")).collect())
}

/// Brings the submodules of a worktree to the commits that `commit` records, after git merged `commit` into its files.
pub(crate) fn follow_merge(worktree: &LockedWorktree, commit: &str, label: &str) -> Result<(), GitError> {
    let at = &worktree.place()?;
    let kept = keep(worktree, at, Some(commit), Changed::Keep(label))?;
    lay(worktree, at, commit, &at.git_dir.join("index"), &kept.outdated)
}
