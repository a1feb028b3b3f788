//! Builds a spec for the tests of this room.

use crate::domain::life::SpecStatus;
use crate::domain::outcome::Usage;
use crate::domain::time::Timestamp;
use crate::domain::view::SpecView;

pub(super) fn spec(number: u32, status: SpecStatus, title: &str) -> SpecView {
    SpecView {
        git: None,
        id: format!("S{number:04X}").parse().expect("an id"),
        title: title.into(),
        status,
        reason: None,
        cause: None,
        next_agent: None,
        priority: 100,
        attempt: 0,
        config_generation: None,
        branch: None,
        repo: None,
        base_commit: None,
        worktree: None,
        delivery: None,
        merged_by: None,
        queued_at: Timestamp(0),
        started_at: None,
        attempt_started_at: None,
        finished_at: None,
        tasks: vec![],
        usage: Usage::default(),
        max_usd: None,
        max_tries: Some(4),
        kept: vec![],
        notes: vec![],
        repository_changes: vec![],
        copied: None,
    }
}
