//! The state machine of holds: when boi stops starting runs of an agent, when it starts one run as a probe,
//! and when the hold ends.
//!
//! ```text
//!         a run is refused                      `until` is reached: one run starts
//!  open ───────────────────▶ held until a time ──────────────────────────────────▶ probing
//!   ▲ ▲                        ▲  ▲  │ boi resume, or the user changed the cause:      │ │
//!   │ │                        │  └──┘ `until` becomes now                             │ │
//!   │ │                        └──────────────────────────────────────────────────────┘ │
//!   │ │                          the probe is refused, hangs or dies: a later `until`     │
//!   │ └──────────────────────────────────────────────────────────────────────────────────┘
//!   │                            the probe's model answers
//!   └──▶ held by hand, until a time or `boi resume AGENT`
//! ```
//!
//! | refusal | hold | `until`: the next probe |
//! | --- | --- | --- |
//! | limited | at once | the end of the limit, or 15 min; plus at most 1 % of the wait, and at most 30 s |
//! | throttled | if no run of the agent gets an answer | 5 s, doubled with each refused probe, at most 5 min |
//! | overloaded | if no run of the agent gets an answer | 15 s, doubled, at most 15 min |
//! | auth, needs a human, no program | at once | 1 min, doubled, at most 30 min; at once after the user acted |
//!
//! After each doubled wait, boi waits for a random time more, at most a tenth of the wait.
//!
//! Invariants:
//! - A hold has at most one probe.
//! - A hold without a time `until` was made by hand; `boi resume AGENT` ends it.

use super::retry::doubled;
use crate::domain::hold::{Hold, HoldCause};
use crate::domain::id::SpecId;
use crate::domain::outcome::Refusal;
use crate::domain::time::Timestamp;

/// The wait after a usage limit whose end is unknown, in milliseconds.
const LIMIT: i64 = 15 * 60_000;
/// The shortest and the longest wait for the end of a usage limit, in milliseconds.
const LIMIT_BOUNDS: (i64, i64) = (5_000, 8 * 24 * 3_600_000);
/// The longest random delay after the end of a usage limit, in milliseconds.
const LONGEST_DELAY: f64 = 30_000.0;
/// The wait before the next probe, in milliseconds, if the last one was ended from outside or never started.
const AGAIN: i64 = 1_000;

/// A run that was refused.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RefusedRun<'a> {
    /// The spec of the run.
    pub spec: &'a SpecId,
    /// Why the run was refused.
    pub refusal: Refusal,
    /// The line or text that shows the refusal.
    pub evidence: &'a str,
    /// Whether another run of the agent is running whose last request the model answered.
    pub others_are_answered: bool,
}

/// How the probe ended, if it was not refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProbeEnd {
    /// The agent worked, so the hold ends.
    Worked,
    /// The agent showed no sign of life, or died before its model answered. This counts as a refusal.
    Failed,
    /// The run was ended from outside, or was not started: the next probe follows soon.
    Withdrawn,
}

/// Whether a run of an agent may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    /// Every run may start.
    Open,
    /// One run may start, as the probe.
    Probe,
    /// No run may start before this time; `None`: before the user or the running probe ends the hold.
    Closed(Option<Timestamp>),
}

/// Returns whether a run may start under `hold`.
pub(crate) fn gate(hold: Option<&Hold>, now: Timestamp) -> Gate {
    match hold {
        None => Gate::Open,
        Some(Hold { probe: Some(_), .. } | Hold { until: None, .. }) => Gate::Closed(None),
        Some(Hold { until: Some(until), .. }) if *until > now => Gate::Closed(Some(*until)),
        Some(Hold { cause: HoldCause::ByHand, .. }) => Gate::Open,
        Some(_) => Gate::Probe,
    }
}

/// Returns whether `hold` was made by hand until a time that has come.
pub(crate) fn is_over(hold: &Hold, now: Timestamp) -> bool {
    hold.cause == HoldCause::ByHand && gate(Some(hold), now) == Gate::Open
}

/// Returns the hold after a run was refused; `None`: the agent is not held. `spread` is a random number in
/// `0.0..1.0` that determines the random delay of the next probe.
pub(crate) fn after_refusal(hold: Option<Hold>, run: &RefusedRun<'_>, now: Timestamp, spread: f64) -> Option<Hold> {
    let begin = |since, refused_probes| Hold {
        cause: HoldCause::Refused(run.refusal),
        since,
        until: Some(next_probe(run.refusal, refused_probes, now, spread)),
        evidence: run.evidence.to_owned(),
        first: Some(run.spec.clone()),
        refused_probes,
        probe: None,
    };
    match hold {
        None if run.others_are_answered && !is_certain(run.refusal) => None,
        None => Some(begin(now, 0)),
        Some(hold) if hold.cause == HoldCause::ByHand => Some(hold),
        Some(hold) if hold.probe.as_ref() == Some(run.spec) => {
            Some(begin(hold.since, hold.refused_probes.saturating_add(1)))
        }
        // Another run, which started before the hold, was refused too. Its refusal changes the hold only if
        // no probe is running, the refusal certainly applies to every run, and it is the first such refusal
        // or names a later time.
        Some(hold) if hold.probe.is_some() => Some(hold),
        Some(hold) => {
            let HoldCause::Refused(known) = hold.cause else { return Some(hold) };
            let other = begin(hold.since, hold.refused_probes);
            let is_news = is_certain(run.refusal) && (!is_certain(known) || other.until > hold.until);
            Some(if is_news { Hold { first: hold.first, ..other } } else { hold })
        }
    }
}

