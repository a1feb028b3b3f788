//! Describes a line of Gemini CLI's output for people, as `boi log` shows it.

use serde_json::Value;

use crate::agents::json::{count, labelled, last_lines, object, tool_call, word};
use crate::domain::text::{one_line, plain};

/// The longest argument or error that a shown line contains, in characters.
const WIDTH: usize = 400;

/// The arguments of tools that boi can show, the most informative first. boi shows the first that a call has.
const TELLING: [&str; 8] = ["command", "file_path", "path", "dir_path", "pattern", "query", "prompt", "description"];

/// Returns the text that boi shows for `line`: the text of the model, a tool call with its command or file, a
/// failed call, an error, or the result. Returns `None` for a line that contains nothing of interest to
/// people. A line that is not JSON is shown as plain text.
pub(super) fn describe(line: &[u8]) -> Option<String> {
    let Some(json) = object(line) else {
        return Some(plain(String::from_utf8_lossy(line).trim()).trim_end().to_owned()).filter(|text| !text.is_empty());
    };
    match word(&json["type"]) {
        "init" => Some(format!("session {} with {}", short(&json["session_id"]), short(&json["model"]))),
        "message" if json["role"] == "assistant" => {
            Some(plain(word(&json["content"])).trim_end().to_owned()).filter(|text| !text.is_empty())
        }
        "tool_use" => Some(tool_call(&short(&json["tool_name"]), &json["parameters"], &TELLING, WIDTH)),
        "tool_result" if json["status"] == "error" => {
            let message = json["error"]["message"].as_str().unwrap_or_else(|| word(&json["output"]));
            Some(labelled("  failed:", &last_lines(message, WIDTH)))
        }
        "error" => Some(format!("! {}", short(&json["message"]))),
        "result" => Some(result(&json)),
        _ => None,
    }
}

fn short(value: &Value) -> String {
    one_line(value.as_str().unwrap_or("?"), WIDTH)
}

fn result(json: &Value) -> String {
    let (failed, stats) = (json["status"] != "success", &json["stats"]);
    let seconds = stats["duration_ms"].as_f64().unwrap_or(0.0) / 1000.0;
    let (calls, tokens) = (count(stats, "tool_calls"), count(stats, "total_tokens"));
    let end = if failed { "= failed" } else { "= done" };
    let unit = if calls == 1 { "tool call" } else { "tool calls" };
    let mut line = format!("{end}: {calls} {unit}, {seconds:.1} s, {tokens} tokens, cost unknown");
    if let Some(message) = json["error"]["message"].as_str().filter(|_| failed) {
        line.push_str(": ");
        line.push_str(&one_line(message, WIDTH));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agents::gemini::recorded;

    fn log(output: &str) -> String {
        output.lines().filter_map(|line| describe(line.as_bytes())).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_session_with_tools_and_a_refused_one() {
        insta::assert_snapshot!(log(recorded::TOOLS), @r"
        session 3f221111-1111-4111-8111-111111111111 with gemini-2.5-flash
        > run_shell_command: echo hi > hi.txt
        > run_shell_command: cat nosuchfile
        wrote it, 429 usage limit
        = done: 2 tool calls, 1.7 s, 3720 tokens, cost unknown
        ");
        insta::assert_snapshot!(log(recorded::THROTTLED), @r"
        session 3f221111-1111-4111-8111-111111111112 with gemini-2.5-flash
        = failed: 0 tool calls, 0.0 s, 0 tokens, cost unknown: [API Error: slow down] Please wait and try again later. To increase your limits, request a quota increase through AI Studio, or switch to another /auth method
        ");
    }

    #[test]
    fn each_kind_of_line_has_its_form() {
        for (line, expected) in [
            ("\u{1b}[31mnoise\u{1b}[0m", Some("noise")),
            (" ", None),
            (r#"{"type":"message","role":"user","content":"do"}"#, None),
            (r#"{"type":"message","role":"assistant","content":"a\nb\u001b[2J"}"#, Some("a\nb")),
            (r#"{"type":"tool_use","tool_name":"read_file","parameters":{"file_path":"/a"}}"#, Some("> read_file: /a")),
            (r#"{"type":"tool_result","status":"success","output":"x"}"#, None),
            (r#"{"type":"tool_result","status":"error","error":{"message":"no file"}}"#, Some("  failed: no file")),
            (r#"{"type":"error","severity":"warning","message":"loop"}"#, Some("! loop")),
            (r#"{"type":"result"}"#, Some("= failed: 0 tool calls, 0.0 s, 0 tokens, cost unknown")),
            (r#"{"type":"unknown"}"#, None),
        ] {
            assert_eq!(describe(line.as_bytes()).as_deref(), expected, "{line}");
        }
    }
}
