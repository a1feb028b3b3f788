//! Collects what a report contains: from the daemon or the queue, from git, and from the output of failed commands. What
//! cannot be read of one spec or one repository is left out, so that the others are still reported.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use super::backend::{self, Backend};
use super::{CliError, report_since, status};
use crate::decide::report::{EndedSpec, ReportInput};
use crate::domain::cause::Cause;
use crate::domain::id::SpecId;
use crate::domain::landing::short_branch_name;
use crate::domain::life::SpecStatus;
use crate::domain::outcome::Delivery;
use crate::domain::position::{CommandStage, Stage, Try};
use crate::domain::report::{FileChange, Need, Report};
use crate::domain::spec::{Action, Base};
use crate::domain::text;
use crate::domain::time::Timestamp;
use crate::domain::view::SpecView;
use crate::git;
use crate::process::command_dir::{CommandDir, ERRORS, OUTPUT};
use crate::queue::{Filter, Queue, unlanded};
use crate::system::paths::Home;
use crate::system::{clock, files};
use crate::ui::report::{MOST_DIFFS, PageBudget, ShownDiff};

/// The largest number of specs in a report.
const MOST_SPECS: u32 = 1_000;
/// The largest number of failed specs whose output is read.
const MOST_OUTPUTS: usize = 200;
/// The largest number of bases whose commits are counted.
const MOST_BASES: usize = 20;
/// How many bytes at the end of a command's output are read to find its last line.
const TAIL: u64 = 4_096;
/// The longest last line, in bytes.
const LINE: usize = 600;

/// The input of a report, and what its diffs are made of.
pub(super) struct Collected {
    pub(super) input: ReportInput,
    pub(super) branches: HashMap<SpecId, Branch>,
}

/// An unmerged branch.
#[derive(Debug)]
pub(super) struct Branch {
    repo: String,
    /// The commit that the branch started from.
    origin: String,
    /// The last commit.
    head: String,
    files: Vec<FileChange>,
}

/// Collects the input of a report. `since`: the beginning of the reported time; `None`: the default.
pub(super) async fn collect(home: &Home, since: Option<Timestamp>) -> Result<Collected, CliError> {
    let mut backend = Backend::find(home).await?;
    let configured = backend::configured(home);
    let queue = backend::read(&configured)?;
    let now = clock::now();
    let status = backend.status_now(home, &Filter::default(), None).await?.status;
    status::warn_of_other_version(&status);
    let mut input = ReportInput {
        now,
        since: since.unwrap_or_else(|| report_since::by_default(now, None)),
        ended: Vec::new(),
        more: false,
        blocked: Vec::new(),
        unlanded: 0,
        usage: Vec::new(),
        status,
        commits: BTreeMap::new(),
    };
    let Some(queue) = queue else { return Ok(Collected { input, branches: HashMap::new() }) };
    let queue = queue.as_ref();
    input.since = match since {
        Some(since) => since,
        None => report_since::by_default(now, queue.last_end()?),
    };
    let found = queue.recent(input.since, MOST_SPECS)?;
    let ids: Vec<SpecId> = found.ended.iter().chain(&found.blocked).cloned().collect();
    let mut views = Vec::new();
    if !ids.is_empty() {
        // This also finds out which branches the user merged by hand.
        let filter = Filter { ids, history: true, ..Filter::default() };
        views = backend.status_now(home, &filter, None).await?.status.specs;
    }
    let ended: BTreeSet<&SpecId> = found.ended.iter().collect();
    let (ended, blocked) = views.into_iter().partition(|view: &SpecView| ended.contains(&view.id));
    input.blocked = blocked;
    input.ended = ended.into_iter().map(|view| with_base(queue, view)).collect();
    // The look may have recorded merges, so the branches are counted after it.
    input.unlanded = queue.recent(now, 0)?.unlanded;
    input.more = found.more;
    input.usage = queue.usage_since(input.since)?;
    let branches = branches(queue, &mut input)?;
    for spec in input.ended.iter_mut().filter(|spec| spec.view.status == SpecStatus::Failed).take(MOST_OUTPUTS) {
        spec.output = last_line(&configured, queue, &spec.view);
    }
    input.commits = commits(&input);
    Ok(Collected { input, branches })
}

/// Adds the base of a spec, and the spec on whose branch it started.
fn with_base(queue: &dyn Queue, view: SpecView) -> EndedSpec {
    let mut ended = EndedSpec { view, base: None, on: None, files: None, output: None };
    if ended.view.status != SpecStatus::Completed || ended.view.repo.is_none() {
        return ended;
    }
    if let Ok(spec) = queue.spec(&ended.view.id) {
        ended.on = spec.repo.as_ref().and_then(|repo| match &repo.base {
            Base::Spec(id) => Some(id.clone()),
            Base::Revision(_) => None,
        });
        // The last base is the one that is not the branch of a spec.
        let bases = unlanded::bases(queue, &spec).unwrap_or_default();
        ended.base = bases.last().map(|base| short_branch_name(base).to_owned());
    }
    ended
}

