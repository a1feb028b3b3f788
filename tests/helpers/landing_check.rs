//! What must hold after a round of kills while specs landed.

use std::collections::BTreeMap;
use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::super::support::{DEADLINE, Sandbox};
use super::{COMMANDS, Figures, Scene};

/// The user's checkout, as far as boi must not change it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkout {
    head: Vec<u8>,
    config: Vec<u8>,
    index: Vec<u8>,
    status: String,
    /// The files of the working tree.
    files: BTreeMap<String, Vec<u8>>,
    /// The reflogs of `HEAD`, of the base and of the stash.
    logs: [Vec<u8>; 3],
    stash: String,
    base: String,
}

impl Checkout {
    pub fn of(sandbox: &Sandbox) -> Checkout {
        let bytes =
            |name: &str| fs::read(sandbox.path("repo/.git").join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        let entries = fs::read_dir(sandbox.path("repo")).expect("a checkout").flatten();
        let files = entries.filter(|entry| entry.path().is_file()).map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            (name, fs::read(entry.path()).expect("a file"))
        });
        Checkout {
            head: bytes("HEAD"),
            config: bytes("config"),
            index: bytes("index"),
            files: files.collect(),
            logs: ["logs/HEAD", "logs/refs/heads/main", "logs/refs/stash"].map(bytes),
            // A `git status` that may lock the index would also write it.
            status: sandbox.git("repo", &["--no-optional-locks", "status", "--porcelain=v2"]),
            stash: sandbox.git("repo", &["rev-parse", "refs/stash"]),
            base: sandbox.git("repo", &["rev-parse", "main"]),
        }
    }
}

/// Checks the result once every spec is merged or unmerged: the base moved only forward, each spec is in it once or is
/// unmerged with a reason, nothing of the user's has changed or is lost, and no lander left anything behind.
#[expect(clippy::too_many_arguments, reason = "all that is known about a round")]
pub fn check(
    sandbox: &Sandbox,
    scene: Scene,
    before: &Checkout,
    ids: &[String],
    base_before: &str,
    commits: i32,
    label: &str,
    figures: &mut Figures,
) {
    let now = Checkout::of(sandbox);
    checkout_is_as_it_must_be(sandbox, scene, before, &now, label);
    base_moved_forward(sandbox, label);
    let specs = specs(sandbox, ids);
    for spec in &specs {
        figures.landed += u32::from(spec["delivery"] == "merged");
        figures.unmerged += u32::from(spec["delivery"] == "unmerged");
        figures.sent_back += u32::from(spec["tasks"].as_array().expect("tasks").len() > 1);
        let may_be_unmerged = scene.is_refused();
        assert_eq!(spec["delivery"] == "unmerged", may_be_unmerged, "{label}: {spec:#}");
    }
    each_landed_once_or_not_at_all(sandbox, &specs, base_before, label);
    let subjects = sandbox.git("repo", &["log", "--format=%s", "main"]);
    for number in 0..commits {
        let found = subjects.lines().filter(|subject| *subject == format!("user{number}")).count();
        assert_eq!(found, 1, "{label}: the user's commit {number}: {subjects}");
    }
    nothing_is_left(sandbox, label);
}

/// What `boi status` shows of the specs, in the order of `ids`.
fn specs(sandbox: &Sandbox, ids: &[String]) -> Vec<Value> {
    let status = sandbox.good(&["status", "--json", "--all"]).json();
    let specs = status["specs"].as_array().expect("specs");
    let of = |id: &String| specs.iter().find(|spec| spec["id"] == id.as_str()).expect("the spec").clone();
    ids.iter().map(of).collect()
}

