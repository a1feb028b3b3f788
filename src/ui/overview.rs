//! The overview of `boi status`: the daemon, the configuration, the workers and a table of specs.

use super::spec_details::git_line;
use super::times::{clock_time, localized};
use super::units::{ago, bytes, cost, duration, short_cost};
use super::{config_report, style};
use crate::domain::life::{SpecStatus, TaskStatus};
use crate::domain::outcome::Delivery;
use crate::domain::text;
use crate::domain::time::Timestamp;
use crate::domain::view::{
    DaemonView, FailingHookView, HoldView, HookView, SlotsView, SpecView, SpendingView, StatusView,
};
use crate::queue::open::LARGE_LOG;
use style::{ATTENTION, BAD, paint};

/// The maximum width of a title in the table, in terminal columns.
const TITLE: usize = 60;
/// The maximum width of a reason in the table, in terminal columns.
const REASON: usize = 160;

/// How long after an event a hook that has not got it counts as late, in milliseconds.
const LAGS_AFTER: i64 = 60_000;

/// Returns the text of the whole overview.
pub(crate) fn overview(status: &StatusView, now: Timestamp) -> String {
    let mut lines = Vec::new();
    lines.push(match &status.daemon {
        Some(daemon) => {
            let age = duration(now.millis_since(daemon.since));
            format!("daemon: pid {}, up for {age}{}{}", daemon.pid, daemon_role(daemon), namespace(daemon))
        }
        None => "daemon: not running; start a daemon: `boi daemon start`".to_owned(),
    });
    lines.extend(config_report::status_lines(&status.config, status.daemon.is_some()));
    if let Some(reason) = &status.store.reason {
        lines.push(paint(&format!("queue: {reason}; nothing new is started, running commands continue"), BAD));
    }
    if status.store.wal_bytes > LARGE_LOG {
        let size = bytes(status.store.wal_bytes);
        let warning = format!(
            "warning: the queue's write-ahead log has {size}, because a program keeps reading the database: `boi doctor` names it"
        );
        lines.push(paint(&warning, ATTENTION));
    }
    let mut workers = workers(&status.slots);
    if status.slots.max_workers == 0 {
        workers += &paint(", no specs are started: `max_workers` is 0 in config.toml", ATTENTION);
    }
    if status.paused {
        workers += &paint(", paused: waiting specs start after `boi resume`", ATTENTION);
    }
    lines.push(workers);
    lines.extend(status.holds.iter().map(|hold| hold_line(hold, now)));
    lines.extend(status.hooks.iter().filter_map(|hook| hook_line(hook, now)));
    for pace in &status.paces {
        let starts = pace.starts_per_tick;
        let line =
            format!("pace: at most {starts} runs of {} start per tick, because requests were refused", pace.agent);
        lines.push(paint(&line, ATTENTION));
    }
    let counts = &status.counts;
    lines.push(format!(
        "specs: {} queued, {} running, {} completed, {} failed, {} canceled",
        counts.queued, counts.running, counts.completed, counts.failed, counts.canceled
    ));
    lines.extend(spending(&status.spending));
    if !status.specs.is_empty() {
        lines.push(String::new());
    }
    for spec in &status.specs {
        lines.push(spec_row(spec, now));
        lines
            .extend(spec.reason.as_ref().map(|reason| format!("           {}", text::fit(&localized(reason), REASON))));
        lines.extend(spec.git.as_ref().map(|git| format!("           {}", git_line(git, now))));
    }
    if status.more {
        lines.push("... more: `boi status --all` lists every spec, a page at a time".to_owned());
    }
    lines.iter().fold(String::new(), |text, line| text + line.trim_end() + "\n")
}

/// Describes what the agents cost in the last 24 h, and the budget for that time; `None`: no agent ran and
/// there is no budget.
fn spending(spending: &SpendingView) -> Option<String> {
    let SpendingView { day, agents, max_usd_per_day, used_up_until } = spending;
    if agents.is_empty() && max_usd_per_day.is_none() {
        return None;
    }
    let mut line = match agents.is_empty() {
        true => "spending: nothing in the last 24 h".to_owned(),
        false => {
            let agents: Vec<String> =
                agents.iter().map(|one| format!("{} {}", one.agent, short_cost(&one.day))).collect();
            format!("spending: {} in the last 24 h ({})", cost(day), agents.join(", "))
        }
    };
    if let Some(limit) = max_usd_per_day {
        line += &format!(", `max_usd_per_day` is {limit}");
    }
    match used_up_until {
        Some(until) => {
            let wait = format!("; no agent is started until {}", clock_time(*until));
            Some(line + &paint(&wait, ATTENTION))
        }
        None => Some(line),
    }
}

