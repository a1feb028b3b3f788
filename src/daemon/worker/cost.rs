//! A worker's part in limiting the cost: it estimates the cost of a run that reports none, records each run,
//! and checks the budgets before it starts an agent.

use std::collections::BTreeMap;

use tracing::warn;

use super::{Worker, WorkerError};
use crate::agents::{OutputKind, Reading, prices};
use crate::daemon::WorkerEnd;
use crate::decide::budget::SpecBudget;
use crate::decide::step::{AgentRun, RecordChange};
use crate::domain::cause::Cause;
use crate::domain::life::Block;
use crate::domain::money::{Price, Usd};
use crate::domain::outcome::{AgentReport, Usage};
use crate::domain::position::{CommandStage, Position, Step, Try};
use crate::domain::spec::Action;
use crate::domain::time::Timestamp;
use crate::queue::GiveBack;
use crate::system::clock;

/// The most that a run may cost, for an agent that accepts no limit on its cost: boi computes the cost from
/// the output during the run, and ends the agent at the limit.
pub(super) struct Allowance {
    left: Usd,
    model: Option<String>,
    prices: BTreeMap<String, Price>,
}

impl Allowance {
    /// Returns whether a run with the usage `so_far` has reached the limit. `model` is the model that the
    /// agent reports.
    pub(super) fn is_used_up(&self, so_far: &Usage, model: Option<&str>) -> bool {
        let reported = so_far.known_cost();
        let estimate = || prices::estimate(so_far, model.or(self.model.as_deref())?, &self.prices);
        let cost = if reported > Usd::ZERO { Some(reported) } else { estimate() };
        cost.is_some_and(|cost| cost >= self.left)
    }
}

impl Worker {
    /// Returns the report of the agent of a try. If the agent reports tokens but no cost, boi estimates the
    /// cost.
    pub(super) fn report(&self, of: Try, reading: &Reading) -> AgentReport {
        let mut report = reading.report();
        if let Some(agent) = self.agent_of(of)
            && let Some(model) = self.model_of(agent, &report)
            && let Some(cost) = prices::estimate(&report.usage, &model, self.prices(agent))
        {
            report.usage.set_estimate(cost);
        }
        report
    }

    /// Returns the budget of the spec; `None`: its cost is not limited.
    pub(super) fn budget(&self) -> Option<SpecBudget> {
        let own = self.claimed.max_usd.or(self.claimed.spec.max_usd);
        SpecBudget::new(own, self.shared.budgets.limits().per_spec, self.claimed.spent)
    }

    /// Returns how much the next run of an agent of the spec may cost; `None`: no limit.
    pub(super) fn left_of_budget(&self) -> Option<Usd> {
        self.budget().map(|budget| budget.left().unwrap_or_default())
    }

    /// Returns the limit that boi enforces on the cost of a run of `agent`. `None`: there is no limit, or the
    /// agent enforces the limit itself.
    pub(super) fn allowance(&self, agent: &str) -> Option<Allowance> {
        let (left, settings) = (self.left_of_budget()?, self.claimed.config.agents.get(agent)?);
        let model = settings.model_of(self.claimed.spec.model.as_deref()).map(str::to_owned);
        let prices = settings.prices.clone();
        (settings.output != OutputKind::ClaudeStreamJson).then_some(Allowance { left, model, prices })
    }

    /// Adds to `changes` a record of the run of each agent that ended with these changes.
    pub(super) fn with_runs(&self, mut changes: Vec<RecordChange>) -> Vec<RecordChange> {
        let mut runs = Vec::new();
        for change in &changes {
            if let RecordChange::TryEnded { of, report, .. } | RecordChange::TryInterrupted { of, report } = change
                && let Some(agent) = self.agent_of(*of)
            {
                let command = self.position.progress.commands;
                let (model, usage) = (self.model_of(agent, report), report.usage);
                let run = AgentRun { command, agent: agent.to_owned(), model, usage };
                runs.push(RecordChange::RunEnded { of: *of, run });
            }
        }
        changes.extend(runs);
        changes
    }

    /// Adds `cost` to the cost of the spec and of the day, after the queue has recorded the runs, which ended
    /// at `now`. If the write failed, the queue may still have made it, so the next tick reads the runs of
    /// the day again. `cost` is `None` if no run ended.
    pub(super) fn count_runs<T, E>(&mut self, cost: Option<Usd>, now: Timestamp, recorded: &Result<T, E>) {
        match (cost, recorded) {
            (Some(cost), Ok(_)) => {
                self.claimed.spent += cost;
                self.shared.budgets.add_run(now, cost);
            }
            (Some(_), Err(_)) => self.shared.budgets.doubt(),
            (None, _) => {}
        }
    }

    /// Returns the cause if a budget is used up, so that no agent of the spec may start now. `pending` is the
    /// cost of runs that have ended but are not recorded yet.
    pub(super) fn over_budget(&self, pending: Usd) -> Option<Cause> {
        let used_up = self.budget().and_then(|budget| budget.plus(pending).left().err());
        match used_up {
            Some(used_up) => Some(Cause::Blocked { by: Block::Budget(used_up) }),
            None => self.shared.budgets.day(pending, clock::now()).map(Cause::DayBudget),
        }
    }

