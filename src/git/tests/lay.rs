//! Worktrees are laid in parallel, mended after crashes, and the user's things stay as they are.

use std::fs;
use std::thread;

use super::super::{Error, Mended, branch_head, entry, mend, prepare, remove};
use super::{Scratch, commit, git, head, read, status, try_git, write};
use crate::domain::attempt::Laying;

#[test]
fn a_worktree_is_laid_on_its_branch_and_the_user_sees_no_change() {
    let scratch = Scratch::new();
    write(&scratch.repo, "a.txt", "stashed\n");
    git(&scratch.repo, ["stash", "-q"]);
    write(&scratch.repo, "a.txt", "dirty\n");
    write(&scratch.repo, "staged.txt", "staged\n");
    git(&scratch.repo, ["add", "staged.txt"]);
    write(&scratch.repo, "untracked.txt", "untracked\n");
    let before = scratch.users_things();
    let (at, base) = scratch.laid();
    assert_eq!(before, scratch.users_things());
    assert_eq!(status(at.path()), "## boi/SD979");
    assert_eq!(read(at.path(), "a.txt"), "a\n");
    assert_eq!(head(at.path()), base);
    assert_eq!(branch_head(&scratch.repo, at.spec()).unwrap(), Some(base));
    let entries: Vec<_> = fs::read_dir(scratch.repo.join(".git")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(!entries.iter().any(|name| name.to_string_lossy().contains("lock")), "{entries:?}");
}

#[test]
fn eight_worktrees_are_laid_at_once() {
    let scratch = Scratch::new();
    let base = head(&scratch.repo);
    thread::scope(|scope| {
        for n in 0..8 {
            let (scratch, base) = (&scratch, &base);
            scope.spawn(move || {
                let at = scratch.worktree(&format!("S000{n}")).lock().unwrap();
                prepare(&at, base, Laying::Clean, "lay").unwrap();
                assert_eq!(status(at.path()), format!("## boi/S000{n}"));
            });
        }
    });
}

#[test]
fn a_resumed_worktree_is_left_as_it_is_and_a_clean_one_keeps_what_was_there() {
    let scratch = Scratch::new();
    let (at, base) = scratch.laid();
    write(at.path(), "a.txt", "changed\n");
    write(at.path(), "new/n.txt", "new\n");
    write(at.path(), "x.ignored", "ignored\n");
    fs::remove_file(at.path().join("link")).unwrap();
    let laid = prepare(&at, &base, Laying::AsItIs, "again").unwrap();
    assert_eq!(laid.kept, [""; 0]);
    assert_eq!(read(at.path(), "a.txt"), "changed\n");

    git(at.path(), ["checkout", "-q", "--detach"]);
    let laid = prepare(&at, &base, Laying::Clean, "retry-2").unwrap();
    assert_eq!(laid.head, base);
    assert_eq!(status(at.path()), "## boi/SD979");
    assert_eq!(read(at.path(), "x.ignored"), "ignored\n");
    assert!(!at.path().join("new").exists());
    assert_eq!(laid.kept.len(), 1);
    assert!(laid.kept[0].starts_with("refs/boi/kept/SD979/retry-2-"), "{:?}", laid.kept);
    assert_eq!(git(&scratch.repo, ["show", &format!("{}:new/n.txt", laid.kept[0])]), "new");
    assert_eq!(git(&scratch.repo, ["show", &format!("{}:a.txt", laid.kept[0])]), "changed");
    assert_eq!(prepare(&at, &base, Laying::Clean, "retry-3").unwrap().kept, [""; 0]);
}

#[test]
fn every_half_made_worktree_is_mended() {
    let scratch = Scratch::new();
    let (at, base) = scratch.laid();
    let path = at.path();
    let own = || entry::of_worktree(path).unwrap();
    let check = |what: &str| {
        let laid = prepare(&at, &base, Laying::AsItIs, "mend").unwrap_or_else(|e| panic!("{what}: {e}"));
        assert_eq!(laid.head, base, "{what}");
        assert_eq!(laid.kept, [""; 0], "{what}");
        assert_eq!(status(path), "## boi/SD979", "{what}");
        assert_eq!(git(&scratch.repo, ["worktree", "list"]).matches("SD979]").count(), 1, "{what}");
    };
    fs::remove_dir_all(path).unwrap();
    check("the directory is gone");
    fs::remove_file(path.join(".git")).unwrap();
    check("the link is gone");
    fs::remove_dir_all(own()).unwrap();
    fs::create_dir_all(scratch.repo.join(".git/worktrees")).unwrap();
    check("the entry is gone");
    fs::remove_file(own().join("index")).unwrap();
    fs::remove_file(path.join("sub/run.sh")).unwrap();
    check("the checkout was cut off");
    let entry = own();
    fs::remove_dir_all(path).unwrap();
    fs::create_dir(path).unwrap();
    fs::remove_file(entry.join("index")).unwrap();
    fs::remove_file(entry.join("commondir")).unwrap();
    fs::write(entry.join("locked"), "initializing").unwrap();
    fs::write(path.join(".git"), format!("gitdir: {}\n", entry.display())).unwrap();
    check("git was cut off within `worktree add`");
    let entry = own();
    fs::remove_dir_all(path).unwrap();
    fs::remove_dir_all(&entry).unwrap();
    fs::create_dir_all(&entry).unwrap();
    fs::write(entry.join("locked"), "initializing").unwrap();
    check("git was cut off before it named the worktree");
    fs::remove_dir_all(path).unwrap();
    fs::create_dir(path).unwrap();
    check("the directory is empty");
    fs::write(own().join("index.lock"), "").unwrap();
    fs::write(own().join("HEAD.lock"), "").unwrap();
    fs::write(scratch.repo.join(".git/refs/heads/boi/SD979.lock"), "").unwrap();
    fs::write(at.index().with_extension("lock"), "").unwrap();
    check("killed gits left locks");
    fs::write(own().join("index.lock"), "").unwrap();
    fs::write(at.index(), "rubbish").unwrap();
    write(path, "a.txt", "changed\n");
    assert_eq!(prepare(&at, &base, Laying::Clean, "mended").unwrap().kept.len(), 1);
}

#[test]
fn commits_of_a_lost_worktree_are_kept_when_it_is_laid_again() {
    let scratch = Scratch::new();
    let (at, base) = scratch.laid();
    git(at.path(), ["checkout", "-q", "--detach"]);
    write(at.path(), "n.txt", "n\n");
    let lost = commit(at.path(), "detached");
    fs::remove_dir_all(at.path()).unwrap();
    let laid = prepare(&at, &base, Laying::AsItIs, "lost").unwrap();
    assert_eq!(git(&scratch.repo, ["rev-parse", &laid.kept[0]]), lost);
}

#[test]
fn other_worktrees_entries_stay_even_if_they_are_stale() {
    let scratch = Scratch::new();
    let other = scratch.dir.path().join("other");
    git(&scratch.repo, ["worktree", "add", "-q", "-b", "other", other.to_str().unwrap()]);
    fs::remove_dir_all(&other).unwrap();
    scratch.laid();
    assert!(scratch.repo.join(".git/worktrees/other/gitdir").exists());
}

#[test]
fn what_is_not_the_worktree_is_not_touched() {
    let scratch = Scratch::new();
    let at = scratch.worktree("SD979").lock().unwrap();
    write(at.path(), "mine.txt", "mine\n");
    let error = prepare(&at, &head(&scratch.repo), Laying::Clean, "lay").unwrap_err();
    assert!(matches!(error, Error::Occupied { .. }), "{error}");
    assert_eq!(read(at.path(), "mine.txt"), "mine\n");
    git(at.path(), ["init", "-q"]);
    let error = prepare(&at, &head(&scratch.repo), Laying::Clean, "lay").unwrap_err();
    assert!(matches!(error, Error::Occupied { .. }), "{error}");
}

#[test]
fn a_link_in_the_place_of_the_worktree_is_not_followed() {
    let scratch = Scratch::new();
    let (at, _) = scratch.laid();
    let (tree, elsewhere) = (scratch.worktree("SD979"), scratch.dir.path().join("elsewhere"));
    drop(at);
    std::fs::rename(&tree.path, &elsewhere).unwrap();
    write(&elsewhere, "mine.txt", "mine\n");
    std::os::unix::fs::symlink(&elsewhere, &tree.path).unwrap();
    assert!(matches!(tree.lock(), Err(Error::Occupied { .. })));
    std::fs::remove_file(&tree.path).unwrap();
    std::fs::rename(&elsewhere, &tree.path).unwrap();
    let at = tree.lock().unwrap();
    assert_eq!(read(at.path(), "mine.txt"), "mine\n");
}

#[test]
fn a_branch_that_the_user_has_checked_out_is_named() {
    let scratch = Scratch::new();
    git(&scratch.repo, ["checkout", "-q", "-b", "boi/SD979"]);
    let at = scratch.worktree("SD979").lock().unwrap();
    let error = prepare(&at, &head(&scratch.repo), Laying::Clean, "lay").unwrap_err();
    assert!(matches!(error, Error::BranchInUse { .. }), "{error}");
}

#[test]
fn a_linked_worktree_serves_as_the_repository_and_may_go() {
    let mut scratch = Scratch::new();
    let linked = scratch.dir.path().join("linked");
    git(&scratch.repo, ["worktree", "add", "-q", "-b", "topic", linked.to_str().unwrap()]);
    let main = std::mem::replace(&mut scratch.repo, linked.clone());
    let (at, base) = scratch.laid();
    git(&main, ["worktree", "remove", linked.to_str().unwrap()]);
    write(at.path(), "n.txt", "n\n");
    let captured = super::super::capture(&at, &base, "n", "t").unwrap();
    super::super::advance(&at, &base, &captured.commit.unwrap()).unwrap();
    assert!(try_git(&main, ["rev-parse", "boi/SD979:n.txt"]).0);
    assert_eq!(super::super::remove(&at, "gone").unwrap(), [""; 0]);
}

#[test]
fn a_sparse_checkout_of_the_users_is_no_deletion() {
    let scratch = Scratch::new();
    git(&scratch.repo, ["sparse-checkout", "set", "--no-cone", "/a.txt"]);
    assert!(!scratch.repo.join("sub").exists());
    let (at, base) = scratch.laid();
    assert!(at.path().join("sub/run.sh").exists());
    assert_eq!(super::super::capture(&at, &base, "none", "t").unwrap().commit, None);
    assert!(!scratch.repo.join("sub").exists());
}

#[test]
fn a_worktree_that_a_loss_of_power_tore_is_mended() {
    let scratch = Scratch::new();
    let (at, base) = scratch.laid();
    write(at.path(), "a.txt", "changed\n");
    let entry = entry::of_worktree(at.path()).unwrap();
    let link = at.path().join(".git");
    let index = entry.join("index");
    let own = [entry.join("HEAD"), entry.join("commondir"), entry.join("gitdir"), index.clone()];
    for (file, content) in own.iter().chain([&link]).flat_map(|file| [(file, vec![]), (file, vec![0; 41])]) {
        fs::write(file, content).unwrap();
        prepare(&at, &base, Laying::AsItIs, "torn").unwrap();
        assert_eq!(status(at.path()), "## boi/SD979\n M a.txt", "{}", file.display());
    }
    // All of it, as of one that is being laid.
    let branch = scratch.repo.join(".git/refs/heads").join(at.spec().branch());
    for file in own.iter().chain([&link, &branch]) {
        fs::write(file, "").unwrap();
    }
    let laid = prepare(&at, &base, Laying::Clean, "torn").unwrap();
    assert_eq!((status(at.path()), laid.kept.len()), ("## boi/SD979".to_owned(), 1), "{:?}", laid.kept);
    assert_eq!(git(&scratch.repo, ["show", &format!("{}:a.txt", laid.kept[0])]), "changed");
    fs::write(&index, "").unwrap();
    remove(&at, "torn").unwrap();
    assert!(!at.path().exists() && !entry.exists());
    git(&scratch.repo, ["fsck", "--no-progress"]);
}

#[test]
fn a_branch_that_names_nothing_goes_back_to_its_last_commit_that_is_there() {
    let scratch = Scratch::new();
    let (at, base) = scratch.laid();
    assert_eq!(mend(&at, &base, "torn").unwrap(), Mended::default());
    write(at.path(), "a.txt", "first\n");
    let first = commit(at.path(), "first");
    let file = scratch.repo.join(".git/refs/heads").join(at.spec().branch());
    for torn in [true, false] {
        write(at.path(), "a.txt", &format!("second {torn}\n"));
        let second = commit(at.path(), "second");
        let object = scratch.repo.join(format!(".git/objects/{}/{}", &second[..2], &second[2..]));
        fs::remove_file(&object).unwrap();
        fs::write(&object, "").unwrap();
        if torn {
            fs::write(&file, "").unwrap();
        }
        let written = object.with_file_name("tmp_obj_Ab12Cd");
        fs::write(&written, "").unwrap();
        let mended = mend(&at, &base, "torn").unwrap();
        assert_eq!(mended, Mended { objects: 1, branch: true, link: false, index: false });
        assert_eq!(head(at.path()), first);
        fs::remove_file(written).unwrap();
        git(at.path(), ["reflog", "expire", "--expire=all", "HEAD"]);
        git(&scratch.repo, ["fsck", "--no-progress"]);
    }
    fs::remove_file(scratch.repo.join(".git/logs/refs/heads").join(at.spec().branch())).unwrap();
    fs::write(&file, "").unwrap();
    mend(&at, &base, "torn").unwrap();
    assert_eq!(head(at.path()), base);
}
