//! A worktree's entry: its administrative directory `<git directory>/worktrees/<NAME>`. The entry's file `gitdir` and
//! the worktree's file `.git` (the link) name each other.
//!
//! Invariants: the functions of this file that write are called with the repository's or the worktree's lock
//! held. Entries of other worktrees are read, never written.

use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::git_error::GitError;
use super::small_file;
use super::sparse::Sparse;

/// Returns the git directory that `entry` belongs to, without running git; `None`: the git directory does not
/// exist.
pub(super) fn common_dir_of_entry(entry: &Path) -> Option<PathBuf> {
    fs::canonicalize(entry.join(small_file::read_path(&entry.join("commondir"))?)).ok()
}

/// Returns the entry of the worktree at `path` in the repository at `common_dir`; `None`: there is no such entry,
/// the entry and the worktree do not name each other, the entry belongs to another repository, or it is incomplete.
pub(super) fn of_worktree(path: &Path, common_dir: &Path) -> Option<PathBuf> {
    let entry = named_by_link(path)?;
    let is_intact = is_of_repository(&entry, common_dir)
        && names_link(&entry, &real_path(path).join(".git"))
        && common_dir_of_entry(&entry).as_deref() == Some(common_dir)
        && is_complete(&entry);
    is_intact.then_some(entry)
}

/// Returns the entry that the link in `path` names. The entry need not exist.
pub(super) fn named_by_link(path: &Path) -> Option<PathBuf> {
    Some(path.join(small_file::read_path_after(&path.join(".git"), b"gitdir: ")?))
}

/// Whether `entry` is in the `worktrees/` of the repository at `common_dir`, which is a path without symbolic links.
pub(super) fn is_of_repository(entry: &Path, common_dir: &Path) -> bool {
    let Ok(real) = fs::canonicalize(entry) else { return false };
    real.parent() == Some(&common_dir.join("worktrees"))
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
        let is_of_worktree = has_begun || has_same_name && is_torn(&gitdir) || names_link(&entry, &link);
        if is_of_worktree && is_of_repository(&entry, common_dir) {
            return Ok(Some(entry));
        }
    }
    Ok(None)
}

/// Whether the entry names `link`, the file `.git` of a working tree.
pub(super) fn names_link(entry: &Path, link: &Path) -> bool {
    small_file::read_path(&entry.join("gitdir")).is_some_and(|gitdir| entry.join(gitdir) == link)
}

/// Whether a power loss destroyed the content of a small file.
pub(super) fn is_torn(file: &Path) -> bool {
    small_file::read(file).is_some_and(|bytes| bytes.iter().all(|byte| *byte == 0))
}

/// Whether git has not finished creating this entry, because it was killed.
pub(super) fn is_initializing(entry: &Path) -> bool {
    small_file::read(&entry.join("locked"))
        .is_some_and(|reason| reason.is_empty() || reason.starts_with(b"initializing"))
        && !entry.join("index").exists()
}

/// Whether git can work with the entry: it has a HEAD, and git finished creating it.
pub(super) fn is_complete(entry: &Path) -> bool {
    has_head(entry) && !is_initializing(entry)
}

fn has_head(entry: &Path) -> bool {
    small_file::read_text(&entry.join("HEAD"))
        .is_some_and(|head| head.starts_with("ref: ") || parse_hash(&head).is_some())
}

/// Makes `entry` and the link in `path` name each other again, and completes the entry.
pub(super) fn relink(entry: &Path, path: &Path, branch_ref: &str, sparse: Option<&Sparse>) -> Result<(), GitError> {
    let write = |file: PathBuf, content: &[u8]| small_file::replace(&file, content);
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
    write(path.join(".git"), &link)?;
    pin_work_tree(entry, path, sparse)
}

/// Writes the worktree's path into the worktree's own configuration. Git reads that file once the repository has
/// `extensions.worktreeConfig`; without the path, a `core.worktree` or `core.bare` in the shared configuration would
/// make the agent's git work in the user's checkout. `sparse` is the worktree's sparse checkout; without it, the whole tree
/// is checked out, whatever the shared configuration says.
pub(super) fn pin_work_tree(entry: &Path, path: &Path, sparse: Option<&Sparse>) -> Result<(), GitError> {
    let file = entry.join("config.worktree");
    let work_tree = quote(real_path(path).as_os_str());
    let rest = sparse.map_or_else(|| "\tsparseCheckout = false\n".to_owned(), Sparse::configuration);
    let pinned = [b"[core]\n\tworktree = ", work_tree.as_slice(), b"\n\tbare = false\n", rest.as_bytes()].concat();
    let existing = small_file::read(&file).unwrap_or_default();
    if existing.ends_with(&pinned) {
        return Ok(());
    }
    let separator: &[u8] = if existing.is_empty() || existing.ends_with(b"\n") { b"" } else { b"\n" };
    small_file::replace(&file, &[&existing, separator, &pinned].concat())
}

/// Quotes a value for a configuration file of git.
fn quote(value: &OsStr) -> Vec<u8> {
    let escaped = value.as_bytes().iter().flat_map(|byte| match byte {
        b'"' | b'\\' => vec![b'\\', *byte],
        b'\n' => b"\\n".to_vec(),
        b'\t' => b"\\t".to_vec(),
        _ => vec![*byte],
    });
    [b"\"".to_vec(), escaped.collect(), b"\"".to_vec()].concat()
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
    // A pipe or a link in the place of the index is damaged too.
    if fs::symlink_metadata(&index).is_ok_and(|metadata| !metadata.is_file()) {
        return remove_any(&index);
    }
    let open = |path: &Path| OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path);
    let mut signature = [0; 4];
    let is_damaged =
        open(&index).is_ok_and(|mut file| file.read_exact(&mut signature).is_err() || &signature != b"DIRC");
    if is_damaged { remove_any(&index) } else { Ok(()) }
}

/// Returns the commit of the entry's HEAD; `None`: HEAD is not detached.
pub(super) fn detached_head(entry: &Path) -> Option<String> {
    parse_hash(&small_file::read_text(&entry.join("HEAD"))?)
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
pub(crate) fn remove_any(path: &Path) -> Result<(), GitError> {
    let removed = match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(e) => Err(e),
    };
    match removed {
        Err(e) if !matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Err(GitError::io("cannot remove", path)(e))
        }
        _ => Ok(()),
    }
}
