//! Reads the shared part of a repository from git's files, without running git, in the form in which git prints it.
//!
//! Git proves that each object exists and tells its type. Both are known of objects in the last snapshot, and of commits
//! in files of their own. Each function returns `None` if boi cannot tell what git would print.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::place::Place;
use super::{entry, loose_object, ref_files, small_file};
use crate::system::files;

/// The maximum size of a reflog that is read, in bytes.
const MAX_LOG: usize = 16 << 20;
/// The maximum number of objects that are read to tell their types.
const MAX_OBJECTS: usize = 500;

/// The objects of a repository whose types are known.
pub(super) struct Known<'a> {
    at: &'a Place,
    /// The types of each object that a ref named in the last snapshot, as `git for-each-ref` printed them: its own, and
    /// the hash and type of the object that it names if it is a tag.
    types: BTreeMap<Vec<u8>, Vec<u8>>,
    commits: BTreeSet<Vec<u8>>,
    /// How many objects were read.
    read: usize,
}

impl<'a> Known<'a> {
    /// Knows the objects in the last snapshot of the repository at `at`: in its lines of refs, and of stash and reflogs.
    pub(super) fn new(at: &'a Place, refs: &[u8], logs: [&[u8]; 2]) -> Known<'a> {
        let types = refs.split(|byte| *byte == b'\n').filter_map(|line| {
            let mut fields = line.splitn(5, |byte| *byte == b' ');
            let (hash, kind, peeled, peeled_kind) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
            Some((hash.to_vec(), [kind, peeled, peeled_kind].join(&b' ')))
        });
        let first = |line: &[u8]| line.split(|byte| *byte == b' ').next().map(<[u8]>::to_vec);
        let commits = logs.into_iter().flat_map(|log| log.split(|byte| *byte == b'\n')).filter_map(first);
        Known { at, types: types.collect(), commits: commits.collect(), read: 0 }
    }

    fn is_commit(&mut self, hash: &str) -> bool {
        let is_known = self.types.get(hash.as_bytes()).is_some_and(|types| types.starts_with(b"commit "));
        if is_known || self.commits.contains(hash.as_bytes()) {
            return true;
        }
        self.read += 1;
        let is_commit = self.read <= MAX_OBJECTS && loose_object::is_commit(self.at, hash);
        if is_commit {
            self.commits.insert(hash.as_bytes().to_vec());
        }
        is_commit
    }

    /// Lists the refs like `git for-each-ref`, without boi's own refs and the branch `own`.
    pub(super) fn refs(&mut self, own: &str) -> Option<Vec<u8>> {
        let mut lines = Vec::new();
        for (name, resolved) in ref_files::list(self.at, "refs/")? {
            if name.starts_with(b"refs/boi/") || name == own.as_bytes() {
                continue;
            }
            let hash = resolved.hash?;
            // The types of the object and of the object that a tag names.
            let types = match self.types.get(hash.as_bytes()).cloned() {
                Some(types) => types,
                None if self.is_commit(&hash) => b"commit  ".to_vec(),
                None => return None,
            };
            let symbolic = if resolved.name == name { b"".as_slice() } else { &resolved.name };
            lines.extend([hash.as_bytes(), b" ", &types, b" ", symbolic, b" ", &name, b"\n"].concat());
        }
        Some(lines)
    }

    /// Lists the stash like `git log -g`.
    pub(super) fn stash(&mut self) -> Option<Vec<u8>> {
        let mut lines = Vec::new();
        for (hash, message) in read_log(&self.at.common_dir.join("logs/refs/stash"))?.into_iter().rev() {
            if !self.is_commit(&hash) {
                return None;
            }
            lines.extend([hash.as_bytes(), b" ", &message, b"\n"].concat());
        }
        Some(lines)
    }

    /// Lists the hashes in the reflogs of HEAD: of the main working tree, and of the working trees with the entries
    /// `entries`. There may be at most `limit` hashes.
    pub(super) fn reflogs(&mut self, entries: impl Iterator<Item = PathBuf>, limit: usize) -> Option<Vec<u8>> {
        let mut lines = Vec::new();
        let mut count = 0;
        for dir in std::iter::once(self.at.common_dir.clone()).chain(entries) {
            for (hash, _) in read_log(&dir.join("logs/HEAD"))?.into_iter().rev() {
                count += 1;
                if count > limit || !self.is_commit(&hash) {
                    return None;
                }
                lines.extend([hash.as_bytes(), b"\n"].concat());
            }
        }
        Some(lines)
    }
}

/// Lists the worktrees like `git worktree list --porcelain`: their paths, and what their HEADs name.
pub(super) fn worktrees(at: &Place) -> Option<Vec<u8>> {
    let main = at.common_dir.as_os_str().as_bytes();
    let mut listed = worktree(at, &at.common_dir, main.strip_suffix(b"/.git").unwrap_or(main))?;
    let mut entries = files::list_folder(&at.common_dir.join("worktrees")).ok()?;
    entries.sort();
    for entry in entries {
        let link = small_file::read(&entry.join("gitdir"));
        match link.as_deref() {
            // Git has not finished creating this entry.
            Some([]) => continue,
            None if !entry.join("gitdir").exists() => continue,
            link => {
                let path = link?.strip_suffix(b"\n")?.strip_suffix(b"/.git")?;
                if !path.starts_with(b"/") {
                    return None;
                }
                listed.extend(worktree(at, &entry, path)?);
            }
        }
    }
    Some(listed)
}

fn worktree(at: &Place, git_dir: &Path, path: &[u8]) -> Option<Vec<u8>> {
    let at = Place { git_dir: git_dir.to_owned(), ..at.clone() };
    let on = ref_files::head_ref(&at)?;
    let hash = ref_files::resolve(&at, "HEAD")?.hash;
    let mut text = String::new();
    writeln!(text, "\nHEAD {}", hash.unwrap_or_else(|| "0".repeat(40))).ok()?;
    match on {
        Some(branch) => writeln!(text, "branch {branch}\n").ok()?,
        None => text.push_str("detached\n\n"),
    }
    Some([b"worktree ", path, text.as_bytes()].concat())
}

/// Reads the new hash and the message of each entry of a reflog; empty if there is none.
fn read_log(file: &Path) -> Option<Vec<(String, Vec<u8>)>> {
    let bytes = match files::read_user_file(file, MAX_LOG) {
        Ok(Some(bytes)) if bytes.len() <= MAX_LOG => bytes,
        Ok(None) => return Some(Vec::new()),
        Err(error) if error.kind() == ErrorKind::NotADirectory => return Some(Vec::new()),
        _ => return None,
    };
    let mut entries = Vec::new();
    let Some(lines) = bytes.strip_suffix(b"\n") else { return bytes.is_empty().then_some(entries) };
    for line in lines.split(|byte| *byte == b'\n') {
        // Each line is `OLD NEW WHO WHEN<tab>MESSAGE`.
        let mut words = line.splitn(3, |byte| *byte == b' ');
        let (old, new) = (words.next()?, words.next()?);
        let hash = entry::parse_hash(str::from_utf8(new).ok()?)?;
        entry::parse_hash(str::from_utf8(old).ok()?)?;
        let rest = words.next()?;
        let message = rest.iter().position(|byte| *byte == b'\t').map_or(b"".as_slice(), |tab| &rest[tab + 1..]);
        entries.push((hash, message.to_vec()));
    }
    Some(entries)
}
