//! Reads what `boi status` shows of specs. Nothing here reads the stored text of a spec, which may be long.

use rusqlite::{Connection, Row, params, params_from_iter};

use super::attention;
use super::read::{DROPPED, ENDED_AS, LAST_ENDED, QUEUED, RUNNING, counts, id, unreadable_column, usd, well_formed};
use super::{repository_changes, review};
use crate::domain::cause::{Awaited, Cause};
use crate::domain::failure::Failure;
use crate::domain::id::SpecId;
use crate::domain::life::{SpecStatus, TaskStatus};
use crate::domain::outcome::{Delivery, MergedBy, TryOutcome, Usage};
use crate::domain::time::Timestamp;
use crate::domain::view::{SpecView, TaskView, TryView};
use crate::queue::{Filter, Listing, QueueError};

/// How many queued specs the default listing shows, and how many specs a page has by default.
const DEFAULT_LIMIT: u32 = 50;
/// How many ended specs the default listing shows.
const DEFAULT_ENDED: u32 = 10;
/// The largest number of specs that the cause `WaitsFor` names.
const AWAITED_SHOWN: u32 = 8;

/// The outcome that is shown for a try whose record this version cannot read.
const UNREADABLE: &str = "this version of boi cannot read the record of the outcome";

pub(super) fn list(c: &Connection, filter: &Filter) -> Result<Listing, QueueError> {
    let limit = if filter.limit == 0 { DEFAULT_LIMIT } else { filter.limit } as usize;
    let needs_user = filter.attention && filter.ids.is_empty() && filter.status.is_none() && !filter.all;
    let (names, may_be_more) = match needs_user {
        true => attention::select(c, u32::try_from(limit).unwrap_or(u32::MAX))?,
        false => (select(c, filter)?, false),
    };
    let (shown, more) = if needs_user {
        (&names[..], may_be_more)
    } else if filter.ids.is_empty() && (filter.all || filter.status.is_some()) {
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
        Some(SpecStatus::Queued) if !filter.matching.is_empty() => {
            attention::matching(c, &filter.matching, limit, filter.offset)
        }
        Some(SpecStatus::Queued) => list(QUEUED, vec![page.0.into(), page.1.into()]),
        Some(SpecStatus::Running) => list(&format!("{RUNNING} LIMIT ? OFFSET ?"), vec![page.0.into(), page.1.into()]),
        Some(SpecStatus::Dropped) => list(DROPPED, vec![page.0.into(), page.1.into()]),
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
        next_agent: None,
        max_usd: None,
        max_tries: None,
        kept: Vec::new(),
        notes: Vec::new(),
        repository_changes: Vec::new(),
        copied: None,
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
                    s.worktree, s.delivery, s.queued_at, s.started_at, s.finished_at, s.open_deps, a.intent,
                    s.quarantine, a.started_at, s.merged_by, s.turns, s.input_tokens, s.cached_tokens,
                    s.output_tokens, s.cost_usd, s.estimated_usd, s.unpriced_runs, s.lane, s.max_usd,
                    CASE WHEN json_valid(a.config) THEN json_extract(a.config, '$.retry_count') + 1 END
               FROM specs s LEFT JOIN attempts a ON a.spec = s.id AND a.number = s.attempt WHERE s.id = ?",
        )?
        .query_row([spec.as_str()], |row| {
            let name: String = row.get(1)?;
            let known = SpecStatus::from_name(&name);
            // If the status is unknown, a command of the spec may be running, so the spec is shown as
            // running. `boi cancel` treats it as running, too.
            let status = known.unwrap_or(SpecStatus::Running);
            let quarantine = match known {
                Some(_) => row.get(16)?,
                None => Some(format!("status: this version of boi does not know `{name}`")),
            };
            let waits = status == SpecStatus::Queued && row.get::<_, i64>(14)? > 0;
            let ending = status == SpecStatus::Running && row.get::<_, Option<String>>(15)?.is_some();
            let cause = match (quarantine, row.get::<_, Option<String>>(2)?) {
                (Some(detail), _) => Some(Cause::Quarantined { detail }),
                (None, Some(text)) => Some(serde_json::from_str(&text).unwrap_or(Cause::Recorded { words: text })),
                (None, None) => ending.then_some(Cause::Ending),
            };
            let waits = waits && cause.is_none();
            let delivery = row.get::<_, Option<String>>(10)?.and_then(|name| Delivery::from_name(&name));
            let delivery = delivery.filter(|_| status != SpecStatus::Dropped);
            let is_by_user = row.get::<_, Option<String>>(18)?.as_deref() == Some(MergedBy::User.as_str());
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
                    SpecStatus::Running => row.get::<_, Option<i64>>(17)?.map(Timestamp),
                    _ => None,
                },
                finished_at: row.get::<_, Option<i64>>(13)?.map(Timestamp),
                tasks: Vec::new(),
                usage: usage(row, 19)?,
                next_agent: match status {
                    SpecStatus::Queued => Some(row.get::<_, String>(26)?).filter(|lane| !lane.is_empty()),
                    _ => None,
                },
                max_usd: row.get::<_, Option<f64>>(27)?.map(usd),
                // A configuration that cannot be read must not hide the spec.
                max_tries: row.get(28).unwrap_or(None),
                kept: Vec::new(),
                notes: Vec::new(),
                repository_changes: Vec::new(),
                copied: None,
            };
            Ok((view, waits))
        })?;
    if waits {
        view.cause = Some(Cause::WaitsFor { specs: awaited(c, spec)? });
    }
    view.tasks = c
        .prepare_cached(
            "SELECT t.id, t.title, t.status, t.tries, t.commit_id, t.unchanged, coalesce(sum(r.turns), 0),
                    coalesce(sum(r.input_tokens), 0), coalesce(sum(r.cached_tokens), 0),
                    coalesce(sum(r.output_tokens), 0), coalesce(sum(r.cost_usd), 0.0),
                    coalesce(sum(r.estimated_usd), 0.0), coalesce(sum(r.unpriced_runs), 0)
               FROM tasks t LEFT JOIN tries r ON r.spec = t.spec AND r.idx = t.idx
              WHERE t.spec = ? GROUP BY t.idx ORDER BY t.idx",
        )?
        .query_map([spec.as_str()], |row| {
            Ok(TaskView {
                id: row.get(0)?,
                title: row.get(1)?,
                // An unknown status, such as one of a newer version, is shown as pending.
                status: TaskStatus::from_name(&row.get::<_, String>(2)?).unwrap_or(TaskStatus::Pending),
                tries: row.get(3)?,
                commit: row.get(4)?,
                unchanged: row.get(5)?,
                usage: usage(row, 6)?,
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
        view.notes = review::notes(c, spec)?;
        tries(c, spec, &mut view.tasks)?;
    }
    Ok(view)
}

fn tries(c: &Connection, spec: &SpecId, tasks: &mut [TaskView]) -> Result<(), QueueError> {
    let mut statement = c.prepare_cached(
        "SELECT idx, number, attempt, started_at, ended_at, outcome, rejected, session_id, turns, input_tokens,
                cached_tokens, output_tokens, cost_usd, estimated_usd, unpriced_runs, evidence, message FROM tries WHERE spec = ? ORDER BY idx, number",
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
                evidence: row.get(15)?,
                message: row.get(16)?,
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

/// Reads the seven columns of a usage, starting at the column `first`.
pub(super) fn usage(row: &Row<'_>, first: usize) -> rusqlite::Result<Usage> {
    Ok(Usage {
        turns: row.get(first)?,
        input_tokens: row.get(first + 1)?,
        cached_tokens: row.get(first + 2)?,
        output_tokens: row.get(first + 3)?,
        cost_usd: row.get(first + 4)?,
        estimated_usd: row.get(first + 5)?,
        unpriced_runs: row.get(first + 6)?,
    })
}
