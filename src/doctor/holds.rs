//! Finds agents that are held until the user acts.

use super::recorded_specs::RecordedSpecs;
use super::{Finding, Text};
use crate::agents;
use crate::decide::hold;
use crate::domain::hold::{Hold, HoldCause};

/// Checks the holds that the queue stores. A hold that ends by itself, such as that of a usage limit, is no problem.
pub(super) fn check(specs: &RecordedSpecs) -> Vec<Finding> {
    // If the queue cannot be read, another check reports that.
    let holds = specs.queue.holds().unwrap_or_default();
    holds.iter().filter(|(_, held)| hold::needs_the_user(held)).map(|(agent, held)| finding(agent, held)).collect()
}

fn finding(agent: &str, held: &Hold) -> Finding {
    let advice = match held.cause {
        HoldCause::Refused(refusal) => agents::hold_advice(refusal, agent, &held.evidence),
        HoldCause::ByHand => None,
    };
    let what = match held.evidence.as_str() {
        "" => format!("the agent {agent} is held: {}", held.cause),
        evidence => format!("the agent {agent} is held: {}: {evidence}", held.cause),
    };
    Finding::problem(
        "agent-held",
        Text {
            what,
            place: format!("agent {agent}"),
            why: "specs whose next task needs this agent wait; boi tries the agent again from time to time".into(),
            advice: advice.unwrap_or_else(|| format!("run `boi resume {agent}` to try the agent at once")),
        },
    )
}
