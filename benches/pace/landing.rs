//! Twelve specs with a verify command of 2 s land on one base: two conflict, and one breaks the test of the others only
//! when it is merged with them. Meanwhile other specs use the slots.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use serde_json::Value;

use super::Bench;
use super::landing_specs::{sandbox, spec};
use super::support::{Sandbox, wait_for};
use super::table::{at_least, at_most, heading, row};

/// The specs that land.
const SPECS: usize = 12;
/// The most verify runs of the lander.
const MOST_RUNS: f64 = 20.0;
/// How many of the specs land without going back to their agents.
const LAND: f64 = 9.0;

pub fn measure(bench: &Bench) {
    let (seconds, others) = if bench.is_quick { (0.1, 4) } else { (2.0, 60) };
    heading(&format!(
        "{SPECS} specs with a verify of {seconds} s land on one base; {others} others wait for their slots"
    ));
    for (name, program) in &bench.programs {
        one(name, program, seconds, others);
    }
}

fn one(name: &str, program: &Path, seconds: f64, others: usize) {
    let mut sandbox = sandbox("");
    program.clone_into(&mut sandbox.program);
    sandbox.write(
        "boi/config.toml",
        format!(
            "max_workers = {SPECS}\nspawns_per_tick = 64\nspawn_jitter_ms = [0, 0]\ntick_interval_ms = 100\n\
             retry_backoff_seconds = [0, 0]\nstop_grace_seconds = 1\n"
        ),
    );
    let ids = dispatch(&sandbox, seconds);
    sandbox.write("other.toml", "title = 'Other'\npriority = 200\n[[tasks]]\nrun = 'sleep 1'\n");
    let mut arguments = vec!["dispatch"];
    arguments.extend(std::iter::repeat_n("other.toml", others));
    sandbox.good(&arguments);
    let began = Instant::now();
    sandbox.start_daemon();
    let events = wait_for("all specs are merged", || {
        let text = sandbox.good(&["events", "--since", "0", "--json"]).out;
        let events: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let merged = events.iter().filter(|event| event["kind"] == "spec.merged").count();
        assert!(events.iter().all(|event| event["kind"] != "spec.unmerged"), "{text}");
        (merged == SPECS).then_some(events)
    });
    let took = began.elapsed().as_secs_f64();

    let is_kind = |event: &Value, kind: &str| event["kind"] == kind;
    let mut sent_back: Vec<&str> = events
        .iter()
        .filter(|event| is_kind(event, "spec.queued") && event["body"]["by"] == "landing")
        .filter_map(|event| event["spec"].as_str())
        .collect();
    sent_back.dedup();
    // The specs of a batch are recorded as merged in one transaction.
    let mut batches: BTreeMap<&str, u32> = BTreeMap::new();
    for event in events.iter().filter(|event| is_kind(event, "spec.merged")) {
        *batches.entry(event["at"].as_str().expect("a time")).or_default() += 1;
    }
    let sizes: Vec<String> = batches.values().map(u32::to_string).collect();
    let is_own = |event: &Value| ids.iter().any(|id| event["spec"] == id.as_str());
    let first_landing = events.iter().position(|event| is_kind(event, "spec.completed") && is_own(event));
    let last_landing = events.iter().rposition(|event| is_kind(event, "spec.merged"));
    let meanwhile = &events[first_landing.expect("a spec completed")..last_landing.expect("a spec was merged")];
    let done = meanwhile.iter().filter(|event| is_kind(event, "spec.completed") && !is_own(event)).count();
    let runs = sandbox.read("runs").lines().count();

    row(&format!("{name}: until all are merged"), took, "s", "");
    let unsent = (SPECS - sent_back.len()) as f64;
    at_least(&format!("{name}: landed without going back to an agent"), unsent, "", LAND);
    row(&format!("{name}: went back to their agents, landed later"), sent_back.len() as f64, "", "");
    row(&format!("{name}: moves of the base"), sizes.len() as f64, "", &format!("specs in each: {}", sizes.join(", ")));
    at_most(&format!("{name}: verify runs of the lander"), runs as f64, "", MOST_RUNS);
    row(&format!("{name}: other specs that ended meanwhile"), done as f64, "", "");
}

/// Dispatches the specs, which begin with the same commit of the base.
fn dispatch(sandbox: &Sandbox, seconds: f64) -> Vec<String> {
    let begun = |number: usize| sandbox.at(&format!("begun{number}"));
    let all: Vec<String> = (0..SPECS).map(|number| format!("[ -e {} ]", begun(number))).collect();
    let all_begun = format!("until {}; do sleep 0.05; done", all.join(" && "));
    let runs = sandbox.write("runs", "").display().to_string();
    // A run is counted before it passes or fails.
    let count = format!("case $BOI_SPEC in L*) echo x >> {runs};; esac");
    let verify = format!("verify = ['{count}; sleep {seconds}; sh test.sh']");
    let names: Vec<String> = (0..SPECS)
        .map(|number| {
            let own = match number {
                2 => "echo 1 > limit".to_owned(),
                5 | 8 => format!("echo {number} > shared; echo x > f{number}"),
                _ => format!("echo x > f{number}"),
            };
            let command = format!(": > {}; {all_begun}; {own}", begun(number));
            let name = format!("spec{number}.toml");
            let text = spec(&format!("Lands {number}"), &command).replace("verify = ['sh test.sh']", &verify);
            sandbox.write(&name, text);
            name
        })
        .collect();
    let arguments = ["dispatch", "--json"].into_iter().chain(names.iter().map(String::as_str));
    let said = sandbox.good(&arguments.collect::<Vec<_>>()).json();
    let ids = said["specs"].as_array().expect("specs").iter();
    ids.map(|spec| spec["id"].as_str().expect("an id").to_owned()).collect()
}
