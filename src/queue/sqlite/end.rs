//! The verbs that end specs, record requests to end them, and queue ended specs again, together with the specs that
//! wait for them.

use rusqlite::{Connection, OptionalExtension, named_params, params};

use super::rows::{CURRENT_ATTEMPT, check_fence, dependency_state, encode};
use super::{events, landings, lanes, read};
use crate::decide::lane;
use crate::domain::cause::Cause;
use crate::domain::event::{Blocked, Completed, Empty, Failed, Happening, Merged, NotMerged, Queued, QueuedBy};
use crate::domain::id::SpecId;
use crate::domain::life::{Block, Intent, OnCancel, OnStop, SpecStatus};
use crate::domain::money::Usd;
use crate::domain::outcome::{Delivery, MergedBy};
use crate::domain::position::{Delivered, Ending};
use crate::domain::time::Timestamp;
use crate::queue::{Canceled, Fence, QueueError, Refusal, Stopped};

pub(super) const RELEASE_DEPENDENTS: &str =
    // Counted again and not decremented: a spec that is landed on request releases its dependents twice.
    "UPDATE specs SET open_deps = (SELECT count(*) FROM deps d JOIN specs s ON s.id = d.needs WHERE d.spec = specs.id
            AND NOT (s.status = 'completed' AND (NOT s.merges OR coalesce(s.delivery, '') = 'merged')))
      WHERE id IN (SELECT spec FROM deps WHERE needs = ?)";
pub(super) const FAIL_DEPENDENTS: &str =
    "UPDATE specs SET status = 'failed', cause = :cause, failed_by = :first, finished_at = :now,
            quarantine = NULL, blocked = NULL
      WHERE +status = 'queued' AND +open_deps > 0 AND id IN (SELECT spec FROM deps WHERE needs = :first) RETURNING id";

pub(super) fn finish(
    c: &Connection,
    fence: &Fence,
    ending: &Ending,
    now: Timestamp,
) -> Result<Vec<SpecId>, QueueError> {
    if fence.spec.is_lander() {
        return landings::finish(c, fence, now).map(|()| vec![]);
    }
    check_fence(c, fence)?;
    c.prepare_cached("UPDATE attempts SET ended_at = ?, intent = NULL WHERE spec = ? AND number = ?")?
        .execute(params![now.0, fence.spec.as_str(), fence.attempt])?;
    let (status, cause, delivery) = match ending {
        Ending::Completed(delivered) => {
            let cause = match delivered {
                Delivered::Unmerged(why) => Some(Cause::Unmerged { why: why.clone() }),
                Delivered::Nothing | Delivered::Waiting | Delivered::Branch | Delivered::Merged => None,
            };
            (SpecStatus::Completed, cause, delivered.delivery())
        }
        Ending::Failed(cause) => (SpecStatus::Failed, Some(cause.clone()), None),
        Ending::Canceled => (SpecStatus::Canceled, Some(Cause::Canceled), None),
    };
    let id = &fence.spec;
    let merges: bool = c
        .prepare_cached(
            "UPDATE specs SET status = :status, cause = :cause, delivery = :delivery, finished_at = :now, setbacks = 0
              WHERE id = :id RETURNING merges",
        )?
        .query_row(
            named_params! {
                ":status": status.as_str(), ":cause": encode_cause(cause.as_ref())?,
                ":delivery": delivery.map(Delivery::as_str), ":now": now.0, ":id": id.as_str(),
            },
            |row| row.get(0),
        )?;
    for event in ended(ending) {
        events::of_attempt(c, id, fence.attempt, &event, now)?;
    }
    skip_open_tasks(c, id)?;
    if delivery == Some(Delivery::Waiting) {
        landings::join(c, id, now)?;
    }
    if status == SpecStatus::Completed {
        if !merges || delivery == Some(Delivery::Merged) {
            c.prepare_cached(RELEASE_DEPENDENTS)?.execute([id.as_str()])?;
        }
        return Ok(Vec::new());
    }
    fail_dependents(c, id, status, now)
}

/// Returns the events of a spec that ended like this.
fn ended(ending: &Ending) -> Vec<Happening> {
    match ending {
        Ending::Completed(delivered) => {
            let completed = Happening::SpecCompleted(Completed { delivery: delivered.delivery() });
            let delivery = match delivered {
                Delivered::Merged => Some(Happening::SpecMerged(Merged { by: MergedBy::Boi })),
                Delivered::Unmerged(why) => Some(Happening::SpecUnmerged(NotMerged { why: why.clone() })),
                Delivered::Nothing | Delivered::Waiting | Delivered::Branch => None,
            };
            [completed].into_iter().chain(delivery).collect()
        }
        Ending::Failed(cause) => vec![Happening::SpecFailed(Failed { cause: cause.clone() })],
        Ending::Canceled => vec![Happening::SpecCanceled(Empty {})],
    }
}

