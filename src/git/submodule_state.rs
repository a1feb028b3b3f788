//! Finds out what a command changed in a submodule, and keeps what no branch contains.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::entry;
use super::git_error::GitError;
use super::place::Place;
use super::program::Git;
use super::submodule_record::{self, Submodule};
use super::submodule_source::{Source, is_real_folder};
use super::worktree::LockedWorktree;
use super::{refs, revision, set_aside, small_file};

/// How many files of one submodule a message names.
const NAMED_FILES: usize = 5;

/// What differs in a submodule from what boi wrote.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing.
    Intact,
    /// The folder is missing, or something else is in its place.
    Gone,
    /// The files are unchanged, but its repository is missing or was replaced, and holds no work.
    Unlinked,
    Changed(Changes),
}

/// The changes in a submodule.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Changes {
    /// The commit of its HEAD, if that is another one than the recorded one.
    head: Option<String>,
    /// The changed, deleted and new files that git does not ignore.
    files: Vec<PathBuf>,
    /// Whether its repository has objects of its own, or a repository is in it that boi did not make.
    has_own_work: bool,
}

/// Returns the state of a submodule.
pub(super) fn of(worktree: &LockedWorktree, submodule: &Submodule) -> Result<State, GitError> {
    if !is_real_folder(worktree.path(), &submodule.path) {
        return Ok(State::Gone);
    }
    let folder = submodule.folder(worktree);
    let git_dir = folder.join(".git");
    let link = fs::symlink_metadata(&git_dir).ok();
    let Ok(source) = &submodule.source else {
        let names = names(&folder)?;
        return Ok(match names.is_empty() {
            true => State::Intact,
            // A repository may be in any of the folders.
            false => State::Changed(Changes { head: None, files: names, has_own_work: true }),
        });
    };
    let files = changed_files(worktree, submodule, &Source { common_dir: source.clone() })?;
    let has_nested = files.iter().any(|file| file.as_os_str().as_bytes().ends_with(b"/"));
    let (head, is_linked, has_own_objects) = match link {
        Some(link) if link.is_dir() => {
            let at = Place { work_tree: folder, ..Place::of_repository(&git_dir, worktree.watch()) };
            let head = revision::commit_of(&at, "HEAD").ok().flatten();
            (head.clone(), head.is_some(), submodule_record::has_own_objects(&git_dir))
        }
        // Git may have moved the repository away, as `git submodule absorbgitdirs` does.
        Some(link) if link.is_file() => match small_file::read_path_after(&git_dir, b"gitdir: ") {
            Some(moved) => (None, false, submodule_record::has_own_objects(&folder.join(moved))),
            None => (None, false, false),
        },
        _ => (None, false, false),
    };
    let head = head.filter(|head| *head != submodule.commit);
    let has_own_work = has_own_objects || has_nested;
    Ok(match () {
        () if head.is_some() || !files.is_empty() => State::Changed(Changes { head, files, has_own_work }),
        // Work on another branch changes no file, but must be kept.
        () if has_own_work && !is_linked => State::Changed(Changes { head, files, has_own_work }),
        () if !is_linked => State::Unlinked,
        () => State::Intact,
    })
}

/// Whether the repository of an unchanged submodule holds work, for example on another branch.
pub(super) fn has_own_work(worktree: &LockedWorktree, submodule: &Submodule) -> bool {
    is_real_folder(worktree.path(), &submodule.path)
        && submodule_record::has_own_objects(&submodule.folder(worktree).join(".git"))
}

