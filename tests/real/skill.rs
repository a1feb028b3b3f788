//! The skill of boi in the real Claude Code: the plugin is valid, the installed skill is listed, and a session that runs
//! the commands of the skill gets a spec to a verified branch.

use std::fs;
use std::process::Command;

use boi::agents::Session;
use boi::domain::outcome::TryOutcome;
use serde_json::Value;

use super::cli::{CLAUDE, Place};
use super::fleet::sandbox;
use super::model_api::ModelApi;

const SKILL: &str = include_str!("../../skills/boi/SKILL.md");

/// A part of the description that only the skill has.
const DESCRIPTION: &str = "fleets of coding agents from a durable queue";

#[test]
#[ignore = "end-to-end: `cargo test --test real -- --ignored`"]
fn the_plugin_is_valid() {
    let Some(program) = CLAUDE.program() else { return };
    let (api, place) = (ModelApi::start(), Place::new());
    for path in ["", ".claude-plugin/plugin.json", ".claude-plugin/marketplace.json"] {
        let mut command = Command::new(&program);
        command.args(["plugin", "validate", "--strict"]).envs(api.claude_env(place.home.path()));
        let output = command.arg(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).output().expect("the CLI runs");
        assert!(output.status.success(), "{path}: {output:?}");
    }
}

/// The commands of the skill, one for each block of shell commands, without the one that starts a daemon.
fn commands() -> Vec<&'static str> {
    let blocks = SKILL.split("```sh\n").skip(1).filter_map(|block| block.split_once("\n```"));
    blocks.map(|(command, _)| command).filter(|command| !command.contains("daemon start")).collect()
}

#[test]
#[ignore = "end-to-end: `cargo test --test real -- --ignored`"]
fn a_session_that_follows_the_skill_gets_a_verified_branch() {
    let Some((api, mut sandbox)) = sandbox(&CLAUDE, "retry_count = 0") else { return };
    let installed = sandbox.good(&["skill", "install", "--json"]).json();
    assert_eq!(installed["files"][0]["outcome"], "created", "{installed:#}");
    sandbox.start_daemon();
    let place = Place::new();
    // `\100` is the sign that begins a directive of the scripted model.
    let task = r#"prompt = "\100\100bash echo hi > hi.txt\100\100"\nverify = ["grep hi hi.txt"]"#;
    let write = format!(
        "printf 'title = \"By the skill\"\\nrepo = \"{}\"\\n[[tasks]]\\n{task}\\n' > spec.toml",
        sandbox.at("repo")
    );
    let mut steps = vec![write];
    for command in commands() {
        let command = command.replace(" ID", " $(cut -d' ' -f1 dispatch.out)");
        let name = command.split_whitespace().nth(1).expect("a command of boi");
        let name = if command.contains("--dry-run") { "dry-run" } else { name };
        steps.push(format!("{command} > {name}.out 2> {name}.err"));
    }
    let directives: Vec<String> = steps.iter().map(|step| format!("@@bash {step}@@")).collect();
    let program = sandbox.program.parent().expect("a folder").display().to_string();
    let path = format!("{program}:{}", std::env::var("PATH").expect("a PATH"));
    let (home, boi_home) = (sandbox.at("home"), sandbox.at("boi"));
    let environment = [("HOME", home.as_str()), ("BOI_HOME", &boi_home), ("PATH", &path)];
    let session = Session::New("3f221111-1111-4111-8111-200000000001");
    let ended = CLAUDE.run(&api, &place, session, &environment, &directives.join(" "));
    assert_eq!(ended.outcome, TryOutcome::Succeeded, "{}", ended.output);

    let first = api.requests().into_iter().find(|request| request.body.to_string().contains(DESCRIPTION));
    assert!(first.is_some(), "the model sees the description of the skill");
    let init = ended
        .output
        .lines()
        .find_map(|line| serde_json::from_str::<Value>(line).ok().filter(|line| line["subtype"] == "init"));
    let skills = init.expect("the first line of the session")["skills"].clone();
    assert!(skills.as_array().is_some_and(|skills| skills.contains(&"boi".into())), "{skills:#}");

    let read = |name: &str| fs::read_to_string(place.folder.path().join(name)).unwrap_or_default();
    let state: Value = serde_json::from_str(&read("status.out")).unwrap_or_else(|error| panic!("{error}: {ended:?}"));
    assert_eq!((&state["status"], &state["delivery"]), (&"completed".into(), &"branch".into()), "{state:#}");
    let branch = state["branch"].as_str().expect("a branch");
    assert_eq!(sandbox.git("repo", &["show", &format!("{branch}:hi.txt")]), "hi");
    assert!(read("dry-run.out").contains("By the skill"), "{ended:?}");
    let report: Value = serde_json::from_str(&read("report.out")).unwrap_or_else(|error| panic!("{error}: {ended:?}"));
    let review = &report["to_review"][0];
    assert_eq!((&review["id"], &review["title"]), (&state["id"], &"By the skill".into()), "{report:#}");
    let size = (&review["commits"], &review["diff"]["files"], &review["diff"]["added"], &review["diff"]["deleted"]);
    assert_eq!(size, (&1.into(), &1.into(), &1.into(), &0.into()), "{report:#}");
    let totals = &report["totals"];
    assert_eq!((&totals["specs"], &totals["to_review"]), (&1.into(), &1.into()), "{report:#}");
    assert_eq!(report["needs_you"], Value::Array(vec![]), "{report:#}");
    assert!(read("config.out").contains("max_workers"), "{}", read("config.err"));
    let workers = sandbox.good(&["config", "get", "max_workers"]).out;
    assert_eq!(workers.trim(), "4", "the fleet was tuned while the daemon ran");
}
