//! The verbs that change the queue. Each runs inside a transaction that its caller opens and commits.

use std::collections::HashSet;

use rusqlite::{Connection, OptionalExtension, named_params, params};
use serde::Serialize;

use super::{end, read};
use crate::config::WorkerConfig;
use crate::decide::step::Change;
use crate::domain::attempt::{Ending, Laying, Position, SpecStatus, Step};
use crate::domain::id::SpecId;
use crate::domain::spec::{Base, Deliver, Spec};
use crate::domain::time::Timestamp;
use crate::queue::{Claimed, Fence, GiveBack, Place, StoreError};

pub(super) const PROMOTE: &str = "UPDATE specs INDEXED BY specs_due SET not_before = NULL, reason = NULL
     WHERE status = 'queued' AND not_before IS NOT NULL AND not_before <= ?";

/// How many random ids of one length are tried before a longer one is.
const DRAWS: usize = 8;

/// Queues `specs` under ids that neither the queue knows nor the caller has as `taken`.
pub(super) fn enqueue(
    c: &Connection,
    specs: &[Spec],
    taken: &HashSet<SpecId>,
    now: Timestamp,
) -> Result<Vec<SpecId>, StoreError> {
    specs.iter().map(|spec| enqueue_one(c, spec, taken, now)).collect()
}

fn enqueue_one(c: &Connection, spec: &Spec, taken: &HashSet<SpecId>, now: Timestamp) -> Result<SpecId, StoreError> {
    let mut needs = spec.after.clone();
    if let Some(Base::Spec(base)) = spec.repo.as_ref().map(|repo| &repo.base)
        && !needs.contains(base)
    {
        needs.push(base.clone());
    }
    let mut open = 0;
    for dependency in &needs {
        let (status, satisfied) = dependency_state(c, dependency)?;
        if matches!(status, SpecStatus::Failed | SpecStatus::Canceled) {
            let status = status.as_str();
            return Err(StoreError::Refused(format!(
                "`{}` waits for {dependency}, which has {status}: run `boi retry {dependency}` first",
                spec.title
            )));
        }
        open += i64::from(!satisfied);
    }
    let id = fresh_id(c, taken)?;
    c.prepare_cached(
        "INSERT INTO specs (id, title, body, repo, merges, priority, status, open_deps, queued_at)
         VALUES (:id, :title, :body, :repo, :merges, :priority, 'queued', :open, :now)",
    )?
    .execute(named_params! {
        ":id": id.as_str(), ":title": spec.title, ":body": encode("a spec", spec)?,
        ":repo": spec.repo.as_ref().map(|repo| repo.path.to_string_lossy()),
        ":merges": spec.deliver == Deliver::Merge, ":priority": spec.priority, ":open": open, ":now": now.0,
    })?;
    for dependency in &needs {
        c.prepare_cached("INSERT INTO deps VALUES (?, ?)")?.execute([id.as_str(), dependency.as_str()])?;
    }
    for (index, task) in spec.tasks.iter().enumerate() {
        c.prepare_cached("INSERT INTO tasks (spec, idx, id, title, status) VALUES (?, ?, ?, ?, 'pending')")?
            .execute(params![id.as_str(), index, task.id, task.title])?;
    }
    Ok(id)
}

fn fresh_id(c: &Connection, taken: &HashSet<SpecId>) -> Result<SpecId, StoreError> {
    let mut known = c.prepare_cached("SELECT 1 FROM specs WHERE id = ?")?;
    for digits in 4..=16 {
        for _ in 0..DRAWS {
            let id = SpecId::from_random(rand::random(), digits);
            if !taken.contains(&id) && !known.exists([id.as_str()])? {
                return Ok(id);
            }
        }
    }
    Err(StoreError::Refused("no free id was found for the spec: the queue holds too many".to_owned()))
}

