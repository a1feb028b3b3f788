//! Reads the tasks of a spec.

use std::collections::HashMap;

use super::fields::{self, TIMEOUT_MINUTES};
use super::task_order;
use crate::document::problem::Problem;
use crate::document::{Faults, Located, Section, quoted};
use crate::domain::spec::{Action, Changes, Task};

/// The longest id of a task, in characters.
const MAX_ID: usize = 64;

/// The longest default title, which boi makes from the prompt or the command, in characters.
const MAX_DEFAULT_TITLE: usize = 80;

/// Reads the tasks. Returns them in execution order, or `None` if a task is invalid, and the agents that they name.
pub(super) fn read(root: &Section<'_>, faults: &mut Faults) -> (Option<Vec<Task>>, Vec<Located<String>>) {
    let mut agents = Vec::new();
    let tasks = read_tasks(root, faults, &mut agents);
    (tasks, agents)
}

fn read_tasks(root: &Section<'_>, faults: &mut Faults, agents: &mut Vec<Located<String>>) -> Option<Vec<Task>> {
    let sections = root.sections(faults, "tasks")?;
    if sections.is_empty() {
        let at = root.key_span("tasks");
        let problem = Problem::new("the spec has no tasks", at);
        faults.push_absent(problem.hint("begin each task with `[[tasks]]` on a line of its own"));
        return None;
    }
    let mut tasks = Vec::with_capacity(sections.len());
    let mut needs = Vec::with_capacity(sections.len());
    let mut ids = TaskIds::default();
    for (position, section) in sections.iter().enumerate() {
        let id = ids.next(section, faults);
        let action = action(section, faults);
        let title = fields::title(section, faults);
        let named: Vec<Located<String>> = section.filled_texts(faults, "needs").map_or(Vec::new(), |list| list.value);
        let verify = fields::commands(section, faults, "verify");
        let timeout = section.integer(faults, "timeout_minutes", TIMEOUT_MINUTES);
        let agent = section.filled_text(faults, "agent");
        let changes = fields::changes(section, faults);
        refuse_fields_of_prompts(section, faults);
        if !root.has("repo")
            && let Some(Located { value: Changes::Required, span }) = &changes
        {
            let problem = Problem::new("`changes = \"required\"` needs a `repo`", span.clone());
            faults.push_absent(problem.hint("boi sees changes only in a repository: add `repo` to the spec"));
        }
        agents.extend(agent.clone());
        needs.push(named);
        if let (Some(id), Some(action)) = (id, action) {
            let title = title.unwrap_or_else(|| default_title(&action, position));
            let timeout_minutes = timeout.and_then(|minutes| u32::try_from(minutes.value).ok());
            tasks.push(Task {
                id,
                title,
                action,
                agent: agent.map(|agent| agent.value),
                changes: changes.map(|changes| changes.value),
                needs: Vec::new(),
                verify,
                timeout_minutes,
            });
        }
    }
    ids.report_clashes(&sections, faults);
    let order = task_order::order(&ids.of_each, &needs, faults);
    if tasks.len() != sections.len() {
        return None;
    }
    for (task, needs) in tasks.iter_mut().zip(needs) {
        task.needs = needs.into_iter().map(|need| need.value).collect();
    }
    let mut tasks: Vec<Option<Task>> = tasks.into_iter().map(Some).collect();
    order.into_iter().map(|position| tasks[position].take()).collect()
}

/// The ids of the tasks: the ids in the file, or else the default ids `t-1`, `t-2` and so on, by position in
/// the file.
#[derive(Default)]
struct TaskIds {
    /// The id of each task in file order; `None`: the id is invalid.
    of_each: Vec<Option<String>>,
}

impl TaskIds {
    fn next(&mut self, section: &Section<'_>, faults: &mut Faults) -> Option<String> {
        let id = if section.has("id") {
            explicit_id(section, faults)
        } else {
            Some(format!("t-{}", self.of_each.len() + 1))
        };
        self.of_each.push(id.clone());
        id
    }

