//! `boi events`: prints what happened, and follows what happens.

use std::cell::OnceCell;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::time::sleep;

use super::args::Events;
use super::backend;
use super::printing::{stream, stream_styled};
use super::{CliError, ExitCode, USAGE, block_on, durations};
use crate::control::calls::FailureCode;
use crate::control::client::{Client, ClientError};
use crate::control::events::{Received, StreamRequest};
use crate::domain::escape;
use crate::domain::event::{Cursor, Event, EventFilter, EventKind, Since};
use crate::queue::Queue;
use crate::queue::events::EventPage;
use crate::system::clock;
use crate::system::output::reader_gone;
use crate::system::paths::Home;
use crate::ui::event_line::event_line;

/// How many events are printed without `--since`.
const LAST: u32 = 100;
/// How many events are printed without `--since` before those that follow.
const LAST_FOLLOWED: u32 = 10;
/// The most events that are read at once.
const PART: u32 = 256;
/// The interval at which the command looks at the queue while no daemon runs.
const POLL: Duration = Duration::from_millis(200);
/// After how many looks at the queue the command checks whether a daemon runs.
const LOOKS: u32 = 5;

/// Carries out `boi events`.
pub(super) fn events(home: &Home, args: &Events) -> Result<ExitCode, CliError> {
    let since = args.since.as_deref().map(parse_since).transpose()?;
    let kinds = args.kind.iter().filter_map(|name| EventKind::from_name(name)).collect();
    let filter = EventFilter { specs: args.spec.iter().cloned().collect(), kinds };
    let reader = Reader { home, queue: OnceCell::new(), filter, json: args.json };
    block_on(async {
        let after = reader.print_past(since, args.follow)?;
        if !args.follow {
            return Ok(0);
        }
        // Cancel-safe: the command only reads.
        tokio::select! {
            followed = reader.follow(after) => followed,
            () = reader_gone() => Err(CliError::ReaderGone),
        }
    })
}

/// Parses the value of `--since`: a cursor, a time, or a length of time.
fn parse_since(text: &str) -> Result<Since, CliError> {
    if let Ok(since) = text.parse() {
        return Ok(since);
    }
    let invalid = |_| {
        CliError::new(USAGE, format!("--since: `{text}` is neither a cursor, a time nor a length of time"))
            .hint("write a cursor (the first column), a time like 2026-11-27T22:00:00Z, or a length like 12h")
    };
    let length = durations::parse("--since", text).map_err(invalid)?;
    let millis = i64::try_from(length.as_millis()).unwrap_or(i64::MAX);
    Ok(Since::Time(clock::now().plus_millis(-millis)))
}

/// Reads the stream and prints it.
struct Reader<'a> {
    home: &'a Home,
    /// The queue; empty until it exists.
    queue: OnceCell<Arc<dyn Queue>>,
    filter: EventFilter,
    json: bool,
}

