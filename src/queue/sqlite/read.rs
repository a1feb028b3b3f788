//! The verbs that only read. Listings and counts never read the stored text of specs, which may be long.

use std::collections::HashMap;

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};
use serde::de::DeserializeOwned;

use super::repository_changes;
use super::rows::CURRENT_ATTEMPT;
use crate::domain::cause::{Awaited, Cause};
use crate::domain::failure::Failure;
use crate::domain::id::SpecId;
use crate::domain::life::{Intent, SpecStatus, TaskStatus};
use crate::domain::outcome::{Delivery, MergedBy, TryOutcome, Usage};
use crate::domain::position::Position;
use crate::domain::position_record::read_stage;
use crate::domain::spec::Spec;
use crate::domain::time::Timestamp;
use crate::domain::view::{Counts, SpecView, TaskView, TryView};
use crate::queue::{Claimed, CommandRow, Fence, Filter, Listing, Owner, Quarantined, QueueError, RunningSpecs};

/// How many queued specs the default listing shows, and how many specs a page has by default.
const DEFAULT_LIMIT: u32 = 50;
/// How many ended specs the default listing shows.
const DEFAULT_ENDED: u32 = 10;
/// The largest number of specs that the cause `WaitsFor` names.
const AWAITED_SHOWN: u32 = 8;

/// The outcome that is shown for a try whose record this version cannot read.
const UNREADABLE: &str = "this version of boi cannot read the record of the outcome";

// Some queries name their index: without statistics, SQLite's planner would scan the whole queue for them.
pub(super) const ELIGIBLE: &str = "SELECT id FROM specs INDEXED BY specs_eligible
     WHERE status = 'queued' AND open_deps = 0 AND not_before IS NULL AND quarantine IS NULL AND blocked IS NULL ORDER BY priority, seq LIMIT ?1";
/// Like `ELIGIBLE`, but within a scope. A scope is small, so its specs are looked up by id.
pub(super) const ELIGIBLE_IN_SCOPE: &str = "WITH RECURSIVE scope(id) AS
         (SELECT value FROM json_each(?1) UNION SELECT deps.needs FROM deps JOIN scope ON deps.spec = scope.id)
     SELECT specs.id FROM scope CROSS JOIN specs ON specs.id = scope.id
      WHERE +status = 'queued' AND open_deps = 0 AND not_before IS NULL AND quarantine IS NULL AND blocked IS NULL ORDER BY priority, seq LIMIT ?2";
const SCOPE: &str = "WITH RECURSIVE scope(id) AS
         (SELECT value FROM json_each(?1) UNION SELECT deps.needs FROM deps JOIN scope ON deps.spec = scope.id)
     SELECT id FROM scope";
pub(super) const DUE: &str =
    "SELECT min(not_before) FROM specs INDEXED BY specs_due WHERE status = 'queued' AND not_before IS NOT NULL";
pub(super) const STARTS: &str = "SELECT started_at FROM attempts WHERE started_at >= ? ORDER BY 1";
pub(super) const RUNNING: &str = "SELECT id FROM specs WHERE status = 'running' ORDER BY seq";
pub(super) const QUARANTINED: &str =
    "SELECT id, quarantine FROM specs WHERE quarantine IS NOT NULL AND status = 'queued' ORDER BY seq";
pub(super) const QUEUED: &str = "SELECT id FROM specs WHERE status = 'queued' ORDER BY priority, seq LIMIT ? OFFSET ?";
pub(super) const LAST_ENDED: &str = "SELECT id FROM specs INDEXED BY specs_ended
     WHERE status IN ('completed', 'failed', 'canceled') ORDER BY finished_at DESC, seq DESC LIMIT ?";
pub(super) const ENDED_AS: &str = "SELECT id FROM specs INDEXED BY specs_ended_as
     WHERE status = ? AND status IN ('completed', 'failed', 'canceled')
     ORDER BY finished_at DESC, seq DESC LIMIT ? OFFSET ?";

/// Returns the stored ids of the first `limit` eligible specs, in queue order. An id may be malformed.
pub(super) fn eligible(c: &Connection, limit: u32, scope: Option<&[SpecId]>) -> Result<Vec<String>, QueueError> {
    Ok(match scope {
        None => c.prepare_cached(ELIGIBLE)?.query_map([limit], |row| row.get(0))?.collect::<Result<_, _>>()?,
        Some(ids) => c
            .prepare_cached(ELIGIBLE_IN_SCOPE)?
            .query_map(params![ids_json(ids), limit], |row| row.get(0))?
            .collect::<Result<_, _>>()?,
    })
}

