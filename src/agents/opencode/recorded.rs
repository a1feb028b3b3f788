//! Lines that opencode 1.18 printed against a loopback API.

use crate::agents::kind::OutputKind;
use crate::agents::reading::Reading;

/// Reads `output`, the whole output of a run.
pub(super) fn read(output: &str) -> Reading {
    let mut transcript = OutputKind::OpencodeJson.transcript();
    transcript.push(output.as_bytes());
    transcript.finish()
}

/// A run with two tool calls. The command of the second one fails.
pub(super) const TOOLS: &str = r#"{"type":"step_start","timestamp":1795808130323,"sessionID":"ses_de17ed0d6ffeSbQ42SoLo6qe40","part":{"id":"prt_21e816f79001hFbrMMGmZAJIU9","messageID":"msg_21e814b85001kobcfjVj40zSGD","sessionID":"ses_de17ed0d6ffeSbQ42SoLo6qe40","snapshot":"4b825dc642cb6eb9a060e54bf8d69288fbee4904","type":"step-start"}}
{"type":"tool_use","timestamp":1795808131680,"sessionID":"ses_de17ed0d6ffeSbQ42SoLo6qe40","part":{"type":"tool","tool":"bash","callID":"toolu_0001_0000","state":{"status":"completed","input":{"command":"echo hi > hi.txt","description":"scripted step"},"output":"(no output)","metadata":{"output":"(no output)","exit":0,"truncated":false},"title":"echo hi > hi.txt","time":{"start":1795808130050,"end":1795808131455}},"id":"prt_21e817034001Uvl5Jki4zCbqB3","sessionID":"ses_de17ed0d6ffeSbQ42SoLo6qe40","messageID":"msg_21e814b85001kobcfjVj40zSGD"}}
{"type":"step_finish","timestamp":1795808132559,"sessionID":"ses_de17ed0d6ffeSbQ42SoLo6qe40","part":{"id":"prt_21e817dae001GKMUU27CsVBp2V","reason":"tool-calls","snapshot":"b0e66a8a93b83161375f18dcdc9e9329af61e04f","messageID":"msg_21e814b85001kobcfjVj40zSGD","sessionID":"ses_de17ed0d6ffeSbQ42SoLo6qe40","type":"step-finish","tokens":{"total":1240,"input":1200,"output":40,"reasoning":0,"cache":{"write":0,"read":0}},"cost":0.0042}}
{"type":"step_start","timestamp":1795808133573,"sessionID":"ses_de17ed0d6ffeSbQ42SoLo6qe40","part":{"id":"prt_21e818107001OwjqGIQ9vnlHgV","messageID":"msg_21e817ee1001QDDu0o4ZCtD6Zh","sessionID":"ses_de17ed0d6ffeSbQ42SoLo6qe40","snapshot":"b0e66a8a93b83161375f18dcdc9e9329af61e04f","type":"step-start"}}
{"type":"tool_use","timestamp":1795808133671,"sessionID":"ses_de17ed0d6ffeSbQ42SoLo6qe40","part":{"type":"tool","tool":"bash","callID":"toolu_0003_0001","state":{"status":"completed","input":{"command":"ls; false","description":"scripted step"},"output":"hi.txt\n","metadata":{"output":"hi.txt\n","exit":1,"truncated":false},"title":"ls; false","time":{"start":1795808133469,"end":1795808133617}},"id":"prt_21e818113001IBNHwAvPd6LDSf","sessionID":"ses_de17ed0d6ffeSbQ42SoLo6qe40","messageID":"msg_21e817ee1001QDDu0o4ZCtD6Zh"}}
{"type":"step_finish","timestamp":1795808133991,"sessionID":"ses_de17ed0d6ffeSbQ42SoLo6qe40","part":{"id":"prt_21e818359001KVBMYek581PYiq","reason":"tool-calls","snapshot":"b0e66a8a93b83161375f18dcdc9e9329af61e04f","messageID":"msg_21e817ee1001QDDu0o4ZCtD6Zh","sessionID":"ses_de17ed0d6ffeSbQ42SoLo6qe40","type":"step-finish","tokens":{"total":1240,"input":1200,"output":40,"reasoning":0,"cache":{"write":0,"read":0}},"cost":0.0042}}
{"type":"step_start","timestamp":1795808136650,"sessionID":"ses_de17ed0d6ffeSbQ42SoLo6qe40","part":{"id":"prt_21e818d82001FkTdFmIO11m7c3","messageID":"msg_21e818456001IEkZ44BpKFsNZm","sessionID":"ses_de17ed0d6ffeSbQ42SoLo6qe40","snapshot":"b0e66a8a93b83161375f18dcdc9e9329af61e04f","type":"step-start"}}
{"type":"text","timestamp":1795808136650,"sessionID":"ses_de17ed0d6ffeSbQ42SoLo6qe40","part":{"id":"prt_21e818d96001tqF320IkfXhGFa","messageID":"msg_21e818456001IEkZ44BpKFsNZm","sessionID":"ses_de17ed0d6ffeSbQ42SoLo6qe40","type":"text","text":"wrote it, 429 usage limit","time":{"start":1795808136598,"end":1795808136617}}}
{"type":"step_finish","timestamp":1795808138096,"sessionID":"ses_de17ed0d6ffeSbQ42SoLo6qe40","part":{"id":"prt_21e8192dc001tMY6zpxwbwSCVD","reason":"stop","snapshot":"b0e66a8a93b83161375f18dcdc9e9329af61e04f","messageID":"msg_21e818456001IEkZ44BpKFsNZm","sessionID":"ses_de17ed0d6ffeSbQ42SoLo6qe40","type":"step-finish","tokens":{"total":1240,"input":1200,"output":40,"reasoning":0,"cache":{"write":0,"read":0}},"cost":0.0042}}
"#;

