//! The verbs that only look. Nothing here reads a spec's text unless that spec is asked for.

use std::collections::HashMap;

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};
use serde::de::DeserializeOwned;

use crate::decide::step;
use crate::domain::attempt::{Intent, SpecStatus, TaskStatus};
use crate::domain::id::SpecId;
use crate::domain::outcome::{Delivery, Failure, TryOutcome, Usage};
use crate::domain::spec::Spec;
use crate::domain::time::Timestamp;
use crate::domain::view::{Counts, SpecView, TaskView, TryView};
use crate::queue::{Claimed, CommandRow, Fence, Filter, Listing, StoreError};

/// How many specs a listing shows when nobody says: the queue's beginning, and the last that ended.
const USUAL: u32 = 50;
const USUAL_ENDED: u32 = 10;

/// The indexes are named because the planner, which knows no numbers, would rather walk the whole queue in its order.
pub(super) const READY: &str = "SELECT id FROM specs INDEXED BY specs_ready
     WHERE status = 'queued' AND open_deps = 0 AND not_before IS NULL ORDER BY priority, seq LIMIT ?1";
/// As `READY`, out of a scope alone, which is small: looked up by id.
pub(super) const READY_IN_SCOPE: &str = "WITH RECURSIVE scope(id) AS
         (SELECT value FROM json_each(?1) UNION SELECT deps.needs FROM deps JOIN scope ON deps.spec = scope.id)
     SELECT specs.id FROM scope CROSS JOIN specs ON specs.id = scope.id
      WHERE +status = 'queued' AND open_deps = 0 AND not_before IS NULL ORDER BY priority, seq LIMIT ?2";
const SCOPE: &str = "WITH RECURSIVE scope(id) AS
         (SELECT value FROM json_each(?1) UNION SELECT deps.needs FROM deps JOIN scope ON deps.spec = scope.id)
     SELECT id FROM scope";
pub(super) const DUE: &str =
    "SELECT min(not_before) FROM specs INDEXED BY specs_due WHERE status = 'queued' AND not_before IS NOT NULL";
pub(super) const STARTS: &str = "SELECT started_at FROM attempts WHERE started_at >= ? ORDER BY 1";
pub(super) const RUNNING: &str = "SELECT id FROM specs WHERE status = 'running' ORDER BY seq";
pub(super) const QUEUED: &str = "SELECT id FROM specs WHERE status = 'queued' ORDER BY priority, seq LIMIT ? OFFSET ?";
pub(super) const LAST_ENDED: &str = "SELECT id FROM specs INDEXED BY specs_ended
     WHERE status IN ('completed', 'failed', 'canceled') ORDER BY finished_at DESC, seq DESC LIMIT ?";
pub(super) const ENDED_AS: &str = "SELECT id FROM specs INDEXED BY specs_ended_as
     WHERE status = ? AND status IN ('completed', 'failed', 'canceled')
     ORDER BY finished_at DESC, seq DESC LIMIT ? OFFSET ?";

pub(super) fn eligible(c: &Connection, limit: u32, scope: Option<&[SpecId]>) -> Result<u32, StoreError> {
    Ok(u32::try_from(ready(c, limit, scope)?.len()).unwrap_or(u32::MAX))
}

/// The first `limit` specs that could be claimed, in the order of the queue.
pub(super) fn ready(c: &Connection, limit: u32, scope: Option<&[SpecId]>) -> Result<Vec<SpecId>, StoreError> {
    let names: Vec<String> = match scope {
        None => c.prepare_cached(READY)?.query_map([limit], |row| row.get(0))?.collect::<Result<_, _>>()?,
        Some(ids) => c
            .prepare_cached(READY_IN_SCOPE)?
            .query_map(params![ids_json(ids), limit], |row| row.get(0))?
            .collect::<Result<_, _>>()?,
    };
    names.iter().map(|name| id(name)).collect()
}

