//! Identifies the home that a command belongs to.

use std::io;
use std::os::unix::fs::MetadataExt;

use crate::process::command_dir::CommandDir;
use crate::system::paths;
use crate::system::untrusted::Folder;

/// The device and inode of the home in which the supervisor started.
///
/// If the folder of a command was removed, the supervisor creates it again to record the command's end. It
/// does so only if the home is still the one in which it started. If another home is at that path, the user
/// may still put the original home back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HomeIdentity {
    device: u64,
    inode: u64,
}

impl HomeIdentity {
    /// Identifies the home that contains `dir`.
    pub(super) fn of(dir: &CommandDir) -> io::Result<HomeIdentity> {
        let metadata = std::fs::metadata(paths::home_of_command(dir.path()))?;
        Ok(HomeIdentity { device: metadata.dev(), inode: metadata.ino() })
    }

    /// Opens `dir`, after creating it again if the command removed it or put something else in its place. Fails if the
    /// home was removed or replaced.
    pub(super) fn open_folder(self, dir: &CommandDir) -> io::Result<Folder> {
        dir.restore_permissions()?;
        if let Ok(folder) = dir.open() {
            return Ok(folder);
        }
        if HomeIdentity::of(dir)? != self {
            return Err(io::Error::other("the home was removed or replaced while the command ran"));
        }
        dir.make()
    }
}
