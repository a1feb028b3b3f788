//! Reads the lines of the `stream-json` output into a [`Reading`].
//!
//! The reader accepts text between the JSON lines, bytes that are not UTF-8 and unknown types of lines. It
//! keeps a bounded amount of data of each line.

use std::collections::VecDeque;

use serde_json::{Map, Value};

use super::json_lines::{AssistantLine, Head, InitLine, LimitLine, Message, ResultLine, RetryLine};
use crate::agents::json::{LARGEST_COUNT, count, evidence_of, name, parse};
use crate::agents::reading::{ApiErrors, LONGEST_TEXT, LimitEvent, LineReader, Reading, RunResult};
use crate::domain::cause::ApiRetry;
use crate::domain::outcome::Usage;
use crate::domain::text;

/// The permission mode that boi requests.
const REQUESTED_MODE: &str = "bypassPermissions";

/// The name that stands in place of a model's name in messages that the CLI wrote itself.
const NO_MODEL: &str = "<synthetic>";

/// How many ids of messages the reader remembers. So few are enough, because the lines of one message are
/// close to each other, even if several subagents work at the same time.
const REMEMBERED: usize = 256;

/// The fields of a line that boi stores as evidence if the line is too long to be stored whole.
const TELLING: [&str; 12] = [
    "type",
    "subtype",
    "permissionMode",
    "is_error",
    "api_error_status",
    "api_error",
    "terminal_reason",
    "stop_reason",
    "rate_limit_info",
    "result",
    "errors",
    "permission_denials",
];

/// The reader of the output of one run.
#[derive(Default)]
pub(super) struct StreamJson {
    /// The ids of the last messages, each with the usage that was already counted for it.
    messages: VecDeque<(String, Usage)>,
    /// The CLI's name for the API error that its last message reports; `None`: the model wrote the last
    /// message.
    api_error: Option<String>,
    /// Whether the `init` line, with which a run begins, was read.
    began: bool,
}

impl LineReader for StreamJson {
    fn read_line(&mut self, line: &[u8], reading: &mut Reading) {
        let Some(head) = parse::<Head>(line) else { return };
        match (head.kind.as_str(), head.subtype.as_str()) {
            (Some("system"), Some("init")) => {
                if let Some(init) = parse::<InitLine>(line) {
                    self.read_init(&init, line, reading);
                }
            }
            (Some("system"), Some("api_retry")) => {
                if let Some(line) = parse::<RetryLine>(line) {
                    reading.api_errors.count = reading.api_errors.count.saturating_add(1);
                    reading.api_errors.last = api_error(&line);
                    reading.api_errors.retry = retry(&line);
                }
            }
            (Some("assistant"), _) => {
                if let Some(line) = parse::<AssistantLine>(line) {
                    self.read_assistant(line, reading);
                }
            }
            (Some("rate_limit_event"), _) => {
                if let Some(event) = parse::<LimitLine>(line) {
                    let line = evidence_of(line, &TELLING);
                    reading.limit = Some(LimitEvent { line, ..limit_event(&event.rate_limit_info) });
                }
            }
            (Some("result"), _) => {
                if let Some(result) = parse::<ResultLine>(line) {
                    reading.session_id = name(&result.session_id).or(reading.session_id.take());
                    if reading.forbidden_mode.is_none() {
                        reading.evidence = evidence_of(line, &TELLING);
                    }
                    reading.denials = denied_tools(&result.permission_denials);
                    reading.cut = unfinished_work(&result);
                    self.read_result(&result, reading);
                }
            }
            _ => {}
        }
    }
}

impl StreamJson {
    fn read_init(&mut self, init: &InitLine, line: &[u8], reading: &mut Reading) {
        reading.session_id = name(&init.session_id);
        reading.model = name(&init.model);
        // The CLI can print an `init` line again when the agent has changed its mode. Only the mode at the
        // beginning of the run counts.
        if !std::mem::replace(&mut self.began, true)
            && let Some(mode) = name(&init.permission_mode).filter(|mode| mode != REQUESTED_MODE)
        {
            reading.forbidden_mode = Some(mode);
            reading.evidence = evidence_of(line, &TELLING);
        }
    }

