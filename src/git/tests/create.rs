//! Worktrees are created in parallel and completed after crashes, and the user's own files and refs
//! do not change.

use std::fs;
use std::thread;

use super::{Scratch, commit, git, head, read, status, try_git, write};
use crate::domain::position::Checkout;
use crate::git::{GitError, advance_branch, branch_head, capture, create_worktree, remove_worktree};

#[test]
fn a_new_worktree_is_on_its_branch_and_nothing_of_the_users_changes() {
    let scratch = Scratch::new();
    write(&scratch.repo, "a.txt", "stashed\n");
    git(&scratch.repo, ["stash", "-q"]);
    write(&scratch.repo, "a.txt", "dirty\n");
    write(&scratch.repo, "staged.txt", "staged\n");
    git(&scratch.repo, ["add", "staged.txt"]);
    write(&scratch.repo, "untracked.txt", "untracked\n");
    let before = scratch.users_state();
    let (worktree, base) = scratch.create();
    assert_eq!(before, scratch.users_state());
    assert_eq!(status(worktree.path()), "## boi/SD979");
    assert_eq!(read(worktree.path(), "a.txt"), "a\n");
    assert_eq!(head(worktree.path()), base);
    assert_eq!(branch_head(&scratch.repo, worktree.spec()).unwrap(), Some(base));
    let entries: Vec<_> = fs::read_dir(scratch.repo.join(".git")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(!entries.iter().any(|name| name.to_string_lossy().contains("lock")), "{entries:?}");
}

#[test]
fn eight_worktrees_are_created_in_parallel() {
    let scratch = Scratch::new();
    let base = head(&scratch.repo);
    thread::scope(|scope| {
        for n in 0..8 {
            let (scratch, base) = (&scratch, &base);
            scope.spawn(move || {
                let worktree = scratch.worktree(&format!("S000{n}")).lock().unwrap();
                create_worktree(&worktree, base, Checkout::Clean, "create").unwrap();
                assert_eq!(status(worktree.path()), format!("## boi/S000{n}"));
            });
        }
    });
}

#[test]
fn as_it_is_changes_no_file_and_clean_keeps_changes_under_a_ref() {
    let scratch = Scratch::new();
    let (worktree, base) = scratch.create();
    write(worktree.path(), "a.txt", "changed\n");
    write(worktree.path(), "new/n.txt", "new\n");
    write(worktree.path(), "x.ignored", "ignored\n");
    fs::remove_file(worktree.path().join("link")).unwrap();
    let created = create_worktree(&worktree, &base, Checkout::AsItIs, "again").unwrap();
    assert_eq!(created.kept, [""; 0]);
    assert_eq!(read(worktree.path(), "a.txt"), "changed\n");

    git(worktree.path(), ["checkout", "-q", "--detach"]);
    let created = create_worktree(&worktree, &base, Checkout::Clean, "retry-2").unwrap();
    assert_eq!(created.head, base);
    assert_eq!(status(worktree.path()), "## boi/SD979");
    assert_eq!(read(worktree.path(), "x.ignored"), "ignored\n");
    assert!(!worktree.path().join("new").exists());
    assert_eq!(created.kept.len(), 1);
    assert!(created.kept[0].starts_with("refs/boi/kept/SD979/retry-2-"), "{:?}", created.kept);
    assert_eq!(git(&scratch.repo, ["show", &format!("{}:new/n.txt", created.kept[0])]), "new");
    assert_eq!(git(&scratch.repo, ["show", &format!("{}:a.txt", created.kept[0])]), "changed");
    assert_eq!(create_worktree(&worktree, &base, Checkout::Clean, "retry-3").unwrap().kept, [""; 0]);
}

#[test]
fn every_incomplete_worktree_is_completed() {
    let scratch = Scratch::new();
    let (worktree, base) = scratch.create();
    let path = worktree.path();
    let own = || worktree.entry().unwrap();
    let check = |what: &str| {
        let created =
            create_worktree(&worktree, &base, Checkout::AsItIs, "complete").unwrap_or_else(|e| panic!("{what}: {e}"));
        assert_eq!(created.head, base, "{what}");
        assert_eq!(created.kept, [""; 0], "{what}");
        assert_eq!(status(path), "## boi/SD979", "{what}");
        assert_eq!(git(&scratch.repo, ["worktree", "list"]).matches("SD979]").count(), 1, "{what}");
    };
    fs::remove_dir_all(path).unwrap();
    check("the directory is missing");
    fs::remove_file(path.join(".git")).unwrap();
    check("the link is missing");
    fs::remove_dir_all(own()).unwrap();
    fs::create_dir_all(scratch.repo.join(".git/worktrees")).unwrap();
    check("the entry is missing");
    fs::remove_file(own().join("index")).unwrap();
    fs::remove_file(path.join("sub/run.sh")).unwrap();
    check("the checkout was killed");
    let entry = own();
    fs::remove_dir_all(path).unwrap();
    fs::create_dir(path).unwrap();
    fs::remove_file(entry.join("index")).unwrap();
    fs::remove_file(entry.join("commondir")).unwrap();
    fs::write(entry.join("locked"), "initializing").unwrap();
    fs::write(path.join(".git"), format!("gitdir: {}\n", entry.display())).unwrap();
    check("`git worktree add` was killed after it wrote the link");
    let entry = own();
    fs::remove_dir_all(path).unwrap();
    fs::remove_dir_all(&entry).unwrap();
    fs::create_dir_all(&entry).unwrap();
    fs::write(entry.join("locked"), "initializing").unwrap();
    check("`git worktree add` was killed before the entry named the worktree");
    fs::remove_dir_all(path).unwrap();
    fs::create_dir(path).unwrap();
    check("the directory is empty");
    fs::write(own().join("index.lock"), "").unwrap();
    fs::write(own().join("HEAD.lock"), "").unwrap();
    fs::write(scratch.repo.join(".git/refs/heads/boi/SD979.lock"), "").unwrap();
    fs::write(worktree.own_index().with_extension("lock"), "").unwrap();
    check("killed git processes left lock files");
    fs::write(own().join("index.lock"), "").unwrap();
    fs::write(worktree.own_index(), "rubbish").unwrap();
    write(path, "a.txt", "changed\n");
    assert_eq!(create_worktree(&worktree, &base, Checkout::Clean, "repair").unwrap().kept.len(), 1);
}

#[test]
fn commits_of_a_deleted_worktree_are_kept_when_it_is_created_again() {
    let scratch = Scratch::new();
    let (worktree, base) = scratch.create();
    git(worktree.path(), ["checkout", "-q", "--detach"]);
    write(worktree.path(), "n.txt", "n\n");
    let lost = commit(worktree.path(), "detached");
    fs::remove_dir_all(worktree.path()).unwrap();
    let created = create_worktree(&worktree, &base, Checkout::AsItIs, "lost").unwrap();
    assert_eq!(git(&scratch.repo, ["rev-parse", &created.kept[0]]), lost);
}

#[test]
fn stale_entries_of_other_worktrees_stay() {
    let scratch = Scratch::new();
    let other = scratch.dir.path().join("other");
    git(&scratch.repo, ["worktree", "add", "-q", "-b", "other", other.to_str().unwrap()]);
    fs::remove_dir_all(&other).unwrap();
    scratch.create();
    assert!(scratch.repo.join(".git/worktrees/other/gitdir").exists());
}

#[test]
fn a_foreign_folder_at_the_worktrees_path_is_refused_and_unchanged() {
    let scratch = Scratch::new();
    let worktree = scratch.worktree("SD979").lock().unwrap();
    write(worktree.path(), "mine.txt", "mine\n");
    let error = create_worktree(&worktree, &head(&scratch.repo), Checkout::Clean, "create").unwrap_err();
    assert!(matches!(error, GitError::Occupied { .. }), "{error}");
    assert_eq!(read(worktree.path(), "mine.txt"), "mine\n");
    git(worktree.path(), ["init", "-q"]);
    let error = create_worktree(&worktree, &head(&scratch.repo), Checkout::Clean, "create").unwrap_err();
    assert!(matches!(error, GitError::Occupied { .. }), "{error}");
}

#[test]
fn a_symbolic_link_at_the_worktrees_path_is_refused() {
    let scratch = Scratch::new();
    let (worktree, _) = scratch.create();
    let (tree, elsewhere) = (scratch.worktree("SD979"), scratch.dir.path().join("elsewhere"));
    drop(worktree);
    std::fs::rename(&tree.path, &elsewhere).unwrap();
    write(&elsewhere, "mine.txt", "mine\n");
    std::os::unix::fs::symlink(&elsewhere, &tree.path).unwrap();
    assert!(matches!(tree.lock(), Err(GitError::Occupied { .. })));
    std::fs::remove_file(&tree.path).unwrap();
    std::fs::rename(&elsewhere, &tree.path).unwrap();
    let worktree = tree.lock().unwrap();
    assert_eq!(read(worktree.path(), "mine.txt"), "mine\n");
}

#[test]
fn a_branch_that_the_user_has_checked_out_is_refused() {
    let scratch = Scratch::new();
    git(&scratch.repo, ["checkout", "-q", "-b", "boi/SD979"]);
    let worktree = scratch.worktree("SD979").lock().unwrap();
    let error = create_worktree(&worktree, &head(&scratch.repo), Checkout::Clean, "create").unwrap_err();
    assert!(matches!(error, GitError::BranchInUse { .. }), "{error}");
}

#[test]
fn the_linked_worktree_that_a_spec_names_may_be_removed() {
    let mut scratch = Scratch::new();
    let linked = scratch.dir.path().join("linked");
    git(&scratch.repo, ["worktree", "add", "-q", "-b", "topic", linked.to_str().unwrap()]);
    let main = std::mem::replace(&mut scratch.repo, linked.clone());
    let (worktree, base) = scratch.create();
    git(&main, ["worktree", "remove", linked.to_str().unwrap()]);
    write(worktree.path(), "n.txt", "n\n");
    let captured = capture(&worktree, &base, "n", "t").unwrap();
    advance_branch(&worktree, &base, &captured.commit.unwrap()).unwrap();
    assert!(try_git(&main, ["rev-parse", "boi/SD979:n.txt"]).0);
    assert_eq!(remove_worktree(&worktree, "gone").unwrap(), [""; 0]);
}