    fn report_clashes(&self, sections: &[Section<'_>], faults: &mut Faults) {
        let mut seen: HashMap<&str, usize> = HashMap::new();
        for (position, id) in self.of_each.iter().enumerate() {
            let Some(id) = id else { continue };
            let Some(&first) = seen.get(id.as_str()) else {
                seen.insert(id, position);
                continue;
            };
            let has_own = |position: usize| sections[position].key_span("id").is_some();
            let problem = if has_own(first) && has_own(position) {
                let message = format!("tasks {} and {} have the same id `{id}`", first + 1, position + 1);
                Problem::new(message, sections[position].key_span("id")).hint("give one of the two tasks another id")
            } else {
                let (own, other) = if has_own(position) { (position, first) } else { (first, position) };
                let message =
                    format!("task {} has the id `{id}`, which is also the default id of task {}", own + 1, other + 1);
                Problem::new(message, sections[own].key_span("id")).hint("give one of the two tasks another id")
            };
            faults.push(problem);
        }
    }
}

fn explicit_id(section: &Section<'_>, faults: &mut Faults) -> Option<String> {
    let Located { value: id, span } = section.filled_text(faults, "id")?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let problem = if let Some(bad) = id.chars().find(|c| !allowed(*c)) {
        Problem::new(format!("the id {} contains {}", quoted(&id), quoted(&bad.to_string())), span)
            .hint("an id consists of A-Z, a-z, 0-9, `.`, `_` and `-`")
    } else if id.len() > MAX_ID {
        Problem::new(format!("an id must have at most {MAX_ID} characters, but this one has {}", id.len()), span)
    } else if id.chars().all(|c| c == '.') {
        Problem::new(format!("the id `{id}` consists only of dots"), span).hint("add a letter or a digit")
    } else {
        return Some(id);
    };
    faults.push(problem);
    None
}

fn action(section: &Section<'_>, faults: &mut Faults) -> Option<Action> {
    let meant = section.report_unknown(faults, fields::OF_TASK, |name| {
        let of_spec = fields::OF_SPEC.contains(&name);
        of_spec.then(|| format!("`{name}` belongs to the spec: put it above the first `[[tasks]]`"))
    });
    let prompt = section.filled_text(faults, "prompt");
    let run = section.filled_text(faults, "run");
    match (section.has("prompt"), section.has("run")) {
        (true, true) => {
            let spans = [section.key_span("prompt"), section.key_span("run")];
            let at = spans.into_iter().flatten().max_by_key(|span| span.start);
            let problem = Problem::new("this task has both a `prompt` and a `run`", at);
            faults.push(problem.hint("split this task into two; the second can name the first in `needs`"));
            None
        }
        (false, false) if !meant.contains(&"prompt") && !meant.contains(&"run") => {
            let problem = Problem::new("this task has neither a `prompt` nor a `run`", section.span());
            faults.push_absent(problem.hint("add `prompt` for the agent, or `run` for a shell command"));
            None
        }
        _ => prompt.map(|prompt| Action::Prompt(prompt.value)).or(run.map(|run| Action::Run(run.value))),
    }
}

/// Reports the fields that only a task with a `prompt` can have, if the task has a `run`.
fn refuse_fields_of_prompts(section: &Section<'_>, faults: &mut Faults) {
    if !section.has("run") || section.has("prompt") {
        return;
    }
    for field in ["agent", "changes"].into_iter().filter(|field| section.has(field)) {
        let message = format!("a task with a `run` has no `{field}`");
        faults.push(Problem::new(message, section.key_span(field)).hint(format!("remove `{field}`")));
    }
}

/// Returns the default title of a task: the first line of its prompt or command that is not blank, shortened.
fn default_title(action: &Action, position: usize) -> String {
    let (Action::Prompt(text) | Action::Run(text)) = action;
    let printable = |line: &str| line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>();
    let line = text.lines().map(printable).find(|line| !line.trim().is_empty());
    let Some(line) = line else { return format!("task {}", position + 1) };
    let line = line.trim();
    match line.char_indices().nth(MAX_DEFAULT_TITLE) {
        Some(_) => line.chars().take(MAX_DEFAULT_TITLE - 1).chain(['…']).collect(),
        None => line.to_owned(),
    }
}
