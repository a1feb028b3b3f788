//! The records in `tests/golden` that released versions wrote, with their placeholders filled in.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, params};
use rustix::process::{Resource, getrlimit};
use serde_json::{Map, Value, json};

use super::support::{Sandbox, fake_agent};

/// A version whose records are in `tests/golden`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Golden {
    V0_1_0,
    V0_2_0,
    V0_3_0,
}

impl Golden {
    pub const ALL: [Golden; 3] = [Golden::V0_1_0, Golden::V0_2_0, Golden::V0_3_0];

    fn version(self) -> &'static str {
        match self {
            Golden::V0_1_0 => "0.1.0",
            Golden::V0_2_0 => "0.2.0",
            Golden::V0_3_0 => "0.3.0",
        }
    }

    pub fn path(self, name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(self.version()).join(name)
    }

    pub fn text(self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{self:?}: {name}: {error}"))
    }

    /// Milliseconds from `@T0@` to the moment at which the spec "Limited" may continue: the latest time in
    /// the queue.
    fn limited_until(self) -> i64 {
        let queue = self.text("queue.sql");
        let times = queue.split("@T0@+").skip(1).filter_map(|rest| rest.split([',', ')']).next()?.parse().ok());
        times.max().expect("a time")
    }
}

/// The values of the placeholders in the golden records.
#[derive(Clone)]
pub struct Values {
    golden: Golden,
    values: Vec<(String, String)>,
    /// When the specs that wait for a time may continue, in milliseconds since the epoch.
    pub due: i64,
}

impl Values {
    /// The values for a home in `sandbox` and a repository `repo`, whose commits are not known yet.
    pub fn new(golden: Golden, sandbox: &Sandbox, repo: &str) -> Values {
        let path = |name: &str| sandbox.path(name).display().to_string();
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        let open_files = getrlimit(Resource::Nofile).current.map_or("null".to_owned(), |limit| limit.to_string());
        let home = fs::metadata(sandbox.path("boi")).unwrap();
        let due = now() + 2_500;
        let due_text = format!("{:.3}", jiff::Timestamp::from_millisecond(due).unwrap());
        let values = [
            ("@HOME@", path("boi")),
            ("@HOME_ID@", uuid::Uuid::new_v4().simple().to_string()),
            ("@HOME_INODE@", home.ino().to_string()),
            ("@HOME_DEVICE@", home.dev().to_string()),
            ("@REPO@", path(repo)),
            ("@REPO_DEVICE@", "0".to_owned()),
            ("@REPO_INODE@", "0".to_owned()),
            ("@WORK@", path("")),
            ("@AGENT@", fake_agent().display().to_string()),
            ("@BOOT@", boot.trim().to_owned()),
            ("@OPEN_FILES@", open_files),
            ("@T0@", (due - golden.limited_until()).to_string()),
            ("@LIMITED_UNTIL@", due_text.clone()),
            ("@NEXT_TRY@", due_text),
            ("@TIME@", "2026-11-27T13:15:07.958Z".to_owned()),
        ];
        let values = values.map(|(name, value)| (name.to_owned(), value)).to_vec();
        let mut values = Values { golden, values, due };
        // A marker finds processes on the whole machine, so each test needs its own.
        for number in 1..=20 {
            values.set(&format!("@MARKER_{number}@"), uuid::Uuid::new_v4().simple());
        }
        values
    }

    pub fn set(&mut self, name: &str, value: impl ToString) {
        self.values.retain(|(known, _)| known != name);
        self.values.push((name.to_owned(), value.to_string()));
    }

    /// Takes the commits of `other`, and the identity of the repository `repo`.
    pub fn take_repository(&mut self, other: &Values, sandbox: &Sandbox, repo: &str) {
        self.values.extend(other.values.iter().filter(|(name, _)| name.starts_with("@COMMIT_")).cloned());
        self.identify(sandbox, repo);
    }

