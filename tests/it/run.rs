//! The main job: a spec becomes verified commits on a branch, and the user's checkout stays unchanged.

use std::path::{Path, PathBuf};

use super::support::Sandbox;

const THREE: &str = r#"
title = "Three"
repo  = "repo"
verify = ["test -e one && test -e two && test -e three"]
[[tasks]]
run = "echo 1 > one"
[[tasks]]
id = "second"
run = "echo 2 > two"
verify = ["test -e two"]
[[tasks]]
run = "echo 3 > three"
"#;

#[test]
fn three_tasks_become_three_commits() {
    let sandbox = Sandbox::new("");
    sandbox.write("repo/a.txt", "dirty\n");
    sandbox.write("repo/untracked", "mine\n");
    let before = sandbox.checkout();
    let (code, spec) = sandbox.run(THREE);
    assert_eq!((code, spec["status"].as_str()), (Some(0), Some("completed")), "{spec:#}");
    let id = spec["id"].as_str().unwrap();
    let branch = format!("boi/{id}");
    assert_eq!((spec["branch"].as_str(), spec["delivery"].as_str()), (Some(branch.as_str()), Some("branch")));
    let format = "%(trailers:key=Boi-Spec,key=Boi-Task,key=Boi-Try,valueonly,separator=%x20)";
    let log = sandbox.git("repo", &["log", "--reverse", &format!("--format={format}"), &format!("main..{branch}")]);
    assert_eq!(log, format!("{id} t-1 1\n{id} second 1\n{id} t-3 1"));
    for (index, name) in ["one", "two", "three"].into_iter().enumerate() {
        let commit = spec["tasks"][index]["commit"].as_str().unwrap();
        assert_eq!(sandbox.git("repo", &["show", "--name-only", "--format=", commit]), name);
    }
    assert_eq!(sandbox.checkout(), before);
    assert_eq!(sandbox.read("repo/untracked"), "mine\n");
    assert!(!sandbox.exists(&format!("boi/worktrees/{id}")) && spec["worktree"].is_null());
    assert_eq!(sandbox.git("repo", &["worktree", "list", "--porcelain"]).matches("worktree ").count(), 1);
}

#[test]
fn an_agent_works_in_the_worktree_and_boi_commits_its_changes() {
    let sandbox = Sandbox::new("");
    let (code, spec) = sandbox.run(
        "title = 'Agent'\nrepo = 'repo'\ncontext = 'Be kind.'\n[[tasks]]\nprompt = '@@write b.txt hello@@'\n\
         [[tasks]]\nprompt = '@@sh git switch -qc mine && echo x > c && git add c && git commit -qm own@@'",
    );
    assert_eq!(code, Some(0), "{spec:#}");
    let branch = spec["branch"].as_str().unwrap();
    assert_eq!(sandbox.git("repo", &["show", &format!("{branch}:b.txt")]), "hello");
    assert_eq!(sandbox.git("repo", &["show", &format!("{branch}:c")]), "x");
    assert_eq!(sandbox.git("repo", &["rev-list", "--count", &format!("main..{branch}")]), "2");
    assert!(sandbox.read("trace").contains("Be kind."));
    assert_eq!(sandbox.git("repo", &["symbolic-ref", "HEAD"]), "refs/heads/main");
}

#[test]
fn a_task_that_changes_nothing_makes_no_commit() {
    let sandbox = Sandbox::new("");
    let (code, spec) = sandbox.run("title = 'None'\nrepo = 'repo'\n[[tasks]]\nrun = 'true'");
    assert_eq!((code, spec["tasks"][0]["status"].as_str()), (Some(0), Some("done")), "{spec:#}");
    assert!(spec["tasks"][0]["commit"].is_null());
}

#[test]
fn a_spec_without_a_repository_works_in_a_scratch_folder() {
    let sandbox = Sandbox::new("");
    let (code, spec) = sandbox.run("title = 'Scratch'\n[[tasks]]\nrun = 'pwd > where'");
    assert_eq!((code, spec["status"].as_str()), (Some(0), Some("completed")), "{spec:#}");
    assert!(spec["branch"].is_null());
}

