//! Decides the outcome of a run of Gemini CLI.
//!
//! If a request failed, the exit code of the CLI is the HTTP status modulo 256: 429 gives 173. For failures
//! of its own, the CLI has exit codes below 128 (41: no login, 53: too many turns, 55: the folder is not
//! trusted).
//!
//! A reported error is checked in this order: a prompt that is too long, a usage limit or throttling, a
//! broken service, an account that needs a person, a refused login, an unknown model, too many turns.

use jiff::civil::Time;
use jiff::tz::TimeZone;

use super::phrases::Phrases;
use crate::agents::dialect::{Diagnosis, EndedRun};
use crate::agents::exit::{agent_outcome_of_cause, last_line, missing_program};
use crate::agents::reading::RunResult;
use crate::agents::reset_time::believable;
use crate::domain::command::{EndCause, ExitStatus};
use crate::domain::exit::describe_end;
use crate::domain::outcome::TryOutcome;
use crate::domain::text;
use crate::domain::time::Timestamp;

/// The longest text of an outcome's detail, in characters.
const DETAIL: usize = 600;

/// The time zone at whose midnight Google resets the daily quota.
const QUOTA_ZONE: &str = "America/Los_Angeles";

/// Exit codes of the CLI for its own failures.
const NO_LOGIN: i32 = 41;
const TOO_MANY_TURNS: i32 = 53;
const NOT_TRUSTED: i32 = 55;

pub(super) fn diagnose(run: &EndedRun<'_>) -> Diagnosis {
    let EndedRun { end, reading, .. } = run;
    if let Some(outcome) = agent_outcome_of_cause(end) {
        return Diagnosis::by_end(outcome);
    }
    let outcome = match (&reading.result, &end.cause) {
        (_, EndCause::Terminated) if !reading.decides() => TryOutcome::Crashed(describe_end(end)),
        (Some(result), _) if result.is_error => reported_failure(result, run),
        (Some(result), _) if reading.ended_after_result || end.status == Some(ExitStatus::Code(0)) => {
            reported_success(result, run)
        }
        (Some(_), _) => {
            TryOutcome::Crashed(format!("the agent reported success, then ended with {}", describe_end(end)))
        }
        (None, _) => return without_result(run),
    };
    Diagnosis::by_line(outcome, reading.evidence.as_deref())
}

fn reported_success(result: &RunResult, run: &EndedRun<'_>) -> TryOutcome {
    if let Some(cut) = &run.reading.cut {
        TryOutcome::Cut(cut.clone())
    } else if !run.reading.denials.is_empty() {
        TryOutcome::Denied(text::one_line(&run.reading.denials.join("; "), DETAIL))
    } else if !run.reading.answered && result.text.is_empty() {
        // The CLI reports success also if it sent no request, because the prompt does not fit into the context.
        TryOutcome::Failed("the agent reported success, but the model answered nothing".to_owned())
    } else {
        TryOutcome::Succeeded
    }
}

fn reported_failure(result: &RunResult, run: &EndedRun<'_>) -> TryOutcome {
    let phrases = Phrases::new(&result.text);
    let detail = match text::one_line(&result.text, DETAIL) {
        text if text.is_empty() => format!("the agent reported an error without a text ({})", result.kind),
        text => text,
    };
    match status_of(run).or_else(|| phrases.status()) {
        _ if phrases.prompt_too_long() => TryOutcome::Context(detail),
        Some(413) => TryOutcome::Context(detail),
        Some(429) => too_many_requests(&phrases, detail, run),
        Some(499..600) => TryOutcome::Overloaded(detail),
        None if phrases.unreachable() => TryOutcome::Overloaded(detail),
        Some(402) => TryOutcome::NeedsHuman(detail),
        Some(400..404) if phrases.account_blocked() => TryOutcome::NeedsHuman(detail),
        Some(401 | 403) => TryOutcome::Auth(detail),
        _ if phrases.login_refused() => TryOutcome::Auth(detail),
        _ if phrases.unknown_model() => TryOutcome::UnknownModel(detail),
        _ if result.kind == "FatalTurnLimitedError" => TryOutcome::TaskBudget(detail),
        _ => TryOutcome::Failed(detail),
    }
}

/// Decides the outcome of a run whose request failed with the HTTP status 429.
fn too_many_requests(phrases: &Phrases, detail: String, run: &EndedRun<'_>) -> TryOutcome {
    if let Some(until) = phrases.long_wait_until(run.now) {
        TryOutcome::Limited { until: Some(believable(until, run.now)), detail }
    } else if phrases.daily_quota() {
        TryOutcome::Limited { until: (run.zone)(QUOTA_ZONE).and_then(|zone| next_midnight(run.now, &zone)), detail }
    } else if phrases.account_blocked() {
        TryOutcome::NeedsHuman(detail)
    } else if phrases.used_up() {
        TryOutcome::Limited { until: None, detail }
    } else {
        TryOutcome::Throttled(detail)
    }
}

