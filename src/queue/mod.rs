//! The durable queue. It stores each spec from its dispatch on, also after the spec has ended, until the spec
//! is removed.
//!
//! [`Queue`] is a trait; `sqlite` implements it for one machine. The terms of the queue:
//!
//! - **verb**: a method of [`Queue`].
//! - **owner**: the machine that a claimed spec runs on. Only the owner writes for the spec.
//! - **lease**: the right of a machine to own claims. The right ends when the lease is lost or expires.
//! - **fence**: the attempt that a write belongs to. A write of a superseded attempt changes nothing.
//!
//! Invariants, which `conformance` tests for each implementation:
//! - When a verb returns `Ok`, its changes are durable; only a claim can be undone, by a power cut before the
//!   next other verb. A verb that fails has changed nothing, unless its error is [`QueueError::Unknown`].
//! - A verb that takes a [`Fence`] changes nothing when that attempt is superseded, and returns
//!   [`QueueError::Superseded`].
//! - A verb that changes the life of a spec, a task, a try or a hold appends its events in the same
//!   transaction (`domain::event`).
//! - A record that cannot be read stops only its own spec, which is quarantined.
//! - No verb runs git or starts a process.

mod error;
pub(crate) mod events;
pub(crate) mod landings;
pub(crate) mod open;
pub(crate) mod recent;
pub(crate) mod repositories;
pub(crate) mod retention;
pub(crate) mod review;
pub(crate) mod sqlite;
pub(crate) mod survey;
pub(crate) mod unlanded;

#[cfg(test)]
mod conformance;

use std::collections::HashSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

pub(crate) use self::error::{QueueError, Refusal};
use self::events::{EventPage, RemovedEvents};
use self::landings::Group;
use self::landings::Landers;
use self::recent::Recent;
use self::repositories::Repositories;
use self::retention::{Age, ExpiredPage, Place};
use self::review::{Review, TaskNote};
use self::survey::Survey;
use self::unlanded::{Look, Unlanded};
use crate::config::WorkerConfig;
use crate::decide::hook::HookState;
use crate::decide::lane;
use crate::decide::step::RecordChange;
use crate::domain::cause::Cause;
use crate::domain::event::{Cursor, EventFilter, EventKind, Happening};
use crate::domain::hold::Hold;
use crate::domain::id::SpecId;
use crate::domain::landing::Waiting;
use crate::domain::lane::{Eligible, LaneLimit};
use crate::domain::life::{Intent, SpecStatus, TaskStatus};
use crate::domain::money::Usd;
use crate::domain::outcome::Usage;
use crate::domain::position::{Ending, Position, Stage};
use crate::domain::repository_change::RepositoryChange;
use crate::domain::spec::Spec;
use crate::domain::time::Timestamp;
use crate::domain::view::{Counts, SpecView};

/// The attempt that a write belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Fence {
    /// The spec.
    pub spec: SpecId,
    /// The number of the attempt.
    pub attempt: u32,
}

/// The name of a machine that claims and runs specs of the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owner(pub String);

/// The right of this machine to own the specs that it claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lease {
    /// This machine.
    pub owner: Owner,
    /// How long the lease lasts unless it is renewed; `None`: it lasts until the queue is closed.
    pub expires_in: Option<Duration>,
}

/// A claimed spec, with everything that a daemon needs to build a worker for the spec.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Claimed {
    /// The spec and its current attempt.
    pub fence: Fence,
    /// The machine that the spec runs on.
    pub owner: Owner,
    /// The spec.
    pub spec: Spec,
    /// The configuration that the attempt was claimed with.
    pub config: WorkerConfig,
    /// The position that the attempt has reached.
    pub position: Position,
    /// For each task: its status, and the number of its tries that have begun.
    pub tasks: Vec<(TaskStatus, u32)>,
    /// The user's request for the attempt, such as to cancel it.
    pub intent: Option<Intent>,
    /// The number of consecutive setbacks: failed starts, and requests that the model's service refused.
    pub setbacks: u32,
    /// Whether a worker was started since the claim.
    pub started: bool,
    /// The path of the spec's worktree, once the spec has one.
    pub worktree: Option<String>,
    /// The known cost of the spec's agents in all attempts together.
    pub spent: Usd,
    /// The limit of this cost that a retry set; `None`: the limit of the spec or of the configuration.
    pub max_usd: Option<Usd>,
    /// The commit of the base that the branch could not be merged with, while the spec is sent back to its agent because
    /// of that; `None`: it is not.
    pub onto: Option<String>,
    /// The note with which the user sent the attempt back.
    pub note: Option<TaskNote>,
}

