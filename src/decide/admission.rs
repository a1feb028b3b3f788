//! Decides whether the machine has room for more specs: whether its disks have enough free space, and
//! whether enough memory is left.
//!
//! A shortage begins when a reading crosses the limit, and ends only when a later reading is better than the
//! limit by a band, so that a reading that moves around the limit changes nothing:
//!
//! | resource | the shortage begins | it ends |
//! | --- | --- | --- |
//! | disk | less than `min_free_gb` is free | `min_free_gb` and a tenth of it are free, at least 256 MiB more than `min_free_gb` |
//! | memory | more than `max_memory_percent` is used | 5 points less are used, or half of it if that is less |
//!
//! A resource that could not be read is not short: the specs then start, and meet the problem themselves.

use crate::domain::admission::{DiskOf, Shortage};

/// The smallest band above `min_free_gb`, in bytes.
const DISK_BAND: u64 = 256 << 20;
/// The band below `max_memory_percent`, in percent.
const MEMORY_BAND: u32 = 5;

/// The limits of the configuration; 0: no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Limits {
    /// `min_free_gb`, in bytes.
    pub min_free_bytes: u64,
    /// `max_memory_percent`.
    pub max_memory_percent: u32,
}

impl Limits {
    /// Returns the limits for values of the configuration.
    pub(crate) fn new(min_free_gb: u32, max_memory_percent: u32) -> Limits {
        Limits { min_free_bytes: u64::from(min_free_gb) << 30, max_memory_percent }
    }

    /// Whether there is a limit.
    pub(crate) fn are_set(&self) -> bool {
        self.min_free_bytes > 0 || self.max_memory_percent > 0
    }

    fn disk_ends_at(&self) -> u64 {
        self.min_free_bytes.saturating_add((self.min_free_bytes / 10).max(DISK_BAND))
    }

    fn memory_ends_at(&self) -> u32 {
        self.max_memory_percent - MEMORY_BAND.min(self.max_memory_percent / 2)
    }
}

/// What was read of one resource of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reading {
    /// The free space of a disk.
    Disk {
        /// What is on the disk.
        of: DiskOf,
        /// The path of that.
        path: String,
        /// The free space in bytes.
        free: u64,
    },
    /// The memory.
    Memory {
        /// The used memory in bytes.
        used: u64,
        /// All memory in bytes.
        total: u64,
    },
}

/// The shortages at present. The default has none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Admission {
    shortages: Vec<Shortage>,
}

impl Admission {
    /// Returns the shortages after these readings.
    pub(crate) fn next(&self, limits: Limits, readings: &[Reading]) -> Admission {
        let short = |reading: &Reading| {
            let shortage = limits.shortage(reading);
            let was_short = self.shortages.iter().any(|known| known.is_of_same_resource(&shortage));
            limits.is_crossed(reading, was_short).then_some(shortage)
        };
        Admission { shortages: readings.iter().filter_map(short).collect() }
    }

    /// Whether specs may be claimed and landers started, except those of the repositories in `skipped`.
    pub(crate) fn admits(&self) -> bool {
        self.shortages.iter().all(|shortage| shortage.repository().is_some())
    }

    /// Returns the repositories whose disks are short.
    pub(crate) fn skipped(&self) -> impl Iterator<Item = &str> {
        self.shortages.iter().filter_map(Shortage::repository)
    }

    /// Returns the shortages.
    pub(crate) fn shortages(&self) -> &[Shortage] {
        &self.shortages
    }

    /// Returns the shortages of this state whose resources are not short in `other`.
    pub(crate) fn without<'a>(&'a self, other: &'a Admission) -> impl Iterator<Item = &'a Shortage> {
        let is_in_other = |one: &Shortage| other.shortages.iter().any(|known| known.is_of_same_resource(one));
        self.shortages.iter().filter(move |one| !is_in_other(one))
    }
}

impl Limits {
    /// Whether a reading means a shortage. `was_short`: the resource was short before.
    fn is_crossed(&self, reading: &Reading, was_short: bool) -> bool {
        match reading {
            Reading::Disk { .. } if self.min_free_bytes == 0 => false,
            Reading::Disk { free, .. } => *free < if was_short { self.disk_ends_at() } else { self.min_free_bytes },
            Reading::Memory { .. } if self.max_memory_percent == 0 => false,
            Reading::Memory { used, total } => {
                let limit = if was_short { self.memory_ends_at() } else { self.max_memory_percent };
                u128::from(*used) * 100 > u128::from(*total) * u128::from(limit)
            }
        }
    }

