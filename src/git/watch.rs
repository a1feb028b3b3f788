//! Watches over the git processes of one worker: their deadline, the order to end them, and which of them
//! runs now. Commands of the user, such as `boi clean`, have a watch without a marker.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::domain::time::Timestamp;
use crate::domain::view::GitView;
use crate::process::bounded::{self, BoundedEnd, Bounds};
use crate::process::inherited;
use crate::process::marker::MARKER;
use crate::system::{clock, paths};

/// How long a worker's git process may run that executes no programs of the repository.
const READ_LIMIT: Duration = Duration::from_secs(300);
/// How long a command of the user waits for a git process.
const COMMAND_LIMIT: Duration = Duration::from_secs(60);
/// How long a command of the user waits for a lock.
const LOCK_LIMIT: Duration = Duration::from_secs(30);

/// What a git process may do, which decides how long it may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    /// Git executes no program of the repository.
    Plain,
    /// Git may execute programs that the repository's configuration names, such as filters.
    RunsFilters,
}

/// The time limit of the git processes of one step of a worker, the order to end them, and the process that runs now.
/// Each step has its own watch: a thread of an earlier step that is still blocked obeys the order of that step.
#[derive(Debug, Default)]
pub(crate) struct GitWatch {
    /// The marker in the environment of the git processes and their descendants.
    marker: Option<String>,
    /// Further environment variables of the git processes.
    variables: Vec<(&'static str, String)>,
    is_ended: AtomicBool,
    was_interrupted: AtomicBool,
    time: Mutex<Time>,
    running: Mutex<Option<(String, Timestamp)>>,
}

/// The time of a step.
#[derive(Debug, Default, Clone, Copy)]
struct Time {
    /// The end of the step's time; `None`: the time has not begun.
    until: Option<Instant>,
    /// How long the step may take, if an order shortened its time before it began.
    at_most: Option<Duration>,
    is_shortened: bool,
}

impl GitWatch {
    /// Returns the watch over a worker's git processes, which carry `marker` and get `variables`.
    pub(crate) fn of_worker(marker: String, variables: Vec<(&'static str, String)>) -> GitWatch {
        GitWatch { marker: Some(marker), variables, ..GitWatch::default() }
    }

    /// Returns the watch over another step of the same worker, to which no order was given yet.
    pub(crate) fn next_step(&self) -> GitWatch {
        GitWatch { marker: self.marker.clone(), variables: self.variables.clone(), ..GitWatch::default() }
    }

    /// Starts the time of the step, which is `limit`, or less if an order shortened it before.
    pub(crate) fn begin(&self, limit: Duration) {
        let mut time = lock(&self.time);
        time.is_shortened = time.at_most.is_some_and(|at_most| at_most < limit);
        time.until = Some(Instant::now() + time.at_most.map_or(limit, |at_most| at_most.min(limit)));
    }

    /// Shortens the time that is left for the step to `limit`.
    pub(crate) fn shorten(&self, limit: Duration) {
        let shortened = Instant::now() + limit;
        let mut time = lock(&self.time);
        match time.until {
            None => time.at_most = Some(limit),
            Some(until) if shortened < until => (time.until, time.is_shortened) = (Some(shortened), true),
            Some(_) => {}
        }
    }

    /// Whether git gets less time than a step usually has, so that a timeout does not show that a filter hangs.
    pub(super) fn is_short(&self) -> bool {
        let time = lock(&self.time);
        time.until.is_none() || time.is_shortened
    }

    /// Whether an order to end stopped a git process of the step, or kept one from starting.
    pub(crate) fn was_interrupted(&self) -> bool {
        self.was_interrupted.load(Ordering::SeqCst)
    }

    /// Records that the step did not complete because of the order to end.
    pub(super) fn interrupt(&self) {
        self.was_interrupted.store(true, Ordering::SeqCst);
    }

    /// Records that the step has its final result, although the order ended a git process after that.
    pub(crate) fn complete(&self) {
        self.was_interrupted.store(false, Ordering::SeqCst);
    }

    /// Orders the running git process, and each later one of this step, to end.
    pub(crate) fn end(&self) {
        self.is_ended.store(true, Ordering::SeqCst);
    }

    /// Whether the git processes of the step are ordered to end.
    pub(super) fn is_ended(&self) -> bool {
        self.is_ended.load(Ordering::SeqCst)
    }

    /// The git process that runs now, or the wait for a lock; `None`: neither.
    pub(crate) fn running(&self) -> Option<GitView> {
        lock(&self.running).as_ref().map(|(command, since)| GitView { command: command.clone(), since: *since })
    }

    /// Reports the wait for the lock of `path` as the running process until the returned value is dropped.
    pub(super) fn waiting(&self, path: &Path) -> Waiting<'_> {
        *lock(&self.running) = Some((format!("wait for the lock of {path:?}"), clock::now()));
        Waiting(self)
    }

