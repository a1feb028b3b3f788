//! What a command did to the shared part of a repository is kept and named, and the named command puts it back.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{Scratch, commit, git, head, try_git, write};
use crate::domain::repository_change::{ChangeKind, RepositoryChange};
use crate::git::{
    LockedWorktree, compare_with_snapshot, confirm_comparison, delete_snapshot, take_snapshot, undone_files,
};
use crate::git::{shared_config, shared_snapshot};

/// What changed while `command` ran in the worktree.
fn changes(worktree: &LockedWorktree, command: impl FnOnce()) -> Vec<RepositoryChange> {
    let marker = uuid::Uuid::new_v4().to_string();
    take_snapshot(worktree, &marker).unwrap();
    command();
    let found = compare_with_snapshot(worktree, &marker, "t-1-try-1").unwrap().unwrap().changes;
    let again = compare_with_snapshot(worktree, &marker, "t-1-try-1").unwrap().unwrap().changes;
    assert_eq!(found, again, "a comparison that is repeated after a crash finds the same");
    confirm_comparison(worktree, &marker).unwrap();
    assert_eq!(compare_with_snapshot(worktree, &marker, "t-1-try-1").unwrap(), None);
    found
}

fn names(changes: &[RepositoryChange]) -> Vec<(ChangeKind, &str)> {
    changes.iter().map(|change| (change.kind, change.name.as_str())).collect()
}

fn still_differs(change: &RepositoryChange) -> bool {
    shared_config::still_differs(change, &std::sync::Arc::default())
}

/// Runs the command that puts a change back.
fn restore(change: &RepositoryChange) {
    let command = change.restore.as_ref().expect("a command");
    let status = Command::new("sh").arg("-c").arg(command).current_dir("/").status().unwrap();
    assert!(status.success(), "{command}");
}

/// Every ref of the user's, the stash and the configuration.
fn shared(repo: &Path) -> Vec<String> {
    let refs = git(repo, ["for-each-ref", "--format=%(refname) %(objectname)", "refs/heads", "refs/tags", "refs/x"]);
    let stash = git(repo, ["stash", "list", "--format=%H %gs"]);
    let users: Vec<&str> = refs.lines().filter(|line| !line.contains("/boi/")).collect();
    vec![users.join("\n"), stash, fs::read_to_string(repo.join(".git/config")).unwrap()]
}

fn expire(dir: &Path) {
    git(dir, ["reflog", "expire", "--expire=now", "--all"]);
    git(dir, ["gc", "-q", "--prune=now"]);
}

