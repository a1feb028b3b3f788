//! Shortages of the machine, such as a full disk. While there is one, boi defers the starts of specs.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::time::Timestamp;

/// The largest number of shortages that a reason names.
const NAMED: usize = 3;

/// What is on a disk that boi looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiskOf {
    /// The home.
    Home,
    /// The folder of the worktrees.
    Worktrees,
    /// A repository. Its shortage defers only the specs and landings of this repository.
    Repository,
}

/// Too little of a resource of the machine is left to start specs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Shortage {
    /// A disk has too little free space.
    Disk {
        /// What is on the disk.
        of: DiskOf,
        /// The path of that.
        path: String,
        /// The space that boi may still use.
        free_bytes: u64,
        /// The limit: `min_free_gb`.
        min_free_bytes: u64,
        /// The shortage ends when at least this much is free.
        ends_at_bytes: u64,
    },
    /// Too much memory is used.
    Memory {
        /// The memory that is used and cannot be reclaimed.
        used_bytes: u64,
        /// The memory of the machine, or of the daemon's cgroup if that is smaller.
        total_bytes: u64,
        /// The limit: `max_memory_percent`.
        max_percent: u32,
        /// The shortage ends when at most this share is used.
        ends_at_percent: u32,
    },
}

impl Shortage {
    /// Whether both are shortages of the same resource.
    pub(crate) fn is_of_same_resource(&self, other: &Shortage) -> bool {
        match (self, other) {
            (Shortage::Disk { of, path, .. }, Shortage::Disk { of: other_of, path: other_path, .. }) => {
                (of, path) == (other_of, other_path)
            }
            (Shortage::Memory { .. }, Shortage::Memory { .. }) => true,
            _ => false,
        }
    }

    /// Returns the repository whose specs and landings this shortage defers; `None`: it defers all of them.
    pub(crate) fn repository(&self) -> Option<&str> {
        match self {
            Shortage::Disk { of: DiskOf::Repository, path, .. } => Some(path),
            _ => None,
        }
    }
}

/// The words do not contain the reading, so that they stay the same while the shortage lasts.
impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Shortage::Disk { path, min_free_bytes, ends_at_bytes, .. } => {
                let [min, end] = [min_free_bytes, ends_at_bytes].map(|bytes| gib(*bytes));
                write!(
                    f,
                    "the disk of {path} has too little free space; specs start again when {end} are free \
                     (`min_free_gb` asks for {min})"
                )
            }
            Shortage::Memory { max_percent, ends_at_percent, .. } => write!(
                f,
                "too much memory is used; specs start again when at most {ends_at_percent} % are used \
                 (`max_memory_percent` is {max_percent})"
            ),
        }
    }
}

impl Shortage {
    /// Returns the shortage in words, with what was read last.
    pub(crate) fn with_reading(&self) -> String {
        match self {
            Shortage::Disk { free_bytes, .. } => format!("{self}: now {} are free", gib(*free_bytes)),
            Shortage::Memory { used_bytes, total_bytes, .. } => {
                format!("{self}: now {} % of {} are used", percent(*used_bytes, *total_bytes), gib(*total_bytes))
            }
        }
    }
}

/// The shortages that defer the starts of specs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deferral {
    /// When the first of the shortages began.
    pub since: Timestamp,
    /// Whether every start is deferred; `false`: only those of some repositories.
    pub all: bool,
    /// The shortages in words, with what was read last.
    pub reason: String,
    /// The shortages as data.
    pub by: Vec<Shortage>,
}

/// Joins the words for each shortage, and leaves out all but the first few.
pub(crate) fn join(shortages: &[Shortage], words: impl Fn(&Shortage) -> String) -> String {
    let mut words: Vec<String> = shortages.iter().take(NAMED).map(words).collect();
    if shortages.len() > NAMED {
        words.push(format!("and {} more", shortages.len() - NAMED));
    }
    words.join("; ")
}

/// Returns the used share of `total`, in whole percent.
pub(crate) fn percent(used: u64, total: u64) -> u64 {
    u64::try_from(u128::from(used) * 100 / u128::from(total.max(1))).unwrap_or(u64::MAX)
}

/// Writes a number of bytes in GiB, or in MiB if that is less than one GiB.
fn gib(bytes: u64) -> String {
    const GIB: u64 = 1 << 30;
    match bytes {
        _ if bytes.is_multiple_of(GIB) => format!("{} GiB", bytes / GIB),
        GIB.. => format!("{}.{} GiB", bytes / GIB, bytes % GIB * 10 / GIB),
        _ => format!("{} MiB", bytes >> 20),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(of: DiskOf, path: &str) -> Shortage {
        let (free_bytes, min_free_bytes) = (300 << 20, 2 << 30);
        Shortage::Disk { of, path: path.into(), free_bytes, min_free_bytes, ends_at_bytes: (9 << 30) / 4 }
    }

    #[test]
    fn a_shortage_names_the_resource_and_the_key() {
        let home = disk(DiskOf::Home, "/h/.boi");
        assert_eq!(
            home.with_reading(),
            "the disk of /h/.boi has too little free space; specs start again when 2.2 GiB are free (`min_free_gb` asks \
             for 2 GiB): now 300 MiB are free"
        );
        let memory =
            Shortage::Memory { used_bytes: 15 << 29, total_bytes: 8 << 30, max_percent: 90, ends_at_percent: 85 };
        assert_eq!(
            memory.with_reading(),
            "too much memory is used; specs start again when at most 85 % are used (`max_memory_percent` is 90): now \
             93 % of 8 GiB are used"
        );
        let many: Vec<Shortage> = ["/a", "/b", "/c", "/d", "/e"].map(|path| disk(DiskOf::Repository, path)).into();
        let words = join(&many, Shortage::to_string);
        assert!(words.contains("/c") && !words.contains("/d") && words.ends_with("; and 2 more"), "{words}");
    }

    #[test]
    fn only_the_shortage_of_a_repository_is_limited_to_it() {
        let (home, api) = (disk(DiskOf::Home, "/h"), disk(DiskOf::Repository, "/src/api"));
        assert_eq!((home.repository(), api.repository()), (None, Some("/src/api")));
        assert!(home.is_of_same_resource(&home) && !home.is_of_same_resource(&api));
        for shortage in [home, api] {
            let text = serde_json::to_string(&shortage).unwrap();
            assert_eq!(serde_json::from_str::<Shortage>(&text).unwrap(), shortage, "{text}");
        }
    }
}
