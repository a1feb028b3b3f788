//! Reads the lines of Gemini CLI's `stream-json` output into a [`Reading`].
//!
//! The reader accepts text between the JSON lines, bytes that are not UTF-8 and unknown types of lines. It
//! keeps a bounded amount of data of each line.

use serde_json::Value;

use crate::agents::json::{count, evidence_of, name, object, word};
use crate::agents::reading::{LONGEST_TEXT, LineReader, Reading, RunResult};
use crate::domain::outcome::Usage;
use crate::domain::text;

/// How many tool calls without a result the reader remembers.
const OPEN_CALLS: usize = 100;

/// The fields of a line that boi stores as evidence if the line is too long to be stored whole.
const TELLING: [&str; 4] = ["type", "status", "error", "message"];

/// The reader of the output of one run.
#[derive(Default)]
pub(super) struct StreamJson {
    /// The id of the session, until the model answers; then it moves to the [`Reading`]. The CLI cannot
    /// resume a session in which the model never answered.
    session_id: Option<String>,
    /// Whether the last line was a part of the model's text. If so, the next part is appended to that text.
    in_text: bool,
    /// Whether the model wrote the last line. If so, its next line belongs to the same turn.
    in_turn: bool,
    turns: u64,
    /// The tool calls that have no result yet.
    open: Vec<String>,
    /// The last error that the CLI reported. It is the text of a failed result that contains no text.
    error: String,
}

impl LineReader for StreamJson {
    fn read_line(&mut self, line: &[u8], reading: &mut Reading) {
        let Some(json) = object(line) else { return };
        let kind = word(&json["type"]);
        let by_model = kind == "tool_use" || (kind == "message" && json["role"] == "assistant");
        if by_model && !self.in_turn {
            self.turns += 1;
            reading.usage_so_far.turns = self.turns;
        }
        let in_text = std::mem::replace(&mut self.in_text, by_model && kind == "message");
        self.in_turn = by_model;
        if by_model {
            reading.answered = true;
            reading.session_id = self.session_id.take().or(reading.session_id.take());
        }
        match kind {
            "init" => {
                self.session_id = name(&json["session_id"]);
                reading.model = name(&json["model"]);
            }
            "message" if by_model => {
                let before = reading.last_text.take().filter(|_| in_text).unwrap_or_default();
                let all = before + word(&json["content"]);
                reading.last_text = Some(text::tail(all.as_bytes(), LONGEST_TEXT));
            }
            "tool_use" => {
                self.open.extend(name(&json["tool_id"]).filter(|_| self.open.len() < OPEN_CALLS));
            }
            "tool_result" => {
                let id = name(&json["tool_id"]);
                self.open.retain(|open| Some(open) != id.as_ref());
                if json["error"]["type"] == "policy_violation" {
                    reading.denials.extend(name(&json["error"]["message"]));
                }
            }
            "error" => {
                self.error = text::tail(word(&json["message"]).as_bytes(), LONGEST_TEXT);
                reading.evidence = evidence_of(line, &TELLING);
            }
            "result" => {
                reading.evidence = evidence_of(line, &TELLING);
                self.read_result(&json, reading);
            }
            _ => {}
        }
    }
}

impl StreamJson {
    fn read_result(&self, json: &Value, reading: &mut Reading) {
        let is_error = json["status"] != "success";
        let message = json["error"]["message"].as_str().unwrap_or(&self.error);
        let text = if is_error { message } else { reading.last_text.as_deref().unwrap_or("") };
        let usage = Usage { turns: self.turns, ..usage(&json["stats"]) };
        reading.model = main_model(&json["stats"]["models"]).or(reading.model.take());
        reading.cut = self.open.first().filter(|_| !is_error).map(|id| format!("the tool call {id} has no result"));
        reading.result = Some(RunResult {
            kind: name(&json["error"]["type"]).or(name(&json["status"])).unwrap_or_default(),
            is_error,
            text: text::tail(text.as_bytes(), LONGEST_TEXT),
            usage,
            // No HTTP status: `diagnose` computes it from the exit code.
            ..RunResult::default()
        });
    }
}

/// Returns the tokens of the run. The CLI reports no cost. Its number of output tokens omits the model's
/// thoughts, but the total number of tokens includes them.
fn usage(stats: &Value) -> Usage {
    let input_tokens = count(stats, "input_tokens");
    let output = count(stats, "output_tokens").max(count(stats, "total_tokens").saturating_sub(input_tokens));
    Usage {
        input_tokens,
        cached_tokens: count(stats, "cached").min(input_tokens),
        output_tokens: output,
        unpriced_runs: u64::from(input_tokens + output > 0),
        ..Usage::default()
    }
}

