//! `boi wait`: waits until specs have ended.

use std::collections::HashSet;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::args::Wait;
use super::backend::{Backend, KNOWN};
use super::changes::Changes;
use super::own_task::OwnTask;
use super::printing::{print_json, print_line};
use super::{CliError, ExitCode, FAILED, GAVE_UP, block_on, durations, version_skew};
use crate::domain::event::{EventFilter, EventKind};
use crate::domain::id::SpecId;
use crate::domain::outcome::Delivery;
use crate::domain::text;
use crate::domain::view::{SpecView, StatusView};
use crate::queue::Filter;
use crate::system::output::say;
use crate::system::paths::Home;
use crate::ui::obstacle::{daemon_obstacle, obstacle};
use crate::ui::times::localized;

/// The interval at which the command reads the queue while no daemon runs.
const POLL: Duration = Duration::from_millis(500);

/// The shortest time between two looks because of a change that is not the end of a spec, for messages about
/// what the specs wait for.
const STATE_PAUSE: Duration = Duration::from_secs(5);
/// The kinds of events that end a spec or change how it ended.
const ENDS: [EventKind; 5] = [
    EventKind::SpecCompleted,
    EventKind::SpecFailed,
    EventKind::SpecCanceled,
    EventKind::SpecMerged,
    EventKind::SpecUnmerged,
];

/// Carries out `boi wait`.
pub(super) fn wait(home: &Home, args: &Wait) -> Result<ExitCode, CliError> {
    let limit = args.timeout.as_deref().map(|text| durations::parse("--timeout", text)).transpose()?;
    if let Some(task) = OwnTask::find(home) {
        args.ids.iter().try_for_each(|id| task.refuse_waiting_for(id))?;
    }
    block_on(async {
        let limited = async {
            match limit {
                None => follow(home, args).await,
                Some(limit) => timeout(limit, follow(home, args)).await.unwrap_or_else(|_| Err(gave_up(args))),
            }
        };
        // The exit code says whether the specs completed, even if nobody reads the output any more.
        let status = limited.await?;
        if args.json {
            print_json(&status)?;
        }
        let mut ended = status.specs.iter().filter(|spec| spec.is_settled());
        Ok(if ended.all(SpecView::is_as_asked) { 0 } else { FAILED })
    })
}

fn gave_up(args: &Wait) -> CliError {
    let limit = args.timeout.as_deref().unwrap_or_default();
    let ids: Vec<&str> = args.ids.iter().map(SpecId::as_str).collect();
    let (what, ids) = (if args.any { "none of the specs" } else { "not all specs" }, ids.join(" "));
    CliError::new(GAVE_UP, format!("{what} ended within {limit}: {ids}"))
        .hint("the specs are not changed; `boi status` shows their state")
}

/// Returns the status once enough of the specs have ended. Continues when the daemon is replaced, and while
/// none runs.
async fn follow(home: &Home, args: &Wait) -> Result<StatusView, CliError> {
    let filter = Filter { ids: args.ids.clone(), history: args.json, ..Filter::default() };
    let mut backend = Backend::find(home).await?;
    let mut newer_than = None;
    let ends = EventFilter { specs: args.ids.clone(), kinds: ENDS.to_vec() };
    let mut changes = Changes::begin(&backend, ends.clone(), STATE_PAUSE).await.unwrap_or_default();
    let (mut reported, mut notes) = (HashSet::new(), HashSet::new());
    let mut note_once = |text: String| {
        if notes.insert(text.clone()) {
            say!("{text}");
        }
    };
    loop {
        if let Some(open) = changes.as_mut().filter(|_| newer_than.is_some()) {
            if open.next().await.is_err() {
                // The daemon has ended. The stream of the next one is begun below.
                changes = None;
            }
            newer_than = KNOWN;
        }
        let told = backend.status_now(home, &filter, newer_than).await?;
        if let Some(daemon) = &told.status.daemon {
            version_skew::warn(&daemon.version, daemon.pid);
        }
        let specs = &told.status.specs;
        for spec in specs.iter().filter(|spec| spec.is_settled()) {
            if reported.insert(spec.id.clone()) && !args.json {
                print_line(&ended_line(spec))?;
            }
        }
        let mut specs = specs.iter();
        let is_over = if args.any { specs.any(SpecView::is_settled) } else { specs.all(SpecView::is_settled) };
        if is_over {
            return Ok(told.status);
        }
        if backend.is_daemon() {
            if let Some(obstacle) = obstacle(&told.status).or_else(|| daemon_obstacle(&told.status)) {
                note_once(obstacle);
            }
            newer_than = Some(told.revision);
            if changes.is_none() {
                changes = Changes::begin(&backend, ends.clone(), STATE_PAUSE).await.unwrap_or_default();
                // What happened before the stream began is read once more.
                newer_than = newer_than.filter(|_| changes.is_none());
            }
        } else {
            note_once("no daemon runs, so no spec runs: start a daemon with `boi daemon start`; still waiting".into());
            (newer_than, changes) = (None, None);
            sleep(POLL).await;
            backend = Backend::find(home).await?;
        }
    }
}

/// Returns how a spec ended, in one line.
fn ended_line(spec: &SpecView) -> String {
    let unmerged = if spec.delivery == Some(Delivery::Unmerged) { ", unmerged" } else { "" };
    let reason = spec.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    text::one_line(&format!("{} {}{unmerged}{}", spec.id, spec.status.as_str(), localized(&reason)), 400)
}
