//! The queue's methods for lanes: the eligible specs of each lane, and the holds.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::events;
use super::read::ids_json;
use super::rows::encode;
use crate::domain::event::{Happening, HoldBegan, HoldEnded};
use crate::domain::hold::Hold;
use crate::domain::id::SpecId;
use crate::domain::lane::{Eligible, LaneLimit};
use crate::domain::time::Timestamp;
use crate::queue::QueueError;

pub(super) const ELIGIBLE: &str = "SELECT id, priority, seq, repo FROM specs INDEXED BY specs_eligible
     WHERE lane = ?1 AND status = 'queued' AND open_deps = 0 AND not_before IS NULL AND quarantine IS NULL
       AND blocked IS NULL ORDER BY priority, seq LIMIT ?2";
/// Selects the first eligible specs of a lane, only those of which no attempt has begun.
pub(super) const ELIGIBLE_NEW: &str = "SELECT id, priority, seq, repo FROM specs INDEXED BY specs_eligible
     WHERE lane = ?1 AND status = 'queued' AND open_deps = 0 AND not_before IS NULL AND quarantine IS NULL
       AND blocked IS NULL AND attempt = 0 ORDER BY priority, seq LIMIT ?2";
/// Selects the first lane after a given one, in alphabetical order, that has an eligible spec. So the lanes
/// are found without reading each spec.
pub(super) const NEXT_LANE: &str = "SELECT min(lane) FROM specs INDEXED BY specs_eligible
     WHERE lane > ?1 AND status = 'queued' AND open_deps = 0 AND not_before IS NULL AND quarantine IS NULL
       AND blocked IS NULL";
/// Selects a spec if it is eligible in the given lane.
pub(super) const IS_ELIGIBLE: &str = "SELECT id, priority, seq, repo FROM specs
     WHERE id = ?2 AND lane = ?1 AND +status = 'queued' AND open_deps = 0 AND not_before IS NULL AND quarantine IS NULL
       AND blocked IS NULL";
/// Selects all eligible specs of a scope. A scope is small, so its specs are looked up by id.
pub(super) const ELIGIBLE_IN_SCOPE: &str = "WITH RECURSIVE scope(id) AS
         (SELECT value FROM json_each(?1) UNION SELECT deps.needs FROM deps JOIN scope ON deps.spec = scope.id)
     SELECT specs.id, priority, seq, lane, attempt, repo FROM scope CROSS JOIN specs ON specs.id = scope.id
      WHERE +status = 'queued' AND open_deps = 0 AND not_before IS NULL AND quarantine IS NULL AND blocked IS NULL
      ORDER BY priority, seq";

/// How many specs of a lane a query reads at most to find one that works on another repository than those that are
/// skipped. Takes tens of milliseconds.
const SEARCHED: u32 = 20_000;

/// Returns the first eligible specs of each lane in `limits`, at most as many as the limit of the lane.
pub(super) fn eligible(
    c: &Connection,
    limits: &[LaneLimit],
    scope: Option<&[SpecId]>,
) -> Result<Vec<Eligible>, QueueError> {
    let Some(ids) = scope else {
        let mut found = Vec::new();
        for LaneLimit { lane, limit, first, instead, skipped } in limits {
            let is_skipped = |one: &Eligible| one.repo.as_ref().is_some_and(|repo| skipped.contains(repo));
            let name = lane_name(lane.as_deref());
            let eligible = |row: &Row<'_>| {
                let (lane, instead) = (lane.clone(), instead.clone());
                Ok(Eligible {
                    key: row.get(0)?,
                    repo: row.get(3)?,
                    lane,
                    priority: row.get(1)?,
                    seq: row.get(2)?,
                    instead,
                })
            };
            if let Some(first) = first {
                let mut statement = c.prepare_cached(IS_ELIGIBLE)?;
                let one = statement.query_row(params![name, first.as_str()], eligible).optional()?;
                if let Some(one) = one.filter(|one| !is_skipped(one)) {
                    found.push(one);
                    continue;
                }
            }
            let mut statement = c.prepare_cached(if instead.is_some() { ELIGIBLE_NEW } else { ELIGIBLE })?;
            let read = if skipped.is_empty() { *limit } else { SEARCHED.max(*limit) };
            let rows = statement.query_map(params![name, read], eligible)?;
            for one in rows.filter(|one| !one.as_ref().is_ok_and(is_skipped)).take(*limit as usize) {
                found.push(one?);
            }
        }
        return Ok(found);
    };
    let all: Vec<(Eligible, bool)> = c
        .prepare_cached(ELIGIBLE_IN_SCOPE)?
        .query_map([ids_json(ids)], |row| {
            let lane: String = row.get(3)?;
            let lane = (!lane.is_empty()).then_some(lane);
            let (repo, priority, seq) = (row.get(5)?, row.get(1)?, row.get(2)?);
            let one = Eligible { key: row.get(0)?, repo, lane, priority, seq, instead: None };
            Ok((one, row.get::<_, i64>(4)? == 0))
        })?
        .collect::<Result<_, _>>()?;
    let mut found = Vec::new();
    for LaneLimit { lane, limit, first, instead, skipped } in limits {
        let is_skipped = |one: &Eligible| one.repo.as_ref().is_some_and(|repo| skipped.contains(repo));
        let of_lane = || {
            let fits = all
                .iter()
                .filter(|(one, is_new)| one.lane == *lane && (*is_new || instead.is_none()) && !is_skipped(one));
            fits.map(|(one, _)| Eligible { instead: instead.clone(), ..one.clone() })
        };
        let first = first.as_ref().and_then(|first| of_lane().find(|one| one.key == first.as_str()));
        match first {
            Some(first) => found.push(first),
            None => found.extend(of_lane().take(*limit as usize)),
        }
    }
    Ok(found)
}

