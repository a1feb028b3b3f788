//! The record of the commands that a daemon left running when it ended in order.
//!
//! What ends such a daemon often ends its commands soon after, such as the end of a container or a shutdown. So a command that
//! the next daemon finds dead was cut off: it costs no try and counts as no death. The record is taken when the next daemon
//! starts: the death of a command under that daemon counts again.

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
        warn!(%error, path = %path.display(), "the daemon could not record which commands it left running: if they are killed now, this counts as their death");
    }
}

/// Takes the record: returns the attempts and removes the record, or whatever a command put in its place. A record that
/// cannot be read counts as none.
pub(super) fn take(path: &Path) -> Vec<Fence> {
    let bytes = read(path);
    if let Err(error) = untrusted::remove(path) {
        // A record that stays would excuse every later death, too.
        warn!(%error, "the daemon cannot remove the record of the commands that the last daemon left running, and ignores it");
        return Vec::new();
    }
    let record = bytes.and_then(|bytes| serde_json::from_slice::<Record>(&bytes).ok());
    let record = record.filter(|record| record.version == VERSION);
    let attempts = record.map(|record| record.attempts).unwrap_or_default();
    attempts.into_iter().map(|left| Fence { spec: left.spec, attempt: left.attempt }).collect()
}

/// Reads the file; `None`: it does not exist, is not a file of a record's size, or cannot be read. A FIFO does not block, and
/// a link is not followed.
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
