//! Ends the processes of a quarantined spec, and cancels the spec. The record that cannot be read is not
//! needed: the folders of its attempts and the markers in them identify the processes.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::watch;
use tracing::{info, warn};

use super::async_queue::AsyncQueue;
use super::worker::supervise::detached;
use super::worker::sweep::sweep;
use super::{Order, WorkerEnd};
use crate::domain::position::Ending;
use crate::process::attempt_processes;
use crate::queue::{Fence, QueueError};
use crate::system::{blocking, clock};

/// Ends the processes of the commands in the folder `attempts` of the spec (SIGTERM, then SIGKILL after
/// `grace`), and cancels the spec.
pub(super) async fn end(
    queue: AsyncQueue,
    fence: Fence,
    attempts: PathBuf,
    grace: Duration,
    mut orders: watch::Receiver<Order>,
) -> WorkerEnd {
    tokio::select! {
        ended = end_processes(attempts, grace) => if let Err(error) = ended {
            return WorkerEnd::Failed(format!("the processes of the spec could not be ended: {error}"));
        },
        // Cancel-safe: the next daemon reads the request to cancel from the queue, and ends the processes.
        () = detached(&mut orders) => return WorkerEnd::Detached,
    }
    let id = fence.clone();
    match queue.call(move |queue| queue.finish(&id, &Ending::Canceled, clock::now())).await {
        Ok(failed) => {
            info!(spec = %fence.spec, "spec canceled");
            for dependent in failed {
                warn!(spec = %dependent, "spec failed, because it waits for {}, which was canceled", fence.spec);
            }
            WorkerEnd::Recorded
        }
        Err(QueueError::Superseded(_)) => WorkerEnd::Recorded,
        Err(error) => WorkerEnd::Unrecorded(error.to_string()),
    }
}

async fn end_processes(folder: PathBuf, grace: Duration) -> io::Result<()> {
    let find = || {
        let folder = folder.clone();
        async move { blocking::run(move || attempt_processes::find(&folder)).await.map_err(io::Error::other)? }
    };
    let list = || async { find().await.map(|found| found.processes().to_vec()) };
    let signal = |signal| async move {
        let found = find().await?;
        blocking::run(move || found.signal(signal)).await.map_err(io::Error::other)?
    };
    sweep(list, signal, grace).await?;
    let left = find().await?;
    if !left.is_empty() {
        let lock = left.held_locks().first().map(|path| path.display().to_string()).unwrap_or_default();
        return Err(io::Error::other(format!("a supervisor that boi cannot signal still holds the lock {lock}")));
    }
    // A cgroup that cannot be removed is empty and does no harm.
    if let Err(error) = left.remove_cgroups() {
        warn!(folder = %folder.display(), %error, "cannot remove the cgroup of a command that has ended");
    }
    Ok(())
}
