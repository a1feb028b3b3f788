//! Tells whether a file of a small folder was written, without reading the files.

use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::system::files;

/// The maximum number of files and folders. Git does not read ignored folders, so in a larger folder git is faster.
const MAX_FILES: usize = 2_000;

/// What identifies the state of all files and folders below a folder: every write changes a time, an inode or a size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileTimes(String);

/// Returns the state of a folder; `None`: it contains too many files, or cannot be read.
pub(crate) fn read_file_times(folder: &Path) -> Option<FileTimes> {
    let (mut state, mut count) = (blake3::Hasher::new(), 0);
    add(&mut state, folder, &fs::symlink_metadata(folder).ok()?, &mut count)?;
    Some(FileTimes(state.finalize().to_hex().to_string()))
}

/// The files of a worktree that were found equal to a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CheckedFiles {
    commit: String,
    /// The state of the files before they were compared with the commit.
    times: FileTimes,
}

impl CheckedFiles {
    /// `times`: the state of the files before they were compared with `commit`; `None`: it is not known.
    pub(crate) fn new(commit: &str, times: Option<FileTimes>) -> Option<CheckedFiles> {
        Some(CheckedFiles { commit: commit.to_owned(), times: times? })
    }

    pub(super) fn commit(&self) -> &str {
        &self.commit
    }

    /// Whether no file in `folder`, the worktree, was written since.
    pub(super) fn is_unwritten(&self, folder: &Path) -> bool {
        read_file_times(folder).as_ref() == Some(&self.times)
    }
}

fn add(state: &mut blake3::Hasher, path: &Path, file: &Metadata, count: &mut usize) -> Option<()> {
    *count += 1;
    if *count > MAX_FILES {
        return None;
    }
    let bytes = path.as_os_str().as_bytes();
    state.update(&bytes.len().to_ne_bytes()).update(bytes);
    for number in [file.dev(), file.ino(), file.mode().into(), file.size()] {
        state.update(&number.to_ne_bytes());
    }
    for time in [file.ctime(), file.ctime_nsec(), file.mtime(), file.mtime_nsec()] {
        state.update(&time.to_ne_bytes());
    }
    if !file.is_dir() {
        return Some(());
    }
    let mut paths = files::list_folder(path).ok()?;
    paths.sort();
    paths.iter().try_for_each(|path| add(state, path, &fs::symlink_metadata(path).ok()?, count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_write_is_noticed() {
        let dir = tempfile::TempDir::new().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("a/b")).unwrap();
        fs::write(at("a/b/file"), "1").unwrap();
        let mut last = read_file_times(dir.path()).unwrap();
        assert_eq!(read_file_times(dir.path()), Some(last.clone()));
        let later = || fs::File::options().write(true).open(at("a/b/file")).unwrap();
        let set =
            |seconds| later().set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds)).unwrap();
        let writes: [&dyn Fn(); 6] = [
            &|| set(1),
            &|| fs::write(at("a/b/file"), "12").unwrap(),
            &|| fs::write(at("a/new"), "").unwrap(),
            &|| fs::rename(at("a/new"), at("a/renamed")).unwrap(),
            &|| fs::remove_file(at("a/renamed")).unwrap(),
            &|| fs::create_dir(at("empty")).unwrap(),
        ];
        for (index, write) in writes.iter().enumerate() {
            write();
            let now = read_file_times(dir.path()).unwrap();
            assert_ne!(now, last, "write {index}");
            last = now;
        }
        (0..MAX_FILES).for_each(|number| fs::write(at(&number.to_string()), "").unwrap());
        assert_eq!((read_file_times(dir.path()), read_file_times(&at("none"))), (None, None));
    }
}
