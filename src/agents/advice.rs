//! Advice for the user: what to do about a failure, or about an agent that boi holds. Advice that is true for
//! one agent only comes from the agent's dialect.

use super::kind::builtin;
use crate::domain::id::SpecId;
use crate::domain::outcome::{Refusal, TryOutcome};

/// Returns what the user can do about `outcome`, in complete sentences with the command to type. `agent` is
/// the name of the task's agent; `None` means a task with a `run` command. The result is `None` if the user
/// does not need to act: after a success, and after a refusal that passes by itself.
pub(crate) fn advice(outcome: &TryOutcome, agent: Option<&str>, spec: &SpecId) -> Option<String> {
    let remedy = match agent {
        Some(agent) => remedy(outcome, agent),
        None => for_command(outcome),
    };
    match outcome {
        TryOutcome::Failed(_)
        | TryOutcome::Crashed(_)
        | TryOutcome::Cut(_)
        | TryOutcome::Denied(_)
        | TryOutcome::Stalled => Some(read_the_output(spec)),
        TryOutcome::TimedOut => Some(timed_out(spec)),
        TryOutcome::TooMuchOutput => Some(too_much_output(spec)),
        TryOutcome::Lost => Some(lost(spec)),
        TryOutcome::Context(_) | TryOutcome::UnknownModel(_) => {
            remedy.map(|remedy| format!("{remedy} {}", then_dispatch()))
        }
        TryOutcome::Succeeded
        | TryOutcome::ModeForbidden(_)
        | TryOutcome::TaskBudget(_)
        | TryOutcome::Limited { .. }
        | TryOutcome::Throttled(_)
        | TryOutcome::Overloaded(_)
        | TryOutcome::Auth(_)
        | TryOutcome::NeedsHuman(_)
        | TryOutcome::RefusesRoot(_)
        | TryOutcome::NotExecuted(_)
        | TryOutcome::NoProgram(_) => remedy.map(|remedy| format!("{remedy} {}", then_retry(spec))),
    }
}

/// Returns what the user can do about a hold on the agent with the name `agent`, in complete sentences with
/// the command to type. `evidence` is the text that shows why the agent was refused. The result is `None` if
/// the refusal passes by itself.
pub(crate) fn hold_advice(refusal: Refusal, agent: &str, evidence: &str) -> Option<String> {
    let detail = evidence.to_owned();
    let outcome = match refusal {
        Refusal::Limited { .. } | Refusal::Throttled | Refusal::Overloaded => return None,
        Refusal::Auth => TryOutcome::Auth(detail),
        Refusal::NeedsHuman if evidence.contains("cannot be used with root") => TryOutcome::RefusesRoot(detail),
        Refusal::NeedsHuman => TryOutcome::NeedsHuman(detail),
        Refusal::NoProgram => TryOutcome::NoProgram(detail),
    };
    let remedy = remedy(&outcome, agent)?;
    Some(format!("{remedy} Then boi continues by itself; `boi resume {agent}` continues at once."))
}

/// Returns how the user removes the cause of an agent's failure.
fn remedy(outcome: &TryOutcome, agent: &str) -> Option<String> {
    builtin(agent)
        .and_then(|known| known.kind.dialect().remedy(outcome, agent))
        .or_else(|| for_any_agent(outcome, agent))
}

/// Returns how the user removes the cause of a failure whose remedy is the same for all agents.
fn for_any_agent(outcome: &TryOutcome, agent: &str) -> Option<String> {
    Some(match outcome {
        TryOutcome::Auth(_) => format!("Log in with the program of the agent `{agent}`, as the user of the daemon."),
        TryOutcome::NeedsHuman(_) => {
            format!("Check the plan, the credit and the spending limit of the account of the agent `{agent}`.")
        }
        TryOutcome::NotExecuted(_) | TryOutcome::NoProgram(_) => format!(
            "Fix the problem that the reason names. If the program of the agent `{agent}` is missing, install it, or \
             correct the agent's program in the configuration."
        ),
        TryOutcome::RefusesRoot(_) => "Start the daemon as another user than root.".to_owned(),
        TryOutcome::ModeForbidden(_) => "Change the settings that the reason names.".to_owned(),
        TryOutcome::TaskBudget(_) => {
            format!("Raise the limit of turns or of cost in the arguments of the agent `{agent}`, or split the task.")
        }
        TryOutcome::Context(_) => "Shorten `context` or the `prompt` of the task, or split the task.".to_owned(),
        TryOutcome::UnknownModel(_) => {
            format!("Correct `model` in the spec file, or leave it out to use the default of the agent `{agent}`.")
        }
        _ => return None,
    })
}

