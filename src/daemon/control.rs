//! What the control socket may ask of a daemon.

use super::handle::Handle;
use super::{Event, Leaving};
use crate::config::keys::{KEYS, Key};
use crate::control::server::{self, Control};
use crate::control::wire::{Cleaned, InForce, Leave};
use crate::domain::id::SpecId;
use crate::domain::spec::Spec;
use crate::domain::view::StatusView;
use crate::host::clock;
use crate::host::store::{Canceled, Filter, StoreError};

impl Control for Handle {
    async fn dispatch(&self, specs: Vec<Spec>) -> Result<Vec<SpecId>, StoreError> {
        let ids = self.store(move |store| store.enqueue(specs, clock::now())).await?;
        self.send(Event::Queued);
        self.shared.changed();
        Ok(ids)
    }

    async fn status(&self, filter: Filter) -> Result<StatusView, StoreError> {
        Handle::status(self, filter).await
    }

    async fn newer_than(&self, revision: u64) -> u64 {
        Handle::newer_than(self, revision).await
    }

    fn revision(&self) -> u64 {
        Handle::revision(self)
    }

    async fn cancel(&self, spec: SpecId) -> Result<Canceled, StoreError> {
        Handle::cancel(self, spec).await
    }

    async fn retry(&self, spec: SpecId) -> Result<Vec<SpecId>, StoreError> {
        Handle::retry(self, spec).await
    }

    async fn set_paused(&self, paused: bool) -> Result<(), StoreError> {
        Handle::set_paused(self, paused).await
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
        self.store(move |store| server::note_cleaned(store, &cleaned)).await?;
        self.shared.changed();
        Ok(())
    }
}
