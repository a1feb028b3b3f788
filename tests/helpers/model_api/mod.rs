//! A stand-in on 127.0.0.1 for the APIs of models, for tests. With it the real CLIs of coding agents run without a model:
//! they call their tools, edit files and report their cost. It speaks Anthropic's Messages API (Claude Code, opencode),
//! OpenAI's Responses API (Codex) and Gemini's `generateContent` (Gemini CLI).
//!
//! The "model" follows the directives in the latest prompt, one tool call a turn: each `@@bash CMD@@` calls the shell
//! tool, in order, and `@@say TEXT@@` gives the final text (default: `done`).
//!
//! The API can refuse requests, checked in this order: [`ModelApi::limit_until`] (a usage limit), [`ModelApi::fail`] (any
//! status, a number of times or until [`ModelApi::recover`]) and [`ModelApi::allow`] (a token bucket).
//! [`ModelApi::requests`] is the log of all requests, with their sessions.
//!
//! [`ModelApi::claude_env`] and its siblings return the environment in which a CLI talks to the API and to nothing else.

mod anthropic;
mod environment;
mod gemini;
mod http;
mod openai;
mod script;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

use http::{Call, Response};
use script::Conversation;

/// One of the APIs that are spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// `POST /v1/messages`.
    Anthropic,
    /// `POST /v1/responses`.
    OpenAi,
    /// `POST /v1beta/models/MODEL:generateContent` and `:streamGenerateContent`.
    Gemini,
}

/// A request for an answer of the model.
#[derive(Debug, Clone)]
pub struct Request {
    /// When the request arrived.
    pub at: SystemTime,
    /// The API that was called.
    pub protocol: Protocol,
    /// The session of the agent, if its CLI names it in a header or in the body.
    pub session: Option<String>,
    /// The HTTP status of the answer.
    pub status: u16,
    /// The body of the request.
    pub body: Value,
}

/// A running API. Dropping it ends it.
pub struct ModelApi {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stopping: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    failure: Option<Failure>,
    limited_until: Option<i64>,
    bucket: Option<Bucket>,
    requests: Vec<Request>,
}

struct Failure {
    status: u16,
    message: String,
    left: usize,
}

/// A token bucket.
struct Bucket {
    rate: f64,
    burst: f64,
    level: f64,
    at: Instant,
}

impl Bucket {
    fn take(&mut self, now: Instant) -> bool {
        let refilled = now.saturating_duration_since(self.at).as_secs_f64() * self.rate;
        self.level = (self.level + refilled).min(self.burst);
        self.at = now;
        let enough = self.level >= 1.0;
        self.level -= f64::from(u8::from(enough));
        enough
    }
}

/// Why a request is refused.
enum Refusal {
    /// A usage limit is used up until this time, in seconds since the epoch.
    Limited(i64),
    /// The request gets an error.
    Error(u16, String),
}