impl Claimed {
    /// Returns the agent that the attempt starts next if it continues at `position`; `None`: its next command
    /// is not an agent.
    pub(crate) fn lane_at(&self, position: &Position) -> Option<String> {
        let done: Vec<bool> = self.tasks.iter().map(|(status, _)| *status == TaskStatus::Done).collect();
        lane::of_position(&self.spec, position, &done).map(str::to_owned)
    }
}

/// A spec with a stored record that this version cannot read: damaged, or written by a newer version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Quarantined {
    /// The spec and its current attempt.
    pub fence: Fence,
    /// Whether the spec is running. A running spec takes a slot, and one of its commands may be alive.
    pub running: bool,
    /// The user's request for the attempt, such as to cancel it.
    pub intent: Option<Intent>,
    /// Which record cannot be read, and why.
    pub detail: String,
}

/// The running specs of this machine.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct RunningSpecs {
    /// The specs whose records can all be read.
    pub claimed: Vec<Claimed>,
    /// The specs with a record that cannot be read.
    pub quarantined: Vec<Quarantined>,
}

/// A change of the recorded path of a spec's worktree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum WorktreePlace {
    /// The worktree is at this path.
    At(String),
    /// The worktree was removed.
    Removed,
}

/// The arguments of [`Queue::give_back`]: how a claimed spec returns to the queue.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct GiveBack {
    /// The position at which the attempt continues.
    pub position: Position,
    /// The changes to record together with the position.
    pub changes: Vec<RecordChange>,
    /// Why the spec is given back; `None`: no cause is recorded.
    pub cause: Option<Cause>,
    /// When the spec is eligible again; `None`: it is eligible at once.
    pub not_before: Option<Timestamp>,
    /// Whether the give-back counts as one more setback in a row.
    pub setback: bool,
    /// The agent that the attempt starts next; `None`: its next command is not an agent.
    pub lane: Option<String>,
}

/// The queue's record of a command that an attempt has begun.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CommandRow {
    /// The attempt that the command belongs to.
    pub attempt: u32,
    /// The number of the command in the attempt.
    pub number: u32,
    /// The purpose of the command (a try, a verify command); `None`: this version cannot read the record.
    pub stage: Option<Stage>,
    /// When the attempt began the command.
    pub began_at: Timestamp,
}

/// The effect of a request to cancel a spec.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Canceled {
    /// The spec was queued, and is now canceled.
    Now,
    /// The spec is running. Its status becomes `canceled` when its worker has ended the spec's command.
    Ending,
    /// The spec had already ended, with this status.
    EndedBefore(SpecStatus),
}

/// The effect of a request to stop a spec.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Stopped {
    /// The spec was queued, and is now blocked.
    Now,
    /// The spec was blocked before.
    Before,
    /// The spec is running. It becomes blocked when its worker has ended the command.
    Ending,
    /// The spec had already ended, with this status.
    EndedBefore(SpecStatus),
}

/// The result of the cleanup of an ended spec.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cleaned {
    /// The spec.
    pub id: SpecId,
    /// Refs that keep work that no branch contains.
    pub kept: Vec<String>,
    /// Whether the spec's worktree was removed.
    pub worktree: bool,
    /// Whether the spec's branch was deleted.
    pub branch: bool,
    /// Whether a base has the changes of a completed spec.
    #[serde(default)]
    pub merged: bool,
}

