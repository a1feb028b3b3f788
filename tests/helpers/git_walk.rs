//! Random sequences of what agents do to a repository, as `run` commands of specs on one daemon. Afterwards the user's
//! refs, stash, configuration, worktrees and checkout are as before, or `boi status ID --json` names every difference, and
//! each task's commit has the task's work.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::time::Instant;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;

use super::support::{DEADLINE, Sandbox};

const CONFIG: &str = "max_workers = 4\nspawns_per_tick = 64\nspawn_jitter_ms = [0, 0]\ntick_interval_ms = 50\n";
/// How many sequences one daemon carries out.
const BATCH: u64 = 50;
/// The most tasks that a spec has.
const TASKS: usize = 2;

/// What an agent may do, in its worktree. `$C` is the repository's git directory, `$N` differs in each use, `$F` is true
/// in the first try only: what keeps boi from committing is done once.
const OPERATIONS: &[&str] = &[
    "git checkout -q --detach",
    "git checkout -q -b w$N",
    "git checkout -q feature",
    "git checkout -q --orphan o$N",
    "git switch -q -c s$N HEAD~1",
    "git reset -q --hard HEAD~1",
    "git reset -q --soft HEAD~1",
    "git reset -q --hard feature",
    "git clean -fdxq",
    "git stash -q",
    "git stash -q && git stash pop -q",
    "echo mine > a.txt; git stash push -q -m agent; git stash pop -q stash@{1}",
    "git stash drop -q",
    "git stash drop -q stash@{1}",
    "git stash clear",
    "echo $N > s; git stash push -q -u -m agent$N",
    "git branch -q -D feature",
    "git branch -q -D side",
    "git branch -q -f side HEAD",
    "git branch -q -m side moved",
    "git branch -q new$N",
    "git update-ref refs/heads/side HEAD~1",
    "git update-ref -d refs/x/blob",
    "git update-ref -d refs/heads/unpushed",
    "git tag -d v1",
    "git tag -d light",
    "git tag -f -a v1 -m other",
    "git tag -a t$N -m new",
    "git for-each-ref --format='delete %(refname)' refs/heads/feature refs/tags | git update-ref --stdin",
    "git reflog expire --expire=now --all",
    "git reflog expire --expire=now --all; git gc -q --prune=now",
    "git gc -q --prune=now",
    "git prune --expire=now",
    "git pack-refs --all",
    "git config user.name Agent",
    "git config core.bare true",
    "git config --unset core.bare",
    "git config --add remote.o$N.url /nowhere",
    "git config filter.x.clean cat",
    "git config core.hooksPath hooks",
    "git config branch.main.remote o",
    "git config --worktree x.y z",
    "git config alias.a$N 'log -1'",
    "git config extensions.worktreeConfig true",
    "git config extensions.worktreeConfig true; git config core.bare true",
    "git config core.bare true; git config filter.y.smudge cat",
    "git config --remove-section user",
    "git config include.path /dev/null",
    "printf 'exit 0' > \"$C/hooks/post-commit\"",
    "echo '*.log' >> \"$C/info/exclude\"",
    "echo '*.bin -diff' > \"$C/info/attributes\"",
    "git worktree add -q --detach \"$C/../../extra$N\"",
    "git worktree add -q -b e$N \"$C/../../extra$N\"",
    "git worktree remove --force \"$C/../../other-$R\"",
    "rm -rf \"$C/../../other-$R\"; git worktree prune",
    "if $F; then git worktree add -q --detach inner$N; else rm -rf inner*; git worktree prune; fi",
    "if $F; then git -c protocol.file.allow=always submodule -q add \"$C/..\" sub; else rm -rf sub .gitmodules; git rm -q --cached sub; fi",
    "if $F; then git init -q nested$N; else rm -rf nested*; fi",
    "if $F; then rm -f .git; fi",
    "git --git-dir=\"$C\" symbolic-ref HEAD refs/heads/side",
    "git --git-dir=\"$C\" update-ref --no-deref HEAD HEAD",
    "git push -q . HEAD:refs/heads/pushed$N",
    "git fetch -q . main:fetched$N",
    "git notes add -f -m note HEAD",
    "git commit -q --allow-empty -m agent",
    "echo $N > c$N; git add -A; git commit -q -m agent$N",
    "git merge -q -m m feature",
    "git cherry-pick feature",
    "git rebase -q feature",
    "git rm -rq --cached .",
    "git update-index --assume-unchanged a.txt",
    "git update-index --index-version 4",
    "git sparse-checkout set nowhere",
    "chmod 0 a.txt",
    "mkdir -p d$N; echo x > d$N/x; chmod 0 d$N",
    "chmod +x a.txt",
    "ln -sf /dev/null null",
    "ln -sf a.txt link$N; ln -sfn .. up",
    "rm -f a.txt; mkdir -p a.txt; echo x > a.txt/x",
    "printf x > \"$(printf 'new\\nline')\"",
    "printf x > \"$(printf 'raw-\\377')\"",
    "printf x > ' -x'; printf x > 'quo\"te'",
    "printf x > -- 2>/dev/null; printf x > :colon",
    "mkfifo fifo$N",
];

