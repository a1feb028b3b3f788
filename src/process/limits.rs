//! Resource limits of processes: open files and inotify instances.
//!
//! The daemon raises its soft limit of open files, because each worker needs several. Commands get the
//! original limit, because some programs loop over all descriptors up to the limit.

use std::sync::OnceLock;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The soft limit of open files before this process raised it; `None`: the limit was not raised.
static ORIGINAL: OnceLock<Option<u64>> = OnceLock::new();

/// Raises this process's soft limit of open files to its hard limit.
pub(crate) fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    // The closure runs only once: a second run would record the raised limit as the original one.
    ORIGINAL.get_or_init(|| {
        let raised = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
        raised.ok().and(limit.current)
    });
}

/// This process's soft limit of open files before the limit was raised; `None`: the limit was not raised.
pub(crate) fn original_open_files() -> Option<u64> {
    ORIGINAL.get().copied().flatten()
}

/// Sets this process's soft limit of open files.
pub(crate) fn set_open_files(soft: u64) -> rustix::io::Result<()> {
    setrlimit(Resource::Nofile, Rlimit { current: Some(soft), ..getrlimit(Resource::Nofile) })
}

/// This process's hard limit of open files; `None`: unlimited.
pub(crate) fn max_open_files() -> Option<u64> {
    getrlimit(Resource::Nofile).maximum
}

/// The largest size of a file that this process may write; `None`: unlimited.
pub(crate) fn max_file_bytes() -> Option<u64> {
    getrlimit(Resource::Fsize).current
}

/// Whether the limit of inotify instances of this user, or of open files of this process, is reached.
#[cfg(target_os = "linux")]
pub(crate) fn inotify_is_exhausted() -> bool {
    use rustix::fs::inotify;
    matches!(inotify::init(inotify::CreateFlags::CLOEXEC), Err(rustix::io::Errno::MFILE))
}

/// Always `false`, because this platform has no inotify.
#[cfg(not(target_os = "linux"))]
pub(crate) fn inotify_is_exhausted() -> bool {
    false
}
