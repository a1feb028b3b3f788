//! A scripted stand-in for Claude Code, for tests only. It reads its prompt from stdin and carries out the directives in
//! it, in order. Called with `stream-json`, it reports in that dialect, else in plain text.
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
//! | `@@hang@@`, `@@hang-after-result@@` | never exits; reports its result and never exits |
//! | `@@headless FILE@@` | ends its main thread and hangs in another one, with its pid in FILE |
//! | `@@try N:DIRECTIVE@@` | carries out DIRECTIVE, but only on try N (`BOI_TRY`) |
//!
//! Relative paths start at the working directory. `FAKE_AGENT_SCRIPT` names a file with more directives, which are
//! carried out first. Every start appends a JSON line to the file that `FAKE_AGENT_TRACE` names.

#![expect(clippy::disallowed_methods, reason = "a program of its own, not a part of boi")]

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;
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
    let after_session = argv.iter().position(|argument| argument == "--session-id").map(|at| at + 1);
    let mut agent = Agent {
        json: argv.iter().any(|argument| argument == "stream-json"),
        session: after_session.and_then(|at| argv.get(at).cloned()).unwrap_or_else(|| "none".to_owned()),
        model: argv.iter().position(|argument| argument == "--model").and_then(|at| argv.get(at + 1).cloned()),
        turns: 0,
        final_text: "done".to_owned(),
        hang_after_result: false,
    };
    agent.begin();
    agent.run(&directives(&script));
    agent.run(&directives(prompt.split(REPORT).next().unwrap_or("")));
    agent.succeed();
}

/// The texts between pairs of `@@`, without those for other tries.
fn directives(text: &str) -> Vec<String> {
    let current = std::env::var("BOI_TRY").unwrap_or_default();
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
    json: bool,
    session: String,
    model: Option<String>,
    turns: u64,
    final_text: String,
    hang_after_result: bool,
}

impl Agent {
    fn begin(&self) {
        if self.json {
            let model = self.model.as_deref().unwrap_or("fake-model");
            let tools = ["Bash", "Edit"];
            self.emit(json!({"type": "system", "subtype": "init", "model": model, "tools": tools, "cwd": cwd()}));
        }
    }

    fn run(&mut self, directives: &[String]) {
        for directive in directives {
            self.turns += 1;
            let (name, rest) = directive.split_once(char::is_whitespace).unwrap_or((directive, ""));
            self.carry_out(name, rest.trim());
        }
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
                self.emit(json!({"type": "rate_limit_event", "rate_limit_info": {
                    "status": "rejected", "resetsAt": number(rest), "rateLimitType": "five_hour",
                    "overageStatus": "rejected", "isUsingOverage": false}}));
                self.fail(429, "You've hit your limit · resets 12:53am (UTC)");
            }
            "max-turns" => {
                let mut line = self.result(false, true, Value::Null, "");
                line["subtype"] = "error_max_turns".into();
                line["errors"] = json!(["Reached maximum number of turns (1)"]);
                self.emit(line);
                exit(1);
            }
            "hang" => hang(),
            "headless" => go_headless(Path::new(rest)),
            "hang-after-result" => self.hang_after_result = true,
            other => panic!("no such directive: {other}"),
        }
    }

    fn shell(&mut self, command: &str) {
        let id = format!("toolu_{:04}", self.turns);
        self.message(json!({"type": "tool_use", "id": id, "name": "Bash", "input": {"command": command}}));
        let output = Command::new("sh").args(["-c", command]).stdin(Stdio::null()).output().expect("sh is started");
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        if self.json {
            self.emit(json!({"type": "user", "message": {"role": "user", "content": [{
                "type": "tool_result", "tool_use_id": id, "content": text, "is_error": !output.status.success()}]}}));
        } else {
            print(text.as_bytes());
        }
    }

    fn succeed(&mut self) {
        self.message(json!({"type": "text", "text": self.final_text}));
        if self.json {
            self.emit(self.result(true, false, Value::Null, &self.final_text));
        } else {
            print(format!("{}\n", self.final_text).as_bytes());
        }
        if self.hang_after_result {
            hang();
        }
    }

    fn fail(&mut self, status: u16, text: &str) {
        if self.json {
            self.emit(self.result(true, true, status.into(), text));
        } else {
            eprintln!("{text}");
        }
        exit(1);
    }

    fn result(&self, success: bool, is_error: bool, status: Value, text: &str) -> Value {
        json!({
            "type": "result", "subtype": if success { "success" } else { "error" }, "is_error": is_error,
            "api_error_status": status, "duration_ms": 5, "num_turns": self.turns.max(1), "result": text,
            "total_cost_usd": 0.001, "usage": {"input_tokens": 100, "cache_creation_input_tokens": 20,
            "cache_read_input_tokens": 3, "output_tokens": 10}, "modelUsage": {}, "permission_denials": []})
    }

    fn message(&self, block: Value) {
        if self.json {
            let id = format!("msg_{}", self.turns);
            self.emit(json!({"type": "assistant", "parent_tool_use_id": null, "message": {
                "id": id, "type": "message", "role": "assistant", "content": [block],
                "usage": {"input_tokens": 100, "output_tokens": 1}}}));
        }
    }

    fn emit(&self, mut line: Value) {
        line["session_id"] = self.session.as_str().into();
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

fn hang() -> ! {
    sleep(LONGEST_LIFE);
    exit(99)
}

/// Ends the main thread and hangs in another one. The kernel shows such a process as a zombie, although it lives.
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
