//! Makes the output of programs safe for a terminal, a log line or a prompt, and fits text to columns.
//!
//! Invariant: plain text contains no escape sequence, no control character except newline and tab, and no
//! character that makes a terminal reorder the characters of a line.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use super::escape;

/// Returns `text` without terminal escape sequences, control characters and characters that change the
/// direction of text. Newlines and tabs stay. A carriage return becomes a newline. A control string without
/// an end is removed up to the end of its line.
pub(crate) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\n' | '\t' => out.push(c),
            '\u{2028}' | '\u{2029}' => out.push('\n'),
            '\r' => {
                if chars.peek() != Some(&'\n') {
                    out.push('\n');
                }
            }
            '\x1b' => match chars.peek().copied() {
                Some('[') => {
                    chars.next();
                    skip_control_sequence(&mut chars);
                }
                Some(']' | 'P' | 'X' | '^' | '_') => {
                    chars.next();
                    skip_control_string(&mut chars);
                }
                Some(next) if (' '..='~').contains(&next) => {
                    chars.next();
                    // Intermediate bytes precede the final byte of the sequence, as in `ESC ( B`.
                    let mut last = next;
                    while (' '..='/').contains(&last) {
                        match chars.next_if(|c| (' '..='~').contains(c)) {
                            Some(c) => last = c,
                            None => break,
                        }
                    }
                }
                _ => {}
            },
            '\u{9b}' => skip_control_sequence(&mut chars),
            '\u{90}' | '\u{98}' | '\u{9d}'..='\u{9f}' => skip_control_string(&mut chars),
            c if escape::is_unsafe(c) => {}
            c => out.push(c),
        }
    }
    out
}

/// Returns the end of `bytes` as plain text of at most `max` bytes. Bytes that are not UTF-8 become U+FFFD,
/// and no character is split.
pub(crate) fn tail(bytes: &[u8], max: usize) -> String {
    // Plain text is shorter than its source, since escape sequences are removed: so this reads more than
    // `max` bytes.
    let from = bytes.len().saturating_sub(max.saturating_mul(4));
    let mut window = &bytes[from..];
    if from > 0 {
        let split_character = window.iter().take(3).take_while(|b| *b & 0xC0 == 0x80).count();
        window = &window[split_character..];
    }
    last_bytes(&plain(&String::from_utf8_lossy(window)), max).to_owned()
}

/// Returns the end of `text`, at most `max` bytes; no character is split.
pub(crate) fn last_bytes(text: &str, max: usize) -> &str {
    let mut from = text.len().saturating_sub(max);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    &text[from..]
}

/// Returns `text` as one plain line of at most `max` characters. Each run of white space becomes one space.
/// If the text is longer, it is cut and `…` is added. Use this for records and log lines, and [`fit`] for
/// columns of a terminal.
pub(crate) fn one_line(text: &str, max: usize) -> String {
    let (mut line, mut cut) = plain_line(text, max);
    if let Some((at, _)) = line.char_indices().nth(max) {
        line.truncate(at);
        cut = true;
    }
    if cut {
        line.push('…');
    }
    line
}

/// Lists `names`, separated by commas; of more than `most`, only the number of the others.
pub(crate) fn listed(names: &[String], most: usize) -> String {
    let shown = names.iter().take(most).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(most) {
        0 => shown,
        others => format!("{shown} and {others} more"),
    }
}

/// Returns `text` as one plain line of at most `max` characters. If the text is longer, its middle is replaced by ` … `:
/// one third of what stays is its beginning, the rest its end.
pub(crate) fn both_ends(text: &str, max: usize) -> String {
    const MARK: &str = " … ";
    let line = plain(text).split_whitespace().collect::<Vec<_>>().join(" ");
    let count = line.chars().count();
    if count <= max {
        return line;
    }
    let room = max.saturating_sub(MARK.chars().count());
    let head: String = line.chars().take(room / 3).collect();
    let tail: String = line.chars().skip(count - (room - room / 3)).collect();
    format!("{}{MARK}{}", head.trim_end(), tail.trim_start())
}

/// Returns how many columns of a terminal `text`, one plain line, takes: CJK characters and emoji take two
/// columns, combining marks none.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// Returns `text` as one plain line of at most `columns` columns of a terminal. Each run of white space
/// becomes one space. If the text is longer, it is cut and ends with `…`, which counts as a column. A cut
/// never splits what the screen shows as one character.
pub(crate) fn fit(text: &str, columns: usize) -> String {
    let (mut line, cut) = plain_line(text, columns);
    if !cut && width(&line) <= columns {
        return line;
    }
    let Some(room) = columns.checked_sub(1) else { return String::new() };
    let (mut end, mut used) = (0, 0);
    for character in line.graphemes(true) {
        used += width(character);
        if used > room {
            break;
        }
        end += character.len();
    }
    line.truncate(end);
    line.push('…');
    line
}

/// Returns `text` in exactly `columns` columns: cut as [`fit`] does, or filled with spaces on the right.
pub(crate) fn pad(text: &str, columns: usize) -> String {
    let mut cell = fit(text, columns);
    let missing = columns.saturating_sub(width(&cell));
    cell.extend(std::iter::repeat_n(' ', missing));
    cell
}

