//! Reads the lines of opencode's JSON output into a [`Reading`].
//!
//! opencode prints no line with the result of a run. The last step of a run that succeeded ends for the
//! reason `stop`; an `error` event ends a run that failed. After an error about a conversation that is too
//! long, opencode may shorten the conversation and continue: the error counts only if no step follows.
//!
//! The reader accepts text between the JSON lines, bytes that are not UTF-8 and unknown types of lines. It
//! keeps a bounded amount of data of each line.

use serde_json::Value;

use crate::agents::json::{count, evidence_of, name, object, word};
use crate::agents::reading::{LONGEST_TEXT, LimitEvent, LineReader, Reading, RunResult};
use crate::domain::outcome::Usage;
use crate::domain::text;

/// The name of the error that reports a conversation that is too long. opencode may continue after it.
pub(super) const CONTEXT_OVERFLOW: &str = "ContextOverflowError";

/// The beginnings of the errors that opencode reports if it did not allow the use of a tool.
const DENIALS: [&str; 2] = ["The user rejected permission", "The user has specified a rule which prevents"];

/// A wait in a `retry-after` header counts as a usage limit if it is longer than this, in seconds.
const LONG_WAIT_SECONDS: i64 = 300;

/// The fields of a line that boi stores as evidence if the line is too long to be stored whole.
const TELLING: [&str; 3] = ["type", "error", "part"];

/// The reader of the output of one run.
#[derive(Default)]
pub(super) struct JsonEvents {
    usage: Usage,
}

impl LineReader for JsonEvents {
    fn read_line(&mut self, line: &[u8], reading: &mut Reading) {
        let Some(json) = object(line) else { return };
        reading.session_id = name(&json["sessionID"]).or(reading.session_id.take());
        let part = &json["part"];
        match word(&json["type"]) {
            "step_start" => {
                reading.answered = true;
                (reading.result, reading.unresolved, reading.cut) = (None, None, None);
            }
            "text" => {
                reading.last_text = Some(text::tail(word(&part["text"]).as_bytes(), LONGEST_TEXT));
            }
            "tool_use" => {
                let error = word(&part["state"]["error"]);
                if DENIALS.iter().any(|denial| error.starts_with(denial)) {
                    reading.denials.extend(name(&part["tool"]));
                }
            }
            "step_finish" => {
                self.usage += usage(part);
                reading.usage_so_far = self.usage;
                let reason = word(&part["reason"]);
                if !matches!(reason, "tool-calls" | "unknown" | "") {
                    reading.evidence = evidence_of(line, &TELLING);
                    self.finish(reason, reading);
                }
            }
            "error" => {
                reading.evidence = evidence_of(line, &TELLING);
                reading.limit = limit(&json).or(reading.limit.take());
                let failure = self.failure(&json["error"]);
                if failure.kind == CONTEXT_OVERFLOW {
                    reading.unresolved = Some(failure);
                } else {
                    reading.result = Some(failure);
                }
            }
            _ => {}
        }
    }
}

impl JsonEvents {
    fn finish(&self, reason: &str, reading: &mut Reading) {
        if reason != "stop" {
            reading.cut = Some(format!("the last step ended for the reason `{}`", text::one_line(reason, 100)));
        }
        reading.result = Some(RunResult {
            kind: "success".to_owned(),
            text: reading.last_text.clone().unwrap_or_default(),
            usage: self.total(),
            ..RunResult::default()
        });
    }

    fn failure(&self, error: &Value) -> RunResult {
        let data = &error["data"];
        RunResult {
            kind: name(&error["name"]).unwrap_or_default(),
            is_error: true,
            api_status: data["statusCode"].as_u64().and_then(|status| u16::try_from(status).ok()),
            text: text::tail(word(&data["message"]).as_bytes(), LONGEST_TEXT),
            usage: self.total(),
            ..RunResult::default()
        }
    }

    /// Returns the usage of the run so far. A cost of 0 counts as unknown, because opencode reports 0 for a
    /// model whose price it does not know.
    fn total(&self) -> Usage {
        let used = self.usage.input_tokens + self.usage.output_tokens > 0;
        Usage { unpriced_runs: u64::from(used && self.usage.cost_usd == 0.0), ..self.usage }
    }
}

fn usage(part: &Value) -> Usage {
    let tokens = &part["tokens"];
    let cached_tokens = count(&tokens["cache"], "read");
    Usage {
        turns: 1,
        input_tokens: count(tokens, "input") + cached_tokens + count(&tokens["cache"], "write"),
        cached_tokens,
        output_tokens: count(tokens, "output") + count(tokens, "reasoning"),
        cost_usd: part["cost"].as_f64().filter(|cost| *cost >= 0.0).unwrap_or(0.0),
        ..Usage::default()
    }
}

