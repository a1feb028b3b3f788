//! Writes the `reason` that `boi status` shows for a spec: the cause of the spec's status in words, and the
//! next step for the user.

use crate::agents;
use crate::domain::admission::Shortage;
use crate::domain::cause::{Cause, Unmerged};
use crate::domain::delivery::MergeRefusal;
use crate::domain::hold::{Hold, HoldCause};
use crate::domain::id::SpecId;
use crate::domain::life::{Block, BudgetKey, SpecStatus, UsedUp};
use crate::domain::outcome::TryOutcome;
use crate::domain::text;

/// How much of the evidence of a refusal a reason quotes at most, in characters.
const EVIDENCE: usize = 160;

/// Returns the cause of a spec's status in words, followed by the next step if the user has to act.
pub(crate) fn reason(cause: &Cause, spec: &SpecId) -> String {
    // Version 0.1.0 recorded the literal text `ID` instead of the spec's id.
    if let Cause::Recorded { words } | Cause::Unmerged { why: Unmerged::Recorded { words } } = cause {
        return words.replace("`boi retry ID`", &format!("`boi retry {spec}`"));
    }
    match next_step(cause, spec) {
        Some(step) => format!("{}. {step}", cause.to_string().trim_end_matches('.')),
        None => cause.to_string(),
    }
}

/// Returns in words why an agent is held and when the hold ends, followed by the next step if the user has to
/// act.
pub(crate) fn hold_reason(agent: &str, hold: &Hold) -> String {
    let end = match (hold.cause, &hold.probe, hold.until) {
        (HoldCause::ByHand, _, Some(until)) => {
            format!("the hold ends at {until}, or earlier with `boi resume {agent}`")
        }
        (HoldCause::ByHand, _, None) => format!("`boi resume {agent}` ends the hold"),
        (HoldCause::Refused(_), Some(probe), _) => {
            format!("boi started one run of {probe} as a probe; the hold ends when the model answers this run")
        }
        (HoldCause::Refused(_), None, Some(until)) => format!("boi starts one run as a probe at {until}"),
        (HoldCause::Refused(_), None, None) => format!("`boi resume {agent}` starts one run as a probe"),
    };
    let shown = match hold.evidence.as_str() {
        "" => String::new(),
        evidence => format!(" ({})", text::one_line(evidence, EVIDENCE)),
    };
    let words = format!("{}{shown}; {end}", hold.cause);
    let step = match hold.cause {
        HoldCause::ByHand => None,
        HoldCause::Refused(refusal) => agents::hold_advice(refusal, agent, &hold.evidence),
    };
    step.map_or_else(|| words.clone(), |step| format!("{words}. {step}"))
}

