//! Decides the outcome of a run of opencode, which exits with 1 after an `error` event, and with 0 after a
//! success.
//!
//! A reported error is checked in this order: a prompt that is too long, a usage limit or throttling, a
//! broken service, an account that needs a person, a refused login, an unknown model.

use super::line_reader::CONTEXT_OVERFLOW;
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

pub(super) fn diagnose(run: &EndedRun<'_>) -> Diagnosis {
    let EndedRun { end, reading, .. } = run;
    let result = reading.result.as_ref().or(reading.unresolved.as_ref());
    if let Some(outcome) = agent_outcome_of_cause(end) {
        return Diagnosis::by_end(outcome);
    }
    let last = last_line(run.stderr);
    let outcome = match (result, &end.cause) {
        (_, EndCause::Terminated) if !reading.decides() => TryOutcome::Crashed(describe_end(end)),
        (Some(result), _) if result.is_error => reported_failure(result, run),
        (Some(_), _) if reading.ended_after_result || end.status == Some(ExitStatus::Code(0)) => {
            if let Some(cut) = &reading.cut {
                TryOutcome::Cut(cut.clone())
            } else if !reading.denials.is_empty() {
                TryOutcome::Denied(text::one_line(&reading.denials.join(", "), DETAIL))
            } else {
                TryOutcome::Succeeded
            }
        }
        (Some(_), _) => {
            TryOutcome::Crashed(format!("the agent reported success, then ended with {}", describe_end(end)))
        }
        (None, _) => without_result(run, &last),
    };
    Diagnosis::by_line(outcome, reading.evidence.as_deref().or(Some(&last)))
}

fn reported_failure(result: &RunResult, run: &EndedRun<'_>) -> TryOutcome {
    let phrases = Phrases::new(&result.text);
    let detail = match text::one_line(&result.text, DETAIL) {
        text if text.is_empty() => format!("the agent reported an error without a text ({})", result.kind),
        text => text,
    };
    match (result.api_status, result.kind.as_str()) {
        (_, CONTEXT_OVERFLOW) | (Some(413), _) => TryOutcome::Context(detail),
        _ if phrases.prompt_too_long() => TryOutcome::Context(detail),
        (Some(429), _) => too_many_requests(&phrases, detail, run),
        (Some(500..600), _) => TryOutcome::Overloaded(detail),
        (None, _) if phrases.unreachable() => TryOutcome::Overloaded(detail),
        (Some(402), _) => TryOutcome::NeedsHuman(detail),
        (Some(400..404), _) if phrases.account_blocked() => TryOutcome::NeedsHuman(detail),
        (Some(401 | 403), _) | (_, "ProviderAuthError") => TryOutcome::Auth(detail),
        _ if phrases.login_refused() => TryOutcome::Auth(detail),
        (_, "ProviderModelNotFoundError") => TryOutcome::UnknownModel(detail),
        (Some(404), _) if phrases.unknown_model() => TryOutcome::UnknownModel(detail),
        _ => TryOutcome::Failed(detail),
    }
}

/// Decides the outcome of a run whose request failed with the HTTP status 429.
fn too_many_requests(phrases: &Phrases, detail: String, run: &EndedRun<'_>) -> TryOutcome {
    let limit = run.reading.limit.as_ref().filter(|limit| limit.rejected);
    let until = limit.and_then(|limit| limit.resets_at?.checked_mul(1000)).map(|at| believable(Timestamp(at), run.now));
    if until.is_some() {
        TryOutcome::Limited { until, detail }
    } else if phrases.account_blocked() {
        TryOutcome::NeedsHuman(detail)
    } else if phrases.usage_limit() {
        TryOutcome::Limited { until: None, detail }
    } else {
        TryOutcome::Throttled(detail)
    }
}

