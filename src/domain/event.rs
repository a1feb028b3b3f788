//! Events: what happened to specs, agents, the configuration and the daemon, in the order in which it
//! happened. `docs/events.md` describes each kind for users.
//!
//! The names of kinds and the fields of bodies are stable, since scripts and hooks read them. To add a kind,
//! add a line to the table below and the struct of its body.

use std::fmt;
use std::str::FromStr;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;

use super::admission::Shortage;
use super::cause::{Cause, Unmerged};
use super::hold::{Hold, HoldCause};
use super::id::SpecId;
use super::life::SpecStatus;
use super::outcome::{Delivery, MergedBy, TryOutcome, Usage};
use super::time::Timestamp;

/// The place of an event in the stream. Later events have larger cursors; not every number is the cursor of
/// an event. Users treat a cursor as opaque text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Cursor(pub i64);

impl Cursor {
    /// The place before the first event.
    pub(crate) const START: Cursor = Cursor(0);
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The error for a text that is not a cursor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a cursor")]
pub struct InvalidCursor(String);

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Cursor, InvalidCursor> {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|_| is_number);
        number.map(Cursor).ok_or_else(|| InvalidCursor(text.to_owned()))
    }
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Cursor, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// Where a reader begins to read the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Since {
    /// After the event with this cursor.
    Cursor(Cursor),
    /// With the first event at this time or later.
    Time(Timestamp),
}

impl FromStr for Since {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Since, InvalidCursor> {
        if let Ok(cursor) = text.parse() {
            return Ok(Since::Cursor(cursor));
        }
        let time = serde_json::from_value(Value::from(text));
        time.map(Since::Time).map_err(|_| InvalidCursor(text.to_owned()))
    }
}

/// Declares the kinds of events: for each one its variant, the type of its body, and its name.
macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $variant:ident($body:ident) = $name:literal,)+) => {
        /// The kind of an event.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum EventKind {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl EventKind {
            /// All kinds.
            pub const ALL: &[EventKind] = &[$(EventKind::$variant,)+];

            /// Returns the name of the kind.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(EventKind::$variant => $name,)+
                }
            }
        }

        /// What happened: the kind of an event, with its body.
        #[derive(Debug, Clone, PartialEq)]
        pub(crate) enum Happening {
            $($(#[doc = $doc])+ $variant($body),)+
            /// Something that only a later version of boi knows.
            Other {
                /// The name of the kind.
                kind: String,
                /// The body.
                body: Value,
            },
        }

        impl Happening {
            /// Returns the kind; `None`: this version does not know it.
            pub(crate) fn kind(&self) -> Option<EventKind> {
                match self {
                    $(Happening::$variant(_) => Some(EventKind::$variant),)+
                    Happening::Other { .. } => None,
                }
            }

            /// Returns the body as JSON.
            pub(crate) fn body(&self) -> serde_json::Result<Value> {
                match self {
                    $(Happening::$variant(body) => serde_json::to_value(body),)+
                    Happening::Other { body, .. } => Ok(body.clone()),
                }
            }

            /// Returns the text in which the queue stores the body.
            pub(crate) fn to_stored(&self) -> serde_json::Result<String> {
                match self {
                    $(Happening::$variant(body) => serde_json::to_string(body),)+
                    Happening::Other { body, .. } => serde_json::to_string(body),
                }
            }

            fn known(kind: EventKind, body: Value) -> Option<Happening> {
                match kind {
                    $(EventKind::$variant => typed(body).map(Happening::$variant),)+
                }
            }
        }
    };
}

