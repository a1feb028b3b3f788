//! Reads how much is left of the machine's disks and memory.
//!
//! In debug builds, the file that the environment variable `BOI_MACHINE` names replaces what is read. Its lines are
//! `disk BYTES PATH` (the free space of the disk of exactly this path) and `memory USED TOTAL`.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::statvfs;

use super::failpoint;

/// The free space of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Disk {
    /// The number of the device; the same for all paths on one disk.
    pub device: u64,
    /// The bytes that a user without privileges may still use.
    pub free: u64,
}

/// The memory of the machine, or of a cgroup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Memory {
    /// The bytes that are used and cannot be reclaimed at once.
    pub used: u64,
    /// All bytes.
    pub total: u64,
}

/// Returns the free space of the disk that contains `path`, or would contain it if it existed. Blocks if the disk does
/// not answer.
pub(crate) fn disk(path: &Path) -> io::Result<Disk> {
    if let Some(disk) = failpoint::machine().and_then(|machine| simulated_disk(&machine, path)) {
        return Ok(disk);
    }
    let mut existing = path;
    loop {
        match fs::metadata(existing) {
            Ok(found) => {
                let space = statvfs(existing)?;
                return Ok(Disk { device: found.dev(), free: space.f_bavail.saturating_mul(space.f_frsize) });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => match existing.parent() {
                Some(parent) => existing = parent,
                None => return Err(error),
            },
            Err(error) => return Err(error),
        }
    }
}

/// Returns the memory of the machine, or that of this process's cgroup if it is smaller. Returns `None` on a machine
/// that does not show it in `/proc`.
pub(crate) fn memory() -> Option<Memory> {
    if let Some(memory) = failpoint::machine().as_deref().and_then(simulated_memory) {
        return Some(memory);
    }
    let machine = machine_memory(&fs::read_to_string("/proc/meminfo").ok()?)?;
    let cgroups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    Some(cgroup_memory(Path::new("/sys/fs/cgroup"), &cgroups, machine.total).unwrap_or(machine))
}

/// Reads the content of `/proc/meminfo`.
fn machine_memory(text: &str) -> Option<Memory> {
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
    };
    let total = field("MemTotal")?;
    Some(Memory { used: total.saturating_sub(field("MemAvailable")?), total })
}

/// The files of a version of cgroups.
struct Files {
    limit: &'static str,
    usage: &'static str,
    /// The field of `memory.stat` with the memory of files that were not used recently, which can be reclaimed.
    reclaimable: &'static str,
}

const VERSION_1: Files =
    Files { limit: "memory.limit_in_bytes", usage: "memory.usage_in_bytes", reclaimable: "total_inactive_file " };
const VERSION_2: Files = Files { limit: "memory.max", usage: "memory.current", reclaimable: "inactive_file " };

/// Returns the memory of the smallest cgroup with a limit below `machine` among this process's own one and those that
/// contain it. `own` is the content of `/proc/self/cgroup`, and `root` is the folder where cgroups are mounted.
fn cgroup_memory(root: &Path, own: &str, machine: u64) -> Option<Memory> {
    let mut smallest: Option<Memory> = None;
    for line in own.lines() {
        let Some((controllers, path)) = line.split_once(':').and_then(|(_, rest)| rest.split_once(':')) else {
            continue;
        };
        let (mounts, files) = match controllers {
            "" => (vec![root.to_owned(), root.join("unified")], VERSION_2),
            _ if controllers.split(',').any(|controller| controller == "memory") => {
                (vec![root.join("memory")], VERSION_1)
            }
            _ => continue,
        };
        for mount in mounts {
            for folder in Path::new(path.trim_start_matches('/')).ancestors() {
                let below = smallest.map_or(machine, |known| known.total);
                smallest = memory_of(&mount.join(folder), &files, below).or(smallest);
            }
        }
    }
    smallest
}

/// Returns the memory of the cgroup with this folder; `None`: it has no limit below `below`, or there is no such cgroup.
fn memory_of(folder: &Path, files: &Files, below: u64) -> Option<Memory> {
    let number = |name: &str| fs::read_to_string(folder.join(name)).ok()?.trim().parse::<u64>().ok();
    // The other files take the kernel longer.
    let total = number(files.limit).filter(|limit| *limit < below)?;
    let usage = number(files.usage)?;
    let stat = fs::read_to_string(folder.join("memory.stat")).unwrap_or_default();
    let reclaimable = stat.lines().find_map(|line| line.strip_prefix(files.reclaimable)?.trim().parse::<u64>().ok());
    Some(Memory { used: usage.saturating_sub(reclaimable.unwrap_or(0)), total })
}

