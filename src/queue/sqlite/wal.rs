//! Truncates the write-ahead log of the database. The log is a file beside the database. It grows while a
//! reader keeps a snapshot, since SQLite reuses no part of the log that the reader may need.
//!
//! While verbs write to the queue, SQLite truncates the log whenever it writes from the start of the log
//! again (`journal_size_limit`). In an idle queue nothing is written, so the writer truncates the log itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;
use tracing::debug;

use super::backup::beside;

/// The size to which SQLite truncates the log, in bytes. A larger log of an idle queue is emptied.
pub(super) const KEPT: u64 = 4 << 20;
/// How long an idle writer waits before it tries again to truncate a log that is in use.
const AGAIN: Duration = Duration::from_secs(1);

/// The path of the log of the database at `path`.
pub(super) fn file_of(path: &Path) -> PathBuf {
    beside(path, "-wal")
}

/// The write-ahead log of one database.
pub(super) struct WriteAheadLog {
    file: PathBuf,
}

impl WriteAheadLog {
    /// The log of the database at `path`.
    pub(super) fn of(path: &Path) -> WriteAheadLog {
        WriteAheadLog { file: file_of(path) }
    }

    /// How long the writer may wait for its next verb before it calls [`WriteAheadLog::cut`]; `None`: without a limit.
    pub(super) fn next_cut(&self) -> Option<Duration> {
        (self.size() > KEPT).then_some(AGAIN)
    }

    /// Copies the log into the database and empties it. Does not wait for readers that need the log: the writer tries
    /// again later.
    pub(super) fn cut(&self, connection: &Connection) {
        let cut = || -> rusqlite::Result<bool> {
            let patience: i64 = connection.pragma_query_value(None, "busy_timeout", |row| row.get(0))?;
            connection.pragma_update(None, "busy_timeout", 0)?;
            let in_use = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0));
            connection.pragma_update(None, "busy_timeout", patience)?;
            Ok(!in_use?)
        };
        match cut() {
            Ok(true) => {}
            Ok(false) => debug!(
                bytes = self.size(),
                "the writer cannot truncate the write-ahead log of the queue yet, because a reader needs it"
            ),
            Err(error) => {
                debug!(%error, "the writer cannot truncate the write-ahead log of the queue; it tries again later")
            }
        }
    }

    fn size(&self) -> u64 {
        fs::metadata(&self.file).map_or(0, |metadata| metadata.len())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Access, SqliteQueue};
    use super::*;
    use crate::domain::time::Timestamp;
    use crate::queue::Queue;

    #[test]
    fn a_log_that_a_reader_made_grow_is_given_back_when_the_reader_ends() {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("boi.db");
        let queue = SqliteQueue::open(&path, Access::Write(Duration::ZERO)).unwrap();
        let size = || WriteAheadLog::of(&path).size();
        let reader = Connection::open(&path).unwrap();
        reader.execute_batch("BEGIN; SELECT count(*) FROM specs").unwrap();
        for probe in 0..200 {
            queue.probe_write(Timestamp(probe)).unwrap();
        }
        assert!(size() > 2 * KEPT, "{} bytes", size());
        reader.execute_batch("COMMIT").unwrap();
        let until = std::time::Instant::now() + Duration::from_secs(10);
        while size() > KEPT && std::time::Instant::now() < until {
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(size() <= KEPT, "{} bytes", size());
        assert_eq!(WriteAheadLog::of(&path).next_cut(), None, "the writer does not wake up any more");
    }
}
