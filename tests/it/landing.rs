//! Landing: completed specs are merged into their base in batches, and what cannot be landed goes back to its agent.

use super::support;
use super::support::{Sandbox, wait_for};

#[path = "../helpers/landing.rs"]
pub mod rounds;

use rounds::{sandbox, spec};

#[test]
fn twelve_specs_land_although_one_breaks_the_others_and_two_conflict() {
    let mut sandbox = sandbox("");
    let (runs, repo) = (sandbox.at("runs"), sandbox.at("repo"));
    // A spec whose command begins has its branch already: what lands later is not in it.
    let begun = |number: u32| sandbox.at(&format!("begun{number}"));
    let wait_for = |what: &[String]| format!("until ls {} >/dev/null 2>&1; do sleep 0.02; done", what.join(" "));
    let commands = (1..=12).map(|number| match number {
        1 | 2 => format!("{}; echo x > f{number}", wait_for(&[begun(3)])),
        // Its own test passes, because its branch has none of the files that the others have landed meanwhile.
        3 => format!("touch {}; {}; echo 1 > limit", begun(3), wait_for(&[format!("{repo}/f1"), format!("{repo}/f2")])),
        6 | 9 => format!("touch {}; {}; echo {number} > shared", begun(number), wait_for(&[begun(6), begun(9)])),
        _ => format!("echo x > f{number}"),
    });
    let commands: Vec<String> = commands.collect();
    let count = format!("verify = ['sh test.sh', 'case $BOI_SPEC in L*) echo x >> {runs};; esac']");
    let ids: Vec<String> = commands
        .iter()
        .enumerate()
        .map(|(index, command)| {
            let text = spec(&format!("Lands {index}"), command).replace("verify = ['sh test.sh']", &count);
            sandbox.dispatch(&text)
        })
        .collect();
    sandbox.start_daemon();
    let specs: Vec<_> = ids.iter().map(|id| sandbox.wait_for_status(id, "completed")).collect();
    for spec in &specs {
        assert_eq!(spec["delivery"], "merged", "{spec:#}");
    }
    let sent_back = specs.iter().filter(|spec| spec["tasks"].as_array().unwrap().len() == 2).count();
    assert_eq!(sent_back, 2, "the breaker and one of the conflicting two");
    assert_eq!(sandbox.read("repo/limit"), "99\n");
    assert_eq!(sandbox.read("repo/shared").lines().count(), 2, "both sides are kept");
    assert!(sandbox.read("runs").lines().count() <= 20, "{}", sandbox.read("runs"));
}