fn simulated_disk(machine: &str, path: &Path) -> Option<Disk> {
    machine.lines().zip(0_u64..).find_map(|(line, number)| {
        let (free, of) = line.strip_prefix("disk ")?.split_once(' ')?;
        let disk = Disk { device: u64::MAX - number, free: free.parse().ok()? };
        (Path::new(of) == path).then_some(disk)
    })
}

fn simulated_memory(machine: &str) -> Option<Memory> {
    let (used, total) = machine.lines().find_map(|line| line.strip_prefix("memory "))?.split_once(' ')?;
    Some(Memory { used: used.parse().ok()?, total: total.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn a_path_that_does_not_exist_is_on_the_disk_of_its_folder() {
        let folder = TempDir::new().unwrap();
        let (own, missing) = (disk(folder.path()).unwrap(), disk(&folder.path().join("a/b/c")).unwrap());
        assert!(own.free > 0);
        assert_eq!(own.device, missing.device);
    }

    #[test]
    fn the_memory_of_the_machine_that_can_be_reclaimed_is_not_used() {
        let text = "MemTotal:       24684084 kB\nMemFree:  12482072 kB\nMemAvailable:   22223544 kB\nBuffers: 1 kB\n";
        let expected = Memory { used: (24_684_084 - 22_223_544) * 1024, total: 24_684_084 * 1024 };
        assert_eq!(machine_memory(text), Some(expected));
        assert_eq!(machine_memory("MemTotal: 1 kB\n"), None);
        assert!(!cfg!(target_os = "linux") || memory().is_some_and(|memory| memory.used < memory.total));
    }

    fn cgroup(folder: &Path, files: [(&str, &str); 3]) {
        fs::create_dir_all(folder).unwrap();
        files.iter().for_each(|(name, content)| fs::write(folder.join(name), content).unwrap());
    }

    #[test]
    fn the_smallest_cgroup_with_a_limit_counts() {
        let root = TempDir::new().unwrap();
        let v2 = |limit| {
            [("memory.max", limit), ("memory.current", "900\n"), ("memory.stat", "anon 5\ninactive_file 100\n")]
        };
        cgroup(&root.path().join("user/boi"), v2("max\n"));
        assert_eq!(cgroup_memory(root.path(), "0::/user/boi\n", 1 << 30), None);
        cgroup(&root.path().join("user"), v2("1000\n"));
        assert_eq!(cgroup_memory(root.path(), "0::/user/boi\n", 1 << 30), Some(Memory { used: 800, total: 1000 }));
        cgroup(root.path(), v2("5000\n"));
        assert_eq!(cgroup_memory(root.path(), "0::/user/boi\n", 1 << 30), Some(Memory { used: 800, total: 1000 }));
        assert_eq!(cgroup_memory(root.path(), "0::/other\n", 1 << 30), Some(Memory { used: 800, total: 5000 }));
        let v1 = [
            ("memory.limit_in_bytes", "500\n"),
            ("memory.usage_in_bytes", "400\n"),
            ("memory.stat", "inactive_file 7\ntotal_inactive_file 150\n"),
        ];
        cgroup(&root.path().join("memory/docker/x"), v1);
        let own = "4:cpu,memory:/docker/x\n1:name=systemd:/\n0::/user\n";
        assert_eq!(cgroup_memory(root.path(), own, 1 << 30), Some(Memory { used: 250, total: 500 }));
        assert_eq!(cgroup_memory(root.path(), own, 500), None, "the machine is not larger");
        assert_eq!(cgroup_memory(root.path(), "4:cpuset:/docker/x\n", 1 << 30), None);
    }

    #[test]
    fn a_simulated_machine_has_its_own_disks() {
        let machine = "memory 90 100\ndisk 5 /a b\ndisk 7 /c\n";
        let free = |path: &str| simulated_disk(machine, Path::new(path)).map(|disk| disk.free);
        assert_eq!((free("/a b"), free("/c"), free("/c/d")), (Some(5), Some(7), None));
        assert_eq!(simulated_memory(machine), Some(Memory { used: 90, total: 100 }));
    }
}