/// Returns the hold after the model answered a run of `spec`. `None`: that run was the probe, so the hold
/// ends.
pub(crate) fn after_answer(hold: Option<Hold>, spec: &SpecId) -> Option<Hold> {
    hold.filter(|hold| hold.probe.as_ref() != Some(spec))
}

/// Returns the hold after a run of `spec` ended without a refusal; `None`: the agent is not held.
pub(crate) fn after_end(hold: Option<Hold>, spec: &SpecId, end: ProbeEnd, now: Timestamp, spread: f64) -> Option<Hold> {
    let hold = hold?;
    let HoldCause::Refused(refusal) = hold.cause else { return Some(hold) };
    if hold.probe.as_ref() != Some(spec) {
        return Some(hold);
    }
    match end {
        ProbeEnd::Worked => None,
        ProbeEnd::Withdrawn => Some(Hold { probe: None, until: Some(now.plus_millis(AGAIN)), ..hold }),
        ProbeEnd::Failed => {
            let refused_probes = hold.refused_probes.saturating_add(1);
            // The time that the service named as the end of the limit has passed, so the wait doubles as
            // after an overload.
            let refusal = if let Refusal::Limited { .. } = refusal { Refusal::Overloaded } else { refusal };
            let until = Some(next_probe(refusal, refused_probes, now, spread));
            Some(Hold { probe: None, refused_probes, until, ..hold })
        }
    }
}

/// Returns the hold with `spec` as its probe.
pub(crate) fn probing(hold: Hold, spec: &SpecId) -> Hold {
    Hold { probe: Some(spec.clone()), ..hold }
}

/// Returns a hold that the user makes by hand. If `until` is `None`, only the user ends it.
pub(crate) fn by_hand(now: Timestamp, until: Option<Timestamp>) -> Hold {
    Hold {
        cause: HoldCause::ByHand,
        since: now,
        until,
        evidence: String::new(),
        first: None,
        refused_probes: 0,
        probe: None,
    }
}

/// Returns the hold after `boi resume`; `None`: the hold ends. `named`: the user named the agent, which also
/// ends a hold made by hand.
pub(crate) fn resumed(hold: Hold, named: bool, now: Timestamp) -> Option<Hold> {
    match hold.cause {
        HoldCause::ByHand if named => None,
        HoldCause::ByHand => Some(hold),
        HoldCause::Refused(_) => Some(Hold { until: Some(now), ..hold }),
    }
}

/// Returns the hold after a change with which the user may have removed its cause: a change of the agent's
/// program, credentials or configuration, or a start of the daemon, perhaps in another environment.
pub(crate) fn after_change(hold: Hold, now: Timestamp) -> Hold {
    if needs_the_user(&hold) { Hold { until: Some(now), ..hold } } else { hold }
}

/// Returns whether only the user can remove the cause of the hold.
pub(crate) fn needs_the_user(hold: &Hold) -> bool {
    matches!(hold.cause, HoldCause::Refused(Refusal::Auth | Refusal::NeedsHuman | Refusal::NoProgram))
}

/// Returns whether a refusal of one run means that every other run would be refused too.
fn is_certain(refusal: Refusal) -> bool {
    match refusal {
        Refusal::Limited { .. } | Refusal::Auth | Refusal::NeedsHuman | Refusal::NoProgram => true,
        Refusal::Throttled | Refusal::Overloaded => false,
    }
}

/// Returns when the next probe may start.
fn next_probe(refusal: Refusal, refused_probes: u32, now: Timestamp, spread: f64) -> Timestamp {
    let spread = spread.clamp(0.0, 1.0);
    let (wait, delay) = match refusal {
        Refusal::Limited { until } => {
            let wait = until.map_or(LIMIT, |until| until.millis_since(now)).clamp(LIMIT_BOUNDS.0, LIMIT_BOUNDS.1);
            (wait, (0.01 * wait as f64).min(LONGEST_DELAY))
        }
        Refusal::Throttled => backoff(5_000, refused_probes, 300_000),
        Refusal::Overloaded => backoff(15_000, refused_probes, 900_000),
        Refusal::Auth | Refusal::NeedsHuman | Refusal::NoProgram => backoff(60_000, refused_probes, 1_800_000),
    };
    now.plus_millis(wait + (spread * delay) as i64)
}

/// Returns a wait that doubles with each refused probe, and the longest random delay after it, in
/// milliseconds.
fn backoff(first: i64, refused_probes: u32, most: i64) -> (i64, f64) {
    let wait = doubled(first, refused_probes.saturating_add(1), most);
    (wait, 0.1 * wait as f64)
}

#[cfg(test)]
mod tests;
