//! The stream of events, as the queue returns it.

use crate::domain::event::{Cursor, Event};

/// A part of the stream.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct EventPage {
    /// The events that the reader wants, in the order of the stream.
    pub events: Vec<Event>,
    /// The place after which the next page begins.
    pub next: Cursor,
    /// Whether the page reaches the end of the stream.
    pub is_last: bool,
}

/// What one call of [`super::Queue::remove_events`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct RemovedEvents {
    /// How many events were removed.
    pub removed: u64,
    /// Whether older events than asked for may be left.
    pub more: bool,
}
