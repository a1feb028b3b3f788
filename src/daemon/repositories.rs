//! Repositories' own configurations while the daemon runs: how many specs of each repository run, and when the block of a
//! spec that waits for a repository ends.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tracing::{info, warn};

use super::Event;
use super::handle::Handle;
use crate::control::calls::{CallFailure, GIVE_UP, Ids, RevokeTrust, Trust};
use crate::control::server::Serve;
use crate::domain::id::SpecId;
use crate::domain::repository_block::ConfigPlace;
use crate::git::{self, RepositoryFile};
use crate::queue::repositories::EndBlocks;
use crate::system::blocking;

/// How often the daemon checks whether a base has moved whose configuration blocks specs.
const EVERY: Duration = Duration::from_secs(2);
/// How many configurations of commits are remembered.
const REMEMBERED: usize = 64;

/// What the daemon knows about the repositories of its specs.
#[derive(Debug, Default)]
pub(crate) struct Repositories {
    state: Mutex<State>,
    /// Wakes the task that checks bases, since a spec may be blocked now.
    blocked: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// The repository of each spec that has a worker.
    running: HashMap<SpecId, String>,
    /// Repositories in which a spec may wait for another one to end.
    waited_for: HashSet<String>,
    /// The configurations that were read, the latest last. A commit never changes, so they stay valid.
    files: Vec<((String, String), Arc<RepositoryFile>)>,
}

impl Repositories {
    /// Counts a spec as running in a repository, unless that already has `most` other specs. Returns whether it is
    /// counted.
    pub(super) fn enter(&self, spec: &SpecId, repository: &str, most: Option<u32>) -> bool {
        let mut state = self.state();
        if most.is_some_and(|most| state.others(spec, repository) >= most as usize) {
            state.waited_for.insert(repository.to_owned());
            return false;
        }
        state.running.insert(spec.clone(), repository.to_owned());
        true
    }

    /// Whether a repository has as many running specs as `most` allows.
    pub(super) fn is_full(&self, spec: &SpecId, repository: &str, most: u32) -> bool {
        self.state().others(spec, repository) >= most as usize
    }

    /// Counts a spec as running no more. Returns its repository if another spec may wait for this.
    pub(super) fn leave(&self, spec: &SpecId) -> Option<String> {
        let mut state = self.state();
        let repository = state.running.remove(spec)?;
        state.waited_for.contains(&repository).then_some(repository)
    }

    /// Notes that nothing waits in a repository.
    pub(super) fn nothing_waits(&self, repository: &str) {
        self.state().waited_for.remove(repository);
    }

    /// Notes that a spec is blocked by a repository's configuration.
    pub(super) fn note_block(&self) {
        self.blocked.notify_one();
    }

    /// Returns the file that was read from a commit; `None`: it was not read, or is forgotten.
    pub(super) fn known_file(&self, repository: &str, commit: &str) -> Option<Arc<RepositoryFile>> {
        let state = self.state();
        let is_it = |key: &(String, String)| key.0 == repository && key.1 == commit;
        state.files.iter().find(|(key, _)| is_it(key)).map(|(_, file)| Arc::clone(file))
    }

