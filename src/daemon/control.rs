//! What the control socket may ask of a daemon.

use super::handle::Handle;
use super::{Event, Leaving};
use crate::config::keys::{KEYS, Key};
use crate::control::server::{self, Control};
use crate::control::wire::{Cleaned, GIVE_UP, InForce, Leave};
use crate::domain::id::SpecId;
use crate::domain::spec::Spec;
use crate::domain::view::StatusView;
use crate::queue::{Canceled, Filter, StoreError};
use crate::system::clock;

impl Control for Handle {
    async fn dispatch(&self, specs: Vec<Spec>) -> Result<Vec<SpecId>, StoreError> {
        self.unless_silent(GIVE_UP, |handle| async move {
            let ids = handle.store(move |store| store.enqueue(specs, clock::now())).await?;
            handle.send(Event::Queued);
            handle.shared.changed();
            Ok(ids)
        })
        .await
    }

    async fn status(&self, filter: Filter) -> Result<StatusView, StoreError> {
        if filter.ids.is_empty() {
            // It says so itself when the queue does not answer.
            return Handle::status(self, filter).await;
        }
        self.unless_silent(GIVE_UP, |handle| async move { Handle::status(&handle, filter).await }).await
    }

    async fn newer_than(&self, revision: u64) -> u64 {
        Handle::newer_than(self, revision).await
    }

    fn revision(&self) -> u64 {
        Handle::revision(self)
    }

    async fn cancel(&self, spec: SpecId) -> Result<Canceled, StoreError> {
        self.unless_silent(GIVE_UP, |handle| async move { Handle::cancel(&handle, spec).await }).await
    }

    async fn retry(&self, spec: SpecId) -> Result<Vec<SpecId>, StoreError> {
        self.unless_silent(GIVE_UP, |handle| async move { Handle::retry(&handle, spec).await }).await
    }

    async fn set_paused(&self, paused: bool) -> Result<(), StoreError> {
        self.unless_silent(GIVE_UP, |handle| async move { Handle::set_paused(&handle, paused).await }).await
    }

    fn in_force(&self) -> InForce {
        let hot = self.hot.load_full();
        let value = |key: &Key| (key.name.to_owned(), key.get(&hot.config).to_string());
        InForce {
            generation: hot.generation,
            values: KEYS.iter().map(value).collect(),
            flags: self.shared.config().flags,
        }
    }

    fn leave(&self, how: Leave) {
        let leaving = match how {
            Leave::Stop => Leaving::Stop,
            Leave::Drain => Leaving::Drain,
        };
        self.send(Event::Leave(leaving));
    }

    async fn cleaned(&self, cleaned: Cleaned) -> Result<(), StoreError> {
        self.unless_silent(GIVE_UP, |handle| async move {
            handle.store(move |store| server::note_cleaned(store, &cleaned)).await?;
            handle.shared.changed();
            Ok(())
        })
        .await
    }
}