fn checkout_is_as_it_must_be(sandbox: &Sandbox, scene: Scene, before: &Checkout, now: &Checkout, label: &str) {
    if !scene.moves() {
        let mut expected = Checkout { base: now.base.clone(), ..before.clone() };
        if scene.is_refused() {
            expected.base.clone_from(&before.base);
        } else {
            // The base has moved without the checkout.
            expected.logs[1].clone_from(&now.logs[1]);
            assert_ne!(before.base, now.base, "{label}: nothing has landed");
        }
        assert_eq!(*now, expected, "{label}: the checkout has changed");
    }
    assert_eq!((&now.head, &now.config), (&before.head, &before.config), "{label}");
    assert_eq!((&now.stash, &now.logs[2]), (&before.stash, &before.logs[2]), "{label}: the stash has changed");
    for (now, before) in now.logs.iter().zip(&before.logs) {
        assert!(now.starts_with(before), "{label}: entries of a reflog are gone");
    }
    if scene.moves() {
        assert_eq!(now.status, "? untracked", "{label}");
        assert_eq!(now.files["untracked"], b"mine\n", "{label}");
        // `git status` trusts the times in the index, which boi writes, so the files are compared too.
        let entries = sandbox.git("repo", &["ls-tree", "HEAD"]);
        let entries = entries.lines().filter_map(|line| line.split_once(" blob ")?.1.split_once('\t'));
        let (ids, names): (Vec<&str>, Vec<&str>) = entries.unzip();
        let arguments = ["hash-object", "--"].into_iter().chain(names.iter().copied());
        let found = sandbox.git("repo", &arguments.collect::<Vec<_>>());
        assert_eq!(found.lines().collect::<Vec<_>>(), ids, "{label}: files differ from the commit: {names:?}");
    }
}

/// Checks that every former commit of the base is among the first parents of its commit.
fn base_moved_forward(sandbox: &Sandbox, label: &str) {
    let own = sandbox.git("repo", &["rev-list", "--first-parent", "main"]);
    let own: Vec<&str> = own.lines().collect();
    let moves = sandbox.git("repo", &["log", "-g", "--format=%H", "main", "--"]);
    let places: Vec<Option<usize>> = moves.lines().map(|tip| own.iter().position(|commit| *commit == tip)).collect();
    assert!(places.iter().all(Option::is_some), "{label}: a former commit of the base is not in it: {moves}");
    assert!(places.is_sorted_by(|newer, older| newer < older), "{label}: the base moved back: {moves}");
    assert_eq!(places.first(), Some(&Some(0)), "{label}: the base moved without an entry in its reflog");
}

