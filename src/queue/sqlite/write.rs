//! The verbs that change the queue. Each verb runs inside a transaction, which its caller begins and commits.

use std::collections::HashSet;

use rusqlite::{Connection, named_params, params};
use tracing::warn;

use super::rows::{check_fence, control, dependency_state, encode};
use super::{end, events, landed, landings, lanes, read, repositories, runs};
use crate::config::WorkerConfig;
use crate::decide::lane;
use crate::decide::step::RecordChange;
use crate::domain::cause::Cause;
use crate::domain::event::{Blocked, Empty, Happening, Queued, QueuedBy, TaskDone, TaskStarted, TryEnded};
use crate::domain::id::SpecId;
use crate::domain::lane::Eligible;
use crate::domain::life::{Block, Intent, SpecStatus};
use crate::domain::outcome::AgentReport;
use crate::domain::position::{Ending, GitStage, Position, Stage, Step, Try};
use crate::domain::spec::{Base, Deliver, Spec};
use crate::domain::time::Timestamp;
use crate::queue::{Claimed, Cleaned, Fence, GiveBack, Owner, QueueError, Refusal, WorktreePlace};

pub(super) const PROMOTE: &str = "UPDATE specs INDEXED BY specs_due SET not_before = NULL, cause = NULL
     WHERE status = 'queued' AND not_before IS NOT NULL AND not_before <= ?";

/// How many random ids of one length boi tries before it tries longer ids.
const DRAWS: usize = 8;

/// Queues `specs` under ids that are neither in the queue nor in `taken`.
pub(super) fn enqueue(
    c: &Connection,
    specs: &[Spec],
    taken: &HashSet<SpecId>,
    now: Timestamp,
) -> Result<Vec<SpecId>, QueueError> {
    let last: i64 = c.prepare_cached("SELECT coalesce(max(seq), 0) FROM specs")?.query_row([], |row| row.get(0))?;
    let ids = specs.iter().map(|spec| enqueue_one(c, spec, taken, now)).collect::<Result<_, _>>()?;
    events::dispatched(c, last, now)?;
    Ok(ids)
}

