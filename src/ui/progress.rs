//! The progress of specs on standard error: a line each that moves on a terminal, a line for each change elsewhere.

use std::collections::{HashMap, HashSet};
use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::report;
use crate::domain::attempt::{SpecStatus, TaskStatus};
use crate::domain::id::SpecId;
use crate::domain::outcome::Delivery;
use crate::domain::text;
use crate::domain::view::{SpecView, StatusView, TaskView};
use crate::system::{clock, terminal};

/// How often a spinner turns.
const TICK: Duration = Duration::from_millis(120);

/// The progress of specs.
pub struct Progress {
    moving: Option<Moving>,
    lines: HashMap<SpecId, String>,
    said: HashSet<String>,
    quiet: bool,
}

/// What moves on a terminal: a bar for each spec, as far as there are rows.
struct Moving {
    all: MultiProgress,
    bars: Vec<(ProgressBar, Option<SpecId>)>,
}

impl Progress {
    /// Begins. `quiet`: the output is for a script, so nothing moves.
    pub fn begin(quiet: bool) -> Progress {
        let moving = (std::io::stderr().is_terminal() && !quiet).then(|| Moving {
            all: MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10)),
            bars: Vec::new(),
        });
        Progress { moving, lines: HashMap::new(), said: HashSet::new(), quiet }
    }

    /// Shows the state.
    pub fn show(&mut self, status: &StatusView) {
        if let Some(hindrance) = report::hindrance(status) {
            self.say(&hindrance);
        }
        match &mut self.moving {
            Some(moving) => moving.show(&status.specs),
            None => {
                for spec in &status.specs {
                    let now = line(spec);
                    if self.lines.get(&spec.id) != Some(&now) {
                        if !self.quiet {
                            eprintln!("{now}");
                        }
                        self.lines.insert(spec.id.clone(), now);
                    }
                }
            }
        }
    }

    /// Says something, once.
    pub fn say(&mut self, text: &str) {
        if !self.said.insert(text.to_owned()) {
            return;
        }
        match &self.moving {
            Some(moving) => moving.all.suspend(|| eprintln!("{text}")),
            None => eprintln!("{text}"),
        }
    }

    /// Leaves the terminal as a plain command would.
    pub fn end(self) {
        if let Some(moving) = self.moving {
            // The report that follows says the same and more.
            drop(moving.all.clear());
        }
    }
}

impl Moving {
    fn show(&mut self, specs: &[SpecView]) {
        let rows = terminal::stderr_size().map_or(usize::MAX, |size| size.rows.saturating_sub(1).max(2));
        let (shown, more) = chosen(specs, rows);
        while self.bars.len() < shown.len() + usize::from(more > 0) {
            self.bars.push((self.all.add(bar()), None));
        }
        for ((bar, on), spec) in self.bars.iter_mut().zip(&shown) {
            if on.as_ref() != Some(&spec.id) {
                *on = Some(spec.id.clone());
                bar.reset();
                let since = spec.started_at.unwrap_or(spec.queued_at);
                let until = spec.finished_at.unwrap_or_else(clock::now);
                let elapsed = Duration::from_millis(u64::try_from(until.millis_since(since)).unwrap_or(0));
                *bar = bar.clone().with_elapsed(elapsed);
                bar.enable_steady_tick(TICK);
            }
            match (spec.status.is_ended(), bar.is_finished()) {
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

/// The specs that `rows` rows have room for, and how many are left out: when some are, those that run come first and
/// those that have ended last.
fn chosen(specs: &[SpecView], rows: usize) -> (Vec<&SpecView>, usize) {
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
    bar.enable_steady_tick(TICK);
    bar
}

/// A spec in one line.
fn line(spec: &SpecView) -> String {
    let title = text::one_line(&spec.title, 40);
    let done = spec.tasks.iter().filter(|task| task.status == TaskStatus::Done).count();
    let (id, of) = (&spec.id, spec.tasks.len());
    match spec.status {
        SpecStatus::Running => match spec.tasks.iter().position(|task| task.status == TaskStatus::Running) {
            Some(index) => {
                let TaskView { id: task, title: step, tries, .. } = &spec.tasks[index];
                let again = if *tries > 1 { format!(", try {tries}") } else { String::new() };
                let step = text::one_line(step, 50);
                let step = if step == *task { step } else { format!("{task}: {step}") };
                format!("{id}  {title}  task {}/{of}  {step}{again}", index + 1)
            }
            None => format!("{id}  {title}  {done}/{of} tasks done"),
        },
        SpecStatus::Queued => match &spec.reason {
            Some(reason) => format!("{id}  {title}  queued: {}", text::one_line(reason, 100)),
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
    use crate::domain::outcome::Usage;
    use crate::domain::time::Timestamp;

    fn spec(number: u32, status: SpecStatus) -> SpecView {
        SpecView {
            id: format!("S{number:04X}").parse().unwrap(),
            title: "t".into(),
            status,
            reason: None,
            priority: 100,
            attempt: 0,
            config_generation: None,
            branch: None,
            repo: None,
            base_commit: None,
            worktree: None,
            delivery: None,
            queued_at: Timestamp(0),
            started_at: None,
            finished_at: None,
            tasks: vec![],
            usage: Usage::default(),
            kept: vec![],
        }
    }

    #[test]
    fn what_runs_is_shown_first_where_there_are_too_few_rows() {
        let states = [SpecStatus::Completed, SpecStatus::Queued, SpecStatus::Running, SpecStatus::Running];
        let specs: Vec<SpecView> = (1..).zip(states).map(|(number, status)| spec(number, status)).collect();
        let ids = |rows| {
            let (shown, more) = chosen(&specs, rows);
            (shown.iter().map(|spec| spec.id.to_string()).collect::<Vec<_>>(), more)
        };
        assert_eq!(ids(4).0, ["S0001", "S0002", "S0003", "S0004"]);
        assert_eq!(ids(3), (vec!["S0003".to_owned(), "S0004".to_owned()], 2));
    }
}
