//! A hold is a reason why boi starts no run of an agent for now. `decide::hold` decides when a hold begins,
//! when a probe starts, and when the hold ends. The queue stores holds, so that they outlive a daemon.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::id::SpecId;
use super::outcome::Refusal;
use super::time::Timestamp;

/// A hold on one agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Why the agent is held.
    pub cause: HoldCause,
    /// When the hold began.
    pub since: Timestamp,
    /// When the hold ends, if it was made by hand; otherwise when a probe may start. `None`: only the user
    /// ends the hold.
    pub until: Option<Timestamp>,
    /// The line of the agent's output, or another text such as an error, that shows why the agent was
    /// refused; empty for a hold by hand.
    #[serde(default)]
    pub evidence: String,
    /// The spec whose run was refused first. Its next run is the probe, if the spec is still eligible.
    #[serde(default)]
    pub first: Option<SpecId>,
    /// How many probes in a row were refused.
    #[serde(default)]
    pub refused_probes: u32,
    /// The spec whose run is the probe: the only run of the agent that boi starts during the hold.
    #[serde(default)]
    pub probe: Option<SpecId>,
}

/// Why an agent is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldCause {
    /// A run of the agent was refused.
    Refused(Refusal),
    /// The user made the hold with `boi hold`.
    ByHand,
}

impl HoldCause {
    /// Returns the name of the cause in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            HoldCause::ByHand => "by_hand",
            HoldCause::Refused(Refusal::Limited { .. }) => "limited",
            HoldCause::Refused(Refusal::Throttled) => "throttled",
            HoldCause::Refused(Refusal::Overloaded) => "overloaded",
            HoldCause::Refused(Refusal::Auth) => "auth",
            HoldCause::Refused(Refusal::NeedsHuman) => "needs_human",
            HoldCause::Refused(Refusal::NoProgram) => "no_program",
        }
    }
}

impl fmt::Display for HoldCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HoldCause::ByHand => "held by the user",
            HoldCause::Refused(Refusal::Limited { .. }) => "the usage limit is used up",
            HoldCause::Refused(Refusal::Throttled) => {
                "the model's service refuses requests, because there were too many"
            }
            HoldCause::Refused(Refusal::Overloaded) => "the model's service is overloaded or unreachable",
            HoldCause::Refused(Refusal::Auth) => "the login is missing or was refused",
            HoldCause::Refused(Refusal::NeedsHuman) => "the account or the user is not allowed to run the agent",
            HoldCause::Refused(Refusal::NoProgram) => "the agent's program cannot be executed",
        })
    }
}