impl ModelApi {
    /// Starts to serve on a free port.
    pub fn start() -> ModelApi {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port on 127.0.0.1");
        let address = listener.local_addr().expect("a bound listener has an address");
        let shared = Arc::new(Shared::default());
        let serving = Arc::clone(&shared);
        let acceptor = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if serving.stopping.load(Ordering::SeqCst) {
                    return;
                }
                if let Ok(stream) = stream {
                    let shared = Arc::clone(&serving);
                    // The thread ends after one exchange. A client that disconnects early is no failure.
                    std::thread::spawn(move || drop(http::serve(&stream, |call| shared.answer(call))));
                }
            }
        });
        ModelApi { address, shared, acceptor: Some(acceptor) }
    }

    /// The address of the API, such as for `ANTHROPIC_BASE_URL`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers the next `count` requests with `status` and the error `message`.
    pub fn fail(&self, status: u16, message: &str, count: usize) {
        self.shared.state().failure = Some(Failure { status, message: message.to_owned(), left: count });
    }

    /// Ends what [`ModelApi::fail`] and [`ModelApi::limit_until`] began.
    pub fn recover(&self) {
        let mut state = self.shared.state();
        (state.failure, state.limited_until) = (None, None);
    }

    /// Answers until `epoch`, in seconds, as if a usage limit were used up that is reset at that time. Claude Code prints
    /// a `rate_limit_event` for it only with a login (`CLAUDE_CODE_OAUTH_TOKEN`), not with an API key.
    pub fn limit_until(&self, epoch: i64) {
        self.shared.state().limited_until = Some(epoch);
    }

    /// Allows `rate` requests a second, and at most `burst` at once; refuses the others with 429.
    pub fn allow(&self, rate: f64, burst: f64) {
        self.shared.state().bucket = Some(Bucket { rate, burst, level: burst, at: Instant::now() });
    }

    /// All requests received so far.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.state().requests.clone()
    }

    /// How many requests were answered with `status` so far.
    pub fn count(&self, status: u16) -> usize {
        self.shared.state().requests.iter().filter(|request| request.status == status).count()
    }

    /// The prompts received so far, one for each run of a CLI.
    pub fn prompts(&self) -> Vec<String> {
        let conversations = self.requests().into_iter().map(|request| request.protocol.conversation(&request.body));
        let of_agents = conversations.filter(|conversation| conversation.shell.is_some());
        of_agents.filter(|conversation| conversation.answered == 0).map(|conversation| conversation.prompt).collect()
    }
}

impl Drop for ModelApi {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        // Wakes the acceptor. If the connection fails, the acceptor has already ended.
        drop(TcpStream::connect(self.address));
        if let Some(acceptor) = self.acceptor.take() {
            drop(acceptor.join());
        }
    }
}

impl Protocol {
    fn of(path: &str) -> Option<Protocol> {
        let path = path.split('?').next().unwrap_or(path);
        if path.ends_with("/messages") {
            Some(Protocol::Anthropic)
        } else if path.ends_with("/responses") {
            Some(Protocol::OpenAi)
        } else if path.ends_with(":generateContent") || path.ends_with(":streamGenerateContent") {
            Some(Protocol::Gemini)
        } else {
            None
        }
    }

    fn conversation(self, body: &Value) -> Conversation {
        match self {
            Protocol::Anthropic => anthropic::conversation(body),
            Protocol::OpenAi => openai::conversation(body),
            Protocol::Gemini => gemini::conversation(body),
        }
    }

    fn session(self, call: &Call, body: &Value) -> Option<String> {
        match self {
            Protocol::Anthropic => anthropic::session(call),
            Protocol::OpenAi => openai::session(call, body),
            // Gemini CLI does not name its session to the API.
            Protocol::Gemini => None,
        }
    }

    fn events(self, call: &Call, body: &Value) -> Response {
        let conversation = self.conversation(body);
        match self {
            Protocol::Anthropic => anthropic::events(body, &conversation),
            Protocol::OpenAi => openai::events(body, &conversation),
            Protocol::Gemini => gemini::events(&call.path, body, &conversation),
        }
    }

