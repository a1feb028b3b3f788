//! The limits of the machine: build slots, and the starts that wait while a disk is full or memory is short.

use std::path::Path;

use rustix::process::Signal;
use serde_json::Value;

use super::support::{Sandbox, wait_for};

const CONFIG: &str =
    "max_workers = 8\nspawns_per_tick = 8\nspawn_jitter_ms = [0, 0]\ntick_interval_ms = 50\nretry_count = 0\n";

const GIB: u64 = 1 << 30;

fn with(config: &str) -> Sandbox {
    Sandbox::new(&format!("{CONFIG}{config}"))
}

/// A shell command that fails if another one of its kind runs at the same time.
fn exclusive(sandbox: &Sandbox) -> String {
    let [lock, runs] = ["lock", "runs"].map(|name| sandbox.at(name));
    format!("mkdir {lock} || exit 1; echo $BOI_SPEC >> {runs}; sleep 0.05; rmdir {lock}")
}

/// A spec whose `run` and verify commands are exclusive. Landed into `main` if it `lands`.
fn exclusive_spec(sandbox: &Sandbox, number: usize, lands: bool) -> String {
    let (command, repo) = (exclusive(sandbox), sandbox.at("repo"));
    let deliver = if lands { "merge" } else { "branch" };
    format!(
        "title = 'Build {number}'\nrepo = '{repo}'\ndeliver = '{deliver}'\nverify = [\"\"\"{command}\"\"\"]\n\
         [[tasks]]\nrun = \"\"\"echo {number} > f{number}; {command}\"\"\"\nverify = [\"\"\"{command}\"\"\"]\n"
    )
}

/// A spec whose command holds the lock until the file `go` exists.
fn gated_spec(sandbox: &Sandbox) -> String {
    let [lock, began, go] = ["lock", "began", "go"].map(|name| sandbox.at(name));
    let command = format!(
        "mkdir {lock} || exit 1; echo $BOI_SPEC > {began}; until test -e {go}; do sleep 0.02; done; rmdir {lock}"
    );
    format!("title = 'Gated'\n[[tasks]]\nrun = \"\"\"{command}\"\"\"\n")
}

fn builds(sandbox: &Sandbox) -> Value {
    sandbox.good(&["status", "--json"]).json()["builds"].clone()
}

fn wait_for_builds(sandbox: &Sandbox, running: u64, waiting: u64) {
    wait_for(&format!("{running} commands run and {waiting} wait"), || {
        let builds = builds(sandbox);
        (builds["running"] == running && builds["waiting"] == waiting).then_some(())
    });
}

fn is_waiting(spec: &Value) -> Option<u64> {
    (spec["cause"]["kind"] == "waits_for_build_slot").then(|| spec["cause"]["before"].as_u64())?
}

#[test]
fn with_one_build_slot_no_two_commands_run_at_once() {
    let mut sandbox = with("build_slots = 1\n");
    let ids: Vec<String> =
        (0..6).map(|number| sandbox.dispatch(&exclusive_spec(&sandbox, number, number < 3))).collect();
    sandbox.start_daemon();
    for (id, number) in ids.iter().zip(0..) {
        let spec = sandbox.wait_for_status(id, "completed");
        assert_eq!(spec["delivery"], if number < 3 { "merged" } else { "branch" }, "{spec:#}");
    }
    // Those that land are verified once more, each on its own or as a part of a batch.
    let runs = sandbox.read("runs");
    assert!((19..=21).contains(&runs.lines().count()), "{runs}");
    assert!(runs.lines().any(|id| id.starts_with('L')), "the verify commands of landers take build slots too");
    wait_for_builds(&sandbox, 0, 0);
    sandbox.stop_daemon(Signal::TERM);
}

/// Queues six specs. The command of one runs and the others wait.
fn one_of_six(sandbox: &Sandbox) -> Vec<String> {
    let first = sandbox.dispatch(&gated_spec(sandbox));
    wait_for("the first command runs", || sandbox.exists("began").then_some(()));
    let mut ids = vec![first];
    ids.extend((1..6).map(|number| sandbox.dispatch(&exclusive_spec(sandbox, number, false))));
    wait_for_builds(sandbox, 1, 5);
    ids
}

/// Lets the commands of [`one_of_six`] go on, and waits until every spec has completed in its first try.
fn all_complete(sandbox: &Sandbox, ids: &[String]) {
    sandbox.write("go", "");
    for id in ids {
        let spec = sandbox.wait_for_status(id, "completed");
        assert_eq!((&spec["attempt"], &spec["tasks"][0]["tries"]), (&1.into(), &1.into()), "{spec:#}");
    }
}