    fn identify(&mut self, sandbox: &Sandbox, repo: &str) {
        let git_dir = fs::metadata(sandbox.path(repo).join(".git")).unwrap();
        self.set("@REPO_DEVICE@", git_dir.dev());
        self.set("@REPO_INODE@", git_dir.ino());
    }

    pub fn get(&self, name: &str) -> &str {
        &self.values.iter().find(|(known, _)| known == name).unwrap_or_else(|| panic!("no value of {name}")).1
    }

    /// The text of a golden record with its placeholders filled in.
    pub fn fill(&self, name: &str) -> String {
        let mut text = self.golden.text(name);
        for (placeholder, value) in &self.values {
            text = text.replace(placeholder, value);
        }
        text
    }

    pub fn json(&self, name: &str) -> Value {
        let text = self.fill(name);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{:?}: {name}: {error}: {text}", self.golden))
    }
}

/// Milliseconds since the epoch.
pub fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis().try_into().unwrap()
}

/// Creates a repository from a golden fast-export stream and checks out `main`. Its commits and its identity
/// become values.
pub fn import(sandbox: &Sandbox, repo: &str, stream: &str, values: &mut Values) {
    sandbox.git("", &["init", "-q", "-b", "main", repo]);
    sandbox.git(repo, &["config", "user.name", "Test"]);
    sandbox.git(repo, &["config", "user.email", "test@example.invalid"]);
    let marks = sandbox.path(&format!("{repo}.marks")).display().to_string();
    let stream = values.golden.path(stream).display().to_string();
    // A shell alias of git can redirect its standard input.
    let load = format!("alias.load=!git fast-import --quiet --export-marks='{marks}' < '{stream}'");
    sandbox.git(repo, &["-c", &load, "load"]);
    sandbox.git(repo, &["reset", "-q", "--hard", "main"]);
    for line in fs::read_to_string(&marks).unwrap().lines() {
        let (mark, id) = line.split_once(' ').unwrap();
        values.set(&format!("@COMMIT_{}@", mark.trim_start_matches(':')), id);
    }
    values.identify(sandbox, repo);
    // These refs only put commits into the stream; in a real repository no ref names those commits.
    for reference in sandbox.git(repo, &["for-each-ref", "--format=%(refname)", "refs/golden"]).lines() {
        sandbox.git(repo, &["update-ref", "-d", reference]);
    }
}

/// Adds the worktree of a spec and writes `files` into it, which its branch does not have.
pub fn add_worktree<'a>(sandbox: &Sandbox, repo: &str, id: &str, files: impl IntoIterator<Item = (&'a str, &'a str)>) {
    let worktree = format!("boi/worktrees/{id}");
    let path = sandbox.path(&worktree).display().to_string();
    sandbox.git(repo, &["worktree", "add", "-q", &path, &format!("boi/{id}")]);
    for (name, text) in files {
        sandbox.write(&format!("{worktree}/{name}"), text);
    }
}

/// Writes the snapshot of a repository that a version took before a command of the spec `id`, and the files
/// of the repository that the snapshot contains.
pub fn write_snapshot(sandbox: &Sandbox, values: &Values, id: &str) {
    let mut record = b"boi shared 1\n".to_vec();
    for (name, value) in values.json(&format!("commands/{id}/git/shared.json")).as_object().unwrap() {
        let value = value.as_str().unwrap();
        if let Some(path) = name.strip_prefix("file 644 ") {
            fs::write(path, value).unwrap();
        }
        record.extend(format!("{} {}\n{name}{value}", name.len(), value.len()).into_bytes());
    }
    let folder = sandbox.path(&format!("boi/attempts/{id}/git"));
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("shared"), record).unwrap();
}

/// Creates the queue's database from the golden one.
pub fn load_queue(sandbox: &Sandbox, values: &Values) -> Connection {
    fs::create_dir_all(sandbox.path("boi/state")).unwrap();
    let queue = Connection::open(sandbox.path("boi/state/boi.db")).unwrap();
    queue.execute_batch(&values.fill("queue.sql")).unwrap();
    queue
}

