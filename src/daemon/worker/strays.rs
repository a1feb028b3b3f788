//! A command whose folder was removed while it ran: found by its supervisor's command line, and outwaited; or, where the
//! supervisor has died as well, by the marker that the queue has.
//!
//! The records say then that nothing was ever executed, which would start the command a second time beside the first.
//! A supervisor leaves its exit record in the folder all the same.

use std::time::Duration;

use rustix::process::Signal;
use tokio::sync::watch;
use tracing::{info, warn};

use super::super::Order;
use super::super::command::Job;
use super::{Worker, WorkerError};
use crate::host::process::{self, tree};

/// How often it is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Who carried out a command whose records are gone.
pub(super) enum Outwaited {
    /// Nobody was found.
    Nobody,
    /// Its supervisor has ended; what is left of the command carries the marker.
    Ended { marker: String },
    /// The daemon leaves first.
    Left,
}

impl Worker {
    /// Waits until nobody carries out `job` whose records are gone.
    pub(super) async fn outwait_stray(
        &self,
        job: &Job,
        orders: &mut watch::Receiver<Order>,
    ) -> Result<Outwaited, WorkerError> {
        // Only a command that an earlier worker began can have a supervisor already.
        let begun = &self.claimed.position;
        if !begun.awaiting || begun.commands != self.position.commands || job.dir.request_file().exists() {
            return Ok(Outwaited::Nobody);
        }
        let io_error = |source| WorkerError::Io { what: "cannot look for the command whose folder is gone", source };
        let (folder, marker) = (job.dir.path().to_owned(), begun.marker.clone());
        let found = tokio::task::spawn_blocking(move || {
            let stray = tree::supervisors().into_iter().find(|one| one.dir == folder);
            let left = marker.filter(|marker| stray.is_none() && process::is_carried(marker));
            (stray, left)
        });
        let (stray, left) = found.await.map_err(|error| io_error(std::io::Error::other(error)))?;
        if let Some(marker) = left {
            warn!(
                spec = %self.claimed.fence.spec, folder = %job.dir.path().display(),
                "the folder of a running command was removed, and its supervisor has died",
            );
            return Ok(Outwaited::Ended { marker });
        }
        let Some(stray) = stray else { return Ok(Outwaited::Nobody) };
        let marker = match &begun.marker {
            Some(marker) => Some(marker.clone()),
            // An older daemon recorded none.
            None => tree::marker(stray.who.pid).filter(|_| process::lives(&stray.who)),
        };
        let gone = || io_error(std::io::Error::other("its supervisor ended while it was looked for"));
        let marker = marker.ok_or_else(gone)?;
        let Some(target) = process::target(&stray.who).map_err(io_error)? else {
            return Ok(Outwaited::Ended { marker });
        };
        warn!(
            spec = %self.claimed.fence.spec, supervisor = stray.who.pid, folder = %job.dir.path().display(),
            "the folder of a running command was removed: what the command had printed is lost, its end is waited for",
        );
        let mut told = false;
        while target.lives() {
            match *orders.borrow_and_update() {
                Order::Work => {}
                Order::Detach => return Ok(Outwaited::Left),
                Order::Cancel | Order::Stop if told => {}
                Order::Cancel | Order::Stop => told = target.send(Signal::TERM).map_err(io_error)?,
            }
            tokio::select! {
                // Cancel-safe: the order stays in the channel.
                changed = orders.changed() => if changed.is_err() {
                    return Ok(Outwaited::Left);
                },
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
        info!(spec = %self.claimed.fence.spec, "the command whose folder was removed has ended");
        Ok(Outwaited::Ended { marker })
    }
}
