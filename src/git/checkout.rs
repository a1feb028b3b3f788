//! Finds the checkout of a branch (the user's working tree that is on the branch), and says why a delivery
//! must not change this checkout.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::git_error::GitError;
use super::place::Place;
use super::program::{self, Git};
use super::{entry, operation};
use crate::domain::delivery::MergeRefusal;

/// A working tree that is on a branch, or will return to it when the operation in progress ends.
pub(super) struct Checkout {
    pub(super) place: Place,
    /// Whether it is the main working tree, and the repository's configuration says that there is none.
    is_called_bare: bool,
}

/// Finds the working tree that is on `branch` (its short name) in the repository at `at`. A working tree whose folder
/// is missing counts only if the user locked it with `git worktree lock`, for example because its disk is not always
/// mounted.
pub(super) fn find(at: &Place, branch: &str) -> Result<Option<Checkout>, GitError> {
    let listed = Git::reading(at).args(["worktree", "list", "--porcelain"]).run()?;
    let folder = at.common_dir.join("worktrees");
    let entries: Vec<PathBuf> = fs::read_dir(folder).into_iter().flatten().flatten().map(|file| file.path()).collect();
    for (index, Listed { path, branch: on, is_bare }) in parse_worktree_list(&listed).into_iter().enumerate() {
        // Git lists the main working tree first.
        let is_main = index == 0;
        let link = entry::real_path(&path).join(".git");
        let git_dir =
            if is_main { Some(&at.common_dir) } else { entries.iter().find(|entry| entry::names_link(entry, &link)) };
        let Some(git_dir) = git_dir else { continue };
        let on = if is_main && is_bare { branch_of_main(at)? } else { on };
        if on.as_deref() != Some(branch.as_bytes()) && !operation::returns_to(git_dir, branch) {
            continue;
        }
        let work_tree = if is_main { main_working_tree(at, path)? } else { path };
        // A bare repository may have an index too, for example because a hook checks files out elsewhere.
        if is_bare && (work_tree == at.common_dir || !git_dir.join("index").exists()) {
            continue;
        }
        if work_tree.exists() || git_dir.join("locked").exists() {
            let place = Place { git_dir: git_dir.clone(), work_tree, ..at.clone() };
            return Ok(Some(Checkout { place, is_called_bare: is_bare }));
        }
    }
    Ok(None)
}

/// Returns the short name of the branch that the main working tree is on.
fn branch_of_main(at: &Place) -> Result<Option<Vec<u8>>, GitError> {
    let head = head_ref(&Place::of_repository(&at.common_dir, &at.watch))?;
    Ok(head.and_then(|head| head.strip_prefix("refs/heads/").map(|name| name.as_bytes().to_vec())))
}

/// Returns the path of the main working tree; the common directory, if the path is not known. `listed` is the path that
/// git lists for it: the git directory, if that is outside the working tree.
fn main_working_tree(at: &Place, listed: PathBuf) -> Result<PathBuf, GitError> {
    // If `.git` is a symbolic link, git may list the folder to which it leads.
    if at.git_dir == at.common_dir && at.work_tree.join(".git").exists() {
        return Ok(at.work_tree.clone());
    }
    if listed.join(".git").exists() {
        return Ok(listed);
    }
    // The place is the main working tree itself, or only the repository.
    if at.git_dir == at.common_dir && at.work_tree != at.common_dir {
        return Ok(at.work_tree.clone());
    }
    let configured = Git::reading(at).args(["config", "--get", "core.worktree"]).output()?;
    Ok(if configured.code == Some(0) { at.common_dir.join(program::path(&configured.stdout)) } else { listed })
}

/// A working tree that git lists.
struct Listed {
    path: PathBuf,
    /// The short name of the branch that is checked out there.
    branch: Option<Vec<u8>>,
    /// Whether git takes the repository for one without a main working tree.
    is_bare: bool,
}

/// Parses `git worktree list --porcelain`. A path may contain newlines.
fn parse_worktree_list(listed: &[u8]) -> Vec<Listed> {
    let mut found: Vec<(Vec<u8>, Option<Vec<u8>>, bool)> = Vec::new();
    let mut in_path = false;
    for line in listed.split(|byte| *byte == b'\n') {
        if !in_path && let Some(path) = line.strip_prefix(b"worktree ") {
            found.push((path.to_vec(), None, false));
            in_path = true;
        } else if let Some((path, branch, is_bare)) = found.last_mut() {
            if line == b"bare" || line.starts_with(b"HEAD ") {
                *is_bare |= line == b"bare";
                in_path = false;
            } else if in_path {
                path.push(b'\n');
                path.extend(line);
            } else if let Some(name) = line.strip_prefix(b"branch refs/heads/") {
                *branch = Some(name.to_vec());
            }
        }
    }
    found.into_iter().map(|(path, branch, is_bare)| Listed { path: program::path(&path), branch, is_bare }).collect()
}

impl Checkout {
    /// Returns why a fast-forward of `base` must not change this checkout; `None`: the fast-forward may
    /// change it.
    pub(super) fn merge_refusal(&self, base: &str) -> Result<Option<MergeRefusal>, GitError> {
        let base = base.to_owned();
        let checkout = self.place.work_tree.display().to_string();
        if self.is_called_bare {
            let message = "core.bare is true, so git takes the repository for one without a checkout; \
                run `git config core.bare false` there";
            return Ok(Some(MergeRefusal::CheckoutUnreadable { base, checkout, message: message.to_owned() }));
        }
        if self.place.work_tree == self.place.common_dir {
            let message = "git does not say in which folder the files of this repository are".to_owned();
            return Ok(Some(MergeRefusal::CheckoutUnreadable { base, checkout, message }));
        }
        if self.place.git_dir.join("index.lock").exists() {
            return Ok(Some(MergeRefusal::CheckoutLocked { base, checkout }));
        }
        if let Some(operation) = operation::in_progress(&self.place)? {
            return Ok(Some(MergeRefusal::OperationInProgress { base, checkout, operation }));
        }
        // The search for renames would read objects that a partial clone may lack.
        let args = ["status", "--porcelain=v2", "--untracked-files=no", "--no-renames", "-z"];
        let status = Git::reading(&self.place).running_filters().args(args).output()?;
        if status.code != Some(0) {
            return Ok(Some(MergeRefusal::CheckoutUnreadable { base, checkout, message: status.stderr }));
        }
        Ok((!status.stdout.is_empty()).then_some(MergeRefusal::CheckoutDirty { base, checkout }))
    }
}

/// Returns the full name of the branch that HEAD is on in a working tree; `None`: HEAD is detached.
pub(super) fn head_ref(at: &Place) -> Result<Option<String>, GitError> {
    let output = Git::reading(at).args(["symbolic-ref", "--quiet", "HEAD"]).output()?;
    match output.code {
        Some(0) => Ok(Some(program::line(&output.stdout))),
        Some(1) => Ok(None),
        _ => Err(output.into_error()),
    }
}

/// Returns the tracked files that have changes in a working tree.
pub(super) fn changed_files(at: &Place) -> Result<Vec<PathBuf>, GitError> {
    let args = ["status", "--porcelain", "--no-renames", "--untracked-files=no", "-z"];
    let listed = program::paths(&Git::reading(at).running_filters().args(args).run()?);
    // Each line begins with two letters and a space.
    let name =
        |line: &PathBuf| PathBuf::from(OsStr::from_bytes(line.as_os_str().as_bytes().get(3..).unwrap_or_default()));
    Ok(listed.iter().map(name).collect())
}
