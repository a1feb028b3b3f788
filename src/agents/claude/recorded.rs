//! Recorded output of Claude Code, for tests. The fields that boi does not read are removed. The version is
//! 2.1.197 unless a line names another one.

use super::Claude;
use crate::agents::dialect::Dialect;
use crate::agents::reading::Reading;
use crate::agents::transcript::Transcript;

/// Reads the whole output of a run.
pub(super) fn read(output: impl AsRef<[u8]>) -> Reading {
    let mut transcript = Transcript::new(Claude.line_reader());
    transcript.push(output.as_ref());
    transcript.finish()
}

/// The stderr of a run as root without `IS_SANDBOX=1`. The CLI prints nothing else, and exits with 1.
pub(super) const REFUSES_ROOT: &str =
    "--dangerously-skip-permissions cannot be used with root/sudo privileges for security reasons\n";

/// A successful run with two tool calls, of which the second fails, and a text that mentions limits.
pub(super) const TOOLS: &str = r#"{"type":"system","subtype":"init","session_id":"3f221111-1111-4111-8111-111111111111","tools":["Bash","Edit"],"model":"claude-opus-4-8[1m]","permissionMode":"bypassPermissions","apiKeySource":"ANTHROPIC_API_KEY","claude_code_version":"2.1.197"}
{"type":"assistant","parent_tool_use_id":null,"session_id":"3f221111-1111-4111-8111-111111111111","message":{"id":"msg_1795478031518584972","type":"message","role":"assistant","model":"claude-opus-4-8","content":[{"type":"tool_use","id":"toolu_0000","name":"Bash","input":{"command":"echo hi > hi.txt","description":"scripted step"}}],"usage":{"input_tokens":1200,"output_tokens":1}}}
{"type":"user","message":{"role":"user","content":[{"tool_use_id":"toolu_0000","type":"tool_result","content":"(Bash completed with no output)","is_error":false}]},"parent_tool_use_id":null,"session_id":"3f221111-1111-4111-8111-111111111111"}
{"type":"assistant","parent_tool_use_id":null,"session_id":"3f221111-1111-4111-8111-111111111111","message":{"id":"msg_1795478031568462563","type":"message","role":"assistant","model":"claude-opus-4-8","content":[{"type":"tool_use","id":"toolu_0001","name":"Bash","input":{"command":"false","description":"scripted step"}}],"usage":{"input_tokens":1200,"output_tokens":1}}}
{"type":"user","message":{"role":"user","content":[{"type":"tool_result","content":"Exit code 1","is_error":true,"tool_use_id":"toolu_0001"}]},"parent_tool_use_id":null,"session_id":"3f221111-1111-4111-8111-111111111111"}
{"type":"assistant","parent_tool_use_id":null,"session_id":"3f221111-1111-4111-8111-111111111111","message":{"id":"msg_1795478031589355535","type":"message","role":"assistant","model":"claude-opus-4-8","content":[{"type":"text","text":"wrote \"429\" usage limit"}],"usage":{"input_tokens":1200,"output_tokens":1}}}
{"type":"result","subtype":"success","is_error":false,"api_error_status":null,"duration_ms":184,"num_turns":3,"result":"wrote \"429\" usage limit","stop_reason":"end_turn","session_id":"3f221111-1111-4111-8111-111111111111","total_cost_usd":0.020999999999999998,"usage":{"input_tokens":3600,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":120},"modelUsage":{"claude-opus-4-8[1m]":{"inputTokens":3600,"outputTokens":120,"cacheReadInputTokens":0,"cacheCreationInputTokens":0,"webSearchRequests":0,"costUSD":0.020999999999999998,"contextWindow":1000000,"maxOutputTokens":64000}},"terminal_reason":"completed"}
"#;

/// The result line of a successful run.
pub(super) const SUCCESS: &str = r#"{"type":"result","subtype":"success","is_error":false,"api_error_status":null,"duration_ms":184,"num_turns":1,"result":"All done.","stop_reason":"end_turn","session_id":"3f221111-1111-4111-8111-111111111111","total_cost_usd":0.020999999999999998,"usage":{"input_tokens":3600,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":120},"modelUsage":{"claude-opus-4-8[1m]":{"inputTokens":3600,"outputTokens":120,"cacheReadInputTokens":0,"cacheCreationInputTokens":0,"webSearchRequests":0,"costUSD":0.020999999999999998,"contextWindow":1000000,"maxOutputTokens":64000}},"terminal_reason":"completed"}
"#;

/// The API answers 401.
pub(super) const REFUSED_LOGIN: &str = r#"{"type":"system","subtype":"init","session_id":"566e6eef-5a8d-40a8-af6c-d2802e43c90c","tools":["Bash","Edit"],"model":"claude-opus-4-8[1m]","permissionMode":"bypassPermissions","apiKeySource":"ANTHROPIC_API_KEY","claude_code_version":"2.1.197"}
{"type":"system","subtype":"api_retry","attempt":1,"max_retries":1,"retry_delay_ms":1000,"error_status":401,"error":"authentication_failed","session_id":"566e6eef-5a8d-40a8-af6c-d2802e43c90c"}
{"type":"assistant","parent_tool_use_id":null,"session_id":"566e6eef-5a8d-40a8-af6c-d2802e43c90c","error":"authentication_failed","message":{"id":"4ecffeb8-ba9d-44c7-b8bd-cbbedaf41dad","type":"message","role":"assistant","model":"<synthetic>","content":[{"type":"text","text":"Failed to authenticate. API Error: 401 scripted failure 401"}],"usage":{"input_tokens":0,"output_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0}}}
{"type":"result","subtype":"success","is_error":true,"api_error_status":401,"duration_ms":1080,"num_turns":1,"result":"Failed to authenticate. API Error: 401 scripted failure 401","stop_reason":"stop_sequence","session_id":"566e6eef-5a8d-40a8-af6c-d2802e43c90c","total_cost_usd":0,"usage":{"input_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0},"modelUsage":{},"terminal_reason":"completed"}
"#;

/// The machine has neither an API key nor a login.
pub(super) const NOT_LOGGED_IN: &str = r#"{"type":"result","subtype":"success","is_error":true,"api_error_status":null,"duration_ms":61,"num_turns":1,"result":"Not logged in · Please run /login","stop_reason":"stop_sequence","session_id":"b4ce7810-b874-42b9-a631-a52349243cc9","total_cost_usd":0,"usage":{"input_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0},"modelUsage":{},"terminal_reason":"completed"}
"#;

/// The API answers 403.
pub(super) const FORBIDDEN: &str = r#"{"type":"result","subtype":"success","is_error":true,"api_error_status":403,"duration_ms":74,"num_turns":1,"result":"Failed to authenticate. API Error: 403 scripted failure 403","stop_reason":"stop_sequence","session_id":"ea95b8f1-d9d1-475f-bdaf-9d37c59c3226","total_cost_usd":0,"usage":{"input_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0},"modelUsage":{},"terminal_reason":"completed"}
"#;

/// The API answers 429 to an API key.
pub(super) const THROTTLED: &str = r#"{"type":"system","subtype":"init","session_id":"a3d6ea31-5754-42c6-85e5-023d86e3ab5f","tools":["Bash","Edit"],"model":"claude-opus-4-8[1m]","permissionMode":"bypassPermissions","apiKeySource":"ANTHROPIC_API_KEY","claude_code_version":"2.1.197"}
{"type":"system","subtype":"api_retry","attempt":1,"max_retries":1,"retry_delay_ms":1000,"error_status":429,"error":"rate_limit","session_id":"a3d6ea31-5754-42c6-85e5-023d86e3ab5f"}
{"type":"assistant","parent_tool_use_id":null,"session_id":"a3d6ea31-5754-42c6-85e5-023d86e3ab5f","error":"rate_limit","message":{"id":"3f32c2ec-9324-472c-9342-88f60827411c","type":"message","role":"assistant","model":"<synthetic>","content":[{"type":"text","text":"API Error: Request rejected (429) · scripted failure 429"}],"usage":{"input_tokens":0,"output_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0}}}
{"type":"result","subtype":"success","is_error":true,"api_error_status":429,"duration_ms":1076,"num_turns":1,"result":"API Error: Request rejected (429) · scripted failure 429","stop_reason":"stop_sequence","session_id":"a3d6ea31-5754-42c6-85e5-023d86e3ab5f","total_cost_usd":0,"usage":{"input_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0},"modelUsage":{},"terminal_reason":"completed"}
"#;

/// The API answers 429 because the organization exceeded its rate limit.
pub(super) const ORGANIZATION_RATE: &str = r#"{"type":"result","subtype":"success","is_error":true,"api_error_status":429,"duration_ms":1117,"num_turns":1,"result":"API Error: Request rejected (429) · This request would exceed your organization's rate limit of 50,000 input tokens per minute","stop_reason":"stop_sequence","session_id":"d2fcf7f2-e9ea-4f4f-8052-64270131db5f","total_cost_usd":0,"usage":{"input_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0},"modelUsage":{},"terminal_reason":"completed"}
"#;

/// The API answers 429 to a run with a login. The event is `rejected` but has no reset time: no usage limit
/// is used up.
pub(super) const THROTTLED_LOGIN: &str = r#"{"type":"system","subtype":"init","session_id":"9a2b2322-3210-48c7-aa68-c21ab1f94273","tools":["Bash","Edit"],"model":"claude-sonnet-5","permissionMode":"bypassPermissions","apiKeySource":"none","claude_code_version":"2.1.197"}
{"type":"rate_limit_event","rate_limit_info":{"status":"rejected","isUsingOverage":false},"session_id":"9a2b2322-3210-48c7-aa68-c21ab1f94273"}
{"type":"assistant","parent_tool_use_id":null,"session_id":"9a2b2322-3210-48c7-aa68-c21ab1f94273","error":"rate_limit","message":{"id":"b5b8606a-2e54-43a8-8e4d-af5d7640714b","type":"message","role":"assistant","model":"<synthetic>","content":[{"type":"text","text":"API Error: Server is temporarily limiting requests (not your usage limit) · x"}],"usage":{"input_tokens":0,"output_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0}}}
{"type":"result","subtype":"success","is_error":true,"api_error_status":429,"duration_ms":88,"num_turns":1,"result":"API Error: Server is temporarily limiting requests (not your usage limit) · x","stop_reason":"stop_sequence","session_id":"9a2b2322-3210-48c7-aa68-c21ab1f94273","total_cost_usd":0,"usage":{"input_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0},"modelUsage":{},"terminal_reason":"completed"}
"#;

/// A run with a login reaches a usage limit.
pub(super) const LIMITED: &str = r#"{"type":"system","subtype":"init","session_id":"45d69c95-8a8a-4f60-9c6a-fe482231a332","tools":["Bash","Edit"],"model":"claude-sonnet-5","permissionMode":"bypassPermissions","apiKeySource":"none","claude_code_version":"2.1.197"}
{"type":"rate_limit_event","rate_limit_info":{"status":"rejected","resetsAt":1795481639,"rateLimitType":"five_hour","overageStatus":"rejected","isUsingOverage":false},"session_id":"45d69c95-8a8a-4f60-9c6a-fe482231a332"}
{"type":"assistant","parent_tool_use_id":null,"session_id":"45d69c95-8a8a-4f60-9c6a-fe482231a332","error":"rate_limit","message":{"id":"c0a8be05-ca29-488d-b4fb-acf585d71846","type":"message","role":"assistant","model":"<synthetic>","content":[{"type":"text","text":"You've hit your limit · resets 12:53am (UTC)"}],"usage":{"input_tokens":0,"output_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0}}}
{"type":"result","subtype":"success","is_error":true,"api_error_status":429,"duration_ms":68,"num_turns":1,"result":"You've hit your limit · resets 12:53am (UTC)","stop_reason":"stop_sequence","session_id":"45d69c95-8a8a-4f60-9c6a-fe482231a332","total_cost_usd":0,"usage":{"input_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0},"modelUsage":{},"terminal_reason":"completed"}
"#;

/// A run with an API key reaches a usage limit.
pub(super) const LIMITED_KEY: &str = r#"{"type":"result","subtype":"success","is_error":true,"api_error_status":429,"duration_ms":83,"num_turns":1,"result":"API Error: Request rejected (429) · usage limit reached","stop_reason":"stop_sequence","session_id":"ef45e00d-6a6d-4059-ba2f-dcb89d3034fa","total_cost_usd":0,"usage":{"input_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0},"modelUsage":{},"terminal_reason":"completed"}
"#;

/// The API answers 500.
pub(super) const BROKEN: &str = r#"{"type":"result","subtype":"success","is_error":true,"api_error_status":500,"duration_ms":1086,"num_turns":1,"result":"API Error: 500 scripted failure 500. This is a server-side issue, usually temporary — try again in a moment. If it persists, check your inference gateway (127.0.0.1:37101).","stop_reason":"stop_sequence","session_id":"aadbb606-d301-455e-9509-9a3a0f7af403","total_cost_usd":0,"usage":{"input_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0},"modelUsage":{},"terminal_reason":"completed"}
"#;

/// The API answers 529.
pub(super) const OVERLOADED: &str = r#"{"type":"result","subtype":"success","is_error":true,"api_error_status":529,"duration_ms":1079,"num_turns":1,"result":"API Error: 529 scripted failure 529. This is a server-side issue, usually temporary — try again in a moment. If it persists, check your inference gateway (127.0.0.1:40215).","stop_reason":"stop_sequence","session_id":"ab64959f-d00e-47e9-b9b3-01b3cff3e947","total_cost_usd":0,"usage":{"input_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0},"modelUsage":{},"terminal_reason":"completed"}
"#;

/// Nothing listens at the API's address.
pub(super) const UNREACHABLE: &str = r#"{"type":"system","subtype":"api_retry","attempt":1,"max_retries":1,"retry_delay_ms":510.379025205599,"error_status":null,"error":"unknown"}
{"type":"result","subtype":"success","is_error":true,"api_error_status":null,"duration_ms":606,"num_turns":1,"result":"API Error: Unable to connect to API (ConnectionRefused)","total_cost_usd":0,"modelUsage":{},"terminal_reason":"completed"}
"#;

/// The prompt is too long for the model.
pub(super) const TOO_LONG: &str = r#"{"type":"result","subtype":"success","is_error":true,"api_error_status":400,"duration_ms":108,"num_turns":1,"result":"Prompt is too long · the request is ~213462 tokens (limit 200000) but this conversation is only ~1534 tokens — the rest is system prompt, tool definitions, and attachment content. A single-exchange conversation cannot be compacted; reduce attached files/tools or start with less context.","stop_reason":"stop_sequence","session_id":"429fb14f-d90f-4b8a-a90e-1107dab431ba","total_cost_usd":0,"usage":{"input_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0},"modelUsage":{},"terminal_reason":"prompt_too_long"}
"#;

/// The account has no credit.
pub(super) const NO_CREDIT: &str = r#"{"type":"result","subtype":"success","is_error":true,"api_error_status":400,"duration_ms":94,"num_turns":1,"result":"Credit balance is too low","stop_reason":"stop_sequence","session_id":"0c1fc4ff-9568-47e9-be15-5b68c7e0d73b","total_cost_usd":0,"usage":{"input_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0},"modelUsage":{},"terminal_reason":"completed"}
"#;

/// The account reached the spending cap that its owner set.
pub(super) const SPENDING_CAP: &str = r#"{"type":"result","subtype":"success","is_error":true,"api_error_status":400,"duration_ms":67,"num_turns":1,"result":"API Error: 400 You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC.","stop_reason":"stop_sequence","session_id":"bbadce48-482a-407b-8b46-ec0e204e8f9b","total_cost_usd":0,"usage":{"input_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0},"modelUsage":{},"terminal_reason":"completed"}
"#;

/// The organization is disabled.
pub(super) const DISABLED: &str = r#"{"type":"result","subtype":"success","is_error":true,"api_error_status":400,"duration_ms":103,"num_turns":1,"result":"Your ANTHROPIC_API_KEY belongs to a disabled organization · Update or unset the environment variable","stop_reason":"stop_sequence","session_id":"85c27419-0d8f-4b2a-bf9f-a2e1ae8b81f1","total_cost_usd":0,"usage":{"input_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0},"modelUsage":{},"terminal_reason":"completed"}
"#;

/// The model does not exist.
pub(super) const UNKNOWN_MODEL: &str = r#"{"type":"result","subtype":"success","is_error":true,"api_error_status":404,"duration_ms":131,"num_turns":1,"result":"There's an issue with the selected model (claude-nope). It may not exist or you may not have access to it. Run --model to pick a different model.","stop_reason":"stop_sequence","session_id":"63d68cc2-3a94-455c-a6b3-0d63abd3c7fd","total_cost_usd":0,"usage":{"input_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0},"modelUsage":{},"terminal_reason":"completed"}
"#;

/// A run with `--max-turns 1` uses up its turns.
pub(super) const MAX_TURNS: &str = r#"{"type":"result","subtype":"error_max_turns","duration_ms":98,"is_error":true,"num_turns":2,"stop_reason":"tool_use","session_id":"b4bfd2e9-aa0b-40c6-94a3-bff0c5d9a4cb","total_cost_usd":0.006999999999999999,"usage":{"input_tokens":1200,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":40},"modelUsage":{"claude-opus-4-8[1m]":{"inputTokens":1200,"outputTokens":40,"cacheReadInputTokens":0,"cacheCreationInputTokens":0,"webSearchRequests":0,"costUSD":0.006999999999999999,"contextWindow":1000000,"maxOutputTokens":64000}},"terminal_reason":"max_turns","errors":["Reached maximum number of turns (1)"]}
"#;

/// A run with `--max-budget-usd 0.0001` exceeds its budget. The counts in `usage` are 0, those in
/// `modelUsage` are not.
pub(super) const MAX_BUDGET: &str = r#"{"type":"result","subtype":"error_max_budget_usd","duration_ms":72,"is_error":true,"num_turns":1,"stop_reason":"tool_use","session_id":"832ad155-7315-4b03-b9f2-4cf6b8a812f2","total_cost_usd":0.006999999999999999,"usage":{"input_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0},"modelUsage":{"claude-opus-4-8[1m]":{"inputTokens":1200,"outputTokens":40,"cacheReadInputTokens":0,"cacheCreationInputTokens":0,"webSearchRequests":0,"costUSD":0.006999999999999999,"contextWindow":1000000,"maxOutputTokens":64000}},"errors":["Reached maximum budget ($0.0001)"]}
"#;

/// A run with `--resume` names a session that does not exist.
pub(super) const UNKNOWN_SESSION: &str = r#"{"type":"result","subtype":"error_during_execution","duration_ms":0,"is_error":true,"num_turns":0,"stop_reason":null,"session_id":"8f221111-1111-4111-8111-111111111111","total_cost_usd":0,"usage":{"input_tokens":0,"output_tokens":0},"modelUsage":{},"errors":["No conversation found with session ID: 8f221111-1111-4111-8111-111111111111"]}
"#;

/// The API reports an error in the middle of its answer.
pub(super) const BROKEN_ANSWER: &str = r#"{"type":"result","subtype":"success","is_error":true,"api_error_status":null,"duration_ms":160,"num_turns":1,"result":"API Error: API returned an empty or malformed response (HTTP 200) — check for a proxy or gateway intercepting the request","session_id":"94169f19-f905-4483-aad1-42f8aaf6b7d8","total_cost_usd":0,"terminal_reason":"completed"}
"#;

/// The connection breaks in the middle of an answer.
pub(super) const LOST_CONNECTION: &str = r#"{"type":"result","subtype":"success","is_error":true,"api_error_status":null,"duration_ms":197,"num_turns":1,"result":"API Error: Connection to the API was lost (ECONNRESET). This is usually temporary — try again.","session_id":"6c07a80e-ad5c-452e-8a14-101fff82224c","total_cost_usd":0,"terminal_reason":"completed"}
"#;

/// A run that continues a session: the total cost and the usage by model include the earlier run.
pub(super) const RESUMED: &str = r#"{"type":"system","subtype":"init","session_id":"c738d4f4-ec6b-43dd-a585-c39c8c87a0fd","model":"claude-opus-5-5","permissionMode":"bypassPermissions","apiKeySource":"ANTHROPIC_API_KEY","claude_code_version":"2.1.332"}
{"type":"assistant","message":{"id":"msg_1795809693945660323","type":"message","role":"assistant","model":"claude-opus-5-5","content":[{"type":"text","text":"two"}],"usage":{"input_tokens":1200,"output_tokens":1}},"parent_tool_use_id":null,"session_id":"c738d4f4-ec6b-43dd-a585-c39c8c87a0fd"}
{"stop_reason":"end_turn","session_id":"c738d4f4-ec6b-43dd-a585-c39c8c87a0fd","total_cost_usd":0.0168,"usage":{"input_tokens":1200,"output_tokens":40,"cache_creation_input_tokens":0,"cache_read_input_tokens":0},"modelUsage":{"claude-opus-5-5":{"inputTokens":3600,"outputTokens":120,"cacheReadInputTokens":0,"cacheCreationInputTokens":0,"costUSD":0.0168}},"permission_denials":[],"terminal_reason":"completed","subagent_stats":{"spawned":0,"requested":{"background":0,"foreground":0,"unset":0},"started_in_background":0,"max_depth":0,"spawned_by_subagents":0,"completed":0,"failed":0,"killed":{"parent":0,"user":0,"system":0},"refused":{"depth_limit":0,"concurrency_limit":0,"budget":0},"by_type":{}},"is_error":false,"num_turns":1,"subtype":"success","api_error_status":null,"result":"two","type":"result","duration_ms":157,"result_index":0,"model_usage_since_last_result":{"claude-opus-5-5":{"inputTokens":1200,"outputTokens":40,"cacheReadInputTokens":0,"cacheCreationInputTokens":0,"costUSD":0.0056}}}
"#;

/// The settings file of the repository forbids the mode `bypassPermissions`.
pub(super) const FORBIDDEN_MODE: &str = r#"{"type":"system","subtype":"init","session_id":"7ceeac5b-1514-4a00-adfb-ec6b42fff023","model":"claude-opus-5-5","permissionMode":"default","apiKeySource":"ANTHROPIC_API_KEY","claude_code_version":"2.1.332"}
{"type":"assistant","message":{"id":"msg_1795809694709861313","type":"message","role":"assistant","model":"claude-opus-5-5","content":[{"type":"tool_use","id":"toolu_0000","name":"Bash","input":{"command":"echo hi > hi2.txt","description":"scripted step"}}],"usage":{"input_tokens":1200,"output_tokens":1}},"parent_tool_use_id":null,"session_id":"7ceeac5b-1514-4a00-adfb-ec6b42fff023"}
{"type":"system","subtype":"permission_denied","tool_name":"Bash","message":"Output redirection to '/tmp/a1rec/wtc/hi2.txt' needs approval. The path is inside the working directories for this session ('/tmp/a1rec/wtc'), and Claude Code asks before a shell command creates, changes or removes files there.","session_id":"7ceeac5b-1514-4a00-adfb-ec6b42fff023"}
{"type":"user","message":{"role":"user","content":[{"type":"tool_result","content":"Output redirection to '/tmp/a1rec/wtc/hi2.txt' needs approval. The path is inside the working directories for this session ('/tmp/a1rec/wtc'), and Claude Code asks before a shell command creates, changes or removes files there.","is_error":true,"tool_use_id":"toolu_0000"}]},"session_id":"7ceeac5b-1514-4a00-adfb-ec6b42fff023"}
{"type":"assistant","message":{"id":"msg_1795809694825734350","type":"message","role":"assistant","model":"claude-opus-5-5","content":[{"type":"text","text":"wrote it"}],"usage":{"input_tokens":1200,"output_tokens":1}},"parent_tool_use_id":null,"session_id":"7ceeac5b-1514-4a00-adfb-ec6b42fff023"}
{"stop_reason":"end_turn","session_id":"7ceeac5b-1514-4a00-adfb-ec6b42fff023","total_cost_usd":0.0112,"usage":{"input_tokens":2400,"output_tokens":80,"cache_creation_input_tokens":0,"cache_read_input_tokens":0},"modelUsage":{"claude-opus-5-5":{"inputTokens":2400,"outputTokens":80,"cacheReadInputTokens":0,"cacheCreationInputTokens":0,"costUSD":0.0112}},"permission_denials":[{"tool_name":"Bash","tool_use_id":"toolu_0000","tool_input":{"command":"echo hi > hi2.txt","description":"scripted step"}}],"terminal_reason":"completed","subagent_stats":{"spawned":0,"requested":{"background":0,"foreground":0,"unset":0},"started_in_background":0,"max_depth":0,"spawned_by_subagents":0,"completed":0,"failed":0,"killed":{"parent":0,"user":0,"system":0},"refused":{"depth_limit":0,"concurrency_limit":0,"budget":0},"by_type":{}},"is_error":false,"num_turns":2,"subtype":"success","api_error_status":null,"result":"wrote it","type":"result","duration_ms":253,"result_index":0,"model_usage_since_last_result":{"claude-opus-5-5":{"inputTokens":2400,"outputTokens":80,"cacheReadInputTokens":0,"cacheCreationInputTokens":0,"costUSD":0.0112}}}
"#;

/// The settings file of the repository denies a command.
pub(super) const DENIED: &str = r#"{"type":"system","subtype":"init","session_id":"9c450cb5-c6ce-456b-820f-f94fa7239232","model":"claude-opus-5-5","permissionMode":"bypassPermissions","apiKeySource":"ANTHROPIC_API_KEY","claude_code_version":"2.1.332"}
{"type":"assistant","message":{"id":"msg_1795809695830845759","type":"message","role":"assistant","model":"claude-opus-5-5","content":[{"type":"tool_use","id":"toolu_0000","name":"Bash","input":{"command":"echo hi > hi2.txt","description":"scripted step"}}],"usage":{"input_tokens":1200,"output_tokens":1}},"parent_tool_use_id":null,"session_id":"9c450cb5-c6ce-456b-820f-f94fa7239232"}
{"type":"system","subtype":"permission_denied","tool_name":"Bash","message":"Permission to use Bash with command echo hi > hi2.txt has been denied.","session_id":"9c450cb5-c6ce-456b-820f-f94fa7239232"}
{"type":"user","message":{"role":"user","content":[{"type":"tool_result","content":"Permission to use Bash with command echo hi > hi2.txt has been denied.","is_error":true,"tool_use_id":"toolu_0000"}]},"session_id":"9c450cb5-c6ce-456b-820f-f94fa7239232"}
{"type":"assistant","message":{"id":"msg_1795809695911990646","type":"message","role":"assistant","model":"claude-opus-5-5","content":[{"type":"text","text":"wrote it"}],"usage":{"input_tokens":1200,"output_tokens":1}},"parent_tool_use_id":null,"session_id":"9c450cb5-c6ce-456b-820f-f94fa7239232"}
{"stop_reason":"end_turn","session_id":"9c450cb5-c6ce-456b-820f-f94fa7239232","total_cost_usd":0.0112,"usage":{"input_tokens":2400,"output_tokens":80,"cache_creation_input_tokens":0,"cache_read_input_tokens":0},"modelUsage":{"claude-opus-5-5":{"inputTokens":2400,"outputTokens":80,"cacheReadInputTokens":0,"cacheCreationInputTokens":0,"costUSD":0.0112}},"permission_denials":[{"tool_name":"Bash","tool_use_id":"toolu_0000","tool_input":{"command":"echo hi > hi2.txt","description":"scripted step"}}],"terminal_reason":"completed","subagent_stats":{"spawned":0,"requested":{"background":0,"foreground":0,"unset":0},"started_in_background":0,"max_depth":0,"spawned_by_subagents":0,"completed":0,"failed":0,"killed":{"parent":0,"user":0,"system":0},"refused":{"depth_limit":0,"concurrency_limit":0,"budget":0},"by_type":{}},"is_error":false,"num_turns":2,"subtype":"success","api_error_status":null,"result":"wrote it","type":"result","duration_ms":234,"result_index":0,"model_usage_since_last_result":{"claude-opus-5-5":{"inputTokens":2400,"outputTokens":80,"cacheReadInputTokens":0,"cacheCreationInputTokens":0,"costUSD":0.0112}}}
"#;

/// A run of 2.1.332 with a login reaches a usage limit.
pub(super) const LIMITED_332: &str = r#"{"type":"system","subtype":"init","session_id":"f91e65e8-f4fe-40d6-aebf-2856d64881ef","model":"claude-sonnet-5-5","permissionMode":"bypassPermissions","apiKeySource":"none","claude_code_version":"2.1.332"}
{"type":"rate_limit_event","rate_limit_info":{"status":"rejected","resetsAt":1795818000,"rateLimitType":"five_hour","overageStatus":"rejected","isUsingOverage":false},"session_id":"f91e65e8-f4fe-40d6-aebf-2856d64881ef"}
{"type":"assistant","message":{"id":"28159d26-720f-45a2-b4db-084adb9e8ed2","model":"<synthetic>","role":"assistant","type":"message","usage":{"input_tokens":0,"output_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0},"content":[{"type":"text","text":"You've hit your limit · resets 10:20pm (UTC)"}]},"parent_tool_use_id":null,"session_id":"f91e65e8-f4fe-40d6-aebf-2856d64881ef","error":"rate_limit","is_api_error_message":true}
{"stop_reason":"stop_sequence","session_id":"f91e65e8-f4fe-40d6-aebf-2856d64881ef","total_cost_usd":0,"usage":{"input_tokens":0,"output_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0},"modelUsage":{},"permission_denials":[],"terminal_reason":"api_error","subagent_stats":{"spawned":0,"requested":{"background":0,"foreground":0,"unset":0},"started_in_background":0,"max_depth":0,"spawned_by_subagents":0,"completed":0,"failed":0,"killed":{"parent":0,"user":0,"system":0},"refused":{"depth_limit":0,"concurrency_limit":0,"budget":0},"by_type":{}},"is_error":true,"num_turns":1,"subtype":"success","api_error_status":429,"api_error":"usage_limit_reached","result":"You've hit your limit · resets 10:20pm (UTC)","type":"result","duration_ms":173,"result_index":0,"model_usage_since_last_result":{}}
"#;