    /// Reads a message. A message of the CLI that reports an API error is not an answer of the model.
    fn read_assistant(&mut self, line: AssistantLine, reading: &mut Reading) {
        let is_api_error = line.is_api_error_message.as_bool() == Some(true)
            || line.error.is_string()
            || line.message.model.as_str() == Some(NO_MODEL);
        if is_api_error {
            self.api_error = name(&line.error);
            return;
        }
        self.api_error = None;
        reading.answered = true;
        reading.api_errors = ApiErrors::default();
        self.read_message(line.message, line.parent_tool_use_id.is_null(), reading);
    }

    fn read_result(&mut self, line: &ResultLine, reading: &mut Reading) {
        let mut result = run_result(line);
        result.api_error = result.api_error.or(self.api_error.take());
        // A run can report several results. Newer versions report in each the usage since the result before
        // it, so the usages are added.
        if let Some(earlier) = reading.result.take().filter(|_| line.model_usage_since_last_result.is_object()) {
            result.usage += Usage { unpriced_runs: 0, ..earlier.usage };
        }
        reading.result = Some(result);
    }

    /// Adds an assistant's message to `reading`. `is_main` says whether the message is from the main agent:
    /// the turns of a subagent do not count as turns of the run.
    fn read_message(&mut self, message: Message, is_main: bool, reading: &mut Reading) {
        self.count(message.id, Usage { turns: u64::from(is_main), ..tokens(&message.usage) }, reading);
        for block in message.content {
            if let (Some("text"), Some(text)) = (block.kind.as_str(), block.text.as_str()) {
                reading.last_text = Some(text::tail(text.as_bytes(), LONGEST_TEXT));
            }
        }
    }

    /// Adds the usage of a message, once. The CLI prints a message of several blocks as several lines, and
    /// each line repeats the usage of the message so far.
    fn count(&mut self, id: Option<String>, usage: Usage, reading: &mut Reading) {
        let Some(id) = id else {
            reading.usage_so_far += usage;
            return;
        };
        if let Some((_, counted)) = self.messages.iter_mut().find(|(known, _)| *known == id) {
            let more = Usage {
                input_tokens: usage.input_tokens.saturating_sub(counted.input_tokens),
                cached_tokens: usage.cached_tokens.saturating_sub(counted.cached_tokens),
                output_tokens: usage.output_tokens.saturating_sub(counted.output_tokens),
                ..Usage::default()
            };
            *counted += more;
            reading.usage_so_far += more;
            return;
        }
        if self.messages.len() == REMEMBERED {
            self.messages.pop_front();
        }
        self.messages.push_back((id, usage));
        reading.usage_so_far += usage;
    }
}

/// Returns the names of the tools whose use was denied, each once.
fn denied_tools(denials: &Value) -> Vec<String> {
    let mut tools: Vec<String> = Vec::new();
    for denial in denials.as_array().map(Vec::as_slice).unwrap_or_default() {
        let tool = name(&denial["tool_name"]).unwrap_or_else(|| "a tool".to_owned());
        if !tools.contains(&tool) {
            tools.push(tool);
        }
    }
    tools
}

/// Returns why the work is unfinished although the result reports success; `None` if it is finished.
fn unfinished_work(line: &ResultLine) -> Option<String> {
    let stats = &line.subagent_stats;
    let killed = stats["killed"].as_object().map_or(0, |by| by.values().filter_map(Value::as_u64).sum());
    let ended = count(stats, "completed").saturating_add(count(stats, "failed")).saturating_add(killed);
    let running = count(stats, "spawned").saturating_sub(ended);
    if line.stop_reason.as_str() == Some("tool_use") {
        Some("the model's last message calls a tool, and the call was not carried out".to_owned())
    } else if running > 0 {
        let subagents = if running == 1 { "subagent has" } else { "subagents have" };
        Some(format!("{running} {subagents} not ended"))
    } else {
        None
    }
}