/// Returns the files that differ from the submodule's commit, and the new ones that git does not ignore. A folder with a
/// repository of its own ends in a slash.
fn changed_files(worktree: &LockedWorktree, submodule: &Submodule, source: &Source) -> Result<Vec<PathBuf>, GitError> {
    let at = submodule.place(worktree);
    if !at.git_dir.join("index").is_file() {
        // The repository was lost; the files of the submodule are read again.
        submodule_record::write_repository(&at.git_dir, source, &submodule.commit, b"")?;
        let git = Git::writing(&at, worktree.lock_file())?.own_tree(None);
        git.args(["read-tree", "--reset", &submodule.commit]).run()?;
    }
    let args = ["--porcelain", "-z", "--untracked-files=all", "--ignore-submodules=all", "--no-renames"];
    let listed = Git::reading(&at).own_tree(None).running_filters().arg("status").args(args).run()?;
    let files = listed.split(|byte| *byte == 0).filter_map(|line| line.get(3..));
    Ok(files.map(|file| PathBuf::from(OsStr::from_bytes(file))).collect())
}

fn names(folder: &Path) -> Result<Vec<PathBuf>, GitError> {
    let entries = fs::read_dir(folder).map_err(GitError::io("cannot read", folder))?;
    let mut names: Vec<PathBuf> = entries.flatten().map(|entry| entry.file_name().into()).collect();
    names.sort();
    Ok(names)
}

impl Changes {
    /// Describes the changes, for a message.
    pub(super) fn describe(&self, submodule: &Submodule) -> String {
        let short = |commit: &str| commit[..commit.len().min(12)].to_owned();
        let mut parts = Vec::new();
        if let Some(head) = &self.head {
            parts.push(format!("it is at the commit {} instead of {}", short(head), short(&submodule.commit)));
        }
        if !self.files.is_empty() {
            let names: Vec<_> = self.files.iter().take(NAMED_FILES).map(|file| file.display().to_string()).collect();
            let more = self.files.len().saturating_sub(NAMED_FILES);
            let more = if more == 0 { String::new() } else { format!(" and {more} more") };
            parts.push(format!("changed or new files: {}{more}", names.join(", ")));
        }
        if parts.is_empty() {
            parts.push("its .git was replaced".to_owned());
        }
        format!("{:?} ({})", submodule.path, parts.join("; "))
    }
}

/// Keeps the work in submodules: files under a kept ref, repositories in a folder beside the worktree.
pub(super) struct Keeper<'a> {
    worktree: &'a LockedWorktree,
    label: &'a str,
    /// The folders beside the worktree into which submodules were moved.
    aside: Vec<PathBuf>,
}

