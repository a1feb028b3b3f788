//! Draws the model.

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Position;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use super::keys::{HELP, SHORT};
use super::rows::{self, Palette};
use super::state::{Band, Data, Mode, Model};
use crate::domain::text;
use crate::ui::times::localized;
use crate::ui::units::{duration, short_cost};
use crate::ui::wrap::{fit_ends, wrap};

/// Draws the whole screen. `colors`: the terminal shows colours, and the user wants them.
pub(crate) fn draw(model: &Model, colors: bool, frame: &mut Frame<'_>) {
    let palette = Palette { colors };
    let area = frame.area();
    let mut pen = Pen { buffer: frame.buffer_mut(), width: area.width, row: 0, rows: area.height };
    let mut cursor = None;
    if let Mode::Help(top) = &model.mode {
        help(&mut pen, *top);
        return;
    }
    let layout = model.layout();
    if layout.header > 0 {
        pen.line(&Line::styled(header(model), Style::new().add_modifier(Modifier::BOLD)));
    }
    for (band, rows) in &layout.lists {
        list(&mut pen, model, *band, *rows, layout.running_rows, palette);
    }
    if layout.details > 0 {
        details(&mut pen, model, layout.details, palette);
    }
    if layout.status > 0 {
        let row = pen.row;
        let (line, column) = status(model, usize::from(area.width), palette);
        pen.line(&line);
        cursor = column.and_then(|column| u16::try_from(column).ok()).map(|column| Position::new(column, row));
    }
    if layout.keys > 0 {
        pen.line(&Line::styled(short_keys(usize::from(area.width)), palette.faint()));
    }
    if let Some(cursor) = cursor.filter(|cursor| area.contains(*cursor)) {
        frame.set_cursor_position(cursor);
    }
}

/// Writes lines from top to bottom.
struct Pen<'a> {
    buffer: &'a mut Buffer,
    width: u16,
    row: u16,
    rows: u16,
}

impl Pen<'_> {
    fn line(&mut self, line: &Line<'_>) {
        if self.row < self.rows {
            self.buffer.set_line(0, self.row, line, self.width);
            self.row += 1;
        }
    }

    /// Writes a line in a style that covers the whole row.
    fn whole_line(&mut self, line: &Line<'_>, style: Style) {
        let row = self.row;
        self.line(line);
        if row < self.rows {
            self.buffer.set_style(ratatui::layout::Rect::new(0, row, self.width, 1), style);
        }
    }
}

fn header(model: &Model) -> String {
    let width = usize::from(model.size.0);
    let Some(data) = &model.data else { return text::fit("boi top", width) };
    let status = &data.status;
    let mut parts = vec!["boi top".to_owned()];
    parts.push(match &status.daemon {
        Some(daemon) => format!("daemon up {}", duration(model.now.millis_since(daemon.since))),
        None => "NO DAEMON".to_owned(),
    });
    parts.push(format!("workers {}/{}", status.slots.running, status.slots.max_workers));
    if status.paused {
        parts.push("PAUSED".to_owned());
    }
    if status.deferred.as_ref().is_some_and(|deferral| deferral.all) {
        parts.push("DEFERRED".to_owned());
    }
    let counts = &status.counts;
    parts.push(format!("{} queued", counts.queued));
    let landing: usize = status.landers.iter().map(|lander| lander.batch.len()).sum();
    if landing > 0 {
        parts.push(format!("{landing} landing"));
    }
    parts.push(format!("{} failed", counts.failed));
    let cost = short_cost(&status.spending.day);
    if !cost.is_empty() {
        parts.push(format!("{cost} in 24 h"));
    }
    parts.push(format!("{} completed", counts.completed));
    if !model.filter.is_empty() {
        parts.push(format!("filter: {}", text::fit(&model.filter, 30)));
    }
    let mut line = String::new();
    for part in parts {
        let joined = if line.is_empty() { part } else { format!("{line}  {part}") };
        if text::width(&joined) > width {
            break;
        }
        line = joined;
    }
    line
}

fn list(pen: &mut Pen<'_>, model: &Model, band: Band, rows: u16, running_rows: u16, palette: Palette) {
    let width = usize::from(pen.width);
    let is_current = model.band == band;
    pen.line(&Line::styled(list_title(model, band, width), palette.title(is_current)));
    let end = pen.row + rows;
    let (count, place) = (model.count(band), model.place(band));
    if count == 0 && rows > 0 {
        pen.line(&Line::styled(cut(&format!("  {}", nothing(model, band)), width), palette.faint()));
    }
    let (needs, running) = (model.needs(), model.running());
    for index in place.top..count {
        let lines = match band {
            Band::Running => running_rows,
            Band::Needs | Band::Next => 1,
        };
        if pen.row + lines > end {
            break;
        }
        let is_selected = is_current && index == place.cursor;
        let style = if is_selected { palette.selected() } else { Style::new() };
        match band {
            Band::Needs => pen.whole_line(&rows::need(needs[index], width, is_selected, palette), style),
            Band::Running => {
                let [first, second] = rows::running(model, running[index], width, is_selected, palette);
                pen.whole_line(&first, style);
                if running_rows > 1 {
                    pen.line(&second);
                }
            }
            Band::Next => pen.whole_line(&rows::next(model, model.next(index), width, is_selected, palette), style),
        }
    }
    pen.row = end.min(pen.rows);
}

