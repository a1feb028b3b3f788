//! A scripted stand-in for Claude Code and Codex, for tests only. It reads its prompt from stdin and carries
//! out the directives in it, in order. Called with `stream-json`, it reports like Claude Code; called with
//! `exec`, like Codex; else in plain text.
//!
//! | directive | what it does |
//! | --- | --- |
//! | `@@write PATH TEXT@@` | writes TEXT and a newline to PATH |
//! | `@@sh CMD@@` | runs `sh -c CMD`, reported as a tool call |
//! | `@@say TEXT@@` | makes TEXT the final text |
//! | `@@stderr TEXT@@` | prints a line to stderr |
//! | `@@touch FILE@@`, `@@wait FILE@@` | creates FILE; waits until FILE exists |
//! | `@@grandchild setsid\|plain FILE@@` | leaves a sleeping process behind, with its pid in FILE |
//! | `@@ignore-term@@` | ignores SIGTERM from now on |
//! | `@@flood MB@@`, `@@long-line MB@@` | prints that much in many lines; in one line |
//! | `@@garbage@@` | prints lines that are neither JSON nor UTF-8 |
//! | `@@partial@@` | prints half of a result line and exits with 0 |
//! | `@@exit N@@`, `@@signal N@@` | ends without a result, by exit code N; by signal N |
//! | `@@auth@@`, `@@limited EPOCH@@`, `@@throttled@@`, `@@overloaded@@`, `@@credit@@`, `@@context@@`, `@@max-turns@@` | fails for that reason |
//! | `@@cut@@` | reports success in the middle of a tool call |
//! | `@@denied TOOL@@` | goes on, and reports at its end that it was denied TOOL |
//! | `@@mode MODE@@` | begins in the permission mode MODE |
//! | `@@retry N@@` | reports that a request got no answer and is repeated for the Nth of 10 times |
//! | `@@hang@@`, `@@hang-after-result@@` | never exits; reports its result and never exits |
//! | `@@context-then-hang@@` | reports that the prompt is too long, and never exits |
//! | `@@busy FILE@@` | uses CPU time in a child, without output, until FILE exists |
//! | `@@api-errors N@@` | reports N failed requests that it repeats |
//! | `@@headless FILE@@` | ends its main thread and hangs in another one, with its pid in FILE |
//! | `@@try N:DIRECTIVE@@` | carries out DIRECTIVE, but only on try N (`BOI_TRY`) |
//!
//! Relative paths start at the working directory. `FAKE_AGENT_SCRIPT` names a file with more directives,
//! which are carried out first, and `FAKE_AGENT_MODE` the permission mode that it reports. Every start appends a
//! JSON line to the file that `FAKE_AGENT_TRACE` names.
//!
//! `FAKE_AGENT_SESSIONS` names a folder in which a session is kept. A run that continues a session in the
//! same try goes on after the directive with which the last run ended; in another try, it carries out the
//! session's directives anew.

#![expect(clippy::disallowed_methods, reason = "a program of its own, not a part of boi")]

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio, exit};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::process::{Signal, getpid, kill_process, setsid};
use serde_json::{Value, json};

/// No process of a broken test lives longer than this.
const LONGEST_LIFE: Duration = Duration::from_secs(600);

/// Where the report of a failure begins in a prompt. Directives in the report are not carried out.
const REPORT: &str = "\n---\n\nThis is try ";

