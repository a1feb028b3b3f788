//! The one thread that writes, with group commit.
//!
//! Verbs that arrive while a commit is under way share the next one: each runs in a savepoint of its own, so that one
//! that fails takes none of the others with it, and all are answered after the one commit. A verb never runs outside a
//! transaction: there it would be durable by itself, whatever its caller is told. Nothing is committed to a file that is
//! not at its path any more.

use std::fs::File;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use rusqlite::Connection;

use super::file::Anchor;
use crate::queue::StoreError;
use crate::system::failpoint;

/// The most verbs that share a commit.
const GROUP: usize = 64;

/// The writer; its thread ends with it.
pub(super) struct Writer {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    _lock: File,
}

/// A verb on its way to the writer. With a connection it runs, inside a savepoint; without one it is refused, for that
/// reason, and answers at once.
type Job = Box<dyn FnOnce(Result<&Connection, &str>) -> Answer + Send>;
/// Whether to keep what the verb did, and what answers its caller once the commit's fate is known.
type Answer = (bool, Tell);
/// `Ok`: committed. `Err`: the commit failed, for this reason.
type Tell = Box<dyn FnOnce(Result<(), &str>) + Send>;

impl Writer {
    /// A writer over `connection`, which holds the writer's lock for as long as it lives.
    pub(super) fn spawn(connection: Connection, lock: File, anchor: Arc<Anchor>) -> Writer {
        let (jobs, inbox) = mpsc::channel::<Job>();
        let thread = std::thread::Builder::new()
            .name("boi-store".to_owned())
            .spawn(move || {
                while let Ok(first) = inbox.recv() {
                    let batch = std::iter::once(first).chain(inbox.try_iter().take(GROUP - 1)).collect();
                    commit(&connection, batch, anchor.check().err().map(|error| error.to_string()));
                }
            })
            .ok();
        Writer { jobs: thread.is_some().then_some(jobs), thread, _lock: lock }
    }

    /// Carries out a verb; it is on disk, or undone, when this returns.
    pub(super) fn carry_out<T: Send + 'static>(
        &self,
        verb: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let jobs = self.jobs.as_ref().ok_or(StoreError::Closed)?;
        let (reply, answer) = mpsc::sync_channel(1);
        let job: Job = Box::new(move |connection| {
            let result = match connection {
                Ok(connection) => verb(connection),
                Err(why) => Err(StoreError::Sql(failure(why))),
            };
            let keep = result.is_ok();
            let tell = move |committed: Result<(), &str>| {
                let result = match committed {
                    Err(why) if result.is_ok() => Err(StoreError::Sql(failure(why))),
                    _ => result,
                };
                // The caller may be gone: it was dropped with its runtime.
                drop(reply.send(result));
            };
            (keep, Box::new(tell))
        });
        jobs.send(job).map_err(|_| StoreError::Closed)?;
        answer.recv().map_err(|_| StoreError::Closed)?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A writer that panicked has answered nobody; there is nothing left to say here.
            drop(thread.join());
        }
    }
}

/// `void`: why nothing of this batch can be committed.
fn commit(connection: &Connection, batch: Vec<Job>, mut void: Option<String>) {
    if void.is_none() {
        void = connection.execute_batch("BEGIN IMMEDIATE").err().map(|error| error.to_string());
    }
    let mut answers = Vec::with_capacity(batch.len());
    for job in batch {
        if let Some(why) = &void {
            refuse(job, why);
            continue;
        }
        match in_savepoint(connection, job) {
            Ok(tell) => answers.push(tell),
            Err(why) => void = Some(why),
        }
        // SQLite undoes a whole transaction by itself when the disk is full or broken.
        if void.is_none() && connection.is_autocommit() {
            void = Some("another change that was to be committed with it failed and undid both".to_owned());
        }
    }
    failpoint::hold("store.commit");
    let committed = match void {
        Some(why) => Err(why),
        None => connection.execute_batch("COMMIT").map_err(|error| error.to_string()),
    };
    if committed.is_err() && !connection.is_autocommit() {
        // The transaction is void either way; a failed rollback is repeated by SQLite when the file is next opened.
        drop(connection.execute_batch("ROLLBACK"));
    }
    for tell in answers {
        tell(committed.as_ref().copied().map_err(String::as_str));
    }
}

/// Runs a verb. `Err`: what it did can be neither kept nor undone by itself, and its caller knows that it failed.
fn in_savepoint(connection: &Connection, job: Job) -> Result<Tell, String> {
    if let Err(error) = connection.execute_batch("SAVEPOINT verb") {
        let why = error.to_string();
        refuse(job, &why);
        return Err(why);
    }
    let (keep, tell) = job(Ok(connection));
    let ending = if keep { "RELEASE verb" } else { "ROLLBACK TO verb; RELEASE verb" };
    match connection.execute_batch(ending) {
        Ok(()) => Ok(tell),
        Err(error) => {
            let why = error.to_string();
            tell(Err(&why));
            Err(why)
        }
    }
}

fn refuse(job: Job, why: &str) {
    let (_, tell) = job(Err(why));
    tell(Err(why));
}

fn failure(why: &str) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR), Some(why.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_that_is_undone_midway_takes_all_of_its_verbs_with_it() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE t (n INTEGER)").unwrap();
        let (answer, answers) = mpsc::channel();
        let job = |sql: &'static str| -> Job {
            let answer = answer.clone();
            Box::new(move |connection| {
                let done = connection.is_ok_and(|connection| connection.execute_batch(sql).is_ok());
                let tell = move |committed: Result<(), &str>| answer.send((sql, committed.is_ok())).unwrap();
                (done, Box::new(tell))
            })
        };
        commit(
            &connection,
            vec![job("INSERT INTO t VALUES (1)"), job("ROLLBACK"), job("INSERT INTO t VALUES (2)")],
            None,
        );
        let told: Vec<_> = answers.try_iter().collect();
        assert_eq!(told.len(), 3, "each caller is answered once: {told:?}");
        assert!(told.iter().all(|(_, committed)| !committed), "{told:?}");
        let rows: i64 = connection.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 0);
        commit(&connection, vec![job("INSERT INTO t VALUES (3)")], None);
        assert_eq!(answers.try_iter().next(), Some(("INSERT INTO t VALUES (3)", true)));
    }
}
