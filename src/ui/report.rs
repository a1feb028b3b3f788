//! The tables of `boi status` and the end of `boi run`. Colour only where it is asked for.

use std::fmt::Write;

use super::config;
use crate::domain::attempt::{SpecStatus, TaskStatus};
use crate::domain::outcome::{Delivery, Usage};
use crate::domain::text;
use crate::domain::time::Timestamp;
use crate::domain::view::{DaemonView, SlotsView, SpecView, StatusView, TryView};
use crate::system::terminal::Size;

/// So much of a reason is shown: git may have a lot to say.
const REASON: usize = 2_000;

/// The whole state.
pub fn all(status: &StatusView, now: Timestamp, color: bool) -> String {
    let mut out = String::new();
    match &status.daemon {
        Some(daemon) => {
            let age = span(now.millis_since(daemon.since));
            line(&mut out, &format!("daemon: pid {}, for {age}{}", daemon.pid, role(daemon)));
        }
        None => line(&mut out, "daemon: none runs; start one: `boi daemon start`"),
    }
    for text in config::status(&status.config, status.daemon.is_some(), color) {
        line(&mut out, &text);
    }
    if let Some(reason) = &status.store.reason {
        let said = format!("queue: {reason}; nothing new is started, what runs goes on");
        line(&mut out, &paint(&said, 31, color));
    }
    let slots = &status.slots;
    let paused = if status.paused { paint(", paused: `boi resume` goes on", 33, color) } else { String::new() };
    let none = if slots.max_workers == 0 {
        paint(", nothing is started: `max_workers` is 0 in config.toml", 33, color)
    } else {
        String::new()
    };
    line(&mut out, &format!("{}{none}{paused}", workers(slots)));
    let counts = &status.counts;
    line(
        &mut out,
        &format!(
            "specs: {} queued, {} running, {} completed, {} failed, {} canceled",
            counts.queued, counts.running, counts.completed, counts.failed, counts.canceled
        ),
    );
    if !status.specs.is_empty() {
        out.push('\n');
    }
    for spec in &status.specs {
        line(&mut out, &row(spec, now, color));
        if let Some(reason) = &spec.reason {
            line(&mut out, &format!("           {}", text::one_line(reason, 160)));
        }
    }
    if status.more {
        line(&mut out, "... more: `boi status --all`, `--status STATUS`, `--offset N`");
    }
    out
}

/// What a daemon does that is not draining the whole queue.
pub fn role(daemon: &DaemonView) -> &'static str {
    match daemon {
        DaemonView { draining: true, .. } => ", draining: it starts nothing new, and ends when what runs has finished",
        DaemonView { scoped: true, .. } => ", of one `boi run`",
        _ => "",
    }
}

/// How many places for workers are taken.
pub fn workers(slots: &SlotsView) -> String {
    let draining = if slots.running > slots.max_workers { " draining" } else { "" };
    format!("workers: {}/{}{draining}", slots.running, slots.max_workers)
}

/// One spec, with each try.
pub fn one(spec: &SpecView, now: Timestamp, color: bool) -> String {
    let mut out = String::new();
    line(&mut out, &row(spec, now, color));
    let mut field = |name: &str, value: &str| line(&mut out, &format!("  {name:<9} {value}"));
    if let Some(reason) = &spec.reason {
        field("reason", &text::one_line(reason, REASON));
    }
    if let (Some(branch), Some(repo)) = (&spec.branch, &spec.repo) {
        field("branch", &format!("{branch} in {repo}"));
    }
    if let Some(delivery) = spec.delivery {
        field("delivery", delivery_name(delivery));
    }
    if let Some(worktree) = &spec.worktree {
        field("worktree", worktree);
    }
    if let Some(generation) = spec.config_generation {
        field("attempt", &format!("{}, under configuration generation {generation}", spec.attempt));
    }
    if spec.usage != Usage::default() {
        field("usage", &usage(&spec.usage));
    }
    for kept in &spec.kept {
        field("kept", kept);
    }
    out.push('\n');
    for task in &spec.tasks {
        let commit = task.commit.as_deref().map(|commit| format!("  {}", &commit[..commit.len().min(10)]));
        let status = paint(&format!("{:<8}", task.status.as_str()), task_color(task.status), color);
        let title = text::one_line(&task.title, 60);
        line(&mut out, &format!("  {status} {:<16} {title}{}", task.id, commit.unwrap_or_default()));
        for TryView { number, outcome, finished_at, started_at, usage: cost, .. } in &task.history {
            let took = finished_at.map(|end| format!(" after {}", span(end.millis_since(*started_at))));
            let unfinished = if spec.status == SpecStatus::Running { "runs" } else { "ended by boi before its end" };
            let outcome = outcome.as_deref().unwrap_or(unfinished);
            let cost = if *cost == Usage::default() { String::new() } else { format!("  ({})", usage(cost)) };
            let outcome = text::one_line(outcome, 120);
            line(&mut out, &format!("             try {number}: {outcome}{}{cost}", took.unwrap_or_default()));
        }
    }
    out
}