/// Returns what the user can do about a cause; `None`: nothing, or only waiting helps.
pub(super) fn next_step(cause: &Cause, spec: &SpecId) -> Option<String> {
    match cause {
        Cause::TryFailed { outcome, agent, .. } => advice(outcome, agent.as_deref(), spec),
        Cause::OutOfTries { failure, .. } => {
            failure.try_outcome().and_then(|(outcome, agent)| advice(&outcome, agent, spec))
        }
        Cause::Blocked { by: Block::Stopped } => {
            Some(format!("`boi retry {spec}` continues the spec at the same step."))
        }
        Cause::Blocked { by: Block::Budget(UsedUp { key: BudgetKey::MaxUsd, .. }) } => {
            Some(format!("`boi retry {spec} --max-usd N` sets a higher limit and continues the spec at the same step."))
        }
        Cause::Blocked { by: Block::Budget(UsedUp { key: BudgetKey::MaxUsdPerSpec, .. }) } => Some(format!(
            "The spec continues at the same step when you raise the limit: `boi config set max_usd_per_spec N` for \
             every spec, or `boi retry {spec} --max-usd N`."
        )),
        Cause::Blocked { by: Block::Repository(block) } => block.next_step(),
        Cause::Setup { .. } => Some(format!("Fix the problem, then continue with `boi retry {spec}`.")),
        Cause::DayBudget(_) => {
            Some("To start agents earlier, raise the limit: `boi config set max_usd_per_day N`.".to_owned())
        }
        Cause::Deferred { by } => {
            let key = match by.first() {
                Some(Shortage::Memory { .. }) => "max_memory_percent",
                _ => "min_free_gb",
            };
            Some(format!("`boi status` shows what was read last, and `boi config set {key} N` changes the limit."))
        }
        Cause::Repository { .. } => Some(format!("Fix the problem, then continue with `boi retry {spec}`.")),
        Cause::UnknownAgent { .. } => {
            let next = "Correct `agent` in the spec file, or define the agent in config.toml, then queue the file with \
                        `boi dispatch FILE`.";
            Some(next.to_owned())
        }
        Cause::Quarantined { .. } => {
            Some(format!("Run a version of boi that can read the record, or end the spec: `boi cancel {spec}`."))
        }
        Cause::Dropped => Some(format!("`boi drop --undo {spec}` restores the branch and the former status.")),
        Cause::DependencyEnded { spec: first, status: SpecStatus::Dropped } => {
            Some(format!("If {first} is still dropped, run `boi drop --undo {first}`; then run `boi retry {spec}`."))
        }
        Cause::DependencyEnded { spec: first, .. } | Cause::DependencyIncomplete { spec: first } => {
            Some(format!("Run `boi retry {first}`, which queues both specs again."))
        }
        Cause::Unmerged {
            why: Unmerged::NotResolved { .. } | Unmerged::Refused { refusal: MergeRefusal::Conflicts { .. } },
        } => Some(format!(
            "Merge by hand, or merge the base into the branch in `boi open {spec}` and run `boi retry {spec}`."
        )),
        Cause::Unmerged { why: Unmerged::Refused { .. } | Unmerged::Obstacle { .. } | Unmerged::Verify { .. } } => {
            Some(format!("Fix the problem, then run `boi retry {spec}`, which repeats the merge but no task."))
        }
        Cause::Unmerged { why: Unmerged::RepositoryChanged { .. } } => Some(format!(
            "`boi doctor` shows for each change the command that puts it back, and `boi doctor --fix` accepts the \
             changes. Then `boi retry {spec}` repeats the merge but no task."
        )),
        Cause::EndedUnmerged { .. } => Some(format!(
            "Fix what keeps the branch from its base, then run `boi merge --force {spec}`, or repeat the tasks: \
             `boi retry {spec}`."
        )),
        // The recorded words contain the next step.
        Cause::Recorded { .. } | Cause::Unmerged { why: Unmerged::Recorded { .. } } => None,
        Cause::WaitsFor { .. }
        | Cause::Stopped
        | Cause::Refused { .. }
        | Cause::CommandDied { .. }
        | Cause::CommandNotStarted { .. }
        | Cause::WorkerNotStarted { .. }
        | Cause::WorkerFailed { .. }
        | Cause::Ending
        | Cause::SentBack { .. }
        | Cause::NextTry { .. }
        | Cause::NextSetup { .. }
        | Cause::WaitsForStart { .. }
        | Cause::WaitsForBuildSlot { .. }
        | Cause::ApiErrors { .. }
        | Cause::RepeatedDeaths { .. }
        | Cause::SpecVerify { .. }
        | Cause::Canceled
        | Cause::Unmerged { why: Unmerged::BaseMoved { .. } } => None,
    }
}

