//! Describes a line of Codex's output for people, as `boi log` shows it.

use serde_json::Value;

use crate::agents::json::{argument, count, labelled, last_lines, object, word};
use crate::domain::text::{one_line, plain};

/// The longest command, name or error that a shown line contains, in characters.
const WIDTH: usize = 400;

/// Returns the text that boi shows for `line`: the text of the model, a command, the edited files, an error,
/// or the result with its tokens. Returns `None` for a line that contains nothing of interest to people. A
/// line that is not JSON is shown as plain text.
pub(super) fn describe(line: &[u8]) -> Option<String> {
    let Some(json) = object(line) else {
        let text = plain(String::from_utf8_lossy(line).trim());
        return Some(text.trim_end().to_owned()).filter(|text| !text.is_empty());
    };
    match word(&json["type"]) {
        "thread.started" => Some(format!("session {}", short(&json["thread_id"]))),
        "item.started" => begun(&json["item"]),
        "item.completed" => ended(&json["item"]),
        "error" => Some(format!("! {}", short(&json["message"]))),
        "turn.failed" => Some(format!("= failed: {}", short(&json["error"]["message"]))),
        "turn.completed" => Some(result(&json["usage"])),
        _ => None,
    }
}

/// Describes the start of a command or of a tool call. Returns `None` for the start of any other item.
fn begun(item: &Value) -> Option<String> {
    match word(&item["type"]) {
        "command_execution" => Some(labelled(">", &argument(item["command"].as_str().unwrap_or("?"), WIDTH))),
        "mcp_tool_call" => Some(format!("> {}.{}", short(&item["server"]), short(&item["tool"]))),
        _ => None,
    }
}

fn ended(item: &Value) -> Option<String> {
    match word(&item["type"]) {
        "agent_message" => Some(plain(word(&item["text"])).trim_end().to_owned()).filter(|text| !text.is_empty()),
        "file_change" => {
            let changes = item["changes"].as_array().map(Vec::as_slice).unwrap_or_default();
            let edits =
                changes.iter().map(|change| format!("> {}: {}", short(&change["kind"]), short(&change["path"])));
            let failed = (word(&item["status"]) == "failed").then(|| "  failed".to_owned());
            Some(edits.chain(failed).collect::<Vec<_>>().join("\n")).filter(|text| !text.is_empty())
        }
        "web_search" => Some(format!("> web search: {}", short(&item["query"]))),
        "error" => Some(format!("! {}", short(&item["message"]))),
        "command_execution" | "mcp_tool_call" if matches!(word(&item["status"]), "failed" | "declined") => {
            let output = last_lines(word(&item["aggregated_output"]), WIDTH);
            let how = match item["exit_code"].as_i64() {
                Some(code) => format!("exit code {code}"),
                None => one_line(item["error"]["message"].as_str().unwrap_or(word(&item["status"])), WIDTH),
            };
            let failed = format!("  failed: {how}");
            Some(if output.is_empty() { failed } else { labelled(&format!("{failed}:"), &output) })
        }
        _ => None,
    }
}

fn short(value: &Value) -> String {
    one_line(value.as_str().unwrap_or("?"), WIDTH)
}

fn result(usage: &Value) -> String {
    let tokens = |key| count(usage, key);
    format!(
        "= done: {} input tokens ({} cached) and {} output tokens in this session, cost unknown",
        tokens("input_tokens"),
        tokens("cached_input_tokens"),
        tokens("output_tokens")
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::agents::codex::recorded;

    fn log(output: &str) -> String {
        output.lines().filter_map(|line| describe(line.as_bytes())).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_session_with_tools_and_a_refused_one() {
        insta::assert_snapshot!(log(&[recorded::TOOLS, recorded::REFUSED_KEY].concat()), @r#"
        session 01a21e93-41c9-7e40-b5a2-ad192b6494f3
        ! Model metadata for `gpt-5.3-codex` not found. Defaulting to fallback metadata; this can degrade performance and cause issues.
        > /bin/bash -lc 'echo hi > hi.txt'
        > /bin/bash -lc false
          failed: exit code 1
        > add: /r/new.txt
        All done: "429" usage limit
        = done: 400 input tokens (160 cached) and 28 output tokens in this session, cost unknown
        session 01a21e8b-2245-7863-af25-293f4621ec7b
        ! Reconnecting... 1/1 (unexpected status 401 Unauthorized: Incorrect API key provided: sk-fake., url: http://127.0.0.1:33975/v1/responses)
        ! unexpected status 401 Unauthorized: Incorrect API key provided: sk-fake., url: http://127.0.0.1:33975/v1/responses
        = failed: unexpected status 401 Unauthorized: Incorrect API key provided: sk-fake., url: http://127.0.0.1:33975/v1/responses
        "#);
    }

    #[test]
    fn each_kind_of_line_has_its_form() {
        for (line, expected) in [
            (r#"{"type":"turn.started"}"#, None),
            (r#"{"type":"novel"}"#, None),
            (r#"{"type":"item.completed","item":{"type":"reasoning","text":"x"}}"#, None),
            (r#"{"type":"item.completed","item":{"type":"agent_message","text":"two\nlines\n"}}"#, Some("two\nlines")),
            (r#"{"type":"item.started","item":{"type":"mcp_tool_call","server":"s","tool":"t"}}"#, Some("> s.t")),
            (
                r#"{"type":"item.completed","item":{"type":"mcp_tool_call","status":"failed","error":{"message":"no"}}}"#,
                Some("  failed: no"),
            ),
            (r#"{"type":"item.completed","item":{"type":"web_search","query":"q"}}"#, Some("> web search: q")),
            (r#"{"type":"item.completed","item":{"type":"error","message":"old"}}"#, Some("! old")),
            (
                r#"{"type":"item.completed","item":{"type":"command_execution","status":"failed","exit_code":2,"aggregated_output":"a\nb"}}"#,
                Some("  failed: exit code 2:\n    a\n    b"),
            ),
            ("\u{1b}[31mboom\u{1b}[0m", Some("boom")),
            ("  ", None),
        ] {
            assert_eq!(describe(line.as_bytes()).as_deref(), expected, "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_line_is_harmless(line: Vec<u8>) {
            let text = describe(&line).unwrap_or_default();
            prop_assert!(text.chars().all(|c| c == '\n' || c == '\t' || !c.is_control()));
        }
    }
}
