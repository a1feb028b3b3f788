//! Makes characters visible that could deceive a reader of a terminal or a log. Text that is not boi's own,
//! such as a title, a path or the output of git, passes through these functions before it is printed or
//! logged.

use std::borrow::Cow;

/// Returns whether `c` can make a terminal or a log viewer show something other than the text: a control
/// character, a line or paragraph separator, a character that changes the order of others, or an invisible
/// one.
pub(super) fn is_unsafe(c: char) -> bool {
    let reorders =
        matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{206f}');
    let separates = matches!(c, '\u{2028}' | '\u{2029}');
    let is_invisible = matches!(c, '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
    c.is_control() || reorders || separates || is_invisible
}

/// Returns `text` as one line in which unsafe characters are visible: a newline as `\n`, an escape character
/// as `\u{1b}`.
pub(crate) fn escaped(text: &str) -> Cow<'_, str> {
    escape(text, |_| false)
}

/// Returns `text` with its newlines and tabs unchanged, in which other unsafe characters are visible.
pub(crate) fn escaped_lines(text: &str) -> Cow<'_, str> {
    escape(text, |c| matches!(c, '\n' | '\t'))
}

/// Returns text with styles of `anstyle`, in which unsafe characters are visible. Keeps only the escape
/// sequences that set bold, dim, italic, underline and colours.
pub(crate) fn escaped_styled(text: &str) -> Cow<'_, str> {
    if !text.contains('\x1b') {
        return escaped_lines(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\x1b') {
        out.push_str(&escaped_lines(&rest[..at]));
        let style = style_length(&rest[at..]);
        match style {
            Some(length) => out.push_str(&rest[at..at + length]),
            None => out.push_str("\\u{1b}"),
        }
        rest = &rest[at + style.unwrap_or(1)..];
    }
    out.push_str(&escaped_lines(rest));
    Cow::Owned(out)
}

/// Returns JSON in which unsafe characters, which occur only in its strings, are written as JSON escapes.
pub(crate) fn escaped_json(json: &str) -> Cow<'_, str> {
    if !json.chars().any(|c| c != '\n' && is_unsafe(c)) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if c == '\n' || !is_unsafe(c) {
            out.push(c);
        } else {
            out.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    Cow::Owned(out)
}

fn escape(text: &str, stays: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(|c| is_unsafe(c) && !stays(c)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if !is_unsafe(c) || stays(c) => out.push(c),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c => out.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
        }
    }
    Cow::Owned(out)
}

/// Returns the length of the style sequence at the beginning of `text`; `None` if it begins with another
/// sequence.
fn style_length(text: &str) -> Option<usize> {
    let end = text.find('m')?;
    let is_style = |number: &str| {
        let number = if number.is_empty() { Ok(0) } else { number.parse() };
        matches!(number, Ok(0..=4 | 22..=24 | 30..=37 | 39 | 90..=97))
    };
    text[..end].strip_prefix("\x1b[")?.split(';').all(is_style).then_some(end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsafe_characters_are_shown_and_not_interpreted() {
        let forged = "a\x1b[2J\r\n2026-01-01T00:00:00Z ERROR forged\u{202e}\u{2028}\u{2066}\u{e0041}\u{9b}ä";
        let shown = "a\\u{1b}[2J\\r\\n2026-01-01T00:00:00Z ERROR forged\\u{202e}\\u{2028}\\u{2066}\\u{e0041}\\u{9b}ä";
        assert_eq!(escaped(forged), shown);
        assert_eq!(escaped_lines("a\n\tb\r"), "a\n\tb\\r");
        assert_eq!(
            escaped_styled("\x1b[1;31merror\x1b[0m: \x1b[8mhidden\x1b]0;t\x07\x1b"),
            "\x1b[1;31merror\x1b[0m: \\u{1b}[8mhidden\\u{1b}]0;t\\u{7}\\u{1b}"
        );
        assert_eq!(
            escaped_json("{\n\"a\": \"\u{202e}\u{e0041}\u{7f}\"}"),
            "{\n\"a\": \"\\u202e\\udb40\\udc41\\u007f\"}"
        );
        for same in ["plain \\ text", "日本語 👩‍🚀"] {
            assert_eq!((escaped(same), escaped_json(same)), (same.into(), same.into()));
        }
    }
}
