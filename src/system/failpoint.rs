//! Places where a test lets this process end as `kill -9` ends it, or wait as on a disk that blocks, and a machine that a
//! test makes up: its boot, and that it has no cgroups. In debug builds only: in a release build nothing of this is left,
//! neither code nor a look at the environment.
//!
//! `BOI_FAILPOINT=NAME=FILE` names one place. Whoever comes there first makes `FILE`, with its pid, and ends, or waits until
//! it is emptied; who finds the file goes on. So it happens once, in the daemon or in a supervisor, which inherits the variable.

use rustix::process::{Signal, getpid, getppid, kill_process};

/// Ends this process if it is the first to come to the place `name`, and a test wants that.
#[inline]
pub fn hit(name: &str) {
    if fires(name) {
        end();
    }
}

/// The same for a process between fork and exec, together with the process that it was forked from.
#[inline]
pub fn hit_with_parent(name: &str) {
    if fires(name) {
        end_parent();
        end();
    }
}

/// The same for the process that this one was forked from, alone.
#[inline]
pub fn hit_parent(name: &str) {
    if fires(name) {
        end_parent();
    }
}

/// Waits at the place `name`, when this process is the first to come there and a test wants that, until the file is empty.
#[inline]
pub fn hold(name: &str) {
    if let Some(file) = fired(name) {
        while file.metadata().is_ok_and(|file| file.len() > 0) {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
}

/// The boot that a test pretends: `BOI_BOOT_ID`.
#[cfg(debug_assertions)]
pub fn boot_id() -> Option<String> {
    super::paths::variable("BOI_BOOT_ID")?.into_string().ok()
}

/// The boot that a test pretends: none.
#[cfg(not(debug_assertions))]
#[inline]
pub fn boot_id() -> Option<String> {
    None
}

/// Whether a test pretends that no cgroup can be had: `BOI_NO_CGROUP`.
#[inline]
pub fn is_without_cgroups() -> bool {
    #[cfg(debug_assertions)]
    let pretended = super::paths::variable("BOI_NO_CGROUP").is_some();
    #[cfg(not(debug_assertions))]
    let pretended = false;
    pretended
}

/// The file that was made, if a test wants something to happen at this place and this process is the first there.
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

fn end() {
    kill_process(getpid(), Signal::KILL).ok();
}

fn end_parent() {
    if let Some(parent) = getppid() {
        kill_process(parent, Signal::KILL).ok();
    }
}
