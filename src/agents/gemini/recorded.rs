//! Lines that Gemini CLI 0.61 printed against a loopback API.

use crate::agents::kind::OutputKind;
use crate::agents::reading::Reading;

/// Reads `output`, the whole output of a run.
pub(super) fn read(output: &str) -> Reading {
    let mut transcript = OutputKind::GeminiStreamJson.transcript();
    transcript.push(output.as_bytes());
    transcript.finish()
}

/// A run with two tool calls. The command of the second one fails.
pub(super) const TOOLS: &str = r#"{"type":"init","timestamp":"2026-11-27T19:48:02.285Z","session_id":"3f221111-1111-4111-8111-111111111111","model":"gemini-2.5-flash"}
{"type":"message","timestamp":"2026-11-27T19:48:02.366Z","role":"user","content":"Do @@bash echo hi > hi.txt@@ @@bash cat nosuchfile@@ @@say wrote it, 429 usage limit@@"}
{"type":"tool_use","timestamp":"2026-11-27T19:48:02.508Z","tool_name":"run_shell_command","tool_id":"run_shell_command__run_shell_command_1795808882495_0","parameters":{"command":"echo hi > hi.txt","description":"scripted step"}}
{"type":"tool_result","timestamp":"2026-11-27T19:48:02.705Z","tool_id":"run_shell_command__run_shell_command_1795808882495_0","status":"success","output":""}
{"type":"tool_use","timestamp":"2026-11-27T19:48:03.043Z","tool_name":"run_shell_command","tool_id":"run_shell_command__run_shell_command_1795808883033_0","parameters":{"command":"cat nosuchfile","description":"scripted step"}}
{"type":"tool_result","timestamp":"2026-11-27T19:48:03.558Z","tool_id":"run_shell_command__run_shell_command_1795808883033_0","status":"success","output":"cat: nosuchfile: No such file or directory"}
{"type":"message","timestamp":"2026-11-27T19:48:03.913Z","role":"assistant","content":"wrote it, 429 usage limit","delta":true}
{"type":"result","timestamp":"2026-11-27T19:48:03.999Z","status":"success","stats":{"total_tokens":3720,"input_tokens":3600,"output_tokens":120,"cached":600,"input":3000,"duration_ms":1714,"tool_calls":2,"models":{"scripted":{"total_tokens":3720,"input_tokens":3600,"output_tokens":120,"cached":600,"input":3000}}}}
"#;

/// A run that got SIGTERM during a tool call. The exit code is 0.
pub(super) const TERMINATED: &str = r#"{"type":"init","timestamp":"2026-11-27T19:49:48.994Z","session_id":"3f221111-1111-4111-8111-111111111155","model":"gemini-2.5-flash"}
{"type":"message","timestamp":"2026-11-27T19:49:50.083Z","role":"user","content":"Do @@bash sleep 100@@ @@say wrote it@@"}
{"type":"tool_use","timestamp":"2026-11-27T19:49:50.350Z","tool_name":"run_shell_command","tool_id":"run_shell_command__run_shell_command_1795808990333_0","parameters":{"command":"sleep 100","description":"scripted step"}}
"#;

/// The API answers 429. The exit code is 173.
pub(super) const THROTTLED: &str = r#"{"type":"init","timestamp":"2026-11-27T19:37:44.115Z","session_id":"3f221111-1111-4111-8111-111111111112","model":"gemini-2.5-flash"}
{"type":"message","timestamp":"2026-11-27T19:37:44.154Z","role":"user","content":"Do @@bash echo hi > hi.txt@@ @@say wrote it@@"}
{"type":"result","timestamp":"2026-11-27T19:37:44.273Z","status":"error","error":{"type":"unknown","message":"[API Error: slow down]\nPlease wait and try again later. To increase your limits, request a quota increase through AI Studio, or switch to another /auth method"},"stats":{"total_tokens":0,"input_tokens":0,"output_tokens":0,"cached":0,"input":0,"duration_ms":0,"tool_calls":0,"models":{"gemini-2.5-flash":{"total_tokens":0,"input_tokens":0,"output_tokens":0,"cached":0,"input":0}}}}
"#;