/// Returns a failed request in words: its HTTP status or, if there was no answer, the agent's name for the
/// failure.
fn api_error(line: &RetryLine) -> String {
    match (line.error_status.as_u64(), name(&line.error)) {
        (Some(status), _) => status.to_string(),
        (None, Some(error)) => format!("no answer ({error})"),
        (None, None) => "no answer".to_owned(),
    }
}

fn retry(line: &RetryLine) -> Option<ApiRetry> {
    let number = |value: &Value| value.as_u64().and_then(|number| u32::try_from(number).ok());
    Some(ApiRetry { attempt: number(&line.attempt)?, of: number(&line.max_retries)? })
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
        line: None,
    }
}

fn run_result(line: &ResultLine) -> RunResult {
    let errors = line.errors.as_array().map(Vec::as_slice).unwrap_or_default();
    let errors: Vec<&str> = errors.iter().filter_map(Value::as_str).collect();
    let text = line.result.as_str().map_or_else(|| errors.join("; "), str::to_owned);
    // `usage` omits the turn that exceeded a budget and the usage of subagents; the usage by model includes
    // both.
    let by_model = [&line.model_usage_since_last_result, &line.model_usage].into_iter().find_map(Value::as_object);
    let (of_models, sum_of_costs) = by_model.map_or((Usage::default(), None), sum);
    let tokens = if of_models == Usage::default() { tokens(&line.usage) } else { of_models };
    let is_of_run = line.model_usage_since_last_result.is_object();
    let cost = if is_of_run { sum_of_costs } else { line.total_cost_usd.as_f64() };
    let cost = cost.filter(|cost| *cost >= 0.0);
    RunResult {
        kind: name(&line.subtype).unwrap_or_default(),
        is_error: line.is_error.as_bool() != Some(false),
        api_status: line.api_error_status.as_u64().and_then(|status| u16::try_from(status).ok()),
        api_error: name(&line.api_error),
        reason: name(&line.terminal_reason),
        text: text::tail(text.as_bytes(), LONGEST_TEXT),
        usage: Usage {
            turns: line.num_turns.as_u64().unwrap_or(0).min(LARGEST_COUNT),
            cost_usd: cost.unwrap_or(0.0),
            unpriced_runs: u64::from(cost.is_none()),
            ..tokens
        },
    }
}

/// Returns the tokens of all models together, and their cost. The cost is `None` if that of a model is
/// missing.
fn sum(models: &Map<String, Value>) -> (Usage, Option<f64>) {
    let (mut sum, mut cost) = (Usage::default(), Some(0.0));
    for model in models.values() {
        let input = ["inputTokens", "cacheReadInputTokens", "cacheCreationInputTokens"];
        sum.input_tokens += input.into_iter().map(|key| count(model, key)).sum::<u64>();
        sum.cached_tokens += count(model, "cacheReadInputTokens");
        sum.output_tokens += count(model, "outputTokens");
        cost = cost.zip(model["costUSD"].as_f64()).map(|(sum, cost)| sum + cost);
    }
    (sum, cost)
}

