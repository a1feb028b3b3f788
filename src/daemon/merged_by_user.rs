//! Notices that the user merged the branch of a completed spec by hand, so that specs which wait for the
//! merge start and `boi clean` removes the branch.
//!
//! The daemon compares the commits of a branch and its bases only if one of them has moved since the last
//! comparison; the queue stores which commits were compared. A spec that is recorded as merged is never
//! compared again, whatever happens to its base.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use tracing::{info, warn};

use super::Event;
use super::handle::Handle;
use crate::domain::id::SpecId;
use crate::domain::landing::short_branch_name;
use crate::git;
use crate::queue::unlanded::{self, Look, Unlanded};
use crate::queue::{Queue, QueueError};
use crate::system::{blocking, clock};

/// How often the daemon looks for branches that were merged by hand.
const EVERY: Duration = Duration::from_secs(60);

/// Looks for merged branches of all specs, again and again.
pub(crate) async fn poll(handle: Handle) {
    loop {
        if let Err(error) = handle.look_for_merges(None).await {
            warn!(%error, "the daemon cannot check which branches the user merged by hand; it checks again in a minute");
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// How many results are recorded at a time, so that few results are lost if the daemon ends meanwhile.
const BATCH: usize = 50;

impl Handle {
    /// Checks whether the user merged the branches of `specs` by hand, and records the results; `None`:
    /// checks the branches of all specs.
    pub(crate) async fn look_for_merges(&self, specs: Option<Vec<SpecId>>) -> Result<(), QueueError> {
        let candidates = self.queue.call(move |queue| candidates(queue, specs.as_deref())).await?;
        if candidates.is_empty() {
            return Ok(());
        }
        let mut rest = blocking::run(move || due(candidates)).await.unwrap_or_default();
        while !rest.is_empty() {
            let batch: Vec<Due> = rest.drain(..rest.len().min(BATCH)).collect();
            let looks = blocking::run(move || look_at(batch)).await.unwrap_or_default();
            let is_merged = looks.iter().any(|look| look.is_merged);
            self.queue.call(move |queue| queue.record_looks(looks, clock::now())).await?;
            if is_merged {
                // Specs may be waiting for these merges.
                self.send(Event::Queued);
                self.shared.changed();
            }
        }
        Ok(())
    }
}

/// Checks whether the user merged the branches of `specs` by hand. Returns the results and does not record
/// them, because the queue may be open for reading only.
pub(crate) fn look(queue: &dyn Queue, specs: &[SpecId]) -> Result<Vec<Look>, QueueError> {
    Ok(look_at(due(candidates(queue, Some(specs))?)))
}

/// A spec, and the names of its bases.
type Candidate = (Unlanded, Vec<String>);

/// A spec to compare: its branch or a base has moved since the last comparison.
#[derive(Debug)]
struct Due {
    spec: Unlanded,
    head: String,
    bases: Vec<String>,
}

fn candidates(queue: &dyn Queue, specs: Option<&[SpecId]>) -> Result<Vec<Candidate>, QueueError> {
    let mut found = Vec::new();
    for spec in queue.unlanded(specs)? {
        match queue.spec(&spec.id) {
            Ok(body) => found.push((spec, unlanded::bases(queue, &body)?)),
            Err(QueueError::NotFound(_) | QueueError::Unreadable { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// Reads the branches of each repository once. Returns the specs whose branch or base has moved since the
/// last comparison.
fn due(candidates: Vec<Candidate>) -> Vec<Due> {
    let mut by_repo: BTreeMap<String, Vec<Candidate>> = BTreeMap::new();
    for candidate in candidates {
        by_repo.entry(candidate.0.repo.clone()).or_default().push(candidate);
    }
    let mut due = Vec::new();
    for (repo, candidates) in by_repo {
        // A repository that cannot be read now is checked when it can be read again.
        let Ok(branches) = git::local_branches(Path::new(&repo)) else { continue };
        for (spec, bases) in candidates {
            // The user may have deleted the branch after the merge.
            let head = branches.get(&spec.id.branch()).unwrap_or(&spec.head).clone();
            let name = |base: &String| short_branch_name(base).to_owned();
            let bases = bases.iter().filter_map(|base| branches.get(&name(base)).cloned()).collect();
            due.push(Due { spec, head, bases });
        }
    }
    due.retain(|due| due.spec.compared.as_ref() != Some(&due.compared()));
    due
}

impl Due {
    /// Returns the commits that are compared, separated by spaces.
    fn compared(&self) -> String {
        self.bases.iter().fold(self.head.clone(), |text, commit| text + " " + commit)
    }
}

fn look_at(due: Vec<Due>) -> Vec<Look> {
    let look = |due: Due| {
        let repo = Path::new(&due.spec.repo);
        let has_changes = |base: &String| git::has_changes(repo, base, &due.spec.origin, &due.head);
        // After an error nothing is recorded, so the next check compares the same commits again.
        let results: Vec<bool> = due.bases.iter().map(has_changes).collect::<Result<_, _>>().ok()?;
        let is_merged = results.contains(&true);
        if is_merged {
            info!(spec = %due.spec.id, "the branch of the spec was merged by hand");
        }
        Some(Look { id: due.spec.id.clone(), compared: due.compared(), is_merged })
    };
    due.into_iter().filter_map(look).collect()
}
