//! Tests of positions, of typed reading, and of how problems are shown.

mod syntax;

use proptest::prelude::*;

use super::*;

/// Reads one key of each type, so that every getter is called.
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
    read_all(text.as_bytes()).expect_err("accepted").to_string()
}

fn messages(bytes: &[u8]) -> Vec<String> {
    read_all(bytes).expect_err("accepted").iter().map(|problem| problem.message.clone()).collect()
}

#[test]
fn problems_are_shown_with_place_and_hint_ordered_by_position() {
    insta::assert_snapshot!(rendered("texs = []\nnumber = 11\n\n[table]\nouter = 1\n"), @r"
    error: unknown key `texs`
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

    error: unknown key `table.outer`
     --> doc.toml:5:1
      |
    5 | outer = 1
      | ^^^^^
      |
      = help: valid keys here: `inner`
    ");
}

#[test]
fn a_value_of_the_wrong_type_is_reported_with_the_expected_and_the_found_type() {
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
    `tables` must contain only tables, but this is the number 1
    "
    );
}

#[test]
fn numbers_outside_the_range_or_type_are_shown_as_written() {
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
fn a_very_long_line_is_shown_around_the_problem_only() {
    let text = format!("tables = [{{ a = \"{}\" }}, 1, \"{}\"]", "é ".repeat(100_000), "z".repeat(100_000));
    let problems = read_all(text.as_bytes()).unwrap_err();
    insta::assert_snapshot!(problems, @r#"
    error: `tables` must contain only tables, but this is the number 1
     --> doc.toml:1:200023
      |
      |
    1 | ... é é é é é é é é é é é é é é é é é é é é é é é é é é é " }, 1, "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz...
      |                                                                ^
      = help: begin each with `[[tables]]` on a line of its own

    error: `tables` must contain only tables, but this is the text `zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz...`
     --> doc.toml:1:200026
      |
      |
    1 | ... é é é é é é é é " }, 1, "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz...
      |                             ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      = help: begin each with `[[tables]]` on a line of its own
    "#);
    for report in problems.reports() {
        assert!(report.source.is_some_and(|source| source.chars().count() < 150));
    }
}

#[test]
fn tabs_and_wide_characters_keep_the_caret_in_place() {
    insta::assert_snapshot!(rendered("\ttext = \"x\" # 漢字\n\t\"漢字\"\t=\t11\r\n"), @r#"
    error: unknown key `漢字`
     --> doc.toml:2:2
      |
    2 |     "漢字"    =    11
      |     ^^^^^^
      |
      = help: valid keys here: `text`, `number`, `switch`, `texts`, `numbers`, `table`, `tables`
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
fn only_the_first_fifty_problems_are_shown() {
    let text: String = (0..5_000).map(|n| format!("unknown_{n} = 1\n")).collect();
    let problems = read_all(text.as_bytes()).unwrap_err();
    assert_eq!((problems.iter().count(), problems.count()), (50, 5_000));
    assert!(problems.to_string().ends_with("\n\n... and 4950 more problems in doc.toml"));
    for (count, end) in
        [(50, "`tables`"), (51, "... and 1 more problem in doc.toml"), (52, "... and 2 more problems in doc.toml")]
    {
        let text: String = (0..count).map(|n| format!("unknown_{n} = 1\n")).collect();
        assert!(read_all(text.as_bytes()).unwrap_err().to_string().ends_with(end), "{count}");
    }
}

#[test]
fn the_report_for_scripts_has_every_field() {
    let problems = read_all(b"\n  numbr = 1\n").unwrap_err();
    let json = serde_json::to_string(&problems.reports()).unwrap();
    insta::assert_snapshot!(json, @r#"[{"file":"doc.toml","message":"unknown key `numbr`","line":2,"column":3,"source":"  numbr = 1","hint":"did you mean `number`?"}]"#);
    assert_eq!(serde_json::from_str::<Vec<problem::ProblemReport>>(&json).unwrap(), problems.reports());
}

#[test]
fn a_line_is_cut_only_when_it_is_longer_than_the_limit() {
    // (length of the line in bytes, whether it is cut)
    for (length, is_cut) in [(4096, false), (4097, true)] {
        let line = format!("number = 11 # {}", "x".repeat(length - 14));
        let source = read_all(line.as_bytes()).unwrap_err().reports()[0].source.clone().unwrap();
        assert!(source.starts_with("number = 11"), "nothing is cut before the problem: {source}");
        assert_eq!((source != line, source.ends_with("...")), (is_cut, is_cut), "{length}");
    }
    let at_end = format!("texts = [ '{}', 5 ]", "x".repeat(5000));
    let source = read_all(at_end.as_bytes()).unwrap_err().reports()[0].source.clone().unwrap();
    assert!(source.starts_with("...xxx") && source.ends_with("x', 5 ]"), "nothing is cut after the problem: {source}");
    assert_eq!(source.chars().count(), 3 + 60 + "5 ]".len());
}

#[test]
fn a_wrong_type_gets_a_hint_where_quotes_or_brackets_would_correct_it() {
    for (text, hint) in [
        ("text = 5", Some("put it in quotes")),
        ("text = []", None),
        ("text = {}", None),
        ("number = '5'", Some("remove the quotes")),
        ("number = 'five'", None),
        ("switch = 'true'", Some("remove the quotes")),
        ("switch = 'yes'", None),
        ("texts = 'a'", Some("put it between `[` and `]`")),
        ("texts = {}", None),
        ("table = 5", Some("write `[table]` on a line of its own")),
        ("tables = 5", Some("begin each with `[[tables]]` on a line of its own")),
        ("text = \"\\u0000\"", Some("remove the `\\u0000`")),
    ] {
        let report = read_all(text.as_bytes()).unwrap_err().reports().remove(0);
        assert_eq!(report.hint.as_deref(), hint, "{text}: {}", report.message);
    }
}

#[test]
fn the_suggestion_for_an_unknown_key_is_one_that_is_not_set_yet() {
    for (text, suggestion) in
        [("texs = 1", "text"), ("text = 'x'\ntexs = 1", "texts"), ("text = 'x'\ntexts = []\ntexs = 1", "text")]
    {
        let report = read_all(text.as_bytes()).unwrap_err().reports().remove(0);
        assert_eq!(report.hint, Some(format!("did you mean `{suggestion}`?")), "{text}");
    }
}

#[test]
fn a_document_without_a_result_has_a_problem() {
    let problems = read("doc.toml", b"", 10, |_, _, _| None::<()>).unwrap_err();
    assert_eq!(problems.lines(), ["doc.toml: this document cannot be read"]);
}

proptest! {
    #[test]
    fn no_bytes_cause_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        if let Err(problems) = read_all(&bytes) {
            problems.render(true);
            problems.reports();
        }
    }

    #[test]
    fn no_toml_like_text_causes_a_panic(text in "([a-z]{1,3}|[\\[\\]{}=.,\"'#\\\\ \t\r\n-]|\"\"\"|'''|é|漢|[0-9]|text|number|tables){0,60}") {
        if let Err(problems) = read_all(text.as_bytes()) {
            prop_assert!(problems.count() > 0);
            problems.render(false);
            for report in problems.reports() {
                prop_assert!(report.line.is_none_or(|line| line <= text.split('\n').count()));
            }
        }
    }
}
