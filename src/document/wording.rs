//! The parser's messages in plain words: what is wrong, and what to write instead. What is not listed here is said as the
//! parser says it.

use std::ops::Range;

use super::document::line_at;
use super::problem::Problem;
use super::quoted;

/// Where the parser found something wrong.
pub(super) struct Found<'a> {
    /// The whole document.
    pub(super) text: &'a str,
    /// What the error is about; may be empty.
    pub(super) span: Range<usize>,
    /// The outermost value around it.
    pub(super) value: Option<Range<usize>>,
    /// Whether that value is a list that swallowed what follows it.
    pub(super) list_is_open: bool,
}

/// The problem for an error of the parser.
pub(super) fn of(found: &Found<'_>, message: &str) -> Problem {
    let begins = |what: &str| message.starts_with(what);
    let plain = |words: &str| Problem::new(words, found.span.clone());
    if message.contains("recurs") {
        return plain("this is nested too deeply").hint("80 levels are the most");
    }
    if found.list_is_open {
        return Problem::new("the list that begins here is not closed", found.opening(1)).hint("close it with `]`");
    }
    if begins("duplicate key") {
        return plain(&format!("{} is set twice", quoted(found.marked()))).hint("remove one of the two");
    }
    if begins("string values must be quoted") && found.marked().is_empty() {
        return plain("a value is missing here");
    }
    // A word is taken for the value that it begins like: `info` for `inf`, `True` for `true`.
    let is_word = found.marked().starts_with(|c: char| !c.is_ascii_digit());
    let takes_for = ["invalid boolean", "invalid float", "invalid integer"];
    if begins("string values must be quoted") || (is_word && takes_for.into_iter().any(begins)) {
        return no_value(found);
    }
    if begins("unexpected key or value") {
        return goes_on(found);
    }
    if begins("key with no value") {
        let problem = plain("`=` and a value are missing here");
        let colon = found.before().ends_with(':');
        return problem.hint(if colon {
            "a name and its value are joined by `=`"
        } else {
            "write it as `name = value`"
        });
    }
    if begins("invalid unquoted key") {
        let problem = plain(&format!("{} cannot stand in a name", quoted(found.marked())));
        return problem.hint(match found.marked() {
            ":" => "a name and its value are joined by `=`",
            _ => "names are made of letters, digits, `-` and `_`",
        });
    }
    if begins("invalid key-value pair") {
        return plain("this is neither `name = value` nor a `[table]`");
    }
    if begins("missing comma") {
        return plain("a comma is missing here");
    }
    if begins("missing escaped value") {
        return plain("this is no escape that TOML knows")
            .hint("a backslash is written \\\\, or the text stands between ' and '");
    }
    if begins("unclosed table") {
        return plain("`]` is missing here");
    }
    if begins("unclosed inline table") {
        return plain("`}` is missing here");
    }
    if begins("unclosed array table") {
        return plain("`]]` is missing here");
    }
    if begins("invalid multi-line") && found.span.start == found.text.len() {
        return match found.text.get(found.opening(3)) {
            Some(quotes @ ("\"\"\"" | "'''")) => {
                Problem::new("the text that begins here is never closed", found.opening(3))
                    .hint(format!("close it with {quotes}"))
            }
            _ => plain("text that began further up is never closed"),
        };
    }
    if begins("invalid basic string") || begins("invalid literal string") {
        return broken_text(found, message);
    }
    plain(message)
}

impl Found<'_> {
    fn marked(&self) -> &str {
        &self.text[self.span.clone()]
    }

    /// What stands before it in its line.
    fn before(&self) -> &str {
        self.text[line_at(self.text, self.span.start).start..self.span.start].trim_end()
    }

    /// The first `length` bytes of the value around it.
    fn opening(&self, length: usize) -> Range<usize> {
        let value = self.value.clone().unwrap_or(self.span.clone());
        value.start..(value.start + length).min(value.end)
    }
}

fn no_value(found: &Found<'_>) -> Problem {
    let word = found.marked();
    let problem = Problem::new(format!("{} is not a value", quoted(word)), found.span.clone());
    let lower = word.to_ascii_lowercase();
    if lower == "true" || lower == "false" {
        problem.hint(format!("write `{lower}`"))
    } else if word.starts_with(['‘', '’', '“', '”', '„']) {
        problem.hint("text stands between straight quotes: \" or '")
    } else {
        problem.hint(format!("text needs quotes: \"{}\"", quoted(word).trim_matches('`')))
    }
}

fn goes_on(found: &Found<'_>) -> Problem {
    let problem = Problem::new("nothing can follow the value in this line", found.span.clone());
    problem.hint(match found.before().chars().next_back() {
        Some('"') => "a quote inside of text is written \\\"",
        Some('\'') => "text with a ' in it stands between \" and \"",
        _ => "begin a new line for it",
    })
}

fn broken_text(found: &Found<'_>, message: &str) -> Problem {
    let at = found.span.start;
    if at >= line_at(found.text, at).end {
        return Problem::new("this text is not closed at the end of its line", at..at)
            .hint("text of several lines stands between \"\"\" and \"\"\"");
    }
    match found.text[at..].chars().next().filter(|c| c.is_control()) {
        Some(c) => {
            let code = u32::from(c);
            Problem::new(
                format!("the control character U+{code:04X} cannot stand in text as it is"),
                found.span.clone(),
            )
            .hint(format!("write \\u{code:04X} between \" and \", or remove it"))
        }
        None => Problem::new(message, found.span.clone()),
    }
}