kinds! {
    /// A spec is in the queue: it was dispatched or retried, or its worker gave it back.
    SpecQueued(Queued) = "spec.queued",
    /// A worker of the spec is started.
    SpecStarted(Empty) = "spec.started",
    /// All tasks of the spec are done and verified.
    SpecCompleted(Completed) = "spec.completed",
    /// The spec ended without completing. A refused try that is repeated does not fail its spec.
    SpecFailed(Failed) = "spec.failed",
    /// The user canceled the spec, and its commands have ended.
    SpecCanceled(Empty) = "spec.canceled",
    /// The base has the changes of the spec's branch.
    SpecMerged(Merged) = "spec.merged",
    /// The spec completed, and its branch could not be merged into the base.
    SpecUnmerged(NotMerged) = "spec.unmerged",
    /// The spec is queued and waits for the user, because of `boi stop` or a used-up budget.
    SpecBlocked(Blocked) = "spec.blocked",
    /// The spec's branch waits to land.
    SpecWaiting(Waiting) = "spec.waiting",
    /// The spec's branch is being landed.
    SpecLanding(Landing) = "spec.landing",
    /// The user dropped the spec.
    SpecDropped(Empty) = "spec.dropped",
    /// The user took the drop of the spec back.
    SpecRestored(Restored) = "spec.restored",
    /// The first try of a task in an attempt began.
    TaskStarted(TaskStarted) = "task.started",
    /// A task is done: verified, and committed if it changed anything.
    TaskDone(TaskDone) = "task.done",
    /// The agent or the command of a try ended by itself. Verify commands may still reject its changes.
    TryEnded(TryEnded) = "try.ended",
    /// boi starts no run of an agent for now.
    HoldBegan(HoldBegan) = "hold.began",
    /// boi starts runs of the agent again.
    HoldEnded(HoldEnded) = "hold.ended",
    /// boi starts no spec, or none of one repository, because the machine has too little of something.
    DeferredBegan(DeferredBegan) = "deferred.began",
    /// The machine has enough of it again, or nothing waits for a start any more.
    DeferredEnded(DeferredEnded) = "deferred.ended",
    /// A changed configuration is in force.
    ConfigApplied(ConfigApplied) = "config.applied",
    /// The configuration file is not valid; the old configuration stays in force.
    ConfigRejected(ConfigRejected) = "config.rejected",
    /// A daemon started.
    DaemonStarted(DaemonStarted) = "daemon.started",
    /// A daemon ended in an orderly way.
    DaemonStopped(DaemonStopped) = "daemon.stopped",
    /// No spec runs or waits to land, and none waits only for a slot, a time or an agent.
    QueueIdle(Empty) = "queue.idle",
}

impl EventKind {
    /// Returns the kind with this name; `None` if the name is unknown.
    pub fn from_name(name: &str) -> Option<EventKind> {
        EventKind::ALL.iter().copied().find(|kind| kind.as_str() == name)
    }
}

impl Serialize for EventKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for EventKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<EventKind, D::Error> {
        let name = String::deserialize(deserializer)?;
        EventKind::from_name(&name).ok_or_else(|| de::Error::custom(format!("`{name}` is no kind of event")))
    }
}

fn typed<T: DeserializeOwned>(body: Value) -> Option<T> {
    serde_json::from_value(body).ok()
}

/// A body without fields.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Empty {}

/// What queued a spec.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum QueuedBy {
    /// The user dispatched the spec.
    Dispatch,
    /// The user retried the spec, or a spec that it waits for.
    Retry,
    /// The spec's worker gave it back, such as after a refusal or when the daemon was stopped.
    GiveBack,
    /// The spec's branch could not be landed, so the spec goes back to its agent.
    Landing,
    /// `max_usd_per_spec` now allows more than the spec's agents cost, so the spec is no longer blocked.
    Budget,
}

/// The body of `spec.queued`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Queued {
    pub(crate) by: QueuedBy,
    /// Why the worker gave the spec back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cause: Option<Cause>,
    /// When the spec may start again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) not_before: Option<Timestamp>,
}

/// The body of `spec.completed`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Completed {
    /// How the result was delivered; `None`: the spec has no repository or no commits.
    pub(crate) delivery: Option<Delivery>,
}

/// The body of `spec.failed`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Failed {
    pub(crate) cause: Cause,
}

/// The body of `spec.merged`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Merged {
    pub(crate) by: MergedBy,
}

/// The body of `spec.unmerged`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct NotMerged {
    pub(crate) why: Unmerged,
}

/// The body of `spec.blocked`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Blocked {
    pub(crate) cause: Cause,
}

/// The body of `spec.waiting`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Waiting {
    /// The name of the base, without `refs/heads/`.
    pub(crate) base: String,
}

/// The body of `spec.landing`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Landing {
    /// The name of the base, without `refs/heads/`.
    pub(crate) base: String,
    /// The id of the lander.
    pub(crate) lander: SpecId,
}

/// The body of `spec.restored`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Restored {
    /// The status that the spec got back.
    pub(crate) status: SpecStatus,
}

/// The body of `task.started`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct TaskStarted {
    pub(crate) task: String,
}

/// The body of `task.done`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct TaskDone {
    pub(crate) task: String,
    /// The commit of the task's changes; `None`: the task changed nothing.
    pub(crate) commit: Option<String>,
    /// Whether the task gave a prompt to an agent, and changed no file of the repository.
    pub(crate) unchanged: bool,
}