    /// Gives the spec back to the queue instead of recording `position`, if an agent starts at that position
    /// and a budget is used up. Returns how the worker then ends; `None`: the worker continues.
    pub(super) async fn end_over_budget(
        &mut self,
        position: &Position,
        changes: &[RecordChange],
    ) -> Result<Option<WorkerEnd>, WorkerError> {
        let Step::Command { stage: CommandStage::Act(of), .. } = position.step else { return Ok(None) };
        if self.agent_of(of).is_none() {
            return Ok(None);
        }
        let Some(cause) = self.over_budget(cost_of_ended(changes)) else { return Ok(None) };
        // Neither the try nor its command has begun.
        let mut changes = changes.to_vec();
        changes.retain(|change| !matches!(change, RecordChange::TryBegan { .. }));
        let mut position = position.clone().resumed();
        position.progress.commands = self.position.progress.commands;
        position.progress.last_boot.clone_from(&self.position.progress.last_boot);
        self.give_back_over_budget(position, changes, cause).await.map(Some)
    }

    /// Gives the spec back to the queue, because a budget is used up. `cause` says which budget.
    pub(super) async fn give_back_over_budget(
        &mut self,
        position: Position,
        changes: Vec<RecordChange>,
        cause: Cause,
    ) -> Result<WorkerEnd, WorkerError> {
        warn!(spec = %self.claimed.fence.spec, cause = %cause, "a budget is used up; boi gives the spec back to the queue and starts none of its agents for now");
        let is_blocked = matches!(cause, Cause::Blocked { .. });
        let lane = self.lane_at(&position);
        let back = GiveBack { position, changes, cause: Some(cause), not_before: None, setback: false, lane };
        let end = self.give_back(back).await;
        if is_blocked {
            self.shared.budgets.note_block();
        }
        end
    }

    /// Returns the agent of a try; `None`: the try is a `run` command.
    fn agent_of(&self, of: Try) -> Option<&str> {
        let spec = &self.claimed.spec;
        matches!(spec.tasks[of.task].action, Action::Prompt(_)).then(|| spec.agent_of(of.task))
    }

    /// Returns the model of a run of `agent`; `None`: it is not known.
    fn model_of(&self, agent: &str, report: &AgentReport) -> Option<String> {
        let (spec, settings) = (self.claimed.spec.model.as_deref(), self.claimed.config.agents.get(agent));
        let configured = || settings.map_or(spec, |settings| settings.model_of(spec)).map(str::to_owned);
        report.model.clone().or_else(configured)
    }

    /// Returns the user's prices for an agent.
    fn prices(&self, agent: &str) -> &BTreeMap<String, Price> {
        static NONE: BTreeMap<String, Price> = BTreeMap::new();
        self.claimed.config.agents.get(agent).map_or(&NONE, |settings| &settings.prices)
    }
}

/// Returns the cost of the runs in these changes; `None`: there is no run.
pub(super) fn cost_of_runs(changes: &[RecordChange]) -> Option<Usd> {
    let costs = changes.iter().filter_map(|change| match change {
        RecordChange::RunEnded { run, .. } => Some(run.usage.known_cost()),
        _ => None,
    });
    sum(costs)
}

/// Returns the cost of the tries that ended with these changes.
fn cost_of_ended(changes: &[RecordChange]) -> Usd {
    let costs = changes.iter().filter_map(|change| match change {
        RecordChange::TryEnded { report, .. } => Some(report.usage.known_cost()),
        _ => None,
    });
    sum(costs).unwrap_or_default()
}

fn sum(costs: impl Iterator<Item = Usd>) -> Option<Usd> {
    costs.reduce(|mut sum, cost| {
        sum += cost;
        sum
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allowance_is_used_up_by_what_the_agent_reports_or_else_by_what_its_tokens_cost() {
        let usd = |dollars| Usd::from_dollars(dollars).unwrap();
        let allowance = |model: Option<&str>| Allowance {
            left: usd(1.25),
            model: model.map(str::to_owned),
            prices: BTreeMap::new(),
        };
        let so_far = |input_tokens, cost_usd| Usage { input_tokens, cost_usd, ..Usage::default() };
        for (model, input_tokens, cost, expected) in [
            (Some("gpt-5"), 0, 0.0, false),
            (Some("gpt-5"), 999_999, 0.0, false),
            (Some("gpt-5"), 1_000_000, 0.0, true),
            (None, 9_000_000, 0.0, false),
            (Some("gpt-5"), 9_000_000, 1.0, false),
            (None, 0, 1.25, true),
        ] {
            let used_up = allowance(model).is_used_up(&so_far(input_tokens, cost), None);
            assert_eq!(used_up, expected, "{model:?} {input_tokens} {cost}");
        }
        let is_used_up = allowance(Some("gpt-5")).is_used_up(&so_far(1_000_000, 0.0), Some("gpt-5-mini"));
        assert!(!is_used_up, "the price of the model that the agent reports applies");
    }
}
