//! How a try of an agent ended. The order of the questions is the meaning: what boi did itself; a prompt too long (its
//! text may quote a limit); a usage limit; throttling; a broken service; a refused login; an account that needs a
//! person; the task's own limits; success; else a failure or a crash.

use jiff::tz::TimeZone;

use super::exit::{ended_by_boi, how};
use super::reset;
use super::transcript::{Reading, ResultLine};
use super::wording::Wording;
use crate::domain::outcome::{AgentReport, CommandEnd, EndCause, ExitStatus, TryOutcome};
use crate::domain::text;
use crate::domain::time::Timestamp;

/// The shortest and the longest wait for a limit that is believed, in milliseconds.
const WAIT_MILLIS: (i64, i64) = (5_000, 8 * 24 * 3_600_000);

/// How much of what the agent said an outcome or a report carries, in characters.
const DETAIL: usize = 600;

/// How a try ended, and what the agent said of it. `stderr` is the end of what the agent printed there; `zone` finds a
/// time zone by its IANA name.
pub fn outcome(
    end: &CommandEnd,
    reading: &Reading,
    stderr: &str,
    now: Timestamp,
    zone: fn(&str) -> Option<TimeZone>,
) -> (TryOutcome, AgentReport) {
    let outcome = ended_by_boi(end).unwrap_or_else(|| match (&reading.result, &end.cause) {
        (_, EndCause::Terminated) if !reading.ended_after_result => TryOutcome::Crashed(how(end)),
        (Some(result), _) if result.is_error || result.subtype != "success" => failed(result, reading, now, zone),
        (Some(_), _) if reading.ended_after_result || end.status == Some(ExitStatus::Code(0)) => TryOutcome::Succeeded,
        (Some(_), _) => TryOutcome::Crashed(format!("reported success, then ended with {}", how(end))),
        (None, _) => no_result(end, reading, stderr, now),
    });
    (outcome, report(reading))
}

fn failed(result: &ResultLine, reading: &Reading, now: Timestamp, zone: fn(&str) -> Option<TimeZone>) -> TryOutcome {
    let wording = Wording::new(&result.text);
    let status = result.api_status.or_else(|| wording.status());
    let detail = if result.text.trim().is_empty() {
        format!("the agent reported {}", result.subtype)
    } else {
        text::one_line(&result.text, DETAIL)
    };
    if wording.context() || status == Some(413) {
        return TryOutcome::Context(detail);
    }
    if status == Some(429) {
        let rejected = reading.limit.as_ref().filter(|limit| limit.rejected);
        let resets_at = rejected.and_then(|limit| limit.resets_at).and_then(|seconds| seconds.checked_mul(1000));
        // A plain 429 to a login comes with a rejected event too, without a time.
        if let Some(at) = resets_at.filter(|_| !wording.not_a_usage_limit()) {
            return TryOutcome::Limited { until: Some(believable(Timestamp(at), now)), detail };
        }
        if wording.needs_human() {
            return TryOutcome::NeedsHuman(detail);
        }
        let paid_for_more = reading.limit.as_ref().is_some_and(|limit| limit.overage);
        if wording.usage_limit() && !paid_for_more {
            let until = reset::moment(&result.text, now, zone).map(|at| believable(at, now));
            return TryOutcome::Limited { until, detail };
        }
        return TryOutcome::Throttled(detail);
    }
    if status.is_some_and(|status| (500..600).contains(&status)) || (status.is_none() && wording.unreachable()) {
        return TryOutcome::Overloaded(detail);
    }
    if matches!(status, Some(401 | 403)) || (status.is_none() && wording.auth()) {
        return TryOutcome::Auth(detail);
    }
    if wording.needs_human() || status == Some(402) {
        return TryOutcome::NeedsHuman(detail);
    }
    match result.subtype.as_str() {
        "error_max_turns" | "error_max_budget_usd" => TryOutcome::TaskBudget(detail),
        _ => TryOutcome::Failed(detail),
    }
}

fn no_result(end: &CommandEnd, reading: &Reading, stderr: &str, now: Timestamp) -> TryOutcome {
    let ended = format!("ended with {} and without a result", how(end));
    if let Some(limit) = reading.limit.as_ref().filter(|limit| limit.rejected)
        && let Some(at) = limit.resets_at.and_then(|seconds| seconds.checked_mul(1000))
    {
        let kind = limit.kind.as_deref().unwrap_or("usage");
        return TryOutcome::Limited {
            until: Some(believable(Timestamp(at), now)),
            detail: format!("{kind} limit used up; the agent {ended}"),
        };
    }
    let plain = text::plain(stderr);
    let last = plain.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("");
    let detail = match last {
        "" => ended,
        last => format!("{ended}: {}", text::one_line(last, DETAIL)),
    };
    let wording = Wording::new(last);
    if wording.auth() {
        TryOutcome::Auth(detail)
    } else if wording.needs_human() {
        TryOutcome::NeedsHuman(detail)
    } else {
        TryOutcome::Crashed(detail)
    }
}

