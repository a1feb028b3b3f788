//! Rounds of `kill -9` while specs land: four specs are merged into one base, of which two conflict and one breaks the test
//! of the others. Meanwhile the daemon is killed at random moments, and the user's checkout is in one of several states,
//! or the user commits to the base. Then the result is examined.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Mutex;
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;

use super::support::{Begun, Sandbox};

#[path = "landing_check.rs"]
mod check;

/// A round that takes longer counts as a hang.
const HANG: Duration = Duration::from_secs(120);
/// The most pause before a kill, in milliseconds.
const PAUSE: u64 = 150;
/// How many commits the user makes.
const COMMITS: i32 = 3;

/// What the user's checkout is like while specs land.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scene {
    /// It is on the base, with an untracked file only.
    Clean,
    /// It is on the base. A file is edited that no spec changes.
    OtherEdit,
    /// It is on the base. A file is edited that specs change.
    EditInTheWay,
    /// It is in the middle of a rebase of the base.
    RebaseOfBase,
    /// It is in the middle of a rebase of another branch.
    RebaseOfOther,
    /// It is on another branch.
    Elsewhere,
    /// It is on the base, and the user commits.
    Commits,
}

impl Scene {
    const ALL: [Scene; 7] = [
        Scene::Clean,
        Scene::OtherEdit,
        Scene::EditInTheWay,
        Scene::RebaseOfBase,
        Scene::RebaseOfOther,
        Scene::Elsewhere,
        Scene::Commits,
    ];

    fn of(seed: u64) -> Scene {
        Scene::ALL[(seed % Scene::ALL.len() as u64) as usize]
    }

    /// Whether nothing may land.
    fn is_refused(self) -> bool {
        matches!(self, Scene::OtherEdit | Scene::EditInTheWay | Scene::RebaseOfBase)
    }

    /// Whether the checkout moves together with the base.
    fn moves(self) -> bool {
        matches!(self, Scene::Clean | Scene::Commits)
    }

    /// Brings the checkout into this state.
    fn set(self, sandbox: &Sandbox) {
        let break_off = ["-c", "sequence.editor=sed -i 1ibreak", "rebase", "-q", "-i", "HEAD~1"];
        match self {
            Scene::Clean | Scene::Commits => {}
            Scene::OtherEdit => {
                sandbox.write("repo/a.txt", "mine\n");
                sandbox.git("repo", &["add", "a.txt"]);
                sandbox.write("repo/a.txt", "mine, not staged\n");
            }
            Scene::EditInTheWay => drop(sandbox.write("repo/shared", "mine\n")),
            Scene::RebaseOfBase => drop(sandbox.git("repo", &break_off)),
            Scene::RebaseOfOther => {
                sandbox.git("repo", &["checkout", "-q", "-b", "topic"]);
                sandbox.git("repo", &break_off);
            }
            Scene::Elsewhere => drop(sandbox.git("repo", &["checkout", "-q", "-b", "topic", "HEAD~1"])),
        }
    }
}

/// What happened in some rounds.
#[derive(Debug, Clone, Copy, Default)]
pub struct Figures {
    pub kills: u32,
    /// Kills while at least one spec waited or landed.
    pub while_landing: u32,
    pub landed: u32,
    pub unmerged: u32,
    pub sent_back: u32,
}

/// An agent that does what its prompt says after `do `. When a spec was sent back, it resolves each conflict by keeping both
/// sides, and raises the limit that `test.sh` checks.
const AGENT: &str = r#"#!/bin/sh
prompt=$(cat)
if [ "$BOI_TASK" = land ]; then
    grep -rl '^<<<<<<<' --exclude-dir=.git . | xargs -r sed -i '/^<<<<<<<\|^=======\|^>>>>>>>/d'
    [ ! -e limit ] || echo 99 > limit
else
    sh -c "$(printf '%s' "$prompt" | sed -n 's/^do //p' | head -n 1)"
fi
echo '{"type":"result","subtype":"success","is_error":false,"result":"done","num_turns":1,"total_cost_usd":0.001,"usage":{"input_tokens":1,"output_tokens":1}}'
"#;

