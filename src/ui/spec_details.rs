//! The details of one spec: `boi status ID`.

use super::overview::{changed_nothing, spec_row};
use super::result_steps;
use super::style::{ATTENTION, of_task, paint};
use super::times::{clock_time, localized, localized_from};
use super::units::{duration, short_cost, usage};
use super::wrap::wrap;
use crate::domain::cause::{Cause, Unmerged};
use crate::domain::copied::{CopiedFiles, WithheldWork};
use crate::domain::delivery::MergeRefusal;
use crate::domain::life::SpecStatus;
use crate::domain::outcome::{Delivery, MergedBy, Usage};
use crate::domain::report::DiffSize;
use crate::domain::repository_change::{ChangeKind, RepositoryChange};
use crate::domain::text;
use crate::domain::time::Timestamp;
use crate::domain::view::{GitView, SpecView, TaskView, TryView};

/// Where the value of a field begins.
const FIELD: usize = 12;
/// The maximum width of a task's title, in terminal columns.
const TITLE: usize = 60;
/// The minimum width of a task's title, however narrow the terminal is.
const NARROW_TITLE: usize = 16;
/// The width of what is before and after a task's title in its row: status, id, commit and cost.
const AROUND_TITLE: usize = 28 + 2 + 15 + 2 + 8;
/// The maximum number of characters shown of a reason, which may contain long output of git.
const REASON: usize = 2_000;
/// The text that boi shows for a task whose agent changed no file.
pub(super) const UNCHANGED: &str = "no file changed";
/// The maximum number of characters shown of an agent's last message.
const MESSAGE: usize = 620;
/// The maximum number of characters shown of the outcome of a try.
const OUTCOME: usize = 200;
/// The maximum number of changes of the repository that are shown.
const CHANGES: usize = 20;

/// The maximum number of copied files that are named, and of skipped ones.
const COPIED: usize = 5;