/// Fails the specs that wait for `root`, directly or indirectly. The cause of each one names the dependency that ended.
pub(super) fn fail_dependents(
    c: &Connection,
    root: &SpecId,
    status: SpecStatus,
    now: Timestamp,
) -> Result<Vec<SpecId>, QueueError> {
    let mut failed = Vec::new();
    let mut ended = vec![(root.clone(), status)];
    while let Some((first, status)) = ended.pop() {
        let cause = Cause::DependencyEnded { spec: first.clone(), status };
        let dependents: Vec<String> = c
            .prepare_cached(FAIL_DEPENDENTS)?
            .query_map(
                named_params! {":cause": encode_cause(Some(&cause))?, ":first": first.as_str(), ":now": now.0},
                |row| row.get(0),
            )?
            .collect::<Result<_, _>>()?;
        for id in dependents {
            let id = read::id(&id)?;
            skip_open_tasks(c, &id)?;
            events::of_spec(c, &id, &Happening::SpecFailed(Failed { cause: cause.clone() }), now)?;
            ended.push((id.clone(), SpecStatus::Failed));
            failed.push(id);
        }
    }
    Ok(failed)
}

pub(super) fn skip_open_tasks(c: &Connection, id: &SpecId) -> Result<(), QueueError> {
    c.prepare_cached("UPDATE tasks SET status = 'skipped' WHERE spec = ? AND status NOT IN ('done', 'failed')")?
        .execute([id.as_str()])?;
    Ok(())
}

pub(super) fn cancel(c: &Connection, id: &SpecId, now: Timestamp) -> Result<Canceled, QueueError> {
    let status = match dependency_state(c, id) {
        Ok((status, _)) => status,
        // The status of the spec cannot be read, so one of its commands may be running. The spec is canceled
        // like a running spec.
        Err(QueueError::Unreadable { .. }) => {
            c.prepare_cached("UPDATE specs SET status = 'running' WHERE id = ?")?.execute([id.as_str()])?;
            SpecStatus::Running
        }
        Err(error) => return Err(error),
    };
    match status.on_cancel() {
        OnCancel::CancelNow => {
            c.prepare_cached(
                "UPDATE specs SET status = 'canceled', cause = ?, finished_at = ?, not_before = NULL, resumes = 0,
                        quarantine = NULL, blocked = NULL WHERE id = ?",
            )?
            .execute(params![encode_cause(Some(&Cause::Canceled))?, now.0, id.as_str()])?;
            events::of_spec(c, id, &Happening::SpecCanceled(Empty {}), now)?;
            skip_open_tasks(c, id)?;
            fail_dependents(c, id, SpecStatus::Canceled, now)?;
            Ok(Canceled::Now)
        }
        OnCancel::RecordIntent => {
            // The row must contain an attempt number that a fence can have. Otherwise the end could never be
            // recorded.
            c.prepare_cached(&format!("UPDATE specs SET attempt = {CURRENT_ATTEMPT} WHERE id = ?"))?
                .execute([id.as_str()])?;
            record_intent(c, id, Intent::Cancel)?;
            Ok(Canceled::Ending)
        }
        OnCancel::Nothing => Ok(Canceled::EndedBefore(status)),
    }
}

pub(super) fn request_stop(c: &Connection, fence: &Fence) -> Result<(), QueueError> {
    check_fence(c, fence)?;
    record_intent(c, &fence.spec, Intent::Stop)
}

/// Stops a spec: blocks a queued one, records the intent to block a running one.
pub(super) fn stop(c: &Connection, id: &SpecId, now: Timestamp) -> Result<Stopped, QueueError> {
    let (status, _) = dependency_state(c, id)?;
    match status.on_stop() {
        OnStop::BlockNow => {
            let cause = Cause::Blocked { by: Block::Stopped };
            let changed = c
                .prepare_cached(
                    "UPDATE specs SET blocked = :blocked, cause = :cause, not_before = NULL
                      WHERE id = :id AND blocked IS NOT :blocked",
                )?
                .execute(named_params! {
                    ":blocked": Block::Stopped.as_str(), ":cause": encode(&cause)?, ":id": id.as_str(),
                })?;
            if changed == 0 {
                return Ok(Stopped::Before);
            }
            events::of_spec(c, id, &Happening::SpecBlocked(Blocked { cause }), now)?;
            Ok(Stopped::Now)
        }
        OnStop::RecordIntent => {
            record_intent(c, id, Intent::Block)?;
            Ok(Stopped::Ending)
        }
        OnStop::Nothing => Ok(Stopped::EndedBefore(status)),
    }
}

