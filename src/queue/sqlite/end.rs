//! The verbs that end specs, wish that they end, and queue ended ones again, with what waits for them.

use rusqlite::{Connection, OptionalExtension, named_params, params};

use super::read;
use super::write::{current, dependency_state};
use crate::domain::attempt::{Ending, Intent, SpecStatus};
use crate::domain::id::SpecId;
use crate::domain::outcome::Delivery;
use crate::domain::time::Timestamp;
use crate::queue::{Canceled, Fence, StoreError};

pub(super) const RELEASE_DEPENDANTS: &str =
    "UPDATE specs SET open_deps = open_deps - 1 WHERE id IN (SELECT spec FROM deps WHERE needs = ?)";
pub(super) const FAIL_DEPENDANTS: &str =
    "UPDATE specs SET status = 'failed', reason = :reason, failed_by = :cause, finished_at = :now
      WHERE +status = 'queued' AND id IN (SELECT spec FROM deps WHERE needs = :cause) RETURNING id";

pub(super) fn finish(
    c: &Connection,
    fence: &Fence,
    ending: &Ending,
    now: Timestamp,
) -> Result<Vec<SpecId>, StoreError> {
    current(c, fence)?;
    c.prepare_cached("UPDATE attempts SET ended_at = ?, intent = NULL WHERE spec = ? AND number = ?")?
        .execute(params![now.0, fence.spec.as_str(), fence.attempt])?;
    let id = &fence.spec;
    let (status, reason, delivery) = match ending {
        Ending::Completed { delivery, reason } => (SpecStatus::Completed, reason.clone(), *delivery),
        Ending::Failed { task: Some(task), reason } => {
            let name: String = c
                .prepare_cached("SELECT id FROM tasks WHERE spec = ? AND idx = ?")?
                .query_row(params![id.as_str(), task], |row| row.get(0))?;
            (SpecStatus::Failed, Some(format!("task {name}: {reason}")), None)
        }
        Ending::Failed { task: None, reason } => (SpecStatus::Failed, Some(reason.clone()), None),
        Ending::Canceled => (SpecStatus::Canceled, Some("canceled by the user".to_owned()), None),
    };
    let merges: bool = c
        .prepare_cached(
            "UPDATE specs SET status = :status, reason = :reason, delivery = :delivery, finished_at = :now, setbacks = 0
              WHERE id = :id RETURNING merges",
        )?
        .query_row(
            named_params! {
                ":status": status.as_str(), ":reason": reason, ":delivery": delivery.map(delivery_name),
                ":now": now.0, ":id": id.as_str(),
            },
            |row| row.get(0),
        )?;
    c.prepare_cached("UPDATE tasks SET status = 'skipped' WHERE spec = ? AND status IN ('pending', 'running')")?
        .execute([id.as_str()])?;
    if status == SpecStatus::Completed {
        if !merges || delivery == Some(Delivery::Merged) {
            c.prepare_cached(RELEASE_DEPENDANTS)?.execute([id.as_str()])?;
        }
        return Ok(Vec::new());
    }
    fail_dependants(c, id, status, now)
}

