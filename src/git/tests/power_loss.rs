//! Damage from a power loss is repaired, and no work is lost.

use std::fs;

use super::{Scratch, commit, git, head, status, write};
use crate::domain::position::Checkout;
use crate::git::{Repairs, create_worktree, remove_worktree, repair_after_power_loss};

#[test]
fn damaged_files_of_a_worktree_and_its_entry_are_repaired() {
    let scratch = Scratch::new();
    let (worktree, base) = scratch.create();
    write(worktree.path(), "a.txt", "changed\n");
    let entry = worktree.entry().unwrap();
    let link = worktree.path().join(".git");
    let index = entry.join("index");
    let own = [entry.join("HEAD"), entry.join("commondir"), entry.join("gitdir"), index.clone()];
    for (file, content) in own.iter().chain([&link]).flat_map(|file| [(file, vec![]), (file, vec![0; 41])]) {
        fs::write(file, content).unwrap();
        create_worktree(&worktree, &base, Checkout::AsItIs, "repair").unwrap();
        assert_eq!(status(worktree.path()), "## boi/SD979\n M a.txt", "{}", file.display());
    }
    // Damages everything at once, as a power loss during the creation can do.
    let branch = scratch.repo.join(".git/refs/heads").join(worktree.spec().branch());
    for file in own.iter().chain([&link, &branch]) {
        fs::write(file, "").unwrap();
    }
    let created = create_worktree(&worktree, &base, Checkout::Clean, "repair").unwrap();
    assert_eq!((status(worktree.path()), created.kept.len()), ("## boi/SD979".to_owned(), 1), "{:?}", created.kept);
    assert_eq!(git(&scratch.repo, ["show", &format!("{}:a.txt", created.kept[0])]), "changed");
    fs::write(&index, "").unwrap();
    remove_worktree(&worktree, "repair").unwrap();
    assert!(!worktree.path().exists() && !entry.exists());
    git(&scratch.repo, ["fsck", "--no-progress"]);
}

#[test]
fn a_branch_whose_commit_is_missing_returns_to_its_last_existing_commit() {
    let scratch = Scratch::new();
    let (worktree, base) = scratch.create();
    assert_eq!(repair_after_power_loss(&worktree, &base, "repair").unwrap(), Repairs::default());
    write(worktree.path(), "a.txt", "first\n");
    let first = commit(worktree.path(), "first");
    let file = scratch.repo.join(".git/refs/heads").join(worktree.spec().branch());
    for is_ref_damaged in [true, false] {
        write(worktree.path(), "a.txt", &format!("second {is_ref_damaged}\n"));
        let second = commit(worktree.path(), "second");
        let object = scratch.repo.join(format!(".git/objects/{}/{}", &second[..2], &second[2..]));
        fs::remove_file(&object).unwrap();
        fs::write(&object, "").unwrap();
        if is_ref_damaged {
            fs::write(&file, "").unwrap();
        }
        let unfinished = object.with_file_name("tmp_obj_Ab12Cd");
        fs::write(&unfinished, "").unwrap();
        let repairs = repair_after_power_loss(&worktree, &base, "repair").unwrap();
        assert_eq!(repairs, Repairs { empty_objects: 1, branch: true, link: false, index: false });
        assert_eq!(head(worktree.path()), first);
        fs::remove_file(unfinished).unwrap();
        git(worktree.path(), ["reflog", "expire", "--expire=all", "HEAD"]);
        git(&scratch.repo, ["fsck", "--no-progress"]);
    }
    fs::remove_file(scratch.repo.join(".git/logs/refs/heads").join(worktree.spec().branch())).unwrap();
    fs::write(&file, "").unwrap();
    repair_after_power_loss(&worktree, &base, "repair").unwrap();
    assert_eq!(head(worktree.path()), base);
}
