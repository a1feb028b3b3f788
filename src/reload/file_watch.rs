//! Watches every folder in the [`PathChain`] of the configuration file, and converts file system events to
//! [`FileEvent`]s.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use notify::event::{AccessKind, AccessMode, CreateKind, ModifyKind, RemoveKind, RenameMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use super::path_chain::PathChain;
use super::settle::FileEvent;
use crate::domain::verdict::WatchMode;

/// A watch on the folders and the file of one [`PathChain`].
///
/// When the chain changes, a new watch must be built: a watch follows a renamed file to its new place, and `notify` drops
/// the watch of a path when an entry of that name is removed, even if a new entry of that name exists by then.
pub(super) struct FileWatch {
    _watcher: RecommendedWatcher,
}

impl FileWatch {
    /// Watches every folder of `chain`, and the file itself: only a watch on the file sees a change through another mount
    /// or hard link. `send` is called on the watch's own thread.
    pub(super) fn new(chain: &PathChain, send: impl Fn(FileEvent) + Send + 'static) -> notify::Result<FileWatch> {
        let entries: HashSet<PathBuf> = chain.entries().map(Path::to_owned).collect();
        let folders: HashSet<PathBuf> = chain.folders().map(Path::to_owned).collect();
        let mut watcher = {
            let folders = folders.clone();
            notify::recommended_watcher(move |event: notify::Result<Event>| {
                if let Some(event) = classify(event, &entries, &folders) {
                    send(event);
                }
            })?
        };
        for folder in &folders {
            watcher.watch(folder, RecursiveMode::NonRecursive)?;
        }
        if let Some(file) = chain.file() {
            // If the file has been removed since, the watch on its folder reports that.
            drop(watcher.watch(file, RecursiveMode::NonRecursive));
        }
        Ok(FileWatch { _watcher: watcher })
    }
}

/// How this platform reports changes.
#[cfg(target_os = "linux")]
pub(super) const MODE: WatchMode = WatchMode::Inotify;
/// How this platform reports changes.
#[cfg(not(target_os = "linux"))]
pub(super) const MODE: WatchMode = WatchMode::Fsevents;

/// Whether this platform reports that a program closed a file.
pub(super) const REPORTS_CLOSE: bool = cfg!(target_os = "linux");

/// Converts a file system event to its meaning for the configuration file; `None`: the event does not concern
/// that file.
fn classify(event: notify::Result<Event>, entries: &HashSet<PathBuf>, folders: &HashSet<PathBuf>) -> Option<FileEvent> {
    let Ok(event) = event else { return Some(FileEvent::Unknown) };
    if event.need_rescan() {
        return Some(FileEvent::Unknown);
    }
    if !event.paths.iter().any(|path| entries.contains(path)) {
        // If a watched folder was moved or removed, its watch is lost, so the file counts as removed.
        let moved = matches!(event.kind, EventKind::Modify(ModifyKind::Name(_)) | EventKind::Remove(_));
        return (moved && event.paths.iter().any(|path| folders.contains(path))).then_some(FileEvent::Removed);
    }
    Some(match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => FileEvent::Closed,
        // These events are ignored, because boi's own reads cause them.
        EventKind::Access(_) => return None,
        EventKind::Create(CreateKind::Folder) => FileEvent::Replaced,
        // A symbolic link is complete as soon as it exists: no write follows.
        EventKind::Create(_) if event.paths.iter().any(|path| path.is_symlink()) => FileEvent::Replaced,
        EventKind::Create(_) => FileEvent::Created,
        EventKind::Modify(ModifyKind::Data(_)) => FileEvent::Written,
        EventKind::Modify(ModifyKind::Metadata(_)) => FileEvent::MetadataChanged,
        EventKind::Modify(ModifyKind::Name(RenameMode::From))
        | EventKind::Remove(RemoveKind::File | RemoveKind::Folder | RemoveKind::Any | RemoveKind::Other) => {
            FileEvent::Removed
        }
        EventKind::Modify(ModifyKind::Name(_)) => FileEvent::Replaced,
        EventKind::Any | EventKind::Other | EventKind::Modify(_) => FileEvent::Unknown,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use notify::event::{DataChange, Flag, MetadataKind};

    use super::*;

    const CLOSED: EventKind = EventKind::Access(AccessKind::Close(AccessMode::Write));

    fn renamed(mode: RenameMode) -> EventKind {
        EventKind::Modify(ModifyKind::Name(mode))
    }

    #[test]
    fn each_event_of_the_file_has_its_meaning() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link, other) = (dir.path().join("file"), dir.path().join("link"), dir.path().join("other"));
        fs::write(&file, "").unwrap();
        std::os::unix::fs::symlink("file", &link).unwrap();
        let entries = HashSet::from([file.clone(), link.clone()]);
        let folders = HashSet::from([dir.path().to_owned()]);
        let meaning =
            |kind: EventKind, path: &Path| classify(Ok(Event::new(kind).add_path(path.to_owned())), &entries, &folders);
        let metadata = EventKind::Modify(ModifyKind::Metadata(MetadataKind::Any));
        let data = EventKind::Modify(ModifyKind::Data(DataChange::Any));
        for (kind, path, expected) in [
            (CLOSED, &file, Some(FileEvent::Closed)),
            (EventKind::Access(AccessKind::Close(AccessMode::Read)), &file, None),
            (EventKind::Access(AccessKind::Open(AccessMode::Any)), &file, None),
            (EventKind::Create(CreateKind::File), &file, Some(FileEvent::Created)),
            (EventKind::Create(CreateKind::File), &link, Some(FileEvent::Replaced)),
            (EventKind::Create(CreateKind::Folder), &file, Some(FileEvent::Replaced)),
            (data, &file, Some(FileEvent::Written)),
            (metadata, &file, Some(FileEvent::MetadataChanged)),
            (renamed(RenameMode::From), &file, Some(FileEvent::Removed)),
            (renamed(RenameMode::To), &file, Some(FileEvent::Replaced)),
            (renamed(RenameMode::Both), &file, Some(FileEvent::Replaced)),
            (EventKind::Remove(RemoveKind::File), &file, Some(FileEvent::Removed)),
            (EventKind::Modify(ModifyKind::Any), &file, Some(FileEvent::Unknown)),
            (EventKind::Any, &file, Some(FileEvent::Unknown)),
            // Events of other files in a watched folder, and of the folder itself.
            (CLOSED, &other, None),
            (renamed(RenameMode::From), &other, None),
            (metadata, &dir.path().to_owned(), None),
            (renamed(RenameMode::From), &dir.path().to_owned(), Some(FileEvent::Removed)),
            (EventKind::Remove(RemoveKind::Folder), &dir.path().to_owned(), Some(FileEvent::Removed)),
        ] {
            assert_eq!(meaning(kind, path), expected, "{kind:?} {}", path.display());
        }
        // A rename names both paths.
        let both = Event::new(renamed(RenameMode::Both)).add_path(other).add_path(file);
        assert_eq!(classify(Ok(both), &entries, &folders), Some(FileEvent::Replaced));
    }

    #[test]
    fn lost_events_and_errors_mean_that_anything_may_have_happened() {
        let none = HashSet::new();
        let rescan = Event::new(EventKind::Other).set_flag(Flag::Rescan);
        assert_eq!(classify(Ok(rescan), &none, &none), Some(FileEvent::Unknown));
        assert_eq!(classify(Err(notify::Error::generic("x")), &none, &none), Some(FileEvent::Unknown));
    }
}
