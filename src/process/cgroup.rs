//! A cgroup of version 2 for each command, if boi is allowed to make cgroups. Every process of the command is
//! a member, even if its parent ended or it cleared its environment.
//!
//! boi may make cgroups inside its own cgroup if a service manager delegated that cgroup to boi, or if
//! systemd does not manage this machine. A command's cgroup sets no limits. It shows which processes belong
//! to the command, and the kernel can kill all of its members at the same moment.
//!
//! Invariant: boi kills or removes only cgroups that it made. It recognizes them by their name and file
//! system.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::identity::{identify, lives};
use super::marker::is_marker;
use crate::domain::command::Identity;
use crate::system::paths;

/// The prefix of a cgroup's name; the command's marker follows.
const PREFIX: &str = "boi-";
/// A folder that exists if systemd manages this machine. Then systemd manages every cgroup that it has not
/// delegated.
const SYSTEMD: &str = "/run/systemd/system";
/// The environment variable in which boi's unit names its own, delegated cgroup. It is needed because a
/// user's systemd does not mark a delegated cgroup.
pub(crate) const DELEGATED: &str = "BOI_DELEGATED_CGROUP";
/// The number of levels of nested cgroups that are searched.
const MAX_DEPTH: usize = 32;
/// How long to retry the removal of a cgroup that is busy because the kernel has not released its ended
/// processes.
const RELEASE_TIMEOUT: Duration = Duration::from_millis(500);
/// The pause between two attempts to remove a busy cgroup.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// A command's cgroup, which may have been removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cgroup(PathBuf);

/// Finds the cgroup in which this process may make the cgroups of commands. The error says why there is none.
/// The search is not repeated while this process, or the process that it was forked from, stays in its
/// cgroup.
pub(crate) fn find_base() -> Result<PathBuf, String> {
    static FOUND: Mutex<Option<(String, PathBuf)>> = Mutex::new(None);
    let read = |file: &str| fs::read_to_string(file).map_err(|error| format!("cannot read {file}: {error}"));
    let own = own_path(&read("/proc/self/cgroup")?)
        .ok_or("/proc/self/cgroup names no usable cgroup of version 2")?
        .to_owned();
    let mut found = FOUND.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, base)) = found.as_ref().filter(|(of, base)| *of == own && base.is_dir()) {
        return Ok(base.clone());
    }
    let base = search_base(&own)?;
    *found = Some((own, base.clone()));
    Ok(base)
}

/// Finds the folder of this process's cgroup, whose path in the hierarchy is `own`, if boi may divide it.
fn search_base(own: &str) -> Result<PathBuf, String> {
    let read = |file: &str| fs::read_to_string(file).map_err(|error| format!("cannot read {file}: {error}"));
    let mounts = read("/proc/self/mountinfo")?;
    let pid = std::process::id().to_string();
    // The check of the pid is needed because another file system may be mounted over the cgroup's path.
    let is_own = |folder: &PathBuf| {
        fs::read_to_string(folder.join("cgroup.procs")).is_ok_and(|pids| pids.lines().any(|line| line == pid))
    };
    let folder = mounted_folders(&mounts, own)
        .find(is_own)
        .ok_or_else(|| format!("the cgroup {own} of this process is not mounted"))?;
    let named = paths::variable(DELEGATED);
    let may_divide = has_name_of_boi(&folder)
        || is_named(&folder, named.as_deref())
        || is_delegated(&folder)
        || !Path::new(SYSTEMD).exists();
    if may_divide {
        Ok(folder)
    } else {
        Err(format!("systemd did not delegate the cgroup {} to boi", folder.display()))
    }
}

/// Like [`find_base`], and checks that this process has the permission to make cgroups in the found cgroup
/// and to move processes there.
pub(crate) fn find_usable_base() -> Result<PathBuf, String> {
    let base = find_base()?;
    for path in [base.clone(), base.join("cgroup.procs")] {
        rustix::fs::access(&path, rustix::fs::Access::WRITE_OK)
            .map_err(|error| format!("cannot write to {}: {error}", path.display()))?;
    }
    Ok(base)
}

impl Cgroup {
    /// Makes a cgroup in `base` for the command with `marker`.
    pub(crate) fn create(base: &Path, marker: &str) -> io::Result<Cgroup> {
        let path = named(base, marker);
        fs::create_dir(&path)?;
        Ok(Cgroup(path))
    }