impl Reader<'_> {
    /// Returns the queue; `None`: it does not exist yet.
    fn queue(&self) -> Result<Option<&dyn Queue>, CliError> {
        if self.queue.get().is_none()
            && let Some(queue) = backend::read(&backend::configured(self.home))?
        {
            // It was empty just before.
            drop(self.queue.set(queue));
        }
        Ok(self.queue.get().map(AsRef::as_ref))
    }

    /// Prints the events that have happened; without `since`, the last ones. Returns the end of the stream.
    fn print_past(&self, since: Option<Since>, follows: bool) -> Result<Cursor, CliError> {
        let Some(queue) = self.queue()? else { return Ok(Cursor::START) };
        let after = match since {
            None => {
                let count = if follows { LAST_FOLLOWED } else { LAST };
                let EventPage { events, next, .. } = queue.last_events(&self.filter, count)?;
                self.print_all(&events)?;
                return Ok(next);
            }
            Some(Since::Cursor(cursor)) => cursor,
            Some(Since::Time(time)) => queue.cursor_at(time)?,
        };
        self.print_after(queue, after)
    }

    /// Prints the events after `after`. Returns the end of the stream.
    fn print_after(&self, queue: &dyn Queue, mut after: Cursor) -> Result<Cursor, CliError> {
        loop {
            let EventPage { events, next, is_last } = queue.events(after, &self.filter, PART)?;
            self.print_all(&events)?;
            after = next;
            if is_last {
                return Ok(after);
            }
        }
    }

    /// Returns the line of an event.
    fn line(&self, event: &Event) -> Result<String, CliError> {
        if !self.json {
            return Ok(format!("{}\n", event_line(event)));
        }
        let text = serde_json::to_string(event).map_err(|error| CliError::new(super::FAILED, error.to_string()))?;
        Ok(format!("{}\n", escape::escaped_json(&text)))
    }

    /// Prints the lines of events, with one write.
    fn print(&self, lines: &str) -> Result<(), CliError> {
        if self.json { stream(lines.as_bytes()) } else { stream_styled(lines) }
    }

    fn print_all(&self, events: &[Event]) -> Result<(), CliError> {
        self.print(&events.iter().map(|event| self.line(event)).collect::<Result<String, _>>()?)
    }

    /// Prints the events after `after` as they happen: from the daemon while one runs, else from the queue.
    async fn follow(&self, mut after: Cursor) -> Result<ExitCode, CliError> {
        loop {
            if let Some(client) = Client::connect(&self.home.socket()).await? {
                self.follow_daemon(&client, &mut after).await?;
            }
            self.follow_queue(&mut after).await?;
        }
    }

    /// Prints events from the daemon until it ends.
    async fn follow_daemon(&self, client: &Client, after: &mut Cursor) -> Result<(), CliError> {
        let since = Some(Since::Cursor(*after));
        let request = StreamRequest { since, filter: self.filter.clone(), with_state: false };
        let mut events = match client.events(&request).await {
            Ok(events) => events,
            Err(
                ClientError::NoDaemon
                | ClientError::Away
                | ClientError::Refused { code: FailureCode::NoSuchCall | FailureCode::Silent, .. },
            ) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        loop {
            let first = events.next().await;
            // What has arrived together is printed together.
            let more = std::iter::from_fn(|| events.next().now_or_never()).take(PART as usize);
            let (mut lines, mut cursor, mut has_ended) = (String::new(), *after, false);
            for received in std::iter::once(first).chain(more) {
                match received {
                    Ok(Received::Event(event)) => {
                        lines.push_str(&self.line(&event)?);
                        cursor = event.cursor;
                    }
                    Ok(Received::Cursor(next)) => cursor = next,
                    Ok(Received::State) => {}
                    Err(_) => {
                        has_ended = true;
                        break;
                    }
                }
            }
            self.print(&lines)?;
            *after = cursor;
            if has_ended {
                return Ok(());
            }
        }
    }

    /// Prints events from the queue until a daemon runs.
    async fn follow_queue(&self, after: &mut Cursor) -> Result<(), CliError> {
        let mut version = None;
        loop {
            for _ in 0..LOOKS {
                if let Some(queue) = self.queue()? {
                    let now = queue.version()?;
                    if version != Some(now) {
                        *after = self.print_after(queue, *after)?;
                        version = Some(now);
                    }
                }
                sleep(POLL).await;
            }
            if Client::connect(&self.home.socket()).await.is_ok_and(|client| client.is_some()) {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_a_cursor_a_time_or_a_length() {
        assert_eq!(parse_since("12").unwrap(), Since::Cursor(Cursor(12)));
        assert!(matches!(parse_since("2026-11-27T22:00:00Z").unwrap(), Since::Time(_)));
        assert!(matches!(parse_since("12h").unwrap(), Since::Time(at) if at < clock::now()));
        assert_eq!(parse_since("yesterday").unwrap_err().code(), USAGE);
    }
}
