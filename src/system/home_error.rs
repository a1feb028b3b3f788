//! The errors of a home that cannot be used. Each message names the path and the next step.

use std::io;
use std::path::PathBuf;

use super::{access, home_safety};

/// Why a home cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// No environment variable contains the path of the home.
    #[error("neither BOI_HOME nor HOME is set: set BOI_HOME to the folder in which boi keeps its state")]
    Unknown,
    /// The home's path depends on the folder in which boi is called.
    #[error(
        "{variable} is {value:?}, a relative path, which names a different folder in each working directory: set it to an absolute \
         path, such as {absolute:?}"
    )]
    Relative {
        /// The environment variable.
        variable: &'static str,
        /// Its value.
        value: PathBuf,
        /// The path that it names in the current directory.
        absolute: PathBuf,
    },
    /// The file or folder cannot be created or read.
    #[error("cannot create or read {}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The error.
        source: io::Error,
    },
    /// The path leads to something other than a folder.
    #[error("{} is not a directory: move it away, or set BOI_HOME to another folder", path.display())]
    NotADirectory {
        /// The file.
        path: PathBuf,
    },
    /// Another user owns the file or folder.
    #[error("{} belongs to {}, not to you (user {own}): {}", path.display(), access::user(*owner), home_safety::foreign_advice(path, *owner, *own))]
    Foreign {
        /// The file or folder.
        path: PathBuf,
        /// The owner's uid.
        owner: u32,
        /// The uid of this process.
        own: u32,
    },
    /// Another user owns a folder that contains a file or folder of boi, and can replace its entries.
    #[error("{} is in {}, which belongs to {}: {}", path.display(), parent.display(), access::user(*owner), home_safety::foreign_parent_advice(*owner, *own))]
    ForeignParent {
        /// The file or folder that boi uses.
        path: PathBuf,
        /// The folder around it.
        parent: PathBuf,
        /// The owner's uid.
        owner: u32,
        /// The uid of this process.
        own: u32,
    },
    /// Other users can replace the entries of a folder that contains a file or folder of boi.
    #[error("{} is in {}, where other users can replace it (mode {mode:03o}): run `chmod o-w '{}'`, or use another folder", path.display(), parent.display(), parent.display())]
    OpenParent {
        /// The file or folder that boi uses.
        path: PathBuf,
        /// The folder around it.
        parent: PathBuf,
        /// The mode of the folder around it.
        mode: u32,
    },
    /// A folder that boi uses is shared by all users, as `/tmp` is.
    #[error("{} is shared with other users (mode {mode:03o}): use a folder of your own in it", path.display())]
    Shared {
        /// The folder.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// There is a link at a path at which boi does not follow links.
    #[error("{} is a link, and boi follows no link at this path, because a command may have made it: remove the link, or replace it by the file or folder that it leads to", path.display())]
    Link {
        /// The path of the link.
        path: PathBuf,
    },
    /// The home is a copy of another home.
    #[error(
        "{} looks like a copy of the home {}: boi signals and starts nothing from a copy, because its records name the \
         processes and worktrees of the original. Use the original (BOI_HOME='{}'); or, to replace the original by the copy, stop \
         the original's daemon, move the original away, and run `boi doctor --fix` on the copy",
        home.display(), original.display(), original.display()
    )]
    Copy {
        /// The home.
        home: PathBuf,
        /// The home of which it is a copy.
        original: PathBuf,
    },
    /// The home is not the folder that its record names.
    #[error(
        "{} was moved or restored from a backup, or is a copy: its records name the path {}, so boi signals and starts \
         nothing. If no other copy of this home is in use, run `boi doctor --fix`, which records the present path",
        home.display(), recorded.display()
    )]
    Moved {
        /// The home.
        home: PathBuf,
        /// The path of the home when it was last used.
        recorded: PathBuf,
    },
    /// Other users can write to the file or folder.
    #[error("other users can write to {} (mode {mode:03o}): run `chmod go-w '{}'`", path.display(), path.display())]
    Open {
        /// The file or folder.
        path: PathBuf,
        /// The mode of the file or folder.
        mode: u32,
    },
}
