//! `boi log`: chooses the commands of a spec, and prints or follows their output.

use std::collections::BTreeMap;
use std::time::Duration;

use super::args::Log;
use super::backend::{self, Backend, KNOWN};
use super::changes::Changes;
use super::log_printer::{Form, Section};
use super::own_task::OwnTask;
use super::printing::stream_styled;
use super::{CliError, ExitCode, FAILED, USAGE, block_on};
use crate::agents::OutputKind;
use crate::config::Agents;
use crate::config::flags::Flags;
use crate::domain::event::EventFilter;
use crate::domain::life::{SpecStatus, TaskStatus};
use crate::domain::position::{CommandStage, Setup, Stage, Try, Verify};
use crate::domain::spec::{Action, Spec};
use crate::domain::text;
use crate::domain::time::Timestamp;
use crate::domain::view::{NoteView, SpecView};
use crate::process::command_dir::CommandDir;
use crate::queue::{CommandRow, Filter, Queue, QueueError};
use crate::reload;
use crate::system::output::{reader_gone, say};
use crate::system::paths::Home;
use crate::ui::times;

/// The interval at which `--follow` reads new output.
const POLL: Duration = Duration::from_millis(150);
/// The shortest time between two looks at the state because of a change that is not an event of the spec.
const STATE_PAUSE: Duration = Duration::from_secs(1);
/// The maximum number of characters of a command of one line that a heading shows.
const COMMAND: usize = 400;
/// The maximum number of characters of a note that a heading shows.
const NOTE: usize = 300;

/// Carries out `boi log`.
pub(super) fn log(home: &Home, args: &Log) -> Result<ExitCode, CliError> {
    if let Some(task) = OwnTask::find(home).filter(|_| args.follow) {
        task.refuse_waiting_for(&args.id)?;
    }
    let configured = backend::configured(home);
    let queue = backend::read(&configured)?.ok_or_else(|| unknown_spec(args))?;
    let spec = queue.spec(&args.id)?;
    if let Some(task) = &args.task
        && !spec.tasks.iter().any(|known| &known.id == task)
    {
        let known: Vec<&str> = spec.tasks.iter().map(|task| task.id.as_str()).collect();
        return Err(CliError::new(USAGE, format!("{} has no task `{task}`", args.id)).hint(format!(
            "the tasks of {}: {}",
            args.id,
            known.join(", ")
        )));
    }
    block_on(print_or_follow(home, &configured, queue.as_ref(), &spec, args))
}

/// The number of a command's attempt, and the number of the command in it. Later commands compare greater.
type Place = (u32, u32);

