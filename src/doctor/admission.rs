//! Finds full disks and used-up memory, because of which the daemon defers the starts of specs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{Finding, Subject, Text};
use crate::config::Config;
use crate::decide::admission::{Admission, Limits, Reading};
use crate::domain::admission::{DiskOf, Shortage};
use crate::system::machine;

/// Checks the disks of the home, of the worktrees and of `repositories`, and the memory, with the limits of the
/// configuration file. `config`: its values; `None`: it is invalid, which another check reports.
pub(super) fn check(subject: &Subject, config: Option<&Config>, repositories: &BTreeSet<String>) -> Vec<Finding> {
    let home = &subject.home;
    let Some(config) = config else { return Vec::new() };
    let limits = Limits::new(config.min_free_gb, config.max_memory_percent);
    let folders = [(DiskOf::Home, home.root().to_owned()), (DiskOf::Worktrees, home.worktrees().to_owned())];
    let repositories = repositories.iter().map(|path| (DiskOf::Repository, PathBuf::from(path)));
    let mut devices = Vec::new();
    let mut read = |(of, path): (DiskOf, PathBuf)| {
        let disk = machine::disk(&path).ok().filter(|disk| !devices.contains(&disk.device))?;
        devices.push(disk.device);
        Some(Reading::Disk { of, path: path.to_string_lossy().into_owned(), free: disk.free })
    };
    let mut readings: Vec<Reading> = folders.into_iter().chain(repositories).filter_map(&mut read).collect();
    readings.extend(machine::memory().map(|memory| Reading::Memory { used: memory.used, total: memory.total }));
    Admission::default().next(limits, &readings).shortages().iter().map(finding).collect()
}

fn finding(shortage: &Shortage) -> Finding {
    let what = shortage.with_reading();
    let (kind, place, why, advice) = match shortage {
        Shortage::Disk { of: DiskOf::Repository, path, .. } => (
            "disk-full",
            Path::new(path).display().to_string(),
            "the daemon starts no spec of a repository on this disk; what runs continues",
            "free space, or lower the limit: `boi config set min_free_gb N`",
        ),
        Shortage::Disk { path, .. } => (
            "disk-full",
            Path::new(path).display().to_string(),
            "the daemon starts no spec; what runs continues",
            "free space (`boi clean` removes worktrees that are not needed), or lower the limit: `boi config set \
             min_free_gb N`",
        ),
        Shortage::Memory { .. } => (
            "memory",
            "memory".to_owned(),
            "the daemon starts no spec; what runs continues",
            "end programs that use much memory, or raise the limit: `boi config set max_memory_percent N`",
        ),
    };
    Finding::problem(kind, Text { what, place, why: why.into(), advice: advice.into() })
}