/// A run that got SIGTERM during a tool call. The exit code is 143.
pub(super) const TERMINATED: &str = r#"{"type":"step_start","timestamp":1795809079154,"sessionID":"ses_de17092d2ffeDWamdpQk0AOIw2","part":{"id":"prt_21e8fea46001lNN7y2609M3Ewi","messageID":"msg_21e8f92f10010btVm2wmQrYuRg","sessionID":"ses_de17092d2ffeDWamdpQk0AOIw2","snapshot":"4b825dc642cb6eb9a060e54bf8d69288fbee4904","type":"step-start"}}
"#;

/// The API answers 401. The exit code of this run and of those below is 1.
pub(super) const REFUSED_LOGIN: &str = r#"{"type":"error","timestamp":1795808287782,"sessionID":"ses_de17c36e8ffePJjoD6Qb04SSkl","error":{"name":"APIError","data":{"message":"invalid x-api-key","statusCode":401,"isRetryable":false,"responseHeaders":{"connection":"close","content-length":"86","content-type":"application/json","retry-after":"1"},"responseBody":"{\"error\":{\"message\":\"invalid x-api-key\",\"type\":\"authentication_error\"},\"type\":\"error\"}","metadata":{"url":"http://127.0.0.1:32833/v1/messages"}}}}
"#;

/// The API answers 429.
pub(super) const THROTTLED: &str = r#"{"type":"error","timestamp":1795808321003,"sessionID":"ses_de17bcb97ffeiYaECAiQZjF0dW","error":{"name":"APIError","data":{"message":"too many requests","statusCode":429,"isRetryable":true,"responseHeaders":{"connection":"close","content-length":"82","content-type":"application/json","retry-after":"1"},"responseBody":"{\"error\":{\"message\":\"too many requests\",\"type\":\"rate_limit_error\"},\"type\":\"error\"}","metadata":{"url":"http://127.0.0.1:34965/v1/messages"}}}}
"#;

/// The API answers 429, because a usage limit is used up.
pub(super) const LIMITED: &str = r#"{"type":"error","timestamp":1795808709850,"sessionID":"ses_de1773665ffei1Gz73wIPrKY6A","error":{"name":"APIError","data":{"message":"usage limit reached","statusCode":429,"isRetryable":true,"responseHeaders":{"anthropic-ratelimit-unified-5h-reset":"1795811586","anthropic-ratelimit-unified-5h-status":"rejected","anthropic-ratelimit-unified-overage-status":"rejected","anthropic-ratelimit-unified-representative-claim":"five_hour","anthropic-ratelimit-unified-reset":"1795811586","anthropic-ratelimit-unified-status":"rejected","connection":"close","content-length":"84","content-type":"application/json"},"responseBody":"{\"error\":{\"message\":\"usage limit reached\",\"type\":\"rate_limit_error\"},\"type\":\"error\"}","metadata":{"url":"http://127.0.0.1:32995/v1/messages"}}}}
"#;