pub(super) fn scope(c: &Connection, ids: &[SpecId]) -> Result<Vec<SpecId>, StoreError> {
    let names: Vec<String> =
        c.prepare_cached(SCOPE)?.query_map([ids_json(ids)], |row| row.get(0))?.collect::<Result<_, _>>()?;
    names.iter().map(|name| id(name)).collect()
}

fn ids_json(ids: &[SpecId]) -> String {
    serde_json::Value::from(ids.iter().map(SpecId::as_str).collect::<Vec<_>>()).to_string()
}

pub(super) fn claimed(c: &Connection, spec: &SpecId) -> Result<Claimed, StoreError> {
    let (attempt, body, config, position, intent, setbacks, started, worktree) = c
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
        })?;
    let tasks = c
        .prepare_cached("SELECT status, tries FROM tasks WHERE spec = ? ORDER BY idx")?
        .query_map([spec.as_str()], |row| Ok((task_status(row, 0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    Ok(Claimed {
        fence: Fence { spec: spec.clone(), attempt },
        spec: decode(spec, &body)?,
        config: decode(spec, &config)?,
        position: decode(spec, &position)?,
        tasks,
        intent: intent.and_then(|name| match name.as_str() {
            "cancel" => Some(Intent::Cancel),
            "stop" => Some(Intent::Stop),
            _ => None,
        }),
        setbacks,
        started,
        worktree,
    })
}

pub(super) fn running(c: &Connection) -> Result<Vec<Claimed>, StoreError> {
    let names: Vec<String> = c.prepare_cached(RUNNING)?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    names.iter().map(|name| claimed(c, &id(name)?)).collect()
}

pub(super) fn starts_since(c: &Connection, since: Timestamp) -> Result<Vec<Timestamp>, StoreError> {
    Ok(c.prepare_cached(STARTS)?.query_map([since.0], |row| Ok(Timestamp(row.get(0)?)))?.collect::<Result<_, _>>()?)
}

pub(super) fn next_due(c: &Connection) -> Result<Option<Timestamp>, StoreError> {
    let due: Option<i64> = c.prepare_cached(DUE)?.query_row([], |row| row.get(0))?;
    Ok(due.map(Timestamp))
}

pub(super) fn paused(c: &Connection) -> Result<bool, StoreError> {
    let value: Option<String> = c
        .prepare_cached("SELECT value FROM settings WHERE name = 'paused'")?
        .query_row([], |row| row.get(0))
        .optional()?;
    Ok(value.as_deref() == Some("true"))
}

pub(super) fn spec(c: &Connection, spec: &SpecId) -> Result<Spec, StoreError> {
    let body: Option<String> = c
        .prepare_cached("SELECT body FROM specs WHERE id = ?")?
        .query_row([spec.as_str()], |row| row.get(0))
        .optional()?;
    decode(spec, &body.ok_or_else(|| StoreError::Unknown(spec.clone()))?)
}

pub(super) fn commands(c: &Connection, spec: &SpecId) -> Result<Vec<CommandRow>, StoreError> {
    let mut statement =
        c.prepare_cached("SELECT attempt, number, step FROM commands WHERE spec = ? ORDER BY attempt, number")?;
    let mut rows = statement.query([spec.as_str()])?;
    let mut commands = Vec::new();
    while let Some(row) = rows.next()? {
        let step = decode(spec, &row.get::<_, String>(2)?)?;
        commands.push(CommandRow { attempt: row.get(0)?, number: row.get(1)?, step });
    }
    Ok(commands)
}

pub(super) fn counts(c: &Connection) -> Result<Counts, StoreError> {
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

pub(super) fn specs(c: &Connection, filter: &Filter) -> Result<Listing, StoreError> {
    let names = chosen(c, filter)?;
    let limit = if filter.limit == 0 { USUAL } else { filter.limit } as usize;
    let (shown, more) = if filter.ids.is_empty() && (filter.all || filter.status.is_some()) {
        (&names[..names.len().min(limit)], names.len() > limit)
    } else {
        let total = counts(c)?;
        let all = total.queued + total.running + total.completed + total.failed + total.canceled;
        (&names[..], filter.ids.is_empty() && (names.len() as u64) < all)
    };
    let specs = shown.iter().map(|name| view(c, &id(name)?, filter.history)).collect::<Result<_, _>>()?;
    Ok(Listing { specs, more })
}

/// The ids that a filter selects; one more than the limit where there are more.
fn chosen(c: &Connection, filter: &Filter) -> Result<Vec<String>, StoreError> {
    if !filter.ids.is_empty() {
        for spec in &filter.ids {
            if !c.prepare_cached("SELECT 1 FROM specs WHERE id = ?")?.exists([spec.as_str()])? {
                return Err(StoreError::Unknown(spec.clone()));
            }
        }
        return Ok(filter.ids.iter().map(|spec| spec.as_str().to_owned()).collect());
    }
    let limit = if filter.limit == 0 { USUAL } else { filter.limit };
    let page = (i64::from(limit) + 1, i64::from(filter.offset));
    let list = |sql: &str, values: Vec<rusqlite::types::Value>| -> Result<Vec<String>, StoreError> {
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
            let mut names = list(RUNNING, vec![])?;
            names.extend(list(QUEUED, vec![i64::from(limit).into(), 0.into()])?);
            names.extend(list(LAST_ENDED, vec![i64::from(USUAL_ENDED).into()])?);
            Ok(names)
        }
    }
}

fn view(c: &Connection, spec: &SpecId, history: bool) -> Result<SpecView, StoreError> {
    let mut view = c
        .prepare_cached(
            "SELECT s.title, s.status, s.reason, s.priority, s.attempt, a.generation, s.has_branch, s.repo, s.origin,
                    s.worktree, s.delivery, s.queued_at, s.started_at, s.finished_at, s.turns, s.input_tokens,
                    s.output_tokens, s.cost_usd, s.open_deps, a.intent
               FROM specs s LEFT JOIN attempts a ON a.spec = s.id AND a.number = s.attempt WHERE s.id = ?",
        )?
        .query_row([spec.as_str()], |row| {
            let status = spec_status(row, 1)?;
            let waits = status == SpecStatus::Queued && row.get::<_, i64>(18)? > 0;
            let ending = status == SpecStatus::Running && row.get::<_, Option<String>>(19)?.is_some();
            let reason = match row.get::<_, Option<String>>(2)? {
                Some(reason) => Some(reason),
                None if waits => Some(String::new()),
                None if ending => Some("its worker is being ended".to_owned()),
                None => None,
            };
            Ok(SpecView {
                id: spec.clone(),
                title: row.get(0)?,
                status,
                reason,
                priority: row.get(3)?,
                attempt: row.get(4)?,
                config_generation: row.get(5)?,
                branch: row.get::<_, bool>(6)?.then(|| spec.branch()),
                repo: row.get(7)?,
                base_commit: row.get(8)?,
                worktree: row.get(9)?,
                delivery: row.get::<_, Option<String>>(10)?.and_then(|name| delivery(&name)),
                queued_at: Timestamp(row.get(11)?),
                started_at: row.get::<_, Option<i64>>(12)?.map(Timestamp),
                finished_at: row.get::<_, Option<i64>>(13)?.map(Timestamp),
                tasks: Vec::new(),
                usage: usage(row, 14)?,
                kept: Vec::new(),
            })
        })?;
    if view.reason.as_deref() == Some("") {
        view.reason = Some(waits_for(c, spec)?);
    }
    view.tasks = c
        .prepare_cached("SELECT id, title, status, tries, commit_id FROM tasks WHERE spec = ? ORDER BY idx")?
        .query_map([spec.as_str()], |row| {
            Ok(TaskView {
                id: row.get(0)?,
                title: row.get(1)?,
                status: task_status(row, 2)?,
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
    if history {
        tries(c, spec, &mut view.tasks)?;
    }
    Ok(view)
}

fn tries(c: &Connection, spec: &SpecId, tasks: &mut [TaskView]) -> Result<(), StoreError> {
    let mut statement = c.prepare_cached(
        "SELECT idx, number, attempt, started_at, ended_at, outcome, rejected, session_id, turns, input_tokens,
                output_tokens, cost_usd FROM tries WHERE spec = ? ORDER BY idx, number",
    )?;
    let mut rows = statement.query([spec.as_str()])?;
    while let Some(row) = rows.next()? {
        let outcome: Option<TryOutcome> =
            row.get::<_, Option<String>>(5)?.map(|text| decode(spec, &text)).transpose()?;
        let rejected: Option<Failure> = row.get::<_, Option<String>>(6)?.map(|text| decode(spec, &text)).transpose()?;
        let index: usize = row.get(0)?;
        if let Some(task) = tasks.get_mut(index) {
            task.history.push(TryView {
                number: row.get(1)?,
                attempt: row.get(2)?,
                started_at: Timestamp(row.get(3)?),
                finished_at: row.get::<_, Option<i64>>(4)?.map(Timestamp),
                outcome: match (rejected, outcome) {
                    (Some(failure), _) => Some(step::sentence(&failure)),
                    (None, outcome) => outcome.map(|outcome| outcome.describe()),
                },
                session_id: row.get(7)?,
                usage: usage(row, 8)?,
            });
        }
    }
    Ok(())
}

fn waits_for(c: &Connection, spec: &SpecId) -> Result<String, StoreError> {
    let open: Vec<String> = c
        .prepare_cached(
            "SELECT d.needs || CASE WHEN s.status = 'completed' THEN ' to be merged' ELSE '' END
               FROM deps d JOIN specs s ON s.id = d.needs WHERE d.spec = ?
                AND NOT (s.status = 'completed' AND (NOT s.merges OR coalesce(s.delivery, '') = 'merged'))
              ORDER BY s.seq LIMIT 8",
        )?
        .query_map([spec.as_str()], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    Ok(format!("waits for {}", open.join(", ")))
}

fn usage(row: &Row<'_>, first: usize) -> rusqlite::Result<Usage> {
    Ok(Usage {
        turns: row.get(first)?,
        input_tokens: row.get(first + 1)?,
        output_tokens: row.get(first + 2)?,
        cost_usd: row.get(first + 3)?,
    })
}

fn delivery(name: &str) -> Option<Delivery> {
    match name {
        "branch" => Some(Delivery::Branch),
        "merged" => Some(Delivery::Merged),
        "unmerged" => Some(Delivery::Unmerged),
        _ => None,
    }
}

pub(super) fn intent_name(intent: Intent) -> &'static str {
    match intent {
        Intent::Cancel => "cancel",
        Intent::Stop => "stop",
    }
}

pub(super) fn status(name: &str) -> Result<SpecStatus, StoreError> {
    SpecStatus::from_name(name).ok_or_else(|| StoreError::Sql(wrong(0, name)))
}

pub(super) fn id(name: &str) -> Result<SpecId, StoreError> {
    name.parse().map_err(|_| StoreError::Sql(wrong(0, name)))
}

fn spec_status(row: &Row<'_>, column: usize) -> rusqlite::Result<SpecStatus> {
    let name: String = row.get(column)?;
    SpecStatus::from_name(&name).ok_or_else(|| wrong(column, &name))
}

fn task_status(row: &Row<'_>, column: usize) -> rusqlite::Result<TaskStatus> {
    let name: String = row.get(column)?;
    TaskStatus::from_name(&name).ok_or_else(|| wrong(column, &name))
}

fn wrong(column: usize, text: &str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, format!("`{text}` is none of the known").into())
}

fn decode<T: DeserializeOwned>(spec: &SpecId, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|source| StoreError::Damaged { what: spec.to_string(), source })
}
