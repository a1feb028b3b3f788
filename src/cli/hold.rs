//! `boi hold` and `boi resume`: stop the start of an agent's runs, and allow it again.

use jiff::Timestamp as Moment;
use jiff::tz::TimeZone;
use serde_json::json;

use super::args::{Hold, Resume};
use super::backend::Backend;
use super::moments::Direction;
use super::printing::{print_json, print_line};
use super::spec_agents::KnownAgents;
use super::{CliError, ExitCode, block_on, moments};
use crate::control::calls::ResumedAgents;
use crate::domain::time::Timestamp;
use crate::system::output::say;
use crate::system::paths::Home;
use crate::ui::times;

/// Carries out `boi hold`.
pub(super) fn hold(home: &Home, args: &Hold) -> Result<ExitCode, CliError> {
    let Hold { agent, until, json } = args;
    block_on(async {
        KnownAgents::find(home).await.check(agent)?;
        let mut backend = Backend::find(home).await?;
        backend.hold_agent(home, agent, *until).await?;
        if *json {
            print_json(&json!({"agent": agent, "until": until}))?;
        } else {
            let end = until.map(|until| times::localized(&format!(" at {until} or"))).unwrap_or_default();
            print_line(&format!(
                "held: no new run of the agent {agent} starts, running ones continue; the hold ends{end} with `boi resume {agent}`"
            ))?;
        }
        note_without_daemon(&backend);
        Ok(0)
    })
}

/// Carries out `boi resume`. If no agent is named, also ends the pause of `boi pause`.
pub(super) fn resume(home: &Home, args: &Resume) -> Result<ExitCode, CliError> {
    let Resume { agent, json } = args;
    block_on(async {
        let mut backend = Backend::find(home).await?;
        if agent.is_none() {
            backend.set_paused(home, false).await?;
        }
        let resumed = backend.resume_agents(home, agent.as_deref()).await?;
        let ResumedAgents { probed, opened } = &resumed;
        if *json {
            let paused = agent.is_none().then_some(false);
            print_json(&json!({"paused": paused, "probed": probed, "opened": opened}))?;
        } else {
            if agent.is_none() {
                print_line("resumed: waiting specs start")?;
            }
            for agent in opened {
                print_line(&format!("resumed: the hold on the agent {agent} has ended"))?;
            }
            for agent in probed {
                print_line(&format!(
                    "resumed: one run of the agent {agent} starts as a probe; when its model answers, the others start too"
                ))?;
            }
            if let Some(agent) = agent
                && probed.is_empty()
                && opened.is_empty()
            {
                print_line(&format!("the agent {agent} is not held"))?;
            }
        }
        note_without_daemon(&backend);
        Ok(0)
    })
}

fn note_without_daemon(backend: &Backend) {
    if !backend.is_daemon() {
        say!("no daemon runs: the change is stored in the queue and applies when a daemon starts");
    }
}

/// Parses the value of `--until`.
pub(super) fn parse_until(text: &str) -> Result<Timestamp, String> {
    until(text, Moment::now(), &TimeZone::system())
}

/// Returns the time that `text` names: a duration from now, a time of day (the next occurrence), or a date
/// with a time. The time is in `zone` unless `text` contains an offset.
fn until(text: &str, now: Moment, zone: &TimeZone) -> Result<Timestamp, String> {
    let found = moments::parse("--until", text, Direction::Future, now, zone);
    let moment =
        found.ok_or("write a time of day (07:30), a date with a time (2026-12-01T07:30) or a duration (2h)")?;
    if moment <= now {
        return Err("this time has passed".to_owned());
    }
    Ok(Timestamp(moment.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_in_the_users_zone() {
        let (now, zone): (Moment, _) =
            ("2026-11-27T21:00:00Z".parse().unwrap(), TimeZone::get("Europe/Berlin").unwrap());
        for (text, expected) in [
            ("2h", "2026-11-27T23:00:00Z"),
            ("90m", "2026-11-27T22:30:00Z"),
            ("23:30", "2026-11-27T22:30:00Z"),
            ("07:30", "2026-11-28T06:30:00Z"),
            ("2026-12-01T07:30", "2026-12-01T06:30:00Z"),
            ("2026-12-01T07:30:00Z", "2026-12-01T07:30:00Z"),
        ] {
            let expected: Moment = expected.parse().unwrap();
            assert_eq!(until(text, now, &zone), Ok(Timestamp(expected.as_millisecond())), "{text}");
        }
        for wrong in ["", "soon", "25:00", "2020-01-01T00:00", "-2h"] {
            assert!(until(wrong, now, &zone).is_err(), "{wrong}");
        }
    }
}
