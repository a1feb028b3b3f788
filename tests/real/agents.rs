//! The real Codex, Gemini CLI and opencode: each accepts boi's command line, and boi reads its output.

use std::fs;

use boi::agents::Session;
use boi::domain::outcome::TryOutcome;

use super::cli::{CODEX, Cli, GEMINI, OPENCODE, Place};
use super::model_api::ModelApi;

const SESSION: &str = "3f221111-1111-4111-8111-200000000001";

/// A run with two tool calls, then a run that continues its session.
fn a_run_is_read_and_its_session_continues(cli: &Cli) {
    let Some(_) = cli.program() else { return };
    let (api, place) = (ModelApi::start(), Place::new());
    let prompt = "@@bash echo one >> out.txt@@ @@bash wc -l out.txt@@ @@say hit the 429 usage limit@@";
    let first = cli.run(&api, &place, Session::New(SESSION), &[], prompt);
    assert_eq!(first.outcome, TryOutcome::Succeeded, "{}", first.output);
    assert!(first.report.answered);
    assert_eq!(first.report.message.as_deref(), Some("hit the 429 usage limit"));
    let usage = first.report.usage;
    assert_eq!((usage.input_tokens, usage.output_tokens), (3600, 120), "{}", first.output);
    let session = first.report.session_id.expect("a session");
    let second = cli.run(&api, &place, Session::Resume(&session), &[], "@@bash echo two >> out.txt@@");
    assert_eq!(second.outcome, TryOutcome::Succeeded, "{}", second.output);
    assert_eq!(second.report.session_id.as_deref(), Some(session.as_str()));
    assert_eq!(fs::read_to_string(place.folder.path().join("out.txt")).unwrap(), "one\ntwo\n");
    let last = api.requests().pop().expect("a request");
    assert!(last.body.to_string().contains("echo one"), "the second run has the conversation of the first");
}

/// The outcome of a run whose requests are answered with `status` and `message`.
fn refused(cli: &Cli, status: u16, message: &str) -> TryOutcome {
    let (api, place) = (ModelApi::start(), Place::new());
    api.fail(status, message, usize::MAX);
    let ended = cli.run(&api, &place, Session::New(SESSION), &[], "hello");
    assert!(api.count(status) > 0, "{}", ended.output);
    assert!(!ended.report.answered, "{}", ended.output);
    ended.outcome
}

#[test]
#[ignore = "end-to-end: `cargo test --test real -- --ignored`"]
fn a_run_of_codex() {
    a_run_is_read_and_its_session_continues(&CODEX);
}

#[test]
#[ignore = "end-to-end: `cargo test --test real -- --ignored`"]
fn a_refusal_of_codex() {
    let Some(_) = CODEX.program() else { return };
    assert!(matches!(refused(&CODEX, 429, "slow down"), TryOutcome::Throttled(_)));
    assert!(matches!(refused(&CODEX, 401, "Incorrect API key provided"), TryOutcome::Auth(_)));
}

#[test]
#[ignore = "end-to-end: `cargo test --test real -- --ignored`"]
fn a_run_of_gemini() {
    a_run_is_read_and_its_session_continues(&GEMINI);
}

#[test]
#[ignore = "end-to-end: `cargo test --test real -- --ignored`"]
fn a_refusal_of_gemini() {
    let Some(_) = GEMINI.program() else { return };
    assert!(matches!(refused(&GEMINI, 429, "slow down"), TryOutcome::Throttled(_)));
    assert!(matches!(refused(&GEMINI, 400, "API key not valid. Please pass a valid API key."), TryOutcome::Auth(_)));
    let (api, place) = (ModelApi::start(), Place::new());
    let ended = GEMINI.run(&api, &place, Session::New(SESSION), &[("GEMINI_API_KEY", "")], "hello");
    assert!(matches!(ended.outcome, TryOutcome::Auth(_)), "{}", ended.output);
}

#[test]
#[ignore = "end-to-end: `cargo test --test real -- --ignored`"]
fn a_run_of_opencode() {
    a_run_is_read_and_its_session_continues(&OPENCODE);
}

#[test]
#[ignore = "end-to-end: `cargo test --test real -- --ignored`"]
fn a_refusal_of_opencode() {
    let Some(_) = OPENCODE.program() else { return };
    assert!(matches!(refused(&OPENCODE, 401, "invalid x-api-key"), TryOutcome::Auth(_)));
    let too_long = "prompt is too long: 213462 tokens > 200000 maximum";
    assert!(matches!(refused(&OPENCODE, 400, too_long), TryOutcome::Context(_)));
}