/// The API answers 429, because the quota of the day is used up. The exit code is 173.
pub(super) const DAILY_QUOTA: &str = r#"{"type":"init","timestamp":"2026-11-27T19:37:49.706Z","session_id":"3f221111-1111-4111-8111-111111111113","model":"auto"}
{"type":"message","timestamp":"2026-11-27T19:37:49.834Z","role":"user","content":"Do @@bash echo hi > hi.txt@@ @@say wrote it@@"}
{"type":"result","timestamp":"2026-11-27T19:37:50.213Z","status":"error","error":{"type":"unknown","message":"[API Error: You have exhausted your daily quota on this model.]\nPlease wait and try again later. To increase your limits, request a quota increase through AI Studio, or switch to another /auth method"},"stats":{"total_tokens":0,"input_tokens":0,"output_tokens":0,"cached":0,"input":0,"duration_ms":0,"tool_calls":0,"models":{"gemini-3.5-flash-lite":{"total_tokens":0,"input_tokens":0,"output_tokens":0,"cached":0,"input":0},"gemini-3.1-pro-preview":{"total_tokens":0,"input_tokens":0,"output_tokens":0,"cached":0,"input":0}}}}
"#;

/// The API refuses the key with 400. The exit code is 144.
pub(super) const BAD_KEY: &str = r#"{"type":"init","timestamp":"2026-11-27T19:37:55.690Z","session_id":"3f221111-1111-4111-8111-111111111114","model":"gemini-2.5-flash"}
{"type":"message","timestamp":"2026-11-27T19:37:55.834Z","role":"user","content":"Do @@bash echo hi > hi.txt@@ @@say wrote it@@"}
{"type":"result","timestamp":"2026-11-27T19:37:56.033Z","status":"error","error":{"type":"unknown","message":"[API Error: {\"error\":{\"code\":400,\"message\":\"API key not valid. Please pass a valid API key.\",\"status\":\"INVALID_ARGUMENT\"}}]"},"stats":{"total_tokens":0,"input_tokens":0,"output_tokens":0,"cached":0,"input":0,"duration_ms":0,"tool_calls":0,"models":{"gemini-2.5-flash":{"total_tokens":0,"input_tokens":0,"output_tokens":0,"cached":0,"input":0}}}}
"#;

/// The API answers 401. The exit code is 145.
pub(super) const REFUSED_LOGIN: &str = r#"{"type":"init","timestamp":"2026-11-27T19:41:22.308Z","session_id":"3f221111-1111-4111-8111-111111111121","model":"gemini-2.5-flash"}
{"type":"message","timestamp":"2026-11-27T19:41:23.046Z","role":"user","content":"Do @@bash echo hi > hi.txt@@ @@say wrote it@@"}
{"type":"result","timestamp":"2026-11-27T19:41:23.412Z","status":"error","error":{"type":"unknown","message":"[API Error: {\"error\":{\"code\":401,\"message\":\"Request had invalid authentication credentials.\",\"status\":\"UNAUTHENTICATED\"}}]"},"stats":{"total_tokens":0,"input_tokens":0,"output_tokens":0,"cached":0,"input":0,"duration_ms":0,"tool_calls":0,"models":{"gemini-2.5-flash":{"total_tokens":0,"input_tokens":0,"output_tokens":0,"cached":0,"input":0}}}}
"#;

/// The API answers 403, because the account is suspended. The exit code is 147.
pub(super) const SUSPENDED: &str = r#"{"type":"init","timestamp":"2026-11-27T19:41:47.462Z","session_id":"3f221111-1111-4111-8111-111111111122","model":"gemini-2.5-flash"}
{"type":"message","timestamp":"2026-11-27T19:41:48.038Z","role":"user","content":"Do @@bash echo hi > hi.txt@@ @@say wrote it@@"}
{"type":"result","timestamp":"2026-11-27T19:41:48.746Z","status":"error","error":{"type":"unknown","message":"[API Error: {\"error\":{\"code\":403,\"message\":\"Permission denied: Consumer suspended\",\"status\":\"PERMISSION_DENIED\"}}]"},"stats":{"total_tokens":0,"input_tokens":0,"output_tokens":0,"cached":0,"input":0,"duration_ms":0,"tool_calls":0,"models":{"gemini-2.5-flash":{"total_tokens":0,"input_tokens":0,"output_tokens":0,"cached":0,"input":0}}}}
"#;

/// The API answers 404. The exit code is 1.
pub(super) const UNKNOWN_MODEL: &str = r#"{"type":"init","timestamp":"2026-11-27T19:42:09.162Z","session_id":"3f221111-1111-4111-8111-111111111123","model":"gemini-nope"}
{"type":"message","timestamp":"2026-11-27T19:42:09.664Z","role":"user","content":"Do @@bash echo hi > hi.txt@@ @@say wrote it@@"}
{"type":"result","timestamp":"2026-11-27T19:42:10.506Z","status":"error","error":{"type":"unknown","message":"[API Error: models/gemini-nope is not found for API version v1beta]"},"stats":{"total_tokens":0,"input_tokens":0,"output_tokens":0,"cached":0,"input":0,"duration_ms":0,"tool_calls":0,"models":{"gemini-nope":{"total_tokens":0,"input_tokens":0,"output_tokens":0,"cached":0,"input":0}}}}
"#;

