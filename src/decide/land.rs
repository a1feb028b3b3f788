//! The state machine of a lander: brings the branches of completed specs into one base, in batches.
//!
//! ```text
//!            nothing waits
//!  Gather ─────────────────────────────────────────────────────────────▶ Close
//!   ▲ │ a batch is built; branches that conflict with the base leave it
//!   │ ▼
//!   │ Verify* ── all passed, or one branch that is verified already ──▶ Land
//!   │ │                                                                 │ │
//!   │ └─ failed: split the batch; a single spec is sent back            │ │ the base has the batch
//!   ├───────────────────────────────────────────────────────────────────┘ │ or has moved: build again
//!   └─────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! - A batch that failed is split into two halves. The first half is built and verified next, and lands if it
//!   passes; the second half is built on the new base. After [`max_failures`] failures the rest is verified one
//!   by one. So N specs need 1 run of their verify commands at best, and 2N - 1 at most.
//! - A tree on which a command failed is not verified again: if the first half lands, the second half gives the
//!   same tree as the whole batch.
//! - The batch's commit is recorded before the base moves. After a crash the base is at the old commit and is
//!   moved, or at the batch's commit, which is recorded; if it is elsewhere, the batch is built again.
//! - No branch of a spec moves.

use super::step::{AttemptPlan, Move, RecordChange, go};
use crate::decide::step::Landed;
use crate::domain::cause::Unmerged;
use crate::domain::delivery::MergeRefusal;
use crate::domain::failure::Failure;
use crate::domain::id::SpecId;
use crate::domain::landing::{
    Batch, Built, FailedTree, Landing, LandingChange, Member, NotLanded, SentBack, Waiting, short_branch_name,
};
use crate::domain::outcome::MergedBy;
use crate::domain::position::{
    CommandStage, Delivered, Ending, GitStage, Merge, Position, Progress, Stage, Step, Verify,
};

/// The maximum number of specs in a batch.
const MAX_BATCH: usize = 64;
/// How many times in a row the base may move while a batch is verified. After that, the batch stays unmerged.
const MAX_MOVES: u32 = 100;

/// Returns the position at which a lander of `base` starts.
pub(crate) fn start(base: &str) -> Position {
    let landing = Some(Box::new(Landing { base: base.to_owned(), ..Landing::default() }));
    Position { step: Step::Git(GitStage::Gather), progress: Progress { landing, first_try: 1, ..Progress::default() } }
}

/// Returns how many batches may fail before the specs of a batch of `size` are verified one by one.
fn max_failures(size: u32) -> u32 {
    size.max(1).next_power_of_two().trailing_zeros() + 2
}

/// Selects from `waiting`, which is in queue order, the specs of the next batch.
pub(crate) fn select(landing: &Landing, waiting: Vec<Waiting>) -> Vec<Waiting> {
    for part in landing.parts.iter().rev() {
        let found: Vec<Waiting> = waiting.iter().filter(|one| part.contains(&one.spec)).cloned().collect();
        if !found.is_empty() {
            return found;
        }
    }
    let mut all = waiting;
    all.truncate(MAX_BATCH);
    all
}

/// Decides what follows `Gather`. `selected` are the specs that [`select`] returned, of which `built` was made;
/// without any, the lander ends.
pub(crate) fn after_gather(plan: &AttemptPlan<'_>, progress: Progress, selected: &[SpecId], built: Built) -> Move {
    let mut landing = landing_of(&progress);
    landing.batch = None;
    // Parts of which nothing waits any more are gone, and the part that was selected is used up.
    let is_part = |part: &Vec<SpecId>| selected.iter().any(|spec| part.contains(spec));
    let selected_part = landing.parts.iter().rposition(is_part);
    match selected_part {
        Some(index) => landing.parts.truncate(index),
        None => landing.parts.clear(),
    }
    if selected.is_empty() {
        return Move::Go(Position { step: Step::Close(Ending::Completed(Delivered::Merged)), progress }, vec![]);
    }
    let mut changes = Vec::new();
    let mut change = |change| changes.push(RecordChange::Landing(change));
    let is_verified = built.is_verified();
    for (spec, by) in built.contained {
        change(LandingChange::Landed(spec, by));
    }
    for (spec, why) in built.refused {
        change(LandingChange::Unmerged(spec, why));
    }
    for (spec, files) in built.conflicts {
        let fixable = spec.fixable;
        change(send_back(&landing.base, &built.from, &spec.spec, fixable, NotLanded::Conflict { files }));
    }
    if built.members.is_empty() {
        return gather(plan, progress, landing, changes);
    }
    let verify = if is_verified { vec![] } else { union(built.members.iter().map(|(one, _)| &one.verify[..])) };
    if selected_part.is_none() {
        landing.size = u32::try_from(built.members.len()).unwrap_or(u32::MAX);
        (landing.failures, landing.failed) = (0, vec![]);
    }
    let members: Vec<Member> =
        built.members.into_iter().map(|(one, head)| Member { spec: one.spec, head, fixable: one.fixable }).collect();
    changes.extend(members.iter().map(|one| RecordChange::Landing(LandingChange::Joined(one.spec.clone()))));
    let batch = Batch { members, from: built.from, tip: built.tip, tree: built.tree, verify };
    let known =
        landing.failed.iter().find(|failed| failed.tree == batch.tree && batch.verify.contains(&failed.command));
    match known.cloned() {
        Some(failed) => {
            landing.batch = Some(batch);
            after_failure(plan, progress, landing, failed.failure, changes)
        }
        None => {
            landing.runs += u32::from(!batch.verify.is_empty());
            landing.batch = Some(batch);
            verify_or_land(plan, with(progress, landing), 0, changes)
        }
    }
}

