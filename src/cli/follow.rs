//! Follows specs until a command is over: through a running daemon, or as the daemon of this process.

use std::time::Duration;

use futures::StreamExt;
use signal_hook::consts::SIGINT;
use signal_hook_tokio::Signals;
use tokio::time::{Instant, sleep};

use super::CliError;
use super::backend::{self, Backend, KNOWN, LOOK_AGAIN};
use super::changes::Changes;
use crate::control::client::ClientError;
use crate::daemon::handle::Handle;
use crate::daemon::lifecycle::running::Running;
use crate::daemon::{Event, Leaving};
use crate::domain::event::EventFilter;
use crate::domain::view::{SpecView, StatusView};
use crate::queue::Filter;
use crate::system::paths::Home;

/// How long to wait for the next daemon when the daemon that runs the specs has ended.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long no daemon has to answer before a message tells the user.
const NOTICE: Duration = Duration::from_secs(1);
/// The shortest time between two states that are shown.
const FRAME: Duration = Duration::from_millis(100);
/// The shortest time between two states because of a change that is not an event of the specs.
const STATE_PAUSE: Duration = Duration::from_millis(500);

/// What a command shows while it follows specs.
pub(super) trait View {
    /// Shows a state of the specs. Returns whether the command is over.
    fn show(&mut self, status: &StatusView) -> Result<bool, CliError>;

    /// Shows a message, unless it was shown before.
    fn note(&mut self, text: &str);

    /// Shows that the user pressed Ctrl-C, so that the daemon of this process stops its workers. `last` is the
    /// state that was shown last.
    fn interrupted(&mut self, last: &StatusView);
}

/// How the following of specs ended.
pub(super) enum Followed {
    /// The command is over, in this state.
    Over(StatusView),
    /// The daemon of this process ended before that, in this state.
    Left(StatusView),
    /// The user pressed Ctrl-C. The running daemon continues the specs.
    Interrupted,
}

/// Follows the specs of `filter` that a running daemon carries out, and continues when the daemon is replaced.
/// If no daemon runs for [`PATIENCE`], reads how the specs ended from the queue, and fails if one has not ended.
pub(super) async fn through_daemon(
    home: &Home,
    backend: Backend,
    filter: Filter,
    view: &mut impl View,
) -> Result<Followed, CliError> {
    let mut interrupts = Signals::new([SIGINT])?;
    let mut source = Remote { home, backend, filter, changes: None, newer_than: None, changed: false };
    loop {
        tokio::select! {
            // Cancel-safe: the source only reads the state; the daemon carries out the specs.
            status = source.next(view) => {
                let status = status?;
                if view.show(&status)? {
                    return Ok(Followed::Over(status));
                }
            }
            // Cancel-safe: a signal that was not received stays in the stream.
            _ = interrupts.next() => return Ok(Followed::Interrupted),
        }
    }
}

/// Follows the specs of `filter` that the daemon in this process carries out. Stops the daemon when the command
/// is over.
pub(super) async fn as_daemon(running: Running, filter: Filter, view: &mut impl View) -> Result<Followed, CliError> {
    let handle = running.handle.clone();
    let ended = running.ended();
    tokio::pin!(ended);
    // The daemon handles the signals by itself; the view only reports them.
    let mut interrupts = Signals::new([SIGINT])?;
    let mut status = handle.status(filter.clone()).await?;
    let mut revision = 0;
    loop {
        if view.show(&status)? {
            handle.send(Event::Leave(Leaving::Stop));
            ended.as_mut().await?;
            return Ok(Followed::Over(status));
        }
        tokio::select! {
            // Cancel-safe: this only waits and reads. A change that was not read is found again.
            changed = next_of(&handle, &filter, revision) => (revision, status) = changed?,
            // Cancel-safe: a signal that was not received stays in the stream.
            Some(_) = interrupts.next() => view.interrupted(&status),
            // Cancel-safe: the future is pinned outside the loop.
            left = ended.as_mut() => {
                left?;
                return Ok(Followed::Left(handle.status(filter.clone()).await?));
            }
        }
    }
}

/// Waits for a state that is newer than `revision`, and returns it with its revision.
async fn next_of(handle: &Handle, filter: &Filter, revision: u64) -> Result<(u64, StatusView), CliError> {
    let newer = handle.newer_than(revision).await;
    Ok((newer, handle.status(filter.clone()).await?))
}