/// A dependency's status, and whether who waits for it may go on: completed, and merged if it merges.
pub(super) fn dependency_state(c: &Connection, id: &SpecId) -> Result<(SpecStatus, bool), StoreError> {
    let row = c
        .prepare_cached("SELECT status, merges, delivery FROM specs WHERE id = ?")?
        .query_row([id.as_str()], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, bool>(1)?, row.get::<_, Option<String>>(2)?))
        })
        .optional()?;
    let (status, merges, delivery) = row.ok_or_else(|| StoreError::Unknown(id.clone()))?;
    let status = read::status(&status)?;
    let satisfied = status == SpecStatus::Completed && (!merges || delivery.as_deref() == Some("merged"));
    Ok((status, satisfied))
}

pub(super) fn claim(
    c: &Connection,
    count: u32,
    scope: Option<&[SpecId]>,
    config: &WorkerConfig,
    now: Timestamp,
) -> Result<Vec<Claimed>, StoreError> {
    let chosen = read::ready(c, count, scope)?;
    let config_text = encode("a worker's configuration", config)?;
    for id in &chosen {
        let (attempt, resumes, origin, head) = c
            .prepare_cached(
                "UPDATE specs SET status = 'running', reason = NULL, attempt = attempt + (1 - resumes), resumes = 0,
                        started_at = coalesce(started_at, :now), finished_at = NULL
                  WHERE id = :id RETURNING attempt, (SELECT count(*) FROM attempts a
                        WHERE a.spec = specs.id AND a.number = specs.attempt), origin, head",
            )?
            .query_row(named_params! {":id": id.as_str(), ":now": now.0}, |row| {
                Ok((row.get::<_, u32>(0)?, row.get::<_, bool>(1)?, row.get(2)?, row.get(3)?))
            })?;
        if resumes {
            c.prepare_cached(
                "UPDATE attempts SET config = ?, generation = ?, intent = NULL, claimed_at = ?, started_at = NULL,
                        ended_at = NULL WHERE spec = ? AND number = ?",
            )?
            .execute(params![config_text, config.generation, now.0, id.as_str(), attempt])?;
        } else {
            let mut position = Position::start(origin, head);
            if delivery_alone(c, id)? {
                let then = Some(Box::new(Step::Deliver { round: 1 }));
                position.step = Step::Prepare { laying: Laying::Clean, then };
            }
            c.prepare_cached(
                "INSERT INTO attempts (spec, number, config, generation, position, claimed_at)
                 VALUES (?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                id.as_str(),
                attempt,
                config_text,
                config.generation,
                encode("a position", &position)?,
                now.0
            ])?;
        }
    }
    chosen.iter().map(|id| read::claimed(c, id)).collect()
}

/// Whether all that is left to do for a spec is its delivery.
fn delivery_alone(c: &Connection, id: &SpecId) -> Result<bool, StoreError> {
    let unmerged: bool = c
        .prepare_cached("SELECT coalesce(delivery, '') = 'unmerged' FROM specs WHERE id = ?")?
        .query_row([id.as_str()], |row| row.get(0))?;
    Ok(unmerged)
}

pub(super) fn started(c: &Connection, fence: &Fence, now: Timestamp) -> Result<(), StoreError> {
    current(c, fence)?;
    c.prepare_cached("UPDATE attempts SET started_at = ? WHERE spec = ? AND number = ?")?.execute(params![
        now.0,
        fence.spec.as_str(),
        fence.attempt
    ])?;
    Ok(())
}

/// Passes only when `fence` is the running attempt of its spec.
pub(super) fn current(c: &Connection, fence: &Fence) -> Result<(), StoreError> {
    let holds = c
        .prepare_cached("SELECT 1 FROM specs WHERE id = ? AND attempt = ? AND status = 'running'")?
        .exists(params![fence.spec.as_str(), fence.attempt])?;
    if holds { Ok(()) } else { Err(StoreError::Superseded { fence: fence.clone() }) }
}

