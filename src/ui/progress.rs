//! Shows the progress of specs on standard error. On a terminal, each spec has one line, which is updated in
//! place; elsewhere, each change is a new line.

use std::collections::{HashMap, HashSet};
use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::obstacle::obstacle;
use super::times::localized;
use super::wrap::fit_ends;
use crate::domain::cause::Cause;
use crate::domain::id::SpecId;
use crate::domain::life::{SpecStatus, TaskStatus};
use crate::domain::outcome::Delivery;
use crate::domain::text;
use crate::domain::view::{SpecView, StatusView, TaskView};
use crate::system::output::say;
use crate::system::{clock, terminal};

/// The interval between two frames of a spinner.
const FRAME: Duration = Duration::from_millis(120);

/// Shows the progress of specs.
pub(crate) struct Progress {
    /// The lines on the terminal; `None`: standard error is not a terminal, or `quiet` is set.
    bars: Option<Bars>,
    /// The last line printed for each spec.
    lines: HashMap<SpecId, String>,
    messages: HashSet<String>,
    quiet: bool,
}

/// The lines on a terminal: one for each spec, at most as many as the terminal has rows.
struct Bars {
    all: MultiProgress,
    /// The lines, each with the spec that it shows; `None`: the line shows no spec.
    bars: Vec<(ProgressBar, Option<SpecId>)>,
}

impl Progress {
    /// Creates the progress. `quiet`: it prints only messages and no progress, because a script reads the
    /// output.
    pub(crate) fn new(quiet: bool) -> Progress {
        let bars = (std::io::stderr().is_terminal() && !quiet).then(|| Bars {
            all: MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10)),
            bars: Vec::new(),
        });
        Progress { bars, lines: HashMap::new(), messages: HashSet::new(), quiet }
    }

    /// Shows the progress of the specs in `status`.
    pub(crate) fn update(&mut self, status: &StatusView) {
        if let Some(obstacle) = obstacle(status) {
            self.print_once(&obstacle);
        }
        match &mut self.bars {
            Some(bars) => bars.update(&status.specs),
            None => {
                for spec in &status.specs {
                    let now = line(spec);
                    if self.lines.get(&spec.id) != Some(&now) {
                        if !self.quiet {
                            say!("{now}");
                        }
                        self.lines.insert(spec.id.clone(), now);
                    }
                }
            }
        }
    }

    /// Prints a message above the progress, unless it was printed before.
    pub(crate) fn print_once(&mut self, text: &str) {
        if !self.messages.insert(text.to_owned()) {
            return;
        }
        match &self.bars {
            Some(bars) => bars.all.suspend(|| say!("{text}")),
            None => say!("{text}"),
        }
    }

    /// Removes the progress from the terminal.
    pub(crate) fn clear(self) {
        if let Some(bars) = self.bars {
            // If the lines cannot be removed, nothing is lost: the summary that follows repeats what they
            // show.
            drop(bars.all.clear());
        }
    }
}

impl Bars {
    fn update(&mut self, specs: &[SpecView]) {
        let rows = terminal::stderr_size().map_or(usize::MAX, |size| size.rows.saturating_sub(1).max(2));
        let (shown, more) = select(specs, rows);
        while self.bars.len() < shown.len() + usize::from(more > 0) {
            self.bars.push((self.all.add(bar()), None));
        }
        for ((bar, on), spec) in self.bars.iter_mut().zip(&shown) {
            if on.as_ref() != Some(&spec.id) {
                *on = Some(spec.id.clone());
                bar.reset();
                let since = spec.attempt_started_at.or(spec.started_at).unwrap_or(spec.queued_at);
                let until = spec.finished_at.unwrap_or_else(clock::now);
                let elapsed = Duration::from_millis(u64::try_from(until.millis_since(since)).unwrap_or(0));
                *bar = bar.clone().with_elapsed(elapsed);
                bar.enable_steady_tick(FRAME);
            }
            match (spec.is_settled(), bar.is_finished()) {
                (true, false) => bar.finish_with_message(line(spec)),
                (true, true) => {}
                (false, _) => bar.set_message(line(spec)),
            }
        }
        if more > 0
            && let Some((bar, on)) = self.bars.get_mut(shown.len())
        {
            *on = None;
            bar.finish_with_message(format!("... {more} more"));
        }
        for (bar, on) in self.bars.iter_mut().skip(shown.len() + usize::from(more > 0)) {
            *on = None;
            bar.finish_with_message("");
        }
    }
}

/// Returns the specs to show in `rows` rows, and the number of specs left out. If some are left out, running
/// specs come first and ended specs last.
fn select(specs: &[SpecView], rows: usize) -> (Vec<&SpecView>, usize) {
    if specs.len() <= rows {
        return (specs.iter().collect(), 0);
    }
    let mut order: Vec<&SpecView> = specs.iter().collect();
    order.sort_by_key(|spec| match spec.status {
        SpecStatus::Running => 0,
        SpecStatus::Queued => 1,
        _ => 2,
    });
    order.truncate(rows.saturating_sub(1));
    let more = specs.len() - order.len();
    (order, more)
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg} {elapsed:>4}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(FRAME);
    bar
}

/// Returns the progress of a spec in one line.
fn line(spec: &SpecView) -> String {
    let title = text::fit(&spec.title, 40);
    let done = spec.tasks.iter().filter(|task| task.status == TaskStatus::Done).count();
    let (id, of) = (&spec.id, spec.tasks.len());
    match spec.status {
        SpecStatus::Running if matches!(spec.cause, Some(Cause::NextTry { .. } | Cause::ApiErrors { .. })) => {
            let reason = spec.reason.as_deref().unwrap_or_default();
            format!("{id}  {title}  {}", fit_ends(&localized(reason), 160))
        }
        SpecStatus::Running => match spec.tasks.iter().position(|task| task.status == TaskStatus::Running) {
            Some(index) => {
                let TaskView { id: task, title: step, tries, .. } = &spec.tasks[index];
                let tried = if *tries > 1 { format!("  (try {tries})") } else { String::new() };
                let step = text::fit(step, 50);
                let step = if step == *task { step } else { format!("{task}: {step}") };
                format!("{id}  {title}  task {}/{of}  {step}{tried}", index + 1)
            }
            None => format!("{id}  {title}  {done}/{of} tasks done"),
        },
        SpecStatus::Queued => match &spec.reason {
            Some(reason) => format!("{id}  {title}  queued: {}", fit_ends(&localized(reason), 100)),
            None => format!("{id}  {title}  queued"),
        },
        ended => {
            let unmerged = if spec.delivery == Some(Delivery::Unmerged) { ", unmerged" } else { "" };
            format!("{id}  {title}  {}{unmerged}, {done}/{of} tasks done", ended.as_str())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::sample;

    #[test]
    fn running_specs_come_first_when_rows_are_short() {
        let states = [SpecStatus::Completed, SpecStatus::Queued, SpecStatus::Running, SpecStatus::Running];
        let specs: Vec<SpecView> =
            (1..).zip(states).map(|(number, status)| sample::spec(number, status, "t")).collect();
        let ids = |rows| {
            let (shown, more) = select(&specs, rows);
            (shown.iter().map(|spec| spec.id.to_string()).collect::<Vec<_>>(), more)
        };
        assert_eq!(ids(4).0, ["S0001", "S0002", "S0003", "S0004"]);
        assert_eq!(ids(3), (vec!["S0003".to_owned(), "S0004".to_owned()], 2));
    }
}
