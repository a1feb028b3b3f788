//! The overview of `boi status`: the daemon, the configuration, the workers and a table of specs.

use super::landers::lander_line;
use super::obstacle::hold_on;
use super::spec_details::{delivery_name, git_line};
use super::times::{clock_time, localized_from};
use super::units::{ago, bytes, cost, duration, short_cost, ticking};
use super::wrap::wrap;
use super::{config_report, style};
use crate::domain::admission::Deferral;
use crate::domain::cause::Cause;
use crate::domain::life::{SpecStatus, TaskStatus};
use crate::domain::outcome::Delivery;
use crate::domain::text;
use crate::domain::time::Timestamp;
use crate::domain::view::{
    BuildsView, DaemonView, FailingHookView, HoldView, HookView, SlotsView, SpecView, SpendingView, StatusView,
};
use crate::queue::open::LARGE_LOG;
use style::{ATTENTION, BAD, paint};

/// The maximum width of a title in the table, in terminal columns.
const TITLE: usize = 60;
/// The minimum width of a title, however narrow the terminal is.
const NARROW_TITLE: usize = 16;
/// The most lines of a reason in the table.
const REASON_LINES: usize = 3;
/// The width of a reason if the output is no terminal.
const REASON: usize = 400;
/// Where the second line of a line of the summary begins.
const CONTINUED: usize = 2;
/// Where a line below a row begins.
const INDENT: usize = 11;

/// How long after an event a hook that has not got it counts as late, in milliseconds.
const LAGS_AFTER: i64 = 60_000;

/// The overview, in two parts.
pub(crate) struct Overview {
    /// The daemon, the configuration, the workers and the sums.
    pub(crate) summary: String,
    /// The table of specs.
    pub(crate) table: String,
}

impl Overview {
    /// Returns the whole text. On a terminal, the summary is last, because the beginning of a long text scrolls away.
    pub(crate) fn text(&self, is_terminal: bool) -> String {
        let gap = if self.table.is_empty() { "" } else { "\n" };
        match is_terminal {
            true => format!("{}{gap}{}", self.table, self.summary),
            false => format!("{}{gap}{}", self.summary, self.table),
        }
    }
}

/// Returns the overview for a terminal of this width; `None`: the output is no terminal.
pub(crate) fn overview(status: &StatusView, now: Timestamp, columns: Option<usize>) -> Overview {
    Overview { summary: joined(&summary(status, now, columns)), table: joined(&table(status, now, columns)) }
}

fn joined(lines: &[String]) -> String {
    lines.iter().fold(String::new(), |text, line| text + line.trim_end() + "\n")
}

