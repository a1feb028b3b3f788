//! Finds the submodules of a commit, and for each the user's clone of it, from which a worktree gets its files. This module
//! only reads.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use super::git_error::GitError;
use super::place::Place;
use super::program::Git;
use super::small_file;

/// A link to a commit of a submodule, in a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Gitlink {
    /// The path of the submodule in the repository that contains it.
    pub(super) path: PathBuf,
    pub(super) commit: String,
}

/// The user's clone of a repository that has submodules.
pub(super) struct Parent {
    /// The place in which the repository's configuration says which submodules are initialised.
    at: Place,
    /// The working tree; the user may have removed it.
    work_tree: PathBuf,
}

/// The user's clone of a submodule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    /// The git directory with its objects and refs.
    pub(super) common_dir: PathBuf,
}

/// What a parent has of its submodules.
pub(super) struct Known {
    /// The name of the submodule at each path, from the file `.gitmodules` of the commit.
    names: BTreeMap<PathBuf, String>,
    /// The names of the submodules that are initialised.
    initialised: BTreeSet<String>,
}

/// Returns the submodules that a commit names, without those that they contain.
pub(super) fn gitlinks(at: &Place, commit: &str) -> Result<Vec<Gitlink>, GitError> {
    let listed = Git::reading(at).args(["ls-tree", "-r", "-z", commit]).run()?;
    let entries = listed.split(|byte| *byte == 0).filter_map(|entry| entry.strip_prefix(b"160000 commit "));
    let gitlink = |entry: &[u8]| {
        let tab = entry.iter().position(|byte| *byte == b'\t')?;
        let commit = String::from_utf8(entry[..tab].to_vec()).ok()?;
        Some(Gitlink { path: OsStr::from_bytes(&entry[tab + 1..]).into(), commit })
    };
    Ok(entries.filter_map(gitlink).collect())
}

/// Returns the name of the submodule at each path, from the file `.gitmodules` of a commit.
pub(super) fn names(at: &Place, commit: &str) -> Result<BTreeMap<PathBuf, String>, GitError> {
    let blob = format!("{commit}:.gitmodules");
    let args = ["config", "-z", "--blob", &blob, "--get-regexp", r"^submodule\..*\.path$"];
    let printed = Git::reading(at).args(args).output()?.stdout;
    let settings = settings(&printed).into_iter();
    Ok(settings.map(|(name, _, path)| (PathBuf::from(OsStr::from_bytes(path)), name)).collect())
}

impl Parent {
    /// Returns the user's clone at `at`.
    pub(super) fn new(at: Place) -> Parent {
        Parent { work_tree: at.work_tree.clone(), at }
    }

    /// Returns the submodule at `path` as the parent of the submodules in it.
    pub(super) fn inner(&self, path: &Path, source: &Source) -> Parent {
        let at = Place::of_repository(&source.common_dir, &self.at.watch);
        Parent { at, work_tree: self.work_tree.join(path) }
    }

    /// Reads the names of the submodules of `commit`, which the repository at `of` contains, and which of them are
    /// initialised.
    pub(super) fn known(&self, of: &Place, commit: &str) -> Result<Known, GitError> {
        let names = names(of, commit)?;
        let args = ["config", "-z", "--get-regexp", r"^submodule\..*\.(url|active)$"];
        let (mut initialised, mut inactive) = (BTreeSet::new(), BTreeSet::new());
        for (name, key, value) in settings(&Git::reading(&self.at).args(args).output()?.stdout) {
            match key.as_str() {
                "url" => drop(initialised.insert(name)),
                _ if value == b"true" => drop(inactive.remove(&name)),
                _ => drop(inactive.insert(name)),
            }
        }
        initialised.retain(|name| !inactive.contains(name));
        Ok(Known { names, initialised })
    }

