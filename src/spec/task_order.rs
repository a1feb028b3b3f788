//! Resolves the `needs` of tasks, reports unknown ids and cycles, and sorts the tasks into execution order.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

use crate::document::problem::Problem;
use crate::document::{Faults, Located, closest, quoted};

/// The maximum number of cycles that are reported.
const MAX_CYCLES: usize = 10;
/// The maximum number of tasks that the report of one cycle names.
const MAX_NAMED: usize = 12;

/// The maximum number of task ids that an unknown id is compared with, to suggest the id that the user meant.
const MAX_COMPARED: usize = 500;

/// Returns the indexes of the tasks in execution order: the order of the file, as far as `needs` allows.
/// Reports invalid references and cycles to `faults`; the order is then incomplete, but the caller rejects a
/// document with faults.
///
/// `ids` and `needs` have one item per task, in file order. `ids` has `None` for a task whose id is invalid;
/// no other task can name such a task in `needs`.
pub(super) fn order(ids: &[Option<String>], needs: &[Vec<Located<String>>], faults: &mut Faults) -> Vec<usize> {
    let edges = edges(ids, needs, faults);
    let mut waiting_for: Vec<usize> = edges.iter().map(Vec::len).collect();
    let mut needed_by: Vec<Vec<usize>> = vec![Vec::new(); ids.len()];
    for (task, targets) in edges.iter().enumerate() {
        for edge in targets {
            needed_by[edge.target].push(task);
        }
    }

    let mut ready: BinaryHeap<Reverse<usize>> =
        (0..ids.len()).filter(|task| waiting_for[*task] == 0).map(Reverse).collect();
    let mut placed = vec![false; ids.len()];
    let mut order = Vec::with_capacity(ids.len());
    let mut cycles = 0;
    loop {
        while let Some(Reverse(task)) = ready.pop() {
            if std::mem::replace(&mut placed[task], true) {
                continue;
            }
            order.push(task);
            for &next in &needed_by[task] {
                waiting_for[next] -= 1;
                if waiting_for[next] == 0 {
                    ready.push(Reverse(next));
                }
            }
        }
        let Some(first) = placed.iter().position(|placed| !placed) else { break };
        // Each remaining task needs another remaining task, so a walk along `needs` ends in a cycle.
        let cycle = cycle_from(first, &edges, &placed);
        report_cycle(&cycle, ids, needs, &edges, faults);
        cycles += 1;
        if cycles == MAX_CYCLES {
            break;
        }
        ready.extend(cycle.into_iter().map(Reverse));
    }
    order
}

/// A valid entry of a task's `needs`.
struct Edge {
    /// The index of the needed task, in file order.
    target: usize,
    /// The index of the entry in the task's `needs`.
    index: usize,
}

/// Returns the valid entries of the `needs` of each task. Reports the invalid entries to `faults`.
fn edges(ids: &[Option<String>], needs: &[Vec<Located<String>>], faults: &mut Faults) -> Vec<Vec<Edge>> {
    let mut position_of: HashMap<&str, usize> = HashMap::new();
    for (position, id) in ids.iter().enumerate() {
        if let Some(id) = id {
            position_of.entry(id).or_insert(position);
        }
    }
    // An invalid id was already reported. An unknown id in `needs` may mean the task with the invalid id, so
    // unknown ids are reported only if all ids are valid.
    let all_known = ids.iter().all(Option::is_some);
    let mut edges = Vec::with_capacity(ids.len());
    for (task, needs) in needs.iter().enumerate() {
        let mut targets = Vec::with_capacity(needs.len());
        let mut seen = HashSet::new();
        for (index, need) in needs.iter().enumerate() {
            let name = quoted(&need.value);
            let problem = match position_of.get(need.value.as_str()) {
                _ if !seen.insert(&need.value) => {
                    Problem::new(format!("`needs` names {name} twice"), need.span.clone())
                        .hint("remove one of the two entries")
                }
                Some(target) if *target == task => {
                    Problem::new(format!("the task {name} needs itself"), need.span.clone())
                        .hint("remove this id from `needs`")
                }
                Some(target) => {
                    targets.push(Edge { target: *target, index });
                    continue;
                }
                None => {
                    if all_known && !faults.is_full() {
                        faults.push_absent(unknown_task(need, &position_of));
                    }
                    continue;
                }
            };
            faults.push(problem);
        }
        edges.push(targets);
    }
    edges
}

fn unknown_task(need: &Located<String>, known: &HashMap<&str, usize>) -> Problem {
    let problem =
        Problem::new(format!("`needs` names {}, but no task has this id", quoted(&need.value)), need.span.clone());
    let mut ids: Vec<(&str, usize)> = known.iter().map(|(id, position)| (*id, *position)).collect();
    ids.sort_by_key(|(_, position)| *position);
    match closest(&need.value, ids.into_iter().take(MAX_COMPARED).map(|(id, _)| id)) {
        Some(close) => problem.hint(format!("did you mean `{close}`?")),
        None => problem.hint("`needs` contains ids of tasks of this spec; use `after` for other specs"),
    }
}

/// Finds a cycle among the tasks that are not in the order yet; the walk begins at `start`. The returned
/// cycle begins with its first task in file order.
fn cycle_from(start: usize, edges: &[Vec<Edge>], placed: &[bool]) -> Vec<usize> {
    let mut step_of: HashMap<usize, usize> = HashMap::new();
    let mut path = Vec::new();
    let mut task = start;
    while let Some(next) = edges[task].iter().find(|edge| !placed[edge.target]) {
        if let Some(&step) = step_of.get(&task) {
            let mut cycle = path.split_off(step);
            let first = cycle.iter().enumerate().min_by_key(|(_, task)| **task).map_or(0, |(at, _)| at);
            cycle.rotate_left(first);
            return cycle;
        }
        step_of.insert(task, path.len());
        path.push(task);
        task = next.target;
    }
    vec![start]
}

fn report_cycle(
    cycle: &[usize],
    ids: &[Option<String>],
    needs: &[Vec<Located<String>>],
    edges: &[Vec<Edge>],
    faults: &mut Faults,
) {
    let id = |task: usize| ids[task].as_deref().unwrap_or("?");
    let mut names: Vec<&str> = cycle.iter().take(MAX_NAMED).map(|task| id(*task)).collect();
    if cycle.len() > MAX_NAMED {
        names.push("...");
    }
    names.push(id(cycle[0]));
    let next = cycle.get(1).copied().unwrap_or(cycle[0]);
    let span =
        edges[cycle[0]].iter().find(|edge| edge.target == next).map(|edge| needs[cycle[0]][edge.index].span.clone());
    let problem = Problem::new(format!("these tasks need each other in a cycle: {}", names.join(" -> ")), span);
    faults.push(problem.hint("remove one of these ids from the `needs` of the task before it"));
}
