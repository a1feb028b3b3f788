//! Reads the lines of the `stream-json` output into a [`Reading`].
//!
//! The reader accepts text between the JSON lines, bytes that are not UTF-8 and unknown types of lines. It
//! keeps a bounded amount of data of each line.

use serde_json::Value;

use super::json_lines::{AssistantLine, Head, InitLine, LimitLine, Message, ResultLine, RetryLine, parse};
use crate::agents::reading::{ApiErrors, LONGEST_TEXT, LimitEvent, LineReader, Reading, RunResult};
use crate::domain::outcome::Usage;
use crate::domain::text;

/// The longest name or id that the reader stores, in characters.
const LONGEST_NAME: usize = 100;

/// The largest accepted count; larger counts are reduced to it, so that the sum over many lines cannot
/// overflow.
const LARGEST_COUNT: u64 = 1 << 40;

/// The reader of the output of one run.
#[derive(Default)]
pub(super) struct StreamJson {
    /// The id of the message to which the last `assistant` line belonged.
    message_id: Option<String>,
}

impl LineReader for StreamJson {
    fn read_line(&mut self, line: &[u8], reading: &mut Reading) {
        let Some(head) = parse::<Head>(line) else { return };
        match (head.kind.as_str(), head.subtype.as_str()) {
            (Some("system"), Some("init")) => {
                if let Some(init) = parse::<InitLine>(line) {
                    reading.session_id = name(&init.session_id);
                }
            }
            (Some("system"), Some("api_retry")) => {
                if let Some(line) = parse::<RetryLine>(line) {
                    reading.api_errors.count = reading.api_errors.count.saturating_add(1);
                    reading.api_errors.last = api_error(&line);
                }
            }
            (Some("assistant"), _) => {
                if let Some(line) = parse::<AssistantLine>(line) {
                    reading.api_errors = ApiErrors::default();
                    self.read_message(line.message, line.parent_tool_use_id.is_null(), reading);
                }
            }
            (Some("rate_limit_event"), _) => {
                if let Some(line) = parse::<LimitLine>(line) {
                    reading.limit = Some(limit_event(&line.rate_limit_info));
                }
            }
            (Some("result"), _) => {
                if let Some(line) = parse::<ResultLine>(line) {
                    reading.session_id = name(&line.session_id).or(reading.session_id.take());
                    reading.result = Some(run_result(&line));
                }
            }
            _ => {}
        }
    }
}

impl StreamJson {
    /// Adds an assistant's message to `reading`. `is_main` says whether the message is from the main agent:
    /// the turns of a subagent do not count as turns of the run.
    fn read_message(&mut self, message: Message, is_main: bool, reading: &mut Reading) {
        // The CLI prints a message of several blocks as several lines, and each line repeats the usage of the
        // message.
        if message.id.is_none() || message.id != self.message_id {
            self.message_id = message.id;
            reading.usage_so_far += Usage { turns: u64::from(is_main), ..tokens(&message.usage) };
        }
        for block in message.content {
            if let (Some("text"), Some(text)) = (block.kind.as_str(), block.text.as_str()) {
                reading.last_text = Some(text::tail(text.as_bytes(), LONGEST_TEXT));
            }
        }
    }
}

/// Returns a failed request in words: `529 (overloaded)`.
fn api_error(line: &RetryLine) -> String {
    let status = line.error_status.as_u64().map_or_else(|| "no answer".to_owned(), |status| status.to_string());
    match name(&line.error) {
        Some(error) => format!("{status} ({error})"),
        None => status,
    }
}

fn limit_event(info: &Value) -> LimitEvent {
    let is = |key: &str, value: &str| info[key].as_str() == Some(value);
    let overage = info["isUsingOverage"].as_bool() == Some(true)
        || is("overageStatus", "allowed")
        || is("overageStatus", "allowed_warning");
    LimitEvent {
        rejected: is("status", "rejected") && !overage,
        overage,
        resets_at: info["resetsAt"].as_i64(),
        kind: name(&info["rateLimitType"]),
    }
}

fn run_result(line: &ResultLine) -> RunResult {
    let errors = line.errors.as_array().map(Vec::as_slice).unwrap_or_default();
    let errors: Vec<&str> = errors.iter().filter_map(Value::as_str).collect();
    let text = line.result.as_str().map_or_else(|| errors.join("; "), str::to_owned);
    // `usage` omits the turn that exceeded a budget and the usage of subagents; `modelUsage` includes both.
    let by_model: Usage = line.model_usage.as_object().map(|models| sum(models.values())).unwrap_or_default();
    let tokens = if by_model == Usage::default() { tokens(&line.usage) } else { by_model };
    let cost = line.total_cost_usd.as_f64().filter(|cost| *cost >= 0.0);
    RunResult {
        kind: name(&line.subtype).unwrap_or_default(),
        is_error: line.is_error.as_bool() != Some(false),
        api_status: line.api_error_status.as_u64().and_then(|status| u16::try_from(status).ok()),
        text: text::tail(text.as_bytes(), LONGEST_TEXT),
        usage: Usage {
            turns: line.num_turns.as_u64().unwrap_or(0).min(LARGEST_COUNT),
            cost_usd: cost.unwrap_or(0.0),
            unpriced_runs: u64::from(cost.is_none()),
            ..tokens
        },
    }
}

