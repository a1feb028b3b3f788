//! Translates the parser's errors into plain messages that say what is wrong and what to write instead. An
//! error that is not listed here keeps the parser's message.

use std::ops::Range;

use super::names::quoted;
use super::problem::Problem;
use super::source::line_at;

/// An error of the parser.
pub(super) struct SyntaxError<'a> {
    /// The whole document.
    pub(super) text: &'a str,
    /// The byte range of the error, which may be empty.
    pub(super) span: Range<usize>,
    /// The byte range of the outermost value around the error, if there is one.
    pub(super) value: Option<Range<usize>>,
    /// Whether that value is a list without its closing bracket.
    pub(super) list_is_open: bool,
    /// If a key is set twice: the number of the line that sets it first; `None` if that line was not found.
    pub(super) first_line: Option<usize>,
}

/// Returns the problem to report for a parser error. `message` is the parser's own message.
pub(super) fn problem(found: &SyntaxError<'_>, message: &str) -> Problem {
    let begins = |what: &str| message.starts_with(what);
    let plain = |words: &str| Problem::new(words, found.span.clone());
    if message.contains("recurs") {
        return plain("this is nested too deeply").hint("the limit is 80 levels");
    }
    if found.list_is_open {
        return Problem::new("the list that begins here is not closed", found.opening(1)).hint("close it with `]`");
    }
    if begins("duplicate key") {
        let first = found.first_line.map(|line| format!(", first on line {line}")).unwrap_or_default();
        return plain(&format!("{} is set twice{first}", quoted(found.marked()))).hint("remove one of the two");
    }
    let is_text = begins("invalid basic string") || begins("invalid literal string") || begins("invalid multi-line");
    if let (false, Some(problem)) = (is_text, strange_character(found)) {
        return problem;
    }
    if begins("string values must be quoted") && found.marked().is_empty() {
        return plain("a value is missing here");
    }
    // The parser reports a bare word as an error of the type that the word resembles: `info` as a float
    // (`inf`), `True` as a boolean (`true`).
    let is_word = found.marked().starts_with(|c: char| !c.is_ascii_digit());
    let takes_for = ["invalid boolean", "invalid float", "invalid integer"];
    if begins("string values must be quoted") || (is_word && takes_for.into_iter().any(begins)) {
        return not_a_value(found);
    }
    if begins("unexpected key or value") {
        return extra_text(found);
    }
    if begins("key with no value") {
        let problem = plain("`=` and a value are missing here");
        let colon = found.before().ends_with(':');
        return problem.hint(if colon { "write `=` between a key and its value" } else { "write `key = value`" });
    }
    if begins("invalid unquoted key") {
        let problem = plain(&format!("{} is not allowed in a key", quoted(found.marked())));
        return problem.hint(match found.marked() {
            ":" => "write `=` between a key and its value",
            _ => "a key consists of letters, digits, `-` and `_`",
        });
    }
    if begins("invalid key-value pair") {
        return plain("this is neither `key = value` nor a `[table]`");
    }
    if begins("missing comma") {
        return plain("a comma is missing here");
    }
    if begins("missing escaped value") {
        return plain("TOML has no such escape sequence")
            .hint("write a backslash as \\\\, or put the text between ' and '");
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
                Problem::new("the text that begins here is not closed", found.opening(3))
                    .hint(format!("close it with {quotes}"))
            }
            _ => plain("a multi-line string that begins earlier in this file is not closed"),
        };
    }
    if begins("invalid basic string") || begins("invalid literal string") {
        return unclosed_text(found, message);
    }
    plain(message)
}

impl SyntaxError<'_> {
    fn marked(&self) -> &str {
        &self.text[self.span.clone()]
    }

    /// Returns the text on the same line before the error.
    fn before(&self) -> &str {
        self.text[line_at(self.text, self.span.start).start..self.span.start].trim_end()
    }

    /// Returns the byte range of the first `length` bytes of the value around the error.
    fn opening(&self, length: usize) -> Range<usize> {
        let value = self.value.clone().unwrap_or(self.span.clone());
        value.start..(value.start + length).min(value.end)
    }
}

/// Returns the problem to report if the error is at a character that editors do not show or show as a space.
fn strange_character(found: &SyntaxError<'_>) -> Option<Problem> {
    let marked = &found.text[found.span.start..];
    let c = marked.chars().next()?;
    let name = match c {
        '\u{A0}' | '\u{202F}' => "no-break space",
        '\u{FEFF}' => "byte order mark",
        '\0' => "NUL",
        '\u{200B}'..='\u{200D}' | '\u{2060}' => "invisible character",
        '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' => "direction mark",
        c if c.is_whitespace() && !c.is_ascii() => "space",
        c if c.is_control() && !c.is_ascii_whitespace() => "control character",
        _ => return None,
    };
    let message = format!("the character U+{:04X} ({name}) is not allowed here", u32::from(c));
    let at = found.span.start;
    let hint = if name.ends_with("space") { "write an ordinary space" } else { "remove it" };
    Some(Problem::new(message, at..at + c.len_utf8()).hint(hint))
}

fn not_a_value(found: &SyntaxError<'_>) -> Problem {
    let word = found.marked();
    let problem = Problem::new(format!("{} is not a value", quoted(word)), found.span.clone());
    let lower = word.to_ascii_lowercase();
    if lower == "true" || lower == "false" {
        problem.hint(format!("write `{lower}`"))
    } else if word.starts_with(['‘', '’', '“', '”', '„']) {
        problem.hint("put the text between straight quotes: \" or '")
    } else {
        problem.hint(format!("text needs quotes: \"{}\"", quoted(word).trim_matches('`')))
    }
}

fn extra_text(found: &SyntaxError<'_>) -> Problem {
    let problem = Problem::new("unexpected text after the value", found.span.clone());
    problem.hint(match found.before().chars().next_back() {
        Some('"') => "write a quote inside a text as \\\"",
        Some('\'') => "put a text that contains ' between \" and \"",
        _ => "begin a new line",
    })
}

fn unclosed_text(found: &SyntaxError<'_>, message: &str) -> Problem {
    let at = found.span.start;
    if at >= line_at(found.text, at).end {
        return Problem::new("this text is not closed before the end of its line", at..at)
            .hint("put a text of several lines between \"\"\" and \"\"\"");
    }
    match found.text[at..].chars().next().filter(|c| c.is_control()) {
        Some(c) => {
            let code = u32::from(c);
            Problem::new(format!("the control character U+{code:04X} is not allowed in a text"), found.span.clone())
                .hint(format!("write it as \\u{code:04X} between \" and \", or remove it"))
        }
        None => Problem::new(message, found.span.clone()),
    }
}
