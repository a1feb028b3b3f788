//! The fake agent carries out its prompt, and boi reads its output like that of Claude Code.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use boi::agents::{OutputKind, Reading, Run, Session};
use boi::domain::outcome::TryOutcome;
use boi::domain::time::Timestamp;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::Value;

use super::judge::judge;

/// The program of the fake agent. Panics if it has not been built.
fn program() -> PathBuf {
    let me = std::env::current_exe().expect("this test's own program");
    let profile = me.parent().and_then(Path::parent).expect("target/<profile>/deps");
    let program = profile.join("examples/fake-agent");
    let build = "run `cargo build --example fake-agent` first, or all tests with `cargo test`";
    assert!(program.exists(), "{} is missing: {build}", program.display());
    program
}

fn start(folder: &Path, number: u32, prompt: &str) -> Child {
    let (command, session) = ([program().display().to_string()], Session::New("3f22"));
    let run = Run { command: &command, arguments: &[], model: None, session, max_usd: None };
    let argv = OutputKind::ClaudeStreamJson.dialect().command_line(&run);
    let mut child = Command::new(&argv[0])
        .args(&argv[1..])
        .current_dir(folder)
        .env("FAKE_AGENT_TRACE", folder.join("trace"))
        .env("BOI_TRY", number.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the fake agent starts");
    child.stdin.take().expect("stdin").write_all(prompt.as_bytes()).expect("the fake agent reads its prompt");
    child
}

fn run(prompt: &str) -> Output {
    let folder = tempfile::tempdir().expect("a temporary folder");
    start(folder.path(), 1, prompt).wait_with_output().expect("the fake agent ends")
}

#[track_caller]
fn wait_for(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..6000 {
        if condition() {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("timed out waiting for: {what}");
}

#[test]
fn the_directives_of_a_prompt_are_carried_out_and_the_run_is_traced() {
    let folder = tempfile::tempdir().unwrap();
    let prompt = "Do: @@write a/b.txt hello@@ @@sh echo out; exit 3@@ @@try 1:write one x@@ @@try 2:write two x@@ \
                  @@say all @ once@@\n\n---\n\nThis is try 2 of this task: @@exit 9@@";
    let output = start(folder.path(), 2, prompt).wait_with_output().unwrap();
    let (outcome, report) = judge(OutputKind::ClaudeStreamJson, &output);
    assert_eq!(outcome, TryOutcome::Succeeded);
    assert_eq!((report.session_id.as_deref(), report.message.as_deref()), (Some("3f22"), Some("all @ once")));
    assert_eq!((report.usage.input_tokens, report.usage.output_tokens), (123, 10));
    assert_eq!(fs::read_to_string(folder.path().join("a/b.txt")).unwrap(), "hello\n");
    assert!(folder.path().join("two").exists() && !folder.path().join("one").exists());
    let trace: Value = serde_json::from_str(&fs::read_to_string(folder.path().join("trace")).unwrap()).unwrap();
    assert_eq!((trace["prompt"].as_str(), trace["try"].as_str()), (Some(prompt), Some("2")));
    assert!(trace["env"].as_array().unwrap().contains(&"BOI_TRY".into()));
    assert!(trace["pid"].as_u64().is_some() && trace["pgid"].as_i64().is_some() && trace["sid"].as_i64().is_some());
}

#[test]
fn each_failure_directive_has_its_outcome() {
    let outcome = |prompt: &str| judge(OutputKind::ClaudeStreamJson, &run(prompt)).0;
    assert!(matches!(outcome("@@auth@@"), TryOutcome::Auth(_)));
    assert!(matches!(outcome("@@throttled@@"), TryOutcome::Throttled(_)));
    assert!(matches!(outcome("@@overloaded@@"), TryOutcome::Overloaded(_)));
    assert!(matches!(outcome("@@credit@@"), TryOutcome::NeedsHuman(_)));
    assert!(matches!(outcome("@@context@@"), TryOutcome::Context(_)));
    assert!(matches!(outcome("@@max-turns@@"), TryOutcome::TaskBudget(_)));
    let until = Some(Timestamp(1_795_481_639_000));
    assert!(matches!(outcome("@@limited 1795481639@@"), TryOutcome::Limited { until: at, .. } if at == until));
    for crash in ["@@exit 3@@", "@@signal 9@@", "@@partial@@", "@@no-such-directive@@", "@@stderr x@@ @@exit 1@@"] {
        assert!(matches!(outcome(crash), TryOutcome::Crashed(_)), "{crash}");
    }
    assert_eq!(outcome("@@garbage@@ @@long-line 8@@ @@flood 1@@"), TryOutcome::Succeeded);
}

#[test]
fn the_agent_can_ignore_sigterm_leave_processes_behind_and_hang_after_its_result() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let prompt = "@@ignore-term@@ @@grandchild setsid g1@@ @@grandchild plain g2@@ @@touch ready@@ @@wait go@@ \
                  @@hang-after-result@@";
    let mut child = start(folder.path(), 1, prompt);
    wait_for("the agent is ready", || at("ready").exists());
    let me = Pid::from_child(&child);
    kill_process(me, Signal::TERM).unwrap();
    let grandchildren = ["g1", "g2"].map(|name| {
        let pid = fs::read_to_string(at(name)).unwrap().parse().unwrap();
        Pid::from_raw(pid).unwrap()
    });
    let leads_its_session = |pid: Pid| {
        let pid = pid.as_raw_nonzero().get();
        // SAFETY: it only reads a number, 0 if the leader is outside of this PID namespace.
        unsafe { libc::getsid(pid) == pid }
    };
    assert_eq!(grandchildren.map(leads_its_session), [true, false]);
    fs::write(at("go"), "").unwrap();
    let mut reader = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("\"type\":\"result\"") {
        line.clear();
        std::io::BufRead::read_line(&mut reader, &mut line).unwrap();
    }
    assert_eq!(child.try_wait().unwrap(), None, "it hangs after its result");
    test_kill_process(me).unwrap();
    for pid in grandchildren.into_iter().chain([me]) {
        kill_process(pid, Signal::KILL).unwrap();
    }
    child.wait().unwrap();
}

/// Runs the fake agent in `folder`, as `kind` calls it, in a session that `folder` keeps.
fn run_in_session(kind: OutputKind, folder: &Path, session: Session<'_>, prompt: &str) -> Reading {
    let command = [program().display().to_string()];
    let run = Run { command: &command, arguments: &[], model: None, session, max_usd: None };
    let argv = kind.dialect().command_line(&run);
    let mut child = Command::new(&argv[0])
        .args(&argv[1..])
        .current_dir(folder)
        .env("FAKE_AGENT_SESSIONS", folder.join("sessions"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the fake agent starts");
    child.stdin.take().expect("stdin").write_all(prompt.as_bytes()).expect("the fake agent reads its prompt");
    let mut transcript = kind.transcript();
    transcript.push(&child.wait_with_output().expect("the fake agent ends").stdout);
    transcript.finish()
}

#[test]
fn a_session_goes_on_after_the_directive_that_ended_it_in_both_dialects() {
    for kind in [OutputKind::ClaudeStreamJson, OutputKind::CodexJsonl] {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).exists();
        let prompt = "@@write one x@@ @@throttled@@ @@write two x@@ @@sh true@@";
        let first = run_in_session(kind, folder.path(), Session::New("3f22"), prompt);
        assert!(at("one") && !at("two") && !first.answered && first.result.unwrap().is_error);
        let session = first.session_id.unwrap();
        let second = run_in_session(kind, folder.path(), Session::Resume(&session), "go on");
        assert_eq!(second.session_id, Some(session));
        assert!(at("two") && second.answered && !second.result.unwrap().is_error);
        let unknown = run_in_session(kind, folder.path(), Session::Resume("unknown"), "go on");
        assert!(!unknown.answered);
    }
}

#[test]
fn what_keeps_an_agent_from_its_work_is_reported() {
    let reading = |prompt: &str| {
        let folder = tempfile::tempdir().unwrap();
        run_in_session(OutputKind::ClaudeStreamJson, folder.path(), Session::New("3f22"), prompt)
    };
    assert!(reading("@@cut@@").cut.is_some());
    assert_eq!(reading("@@denied Bash@@").denials, ["Bash"]);
    assert_eq!(reading("@@write a x@@ @@mode plan@@").forbidden_mode(), Some("plan"));
    let retry = reading("@@retry 7@@ @@exit 1@@").api_errors.retry.unwrap();
    assert_eq!((retry.attempt, retry.of), (7, 10));
}
