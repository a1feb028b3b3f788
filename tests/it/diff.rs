//! `boi diff`: the branch's own changes, whatever became of the branch and its base.

use serde_json::Value;

use super::support::Sandbox;

const ONE: &str = "title = 'One'\nrepo = 'repo'\n[[tasks]]\nrun = 'echo 1 > one'";

fn completed(sandbox: &Sandbox, spec: &str) -> (String, String) {
    let (code, spec) = sandbox.run(spec);
    assert_eq!(code, Some(0), "{spec:#}");
    let id = spec["id"].as_str().unwrap().to_owned();
    let branch = format!("boi/{id}");
    (id, branch)
}

/// The files that `boi diff` shows, and whether the text form shows the same.
fn files(sandbox: &Sandbox, id: &str) -> Vec<String> {
    let json = sandbox.good(&["diff", id, "--json"]).json();
    let files: Vec<String> =
        json["files"].as_array().unwrap().iter().map(|file| file["path"].as_str().unwrap().to_owned()).collect();
    let shown = sandbox.good(&["diff", id, "--", "--name-only"]).out;
    assert_eq!(shown.lines().collect::<Vec<_>>(), files);
    files
}

fn commit(sandbox: &Sandbox, folder: &str, file: &str) {
    sandbox.write(&format!("{folder}/{file}"), "x\n");
    sandbox.git(folder, &["add", "-A"]);
    sandbox.git(folder, &["commit", "-q", "-m", file]);
}

#[test]
fn only_the_branch_s_own_changes_are_shown_before_and_after_merges_in_both_directions() {
    let sandbox = Sandbox::new("");
    let (id, branch) = completed(&sandbox, ONE);
    assert_eq!(files(&sandbox, &id), ["one"]);
    let shown = sandbox.good(&["diff", &id]).out;
    assert!(shown.contains("+++ b/one") && shown.contains("+1"), "{shown}");
    assert!(sandbox.good(&["diff", &id, "--stat"]).out.contains("1 file changed, 1 insertion(+)"));
    assert_eq!(sandbox.good(&["diff", &id, "--", "--name-only", "a.txt"]).out, "", "paths limit the diff");
    let json = sandbox.good(&["diff", &id, "--json"]).json();
    assert_eq!((&json["added"], &json["removed"], &json["files"][0]["added"]), (&1.into(), &0.into(), &1.into()));
    commit(&sandbox, "repo", "base");
    assert_eq!(files(&sandbox, &id), ["one"], "the base moved");
    sandbox.git("repo", &["checkout", "-q", &branch]);
    sandbox.git("repo", &["merge", "-q", "--no-edit", "main"]);
    sandbox.git("repo", &["checkout", "-q", "main"]);
    assert_eq!(files(&sandbox, &id), ["one"], "the base was merged into the branch");
    sandbox.git("repo", &["merge", "-q", "--no-edit", &branch]);
    assert_eq!(files(&sandbox, &id), ["one"], "the branch was merged into the base");
    sandbox.git("repo", &["branch", "-q", "-D", &branch]);
    assert_eq!(files(&sandbox, &id), ["one"], "the branch was deleted");
}

#[test]
fn a_landed_a_dropped_and_a_dependent_branch_are_shown() {
    let sandbox = Sandbox::new("");
    let (landed, _) = completed(&sandbox, &ONE.replace("repo = 'repo'", "repo = 'repo'\ndeliver = 'merge'"));
    sandbox.good(&["clean"]);
    assert!(!sandbox.git("repo", &["branch", "--list", "boi/*"]).contains(&landed));
    assert_eq!(files(&sandbox, &landed), ["one"]);
    let (first, _) = completed(&sandbox, &ONE.replace("one", "two"));
    let on = format!("title = 'On'\nrepo = 'repo'\nbase = '{first}'\n[[tasks]]\nrun = 'echo 3 > three'");
    let (second, _) = completed(&sandbox, &on);
    assert_eq!(files(&sandbox, &second), ["three"]);
    sandbox.good(&["drop", &second]);
    assert_eq!(files(&sandbox, &second), ["three"]);
}

#[test]
fn without_a_branch_the_error_says_what_there_is() {
    let sandbox = Sandbox::new("");
    let scratch = sandbox.run("title = 'Scratch'\n[[tasks]]\nrun = 'true'").1;
    let queued = sandbox.dispatch(ONE);
    for (id, part) in [(scratch["id"].as_str().unwrap(), "no repository"), (&queued, "is queued and has no branch yet")]
    {
        let said = sandbox.boi(&["diff", id]);
        assert!(said.code == Some(1) && said.err.contains(part) && said.err.lines().count() == 2, "{said:?}");
    }
    let said = sandbox.boi(&["diff", &queued, "--json"]);
    let error: Value = serde_json::from_str(&said.err).unwrap();
    assert!(error["hint"].as_str().unwrap().contains("boi status"), "{said:?}");
}
