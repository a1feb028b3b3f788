//! Errors of opening the database file, and the mapping of SQLite's errors to errors of verbs.

use std::path::PathBuf;

use rusqlite::ErrorCode;

use crate::queue::QueueError;
use crate::system::paths::HomeError;

/// Why the queue's database could not be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// SQLite or the file system failed.
    #[error("cannot open the queue {}: {source}", path.display())]
    Failed {
        /// The database file.
        path: PathBuf,
        /// What SQLite or the file system reports.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A copy of the database could not be made.
    #[error("cannot copy the queue to {}: {source}", target.display())]
    NotCopied {
        /// The file to create.
        target: PathBuf,
        /// What SQLite or the file system reports.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Another user can change the database.
    #[error(transparent)]
    Unsafe(#[from] HomeError),
    /// The database is damaged.
    #[error("the queue {} is damaged ({reason}); boi does not change the file: {advice}", path.display())]
    Damaged {
        /// The database file.
        path: PathBuf,
        /// What the check found.
        reason: String,
        /// What the user can do.
        advice: String,
    },
    /// The database file is missing, and something shows that it existed before.
    #[error("the queue {} is missing, but it existed before: it left {signs}; {advice}", path.display())]
    Lost {
        /// The database file.
        path: PathBuf,
        /// The files and folders that show that a database existed.
        signs: String,
        /// What the user can do.
        advice: String,
    },
    /// The database cannot be written.
    #[error("the queue {} is read-only: make it and its folder writable (`chmod u+w`, or mount its disk for writing)", path.display())]
    ReadOnly {
        /// The database file.
        path: PathBuf,
    },
    /// Another process writes to the database.
    #[error("the queue {} is in use by another boi process", path.display())]
    InUse {
        /// The database file.
        path: PathBuf,
    },
    /// There is no database, and opening it for reading does not create one.
    #[error("there is no queue at {} yet", path.display())]
    Missing {
        /// The database file.
        path: PathBuf,
    },
    /// The database was written by a later boi.
    #[error("the queue {} has schema version {found}, and this boi knows only {known}: use the newer boi", path.display())]
    TooNew {
        /// The database file.
        path: PathBuf,
        /// The schema version of the database.
        found: i64,
        /// The schema version that this program writes.
        known: i64,
    },
    /// The database has the schema of an earlier boi, and that boi is still using the database.
    #[error(
        "the queue {} has schema version {found}, and an earlier boi is using it; this boi reads version {known}: \
         `boi daemon restart` upgrades it, and running commands continue",
        path.display()
    )]
    TooOld {
        /// The database file.
        path: PathBuf,
        /// The schema version of the database.
        found: i64,
        /// The schema version that this program writes.
        known: i64,
    },
    /// The database was opened, but a verb failed.
    #[error(transparent)]
    Queue(#[from] QueueError),
}

impl OpenError {
    /// Whether the database exists but cannot be used for now, such as on a full or read-only disk.
    pub(crate) fn is_outage(&self) -> bool {
        match self {
            OpenError::Failed { .. } | OpenError::ReadOnly { .. } => true,
            OpenError::Queue(error) => error.is_outage(),
            _ => false,
        }
    }
}

impl From<rusqlite::Error> for QueueError {
    fn from(error: rusqlite::Error) -> QueueError {
        match error.sqlite_error_code() {
            Some(
                ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::ReadOnly
                | ErrorCode::CannotOpen
                | ErrorCode::PermissionDenied
                | ErrorCode::OutOfMemory
                | ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::FileLockingProtocolFailed
                | ErrorCode::NoLargeFileSupport,
            ) => QueueError::Unavailable(error.into()),
            _ => QueueError::Internal(error.into()),
        }
    }
}
