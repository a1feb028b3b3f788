//! Fits text to the size of a terminal.

use crate::domain::text;
use crate::system::terminal::Size;

/// Returns the first lines of `text` that fit on the terminal, then a line with the number of lines left out.
pub(crate) fn fit_rows(text: &str, size: Size) -> String {
    let rows = |line: &str| text::width(&text::plain(line)).div_ceil(size.columns).max(1);
    let lines: Vec<&str> = text.lines().collect();
    // One row stays free for the cursor, below the last line.
    let room = size.rows.saturating_sub(1);
    if lines.iter().map(|line| rows(line)).sum::<usize>() <= room {
        return text.to_owned();
    }
    let mut used = 1;
    let shown = lines.iter().take_while(|line| {
        used += rows(line);
        used <= room
    });
    let shown: Vec<&str> = shown.copied().collect();
    let more = lines.len() - shown.len();
    shown.iter().chain([&&*format!("... {more} more")]).fold(String::new(), |out, line| out + line + "\n")
}

/// Returns `above` and, below it, `last`. If both do not fit on the terminal, the end of `above` is left out.
pub(crate) fn fit_above(above: &str, last: &str, size: Size) -> String {
    let rows: usize = last.lines().map(|line| text::width(&text::plain(line)).div_ceil(size.columns).max(1)).sum();
    // One row is the gap between both.
    let room = size.rows.saturating_sub(rows + 1);
    // Less than a row with its reason is no use.
    if above.is_empty() || room < 4 {
        return fit_rows(last, size);
    }
    let above = fit_rows(above, Size { rows: room, ..size });
    format!("{above}\n{last}")
}

/// Returns the terminal sequences that draw `text` over the earlier text. `clear`: first clears the whole
/// screen.
pub(crate) fn frame(text: &str, clear: bool) -> String {
    // Clearing each line at its end, instead of the whole screen, does not flicker.
    let lines = text.lines().map(|line| format!("{line}\x1b[K\n"));
    let start = if clear { "\x1b[H\x1b[2J" } else { "\x1b[H" };
    lines.fold(start.to_owned(), |frame, line| frame + &line) + "\x1b[J"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_to_the_terminal_and_keeps_its_beginning() {
        let text: String = (1..=9).map(|n| format!("line {n}\n")).collect();
        assert_eq!(fit_rows(&text, Size { rows: 10, columns: 80 }), text);
        assert_eq!(fit_rows(&text, Size { rows: 4, columns: 80 }), "line 1\nline 2\n... 7 more\n");
        assert_eq!(fit_rows("\x1b[31mred\x1b[0m\n", Size { rows: 2, columns: 3 }), "\x1b[31mred\x1b[0m\n");
    }

    #[test]
    fn what_is_last_stays_when_the_rest_does_not_fit() {
        let table: String = (1..=9).map(|n| format!("row {n}\n")).collect();
        let last = "summary\nsums\n";
        let size = |rows| Size { rows, columns: 80 };
        assert_eq!(fit_above(&table, last, size(20)), format!("{table}\n{last}"));
        let short = fit_above(&table, last, size(8));
        assert_eq!(short, format!("row 1\nrow 2\nrow 3\n... 6 more\n\n{last}"));
        assert!(short.lines().count() < 8);
        assert_eq!(fit_above(&table, last, size(5)), last);
        assert_eq!(fit_above("", last, size(20)), last);
    }

    #[test]
    fn a_frame_replaces_what_was_drawn_before() {
        assert_eq!(frame("a\nb\n", false), "\x1b[Ha\x1b[K\nb\x1b[K\n\x1b[J");
        assert!(frame("a\n", true).starts_with("\x1b[H\x1b[2J"));
    }

    #[test]
    fn a_line_takes_as_many_rows_as_the_terminal_wraps_it_to() {
        for wide in ["a".repeat(100), "日".repeat(50)] {
            let text = format!("{wide}\nb\nc\nd\n");
            assert_eq!(fit_rows(&text, Size { rows: 5, columns: 80 }), format!("{wide}\nb\n... 2 more\n"));
        }
    }
}
