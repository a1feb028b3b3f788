//! Plans how a checkout's files change from one commit to another, and finds files of the user that are in the way.
//!
//! The content of submodules is not changed, as in `git checkout`: boi makes an empty folder for a new submodule, and
//! removes the folder of an old one if it is empty.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::journal::{Identity, Move, StoredPath};
use crate::git::GitError;

/// The type of the entry that a commit has at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    Nothing,
    /// A file or a symbolic link.
    File,
    Submodule,
}

/// A path at which two commits differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) path: PathBuf,
    pub(super) old: Entry,
    pub(super) new: Entry,
}

/// A planned change of a checkout.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Relative to the checkout: the folders `.boi-delivery-<SPEC>` that are needed.
    pub(super) folders: Vec<PathBuf>,
    pub(super) moves: Vec<Move>,
    /// Untracked or ignored files at paths at which the commit has other files.
    pub(super) in_the_way: Vec<PathBuf>,
}

/// Parses the output of `git diff-tree -r -z --raw --no-renames`.
pub(super) fn parse_differences(raw: &[u8]) -> Vec<Difference> {
    let mut fields = raw.split(|byte| *byte == 0);
    let mut found = Vec::new();
    // Each change is `:OLD_MODE NEW_MODE ...`, then its path.
    while let (Some(change), Some(path)) = (fields.next(), fields.next()) {
        let mut modes = change.strip_prefix(b":").unwrap_or(change).split(|byte| *byte == b' ');
        let mut entry = || match modes.next() {
            Some(b"000000") | None => Entry::Nothing,
            Some(b"160000") => Entry::Submodule,
            Some(_) => Entry::File,
        };
        let (old, new) = (entry(), entry());
        found.push(Difference { path: PathBuf::from(OsStr::from_bytes(path)), old, new });
    }
    found
}

/// Where the new content of files is made before it is moved into the checkout.
#[derive(Debug)]
pub(super) struct Staging<'a> {
    checkout: &'a Path,
    /// The folder of the delivery.
    folder: &'a Path,
    /// The name of a folder in the checkout for files on another file system.
    name_in_checkout: String,
    devices: BTreeMap<u64, usize>,
    folders: Vec<PathBuf>,
}

impl<'a> Staging<'a> {
    pub(super) fn new(checkout: &'a Path, folder: &'a Path, name_in_checkout: String) -> Result<Staging<'a>, GitError> {
        let device = fs::metadata(folder).map_err(GitError::io("cannot read", folder))?.dev();
        Ok(Staging { checkout, folder, name_in_checkout, devices: BTreeMap::from([(device, 0)]), folders: Vec::new() })
    }

    /// The number of the folder on the file system of `path`, which is relative to the checkout.
    pub(super) fn folder_for(&mut self, path: &Path) -> usize {
        let parents: Vec<&Path> = path.ancestors().skip(1).collect();
        let device = |parent: &Path| fs::metadata(self.checkout.join(parent)).ok().map(|found| found.dev());
        let Some(own) = parents.iter().find_map(|parent| device(parent)) else { return 0 };
        if let Some(number) = self.devices.get(&own) {
            return *number;
        }
        let top = parents.iter().rev().find(|parent| device(parent) == Some(own)).copied().unwrap_or(Path::new(""));
        self.folders.push(top.join(&self.name_in_checkout));
        self.devices.insert(own, self.folders.len());
        self.folders.len()
    }

    /// The path of a folder by its number.
    pub(super) fn path_of(&self, number: usize) -> PathBuf {
        match number.checked_sub(1) {
            None => self.folder.to_owned(),
            Some(index) => self.checkout.join(&self.folders[index]),
        }
    }

    /// The folders in the checkout, relative to it.
    pub(super) fn folders(&self) -> &[PathBuf] {
        &self.folders
    }
}

