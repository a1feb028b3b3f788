//! The lines of the lists.

use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};

use super::needs::Need;
use super::state::{Model, Running};
use crate::domain::cause::Cause;
use crate::domain::life::TaskStatus;
use crate::domain::text;
use crate::domain::view::SpecView;
use crate::ui::times::localized;
use crate::ui::units::{duration, short_cost};

/// The width of the columns for ids, in columns of the terminal. Longer ids are cut.
const ID: usize = 7;
const KIND: usize = 10;
const COST: usize = 8;
const AGE: usize = 7;
const TASK: usize = 14;
/// The longest description of a step that is followed by a line of output.
const STEP: usize = 30;

/// The colours of the dashboard, or none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Palette {
    pub(super) colors: bool,
}

impl Palette {
    fn color(self, color: Color) -> Style {
        if self.colors { Style::new().fg(color) } else { Style::new() }
    }

    pub(super) fn bad(self) -> Style {
        self.color(Color::Red)
    }

    pub(super) fn attention(self) -> Style {
        self.color(Color::Yellow)
    }

    pub(super) fn active(self) -> Style {
        self.color(Color::Blue)
    }

    pub(super) fn faint(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    /// The style of the selected line, which shows without colours too.
    pub(super) fn selected(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    pub(super) fn title(self, is_current: bool) -> Style {
        if is_current { Style::new().add_modifier(Modifier::BOLD) } else { self.faint() }
    }
}

/// Builds a line of cells with one space between them.
struct Cells {
    spans: Vec<Span<'static>>,
    left: usize,
}

impl Cells {
    fn new(width: usize, is_selected: bool) -> Cells {
        let mut cells = Cells { spans: Vec::new(), left: width };
        cells.push(if is_selected { ">" } else { " " }, 1, Style::new());
        cells
    }

    /// Adds a cell of exactly `columns`.
    fn push(&mut self, content: &str, columns: usize, style: Style) {
        let columns = columns.min(self.left);
        self.spans.push(Span::styled(text::pad(content, columns), style));
        self.left -= columns;
        if self.left > 0 {
            self.spans.push(Span::raw(" "));
            self.left -= 1;
        }
    }

    /// Adds a cell of exactly `columns`, whose text is on the right.
    fn push_right(&mut self, content: &str, columns: usize) {
        let fitted = text::fit(content, columns);
        let spaces = columns.saturating_sub(text::width(&fitted));
        // `push` would remove the spaces.
        let columns = columns.min(self.left);
        let cell = " ".repeat(spaces) + &fitted;
        let cell = if columns < spaces + text::width(&fitted) { text::pad(&fitted, columns) } else { cell };
        self.spans.push(Span::raw(cell));
        self.left -= columns;
        if self.left > 0 {
            self.spans.push(Span::raw(" "));
            self.left -= 1;
        }
    }

    /// Adds two cells that divide the rest: the first takes at most `most` columns, and about two fifths.
    fn divide(mut self, first: &str, most: usize, second: &str, style: Style) -> Line<'static> {
        let share = (self.left * 2 / 5).min(most);
        let share = if second.is_empty() { self.left } else { share };
        self.push(first, share, Style::new());
        let rest = self.left;
        self.push(second, rest, style);
        Line::from(self.spans)
    }
}

/// The longest title that a list shows if a text follows it.
const TITLE: usize = 50;

pub(super) fn need(need: &Need, width: usize, is_selected: bool, palette: Palette) -> Line<'static> {
    let mut cells = Cells::new(width, is_selected);
    cells.push(&need.name, ID, Style::new());
    let style = if need.kind == "failed" { palette.bad() } else { palette.attention() };
    cells.push(need.kind, KIND, style);
    match &need.spec {
        Some(spec) => {
            cells.push_right(&short_cost(&spec.usage), COST);
            cells.divide(&spec.title, TITLE, &need.text, palette.faint())
        }
        None => {
            let rest = cells.left;
            cells.push(&need.text, rest, Style::new());
            Line::from(cells.spans)
        }
    }
}

