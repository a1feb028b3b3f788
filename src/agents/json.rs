//! Reads JSON lines whose form a new version of the program that prints them may change.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::dialect::EVIDENCE;
use crate::domain::text;

/// The longest name or id that is stored, in characters.
pub(super) const LONGEST_NAME: usize = 100;

/// The largest accepted count; larger counts are reduced to it, so that the sum over many lines cannot
/// overflow.
pub(super) const LARGEST_COUNT: u64 = 1 << 40;

/// Parses `line` as a JSON object; returns `None` if it is not a JSON object. Bytes that are not UTF-8 become
/// U+FFFD.
pub(super) fn object(line: &[u8]) -> Option<Value> {
    parse(line)
}

/// Parses `line` as a JSON object of the type `T`, as [`object`] does.
pub(super) fn parse<T: DeserializeOwned>(line: &[u8]) -> Option<T> {
    let line = line.trim_ascii();
    if line.first() != Some(&b'{') {
        return None;
    }
    serde_json::from_slice(line).ok().or_else(|| match String::from_utf8_lossy(line) {
        Cow::Owned(repaired) => serde_json::from_str(&repaired).ok(),
        Cow::Borrowed(_) => None,
    })
}

/// Returns the text of `value`, shortened to [`LONGEST_NAME`] and without control characters; `None` if
/// `value` is not a text.
pub(super) fn name(value: &Value) -> Option<String> {
    value.as_str().map(|name| text::one_line(name, LONGEST_NAME))
}

/// Returns the text of `value`; an empty text if `value` is no text.
pub(super) fn word(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}

/// Returns the number in the field `key`, at most [`LARGEST_COUNT`]; 0 if the field is missing or no count.
pub(super) fn count(object: &Value, key: &str) -> u64 {
    object[key].as_u64().unwrap_or(0).min(LARGEST_COUNT)
}

/// Returns the beginning of `line` as evidence, of at most [`EVIDENCE`] characters.
pub(super) fn evidence(line: &[u8]) -> String {
    text::one_line(&String::from_utf8_lossy(&line[..line.len().min(4 * EVIDENCE)]), EVIDENCE)
}

/// Returns `line`, which contains one JSON object, as evidence: the whole line if it is short, or else only
/// its fields in `keys`. Returns `None` if a long line is not a JSON object.
pub(super) fn evidence_of(line: &[u8], keys: &[&str]) -> Option<String> {
    let line = line.trim_ascii();
    if line.len() <= EVIDENCE {
        return Some(evidence(line));
    }
    let object: Map<String, Value> = parse(line)?;
    let fields = keys.iter().filter_map(|key| {
        let value = object.get(*key).filter(|value| !value.is_null())?;
        Some(format!("{}:{value}", Value::from(*key)))
    });
    Some(text::one_line(&format!("{{{}}}", fields.collect::<Vec<_>>().join(",")), EVIDENCE))
}

/// The most lines of a command that are shown, and the most lines of a failure.
const BLOCK: usize = 200;
const FAILURE: usize = 12;

/// Returns a command or another argument of a tool: one line as it is, at most `width` characters, and several lines
/// below the name of the tool, with their line breaks.
pub(super) fn argument(text: &str, width: usize) -> String {
    let plain = text::plain(text);
    let lines: Vec<&str> = plain.trim_end().lines().skip_while(|line| line.trim().is_empty()).collect();
    if lines.len() <= 1 {
        return text::one_line(&plain, width);
    }
    let more = lines.len().saturating_sub(BLOCK);
    let shown = lines.iter().take(BLOCK).map(|line| format!("\n    {}", cut(line)));
    let note = (more > 0).then(|| format!("\n    … {more} more lines"));
    shown.chain(note).collect()
}

/// Returns the output of something that failed: one line, at most `width` characters, or the last lines, with their line
/// breaks.
pub(super) fn last_lines(text: &str, width: usize) -> String {
    let plain = text::plain(text);
    let lines: Vec<&str> = plain.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    if lines.len() <= 1 {
        return text::one_line(&plain, width);
    }
    let from = lines.len().saturating_sub(FAILURE);
    let note = (from > 0).then(|| format!("\n    … {from} lines before"));
    note.into_iter().chain(lines[from..].iter().map(|line| format!("\n    {}", cut(line)))).collect()
}

