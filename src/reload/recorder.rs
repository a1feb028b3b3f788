//! Writes the last verdict and the last good configuration to disk, on a separate thread: under load an fsync
//! can take hundreds of milliseconds, and must not delay the next reload.

use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};

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

fn write(inbox: &Receiver<Record>, verdict_file: &PathBuf, last_good_file: &PathBuf) {
    while let Ok(first) = inbox.recv() {
        let (mut verdict, mut last_good) = (None, None);
        // Of several queued records of one kind, only the last is written.
        for record in std::iter::once(first).chain(inbox.try_iter()) {
            match record {
                Record::Verdict(newer) => verdict = Some(newer),
                Record::LastGood(newer) => last_good = Some(newer),
            }
        }
        let results = [
            (verdict_file, verdict.map(|verdict| files::write_record(verdict_file, &verdict, Durability::Process))),
            (last_good_file, last_good.map(|bytes| files::write_atomically(last_good_file, &bytes, Durability::Power))),
        ];
        for (path, result) in results {
            if let Some(Err(error)) = result {
                warn!(
                    %error,
                    path = %path.display(),
                    "cannot save the verdict of this reload or the copy of the last good configuration; the next reload of \
                     a valid file saves both"
                );
            }
        }
    }
}