/// Fails what waits for `root`, and what waits for that, each with its reason.
fn fail_dependants(
    c: &Connection,
    root: &SpecId,
    status: SpecStatus,
    now: Timestamp,
) -> Result<Vec<SpecId>, StoreError> {
    let mut failed = Vec::new();
    let mut causes = vec![(root.clone(), status)];
    while let Some((cause, status)) = causes.pop() {
        let reason = match status {
            SpecStatus::Canceled => format!("waits for {cause}, which was canceled"),
            _ => format!("waits for {cause}, which failed"),
        };
        let dependants: Vec<String> = c
            .prepare_cached(FAIL_DEPENDANTS)?
            .query_map(named_params! {":reason": reason, ":cause": cause.as_str(), ":now": now.0}, |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        for id in dependants {
            c.prepare_cached("UPDATE tasks SET status = 'skipped' WHERE spec = ? AND status = 'pending'")?
                .execute([&id])?;
            let id = read::id(&id)?;
            causes.push((id.clone(), SpecStatus::Failed));
            failed.push(id);
        }
    }
    Ok(failed)
}

pub(super) fn cancel(c: &Connection, id: &SpecId, now: Timestamp) -> Result<Canceled, StoreError> {
    let (status, _) = dependency_state(c, id)?;
    match status {
        SpecStatus::Queued => {
            c.prepare_cached(
                "UPDATE specs SET status = 'canceled', reason = 'canceled by the user', finished_at = ?,
                        not_before = NULL, resumes = 0 WHERE id = ?",
            )?
            .execute(params![now.0, id.as_str()])?;
            c.prepare_cached(
                "UPDATE tasks SET status = 'skipped' WHERE spec = ? AND status IN ('pending', 'running')",
            )?
            .execute([id.as_str()])?;
            fail_dependants(c, id, SpecStatus::Canceled, now)?;
            Ok(Canceled::Now)
        }
        SpecStatus::Running => {
            intend(c, id, Intent::Cancel)?;
            Ok(Canceled::Ending)
        }
        ended => Ok(Canceled::EndedBefore(ended)),
    }
}

pub(super) fn stop(c: &Connection, fence: &Fence) -> Result<(), StoreError> {
    current(c, fence)?;
    intend(c, &fence.spec, Intent::Stop)
}

/// A wish to cancel is never weakened to one to stop.
fn intend(c: &Connection, id: &SpecId, intent: Intent) -> Result<(), StoreError> {
    c.prepare_cached(
        "UPDATE attempts SET intent = :intent WHERE spec = :id AND intent IS NOT 'cancel'
            AND number = (SELECT attempt FROM specs WHERE id = :id)",
    )?
    .execute(named_params! {":intent": read::intent_name(intent), ":id": id.as_str()})?;
    Ok(())
}

pub(super) fn retry(c: &Connection, id: &SpecId, now: Timestamp) -> Result<Vec<SpecId>, StoreError> {
    let (status, satisfied) = dependency_state(c, id)?;
    match status {
        SpecStatus::Queued | SpecStatus::Running => {
            return Err(StoreError::Refused(format!("{id} is {}: there is nothing to retry", status.as_str())));
        }
        SpecStatus::Completed if satisfied => {
            return Err(StoreError::Refused(format!("{id} is completed: there is nothing to retry")));
        }
        _ => {}
    }
    if let Some(blocker) = blocker(c, id)? {
        return Err(StoreError::Refused(format!(
            "{id} waits for {blocker}, which has not completed: `boi retry {blocker}` queues both again"
        )));
    }
    let mut queued = Vec::new();
    let mut next = vec![id.clone()];
    while let Some(id) = next.pop() {
        if let Some(blocker) = blocker(c, &id)? {
            c.prepare_cached("UPDATE specs SET failed_by = ?, reason = ? WHERE id = ?")?.execute(params![
                blocker.as_str(),
                format!("waits for {blocker}, which has not completed"),
                id.as_str()
            ])?;
            continue;
        }
        requeue(c, &id, now)?;
        let dependants: Vec<String> = c
            .prepare_cached("SELECT id FROM specs WHERE failed_by = ? AND status = 'failed' ORDER BY seq")?
            .query_map([id.as_str()], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        for dependant in &dependants {
            next.push(read::id(dependant)?);
        }
        queued.push(id);
    }
    Ok(queued)
}

/// A spec that `id` waits for and that ended without completing.
fn blocker(c: &Connection, id: &SpecId) -> Result<Option<SpecId>, StoreError> {
    let name: Option<String> = c
        .prepare_cached(
            "SELECT d.needs FROM deps d JOIN specs s ON s.id = d.needs
              WHERE d.spec = ? AND s.status IN ('failed', 'canceled') ORDER BY s.seq LIMIT 1",
        )?
        .query_row([id.as_str()], |row| row.get(0))
        .optional()?;
    name.map(|name| read::id(&name)).transpose()
}

fn requeue(c: &Connection, id: &SpecId, now: Timestamp) -> Result<(), StoreError> {
    c.prepare_cached(
        "UPDATE specs SET status = 'queued', reason = NULL, failed_by = NULL, finished_at = NULL, not_before = NULL,
                resumes = 0, setbacks = 0, queued_at = :now,
                open_deps = (SELECT count(*) FROM deps d JOIN specs s ON s.id = d.needs WHERE d.spec = specs.id
                    AND NOT (s.status = 'completed' AND (NOT s.merges OR coalesce(s.delivery, '') = 'merged')))
          WHERE id = :id",
    )?
    .execute(named_params! {":id": id.as_str(), ":now": now.0})?;
    c.prepare_cached("UPDATE tasks SET status = 'pending' WHERE spec = ? AND status <> 'done'")?
        .execute([id.as_str()])?;
    Ok(())
}

fn delivery_name(delivery: Delivery) -> &'static str {
    match delivery {
        Delivery::Branch => "branch",
        Delivery::Merged => "merged",
        Delivery::Unmerged => "unmerged",
    }
}
