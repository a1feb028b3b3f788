//! The JSON lines of the `stream-json` output, as far as boi reads them.
//!
//! An optional field is a [`Value`], so a value of an unexpected type does not make the whole line invalid:
//! the field then counts as missing.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::DeserializeOwned;
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
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct RetryLine {
    pub(super) error_status: Value,
    pub(super) error: Value,
}

#[derive(Deserialize)]
pub(super) struct AssistantLine {
    #[serde(default)]
    pub(super) parent_tool_use_id: Value,
    pub(super) message: Message,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Message {
    pub(super) id: Option<String>,
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
    pub(super) result: Value,
    pub(super) errors: Value,
    pub(super) num_turns: Value,
    pub(super) total_cost_usd: Value,
    pub(super) usage: Value,
    #[serde(rename = "modelUsage")]
    pub(super) model_usage: Value,
}

/// Parses `line` as a JSON object; returns `None` if it is not a JSON object. Bytes that are not UTF-8 become
/// U+FFFD.
pub(super) fn parse<T: DeserializeOwned>(line: &[u8]) -> Option<T> {
    let line = line.trim_ascii();
    if line.first() != Some(&b'{') {
        return None;
    }
    serde_json::from_slice(line).ok().or_else(|| match String::from_utf8_lossy(line) {
        Cow::Owned(repaired) => serde_json::from_str(&repaired).ok(),
        Cow::Borrowed(_) => None,
    })
}
