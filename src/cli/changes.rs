//! Waits for changes of what a daemon shows, over its stream of events.

use std::time::Duration;

use futures::FutureExt;
use tokio::time::{Instant, sleep_until};

use super::CliError;
use super::backend::Backend;
use crate::control::calls::FailureCode;
use crate::control::client::ClientError;
use crate::control::event_stream::EventStream;
use crate::control::events::{Received, StreamRequest};
use crate::domain::event::{EventFilter, EventKind};

/// The changes that a command waits for.
pub(super) struct Changes {
    stream: EventStream,
    /// The shortest time between a change and the next one that is not an event.
    pause: Duration,
    /// When the last change was returned.
    last: Instant,
    /// When a change is due that is not an event.
    due: Option<Instant>,
}

impl Changes {
    /// Begins to wait for the events that `filter` wants, and for other changes of the state, which come with
    /// pauses of at least `pause`. Returns `None` if no daemon runs, or if it is of a version without events.
    pub(super) async fn begin(
        backend: &Backend,
        filter: EventFilter,
        pause: Duration,
    ) -> Result<Option<Changes>, CliError> {
        let Backend::Daemon(client) = backend else { return Ok(None) };
        let request = StreamRequest { since: None, filter, with_state: true };
        match client.events(&request).await {
            Ok(stream) => Ok(Some(Changes { stream, pause, last: Instant::now(), due: None })),
            Err(ClientError::Refused { code: FailureCode::NoSuchCall, .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Begins to wait for changes of anything that `boi status` shows, which come with pauses of at least `pause`.
    /// Costs the daemon less than waiting for every event.
    pub(super) async fn of_state(backend: &Backend, pause: Duration) -> Result<Option<Changes>, CliError> {
        // The daemon also tells of changes that are no events. Of the events, only the last of a change is needed.
        let filter = EventFilter { kinds: vec![EventKind::QueueIdle], ..EventFilter::default() };
        Changes::begin(backend, filter, pause).await
    }

    /// Waits for the next change. Fails when the daemon has ended. Cancel-safe.
    pub(super) async fn next(&mut self) -> Result<(), CliError> {
        loop {
            let due = self.due;
            // Cancel-safe: what was not received stays in the stream.
            tokio::select! {
                received = self.stream.next() => {
                    if self.is_change(&received?) {
                        break;
                    }
                }
                () = sleep_until(due.unwrap_or(self.last)), if due.is_some() => break,
            }
        }
        // What has arrived meanwhile belongs to the same change.
        while let Some(received) = self.stream.next().now_or_never() {
            received?;
        }
        (self.last, self.due) = (Instant::now(), None);
        Ok(())
    }

    /// Returns whether something has changed, without waiting. Fails when the daemon has ended.
    pub(super) fn happened(&mut self) -> Result<bool, CliError> {
        self.next().now_or_never().transpose().map(|changed| changed.is_some())
    }

    fn is_change(&mut self, received: &Received) -> bool {
        match received {
            Received::Event(_) => true,
            Received::Cursor(_) => false,
            Received::State => {
                let earliest = self.last + self.pause;
                self.due.get_or_insert(earliest);
                earliest <= Instant::now()
            }
        }
    }
}