    /// Finds the user's clone of a submodule that has the commit of the link. `Err`: why there is none.
    pub(super) fn source(&self, known: &Known, link: &Gitlink) -> Result<Result<Source, String>, GitError> {
        let mut found = Vec::new();
        if is_real_folder(&self.work_tree, &link.path)
            && let Some(checked_out) = Place::linked_from(&self.work_tree.join(&link.path), &self.at.watch)
        {
            found.push(checked_out.common_dir);
        }
        let name = known.names.get(&link.path).filter(|name| known.initialised.contains(*name) && is_plain(name));
        if let Some(name) = name {
            let modules = [&self.at.git_dir, &self.at.common_dir].map(|dir| dir.join("modules").join(name));
            found.extend(modules.into_iter().filter(|dir| is_repository(dir)));
        }
        for common_dir in &found {
            let at = Place::of_repository(common_dir, &self.at.watch);
            let tree = format!("{}^{{tree}}", link.commit);
            if Git::reading(&at).args(["cat-file", "-e", &tree]).output()?.code == Some(0) {
                return Ok(Ok(Source { common_dir: common_dir.clone() }));
            }
        }
        Ok(Err(match found.first() {
            Some(common_dir) => format!("{} lacks the commit {}", common_dir.display(), link.commit),
            None => "it is not initialised in the user's clone".to_owned(),
        }))
    }
}

impl Source {
    /// Returns the tags and the branches of remotes, in the format of git's file `packed-refs`.
    pub(super) fn packed_refs(&self, at: &Place) -> Result<Vec<u8>, GitError> {
        let format = "--format=%(objectname) %(refname)";
        let at = Place::of_repository(&self.common_dir, &at.watch);
        Git::reading(&at).args(["for-each-ref", format, "refs/tags", "refs/remotes"]).run()
    }

    /// Returns the commits whose parents the clone lacks, if it is shallow.
    pub(super) fn shallow(&self) -> Option<Vec<u8>> {
        small_file::read(&self.common_dir.join("shallow"))
    }
}

/// Whether every component of `path` below `root` is a folder, and none a symbolic link.
pub(super) fn is_real_folder(root: &Path, path: &Path) -> bool {
    let mut folder = root.to_owned();
    path.components().all(|component| {
        folder.push(component);
        fs::symlink_metadata(&folder).is_ok_and(|found| found.is_dir())
    })
}

/// Whether the name of a submodule is a path that stays inside the folder to which it is relative.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && Path::new(name).components().all(|component| matches!(component, Component::Normal(_)))
}

fn is_repository(dir: &Path) -> bool {
    dir.join("objects").is_dir() && small_file::read(&dir.join("HEAD")).is_some()
}

/// Parses the settings `submodule.NAME.KEY` that `git config -z` printed, into names, keys and values.
fn settings(printed: &[u8]) -> Vec<(String, String, &[u8])> {
    let parse = |entry| {
        let (key, value) = split(entry);
        let (name, key) = str::from_utf8(key).ok()?.strip_prefix("submodule.")?.rsplit_once('.')?;
        Some((name.to_owned(), key.to_owned(), value))
    };
    printed.split(|byte| *byte == 0).filter_map(parse).collect()
}

/// Separates a key and its value. A key without a value is true.
fn split(entry: &[u8]) -> (&[u8], &[u8]) {
    match entry.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&entry[..end], &entry[end + 1..]),
        None => (entry, b"true"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_nowhere_else() {
        for (name, plain) in
            [("a", true), ("a/b ü", true), ("", false), ("..", false), ("a/../../b", false), ("/a", false)]
        {
            assert_eq!(is_plain(name), plain, "{name:?}");
        }
    }

    #[test]
    fn settings_of_submodules_are_parsed() {
        let printed = b"submodule.a.b.url\n/x\ny\0submodule.c.active\0other.d.url\nz\0";
        let expected = [("a.b".to_owned(), "url".to_owned(), &b"/x\ny"[..]), ("c".into(), "active".into(), b"true")];
        assert_eq!(settings(printed), expected);
    }
}
