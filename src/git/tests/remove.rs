//! A worktree goes without a trace but its branch and what was unique in it.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::super::{Error, branch_head, check_removal, delete_branch, discard, entry, is_merged, remove};
use super::{Scratch, commit, git, head, read, write};

#[test]
fn what_is_unique_is_kept_and_the_rest_goes() {
    let scratch = Scratch::new();
    let before = scratch.users_things();
    let (at, base) = scratch.laid();
    git(at.path(), ["checkout", "-q", "--detach"]);
    write(at.path(), "committed.txt", "c\n");
    let detached = commit(at.path(), "detached");
    write(at.path(), "uncommitted.txt", "u\n");
    write(at.path(), "cache.ignored/deep/x", "x\n");
    fs::set_permissions(at.path().join("cache.ignored/deep"), fs::Permissions::from_mode(0o555)).unwrap();
    let kept = remove(&at, "clean").unwrap();
    assert_eq!(kept.len(), 2, "{kept:?}");
    assert!(kept.iter().any(|name| git(&scratch.repo, ["rev-parse", name]) == detached));
    let files: Vec<_> = kept.iter().map(|name| git(&scratch.repo, ["ls-tree", "--name-only", name])).collect();
    assert!(files.iter().any(|names| names.contains("uncommitted.txt")));
    assert!(!at.path().exists());
    assert!(!scratch.repo.join(".git/worktrees").exists());
    assert_eq!(fs::read_dir(at.path().parent().unwrap()).unwrap().count(), 0);
    assert_eq!(branch_head(&scratch.repo, at.spec()).unwrap(), Some(base));
    assert_eq!(before, scratch.users_things());
    assert_eq!(remove(&at, "again").unwrap(), [""; 0]);
}

#[test]
fn a_worktree_without_anything_unique_leaves_no_ref() {
    let scratch = Scratch::new();
    let (at, _) = scratch.laid();
    write(at.path(), "x.ignored", "x\n");
    git(at.path(), ["checkout", "-q", "-b", "theirs"]);
    commit_on(&at);
    assert_eq!(remove(&at, "clean").unwrap().len(), 1, "files that the branch lacks");
    drop(at);
    let (at, _) = scratch.laid();
    assert_eq!(remove(&at, "clean-2").unwrap(), [""; 0]);
}

fn commit_on(at: &super::WorktreeLock) {
    write(at.path(), "t.txt", "t\n");
    commit(at.path(), "theirs");
}

#[test]
fn a_nested_repository_stops_the_removal() {
    let scratch = Scratch::new();
    let (at, _) = scratch.laid();
    let nested = at.path().join("nested");
    fs::create_dir(&nested).unwrap();
    git(&nested, ["init", "-q"]);
    write(&nested, "n.txt", "n\n");
    assert!(matches!(check_removal(&at), Err(Error::NestedRepository { .. })));
    assert!(matches!(remove(&at, "clean"), Err(Error::NestedRepository { .. })));
    assert_eq!(read(&nested, "n.txt"), "n\n");
    assert!(entry::of_worktree(at.path()).is_some());
    fs::rename(&nested, at.path().join("nested.ignored")).unwrap();
    remove(&at, "clean").unwrap();
}

#[test]
fn what_is_gone_already_is_fine() {
    let scratch = Scratch::new();
    let (at, _) = scratch.laid();
    git(at.path(), ["checkout", "-q", "--detach"]);
    write(at.path(), "n.txt", "n\n");
    let lost = commit(at.path(), "detached");
    fs::remove_dir_all(at.path()).unwrap();
    let kept = remove(&at, "clean").unwrap();
    assert_eq!(git(&scratch.repo, ["rev-parse", &kept[0]]), lost);
    assert!(!scratch.repo.join(".git/worktrees").exists());
    drop(at);

    let (at, _) = scratch.laid();
    fs::remove_dir_all(at.path()).unwrap();
    fs::remove_dir_all(&scratch.repo).unwrap();
    assert_eq!(remove(&at, "clean").unwrap(), [""; 0]);
}

#[test]
fn what_is_unique_stays_while_the_repository_cannot_be_reached() {
    let scratch = Scratch::new();
    let (at, _) = scratch.laid();
    write(at.path(), "precious.txt", "p\n");
    let away = scratch.repo.with_file_name("away");
    fs::rename(&scratch.repo, &away).unwrap();
    for place in ["nothing", "an empty folder", "an empty folder within another repository"] {
        match place {
            "nothing" => {}
            "an empty folder" => fs::create_dir(&scratch.repo).unwrap(),
            _ => drop(git(scratch.repo.parent().unwrap(), ["init", "-q"])),
        }
        let refused = remove(&at, "clean").unwrap_err();
        assert!(matches!(refused, Error::Unreachable { .. }), "{place}: {refused}");
        assert!(matches!(check_removal(&at), Err(Error::Unreachable { .. })));
        assert_eq!(read(at.path(), "precious.txt"), "p\n");
    }
    fs::remove_dir(&scratch.repo).unwrap();
    fs::rename(&away, &scratch.repo).unwrap();
    assert!(discard(&at).is_err(), "its repository is there");
    assert_eq!(remove(&at, "clean").unwrap().len(), 1);
    drop(at);

    let (at, _) = scratch.laid();
    write(at.path(), "precious.txt", "p\n");
    fs::remove_dir_all(&scratch.repo).unwrap();
    fs::remove_dir_all(scratch.repo.with_file_name(".git")).unwrap();
    discard(&at).unwrap();
    assert!(!at.path().exists());
}

#[test]
fn a_removal_that_is_cut_off_goes_on() {
    let scratch = Scratch::new();
    let (at, _) = scratch.laid();
    fs::rename(at.path(), at.path().with_file_name("SD979.removed")).unwrap();
    assert_eq!(remove(&at, "clean").unwrap(), [""; 0]);
    assert!(!scratch.repo.join(".git/worktrees").exists());
    assert_eq!(fs::read_dir(at.path().parent().unwrap()).unwrap().count(), 0);
}

#[test]
fn what_is_not_the_worktree_stays() {
    let scratch = Scratch::new();
    let at = scratch.worktree("SD979").lock().unwrap();
    write(at.path(), "mine.txt", "mine\n");
    assert!(matches!(remove(&at, "clean"), Err(Error::NoWorktree { .. })));
    assert_eq!(read(at.path(), "mine.txt"), "mine\n");
}

#[test]
fn a_branch_is_deleted_only_where_it_was_left() {
    let scratch = Scratch::new();
    let (at, base) = scratch.laid();
    let spec = at.spec();
    assert!(is_merged(&scratch.repo, spec, "main").unwrap());
    assert!(matches!(delete_branch(&scratch.repo, spec, &base), Err(Error::BranchInUse { .. })));
    write(at.path(), "n.txt", "n\n");
    let moved = commit(at.path(), "n");
    assert!(!is_merged(&scratch.repo, spec, "main").unwrap());
    remove(&at, "clean").unwrap();
    assert!(matches!(delete_branch(&scratch.repo, spec, &base), Err(Error::Diverged { .. })));
    delete_branch(&scratch.repo, spec, &moved).unwrap();
    delete_branch(&scratch.repo, spec, &moved).unwrap();
    assert_eq!(branch_head(&scratch.repo, spec).unwrap(), None);
    assert_eq!(head(&scratch.repo), base);
}