/// The states of specs that a running daemon carries out.
struct Remote<'a> {
    home: &'a Home,
    backend: Backend,
    filter: Filter,
    /// The stream of changes; `None`: it has not begun, or the daemon is of a version without events.
    changes: Option<Changes>,
    /// The revision of the last state; `None`: the daemon has not answered yet.
    newer_than: Option<u64>,
    /// Whether the state has changed since it was read.
    changed: bool,
}

impl Remote<'_> {
    /// Returns the first state at once, and each further one after a change. Cancel-safe.
    async fn next(&mut self, view: &mut impl View) -> Result<StatusView, CliError> {
        let mut away_since = None;
        loop {
            let error = match self.read().await {
                Ok(status) => return Ok(status),
                Err(error) if error.is_away() => error,
                Err(error) => return Err(error),
            };
            // The daemon may be restarting. The next one counts its revisions from the start.
            (self.newer_than, self.changes) = (None, None);
            let since = *away_since.get_or_insert_with(Instant::now);
            if since.elapsed() >= PATIENCE {
                return self.final_status(&error);
            }
            if since.elapsed() >= NOTICE {
                let seconds = PATIENCE.as_secs();
                view.note(&format!("{}; waiting up to {seconds} s for a daemon", error.message()));
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    async fn read(&mut self) -> Result<StatusView, CliError> {
        if !self.backend.is_daemon() {
            self.backend = Backend::find(self.home).await?;
        }
        if !self.backend.is_daemon() {
            return Err(ClientError::NoDaemon.into());
        }
        let newer_than = match (&mut self.changes, self.newer_than) {
            (Some(changes), Some(_)) => {
                if !self.changed {
                    sleep(FRAME).await;
                    changes.next().await?;
                    self.changed = true;
                }
                KNOWN
            }
            // A daemon of a version without events answers when its state is newer.
            (_, newer_than) => {
                let events = EventFilter { specs: self.filter.ids.clone(), kinds: Vec::new() };
                self.changes = Changes::begin(&self.backend, events, STATE_PAUSE).await?;
                newer_than
            }
        };
        let told = self.backend.status(self.filter.clone(), newer_than).await?;
        (self.newer_than, self.changed) = (Some(told.revision), false);
        Ok(told.status)
    }

    /// Reads the state from the queue. Fails with `error` and the list of open specs if not all have ended.
    fn final_status(&self, error: &CliError) -> Result<StatusView, CliError> {
        let status = backend::own_status(&backend::configured(self.home), &self.filter)?;
        let open = ids_where(&status, |spec| !spec.is_settled());
        if open.is_empty() {
            return Ok(status);
        }
        let message =
            format!("{}, and no other daemon has started; these specs have not ended: {open}", error.message());
        Err(CliError::new(error.code(), message).hint("to continue: `boi daemon start` (runs the whole queue)"))
    }
}

/// Returns the ids of the specs for which `predicate` holds, separated by spaces.
pub(super) fn ids_where(status: &StatusView, predicate: impl Fn(&SpecView) -> bool) -> String {
    let ids: Vec<&str> = status.specs.iter().filter(|spec| predicate(spec)).map(|spec| spec.id.as_str()).collect();
    ids.join(" ")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::domain::spec::Spec;
    use crate::queue::open;
    use crate::queue::sqlite::Access;
    use crate::system::clock;

    /// A view that is over when all specs have ended.
    #[derive(Default)]
    struct UntilEnded(Vec<String>);

    impl View for UntilEnded {
        fn show(&mut self, status: &StatusView) -> Result<bool, CliError> {
            Ok(status.specs.iter().all(SpecView::is_settled))
        }

        fn note(&mut self, text: &str) {
            self.0.push(text.to_owned());
        }

        fn interrupted(&mut self, _: &StatusView) {}
    }

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
        let mut view = UntilEnded::default();
        let filter = Filter { ids: ids.clone(), ..Filter::default() };
        let followed = through_daemon(&home, backend, filter.clone(), &mut view).await;
        let Err(error) = followed else { panic!("the spec has ended") };
        assert_eq!(error.code(), crate::cli::NO_DAEMON);
        assert!(error.message().contains(&format!("have not ended: {}", ids[0])), "{}", error.message());
        assert!(view.0[0].contains("waiting up to 60 s for a daemon"), "{:?}", view.0);
        // A spec that ended while no daemon runs is shown.
        queue.cancel(&ids[0], clock::now()).unwrap();
        let followed = through_daemon(&home, Backend::Own(home.clone()), filter, &mut view).await.ok();
        assert!(matches!(followed, Some(Followed::Over(status)) if status.specs[0].id == ids[0]));
    }
}
