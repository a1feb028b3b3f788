//! Writes the last verdict and the last good configuration to disk, on a separate thread: under load an fsync
//! can take hundreds of milliseconds, and must not delay the next reload.

use std::io;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tracing::warn;

use crate::domain::verdict::Verdict;
use crate::system::files::{self, Durability};
use crate::system::paths::Home;

/// A handle to the thread that writes the records. Dropping the handle waits until all queued records are
/// written.
pub(super) struct Recorder {
    sender: Option<Sender<Record>>,
    thread: Option<JoinHandle<()>>,
}

/// The pause before the thread retries a failed write.
const WRITE_AGAIN: Duration = Duration::from_secs(2);

enum Record {
    Verdict(Box<Verdict>),
    LastGood(Vec<u8>),
}

impl Recorder {
    pub(super) fn new(home: &Home) -> Recorder {
        let (sender, inbox) = mpsc::channel();
        let (verdict, last_good) = (home.reload_record(), home.last_good_config());
        let thread =
            thread::Builder::new().name("reload-record".to_owned()).spawn(move || write(&inbox, &verdict, &last_good));
        if let Err(error) = &thread {
            warn!(%error, "cannot start the thread that records reload verdicts and the last good configuration");
        }
        Recorder { sender: Some(sender), thread: thread.ok() }
    }

    /// Records the last verdict, for commands that run while no daemon runs.
    pub(super) fn record_verdict(&self, verdict: &Verdict) {
        self.send(Record::Verdict(Box::new(verdict.clone())));
    }

    /// Records the last good configuration, for a daemon that starts with an invalid file.
    pub(super) fn record_last_good(&self, bytes: &[u8]) {
        self.send(Record::LastGood(bytes.to_vec()));
    }

    fn send(&self, record: Record) {
        if let Some(sender) = &self.sender {
            // Sending fails only if the thread could not be started. `Recorder::new` logged that.
            drop(sender.send(record));
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.sender = None;
        if let Some(thread) = self.thread.take() {
            // The thread has logged its errors.
            drop(thread.join());
        }
    }
}

/// Writes records until the sender is dropped. Retries a write that failed, such as on a full disk: without a
/// last good configuration, a daemon with an invalid file cannot start.
fn write(inbox: &Receiver<Record>, verdict_file: &Path, last_good_file: &Path) {
    let mut unwritten = Unwritten { verdict: None, last_good: None };
    loop {
        let is_done = unwritten.verdict.is_none() && unwritten.last_good.is_none();
        let first = match is_done {
            true => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
            false => inbox.recv_timeout(WRITE_AGAIN),
        };
        let has_ended = matches!(first, Err(RecvTimeoutError::Disconnected));
        if has_ended && is_done {
            return;
        }
        // Of several queued records of one kind, only the last is written.
        for record in first.into_iter().chain(inbox.try_iter()) {
            match record {
                Record::Verdict(newer) => unwritten.verdict = Some((newer, false)),
                Record::LastGood(newer) => unwritten.last_good = Some((newer, false)),
            }
        }
        attempt(&mut unwritten.verdict, verdict_file, |verdict| {
            files::write_record(verdict_file, verdict, Durability::Process)
        });
        attempt(&mut unwritten.last_good, last_good_file, |bytes| {
            files::write_atomically(last_good_file, bytes, Durability::Power)
        });
        if has_ended {
            return;
        }
    }
}

/// The newest records that are not on the disk yet. The flag of each: whether the failed write was logged.
struct Unwritten {
    verdict: Option<(Box<Verdict>, bool)>,
    last_good: Option<(Vec<u8>, bool)>,
}

/// Writes a record if there is one, and drops it after a successful write. Logs only the first failure.
fn attempt<T>(record: &mut Option<(T, bool)>, path: &Path, write: impl Fn(&T) -> io::Result<()>) {
    let Some((content, said)) = record else { return };
    match write(content) {
        Ok(()) => *record = None,
        Err(error) => {
            if !std::mem::replace(said, true) {
                warn!(
                    %error,
                    path = %path.display(),
                    "cannot save the verdict of this reload or the copy of the last good configuration; the daemon tries again \
                     every {} s",
                    WRITE_AGAIN.as_secs()
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_cannot_be_written_is_written_later() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().join("boi"));
        let recorder = Recorder::new(&home);
        recorder.record_last_good(b"max_workers = 2\n");
        // The folder `state` does not exist yet, so an early attempt fails.
        home.prepare().unwrap();
        recorder.record_verdict(&Verdict::default());
        drop(recorder);
        assert_eq!(std::fs::read(home.last_good_config()).unwrap(), b"max_workers = 2\n");
        assert!(home.reload_record().exists());
    }
}