/// Which specs [`Queue::list`] returns.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Filter {
    /// Lists only specs with these ids; empty: specs with any id.
    pub ids: Vec<SpecId>,
    /// Lists only specs with this status; `None`: specs with any status.
    pub status: Option<SpecStatus>,
    /// Whether to list all specs, the newest first. Has no effect together with `ids` or `status`. If none of
    /// the three is set, the default listing contains the running specs, queued specs and the specs that
    /// ended last.
    pub all: bool,
    /// The largest number of specs to list with `status` or `all`. In the default listing: the largest number
    /// of queued specs. 0: the default, 50.
    pub limit: u32,
    /// How many specs to skip. Has an effect only with `status` or `all`.
    pub offset: u32,
    /// Whether to list the tries of each task.
    pub history: bool,
    /// Whether to list the specs that need the user: the unmerged, blocked, quarantined and failed ones, those
    /// whose agents changed no file, and those whose branch is to be reviewed. At most `limit` of each kind. Has no effect together
    /// with `ids`, `status` or `all`.
    pub attention: bool,
    /// With the status `queued`: lists only specs whose id or title contains this text, of the first [`SEARCHED`] queued
    /// ones; empty: all.
    pub matching: String,
}

/// How many queued specs a search looks at.
pub(crate) const SEARCHED: u32 = 10_000;

/// The specs that a filter selects.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Listing {
    /// The selected specs. In the default listing: running specs, then queued specs in queue order, then
    /// ended specs, the latest first.
    pub specs: Vec<SpecView>,
    /// Whether there are more specs than are listed; always `false` for a filter with `ids`.
    pub more: bool,
}

/// A change of a repository's configuration that blocks deliveries until the user has settled it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BlockingChange {
    /// The number of the record; a later change has a larger number.
    pub number: i64,
    /// The spec whose command ran while the repository changed.
    pub spec: SpecId,
    /// The git directory of the repository.
    pub repository: String,
    /// The change.
    pub change: RepositoryChange,
}

/// Which comparison found changes of a repository. The changes of one comparison are recorded only once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChangesFoundBy {
    /// The comparison after the command with this number.
    Command(u32),
    /// The comparison of the accepted candidate, after the command with this number.
    Candidate(u32),
    /// The checkout of the worktree, after the command with this number.
    Checkout(u32),
}

/// The queue. A call blocks until its changes are durable, so async code must call it on a thread that may
/// block.
pub(crate) trait Queue: Review + Landers + Repositories + Send + Sync {
    /// Renews the lease under which this machine owns its claims; fails when the lease is lost.
    fn renew_lease(&self) -> Result<Lease, QueueError>;

    /// Queues `specs`, all or none, and returns their ids in the same order. Gives no spec an id in `taken`:
    /// a repository already has a branch or a kept ref for each of these ids.
    fn enqueue(&self, specs: Vec<Spec>, taken: HashSet<SpecId>, now: Timestamp) -> Result<Vec<SpecId>, QueueError>;

    /// Returns the lanes that have an eligible spec; `None` is the lane of the specs whose next command is
    /// not an agent. With a `scope`, considers only the specs in the scope and the specs that they wait for.
    fn lanes(&self, scope: Option<&[SpecId]>) -> Result<Vec<Option<String>>, QueueError>;

    /// Returns the first eligible specs of each lane in `limits`, in queue order (by priority, then by
    /// arrival).
    fn eligible(&self, limits: &[LaneLimit], scope: Option<&[SpecId]>) -> Result<Vec<Eligible>, QueueError>;

    /// Claims those of `specs` that are still eligible in the same lane, in one transaction. When this
    /// returns, each claimed spec is running with `config`, and this machine is its owner. A spec with a
    /// record that cannot be read is quarantined instead of claimed. Also records the start of the first
    /// `starting` claimed specs.
    fn claim(
        &self,
        specs: &[Eligible],
        config: &WorkerConfig,
        starting: usize,
        now: Timestamp,
    ) -> Result<Vec<Claimed>, QueueError>;

    /// Returns up to `count` eligible specs of all lanes, in queue order.
    #[cfg(test)]
    fn eligible_first(&self, count: u32, scope: Option<&[SpecId]>) -> Result<Vec<Eligible>, QueueError> {
        let limits: Vec<LaneLimit> = self
            .lanes(scope)?
            .into_iter()
            .map(|lane| LaneLimit { lane, limit: count, first: None, instead: None, skipped: vec![] })
            .collect();
        let mut specs = self.eligible(&limits, scope)?;
        specs.sort_by_key(|spec| (spec.priority, spec.seq));
        specs.truncate(count as usize);
        Ok(specs)
    }

