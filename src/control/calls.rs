//! The calls that a client can make over the control socket. Each call is a type that names its path and the
//! type of its answer, so that client and server cannot disagree about them. Paths and field names are
//! stable: clients of other versions use them too.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::domain::id::SpecId;
use crate::domain::money::Usd;
use crate::domain::spec::Spec;
use crate::domain::time::Timestamp;
use crate::domain::view::{DaemonView, HoldView, StatusView};
use crate::queue::repositories::Trusted;
use crate::queue::{Canceled, Cleaned, Filter, Stopped};

/// How long a client waits for a daemon that does not answer, and how long a daemon waits for a queue that does not
/// answer.
pub(crate) const GIVE_UP: Duration = Duration::from_secs(30);

/// The header that carries the version of boi, in requests and in answers.
pub(crate) const VERSION_HEADER: &str = "boi-version";

/// A call: the body of its request, its path, and the type of its answer.
pub(crate) trait Call: Serialize + DeserializeOwned + Send + 'static {
    /// The path of the request.
    const PATH: &'static str;
    /// The body of the answer.
    type Answer: Serialize + DeserializeOwned + Send;
}

/// Asks the daemon to queue these specs, all or none.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Dispatch {
    /// The specs.
    pub specs: Vec<Spec>,
}

impl Call for Dispatch {
    const PATH: &'static str = "/v1/dispatch";
    type Answer = Dispatched;
}

/// The specs that the daemon queued. A daemon before version 0.3.0 returns only the ids.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Dispatched {
    /// The ids.
    pub ids: Vec<SpecId>,
    /// For each spec, the equal specs in the queue that have not ended.
    #[serde(default)]
    pub twins: Vec<Vec<SpecId>>,
    /// What decides when the specs start.
    #[serde(default)]
    pub outlook: Option<Outlook>,
}

/// What decides when queued specs start.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Outlook {
    /// The daemon; `None`: no daemon runs.
    pub daemon: Option<DaemonView>,
    /// Whether the queue is paused.
    pub paused: bool,
    /// The held agents.
    pub holds: Vec<HoldView>,
}

/// Ids of specs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Ids {
    /// The ids.
    pub ids: Vec<SpecId>,
}

/// Asks for the state of the daemon and its queue.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct StatusRequest {
    /// Which specs to return.
    pub filter: Filter,
    /// If set, the daemon answers when the state is newer than this revision, at the latest after 30 s.
    pub newer_than: Option<u64>,
}

impl Call for StatusRequest {
    const PATH: &'static str = "/v1/status";
    type Answer = StatusResponse;
}

/// The state of the daemon and its queue.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StatusResponse {
    /// The revision of the state. It grows by one with each change that `boi status` shows.
    pub revision: u64,
    /// The state.
    pub status: StatusView,
}

/// Asks the daemon to end these specs and their processes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Cancel {
    /// The ids of the specs.
    pub ids: Vec<SpecId>,
}

impl Call for Cancel {
    const PATH: &'static str = "/v1/cancel";
    type Answer = Vec<CancelResult>;
}

/// The result of canceling one spec.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct CancelResult {
    /// The spec.
    pub id: SpecId,
    /// The effect of the request.
    pub outcome: Canceled,
}

/// Asks the daemon to stop these specs: to end their commands, and to block them until the user retries them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Stop {
    /// The ids of the specs.
    pub ids: Vec<SpecId>,
}

impl Call for Stop {
    const PATH: &'static str = "/v1/stop";
    type Answer = Vec<StopResult>;
}

/// The result of stopping one spec.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StopResult {
    /// The spec.
    pub id: SpecId,
    /// The effect of the request.
    pub outcome: Stopped,
}

/// Asks the daemon to land the branches of these specs, each into its base.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Land {
    /// The ids of the specs.
    pub ids: Vec<SpecId>,
    /// Whether specs that did not complete are landed too.
    pub force: bool,
}

impl Call for Land {
    const PATH: &'static str = "/v1/land";
    type Answer = Ids;
}

/// Asks the daemon to set the priority of a queued spec.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SetPriority {
    /// The spec.
    pub id: SpecId,
    /// The new priority.
    pub priority: i64,
}

impl Call for SetPriority {
    const PATH: &'static str = "/v1/priority";
    type Answer = SetPriority;
}

/// Asks the daemon to queue these specs again, and the specs that failed because of them. The answer contains
/// the ids of all specs that were queued again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Retry {
    /// The ids of the specs.
    pub ids: Vec<SpecId>,
    /// The new cost limit of each of these specs; 0: no limit. `None`: the limits do not change.
    #[serde(default)]
    pub max_usd: Option<Usd>,
}

impl Call for Retry {
    const PATH: &'static str = "/v1/retry";
    type Answer = Ids;
}

/// Asks the daemon to pause or resume claiming.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct SetPaused {
    /// Whether claiming is to be paused.
    pub paused: bool,
}