fn summary(status: &StatusView, now: Timestamp, columns: Option<usize>) -> Vec<String> {
    let mut lines = Vec::new();
    lines.push(match &status.daemon {
        Some(daemon) => {
            let age = ticking(now.millis_since(daemon.since));
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
    lines.extend(builds(&status.builds));
    lines.extend(status.deferred.as_ref().map(deferred));
    for hold in &status.holds {
        let waiting = status.specs.iter().filter(|spec| hold_on(status, spec).is_some_and(|on| on == hold)).count();
        let waiting = match waiting {
            0 => String::new(),
            1 => "; 1 of the specs shown waits for it".to_owned(),
            count => format!("; {count} of the specs shown wait for it"),
        };
        lines.push(hold_line(hold, now) + &paint(&waiting, ATTENTION));
    }
    lines.extend(status.landers.iter().map(lander_line));
    lines.extend(status.hooks.iter().filter_map(|hook| hook_line(hook, now)));
    for pace in &status.paces {
        let starts = pace.starts_per_tick;
        let line =
            format!("pace: at most {starts} runs of {} start per tick, because requests were refused", pace.agent);
        lines.push(paint(&line, ATTENTION));
    }
    let counts = &status.counts;
    let unmerged = match counts.unmerged {
        0 => String::new(),
        count => paint(&format!(" ({count} unmerged)"), ATTENTION),
    };
    lines.push(format!(
        "specs: {} queued, {} running, {} completed{unmerged}, {} failed, {} canceled{}",
        counts.queued,
        counts.running,
        counts.completed,
        counts.failed,
        counts.canceled,
        if counts.dropped > 0 { format!(", {} dropped", counts.dropped) } else { String::new() }
    ));
    lines.extend(spending(&status.spending));
    match columns {
        Some(columns) => lines.iter().flat_map(|line| wrapped(line, columns)).collect(),
        None => lines,
    }
}

/// Breaks a line of the summary that is wider than the terminal between words. A broken line has no styles.
fn wrapped(line: &str, columns: usize) -> Vec<String> {
    if text::width(&text::plain(line)) <= columns {
        return vec![line.to_owned()];
    }
    let lines = wrap(line, columns.saturating_sub(CONTINUED).max(NARROW_TITLE), usize::MAX);
    lines.iter().enumerate().map(|(at, part)| format!("{:1$}{part}", "", if at == 0 { 0 } else { CONTINUED })).collect()
}

fn table(status: &StatusView, now: Timestamp, columns: Option<usize>) -> Vec<String> {
    let mut lines = Vec::new();
    let (width, most) = match columns {
        Some(columns) => (columns.saturating_sub(INDENT).max(NARROW_TITLE), REASON_LINES),
        None => (REASON, 1),
    };
    for spec in &status.specs {
        lines.push(spec_row(spec, now, columns));
        // The line about the hold says why the specs of its agent wait.
        if let Some(reason) = spec.reason.as_ref().filter(|_| !waits_for_hold(status, spec)) {
            let reason = wrap(&localized_from(reason, now), width, most);
            lines.extend(reason.iter().map(|line| format!("{:INDENT$}{line}", "")));
        }
        lines.extend(spec.git.as_ref().map(|git| format!("{:INDENT$}{}", "", git_line(git, now))));
    }
    if status.more {
        lines.push("... more: `boi status --all` lists every spec, a page at a time".to_owned());
    }
    lines
}

/// Returns whether a spec waits for nothing but the end of the hold on its agent.
fn waits_for_hold(status: &StatusView, spec: &SpecView) -> bool {
    matches!(spec.cause, None | Some(Cause::Refused { .. })) && hold_on(status, spec).is_some()
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
fn hold_line(hold: &HoldView, now: Timestamp) -> String {
    paint(&format!("held: {}: {}", hold.agent, localized_from(&hold.reason, now)), ATTENTION)
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

/// Describes how many build slots are taken; `None`: there is no limit.
fn builds(builds: &BuildsView) -> Option<String> {
    let BuildsView { build_slots, running, waiting } = builds;
    let line = format!("builds: {running}/{build_slots}");
    match (build_slots, waiting) {
        (0, _) => None,
        (_, 0) => Some(line),
        (_, 1) => Some(line + ", 1 spec waits for a build slot"),
        _ => Some(format!("{line}, {waiting} specs wait for a build slot")),
    }
}

/// Describes why starts are deferred, in one line.
fn deferred(deferral: &Deferral) -> String {
    let what = if deferral.all { "no spec is started" } else { "specs of some repositories are not started" };
    paint(&format!("deferred: {what}: {}", deferral.reason), ATTENTION)
}

/// Formats one spec as a row of the table, which fits a terminal of this width if the terminal is not too narrow.
pub(super) fn spec_row(spec: &SpecView, now: Timestamp, columns: Option<usize>) -> String {
    let done = spec.tasks.iter().filter(|task| task.status == TaskStatus::Done).count();
    let status = paint(&format!("{:<9}", spec.status.as_str()), style::of_spec(spec.status));
    let when = match spec.status {
        SpecStatus::Queued => ago(spec.queued_at, now),
        SpecStatus::Running => spec
            .attempt_started_at
            .or(spec.started_at)
            .map_or_else(String::new, |at| format!("for {}", ticking(now.millis_since(at)))),
        _ => spec.finished_at.map_or_else(String::new, |at| ago(at, now)),
    };
    let cost = short_cost(&spec.usage);
    let row = format!("{:<8} {status} {done}/{:<3} {when:>10} {cost:>8}  ", spec.id, spec.tasks.len());
    let after = after_title(spec);
    let taken = text::width(&text::plain(&row)) + after.as_ref().map_or(0, |after| text::width(after) + 2);
    let room = columns.map_or(TITLE, |columns| columns.saturating_sub(taken).clamp(NARROW_TITLE, TITLE));
    match after {
        Some(after) => format!("{row}{}  {after}", text::pad(&spec.title, room)),
        None => format!("{row}{}", text::fit(&spec.title, room)),
    }
}

/// Returns what follows the title: the task that runs, or that the spec waits to land, is being landed, is
/// unmerged or changed nothing.
fn after_title(spec: &SpecView) -> Option<String> {
    match (spec.status, spec.delivery) {
        (SpecStatus::Running, _) => {
            let task = spec.tasks.iter().find(|task| task.status == TaskStatus::Running)?;
            Some(format!("{}, try {}", text::fit(&task.id, 24), task.tries))
        }
        (_, Some(delivery @ (Delivery::Unmerged | Delivery::Waiting | Delivery::Landing))) => {
            Some(delivery_name(delivery).to_owned())
        }
        _ if changed_nothing(spec) => Some("NO CHANGES".to_owned()),
        _ => None,
    }
}

/// Returns whether a spec completed in a repository without a commit, although an agent worked on it.
pub(super) fn changed_nothing(spec: &SpecView) -> bool {
    spec.status == SpecStatus::Completed
        && spec.repo.is_some()
        && spec.tasks.iter().all(|task| task.commit.is_none())
        && spec.tasks.iter().any(|task| task.unchanged)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::Cursor;
    use crate::domain::money::Usd;
    use crate::domain::outcome::Usage;
    use crate::domain::verdict::ReloadOutcome;
    use crate::domain::view::{ConfigView, Counts, StoreView, TaskView};
    use crate::ui::sample;

    #[test]
    fn wide_titles_do_not_break_the_columns() {
        let titles = ["plain", "日本語のタイトル", "🚀 ship 👩‍🚀 it", &"長".repeat(100), "a\u{301}ccents\tand\nlines"];
        let rows = titles.map(|title| {
            let mut spec = sample::spec(1, SpecStatus::Completed, title);
            spec.finished_at = Some(Timestamp(0));
            spec.delivery = Some(Delivery::Unmerged);
            anstream::adapter::strip_str(&spec_row(&spec, Timestamp(600_000), None)).to_string()
        });
        for row in &rows {
            assert_eq!(row.lines().count(), 1, "{row}");
            let title = row.split_once("10 min ago           ").expect("the column before the title").1;
            let (title, mark) = title.split_at(title.rfind("  unmerged").expect("the column after the title"));
            assert_eq!((text::width(title), mark), (TITLE, "  unmerged"), "{row}");
        }
        assert!(rows[3].contains('…'), "{}", rows[3]);
    }

    fn status(specs: Vec<SpecView>) -> StatusView {
        StatusView {
            daemon: None,
            config: ConfigView::without_daemon(ReloadOutcome::Applied, vec![]),
            slots: SlotsView { max_workers: 1, running: 0 },
            paused: false,
            deferred: None,
            builds: BuildsView::default(),
            holds: vec![],
            landers: vec![],
            paces: vec![],
            spending: SpendingView::default(),
            hooks: vec![],
            counts: Counts::default(),
            specs,
            more: false,
            store: StoreView::default(),
        }
    }

    fn task(id: &str, status: TaskStatus, unchanged: bool) -> TaskView {
        TaskView {
            id: id.into(),
            title: "t".into(),
            status,
            tries: 2,
            commit: None,
            unchanged,
            usage: Usage::default(),
            history: vec![],
        }
    }

    #[test]
    fn the_end_of_a_reason_is_shown_at_every_width() {
        let mut spec = sample::spec(1, SpecStatus::Queued, "日本語のタイトル, long enough for a narrow terminal");
        let middle = "the service said no ".repeat(60);
        spec.reason =
            Some(format!("{middle}; boi retries at 1970-01-01T00:01:00.000Z. Log in, then run `boi retry S0001`."));
        for columns in [None, Some(64), Some(80), Some(200)] {
            let table = overview(&status(vec![spec.clone()]), Timestamp(17_000), columns).table;
            let lines: Vec<&str> = table.lines().skip(1).map(str::trim).collect();
            let reason = lines.join(" ");
            assert!(reason.contains("boi retries in 43 s ("), "{columns:?}: {reason}");
            assert!(reason.ends_with("then run `boi retry S0001`."), "{columns:?}: {reason}");
            assert!(lines.len() <= REASON_LINES, "{table}");
            let table = anstream::adapter::strip_str(&table).to_string();
            assert!(columns.is_none_or(|columns| table.lines().all(|line| text::width(line) <= columns)), "{table}");
        }
    }

    #[test]
    fn a_running_row_names_its_task_and_a_completed_one_without_changes_says_so() {
        let mut running = sample::spec(1, SpecStatus::Running, "t");
        running.tasks = vec![task("t-1", TaskStatus::Done, false), task("t-2", TaskStatus::Running, false)];
        assert!(spec_row(&running, Timestamp(0), None).ends_with("  t-2, try 2"));
        let mut nothing = sample::spec(1, SpecStatus::Completed, "t");
        nothing.tasks = vec![task("t-1", TaskStatus::Done, true)];
        assert!(!spec_row(&nothing, Timestamp(0), None).contains("NO CHANGES"), "it has no repository");
        nothing.repo = Some("/r".into());
        assert!(spec_row(&nothing, Timestamp(0), None).ends_with("  NO CHANGES"));
    }

    #[test]
    fn a_hold_has_one_line_with_the_number_of_specs_that_wait_for_it() {
        let mut held = sample::spec(1, SpecStatus::Queued, "t");
        held.next_agent = Some("claude".into());
        held.reason = Some("waits for the agent claude, which is held".into());
        let mut view = status(vec![held.clone(), held]);
        view.holds = vec![HoldView {
            agent: "claude".into(),
            reason: "limit; boi starts one run as a probe at 1970-01-01T00:01:00.000Z".into(),
            until: Some(Timestamp(60_000)),
            cause: "limited".into(),
            since: None,
            evidence: String::new(),
            probe: None,
        }];
        let shown = overview(&view, Timestamp(17_000), Some(200));
        assert_eq!(shown.table.lines().count(), 2, "{}", shown.table);
        let line = shown.summary.lines().find(|line| line.contains("held: claude")).expect("a line about the hold");
        assert!(line.contains("claude: limit; boi starts one run as a probe in 43 s ("), "{line}");
        assert!(line.contains("; 2 of the specs shown wait for it"), "{line}");
    }

    #[test]
    fn the_summary_counts_unmerged_specs_and_is_last_on_a_terminal() {
        let mut view = status(vec![sample::spec(1, SpecStatus::Completed, "t")]);
        view.counts = Counts { completed: 4, unmerged: 1, ..Counts::default() };
        let shown = overview(&view, Timestamp(0), Some(80));
        let [piped, terminal] =
            [false, true].map(|is_terminal| anstream::adapter::strip_str(&shown.text(is_terminal)).to_string());
        let sums = "specs: 0 queued, 0 running, 4 completed (1 unmerged), 0 failed, 0 canceled\n";
        assert!(piped.starts_with("daemon:") && piped.contains(&format!("{sums}\nS0001")), "{piped}");
        assert!(terminal.starts_with("S0001") && terminal.ends_with(sums), "{terminal}");
        assert!(!overview(&status(vec![]), Timestamp(0), None).text(true).contains("\n\n"));
    }

    #[test]
    fn a_large_write_ahead_log_is_a_warning() {
        let view = |wal_bytes| StatusView { store: StoreView { wal_bytes, ..StoreView::default() }, ..status(vec![]) };
        assert!(!overview(&view(LARGE_LOG), Timestamp(0), None).summary.contains("write-ahead log"));
        let shown = overview(&view(3 << 29), Timestamp(0), None).summary;
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
        assert!(spec_row(&spec, Timestamp(600_000), None).contains("for 5 s"));
    }

    #[test]
    fn styles_can_be_removed() {
        let row = spec_row(&sample::spec(1, SpecStatus::Failed, "t"), Timestamp(0), None);
        assert!(row.contains("\u{1b}[31m"), "{row:?}");
        assert_eq!(anstream::adapter::strip_str(&row).to_string(), "S0001    failed    0/0                        t");
    }
}
