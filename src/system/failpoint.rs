//! Failpoints for tests: places where a process kills itself as `kill -9` would, or blocks as on a hung disk. Tests can also
//! pretend another boot id and a machine without cgroups. In debug builds only: a release build contains none of this code
//! and reads none of its variables.
//!
//! `BOI_FAILPOINT=NAME=FILE` arms the place `NAME`. The first process that reaches this place writes its pid to a new
//! `FILE`, and kills itself, or waits until the file is empty. If `FILE` exists already, a process does nothing. So a
//! failpoint fires once, in the daemon or in a supervisor, which inherits the variable.

use rustix::process::{Signal, getpid, getppid, kill_process};

/// Kills this process if the failpoint `name` fires.
#[inline]
pub(crate) fn hit(name: &str) {
    if fires(name) {
        kill_self();
    }
}

/// Kills this process and its parent if the failpoint `name` fires. For a process between fork and exec.
#[inline]
pub(crate) fn hit_with_parent(name: &str) {
    if fires(name) {
        kill_parent();
        kill_self();
    }
}

/// Kills the parent of this process, and not this process, if the failpoint `name` fires.
#[inline]
pub(crate) fn hit_parent(name: &str) {
    if fires(name) {
        kill_parent();
    }
}

/// Blocks this process until a test empties or removes the failpoint's file, if the failpoint `name` fires.
#[inline]
pub(crate) fn hold(name: &str) {
    if let Some(file) = fired(name) {
        while file.metadata().is_ok_and(|file| file.len() > 0) {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
}

/// The boot id that a test pretends: `BOI_BOOT_ID`.
#[cfg(debug_assertions)]
pub(crate) fn boot_id() -> Option<String> {
    super::paths::variable("BOI_BOOT_ID")?.into_string().ok()
}

/// Always `None`: in a release build, no test can pretend a boot id.
#[cfg(not(debug_assertions))]
#[inline]
pub(crate) fn boot_id() -> Option<String> {
    None
}

/// Whether a test pretends that no cgroup can be made: `BOI_NO_CGROUP`.
#[inline]
pub(crate) fn is_without_cgroups() -> bool {
    #[cfg(debug_assertions)]
    let pretended = super::paths::variable("BOI_NO_CGROUP").is_some();
    #[cfg(not(debug_assertions))]
    let pretended = false;
    pretended
}

/// Creates the failpoint's file and returns its path, if the place `name` is armed and this process is the first to
/// reach that place.
#[cfg(debug_assertions)]
fn fired(name: &str) -> Option<std::path::PathBuf> {
    use std::io::Write;
    let wanted = super::paths::variable("BOI_FAILPOINT")?;
    let (_, path) = wanted.to_str()?.split_once('=').filter(|(place, _)| *place == name)?;
    let mut file = std::fs::File::options().write(true).create_new(true).open(path).ok()?;
    writeln!(file, "{}", std::process::id()).ok()?;
    Some(path.into())
}

#[cfg(not(debug_assertions))]
#[inline(always)]
const fn fired(_name: &str) -> Option<std::path::PathBuf> {
    None
}

fn fires(name: &str) -> bool {
    fired(name).is_some()
}

fn kill_self() {
    kill_process(getpid(), Signal::KILL).ok();
}

fn kill_parent() {
    if let Some(parent) = getppid() {
        kill_process(parent, Signal::KILL).ok();
    }
}
