//! Places where a test lets this process end as `kill -9` ends it, and a machine that a test makes up: its boot, and that
//! it has no cgroups. In debug builds only: in a release build nothing of this is left, neither code nor a look at the
//! environment.
//!
//! `BOI_FAILPOINT=NAME=FILE` names one place. Whoever comes there first makes `FILE`, with its pid, and ends; who finds
//! the file goes on. So it happens once, in the daemon or in a supervisor, which inherits the variable.

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

#[cfg(debug_assertions)]
fn fires(name: &str) -> bool {
    use std::io::Write;
    let Some(wanted) = super::paths::variable("BOI_FAILPOINT") else { return false };
    let Some((place, file)) = wanted.to_str().and_then(|wanted| wanted.split_once('=')) else { return false };
    if place != name {
        return false;
    }
    let made = std::fs::File::options().write(true).create_new(true).open(file);
    made.is_ok_and(|mut file| writeln!(file, "{}", std::process::id()).is_ok())
}

#[cfg(not(debug_assertions))]
#[inline(always)]
const fn fires(_name: &str) -> bool {
    false
}

fn end() {
    kill_process(getpid(), Signal::KILL).ok();
}

fn end_parent() {
    if let Some(parent) = getppid() {
        kill_process(parent, Signal::KILL).ok();
    }
}
