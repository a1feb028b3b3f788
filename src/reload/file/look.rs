//! One look at the file: its bytes, and whether somebody has it open for writing.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use super::chain::Chain;
use crate::reload::settle::Writer;
use crate::system::paths;

/// What a look found.
#[derive(Debug)]
pub enum Found {
    /// No file.
    Absent,
    /// Its bytes: at most one more than the limit, so that the reader can tell that it is too large.
    Bytes(Vec<u8>, Writer),
    /// It changed, or gave way to another, while it was read.
    Torn,
    /// It is there and cannot or must not be read: why.
    Unreadable(String),
}

/// Looks at the file that `path` leads to.
pub fn look(path: &Path, limit: usize) -> Found {
    match try_look(path, limit) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Found::Absent,
        Err(error) => Found::Unreadable(format!("cannot read {}: {error}", path.display())),
    }
}

fn try_look(path: &Path, limit: usize) -> io::Result<Found> {
    // A FIFO in its place must not hang the reader.
    let flags = rustix::fs::OFlags::NONBLOCK.bits() as i32;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let before = file.metadata()?;
    if !before.is_file() {
        return Ok(Found::Unreadable(format!("{} is not a regular file", path.display())));
    }
    if let Err(refusal) = paths::check_config(path, &before) {
        return Ok(Found::Unreadable(refusal.to_string()));
    }
    let lease = Lease::take(&file);
    let mut bytes = Vec::new();
    (&file).take(limit as u64 + 1).read_to_end(&mut bytes)?;
    let after = file.metadata()?;
    let state = |of: &std::fs::Metadata| (of.size(), of.mtime(), of.mtime_nsec(), of.ctime(), of.ctime_nsec());
    let complete = bytes.len() as u64 == after.size() || bytes.len() > limit;
    let same = state(&before) == state(&after) && complete && Chain::resolve(path).leads_to(&after);
    let writer = lease.writer();
    drop(lease);
    Ok(if same { Found::Bytes(bytes, writer) } else { Found::Torn })
}

/// A read lease: the kernel grants it only while nobody has the file open for writing, and lets nobody open it for
/// writing while it lasts.
struct Lease<'f> {
    file: &'f File,
    answer: Writer,
}

#[cfg(target_os = "linux")]
impl Lease<'_> {
    fn take(file: &File) -> Lease<'_> {
        let answer = match breaks_are_survived() {
            false => Writer::Unknown,
            true => match set_lease(file, libc::F_RDLCK) {
                Ok(()) => Writer::Nobody,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Writer::Somebody,
                // Another user's file, or a file system without leases.
                Err(_) => Writer::Unknown,
            },
        };
        Lease { file, answer }
    }

    fn writer(&self) -> Writer {
        self.answer
    }
}

#[cfg(target_os = "linux")]
impl Drop for Lease<'_> {
    fn drop(&mut self) {
        // Closing the file gives a lease back too; this is sooner.
        if self.answer == Writer::Nobody {
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

/// Whoever wants to write while a lease lasts makes the kernel send SIGIO, whose default is the end of the process. It is
/// caught, not ignored: what is ignored stays so in every command that is started.
#[cfg(target_os = "linux")]
fn breaks_are_survived() -> bool {
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
        Lease { file, answer: Writer::Unknown }
    }

    fn writer(&self) -> Writer {
        let Lease { file: _, answer } = self;
        *answer
    }
}
