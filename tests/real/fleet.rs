//! Whole runs of boi with the real CLIs.

use super::cli::{CLAUDE, CODEX, Cli, GEMINI, OPENCODE};
use super::model_api::ModelApi;
use super::support::{Sandbox, wait_for};

/// The model API and a sandbox with the real CLI; `None`, with the reason printed, without a CLI.
pub fn sandbox(cli: &Cli, config: &str) -> Option<(ModelApi, Sandbox)> {
    let program = cli.program()?;
    let config = format!("{config}\n[agents.{}]\ncommand = ['{program}']\n", cli.agent);
    let (api, sandbox) = (ModelApi::start(), Sandbox::new(&config));
    let variables = (cli.environment)(&api, &sandbox.path("home"));
    // The fake agent, which a sandbox has by default, need not be built.
    let claude = if cli.agent == "claude" { program } else { "/bin/false".to_owned() };
    Some((api, sandbox.with_variables(variables).with_variables([("CLAUDE_BIN", claude)])))
}

#[test]
#[ignore = "end-to-end: `cargo test --test real -- --ignored`"]
fn three_tasks_become_three_commits() {
    let Some((api, sandbox)) = sandbox(&CLAUDE, "retry_count = 0") else { return };
    let before = sandbox.checkout();
    let tasks: String = (1..=3)
        .map(|n| format!("[[tasks]]\nprompt = '@@bash echo {n} >> out.txt@@'\nverify = ['grep {n} out.txt']\n"))
        .collect();
    let (code, spec) = sandbox.run(&format!("title = 'Real'\nrepo = 'repo'\n{tasks}"));
    assert_eq!((code, spec["status"].as_str()), (Some(0), Some("completed")), "{spec:#}");
    let branch = spec["branch"].as_str().unwrap();
    assert_eq!(sandbox.git("repo", &["rev-list", "--count", &format!("main..{branch}")]), "3");
    assert_eq!(sandbox.git("repo", &["show", &format!("{branch}:out.txt")]), "1\n2\n3");
    assert!(spec["usage"]["cost_usd"].as_f64().unwrap() > 0.0);
    assert_eq!(api.prompts().len(), 3);
    assert_eq!(sandbox.checkout(), before);
}

#[test]
#[ignore = "end-to-end: `cargo test --test real -- --ignored`"]
fn the_prompt_of_the_second_try_contains_the_failure_of_the_first() {
    let Some((api, sandbox)) = sandbox(&CLAUDE, "retry_count = 1\nretry_backoff_seconds = [0, 0]") else { return };
    let verify = "test $(wc -l < out.txt) -ge 2 || { echo too few lines; exit 7; }";
    let task = format!("[[tasks]]\nprompt = '@@bash echo x >> out.txt@@'\nverify = ['{verify}']\n");
    let (code, spec) = sandbox.run(&format!("title = 'Again'\nrepo = 'repo'\n{task}"));
    assert_eq!((code, spec["tasks"][0]["tries"].as_u64()), (Some(0), Some(2)), "{spec:#}");
    let prompts = api.prompts();
    assert_eq!(prompts.len(), 2);
    assert!(!prompts[0].contains("too few lines"));
    assert!(prompts[1].contains("exit code 7") && prompts[1].contains("too few lines"), "{}", prompts[1]);
}

/// A refused login costs no try: the spec waits, and is completed once the API accepts the login.
#[test]
#[ignore = "end-to-end: `cargo test --test real -- --ignored`"]
fn a_spec_waits_for_a_login() {
    let Some((api, mut sandbox)) = sandbox(&CLAUDE, "retry_count = 0") else { return };
    api.fail(401, "invalid x-api-key", usize::MAX);
    sandbox.start_daemon();
    let id = sandbox.dispatch("title = 'Auth'\nrepo = 'repo'\n[[tasks]]\nprompt = '@@bash echo x >> out.txt@@'\n");
    wait_for("the login is refused", || (api.count(401) > 0).then_some(()));
    let waiting = sandbox.wait_for_status(&id, "queued");
    assert!(!waiting["reason"].is_null(), "{waiting:#}");
    api.recover();
    std::fs::create_dir_all(sandbox.path("home/.claude")).expect("a home of Claude Code");
    sandbox.write("home/.claude/.credentials.json", "{}");
    let spec = sandbox.wait_for_status(&id, "completed");
    assert_eq!(spec["tasks"][0]["tries"], 1, "{spec:#}");
}

/// A spec of two tasks with an agent other than the default, whose first request is refused: the agent is held, and the spec
/// goes on in the same try once the API answers.
fn two_tasks(cli: &Cli, (status, refusal): (u16, &str)) {
    let Some((api, mut sandbox)) = sandbox(cli, "retry_count = 0") else { return };
    let tasks: String = (1..=2)
        .map(|n| {
            format!(
                "[[tasks]]\nprompt = '@@bash echo {n} >> out.txt@@ @@say wrote {n}@@'\nverify = ['grep {n} out.txt']\n"
            )
        })
        .collect();
    api.fail(status, refusal, usize::MAX);
    sandbox.start_daemon();
    let (agent, model) = (cli.agent, cli.model);
    let id = sandbox.dispatch(&format!("title = 'Real'\nrepo = 'repo'\nagent = '{agent}'\nmodel = '{model}'\n{tasks}"));
    let held = wait_for("the agent is held", || {
        let status = sandbox.good(&["status", "--json"]).json();
        status["holds"].as_array().expect("holds").first().cloned()
    });
    assert_eq!((held["agent"].as_str(), held["cause"].as_str()), (Some(agent), Some("auth")), "{held:#}");
    sandbox.wait_for_status(&id, "queued");
    api.recover();
    sandbox.good(&["resume", agent]);
    let spec = sandbox.wait_for_status(&id, "completed");
    for task in 0..2 {
        assert_eq!(spec["tasks"][task]["tries"], 1, "{spec:#}");
    }
    let branch = spec["branch"].as_str().unwrap();
    assert_eq!(sandbox.git("repo", &["show", &format!("{branch}:out.txt")]), "1\n2");
    assert_eq!(
        (spec["usage"]["input_tokens"].as_u64(), spec["usage"]["output_tokens"].as_u64()),
        (Some(4800), Some(160))
    );
}

#[test]
#[ignore = "end-to-end: `cargo test --test real -- --ignored`"]
fn two_tasks_of_codex() {
    two_tasks(&CODEX, (401, "Incorrect API key provided"));
}

#[test]
#[ignore = "end-to-end: `cargo test --test real -- --ignored`"]
fn two_tasks_of_gemini() {
    two_tasks(&GEMINI, (400, "API key not valid. Please pass a valid API key."));
}

#[test]
#[ignore = "end-to-end: `cargo test --test real -- --ignored`"]
fn two_tasks_of_opencode() {
    two_tasks(&OPENCODE, (401, "invalid x-api-key"));
}
