//! How a try ended, what an agent reported, and how a spec's result was delivered.

use serde::{Deserialize, Serialize};

use super::money::Usd;
use super::time::Timestamp;

/// How a try ended; a try is one run of an agent or of a `run` command. The queue stores an outcome as
/// `{"kind": ..., "detail": ...}`; `detail` contains what the failed program printed or how it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "detail", rename_all = "snake_case")]
pub enum TryOutcome {
    /// The program reported success. boi verifies its changes next.
    Succeeded,
    /// The program exited with a code other than 0, or the agent reported an error that has no variant of its
    /// own.
    Failed(String),
    /// The program was ended by a signal, or the agent ended without a result.
    Crashed(String),
    /// The program ran longer than `timeout_minutes`.
    TimedOut,
    /// The program printed more than `max_output_mb`.
    TooMuchOutput,
    /// The agent showed no sign of life for `stall_timeout_minutes`, so boi ended it.
    Stalled,
    /// The program was killed together with its supervisor, so that its result is unknown.
    Lost,
    /// The agent ended in the middle of its work, for example while a tool call was open.
    Cut(String),
    /// The agent was denied the use of a tool that it needed.
    Denied(String),
    /// The agent started in another permission mode than boi requests, because a settings file forbids that
    /// mode.
    ModeForbidden(String),
    /// The agent used up its limit of turns or of cost. The agent sets this limit itself, or boi does.
    TaskBudget(String),
    /// The prompt is too long for the model.
    Context(String),
    /// A usage limit of the account is used up.
    Limited {
        /// When the limit ends, if the agent's message contains the time.
        until: Option<Timestamp>,
        /// The agent's message.
        detail: String,
    },
    /// The model's service refused the request because there were too many; the refusal lasts seconds to
    /// minutes.
    Throttled(String),
    /// The model's service is overloaded, broken (5xx, 529) or unreachable.
    Overloaded(String),
    /// The agent is not logged in, or the service refused its login.
    Auth(String),
    /// The account lacks credit, reached a spending limit or is blocked. Only a person can change that.
    NeedsHuman(String),
    /// The service does not offer the model to this account.
    UnknownModel(String),
    /// The agent refuses to run as root.
    RefusesRoot(String),
    /// The program of a `run` command could not be executed.
    NotExecuted(String),
    /// The agent's program does not exist or cannot be executed.
    NoProgram(String),
}

impl TryOutcome {
    /// Returns why the agent could not work at all, if the reason applies to every run of the agent. Such a
    /// try does not count as one of the task's tries; boi repeats it later. `None`: the outcome concerns only
    /// this try.
    pub fn refusal(&self) -> Option<Refusal> {
        match self {
            TryOutcome::Limited { until, .. } => Some(Refusal::Limited { until: *until }),
            TryOutcome::Throttled(_) => Some(Refusal::Throttled),
            TryOutcome::Overloaded(_) => Some(Refusal::Overloaded),
            TryOutcome::Auth(_) => Some(Refusal::Auth),
            TryOutcome::NeedsHuman(_) | TryOutcome::RefusesRoot(_) => Some(Refusal::NeedsHuman),
            TryOutcome::NoProgram(_) => Some(Refusal::NoProgram),
            TryOutcome::Succeeded
            | TryOutcome::Failed(_)
            | TryOutcome::Crashed(_)
            | TryOutcome::TimedOut
            | TryOutcome::TooMuchOutput
            | TryOutcome::Stalled
            | TryOutcome::Lost
            | TryOutcome::Cut(_)
            | TryOutcome::Denied(_)
            | TryOutcome::ModeForbidden(_)
            | TryOutcome::TaskBudget(_)
            | TryOutcome::Context(_)
            | TryOutcome::UnknownModel(_)
            | TryOutcome::NotExecuted(_) => None,
        }
    }