/// The test of the repository: it fails if there are more files `f*` than the file `limit` allows.
const TEST: &str = "[ ! -e limit ] || [ \"$(ls f* | wc -l)\" -le \"$(cat limit)\" ]\n";

/// A sandbox with that repository and that agent.
pub fn sandbox(config: &str) -> Sandbox {
    with_test_and_agent(Sandbox::new(&config_with(config)))
}

fn config_with(config: &str) -> String {
    format!(
        "max_workers = 8\nspawns_per_tick = 8\nspawn_jitter_ms = [0, 0]\ntick_interval_ms = 100\n\
         retry_backoff_seconds = [0, 0]\nstop_grace_seconds = 1\n{config}"
    )
}

fn with_test_and_agent(sandbox: Sandbox) -> Sandbox {
    sandbox.write("repo/test.sh", TEST);
    sandbox.write("repo/shared", "1\n");
    sandbox.git("repo", &["add", "-A"]);
    sandbox.git("repo", &["commit", "-q", "-m", "the test"]);
    let agent = sandbox.write("agent.sh", AGENT);
    fs::set_permissions(&agent, fs::Permissions::from_mode(0o755)).expect("a mode");
    sandbox.with_variables([("CLAUDE_BIN", agent.display().to_string())])
}

/// A spec that is merged into `main` after `command` has run in its worktree.
pub fn spec(title: &str, command: &str) -> String {
    format!(
        "title = '{title}'\nrepo = 'repo'\nbase = 'main'\ndeliver = 'merge'\nverify = ['sh test.sh']\n\
         [[tasks]]\nprompt = '''\ndo {command}\n'''\n"
    )
}

/// What each spec of a round does: two conflict, and the last one breaks the test of the others.
const COMMANDS: [&str; 4] = [
    "echo x > f0",
    "echo side1 >> shared; echo x > f1",
    "echo side2 >> shared; echo x > f2",
    "echo 1 > limit; echo x > f3",
];

/// Runs `count` rounds on several threads. Panics if one of them has a wrong result, and prints its seed.
pub fn rounds(first: u64, count: u64, threads: usize) -> Figures {
    let (next, total) = (Mutex::new(first..first + count), Mutex::new(Figures::default()));
    let take = || next.lock().expect("no panic").next();
    scope(|threads_of_rounds| {
        for _ in 0..threads {
            threads_of_rounds.spawn(|| {
                while let Some(seed) = take() {
                    let figures = round(seed);
                    let mut total = total.lock().expect("no panic");
                    total.kills += figures.kills;
                    total.while_landing += figures.while_landing;
                    total.landed += figures.landed;
                    total.unmerged += figures.unmerged;
                    total.sent_back += figures.sent_back;
                }
            });
        }
    });
    total.into_inner().expect("no panic")
}

/// Runs one round. Panics, with the seed, if the result is wrong.
pub fn round(seed: u64) -> Figures {
    let scene = Scene::of(seed);
    let label = format!("seed {seed}, {scene:?}");
    let mut random = SmallRng::seed_from_u64(seed);
    let mut sandbox = with_test_and_agent(Sandbox::in_memory(&config_with("")));
    let before = sandbox.git("repo", &["rev-parse", "main"]);
    sandbox.write("repo/a.txt", "stashed\n");
    sandbox.git("repo", &["stash", "-q"]);
    sandbox.write("repo/untracked", "mine\n");
    let ids = dispatch(&sandbox);
    scene.set(&sandbox);
    let mine = check::Checkout::of(&sandbox);

    let (mut figures, mut commits) = (Figures::default(), 0);
    let kills = random.random_range(2..5);
    // Some rounds kill the daemon also before the first spec waits to land.
    let mut may_kill = random.random_bool(0.25);
    let until = Instant::now() + HANG;
    let follower = sandbox.begin(&["events", "--since", "0", "--follow", "--json"]);
    sandbox.begin_daemon();
    loop {
        let Progress { landing, settled } = progress(&follower);
        if settled == ids.len() {
            break;
        }
        assert!(Instant::now() < until, "{label}: not settled in time: {}", sandbox.boi(&["status"]).out);
        may_kill |= landing + settled > 0;
        if scene == Scene::Commits && may_kill && commits < COMMITS && random.random_bool(0.5) {
            commits += i32::from(commit(&sandbox, commits));
        }
        if may_kill && figures.kills < kills {
            // Only the moment of the kill is a matter of time.
            sleep(Duration::from_millis(random.random_range(0..PAUSE)));
            sandbox.kill_daemon();
            figures.kills += 1;
            figures.while_landing += u32::from(landing > 0);
            sandbox.begin_daemon();
        } else {
            sleep(Duration::from_millis(20));
        }
    }
    drop(follower);
    if scene == Scene::Commits {
        // A spec is refused that was to land between the user's `git add` and `git commit`.
        sandbox.good(&["merge", "--all"]);
    }
    check::check(&sandbox, scene, &mine, &ids, &before, commits, &label, &mut figures);
    if scene == Scene::EditInTheWay {
        check::nothing_is_lost_after_the_edit(&sandbox, &ids, &before, &label);
    }
    figures
}

