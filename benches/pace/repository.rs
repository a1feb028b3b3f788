//! Specs with a repository, beside git's own commands.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::Bench;
use super::jobs::{Signals, daemon, timed, wait_until_idle};
use super::support::Sandbox;
use super::table::{at_most, heading, median, row};

const CONFIG: &str = "max_workers = 8\nspawns_per_tick = 1024\nspawn_jitter_ms = [0, 0]\nstop_grace_seconds = 1\n";

fn git(folder: &Path, arguments: &[&str]) {
    let mut command = Command::new("git");
    command.arg("-C").arg(folder).args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    assert!(command.status().expect("git runs").success(), "git {arguments:?}");
}

/// Adds `count` files to the repository of a sandbox, about a hundred in each folder.
fn fill(sandbox: &Sandbox, count: usize) {
    for number in 0..count {
        let folder = sandbox.path(&format!("repo/d{}", number / 100));
        if number % 100 == 0 {
            fs::create_dir_all(&folder).expect("a folder");
        }
        fs::write(folder.join(format!("f{number}.txt")), format!("content of file {number}\n")).expect("a file");
    }
    sandbox.git("repo", &["add", "-A"]);
    sandbox.git("repo", &["commit", "-q", "-m", "files"]);
}

/// The median times of git's own `worktree add`, and of `add -A` and `commit` in it.
fn of_git(sandbox: &Sandbox, rounds: usize) -> (f64, f64) {
    let (mut adds, mut commits) = (vec![], vec![]);
    for round in 0..rounds {
        let tree = sandbox.path(&format!("own-{round}"));
        let began = Instant::now();
        git(
            &sandbox.path("repo"),
            &["worktree", "add", "-q", "-b", &format!("own-{round}"), &tree.display().to_string()],
        );
        adds.push(began.elapsed());
        fs::write(tree.join("new.txt"), "new\n").expect("a file");
        let began = Instant::now();
        git(&tree, &["add", "-A"]);
        git(&tree, &["commit", "-q", "-m", "new"]);
        commits.push(began.elapsed());
        git(&sandbox.path("repo"), &["worktree", "remove", "--force", &tree.display().to_string()]);
    }
    (median(adds), median(commits))
}

pub fn measure(bench: &Bench) {
    heading("A spec with a repository and one verify command");
    let rounds = bench.times(7);
    for (name, program) in &bench.programs {
        let bare = without_repository(program, rounds);
        row(&format!("{name}: no repository, dispatch -> running"), bare.0, "ms", "");
        row(&format!("{name}: no repository, command's end -> completed"), bare.1, "ms", "");
        for files in [20, 1_000, 20_000] {
            let files = bench.size(files);
            let sandbox = daemon(program, CONFIG);
            fill(&sandbox, files);
            let (add, commit) = of_git(&sandbox, rounds.min(5));
            row(&format!("git: worktree add, {files} files"), add, "ms", "");
            row(&format!("git: add -A and commit, {files} files"), commit, "ms", "");
            let signals = Signals::at(&sandbox.path("fifo"));
            let (running, ended) = specs(&sandbox, &signals, rounds, "repo = 'repo'\n");
            at_most(&format!("{name}: {files} files, dispatch -> running"), running, "ms", bare.0 + 1.2 * add);
            let share = if files <= 20 { 1.5 } else { 0.5 };
            let what = format!("{name}: {files} files, command's end -> completed");
            at_most(&what, ended, "ms", share * (add + commit));
            if files == bench.size(20_000) {
                eight(&sandbox, &signals, name);
            }
        }
        processes(name, program);
    }
}

