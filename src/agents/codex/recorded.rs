//! Recorded output of Codex 0.171.0, for tests.

use super::Codex;
use crate::agents::dialect::Dialect;
use crate::agents::reading::Reading;
use crate::agents::transcript::Transcript;

/// Reads the whole output of a run.
pub(super) fn read(output: impl AsRef<[u8]>) -> Reading {
    let mut transcript = Transcript::new(Codex.line_reader());
    transcript.push(output.as_ref());
    transcript.finish()
}

/// The stderr of a run that continues a session that does not exist. The CLI prints nothing else, and exits
/// with 1.
pub(super) const UNKNOWN_SESSION: &str = "WARNING: proceeding, even though we could not create PATH aliases\nError: \
    thread/resume: thread/resume failed: no rollout found for thread id 11111111-1111-4111-8111-111111111111 (code \
    -32600)\n\nStack backtrace:\n   0: <unknown>\n   1: <unknown>\n";

/// A run with tool calls. The CLI does not know the model and reports that in an item. The text of the model
/// contains a status and the words "usage limit", which must not decide the outcome.
pub(super) const TOOLS: &str = r#"{"type":"thread.started","thread_id":"01a21e93-41c9-7e40-b5a2-ad192b6494f3"}
{"type":"item.completed","item":{"id":"item_0","type":"error","message":"Model metadata for `gpt-5.3-codex` not found. Defaulting to fallback metadata; this can degrade performance and cause issues."}}
{"type":"turn.started"}
{"type":"item.started","item":{"id":"item_1","type":"command_execution","command":"/bin/bash -lc 'echo hi > hi.txt'","aggregated_output":"","exit_code":null,"status":"in_progress"}}
{"type":"item.completed","item":{"id":"item_1","type":"command_execution","command":"/bin/bash -lc 'echo hi > hi.txt'","aggregated_output":"","exit_code":0,"status":"completed"}}
{"type":"item.started","item":{"id":"item_2","type":"command_execution","command":"/bin/bash -lc false","aggregated_output":"","exit_code":null,"status":"in_progress"}}
{"type":"item.completed","item":{"id":"item_2","type":"command_execution","command":"/bin/bash -lc false","aggregated_output":"","exit_code":1,"status":"failed"}}
{"type":"item.started","item":{"id":"item_3","type":"file_change","changes":[{"path":"/r/new.txt","kind":"add"}],"status":"in_progress"}}
{"type":"item.completed","item":{"id":"item_3","type":"file_change","changes":[{"path":"/r/new.txt","kind":"add"}],"status":"completed"}}
{"type":"item.completed","item":{"id":"item_4","type":"agent_message","text":"All done: \"429\" usage limit"}}
{"type":"turn.completed","usage":{"input_tokens":400,"cached_input_tokens":160,"cache_write_input_tokens":0,"output_tokens":28,"reasoning_output_tokens":0}}
"#;

/// The API answers 429.
pub(super) const THROTTLED: &str = r#"{"type":"thread.started","thread_id":"01a21e8b-040d-7931-b178-fc172c39d856"}
{"type":"turn.started"}
{"type":"item.completed","item":{"id":"item_0","type":"error","message":"Model metadata for `gpt-5.3-codex` not found. Defaulting to fallback metadata; this can degrade performance and cause issues."}}
{"type":"error","message":"exceeded retry limit, last status: 429 Too Many Requests"}
{"type":"turn.failed","error":{"message":"exceeded retry limit, last status: 429 Too Many Requests"}}
"#;

/// A usage limit that ends in an hour.
pub(super) const LIMITED_TODAY: &str = r#"{"type":"thread.started","thread_id":"01a21e8b-0aa7-7b83-b287-caf24a10483d"}
{"type":"turn.started"}
{"type":"error","message":"You’ve hit your usage limit. Upgrade to Pro (https://chatgpt.com/explore/pro), visit https://chatgpt.com/settings/usage to purchase more credits or try again at 8:45 PM."}
{"type":"turn.failed","error":{"message":"You’ve hit your usage limit. Upgrade to Pro (https://chatgpt.com/explore/pro), visit https://chatgpt.com/settings/usage to purchase more credits or try again at 8:45 PM."}}
"#;

