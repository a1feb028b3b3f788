//! A command's own cgroup, where one can be had: what is in it is of the command's tree, whoever its parent is and
//! whatever became of its environment.
//!
//! One can be had where the cgroup that boi runs in is boi's to divide: delegated to it by a service manager, or with no
//! service manager at work on this machine. It has no limits; it only tells who belongs to the command, and ends them all
//! at one moment.
//!
//! Invariant: only a cgroup that boi made, which its name and file system tell, is ended or removed.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::domain::command::Identity;
use crate::system::paths;

/// How the name of each one begins.
const PREFIX: &str = "boi-";
/// The service manager that divides every cgroup that it has not delegated.
const MANAGER: &str = "/run/systemd/system";
/// The variable by which a unit that delegates its cgroup names it: a user's systemd marks a delegated one in no way.
pub const DELEGATED: &str = "BOI_DELEGATED_CGROUP";
/// No tree of cgroups that a command made in its own is looked at deeper than this.
const DEPTH: usize = 32;
/// One that is busy for so long is populated.
const LET_GO_AFTER: Duration = Duration::from_millis(500);
/// A busy one is looked at again after this long.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A command's cgroup, which may be gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cgroup(PathBuf);

/// The cgroup in which commands can have theirs, or why none can.
pub fn base() -> Result<PathBuf, String> {
    let read = |file: &str| fs::read_to_string(file).map_err(|error| format!("{file}: {error}"));
    let own = own_path(&read("/proc/self/cgroup")?).ok_or("this process is in no cgroup of version 2")?.to_owned();
    let mounts = read("/proc/self/mountinfo")?;
    let pid = std::process::id().to_string();
    // Where something was mounted over it, another cgroup or none is found there.
    let is_own = |folder: &PathBuf| {
        fs::read_to_string(folder.join("cgroup.procs")).is_ok_and(|pids| pids.lines().any(|line| line == pid))
    };
    let folder = folders(&mounts, &own).find(is_own).ok_or_else(|| format!("the cgroup {own} is not mounted here"))?;
    let named = paths::variable(DELEGATED);
    match is_of_boi(&folder)
        || is_named(&folder, named.as_deref())
        || is_delegated(&folder)
        || !Path::new(MANAGER).exists()
    {
        true => Ok(folder),
        false => Err(format!("{} is not delegated", folder.display())),
    }
}

/// The same, where this process may make one and bring processes into it.
pub fn usable() -> Result<PathBuf, String> {
    let base = base()?;
    for path in [base.clone(), base.join("cgroup.procs")] {
        rustix::fs::access(&path, rustix::fs::Access::WRITE_OK)
            .map_err(|error| format!("{} cannot be written to: {error}", path.display()))?;
    }
    Ok(base)
}

impl Cgroup {
    /// Makes one in `base`, for the command of that marker.
    pub fn create(base: &Path, marker: &str) -> io::Result<Cgroup> {
        let path = named(base, marker);
        fs::create_dir(&path)?;
        Ok(Cgroup(path))
    }

    /// The one for the command of that marker, where one would be made now; `None` where there is none.
    pub fn of(marker: &str) -> Option<Cgroup> {
        Cgroup::at(&named(&base().ok()?, marker))
    }

    /// The one at `path`; `None` where there is none that boi made.
    pub fn at(path: &Path) -> Option<Cgroup> {
        (is_of_boi(path) && is_cgroup(path)).then(|| Cgroup(path.to_owned()))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Brings this process into it. Called between fork and exec.
    pub fn join(&self) -> io::Result<()> {
        fs::write(self.0.join("cgroup.procs"), "0")
    }

    /// Whether any living process is in it or below.
    pub fn is_populated(&self) -> bool {
        fs::read_to_string(self.0.join("cgroup.events"))
            .is_ok_and(|events| events.lines().any(|line| line == "populated 1"))
    }

    /// Every living process in it and below.
    pub fn processes(&self) -> Vec<Identity> {
        let identify = |pid: i32| super::identity(pid);
        let who: Vec<Identity> = self.pids().into_iter().filter_map(identify).collect();
        // Looked at twice: who was identified must be who is in it.
        let still = self.pids();
        who.into_iter().filter(|who| still.contains(&who.pid) && super::lives(who)).collect()
    }

    /// Ends all that is in it and below with KILL, those included that are being forked. Needs Linux 5.14.
    pub fn kill(&self) -> io::Result<()> {
        fs::write(self.0.join("cgroup.kill"), "1")
    }

    /// Removes it and those that its command made in it; one that is populated stays. The kernel may take a moment to let
    /// go of a process that has ended: that is waited for.
    pub fn remove(&self) -> io::Result<()> {
        let until = Instant::now() + LET_GO_AFTER;
        loop {
            match self.remove_now() {
                Err(error) if error.kind() == io::ErrorKind::ResourceBusy && Instant::now() < until => {
                    std::thread::sleep(LOOK_EVERY);
                }
                done => return done,
            }
        }
    }

    fn remove_now(&self) -> io::Result<()> {
        let mut all = self.all();
        // Those below come after those above.
        all.reverse();
        all.iter().try_for_each(|folder| match fs::remove_dir(folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        })
    }

    fn pids(&self) -> Vec<i32> {
        let text = |folder: &PathBuf| fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
        // A process of another pid namespace, which cannot be named here, is shown as 0.
        let pids = |text: String| text.lines().filter_map(|line| line.parse().ok()).collect::<Vec<i32>>();
        self.all().iter().map(text).flat_map(pids).filter(|pid| *pid > 0).collect()
    }

    fn all(&self) -> Vec<PathBuf> {
        let mut all = vec![self.0.clone()];
        let mut level = vec![self.0.clone()];
        for _ in 0..DEPTH {
            level = level.iter().flat_map(|folder| folders_in(folder)).collect();
            all.extend(level.iter().cloned());
        }
        all
    }
}

fn named(base: &Path, marker: &str) -> PathBuf {
    base.join(format!("{PREFIX}{marker}"))
}

fn folders_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()).collect()
}

