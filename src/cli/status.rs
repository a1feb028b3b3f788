//! `boi status`: shows the queue, or one spec, once or until Ctrl-C.

use std::path::Path;
use std::time::{Duration, Instant};

use futures::StreamExt;
use signal_hook::consts::SIGWINCH;
use signal_hook_tokio::Signals;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::args::Status;
use super::backend::{self, Backend, KNOWN, LOOK_AGAIN};
use super::changes::Changes;
use super::printing::{self, print_json, print_styled};
use super::{CliError, ExitCode, NO_DAEMON, START_ONE, block_on, version_skew};
use crate::control::calls::StatusResponse;
use crate::domain::life::SpecStatus;
use crate::domain::report::DiffSize;
use crate::domain::time::Timestamp;
use crate::domain::view::{SpecView, StatusView};
use crate::git;
use crate::queue::Filter;
use crate::system::output::{reader_gone, say};
use crate::system::paths::Home;
use crate::system::terminal::Size;
use crate::system::{clock, terminal};
use crate::ui::overview::overview;
use crate::ui::screen;
use crate::ui::spec_details::spec_details;

/// How long `--watch` waits for the next daemon when the daemon has ended. A restart takes less time.
const PATIENCE: Duration = Duration::from_secs(5);
/// The shortest time between two changes that are shown.
const FRAME: Duration = Duration::from_millis(250);
/// The time between two drawings of a state that does not change.
const CLOCK: Duration = Duration::from_secs(1);

/// Carries out `boi status`.
pub(super) fn status(home: &Home, args: &Status) -> Result<ExitCode, CliError> {
    let filter = Filter {
        ids: args.id.iter().cloned().collect(),
        status: args.status.as_deref().and_then(SpecStatus::from_name),
        all: args.all,
        limit: args.limit.unwrap_or(0),
        offset: args.offset,
        history: args.id.is_some(),
        ..Filter::default()
    };
    block_on(async {
        let mut backend = Backend::find(home).await?;
        if args.watch && backend.is_daemon() {
            // Cancel-safe: the command only reads.
            return tokio::select! {
                watched = watch(home, backend, filter, args.id.is_some()) => watched,
                () = reader_gone() => Err(CliError::ReaderGone),
            };
        }
        let mut status = backend.status_now(home, &filter, None).await?.status;
        warn_of_other_version(&status);
        if args.id.is_some() {
            add_copied_files(home, &mut status);
        }
        let spec = status.specs.first().filter(|_| args.id.is_some());
        match spec {
            Some(spec) if args.json => print_json(spec)?,
            None if args.json => print_json(&status)?,
            _ => print_styled(&text_of(&status, args.id.is_some()))?,
        }
        if args.watch {
            return Err(CliError::new(NO_DAEMON, "no daemon runs, so there is nothing to watch").hint(START_ONE));
        }
        Ok(0)
    })
}

pub(super) fn warn_of_other_version(status: &StatusView) {
    if let Some(daemon) = &status.daemon {
        version_skew::warn(&daemon.version, daemon.pid);
    }
}

/// Adds to each spec the files that boi copied into its worktree.
fn add_copied_files(home: &Home, status: &mut StatusView) {
    let configured = backend::configured(home);
    for spec in status.specs.iter_mut().filter(|spec| spec.repo.is_some()) {
        spec.copied = git::read_copied(&configured.spec_attempts(&spec.id).join("git"));
    }
}

fn text_of(status: &StatusView, one_spec: bool) -> String {
    let columns = terminal::size().map(|size| size.columns);
    match status.specs.first().filter(|_| one_spec) {
        Some(spec) => spec_details(spec, size_of_changes(spec), clock::now(), columns),
        None => overview(status, clock::now(), columns).text(columns.is_some()),
    }
}

/// Returns the text for a screen that is redrawn: what does not fit is left out of the table, so that the summary stays.
/// `diff`: the size of the changes on the branch of the spec, if one spec is shown.
fn screen_of(status: &StatusView, one_spec: bool, diff: Option<DiffSize>, size: Size) -> String {
    if let Some(spec) = status.specs.first().filter(|_| one_spec) {
        return screen::fit_rows(&spec_details(spec, diff, clock::now(), Some(size.columns)), size);
    }
    let shown = overview(status, clock::now(), Some(size.columns));
    screen::fit_above(&shown.table, &shown.summary, size)
}

