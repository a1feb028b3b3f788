//! Specs in repositories with submodules, Git LFS, a sparse checkout, and in a partial clone. All complete offline, and the
//! user's clone stays as it was.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::support::{Sandbox, skip};

/// What boi may change in a repository: its refs and worktrees, the objects of commits, and the branch that it merges into
/// together with the files of the commit.
const CHANGED: &[&str] = &[
    "objects",
    "worktrees",
    "refs/boi",
    "refs/heads",
    "logs/refs/heads",
    "logs/HEAD",
    "ORIG_HEAD",
    "index",
    "lfs/objects",
    "lfs/tmp",
    "lfs/cache",
    "packed-refs",
];

fn sandbox() -> Sandbox {
    Sandbox::new("spawn_jitter_ms = [0, 0]\ntick_interval_ms = 100\nretry_count = 1\nretry_backoff_seconds = [0, 0]\n")
}

/// Returns the content of every file of the repository `folder`: its settings, hooks, `modules`, and the checkout.
fn content(sandbox: &Sandbox, folder: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let root = sandbox.path(folder);
    let (mut files, mut folders) = (Vec::new(), vec![root.clone()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let below = path.strip_prefix(&root).expect("a path below").to_owned();
            let in_git = below.strip_prefix(".git").ok();
            if in_git.is_some_and(|name| CHANGED.iter().any(|changed| name == Path::new(changed))) {
                continue;
            }
            match fs::symlink_metadata(&path).expect("metadata") {
                found if found.is_dir() => folders.push(path),
                found if found.is_file() => files.push((below, fs::read(&path).expect("content"))),
                _ => files.push((below, fs::read_link(&path).expect("a link").into_os_string().into_encoded_bytes())),
            }
        }
    }
    files.sort();
    files
}

fn refs(sandbox: &Sandbox, folder: &str) -> String {
    sandbox.git(folder, &["for-each-ref", "--exclude=refs/heads/boi", "--exclude=refs/boi"])
}

fn commit(sandbox: &Sandbox, folder: &str, message: &str) {
    sandbox.git(folder, &["add", "-A"]);
    sandbox
        .git(folder, &["-c", "user.name=Test", "-c", "user.email=test@example.invalid", "commit", "-q", "-m", message]);
}

/// A sandbox whose repository has the submodule `third/lib` with the submodule `inner`.
fn with_submodules() -> Sandbox {
    let sandbox = sandbox();
    for name in ["inner", "lib"] {
        fs::create_dir(sandbox.path(name)).expect("a folder");
        sandbox.git(name, &["init", "-q", "-b", "main"]);
        sandbox.write(&format!("{name}/{name}.txt"), format!("{name}\n"));
        commit(&sandbox, name, name);
    }
    let allow = ["-c", "protocol.file.allow=always", "submodule", "-q"];
    let submodule = |folder: &str, more: &[&str]| sandbox.git(folder, &[&allow, more].concat());
    submodule("lib", &["add", &sandbox.at("inner"), "inner"]);
    commit(&sandbox, "lib", "inner");
    submodule("repo", &["add", &sandbox.at("lib"), "third/lib"]);
    submodule("repo", &["update", "--init", "--recursive"]);
    commit(&sandbox, "repo", "lib");
    for name in ["inner", "lib"] {
        fs::remove_dir_all(sandbox.path(name)).expect("the folder is removed");
    }
    sandbox
}

