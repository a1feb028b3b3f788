//! The news that something on the way to the file changed.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use notify::event::{AccessKind, AccessMode, CreateKind, ModifyKind, RemoveKind, RenameMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use super::chain::Chain;
use crate::domain::verdict::WatchMode;
use crate::reload::settle::Notice;

/// A running watch on one state of a chain. Another state needs another watch: this one would follow what was renamed
/// away, and drops what it was told to watch when an entry of that name goes, also when a new one has come since.
pub struct Watch {
    _watcher: RecommendedWatcher,
    mode: WatchMode,
}

impl Watch {
    /// Watches every folder of `chain`, and the file itself (a change through another mount or a hard link is seen
    /// there only). `tell` is called from the watch's own thread.
    pub fn new(chain: &Chain, tell: impl Fn(Notice) + Send + 'static) -> notify::Result<Watch> {
        let entries: HashSet<PathBuf> = chain.entries().map(Path::to_owned).collect();
        let folders: HashSet<PathBuf> = chain.folders().map(Path::to_owned).collect();
        let mut watcher = {
            let folders = folders.clone();
            notify::recommended_watcher(move |event: notify::Result<Event>| {
                if let Some(notice) = read(event, &entries, &folders) {
                    tell(notice);
                }
            })?
        };
        for folder in &folders {
            watcher.watch(folder, RecursiveMode::NonRecursive)?;
        }
        if let Some(file) = chain.file() {
            // It may have gone meanwhile; its folder tells.
            drop(watcher.watch(file, RecursiveMode::NonRecursive));
        }
        let mode = if chain.file().or(chain.folders().last()).is_some_and(is_remote) { WatchMode::Poll } else { MODE };
        Ok(Watch { _watcher: watcher, mode })
    }

    /// What the watch is worth.
    pub fn mode(&self) -> WatchMode {
        self.mode
    }
}

#[cfg(target_os = "linux")]
const MODE: WatchMode = WatchMode::Inotify;
#[cfg(not(target_os = "linux"))]
const MODE: WatchMode = WatchMode::Fsevents;

/// Whether this platform tells when a writer closes a file.
pub const fn closes_are_seen() -> bool {
    cfg!(target_os = "linux")
}

/// Whether changes may be made where this kernel does not see them.
#[cfg(target_os = "linux")]
fn is_remote(path: &Path) -> bool {
    const NFS: u64 = 0x6969;
    const SMB: u64 = 0x517B;
    const SMB2: u64 = 0xFE53_4D42;
    const CIFS: u64 = 0xFF53_4D42;
    const PLAN9: u64 = 0x0102_1997;
    const FUSE: u64 = 0x6573_5546;
    const CEPH: u64 = 0x00C3_6400;
    rustix::fs::statfs(path)
        .is_ok_and(|found| [NFS, SMB, SMB2, CIFS, PLAN9, FUSE, CEPH].contains(&(found.f_type as u64 & 0xFFFF_FFFF)))
}

#[cfg(not(target_os = "linux"))]
fn is_remote(_path: &Path) -> bool {
    false
}

/// What an event says of the file; `None`: nothing.
fn read(event: notify::Result<Event>, entries: &HashSet<PathBuf>, folders: &HashSet<PathBuf>) -> Option<Notice> {
    let Ok(event) = event else { return Some(Notice::Doubt) };
    if event.need_rescan() {
        return Some(Notice::Doubt);
    }
    if !event.paths.iter().any(|path| entries.contains(path)) {
        // A folder that was moved or removed takes its watch along.
        let moved = matches!(event.kind, EventKind::Modify(ModifyKind::Name(_)) | EventKind::Remove(_));
        return (moved && event.paths.iter().any(|path| folders.contains(path))).then_some(Notice::Gone);
    }
    Some(match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => Notice::Closed,
        // Our own reading is among these.
        EventKind::Access(_) => return None,
        EventKind::Create(CreateKind::Folder) => Notice::Replaced,
        // A link is whole as soon as it is there.
        EventKind::Create(_) if event.paths.iter().any(|path| path.is_symlink()) => Notice::Replaced,
        EventKind::Create(_) => Notice::Created,
        EventKind::Modify(ModifyKind::Data(_)) => Notice::Written,
        EventKind::Modify(ModifyKind::Metadata(_)) => Notice::Touched,
        EventKind::Modify(ModifyKind::Name(RenameMode::From))
        | EventKind::Remove(RemoveKind::File | RemoveKind::Folder | RemoveKind::Any | RemoveKind::Other) => {
            Notice::Gone
        }
        EventKind::Modify(ModifyKind::Name(_)) => Notice::Replaced,
        EventKind::Any | EventKind::Other | EventKind::Modify(_) => Notice::Doubt,
    })
}
