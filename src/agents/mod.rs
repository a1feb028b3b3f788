//! Coding agents: how boi calls each agent, reads its output, decides the outcome of a try, advises the user
//! about a failure, and shows the output to people. This room is pure: no function starts a process, opens a
//! file or reads a clock.
//!
//! Each agent implements [`Dialect`] in its own folder. A try uses it in this order:
//! [`Dialect::command_line`] returns the command to execute, which reads the prompt from stdin; a
//! [`Transcript`] reads the output while the command runs; when the command has ended, [`Dialect::outcome`]
//! decides the outcome of the try from an [`EndedRun`]; if the outcome is a failure, `advice` returns what
//! the user can do. Tasks with a `run` command have no agent: `exit` decides their outcome.
//!
//! Invariant: the outcome of a try depends on how the command ended, on the result that the agent's CLI
//! itself reports and, if the CLI reports no result, on stderr. It never depends on what the model wrote or
//! what a tool printed.

pub(crate) mod exit;

mod advice;
mod claude;
mod dialect;
mod reading;
mod transcript;

use serde::{Deserialize, Serialize};

pub use dialect::{Dialect, EndedRun, Run};
pub use reading::Reading;
pub use transcript::Transcript;

use crate::domain::id::SpecId;
use crate::domain::outcome::TryOutcome;

/// An agent that boi can run. Its serialized form is its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Agent {
    /// Claude Code.
    Claude,
}

/// Returns the agent with the name `name`; `None` if this version of boi knows no such agent.
pub(crate) fn find(name: &str) -> Option<Agent> {
    Agent::ALL.into_iter().find(|agent| agent.name() == name)
}

/// Returns the names of all agents, as they appear in specs and in the configuration.
pub(crate) fn names() -> &'static [&'static str] {
    const NAMES: [&str; Agent::ALL.len()] = [Agent::Claude.name()];
    &NAMES
}

/// Returns what the user can do about `outcome`, in complete sentences with the command to type. `agent` is
/// the agent of the task; `None` means a task with a `run` command. The result is `None` if the user does not
/// need to act: after a success, and after a refusal of the model's service, since boi retries by itself.
pub(crate) fn advice(outcome: &TryOutcome, agent: Option<Agent>, spec: &SpecId) -> Option<String> {
    match agent {
        Some(agent) => agent.dialect().advice(outcome, spec),
        None => advice::for_command(outcome, spec),
    }
}

impl Agent {
    const ALL: [Agent; 1] = [Agent::Claude];

    const fn name(self) -> &'static str {
        match self {
            Agent::Claude => "claude",
        }
    }

    /// Returns the dialect of this agent.
    pub fn dialect(self) -> &'static dyn Dialect {
        match self {
            Agent::Claude => &claude::Claude,
        }
    }

    /// Returns a new reader of this agent's output.
    pub fn transcript(self) -> Transcript {
        Transcript::new(self.dialect().line_reader())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::command::{CommandEnd, EndCause, ExitStatus};
    use crate::domain::time::Timestamp;

    #[test]
    fn an_agent_is_found_and_stored_by_its_name() {
        assert_eq!(names(), ["claude"]);
        assert_eq!((find("claude"), find("Claude"), find("")), (Some(Agent::Claude), None, None));
        for name in names() {
            assert_eq!(serde_json::to_value(find(name)).unwrap(), *name);
        }
    }

    #[test]
    fn a_run_goes_through_its_dialect() {
        let dialect = find("claude").unwrap().dialect();
        let run = Run { program: "/opt/claude", arguments: &[], model: None, session: "3f22" };
        assert_eq!(dialect.command_line(&run)[..2], ["/opt/claude", "-p"]);
        let line = br#"{"type":"result","subtype":"success","is_error":false,"session_id":"3f22","num_turns":1}"#;
        assert_eq!(dialect.describe(line).unwrap(), "= done: 1 turn, 0.0 s, cost unknown");
        let mut transcript = Agent::Claude.transcript();
        transcript.push(line);
        let (reading, now) = (transcript.finish(), Timestamp(0));
        assert_eq!(reading.report().session_id.as_deref(), Some("3f22"));
        let status = Some(ExitStatus::Code(0));
        let end = CommandEnd::new(EndCause::Finished, status, now);
        let ended = EndedRun { end: &end, reading: &reading, stderr: "", now, zone: |_| None };
        assert_eq!(dialect.outcome(&ended), TryOutcome::Succeeded);
    }

    #[test]
    fn advice_for_a_plain_command_names_no_agent() {
        let (missing, spec) = (TryOutcome::NotExecuted("cannot execute `sh`".into()), "SD979".parse().unwrap());
        assert!(advice(&missing, Some(Agent::Claude), &spec).unwrap().contains("Claude Code"));
        assert!(!advice(&missing, None, &spec).unwrap().contains("Claude Code"));
    }
}