async fn print_or_follow(
    home: &Home,
    configured: &Home,
    queue: &dyn Queue,
    spec: &Spec,
    args: &Log,
) -> Result<ExitCode, CliError> {
    let mut backend = Backend::find(home).await?;
    // The current configuration says how to read each agent's output. The output of an agent that was removed
    // from it is read as text.
    let agents =
        reload::load(home, &Flags::default()).map_or_else(|_| Agents::default(), |loaded| loaded.config.agents);
    let filter = Filter { ids: vec![args.id.clone()], ..Filter::default() };
    let dir_of = |(attempt, number): Place| CommandDir::at(configured.command(&args.id, attempt, number));
    let notes = queue.notes(&args.id)?;
    let mut sections: Vec<(Place, Section)> = Vec::new();
    // With `--follow`: the first command that was shown. Every later command is shown when it begins.
    let mut follow_from = None;
    let mut changes = None;
    let mut known = None;
    // The commands that have begun, and the version of the queue that has them.
    let mut rows: Option<(i64, Vec<CommandRow>)> = None;
    loop {
        let state = match (&mut changes, known.take()) {
            (Some(open), Some(state)) => match Changes::happened(open) {
                Ok(false) => state,
                Ok(true) => backend.status_now(home, &filter, KNOWN).await?,
                // The daemon has ended. The next one, or this process, has the state.
                Err(_) => {
                    changes = None;
                    backend.status_now(home, &filter, None).await?
                }
            },
            _ => {
                if args.follow {
                    let of_spec = EventFilter { specs: vec![args.id.clone()], kinds: Vec::new() };
                    changes = Changes::begin(&backend, of_spec, STATE_PAUSE).await.unwrap_or_default();
                }
                backend.status_now(home, &filter, None).await?
            }
        };
        let told = &state.status;
        let Some(view) = told.specs.first() else { return Err(unknown_spec(args)) };
        let version = queue.version()?;
        if rows.as_ref().is_none_or(|(known, _)| *known != version) {
            rows = Some((version, queue.commands(&args.id)?));
        }
        let rows = rows.as_ref().map_or(&[][..], |(_, rows)| rows);
        let chosen = choose_commands(rows, spec, &notes, &agents, args, follow_from);
        let last = rows.last().map(|row| (row.attempt, row.number));
        let runs = |place: Place| dir_of(place).is_locked().unwrap_or(false);
        // Without a daemon no new command begins, but a command that an earlier daemon started may still run
        // and print.
        let over = view.is_settled() || told.daemon.is_none() && !last.is_some_and(runs);
        let follows = args.follow && !over;
        if chosen.is_empty() && !follows {
            return report_nothing_chosen(spec, args, rows, view);
        }
        if args.follow && follow_from.is_none() {
            follow_from = chosen.first().map(|first| first.place);
        }
        let first_open = sections.len().saturating_sub(1);
        for Chosen { place, heading, agent, shows_end, began_at } in chosen.into_iter().skip(sections.len()) {
            let form = match (args.raw, agent) {
                (true, _) => Form::Raw,
                (false, Some(agent)) => Form::Described(agent),
                (false, None) => Form::Escaped,
            };
            let section = Section::new(heading, dir_of(place), form);
            let section = if shows_end { section.with_end(began_at) } else { section };
            sections.push((place, section));
        }
        let count = sections.len();
        let mut removed = 0;
        for (index, (place, section)) in sections.iter_mut().enumerate().skip(first_open) {
            let is_current = Some(*place) == last && !view.is_settled();
            if !section.print_new(!follows || index + 1 < count, is_current)? {
                removed += 1;
            }
        }
        if !follows {
            return conclude(args, view, count > 0 && removed == count);
        }
        known = Some(state);
        // Cancel-safe: both only wait.
        tokio::select! {
            () = tokio::time::sleep(POLL) => {}
            () = reader_gone() => return Err(CliError::ReaderGone),
        }
    }
}

fn conclude(args: &Log, view: &SpecView, all_removed: bool) -> Result<ExitCode, CliError> {
    let id = &args.id;
    if all_removed {
        return Err(CliError::new(FAILED, format!("the output of {id} was removed by `boi clean`")));
    }
    if view.is_settled() && !args.raw && !view.is_as_asked() {
        print_end(view)?;
    }
    if args.follow && !view.is_settled() {
        say!("no daemon runs, and {id} is {}: `boi daemon start` continues the spec", view.status.as_str());
    }
    Ok(if args.follow && view.is_settled() && !view.is_as_asked() { FAILED } else { 0 })
}

/// Prints how a spec ended that did not complete as it asks, and what to do next.
fn print_end(view: &SpecView) -> Result<(), CliError> {
    let status = if view.status == SpecStatus::Completed { "unmerged" } else { view.status.as_str() };
    let reason = view.reason.as_deref().map(|reason| format!(": {}", times::localized(reason))).unwrap_or_default();
    stream_styled(&format!("== {} {status}{}\n", view.id, text::plain(&reason)))
}

/// Reports that no command matches the arguments, and lists the commands that exist.
fn report_nothing_chosen(spec: &Spec, args: &Log, rows: &[CommandRow], view: &SpecView) -> Result<ExitCode, CliError> {
    let id = &args.id;
    let mut tries: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for row in rows {
        if let Some(Stage::Command(CommandStage::Act(Try { task, number }))) = row.stage {
            tries.entry(task).or_default().push(number.to_string());
        }
    }
    let message = match (&args.task, args.try_number) {
        (None, None) => {
            say!("{id} has not run any command yet");
            return Ok(0);
        }
        (Some(task), Some(number)) => format!("there is no try {number} of task `{task}` in {id}"),
        (None, Some(number)) => format!("there is no try {number} in {id}"),
        (Some(task), None) => {
            let status = view.tasks.iter().find(|known| &known.id == task).map(|known| known.status);
            let status = status.unwrap_or(TaskStatus::Pending).as_str();
            format!("there is no try of task `{task}` in {id}: the task is {status}")
        }
    };
    let known: Vec<String> = tries
        .iter()
        .filter_map(|(index, numbers)| Some(format!("{} (try {})", spec.tasks.get(*index)?.id, numbers.join(", "))))
        .collect();
    let known = if known.is_empty() { "none yet".to_owned() } else { known.join("; ") };
    Err(CliError::new(USAGE, message).hint(format!("the tries so far: {known}")))
}

