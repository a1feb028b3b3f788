//! The progress of specs on standard error: a line each that moves on a terminal, a line for each change elsewhere.

use std::collections::HashMap;
use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::decide::text;
use crate::domain::attempt::{SpecStatus, TaskStatus};
use crate::domain::id::SpecId;
use crate::domain::view::{SpecView, StatusView, TaskView};

/// The progress of specs.
pub struct Progress {
    bars: Option<MultiProgress>,
    lines: HashMap<SpecId, (Option<ProgressBar>, String)>,
    quiet: bool,
}

impl Progress {
    /// Begins. `quiet`: the output is for a script, so nothing moves.
    pub fn begin(quiet: bool) -> Progress {
        let moving = std::io::stderr().is_terminal() && !quiet;
        let bars = moving.then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10)));
        Progress { bars, lines: HashMap::new(), quiet }
    }

    /// Shows the state.
    pub fn show(&mut self, status: &StatusView) {
        for spec in &status.specs {
            let now = line(spec);
            match self.lines.get_mut(&spec.id) {
                Some((_, before)) if *before == now => continue,
                Some((bar, before)) => {
                    before.clone_from(&now);
                    Self::draw(bar.as_ref(), spec, now, self.quiet);
                }
                None => {
                    let bar = self.bars.as_ref().map(|bars| bars.add(bar()));
                    Self::draw(bar.as_ref(), spec, now.clone(), self.quiet);
                    self.lines.insert(spec.id.clone(), (bar, now));
                }
            }
        }
    }

    fn draw(bar: Option<&ProgressBar>, spec: &SpecView, line: String, quiet: bool) {
        match bar {
            Some(bar) if spec.status.is_ended() => bar.finish_with_message(line),
            Some(bar) => bar.set_message(line),
            None if quiet => {}
            None => eprintln!("{line}"),
        }
    }

    /// Leaves the terminal as a plain command would.
    pub fn end(self) {
        if let Some(bars) = self.bars {
            // The report that follows says the same and more.
            drop(bars.clear());
        }
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg} {elapsed:>4}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(120));
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
        ended => format!("{id}  {title}  {}, {done}/{of} tasks done", ended.as_str()),
    }
}
