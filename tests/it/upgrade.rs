//! The current version reads what version 0.1.0 wrote and continues its work: the queue, running commands, and each kind
//! of record.
//!
//! The records are in `tests/golden/0.1.0` and never change; the `README.md` there says how they were made. The tests fill
//! in their placeholders, start the current program on the result, and check what it shows.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, params};
use rustix::process::{Resource, Signal, getrlimit};
use serde_json::Value;

use super::crash::rounds::start_time;
use super::support::{Sandbox, fake_agent, lives, locked, wait_for};

/// Milliseconds from `@T0@` to the moment at which the spec "Limited" may go on.
const LIMITED_UNTIL: i64 = 3625812;

/// The values of the placeholders in the golden records.
#[derive(Clone)]
struct Values(Vec<(String, String)>);

impl Values {
    /// The values for a home in `sandbox` and a repository `repo`, whose commits are not known yet.
    fn new(sandbox: &Sandbox, repo: &str) -> Values {
        let path = |name: &str| sandbox.path(name).display().to_string();
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        let open_files = getrlimit(Resource::Nofile).current.map_or("null".to_owned(), |limit| limit.to_string());
        let values = [
            ("@HOME@", path("boi")),
            ("@REPO@", path(repo)),
            ("@WORK@", path("")),
            ("@AGENT@", fake_agent().display().to_string()),
            ("@BOOT@", boot.trim().to_owned()),
            ("@OPEN_FILES@", open_files),
            ("@T0@", (now() - LIMITED_UNTIL + 1_500).to_string()),
            ("@TIME@", "2026-11-27T13:15:07.958Z".to_owned()),
        ];
        let mut values = Values(values.map(|(name, value)| (name.to_owned(), value)).to_vec());
        // A marker finds processes on the whole machine, so each test needs its own.
        for number in 1..=20 {
            values.set(&format!("@MARKER_{number}@"), uuid::Uuid::new_v4().simple());
        }
        values
    }

    fn set(&mut self, name: &str, value: impl ToString) {
        self.0.retain(|(known, _)| known != name);
        self.0.push((name.to_owned(), value.to_string()));
    }

    fn take_commits(&mut self, other: &Values) {
        self.0.extend(other.0.iter().filter(|(name, _)| name.starts_with("@COMMIT_")).cloned());
    }

    fn get(&self, name: &str) -> &str {
        &self.0.iter().find(|(known, _)| known == name).unwrap_or_else(|| panic!("no value of {name}")).1
    }

    /// The text of a golden record with its placeholders filled in.
    fn fill(&self, name: &str) -> String {
        let mut text = golden(name);
        for (placeholder, value) in &self.0 {
            text = text.replace(placeholder, value);
        }
        text
    }

    fn json(&self, name: &str) -> Value {
        let text = self.fill(name);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}: {text}"))
    }
}

fn golden_path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/0.1.0").join(name)
}

fn golden(name: &str) -> String {
    fs::read_to_string(golden_path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Milliseconds since the epoch.
fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis().try_into().unwrap()
}

/// Creates a repository from a golden fast-export stream and checks out `main`. Its commits become the values of
/// `@COMMIT_N@`.
fn import(sandbox: &Sandbox, repo: &str, stream: &str, values: &mut Values) {
    sandbox.git("", &["init", "-q", "-b", "main", repo]);
    sandbox.git(repo, &["config", "user.name", "Test"]);
    sandbox.git(repo, &["config", "user.email", "test@example.invalid"]);
    let marks = sandbox.path(&format!("{repo}.marks")).display().to_string();
    let stream = golden_path(stream).display().to_string();
    // A shell alias of git can redirect its standard input.
    let load = format!("alias.load=!git fast-import --quiet --export-marks='{marks}' < '{stream}'");
    sandbox.git(repo, &["-c", &load, "load"]);
    sandbox.git(repo, &["reset", "-q", "--hard", "main"]);
    for line in fs::read_to_string(&marks).unwrap().lines() {
        let (mark, id) = line.split_once(' ').unwrap();
        values.set(&format!("@COMMIT_{}@", mark.trim_start_matches(':')), id);
    }
    // These refs only put commits into the stream; in a real repository no ref names those commits.
    for reference in sandbox.git(repo, &["for-each-ref", "--format=%(refname)", "refs/golden"]).lines() {
        sandbox.git(repo, &["update-ref", "-d", reference]);
    }
}

/// Adds the worktree of a spec and writes `files` into it, which its branch does not have.
fn add_worktree<'a>(sandbox: &Sandbox, repo: &str, id: &str, files: impl IntoIterator<Item = (&'a str, &'a str)>) {
    let worktree = format!("boi/worktrees/{id}");
    let path = sandbox.path(&worktree).display().to_string();
    sandbox.git(repo, &["worktree", "add", "-q", &path, &format!("boi/{id}")]);
    for (name, text) in files {
        sandbox.write(&format!("{worktree}/{name}"), text);
    }
}

