//! Access to a database that only tests need.

use std::path::Path;

use rusqlite::Connection;

use crate::domain::id::SpecId;

/// Locks a database against writes of every other connection, until this value is dropped.
pub(crate) struct Occupied(Connection);

impl Occupied {
    pub(crate) fn new(path: &Path) -> Occupied {
        let connection = Connection::open(path).unwrap();
        connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        Occupied(connection)
    }
}

impl Drop for Occupied {
    fn drop(&mut self) {
        self.0.execute_batch("ROLLBACK").unwrap();
    }
}

/// Replaces the position of a spec by one that no version can read.
pub(crate) fn damage_position(path: &Path, spec: &SpecId) {
    let sql = "UPDATE attempts SET position = json_set(position, '$.step', 'later') WHERE spec = ?";
    assert_eq!(Connection::open(path).unwrap().execute(sql, [spec.as_str()]).unwrap(), 1);
}
