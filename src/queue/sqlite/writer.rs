//! The only thread that writes to the database. It commits verbs in groups.
//!
//! Verbs that arrive during a commit share the next commit. Each verb runs in a savepoint of its own, so that
//! a verb that fails or panics does not undo the others. The writer answers the callers of all verbs of a
//! group after the commit. A verb never runs outside a transaction: otherwise its change could be durable
//! even though its caller got an error. Nothing is committed to a file that is no longer at its path.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use rusqlite::{Connection, ErrorCode, ffi};
use tokio::sync::watch;

use super::events;
use super::file::Anchor;
use super::rows::control;
use super::wal::WriteAheadLog;
use crate::domain::event::Cursor;
use crate::process::limits;
use crate::queue::QueueError;
use crate::system::failpoint;

/// The largest number of verbs that share a commit.
const GROUP: usize = 64;

/// The handle of the writer's thread. Dropping the handle ends the thread.
pub(super) struct Writer {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    _lock: File,
}

/// When the changes of a verb reach the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flush {
    /// Before its caller is answered.
    Now,
    /// With the next verb that is flushed. Until then, a power cut undoes the verb; the death of this process
    /// does not.
    WithNext,
}

/// A verb that is sent to the writer's thread.
struct Job {
    flush: Flush,
    run: Box<dyn FnOnce(Attempt<'_>) -> Done + Send>,
}
/// The argument of a job: the connection on which the job runs its verb, inside a savepoint; `Err`: the
/// failure that prevents the verb from running.
type Attempt<'a> = Result<&'a Connection, Failure>;

type AnswerCaller = Box<dyn FnOnce(Result<(), Failure>) + Send>;

/// The result of a job.
struct Done {
    /// Whether the verb's changes are kept.
    keep: bool,
    /// Answers the verb's caller, once the commit has succeeded or failed.
    answer: AnswerCaller,
}

/// Why the changes of a group were not committed.
#[derive(Debug, Clone)]
struct Failure {
    why: String,
    /// Whether the changes may have been made after all.
    unknown: bool,
}

impl Failure {
    fn nothing_changed(why: impl ToString) -> Failure {
        Failure { why: why.to_string(), unknown: false }
    }

    /// The failure of a batch because the database cannot be used.
    fn unusable(error: QueueError) -> Failure {
        match error {
            QueueError::Unavailable(source) => Failure::nothing_changed(source),
            error => Failure::nothing_changed(error),
        }
    }

    fn error(self) -> QueueError {
        if self.unknown { QueueError::Unknown(self.why.into()) } else { QueueError::Unavailable(self.why.into()) }
    }
}

impl Writer {
    /// Starts the writer's thread, which writes through `connection`, and sends the cursor of the last event
    /// to `committed` after each commit that added an event. The returned writer holds the lock until it is
    /// dropped.
    pub(super) fn spawn(
        connection: Connection,
        lock: File,
        anchor: Arc<Anchor>,
        committed: watch::Sender<Cursor>,
    ) -> Writer {
        let (jobs, inbox) = mpsc::channel::<Job>();
        let log = WriteAheadLog::of(anchor.path());
        let thread = std::thread::Builder::new()
            .name("boi-store".to_owned())
            .spawn(move || {
                loop {
                    let first = match log.next_cut() {
                        None => inbox.recv().map_err(RecvTimeoutError::from),
                        Some(wait) => inbox.recv_timeout(wait),
                    };
                    let first = match first {
                        Ok(first) => first,
                        Err(RecvTimeoutError::Timeout) => {
                            log.cut(&connection);
                            continue;
                        }
                        Err(RecvTimeoutError::Disconnected) => break,
                    };
                    let batch = std::iter::once(first).chain(inbox.try_iter().take(GROUP - 1)).collect();
                    commit(&connection, batch, anchor.check().err().map(Failure::unusable));
                    // If the cursor cannot be read, the next commit announces the event.
                    if let Ok(last) = events::last_cursor(&connection) {
                        committed.send_if_modified(|known| std::mem::replace(known, last) != last);
                    }
                }
            })
            .ok();
        Writer { jobs: thread.is_some().then_some(jobs), thread, _lock: lock }
    }

