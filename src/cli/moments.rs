//! Reads the points in time that users write as arguments.

use std::time::Duration;

use jiff::Timestamp as Moment;
use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;

use super::durations;

/// Whether an argument names a time before or after now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Past,
    Future,
}

/// Returns the time that `text`, the value of `option`, names: a duration before or after now, a time of day (its last or
/// its next occurrence), or a date with or without a time. The time is in `zone` unless `text` contains an offset. `None`:
/// it names no time.
pub(super) fn parse(option: &str, text: &str, direction: Direction, now: Moment, zone: &TimeZone) -> Option<Moment> {
    let in_zone = |local: DateTime| zone.to_timestamp(local).ok();
    let at_distance = |length: Duration| match direction {
        Direction::Past => now.checked_sub(length).ok(),
        Direction::Future => now.checked_add(length).ok(),
    };
    let nearest = |time: Time| {
        let date = zone.to_datetime(now).date();
        let today = in_zone(date.to_datetime(time))?;
        match direction {
            Direction::Past if today > now => in_zone(date.yesterday().ok()?.to_datetime(time)),
            Direction::Future if today <= now => in_zone(date.tomorrow().ok()?.to_datetime(time)),
            _ => Some(today),
        }
    };
    if let Ok(length) = durations::parse(option, text) {
        at_distance(length)
    } else if let Ok(moment) = text.parse::<Moment>() {
        Some(moment)
    } else if let Ok(local) = text.parse::<DateTime>() {
        in_zone(local)
    } else if let Ok(time) = text.parse::<Time>() {
        nearest(time)
    } else {
        None
    }
}
