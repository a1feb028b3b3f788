//! What boi has in a repository, as `boi doctor` looks at it. Nothing here writes.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::git::{self, Git};
use super::{Error, entry};
use crate::domain::id::SpecId;

/// The version of git: its first two numbers, where it says them.
pub fn git_version() -> Result<Option<(u32, u32)>, Error> {
    let said = Git::reading(Path::new("/")).args(["version"]).line()?;
    let mut numbers = said.split_whitespace().nth(2).unwrap_or_default().split('.').map(|part| part.parse().ok());
    Ok(numbers.next().flatten().zip(numbers.next().flatten()))
}

/// The refs that boi made in the repository: branches and kept work.
pub fn own_refs(repo: &Path) -> Result<Vec<String>, Error> {
    let listed =
        Git::reading(repo).args(["for-each-ref", "--format=%(refname)", "refs/heads/boi/", "refs/boi/kept/"]).run()?;
    Ok(String::from_utf8_lossy(&listed).lines().map(str::to_owned).collect())
}

/// The ids that branches and kept work of boi's in the repository are named by.
pub fn ids_in(repo: &Path) -> Result<HashSet<SpecId>, Error> {
    let ids = own_refs(repo)?.into_iter().filter_map(|name| {
        let id =
            name.strip_prefix("refs/heads/boi/").or_else(|| name.strip_prefix("refs/boi/kept/")?.split('/').next());
        id?.parse().ok()
    });
    Ok(ids.collect())
}

/// Working trees below `parent` that the repository has an entry of, and that are not there.
pub fn entries_without_folder(repo: &Path, parent: &Path) -> Result<Vec<PathBuf>, Error> {
    let trees = entries(repo, parent)?.into_iter().map(|(_, tree)| tree);
    Ok(trees.filter(|tree| !tree.exists()).collect())
}

/// Lock files that git left in the entries of working trees below `parent`, and beside boi's branches.
pub fn lock_files(repo: &Path, parent: &Path) -> Result<Vec<PathBuf>, Error> {
    let branches = entry::common_dir(repo)?.join("refs/heads/boi");
    let folders = entries(repo, parent)?.into_iter().map(|(entry, _)| entry).chain([branches]);
    let files = folders.flat_map(|folder| fs::read_dir(folder).into_iter().flatten().flatten());
    let mut locks: Vec<PathBuf> =
        files.map(|file| file.path()).filter(|path| path.extension().is_some_and(|end| end == "lock")).collect();
    locks.sort();
    Ok(locks)
}

/// The entries whose working tree is to be in `parent`, each with that.
fn entries(repo: &Path, parent: &Path) -> Result<Vec<(PathBuf, PathBuf)>, Error> {
    let folder = entry::common_dir(repo)?.join("worktrees");
    let parent = entry::real(parent);
    let read = |entry: PathBuf| {
        let tree = git::path(&fs::read(entry.join("gitdir")).ok()?).parent()?.to_owned();
        (tree.parent() == Some(&parent)).then_some((entry, tree))
    };
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    Ok(entries.filter_map(|file| read(file.path())).collect())
}
