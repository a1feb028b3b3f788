//! Collects the state that `boi status` shows, with and without a daemon.

use std::path::Path;
use std::sync::Arc;

use super::admission;
use super::error::CallError;
use super::handle::{Handle, SILENT};
use super::lanes::LaneState;
use crate::decide::hold::{self, Gate};
use crate::decide::hook::{Failing, HookState};
use crate::decide::{budget, reason};
use crate::domain::cause::Cause;
use crate::domain::hold::Hold;
use crate::domain::life::SpecStatus;
use crate::domain::money::Usd;
use crate::domain::outcome::Delivery;
use crate::domain::view::{
    BuildsView, ConfigView, Counts, DaemonView, FailingHookView, HoldView, HookView, PaceView, SlotsView, SpecView,
    SpendingView, StatusView, StoreView,
};
use crate::queue::{Filter, Queue, QueueError, open};
use crate::system::{blocking, clock};

impl Handle {
    /// Returns the state of the daemon and its queue, with the specs that `filter` selects.
    pub(crate) async fn status(&self, filter: Filter) -> Result<StatusView, CallError> {
        let (daemon, config) = (self.shared.daemon_view(), self.shared.config());
        let slots = SlotsView { max_workers: self.hot.load().config.max_workers, running: self.shared.running() };
        let trouble = self.shared.health.trouble();
        let everything = filter.ids.is_empty();
        let (known_daemon, known_config) = (daemon.clone(), config.clone());
        let verb = move |queue: &dyn Queue| read(queue, &filter, Some(daemon), config, slots);
        let mut status = if everything {
            // If the queue does not answer, a request for all specs returns what the daemon itself knows, and
            // why the specs are missing.
            let status = self.unless_silent(SILENT, |handle| async move { Ok(handle.queue(verb).await?) }).await;
            status.unwrap_or_else(|error| StatusView {
                store: broken_queue(&error),
                ..empty(Some(known_daemon), known_config, slots)
            })
        } else {
            self.queue(verb).await?
        };
        self.shared.hooks.complete(&mut status.hooks);
        let limit = self.shared.budgets.limits().per_day;
        status.spending.max_usd_per_day = Some(limit).filter(|limit| *limit > Usd::ZERO);
        let used_up = self.shared.day_budget(clock::now());
        status.spending.used_up_until = used_up.map(|used_up| used_up.until);
        for spec in status.specs.iter_mut().filter(|spec| waits_for_an_agent(spec)) {
            spec.cause = used_up.map(Cause::DayBudget);
        }
        for spec in status.specs.iter_mut().filter(|spec| spec.status == SpecStatus::Running) {
            let slots = &self.shared.build_slots;
            let line = || slots.before(&spec.id).map(|before| Cause::WaitsForBuildSlot { before });
            spec.cause = self.shared.cause(&spec.id).or_else(line).or(spec.cause.take());
            spec.git = self.shared.running_git(&spec.id);
        }
        status.builds = self.shared.build_slots.view();
        status.deferred = self.shared.admissions.deferral();
        if let Some(deferral) = &status.deferred {
            for spec in status.specs.iter_mut().filter(|spec| waits_for_the_machine(spec)) {
                spec.cause = admission::cause_of(deferral, spec.repo.as_deref());
            }
        }
        for LaneState { agent, hold, rate } in self.shared.lanes.states() {
            status.holds.extend(hold.map(|hold| hold_view(&agent, &hold)));
            status.paces.extend(rate.map(|starts_per_tick| PaceView { agent, starts_per_tick }));
        }
        if let Err(error) = self.check_silence(SILENT) {
            status.store = broken_queue(&error);
        } else if let Some(reason) = trouble {
            status.store = StoreView { ok: false, reason: Some(reason), ..StoreView::default() };
        }
        let place = Arc::clone(&self.place);
        // If the queue does not answer, an access to its disk may block too.
        if status.store.unanswered_seconds.is_none()
            && let Ok(bytes) = blocking::run(move || open::log_size(Path::new(&*place))).await
        {
            status.store.wal_bytes = bytes;
        }
        Ok(with_reasons(status))
    }
}

impl Handle {
    /// Returns the held agents.
    pub(super) fn holds(&self) -> Vec<HoldView> {
        let held = self.shared.lanes.states().into_iter();
        held.filter_map(|LaneState { agent, hold, .. }| Some(hold_view(&agent, &hold?))).collect()
    }
}