/// Returns the text that shows one spec, with each of its tasks and tries, and what to do with its result. `diff`: the
/// size of the changes on its branch; `None`: unknown.
pub(crate) fn spec_details(spec: &SpecView, diff: Option<DiffSize>, now: Timestamp, columns: Option<usize>) -> String {
    let mut lines = vec![spec_row(spec, now, columns)];
    let mut field = |name: &str, value: &str| lines.push(format!("  {name:<9} {value}"));
    if let Some(reason) = &spec.reason {
        let reason = text::both_ends(&localized_from(reason, now), REASON);
        let lines = match columns {
            Some(columns) => wrap(&reason, columns.saturating_sub(FIELD).max(FIELD), usize::MAX),
            None => vec![reason],
        };
        lines.iter().enumerate().for_each(|(at, line)| field(if at == 0 { "reason" } else { "" }, line));
    }
    if let Some(git) = &spec.git {
        field("git", &git_line(git, now));
    }
    if let Some(
        Cause::Unmerged { why: Unmerged::Refused { refusal } }
        | Cause::EndedUnmerged { why: Unmerged::Refused { refusal }, .. },
    ) = &spec.cause
    {
        let (name, files) = match refusal {
            MergeRefusal::CheckoutHalfChanged { files, .. } => ("half changed", files.as_slice()),
            MergeRefusal::FilesInTheWay { files, .. } => ("in the way", files.as_slice()),
            _ => ("", &[][..]),
        };
        files.iter().for_each(|file| field(name, &text::one_line(file, REASON)));
    }
    if let (Some(branch), Some(repo)) = (&spec.branch, &spec.repo) {
        field("branch", &format!("{branch} in {repo}"));
    }
    if let Some(delivery) = spec.delivery {
        let by_hand = if spec.merged_by == Some(MergedBy::User) { ", by hand" } else { "" };
        field("delivery", &format!("{}{by_hand}", delivery_name(delivery)));
    }
    if let Some(worktree) = &spec.worktree {
        field("worktree", worktree);
    }
    if let Some(generation) = spec.config_generation {
        field("attempt", &format!("{}, started with configuration generation {generation}", spec.attempt));
    }
    let times = [("queued", Some(spec.queued_at)), ("started", spec.started_at), ("ended", spec.finished_at)];
    let times: Vec<String> =
        times.iter().filter_map(|(what, at)| at.map(|at| format!("{what} {}", clock_time(at)))).collect();
    field("times", &times.join(", "));
    if spec.usage != Usage::default() {
        field("usage", &usage(&spec.usage));
    }
    if let Some(limit) = &spec.max_usd {
        field("budget", &format!("{limit}, set with `boi retry --max-usd`"));
    }
    for note in &spec.notes {
        let of = format!("attempt {}, {}: {}", note.attempt, note.task, text::one_line(&note.note, REASON));
        field("note", &of);
    }
    for kept in &spec.kept {
        field("kept", kept);
    }
    if let Some(copied) = &spec.copied {
        copied_files(copied).iter().for_each(|(name, value)| field(name, value));
    }
    for change in spec.repository_changes.iter().take(CHANGES) {
        let (what, when) = match change.kind {
            ChangeKind::SubmoduleLeftEmpty | ChangeKind::LfsObjectMissing => ("missing", String::new()),
            _ => ("changed", during(change)),
        };
        field(what, &text::one_line(&format!("{change}{when}"), REASON));
        if let Some(restore) = &change.restore {
            field("", &format!("  to put it back: {}", text::one_line(restore, REASON)));
        }
    }
    if let Some(more @ 1..) = spec.repository_changes.len().checked_sub(CHANGES) {
        field("changed", &format!("{more} more: `boi status {} --json`", spec.id));
    }
    if changed_nothing(spec) {
        field("result", &paint("completed, NO CHANGES", ATTENTION));
    } else if spec.status.is_ended() && spec.tasks.iter().any(|task| task.commit.is_some()) {
        field("result", &result_steps::size(spec, diff));
    }
    lines.push(String::new());
    for task in &spec.tasks {
        lines.push(task_row(task, columns));
        lines.extend(last_message(task).map(|message| format!("             the agent's last message: {message}")));
        lines.extend(task.history.iter().map(|one| try_row(one, spec.status)));
    }
    let steps = result_steps::steps(spec);
    if !steps.is_empty() {
        lines.push(String::new());
    }
    lines.extend(steps.iter().map(|(what, command)| format!("  {what:<9} {command}")));
    lines.iter().fold(String::new(), |text, line| text + line.trim_end() + "\n")
}

/// Returns the fields that say which files boi copied into the worktree, and which not.
fn copied_files(copied: &CopiedFiles) -> Vec<(&'static str, String)> {
    let mut fields = Vec::new();
    let line = |text: &str| text::one_line(text, REASON);
    if copied.files > 0 {
        let files = if copied.files == 1 { "file" } else { "files" };
        let named: Vec<&str> = copied.names.iter().take(COPIED).map(String::as_str).collect();
        let more = if copied.files > named.len() as u64 { ", ..." } else { "" };
        fields.push(("copied", line(&format!("{} {files} ({}{more})", copied.files, named.join(", ")))));
    }
    for skipped in copied.skipped.iter().take(COPIED) {
        fields.push(("skipped", line(&format!("{}: {}", skipped.path, skipped.reason))));
    }
    let more = copied.skipped.len().saturating_sub(COPIED) as u64 + copied.more_skipped;
    if more > 0 {
        fields.push(("skipped", format!("{more} more files were not copied")));
    }
    for WithheldWork { commit, paths, kept, held_by } in &copied.withheld {
        let held_by = held_by.as_ref().map_or_else(String::new, |name| format!("{name}, "));
        let short = &commit[..commit.len().min(10)];
        let kept = match kept {
            Some(kept) => format!("; its other files are under {kept}"),
            None => String::new(),
        };
        let warning = format!(
            "{held_by}commit {short} contains {}, which boi never commits: do not push it{kept}",
            paths.join(", ")
        );
        fields.push(("warning", paint(&line(&warning), ATTENTION)));
    }
    fields
}

