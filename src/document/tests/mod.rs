//! Positions, typed reading and the way problems are shown.

mod syntax;

use proptest::prelude::*;

use super::*;

/// Reads with one field of each type, so that every getter is exercised.
fn read_all(bytes: &[u8]) -> Result<(), Problems> {
    read("doc.toml", bytes, 1 << 20, |_, root, faults| {
        root.report_unknown(faults, &["text", "number", "switch", "texts", "numbers", "table", "tables"], |_| None);
        root.filled_text(faults, "text");
        root.integer(faults, "number", 0..=10);
        root.boolean(faults, "switch");
        root.texts(faults, "texts");
        root.integers(faults, "numbers", 0..=10);
        if let Some(table) = root.section(faults, "table") {
            table.report_unknown(faults, &["inner"], |_| None);
        }
        root.sections(faults, "tables");
        Some(())
    })
}

fn rendered(text: &str) -> String {
    read_all(text.as_bytes()).expect_err("taken").to_string()
}

fn messages(bytes: &[u8]) -> Vec<String> {
    read_all(bytes).expect_err("taken").iter().map(|problem| problem.message.clone()).collect()
}

#[test]
fn every_problem_is_shown_with_its_place_and_hint_in_the_order_of_the_text() {
    insta::assert_snapshot!(rendered("texs = []\nnumber = 11\n\n[table]\nouter = 1\n"), @r"
    error: there is no `texs`
     --> doc.toml:1:1
      |
    1 | texs = []
      | ^^^^
      |
      = help: did you mean `text`?

    error: `number` must be a whole number from 0 to 10, but is 11
     --> doc.toml:2:10
      |
    2 | number = 11
      |          ^^

    error: there is no `table.outer`
     --> doc.toml:5:1
      |
    5 | outer = 1
      | ^^^^^
      |
      = help: what can be set here: `inner`
    ");
}

#[test]
fn wrong_types_say_what_was_expected_and_found() {
    insta::assert_snapshot!(
        messages(b"text = 5\nnumber = \"5\"\nswitch = \"true\"\ntexts = \"a\"\nnumbers = [1, 2.5, true]\ntable = 1\ntables = [1]").join("\n"),
        @r"
    `text` must be text, but is the number 5
    `number` must be a whole number from 0 to 10, but is the text `5`
    `switch` must be true or false, but is the text `true`
    `texts` must be a list of texts, but is the text `a`
    item 2 of `numbers` must be a whole number from 0 to 10, but is the number 2.5
    item 3 of `numbers` must be a whole number from 0 to 10, but is `true`
    `table` must be a table, but is the number 1
    `tables` must hold tables only, but this is the number 1
    "
    );
}

#[test]
fn odd_numbers_get_a_clear_message() {
    for (number, found) in [
        ("nan", "`nan`, not a number"),
        ("-nan", "`nan`, not a number"),
        ("inf", "the number inf"),
        ("1.0", "the number 1.0"),
        ("-1", "-1"),
        ("11", "11"),
        ("0xFF", "0xFF"),
        ("9223372036854775808", "9223372036854775808"),
        ("-99999999999999999999999999999999999999999999999", "-999999999999999999999999999999999999999..."),
        ("2026-01-01", "a date or time"),
    ] {
        let expected = format!("`number` must be a whole number from 0 to 10, but is {found}");
        assert_eq!(messages(format!("number = {number}").as_bytes()), [expected], "{number}");
    }
}

#[test]
fn a_very_long_line_is_cut_around_the_place() {
    let text = format!("tables = [{{ a = \"{}\" }}, 1, \"{}\"]", "é ".repeat(100_000), "z".repeat(100_000));
    let problems = read_all(text.as_bytes()).unwrap_err();
    insta::assert_snapshot!(problems, @r#"
    error: `tables` must hold tables only, but this is the number 1
     --> doc.toml:1:200023
      |
      |
    1 | ... é é é é é é é é é é é é é é é é é é é é é é é é é é é " }, 1, "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz...
      |                                                                ^
      = help: each begins with `[[tables]]` on a line of its own

    error: `tables` must hold tables only, but this is the text `zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz...`
     --> doc.toml:1:200026
      |
      |
    1 | ... é é é é é é é é " }, 1, "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz...
      |                             ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      = help: each begins with `[[tables]]` on a line of its own
    "#);
    for report in problems.reports() {
        assert!(report.source.is_some_and(|source| source.chars().count() < 150));
    }
}

#[test]
fn tabs_and_wide_characters_keep_the_caret_in_place() {
    insta::assert_snapshot!(rendered("\ttext = \"x\" # 漢字\n\t\"漢字\"\t=\t11\r\n"), @r#"
    error: there is no `漢字`
     --> doc.toml:2:2
      |
    2 |     "漢字"    =    11
      |     ^^^^^^
      |
      = help: what can be set here: `text`, `number`, `switch`, `texts`, `numbers`, `table`, `tables`
    "#);
}

#[test]
fn control_characters_never_reach_the_terminal() {
    let text = "\"a\\u001b[31mb\" = 1\n";
    let problems = read_all(text.as_bytes()).unwrap_err();
    assert!(!problems.render(false).contains('\x1b'), "{}", problems.render(false));
    assert!(problems.render(true).contains('\x1b'), "no colour");
}

#[test]
fn a_hopeless_document_is_told_only_so_much() {
    let text: String = (0..5_000).map(|n| format!("unknown_{n} = 1\n")).collect();
    let problems = read_all(text.as_bytes()).unwrap_err();
    assert_eq!((problems.iter().count(), problems.count()), (50, 5_000));
    assert!(problems.to_string().ends_with("... and 4950 more problems in doc.toml"));
}

#[test]
fn the_form_for_scripts_has_every_part() {
    let problems = read_all(b"\n  numbr = 1\n").unwrap_err();
    let json = serde_json::to_string(&problems.reports()).unwrap();
    insta::assert_snapshot!(json, @r#"[{"file":"doc.toml","message":"there is no `numbr`","line":2,"column":3,"source":"  numbr = 1","hint":"did you mean `number`?"}]"#);
    assert_eq!(serde_json::from_str::<Vec<problem::ProblemReport>>(&json).unwrap(), problems.reports());
}

#[test]
fn what_was_probably_meant_is_found() {
    let known = ["max_workers", "log", "retry_count"];
    for (name, meant) in [
        ("max_worker", Some("max_workers")),
        ("max-workers", Some("max_workers")),
        ("MAX_WORKERS", Some("max_workers")),
        ("lgo", Some("log")),
        ("retrycount", Some("retry_count")),
        ("colour", None),
    ] {
        assert_eq!(closest(name, known), meant, "{name}");
    }
    assert_eq!(closest(&"x".repeat(1 << 20), known), None);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        if let Err(problems) = read_all(&bytes) {
            problems.render(true);
            problems.reports();
        }
    }

    #[test]
    fn no_toml_like_text_makes_it_panic(text in "([a-z]{1,3}|[\\[\\]{}=.,\"'#\\\\ \t\r\n-]|\"\"\"|'''|é|漢|[0-9]|text|number|tables){0,60}") {
        if let Err(problems) = read_all(text.as_bytes()) {
            prop_assert!(problems.count() > 0);
            problems.render(false);
            for report in problems.reports() {
                prop_assert!(report.line.is_none_or(|line| line <= text.split('\n').count()));
            }
        }
    }
}
