//! Decides the outcome of a run of Claude Code.
//!
//! The order of the checks matters. First come the causes of the command's end that alone decide the outcome,
//! such as a timeout, and a permission mode in which the agent cannot work. A reported error is then checked
//! in this order: a prompt that is too long (first, because the text of this error may mention a limit), a
//! usage limit or throttling (unless the text says that the account needs a person), a broken service, a
//! refused login, an account that needs a person, a model that does not exist, the agent's own limits of
//! turns and cost. Any other reported error is a failure. A run that reported success succeeds if no work is
//! left, no tool was denied, and the run exited with code 0 or boi ended it after the report. A run without a
//! result is a crash, unless a rejected usage limit or stderr shows the reason.

use super::phrases::Phrases;
use crate::agents::dialect::{Diagnosis, EndedRun};
use crate::agents::exit::{agent_outcome_of_cause, last_line, missing_program};
use crate::agents::reading::RunResult;
use crate::agents::reset_time::{self, believable};
use crate::domain::command::{EndCause, ExitStatus};
use crate::domain::exit::describe_end;
use crate::domain::outcome::TryOutcome;
use crate::domain::text;
use crate::domain::time::Timestamp;

/// The longest text of an outcome's detail, in characters.
const DETAIL: usize = 600;

pub(super) fn diagnose(run: &EndedRun<'_>) -> Diagnosis {
    let EndedRun { end, reading, .. } = run;
    if let Some(outcome) = agent_outcome_of_cause(end) {
        return Diagnosis::by_end(outcome);
    }
    let by_line = |outcome| Diagnosis::by_line(outcome, reading.evidence.as_deref());
    if let Some(mode) = reading.forbidden_mode() {
        return by_line(TryOutcome::ModeForbidden(forbidden(mode)));
    }
    match (&reading.result, &end.cause) {
        (_, EndCause::Terminated) if !reading.ended_after_result => {
            Diagnosis::by_end(TryOutcome::Crashed(describe_end(end)))
        }
        (Some(result), _) if result.is_error || result.kind != "success" => reported_failure(result, run),
        (Some(_), _) if !(reading.ended_after_result || end.status == Some(ExitStatus::Code(0))) => {
            by_line(TryOutcome::Crashed(format!("the agent reported success, then ended with {}", describe_end(end))))
        }
        (Some(_), _) => by_line(match (&reading.cut, reading.denials.as_slice()) {
            (Some(why), _) => TryOutcome::Cut(why.clone()),
            (None, []) => TryOutcome::Succeeded,
            (None, tools) => TryOutcome::Denied(tools.join(", ")),
        }),
        (None, _) => without_result(run),
    }
}

fn forbidden(mode: &str) -> String {
    format!(
        "the agent runs in the permission mode `{mode}` and not in `bypassPermissions`; `.claude/settings.json` or \
         `.claude/settings.local.json` of the repository, or the settings of the user or the machine, forbid that mode"
    )
}

fn reported_failure(result: &RunResult, run: &EndedRun<'_>) -> Diagnosis {
    let by_line = |outcome| Diagnosis::by_line(outcome, run.reading.evidence.as_deref());
    let phrases = Phrases::new(&result.text);
    let status = result.api_status.or_else(|| phrases.status());
    let error = result.api_error.as_deref().unwrap_or("");
    let reason = result.reason.as_deref().unwrap_or("");
    let detail = match text::one_line(&result.text, DETAIL) {
        text if text.is_empty() => format!("the agent reported an error without a text ({})", result.kind),
        text => text,
    };
    let ends_at = || reset_time::named_in(&result.text, run.now, run.zone).map(|at| believable(at, run.now));
    by_line(match status {
        _ if phrases.prompt_too_long() || reason == "prompt_too_long" => TryOutcome::Context(detail),
        Some(413) => TryOutcome::Context(detail),
        Some(429) => return too_many_requests(result, &phrases, detail, run),
        Some(400..500) if phrases.dated_limit() && ends_at().is_some() => {
            TryOutcome::Limited { until: ends_at(), detail }
        }
        Some(500..600) => TryOutcome::Overloaded(detail),
        None if phrases.unreachable() || error == "server_error" => TryOutcome::Overloaded(detail),
        Some(401 | 403) => TryOutcome::Auth(detail),
        None if phrases.login_refused() || error == "authentication_failed" => TryOutcome::Auth(detail),
        Some(402) => TryOutcome::NeedsHuman(detail),
        _ if phrases.account_blocked() => TryOutcome::NeedsHuman(detail),
        _ if phrases.unknown_model() => TryOutcome::UnknownModel(detail),
        None if phrases.usage_limit() || error == "rate_limit" => {
            return too_many_requests(result, &phrases, detail, run);
        }
        _ if matches!(result.kind.as_str(), "error_max_turns" | "error_max_budget_usd")
            || matches!(reason, "max_turns" | "budget_exhausted") =>
        {
            TryOutcome::TaskBudget(detail)
        }
        _ => TryOutcome::Failed(detail),
    })
}

