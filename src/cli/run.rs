//! `boi run`: queues specs and follows them to their end. If no daemon runs, this process becomes a daemon
//! for these specs and the specs that they wait for.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use signal_hook::consts::SIGINT;
use signal_hook_tokio::Signals;
use tokio::time::Instant;

use super::args::Run;
use super::backend::{self, Backend, KNOWN, LOOK_AGAIN, LazyQueue};
use super::changes::Changes;
use super::own_task::OwnTask;
use super::printing::{print_json, print_styled};
use super::running_daemon::RunningDaemon;
use super::spec_agents::KnownAgents;
use super::{
    BAD_CONFIG, CliError, ExitCode, FAILED, GAVE_UP, INTERRUPTED, block_on_daemon, dispatch_notes, preflight,
    spec_files, version_skew,
};
use crate::daemon::handle;
use crate::daemon::lifecycle::running::Running;
use crate::daemon::lifecycle::seat::{self, Seat};
use crate::daemon::{Event, Leaving};
use crate::domain::event::EventFilter;
use crate::domain::id::SpecId;
use crate::domain::life::SpecStatus;
use crate::domain::spec::Spec;
use crate::domain::view::{SpecView, StatusView};
use crate::queue::Filter;
use crate::reload;
use crate::system::logs;
use crate::system::output::say;
use crate::system::paths::Home;
use crate::ui::obstacle::hold_on;
use crate::ui::progress::Progress;
use crate::ui::run_summary::run_summary;

/// How long to wait for the next daemon when the daemon that runs the specs has ended.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long no daemon has to answer before a message tells the user.
const NOTICE: Duration = Duration::from_secs(1);

/// The shortest time between two updates of the progress.
const FRAME: Duration = Duration::from_millis(100);
/// The shortest time between two updates because of a change that is not an event of the specs.
const STATE_PAUSE: Duration = Duration::from_millis(500);

/// Carries out `boi run`.
pub(super) fn run(home: &Home, args: &Run) -> Result<ExitCode, CliError> {
    block_on_daemon(async {
        // A daemon that is stopping starts no specs.
        match RunningDaemon::find_not_stopping(home).await? {
            Some(daemon) => through_daemon(home, Backend::Daemon(daemon.client), args).await,
            None => as_daemon(home, args).await,
        }
    })
}

async fn through_daemon(home: &Home, mut backend: Backend, args: &Run) -> Result<ExitCode, CliError> {
    let status = backend.status_now(home, &Filter { limit: 1, ..Filter::default() }, None).await?.status;
    if let Some(daemon) = &status.daemon {
        version_skew::warn(&daemon.version, daemon.pid);
        if daemon.scoped {
            let message = format!("another `boi run` (pid {}) is running, and it runs only its own specs", daemon.pid);
            return Err(CliError::new(FAILED, message)
                .hint("wait until it has ended; to run specs side by side, start a daemon first: `boi daemon start`"));
        }
        if !args.flags.config.is_empty() {
            say!("warning: -c has no effect: the running daemon (pid {}) runs the specs", daemon.pid);
        }
    }
    let queue = LazyQueue::of(home);
    let agents = KnownAgents::find(home).await;
    let specs = spec_files::load(&spec_files::files(&args.files)?, &[], &queue, &agents)?;
    let own_task = OwnTask::find(home);
    if let Some(task) = &own_task {
        task.refuse_without_slot(&status, &specs)?;
    }
    let dispatched = backend.dispatch(home, specs.clone()).await?;
    print_notes(&specs, &dispatched.twins);
    let ids = dispatched.ids;
    let mut interrupts = Signals::new([SIGINT])?;
    tokio::select! {
        // Cancel-safe: `follow` only reads the status; the daemon runs the specs.
        told = follow(home, &backend, &ids, own_task.as_ref(), args) => {
            let told = told?;
            match told.specs.iter().all(|spec| spec.is_settled()) {
                true => conclude(&told, args.json),
                false => held(&told, args.json),
            }
        }
        // Cancel-safe: a signal that was not received stays in the stream.
        _ = interrupts.next() => {
            say!("\nthis command has ended, but the daemon continues the specs: `boi status` shows them");
            Ok(INTERRUPTED)
        }
    }
}

/// Prints notes on stderr about possible mistakes in the specs.
fn print_notes(specs: &[Spec], twins: &[Vec<SpecId>]) {
    let notes = dispatch_notes::duplicates(specs, twins).into_iter().chain(dispatch_notes::uncommitted_changes(specs));
    notes.for_each(|note| say!("note: {note}"));
}

