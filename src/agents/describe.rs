//! One line of an agent's output as people read it, for `boi log`.

use serde_json::Value;

use crate::domain::text::{one_line, plain};

/// Longest text of a line, in characters.
const WIDTH: usize = 400;

/// `line` for people: a tool call with its command or file, what the model said, the result with its cost. `None` for
/// what says nothing to them. A line that is not JSON is shown as it is. What is returned has no control characters but
/// newlines between the parts of a message.
pub fn describe(line: &[u8]) -> Option<String> {
    let lossy = String::from_utf8_lossy(line);
    let text = lossy.trim();
    let Some(json) = serde_json::from_str::<Value>(text).ok().filter(Value::is_object) else {
        return Some(plain(text)).map(|text| text.trim_end().to_owned()).filter(|text| !text.is_empty());
    };
    let parts = match (word(&json["type"]), word(&json["subtype"])) {
        ("system", "init") => vec![format!("session {} with {}", short(&json["session_id"]), short(&json["model"]))],
        ("system", "api_retry") => vec![retry(&json)],
        ("assistant", _) => blocks(&json).iter().filter_map(said).collect(),
        ("user", _) => blocks(&json).iter().filter_map(answered).collect(),
        ("rate_limit_event", _) => limit(&json["rate_limit_info"]).into_iter().collect(),
        ("result", _) => vec![result(&json)],
        _ => Vec::new(),
    };
    Some(parts.join("\n")).filter(|text| !text.is_empty())
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}

fn short(value: &Value) -> String {
    one_line(value.as_str().unwrap_or("?"), WIDTH)
}

fn blocks(json: &Value) -> &[Value] {
    json["message"]["content"].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn said(block: &Value) -> Option<String> {
    match word(&block["type"]) {
        "text" => Some(one_line(word(&block["text"]), WIDTH)).filter(|text| !text.is_empty()),
        "tool_use" => Some(call(&short(&block["name"]), &block["input"])),
        _ => None,
    }
}

/// The one argument of a tool call that says most, else all of them.
fn call(tool: &str, input: &Value) -> String {
    const TELLING: [&str; 8] =
        ["command", "file_path", "notebook_path", "pattern", "url", "query", "skill", "description"];
    let argument = TELLING.iter().find_map(|key| input[key].as_str());
    let argument = match argument {
        Some(argument) => one_line(argument, WIDTH),
        None if input.as_object().is_none_or(serde_json::Map::is_empty) => return format!("> {tool}"),
        None => one_line(&input.to_string(), WIDTH),
    };
    format!("> {tool}: {argument}")
}

/// What a tool gave back: only failures, since what tools print fills screens.
fn answered(block: &Value) -> Option<String> {
    if word(&block["type"]) != "tool_result" || block["is_error"] != Value::Bool(true) {
        return None;
    }
    let text = match &block["content"] {
        Value::String(text) => one_line(text, WIDTH),
        Value::Array(parts) => {
            one_line(&parts.iter().map(|part| word(&part["text"])).collect::<Vec<_>>().join(" "), WIDTH)
        }
        _ => String::new(),
    };
    Some(format!("  failed: {text}"))
}

fn retry(json: &Value) -> String {
    let status = json["error_status"].as_u64().map_or_else(|| "no answer".to_owned(), |status| status.to_string());
    let seconds = json["retry_delay_ms"].as_f64().unwrap_or(0.0) / 1000.0;
    let count = |key: &str| json[key].as_u64().unwrap_or(0);
    format!(
        "! API: {status} ({}), retry {} of {} in {seconds:.1} s",
        short(&json["error"]),
        count("attempt"),
        count("max_retries")
    )
}

fn limit(info: &Value) -> Option<String> {
    let kind = info["rateLimitType"].as_str().map_or_else(|| "usage".to_owned(), |kind| one_line(kind, WIDTH));
    let what = match word(&info["status"]) {
        "rejected" => "used up",
        "allowed_warning" => "nearly used up",
        _ => return None,
    };
    let reset = info["resetsAt"].as_i64().and_then(|at| jiff::Timestamp::from_second(at).ok());
    Some(format!("! {kind} limit {what}{}", reset.map(|at| format!(", resets {at}")).unwrap_or_default()))
}

fn result(json: &Value) -> String {
    let failed = json["is_error"].as_bool() != Some(false);
    let turns = json["num_turns"].as_u64().unwrap_or(0);
    let seconds = json["duration_ms"].as_f64().unwrap_or(0.0) / 1000.0;
    let cost = json["total_cost_usd"].as_f64().unwrap_or(0.0);
    let end = if failed { "= failed" } else { "= done" };
    let unit = if turns == 1 { "turn" } else { "turns" };
    let mut line = format!("{end}: {turns} {unit}, {seconds:.1} s, ${cost:.4}");
    if failed {
        let errors = json["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        let said = json["result"].as_str().or_else(|| errors.iter().find_map(Value::as_str));
        line.push_str(": ");
        line.push_str(&one_line(said.unwrap_or(word(&json["subtype"])), WIDTH));
    }
    line
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::agents::recorded;

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
    fn what_is_not_json_is_shown_without_its_escape_sequences() {
        assert_eq!(describe(b"\x1b[31mboom\x1b[0m\x07\r\n").as_deref(), Some("boom"));
        assert_eq!(describe(b"  \r\n"), None);
        assert_eq!(describe(b"[1]").as_deref(), Some("[1]"));
        let hostile = r#"{"type":"assistant","message":{"content":[{"type":"text","text":"a\u001b]0;x\u0007b\u001b[2J\u202e"}]}}"#;
        assert_eq!(describe(hostile.as_bytes()).as_deref(), Some("ab"));
    }

    #[test]
    fn tools_show_what_they_work_on() {
        let call = |input: &str| {
            let line = format!(
                r#"{{"type":"assistant","message":{{"content":[{{"type":"tool_use","name":"T","input":{input}}}]}}}}"#
            );
            describe(line.as_bytes()).unwrap()
        };
        assert_eq!(call(r#"{"file_path":"/a/b.rs","old_string":"x"}"#), "> T: /a/b.rs");
        assert_eq!(call(r#"{"todos":[1]}"#), r#"> T: {"todos":[1]}"#);
        assert_eq!(call("{}"), "> T");
        assert_eq!(call("null"), "> T");
    }

    proptest! {
        #[test]
        fn any_line_is_harmless(line: Vec<u8>) {
            let text = describe(&line).unwrap_or_default();
            prop_assert!(text.chars().all(|c| c == '\n' || c == '\t' || !c.is_control()));
        }
    }
}