#[test]
fn running_commands_keep_their_build_slots_when_the_daemon_is_killed() {
    let mut sandbox = with("build_slots = 1\n");
    sandbox.start_daemon();
    let ids = one_of_six(&sandbox);
    for _ in 0..2 {
        sandbox.kill_daemon();
        sandbox.start_daemon();
        wait_for_builds(&sandbox, 1, 5);
    }
    let mut before: Vec<u64> = ids[1..].iter().filter_map(|id| is_waiting(&sandbox.spec(id))).collect();
    before.sort_unstable();
    assert_eq!(before, [0, 1, 2, 3, 4]);
    all_complete(&sandbox, &ids);
    sandbox.stop_daemon(Signal::TERM);
}

#[test]
fn running_commands_keep_their_build_slots_over_a_restart() {
    let sandbox = with("build_slots = 1\n");
    sandbox.background(&["daemon", "start"]);
    let ids = one_of_six(&sandbox);
    sandbox.good(&["daemon", "restart"]);
    wait_for_builds(&sandbox, 1, 5);
    all_complete(&sandbox, &ids);
}

#[test]
fn a_worker_that_waits_for_a_build_slot_obeys_orders_and_reloads() {
    let mut sandbox = with("build_slots = 1\n");
    sandbox.start_daemon();
    let first = sandbox.dispatch(&gated_spec(&sandbox));
    wait_for("the first command runs", || sandbox.exists("began").then_some(()));
    let waiting: Vec<String> = (1..5)
        .map(|number| {
            let id = sandbox.dispatch(&format!("title = 'W{number}'\n[[tasks]]\nrun = 'true'\n"));
            wait_for("it waits", || is_waiting(&sandbox.spec(&id)));
            id
        })
        .collect();
    let spec = sandbox.spec(&waiting[2]);
    assert_eq!((is_waiting(&spec), &spec["reason"]), (Some(2), &"waits for a build slot, 2 before it".into()));
    let shown = sandbox.good(&["status"]).out;
    assert!(shown.contains("builds: 1/1, 4 specs wait for a build slot"), "{shown}");
    assert!(shown.contains("waits for a build slot, 3 before it"), "{shown}");
    let folder = |id: &str| sandbox.path(&format!("boi/attempts/{id}/1/command-1"));
    let has_request = |id: &str| Path::new(&folder(id)).join("request").exists();
    assert!(!waiting.iter().any(|id| has_request(id)), "the time limit of a command that waits does not run");
    sandbox.good(&["cancel", &waiting[0]]);
    sandbox.wait_for_status(&waiting[0], "canceled");
    sandbox.good(&["stop", &waiting[1]]);
    let stopped = sandbox.wait_for_status(&waiting[1], "queued");
    assert_eq!(stopped["cause"]["kind"], "blocked", "{stopped:#}");
    wait_for("the others have moved up", || (is_waiting(&sandbox.spec(&waiting[3])) == Some(1)).then_some(()));
    assert!(!waiting.iter().any(|id| has_request(id)), "what was canceled or stopped was not executed");
    sandbox.good(&["config", "set", "build_slots", "2", "--reload"]);
    for id in &waiting[2..] {
        sandbox.wait_for_status(id, "completed");
    }
    sandbox.good(&["config", "set", "build_slots", "1", "--reload"]);
    let spec = sandbox.spec(&first);
    assert_eq!((&spec["status"], is_waiting(&spec)), (&"running".into(), None), "a lower limit ends no command");
    sandbox.good(&["retry", &waiting[1]]);
    wait_for("it waits again", || is_waiting(&sandbox.spec(&waiting[1])));
    sandbox.write("go", "");
    for id in [&first, &waiting[1]] {
        let spec = sandbox.wait_for_status(id, "completed");
        assert_eq!(spec["tasks"][0]["tries"], 1, "{spec:#}");
    }
    sandbox.stop_daemon(Signal::TERM);
}

#[test]
fn agents_take_no_build_slot() {
    let mut sandbox = with("build_slots = 1\n");
    sandbox.start_daemon();
    let first = sandbox.dispatch(&gated_spec(&sandbox));
    wait_for("the first command runs", || sandbox.exists("began").then_some(()));
    let agent = sandbox.dispatch("title = 'Agent'\n[[tasks]]\nprompt = '@@say hello@@'\n");
    sandbox.wait_for_status(&agent, "completed");
    sandbox.write("go", "");
    sandbox.wait_for_status(&first, "completed");
    sandbox.stop_daemon(Signal::TERM);
}