/// Returns the lanes that have an eligible spec.
pub(super) fn lanes(c: &Connection, scope: Option<&[SpecId]>) -> Result<Vec<Option<String>>, QueueError> {
    if let Some(ids) = scope {
        let mut statement = c.prepare_cached(ELIGIBLE_IN_SCOPE)?;
        let lanes = statement.query_map([ids_json(ids)], |row| row.get::<_, String>(3))?;
        let lanes: BTreeSet<String> = lanes.collect::<Result<_, _>>()?;
        return Ok(lanes.into_iter().map(|lane| (!lane.is_empty()).then_some(lane)).collect());
    }
    let mut lanes = Vec::new();
    let mut statement = c.prepare_cached(ELIGIBLE)?;
    if statement.exists(params!["", 1])? {
        lanes.push(None);
    }
    let mut next = c.prepare_cached(NEXT_LANE)?;
    let mut last = String::new();
    while let Some(lane) = next.query_row([&last], |row| row.get::<_, Option<String>>(0))? {
        lanes.push(Some(lane.clone()));
        last = lane;
    }
    Ok(lanes)
}

/// Returns the name of a lane in the database; empty for the lane of the specs whose next command is not an
/// agent.
pub(super) fn lane_name(lane: Option<&str>) -> &str {
    lane.unwrap_or_default()
}

/// Returns the holds of all lanes. Skips a record that cannot be read, since only a later version can have
/// written it: if the agent is still refused, a new hold begins.
pub(super) fn holds(c: &Connection) -> Result<Vec<(String, Hold)>, QueueError> {
    let rows: Vec<(String, String)> = c
        .prepare_cached("SELECT lane, record FROM holds ORDER BY lane")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    Ok(rows.into_iter().filter_map(|(lane, record)| Some((lane, serde_json::from_str(&record).ok()?))).collect())
}

/// Returns the index of the first task that is not done; `None`: all tasks are done.
pub(super) fn next_task(c: &Connection, spec: &SpecId) -> Result<Option<usize>, QueueError> {
    Ok(c.prepare_cached("SELECT min(idx) FROM tasks WHERE spec = ? AND status <> 'done'")?
        .query_row([spec.as_str()], |row| row.get(0))?)
}

pub(super) fn set_hold(c: &Connection, lane: &str, hold: Option<&Hold>, now: Timestamp) -> Result<(), QueueError> {
    let record: Option<String> =
        c.prepare_cached("SELECT record FROM holds WHERE lane = ?")?.query_row([lane], |row| row.get(0)).optional()?;
    let before = record.and_then(|record| serde_json::from_str(&record).ok()).map(|hold: Hold| hold.cause);
    match hold {
        Some(hold) if HoldBegan::is_new(before, hold.cause) => {
            events::general(c, &Happening::HoldBegan(HoldBegan::new(lane, hold)), now)?;
        }
        None if before.is_some() => {
            events::general(c, &Happening::HoldEnded(HoldEnded { agent: lane.to_owned() }), now)?;
        }
        _ => {}
    }
    match hold {
        Some(hold) => {
            c.prepare_cached("INSERT OR REPLACE INTO holds VALUES (?, ?)")?.execute([lane, &encode(hold)?])?
        }
        None => c.prepare_cached("DELETE FROM holds WHERE lane = ?")?.execute([lane])?,
    };
    Ok(())
}
