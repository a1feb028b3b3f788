//! Tests of the recorded usage of each try, task, spec and agent, and of specs whose budget is used up.

use super::*;
use crate::decide::step::AgentRun;
use crate::domain::life::{Block, BudgetKey, UsedUp};

pub(in crate::queue) fn tries_are_recorded_with_their_usage_and_numbered_across_attempts<F: Factory>() {
    let (_storage, queue) = F::queue();
    let id = enqueue(queue.as_ref(), vec![spec("s")], NOW).unwrap().remove(0);
    let claim = queue.claim_first(1, None, &config(), NOW).unwrap().remove(0);
    let usage = Usage {
        turns: 2,
        input_tokens: 30,
        cached_tokens: 20,
        output_tokens: 4,
        cost_usd: 0.25,
        estimated_usd: 0.125,
        unpriced_runs: 1,
    };
    let report = AgentReport { session_id: Some("s-1".into()), usage, ..AgentReport::default() };
    let of = |number| Try { task: 0, number };
    let began = |number| RecordChange::TryBegan { of: of(number) };
    let ended = |number, outcome| RecordChange::TryEnded { of: of(number), outcome, report: report.clone() };
    let changes = vec![
        began(1),
        ended(1, TryOutcome::Succeeded),
        RecordChange::TryRejected { of: of(1), failure: failure() },
        began(2),
        ended(2, TryOutcome::TimedOut),
    ];
    queue.record(&claim.fence, &claim.position, changes, NOW).unwrap();
    queue.finish(&claim.fence, &failed(), NOW).unwrap();
    let seen = one(queue.as_ref(), &id);
    let outcomes: Vec<_> = seen.tasks[0].history.iter().map(|t| t.outcome.clone().unwrap()).collect();
    assert_eq!(outcomes, [failure().sentence(), "timed out".to_owned()]);
    let mut twice = usage;
    twice += usage;
    assert_eq!((seen.usage, seen.tasks[0].usage, seen.tasks[1].usage), (twice, twice, Usage::default()));
    assert_eq!(seen.tasks[0].history[0].session_id.as_deref(), Some("s-1"));
    queue.retry(&id, None, NOW).unwrap();
    assert_eq!(queue.claim_first(1, None, &config(), NOW).unwrap()[0].tasks[0], (TaskStatus::Pending, 2));
}

pub(in crate::queue) fn a_run_is_recorded_once_and_counts_for_its_agent_from_its_end_on<F: Factory>() {
    let (_storage, queue) = F::queue();
    enqueue(queue.as_ref(), vec![spec("s")], NOW).unwrap();
    let claim = queue.claim_first(1, None, &config(), NOW).unwrap().remove(0);
    let of = Try { task: 0, number: 1 };
    let usage = Usage { turns: 1, input_tokens: 30, output_tokens: 4, cost_usd: 0.25, ..Usage::default() };
    let run = |command, agent: &str, usage| RecordChange::RunEnded {
        of,
        run: AgentRun { command, agent: agent.into(), model: Some("m".into()), usage },
    };
    let unknown = Usage { turns: 2, unpriced_runs: 1, ..Usage::default() };
    let record = |changes, now| queue.record(&claim.fence, &claim.position, changes, now).unwrap();
    record(vec![run(1, "codex", usage)], NOW);
    record(vec![run(2, "claude", usage), run(3, "codex", unknown)], NOW.plus_millis(10));
    record(vec![run(1, "codex", usage), run(2, "claude", usage)], NOW.plus_millis(20));
    let cost = |dollars| Usd::from_dollars(dollars).unwrap();
    let mut runs = queue.runs_since(NOW.plus_millis(-1)).unwrap();
    runs.sort_unstable();
    let later = NOW.plus_millis(10);
    assert_eq!(runs, [(NOW, cost(0.25)), (later, Usd::ZERO), (later, cost(0.25))]);
    assert_eq!(queue.runs_since(NOW).unwrap().len(), 2);
    let mut codex = usage;
    codex += unknown;
    let per_agent = [("claude".to_owned(), usage), ("codex".to_owned(), codex)];
    assert_eq!(queue.usage_since(NOW.plus_millis(-1)).unwrap(), per_agent);
    assert_eq!(queue.usage_since(NOW).unwrap(), [("claude".to_owned(), usage), ("codex".to_owned(), unknown)]);
    assert_eq!(queue.usage_since(later).unwrap(), []);
}