/// Decides what follows a verify command of the batch that passed.
pub(crate) fn after_pass(plan: &AttemptPlan<'_>, progress: Progress, index: usize) -> Move {
    verify_or_land(plan, progress, index + 1, vec![])
}

/// Decides what follows the verify command of the batch with this index, which failed.
pub(crate) fn after_fail(plan: &AttemptPlan<'_>, progress: Progress, index: usize, failure: Failure) -> Move {
    let mut landing = landing_of(&progress);
    if let Some(batch) = &landing.batch {
        let failed =
            FailedTree { tree: batch.tree.clone(), command: batch.verify[index].clone(), failure: failure.clone() };
        landing.failed.push(failed);
    }
    after_failure(plan, progress, landing, failure, vec![])
}

fn after_failure(
    plan: &AttemptPlan<'_>,
    progress: Progress,
    mut landing: Landing,
    failure: Failure,
    mut changes: Vec<RecordChange>,
) -> Move {
    let Some(batch) = landing.batch.take() else { return gather(plan, progress, landing, changes) };
    if let [only] = &batch.members[..] {
        let why = NotLanded::Verify { failure };
        let change = send_back(&landing.base, &batch.from, &only.spec, only.fixable, why);
        changes.push(RecordChange::Landing(change));
        return gather(plan, progress, landing, changes);
    }
    landing.failures += 1;
    let specs: Vec<SpecId> = batch.members.into_iter().map(|member| member.spec).collect();
    if landing.failures >= max_failures(landing.size) {
        landing.parts.extend(specs.into_iter().rev().map(|spec| vec![spec]));
    } else {
        let (first, second) = specs.split_at(specs.len().div_ceil(2));
        landing.parts.push(second.to_vec());
        landing.parts.push(first.to_vec());
    }
    gather(plan, progress, landing, changes)
}

/// Decides what follows `Land`.
pub(crate) fn after_land(plan: &AttemptPlan<'_>, progress: Progress, result: Landed) -> Move {
    let mut landing = landing_of(&progress);
    let members = landing.batch.iter().flat_map(|batch| &batch.members).map(|member| member.spec.clone());
    let members: Vec<SpecId> = members.collect();
    let all = |change: &dyn Fn(SpecId) -> LandingChange| {
        members.iter().cloned().map(|spec| RecordChange::Landing(change(spec))).collect()
    };
    let changes = match result {
        Landed::Done => {
            landing.moves = 0;
            all(&|spec| LandingChange::Landed(spec, MergedBy::Boi))
        }
        Landed::Unmerged(why) => all(&|spec| LandingChange::Unmerged(spec, why.clone())),
        Landed::BaseMoved if landing.moves < MAX_MOVES => {
            landing.moves += 1;
            landing.parts.push(members);
            // The next `Gather` keeps the batch: if the base contains its commit, it was landed before a crash.
            return go(plan, with(progress, landing), Stage::Git(GitStage::Gather), vec![]);
        }
        Landed::BaseMoved => all(&|spec| LandingChange::Unmerged(spec, Unmerged::BaseMoved { times: MAX_MOVES })),
    };
    gather(plan, progress, landing, changes)
}

/// Decides what follows a problem of a lander that only the user can fix: all its specs stay unmerged.
pub(crate) fn after_obstacle(progress: Progress, why: Unmerged) -> Move {
    let changes = vec![RecordChange::Landing(LandingChange::AllUnmerged(why))];
    Move::Go(Position { step: Step::Close(Ending::Completed(Delivered::Merged)), progress }, changes)
}

fn send_back(base: &str, onto: &str, spec: &SpecId, fixable: bool, why: NotLanded) -> LandingChange {
    if fixable {
        let sent = SentBack { base: base.to_owned(), onto: onto.to_owned(), why };
        return LandingChange::SentBack(spec.clone(), sent);
    }
    let why = match why {
        NotLanded::Conflict { files } => {
            let base = short_branch_name(base).to_owned();
            Unmerged::Refused { refusal: MergeRefusal::Conflicts { base, files } }
        }
        NotLanded::Verify { failure } => Unmerged::Verify { failure: failure.without_output() },
    };
    LandingChange::Unmerged(spec.clone(), why)
}

fn verify_or_land(plan: &AttemptPlan<'_>, progress: Progress, index: usize, changes: Vec<RecordChange>) -> Move {
    let Some(batch) = progress.landing.as_ref().and_then(|landing| landing.batch.as_ref()) else {
        return go(plan, progress, Stage::Git(GitStage::Gather), changes);
    };
    if index < batch.verify.len() {
        return go(plan, progress, Stage::Command(CommandStage::Verify(Verify::Batch { index })), changes);
    }
    let merge = Merge { round: 1, from: batch.from.clone(), head: batch.tip.clone() };
    go(plan, progress, Stage::Git(GitStage::Land(merge)), changes)
}

fn gather(plan: &AttemptPlan<'_>, progress: Progress, mut landing: Landing, changes: Vec<RecordChange>) -> Move {
    landing.batch = None;
    go(plan, with(progress, landing), Stage::Git(GitStage::Gather), changes)
}

fn landing_of(progress: &Progress) -> Landing {
    progress.landing.as_deref().cloned().unwrap_or_default()
}

fn with(progress: Progress, landing: Landing) -> Progress {
    Progress { landing: Some(Box::new(landing)), deaths: 0, cut_offs: 0, ..progress }
}

/// Returns all commands in their order, each text once.
fn union<'a>(lists: impl Iterator<Item = &'a [String]>) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for command in lists.flatten() {
        if !all.contains(command) {
            all.push(command.clone());
        }
    }
    all
}

#[cfg(test)]
mod tests;