/// Returns the state that `boi status` shows while no daemon runs.
pub(crate) fn without_daemon(
    queue: &dyn Queue,
    filter: &Filter,
    config: ConfigView,
    max_workers: u32,
) -> Result<StatusView, QueueError> {
    let running = u32::try_from(queue.counts()?.running).unwrap_or(u32::MAX);
    let mut status = read(queue, filter, None, config, SlotsView { max_workers, running })?;
    let now = clock::now();
    let held = queue.holds()?.into_iter().filter(|(_, held)| hold::gate(Some(held), now) != Gate::Open);
    status.holds = held.map(|(agent, held)| hold_view(&agent, &held)).collect();
    for quarantined in queue.quarantined()? {
        if let Some(spec) = status.specs.iter_mut().find(|spec| spec.id == quarantined.fence.spec) {
            spec.cause = Some(Cause::Quarantined { detail: quarantined.detail });
        }
    }
    Ok(with_reasons(status))
}

/// Returns the state of a home whose queue has no specs, does not exist yet, or cannot be read.
pub(crate) fn empty(daemon: Option<DaemonView>, config: ConfigView, slots: SlotsView) -> StatusView {
    StatusView {
        daemon,
        config,
        slots,
        paused: false,
        deferred: None,
        builds: BuildsView::default(),
        holds: Vec::new(),
        paces: Vec::new(),
        spending: SpendingView::default(),
        hooks: Vec::new(),
        landers: Vec::new(),
        counts: Counts::default(),
        specs: Vec::new(),
        more: false,
        store: StoreView::default(),
    }
}

fn read(
    queue: &dyn Queue,
    filter: &Filter,
    daemon: Option<DaemonView>,
    config: ConfigView,
    slots: SlotsView,
) -> Result<StatusView, QueueError> {
    let listing = queue.list(filter)?;
    let day_ago = clock::now().plus_millis(-budget::DAY_MILLIS);
    Ok(StatusView {
        spending: SpendingView::of(queue.usage_since(day_ago)?),
        hooks: queue.hooks()?.into_iter().map(hook_view).collect(),
        paused: queue.is_paused()?,
        landers: queue.landers()?,
        counts: queue.counts()?,
        specs: listing.specs,
        more: listing.more,
        ..empty(daemon, config, slots)
    })
}

fn hook_view(state: HookState) -> HookView {
    let HookState { name, cursor, failing, skipped, overtaken, .. } = state;
    let failing = failing.map(|Failing { event, kind, since, tries, next, error }| FailingHookView {
        event,
        kind,
        since,
        tries,
        next,
        error,
    });
    HookView { name, cursor, failing, behind_since: None, skipped, overtaken }
}

fn hold_view(agent: &str, hold: &Hold) -> HoldView {
    HoldView {
        agent: agent.to_owned(),
        reason: reason::hold_reason(agent, hold),
        until: hold.until,
        cause: hold.cause.as_str().to_owned(),
        since: Some(hold.since),
        evidence: hold.evidence.clone(),
        probe: hold.probe.clone(),
    }
}

/// Sets the `reason` of each spec to its cause in words. If a spec has no cause and its next agent is held,
/// the reason says that the spec waits for this agent.
fn with_reasons(mut status: StatusView) -> StatusView {
    for spec in &mut status.specs {
        let held = spec.next_agent.as_ref().filter(|agent| status.holds.iter().any(|hold| hold.agent == **agent));
        spec.reason = match (&spec.cause, held) {
            (Some(cause), _) => Some(reason::reason(cause, &spec.id)),
            (None, Some(agent)) => Some(format!("waits for the agent {agent}, which is held")),
            (None, None) => None,
        };
    }
    status
}

/// Returns whether a queued spec waits for nothing except the start of its next agent.
fn waits_for_an_agent(spec: &SpecView) -> bool {
    spec.next_agent.is_some() && matches!(spec.cause, None | Some(Cause::DayBudget(_)))
}

/// Returns whether a spec waits for nothing except its start or that of its lander.
fn waits_for_the_machine(spec: &SpecView) -> bool {
    let waits = spec.status == SpecStatus::Queued || spec.delivery == Some(Delivery::Waiting);
    waits && spec.cause.is_none()
}

fn broken_queue(error: &CallError) -> StoreView {
    let unanswered_seconds = match error {
        CallError::QueueSilent { silent_for, .. } => Some(silent_for.as_secs()),
        _ => None,
    };
    StoreView { ok: false, reason: Some(error.to_string()), unanswered_seconds, wal_bytes: 0 }
}