/// Decides the outcome of an HTTP status 429, which means that a usage limit is used up, that the account is
/// blocked, or that there were too many requests at once.
fn too_many_requests(result: &RunResult, phrases: &Phrases, detail: String, run: &EndedRun<'_>) -> Diagnosis {
    let limit = run.reading.limit.as_ref();
    // If the service throttles a run with a login, the output has a rejected event too, but without a reset
    // time.
    if let Some(until) = rejected_until(run).filter(|_| !phrases.denies_usage_limit()) {
        let outcome = TryOutcome::Limited { until: Some(until), detail };
        return Diagnosis::by_line(outcome, limit.and_then(|limit| limit.line.as_deref()));
    }
    let until = reset_time::named_in(&result.text, run.now, run.zone).map(|at| believable(at, run.now));
    let is_limit = phrases.usage_limit()
        || phrases.dated_limit() && until.is_some()
        || result.api_error.as_deref() == Some("usage_limit_reached") && !phrases.denies_usage_limit();
    let pays_for_more = limit.is_some_and(|limit| limit.overage);
    let outcome = if phrases.account_blocked() && !(phrases.dated_limit() && until.is_some()) {
        TryOutcome::NeedsHuman(detail)
    } else if is_limit && !pays_for_more {
        TryOutcome::Limited { until, detail }
    } else {
        TryOutcome::Throttled(detail)
    };
    Diagnosis::by_line(outcome, run.reading.evidence.as_deref())
}

fn without_result(run: &EndedRun<'_>) -> Diagnosis {
    let ended = format!("ended with {} and without a result", describe_end(run.end));
    if let Some(until) = rejected_until(run) {
        let limit = run.reading.limit.as_ref();
        let kind = limit.and_then(|limit| limit.kind.as_deref()).unwrap_or("usage");
        let detail = format!("{kind} limit used up; the agent {ended}");
        let outcome = TryOutcome::Limited { until: Some(until), detail };
        return Diagnosis::by_line(outcome, limit.and_then(|limit| limit.line.as_deref()));
    }
    let last = last_line(run.stderr);
    let detail = match last.as_str() {
        "" => ended,
        last => format!("{ended}: {}", text::one_line(last, DETAIL)),
    };
    let phrases = Phrases::new(&last);
    let outcome = if missing_program(run) {
        TryOutcome::NoProgram(detail)
    } else if phrases.login_refused() {
        TryOutcome::Auth(detail)
    } else if phrases.account_blocked() {
        TryOutcome::NeedsHuman(detail)
    } else if phrases.refuses_root() {
        TryOutcome::RefusesRoot(detail)
    } else {
        TryOutcome::Crashed(detail)
    };
    Diagnosis::by_line(outcome, Some(&last))
}