/// The API answers 500. The exit code is 244.
pub(super) const BROKEN: &str = r#"{"type":"init","timestamp":"2026-11-27T19:42:30.885Z","session_id":"3f221111-1111-4111-8111-111111111124","model":"gemini-2.5-flash"}
{"type":"message","timestamp":"2026-11-27T19:42:31.136Z","role":"user","content":"Do @@bash echo hi > hi.txt@@ @@say wrote it@@"}
{"type":"result","timestamp":"2026-11-27T19:42:31.477Z","status":"error","error":{"type":"unknown","message":"[API Error: {\"error\":{\"code\":500,\"message\":\"internal\",\"status\":\"INTERNAL\"}}]"},"stats":{"total_tokens":0,"input_tokens":0,"output_tokens":0,"cached":0,"input":0,"duration_ms":0,"tool_calls":0,"models":{"gemini-2.5-flash":{"total_tokens":0,"input_tokens":0,"output_tokens":0,"cached":0,"input":0}}}}
"#;

/// The API answers 503. The exit code is 247.
pub(super) const UNAVAILABLE: &str = r#"{"type":"init","timestamp":"2026-11-27T19:42:54.658Z","session_id":"3f221111-1111-4111-8111-111111111125","model":"gemini-2.5-flash"}
{"type":"message","timestamp":"2026-11-27T19:42:55.330Z","role":"user","content":"Do @@bash echo hi > hi.txt@@ @@say wrote it@@"}
{"type":"result","timestamp":"2026-11-27T19:42:56.645Z","status":"error","error":{"type":"unknown","message":"[API Error: The model is overloaded. Please try again later.]"},"stats":{"total_tokens":0,"input_tokens":0,"output_tokens":0,"cached":0,"input":0,"duration_ms":0,"tool_calls":0,"models":{"gemini-2.5-flash":{"total_tokens":0,"input_tokens":0,"output_tokens":0,"cached":0,"input":0}}}}
"#;

/// The API answers 529. The exit code is 17.
pub(super) const OVERLOADED: &str = r#"{"type":"init","timestamp":"2026-11-27T19:43:21.964Z","session_id":"3f221111-1111-4111-8111-111111111126","model":"gemini-2.5-flash"}
{"type":"message","timestamp":"2026-11-27T19:43:23.110Z","role":"user","content":"Do @@bash echo hi > hi.txt@@ @@say wrote it@@"}
{"type":"result","timestamp":"2026-11-27T19:43:24.853Z","status":"error","error":{"type":"unknown","message":"[API Error: {\"error\":{\"code\":529,\"message\":\"Overloaded\",\"status\":\"INTERNAL\"}}]"},"stats":{"total_tokens":0,"input_tokens":0,"output_tokens":0,"cached":0,"input":0,"duration_ms":0,"tool_calls":0,"models":{"gemini-2.5-flash":{"total_tokens":0,"input_tokens":0,"output_tokens":0,"cached":0,"input":0}}}}
"#;

/// The API answers 400, because the prompt is too long. The exit code is 144.
pub(super) const TOO_LONG: &str = r#"{"type":"init","timestamp":"2026-11-27T19:43:53.028Z","session_id":"3f221111-1111-4111-8111-111111111127","model":"gemini-2.5-flash"}
{"type":"message","timestamp":"2026-11-27T19:43:53.683Z","role":"user","content":"Do @@bash echo hi > hi.txt@@ @@say wrote it@@"}
{"type":"result","timestamp":"2026-11-27T19:43:54.449Z","status":"error","error":{"type":"unknown","message":"[API Error: {\"error\":{\"code\":400,\"message\":\"The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).\",\"status\":\"INVALID_ARGUMENT\"}}]"},"stats":{"total_tokens":0,"input_tokens":0,"output_tokens":0,"cached":0,"input":0,"duration_ms":0,"tool_calls":0,"models":{"gemini-2.5-flash":{"total_tokens":0,"input_tokens":0,"output_tokens":0,"cached":0,"input":0}}}}
"#;

/// What the CLI prints to stderr without a login. The exit code is 41.
pub(super) const NO_LOGIN: &str = "YOLO mode is enabled. All tool calls will be automatically approved.
When using Gemini API, you must specify the GEMINI_API_KEY environment variable.
Update your environment and try again (no reload needed if using .env)!
";

/// What the CLI prints to stderr if it does not know the session to resume. The exit code is 42.
pub(super) const UNKNOWN_SESSION: &str = "Error resuming session: Invalid session identifier \"3f22\".
  Searched for sessions in /home/a/.gemini/tmp/w/chats.
  Use --list-sessions to see available sessions, then use --resume {number}, --resume {uuid}, or --resume latest.
";