impl Call for SetPaused {
    const PATH: &'static str = "/v1/pause";
    type Answer = SetPaused;
}

/// Asks the daemon to start no run of an agent until a time, or until the agent is resumed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct HoldAgent {
    /// The agent's name.
    pub agent: String,
    /// The time at which the hold ends; `None`: the hold ends only when the agent is resumed.
    pub until: Option<Timestamp>,
}

impl Call for HoldAgent {
    const PATH: &'static str = "/v1/hold";
    type Answer = HoldAgent;
}

/// Asks the daemon to try held agents at once, each with one run as a probe.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ResumeAgents {
    /// The agent to try. If the user made its hold, the hold ends. `None`: all agents that are held after a
    /// refusal.
    pub agent: Option<String>,
}

impl Call for ResumeAgents {
    const PATH: &'static str = "/v1/resume";
    type Answer = ResumedAgents;
}

/// The answer to [`ResumeAgents`]: the agents whose hold the call changed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct ResumedAgents {
    /// The agents that stay held until a probe is answered. One run of each starts now, as the probe.
    pub probed: Vec<String>,
    /// The agents that are not held any more.
    pub opened: Vec<String>,
}

/// Asks the daemon to record that the user trusts commands. The answer contains the specs that are no longer blocked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Trust {
    /// The commands, and their repository.
    pub trusted: Trusted,
}

impl Call for Trust {
    const PATH: &'static str = "/v1/trust";
    type Answer = Ids;
}

/// Asks the daemon to forget what the user trusts in a repository. The answer is the number of records.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RevokeTrust {
    /// The git directory that all working trees of the repository share.
    pub repository: String,
}

impl Call for RevokeTrust {
    const PATH: &'static str = "/v1/revoke-trust";
    type Answer = usize;
}

/// Asks for the configuration in force. The daemon answers without its queue, so clients also use this call
/// to check that the daemon answers at all.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct GetConfig;

impl Call for GetConfig {
    const PATH: &'static str = "/v1/config";
    type Answer = ConfigInForce;
}

/// The configuration in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ConfigInForce {
    /// The generation of the configuration.
    pub generation: u64,
    /// The value of each key, in the syntax of `config.toml`.
    pub values: BTreeMap<String, String>,
    /// The values that were set by flags on the daemon's command line, as `KEY = VALUE`.
    #[serde(default)]
    pub flags: Vec<String>,
    /// The environment variables of the daemon that change the meaning of a configuration file. `None`: the
    /// daemon is of an earlier version, which does not report them.
    #[serde(default)]
    pub environment: Option<Environment>,
}

/// The environment variables of the daemon that change the meaning of a configuration file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Environment {
    /// The variable `CLAUDE_BIN`, if it is set.
    pub claude_bin: Option<String>,
    /// The names of all variables; `None`: the daemon is of a version that does not report them.
    #[serde(default)]
    pub variables: Option<BTreeSet<String>>,
}

/// Asks the daemon whether it can find and execute a program.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct CheckProgram {
    /// A path, or a name to look up on the daemon's PATH.
    pub program: String,
}

impl Call for CheckProgram {
    const PATH: &'static str = "/v1/program";
    type Answer = ProgramFound;
}

/// Whether the daemon can execute a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProgramFound {
    /// Why the daemon cannot execute it, as the rest of a sentence that begins with the program's name, such
    /// as "is not executable". `None`: it can.
    pub why_not: Option<String>,
}

/// Asks the daemon to read the configuration file now. The verdict follows in the daemon's state.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Reload;

impl Call for Reload {
    const PATH: &'static str = "/v1/reload";
    type Answer = Reload;
}

/// Asks the daemon to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Leave {
    /// Stop the workers first, and queue their specs again.
    Stop,
    /// Let running workers finish first.
    Drain,
}

impl Call for Leave {
    const PATH: &'static str = "/v1/leave";
    type Answer = Leave;
}

impl Call for Cleaned {
    const PATH: &'static str = "/v1/cleaned";
    type Answer = ();
}

/// Asks the daemon to record that these changes of repositories are settled, so that deliveries no longer
/// wait for them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SettleChanges {
    /// The numbers of the changes.
    pub numbers: Vec<i64>,
}

impl Call for SettleChanges {
    const PATH: &'static str = "/v1/settle-changes";
    type Answer = ();
}

/// The answer to a call that failed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct CallFailure {
    /// Why the call failed, as a sentence for the user.
    pub error: String,
    /// The kind of the failure.
    #[serde(default)]
    pub code: FailureCode,
}

/// The kind of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FailureCode {
    /// The queue has no spec with this id.
    Unknown,
    /// A rule of the queue forbids the change.
    Refused,
    /// The queue does not answer.
    Silent,
    /// The daemon does not know the call, because the daemon is of an earlier version.
    NoSuchCall,
    /// Any other failure in the daemon.
    #[default]
    Internal,
}
