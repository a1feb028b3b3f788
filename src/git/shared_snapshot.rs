//! The snapshot of the shared part of a repository that boi takes before each command.
//!
//! Its record is the file `shared` in the spec's scratch directory. One commit under `refs/boi/snapshot/<SPEC>` keeps
//! its objects from garbage collection: the commit has every commit as a parent, and every tree and blob in its tree. A
//! commit cannot refer to tag objects in this way, so the record holds a pack of them. While refs, stash, reflogs and
//! worktrees have not changed, the next snapshot uses the same commit.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use super::git_error::GitError;
use super::place::Place;
use super::program::{self, Git};
use super::shared_state::{FileState, Head, ObjectKind, RawState, SharedState};
use super::worktree::LockedWorktree;
use super::{ref_names, refs, revision};
use crate::system::attempt_folder;
use crate::system::files::Durability;

const MAGIC: &[u8] = b"boi shared 1\n";
/// The name of the record.
const RECORD: &str = "shared";
/// The tree without entries, which git knows even if it is not stored, in a repository with hashes of SHA-1.
const EMPTY_TREE: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";
/// The maximum size of a record, in bytes.
const MAX_RECORD: usize = 1 << 30;

/// The snapshot before a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Snapshot {
    /// The marker of the command that runs, or ran last.
    pub(super) command: String,
    /// Whether the repository has not been compared with this snapshot yet.
    pub(super) open: bool,
    pub(super) common_dir: PathBuf,
    pub(super) state: RawState,
    /// The commit that protects the objects.
    pub(super) commit: String,
    /// A pack of all tag objects; empty: there are none.
    pub(super) tags: Vec<u8>,
}

impl Snapshot {
    /// The place for work on the repository's refs and objects.
    pub(super) fn place(&self, worktree: &LockedWorktree) -> Place {
        Place::of_repository(&self.common_dir, worktree.watch())
    }
}

/// Takes the snapshot before the command with this marker starts. Calling it again for the same command changes nothing.
pub(crate) fn take_snapshot(worktree: &LockedWorktree, command: &str) -> Result<(), GitError> {
    let last = read(worktree);
    if last.as_ref().is_some_and(|last| last.open && last.command == command) {
        return Ok(());
    }
    let at = &worktree.repository()?;
    let last = last.filter(|last| last.common_dir == at.common_dir);
    let state = RawState::read(at, &worktree.branch_ref(), last.as_ref().map(|last| &last.state))?;
    let protecting = revision::commit_of(at, &ref_names::snapshot_ref(worktree.spec()))?;
    let shared = parse(worktree, &state);
    let reusable =
        last.filter(|last| protecting.as_ref() == Some(&last.commit) && parse(worktree, &last.state) == shared);
    let (commit, tags) = match reusable {
        Some(last) => (last.commit, last.tags),
        None => protect(worktree, at, &shared)?,
    };
    let (command, common_dir) = (command.to_owned(), at.common_dir.clone());
    write(worktree, &Snapshot { command, open: true, common_dir, state, commit, tags })
}

/// Deletes the snapshot. It need not exist.
pub(crate) fn delete_snapshot(worktree: &LockedWorktree) -> Result<(), GitError> {
    let Some(snapshot) = read(worktree) else { return Ok(()) };
    refs::delete_refs(worktree, &snapshot.place(worktree), &[ref_names::snapshot_ref(worktree.spec())])?;
    delete_record(worktree)
}

/// Deletes the snapshot, and the ref that protects the candidate. Neither need exist.
pub(super) fn delete_snapshot_and_candidate(worktree: &LockedWorktree) -> Result<(), GitError> {
    let mut names = vec![ref_names::candidate_ref(worktree.spec())];
    // A record of a snapshot is always of this repository.
    let snapshot = read(worktree);
    names.extend(snapshot.as_ref().map(|_| ref_names::snapshot_ref(worktree.spec())));
    refs::delete_refs(worktree, &worktree.repository()?, &names)?;
    if snapshot.is_some() { delete_record(worktree) } else { Ok(()) }
}

fn delete_record(worktree: &LockedWorktree) -> Result<(), GitError> {
    let path = worktree.scratch().join(RECORD);
    attempt_folder::remove(&path).map_err(GitError::io("cannot remove", &path))
}

/// Parses what was read, without the spec's own branch and boi's own worktrees.
pub(super) fn parse(worktree: &LockedWorktree, state: &RawState) -> SharedState {
    let mut shared = state.parse(worktree.path().parent().unwrap_or(worktree.path()));
    shared.refs.remove(worktree.branch_ref().as_bytes());
    shared
}