fn sum<'a>(models: impl Iterator<Item = &'a Value>) -> Usage {
    let mut sum = Usage::default();
    for model in models {
        let input = ["inputTokens", "cacheReadInputTokens", "cacheCreationInputTokens"];
        sum.input_tokens += input.into_iter().map(|key| count(model, key)).sum::<u64>();
        sum.output_tokens += count(model, "outputTokens");
    }
    sum
}

fn tokens(usage: &Value) -> Usage {
    let input = ["input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"];
    Usage {
        input_tokens: input.into_iter().map(|key| count(usage, key)).sum(),
        output_tokens: count(usage, "output_tokens"),
        ..Usage::default()
    }
}

fn count(object: &Value, key: &str) -> u64 {
    object[key].as_u64().unwrap_or(0).min(LARGEST_COUNT)
}

fn name(value: &Value) -> Option<String> {
    value.as_str().map(|name| text::one_line(name, LONGEST_NAME))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::agents::claude::recorded::{self, read};

    #[test]
    fn a_session_with_tools_is_read() {
        let reading = read(recorded::TOOLS);
        assert_eq!(reading.session_id.as_deref(), Some("3f221111-1111-4111-8111-111111111111"));
        assert_eq!((reading.usage_so_far.turns, reading.usage_so_far.input_tokens), (3, 3600));
        assert_eq!(reading.last_text.as_deref(), Some("wrote \"429\" usage limit"));
        let result = reading.result.unwrap();
        assert_eq!((result.kind.as_str(), result.is_error, result.api_status), ("success", false, None));
        assert_eq!(result.text, "wrote \"429\" usage limit");
        let usage = result.usage;
        assert_eq!((usage.turns, usage.input_tokens, usage.output_tokens), (3, 3600, 120));
        assert!((usage.cost_usd - 0.021).abs() < 1e-9);
    }

    #[test]
    fn a_message_counts_once_and_only_the_main_agent_takes_turns() {
        let message = |id: Value, parent: Value| {
            json!({"type": "assistant", "parent_tool_use_id": parent, "message": {"id": id, "content": [],
                "usage": {"input_tokens": 1, "cache_read_input_tokens": 10, "cache_creation_input_tokens": 100,
                          "output_tokens": 2}}})
        };
        for (messages, turns, messages_counted) in [
            (vec![message("a".into(), Value::Null), message("a".into(), Value::Null)], 1, 1),
            (vec![message("a".into(), Value::Null), message("b".into(), Value::Null)], 2, 2),
            (vec![message(Value::Null, Value::Null), message(Value::Null, Value::Null)], 2, 2),
            (vec![message("a".into(), "toolu_1".into()), message("b".into(), Value::Null)], 1, 2),
        ] {
            let output: String = messages.iter().map(|message| format!("{message}\n")).collect();
            let usage = read(&output).usage_so_far;
            let expected = Usage {
                turns,
                input_tokens: 111 * messages_counted,
                output_tokens: 2 * messages_counted,
                ..Usage::default()
            };
            assert_eq!(usage, expected);
        }
    }

    #[test]
    fn a_limit_that_the_account_pays_beyond_is_not_rejected() {
        let expected = LimitEvent {
            rejected: true,
            overage: false,
            resets_at: Some(1_795_481_639),
            kind: Some("five_hour".into()),
        };
        assert_eq!(read(recorded::LIMITED).limit, Some(expected));
        for (info, rejected, overage) in [
            (json!({"status": "allowed"}), false, false),
            (json!({"status": "rejected"}), true, false),
            (json!({"status": "rejected", "overageStatus": "rejected"}), true, false),
            (json!({"status": "rejected", "isUsingOverage": true}), false, true),
            (json!({"status": "rejected", "overageStatus": "allowed"}), false, true),
            (json!({"status": "rejected", "overageStatus": "allowed_warning"}), false, true),
            (json!({"status": "allowed", "isUsingOverage": true}), false, true),
        ] {
            let limit = read(json!({"type": "rate_limit_event", "rate_limit_info": info}).to_string()).limit;
            let limit = limit.unwrap();
            assert_eq!((limit.rejected, limit.overage), (rejected, overage), "{info}");
        }
    }

    #[test]
    fn the_tokens_of_a_result_come_from_its_models_if_it_names_any() {
        let usage = read(recorded::MAX_BUDGET).result.unwrap().usage;
        assert_eq!((usage.input_tokens, usage.output_tokens), (1200, 40));
        let model = |base: u64| {
            json!({"inputTokens": base, "cacheReadInputTokens": 10 * base, "cacheCreationInputTokens": 100 * base,
                   "outputTokens": 2 * base})
        };
        let plain = json!({"input_tokens": 7, "output_tokens": 8});
        for (models, expected) in [
            (json!({"a": model(1), "b": model(2)}), (333, 6)),
            (json!({"a": {"outputTokens": 5}}), (0, 5)),
            (json!({}), (7, 8)),
            (Value::Null, (7, 8)),
        ] {
            let line = json!({"type": "result", "modelUsage": models, "usage": plain}).to_string();
            let usage = read(&line).result.unwrap().usage;
            assert_eq!((usage.input_tokens, usage.output_tokens), expected);
        }
    }

    #[test]
    fn missing_and_odd_fields_of_a_result_are_the_worst_case() {
        let empty = read(r#"{"type":"result"}"#).result.unwrap();
        let usage = Usage { unpriced_runs: 1, ..Usage::default() };
        assert_eq!(empty, RunResult { is_error: true, usage, ..RunResult::default() });
        let odd = json!({"type": "result", "subtype": 7, "is_error": "no", "api_error_status": 70_000, "result": null,
            "errors": ["one", 2, "two"], "num_turns": u64::MAX, "total_cost_usd": -1.0, "usage": {"input_tokens": -1}});
        let odd = read(odd.to_string()).result.unwrap();
        assert_eq!((odd.kind.as_str(), odd.is_error, odd.api_status, odd.text.as_str()), ("", true, None, "one; two"));
        assert_eq!((odd.usage.turns, odd.usage.input_tokens, odd.usage.cost_usd), (1 << 40, 0, 0.0));
        let many = json!({"type": "result", "usage": {"input_tokens": u64::MAX}}).to_string();
        assert_eq!(read(&many).result.unwrap().usage.input_tokens, 1 << 40);
    }

    #[test]
    fn failed_requests_are_counted_until_the_model_answers() {
        let failed = |status: Value| json!({"type": "system", "subtype": "api_retry", "error_status": status, "error": "overloaded"});
        let lines = |lines: &[Value]| lines.iter().fold(String::new(), |text, line| text + &line.to_string() + "\n");
        let errors = read(lines(&[failed(json!(529)), failed(Value::Null)])).api_errors;
        assert_eq!((errors.count, errors.last.as_str()), (2, "no answer (overloaded)"));
        let answer = json!({"type": "assistant", "message": {"content": []}});
        assert_eq!(read(lines(&[failed(json!(529)), answer])).api_errors, ApiErrors::default());
    }

    #[test]
    fn the_session_is_the_last_one_named() {
        let init =
            |session: &str| format!("{{\"type\":\"system\",\"subtype\":\"init\",\"session_id\":\"{session}\"}}\n");
        let result = |session: &str| format!("{{\"type\":\"result\"{session}}}\n");
        let session = |output: String| read(&output).session_id;
        assert_eq!(session(init("a")).as_deref(), Some("a"));
        assert_eq!(session(init("a") + &result("")).as_deref(), Some("a"));
        assert_eq!(session(init("a") + &result(",\"session_id\":\"b\"")).as_deref(), Some("b"));
        assert_eq!(session(result("")), None);
        let other = "{\"type\":\"system\",\"subtype\":\"status\",\"session_id\":\"b\"}\n";
        assert_eq!(session(init("a") + other).as_deref(), Some("a"));
        assert_eq!(session(init(&"x".repeat(1000))).unwrap().chars().count(), LONGEST_NAME + 1);
    }

    #[test]
    fn noise_between_and_within_lines_is_ignored() {
        let noise = b"warning: x\n\n[1, 2]\n{\"type\":7}\n{\"type\":\"novel\",\"a\":{}}\n{broken\n\xff\xfe\r\n";
        let noisy = [noise.as_slice(), b"  ", recorded::SUCCESS.as_bytes()].concat();
        assert_eq!(read(&noisy).result.unwrap().text, "All done.");
        let mut invalid = recorded::SUCCESS.replace("All done.", "All ?.").into_bytes();
        let at = invalid.iter().position(|b| *b == b'?').unwrap();
        invalid[at] = 0xff;
        assert_eq!(read(&invalid).result.unwrap().text, "All \u{fffd}.");
    }

    #[test]
    fn a_last_line_counts_only_if_it_is_complete() {
        let text = recorded::SUCCESS.trim_end();
        assert!(read(text).result.is_some());
        assert_eq!(read(&text[..text.len() - 1]).result, None);
    }

    #[test]
    fn a_line_of_8_megabytes_is_read_and_its_text_is_cut() {
        let text = format!("{}end", "x".repeat(8 << 20));
        let output = recorded::SUCCESS.replace("All done.", &text);
        let result = read(&output).result.unwrap();
        assert_eq!(result.text.len(), 4096);
        assert!(result.text.ends_with("xend"));
        let block = json!({"type": "assistant", "message": {"content": [{"type": "text", "text": text},
            {"type": "thinking", "text": "not shown"}]}});
        assert_eq!(read(block.to_string()).last_text.unwrap().len(), 4096);
    }

    proptest! {
        #[test]
        fn any_output_is_accepted(
            output: Vec<u8>,
            line in "\\{\"type\":\"(result|assistant|system|rate_limit_event)\",\"[a-z]{1,4}\":[0-9\"\\[\\{]{0,3}\\}\n",
        ) {
            read(&output);
            read(&line);
        }
    }
}