pub(super) fn scope(c: &Connection, ids: &[SpecId]) -> Result<Vec<SpecId>, QueueError> {
    let names: Vec<String> =
        c.prepare_cached(SCOPE)?.query_map([ids_json(ids)], |row| row.get(0))?.collect::<Result<_, _>>()?;
    names.iter().map(|name| id(name)).collect()
}

fn ids_json(ids: &[SpecId]) -> String {
    serde_json::Value::from(ids.iter().map(SpecId::as_str).collect::<Vec<_>>()).to_string()
}

pub(super) fn claimed(c: &Connection, spec: &SpecId, owner: &Owner) -> Result<Claimed, QueueError> {
    let row = c
        .prepare_cached(
            "SELECT s.attempt, s.body, a.config, a.position, a.intent, s.setbacks, a.started_at IS NOT NULL,
                    s.worktree
               FROM specs s JOIN attempts a ON a.spec = s.id AND a.number = s.attempt WHERE s.id = ?",
        )?
        .query_row([spec.as_str()], |row| {
            Ok((
                row.get::<_, u32>(0)?,
                row.get::<_, String>(1)?,
                row.get::<_, String>(2)?,
                row.get::<_, String>(3)?,
                row.get::<_, Option<String>>(4)?,
                row.get::<_, u32>(5)?,
                row.get::<_, bool>(6)?,
                row.get::<_, Option<String>>(7)?,
            ))
        })
        .optional()
        .map_err(|error| unreadable_column(spec, error))?;
    let Some((attempt, body, config, position, intent, setbacks, started, worktree)) = row else {
        return Err(unreadable(spec, "the record of its current attempt is missing"));
    };
    let body: Spec = decode(spec, "spec", &body)?;
    let tasks = tasks(c, spec)?;
    if tasks.len() != body.tasks.len() {
        return Err(unreadable(
            spec,
            format!("the spec has {} tasks, but the queue has records of {} tasks", body.tasks.len(), tasks.len()),
        ));
    }
    let position: Position = decode(spec, "position", &position)?;
    position.check_against(&body).map_err(|error| unreadable(spec, format!("position: {error}")))?;
    let intent = intent.map(|name| {
        Intent::from_name(&name)
            .ok_or_else(|| unreadable(spec, format!("intent: this version of boi does not know `{name}`")))
    });
    Ok(Claimed {
        fence: Fence { spec: spec.clone(), attempt },
        owner: owner.clone(),
        spec: body,
        config: decode(spec, "worker configuration", &config)?,
        position,
        tasks,
        intent: intent.transpose()?,
        setbacks,
        started,
        worktree,
    })
}