    /// Returns the text that explains the outcome: what the failed program printed, or how it ended; empty if
    /// there is none.
    pub fn detail(&self) -> &str {
        match self {
            TryOutcome::Failed(detail)
            | TryOutcome::Crashed(detail)
            | TryOutcome::Cut(detail)
            | TryOutcome::Denied(detail)
            | TryOutcome::ModeForbidden(detail)
            | TryOutcome::TaskBudget(detail)
            | TryOutcome::Context(detail)
            | TryOutcome::Limited { detail, .. }
            | TryOutcome::Throttled(detail)
            | TryOutcome::Overloaded(detail)
            | TryOutcome::Auth(detail)
            | TryOutcome::NeedsHuman(detail)
            | TryOutcome::UnknownModel(detail)
            | TryOutcome::RefusesRoot(detail)
            | TryOutcome::NotExecuted(detail)
            | TryOutcome::NoProgram(detail) => detail,
            TryOutcome::Succeeded
            | TryOutcome::TimedOut
            | TryOutcome::TooMuchOutput
            | TryOutcome::Stalled
            | TryOutcome::Lost => "",
        }
    }

    /// Returns whether the program was killed or crashed instead of exiting by itself.
    pub fn is_death(&self) -> bool {
        matches!(self, TryOutcome::Lost | TryOutcome::Crashed(_))
    }

    /// Returns the outcome in words, for people.
    pub fn describe(&self) -> String {
        match self {
            TryOutcome::Succeeded => "succeeded".to_owned(),
            TryOutcome::Failed(detail) | TryOutcome::Crashed(detail) => detail.clone(),
            TryOutcome::TimedOut => "timed out".to_owned(),
            TryOutcome::TooMuchOutput => "printed more than max_output_mb".to_owned(),
            TryOutcome::Lost => "killed together with its supervisor".to_owned(),
            TryOutcome::Stalled => "the agent showed no sign of life for stall_timeout_minutes".to_owned(),
            TryOutcome::Cut(detail) => format!("the agent ended in the middle of its work: {detail}"),
            TryOutcome::Denied(detail) => format!("the agent was denied the use of a tool: {detail}"),
            TryOutcome::ModeForbidden(detail) => {
                format!("the agent is not allowed to work without permission prompts: {detail}")
            }
            TryOutcome::TaskBudget(detail) => format!("the agent used up its limit: {detail}"),
            TryOutcome::Context(detail) => format!("the prompt is too long: {detail}"),
            TryOutcome::Limited { until: Some(until), .. } => format!("the usage limit is used up until {until}"),
            TryOutcome::Limited { until: None, detail } => format!("the usage limit is used up: {detail}"),
            TryOutcome::Throttled(detail) => format!("the model's service got too many requests: {detail}"),
            TryOutcome::Overloaded(detail) => format!("the model's service is overloaded or unreachable: {detail}"),
            TryOutcome::Auth(detail) => format!("the login is missing or was refused: {detail}"),
            TryOutcome::NeedsHuman(detail) => format!("the account is blocked or has no credit: {detail}"),
            TryOutcome::UnknownModel(detail) => format!("unknown model: {detail}"),
            TryOutcome::RefusesRoot(detail) => format!("the agent refused to run as root: {detail}"),
            TryOutcome::NotExecuted(detail) => format!("the program was not executed: {detail}"),
            TryOutcome::NoProgram(detail) => format!("the agent's program cannot be executed: {detail}"),
        }
    }
}

/// Why an agent could not work at all. The reason applies to every run of the agent, so boi holds the agent:
/// it starts no run of it for now (`decide::hold`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Refusal {
    /// A usage limit of the account is used up.
    Limited {
        /// When the limit ends, if the service named the time.
        until: Option<Timestamp>,
    },
    /// The model's service got too many requests.
    Throttled,
    /// The model's service is overloaded, broken or unreachable.
    Overloaded,
    /// The agent is not logged in, or the service refused its login.
    Auth,
    /// The account lacks credit, reached a spending limit or is blocked, or the agent refuses to run as root.
    NeedsHuman,
    /// The agent's program does not exist or cannot be executed.
    NoProgram,
}

