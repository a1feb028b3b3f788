//! A line of text that the user edits.

use unicode_segmentation::UnicodeSegmentation;

use crate::domain::text;

/// The longest text that the line takes, in bytes.
const LONGEST: usize = 4096;

/// A line of text with a cursor.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Input {
    text: String,
    /// The place of the cursor: a byte index at the beginning of a grapheme.
    cursor: usize,
}

impl Input {
    /// Returns a line with this text, and the cursor at its end.
    pub(super) fn new(text: &str) -> Input {
        Input { text: text.to_owned(), cursor: text.len() }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Inserts text at the cursor. Line ends and tabs become spaces; other control characters are left out.
    pub(super) fn insert(&mut self, added: &str) {
        let spaced = added.replace("\r\n", " ").replace(['\r', '\n', '\t'], " ");
        let mut added = text::plain(&spaced);
        let mut room = LONGEST.saturating_sub(self.text.len()).min(added.len());
        while !added.is_char_boundary(room) {
            room -= 1;
        }
        added.truncate(room);
        self.text.insert_str(self.cursor, &added);
        self.cursor += added.len();
    }

    /// Removes the character before the cursor; returns `false` if there is none.
    pub(super) fn backspace(&mut self) -> bool {
        let start = self.before();
        let removed = start < self.cursor;
        self.text.replace_range(start..self.cursor, "");
        self.cursor = start;
        removed
    }

    pub(super) fn delete(&mut self) {
        self.text.replace_range(self.cursor..self.after(), "");
    }

    /// Removes the word before the cursor.
    pub(super) fn delete_word(&mut self) {
        let kept = self.text[..self.cursor].trim_end();
        let start =
            kept.rfind(char::is_whitespace).map_or(0, |at| at + kept[at..].chars().next().map_or(1, char::len_utf8));
        self.text.replace_range(start..self.cursor, "");
        self.cursor = start;
    }

    /// Removes everything before the cursor.
    pub(super) fn delete_to_start(&mut self) {
        self.text.replace_range(..self.cursor, "");
        self.cursor = 0;
    }

    pub(super) fn left(&mut self) {
        self.cursor = self.before();
    }

    pub(super) fn right(&mut self) {
        self.cursor = self.after();
    }

    pub(super) fn home(&mut self) {
        self.cursor = 0;
    }

    pub(super) fn end(&mut self) {
        self.cursor = self.text.len();
    }

    /// Returns the part of the line that fits into `columns` columns and contains the cursor, and the column of the
    /// cursor in it.
    pub(super) fn window(&self, columns: usize) -> (String, usize) {
        // The cursor may stand behind the last character.
        let room = columns.saturating_sub(1);
        let before: Vec<&str> = self.text[..self.cursor].graphemes(true).collect();
        let (mut used, mut first) = (0, before.len());
        while first > 0 && used + text::width(before[first - 1]) <= room {
            first -= 1;
            used += text::width(before[first]);
        }
        let column = used;
        let mut shown = before[first..].concat();
        for grapheme in self.text[self.cursor..].graphemes(true) {
            used += text::width(grapheme);
            if used > room {
                break;
            }
            shown.push_str(grapheme);
        }
        (shown, column)
    }

    fn before(&self) -> usize {
        self.text[..self.cursor].grapheme_indices(true).next_back().map_or(0, |(at, _)| at)
    }

    fn after(&self) -> usize {
        self.text[self.cursor..].graphemes(true).next().map_or(self.cursor, |one| self.cursor + one.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_edited_by_what_the_screen_shows_as_characters() {
        let mut line = Input::default();
        line.insert("fix 👩‍🚀 now");
        (0..4).for_each(|_| line.left());
        assert!(line.backspace());
        assert_eq!(line.text(), "fix  now");
        line.insert("the\nbug\x1b[2J");
        assert_eq!(line.text(), "fix the bug now");
        line.delete();
        line.delete_word();
        assert_eq!(line.text(), "fix the now");
        line.home();
        assert!(!line.backspace());
        line.end();
        line.delete_to_start();
        assert_eq!(line, Input::default());
    }

    #[test]
    fn the_window_contains_the_cursor() {
        let mut line = Input::new("日本語abc");
        assert_eq!(line.window(20), ("日本語abc".to_owned(), 9));
        assert_eq!(line.window(6), ("語abc".to_owned(), 5));
        line.home();
        assert_eq!(line.window(6), ("日本".to_owned(), 0));
        assert_eq!(line.window(0), (String::new(), 0));
    }

    #[test]
    fn a_pasted_text_is_bounded() {
        let mut line = Input::default();
        line.insert(&"ä".repeat(LONGEST));
        assert_eq!(line.text().len(), LONGEST);
        line.insert("x");
        assert_eq!(line.text().len(), LONGEST);
    }
}
