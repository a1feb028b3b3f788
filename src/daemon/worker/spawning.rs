//! Starts supervisors, on threads that may block.

use std::ffi::OsString;
use std::io;
use std::sync::Arc;

use super::supervise::{Job, blocking};
use crate::daemon::shared::Shared;
use crate::decide::recover::{self, Recovery};
use crate::domain::command::Request;
use crate::process::command_dir::{CommandDir, CommandLock};
use crate::process::supervisor_process::{SpawnError, Supervisor};

/// What starts a supervisor for a job's command. It is passed to a blocking call.
struct Spawning {
    shared: Arc<Shared>,
    dir: CommandDir,
    request: Request,
    prompt: Option<String>,
    marker: String,
    variables: Vec<(String, OsString)>,
}

impl Spawning {
    fn of(job: &Job) -> Spawning {
        Spawning {
            shared: Arc::clone(&job.shared),
            dir: job.dir.clone(),
            request: job.request.clone(),
            prompt: job.prompt.clone(),
            marker: job.command.marker.clone(),
            variables: job.variables.clone(),
        }
    }

    fn spawn(&self, lock: CommandLock) -> Result<Supervisor, SpawnError> {
        let Spawning { shared, dir, request, prompt, marker, variables } = self;
        Supervisor::spawn(&shared.forker, dir, lock, request, prompt.as_deref(), marker, variables)
    }
}

pub(super) async fn spawn(job: &Job, lock: CommandLock) -> Result<Supervisor, SpawnError> {
    let spawning = Spawning::of(job);
    blocking(move || Ok(spawning.spawn(lock))).await?
}

/// The result of [`start_new`].
pub(super) enum StartedNew {
    Yes(Supervisor),
    No(SpawnError),
    /// It may not start, a supervisor holds the lock, or the folder has records of a supervisor.
    NotNow,
}

/// Prepares the folder of a job's command that was just recorded, and starts the command if `may_start`. One
/// blocking call does all of it, because each call costs two switches between threads.
pub(super) async fn start_new(job: &Job, may_start: bool) -> io::Result<StartedNew> {
    let spawning = Spawning::of(job);
    let start = move || {
        spawning.dir.empty()?;
        if !may_start {
            return Ok(StartedNew::NotNow);
        }
        Ok(match spawning.dir.inspect(false)? {
            (evidence, Some(lock)) if recover::recovery(evidence.clone()) == Recovery::Spawn => {
                spawning.spawn(lock).map_or_else(StartedNew::No, StartedNew::Yes)
            }
            _ => StartedNew::NotNow,
        })
    };
    blocking(start).await
}
