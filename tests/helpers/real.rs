//! The real Claude Code CLI against the loopback API: boi's command line is one it takes, and its output is read.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use boi::agents::command::command;
use boi::domain::outcome::TryOutcome;
use boi::domain::time::Timestamp;

use super::judge;
use super::model_api::ModelApi;

/// The real CLI, where there is one.
fn claude() -> Option<String> {
    let claude = std::env::var("BOI_TEST_CLAUDE").ok().filter(|path| !path.is_empty());
    if claude.is_none() {
        // Not `eprintln!`, whose text the test harness keeps to itself when a test passes.
        writeln!(std::io::stderr(), "skipped: BOI_TEST_CLAUDE names no Claude Code CLI").expect("stderr is open");
    }
    claude
}

fn run(claude: &str, api: &ModelApi, folder: &Path, session: &str, env: &[(&str, &str)], prompt: &str) -> Output {
    let home = tempfile::tempdir().expect("a home");
    let argv = command("claude", claude, &[], Some("sonnet"), session).expect("claude is known").argv;
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
    child.stdin.take().expect("stdin").write_all(prompt.as_bytes()).expect("it reads its prompt");
    child.wait_with_output().expect("it ends")
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
fn refusals_are_read_as_what_they_are() {
    let Some(claude) = claude() else { return };
    let (api, folder) = (ModelApi::start(), tempfile::tempdir().unwrap());
    let told = |number: u32, env: &[(&str, &str)]| {
        let session = format!("3f221111-1111-4111-8111-1000000000{number:02}");
        judge(&run(&claude, &api, folder.path(), &session, env, "hello")).0
    };
    let key: &[(&str, &str)] = &[];
    let login: &[(&str, &str)] = &[("ANTHROPIC_API_KEY", ""), ("CLAUDE_CODE_OAUTH_TOKEN", "sk-ant-oat01-fake")];
    api.fail(401, "invalid x-api-key", usize::MAX);
    assert!(matches!(told(1, key), TryOutcome::Auth(_)));
    api.fail(429, "This request would exceed your organization's rate limit", usize::MAX);
    assert!(matches!(told(2, key), TryOutcome::Throttled(_)));
    assert!(matches!(told(3, login), TryOutcome::Throttled(_)));
    api.fail(529, "Overloaded", usize::MAX);
    assert!(matches!(told(4, key), TryOutcome::Overloaded(_)));
    api.fail(400, "prompt is too long: 213462 tokens > 200000 maximum", usize::MAX);
    assert!(matches!(told(5, key), TryOutcome::Context(_)));
    api.fail(400, "Your credit balance is too low to access the Anthropic API.", usize::MAX);
    assert!(matches!(told(6, key), TryOutcome::NeedsHuman(_)));
    let reset = jiff::Timestamp::now().as_second() + 3600;
    api.limit_until(Some(reset));
    match told(7, login) {
        TryOutcome::Limited { until: Some(Timestamp(until)), .. } => {
            // The tests judge at a moment of their own, and no limit is believed to last longer than 8 days.
            assert_eq!(until, (reset * 1000).clamp(super::NOW.0 + 5_000, super::NOW.0 + 8 * 24 * 3_600_000));
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(told(8, &[("ANTHROPIC_API_KEY", "")]), TryOutcome::Auth(_)));
}
