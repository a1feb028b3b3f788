//! How commands, tries and specs end.

use serde::{Deserialize, Serialize};

use super::time::Timestamp;

/// How a command under a supervisor ended: the durable exit record, version 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandEnd {
    /// Why it ended.
    pub cause: EndCause,
    /// The exit status of the command itself, where there was one.
    pub status: Option<ExitStatus>,
    /// Processes that the command left behind and the supervisor ended.
    #[serde(default)]
    pub swept: u32,
    /// When the supervisor saw the end.
    pub ended_at: Timestamp,
}

/// Why a command ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndCause {
    /// By itself.
    Finished,
    /// It could not be executed; the text names the program and the error.
    NotExecuted(String),
    /// The same for want of something that comes back by itself, such as room for one more process.
    NotExecutedYet(String),
    /// It ran into its deadline.
    TimedOut,
    /// It printed more than `max_output_mb`.
    TooMuchOutput,
    /// boi was asked to end it: a cancel or a stop.
    Terminated,
    /// Its supervisor died with it; nothing is known of its end.
    Lost,
}

/// The exit status of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitStatus {
    /// `exit(code)`.
    Code(i32),
    /// Ended by this signal.
    Signal(i32),
}

impl CommandEnd {
    /// Whether it ended by itself with exit code 0.
    pub fn succeeded(&self) -> bool {
        self.cause == EndCause::Finished && self.status == Some(ExitStatus::Code(0))
    }
}

/// What an agent's run, or a `run` command, came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "detail", rename_all = "snake_case")]
pub enum TryOutcome {
    /// Reported as successful; what it left is now verified.
    Succeeded,
    /// It exited with another code than 0, or the agent reported an error of its own.
    Failed(String),
    /// It died: a signal, or an end without a result.
    Crashed(String),
    /// It ran into its deadline.
    TimedOut,
    /// It printed more than `max_output_mb`.
    TooMuchOutput,
    /// Its supervisor died with it.
    Lost,
    /// The agent's turn or budget limit was used up.
    TaskBudget(String),
    /// The prompt does not fit into the model's context.
    Context(String),
    /// A usage limit, until the given time where it is known.
    Limited {
        /// When the limit ends, if the agent said so.
        until: Option<Timestamp>,
        /// What the agent said.
        detail: String,
    },
    /// Too many requests, for seconds to minutes.
    Throttled(String),
    /// The model's service is overloaded or broken (5xx, 529), or out of reach.
    Overloaded(String),
    /// The agent is not logged in, or its login was refused.
    Auth(String),
    /// Billing, credit or a spending cap: only a person can mend it.
    NeedsHuman(String),
    /// The agent's or command's program could not be executed.
    NotExecuted(String),
}

impl TryOutcome {
    /// Whether the model's service refused, so that the try does not count and is made again later.
    pub fn is_refusal(&self) -> bool {
        matches!(self, TryOutcome::Limited { .. } | TryOutcome::Throttled(_) | TryOutcome::Overloaded(_))
    }

    /// Whether what was run died, instead of ending in a way of its own.
    pub fn is_death(&self) -> bool {
        matches!(self, TryOutcome::Lost | TryOutcome::Crashed(_))
    }

    /// The outcome in words, for people.
    pub fn describe(&self) -> String {
        match self {
            TryOutcome::Succeeded => "succeeded".to_owned(),
            TryOutcome::TimedOut => "timed out".to_owned(),
            TryOutcome::TooMuchOutput => "printed more than max_output_mb".to_owned(),
            TryOutcome::Lost => "lost: died with its supervisor".to_owned(),
            TryOutcome::Limited { until: Some(until), .. } => format!("usage limit until {until}"),
            TryOutcome::Limited { until: None, detail } => format!("usage limit: {detail}"),
            TryOutcome::Throttled(detail) => format!("throttled: {detail}"),
            TryOutcome::Overloaded(detail) => format!("service overloaded: {detail}"),
            TryOutcome::Failed(detail)
            | TryOutcome::Crashed(detail)
            | TryOutcome::TaskBudget(detail)
            | TryOutcome::Context(detail)
            | TryOutcome::Auth(detail)
            | TryOutcome::NeedsHuman(detail)
            | TryOutcome::NotExecuted(detail) => detail.clone(),
        }
    }
}

/// What an agent's runs cost, as the agent reports it.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Turns of the conversation.
    pub turns: u64,
    /// Tokens read, those from the prompt cache included.
    pub input_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
    /// US dollars.
    pub cost_usd: f64,
}

impl std::ops::AddAssign for Usage {
    fn add_assign(&mut self, other: Usage) {
        self.turns += other.turns;
        self.input_tokens += other.input_tokens;
        self.output_tokens += other.output_tokens;
        self.cost_usd += other.cost_usd;
    }
}

/// What one agent run said of itself, read from its output.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct AgentReport {
    /// The agent's session.
    pub session_id: Option<String>,
    /// What it cost.
    pub usage: Usage,
    /// The end of what it said, for people.
    pub message: Option<String>,
}

/// A failure that the next prompt carries: a command that did not do what it should.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What failed, in words: `verify command 2 of 3 failed`.
    pub what: String,
    /// The command as the spec has it; `None` where no command failed.
    pub command: Option<String>,
    /// How it ended, in words: `exit code 1`, `timed out after 30 min`.
    pub how: String,
    /// The end of what it printed.
    pub output: String,
}

/// What becomes of a spec's result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// Left on `boi/<SPEC>`, as asked.
    Branch,
    /// Merged into its base.
    Merged,
    /// Could not be merged; it is on `boi/<SPEC>`.
    Unmerged,
}
