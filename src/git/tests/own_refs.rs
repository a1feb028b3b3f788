//! Refs that boi writes and deletes without git are as if git had done it.

use std::fs;

use super::{Scratch, commit, git, head, try_git, write};
use crate::git::own_refs;
use crate::git::place::Place;

const NAME: &str = "refs/boi/candidate/SD979";

fn place(scratch: &Scratch) -> Place {
    Place::linked_from(&scratch.repo, &Default::default()).unwrap()
}

fn refs(scratch: &Scratch) -> String {
    git(&scratch.repo, ["for-each-ref", "--format=%(refname) %(objectname)", "refs/boi"])
}

#[test]
fn a_ref_is_created_moved_and_deleted() {
    let scratch = Scratch::new();
    let (repo, at) = (&scratch.repo, &place(&scratch));
    let first = head(repo);
    write(repo, "b", "b\n");
    let second = commit(repo, "second");
    for hash in [&first, &second] {
        assert!(own_refs::write(at, NAME, hash));
        assert_eq!(refs(&scratch), format!("{NAME} {hash}"));
    }
    git(repo, ["pack-refs", "--all"]);
    assert!(!own_refs::delete(at, NAME), "a packed ref");
    assert!(own_refs::write(at, NAME, &first));
    assert_eq!(refs(&scratch), format!("{NAME} {first}"));
    assert!(!own_refs::delete(at, NAME), "git would find the packed ref again");
    git(repo, ["update-ref", "-d", NAME]);
    assert!(own_refs::write(at, NAME, &first) && own_refs::delete(at, NAME));
    assert_eq!((refs(&scratch).as_str(), repo.join(".git/refs/boi").exists()), ("", false));
    git(repo, ["update-ref", NAME, &second, ""]);
    assert!(own_refs::write(at, "refs/boi/snapshot/SD979", &first) && own_refs::delete(at, NAME));
    assert_eq!(refs(&scratch), format!("refs/boi/snapshot/SD979 {first}"));
    assert!(!repo.join(".git/refs/boi/candidate").exists());
    git(repo, ["fsck", "--full"]);
}

#[test]
fn git_is_run_where_boi_cannot_do_the_same() {
    let scratch = Scratch::new();
    let (repo, at) = (&scratch.repo, &place(&scratch));
    let first = head(repo);
    assert!(!own_refs::write(at, "refs/heads/main2", &first), "a ref that is not boi's own");
    write(repo, &format!(".git/{NAME}.lock"), "");
    assert!(!own_refs::write(at, NAME, &first), "locked");
    fs::remove_file(repo.join(format!(".git/{NAME}.lock"))).unwrap();
    git(repo, ["config", "core.sharedRepository", "group"]);
    assert!(!own_refs::write(at, NAME, &first), "shared by users");
    git(repo, ["config", "--unset", "core.sharedRepository"]);
    git(repo, ["symbolic-ref", NAME, "refs/heads/main"]);
    assert!(!own_refs::write(at, NAME, &first) && !own_refs::delete(at, NAME), "a symbolic ref");
    git(repo, ["symbolic-ref", "-d", NAME]);
    git(repo, ["-c", "core.logAllRefUpdates=always", "update-ref", NAME, &first]);
    assert!(!own_refs::write(at, NAME, &first) && !own_refs::delete(at, NAME), "a ref with a log");
    git(repo, ["update-ref", "-d", NAME]);
    let elsewhere = scratch.dir.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::create_dir_all(repo.join(".git/refs/boi")).unwrap();
    std::os::unix::fs::symlink(&elsewhere, repo.join(".git/refs/boi/candidate")).unwrap();
    assert!(!own_refs::write(at, NAME, &first), "a folder that is a link");
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
    fs::remove_file(repo.join(".git/refs/boi/candidate")).unwrap();
    assert!(own_refs::write(at, NAME, &first));
    write(repo, ".git/packed-refs.lock", "");
    assert!(!own_refs::delete(at, NAME), "refs are being packed");
    assert_eq!(refs(&scratch), "", "git deletes the ref again, which may be packed now");
    assert!(!repo.join(format!(".git/{NAME}.lock")).exists());
    if try_git(scratch.dir.path(), ["init", "-q", "--ref-format=reftable", "tables"]).0 {
        let tables = scratch.dir.path().join("tables");
        write(&tables, "a", "a\n");
        let first = commit(&tables, "first");
        let at = &Place::linked_from(&tables, &Default::default()).unwrap();
        assert!(!own_refs::write(at, NAME, &first));
    }
}
