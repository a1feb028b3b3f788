//! Skips the git steps of specs without a repository: each recorded step costs a durable write.

use super::{AttemptPlan, Captured, Move, after_advance, after_capture, with_change};
use crate::domain::position::{GitStage, Position, Step};

/// Returns `next` without the git steps that have nothing to do, because the spec has no repository.
pub(crate) fn without_idle_git(plan: &AttemptPlan<'_>, mut next: Move) -> Move {
    if plan.spec.repo.is_some() {
        return next;
    }
    loop {
        let Move::Go(Position { step: Step::Git(stage), progress }, changes) = next else { return next };
        let after = match stage {
            GitStage::Capture(of) => after_capture(plan, progress, of, Captured::Candidate(None), None),
            GitStage::Advance { of, candidate } => after_advance(plan, progress, of, candidate),
            GitStage::Gather | GitStage::Deliver { .. } | GitStage::Land(_) => {
                return Move::Go(Position { step: Step::Git(stage), progress }, changes);
            }
        };
        next = changes.into_iter().rev().fold(after, with_change);
    }
}