/// The API answers 529.
pub(super) const OVERLOADED: &str = r#"{"type":"error","timestamp":1795808481582,"sessionID":"ses_de179a976ffe7c96Y09fHSMjd0","error":{"name":"APIError","data":{"message":"Overloaded","statusCode":529,"isRetryable":true,"responseHeaders":{"connection":"close","content-length":"75","content-type":"application/json","retry-after":"1"},"responseBody":"{\"error\":{\"message\":\"Overloaded\",\"type\":\"overloaded_error\"},\"type\":\"error\"}","metadata":{"url":"http://127.0.0.1:35493/v1/messages"}}}}
"#;

/// The API answers 400, because the account has no credit.
pub(super) const NO_CREDIT: &str = r#"{"type":"error","timestamp":1795808531909,"sessionID":"ses_de178d42bffexUqrwY1ykzuoMk","error":{"name":"APIError","data":{"message":"Your credit balance is too low to access the Anthropic API.","statusCode":400,"isRetryable":false,"responseHeaders":{"connection":"close","content-length":"129","content-type":"application/json","retry-after":"1"},"responseBody":"{\"error\":{\"message\":\"Your credit balance is too low to access the Anthropic API.\",\"type\":\"invalid_request_error\"},\"type\":\"error\"}","metadata":{"url":"http://127.0.0.1:37791/v1/messages"}}}}
"#;

/// The API answers 404.
pub(super) const UNKNOWN_MODEL: &str = r#"{"type":"error","timestamp":1795808583101,"sessionID":"ses_de1780b85ffesgTQb6mGwwlJfe","error":{"name":"APIError","data":{"message":"model: nope","statusCode":404,"isRetryable":false,"responseHeaders":{"connection":"close","content-length":"81","content-type":"application/json","retry-after":"1"},"responseBody":"{\"error\":{\"message\":\"model: nope\",\"type\":\"invalid_request_error\"},\"type\":\"error\"}","metadata":{"url":"http://127.0.0.1:38351/v1/messages"}}}}
"#;

/// The API answers 400, because the prompt is too long, and 400 again after opencode shortened it.
pub(super) const TOO_LONG: &str = r#"{"type":"error","timestamp":1795808296820,"sessionID":"ses_de17c157bffe0K2IjhqY8eBr05","error":{"name":"ContextOverflowError","data":{"message":"prompt is too long: 213462 tokens > 200000 maximum","responseBody":"{\"error\":{\"message\":\"prompt is too long: 213462 tokens > 200000 maximum\",\"type\":\"invalid_request_error\"},\"type\":\"error\"}"}}}
{"type":"error","timestamp":1795808297558,"sessionID":"ses_de17c157bffe0K2IjhqY8eBr05","error":{"name":"ContextOverflowError","data":{"message":"prompt is too long: 213462 tokens > 200000 maximum","responseBody":"{\"error\":{\"message\":\"prompt is too long: 213462 tokens > 200000 maximum\",\"type\":\"invalid_request_error\"},\"type\":\"error\"}"}}}
"#;

/// The provider of the model is not configured.
pub(super) const UNKNOWN_PROVIDER: &str = r#"{"type":"error","timestamp":1795808749641,"sessionID":"ses_de1755d1fffe5Icw1hbRNkcLe8","error":{"name":"UnknownError","data":{"message":"Unexpected server error. Check server logs for details.","ref":"err_87cdf51a"}}}
"#;

/// The API cannot be reached.
pub(super) const UNREACHABLE: &str = r#"{"type":"error","timestamp":1795808877920,"sessionID":"ses_de174aebbffeX3jYnhqXoK30v7","error":{"name":"APIError","data":{"message":"Cannot connect to API: Unable to connect. Is the computer able to access the url?","isRetryable":true,"metadata":{"url":"https://opencode.ai/zen/v1/chat/completions"}}}}
"#;

/// What opencode prints to stderr if it does not know the session to resume. The exit code is 1.
pub(super) const UNKNOWN_SESSION: &str = "\u{1b}[91m\u{1b}[1mError: \u{1b}[0mSession not found\n";