    /// Returns the cgroup of the command with `marker`, at the path where this process would make it; `None`:
    /// it does not exist.
    pub(super) fn with_marker(marker: &str) -> Option<Cgroup> {
        Cgroup::at(&named(&find_base().ok()?, marker))
    }

    /// Returns the cgroup at `path`; `None`: there is no cgroup at `path`, or its name is not one that boi
    /// gives.
    pub(super) fn at(path: &Path) -> Option<Cgroup> {
        (has_name_of_boi(path) && is_cgroup(path)).then(|| Cgroup(path.to_owned()))
    }

    /// The cgroup's folder.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Whether this is the cgroup of the command with `marker`.
    pub(super) fn is_of(&self, marker: &str) -> bool {
        self.0.file_name().and_then(|name| name.to_str()?.strip_prefix(PREFIX)) == Some(marker)
    }

    /// Moves this process into the cgroup. A supervisor's child calls this between fork and exec.
    pub(crate) fn join(&self) -> io::Result<()> {
        fs::write(self.0.join("cgroup.procs"), "0")
    }

    /// Whether any living process is in the cgroup or in a cgroup nested in it.
    pub(crate) fn is_populated(&self) -> bool {
        fs::read_to_string(self.0.join("cgroup.events"))
            .is_ok_and(|events| events.lines().any(|line| line == "populated 1"))
    }

    /// Returns every living process in the cgroup and in the cgroups nested in it.
    pub(crate) fn processes(&self) -> Vec<Identity> {
        let identified: Vec<Identity> = self.pids().into_iter().filter_map(identify).collect();
        // The pids are read again, because a pid may have been reused before its process was identified.
        let pids = self.pids();
        identified.into_iter().filter(|process| pids.contains(&process.pid) && lives(process)).collect()
    }

    /// Returns the CPU time that all processes of the cgroup have used, including those that ended; `None` if
    /// the cgroup was removed or its `cpu.stat` cannot be read.
    pub(super) fn cpu_time(&self) -> Option<Duration> {
        let stat = fs::read_to_string(self.0.join("cpu.stat")).ok()?;
        let micros = stat.lines().find_map(|line| line.strip_prefix("usage_usec ")?.trim().parse().ok())?;
        Some(Duration::from_micros(micros))
    }

    /// Kills all processes in the cgroup and in the cgroups nested in it, including processes that are being
    /// forked. Needs Linux 5.14.
    pub(super) fn kill(&self) -> io::Result<()> {
        fs::write(self.0.join("cgroup.kill"), "1")
    }

    /// Removes the cgroup and the cgroups that the command made in it. Fails while a process is in it; waits
    /// up to [`RELEASE_TIMEOUT`] for the kernel to release ended processes.
    pub(crate) fn remove(&self) -> io::Result<()> {
        let until = Instant::now() + RELEASE_TIMEOUT;
        loop {
            match self.remove_now() {
                Err(error) if error.kind() == io::ErrorKind::ResourceBusy && Instant::now() < until => {
                    std::thread::sleep(POLL_INTERVAL);
                }
                done => return done,
            }
        }
    }

    fn remove_now(&self) -> io::Result<()> {
        let mut all = self.all();
        // Inner cgroups must be removed first.
        all.reverse();
        all.iter().try_for_each(|folder| match fs::remove_dir(folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        })
    }

    fn pids(&self) -> Vec<i32> {
        let text = |folder: &PathBuf| fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
        // The kernel shows a process of an outer pid namespace as 0, because it has no pid in this one.
        let pids = |text: String| text.lines().filter_map(|line| line.parse().ok()).collect::<Vec<i32>>();
        self.all().iter().map(text).flat_map(pids).filter(|pid| *pid > 0).collect()
    }

    /// Returns the folders of this cgroup and of all cgroups nested in it, outer ones first.
    fn all(&self) -> Vec<PathBuf> {
        let mut all = vec![self.0.clone()];
        let mut level = vec![self.0.clone()];
        for _ in 0..MAX_DEPTH {
            level = level.iter().flat_map(|folder| subfolders(folder)).collect();
            all.extend(level.iter().cloned());
        }
        all
    }
}

fn named(base: &Path, marker: &str) -> PathBuf {
    base.join(format!("{PREFIX}{marker}"))
}

fn subfolders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()).collect()
}

/// Whether the folder's name is the prefix and a marker.
fn has_name_of_boi(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()?.strip_prefix(PREFIX)).is_some_and(is_marker)
}

