//! Identifies the home that a command belongs to.

use std::io;
use std::os::unix::fs::MetadataExt;

use crate::process::command_dir::CommandDir;
use crate::system::{files, paths};

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

    /// Makes sure that `dir` exists and can be written to. Fails if the home was removed or replaced.
    pub(super) fn ensure_folder(self, dir: &CommandDir) -> io::Result<()> {
        dir.restore_permissions()?;
        if dir.path().exists() {
            return Ok(());
        }
        if HomeIdentity::of(dir)? != self {
            return Err(io::Error::other("the home was removed or replaced while the command ran"));
        }
        files::private_dir(dir.path())
    }
}
