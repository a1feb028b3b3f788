//! Scratch repositories for the tests: each is in a directory of its own, and the git configuration of the user who
//! runs the tests is ignored.

mod capture;
mod clones;
mod copied;
mod create;
mod index_summary;
mod inspect;
mod merged;
mod own_refs;
mod place;
mod power_loss;
mod protected;
mod ref_files;
mod remove;
mod repository_file;
mod shared;
mod shared_files;
mod submodules;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::domain::position::Checkout;
use crate::git::{LockedWorktree, Worktree, create_worktree};

/// A repository on branch `main` with one commit: `a.txt`, `sub/run.sh` (executable), `link` -> `a.txt`, `.gitignore`
/// with `*.ignored`. Its path has a space, a newline and a letter that is not ASCII.
pub(crate) struct Scratch {
    pub(crate) dir: TempDir,
    pub(crate) repo: PathBuf,
}

impl Scratch {
    pub(crate) fn new() -> Scratch {
        let dir = tempfile::tempdir().unwrap();
        let repo = dir.path().join("ein Größe\nrepo");
        fs::create_dir(&repo).unwrap();
        git(&repo, ["init", "-q", "-b", "main"]);
        git(&repo, ["config", "user.name", "User"]);
        git(&repo, ["config", "user.email", "user@example.org"]);
        let scratch = Scratch { dir, repo };
        write(&scratch.repo, "a.txt", "a\n");
        write(&scratch.repo, ".gitignore", "*.ignored\n");
        write(&scratch.repo, "sub/run.sh", "#!/bin/sh\n");
        executable(&scratch.repo.join("sub/run.sh"));
        std::os::unix::fs::symlink("a.txt", scratch.repo.join("link")).unwrap();
        commit(&scratch.repo, "first");
        scratch
    }

    pub(crate) fn worktree(&self, spec: &str) -> Worktree {
        Worktree::of_user(
            self.repo.clone(),
            self.dir.path().join("wörk trees").join(spec),
            spec.parse().unwrap(),
            self.dir.path().join("scratch").join(spec),
        )
    }

    /// Creates the worktree of spec SD979 at `main`, and returns it locked together with the commit of `main`.
    pub(crate) fn create(&self) -> (LockedWorktree, String) {
        let worktree = self.worktree("SD979").lock().unwrap();
        let base = head(&self.repo);
        create_worktree(&worktree, &base, Checkout::Clean, "create").unwrap();
        (worktree, base)
    }

    /// Returns the state of the user's checkout, refs and settings. boi changes them only in a fast-forward
    /// of the base.
    pub(crate) fn users_state(&self) -> Vec<Vec<u8>> {
        let read = |name: &str| fs::read(self.repo.join(".git").join(name)).unwrap_or_default();
        let format = "--format=%(refname) %(objectname)";
        vec![
            git(&self.repo, ["--no-optional-locks", "status", "--porcelain=v2", "--branch"]).into_bytes(),
            git(&self.repo, ["for-each-ref", format, "refs/heads/main", "refs/stash", "refs/tags"]).into_bytes(),
            read("HEAD"),
            read("index"),
            read("config"),
            read("logs/HEAD"),
            read("logs/refs/heads/main"),
            read("logs/refs/stash"),
            read("ORIG_HEAD"),
        ]
    }
}

pub(crate) fn git<S: AsRef<OsStr>>(dir: &Path, args: impl IntoIterator<Item = S>) -> String {
    let (ok, text) = try_git(dir, args);
    assert!(ok, "git failed: {text}");
    text
}

pub(crate) fn try_git<S: AsRef<OsStr>>(dir: &Path, args: impl IntoIterator<Item = S>) -> (bool, String) {
    let mut command = Command::new("git");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"GIT_")) {
        command.env_remove(name);
    }
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1").env("LC_ALL", "C");
    command.env("GIT_EDITOR", "true");
    for role in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{role}_NAME"), "Agent").env(format!("GIT_{role}_EMAIL"), "agent@example.org");
    }
    let output = command.arg("-C").arg(dir).args(args).output().unwrap();
    let text = if output.status.success() { &output.stdout } else { &output.stderr };
    (output.status.success(), String::from_utf8_lossy(text).trim_end().to_owned())
}

pub(crate) fn write(dir: &Path, name: &str, content: &str) {
    let path = dir.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

pub(crate) fn read(dir: &Path, name: &str) -> String {
    fs::read_to_string(dir.join(name)).unwrap()
}

pub(crate) fn executable(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

pub(crate) fn commit(dir: &Path, message: &str) -> String {
    git(dir, ["add", "-A"]);
    git(dir, ["commit", "-q", "-m", message]);
    head(dir)
}

pub(crate) fn head(dir: &Path) -> String {
    git(dir, ["rev-parse", "HEAD"])
}

pub(crate) fn status(dir: &Path) -> String {
    git(dir, ["status", "--porcelain", "--branch"])
}