/// The body of `try.ended`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct TryEnded {
    pub(crate) task: String,
    /// The number of the try, from 1 in each task.
    #[serde(rename = "try")]
    pub(crate) number: u32,
    pub(crate) outcome: TryOutcome,
    /// Whether the agent was refused, so that the try does not count and is repeated.
    pub(crate) refused: bool,
    /// What the last run of the agent used.
    pub(crate) usage: Usage,
}

/// The body of `hold.began`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct HoldBegan {
    pub(crate) agent: String,
    pub(crate) cause: String,
    /// When the hold ends, or when boi tries the agent again; `None`: only the user ends the hold.
    pub(crate) until: Option<Timestamp>,
    /// What shows that the agent was refused.
    pub(crate) evidence: String,
}

impl HoldBegan {
    pub(crate) fn new(agent: &str, hold: &Hold) -> HoldBegan {
        let Hold { cause, until, evidence, .. } = hold;
        HoldBegan {
            agent: agent.to_owned(),
            cause: cause.as_str().to_owned(),
            until: *until,
            evidence: evidence.clone(),
        }
    }

    /// Returns whether a stored hold differs so much from the one before that it counts as a new one.
    pub(crate) fn is_new(before: Option<HoldCause>, now: HoldCause) -> bool {
        before.is_none_or(|before| before.as_str() != now.as_str())
    }
}

/// The body of `hold.ended`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct HoldEnded {
    pub(crate) agent: String,
}

/// The body of `deferred.began`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct DeferredBegan {
    pub(crate) by: Shortage,
}

/// The body of `deferred.ended`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct DeferredEnded {
    /// The shortage as it was last seen.
    pub(crate) by: Shortage,
}

/// The body of `config.applied`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ConfigApplied {
    /// The generation in force.
    pub(crate) generation: u64,
    /// The changes, each as `KEY: OLD -> NEW`.
    pub(crate) changed: Vec<String>,
    /// The changes that take effect after a restart of the daemon.
    pub(crate) pending_restart: Vec<String>,
}

/// The body of `config.rejected`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ConfigRejected {
    /// The generation that stays in force.
    pub(crate) generation: u64,
    /// The errors, one line each.
    pub(crate) errors: Vec<String>,
}

/// The body of `daemon.started`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct DaemonStarted {
    pub(crate) pid: u32,
    pub(crate) version: String,
    /// Whether the daemon runs only the specs of one `boi run`.
    pub(crate) scoped: bool,
}

/// The body of `daemon.stopped`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct DaemonStopped {
    pub(crate) pid: u32,
}

impl Happening {
    /// Reads what the queue or a daemon stored as `kind` and `body`. What this version cannot read becomes
    /// [`Happening::Other`].
    pub(crate) fn read(kind: &str, body: Value) -> Happening {
        EventKind::from_name(kind)
            .and_then(|kind| Happening::known(kind, body.clone()))
            .unwrap_or_else(|| Happening::Other { kind: kind.to_owned(), body })
    }

    /// Returns the name of the kind.
    pub(crate) fn kind_name(&self) -> &str {
        match self {
            Happening::Other { kind, .. } => kind,
            known => known.kind().map_or("", EventKind::as_str),
        }
    }

    /// Returns the reason in words, if the event has one.
    pub(crate) fn reason(&self) -> Option<String> {
        match self {
            Happening::SpecQueued(Queued { cause: Some(cause), .. })
            | Happening::SpecFailed(Failed { cause })
            | Happening::SpecBlocked(Blocked { cause }) => Some(cause.to_string()),
            Happening::SpecUnmerged(NotMerged { why }) => Some(why.to_string()),
            Happening::TryEnded(TryEnded { outcome, .. }) if *outcome != TryOutcome::Succeeded => {
                Some(outcome.describe())
            }
            Happening::HoldBegan(HoldBegan { cause, evidence, .. }) => {
                Some(if evidence.is_empty() { cause.clone() } else { format!("{cause}: {evidence}") })
            }
            Happening::DeferredBegan(DeferredBegan { by }) => Some(by.with_reading()),
            Happening::ConfigRejected(ConfigRejected { errors, .. }) => Some(errors.join("; ")),
            _ => None,
        }
    }
}