/// Returns `label` followed by what [`argument`] or [`last_lines`] returned.
pub(super) fn labelled(label: &str, block: &str) -> String {
    let gap = if block.is_empty() || block.starts_with('\n') { "" } else { " " };
    format!("{label}{gap}{block}")
}

/// Returns the beginning of a line, so that no line of a block is longer than a terminal's scrollback.
fn cut(line: &str) -> String {
    const LONGEST_LINE: usize = 2_000;
    match line.char_indices().nth(LONGEST_LINE) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line.to_owned(),
    }
}

/// Returns a tool's name with its most informative argument, for people. That argument is the first of the
/// `telling` keys that is present; without any of them, all arguments are shown.
pub(super) fn tool_call(tool: &str, input: &Value, telling: &[&str], width: usize) -> String {
    let argument = match telling.iter().find_map(|key| input[*key].as_str()) {
        Some(argument) => self::argument(argument, width),
        None if input.as_object().is_none_or(serde_json::Map::is_empty) => return format!("> {tool}"),
        None => text::one_line(&input.to_string(), width),
    };
    labelled(&format!("> {tool}:"), &argument)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_command_of_several_lines_is_shown_as_it_is() {
        let call = |command: &str| tool_call("Bash", &json!({"command": command}), &["command"], 40);
        assert_eq!(call("ls  -l\n"), "> Bash: ls -l");
        assert_eq!(call("cat <<EOF\n  a\x1b[2J\n\nEOF\n"), "> Bash:\n    cat <<EOF\n      a\n    \n    EOF");
        let long = call(&"x\n".repeat(300));
        assert!(long.ends_with("\n    … 100 more lines"), "{long}");
    }

    #[test]
    fn a_failure_shows_its_last_lines() {
        assert_eq!(last_lines("Exit code 1", 40), "Exit code 1");
        let lines: String = (1..=20).map(|n| format!("line {n}\n")).collect();
        let shown = last_lines(&lines, 40);
        assert!(shown.starts_with("\n    … 8 lines before\n    line 9\n"), "{shown}");
        assert!(shown.ends_with("line 20"), "{shown}");
    }

    #[test]
    fn only_an_object_is_read_and_bad_bytes_are_replaced() {
        assert_eq!(object(b" {\"a\":1}\r"), Some(json!({"a": 1})));
        assert_eq!(object(b"{\"a\":\"\xff\"}"), Some(json!({"a": "\u{fffd}"})));
        for other in ["[1]", "text", "", "{\"a\":", "{\"a\":1} {"] {
            assert_eq!(object(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn names_and_counts_are_bounded() {
        assert_eq!(name(&json!("x\ny")).as_deref(), Some("x y"));
        assert_eq!(name(&json!("x".repeat(500))).map(|name| name.chars().count()), Some(LONGEST_NAME + 1));
        assert_eq!(name(&json!(1)), None);
        assert_eq!(
            [json!(7), json!(-1), json!(u64::MAX), json!("7")].map(|n| count(&json!({"n": n}), "n")),
            [7, 0, LARGEST_COUNT, 0]
        );
    }

    #[test]
    fn evidence_is_the_line_or_its_fields_that_tell_most() {
        let short = br#"{"b": 1, "type": "result"}"#;
        assert_eq!(evidence_of(short, &["type"]).unwrap(), r#"{"b": 1, "type": "result"}"#);
        let long = format!(r#"{{"pad":"{}","result":"Not logged in","type":"result","none":null}}"#, "x".repeat(600));
        assert_eq!(
            evidence_of(long.as_bytes(), &["type", "none", "result"]).unwrap(),
            r#"{"type":"result","result":"Not logged in"}"#
        );
        let huge = format!(r#"{{"type":"result","result":"{}"}}"#, "x".repeat(8 << 20));
        assert_eq!(evidence_of(huge.as_bytes(), &["type", "result"]).unwrap().chars().count(), EVIDENCE + 1);
        assert_eq!(evidence_of("x".repeat(601).as_bytes(), &[]), None);
    }

    #[test]
    fn a_tool_call_shows_the_argument_that_says_most() {
        for (input, expected) in [
            (json!({"path": "/a", "command": "ls"}), "> t: ls"),
            (json!({"path": "/a"}), "> t: /a"),
            (json!({"n": 1}), r#"> t: {"n":1}"#),
            (json!({}), "> t"),
            (json!(null), "> t"),
        ] {
            assert_eq!(tool_call("t", &input, &["command", "path"], 400), expected);
        }
    }
}