fn without_result(run: &EndedRun<'_>, last: &str) -> TryOutcome {
    let ended = format!("ended with {} and without a result", describe_end(run.end));
    let detail = match last {
        "" => ended,
        last => format!("{ended}: {}", text::one_line(last, DETAIL)),
    };
    let phrases = Phrases::new(last);
    if missing_program(run) {
        TryOutcome::NoProgram(detail)
    } else if phrases.login_refused() {
        TryOutcome::Auth(detail)
    } else if phrases.unknown_model() {
        TryOutcome::UnknownModel(detail)
    } else if phrases.unreachable() {
        TryOutcome::Overloaded(detail)
    } else {
        TryOutcome::Crashed(detail)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::agents::opencode::recorded::{self, read};
    use crate::agents::reading::Reading;
    use crate::domain::command::CommandEnd;

    const NOW: Timestamp = Timestamp(1_795_478_040_000);

    fn diagnosis(end: &CommandEnd, reading: &Reading, stderr: &str) -> Diagnosis {
        diagnose(&EndedRun { end, reading, stderr, now: NOW, zone: |_| None })
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

    fn failure(name: &str, status: Option<u16>, message: &str) -> String {
        let data = serde_json::json!({"statusCode": status, "message": message});
        serde_json::json!({"type": "error", "sessionID": "ses_1", "error": {"name": name, "data": data}}).to_string()
    }

    #[test]
    fn every_recorded_run_has_its_outcome() {
        for (code, output, stderr, expected) in [
            (0, recorded::TOOLS, "", "succeeded"),
            (143, recorded::TERMINATED, "", "crashed"),
            (1, recorded::REFUSED_LOGIN, "", "auth"),
            (1, recorded::THROTTLED, "", "throttled"),
            (1, recorded::LIMITED, "", "limited until"),
            (1, recorded::OVERLOADED, "", "overloaded"),
            (1, recorded::NO_CREDIT, "", "needs_human"),
            (1, recorded::UNKNOWN_MODEL, "", "unknown_model"),
            (1, recorded::TOO_LONG, "", "context"),
            (1, recorded::UNKNOWN_PROVIDER, "", "failed"),
            (1, recorded::UNREACHABLE, "", "overloaded"),
            (1, "", recorded::UNKNOWN_SESSION, "crashed"),
        ] {
            let Diagnosis { outcome, evidence } = exited(code, output, stderr);
            assert_eq!(kind(&outcome), expected, "{code} {output}{stderr}");
            assert!(evidence.is_some() || output == recorded::TERMINATED, "{code} {output}{stderr}");
        }
        assert_eq!(exited(1, "", recorded::UNKNOWN_SESSION).evidence.as_deref(), Some("Error: Session not found"));
    }

    #[test]
    fn the_status_the_name_and_the_text_decide() {
        for (name, status, message, expected) in [
            ("APIError", Some(429), "You exceeded your current quota, please check your plan", "needs_human"),
            ("APIError", Some(429), "The usage limit has been reached", "limited"),
            ("APIError", Some(429), "prompt is too long", "context"),
            ("APIError", Some(402), "no", "needs_human"),
            ("APIError", Some(401), "Insufficient balance", "needs_human"),
            ("APIError", Some(403), "no", "auth"),
            ("APIError", Some(413), "no", "context"),
            ("APIError", Some(500), "usage limit", "overloaded"),
            ("APIError", Some(404), "no", "failed"),
            ("APIError", Some(400), "no", "failed"),
            ("APIError", None, "Cannot connect to API", "overloaded"),
            ("ProviderAuthError", None, "no", "auth"),
            ("ProviderModelNotFoundError", None, "no", "unknown_model"),
            ("UnknownError", None, "API key is missing", "auth"),
            ("UnknownError", None, "", "failed"),
        ] {
            let outcome = exited(1, &failure(name, status, message), "").outcome;
            assert_eq!(kind(&outcome), expected, "{name} {status:?} {message}");
        }
    }

    #[test]
    fn what_the_model_writes_decides_nothing() {
        let prose = r#"{"type":"text","part":{"text":"429: the usage limit is used up"}}"#;
        let tool = r#"{"type":"tool_use","part":{"tool":"bash","state":{"status":"error","error":"429 usage limit"}}}"#;
        let stop = r#"{"type":"step_finish","part":{"reason":"stop"}}"#;
        let output = [prose, tool, "noise", stop].join("\n");
        assert_eq!(exited(0, &output, "Invalid API key").outcome, TryOutcome::Succeeded);
        assert_eq!(kind(&exited(1, &[prose, tool].join("\n"), "").outcome), "crashed");
        assert_eq!(kind(&exited(0, &[prose, tool].join("\n"), "").outcome), "crashed", "there is no result");
    }

    #[test]
    fn a_cut_and_a_denied_run_are_no_success() {
        let stop = r#"{"type":"step_finish","part":{"reason":"stop"}}"#;
        let length = r#"{"type":"step_finish","part":{"reason":"length"}}"#;
        let denied = r#"{"type":"tool_use","part":{"tool":"bash","state":{"status":"error","error":"The user rejected permission to use this specific tool call."}}}"#;
        assert_eq!(kind(&exited(0, length, "").outcome), "cut");
        assert_eq!(exited(0, &[denied, stop].join("\n"), "").outcome, TryOutcome::Denied("bash".into()));
        assert_eq!(kind(&exited(9, stop, "").outcome), "crashed", "the exit code contradicts the result");
    }

    #[test]
    fn the_cause_of_the_end_comes_first_and_a_result_before_a_hang_stands() {
        let end = |cause, code| CommandEnd::new(cause, Some(ExitStatus::Code(code)), NOW);
        for (cause, expected) in [
            (EndCause::TimedOut, "timed_out"),
            (EndCause::TooMuchOutput, "too_much_output"),
            (EndCause::Lost, "lost"),
            (EndCause::Terminated, "crashed"),
            (EndCause::NotExecuted("cannot execute `opencode`".into()), "no_program"),
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
