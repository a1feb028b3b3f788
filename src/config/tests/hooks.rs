//! The tables `[[hooks]]`.

use super::*;

#[test]
fn hooks_are_read_with_their_defaults_and_written_back() {
    let text = "[[hooks]]\nname = 'a'\non = ['spec.failed', 'queue.idle']\ncommand = 'notify-send \"x\"'\n\
                [[hooks]]\nname = 'b.2'\non = ['spec.merged']\ncommand = 'cat'\ntimeout_seconds = 5\n";
    let hooks = load(text).config.hooks;
    assert_eq!(hooks.iter().map(|hook| hook.timeout_seconds).collect::<Vec<_>>(), [30, 5]);
    let shown = find("hooks").unwrap().get(&load(text).config).to_string();
    assert_eq!(load(&format!("hooks = {shown}\n")).config.hooks, hooks);
    assert_eq!(load("").config.hooks, []);
}

#[test]
fn each_mistake_in_a_hook_is_reported() {
    let hook = |lines: &str| format!("[[hooks]]\n{lines}\n");
    for (text, message) in [
        (hook("name = 'a'\non = ['spec.faild']\ncommand = 'x'"), "`spec.faild` is no kind of event"),
        (hook("name = 'a'\non = []\ncommand = 'x'"), "`on` names no kind of event"),
        (hook("name = 'a b'\non = ['queue.idle']\ncommand = 'x'"), "`a b` is not a name for a hook"),
        (hook("name = 'a'\non = ['queue.idle']"), "a hook has no `command`"),
        (hook("name = 'a'\non = ['queue.idle']\ncommand = ' '"), "`command` is empty"),
        (hook("name = 'a'\non = ['queue.idle']\ncommand = 'x'\nevery = 1"), "unknown key `every`"),
        (
            hook("name = 'a'\non = ['queue.idle']\ncommand = 'x'\ntimeout_seconds = 0"),
            "`timeout_seconds` must be a whole number from 1 to 3600, but is 0",
        ),
        (hook("name = 'a'\non = ['queue.idle']\ncommand = 'x'").repeat(2), "two hooks have the name `a`"),
        ("hooks = 5\n".to_owned(), "`hooks` must be a list of tables, but is the number 5"),
    ] {
        assert_eq!(messages(&text), [message], "{text}");
    }
    let problems = parse(
        "config.toml",
        hook("name = 'a'\non = ['spec.faild']\ncommand = 'x'").as_bytes(),
        &ProcessSettings::default(),
    );
    let problems = problems.expect_err("accepted");
    let hints: Vec<_> = problems.iter().filter_map(|problem| problem.hint.clone()).collect();
    assert_eq!(hints, ["did you mean \"spec.failed\"?"]);
    let misplaced = refused(&hook("name = 'a'\non = ['queue.idle']\ncommand = 'x'\nmax_workers = 3"));
    assert!(misplaced.contains("not a key of `[[hooks]]`: move it above the first table"), "{misplaced}");
}