/// The resources that runs of an agent used, as the agent reports them.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(into = "UsageRecord", from = "UsageRecord")]
pub struct Usage {
    /// The turns of the conversation.
    pub turns: u64,
    /// The tokens that the model read, including those from the prompt cache.
    pub input_tokens: u64,
    /// The part of `input_tokens` that the model read from the prompt cache.
    pub cached_tokens: u64,
    /// The tokens that the model wrote.
    pub output_tokens: u64,
    /// The cost in US dollars of the runs whose cost is known: the agent reported it, or boi estimated it.
    pub cost_usd: f64,
    /// The part of `cost_usd` that boi estimated from the tokens and a table of prices.
    pub estimated_usd: f64,
    /// How many runs ended without a report of their cost.
    pub unpriced_runs: u64,
}

/// What is known about the cost of runs, in US dollars.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cost {
    /// Every run reported its cost.
    Known(f64),
    /// Some runs reported their cost: this is their sum.
    AtLeast(f64),
    /// No run that cost anything reported its cost.
    Unknown,
}

impl Usage {
    /// Returns what is known about the cost.
    pub fn cost(&self) -> Cost {
        match self {
            Usage { unpriced_runs: 0, cost_usd, .. } => Cost::Known(*cost_usd),
            Usage { cost_usd, .. } if *cost_usd > 0.0 => Cost::AtLeast(*cost_usd),
            _ => Cost::Unknown,
        }
    }

    /// Returns the known part of the cost; 0 if the agent reported a number that cannot be a cost, such as a
    /// negative one.
    pub fn known_cost(&self) -> Usd {
        Usd::from_dollars(self.cost_usd).unwrap_or_default()
    }

    /// Sets the estimated cost of a run that reported no cost. Changes nothing if the agent reported the cost
    /// of the run or of a part of it.
    pub fn set_estimate(&mut self, cost: Usd) {
        if self.unpriced_runs > 0 && self.cost_usd == 0.0 {
            self.cost_usd = cost.dollars();
            self.estimated_usd = cost.dollars();
            self.unpriced_runs = 0;
        }
    }
}

/// The form of a [`Usage`] in JSON. An unknown cost is left out, since 0 would be wrong.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
#[serde(default)]
struct UsageRecord {
    turns: u64,
    input_tokens: u64,
    #[serde(skip_serializing_if = "is_zero")]
    cached_tokens: u64,
    output_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost_usd: Option<f64>,
    #[serde(skip_serializing_if = "is_nothing")]
    estimated_usd: f64,
    #[serde(skip_serializing_if = "is_zero")]
    unpriced_runs: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_nothing(usd: &f64) -> bool {
    *usd == 0.0
}

impl From<Usage> for UsageRecord {
    fn from(usage: Usage) -> UsageRecord {
        let Usage { turns, input_tokens, cached_tokens, output_tokens, estimated_usd, unpriced_runs, .. } = usage;
        let cost_usd = match usage.cost() {
            Cost::Known(cost) | Cost::AtLeast(cost) => Some(cost),
            Cost::Unknown => None,
        };
        UsageRecord { turns, input_tokens, cached_tokens, output_tokens, cost_usd, estimated_usd, unpriced_runs }
    }
}

impl From<UsageRecord> for Usage {
    fn from(record: UsageRecord) -> Usage {
        let UsageRecord { turns, input_tokens, cached_tokens, output_tokens, cost_usd, estimated_usd, unpriced_runs } =
            record;
        let cost_usd = cost_usd.unwrap_or(0.0);
        Usage { turns, input_tokens, cached_tokens, output_tokens, cost_usd, estimated_usd, unpriced_runs }
    }
}

impl std::ops::AddAssign for Usage {
    fn add_assign(&mut self, other: Usage) {
        self.turns += other.turns;
        self.input_tokens += other.input_tokens;
        self.cached_tokens += other.cached_tokens;
        self.output_tokens += other.output_tokens;
        self.cost_usd += other.cost_usd;
        self.estimated_usd += other.estimated_usd;
        self.unpriced_runs += other.unpriced_runs;
    }
}

/// What an agent's output reports about one run.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AgentReport {
    /// The id of the agent's session.
    pub session_id: Option<String>,
    /// The resources that the run used.
    pub usage: Usage,
    /// The agent's last message.
    pub message: Option<String>,
    /// Whether the model answered at least one request of the run.
    pub answered: bool,
    /// The model that the agent used, as the agent names it.
    pub model: Option<String>,
    /// The line of the agent's output, or another text such as an error, that decided the outcome.
    pub evidence: Option<String>,
    /// The tokens of all runs of the session so far, if the agent reports this sum instead of the tokens of
    /// the run.
    pub session_tokens: Option<Tokens>,
}