/// How specs ended, and what to do with the result.
pub fn ended(specs: &[SpecView], color: bool) -> String {
    let mut out = String::new();
    for spec in specs {
        let took = match (spec.started_at, spec.finished_at) {
            (Some(start), Some(end)) => format!(" in {}", span(end.millis_since(start))),
            _ => String::new(),
        };
        let unmerged = spec.delivery == Some(Delivery::Unmerged);
        let status = paint(spec.status.as_str(), color_of(spec.status), color);
        let but = if unmerged { paint(", unmerged", 33, color) } else { String::new() };
        line(&mut out, &format!("{}  {}  {status}{but}{took}", spec.id, text::one_line(&spec.title, 80)));
        let mut field = |name: &str, value: &str| line(&mut out, &format!("  {name:<8} {value}"));
        if let Some(reason) = &spec.reason {
            field("reason", &text::one_line(reason, REASON));
        }
        if spec.usage != Usage::default() {
            field("usage", &usage(&spec.usage));
        }
        match (spec.status, &spec.branch, &spec.repo) {
            (SpecStatus::Completed, Some(branch), Some(repo)) => {
                let repo = quoted(repo);
                let commits = spec.tasks.iter().filter(|task| task.commit.is_some()).count();
                let plural = if commits == 1 { "" } else { "s" };
                match spec.delivery {
                    Some(Delivery::Merged) if commits == 0 => {
                        field("merged", "nothing: no task changed a file, so there was nothing to merge");
                    }
                    Some(Delivery::Merged) => field("merged", &format!("{branch}, {commits} commit{plural}")),
                    _ => {
                        field("branch", &format!("{branch}, {commits} commit{plural}"));
                        let base = spec.base_commit.as_deref().map_or("", |commit| &commit[..commit.len().min(10)]);
                        field("look", &format!("git -C {repo} log --stat {base}..{branch}"));
                        field("take", &format!("git -C {repo} merge {branch}"));
                    }
                }
                if unmerged {
                    field(
                        "again",
                        &format!("boi retry {}    once that is seen to: merges, and does no task again", spec.id),
                    );
                }
                field("forget", &format!("boi clean {}", spec.id));
            }
            (SpecStatus::Completed, ..) => {
                if let Some(worktree) = &spec.worktree {
                    field("files", worktree);
                }
            }
            (SpecStatus::Failed | SpecStatus::Canceled, ..) => {
                if let Some(worktree) = &spec.worktree {
                    field("files", worktree);
                }
                field("why", &format!("boi log {} ; boi status {}", spec.id, spec.id));
                field("again", &format!("boi retry {}", spec.id));
            }
            _ => {}
        }
        for kept in &spec.kept {
            field("kept", kept);
        }
    }
    out
}

/// As much of a text as a terminal of that size shows at once, its beginning, and how many lines are cut.
pub fn fit(text: &str, size: Size) -> String {
    let rows = |line: &str| text::plain(line).chars().count().div_ceil(size.columns).max(1);
    let lines: Vec<&str> = text.lines().collect();
    // The cursor takes the row below the last line.
    let room = size.rows.saturating_sub(1);
    if lines.iter().map(|line| rows(line)).sum::<usize>() <= room {
        return text.to_owned();
    }
    let mut taken = 1;
    let shown = lines.iter().take_while(|line| {
        taken += rows(line);
        taken <= room
    });
    let shown: Vec<&str> = shown.copied().collect();
    let more = lines.len() - shown.len();
    shown.iter().chain([&&*format!("... {more} more")]).fold(String::new(), |out, line| out + line + "\n")
}

/// What keeps specs from being carried out and does not pass by itself, with what to do about it.
pub fn hindrance(status: &StatusView) -> Option<String> {
    let open: Vec<&SpecView> = status.specs.iter().filter(|spec| !spec.status.is_ended()).collect();
    if open.is_empty() || open.iter().any(|spec| spec.status == SpecStatus::Running) {
        return None;
    }
    if status.paused {
        return Some("nothing is started while claiming is paused: `boi resume` goes on".to_owned());
    }
    if status.slots.max_workers == 0 {
        return Some("nothing is started while `max_workers` is 0: raise it in config.toml".to_owned());
    }
    let unmerged = |spec: &SpecView| {
        let waits = spec.reason.as_deref()?.strip_prefix("waits for ")?;
        let other = waits.split(", ").find_map(|other| other.strip_suffix(" to be merged"))?;
        Some(format!(
            "{} waits for {other}, which is unmerged: `boi status {other}` says why, `boi retry {other}` merges it",
            spec.id
        ))
    };
    open.iter().find_map(|spec| unmerged(spec))
}