/// How often each kind of change was named.
#[derive(Debug, Default)]
pub struct Figures {
    pub sequences: u64,
    pub operations: usize,
    pub named: BTreeMap<String, usize>,
    pub seconds: f64,
}

/// Carries out the sequences of `seeds`. Panics with the seeds of those of a batch that are wrong.
pub fn walk(seeds: std::ops::Range<u64>) -> Figures {
    let (began, mut figures) = (Instant::now(), Figures::default());
    let mut first = seeds.start;
    while first < seeds.end {
        let last = seeds.end.min(first + BATCH);
        batch(first..last, &mut figures);
        first = last;
    }
    figures.seconds = began.elapsed().as_secs_f64();
    figures
}

fn batch(seeds: std::ops::Range<u64>, figures: &mut Figures) {
    // No spec of a walk has an agent.
    let mut sandbox = Sandbox::new(CONFIG).with_variables([("CLAUDE_BIN", "/bin/false".to_owned())]);
    make_template(&sandbox);
    sandbox.start_daemon();
    let (mut walks, mut wrong) = (Vec::new(), Vec::new());
    for seed in seeds {
        let repo = format!("r{seed}");
        copy_template(&sandbox, &repo);
        let before = Shared::read(&sandbox, &repo);
        let (spec, operations) = spec(seed, &repo);
        walks.push((seed, sandbox.dispatch(&spec), before, spec));
        figures.operations += operations;
        figures.sequences += 1;
    }
    for (seed, id, before, text) in walks {
        let spec = wait_for_end(&sandbox, &id);
        if let Err(why) = check(&sandbox, &format!("r{seed}"), &before, &spec) {
            wrong.push(format!("BOI_WALK_SEED={seed}: {why}\n{text}\n{spec:#}"));
        }
        for change in spec["repository_changes"].as_array().into_iter().flatten() {
            *figures.named.entry(change["kind"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
        }
    }
    assert!(wrong.is_empty(), "{} sequences are wrong\n{}", wrong.len(), wrong.join("\n"));
}

fn wait_for_end(sandbox: &Sandbox, id: &str) -> Value {
    let until = Instant::now() + DEADLINE * 5;
    loop {
        let spec = sandbox.spec(id);
        if !spec["finished_at"].is_null() {
            return spec;
        }
        assert!(Instant::now() < until, "{id} does not end: {spec:#}");
        // Each look starts a process, and the sequences need the processors.
        std::thread::sleep(std::time::Duration::from_millis(150));
    }
}

/// A repository with branches, tags, a stash, a commit that only a reflog names, and staged and unstaged changes.
fn make_template(sandbox: &Sandbox) {
    let git = |arguments: &[&str]| sandbox.git("repo", arguments);
    git(&["commit", "-q", "--allow-empty", "-m", "second"]);
    git(&["checkout", "-q", "-b", "feature"]);
    sandbox.write("repo/f.txt", "feature\n");
    git(&["add", "-A"]);
    git(&["commit", "-q", "-m", "feature"]);
    git(&["tag", "-a", "v1", "-m", "first"]);
    git(&["commit", "-q", "--allow-empty", "-m", "forgotten"]);
    git(&["reset", "-q", "--hard", "HEAD~1"]);
    git(&["checkout", "-q", "main"]);
    git(&["branch", "side"]);
    git(&["tag", "light", "feature"]);
    git(&["branch", "unpushed", "feature"]);
    sandbox.write("blob", "blob\n");
    let blob = git(&["hash-object", "-w", &sandbox.at("blob")]);
    git(&["update-ref", "refs/x/blob", &blob]);
    for number in ["1", "2"] {
        sandbox.write("repo/a.txt", number);
        git(&["stash", "push", "-q", "-m", number]);
    }
    sandbox.write("repo/staged.txt", "staged\n");
    git(&["add", "staged.txt"]);
    sandbox.write("repo/a.txt", "unstaged\n");
    sandbox.write("repo/untracked.txt", "untracked\n");
}

fn copy_template(sandbox: &Sandbox, repo: &str) {
    let copied = std::process::Command::new("cp").arg("-a").arg(sandbox.path("repo")).arg(sandbox.path(repo)).status();
    assert!(copied.expect("cp runs").success());
    let other = sandbox.at(&format!("other-{repo}"));
    sandbox.git(repo, &["worktree", "add", "-q", "--detach", &other, "feature"]);
}

/// The text of a spec, and how many operations its tasks carry out.
fn spec(seed: u64, repo: &str) -> (String, usize) {
    let mut random = SmallRng::seed_from_u64(seed);
    let mut text = format!("title = 'Walk {seed}'\nrepo = '{repo}'\nbase = 'main'\n");
    let mut operations = 0;
    for task in 1..=random.random_range(1..=TASKS) {
        let mut script = format!(
            "W=$PWD; C=$(cd \"$(git rev-parse --git-common-dir)\" && pwd); R={repo}; F=false; \
             if [ $BOI_TRY = 1 ]; then F=true; fi\n"
        );
        for number in 0..random.random_range(1..6) {
            let operation = OPERATIONS[random.random_range(0..OPERATIONS.len())];
            let _ = writeln!(script, "N={repo}-{task}-{number}; ( {operation} ) >/dev/null 2>&1");
            operations += 1;
        }
        // Whatever happened, the task ends with its own work.
        let _ = writeln!(script, "cd \"$W\"; rm -rf work-{task}; echo 'work {task}' > work-{task}");
        let _ = write!(text, "[[tasks]]\nrun = '''\n{script}'''\nverify = ['grep -q \"work {task}\" work-{task}']\n");
    }
    (text, operations)
}

/// What the user sees of a repository.
struct Shared {
    refs: BTreeMap<String, String>,
    stash: Vec<String>,
    config: BTreeMap<String, Vec<String>>,
    files: BTreeMap<String, Option<String>>,
    worktrees: BTreeMap<String, String>,
    checkout: Vec<String>,
}

impl Shared {
    fn read(sandbox: &Sandbox, repo: &str) -> Shared {
        // The command may have made git take the repository for a bare one.
        let git = |arguments: &[&str]| sandbox.git(&format!("{repo}/.git"), arguments);
        let own =
            |name: &str| name.starts_with("refs/boi/") || name.starts_with("refs/heads/boi/") || name == "refs/stash";
        let refs = git(&["for-each-ref", "--format=%(refname) %(objectname)"]);
        let refs = refs.lines().filter_map(|line| line.split_once(' ')).filter(|(name, _)| !own(name));
        let config =
            sandbox.git("", &["config", "--list", "-z", "--file", &sandbox.at(&format!("{repo}/.git/config"))]);
        let mut values: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for entry in config.split('\0').filter(|entry| !entry.is_empty()) {
            let (key, value) = entry.split_once('\n').unwrap_or((entry, ""));
            values.entry(key.to_owned()).or_default().push(value.to_owned());
        }
        let mut names: Vec<String> = vec!["info/exclude".into(), "info/attributes".into()];
        let hooks = fs::read_dir(sandbox.path(&format!("{repo}/.git/hooks"))).into_iter().flatten().flatten();
        names.extend(
            hooks.map(|hook| format!("hooks/{}", hook.file_name().display())).filter(|name| !name.ends_with(".sample")),
        );
        names.push("hooks/post-commit".into());
        let content =
            |name: String| (name.clone(), fs::read_to_string(sandbox.path(&format!("{repo}/.git/{name}"))).ok());
        let mut worktrees = BTreeMap::new();
        for block in git(&["worktree", "list", "--porcelain"]).split("\n\n") {
            let line = |prefix: &str| block.lines().find_map(|line| line.strip_prefix(prefix)).map(str::to_owned);
            let path = line("worktree ").expect("a path");
            if !path.contains("/boi/worktrees/") || path.contains("inner") {
                worktrees.insert(path, line("branch ").or(line("HEAD ")).unwrap_or_default());
            }
        }
        let top = sandbox.at(repo);
        let pinned = ["--git-dir", ".git", "--work-tree", ".", "-c", "core.bare=false"];
        let pinned = |arguments: &[&str]| sandbox.git(repo, &[pinned.as_slice(), arguments].concat());
        let file = |name: &str| fs::read_to_string(format!("{top}/{name}")).unwrap_or_default();
        Shared {
            refs: refs.map(|(name, hash)| (name.to_owned(), hash.to_owned())).collect(),
            stash: stash(sandbox, repo),
            config: values,
            files: names.into_iter().map(content).collect(),
            worktrees,
            checkout: vec![pinned(&["ls-files", "--stage"]), file("a.txt"), file("staged.txt"), file("untracked.txt")],
        }
    }
}

fn stash(sandbox: &Sandbox, repo: &str) -> Vec<String> {
    let listed = sandbox.git(&format!("{repo}/.git"), &["for-each-ref", "refs/stash"]);
    if listed.is_empty() {
        return Vec::new();
    }
    let listed = sandbox.git(&format!("{repo}/.git"), &["log", "-g", "--format=%H", "refs/stash", "--"]);
    listed.lines().map(str::to_owned).collect()
}

fn check(sandbox: &Sandbox, repo: &str, before: &Shared, spec: &Value) -> Result<(), String> {
    if spec["status"] != "completed" {
        return Err("the spec did not complete".into());
    }
    let now = Shared::read(sandbox, repo);
    let changes = spec["repository_changes"].as_array().expect("the changes");
    let text = |change: &Value, field: &str| change[field].as_str().unwrap_or_default().to_owned();
    let named: BTreeSet<(String, String)> =
        changes.iter().map(|change| (text(change, "kind"), text(change, "name"))).collect();
    let is_named = |kinds: &[&str], name: &str| kinds.iter().any(|kind| named.contains(&((*kind).into(), name.into())));
    if now.checkout != before.checkout {
        return Err("the user's checkout or index differs".into());
    }
    let keys = before.refs.keys().chain(now.refs.keys());
    for name in keys.filter(|name| before.refs.get(*name) != now.refs.get(*name)) {
        if !is_named(&["created", "deleted", "moved"], name) {
            return Err(format!("{name} differs"));
        }
    }
    for hash in before.stash.iter().filter(|hash| !now.stash.contains(hash)) {
        if !changes.iter().any(|change| change["kind"] == "stash-dropped" && change["old"] == **hash) {
            return Err(format!("stash entry {hash} is gone"));
        }
    }
    for hash in now.stash.iter().filter(|hash| !before.stash.contains(hash)) {
        if !changes.iter().any(|change| change["kind"] == "stash-added" && change["new"] == **hash) {
            return Err(format!("stash entry {hash} is new"));
        }
    }
    let keys = before.config.keys().chain(now.config.keys());
    for key in keys.filter(|key| before.config.get(*key) != now.config.get(*key)) {
        if !is_named(&["config-changed"], key) {
            return Err(format!("{key} differs"));
        }
    }
    let names = before.files.keys().chain(now.files.keys());
    for name in
        names.filter(|name| before.files.get(*name).cloned().flatten() != now.files.get(*name).cloned().flatten())
    {
        if !is_named(&["file-changed"], name) {
            return Err(format!("{name} differs"));
        }
    }
    let main = sandbox.at(repo);
    let paths = before.worktrees.keys().chain(now.worktrees.keys());
    for path in paths.filter(|path| before.worktrees.get(*path) != now.worktrees.get(*path)) {
        let head = changes.iter().any(|change| change["kind"] == "head-moved" && change["path"] == **path);
        let is_bare = *path == main && now.config.get("core.bare").is_none_or(|values| values != &["false"]);
        if !head && !is_bare && !is_named(&["worktree-added", "worktree-removed"], path) {
            return Err(format!("the worktree {path} differs"));
        }
    }
    let git = |arguments: &[&str]| sandbox.git(&format!("{repo}/.git"), arguments);
    for change in changes {
        if let Some(kept) = change["kept"].as_str() {
            git(&["cat-file", "-e", kept]);
        }
    }
    // Nothing that the user had is gone, whatever the sequence collected.
    let objects: BTreeSet<&String> = before.refs.values().chain(&before.stash).collect();
    for object in objects {
        git(&["cat-file", "-e", object]);
    }
    for (index, task) in spec["tasks"].as_array().expect("tasks").iter().enumerate() {
        let Some(commit) = task["commit"].as_str() else { return Err("a task has no commit".into()) };
        let number = index + 1;
        let work = git(&["show", &format!("{commit}:work-{number}")]);
        if work != format!("work {number}") {
            return Err(format!("task {number}: its commit has other work: {work}"));
        }
    }
    Ok(())
}
