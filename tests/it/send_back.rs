//! `boi retry --note`, `--failed` and `--unmerged`.

use serde_json::Value;

use super::support::Sandbox;

const CONFIG: &str = "retry_count = 0\nretry_backoff_seconds = [0, 0]\nspawn_jitter_ms = [0, 0]";

fn id_of(spec: &Value) -> String {
    spec["id"].as_str().unwrap().to_owned()
}

fn prompts(sandbox: &Sandbox) -> Vec<String> {
    let lines = sandbox.read("trace");
    let traces = lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("a trace"));
    traces.map(|trace| trace["prompt"].as_str().expect("a prompt").to_owned()).collect()
}

#[test]
fn a_completed_spec_is_sent_back_and_its_agent_reads_the_note() {
    let mut sandbox = Sandbox::new(CONFIG);
    let first = "[[tasks]]\nid = 'first'\nprompt = '@@write a.txt 1@@'\n";
    let second = "[[tasks]]\nid = 'second'\nprompt = '@@try 1:write b.txt 1@@ @@try 2:write b.txt 2@@'\n";
    let last = "[[tasks]]\nid = 'last'\nrun = 'cat b.txt >> c.txt'\n";
    let (code, spec) = sandbox.run(&format!("title = 'Back'\nrepo = 'repo'\n{first}{second}{last}"));
    assert_eq!(code, Some(0), "{spec:#}");
    let (id, branch) = (id_of(&spec), spec["branch"].as_str().unwrap().to_owned());
    let head = sandbox.git("repo", &["rev-parse", &branch]);
    let said = sandbox.boi(&["retry", &id]);
    assert!(said.code == Some(1) && said.err.contains("--note"), "{said:?}");
    sandbox.start_daemon();
    let said = sandbox.good(&["retry", &id, "--note", "Write 2 instead.\nAnd mind the tests."]);
    assert!(said.out.contains(&format!("{id} queued again with the note")), "{said:?}");
    sandbox.good(&["wait", &id]);
    let spec = sandbox.spec(&id);
    assert_eq!(
        (&spec["attempt"], &spec["tasks"][0]["tries"], &spec["tasks"][1]["tries"]),
        (&2.into(), &1.into(), &2.into())
    );
    let prompts = prompts(&sandbox);
    assert_eq!(prompts.len(), 3, "{prompts:#?}");
    assert!(
        prompts[2].contains("sends it back with this note:\n\nWrite 2 instead.\nAnd mind the tests.\n"),
        "{}",
        prompts[2]
    );
    assert!(!prompts[0].contains("note:") && !prompts[1].contains("note:"));
    assert_eq!(sandbox.git("repo", &["show", &format!("{branch}:b.txt")]), "2");
    assert_eq!(sandbox.git("repo", &["show", &format!("{branch}:c.txt")]), "1\n2", "the task after it ran again");
    sandbox.git("repo", &["merge-base", "--is-ancestor", &head, &branch]);
    let note = &spec["notes"][0];
    assert_eq!((&note["attempt"], &note["task"]), (&2.into(), &"second".into()), "{note:#}");
    assert!(sandbox.good(&["status", &id]).out.contains("attempt 2, second: Write 2 instead. And mind the tests."));
    assert!(sandbox.good(&["log", &id, "--all"]).out.contains("sent back with the note: Write 2 instead."));
}

#[test]
fn a_note_comes_from_standard_input_and_goes_to_the_unfinished_task_of_a_failed_spec() {
    let mut sandbox = Sandbox::new(CONFIG);
    let (code, spec) = sandbox.run(
        "title = 'Fails'\nrepo = 'repo'\n[[tasks]]\nid = 'one'\nprompt = '@@write a.txt 1@@'\n\
         [[tasks]]\nid = 'two'\nprompt = '@@try 1:exit 3@@ @@write b.txt 1@@'",
    );
    assert_eq!(code, Some(1), "{spec:#}");
    let id = id_of(&spec);
    assert_eq!(sandbox.with_stdin(&["retry", &id, "--note", "-"], " \n").code, Some(2));
    let said = sandbox.with_stdin(&["retry", &id, "--note", "-", "--json"], "From a file\n");
    assert_eq!((said.code, &said.json()["specs"][0]["id"]), (Some(0), &id.as_str().into()), "{said:?}");
    sandbox.start_daemon();
    sandbox.good(&["wait", &id]);
    assert_eq!(sandbox.spec(&id)["notes"][0]["task"], "two");
    let prompts = prompts(&sandbox);
    assert!(prompts.len() == 3 && prompts[2].contains("From a file"), "{prompts:#?}");
}

