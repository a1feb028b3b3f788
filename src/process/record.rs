//! Reads the versioned records of commands. boi writes each record as a whole, but a power loss or a person
//! can damage a record, and a newer version of boi may have written it.

use std::io;
use std::path::PathBuf;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tracing::warn;

use crate::domain::command::RECORD_VERSION;
use crate::system::untrusted::Folder;

/// The maximum size of a record, in bytes. It is large because a request contains the whole command line.
const MAX_RECORD: usize = 16 << 20;

/// Why a record was not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordError {
    /// A newer version of boi wrote the record. The state of the command is unknown, so the caller must not
    /// start the command again, and must not assume that it ended.
    #[error(
        "{} is a record of version {version}, and this boi reads up to version {RECORD_VERSION}: run the newer boi that \
         wrote it",
        path.display()
    )]
    Newer {
        /// The record's file.
        path: PathBuf,
        /// The record's version.
        version: u32,
    },
    /// The file could not be read.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<RecordError> for io::Error {
    /// Converts the error; a `RecordError::Newer` stays available as the inner error, by `error.get_ref()`
    /// and `downcast_ref`.
    fn from(error: RecordError) -> io::Error {
        match error {
            RecordError::Io(error) => error,
            newer @ RecordError::Newer { .. } => io::Error::other(newer),
        }
    }
}

/// The version of a record. The first exit records did not have this field; their version counts as 0.
#[derive(Deserialize)]
struct Version {
    #[serde(default)]
    version: u32,
}

/// Reads a record; `None`: the file does not exist. Fails with [`io::ErrorKind::InvalidData`] if the record
/// is damaged.
pub(crate) fn read_record<T: DeserializeOwned>(folder: &Folder, name: &str) -> Result<Option<T>, RecordError> {
    let Some(bytes) = folder.read(name, MAX_RECORD)? else { return Ok(None) };
    let path = folder.path().join(name);
    let damaged = |error| io::Error::new(io::ErrorKind::InvalidData, format!("{} is damaged: {error}", path.display()));
    // The version is read first: the rest of a newer record may not be readable.
    let Version { version } = serde_json::from_slice(&bytes).map_err(damaged)?;
    if version > RECORD_VERSION {
        return Err(RecordError::Newer { path, version });
    }
    Ok(Some(serde_json::from_slice(&bytes).map_err(damaged)?))
}

/// Reads a record of any version as JSON; `None`: the record does not exist or cannot be read.
pub(super) fn read_any_record(folder: &Folder, name: &str) -> Option<serde_json::Value> {
    serde_json::from_slice(&folder.read(name, MAX_RECORD).ok()??).ok()
}

/// Reads a record; `None`: the record does not exist or is damaged. To distinguish the two, check whether the
/// file exists.
pub(super) fn read_undamaged_record<T: DeserializeOwned>(
    folder: &Folder,
    name: &str,
) -> Result<Option<T>, RecordError> {
    match read_record(folder, name) {
        Err(RecordError::Io(error)) if error.kind() == io::ErrorKind::InvalidData => {
            warn!(%error, "the record of a command is damaged, so boi does not use it");
            Ok(None)
        }
        read => read,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::command::{CommandEnd, EndCause};

    #[test]
    fn newer_damaged_old_and_absent_records_are_told_apart() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("exit");
        let open = || Folder::trusted(folder.path()).unwrap();
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            read_record::<CommandEnd>(&open(), "exit")
        };
        assert!(read_record::<CommandEnd>(&open(), "exit").unwrap().is_none());
        let old = r#"{"cause":"lost","status":null,"swept":1,"ended_at":"2026-11-23T14:02:11.123Z"}"#;
        assert_eq!(read(old).unwrap().unwrap().cause, EndCause::Lost);
        for newer in [r#"{"version":2}"#, r#"{"version":7,"cause":{"unheard_of":1},"ended_at":3}"#] {
            let error = read(newer).unwrap_err();
            assert!(matches!(&error, RecordError::Newer { path: found, version: 2 | 7 } if *found == path), "{error}");
            let error = io::Error::from(error);
            assert!(error.get_ref().is_some_and(|inner| inner.is::<RecordError>()), "{error}");
            assert!(
                read_undamaged_record::<CommandEnd>(&open(), "exit").is_err(),
                "a newer record does not count as damaged"
            );
        }
        for damaged in ["", "\0\0\0\0", r#"{"version":1,"caus"#, r#"{"version":1}"#, r#"{"version":"two"}"#, "7"] {
            let error = io::Error::from(read(damaged).unwrap_err());
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{damaged:?}");
            assert!(read_undamaged_record::<CommandEnd>(&open(), "exit").unwrap().is_none());
        }
    }
}