fn believable(at: Timestamp, now: Timestamp) -> Timestamp {
    at.clamp(now.plus_millis(WAIT_MILLIS.0), now.plus_millis(WAIT_MILLIS.1))
}

fn report(reading: &Reading) -> AgentReport {
    let said = reading.result.as_ref().map(|result| result.text.as_str()).or(reading.last_text.as_deref());
    let mut message = said.map(|said| text::one_line(said, DETAIL)).filter(|said| !said.is_empty());
    if reading.ended_after_result {
        let note = "(did not exit after its result and was ended)";
        message = Some(message.map_or_else(|| note.to_owned(), |said| format!("{said} {note}")));
    }
    AgentReport {
        session_id: reading.session_id.clone(),
        usage: reading.result.as_ref().map_or(reading.seen, |result| result.usage),
        message,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::agents::recorded;
    use crate::agents::transcript::Transcript;

    const NOW: Timestamp = Timestamp(1_795_478_040_000);

    fn end(cause: EndCause, status: Option<ExitStatus>) -> CommandEnd {
        CommandEnd { cause, status, swept: 0, ended_at: NOW }
    }

    fn exited(code: i32) -> CommandEnd {
        end(EndCause::Finished, Some(ExitStatus::Code(code)))
    }

    fn read(output: &str) -> Reading {
        let mut transcript = Transcript::new();
        transcript.push(output.as_bytes());
        transcript.finish()
    }

    fn told(end: &CommandEnd, output: &str, stderr: &str) -> TryOutcome {
        outcome(end, &read(output), stderr, NOW, |_| None).0
    }

    #[test]
    fn success_needs_the_result_and_the_exit_code() {
        assert_eq!(told(&exited(0), recorded::SUCCESS, "a warning"), TryOutcome::Succeeded);
        let expected = TryOutcome::Crashed("reported success, then ended with exit code 143 (SIGTERM)".into());
        assert_eq!(told(&exited(143), recorded::SUCCESS, ""), expected);
        let expected = TryOutcome::Crashed("ended with exit code 0 and without a result".into());
        assert_eq!(told(&exited(0), "", ""), expected);
        assert_eq!(told(&exited(0), "All done.\n{garbage\n", ""), expected);
    }

    #[test]
    fn prose_about_limits_is_prose() {
        assert_eq!(told(&exited(0), recorded::TOOLS, ""), TryOutcome::Succeeded);
        let prose = r#"{"type":"assistant","message":{"content":[{"type":"text","text":"API Error: 401. You've hit your usage limit"}]}}
{"type":"user","message":{"content":[{"type":"tool_result","content":"{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":false}"}]}}
"#;
        let crashed = TryOutcome::Crashed("ended with exit code 1 and without a result".into());
        assert_eq!(told(&exited(1), prose, ""), crashed);
        assert_eq!(told(&exited(0), &format!("{prose}{}", recorded::SUCCESS), ""), TryOutcome::Succeeded);
    }

    #[test]
    fn every_recorded_failure_has_its_outcome() {
        let kind = |output: &str| match told(&exited(1), output, "") {
            TryOutcome::Auth(_) => "auth",
            TryOutcome::Throttled(_) => "throttled",
            TryOutcome::Overloaded(_) => "overloaded",
            TryOutcome::Context(_) => "context",
            TryOutcome::NeedsHuman(_) => "needs human",
            TryOutcome::TaskBudget(_) => "task budget",
            TryOutcome::Failed(_) => "failed",
            TryOutcome::Limited { until: Some(_), .. } => "limited until",
            TryOutcome::Limited { until: None, .. } => "limited",
            other => panic!("{other:?}"),
        };
        for (output, expected) in [
            (recorded::REFUSED_LOGIN, "auth"),
            (recorded::NOT_LOGGED_IN, "auth"),
            (recorded::FORBIDDEN, "auth"),
            (recorded::THROTTLED, "throttled"),
            (recorded::ORGANIZATION_RATE, "throttled"),
            (recorded::THROTTLED_LOGIN, "throttled"),
            (recorded::LIMITED, "limited until"),
            (recorded::LIMITED_KEY, "limited"),
            (recorded::BROKEN, "overloaded"),
            (recorded::OVERLOADED, "overloaded"),
            (recorded::UNREACHABLE, "overloaded"),
            (recorded::BROKEN_ANSWER, "overloaded"),
            (recorded::LOST_CONNECTION, "overloaded"),
            (recorded::TOO_LONG, "context"),
            (recorded::NO_CREDIT, "needs human"),
            (recorded::SPENDING_CAP, "needs human"),
            (recorded::DISABLED, "needs human"),
            (recorded::UNKNOWN_MODEL, "failed"),
            (recorded::UNKNOWN_SESSION, "failed"),
            (recorded::MAX_TURNS, "task budget"),
            (recorded::MAX_BUDGET, "task budget"),
        ] {
            assert_eq!(kind(output), expected, "{output}");
        }
    }

    #[test]
    fn a_limit_ends_when_the_event_says_else_when_the_text_says() {
        let until = |output: &str| match told(&exited(1), output, "") {
            TryOutcome::Limited { until, .. } => until,
            other => panic!("{other:?}"),
        };
        assert_eq!(until(recorded::LIMITED), Some(Timestamp(1_795_481_639_000)));
        let text_only = recorded::LIMITED.replace("\"resetsAt\":1795481639,", "");
        assert_eq!(until(&text_only), Some(Timestamp(1_795_481_580_000)), "12:53am, to the minute");
        let past = recorded::LIMITED.replace("1795481639", "1");
        assert_eq!(until(&past), Some(NOW.plus_millis(5_000)));
        let far = recorded::LIMITED.replace("1795481639", "9223372036854775");
        assert_eq!(until(&far), Some(NOW.plus_millis(8 * 24 * 3_600_000)));
        let overage = recorded::LIMITED.replace("\"overageStatus\":\"rejected\"", "\"overageStatus\":\"allowed\"");
        assert!(matches!(told(&exited(1), &overage, ""), TryOutcome::Throttled(_)));
        let no_result = recorded::LIMITED.lines().take(2).collect::<Vec<_>>().join("\n");
        assert_eq!(until(&no_result), Some(Timestamp(1_795_481_639_000)));
    }

    #[test]
    fn what_boi_did_itself_comes_first() {
        let status = Some(ExitStatus::Code(143));
        assert_eq!(told(&end(EndCause::TimedOut, status), recorded::SUCCESS, ""), TryOutcome::TimedOut);
        assert_eq!(told(&end(EndCause::TooMuchOutput, status), recorded::LIMITED, ""), TryOutcome::TooMuchOutput);
        assert_eq!(told(&end(EndCause::Lost, None), recorded::SUCCESS, ""), TryOutcome::Lost);
        let missing = EndCause::NotExecuted("claude: No such file or directory".into());
        let expected = TryOutcome::NotExecuted("claude: No such file or directory".into());
        assert_eq!(told(&end(missing, None), "", ""), expected);
        let terminated = end(EndCause::Terminated, status);
        assert!(matches!(told(&terminated, recorded::SUCCESS, ""), TryOutcome::Crashed(_)));
    }

    #[test]
    fn an_agent_that_hangs_after_its_result_is_taken_at_its_word() {
        let terminated = end(EndCause::Terminated, Some(ExitStatus::Code(143)));
        let told = |output: &str| {
            let reading = Reading { ended_after_result: true, ..read(output) };
            outcome(&terminated, &reading, "", NOW, |_| None)
        };
        let (outcome, report) = told(recorded::SUCCESS);
        assert_eq!(outcome, TryOutcome::Succeeded);
        assert_eq!(report.message.as_deref(), Some("All done. (did not exit after its result and was ended)"));
        assert!(matches!(told(recorded::REFUSED_LOGIN).0, TryOutcome::Auth(_)));
    }

    #[test]
    fn stderr_counts_where_there_is_no_result() {
        let stderr = "Error: Session ID 7f22 is already in use.\n\n";
        let expected = "ended with exit code 1 and without a result: Error: Session ID 7f22 is already in use.";
        assert_eq!(told(&exited(1), "", stderr), TryOutcome::Crashed(expected.into()));
        assert!(matches!(told(&exited(1), "", "Invalid API key · Please run /login"), TryOutcome::Auth(_)));
        assert_eq!(told(&exited(0), recorded::SUCCESS, "Invalid API key"), TryOutcome::Succeeded);
    }

    #[test]
    fn the_report_adds_up_without_a_result() {
        let unfinished: String = recorded::TOOLS.lines().take(5).map(|line| format!("{line}\n")).collect();
        let timed_out = end(EndCause::TimedOut, None);
        let (_, report) = outcome(&timed_out, &read(&unfinished), "", NOW, |_| None);
        assert_eq!(report.session_id.as_deref(), Some("3f221111-1111-4111-8111-111111111111"));
        assert_eq!((report.usage.turns, report.usage.input_tokens), (2, 2400));
    }

    proptest! {
        #[test]
        fn no_output_makes_a_success_without_a_result_line(output in "[ -~\n]*", stderr in ".*", code in -1i32..300) {
            prop_assert_ne!(told(&exited(code), &output, &stderr), TryOutcome::Succeeded);
        }
    }
}
