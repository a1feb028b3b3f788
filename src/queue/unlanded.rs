//! Completed specs whose branch is not known to be merged into a base. The user may merge such a branch by
//! hand.

use std::collections::HashSet;

use super::{Queue, QueueError};
use crate::domain::id::SpecId;
use crate::domain::spec::{Base, Spec};

/// A completed spec whose branch is not recorded as merged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unlanded {
    /// The spec.
    pub id: SpecId,
    /// The path of its repository.
    pub repo: String,
    /// The commit that its branch started from.
    pub origin: String,
    /// The last commit of its branch that boi made.
    pub head: String,
    /// The commits that the last look at it compared; see [`Look::compared`]. `None`: there was no look yet.
    pub compared: Option<String>,
}

/// The result of a look at a completed spec, which checks whether the user has merged its branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Look {
    /// The spec.
    pub id: SpecId,
    /// The commits of the branch and of its bases that were compared. While these stay the same, the result
    /// stays the same.
    pub compared: String,
    /// Whether a base has the changes of the branch.
    pub is_merged: bool,
}

/// Returns the bases into which a spec's branch can be merged, the nearest first: the base that the spec
/// names and, if this base is the branch of another spec, also the bases of the other spec, whose branch is
/// deleted once it is merged.
pub(crate) fn bases(queue: &dyn Queue, spec: &Spec) -> Result<Vec<String>, QueueError> {
    let (mut bases, mut seen) = (Vec::new(), HashSet::new());
    let mut next = spec.repo.as_ref().map(|repo| repo.base.clone());
    while let Some(base) = next.take() {
        match base {
            Base::Revision(name) => bases.push(name),
            Base::Spec(id) => {
                bases.push(id.branch());
                if seen.insert(id.clone()) {
                    next = match queue.spec(&id) {
                        Ok(other) => other.repo.map(|repo| repo.base),
                        // The bases of the other spec cannot be read, so the search ends here.
                        Err(QueueError::NotFound(_) | QueueError::Unreadable { .. }) => None,
                        Err(error) => return Err(error),
                    };
                }
            }
        }
    }
    Ok(bases)
}
