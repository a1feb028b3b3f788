//! Reads the time when a usage limit ends. Agents report it in a text, such as `resets 3pm (Europe/Berlin)`,
//! `resets Nov 30, 12:53am (UTC)`, `try again at Dec 23rd, 2026 4:26 AM.` or `regain access on 2026-12-01 at
//! 00:00 UTC`.

use jiff::ToSpan;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;

use crate::domain::time::Timestamp;

/// A time of day that was at most this many seconds ago is a time of today; an earlier one is a time of
/// tomorrow.
const JUST_PASSED: i64 = 15 * 60;

/// A date without a year that was more than this many seconds ago is a date of next year, since a limit lasts
/// only days.
const LONG_PASSED: i64 = 180 * 24 * 3600;

/// The shortest and the longest wait for the end of a usage limit, in milliseconds. A time outside of these
/// bounds is replaced by the nearer bound.
const WAIT_MILLIS: (i64, i64) = (5_000, 8 * 24 * 3_600_000);

/// Returns `at`, moved into the range from 5 s to 8 days after `now` if it is outside of that range.
pub(super) fn believable(at: Timestamp, now: Timestamp) -> Timestamp {
    at.clamp(now.plus_millis(WAIT_MILLIS.0), now.plus_millis(WAIT_MILLIS.1))
}

/// Returns the time that `text` names. `now` determines a missing date or year. `zone` finds a time zone by
/// its name; the name `""` is the zone of the agent's process, in which a time after `try again at` counts.
/// Returns `None` if the text names no time, or if `zone` does not find the zone.
pub(super) fn named_in(text: &str, now: Timestamp, zone: fn(&str) -> Option<TimeZone>) -> Option<Timestamp> {
    let moment = |when: &str, zone| moment(when, now, zone);
    if let Some((_, words)) = text.split_once("resets ")
        && let Some((when, rest)) = words.split_once(" (")
        && let Some((name, _)) = rest.split_once(')')
    {
        let zone = if name == "UTC" { TimeZone::UTC } else { zone(name)? };
        return moment(when, zone);
    }
    if let Some(at) = named_in_utc(text) {
        return Some(at);
    }
    if let Some((_, words)) = text.split_once("try again at ") {
        let when = words.split_once('.').map_or(words, |(when, _)| when);
        return moment(when, zone("")?);
    }
    // Older versions of Claude Code print seconds since the epoch: `Claude AI usage limit
    // reached|1795481639`.
    let (_, seconds) = text.split_once("limit reached|")?;
    let seconds: String = seconds.chars().take_while(char::is_ascii_digit).collect();
    Some(Timestamp(seconds.parse::<i64>().ok()?.checked_mul(1000)?))
}

/// Returns the time in a text such as `regain access on 2026-12-01 at 00:00 UTC`.
fn named_in_utc(text: &str) -> Option<Timestamp> {
    let (_, words) = text.split_once("regain access on ")?;
    let (date, rest) = words.split_once(" at ")?;
    let (time, _) = rest.split_once(" UTC")?;
    let (date, time) = (date.parse::<Date>().ok()?, time.parse::<Time>().ok()?);
    let at = TimeZone::UTC.to_timestamp(date.to_datetime(time)).ok()?;
    Some(Timestamp(at.as_millisecond()))
}

/// Returns the time that `when` names in `zone`: a time of day, with a date or without.
fn moment(when: &str, now: Timestamp, zone: TimeZone) -> Option<Timestamp> {
    let now = jiff::Timestamp::from_millisecond(now.0).ok()?;
    let today = zone.to_datetime(now).date();
    let words: Vec<&str> = when.split([' ', ',']).filter(|word| !word.is_empty() && *word != "at").collect();
    let (time, date) = match words.as_slice() {
        [date @ .., clock, half @ ("AM" | "PM" | "am" | "pm")] => (format!("{clock}{half}"), date),
        [date @ .., time] => ((*time).to_owned(), date),
        [] => return None,
    };
    let time = time_of_day(&time)?;
    let moment = |date: Date| zone.to_timestamp(date.to_datetime(time)).ok();
    let passed = |at: jiff::Timestamp| now.as_second() - at.as_second();
    let at = match date {
        [] => {
            let at = moment(today)?;
            if passed(at) > JUST_PASSED { moment(today.tomorrow().ok()?)? } else { at }
        }
        [month, day] => {
            let date = Date::new(today.year(), month_number(month)?, day_number(day)?).ok()?;
            let at = moment(date)?;
            if passed(at) > LONG_PASSED { moment(date.checked_add(1.year()).ok()?)? } else { at }
        }
        [month, day, year] => moment(Date::new(year.parse().ok()?, month_number(month)?, day_number(day)?).ok()?)?,
        _ => return None,
    };
    Some(Timestamp(at.as_millisecond()))
}

/// Parses a day of a month such as `3` or `3rd`.
fn day_number(text: &str) -> Option<i8> {
    text.trim_end_matches(|c: char| c.is_ascii_lowercase()).parse().ok()
}

/// Parses a time of day such as `3pm` or `12:53am`.
fn time_of_day(text: &str) -> Option<Time> {
    let text = text.to_ascii_lowercase();
    let (clock, afternoon) = match text.strip_suffix("am") {
        Some(clock) => (clock, 0),
        None => (text.strip_suffix("pm")?, 12),
    };
    let (hour, minute) = clock.split_once(':').unwrap_or((clock, "0"));
    let hour = hour.parse::<i8>().ok().filter(|hour| (1..=12).contains(hour))?;
    Time::new(hour % 12 + afternoon, minute.parse().ok()?, 0, 0).ok()
}

