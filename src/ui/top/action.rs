//! What the dashboard asks its runtime to do. Every change is made by a command of boi.

use crate::domain::id::SpecId;

/// What the runtime does after an update of the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    /// End the dashboard.
    Quit,
    /// End the dashboard as Ctrl-C ends a command.
    Interrupt,
    /// Stop the process as Ctrl-Z stops a command, until the shell continues it.
    Suspend,
    /// Draw the whole screen again.
    Redraw,
    /// Leave the screen to a command, which has the terminal until it ends.
    Show(Show),
    /// Run a command without the terminal, and report the first line of its output.
    Run(Action),
}

/// A command that uses the terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Show {
    /// `boi diff`.
    Diff(SpecId),
    /// `boi log`.
    Log(SpecId),
    /// `boi open`.
    Open(SpecId),
}

impl Show {
    /// Returns the arguments of boi.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let (command, id) = match self {
            Show::Diff(id) => ("diff", id),
            Show::Log(id) => ("log", id),
            Show::Open(id) => ("open", id),
        };
        vec![command.to_owned(), id.to_string()]
    }

    /// Returns whether the user reads the command's output, so that the dashboard waits for a key when the command
    /// has ended.
    pub(crate) fn is_read(&self) -> bool {
        !matches!(self, Show::Open(_))
    }
}

/// A command that changes something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// `boi merge`.
    Merge(SpecId),
    /// `boi retry --note`.
    SendBack(SpecId, String),
    /// `boi retry`.
    Retry(SpecId),
    /// `boi retry --failed`.
    RetryFailed,
    /// `boi drop`.
    Drop(SpecId),
    /// `boi cancel`.
    Cancel(SpecId),
    /// `boi pause`.
    Pause,
    /// `boi resume`.
    Resume,
}

impl Action {
    /// Returns the arguments of boi.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let with_id = |command: &str, id: &SpecId| vec![command.to_owned(), id.to_string()];
        match self {
            Action::Merge(id) => with_id("merge", id),
            // One argument, so that a note may begin with a hyphen.
            Action::SendBack(id, note) => [with_id("retry", id), vec![format!("--note={note}")]].concat(),
            Action::Retry(id) => with_id("retry", id),
            Action::RetryFailed => vec!["retry".to_owned(), "--failed".to_owned()],
            Action::Drop(id) => with_id("drop", id),
            Action::Cancel(id) => with_id("cancel", id),
            Action::Pause => vec!["pause".to_owned()],
            Action::Resume => vec!["resume".to_owned()],
        }
    }

    /// Returns the command for people, without the text of a note.
    pub(crate) fn name(&self) -> String {
        match self {
            Action::SendBack(id, _) => format!("boi retry {id} --note ..."),
            other => format!("boi {}", other.arguments().join(" ")),
        }
    }
}