/// One event of the stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(into = "EventRecord", from = "EventRecord")]
pub(crate) struct Event {
    pub(crate) cursor: Cursor,
    pub(crate) at: Timestamp,
    /// The spec that the event is about; `None`: it is not about a spec.
    pub(crate) spec: Option<SpecId>,
    /// The title of the spec; `None`: the spec was removed from the queue.
    pub(crate) title: Option<String>,
    /// The attempt; `None`: the event is not about an attempt.
    pub(crate) attempt: Option<u32>,
    pub(crate) what: Happening,
}

/// The form of an [`Event`] in JSON.
#[derive(Clone, Serialize, Deserialize)]
struct EventRecord {
    cursor: Cursor,
    at: Timestamp,
    kind: String,
    spec: Option<SpecId>,
    title: Option<String>,
    attempt: Option<u32>,
    /// The reason in words. It is made of the body.
    #[serde(default)]
    reason: Option<String>,
    body: Value,
}

impl From<Event> for EventRecord {
    fn from(Event { cursor, at, spec, title, attempt, what }: Event) -> EventRecord {
        let (kind, reason) = (what.kind_name().to_owned(), what.reason());
        // The bodies are plain structs, whose conversion to JSON cannot fail.
        let body = what.body().unwrap_or_default();
        EventRecord { cursor, at, kind, spec, title, attempt, reason, body }
    }
}

impl From<EventRecord> for Event {
    fn from(EventRecord { cursor, at, kind, spec, title, attempt, body, .. }: EventRecord) -> Event {
        Event { cursor, at, spec, title, attempt, what: Happening::read(&kind, body) }
    }
}

/// Which events a reader wants.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct EventFilter {
    /// Only events about these specs; empty: about any spec or none.
    pub(crate) specs: Vec<SpecId>,
    /// Only events of these kinds; empty: of any kind.
    pub(crate) kinds: Vec<EventKind>,
}

impl EventFilter {
    /// Returns whether the reader wants an event of this kind about this spec. Both are names as they are
    /// stored.
    pub(crate) fn wants(&self, kind: &str, spec: Option<&str>) -> bool {
        let is_of_spec = self.specs.is_empty() || self.specs.iter().any(|wanted| Some(wanted.as_str()) == spec);
        is_of_spec && (self.kinds.is_empty() || self.kinds.iter().any(|wanted| wanted.as_str() == kind))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_encodes_with_documented_names_and_decodes() {
        let failed = Event {
            cursor: Cursor(17),
            at: Timestamp(1_795_442_531_120),
            spec: Some("SD979".parse().unwrap()),
            title: Some("Fix".into()),
            attempt: Some(2),
            what: Happening::SpecFailed(Failed { cause: Cause::Repository { detail: "no base".into() } }),
        };
        let text = serde_json::to_value(&failed).unwrap();
        let expected = json!({
            "cursor": "17", "at": "2026-11-23T14:02:11.120Z", "kind": "spec.failed", "spec": "SD979", "title": "Fix",
            "attempt": 2, "reason": "no base", "body": {"cause": {"kind": "repository", "detail": "no base"}},
        });
        assert_eq!(text, expected);
        assert_eq!(serde_json::from_value::<Event>(text).unwrap(), failed);
    }

    #[test]
    fn an_event_of_a_later_version_keeps_its_kind_and_body() {
        let later = json!({
            "cursor": "3", "at": "2026-11-23T14:02:11.120Z", "kind": "spec.flown", "spec": null, "title": null,
            "attempt": null, "reason": null, "body": {"far": true},
        });
        let event: Event = serde_json::from_value(later.clone()).unwrap();
        assert_eq!((event.what.kind(), event.what.kind_name()), (None, "spec.flown"));
        assert_eq!(serde_json::to_value(&event).unwrap(), later);
    }

    #[test]
    fn names_of_kinds_are_unique_and_dotted() {
        for kind in EventKind::ALL {
            assert_eq!(EventKind::from_name(kind.as_str()), Some(*kind));
            assert_eq!(kind.as_str().split('.').count(), 2);
        }
        assert_eq!(EventKind::from_name("spec.faild"), None);
    }

    #[test]
    fn a_start_is_a_cursor_or_a_time() {
        assert_eq!("12".parse(), Ok(Since::Cursor(Cursor(12))));
        assert_eq!("2026-11-23T14:02:11.120Z".parse(), Ok(Since::Time(Timestamp(1_795_442_531_120))));
        for text in ["", "-1", "+1", "12h", "99999999999999999999"] {
            assert!(text.parse::<Since>().is_err(), "{text}");
        }
    }
}
