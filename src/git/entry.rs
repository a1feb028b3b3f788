//! A worktree's entry: its administrative directory `<git directory>/worktrees/<NAME>`. The entry's file `gitdir` and
//! the worktree's file `.git` (the link) name each other.
//!
//! Invariants: the functions of this file that write are called with the repository's or the worktree's lock
//! held. Entries of other worktrees are read, never written.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::git_error::GitError;
use super::program::{self, Git};
use crate::system::files;

/// Returns the git directory that all worktrees of the repository share.
pub(super) fn common_dir(repo: &Path) -> Result<PathBuf, GitError> {
    let printed = program::path(&Git::reading(repo).args(["rev-parse", "--git-common-dir"]).run()?);
    let path = repo.join(printed);
    fs::canonicalize(&path).map_err(GitError::io("cannot find", &path))
}

/// Returns the git directory that `entry` belongs to, without running git; `None`: the git directory does not
/// exist.
pub(super) fn common_dir_of_entry(entry: &Path) -> Option<PathBuf> {
    fs::canonicalize(entry.join(read_path(&entry.join("commondir"))?)).ok()
}

/// Returns the entry of the worktree at `path`; `None`: there is no such entry, the entry and the worktree do
/// not name each other, or the entry is incomplete.
pub(super) fn of_worktree(path: &Path) -> Option<PathBuf> {
    let entry = named_by_link(path)?;
    let is_complete = names_link(&entry, &real_path(path).join(".git"))
        && has_head(&entry)
        && common_dir_of_entry(&entry).is_some()
        && !is_initializing(&entry);
    is_complete.then_some(entry)
}

/// Returns the entry that the link in `path` names. The entry need not exist.
pub(super) fn named_by_link(path: &Path) -> Option<PathBuf> {
    let bytes = fs::read(path.join(".git")).ok()?;
    let named = bytes.strip_prefix(b"gitdir: ")?;
    Some(path.join(program::path(named)))
}

/// Finds the entry of the worktree at `path`: an entry that names the worktree, or an entry with the same name that git
/// did not finish creating or that a power loss damaged.
pub(super) fn find(common_dir: &Path, path: &Path) -> Result<Option<PathBuf>, GitError> {
    let dir = common_dir.join("worktrees");
    let link = real_path(path).join(".git");
    let entries = match fs::read_dir(&dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(GitError::io("cannot read", &dir)(e)),
    };
    for entry in entries {
        let entry = entry.map_err(GitError::io("cannot read", &dir))?.path();
        let (has_same_name, gitdir) = (entry.file_name() == path.file_name(), entry.join("gitdir"));
        let has_begun = has_same_name && !gitdir.exists() && is_initializing(&entry);
        if has_begun || has_same_name && files::is_torn(&gitdir) || names_link(&entry, &link) {
            return Ok(Some(entry));
        }
    }
    Ok(None)
}

/// Whether the entry names `link`, the file `.git` of a working tree.
pub(super) fn names_link(entry: &Path, link: &Path) -> bool {
    read_path(&entry.join("gitdir")).is_some_and(|gitdir| gitdir == link)
}

/// Whether git has not finished creating this entry, because it was killed.
pub(super) fn is_initializing(entry: &Path) -> bool {
    fs::read(entry.join("locked")).is_ok_and(|reason| reason.is_empty() || reason.starts_with(b"initializing"))
        && !entry.join("index").exists()
}

fn has_head(entry: &Path) -> bool {
    fs::read_to_string(entry.join("HEAD")).is_ok_and(|head| head.starts_with("ref: ") || parse_hash(&head).is_some())
}

/// Makes `entry` and the link in `path` name each other again, and completes the entry.
pub(super) fn relink(entry: &Path, path: &Path, branch_ref: &str) -> Result<(), GitError> {
    let write = |file: PathBuf, content: &[u8]| fs::write(&file, content).map_err(GitError::io("cannot write", &file));
    fs::create_dir_all(entry).map_err(GitError::io("cannot create", entry))?;
    if is_initializing(entry) {
        remove_any(&entry.join("locked"))?;
    }
    if !has_head(entry) {
        write(entry.join("HEAD"), format!("ref: {branch_ref}\n").as_bytes())?;
    }
    write(entry.join("commondir"), b"../..\n")?;
    let gitdir = [real_path(path).join(".git").into_os_string().into_vec(), b"\n".to_vec()].concat();
    write(entry.join("gitdir"), &gitdir)?;
    let link = [b"gitdir: ".to_vec(), entry.as_os_str().as_bytes().to_vec(), b"\n".to_vec()].concat();
    write(path.join(".git"), &link)
}

/// Deletes an entry. Like git, it also deletes `worktrees/` if no other entry is left.
pub(super) fn delete(entry: &Path) -> Result<(), GitError> {
    match fs::remove_dir_all(entry) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(GitError::io("cannot remove", entry)(e)),
        _ => {}
    }
    if let Some(entries) = entry.parent() {
        // This fails, as intended, while other entries exist.
        let _ = fs::remove_dir(entries);
    }
    Ok(())
}

/// Removes the worktree's index if it does not start with the signature of an index. With a damaged index, every git
/// command in the worktree would fail.
pub(super) fn remove_damaged_index(entry: &Path) -> Result<(), GitError> {
    let index = entry.join("index");
    let mut signature = [0; 4];
    let is_damaged =
        File::open(&index).is_ok_and(|mut file| file.read_exact(&mut signature).is_err() || &signature != b"DIRC");
    if is_damaged { remove_any(&index) } else { Ok(()) }
}

/// Returns the commit of the entry's HEAD; `None`: HEAD is not detached.
pub(super) fn detached_head(entry: &Path) -> Option<String> {
    parse_hash(&fs::read_to_string(entry.join("HEAD")).ok()?)
}

/// Returns `path` in the form that git writes into its files: with symbolic links resolved. If `path` does
/// not exist, only the links in its parent are resolved.
pub(super) fn real_path(path: &Path) -> PathBuf {
    if let Ok(real) = fs::canonicalize(path) {
        return real;
    }
    match (path.parent().and_then(|parent| fs::canonicalize(parent).ok()), path.file_name()) {
        (Some(parent), Some(name)) => parent.join(name),
        _ => path.to_owned(),
    }
}

/// Parses `text` as an object hash; `None` if it is not one.
pub(super) fn parse_hash(text: &str) -> Option<String> {
    let text = text.trim();
    (matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| text.to_owned())
}

/// Removes a file, or a folder with its content. The path need not exist.
pub(super) fn remove_any(path: &Path) -> Result<(), GitError> {
    let removed = match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(e) => Err(e),
    };
    match removed {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(GitError::io("cannot remove", path)(e)),
        _ => Ok(()),
    }
}

/// Returns the path that `file` contains. A relative path is resolved against the folder of `file`.
fn read_path(file: &Path) -> Option<PathBuf> {
    let path = program::path(&fs::read(file).ok()?);
    // A power loss may have emptied the file.
    if path.as_os_str().is_empty() {
        return None;
    }
    Some(file.parent()?.join(path))
}