/// Makes a blocked spec eligible again. Returns whether the spec was blocked. Fails if the budget of the spec
/// is used up and the request sets no higher limit.
pub(super) fn unblock(c: &Connection, id: &SpecId, max_usd: Option<Usd>, now: Timestamp) -> Result<bool, QueueError> {
    let blocked = "id = ? AND status = 'queued' AND blocked IS NOT NULL";
    let cause: Option<Option<String>> = c
        .prepare_cached(&format!("SELECT cause FROM specs WHERE {blocked}"))?
        .query_row([id.as_str()], |row| row.get(0))
        .optional()?;
    let Some(cause) = cause else { return Ok(false) };
    if let Some(Ok(Cause::Blocked { by: Block::Budget(used_up) })) = cause.map(|text| serde_json::from_str(&text))
        && max_usd.is_none()
    {
        return Err(Refusal::BudgetUsedUp { spec: id.clone(), used_up }.into());
    }
    c.prepare_cached(&format!("UPDATE specs SET blocked = NULL, cause = NULL WHERE {blocked}"))?
        .execute([id.as_str()])?;
    requeued(c, id, QueuedBy::Retry, now)?;
    Ok(true)
}

/// Sets a new limit on the cost of a spec's agents. Fails if they have already cost that much.
pub(super) fn set_max_usd(c: &Connection, id: &SpecId, limit: Usd) -> Result<(), QueueError> {
    let spent: f64 = c
        .prepare_cached("UPDATE specs SET max_usd = ? WHERE id = ? RETURNING cost_usd")?
        .query_row(params![limit.dollars(), id.as_str()], |row| row.get(0))?;
    let spent = read::usd(spent);
    match limit > Usd::ZERO && spent >= limit {
        true => Err(Refusal::LimitTooLow { spec: id.clone(), limit, spent }.into()),
        false => Ok(()),
    }
}

/// Records the user's request for the current attempt. A recorded cancel is never replaced, and a stop of the
/// daemon does not replace a stop of the spec. If the attempt has no record, an empty one is added to hold
/// the request; the spec stays quarantined until the request is carried out.
fn record_intent(c: &Connection, id: &SpecId, intent: Intent) -> Result<(), QueueError> {
    c.prepare_cached(
        "INSERT INTO attempts (spec, number, config, generation, position, claimed_at, intent)
             SELECT id, attempt, '', 0, '', 0, :intent FROM specs WHERE id = :id
             ON CONFLICT (spec, number) DO UPDATE SET intent = excluded.intent
                 WHERE intent IS NOT 'cancel' AND NOT (intent IS 'block' AND excluded.intent = 'stop')",
    )?
    .execute(named_params! {":intent": intent.as_str(), ":id": id.as_str()})?;
    Ok(())
}

pub(super) fn retry(
    c: &Connection,
    id: &SpecId,
    max_usd: Option<Usd>,
    now: Timestamp,
) -> Result<Vec<SpecId>, QueueError> {
    let (status, delivered) = dependency_state(c, id)?;
    if let Some(limit) = max_usd {
        set_max_usd(c, id, limit)?;
    }
    if unblock(c, id, max_usd, now)? {
        return Ok(vec![id.clone()]);
    }
    if let Some(queued) = land_again(c, id, now)? {
        return Ok(queued);
    }
    if landings::is_under_way(c, id)? {
        return Err(Refusal::WaitsToLand { spec: id.clone() }.into());
    }
    if !status.is_retryable(delivered) {
        return Err(Refusal::NothingToRetry { spec: id.clone(), status }.into());
    }
    refuse_blocked_by_dependency(c, id)?;
    requeue_with_dependents(c, id, now)
}

/// Fails if a spec waits for one that ended without completing.
pub(super) fn refuse_blocked_by_dependency(c: &Connection, id: &SpecId) -> Result<(), QueueError> {
    match blocker(c, id)? {
        None => Ok(()),
        Some((blocker, SpecStatus::Dropped)) => {
            Err(Refusal::WaitsForDropped { spec: id.clone(), dropped: blocker }.into())
        }
        Some((blocker, _)) => Err(Refusal::WaitsForIncomplete { spec: id.clone(), blocker }.into()),
    }
}

