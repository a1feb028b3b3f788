//! Reads a spec file: the fields above its tasks, then the tasks.

use std::ops::Range;

use super::draft::{Draft, References};
use super::fields::{self, PRIORITIES};
use super::tasks;
use crate::document::problem::Problem;
use crate::document::{Document, Faults, Located, Section, quoted};
use crate::domain::id::SpecId;
use crate::domain::money::Usd;
use crate::domain::spec::{Action, Base, Changes, DEFAULT_AGENT, DEFAULT_PRIORITY, Deliver, OnConflict, Task};

/// The largest allowed value of `max_usd`, in US dollars.
const MAX_USD: u32 = 1_000_000;

/// Reads the whole spec, and reports every problem to `faults`. Returns the references that could be read,
/// and the draft; `None` if a required field is missing or invalid.
pub(super) fn read(document: &Document, root: &Section<'_>, faults: &mut Faults) -> (References, Option<Draft>) {
    if root.is_empty() && faults.is_empty() {
        let problem = Problem::new("the file is empty", root.span());
        faults.push(problem.hint("a spec needs a `title` and at least one `[[tasks]]` with a `prompt` or a `run`"));
        return (References::default(), None);
    }
    let meant = root.report_unknown(faults, fields::OF_SPEC, |name| {
        let of_task = fields::OF_TASK.contains(&name);
        of_task.then(|| format!("`{name}` belongs to a task: put it below its `[[tasks]]`"))
    });
    let is_missing = |key: &str| !root.has(key) && !meant.contains(&key);

    if is_missing("title") {
        let problem = Problem::new("the spec has no `title`", root.span());
        faults.push_absent(problem.hint("describe the spec in one line: title = \"...\""));
    }
    let title = fields::title(root, faults);
    let repo = root.filled_text(faults, "repo");
    let base = base(root, faults);
    let context = root.text(faults, "context");
    let agent = root.filled_text(faults, "agent");
    let model = fields::model(root, faults);
    let priority = root.integer(faults, "priority", PRIORITIES);
    let deliver = deliver(root, faults);
    let on_conflict = on_conflict(root, faults, deliver.is_some() || !is_missing("repo"));
    let verify = fields::commands(root, faults, "verify");
    let verify_all = root.boolean(faults, "verify_all");
    let changes = fields::changes(root, faults);
    let max_usd = max_usd(root, faults);
    let copy = copy(root, faults, is_missing("repo") && !root.has("base"));
    let setup = fields::commands(root, faults, "setup");
    let mut after = after(root, faults);

    if is_missing("tasks") {
        let problem = Problem::new("the spec has no tasks", root.span());
        faults.push_absent(problem.hint("begin each task with `[[tasks]]` on a line of its own"));
    }
    let (tasks, task_agents) = tasks::read(root, faults);

    if let Some(base) = &base
        && is_missing("repo")
    {
        let problem = Problem::new("`base` needs a `repo`", base.span.clone());
        faults.push_absent(problem.hint("add `repo`, or remove `base`"));
    }
    if let Some(changes) = &changes
        && changes.value == Changes::Required
        && is_missing("repo")
        && !root.has("base")
    {
        let problem = Problem::new("`changes = \"required\"` needs a `repo`", changes.span.clone());
        faults.push_absent(problem.hint("boi sees changes only in a repository: add `repo`, or remove `changes`"));
    }
    if let Some(Located { value: Deliver::Merge, span }) = &deliver {
        refuse_merge(root, faults, base.as_ref(), span, is_missing("repo"));
    }
    if let Some(Located { value: Base::Spec(id), span }) = &base
        && !after.iter().any(|named| named.value == *id)
    {
        after.push(Located { value: id.clone(), span: span.clone() });
    }

    let mut agents: Vec<Located<String>> = agent.iter().cloned().chain(task_agents).collect();
    let uses_default = |task: &Task| task.agent.is_none() && matches!(task.action, Action::Prompt(_));
    if agent.is_none() && tasks.iter().flatten().any(uses_default) {
        agents.push(Located { value: DEFAULT_AGENT.to_owned(), span: root.span() });
    }
    let references = References {
        repo,
        base,
        after,
        deliver: deliver.map(|deliver| deliver.value).unwrap_or_default(),
        agents,
        model: model.clone(),
        max_usd: max_usd.clone(),
    };
    let names_agent = agent.is_some();
    let agent = agent.map_or_else(|| DEFAULT_AGENT.to_owned(), |agent| agent.value);
    let draft = title.zip(tasks).map(|(title, tasks)| Draft {
        document: document.clone(),
        title,
        references: references.clone(),
        context: context.map(|context| context.value).filter(|context| !context.trim().is_empty()),
        agent,
        model,
        priority: priority.map_or(DEFAULT_PRIORITY, |priority| priority.value),
        verify,
        verify_all: verify_all.is_some_and(|all| all.value),
        changes: changes.map(|changes| changes.value).unwrap_or_default(),
        max_usd: max_usd.map(|amount| amount.value),
        on_conflict,
        names_agent,
        copy,
        setup,
        tasks,
    });
    (references, draft)
}