fn month_number(name: &str) -> Option<i8> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let index = MONTHS.iter().position(|month| name.starts_with(month))?;
    i8::try_from(index + 1).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn zone(name: &str) -> Option<TimeZone> {
        (name == "Europe/Berlin" || name.is_empty()).then(|| TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap())
    }

    fn at(text: &str) -> Timestamp {
        Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    }

    fn reset(text: &str, now: &str) -> Option<String> {
        let moment = named_in(text, at(now), zone)?;
        Some(jiff::Timestamp::from_millisecond(moment.0).unwrap().to_string())
    }

    #[test]
    fn a_time_is_the_next_one_in_its_zone() {
        for (text, expected) in [
            ("You've hit your limit · resets 12:53am (UTC)", "2026-11-24T00:53:00Z"),
            ("resets 3pm (Europe/Berlin)", "2026-11-24T14:00:00Z"),
            ("resets 12pm (UTC)", "2026-11-24T12:00:00Z"),
            ("resets 11:59pm (UTC)", "2026-11-23T23:59:00Z"),
            ("resets 11:39pm (UTC)", "2026-11-23T23:39:00Z"),
            ("resets 11:38pm (UTC)", "2026-11-24T23:38:00Z"),
            ("resets 1am (UTC)", "2026-11-24T01:00:00Z"),
        ] {
            assert_eq!(reset(text, "2026-11-23T23:54:00Z").as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn a_date_is_of_this_year_unless_it_passed_long_ago() {
        let november = "2026-11-23T23:54:00Z";
        for (text, now, expected) in [
            ("resets Nov 30, 3pm (Europe/Berlin)", november, "2026-11-30T14:00:00Z"),
            ("resets Nov 30 at 3:05pm (UTC)", november, "2026-11-30T15:05:00Z"),
            ("resets Jan 2, 2027, 3pm (UTC)", november, "2027-01-02T15:00:00Z"),
            ("resets Jan 2, 3pm (UTC)", "2026-12-30T00:00:00Z", "2027-01-02T15:00:00Z"),
            // Here the date is exactly 180 days ago; in the next case, it is one second more.
            ("resets Jan 2, 3pm (UTC)", "2026-07-01T15:00:00Z", "2026-01-02T15:00:00Z"),
            ("resets Jan 2, 3pm (UTC)", "2026-07-01T15:00:01Z", "2027-01-02T15:00:00Z"),
        ] {
            assert_eq!(reset(text, now).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn other_agents_name_the_time_in_other_words() {
        let now = "2026-11-23T23:54:00Z";
        for (text, expected) in [
            ("You will regain access on 2026-12-01 at 00:00 UTC.", Some("2026-12-01T00:00:00Z")),
            ("You will regain access on 2026-12-01 at 00:00", None),
            ("You will regain access on soon at 00:00 UTC", None),
            ("try again at 11:09 AM.", Some("2026-11-24T10:09:00Z")),
            ("or try again at Dec 23rd, 2026 4:26 AM. Bye.", Some("2026-12-23T03:26:00Z")),
            ("try again at Dec 1st, 2026 12:00 PM.", Some("2026-12-01T11:00:00Z")),
            ("try again at Dec 2nd 4:26 AM", Some("2026-12-02T03:26:00Z")),
            ("Try again later.", None),
            ("try again at noon.", None),
            ("Claude AI usage limit reached|1795481639", Some("2026-11-24T00:53:59Z")),
            ("limit reached|soon", None),
            ("limit reached|9223372036854775807", None),
        ] {
            assert_eq!(reset(text, now).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn every_month_is_known() {
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sept", "Oct", "Nov", "December"];
        for (number, month) in (1..).zip(months) {
            let expected = format!("2027-{number:02}-02T15:00:00Z");
            assert_eq!(reset(&format!("resets {month} 2, 2027, 3pm (UTC)"), "2026-11-23T00:00:00Z"), Some(expected));
        }
    }

    #[test]
    fn daylight_saving_time_is_that_of_the_day() {
        let summer = reset("resets 9am (Europe/Berlin)", "2026-07-01T00:00:00Z");
        assert_eq!(summer.as_deref(), Some("2026-07-01T07:00:00Z"));
        let skipped = reset("resets 2:30am (Europe/Berlin)", "2026-03-29T00:00:00Z");
        assert_eq!(skipped.as_deref(), Some("2026-03-29T01:30:00Z"), "an hour that does not exist is moved on");
    }

    #[test]
    fn an_unclear_text_names_no_moment() {
        for text in [
            "",
            "resets 3pm",
            "resets 3pm (Nowhere/Else)",
            "resets 13pm (UTC)",
            "resets 0pm (UTC)",
            "resets 3:60pm (UTC)",
            "resets soon (UTC)",
            "resets Foo 3, 3pm (UTC)",
            "resets Feb 30, 3pm (UTC)",
            "resets Jan 3pm (UTC)",
            "resets a b c d 3pm (UTC)",
            "resets  (UTC)",
        ] {
            assert_eq!(reset(text, "2026-11-23T23:54:00Z"), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_and_time_are_accepted(
            text in "(resets|try again at|regain access on) [A-Za-z0-9:, -]{0,20}( \\(UTC\\)| UTC|)", now: i64,
        ) {
            named_in(&text, Timestamp(now), zone);
        }
    }
}