pub(super) fn record(
    c: &Connection,
    fence: &Fence,
    position: &Position,
    changes: &[Change],
    now: Timestamp,
) -> Result<(), StoreError> {
    current(c, fence)?;
    move_to(c, fence, position)?;
    for change in changes {
        apply(c, fence, change, now)?;
    }
    if position.awaiting {
        c.prepare_cached("INSERT OR IGNORE INTO commands VALUES (?, ?, ?, ?, ?)")?.execute(params![
            fence.spec.as_str(),
            fence.attempt,
            position.commands,
            now.0,
            encode("a step", &position.step)?
        ])?;
    }
    Ok(())
}

fn move_to(c: &Connection, fence: &Fence, position: &Position) -> Result<(), StoreError> {
    c.prepare_cached("UPDATE attempts SET position = ? WHERE spec = ? AND number = ?")?.execute(params![
        encode("a position", position)?,
        fence.spec.as_str(),
        fence.attempt
    ])?;
    c.prepare_cached(
        "UPDATE specs SET origin = :origin, head = :head, has_branch = has_branch OR :head IS NOT NULL
          WHERE id = :id AND (origin IS NOT :origin OR head IS NOT :head)",
    )?
    .execute(named_params! {":origin": position.origin, ":head": position.head, ":id": fence.spec.as_str()})?;
    Ok(())
}

