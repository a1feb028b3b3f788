//! `boi log`: what a spec's tasks printed.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use super::args::Log;
use super::backend::{self, Backend};
use super::{CliError, Context, ExitCode, FAILED, USAGE, block_on, print};
use crate::agents::describe;
use crate::domain::attempt::{SpecStatus, Step, TaskStatus};
use crate::domain::spec::{Action, Spec};
use crate::domain::text;
use crate::domain::view::SpecView;
use crate::process::command::CommandDir;
use crate::queue::{CommandRow, Filter, Store};
use crate::system::files;
use crate::system::paths::Home;

/// How often a growing output is read.
const LOOK_EVERY: Duration = Duration::from_millis(150);
/// So much of a line without an end is printed before its end has come.
const LONG_LINE: usize = 1 << 20;

/// One command's output, as it is shown.
struct Section {
    place: (u32, u32),
    /// Empty once it is printed.
    heading: String,
    dir: CommandDir,
    words: bool,
    /// How far it was printed: output and errors.
    printed: (u64, u64),
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
    block_on(follow(&context, &home, &store, &spec, &asked))
}

async fn follow(
    context: &Context,
    home: &Home,
    store: &dyn Store,
    spec: &Spec,
    asked: &Log,
) -> Result<ExitCode, CliError> {
    let mut backend = Backend::find(&context.home).await?;
    let filter = Filter { ids: vec![asked.id.clone()], ..Filter::default() };
    let mut sections: Vec<Section> = Vec::new();
    // While following, the first command shown: everything after it is shown as it begins.
    let mut from = None;
    loop {
        let told = backend.status_now(&context.home, &filter, None).await?.status;
        let Some(view) = told.specs.first() else { return Err(unknown(asked)) };
        let rows = store.commands(&asked.id)?;
        let chosen = selected(&rows, spec, asked, from);
        let last = rows.last().map(|row| (row.attempt, row.number));
        // Without a daemon nothing more begins; what an earlier one left may still print.
        let runs = |place: (u32, u32)| {
            let lock = CommandDir::at(home.command(&asked.id, place.0, place.1)).lock_file();
            files::is_locked(&lock).unwrap_or(false)
        };
        let over = view.status.is_ended() || told.daemon.is_none() && !last.is_some_and(runs);
        let follows = asked.follow && !over;
        if chosen.is_empty() && !follows {
            return nothing(spec, asked, &rows, view);
        }
        if asked.follow && from.is_none() {
            from = chosen.first().map(|(row, ..)| (row.attempt, row.number));
        }
        let begun = sections.len().saturating_sub(1);
        for (row, heading, words) in chosen.into_iter().skip(sections.len()) {
            sections.push(Section {
                place: (row.attempt, row.number),
                heading,
                dir: CommandDir::at(home.command(&asked.id, row.attempt, row.number)),
                words: words && !asked.raw,
                printed: (0, 0),
            });
        }
        let count = sections.len();
        let mut removed = 0;
        for (index, section) in sections.iter_mut().enumerate().skip(begun) {
            let current = Some(section.place) == last && !view.status.is_ended();
            let first = !section.heading.is_empty();
            if first {
                print(format!("{}\n", std::mem::take(&mut section.heading)).as_bytes())?;
            }
            // The folder of a command that is only just beginning is not there yet.
            if !section.dir.path().exists() && !current {
                if first {
                    print(b"(removed by `boi clean`)\n")?;
                }
                removed += 1;
                continue;
            }
            section.show(!follows || index + 1 < count, current)?;
        }
        if !follows {
            return conclude(asked, view, count > 0 && removed == count);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn conclude(asked: &Log, view: &SpecView, removed: bool) -> Result<ExitCode, CliError> {
    let id = &asked.id;
    if removed {
        return Err(CliError::new(FAILED, format!("the output of {id} was removed by `boi clean`")));
    }
    match view.status {
        SpecStatus::Queued | SpecStatus::Running if asked.follow => {
            eprintln!("no daemon runs, and {id} is {}: `boi daemon start` goes on", view.status.as_str());
        }
        _ => {}
    }
    Ok(0)
}

/// Nothing that was run is what was asked for.
fn nothing(spec: &Spec, asked: &Log, rows: &[CommandRow], view: &SpecView) -> Result<ExitCode, CliError> {
    let id = &asked.id;
    let mut tries: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for row in rows {
        if let Step::Act { task, try_number } = row.step {
            tries.entry(task).or_default().push(try_number.to_string());
        }
    }
    let what = match (&asked.task, asked.try_number) {
        (None, None) => {
            eprintln!("nothing was run for {id} yet");
            return Ok(0);
        }
        (Some(task), Some(number)) => format!("there is no try {number} of task `{task}` in {id}"),
        (None, Some(number)) => format!("there is no try {number} in {id}"),
        (Some(task), None) => {
            let status = view.tasks.iter().find(|known| &known.id == task).map(|known| known.status);
            let status = status.unwrap_or(TaskStatus::Pending).as_str();
            format!("there is no try of task `{task}` in {id}: it is {status}")
        }
    };
    let known: Vec<String> = tries
        .iter()
        .filter_map(|(index, numbers)| Some(format!("{} (try {})", spec.tasks.get(*index)?.id, numbers.join(", "))))
        .collect();
    let known = if known.is_empty() { "nothing yet".to_owned() } else { known.join("; ") };
    Err(CliError::new(USAGE, what).hint(format!("what was run: {known}")))
}

fn unknown(asked: &Log) -> CliError {
    crate::queue::StoreError::Unknown(asked.id.clone()).into()
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

impl Section {
    /// Prints what has come since the last time. `complete`: this is all; `current`: for now.
    fn show(&mut self, complete: bool, current: bool) -> Result<(), CliError> {
        let (output, errors) = self.printed;
        self.printed = (
            show(&self.dir.output_file(), output, self.words, complete)?,
            show(&self.dir.errors_file(), errors, false, complete)?,
        );
        match self.printed {
            (0, 0) if complete && current => print(b"(no output yet)\n"),
            (0, 0) if complete => print(b"(no output)\n"),
            _ => Ok(()),
        }
    }
}

/// Prints what a file holds from `offset` on; returns up to where. An unfinished line waits, unless this is all.
fn show(path: &Path, offset: u64, words: bool, complete: bool) -> Result<u64, CliError> {
    let mut printer = Printer { rest: Vec::new(), words, within_line: false };
    let mut result = Ok(());
    let end = files::read_from(path, offset, |chunk| {
        if result.is_ok() {
            result = printer.push(chunk);
        }
    })?;
    result?;
    if complete {
        printer.finish()?;
        return Ok(end);
    }
    Ok(end - printer.rest.len() as u64)
}

/// Prints an output line by line, so that no more than a line of it is held.
struct Printer {
    rest: Vec<u8>,
    words: bool,
    within_line: bool,
}

impl Printer {
    fn push(&mut self, chunk: &[u8]) -> Result<(), CliError> {
        let searched = self.rest.len();
        self.rest.extend_from_slice(chunk);
        let usable = match self.rest[searched..].iter().rposition(|&byte| byte == b'\n') {
            Some(last) => searched + last + 1,
            // Words need the whole line; anything else may be cut, though not within a character.
            None if self.words || self.rest.len() < LONG_LINE => return Ok(()),
            None => self.rest.len() - unfinished_character(&self.rest),
        };
        self.print(usable)
    }

    fn finish(&mut self) -> Result<(), CliError> {
        self.print(self.rest.len())?;
        if self.within_line { print(b"\n") } else { Ok(()) }
    }

    fn print(&mut self, usable: usize) -> Result<(), CliError> {
        let mut out = Vec::new();
        for line in self.rest[..usable].split_inclusive(|&byte| byte == b'\n') {
            match self.words.then(|| describe::describe(line.trim_ascii_end())) {
                Some(Some(described)) => writeln!(out, "{described}")?,
                Some(None) => {}
                None => out.write_all(text::plain(&String::from_utf8_lossy(line)).as_bytes())?,
            }
        }
        self.rest.drain(..usable);
        if let Some(&last) = out.last() {
            self.within_line = last != b'\n';
        }
        print(&out)
    }
}

/// How many bytes at the end are the beginning of a character.
fn unfinished_character(bytes: &[u8]) -> usize {
    let begins = |back: &usize| bytes[bytes.len() - back] >= 0xC0;
    let Some(back) = (1..=3.min(bytes.len())).find(begins) else { return 0 };
    let cut = std::str::from_utf8(&bytes[bytes.len() - back..]).is_err_and(|error| error.error_len().is_none());
    if cut { back } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unfinished_character_waits_for_its_end() {
        for (text, cut) in [("ab", 0), ("aä", 0), ("a€", 0), ("a\u{1f600}", 0)] {
            assert_eq!(unfinished_character(text.as_bytes()), cut, "{text}");
        }
        assert_eq!(unfinished_character(&"aä".as_bytes()[..2]), 1);
        assert_eq!(unfinished_character(&"€€".as_bytes()[..5]), 2);
        assert_eq!(unfinished_character(&"a\u{1f600}".as_bytes()[..4]), 3);
        assert_eq!(unfinished_character(b"\x80\x80\x80"), 0);
    }
}
