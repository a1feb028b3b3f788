//! Describes a line of Claude Code's output for people, as `boi log` shows it.

use serde_json::Value;

use crate::agents::json::{self, word};
use crate::domain::text::{one_line, plain};

/// The longest text that a shown line contains, in characters.
const WIDTH: usize = 400;

/// Returns the text that boi shows for `line`: the whole text of the model, a tool call with its command or
/// file, a denied or repeated request, or the result with its cost. Returns `None` for a line that contains
/// nothing of interest to people. A line that is not JSON is shown as plain text. The text of a JSON line has
/// no control characters except newlines and tabs.
pub(super) fn describe(line: &[u8]) -> Option<String> {
    let lossy = String::from_utf8_lossy(line);
    let text = lossy.trim();
    let Some(json) = serde_json::from_str::<Value>(text).ok().filter(Value::is_object) else {
        return Some(plain(text)).map(|text| text.trim_end().to_owned()).filter(|text| !text.is_empty());
    };
    let parts = match (word(&json["type"]), word(&json["subtype"])) {
        ("system", "init") => vec![format!("session {} with {}", short(&json["session_id"]), short(&json["model"]))],
        ("system", "api_retry") => vec![api_retry(&json)],
        ("system", "permission_denied") => {
            vec![format!("  denied: {}: {}", short(&json["tool_name"]), short(&json["message"]))]
        }
        ("assistant", _) => blocks(&json).iter().filter_map(message_block).collect(),
        ("user", _) => blocks(&json).iter().filter_map(failed_tool).collect(),
        ("rate_limit_event", _) => usage_limit(&json["rate_limit_info"]).into_iter().collect(),
        ("result", _) => vec![result(&json)],
        _ => Vec::new(),
    };
    Some(parts.join("\n")).filter(|text| !text.is_empty())
}

fn short(value: &Value) -> String {
    one_line(value.as_str().unwrap_or("?"), WIDTH)
}