    /// Claims up to `count` eligible specs of all lanes, in queue order.
    #[cfg(test)]
    fn claim_first(
        &self,
        count: u32,
        scope: Option<&[SpecId]>,
        config: &WorkerConfig,
        now: Timestamp,
    ) -> Result<Vec<Claimed>, QueueError> {
        self.claim(&self.eligible_first(count, scope)?, config, 0, now)
    }

    /// Returns the landing queues whose lander may start now, at most `per_repository` landers of a repository at a time.
    /// With a `scope`, considers only the specs in it.
    fn startable_landers(
        &self,
        per_repository: u32,
        scope: Option<&[SpecId]>,
        now: Timestamp,
    ) -> Result<Vec<Group>, QueueError>;

    /// Starts the landers of these landing queues. Each is running when this returns.
    fn start_landers(
        &self,
        groups: &[Group],
        config: &WorkerConfig,
        now: Timestamp,
    ) -> Result<Vec<Claimed>, QueueError>;

    /// Returns the specs in the landing queue of a running lander, in queue order.
    fn waiting_to_land(&self, lander: &Fence) -> Result<Vec<Waiting>, QueueError>;

    /// Puts an ended spec with a branch into the landing queue of its base. Refuses a spec that did not complete unless
    /// `force` is set. Does nothing if the spec waits there already, or is merged.
    fn request_landing(&self, spec: &SpecId, force: bool, now: Timestamp) -> Result<(), QueueError>;

    /// Returns the completed specs with a branch that is not landed and does not wait to be.
    fn landable(&self) -> Result<Vec<SpecId>, QueueError>;

    /// Returns the held lanes, each with its hold.
    fn holds(&self) -> Result<Vec<(String, Hold)>, QueueError>;

    /// Stores the hold of a lane; `None`: removes it.
    fn set_hold(&self, lane: &str, hold: Option<Hold>, now: Timestamp) -> Result<(), QueueError>;

    /// Records that a worker of the attempt is started. The limit on starts per tick interval counts these
    /// records, also those of an earlier daemon.
    fn record_start(&self, fence: &Fence, now: Timestamp) -> Result<(), QueueError>;

    /// Records the attempt's new `position` and `changes` in one transaction.
    fn record(
        &self,
        fence: &Fence,
        position: &Position,
        changes: Vec<RecordChange>,
        now: Timestamp,
    ) -> Result<(), QueueError>;

    /// Returns a running spec to the queue; the next claim continues the same attempt. A spec with the intent
    /// to cancel is canceled instead. Fails with [`Refusal::CommandMayRun`] if the position in `back` has a
    /// running command, because no daemon watches the commands of queued specs.
    fn give_back(&self, fence: &Fence, back: GiveBack, now: Timestamp) -> Result<(), QueueError>;

    /// Ends a spec. Unless the spec completed, also fails the specs that wait for it, directly or indirectly,
    /// and returns their ids.
    fn finish(&self, fence: &Fence, ending: &Ending, now: Timestamp) -> Result<Vec<SpecId>, QueueError> {
        self.finish_with(fence, ending, vec![], None, now)
    }

    /// Records what [`Queue::record_kept`] records, and ends the spec, in one transaction.
    fn finish_with(
        &self,
        fence: &Fence,
        ending: &Ending,
        kept: Vec<String>,
        place: Option<WorktreePlace>,
        now: Timestamp,
    ) -> Result<Vec<SpecId>, QueueError>;

    /// Cancels a queued spec. For a running spec, records the intent to cancel, which the spec's worker
    /// carries out.
    fn cancel(&self, spec: &SpecId, now: Timestamp) -> Result<Canceled, QueueError>;

    /// Blocks a queued spec until the user retries it; records the intent to block a running one.
    fn stop(&self, spec: &SpecId, now: Timestamp) -> Result<Stopped, QueueError>;

    /// Sets the priority of a queued spec.
    fn set_priority(&self, spec: &SpecId, priority: i64) -> Result<(), QueueError>;

    /// Returns the specs equal to `spec` that have not ended, among those that were queued last.
    fn twins(&self, spec: &Spec) -> Result<Vec<SpecId>, QueueError>;

    /// Records the intent to stop a running attempt. A later claim continues the attempt.
    fn request_stop(&self, fence: &Fence) -> Result<(), QueueError>;

