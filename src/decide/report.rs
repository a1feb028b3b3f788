//! Makes the report of `boi report` from what the queue and git say about the specs.

mod groups;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::reason;
use crate::domain::cause::{Cause, Unmerged};
use crate::domain::delivery::MergeRefusal;
use crate::domain::id::SpecId;
use crate::domain::life::{Block, SpecStatus, TaskStatus};
use crate::domain::outcome::{Delivery, MergedBy, Usage};
use crate::domain::report::{
    AgentUsage, BaseMove, DiffSize, FileChange, Merged, Need, Open, Overlap, Report, Review, Running, SpecLine, Totals,
    Waiting,
};
use crate::domain::time::Timestamp;
use crate::domain::verdict::ReloadOutcome;
use crate::domain::view::{SpecView, StatusView, TaskView};

/// How many of the files that two branches change an overlap names.
const FILES_NAMED: usize = 3;
/// How many waiting specs the report names.
const WAITING_NAMED: usize = 10;

/// All input of a report.
#[derive(Debug, Clone)]
pub(crate) struct ReportInput {
    /// The current time.
    pub now: Timestamp,
    /// The beginning of the reported time.
    pub since: Timestamp,
    /// The specs that ended in the reported time, with their tries.
    pub ended: Vec<EndedSpec>,
    /// Whether more specs ended in that time.
    pub more: bool,
    /// The specs that wait for the user.
    pub blocked: Vec<SpecView>,
    /// How many branches of completed specs have changes and are not merged, whenever these specs ended.
    pub unlanded: u64,
    /// What the runs used for each agent that ended in the reported time.
    pub usage: Vec<(String, Usage)>,
    /// The state of the daemon, with the running specs and the first of the queued ones.
    pub status: StatusView,
    /// How many commits a base gained in the reported time, by repository and name of the base.
    pub commits: BTreeMap<(String, String), u64>,
}

/// A spec that ended, with what the report needs besides its view.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct EndedSpec {
    /// The spec, with its tries.
    pub view: SpecView,
    /// The branch into which the branch of the spec is merged; `None`: unknown, or there is no repository.
    pub base: Option<String>,
    /// The spec on whose branch this one started.
    pub on: Option<SpecId>,
    /// The files that the branch changes; `None`: git cannot tell, or nobody asked.
    pub files: Option<Vec<FileChange>>,
    /// The last line that the last command printed.
    pub output: Option<String>,
}

/// The list of the report to which a spec belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Unmerged,
    Failed,
    NoChanges,
    ToReview,
    Merged,
    Done,
    Canceled,
    Dropped,
    /// The spec does not belong in the report: it was queued again after it ended, or it is being landed.
    Open,
}

impl Place {
    fn of(spec: &SpecView) -> Place {
        match spec.status {
            SpecStatus::Completed | SpecStatus::Failed | SpecStatus::Canceled
                if spec.delivery.is_some_and(Delivery::is_under_way) =>
            {
                Place::Open
            }
            // The user landed the branch although the spec did not complete.
            SpecStatus::Failed | SpecStatus::Canceled if spec.delivery == Some(Delivery::Merged) => Place::Merged,
            SpecStatus::Failed => Place::Failed,
            SpecStatus::Canceled => Place::Canceled,
            SpecStatus::Dropped => Place::Dropped,
            SpecStatus::Queued | SpecStatus::Running => Place::Open,
            SpecStatus::Completed => match spec.delivery {
                Some(Delivery::Unmerged) => Place::Unmerged,
                // boi reports a branch without commits as merged, if the spec asks for a merge.
                _ if spec.repo.is_some() && commits(spec) == 0 => match spec.tasks.iter().any(|task| task.unchanged) {
                    true => Place::NoChanges,
                    false => Place::Done,
                },
                Some(Delivery::Branch) => Place::ToReview,
                Some(Delivery::Merged) => Place::Merged,
                Some(Delivery::Waiting | Delivery::Landing) => Place::Open,
                None => Place::Done,
            },
        }
    }
}