/// Runs specs one after another. Returns the median times from the dispatch to the running command, and from the command's
/// end to the completed spec.
fn specs(sandbox: &Sandbox, signals: &Signals, rounds: usize, repo: &str) -> (f64, f64) {
    let fifo = sandbox.at("fifo");
    let text = format!(
        "title = 'Bench'\n{repo}[[tasks]]\nrun = 'echo > {fifo}; echo new > new.txt; echo > {fifo}'\nverify = ['test -e new.txt']\n"
    );
    sandbox.write("spec.toml", text);
    let (mut running, mut ended) = (vec![], vec![]);
    for _ in 0..rounds {
        let began = Instant::now();
        let mut run = sandbox.command(&["run", "spec.toml"]);
        let mut run = run.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("boi starts");
        running.push(signals.wait(1) - began);
        let end = signals.wait(1);
        assert!(run.wait().expect("boi ends").success(), "the spec is completed");
        ended.push(end.elapsed());
        std::thread::sleep(Duration::from_millis(300));
    }
    (median(running), median(ended))
}

fn without_repository(program: &Path, rounds: usize) -> (f64, f64) {
    let sandbox = daemon(program, CONFIG);
    let signals = Signals::at(&sandbox.path("fifo"));
    specs(&sandbox, &signals, rounds, "")
}

/// 8 specs at once, beside 8 `git worktree add` of which two run at a time.
fn eight(sandbox: &Sandbox, signals: &Signals, name: &str) {
    let began = Instant::now();
    std::thread::scope(|scope| {
        for half in 0..2 {
            scope.spawn(move || {
                for round in 0..4 {
                    let tree = sandbox.at(&format!("eight-{half}-{round}"));
                    git(&sandbox.path("repo"), &["worktree", "add", "-q", "--detach", &tree]);
                }
            });
        }
    });
    let own = began.elapsed().as_secs_f64() * 1e3;
    let text = format!("title = 'Bench'\nrepo = 'repo'\n[[tasks]]\nrun = 'echo > {}'\n", sandbox.at("fifo"));
    sandbox.write("eight.toml", text);
    let began = Instant::now();
    let mut arguments = vec!["dispatch"];
    arguments.extend(["eight.toml"; 8]);
    timed(sandbox, &arguments);
    let running = (signals.wait(8) - began).as_secs_f64() * 1e3;
    at_most(&format!("{name}: 8 specs at once, all running"), running, "ms", own);
    wait_until_idle(sandbox);
}

/// Counts the git processes of one spec with strace.
fn processes(name: &str, program: &Path) {
    if !Command::new("strace").arg("-V").stdout(Stdio::null()).status().is_ok_and(|status| status.success()) {
        println!("strace is not installed: git processes are not counted");
        return;
    }
    let sandbox = daemon(program, CONFIG);
    fill(&sandbox, 20);
    let text = "title = 'Bench'\nrepo = 'repo'\n[[tasks]]\nrun = 'echo new > new.txt'\nverify = ['test -e new.txt']\n";
    sandbox.write("spec.toml", text);
    let pid = sandbox.read("boi/pids/daemon.pid").trim().to_owned();
    let trace = sandbox.path("strace");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-e", "trace=execve", "-e", "signal=none", "-s", "200", "-o"]).arg(&trace);
    let mut strace = strace.args(["-p", &pid]).stderr(Stdio::null()).spawn().expect("strace starts");
    std::thread::sleep(Duration::from_millis(700));
    sandbox.good(&["run", "spec.toml"]);
    std::thread::sleep(Duration::from_millis(700));
    if let Some(strace) = rustix::process::Pid::from_raw(strace.id().cast_signed()) {
        rustix::process::kill_process(strace, rustix::process::Signal::INT).ok();
    }
    strace.wait().ok();
    let trace = fs::read_to_string(&trace).expect("a trace");
    let good = trace.lines().filter(|line| line.contains("execve(") && !line.contains("ENOENT"));
    let git: Vec<&str> = good.filter(|line| line.contains("git")).collect();
    at_most(&format!("{name}: git processes of one spec"), git.len() as f64, "", 12.0);
    let failed = trace.lines().filter(|line| line.contains("execve(") && line.contains("ENOENT")).count();
    row(&format!("{name}: failed execve of one spec"), failed as f64, "", "");
    if std::env::var_os("BOI_BENCH_TRACE").is_some() {
        for line in git {
            println!("    {line}");
        }
    }
}