#[test]
fn objects_that_only_deleted_refs_and_reflogs_named_survive_a_garbage_collection() {
    let scratch = Scratch::new();
    let repo = &scratch.repo;
    git(repo, ["checkout", "-q", "-b", "feature"]);
    write(repo, "f", "feature\n");
    commit(repo, "feature");
    git(repo, ["tag", "-a", "v1", "-m", "first"]);
    git(repo, ["-c", "advice.nestedTag=false", "tag", "-a", "nested", "-m", "of a tag", "v1"]);
    write(repo, "g", "in the reflog only\n");
    let forgotten = commit(repo, "forgotten");
    git(repo, ["reset", "-q", "--hard", "HEAD~1"]);
    git(repo, ["checkout", "-q", "main"]);
    write(repo, "blob", "only a ref names this\n");
    let blob = git(repo, ["hash-object", "-w", "blob"]);
    fs::remove_file(repo.join("blob")).unwrap();
    git(repo, ["update-ref", "refs/x/blob", &blob]);
    git(repo, ["update-ref", "refs/x/tree", "feature^{tree}"]);
    for text in ["one\n", "two\n"] {
        write(repo, "a.txt", text);
        git(repo, ["stash", "push", "-q", "-m", text.trim()]);
    }
    let (worktree, _) = scratch.create();
    let before = shared(repo);
    let dir = worktree.path().to_owned();
    let found = changes(&worktree, || {
        git(&dir, ["branch", "-q", "-D", "feature"]);
        git(&dir, ["tag", "-d", "v1", "nested"]);
        for name in ["refs/x/blob", "refs/x/tree"] {
            git(&dir, ["update-ref", "-d", name]);
        }
        git(&dir, ["stash", "clear"]);
        expire(&dir);
    });
    let deleted = ["refs/heads/feature", "refs/tags/nested", "refs/tags/v1", "refs/x/blob", "refs/x/tree"];
    let mut expected: Vec<_> = deleted.iter().map(|name| (ChangeKind::Deleted, *name)).collect();
    expected.extend([(ChangeKind::StashDropped, "stash@{0}"), (ChangeKind::StashDropped, "stash@{1}")]);
    expected.push((ChangeKind::ReflogExpired, "1 of commits that no ref contains"));
    assert_eq!(names(&found), expected);
    assert_ne!(shared(repo), before, "boi puts nothing back");
    // The later entry of the stash is put back last, so that it comes first again.
    found.iter().rev().filter(|change| change.restore.is_some()).for_each(restore);
    assert_eq!(shared(repo), before);
    assert_eq!(git(repo, ["show", "feature:f"]), "feature");
    let kept = found.last().unwrap().kept.as_deref().unwrap();
    assert_eq!(git(repo, ["rev-parse", &format!("{kept}^1")]), forgotten);
    git(repo, ["fsck", "--full", "--no-dangling"]);
    delete_snapshot(&worktree).unwrap();
    assert_eq!(git(repo, ["for-each-ref", "refs/boi/snapshot"]), "");
}

#[test]
fn an_unchanged_repository_is_protected_by_the_same_commit() {
    let scratch = Scratch::new();
    let (worktree, _) = scratch.create();
    take_snapshot(&worktree, "1").unwrap();
    let first = shared_snapshot::read(&worktree).unwrap();
    take_snapshot(&worktree, "1").unwrap();
    assert_eq!(shared_snapshot::read(&worktree).unwrap(), first, "the command's snapshot stays");
    confirm_comparison(&worktree, "1").unwrap();
    take_snapshot(&worktree, "2").unwrap();
    let second = shared_snapshot::read(&worktree).unwrap();
    assert_eq!((second.commit, second.open, second.command.as_str()), (first.commit, true, "2"));
    git(&scratch.repo, ["update-ref", "-d", "refs/boi/snapshot/SD979"]);
    take_snapshot(&worktree, "3").unwrap();
    git(&scratch.repo, ["rev-parse", "--verify", "refs/boi/snapshot/SD979"]);
}

#[test]
fn moves_and_new_refs_are_named_and_those_of_boi_are_not() {
    let scratch = Scratch::new();
    let repo = &scratch.repo;
    write(repo, "b", "b\n");
    let second = commit(repo, "second");
    for name in ["rewritten", "boi/S0001", "boi/S0002", "forward", "delivered"] {
        git(repo, ["branch", name, if name.contains("ward") || name == "delivered" { "main~1" } else { "main" }]);
    }
    git(repo, ["checkout", "-q", "boi/S0002"]);
    write(repo, "c", "c\n");
    commit(repo, "work of another spec");
    git(repo, ["checkout", "-q", "main"]);
    let (worktree, _) = scratch.create();
    let odd = {
        use std::os::unix::ffi::OsStrExt;
        std::ffi::OsStr::from_bytes(b"refs/heads/odd-\xff").to_owned()
    };
    let found = changes(&worktree, || {
        git(repo, ["branch", "-f", "rewritten", "main~1"]);
        git(repo, ["branch", "-f", "forward", "main"]);
        git(repo, ["update-ref", "-m", "boi deliver", "refs/heads/delivered", &second]);
        git(repo, ["branch", "-q", "-D", "boi/S0001", "boi/S0002"]);
        git(repo, ["branch", "boi/S0003"]);
        git(repo, ["update-ref".as_ref(), odd.as_os_str(), "main".as_ref()]);
    });
    let told = names(&found);
    let expected = [
        (ChangeKind::Deleted, "refs/heads/boi/S0002"),
        (ChangeKind::Moved, "refs/heads/forward"),
        (ChangeKind::Created, "refs/heads/odd-\u{fffd}"),
        (ChangeKind::Moved, "refs/heads/rewritten"),
    ];
    assert_eq!(told, expected, "a branch of boi that another branch contains was cleaned");
    assert_eq!((&found[1].kept, found[3].kept.is_some()), (&None, true));
    found.iter().for_each(restore);
    assert_eq!(git(repo, ["rev-parse", "rewritten"]), second);
    assert_eq!(git(repo, ["rev-parse", "forward"]), git(repo, ["rev-parse", "main~1"]));
    assert_eq!(git(repo, ["show", "boi/S0002:c"]), "c");
    assert_eq!(git(repo, ["for-each-ref", "refs/heads/odd*"]), "");
}