/// Plans the moves for `differences`. [`Plan::complete`] adds the identities of the new files once they are made.
/// `originals` has the identity that each file had before the check that the checkout is clean.
pub(super) fn plan(
    staging: &mut Staging<'_>,
    differences: &[Difference],
    originals: &BTreeMap<PathBuf, Identity>,
) -> Result<Plan, GitError> {
    let checkout = staging.checkout;
    let unreadable = |path: &Path, error| GitError::io("cannot read", &checkout.join(path))(error);
    let mut plan = Plan::default();
    let mut number = 0;
    let mut aside = |staging: &mut Staging<'_>, path: &Path, original: Identity| {
        number += 1;
        Move::Aside { path: StoredPath(path.to_owned()), folder: staging.folder_for(path), number, original }
    };
    let placed: Vec<&Difference> = differences.iter().filter(|found| found.new == Entry::File).collect();
    // Paths at which no file is left after the first moves.
    let mut gone = Gone::default();
    let replaced: BTreeSet<&Path> = placed.iter().map(|found| found.path.as_path()).collect();
    for found in differences.iter().filter(|found| found.old == Entry::File) {
        let Some(original) = originals.get(&found.path) else { continue };
        gone.insert(&found.path);
        if !replaced.contains(found.path.as_path()) {
            plan.moves.push(aside(staging, &found.path, *original));
        }
    }
    let needed: BTreeSet<&Path> = differences
        .iter()
        .filter(|found| found.new != Entry::Nothing)
        .flat_map(|found| found.path.ancestors().skip(1))
        .collect();
    let mut emptied: Vec<PathBuf> = differences
        .iter()
        .filter(|found| found.new == Entry::Nothing || found.new == Entry::File && found.old == Entry::Submodule)
        .flat_map(|found| match found.old {
            Entry::Submodule => found.path.ancestors(),
            _ => found.path.parent().map_or(Path::new("").ancestors(), Path::ancestors),
        })
        .filter(|path| !path.as_os_str().is_empty() && !needed.contains(path))
        .map(Path::to_owned)
        .collect();
    emptied.sort_by_key(|path| std::cmp::Reverse(path.components().count()));
    emptied.dedup();
    let mut seen = BTreeSet::new();
    for path in emptied.into_iter().filter(|path| seen.insert(path.clone())) {
        let Ok(folder) = fs::symlink_metadata(checkout.join(&path)) else { continue };
        if !folder.is_dir()
            || !is_emptied(&checkout.join(&path), &path, &gone).map_err(|error| unreadable(&path, error))?
        {
            continue;
        }
        plan.moves.push(Move::RemoveFolder { path: StoredPath(path.clone()), mode: folder.mode() });
        gone.insert(&path);
    }
    let mut ready: BTreeSet<&Path> = BTreeSet::new();
    for found in differences.iter().filter(|found| found.new != Entry::Nothing) {
        let is_known = found.old == Entry::Submodule && found.new == Entry::Submodule;
        let folders = found.path.ancestors().skip(usize::from(found.new == Entry::File || is_known));
        let mut folders: Vec<&Path> = folders.filter(|path| !path.as_os_str().is_empty()).collect();
        folders.reverse();
        for folder in folders {
            if !ready.insert(folder) {
                continue;
            }
            let must_be_made = match fs::symlink_metadata(checkout.join(folder)) {
                Ok(exists) if gone.has(checkout, folder, &exists) => true,
                Ok(exists) if exists.is_dir() => false,
                Ok(_) => {
                    plan.in_the_way.push(folder.to_owned());
                    false
                }
                Err(error) if is_absent(&error) => true,
                Err(error) => return Err(unreadable(folder, error)),
            };
            if must_be_made {
                plan.moves.push(Move::MakeFolder { path: StoredPath(folder.to_owned()) });
            }
        }
    }
    for found in placed {
        let path = &found.path;
        if let (Some(original), Entry::File) = (originals.get(path), found.old) {
            plan.moves.push(aside(staging, path, *original));
        } else {
            match fs::symlink_metadata(checkout.join(path)) {
                Ok(exists) if !gone.has(checkout, path, &exists) => {
                    plan.in_the_way.push(path.clone());
                }
                Err(error) if !is_absent(&error) => return Err(unreadable(path, error)),
                _ => {}
            }
        }
        let folder = staging.folder_for(path);
        plan.moves.push(Move::Place { path: StoredPath(path.clone()), folder, fresh: Identity::default() });
    }
    plan.folders = staging.folders().to_vec();
    plan.in_the_way.sort();
    plan.in_the_way.dedup();
    Ok(plan)
}

impl Plan {
    /// Records the new content of each file, which is in its staging folder.
    pub(super) fn complete(&mut self, staging: &Staging<'_>) -> Result<(), GitError> {
        for change in &mut self.moves {
            if let Move::Place { path, folder, fresh } = change {
                let staged = staging.path_of(*folder).join("new").join(&path.0);
                *fresh = Identity::of(&fs::symlink_metadata(&staged).map_err(GitError::io("cannot read", &staged))?);
            }
        }
        Ok(())
    }
}

/// Whether a folder contains only paths in `gone`.
fn is_emptied(folder: &Path, relative: &Path, gone: &Gone) -> io::Result<bool> {
    for entry in fs::read_dir(folder)? {
        if !gone.paths.contains(&relative.join(entry?.file_name())) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Paths from which files and folders are moved away.
#[derive(Debug, Default)]
struct Gone {
    paths: BTreeSet<PathBuf>,
    in_lower_case: BTreeMap<String, Vec<PathBuf>>,
}

impl Gone {
    fn insert(&mut self, path: &Path) {
        self.in_lower_case.entry(lower_case(path)).or_default().push(path.to_owned());
        self.paths.insert(path.to_owned());
    }

    /// Whether the file `found` at `path` is moved away, also under a name that differs in case: on a file system that
    /// ignores case, a lookup of `README` finds `Readme`.
    fn has(&self, checkout: &Path, path: &Path, found: &fs::Metadata) -> bool {
        if self.paths.contains(path) {
            return true;
        }
        let is_found = |other: &PathBuf| {
            fs::symlink_metadata(checkout.join(other))
                .is_ok_and(|other| (other.dev(), other.ino()) == (found.dev(), found.ino()))
        };
        self.in_lower_case.get(&lower_case(path)).is_some_and(|others| others.iter().any(is_found))
    }
}

fn lower_case(path: &Path) -> String {
    path.to_string_lossy().to_lowercase()
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_differences_of_two_commits_are_parsed() {
        let raw = b":100644 000000 aaa 000 D\0gone\0:000000 120000 000 bbb A\0new\nlink\0:100644 160000 a b T\0\xff\0";
        let found = parse_differences(raw);
        let expected = [
            (&b"gone"[..], Entry::File, Entry::Nothing),
            (b"new\nlink", Entry::Nothing, Entry::File),
            (b"\xff", Entry::File, Entry::Submodule),
        ];
        let expected =
            expected.map(|(path, old, new)| Difference { path: PathBuf::from(OsStr::from_bytes(path)), old, new });
        assert_eq!(found, expected);
        assert_eq!(parse_differences(b""), []);
    }
}