/// Returns how the user removes the cause of a failed `run` command.
fn for_command(outcome: &TryOutcome) -> Option<String> {
    match outcome {
        TryOutcome::NotExecuted(_) => Some(
            "Fix the problem that the reason names. If a program is missing, install it where the PATH of the daemon \
             finds it."
                .to_owned(),
        ),
        _ => None,
    }
}

/// Returns the last sentence of an advice whose fix is outside of the spec file.
fn then_retry(spec: &SpecId) -> String {
    format!("Then run `boi retry {spec}`.")
}

/// Returns the last sentence of an advice that changes the spec file. `boi retry` would not read the changed
/// file, since the queue contains a copy of the spec that never changes.
fn then_dispatch() -> &'static str {
    "Then queue the changed spec file with `boi dispatch FILE`."
}

/// Returns the advice for a failure that only the output explains.
fn read_the_output(spec: &SpecId) -> String {
    format!("Read the output with `boi log {spec}` and fix the cause. {}", then_retry(spec))
}

/// Returns the advice for a command that exceeded its time limit.
fn timed_out(spec: &SpecId) -> String {
    format!(
        "Read with `boi log {spec}` what took so long. If the task needs more time, raise its `timeout_minutes` in the \
         spec file, or split the task. {}",
        then_dispatch()
    )
}

/// Returns the advice for a command that printed more than allowed.
fn too_much_output(spec: &SpecId) -> String {
    format!(
        "Make the command print less, or raise the limit with `boi config set max_output_mb MB` and \
         `boi daemon restart`. {}",
        then_retry(spec)
    )
}

/// Returns the advice for a command that was killed together with its supervisor.
fn lost(spec: &SpecId) -> String {
    format!(
        "Find out what killed the processes: `journalctl -k` shows whether the machine ran out of memory. {}",
        then_retry(spec)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_of_a_plain_command_has_advice() {
        let spec: SpecId = "SD979".parse().unwrap();
        for (outcome, expected) in [
            (TryOutcome::NotExecuted("cannot execute `sh`".into()), "the PATH of the daemon"),
            (TryOutcome::Failed("exit code 1".into()), "`boi log SD979`"),
            (TryOutcome::Crashed("signal 9".into()), "`boi log SD979`"),
            (TryOutcome::TimedOut, "`timeout_minutes`"),
            (TryOutcome::TooMuchOutput, "`boi config set max_output_mb MB`"),
            (TryOutcome::Lost, "`journalctl -k`"),
        ] {
            let advice = advice(&outcome, None, &spec).unwrap();
            assert!(advice.contains(expected), "{advice}");
            let last = if outcome == TryOutcome::TimedOut { "`boi dispatch FILE`." } else { "`boi retry SD979`." };
            assert!(advice.ends_with(last), "{advice}");
        }
        assert_eq!(advice(&TryOutcome::Succeeded, None, &spec), None);
    }

    #[test]
    fn advice_names_the_agent_whose_output_has_no_own_advice() {
        let spec: SpecId = "SD979".parse().unwrap();
        let missing = TryOutcome::NoProgram("cannot execute `x`".into());
        assert!(advice(&missing, Some("claude"), &spec).unwrap().contains("Claude Code"));
        assert!(advice(&missing, Some("mine"), &spec).unwrap().contains("the agent `mine`"));
        let limited = TryOutcome::Limited { until: None, detail: String::new() };
        assert_eq!(advice(&limited, Some("mine"), &spec), None);
    }

    #[test]
    fn a_hold_that_needs_the_user_says_what_to_do_and_that_boi_continues() {
        for (refusal, evidence, expected) in [
            (Refusal::Auth, "401", "type `/login`"),
            (Refusal::NeedsHuman, "Credit balance is too low", "credit and spending limit"),
            (Refusal::NeedsHuman, "--x cannot be used with root/sudo privileges", "IS_SANDBOX=1"),
            (Refusal::NoProgram, "cannot execute `claude`", "npm install -g"),
        ] {
            let text = hold_advice(refusal, "claude", evidence).unwrap();
            assert!(text.contains(expected), "{text}");
            assert!(text.ends_with("Then boi continues by itself; `boi resume claude` continues at once."), "{text}");
        }
        assert_eq!(hold_advice(Refusal::Throttled, "claude", ""), None);
    }
}