/// A sandbox on a machine whose disks and memory a test describes with [`describe`].
fn simulated(config: &str) -> Sandbox {
    let sandbox = with(config);
    let file = sandbox.at("machine");
    sandbox.with_variables([("BOI_MACHINE", file)])
}

/// Describes the machine. A process sees the old or the new description, never a part of one.
fn describe(sandbox: &Sandbox, lines: &[String]) {
    let new = sandbox.write("machine.new", lines.join("\n"));
    std::fs::rename(new, sandbox.path("machine")).unwrap();
}

fn disk(sandbox: &Sandbox, name: &str, bytes: u64) -> String {
    format!("disk {bytes} {}", sandbox.at(name))
}

fn deferred(sandbox: &Sandbox) -> Value {
    sandbox.good(&["status", "--json"]).json()["deferred"].clone()
}

fn kinds(sandbox: &Sandbox) -> Vec<String> {
    let shown = sandbox.good(&["events", "--kind", "deferred.began", "--kind", "deferred.ended", "--json"]).out;
    let event = |line: &str| serde_json::from_str::<Value>(line).unwrap()["kind"].as_str().unwrap().to_owned();
    shown.lines().map(event).collect()
}

const TRUE: &str = "title = 'True'\n[[tasks]]\nrun = 'true'\n";

#[test]
fn nothing_is_started_while_the_disk_is_full() {
    let mut sandbox = simulated("");
    describe(&sandbox, &[disk(&sandbox, "boi", GIB)]);
    sandbox.start_daemon();
    assert_eq!(deferred(&sandbox), Value::Null, "nothing waits for a start");
    let ids = [sandbox.dispatch(TRUE), sandbox.dispatch(TRUE)];
    let spec = wait_for("the spec is deferred", || {
        let spec = sandbox.spec(&ids[1]);
        (spec["cause"]["kind"] == "deferred").then_some(spec)
    });
    assert_eq!((&spec["status"], &spec["cause"]["by"][0]["free_bytes"]), (&"queued".into(), &GIB.into()));
    let home = sandbox.at("boi");
    let words = format!(
        "deferred: the disk of {home} has too little free space; specs start again when 2.2 GiB are free (`min_free_gb` \
         asks for 2 GiB). `boi status` shows what was read last, and `boi config set min_free_gb N` changes the limit."
    );
    assert_eq!(spec["reason"], words.as_str());
    let deferral = deferred(&sandbox);
    assert_eq!((&deferral["all"], &deferral["by"][0]["of"]), (&true.into(), &"home".into()), "{deferral:#}");
    let shown = sandbox.good(&["status"]).out;
    assert!(shown.contains("deferred: no spec is started: ") && shown.contains(": now 1 GiB are free"), "{shown}");
    let found = sandbox.boi(&["doctor"]);
    assert!(found.out.contains("1 GiB are free"), "{found:?}");
    // In the band above the limit, nothing changes. A reading between is seen before the next one is written.
    describe(&sandbox, &[disk(&sandbox, "boi", 2 * GIB + 1)]);
    wait_for("the reading is seen", || (deferred(&sandbox)["by"][0]["free_bytes"] == 2 * GIB + 1).then_some(()));
    assert_eq!(sandbox.spec(&ids[0])["status"], "queued");
    describe(&sandbox, &[disk(&sandbox, "boi", 3 * GIB)]);
    for id in &ids {
        sandbox.wait_for_status(id, "completed");
    }
    assert_eq!(deferred(&sandbox), Value::Null);
    assert_eq!(kinds(&sandbox), ["deferred.began", "deferred.ended"]);
    sandbox.stop_daemon(Signal::TERM);
    let log = sandbox.read("daemon.err");
    assert_eq!(log.matches("boi starts no spec for now").count(), 1, "{log}");
}