/// How many tokens a model read and wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tokens {
    /// The tokens that the model read, including those from the prompt cache.
    pub input: u64,
    /// The part of `input` that the model read from the prompt cache.
    pub cached: u64,
    /// The tokens that the model wrote.
    pub output: u64,
}

/// How a spec's result was delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// The result is on `boi/<SPEC>`, as the spec asks.
    Branch,
    /// The result is on `boi/<SPEC>`, and waits for the lander of its base.
    Waiting,
    /// The lander of the base verifies the result together with others, or moves the base.
    Landing,
    /// The result is merged into the base.
    Merged,
    /// The result could not be merged into the base, and is on `boi/<SPEC>`.
    Unmerged,
}

impl Delivery {
    const ALL: [Delivery; 5] =
        [Delivery::Branch, Delivery::Waiting, Delivery::Landing, Delivery::Merged, Delivery::Unmerged];

    /// Returns the name of the delivery in the database, in JSON and in text.
    pub fn as_str(self) -> &'static str {
        match self {
            Delivery::Branch => "branch",
            Delivery::Waiting => "waiting",
            Delivery::Landing => "landing",
            Delivery::Merged => "merged",
            Delivery::Unmerged => "unmerged",
        }
    }

    /// Returns the delivery with this name; `None` if the name is unknown.
    pub fn from_name(name: &str) -> Option<Delivery> {
        Delivery::ALL.into_iter().find(|delivery| delivery.as_str() == name)
    }

    /// Returns whether the result waits for a lander, or a lander works on it.
    pub fn is_under_way(self) -> bool {
        matches!(self, Delivery::Waiting | Delivery::Landing)
    }
}

/// Who merged a spec's branch into its base.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MergedBy {
    /// boi merged it, as the spec asks.
    Boi,
    /// The user merged it by hand.
    User,
}

