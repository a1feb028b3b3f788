//! Tasks: their fields, ids, order and circles.

use super::{draft, ids, messages, refused, spec};

#[test]
fn titles_are_one_printable_line() {
    for (title, message) in [
        ("", "`title` is empty"),
        ("  ", "`title` is empty"),
        ("a\\nb", "`title` must be one line"),
        ("a\\u001b[31mb", "`title` has a control character in it"),
        ("a\\u0000b", "`title` has a NUL character in it"),
    ] {
        assert_eq!(messages(&format!("title = \"{title}\"\n[[tasks]]\nrun = 'x'")), [message]);
        assert_eq!(messages(&spec("", &[&format!("run = 'x'\ntitle = \"{title}\"")])), [message]);
    }
    let long = "é".repeat(201);
    assert_eq!(
        messages(&format!("title = '{long}'\n[[tasks]]\nrun = 'x'")),
        ["`title` may have 200 characters, but has 201"]
    );
}

#[test]
fn a_title_taken_from_a_prompt_is_cut() {
    let draft = draft(&spec("", &[&format!("prompt = \"\\n\\t \\n  {}\"", "é".repeat(500))]));
    let title = &draft.tasks()[0].title;
    assert_eq!(title.chars().count(), 80);
    assert!(title.ends_with("é…"), "{title}");
}

#[test]
fn a_task_has_exactly_one_of_prompt_and_run() {
    insta::assert_snapshot!(refused(&spec("", &["prompt = 'a'\nrun = 'b'"])), @r"
    error: a task has either a `prompt` or a `run`, this one has both
     --> spec.toml:5:1
      |
    5 | run = 'b'
      | ^^^
      |
      = help: split it into two tasks; the second can name the first in `needs`
    ");
    assert_eq!(messages(&spec("", &["prompt = ''"])), ["`prompt` is empty"]);
    assert_eq!(messages(&spec("", &["run = \" \\n\""])), ["`run` is empty"]);
    assert_eq!(messages(&spec("", &["run = \"a\\u0000b\""])), ["`run` has a NUL character in it"]);
    assert_eq!(messages(&spec("", &["run = 'x'\nverify = ['ok', ' ']"])), ["item 2 of `verify` is empty"]);
}

#[test]
fn ids_are_checked() {
    for (id, message) in [
        ("", "`id` is empty"),
        ("a b", "the id `a b` has ` ` in it"),
        ("ä", "the id `ä` has `ä` in it"),
        ("..", "the id `..` is nothing but dots"),
    ] {
        assert_eq!(messages(&spec("", &[&format!("id = '{id}'\nrun = 'x'")])), [message]);
    }
    let long = "x".repeat(65);
    assert_eq!(
        messages(&spec("", &[&format!("id = '{long}'\nrun = 'x'")])),
        ["an id may have 64 characters, but this one has 65"]
    );
    assert_eq!(ids(&draft(&spec("", &[&format!("id = '{}'\nrun = 'x'", &long[1..])])))[0].len(), 64);
}

#[test]
fn ids_that_clash_name_both_tasks() {
    insta::assert_snapshot!(refused(&spec("", &["id = 'a'\nrun = 'x'", "run = 'x'", "id = 'a'\nrun = 'x'"])), @r"
    error: task 3 has the id `a` of task 1
     --> spec.toml:9:1
      |
    9 | id = 'a'
      | ^^
      |
      = help: ids are unique within a spec
    ");
    insta::assert_snapshot!(refused(&spec("", &["id = 't-2'\nrun = 'x'", "run = 'x'"])), @r"
    error: task 1 has the id `t-2`, which task 2 has by default
     --> spec.toml:4:1
      |
    4 | id = 't-2'
      | ^^
      |
      = help: give one of the two another id
    ");
}

#[test]
fn a_circle_is_named() {
    let tasks = [
        "id = 'a'\nrun = 'x'\nneeds = ['ok', 'c']",
        "id = 'b'\nrun = 'x'\nneeds = ['a']",
        "id = 'c'\nrun = 'x'\nneeds = ['b']",
        "id = 'ok'\nrun = 'x'",
    ];
    insta::assert_snapshot!(refused(&spec("", &tasks)), @r"
    error: these tasks need each other in a circle: a -> c -> b -> a
     --> spec.toml:6:16
      |
    6 | needs = ['ok', 'c']
      |                ^^^
      |
      = help: remove one of these from a `needs`
    ");
}

#[test]
fn two_circles_are_both_named_beside_other_errors() {
    let tasks = [
        "id = 'a'\nrun = 'x'\nneeds = ['b']",
        "id = 'b'\nrun = 'x'\nneeds = ['a']",
        "id = 'c'\nrun = 'x'\nneeds = ['d']",
        "id = 'd'\nrun = 'x'\nneeds = ['c', 'a', 'e']",
        "id = 'e'\nrun = 'x'\nneeds = ['e', 'x', 'a', 'a']",
    ];
    assert_eq!(
        messages(&spec("", &tasks)),
        [
            "these tasks need each other in a circle: a -> b -> a",
            "these tasks need each other in a circle: c -> d -> c",
            "the task `e` needs itself",
            "there is no task `x`",
            "`needs` names `a` twice",
        ]
    );
}

#[test]
fn a_need_that_does_not_exist_is_guessed() {
    insta::assert_snapshot!(refused(&spec("", &["id = 'build'\nrun = 'x'", "run = 'x'\nneeds = ['biuld']"])), @r"
    error: there is no task `biuld`
     --> spec.toml:8:10
      |
    8 | needs = ['biuld']
      |          ^^^^^^^
      |
      = help: did you mean `build`?
    ");
}

#[test]
fn an_unreadable_id_is_the_only_thing_reported() {
    assert_eq!(
        messages(&spec("", &["id = 'a b'\nrun = 'x'", "run = 'x'\nneeds = ['a b']"])),
        ["the id `a b` has ` ` in it"]
    );
}

#[test]
fn tasks_keep_the_order_of_the_file_as_far_as_needs_allows() {
    let task = |id: &str, needs: &str| format!("id = '{id}'\nrun = 'x'\nneeds = [{needs}]");
    let tasks = [task("a", "'d'"), task("b", ""), task("c", "'a'"), task("d", ""), task("e", "")];
    let tasks: Vec<&str> = tasks.iter().map(String::as_str).collect();
    assert_eq!(ids(&draft(&spec("", &tasks))), ["b", "d", "a", "c", "e"]);
}

#[test]
fn many_tasks_are_read_and_refused_in_bounded_time() {
    let good: Vec<String> = (0..20_000).map(|n| format!("run = 'x'\nneeds = ['t-{}']", n + 2)).collect();
    let mut good: Vec<&str> = good.iter().map(String::as_str).collect();
    good.push("run = 'x'");
    let draft = draft(&spec("", &good));
    assert_eq!((ids(&draft)[0], ids(&draft)[20_000]), ("t-20001", "t-1"));
    let bad: Vec<&str> = vec!["run = 'x'\nneeds = ['no-such-task']"; 20_000];
    assert!(messages(&spec("", &bad)).len() >= 50);
}