#[test]
fn a_command_inherits_nothing_from_the_environment_of_boi() {
    let foreign = [
        ("BOI_TASK", "outer"),
        ("BOI_TRY", "9"),
        ("NOTIFY_SOCKET", "/nowhere"),
        ("GIT_INDEX_FILE", "/nowhere"),
        ("PWD", "/nowhere"),
    ];
    let sandbox = Sandbox::new("").with_variables(foreign.map(|(name, value)| (name, value.to_owned())));
    // A shell corrects PWD for its own commands, so the environment with which it was executed is recorded as well.
    let executed = r#"tr "\0" "\n" < /proc/$$/environ"#;
    let record = |name: &str| format!("(env; {executed}; ulimit -Sn) > {}", sandbox.path(name).display());
    let (code, spec) = sandbox.run(&format!(
        "title = 'Environment'\nrepo = 'repo'\nverify = ['{}']\n[[tasks]]\nrun = '{}'\nverify = ['{}']",
        record("final"),
        record("task"),
        record("check"),
    ));
    assert_eq!(code, Some(0), "{spec:#}");
    let has = |name: &str, line: &str| sandbox.read(name).lines().any(|have| have == line);
    for name in ["task", "check"] {
        assert!(has(name, "BOI_TASK=t-1") && has(name, "BOI_TRY=1"), "{}", sandbox.read(name));
    }
    let id = spec["id"].as_str().unwrap();
    let own = std::process::Command::new("sh").args(["-c", "ulimit -Sn"]).output().unwrap();
    for name in ["task", "check", "final"] {
        assert!(has(name, &format!("BOI_SPEC={id}")));
        let text = sandbox.read(name);
        assert!(!text.contains("outer") && !text.contains("/nowhere"), "{text}");
        assert!(text.lines().filter(|line| line.starts_with("PWD=/")).count() == 2, "{text}");
        assert_eq!(
            text.lines().last(),
            String::from_utf8_lossy(&own.stdout).lines().last(),
            "the limit is the user's own"
        );
    }
    assert!(!sandbox.read("final").contains("BOI_T"), "the spec's own verify belongs to no task");
}

#[test]
fn an_agent_of_the_configuration_gets_its_prompt_in_a_file_and_its_variables_are_stored_nowhere() {
    let script = "test \"${#PLAIN}\" = 6 && test \"$HOMES\" = \"$HOME\" && test \"$BOI_PROMPT_FILE\" = \"$0\" && ! read x \
                  && cat \"$0\" >out";
    let config = format!(
        "[agents.own]\ncommand = ['sh', '-c', '''{script}''', '{{prompt}}']\nprompt = 'file'\n\
         env = {{ PLAIN = 's3cret', HOMES = {{ from_env = 'HOME' }} }}\n"
    );
    let sandbox = Sandbox::new(&config);
    let (code, spec) = sandbox.run("title = 'Own'\nrepo = 'repo'\n[[tasks]]\nagent = 'own'\nprompt = 'Say hello.'\n");
    assert_eq!(code, Some(0), "{spec:#}");
    let branch = spec["branch"].as_str().unwrap();
    assert!(sandbox.git("repo", &["show", &format!("{branch}:out")]).contains("Say hello."));
    let holders = |text: &str| {
        let files = walk(&sandbox.path("boi"));
        let holds = |path: &&PathBuf| std::fs::read(path).is_ok_and(|bytes| contains(&bytes, text.as_bytes()));
        files.iter().filter(holds).map(|path| path.file_name().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert!(!holders("Say hello.").is_empty());
    // The file itself, and its copy.
    assert_eq!(holders("s3cret"), holders("PLAIN = 's3cret'"));
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// The files below a folder.
fn walk(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files = Vec::new();
    for entry in entries {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => files.extend(walk(&entry.path())),
            Ok(kind) if kind.is_file() => files.push(entry.path()),
            _ => {}
        }
    }
    files
}
