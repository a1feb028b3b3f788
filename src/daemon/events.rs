//! The stream of events: sends it to clients, and records the events that belong to no other change of the
//! queue.
//!
//! Each client has a position of its own, reads from the queue when the queue's writer announces a commit,
//! and reads more only when it has taken what it got. So a slow client delays nobody else.

use std::time::Duration;

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};
use tracing::warn;

use super::async_queue::AsyncQueue;
use super::handle::Handle;
use crate::control::calls::CallFailure;
use crate::control::events::{KEEP_ALIVE, StreamRequest, cursor_message, message, state_message};
use crate::control::server::{Service, closed};
use crate::domain::event::{
    ConfigApplied, ConfigRejected, Cursor, DaemonStarted, DaemonStopped, EventFilter, Happening, Since,
};
use crate::domain::time::Timestamp;
use crate::domain::verdict::{Change, ReloadOutcome, Verdict};
use crate::queue::events::EventPage;
use crate::queue::{Queue, QueueError};
use crate::system::clock;

/// The most events in one part of the stream.
const PART: u32 = 256;
/// The shortest time between two parts for a client that has got all events, so that many events in a row are
/// read and sent together.
const PAUSE: Duration = Duration::from_millis(100);
/// The shortest time between two messages which tell that the state has changed.
const STATE_PAUSE: Duration = Duration::from_millis(100);
/// The pause before a failed operation of the queue is repeated.
const AGAIN: Duration = Duration::from_secs(1);

impl Service for Handle {
    async fn events(
        &self,
        request: StreamRequest,
        closing: watch::Receiver<bool>,
    ) -> Result<BoxStream<'static, String>, CallFailure> {
        let StreamRequest { since, filter, with_state } = request;
        let committed = self.queue.committed();
        let next = self.unless_silent(super::handle::SILENT, move |handle| async move {
            let start = handle.queue.look(move |queue| start(queue, since)).await?;
            Ok(start)
        });
        let next = next.await?;
        let now = Instant::now();
        let revisions = with_state.then(|| self.shared.revisions());
        let feed = Feed {
            queue: self.queue.clone(),
            filter,
            next,
            told: None,
            committed,
            revisions,
            closing,
            read_from: now,
            state_from: now,
        };
        let parts = stream::unfold(feed, |mut feed| async move { feed.part().await.map(|part| (part, feed)) });
        Ok(parts.boxed())
    }
}

/// Returns the cursor after which a reader begins.
fn start(queue: &dyn Queue, since: Option<Since>) -> Result<Cursor, QueueError> {
    match since {
        None => queue.last_cursor(),
        Some(Since::Cursor(cursor)) => Ok(cursor),
        Some(Since::Time(time)) => queue.cursor_at(time),
    }
}

/// The position of a client in the stream.
struct Feed {
    queue: AsyncQueue,
    filter: EventFilter,
    /// The place after which the next part begins.
    next: Cursor,
    /// The last cursor that the client got; `None`: it got none yet.
    told: Option<Cursor>,
    committed: watch::Receiver<Cursor>,
    revisions: Option<watch::Receiver<u64>>,
    closing: watch::Receiver<bool>,
    /// When the queue may be read again.
    read_from: Instant,
    /// When the client may be told again that the state has changed.
    state_from: Instant,
}

impl Feed {
    /// Returns the next part; `None`: the daemon is ending.
    async fn part(&mut self) -> Option<String> {
        if self.told.is_none() {
            return Some(self.tell_cursor());
        }
        loop {
            if *self.closing.borrow() {
                return None;
            }
            self.committed.borrow_and_update();
            let (after, filter) = (self.next, self.filter.clone());
            match self.queue.look(move |queue| queue.events(after, &filter, PART)).await {
                Ok(EventPage { events, next, is_last }) => {
                    self.next = next;
                    if is_last {
                        self.read_from = Instant::now() + PAUSE;
                    }
                    if let Some(last) = events.last() {
                        self.told = Some(last.cursor);
                        return Some(events.iter().map(message).collect());
                    }
                    if !is_last {
                        continue;
                    }
                }
                Err(_) => {
                    // Cancel-safe: both branches only wait.
                    tokio::select! {
                        () = sleep(AGAIN) => continue,
                        () = closed(&mut self.closing) => return None,
                    }
                }
            }
            if let Some(part) = self.wait().await {
                return Some(part);
            }
        }
    }