impl MergedBy {
    /// Returns the name in the database and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            MergedBy::Boi => "boi",
            MergedBy::User => "user",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One outcome of each kind: the JSON that the queue of version 0.1.0 stores, and the description in
    /// words.
    const STORED: [(&str, &str); 15] = [
        (r#"{"kind":"succeeded"}"#, "succeeded"),
        (r#"{"kind":"failed","detail":"exit code 2"}"#, "exit code 2"),
        (r#"{"kind":"crashed","detail":"signal 9 (SIGKILL)"}"#, "signal 9 (SIGKILL)"),
        (r#"{"kind":"timed_out"}"#, "timed out"),
        (r#"{"kind":"too_much_output"}"#, "printed more than max_output_mb"),
        (r#"{"kind":"lost"}"#, "killed together with its supervisor"),
        (
            r#"{"kind":"task_budget","detail":"Reached maximum number of turns (1)"}"#,
            "the agent used up its limit: Reached maximum number of turns (1)",
        ),
        (r#"{"kind":"context","detail":"Prompt is too long"}"#, "the prompt is too long: Prompt is too long"),
        (
            r#"{"kind":"limited","detail":{"until":"2026-11-24T00:53:59.000Z","detail":"resets 12:53am (UTC)"}}"#,
            "the usage limit is used up until 2026-11-24T00:53:59.000Z",
        ),
        (
            r#"{"kind":"limited","detail":{"until":null,"detail":"limit reached"}}"#,
            "the usage limit is used up: limit reached",
        ),
        (r#"{"kind":"throttled","detail":"429"}"#, "the model's service got too many requests: 429"),
        (r#"{"kind":"overloaded","detail":"529"}"#, "the model's service is overloaded or unreachable: 529"),
        (r#"{"kind":"auth","detail":"Not logged in"}"#, "the login is missing or was refused: Not logged in"),
        (
            r#"{"kind":"needs_human","detail":"Credit balance is too low"}"#,
            "the account is blocked or has no credit: Credit balance is too low",
        ),
        (
            r#"{"kind":"not_executed","detail":"cannot execute `claude`"}"#,
            "the program was not executed: cannot execute `claude`",
        ),
    ];

    #[test]
    fn outcomes_of_version_0_1_0_are_read_and_written_the_same() {
        for (stored, words) in STORED {
            let outcome: TryOutcome = serde_json::from_str(stored).unwrap();
            assert_eq!(outcome.describe(), words);
            assert_eq!(serde_json::to_string(&outcome).unwrap(), stored);
        }
    }

    #[test]
    fn later_outcomes_have_the_same_form() {
        for (outcome, stored, words) in [
            (TryOutcome::UnknownModel("x".into()), r#"{"kind":"unknown_model","detail":"x"}"#, "unknown model: x"),
            (
                TryOutcome::RefusesRoot("x".into()),
                r#"{"kind":"refuses_root","detail":"x"}"#,
                "the agent refused to run as root: x",
            ),
        ] {
            assert_eq!(serde_json::to_string(&outcome).unwrap(), stored);
            assert_eq!(serde_json::from_str::<TryOutcome>(stored).unwrap(), outcome);
            assert_eq!(outcome.describe(), words);
        }
    }

    #[test]
    fn only_some_outcomes_are_refusals_or_deaths() {
        for (stored, _) in STORED {
            let outcome: TryOutcome = serde_json::from_str(stored).unwrap();
            let is = |kinds: &[&str]| kinds.iter().any(|kind| stored.contains(&format!(r#""kind":"{kind}""#)));
            let refusals = ["limited", "throttled", "overloaded", "auth", "needs_human", "refuses_root", "no_program"];
            assert_eq!(outcome.refusal().is_some(), is(&refusals), "{stored}");
            assert_eq!(outcome.is_death(), is(&["lost", "crashed"]), "{stored}");
        }
    }

    #[test]
    fn every_delivery_reads_back_by_its_name() {
        let names: Vec<&str> = Delivery::ALL.into_iter().map(Delivery::as_str).collect();
        assert_eq!(names, ["branch", "waiting", "landing", "merged", "unmerged"]);
        assert!(Delivery::ALL.into_iter().all(|delivery| Delivery::from_name(delivery.as_str()) == Some(delivery)));
        assert_eq!(Delivery::from_name("later"), None);
    }

    #[test]
    fn usage_adds_up_field_by_field() {
        let mut sum = Usage {
            turns: 1,
            input_tokens: 2,
            cached_tokens: 1,
            output_tokens: 3,
            cost_usd: 0.5,
            estimated_usd: 0.25,
            unpriced_runs: 1,
        };
        sum += Usage { turns: 10, input_tokens: 20, output_tokens: 30, cost_usd: 0.25, unpriced_runs: 1, ..sum };
        assert_eq!(
            sum,
            Usage {
                turns: 11,
                input_tokens: 22,
                cached_tokens: 2,
                output_tokens: 33,
                cost_usd: 0.75,
                estimated_usd: 0.5,
                unpriced_runs: 2,
            }
        );
    }

    #[test]
    fn an_unknown_cost_is_left_out_of_the_json_and_never_zero() {
        let usage = |cost_usd, unpriced_runs| Usage { turns: 1, cost_usd, unpriced_runs, ..Usage::default() };
        for (usage, cost, json) in [
            (usage(0.5, 0), Cost::Known(0.5), r#""cost_usd":0.5}"#),
            (usage(0.0, 0), Cost::Known(0.0), r#""cost_usd":0.0}"#),
            (usage(0.5, 2), Cost::AtLeast(0.5), r#""cost_usd":0.5,"unpriced_runs":2}"#),
            (usage(0.0, 1), Cost::Unknown, r#""output_tokens":0,"unpriced_runs":1}"#),
        ] {
            assert_eq!(usage.cost(), cost);
            let text = serde_json::to_string(&usage).unwrap();
            assert!(text.ends_with(json), "{text}");
            assert_eq!(serde_json::from_str::<Usage>(&text).unwrap(), usage);
        }
    }
}
