//! Reads the lines of `codex exec --json` into a [`Reading`].
//!
//! The reader accepts text between the JSON lines, bytes that are not UTF-8 and unknown types of lines. It
//! keeps a bounded amount of data of each line.

use serde_json::Value;

use crate::agents::json::{count, evidence_of, name, object, word};
use crate::agents::reading::{ApiErrors, LONGEST_TEXT, LineReader, Reading, RunResult};
use crate::domain::cause::ApiRetry;
use crate::domain::outcome::{Tokens, Usage};
use crate::domain::text;

/// The fields of a line that boi stores as evidence if the line is too long to be stored whole.
const TELLING: [&str; 4] = ["type", "message", "error", "item"];

/// The longest description of a failed request, in characters.
const LONGEST_ERROR: usize = 60;

/// The reader of the output of one run.
#[derive(Default)]
pub(super) struct Jsonl;

impl LineReader for Jsonl {
    fn read_line(&mut self, line: &[u8], reading: &mut Reading) {
        let Some(json) = object(line) else { return };
        match word(&json["type"]) {
            "thread.started" => reading.session_id = name(&json["thread_id"]).or(reading.session_id.take()),
            "item.started" | "item.updated" | "item.completed" => read_item(&json["item"], reading),
            "error" => {
                let message = word(&json["message"]);
                match message.strip_prefix("Reconnecting... ") {
                    Some(rest) => read_retry(rest, reading),
                    // The error is the evidence. The later line `turn.failed` sets the result.
                    None => reading.evidence = evidence_of(line, &TELLING),
                }
            }
            "turn.failed" => {
                reading.evidence = evidence_of(line, &TELLING);
                reading.result = Some(failed(word(&json["error"]["message"]), reading.answered));
            }
            "turn.completed" => {
                reading.evidence = evidence_of(line, &TELLING);
                let tokens = tokens(&json["usage"]);
                let Tokens { input, cached, output } = tokens;
                // Codex reports the tokens of the whole session. `Reading::continues` subtracts those of
                // earlier runs.
                reading.session_tokens = Some(tokens);
                reading.result = Some(RunResult {
                    kind: "turn.completed".to_owned(),
                    text: reading.last_text.clone().unwrap_or_default(),
                    usage: Usage {
                        turns: 1,
                        input_tokens: input,
                        cached_tokens: cached,
                        output_tokens: output,
                        unpriced_runs: 1,
                        ..Usage::default()
                    },
                    ..RunResult::default()
                });
            }
            _ => {}
        }
    }
}

/// Reads an item. An item of the type `error` comes from the CLI; the model wrote every other item.
fn read_item(item: &Value, reading: &mut Reading) {
    let kind = word(&item["type"]);
    if kind.is_empty() || kind == "error" {
        return;
    }
    reading.answered = true;
    reading.api_errors = ApiErrors::default();
    if kind == "agent_message"
        && let Some(text) = item["text"].as_str()
    {
        reading.last_text = Some(text::tail(text.as_bytes(), LONGEST_TEXT));
    }
    if item["status"] == "declined" && !reading.denials.iter().any(|denied| denied == kind) {
        reading.denials.push(text::one_line(kind, LONGEST_ERROR));
    }
}

/// Reads a message about a request that failed and that Codex repeats. `rest` is the part after
/// `Reconnecting... `: `1/5 (unexpected status 500 ...)`, or `waiting for network (Connection failed: ...)`.
fn read_retry(rest: &str, reading: &mut Reading) {
    let (number, why) = rest.split_once(" (").map_or((rest, ""), |(number, why)| (number, why.trim_end_matches(')')));
    let status = why.strip_prefix("unexpected status ").and_then(|why| why.get(..3));
    let retry = number
        .split_once('/')
        .and_then(|(attempt, of)| Some(ApiRetry { attempt: attempt.parse().ok()?, of: of.parse().ok()? }));
    let last = match status {
        Some(status) => status.to_owned(),
        None => format!("no answer ({})", text::one_line(why, LONGEST_ERROR)),
    };
    reading.api_errors = ApiErrors { count: reading.api_errors.count.saturating_add(1), last, retry };
}