fn next_midnight(now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let now = jiff::Timestamp::from_millisecond(now.0).ok()?;
    let tomorrow = zone.to_datetime(now).date().tomorrow().ok()?;
    Some(Timestamp(zone.to_timestamp(tomorrow.to_datetime(Time::midnight())).ok()?.as_millisecond()))
}

/// Returns the HTTP status of the failed request, computed from the exit code; `None` if the exit code is not
/// that of a failed request.
fn status_of(run: &EndedRun<'_>) -> Option<u16> {
    let Some(ExitStatus::Code(code)) = run.end.status else { return None };
    match u16::try_from(code).ok()? {
        // The exit codes from 0 on belong to the statuses from 512 on, of which services use only 529.
        17 => Some(529),
        code @ 144..=255 => Some(code + 256),
        _ => None,
    }
}

fn without_result(run: &EndedRun<'_>) -> Diagnosis {
    let ended = format!("ended with {} and without a result", describe_end(run.end));
    let plain = text::plain(run.stderr);
    // The last line with a known cause counts, because the CLI can print advice after it.
    let known = plain.lines().map(str::trim).rfind(|line| Phrases::new(line).is_known());
    let last = known.map_or_else(|| last_line(run.stderr), str::to_owned);
    let detail = match last.as_str() {
        "" => ended,
        last => format!("{ended}: {}", text::one_line(last, DETAIL)),
    };
    let phrases = Phrases::new(&last);
    let outcome = match run.end.status {
        _ if missing_program(run) => TryOutcome::NoProgram(detail),
        Some(ExitStatus::Code(NO_LOGIN)) => TryOutcome::Auth(detail),
        Some(ExitStatus::Code(TOO_MANY_TURNS)) => TryOutcome::TaskBudget(detail),
        Some(ExitStatus::Code(NOT_TRUSTED)) => TryOutcome::ModeForbidden(detail),
        _ if phrases.mode_forbidden() => TryOutcome::ModeForbidden(detail),
        _ if phrases.login_refused() => TryOutcome::Auth(detail),
        _ if phrases.unreachable() => TryOutcome::Overloaded(detail),
        _ => TryOutcome::Crashed(detail),
    };
    Diagnosis::by_line(outcome, Some(&last))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::agents::gemini::recorded::{self, read};
    use crate::agents::reading::Reading;
    use crate::domain::command::CommandEnd;

    /// 2026-11-23T23:54:00Z.
    const NOW: Timestamp = Timestamp(1_795_478_040_000);

    fn diagnosis(end: &CommandEnd, reading: &Reading, stderr: &str) -> Diagnosis {
        let zone = |name: &str| (name == QUOTA_ZONE).then(|| TimeZone::fixed(jiff::tz::offset(-8)));
        diagnose(&EndedRun { end, reading, stderr, now: NOW, zone })
    }

    fn exited(code: i32, output: &str, stderr: &str) -> Diagnosis {
        let end = CommandEnd::new(EndCause::Finished, Some(ExitStatus::Code(code)), NOW);
        diagnosis(&end, &read(output), stderr)
    }

    fn kind(outcome: &TryOutcome) -> String {
        let kind = serde_json::to_value(outcome).unwrap()["kind"].as_str().unwrap().to_owned();
        match outcome {
            TryOutcome::Limited { until: Some(_), .. } => kind + " until",
            _ => kind,
        }
    }

    fn failure(message: &str) -> String {
        serde_json::json!({"type": "result", "status": "error", "error": {"type": "x", "message": message}}).to_string()
    }

    #[test]
    fn every_recorded_run_has_its_outcome() {
        for (code, output, stderr, expected) in [
            (0, recorded::TOOLS, "", "succeeded"),
            (0, recorded::TERMINATED, "", "crashed"),
            (173, recorded::THROTTLED, "", "throttled"),
            (173, recorded::DAILY_QUOTA, "", "limited until"),
            (144, recorded::BAD_KEY, "", "auth"),
            (145, recorded::REFUSED_LOGIN, "", "auth"),
            (147, recorded::SUSPENDED, "", "needs_human"),
            (1, recorded::UNKNOWN_MODEL, "", "unknown_model"),
            (244, recorded::BROKEN, "", "overloaded"),
            (247, recorded::UNAVAILABLE, "", "overloaded"),
            (17, recorded::OVERLOADED, "", "overloaded"),
            (144, recorded::TOO_LONG, "", "context"),
            (41, "", recorded::NO_LOGIN, "auth"),
            (42, "", recorded::UNKNOWN_SESSION, "crashed"),
        ] {
            let Diagnosis { outcome, evidence } = exited(code, output, stderr);
            assert_eq!(kind(&outcome), expected, "{code} {output}{stderr}");
            assert!(evidence.is_some() || output == recorded::TERMINATED, "{code} {output}{stderr}");
        }
        let login = exited(41, "", recorded::NO_LOGIN).evidence.unwrap();
        assert!(login.contains("GEMINI_API_KEY"), "{login}");
    }

    #[test]
    fn the_quota_of_a_day_lasts_until_midnight_pacific_time() {
        let TryOutcome::Limited { until, .. } = exited(173, recorded::DAILY_QUOTA, "").outcome else { panic!() };
        assert_eq!(until.unwrap().to_string(), "2026-11-24T08:00:00.000Z");
    }

    #[test]
    fn the_exit_code_and_the_text_decide() {
        for (code, message, expected) in [
            (173, "Quota exceeded. Please retry in 41.2s.", "throttled"),
            (173, "Quota exceeded. Please retry in 7200s.", "limited until"),
            (173, "You have exhausted your capacity on this model. Your quota will reset after 2h1m.", "limited until"),
            (173, "You have exhausted your capacity on this model.", "limited"),
            (173, "Your prepayment credits are depleted.", "needs_human"),
            (173, "Quota exceeded for metric x, limit: 0", "needs_human"),
            (1, r#"{"error":{"code":429,"message":"slow"}}"#, "throttled"),
            (1, r#"{"error":{"code":503}}"#, "overloaded"),
            (144, "This API method requires billing to be enabled.", "needs_human"),
            (144, "User location is not supported for the API use.", "needs_human"),
            (144, "no", "failed"),
            (147, "no", "auth"),
            (157, "no", "context"),
            (1, "exception TypeError: fetch failed sending request", "overloaded"),
            (1, "no", "failed"),
            (1, "", "failed"),
        ] {
            assert_eq!(kind(&exited(code, &failure(message), "").outcome), expected, "{code} {message}");
        }
    }

    #[test]
    fn what_the_model_writes_decides_nothing() {
        let prose = r#"{"type":"message","role":"assistant","content":"429: You have exhausted your daily quota"}"#;
        let success = r#"{"type":"result","status":"success","stats":{}}"#;
        assert_eq!(exited(0, &format!("{prose}\n{success}"), "API key not valid").outcome, TryOutcome::Succeeded);
        assert_eq!(kind(&exited(1, prose, "").outcome), "crashed");
        assert_eq!(kind(&exited(0, prose, "").outcome), "crashed", "there is no result");
    }

    #[test]
    fn a_success_without_an_answer_a_cut_and_a_denied_run_are_none() {
        let success = r#"{"type":"result","status":"success","stats":{}}"#;
        let call = r#"{"type":"tool_use","tool_id":"t1","tool_name":"x","parameters":{}}"#;
        let denied = r#"{"type":"tool_result","tool_id":"t1","status":"error","error":{"type":"policy_violation","message":"denied"}}"#;
        for (lines, expected) in [
            (vec![success], "failed"),
            (vec![call, success], "cut"),
            (vec![call, denied, success], "denied"),
            (vec!["noise", "{broken", success], "failed"),
        ] {
            assert_eq!(kind(&exited(0, &lines.join("\n"), "").outcome), expected, "{lines:?}");
        }
        assert_eq!(kind(&exited(9, recorded::TOOLS, "").outcome), "crashed", "the exit code contradicts the result");
    }

    #[test]
    fn the_codes_of_the_cli_and_its_words_decide_without_a_result() {
        for (code, stderr, expected) in [
            (1, "", "crashed"),
            (41, "", "auth"),
            (53, "", "task_budget"),
            (55, "", "mode_forbidden"),
            (52, "Cannot start in YOLO mode since it is disabled by your admin", "mode_forbidden"),
            (1, "Error: connect ECONNREFUSED 127.0.0.1:1", "overloaded"),
            (1, "TypeError: x is not a function", "crashed"),
        ] {
            assert_eq!(kind(&exited(code, "", stderr).outcome), expected, "{code} {stderr}");
        }
    }

    #[test]
    fn the_cause_of_the_end_comes_first_and_a_result_before_a_hang_stands() {
        let end = |cause, code| CommandEnd::new(cause, Some(ExitStatus::Code(code)), NOW);
        for (cause, expected) in [
            (EndCause::TimedOut, "timed_out"),
            (EndCause::TooMuchOutput, "too_much_output"),
            (EndCause::Lost, "lost"),
            (EndCause::Terminated, "crashed"),
            (EndCause::NotExecuted("cannot execute `gemini`".into()), "no_program"),
        ] {
            let outcome = diagnosis(&end(cause, 143), &read(recorded::TOOLS), "").outcome;
            assert_eq!(kind(&outcome), expected);
        }
        let hung = |output: &str| {
            let reading = Reading { ended_after_result: true, ..read(output) };
            diagnosis(&end(EndCause::Terminated, 143), &reading, "").outcome
        };
        assert_eq!(hung(recorded::TOOLS), TryOutcome::Succeeded);
        assert_eq!(kind(&hung(recorded::REFUSED_LOGIN)), "auth");
    }

    proptest! {
        #[test]
        fn without_a_result_nothing_succeeds(output in "[ -~\n]*", stderr in ".*", code in -1i32..300) {
            prop_assert_ne!(exited(code, &output, &stderr).outcome, TryOutcome::Succeeded);
        }
    }
}