#[test]
fn heads_and_worktrees_of_the_user_are_named() {
    let scratch = Scratch::new();
    let repo = &scratch.repo;
    git(repo, ["branch", "other"]);
    let elsewhere = scratch.dir.path().join("else where");
    let path = elsewhere.to_str().unwrap().to_owned();
    git(repo, ["worktree", "add", "-q", "--detach", &path]);
    write(&elsewhere, "d", "d\n");
    let detached = commit(&elsewhere, "on no branch");
    let (worktree, _) = scratch.create();
    let found = changes(&worktree, || {
        git(repo, ["symbolic-ref", "HEAD", "refs/heads/other"]);
        git(repo, ["worktree", "remove", "--force", &path]);
        expire(repo);
    });
    // The reflog of the worktree went with it.
    let told: Vec<_> = names(&found).into_iter().filter(|(kind, _)| *kind != ChangeKind::ReflogExpired).collect();
    assert_eq!(told, [(ChangeKind::HeadMoved, "HEAD"), (ChangeKind::WorktreeRemoved, path.as_str())]);
    found.iter().filter(|change| change.restore.is_some()).for_each(restore);
    assert_eq!(git(repo, ["symbolic-ref", "HEAD"]), "refs/heads/main");
    assert_eq!(head(&elsewhere), detached);
}

#[test]
fn configuration_is_named_by_value_and_a_broken_one_as_a_file() {
    let scratch = Scratch::new();
    let repo = &scratch.repo;
    git(repo, ["config", "--add", "remote.o.fetch", "a"]);
    git(repo, ["config", "--add", "remote.o.fetch", "b  c"]);
    let (worktree, _) = scratch.create();
    let before = shared(repo);
    let found = changes(&worktree, || {
        git(worktree.path(), ["config", "core.bare", "true"]);
        git(worktree.path(), ["config", "--unset-all", "remote.o.fetch"]);
        git(worktree.path(), ["config", "branch.x.remote", "o"]);
        write(repo, ".git/info/exclude", "x\n");
        write(repo, ".git/hooks/pre-commit", "exit 1\n");
        write(repo, ".git/hooks/other.sample", "exit 1\n");
    });
    let told: Vec<_> = found.iter().map(|change| (change.name.as_str(), change.blocks)).collect();
    let expected = [
        ("branch.x.remote", false),
        ("core.bare", true),
        ("remote.o.fetch", true),
        ("hooks/pre-commit", true),
        ("info/exclude", false),
    ];
    assert_eq!(told, expected);
    assert!(found.iter().all(still_differs));
    found.iter().for_each(restore);
    assert!(!found.iter().any(still_differs));
    let list = |text: &str| -> Vec<String> {
        let mut lines: Vec<String> = text.lines().map(|line| line.trim().to_owned()).collect();
        lines.retain(|line| !line.starts_with('['));
        lines.sort();
        lines
    };
    assert_eq!(list(&shared(repo)[2]), list(&before[2]));

    let broken = changes(&worktree, || {
        let path = repo.join(".git/config");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(path, text + "[broken\n").unwrap();
    });
    let kinds: Vec<_> = broken.iter().map(|change| change.kind).collect();
    assert_eq!(kinds, [ChangeKind::FileChanged, ChangeKind::NotCompared]);
    assert!(broken[0].blocks && still_differs(&broken[0]));
    restore(&broken[0]);
    assert!(!still_differs(&broken[0]));
    assert_eq!(try_git(repo, ["status", "--porcelain"]), (true, String::new()));
}

