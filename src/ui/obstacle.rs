//! Finds a reason that keeps specs from running until the user acts.

use super::times::localized;
use crate::domain::admission::{Shortage, join};
use crate::domain::cause::Cause;
use crate::domain::id::SpecId;
use crate::domain::life::SpecStatus;
use crate::domain::view::{DaemonView, HoldView, SpecView, StatusView};

/// Returns why no open spec runs, if the user can change that, and what to do about it. Returns `None` if a
/// spec runs or waiting is enough.
pub(crate) fn obstacle(status: &StatusView) -> Option<String> {
    let open: Vec<&SpecView> = status.specs.iter().filter(|spec| !spec.is_settled()).collect();
    if open.is_empty() || open.iter().any(|spec| spec.status == SpecStatus::Running) {
        return None;
    }
    if status.paused {
        return Some("the queue is paused: waiting specs start after `boi resume`".to_owned());
    }
    if status.slots.max_workers == 0 {
        return Some("`max_workers` is 0, so no specs are started: raise it in config.toml".to_owned());
    }
    if let Some(deferral) = status.deferred.as_ref().filter(|deferral| deferral.all) {
        return Some(format!("the starts of specs are deferred: {}", join(&deferral.by, Shortage::to_string)));
    }
    if let Some(hold) = open.iter().find_map(|spec| hold_on(status, spec)) {
        return Some(format!("the agent {} is held: {}", hold.agent, localized(&hold.reason)));
    }
    open.iter().find_map(|spec| {
        if let Some(Cause::Blocked { .. }) = &spec.cause {
            return Some(format!("{} does not run: {}", spec.id, spec.reason.as_deref().unwrap_or("it is blocked")));
        }
        let other = unmerged_dependency(spec.cause.as_ref()?)?;
        Some(format!(
            "{} waits for {other}, which is unmerged: `boi status {other}` says why, `boi retry {other}` merges it",
            spec.id
        ))
    })
}

/// Returns the hold on the agent that a queued spec needs next; `None` if the spec waits for no hold.
pub(crate) fn hold_on<'a>(status: &'a StatusView, spec: &SpecView) -> Option<&'a HoldView> {
    let agent = spec.next_agent.as_ref().filter(|_| spec.status == SpecStatus::Queued)?;
    status.holds.iter().find(|hold| hold.agent == *agent)
}

/// Returns why the running daemon starts none of the open specs, and what to do about it. Returns `None` if
/// one of them runs. A `boi run` starts its own specs, so the result does not apply to them.
pub(crate) fn daemon_obstacle(status: &StatusView) -> Option<String> {
    let mut open = status.specs.iter().filter(|spec| !spec.is_settled()).peekable();
    open.peek()?;
    match open.any(|spec| spec.status == SpecStatus::Running) {
        true => None,
        false => starts_nothing(status.daemon.as_ref()?),
    }
}

/// Returns why a daemon starts no specs that are queued after it started, and what to do about it.
pub(crate) fn starts_nothing(daemon: &DaemonView) -> Option<String> {
    let pid = daemon.pid;
    if daemon.scoped {
        return Some(format!(
            "the running daemon is a `boi run` (pid {pid}), which runs only its own specs: when it has ended, start another \
             daemon: `boi daemon start`"
        ));
    }
    daemon.draining.then(|| {
        format!(
            "the daemon (pid {pid}) is draining and ends when the running specs have ended: then start another daemon with \
             `boi daemon start`"
        )
    })
}

/// Returns the unmerged spec that must be merged before a spec with this cause can run.
fn unmerged_dependency(cause: &Cause) -> Option<&SpecId> {
    let Cause::WaitsFor { specs } = cause else { return None };
    specs.iter().find(|awaited| awaited.merge).map(|awaited| &awaited.id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::cause::Awaited;
    use crate::domain::time::Timestamp;

    #[test]
    fn the_unmerged_dependency_is_found_among_others() {
        let awaited = |id: &str, merge| Awaited { id: id.parse().unwrap(), merge };
        let waits = |specs| Cause::WaitsFor { specs };
        let found = |cause: &Cause| unmerged_dependency(cause).map(SpecId::to_string);
        assert_eq!(found(&waits(vec![awaited("S0001", false), awaited("S0002", true)])), Some("S0002".into()));
        assert_eq!(found(&waits(vec![awaited("S0001", false)])), None);
        assert_eq!(found(&Cause::Stopped), None);
    }

    #[test]
    fn a_daemon_that_starts_no_spec_is_named() {
        let daemon = |scoped, draining| DaemonView {
            pid: 7,
            since: Timestamp(0),
            version: "1".into(),
            scoped,
            draining,
            stopping: false,
            other_pid_namespace: false,
            ends_container: false,
            log: None,
        };
        assert!(starts_nothing(&daemon(true, false)).unwrap().contains("`boi run` (pid 7)"));
        assert!(starts_nothing(&daemon(false, true)).unwrap().contains("is draining"));
        assert_eq!(starts_nothing(&daemon(false, false)), None);
    }
}
