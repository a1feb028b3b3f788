//! A short-lived process that accesses a file, so that this process does not have to.
//!
//! A thread that waits for a file system that has stopped answering cannot be ended, and neither can its
//! process: the process keeps its locks, and its parent waits without end. So a file on a foreign mount is
//! read by a child, which holds no lock that another process needs.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::thread;

use super::own_program;

/// The first argument that makes this program look at a file and print what it found.
pub(crate) const LOOK: &str = "__look";

/// A started look. Dropping it ends the process, and does not wait for its end.
#[derive(Debug)]
pub(crate) struct LookProcess(Arc<Mutex<Child>>);

impl LookProcess {
    /// Starts the process with `arguments`. `done` gets what it printed, on another thread.
    pub(crate) fn start(
        arguments: &[&OsStr],
        done: impl FnOnce(io::Result<Vec<u8>>) + Send + 'static,
    ) -> io::Result<LookProcess> {
        let mut command = own_program::command()?;
        command.arg(LOOK).args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn()?;
        let output = child.stdout.take();
        let child = Arc::new(Mutex::new(child));
        let waited_for = Arc::clone(&child);
        let wait = move || {
            let mut printed = Vec::new();
            let read = output.map_or(Ok(0), |mut output| output.read_to_end(&mut printed));
            // The process has closed its output, so it ends now.
            drop(waited_for.lock().unwrap_or_else(PoisonError::into_inner).wait());
            done(read.map(|_| printed));
        };
        let process = LookProcess(child);
        thread::Builder::new().name("look".to_owned()).spawn(wait)?;
        Ok(process)
    }
}

impl Drop for LookProcess {
    fn drop(&mut self) {
        let mut child = match self.0.try_lock() {
            Ok(child) => child,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            // The other thread waits for the end of the process.
            Err(TryLockError::WouldBlock) => return,
        };
        // Fails if the process has ended.
        drop(child.kill());
    }
}
