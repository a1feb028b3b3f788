//! Tests of tasks: their fields, ids, order and cycles.

use super::{draft, ids, messages, parse, refused, spec};

#[test]
fn titles_are_one_printable_line() {
    for (title, message) in [
        ("", "`title` is empty"),
        ("  ", "`title` is empty"),
        ("a\\nb", "`title` must be one line"),
        ("a\\u001b[31mb", "`title` contains a control character"),
        ("a\\u0000b", "`title` contains a NUL character"),
    ] {
        assert_eq!(messages(&format!("title = \"{title}\"\n[[tasks]]\nrun = 'x'")), [message]);
        assert_eq!(messages(&spec("", &[&format!("run = 'x'\ntitle = \"{title}\"")])), [message]);
    }
    let long = "é".repeat(201);
    draft(&format!("title = '{}'\n[[tasks]]\nrun = 'x'", "é".repeat(200)));
    assert_eq!(
        messages(&format!("title = '{long}'\n[[tasks]]\nrun = 'x'")),
        ["`title` must have at most 200 characters, but has 201"]
    );
}

#[test]
fn a_title_made_from_a_prompt_is_shortened() {
    let draft = draft(&spec("", &[&format!("prompt = \"\\n\\t \\n  {}\"", "é".repeat(500))]));
    let title = &draft.tasks[0].title;
    assert_eq!(title.chars().count(), 80);
    assert!(title.ends_with("é…"), "{title}");
    for (length, shown) in [(80, "é".repeat(80)), (81, format!("{}…", "é".repeat(79)))] {
        assert_eq!(self::draft(&spec("", &[&format!("run = '{}'", "é".repeat(length))])).tasks[0].title, shown);
    }
    let invisible = self::draft(&spec("", &["run = 'x'", "run = \"\\u0001\\n\\u0002y\\u0001\"", "run = \"\\u0001\""]));
    let titles: Vec<&str> = invisible.tasks.iter().map(|task| task.title.as_str()).collect();
    assert_eq!(titles, ["x", "y", "task 3"]);
}