fn unknown_spec(args: &Log) -> CliError {
    QueueError::NotFound(args.id.clone()).into()
}

/// A command whose output is shown.
struct Chosen {
    place: Place,
    heading: String,
    /// The agent that the command runs; `None`: the command runs no known agent.
    agent: Option<OutputKind>,
    /// Whether the exit status and the time of the command are shown after its output.
    shows_end: bool,
    /// When the command began.
    began_at: Timestamp,
}

/// Returns the commands to show: those that the arguments name, or by default those of the current try.
fn choose_commands(
    rows: &[CommandRow],
    spec: &Spec,
    notes: &[NoteView],
    agents: &Agents,
    args: &Log,
    follow_from: Option<Place>,
) -> Vec<Chosen> {
    let mut commands = Vec::new();
    let mut current_try = (0, 0);
    for row in rows {
        // A command whose record this version cannot read is not shown.
        let Some(Stage::Command(stage)) = &row.stage else { continue };
        let (of_try, heading, agent, shows_end) = match stage {
            CommandStage::Act(Try { task, number }) => {
                let known = &spec.tasks[*task];
                let (what, agent) = match &known.action {
                    Action::Prompt(_) => {
                        let agent = spec.agent_of(*task);
                        (agent.to_owned(), agents.get(agent).map(|agent| agent.worker.output))
                    }
                    Action::Run(command) => (commands_text("run", command), None),
                };
                current_try = (*task, *number);
                let note = notes.iter().find(|note| note.attempt == row.attempt && note.task == known.id);
                let note = note.map_or_else(String::new, |note| {
                    format!(" · sent back with the note: {}", text::one_line(&note.note, NOTE))
                });
                (Some(current_try), format!("== {} · try {number} · {what}{note}", known.id), agent, false)
            }
            CommandStage::Verify(Verify::Task { of: Try { task, number }, index, .. }) => {
                let known = &spec.tasks[*task];
                let verify =
                    spec.verify_of(*task).get(*index).map_or_else(String::new, |command| (*command).to_owned());
                let verify = commands_text("verify", &verify);
                (Some((*task, *number)), format!("== {} · try {number} · {verify}", known.id), None, true)
            }
            CommandStage::Setup(Setup { index, .. }) => {
                let command = spec.setup.get(*index).map_or("", String::as_str);
                (None, format!("== {}", commands_text("setup", command)), None, true)
            }
            // The commands of a lander are in its own folder.
            CommandStage::Verify(Verify::Batch { .. }) => continue,
            CommandStage::Verify(Verify::Spec { index } | Verify::Merge { index, .. }) => {
                let verify = spec.verify.get(*index).map_or("", String::as_str);
                (None, format!("== {}", commands_text("verify", verify)), None, true)
            }
        };
        let (place, began_at) = ((row.attempt, row.number), row.began_at);
        commands.push((Chosen { place, heading, agent, shows_end, began_at }, of_try));
    }
    let is_chosen = |place: Place, of_try: Option<(usize, u32)>| match (&args.task, args.try_number) {
        _ if args.all => true,
        (None, None) if follow_from.is_some_and(|from| place >= from) => true,
        (None, None) => of_try.is_none_or(|of_try| of_try == current_try),
        (task, number) => of_try.is_some_and(|(index, try_number)| {
            task.as_ref().is_none_or(|task| &spec.tasks[index].id == task)
                && number.is_none_or(|number| number == try_number)
        }),
    };
    commands.retain(|(command, of_try)| is_chosen(command.place, *of_try));
    commands.into_iter().map(|(command, _)| command).collect()
}

/// Returns `what` and a shell command: in the same line, or, if the command has several lines, below it as it is.
fn commands_text(what: &str, command: &str) -> String {
    let plain = text::plain(command);
    let lines: Vec<&str> = plain.trim_end().lines().skip_while(|line| line.trim().is_empty()).collect();
    if lines.len() <= 1 {
        return format!("{what}: {}", text::one_line(&plain, COMMAND));
    }
    lines.iter().fold(format!("{what}:"), |heading, line| format!("{heading}\n     {line}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_of_several_lines_is_shown_as_it_is() {
        assert_eq!(commands_text("verify", "cargo  test\n"), "verify: cargo test");
        assert_eq!(
            commands_text("run", "for x in 1 2; do\n  echo $x\x1b[2J\ndone\n"),
            "run:\n     for x in 1 2; do\n       echo $x\n     done"
        );
    }
}
