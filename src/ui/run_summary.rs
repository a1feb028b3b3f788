//! The summary at the end of `boi run`: how each spec ended, and the commands that handle its result.

use super::shell::quote;
use super::spec_details::{UNCHANGED, last_message};
use super::style::{ATTENTION, of_spec, paint};
use super::times::localized;
use super::units::{duration, usage};
use crate::domain::life::SpecStatus;
use crate::domain::outcome::{Delivery, Usage};
use crate::domain::text;
use crate::domain::view::SpecView;

/// The maximum number of characters shown of a reason, which may contain long output of git.
const REASON: usize = 2_000;

/// Returns the text that says how each spec ended.
pub(crate) fn run_summary(specs: &[SpecView]) -> String {
    specs.iter().flat_map(summary).fold(String::new(), |text, line| text + line.trim_end() + "\n")
}

fn summary(spec: &SpecView) -> Vec<String> {
    let took = match (spec.started_at, spec.finished_at) {
        (Some(start), Some(end)) => format!(" in {}", duration(end.millis_since(start))),
        _ => String::new(),
    };
    let status = paint(spec.status.as_str(), of_spec(spec.status));
    let unmerged = spec.delivery == Some(Delivery::Unmerged);
    let unmerged = if unmerged { paint(", unmerged", ATTENTION) } else { String::new() };
    let mut lines = vec![format!("{}  {}  {status}{unmerged}{took}", spec.id, text::fit(&spec.title, 80))];
    let mut fields = Vec::new();
    if let Some(reason) = &spec.reason {
        fields.push(("reason", text::one_line(&localized(reason), REASON)));
    }
    if spec.usage != Usage::default() {
        fields.push(("usage", usage(&spec.usage)));
    }
    for task in spec.tasks.iter().filter(|task| task.unchanged) {
        let said = last_message(task).map(|message| format!("; the agent's last message: {message}"));
        fields.push(("task", format!("{}: {UNCHANGED}{}", task.id, said.unwrap_or_default())));
    }
    match (spec.status, &spec.branch, &spec.repo) {
        (SpecStatus::Completed, Some(branch), Some(repo)) => fields.extend(result_on_branch(spec, branch, repo)),
        (SpecStatus::Completed, ..) => fields.extend(spec.worktree.clone().map(|worktree| ("files", worktree))),
        (SpecStatus::Failed | SpecStatus::Canceled, ..) => {
            fields.extend(spec.worktree.clone().map(|worktree| ("files", worktree)));
            fields.push(("inspect", format!("boi log {0} ; boi status {0}", spec.id)));
            fields.push(("retry", format!("boi retry {}", spec.id)));
        }
        (SpecStatus::Dropped, ..) => fields.push(("restore", format!("boi drop --undo {}", spec.id))),
        (SpecStatus::Queued | SpecStatus::Running, ..) => {}
    }
    fields.extend(spec.kept.iter().map(|kept| ("kept", kept.clone())));
    lines.extend(fields.iter().map(|(name, value)| format!("  {name:<8} {value}")));
    lines
}

fn result_on_branch(spec: &SpecView, branch: &str, repo: &str) -> Vec<(&'static str, String)> {
    let commits = match spec.tasks.iter().filter(|task| task.commit.is_some()).count() {
        1 => "1 commit".to_owned(),
        count => format!("{count} commits"),
    };
    let mut fields = match spec.delivery {
        Some(Delivery::Merged) if commits.starts_with("0 ") => {
            vec![("merged", "nothing: no task changed a file, so there was nothing to merge".to_owned())]
        }
        Some(Delivery::Merged) => vec![("merged", format!("{branch}, {commits}"))],
        _ => {
            let base = spec.base_commit.as_deref().map_or("", |commit| &commit[..commit.len().min(10)]);
            vec![
                ("branch", format!("{branch}, {commits}")),
                ("inspect", format!("git -C {} log --stat {base}..{branch}", quote(repo))),
                ("merge", format!("git -C {} merge {branch}", quote(repo))),
            ]
        }
    };
    if spec.delivery == Some(Delivery::Unmerged) {
        fields.push((
            "retry",
            format!("boi retry {}    after you fixed the reason; it repeats only the merge, no task", spec.id),
        ));
    }
    fields.push(("clean", format!("boi clean {}", spec.id)));
    fields
}
