//! The verbs that only read. Listings and counts never read the stored text of specs, which may be long.

use std::collections::HashMap;

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::de::DeserializeOwned;

use super::landings;
use super::rows::CURRENT_ATTEMPT;
use crate::config::WorkerConfig;
use crate::domain::id::SpecId;
use crate::domain::landing::SentBack;
use crate::domain::life::{Intent, SpecStatus, TaskStatus};
use crate::domain::money::Usd;
use crate::domain::position::Position;
use crate::domain::position_record::read_stage;
use crate::domain::repository_config::RepositoryConfig;
use crate::domain::spec::Spec;
use crate::domain::time::Timestamp;
use crate::domain::view::Counts;
use crate::queue::review::TaskNote;
use crate::queue::{Claimed, CommandRow, Fence, Owner, Quarantined, QueueError, RunningSpecs};

// Some queries name their index: without statistics, SQLite's planner would scan the whole queue for them.
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
pub(super) const UNMERGED_COUNT: &str = "SELECT count(*) FROM (SELECT 1 FROM specs INDEXED BY specs_unmerged
     WHERE delivery = 'unmerged' AND +status = 'completed' LIMIT 10000)";

/// Selects the dropped specs, the last one first.
pub(super) const DROPPED: &str = "SELECT id FROM specs INDEXED BY specs_dropped WHERE status = 'dropped'
     ORDER BY finished_at DESC, seq DESC LIMIT ? OFFSET ?";

pub(super) fn scope(c: &Connection, ids: &[SpecId]) -> Result<Vec<SpecId>, QueueError> {
    let names: Vec<String> =
        c.prepare_cached(SCOPE)?.query_map([ids_json(ids)], |row| row.get(0))?.collect::<Result<_, _>>()?;
    names.iter().map(|name| id(name)).collect()
}

pub(super) fn ids_json(ids: &[SpecId]) -> String {
    serde_json::Value::from(ids.iter().map(SpecId::as_str).collect::<Vec<_>>()).to_string()
}