    /// Returns when to give up a wait for a lock.
    pub(super) fn lock_deadline(&self) -> Instant {
        let of_command = Instant::now() + LOCK_LIMIT;
        match self.until() {
            Some(until) if self.marker.is_some() => until,
            until => until.map_or(of_command, |until| until.min(of_command)),
        }
    }

    fn until(&self) -> Option<Instant> {
        lock(&self.time).until
    }

    /// Ends the git processes that an earlier daemon left for this worker.
    pub(crate) fn end_leftovers(&self) {
        if let Some(marker) = &self.marker {
            bounded::end_marked(marker);
        }
    }

    /// Runs `command`, whose name is `name`, within the bounds. Returns how it ended, and how long it was
    /// allowed to run.
    pub(super) fn run(&self, command: &mut Command, name: &str, work: Work) -> std::io::Result<(BoundedEnd, Duration)> {
        let now = Instant::now();
        let left = self.until().map(|until| until.saturating_duration_since(now));
        let limit = match (work, left) {
            (_, None) => COMMAND_LIMIT,
            (Work::Plain, Some(_)) => READ_LIMIT,
            (Work::RunsFilters, Some(left)) => left,
        };
        if self.is_ended() {
            self.interrupt();
            return Ok((BoundedEnd::Ordered, limit));
        }
        self.set_environment(command);
        *lock(&self.running) = Some((name.to_owned(), clock::now()));
        let is_ordered_to_end = || {
            let is_over = |until: Instant| work == Work::RunsFilters && until <= Instant::now();
            self.is_ended() || self.until().is_some_and(is_over)
        };
        let bounds = Bounds {
            until: now + limit,
            is_ordered_to_end: &is_ordered_to_end,
            marker: self.marker.as_deref(),
            max_output: bounded::MAX_OUTPUT,
        };
        let end = bounded::run(command, &bounds);
        *lock(&self.running) = None;
        match end? {
            BoundedEnd::Ordered if self.is_ended() => {
                self.interrupt();
                Ok((BoundedEnd::Ordered, limit))
            }
            // The watch itself ordered the end, because the time of the step was shortened while git ran.
            BoundedEnd::Ordered => Ok((BoundedEnd::TimedOut(Vec::new()), now.elapsed())),
            end => Ok((end, limit)),
        }
    }

    /// Gives git the environment that the commands of a worker get, without the credentials of agents: git
    /// needs none of them, and may execute programs that an agent configured.
    fn set_environment(&self, command: &mut Command) {
        for name in inherited::NOT_FOR_COMMANDS {
            command.env_remove(name);
        }
        for name in paths::variable_names() {
            if name.to_str().is_some_and(is_credential) {
                command.env_remove(name);
            }
        }
        if let Some(marker) = &self.marker {
            command.env(MARKER, marker);
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
    }
}

/// A wait for a lock.
pub(super) struct Waiting<'a>(&'a GitWatch);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        *lock(&self.0.running) = None;
    }
}

/// Whether an environment variable of this name holds a credential of an agent.
fn is_credential(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    name.ends_with("API_KEY")
        || name.ends_with("AUTH_TOKEN")
        || name.ends_with("OAUTH_TOKEN")
        || name.starts_with("ANTHROPIC_")
        || name.starts_with("CLAUDE")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_of_agents_are_told_from_other_variables() {
        for name in ["ANTHROPIC_API_KEY", "OPENAI_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN", "anthropic_auth_token"] {
            assert!(is_credential(name), "{name}");
        }
        for name in ["PATH", "HOME", "SSH_AUTH_SOCK", "GIT_SSH_COMMAND", "GPG_AGENT_INFO"] {
            assert!(!is_credential(name), "{name}");
        }
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the test starts a program")]
    fn no_git_process_of_an_ended_step_starts_even_after_the_next_step_began() {
        let run = |watch: &GitWatch| watch.run(&mut Command::new("true"), "true", Work::Plain).unwrap().0;
        let ended = GitWatch::default();
        ended.end();
        ended.begin(Duration::from_secs(60));
        let next = ended.next_step();
        next.begin(Duration::from_secs(60));
        assert!(matches!(run(&next), BoundedEnd::Exited { .. }));
        assert!(matches!(run(&ended), BoundedEnd::Ordered));
        assert!(ended.was_interrupted() && !next.was_interrupted());
    }

    #[test]
    fn an_order_before_the_begin_shortens_the_time_from_the_begin_on() {
        let (long, short) = (Duration::from_secs(600), Duration::from_secs(10));
        let watch = GitWatch::default();
        assert!(watch.is_short());
        watch.begin(long);
        assert!(!watch.is_short());
        watch.shorten(short);
        assert!(watch.is_short());
        let watch = GitWatch::default();
        watch.shorten(short);
        watch.begin(long);
        assert!(watch.is_short() && watch.until().is_some_and(|until| until <= Instant::now() + short));
    }
}
