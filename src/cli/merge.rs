//! `boi merge`: lands the branches of completed specs, and waits until each is merged or stays unmerged.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use clap::Args;
use serde_json::json;

use super::args::ConfigFlags;
use super::backend::{Backend, LazyQueue};
use super::cancel_retry::{report_each, without_duplicates};
use super::follow::{self, Followed, View};
use super::printing::{print_json, print_line};
use super::running_daemon::RunningDaemon;
use super::{BAD_CONFIG, CliError, ExitCode, FAILED, INTERRUPTED, block_on_daemon, ids, preflight, version_skew};
use crate::daemon::lifecycle::seat::{self, Seat};
use crate::domain::id::SpecId;
use crate::domain::outcome::Delivery;
use crate::domain::text;
use crate::domain::view::{SpecView, StatusView};
use crate::git;
use crate::queue::{Filter, Queue};
use crate::reload;
use crate::system::output::say;
use crate::system::paths::Home;
use crate::system::{clock, logs};
use crate::ui::times::localized;

/// The longest title and reason that are printed, in characters.
const LONGEST: usize = 400;

/// The arguments of `boi merge`.
#[derive(Debug, Args)]
pub(super) struct Merge {
    /// Ids of specs
    #[arg(value_name = "ID", required_unless_present = "all", value_parser = ids::spec_id)]
    ids: Vec<SpecId>,
    /// Every completed spec whose branch has commits and is not merged
    #[arg(long, conflicts_with_all = ["ids", "force"])]
    all: bool,
    /// Also specs that failed or were canceled: their branch has the tasks that were done
    #[arg(long)]
    force: bool,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// Carries out `boi merge`.
pub(super) fn merge(home: &Home, args: Merge) -> Result<ExitCode, CliError> {
    block_on_daemon(async {
        match RunningDaemon::find_not_stopping(home).await? {
            Some(daemon) => through_daemon(home, Backend::Daemon(daemon.client), args).await,
            None => as_daemon(home, args).await,
        }
    })
}

async fn through_daemon(home: &Home, mut backend: Backend, args: Merge) -> Result<ExitCode, CliError> {
    let ids = match LazyQueue::of(home).get()? {
        Some(queue) => selected(queue, &args)?,
        None => vec![],
    };
    let mut errors = Vec::new();
    let mut asked = Vec::new();
    for id in ids {
        match backend.land(home, &id, args.force).await {
            Ok(()) => asked.push(id),
            Err(error) => errors.push(error),
        }
    }
    if asked.is_empty() {
        return conclude(&[], &errors, args.json);
    }
    let mut view = MergeView::new(args.json, true);
    match follow::through_daemon(home, backend, Filter { ids: asked, ..Filter::default() }, &mut view).await? {
        Followed::Over(status) | Followed::Left(status) => conclude(&status.specs, &errors, args.json),
        Followed::Interrupted => {
            say!("this command has ended, but the daemon continues to land the branches: `boi status` shows them");
            Ok(INTERRUPTED)
        }
    }
}

async fn as_daemon(home: &Home, args: Merge) -> Result<ExitCode, CliError> {
    preflight::refuse_within_own_task(home)?;
    let booted = reload::boot(home, &ConfigFlags { config: vec![] }.read()?)
        .map_err(|error| CliError::from(error).with_code(BAD_CONFIG))?;
    let home = home.clone().with_paths(&booted.config.paths);
    home.prepare()?;
    let seat = Seat::take(&home, seat::PROBED).await?;
    let queue = Arc::clone(seat.queue());
    let (mut errors, mut asked) = (Vec::new(), Vec::new());
    for id in selected(queue.as_ref(), &args)? {
        match queue.request_landing(&id, args.force, clock::now()) {
            Ok(()) => asked.push(id),
            Err(error) => errors.push(CliError::from(error)),
        }
    }
    if asked.is_empty() {
        return conclude(&[], &errors, args.json);
    }
    let log =
        logs::start(home.log_output(), &booted.config.log).map_err(|message| CliError::new(BAD_CONFIG, message))?;
    let running = seat.start(booted, log, Some(asked.clone()))?;
    let mut view = MergeView::new(args.json, false);
    match follow::as_daemon(running, Filter { ids: asked, ..Filter::default() }, &mut view).await? {
        Followed::Over(status) => conclude(&status.specs, &errors, args.json),
        Followed::Left(_) | Followed::Interrupted => {
            say!("not landed yet; to continue: `boi daemon start`");
            Ok(INTERRUPTED)
        }
    }
}

/// Returns the specs that the arguments name.
fn selected(queue: &dyn Queue, args: &Merge) -> Result<Vec<SpecId>, CliError> {
    if !args.all {
        return Ok(without_duplicates(args.ids.clone()));
    }
    let landable = queue.landable()?;
    let unchanged = unchanged(queue, &landable)?;
    let (left, landable): (Vec<SpecId>, Vec<SpecId>) = landable.into_iter().partition(|id| unchanged.contains(id));
    if !left.is_empty() && !args.json {
        let left: Vec<&str> = left.iter().map(SpecId::as_str).collect();
        say!("left out, because their branches have no commits: {}", left.join(", "));
    }
    Ok(landable)
}

/// Returns those of the specs whose branch is where it started. A merge would bring nothing into the base, but the spec
/// would count as merged, although its agent may have asked a question.
fn unchanged(queue: &dyn Queue, ids: &[SpecId]) -> Result<HashSet<SpecId>, CliError> {
    let (mut unchanged, mut branches) = (HashSet::new(), HashMap::new());
    for spec in queue.unlanded(Some(ids))? {
        let heads = branches
            .entry(spec.repo.clone())
            .or_insert_with(|| git::local_branches(Path::new(&spec.repo)).unwrap_or_default());
        // The user may have added commits to the branch.
        if *heads.get(&spec.id.branch()).unwrap_or(&spec.head) == spec.origin {
            unchanged.insert(spec.id);
        }
    }
    Ok(unchanged)
}

/// Prints each spec once when its landing has ended.
struct MergeView {
    json: bool,
    /// Whether another process is the daemon.
    through_daemon: bool,
    specs: HashSet<SpecId>,
    notes: HashSet<String>,
}

impl MergeView {
    fn new(json: bool, through_daemon: bool) -> MergeView {
        MergeView { json, through_daemon, specs: HashSet::new(), notes: HashSet::new() }
    }
}

impl View for MergeView {
    fn show(&mut self, status: &StatusView) -> Result<bool, CliError> {
        if let Some(daemon) = status.daemon.as_ref().filter(|_| self.through_daemon) {
            version_skew::warn(&daemon.version, daemon.pid);
            if daemon.scoped {
                self.note(
                    "note: the running daemon is a `boi run`, which lands only its own specs; the others wait for a daemon",
                );
                return Ok(true);
            }
        }
        for spec in status.specs.iter().filter(|spec| spec.is_settled()) {
            if self.specs.insert(spec.id.clone()) && !self.json {
                print_line(&line(spec))?;
            }
        }
        if status.paused {
            self.note("claiming is paused, so nothing is landed: `boi resume`; still waiting");
        }
        Ok(status.specs.iter().all(SpecView::is_settled))
    }

