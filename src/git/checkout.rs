//! Finds the checkout of a branch (the user's working tree that is on the branch).

use std::fs;
use std::path::PathBuf;

use super::git_error::GitError;
use super::place::Place;
use super::program::{self, Git};
use super::{entry, operation, ref_files};

/// A working tree that is on a branch, or will return to it when the operation in progress ends.
pub(crate) struct Checkout {
    pub(crate) place: Place,
    /// Whether it is the main working tree although the configuration says that the repository is bare.
    pub(crate) is_called_bare: bool,
}

/// Finds the working tree that is on `branch` (its short name) in the repository at `at`. A working tree whose folder
/// is missing counts only if the user locked it with `git worktree lock`, for example because its disk is not always
/// mounted.
pub(crate) fn find(at: &Place, branch: &str) -> Result<Option<Checkout>, GitError> {
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
/// git lists for it. If the git directory is outside the working tree, git lists the git directory.
fn main_working_tree(at: &Place, listed: PathBuf) -> Result<PathBuf, GitError> {
    // If `.git` is a symbolic link, git may list the folder to which it leads.
    if at.git_dir == at.common_dir && at.work_tree.join(".git").exists() {
        return Ok(at.work_tree.clone());
    }
    if listed.join(".git").exists() {
        return Ok(listed);
    }
    // `at` is the place either of the main working tree or of the repository alone.
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
    /// Whether git treats the repository as bare, that is, without a main working tree.
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

/// Returns the full name of the branch that HEAD is on in a working tree; `None`: HEAD is detached.
pub(crate) fn head_ref(at: &Place) -> Result<Option<String>, GitError> {
    if let Some(found) = ref_files::head_ref(at) {
        return Ok(found);
    }
    let output = Git::reading(at).args(["symbolic-ref", "--quiet", "HEAD"]).output()?;
    match output.code {
        Some(0) => Ok(Some(program::line(&output.stdout))),
        Some(1) => Ok(None),
        _ => Err(output.into_error()),
    }
}
