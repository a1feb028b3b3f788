//! The real Claude Code: it accepts boi's command line, and boi reads its output.

use std::fs;

use boi::agents::Session;
use boi::domain::outcome::TryOutcome;
use boi::domain::time::Timestamp;

use super::cli::{CLAUDE, Place};
use super::judge::NOW;
use super::model_api::ModelApi;

#[test]
#[ignore = "end-to-end: `cargo test --test real -- --ignored`"]
fn three_tasks_with_tools_succeed() {
    let Some(_) = CLAUDE.program() else { return };
    let (api, place) = (ModelApi::start(), Place::new());
    for number in 1..=3 {
        let session = format!("3f221111-1111-4111-8111-00000000000{number}");
        let prompt =
            format!("@@bash echo {number} >> out.txt@@ @@bash wc -l out.txt@@ @@say hit the 429 usage limit@@");
        let ended = CLAUDE.run(&api, &place, Session::New(&session), &[], &prompt);
        assert_eq!(ended.outcome, TryOutcome::Succeeded, "{}", ended.output);
        assert_eq!(ended.report.session_id.as_deref(), Some(session.as_str()));
        let usage = ended.report.usage;
        assert_eq!((usage.input_tokens, usage.output_tokens), (3600, 120));
        assert!(usage.cost_usd > 0.0);
    }
    assert_eq!(fs::read_to_string(place.folder.path().join("out.txt")).unwrap(), "1\n2\n3\n");
    assert_eq!(api.prompts().len(), 3);
    assert!(api.prompts()[2].contains("echo 3"));
}

#[test]
#[ignore = "end-to-end: `cargo test --test real -- --ignored`"]
fn each_refusal_has_its_outcome() {
    let Some(_) = CLAUDE.program() else { return };
    let (api, place) = (ModelApi::start(), Place::new());
    let outcome = |number: u32, env: &[(&str, &str)]| {
        let session = format!("3f221111-1111-4111-8111-1000000000{number:02}");
        CLAUDE.run(&api, &place, Session::New(&session), env, "hello").outcome
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
    api.limit_until(reset);
    match outcome(7, with_login) {
        TryOutcome::Limited { until: Some(Timestamp(until)), .. } => {
            // The outcome is judged at the fixed time `NOW`, and no limit is believed to last longer than 8 days.
            assert_eq!(until, (reset * 1000).clamp(NOW.0 + 5_000, NOW.0 + 8 * 24 * 3_600_000));
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(outcome(8, &[("ANTHROPIC_API_KEY", "")]), TryOutcome::Auth(_)));
}