/// Returns when the usage limit ends because of which the service rejected the run; `None` if the service did
/// not reject the run, or named no time.
fn rejected_until(run: &EndedRun<'_>) -> Option<Timestamp> {
    let rejected = run.reading.limit.as_ref().filter(|limit| limit.rejected)?;
    let at = Timestamp(rejected.resets_at?.checked_mul(1000)?);
    Some(believable(at, run.now))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::agents::claude::recorded::{self, read};
    use crate::agents::reading::Reading;
    use crate::domain::command::CommandEnd;

    const NOW: Timestamp = Timestamp(1_795_478_040_000);

    fn end(cause: EndCause, status: Option<ExitStatus>) -> CommandEnd {
        CommandEnd::new(cause, status, NOW)
    }

    fn exited(code: i32) -> CommandEnd {
        end(EndCause::Finished, Some(ExitStatus::Code(code)))
    }

    fn diagnose(end: &CommandEnd, reading: &Reading, stderr: &str) -> TryOutcome {
        super::diagnose(&EndedRun { end, reading, stderr, now: NOW, zone: |_| None }).outcome
    }

    fn diagnosed(end: &CommandEnd, output: &str, stderr: &str) -> TryOutcome {
        diagnose(end, &read(output), stderr)
    }

    fn kind(outcome: &TryOutcome) -> String {
        let kind = serde_json::to_value(outcome).unwrap()["kind"].as_str().unwrap().to_owned();
        match outcome {
            TryOutcome::Limited { until: Some(_), .. } => kind + " until",
            _ => kind,
        }
    }

    /// Returns a `result` line that reports an API error.
    fn api_error(status: Option<u16>, text: &str) -> String {
        json!({"type": "result", "subtype": "success", "is_error": true, "api_error_status": status, "result": text})
            .to_string()
    }

    #[test]
    fn success_needs_the_result_and_the_exit_code() {
        let crashed = |how: &str| TryOutcome::Crashed(how.to_owned());
        let nothing = "ended with exit code 0 and without a result";
        for (code, output, expected) in [
            (0, recorded::SUCCESS, TryOutcome::Succeeded),
            (143, recorded::SUCCESS, crashed("the agent reported success, then ended with exit code 143 (SIGTERM)")),
            (0, "", crashed(nothing)),
            (0, "All done.\n{garbage\n", crashed(nothing)),
        ] {
            assert_eq!(diagnosed(&exited(code), output, ""), expected);
        }
        // A run succeeds only if both `is_error` and `subtype` say so, even if the exit code is 0.
        for (kind, is_error) in [("success", true), ("error_during_execution", false)] {
            let line = json!({"type": "result", "subtype": kind, "is_error": is_error, "result": "no"}).to_string();
            assert_eq!(diagnosed(&exited(0), &line, ""), TryOutcome::Failed("no".into()));
        }
    }

    #[test]
    fn what_the_model_writes_decides_nothing() {
        assert_eq!(diagnosed(&exited(0), recorded::TOOLS, ""), TryOutcome::Succeeded);
        let prose = r#"{"type":"assistant","message":{"content":[{"type":"text","text":"API Error: 401. You've hit your usage limit"}]}}
{"type":"user","message":{"content":[{"type":"tool_result","content":"{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":false}"}]}}
"#;
        let crashed = TryOutcome::Crashed("ended with exit code 1 and without a result".into());
        assert_eq!(diagnosed(&exited(1), prose, ""), crashed);
        assert_eq!(diagnosed(&exited(0), &format!("{prose}{}", recorded::SUCCESS), ""), TryOutcome::Succeeded);
    }

    #[test]
    fn every_recorded_failure_has_its_outcome() {
        for (output, expected) in [
            (recorded::REFUSED_LOGIN, "auth"),
            (recorded::NOT_LOGGED_IN, "auth"),
            (recorded::FORBIDDEN, "auth"),
            (recorded::THROTTLED, "throttled"),
            (recorded::ORGANIZATION_RATE, "throttled"),
            (recorded::THROTTLED_LOGIN, "throttled"),
            (recorded::LIMITED, "limited until"),
            (recorded::LIMITED_332, "limited until"),
            (recorded::LIMITED_KEY, "limited"),
            (recorded::BROKEN, "overloaded"),
            (recorded::OVERLOADED, "overloaded"),
            (recorded::UNREACHABLE, "overloaded"),
            (recorded::BROKEN_ANSWER, "overloaded"),
            (recorded::LOST_CONNECTION, "overloaded"),
            (recorded::TOO_LONG, "context"),
            (recorded::NO_CREDIT, "needs_human"),
            (recorded::SPENDING_CAP, "limited until"),
            (recorded::DISABLED, "needs_human"),
            (recorded::UNKNOWN_MODEL, "unknown_model"),
            (recorded::UNKNOWN_SESSION, "failed"),
            (recorded::MAX_TURNS, "task_budget"),
            (recorded::MAX_BUDGET, "task_budget"),
        ] {
            assert_eq!(kind(&diagnosed(&exited(1), output, "")), expected, "{output}");
        }
    }

    #[test]
    fn a_success_that_is_none_has_its_outcome() {
        let result = |fields: &str| {
            format!("{{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":false,\"result\":\"ok\",{fields}}}\n")
        };
        let denials = r#""permission_denials":[{"tool_name":"Bash"},{"tool_name":"Edit"},{"tool_name":"Bash"}]"#;
        let cut = r#""stop_reason":"tool_use""#;
        for (output, expected) in [
            (result(cut), "cut"),
            (result(denials), "denied"),
            (result(&format!("{cut},{denials}")), "cut"),
            (result(r#""stop_reason":"end_turn","permission_denials":[]"#), "succeeded"),
            (result(r#""subagent_stats":{"spawned":2,"completed":1}"#), "cut"),
            (recorded::DENIED.to_owned(), "denied"),
            (recorded::FORBIDDEN_MODE.to_owned(), "mode_forbidden"),
            (recorded::RESUMED.to_owned(), "succeeded"),
            (recorded::SUCCESS.replace("All done.", ""), "succeeded"),
        ] {
            assert_eq!(kind(&diagnosed(&exited(0), &output, "")), expected, "{output}");
        }
        assert_eq!(diagnosed(&exited(0), &result(denials), ""), TryOutcome::Denied("Bash, Edit".into()));
        // boi ends an agent in a forbidden mode as soon as it reads the mode.
        let init = recorded::FORBIDDEN_MODE.lines().next().unwrap();
        let TryOutcome::ModeForbidden(why) = diagnosed(&end(EndCause::Terminated, None), init, "") else {
            panic!("the mode is allowed")
        };
        assert!(why.contains("`default`") && why.contains("`.claude/settings.json`"), "{why}");
    }

    #[test]
    fn the_evidence_is_the_line_that_decided() {
        let evidence = |end: &CommandEnd, output: &str, stderr: &str| {
            let reading = read(output);
            let run = EndedRun { end, reading: &reading, stderr, now: NOW, zone: |_| None };
            super::diagnose(&run).evidence.unwrap_or_default()
        };
        for (output, stderr, expected) in [
            (
                recorded::LIMITED,
                "",
                r#"{"type":"rate_limit_event","rate_limit_info":{"status":"rejected","resetsAt":1795481639"#,
            ),
            (recorded::THROTTLED, "", r#""result":"API Error: Request rejected (429)"#),
            (recorded::DENIED, "", r#""tool_name":"Bash""#),
            (recorded::FORBIDDEN_MODE, "", r#""permissionMode":"default""#),
            ("", "one\nCredit balance is too low\n", "Credit balance is too low"),
            ("", "", ""),
        ] {
            let found = evidence(&exited(1), output, stderr);
            assert!(found.contains(expected) && found.chars().count() <= 601, "{found}");
        }
        assert_eq!(evidence(&end(EndCause::TimedOut, None), recorded::SUCCESS, "x"), "");
    }

    #[test]
    fn a_part_of_the_program_that_is_missing_counts_as_no_program() {
        for (code, output, stderr, expected) in [
            (127, "", "env: 'node': No such file or directory", "no_program"),
            (1, "", "Error: Cannot find module '/usr/lib/node_modules/x/cli.js'\nNode.js v22", "no_program"),
            (1, recorded::THROTTLED.lines().next().unwrap(), "Cannot find module 'x'", "crashed"),
            (0, "", "Cannot find module 'x'", "crashed"),
        ] {
            assert_eq!(kind(&diagnosed(&exited(code), output, stderr)), expected, "{stderr}");
        }
    }

    #[test]
    fn the_status_decides_before_the_words_except_for_the_prompt() {
        for (status, text, expected) in [
            (Some(400), "no", "failed"),
            (Some(401), "no", "auth"),
            (Some(401), "Credit balance is too low", "auth"),
            (Some(402), "no", "needs_human"),
            (Some(403), "no", "auth"),
            (Some(404), "no", "failed"),
            (Some(413), "no", "context"),
            (Some(429), "no", "throttled"),
            (Some(429), "prompt is too long", "context"),
            (Some(429), "You've hit your limit", "limited"),
            (Some(429), "You have reached your specified API usage limits", "needs_human"),
            (Some(429), "You will regain access on 2026-12-01 at 00:00 UTC", "limited until"),
            (Some(400), "You will regain access on 2026-12-01 at 00:00 UTC", "limited until"),
            (
                Some(400),
                "You have reached your specified API usage limits. You will regain access on Monday",
                "needs_human",
            ),
            (Some(499), "no", "failed"),
            (Some(500), "Not logged in", "overloaded"),
            (Some(599), "no", "overloaded"),
            (Some(600), "no", "failed"),
            // The phrases in the text are searched only if there is no status.
            (Some(400), "API Error: Connection lost", "failed"),
            (None, "API Error: Connection lost", "overloaded"),
            (Some(400), "Not logged in", "failed"),
            (None, "Not logged in", "auth"),
            // Older versions of the CLI report the status only in the text.
            (None, "API Error: 529 x", "overloaded"),
            (None, "Claude AI usage limit reached|1795481639", "limited until"),
        ] {
            assert_eq!(kind(&diagnosed(&exited(1), &api_error(status, text), "")), expected, "{status:?} {text}");
        }
    }

    #[test]
    fn the_detail_is_what_the_agent_said() {
        let detail = |text: &str| diagnosed(&exited(1), &api_error(Some(400), text), "");
        assert_eq!(detail("two\nlines"), TryOutcome::Failed("two lines".into()));
        assert_eq!(detail(" "), TryOutcome::Failed("the agent reported an error without a text (success)".into()));
        let TryOutcome::Failed(long) = detail(&"x".repeat(1000)) else { panic!("not failed") };
        assert_eq!(long.chars().count(), DETAIL + 1);
    }

    #[test]
    fn a_limit_ends_when_the_event_says_or_else_when_the_text_says() {
        let until = |output: &str| match diagnosed(&exited(1), output, "") {
            TryOutcome::Limited { until, .. } => until,
            other => panic!("{other:?}"),
        };
        let resets = |at: &str| recorded::LIMITED.replace("1795481639", at);
        assert_eq!(until(recorded::LIMITED), Some(Timestamp(1_795_481_639_000)));
        let text_alone = recorded::LIMITED.replace("\"resetsAt\":1795481639,", "");
        assert_eq!(until(&text_alone), Some(Timestamp(1_795_481_580_000)), "12:53am, to the minute");
        assert_eq!(until(&resets("1")), Some(NOW.plus_millis(5_000)), "a wait is at least 5 s");
        let longest = Some(NOW.plus_millis(8 * 24 * 3_600_000));
        assert_eq!(until(&resets("9223372036854775")), longest, "a wait is at most 8 days");
        // In milliseconds, this time would overflow, so the time in the text is used.
        assert_eq!(until(&resets("9223372036854775807")), Some(Timestamp(1_795_481_580_000)));
    }

    #[test]
    fn an_event_without_a_rejection_is_no_limit() {
        let paid = recorded::LIMITED.replace("\"overageStatus\":\"rejected\"", "\"overageStatus\":\"allowed\"");
        assert_eq!(kind(&diagnosed(&exited(1), &paid, "")), "throttled");
        let allowed = recorded::LIMITED.replacen("\"status\":\"rejected\"", "\"status\":\"allowed\"", 1);
        let allowed = allowed.replace("12:53am", "noon").replace("hit your limit", "hit something");
        assert_eq!(kind(&diagnosed(&exited(1), &allowed, "")), "throttled");
        let denied = recorded::LIMITED.replace("You've hit your limit", "Slow down (not your usage limit)");
        assert_eq!(kind(&diagnosed(&exited(1), &denied, "")), "throttled");
    }

    #[test]
    fn a_rejection_counts_also_without_a_result() {
        let no_result = |from: &str, to: &str| {
            let lines: Vec<&str> = recorded::LIMITED.lines().take(2).collect();
            diagnosed(&exited(1), &lines.join("\n").replace(from, to), "")
        };
        let limited = |kind: &str| TryOutcome::Limited {
            until: Some(Timestamp(1_795_481_639_000)),
            detail: format!("{kind} limit used up; the agent ended with exit code 1 and without a result"),
        };
        assert_eq!(no_result("", ""), limited("five_hour"));
        assert_eq!(no_result("rateLimitType", "other"), limited("usage"));
        assert_eq!(kind(&no_result("\"status\":\"rejected\"", "\"status\":\"allowed\"")), "crashed");
        assert_eq!(kind(&no_result("resetsAt", "other")), "crashed");
    }

    #[test]
    fn the_cause_of_the_end_comes_first() {
        let status = Some(ExitStatus::Code(143));
        for (cause, output, expected) in [
            (EndCause::TimedOut, recorded::SUCCESS, "timed_out"),
            (EndCause::TooMuchOutput, recorded::LIMITED, "too_much_output"),
            (EndCause::Lost, recorded::SUCCESS, "lost"),
            (EndCause::NotExecuted("cannot execute `claude`".into()), "", "no_program"),
            (EndCause::Terminated, recorded::SUCCESS, "crashed"),
            (EndCause::Terminated, "", "crashed"),
        ] {
            assert_eq!(kind(&diagnosed(&end(cause, status), output, "")), expected);
        }
    }

    #[test]
    fn a_result_that_is_written_after_boi_ended_the_agent_does_not_count() {
        for status in [ExitStatus::Code(0), ExitStatus::Code(1)] {
            let terminated = end(EndCause::Terminated, Some(status));
            for output in [recorded::SUCCESS, recorded::REFUSED_LOGIN] {
                assert_eq!(kind(&diagnosed(&terminated, output, "")), "crashed");
            }
        }
    }

    #[test]
    fn the_result_of_an_agent_that_then_hangs_stands() {
        let terminated = end(EndCause::Terminated, Some(ExitStatus::Code(143)));
        let diagnosed = |output: &str| diagnose(&terminated, &Reading { ended_after_result: true, ..read(output) }, "");
        assert_eq!(diagnosed(recorded::SUCCESS), TryOutcome::Succeeded);
        assert_eq!(kind(&diagnosed(recorded::REFUSED_LOGIN)), "auth");
    }

    #[test]
    fn stderr_counts_only_without_a_result_and_only_its_last_line() {
        for (stderr, expected, last) in [
            ("", "crashed", ""),
            ("one\n\x1b[31mtwo\x1b[0m \n\n", "crashed", ": two"),
            ("Invalid API key · Please run /login", "auth", ": Invalid API key · Please run /login"),
            ("Invalid API key\nretrying", "crashed", ": retrying"),
            ("Credit balance is too low", "needs_human", ": Credit balance is too low"),
            (recorded::REFUSES_ROOT, "refuses_root", recorded::REFUSES_ROOT),
        ] {
            let outcome = diagnosed(&exited(1), "", stderr);
            assert_eq!(kind(&outcome), expected, "{stderr}");
            let detail = serde_json::to_value(&outcome).unwrap()["detail"].as_str().unwrap().to_owned();
            assert!(detail.starts_with("ended with exit code 1 and without a result"), "{detail}");
            assert!(detail.ends_with(last.trim_end()), "{detail}");
        }
        assert_eq!(diagnosed(&exited(0), recorded::SUCCESS, "Invalid API key"), TryOutcome::Succeeded);
    }

    proptest! {
        #[test]
        fn without_a_result_line_nothing_succeeds(output in "[ -~\n]*", stderr in ".*", code in -1i32..300) {
            prop_assert_ne!(diagnosed(&exited(code), &output, &stderr), TryOutcome::Succeeded);
        }
    }
}
