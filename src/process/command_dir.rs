//! The folder of one command: reads its lock, its records, and which processes remain of a command whose
//! supervisor died.
//!
//! The daemon locks the file `lock` and passes its descriptor to the supervisor, so the kernel keeps the lock
//! until the supervisor ends. A reader acquires the lock before it reads the records. Files of
//! the folder:
//!
//! | file | content |
//! | --- | --- |
//! | `lock` | nothing; locked while the supervisor lives |
//! | `request` | the command line and options that the supervisor executes |
//! | `prompt` | the command's standard input |
//! | `marker` | the marker in the environment of the supervisor and all its descendants |
//! | `started` | that the command was started, with the identities of the supervisor and the command |
//! | `end-request` | why the daemon ends the command; written before it signals the supervisor |
//! | `exit` | how the command ended |
//! | `output`, `errors` | what the command printed |
//! | `supervisor` | error messages of the supervisor itself |

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::process::Signal;
use tracing::warn;

use super::cgroup::Cgroup;
use super::descendants;
use super::identity;
use super::marker::{self, MARKER};
use super::record::{RecordError, read_undamaged_record};
use super::signal_tree::{Signalled, signal_tree};
use crate::decide::recover::{Evidence, Remains};
use crate::domain::command::{CommandEnd, EndReason, EndRequest, Identity, RECORD_VERSION, Started};
use crate::system::untrusted::{Folder, is_damaged};
use crate::system::{attempt_folder, files, paths};

pub(crate) const LOCK: &str = "lock";
pub(crate) const REQUEST: &str = "request";
pub(crate) const PROMPT: &str = "prompt";
pub(crate) const STARTED: &str = "started";
pub(super) const END_REQUEST: &str = "end-request";
pub(crate) const EXIT: &str = "exit";
pub(crate) const OUTPUT: &str = "output";
pub(crate) const ERRORS: &str = "errors";
pub(super) const MARKER_FILE: &str = "marker";
pub(super) const SUPERVISOR: &str = "supervisor";

/// The maximum length of a marker, in bytes.
const MAX_MARKER: usize = 128;

/// The folder of one command. A command may have replaced it, the folders around it and its files, so every use opens
/// the folder anew, without following links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CommandDir(PathBuf);

/// A command's lock, held by this process, and the folder that it is in.
#[derive(Debug)]
pub(crate) struct CommandLock {
    pub(super) file: File,
    pub(super) folder: Folder,
}

impl CommandDir {
    /// Removes anything that an earlier command left at the path of a command that was never started, so that
    /// it is not read as a record of this command. Keeps a folder whose lock is held.
    pub(crate) fn empty(&self) -> io::Result<()> {
        if self.is_locked()? {
            return Ok(());
        }
        attempt_folder::remove(&self.0)
    }

    /// Returns a handle of the folder at `path`, which need not exist.
    pub(crate) fn at(path: PathBuf) -> CommandDir {
        CommandDir(path)
    }

    /// Finds, below the folder `attempts`, the folder of the command in whose process tree this process runs;
    /// `None`: this process has no marker, or no command below `attempts` has the same one.
    pub(crate) fn around(attempts: &Path) -> Option<CommandDir> {
        let own = paths::variable(MARKER)?.into_string().ok()?;
        let specs = attempt_folder::subfolders(attempts).unwrap_or_default();
        let commands = specs.iter().flat_map(|spec| attempt_folder::commands(spec).unwrap_or_default());
        commands.map(CommandDir).find(|dir| dir.read_marker().is_ok_and(|marker| marker.as_ref() == Some(&own)))
    }

    /// Opens the folder.
    pub(crate) fn open(&self) -> io::Result<Folder> {
        attempt_folder::open(&self.0)
    }

    /// Opens the folder, after creating it again if a command removed or replaced it.
    pub(crate) fn make(&self) -> io::Result<Folder> {
        let (folder, repaired) = attempt_folder::make(&self.0)?;
        if let Some(path) = repaired {
            warn!(path = %path.display(), "a command had removed this user's permissions for this path or put something else there; boi repaired the path");
        }
        Ok(folder)
    }