async fn as_daemon(home: &Home, args: &Run) -> Result<ExitCode, CliError> {
    preflight::refuse_within_own_task(home)?;
    let booted =
        reload::boot(home, &args.flags.read()?).map_err(|error| CliError::from(error).with_code(BAD_CONFIG))?;
    let home = home.clone().with_paths(&booted.config.paths);
    home.prepare()?;
    let seat = Seat::take(&home, seat::PROBED).await?;
    let agents = KnownAgents::of(booted.config.clone());
    let queue = LazyQueue::open(&home, Arc::clone(seat.queue()));
    let specs = spec_files::load(&spec_files::files(&args.files)?, &[], &queue, &agents)?;
    print_notes(&specs, &handle::twins(seat.queue().as_ref(), &specs));
    let ids = backend::enqueue(seat.queue().as_ref(), specs)?;
    // The log goes to a file, because the terminal shows the progress.
    let log =
        logs::start(home.log_output(), &booted.config.log).map_err(|message| CliError::new(BAD_CONFIG, message))?;
    let running = seat.start(booted, log, Some(ids.clone()))?;
    follow_own(running, &ids, args).await
}

/// Follows specs that the daemon in this process runs.
async fn follow_own(running: Running, ids: &[SpecId], args: &Run) -> Result<ExitCode, CliError> {
    let json = args.json;
    let mut progress = Progress::new(json);
    let handle = running.handle.clone();
    let filter = Filter { ids: ids.to_vec(), history: true, ..Filter::default() };
    let ended = running.ended();
    tokio::pin!(ended);
    // The daemon handles the signals by itself; this function only reports them.
    let mut interrupts = Signals::new([SIGINT])?;
    let mut interrupted = 0_u32;
    let mut revision = 0;
    let last = loop {
        let status = handle.status(filter.clone()).await?;
        progress.update(&status);
        let only_held = args.no_wait && only_waits_for_holds(&status);
        if only_held || status.specs.iter().all(|spec| spec.is_settled()) {
            handle.send(Event::Leave(Leaving::Stop));
            ended.as_mut().await?;
            break status;
        }
        tokio::select! {
            // Cancel-safe: `newer_than` only waits.
            newer = handle.newer_than(revision) => revision = newer,
            // Cancel-safe: a signal that was not received stays in the stream.
            Some(_) = interrupts.next() => {
                interrupted += 1;
                let ids = ids_where(&status, |spec| spec.status == SpecStatus::Running);
                if interrupted == 1 && !ids.is_empty() {
                    progress.print_once(&format!("\nstopping {ids}; press Ctrl-C again to exit without waiting for their end"));
                }
            }
            // Cancel-safe: the future is pinned outside the loop.
            left = ended.as_mut() => {
                left?;
                break handle.status(filter.clone()).await?;
            }
        }
    };
    progress.clear();
    if last.specs.iter().all(|spec| spec.is_settled()) {
        return conclude(&last, json);
    }
    if args.no_wait && only_waits_for_holds(&last) {
        return held(&last, json);
    }
    if json {
        print_json(&last)?;
    }
    report_open_specs(&last, interrupted > 0);
    Ok(INTERRUPTED)
}

/// Returns the ids of the specs for which `predicate` holds, separated by spaces.
fn ids_where(status: &StatusView, predicate: impl Fn(&SpecView) -> bool) -> String {
    let ids: Vec<&str> = status.specs.iter().filter(|spec| predicate(spec)).map(|spec| spec.id.as_str()).collect();
    ids.join(" ")
}

/// Lists on stderr the specs that have not ended. `interrupted`: the user pressed Ctrl-C, so their commands
/// got SIGTERM.
fn report_open_specs(status: &StatusView, interrupted: bool) {
    let running = ids_where(status, |spec| spec.status == SpecStatus::Running);
    let stopped = ids_where(status, |spec| spec.status == SpecStatus::Queued && spec.attempt > 0);
    let fresh = ids_where(status, |spec| spec.status == SpecStatus::Queued && spec.attempt == 0);
    say!();
    match (running.as_str(), interrupted) {
        ("", _) => {}
        (ids, true) => {
            say!("stopping: {ids} (their commands got SIGTERM; the next daemon queues the specs again)")
        }
        (ids, false) => say!("left running: {ids} (the next daemon takes them over)"),
    }
    for (what, ids) in [("stopped and queued again", &stopped), ("not started, still queued", &fresh)] {
        if !ids.is_empty() {
            say!("{what}: {ids}");
        }
    }
    let all = ids_where(status, |spec| !spec.is_settled());
    say!("  to continue: `boi daemon start` (runs the whole queue); to give up: `boi cancel {all}`");
}

/// Returns whether no spec runs, and each spec that has not ended waits for an agent that is held.
fn only_waits_for_holds(status: &StatusView) -> bool {
    let mut open = status.specs.iter().filter(|spec| !spec.is_settled()).peekable();
    open.peek().is_some() && open.all(|spec| hold_on(status, spec).is_some())
}

