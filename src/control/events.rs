//! The stream of events over the control socket: `GET /v1/events` answers with server-sent events (SSE).
//!
//! Each event is a message with `id` (the cursor), `event` (the kind) and `data` (the event as JSON). A
//! client that asks for them also gets messages called [`STATE`] without an id: what `boi status` shows has
//! changed, perhaps without an event.

use std::time::Duration;

use crate::domain::event::{Cursor, Event, EventFilter, EventKind, InvalidCursor, Since};

/// The path of the stream.
pub(crate) const PATH: &str = "/v1/events";
/// The header with which a client continues after a cursor.
pub(crate) const LAST_EVENT_ID: &str = "last-event-id";
/// The name of a message which tells that the state has changed.
pub(crate) const STATE: &str = "state";
/// The longest time without a message or a comment.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// The parameters of a request for the stream, as in `?since=12&spec=SD979&kind=spec.failed,queue.idle`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct StreamQuery {
    /// A cursor, or a time in RFC 3339 format. Without it, the stream begins with the next event.
    pub since: Option<String>,
    /// Ids of specs, separated by commas.
    pub spec: Option<String>,
    /// Names of kinds, separated by commas.
    pub kind: Option<String>,
    /// Whether to send messages called `state` too: `1`.
    pub state: Option<String>,
}

/// A request for the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StreamRequest {
    /// Where the stream begins; `None`: with the next event.
    pub since: Option<Since>,
    /// Which events to send.
    pub filter: EventFilter,
    /// Whether to send messages called `state`.
    pub with_state: bool,
}

/// Why a request for the stream is not valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadQuery {
    /// The start is neither a cursor nor a time.
    #[error("since: {0}, and no time in RFC 3339 format")]
    Since(InvalidCursor),
    /// A text is no id of a spec.
    #[error("spec: `{0}` is not the id of a spec")]
    Spec(String),
    /// A text is no kind of event.
    #[error("kind: `{0}` is no kind of event")]
    Kind(String),
}

impl StreamQuery {
    /// Splits the query of a URL into its parameters. Ignores unknown ones.
    pub(crate) fn parse(query: &str) -> StreamQuery {
        let mut parameters = StreamQuery::default();
        for (name, value) in query.split('&').filter_map(|part| part.split_once('=')) {
            let field = match name {
                "since" => &mut parameters.since,
                "spec" => &mut parameters.spec,
                "kind" => &mut parameters.kind,
                "state" => &mut parameters.state,
                _ => continue,
            };
            *field = Some(decoded(value));
        }
        parameters
    }

    /// Reads the parameters. `last_id` is the value of the header [`LAST_EVENT_ID`], which wins over `since`.
    pub(crate) fn read(&self, last_id: Option<&str>) -> Result<StreamRequest, BadQuery> {
        let items = |text: &Option<String>| -> Vec<String> {
            let items = text.as_deref().unwrap_or_default().split(',').map(str::trim);
            items.filter(|item| !item.is_empty()).map(str::to_owned).collect()
        };
        let since = last_id.or(self.since.as_deref()).filter(|text| !text.is_empty());
        let specs = items(&self.spec).into_iter().map(|text| text.parse().map_err(|_| BadQuery::Spec(text)));
        let kinds = items(&self.kind).into_iter().map(|text| EventKind::from_name(&text).ok_or(BadQuery::Kind(text)));
        Ok(StreamRequest {
            since: since.map(str::parse).transpose().map_err(BadQuery::Since)?,
            filter: EventFilter { specs: specs.collect::<Result<_, _>>()?, kinds: kinds.collect::<Result<_, _>>()? },
            with_state: self.state.as_deref().is_some_and(|state| state != "0"),
        })
    }
}