fn row(spec: &SpecView, now: Timestamp, color: bool) -> String {
    let done = spec.tasks.iter().filter(|task| task.status == TaskStatus::Done).count();
    let status = paint(&format!("{:<9}", spec.status.as_str()), color_of(spec.status), color);
    let when = match spec.status {
        SpecStatus::Queued => ago(spec.queued_at, now),
        SpecStatus::Running => {
            spec.started_at.map_or_else(String::new, |at| format!("for {}", span(now.millis_since(at))))
        }
        _ => spec.finished_at.map_or_else(String::new, |at| ago(at, now)),
    };
    let unmerged = if spec.delivery == Some(Delivery::Unmerged) { "  unmerged" } else { "" };
    let title = text::one_line(&spec.title, 60);
    format!("{:<8} {status} {done}/{:<3} {when:>8}  {title}{unmerged}", spec.id, spec.tasks.len())
}

fn usage(usage: &Usage) -> String {
    let Usage { turns, input_tokens, output_tokens, cost_usd } = usage;
    format!("{turns} turns, {input_tokens} tokens in, {output_tokens} out, ${cost_usd:.4}")
}

fn delivery_name(delivery: Delivery) -> &'static str {
    match delivery {
        Delivery::Branch => "branch",
        Delivery::Merged => "merged",
        Delivery::Unmerged => "unmerged",
    }
}

fn color_of(status: SpecStatus) -> u8 {
    match status {
        SpecStatus::Queued => 0,
        SpecStatus::Running => 34,
        SpecStatus::Completed => 32,
        SpecStatus::Failed => 31,
        SpecStatus::Canceled => 33,
    }
}

fn task_color(status: TaskStatus) -> u8 {
    match status {
        TaskStatus::Pending | TaskStatus::Skipped => 0,
        TaskStatus::Running => 34,
        TaskStatus::Done => 32,
        TaskStatus::Failed => 31,
    }
}

fn paint(text: &str, code: u8, color: bool) -> String {
    if color && code != 0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}

fn ago(at: Timestamp, now: Timestamp) -> String {
    format!("{} ago", span(now.millis_since(at)))
}

/// A length of time in the two digits that matter.
fn span(millis: i64) -> String {
    match millis.max(0) {
        ms @ 0..10_000 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        ms @ 10_000..120_000 => format!("{} s", ms / 1000),
        ms @ 120_000..7_200_000 => format!("{} min", ms / 60_000),
        ms @ 7_200_000..172_800_000 => format!("{} h", ms / 3_600_000),
        ms => format!("{} d", ms / 86_400_000),
    }
}

/// A path as a shell takes it.
fn quoted(path: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-+:@%,".contains(c);
    if path.chars().all(plain) { path.to_owned() } else { format!("'{}'", path.replace('\'', r"'\''")) }
}

fn line(out: &mut String, text: &str) {
    // Writing to a string does not fail.
    let _infallible = writeln!(out, "{}", text.trim_end());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_to_the_terminal_and_keeps_its_beginning() {
        let text: String = (1..=9).map(|n| format!("line {n}\n")).collect();
        assert_eq!(fit(&text, Size { rows: 10, columns: 80 }), text);
        assert_eq!(fit(&text, Size { rows: 4, columns: 80 }), "line 1\nline 2\n... 7 more\n");
        let wide = format!("{}\nb\nc\nd\n", "a".repeat(100));
        assert_eq!(fit(&wide, Size { rows: 5, columns: 80 }), format!("{}\nb\n... 2 more\n", "a".repeat(100)));
        assert_eq!(fit("\x1b[31mred\x1b[0m\n", Size { rows: 2, columns: 3 }), "\x1b[31mred\x1b[0m\n");
    }

    #[test]
    fn spans_are_short_and_paths_fit_a_shell() {
        let spans = [0, 1_250, 59_000, 600_000, 10_800_000, 900_000_000].map(span);
        assert_eq!(spans, ["0.0 s", "1.2 s", "59 s", "10 min", "3 h", "10 d"]);
        assert_eq!(quoted("/a/b-c"), "/a/b-c");
        assert_eq!(quoted("/it's here"), r"'/it'\''s here'");
    }
}