/// Describes how a daemon differs from a usual daemon, which works through the whole queue; empty for a usual
/// daemon.
pub(crate) fn daemon_role(daemon: &DaemonView) -> &'static str {
    match daemon {
        DaemonView { stopping: true, .. } => ", stopping: it ends when its workers have stopped",
        DaemonView { draining: true, .. } => {
            ", draining: it starts no specs, and ends when the running ones have ended"
        }
        DaemonView { scoped: true, .. } => ", part of a `boi run`",
        _ => "",
    }
}

/// Says that the daemon runs in another PID namespace; empty for a daemon of this one.
pub(crate) fn namespace(daemon: &DaemonView) -> &'static str {
    if daemon.other_pid_namespace { ", in another PID namespace, such as that of a container" } else { "" }
}

/// Describes a hold in one line, with the time until it ends or until its next probe.
pub(crate) fn hold_line(hold: &HoldView, now: Timestamp) -> String {
    let left = hold.until.filter(|until| *until > now && hold.probe.is_none());
    let left = left.map(|until| format!(" for {}", duration(until.millis_since(now)))).unwrap_or_default();
    paint(&format!("held: {}{left}: {}", hold.agent, localized(&hold.reason)), ATTENTION)
}

/// Describes a hook that fails, or that is far behind, in one line; `None`: the hook works.
fn hook_line(hook: &HookView, now: Timestamp) -> Option<String> {
    let name = &hook.name;
    let line = match (&hook.failing, hook.behind_since) {
        (Some(failing), _) => {
            let FailingHookView { kind, since, tries, next, error, .. } = failing;
            let (since, next) = (duration(now.millis_since(*since)), duration(next.millis_since(now).max(0)));
            let error = text::one_line(error, REASON);
            format!("hook: {name} fails on {kind} for {since} ({tries} times): {error}; boi runs it again in {next}")
        }
        (None, Some(since)) if now.millis_since(since) >= LAGS_AFTER => {
            format!("hook: {name} is {} behind", duration(now.millis_since(since)))
        }
        _ => return None,
    };
    Some(paint(&line, ATTENTION))
}

/// Describes how many worker slots are taken.
pub(crate) fn workers(slots: &SlotsView) -> String {
    let draining = if slots.running > slots.max_workers { " draining" } else { "" };
    format!("workers: {}/{}{draining}", slots.running, slots.max_workers)
}

