//! Decides the outcome of a run of Codex. Codex describes a failure only in a text, without an error code.
//!
//! The checks have this order: the cause of the command's end, a conversation that is too long, a usage
//! limit, an account that needs a person, throttling, a broken service, a refused login, an unknown model.
//! Any other reported error is a failure. A run without a result is a crash, unless stderr shows the reason.

use super::phrases::Phrases;
use crate::agents::dialect::{Diagnosis, EndedRun};
use crate::agents::exit::{agent_outcome_of_cause, last_line, missing_program};
use crate::agents::reading::RunResult;
use crate::agents::reset_time::{self, believable};
use crate::domain::command::{EndCause, ExitStatus};
use crate::domain::exit::describe_end;
use crate::domain::outcome::TryOutcome;
use crate::domain::text;

/// The longest text of an outcome's detail, in characters.
const DETAIL: usize = 600;

pub(super) fn diagnose(run: &EndedRun<'_>) -> Diagnosis {
    let EndedRun { end, reading, .. } = run;
    if let Some(outcome) = agent_outcome_of_cause(end) {
        return Diagnosis::by_end(outcome);
    }
    let outcome = match (&reading.result, &end.cause) {
        (_, EndCause::Terminated) if !reading.ended_after_result => {
            return Diagnosis::by_end(TryOutcome::Crashed(describe_end(end)));
        }
        (Some(result), _) if result.is_error => reported_failure(result, run),
        (Some(_), _) if !(reading.ended_after_result || end.status == Some(ExitStatus::Code(0))) => {
            TryOutcome::Crashed(format!("the agent reported success, then ended with {}", describe_end(end)))
        }
        (Some(_), _) if !reading.denials.is_empty() => TryOutcome::Denied(reading.denials.join(", ")),
        (Some(_), _) => TryOutcome::Succeeded,
        (None, _) => return without_result(run),
    };
    Diagnosis::by_line(outcome, reading.evidence.as_deref())
}

fn reported_failure(result: &RunResult, run: &EndedRun<'_>) -> TryOutcome {
    let phrases = Phrases::new(&result.text);
    let detail = match text::one_line(&result.text, DETAIL) {
        text if text.is_empty() => "the agent reported an error without a text".to_owned(),
        text => text,
    };
    match phrases.status() {
        _ if phrases.prompt_too_long() => TryOutcome::Context(detail),
        None | Some(429) if phrases.usage_limit() => {
            let until = reset_time::named_in(&result.text, run.now, run.zone).map(|at| believable(at, run.now));
            TryOutcome::Limited { until, detail }
        }
        None | Some(429) if phrases.account_blocked() => TryOutcome::NeedsHuman(detail),
        Some(413) => TryOutcome::Context(detail),
        Some(429) => TryOutcome::Throttled(detail),
        Some(500..600) => TryOutcome::Overloaded(detail),
        Some(401 | 403) => TryOutcome::Auth(detail),
        None if phrases.login_refused() => TryOutcome::Auth(detail),
        None if phrases.unreachable() => TryOutcome::Overloaded(detail),
        Some(402) => TryOutcome::NeedsHuman(detail),
        _ if phrases.unknown_model() => TryOutcome::UnknownModel(detail),
        _ => TryOutcome::Failed(detail),
    }
}

