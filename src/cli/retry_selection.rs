//! The specs that `boi retry --failed` and `--unmerged` select. They are read from the queue a page at a
//! time.

use super::CliError;
use crate::domain::id::SpecId;
use crate::domain::life::SpecStatus;
use crate::domain::outcome::Delivery;
use crate::queue::{Filter, Queue};

/// The number of specs that are read at a time.
const PAGE: u32 = 500;

/// Returns all failed specs, those that ended first at the beginning.
pub(super) fn failed(queue: &dyn Queue) -> Result<Vec<SpecId>, CliError> {
    let mut ids = Vec::new();
    loop {
        let offset = u32::try_from(ids.len()).unwrap_or(u32::MAX);
        let filter = Filter { status: Some(SpecStatus::Failed), limit: PAGE, offset, ..Filter::default() };
        let page = queue.list(&filter)?;
        ids.extend(page.specs.into_iter().map(|spec| spec.id));
        if !page.more {
            ids.reverse();
            return Ok(ids);
        }
    }
}

/// Returns all completed specs whose branch could not be merged, in the order of their dispatch.
pub(super) fn unmerged(queue: &dyn Queue) -> Result<Vec<SpecId>, CliError> {
    let candidates: Vec<SpecId> = queue.unlanded(None)?.into_iter().map(|spec| spec.id).collect();
    let mut ids = Vec::new();
    for page in candidates.chunks(PAGE as usize) {
        let listing = queue.list(&Filter { ids: page.to_vec(), ..Filter::default() })?;
        let unmerged = listing.specs.into_iter().filter(|spec| spec.delivery == Some(Delivery::Unmerged));
        ids.extend(unmerged.map(|spec| spec.id));
    }
    Ok(ids)
}