/// Makes the objects of `state` reachable from the snapshot's ref. Returns the ref's commit and a pack of the tag objects.
fn protect(worktree: &LockedWorktree, at: &Place, state: &SharedState) -> Result<(String, Vec<u8>), GitError> {
    let (mut commits, mut others, mut tags) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for found in state.refs.values() {
        for (hash, kind) in found.peeled.iter().cloned().chain([(found.hash.clone(), found.kind)]) {
            match kind {
                ObjectKind::Commit => commits.insert(hash),
                ObjectKind::Tag => tags.insert(hash),
                ObjectKind::Tree | ObjectKind::Blob => others.insert((hash, kind == ObjectKind::Tree)),
            };
        }
    }
    commits.extend(state.stash.iter().map(|entry| entry.hash.clone()));
    commits.extend(state.reflogs.iter().cloned());
    commits.extend(state.worktrees.values().filter_map(|head| match head {
        Head::Detached(hash) => Some(hash.clone()),
        Head::Branch(_) | Head::Unknown => None,
    }));
    let pack = if tags.is_empty() { Vec::new() } else { pack(worktree, at, &tags)? };
    let tree = match (others.is_empty(), commits.first().map(String::len)) {
        // Without the object itself, `git fsck` would report a missing tree.
        (true, Some(40)) if at.common_dir.join("objects").join(&EMPTY_TREE[..2]).join(&EMPTY_TREE[2..]).is_file() => {
            EMPTY_TREE.to_owned()
        }
        _ => hash_object(worktree, at, "tree", &tree_bytes(&others))?,
    };
    let commit = commit_object(worktree, at, &tree, &commits)?;
    let name = ref_names::snapshot_ref(worktree.spec());
    worktree.remove_stale_locks()?;
    refs::write_own_ref(worktree, at, &name, &commit)?;
    Ok((commit, pack))
}

/// Writes a commit with these parents. The same tree and parents always give the same commit.
pub(super) fn commit_object(
    worktree: &LockedWorktree,
    at: &Place,
    tree: &str,
    parents: &BTreeSet<String>,
) -> Result<String, GitError> {
    let mut text = format!("tree {tree}\n");
    for parent in parents {
        let _ = writeln!(text, "parent {parent}");
    }
    text.push_str("author boi <boi@localhost> 0 +0000\ncommitter boi <boi@localhost> 0 +0000\n\n");
    text.push_str("Commits that boi keeps: the state of a repository before a command\n");
    hash_object(worktree, at, "commit", text.as_bytes())
}

/// Writes an object of the type `kind` into the repository and returns its hash.
pub(super) fn hash_object(
    worktree: &LockedWorktree,
    at: &Place,
    kind: &str,
    content: &[u8],
) -> Result<String, GitError> {
    let file = scratch_file(worktree, "object", content)?;
    let args = ["hash-object", "-t", kind, "-w", "--no-filters", "--"];
    Git::writing(at, worktree.lock_file())?.args(args).arg(&file).line()
}

/// A tree object with an entry for each blob and tree (`true`), named by its hash.
fn tree_bytes(objects: &BTreeSet<(String, bool)>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (hash, is_tree) in objects {
        let digits: Vec<u8> = hash.bytes().map(|digit| char::from(digit).to_digit(16).unwrap_or(0) as u8).collect();
        bytes.extend(if *is_tree { b"40000 ".as_slice() } else { b"100644 " });
        bytes.extend(hash.as_bytes());
        bytes.push(0);
        bytes.extend(digits.chunks(2).map(|pair| pair[0] << 4 | pair[pair.len() - 1]));
    }
    bytes
}

fn pack(worktree: &LockedWorktree, at: &Place, objects: &BTreeSet<String>) -> Result<Vec<u8>, GitError> {
    let mut list = String::new();
    for hash in objects {
        let _ = writeln!(list, "{hash}");
    }
    let list = scratch_input(worktree, "objects", list.as_bytes())?;
    Git::reading(at).input(list).args(["pack-objects", "--stdout", "-q"]).run()
}

/// Writes the tag objects of the snapshot into the repository again.
pub(super) fn restore_tags(worktree: &LockedWorktree, snapshot: &Snapshot) -> Result<(), GitError> {
    if snapshot.tags.is_empty() {
        return Ok(());
    }
    let pack = scratch_input(worktree, "objects", &snapshot.tags)?;
    Git::reading(&snapshot.place(worktree)).input(pack).args(["unpack-objects", "-q"]).run()?;
    Ok(())
}

/// Writes a file in the scratch directory, for a git process to read.
pub(super) fn scratch_file(worktree: &LockedWorktree, name: &str, content: &[u8]) -> Result<PathBuf, GitError> {
    replace(worktree, name, content, Durability::Process)
}

/// Writes a file in the scratch directory, and opens it as the input of a git process.
pub(super) fn scratch_input(worktree: &LockedWorktree, name: &str, content: &[u8]) -> Result<File, GitError> {
    let path = scratch_file(worktree, name, content)?;
    let opened = attempt_folder::open(worktree.scratch()).and_then(|folder| folder.file(name));
    opened.and_then(|file| file.ok_or_else(|| ErrorKind::NotFound.into())).map_err(GitError::io("cannot read", &path))
}

