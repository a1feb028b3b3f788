//! What `needs` means: references that exist, no cycles, and an order.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

use crate::document::problem::Problem;
use crate::document::section::Faults;
use crate::document::{Located, closest, quoted};

/// How many cycles are reported at a time, and how many tasks of one are named.
const MOST_CYCLES: usize = 10;
const MOST_NAMED: usize = 12;

/// Among how many tasks an id with a typo is looked for.
const MOST_GUESSED: usize = 500;

/// The positions of the tasks in the order they are carried out: file order, as far as `needs` allows. `None` when the
/// references do not hold, which was then reported.
///
/// `ids` and `needs` are those of each task in file order; a task without an id could not be read and is needed by none.
pub(super) fn order(ids: &[Option<String>], needs: &[Vec<Located<String>>], faults: &mut Faults) -> Option<Vec<usize>> {
    let (edges, sound) = edges(ids, needs, faults);
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
        // Everything left waits for something left, so following it must come around.
        let cycle = cycle_from(first, &edges, &placed);
        report_cycle(&cycle, ids, needs, &edges, faults);
        cycles += 1;
        if cycles == MOST_CYCLES {
            break;
        }
        ready.extend(cycle.into_iter().map(Reverse));
    }
    (sound && cycles == 0).then_some(order)
}

/// That a task needs `target`, as its `needs` says at this index.
struct Edge {
    target: usize,
    index: usize,
}

/// The edges of each task, and whether every reference holds.
fn edges(ids: &[Option<String>], needs: &[Vec<Located<String>>], faults: &mut Faults) -> (Vec<Vec<Edge>>, bool) {
    let mut position_of: HashMap<&str, usize> = HashMap::new();
    for (position, id) in ids.iter().enumerate() {
        if let Some(id) = id {
            position_of.entry(id).or_insert(position);
        }
    }
    // An id that cannot be read was reported; it may be the one that a `needs` looks for.
    let all_known = ids.iter().all(Option::is_some);
    let mut sound = true;
    let mut edges = Vec::with_capacity(ids.len());
    for (task, needs) in needs.iter().enumerate() {
        let mut targets = Vec::with_capacity(needs.len());
        let mut seen = HashSet::new();
        for (index, need) in needs.iter().enumerate() {
            let name = quoted(&need.value);
            let problem = match position_of.get(need.value.as_str()) {
                _ if !seen.insert(&need.value) => {
                    Problem::new(format!("`needs` names {name} twice"), need.span.clone()).hint("remove one of the two")
                }
                Some(target) if *target == task => {
                    Problem::new(format!("the task {name} needs itself"), need.span.clone())
                        .hint("remove it from `needs`")
                }
                Some(target) => {
                    targets.push(Edge { target: *target, index });
                    continue;
                }
                None => {
                    sound = false;
                    if all_known && !faults.is_full() {
                        faults.push_absent(unknown_task(need, &position_of));
                    }
                    continue;
                }
            };
            sound = false;
            faults.push(problem);
        }
        edges.push(targets);
    }
    (edges, sound)
}

fn unknown_task(need: &Located<String>, known: &HashMap<&str, usize>) -> Problem {
    let problem = Problem::new(format!("there is no task {}", quoted(&need.value)), need.span.clone());
    let mut ids: Vec<(&str, usize)> = known.iter().map(|(id, position)| (*id, *position)).collect();
    ids.sort_by_key(|(_, position)| *position);
    match closest(&need.value, ids.into_iter().take(MOST_GUESSED).map(|(id, _)| id)) {
        Some(close) => problem.hint(format!("did you mean `{close}`?")),
        None => problem.hint("`needs` takes ids of tasks of this spec; for other specs there is `after`"),
    }
}

/// A cycle among the tasks that are not placed, from its first task in file order.
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
    let mut names: Vec<&str> = cycle.iter().take(MOST_NAMED).map(|task| id(*task)).collect();
    if cycle.len() > MOST_NAMED {
        names.push("...");
    }
    names.push(id(cycle[0]));
    let next = cycle.get(1).copied().unwrap_or(cycle[0]);
    let span =
        edges[cycle[0]].iter().find(|edge| edge.target == next).map(|edge| needs[cycle[0]][edge.index].span.clone());
    let problem = Problem::new(format!("these tasks need each other in a circle: {}", names.join(" -> ")), span);
    faults.push(problem.hint("remove one of these from a `needs`"));
}
