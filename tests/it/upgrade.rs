//! The current version reads what released versions wrote and continues its work: the queue, running
//! commands, and each kind of record.
//!
//! The records are in `tests/golden/VERSION` and never change; the `README.md` there says how they were made.
//! The tests fill in their placeholders, start the current program on the result, and check what it shows.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::Signal;
use serde_json::{Value, json};

use super::crash::rounds::start_time;
use super::golden::{
    Golden, Values, add_worktree, import, insert_running, load_empty_queue, load_queue, marker, now, progress, shown,
    write_snapshot,
};
use super::support::{Sandbox, lives, locked, wait_for};

/// The path of a command's own cgroup, if it has one.
fn cgroup_of(pid: i32, marker: &str) -> Option<PathBuf> {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let own = text.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let places = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(|root| Path::new(root).join(own));
    places.into_iter().find(|place| place.ends_with(format!("boi-{marker}")) && place.exists())
}

/// A process as records name it: its pid and its start time.
type Process = (i32, u64);

fn living(pid: i32) -> Process {
    (pid, start_time(pid).expect("the process lives"))
}

/// The values of a golden `started` record for these processes.
fn with_processes(values: &Values, supervisor: Process, command: Process) -> Values {
    let mut values = values.clone();
    for (who, (pid, start_time)) in [("SUPERVISOR", supervisor), ("COMMAND", command)] {
        values.set(&format!("@{who}_PID@"), pid);
        values.set(&format!("@{who}_START@"), start_time);
    }
    values
}

/// A supervisor that was started as a daemon of the golden version starts it.
struct Supervised {
    supervisor: Child,
    /// The pid of its command.
    command: i32,
}