fn each_landed_once_or_not_at_all(sandbox: &Sandbox, specs: &[Value], base_before: &str, label: &str) {
    let range = format!("{base_before}..main");
    let of = "%(trailers:key=Boi-Spec,valueonly,separator=%x2C) %(trailers:key=Boi-Task,valueonly,separator=%x2C)";
    let commits = sandbox.git("repo", &["log", &format!("--format={of}"), &range]);
    let merges = sandbox.git("repo", &["log", "--format=%s", &range]);
    let files = sandbox.git("repo", &["ls-tree", "--name-only", "main"]);
    let refs = |arguments: &[&str]| {
        sandbox.git("repo", &[&["for-each-ref", "--format=%(refname:short)", "refs/heads/boi"], arguments].concat())
    };
    let (branches, contained) = (refs(&[]), refs(&["--merged", "main"]));
    let shared = sandbox.git("repo", &["show", "main:shared"]);
    let events = sandbox.good(&["events", "--since", "0", "--json"]).out;
    let events: Vec<Value> = events.lines().map(|line| serde_json::from_str(line).expect("an event")).collect();
    for (number, spec) in specs.iter().enumerate() {
        let id = spec["id"].as_str().expect("an id");
        assert_eq!(spec["status"], "completed", "{label}: {spec:#}");
        let is_merged = spec["delivery"] == "merged";
        let branch = spec["branch"].as_str().expect("a branch");
        let count = |text: &str, wanted: &str| text.lines().filter(|line| *line == wanted).count();
        let landed = usize::from(is_merged);
        assert_eq!(count(&commits, &format!("{id} t-1")), landed, "{label}: {id}: commits of its task: {commits}");
        let merged = count(&merges, &format!("Merge {branch} into main"));
        assert!(merged <= landed, "{label}: {id} was merged {merged} times: {merges}");
        assert_eq!(count(&files, &format!("f{number}")), landed, "{label}: {id}: {files}");
        if COMMANDS[number].contains("shared") {
            assert_eq!(count(&shared, &format!("side{number}")), landed, "{label}: {id}: {shared}");
        }
        // An unmerged branch keeps its commits.
        assert_eq!(count(&branches, branch), 1, "{label}: {id}: {branches}");
        assert_eq!(count(&contained, branch), landed, "{label}: {id}: {contained}");
        let told: Vec<&Value> = events
            .iter()
            .filter(|event| event["spec"] == id && (event["kind"] == "spec.merged" || event["kind"] == "spec.unmerged"))
            .collect();
        let last = told.last().unwrap_or_else(|| panic!("{label}: {id}: no event of its landing"));
        assert_eq!(last["kind"] == "spec.merged", is_merged, "{label}: {told:?}");
        assert_eq!(told.iter().filter(|event| event["kind"] == "spec.merged").count(), landed, "{label}: {told:?}");
        if is_merged {
            assert_eq!(last["body"]["by"], "boi", "{label}: {told:?}");
        } else {
            assert!(spec["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{label}: {spec:#}");
        }
    }
    // The base passes the test of the repository, and both sides of the conflict are in it.
    if count_of(&files, |name| name == "limit") == 1 {
        let limit: usize = sandbox.git("repo", &["show", "main:limit"]).parse().expect("a number");
        assert!(count_of(&files, |name| name.starts_with('f')) <= limit, "{label}: the base fails: {files}");
    }
}

fn count_of(lines: &str, is_wanted: impl Fn(&str) -> bool) -> usize {
    lines.lines().filter(|line| is_wanted(line)).count()
}

fn nothing_is_left(sandbox: &Sandbox, label: &str) {
    let landers = || {
        let folders = fs::read_dir(sandbox.path("boi/attempts")).expect("a folder").flatten();
        let refs = ["for-each-ref", "--format=%(refname)", "refs/heads/boi", "refs/boi"];
        let mut left: Vec<String> = folders.map(|folder| folder.file_name().to_string_lossy().into_owned()).collect();
        left.retain(|name| name.starts_with('L'));
        if left.is_empty() {
            left.extend(sandbox.git("repo", &refs).lines().filter(|name| name.contains("/L")).map(str::to_owned));
            left.extend(sandbox.git("repo", &["worktree", "list", "--porcelain"]).lines().skip(4).map(str::to_owned));
        }
        left
    };
    let until = Instant::now() + DEADLINE;
    loop {
        let left = landers();
        if left.is_empty() {
            break;
        }
        assert!(Instant::now() < until, "{label}: a lander has left {left:?}");
        sleep(Duration::from_millis(20));
    }
    sandbox.git("repo", &["fsck", "--no-progress"]);
    let git_dir = sandbox.path("repo/.git");
    assert!(!git_dir.join("index.lock").exists(), "{label}: the index is locked");
    let deliveries = fs::read_dir(git_dir.join("boi")).into_iter().flatten().flatten();
    let left: Vec<_> = deliveries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    assert!(left.is_empty(), "{label}: deliveries are unfinished: {left:?}");
}

/// Removes the user's edit, and checks that `boi merge --all` lands all that could not be landed before.
pub fn nothing_is_lost_after_the_edit(sandbox: &Sandbox, ids: &[String], base_before: &str, label: &str) {
    sandbox.git("repo", &["checkout", "-q", "--", "shared"]);
    sandbox.good(&["merge", "--all"]);
    let specs = specs(sandbox, ids);
    assert!(specs.iter().all(|spec| spec["delivery"] == "merged"), "{label}: {specs:#?}");
    each_landed_once_or_not_at_all(sandbox, &specs, base_before, label);
    base_moved_forward(sandbox, label);
}