/// Queues a spec again, and the specs that failed because of it. Returns all of them.
pub(super) fn requeue_with_dependents(c: &Connection, id: &SpecId, now: Timestamp) -> Result<Vec<SpecId>, QueueError> {
    let mut queued = Vec::new();
    let mut next = vec![id.clone()];
    while let Some(id) = next.pop() {
        if let Some((blocker, status)) = blocker(c, &id)? {
            let cause = match status {
                SpecStatus::Dropped => Cause::DependencyEnded { spec: blocker.clone(), status },
                _ => Cause::DependencyIncomplete { spec: blocker.clone() },
            };
            c.prepare_cached("UPDATE specs SET failed_by = ?, cause = ? WHERE id = ?")?.execute(params![
                blocker.as_str(),
                encode_cause(Some(&cause))?,
                id.as_str()
            ])?;
            continue;
        }
        requeue(c, &id, now)?;
        let dependents: Vec<String> = c
            .prepare_cached("SELECT id FROM specs WHERE failed_by = ? AND status = 'failed' ORDER BY seq")?
            .query_map([id.as_str()], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        for dependent in &dependents {
            next.push(read::id(dependent)?);
        }
        queued.push(id);
    }
    Ok(queued)
}

/// Puts a completed spec that is unmerged into the landing queue again. Returns `None` if the spec is in another state.
fn land_again(c: &Connection, id: &SpecId, now: Timestamp) -> Result<Option<Vec<SpecId>>, QueueError> {
    let is_unmerged = c
        .prepare_cached("SELECT 1 FROM specs WHERE id = ? AND status = 'completed' AND delivery = 'unmerged'")?
        .exists([id.as_str()])?;
    if !is_unmerged {
        return Ok(None);
    }
    landings::join(c, id, now)?;
    Ok(Some(vec![id.clone()]))
}

/// Returns a spec that `id` waits for and that ended without completing, with its status.
fn blocker(c: &Connection, id: &SpecId) -> Result<Option<(SpecId, SpecStatus)>, QueueError> {
    let found: Option<(String, String)> = c
        .prepare_cached(
            "SELECT d.needs, s.status FROM deps d JOIN specs s ON s.id = d.needs
              WHERE d.spec = ? AND s.status IN ('failed', 'canceled', 'dropped') ORDER BY s.seq LIMIT 1",
        )?
        .query_row([id.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((name, status)) = found else { return Ok(None) };
    let id = read::id(&name)?;
    let status = read::status(&id, &status)?;
    Ok(Some((id, status)))
}

fn requeue(c: &Connection, id: &SpecId, now: Timestamp) -> Result<(), QueueError> {
    c.prepare_cached(
        "UPDATE specs SET status = 'queued', cause = NULL, failed_by = NULL, finished_at = NULL, not_before = NULL,
                quarantine = NULL, blocked = NULL, resumes = 0, setbacks = 0, queued_at = :now,
                delivery = CASE delivery WHEN 'unmerged' THEN NULL ELSE delivery END,
                open_deps = (SELECT count(*) FROM deps d JOIN specs s ON s.id = d.needs WHERE d.spec = specs.id
                    AND NOT (s.status = 'completed' AND (NOT s.merges OR coalesce(s.delivery, '') = 'merged')))
          WHERE id = :id",
    )?
    .execute(named_params! {":id": id.as_str(), ":now": now.0})?;
    c.prepare_cached("UPDATE tasks SET status = 'pending' WHERE spec = ? AND status <> 'done'")?
        .execute([id.as_str()])?;
    // If the spec cannot be read, it gets the lane without a name, and the next claim quarantines it.
    let next = lanes::next_task(c, id)?;
    let lane = read::spec_with_tasks(c, id).ok().and_then(|spec| lane::of_task(&spec, next?).map(str::to_owned));
    c.prepare_cached("UPDATE specs SET lane = ? WHERE id = ?")?
        .execute([lanes::lane_name(lane.as_deref()), id.as_str()])?;
    requeued(c, id, QueuedBy::Retry, now)
}

/// Appends the event that a spec is eligible again, or waits only for other specs.
pub(super) fn requeued(c: &Connection, id: &SpecId, by: QueuedBy, now: Timestamp) -> Result<(), QueueError> {
    let queued = Queued { by, cause: None, not_before: None };
    events::of_spec(c, id, &Happening::SpecQueued(queued), now)
}

pub(super) fn encode_cause(cause: Option<&Cause>) -> Result<Option<String>, QueueError> {
    cause.map(encode).transpose()
}