fn main() {
    let argv: Vec<String> = std::env::args().collect();
    if let [_, flag, session, file] = argv.as_slice()
        && flag == "--grandchild"
    {
        return grandchild(session, Path::new(file));
    }
    let mut prompt = Vec::new();
    std::io::stdin().read_to_end(&mut prompt).expect("stdin is read to its end");
    let prompt = String::from_utf8_lossy(&prompt).into_owned();
    trace(&argv, &prompt);
    let script = match std::env::var("FAKE_AGENT_SCRIPT") {
        Ok(file) => fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file}: {error}")),
        Err(_) => String::new(),
    };
    let speech = match argv.get(1).map(String::as_str) {
        Some("exec") => Speech::Codex,
        _ if argv.iter().any(|argument| argument == "stream-json") => Speech::Claude,
        _ => Speech::Text,
    };
    let after = |flag: &str| argv.iter().position(|argument| argument == flag).and_then(|at| argv.get(at + 1).cloned());
    let resumed = match speech {
        Speech::Codex if argv.get(2).is_some_and(|argument| argument == "resume") => argv.iter().rev().nth(1).cloned(),
        _ => after("--resume"),
    };
    let new = || after("--session-id").unwrap_or_else(|| format!("thread-{}", std::process::id()));
    let folder = std::env::var_os("FAKE_AGENT_SESSIONS").map(PathBuf::from);
    let mut agent = Agent {
        speech,
        session: resumed.clone().unwrap_or_else(new),
        model: after("--model"),
        turns: 0,
        final_text: "done".to_owned(),
        hang_after_result: false,
        denied: Vec::new(),
        mode: None,
        kept: None,
    };
    let mut kept = Kept { prompt: prompt.split(REPORT).next().unwrap_or("").to_owned(), ..Kept::default() };
    if let (Some(id), Some(folder)) = (&resumed, &folder) {
        match Kept::read(&folder.join(id)) {
            Some(earlier) => kept.prompt = earlier.prompt + &kept.prompt,
            None => agent.refuse_session(),
        }
        kept.carried_out = Kept::read(&folder.join(id)).map_or(0, |earlier| earlier.carried_out_in(&current_try()));
    }
    let (script, mine) = (directives(&script), directives(&kept.prompt));
    agent.mode = script.iter().chain(&mine).find_map(|directive| directive.strip_prefix("mode ")).map(str::to_owned);
    agent.begin();
    agent.run(&script);
    let left = mine.get(kept.carried_out..).unwrap_or_default().to_vec();
    kept.of_try = current_try();
    agent.kept = folder.map(|folder| (folder.join(&agent.session), kept));
    agent.run(&left);
    agent.succeed();
}

/// How the agent reports.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Speech {
    Claude,
    Codex,
    Text,
}

/// What a session remembers.
#[derive(Default)]
struct Kept {
    prompt: String,
    of_try: String,
    /// How many of the prompt's directives for this try were begun.
    carried_out: usize,
}

impl Kept {
    fn read(file: &Path) -> Option<Kept> {
        let json: Value = serde_json::from_slice(&fs::read(file).ok()?).expect("a session");
        let text = |key: &str| json[key].as_str().expect("a text").to_owned();
        let carried_out = usize::try_from(json["carried_out"].as_u64().expect("a count")).expect("a count");
        Some(Kept { prompt: text("prompt"), of_try: text("of_try"), carried_out })
    }

    fn write(&self, file: &Path) {
        let json = json!({"prompt": self.prompt, "of_try": self.of_try, "carried_out": self.carried_out});
        write(file, &json.to_string());
    }

    fn carried_out_in(&self, of_try: &str) -> usize {
        if self.of_try == of_try { self.carried_out } else { 0 }
    }
}

fn current_try() -> String {
    std::env::var("BOI_TRY").unwrap_or_default()
}

/// The texts between pairs of `@@`, without those for other tries.
fn directives(text: &str) -> Vec<String> {
    let current = current_try();
    text.split("@@")
        .skip(1)
        .step_by(2)
        .filter_map(|directive| match directive.strip_prefix("try ").and_then(|rest| rest.split_once(':')) {
            Some((number, directive)) => (number.trim() == current).then(|| directive.trim().to_owned()),
            None => Some(directive.trim().to_owned()),
        })
        .collect()
}

struct Agent {
    speech: Speech,
    session: String,
    model: Option<String>,
    turns: u64,
    final_text: String,
    hang_after_result: bool,
    denied: Vec<String>,
    mode: Option<String>,
    /// The file of the session, and what it remembers, once the prompt is carried out.
    kept: Option<(PathBuf, Kept)>,
}

impl Agent {
    fn begin(&self) {
        match self.speech {
            Speech::Claude => {
                let model = self.model.as_deref().unwrap_or("fake-model");
                let mode = self.mode.clone().or_else(|| std::env::var("FAKE_AGENT_MODE").ok());
                let (tools, mode) = (["Bash", "Edit"], mode.unwrap_or_else(|| "bypassPermissions".to_owned()));
                self.emit(json!({"type": "system", "subtype": "init", "model": model, "tools": tools, "cwd": cwd(),
                    "permissionMode": mode}));
            }
            Speech::Codex => {
                self.emit(json!({"type": "thread.started", "thread_id": self.session}));
                self.emit(json!({"type": "turn.started"}));
            }
            Speech::Text => {}
        }
    }

    fn run(&mut self, directives: &[String]) {
        if let Some((file, kept)) = &self.kept {
            kept.write(file);
        }
        for directive in directives {
            self.turns += 1;
            if let Some((file, kept)) = &mut self.kept {
                kept.carried_out += 1;
                kept.write(file);
            }
            let (name, rest) = directive.split_once(char::is_whitespace).unwrap_or((directive, ""));
            self.carry_out(name, rest.trim());
        }
    }

