//! Tests of whole spec files, and of the fields above the tasks.

mod tasks;

use proptest::prelude::*;

use super::*;
use crate::document::problem::Problem;
use crate::domain::money::Usd;
use crate::domain::spec::{Action, Base, Deliver};

const FULL: &str = r#"
title    = "Add rate limiting to the API"
repo     = "~/src/api"
base     = "main"
context  = "The API is in src/api."
agent    = "claude"
model    = "sonnet"
priority = 50
after    = ["SD979"]
deliver  = "merge"
verify   = ["cargo test"]

[[tasks]]
id       = "middleware"
title    = "Token bucket"
prompt   = """
Add a token bucket.
"""
needs    = ["generate"]
verify   = ["cargo test -p middleware"]
timeout_minutes = 45

[[tasks]]
id       = "generate"
run      = "make generate"

[[tasks]]
prompt   = "Document it."
"#;

fn draft(text: &str) -> Draft {
    parse("spec.toml", text.as_bytes()).draft.unwrap_or_else(|problems| panic!("{problems}"))
}

fn refused(text: &str) -> String {
    parse("spec.toml", text.as_bytes()).draft.expect_err("accepted").to_string()
}

fn messages(text: &str) -> Vec<String> {
    parse("spec.toml", text.as_bytes())
        .draft
        .expect_err("accepted")
        .iter()
        .map(|problem| problem.message.clone())
        .collect()
}

/// Returns the text of a spec with the lines `top` above these tasks.
fn spec(top: &str, tasks: &[&str]) -> String {
    let tasks: String = tasks.iter().map(|task| format!("[[tasks]]\n{task}\n")).collect();
    format!("title = \"T\"\n{top}\n{tasks}")
}

fn ids(draft: &Draft) -> Vec<&str> {
    draft.tasks.iter().map(|task| task.id.as_str()).collect()
}

#[test]
fn a_full_spec_is_read_and_ordered() {
    let draft = draft(FULL);
    assert_eq!(draft.title, "Add rate limiting to the API");
    assert_eq!(ids(&draft), ["generate", "middleware", "t-3"]);
    assert_eq!(draft.references.repo.as_ref().unwrap().value, "~/src/api");
    assert_eq!(draft.references.base.as_ref().unwrap().value, Base::Revision("main".to_owned()));
    let spec = draft.into_spec(None);
    assert_eq!((spec.priority, spec.deliver, spec.model.as_deref()), (50, Deliver::Merge, Some("sonnet")));
    assert_eq!((spec.after[0].as_str(), spec.verify[0].as_str()), ("SD979", "cargo test"));
    let middleware = &spec.tasks[1];
    assert_eq!(middleware.action, Action::Prompt("Add a token bucket.\n".to_owned()));
    assert_eq!((middleware.timeout_minutes, middleware.needs[0].as_str()), (Some(45), "generate"));
    assert_eq!((middleware.title.as_str(), spec.tasks[2].title.as_str()), ("Token bucket", "Document it."));
}

#[test]
fn a_missing_field_has_its_default() {
    let spec = draft("title = ' T '\n[[tasks]]\nrun = '''\n\n  make all\nmore'''").into_spec(None);
    assert_eq!((spec.title.as_str(), spec.agent.as_str(), spec.priority), ("T", "claude", 100));
    assert_eq!((spec.deliver, spec.repo, spec.context), (Deliver::Branch, None, None));
    assert_eq!((spec.tasks[0].id.as_str(), spec.tasks[0].title.as_str()), ("t-1", "make all"));
}