/// Makes the report.
pub(crate) fn report(input: &ReportInput) -> Report {
    let of = |place| input.ended.iter().filter(move |spec| Place::of(&spec.view) == place);
    let count = |place| of(place).count();
    let groups = groups::failed(input);
    let mut no_changes: Vec<Need> = of(Place::NoChanges).map(no_changes).collect();
    no_changes.sort_by_key(|need| !matches!(need, Need::NoChanges { asks: true, .. }));
    let mut to_review: Vec<Review> = of(Place::ToReview).map(|spec| review(spec, input)).collect();
    // A branch of unknown size comes last.
    to_review.sort_by_key(|one| {
        let size = one.diff.map(|diff| (diff.lines(), diff));
        (size.is_none(), size, one.spec.finished_at, one.spec.id.clone())
    });
    let merged: Vec<Merged> = of(Place::Merged).map(merged).collect();
    let (began_at, ended_at, wall_ms) = times(input);
    let totals = Totals {
        specs: input.ended.iter().filter(|spec| Place::of(&spec.view) != Place::Open).count(),
        unmerged: count(Place::Unmerged),
        failed: count(Place::Failed),
        causes: groups.len(),
        unchanged: no_changes.len(),
        to_review: to_review.len(),
        merged: merged.len(),
        done: count(Place::Done),
        canceled: count(Place::Canceled),
        dropped: count(Place::Dropped),
        usage: sum(&input.usage),
        agents: input.usage.iter().map(|(agent, usage)| AgentUsage { agent: agent.clone(), usage: *usage }).collect(),
        bases: bases(input, of(Place::Merged)),
    };
    let mut needs_you = of_the_daemon(&input.status);
    needs_you.extend(of(Place::Unmerged).map(|spec| unmerged(spec, input)));
    needs_you.extend(groups);
    needs_you.extend(no_changes);
    needs_you.extend(input.blocked.iter().filter(|spec| spec.status == SpecStatus::Queued).map(blocked));
    let in_report = (totals.to_review + totals.unmerged) as u64;
    Report {
        at: input.now,
        since: input.since,
        began_at,
        ended_at,
        wall_ms,
        older_to_review: input.unlanded.saturating_sub(in_report),
        needs_you,
        to_review,
        merged,
        done: of(Place::Done).map(|spec| line(&spec.view)).collect(),
        canceled: of(Place::Canceled).map(|spec| line(&spec.view)).collect(),
        dropped: of(Place::Dropped).map(|spec| line(&spec.view)).collect(),
        open: open(&input.status),
        more: input.more,
        totals,
    }
}

/// Returns when the first reported spec started, when the last one ended, and the time in between.
fn times(input: &ReportInput) -> (Option<Timestamp>, Option<Timestamp>, u64) {
    let ended = input.ended.iter().map(|spec| &spec.view);
    let running = input.status.specs.iter().filter(|spec| spec.status == SpecStatus::Running);
    let first_try = |spec: &SpecView| spec.tasks.iter().flat_map(|task| &task.history).map(|one| one.started_at).min();
    let start = |spec: &SpecView| first_try(spec).or(spec.attempt_started_at).or(spec.started_at);
    let began_at = ended.clone().chain(running.clone()).filter_map(start).min().map(|at| at.max(input.since));
    let runs = running.count() > 0;
    let ended_at = ended.filter_map(|spec| spec.finished_at).max().filter(|_| !runs);
    let wall = began_at.map_or(0, |began| ended_at.unwrap_or(input.now).millis_since(began));
    (began_at, ended_at.filter(|_| began_at.is_some()), u64::try_from(wall).unwrap_or(0))
}

fn sum(usage: &[(String, Usage)]) -> Usage {
    let mut total = Usage::default();
    usage.iter().for_each(|(_, one)| total += *one);
    total
}

fn bases<'a>(input: &ReportInput, merged: impl Iterator<Item = &'a EndedSpec>) -> Vec<BaseMove> {
    let mut specs: BTreeMap<(String, String), usize> = BTreeMap::new();
    for spec in merged {
        if let (Some(repo), Some(base)) = (&spec.view.repo, &spec.base) {
            *specs.entry((repo.clone(), base.clone())).or_default() += 1;
        }
    }
    let moved = |((repo, base), specs): ((String, String), usize)| {
        let commits = input.commits.get(&(repo.clone(), base.clone())).copied();
        BaseMove { repo, base, specs, commits }
    };
    specs.into_iter().map(moved).collect()
}