    fn note(&mut self, text: &str) {
        if self.notes.insert(text.to_owned()) {
            say!("{text}");
        }
    }

    fn interrupted(&mut self, _: &StatusView) {}
}

fn line(spec: &SpecView) -> String {
    let how = match spec.delivery {
        Some(Delivery::Merged) => "merged",
        Some(Delivery::Unmerged) => "unmerged",
        _ => spec.status.as_str(),
    };
    let mut line = format!("{}  {how:<9} {}", spec.id, text::one_line(&spec.title, LONGEST));
    if let Some(reason) = &spec.reason {
        line += &format!("\n         {}", text::one_line(&localized(reason), LONGEST));
    }
    line
}

/// Returns how many specs are merged and how many are not: `16 merged, 1 unmerged`.
fn sum(specs: &[SpecView]) -> String {
    let merged = specs.iter().filter(|spec| spec.delivery == Some(Delivery::Merged)).count();
    let unmerged = specs.iter().filter(|spec| spec.delivery == Some(Delivery::Unmerged)).count();
    let counts = [(merged, "merged"), (unmerged, "unmerged"), (specs.len() - merged - unmerged, "not merged yet")];
    let counts: Vec<String> =
        counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    counts.join(", ")
}

/// Prints the result as JSON if it was asked for, and the errors. Succeeds only if every spec is merged.
fn conclude(specs: &[SpecView], errors: &[CliError], json: bool) -> Result<ExitCode, CliError> {
    if json {
        let specs = specs.iter().map(
            |spec| json!({"id": spec.id, "status": spec.status, "delivery": spec.delivery, "reason": spec.reason}),
        );
        print_json(&json!({"specs": specs.collect::<Vec<_>>()}))?;
    } else if specs.is_empty() && errors.is_empty() {
        print_line("nothing to merge")?;
    } else if specs.len() > 1 {
        print_line(&sum(specs))?;
    }
    let code = report_each(errors, json);
    let all = specs.iter().all(|spec| spec.delivery == Some(Delivery::Merged));
    Ok(code.unwrap_or(if all { 0 } else { FAILED }))
}
