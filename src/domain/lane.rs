//! The lane of a spec is the agent that the spec starts next. The lane of a spec whose next command is not an
//! agent is `None`.

use super::id::SpecId;

/// Which eligible specs of one lane a query returns, and how many at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LaneLimit {
    /// The lane: the agent that the specs start next; `None`: their next command is not an agent.
    pub lane: Option<String>,
    /// The largest number of specs.
    pub limit: u32,
    /// If this spec is eligible in this lane, the query returns only this spec of the lane.
    pub first: Option<SpecId>,
    /// The agent that does the work of the lane's agent while that one is held. If it is set, only specs of
    /// which no attempt has begun are returned.
    pub instead: Option<String>,
    /// The repositories whose specs are not returned.
    pub skipped: Vec<String>,
}

/// An eligible spec, before it is claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Eligible {
    /// The spec's id as the queue stores it. In a damaged database, it may be malformed.
    pub key: String,
    /// The repository that the spec works on; `None`: it has none.
    pub repo: Option<String>,
    /// The spec's lane.
    pub lane: Option<String>,
    /// The spec's priority; specs with a lower number run first.
    pub priority: i64,
    /// The spec's place among specs with the same priority.
    pub seq: i64,
    /// The agent that does the work of the lane's agent while that one is held; `None`: the lane's agent does
    /// it.
    pub instead: Option<String>,
}
