//! The verbs that look at every spec, or at many, without the records of each.

use rusqlite::Connection;
use rusqlite::types::ValueRef;

use super::read::{ids_json, well_formed};
use crate::domain::id::SpecId;
use crate::domain::life::SpecStatus;
use crate::queue::QueueError;
use crate::queue::survey::Survey;

/// Selects the repository and the worktree of every spec, and whether the view of the spec may have another
/// cause than the stored one: it is quarantined, its status is unknown, or a number is out of range.
const SURVEY: &str = "SELECT id, repo, worktree, quarantine IS NOT NULL
            OR status NOT IN ('queued', 'running', 'completed', 'failed', 'canceled', 'dropped')
            OR attempt NOT BETWEEN 0 AND 4294967295
            OR min(turns, input_tokens, cached_tokens, output_tokens, unpriced_runs) < 0
       FROM specs ORDER BY seq";
pub(super) const STATUSES: &str = "SELECT s.id, s.status FROM json_each(?) ids CROSS JOIN specs s ON s.id = ids.value
     ORDER BY s.seq DESC";
pub(super) const WAITING_FOR: &str = "SELECT w.id FROM deps d CROSS JOIN specs w ON w.id = d.spec
     WHERE d.needs = ? AND +w.status NOT IN ('completed', 'failed', 'canceled', 'dropped') ORDER BY w.priority, w.seq";

/// Reads every spec once. Nothing is allocated for a spec without a worktree in a known repository.
pub(super) fn survey(c: &Connection) -> Result<Survey, QueueError> {
    let mut survey = Survey::default();
    let mut statement = c.prepare_cached(SURVEY)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let id = || -> rusqlite::Result<Option<SpecId>> { Ok(row.get::<_, String>(0)?.parse().ok()) };
        if let ValueRef::Text(repo) = row.get_ref(1)? {
            let repo = String::from_utf8_lossy(repo);
            if !survey.repositories.contains(&*repo) {
                survey.repositories.insert(repo.into_owned());
            }
        }
        if let (Some(path), Some(id)) = (row.get::<_, Option<String>>(2)?, id()?) {
            survey.worktrees.push((id, path));
        }
        if row.get(3)? {
            survey.doubtful.extend(id()?);
        }
    }
    Ok(survey)
}

pub(super) fn statuses(c: &Connection, specs: &[SpecId]) -> Result<Vec<(SpecId, SpecStatus)>, QueueError> {
    let mut statement = c.prepare_cached(STATUSES)?;
    let mut rows = statement.query([ids_json(specs)])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let Ok(id) = row.get::<_, String>(0)?.parse() else { continue };
        // A command of a spec with an unknown status may be running.
        let status = SpecStatus::from_name(&row.get::<_, String>(1)?).unwrap_or(SpecStatus::Running);
        found.push((id, status));
    }
    let mut lander = c.prepare_cached("SELECT 1 FROM landers WHERE id = ?")?;
    for id in specs.iter().filter(|id| id.is_lander()) {
        if lander.exists([id.as_str()])? {
            found.push((id.clone(), SpecStatus::Running));
        }
    }
    Ok(found)
}

pub(super) fn waiting_for(c: &Connection, spec: &SpecId) -> Result<Vec<SpecId>, QueueError> {
    let names: Vec<String> =
        c.prepare_cached(WAITING_FOR)?.query_map([spec.as_str()], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(well_formed(&names).collect())
}