    fn refused(self, refusal: &Refusal) -> Response {
        match (self, refusal) {
            (Protocol::Anthropic, Refusal::Limited(reset)) => anthropic::limited(*reset),
            (Protocol::OpenAi, Refusal::Limited(reset)) => openai::limited(*reset),
            (Protocol::Gemini, Refusal::Limited(reset)) => gemini::limited(*reset),
            (Protocol::Anthropic, Refusal::Error(status, message)) => anthropic::error(*status, message),
            (Protocol::OpenAi, Refusal::Error(status, message)) => openai::error(*status, message),
            (Protocol::Gemini, Refusal::Error(status, message)) => gemini::error(*status, message),
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, call: &Call) -> Response {
        match (call.method.as_str(), Protocol::of(&call.path)) {
            ("HEAD", _) => Response::json(200, &serde_json::json!({})).without_body(),
            ("POST", Some(protocol)) => self.generate(protocol, call),
            ("POST", None) if call.path.contains("count_tokens") => anthropic::token_count(),
            ("POST", None) if call.path.contains(":countTokens") => gemini::token_count(),
            _ => anthropic::error(404, "not found"),
        }
    }

    fn generate(&self, protocol: Protocol, call: &Call) -> Response {
        let Ok(body) = serde_json::from_slice::<Value>(&call.body) else {
            return protocol.refused(&Refusal::Error(400, "not JSON".to_owned()));
        };
        let mut state = self.state();
        let response = match state.refusal() {
            Some(refusal) => protocol.refused(&refusal),
            None => protocol.events(call, &body),
        };
        let (at, session) = (SystemTime::now(), protocol.session(call, &body));
        state.requests.push(Request { at, protocol, session, status: response.status, body });
        response
    }
}

impl State {
    fn refusal(&mut self) -> Option<Refusal> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        if let Some(reset) = self.limited_until.filter(|reset| now.as_secs_f64() < *reset as f64) {
            return Some(Refusal::Limited(reset));
        }
        if let Some(failure) = self.failure.as_mut().filter(|failure| failure.left > 0) {
            failure.left -= 1;
            return Some(Refusal::Error(failure.status, failure.message.clone()));
        }
        let bucket = self.bucket.as_mut()?;
        (!bucket.take(Instant::now())).then(|| Refusal::Error(429, "too many requests".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use serde_json::json;

    use super::*;

    fn send(api: &ModelApi, request: &str) -> String {
        let mut stream = TcpStream::connect(api.address).expect("the API listens");
        stream.write_all(request.as_bytes()).expect("the API reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the API answers");
        answer
    }

    fn post(api: &ModelApi, path: &str, headers: &str, body: &Value) -> String {
        let body = body.to_string();
        send(api, &format!("POST {path} HTTP/1.1\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len()))
    }

    fn message(api: &ModelApi, messages: &Value) -> String {
        let body = json!({"model": "m", "tools": [{"name": "Bash"}], "messages": messages});
        post(api, "/v1/messages?beta=true", "X-Claude-Code-Session-Id: 3f22\r\n", &body)
    }

    #[test]
    fn commands_come_in_order_and_the_text_comes_last() {
        let of = |answered, shell: Option<&str>| {
            let prompt = "a @@bash one@@ b @@say bye@@ @@bash two@@ @@basher no@@".to_owned();
            Conversation { prompt, answered, shell: shell.map(str::to_owned) }.turn()
        };
        assert_eq!(of(0, Some("Bash")), script::Turn::Call("one".into()));
        assert_eq!(of(1, Some("Bash")), script::Turn::Call("two".into()));
        assert_eq!(of(2, Some("Bash")), script::Turn::Say("bye".into()));
        assert_eq!(of(0, None), script::Turn::Say("bye".into()), "a request without a shell calls nothing");
        assert_eq!(Conversation::default().turn(), script::Turn::Say("done".into()));
    }

    #[test]
    fn only_the_latest_prompt_has_directives() {
        let api = ModelApi::start();
        let first = json!({"role": "user", "content": "@@bash echo one@@ @@bash echo two@@ @@say bye@@"});
        let result = json!({"role": "user", "content": [{"type": "tool_result", "content": "@@bash rm@@"},
            {"type": "text", "text": "<system-reminder>@@bash rm@@</system-reminder>"}]});
        let call = json!({"role": "assistant", "content": []});
        assert!(message(&api, &json!([first])).contains("echo one"));
        assert!(message(&api, &json!([first, call, result])).contains("echo two"));
        assert!(message(&api, &json!([first, call, result, call, result])).contains("\"text\":\"bye\""));
        let second = json!({"role": "user", "content": [{"type": "text", "text": "@@bash echo three@@"}]});
        assert!(message(&api, &json!([first, call, result, second])).contains("echo three"));
        assert_eq!(api.prompts(), ["@@bash echo one@@ @@bash echo two@@ @@say bye@@", "@@bash echo three@@"]);
    }

    #[test]
    fn failures_and_limits_are_answered_while_they_last() {
        let api = ModelApi::start();
        let prompt = json!([{"role": "user", "content": "hello"}]);
        api.fail(401, "invalid x-api-key", 1);
        assert!(message(&api, &prompt).contains("authentication_error"));
        api.limit_until(4_102_444_800);
        assert!(message(&api, &prompt).contains("unified-reset: 4102444800"));
        api.limit_until(1_700_000_000);
        assert!(message(&api, &prompt).contains("end_turn"), "a limit ends by itself");
        api.fail(529, "Overloaded", usize::MAX);
        assert!(message(&api, &prompt).contains("overloaded_error"));
        api.recover();
        assert!(message(&api, &prompt).contains("end_turn"));
        let requests: Vec<_> = api.requests().into_iter().map(|request| (request.status, request.session)).collect();
        assert_eq!(requests, [401, 429, 200, 529, 200].map(|status| (status, Some("3f22".to_owned()))));
        assert!(send(&api, "GET /v1/models HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404"));
        assert!(send(&api, "HEAD / HTTP/1.1\r\n\r\n").ends_with("\r\n\r\n"));
    }

    #[test]
    fn a_token_bucket_refuses_what_exceeds_the_burst_and_the_rate() {
        let (api, prompt) = (ModelApi::start(), json!([{"role": "user", "content": "hello"}]));
        // No token arrives during the test.
        api.allow(1e-9, 2.0);
        for _ in 0..5 {
            message(&api, &prompt);
        }
        assert_eq!((api.count(200), api.count(429)), (2, 3));
        let began = Instant::now();
        let mut bucket = Bucket { rate: 2.0, burst: 4.0, level: 4.0, at: began };
        let mut taken = |millis| bucket.take(began + Duration::from_millis(millis));
        let allowed = [0, 0, 0, 0, 0, 499, 501, 502, 60_000, 60_000, 60_000, 60_000, 60_000].map(&mut taken);
        let expected = [true, true, true, true, false, false, true, false, true, true, true, true, false];
        assert_eq!(allowed, expected);
    }

    #[test]
    fn each_protocol_calls_its_shell_answers_and_refuses() {
        let api = ModelApi::start();
        let prompt = "@@bash echo one@@ @@say bye@@";
        let responses = |input: Value| {
            let tools = json!([{"type": "function", "name": "exec_command"}]);
            let body = json!({"model": "m", "tools": tools, "input": input, "prompt_cache_key": "0198"});
            post(&api, "/v1/responses", "", &body)
        };
        let asked = json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": prompt}]});
        let result = json!({"type": "function_call_output", "call_id": "call_1", "output": "one"});
        assert!(responses(json!([asked])).contains(r#"{\"cmd\":\"echo one\"}"#));
        assert!(responses(json!([asked, result])).contains(r#""text":"bye""#));
        let generate = |contents: Value| {
            let tools = json!([{"functionDeclarations": [{"name": "run_shell_command"}]}]);
            let body = json!({"contents": contents, "tools": tools});
            post(&api, "/v1beta/models/gemini-x:streamGenerateContent?alt=sse", "", &body)
        };
        let asked = json!({"role": "user", "parts": [{"text": prompt}]});
        let result = json!({"role": "user", "parts": [{"functionResponse": {"name": "run_shell_command"}}]});
        assert!(generate(json!([asked])).contains(r#""command":"echo one""#));
        assert!(generate(json!([asked, result])).contains(r#""text":"bye""#));
        api.fail(429, "slow down", usize::MAX);
        assert!(responses(json!([asked])).contains("rate_limit_exceeded"));
        assert!(generate(json!([asked])).contains("RESOURCE_EXHAUSTED"));
        api.limit_until(4_102_444_800);
        assert!(responses(json!([asked])).contains(r#""resets_at":4102444800"#));
        assert!(generate(json!([asked])).contains("Quota exceeded"));
        assert_eq!(api.prompts(), [prompt, prompt, "", prompt, "", prompt]);
        assert_eq!(api.requests()[0].session.as_deref(), Some("0198"));
        assert!(post(&api, "/v1beta/models/gemini-x:countTokens", "", &json!({})).contains("totalTokens"));
        assert!(post(&api, "/v1/messages/count_tokens", "", &json!({})).contains("input_tokens"));
    }
}