/// Returns `text` as one plain line, and whether its end was left out. It reads only the first `16 * max`
/// bytes, which bounds the work for a text of megabytes.
fn plain_line(text: &str, max: usize) -> (String, bool) {
    let mut window = text.len().min(max.saturating_mul(16));
    while !text.is_char_boundary(window) {
        window -= 1;
    }
    let line = plain(&text[..window]).split_whitespace().collect::<Vec<_>>().join(" ");
    (line, window < text.len())
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn skip_control_sequence(chars: &mut Chars<'_>) {
    while chars.next_if(|c| (' '..='?').contains(c)).is_some() {}
    chars.next_if(|c| ('@'..='~').contains(c));
}

fn skip_control_string(chars: &mut Chars<'_>) {
    while let Some(c) = chars.next_if(|c| *c != '\n') {
        match c {
            '\x07' | '\u{9c}' => return,
            '\x1b' => {
                chars.next_if_eq(&'\\');
                return;
            }
            _ => {}
        }
    }
}

/// Returns `body` in a code fence that is longer than any run of backticks in `body`, so that `body` cannot
/// close the fence.
pub(crate) fn fenced(language: &str, body: &str) -> String {
    let (mut longest, mut run) = (0, 0);
    for c in body.chars() {
        run = if c == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let fence = "`".repeat((longest + 1).max(3));
    format!("{fence}{language}\n{}\n{fence}\n", body.trim_end_matches('\n'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_drops_escape_sequences_and_keeps_text() {
        assert_eq!(plain("\x1b[1;31merror\x1b[0m: no\r\nnext\rover"), "error: no\nnext\nover");
        assert_eq!(plain("\x1b]0;title\x07a\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\"), "alink");
        assert_eq!(plain("\x1b]never closed\nnext line"), "\nnext line");
        assert_eq!(plain("a\x1b\nb\x1b"), "a\nb");
        assert_eq!(plain("a\u{2028}b\u{2029}c\u{e0041}"), "a\nb\nc");
        assert_eq!(plain("a\x1b(Bb\u{9b}2Jc\x08\x00\u{202e}d\u{7f}"), "abcd");
    }

    #[test]
    fn tail_splits_no_character() {
        assert_eq!(tail("äöü".as_bytes(), 4), "öü");
        assert_eq!(tail("äöü".as_bytes(), 5), "öü");
        assert_eq!(tail(b"a\xffb", 10), "a\u{fffd}b");
        assert_eq!(tail(b"\x80b", 10), "\u{fffd}b");
        // `tail` reads only the last 16 bytes, which begin within the first character.
        assert_eq!(tail("ä\x1b[1;1;1;1;1;1ma".as_bytes(), 4), "a");
        assert_eq!(tail(b"", 10), "");
        assert_eq!(tail(b"abc", 0), "");
    }

    #[test]
    fn one_line_joins_lines_and_cuts() {
        assert_eq!(one_line("  a\n\tb  c ", 10), "a b c");
        assert_eq!(one_line("abcdef", 3), "abc…");
        assert_eq!(one_line("abc", 3), "abc");
        assert_eq!(one_line(&"ä".repeat(1000), 2), "ää…");
        assert_eq!(one_line("a   ", 1), "a");
        assert_eq!(one_line(&format!("{}äb", " ".repeat(31)), 2), "…");
        // `one_line` reads only the beginning of a long text; the rest counts as cut.
        assert_eq!(one_line(&format!("a{}b", " ".repeat(64)), 4), "a…");
    }

    #[test]
    fn a_long_text_keeps_both_ends() {
        assert_eq!(both_ends("a\n b", 10), "a b");
        assert_eq!(both_ends("abcdefghijklmnopqrstuvwxyz", 12), "abc … uvwxyz");
        let long = both_ends(&format!("First {} Postgres or SQLite?", "ä".repeat(2_000)), 60);
        assert!(long.starts_with("First ") && long.ends_with(" Postgres or SQLite?"), "{long}");
        assert_eq!(long.chars().count(), 60);
        assert_eq!(both_ends("abcdef", 3), " … ");
    }

    #[test]
    fn width_counts_terminal_columns() {
        for (text, columns) in [("", 0), ("abc", 3), ("äö", 2), ("e\u{301}", 1), ("日本", 4), ("🚀", 2), ("👩‍🚀", 2)]
        {
            assert_eq!(width(text), columns, "{text}");
        }
    }

    #[test]
    fn fit_cuts_at_columns_and_between_characters() {
        for (text, columns, fitted) in [
            ("abc", 3, "abc"),
            ("abcd", 3, "ab…"),
            (" a\n\x1b[1mb ", 3, "a b"),
            ("日本", 4, "日本"),
            ("日本", 3, "日…"),
            ("日本", 2, "…"),
            ("👩‍🚀👩‍🚀", 3, "👩‍🚀…"),
            ("e\u{301}e\u{301}e\u{301}", 2, "e\u{301}…"),
            ("abc", 1, "…"),
            ("abc", 0, ""),
            ("", 0, ""),
        ] {
            assert_eq!(fit(text, columns), fitted, "{text} in {columns}");
        }
        assert_eq!(fit(&format!("a{}b", " ".repeat(64)), 4), "a…");
    }

    #[test]
    fn pad_fills_a_cell_of_a_table() {
        for (text, columns, cell) in [("ab", 4, "ab  "), ("日", 3, "日 "), ("日本", 3, "日…"), ("日本x", 4, "日… ")]
        {
            assert_eq!(pad(text, columns), cell);
        }
    }

    proptest! {
        #[test]
        fn tail_is_bounded_and_plain_for_any_bytes(bytes: Vec<u8>, max in 0usize..64) {
            let text = tail(&bytes, max);
            prop_assert!(text.len() <= max);
            prop_assert!(text.chars().all(|c| c == '\n' || c == '\t' || !c.is_control()));
        }

        #[test]
        fn pad_gives_exactly_the_columns(text in "\\PC{0,30}", columns in 0usize..20) {
            prop_assert!(width(&fit(&text, columns)) <= columns);
            prop_assert_eq!(width(&pad(&text, columns)), columns);
        }

        #[test]
        fn plain_keeps_plain_text(text in "[ -~äöü\n\t]*") {
            prop_assert_eq!(plain(&text), text);
        }
    }
}
