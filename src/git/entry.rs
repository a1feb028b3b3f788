//! A worktree's entry in `<git directory>/worktrees/`: found, checked, mended and removed, ours alone.
//!
//! Invariants: what writes here runs under the repository's lock; entries of other worktrees are read, never written.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::git::{self, Git};
use super::{Error, WorktreeLock, refs};
use crate::system::files;

/// Files and folders that git keeps in an entry while an operation is under way.
const OPERATION_STATE: &[&str] = &[
    "AUTO_MERGE",
    "BISECT_ANCESTORS_OK",
    "BISECT_EXPECTED_REV",
    "BISECT_FIRST_PARENT",
    "BISECT_LOG",
    "BISECT_NAMES",
    "BISECT_RUN",
    "BISECT_START",
    "BISECT_TERMS",
    "CHERRY_PICK_HEAD",
    "MERGE_AUTOSTASH",
    "MERGE_HEAD",
    "MERGE_MODE",
    "MERGE_MSG",
    "MERGE_RR",
    "REBASE_HEAD",
    "REVERT_HEAD",
    "SQUASH_MSG",
    "rebase-apply",
    "rebase-merge",
    "refs/bisect",
    "sequencer",
];

/// What of it names commits that nothing else may hold.
const OPERATION_COMMITS: &[&str] = &[
    "MERGE_AUTOSTASH",
    "rebase-apply/autostash",
    "rebase-apply/orig-head",
    "rebase-merge/autostash",
    "rebase-merge/orig-head",
];

/// What shows that an operation is under way, and its name.
const OPERATIONS: &[(&str, &str)] = &[
    ("MERGE_HEAD", "a merge"),
    ("rebase-merge", "a rebase"),
    ("rebase-apply", "a rebase"),
    ("CHERRY_PICK_HEAD", "a cherry-pick"),
    ("REVERT_HEAD", "a revert"),
    ("sequencer", "a cherry-pick or revert"),
    ("BISECT_START", "a bisect"),
];

/// The git directory that all worktrees of the repository share.
pub(super) fn common_dir(repo: &Path) -> Result<PathBuf, Error> {
    let printed = git::path(&Git::reading(repo).args(["rev-parse", "--git-common-dir"]).run()?);
    let path = repo.join(printed);
    fs::canonicalize(&path).map_err(Error::io("cannot find", &path))
}

/// The git directory shared by the worktrees of the repository that `entry` belongs to.
pub(super) fn common_of(entry: &Path) -> Option<PathBuf> {
    fs::canonicalize(entry.join(read_path(&entry.join("commondir"))?)).ok()
}

/// Locks the repository: the returned file is its git directory.
pub(super) fn lock_repository(common: &Path) -> Result<File, Error> {
    let dir = File::open(common).map_err(Error::io("cannot open", common))?;
    git::lock(&dir).map_err(Error::io("cannot lock", common))?;
    Ok(dir)
}

/// The entry of the worktree at `path`, if the two point at each other and the entry is complete.
pub(super) fn of_worktree(path: &Path) -> Option<PathBuf> {
    let entry = named_by(path)?;
    let whole = points_to(&entry, &real(path).join(".git"))
        && has_head(&entry)
        && common_of(&entry).is_some()
        && !is_initializing(&entry);
    whole.then_some(entry)
}

/// The entry that the file `.git` in `path` names, whether it exists or not.
pub(super) fn named_by(path: &Path) -> Option<PathBuf> {
    let bytes = fs::read(path.join(".git")).ok()?;
    let named = bytes.strip_prefix(b"gitdir: ")?;
    Some(path.join(git::path(named)))
}

/// The entry that says it is for `path`, or one that bears its name and is an empty beginning, or was torn by a loss of power.
pub(super) fn find(common: &Path, path: &Path) -> Result<Option<PathBuf>, Error> {
    let dir = common.join("worktrees");
    let wanted = real(path).join(".git");
    let entries = match fs::read_dir(&dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::io("cannot read", &dir)(e)),
    };
    for entry in entries {
        let entry = entry.map_err(Error::io("cannot read", &dir))?.path();
        let (bears_name, link) = (entry.file_name() == path.file_name(), entry.join("gitdir"));
        let begun = bears_name && !link.exists() && is_initializing(&entry);
        if begun || bears_name && files::is_torn(&link) || points_to(&entry, &wanted) {
            return Ok(Some(entry));
        }
    }
    Ok(None)
}

/// Whether the entry is for the working tree with this `.git`.
pub(super) fn points_to(entry: &Path, link: &Path) -> bool {
    read_path(&entry.join("gitdir")).is_some_and(|gitdir| gitdir == link)
}

/// Whether git was cut off while it made this entry.
pub(super) fn is_initializing(entry: &Path) -> bool {
    fs::read(entry.join("locked")).is_ok_and(|reason| reason.is_empty() || reason.starts_with(b"initializing"))
        && !entry.join("index").exists()
}

/// Whether the entry says what is checked out.
fn has_head(entry: &Path) -> bool {
    fs::read_to_string(entry.join("HEAD")).is_ok_and(|head| head.starts_with("ref: ") || hash(&head).is_some())
}