/// Dispatches the specs. Each waits until all have begun, so that all start from the same commit of the base.
fn dispatch(sandbox: &Sandbox) -> Vec<String> {
    let begun = |number: usize| sandbox.at(&format!("begun{number}"));
    let all: Vec<String> = (0..COMMANDS.len()).map(|number| format!("[ -e {} ]", begun(number))).collect();
    let all_begun = format!("until {}; do sleep 0.05; done", all.join(" && "));
    let names: Vec<String> = COMMANDS
        .iter()
        .enumerate()
        .map(|(number, command)| {
            let command = format!(": > {}; {all_begun}; {command}", begun(number));
            let name = format!("spec{number}.toml");
            sandbox.write(&name, spec(&format!("Lands {number}"), &command));
            name
        })
        .collect();
    let arguments = ["dispatch", "--json"].into_iter().chain(names.iter().map(String::as_str));
    let said = sandbox.good(&arguments.collect::<Vec<_>>()).json();
    let ids = said["specs"].as_array().expect("specs").iter();
    ids.map(|spec| spec["id"].as_str().expect("an id").to_owned()).collect()
}

/// How far the specs are, as the events say.
struct Progress {
    /// Specs that wait to land, or land.
    landing: usize,
    /// Specs that are merged or unmerged.
    settled: usize,
}

fn progress(follower: &Begun) -> Progress {
    let mut last: BTreeMap<String, String> = BTreeMap::new();
    // The last line may be incomplete.
    for event in follower.out().lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        if let (Some(spec), Some(kind)) = (event["spec"].as_str(), event["kind"].as_str()) {
            last.insert(spec.to_owned(), kind.to_owned());
        }
    }
    let count = |kinds: &[&str]| last.values().filter(|kind| kinds.contains(&kind.as_str())).count();
    Progress { landing: count(&["spec.completed"]), settled: count(&["spec.merged", "spec.unmerged"]) }
}

/// Commits to `main` in the user's checkout. Fails if boi is changing the checkout.
fn commit(sandbox: &Sandbox, number: i32) -> bool {
    let name = format!("user{number}");
    let text = format!("cd \"$1\" && echo x > {name} && git add {name} && git commit -q -m '{name}' -- {name}");
    #[expect(clippy::disallowed_methods, reason = "the user's own git")]
    let mut command = std::process::Command::new("sh");
    let repo = sandbox.path("repo");
    command.args(["-c", &text, "sh"]).arg(&repo).env("GIT_CONFIG_GLOBAL", "/dev/null");
    let output = command.output().expect("sh starts");
    if !output.status.success() {
        // The file must not stay behind, or the checkout would be in use.
        fs::remove_file(repo.join(&name)).ok();
        sandbox.boi(&["status"]);
        #[expect(clippy::disallowed_methods, reason = "the user's own git")]
        let reset = std::process::Command::new("git").arg("-C").arg(&repo).args(["reset", "-q", "--", &name]).status();
        reset.expect("git starts");
    }
    output.status.success()
}