/// Whether its name is a prefix and a marker, which is a random number of 128 bits.
fn is_of_boi(path: &Path) -> bool {
    let marker = path.file_name().and_then(|name| name.to_str()?.strip_prefix(PREFIX));
    marker.is_some_and(|marker| marker.len() == 32 && marker.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Whether it is the one that the environment names. A process that took the variable along to another has none.
fn is_named(folder: &Path, named: Option<&OsStr>) -> bool {
    named.is_some() && folder.file_name() == named
}

/// The path of the cgroup of version 2 in `/proc/PID/cgroup`.
fn own_path(text: &str) -> Option<&str> {
    text.lines().find_map(|line| line.strip_prefix("0::")).filter(|path| !path.contains("/.."))
}

/// Where `/proc/self/mountinfo` shows the cgroup `own`.
fn folders(mounts: &str, own: &str) -> impl Iterator<Item = PathBuf> {
    mounts.lines().filter_map(move |line| {
        let (mount, kind) = line.split_once(" - ")?;
        if !kind.starts_with("cgroup2 ") {
            return None;
        }
        let mut fields = mount.split(' ').skip(3);
        let (root, point) = (plain(fields.next()?), plain(fields.next()?));
        let below = Path::new(own).strip_prefix(&root).ok()?;
        Some(Path::new(&point).join(below))
    })
}

/// A field of mountinfo, in which blanks and backslashes are written as octal numbers.
fn plain(field: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(field.to_owned(), |text, (written, meant)| text.replace(written, meant))
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
    fn the_own_cgroup_is_found_where_it_is_mounted() {
        assert_eq!(own_path("9:name=systemd:/x\n0::/user.slice/a b\n"), Some("/user.slice/a b"));
        assert_eq!(own_path("1:cpu:/\n"), None);
        assert_eq!(own_path("0::/../elsewhere\n"), None, "outside of what is mounted");
        let mounts = "24 1 0:22 / /proc rw - proc proc rw\n\
                      38 31 0:37 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw\n\
                      39 31 0:38 /user.slice /mnt/a\\040b rw - cgroup2 none rw\n\
                      40 31 0:39 /system.slice /mnt/other rw - cgroup2 none rw\n\
                      41 31 0:40 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n";
        let found: Vec<PathBuf> = folders(mounts, "/user.slice/one").collect();
        assert_eq!(found, [Path::new("/sys/fs/cgroup/unified/user.slice/one"), Path::new("/mnt/a b/one")]);
    }

    #[test]
    fn a_unit_names_its_own_cgroup() {
        let own = Path::new("/sys/fs/cgroup/user.slice/app.slice/boi.service");
        for (named, is) in
            [(Some("boi.service"), true), (Some("other.service"), false), (Some(""), false), (None, false)]
        {
            assert_eq!(is_named(own, named.map(OsStr::new)), is, "{named:?}");
        }
        assert!(!is_named(Path::new("/"), None));
    }

    #[test]
    fn only_what_boi_made_is_taken_for_a_commands_cgroup() {
        let folder = tempfile::TempDir::new().unwrap();
        let named = folder.path().join(format!("{PREFIX}{:032x}", 7));
        fs::create_dir(&named).unwrap();
        assert!(is_of_boi(&named) && !is_cgroup(&named) && Cgroup::at(&named).is_none());
        for other in ["/sys/fs/cgroup", "/sys/fs/cgroup/boi-daemon.service", "/boi-0123456789abcdef0123456789abcdeg"] {
            assert!(!is_of_boi(Path::new(other)), "{other}");
        }
        fs::remove_dir(&named).unwrap();
        assert_eq!(Cgroup::at(&named), None, "it is gone");
    }
}
