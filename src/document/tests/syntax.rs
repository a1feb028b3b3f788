//! Syntax errors, broken bytes and what they must not be blamed for.

use super::{messages, read_all, rendered};

#[test]
fn several_syntax_errors_come_at_once_and_hide_their_consequences() {
    insta::assert_snapshot!(rendered("text = \nnumber = 1\nnumber = 2\nswitch = True\ntexts = [\"a\"\ntable = 1\n"), @r#"
    error: a value is missing here
     --> doc.toml:1:8
      |
    1 | text = 
      |        ^

    error: `number` is set twice
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
fn syntax_errors_are_put_in_plain_words() {
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

    error: `:` cannot stand in a name
     --> doc.toml:1:5
      |
    1 | text: "x"
      |     ^
      |
      = help: a name and its value are joined by `=`

    error: this text is not closed at the end of its line
     --> doc.toml:1:12
      |
    1 | text = "abc
      |            ^
      |
      = help: text of several lines stands between """ and """

    error: the text that begins here is never closed
     --> doc.toml:1:8
      |
    1 | text = """abc
      |        ^^^
      |
      = help: close it with """

    error: nothing can follow the value in this line
     --> doc.toml:1:11
      |
    1 | text = "a"b"
      |           ^
      |
      = help: a quote inside of text is written \"

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
      = help: write it as `name = value`

    error: this is no escape that TOML knows
     --> doc.toml:1:11
      |
    1 | text = "x\qy"
      |           ^
      |
      = help: a backslash is written \\, or the text stands between ' and '

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

    error: the control character U+0001 cannot stand in text as it is
     --> doc.toml:1:10
      |
    1 | text = "a␁b"
      |          ^
      |
      = help: write \u0001 between " and ", or remove it

    error: this text is not closed at the end of its line
     --> doc.toml:1:12
      |
    1 | text = "abc
      |            ^
      |
      = help: text of several lines stands between """ and """

    error: `“abc”` is not a value
     --> doc.toml:1:8
      |
    1 | text = “abc”
      |        ^^^^^
      |
      = help: text stands between straight quotes: " or '

    error: nothing can follow the value in this line
     --> doc.toml:1:12
      |
    1 | text = 'it's'
      |            ^
      |
      = help: text with a ' in it stands between " and "

    error: `1 2` is not a value
     --> doc.toml:1:12
      |
    1 | numbers = [1 2]
      |            ^^^
      |
      = help: text needs quotes: "1 2"

    error: this is neither `name = value` nor a `[table]`
     --> doc.toml:1:1
      |
    1 | {"text": 1}
      | ^

    error: `**` cannot stand in a name
     --> doc.toml:3:1
      |
    3 | **Status:** new
      | ^^
      |
      = help: names are made of letters, digits, `-` and `_`
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
fn bytes_that_are_not_utf_8_are_pointed_at() {
    insta::assert_snapshot!(read_all(b"number = 1\ntext = \"caf\xE9\"\n").unwrap_err(), @r#"
    error: the byte 0xE9 here is not valid UTF-8
     --> doc.toml:2:12
      |
    2 | text = "caf�"
      |            ^
      |
      = help: save the file as UTF-8
    "#);
    assert_eq!(messages(b"\xFF\xFEt\0"), ["the file is UTF-16, not UTF-8"]);
    assert_eq!(messages(b"a = \"\xC3"), ["the byte 0xC3 here is not valid UTF-8"]);
}

#[test]
fn a_byte_order_mark_is_no_part_of_the_text() {
    assert_eq!(read_all(b"\xEF\xBB\xBFnumber = 1\n"), Ok(()));
    let report = &read_all(b"\xEF\xBB\xBFnumber = 11\n").unwrap_err().reports()[0];
    assert_eq!((report.line, report.column, report.source.as_deref()), (Some(1), Some(10), Some("number = 11")));
}

#[test]
fn what_is_too_large_is_refused_with_both_sizes() {
    insta::assert_snapshot!(read_all(&vec![b'#'; (1 << 20) + 600_000]).unwrap_err(), @r"
    error: the file is too large: 1.6 MiB, where at most 1 MiB are read
    --> doc.toml
    ");
}
