//! Keeps what became of the configuration on disk, on a thread of its own: a slow disk (an fsync among many others' takes
//! a good part of a second) must not hold up the next reading.

use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};

use tracing::warn;

use crate::domain::verdict::Verdict;
use crate::system::files::{self, Durability};
use crate::system::paths::Home;

/// The thread that writes. Dropped, it writes the rest first.
pub(super) struct Keeper {
    sender: Option<Sender<Keep>>,
    thread: Option<JoinHandle<()>>,
}

enum Keep {
    Verdict(Box<Verdict>),
    Good(Vec<u8>),
}

impl Keeper {
    pub(super) fn new(home: &Home) -> Keeper {
        let (sender, inbox) = mpsc::channel();
        let (record, good) = (home.reload_record(), home.last_good_config());
        let thread = thread::Builder::new().name("reload-keep".to_owned()).spawn(move || write(&inbox, &record, &good));
        if let Err(error) = &thread {
            warn!(%error, "what becomes of the configuration is not kept");
        }
        Keeper { sender: Some(sender), thread: thread.ok() }
    }

    /// For who looks while no daemon runs.
    pub(super) fn verdict(&self, verdict: &Verdict) {
        self.send(Keep::Verdict(Box::new(verdict.clone())));
    }

    /// For a start with a bad file.
    pub(super) fn good(&self, bytes: &[u8]) {
        self.send(Keep::Good(bytes.to_vec()));
    }

    fn send(&self, keep: Keep) {
        if let Some(sender) = &self.sender {
            // A thread that could not be started was complained about.
            drop(sender.send(keep));
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.sender = None;
        if let Some(thread) = self.thread.take() {
            // It has nothing to tell that it did not log.
            drop(thread.join());
        }
    }
}

fn write(inbox: &Receiver<Keep>, record: &PathBuf, good: &PathBuf) {
    while let Ok(first) = inbox.recv() {
        let (mut verdict, mut bytes) = (None, None);
        // Only the last of each counts.
        for keep in std::iter::once(first).chain(inbox.try_iter()) {
            match keep {
                Keep::Verdict(last) => verdict = Some(last),
                Keep::Good(last) => bytes = Some(last),
            }
        }
        let results = [
            (record, verdict.map(|verdict| files::write_record(record, &verdict, Durability::Process))),
            (good, bytes.map(|bytes| files::replace(good, &bytes, Durability::Power))),
        ];
        for (path, result) in results {
            if let Some(Err(error)) = result {
                warn!(%error, "cannot keep what became of the configuration in {}", path.display());
            }
        }
    }
}