/// Says which git process works for a spec, and for how long.
pub(super) fn git_line(git: &GitView, now: Timestamp) -> String {
    format!("{}: running for {}", git.command, duration(now.millis_since(git.since)))
}

/// Says which command ran while a repository changed. boi does not know whether that command made the change.
fn during(change: &RepositoryChange) -> String {
    match (&change.task, change.number) {
        (Some(task), Some(number)) => format!(" (during task {task}, try {number})"),
        _ => " (during a verify command of the spec)".to_owned(),
    }
}

/// Returns the last message of the task's agent, if the agent changed no file.
pub(super) fn last_message(task: &TaskView) -> Option<String> {
    let message = task.history.last()?.message.as_deref().filter(|_| task.unchanged)?;
    Some(text::both_ends(message, MESSAGE))
}

fn task_row(task: &TaskView, columns: Option<usize>) -> String {
    let status = paint(&format!("{:<8}", task.status.as_str()), of_task(task.status));
    let cost = short_cost(&task.usage);
    let room = columns.map_or(TITLE, |columns| columns.saturating_sub(AROUND_TITLE).clamp(NARROW_TITLE, TITLE));
    let title = text::pad(&task.title, room);
    let title = match &task.commit {
        Some(commit) => format!("{title}  {:<10}  {cost}", &commit[..commit.len().min(10)]),
        None if task.unchanged => format!("{title}  {UNCHANGED}  {cost}"),
        None if cost.is_empty() => title,
        None => format!("{title}              {cost}"),
    };
    format!("  {status} {:<16} {title}", task.id)
}

fn try_row(one: &TryView, spec: SpecStatus) -> String {
    let took = one.finished_at.map(|end| format!(" after {}", duration(end.millis_since(one.started_at))));
    let unfinished = if spec == SpecStatus::Running { "running" } else { "stopped by boi before it ended" };
    let outcome = text::both_ends(&localized(one.outcome.as_deref().unwrap_or(unfinished)), OUTCOME);
    let cost = if one.usage == Usage::default() { String::new() } else { format!("  ({})", usage(&one.usage)) };
    format!("             try {}: {outcome}{}{cost}", one.number, took.unwrap_or_default())
}

pub(super) fn delivery_name(delivery: Delivery) -> &'static str {
    match delivery {
        Delivery::Branch => "branch",
        Delivery::Waiting => "waiting to land",
        Delivery::Landing => "landing",
        Delivery::Merged => "merged",
        Delivery::Unmerged => "unmerged",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::life::TaskStatus;
    use crate::ui::sample;

    #[test]
    fn the_row_of_a_task_fits_the_terminal() {
        let row = |commit: Option<&str>, unchanged, columns| {
            let task = TaskView {
                id: "t-1".into(),
                title: "a title that is longer than a narrow terminal ".repeat(3),
                status: TaskStatus::Done,
                tries: 1,
                commit: commit.map(str::to_owned),
                unchanged,
                usage: Usage { turns: 1, cost_usd: 12.5, ..Usage::default() },
                history: vec![],
            };
            let spec = SpecView { tasks: vec![task], ..sample::spec(1, SpecStatus::Completed, "t") };
            let shown = spec_details(&spec, None, Timestamp(0), columns);
            let shown = anstream::adapter::strip_str(&shown).to_string();
            shown.lines().find(|line| line.contains("t-1")).expect("the row of the task").to_owned()
        };
        for (commit, unchanged) in [(Some("0123456789ab"), false), (None, true), (None, false)] {
            assert!(row(commit, unchanged, Some(80)).ends_with("$12.50"));
            assert!(text::width(&row(commit, unchanged, Some(80))) <= 80);
            assert!(row(commit, unchanged, None).contains(&"a title that is longer than a narrow terminal "[..45]));
        }
    }
}
