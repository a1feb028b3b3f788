//! The JSON lines of the `stream-json` output, as far as boi reads them.
//!
//! An optional field is a [`Value`], so a value of an unexpected type does not make the whole line invalid:
//! the field then counts as missing.

use serde::Deserialize;
use serde_json::Value;

/// The fields that identify the kind of a line.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Head {
    #[serde(rename = "type")]
    pub(super) kind: Value,
    pub(super) subtype: Value,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct InitLine {
    pub(super) session_id: Value,
    pub(super) model: Value,
    #[serde(rename = "permissionMode")]
    pub(super) permission_mode: Value,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct RetryLine {
    pub(super) error_status: Value,
    pub(super) error: Value,
    pub(super) attempt: Value,
    pub(super) max_retries: Value,
}

#[derive(Deserialize)]
pub(super) struct AssistantLine {
    #[serde(default)]
    pub(super) parent_tool_use_id: Value,
    #[serde(default)]
    pub(super) is_api_error_message: Value,
    /// The CLI's name for the API error that the line reports.
    #[serde(default)]
    pub(super) error: Value,
    pub(super) message: Message,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Message {
    pub(super) id: Option<String>,
    pub(super) model: Value,
    pub(super) usage: Value,
    pub(super) content: Vec<Block>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Block {
    #[serde(rename = "type")]
    pub(super) kind: Value,
    pub(super) text: Value,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct LimitLine {
    pub(super) rate_limit_info: Value,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct ResultLine {
    pub(super) session_id: Value,
    pub(super) subtype: Value,
    pub(super) is_error: Value,
    pub(super) api_error_status: Value,
    pub(super) api_error: Value,
    pub(super) terminal_reason: Value,
    pub(super) stop_reason: Value,
    pub(super) permission_denials: Value,
    pub(super) subagent_stats: Value,
    pub(super) result: Value,
    pub(super) errors: Value,
    pub(super) num_turns: Value,
    pub(super) total_cost_usd: Value,
    pub(super) usage: Value,
    #[serde(rename = "modelUsage")]
    pub(super) model_usage: Value,
    /// The usage since the previous result, or since the start of the run. Newer versions report it, because
    /// `total_cost_usd` and `modelUsage` of a run that continues a session include the session's earlier
    /// runs.
    pub(super) model_usage_since_last_result: Value,
}