    /// Fails like an agent that does not know the session.
    fn refuse_session(&self) -> ! {
        match self.speech {
            Speech::Claude => {
                let mut line = self.result(false, true, Value::Null, "");
                line["errors"] = json!([format!("No conversation found with session ID: {}", self.session)]);
                self.emit(line);
            }
            _ => eprintln!("Error: thread/resume failed: no rollout found for thread id {}", self.session),
        }
        exit(1)
    }

    fn carry_out(&mut self, name: &str, rest: &str) {
        match name {
            "write" => {
                let (path, text) = rest.split_once(' ').unwrap_or((rest, ""));
                write(Path::new(path), &format!("{text}\n"));
            }
            "sh" => self.shell(rest),
            "say" => self.final_text = rest.to_owned(),
            "stderr" => eprintln!("{rest}"),
            "touch" => write(Path::new(rest), ""),
            "wait" => wait_for(Path::new(rest)),
            "grandchild" => {
                let (session, file) = rest.split_once(' ').expect("grandchild setsid|plain FILE");
                leave_behind(session, file);
            }
            "ignore-term" => {
                let seen = Arc::new(AtomicBool::new(false));
                signal_hook::flag::register(signal_hook::consts::SIGTERM, seen).expect("SIGTERM is caught");
            }
            "flood" => flood(number(rest)),
            "long-line" => long_line(number(rest)),
            "garbage" => {
                print(b"Warning: not JSON\n\xff\xfe\x00\x1b[31m{\"type\":\n[1,2]\n{\"type\":\"novel\",\"deep\":[[]]}\n")
            }
            "partial" => {
                let line = self.result(true, false, Value::Null, "done").to_string();
                print(&line.as_bytes()[..line.len() / 2]);
                exit(0);
            }
            "exit" => exit(i32::try_from(number(rest)).expect("an exit code")),
            "signal" => die_by(i32::try_from(number(rest)).expect("a signal")),
            "auth" => self.fail(401, "Failed to authenticate. API Error: 401 invalid x-api-key"),
            "throttled" => self.fail(429, "API Error: Request rejected (429) · too many requests"),
            "overloaded" => self.fail(529, "API Error: 529 Overloaded. This is a server-side issue"),
            "credit" => self.fail(400, "Credit balance is too low"),
            "context" => self.fail(400, "Prompt is too long · the request is ~213462 tokens (limit 200000)"),
            "limited" => {
                if self.speech == Speech::Claude {
                    self.emit(json!({"type": "rate_limit_event", "rate_limit_info": {
                        "status": "rejected", "resetsAt": number(rest), "rateLimitType": "five_hour",
                        "overageStatus": "rejected", "isUsingOverage": false}}));
                }
                self.fail(429, "You've hit your limit · resets 12:53am (UTC)");
            }
            "max-turns" => {
                let mut line = self.result(false, true, Value::Null, "");
                line["subtype"] = "error_max_turns".into();
                line["errors"] = json!(["Reached maximum number of turns (1)"]);
                self.emit(line);
                exit(1);
            }
            "cut" => {
                self.message(
                    json!({"type": "tool_use", "id": "toolu_cut", "name": "Bash", "input": {"command": "true"}}),
                );
                let mut line = self.result(true, false, Value::Null, "");
                line["stop_reason"] = "tool_use".into();
                self.emit(line);
                exit(0);
            }
            "denied" => self.denied.push(rest.to_owned()),
            // The mode is reported at the beginning of the run.
            "mode" => {}
            "retry" => match self.speech {
                Speech::Claude => self.emit(json!({"type": "system", "subtype": "api_retry", "attempt": number(rest),
                    "max_retries": 10, "retry_delay_ms": 500, "error_status": 529, "error": "overloaded"})),
                _ => self.emit(json!({"type": "error",
                    "message": format!("Reconnecting... {rest}/10 (unexpected status 529: overloaded)")})),
            },
            "hang" => hang(),
            "context-then-hang" => {
                self.emit(self.result(true, true, 400.into(), "Prompt is too long · the request is ~213462 tokens"));
                hang();
            }
            "busy" => busy(Path::new(rest)),
            "api-errors" => {
                for attempt in 1..=number(rest) {
                    self.emit(json!({"type": "system", "subtype": "api_retry", "attempt": attempt, "max_retries": 10,
                        "retry_delay_ms": 1, "error_status": 529, "error": "overloaded"}));
                }
            }
            "headless" => go_headless(Path::new(rest)),
            "hang-after-result" => self.hang_after_result = true,
            other => panic!("no such directive: {other}"),
        }
    }