/// Makes `entry` and the file `.git` in `path` point at each other again.
pub(super) fn relink(entry: &Path, path: &Path, branch_ref: &str) -> Result<(), Error> {
    let write = |file: PathBuf, content: &[u8]| fs::write(&file, content).map_err(Error::io("cannot write", &file));
    fs::create_dir_all(entry).map_err(Error::io("cannot create", entry))?;
    if is_initializing(entry) {
        remove_any(&entry.join("locked"))?;
    }
    if !has_head(entry) {
        write(entry.join("HEAD"), format!("ref: {branch_ref}\n").as_bytes())?;
    }
    write(entry.join("commondir"), b"../..\n")?;
    let back = [real(path).join(".git").into_os_string().into_vec(), b"\n".to_vec()].concat();
    write(entry.join("gitdir"), &back)?;
    let forth = [b"gitdir: ".to_vec(), entry.as_os_str().as_bytes().to_vec(), b"\n".to_vec()].concat();
    write(path.join(".git"), &forth)
}

/// Removes an entry, and the folder of entries with the last one, as git does.
pub(super) fn delete(entry: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(entry) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(Error::io("cannot remove", entry)(e)),
        _ => {}
    }
    if let Some(entries) = entry.parent() {
        let _ = fs::remove_dir(entries);
    }
    Ok(())
}

/// Removes the lock files of a git that was killed. Nothing else of boi's runs while the worktree is locked.
pub(super) fn break_locks(at: &WorktreeLock) -> Result<(), Error> {
    let entry = of_worktree(at.path());
    let mut stale = vec![lock_of(&at.index())];
    stale.extend(entry.iter().flat_map(|entry| [entry.join("index.lock"), entry.join("HEAD.lock")]));
    if let Some(common) = entry.as_deref().and_then(common_of).or_else(|| common_dir(at.repo()).ok()) {
        stale.extend([at.branch_ref(), refs::candidate_ref(at.spec())].map(|name| lock_of(&common.join(name))));
        let kept = common.join(refs::kept_dir(at.spec()));
        let locks = fs::read_dir(kept).into_iter().flatten().flatten().map(|file| file.path());
        stale.extend(locks.filter(|path| path.extension() == Some(OsStr::new("lock"))));
    }
    stale.iter().try_for_each(|path| remove_any(path))
}

/// Removes an index of the worktree that is none: git would do nothing in the worktree.
pub(super) fn drop_torn_index(entry: &Path) -> Result<(), Error> {
    let index = entry.join("index");
    let mut begin = [0; 4];
    let torn = File::open(&index).is_ok_and(|mut file| file.read_exact(&mut begin).is_err() || &begin != b"DIRC");
    if torn { remove_any(&index) } else { Ok(()) }
}

/// Ends whatever operation is under way in the worktree, without touching its files.
pub(super) fn clear_operation(entry: &Path) -> Result<(), Error> {
    OPERATION_STATE.iter().try_for_each(|name| remove_any(&entry.join(name)))
}

/// Commits that only an operation under way holds.
pub(super) fn operation_commits(entry: &Path) -> Vec<String> {
    let read = |name: &&str| fs::read_to_string(entry.join(name)).ok();
    OPERATION_COMMITS.iter().filter_map(read).filter_map(|text| hash(&text)).collect()
}

/// The operation under way in a checkout with this git directory, in words.
pub(super) fn operation(git_dir: &Path) -> Option<&'static str> {
    OPERATIONS.iter().find(|(file, _)| git_dir.join(file).exists()).map(|(_, name)| *name)
}

/// Whether an operation that detaches HEAD was begun on this branch and will go back to it.
pub(super) fn returns_to(git_dir: &Path, branch: &str) -> bool {
    let says = |file: &str, text: &str| fs::read_to_string(git_dir.join(file)).is_ok_and(|t| t.trim() == text);
    let full = format!("refs/heads/{branch}");
    says("rebase-merge/head-name", &full) || says("rebase-apply/head-name", &full) || says("BISECT_START", branch)
}

/// The commit that a detached HEAD of this entry names.
pub(super) fn detached_head(entry: &Path) -> Option<String> {
    hash(&fs::read_to_string(entry.join("HEAD")).ok()?)
}

/// `path` as git writes it: its parent without symbolic links.
pub(super) fn real(path: &Path) -> PathBuf {
    if let Ok(real) = fs::canonicalize(path) {
        return real;
    }
    match (path.parent().and_then(|parent| fs::canonicalize(parent).ok()), path.file_name()) {
        (Some(parent), Some(name)) => parent.join(name),
        _ => path.to_owned(),
    }
}

fn hash(text: &str) -> Option<String> {
    let text = text.trim();
    (matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit())).then(|| text.to_owned())
}

fn read_path(file: &Path) -> Option<PathBuf> {
    let path = git::path(&fs::read(file).ok()?);
    // Of one that a loss of power tore.
    if path.as_os_str().is_empty() {
        return None;
    }
    Some(file.parent()?.join(path))
}

fn lock_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

fn remove_any(path: &Path) -> Result<(), Error> {
    let removed = match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(e) => Err(e),
    };
    match removed {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::io("cannot remove", path)(e)),
        _ => Ok(()),
    }
}
