//! OpenAI's Responses API, as Codex calls it.

use serde_json::{Value, json};

use super::http::{Call, Response};
use super::script::{Conversation, Turn};

/// The tools of Codex that run a command, and the argument that each takes it in.
const SHELLS: [(&str, &str); 3] = [("exec_command", "cmd"), ("shell_command", "command"), ("shell", "command")];

pub fn session(call: &Call, body: &Value) -> Option<String> {
    let header = ["session_id", "session-id"].iter().find_map(|name| call.header(name));
    header.or(body["prompt_cache_key"].as_str()).map(str::to_owned)
}

pub fn error(status: u16, message: &str) -> Response {
    let code = match status {
        401 => "invalid_api_key",
        429 => "rate_limit_exceeded",
        500.. => "server_error",
        _ => "invalid_request_error",
    };
    Response::json(status, &json!({"error": {"type": code, "code": code, "message": message}})).with("retry-after", "1")
}

pub fn limited(reset: i64) -> Response {
    let error = json!({"type": "usage_limit_reached", "message": "The usage limit has been reached",
                       "plan_type": "plus", "resets_at": reset});
    Response::json(429, &json!({"error": error}))
}

/// The next turn of the scripted model, as the stream of events that the real API sends.
pub fn events(request: &Value, conversation: &Conversation) -> Response {
    let before = request["input"].as_array().map_or(0, Vec::len);
    let item = match (conversation.turn(), conversation.shell.as_deref()) {
        (Turn::Call(command), Some("shell")) => call(before, "shell", &json!({"command": ["sh", "-c", command]})),
        (Turn::Call(command), Some(shell)) => {
            let key = SHELLS.iter().find(|(name, _)| *name == shell).map_or("command", |(_, key)| key);
            call(before, shell, &json!({key: command}))
        }
        (Turn::Say(text) | Turn::Call(text), _) => json!({
            "type": "message", "role": "assistant", "id": format!("msg_{before:04}"), "status": "completed",
            "content": [{"type": "output_text", "text": text, "annotations": []}]}),
    };
    let response = |status: &str| json!({"id": format!("resp_{before:04}"), "object": "response", "status": status});
    let mut completed = response("completed");
    completed["output"] = json!([item]);
    completed["usage"] = json!({
        "input_tokens": 1200, "input_tokens_details": {"cached_tokens": 200}, "output_tokens": 40,
        "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 1240});
    Response::stream(&[
        json!({"type": "response.created", "response": response("in_progress")}),
        json!({"type": "response.output_item.added", "output_index": 0, "item": item}),
        json!({"type": "response.output_item.done", "output_index": 0, "item": item}),
        json!({"type": "response.completed", "response": completed}),
    ])
}

fn call(before: usize, name: &str, arguments: &Value) -> Value {
    json!({"type": "function_call", "id": format!("fc_{before:04}"), "call_id": format!("call_{before:04}"),
           "name": name, "arguments": arguments.to_string(), "status": "completed"})
}

/// Codex puts what it adds itself, such as the instructions of the repository, into messages that begin with a tag.
pub fn conversation(request: &Value) -> Conversation {
    let offered: Vec<&str> =
        request["tools"].as_array().into_iter().flatten().filter_map(|tool| tool["name"].as_str()).collect();
    let shell = SHELLS.iter().find(|(name, _)| offered.contains(name)).map(|(name, _)| (*name).to_owned());
    let (mut answered, mut prompts) = (0, Vec::new());
    for item in request["input"].as_array().into_iter().flatten().rev() {
        if item["type"] == "function_call_output" {
            answered += 1;
        }
        // A prompt whose request was refused has no answer, so the next prompt follows it.
        if item["role"] == "assistant" && !prompts.is_empty() {
            break;
        }
        if item["role"] != "user" {
            continue;
        }
        let parts = item["content"].as_array().into_iter().flatten().filter_map(|part| part["text"].as_str());
        let typed: Vec<&str> = parts.filter(|text| !text.trim_start().starts_with(['<', '#'])).collect();
        if !typed.is_empty() {
            prompts.push(typed.join("\n"));
        }
    }
    prompts.reverse();
    Conversation { prompt: prompts.join("\n"), answered, shell }
}