    fn shell(&mut self, command: &str) {
        let id = format!("toolu_{:04}", self.turns);
        match self.speech {
            Speech::Claude => {
                self.message(json!({"type": "tool_use", "id": id, "name": "Bash", "input": {"command": command}}));
            }
            Speech::Codex => self.emit(json!({"type": "item.started", "item": {"id": id, "type": "command_execution",
                "command": command, "aggregated_output": "", "exit_code": null, "status": "in_progress"}})),
            Speech::Text => {}
        }
        let output = Command::new("sh").args(["-c", command]).stdin(Stdio::null()).output().expect("sh is started");
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        let success = output.status.success();
        match self.speech {
            Speech::Claude => self.emit(json!({"type": "user", "message": {"role": "user", "content": [{
                "type": "tool_result", "tool_use_id": id, "content": text, "is_error": !success}]}})),
            Speech::Codex => {
                self.emit(json!({"type": "item.completed", "item": {"id": id, "type": "command_execution",
                "command": command, "aggregated_output": text, "exit_code": output.status.code(),
                "status": if success { "completed" } else { "failed" }}}))
            }
            Speech::Text => print(text.as_bytes()),
        }
    }

    fn succeed(&mut self) {
        match self.speech {
            Speech::Claude => {
                self.message(json!({"type": "text", "text": self.final_text}));
                self.emit(self.result(true, false, Value::Null, &self.final_text));
            }
            Speech::Codex => {
                self.emit(json!({"type": "item.completed",
                    "item": {"id": "item_last", "type": "agent_message", "text": self.final_text}}));
                self.emit(json!({"type": "turn.completed",
                    "usage": {"input_tokens": 100, "cached_input_tokens": 40, "output_tokens": 10}}));
            }
            Speech::Text => print(format!("{}\n", self.final_text).as_bytes()),
        }
        if self.hang_after_result {
            hang();
        }
    }

    fn fail(&mut self, status: u16, text: &str) {
        match self.speech {
            Speech::Claude => {
                let api_error = json!({"id": "api_error", "type": "message", "role": "assistant", "model": "<synthetic>",
                    "content": [{"type": "text", "text": text}], "usage": {"input_tokens": 0, "output_tokens": 0}});
                self.emit(json!({"type": "assistant", "parent_tool_use_id": null, "is_api_error_message": true,
                    "message": api_error}));
                self.emit(self.result(true, true, status.into(), text));
            }
            Speech::Codex => {
                let text = match status {
                    429 if text.contains("limit") => "You\u{2019}ve hit your usage limit. Try again later.".to_owned(),
                    429 => "exceeded retry limit, last status: 429 Too Many Requests".to_owned(),
                    status => format!("unexpected status {status}: {text}"),
                };
                self.emit(json!({"type": "error", "message": text}));
                self.emit(json!({"type": "turn.failed", "error": {"message": text}}));
            }
            Speech::Text => eprintln!("{text}"),
        }
        exit(1);
    }

    fn result(&self, success: bool, is_error: bool, status: Value, text: &str) -> Value {
        let denials: Vec<Value> = self.denied.iter().map(|tool| json!({"tool_name": tool})).collect();
        json!({
            "type": "result", "subtype": if success { "success" } else { "error" }, "is_error": is_error,
            "api_error_status": status, "duration_ms": 5, "num_turns": self.turns.max(1), "result": text,
            "total_cost_usd": 0.001, "usage": {"input_tokens": 100, "cache_creation_input_tokens": 20,
            "cache_read_input_tokens": 3, "output_tokens": 10}, "modelUsage": {}, "permission_denials": denials})
    }

    fn message(&self, block: Value) {
        if self.speech == Speech::Claude {
            let id = format!("msg_{}", self.turns);
            self.emit(json!({"type": "assistant", "parent_tool_use_id": null, "message": {
                "id": id, "type": "message", "role": "assistant", "content": [block],
                "usage": {"input_tokens": 100, "output_tokens": 1}}}));
        }
    }

    fn emit(&self, mut line: Value) {
        if self.speech == Speech::Claude {
            line["session_id"] = self.session.as_str().into();
        }
        print(format!("{line}\n").as_bytes());
    }
}

/// Prints at once, without a buffer.
fn print(bytes: &[u8]) {
    let mut out = std::io::stdout().lock();
    // The reader may be gone.
    if out.write_all(bytes).and_then(|()| out.flush()).is_err() {
        exit(141);
    }
}

