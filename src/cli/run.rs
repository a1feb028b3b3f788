//! `boi run`: queues specs and follows them to their end. If no daemon runs, this process becomes a daemon
//! for these specs and the specs that they wait for.

use std::sync::Arc;

use super::args::Run;
use super::backend::{self, Backend, LazyQueue};
use super::follow::{self, Followed, View, ids_where};
use super::own_task::OwnTask;
use super::printing::{print_json, print_styled};
use super::running_daemon::RunningDaemon;
use super::spec_agents::KnownAgents;
use super::{
    BAD_CONFIG, CliError, ExitCode, FAILED, GAVE_UP, INTERRUPTED, block_on_daemon, dispatch_notes, preflight,
    spec_files, version_skew,
};
use crate::daemon::handle;
use crate::daemon::lifecycle::seat::{self, Seat};
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
    let filter = Filter { ids: dispatched.ids, history: true, ..Filter::default() };
    let mut view = RunView::new(args, own_task.as_ref());
    let followed = follow::through_daemon(home, backend, filter, &mut view).await;
    view.progress.clear();
    match followed? {
        Followed::Over(status) | Followed::Left(status) => match status.specs.iter().all(SpecView::is_settled) {
            true => conclude(&status, args.json),
            false => held(&status, args.json),
        },
        Followed::Interrupted => {
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
    let filter = Filter { ids, history: true, ..Filter::default() };
    let mut view = RunView::new(args, None);
    let followed = follow::as_daemon(running, filter, &mut view).await;
    view.progress.clear();
    let last = match followed? {
        Followed::Over(last) | Followed::Left(last) => last,
        Followed::Interrupted => return Ok(INTERRUPTED),
    };
    if last.specs.iter().all(SpecView::is_settled) {
        return conclude(&last, args.json);
    }
    if args.no_wait && only_waits_for_holds(&last) {
        return held(&last, args.json);
    }
    if args.json {
        print_json(&last)?;
    }
    report_open_specs(&last, view.interrupts > 0);
    Ok(INTERRUPTED)
}

/// The progress of the specs of a `boi run`.
struct RunView<'a> {
    progress: Progress,
    /// The task inside of which the command runs.
    own_task: Option<&'a OwnTask>,
    no_wait: bool,
    /// How many times the user pressed Ctrl-C.
    interrupts: u32,
}

impl<'a> RunView<'a> {
    fn new(args: &Run, own_task: Option<&'a OwnTask>) -> RunView<'a> {
        RunView { progress: Progress::new(args.json), own_task, no_wait: args.no_wait, interrupts: 0 }
    }
}

impl View for RunView<'_> {
    fn show(&mut self, status: &StatusView) -> Result<bool, CliError> {
        self.progress.update(status);
        if let Some(obstacle) = self.own_task.and_then(|task| task.obstacle(status)) {
            self.progress.print_once(&obstacle);
        }
        let only_held = self.no_wait && only_waits_for_holds(status);
        Ok(only_held || status.specs.iter().all(SpecView::is_settled))
    }

    fn note(&mut self, text: &str) {
        self.progress.print_once(text);
    }

    fn interrupted(&mut self, last: &StatusView) {
        self.interrupts += 1;
        let ids = ids_where(last, |spec| spec.status == SpecStatus::Running);
        if self.interrupts == 1 && !ids.is_empty() {
            let text = format!("\nstopping {ids}; press Ctrl-C again to exit without waiting for their end");
            self.progress.print_once(&text);
        }
    }
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

/// Prints how the specs ended, and what to do with their results.
fn conclude(status: &StatusView, json: bool) -> Result<ExitCode, CliError> {
    if json {
        print_json(status)?;
    } else {
        print_styled(&run_summary(&status.specs))?;
    }
    Ok(if status.specs.iter().all(SpecView::is_as_asked) { 0 } else { FAILED })
}