impl Keeper<'_> {
    pub(super) fn new<'a>(worktree: &'a LockedWorktree, label: &'a str) -> Keeper<'a> {
        Keeper { worktree, label, aside: Vec::new() }
    }

    /// Keeps the changes. Returns whether the submodule was moved away; then its folder is empty.
    pub(super) fn keep(&mut self, submodule: &Submodule, changes: &Changes) -> Result<bool, GitError> {
        if changes.has_own_work {
            return self.move_away(submodule).map(|()| true);
        }
        match self.keep_files(submodule, &changes.files) {
            Ok(()) => Ok(false),
            Err(error) if error.is_about_files() => self.move_away(submodule).map(|()| true),
            Err(error) => Err(error),
        }
    }

    /// Moves the submodule with its repository into the folder beside the worktree.
    pub(super) fn move_away(&mut self, submodule: &Submodule) -> Result<(), GitError> {
        let folder = submodule.folder(self.worktree);
        let git_dir = folder.join(".git");
        if let Some(moved) = small_file::read_path_after(&git_dir, b"gitdir: ").map(|moved| folder.join(moved))
            && moved.starts_with(self.worktree.entry()?)
        {
            // The entry is deleted with the worktree.
            entry::remove_any(&git_dir)?;
            copy_folder(&moved, &git_dir)?;
            let at = Place { work_tree: folder.clone(), ..Place::of_repository(&git_dir, self.worktree.watch()) };
            Git::writing(&at, self.worktree.lock_file())?.args(["config", "--unset", "core.worktree"]).output()?;
        }
        let to = self.path_aside(&submodule.path)?;
        fs::rename(&folder, &to).map_err(GitError::io("cannot rename", &folder))?;
        fs::create_dir(&folder).map_err(GitError::io("cannot create", &folder))
    }

    /// Keeps the repositories that git itself moved from submodules into the worktree's entry, which is deleted with the
    /// worktree.
    pub(super) fn keep_moved(&mut self, entry: &Path) -> Result<(), GitError> {
        let modules = entry.join("modules");
        if fs::symlink_metadata(&modules).is_ok_and(|found| found.is_dir()) {
            let to = self.path_aside(Path::new("modules"))?;
            copy_folder(&modules, &to)?;
        }
        Ok(())
    }

    /// Returns the folders beside the worktree, as `boi status` names them.
    pub(super) fn folders(self) -> Vec<String> {
        self.aside.iter().map(|folder| folder.to_string_lossy().into_owned()).collect()
    }

    /// Returns a free path in a folder beside the worktree, and creates the folder around it.
    fn path_aside(&mut self, path: &Path) -> Result<PathBuf, GitError> {
        let free = |folder: &PathBuf| fs::symlink_metadata(folder.join(path)).is_err();
        let folder = match self.aside.last().filter(|last| free(last)) {
            Some(last) => last.clone(),
            None => {
                let folder = set_aside::free_name(self.worktree.path());
                self.aside.push(folder.clone());
                folder
            }
        };
        let to = folder.join(path);
        let parent = to.parent().unwrap_or(&to);
        fs::create_dir_all(parent).map_err(GitError::io("cannot create", parent))?;
        Ok(to)
    }

    /// Keeps the files that exist of `files` under a ref of the repository, with the paths that they have in the worktree.
    fn keep_files(&self, submodule: &Submodule, files: &[PathBuf]) -> Result<(), GitError> {
        let folder = submodule.folder(self.worktree);
        let files: Vec<_> = files.iter().filter(|file| fs::symlink_metadata(folder.join(file)).is_ok()).collect();
        if files.is_empty() {
            return Ok(());
        }
        let (list, index) = (self.worktree.scratch().join("pathspec"), self.worktree.scratch().join("submodule-files"));
        let specs = files.iter().map(|file| [b":(top,literal)", file.as_os_str().as_bytes(), b"\0"].concat());
        small_file::replace(&list, &specs.collect::<Vec<_>>().concat())?;
        let git = |work_tree: &Path| -> Result<Git, GitError> {
            let at = Place { work_tree: work_tree.to_owned(), ..self.worktree.repository()? };
            Ok(Git::writing(&at, self.worktree.lock_file())?.own_tree(None).index(&index))
        };
        entry::remove_any(&index)?;
        let added = git(&folder)?.running_filters().args(["add", "--force", "--pathspec-file-nul"]);
        let added = added.arg(format!("--pathspec-from-file={}", list.display())).output()?;
        if added.code != Some(0) {
            return Err(super::index::cannot_add(added));
        }
        let tree = git(&folder)?.arg("write-tree").line()?;
        entry::remove_any(&index)?;
        let mut prefix = std::ffi::OsString::from("--prefix=");
        prefix.push(&submodule.path);
        prefix.push("/");
        git(self.worktree.path())?.arg("read-tree").arg(prefix).arg(&tree).run()?;
        let tree = git(self.worktree.path())?.arg("write-tree").line()?;
        entry::remove_any(&index)?;
        refs::keep_tree(self.worktree, &tree, None, self.label)
    }
}

fn copy_folder(from: &Path, to: &Path) -> Result<(), GitError> {
    fs::create_dir(to).map_err(GitError::io("cannot create", to))?;
    for entry in fs::read_dir(from).map_err(GitError::io("cannot read", from))? {
        let entry = entry.map_err(GitError::io("cannot read", from))?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        match entry.file_type().map_err(GitError::io("cannot read", &path))? {
            kind if kind.is_dir() => copy_folder(&path, &target)?,
            kind if kind.is_file() => drop(fs::copy(&path, &target).map_err(GitError::io("cannot copy", &path))?),
            _ => {}
        }
    }
    Ok(())
}