/// Ends a `boi run --no-wait` whose unfinished specs all wait for held agents.
fn held(status: &StatusView, json: bool) -> Result<ExitCode, CliError> {
    if json {
        print_json(status)?;
    }
    let waiting = ids_where(status, |spec| !spec.is_settled());
    say!("not run, still queued: {waiting}: their agents are held (`boi status` says why), and `--no-wait` is set");
    Ok(GAVE_UP)
}

/// Follows specs that a daemon runs, and continues when the daemon is restarted.
async fn follow(
    home: &Home,
    backend: &Backend,
    ids: &[SpecId],
    own_task: Option<&OwnTask>,
    args: &Run,
) -> Result<StatusView, CliError> {
    let mut progress = Progress::new(args.json);
    let filter = Filter { ids: ids.to_vec(), history: true, ..Filter::default() };
    let mut newer_than = None;
    let mut away_since = None;
    let of_specs = EventFilter { specs: ids.to_vec(), kinds: Vec::new() };
    let mut changes: Option<Changes> = None;
    loop {
        let told = async {
            if let (Some(changes), Some(_)) = (&mut changes, newer_than) {
                tokio::time::sleep(FRAME).await;
                changes.next().await?;
                return backend.status(filter.clone(), KNOWN).await;
            }
            // A daemon of a version without events answers when its state is newer.
            changes = Changes::begin(backend, of_specs.clone(), STATE_PAUSE).await?;
            backend.status(filter.clone(), newer_than).await
        };
        match told.await {
            Ok(told) => {
                newer_than = Some(told.revision);
                away_since = None;
                progress.update(&told.status);
                if let Some(obstacle) = own_task.and_then(|task| task.obstacle(&told.status)) {
                    progress.print_once(&obstacle);
                }
                let only_held = args.no_wait && only_waits_for_holds(&told.status);
                if only_held || told.status.specs.iter().all(|spec| spec.is_settled()) {
                    progress.clear();
                    return Ok(told.status);
                }
            }
            // The daemon may be restarting. The next daemon counts its revisions from the start, so
            // `newer_than` is reset.
            Err(error) if error.is_away() => {
                let since = *away_since.get_or_insert_with(Instant::now);
                if since.elapsed() >= PATIENCE {
                    progress.clear();
                    return final_status_without_daemon(home, filter, &error).await;
                }
                if since.elapsed() >= NOTICE {
                    let seconds = PATIENCE.as_secs();
                    progress.print_once(&format!("{}; waiting up to {seconds} s for a daemon", error.message()));
                }
                (newer_than, changes) = (None, None);
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Reads the status of the specs from the queue. Fails with `error` and the list of open specs if not all
/// have ended.
async fn final_status_without_daemon(home: &Home, filter: Filter, error: &CliError) -> Result<StatusView, CliError> {
    let told = Backend::Own(backend::configured(home)).status(filter, None).await?;
    let open = ids_where(&told.status, |spec| !spec.is_settled());
    if open.is_empty() {
        return Ok(told.status);
    }
    let message = format!("{}, and no other daemon has started; these specs have not ended: {open}", error.message());
    Err(CliError::new(error.code(), message).hint("to continue: `boi daemon start` (runs the whole queue)"))
}

/// Prints how the specs ended, and what to do with their results.
fn conclude(status: &StatusView, json: bool) -> Result<ExitCode, CliError> {
    if json {
        print_json(status)?;
    } else {
        print_styled(&run_summary(&status.specs))?;
    }
    Ok(if status.specs.iter().all(SpecView::is_as_asked) { 0 } else { FAILED })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::cli::args::ConfigFlags;
    use crate::queue::open;
    use crate::queue::sqlite::Access;
    use crate::system::clock;

    #[tokio::test(start_paused = true)]
    async fn following_ends_with_the_reason_when_the_daemon_does_not_come_back() {
        let dir = tempfile::TempDir::new().unwrap();
        let home = Home::at(dir.path().join("boi"));
        home.prepare().unwrap();
        let spec = Spec::for_tests("t", &["t-1"]);
        let queue = open::open(&home, Access::Write(Duration::ZERO)).unwrap();
        let ids = queue.enqueue(vec![spec], HashSet::new(), clock::now()).unwrap();
        let socket = std::os::unix::net::UnixListener::bind(home.socket()).unwrap();
        let backend = Backend::find(&home).await.unwrap();
        assert!(backend.is_daemon());
        drop(socket);
        let flags = ConfigFlags { config: vec![] };
        let args = Run { files: vec![], json: true, no_wait: false, flags };
        let error = follow(&home, &backend, &ids, None, &args).await.unwrap_err();
        assert_eq!(error.code(), crate::cli::NO_DAEMON);
        assert!(error.message().contains(&format!("have not ended: {}", ids[0])), "{}", error.message());
    }
}
