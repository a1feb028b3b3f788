//! Keeps the resident memory of a daemon small.

/// Makes the allocator return memory sooner. Must be called before the process has a second thread.
pub(crate) fn limit_kept() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        /// By default, glibc has eight arenas for each processor, and each keeps the memory that was freed in
        /// it.
        const ARENAS: libc::c_int = 2;
        /// Allocations of at least this size are mapped, and unmapped when they are freed. By default, glibc
        /// raises this limit up to 32 MiB, so that the memory of a large request stays.
        const MAPPED_FROM: libc::c_int = 256 << 10;
        // SAFETY: the calls only set parameters of the allocator, and there is no other thread.
        unsafe {
            libc::mallopt(libc::M_ARENA_MAX, ARENAS);
            libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_FROM);
        }
    }
    #[cfg(target_os = "linux")]
    file_pages::remember();
}

/// Returns freed memory to the system. Takes milliseconds.
pub(crate) fn release_freed() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: the call changes no memory that is in use.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Releases the pages of the program and its libraries that this process has not modified.
pub(crate) fn release_file_pages() {
    #[cfg(target_os = "linux")]
    file_pages::release();
}

/// The start of a daemon and its work use code that an idle daemon rarely needs. Its pages count as resident
/// memory until they are unmapped. They stay in the kernel's page cache, and the kernel maps them again when
/// they are used.
#[cfg(target_os = "linux")]
mod file_pages {
    use std::sync::OnceLock;

    use rustix::mm::{Advice, madvise};

    /// The mappings of the program and the libraries that it was loaded with. They stay as they are for as
    /// long as the process lives; a mapping that was made later may be replaced while this file looks at it.
    static LOADED: OnceLock<Vec<(usize, usize)>> = OnceLock::new();

    /// Remembers the present mappings. Must be called before the process has a second thread.
    pub(super) fn remember() {
        LOADED.get_or_init(|| {
            std::fs::read_to_string("/proc/self/smaps").map_or_else(|_| vec![], |maps| unmodified(&maps))
        });
    }

    /// Unmaps the pages of files that this process has not modified. If this fails, the process works as
    /// before, but uses more memory.
    pub(super) fn release() {
        let Ok(maps) = std::fs::read_to_string("/proc/self/smaps") else { return };
        let Some(loaded) = LOADED.get() else { return };
        for (start, end) in unmodified(&maps).into_iter().filter(|range| loaded.contains(range)) {
            let at = std::ptr::with_exposed_provenance_mut(start);
            // SAFETY: the range maps the program or a library without write permission, has done so since
            // this process had one thread, and no page of it was modified (by the loader, for example). So
            // each page is read from the file unchanged when it is used again, including this very code.
            if unsafe { madvise(at, end - start, Advice::LinuxDontNeed) }.is_err() {
                return;
            }
        }
    }

    /// Returns the address ranges in `/proc/self/smaps` that map files, are not writable, and contain no
    /// modified page.
    fn unmodified(maps: &str) -> Vec<(usize, usize)> {
        let mut ranges = Vec::new();
        let mut current = None;
        let (mut none_private, mut none_swapped) = (None, None);
        for line in maps.lines() {
            if let Some(header) = header(line) {
                (current, none_private, none_swapped) = (header, None, None);
                continue;
            }
            match line.split_once(':') {
                Some(("Anonymous", amount)) => none_private = Some(amount.trim() == "0 kB"),
                Some(("Swap", amount)) => none_swapped = Some(amount.trim() == "0 kB"),
                _ => continue,
            }
            if let (Some(range), Some(true), Some(true)) = (current, none_private, none_swapped) {
                ranges.push(range);
                current = None;
            }
        }
        ranges
    }

    /// Parses the first line of a mapping. Returns the mapping's range if it maps a file and is not writable,
    /// otherwise `Some(None)`. Returns `None` for a line that is not the first line of a mapping.
    fn header(line: &str) -> Option<Option<(usize, usize)>> {
        let mut fields = line.split_ascii_whitespace();
        let (start, end) = fields.next()?.split_once('-')?;
        let (start, end) = (usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?);
        let (permissions, file) = (fields.next()?, fields.nth(3));
        let is_file = file.is_some_and(|file| file.starts_with('/'));
        Some((matches!(permissions, "r-xp" | "r--p") && is_file).then_some((start, end)))
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        fn mapping(header: &str, private: u32, swapped: u32) -> String {
            format!(
                "{header}\nSize: 8 kB\nRss: 8 kB\nAnonymous: {private} kB\nSwap: {swapped} kB\nTHPeligible: 0\nVmFlags: rd ex mr\n"
            )
        }

        #[test]
        fn only_unmodified_read_only_pages_of_files_are_released() {
            let libc = "7f00a000-7f00c000 r-xp 00001000 fe:00 42 /usr/lib/libc.so.6";
            let constants = "7f00d000-7f00e000 r--p 00001000 fe:00 42 /usr/lib/libc.so.6";
            let text: String = [
                mapping(libc, 0, 0),
                mapping(constants, 4, 0),
                mapping(constants, 0, 4),
                mapping("7f00e000-7f00f000 rw-p 00001000 fe:00 42 /usr/lib/libc.so.6", 0, 0),
                mapping("7ffd0000-7ffd1000 r-xp 00000000 00:00 0 [vdso]", 0, 0),
                mapping("7ffd2000-7ffd3000 r--p 00000000 00:00 0", 0, 0),
                mapping(constants, 0, 0),
            ]
            .concat();
            assert_eq!(unmodified(&text), [(0x7f00_a000, 0x7f00_c000), (0x7f00_d000, 0x7f00_e000)]);
        }

        #[test]
        fn a_process_runs_on_after_releasing_its_pages() {
            remember();
            release();
            let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
            assert!(!unmodified(&maps).is_empty());
        }
    }
}
