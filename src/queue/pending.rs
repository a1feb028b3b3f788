//! Which verbs of a daemon are under way, so that a queue that does not answer is told from one that has nothing to do: a
//! disk that blocks keeps whoever waits for it waiting, and says nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::StoreError;

/// The verbs that are under way.
#[derive(Debug)]
pub struct Pending {
    path: PathBuf,
    verbs: Mutex<Verbs>,
}

#[derive(Debug, Default)]
struct Verbs {
    next: u64,
    since: BTreeMap<u64, Instant>,
}

/// A verb under way, until it is dropped.
#[derive(Debug)]
pub struct UnderWay<'a> {
    pending: &'a Pending,
    number: u64,
}

impl Pending {
    pub(super) fn new(path: &Path) -> Pending {
        Pending { path: path.to_owned(), verbs: Mutex::default() }
    }

    /// A verb begins.
    pub fn begin(&self) -> UnderWay<'_> {
        let mut verbs = self.verbs();
        let number = verbs.next;
        verbs.next += 1;
        verbs.since.insert(number, Instant::now());
        UnderWay { pending: self, number }
    }

    /// That the queue does not answer, when a verb has been under way for so long.
    pub fn silence(&self, least: Duration) -> Option<StoreError> {
        let since = self.verbs().since.values().next().copied()?;
        let silent = since.elapsed();
        (silent >= least).then(|| StoreError::Silent { path: self.path.clone(), seconds: silent.as_secs() })
    }

    fn verbs(&self) -> std::sync::MutexGuard<'_, Verbs> {
        self.verbs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.pending.verbs().since.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verb_that_began_first_and_has_not_ended_counts() {
        let pending = Pending::new(Path::new("boi.db"));
        assert!(pending.silence(Duration::ZERO).is_none());
        let (first, second) = (pending.begin(), pending.begin());
        drop(first);
        assert!(pending.silence(Duration::ZERO).is_some() && pending.silence(Duration::from_secs(3600)).is_none());
        drop(second);
        assert!(pending.silence(Duration::ZERO).is_none());
    }
}
