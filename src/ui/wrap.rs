//! Fits text that must not lose its end: a reason says at its end what the user can do.

use super::times::localized;
use crate::domain::text;

/// Returns `text` as plain lines of at most `columns` terminal columns, broken between words where possible. If this
/// needs more than `most` lines, the middle of the text is left out, never its end.
pub(crate) fn wrap(text: &str, columns: usize, most: usize) -> Vec<String> {
    let columns = columns.max(1);
    let lines = break_lines(text, columns);
    if lines.len() <= most.max(1) {
        return lines;
    }
    // Words that do not fill their lines need more lines than their width suggests.
    let mut room = columns.saturating_mul(most.max(1));
    loop {
        let lines = break_lines(&fit_ends(text, room), columns);
        if lines.len() <= most.max(1) || room <= 1 {
            return lines;
        }
        room = room.saturating_sub(columns.div_ceil(4)).max(1);
    }
}

/// Returns a reason as wrapped lines, with its times in the local time zone.
pub(crate) fn wrap_reason(reason: &str, columns: usize, most: usize) -> Vec<String> {
    wrap(&localized(reason), columns, most)
}

/// Returns `text` as one plain line of at most `columns` columns. If the text is longer, its middle is replaced by ` … `;
/// two thirds of what stays are its end.
pub(crate) fn fit_ends(text: &str, columns: usize) -> String {
    // Enough for the width of every reason that is shown; the end is taken from the whole text.
    let line = text::one_line(text, text.len());
    let (mark, width) = (" … ", text::width(&line));
    if width <= columns {
        return line;
    }
    let Some(room) = columns.checked_sub(text::width(mark)) else { return text::fit(&line, columns) };
    let tail = room * 2 / 3;
    let mut start = line.len();
    for (at, _) in line.char_indices().rev() {
        if text::width(&line[at..]) > tail {
            break;
        }
        start = at;
    }
    // The beginning and the end begin and end with whole words where possible.
    let tail = &line[start..];
    let tail = tail.split_once(' ').map_or(tail, |(_, whole)| if whole.is_empty() { tail } else { whole });
    let head = text::fit(&line, room - text::width(&line[start..]) + 1);
    let head = head.trim_end_matches('…');
    let head = head.rsplit_once(' ').map_or(head, |(whole, _)| if whole.is_empty() { head } else { whole });
    format!("{head}{mark}{tail}")
}

fn break_lines(text: &str, columns: usize) -> Vec<String> {
    let (mut lines, mut line) = (Vec::new(), String::new());
    let plain = text::plain(text);
    for word in plain.split_whitespace() {
        let gap = usize::from(!line.is_empty());
        if text::width(&line) + gap + text::width(word) <= columns {
            line.extend(std::iter::repeat_n(' ', gap));
            line.push_str(word);
            continue;
        }
        if !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        // A word that is wider than a line is broken anywhere.
        for c in word.chars() {
            let mut next = line.clone();
            next.push(c);
            if text::width(&next) > columns && !line.is_empty() {
                lines.push(std::mem::take(&mut line));
            }
            line.push(c);
        }
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_break_between_words_and_count_columns() {
        assert_eq!(wrap("one two three", 7, 9), ["one two", "three"]);
        assert_eq!(wrap("日本 日本 x", 5, 9), ["日本", "日本", "x"].map(str::to_owned));
        assert_eq!(wrap("abcdefgh i", 3, 9), ["abc", "def", "gh", "i"]);
        assert_eq!(wrap("", 10, 9), Vec::<String>::new());
        assert_eq!(wrap("a\x1b[2J\nb", 10, 9), ["a b"]);
    }

    #[test]
    fn the_end_of_a_reason_is_never_left_out() {
        let long = format!("the service refused: {} it goes on at 15:45, then `boi retry SD979`", "x ".repeat(900));
        for (columns, most) in [(80, 1), (80, 3), (40, 2), (200, 1)] {
            let lines = wrap(&long, columns, most);
            assert!(lines.len() <= most && lines.iter().all(|line| text::width(line) <= columns), "{lines:?}");
            let text = lines.join(" ");
            assert!(text.starts_with("the service"), "{text}");
            assert!(text.ends_with("`boi retry SD979`") && text.contains('…'), "{text}");
        }
        assert_eq!(fit_ends("short", 80), "short");
    }

    proptest! {
        #[test]
        fn no_line_is_too_wide(text in "\\PC{0,200}", columns in 3usize..40, most in 1usize..5) {
            let lines = wrap(&text, columns, most);
            for line in &lines {
                prop_assert!(text::width(line) <= columns, "{line:?}");
            }
        }

        #[test]
        fn a_text_that_fits_keeps_its_words(words in proptest::collection::vec("[a-z]{1,9}", 0..20)) {
            let text = words.join(" ");
            prop_assert_eq!(wrap(&text, 10, 100).join(" "), text.clone());
            prop_assert_eq!(fit_ends(&text, 400), text);
        }
    }
}