/// Creates the queue's database from the golden one.
fn load_queue(sandbox: &Sandbox, values: &Values) -> Connection {
    fs::create_dir_all(sandbox.path("boi/state")).unwrap();
    let queue = Connection::open(sandbox.path("boi/state/boi.db")).unwrap();
    queue.execute_batch(&values.fill("queue.sql")).unwrap();
    queue
}

/// Creates the queue's database from the golden one, without its specs.
fn load_empty_queue(sandbox: &Sandbox, values: &Values) -> Connection {
    let queue = load_queue(sandbox, values);
    for table in ["specs", "deps", "tasks", "attempts", "tries", "commands", "kept"] {
        queue.execute(&format!("DELETE FROM {table}"), []).unwrap();
    }
    queue.execute("UPDATE counts SET n = 0", []).unwrap();
    queue
}

/// Records a spec with one task as running at `position`. If the position has a command, one try is begun.
fn insert_running(queue: &Connection, id: &str, spec: &Value, config: &str, position: &Value, worktree: &Path) {
    let begun = position["commands"].as_i64().unwrap();
    let done = ["final_check", "deliver", "deliver_check", "land", "close"].contains(&step_name(position));
    let status = ["pending", "running", "done"][usize::from(begun > 0) + usize::from(done)];
    let (repo, head) = (spec["repo"]["path"].as_str(), position["head"].as_str());
    queue
        .execute(
            "INSERT INTO specs (id, title, body, repo, merges, priority, status, open_deps, attempt, origin, head,
                                worktree, has_branch, queued_at, started_at)
             VALUES (?, ?, ?, ?, ?, 100, 'running', 0, 1, ?, ?, ?, ?, 1, 1)",
            params![
                id,
                spec["title"].as_str(),
                spec.to_string(),
                repo,
                spec["deliver"] == "merge",
                position["origin"].as_str(),
                head,
                worktree.exists().then(|| worktree.display().to_string()),
                head.is_some(),
            ],
        )
        .unwrap();
    queue
        .execute("INSERT INTO tasks VALUES (?, 0, 't-1', 't', ?, ?, NULL)", params![id, status, begun.min(1)])
        .unwrap();
    queue
        .execute(
            "INSERT INTO attempts (spec, number, config, generation, position, claimed_at, started_at)
             VALUES (?, 1, ?, 1, ?, 1, 1)",
            params![id, config, position.to_string()],
        )
        .unwrap();
    if begun > 0 {
        queue
            .execute("INSERT INTO tries (spec, idx, number, attempt, started_at) VALUES (?, 0, 1, 1, 1)", [id])
            .unwrap();
        let step = r#"{"at":"act","task":0,"try_number":1}"#;
        queue.execute("INSERT INTO commands VALUES (?, 1, 1, 1, ?)", [id, step]).unwrap();
    }
}

/// The name of a position's step.
fn step_name(position: &Value) -> &str {
    position["step"]["at"].as_str().unwrap()
}

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

/// A supervisor that was started as a daemon of 0.1.0 starts it.
struct Supervised {
    supervisor: Child,
    /// The pid of its command.
    command: i32,
}