fn apply(c: &Connection, fence: &Fence, change: &Change, now: Timestamp) -> Result<(), StoreError> {
    let spec = fence.spec.as_str();
    match change {
        Change::TryBegan { task, try_number } => {
            c.prepare_cached(
                "INSERT INTO tries (spec, idx, number, attempt, started_at) VALUES (?, ?, ?, ?, ?)
                 ON CONFLICT DO UPDATE SET ended_at = NULL, outcome = NULL",
            )?
            .execute(params![spec, task, try_number, fence.attempt, now.0])?;
            c.prepare_cached("UPDATE tasks SET status = 'running', tries = max(tries, ?) WHERE spec = ? AND idx = ?")?
                .execute(params![try_number, spec, task])?;
        }
        Change::TryEnded { task, try_number, outcome, report } => {
            let usage = &report.usage;
            c.prepare_cached(
                "UPDATE tries SET ended_at = :now, outcome = :outcome, session_id = coalesce(:session, session_id),
                        turns = turns + :turns, input_tokens = input_tokens + :input,
                        output_tokens = output_tokens + :output, cost_usd = cost_usd + :cost
                  WHERE spec = :spec AND idx = :task AND number = :number",
            )?
            .execute(named_params! {
                ":now": now.0, ":outcome": encode("an outcome", outcome)?, ":session": report.session_id,
                ":turns": signed(usage.turns), ":input": signed(usage.input_tokens),
                ":output": signed(usage.output_tokens), ":cost": usage.cost_usd,
                ":spec": spec, ":task": task, ":number": try_number,
            })?;
            c.prepare_cached(
                "UPDATE specs SET turns = turns + ?, input_tokens = input_tokens + ?,
                        output_tokens = output_tokens + ?, cost_usd = cost_usd + ?,
                        setbacks = CASE WHEN ? THEN setbacks ELSE 0 END WHERE id = ?",
            )?
            .execute(params![
                signed(usage.turns),
                signed(usage.input_tokens),
                signed(usage.output_tokens),
                usage.cost_usd,
                outcome.is_refusal(),
                spec
            ])?;
        }
        Change::TryRejected { task, try_number, failure } => {
            c.prepare_cached("UPDATE tries SET rejected = ? WHERE spec = ? AND idx = ? AND number = ?")?
                .execute(params![encode("a failure", failure)?, spec, task, try_number])?;
        }
        Change::TaskDone { task, commit } => {
            c.prepare_cached("UPDATE tasks SET status = 'done', commit_id = ? WHERE spec = ? AND idx = ?")?
                .execute(params![commit, spec, task])?;
        }
        Change::Task { task, status } => {
            c.prepare_cached("UPDATE tasks SET status = ? WHERE spec = ? AND idx = ?")?.execute(params![
                status.as_str(),
                spec,
                task
            ])?;
        }
    }
    Ok(())
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

pub(super) fn give_back(c: &Connection, fence: &Fence, back: &GiveBack, now: Timestamp) -> Result<(), StoreError> {
    if back.position.awaiting {
        let spec = &fence.spec;
        return Err(StoreError::Refused(format!("{spec} cannot be queued again: a command of it may be running")));
    }
    record(c, fence, &back.position, &back.changes, now)?;
    let canceled = c
        .prepare_cached("SELECT 1 FROM attempts WHERE spec = ? AND number = ? AND intent = 'cancel'")?
        .exists(params![fence.spec.as_str(), fence.attempt])?;
    if canceled {
        end::finish(c, fence, &Ending::Canceled, now)?;
        return Ok(());
    }
    c.prepare_cached(
        "UPDATE specs SET status = 'queued', resumes = 1, reason = :reason, not_before = :not_before,
                setbacks = CASE WHEN :setback THEN setbacks + 1 ELSE 0 END WHERE id = :id",
    )?
    .execute(named_params! {
        ":reason": back.reason, ":not_before": back.not_before.map(|at| at.0), ":setback": back.setback,
        ":id": fence.spec.as_str(),
    })?;
    c.prepare_cached("UPDATE attempts SET intent = NULL WHERE spec = ? AND number = ?")?
        .execute(params![fence.spec.as_str(), fence.attempt])?;
    Ok(())
}

pub(super) fn promote(c: &Connection, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
    c.prepare_cached(PROMOTE)?.execute([now.0])?;
    read::next_due(c)
}

/// How much a probe writes: more than what the daemon has to record at once, since a write that found no room leaves some
/// that it had taken.
const PROBE: usize = 48 << 10;

pub(super) fn probe(c: &Connection, now: Timestamp) -> Result<(), StoreError> {
    // SQLite writes only what differs.
    let mark = now.0.to_string();
    c.execute(
        "INSERT INTO settings VALUES ('probed', ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        [mark.repeat(PROBE / mark.len())],
    )?;
    Ok(())
}

pub(super) fn set_paused(c: &Connection, paused: bool) -> Result<(), StoreError> {
    c.prepare_cached("INSERT OR REPLACE INTO settings VALUES ('paused', ?)")?.execute([if paused {
        "true"
    } else {
        "false"
    }])?;
    Ok(())
}

pub(super) fn note(c: &Connection, fence: &Fence, kept: &[String], worktree: Option<&Place>) -> Result<(), StoreError> {
    current(c, fence)?;
    keep(c, &fence.spec, kept)?;
    match worktree {
        Some(Place::At(path)) => set_worktree(c, &fence.spec, Some(path)),
        Some(Place::Gone) => set_worktree(c, &fence.spec, None),
        None => Ok(()),
    }
}

pub(super) fn keep(c: &Connection, id: &SpecId, refs: &[String]) -> Result<(), StoreError> {
    for reference in refs {
        c.prepare_cached("INSERT OR IGNORE INTO kept VALUES (?, ?)")?.execute([id.as_str(), reference])?;
    }
    Ok(())
}

pub(super) fn set_worktree(c: &Connection, id: &SpecId, path: Option<&str>) -> Result<(), StoreError> {
    c.prepare_cached("UPDATE specs SET worktree = ? WHERE id = ?")?.execute(params![path, id.as_str()])?;
    Ok(())
}

pub(super) fn forget_branch(c: &Connection, id: &SpecId) -> Result<(), StoreError> {
    c.prepare_cached("UPDATE specs SET has_branch = 0 WHERE id = ?")?.execute([id.as_str()])?;
    Ok(())
}

fn encode<T: Serialize>(what: &str, value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|source| StoreError::Damaged { what: what.to_owned(), source })
}
