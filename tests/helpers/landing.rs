//! Rounds of `kill -9` while specs land: six specs are merged into one base, of which some conflict or break a test of the
//! others. At random moments the daemon is killed, and the user commits to the base. Then the result is examined.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;

use super::support::Sandbox;

/// Specs in a round.
const SPECS: usize = 6;
/// A round that takes longer counts as a hang.
const HANG: Duration = Duration::from_secs(120);

/// What happened in a round.
#[derive(Debug, Clone, Copy, Default)]
pub struct Figures {
    pub kills: u32,
    pub landed: u32,
    pub unmerged: u32,
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
    let sandbox = Sandbox::new(&format!(
        "max_workers = 8\nspawns_per_tick = 8\nspawn_jitter_ms = [0, 0]\ntick_interval_ms = 100\n\
         retry_backoff_seconds = [0, 0]\nstop_grace_seconds = 1\n{config}"
    ));
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

/// Runs one round. Panics, with the seed, if the result is wrong.
pub fn round(seed: u64) -> Figures {
    let label = format!("seed {seed}");
    let mut random = SmallRng::seed_from_u64(seed);
    let mut sandbox = sandbox("");
    let before = sandbox.git("repo", &["rev-parse", "main"]);
    sandbox.write("repo/untracked", "mine\n");
    let commands = (0..SPECS).map(|number| match random.random_range(0..6u32) {
        0 => "echo 2 > limit; echo x > f".to_owned() + &number.to_string(),
        1 | 2 => format!("echo {number} >> shared"),
        _ => format!("echo x > f{number}"),
    });
    let commands: Vec<String> = commands.collect();
    let ids: Vec<String> = commands
        .iter()
        .enumerate()
        .map(|(number, command)| sandbox.dispatch(&spec(&format!("Lands {number}"), command)))
        .collect();
    let (mut figures, mut commits) = (Figures::default(), 0);
    let kills = random.random_range(2..6);
    sandbox.begin_daemon();
    let until = Instant::now() + HANG;
    while !all_settled(&sandbox, &ids) {
        assert!(Instant::now() < until, "{label}: not settled in time: {}", sandbox.boi(&["status"]).out);
        sleep(Duration::from_millis(random.random_range(1..300)));
        if random.random_bool(0.2) && commits < 3 {
            commits += i32::from(commit(&sandbox, commits));
        }
        if figures.kills < kills {
            sandbox.kill_daemon();
            figures.kills += 1;
            sandbox.begin_daemon();
        }
    }
    check(&sandbox, &ids, &before, commits, &label, &mut figures);
    figures
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

fn all_settled(sandbox: &Sandbox, ids: &[String]) -> bool {
    // The daemon may be killed while it answers.
    let output = sandbox.boi(&["status", "--json", "--all"]);
    let Ok(status) = serde_json::from_str::<Value>(&output.out) else { return false };
    let specs = status["specs"].as_array().cloned().unwrap_or_default();
    ids.iter().all(|id| {
        specs
            .iter()
            .any(|spec| spec["id"] == id.as_str() && ["merged", "unmerged"].iter().any(|end| spec["delivery"] == *end))
    })
}

/// Checks the result once every spec is merged or unmerged: the base moved only forward, each merged branch is in it once,
/// nothing of the user's is lost, and no lander left anything behind.
fn check(sandbox: &Sandbox, ids: &[String], before: &str, commits: i32, label: &str, figures: &mut Figures) {
    let mut moves: Vec<String> =
        sandbox.git("repo", &["log", "-g", "--format=%H", "main"]).lines().map(str::to_owned).collect();
    moves.reverse();
    for pair in moves.windows(2) {
        sandbox.git("repo", &["merge-base", "--is-ancestor", &pair[0], &pair[1]]);
    }
    let merges = sandbox.git("repo", &["log", "--format=%s", "--merges", &format!("{before}..main")]);
    for id in ids {
        let spec = sandbox.spec(id);
        assert_eq!(spec["status"], "completed", "{label}: {spec:#}");
        let branch = spec["branch"].as_str().expect("a branch");
        let found = merges.lines().filter(|line| **line == format!("Merge {branch} into main")).count();
        if spec["delivery"] == "merged" {
            figures.landed += 1;
            sandbox.git("repo", &["merge-base", "--is-ancestor", branch, "main"]);
            assert!(found <= 1, "{label}: {id} was merged {found} times");
        } else {
            figures.unmerged += 1;
            assert!(!spec["reason"].as_str().unwrap_or_default().is_empty(), "{label}: {spec:#}");
            assert_eq!(found, 0, "{label}: {id} is unmerged, but main has a merge of it");
        }
    }
    let mine = sandbox.git("repo", &["log", "--format=%s", "main"]);
    for number in 0..commits {
        assert!(mine.lines().any(|subject| subject == format!("user{number}")), "{label}: a commit is lost: {mine}");
    }
    assert_eq!(sandbox.git("repo", &["status", "--porcelain"]), "?? untracked", "{label}");
    assert_eq!(sandbox.read("repo/untracked"), "mine\n");
    // The base passes the test of the repository.
    let (code, _) = sandbox.run("title = 'Test'\nrepo = 'repo'\nbase = 'main'\n[[tasks]]\nrun = 'sh test.sh'");
    assert_eq!(code, Some(0), "{label}: the base fails");
    super::support::wait_for("the lander has ended", || {
        let refs = sandbox.git("repo", &["for-each-ref", "--format=%(refname)", "refs/heads/boi/L*", "refs/boi"]);
        let trees = sandbox.git("repo", &["worktree", "list"]);
        let folders = fs::read_dir(sandbox.path("boi/attempts")).expect("a folder").flatten();
        let left = folders.filter(|folder| folder.file_name().to_string_lossy().starts_with('L')).count();
        (refs.lines().all(|name| !name.contains("/L")) && trees.lines().count() == 1 && left == 0).then_some(())
    });
}
