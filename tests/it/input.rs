//! Invalid specs are refused at dispatch: all errors at once, and nothing reaches the queue.

use super::support::Sandbox;

/// Asserts that `text` is refused with exit code 2 and a message that contains each of `parts`.
#[track_caller]
fn assert_refused(text: impl AsRef<[u8]>, parts: &[&str]) {
    let sandbox = Sandbox::new("");
    sandbox.write("bad.toml", text);
    for command in ["dispatch", "run"] {
        let said = sandbox.boi(&[command, "bad.toml"]);
        assert_eq!(said.code, Some(2), "boi {command}: {said:?}");
        assert!(!said.err.contains("panicked"), "{said:?}");
        for part in parts {
            assert!(said.err.contains(part), "boi {command}: no `{part}` in:\n{}", said.err);
        }
    }
    let status = sandbox.good(&["status", "--json", "--all"]).json();
    assert_eq!((status["specs"].as_array().unwrap().len(), &status["counts"]["queued"]), (0, &0.into()));
    assert_eq!(sandbox.git("repo", &["for-each-ref", "--format=%(refname)"]), "refs/heads/main");
}

#[test]
fn an_unknown_field_is_reported_at_its_place_with_the_closest_one() {
    assert_refused("title = 'x'\nagnt = 'claude'\n[[tasks]]\nrun = 'true'\n", &["bad.toml:2:1", "agnt", "agent"]);
}

#[test]
fn all_errors_are_reported_at_once() {
    let text = "title = 'x'\nagnt = 'claude'\n[[tasks]]\nrun = 'true'\nprompt = 'x'\n[[tasks]]\nid = 'a'\n";
    assert_refused(text, &["bad.toml:2:1", "bad.toml:6:1"]);
}

#[test]
fn a_task_with_both_prompt_and_run_is_refused() {
    assert_refused("title = 'x'\n[[tasks]]\nprompt = 'a'\nrun = 'b'\n", &["bad.toml:4:1", "`prompt`", "`run`"]);
}

#[test]
fn duplicate_task_ids_are_refused() {
    let text = "title = 'x'\n[[tasks]]\nid = 'same'\nrun = 'a'\n[[tasks]]\nid = 'same'\nrun = 'b'\n";
    assert_refused(text, &["bad.toml:6:1", "same"]);
}

#[test]
fn a_cycle_of_tasks_is_refused() {
    let text =
        "title = 'x'\n[[tasks]]\nid = 'a'\nrun = 'a'\nneeds = ['b']\n[[tasks]]\nid = 'b'\nrun = 'b'\nneeds = ['a']\n";
    assert_refused(text, &["bad.toml:5:10", "a -> b -> a"]);
}

#[test]
fn a_missing_repository_is_refused() {
    assert_refused("title = 'x'\nrepo = 'nowhere'\n[[tasks]]\nrun = 'a'\n", &["bad.toml:2:8", "nowhere"]);
}

#[test]
fn a_missing_base_is_refused() {
    assert_refused(
        "title = 'x'\nrepo = 'repo'\nbase = 'no-such'\n[[tasks]]\nrun = 'a'\n",
        &["bad.toml:3:8", "no-such"],
    );
}

#[test]
fn an_empty_file_is_refused() {
    assert_refused("", &["bad.toml", "title"]);
}

#[test]
fn a_file_that_is_not_utf_8_is_refused() {
    assert_refused(b"title = 'x\xff'\n", &["bad.toml:1:11", "UTF-8"]);
}

#[test]
fn several_files_are_queued_all_or_none() {
    let sandbox = Sandbox::new("");
    sandbox.write("good.toml", "title = 'x'\n[[tasks]]\nrun = 'true'\n");
    sandbox.write("bad.toml", "title = 'x'\n");
    assert_eq!(sandbox.boi(&["dispatch", "good.toml", "bad.toml"]).code, Some(2));
    assert_eq!(sandbox.good(&["status", "--json"]).json()["counts"]["queued"], 0);
    sandbox.good(&["dispatch", "good.toml"]);
    assert_eq!(sandbox.good(&["status", "--json"]).json()["counts"]["queued"], 1);
}

#[test]
fn a_file_that_is_too_large_is_reported_with_its_size() {
    assert_refused(vec![b'#'; 10 << 20], &["bad.toml", "10 MiB; the limit is 8 MiB", "nothing was queued"]);
}

#[test]
fn a_full_standard_output_is_reported() {
    let sandbox = Sandbox::new("");
    let said = sandbox.to_full_disk(&["status"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains("cannot write to standard output"), "{said:?}");
}

#[test]
fn help_lists_every_exit_code() {
    let help = Sandbox::new("").good(&["--help"]).out;
    for code in ["0 done", "1 the command or a spec failed", "2 bad", "3 no daemon", "4 gave up", "78 bad", "130 ended"]
    {
        assert!(help.contains(code), "no `{code}` in {help}");
    }
}