fn tokens(usage: &Value) -> Usage {
    let input = ["input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"];
    Usage {
        input_tokens: input.into_iter().map(|key| count(usage, key)).sum(),
        cached_tokens: count(usage, "cache_read_input_tokens"),
        output_tokens: count(usage, "output_tokens"),
        ..Usage::default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::agents::claude::recorded::{self, read};
    use crate::agents::json::LONGEST_NAME;

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
                cached_tokens: 10 * messages_counted,
                output_tokens: 2 * messages_counted,
                ..Usage::default()
            };
            assert_eq!(usage, expected);
        }
    }

    #[test]
    fn the_lines_of_a_message_count_the_usage_so_far_once_also_if_messages_mix() {
        let line = |id: &str, parent: Value, output: u64| {
            json!({"type": "assistant", "parent_tool_use_id": parent, "message": {"id": id, "model": "m",
                "usage": {"input_tokens": 100, "cache_read_input_tokens": 50, "output_tokens": output}}})
            .to_string()
        };
        let lines = [line("a", Value::Null, 1), line("s", "toolu_1".into(), 1), line("a", Value::Null, 9)];
        let reading = read(lines.join("\n"));
        let usage = Usage { turns: 1, input_tokens: 300, cached_tokens: 100, output_tokens: 10, ..Usage::default() };
        assert_eq!(reading.usage_so_far, usage);
        assert!(reading.answered);
    }

    #[test]
    fn the_usage_of_a_run_that_continues_a_session_is_its_own() {
        let usage = read(recorded::RESUMED).result.unwrap().usage;
        assert_eq!((usage.turns, usage.input_tokens, usage.output_tokens, usage.unpriced_runs), (1, 1200, 40, 0));
        assert!((usage.cost_usd - 0.0056).abs() < 1e-9, "{usage:?}");
        let since = recorded::RESUMED.find("\"model_usage_since_last_result\":").unwrap();
        let refused = format!("{}\"model_usage_since_last_result\":{{}}}}\n", &recorded::RESUMED[..since]);
        let refused =
            refused.replace("\"usage\":{\"input_tokens\":1200,\"output_tokens\":40", "\"usage\":{\"input_tokens\":0");
        let usage = read(&refused).result.unwrap().usage;
        assert_eq!((usage.input_tokens, usage.cost_usd, usage.unpriced_runs), (0, 0.0, 0));
        let twice = read(format!("{0}{0}", recorded::RESUMED)).result.unwrap().usage;
        assert_eq!((twice.turns, twice.input_tokens), (2, 2400), "each result reports the usage since the one before");
    }

    #[test]
    fn a_message_about_an_api_error_is_no_answer_of_the_model() {
        for output in [recorded::THROTTLED, recorded::LIMITED_332, recorded::REFUSED_LOGIN] {
            let reading = read(output);
            assert!(!reading.answered && reading.last_text.is_none() && reading.result.is_some(), "{output}");
            assert_eq!(reading.report().usage.unpriced_runs, 0);
        }
        let of_cli = json!({"type": "assistant", "is_api_error_message": true,
            "message": {"content": [{"type": "text", "text": "API Error"}]}});
        assert!(!read(of_cli.to_string()).answered);
        assert!(read(recorded::TOOLS).answered);
    }

    #[test]
    fn the_mode_at_the_beginning_of_the_run_counts() {
        assert_eq!(read(recorded::FORBIDDEN_MODE).forbidden_mode(), Some("default"));
        let reading = read(recorded::RESUMED);
        assert_eq!((reading.forbidden_mode(), reading.model.as_deref()), (None, Some("claude-opus-5-5")));
        let later = recorded::RESUMED.lines().next().unwrap().replace("bypassPermissions", "plan");
        assert_eq!(read(format!("{}{later}\n", recorded::RESUMED)).forbidden_mode(), None);
        assert_eq!(read(r#"{"type":"system","subtype":"init"}"#).forbidden_mode(), None);
    }

    #[test]
    fn work_that_is_left_is_found_in_the_result() {
        let cut = |fields: Value| {
            let mut line = json!({"type": "result", "subtype": "success", "is_error": false});
            line.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            read(line.to_string()).cut
        };
        let stats = |spawned: u64, completed: u64, failed: u64, parent: u64| {
            cut(json!({"stop_reason": "end_turn", "subagent_stats": {"spawned": spawned, "completed": completed,
                "failed": failed, "killed": {"parent": parent, "user": 0, "system": 0}}}))
        };
        assert!(cut(json!({"stop_reason": "tool_use"})).unwrap().contains("calls a tool"));
        assert_eq!(cut(json!({"stop_reason": null})), None);
        assert_eq!((stats(0, 0, 0, 0), stats(4, 2, 1, 1), stats(1, 2, 0, 0)), (None, None, None));
        assert_eq!(stats(4, 1, 1, 1).as_deref(), Some("1 subagent has not ended"));
        assert_eq!(stats(2, 0, 0, 0).as_deref(), Some("2 subagents have not ended"));
    }

    #[test]
    fn a_limit_that_the_account_pays_beyond_is_not_rejected() {
        let expected = LimitEvent {
            rejected: true,
            overage: false,
            resets_at: Some(1_795_481_639),
            kind: Some("five_hour".into()),
            line: recorded::LIMITED.lines().nth(1).map(str::to_owned),
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
