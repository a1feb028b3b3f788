//! A stand-in for the Anthropic Messages API on 127.0.0.1, for tests. With it the real Claude Code CLI runs without a
//! model: the CLI calls its tools, edits files and reports its cost.
//!
//! The "model" follows the directives in the latest prompt, one tool call a turn: each `@@bash CMD@@` calls the Bash
//! tool, in order, and `@@say TEXT@@` gives the final text (default: `done`). [`ModelApi::fail`] and
//! [`ModelApi::limit_until`] make it refuse requests. [`ModelApi::prompts`] returns the prompts that it received.
//!
//! [`ModelApi::claude_env`] returns the environment in which the CLI talks to it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};

/// A request to `POST /v1/messages`.
#[derive(Debug, Clone)]
pub struct Request {
    /// The session of Claude Code, from the request's header.
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
    requests: Vec<Request>,
}

struct Failure {
    status: u16,
    message: String,
    left: usize,
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
                    std::thread::spawn(move || drop(serve(&stream, &shared)));
                }
            }
        });
        ModelApi { address, shared, acceptor: Some(acceptor) }
    }

    /// The value for `ANTHROPIC_BASE_URL`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers the next `count` requests with `status` and the error `message`.
    pub fn fail(&self, status: u16, message: &str, count: usize) {
        self.shared.state().failure = Some(Failure { status, message: message.to_owned(), left: count });
    }

    /// Answers as if a usage limit were used up that is reset at `epoch`, in seconds; `None` ends that. The CLI prints a
    /// `rate_limit_event` for it only with a login (`CLAUDE_CODE_OAUTH_TOKEN`), not with an API key.
    pub fn limit_until(&self, epoch: Option<i64>) {
        self.shared.state().limited_until = epoch;
    }

    /// All requests received so far.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.state().requests.clone()
    }

    /// The prompts received so far, one for each run of the CLI.
    pub fn prompts(&self) -> Vec<String> {
        let requests = self.requests();
        let of_agents = requests.iter().filter(|request| has_bash(&request.body));
        let prompts = of_agents.map(|request| latest_prompt(&request.body));
        prompts.filter(|(_, answered)| *answered == 0).map(|(prompt, _)| prompt).collect()
    }

    /// The variables with which the CLI talks to this API and to nothing else. `home` is an empty directory.
    /// `IS_SANDBOX` lets the CLI skip permission prompts as root. With one retry, a refused run ends after about 1 s.
    pub fn claude_env(&self, home: &Path) -> Vec<(&'static str, String)> {
        vec![
            ("ANTHROPIC_BASE_URL", self.url()),
            ("ANTHROPIC_API_KEY", "sk-fake".to_owned()),
            ("HOME", home.display().to_string()),
            ("IS_SANDBOX", "1".to_owned()),
            ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1".to_owned()),
            ("CLAUDE_CODE_MAX_RETRIES", "1".to_owned()),
            ("DISABLE_AUTOUPDATER", "1".to_owned()),
        ]
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

/// Answers the one request on a connection.
fn serve(stream: &TcpStream, shared: &Shared) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let (mut length, mut session, mut expects) = (0, None, false);
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header)? == 0 || header.trim().is_empty() {
            break;
        }
        let (name, value) = header.split_once(':').unwrap_or((&header, ""));
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().unwrap_or(0),
            "x-claude-code-session-id" => session = Some(value.trim().to_owned()),
            "expect" => expects = true,
            _ => {}
        }
    }
    let mut out = stream;
    if expects {
        out.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let mut words = first.split_whitespace();
    let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    let response = match method {
        "HEAD" => Response::json(200, &json!({})).without_body(),
        "POST" if path.contains("count_tokens") => Response::json(200, &json!({"input_tokens": 10})),
        "POST" if path.starts_with("/v1/messages") => shared.messages(session, &body),
        _ => Response::error(404, "not found"),
    };
    out.write_all(&response.bytes())?;
    out.flush()
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn messages(&self, session: Option<String>, body: &[u8]) -> Response {
        let Ok(body) = serde_json::from_slice::<Value>(body) else { return Response::error(400, "not JSON") };
        let mut state = self.state();
        let response = if let Some(reset) = state.limited_until {
            Response::limited(reset)
        } else if let Some(failure) = state.failure.as_mut().filter(|failure| failure.left > 0) {
            failure.left -= 1;
            Response::error(failure.status, &failure.message).with("retry-after", "1")
        } else {
            Response::events(&body)
        };
        state.requests.push(Request { session, status: response.status, body });
        response
    }
}

struct Response {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Response {
    fn json(status: u16, body: &Value) -> Response {
        let headers = vec![("content-type", "application/json".to_owned())];
        Response { status, headers, body: body.to_string().into_bytes() }
    }

    fn error(status: u16, message: &str) -> Response {
        let kind = match status {
            401 => "authentication_error",
            403 => "permission_error",
            429 => "rate_limit_error",
            529 => "overloaded_error",
            500.. => "api_error",
            _ => "invalid_request_error",
        };
        Response::json(status, &json!({"type": "error", "error": {"type": kind, "message": message}}))
    }

    fn limited(reset: i64) -> Response {
        let at = reset.to_string();
        Response::error(429, "usage limit reached")
            .with("anthropic-ratelimit-unified-status", "rejected")
            .with("anthropic-ratelimit-unified-reset", &at)
            .with("anthropic-ratelimit-unified-representative-claim", "five_hour")
            .with("anthropic-ratelimit-unified-5h-status", "rejected")
            .with("anthropic-ratelimit-unified-5h-reset", &at)
            .with("anthropic-ratelimit-unified-overage-status", "rejected")
    }

