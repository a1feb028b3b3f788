//! Whole runs with the real Claude Code CLI, whose program `BOI_TEST_CLAUDE` names, against the loopback model API. Without
//! that variable the tests print that they are skipped.

use super::support::{Sandbox, skip};

#[path = "../helpers/model_api.rs"]
mod model_api;

/// The model API and a sandbox with the real CLI; `None`, with the reason printed, without a CLI.
fn with_claude(config: &str) -> Option<(model_api::ModelApi, Sandbox)> {
    let Some(claude) = std::env::var("BOI_TEST_CLAUDE").ok().filter(|path| !path.is_empty()) else {
        skip("BOI_TEST_CLAUDE names no Claude Code CLI");
        return None;
    };
    let (api, sandbox) = (model_api::ModelApi::start(), Sandbox::new(config));
    let variables = api.claude_env(&sandbox.path("home"));
    let sandbox = sandbox.with_variables(variables).with_variables([("CLAUDE_BIN", claude)]);
    Some((api, sandbox))
}

#[test]
fn three_tasks_become_three_commits() {
    let Some((api, sandbox)) = with_claude("retry_count = 0") else { return };
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
fn the_prompt_of_the_second_try_contains_the_failure_of_the_first() {
    let Some((api, sandbox)) = with_claude("retry_count = 1\nretry_backoff_seconds = [0, 0]") else { return };
    let verify = "test $(wc -l < out.txt) -ge 2 || { echo too few lines; exit 7; }";
    let task = format!("[[tasks]]\nprompt = '@@bash echo x >> out.txt@@'\nverify = ['{verify}']\n");
    let (code, spec) = sandbox.run(&format!("title = 'Again'\nrepo = 'repo'\n{task}"));
    assert_eq!((code, spec["tasks"][0]["tries"].as_u64()), (Some(0), Some(2)), "{spec:#}");
    let prompts = api.prompts();
    assert_eq!(prompts.len(), 2);
    assert!(!prompts[0].contains("too few lines"));
    assert!(prompts[1].contains("exit code 7") && prompts[1].contains("too few lines"), "{}", prompts[1]);
}

#[test]
fn a_refused_login_fails_the_spec_in_its_first_try() {
    let Some((api, sandbox)) = with_claude("retry_count = 3") else { return };
    api.fail(401, "invalid x-api-key", usize::MAX);
    let (code, spec) = sandbox.run("title = 'Auth'\nrepo = 'repo'\n[[tasks]]\nprompt = 'go'\n");
    assert_eq!((code, spec["status"].as_str()), (Some(1), Some("failed")), "{spec:#}");
    assert_eq!(spec["tasks"][0]["tries"], 1);
    assert!(spec["reason"].as_str().unwrap().contains("Log in"), "{spec:#}");
}
