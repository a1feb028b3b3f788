//! Tells whether a file of a small folder was written, without reading the files.
//!
//! The kernel stamps a write with a clock that advances in ticks of up to 10 ms, and some file systems store only seconds. So
//! a state is used only if its newest change is older than the present tick: a later write then has a later time.

use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::system::files;

/// The maximum number of files and folders. Git does not read ignored folders, so in a larger folder git is faster.
const MAX_FILES: usize = 2_000;
/// How often a folder is scanned that was written just now, and the pause in between: the longest tick of the kernel's clock.
const SCANS: usize = 3;
const TICK: Duration = Duration::from_millis(10);

/// What identifies the state of all files and folders below a folder: every write changes a time, an inode or a size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileTimes(String);

/// Returns the state of a folder; `None`: it contains too many files, cannot be read, or was written just now.
pub(crate) fn read_file_times(folder: &Path) -> Option<FileTimes> {
    for _ in 0..SCANS {
        let present = clock_gettime(ClockId::RealtimeCoarse);
        let mut scan = Scan { state: blake3::Hasher::new(), count: 0, newest: (0, 0) };
        scan.add(folder, &fs::symlink_metadata(folder).ok()?)?;
        let is_over = match scan.newest {
            (seconds, 0) => seconds < present.tv_sec,
            newest => newest < (present.tv_sec, present.tv_nsec),
        };
        if is_over {
            return Some(FileTimes(scan.state.finalize().to_hex().to_string()));
        }
        thread::sleep(TICK);
    }
    None
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

/// The files and folders that were scanned so far.
struct Scan {
    state: blake3::Hasher,
    count: usize,
    /// The time of the newest change, in seconds and nanoseconds.
    newest: (i64, i64),
}

impl Scan {
    fn add(&mut self, path: &Path, file: &Metadata) -> Option<()> {
        self.count += 1;
        if self.count > MAX_FILES {
            return None;
        }
        let bytes = path.as_os_str().as_bytes();
        self.state.update(&bytes.len().to_ne_bytes()).update(bytes);
        for number in [file.dev(), file.ino(), file.mode().into(), file.size()] {
            self.state.update(&number.to_ne_bytes());
        }
        for time in [file.ctime(), file.ctime_nsec(), file.mtime(), file.mtime_nsec()] {
            self.state.update(&time.to_ne_bytes());
        }
        self.newest = self.newest.max((file.ctime(), file.ctime_nsec()));
        if !file.is_dir() {
            return Some(());
        }
        let mut paths = files::list_folder(path).ok()?;
        paths.sort();
        paths.iter().try_for_each(|path| self.add(path, &fs::symlink_metadata(path).ok()?))
    }
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