    /// Waits until the queue is to be read again. Returns a message that is to be sent before.
    async fn wait(&mut self) -> Option<String> {
        let (read_from, state_from) = (self.read_from, self.state_from);
        let committed = async {
            sleep_until(read_from).await;
            self.committed.changed().await
        };
        let state = async {
            let Some(revisions) = &mut self.revisions else { return std::future::pending().await };
            sleep_until(state_from).await;
            if revisions.changed().await.is_err() {
                return std::future::pending().await;
            }
            *revisions.borrow_and_update()
        };
        // Cancel-safe: all branches only wait.
        tokio::select! {
            changed = committed => {
                if changed.is_err() {
                    // The queue cannot be written, so no event comes.
                    closed(&mut self.closing).await;
                }
                None
            }
            revision = state => {
                self.state_from = Instant::now() + STATE_PAUSE;
                Some(state_message(revision))
            }
            () = sleep(KEEP_ALIVE) => Some(self.tell_cursor()),
            () = closed(&mut self.closing) => None,
        }
    }

    /// Returns a message with the cursor after which the client continues, also if it wanted no event up to
    /// there.
    fn tell_cursor(&mut self) -> String {
        self.told = Some(self.next);
        cursor_message(self.next)
    }
}

/// Records events that belong to no other change of the queue.
#[derive(Clone)]
pub(super) struct EventSender(mpsc::UnboundedSender<(Happening, Timestamp)>);

/// Returns a sender of events, and the task that records them in the order in which they were sent. The task
/// ends when all events are recorded and every copy of the sender is dropped.
pub(super) fn recorder(queue: AsyncQueue) -> (EventSender, tokio::task::JoinHandle<()>) {
    let (sender, mut events) = mpsc::unbounded_channel::<(Happening, Timestamp)>();
    let record = async move {
        while let Some((what, at)) = events.recv().await {
            let kind = what.kind_name().to_owned();
            loop {
                let event = what.clone();
                match queue.call(move |queue| queue.record_event(event, at)).await {
                    Ok(()) => break,
                    // Whether the event was recorded is not known: it is rather recorded twice than never.
                    Err(error) if error.is_outage() => sleep(AGAIN).await,
                    Err(error) => {
                        warn!(kind, %error, "the daemon cannot record an event; the event is left out");
                        break;
                    }
                }
            }
        }
    };
    (EventSender(sender), tokio::spawn(record))
}

impl EventSender {
    fn send(&self, what: Happening) {
        // Sending fails only after the recorder has ended, together with the daemon.
        drop(self.0.send((what, clock::now())));
    }

    pub(super) fn started(&self, scoped: bool) {
        let (pid, version) = (std::process::id(), env!("CARGO_PKG_VERSION").to_owned());
        self.send(Happening::DaemonStarted(DaemonStarted { pid, version, scoped }));
    }

    pub(super) fn stopped(&self) {
        self.send(Happening::DaemonStopped(DaemonStopped { pid: std::process::id() }));
    }

    /// Records the verdict on a configuration if it applied or rejected the configuration.
    pub(super) fn judged(&self, verdict: &Verdict) {
        let words = |changes: &[Change]| changes.iter().map(Change::to_string).collect();
        let generation = verdict.generation;
        match verdict.outcome {
            ReloadOutcome::Applied => self.send(Happening::ConfigApplied(ConfigApplied {
                generation,
                changed: words(&verdict.changed),
                pending_restart: words(&verdict.pending_restart),
            })),
            ReloadOutcome::Rejected => {
                self.send(Happening::ConfigRejected(ConfigRejected { generation, errors: verdict.errors.clone() }));
            }
            ReloadOutcome::Unchanged | ReloadOutcome::Missing | ReloadOutcome::Waiting => {}
        }
    }
}