fn number(text: &str) -> u64 {
    text.parse().unwrap_or_else(|error| panic!("{text:?} is not a number: {error}"))
}

fn cwd() -> String {
    std::env::current_dir().expect("there is a working directory").display().to_string()
}

/// Writes a file that appears with its whole content, so that a test that waits for it can read it at once.
fn write(path: &Path, text: &str) {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).unwrap_or_else(|error| panic!("{}: {error}", parent.display()));
    }
    let mut name = path.file_name().expect("a file name").to_owned();
    name.push(format!(".{}", std::process::id()));
    let partial = path.with_file_name(name);
    fs::write(&partial, text).unwrap_or_else(|error| panic!("{}: {error}", partial.display()));
    fs::rename(&partial, path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

fn wait_for(path: &Path) {
    let mut left = LONGEST_LIFE;
    while !path.exists() {
        let pause = Duration::from_millis(5);
        left = left.checked_sub(pause).unwrap_or_else(|| panic!("{} was never created", path.display()));
        sleep(pause);
    }
}

/// Starts a shell that uses CPU time, and ends it when `file` exists.
fn busy(file: &Path) {
    let mut shell = Command::new("sh").args(["-c", "while :; do :; done"]).stdin(Stdio::null()).spawn().expect("sh");
    wait_for(file);
    shell.kill().expect("the shell is killed");
    shell.wait().expect("the shell is waited for");
}

fn hang() -> ! {
    sleep(LONGEST_LIFE);
    exit(99)
}

/// Ends the main thread and hangs in another one. The kernel shows such a process as a zombie, although it
/// lives.
fn go_headless(file: &Path) -> ! {
    let file = file.to_owned();
    std::thread::spawn(move || {
        while !fs::read_to_string("/proc/self/stat").is_ok_and(|stat| stat.contains(") Z ")) {
            sleep(Duration::from_millis(5));
        }
        write(&file, &std::process::id().to_string());
        hang()
    });
    // SAFETY: it ends this thread alone, and no other thread uses anything on its stack.
    unsafe { libc::syscall(libc::SYS_exit, 0) };
    unreachable!("this thread has ended")
}

fn die_by(signal: i32) -> ! {
    kill_process(getpid(), Signal::from_named_raw(signal).expect("a signal's number")).expect("a signal to itself");
    hang()
}

fn flood(megabytes: u64) {
    let line = [b"x".repeat(1023), b"\n".to_vec()].concat();
    for _ in 0..megabytes * 1024 {
        print(&line);
    }
}

fn long_line(megabytes: u64) {
    print(b"{\"type\":\"user\",\"text\":\"");
    for _ in 0..megabytes {
        print(&b"x".repeat(1 << 20));
    }
    print(b"\"}\n");
}

fn leave_behind(session: &str, file: &str) {
    let me = std::env::current_exe().expect("the agent's own program");
    // Not waited for: the tests are about an agent that leaves its children behind.
    drop(Command::new(me).args(["--grandchild", session, file]).stdin(Stdio::null()).spawn().expect("a child"));
    wait_for(Path::new(file));
}

fn grandchild(session: &str, file: &Path) {
    if session == "setsid" {
        setsid().expect("a session of its own");
    }
    write(file, &std::process::id().to_string());
    sleep(LONGEST_LIFE);
}

fn trace(argv: &[String], prompt: &str) {
    let Ok(file) = std::env::var("FAKE_AGENT_TRACE") else { return };
    let boi = |name: &str| std::env::var(name).ok();
    let mut names: Vec<String> = std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned()).collect();
    names.sort();
    // Not through rustix, which has no value for 0: that is the id of a leader outside of this PID namespace.
    // SAFETY: these calls only read numbers that the kernel keeps for this process.
    let (ppid, pgid, sid) = unsafe { (libc::getppid(), libc::getpgid(0), libc::getsid(0)) };
    let line = json!({
        "argv": argv, "cwd": cwd(), "env": names, "prompt": prompt,
        "pid": std::process::id(), "ppid": ppid, "pgid": pgid, "sid": sid,
        "start_ms": u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis()).ok(),
        "spec": boi("BOI_SPEC"), "task": boi("BOI_TASK"), "attempt": boi("BOI_ATTEMPT"), "try": boi("BOI_TRY"),
    });
    // One write for one line: lines of agents that start at the same time do not mix.
    let mut out = OpenOptions::new().create(true).append(true).open(&file).unwrap_or_else(|e| panic!("{file}: {e}"));
    out.write_all(format!("{line}\n").as_bytes()).unwrap_or_else(|error| panic!("{file}: {error}"));
}