fn blocks(json: &Value) -> &[Value] {
    json["message"]["content"].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn message_block(block: &Value) -> Option<String> {
    match word(&block["type"]) {
        "text" => Some(plain(word(&block["text"])).trim().to_owned()).filter(|text| !text.is_empty()),
        "tool_use" => Some(tool_call(&short(&block["name"]), &block["input"])),
        _ => None,
    }
}

/// The arguments of tools that boi can show, the most informative first. boi shows the first that a call has.
const TELLING: [&str; 8] = ["command", "file_path", "notebook_path", "pattern", "url", "query", "skill", "description"];

/// Returns the tool's name with its most informative argument and, for an edit, how many lines it removes and
/// adds.
fn tool_call(tool: &str, input: &Value) -> String {
    let call = json::tool_call(tool, input, &TELLING, WIDTH);
    let edits = match input["edits"].as_array() {
        Some(edits) => edits.as_slice(),
        None => std::slice::from_ref(input),
    };
    let lines = |key: &str| edits.iter().filter_map(|edit| edit[key].as_str()).map(|text| text.lines().count()).sum();
    let (removed, added): (usize, usize) = (lines("old_string"), lines("new_string"));
    match input["content"].as_str().filter(|_| input["file_path"].is_string()) {
        Some(content) => format!("{call} (+{})", content.lines().count()),
        None if removed + added > 0 => format!("{call} (-{removed} +{added})"),
        None => call,
    }
}

/// Returns the result of a tool that failed; `None` for any other result, because the results of all tools
/// would fill the screen.
fn failed_tool(block: &Value) -> Option<String> {
    if word(&block["type"]) != "tool_result" || block["is_error"] != Value::Bool(true) {
        return None;
    }
    let text = match &block["content"] {
        Value::String(text) => json::last_lines(text, WIDTH),
        Value::Array(parts) => {
            json::last_lines(&parts.iter().map(|part| word(&part["text"])).collect::<Vec<_>>().join("\n"), WIDTH)
        }
        _ => String::new(),
    };
    Some(json::labelled("  failed:", &text))
}

fn api_retry(json: &Value) -> String {
    let status = json["error_status"].as_u64().map_or_else(|| "no answer".to_owned(), |status| status.to_string());
    let seconds = json["retry_delay_ms"].as_f64().unwrap_or(0.0) / 1000.0;
    let count = |key: &str| json[key].as_u64().unwrap_or(0);
    let (attempt, most) = (count("attempt"), count("max_retries"));
    format!("! API: {status} ({}), retry {attempt} of {most} in {seconds:.1} s", short(&json["error"]))
}

fn usage_limit(info: &Value) -> Option<String> {
    let kind = info["rateLimitType"].as_str().map_or_else(|| "usage".to_owned(), |kind| one_line(kind, WIDTH));
    let state = match word(&info["status"]) {
        "rejected" => "used up",
        "allowed_warning" => "nearly used up",
        _ => return None,
    };
    let reset = info["resetsAt"].as_i64().and_then(|at| jiff::Timestamp::from_second(at).ok());
    Some(format!("! {kind} limit {state}{}", reset.map(|at| format!(", resets {at}")).unwrap_or_default()))
}

fn result(json: &Value) -> String {
    let failed = json["is_error"].as_bool() != Some(false);
    let turns = json["num_turns"].as_u64().unwrap_or(0);
    let seconds = json["duration_ms"].as_f64().unwrap_or(0.0) / 1000.0;
    let cost = json["total_cost_usd"].as_f64().map_or("cost unknown".to_owned(), |cost| format!("${cost:.4}"));
    let end = if failed { "= failed" } else { "= done" };
    let unit = if turns == 1 { "turn" } else { "turns" };
    let mut line = format!("{end}: {turns} {unit}, {seconds:.1} s, {cost}");
    if failed {
        let errors = json["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        let text = json["result"].as_str().or_else(|| errors.iter().find_map(Value::as_str));
        line.push_str(": ");
        line.push_str(&one_line(text.unwrap_or(word(&json["subtype"])), WIDTH));
    }
    line
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::agents::claude::recorded;

    fn log(output: &str) -> String {
        output.lines().filter_map(|line| describe(line.as_bytes())).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_session_with_tools() {
        insta::assert_snapshot!(log(recorded::TOOLS), @r#"
        session 3f221111-1111-4111-8111-111111111111 with claude-opus-4-8[1m]
        > Bash: echo hi > hi.txt
        > Bash: false
          failed: Exit code 1
        wrote "429" usage limit
        = done: 3 turns, 0.2 s, $0.0210
        "#);
    }

    #[test]
    fn limits_and_failures() {
        insta::assert_snapshot!(log(&[recorded::THROTTLED, recorded::LIMITED, recorded::MAX_TURNS].concat()), @r"
        session a3d6ea31-5754-42c6-85e5-023d86e3ab5f with claude-opus-4-8[1m]
        ! API: 429 (rate_limit), retry 1 of 1 in 1.0 s
        API Error: Request rejected (429) · scripted failure 429
        = failed: 1 turn, 1.1 s, $0.0000: API Error: Request rejected (429) · scripted failure 429
        session 45d69c95-8a8a-4f60-9c6a-fe482231a332 with claude-sonnet-5
        ! five_hour limit used up, resets 2026-11-24T00:53:59Z
        You've hit your limit · resets 12:53am (UTC)
        = failed: 1 turn, 0.1 s, $0.0000: You've hit your limit · resets 12:53am (UTC)
        = failed: 2 turns, 0.1 s, $0.0070: Reached maximum number of turns (1)
        ");
    }

    #[test]
    fn text_is_shown_without_escape_sequences() {
        assert_eq!(describe(b"\x1b[31mboom\x1b[0m\x07\r\n").as_deref(), Some("boom"));
        assert_eq!(describe(b"  \r\n"), None);
        assert_eq!(describe(b"[1]").as_deref(), Some("[1]"));
        let hostile = r#"{"type":"assistant","message":{"content":[{"type":"text","text":"a\u001b]0;x\u0007b\u001b[2J\u202e"}]}}"#;
        assert_eq!(describe(hostile.as_bytes()).as_deref(), Some("ab"));
    }

    #[test]
    fn a_tool_call_shows_the_argument_that_says_most() {
        let call = |input: &str| {
            let line = format!(
                r#"{{"type":"assistant","message":{{"content":[{{"type":"tool_use","name":"T","input":{input}}}]}}}}"#
            );
            describe(line.as_bytes()).unwrap()
        };
        for (input, expected) in [
            (r#"{"file_path":"/a/b.rs","old_string":"x","new_string":"y\nz\n"}"#, "> T: /a/b.rs (-1 +2)"),
            (
                r#"{"file_path":"/a","edits":[{"old_string":"x"},{"old_string":"y","new_string":"z"}]}"#,
                "> T: /a (-2 +1)",
            ),
            (r#"{"file_path":"/a/b.rs","content":"x\ny\n"}"#, "> T: /a/b.rs (+2)"),
            (r#"{"description":"why","command":"ls"}"#, "> T: ls"),
            (r#"{"todos":[1]}"#, r#"> T: {"todos":[1]}"#),
            ("{}", "> T"),
            ("null", "> T"),
        ] {
            assert_eq!(call(input), expected);
        }
    }

    #[test]
    fn each_kind_of_line_has_its_form() {
        for (line, expected) in [
            (r#"{"type":"system","subtype":"init"}"#, Some("session ? with ?")),
            (r#"{"type":"system","subtype":"status"}"#, None),
            (r#"{"type":"system","subtype":"api_retry"}"#, Some("! API: no answer (?), retry 0 of 0 in 0.0 s")),
            (
                r#"{"type":"system","subtype":"api_retry","error_status":529,"error":"overloaded","attempt":2,"max_retries":9,"retry_delay_ms":1500}"#,
                Some("! API: 529 (overloaded), retry 2 of 9 in 1.5 s"),
            ),
            (
                r#"{"type":"system","subtype":"permission_denied","tool_name":"Bash","message":"no\nway"}"#,
                Some("  denied: Bash: no way"),
            ),
            (r#"{"type":"rate_limit_event","rate_limit_info":{"status":"allowed"}}"#, None),
            (
                r#"{"type":"rate_limit_event","rate_limit_info":{"status":"allowed_warning"}}"#,
                Some("! usage limit nearly used up"),
            ),
            (
                r#"{"type":"assistant","message":{"content":[{"type":"thinking","text":"x"},{"type":"text","text":" "}]}}"#,
                None,
            ),
            (
                r#"{"type":"assistant","message":{"content":[{"type":"text","text":"a"},{"type":"tool_use","name":"T"}]}}"#,
                Some("a\n> T"),
            ),
            (
                r#"{"type":"assistant","message":{"content":[{"type":"text","text":"first\n\n  second \n"}]}}"#,
                Some("first\n\n  second"),
            ),
            (
                r#"{"type":"user","message":{"content":[{"type":"tool_result","is_error":true,"content":[{"text":"a"},{"text":"b"}]}]}}"#,
                Some("  failed:\n    a\n    b"),
            ),
            (r#"{"type":"user","message":{"content":[{"type":"tool_result","is_error":true}]}}"#, Some("  failed:")),
            (r#"{"type":"user","message":{"content":[{"type":"tool_result","content":"fine"}]}}"#, None),
            (r#"{"type":"user","message":{"content":[{"type":"text","is_error":true,"content":"x"}]}}"#, None),
            (
                r#"{"type":"result","is_error":false,"num_turns":1,"duration_ms":1500,"total_cost_usd":0.5,"result":"x"}"#,
                Some("= done: 1 turn, 1.5 s, $0.5000"),
            ),
            (
                r#"{"type":"result","subtype":"error_during_execution"}"#,
                Some("= failed: 0 turns, 0.0 s, cost unknown: error_during_execution"),
            ),
            (
                r#"{"type":"result","result":"first","errors":["second"]}"#,
                Some("= failed: 0 turns, 0.0 s, cost unknown: first"),
            ),
            (r#"{"type":"novel"}"#, None),
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
