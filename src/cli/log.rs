//! `boi log`: what a spec's tasks printed.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::args::Log;
use super::backend::{self, Backend};
use super::{CliError, Context, ExitCode, USAGE, block_on, print};
use crate::decide::agent::describe;
use crate::decide::text;
use crate::domain::attempt::Step;
use crate::domain::spec::{Action, Spec};
use crate::host::files;
use crate::host::paths::Home;
use crate::host::process::command::CommandDir;
use crate::host::store::{CommandRow, Filter, Store};

/// How often a growing output is read.
const LOOK_EVERY: Duration = Duration::from_millis(150);

/// One command's output, as it is shown.
struct Section {
    place: (u32, u32),
    heading: String,
    output: PathBuf,
    errors: PathBuf,
    words: bool,
}

/// `boi log`.
pub(super) fn log(context: Context, asked: Log) -> Result<ExitCode, CliError> {
    let home = backend::configured(&context.home);
    let store = backend::read(&home)?.ok_or_else(|| unknown(&asked))?;
    let spec = store.spec(&asked.id)?;
    if let Some(task) = &asked.task
        && !spec.tasks.iter().any(|known| &known.id == task)
    {
        let known: Vec<&str> = spec.tasks.iter().map(|task| task.id.as_str()).collect();
        return Err(CliError::new(USAGE, format!("{} has no task `{task}`", asked.id))
            .hint(format!("its tasks: {}", known.join(", "))));
    }
    block_on(async {
        let backend = Backend::find(&context.home).await?;
        // How far each section was printed, in the order of the sections: output and errors.
        let mut printed: Vec<(u64, u64)> = Vec::new();
        // While following, the first command shown: everything after it is shown as it begins.
        let mut from = None;
        loop {
            let filter = Filter { ids: vec![asked.id.clone()], ..Filter::default() };
            let ended = backend.status(filter, None).await?.status.specs.iter().all(|spec| spec.status.is_ended());
            let rows = store.commands(&asked.id)?;
            let sections = sections(&home, &rows, &spec, &asked, from);
            if asked.follow && from.is_none() {
                from = sections.first().map(|section| section.place);
            }
            if sections.is_empty() && ended {
                eprintln!("nothing was run for {} yet", asked.id);
                return Ok(0);
            }
            let first = printed.len().saturating_sub(1);
            for (index, section) in sections.iter().enumerate().skip(first) {
                if printed.len() <= index {
                    print(format!("{}\n", section.heading).as_bytes())?;
                    printed.push((0, 0));
                }
                let complete = !asked.follow || ended || index + 1 < sections.len();
                let (output, errors) = printed[index];
                printed[index] = (
                    show(&section.output, output, section.words, complete)?,
                    show(&section.errors, errors, false, complete)?,
                );
            }
            if !asked.follow || ended {
                return Ok(0);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    })
}

fn sections(home: &Home, rows: &[CommandRow], spec: &Spec, asked: &Log, from: Option<(u32, u32)>) -> Vec<Section> {
    let section = |(row, heading, words): (&CommandRow, String, bool)| {
        let dir = CommandDir::at(home.command(&asked.id, row.attempt, row.number));
        Section {
            place: (row.attempt, row.number),
            heading,
            output: dir.output_file(),
            errors: dir.errors_file(),
            words: words && !asked.raw,
        }
    };
    selected(rows, spec, asked, from).into_iter().map(section).collect()
}

fn unknown(asked: &Log) -> CliError {
    crate::host::store::StoreError::Unknown(asked.id.clone()).into()
}

/// The commands that were asked for: by default those of the current try.
fn selected<'a>(
    rows: &'a [CommandRow],
    spec: &Spec,
    asked: &Log,
    from: Option<(u32, u32)>,
) -> Vec<(&'a CommandRow, String, bool)> {
    let mut chosen = Vec::new();
    let mut current = (0, 0);
    for row in rows {
        let (place, heading, words) = match &row.step {
            Step::Act { task, try_number } => {
                let known = &spec.tasks[*task];
                let (what, words) = match known.action {
                    Action::Prompt(_) => (spec.agent.as_str(), true),
                    Action::Run(_) => ("run", false),
                };
                current = (*task, *try_number);
                (Some(current), format!("== {} · try {try_number} · {what}", known.id), words)
            }
            Step::Check { task, try_number, index, .. } => {
                let known = &spec.tasks[*task];
                let command = text::one_line(&known.verify[*index], 80);
                (Some((*task, *try_number)), format!("== {} · try {try_number} · verify: {command}", known.id), false)
            }
            Step::FinalCheck { index } | Step::DeliverCheck { index, .. } => {
                (None, format!("== verify: {}", text::one_line(&spec.verify[*index], 80)), false)
            }
            _ => continue,
        };
        chosen.push((row, heading, words, place));
    }
    let picked = |row: &CommandRow, place: Option<(usize, u32)>| match (&asked.task, asked.try_number) {
        _ if asked.all => true,
        // What follows is shown too, as it comes.
        (None, None) if from.is_some_and(|from| (row.attempt, row.number) >= from) => true,
        (None, None) => place.is_none_or(|place| place == current),
        (task, number) => place.is_some_and(|(index, tried)| {
            task.as_ref().is_none_or(|task| &spec.tasks[index].id == task)
                && number.is_none_or(|number| number == tried)
        }),
    };
    chosen
        .into_iter()
        .filter(|(row, .., place)| picked(row, *place))
        .map(|(row, heading, words, _)| (row, heading, words))
        .collect()
}

/// Prints what a file holds from `offset` on; returns up to where. An unfinished line waits, unless this is all.
fn show(path: &Path, offset: u64, words: bool, complete: bool) -> Result<u64, CliError> {
    let mut bytes = Vec::new();
    let end = files::read_from(path, offset, |chunk| bytes.extend_from_slice(chunk))?;
    let usable = match bytes.iter().rposition(|&byte| byte == b'\n') {
        _ if complete => bytes.len(),
        Some(last) => last + 1,
        None => 0,
    };
    let mut out = Vec::new();
    for line in bytes[..usable].split_inclusive(|&byte| byte == b'\n') {
        match words.then(|| describe::describe(line.trim_ascii_end())) {
            Some(Some(described)) => writeln!(out, "{described}")?,
            Some(None) => {}
            None => out.write_all(text::plain(&String::from_utf8_lossy(line)).as_bytes())?,
        }
    }
    if complete && out.last().is_some_and(|&byte| byte != b'\n') {
        out.push(b'\n');
    }
    print(&out)?;
    Ok(end - (bytes.len() - usable) as u64)
}
