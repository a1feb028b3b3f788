//! Anthropic's Messages API, as Claude Code and opencode call it.

use serde_json::{Value, json};

use super::http::{Call, Response};
use super::script::{Conversation, Turn};

pub fn token_count() -> Response {
    Response::json(200, &json!({"input_tokens": 10}))
}

pub fn session(call: &Call) -> Option<String> {
    let names = ["x-claude-code-session-id", "x-session-affinity", "x-opencode-session"];
    names.iter().find_map(|name| call.header(name)).map(str::to_owned)
}

pub fn error(status: u16, message: &str) -> Response {
    let kind = match status {
        401 => "authentication_error",
        403 => "permission_error",
        429 => "rate_limit_error",
        529 => "overloaded_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    };
    Response::json(status, &json!({"type": "error", "error": {"type": kind, "message": message}}))
        .with("retry-after", "1")
}

pub fn limited(reset: i64) -> Response {
    let at = reset.to_string();
    let body = json!({"type": "error", "error": {"type": "rate_limit_error", "message": "usage limit reached"}});
    Response::json(429, &body)
        .with("anthropic-ratelimit-unified-status", "rejected")
        .with("anthropic-ratelimit-unified-reset", &at)
        .with("anthropic-ratelimit-unified-representative-claim", "five_hour")
        .with("anthropic-ratelimit-unified-5h-status", "rejected")
        .with("anthropic-ratelimit-unified-5h-reset", &at)
        .with("anthropic-ratelimit-unified-overage-status", "rejected")
}

/// The next turn of the scripted model, as the stream of events that the real API sends.
pub fn events(request: &Value, conversation: &Conversation) -> Response {
    let (block, delta, stop) = match conversation.turn() {
        Turn::Call(command) => {
            let input = json!({"command": command, "description": "scripted step"}).to_string();
            // Unique in its session, also when the session continues with another prompt.
            let before = request["messages"].as_array().map_or(0, Vec::len);
            let id = format!("toolu_{before:04}_{:04}", conversation.answered);
            let block = json!({"type": "tool_use", "id": id, "name": conversation.shell, "input": {}});
            (block, json!({"type": "input_json_delta", "partial_json": input}), "tool_use")
        }
        Turn::Say(text) => {
            (json!({"type": "text", "text": ""}), json!({"type": "text_delta", "text": text}), "end_turn")
        }
    };
    let model = request["model"].as_str().unwrap_or("model");
    let message = json!({
        "id": "msg_scripted", "type": "message", "role": "assistant", "model": model, "content": [],
        "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": 1200, "output_tokens": 1}});
    Response::stream(&[
        json!({"type": "message_start", "message": message}),
        json!({"type": "content_block_start", "index": 0, "content_block": block}),
        json!({"type": "content_block_delta", "index": 0, "delta": delta}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": null},
               "usage": {"output_tokens": 40}}),
        json!({"type": "message_stop"}),
    ])
}

/// Text that the CLI itself adds to messages is no prompt.
pub fn conversation(request: &Value) -> Conversation {
    let tools = request["tools"].as_array().into_iter().flatten();
    let shell = tools.filter_map(|tool| tool["name"].as_str()).find(|name| name.eq_ignore_ascii_case("bash"));
    let (mut answered, mut prompt) = (0, String::new());
    for message in request["messages"].as_array().into_iter().flatten().rev() {
        if message["role"] != "user" {
            continue;
        }
        let parts = match &message["content"] {
            Value::String(text) => vec![json!({"type": "text", "text": text})],
            content => content.as_array().cloned().unwrap_or_default(),
        };
        let results = parts.iter().filter(|part| part["type"] == "tool_result").count();
        let texts = parts.iter().filter(|part| part["type"] == "text").filter_map(|part| part["text"].as_str());
        let typed: Vec<&str> = texts.filter(|text| !text.trim_start().starts_with("<system-reminder>")).collect();
        if results == 0 && !typed.is_empty() {
            prompt = typed.join("\n");
            break;
        }
        answered += results;
    }
    Conversation { prompt, answered, shell: shell.map(str::to_owned) }
}
