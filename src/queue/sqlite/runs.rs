//! The runs of agents, with their cost, and the blocks of specs whose budget is used up.

use rusqlite::{Connection, named_params};

use super::read::{id, usd};
use super::write::signed;
use super::{end, views};
use crate::decide::step::AgentRun;
use crate::domain::event::QueuedBy;
use crate::domain::id::SpecId;
use crate::domain::life::BudgetKey;
use crate::domain::money::Usd;
use crate::domain::outcome::Usage;
use crate::domain::position::Try;
use crate::domain::time::Timestamp;
use crate::queue::{Fence, QueueError};

pub(super) const SINCE: &str = "SELECT ended_at, cost_usd FROM runs INDEXED BY runs_ended WHERE ended_at > ?";
pub(super) const USAGE_SINCE: &str = "SELECT agent, sum(turns), sum(input_tokens), sum(cached_tokens),
            sum(output_tokens), sum(cost_usd), sum(estimated_usd), sum(unpriced)
       FROM runs INDEXED BY runs_ended WHERE ended_at > ? GROUP BY agent ORDER BY agent";
pub(super) const END_BUDGET_BLOCKS: &str = "UPDATE specs SET blocked = NULL, cause = NULL
      WHERE blocked = 'budget' AND +status = 'queued' AND json_extract(cause, '$.by.budget.key') = :key
        AND (:limit <= 0.0 OR cost_usd < :limit) RETURNING id";

/// Records a run that has ended. If the run is already recorded, changes nothing.
pub(super) fn record(
    c: &Connection,
    fence: &Fence,
    of: &Try,
    run: &AgentRun,
    now: Timestamp,
) -> Result<(), QueueError> {
    let AgentRun { command, agent, model, usage } = run;
    c.prepare_cached(
        "INSERT OR IGNORE INTO runs (spec, attempt, command, idx, try, agent, model, ended_at, turns, input_tokens,
                cached_tokens, output_tokens, cost_usd, estimated_usd, unpriced)
         VALUES (:spec, :attempt, :command, :task, :try, :agent, :model, :now, :turns, :input, :cached, :output,
                :cost, :estimated, :unpriced)",
    )?
    .execute(named_params! {
        ":spec": fence.spec.as_str(), ":attempt": fence.attempt, ":command": command, ":task": of.task,
        ":try": of.number, ":agent": agent, ":model": model, ":now": now.0, ":turns": signed(usage.turns),
        ":input": signed(usage.input_tokens), ":cached": signed(usage.cached_tokens),
        ":output": signed(usage.output_tokens), ":cost": usage.cost_usd, ":estimated": usage.estimated_usd,
        ":unpriced": signed(usage.unpriced_runs),
    })?;
    Ok(())
}

/// Returns the end and the known cost of each run that ended after `since`.
pub(super) fn since(c: &Connection, since: Timestamp) -> Result<Vec<(Timestamp, Usd)>, QueueError> {
    Ok(c.prepare_cached(SINCE)?
        .query_map([since.0], |row| Ok((Timestamp(row.get(0)?), usd(row.get(1)?))))?
        .collect::<Result<_, _>>()?)
}

/// Returns for each agent the usage of its runs that ended after `since`.
pub(super) fn usage_since(c: &Connection, since: Timestamp) -> Result<Vec<(String, Usage)>, QueueError> {
    Ok(c.prepare_cached(USAGE_SINCE)?
        .query_map([since.0], |row| Ok((row.get(0)?, views::usage(row, 1)?)))?
        .collect::<Result<_, _>>()?)
}

/// Ends the block of each spec that `max_usd_per_spec` blocks and whose agents cost less than `limit`; 0: no
/// limit. Returns these specs.
pub(super) fn end_budget_blocks(c: &Connection, limit: Usd, now: Timestamp) -> Result<Vec<SpecId>, QueueError> {
    let names: Vec<String> = c
        .prepare_cached(END_BUDGET_BLOCKS)?
        .query_map(named_params! {":key": BudgetKey::MaxUsdPerSpec.as_str(), ":limit": limit.dollars()}, |row| {
            row.get(0)
        })?
        .collect::<Result<_, _>>()?;
    let released = names.iter().map(|name| id(name)).collect::<Result<Vec<SpecId>, _>>()?;
    for spec in &released {
        end::requeued(c, spec, QueuedBy::Budget, now)?;
    }
    Ok(released)
}