    /// Runs a verb. When this returns, the verb's change is committed, and on disk as `flush` says, or
    /// undone, unless the error is [`QueueError::Unknown`].
    pub(super) fn carry_out<T: Send + 'static>(
        &self,
        flush: Flush,
        verb: impl FnOnce(&Connection) -> Result<T, QueueError> + Send + 'static,
    ) -> Result<T, QueueError> {
        let no_thread = || QueueError::unavailable("the thread that writes to the database could not be started");
        let jobs = self.jobs.as_ref().ok_or_else(no_thread)?;
        let (reply, answer) = mpsc::sync_channel(1);
        let run = Box::new(move |attempt: Attempt<'_>| {
            let result = match attempt {
                Ok(connection) => catch_unwind(AssertUnwindSafe(|| verb(connection)))
                    .unwrap_or_else(|_| Err(QueueError::internal("an operation of the queue panicked"))),
                Err(failure) => Err(failure.error()),
            };
            let keep = result.is_ok();
            let answer = move |committed: Result<(), Failure>| {
                let result = match committed {
                    Err(failure) if result.is_ok() => Err(failure.error()),
                    _ => result,
                };
                // Sending fails if the caller was dropped, together with its runtime. Then nobody needs the
                // answer.
                drop(reply.send(result));
            };
            Done { keep, answer: Box::new(answer) }
        });
        let gone = || QueueError::Unknown("the thread that writes to the database ended".into());
        jobs.send(Job { flush, run }).map_err(|_| gone())?;
        answer.recv().map_err(|_| gone())?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // If the thread panicked, its callers got an error, since their channels were dropped.
            drop(thread.join());
        }
    }
}

/// Runs a group of verbs in one transaction, and answers their callers. `void`: a failure that already
/// prevents the commit of the whole group.
fn commit(connection: &Connection, batch: Vec<Job>, mut void: Option<Failure>) {
    let flush = if batch.iter().all(|job| job.flush == Flush::WithNext) { Flush::WithNext } else { Flush::Now };
    if void.is_none() {
        void = set_flush(connection, flush).err().map(Failure::nothing_changed);
    }
    if void.is_none() {
        void = control(connection, "BEGIN IMMEDIATE").err().map(Failure::nothing_changed);
    }
    let mut answers = Vec::with_capacity(batch.len());
    for job in batch {
        if let Some(failure) = &void {
            refuse(job, failure);
            continue;
        }
        match in_savepoint(connection, job) {
            Ok(answer) => answers.push(answer),
            Err(failure) => void = Some(failure),
        }
        // SQLite itself rolls a whole transaction back when the disk is full or fails.
        if void.is_none() && connection.is_autocommit() {
            let why = "another change in the same transaction failed, so the whole transaction was rolled back";
            void = Some(Failure::nothing_changed(why));
        }
    }
    failpoint::hold("store.commit");
    let committed = match void {
        Some(failure) => Err(failure),
        None => control(connection, "COMMIT").map_err(|error| {
            // The changed pages may have reached the disk although their sync failed.
            if let Some(why) = file_size_limit(&error) {
                return Failure::nothing_changed(why);
            }
            let unknown = error.sqlite_error_code() == Some(ErrorCode::SystemIoFailure);
            Failure { why: error.to_string(), unknown }
        }),
    };
    if committed.is_err() && !connection.is_autocommit() {
        // If the rollback fails too, SQLite rolls the transaction back when the file is next opened.
        drop(control(connection, "ROLLBACK"));
    }
    for answer in answers {
        answer(committed.clone());
    }
}

/// Sets whether the next commit waits until its changes are on the disk.
fn set_flush(connection: &Connection, flush: Flush) -> Result<(), rusqlite::Error> {
    // In WAL mode, a commit under `NORMAL` is complete and in order, but does not wait for the disk. SQLite carries the
    // pragma out when it compiles it, so a cached statement would change nothing.
    connection.execute_batch(match flush {
        Flush::Now => "PRAGMA synchronous = FULL",
        Flush::WithNext => "PRAGMA synchronous = NORMAL",
    })
}