fn enqueue_one(c: &Connection, spec: &Spec, taken: &HashSet<SpecId>, now: Timestamp) -> Result<SpecId, QueueError> {
    let mut needs = spec.after.clone();
    if let Some(Base::Spec(base)) = spec.repo.as_ref().map(|repo| &repo.base)
        && !needs.contains(base)
    {
        needs.push(base.clone());
    }
    let mut open = 0;
    for dependency in &needs {
        let (status, satisfied) = dependency_state(c, dependency)?;
        if matches!(status, SpecStatus::Failed | SpecStatus::Canceled | SpecStatus::Dropped) {
            let (title, dependency) = (spec.title.clone(), dependency.clone());
            return Err(Refusal::DependencyEnded { title, dependency, status }.into());
        }
        open += i64::from(!satisfied);
    }
    let id = fresh_id(c, taken)?;
    c.prepare_cached(
        "INSERT INTO specs (id, title, body, repo, merges, priority, status, open_deps, queued_at, lane)
         VALUES (:id, :title, :body, :repo, :merges, :priority, 'queued', :open, :now, :lane)",
    )?
    .execute(named_params! {
        ":id": id.as_str(), ":title": spec.title, ":body": encode(spec)?,
        ":repo": spec.repo.as_ref().map(|repo| repo.path.to_string_lossy()),
        ":merges": spec.deliver == Deliver::Merge, ":priority": spec.priority, ":open": open, ":now": now.0,
        ":lane": lanes::lane_name(lane::of_task(spec, 0)),
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

fn fresh_id(c: &Connection, taken: &HashSet<SpecId>) -> Result<SpecId, QueueError> {
    let mut known = c.prepare_cached("SELECT 1 FROM specs WHERE id = ?")?;
    for digits in 4..=16 {
        for _ in 0..DRAWS {
            let id = SpecId::from_random(rand::random(), digits);
            if !taken.contains(&id) && !known.exists([id.as_str()])? {
                return Ok(id);
            }
        }
    }
    Err(Refusal::NoFreeId.into())
}

pub(super) fn claim(
    c: &Connection,
    specs: &[Eligible],
    config: &WorkerConfig,
    owner: &Owner,
    now: Timestamp,
) -> Result<Vec<Claimed>, QueueError> {
    let config_text = encode(config)?;
    let mut batch = Vec::new();
    for Eligible { key, lane, instead, .. } in specs {
        // The spec may have been canceled, blocked or moved to another lane meanwhile.
        if !c.prepare_cached(lanes::IS_ELIGIBLE)?.exists(params![lanes::lane_name(lane.as_deref()), key])? {
            continue;
        }
        let id: SpecId = match key.parse() {
            Ok(id) => id,
            Err(error) => {
                quarantine(c, key, &format!("id: {error}"))?;
                continue;
            }
        };
        control(c, "SAVEPOINT claim_one")?;
        let substituted = match (lane, instead) {
            (Some(lane), Some(other)) => {
                let instead = [(lane.clone(), other.clone())].into();
                Some(encode(&WorkerConfig { instead, ..config.clone() })?)
            }
            _ => None,
        };
        let config_text = substituted.as_deref().unwrap_or(&config_text);
        let known = Some((config_text, config)).filter(|_| substituted.is_none());
        let claimed = claim_one(c, &id, config, config_text, now).and_then(|()| read::claimed(c, &id, owner, known));
        match claimed {
            Ok(claimed) => {
                control(c, "RELEASE claim_one")?;
                batch.push(claimed);
            }
            Err(QueueError::Unreadable { detail, .. }) => {
                control(c, "ROLLBACK TO claim_one")?;
                control(c, "RELEASE claim_one")?;
                quarantine(c, id.as_str(), &detail)?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(batch)
}

/// Makes a queued spec ineligible, because one of its records cannot be read.
fn quarantine(c: &Connection, id: &str, detail: &str) -> Result<(), QueueError> {
    warn!(spec = id, detail, "boi cannot read a record of this spec; the spec is quarantined and not claimed");
    c.prepare_cached("UPDATE specs SET quarantine = ? WHERE id = ?")?.execute([detail, id])?;
    Ok(())
}

fn claim_one(
    c: &Connection,
    id: &SpecId,
    config: &WorkerConfig,
    config_text: &str,
    now: Timestamp,
) -> Result<(), QueueError> {
    let (attempt, resumes, origin, head) = c
        .prepare_cached(
            "UPDATE specs SET status = 'running', cause = NULL, attempt = attempt + (1 - resumes), resumes = 0,
                    started_at = coalesce(started_at, :now), finished_at = NULL
              WHERE id = :id RETURNING attempt, (SELECT count(*) FROM attempts a
                    WHERE a.spec = specs.id AND a.number = specs.attempt), origin, head",
        )?
        .query_row(named_params! {":id": id.as_str(), ":now": now.0}, |row| {
            Ok((row.get::<_, u32>(0)?, row.get::<_, bool>(1)?, row.get(2)?, row.get(3)?))
        })
        .map_err(|error| read::unreadable_column(id, error))?;
    if resumes {
        c.prepare_cached(
            // An attempt continues with the agents that it began with.
            "UPDATE attempts SET config = CASE WHEN json_extract(config, '$.instead') IS NULL THEN ?1
                       ELSE json_set(?1, '$.instead', json(json_extract(config, '$.instead'))) END,
                    generation = ?2, intent = NULL, claimed_at = ?3, started_at = NULL,
                    ended_at = NULL WHERE spec = ?4 AND number = ?5",
        )?
        .execute(params![config_text, config.generation, now.0, id.as_str(), attempt])?;
        return Ok(());
    }
    let then = is_delivery_all_that_is_left(c, id)?.then_some(Stage::Git(GitStage::Deliver { round: 1 }));
    let position = Position::start(origin, head, then);
    c.prepare_cached(
        "INSERT INTO attempts (spec, number, config, generation, position, claimed_at) VALUES (?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![id.as_str(), attempt, config_text, config.generation, encode(&position)?, now.0])?;
    Ok(())
}

/// Makes quarantined specs eligible again, so that the next claim tries again to read their records.
pub(super) fn release_quarantined(c: &Connection) -> rusqlite::Result<()> {
    if c.prepare("SELECT 1 FROM specs WHERE quarantine IS NOT NULL")?.exists([])? {
        c.execute("UPDATE specs SET quarantine = NULL WHERE quarantine IS NOT NULL", [])?;
    }
    Ok(())
}

fn is_delivery_all_that_is_left(c: &Connection, id: &SpecId) -> Result<bool, QueueError> {
    let unmerged: bool = c
        .prepare_cached("SELECT coalesce(delivery, '') = 'unmerged' FROM specs WHERE id = ?")?
        .query_row([id.as_str()], |row| row.get(0))?;
    Ok(unmerged)
}

pub(super) fn record_start(c: &Connection, fence: &Fence, now: Timestamp) -> Result<(), QueueError> {
    check_fence(c, fence)?;
    let attempt = params![now.0, fence.spec.as_str(), fence.attempt];
    let first = "UPDATE attempts SET started_at = ? WHERE spec = ? AND number = ? AND started_at IS NULL";
    if c.prepare_cached(first)?.execute(attempt)? > 0 {
        return events::of_attempt(c, &fence.spec, fence.attempt, &Happening::SpecStarted(Empty {}), now);
    }
    c.prepare_cached("UPDATE attempts SET started_at = ? WHERE spec = ? AND number = ?")?.execute(attempt)?;
    Ok(())
}

pub(super) fn record(
    c: &Connection,
    fence: &Fence,
    position: &Position,
    changes: &[RecordChange],
    now: Timestamp,
) -> Result<(), QueueError> {
    check_fence(c, fence)?;
    move_to(c, fence, position)?;
    for change in changes {
        apply(c, fence, change, now)?;
    }
    if let Step::Command { stage, .. } = &position.step {
        c.prepare_cached("INSERT OR IGNORE INTO commands VALUES (?, ?, ?, ?, ?)")?.execute(params![
            fence.spec.as_str(),
            fence.attempt,
            position.progress.commands,
            now.0,
            encode(&Stage::Command(stage.clone()))?
        ])?;
    }
    Ok(())
}

fn move_to(c: &Connection, fence: &Fence, position: &Position) -> Result<(), QueueError> {
    c.prepare_cached("UPDATE attempts SET position = ? WHERE spec = ? AND number = ?")?.execute(params![
        encode(position)?,
        fence.spec.as_str(),
        fence.attempt
    ])?;
    c.prepare_cached(
        "UPDATE specs SET origin = :origin, head = :head, has_branch = has_branch OR :head IS NOT NULL
          WHERE id = :id AND (origin IS NOT :origin OR head IS NOT :head)",
    )?
    .execute(named_params! {
        ":origin": position.progress.origin, ":head": position.progress.head, ":id": fence.spec.as_str(),
    })?;
    Ok(())
}

fn apply(c: &Connection, fence: &Fence, change: &RecordChange, now: Timestamp) -> Result<(), QueueError> {
    let spec = fence.spec.as_str();
    match change {
        RecordChange::TryBegan { of: Try { task, number } } => {
            c.prepare_cached(
                "INSERT INTO tries (spec, idx, number, attempt, started_at) VALUES (?, ?, ?, ?, ?)
                 ON CONFLICT DO UPDATE SET ended_at = NULL, outcome = NULL",
            )?
            .execute(params![spec, task, number, fence.attempt, now.0])?;
            let runs: bool = c
                .prepare_cached("SELECT status = 'running' FROM tasks WHERE spec = ? AND idx = ?")?
                .query_row(params![spec, task], |row| row.get(0))?;
            c.prepare_cached("UPDATE tasks SET status = 'running', tries = max(tries, ?) WHERE spec = ? AND idx = ?")?
                .execute(params![number, spec, task])?;
            if !runs {
                let started = TaskStarted { task: task_id(c, spec, *task)? };
                events::of_attempt(c, &fence.spec, fence.attempt, &Happening::TaskStarted(started), now)?;
            }
        }
        RecordChange::TryEnded { of, outcome, report } => {
            add_usage(c, fence, of, report)?;
            c.prepare_cached("UPDATE tries SET ended_at = ?, outcome = ? WHERE spec = ? AND idx = ? AND number = ?")?
                .execute(params![now.0, encode(outcome)?, spec, of.task, of.number])?;
            let ended = TryEnded {
                task: task_id(c, spec, of.task)?,
                number: of.number,
                outcome: outcome.clone(),
                refused: outcome.refusal().is_some(),
                usage: report.usage,
            };
            events::of_attempt(c, &fence.spec, fence.attempt, &Happening::TryEnded(ended), now)?;
            if outcome.refusal().is_none() {
                c.prepare_cached("UPDATE specs SET setbacks = 0 WHERE id = ? AND setbacks > 0")?.execute([spec])?;
            }
        }
        RecordChange::TryInterrupted { of, report } => add_usage(c, fence, of, report)?,
        RecordChange::RepositoryConfig { config } => repositories::set_config(c, &fence.spec, config)?,
        RecordChange::RunEnded { of, run } => runs::record(c, fence, of, run, now)?,
        RecordChange::TryRejected { of: Try { task, number }, failure } => {
            c.prepare_cached("UPDATE tries SET rejected = ? WHERE spec = ? AND idx = ? AND number = ?")?
                .execute(params![encode(failure)?, spec, task, number])?;
        }
        RecordChange::TaskDone { task, commit, unchanged } => {
            c.prepare_cached(
                "UPDATE tasks SET status = 'done', commit_id = ?, unchanged = ? WHERE spec = ? AND idx = ?",
            )?
            .execute(params![commit, unchanged, spec, task])?;
            let done = TaskDone { task: task_id(c, spec, *task)?, commit: commit.clone(), unchanged: *unchanged };
            events::of_attempt(c, &fence.spec, fence.attempt, &Happening::TaskDone(done), now)?;
        }
        RecordChange::Landing(change) => landings::apply(c, fence, change, now)?,
        RecordChange::Placed { path } => set_worktree(c, &fence.spec, Some(path))?,
        RecordChange::Task { task, status } => {
            c.prepare_cached("UPDATE tasks SET status = ? WHERE spec = ? AND idx = ?")?.execute(params![
                status.as_str(),
                spec,
                task
            ])?;
        }
    }
    Ok(())
}

/// Returns the id of a task.
fn task_id(c: &Connection, spec: &str, task: usize) -> Result<String, QueueError> {
    Ok(c.prepare_cached("SELECT id FROM tasks WHERE spec = ? AND idx = ?")?
        .query_row(params![spec, task], |row| row.get(0))?)
}

/// Adds the usage (turns, tokens, cost) of one run of an agent to the totals of its try and its spec.
fn add_usage(c: &Connection, fence: &Fence, of: &Try, report: &AgentReport) -> Result<(), QueueError> {
    let (usage, spec) = (&report.usage, fence.spec.as_str());
    c.prepare_cached(
        "UPDATE tries SET session_id = coalesce(:session, session_id),
                turns = turns + :turns, input_tokens = input_tokens + :input,
                cached_tokens = cached_tokens + :cached, output_tokens = output_tokens + :output,
                cost_usd = cost_usd + :cost, estimated_usd = estimated_usd + :estimated,
                unpriced_runs = unpriced_runs + :unpriced, message = coalesce(:message, message),
                evidence = :evidence
          WHERE spec = :spec AND idx = :task AND number = :number",
    )?
    .execute(named_params! {
        ":session": report.session_id, ":turns": signed(usage.turns), ":input": signed(usage.input_tokens),
        ":output": signed(usage.output_tokens), ":cost": usage.cost_usd, ":unpriced": signed(usage.unpriced_runs),
        ":cached": signed(usage.cached_tokens), ":estimated": usage.estimated_usd, ":message": report.message,
        ":evidence": report.evidence, ":spec": spec, ":task": of.task, ":number": of.number,
    })?;
    c.prepare_cached(
        "UPDATE specs SET turns = turns + ?, input_tokens = input_tokens + ?, cached_tokens = cached_tokens + ?,
                output_tokens = output_tokens + ?, cost_usd = cost_usd + ?, estimated_usd = estimated_usd + ?,
                unpriced_runs = unpriced_runs + ? WHERE id = ?",
    )?
    .execute(params![
        signed(usage.turns),
        signed(usage.input_tokens),
        signed(usage.cached_tokens),
        signed(usage.output_tokens),
        usage.cost_usd,
        usage.estimated_usd,
        signed(usage.unpriced_runs),
        spec
    ])?;
    Ok(())
}

pub(super) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

pub(super) fn give_back(c: &Connection, fence: &Fence, back: &GiveBack, now: Timestamp) -> Result<(), QueueError> {
    if back.position.running_command().is_some() {
        return Err(Refusal::CommandMayRun { spec: fence.spec.clone() }.into());
    }
    if fence.spec.is_lander() {
        return landings::give_back(c, fence, back, now);
    }
    record(c, fence, &back.position, &back.changes, now)?;
    let (intent, was_started): (Option<String>, bool) = c
        .prepare_cached("SELECT intent, started_at IS NOT NULL FROM attempts WHERE spec = ? AND number = ?")?
        .query_row(params![fence.spec.as_str(), fence.attempt], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (blocked, cause, not_before) = match intent.as_deref().and_then(Intent::from_name) {
        Some(Intent::Cancel) => {
            end::finish(c, fence, &Ending::Canceled, now)?;
            return Ok(());
        }
        Some(Intent::Block) => (Some(Block::Stopped), Some(Cause::Blocked { by: Block::Stopped }), None),
        Some(Intent::Stop) | None => {
            let blocked = match &back.cause {
                Some(Cause::Blocked { by }) => Some(by.clone()),
                _ => None,
            };
            (blocked, back.cause.clone(), back.not_before)
        }
    };
    c.prepare_cached(
        "UPDATE specs SET status = 'queued', resumes = 1, blocked = :blocked, cause = :cause, not_before = :not_before,
                lane = :lane, setbacks = CASE WHEN :setback THEN setbacks + 1 ELSE 0 END WHERE id = :id",
    )?
    .execute(named_params! {
        ":blocked": blocked.as_ref().map(Block::as_str), ":cause": cause.as_ref().map(encode).transpose()?,
        ":not_before": not_before.map(|at| at.0), ":setback": back.setback, ":id": fence.spec.as_str(),
        ":lane": lanes::lane_name(back.lane.as_deref()),
    })?;
    if let Some(Block::Repository(block)) = &blocked {
        repositories::block_others(c, &read::spec(c, &fence.spec)?, block)?;
    }
    c.prepare_cached("UPDATE attempts SET intent = NULL WHERE spec = ? AND number = ?")?
        .execute(params![fence.spec.as_str(), fence.attempt])?;
    // No event has said that a spec was claimed if its worker was not started.
    if was_started {
        let queued = Queued { by: QueuedBy::GiveBack, cause: cause.clone(), not_before };
        events::of_attempt(c, &fence.spec, fence.attempt, &Happening::SpecQueued(queued), now)?;
    }
    if let (Some(_), Some(cause)) = (blocked, cause) {
        events::of_attempt(c, &fence.spec, fence.attempt, &Happening::SpecBlocked(Blocked { cause }), now)?;
    }
    Ok(())
}

pub(super) fn promote(c: &Connection, now: Timestamp) -> Result<Option<Timestamp>, QueueError> {
    c.prepare_cached(PROMOTE)?.execute([now.0])?;
    read::next_due(c)
}

/// How many bytes a probe writes. A disk that is too full for one write may have room for a smaller one, so a probe
/// writes more than the daemon records at once.
const PROBE: usize = 48 << 10;

pub(super) fn probe_write(c: &Connection, now: Timestamp) -> Result<(), QueueError> {
    // SQLite does not write unchanged pages, so the text is different for each probe.
    let mark = now.0.to_string();
    c.execute(
        "INSERT INTO settings VALUES ('probed', ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        [mark.repeat(PROBE / mark.len())],
    )?;
    Ok(())
}

pub(super) fn set_priority(c: &Connection, id: &SpecId, priority: i64) -> Result<(), QueueError> {
    let (status, _) = dependency_state(c, id)?;
    if status != SpecStatus::Queued {
        return Err(Refusal::NotQueued { spec: id.clone(), status }.into());
    }
    c.prepare_cached("UPDATE specs SET priority = ? WHERE id = ?")?.execute(params![priority, id.as_str()])?;
    Ok(())
}

pub(super) fn set_paused(c: &Connection, paused: bool) -> Result<(), QueueError> {
    c.prepare_cached("INSERT OR REPLACE INTO settings VALUES ('paused', ?)")?.execute([if paused {
        "true"
    } else {
        "false"
    }])?;
    Ok(())
}

pub(super) fn record_kept(
    c: &Connection,
    fence: &Fence,
    kept: &[String],
    place: Option<&WorktreePlace>,
) -> Result<(), QueueError> {
    check_fence(c, fence)?;
    keep(c, &fence.spec, kept)?;
    match place {
        Some(WorktreePlace::At(path)) => set_worktree(c, &fence.spec, Some(path)),
        Some(WorktreePlace::Removed) => set_worktree(c, &fence.spec, None),
        None => Ok(()),
    }
}

pub(super) fn record_cleaned(c: &Connection, cleaned: &Cleaned, now: Timestamp) -> Result<(), QueueError> {
    keep(c, &cleaned.id, &cleaned.kept)?;
    if cleaned.merged {
        landed::record_merge_by_user(c, &cleaned.id, now)?;
    }
    if cleaned.worktree {
        set_worktree(c, &cleaned.id, None)?;
    }
    if cleaned.branch {
        c.prepare_cached("UPDATE specs SET has_branch = 0 WHERE id = ?")?.execute([cleaned.id.as_str()])?;
    }
    Ok(())
}

fn keep(c: &Connection, id: &SpecId, refs: &[String]) -> Result<(), QueueError> {
    for reference in refs {
        // The daemon may have removed a spec that `boi clean` was cleaning.
        c.prepare_cached("INSERT OR IGNORE INTO kept SELECT id, ?2 FROM specs WHERE id = ?1")?
            .execute([id.as_str(), reference])?;
    }
    Ok(())
}

fn set_worktree(c: &Connection, id: &SpecId, path: Option<&str>) -> Result<(), QueueError> {
    let table = if id.is_lander() { "landers" } else { "specs" };
    c.prepare_cached(&format!("UPDATE {table} SET worktree = ? WHERE id = ?"))?.execute(params![path, id.as_str()])?;
    Ok(())
}
