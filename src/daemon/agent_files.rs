//! Watches the files of held agents. When the user installs or changes the program of a held agent, or
//! changes its credentials by a login, boi starts one run of the agent as a probe.
//!
//! The files are checked once a second, and only while the cause of a hold is one that only the user can
//! remove.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

use super::shared::Shared;
use super::{Daemon, Spawn};
use crate::agents::OutputKind;
use crate::config::HotConfig;
use crate::domain::hold::HoldCause;
use crate::domain::outcome::Refusal;
use crate::domain::time::Timestamp;
use crate::system::{blocking, paths};

/// The time between two checks of the files.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The settings of an agent that determine which files it needs to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Needs {
    /// The agent's name.
    pub(super) agent: String,
    /// The agent's program.
    pub(super) program: String,
    /// The format of the agent's output. It identifies the kind of agent, and so the place of its
    /// credentials.
    pub(super) output: OutputKind,
    /// When the hold began.
    pub(super) since: Timestamp,
    /// Whether the agent is held because its program was missing.
    pub(super) is_program_missing: bool,
}

/// Compares the files of held agents with their state at the previous check.
#[derive(Debug, Default)]
pub(super) struct AgentFiles {
    seen: Arc<Mutex<Seen>>,
    looked_at: Option<Instant>,
}

#[derive(Debug, Default)]
struct Seen {
    files: HashMap<String, Vec<Option<Mark>>>,
    /// Whether a check is running. No second check starts meanwhile, so that checks do not pile up when a
    /// file system hangs.
    looking: bool,
}

/// Identifies one version of a file: a file that was changed or replaced has another mark.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mark {
    path: PathBuf,
    device: u64,
    inode: u64,
    changed: (i64, i64),
    size: u64,
}

impl AgentFiles {
    /// Checks the files of the held agents in the background. If a file of an agent has changed since the
    /// previous check, boi starts one run of the agent as a probe.
    pub(super) fn look(&mut self, shared: &Arc<Shared>, held: Vec<Needs>) {
        let now = Instant::now();
        if held.is_empty() {
            self.seen.lock().unwrap_or_else(PoisonError::into_inner).files.clear();
            return;
        }
        if self.looked_at.is_some_and(|last| now.duration_since(last) < LOOK_EVERY) {
            return;
        }
        {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if std::mem::replace(&mut seen.looking, true) {
                return;
            }
        }
        self.looked_at = Some(now);
        let (seen, shared) = (Arc::clone(&self.seen), Arc::clone(shared));
        tokio::spawn(async move {
            let marks = blocking::run(move || held.into_iter().map(|needs| (marks(&needs), needs)).collect());
            let marks: Vec<(Vec<Option<Mark>>, Needs)> = marks.await.unwrap_or_default();
            let changed = {
                let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                seen.looking = false;
                let changed = marks.into_iter().filter_map(|(marks, needs)| {
                    let is_changed = match seen.files.get(&needs.agent) {
                        Some(before) => *before != marks,
                        None => has_changed_since(&needs, &marks),
                    };
                    seen.files.insert(needs.agent.clone(), marks);
                    is_changed.then_some(needs.agent)
                });
                changed.collect::<Vec<String>>()
            };
            if !changed.is_empty()
                && let Err(error) = shared.lanes.changed_by_user(&changed).await
            {
                warn!(agents = ?changed, %error, "cannot record in the queue that boi probes these held agents now, after their program or credentials changed");
            }
        });
    }
}

/// Returns the state of each file of an agent: its program, and the files that change when the user logs in.
fn marks(needs: &Needs) -> Vec<Option<Mark>> {
    let program = paths::find_program(&needs.program).ok();
    let home = paths::variable("HOME").map(PathBuf::from).unwrap_or_default();
    let credentials = needs.output.dialect().credentials().iter().map(|file| file.path(&home, paths::variable));
    let files = std::iter::once(program).chain(credentials.map(Some));
    files.map(|file| mark(file?.as_path())).collect()
}

/// Whether the files changed between the refusal and the first look at them.
fn has_changed_since(needs: &Needs, marks: &[Option<Mark>]) -> bool {
    let is_there_again = needs.is_program_missing && marks.first().is_some_and(Option::is_some);
    let is_new = |mark: &Mark| mark.changed.0.saturating_mul(1_000) + mark.changed.1 / 1_000_000 > needs.since.0;
    is_there_again || marks.iter().flatten().any(is_new)
}

fn mark(path: &Path) -> Option<Mark> {
    let found = fs::metadata(path).ok()?;
    Some(Mark {
        path: path.to_owned(),
        device: found.dev(),
        inode: found.ino(),
        changed: (found.ctime(), found.ctime_nsec()),
        size: found.size(),
    })
}

impl<S: Spawn> Daemon<S> {
    /// Checks the files of the held agents whose holds need an action of the user.
    pub(super) fn look_at_agents(&mut self, hot: &HotConfig) {
        let held = self.shared.lanes.needing_the_user();
        let needs = held.into_iter().filter_map(|(agent, hold)| {
            let settings = &hot.config.agents.get(&agent)?.worker;
            Some(Needs {
                agent,
                program: settings.command.program.clone(),
                output: settings.output,
                since: hold.since,
                is_program_missing: hold.cause == HoldCause::Refused(Refusal::NoProgram),
            })
        });
        let needs: Vec<Needs> = needs.collect();
        if !needs.is_empty() {
            self.wake_at = self.wake_at.min(Instant::now() + LOOK_EVERY);
        }
        self.agent_files.look(&self.shared, needs);
    }
}