#[test]
fn nothing_is_started_while_memory_is_short_and_the_limits_are_hot() {
    let mut sandbox = simulated("max_memory_percent = 80\n");
    describe(&sandbox, &["memory 90 100".to_owned(), disk(&sandbox, "boi", 9 * GIB)]);
    sandbox.start_daemon();
    let first = sandbox.dispatch(TRUE);
    wait_for("it is deferred", || (deferred(&sandbox)["by"][0]["kind"] == "memory").then_some(()));
    describe(&sandbox, &["memory 76 100".to_owned(), disk(&sandbox, "boi", 9 * GIB)]);
    wait_for("the reading is seen", || (deferred(&sandbox)["by"][0]["used_bytes"] == 76).then_some(()));
    sandbox.good(&["config", "set", "max_memory_percent", "95"]);
    sandbox.wait_for_status(&first, "completed");
    // A canceled spec leaves nothing that waits.
    describe(&sandbox, &["memory 99 100".to_owned(), disk(&sandbox, "boi", 9 * GIB)]);
    let second = sandbox.dispatch(TRUE);
    wait_for("it is deferred", || deferred(&sandbox).is_object().then_some(()));
    sandbox.good(&["cancel", &second]);
    wait_for("nothing is deferred", || deferred(&sandbox).is_null().then_some(()));
    let third = sandbox.dispatch(TRUE);
    wait_for("it is deferred", || deferred(&sandbox).is_object().then_some(()));
    sandbox.good(&["config", "set", "max_memory_percent", "0"]);
    sandbox.wait_for_status(&third, "completed");
    sandbox.stop_daemon(Signal::TERM);
}

#[test]
fn the_full_disk_of_one_repository_holds_up_no_other() {
    let mut sandbox = simulated("");
    sandbox.git(".", &["clone", "-q", &sandbox.at("repo"), &sandbox.at("other")]);
    describe(&sandbox, &[disk(&sandbox, "boi", 9 * GIB), disk(&sandbox, "repo", GIB)]);
    let spec = |repo: &str| {
        let repo = sandbox.at(repo);
        sandbox.dispatch(&format!("title = 'In a repository'\nrepo = '{repo}'\n[[tasks]]\nrun = 'echo x > made'\n"))
    };
    let full: Vec<String> = (0..20).map(|_| spec("repo")).collect();
    let others: Vec<String> = (0..3).map(|_| spec("other")).collect();
    sandbox.start_daemon();
    for id in &others {
        sandbox.wait_for_status(id, "completed");
    }
    let deferral = deferred(&sandbox);
    assert_eq!((&deferral["all"], &deferral["by"][0]["of"]), (&false.into(), &"repository".into()), "{deferral:#}");
    for id in &full {
        let spec = sandbox.spec(id);
        assert_eq!((&spec["status"], &spec["attempt"]), (&"queued".into(), &0.into()), "{spec:#}");
        assert_eq!(spec["cause"]["kind"], "deferred", "{spec:#}");
    }
    describe(&sandbox, &[disk(&sandbox, "boi", 9 * GIB), disk(&sandbox, "repo", 9 * GIB)]);
    for id in &full {
        sandbox.wait_for_status(id, "completed");
    }
    assert_eq!(kinds(&sandbox), ["deferred.began", "deferred.ended"]);
    sandbox.stop_daemon(Signal::TERM);
}

#[test]
fn what_runs_ends_while_starts_are_deferred_and_lands_afterwards() {
    let mut sandbox = simulated("");
    describe(&sandbox, &[disk(&sandbox, "boi", 9 * GIB)]);
    sandbox.start_daemon();
    let (repo, barrier) = (sandbox.at("repo"), sandbox.barrier());
    let text = format!(
        "title = 'Lands'\nrepo = '{repo}'\ndeliver = 'merge'\n[[tasks]]\nrun = \"\"\"{barrier}; echo x > landed\"\"\"\n"
    );
    let id = sandbox.dispatch(&text);
    wait_for("its command runs", || sandbox.exists("starts").then_some(()));
    describe(&sandbox, &[disk(&sandbox, "boi", GIB)]);
    sandbox.write("go", "");
    let spec = wait_for("it completes and waits to land", || {
        let spec = sandbox.spec(&id);
        (spec["delivery"] == "waiting" && spec["cause"]["kind"] == "deferred").then_some(spec)
    });
    assert_eq!(spec["status"], "completed");
    assert!(!sandbox.exists("repo/landed"));
    describe(&sandbox, &[disk(&sandbox, "boi", 9 * GIB)]);
    let spec = sandbox.wait_for_status(&id, "completed");
    assert_eq!(spec["delivery"], "merged", "{spec:#}");
    assert!(sandbox.exists("repo/landed"));
    sandbox.stop_daemon(Signal::TERM);
}

#[test]
fn a_run_without_a_daemon_waits_for_space() {
    let sandbox = simulated("");
    describe(&sandbox, &[disk(&sandbox, "boi", GIB)]);
    sandbox.write("spec.toml", TRUE);
    let run = sandbox.begin(&["run", "spec.toml"]);
    wait_for("it says why it waits", || run.err().contains("the starts of specs are deferred: ").then_some(()));
    describe(&sandbox, &[disk(&sandbox, "boi", 9 * GIB)]);
    assert_eq!(run.end().code, Some(0));
}
