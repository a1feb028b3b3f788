//! Failpoints for tests: named places in the code where a process kills itself as `kill -9` would, or blocks
//! as on a hung disk. Tests can also simulate another boot id, a machine without cgroups and a machine with
//! full disks or little memory, and shorten a few durations. Only debug builds have failpoints: a release build reads none of these environment
//! variables, and its failpoints do nothing.
//!
//! `BOI_FAILPOINT=NAME=FILE` arms the failpoint `NAME`. The first process that reaches it creates `FILE` with
//! its pid, and kills itself, or waits until the file is empty. If `FILE` exists already, a process does
//! nothing. So a failpoint fires once, in the daemon or in a supervisor, which inherits the variable.

use std::time::Duration;

use rustix::process::{Signal, getpid, getppid, kill_process};

/// Kills this process if the failpoint `name` fires.
#[inline]
pub(crate) fn hit(name: &str) {
    if fires(name) {
        kill_self();
    }
}

/// Kills this process and its parent if the failpoint `name` fires. Called in a child process between fork
/// and exec.
#[inline]
pub(crate) fn hit_with_parent(name: &str) {
    if fires(name) {
        kill_parent();
        kill_self();
    }
}

/// Kills only the parent of this process if the failpoint `name` fires.
#[inline]
pub(crate) fn hit_parent(name: &str) {
    if fires(name) {
        kill_parent();
    }
}

/// Panics if the failpoint `name` fires.
#[inline]
pub(crate) fn panic_at(name: &str) {
    assert!(!fires(name), "the failpoint {name} fires");
}

/// Blocks this process until a test empties or removes the failpoint's file, if the failpoint `name` fires.
#[inline]
pub(crate) fn hold(name: &str) {
    if let Some(file) = fired(name) {
        while file.metadata().is_ok_and(|file| file.len() > 0) {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Returns the boot id that a test simulates with `BOI_BOOT_ID`.
#[cfg(debug_assertions)]
pub(crate) fn boot_id() -> Option<String> {
    super::paths::variable("BOI_BOOT_ID")?.into_string().ok()
}

/// Always returns `None`: in a release build, no test can simulate a boot id.
#[cfg(not(debug_assertions))]
#[inline]
pub(crate) fn boot_id() -> Option<String> {
    None
}

/// Whether a test simulates, with `BOI_NO_CGROUP`, a machine on which no cgroup can be created.
#[inline]
pub(crate) fn is_without_cgroups() -> bool {
    #[cfg(debug_assertions)]
    let pretended = super::paths::variable("BOI_NO_CGROUP").is_some();
    #[cfg(not(debug_assertions))]
    let pretended = false;
    pretended
}

/// Returns the duration in the environment variable `variable`, in milliseconds, which tests set; `normal` if
/// the variable is not set.
#[cfg(debug_assertions)]
pub(crate) fn duration(variable: &str, normal: Duration) -> Duration {
    let millis = super::paths::variable(variable).and_then(|value| value.to_str()?.parse().ok());
    millis.map_or(normal, Duration::from_millis)
}

/// Returns `normal`: in a release build, no test can shorten a duration.
#[cfg(not(debug_assertions))]
#[inline]
pub(crate) fn duration(_variable: &str, normal: Duration) -> Duration {
    normal
}

/// Returns the content of the file `BOI_MACHINE`, in which tests describe the disks and the memory of a machine; see
/// `system::machine`.
#[cfg(debug_assertions)]
pub(crate) fn machine() -> Option<String> {
    std::fs::read_to_string(super::paths::variable("BOI_MACHINE")?).ok()
}

/// Always returns `None`: in a release build, no test can describe another machine.
#[cfg(not(debug_assertions))]
#[inline]
pub(crate) fn machine() -> Option<String> {
    None
}

/// Creates the failpoint's file and returns its path, if the failpoint `name` is armed and this process is
/// the first to reach it.
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