fn base(root: &Section<'_>, faults: &mut Faults) -> Option<Located<Base>> {
    let text = root.filled_text(faults, "base")?;
    // Git would treat a name with a leading `-` as an option. No revision contains spaces or control
    // characters.
    if text.value.starts_with('-') || text.value.chars().any(|c| c.is_control() || c == ' ') {
        let message = format!("`base` is {}, which is not the name of a revision", quoted(&text.value));
        faults.push(Problem::new(message, text.span).hint("name a branch, a tag, a commit or a spec's id"));
        return None;
    }
    Some(text.map(|text| match spec_id(&text) {
        Some(id) => Base::Spec(id),
        None => Base::Revision(text),
    }))
}

/// Parses a spec's id. It must be in upper case, as boi prints it: `sd979` is treated as the name of a
/// branch.
fn spec_id(text: &str) -> Option<SpecId> {
    text.parse().ok().filter(|id: &SpecId| id.as_str() == text && !id.is_lander())
}

fn deliver(root: &Section<'_>, faults: &mut Faults) -> Option<Located<Deliver>> {
    fields::one_of(root, faults, "deliver", &[("branch", Deliver::Branch), ("merge", Deliver::Merge)])
}

fn on_conflict(root: &Section<'_>, faults: &mut Faults, has_repo: bool) -> Option<OnConflict> {
    let values = [("agent", OnConflict::Agent), ("unmerged", OnConflict::Unmerged)];
    let found = fields::one_of(root, faults, "on_conflict", &values)?;
    if !has_repo && !root.has("base") {
        let problem = Problem::new("`on_conflict` needs a `repo`", found.span);
        faults.push_absent(problem.hint("add `repo`, or remove `on_conflict`"));
        return None;
    }
    Some(found.value)
}

/// Reads `max_usd`, the limit of the spec's cost.
fn max_usd(root: &Section<'_>, faults: &mut Faults) -> Option<Located<Usd>> {
    let amount = root.money(faults, "max_usd", 0..=MAX_USD)?;
    if amount.value == Usd::ZERO {
        let problem = Problem::new("`max_usd` must be above 0", amount.span);
        faults.push(problem.hint("without `max_usd`, the limit is `max_usd_per_spec` of the configuration"));
        return None;
    }
    Some(amount)
}

/// Reads `copy`, the patterns of the files that are copied into the worktree.
fn copy(root: &Section<'_>, faults: &mut Faults, has_no_repo: bool) -> Vec<String> {
    if let Some(span) = root.key_span("copy").filter(|_| has_no_repo) {
        let problem = Problem::new("`copy` needs a `repo`", span);
        faults.push_absent(
            problem.hint("boi copies ignored files of a repository's checkout: add `repo`, or remove `copy`"),
        );
    }
    fields::patterns(root, faults, "copy")
}

fn refuse_merge(
    root: &Section<'_>,
    faults: &mut Faults,
    base: Option<&Located<Base>>,
    span: &Range<usize>,
    repo_is_missing: bool,
) {
    if repo_is_missing && !root.has("base") {
        let problem = Problem::new("`deliver = \"merge\"` needs a `repo` to merge into", span.clone());
        faults.push_absent(problem.hint("add `repo`, or remove `deliver`"));
    }
    if let Some(Located { value: Base::Spec(id), .. }) = base {
        let problem =
            Problem::new(format!("`deliver = \"merge\"` cannot merge into the branch of spec {id}"), span.clone());
        faults.push(problem.hint("name the branch to merge into as `base`, and the spec in `after`"));
    }
}

fn after(root: &Section<'_>, faults: &mut Faults) -> Vec<Located<SpecId>> {
    let mut after: Vec<Located<SpecId>> = Vec::new();
    for text in root.filled_texts(faults, "after").map_or(Vec::new(), |texts| texts.value) {
        let Ok(id) = text.value.parse::<SpecId>() else {
            let message = format!("{} in `after` is not the id of a spec", quoted(&text.value));
            faults.push(
                Problem::new(message, text.span).hint("the id of a spec looks like SD979; `boi status` lists the ids"),
            );
            continue;
        };
        if after.iter().any(|named| named.value == id) {
            faults.push(
                Problem::new(format!("`after` names {id} twice"), text.span).hint("remove one of the two entries"),
            );
            continue;
        }
        after.push(Located { value: id, span: text.span });
    }
    after
}
