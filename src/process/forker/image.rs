//! The arguments and the environment that `/proc` shows of a process.
//!
//! A forked process shows those of the forker. Supervisors are found by their first argument and by the marker in their
//! environment, so the forker reserves room for both, and each supervisor overwrites it.

use std::ffi::OsStr;
use std::io;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;

use crate::process::marker::{self, MARKER};
use crate::process::procfs;
use crate::process::supervisor_process::SUPERVISE;

/// The most bytes of a command's folder that fit into the room.
pub(super) const MAX_FOLDER: usize = 1024;

/// Returns the argument of a forker that its supervisors overwrite with their own arguments.
pub(super) fn room_for_arguments() -> String {
    " ".repeat(SUPERVISE.len() + MAX_FOLDER)
}

/// The variable of a forker that each supervisor overwrites with [`MARKER`] and its value. The names differ, so that no
/// search for markers finds the forker.
const ROOM: &str = "BOI_FORKER";
const _: () = assert!(ROOM.len() == MARKER.len());

/// Returns the variable of a forker that its supervisors overwrite with their markers.
pub(super) fn room_for_marker() -> (&'static str, String) {
    (ROOM, "-".repeat(marker::LENGTH))
}

/// The places in this process's memory that `/proc` shows.
#[derive(Debug, Clone)]
pub(super) struct Image {
    /// The arguments after the program's name, with the NUL that ends the last one.
    arguments: Range<usize>,
    /// The variable [`ROOM`] with its value, without the NUL at its end.
    marker: Range<usize>,
}

impl Image {
    /// Finds the room that this process, a forker, reserved.
    pub(super) fn find() -> io::Result<Image> {
        let missing = |what: &str| io::Error::other(format!("cannot find the {what} of this process"));
        let (arguments, environment) = procfs::own_image().ok_or_else(|| missing("arguments"))?;
        let name_end = bytes(&arguments).iter().position(|&byte| byte == 0).ok_or_else(|| missing("arguments"))?;
        let arguments = arguments.start + name_end + 1..arguments.end;
        let room = room_for_marker();
        let room = format!("{}={}", room.0, room.1);
        let mut at = environment.start;
        let marker = bytes(&environment).split_inclusive(|&byte| byte == 0).find_map(|variable| {
            let start = at;
            at += variable.len();
            variable.strip_suffix(b"\0").is_some_and(|variable| variable == room.as_bytes()).then(|| start..at - 1)
        });
        let marker = marker.ok_or_else(|| missing("marker"))?;
        Ok(Image { arguments, marker })
    }

    /// Makes this process show the arguments and the marker of the supervisor of the command in `folder`. Also changes the
    /// marker in the environment that the process passes on.
    pub(super) fn become_supervisor(&self, folder: &OsStr, marker: &str) -> io::Result<()> {
        let mut shown = [SUPERVISE.as_bytes(), b"\0", folder.as_bytes()].concat();
        let marker = format!("{MARKER}={marker}");
        if shown.len() >= self.arguments.len() || marker.len() != self.marker.len() {
            return Err(io::ErrorKind::ArgumentListTooLong.into());
        }
        shown.resize(self.arguments.len(), 0);
        overwrite(&self.arguments, &shown);
        overwrite(&self.marker, marker.as_bytes());
        Ok(())
    }
}

/// The bytes at a range of addresses that the kernel named as arguments or environment of this process.
fn bytes(range: &Range<usize>) -> &'static [u8] {
    // SAFETY: the kernel keeps these pages, which it filled at exec, mapped on the first thread's stack for as
    // long as the process lives. A forker has one thread, and calls `overwrite` only after its last read.
    unsafe { std::slice::from_raw_parts(std::ptr::with_exposed_provenance(range.start), range.len()) }
}

/// Replaces the bytes at `range`, which has the length of `new`.
fn overwrite(range: &Range<usize>, new: &[u8]) {
    assert_eq!(range.len(), new.len(), "the new bytes fit exactly");
    // SAFETY: the range is inside the arguments or environment of this process (see `bytes`), which are writable, and
    // `new` does not overlap it. This process has one thread, and holds no reference into the range.
    unsafe {
        std::ptr::copy_nonoverlapping(new.as_ptr(), std::ptr::with_exposed_provenance_mut(range.start), new.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_finds_its_own_arguments() {
        let (arguments, environment) = procfs::own_image().unwrap();
        let shown = std::fs::read("/proc/self/cmdline").unwrap();
        assert_eq!(bytes(&arguments), shown);
        assert!(arguments.end <= environment.start && !environment.is_empty());
    }
}