    /// Queues a failed, canceled or unmerged spec again, and the specs that failed because of it. Returns the
    /// ids of all specs that this queued. `max_usd` is a new limit on the cost of the spec's agents, which
    /// applies from now on; 0: no limit.
    fn retry(&self, spec: &SpecId, max_usd: Option<Usd>, now: Timestamp) -> Result<Vec<SpecId>, QueueError>;

    /// Returns the end and the known cost of each run of an agent that ended after `since`.
    fn runs_since(&self, since: Timestamp) -> Result<Vec<(Timestamp, Usd)>, QueueError>;

    /// Returns for each agent the usage of its runs that ended after `since`.
    fn usage_since(&self, since: Timestamp) -> Result<Vec<(String, Usage)>, QueueError>;

    /// Ends the block of each spec that `max_usd_per_spec` blocks and whose agents cost less than the given
    /// `max_usd_per_spec`; 0: no limit. Returns these specs.
    fn end_budget_blocks(&self, max_usd_per_spec: Usd, now: Timestamp) -> Result<Vec<SpecId>, QueueError>;

    /// Makes each delayed spec eligible whose delay has ended. Returns when the next delay ends; `None`: no
    /// spec is delayed.
    fn promote(&self, now: Timestamp) -> Result<Option<Timestamp>, QueueError>;

    /// Returns the running specs and landers that this machine owns.
    fn running(&self) -> Result<RunningSpecs, QueueError>;

    /// Returns all specs with a record that this version cannot read.
    fn quarantined(&self) -> Result<Vec<Quarantined>, QueueError>;

    /// Returns `ids` and the ids of all specs that they wait for, directly or indirectly.
    fn scope(&self, ids: &[SpecId]) -> Result<Vec<SpecId>, QueueError>;

    /// Returns the times at which this machine started workers, from `since` on.
    fn starts_since(&self, since: Timestamp) -> Result<Vec<Timestamp>, QueueError>;

    /// Returns whether claiming is paused.
    fn is_paused(&self) -> Result<bool, QueueError>;

    /// Pauses or resumes claiming.
    fn set_paused(&self, paused: bool) -> Result<(), QueueError>;

    /// Records the refs under which boi saved commits of the attempt and, if `place` is given, the worktree's new path.
    fn record_kept(&self, fence: &Fence, kept: Vec<String>, place: Option<WorktreePlace>) -> Result<(), QueueError>;

    /// Records changes of the repository of an attempt.
    fn record_changes(
        &self,
        fence: &Fence,
        found_by: ChangesFoundBy,
        repository: &str,
        changes: Vec<RepositoryChange>,
    ) -> Result<(), QueueError>;

    /// Returns the changes that block deliveries, oldest first.
    fn blocking_changes(&self) -> Result<Vec<BlockingChange>, QueueError>;

    /// Records that the changes with these numbers are settled, so that they no longer block deliveries.
    fn settle_changes(&self, numbers: Vec<i64>) -> Result<(), QueueError>;

    /// Records what the cleanup of an ended spec removed, and the refs that it created.
    fn record_cleaned(&self, cleaned: &Cleaned, now: Timestamp) -> Result<(), QueueError>;

    /// Returns the completed specs with a branch that is not recorded as merged: those of `specs`, or all.
    fn unlanded(&self, specs: Option<&[SpecId]>) -> Result<Vec<Unlanded>, QueueError>;

    /// Records the results of looks at completed specs. A spec whose branch the user merged becomes merged,
    /// and other specs no longer wait for this merge. If a spec was retried or merged after the look, nothing
    /// changes.
    fn record_looks(&self, looks: Vec<Look>, now: Timestamp) -> Result<(), QueueError>;

    /// Returns a page of the specs of that age that nothing in the queue still needs, the latest end first;
    /// the page begins after the place `after`.
    fn expired(&self, age: Age, after: Option<Place>) -> Result<ExpiredPage, QueueError>;

    /// Returns those of `specs` that [`Queue::expired`] would return now.
    fn still_expired(&self, specs: &[SpecId], age: Age) -> Result<Vec<SpecId>, QueueError>;

    /// Removes every record of those of `specs` that [`Queue::expired`] would return now, in one transaction,
    /// and returns these specs. The runs that ended after [`Age::runs_since`] still count.
    fn remove_expired(&self, specs: &[SpecId], age: Age) -> Result<Vec<SpecId>, QueueError>;