pub(in crate::queue) fn a_spec_whose_budget_is_used_up_is_blocked_until_its_limit_is_higher<F: Factory>() {
    let (_storage, queue) = F::queue();
    let usd = |dollars| Usd::from_dollars(dollars).unwrap();
    let ids = enqueue(queue.as_ref(), ["own", "all", "stopped"].map(spec).into(), NOW).unwrap();
    let keys = [BudgetKey::MaxUsd, BudgetKey::MaxUsdPerSpec, BudgetKey::MaxUsdPerSpec];
    let of = Try { task: 0, number: 1 };
    for (claim, key) in queue.claim_first(9, None, &config(), NOW).unwrap().into_iter().zip(keys) {
        let usage = Usage { cost_usd: 2.5, ..Usage::default() };
        let report = AgentReport { usage, ..AgentReport::default() };
        let used_up = UsedUp { key, spent: usd(2.5), limit: usd(2.0) };
        let back = GiveBack {
            position: at_command(&claim).resumed(),
            changes: vec![RecordChange::TryInterrupted { of, report }],
            cause: Some(Cause::Blocked { by: Block::Budget(used_up) }),
            not_before: None,
            setback: false,
            lane: None,
        };
        queue.give_back(&claim.fence, back, NOW).unwrap();
    }
    let eligible =
        || -> Vec<String> { queue.eligible_first(9, None).unwrap().into_iter().map(|spec| spec.key).collect() };
    let refused = |max_usd| match queue.retry(&ids[0], max_usd, NOW) {
        Err(QueueError::Refused(refusal)) => refusal.to_string(),
        other => panic!("not refused: {other:?}"),
    };
    assert_eq!(eligible(), [""; 0]);
    assert!(cause(queue.as_ref(), &ids[0]).contains("its agents cost $2.50, and `max_usd` is $2.00"));
    assert_eq!(
        queue.stop(&ids[2], NOW).unwrap(),
        Stopped::Now,
        "`boi stop` replaces the block that the used-up budget caused"
    );
    // The user raises the limit in the configuration.
    assert_eq!(queue.end_budget_blocks(usd(2.5), NOW).unwrap(), []);
    assert_eq!(queue.end_budget_blocks(usd(2.6), NOW).unwrap(), [ids[1].clone()]);
    assert_eq!(eligible(), [ids[1].to_string()]);
    assert_eq!(queue.end_budget_blocks(Usd::ZERO, NOW).unwrap(), []);
    // The user raises the limit of the spec.
    assert!(refused(None).contains(&format!("`boi retry {} --max-usd N`", ids[0])));
    assert!(refused(Some(usd(2.5))).contains("a limit of $2.50 is too low"));
    assert_eq!(one(queue.as_ref(), &ids[0]).max_usd, None, "a refused retry changes nothing");
    assert_eq!(queue.retry(&ids[0], Some(usd(3.0)), NOW).unwrap(), [ids[0].clone()]);
    assert_eq!(eligible(), [ids[0].to_string(), ids[1].to_string()]);
    let again = queue.claim_first(1, None, &config(), NOW).unwrap().remove(0);
    assert_eq!((again.fence.attempt, again.spent, again.max_usd), (1, usd(2.5), Some(usd(3.0))));
    assert_eq!(one(queue.as_ref(), &ids[0]).max_usd, Some(usd(3.0)));
}