fn replace(worktree: &LockedWorktree, name: &str, content: &[u8], durability: Durability) -> Result<PathBuf, GitError> {
    let path = worktree.scratch().join(name);
    attempt_folder::open(worktree.scratch())
        .and_then(|folder| folder.replace(name, content, durability))
        .map_err(GitError::io("cannot write", &path))?;
    Ok(path)
}

/// Writes the snapshot's record.
pub(super) fn write(worktree: &LockedWorktree, snapshot: &Snapshot) -> Result<(), GitError> {
    replace(worktree, RECORD, &encode(snapshot), Durability::Power).map(drop)
}

/// Reads the snapshot's record; `None`: there is none, it is damaged, or it is of another repository.
pub(super) fn read(worktree: &LockedWorktree) -> Option<Snapshot> {
    let bytes = attempt_folder::open(worktree.scratch()).ok()?.read(RECORD, MAX_RECORD).ok()??;
    let is_of_repository = |found: &Snapshot| worktree.common_dir().map_or(true, |known| known == found.common_dir);
    decode(&bytes).filter(is_of_repository)
}

fn encode(snapshot: &Snapshot) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    let mut add = |name: &[u8], value: &[u8]| {
        bytes.extend(format!("{} {}\n", name.len(), value.len()).into_bytes());
        bytes.extend(name);
        bytes.extend(value);
    };
    let RawState { refs, stash, reflogs, worktrees, files } = &snapshot.state;
    add(b"command", snapshot.command.as_bytes());
    add(b"open", if snapshot.open { b"yes" } else { b"no" });
    add(b"common_dir", snapshot.common_dir.as_os_str().as_bytes());
    add(b"commit", snapshot.commit.as_bytes());
    add(b"tags", &snapshot.tags);
    add(b"refs", refs);
    add(b"stash", stash);
    add(b"reflogs", reflogs);
    add(b"worktrees", worktrees);
    for (path, FileState { mode, content }) in files {
        add(&[format!("file {mode:o} ").as_bytes(), path.as_os_str().as_bytes()].concat(), content);
    }
    bytes
}

fn decode(bytes: &[u8]) -> Option<Snapshot> {
    let mut rest = bytes.strip_prefix(MAGIC)?;
    let mut snapshot = Snapshot {
        command: String::new(),
        open: false,
        common_dir: PathBuf::new(),
        state: RawState::default(),
        commit: String::new(),
        tags: Vec::new(),
    };
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| *byte == b'\n')?;
        let head = program::line(&rest[..end]);
        let (name, value) = head.split_once(' ')?;
        let (name, value): (usize, usize) = (name.parse().ok()?, value.parse().ok()?);
        rest = &rest[end + 1..];
        let (name, after) = rest.split_at_checked(name)?;
        let (value, after) = after.split_at_checked(value)?;
        rest = after;
        let state = &mut snapshot.state;
        match name {
            b"command" => snapshot.command = program::line(value),
            b"open" => snapshot.open = value == b"yes",
            b"common_dir" => snapshot.common_dir = PathBuf::from(OsStr::from_bytes(value)),
            b"commit" => snapshot.commit = program::line(value),
            b"tags" => snapshot.tags = value.to_vec(),
            b"refs" => state.refs = value.to_vec(),
            b"stash" => state.stash = value.to_vec(),
            b"reflogs" => state.reflogs = value.to_vec(),
            b"worktrees" => state.worktrees = value.to_vec(),
            _ => {
                let named = name.strip_prefix(b"file ")?;
                let space = named.iter().position(|byte| *byte == b' ')?;
                let mode = u32::from_str_radix(&program::line(&named[..space]), 8).ok()?;
                let path = PathBuf::from(OsString::from_vec(named[space + 1..].to_vec()));
                state.files.insert(path, FileState { mode, content: value.to_vec() });
            }
        }
    }
    Some(snapshot)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_back_and_a_damaged_one_counts_as_missing() {
        let mut state = RawState { refs: b"a\n\xff".to_vec(), stash: b"s".to_vec(), ..RawState::default() };
        let file = FileState { mode: 0o755, content: b"x\0\n".to_vec() };
        state.files.insert(PathBuf::from(OsStr::from_bytes(b"/a \n\xff")), file);
        let snapshot = Snapshot {
            command: "marker".into(),
            open: true,
            common_dir: "/r/.git".into(),
            state,
            commit: "c".into(),
            tags: b"PACK\0\n".to_vec(),
        };
        let bytes = encode(&snapshot);
        assert_eq!(decode(&bytes), Some(snapshot));
        for end in [0, MAGIC.len() + 3, bytes.len() - 1] {
            assert_eq!(decode(&bytes[..end]).filter(|_| end > MAGIC.len()), None);
        }
    }

    #[test]
    fn a_tree_names_each_object_by_its_hash() {
        let objects = [("0aff".to_owned(), false), ("10".to_owned(), true)].into_iter().collect();
        assert_eq!(tree_bytes(&objects), b"100644 0aff\0\x0a\xff40000 10\0\x10");
    }
}