#[test]
fn a_spec_that_waits_to_land_has_no_slot_and_others_run_meanwhile() {
    let mut sandbox = sandbox("");
    let gate = sandbox.at("gate");
    let verify = format!("verify = ['case $BOI_SPEC in L*) while ! test -e {gate}; do sleep 0.01; done;; esac']");
    let text = |title: &str, command: &str| spec(title, command).replace("verify = ['sh test.sh']", &verify);
    sandbox.write("boi/config.toml", "max_workers = 1\ntick_interval_ms = 100\nspawn_jitter_ms = [0, 0]\n");
    sandbox.start_daemon();
    // The base gets a commit meanwhile, so that the first branch needs a merge and its verification.
    let repo = sandbox.at("repo");
    let first =
        sandbox.dispatch(&text("First", &format!("echo x > f1; git -C {repo} commit -q --allow-empty -m other")));
    wait_for("the first spec is landing", || (sandbox.spec(&first)["delivery"] == "landing").then_some(()));
    let second = sandbox.dispatch("title = 'Second'\n[[tasks]]\nrun = 'true'");
    sandbox.wait_for_status(&second, "completed");
    let view = sandbox.spec(&first);
    assert_eq!((view["status"].as_str(), view["delivery"].as_str()), (Some("completed"), Some("landing")));
    let third = sandbox.dispatch(&text("Third", "echo x > f3"));
    wait_for("the third spec waits", || (sandbox.spec(&third)["delivery"] == "waiting").then_some(()));
    let lander = wait_for("the lander verifies", || {
        let lander = sandbox.good(&["status", "--json"]).json()["landers"][0].clone();
        (lander["step"] == "verifying").then_some(lander)
    });
    assert_eq!((&lander["base"], &lander["batch"], &lander["waiting"]), (&"main".into(), &[&*first].into(), &1.into()));
    assert_eq!((&lander["verify"]["number"], &lander["verify"]["count"]), (&1.into(), &1.into()), "{lander:#}");
    let shown = sandbox.good(&["status"]).out;
    let row = |id: &str| shown.lines().find(|line| line.starts_with(id)).unwrap_or_else(|| panic!("{shown}"));
    assert!(row(&first).ends_with("  landing") && row(&third).ends_with("  waiting to land"), "{shown}");
    let line = format!("lander: {}, into main of {repo}: verifying 1 spec ({first}):", lander["id"].as_str().unwrap());
    assert!(row(&line).ends_with("command 1 of 1; 1 more to land"), "{shown}");
    sandbox.write("gate", "");
    assert_eq!(sandbox.wait_for_status(&third, "completed")["delivery"], "merged");
    let kinds = sandbox.good(&["events", "--json", "--since", "0", "--spec", &third]).out;
    let kinds: Vec<_> = kinds.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()).collect();
    let kinds: Vec<&str> = kinds.iter().map(|event| event["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds[kinds.len() - 4..], ["spec.completed", "spec.waiting", "spec.landing", "spec.merged"]);
    assert_eq!(sandbox.wait_for_status(&first, "completed")["delivery"], "merged");
}

#[test]
fn a_spec_without_a_prompt_stays_unmerged_if_it_cannot_be_landed() {
    let sandbox = sandbox("");
    let user = sandbox.at("repo");
    let (code, spec) = sandbox.run(&format!(
        "title = 'Conflict'\nrepo = 'repo'\nbase = 'main'\ndeliver = 'merge'\n[[tasks]]\n\
         run = 'echo mine > shared; cd {user} && echo theirs > shared && git commit -qam theirs'"
    ));
    assert_eq!((code, spec["delivery"].as_str()), (Some(1), Some("unmerged")), "{spec:#}");
    assert!(spec["reason"].as_str().unwrap().contains("merge conflicts with main in shared"), "{spec:#}");
    // So does one that asks for it.
    let (code, spec) = sandbox.run(&format!(
        "title = 'Conflict'\nrepo = 'repo'\nbase = 'main'\ndeliver = 'merge'\non_conflict = 'unmerged'\n[[tasks]]\n\
         prompt = '''\ndo echo again > shared; cd {user} && echo others > shared && git commit -qam others\n'''"
    ));
    assert_eq!(
        (code, spec["delivery"].as_str(), spec["tasks"].as_array().unwrap().len()),
        (Some(1), Some("unmerged"), 1)
    );
}

/// Two completed branches, which nobody asked to merge.
fn branches(sandbox: &Sandbox) -> [String; 2] {
    ["f1", "f2"].map(|name| {
        let text = spec(name, &format!("echo x > {name}")).replace("deliver = 'merge'\n", "");
        let (code, spec) = sandbox.run(&text);
        assert_eq!((code, spec["delivery"].as_str()), (Some(0), Some("branch")), "{spec:#}");
        spec["id"].as_str().unwrap().to_owned()
    })
}

#[test]
fn merge_lands_branches_on_request_without_a_daemon_and_through_one() {
    let mut sandbox = sandbox("");
    let [first, second] = branches(&sandbox);
    let told = sandbox.good(&["merge", &first]);
    assert_eq!(told.out, format!("{first}  merged    f1\n"));
    assert!(sandbox.exists("repo/f1") && !sandbox.exists("repo/f2"));
    sandbox.start_daemon();
    let told = sandbox.good(&["merge", "--all", "--json"]).json();
    assert_eq!((&told["specs"][0]["id"], &told["specs"][0]["delivery"]), (&second.as_str().into(), &"merged".into()));
    assert!(sandbox.exists("repo/f2"));
    assert_eq!(sandbox.good(&["merge", "--all"]).out, "nothing to merge\n");
}

#[test]
fn merge_all_leaves_out_branches_without_commits_and_counts_the_others() {
    let sandbox = sandbox("");
    let (_, asks) = sandbox.run("title = 'Asks'\nrepo = 'repo'\n[[tasks]]\nprompt = 'Which one?'");
    let asks = asks["id"].as_str().unwrap().to_owned();
    assert_eq!(sandbox.good(&["merge", "--all"]).out, "nothing to merge\n");
    let [first, second] = branches(&sandbox);
    let told = sandbox.good(&["merge", "--all"]);
    assert_eq!(told.err, format!("left out, because their branches have no commits: {asks}\n"));
    let lines: Vec<&str> = told.out.lines().collect();
    assert_eq!(lines, [&format!("{first}  merged    f1"), &format!("{second}  merged    f2"), "2 merged"]);
    assert_eq!(sandbox.spec(&asks)["delivery"], "branch");
    // A commit of the user's on that branch is something to merge.
    let tip = sandbox.git("repo", &["commit-tree", "-p", &format!("boi/{asks}"), "-m", "mine", "HEAD^{tree}"]);
    sandbox.git("repo", &["branch", "-f", &format!("boi/{asks}"), tip.trim()]);
    assert_eq!(sandbox.good(&["merge", "--all"]).out, format!("{asks}  merged    Asks\n"));
}

#[test]
fn merge_refuses_a_failed_spec_unless_forced_and_says_what_to_do() {
    let sandbox = sandbox("retry_count = 0\n");
    let text = spec("Fails", "echo x > f1").replace("deliver = 'merge'\n", "") + "[[tasks]]\nrun = 'false'\n";
    let (_, failed) = sandbox.run(&text);
    let id = failed["id"].as_str().unwrap();
    let refused = sandbox.boi(&["merge", id]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.contains(&format!("boi merge --force {id}")), "{}", refused.err);
    assert!(!sandbox.exists("repo/f1"));
    sandbox.good(&["merge", "--force", id]);
    assert!(sandbox.exists("repo/f1"));
    let spec = sandbox.spec(id);
    assert_eq!((spec["status"].as_str(), spec["delivery"].as_str()), (Some("failed"), Some("merged")));
}

#[test]
fn a_failed_spec_whose_branch_conflicts_stays_failed_and_says_both_reasons() {
    let sandbox = sandbox("retry_count = 2\n");
    let text = spec("Fails", "echo mine > shared").replace("deliver = 'merge'\n", "") + "[[tasks]]\nrun = 'false'\n";
    let (_, failed) = sandbox.run(&text);
    let id = failed["id"].as_str().unwrap();
    sandbox.write("repo/shared", "theirs\n");
    sandbox.git("repo", &["commit", "-q", "-a", "-m", "theirs"]);
    let merge = sandbox.boi(&["merge", "--force", id]);
    assert_eq!(merge.code, Some(1), "{}", merge.out);
    let spec = sandbox.spec(id);
    assert_eq!((spec["status"].as_str(), spec["delivery"].as_str()), (Some("failed"), Some("unmerged")));
    let cause = &spec["cause"];
    assert_eq!(
        (&cause["kind"], &cause["ended"]["kind"]),
        (&"ended_unmerged".into(), &"out_of_tries".into()),
        "{cause:#}"
    );
    let reason = spec["reason"].as_str().unwrap();
    let parts = ["exit code 1, on try 3 of 3", "its branch is unmerged: merge conflicts with main in shared"];
    assert!(parts.iter().all(|part| reason.contains(part)), "{reason}");
    assert!(sandbox.good(&["status", id]).out.contains(&format!("boi merge --force {id}")));
    let report = sandbox.good(&["report", "--json"]).json();
    let need = &report["needs_you"][0];
    assert_eq!((&need["kind"], &need["specs"][0]["id"]), (&"failed".into(), &id.into()), "{report:#}");
    assert!(need["cause"].as_str().unwrap().contains(parts[1]), "{need:#}");
    sandbox.git("repo", &["checkout", "-q", "HEAD~", "shared"]);
    sandbox.git("repo", &["commit", "-q", "-m", "back"]);
    sandbox.good(&["merge", "--force", id]);
    let spec = sandbox.spec(id);
    assert_eq!((spec["status"].as_str(), spec["delivery"].as_str()), (Some("failed"), Some("merged")));
    assert_eq!(spec["cause"]["kind"], "out_of_tries");
    assert_eq!(sandbox.read("repo/shared"), "mine\n");
}

#[test]
fn merge_says_which_checkout_is_in_the_way_and_lands_the_branch_later() {
    let sandbox = sandbox("");
    let [first, _] = branches(&sandbox);
    sandbox.write("repo/shared", "mine\n");
    let before = sandbox.checkout();
    let refused = sandbox.boi(&["merge", &first]);
    assert_eq!(refused.code, Some(1), "{}", refused.out);
    assert!(refused.out.contains("commit or stash the changes"), "{}", refused.out);
    assert_eq!(sandbox.checkout(), before);
    sandbox.git("repo", &["checkout", "-q", "--", "shared"]);
    sandbox.good(&["merge", &first]);
    assert!(sandbox.exists("repo/f1"));
}

#[test]
fn killed_daemons_land_nothing_twice_and_lose_nothing() {
    let seed = std::env::var("BOI_CRASH_SEED").ok().and_then(|seed| seed.parse::<u64>().ok());
    let (first, count) = seed.map_or((rand::random::<u64>() >> 8, 30), |seed| (seed, 1));
    let figures = rounds::rounds(first, count, 6);
    assert!(figures.kills > 0, "{figures:?}");
}
