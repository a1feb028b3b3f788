//! Lanes: a lane is an agent that specs start next. A spec whose next command is no agent's is in no agent's lane.

use super::id::SpecId;

/// How many eligible specs of a lane a query returns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LaneLimit {
    /// The lane: the agent that the specs start next; `None`: their next command is no agent's.
    pub lane: Option<String>,
    /// The largest number of specs.
    pub limit: u32,
    /// A spec that is returned instead of the others, if it is eligible in this lane.
    pub first: Option<SpecId>,
    /// The agent that does the work of the lane's agent, which is held. Only specs that have not begun are returned.
    pub instead: Option<String>,
}

/// An eligible spec, before it is claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Eligible {
    /// The spec's id as the queue stores it. A damaged one may be malformed.
    pub key: String,
    /// The spec's lane.
    pub lane: Option<String>,
    /// The spec's priority; specs with a lower number run first.
    pub priority: i64,
    /// The spec's place among specs with the same priority.
    pub seq: i64,
    /// The agent that does the work of the lane's agent.
    pub instead: Option<String>,
}