#[test]
fn specs_without_a_prompt_and_landed_specs_are_not_sent_back() {
    let sandbox = Sandbox::new(CONFIG);
    let run = id_of(&sandbox.run("title = 'Run'\nrepo = 'repo'\n[[tasks]]\nrun = 'echo 1 > one'").1);
    let said = sandbox.boi(&["retry", &run, "--note", "n"]);
    assert!(said.code == Some(1) && said.err.contains("no task with a prompt"), "{said:?}");
    let landed =
        id_of(&sandbox.run("title = 'Lands'\nrepo = 'repo'\ndeliver = 'merge'\n[[tasks]]\nprompt = '@@write x 1@@'").1);
    let said = sandbox.boi(&["retry", &landed, "--note", "n"]);
    assert!(said.code == Some(1) && said.err.contains("is merged into its base"), "{said:?}");
    // A branch without commits has landed nothing.
    let nothing = "title = 'Nothing'\nrepo = 'repo'\ndeliver = 'merge'\n[[tasks]]\nprompt = '@@say Which one?@@'";
    let nothing = sandbox.run(nothing).1;
    assert_eq!(nothing["delivery"], "merged", "{nothing:#}");
    sandbox.good(&["retry", &id_of(&nothing), "--note", "The first one."]);
    sandbox.good(&["drop", &id_of(&nothing)]);
    let queued = sandbox.dispatch("title = 'Queued'\n[[tasks]]\nprompt = 'p'");
    let said = sandbox.boi(&["retry", &queued, "--note", "n"]);
    assert!(said.code == Some(1) && said.err.contains(&format!("boi stop {queued}")), "{said:?}");
}

#[test]
fn a_stopped_spec_continues_with_the_note_and_dependents_wait_again() {
    let mut sandbox = Sandbox::new(CONFIG);
    let first = id_of(&sandbox.run("title = 'First'\nrepo = 'repo'\n[[tasks]]\nprompt = '@@write a.txt 1@@'").1);
    let next = sandbox.dispatch(&format!("title = 'Next'\nafter = ['{first}']\n[[tasks]]\nrun = 'true'"));
    let stopped = sandbox.dispatch("title = 'Stopped'\n[[tasks]]\nprompt = 'hello'");
    sandbox.good(&["stop", &stopped]);
    sandbox.good(&["retry", &stopped, "--note", "for the first attempt"]);
    sandbox.good(&["retry", &first, "--note", "again"]);
    assert_eq!(sandbox.spec(&next)["cause"]["kind"], "waits_for");
    sandbox.start_daemon();
    sandbox.good(&["wait", &first, &next, &stopped]);
    assert_eq!((&sandbox.spec(&stopped)["attempt"], &sandbox.spec(&first)["attempt"]), (&1.into(), &2.into()));
    assert!(
        prompts(&sandbox).iter().any(|prompt| prompt.contains("hello") && prompt.contains("for the first attempt"))
    );
}

#[test]
fn all_failed_and_all_unmerged_specs_are_selected() {
    let mut sandbox = Sandbox::new(CONFIG);
    let good = sandbox.at("good");
    let gate = format!("[[tasks]]\nrun = 'test -e {good}'");
    let first = id_of(&sandbox.run(&format!("title = 'Fails'\n{gate}")).1);
    let second = id_of(&sandbox.run(&format!("title = 'Fails too'\n{gate}")).1);
    let unmerged = "title = 'Unmerged'\nrepo = 'repo'\ndeliver = 'merge'\n[[tasks]]\nrun = 'echo 2 > a.txt'";
    sandbox.write("repo/a.txt", "dirty\n");
    let unmerged = id_of(&sandbox.run(unmerged).1);
    assert_eq!(sandbox.spec(&unmerged)["delivery"], "unmerged");
    let said = sandbox.good(&["retry", "--unmerged", "--json"]).json();
    assert_eq!(said["specs"], serde_json::json!([{"id": unmerged}]));
    let said = sandbox.good(&["retry", "--failed", "--json"]).json();
    assert_eq!(said["specs"], serde_json::json!([{"id": first}, {"id": second}]));
    sandbox.write("good", "");
    sandbox.git("repo", &["checkout", "-q", "--", "a.txt"]);
    sandbox.start_daemon();
    sandbox.good(&["wait", &first, &second, &unmerged]);
    assert!(sandbox.good(&["retry", "--failed", "--unmerged"]).out.contains("no spec to retry"));
    assert_eq!(sandbox.boi(&["retry"]).code, Some(2));
}
