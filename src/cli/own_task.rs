//! Finds out whether a command runs inside a task of the same home. Such a command is refused if it would
//! wait for something that cannot happen before its own task ends: it would wait until the task's time limit.

use std::path::PathBuf;

use super::{CliError, FAILED};
use crate::domain::id::SpecId;
use crate::domain::life::SpecStatus;
use crate::domain::spec::Spec;
use crate::domain::view::StatusView;
use crate::process::command_dir::CommandDir;
use crate::system::paths::Home;

/// The task in whose process tree this process runs.
pub(super) struct OwnTask {
    /// The folder of the task's command.
    folder: PathBuf,
    spec: Option<SpecId>,
}

impl OwnTask {
    /// Returns the task of this home in which this process runs, if there is one.
    pub(super) fn find(home: &Home) -> Option<OwnTask> {
        let folder = CommandDir::around(&home.attempts())?.path().to_owned();
        let below = folder.strip_prefix(home.attempts()).ok();
        let spec = below.and_then(|below| below.iter().next()?.to_str()?.parse().ok());
        Some(OwnTask { folder, spec })
    }

    /// Returns the error of a command that must not run inside its own task; `what` says why.
    pub(super) fn refusal(&self, what: &str) -> CliError {
        let of = self.spec.as_ref().map(|spec| format!(" of {spec}")).unwrap_or_default();
        let message =
            format!("this command runs inside a task{of} of the same home ({}): {what}", self.folder.display());
        CliError::new(FAILED, message).hint("run this command outside of the task, such as in a terminal")
    }

    /// Fails if `id` is the spec of this task, for whose end the command would wait.
    pub(super) fn refuse_waiting_for(&self, id: &SpecId) -> Result<(), CliError> {
        match self.spec.as_ref() == Some(id) {
            true => Err(self.refusal("it would wait for its own end")),
            false => Ok(()),
        }
    }

    /// Fails if specs could not start before this task ends: no slot is free, or they wait for this task's
    /// spec.
    pub(super) fn refuse_without_slot(&self, status: &StatusView, specs: &[Spec]) -> Result<(), CliError> {
        if specs.iter().any(|spec| spec.after.iter().any(|after| Some(after) == self.spec.as_ref())) {
            return Err(
                self.refusal("the specs would start only after the spec of this task ends, so the command would wait for its own task")
            );
        }
        if has_free_slot(status) {
            return Ok(());
        }
        let what = format!(
            "none of the {} slots is free, and this task occupies one of them, so the command would wait for its own task",
            status.slots.max_workers
        );
        Err(self.refusal(&what).hint(
            "nothing was queued; `boi dispatch` queues specs without waiting for them, and a higher `max_workers` gives them a slot",
        ))
    }

    /// Returns why the specs that this command follows do not start, if the reason is that no slot is free.
    pub(super) fn obstacle(&self, status: &StatusView) -> Option<String> {
        let runs = |status: SpecStatus| status == SpecStatus::Running || status.is_ended();
        let is_stuck = !has_free_slot(status) && !status.specs.iter().any(|spec| runs(spec.status));
        is_stuck.then(|| {
            format!(
                "no slot is free, and the task in which this command runs occupies one of the {}: raise `max_workers`, or \
                 end this command",
                status.slots.max_workers
            )
        })
    }
}

fn has_free_slot(status: &StatusView) -> bool {
    status.slots.running < status.slots.max_workers
}
