//! What `boi status` shows of landers.

use rusqlite::{Connection, params};

use super::{SqliteQueue, read};
use crate::domain::landing::{Batch, short_branch_name};
use crate::domain::position::{CommandStage, GitStage, Position, Step, Verify};
use crate::domain::time::Timestamp;
use crate::domain::view::{BatchVerifyView, LanderStep, LanderView};
use crate::queue::QueueError;
use crate::queue::landings::Landers;

const LANDERS: &str = "SELECT l.id, l.repo, l.land_repo, l.land_base, l.active, l.not_before, a.position
      FROM landers l LEFT JOIN attempts a ON a.spec = l.id AND a.number = l.attempt ORDER BY l.id";
pub(super) const WAITING_COUNT: &str = "SELECT count(*) FROM specs INDEXED BY specs_landing
     WHERE land_repo = ?1 AND land_base = ?2 AND delivery IN ('waiting', 'landing')";

impl Landers for SqliteQueue {
    fn landers(&self) -> Result<Vec<LanderView>, QueueError> {
        self.read(landers)
    }
}

struct Row {
    id: String,
    repo: String,
    land_repo: String,
    land_base: String,
    active: bool,
    not_before: Option<i64>,
    position: Option<String>,
}

fn landers(c: &Connection) -> Result<Vec<LanderView>, QueueError> {
    let rows: Vec<Row> = c
        .prepare_cached(LANDERS)?
        .query_map([], |row| {
            Ok(Row {
                id: row.get(0)?,
                repo: row.get(1)?,
                land_repo: row.get(2)?,
                land_base: row.get(3)?,
                active: row.get(4)?,
                not_before: row.get(5)?,
                position: row.get(6)?,
            })
        })?
        .collect::<Result<_, _>>()?;
    rows.into_iter().map(|row| view(c, row)).collect()
}

fn view(c: &Connection, row: Row) -> Result<LanderView, QueueError> {
    let in_queue: u64 =
        c.prepare_cached(WAITING_COUNT)?.query_row(params![row.land_repo, row.land_base], |row| row.get(0))?;
    let position = row.position.and_then(|text| serde_json::from_str::<Position>(&text).ok());
    let (step, verify, batch) = match position {
        Some(position) if row.active => {
            let batch = position.progress.landing.and_then(|landing| landing.batch);
            let (step, verify) = step(&position.step, batch.as_ref());
            let is_over = matches!(step, LanderStep::Building | LanderStep::Ending);
            (step, verify, batch.filter(|_| !is_over))
        }
        None if row.active => (LanderStep::Building, None, None),
        _ => (LanderStep::Waiting, None, None),
    };
    let batch: Vec<_> = batch.into_iter().flat_map(|batch| batch.members).map(|member| member.spec).collect();
    Ok(LanderView {
        id: read::id(&row.id)?,
        repo: row.repo,
        base: short_branch_name(&row.land_base).to_owned(),
        step,
        verify,
        waiting: in_queue.saturating_sub(batch.len() as u64),
        batch,
        starts_at: row.not_before.map(Timestamp),
    })
}

fn step(step: &Step, batch: Option<&Batch>) -> (LanderStep, Option<BatchVerifyView>) {
    match step {
        Step::Command { stage: CommandStage::Verify(Verify::Batch { index }), .. } => {
            let verify = batch.and_then(|batch| {
                let command = batch.verify.get(*index)?.clone();
                Some(BatchVerifyView { command, number: index + 1, count: batch.verify.len() })
            });
            (LanderStep::Verifying, verify)
        }
        Step::Git(GitStage::Land(_)) => (LanderStep::Landing, None),
        Step::Close(_) => (LanderStep::Ending, None),
        Step::Prepare { .. } | Step::Command { .. } | Step::Git(_) => (LanderStep::Building, None),
    }
}
