//! `deliver = "merge"`: the base moves by fast-forward only, and only where the checkout is clean.

use super::support::Sandbox;

const MERGE: &str =
    "title = 'Merge'\nrepo = 'repo'\nbase = 'main'\ndeliver = 'merge'\n[[tasks]]\nrun = 'echo two > a.txt'";

#[test]
fn a_clean_checkout_is_moved_forward() {
    let sandbox = Sandbox::new("");
    let before = sandbox.git("repo", &["rev-parse", "main"]);
    let (code, spec) = sandbox.run(MERGE);
    assert_eq!((code, spec["delivery"].as_str()), (Some(0), Some("merged")), "{spec:#}");
    assert_eq!(sandbox.git("repo", &["rev-parse", "main~1"]), before, "a fast-forward");
    assert_eq!(sandbox.git("repo", &["rev-parse", "main"]), spec["tasks"][0]["commit"].as_str().unwrap());
    assert_eq!(sandbox.read("repo/a.txt"), "two\n");
    assert_eq!(sandbox.git("repo", &["status", "--porcelain=v2"]), "");
}

#[test]
fn a_dirty_checkout_stays_unchanged() {
    let sandbox = Sandbox::new("");
    sandbox.write("repo/a.txt", "mine\n");
    let before = sandbox.checkout();
    let (_, spec) = sandbox.run(MERGE);
    assert_eq!((spec["status"].as_str(), spec["delivery"].as_str()), (Some("completed"), Some("unmerged")), "{spec:#}");
    assert!(!spec["reason"].as_str().unwrap().is_empty());
    assert_eq!(sandbox.checkout(), before);
    let branch = spec["branch"].as_str().unwrap();
    assert_eq!(sandbox.git("repo", &["show", &format!("{branch}:a.txt")]), "two", "the work is on its branch");

    // Once it is clean, `boi retry` redoes the delivery alone.
    let mut sandbox = sandbox;
    sandbox.git("repo", &["checkout", "-q", "a.txt"]);
    let id = spec["id"].as_str().unwrap();
    sandbox.good(&["retry", id]);
    sandbox.start_daemon();
    let spec = sandbox.wait_for_status(id, "completed");
    assert_eq!((spec["delivery"].as_str(), &spec["tasks"][0]["tries"]), (Some("merged"), &1.into()), "{spec:#}");
    assert_eq!(sandbox.read("repo/a.txt"), "two\n");
}

#[test]
fn many_merge_into_one_base_and_no_commit_is_lost() {
    let mut sandbox =
        Sandbox::new("max_workers = 6\nspawns_per_tick = 6\nspawn_jitter_ms = [0, 0]\ntick_interval_ms = 100");
    sandbox.start_daemon();
    let specs = (1..=6).map(|number| {
        let task = format!("[[tasks]]\nrun = 'echo {number} > f{number}'");
        format!("title = 'Merge {number}'\nrepo = 'repo'\nbase = 'main'\ndeliver = 'merge'\n{task}")
    });
    let ids: Vec<String> = specs.map(|spec| sandbox.dispatch(&spec)).collect();
    for (index, id) in ids.iter().enumerate() {
        let spec = sandbox.wait_for_status(id, "completed");
        assert_eq!(spec["delivery"], "merged", "{spec:#}");
        assert_eq!(sandbox.read(&format!("repo/f{}", index + 1)), format!("{}\n", index + 1));
    }
    assert_eq!(sandbox.git("repo", &["status", "--porcelain=v2"]), "");
}

#[test]
fn what_conflicts_with_the_base_stays_on_its_branch() {
    let sandbox = Sandbox::new("");
    let user = sandbox.path("repo").display().to_string();
    let (_, spec) = sandbox.run(&format!(
        "title = 'Conflict'\nrepo = 'repo'\nbase = 'main'\ndeliver = 'merge'\n[[tasks]]\n\
         run = '''echo two > a.txt; cd {user} && echo three > a.txt && git commit -qam theirs'''"
    ));
    assert_eq!(spec["delivery"], "unmerged", "{spec:#}");
    assert_eq!(sandbox.git("repo", &["log", "-1", "--format=%s", "main"]), "theirs");
    assert_eq!((sandbox.read("repo/a.txt").as_str(), sandbox.exists("repo/.git/MERGE_HEAD")), ("three\n", false));
    assert_eq!(sandbox.git("repo", &["show", &format!("{}:a.txt", spec["branch"].as_str().unwrap())]), "two");
}