/// Formats one spec as a row of the table.
pub(super) fn spec_row(spec: &SpecView, now: Timestamp) -> String {
    let done = spec.tasks.iter().filter(|task| task.status == TaskStatus::Done).count();
    let status = paint(&format!("{:<9}", spec.status.as_str()), style::of_spec(spec.status));
    let when = match spec.status {
        SpecStatus::Queued => ago(spec.queued_at, now),
        SpecStatus::Running => spec
            .attempt_started_at
            .or(spec.started_at)
            .map_or_else(String::new, |at| format!("for {}", duration(now.millis_since(at)))),
        _ => spec.finished_at.map_or_else(String::new, |at| ago(at, now)),
    };
    let title = match spec.delivery {
        Some(Delivery::Unmerged) => format!("{}  unmerged", text::pad(&spec.title, TITLE)),
        _ => text::fit(&spec.title, TITLE),
    };
    let cost = short_cost(&spec.usage);
    format!("{:<8} {status} {done}/{:<3} {when:>10} {cost:>8}  {title}", spec.id, spec.tasks.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::Cursor;
    use crate::domain::money::Usd;
    use crate::domain::outcome::Usage;
    use crate::domain::verdict::ReloadOutcome;
    use crate::domain::view::{ConfigView, Counts, StoreView};
    use crate::ui::sample;

    #[test]
    fn wide_titles_do_not_break_the_columns() {
        let titles = ["plain", "日本語のタイトル", "🚀 ship 👩‍🚀 it", &"長".repeat(100), "a\u{301}ccents\tand\nlines"];
        let rows = titles.map(|title| {
            let mut spec = sample::spec(1, SpecStatus::Completed, title);
            spec.finished_at = Some(Timestamp(0));
            spec.delivery = Some(Delivery::Unmerged);
            anstream::adapter::strip_str(&spec_row(&spec, Timestamp(600_000))).to_string()
        });
        for row in &rows {
            assert_eq!(row.lines().count(), 1, "{row}");
            let title = row.split_once("10 min ago           ").expect("the column before the title").1;
            let (title, mark) = title.split_at(title.rfind("  unmerged").expect("the column after the title"));
            assert_eq!((text::width(title), mark), (TITLE, "  unmerged"), "{row}");
        }
        assert!(rows[3].contains('…'), "{}", rows[3]);
    }

    #[test]
    fn a_large_write_ahead_log_is_a_warning() {
        let view = |wal_bytes| StatusView {
            daemon: None,
            config: ConfigView::without_daemon(ReloadOutcome::Applied, vec![]),
            slots: SlotsView { max_workers: 1, running: 0 },
            paused: false,
            holds: vec![],
            paces: vec![],
            spending: SpendingView::default(),
            hooks: vec![],
            counts: Counts::default(),
            specs: vec![],
            more: false,
            store: StoreView { wal_bytes, ..StoreView::default() },
        };
        assert!(!overview(&view(LARGE_LOG), Timestamp(0)).contains("write-ahead log"));
        let shown = overview(&view(3 << 29), Timestamp(0));
        assert!(shown.contains("the queue's write-ahead log has 1.5 GiB") && shown.contains("`boi doctor`"), "{shown}");
    }

    #[test]
    fn only_a_hook_that_fails_or_lags_is_shown() {
        let hook = |failing, behind_since| {
            let cursor = Cursor(3);
            let view = HookView { name: "n".into(), cursor, failing, behind_since, skipped: 0, overtaken: 0 };
            hook_line(&view, Timestamp(100_000)).map(|line| anstream::adapter::strip_str(&line).to_string())
        };
        assert_eq!(hook(None, None), None);
        assert_eq!(hook(None, Some(Timestamp(99_000))), None);
        assert_eq!(hook(None, Some(Timestamp(10_000))).unwrap(), "hook: n is 90 s behind");
        let failing = FailingHookView {
            event: Cursor(4),
            kind: "queue.idle".into(),
            since: Timestamp(90_000),
            tries: 3,
            next: Timestamp(104_000),
            error: "exit code 1: a\nb".into(),
        };
        assert_eq!(
            hook(Some(failing), None).unwrap(),
            "hook: n fails on queue.idle for 10 s (3 times): exit code 1: a b; boi runs it again in 4.0 s"
        );
    }

    #[test]
    fn spending_is_shown_per_agent_with_the_budget_of_the_day() {
        let usage = |cost_usd, estimated_usd, unpriced_runs| Usage {
            turns: 1,
            cost_usd,
            estimated_usd,
            unpriced_runs,
            ..Usage::default()
        };
        let line = |agents, max_usd_per_day, used_up_until| {
            let view = SpendingView { max_usd_per_day, used_up_until, ..SpendingView::of(agents) };
            spending(&view).map(|line| anstream::adapter::strip_str(&line).to_string())
        };
        let limit = Usd::from_dollars(20.0);
        assert_eq!(line(vec![], None, None), None);
        let none = "spending: nothing in the last 24 h, `max_usd_per_day` is $20.00";
        assert_eq!(line(vec![], limit, None).unwrap(), none);
        let agents = vec![
            ("claude".to_owned(), usage(1.25, 0.0, 0)),
            ("codex".to_owned(), usage(0.5, 0.5, 0)),
            ("mine".to_owned(), usage(0.0, 0.0, 2)),
        ];
        let shown = "spending: at least ~$1.7500 (the cost of 2 runs is unknown) in the last 24 h \
                     (claude $1.25, codex ~$0.50, mine unknown)";
        assert_eq!(line(agents.clone(), None, None).unwrap(), shown);
        let until = line(agents, limit, Some(Timestamp(0))).unwrap();
        assert!(until.contains("is $20.00; no agent is started until "), "{until}");
    }

    #[test]
    fn the_time_of_a_running_spec_counts_from_its_attempt() {
        let mut spec = sample::spec(1, SpecStatus::Running, "t");
        spec.started_at = Some(Timestamp(0));
        spec.attempt_started_at = Some(Timestamp(595_000));
        assert!(spec_row(&spec, Timestamp(600_000)).contains("for 5.0 s"));
    }

    #[test]
    fn styles_can_be_removed() {
        let row = spec_row(&sample::spec(1, SpecStatus::Failed, "t"), Timestamp(0));
        assert!(row.contains("\u{1b}[31m"), "{row:?}");
        assert_eq!(anstream::adapter::strip_str(&row).to_string(), "S0001    failed    0/0                        t");
    }
}