#[test]
fn all_errors_are_reported_at_once() {
    let text =
        "titel = 'x'\nprioritty = 1\ndeliver = 'marge'\n[[tasks]]\npromt = 'x'\n[[tasks]]\nprompt = 'a'\nrun = 'b'\n";
    insta::assert_snapshot!(refused(text), @r#"
    error: unknown key `titel`
     --> spec.toml:1:1
      |
    1 | titel = 'x'
      | ^^^^^
      |
      = help: did you mean `title`?

    error: unknown key `prioritty`
     --> spec.toml:2:1
      |
    2 | prioritty = 1
      | ^^^^^^^^^
      |
      = help: did you mean `priority`?

    error: `deliver` must be "branch" or "merge", but is `marge`
     --> spec.toml:3:11
      |
    3 | deliver = 'marge'
      |           ^^^^^^^
      |
      = help: did you mean "merge"?

    error: unknown key `promt`
     --> spec.toml:5:1
      |
    5 | promt = 'x'
      | ^^^^^
      |
      = help: did you mean `prompt`?

    error: this task has both a `prompt` and a `run`
     --> spec.toml:8:1
      |
    8 | run = 'b'
      | ^^^
      |
      = help: split this task into two; the second can name the first in `needs`
    "#);
}

#[test]
fn an_empty_file_gets_a_hint_with_the_required_fields() {
    for text in ["", "\n\n", "# nothing yet\n", "\u{feff}"] {
        assert_eq!(messages(text), ["the file is empty"], "{text:?}");
    }
    insta::assert_snapshot!(refused(""), @r"
    error: the file is empty
     --> spec.toml:1:1
      |
    1 |
      | ^
      |
      = help: a spec needs a `title` and at least one `[[tasks]]` with a `prompt` or a `run`
    ");
}

#[test]
fn a_missing_required_field_is_reported() {
    insta::assert_snapshot!(refused("context = 'x'\n"), @r#"
    error: the spec has no `title`
     --> spec.toml:1:1
      |
    1 | context = 'x'
      | ^
      |
      = help: describe the spec in one line: title = "..."

    error: the spec has no tasks
     --> spec.toml:1:1
      |
    1 | context = 'x'
      | ^
      |
      = help: begin each task with `[[tasks]]` on a line of its own
    "#);
    insta::assert_snapshot!(refused("title = 'x'\n[[tasks]]\nid = 'a'\n"), @r"
    error: this task has neither a `prompt` nor a `run`
     --> spec.toml:2:1
      |
    2 | [[tasks]]
      | ^^^^^^^^^
      |
      = help: add `prompt` for the agent, or `run` for a shell command
    ");
    assert_eq!(messages("title = 'x'\ntasks = []"), ["the spec has no tasks"]);
    assert_eq!(messages("title = 'x'\n[tasks]\nrun = 'x'"), ["`tasks` must be a list of tables, but is a table"]);
}

#[test]
fn a_syntax_error_hides_the_problems_that_it_may_cause() {
    insta::assert_snapshot!(refused("title = My spec\n[[tasks]]\nid = 'a\nrun = 'x'\n[[tasks]]\nneeds = ['a']\nrun = 7\n"), @r#"
    error: `My spec` is not a value
     --> spec.toml:1:9
      |
    1 | title = My spec
      |         ^^^^^^^
      |
      = help: text needs quotes: "My spec"

    error: this text is not closed before the end of its line
     --> spec.toml:3:8
      |
    3 | id = 'a
      |        ^
      |
      = help: put a text of several lines between """ and """

    error: `run` must be text, but is the number 7
     --> spec.toml:7:7
      |
    7 | run = 7
      |       ^
      |
      = help: put it in quotes
    "#);
}

#[test]
fn a_typo_is_not_reported_as_missing_too() {
    assert_eq!(messages("titl = 'x'\n[[task]]\nrun = 'x'"), ["unknown key `titl`", "unknown key `task`"]);
}

#[test]
fn a_field_in_the_wrong_table_gets_a_hint_with_its_place() {
    insta::assert_snapshot!(refused(&spec("prompt = 'x'", &["run = 'x'\nmodel = 'opus'"])), @r"
    error: unknown key `prompt`
     --> spec.toml:2:1
      |
    2 | prompt = 'x'
      | ^^^^^^
      |
      = help: `prompt` belongs to a task: put it below its `[[tasks]]`

    error: unknown key `model`
     --> spec.toml:5:1
      |
    5 | model = 'opus'
      | ^^^^^
      |
      = help: `model` belongs to the spec: put it above the first `[[tasks]]`
    ");
}

#[test]
fn numbers_stay_in_their_ranges() {
    insta::assert_snapshot!(refused(&spec("priority = 1_000_001", &["run = 'x'\ntimeout_minutes = 0"])), @r"
    error: `priority` must be a whole number from -1000000 to 1000000, but is 1000001
     --> spec.toml:2:12
      |
    2 | priority = 1_000_001
      |            ^^^^^^^^^

    error: `timeout_minutes` must be a whole number from 1 to 10080, but is 0
     --> spec.toml:5:19
      |
    5 | timeout_minutes = 0
      |                   ^
    ");
    for (top, task) in
        [("", "timeout_minutes = 10081"), ("priority = -1000001", ""), ("priority = nan", ""), ("priority = 1.0", "")]
    {
        assert_eq!(messages(&spec(top, &[&format!("run = 'x'\n{task}")])).len(), 1, "{top} {task}");
    }
    draft(&spec("priority = -1000000", &["run = 'x'\ntimeout_minutes = 10080"]));
}

#[test]
fn after_takes_each_spec_id_once() {
    insta::assert_snapshot!(refused(&spec("after = ['SD979', 'main', 'sd979', 5]", &["run = 'x'"])), @r"
    error: `main` in `after` is not the id of a spec
     --> spec.toml:2:19
      |
    2 | after = ['SD979', 'main', 'sd979', 5]
      |                   ^^^^^^
      |
      = help: the id of a spec looks like SD979; `boi status` lists the ids

    error: `after` names SD979 twice
     --> spec.toml:2:27
      |
    2 | after = ['SD979', 'main', 'sd979', 5]
      |                           ^^^^^^^
      |
      = help: remove one of the two entries

    error: item 4 of `after` must be text, but is the number 5
     --> spec.toml:2:36
      |
    2 | after = ['SD979', 'main', 'sd979', 5]
      |                                    ^
      |
      = help: put it in quotes
    ");
}

#[test]
fn a_spec_as_base_implies_after() {
    let text = |base: &str| spec(&format!("repo = '.'\nafter = ['S0001']\nbase = '{base}'"), &["run = 'x'"]);
    let after = |draft: &Draft| draft.references.after.iter().map(|id| id.value.to_string()).collect::<Vec<_>>();
    let built_on = draft(&text("SD979"));
    assert_eq!(built_on.references.base.as_ref().unwrap().value, Base::Spec("SD979".parse().unwrap()));
    assert_eq!(after(&built_on), ["S0001", "SD979"]);
    assert_eq!(after(&draft(&text("S0001"))), ["S0001"]);
    for branch in ["sd979", "main", "boi/SD979", "S12", "v1.0^{commit}"] {
        let draft = draft(&text(branch));
        assert_eq!(draft.references.base.as_ref().unwrap().value, Base::Revision(branch.to_owned()));
        assert_eq!(after(&draft), ["S0001"]);
    }
    assert_eq!(
        messages(&text("--upload-pack=x")),
        ["`base` is `--upload-pack=x`, which is not the name of a revision"]
    );
}

#[test]
fn base_and_merge_need_a_repo() {
    insta::assert_snapshot!(refused(&spec("base = 'main'\ndeliver = 'merge'", &["run = 'x'"])), @r"
    error: `base` needs a `repo`
     --> spec.toml:2:8
      |
    2 | base = 'main'
      |        ^^^^^^
      |
      = help: add `repo`, or remove `base`
    ");
    assert_eq!(
        messages(&spec("deliver = 'merge'", &["run = 'x'"])),
        ["`deliver = \"merge\"` needs a `repo` to merge into"]
    );
    assert_eq!(
        messages(&spec("repo = '.'\nbase = 'SD979'\ndeliver = 'merge'", &["run = 'x'"])),
        ["`deliver = \"merge\"` cannot merge into the branch of spec SD979"]
    );
    assert_eq!(messages(&spec("rpo = '.'\nbase = 'main'", &["run = 'x'"])), ["unknown key `rpo`"]);
}

#[test]
fn a_model_is_one_word() {
    insta::assert_snapshot!(refused(&spec("model = '--yolo'", &["run = 'x'"])), @r#"
    error: `model` is `--yolo`, which is not the name of a model
     --> spec.toml:2:9
      |
    2 | model = '--yolo'
      |         ^^^^^^^^
      |
      = help: write one word, as in model = "sonnet"
    "#);
}

#[test]
fn the_agents_of_the_spec_and_its_tasks_are_references() {
    let named = |top: &str, tasks: &[&str]| {
        let agents = draft(&spec(top, tasks)).references.agents;
        agents.into_iter().map(|agent| (agent.value, agent.span.start)).collect::<Vec<_>>()
    };
    assert_eq!(named("", &["run = 'x'"]), []);
    assert_eq!(named("", &["run = 'x'", "prompt = 'x'"]), [("claude".to_owned(), 0)]);
    assert_eq!(named("agent = 'a'", &["run = 'x'"]), [("a".to_owned(), 20)]);
    let of_tasks = named("agent = 'a'", &["prompt = 'x'\nagent = 'b'", "prompt = 'x'", "prompt = 'x'\nagent = 'b'"]);
    assert_eq!(of_tasks.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["a", "b", "b"]);
    let tasks = ["prompt = 'x'\nagent = 'b'", "prompt = 'y'"];
    let made = draft(&spec("agent = 'a'", &tasks)).into_spec(None);
    assert_eq!((made.agent_of(0), made.agent_of(1)), ("b", "a"));
    assert_eq!(messages(&spec("agent = ''", &["prompt = 'x'\nagent = 5"])).len(), 2);
}

#[test]
fn changes_can_be_required_by_a_spec_and_by_a_task() {
    let tasks = ["prompt = 'x'", "prompt = 'x'\nchanges = 'optional'", "run = 'x'"];
    let required = draft(&spec("repo = '.'\nchanges = 'required'", &tasks)).into_spec(None);
    assert_eq!([0, 1, 2].map(|task| required.requires_changes(task)), [true, false, false]);
    let of_task = draft(&spec("repo = '.'", &["prompt = 'x'\nchanges = 'required'", "prompt = 'x'"])).into_spec(None);
    assert_eq!([0, 1].map(|task| of_task.requires_changes(task)), [true, false]);
    assert!(refused(&spec("repo = '.'\nchanges = 'require'", &["run = 'x'"])).contains("did you mean \"required\"?"));
    assert_eq!(
        messages(&spec("repo = '.'", &["run = 'x'\nagent = 'claude'\nchanges = 'required'"])),
        ["a task with a `run` has no `agent`", "a task with a `run` has no `changes`"]
    );
    let without_repo = "`changes = \"required\"` needs a `repo`";
    assert_eq!(messages(&spec("changes = 'required'", &["prompt = 'x'"])), [without_repo]);
    assert_eq!(messages(&spec("", &["prompt = 'x'\nchanges = 'required'"])), [without_repo]);
}

#[test]
fn a_limit_of_the_cost_is_an_amount_above_0() {
    let max_usd = |amount: &str| draft(&spec(&format!("max_usd = {amount}"), &["run = 'x'"])).into_spec(None).max_usd;
    assert_eq!(max_usd("2.5"), Usd::from_dollars(2.5));
    assert_eq!(max_usd("1_000"), Usd::from_dollars(1000.0));
    for (amount, message) in [
        ("0", "`max_usd` must be above 0"),
        ("-1", "`max_usd` must be an amount in US dollars from 0 to 1000000, but is the number -1"),
        ("nan", "`max_usd` must be an amount in US dollars from 0 to 1000000, but is `nan`, not a number"),
        ("1e7", "`max_usd` must be an amount in US dollars from 0 to 1000000, but is the number 1e7"),
        ("'2'", "`max_usd` must be an amount in US dollars from 0 to 1000000, but is the text `2`"),
    ] {
        assert_eq!(messages(&spec(&format!("max_usd = {amount}"), &["run = 'x'"])), [message]);
    }
}

#[test]
fn a_large_prompt_is_accepted_and_a_file_above_the_limit_is_refused() {
    let prompt = "word ".repeat(200_000);
    assert_eq!(draft(&spec("", &[&format!("prompt = \"{prompt}\"")])).tasks.len(), 1);
    let problems = parse("spec.toml", &vec![b' '; 10_000_000]).draft.unwrap_err();
    assert_eq!(problems.iter().next().unwrap().message, "the file is too large: 9.5 MiB; the limit is 8 MiB");
}

#[test]
fn the_references_of_an_invalid_spec_can_be_checked_too() {
    let text = "titel = 't'\nrepo = '/r'\nbase = 'b'\nafter = ['SD979', 'x']\n[[tasks]]\nrum = 'true'\n";
    let Parsed { references, draft } = parse("spec.toml", text.as_bytes());
    assert_eq!((references.repo.as_ref().unwrap().value.as_str(), references.after.len()), ("/r", 1));
    let invalid = draft.unwrap_err();
    let found = Problem::new("there is no repository at /r", references.repo.unwrap().span);
    let (before, all) = (invalid.count(), invalid.and(vec![found]));
    assert_eq!(all.count(), before + 1);
    assert_eq!(all.iter().nth(1).unwrap().message, "there is no repository at /r", "in the order of the text");
}

#[test]
fn a_problem_found_after_parsing_points_into_the_text() {
    let draft = draft(FULL);
    let repo = draft.references.repo.clone().unwrap();
    let problem = Problem::new("`~/src/api` does not exist", repo.span).hint("name a git repository");
    insta::assert_snapshot!(draft.problems(vec![problem]).unwrap(), @r#"
    error: `~/src/api` does not exist
     --> spec.toml:3:12
      |
    3 | repo     = "~/src/api"
      |            ^^^^^^^^^^^
      |
      = help: name a git repository
    "#);
    assert_eq!(draft.problems(Vec::new()), None);
}

#[test]
fn names_for_git_and_the_agent_are_checked() {
    for (field, bad, good) in [
        ("repo = '.'\nbase", &["-x", "a b", "a\u{7f}"][..], &["a-b", "v1.0^{commit}"][..]),
        ("model", &["-x", "a b", "a\tb", "a\u{7f}"], &["claude-opus-4", "a/b:c"]),
    ] {
        let text = |value: &str| spec(&format!("{field} = {}", toml::Value::from(value)), &["run = 'x'"]);
        for value in bad {
            assert_eq!(messages(&text(value)).len(), 1, "{field} = {value:?}");
        }
        for value in good {
            draft(&text(value));
        }
    }
}

#[test]
fn deliver_gets_a_suggestion_only_when_one_is_close() {
    for (field, has_hint, hint) in
        [("deliver = 'brunch'", true, "did you mean \"branch\"?"), ("deliver = 'push'", false, "did you mean")]
    {
        assert_eq!(refused(&spec(field, &["run = 'x'"])).contains(hint), has_hint, "{field}");
    }
    for (way, deliver) in [("branch", Deliver::Branch), ("merge", Deliver::Merge)] {
        let draft = draft(&spec(&format!("repo = '.'\ndeliver = '{way}'"), &["run = 'x'"]));
        assert_eq!(draft.references.deliver, deliver);
    }
}

#[test]
fn a_blank_context_counts_as_none() {
    for (context, kept) in [(" \\n", None), (" x ", Some(" x "))] {
        let spec = draft(&spec(&format!("context = \"{context}\""), &["run = 'x'"])).into_spec(None);
        assert_eq!(spec.context.as_deref(), kept);
    }
}

#[test]
fn the_size_limit_is_eight_mib() {
    let padded = |length: usize| format!("{}#{}", spec("", &["run = 'x'"]), " ".repeat(length));
    let fitting = MAX_BYTES - padded(0).len();
    draft(&padded(fitting));
    assert_eq!(messages(&padded(fitting + 1)), ["the file is too large: more than 8 MiB; the limit is 8 MiB"]);
    assert!(too_large("spec.toml", 9 << 20).to_string().contains("9 MiB; the limit is 8 MiB"));
}

proptest! {
    #[test]
    fn no_bytes_cause_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Err(problems) = parse("spec.toml", &bytes).draft {
            prop_assert!(!problems.render(true).is_empty());
        }
    }

    #[test]
    fn no_mutation_of_a_spec_causes_a_panic(
        cuts in prop::collection::vec((0..FULL.len(), 0..12_usize, "[\\[\\]{}=\",.'a-z0-9\n \\\\é]{0,4}"), 1..6),
    ) {
        let mut text: Vec<char> = FULL.chars().collect();
        for (at, length, insert) in cuts {
            let at = at.min(text.len());
            let end = (at + length).min(text.len());
            text.splice(at..end, insert.chars());
        }
        let text: String = text.into_iter().collect();
        match parse("spec.toml", text.as_bytes()).draft {
            Ok(draft) => {
                let ids = ids(&draft);
                for (position, task) in draft.tasks.iter().enumerate() {
                    prop_assert!(task.needs.iter().all(|need| ids[..position].contains(&need.as_str())));
                }
            }
            Err(problems) => prop_assert!(problems.reports().iter().all(|report| report.line.is_some())),
        }
    }
}

#[test]
fn verify_all_is_true_or_false_and_off_by_default() {
    assert!(!draft(&spec("", &["run = 'x'"])).verify_all);
    assert!(draft(&spec("verify_all = true", &["run = 'x'"])).verify_all);
    assert_eq!(
        messages(&spec("verify_all = 'yes'", &["run = 'x'"])),
        ["`verify_all` must be true or false, but is the text `yes`"]
    );
}