/// Returns the name of the model that used the most tokens. With the model `auto`, the CLI uses several
/// models.
fn main_model(models: &Value) -> Option<String> {
    let models = models.as_object()?.iter().map(|(model, stats)| (count(stats, "total_tokens"), model));
    let (_, model) = models.filter(|(tokens, _)| *tokens > 0).max()?;
    name(&Value::String(model.clone()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::agents::gemini::recorded::{self, read};

    #[test]
    fn a_session_with_tools_is_read() {
        let reading = read(recorded::TOOLS);
        assert_eq!(reading.session_id.as_deref(), Some("3f221111-1111-4111-8111-111111111111"));
        assert_eq!(reading.model.as_deref(), Some("scripted"), "the name that the API gives the model");
        assert!(reading.answered && reading.denials.is_empty() && reading.cut.is_none());
        let result = reading.result.as_ref().unwrap();
        assert_eq!((result.kind.as_str(), result.is_error), ("success", false));
        assert_eq!(result.text, "wrote it, 429 usage limit");
        let usage = result.usage;
        assert_eq!((usage.turns, usage.input_tokens, usage.cached_tokens, usage.output_tokens), (3, 3600, 600, 120));
        assert_eq!(usage.unpriced_runs, 1, "the CLI reports no cost");
        assert!(reading.evidence.unwrap().contains(r#""status":"success""#));
    }

    #[test]
    fn a_refused_run_used_nothing() {
        let reading = read(recorded::THROTTLED);
        assert!(!reading.answered && reading.session_id.is_none(), "there is nothing to resume");
        assert!(reading.result.as_ref().unwrap().is_error);
        assert_eq!(reading.report().usage, Usage::default());
        assert!(reading.evidence.unwrap().contains("slow down"));
    }

    #[test]
    fn thoughts_count_as_output() {
        let stats = r#"{"type":"result","status":"success","stats":{"total_tokens":190,"input_tokens":100,"output_tokens":40,"cached":30,"models":{"a":{"total_tokens":10},"b":{"total_tokens":180}}}}"#;
        let reading = read(stats);
        let usage = reading.result.unwrap().usage;
        assert_eq!((usage.input_tokens, usage.cached_tokens, usage.output_tokens), (100, 30, 90));
        assert_eq!(reading.model.as_deref(), Some("b"));
    }

    #[test]
    fn parts_of_a_text_are_joined_and_a_new_text_begins_after_a_tool_call() {
        let part = |text: &str| format!(r#"{{"type":"message","role":"assistant","content":"{text}","delta":true}}"#);
        let call = r#"{"type":"tool_use","tool_id":"t1","tool_name":"x","parameters":{}}"#;
        let lines = [&part("one "), &part("two"), call, &part("three "), "noise", &part("four")].map(str::to_owned);
        let reading = read(&lines.join("\n"));
        assert_eq!(reading.last_text.as_deref(), Some("three four"));
        assert_eq!(reading.usage_so_far.turns, 1, "the text and its tool call are one turn");
    }

    #[test]
    fn a_success_with_an_open_tool_call_is_cut_and_a_refused_tool_is_denied() {
        let call = r#"{"type":"tool_use","tool_id":"t1","tool_name":"run_shell_command","parameters":{}}"#;
        let denied = r#"{"type":"tool_result","tool_id":"t1","status":"error","error":{"type":"policy_violation","message":"Tool execution denied by policy."}}"#;
        let success = r#"{"type":"result","status":"success","stats":{}}"#;
        assert_eq!(read(&[call, success].join("\n")).cut.as_deref(), Some("the tool call t1 has no result"));
        let reading = read(&[call, denied, success].join("\n"));
        assert_eq!((reading.cut, reading.denials), (None, vec!["Tool execution denied by policy.".to_owned()]));
    }

    #[test]
    fn an_error_without_a_text_takes_that_of_the_line_before() {
        let lines = r#"{"type":"error","severity":"error","message":"the model returned nothing"}
{"type":"result","status":"error","stats":{}}"#;
        assert_eq!(read(lines).result.unwrap().text, "the model returned nothing");
    }

    proptest! {
        #[test]
        fn any_line_is_read(kind in "init|message|tool_use|tool_result|error|result|x", value in "[^\"\\\\]*", tail in ".*") {
            let line = format!(r#"{{"type":"{kind}","role":"assistant","content":"{value}","stats":"{value}","error":1}}"#);
            read(&format!("{line}\n{tail}\n\u{0}{line}"));
        }
    }
}
