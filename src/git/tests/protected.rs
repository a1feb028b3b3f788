//! Tests of finding the protected files that a try changed.

use std::fs;

use super::{Scratch, write};
use crate::git::{capture, changed_protected_files};

#[test]
fn the_changed_files_that_a_pattern_names_are_found() {
    let scratch = Scratch::new();
    let (worktree, base) = scratch.create();
    write(worktree.path(), "a.txt", "changed\n");
    write(worktree.path(), "tests/unit/new.rs", "new\n");
    fs::remove_file(worktree.path().join("sub/run.sh")).unwrap();
    let candidate = capture(&worktree, &base, "try", "label").unwrap().commit.unwrap();
    let found = |patterns: &[&str]| {
        let patterns: Vec<String> = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
        changed_protected_files(&worktree, &base, None, &candidate, &patterns).unwrap().join(" ")
    };
    for (patterns, expected) in [
        (&["tests/**"][..], "tests/unit/new.rs"),
        (&["tests/"], "tests/unit/new.rs"),
        (&["tests"], "tests/unit/new.rs"),
        (&["*.txt", "sub/*.sh"], "a.txt sub/run.sh"),
        (&["**/*.sh"], "sub/run.sh"),
        (&["*.sh"], ""),
        (&["other", "sub/other/**"], ""),
    ] {
        assert_eq!(found(patterns), expected, "{patterns:?}");
    }
    let same = changed_protected_files(&worktree, &base, Some(&candidate), &candidate, &["a.txt".to_owned()]).unwrap();
    assert_eq!(same, [""; 0], "the other parent of a merge has the change");
}