/// Creates the queue's database from the golden one, without its specs.
pub fn load_empty_queue(sandbox: &Sandbox, values: &Values) -> Connection {
    let queue = load_queue(sandbox, values);
    let later: &[&str] = match values.golden {
        Golden::V0_1_0 => &[],
        Golden::V0_2_0 => &["repository_changes"],
        Golden::V0_3_0 => &["repository_changes", "holds", "runs"],
    };
    for table in ["specs", "deps", "tasks", "attempts", "tries", "commands", "kept"].iter().chain(later) {
        queue.execute(&format!("DELETE FROM {table}"), []).unwrap();
    }
    queue.execute("UPDATE counts SET n = 0", []).unwrap();
    queue
}

/// The part of a golden position that has the counters and commits.
pub fn progress(position: &mut Value) -> &mut Value {
    match position.get("format") {
        None => position,
        Some(_) => &mut position["progress"],
    }
}

/// The marker of the command that runs at a golden position.
pub fn marker(position: &Value) -> &str {
    let marker = position.get("marker").unwrap_or(&position["step"]["command"]["command"]["marker"]);
    marker.as_str().expect("a command runs")
}

/// Records a spec with one task as running at the golden position `position`, the one of its step `step`. If
/// the position has a command, one try is begun.
pub fn insert_running(
    queue: &Connection,
    values: &Values,
    id: &str,
    spec: &Value,
    (step, position): (&str, &Value),
    worktree: &Path,
) {
    let config = values.fill("worker-config.json");
    let mut copy = position.clone();
    let progress = progress(&mut copy);
    let begun = progress["commands"].as_i64().unwrap();
    let after_task = ["final_check", "verify-spec", "deliver", "deliver_check", "verify-merge", "land", "close"];
    let status = ["pending", "running", "done"][usize::from(begun > 0) + usize::from(after_task.contains(&step))];
    let (repo, head) = (spec["repo"]["path"].as_str(), progress["head"].as_str());
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
                progress["origin"].as_str(),
                head,
                worktree.exists().then(|| worktree.display().to_string()),
                head.is_some(),
            ],
        )
        .unwrap();
    queue
        .execute(
            "INSERT INTO tasks (spec, idx, id, title, status, tries) VALUES (?, 0, 't-1', 't', ?, ?)",
            params![id, status, begun.min(1)],
        )
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
        let stage = match values.golden {
            Golden::V0_1_0 => r#"{"at":"act","task":0,"try_number":1}"#,
            Golden::V0_2_0 | Golden::V0_3_0 => r#"{"command":{"act":{"task":0,"number":1}}}"#,
        };
        queue.execute("INSERT INTO commands VALUES (?, 1, 1, 1, ?)", [id, stage]).unwrap();
    }
}

/// What `boi status ID --json` shows of each spec of the golden queue, as far as a later version must show
/// the same.
pub fn shown(queue: &Connection, values: &Values) -> Vec<Map<String, Value>> {
    if values.golden >= Golden::V0_2_0 {
        let lines = values.fill("status.jsonl");
        return lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    }
    let columns = "id, title, status, reason, priority, attempt, origin, worktree, delivery";
    let mut rows = queue.prepare(&format!("SELECT {columns} FROM specs ORDER BY seq")).unwrap();
    let text = |row: &rusqlite::Row<'_>, column| row.get::<_, Option<String>>(column);
    let rows = rows.query_map([], |row| {
        let spec = json!({
            "id": text(row, 0)?,
            "title": text(row, 1)?,
            "status": text(row, 2)?,
            "reason": text(row, 3)?,
            "priority": row.get::<_, i64>(4)?,
            "attempt": row.get::<_, i64>(5)?,
            "base_commit": text(row, 6)?,
            "worktree": text(row, 7)?,
            "delivery": text(row, 8)?,
        });
        Ok(spec.as_object().unwrap().clone())
    });
    rows.unwrap().map(Result::unwrap).collect()
}
