//! The real Claude Code CLI against the loopback API: it accepts boi's command line, and boi reads its output.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use boi::agents::{Agent, Run};
use boi::domain::outcome::TryOutcome;
use boi::domain::time::Timestamp;

use super::judge;
use super::model_api::ModelApi;

/// The program of the real CLI, if the environment names one.
fn claude() -> Option<String> {
    let claude = std::env::var("BOI_TEST_CLAUDE").ok().filter(|path| !path.is_empty());
    if claude.is_none() {
        // Not `eprintln!`: the test harness hides what a passing test prints with it.
        writeln!(std::io::stderr(), "skipped: BOI_TEST_CLAUDE does not name the Claude Code CLI")
            .expect("stderr is open");
    }
    claude
}

/// Runs the CLI with `prompt` on stdin, in the API's environment as `env` changes it; an empty value removes a variable.
fn run(claude: &str, api: &ModelApi, folder: &Path, session: &str, env: &[(&str, &str)], prompt: &str) -> Output {
    let home = tempfile::tempdir().expect("a temporary home");
    let run = Run { program: claude, arguments: &[], model: Some("sonnet"), session };
    let argv = Agent::Claude.dialect().command_line(&run);
    let mut command = Command::new(&argv[0]);
    command.args(&argv[1..]).current_dir(folder).env_remove("CLAUDECODE").env_remove("CLAUDE_CODE_OAUTH_TOKEN");
    command.envs(api.claude_env(home.path()));
    for (name, value) in env {
        if value.is_empty() {
            command.env_remove(name);
        } else {
            command.env(name, value);
        }
    }
    let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = pipes.spawn().unwrap_or_else(|error| panic!("{claude}: {error}"));
    child.stdin.take().expect("stdin").write_all(prompt.as_bytes()).expect("the CLI reads its prompt");
    child.wait_with_output().expect("the CLI ends")
}

#[test]
fn three_tasks_with_tools_succeed() {
    let Some(claude) = claude() else { return };
    let (api, folder) = (ModelApi::start(), tempfile::tempdir().unwrap());
    for number in 1..=3 {
        let session = format!("3f221111-1111-4111-8111-00000000000{number}");
        let prompt =
            format!("@@bash echo {number} >> out.txt@@ @@bash wc -l out.txt@@ @@say hit the 429 usage limit@@");
        let output = run(&claude, &api, folder.path(), &session, &[], &prompt);
        let (outcome, report) = judge(&output);
        assert_eq!(outcome, TryOutcome::Succeeded, "{}", String::from_utf8_lossy(&output.stdout));
        assert_eq!(report.session_id.as_deref(), Some(session.as_str()));
        assert_eq!((report.usage.input_tokens, report.usage.output_tokens), (3600, 120));
        assert!(report.usage.cost_usd > 0.0);
    }
    assert_eq!(fs::read_to_string(folder.path().join("out.txt")).unwrap(), "1\n2\n3\n");
    assert_eq!(api.prompts().len(), 3);
    assert!(api.prompts()[2].contains("echo 3"));
}

#[test]
fn each_refusal_has_its_outcome() {
    let Some(claude) = claude() else { return };
    let (api, folder) = (ModelApi::start(), tempfile::tempdir().unwrap());
    let outcome = |number: u32, env: &[(&str, &str)]| {
        let session = format!("3f221111-1111-4111-8111-1000000000{number:02}");
        judge(&run(&claude, &api, folder.path(), &session, env, "hello")).0
    };
    let with_key: &[(&str, &str)] = &[];
    let with_login: &[(&str, &str)] = &[("ANTHROPIC_API_KEY", ""), ("CLAUDE_CODE_OAUTH_TOKEN", "sk-ant-oat01-fake")];
    api.fail(401, "invalid x-api-key", usize::MAX);
    assert!(matches!(outcome(1, with_key), TryOutcome::Auth(_)));
    api.fail(429, "This request would exceed your organization's rate limit", usize::MAX);
    assert!(matches!(outcome(2, with_key), TryOutcome::Throttled(_)));
    assert!(matches!(outcome(3, with_login), TryOutcome::Throttled(_)));
    api.fail(529, "Overloaded", usize::MAX);
    assert!(matches!(outcome(4, with_key), TryOutcome::Overloaded(_)));
    api.fail(400, "prompt is too long: 213462 tokens > 200000 maximum", usize::MAX);
    assert!(matches!(outcome(5, with_key), TryOutcome::Context(_)));
    api.fail(400, "Your credit balance is too low to access the Anthropic API.", usize::MAX);
    assert!(matches!(outcome(6, with_key), TryOutcome::NeedsHuman(_)));
    api.fail(404, "model: claude-nope", usize::MAX);
    assert!(matches!(outcome(9, with_key), TryOutcome::UnknownModel(_)));
    if rustix::process::getuid().is_root() {
        assert!(matches!(outcome(10, &[("IS_SANDBOX", "")]), TryOutcome::RefusesRoot(_)));
    }
    let reset = jiff::Timestamp::now().as_second() + 3600;
    api.limit_until(Some(reset));
    match outcome(7, with_login) {
        TryOutcome::Limited { until: Some(Timestamp(until)), .. } => {
            // The outcome is judged at the fixed time `NOW`, and no limit is believed to last longer than 8 days.
            assert_eq!(until, (reset * 1000).clamp(super::NOW.0 + 5_000, super::NOW.0 + 8 * 24 * 3_600_000));
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(outcome(8, &[("ANTHROPIC_API_KEY", "")]), TryOutcome::Auth(_)));
}