pub(super) fn claimed(
    c: &Connection,
    spec: &SpecId,
    owner: &Owner,
    known: Option<(&str, &WorkerConfig)>,
) -> Result<Claimed, QueueError> {
    let row = c
        .prepare_cached(
            "SELECT s.attempt, s.body, a.config, a.position, a.intent, s.setbacks, a.started_at IS NOT NULL,
                    s.worktree, s.cost_usd, s.max_usd, n.idx, n.note, s.sent_back, s.repository_config
               FROM specs s JOIN attempts a ON a.spec = s.id AND a.number = s.attempt
               LEFT JOIN notes n ON n.spec = s.id AND n.attempt = s.attempt WHERE s.id = ?",
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
                (row.get::<_, Option<String>>(7)?, row.get::<_, Option<String>>(13)?),
                (row.get::<_, f64>(8)?, row.get::<_, Option<f64>>(9)?),
                (
                    row.get::<_, Option<usize>>(10)?,
                    row.get::<_, Option<String>>(11)?,
                    row.get::<_, Option<String>>(12)?,
                ),
            ))
        })
        .optional()
        .map_err(|error| unreadable_column(spec, error))?;
    let Some((attempt, body, config, position, intent, setbacks, started, (worktree, repository_config), money, note)) =
        row
    else {
        return Err(unreadable(spec, "the record of its current attempt is missing"));
    };
    let (spent, max_usd) = money;
    let mut body: Spec = decode(spec, "spec", &body)?;
    complete(spec, &mut body, repository_config.as_deref())?;
    let sent: Option<SentBack> = note.2.map(|text| decode(spec, "record of the landing", &text)).transpose()?;
    if let Some(sent) = &sent {
        body.add_landing_task(sent);
    }
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
    let config = match known {
        Some((text, known)) if text == config => known.clone(),
        _ => decode(spec, "worker configuration", &config)?,
    };
    for (agent, other) in &config.instead {
        body.replace_agent(agent, other);
    }
    let is_open = tasks.last().is_some_and(|(status, _)| *status != TaskStatus::Done);
    let onto = sent.filter(|_| body.is_sent_back && is_open).map(|sent| sent.onto);
    Ok(Claimed {
        fence: Fence { spec: spec.clone(), attempt },
        owner: owner.clone(),
        spec: body,
        config,
        position,
        tasks,
        intent: intent.transpose()?,
        setbacks,
        started,
        worktree,
        spent: usd(spent),
        max_usd: max_usd.map(usd),
        note: note.0.zip(note.1).map(|(task, text)| TaskNote { task, text }),
        onto,
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
    let mut running = RunningSpecs { claimed: landings::running(c, owner)?, quarantined: vec![] };
    for spec in well_formed(&names) {
        match claimed(c, &spec, owner, None) {
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
    let row: Option<(String, Option<String>)> = c
        .prepare_cached("SELECT body, repository_config FROM specs WHERE id = ?")?
        .query_row([spec.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (body, config) = row.ok_or_else(|| QueueError::NotFound(spec.clone()))?;
    let mut body = decode(spec, "spec", &body)?;
    complete(spec, &mut body, config.as_deref())?;
    Ok(body)
}

/// Completes a spec with the stored configuration of its repository, if there is one.
fn complete(id: &SpecId, spec: &mut Spec, config: Option<&str>) -> Result<(), QueueError> {
    if let Some(config) = config {
        decode::<RepositoryConfig>(id, "configuration of the repository", config)?.complete(spec);
    }
    Ok(())
}

/// Returns the spec, with the task that boi added if it was sent back to its agent.
pub(super) fn spec_with_tasks(c: &Connection, id: &SpecId) -> Result<Spec, QueueError> {
    let mut body = spec(c, id)?;
    if let Some(sent) = sent_back(c, id)? {
        body.add_landing_task(&sent);
    }
    Ok(body)
}

/// Returns why the spec was last sent back to its agent; `None`: it never was.
fn sent_back(c: &Connection, spec: &SpecId) -> Result<Option<SentBack>, QueueError> {
    let text: Option<String> =
        c.prepare_cached("SELECT sent_back FROM specs WHERE id = ?")?.query_row([spec.as_str()], |row| row.get(0))?;
    text.map(|text| decode(spec, "record of the landing", &text)).transpose()
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
    let mut statement = c.prepare_cached(
        "SELECT attempt, number, step, began_at FROM commands WHERE spec = ? ORDER BY attempt, number",
    )?;
    let mut rows = statement.query([spec.as_str()])?;
    let mut commands = Vec::new();
    while let Some(row) = rows.next()? {
        let stage = read_stage(&row.get::<_, String>(2)?).ok();
        let began_at = Timestamp(row.get(3)?);
        commands.push(CommandRow { attempt: row.get(0)?, number: row.get(1)?, stage, began_at });
    }
    Ok(commands)
}

pub(super) fn counts(c: &Connection) -> Result<Counts, QueueError> {
    let rows: HashMap<String, u64> = c
        .prepare_cached("SELECT status, n FROM counts")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let unmerged = c.prepare_cached(UNMERGED_COUNT)?.query_row([], |row| row.get(0))?;
    let of = |status: SpecStatus| rows.get(status.as_str()).copied().unwrap_or(0);
    Ok(Counts {
        queued: of(SpecStatus::Queued),
        running: of(SpecStatus::Running),
        completed: of(SpecStatus::Completed),
        failed: of(SpecStatus::Failed),
        canceled: of(SpecStatus::Canceled),
        unmerged,
        dropped: of(SpecStatus::Dropped),
    })
}

pub(super) fn status(spec: &SpecId, name: &str) -> Result<SpecStatus, QueueError> {
    SpecStatus::from_name(name)
        .ok_or_else(|| unreadable(spec, format!("status: this version of boi does not know `{name}`")))
}

/// Returns a stored number of dollars as an amount; 0 if it cannot be an amount, since an agent may have
/// reported any number.
pub(super) fn usd(dollars: f64) -> Usd {
    Usd::from_dollars(dollars).unwrap_or_default()
}

/// Returns the stored ids that are valid spec ids. A row with an invalid id is skipped, so that the other
/// rows can still be read; `boi doctor` reports such a row.
pub(super) fn well_formed(names: &[String]) -> impl Iterator<Item = SpecId> {
    names.iter().filter_map(|name| name.parse().ok())
}

/// Selects all ids that boi does not write, and no other: the few that are left are parsed.
const OTHER_IDS: &str = "SELECT id FROM specs
      WHERE id NOT GLOB 'S[0-9A-F][0-9A-F][0-9A-F][0-9A-F]*' OR substr(id, 2) GLOB '*[^0-9A-F]*' OR length(id) > 17
      ORDER BY +seq";

/// Returns the stored ids that are not valid spec ids.
pub(super) fn malformed_ids(c: &Connection) -> Result<Vec<String>, QueueError> {
    let mut names: Vec<String> = c.prepare(OTHER_IDS)?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
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

pub(super) fn decode<T: DeserializeOwned>(spec: &SpecId, what: &str, text: &str) -> Result<T, QueueError> {
    serde_json::from_str(text).map_err(|error| unreadable(spec, format!("{what}: {error}")))
}