#[test]
fn a_task_has_exactly_one_of_prompt_and_run() {
    insta::assert_snapshot!(refused(&spec("", &["prompt = 'a'\nrun = 'b'"])), @r"
    error: this task has both a `prompt` and a `run`
     --> spec.toml:5:1
      |
    5 | run = 'b'
      | ^^^
      |
      = help: split this task into two; the second can name the first in `needs`
    ");
    assert_eq!(messages(&spec("", &["prompt = ''"])), ["`prompt` is empty"]);
    assert_eq!(messages(&spec("", &["run = \" \\n\""])), ["`run` is empty"]);
    assert_eq!(messages(&spec("", &["run = \"a\\u0000b\""])), ["`run` contains a NUL character"]);
    assert_eq!(messages(&spec("", &["run = 'x'\nverify = ['ok', ' ']"])), ["item 2 of `verify` is empty"]);
}

#[test]
fn ids_are_checked() {
    for (id, message) in [
        ("", "`id` is empty"),
        ("a b", "the id `a b` contains ` `"),
        ("ä", "the id `ä` contains `ä`"),
        ("..", "the id `..` consists only of dots"),
    ] {
        assert_eq!(messages(&spec("", &[&format!("id = '{id}'\nrun = 'x'")])), [message]);
    }
    let long = "x".repeat(65);
    assert_eq!(
        messages(&spec("", &[&format!("id = '{long}'\nrun = 'x'")])),
        ["an id must have at most 64 characters, but this one has 65"]
    );
    assert_eq!(ids(&draft(&spec("", &[&format!("id = '{}'\nrun = 'x'", &long[1..])])))[0].len(), 64);
}

#[test]
fn two_tasks_with_the_same_id_are_both_named() {
    insta::assert_snapshot!(refused(&spec("", &["id = 'a'\nrun = 'x'", "run = 'x'", "id = 'a'\nrun = 'x'"])), @r"
    error: tasks 1 and 3 have the same id `a`
     --> spec.toml:9:1
      |
    9 | id = 'a'
      | ^^
      |
      = help: give one of the two tasks another id
    ");
    insta::assert_snapshot!(refused(&spec("", &["id = 't-2'\nrun = 'x'", "run = 'x'"])), @r"
    error: task 1 has the id `t-2`, which is also the default id of task 2
     --> spec.toml:4:1
      |
    4 | id = 't-2'
      | ^^
      |
      = help: give one of the two tasks another id
    ");
}

#[test]
fn a_cycle_is_reported_with_its_tasks() {
    let tasks = [
        "id = 'a'\nrun = 'x'\nneeds = ['ok', 'c']",
        "id = 'b'\nrun = 'x'\nneeds = ['a']",
        "id = 'c'\nrun = 'x'\nneeds = ['b']",
        "id = 'ok'\nrun = 'x'",
    ];
    insta::assert_snapshot!(refused(&spec("", &tasks)), @r"
    error: these tasks need each other in a cycle: a -> c -> b -> a
     --> spec.toml:6:16
      |
    6 | needs = ['ok', 'c']
      |                ^^^
      |
      = help: remove one of these ids from the `needs` of the task before it
    ");
}

#[test]
fn two_cycles_are_reported_with_other_errors() {
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
            "these tasks need each other in a cycle: a -> b -> a",
            "these tasks need each other in a cycle: c -> d -> c",
            "the task `e` needs itself",
            "`needs` names `x`, but no task has this id",
            "`needs` names `a` twice",
        ]
    );
}

#[test]
fn a_need_that_does_not_exist_gets_a_suggestion() {
    insta::assert_snapshot!(refused(&spec("", &["id = 'build'\nrun = 'x'", "run = 'x'\nneeds = ['biuld']"])), @r"
    error: `needs` names `biuld`, but no task has this id
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
        ["the id `a b` contains ` `"]
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
    let refused = parse("spec.toml", spec("", &bad).as_bytes()).draft.unwrap_err();
    assert_eq!(refused.count(), 100, "no more are looked for");
}

#[test]
fn an_id_clashes_with_a_default_id_in_both_orders() {
    for tasks in [["id = 't-2'\nrun = 'x'", "run = 'x'"], ["run = 'x'", "id = 't-1'\nrun = 'x'"]] {
        let (own, other) = if tasks[0].starts_with("id") { (1, 2) } else { (2, 1) };
        let message = format!("task {own} has the id `t-{other}`, which is also the default id of task {other}");
        assert_eq!(messages(&spec("", &tasks)), [message]);
    }
}

#[test]
fn a_misspelled_prompt_or_run_is_not_reported_as_missing() {
    for typo in ["promt = 'x'", "rnu = 'x'"] {
        assert_eq!(messages(&spec("", &[typo])), [format!("unknown key `{}`", typo.split(' ').next().unwrap())]);
    }
    assert!(refused(&spec("", &["run = 'b'\nprompt = 'a'"])).contains("--> spec.toml:5:1"), "the later one is marked");
}

#[test]
fn a_long_cycle_and_many_cycles_are_reported_in_part() {
    let ring = |length: usize| {
        let task = |n: usize| format!("id = 'r{n}'\nrun = 'x'\nneeds = ['r{}']", (n + 1) % length);
        let tasks: Vec<String> = (0..length).map(task).collect();
        messages(&spec("", &tasks.iter().map(String::as_str).collect::<Vec<_>>()))
    };
    let named = |count: usize| (0..count).map(|n| format!("r{n}")).collect::<Vec<_>>().join(" -> ");
    assert_eq!(ring(12), [format!("these tasks need each other in a cycle: {} -> r0", named(12))]);
    assert_eq!(ring(13), [format!("these tasks need each other in a cycle: {} -> ... -> r0", named(12))]);
    let pairs: Vec<String> = (0..22).map(|n| format!("id = 'p{n}'\nrun = 'x'\nneeds = ['p{}']", n ^ 1)).collect();
    assert_eq!(messages(&spec("", &pairs.iter().map(String::as_str).collect::<Vec<_>>())).len(), 10);
}

#[test]
fn a_cycle_is_found_behind_tasks_that_only_lead_to_it() {
    let tasks = [
        "id = 'a'\nrun = 'x'\nneeds = ['b']",
        "id = 'b'\nrun = 'x'\nneeds = ['d']",
        "id = 'c'\nrun = 'x'\nneeds = ['b']",
        "id = 'd'\nrun = 'x'\nneeds = ['c']",
    ];
    assert_eq!(messages(&spec("", &tasks)), ["these tasks need each other in a cycle: b -> d -> c -> b"]);
}
