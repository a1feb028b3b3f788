//! What boi reads from git's files is what git answers.

use std::fs;

use super::{Scratch, commit, git, head, try_git, write};
use crate::git::place::Place;
use crate::git::{checkout, loose_object, ref_files, refs, revision};

/// The refs below `refs/` that boi reads from files, in the form of `git for-each-ref`.
fn listed(at: &Place) -> Option<String> {
    let found = ref_files::list(at, "refs/")?;
    let line = |(name, resolved): (Vec<u8>, ref_files::Resolved)| {
        format!("{} {}", resolved.hash.unwrap(), String::from_utf8_lossy(&name))
    };
    Some(found.into_iter().map(line).collect::<Vec<_>>().join("\n"))
}

fn listed_by_git(scratch: &Scratch) -> String {
    git(&scratch.repo, ["for-each-ref", "--format=%(objectname) %(refname)"])
}

fn resolved(at: &Place, name: &str) -> Option<Option<String>> {
    ref_files::resolve(at, name).map(|found| found.hash)
}

fn place(scratch: &Scratch) -> Place {
    Place::linked_from(&scratch.repo, &Default::default()).unwrap()
}

#[test]
fn loose_packed_and_symbolic_refs_are_read_as_git_reads_them() {
    let scratch = Scratch::new();
    let repo = &scratch.repo;
    let first = head(repo);
    git(repo, ["branch", "packed"]);
    git(repo, ["branch", "a/b/c"]);
    git(repo, ["tag", "-a", "-m", "a tag", "v1"]);
    git(repo, ["pack-refs", "--all"]);
    write(repo, "b", "b\n");
    let second = commit(repo, "second");
    git(repo, ["branch", "loose"]);
    git(repo, ["branch", "ümlaut"]);
    git(repo, ["branch", "-d", "a/b/c"]);
    git(repo, ["symbolic-ref", "refs/remotes/o/HEAD", "refs/heads/packed"]);
    git(repo, ["symbolic-ref", "refs/heads/dangling", "refs/heads/none"]);
    write(repo, ".git/refs/heads/main.lock", "");
    let at = &place(&scratch);
    assert_eq!(listed(at).unwrap(), listed_by_git(&scratch));
    assert_eq!(resolved(at, "refs/heads/packed"), Some(Some(first.clone())));
    assert_eq!(resolved(at, "refs/heads/main"), Some(Some(second.clone())));
    assert_eq!(resolved(at, "refs/remotes/o/HEAD"), Some(Some(first)));
    assert_eq!(resolved(at, "HEAD"), Some(Some(second)));
    for missing in ["refs/heads/none", "refs/heads/dangling", "refs/heads/a", "refs/heads/main/below"] {
        assert_eq!(resolved(at, missing), Some(None), "{missing}");
    }
    assert_eq!(ref_files::head_ref(at), Some(Some("refs/heads/main".to_owned())));
    git(repo, ["checkout", "-q", "--detach"]);
    assert_eq!((ref_files::head_ref(at), checkout::head_ref(at).unwrap()), (Some(None), None));
    git(repo, ["checkout", "-q", "--orphan", "unborn"]);
    assert_eq!(ref_files::head_ref(at), Some(Some("refs/heads/unborn".to_owned())));
    assert_eq!(revision::commit_of(at, "HEAD").unwrap(), None);
}