fn without_result(run: &EndedRun<'_>) -> Diagnosis {
    let ended = format!("ended with {} and without a result", describe_end(run.end));
    // The last line that begins with `Error: ` counts, because a stack trace can follow it.
    let plain = text::plain(run.stderr);
    let error = plain.lines().map(str::trim).rfind(|line| line.starts_with("Error: "));
    let last = error.map_or_else(|| last_line(run.stderr), str::to_owned);
    let detail = match last.as_str() {
        "" => ended,
        last => format!("{ended}: {}", text::one_line(last, DETAIL)),
    };
    let outcome = if missing_program(run) {
        TryOutcome::NoProgram(detail)
    } else if error.is_some() && Phrases::new(&last).login_refused() {
        TryOutcome::Auth(detail)
    } else {
        TryOutcome::Crashed(detail)
    };
    Diagnosis::by_line(outcome, Some(&last))
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;
    use proptest::prelude::*;

    use super::*;
    use crate::agents::codex::recorded::{self, read};
    use crate::agents::reading::Reading;
    use crate::domain::command::CommandEnd;
    use crate::domain::time::Timestamp;

    /// 2026-11-23T23:54:00Z.
    const NOW: Timestamp = Timestamp(1_795_478_040_000);

    fn diagnosed(cause: EndCause, code: i32, reading: &Reading, stderr: &str) -> Diagnosis {
        let end = CommandEnd::new(cause, Some(ExitStatus::Code(code)), NOW);
        let zone = |name: &str| name.is_empty().then(|| TimeZone::posix("CET-1").unwrap());
        diagnose(&EndedRun { end: &end, reading, stderr, now: NOW, zone })
    }

    fn outcome(code: i32, output: &str, stderr: &str) -> TryOutcome {
        diagnosed(EndCause::Finished, code, &read(output), stderr).outcome
    }

    fn kind(outcome: &TryOutcome) -> String {
        let kind = serde_json::to_value(outcome).unwrap()["kind"].as_str().unwrap().to_owned();
        match outcome {
            TryOutcome::Limited { until: Some(_), .. } => kind + " until",
            _ => kind,
        }
    }

    #[test]
    fn every_recorded_failure_has_its_outcome_and_its_evidence() {
        for (output, expected, evidence) in [
            (recorded::THROTTLED, "throttled", "last status: 429"),
            (recorded::LIMITED_TODAY, "limited until", "try again at 8:45 PM"),
            (recorded::LIMITED_LATER, "limited until", "Dec 23rd, 2026 7:45 PM"),
            (recorded::LIMITED, "limited", "Try again later"),
            (recorded::REFUSED_KEY, "auth", "401 Unauthorized"),
            (recorded::NO_KEY, "auth", "OPENAI_API_KEY"),
            (recorded::FORBIDDEN, "auth", "403 Forbidden"),
            (recorded::BROKEN, "overloaded", "high demand"),
            (recorded::OVERLOADED, "overloaded", "at capacity"),
            (recorded::BROKEN_STREAM, "overloaded", "stream disconnected"),
            (recorded::TOO_LONG, "context", "context window"),
            (recorded::NO_QUOTA, "needs_human", "billing details"),
            (recorded::NO_PLAN, "needs_human", "upgrade to Plus"),
            (recorded::PAYMENT, "needs_human", "402 Payment Required"),
            (recorded::UNKNOWN_MODEL, "unknown_model", "does not exist"),
            (recorded::NOT_FOUND, "unknown_model", "404 Not Found"),
        ] {
            let diagnosis = diagnosed(EndCause::Finished, 1, &read(output), "");
            assert_eq!(kind(&diagnosis.outcome), expected, "{output}");
            let line = diagnosis.evidence.unwrap();
            assert!(line.contains("turn.failed") && line.contains(evidence), "{line}");
        }
    }

    #[test]
    fn a_limit_ends_at_the_time_in_the_zone_of_the_process() {
        let until = |output: &str| match outcome(1, output, "") {
            TryOutcome::Limited { until, .. } => until.unwrap().to_string(),
            other => panic!("{other:?}"),
        };
        assert_eq!(until(recorded::LIMITED_TODAY), "2026-11-24T19:45:00.000Z");
        assert_eq!(until(recorded::LIMITED_LATER), "2026-12-01T23:54:00.000Z", "a wait is at most 8 days");
        let soon = recorded::LIMITED_LATER.replace("Dec 23rd", "Dec 1st");
        assert_eq!(until(&soon), "2026-12-01T18:45:00.000Z");
        let passed = recorded::LIMITED_TODAY.replace("8:45 PM", "12:50 AM");
        assert_eq!(until(&passed), "2026-11-23T23:54:05.000Z", "a wait is at least 5 s");
    }

    #[test]
    fn what_the_model_writes_decides_nothing() {
        assert_eq!(outcome(0, recorded::TOOLS, ""), TryOutcome::Succeeded);
        let cut =
            recorded::TOOLS.lines().filter(|line| !line.contains("turn.completed")).collect::<Vec<_>>().join("\n");
        let crashed = TryOutcome::Crashed("ended with exit code 0 and without a result".into());
        assert_eq!(outcome(0, &cut, ""), crashed);
    }

    #[test]
    fn each_way_to_end_has_its_outcome() {
        let success = read(recorded::TOOLS);
        let kind_of = |cause, code, reading: &Reading| kind(&diagnosed(cause, code, reading, "").outcome);
        assert_eq!(kind_of(EndCause::Finished, 143, &success), "crashed");
        assert_eq!(kind_of(EndCause::Terminated, 143, &success), "crashed");
        assert_eq!(kind_of(EndCause::TimedOut, 143, &success), "timed_out");
        let hung = Reading { ended_after_result: true, ..success.clone() };
        assert_eq!(kind_of(EndCause::Terminated, 143, &hung), "succeeded");
        let refused = Reading { ended_after_result: true, ..read(recorded::REFUSED_KEY) };
        assert_eq!(kind_of(EndCause::Terminated, 143, &refused), "auth");
        let denied = Reading { denials: vec!["command_execution".into()], ..success };
        assert_eq!(kind_of(EndCause::Finished, 0, &denied), "denied");
        let missing = EndCause::NotExecuted("cannot execute `codex`: No such file or directory".into());
        assert_eq!(kind_of(missing, 0, &Reading::default()), "no_program");
        let empty = "{\"type\":\"turn.completed\"}\n";
        assert_eq!(outcome(0, empty, ""), TryOutcome::Succeeded);
        assert_eq!(kind(&outcome(1, "{\"type\":\"turn.failed\"}\n", "")), "failed");
    }

    #[test]
    fn stderr_counts_only_without_a_result() {
        for (code, stderr, expected) in [
            (1, "", "crashed"),
            (1, recorded::UNKNOWN_SESSION, "crashed"),
            (1, "Error: Not logged in. Run codex login", "auth"),
            (1, "the tool printed: not logged in", "crashed"),
            (1, "Error: Missing optional dependency @openai/codex-linux-x64. Reinstall Codex", "no_program"),
            (127, "env: 'node': No such file or directory", "no_program"),
        ] {
            assert_eq!(kind(&outcome(code, "", stderr)), expected, "{stderr}");
        }
        assert_eq!(kind(&outcome(127, recorded::UNREACHABLE, "")), "crashed", "the agent has begun");
    }

    proptest! {
        #[test]
        fn without_a_result_line_nothing_succeeds(output in "[ -~\n]*", stderr in ".*", code in -1i32..300) {
            prop_assert_ne!(outcome(code, &output, &stderr), TryOutcome::Succeeded);
        }
    }
}