/// Decodes the escapes `%XX` of a URL.
fn decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let [first, more @ ..] = rest {
        let escaped = more.get(..2).filter(|_| *first == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        match escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &more[2..];
            }
            None => {
                bytes.push(*first);
                rest = more;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

impl StreamRequest {
    /// Returns the path with the parameters. Ids and kinds contain no characters that a URL has to escape.
    pub(crate) fn path(&self) -> String {
        let mut parameters = Vec::new();
        match self.since {
            Some(Since::Cursor(cursor)) => parameters.push(format!("since={cursor}")),
            Some(Since::Time(time)) => parameters.push(format!("since={time}")),
            None => {}
        }
        let EventFilter { specs, kinds } = &self.filter;
        if !specs.is_empty() {
            let specs: Vec<&str> = specs.iter().map(|spec| spec.as_str()).collect();
            parameters.push(format!("spec={}", specs.join(",")));
        }
        if !kinds.is_empty() {
            let kinds: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
            parameters.push(format!("kind={}", kinds.join(",")));
        }
        if self.with_state {
            parameters.push("state=1".to_owned());
        }
        if parameters.is_empty() { PATH.to_owned() } else { format!("{PATH}?{}", parameters.join("&")) }
    }
}

/// Returns the message of one event.
pub(crate) fn message(event: &Event) -> String {
    // Only events whose conversion to JSON cannot fail are stored.
    let data = serde_json::to_string(event).unwrap_or_default();
    format!("id: {}\nevent: {}\ndata: {data}\n\n", event.cursor, event.what.kind_name())
}

/// Returns a message without an event that sets the cursor with which the client continues.
pub(crate) fn cursor_message(cursor: Cursor) -> String {
    format!("id: {cursor}\n\n")
}

/// Returns the message which tells that the state has changed.
pub(crate) fn state_message(revision: u64) -> String {
    format!("event: {STATE}\ndata: {{\"revision\":{revision}}}\n\n")
}

/// What a client receives.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Received {
    /// An event.
    Event(Box<Event>),
    /// The cursor with which to continue.
    Cursor(Cursor),
    /// The state has changed.
    State,
}

/// Reads messages from the bytes of a stream.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    line: Vec<u8>,
    id: Option<String>,
    kind: String,
    data: String,
}

impl Reader {
    /// Takes the next bytes of the stream, and returns the messages that they complete.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Vec<Received> {
        let mut received = Vec::new();
        for byte in bytes {
            match byte {
                b'\n' => {
                    let line = String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned();
                    received.extend(self.take_line(line.trim_end_matches('\r')));
                }
                byte => self.line.push(*byte),
            }
        }
        received
    }

    fn take_line(&mut self, line: &str) -> Option<Received> {
        if line.is_empty() {
            let Reader { id, kind, data, .. } = std::mem::take(self);
            return match (kind.as_str(), data.is_empty()) {
                (STATE, _) => Some(Received::State),
                (_, false) => serde_json::from_str(&data).ok().map(|event| Received::Event(Box::new(event))),
                (_, true) => id.and_then(|id| id.parse().ok()).map(Received::Cursor),
            };
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => self.id = Some(value.to_owned()),
            "event" => value.clone_into(&mut self.kind),
            "data" => self.data.push_str(value),
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::{Empty, Happening};
    use crate::domain::time::Timestamp;

    fn event(cursor: i64) -> Event {
        let what = Happening::QueueIdle(Empty {});
        Event { cursor: Cursor(cursor), at: Timestamp(5), spec: None, title: None, attempt: None, what }
    }

    #[test]
    fn messages_are_read_back_however_the_bytes_are_split() {
        let text =
            [cursor_message(Cursor(3)), ": still here\n\n".into(), message(&event(4)), state_message(9)].concat();
        let expected = [Received::Cursor(Cursor(3)), Received::Event(Box::new(event(4))), Received::State];
        for size in [1, 2, 7, text.len()] {
            let mut reader = Reader::default();
            let received: Vec<_> = text.as_bytes().chunks(size).flat_map(|bytes| reader.take(bytes)).collect();
            assert_eq!(received, expected, "{size}");
        }
    }

    #[test]
    fn a_request_is_read_from_its_parameters() {
        let request = StreamRequest {
            since: Some(Since::Cursor(Cursor(12))),
            filter: EventFilter {
                specs: vec!["SD979".parse().unwrap(), "S0001".parse().unwrap()],
                kinds: vec![EventKind::SpecFailed],
            },
            with_state: true,
        };
        assert_eq!(request.path(), "/v1/events?since=12&spec=SD979,S0001&kind=spec.failed&state=1");
        let query = StreamQuery {
            since: Some("12".into()),
            spec: Some("SD979,S0001".into()),
            kind: Some("spec.failed".into()),
            state: Some("1".into()),
        };
        assert_eq!(query.read(None), Ok(request));
        assert_eq!(StreamQuery::parse("since=12&spec=SD979%2CS0001&kind=spec.failed&state=1&more=%"), query);
        let later = query.read(Some("15")).unwrap();
        assert_eq!(later.since, Some(Since::Cursor(Cursor(15))), "the header wins");
        let bad = StreamQuery { kind: Some("spec.faild".into()), ..StreamQuery::default() };
        assert_eq!(bad.read(None), Err(BadQuery::Kind("spec.faild".into())));
        assert!(StreamQuery { since: Some("soon".into()), ..StreamQuery::default() }.read(None).is_err());
    }
}