#[test]
fn git_is_asked_about_refs_that_git_did_not_write_like_this() {
    let scratch = Scratch::new();
    let (repo, at) = (&scratch.repo, &place(&scratch));
    let first = head(repo);
    let file = repo.join(".git/refs/heads/odd");
    let zeros = format!("{}\n", "0".repeat(40));
    let upper = format!("{}\n", first.to_uppercase());
    let longer = format!("{first} \n");
    for content in ["", "\0\0\0", "none\n", &first, &zeros, &upper, &longer, "ref: HEAD\n", "ref: refs/../x\n"] {
        fs::write(&file, content).unwrap();
        assert_eq!((resolved(at, "refs/heads/odd"), listed(at)), (None, None), "{content:?}");
    }
    fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink("main", &file).unwrap();
    assert_eq!((resolved(at, "refs/heads/odd"), listed(at)), (None, None), "a symbolic link");
    fs::remove_file(&file).unwrap();
    write(repo, ".git/refs/heads/a space", &format!("{first}\n"));
    assert_eq!(listed(at), None, "a name that git refuses");
    fs::remove_file(repo.join(".git/refs/heads/a space")).unwrap();
    for name in ["refs/heads/../main", "refs/heads/main@{1}", "refs/bisect/bad", "main", "FETCH_HEAD"] {
        assert_eq!(resolved(at, name), None, "{name}");
    }
    let packed = format!("# pack-refs with: peeled fully-peeled sorted \n{first} refs/heads/p");
    for damaged in [&packed, &packed[..60], &format!("{packed}\nx\n")] {
        fs::write(repo.join(".git/packed-refs"), damaged).unwrap();
        assert_eq!((resolved(at, "refs/heads/p"), listed(at)), (None, None), "{damaged:?}");
    }
    fs::write(repo.join(".git/packed-refs"), format!("{packed}\n")).unwrap();
    assert_eq!(listed(at).unwrap(), listed_by_git(&scratch));
}

#[test]
fn git_is_asked_about_refs_in_tables() {
    let scratch = Scratch::new();
    let repo = scratch.dir.path().join("tables");
    // Git before 2.45 does not know the format.
    if !try_git(scratch.dir.path(), ["init", "-q", "-b", "main", "--ref-format=reftable", "tables"]).0 {
        return;
    }
    write(&repo, "a", "a\n");
    let first = commit(&repo, "first");
    let at = &Place::linked_from(&repo, &Default::default()).unwrap();
    assert_eq!((resolved(at, "HEAD"), ref_files::head_ref(at), listed(at)), (None, None, None));
    assert_eq!(revision::commit_of(at, "refs/heads/main").unwrap(), Some(first));
    assert_eq!(checkout::head_ref(at).unwrap().as_deref(), Some("refs/heads/main"));
    git(&repo, ["update-ref", "refs/boi/kept/SD979/x-012345678901", "HEAD"]);
    let kept = refs::kept_refs(at, &"SD979".parse().unwrap()).unwrap();
    assert_eq!(kept, ["refs/boi/kept/SD979/x-012345678901"]);
}

#[test]
fn a_commit_in_a_file_of_its_own_is_read_and_a_damaged_one_is_not() {
    let scratch = Scratch::new();
    let (repo, at) = (&scratch.repo, &place(&scratch));
    let (first, tree) = (head(repo), git(repo, ["rev-parse", "HEAD^{tree}"]));
    assert_eq!(loose_object::tree_of(at, &first), Some(tree.clone()));
    assert!(loose_object::is_commit(at, &first) && !loose_object::is_commit(at, &tree));
    write(repo, "b", "b\n");
    let second = commit(repo, "second");
    git(repo, ["replace", &first, &second]);
    assert_eq!(loose_object::tree_of(at, &first), None, "git reads another commit in its place");
    git(repo, ["replace", "-d", &first]);
    let file = |hash: &str| repo.join(".git/objects").join(&hash[..2]).join(&hash[2..]);
    let intact = fs::read(file(&first)).unwrap();
    for damaged in [&[][..], &vec![0; intact.len()], &intact[..intact.len() / 2], &fs::read(file(&second)).unwrap()] {
        fs::remove_file(file(&first)).unwrap();
        fs::write(file(&first), damaged).unwrap();
        assert_eq!((loose_object::is_commit(at, &first), loose_object::tree_of(at, &first)), (false, None));
    }
    fs::write(file(&first), intact).unwrap();
    git(repo, ["gc", "-q"]);
    assert_eq!(loose_object::tree_of(at, &first), None);
    assert_eq!(revision::tree_of(at, &first).unwrap(), tree);
    assert_eq!(revision::commit_of(at, "refs/heads/main").unwrap(), Some(second));
}
