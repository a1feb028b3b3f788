//! Reduces the memory of a waiting supervisor: unmaps pages of the program and its libraries that were used
//! only at startup. The pages stay in the kernel's page cache, and the kernel maps them again when they are
//! used.

/// Unmaps file pages that this process has not modified. If this fails, the process works as before, but uses
/// more memory.
#[cfg(target_os = "linux")]
pub(super) fn release_file_pages() {
    use rustix::mm::{Advice, madvise};

    let Ok(maps) = std::fs::read_to_string("/proc/self/smaps") else { return };
    for (start, end) in unmodified(&maps) {
        let at = std::ptr::with_exposed_provenance_mut(start);
        // SAFETY: the range maps a file without write permission, and no page of it was modified earlier (by the
        // loader, for example). So each page is read from the file unchanged when it is used again, including this very
        // code.
        if unsafe { madvise(at, end - start, Advice::LinuxDontNeed) }.is_err() {
            return;
        }
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn release_file_pages() {}

/// The address ranges in `/proc/self/smaps` that map files, are not writable, and contain no modified page.
#[cfg(target_os = "linux")]
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

/// Parses the first line of a mapping. Returns the mapping's range if it maps a file and is not writable, otherwise
/// `Some(None)`. Returns `None` for a line that is not the first line of a mapping.
#[cfg(target_os = "linux")]
fn header(line: &str) -> Option<Option<(usize, usize)>> {
    let mut fields = line.split_ascii_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let (start, end) = (usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?);
    let (permissions, file) = (fields.next()?, fields.nth(3));
    let is_file = file.is_some_and(|file| file.starts_with('/'));
    Some((matches!(permissions, "r-xp" | "r--p") && is_file).then_some((start, end)))
}

#[cfg(all(test, target_os = "linux"))]
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
        release_file_pages();
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        assert!(!unmodified(&maps).is_empty());
    }
}
