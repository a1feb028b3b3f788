//! Reads the configuration file once: its bytes, and whether a program has it open for writing.
//!
//! A read never blocks on a FIFO, reads at most one byte more than the limit, and returns no bytes if the
//! file changed during the read.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::path_chain::PathChain;
use super::settle::OpenForWriting;
use crate::system::{access, paths};

/// The result of one read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum FileContent {
    /// The file does not exist.
    Missing,
    /// The path leads over a link to a file or folder that does not exist; the text says which.
    Dangling(String),
    /// The file's bytes. One byte more than the limit shows the validator that the file is too large.
    Bytes(Vec<u8>, OpenForWriting),
    /// The file changed or was replaced during the read, or its size is not that of its content.
    Changing,
    /// The file cannot be read, or is not safe to use; the text says why.
    Unreadable(String),
}

/// Reads the file that `path` leads to. `limit`: the maximum size of a valid file, in bytes. May wait without bound
/// for a file on a foreign mount.
pub(super) fn read_once(path: &Path, limit: usize) -> FileContent {
    match try_read(path, limit) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => missing(path),
        Err(error) => FileContent::Unreadable(access::explain_read(path, &error)),
    }
}

fn missing(path: &Path) -> FileContent {
    match PathChain::resolve_anywhere(path).dangling() {
        None => FileContent::Missing,
        Some((link, target)) => FileContent::Dangling(format!(
            "{} is a link that leads to {}, which does not exist",
            link.display(),
            target.display()
        )),
    }
}

fn try_read(path: &Path, limit: usize) -> io::Result<FileContent> {
    // Without NONBLOCK, opening a FIFO would block.
    let flags = rustix::fs::OFlags::NONBLOCK.bits() as i32;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let before = file.metadata()?;
    if !before.is_file() {
        return Ok(FileContent::Unreadable(format!("cannot read {}: it is not a regular file", path.display())));
    }
    if let Err(refusal) = paths::check_config(path, &before) {
        return Ok(FileContent::Unreadable(refusal.to_string()));
    }
    let lease = Lease::take(&file);
    let mut bytes = Vec::new();
    (&file).take(limit as u64 + 1).read_to_end(&mut bytes)?;
    let after = file.metadata()?;
    let state = |of: &std::fs::Metadata| (of.size(), of.mtime(), of.mtime_nsec(), of.ctime(), of.ctime_nsec());
    let complete = bytes.len() as u64 == after.size() || bytes.len() > limit;
    let same = state(&before) == state(&after) && complete && PathChain::resolve_anywhere(path).leads_to(&after);
    let writer = lease.writer();
    drop(lease);
    Ok(if same { FileContent::Bytes(bytes, writer) } else { FileContent::Changing })
}

/// A read lease. The kernel grants it only while no program has the file open for writing, and delays a program that
/// opens the file for writing until the lease is released.
struct Lease<'f> {
    file: &'f File,
    answer: OpenForWriting,
}

#[cfg(target_os = "linux")]
impl Lease<'_> {
    fn take(file: &File) -> Lease<'_> {
        let answer = match catches_lease_breaks() {
            false => OpenForWriting::Unknown,
            true => match set_lease(file, libc::F_RDLCK) {
                Ok(()) => OpenForWriting::No,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => OpenForWriting::Yes,
                // The file belongs to another user, or the file system has no leases.
                Err(_) => OpenForWriting::Unknown,
            },
        };
        Lease { file, answer }
    }

    fn writer(&self) -> OpenForWriting {
        self.answer
    }
}

#[cfg(target_os = "linux")]
impl Drop for Lease<'_> {
    fn drop(&mut self) {
        // Closing the file releases the lease too, but later.
        if self.answer == OpenForWriting::No {
            drop(set_lease(self.file, libc::F_UNLCK));
        }
    }
}

#[cfg(target_os = "linux")]
fn set_lease(file: &File, kind: i32) -> io::Result<()> {
    // SAFETY: the descriptor is open for as long as `file` is borrowed, and the call touches no memory of this process.
    let result = unsafe { libc::fcntl(std::os::fd::AsRawFd::as_raw_fd(file), libc::F_SETLEASE, kind) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Installs a handler for SIGIO, and returns whether that worked. The kernel sends SIGIO when another program
/// opens the file for writing during the lease. Without a handler, SIGIO ends the process. The signal is not
/// set to be ignored, because child processes inherit ignored signals.
#[cfg(target_os = "linux")]
fn catches_lease_breaks() -> bool {
    use std::sync::atomic::AtomicBool;
    use std::sync::{Arc, OnceLock};
    static CAUGHT: OnceLock<bool> = OnceLock::new();
    *CAUGHT.get_or_init(|| {
        signal_hook::flag::register(signal_hook::consts::SIGIO, Arc::new(AtomicBool::new(false))).is_ok()
    })
}

#[cfg(not(target_os = "linux"))]
impl Lease<'_> {
    fn take(file: &File) -> Lease<'_> {
        Lease { file, answer: OpenForWriting::Unknown }
    }

    fn writer(&self) -> OpenForWriting {
        let Lease { file: _, answer } = self;
        *answer
    }
}
