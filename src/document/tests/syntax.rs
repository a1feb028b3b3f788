//! Tests that syntax errors and invalid bytes are reported, and that problems that only follow from them are
//! not.

use super::{messages, read_all, rendered};

#[test]
fn several_syntax_errors_are_reported_at_once_without_their_consequences() {
    insta::assert_snapshot!(rendered("text = \nnumber = 1\nnumber = 2\nswitch = True\ntexts = [\"a\"\ntable = 1\n"), @r#"
    error: a value is missing here
     --> doc.toml:1:8
      |
    1 | text = 
      |        ^

    error: `number` is set twice, first on line 2
     --> doc.toml:3:1
      |
    3 | number = 2
      | ^^^^^^
      |
      = help: remove one of the two

    error: `True` is not a value
     --> doc.toml:4:10
      |
    4 | switch = True
      |          ^^^^
      |
      = help: write `true`

    error: the list that begins here is not closed
     --> doc.toml:5:9
      |
    5 | texts = ["a"
      |         ^
      |
      = help: close it with `]`
    "#);
}

#[test]
fn syntax_errors_are_shown_with_plain_messages() {
    let cases = [
        "text = hello",
        "text: \"x\"",
        "text = \"abc\nnumber = 1",
        "text = \"\"\"abc\nnumber = 1",
        "text = \"a\"b\"",
        "[table\ninner = 1",
        "a b = 1",
        "text = \"x\\qy\"",
        "[table]\n[table]",
        "numbers = [é\"\"\"x",
        "numbers = [1\"\"\"x",
        "table = {a = \"\"\"x",
        "text = \"a\u{1}b\"",
        "text = \"abc\r\nnumber = 1\r\n",
        "text = “abc”",
        "text = 'it's'",
        "numbers = [1 2]",
        "{\"text\": 1}",
        "# Title\n\n**Status:** new",
    ];
    let shown: Vec<String> = cases.iter().map(|case| rendered(case)).collect();
    insta::assert_snapshot!(shown.join("\n\n"), @r#"
    error: `hello` is not a value
     --> doc.toml:1:8
      |
    1 | text = hello
      |        ^^^^^
      |
      = help: text needs quotes: "hello"

    error: `:` is not allowed in a key
     --> doc.toml:1:5
      |
    1 | text: "x"
      |     ^
      |
      = help: write `=` between a key and its value

    error: this text is not closed before the end of its line
     --> doc.toml:1:12
      |
    1 | text = "abc
      |            ^
      |
      = help: put a text of several lines between """ and """

    error: the text that begins here is not closed
     --> doc.toml:1:8
      |
    1 | text = """abc
      |        ^^^
      |
      = help: close it with """

    error: unexpected text after the value
     --> doc.toml:1:11
      |
    1 | text = "a"b"
      |           ^
      |
      = help: write a quote inside a text as \"

    error: `]` is missing here
     --> doc.toml:1:7
      |
    1 | [table
      |       ^

    error: `=` and a value are missing here
     --> doc.toml:1:3
      |
    1 | a b = 1
      |   ^
      |
      = help: write `key = value`

    error: TOML has no such escape sequence
     --> doc.toml:1:11
      |
    1 | text = "x\qy"
      |           ^
      |
      = help: write a backslash as \\, or put the text between ' and '

    error: `table` is set twice
     --> doc.toml:2:2
      |
    2 | [table]
      |  ^^^^^
      |
      = help: remove one of the two

    error: the list that begins here is not closed
     --> doc.toml:1:11
      |
    1 | numbers = [é"""x
      |           ^
      |
      = help: close it with `]`

    error: the list that begins here is not closed
     --> doc.toml:1:11
      |
    1 | numbers = [1"""x
      |           ^
      |
      = help: close it with `]`

    error: `}` is missing here
     --> doc.toml:1:18
      |
    1 | table = {a = """x
      |                  ^

    error: the control character U+0001 is not allowed in a text
     --> doc.toml:1:10
      |
    1 | text = "a␁b"
      |          ^
      |
      = help: write it as \u0001 between " and ", or remove it

    error: this text is not closed before the end of its line
     --> doc.toml:1:12
      |
    1 | text = "abc
      |            ^
      |
      = help: put a text of several lines between """ and """

    error: `“abc”` is not a value
     --> doc.toml:1:8
      |
    1 | text = “abc”
      |        ^^^^^
      |
      = help: put the text between straight quotes: " or '

    error: unexpected text after the value
     --> doc.toml:1:12
      |
    1 | text = 'it's'
      |            ^
      |
      = help: put a text that contains ' between " and "

    error: `1 2` is not a value
     --> doc.toml:1:12
      |
    1 | numbers = [1 2]
      |            ^^^
      |
      = help: text needs quotes: "1 2"

    error: this is neither `key = value` nor a `[table]`
     --> doc.toml:1:1
      |
    1 | {"text": 1}
      | ^

    error: `**` is not allowed in a key
     --> doc.toml:3:1
      |
    3 | **Status:** new
      | ^^
      |
      = help: a key consists of letters, digits, `-` and `_`
    "#);
}

#[test]
fn deep_nesting_is_refused_without_overflowing_the_stack() {
    for text in [format!("x = {}", "[".repeat(300_000)), format!("x = {}", "{a=".repeat(300_000))] {
        assert!(messages(text.as_bytes()).iter().any(|message| message == "this is nested too deeply"));
    }
    let dotted = "a.".repeat(300_000);
    assert_eq!(messages(format!("{dotted}a = 1").as_bytes()), ["this is nested too deeply"]);
    assert_eq!(messages(format!("[{dotted}a]").as_bytes())[0], "this is nested too deeply");
}

#[test]
fn invalid_utf_8_is_reported_with_its_place() {
    insta::assert_snapshot!(read_all(b"number = 1\ntext = \"caf\xE9\"\n").unwrap_err(), @r#"
    error: the byte 0xE9 is not valid UTF-8
     --> doc.toml:2:12
      |
    2 | text = "caf�"
      |            ^
      |
      = help: save the file as UTF-8
    "#);
    assert_eq!(messages(b"\xFF\xFEt\0"), ["the file is encoded in UTF-16, not in UTF-8"]);
    assert_eq!(messages(b"a = \"\xC3"), ["the byte 0xC3 is not valid UTF-8"]);
}

#[test]
fn a_byte_order_mark_is_not_part_of_the_text() {
    assert_eq!(read_all(b"\xEF\xBB\xBFnumber = 1\n"), Ok(()));
    let report = &read_all(b"\xEF\xBB\xBFnumber = 11\n").unwrap_err().reports()[0];
    assert_eq!((report.line, report.column, report.source.as_deref()), (Some(1), Some(10), Some("number = 11")));
}

#[test]
fn a_document_above_the_limit_is_refused_with_both_sizes() {
    insta::assert_snapshot!(read_all(&vec![b'#'; (1 << 20) + 600_000]).unwrap_err(), @r"
    error: the file is too large: 1.6 MiB; the limit is 1 MiB
    --> doc.toml
    ");
}

#[test]
fn each_syntax_error_gets_its_message_place_and_hint() {
    for (text, line) in [
        ("number = 1 2", "1:10: `1 2` is not a value (text needs quotes: \"1 2\")"),
        ("number = 1.5x", "1:13: `x` is not a value (text needs quotes: \"x\")"),
        ("switch = FALSE", "1:10: `FALSE` is not a value (write `false`)"),
        ("switch = tru", "1:10: `tru` is not a value (text needs quotes: \"tru\")"),
        ("text = inf0", "1:8: `inf0` is not a value (text needs quotes: \"inf0\")"),
        ("text =", "1:7: a value is missing here"),
        ("text", "1:5: `=` and a value are missing here (write `key = value`)"),
        ("text:", "1:5: `:` is not allowed in a key (write `=` between a key and its value)"),
        ("numbers = [1\n2]", "2:1: a comma is missing here"),
        ("numbers = [1, 2", "1:11: the list that begins here is not closed (close it with `]`)"),
        ("numbers = [1\n\n[table]\nouter = 1", "1:11: the list that begins here is not closed (close it with `]`)"),
        ("numbers = [1,, 2]", "1:14: extra comma in array, expected value"),
        ("[[tables", "1:9: `]]` is missing here"),
        ("text = '''a", "1:8: the text that begins here is not closed (close it with ''')"),
        ("\"text\" = 5 x", "1:10: `5 x` is not a value (text needs quotes: \"5 x\")"),
        ("texts = ['a'] x", "1:15: unexpected text after the value (begin a new line)"),
        ("text = 'a' b", "1:12: unexpected text after the value (put a text that contains ' between \" and \")"),
        ("text = ‘x’", "1:8: `‘x’` is not a value (put the text between straight quotes: \" or ')"),
        ("text = „x“", "1:8: `„x“` is not a value (put the text between straight quotes: \" or ')"),
        ("text = 08", "1:8: unexpected leading zero, expected nothing"),
        ("a = 1\n[a]", "2:2: `a` is set twice (remove one of the two)"),
    ] {
        let lines = read_all(text.as_bytes()).unwrap_err().lines();
        assert!(lines.contains(&format!("doc.toml:{line}")), "{text:?}: {lines:#?}");
    }
}

#[test]
fn only_problems_outside_a_damaged_part_are_reported_with_a_syntax_error() {
    for (text, expected) in [
        ("number = 99\n[table\nouter = 1\n", &["`number` must be", "`]` is missing"][..]),
        ("[table\nouter = 1\n\n[[tables]]\nx = 1\n[other]\ny = 1", &["`]` is missing", "unknown key `other`"]),
        ("[extra]\ny = 1\n[table\nouter = 1", &["unknown key `extra`", "`]` is missing"]),
        ("texts = [5, 'a\nnumber = 99", &["the list that begins here"]),
        ("texts = [5,\n'a\n]\nnumber = 99", &["this text is not closed", "`number` must be"]),
        ("text = \"\"\"a\nnumber = 99", &["the text that begins here"]),
        ("switch = True\nnumber = 99", &["`True` is not a value", "`number` must be"]),
        (
            "number = True\ntext = 'a\nswitch = 5",
            &["`True` is not a value", "this text is not closed", "`switch` must be"],
        ),
    ] {
        let found = messages(text.as_bytes());
        assert_eq!(found.len(), expected.len(), "{text:?}: {found:#?}");
        for (message, expected) in found.iter().zip(expected) {
            assert!(message.starts_with(expected), "{text:?}: {found:#?}");
        }
    }
}

#[test]
fn a_character_that_no_editor_shows_is_named_by_its_code_point() {
    for (text, shown) in [
        ("number\u{a0}= 1", "the character U+00A0 (no-break space) is not allowed here"),
        ("number =\u{a0}1", "the character U+00A0 (no-break space) is not allowed here"),
        ("number = 1\n\u{feff}text = 'a'", "the character U+FEFF (byte order mark) is not allowed here"),
        ("number = 1\n\0\n", "the character U+0000 (NUL) is not allowed here"),
        ("\u{200b}number = 1", "the character U+200B (invisible character) is not allowed here"),
        ("number =\u{3000}1", "the character U+3000 (space) is not allowed here"),
    ] {
        assert_eq!(messages(text.as_bytes()), [shown], "{text:?}");
    }
}

#[test]
fn merge_conflict_markers_are_one_error() {
    let text = "switch = 5\n<<<<<<< HEAD\nnumber = 1\n=======\nnumber = 2\n>>>>>>> other\ntext = 'a'\n";
    assert_eq!(
        messages(text.as_bytes()),
        ["`switch` must be true or false, but is the number 5", "the file has merge conflict markers"]
    );
    let quoted = "text = \"\"\"\n<<<<<<< HEAD\n>>>>>>> other\n\"\"\"\n";
    let read = read_all(quoted.as_bytes());
    assert!(read.is_ok(), "a text may contain them");
}

#[test]
fn a_key_that_is_set_twice_is_reported_with_its_first_line() {
    let first = |text: &str| messages(text.as_bytes()).concat();
    assert!(first("number = 1\n\nnumber = 2\n").contains("set twice, first on line 1"));
    let tables = "number = 1\n[table]\ninner = 1\n\ninner = 2\n";
    assert!(first(tables).contains("set twice, first on line 3"), "{}", first(tables));
}