/// What the state of the daemon and the configuration requires of the user.
fn of_the_daemon(status: &StatusView) -> Vec<Need> {
    let mut needs = Vec::new();
    let nothing_starts =
        |reason: String, next: Option<&str>| Need::NothingStarts { reason, next: next.map(str::to_owned) };
    let specs = |count: u64, verb: &str| match count {
        1 => format!("1 spec {verb}s"),
        count => format!("{count} specs {verb}"),
    };
    let waiting = status.counts.queued;
    if let Some(reason) = &status.store.reason {
        needs.push(nothing_starts(format!("the queue cannot be used: {reason}"), Some("boi doctor")));
    }
    if status.paused && waiting > 0 {
        needs.push(nothing_starts(format!("the queue is paused, and {}", specs(waiting, "wait")), Some("boi resume")));
    }
    if status.slots.max_workers == 0 && waiting > 0 {
        let reason = format!("`max_workers` is 0, and {}", specs(waiting, "wait"));
        needs.push(nothing_starts(reason, Some("boi config set max_workers N")));
    }
    if status.daemon.is_none() && status.counts.open() > 0 {
        let reason = format!("no daemon runs, and {}", specs(status.counts.open(), "wait"));
        needs.push(nothing_starts(reason, Some("boi daemon start")));
    }
    if status.config.outcome == ReloadOutcome::Rejected {
        needs.push(Need::ConfigRejected { errors: status.config.errors.clone(), next: "boi config check".to_owned() });
    }
    for hold in &status.holds {
        needs.push(Need::Held {
            agent: hold.agent.clone(),
            reason: hold.reason.clone(),
            until: hold.until,
            next: format!("boi resume {}", hold.agent),
        });
    }
    needs
}

fn unmerged(spec: &EndedSpec, input: &ReportInput) -> Need {
    let id = &spec.view.id;
    let waits = |other: &&SpecView| match &other.cause {
        Some(Cause::WaitsFor { specs }) => specs.iter().any(|awaited| awaited.id == *id),
        _ => false,
    };
    let next = match &spec.view.cause {
        Some(Cause::Unmerged { why: Unmerged::RepositoryChanged { .. } }) => "boi doctor".to_owned(),
        // A retry without a change of the branch would only meet the conflicts again.
        Some(Cause::Unmerged {
            why: Unmerged::NotResolved { .. } | Unmerged::Refused { refusal: MergeRefusal::Conflicts { .. } },
        }) => {
            format!("boi open {id}")
        }
        _ => format!("boi retry {id}"),
    };
    Need::Unmerged {
        reason: words(&spec.view),
        stops: input.status.specs.iter().filter(waits).map(|other| other.id.clone()).collect(),
        next,
        spec: line(&spec.view),
    }
}

fn no_changes(spec: &EndedSpec) -> Need {
    let unchanged = spec.view.tasks.iter().rev().filter(|task| task.unchanged);
    let message = unchanged.filter_map(|task| task.history.last()?.message.clone()).next();
    Need::NoChanges {
        asks: message.as_deref().is_some_and(is_question),
        message,
        next: format!("boi retry {} --note TEXT", spec.view.id),
        spec: line(&spec.view),
    }
}

/// Returns whether a message ends with a question.
fn is_question(message: &str) -> bool {
    message
        .trim_end_matches(|c: char| c.is_whitespace() || matches!(c, '*' | '_' | '"' | '\'' | ')' | '`'))
        .ends_with('?')
}

fn blocked(spec: &SpecView) -> Need {
    let id = &spec.id;
    let next = match &spec.cause {
        Some(Cause::Blocked { by: Block::Budget(_) }) => format!("boi retry {id} --max-usd N"),
        Some(Cause::Quarantined { .. }) => format!("boi status {id}"),
        _ => format!("boi retry {id}"),
    };
    Need::Blocked { reason: words(spec), next, spec: line(spec) }
}

fn review(spec: &EndedSpec, input: &ReportInput) -> Review {
    Review {
        spec: line(&spec.view),
        commits: commits(&spec.view),
        diff: spec.files.as_deref().map(DiffSize::of),
        on: spec.on.clone().filter(|on| is_unlanded(on, input)),
        overlaps: overlaps(spec, input),
    }
}

fn is_unlanded(id: &SpecId, input: &ReportInput) -> bool {
    let is_it = |spec: &&EndedSpec| spec.view.id == *id;
    let place = input.ended.iter().find(is_it).map(|spec| Place::of(&spec.view));
    matches!(place, Some(Place::ToReview | Place::Unmerged))
}

