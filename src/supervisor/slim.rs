//! What a supervisor that only waits need not have mapped: the code and the constants of the program and its libraries
//! that its start ran through. They are in the page cache all the same, and what is needed again comes back by itself.

/// Lets go of the mapped pages of files that this process has not changed. Whatever goes wrong costs memory only.
#[cfg(target_os = "linux")]
pub(super) fn let_go_of_files() {
    use rustix::mm::{Advice, madvise};

    let Ok(maps) = std::fs::read_to_string("/proc/self/smaps") else { return };
    for (start, end) in unchanged(&maps) {
        let at = std::ptr::with_exposed_provenance_mut(start);
        // SAFETY: the range is a file's, mapped without the right to write, and no page of it was changed before that
        // (by the loader, say): each comes back from the file unchanged when it is touched again, as this very code is.
        if unsafe { madvise(at, end - start, Advice::LinuxDontNeed) }.is_err() {
            return;
        }
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn let_go_of_files() {}

/// The ranges of `/proc/self/smaps` that are a file's, not writable, and without a page of this process's own.
#[cfg(target_os = "linux")]
fn unchanged(maps: &str) -> Vec<(usize, usize)> {
    let mut ranges = Vec::new();
    let mut current = None;
    let (mut own, mut swapped) = (None, None);
    for line in maps.lines() {
        if let Some(header) = header(line) {
            (current, own, swapped) = (header, None, None);
            continue;
        }
        match line.split_once(':') {
            Some(("Anonymous", amount)) => own = Some(amount.trim() == "0 kB"),
            Some(("Swap", amount)) => swapped = Some(amount.trim() == "0 kB"),
            _ => continue,
        }
        if let (Some(range), Some(true), Some(true)) = (current, own, swapped) {
            ranges.push(range);
            current = None;
        }
    }
    ranges
}

/// Whether a line begins a mapping; `Some(Some(range))`: one of a file's that cannot be written.
#[cfg(target_os = "linux")]
fn header(line: &str) -> Option<Option<(usize, usize)>> {
    let mut fields = line.split_ascii_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let (start, end) = (usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?);
    let (rights, file) = (fields.next()?, fields.nth(3));
    let a_files = file.is_some_and(|file| file.starts_with('/'));
    Some((matches!(rights, "r-xp" | "r--p") && a_files).then_some((start, end)))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    fn mapping(header: &str, own: u32, swapped: u32) -> String {
        format!(
            "{header}\nSize: 8 kB\nRss: 8 kB\nAnonymous: {own} kB\nSwap: {swapped} kB\nTHPeligible: 0\nVmFlags: rd ex mr\n"
        )
    }

    #[test]
    fn only_what_comes_back_from_a_file_is_let_go() {
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
        assert_eq!(unchanged(&text), [(0x7f00_a000, 0x7f00_c000), (0x7f00_d000, 0x7f00_e000)]);
    }

    #[test]
    fn a_process_goes_on_without_what_it_let_go() {
        let_go_of_files();
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        assert!(!unchanged(&maps).is_empty());
    }
}
