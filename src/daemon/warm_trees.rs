//! The fixed paths of worktrees whose repository keeps folders for the next spec, and the bound on the kept folders.
//!
//! A worktree at `<worktrees>/.pool/<REPOSITORY>/<NUMBER>` belongs to one spec from the moment when the queue has recorded
//! the path. It is free again when the folder is gone and no spec has the path.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use tracing::{info, warn};

use crate::git::{WARM, warm_folder};
use crate::system::{files, untrusted};

/// The folder with all such worktrees, below the folder of worktrees.
pub(crate) const POOL: &str = ".pool";
/// How many digits of the hash of a repository's path are a part of its folder's name.
const HASH: usize = 10;
/// The file in a warm folder with its size in bytes.
const SIZE: &str = "size";

/// The paths that workers of this daemon use.
#[derive(Debug, Default)]
pub(crate) struct WarmTrees(Mutex<HashSet<PathBuf>>);

impl WarmTrees {
    /// Reserves a free path for a worktree of a repository, one with kept folders if possible. `is_recorded` says whether the
    /// queue has recorded the path for a spec.
    pub(super) fn reserve<E>(
        &self,
        worktrees: &Path,
        repository: &str,
        is_recorded: impl Fn(&Path) -> Result<bool, E>,
    ) -> Result<PathBuf, E> {
        let folder = folder_of(worktrees, repository);
        let is_there = |path: &Path| fs::symlink_metadata(path).is_ok();
        let mut cold = None;
        let mut number = 1;
        loop {
            let path = folder.join(number.to_string());
            let is_warm = is_there(&warm_folder(&path));
            // All paths with kept folders have small numbers: each new path gets the first free one.
            let is_free = !is_there(&path) && !self.paths().contains(&path) && !is_recorded(&path)?;
            if is_free && is_warm && self.paths().insert(path.clone()) {
                return Ok(path);
            }
            if is_free && cold.is_none() {
                cold = Some(path);
            }
            number += 1;
            if number > fs::read_dir(&folder).map_or(0, Iterator::count) + self.paths().len() + 1
                && let Some(path) = cold.take()
            {
                if self.paths().insert(path.clone()) {
                    return Ok(path);
                }
                number = 1;
            }
        }
    }

    /// Notes that a worker uses a path.
    pub(super) fn enter(&self, path: &Path) {
        if is_pooled(path) {
            self.paths().insert(path.to_owned());
        }
    }

    /// Notes that a worker does not use a path any more.
    pub(super) fn leave(&self, path: &Path) {
        self.paths().remove(path);
    }