/// Returns what the user can do about the outcome of a try. `agent` is the name of the task's agent; `None`
/// means that the task is a `run` command.
fn advice(outcome: &TryOutcome, agent: Option<&str>, spec: &SpecId) -> Option<String> {
    agents::advice(outcome, agent, spec)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::cause::Awaited;
    use crate::domain::command::ExitStatus;
    use crate::domain::failure::{FailedHow, FailedPart, Failure};
    use crate::domain::time::Timestamp;

    const UNTIL: Timestamp = Timestamp(0);

    fn id(text: &str) -> SpecId {
        text.parse().unwrap()
    }

    fn failure(part: FailedPart, how: FailedHow) -> Failure {
        Failure { part, how, output: "the end".into() }
    }

    fn verify_failure() -> Failure {
        let part = FailedPart::Verify { command: "cargo test".into(), number: 1, count: 1 };
        failure(part, FailedHow::Exited { status: Some(ExitStatus::Code(1)) })
    }

    /// Asserts the reason that the user reads for each cause of a status of the spec SD979.
    fn assert_reasons(table: impl IntoIterator<Item = (Cause, &'static str)>) {
        for (cause, expected) in table {
            assert_eq!(reason(&cause, &id("SD979")), expected, "{cause:?}");
        }
    }

    #[test]
    fn a_cause_that_passes_by_itself_has_no_next_step() {
        let detail = || "no space left".to_owned();
        let awaited = |spec, merge| Awaited { id: id(spec), merge };
        let limited = TryOutcome::Limited { until: None, detail: "5 h".into() };
        let lost = || failure(FailedPart::Run, FailedHow::Lost);
        assert_reasons([
            (
                Cause::WaitsFor { specs: vec![awaited("SD97A", false), awaited("SD97B", true)] },
                "waits for SD97A, SD97B (until it is merged)",
            ),
            (Cause::Stopped, "the daemon was stopped; the spec resumes at the same step"),
            (Cause::Refused { outcome: limited, until: None }, "the usage limit is used up: 5 h"),
            (
                Cause::Refused { outcome: TryOutcome::Throttled("429".into()), until: Some(UNTIL) },
                "the model's service got too many requests: 429; boi retries at 1970-01-01T00:00:00.000Z",
            ),
            (
                Cause::CommandDied { failure: lost(), deaths: 2, until: UNTIL },
                "the run command failed: killed together with its supervisor (kill -9, out of memory, or a power cut); \
                 boi retries at 1970-01-01T00:00:00.000Z",
            ),
            (Cause::CommandNotStarted { detail: detail() }, "a command could not be started: no space left"),
            (Cause::WorkerNotStarted { detail: detail() }, "the spec's worker could not be started: no space left"),
            (Cause::WorkerFailed { detail: detail(), until: None }, "no space left"),
            (
                Cause::WorkerFailed { detail: detail(), until: Some(UNTIL) },
                "no space left; the spec's worker restarts at 1970-01-01T00:00:00.000Z",
            ),
            (Cause::Ending, "the spec's worker is ending the running command"),
            (Cause::Canceled, "canceled by the user"),
        ]);
    }

    #[test]
    fn a_failed_try_has_the_advice_for_its_outcome_and_its_agent() {
        let task = || "t-1".to_owned();
        let agent = || FailedPart::Agent { agent: "claude".into() };
        let tried =
            |outcome, agent: Option<&str>| Cause::TryFailed { task: task(), outcome, agent: agent.map(str::to_owned) };
        let out_of_tries = |part, how| Cause::OutOfTries { task: task(), failure: failure(part, how), tries: 4 };
        let missing = || TryOutcome::NotExecuted("cannot execute `x`".into());
        let for_a_command = "task t-1: the program was not executed: cannot execute `x`. Fix the problem that the \
                             reason names. If a program is missing, install it where the PATH of the daemon finds it. \
                             Then run `boi retry SD979`.";
        assert_reasons([
            (
                tried(missing(), Some("claude")),
                "task t-1: the program was not executed: cannot execute `x`. Fix the problem that the reason names. \
                 If `claude` is missing, install Claude Code with `npm install -g @anthropic-ai/claude-code`, or run \
                 `boi config set claude_bin /path/to/claude`. Then run `boi retry SD979`.",
            ),
            (tried(missing(), None), for_a_command),
            (
                tried(TryOutcome::UnknownModel("no `gpt`.".into()), Some("claude")),
                "task t-1: unknown model: no `gpt`. Correct `model` in the spec file, or leave it out to use the \
                 default of Claude Code. Then queue the changed spec file with `boi dispatch FILE`.",
            ),
            (tried(TryOutcome::Auth("401".into()), None), "task t-1: the login is missing or was refused: 401"),
            (
                out_of_tries(agent(), FailedHow::TimedOut { minutes: 30 }),
                "task t-1: the agent's run failed: timed out after 30 min, on try 4 of 4. Read with `boi log SD979` \
                 what took so long. If the task needs more time, raise its `timeout_minutes` in the spec file, or \
                 split the task. Then queue the changed spec file with `boi dispatch FILE`.",
            ),
            (
                out_of_tries(agent(), FailedHow::Outcome { outcome: TryOutcome::TaskBudget("200 turns".into()) }),
                "task t-1: the agent's run failed: the agent used up its limit: 200 turns, on try 4 of 4. Raise \
                 `--max-turns` or `--max-budget-usd` in `claude_args`, as in `boi config set claude_args \
                 \"['--max-turns', '200']\"`. Then run `boi retry SD979`.",
            ),
            (
                out_of_tries(FailedPart::Run, FailedHow::TooMuchOutput),
                "task t-1: the run command failed: ended because it printed more than max_output_mb, on try 4 of 4. \
                 Make the command print less, or raise the limit with `boi config set max_output_mb MB` and `boi \
                 daemon restart`. Then run `boi retry SD979`.",
            ),
            (
                Cause::OutOfTries { task: task(), failure: verify_failure(), tries: 1 },
                "task t-1: the verify command failed (`cargo test`): exit code 1, on try 1 of 1",
            ),
            (
                Cause::RepeatedDeaths { task: task(), failure: verify_failure(), deaths: 4 },
                "task t-1: the verify command failed (`cargo test`): exit code 1, 4 times in a row",
            ),
            (
                Cause::SpecVerify { failure: verify_failure() },
                "verification of the whole spec: the verify command failed (`cargo test`): exit code 1",
            ),
        ]);
    }

    #[test]
    fn a_cause_outside_the_spec_names_the_command_that_continues() {
        let detail = || "`/r` is not a git repository.".to_owned();
        assert_reasons([
            (
                Cause::Repository { detail: detail() },
                "`/r` is not a git repository. Fix the problem, then continue with `boi retry SD979`.",
            ),
            (
                Cause::UnknownAgent { agent: "x".into() },
                "boi knows no agent `x`. Correct `agent` in the spec file, or define the agent in config.toml, then queue \
                 the file with `boi dispatch FILE`.",
            ),
            (
                Cause::Quarantined { detail: "its position is of format 3".into() },
                "quarantined: its position is of format 3. Run a version of boi that can read the record, or end the \
                 spec: `boi cancel SD979`.",
            ),
            (
                Cause::DependencyEnded { spec: id("SD97A"), status: SpecStatus::Failed },
                "waits for SD97A, which failed. Run `boi retry SD97A`, which queues both specs again.",
            ),
            (
                Cause::DependencyEnded { spec: id("SD97A"), status: SpecStatus::Dropped },
                "waits for SD97A, which was dropped. If SD97A is still dropped, run `boi drop --undo SD97A`; then run \
                 `boi retry SD979`.",
            ),
            (
                Cause::DependencyEnded { spec: id("SD97A"), status: SpecStatus::Canceled },
                "waits for SD97A, which was canceled. Run `boi retry SD97A`, which queues both specs again.",
            ),
            (
                Cause::DependencyIncomplete { spec: id("SD97A") },
                "waits for SD97A, which has not completed. Run `boi retry SD97A`, which queues both specs again.",
            ),
        ]);
    }

    #[test]
    fn an_unmerged_spec_names_the_command_that_merges_it() {
        let because = |why| Cause::Unmerged { why };
        let refused = |refusal| because(Unmerged::Refused { refusal });
        let (base, checkout) = (|| "main".to_owned(), || "/r".to_owned());
        assert_reasons([
            (
                refused(MergeRefusal::Conflicts { base: base(), files: vec!["a".into(), "b".into()] }),
                "merge conflicts with main in a, b. Merge by hand, or merge the base into the branch in `boi open SD979` \
                 and run `boi retry SD979`.",
            ),
            (
                refused(MergeRefusal::CheckoutDirty { base: base(), checkout: checkout() }),
                "main is checked out in \"/r\", where tracked files have changes; commit or stash the changes. Fix the \
                 problem, then run `boi retry SD979`, which repeats the merge but no task.",
            ),
            (
                because(Unmerged::Obstacle { detail: "no space left".into() }),
                "no space left. Fix the problem, then run `boi retry SD979`, which repeats the merge but no task.",
            ),
            (
                because(Unmerged::Verify { failure: verify_failure() }),
                "after the merge of the branch with its base, the verify command failed (`cargo test`): exit code 1. \
                 Fix the problem, then run `boi retry SD979`, which repeats the merge but no task.",
            ),
            (
                because(Unmerged::RepositoryChanged { changes: vec![] }),
                "the repository changed while a command ran: . `boi doctor` shows for each change the command that puts it \
                 back, and `boi doctor --fix` accepts the changes. Then `boi retry SD979` repeats the merge but no task.",
            ),
            (because(Unmerged::BaseMoved { times: 100 }), "the base moved 100 times while boi verified the merge"),
        ]);
    }

    #[test]
    fn a_failed_spec_whose_branch_was_to_be_merged_names_both_reasons() {
        let refusal = MergeRefusal::CheckoutDirty { base: "main".into(), checkout: "/r".into() };
        let cause = Cause::EndedUnmerged { ended: Cause::Canceled.into(), why: Unmerged::Refused { refusal } };
        assert_reasons([(
            cause,
            "canceled by the user; its branch is unmerged: main is checked out in \"/r\", where tracked files have \
             changes; commit or stash the changes. Fix what keeps the branch from its base, then run `boi merge --force \
             SD979`, or repeat the tasks: `boi retry SD979`.",
        )]);
    }

    #[test]
    fn words_of_version_0_1_0_get_the_id_of_the_spec() {
        let words = || "the base is dirty; fix it, then `boi retry ID`.".to_owned();
        let read = "the base is dirty; fix it, then `boi retry SD979`.";
        assert_reasons([
            (Cause::Recorded { words: words() }, read),
            (Cause::Unmerged { why: Unmerged::Recorded { words: words() } }, read),
            (Cause::Recorded { words: "as it was".into() }, "as it was"),
        ]);
    }
}