/// Starts the supervisor of a golden command, waits until the command waits at its barrier, and writes the `started` record
/// as 0.1.0 does.
fn supervise(sandbox: &Sandbox, values: &Values, command: &str, barrier: &str) -> Supervised {
    let (folder, records) = (sandbox.path(&format!("boi/attempts/{command}")), format!("commands/{command}"));
    fs::create_dir_all(&folder).unwrap();
    for name in ["request", "marker", "prompt"] {
        if golden_path(&format!("{records}/{name}")).exists() {
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

/// The columns of a golden row of `specs` that `boi status` shows.
#[derive(Debug, PartialEq)]
struct Shown {
    id: String,
    title: String,
    status: String,
    reason: Option<String>,
    priority: i64,
    attempt: i64,
    base_commit: Option<String>,
    worktree: Option<String>,
    delivery: Option<String>,
}

fn golden_rows(queue: &Connection) -> Vec<Shown> {
    let columns = "id, title, status, reason, priority, attempt, origin, worktree, delivery";
    let mut rows = queue.prepare(&format!("SELECT {columns} FROM specs ORDER BY seq")).unwrap();
    let rows = rows.query_map([], |row| {
        Ok(Shown {
            id: row.get(0)?,
            title: row.get(1)?,
            status: row.get(2)?,
            reason: row.get(3)?,
            priority: row.get(4)?,
            attempt: row.get(5)?,
            base_commit: row.get(6)?,
            worktree: row.get(7)?,
            delivery: row.get(8)?,
        })
    });
    rows.unwrap().map(Result::unwrap).collect()
}

fn shown(spec: &Value) -> Shown {
    let text = |name: &str| spec[name].as_str().map(str::to_owned);
    Shown {
        id: text("id").unwrap(),
        title: text("title").unwrap(),
        status: text("status").unwrap(),
        reason: text("reason"),
        priority: spec["priority"].as_i64().unwrap(),
        attempt: spec["attempt"].as_i64().unwrap(),
        base_commit: text("base_commit"),
        worktree: text("worktree"),
        delivery: text("delivery"),
    }
}

#[test]
fn a_home_of_0_1_0_is_adopted_while_its_commands_run() {
    let config = golden("config.toml");
    let mut sandbox = Sandbox::new(&config);
    let mut values = Values::new(&sandbox, "golden");
    import(&sandbox, "golden", "repo.fast-export", &mut values);
    sandbox.write("golden/a.txt", "mine\n");
    let queue = load_queue(&sandbox, &values);
    let rows = golden_rows(&queue);
    queue.close().unwrap();
    for (id, files) in values.json("worktrees.json").as_object().unwrap() {
        let files = files.as_object().unwrap().iter();
        add_worktree(&sandbox, "golden", id, files.map(|(name, text)| (name.as_str(), text.as_str().unwrap())));
    }
    sandbox.write("boi/state/reload.json", values.fill("reload/rejected.json"));
    sandbox.write("boi/state/last-good.toml", &config);
    let id = |title: &str| rows.iter().find(|row| row.title == title).unwrap().id.clone();
    let running = [
        ("Running a command", 1, "command"),
        ("Running a verify command", 3, "verify"),
        ("Running an agent", 1, "agent"),
        ("Running the last verify command", 2, "last"),
    ];
    let supervised = running.map(|(title, number, barrier)| {
        supervise(&sandbox, &values, &format!("{}/1/command-{number}", id(title)), barrier)
    });
    sandbox.start_daemon();

    // Every spec is shown as 0.1.0 showed it.
    let due: i64 = values.get("@T0@").parse::<i64>().unwrap() + LIMITED_UNTIL;
    let mut seen = BTreeSet::new();
    for row in &rows {
        let spec = sandbox.spec(&row.id);
        fields(&spec, "SPEC", &mut seen);
        let mut now_shown = shown(&spec);
        match row.title.as_str() {
            "Waits for one that runs" => {
                let reason = now_shown.reason.take().unwrap_or_default();
                assert!(reason.contains(&id("Running a command")), "{reason}");
            }
            "Limited" if now() > due => now_shown.reason.clone_from(&row.reason),
            _ => {}
        }
        assert_eq!(now_shown, *row);
    }
    for Supervised { command, .. } in &supervised {
        assert!(lives(*command), "a command outlives the daemon that started it");
    }
    let kept = sandbox.spec(&id("Completed"))["kept"][0].as_str().unwrap().to_owned();
    assert_eq!(sandbox.git("golden", &["show", &format!("{kept}:left.txt")]), "left");

    // The fields that scripts read exist, also those about a change of the configuration.
    let change = "tick_interval_ms = 101\ntask_timeout_minutes = 31\n";
    sandbox.write("boi/config.toml", config.replace("tick_interval_ms = 100\n", change));
    let status = wait_for("the change is in force", || {
        let status = sandbox.good(&["status", "--json"]).json();
        (status["config"]["generation"] == 2).then_some(status)
    });
    fields(&status, "", &mut seen);
    let missing: Vec<String> =
        golden("status-keys.txt").lines().map(str::to_owned).filter(|key| !seen.contains(key)).collect();
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
    for (title, file, text) in results {
        let spec = sandbox.wait_for_status(&id(title), "completed");
        assert_eq!(spec["attempt"], 1, "{spec:#}");
        for task in spec["tasks"].as_array().unwrap() {
            assert_eq!((&task["status"], &task["tries"]), (&"done".into(), &1.into()), "{spec:#}");
        }
        assert_eq!(sandbox.git("golden", &["show", &format!("boi/{}:{file}", id(title))]), text);
    }
    for mut supervised in supervised {
        assert!(supervised.supervisor.wait().unwrap().success());
    }
    for barrier in ["command", "verify", "agent", "last", "stopped"] {
        assert_eq!(sandbox.read(&format!("starts-{barrier}")), "x\n", "{barrier} ran once");
    }

    // Ended specs can be retried: one only delivers, and a failed one is queued again with the spec that waited for it.
    // `boi clean` finds what a spec left.
    sandbox.git("golden", &["checkout", "-q", "a.txt"]);
    sandbox.good(&["retry", &id("Unmerged"), &id("Failed")]);
    let unmerged = sandbox.wait_for_status(&id("Unmerged"), "completed");
    assert_eq!((&unmerged["delivery"], &unmerged["tasks"][0]["tries"]), (&"merged".into(), &1.into()), "{unmerged:#}");
    assert_eq!(sandbox.read("golden/a.txt"), "two\n");
    let failed = sandbox.wait_for_status(&id("Failed"), "failed");
    assert_eq!((&failed["attempt"], &failed["tasks"][0]["tries"]), (&2.into(), &4.into()), "{failed:#}");
    sandbox.wait_for_status(&id("Waited for the failed"), "failed");
    sandbox.good(&["clean", &id("Canceled")]);
    assert!(!sandbox.exists(&format!("boi/worktrees/{}", id("Canceled"))));
}

#[test]
fn a_spec_of_0_1_0_continues_from_every_step() {
    // Step, number of the commit that `main` is at, whether the try has written its file, tries at the end.
    let steps = [
        ("prepare-clean", 2, false, 1),
        ("prepare-clean-begun", 2, false, 1),
        ("prepare-as_it_is", 2, true, 2),
        ("act", 2, false, 1),
        ("capture", 6, true, 1),
        ("check", 6, true, 1),
        ("advance", 6, true, 1),
        ("final_check", 6, true, 1),
        ("deliver", 6, true, 1),
        ("deliver_check", 6, true, 1),
        ("land", 6, true, 1),
        ("close", 7, true, 1),
    ];
    let mut sandbox = Sandbox::new("max_workers = 12\nspawn_jitter_ms = [0, 0]\ntick_interval_ms = 100");
    let mut of_template = Values::new(&sandbox, "template");
    import(&sandbox, "template", "steps/repo.fast-export", &mut of_template);
    let queue = load_empty_queue(&sandbox, &of_template);
    let ids: Vec<String> = (0..steps.len()).map(|number| format!("S{number:04X}")).collect();
    for ((name, main, written, _), id) in steps.iter().zip(&ids) {
        let repo = format!("repo-{name}");
        let user = ["-c", "user.name=Test", "-c", "user.email=test@example.invalid"];
        sandbox.git("", &[&["clone", "-q"], &user[..], &["template", &repo]].concat());
        let mut values = Values::new(&sandbox, &repo);
        values.take_commits(&of_template);
        sandbox.git(&repo, &["reset", "-q", "--hard", values.get(&format!("@COMMIT_{main}@"))]);
        let position = values.json(&format!("steps/position-{name}.json"));
        if let Some(head) = position["head"].as_str() {
            sandbox.git(&repo, &["branch", "--no-track", &format!("boi/{id}"), head]);
            add_worktree(&sandbox, &repo, id, written.then_some(("two.txt", "two\n")));
        }
        let (spec, config) = (values.json("steps/spec.json"), values.fill("worker-config.json"));
        insert_running(&queue, id, &spec, &config, &position, &sandbox.path(&format!("boi/worktrees/{id}")));
    }
    queue.close().unwrap();
    sandbox.start_daemon();
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
fn each_exit_record_of_0_1_0_has_the_same_effect() {
    // Exit record, status of the spec at the end, its tries, how often its command is started again.
    let ends = [
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
    let mut sandbox = Sandbox::new("max_workers = 12\nspawn_jitter_ms = [0, 0]\ntick_interval_ms = 100");
    let queue = load_empty_queue(&sandbox, &Values::new(&sandbox, "repo"));
    let ids: Vec<String> = (0..ends.len()).map(|number| format!("S{number:04X}")).collect();
    let mut gone = Command::new("true").spawn().unwrap();
    let gone_pid = i32::try_from(gone.id()).unwrap();
    gone.wait().unwrap();
    let mut left = None;
    let mut outcomes = BTreeSet::new();
    for ((name, ..), id) in ends.iter().zip(&ids) {
        // Each spec has markers of its own.
        let values = Values::new(&sandbox, "repo");
        let mut spec = values.json("steps/spec.json");
        (spec["repo"], spec["deliver"], spec["verify"]) = (Value::Null, "branch".into(), Value::Array(vec![]));
        spec["tasks"][0]["verify"] = Value::Array(vec![]);
        let starts = sandbox.path(&format!("starts-{name}"));
        spec["tasks"][0]["action"] = serde_json::json!({"run": format!("echo x >> {}", starts.display())});
        let mut position = values.json("steps/position-act.json");
        (position["origin"], position["head"]) = (Value::Null, Value::Null);
        let worktree = sandbox.path(&format!("boi/worktrees/{id}"));
        fs::create_dir_all(&worktree).unwrap();
        insert_running(&queue, id, &spec, &values.fill("worker-config.json"), &position, &worktree);
        let folder = sandbox.path(&format!("boi/attempts/{id}/1/command-1"));
        fs::create_dir_all(&folder).unwrap();
        let marker = position["marker"].as_str().unwrap();
        fs::write(folder.join("marker"), marker).unwrap();
        let mut command = (gone_pid, 1);
        if *name == "none" {
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
    for ((name, status, tries, starts), id) in ends.iter().zip(&ids) {
        let spec = sandbox.wait_for_status(id, status);
        assert_eq!((&spec["tasks"][0]["tries"], &spec["attempt"]), (&(*tries).into(), &1.into()), "{name}: {spec:#}");
        let begun = fs::read_to_string(sandbox.path(&format!("starts-{name}"))).unwrap_or_default();
        assert_eq!(begun, "x\n".repeat(*starts), "{name}");
        outcomes.insert(spec["tasks"][0]["history"][0]["outcome"].to_string());
        assert!(*status != "failed" || spec["reason"].to_string().contains("Permission denied"), "{spec:#}");
    }
    // One success, five kinds of failures, and one command that could not be executed.
    assert_eq!(outcomes.len(), 7, "{outcomes:#?}");
    let ended = left.as_mut().unwrap().0.try_wait().unwrap().and_then(|status| status.signal());
    assert_eq!(ended, Some(Signal::TERM.as_raw()), "the command of a dead supervisor is ended");
}
