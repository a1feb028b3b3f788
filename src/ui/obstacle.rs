//! Finds a reason that keeps specs from running until the user acts.

use crate::domain::cause::Cause;
use crate::domain::id::SpecId;
use crate::domain::life::SpecStatus;
use crate::domain::view::{SpecView, StatusView};

/// Returns why no open spec runs, if only the user can change that, and what to do about it. Returns `None`
/// if a spec runs or waiting is enough.
pub(crate) fn obstacle(status: &StatusView) -> Option<String> {
    let open: Vec<&SpecView> = status.specs.iter().filter(|spec| !spec.status.is_ended()).collect();
    if open.is_empty() || open.iter().any(|spec| spec.status == SpecStatus::Running) {
        return None;
    }
    if status.paused {
        return Some("the queue is paused: waiting specs start after `boi resume`".to_owned());
    }
    if status.slots.max_workers == 0 {
        return Some("`max_workers` is 0, so no specs are started: raise it in config.toml".to_owned());
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

/// Returns the unmerged spec that must be merged before a spec with this cause can run.
fn unmerged_dependency(cause: &Cause) -> Option<&SpecId> {
    let Cause::WaitsFor { specs } = cause else { return None };
    specs.iter().find(|awaited| awaited.merge).map(|awaited| &awaited.id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::cause::Awaited;

    #[test]
    fn the_unmerged_dependency_is_found_among_others() {
        let awaited = |id: &str, merge| Awaited { id: id.parse().unwrap(), merge };
        let waits = |specs| Cause::WaitsFor { specs };
        let found = |cause: &Cause| unmerged_dependency(cause).map(SpecId::to_string);
        assert_eq!(found(&waits(vec![awaited("S0001", false), awaited("S0002", true)])), Some("S0002".into()));
        assert_eq!(found(&waits(vec![awaited("S0001", false)])), None);
        assert_eq!(found(&Cause::Stopped), None);
    }
}