    fn paths(&self) -> MutexGuard<'_, HashSet<PathBuf>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a worktree has one of the fixed paths.
pub(crate) fn is_pooled(worktree: &Path) -> bool {
    worktree.ancestors().nth(2).and_then(Path::file_name).is_some_and(|name| name == POOL)
}

/// Returns the path of a link to a pooled worktree, by which people find the worktree of a spec.
pub(crate) fn link_of(worktree: &Path, spec: &str) -> Option<PathBuf> {
    is_pooled(worktree).then(|| worktree.ancestors().nth(3).map(|worktrees| worktrees.join(spec)))?
}

fn folder_of(worktrees: &Path, repository: &str) -> PathBuf {
    let path = Path::new(repository);
    let named = if path.ends_with(".git") { path.parent().unwrap_or(path) } else { path };
    let name = named.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let name: String = name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect();
    let hash = &blake3::hash(repository.as_bytes()).to_hex()[..HASH];
    worktrees.join(POOL).join(format!("{name}-{hash}"))
}

/// Removes the kept folders that were kept longest ago, until the rest has at most `most` bytes.
pub(super) fn trim(worktrees: &Path, most: u64) {
    let mut warm = Vec::new();
    for repository in files::list_folder(&worktrees.join(POOL)).unwrap_or_default() {
        for path in files::list_folder(&repository).unwrap_or_default() {
            if path.to_string_lossy().ends_with(WARM)
                && let Ok(size) = size_of(&path)
            {
                let at = fs::metadata(&path).and_then(|found| found.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
                warm.push((at, size, path));
            }
        }
    }
    warm.sort();
    let mut total: u64 = warm.iter().map(|(_, size, _)| size).sum();
    for (_, size, path) in warm {
        if total <= most {
            break;
        }
        let doomed = path.with_extension("removed");
        let removed = untrusted::remove(&doomed)
            .and_then(|()| fs::rename(&path, &doomed))
            .and_then(|()| untrusted::remove(&doomed));
        match removed {
            Ok(()) => {
                info!(path = %path.display(), bytes = size, "boi removed kept folders, because together they have more than max_warm_gb")
            }
            Err(error) => warn!(path = %path.display(), %error, "boi cannot remove kept folders"),
        }
        total = total.saturating_sub(size);
    }
}

/// Returns the disk space that a warm folder uses. Measures it only once.
fn size_of(warm: &Path) -> io::Result<u64> {
    let record = warm.join(SIZE);
    if let Some(size) = fs::read_to_string(&record).ok().and_then(|text| text.parse().ok()) {
        return Ok(size);
    }
    let modified = fs::metadata(warm)?.modified()?;
    let mut size = 0;
    let mut waiting = vec![warm.to_owned()];
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(&folder)?.flatten() {
            let Ok(metadata) = entry.metadata() else { continue };
            // A file with several links is counted in each place: few build tools make such files.
            size += metadata.blocks() * 512;
            if metadata.is_dir() {
                waiting.push(entry.path());
            }
        }
    }
    files::write_atomically(&record, size.to_string().as_bytes(), files::Durability::Process)?;
    // The order of removal follows this time.
    fs::File::open(warm)?.set_modified(modified)?;
    Ok(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn free(_: &Path) -> Result<bool, ()> {
        Ok(false)
    }

    #[test]
    fn a_path_has_one_user_and_one_with_kept_folders_is_preferred() {
        let dir = tempfile::tempdir().unwrap();
        let trees = WarmTrees::default();
        let reserve = || trees.reserve(dir.path(), "/src/my api/.git", free).unwrap();
        let first = reserve();
        assert!(first.ends_with("1") && is_pooled(&first), "{first:?}");
        assert!(first.parent().unwrap().file_name().unwrap().to_string_lossy().starts_with("my_api-"), "{first:?}");
        assert_eq!(link_of(&first, "SD979"), Some(dir.path().join("SD979")));
        assert!(reserve().ends_with("2"));
        trees.leave(&first);
        fs::create_dir_all(&first).unwrap();
        assert!(reserve().ends_with("3"), "another spec's worktree is at 1");
        let warm = first.with_file_name("4");
        fs::create_dir_all(warm_folder(&warm)).unwrap();
        assert_eq!(reserve(), warm);
        let recorded = first.with_file_name("5");
        let next = trees.reserve(dir.path(), "/src/my api/.git", |path| Ok::<_, ()>(path == recorded)).unwrap();
        assert!(next.ends_with("6"), "{next:?}");
        assert!(trees.reserve(dir.path(), "/src/other/.git", free).unwrap().ends_with("1"));
        assert!(!is_pooled(&dir.path().join("SD979")));
    }

    #[test]
    fn the_folders_that_were_kept_longest_ago_are_removed_first() {
        let dir = tempfile::tempdir().unwrap();
        let folder = folder_of(dir.path(), "/r/.git");
        let make = |number: u64| {
            let warm = warm_folder(&folder.join(number.to_string()));
            fs::create_dir_all(warm.join("0")).unwrap();
            fs::write(warm.join("0/file"), vec![b'x'; 1 << 20]).unwrap();
            let at = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(number);
            fs::File::open(&warm).unwrap().set_modified(at).unwrap();
            warm
        };
        let [old, young] = [make(1), make(2)];
        trim(dir.path(), 10 << 20);
        assert!(old.exists() && young.exists());
        trim(dir.path(), 3 << 19);
        assert!(!old.exists() && young.exists());
        trim(dir.path(), 0);
        assert!(!young.exists());
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    }
}