/// Whether `named`, the value of `BOI_DELEGATED_CGROUP`, is the name of the cgroup at `folder`. The names
/// differ if this process was moved to another cgroup after it got the variable.
fn is_named(folder: &Path, named: Option<&OsStr>) -> bool {
    named.is_some() && folder.file_name() == named
}

/// Returns the path of the version 2 cgroup in the text of `/proc/PID/cgroup`; `None`: there is none, or it
/// is outside this process's cgroup namespace.
fn own_path(text: &str) -> Option<&str> {
    text.lines().find_map(|line| line.strip_prefix("0::")).filter(|path| !path.contains("/.."))
}

/// Returns the folders at which the cgroup `own` is mounted, from the text of `/proc/self/mountinfo`.
fn mounted_folders(mounts: &str, own: &str) -> impl Iterator<Item = PathBuf> {
    mounts.lines().filter_map(move |line| {
        let (mount, kind) = line.split_once(" - ")?;
        if !kind.starts_with("cgroup2 ") {
            return None;
        }
        let mut fields = mount.split(' ').skip(3);
        let (root, point) = (unescape(fields.next()?), unescape(fields.next()?));
        let below = Path::new(own).strip_prefix(&root).ok()?;
        Some(Path::new(&point).join(below))
    })
}

/// Returns a field of mountinfo with its octal escapes replaced by the escaped blanks and backslashes.
fn unescape(field: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(field.to_owned(), |text, (escaped, character)| text.replace(escaped, character))
}

#[cfg(target_os = "linux")]
fn is_delegated(folder: &Path) -> bool {
    ["user.delegate", "trusted.delegate"].iter().any(|name| {
        let mut value = [0; 8];
        rustix::fs::getxattr(folder, *name, &mut value).is_ok_and(|length| value.get(..length) == Some(b"1"))
    })
}

#[cfg(target_os = "linux")]
fn is_cgroup(path: &Path) -> bool {
    const CGROUP2: u64 = 0x6367_7270;
    rustix::fs::statfs(path).is_ok_and(|found| u64::try_from(found.f_type) == Ok(CGROUP2))
}

#[cfg(not(target_os = "linux"))]
fn is_delegated(_folder: &Path) -> bool {
    false
}

#[cfg(not(target_os = "linux"))]
fn is_cgroup(_path: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mount_that_shows_the_own_cgroup_is_found() {
        assert_eq!(own_path("9:name=systemd:/x\n0::/user.slice/a b\n"), Some("/user.slice/a b"));
        assert_eq!(own_path("1:cpu:/\n"), None);
        assert_eq!(own_path("0::/../elsewhere\n"), None, "a cgroup outside of the cgroup namespace has no usable path");
        let mounts = "24 1 0:22 / /proc rw - proc proc rw\n\
                      38 31 0:37 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw\n\
                      39 31 0:38 /user.slice /mnt/a\\040b rw - cgroup2 none rw\n\
                      40 31 0:39 /system.slice /mnt/other rw - cgroup2 none rw\n\
                      41 31 0:40 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n";
        let found: Vec<PathBuf> = mounted_folders(mounts, "/user.slice/one").collect();
        assert_eq!(found, [Path::new("/sys/fs/cgroup/unified/user.slice/one"), Path::new("/mnt/a b/one")]);
    }

    #[test]
    fn the_environment_names_a_cgroup_by_its_last_component() {
        let own = Path::new("/sys/fs/cgroup/user.slice/app.slice/boi.service");
        for (named, expected) in
            [(Some("boi.service"), true), (Some("other.service"), false), (Some(""), false), (None, false)]
        {
            assert_eq!(is_named(own, named.map(OsStr::new)), expected, "{named:?}");
        }
        assert!(!is_named(Path::new("/"), None));
    }

    #[test]
    fn only_a_cgroup_that_boi_made_counts_as_a_commands_cgroup() {
        let folder = tempfile::TempDir::new().unwrap();
        let named = folder.path().join(format!("{PREFIX}{:032x}", 7));
        fs::create_dir(&named).unwrap();
        assert!(has_name_of_boi(&named) && !is_cgroup(&named) && Cgroup::at(&named).is_none());
        for other in ["/sys/fs/cgroup", "/sys/fs/cgroup/boi-daemon.service", "/boi-0123456789abcdef0123456789abcdeg"] {
            assert!(!has_name_of_boi(Path::new(other)), "{other}");
        }
        fs::remove_dir(&named).unwrap();
        assert_eq!(Cgroup::at(&named), None, "the cgroup was removed");
    }
}