#[test]
fn a_filter_that_fails_leaves_the_checkout_as_it_was() {
    let sandbox = Sandbox::new("");
    for (name, value) in [("clean", "cat"), ("smudge", "false"), ("required", "true")] {
        sandbox.git("repo", &["config", &format!("filter.f.{name}"), value]);
    }
    sandbox.write("repo/.gitattributes", "*.dat filter=f\n");
    sandbox.git("repo", &["add", "-A"]);
    sandbox.git("repo", &["commit", "-q", "-m", "attributes"]);
    let before = sandbox.checkout();
    let (_, spec) = sandbox.run(&format!("{MERGE}\n[[tasks]]\nrun = 'echo m > m.dat'"));
    assert_eq!(spec["delivery"], "unmerged", "{spec:#}");
    assert!(spec["reason"].as_str().unwrap().contains("smudge filter f failed"), "{spec:#}");
    assert_eq!((sandbox.checkout(), sandbox.exists("repo/m.dat")), (before, false));
    let mut sandbox = sandbox;
    sandbox.git("repo", &["config", "filter.f.smudge", "cat"]);
    let id = spec["id"].as_str().unwrap();
    sandbox.good(&["retry", id]);
    sandbox.start_daemon();
    assert_eq!(sandbox.wait_for_status(id, "completed")["delivery"], "merged");
    assert_eq!((sandbox.read("repo/m.dat").as_str(), sandbox.read("repo/a.txt").as_str()), ("m\n", "two\n"));
}

/// Completes a spec that cannot be merged because of a change in the checkout, and one that waits for it. Returns the ids.
fn unmerged_and_waiting(sandbox: &mut Sandbox) -> [String; 2] {
    sandbox.write("repo/a.txt", "mine\n");
    let first = sandbox.dispatch(&MERGE.replace("echo two > a.txt", "echo n > n.txt"));
    let second = sandbox.dispatch(&format!("title = 'Waits'\nafter = ['{first}']\n[[tasks]]\nrun = 'true'"));
    sandbox.start_daemon();
    let spec = sandbox.wait_for_status(&first, "completed");
    assert_eq!((&spec["delivery"], &spec["merged_by"]), (&"unmerged".into(), &serde_json::Value::Null), "{spec:#}");
    sandbox.git("repo", &["checkout", "-q", "a.txt"]);
    [first, second]
}

#[test]
fn a_merge_by_hand_is_noticed_and_releases_what_waits_for_it() {
    let mut sandbox = Sandbox::new("");
    let [first, second] = unmerged_and_waiting(&mut sandbox);
    sandbox.git("repo", &["merge", "-q", "--squash", &format!("boi/{first}")]);
    sandbox.git("repo", &["commit", "-q", "-m", "squashed by hand"]);
    assert_eq!(sandbox.spec(&second)["status"], "queued");
    let spec = sandbox.spec(&first);
    assert_eq!((spec["delivery"].as_str(), spec["merged_by"].as_str()), (Some("merged"), Some("user")), "{spec:#}");
    assert!(spec["reason"].is_null() && spec["status"] == "completed", "{spec:#}");
    sandbox.wait_for_status(&second, "completed");
    // Whatever happens to the base later, it was merged.
    sandbox.git("repo", &["reset", "-q", "--hard", "HEAD~1"]);
    assert_eq!(sandbox.spec(&first)["delivery"], "merged");
    sandbox.git("repo", &["reset", "-q", "--hard", "HEAD@{1}"]);
    sandbox.good(&["clean", &first]);
    assert_eq!(sandbox.git("repo", &["branch", "--list", "boi/*"]), "");
}

#[test]
fn a_merge_by_hand_while_no_daemon_runs_is_noticed_by_the_next_one() {
    let mut sandbox = Sandbox::new("");
    let [first, second] = unmerged_and_waiting(&mut sandbox);
    sandbox.kill_daemon();
    sandbox.git("repo", &["merge", "-q", "--no-edit", &format!("boi/{first}")]);
    sandbox.git("repo", &["branch", "-q", "-D", &format!("boi/{first}")]);
    sandbox.start_daemon();
    sandbox.wait_for_status(&second, "completed");
    assert_eq!(sandbox.spec(&first)["merged_by"], "user");
}

#[test]
fn a_merge_by_hand_is_noticed_by_clean_and_by_status_without_a_daemon() {
    let sandbox = Sandbox::new("");
    let branch = |name: &str, base: &str| {
        format!("title = '{name}'\nrepo = 'repo'\nbase = '{base}'\n[[tasks]]\nrun = 'echo {name} > {name}.txt'")
    };
    let id = |spec: &serde_json::Value| spec["id"].as_str().unwrap().to_owned();
    let first = id(&sandbox.run(&branch("first", "main")).1);
    let second = id(&sandbox.run(&branch("second", &first)).1);
    let third = id(&sandbox.run(&branch("third", "main")).1);
    sandbox.git("repo", &["merge", "-q", "--no-edit", &format!("boi/{second}")]);
    assert_eq!(sandbox.spec(&first)["merged_by"], "user");
    sandbox.good(&["clean", &first]);
    // The base of the second spec was the branch of the first one, which is gone.
    assert_eq!(sandbox.git("repo", &["branch", "--list", "--format=%(refname:short)", &format!("boi/{first}")]), "");
    sandbox.good(&["clean"]);
    assert_eq!(
        sandbox.git("repo", &["branch", "--list", "--format=%(refname:short)", "boi/*"]),
        format!("boi/{third}")
    );
    let deliveries = [&first, &second, &third].map(|id| sandbox.spec(id)["delivery"].clone());
    assert_eq!(deliveries, ["merged", "merged", "branch"].map(serde_json::Value::from));
}