fn list_title(model: &Model, band: Band, width: usize) -> String {
    // A page of a search has one more item than it shows if there are more.
    let is_cut =
        band == Band::Next && !model.filter.is_empty() && model.data.as_ref().is_some_and(|data| data.next.more);
    let count = model.count(band) - usize::from(is_cut);
    let place = if model.band == band && count > 0 {
        format!("{}/{count}", model.place(band).cursor + 1)
    } else {
        count.to_string()
    };
    let more = match (band, &model.data) {
        (Band::Needs, Some(Data { more_needs: true, .. })) => "+",
        _ if is_cut => "+",
        _ => "",
    };
    let name = match band {
        Band::Needs => "NEEDS YOU",
        Band::Running => "RUNNING",
        Band::Next => "NEXT",
    };
    let mark = if model.band == band { "==" } else { "--" };
    let searched = match band {
        Band::Next if !model.filter.is_empty() => searched(model),
        _ => String::new(),
    };
    let title = format!("{mark} {name} {place}{more}{searched} ");
    let rest = width.saturating_sub(text::width(&title));
    text::fit(&(title + &mark[..1].repeat(rest)), width)
}

/// Says that the search did not look at the whole queue; empty if it did.
fn searched(model: &Model) -> String {
    let queued = model.data.as_ref().map_or(0, |data| data.status.counts.queued);
    let most = crate::queue::SEARCHED;
    if queued > u64::from(most) { format!(" of the first {most}") } else { String::new() }
}

fn nothing(model: &Model, band: Band) -> &'static str {
    match (&model.data, band) {
        (None, _) => "reading ...",
        _ if !model.filter.is_empty() => "nothing matches the filter",
        (_, Band::Needs) => "nothing needs you",
        (_, Band::Running) => "nothing runs",
        (_, Band::Next) => "the queue is empty",
    }
}

/// Describes the selected item in at most `rows` rows.
fn details(pen: &mut Pen<'_>, model: &Model, rows: u16, palette: Palette) {
    let end = pen.row + rows;
    for line in wrap(&described(model), usize::from(pen.width), usize::from(rows)) {
        pen.line(&Line::styled(line, palette.faint()));
    }
    pen.row = end.min(pen.rows);
}

fn described(model: &Model) -> String {
    let cursor = model.place(model.band).cursor;
    let reason = match model.band {
        Band::Needs => match model.needs().get(cursor) {
            Some(need) => need.text.clone(),
            None => return String::new(),
        },
        Band::Running | Band::Next => match model.selected() {
            Some(spec) if model.band == Band::Next => rows::why_waits(model, spec),
            Some(spec) => spec.reason.as_deref().map(localized).unwrap_or_default(),
            None => return String::new(),
        },
    };
    let Some(spec) = model.selected() else { return reason };
    let mut parts = vec![format!("{} {}", spec.id, spec.title)];
    parts.extend(Some(reason).filter(|reason| !reason.is_empty()));
    parts.extend(spec.repo.as_ref().map(|repo| format!("in {repo}")));
    parts.join(" · ")
}

/// Returns the status bar, and the column of the cursor while the user types.
fn status(model: &Model, width: usize, palette: Palette) -> (Line<'static>, Option<usize>) {
    let typing = |prompt: String, input: &super::input::Input| {
        let prompt = cut(&prompt, width / 2);
        let used = text::width(&prompt);
        let (shown, column) = input.window(width.saturating_sub(used));
        (Line::from(vec![Span::raw(prompt), Span::raw(shown)]), Some(used + column))
    };
    match &model.mode {
        Mode::Filter(input) => return typing("/".to_owned(), input),
        Mode::Note(id, input) => return typing(format!("Note for {id}: "), input),
        Mode::Confirm(question, _) => return (Line::styled(text::fit(question, width), palette.attention()), None),
        Mode::List | Mode::Help(_) => {}
    }
    let busy: Vec<String> = model.busy.iter().map(super::Action::name).collect();
    let (told, style) = match (&model.notice, &model.trouble) {
        (Some(notice), _) => (notice.text.clone(), if notice.success { Style::new() } else { palette.bad() }),
        (None, Some(trouble)) => (trouble.clone(), palette.bad()),
        (None, None) if busy.is_empty() => (String::new(), Style::new()),
        (None, None) => (format!("running: {}", busy.join(", ")), palette.active()),
    };
    (Line::styled(fit_ends(&told, width), style), None)
}

fn short_keys(width: usize) -> String {
    let mut line = String::new();
    for key in SHORT {
        let joined = if line.is_empty() { key.to_owned() } else { format!("{line} {key}") };
        if text::width(&joined) > width {
            break;
        }
        line = joined;
    }
    line
}

fn help(pen: &mut Pen<'_>, top: usize) {
    let width = usize::from(pen.width);
    pen.line(&Line::styled(text::fit("Keys of boi top", width), Style::new().add_modifier(Modifier::BOLD)));
    let rows = usize::from(pen.rows).saturating_sub(2);
    for (key, what) in HELP.iter().skip(top).take(rows) {
        let line = if width < 50 { format!("{key}: {what}") } else { format!("  {key:<18} {what}") };
        pen.line(&Line::raw(cut(&line, width)));
    }
    pen.row = pen.rows.saturating_sub(1);
    let last = if top + rows < HELP.len() { "j: further down, Esc: back" } else { "Esc: back" };
    pen.line(&Line::raw(text::fit(last, width)));
}

/// Cuts a line of ASCII text, whose spaces stay.
fn cut(line: &str, width: usize) -> String {
    line.chars().take(width).collect()
}
