//! Opens a path below an open folder, without following links.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path};

use rustix::fs::{self, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::{FOLDER, Mounts};

/// Opens what is at `below`. A new file gets mode 0600.
#[cfg(target_os = "linux")]
pub(super) fn open_beneath(at: &OwnedFd, below: &Path, flags: OFlags, mounts: Mounts) -> rustix::io::Result<OwnedFd> {
    use rustix::fs::ResolveFlags;
    let mode = if flags.contains(OFlags::CREATE) { Mode::RUSR | Mode::WUSR } else { Mode::empty() };
    // With `PATH`, the kernel accepts only these flags.
    let flags = match flags.contains(OFlags::PATH) {
        true => flags & (OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::DIRECTORY),
        false => flags,
    };
    let mut resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    if mounts == Mounts::Refused {
        resolve |= ResolveFlags::NO_XDEV;
    }
    match fs::openat2(at, below, flags, mode, resolve) {
        // Kernels before 5.6 do not know the call, and some containers forbid it.
        Err(Errno::NOSYS | Errno::PERM) => open_step_by_step(at, below, flags),
        opened => opened,
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn open_beneath(at: &OwnedFd, below: &Path, flags: OFlags, _mounts: Mounts) -> rustix::io::Result<OwnedFd> {
    open_step_by_step(at, below, flags)
}

/// Opens the path one component at a time. Does not detect mount points.
fn open_step_by_step(at: &OwnedFd, below: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let mode = if flags.contains(OFlags::CREATE) { Mode::RUSR | Mode::WUSR } else { Mode::empty() };
    let mut components = below.components().peekable();
    let mut current = None;
    while let Some(component) = components.next() {
        let Component::Normal(name) = component else { return Err(Errno::INVAL) };
        let from = current.as_ref().map_or(at.as_fd(), AsFd::as_fd);
        let opened = match components.peek() {
            Some(_) => fs::openat(from, name, FOLDER | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty())?,
            None => fs::openat(from, name, flags, mode)?,
        };
        current = Some(opened);
    }
    // With the flag `PATH`, the kernel opens the link itself instead of failing.
    let opened = current.ok_or(Errno::INVAL)?;
    match FileType::from_raw_mode(fs::fstat(&opened)?.st_mode) {
        FileType::Symlink => Err(Errno::LOOP),
        _ => Ok(opened),
    }
}
