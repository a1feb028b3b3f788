//! Writes and deletes boi's own refs (`refs/boi/...`) in the files in which git stores them, without running git.
//!
//! Each function returns whether it did that; if not, the caller runs git to do it. The functions are called with the
//! worktree's lock held, and hold git's lock of the ref: the file `<REF>.lock`.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::place::Place;
use super::ref_files;
use crate::system::files;

/// The maximum size of the repository's configuration that is read, in bytes.
const MAX_CONFIG: usize = 64 * 1024;

/// Points a ref to an object, which must exist.
pub(super) fn write(at: &Place, name: &str, hash: &str) -> bool {
    let Some(file) = file_of(at, name) else { return false };
    // Git gives the files of a repository that users share other permissions.
    let config = files::read_user_file(&at.common_dir.join("config"), MAX_CONFIG).ok().flatten();
    let config = config.filter(|config| config.len() <= MAX_CONFIG).map(|config| config.to_ascii_lowercase());
    let has = |text: &[u8]| config.as_ref().is_none_or(|config| config.windows(text.len()).any(|part| part == text));
    let is_shared = fs::metadata(at.common_dir.join("refs")).is_ok_and(|refs| refs.mode() & 0o2020 != 0);
    if is_shared
        || has(b"sharedrepository")
        || has(b"[include")
        || fs::create_dir_all(file.parent().unwrap_or(&file)).is_err()
    {
        return false;
    }
    let Some((lock, mut locked)) = acquire(&file) else { return false };
    let written = locked
        .write_all(format!("{hash}\n").as_bytes())
        .and_then(|()| locked.sync_all())
        .and_then(|()| fs::rename(&lock, &file));
    if written.is_err() {
        let _ = fs::remove_file(&lock);
    }
    written.is_ok()
}

/// Deletes a ref.
pub(super) fn delete(at: &Place, name: &str) -> bool {
    let Some(file) = file_of(at, name) else { return false };
    let is_packed = || ref_files::is_packed(at, name) != Some(false);
    if is_packed() {
        return false;
    }
    let Some((lock, _)) = acquire(&file) else { return false };
    // A git process that packs refs reads them while it holds this lock, and writes those that it has read even if they
    // were deleted meanwhile.
    let is_being_packed = || at.common_dir.join("packed-refs.lock").exists();
    let is_deleted = fs::remove_file(&file).is_ok() && !is_being_packed() && !is_packed();
    let _ = fs::remove_file(&lock);
    // Git, too, removes empty folders. This fails, as intended, if there are other refs.
    let folders = file.ancestors().skip(1).take_while(|folder| *folder != at.common_dir.join("refs"));
    let _ = folders.take(2).try_for_each(fs::remove_dir);
    is_deleted
}

/// Returns the file of a ref; `None`: only git can write it.
fn file_of(at: &Place, name: &str) -> Option<PathBuf> {
    let resolved = ref_files::resolve(at, name).filter(|found| found.name == name.as_bytes());
    let file = at.common_dir.join(name);
    let has_log = fs::symlink_metadata(at.common_dir.join("logs").join(name)).is_ok();
    // A command may have replaced a folder by a link.
    let is_folder = |path: &Path| fs::symlink_metadata(path).is_ok_and(|found| found.is_dir());
    let mut folders = file.ancestors().skip(1).take_while(|folder| *folder != at.common_dir);
    let is_plain = folders.all(|folder| is_folder(folder) || fs::symlink_metadata(folder).is_err());
    (name.starts_with("refs/boi/") && resolved.is_some() && !has_log && is_plain).then_some(file)
}

/// Acquires git's lock of a ref; `None`: another process holds it.
fn acquire(file: &Path) -> Option<(PathBuf, File)> {
    let mut lock = file.as_os_str().to_owned();
    lock.push(".lock");
    let lock = PathBuf::from(lock);
    let locked = File::options().write(true).create_new(true).open(&lock).ok()?;
    Some((lock, locked))
}