#[test]
fn many_lost_branches_are_kept_by_one_ref_and_named_up_to_a_limit() {
    let scratch = Scratch::new();
    let repo = &scratch.repo;
    let mut list = String::new();
    for number in 0..130 {
        list += &format!("create refs/heads/b{number:03} main\n");
    }
    fs::write(repo.join(".git/list"), list).unwrap();
    let feed = |file: &str| {
        let input = fs::File::open(repo.join(file)).unwrap();
        let status = Command::new("git").arg("-C").arg(repo).args(["update-ref", "--stdin"]).stdin(input).status();
        assert!(status.unwrap().success());
    };
    feed(".git/list");
    let (worktree, base) = scratch.create();
    let list: String = (0..130).map(|number| format!("delete refs/heads/b{number:03}\n")).collect();
    fs::write(repo.join(".git/list"), list).unwrap();
    let found = changes(&worktree, || feed(".git/list"));
    assert_eq!((found.len(), found[100].kind), (101, ChangeKind::More));
    assert_eq!(git(repo, ["for-each-ref", "refs/boi/kept"]).lines().count(), 1);
    restore(&found[7]);
    assert_eq!(git(repo, ["rev-parse", "b007"]), base);
}

#[test]
fn files_of_earlier_tasks_that_a_later_one_deletes_or_reverts_are_named() {
    let scratch = Scratch::new();
    let (worktree, origin) = scratch.create();
    let dir = worktree.path();
    write(dir, "a.txt", "changed\n");
    write(dir, "new", "new\n");
    write(dir, "stays", "stays\n");
    let base = commit(dir, "earlier task");
    write(dir, "a.txt", "a\n");
    write(dir, "stays", "goes on\n");
    fs::remove_file(dir.join("new")).unwrap();
    fs::remove_file(dir.join("link")).unwrap();
    let candidate = commit(dir, "later task");
    let undone = undone_files(&worktree, &origin, &base, &candidate).unwrap();
    let told: Vec<_> = undone.iter().map(|change| (change.name.as_str(), change.new.is_some())).collect();
    assert_eq!(told, [("a.txt", true), ("new", false)]);
    assert_eq!(undone_files(&worktree, &origin, &origin, &candidate).unwrap(), []);
}

#[test]
fn a_stash_that_lost_its_reflog_is_put_back_entry_by_entry() {
    let scratch = Scratch::new();
    let repo = &scratch.repo;
    for text in ["one\n", "two\n"] {
        write(repo, "a.txt", text);
        git(repo, ["stash", "push", "-q", "-m", text.trim()]);
    }
    let before = shared(repo);
    for latest_first in [false, true] {
        let (worktree, _) = scratch.create();
        let mut found = changes(&worktree, || drop(git(repo, ["reflog", "expire", "--expire=now", "refs/stash"])));
        let dropped = [(ChangeKind::StashDropped, "stash@{0}"), (ChangeKind::StashDropped, "stash@{1}")];
        assert_eq!(names(&found), dropped);
        if !latest_first {
            found.reverse();
        }
        found.iter().for_each(restore);
        assert_eq!(git(repo, ["stash", "list"]).lines().count(), 2);
        if !latest_first {
            assert_eq!(shared(repo), before);
        }
    }
}
