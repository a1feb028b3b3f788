//! Reads a spec file: the fields above its tasks, then the tasks.

use std::ops::Range;

use super::draft::{Draft, References};
use super::fields::{self, PRIORITIES};
use super::tasks;
use crate::agents;
use crate::document::problem::Problem;
use crate::document::{Document, Faults, Located, Section, closest, quoted};
use crate::domain::id::SpecId;
use crate::domain::spec::{Base, DEFAULT_AGENT, DEFAULT_PRIORITY, Deliver};

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
    let agent = agent(root, faults);
    let model = model(root, faults);
    let priority = root.integer(faults, "priority", PRIORITIES);
    let deliver = deliver(root, faults);
    let verify = fields::commands(root, faults, "verify");
    let verify_all = root.boolean(faults, "verify_all");
    let mut after = after(root, faults);

    if is_missing("tasks") {
        let problem = Problem::new("the spec has no tasks", root.span());
        faults.push_absent(problem.hint("begin each task with `[[tasks]]` on a line of its own"));
    }
    let tasks = tasks::read(root, faults);

    if let Some(base) = &base
        && is_missing("repo")
    {
        let problem = Problem::new("`base` needs a `repo`", base.span.clone());
        faults.push_absent(problem.hint("add `repo`, or remove `base`"));
    }
    if let Some(Located { value: Deliver::Merge, span }) = &deliver {
        refuse_merge(root, faults, base.as_ref(), span, is_missing("repo"));
    }
    if let Some(Located { value: Base::Spec(id), span }) = &base
        && !after.iter().any(|named| named.value == *id)
    {
        after.push(Located { value: id.clone(), span: span.clone() });
    }

    let references =
        References { repo, base, after, deliver: deliver.map(|deliver| deliver.value).unwrap_or_default() };
    let draft = title.zip(agent).zip(tasks).map(|((title, agent), tasks)| Draft {
        document: document.clone(),
        title,
        references: references.clone(),
        context: context.map(|context| context.value).filter(|context| !context.trim().is_empty()),
        agent,
        model,
        priority: priority.map_or(DEFAULT_PRIORITY, |priority| priority.value),
        verify,
        verify_all: verify_all.is_some_and(|all| all.value),
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
    text.parse().ok().filter(|id: &SpecId| id.as_str() == text)
}

fn agent(root: &Section<'_>, faults: &mut Faults) -> Option<String> {
    if !root.has("agent") {
        return Some(DEFAULT_AGENT.to_owned());
    }
    let agent = root.filled_text(faults, "agent")?;
    if agents::names().contains(&agent.value.as_str()) {
        return Some(agent.value);
    }
    let known = agents::names().iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let hint = match closest(&agent.value, agents::names().iter().copied()) {
        Some(close) => format!("did you mean `{close}`?"),
        None => format!("known agents: {known}"),
    };
    let message = format!("unknown agent {}", quoted(&agent.value));
    faults.push(Problem::new(message, agent.span).hint(hint));
    None
}

fn model(root: &Section<'_>, faults: &mut Faults) -> Option<String> {
    let model = root.filled_text(faults, "model")?;
    if model.value.starts_with('-') || model.value.chars().any(|c| c.is_control() || c.is_whitespace()) {
        let message = format!("`model` is {}, which is not the name of a model", quoted(&model.value));
        faults.push(Problem::new(message, model.span).hint("write one word, as in model = \"sonnet\""));
        return None;
    }
    Some(model.value)
}

fn deliver(root: &Section<'_>, faults: &mut Faults) -> Option<Located<Deliver>> {
    const WAYS: [(&str, Deliver); 2] = [("branch", Deliver::Branch), ("merge", Deliver::Merge)];
    let text = root.filled_text(faults, "deliver")?;
    match WAYS.iter().find(|(name, _)| *name == text.value) {
        Some((_, way)) => Some(text.map(|_| *way)),
        None => {
            let message = format!("`deliver` must be \"branch\" or \"merge\", but is {}", quoted(&text.value));
            let problem = Problem::new(message, text.span);
            faults.push(match closest(&text.value, WAYS.iter().map(|(name, _)| *name)) {
                Some(close) => problem.hint(format!("did you mean \"{close}\"?")),
                None => problem,
            });
            None
        }
    }
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
