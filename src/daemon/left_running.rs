//! The record of the commands that a daemon leaves running when it ends normally: it was told to end, and did
//! not crash.
//!
//! The event that makes such a daemon end, such as the end of a container or a shutdown of the machine, often
//! ends its commands soon after. So a command that the next daemon finds dead was cut off: this costs no try
//! and does not count as a death. The next daemon removes the record when it starts. A command that dies
//! later, while that daemon runs, counts as a death again.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::domain::id::SpecId;
use crate::queue::Fence;
use crate::system::{files, untrusted};

/// The version of the record that this program writes.
const VERSION: u32 = 1;
/// The largest size of a record that is read, in bytes.
const MAX_BYTES: usize = 1 << 20;

#[derive(Debug, Serialize, Deserialize)]
struct Record {
    version: u32,
    attempts: Vec<Left>,
}

/// An attempt whose command was left running.
#[derive(Debug, Serialize, Deserialize)]
struct Left {
    spec: SpecId,
    attempt: u32,
}

/// Records the attempts whose commands the daemon leaves running.
pub(super) fn record(path: &Path, fences: &[Fence]) {
    if fences.is_empty() {
        return;
    }
    let attempts = fences.iter().map(|fence| Left { spec: fence.spec.clone(), attempt: fence.attempt }).collect();
    let written = serde_json::to_vec(&Record { version: VERSION, attempts })
        .map_err(io::Error::other)
        .and_then(|bytes| files::write_atomically(path, &bytes, files::Durability::Power));
    if let Err(error) = written {
        warn!(%error, path = %path.display(), "the daemon cannot record which commands it leaves running: if something kills one of them before the next daemon starts, the next daemon counts that as a death of the command");
    }
}

/// Reads and removes the record, and returns its attempts. Also removes anything else that a command put at
/// the path. Returns no attempts if the record cannot be read.
pub(super) fn take(path: &Path) -> Vec<Fence> {
    let bytes = read(path);
    if let Err(error) = untrusted::remove(path) {
        // If the record stayed, boi would not count any later death either.
        warn!(%error, path = %path.display(), "the daemon cannot remove the record of the commands that the last daemon left running, so it ignores the record: a command that was killed since then counts as dead");
        return Vec::new();
    }
    let record = bytes.and_then(|bytes| serde_json::from_slice::<Record>(&bytes).ok());
    let record = record.filter(|record| record.version == VERSION);
    let attempts = record.map(|record| record.attempts).unwrap_or_default();
    attempts.into_iter().map(|left| Fence { spec: left.spec, attempt: left.attempt }).collect()
}

/// Reads the file at `path`. Returns `None` if there is no regular file, if the file is larger than a record
/// can be, or if it cannot be read. Does not block on a FIFO, and does not follow a link.
fn read(path: &Path) -> Option<Vec<u8>> {
    untrusted::Folder::trusted(path.parent()?).ok()?.read(path.file_name()?.to_str()?, MAX_BYTES).ok()?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_is_taken_once_and_a_damaged_one_counts_as_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("left");
        assert!(take(&path).is_empty());
        let fence = Fence { spec: "S0001".parse().unwrap(), attempt: 3 };
        record(&path, std::slice::from_ref(&fence));
        assert_eq!(take(&path), [fence]);
        assert!(take(&path).is_empty() && !path.exists());
        for damaged in ["", "{}", r#"{"version":2,"attempts":[]}"#, r#"{"version":1,"attempts":[{"spec":"x"}]}"#] {
            std::fs::write(&path, damaged).unwrap();
            assert!(take(&path).is_empty(), "{damaged}");
        }
    }

    #[test]
    fn what_a_command_put_in_the_place_of_the_record_is_removed_unread() {
        let dir = tempfile::tempdir().unwrap();
        let (path, other) = (dir.path().join("left"), dir.path().join("other"));
        let fence = Fence { spec: "S0001".parse().unwrap(), attempt: 3 };
        record(&other, std::slice::from_ref(&fence));
        let make: [&dyn Fn(); 5] = [
            &|| {
                let kind = rustix::fs::FileType::Fifo;
                rustix::fs::mknodat(rustix::fs::CWD, &path, kind, rustix::fs::Mode::RWXU, 0).unwrap();
            },
            &|| std::os::unix::fs::symlink("/dev/zero", &path).unwrap(),
            &|| std::os::unix::fs::symlink(&other, &path).unwrap(),
            &|| std::fs::create_dir_all(path.join("x")).unwrap(),
            &|| std::fs::File::create(&path).unwrap().set_len(1 << 40).unwrap(),
        ];
        for (place, make) in make.iter().enumerate() {
            make();
            assert!(take(&path).is_empty(), "{place}");
            assert!(std::fs::symlink_metadata(&path).is_err(), "{place}");
        }
        assert_eq!(take(&other), [fence]);
    }
}