#[test]
fn a_spec_has_the_submodules_and_a_change_in_one_fails_the_try() {
    let mut sandbox = with_submodules();
    let (before, refs_before) = (content(&sandbox, "repo"), refs(&sandbox, "repo"));
    let flag = sandbox.at("flag");
    sandbox.start_daemon();
    let id = sandbox.dispatch(&format!(
        "title = 'Submodules'\nrepo = 'repo'\nverify = ['grep -q inner third/lib/inner/inner.txt']\n[[tasks]]\n\
         run = 'grep -q lib third/lib/lib.txt && echo one > one && if ! test -e {flag}; then touch {flag}; cd third/lib; \
         echo two > lib.txt; git -c user.name=A -c user.email=a@e commit -q -a -m mine; fi'\n\
         verify = ['echo by-product >> third/lib/lib.txt', 'test \"$(git submodule status --recursive | grep -c \"^ \")\" = 2']\n"
    ));
    let spec = sandbox.wait_for_status(&id, "completed");
    assert_eq!(spec["tasks"][0]["tries"], 2, "{spec:#}");
    let text = sandbox.good(&["status", &id]).out;
    assert!(text.contains("changed submodules") && text.contains("third/lib"), "{text}");
    let kept: Vec<&str> = spec["kept"].as_array().expect("kept").iter().filter_map(Value::as_str).collect();
    let folder = kept.iter().find(|kept| kept.ends_with(".kept")).unwrap_or_else(|| panic!("{kept:?}"));
    assert_eq!(fs::read_to_string(Path::new(folder).join("third/lib/lib.txt")).unwrap(), "two\n");
    let by_product = kept.iter().find(|kept| kept.contains("after-verify")).unwrap_or_else(|| panic!("{kept:?}"));
    assert_eq!(sandbox.git("repo", &["show", &format!("{by_product}:third/lib/lib.txt")]), "lib\nby-product");
    assert_eq!(sandbox.git("repo", &["diff", "--name-only", "main", &format!("boi/{id}")]), "one");
    assert!(!sandbox.exists(&format!("boi/worktrees/{id}")));
    assert!(sandbox.good(&["diff", &id]).out.contains("one"));
    sandbox.good(&["open", &id, "--", "grep", "-q", "lib", "third/lib/lib.txt"]);
    assert_eq!((content(&sandbox, "repo"), refs(&sandbox, "repo")), (before, refs_before));
}

#[test]
fn specs_land_with_submodules_and_what_the_clone_lacks_is_named() {
    let mut sandbox = with_submodules();
    sandbox.git("repo/third/lib", &["submodule", "-q", "deinit", "-f", "inner"]);
    let before = content(&sandbox, "repo");
    sandbox.start_daemon();
    let spec = |name: &str| {
        format!(
            "title = '{name}'\nrepo = 'repo'\nbase = 'main'\ndeliver = 'merge'\nverify = ['grep -q lib third/lib/lib.txt']\n\
             [[tasks]]\nrun = 'echo {name} > {name}'\n"
        )
    };
    let ids = ["one", "two"].map(|name| sandbox.dispatch(&spec(name)));
    for id in &ids {
        let spec = sandbox.wait_for_status(id, "completed");
        assert_eq!(spec["delivery"], "merged", "{spec:#}");
        let change = &spec["repository_changes"][0];
        assert_eq!((&change["kind"], &change["name"]), (&"submodule-left-empty".into(), &"third/lib/inner".into()));
        let text = sandbox.good(&["status", id]).out;
        assert!(text.contains("submodule left empty: third/lib/inner"), "{text}");
    }
    assert_eq!((sandbox.read("repo/one"), sandbox.read("repo/two")), ("one\n".into(), "two\n".into()));
    let mut after = content(&sandbox, "repo");
    after.retain(|(name, _)| name != Path::new("one") && name != Path::new("two"));
    let changed: Vec<_> = after.iter().filter(|file| !before.contains(file)).map(|(name, _)| name).collect();
    assert_eq!((after.len(), changed.len()), (before.len(), 0), "{changed:?}");
    assert_eq!(sandbox.git("repo", &["status", "--porcelain"]), "");
}

#[test]
fn a_spec_works_in_a_sparse_checkout() {
    let mut sandbox = sandbox();
    fs::create_dir_all(sandbox.path("repo/out/deep")).expect("a folder");
    fs::create_dir_all(sandbox.path("repo/in")).expect("a folder");
    for number in 0..2_000 {
        sandbox.write(&format!("repo/out/deep/{number}"), "out\n");
    }
    sandbox.write("repo/in/file", "in\n");
    commit(&sandbox, "repo", "files");
    sandbox.git("repo", &["sparse-checkout", "set", "--cone", "--sparse-index", "in"]);
    let (before, index) = (content(&sandbox, "repo"), fs::read(sandbox.path("repo/.git/index")).expect("an index"));
    sandbox.start_daemon();
    let id = sandbox.dispatch(
        "title = 'Sparse'\nrepo = 'repo'\n[[tasks]]\nrun = 'test ! -e out && echo two > in/two'\n\
         verify = ['test -e in/file', 'test ! -e out']",
    );
    let spec = sandbox.wait_for_status(&id, "completed");
    assert_eq!(spec["kept"], Value::Null, "{spec:#}");
    assert_eq!(sandbox.git("repo", &["diff", "--name-status", "main", &format!("boi/{id}")]), "A\tin/two");
    assert_eq!(fs::read(sandbox.path("repo/.git/index")).expect("an index"), index);
    assert_eq!(content(&sandbox, "repo"), before);
}

