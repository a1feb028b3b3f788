//! Problems of a document: what is wrong, where, and what to do about it. They are rendered for people (with
//! the source line and a caret) and for scripts.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use serde::{Deserialize, Serialize};

use super::source::Document;

/// The maximum number of problems that are kept for one document. Further problems are only counted.
const MAX_KEPT: usize = 50;

/// The longest source line, in bytes, that is shown in full.
const LONG_LINE: usize = 4096;

/// The number of characters of a long line that are shown on each side of the problem.
const CONTEXT: usize = 60;

/// One thing that is wrong with a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// What is wrong, in one line.
    pub(crate) message: String,
    /// The byte range of the text that is wrong; `None`: the whole document.
    pub(crate) span: Option<Range<usize>>,
    /// What to do about it.
    pub(crate) hint: Option<String>,
}

impl Problem {
    /// Creates a problem without a hint.
    pub(crate) fn new(message: impl Into<String>, span: impl Into<Option<Range<usize>>>) -> Problem {
        Problem { message: message.into(), span: span.into(), hint: None }
    }

    /// Adds a hint.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Problem {
        self.hint = Some(hint.into());
        self
    }
}

/// All problems of a document: at least one, ordered by position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems {
    document: Document,
    placed: Vec<Placed>,
    omitted: usize,
}

/// One problem in the form that scripts read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProblemReport {
    /// The document's name.
    pub file: String,
    /// What is wrong.
    pub message: String,
    /// Line number, from 1; `None`: the whole document.
    pub line: Option<usize>,
    /// Column in characters, from 1.
    pub column: Option<usize>,
    /// The source line; of a very long line, the part around the problem.
    pub source: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Placed {
    problem: Problem,
    place: Option<Place>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    line: usize,
    column: usize,
}

impl Problems {
    /// Returns the problems of `document`; `None` when there are none.
    pub(crate) fn collect(document: &Document, problems: Vec<Problem>) -> Option<Problems> {
        (!problems.is_empty()).then(|| Problems::of(document.clone(), problems))
    }

    /// Returns the problems of `document`, sorted by position; at most `MAX_KEPT` of them are kept. There
    /// must be at least one.
    pub(super) fn of(document: Document, mut problems: Vec<Problem>) -> Problems {
        debug_assert!(!problems.is_empty(), "no problem was passed");
        for problem in &mut problems {
            problem.span = problem.span.as_ref().map(|span| document.within(span));
        }
        problems.sort_by_key(|problem| problem.span.as_ref().map(|span| (span.start, span.end)));
        let omitted = problems.len().saturating_sub(MAX_KEPT);
        problems.truncate(MAX_KEPT);

        let (mut seen, mut line) = (0, 1);
        let mut place = |start: usize| {
            line += document.text()[seen..start].bytes().filter(|byte| *byte == b'\n').count();
            seen = start;
            let column = document.text()[document.line_at(start).start..start].chars().count() + 1;
            Place { line, column }
        };
        let placed = problems
            .into_iter()
            .map(|problem| Placed { place: problem.span.as_ref().map(|span| place(span.start)), problem })
            .collect();
        Problems { document, placed, omitted }
    }

    /// Adds problems that were found after parsing.
    #[must_use]
    pub(crate) fn and(self, more: Vec<Problem>) -> Problems {
        if more.is_empty() {
            return self;
        }
        let Problems { document, placed, omitted } = self;
        let problems = placed.into_iter().map(|placed| placed.problem).chain(more).collect();
        let mut all = Problems::of(document, problems);
        all.omitted += omitted;
        all
    }

    /// Returns the document's name.
    pub(crate) fn name(&self) -> &str {
        self.document.name()
    }

    /// Returns the number of problems of the document, including those that were not kept.
    pub fn count(&self) -> usize {
        self.placed.len() + self.omitted
    }

    /// Returns the problems that were kept, ordered by position.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.placed.iter().map(|placed| &placed.problem)
    }

    /// Returns the problems that were kept, in the form that scripts read.
    pub fn reports(&self) -> Vec<ProblemReport> {
        self.placed
            .iter()
            .map(|Placed { problem, place }| ProblemReport {
                file: self.name().to_owned(),
                message: problem.message.clone(),
                line: place.map(|place| place.line),
                column: place.map(|place| place.column),
                source: problem.span.as_ref().map(|span| excerpt(&self.document, span).0),
                hint: problem.hint.clone(),
            })
            .collect()
    }

    /// Returns the problems that were kept, one line each: `FILE:LINE:COLUMN: MESSAGE (HINT)`.
    pub fn lines(&self) -> Vec<String> {
        let line = |report: ProblemReport| {
            let place = match (report.line, report.column) {
                (Some(line), Some(column)) => format!(":{line}:{column}"),
                _ => String::new(),
            };
            let hint = report.hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
            format!("{}{place}: {}{hint}", report.file, report.message)
        };
        self.reports().into_iter().map(line).collect()
    }

    /// Returns the problems in the form that people read: each with its place, its source line, a caret and
    /// its hint.
    pub fn render(&self, color: bool) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() }.term_width(120);
        let mut parts: Vec<String> = self.placed.iter().map(|placed| self.render_one(placed, &renderer)).collect();
        match self.omitted {
            0 => {}
            1 => parts.push(format!("... and 1 more problem in {}", self.name())),
            more => parts.push(format!("... and {more} more problems in {}", self.name())),
        }
        parts.join("\n\n")
    }

    fn render_one(&self, Placed { problem, place }: &Placed, renderer: &Renderer) -> String {
        let title = Level::ERROR.primary_title(&problem.message);
        let hint = problem.hint.as_ref().map(|hint| Level::HELP.message(hint));
        let origin = Origin::path(self.name());
        let (Some(span), Some(place)) = (&problem.span, place) else {
            return renderer.render(&[Group::with_title(title).element(origin).elements(hint)]);
        };
        let (line, marked) = excerpt(&self.document, span);
        let snippet =
            Snippet::source(line).line_start(place.line).annotation(AnnotationKind::Primary.span(marked.clone()));
        if marked.start == span.start - self.document.line_at(span.start).start {
            return renderer.render(&[title.element(snippet.path(self.name())).elements(hint)]);
        }
        // The snippet would show the column within the excerpt, so the real column is passed separately.
        renderer.render(&[
            title.element(origin.line(place.line).char_column(place.column)),
            Group::with_level(Level::ERROR).element(snippet).elements(hint),
        ])
    }
}

/// Writes the same text as [`Problems::render`] without colors.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Problems {}

/// Returns the line on which `span` begins, shortened if it is very long, and the byte range of that line to
/// mark.
fn excerpt(document: &Document, span: &Range<usize>) -> (String, Range<usize>) {
    let line = document.line_at(span.start);
    let text = &document.text()[line.clone()];
    // A span may begin inside the line end, or at the end of the text.
    let marked = (span.start - line.start).min(text.len())..(span.end - line.start).min(text.len());
    let marked = marked.start..marked.end.max(marked.start);
    if text.len() <= LONG_LINE {
        return (text.to_owned(), marked);
    }
    let from = text[..marked.start].char_indices().rev().nth(CONTEXT - 1).map_or(0, |(at, _)| at);
    let to = text[marked.start..].char_indices().nth(CONTEXT).map_or(text.len(), |(at, _)| marked.start + at);
    let before = if from > 0 { "..." } else { "" };
    let after = if to < text.len() { "..." } else { "" };
    let shift = |at: usize| at.min(to) - from + before.len();
    (format!("{before}{}{after}", &text[from..to]), shift(marked.start)..shift(marked.end))
}
