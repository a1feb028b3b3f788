//! Shows times to people in the local time zone, which `TZ` or the system sets. Output for scripts stays in
//! UTC.

use jiff::tz::TimeZone;

use super::units::ticking;
use crate::domain::time::Timestamp;

/// The length of a time in the form that reasons contain: `2026-11-23T14:02:11.123Z`.
const LENGTH: usize = 24;

/// Returns a time in the local time zone: the time of day, with its date unless the date is today.
pub(crate) fn clock_time(at: Timestamp) -> String {
    in_zone(at, jiff::Timestamp::now(), &TimeZone::system())
}

/// Returns `text` with each time in it converted to the local time zone.
pub(crate) fn localized(text: &str) -> String {
    replace(text, clock_time)
}

/// Returns `text` with each time in it converted to the local time zone; a time that has not come yet is shown with the
/// time that is left: `in 43 s (10:17:48)`.
pub(crate) fn localized_from(text: &str, now: Timestamp) -> String {
    replace_after(text, |before, at| match at.millis_since(now) {
        // `at` belongs to a point in time, so it is left out: `boi retries in 43 s`.
        left @ 1.. if before.ends_with(" at ") => (3, format!("in {} ({})", ticking(left), clock_time(at))),
        left @ 1.. => (0, format!("{} (in {})", clock_time(at), ticking(left))),
        _ => (0, clock_time(at)),
    })
}

fn in_zone(at: Timestamp, now: jiff::Timestamp, zone: &TimeZone) -> String {
    let Ok(at) = jiff::Timestamp::from_millisecond(at.0) else { return at.to_string() };
    let (civil, today) = (zone.to_datetime(at), zone.to_datetime(now).date());
    let format = if civil.date() == today { "%H:%M:%S" } else { "%Y-%m-%d %H:%M" };
    let is_utc = *zone == TimeZone::UTC || zone.is_unknown();
    format!("{}{}", civil.strftime(format), if is_utc { " UTC" } else { "" })
}

fn replace(text: &str, show: impl Fn(Timestamp) -> String) -> String {
    replace_after(text, |_, at| (0, show(at)))
}

/// Replaces each time in `text`. `show` gets the text before a time, and returns how many bytes at its end are left out,
/// and what stands in the place of the time.
fn replace_after(text: &str, show: impl Fn(&str, Timestamp) -> (usize, String)) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(found) = rest.find('T') {
        // The `T` is after the date, which has 10 characters.
        let start = found.checked_sub(10);
        let time = start.and_then(|start| Some((start, rest.get(start..start + LENGTH)?)));
        match time.and_then(|(start, part)| Some((start, parse(part)?))) {
            Some((start, at)) => {
                shown.push_str(&rest[..start]);
                let (left_out, time) = show(&shown, at);
                shown.truncate(shown.len() - left_out);
                shown.push_str(&time);
                rest = &rest[start + LENGTH..];
            }
            None => {
                shown.push_str(&rest[..=found]);
                rest = &rest[found + 1..];
            }
        }
    }
    shown + rest
}

/// Parses a time that is in exactly the form in which boi writes times.
fn parse(part: &str) -> Option<Timestamp> {
    let at = Timestamp(part.parse::<jiff::Timestamp>().ok()?.as_millisecond());
    (at.to_string() == part).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_shown_in_its_zone_with_its_date_unless_that_is_today() {
        let eastern = TimeZone::posix("EST5EDT,M3.2.0,M11.1.0").unwrap();
        let at = |text: &str| Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_millisecond());
        let now = "2026-07-04T12:00:00Z".parse().unwrap();
        for (time, zone, shown) in [
            ("2026-07-04T14:02:11Z", &eastern, "10:02:11"),
            ("2026-07-04T02:00:00Z", &eastern, "2026-07-03 22:00"),
            ("2026-01-04T14:02:11Z", &eastern, "2026-01-04 09:02"),
            ("2026-07-04T14:02:11Z", &TimeZone::UTC, "14:02:11 UTC"),
            ("2026-01-04T14:02:11Z", &TimeZone::UTC, "2026-01-04 14:02 UTC"),
        ] {
            assert_eq!(in_zone(at(time), now, zone), shown, "{time}");
        }
    }

    #[test]
    fn a_time_that_has_not_come_is_shown_with_the_time_that_is_left() {
        let text = "refused; boi retries at 1970-01-01T00:01:00.000Z; none was answered since 1970-01-01T00:00:00.000Z";
        let shown = localized_from(text, Timestamp(17_000));
        assert!(shown.starts_with("refused; boi retries in 43 s ("), "{shown}");
        assert!(shown.contains(&format!("; none was answered since {}", clock_time(Timestamp(0)))), "{shown}");
        let until = localized_from("used up until 1970-01-01T00:01:00.000Z", Timestamp(0));
        assert!(until.starts_with("used up until ") && until.contains("(in 60 s)"), "{until}");
    }

    #[test]
    fn only_the_times_in_a_text_are_replaced() {
        let shown = |text: &str| replace(text, |at| format!("<{}>", at.0));
        for (text, expected) in [
            ("retries at 1970-01-01T00:00:01.500Z", "retries at <1500>"),
            ("Task T: 1970-01-01T00:00:00.000Z, then 1970-01-01T00:00:00.001Z.", "Task T: <0>, then <1>."),
            ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"),
            ("äöüäöüäöüäT00:00:00.000Z", "äöüäöüäöüäT00:00:00.000Z"),
            ("T", "T"),
            ("", ""),
        ] {
            assert_eq!(shown(text), expected);
        }
    }
}