/// Returns the one or two lines of a running spec.
pub(super) fn running(
    model: &Model,
    running: &Running,
    width: usize,
    is_selected: bool,
    palette: Palette,
) -> [Line<'static>; 2] {
    let spec = &running.spec;
    let mut cells = Cells::new(width, is_selected);
    cells.push(spec.id.as_str(), ID, Style::new());
    cells.push(&done_of(spec), 5, Style::new());
    let task = spec.tasks.iter().find(|task| task.status == TaskStatus::Running);
    cells.push(task.map_or("", |task| &task.id), TASK, palette.active());
    let tries = running.tries.map(|(number, most)| format!("try {number}/{most}"));
    cells.push(&tries.unwrap_or_default(), 8, Style::new());
    let since = spec.attempt_started_at.or(spec.started_at);
    cells.push_right(&since.map(|at| duration(model.now.millis_since(at))).unwrap_or_default(), AGE);
    cells.push_right(&short_cost(&spec.usage), COST);
    let first = cells.divide(&spec.title, usize::MAX, "", Style::new());
    let (told, style) = match trouble(running) {
        Some(trouble) => (trouble, palette.attention()),
        None => (progress(model, running), palette.faint()),
    };
    let indent = 2 + ID + 1;
    let second = text::fit(&told, width.saturating_sub(indent));
    [first, Line::from(vec![Span::raw(" ".repeat(indent.min(width))), Span::styled(second, style)])]
}

/// Returns what keeps a running spec from going on, in words.
fn trouble(running: &Running) -> Option<String> {
    match &running.spec.cause {
        Some(Cause::ApiErrors { last, retry: Some(retry), .. }) => {
            Some(format!("API: {last}, retry {} of {}", retry.attempt, retry.of))
        }
        Some(Cause::ApiErrors { errors, last, retry: None, .. }) => {
            let ending = if *errors == 1 { "" } else { "s" };
            Some(format!("API: {last}, {errors} request{ending} failed"))
        }
        Some(_) => running.spec.reason.as_deref().map(localized),
        None => None,
    }
}

fn progress(model: &Model, running: &Running) -> String {
    let git = running.spec.git.as_ref();
    let git = git.map(|git| format!("{}, {}", git.command, duration(model.now.millis_since(git.since))));
    let step = git.as_deref().unwrap_or(&running.step);
    let step = if running.last_line.is_empty() { step.to_owned() } else { text::fit(step, STEP) };
    let parts = [step, running.last_line.clone()];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" · ")
}

pub(super) fn next(
    model: &Model,
    spec: Option<&SpecView>,
    width: usize,
    is_selected: bool,
    palette: Palette,
) -> Line<'static> {
    let mut cells = Cells::new(width, is_selected);
    let Some(spec) = spec else {
        cells.push("...", ID, palette.faint());
        return Line::from(cells.spans);
    };
    cells.push(spec.id.as_str(), ID, Style::new());
    cells.push(&done_of(spec), 5, Style::new());
    cells.push_right(&format!("p{}", spec.priority), 5);
    cells.push_right(&duration(model.now.millis_since(spec.queued_at)), AGE);
    cells.divide(&spec.title, TITLE, &why_waits(model, spec), palette.faint())
}

/// Returns why a queued spec waits.
pub(super) fn why_waits(model: &Model, spec: &SpecView) -> String {
    if let Some(reason) = &spec.reason {
        return localized(reason);
    }
    let Some(status) = model.data.as_ref().map(|data| &data.status) else { return String::new() };
    let slots = status.slots;
    match &status.daemon {
        None => "no daemon runs: `boi daemon start`".to_owned(),
        Some(_) if status.paused => "the queue is paused: p resumes it".to_owned(),
        Some(daemon) if daemon.draining || daemon.stopping => "the daemon is ending".to_owned(),
        Some(daemon) if daemon.scoped => "the daemon is a `boi run`, which runs only its own specs".to_owned(),
        Some(_) if slots.max_workers == 0 => "`max_workers` is 0".to_owned(),
        Some(_) if slots.running >= slots.max_workers => {
            format!("waits for a worker ({} of {} are busy)", slots.running, slots.max_workers)
        }
        Some(_) => "starts soon".to_owned(),
    }
}

/// Returns how many tasks of a spec are done, and how many it has.
fn done_of(spec: &SpecView) -> String {
    let done = spec.tasks.iter().filter(|task| task.status == TaskStatus::Done).count();
    format!("{done}/{}", spec.tasks.len())
}