/// Returns the usage limit that an `error` event reports, with the time at which the limit ends. Both are in
/// the headers or the body of the provider's answer.
fn limit(event: &Value) -> Option<LimitEvent> {
    let data = &event["error"]["data"];
    if data["statusCode"] != 429 {
        return None;
    }
    let header = |name: &str| data["responseHeaders"][name].as_str();
    let seconds = |name: &str| header(name).and_then(|value| value.parse::<i64>().ok());
    let body: Value = serde_json::from_str(word(&data["responseBody"])).unwrap_or_default();
    let used_up = header("anthropic-ratelimit-unified-status") == Some("rejected");
    let resets_at = seconds("anthropic-ratelimit-unified-reset")
        .filter(|_| used_up)
        .or_else(|| body["error"]["resets_at"].as_i64())
        .or_else(|| {
            let wait = seconds("retry-after").filter(|wait| *wait > LONG_WAIT_SECONDS)?;
            (event["timestamp"].as_i64()? / 1000).checked_add(wait)
        })?;
    let kind = header("anthropic-ratelimit-unified-representative-claim").map(|kind| text::one_line(kind, 100));
    Some(LimitEvent { rejected: true, overage: false, resets_at: Some(resets_at), kind, line: None })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::agents::opencode::recorded::{self, read};

    #[test]
    fn a_session_with_tools_is_read() {
        let reading = read(recorded::TOOLS);
        assert_eq!(reading.session_id.as_deref(), Some("ses_de17ed0d6ffeSbQ42SoLo6qe40"));
        assert!(reading.answered && reading.denials.is_empty() && reading.cut.is_none());
        let result = reading.result.as_ref().unwrap();
        assert_eq!((result.kind.as_str(), result.is_error), ("success", false));
        assert_eq!(result.text, "wrote it, 429 usage limit");
        let usage = result.usage;
        assert_eq!((usage.turns, usage.input_tokens, usage.output_tokens), (3, 3600, 120));
        assert!((usage.cost_usd - 0.0126).abs() < 1e-9 && usage.unpriced_runs == 0);
        assert!(reading.evidence.unwrap().contains(r#""reason":"stop""#));
    }

    #[test]
    fn a_model_without_a_price_costs_an_unknown_amount() {
        let step = |cost: &str| {
            format!(
                r#"{{"type":"step_finish","sessionID":"ses_1","part":{{"reason":"stop","tokens":{{"input":10,"output":5,"reasoning":2,"cache":{{"read":100,"write":20}}}},"cost":{cost}}}}}"#
            )
        };
        let usage = |cost: &str| read(&step(cost)).result.unwrap().usage;
        let free = usage("0");
        assert_eq!((free.input_tokens, free.cached_tokens, free.output_tokens), (130, 100, 7));
        assert_eq!((free.unpriced_runs, usage("0.5").unpriced_runs, usage("-1").unpriced_runs), (1, 0, 1));
    }

    #[test]
    fn a_later_step_takes_back_that_the_conversation_is_too_long() {
        let overflow = recorded::TOO_LONG.lines().next().unwrap();
        let reading = read(overflow);
        assert_eq!(reading.result, None, "opencode may continue");
        assert_eq!(reading.unresolved.unwrap().kind, CONTEXT_OVERFLOW);
        let reading = read(&format!("{overflow}\n{}", recorded::TOOLS));
        assert!(reading.unresolved.is_none() && !reading.result.unwrap().is_error);
    }

    #[test]
    fn a_step_that_ends_early_is_cut_and_a_refused_tool_is_denied() {
        let step = r#"{"type":"step_finish","part":{"reason":"length"}}"#;
        assert_eq!(read(step).cut.as_deref(), Some("the last step ended for the reason `length`"));
        assert_eq!(read(r#"{"type":"step_finish","part":{"reason":"tool-calls"}}"#).result, None);
        let tool = |error: &str| {
            format!(r#"{{"type":"tool_use","part":{{"tool":"bash","state":{{"status":"error","error":"{error}"}}}}}}"#)
        };
        let denied = "The user has specified a rule which prevents you from using this specific tool call.";
        assert_eq!(read(&tool(denied)).denials, ["bash"]);
        assert!(read(&tool("exit code 1")).denials.is_empty());
    }

    #[test]
    fn the_end_of_a_usage_limit_is_read_where_the_provider_names_it() {
        let error = |data: &str| {
            read(&format!(
                r#"{{"type":"error","timestamp":1795808709850,"error":{{"name":"APIError","data":{data}}}}}"#
            ))
            .limit
            .and_then(|limit| limit.resets_at)
        };
        let unified = |status: &str| {
            let headers = format!(
                r#""anthropic-ratelimit-unified-status":"{status}","anthropic-ratelimit-unified-reset":"1795811586""#
            );
            error(&format!(r#"{{"statusCode":429,"responseHeaders":{{{headers}}}}}"#))
        };
        assert_eq!((unified("rejected"), unified("allowed")), (Some(1_795_811_586), None));
        let body = r#"{"statusCode":429,"responseBody":"{\"error\":{\"resets_at\":1795811600}}"}"#;
        assert_eq!(error(body), Some(1_795_811_600));
        let wait =
            |seconds: &str| error(&format!(r#"{{"statusCode":429,"responseHeaders":{{"retry-after":"{seconds}"}}}}"#));
        assert_eq!((wait("3600"), wait("300"), wait("soon")), (Some(1_795_812_309), None, None));
        assert_eq!(error(r#"{"statusCode":503,"responseHeaders":{"retry-after":"3600"}}"#), None);
        assert_eq!(read(recorded::LIMITED).limit.unwrap().kind.as_deref(), Some("five_hour"));
    }

    proptest! {
        #[test]
        fn any_line_is_read(kind in "step_start|text|tool_use|step_finish|error|x", value in "[^\"\\\\]*", tail in ".*") {
            let line = format!(r#"{{"type":"{kind}","sessionID":1,"part":"{value}","error":"{value}"}}"#);
            read(&format!("{line}\n{tail}\n\u{0}{line}"));
        }
    }
}
