//! What is done with a whole database.

use std::path::Path;
use std::sync::PoisonError;

use rusqlite::{Connection, OpenFlags};

use super::backup::open_error;
use super::error::OpenError;
use super::{BUSY, SqliteQueue, backup, file, read};
use crate::queue::QueueError;

impl SqliteQueue {
    /// Copies the database into the new file `target`, as it is at one point in time. Never overwrites a file.
    pub(crate) fn back_up(&self, target: &Path) -> Result<(), OpenError> {
        let connection = Connection::open_with_flags(&self.path, OpenFlags::SQLITE_OPEN_READ_WRITE)
            .and_then(|connection| connection.busy_timeout(BUSY).map(|()| connection))
            .map_err(|error| open_error(&self.path, error))?;
        backup::copy_to(&connection, target)
    }

    /// Checks the database for damage. Reads the whole file.
    pub(crate) fn check_integrity(&self) -> Result<(), OpenError> {
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        file::quick_check(&reader, &self.path)
    }

    /// Returns the ids in the table of specs that are not valid spec ids.
    pub(crate) fn malformed_ids(&self) -> Result<Vec<String>, QueueError> {
        self.read(read::malformed_ids)
    }
}