/// Starts the supervisor of a golden command, waits until the command waits at its barrier, and writes the
/// `started` record as the golden version does.
fn supervise(sandbox: &Sandbox, golden: Golden, values: &Values, command: &str, barrier: &str) -> Supervised {
    let (folder, records) = (sandbox.path(&format!("boi/attempts/{command}")), format!("commands/{command}"));
    fs::create_dir_all(&folder).unwrap();
    for name in ["request", "marker", "prompt"] {
        if golden.path(&format!("{records}/{name}")).exists() {
            fs::write(folder.join(name), values.fill(&format!("{records}/{name}"))).unwrap();
        }
    }
    let marker = fs::read_to_string(folder.join("marker")).unwrap();
    let spec = command.split('/').next().unwrap();
    let words = fs::File::create(folder.join("supervisor")).unwrap();
    let supervisor = Command::new(env!("CARGO_BIN_EXE_boi"))
        .arg("__supervise")
        .arg(&folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", sandbox.path("home"))
        .env("BOI_HOME", sandbox.path("boi"))
        .env("BOI_MARKER", &marker)
        .envs([("BOI_SPEC", spec), ("BOI_ATTEMPT", "1"), ("BOI_TASK", "t-1"), ("BOI_TRY", "1")])
        .stdin(Stdio::from(locked(&folder.join("lock"))))
        .stdout(Stdio::null())
        .stderr(words)
        .spawn()
        .unwrap();
    let pid = i32::try_from(supervisor.id()).unwrap();
    wait_for(&format!("{barrier} runs"), || sandbox.exists(&format!("pid-{barrier}")).then_some(()));
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    let command: i32 = children.trim().parse().unwrap_or_else(|error| panic!("{error}: the children `{children}`"));
    let values = with_processes(values, living(pid), living(command));
    let mut started = values.json(&format!("{records}/started"));
    started["cgroup"] = cgroup_of(command, &marker).map(|path| path.display().to_string()).into();
    fs::write(folder.join("started"), started.to_string()).unwrap();
    Supervised { supervisor, command }
}

/// A command whose supervisor is dead. Dropping it kills the command.
struct LeftBehind(Child);

impl Drop for LeftBehind {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Adds the path of every field in `value` to `found`, such as `specs[].tasks[].id`.
fn fields(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields_of) => {
            for (name, value) in fields_of {
                let path = format!("{path}{}{name}", if path.is_empty() { "" } else { "." });
                fields(value, &path, found);
                found.insert(path);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| fields(value, &format!("{path}[]"), found)),
        _ => {}
    }
}

/// Waits until all these specs have ended, with one process instead of many looks at each spec.
fn wait_for_ends(sandbox: &Sandbox, ids: &[String]) {
    let ids = ids.iter().map(String::as_str);
    sandbox.boi(&["wait", "--timeout", "50s"].into_iter().chain(ids).collect::<Vec<_>>());
}

#[test]
fn a_home_of_an_earlier_version_is_adopted_while_its_commands_run() {
    for golden in Golden::ALL {
        println!("{golden:?}");
        adopt_home(golden);
    }
}

fn adopt_home(golden: Golden) {
    let mut sandbox = Sandbox::new("");
    let mut values = Values::new(golden, &sandbox, "golden");
    let config = values.fill("config.toml");
    sandbox.write("boi/config.toml", &config);
    import(&sandbox, "golden", "repo.fast-export", &mut values);
    sandbox.write("golden/a.txt", "mine\n");
    let queue = load_queue(&sandbox, &values);
    let rows = shown(&queue, &values);
    queue.close().unwrap();
    for (id, files) in values.json("worktrees.json").as_object().unwrap() {
        let files = files.as_object().unwrap().iter();
        add_worktree(&sandbox, "golden", id, files.map(|(name, text)| (name.as_str(), text.as_str().unwrap())));
    }
    sandbox.write("boi/state/reload.json", values.fill("reload/rejected.json"));
    sandbox.write("boi/state/last-good.toml", &config);
    let id = |title: &str| {
        let row = rows.iter().find(|row| row["title"] == title).unwrap_or_else(|| panic!("no spec {title}"));
        row["id"].as_str().unwrap().to_owned()
    };
    if golden >= Golden::V0_2_0 {
        check_home_record(&sandbox, &values);
        write_snapshot(&sandbox, &values, &id("Running a command"));
        // Only the snapshot still has this branch.
        sandbox.git("golden", &["branch", "-q", "-D", "feature"]);
    }
    let running = [
        ("Running a command", 1, "command"),
        ("Running a verify command", 3, "verify"),
        ("Running an agent", 1, "agent"),
        ("Running the last verify command", 2, "last"),
    ];
    let supervised = running.map(|(title, number, barrier)| {
        supervise(&sandbox, golden, &values, &format!("{}/1/command-{number}", id(title)), barrier)
    });
    sandbox.start_daemon();

    // Every spec is shown as the earlier version showed it.
    let mut seen = BTreeSet::new();
    fields(&sandbox.good(&["status", "--json"]).json(), "", &mut seen);
    for row in &rows {
        let spec = sandbox.spec(row["id"].as_str().unwrap());
        fields(&spec, "SPEC", &mut seen);
        let title = row["title"].as_str().unwrap();
        for (name, before) in row {
            let is_due = ["Limited", "Pauses"].contains(&title) && now() > values.due;
            match (title, name.as_str()) {
                ("Waits for one that runs", "reason") => {
                    let reason = spec["reason"].as_str().unwrap_or_default();
                    assert!(reason.contains(&id("Running a command")), "{reason}");
                }
                // The spec may have run meanwhile.
                _ if is_due => {}
                _ => assert_eq!(&spec[name], before, "{title}: {name}"),
            }
        }
    }
    for Supervised { command, .. } in &supervised {
        assert!(lives(*command), "a command outlives the daemon that started it");
    }
    let kept = sandbox.spec(&id("Completed"))["kept"].as_array().unwrap().last().unwrap().as_str().unwrap().to_owned();
    assert_eq!(sandbox.git("golden", &["show", &format!("{kept}:left.txt")]), "left");

    // The fields that scripts read exist, also those about a change of the configuration.
    let change = "tick_interval_ms = 101\ntask_timeout_minutes = 31\n";
    sandbox.write("boi/config.toml", config.replace("tick_interval_ms = 100\n", change));
    let status = wait_for("the change is in force", || {
        let status = sandbox.good(&["status", "--json"]).json();
        (status["config"]["generation"] == 2).then_some(status)
    });
    fields(&status, "", &mut seen);
    // Specs whose time came early have no cause any more.
    let is_due = now() > values.due;
    let keys = golden.text("status-keys.txt");
    let missing: Vec<&str> =
        keys.lines().filter(|key| !(seen.contains(*key) || is_due && key.contains(".cause."))).collect();
    assert!(missing.is_empty(), "`boi status --json` lacks {missing:?}");
    wait_for("the reload is recorded with every field", || {
        let mut recorded = BTreeSet::new();
        fields(&serde_json::from_str(&sandbox.read("boi/state/reload.json")).ok()?, "", &mut recorded);
        let mut before = BTreeSet::new();
        fields(&values.json("reload/applied.json"), "", &mut before);
        before.is_subset(&recorded).then_some(())
    });

    // Running commands are waited for and not started again; waiting specs run.
    for barrier in ["command", "verify", "agent", "last", "stopped"] {
        sandbox.write(&format!("go-{barrier}"), "");
    }
    let results = [
        ("Running a command", "two.txt", "2"),
        ("Running a command", "three.txt", "3"),
        ("Running a verify command", "v.txt", "v"),
        ("Running an agent", "agent.txt", "agent"),
        ("Running the last verify command", "l.txt", "l"),
        ("Waits for one that runs", "four.txt", "2"),
        ("Queued", "q.txt", "q"),
        ("Limited", "later.txt", "later"),
        ("Stopped", "one.txt", "one"),
        ("Stopped", "half.txt", "half"),
        ("Stopped", "two.txt", "two"),
    ];
    let completed = |title: &str, file: &str, text: &str, tries: u32| {
        let spec = sandbox.wait_for_status(&id(title), "completed");
        assert_eq!(spec["attempt"], 1, "{spec:#}");
        for task in spec["tasks"].as_array().unwrap() {
            assert_eq!((&task["status"], &task["tries"]), (&"done".into(), &tries.into()), "{spec:#}");
        }
        assert_eq!(sandbox.git("golden", &["show", &format!("boi/{}:{file}", id(title))]), text, "{title}");
        spec
    };
    wait_for_ends(&sandbox, &results.map(|(title, ..)| id(title)));
    for (title, file, text) in results {
        completed(title, file, text, 1);
    }
    if golden >= Golden::V0_2_0 {
        // The second try starts when the recorded pause is over, in the files that the first one left.
        completed("Pauses", "tries.txt", "1\n2", 2);
        assert_eq!(completed("Pauses", "try.txt", "2", 2)["tasks"][0]["history"][0]["outcome"], "exit code 1");
        // A blocked spec waits for the user.
        let blocked = sandbox.spec(&id("Stopped by the user"));
        assert_eq!(blocked["cause"], json!({"kind": "blocked", "by": "stopped"}), "{blocked:#}");
        sandbox.good(&["retry", &id("Stopped by the user")]);
        sandbox.write("go-blocked", "");
        wait_for_ends(&sandbox, &[id("Stopped by the user")]);
        for (file, text) in [("one.txt", "one"), ("half.txt", "half"), ("two.txt", "two")] {
            completed("Stopped by the user", file, text, 1);
        }
    }
    if golden >= Golden::V0_3_0 {
        end_hold_and_raise_budget(&sandbox, &id);
        for (title, file, text) in [
            ("Held by hand", "manual.txt", "manual"),
            ("Over its budget", "one.txt", "one"),
            ("Over its budget", "two.txt", "two"),
        ] {
            completed(title, file, text, 1);
        }
        let unchanged = &sandbox.spec(&id("Changes nothing"))["tasks"][0];
        assert_eq!((&unchanged["status"], &unchanged["unchanged"]), (&"done".into(), &true.into()), "{unchanged:#}");
    }
    for mut supervised in supervised {
        assert!(supervised.supervisor.wait().unwrap().success());
    }
    for barrier in ["command", "verify", "agent", "last", "stopped"] {
        assert_eq!(sandbox.read(&format!("starts-{barrier}")), "x\n", "{barrier} ran once");
    }

    sandbox.git("golden", &["checkout", "-q", "a.txt"]);
    if golden >= Golden::V0_2_0 {
        check_repository_changes(&sandbox, &id);
    }
    // Ended specs can be retried: one only delivers, and a failed one is queued again with the spec that waited for it.
    // `boi clean` finds what a spec left.
    sandbox.good(&["retry", &id("Unmerged"), &id("Failed")]);
    wait_for_ends(&sandbox, &["Unmerged", "Failed", "Waited for the failed"].map(id));
    let unmerged = sandbox.wait_for_status(&id("Unmerged"), "completed");
    assert_eq!((&unmerged["delivery"], &unmerged["tasks"][0]["tries"]), (&"merged".into(), &1.into()), "{unmerged:#}");
    assert_eq!(sandbox.read("golden/a.txt"), "two\n");
    let failed = sandbox.wait_for_status(&id("Failed"), "failed");
    assert_eq!((&failed["attempt"], &failed["tasks"][0]["tries"]), (&2.into(), &4.into()), "{failed:#}");
    sandbox.wait_for_status(&id("Waited for the failed"), "failed");
    sandbox.good(&["clean", &id("Canceled")]);
    assert!(!sandbox.exists(&format!("boi/worktrees/{}", id("Canceled"))));
}

/// Checks that the golden hold by hand and the golden used-up budget are in force, and ends both.
fn end_hold_and_raise_budget(sandbox: &Sandbox, id: &dyn Fn(&str) -> String) {
    let status = sandbox.good(&["status", "--json"]).json();
    let hold = status["holds"].as_array().unwrap().iter().find(|hold| hold["agent"] == "manual").unwrap();
    assert_eq!((&hold["cause"], &hold["until"]), (&"by_hand".into(), &Value::Null), "{hold:#}");
    let [held, blocked] = ["Held by hand", "Over its budget"].map(id);
    assert_eq!(sandbox.spec(&held)["status"], "queued");
    let cause = &sandbox.spec(&blocked)["cause"];
    assert_eq!(cause["by"]["budget"]["key"], "max_usd", "{cause:#}");
    sandbox.good(&["resume", "manual"]);
    sandbox.good(&["retry", &blocked, "--max-usd", "1"]);
    wait_for_ends(sandbox, &[held, blocked]);
}

/// Writes the golden record of the home into the sandbox, and checks that it is read: with another inode, the
/// home counts as a copy.
fn check_home_record(sandbox: &Sandbox, values: &Values) {
    let mut record = values.json("home.json");
    let inode = record["inode"].take();
    record["inode"] = (inode.as_u64().unwrap() + 1).into();
    sandbox.write("boi/state/home.json", record.to_string());
    let refused = sandbox.boi(&["pause"]);
    assert!(refused.code != Some(0) && refused.err.contains("boi doctor --fix"), "{refused:?}");
    record["inode"] = inode;
    sandbox.write("boi/state/home.json", record.to_string());
}

/// Checks that the golden snapshot shows what vanished while a command ran, and that the recorded change of
/// the configuration keeps specs from being merged until the user accepts it.
fn check_repository_changes(sandbox: &Sandbox, id: &dyn Fn(&str) -> String) {
    let spec = sandbox.spec(&id("Running a command"));
    let changes = spec["repository_changes"].as_array().unwrap();
    let deleted = changes.iter().find(|change| change["name"] == "refs/heads/feature");
    let kept = deleted.and_then(|deleted| deleted["kept"].as_str()).unwrap_or_else(|| panic!("{spec:#}"));
    assert_eq!(sandbox.git("golden", &["show", &format!("{kept}:feature.txt")]), "feature");
    assert!(changes.iter().all(|change| change["blocks"] == false), "{spec:#}");

    let changed = id("Changed the repository");
    sandbox.good(&["retry", &changed]);
    wait_for_ends(sandbox, std::slice::from_ref(&changed));
    let spec = wait_for("the merge is tried again", || {
        let spec = sandbox.spec(&changed);
        (spec["delivery"] == "unmerged").then_some(spec)
    });
    assert_eq!(spec["cause"]["why"]["kind"], "repository-changed", "{spec:#}");
    let fixed = sandbox.good(&["doctor", "--fix"]).out;
    assert!(fixed.contains("accepted: configuration changed: filter.golden.clean: none -> cat"), "{fixed}");
    sandbox.good(&["retry", &changed]);
    wait_for_ends(sandbox, std::slice::from_ref(&changed));
    let spec = wait_for("the merge is tried a third time", || {
        let spec = sandbox.spec(&changed);
        (spec["delivery"] == "merged").then_some(spec)
    });
    assert_eq!((&spec["delivery"], &spec["tasks"][0]["tries"]), (&"merged".into(), &1.into()), "{spec:#}");
}

#[test]
fn a_spec_of_an_earlier_version_continues_from_every_step() {
    for golden in Golden::ALL {
        println!("{golden:?}");
        continue_from_every_step(golden);
    }
}

fn continue_from_every_step(golden: Golden) {
    let [check, final_check, deliver_check] = match golden {
        Golden::V0_1_0 => ["check", "final_check", "deliver_check"],
        Golden::V0_2_0 | Golden::V0_3_0 => ["verify-task", "verify-spec", "verify-merge"],
    };
    // Step, number of the commit that `main` is at, whether the try has written its file, tries at the end.
    let steps = [
        ("prepare-clean", 2, false, 1),
        ("prepare-clean-begun", 2, false, 1),
        ("prepare-as_it_is", 2, true, 2),
        ("act", 2, false, 1),
        ("capture", 6, true, 1),
        (check, 6, true, 1),
        ("advance", 6, true, 1),
        (final_check, 6, true, 1),
        ("deliver", 6, true, 1),
        (deliver_check, 6, true, 1),
        ("land", 6, true, 1),
        ("close", 7, true, 1),
    ];
    let mut sandbox = Sandbox::new("max_workers = 12\nspawn_jitter_ms = [0, 0]\ntick_interval_ms = 100");
    let mut of_template = Values::new(golden, &sandbox, "template");
    import(&sandbox, "template", "steps/repo.fast-export", &mut of_template);
    let queue = load_empty_queue(&sandbox, &of_template);
    let ids: Vec<String> = (0..steps.len()).map(|number| format!("S{number:04X}")).collect();
    for ((name, main, written, _), id) in steps.iter().zip(&ids) {
        let repo = format!("repo-{name}");
        let user = ["-c", "user.name=Test", "-c", "user.email=test@example.invalid"];
        sandbox.git("", &[&["clone", "-q"], &user[..], &["template", &repo]].concat());
        let mut values = Values::new(golden, &sandbox, &repo);
        values.take_repository(&of_template, &sandbox, &repo);
        sandbox.git(&repo, &["reset", "-q", "--hard", values.get(&format!("@COMMIT_{main}@"))]);
        let mut position = values.json(&format!("steps/position-{name}.json"));
        if let Some(head) = progress(&mut position)["head"].as_str() {
            sandbox.git(&repo, &["branch", "--no-track", &format!("boi/{id}"), head]);
            add_worktree(&sandbox, &repo, id, written.then_some(("two.txt", "two\n")));
        }
        let (spec, worktree) = (values.json("steps/spec.json"), sandbox.path(&format!("boi/worktrees/{id}")));
        insert_running(&queue, &values, id, &spec, (name, &position), &worktree);
    }
    queue.close().unwrap();
    sandbox.start_daemon();
    wait_for_ends(&sandbox, &ids);
    for ((name, _, _, tries), id) in steps.iter().zip(&ids) {
        let spec = sandbox.wait_for_status(id, "completed");
        assert_eq!((&spec["delivery"], &spec["attempt"]), (&"merged".into(), &1.into()), "{name}: {spec:#}");
        assert_eq!(
            (&spec["tasks"][0]["tries"], &spec["worktree"]),
            (&(*tries).into(), &Value::Null),
            "{name}: {spec:#}"
        );
        let repo = format!("repo-{name}");
        assert_eq!(sandbox.git(&repo, &["show", "main:two.txt"]), "two", "{name}");
        assert_eq!(sandbox.git(&repo, &["status", "--porcelain=v2"]), "", "{name}");
    }
}

#[test]
fn each_exit_record_of_an_earlier_version_has_the_same_effect() {
    for golden in Golden::ALL {
        println!("{golden:?}");
        read_exit_records(golden);
    }
}

fn read_exit_records(golden: Golden) {
    // Exit record, status of the spec at the end, its tries, how often its command is started again.
    let mut ends = vec![
        ("code-0", "completed", 1, 0),
        ("left-behind", "completed", 1, 0),
        ("code-3", "completed", 2, 1),
        ("signal-11", "completed", 2, 1),
        ("timed-out", "completed", 2, 1),
        ("too-much-output", "completed", 2, 1),
        ("terminated", "completed", 1, 1),
        ("not-executed", "failed", 1, 0),
        ("not-executed-yet", "completed", 1, 1),
        // No record: the supervisor is dead, and the command lives.
        ("none", "completed", 2, 1),
    ];
    if golden >= Golden::V0_2_0 {
        // No record: the daemon left the command running when it ended, and something else ended both processes.
        ends.push(("left-running", "completed", 1, 1));
    }
    if golden >= Golden::V0_3_0 {
        ends.push(("stalled", "completed", 2, 1));
    }
    let mut sandbox = Sandbox::new("max_workers = 12\nspawn_jitter_ms = [0, 0]\ntick_interval_ms = 100");
    let queue = load_empty_queue(&sandbox, &Values::new(golden, &sandbox, "repo"));
    let ids: Vec<String> = (0..ends.len()).map(|number| format!("S{number:04X}")).collect();
    let mut gone = Command::new("true").spawn().unwrap();
    let gone_pid = i32::try_from(gone.id()).unwrap();
    gone.wait().unwrap();
    let mut left = None;
    let mut outcomes = BTreeSet::new();
    for ((name, ..), id) in ends.iter().zip(&ids) {
        // Each spec has markers of its own.
        let values = Values::new(golden, &sandbox, "repo");
        let mut spec = values.json("steps/spec.json");
        (spec["repo"], spec["deliver"], spec["verify"]) = (Value::Null, "branch".into(), Value::Array(vec![]));
        spec["tasks"][0]["verify"] = Value::Array(vec![]);
        let starts = sandbox.path(&format!("starts-{name}"));
        spec["tasks"][0]["action"] = serde_json::json!({"run": format!("echo x >> {}", starts.display())});
        let mut position = values.json("steps/position-act.json");
        for of_repository in ["origin", "head", "repository"] {
            if let Some(value) = progress(&mut position).get_mut(of_repository) {
                *value = Value::Null;
            }
        }
        let worktree = sandbox.path(&format!("boi/worktrees/{id}"));
        fs::create_dir_all(&worktree).unwrap();
        insert_running(&queue, &values, id, &spec, ("act", &position), &worktree);
        let folder = sandbox.path(&format!("boi/attempts/{id}/1/command-1"));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("marker"), marker(&position)).unwrap();
        let mut command = (gone_pid, 1);
        if *name == "left-running" {
            let mut left_running = values.json("left-running.json");
            left_running["attempts"][0]["spec"] = id.as_str().into();
            sandbox.write("boi/state/left-running.json", left_running.to_string());
        } else if *name == "none" {
            // It lacks the marker: only the `started` record identifies it.
            let child = LeftBehind(Command::new("sleep").arg("600").spawn().unwrap());
            let pid = i32::try_from(child.0.id()).unwrap();
            command = living(pid);
            left = Some(child);
        } else {
            fs::write(folder.join("exit"), values.fill(&format!("exit/{name}.json"))).unwrap();
        }
        let values = with_processes(&values, (gone_pid, 1), command);
        if !name.starts_with("not-executed") {
            fs::write(folder.join("started"), values.fill("started.json")).unwrap();
        }
    }
    queue.close().unwrap();
    sandbox.start_daemon();
    wait_for_ends(&sandbox, &ids);
    for ((name, status, tries, starts), id) in ends.iter().zip(&ids) {
        let spec = sandbox.wait_for_status(id, status);
        assert_eq!((&spec["tasks"][0]["tries"], &spec["attempt"]), (&(*tries).into(), &1.into()), "{name}: {spec:#}");
        let begun = fs::read_to_string(sandbox.path(&format!("starts-{name}"))).unwrap_or_default();
        assert_eq!(begun, "x\n".repeat(*starts), "{name}");
        outcomes.insert(spec["tasks"][0]["history"][0]["outcome"].to_string());
        assert!(*status != "failed" || spec["reason"].to_string().contains("Permission denied"), "{spec:#}");
    }
    // One success, five kinds of failures, and one command that could not be executed; since 0.3.0, also an end
    // because of a silent agent.
    assert_eq!(outcomes.len(), 7 + usize::from(golden >= Golden::V0_3_0), "{outcomes:#?}");
    let ended = left.as_mut().unwrap().0.try_wait().unwrap().and_then(|status| status.signal());
    assert_eq!(ended, Some(Signal::TERM.as_raw()), "the command of a dead supervisor is ended");
}
