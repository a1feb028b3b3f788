//! The wait of a worker for a build slot, before it starts a `run`, setup or verify command.

use std::io;

use tokio::sync::watch;
use tracing::debug;

use super::execution::{Runner, find_runner};
use super::supervise::{Job, blocking};
use super::{StepEnd, Worker, WorkerError};
use crate::daemon::Order;
use crate::decide::recover::{self, Recovery};
use crate::domain::position::{CommandStage, Position, Step};
use crate::domain::spec::{Action, Spec};
use crate::system::clock;

/// Whether the command at this position takes a build slot.
pub(super) fn takes_build_slot(spec: &Spec, position: &Position) -> bool {
    let Step::Command { stage, .. } = &position.step else { return false };
    match stage {
        CommandStage::Act(of) => matches!(spec.tasks[of.task].action, Action::Run(_)),
        CommandStage::Verify(_) | CommandStage::Setup(_) => true,
    }
}

/// Whether a command that an earlier worker recorded was executed, or its supervisor may still execute it.
async fn may_have_begun(job: &Job) -> io::Result<bool> {
    let (dir, other_boot) = (job.dir.clone(), job.command.boot != clock::boot_id());
    let (evidence, _) = blocking(move || Ok(dir.inspect(other_boot)?)).await?;
    if recover::recovery(evidence) != Recovery::Spawn {
        return Ok(true);
    }
    // The records of a running command may have been deleted.
    Ok(!matches!(find_runner(job).await?, Runner::Nobody))
}

impl Worker {
    /// Gives a build slot to a command that an earlier daemon or worker recorded, because the command may be running.
    pub(super) fn occupy_build_slot(&self) {
        let recorded = &self.claimed.position;
        if recorded.running_command().is_some() && takes_build_slot(&self.claimed.spec, recorded) {
            self.shared.build_slots.occupy(&self.claimed.fence.spec);
        }
    }

    /// Waits until the command of `job` has a build slot; `None`: it has one, or needs none. Otherwise returns how the
    /// step ends, because an order arrived. Meanwhile `boi status` shows that the spec waits.
    pub(super) async fn wait_for_build_slot(
        &self,
        job: &Job,
        orders: &mut watch::Receiver<Order>,
    ) -> Result<Option<StepEnd>, WorkerError> {
        if job.agent.is_some() {
            return Ok(None);
        }
        let (slots, spec) = (&self.shared.build_slots, &self.claimed.fence.spec);
        if job.begun {
            let may_have_begun = may_have_begun(job).await;
            let what = || format!("cannot inspect the command with the folder {}", job.dir.path().display());
            if may_have_begun.map_err(|source| WorkerError::Io { what: what(), source })? {
                return Ok(None);
            }
            self.release_build_slot();
        }
        let moved = || {
            debug!(%spec, before = slots.before(spec), "the line for build slots has changed");
            self.shared.changed();
        };
        tokio::select! {
            biased;
            () = slots.acquire(spec, moved) => return Ok(None),
            // Cancel-safe: the order stays in the channel.
            _ = orders.wait_for(|order| *order != Order::Work) => {}
        }
        let is_leaving = *orders.borrow() == Order::Detach;
        Ok(Some(if is_leaving { StepEnd::Detached } else { StepEnd::Interrupted }))
    }

    /// Takes the build slot of the worker's spec back, if it has one. No command of the spec may be running.
    pub(super) fn release_build_slot(&self) {
        self.shared.build_slots.release(&self.claimed.fence.spec);
    }
}