/// Reads what each unmerged branch changes, with two git processes for each repository.
fn branches(queue: &dyn Queue, input: &mut ReportInput) -> Result<HashMap<SpecId, Branch>, CliError> {
    let is_unmerged = |spec: &&EndedSpec| matches!(spec.view.delivery, Some(Delivery::Branch | Delivery::Unmerged));
    let ids: Vec<SpecId> = input.ended.iter().filter(is_unmerged).map(|spec| spec.view.id.clone()).collect();
    let mut by_repo: BTreeMap<String, Vec<(SpecId, String, String)>> = BTreeMap::new();
    for spec in queue.unlanded(Some(&ids))? {
        by_repo.entry(spec.repo).or_default().push((spec.id, spec.origin, spec.head));
    }
    let mut branches = HashMap::new();
    for (repo, mut specs) in by_repo {
        // The user may have added commits to a branch. A repository that cannot be read has branches of unknown size.
        let heads = git::local_branches(Path::new(&repo)).unwrap_or_default();
        for (id, _, head) in &mut specs {
            heads.get(&id.branch()).iter().for_each(|current| (*current).clone_into(head));
        }
        let pairs: Vec<(String, String)> =
            specs.iter().map(|(_, origin, head)| (origin.clone(), head.clone())).collect();
        let stats = git::diff_stats(Path::new(&repo), &pairs).unwrap_or_default();
        for ((id, origin, head), files) in specs.into_iter().zip(stats) {
            if let Some(files) = files {
                branches.insert(id, Branch { repo: repo.clone(), origin, head, files });
            }
        }
    }
    for spec in &mut input.ended {
        spec.files = branches.get(&spec.view.id).map(|branch| branch.files.clone());
    }
    Ok(branches)
}

/// Counts the commits that each base gained into which a spec was merged.
fn commits(input: &ReportInput) -> BTreeMap<(String, String), u64> {
    let merged = input.ended.iter().filter(|spec| spec.view.delivery == Some(Delivery::Merged));
    let bases: BTreeSet<(String, String)> =
        merged.filter_map(|spec| Some((spec.view.repo.clone()?, spec.base.clone()?))).collect();
    let since = input.since.to_string();
    let count = |(repo, base): (String, String)| {
        let commits = git::commits_since(Path::new(&repo), &base, &since)?;
        Some(((repo, base), commits))
    };
    bases.into_iter().take(MOST_BASES).filter_map(count).collect()
}

/// Returns the last line that the last command of a failed spec printed, or, if this was an agent, the line that decided
/// its outcome.
fn last_line(home: &Home, queue: &dyn Queue, view: &SpecView) -> Option<String> {
    if matches!(view.cause, Some(Cause::DependencyEnded { .. } | Cause::DependencyIncomplete { .. })) {
        return None;
    }
    let row = queue.commands(&view.id).ok()?.pop()?;
    if let Some(Stage::Command(CommandStage::Act(Try { task, .. }))) = &row.stage
        && matches!(queue.spec(&view.id).ok()?.tasks.get(*task)?.action, Action::Prompt(_))
    {
        return view.tasks.get(*task)?.history.last()?.evidence.clone().filter(|line| !is_record(line));
    }
    let dir = CommandDir::at(home.command(&view.id, row.attempt, row.number));
    let last = |name| {
        let bytes = files::tail(dir.open_file(name).ok()??, TAIL).ok()?;
        let text = text::tail(&bytes, TAIL as usize);
        let line = text.lines().rev().map(str::trim).find(|line| !line.is_empty())?;
        Some(text::last_bytes(line, LINE).to_owned())
    };
    last(ERRORS).or_else(|| last(OUTPUT))
}

/// Whether a line of an agent's output is JSON. The cause has its message in words, and its ids would keep specs with the
/// same cause apart.
fn is_record(line: &str) -> bool {
    line.trim_start().starts_with('{')
}

/// Returns the diffs that a page of this report shows, in the order of the page, as far as they fit.
pub(super) fn diffs(report: &Report, branches: &HashMap<SpecId, Branch>) -> HashMap<SpecId, ShownDiff> {
    let unmerged = report.needs_you.iter().filter_map(|need| match need {
        Need::Unmerged { spec, .. } => Some(&spec.id),
        _ => None,
    });
    let shown = unmerged.chain(report.to_review.iter().map(|review| &review.spec.id));
    let (mut budget, mut diffs) = (PageBudget::new(), HashMap::new());
    for id in shown.take(MOST_DIFFS) {
        let Some(branch) = branches.get(id) else { continue };
        let chosen = budget.choose(&branch.files);
        if chosen.is_empty() {
            continue;
        }
        if let Ok(patch) = git::patch(Path::new(&branch.repo), &branch.origin, &branch.head, &chosen) {
            diffs.insert(id.clone(), budget.show(&patch, branch.files.len() - chosen.len()));
        }
    }
    diffs
}