/// Returns the other unmerged branches of the repository that change a file of this one. A branch that this one
/// builds on, or that builds on it, is not among them: its changes are in both.
fn overlaps(spec: &EndedSpec, input: &ReportInput) -> Vec<Overlap> {
    let Some(files) = &spec.files else { return Vec::new() };
    let own: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
    let parents: HashMap<&SpecId, &SpecId> =
        input.ended.iter().filter_map(|spec| Some((&spec.view.id, spec.on.as_ref()?))).collect();
    let builds_on = |one: &SpecId, other: &SpecId| {
        std::iter::successors(parents.get(one), |id| parents.get(**id)).take(input.ended.len()).any(|id| *id == other)
    };
    let mut found = Vec::new();
    for other in &input.ended {
        let (id, other_id) = (&spec.view.id, &other.view.id);
        if id == other_id || spec.view.repo != other.view.repo || !is_unlanded(other_id, input) {
            continue;
        }
        if builds_on(id, other_id) || builds_on(other_id, id) {
            continue;
        }
        let paths = other.files.iter().flatten().map(|file| file.path.as_str());
        let shared: BTreeSet<&str> = paths.filter(|path| own.contains(path)).collect();
        if !shared.is_empty() {
            let files = shared.iter().take(FILES_NAMED).map(|path| (*path).to_owned()).collect();
            found.push(Overlap { id: other_id.clone(), files, count: shared.len() });
        }
    }
    found
}

fn merged(spec: &EndedSpec) -> Merged {
    let by = spec.view.merged_by.unwrap_or(MergedBy::Boi);
    Merged { spec: line(&spec.view), base: spec.base.clone(), by }
}

fn open(status: &StatusView) -> Open {
    let running = status.specs.iter().filter(|spec| spec.status == SpecStatus::Running).map(running);
    let queued = status.specs.iter().filter(|spec| spec.status == SpecStatus::Queued);
    let waiting =
        |spec: &SpecView| Waiting { id: spec.id.clone(), title: spec.title.clone(), reason: spec.reason.clone() };
    let is_next = |spec: &&SpecView| !matches!(spec.cause, Some(Cause::Blocked { .. } | Cause::Quarantined { .. }));
    Open {
        running: running.collect(),
        queued: status.counts.queued,
        next: queued.filter(is_next).take(WAITING_NAMED).map(waiting).collect(),
    }
}

fn running(spec: &SpecView) -> Running {
    let task = spec.tasks.iter().find(|task| task.status == TaskStatus::Running);
    Running {
        id: spec.id.clone(),
        title: spec.title.clone(),
        task: task.map(|task| task.id.clone()),
        number: task.map_or(0, |task| task.tries),
        since: spec.attempt_started_at.or(spec.started_at),
        usage: spec.usage,
        reason: spec.reason.clone(),
    }
}

/// Returns how many tasks of a spec made a commit.
fn commits(spec: &SpecView) -> usize {
    spec.tasks.iter().filter(|task| task.commit.is_some()).count()
}

fn line(spec: &SpecView) -> SpecLine {
    SpecLine {
        id: spec.id.clone(),
        title: spec.title.clone(),
        repo: spec.repo.clone(),
        branch: spec.branch.clone(),
        tries: spec.tasks.iter().map(|task| task.tries).max().unwrap_or(0),
        attempt_tries: spec.tasks.iter().map(attempt_tries).max().unwrap_or(0),
        max_tries: spec.max_tries,
        usage: spec.usage,
        finished_at: spec.finished_at,
    }
}

/// Returns how many tries of a task began in the last attempt that tried it.
fn attempt_tries(task: &TaskView) -> u32 {
    let Some(last) = task.history.last() else { return task.tries };
    let numbers: BTreeSet<u32> =
        task.history.iter().filter(|one| one.attempt == last.attempt).map(|one| one.number).collect();
    u32::try_from(numbers.len()).unwrap_or(u32::MAX)
}

/// Returns why a spec is in its status, in words.
fn words(spec: &SpecView) -> String {
    let from_cause = || spec.cause.as_ref().map(|cause| reason::reason(cause, &spec.id));
    spec.reason.clone().or_else(from_cause).unwrap_or_default()
}
