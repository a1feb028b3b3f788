//! The result of a step of a delivery.

use crate::domain::delivery::MergeRefusal;
use crate::git::GitError;

/// Why a step of a delivery failed or was refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeliveryError {
    #[error("{0}")]
    Refused(MergeRefusal),
    #[error(transparent)]
    Git(#[from] GitError),
}

impl From<MergeRefusal> for DeliveryError {
    fn from(refusal: MergeRefusal) -> DeliveryError {
        DeliveryError::Refused(refusal)
    }
}

/// The result of a fast-forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum FastForward {
    /// The base is at the branch's commit.
    Done,
    /// The base is not at the commit that the plan names, so it was not moved. The caller must plan again.
    BaseMoved,
}
