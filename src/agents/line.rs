//! The JSON lines of Claude Code's `stream-json` output, as far as boi reads them.

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;

use super::transcript::{LONGEST_TEXT, LimitEvent, ResultLine};
use crate::domain::outcome::Usage;
use crate::domain::text;

/// Lines are read leniently: a field of another type than expected is as good as none.
#[derive(Deserialize)]
pub(super) struct Head {
    #[serde(rename = "type")]
    pub(super) kind: Value,
    #[serde(default)]
    pub(super) subtype: Value,
}

#[derive(Deserialize)]
pub(super) struct Init {
    #[serde(default)]
    pub(super) session_id: Value,
}

#[derive(Deserialize)]
pub(super) struct ApiRetry {
    #[serde(default)]
    pub(super) error_status: Value,
    #[serde(default)]
    pub(super) error: Value,
}

#[derive(Deserialize)]
pub(super) struct AssistantLine {
    #[serde(default)]
    pub(super) parent_tool_use_id: Value,
    pub(super) message: Message,
}

#[derive(Deserialize)]
pub(super) struct Message {
    #[serde(default)]
    pub(super) id: Option<String>,
    #[serde(default)]
    pub(super) usage: Value,
    #[serde(default)]
    pub(super) content: Vec<Block>,
}

#[derive(Deserialize)]
pub(super) struct Block {
    #[serde(default, rename = "type")]
    pub(super) kind: Value,
    #[serde(default)]
    pub(super) text: Value,
}

#[derive(Deserialize)]
pub(super) struct LimitLine {
    #[serde(default)]
    pub(super) rate_limit_info: Value,
}

#[derive(Deserialize)]
pub(super) struct RawResult {
    #[serde(default)]
    pub(super) session_id: Value,
    #[serde(default)]
    pub(super) subtype: Value,
    #[serde(default)]
    pub(super) is_error: Value,
    #[serde(default)]
    pub(super) api_error_status: Value,
    #[serde(default)]
    pub(super) result: Value,
    #[serde(default)]
    pub(super) errors: Value,
    #[serde(default)]
    pub(super) num_turns: Value,
    #[serde(default)]
    pub(super) total_cost_usd: Value,
    #[serde(default)]
    pub(super) usage: Value,
    #[serde(default, rename = "modelUsage")]
    pub(super) model_usage: Value,
}

/// A JSON object out of a line; bytes in it that are not UTF-8 are replaced.
pub(super) fn parse<T: DeserializeOwned>(line: &[u8]) -> Option<T> {
    let line = line.trim_ascii();
    if line.first() != Some(&b'{') {
        return None;
    }
    serde_json::from_slice(line).ok().or_else(|| {
        // Only for lines that are JSON but for their encoding.
        std::str::from_utf8(line).is_err().then_some(())?;
        let lossy = String::from_utf8_lossy(line);
        serde_json::from_str::<IgnoredAny>(&lossy).ok()?;
        serde_json::from_str(&lossy).ok()
    })
}

pub(super) fn status(value: &Value) -> Option<u16> {
    value.as_u64().and_then(|status| u16::try_from(status).ok())
}

pub(super) fn limit(info: &Value) -> LimitEvent {
    let is = |key: &str, value: &str| info[key].as_str() == Some(value);
    let overage = info["isUsingOverage"].as_bool() == Some(true)
        || is("overageStatus", "allowed")
        || is("overageStatus", "allowed_warning");
    LimitEvent {
        rejected: is("status", "rejected") && !overage,
        overage,
        resets_at: info["resetsAt"].as_i64(),
        kind: info["rateLimitType"].as_str().map(|kind| text::one_line(kind, 100)),
    }
}

pub(super) fn result(line: &RawResult) -> ResultLine {
    let errors = line.errors.as_array().map(Vec::as_slice).unwrap_or_default();
    let errors: Vec<&str> = errors.iter().filter_map(Value::as_str).collect();
    let said = line.result.as_str().map_or_else(|| errors.join("; "), str::to_owned);
    // `usage` leaves out the turn that broke a budget and what subagents used; `modelUsage` has all of it.
    let by_model: Usage = line.model_usage.as_object().map(|models| sum(models.values())).unwrap_or_default();
    let tokens = if by_model.input_tokens + by_model.output_tokens > 0 { by_model } else { tokens(&line.usage) };
    ResultLine {
        subtype: line.subtype.as_str().map(|subtype| text::one_line(subtype, 100)).unwrap_or_default(),
        // What is not said to be fine is not taken to be.
        is_error: line.is_error.as_bool() != Some(false),
        api_status: status(&line.api_error_status),
        text: text::tail(said.as_bytes(), LONGEST_TEXT),
        usage: Usage {
            turns: line.num_turns.as_u64().unwrap_or(0).min(1 << 40),
            cost_usd: line.total_cost_usd.as_f64().filter(|cost| *cost >= 0.0).unwrap_or(0.0),
            ..tokens
        },
    }
}

fn sum<'a>(models: impl Iterator<Item = &'a Value>) -> Usage {
    let mut sum = Usage::default();
    for model in models {
        let input = ["inputTokens", "cacheReadInputTokens", "cacheCreationInputTokens"];
        sum.input_tokens += input.into_iter().map(|key| count(model, key)).sum::<u64>();
        sum.output_tokens += count(model, "outputTokens");
    }
    sum
}

pub(super) fn tokens(usage: &Value) -> Usage {
    let input = ["input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"];
    Usage {
        input_tokens: input.into_iter().map(|key| count(usage, key)).sum(),
        output_tokens: count(usage, "output_tokens"),
        ..Usage::default()
    }
}

/// A count, within bounds that keep sums of any number of lines from overflowing.
fn count(object: &Value, key: &str) -> u64 {
    object[key].as_u64().unwrap_or(0).min(1 << 40)
}
