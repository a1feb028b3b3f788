//! Gemini's `generateContent` and `streamGenerateContent`, as Gemini CLI calls them.

use serde_json::{Value, json};

use super::http::Response;
use super::script::{Conversation, Turn};

/// The tool of Gemini CLI that runs a command.
const SHELL: &str = "run_shell_command";

/// The answer to the question of Gemini CLI which model a prompt needs.
const ROUTE: &str = r#"{"complexity_reasoning":"scripted","complexity_score":10}"#;

pub fn token_count() -> Response {
    Response::json(200, &json!({"totalTokens": 10}))
}

pub fn error(status: u16, message: &str) -> Response {
    let name = match status {
        400 => "INVALID_ARGUMENT",
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        503 => "UNAVAILABLE",
        _ => "INTERNAL",
    };
    Response::json(status, &json!({"error": {"code": status, "message": message, "status": name}}))
}

/// The quota of a day is used up. The API names no time of reset for it.
pub fn limited(_reset: i64) -> Response {
    let quota = json!({"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [
        {"quotaMetric": "generativelanguage.googleapis.com/generate_requests_per_model_per_day",
         "quotaId": "GenerateRequestsPerDayPerProjectPerModel"}]});
    let message = "Quota exceeded for metric: generate_requests_per_model_per_day, limit: 100";
    let error = json!({"code": 429, "message": message, "status": "RESOURCE_EXHAUSTED", "details": [quota]});
    Response::json(429, &json!({"error": error}))
}

/// The next turn of the scripted model: a stream for `:streamGenerateContent`, else one object.
pub fn events(path: &str, request: &Value, conversation: &Conversation) -> Response {
    let wants_json = request["generationConfig"]["responseMimeType"] == "application/json";
    let model = path.rsplit('/').next().and_then(|last| last.split(':').next()).unwrap_or("scripted");
    let part = match conversation.turn() {
        Turn::Call(command) => {
            json!({"functionCall": {"name": SHELL, "args": {"command": command, "description": "scripted step"}}})
        }
        Turn::Say(text) => json!({"text": text}),
    };
    let part = if wants_json { json!({"text": ROUTE}) } else { part };
    let answer = json!({
        "candidates": [{"content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {"promptTokenCount": 1200, "cachedContentTokenCount": 200, "candidatesTokenCount": 40,
                          "totalTokenCount": 1240},
        "modelVersion": model});
    if path.contains(":streamGenerateContent") { Response::stream(&[answer]) } else { Response::json(200, &answer) }
}

/// Gemini CLI puts what it adds itself into parts that begin with a tag.
pub fn conversation(request: &Value) -> Conversation {
    let tools = request["tools"].as_array().into_iter().flatten();
    let declared = tools.flat_map(|tool| tool["functionDeclarations"].as_array().into_iter().flatten());
    let shell = declared.filter_map(|tool| tool["name"].as_str()).find(|name| *name == SHELL);
    let (mut answered, mut prompt) = (0, String::new());
    for content in request["contents"].as_array().into_iter().flatten().rev() {
        if content["role"] != "user" {
            continue;
        }
        let parts: Vec<&Value> = content["parts"].as_array().into_iter().flatten().collect();
        let results = parts.iter().filter(|part| part.get("functionResponse").is_some()).count();
        let texts = parts.iter().filter_map(|part| part["text"].as_str());
        let typed: Vec<&str> = texts.filter(|text| !text.trim_start().starts_with('<')).collect();
        if results == 0 && !typed.is_empty() {
            prompt = typed.join("\n");
            break;
        }
        answered += results;
    }
    Conversation { prompt, answered, shell: shell.map(str::to_owned) }
}
