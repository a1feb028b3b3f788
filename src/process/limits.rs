//! How many files a process may have open. The daemon needs some for each worker; what it starts gets the limit that the
//! user set, since programs exist that go through every descriptor they could have. And how much room there is on a disk.

use std::path::Path;
use std::sync::OnceLock;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

static BEFORE: OnceLock<Option<u64>> = OnceLock::new();

/// Raises this process's soft limit to its hard one.
pub fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    // A second call would find what the first has set.
    BEFORE.get_or_init(|| {
        let raised = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
        raised.ok().and(limit.current)
    });
}

/// The soft limit that this process had before it was raised; `None`: it was not.
pub fn open_files_before() -> Option<u64> {
    BEFORE.get().copied().flatten()
}

/// Sets this process's soft limit.
pub fn set_open_files(soft: u64) -> rustix::io::Result<()> {
    setrlimit(Resource::Nofile, Rlimit { current: Some(soft), ..getrlimit(Resource::Nofile) })
}

/// How many files this process may have open at most; `None`: no limit.
pub fn most_open_files() -> Option<u64> {
    getrlimit(Resource::Nofile).maximum
}

/// What this user can still put on the file system of `path`: bytes, and files where their number is limited.
pub fn room(path: &Path) -> rustix::io::Result<(u64, Option<u64>)> {
    let found = rustix::fs::statvfs(path)?;
    Ok((found.f_bavail.saturating_mul(found.f_frsize), (found.f_files > 0).then_some(found.f_favail)))
}

/// Whether this user can have no further inotify instance.
#[cfg(target_os = "linux")]
pub fn inotify_is_used_up() -> bool {
    use rustix::fs::inotify;
    matches!(inotify::init(inotify::CreateFlags::CLOEXEC), Err(rustix::io::Errno::MFILE))
}

/// Whether this user can have no further inotify instance: there is no such thing here.
#[cfg(not(target_os = "linux"))]
pub fn inotify_is_used_up() -> bool {
    false
}