    /// Returns the specs that ended at `since` or later, the last ones first and at most `limit`, and what else a
    /// report about that time needs.
    fn recent(&self, since: Timestamp, limit: u32) -> Result<Recent, QueueError>;

    /// Returns when a spec ended last; `None`: none has ended.
    fn last_end(&self) -> Result<Option<Timestamp>, QueueError>;

    /// Returns what the queue records about repositories, worktrees and rows that cannot be read.
    fn survey(&self) -> Result<Survey, QueueError>;

    /// Returns those of `specs` that the queue has, each with its status, the newest first. A lander counts as running.
    fn statuses(&self, specs: &[SpecId]) -> Result<Vec<(SpecId, SpecStatus)>, QueueError>;

    /// Returns the specs that have not ended and that wait for `spec` or start from its branch.
    fn waiting_for(&self, spec: &SpecId) -> Result<Vec<SpecId>, QueueError>;

    /// Returns the spec as it was dispatched, with the task that boi added if it was sent back to its agent.
    fn spec(&self, spec: &SpecId) -> Result<Spec, QueueError>;

    /// Returns the commands that the attempts of a spec have begun, oldest first.
    fn commands(&self, spec: &SpecId) -> Result<Vec<CommandRow>, QueueError>;

    /// Returns the specs that `filter` selects.
    fn list(&self, filter: &Filter) -> Result<Listing, QueueError>;

    /// Returns the number of specs with each status.
    fn counts(&self) -> Result<Counts, QueueError>;

    /// Returns up to `limit` events after the cursor `after` that `filter` wants. A page looks at a bounded
    /// number of events, so it may be empty although it is not the last one.
    fn events(&self, after: Cursor, filter: &EventFilter, limit: u32) -> Result<EventPage, QueueError>;

    /// Returns the last `count` events that `filter` wants, in the order of the stream. Looks back over a
    /// bounded number of events.
    fn last_events(&self, filter: &EventFilter, count: u32) -> Result<EventPage, QueueError>;

    /// Returns the cursor of the last event.
    fn last_cursor(&self) -> Result<Cursor, QueueError>;

    /// Returns the cursor after which the events from `time` on begin.
    fn cursor_at(&self, time: Timestamp) -> Result<Cursor, QueueError>;

    /// Appends an event that belongs to no other change of the queue.
    fn record_event(&self, what: Happening, now: Timestamp) -> Result<(), QueueError>;

    /// Returns whether no spec runs, is eligible or waits for a time, and no event `queue.idle` has said so
    /// since the last event about a spec.
    fn is_newly_idle(&self) -> Result<bool, QueueError>;

    /// Appends the event `queue.idle` if [`Queue::is_newly_idle`] holds; returns whether it holds.
    fn record_idle(&self, now: Timestamp) -> Result<bool, QueueError>;

    /// Removes a bounded number of the events that happened at `by` or earlier, the oldest first. Counts for
    /// each hook how many of them it has not got.
    fn remove_events(&self, by: Timestamp) -> Result<RemovedEvents, QueueError>;

    /// Returns a receiver of the cursor of the last event that this process has appended.
    fn committed(&self) -> watch::Receiver<Cursor>;

    /// Returns a number that changes when another process or another thread has changed the queue.
    fn version(&self) -> Result<i64, QueueError>;

    /// Returns the progress of each hook.
    fn hooks(&self) -> Result<Vec<HookState>, QueueError>;

    /// Makes these the hooks of the queue, each with the kinds of events that it gets. A new one gets the
    /// events from now on; the progress of the others is kept. Returns the progress of each hook.
    fn set_hooks(&self, hooks: Vec<(String, Vec<EventKind>)>) -> Result<Vec<HookState>, QueueError>;

    /// Records the progress of a hook. Returns `false`, and records nothing, if events that the hook has not
    /// got were removed meanwhile. Like a claim, the record can be undone by a power cut.
    fn record_hook(&self, state: &HookState) -> Result<bool, QueueError>;

    /// Frees memory that only makes the next verbs faster. Changes nothing in the queue.
    fn release_memory(&self);

    /// Writes dummy data, to test whether the queue can be written.
    fn probe_write(&self, now: Timestamp) -> Result<(), QueueError>;
}
