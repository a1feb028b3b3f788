//! Whether a daemon could begin on a queue, and which queue was used before. Nothing here begins one.

use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{Access as Permission, access};

use super::{Access, SqliteStore};
use crate::domain::view::Counts;
use crate::queue::{Store, StoreError};
use crate::system::files;
use crate::system::paths::Home;

/// How long a command that writes to the queue is waited for, as a daemon does at its start.
const PATIENCE: Duration = Duration::from_secs(2);

impl SqliteStore {
    /// Refuses a queue that no daemon could begin on. `own`: whoever has it open for writing will leave it.
    pub fn check_usable(home: &Home, own: bool) -> Result<(), StoreError> {
        let path = home.db();
        let error = |source: io::Error| StoreError::Open { path: path.to_owned(), source: source.into() };
        let there = path.exists();
        match access(path.parent().unwrap_or(Path::new("/")), Permission::WRITE_OK | Permission::EXEC_OK) {
            Err(_) if there => return Err(StoreError::ReadOnly { path: path.to_owned() }),
            Err(refused) => return Err(error(refused.into())),
            Ok(()) => {}
        }
        if there && access(path, Permission::WRITE_OK).is_err() {
            return Err(StoreError::ReadOnly { path: path.to_owned() });
        }
        let until = Instant::now() + PATIENCE;
        while !own && files::is_locked(&path.with_extension("lock")).map_err(error)? {
            if Instant::now() >= until {
                return Err(StoreError::InUse { path: path.to_owned() });
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        match SqliteStore::open_home(home, Access::Read) {
            Err(StoreError::Missing { .. }) => Ok(()),
            // It is to be brought up to date, which only its writer can do.
            Err(StoreError::InUse { .. }) if own => Ok(()),
            opened => opened.map(drop),
        }
    }

    /// Where the queue of `home` was when it was last opened for writing.
    pub fn last_used(home: &Home) -> Option<PathBuf> {
        Some(PathBuf::from(std::ffi::OsString::from_vec(std::fs::read(home.queue_record()).ok()?)))
    }

    /// Whether the queue of `home` is the one that it used before.
    pub fn is_last_used(home: &Home) -> bool {
        SqliteStore::last_used(home).is_some_and(|path| is_same_file(&path, home.db()))
    }

    /// The queue that `home` used before, where it is another one than now, and how many specs it holds.
    pub fn left_behind(home: &Home) -> Option<(PathBuf, Counts)> {
        let before = SqliteStore::last_used(home).filter(|path| !is_same_file(path, home.db()))?;
        let counts = SqliteStore::open(&before, Access::Read).and_then(|store| store.counts()).ok()?;
        Some((before, counts))
    }
}

/// Whether two paths lead to one place, by whatever names.
fn is_same_file(one: &Path, other: &Path) -> bool {
    let file = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    file(one) == file(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_that_cannot_be_used_is_refused_and_none_is_begun() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().join("boi"));
        home.prepare().unwrap();
        SqliteStore::check_usable(&home, false).unwrap();
        assert!(!home.db().exists() && SqliteStore::last_used(&home).is_none());
        let writer = SqliteStore::open_home(&home, Access::Write(Duration::ZERO)).unwrap();
        SqliteStore::check_usable(&home, true).unwrap();
        assert!(matches!(SqliteStore::check_usable(&home, false), Err(StoreError::InUse { .. })));
        drop(writer);
        assert_eq!(SqliteStore::left_behind(&home), None);
        std::fs::write(home.db(), "no database").unwrap();
        assert!(matches!(SqliteStore::check_usable(&home, true), Err(StoreError::Broken { .. })));
    }
}