/// Explains a failed write by the limit on the size of files. `None`: the error is not a failed write, or
/// there is no limit. SQLite reports a full disk as a full disk, but a file that would exceed the limit only
/// as a failed write.
pub(super) fn file_size_limit(error: &rusqlite::Error) -> Option<String> {
    let failed_write = error.sqlite_error().is_some_and(|error| error.extended_code == ffi::SQLITE_IOERR_WRITE);
    let limit = failed_write.then(limits::max_file_bytes).flatten()?;
    Some(format!(
        "{error}: a file has reached the size limit of {limit} bytes with which boi was started (`ulimit -f`); boi treats \
         this as a full disk"
    ))
}

/// Runs a verb in a savepoint. `Err`: the savepoint failed, so the whole group cannot be committed; the verb's caller
/// was answered.
fn in_savepoint(connection: &Connection, job: Job) -> Result<AnswerCaller, Failure> {
    if let Err(error) = control(connection, "SAVEPOINT verb") {
        let failure = Failure::nothing_changed(error);
        refuse(job, &failure);
        return Err(failure);
    }
    let Done { keep, answer } = (job.run)(Ok(connection));
    let undone = if keep { Ok(()) } else { control(connection, "ROLLBACK TO verb") };
    match undone.and_then(|()| control(connection, "RELEASE verb")) {
        Ok(()) => Ok(answer),
        Err(error) => {
            let failure = Failure::nothing_changed(error);
            answer(Err(failure.clone()));
            Err(failure)
        }
    }
}

fn refuse(job: Job, failure: &Failure) {
    let Done { answer, .. } = (job.run)(Err(failure.clone()));
    answer(Err(failure.clone()));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writer() -> (tempfile::TempDir, Writer) {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("t.db");
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch("CREATE TABLE t (n INTEGER)").unwrap();
        let anchor = Arc::new(Anchor::at(&path).unwrap());
        (dir, Writer::spawn(connection, tempfile::tempfile().unwrap(), anchor, watch::Sender::default()))
    }

    fn count(writer: &Writer) -> i64 {
        writer.carry_out(Flush::Now, |c| Ok(c.query_row("SELECT count(*) FROM t", [], |row| row.get(0))?)).unwrap()
    }

    #[test]
    fn a_panicking_verb_is_undone_and_the_next_one_works() {
        let (_dir, writer) = writer();
        let panicked: Result<(), _> = writer.carry_out(Flush::Now, |c| {
            c.execute_batch("INSERT INTO t VALUES (1)")?;
            panic!("planted")
        });
        assert!(matches!(panicked, Err(QueueError::Internal(_))), "{panicked:?}");
        writer.carry_out(Flush::Now, |c| Ok(c.execute_batch("INSERT INTO t VALUES (2)")?)).unwrap();
        assert_eq!(count(&writer), 1);
    }

    #[test]
    fn a_commit_waits_for_the_disk_unless_all_of_its_verbs_are_flushed_with_the_next() {
        let (_dir, writer) = writer();
        let level = |flush| {
            let read = |c: &Connection| Ok(c.pragma_query_value(None, "synchronous", |row| row.get::<_, i64>(0))?);
            writer.carry_out(flush, read).unwrap()
        };
        let (normal, full) = (1, 2);
        assert_eq!([Flush::Now, Flush::WithNext, Flush::Now].map(level), [full, normal, full]);
    }

    #[test]
    fn all_verbs_of_a_transaction_fail_when_it_is_rolled_back_midway() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE t (n INTEGER)").unwrap();
        let (answer, answers) = mpsc::channel();
        let job = |sql: &'static str| -> Job {
            let answer = answer.clone();
            let run = Box::new(move |attempt: Attempt<'_>| {
                let keep = attempt.is_ok_and(|connection| connection.execute_batch(sql).is_ok());
                let tell = move |committed: Result<(), Failure>| answer.send((sql, committed.is_ok())).unwrap();
                Done { keep, answer: Box::new(tell) }
            });
            Job { flush: Flush::Now, run }
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