    fn shortage(&self, reading: &Reading) -> Shortage {
        match reading {
            Reading::Disk { of, path, free } => Shortage::Disk {
                of: *of,
                path: path.clone(),
                free_bytes: *free,
                min_free_bytes: self.min_free_bytes,
                ends_at_bytes: self.disk_ends_at(),
            },
            Reading::Memory { used, total } => Shortage::Memory {
                used_bytes: *used,
                total_bytes: *total,
                max_percent: self.max_memory_percent,
                ends_at_percent: self.memory_ends_at(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GIB: u64 = 1 << 30;
    const MIB: u64 = 1 << 20;

    fn disk(of: DiskOf, path: &str, free: u64) -> Reading {
        Reading::Disk { of, path: path.into(), free }
    }

    fn memory(used: u64) -> Reading {
        Reading::Memory { used, total: 1000 }
    }

    /// Returns whether specs are admitted after each of the readings.
    fn admitted(limits: Limits, readings: &[Reading]) -> Vec<bool> {
        let mut state = Admission::default();
        let mut step = |reading: &Reading| {
            state = state.next(limits, std::slice::from_ref(reading));
            state.admits()
        };
        readings.iter().map(&mut step).collect()
    }

    #[test]
    fn a_shortage_ends_only_beyond_the_band() {
        let frees = |limit: u32, mib: &[u64]| {
            let readings: Vec<_> = mib.iter().map(|mib| disk(DiskOf::Home, "/h", mib * MIB)).collect();
            admitted(Limits::new(limit, 0), &readings)
        };
        assert_eq!(frees(2, &[2048, 2047, 2048, 2303, 2304, 2048]), [true, false, false, false, true, true]);
        assert_eq!(frees(10, &[10_239, 11_263, 11_264]), [false, false, true], "a tenth of a large limit");
        assert_eq!(frees(0, &[0]), [true], "0 is no limit");
        let used = |limit: u32, used: &[u64]| {
            let readings: Vec<_> = used.iter().map(|used| memory(*used)).collect();
            admitted(Limits::new(0, limit), &readings)
        };
        assert_eq!(used(90, &[900, 901, 899, 851, 850, 900]), [true, false, false, false, true, true]);
        assert_eq!(used(0, &[1000]), [true]);
        assert_eq!(used(4, &[41, 30, 20]), [false, false, true], "half of a small limit");
        assert_eq!(used(1, &[11, 11, 10]), [false, false, true]);
        assert_eq!(used(100, &[1000]), [true]);
    }

    #[test]
    fn the_shortage_of_a_repository_defers_only_its_specs() {
        let limits = Limits::new(2, 90);
        let readings = [
            disk(DiskOf::Home, "/h", 5 * GIB),
            disk(DiskOf::Repository, "/src/api", GIB),
            disk(DiskOf::Repository, "/src/web", 3 * GIB),
            memory(500),
        ];
        let state = Admission::default().next(limits, &readings);
        assert!(state.admits());
        assert_eq!(state.skipped().collect::<Vec<_>>(), ["/src/api"]);
        let worse = state.next(limits, &[disk(DiskOf::Worktrees, "/w", GIB), memory(950)]);
        assert!(!worse.admits());
        assert_eq!((worse.without(&state).count(), state.without(&worse).count()), (2, 1));
        assert_eq!(worse.next(limits, &[]), Admission::default(), "what could not be read is not short");
        assert_eq!(worse.next(Limits::default(), &readings), Admission::default());
    }

    proptest! {
        /// Readings within the band never change the state, and readings beyond it always do.
        #[test]
        fn a_reading_within_the_band_changes_nothing(
            gb in 1u32..100, percent in 2u32..=100, was_short: bool, places in prop::collection::vec(any::<u64>(), 1..20),
        ) {
            let limits = Limits::new(gb, percent);
            let (low, high) = (limits.min_free_bytes, limits.disk_ends_at());
            // In thousandths of the memory.
            let (most, least) = (u64::from(percent) * 10, u64::from(limits.memory_ends_at()) * 10);
            prop_assert!(high - low >= DISK_BAND && least < most);
            let both = |free, used| [disk(DiskOf::Home, "/h", free), memory(used)];
            let (short, enough) = (both(low - 1, most + 1), both(high, least));
            let mut state = Admission::default().next(limits, if was_short { &short } else { &enough });
            for place in places {
                state = state.next(limits, &both(low + place % (high - low), least + 1 + place % (most - least)));
                prop_assert_eq!(state.shortages().len(), if was_short { 2 } else { 0 });
                prop_assert_eq!(state.admits(), !was_short);
            }
            prop_assert!(state.next(limits, &enough).admits());
            prop_assert_eq!(state.next(limits, &short).shortages().len(), 2);
        }
    }
}