    /// The next turn of the scripted model, as the stream of events that the real API sends.
    fn events(request: &Value) -> Response {
        let (block, delta, stop) = turn(request);
        let model = request["model"].as_str().unwrap_or("model");
        let message = json!({
            "id": "msg_scripted", "type": "message", "role": "assistant", "model": model, "content": [],
            "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": 1200, "output_tokens": 1}});
        let events = [
            json!({"type": "message_start", "message": message}),
            json!({"type": "content_block_start", "index": 0, "content_block": block}),
            json!({"type": "content_block_delta", "index": 0, "delta": delta}),
            json!({"type": "content_block_stop", "index": 0}),
            json!({"type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": null},
                   "usage": {"output_tokens": 40}}),
            json!({"type": "message_stop"}),
        ];
        let text: String = events
            .iter()
            .map(|event| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or("")))
            .collect();
        let headers = vec![("content-type", "text/event-stream".to_owned())];
        Response { status: 200, headers, body: text.into_bytes() }
    }

    fn with(mut self, name: &'static str, value: &str) -> Response {
        self.headers.push((name, value.to_owned()));
        self
    }

    fn without_body(mut self) -> Response {
        self.body.clear();
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} Scripted\r\nconnection: close\r\n", self.status);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("content-length: {}\r\n\r\n", self.body.len()));
        [head.as_bytes(), &self.body].concat()
    }
}

/// The next content block of the model, its delta, and the stop reason.
fn turn(request: &Value) -> (Value, Value, &'static str) {
    let (prompt, answered) = latest_prompt(request);
    let commands = directives(&prompt, "bash");
    if has_bash(request)
        && let Some(command) = commands.get(answered)
    {
        let input = json!({"command": command, "description": "scripted step"}).to_string();
        // Unique in its session, also when the session continues with another prompt.
        let id = format!("toolu_{:04}_{answered:04}", request["messages"].as_array().map_or(0, Vec::len));
        let block = json!({"type": "tool_use", "id": id, "name": "Bash", "input": {}});
        return (block, json!({"type": "input_json_delta", "partial_json": input}), "tool_use");
    }
    let text = directives(&prompt, "say").pop().unwrap_or_else(|| "done".to_owned());
    (json!({"type": "text", "text": ""}), json!({"type": "text_delta", "text": text}), "end_turn")
}

/// Whether the request is of an agent. The CLI also sends requests without tools, such as for a title.
fn has_bash(request: &Value) -> bool {
    request["tools"].as_array().is_some_and(|tools| tools.iter().any(|tool| tool["name"] == "Bash"))
}

/// The latest prompt in the conversation, and how many tool calls were answered after it. Text that the CLI itself adds
/// to messages is no prompt.
fn latest_prompt(request: &Value) -> (String, usize) {
    let mut answered = 0;
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
            return (typed.join("\n"), answered);
        }
        answered += results;
    }
    (String::new(), answered)
}

/// The arguments of the directives `name` in `prompt`, in order.
fn directives(prompt: &str, name: &str) -> Vec<String> {
    let between = prompt.split("@@").skip(1).step_by(2);
    between.filter_map(|text| text.strip_prefix(name)?.strip_prefix(' ')).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn send(api: &ModelApi, request: &str) -> String {
        let mut stream = TcpStream::connect(api.address).expect("the API listens");
        stream.write_all(request.as_bytes()).expect("the API reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the API answers");
        answer
    }

    fn post(api: &ModelApi, messages: &Value) -> String {
        let body = json!({"model": "m", "tools": [{"name": "Bash"}], "messages": messages}).to_string();
        let head = "POST /v1/messages?beta=true HTTP/1.1\r\nX-Claude-Code-Session-Id: 3f22\r\n";
        send(api, &format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()))
    }

    #[test]
    fn only_the_latest_prompt_has_directives() {
        let api = ModelApi::start();
        let first = json!({"role": "user", "content": "@@bash echo one@@ @@bash echo two@@ @@say bye@@"});
        let result = json!({"role": "user", "content": [{"type": "tool_result", "content": "@@bash rm@@"},
            {"type": "text", "text": "<system-reminder>@@bash rm@@</system-reminder>"}]});
        let call = json!({"role": "assistant", "content": []});
        assert!(post(&api, &json!([first])).contains("echo one"));
        assert!(post(&api, &json!([first, call, result])).contains("echo two"));
        assert!(post(&api, &json!([first, call, result, call, result])).contains("\"text\":\"bye\""));
        let second = json!({"role": "user", "content": [{"type": "text", "text": "@@bash echo three@@"}]});
        assert!(post(&api, &json!([first, call, result, second])).contains("echo three"));
        assert_eq!(api.prompts(), ["@@bash echo one@@ @@bash echo two@@ @@say bye@@", "@@bash echo three@@"]);
    }

    #[test]
    fn failures_and_limits_are_answered_while_they_last() {
        let api = ModelApi::start();
        let prompt = json!([{"role": "user", "content": "hello"}]);
        api.fail(401, "invalid x-api-key", 1);
        assert!(post(&api, &prompt).contains("authentication_error"));
        api.limit_until(Some(1_795_481_639));
        assert!(post(&api, &prompt).contains("unified-reset: 1795481639"));
        api.limit_until(None);
        assert!(post(&api, &prompt).contains("end_turn"));
        let requests: Vec<_> = api.requests().into_iter().map(|request| (request.status, request.session)).collect();
        assert_eq!(requests, [401, 429, 200].map(|status| (status, Some("3f22".to_owned()))));
        assert!(send(&api, "GET /v1/models HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404"));
        assert!(send(&api, "HEAD / HTTP/1.1\r\n\r\n").ends_with("\r\n\r\n"));
        assert!(api.claude_env(Path::new("/nowhere")).iter().any(|(name, _)| *name == "IS_SANDBOX"));
    }
}
