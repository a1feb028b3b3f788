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
use crate::system::files;

/// The version of the record that this program writes.
const VERSION: u32 = 1;

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

/// Takes the record: returns the attempts and removes the record. A record that cannot be read counts as none.
pub(super) fn take(path: &Path) -> Vec<Fence> {
    let Ok(bytes) = std::fs::read(path) else { return Vec::new() };
    if std::fs::remove_file(path).is_err() {
        // A record that stays would excuse every later death, too.
        return Vec::new();
    }
    let record = serde_json::from_slice::<Record>(&bytes).ok().filter(|record| record.version == VERSION);
    let attempts = record.map(|record| record.attempts).unwrap_or_default();
    attempts.into_iter().map(|left| Fence { spec: left.spec, attempt: left.attempt }).collect()
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
}
