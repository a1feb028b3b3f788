//! The styles of text on a terminal.

use anstyle::{AnsiColor, Style};

use crate::domain::life::{SpecStatus, TaskStatus};

/// The style of the word `error` in front of a message.
pub(crate) const ERROR: Style = BAD.bold();
pub(super) const GOOD: Style = AnsiColor::Green.on_default();
pub(super) const BAD: Style = AnsiColor::Red.on_default();
pub(super) const ATTENTION: Style = AnsiColor::Yellow.on_default();
const ACTIVE: Style = AnsiColor::Blue.on_default();
const PLAIN: Style = Style::new();

pub(crate) fn paint(text: &str, style: Style) -> String {
    format!("{style}{text}{style:#}")
}

pub(super) fn of_spec(status: SpecStatus) -> Style {
    match status {
        SpecStatus::Queued => PLAIN,
        SpecStatus::Running => ACTIVE,
        SpecStatus::Completed => GOOD,
        SpecStatus::Failed => BAD,
        SpecStatus::Canceled | SpecStatus::Dropped => ATTENTION,
    }
}

pub(super) fn of_task(status: TaskStatus) -> Style {
    match status {
        TaskStatus::Pending | TaskStatus::Skipped => PLAIN,
        TaskStatus::Running => ACTIVE,
        TaskStatus::Done => GOOD,
        TaskStatus::Failed => BAD,
    }
}