/// A usage limit that ends in 26 days.
pub(super) const LIMITED_LATER: &str = r#"{"type":"thread.started","thread_id":"01a21e8b-10e8-7963-984f-e0e85ee07d7e"}
{"type":"turn.started"}
{"type":"error","message":"You’ve hit your usage limit. Upgrade to Pro (https://chatgpt.com/explore/pro), visit https://chatgpt.com/settings/usage to purchase more credits or try again at Dec 23rd, 2026 7:45 PM."}
{"type":"turn.failed","error":{"message":"You’ve hit your usage limit. Upgrade to Pro (https://chatgpt.com/explore/pro), visit https://chatgpt.com/settings/usage to purchase more credits or try again at Dec 23rd, 2026 7:45 PM."}}
"#;

/// A usage limit whose end the API does not name.
pub(super) const LIMITED: &str = r#"{"type":"thread.started","thread_id":"01a21e8b-1ab8-73d2-9bf5-70aeca472afb"}
{"type":"turn.started"}
{"type":"error","message":"You’ve hit your usage limit. Try again later."}
{"type":"turn.failed","error":{"message":"You’ve hit your usage limit. Try again later."}}
"#;

/// The API answers 401.
pub(super) const REFUSED_KEY: &str = r#"{"type":"thread.started","thread_id":"01a21e8b-2245-7863-af25-293f4621ec7b"}
{"type":"turn.started"}
{"type":"error","message":"Reconnecting... 1/1 (unexpected status 401 Unauthorized: Incorrect API key provided: sk-fake., url: http://127.0.0.1:33975/v1/responses)"}
{"type":"error","message":"unexpected status 401 Unauthorized: Incorrect API key provided: sk-fake., url: http://127.0.0.1:33975/v1/responses"}
{"type":"turn.failed","error":{"message":"unexpected status 401 Unauthorized: Incorrect API key provided: sk-fake., url: http://127.0.0.1:33975/v1/responses"}}
"#;

/// The API answers 403.
pub(super) const FORBIDDEN: &str = r#"{"type":"thread.started","thread_id":"01a21e8b-2a5c-7181-846f-bb1948441746"}
{"type":"turn.started"}
{"type":"error","message":"Reconnecting... 1/1 (unexpected status 403 Forbidden: no access, url: http://127.0.0.1:33975/v1/responses)"}
{"type":"error","message":"unexpected status 403 Forbidden: no access, url: http://127.0.0.1:33975/v1/responses"}
{"type":"turn.failed","error":{"message":"unexpected status 403 Forbidden: no access, url: http://127.0.0.1:33975/v1/responses"}}
"#;

/// The API answers 500.
pub(super) const BROKEN: &str = r#"{"type":"thread.started","thread_id":"01a21e8b-30fb-7311-9e80-40b720d57abf"}
{"type":"turn.started"}
{"type":"error","message":"Reconnecting... 1/1 (We’re currently experiencing high demand, which may cause temporary errors.)"}
{"type":"error","message":"We’re currently experiencing high demand, which may cause temporary errors."}
{"type":"turn.failed","error":{"message":"We’re currently experiencing high demand, which may cause temporary errors."}}
"#;

/// The API answers 503, with the code `server_is_overloaded`.
pub(super) const OVERLOADED: &str = r#"{"type":"thread.started","thread_id":"01a21e8b-3b01-7731-83d6-092173c57d93"}
{"type":"turn.started"}
{"type":"error","message":"Selected model is at capacity. Please try a different model."}
{"type":"turn.failed","error":{"message":"Selected model is at capacity. Please try a different model."}}
"#;

/// The API answers 400, with the code `model_not_found`.
pub(super) const UNKNOWN_MODEL: &str = r#"{"type":"thread.started","thread_id":"01a21e8b-45ce-73c2-9fe9-0f5db3e639f2"}
{"type":"turn.started"}
{"type":"error","message":"The requested model does not exist."}
{"type":"turn.failed","error":{"message":"The requested model does not exist."}}
"#;