fn failed(message: &str, answered: bool) -> RunResult {
    RunResult {
        kind: "turn.failed".to_owned(),
        is_error: true,
        text: text::tail(message.as_bytes(), LONGEST_TEXT),
        // The line of a failed turn reports no usage.
        usage: Usage { unpriced_runs: u64::from(answered), ..Usage::default() },
        ..RunResult::default()
    }
}

/// Reads the tokens that a `turn.completed` line reports: those of all runs of the session so far.
fn tokens(usage: &Value) -> Tokens {
    Tokens {
        input: count(usage, "input_tokens"),
        cached: count(usage, "cached_input_tokens"),
        output: count(usage, "output_tokens"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::agents::codex::recorded::{self, read};

    #[test]
    fn a_session_with_tools_is_read() {
        let reading = read(recorded::TOOLS);
        assert_eq!(reading.session_id.as_deref(), Some("01a21e93-41c9-7e40-b5a2-ad192b6494f3"));
        assert!(reading.answered);
        let result = reading.result.unwrap();
        assert_eq!((result.is_error, result.text.as_str()), (false, "All done: \"429\" usage limit"));
        let usage = result.usage;
        assert_eq!((usage.input_tokens, usage.cached_tokens, usage.output_tokens), (400, 160, 28));
        assert_eq!((usage.turns, usage.unpriced_runs), (1, 1));
    }

    #[test]
    fn an_error_of_the_cli_is_no_answer_and_a_refused_run_costs_nothing() {
        let reading = read(recorded::THROTTLED);
        assert!(!reading.answered);
        assert_eq!(reading.report().usage, Usage::default());
        assert_eq!(
            reading.evidence.as_deref(),
            Some(
                r#"{"type":"turn.failed","error":{"message":"exceeded retry limit, last status: 429 Too Many Requests"}}"#
            )
        );
        assert_eq!(read(recorded::BROKEN_STREAM).report().usage.unpriced_runs, 1, "the model answered");
    }

    #[test]
    fn repeated_requests_are_counted_until_the_model_answers() {
        let errors = read(recorded::REFUSED_KEY).api_errors;
        assert_eq!((errors.count, errors.last.as_str()), (1, "401"));
        assert_eq!(errors.retry, Some(ApiRetry { attempt: 1, of: 1 }));
        let errors = read(recorded::UNREACHABLE).api_errors;
        assert_eq!(errors.count, 2);
        assert_eq!(errors.last, "no answer (Connection failed: error sending request)");
        assert_eq!(errors.retry, None);
        let answer = "{\"type\":\"item.completed\",\"item\":{\"type\":\"reasoning\"}}\n";
        assert_eq!(read(format!("{}{answer}", recorded::UNREACHABLE)).api_errors, ApiErrors::default());
    }

    #[test]
    fn noise_is_ignored_and_long_lines_are_cut() {
        let noise = b"warning\n[1]\n{\"type\":7}\n{\"type\":\"novel\"}\n{broken\n\xff\xfe\r\n";
        let noisy = [noise.as_slice(), recorded::TOOLS.as_bytes()].concat();
        assert!(read(&noisy).result.is_some());
        let text = format!("{}end", "x".repeat(8 << 20));
        let output = recorded::TOOLS.replace("All done: ", &text);
        let result = read(&output).result.unwrap();
        assert_eq!(result.text.len(), LONGEST_TEXT);
        let cut = &recorded::TOOLS[..recorded::TOOLS.len() - 3];
        assert_eq!(read(cut).result, None, "a partial last line is no result");
    }

    proptest! {
        #[test]
        fn any_output_is_accepted(
            output: Vec<u8>,
            line in "\\{\"type\":\"(error|item.completed|turn.failed)\",\"(message|item|error)\":[0-9\"\\[\\{]{0,3}\\}\n",
        ) {
            read(&output);
            read(&line);
        }
    }
}