    /// Whether the folder exists.
    pub(crate) fn exists(&self) -> bool {
        self.open().is_ok()
    }

    /// Whether the folder of the attempt exists. `boi clean` removes it, with the folders of all its commands.
    pub(crate) fn attempt_exists(&self) -> bool {
        self.0.parent().is_some_and(|attempt| attempt.symlink_metadata().is_ok())
    }

    /// Opens a file of the folder for reading; `None`: the file or the folder does not exist, or a command put something
    /// else in its place.
    pub(crate) fn open_file(&self, name: &str) -> io::Result<Option<File>> {
        match self.open().and_then(|folder| folder.file(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) if is_damaged(&error) => {
                warn!(%error, "boi ignores a file of a command because something else is in its place");
                Ok(None)
            }
            opened => opened,
        }
    }

    /// Whether a supervisor holds the lock.
    pub(crate) fn is_locked(&self) -> io::Result<bool> {
        let Some(file) = self.open_file(LOCK)? else { return Ok(false) };
        match flock(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => Ok(false),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// Restores this user's access to the folder, to its records and to the folders above it that boi made, in case the
    /// command removed the access rights.
    pub(crate) fn restore_permissions(&self) -> io::Result<()> {
        if let Some(path) = attempt_folder::restore_access(&self.0)? {
            warn!(path = %path.display(), "a command had removed this user's permissions for this path; boi restored them");
        }
        Ok(())
    }

    /// The path of the folder.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The file that is locked while the supervisor lives.
    pub(crate) fn lock_file(&self) -> PathBuf {
        self.0.join(LOCK)
    }

    /// The record that the command was started.
    #[cfg(test)]
    pub(crate) fn started_file(&self) -> PathBuf {
        self.0.join(STARTED)
    }

    /// The record of how the command ended.
    #[cfg(test)]
    pub(crate) fn exit_file(&self) -> PathBuf {
        self.0.join(EXIT)
    }

    /// Acquires the lock and reads the records, unless a supervisor holds the lock. `other_boot`: whether the
    /// machine was rebooted since the command was recorded as begun.
    pub(crate) fn inspect(&self, other_boot: bool) -> Result<(Evidence, Option<CommandLock>), RecordError> {
        self.restore_permissions()?;
        let folder = self.make()?;
        let file = folder.lockable(LOCK)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {
                let evidence = self.evidence_in(Some(&folder), other_boot)?;
                Ok((evidence, Some(CommandLock { file, folder })))
            }
            Err(rustix::io::Errno::WOULDBLOCK) => {
                Ok((Evidence { lock_held: true, exit: None, other_boot, started: None, removed: false }, None))
            }
            Err(error) => Err(io::Error::from(error).into()),
        }
    }

    /// Reads the records. Must be called only while no supervisor holds the lock.
    pub(crate) fn read_evidence(&self, other_boot: bool) -> Result<Evidence, RecordError> {
        let folder = match self.open() {
            Err(error) if error.kind() == io::ErrorKind::NotFound || is_damaged(&error) => None,
            opened => Some(opened?),
        };
        self.evidence_in(folder.as_ref(), other_boot)
    }

    fn evidence_in(&self, folder: Option<&Folder>, other_boot: bool) -> Result<Evidence, RecordError> {
        let mut exit: Option<CommandEnd> = folder.map_or(Ok(None), |folder| read_undamaged_record(folder, EXIT))?;
        if let Some(end) = exit.as_mut().filter(|end| end.may_be_requested() && end.reason.is_none()) {
            // A supervisor of an earlier version does not copy the reason from `end-request` into `exit`.
            end.reason = self.read_end_request()?;
        }
        let contains = |name| folder.is_some_and(|folder| folder.contains(name));
        let started: Option<Started> = folder.map_or(Ok(None), |folder| read_undamaged_record(folder, STARTED))?;
        let started = match started {
            Some(started) if identity::lives(&started.command) => Some(Remains::Alive),
            Some(_) => Some(Remains::Gone),
            // Even a damaged record shows that the command was executed.
            None => (contains(STARTED) || contains(EXIT)).then_some(Remains::Gone),
        };
        Ok(Evidence { lock_held: false, exit, other_boot, started, removed: false })
    }

    /// Reads how the command ended; `None`: it has not ended, or the record is missing or damaged.
    pub(crate) fn read_exit(&self) -> Option<CommandEnd> {
        read_undamaged_record(&self.open().ok()?, EXIT).ok().flatten()
    }

    /// Reads the record `started`, which identifies the processes of the supervisor and the command; `None`:
    /// the record is missing or damaged.
    pub(super) fn read_started(&self) -> Result<Option<Started>, RecordError> {
        match self.open() {
            Ok(folder) => read_undamaged_record(&folder, STARTED),
            Err(error) if error.kind() == io::ErrorKind::NotFound || is_damaged(&error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Durably records why the daemon ends the command. The daemon signals the supervisor only after this.
    pub(crate) fn request_end(&self, reason: EndReason) -> io::Result<()> {
        let record = serde_json::to_vec(&EndRequest { version: RECORD_VERSION, reason })?;
        self.make()?.replace(END_REQUEST, &record, files::Durability::Power)
    }

    /// Reads why a daemon requested the end of the command; `None`: no daemon did, or the record is damaged.
    pub(crate) fn read_end_request(&self) -> Result<Option<EndReason>, RecordError> {
        let request: Option<EndRequest> = match self.open() {
            Ok(folder) => read_undamaged_record(&folder, END_REQUEST)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound || is_damaged(&error) => None,
            Err(error) => return Err(error.into()),
        };
        Ok(request.map(|request| request.reason))
    }

    /// Reads the marker; `None`: the marker file does not exist, or something else is in its place.
    pub(crate) fn read_marker(&self) -> io::Result<Option<String>> {
        match self.open().and_then(|folder| folder.read(MARKER_FILE, MAX_MARKER)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound || is_damaged(&error) => Ok(None),
            read => Ok(read?.map(|marker| String::from_utf8_lossy(&marker).into_owned())),
        }
    }

    /// Returns the last of the supervisor's own error messages.
    pub(crate) fn last_supervisor_message(&self) -> Option<String> {
        let text = files::tail(self.open_file(SUPERVISOR).ok()??, 1000).ok()?;
        String::from_utf8_lossy(&text).trim_end().lines().next_back().map(str::to_owned)
    }

    /// Creates the folder again, with the file `marker`, if it was removed while the command ran. Returns
    /// whether it was removed. Does not change records that the supervisor has written since then.
    pub(crate) fn restore(&self, marker: &str) -> io::Result<bool> {
        self.restore_permissions()?;
        if self.read_marker()?.as_deref() == Some(marker) {
            return Ok(false);
        }
        self.make()?.write(MARKER_FILE, marker.as_bytes())?;
        Ok(true)
    }

    /// Finds the remaining processes of a command whose supervisor died: those that carry the command's
    /// marker, are in its cgroup, or descend from the command.
    pub(crate) fn remaining_processes(&self) -> Result<Vec<Identity>, RecordError> {
        let mut left = self.read_marker()?.map(|marker| marker::processes_with(&[&marker])).unwrap_or_default();
        left.extend(self.cgroup()?.map(|cgroup| cgroup.processes()).unwrap_or_default());
        if let Some(started) = self.read_started()? {
            left.extend(descendants::living_with_descendants(vec![started.command]));
        }
        left.sort_by_key(|process| (process.pid, process.start_time));
        left.dedup();
        Ok(left)
    }

    /// Sends `signal` to the remaining processes of a command whose supervisor died.
    pub(crate) fn signal_remaining(&self, signal: Signal) -> Result<Signalled, RecordError> {
        let cgroup = self.cgroup()?;
        Ok(signal_tree(signal, cgroup.as_slice(), || Ok(self.remaining_processes()?))?)
    }

    /// Removes the command's cgroup. Fails while a process is in it.
    pub(crate) fn remove_cgroup(&self) -> Result<(), RecordError> {
        Ok(self.cgroup()?.map_or(Ok(()), |cgroup| cgroup.remove())?)
    }

    /// Returns the command's cgroup: the one that the record `started` names. If `started` names none, the
    /// one with the command's marker, at the path where this process would make it.
    pub(super) fn cgroup(&self) -> Result<Option<Cgroup>, RecordError> {
        if let Some(cgroup) = self.read_started()?.and_then(|started| started.cgroup) {
            // A command can write the record, and must not make boi end the processes of another command.
            let marker = self.read_marker()?;
            return Ok(Cgroup::at(&cgroup).filter(|cgroup| marker.is_some_and(|marker| cgroup.is_of(&marker))));
        }
        Ok(self.read_marker()?.and_then(|marker| Cgroup::with_marker(&marker)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command() -> (tempfile::TempDir, CommandDir) {
        let folder = tempfile::TempDir::new().unwrap();
        let dir = CommandDir::at(folder.path().to_owned());
        (folder, dir)
    }

    #[test]
    fn a_damaged_record_tells_only_that_something_was_executed() {
        let (_folder, dir) = command();
        let found = || {
            let (evidence, _) = dir.inspect(false).unwrap();
            (evidence.exit.is_some(), evidence.started)
        };
        assert_eq!(found(), (false, None));
        for file in [dir.started_file(), dir.exit_file()] {
            for damaged in [&b""[..], &[0; 328], b"{\"version\": 1, \"super"] {
                std::fs::write(&file, damaged).unwrap();
                assert_eq!(found(), (false, Some(Remains::Gone)), "{}", file.display());
            }
            assert!(dir.read_started().unwrap().is_none());
            assert!(dir.remaining_processes().unwrap().is_empty());
            std::fs::remove_file(file).unwrap();
        }
        std::fs::write(dir.path().join(MARKER_FILE), b"\xff\0").unwrap();
        assert!(dir.restore("a marker").unwrap() && !dir.restore("a marker").unwrap());
    }

    #[test]
    fn the_requested_reason_completes_the_exit_record_of_an_earlier_supervisor() {
        let (_folder, dir) = command();
        let write = |cause: &str| {
            let record = format!(r#"{{"version":1,"cause":"{cause}","ended_at":"2026-11-23T14:02:11.123Z"}}"#);
            std::fs::write(dir.exit_file(), record).unwrap();
            dir.read_evidence(false).unwrap().exit.unwrap().reason
        };
        assert_eq!((write("terminated"), dir.read_end_request().unwrap()), (None, None));
        dir.request_end(EndReason::Stalled).unwrap();
        assert_eq!(write("terminated"), Some(EndReason::Stalled));
        assert_eq!(write("finished"), None, "the command ended by itself before the signal");
        assert_eq!(write("timed_out"), None);
        std::fs::write(dir.path().join(END_REQUEST), b"garbage").unwrap();
        assert_eq!(write("terminated"), None);
    }

    #[test]
    fn a_newer_record_is_an_error_of_its_own_and_nothing_is_guessed() {
        let (_folder, dir) = command();
        let is_newer =
            |error: RecordError, file: &Path| matches!(error, RecordError::Newer { path, version: 2 } if path == file);
        for file in [dir.started_file(), dir.exit_file()] {
            std::fs::write(&file, br#"{"version": 2, "supervisor": 4711}"#).unwrap();
            assert!(is_newer(dir.inspect(false).unwrap_err(), &file));
            assert!(is_newer(dir.read_evidence(true).unwrap_err(), &file));
            if file == dir.started_file() {
                assert!(is_newer(dir.read_started().unwrap_err(), &file));
                assert!(is_newer(dir.remaining_processes().unwrap_err(), &file));
                assert!(is_newer(dir.signal_remaining(Signal::KILL).unwrap_err(), &file));
                assert!(is_newer(dir.remove_cgroup().unwrap_err(), &file));
            }
            std::fs::remove_file(file).unwrap();
        }
        // The records of a living supervisor are not read.
        std::fs::write(dir.exit_file(), br#"{"version": 2}"#).unwrap();
        let lock = files::private_file(&dir.lock_file()).unwrap();
        flock(&lock, FlockOperation::NonBlockingLockExclusive).unwrap();
        assert!(dir.inspect(false).unwrap().0.lock_held);
    }
}