fn tasks(c: &Connection, spec: &SpecId) -> Result<Vec<(TaskStatus, u32)>, QueueError> {
    c.prepare_cached("SELECT status, tries FROM tasks WHERE spec = ? ORDER BY idx")?
        .query_map([spec.as_str()], |row| Ok((task_status(row, 0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()
        .map_err(|error| unreadable_column(spec, error))
}

pub(super) fn running(c: &Connection, owner: &Owner) -> Result<RunningSpecs, QueueError> {
    let names: Vec<String> = c.prepare_cached(RUNNING)?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let mut running = RunningSpecs::default();
    for spec in well_formed(&names) {
        match claimed(c, &spec, owner) {
            Ok(claimed) => running.claimed.push(claimed),
            Err(QueueError::Unreadable { detail, .. }) => {
                running.quarantined.push(quarantined_spec(c, &spec, true, detail)?);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(running)
}

/// Returns the quarantined specs: running specs with a record that cannot be read, and queued specs for which
/// a claim found such a record.
pub(super) fn quarantined(c: &Connection, owner: &Owner) -> Result<Vec<Quarantined>, QueueError> {
    let mut all = running(c, owner)?.quarantined;
    let queued: Vec<(String, String)> = c
        .prepare_cached(QUARANTINED)?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    for (name, detail) in queued {
        if let Ok(spec) = name.parse() {
            all.push(quarantined_spec(c, &spec, false, detail)?);
        }
    }
    Ok(all)
}

/// Reads only the attempt's number and the intent of a quarantined spec, not the records that may be unreadable.
fn quarantined_spec(c: &Connection, spec: &SpecId, running: bool, detail: String) -> Result<Quarantined, QueueError> {
    let (attempt, intent) = c
        .prepare_cached(&format!(
            "SELECT s.number, a.intent FROM (SELECT id, {CURRENT_ATTEMPT} AS number FROM specs WHERE id = ?) s
               LEFT JOIN attempts a ON a.spec = s.id AND a.number = s.number"
        ))?
        .query_row([spec.as_str()], |row| Ok((row.get(0)?, row.get::<_, Option<String>>(1)?)))?;
    let intent = intent.as_deref().and_then(Intent::from_name);
    Ok(Quarantined { fence: Fence { spec: spec.clone(), attempt }, running, intent, detail })
}

pub(super) fn starts_since(c: &Connection, since: Timestamp) -> Result<Vec<Timestamp>, QueueError> {
    Ok(c.prepare_cached(STARTS)?.query_map([since.0], |row| Ok(Timestamp(row.get(0)?)))?.collect::<Result<_, _>>()?)
}

pub(super) fn next_due(c: &Connection) -> Result<Option<Timestamp>, QueueError> {
    let due: Option<i64> = c.prepare_cached(DUE)?.query_row([], |row| row.get(0))?;
    Ok(due.map(Timestamp))
}

pub(super) fn is_paused(c: &Connection) -> Result<bool, QueueError> {
    let value: Option<String> = c
        .prepare_cached("SELECT value FROM settings WHERE name = 'paused'")?
        .query_row([], |row| row.get(0))
        .optional()?;
    Ok(value.as_deref() == Some("true"))
}

pub(super) fn spec(c: &Connection, spec: &SpecId) -> Result<Spec, QueueError> {
    let body: Option<String> = c
        .prepare_cached("SELECT body FROM specs WHERE id = ?")?
        .query_row([spec.as_str()], |row| row.get(0))
        .optional()?;
    decode(spec, "spec", &body.ok_or_else(|| QueueError::NotFound(spec.clone()))?)
}

/// The number of specs, the latest first, that are compared with a new spec to find equal ones.
const COMPARED: u32 = 200;

pub(super) fn twins(c: &Connection, body: &str) -> Result<Vec<SpecId>, QueueError> {
    let names: Vec<String> = c
        .prepare_cached(
            "SELECT id FROM (SELECT id, body, status FROM specs ORDER BY seq DESC LIMIT ?)
              WHERE status IN ('queued', 'running') AND body = ?",
        )?
        .query_map(params![COMPARED, body], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    Ok(well_formed(&names).collect())
}

pub(super) fn commands(c: &Connection, spec: &SpecId) -> Result<Vec<CommandRow>, QueueError> {
    let mut statement =
        c.prepare_cached("SELECT attempt, number, step FROM commands WHERE spec = ? ORDER BY attempt, number")?;
    let mut rows = statement.query([spec.as_str()])?;
    let mut commands = Vec::new();
    while let Some(row) = rows.next()? {
        let stage = read_stage(&row.get::<_, String>(2)?).ok();
        commands.push(CommandRow { attempt: row.get(0)?, number: row.get(1)?, stage });
    }
    Ok(commands)
}

pub(super) fn counts(c: &Connection) -> Result<Counts, QueueError> {
    let rows: HashMap<String, u64> = c
        .prepare_cached("SELECT status, n FROM counts")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let of = |status: SpecStatus| rows.get(status.as_str()).copied().unwrap_or(0);
    Ok(Counts {
        queued: of(SpecStatus::Queued),
        running: of(SpecStatus::Running),
        completed: of(SpecStatus::Completed),
        failed: of(SpecStatus::Failed),
        canceled: of(SpecStatus::Canceled),
    })
}

pub(super) fn list(c: &Connection, filter: &Filter) -> Result<Listing, QueueError> {
    let names = select(c, filter)?;
    let limit = if filter.limit == 0 { DEFAULT_LIMIT } else { filter.limit } as usize;
    let (shown, more) = if filter.ids.is_empty() && (filter.all || filter.status.is_some()) {
        (&names[..names.len().min(limit)], names.len() > limit)
    } else {
        let total = counts(c)?;
        let all = total.queued + total.running + total.completed + total.failed + total.canceled;
        (&names[..], filter.ids.is_empty() && (names.len() as u64) < all)
    };
    let view = |spec: SpecId| match view(c, &spec, filter.history) {
        Err(QueueError::Unreadable { detail, .. }) => unreadable_view(c, &spec, detail),
        view => view,
    };
    let specs = well_formed(shown).map(view).collect::<Result<_, _>>()?;
    Ok(Listing { specs, more })
}

/// Returns the ids of the specs that a filter selects. With `status` or `all`, one id more than the limit is
/// returned if there are more specs.
fn select(c: &Connection, filter: &Filter) -> Result<Vec<String>, QueueError> {
    if !filter.ids.is_empty() {
        for spec in &filter.ids {
            if !c.prepare_cached("SELECT 1 FROM specs WHERE id = ?")?.exists([spec.as_str()])? {
                return Err(QueueError::NotFound(spec.clone()));
            }
        }
        return Ok(filter.ids.iter().map(|spec| spec.as_str().to_owned()).collect());
    }
    let limit = if filter.limit == 0 { DEFAULT_LIMIT } else { filter.limit };
    let page = (i64::from(limit) + 1, i64::from(filter.offset));
    let list = |sql: &str, values: Vec<rusqlite::types::Value>| -> Result<Vec<String>, QueueError> {
        Ok(c.prepare_cached(sql)?.query_map(params_from_iter(values), |row| row.get(0))?.collect::<Result<_, _>>()?)
    };
    match filter.status {
        Some(SpecStatus::Queued) => list(QUEUED, vec![page.0.into(), page.1.into()]),
        Some(SpecStatus::Running) => list(&format!("{RUNNING} LIMIT ? OFFSET ?"), vec![page.0.into(), page.1.into()]),
        Some(ended) => list(ENDED_AS, vec![ended.as_str().to_owned().into(), page.0.into(), page.1.into()]),
        None if filter.all => {
            list("SELECT id FROM specs ORDER BY seq DESC LIMIT ? OFFSET ?", vec![page.0.into(), page.1.into()])
        }
        None => {
            let (queued, ended, most) = match filter.limit {
                0 => (DEFAULT_LIMIT, DEFAULT_ENDED, usize::MAX),
                limit => (limit, limit, limit as usize),
            };
            let [queued, ended] = [queued, ended].map(|count| i64::from(count) + i64::from(filter.offset));
            let mut names = list(RUNNING, vec![])?;
            names.extend(list(QUEUED, vec![queued.into(), 0.into()])?);
            names.extend(list(LAST_ENDED, vec![ended.into()])?);
            Ok(names.into_iter().skip(filter.offset as usize).take(most).collect())
        }
    }
}

/// Returns the view of a spec whose row cannot be read. The view has only the id, title, status, repository,
/// worktree and cause.
fn unreadable_view(c: &Connection, spec: &SpecId, detail: String) -> Result<SpecView, QueueError> {
    let (title, status, repo, worktree) = c
        .prepare_cached("SELECT title, status, repo, worktree FROM specs WHERE id = ?")?
        .query_row([spec.as_str()], |row| Ok((row.get(0)?, row.get::<_, String>(1)?, row.get(2)?, row.get(3)?)))?;
    Ok(SpecView {
        git: None,
        id: spec.clone(),
        title,
        status: SpecStatus::from_name(&status).unwrap_or(SpecStatus::Running),
        reason: None,
        cause: Some(Cause::Quarantined { detail }),
        priority: 0,
        attempt: 0,
        config_generation: None,
        branch: None,
        repo,
        base_commit: None,
        worktree,
        delivery: None,
        merged_by: None,
        queued_at: Timestamp(0),
        started_at: None,
        attempt_started_at: None,
        finished_at: None,
        tasks: Vec::new(),
        usage: Usage::default(),
        kept: Vec::new(),
        repository_changes: Vec::new(),
    })
}

fn view(c: &Connection, spec: &SpecId, history: bool) -> Result<SpecView, QueueError> {
    read_view(c, spec, history).map_err(|error| match error {
        QueueError::Internal(source) => match source.downcast::<rusqlite::Error>() {
            Ok(error) => unreadable_column(spec, *error),
            Err(source) => QueueError::Internal(source),
        },
        error => error,
    })
}

fn read_view(c: &Connection, spec: &SpecId, history: bool) -> Result<SpecView, QueueError> {
    let (mut view, waits) = c
        .prepare_cached(
            "SELECT s.title, s.status, s.cause, s.priority, s.attempt, a.generation, s.has_branch, s.repo, s.origin,
                    s.worktree, s.delivery, s.queued_at, s.started_at, s.finished_at, s.turns, s.input_tokens,
                    s.output_tokens, s.cost_usd, s.unpriced_runs, s.open_deps, a.intent, s.quarantine, a.started_at,
                    s.merged_by
               FROM specs s LEFT JOIN attempts a ON a.spec = s.id AND a.number = s.attempt WHERE s.id = ?",
        )?
        .query_row([spec.as_str()], |row| {
            let name: String = row.get(1)?;
            let known = SpecStatus::from_name(&name);
            // If the status is unknown, a command of the spec may be running, so the spec is shown as
            // running. `boi cancel` treats it as running, too.
            let status = known.unwrap_or(SpecStatus::Running);
            let quarantine = match known {
                Some(_) => row.get(21)?,
                None => Some(format!("status: this version of boi does not know `{name}`")),
            };
            let waits = status == SpecStatus::Queued && row.get::<_, i64>(19)? > 0;
            let ending = status == SpecStatus::Running && row.get::<_, Option<String>>(20)?.is_some();
            let cause = match (quarantine, row.get::<_, Option<String>>(2)?) {
                (Some(detail), _) => Some(Cause::Quarantined { detail }),
                (None, Some(text)) => Some(serde_json::from_str(&text).unwrap_or(Cause::Recorded { words: text })),
                (None, None) => ending.then_some(Cause::Ending),
            };
            let waits = waits && cause.is_none();
            let delivery = row.get::<_, Option<String>>(10)?.and_then(|name| Delivery::from_name(&name));
            let is_by_user = row.get::<_, Option<String>>(23)?.as_deref() == Some(MergedBy::User.as_str());
            let merged_by = if is_by_user { MergedBy::User } else { MergedBy::Boi };
            let view = SpecView {
                git: None,
                id: spec.clone(),
                title: row.get(0)?,
                status,
                reason: None,
                cause,
                priority: row.get(3)?,
                attempt: row.get(4)?,
                config_generation: row.get(5)?,
                branch: row.get::<_, bool>(6)?.then(|| spec.branch()),
                repo: row.get(7)?,
                base_commit: row.get(8)?,
                worktree: row.get(9)?,
                delivery,
                merged_by: (delivery == Some(Delivery::Merged)).then_some(merged_by),
                queued_at: Timestamp(row.get(11)?),
                started_at: row.get::<_, Option<i64>>(12)?.map(Timestamp),
                attempt_started_at: match status {
                    SpecStatus::Running => row.get::<_, Option<i64>>(22)?.map(Timestamp),
                    _ => None,
                },
                finished_at: row.get::<_, Option<i64>>(13)?.map(Timestamp),
                tasks: Vec::new(),
                usage: usage(row, 14)?,
                kept: Vec::new(),
                repository_changes: Vec::new(),
            };
            Ok((view, waits))
        })?;
    if waits {
        view.cause = Some(Cause::WaitsFor { specs: awaited(c, spec)? });
    }
    view.tasks = c
        .prepare_cached("SELECT id, title, status, tries, commit_id FROM tasks WHERE spec = ? ORDER BY idx")?
        .query_map([spec.as_str()], |row| {
            Ok(TaskView {
                id: row.get(0)?,
                title: row.get(1)?,
                // An unknown status, such as one of a newer version, is shown as pending.
                status: TaskStatus::from_name(&row.get::<_, String>(2)?).unwrap_or(TaskStatus::Pending),
                tries: row.get(3)?,
                commit: row.get(4)?,
                history: Vec::new(),
            })
        })?
        .collect::<Result<_, _>>()?;
    view.kept = c
        .prepare_cached("SELECT ref FROM kept WHERE spec = ? ORDER BY ref")?
        .query_map([spec.as_str()], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    view.repository_changes = repository_changes::of_spec(c, spec)?;
    if history {
        tries(c, spec, &mut view.tasks)?;
    }
    Ok(view)
}

fn tries(c: &Connection, spec: &SpecId, tasks: &mut [TaskView]) -> Result<(), QueueError> {
    let mut statement = c.prepare_cached(
        "SELECT idx, number, attempt, started_at, ended_at, outcome, rejected, session_id, turns, input_tokens,
                output_tokens, cost_usd, unpriced_runs FROM tries WHERE spec = ? ORDER BY idx, number",
    )?;
    let mut rows = statement.query([spec.as_str()])?;
    while let Some(row) = rows.next()? {
        let outcome = row.get::<_, Option<String>>(5)?.map(|text| {
            serde_json::from_str::<TryOutcome>(&text)
                .map_or_else(|_| UNREADABLE.to_owned(), |outcome| outcome.describe())
        });
        let rejected = row.get::<_, Option<String>>(6)?.map(|text| {
            serde_json::from_str::<Failure>(&text).map_or_else(|_| UNREADABLE.to_owned(), |failure| failure.sentence())
        });
        let index: usize = row.get(0)?;
        if let Some(task) = tasks.get_mut(index) {
            task.history.push(TryView {
                number: row.get(1)?,
                attempt: row.get(2)?,
                started_at: Timestamp(row.get(3)?),
                finished_at: row.get::<_, Option<i64>>(4)?.map(Timestamp),
                outcome: rejected.or(outcome),
                session_id: row.get(7)?,
                usage: usage(row, 8)?,
            });
        }
    }
    Ok(())
}

/// Returns the first specs that a spec still waits for, at most [`AWAITED_SHOWN`].
fn awaited(c: &Connection, spec: &SpecId) -> Result<Vec<Awaited>, QueueError> {
    let open: Vec<(String, bool)> = c
        .prepare_cached(
            "SELECT d.needs, s.status = 'completed' FROM deps d JOIN specs s ON s.id = d.needs WHERE d.spec = ?
                AND NOT (s.status = 'completed' AND (NOT s.merges OR coalesce(s.delivery, '') = 'merged'))
              ORDER BY s.seq LIMIT ?",
        )?
        .query_map(params![spec.as_str(), AWAITED_SHOWN], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    open.into_iter().map(|(name, merge)| Ok(Awaited { id: id(&name)?, merge })).collect()
}

fn usage(row: &Row<'_>, first: usize) -> rusqlite::Result<Usage> {
    Ok(Usage {
        turns: row.get(first)?,
        input_tokens: row.get(first + 1)?,
        output_tokens: row.get(first + 2)?,
        cost_usd: row.get(first + 3)?,
        unpriced_runs: row.get(first + 4)?,
    })
}

pub(super) fn status(spec: &SpecId, name: &str) -> Result<SpecStatus, QueueError> {
    SpecStatus::from_name(name)
        .ok_or_else(|| unreadable(spec, format!("status: this version of boi does not know `{name}`")))
}

/// Returns the stored ids that are valid spec ids. A row with an invalid id is skipped, so that the other
/// rows can still be read; `boi doctor` reports such a row.
fn well_formed(names: &[String]) -> impl Iterator<Item = SpecId> {
    names.iter().filter_map(|name| name.parse().ok())
}

/// Returns the stored ids that are not valid spec ids.
pub(super) fn malformed_ids(c: &Connection) -> Result<Vec<String>, QueueError> {
    let mut names: Vec<String> =
        c.prepare("SELECT id FROM specs ORDER BY seq")?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    names.retain(|name| name.parse::<SpecId>().is_err());
    Ok(names)
}

/// Parses a stored id that another row refers to.
pub(super) fn id(name: &str) -> Result<SpecId, QueueError> {
    name.parse().map_err(QueueError::internal)
}

fn task_status(row: &Row<'_>, column: usize) -> rusqlite::Result<TaskStatus> {
    let name: String = row.get(column)?;
    TaskStatus::from_name(&name).ok_or_else(|| {
        let why = format!("task status: this version of boi does not know `{name}`");
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, why.into())
    })
}

/// Maps an error about the content of a spec's column to `Unreadable`, and any other error to an error of the database.
pub(super) fn unreadable_column(spec: &SpecId, error: rusqlite::Error) -> QueueError {
    match error {
        rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::InvalidColumnType(..) => unreadable(spec, error.to_string()),
        error => error.into(),
    }
}

fn unreadable(spec: &SpecId, detail: impl Into<String>) -> QueueError {
    QueueError::Unreadable { spec: spec.clone(), detail: detail.into() }
}

fn decode<T: DeserializeOwned>(spec: &SpecId, what: &str, text: &str) -> Result<T, QueueError> {
    serde_json::from_str(text).map_err(|error| unreadable(spec, format!("{what}: {error}")))
}
