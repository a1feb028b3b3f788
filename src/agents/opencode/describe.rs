//! Describes a line of opencode's output for people, as `boi log` shows it.

use serde_json::Value;

use crate::agents::json::{count, labelled, last_lines, object, tool_call, word};
use crate::domain::text::{one_line, plain};

/// The longest argument or error that a shown line contains, in characters.
const WIDTH: usize = 400;

/// The arguments of tools that boi can show, the most informative first. boi shows the first that a call has.
const TELLING: [&str; 7] = ["command", "filePath", "path", "pattern", "url", "description", "prompt"];

/// Returns the text that boi shows for `line`: the text of the model, a tool call with its command or file,
/// the end of the last step with its cost, or an error. Returns `None` for a line that contains nothing of
/// interest to people. A line that is not JSON is shown as plain text.
pub(super) fn describe(line: &[u8]) -> Option<String> {
    let Some(json) = object(line) else {
        return Some(plain(String::from_utf8_lossy(line).trim()).trim_end().to_owned()).filter(|text| !text.is_empty());
    };
    let part = &json["part"];
    match word(&json["type"]) {
        "text" => Some(plain(word(&part["text"])).trim_end().to_owned()).filter(|text| !text.is_empty()),
        "tool_use" => Some(tool(part)),
        "step_finish" if part["reason"] != "tool-calls" => Some(step(part)),
        "error" => Some(error(&json["error"])),
        _ => None,
    }
}

fn tool(part: &Value) -> String {
    let name = one_line(part["tool"].as_str().unwrap_or("?"), WIDTH);
    let state = &part["state"];
    let mut shown = tool_call(&name, &state["input"], &TELLING, WIDTH);
    if state["status"] == "error" {
        shown.push_str(&labelled("\n  failed:", &last_lines(word(&state["error"]), WIDTH)));
    } else if let Some(code) = state["metadata"]["exit"].as_i64().filter(|code| *code != 0) {
        shown
            .push_str(&labelled(&format!("\n  failed: exit code {code}:"), &last_lines(word(&state["output"]), WIDTH)));
    }
    shown
}

fn step(part: &Value) -> String {
    let tokens = &part["tokens"];
    let used = count(tokens, "input")
        + count(&tokens["cache"], "read")
        + count(&tokens["cache"], "write")
        + count(tokens, "output")
        + count(tokens, "reasoning");
    let cost = match part["cost"].as_f64() {
        Some(cost) if cost > 0.0 => format!("${cost:.4}"),
        _ => "cost unknown".to_owned(),
    };
    let end = if part["reason"] == "stop" { "= done" } else { "= cut" };
    format!("{end}, last step: {used} tokens, {cost}")
}

fn error(error: &Value) -> String {
    let (name, data) = (one_line(error["name"].as_str().unwrap_or("error"), WIDTH), &error["data"]);
    let status = data["statusCode"].as_u64().map(|status| format!(" {status}")).unwrap_or_default();
    format!("= failed: {name}{status}: {}", one_line(word(&data["message"]), WIDTH))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agents::opencode::recorded;

    fn log(output: &str) -> String {
        output.lines().filter_map(|line| describe(line.as_bytes())).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_session_with_tools_and_a_refused_one() {
        insta::assert_snapshot!(log(recorded::TOOLS), @r"
        > bash: echo hi > hi.txt
        > bash: ls; false
          failed: exit code 1: hi.txt
        wrote it, 429 usage limit
        = done, last step: 1240 tokens, $0.0042
        ");
        insta::assert_snapshot!(log(recorded::THROTTLED), @"= failed: APIError 429: too many requests");
    }

    #[test]
    fn each_kind_of_line_has_its_form() {
        for (line, expected) in [
            ("\u{1b}[31mnoise\u{1b}[0m", Some("noise")),
            (" ", None),
            (r#"{"type":"step_start","part":{}}"#, None),
            (r#"{"type":"text","part":{"text":"a\nb\u001b[2J"}}"#, Some("a\nb")),
            (
                r#"{"type":"tool_use","part":{"tool":"edit","state":{"status":"error","input":{"filePath":"/a"},"error":"no file"}}}"#,
                Some("> edit: /a\n  failed: no file"),
            ),
            (r#"{"type":"step_finish","part":{"reason":"length"}}"#, Some("= cut, last step: 0 tokens, cost unknown")),
            (
                r#"{"type":"error","error":{"name":"UnknownError","data":{"message":"x"}}}"#,
                Some("= failed: UnknownError: x"),
            ),
            (r#"{"type":"unknown"}"#, None),
        ] {
            assert_eq!(describe(line.as_bytes()).as_deref(), expected, "{line}");
        }
    }
}