/// Returns the size of the changes on the branch of a spec; `None`: it has no branch, or git cannot tell.
fn size_of_changes(spec: &SpecView) -> Option<DiffSize> {
    let (repo, branch, origin) = (spec.repo.as_ref()?, spec.branch.as_ref()?, spec.base_commit.as_ref()?);
    if !spec.status.is_ended() {
        return None;
    }
    let repo = Path::new(repo);
    let head = git::local_branches(repo).ok()?.remove(branch)?;
    let found = git::diff_stats(repo, &[(origin.clone(), head)]).ok()?;
    found.into_iter().next()?.as_deref().map(DiffSize::of)
}

/// Shows the status again whenever it changes, at most four times a second. On a terminal, also once a second,
/// since it contains times that pass, and when the size of the terminal changes.
async fn watch(home: &Home, mut backend: Backend, filter: Filter, one_spec: bool) -> Result<ExitCode, CliError> {
    let mut screen = Screen::new();
    let mut resized = Signals::new([SIGWINCH])?;
    let mut clock = interval(CLOCK);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut shown: Option<StatusView> = None;
    let mut newer_than = None;
    // A daemon of a version without events answers when its state is newer.
    let mut changes = Changes::of_state(&backend, FRAME).await.unwrap_or_default();
    loop {
        let told = {
            let asked = async {
                match (&mut changes, newer_than) {
                    (Some(changes), Some(_)) => {
                        changes.next().await?;
                        backend.status(filter.clone(), KNOWN).await
                    }
                    (Some(_), None) => backend.status(filter.clone(), None).await,
                    (None, newer_than) => backend.status(filter.clone(), newer_than).await,
                }
            };
            tokio::pin!(asked);
            loop {
                tokio::select! {
                    // Cancel-safe: pinned outside of this loop.
                    told = &mut asked => break told,
                    // Cancel-safe: a tick or signal that was not received stays.
                    _ = clock.tick() => screen.redraw(shown.as_ref(), one_spec, false)?,
                    Some(_) = resized.next() => screen.redraw(shown.as_ref(), one_spec, true)?,
                }
            }
        };
        match told {
            Err(error) if error.is_away() => {
                backend = wait_for_next_daemon(home).await?;
                changes = Changes::of_state(&backend, FRAME).await.unwrap_or_default();
                newer_than = None;
                continue;
            }
            told => {
                let StatusResponse { revision, mut status } = told?;
                warn_of_other_version(&status);
                if one_spec {
                    add_copied_files(home, &mut status);
                }
                newer_than = Some(revision);
                screen.draw(&status, one_spec, false)?;
                shown = Some(status);
            }
        }
        sleep(FRAME).await;
    }
}

/// The output of `boi status --watch`.
struct Screen {
    /// Whether anything was drawn.
    begun: bool,
    colors: bool,
    /// The end of the spec that is shown, and the size of its changes. Git is asked once for each end.
    size: Option<(Timestamp, Option<DiffSize>)>,
}

impl Screen {
    fn new() -> Screen {
        Screen { begun: false, colors: printing::has_colors(), size: None }
    }

    /// Draws the last state again. If the output is no terminal, nothing is drawn.
    fn redraw(&mut self, status: Option<&StatusView>, one_spec: bool, resized: bool) -> Result<(), CliError> {
        match status {
            Some(status) if terminal::size().is_some() => self.draw(status, one_spec, resized),
            _ => Ok(()),
        }
    }

    /// Returns the size of the changes of a spec that has ended.
    fn size_of(&mut self, spec: &SpecView) -> Option<DiffSize> {
        let ended = spec.finished_at?;
        match self.size {
            Some((known, size)) if known == ended => size,
            _ => self.size.insert((ended, size_of_changes(spec))).1,
        }
    }

    /// Draws the status in the place of what was drawn before; if the output is no terminal, below it.
    fn draw(&mut self, status: &StatusView, one_spec: bool, resized: bool) -> Result<(), CliError> {
        let Some(size) = terminal::size() else { return printing::stream_styled(&text_of(status, one_spec)) };
        let diff = status.specs.first().filter(|_| one_spec).and_then(|spec| self.size_of(spec));
        let text = screen_of(status, one_spec, diff, size);
        let text = if self.colors { text } else { anstream::adapter::strip_str(&text).to_string() };
        let is_first = !std::mem::replace(&mut self.begun, true);
        printing::stream(screen::frame(&text, is_first || resized).as_bytes())
    }
}

async fn wait_for_next_daemon(home: &Home) -> Result<Backend, CliError> {
    say!("the daemon has ended; waiting up to {} s for the next one", PATIENCE.as_secs());
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        match Backend::find(home).await {
            Ok(backend) if backend.is_daemon() => return Ok(backend),
            _ => sleep(LOOK_AGAIN).await,
        }
    }
    Err(CliError::new(NO_DAEMON, "no daemon runs any more").hint(START_ONE))
}