#[test]
fn a_spec_in_a_partial_clone_fetches_nothing_and_names_a_missing_object() {
    let mut sandbox = sandbox();
    sandbox.git("repo", &["config", "uploadpack.allowFilter", "true"]);
    sandbox.git("repo", &["checkout", "-q", "-b", "other"]);
    sandbox.write("repo/other.txt", "other\n");
    commit(&sandbox, "repo", "other");
    sandbox.git("repo", &["checkout", "-q", "main"]);
    let url = format!("file://{}", sandbox.at("repo"));
    sandbox.git("", &["clone", "-q", "--filter=blob:none", &url, "clone"]);
    // A fetch would hang.
    sandbox.git("clone", &["config", "remote.origin.uploadpack", "sleep 1000; git-upload-pack"]);
    let missing = sandbox.git("repo", &["rev-parse", "other:other.txt"]);
    let before = content(&sandbox, "clone");
    sandbox.start_daemon();
    let spec = |base: &str| {
        format!("title = 'Partial'\nrepo = 'clone'\nbase = '{base}'\n[[tasks]]\nrun = 'echo two >> a.txt'\n")
    };
    let works = sandbox.dispatch(&spec("main"));
    let fails = sandbox.dispatch(&spec("origin/other"));
    sandbox.wait_for_status(&works, "completed");
    let failed = sandbox.wait_for_status(&fails, "failed");
    let reason = failed["reason"].as_str().expect("a reason");
    assert!(reason.contains(&missing) && reason.contains("git fetch --refetch --no-filter"), "{reason}");
    assert_eq!(failed["attempt"], 1);
    assert_eq!(sandbox.git("clone", &["diff", "--name-only", "main", &format!("boi/{works}")]), "a.txt");
    assert_eq!(content(&sandbox, "clone"), before);
}

#[test]
fn a_spec_reads_and_commits_files_of_lfs() {
    if !Command::new("git").args(["lfs", "version"]).output().is_ok_and(|output| output.status.success()) {
        skip("git-lfs is not installed");
        return;
    }
    let mut sandbox = sandbox();
    sandbox.git("repo", &["lfs", "install", "--local"]);
    sandbox.git("repo", &["remote", "add", "origin", "https://127.0.0.1:1/none.git"]);
    sandbox.write("repo/.gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n");
    sandbox.write("repo/a.bin", "content\n");
    let object = "0".repeat(64);
    let pointer = format!("version https://git-lfs.github.com/spec/v1\noid sha256:{object}\nsize 5\n");
    sandbox.write("repo/gone.bin", &pointer);
    commit(&sandbox, "repo", "lfs");
    let before = content(&sandbox, "repo");
    sandbox.start_daemon();
    let id = sandbox.dispatch(
        "title = 'LFS'\nrepo = 'repo'\nbase = 'main'\n[[tasks]]\nrun = 'grep -q content a.bin && echo more > new.bin'\n\
         verify = ['grep -q more new.bin']",
    );
    let spec = sandbox.wait_for_status(&id, "completed");
    let change = &spec["repository_changes"][0];
    assert_eq!((&change["kind"], &change["name"]), (&"lfs-object-missing".into(), &"gone.bin".into()), "{spec:#}");
    let committed = sandbox.git("repo", &["cat-file", "blob", &format!("boi/{id}:new.bin")]);
    assert!(committed.starts_with("version https://git-lfs.github.com/spec/v1"), "{committed}");
    assert_eq!(sandbox.git("repo", &["diff", "--name-only", "main", &format!("boi/{id}")]), "new.bin");
    let mut after = content(&sandbox, "repo");
    // Git LFS logs that an object is missing.
    after.retain(|(name, _)| !name.starts_with(".git/lfs/logs"));
    assert_eq!(after, before);
}