    /// Remembers a file that was read from a commit.
    pub(super) fn remember_file(&self, repository: &str, commit: &str, file: &Arc<RepositoryFile>) {
        let mut state = self.state();
        if state.files.len() >= REMEMBERED {
            state.files.remove(0);
        }
        state.files.push(((repository.to_owned(), commit.to_owned()), Arc::clone(file)));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn others(&self, spec: &SpecId, repository: &str) -> usize {
        self.running.iter().filter(|(other, of)| *other != spec && *of == repository).count()
    }
}

/// Ends the blocks of specs whose base has moved since its configuration blocked them, again and again.
pub(crate) async fn poll(handle: Handle) {
    // An earlier daemon counted the running specs of these repositories.
    handle.end_repository_blocks(EndBlocks::AllWaiting).await;
    loop {
        let blocking = handle.queue.call(|queue| queue.blocking_configs()).await.unwrap_or_else(|error| {
            warn!(%error, "the daemon cannot read which repositories' configurations block specs; it tries again");
            Vec::new()
        });
        if blocking.is_empty() {
            handle.shared.repositories.blocked.notified().await;
            continue;
        }
        for place in blocking::run(move || moved(blocking)).await.unwrap_or_default() {
            handle.end_repository_blocks(EndBlocks::ReadAt(place)).await;
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Returns those places whose base is on another commit now. A base that cannot be read counts as unmoved.
fn moved(places: Vec<ConfigPlace>) -> Vec<ConfigPlace> {
    let has_moved = |place: &ConfigPlace| {
        git::resolve_base(Path::new(&place.path), &place.base).is_ok_and(|commit| commit != place.commit)
    };
    places.into_iter().filter(has_moved).collect()
}

impl Serve<Trust> for Handle {
    async fn serve(&self, Trust { trusted }: Trust, _: watch::Receiver<bool>) -> Result<Ids, CallFailure> {
        self.unless_silent(GIVE_UP, |handle| async move {
            let ids = handle.queue(move |queue| queue.trust(&trusted)).await?;
            handle.send(Event::Queued);
            handle.shared.changed();
            Ok(Ids { ids })
        })
        .await
        .map_err(Into::into)
    }
}

impl Serve<RevokeTrust> for Handle {
    async fn serve(&self, call: RevokeTrust, _: watch::Receiver<bool>) -> Result<usize, CallFailure> {
        let revoke =
            |handle: Handle| async move { Ok(handle.queue(move |queue| queue.revoke_trust(&call.repository)).await?) };
        Ok(self.unless_silent(GIVE_UP, revoke).await?)
    }
}

impl Handle {
    async fn end_repository_blocks(&self, which: EndBlocks) {
        match self.queue.call(move |queue| queue.end_repository_blocks(&which)).await {
            Ok(specs) if specs.is_empty() => {}
            Ok(specs) => {
                for spec in &specs {
                    info!(%spec, "the configuration of the repository no longer blocks the spec");
                }
                self.send(Event::Queued);
                self.shared.changed();
            }
            Err(error) => {
                warn!(%error, "the daemon cannot end the block of specs by their repository's configuration; it tries again");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_runs_at_most_as_many_specs_as_it_allows() {
        let [a, b, c]: [SpecId; 3] = ["S000A", "S000B", "S000C"].map(|id| id.parse().unwrap());
        let repositories = Repositories::default();
        assert!(repositories.enter(&a, "/one", Some(1)) && repositories.enter(&a, "/one", Some(1)), "counted once");
        assert!(!repositories.enter(&b, "/one", Some(1)));
        assert!(repositories.is_full(&b, "/one", 1) && !repositories.is_full(&a, "/one", 1));
        assert!(repositories.enter(&c, "/two", Some(1)), "each repository counts its own specs");
        assert_eq!(repositories.leave(&c), None, "nothing waits there");
        assert_eq!(repositories.leave(&a).as_deref(), Some("/one"));
        assert!(repositories.enter(&b, "/one", Some(1)));
        repositories.nothing_waits("/one");
        assert_eq!((repositories.leave(&b), repositories.leave(&b)), (None, None));
    }

    #[test]
    fn the_files_of_the_latest_commits_are_remembered() {
        let repositories = Repositories::default();
        let file = Arc::new(RepositoryFile::Missing);
        for number in 0..=REMEMBERED {
            repositories.remember_file("/r", &number.to_string(), &file);
        }
        assert_eq!(repositories.known_file("/r", "0"), None);
        assert_eq!(repositories.known_file("/r", "1"), Some(Arc::clone(&file)));
        assert_eq!(repositories.known_file("/other", "1"), None);
    }
}
