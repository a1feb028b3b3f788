//! Tests of reading a small file of a commit.

use std::fs;
use std::os::unix::fs::symlink;

use super::{Scratch, commit, write};
use crate::git::repository_file::{RepositoryFile, read_repository_file};

#[test]
fn only_a_small_regular_file_at_the_root_of_a_commit_is_read() {
    let scratch = Scratch::new();
    let repo = &scratch.repo;
    let file = repo.join(".boi.toml");
    let read = || read_repository_file(repo, "HEAD", ".boi.toml", 20).unwrap();
    let unusable = |file: RepositoryFile| match file {
        RepositoryFile::Unusable(why) => why,
        other => panic!("{other:?}"),
    };
    assert_eq!(read(), RepositoryFile::Missing);
    write(repo, ".boi.toml", "keep = [\"a\"]\n");
    commit(repo, "file");
    assert_eq!(read(), RepositoryFile::Content(b"keep = [\"a\"]\n".to_vec()));
    write(repo, ".boi.toml", "changed, not committed");
    assert_eq!(read(), RepositoryFile::Content(b"keep = [\"a\"]\n".to_vec()));
    write(repo, ".boi.toml", &"x".repeat(21));
    commit(repo, "large");
    assert_eq!(unusable(read()), "it has 21 bytes, but may have at most 20");
    fs::remove_file(&file).unwrap();
    symlink("/etc/passwd", &file).unwrap();
    commit(repo, "link");
    assert!(unusable(read()).contains("symbolic link"));
    fs::remove_file(&file).unwrap();
    write(repo, ".boi.toml/file", "x");
    commit(repo, "folder");
    assert!(unusable(read()).contains("folder"));
}