/// The API answers 404.
pub(super) const NOT_FOUND: &str = r#"{"type":"thread.started","thread_id":"01a21e8b-6f10-71b1-9235-f2346d343d39"}
{"type":"turn.started"}
{"type":"error","message":"Reconnecting... 1/1 (unexpected status 404 Not Found: model not found, url: http://127.0.0.1:33975/v1/responses)"}
{"type":"error","message":"unexpected status 404 Not Found: model not found, url: http://127.0.0.1:33975/v1/responses"}
{"type":"turn.failed","error":{"message":"unexpected status 404 Not Found: model not found, url: http://127.0.0.1:33975/v1/responses"}}
"#;

/// The conversation is too long for the model.
pub(super) const TOO_LONG: &str = r#"{"type":"thread.started","thread_id":"01a21e8b-4dd3-7430-8899-299ad1dd96cb"}
{"type":"turn.started"}
{"type":"error","message":"Codex ran out of room in the model's context window. Start a new thread or clear earlier history before retrying."}
{"type":"turn.failed","error":{"message":"Codex ran out of room in the model's context window. Start a new thread or clear earlier history before retrying."}}
"#;

/// Each answer of the API ends in its middle.
pub(super) const BROKEN_STREAM: &str = r#"{"type":"thread.started","thread_id":"01a21e8b-5538-71d0-acdd-548b8b2d9b66"}
{"type":"turn.started"}
{"type":"item.completed","item":{"id":"item_1","type":"agent_message","text":"All done: \"429\" usage limit"}}
{"type":"error","message":"Reconnecting... 1/1 (stream disconnected before completion: stream closed before response.completed)"}
{"type":"error","message":"stream disconnected before completion: stream closed before response.completed"}
{"type":"turn.failed","error":{"message":"stream disconnected before completion: stream closed before response.completed"}}
"#;

/// The API answers 429, with the code `insufficient_quota`.
pub(super) const NO_QUOTA: &str = r#"{"type":"thread.started","thread_id":"01a21e8b-60a8-76a3-88cc-3682c1298434"}
{"type":"turn.started"}
{"type":"error","message":"Quota exceeded. Check your plan and billing details."}
{"type":"turn.failed","error":{"message":"Quota exceeded. Check your plan and billing details."}}
"#;

/// The API answers 429, with the type `usage_not_included`.
pub(super) const NO_PLAN: &str = r#"{"type":"thread.started","thread_id":"01a21e8b-63a2-7ad2-8015-7dcde9b32d1c"}
{"type":"turn.started"}
{"type":"error","message":"To use Codex with your ChatGPT plan, upgrade to Plus: https://chatgpt.com/explore/plus."}
{"type":"turn.failed","error":{"message":"To use Codex with your ChatGPT plan, upgrade to Plus: https://chatgpt.com/explore/plus."}}
"#;

/// The API answers 402.
pub(super) const PAYMENT: &str = r#"{"type":"thread.started","thread_id":"01a21e8b-67ff-74c0-a8f9-68142e0df5d1"}
{"type":"turn.started"}
{"type":"error","message":"Reconnecting... 1/1 (unexpected status 402 Payment Required: payment, url: http://127.0.0.1:33975/v1/responses)"}
{"type":"error","message":"unexpected status 402 Payment Required: payment, url: http://127.0.0.1:33975/v1/responses"}
{"type":"turn.failed","error":{"message":"unexpected status 402 Payment Required: payment, url: http://127.0.0.1:33975/v1/responses"}}
"#;

/// The environment has no API key.
pub(super) const NO_KEY: &str = r#"{"type":"thread.started","thread_id":"01a21e8b-74f3-7531-ab36-f5c042914f29"}
{"type":"turn.started"}
{"type":"error","message":"Missing environment variable: `OPENAI_API_KEY`."}
{"type":"turn.failed","error":{"message":"Missing environment variable: `OPENAI_API_KEY`."}}
"#;

/// Nothing listens at the API's address. The CLI waits until the network is back.
pub(super) const UNREACHABLE: &str = r#"{"type":"thread.started","thread_id":"01a21e8b-7d0c-7e10-bbd5-31123b4c715b"}
{"type":"turn.started"}
{"type":"error","message":"Reconnecting... waiting for network (Connection failed: error sending request)"}
{"type":"error","message":"Reconnecting... waiting for network (Connection failed: error sending request)"}
"#;
