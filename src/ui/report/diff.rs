//! Bounds the diffs on a page: the files that are shown, the lines of each branch and of the page, and the length of a
//! line.

use crate::domain::escape;
use crate::domain::report::FileChange;

/// The largest number of branches whose diff a page has.
pub(crate) const MOST_DIFFS: usize = 100;
/// The most lines of the diff of one branch.
const BRANCH_LINES: usize = 1_500;
/// The most lines of all diffs of a page.
const PAGE_LINES: usize = 20_000;
/// The most files of one branch.
const BRANCH_FILES: usize = 200;
/// The most characters of a line.
const LINE: usize = 400;

/// The diff of a branch as a page shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ShownDiff {
    /// The lines, in which unsafe characters are visible.
    pub lines: Vec<DiffLine>,
    /// How many files are not shown.
    pub files_left_out: usize,
    /// Whether lines of a shown file are left out.
    pub is_cut: bool,
}

/// A line of a diff.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DiffLine {
    /// What the line is.
    pub kind: LineKind,
    /// The text, with its first character `+`, `-` or space in a hunk.
    pub text: String,
}

/// What a line of a diff is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LineKind {
    /// A line about a file: its name or its mode.
    File,
    /// The first line of a hunk.
    Hunk,
    Added,
    Deleted,
    Context,
}

/// How many lines the diffs of a page may still have.
#[derive(Debug)]
pub(crate) struct PageBudget {
    lines: usize,
}

impl PageBudget {
    pub(crate) fn new() -> PageBudget {
        PageBudget { lines: PAGE_LINES }
    }

    fn of_branch(&self) -> usize {
        BRANCH_LINES.min(self.lines)
    }

    /// Returns the paths of the first files whose changes fit, at least one unless the page is full.
    pub(crate) fn choose<'a>(&self, files: &'a [FileChange]) -> Vec<&'a str> {
        let mut lines = 0;
        let fits = |(number, file): &(usize, &FileChange)| {
            lines += file.lines.map_or(1, |(added, deleted)| added.saturating_add(deleted));
            *number == 0 || lines <= self.of_branch() as u64
        };
        let most = if self.lines == 0 { 0 } else { BRANCH_FILES };
        files.iter().take(most).enumerate().take_while(fits).map(|(_, file)| file.path.as_str()).collect()
    }

    /// Returns the patch of a branch as it is shown, and takes its lines from the budget. `left_out`: how many files the
    /// patch does not contain.
    pub(crate) fn show(&mut self, patch: &[u8], left_out: usize) -> ShownDiff {
        let mut lines: Vec<DiffLine> = Vec::new();
        let (mut in_hunk, mut is_cut) = (false, false);
        for line in patch.strip_suffix(b"\n").unwrap_or(patch).split(|byte| *byte == b'\n') {
            if patch.is_empty() {
                break;
            }
            if lines.len() >= self.of_branch() {
                is_cut = true;
                break;
            }
            let kind = match line.first() {
                Some(b'd') if line.starts_with(b"diff --git ") => {
                    in_hunk = false;
                    LineKind::File
                }
                Some(b'@') => {
                    in_hunk = true;
                    LineKind::Hunk
                }
                Some(b'+') if in_hunk => LineKind::Added,
                Some(b'-') if in_hunk => LineKind::Deleted,
                _ if in_hunk => LineKind::Context,
                _ => LineKind::File,
            };
            lines.push(DiffLine { kind, text: shown(line) });
        }
        self.lines -= lines.len();
        ShownDiff { lines, files_left_out: left_out, is_cut }
    }
}

/// Returns the beginning of a line, with its unsafe characters visible.
fn shown(line: &[u8]) -> String {
    // A character has at most four bytes.
    let text = String::from_utf8_lossy(&line[..line.len().min(4 * LINE)]);
    let mut cut: String = text.chars().take(LINE).collect();
    if cut.len() < line.len() && text.chars().count() > LINE || line.len() > 4 * LINE {
        cut.push('…');
    }
    escape::escaped_lines(&cut).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, lines: u64) -> FileChange {
        FileChange { path: path.into(), lines: Some((lines, 0)) }
    }

    #[test]
    fn the_files_that_fit_are_chosen_and_at_least_one() {
        let budget = PageBudget::new();
        let files = [file("a", 1_000), file("b", 400), file("c", 200), file("d", 1)];
        assert_eq!(budget.choose(&files), ["a", "b"]);
        assert_eq!(budget.choose(&[file("huge", 30_000)]), ["huge"]);
        assert_eq!(PageBudget { lines: 0 }.choose(&files), Vec::<&str>::new());
        let many: Vec<FileChange> = (0..300).map(|n| file(&n.to_string(), 1)).collect();
        assert_eq!(budget.choose(&many).len(), BRANCH_FILES);
    }

    #[test]
    fn a_long_patch_is_cut_and_a_line_in_a_hunk_is_never_a_header() {
        let mut budget = PageBudget::new();
        let patch = b"diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n--- not a header\n+++ neither\n same\n";
        let kinds: Vec<LineKind> = budget.show(patch, 0).lines.iter().map(|line| line.kind).collect();
        use LineKind::{Added, Context, Deleted, File, Hunk};
        assert_eq!(kinds, [File, File, File, Hunk, Deleted, Added, Context]);
        let long = format!("@@ @@\n{}", "+x\n".repeat(30_000));
        let shown = budget.show(long.as_bytes(), 3);
        assert_eq!((shown.lines.len(), shown.is_cut, shown.files_left_out), (BRANCH_LINES, true, 3));
        for _ in 0..20 {
            budget.show(long.as_bytes(), 0);
        }
        assert_eq!(budget.lines, 0);
        assert_eq!(budget.show(b"", 0), ShownDiff { lines: vec![], files_left_out: 0, is_cut: false });
    }

    #[test]
    fn a_line_is_cut_and_its_unsafe_characters_are_visible() {
        assert_eq!(shown("+a\t\x1b[2J\u{202e}".as_bytes()), "+a\t\\u{1b}[2J\\u{202e}");
        assert_eq!(shown("é".repeat(500).as_bytes()).chars().count(), LINE + 1);
        assert_eq!(shown(&[b'x'; 1 << 20]).chars().count(), LINE + 1);
        assert_eq!(shown("é".repeat(LINE).as_bytes()).chars().count(), LINE);
    }
}
